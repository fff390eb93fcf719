"""Two ephemerides are of one thing, or not, or nobody can tell; and one event is seen in many stars."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.matching import LIMIT, MOST_CHANCE, Agreement, Ephemeris, SeenSignals, angle, compare, shared
from pipeline.simulate.signals import BEGIN, sector_signals

SIGNAL = Ephemeris(3.0, 2000.0, 3e-4, 2e-3, 0.1)


def seen_again(random, true, years, period_err, epoch_err):
    """The same thing, measured so many years earlier."""
    cycles = round(years * 365.25 / true.period)
    return Ephemeris(
        true.period + period_err * random.standard_normal(),
        true.epoch - cycles * true.period + epoch_err * random.standard_normal(),
        period_err,
        epoch_err,
    )


def a_signal(random):
    period = float(np.exp(random.uniform(np.log(0.5), np.log(13.0))))
    return Ephemeris(period, 2000.0 + float(random.uniform(0, period)), 1e-4 * period, 2e-3, 0.1)


def measured(random, true):
    return replace(
        true,
        period=true.period + true.period_err * random.standard_normal(),
        epoch=true.epoch + true.epoch_err * random.standard_normal(),
    )


# ---- one and another


def test_the_same_ephemeris_matches():
    match = compare(SIGNAL, replace(SIGNAL, epoch=1700.0, period_err=1e-6))
    assert (match.status, match.ratio, match.cycles, match.at) == (Agreement.MATCH, (1, 1), 100, 0.0)
    assert match.offset == pytest.approx(0.0, abs=1e-9)
    assert match.words == "the same period and phase"
    assert match.assumed == ()


@pytest.mark.parametrize(
    ("factor", "ratio", "words"),
    [(2.0, (1, 2), "half"), (0.5, (2, 1), "twice"), (3.0, (1, 3), "a third"), (1.5, (2, 3), "two thirds")],
)
def test_simple_ratios_of_periods_match_and_say_so(factor, ratio, words):
    match = compare(SIGNAL, Ephemeris(3.0 * factor, 2000.0 - 18.0, 1e-6, 1e-3))
    assert (match.status, match.ratio) == (Agreement.MATCH, ratio)
    assert match.words.startswith(words)


def test_the_second_eclipse_of_a_binary_is_a_match_only_where_it_is_asked_for():
    other = Ephemeris(3.0, 2001.5 - 300.0, 1e-6, 1e-3)
    match = compare(SIGNAL, other, secondary=True)
    assert (match.status, match.at) == (Agreement.MATCH, 0.5)
    assert match.words.endswith("at its second eclipse")
    match = compare(SIGNAL, other)
    assert match.status is Agreement.NO_MATCH
    assert "another phase" in match.words


def test_an_error_of_the_period_is_carried_over_the_cycles_between():
    """1.5e-5 d is half an hour after 1,500 orbits: no match with that error forgotten, one with it."""
    ours = Ephemeris(0.94, 2000.0, 2e-5, 1e-3, 0.1)
    late = 1536 * 1.5e-5
    old = Ephemeris(0.94, 2000.0 - 1536 * 0.94 - late, 1.5e-5, 2e-4)
    match = compare(ours, old)
    assert match.status is Agreement.MATCH
    # published errors are doubled; the two periods together are known to 1.66e-5 d, the transits wander by 0.01 d
    assert match.offset_err * 0.94 == pytest.approx(math.hypot(1536 * 1.664e-5, 0.01), rel=0.01)
    forgotten = compare(replace(ours, period_err=1e-9, duration=0.02), replace(old, period_err=1e-9))
    assert forgotten.status is Agreement.NO_MATCH


def test_periods_that_are_nearly_one_but_not_by_their_errors_are_unknown():
    match = compare(replace(SIGNAL, period_err=1e-6), Ephemeris(6.004, 1994.0, 1e-6, 1e-3))
    assert match.status is Agreement.UNKNOWN
    assert match.words == "nearly half its period: 0.07% from it, more than the errors allow"
    assert match.ratio is None
    assert compare(replace(SIGNAL, period_err=1e-6), Ephemeris(6.1, 1994.0, 1e-6)).status is Agreement.NO_MATCH


def test_an_ephemeris_too_old_for_its_phase_is_unknown():
    match = compare(replace(SIGNAL, period_err=1e-3), Ephemeris(3.0, 2000.0 - 3000.0, 1e-3, 1e-3))
    assert match.status is Agreement.UNKNOWN
    assert "too old for its phase, which after 1,000 cycles is known to 21.5 h only" in match.words
    assert match.sigma is None


def test_missing_errors_are_assumed_and_said_to_be():
    match = compare(SIGNAL, Ephemeris(3.0, 2000.0 - 300.0, None, None, 0.2))
    assert match.status is Agreement.MATCH
    assert match.assumed == ("its period's error, 0.0001 of it", "its epoch's error, 2.4 h")
    old = compare(replace(SIGNAL, period_err=None), Ephemeris(3.0, 2000.0 - 9000.0, None, None))
    assert old.status is Agreement.UNKNOWN


@pytest.mark.parametrize("nothing", [None, 0.0, -1.0, math.nan, math.inf])
def test_an_error_that_is_none_is_never_nought(nothing):
    match = compare(SIGNAL, Ephemeris(3.0, 2000.0, nothing, nothing))
    assert len(match.assumed) == 2
    assert compare(SIGNAL, Ephemeris(nothing, 2000.0)).words == "its period is not known"


def test_without_an_epoch_only_the_periods_are_compared():
    match = compare(SIGNAL, Ephemeris(6.0, None, 1e-5))
    assert (match.status, match.ratio) == (Agreement.UNKNOWN, (1, 2))
    assert match.words == "half its period; it has no epoch to compare"
    assert match.chance < MOST_CHANCE  # so close a period is no accident, whatever the phase
    assert compare(SIGNAL, Ephemeris(3.7, None, 1e-5)).status is Agreement.NO_MATCH


def test_errors_so_coarse_that_anything_agrees_say_nothing():
    match = compare(replace(SIGNAL, period_err=0.1), Ephemeris(3.0, 2000.0, 0.1, 0.02))
    assert match.status is Agreement.UNKNOWN
    assert "of unrelated ephemerides would agree" in match.words


def test_a_signal_without_an_ephemeris_is_refused():
    with pytest.raises(ValueError, match="has a period and an epoch"):
        compare(Ephemeris(3.0, None), SIGNAL)


def test_true_matches_are_found():
    """Over 0 to 6 years and errors of 1e-7 to 1e-5 d: benchmarks/matching.py has 20,000 of them."""
    random = np.random.default_rng(1)
    found = 0
    for _ in range(400):
        true = a_signal(random)
        other = seen_again(random, true, random.uniform(0, 6), 10 ** random.uniform(-7, -5), 1e-3)
        found += compare(measured(random, true), other).status is not Agreement.NO_MATCH
    assert found >= 396  # 99 %


def test_unrelated_ephemerides_hardly_ever_match():
    random = np.random.default_rng(2)
    matched, promised = 0, 0.0
    for _ in range(3000):
        other = a_signal(random)
        match = compare(a_signal(random), replace(other, epoch=other.epoch - 800.0, period_err=3e-6), secondary=True)
        matched += match.status is Agreement.MATCH
        promised += match.chance
    assert matched <= promised + 3 * math.sqrt(promised) + 1


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.3, 20.0), st.floats(0.3, 20.0), st.floats(-1000.0, 1000.0),
    st.sampled_from([None, 1e-7, 1e-4, 0.5]), st.sampled_from([None, 1e-4, 0.1]), st.booleans(),
)  # fmt: skip
def test_whatever_is_compared_the_answer_is_finite_and_keeps_its_promises(
    period, other, epoch, period_err, epoch_err, secondary
):
    match = compare(
        Ephemeris(period, 2000.0, 1e-4, 1e-3), Ephemeris(other, epoch, period_err, epoch_err), secondary=secondary
    )
    assert 0 <= match.chance <= 1
    for value in (match.period_sigma, match.offset, match.offset_err, match.sigma):
        assert value is None or math.isfinite(value)
    if match.status is Agreement.MATCH:
        assert match.chance <= MOST_CHANCE
        assert match.period_sigma**2 <= LIMIT
        assert abs(match.offset) <= math.sqrt(LIMIT) * match.offset_err
    assert (match.ratio is None) == (match.period_sigma**2 > LIMIT)


# ---- many stars


def families(found):
    groups = {}
    for item in found:
        if item.kind == "ephemeris":
            groups.setdefault(item.source, set()).add(item.row)
    return groups


def test_a_binary_seen_in_five_neighbours_is_one_family_and_the_deepest_is_its_source():
    seen, source = sector_signals(5, 400, families=4)
    wanted = {row: {row, *np.flatnonzero(source == row).tolist()} for row in np.unique(source[400:]).tolist()}
    found = families(shared(seen))
    assert set(found) == set(wanted)
    for row, members in wanted.items():
        assert len(found[row] & members) >= 5  # one of six in a hundred is not seen as it is, by chance or by its error
        assert found[row] <= members


def test_unrelated_signals_of_a_sector_form_no_family():
    """benchmarks/matching.py counts them in 300 sectors of 2,000 signals each."""
    assert sum(bool(shared(sector_signals(seed)[0])) for seed in range(6)) == 0


def test_one_neighbour_at_half_the_period_is_found():
    seen, _ = sector_signals(7, 100, families=1, neighbours=1)
    source, victim = int(np.argmax(seen.depth)), 100
    period, error = seen.period.copy(), seen.period_err.copy()
    period[victim], error[victim] = period[victim] / 2, error[victim] / 2
    found = shared(replace(seen, period=period, period_err=error))
    assert [(item.row, item.source, item.stars) for item in found] == [
        (source, source, 2), (victim, source, 2),
    ]  # fmt: skip
    assert found[1].ratio == pytest.approx(0.5, rel=1e-3)
    assert found[1].separation <= 150.0


def test_stars_of_other_detectors_and_signals_of_one_star_are_no_family():
    seen, source = sector_signals(5, 50, families=1)
    assert families(shared(seen))
    elsewhere = tuple(((5, 1, row),) for row in range(source.size))
    assert not families(shared(replace(seen, detectors=elsewhere)))
    assert not shared(replace(seen, detectors=((),) * source.size))
    one_star = np.where(source == source[-1], 7_000, seen.star)
    assert not families(shared(replace(seen, star=one_star)))


def test_stars_whose_places_are_unknown_are_compared_all_the_same():
    seen, _ = sector_signals(5, 50, families=1)
    nowhere = np.full(seen.star.size, np.nan)
    found = shared(replace(seen, ra=nowhere, dec=nowhere))
    assert len(found) == 6
    assert {item.separation for item in found} == {None}


def test_dips_that_fall_together_in_many_stars_are_told_and_lonely_ones_are_not():
    """Six jolts of the spacecraft: 45 stars dipped at two of them, at nine periods; 155 stars dip when they like."""
    random = np.random.default_rng(3)
    seen, _ = sector_signals(11, 200)
    early, late = BEGIN + np.array([3.5, 4.5, 5.5]), BEGIN + np.array([16.5, 17.5, 18.5])
    for row in range(45):
        first, second = early[row % 3], late[row // 3 % 3]
        seen.epoch[row] = first + random.uniform(-0.03, 0.03)
        seen.period[row] = second + random.uniform(-0.03, 0.03) - seen.epoch[row]
        seen.transits[row] = 2
    camera = tuple(((5, 1, 1 + row % 4),) for row in range(200))
    found = [item for item in shared(replace(seen, detectors=camera)) if item.kind == "times"]
    lonely = [item.row for item in found if item.row >= 45]
    assert len(found) - len(lonely) >= 40
    assert len(lonely) <= 2
    assert min(item.stars for item in found) > 5


def test_nothing_compared_is_nothing_found():
    none, numbers = np.zeros(0), np.zeros(0, np.int64)
    assert shared(SeenSignals(numbers, none, none, none, none, none, none, numbers, none, none, ())) == []


def test_an_angle_on_the_sky_is_that_of_the_sphere():
    assert angle(359.999, 60.0, 0.001, 60.0) == pytest.approx(0.002 * math.cos(math.radians(60)) * 3600, rel=1e-6)
    assert angle(10.0, 89.9, 190.0, 89.9) == pytest.approx(720.0, rel=1e-6)
    assert np.isnan(angle(np.nan, 0.0, 0.0, 0.0))
