"""Completeness: what is put in is found when it must be, nothing else counts, and what was done is kept."""

import json
import os
import signal as signals
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from candidates.completeness_plot import draw_completeness
from hunter import completeness as recovering
from hunter.completeness import Loaded, Plan, carry_out, document
from hunter.settings import load
from pipeline.clean import CleanSettings, DetrendSettings, clean
from pipeline.completeness import (
    CONFIDENCE,
    HARMONICS,
    Injection,
    InjectionSettings,
    Phases,
    Trial,
    attempt,
    contour,
    crossing,
    draw,
    edges,
    inject,
    judge,
    observed_transits,
    prepare,
    recovery_map,
    rising,
    snr_curve,
    wilson,
)
from pipeline.errors import UnusableData
from pipeline.search import SearchSettings
from pipeline.simulate import SectorSettings, draw_star, observe
from pipeline.types import CleanedLightCurve, LightCurve, SearchResult, Star, Target, TransitSignal

# few periods: the tests ask what is made of a search, not how well it searches
PHASES = Phases(SearchSettings(period_min=1.0, period_max=6.0), CleanSettings(), DetrendSettings())
BY_SNR = InjectionSettings(by="snr")
KEY = "99000000007"


@pytest.fixture(scope="module")
def quiet():
    """A quiet simulated star in one sector, at 30-minute cadence."""
    seen = observe(draw_star("quiet", KEY, 5, tmag=(9.0, 9.5)), SectorSettings(cadence_seconds=1800.0), 5)
    return Loaded(Target("TIC", KEY, seen.target.star), seen.target.star, clean([seen.observation()]))


@pytest.fixture(scope="module")
def subject(quiet):
    return prepare(quiet.target.name, quiet.cleaned, quiet.star, BY_SNR, PHASES)


def outcomes(trials):
    return [trial.outcome for trial in trials]


def injection(period=3.0, epoch=1326.0, duration=0.1, **more):
    given = {"number": 0, "impact": 0.2, "size": 12.0, "radius_ratio": 0.05, "radius": 5.0, "depth": 2.5e-3}
    return Injection(period=period, epoch=epoch, duration=duration, snr=12.0, n_transits=8, **given | more)


def found(*dips):
    """What a search that found these dips would return."""
    nothing = np.zeros(0)
    return SearchResult(nothing, nothing, nothing, nothing, dips, dips[0] if dips else None)


def dip(period, epoch, **more):
    return TransitSignal(period=period, epoch=epoch, duration=0.1, depth=2e-3, snr=11.0, **more)


# ------------------------------------------------------------------------------------------------ found or not


def test_deep_transits_are_all_found_and_hopeless_ones_never(subject):
    deep = replace(BY_SNR, snr_min=40.0, snr_max=60.0)
    assert outcomes(attempt(subject, range(5), deep, PHASES, seed=2)) == ["recovered"] * 5
    hopeless = replace(BY_SNR, snr_min=0.5, snr_max=1.0)
    assert "recovered" not in outcomes(attempt(subject, range(5), hopeless, PHASES, seed=2))


def test_the_search_measures_about_the_signal_to_noise_that_was_expected(subject):
    strong = replace(BY_SNR, snr_min=20.0, snr_max=30.0)
    ratio = [trial.found_snr / trial.injection.snr for trial in attempt(subject, range(8), strong, PHASES, seed=4)]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


def test_the_expected_signal_to_noise_is_that_of_white_noise_where_noise_is_white():
    rng = np.random.default_rng(3)
    time = 1325.0 + np.arange(0, 27, 1 / 48)
    sigma = 5e-4
    curve = LightCurve(time, 1 + sigma * rng.standard_normal(time.size), np.full(time.size, sigma))
    none = np.full(time.size, np.nan)
    segment, exposure = np.zeros(time.size, dtype=np.int64), np.full(time.size, 1 / 48)
    cleaned = CleanedLightCurve(curve, curve, segment, exposure, none, none, (), {})
    seen = prepare("white", cleaned, Star(radius=1.0, mass=1.0), BY_SNR, PHASES)
    for number in range(6):
        drawn = draw(seen, BY_SNR, 1, number)
        model = inject(seen, drawn, replace(BY_SNR, redetrend=False), PHASES).flux / curve.flux
        assert drawn.snr == pytest.approx(np.sqrt(((1 - model) ** 2).sum()) / sigma, rel=0.2)
        assert drawn.size == pytest.approx(drawn.snr, rel=1e-3)


@pytest.mark.parametrize("ratio", HARMONICS)
def test_a_harmonic_is_counted_apart(subject, ratio):
    planet = injection()
    trial = judge(planet, found(dip(3.0 * ratio, 1326.0 + 3.0)), subject)
    assert (trial.outcome, trial.found_period) == ("harmonic", 3.0 * ratio)
    # beside the transits it is no harmonic, but something else
    assert judge(planet, found(dip(3.0 * ratio, 1326.0 + 0.06)), subject).outcome == "missed"


def test_period_and_epoch_must_both_agree(subject):
    span = float(np.ptp(subject.cleaned.flat.time))
    drift = 0.1 / span  # of the period: one duration over the whole baseline
    for period, epoch, outcome in (
        (3.0, 1326.0 + 4 * 3.0, "recovered"),
        (3.0 * (1 + 0.9 * drift), 1326.0, "recovered"),
        (3.0 * (1 + 1.1 * drift), 1326.0, "missed"),
        (3.0, 1326.04, "recovered"),
        (3.0, 1326.06, "missed"),
    ):
        assert judge(injection(), found(dip(period, epoch)), subject).outcome == outcome


def test_a_harmonic_of_a_stronger_signal_is_not_recovered_for_the_hunt_does_not_follow_it(subject):
    both = found(dip(6.0, 1326.0), dip(3.0, 1326.0, number=2, alias_of=1))
    assert judge(injection(), both, subject).outcome == "harmonic"


def test_a_signal_that_is_there_without_the_injection_is_no_recovery(subject):
    theirs = replace(subject, own=(dip(3.0, 1326.0),))
    assert judge(injection(), found(dip(3.0, 1326.0)), theirs).outcome == "missed"
    assert judge(injection(), found(dip(1.5, 1326.0)), theirs).outcome == "missed"
    other = injection(period=4.1, epoch=1325.5)
    assert judge(other, found(dip(3.0, 1326.0), dip(4.1, 1325.5, number=2)), theirs).outcome == "recovered"


def test_a_planet_near_a_harmonic_of_another_signal_is_still_its_own(subject):
    # within the tolerances of a third of the other's period, and nearer to what was put in
    theirs = replace(subject, own=(dip(6.0, 1326.04),))
    planet = injection(period=2.002, epoch=1326.0)
    assert judge(planet, found(dip(2.0019, 1326.001)), theirs).outcome == "recovered"
    assert judge(planet, found(dip(2.0001, 1326.039)), theirs).outcome == "missed"


def test_a_planet_of_which_fewer_than_two_transits_were_seen_is_counted_but_not_searched_for(subject):
    long = replace(subject, periods=(20.0, 26.0))
    trials = attempt(long, range(12), replace(BY_SNR, snr_min=50.0, snr_max=60.0), PHASES, seed=1)
    apart = [trial for trial in trials if trial.outcome == "too_few_transits"]
    assert apart
    assert all(trial.injection.n_transits < 2 for trial in apart)
    counted = recovery_map(trials, edges(20.0, 26.0, 1, True), edges(50.0, 60.0, 1, False))
    assert counted.too_few.sum() == len(apart)
    assert counted.injected.sum() == len(trials) - len(apart)


def test_a_transit_counts_when_half_of_it_was_observed(subject):
    cleaned = subject.cleaned
    last = float(cleaned.flat.time[-1])
    half = cleaned.exposure[-1] / 2
    assert observed_transits(cleaned, 100.0, last - 0.3, 0.2) == 1
    assert observed_transits(cleaned, 100.0, last - 0.01 + half, 0.2) == 1
    assert observed_transits(cleaned, 100.0, last + 0.05 + half, 0.2) == 0


def test_injection_before_detrending_counts_what_detrending_eats(subject):
    slow = injection(period=20.0, epoch=1336.0, duration=0.6, radius_ratio=0.03)
    giant = replace(subject, density=0.01)
    inside = np.abs(giant.cleaned.flat.time - slow.epoch) < 0.2

    def depth(redetrend):
        curve = inject(giant, slow, replace(BY_SNR, redetrend=redetrend), PHASES)
        assert len(curve) == len(giant.cleaned.flat)
        return float(np.mean((giant.cleaned.flat.flux - curve.flux)[inside]))

    assert depth(False) == pytest.approx(0.03**2, rel=0.3)
    assert depth(True) < 0.8 * depth(False)


def test_the_clip_of_the_older_detrending_takes_deep_transits_out_of_the_injection(subject):
    old = replace(PHASES, detrend=DetrendSettings(method="savgol-101"))
    deep = inject(subject, injection(radius_ratio=0.15), BY_SNR, old)
    assert len(deep) < len(subject.cleaned.flat)
    assert deep.flux.min() > 1 - 0.15**2 / 2


# ------------------------------------------------------------------------------------------------ what is drawn


def test_the_draw_depends_on_seed_name_and_number_alone_and_stays_in_its_ranges(subject):
    by_radius = InjectionSettings(by="radius", radius_min=2.0, radius_max=4.0)
    drawn = [draw(subject, by_radius, 9, number) for number in range(200)]
    assert draw(subject, by_radius, 9, 17) == drawn[17]
    assert draw(replace(subject, name="other"), by_radius, 9, 17) != drawn[17]
    assert draw(subject, by_radius, 10, 17) != drawn[17]
    assert all(subject.periods[0] <= item.period <= subject.periods[1] for item in drawn)
    assert all(2.0 <= item.size <= 4.0 and item.radius == pytest.approx(item.size) for item in drawn)
    assert all(0 <= item.impact <= 0.9 for item in drawn)
    # log-uniform: as many below the geometric middle as above
    assert np.mean([item.period < np.sqrt(6.0) for item in drawn]) == pytest.approx(0.5, abs=0.11)
    assert np.mean([item.impact < 0.45 for item in drawn]) == pytest.approx(0.5, abs=0.11)


def test_no_orbit_is_drawn_inside_its_star(quiet):
    giant = replace(quiet.star, radius=5.0, mass=1.0, logg=None)
    seen = prepare("giant", quiet.cleaned, giant, BY_SNR, PHASES)
    assert seen.periods[0] > 1.0
    assert "within 1.5 stellar radii" in " ".join(seen.notes)


@pytest.mark.parametrize(
    ("star", "settings", "search_settings", "told"),
    [
        (Star(), InjectionSettings(), PHASES.search, "radius of the star is unknown"),
        (Star(radius=float("nan")), InjectionSettings(), PHASES.search, "radius of the star is unknown"),
        (Star(radius=1.0), BY_SNR, SearchSettings(period_min=80.0), "leaves no period to try"),
        (Star(radius=1.0), BY_SNR, SearchSettings(min_points=10**6), "too few to search"),
        (Star(radius=1.0), replace(BY_SNR, period_min=9.0, period_max=9.0), PHASES.search, "can be drawn"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(quiet, star, settings, search_settings, told):
    with pytest.raises(UnusableData, match=told):
        prepare("x", quiet.cleaned, star, settings, replace(PHASES, search=search_settings))


def test_a_light_curve_that_does_not_vary_has_no_noise_to_measure(quiet):
    still = replace(quiet.cleaned.flat, flux=np.ones(len(quiet.cleaned.flat)))
    with pytest.raises(UnusableData, match="does not vary"):
        prepare("x", replace(quiet.cleaned, flat=still), quiet.star, BY_SNR, PHASES)


# ------------------------------------------------------------------------------------------------ the map


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.6827, 0.95]))
def test_the_interval_is_wilsons(counts, confidence):
    recovered, injected = counts
    theirs = binomtest(recovered, injected).proportion_ci(confidence, method="wilson")
    assert wilson(recovered, injected, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_of_nothing_there_is_no_interval():
    assert wilson(0, 0) is None


def test_shares_are_made_to_rise_by_pooling_neighbours():
    pooled = rising(np.array([0.0, 0.6, 0.2, 1.0]), np.array([1.0, 1.0, 3.0, 1.0]))
    assert pooled == pytest.approx([0.0, 0.3, 0.3, 1.0])


def test_a_level_is_crossed_between_the_middles_of_cells_or_nowhere():
    sizes, ten = np.array([1.0, 4.0, 16.0]), np.array([10, 10, 10])
    assert crossing(sizes, np.array([0, 5, 10]), ten, 0.5, True) == pytest.approx(4.0)
    assert crossing(sizes, np.array([0, 5, 10]), ten, 0.25, True) == pytest.approx(2.0)
    assert crossing(sizes, np.array([0, 5, 10]), ten, 0.25, False) == pytest.approx(2.5)
    assert crossing(sizes, np.array([6, 8, 10]), ten, 0.5, True) is None  # all above
    assert crossing(sizes, np.array([0, 1, 2]), ten, 0.5, True) is None  # all below
    assert crossing(sizes, np.zeros(3, int), np.zeros(3, int), 0.5, True) is None


def test_cells_count_by_outcome_and_the_last_edge_belongs_to_the_last_cell():
    words = ("recovered", "recovered", "harmonic", "missed", "too_few_transits")
    trials = [Trial(injection(period=8.0, size=4.0, number=k), word) for k, word in enumerate(words)]
    trials.append(Trial(injection(period=9.0, size=4.0), "recovered"))  # beyond the map
    counted = recovery_map(trials, edges(0.5, 8.0, 2, True), edges(1.0, 4.0, 2, False))
    assert counted.period_edges == pytest.approx([0.5, 2.0, 8.0])
    assert (counted.injected[1, 1], counted.injected.sum()) == (4, 4)
    assert (counted.recovered[1, 1], counted.harmonic[1, 1], counted.too_few[1, 1]) == (2, 1, 1)
    assert [size for _, size in contour(counted, 0.5, False)] == [None, None]


def test_the_curve_bins_by_expected_signal_to_noise_and_leaves_empty_bins_out():
    trials = [Trial(replace(injection(), snr=snr), word) for snr, word in ((5.5, "missed"), (11.0, "recovered"))]
    points = snr_curve([*trials, Trial(injection(), "too_few_transits")])
    assert [(point.low, point.injected, point.recovered) for point in points] == [(5.0, 1, 0), (10.0, 1, 1)]


# ------------------------------------------------------------------------------------------------ the work


def plan(number=16, seed=3):
    return Plan(replace(BY_SNR, snr_min=5.0, snr_max=20.0), PHASES, seed, number)


def results(outcome):
    return [done.trials[number] for done in outcome.done for number in sorted(done.trials)]


@pytest.fixture(scope="module")
def once(quiet, tmp_path_factory):
    """Sixteen injections by one process."""
    folder = tmp_path_factory.mktemp("kept")
    return folder, carry_out([("star", lambda: quiet)], plan(), folder, 1)


def test_two_workers_give_what_one_gives(quiet, once, tmp_path):
    both = carry_out([("star", lambda: quiet)], plan(), tmp_path, 2)
    assert results(both) == results(once[1])
    assert len({trial.outcome for trial in results(both)}) > 1


def test_a_second_run_reads_what_the_first_did_and_another_seed_does_not(quiet, once):
    folder, first = once
    again = carry_out([("star", lambda: quiet)], plan(), folder, 1)
    assert (again.kept, again.finished) == (16, 16)
    assert results(again) == results(first)
    less = carry_out([("star", lambda: quiet)], plan(number=4), folder, 1)
    assert results(less) == results(first)[:4]
    assert plan(seed=4).digest(quiet) != plan().digest(quiet)


def test_an_interrupted_run_keeps_what_it_has_and_the_next_goes_on(quiet, once, tmp_path):
    def interrupt(outcome):
        if outcome.finished == 8:
            os.kill(os.getpid(), signals.SIGINT)

    said = []
    cut = carry_out([("star", lambda: quiet)], plan(), tmp_path, 1, interrupt, said.append)
    assert (cut.stopped_by, cut.finished, cut.asked) == (signals.SIGINT, 8, 16)
    assert said == ["stopping after the injections in flight; once more to stop at once"]
    assert document(cut, plan(), load(str(tmp_path)), "x", (4, 3), 0.0)["partial"]
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text(file.read_text()[:-30])  # the last line is torn, as by a kill
    whole = carry_out([("star", lambda: quiet)], plan(), tmp_path, 1)
    assert (whole.kept, whole.finished) == (7, 16)
    # a torn injection is searched in other company: equal to the promise of search_many
    for mine, theirs in zip(results(whole), results(once[1]), strict=True):
        assert (mine.injection, mine.outcome) == (theirs.injection, theirs.outcome)
        assert mine.found_snr == (None if theirs.found_snr is None else pytest.approx(theirs.found_snr, rel=1e-5))


def test_a_target_that_cannot_be_used_is_left_out_with_its_reason_and_the_others_go_on(quiet, once):
    def broken():
        raise UnusableData("no finite flux")

    short = replace(PHASES, search=replace(PHASES.search, min_points=10**6))
    said = []
    told = carry_out([("bad", broken), ("star", lambda: quiet)], plan(), once[0], 1, say=said.append)
    assert (told.skipped, told.finished, told.asked) == ([("bad", "no finite flux")], 16, 16)
    assert said == ["bad left out: no finite flux"]
    none = carry_out([("star", lambda: quiet)], replace(plan(), phases=short), once[0], 1)
    assert (none.done, none.asked) == ([], 0)
    assert "too few to search" in none.skipped[0][1]


def test_by_radius_a_star_without_one_is_left_out(quiet, once):
    unknown = replace(quiet, star=replace(quiet.star, radius=None))
    told = carry_out([("star", lambda: unknown)], replace(plan(), injections=InjectionSettings()), once[0], 1)
    assert told.skipped == [("star", recovering.NO_RADIUS)]


def test_the_document_adds_up_and_draws_the_same_picture_twice(once, tmp_path):
    outcome = once[1]
    found = document(outcome, plan(), load(str(tmp_path)), "TIC_1", (4, 3), 1.7e9)
    text = json.dumps(found, allow_nan=False)
    counts = found["injections"]
    assert counts["recovered"] + counts["harmonic"] + counts["missed"] == counts["injected"]
    assert counts["injected"] + counts["too_few_transits"] == counts["done"] == len(found["trials"]) == 16
    assert sum(cell["injected"] for cell in found["map"]["cells"]) == counts["injected"]
    assert sum(point["recovered"] for point in found["curve"]) == counts["recovered"]
    assert found["what"] == "injected (simulated) transits in simulated data"
    assert found["confidence"] == CONFIDENCE
    assert not found["partial"]
    assert {"seed", "settings", "versions", "code", "made_at", "search_threshold"} <= set(found)
    picture = draw_completeness(json.loads(text))
    assert picture.startswith(b"\x89PNG")
    assert picture == draw_completeness(json.loads(text))
