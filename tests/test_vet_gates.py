"""The false-alarm tests: planets pass, each kind of accident fails the test that is there for it."""

import dataclasses
import math

import numpy as np
import pytest
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline import vetting
from pipeline.fold import fold
from pipeline.types import LightCurve, Star, Verdict
from pipeline.vetting.case import Case, VetSettings
from pipeline.vetting.judging import judged
from pipeline.vetting.series import Series, every_phase

PERIOD, EPOCH, DURATION, DEPTH, NOISE = 2.37, 1326.1, 0.12, 0.002, 6e-4
PLANET = signal(PERIOD, EPOCH, DURATION, DEPTH)
GATES = (
    "strength",
    "dimming",
    "uniqueness",
    "single_event",
    "consistency",
    "chases",
    "sine_wave",
    "asymmetry",
    "gaps",
    "model_fit",
    "false_alarm",
)


def sky(change=0.0, seed=0, red=2e-4, time=None, minutes=10.0):
    """A flat light curve with noise; ``change`` is added to its flux, or a function of time that gives it."""
    time = cadences(minutes=minutes) if time is None else time
    rng = np.random.default_rng(seed)
    change = change(time) if callable(change) else change
    flux = 1 + change + NOISE * rng.normal(size=time.size) + red_noise(time, red, 6.0, rng)
    return cleaned(time, flux, NOISE, minutes=minutes)


def planet(time):
    return -DEPTH * trapezoid(time, PERIOD, EPOCH, DURATION)


def case_of(light_curve, what=PLANET, settings=VetSettings()):
    return Case(light_curve, fold(light_curve, what), what, Star(), settings)


def examine(change, what=PLANET, **more):
    case = case_of(sky(change, **more), what)
    return {name: getattr(vetting, name)(case) for name in GATES}


def failed(found):
    return {name for name, finding in found.items() if finding.status is Verdict.FAIL}


@pytest.mark.parametrize(("scale", "seed"), [(0.6, 1), (1.0, 2), (3.0, 3)])
def test_a_planet_fails_none(scale, seed):
    found = examine(lambda time: scale * planet(time), seed=seed)
    assert failed(found) == set(), found
    ran = {name for name, finding in found.items() if finding.status is Verdict.PASS}
    assert ran == set(GATES) - {"false_alarm"}


def direct(curve, period, epoch, duration, centre):
    """MES at a trial centre and the SES of every cycle, cadence by cadence as the formulas read."""
    away = np.abs((curve.time - epoch + 0.5 * period) % period - 0.5 * period)
    out = away > duration
    level, white = curve.flux[out].mean(), curve.flux[out].std()
    means, expected = [], []
    for t in curve.time[out]:
        box = out & (np.abs(curve.time - t) < 0.5 * duration)
        if box.sum() * 10 / 1440 >= 0.5 * duration:
            means.append(curve.flux[box].mean())
            expected.append(white**2 / box.sum())
    red = math.sqrt(max(np.var(means) - np.mean(expected), 0.0))
    since = (curve.time - centre + 0.5 * period) % period - 0.5 * period
    cycle = np.round((curve.time - since - centre) / period)
    inside = np.abs(since) < 0.5 * duration
    ses, kept = [], np.zeros(curve.time.size, dtype=bool)
    for n in np.unique(cycle[inside]):
        box = inside & (cycle == n)
        if box.sum() * 10 / 1440 >= 0.5 * duration:
            kept |= box
            ses.append((level - curve.flux[box].mean()) / math.sqrt(white**2 / box.sum() + red**2))
    mes = (level - curve.flux[kept].mean()) / math.sqrt(white**2 / kept.sum() + red**2 / len(ses))
    return mes, ses


@pytest.mark.parametrize("red", [0.0, 4e-4])
def test_mes_and_ses_follow_the_published_formulas(red):
    light_curve = sky(planet, seed=5, red=red, time=cadences(days=13.0))
    series = every_phase(light_curve.flat, light_curve.exposure, PLANET)
    assert isinstance(series, Series)
    mes, ses = direct(light_curve.flat, PERIOD, EPOCH, DURATION, EPOCH)
    assert series.fold()[1][series.middle] == pytest.approx(mes, rel=0.02)
    assert series.ses[series.seen, series.middle] == pytest.approx(ses, rel=0.05, abs=0.02)
    for at in (series.middle + 3, 5):
        mes, _ = direct(light_curve.flat, PERIOD, EPOCH, DURATION, EPOCH + series.phase[at] * PERIOD)
        assert series.fold()[1][at] == pytest.approx(mes, rel=0.02, abs=0.1)  # a cadence at the rim


def test_events_away_from_the_transit_are_unit_normals_in_red_noise():
    ses, mes = [], []
    for seed in range(8):
        light_curve = sky(planet, seed=seed, red=4e-4)
        series = every_phase(light_curve.flat, light_curve.exposure, PLANET)
        away = series.distance > 1.5
        ses.extend(series.ses[:, away][series.points[:, away] > 0])
        mes.extend(series.fold()[1][away])
    assert np.std(ses) == pytest.approx(1.0, abs=0.06)
    assert np.std(mes) == pytest.approx(1.0, abs=0.25)  # some 100 independent phases


def test_cadences_of_two_lengths_count_by_their_errors():
    time = cadences()
    rng = np.random.default_rng(3)
    sigma = np.where(time < 1338.5, 1.0, 3.0) * NOISE
    curve = LightCurve(time, 1 + planet(time) + sigma * rng.normal(size=time.size), sigma)
    exposure = np.full(time.size, 10 / 1440)
    equal = LightCurve(time, curve.flux, np.full(time.size, NOISE))
    weighted, plain = (every_phase(c, exposure, PLANET) for c in (curve, equal))
    # depth over sqrt(1 / sum of 1 / sigma**2) against that over the root mean square, half a sector each
    gain = math.sqrt((1 + 1 / 9) / 2 * (1 + 9) / 2)
    assert weighted.fold()[1][weighted.middle] / plain.fold()[1][plain.middle] == pytest.approx(gain, rel=0.2)


def test_one_strong_event_alone_is_no_signal():
    found = examine(lambda time: 4 * planet(time) * (np.abs(time - EPOCH - 2 * PERIOD) < 0.5))
    assert {"single_event", "consistency"} <= failed(found)
    assert f"BTJD {EPOCH + 2 * PERIOD:.3f}" in found["single_event"].note


def test_a_few_strong_dips_among_many_weak_ones_are_not_consistent():
    sizes = np.array([3.0, 0.1, 0.0, 3.0, 0.1, 0.1, 3.0, 0.0, 0.1, 3.0, 0.1, 0.0])
    found = examine(lambda time: planet(time) * sizes[np.floor((time - EPOCH) / PERIOD + 0.5).astype(int)])
    assert "consistency" in failed(found)


@pytest.mark.parametrize(("scale", "verdict", "said"), [
    (3.0, Verdict.PASS, "2 transits"),
    (0.4, Verdict.NOT_RUN, "few_transits: the weaker of two"),
])  # fmt: skip
def test_two_transits_are_held_against_each_other_where_both_are_strong(scale, verdict, said):
    what = signal(14.2, EPOCH, DURATION, scale * DEPTH)
    light_curve = sky(lambda time: -what.depth * trapezoid(time, 14.2, EPOCH, DURATION))
    finding = vetting.consistency(case_of(light_curve, what))
    assert finding.status is verdict
    assert finding.note.startswith(said)


@pytest.mark.parametrize("multiple", [0.5, 1, 2])
def test_a_sine_wave_fails_at_its_period_half_and_twice_it(multiple):
    what = signal(1.4, EPOCH, DURATION, DEPTH)
    found = examine(lambda time: -DEPTH * np.cos(2 * np.pi * (time - EPOCH) / (multiple * 1.4)), what)
    assert "sine_wave" in failed(found)
    assert f"at {multiple:g} periods" in found["sine_wave"].note


def test_a_wave_that_only_the_undetrended_twin_shows_fails_too():
    flat = sky(planet)
    wave = 5 * DEPTH * np.sin(2 * np.pi * (flat.raw.time - EPOCH) / PERIOD)
    raw = LightCurve(flat.raw.time, flat.raw.flux + wave, flat.raw.flux_err)
    views = fold(flat, PLANET)
    finding = vetting.sine_wave(Case(dataclasses.replace(flat, raw=raw), views, PLANET, Star(), VetSettings()))
    assert finding.status is Verdict.FAIL
    assert "undetrended" in finding.note
    assert vetting.sine_wave(Case(flat, views, PLANET, Star(), VetSettings())).status is Verdict.PASS


def test_a_planet_of_a_spotted_star_that_turns_at_its_own_pace_is_no_sine_wave():
    """AU Mic: 8.46 d around, spots of 4.86 d, ten times as high as the transit is deep."""
    what = signal(8.463, 1330.4, 0.14, 0.0026)
    time = cadences()
    dip = 0.0026 * trapezoid(time, 8.463, 1330.4, 0.14)
    flat = sky(-dip, time=time)
    wave = 0.02 * np.sin(2 * np.pi * time / 4.863) + 0.008 * np.cos(4 * np.pi * time / 4.863)
    star = dataclasses.replace(flat, raw=LightCurve(time, flat.raw.flux + wave, flat.raw.flux_err))
    finding = vetting.sine_wave(Case(star, fold(flat, what), what, Star(), VetSettings()))
    assert finding.status is Verdict.PASS


def test_what_brightens_as_much_as_it_dims_fails():
    found = examine(lambda time: planet(time) + 2 * DEPTH * trapezoid(time, PERIOD, EPOCH + 0.9, DURATION))
    assert {"dimming", "uniqueness"} <= failed(found)
    assert found["dimming"].value == pytest.approx(0.66, abs=0.06)


def test_three_dips_a_period_are_not_unique():
    found = examine(
        lambda time: (
            planet(time)
            - 0.95
            * DEPTH
            * (trapezoid(time, PERIOD, EPOCH + 0.7, DURATION) + trapezoid(time, PERIOD, EPOCH + 1.6, DURATION))
        )
    )
    assert "uniqueness" in failed(found)


def test_a_binary_s_second_eclipse_is_left_to_the_test_of_secondaries():
    found = examine(lambda time: 2 * planet(time) - DEPTH * trapezoid(time, PERIOD, EPOCH + 0.5 * PERIOD, DURATION))
    assert "uniqueness" not in failed(found)


def test_a_deeper_planet_of_the_same_star_is_no_rival():
    found = examine(lambda time: planet(time) - 6 * DEPTH * trapezoid(time, 8.3, 1327.9, 0.2))
    assert failed(found) <= {"chases"}


def test_few_transits_among_events_as_strong_do_not_stand_out():
    what = signal(6.3, 1327.4, 0.13, DEPTH)

    def wiggly(time):
        beside = sum(trapezoid(time, 6.3, 1327.4 + at, 0.13, 0.9) for at in (-0.2, 0.25))
        return -DEPTH * (trapezoid(time, 6.3, 1327.4, 0.13) + beside)

    assert "chases" in failed(examine(wiggly, what))
    alone = examine(lambda time: -DEPTH * trapezoid(time, 6.3, 1327.4, 0.13), what)
    assert failed(alone) == set()
    assert alone["chases"].value > 0.9


def test_a_sawtooth_is_not_symmetric():
    def saw(time):
        return -3 * DEPTH * np.exp(-((time - EPOCH + 0.5 * DURATION) % PERIOD) / DURATION)

    assert {"asymmetry", "model_fit"} <= failed(examine(saw))


def test_a_centre_an_eighth_of_a_duration_off_is_no_asymmetry():
    found = examine(lambda time: 5 * planet(time), signal(PERIOD, EPOCH + DURATION / 8, DURATION, 5 * DEPTH))
    assert "asymmetry" not in failed(found)


def test_dips_where_data_begin_fail_the_gaps():
    what = signal(14.05, 1325.07, 0.14, 2 * DEPTH)

    def ramps(time):
        return sum(-4 * DEPTH * np.where(time >= t, np.exp(-np.maximum(time - t, 0) / 0.1), 0) for t in (1325, 1339.05))

    found = examine(ramps, what)
    assert "gaps" in failed(found)
    assert found["gaps"].value == 1


def test_dips_after_every_dump_fail_the_gaps():
    time = cadences()
    since = (time - 1326.0) % 2.5
    time = time[(since < 2.48) & (since > 0.005)]
    what = signal(2.5, 1326.05, 0.1, DEPTH)
    found = examine(-2 * DEPTH * np.exp(-((time - 1326.0) % 2.5) / 0.05), what, time=time)
    assert "gaps" in failed(found)
    assert "short gap" in found["gaps"].note


def test_in_a_light_curve_full_of_holes_a_planet_lies_beside_them_by_chance():
    time = cadences(minutes=10.0)
    time = time[(time * 4) % 1 > 0.15]
    found = examine(planet(time), time=time)
    assert found["gaps"].status is Verdict.PASS
    assert failed(found) == set()


def test_transits_whose_surroundings_were_not_observed_are_not_sound():
    time = cadences()
    away = (time - EPOCH + 0.5 * PERIOD) % PERIOD - 0.5 * PERIOD
    time = time[(away < 0.08) | (away > 1.0)]
    found = examine(planet(time), time=time)
    assert "strength" in failed(found)


def test_noise_alone_is_weak():
    found = examine(0.0)
    assert {"strength", "model_fit", "uniqueness"} <= failed(found)


def test_the_false_alarm_rate_of_the_search_is_read_not_guessed():
    case = case_of(sky(planet), dataclasses.replace(PLANET, false_alarm_probability=0.2, false_alarm_nulls=7))
    finding = vetting.false_alarm(case)
    assert (finding.status, finding.value) == (Verdict.FAIL, 0.2)
    assert "7 null series" in finding.note
    assert vetting.false_alarm(case_of(sky(planet))).status is Verdict.NOT_RUN


def test_one_transit_leaves_what_compares_transits_not_run():
    what = signal(60.0, EPOCH + 5, 0.2, DEPTH)
    found = examine(lambda time: -DEPTH * trapezoid(time, 60.0, EPOCH + 5, 0.2), what)
    for name in ("strength", "single_event", "consistency", "gaps"):
        assert found[name].status is Verdict.NOT_RUN
        assert found[name].note.startswith("few_transits: ")


def test_too_few_cadences_in_transit_leave_all_not_run():
    what = signal(PERIOD, EPOCH, 0.004, DEPTH)
    found = examine(planet, what)
    for name in ("strength", "dimming", "uniqueness", "chases", "asymmetry", "gaps", "model_fit"):
        assert found[name].status is Verdict.NOT_RUN
        assert found[name].note.startswith("few_points: ")


def test_a_number_that_is_none_never_passes():
    assert judged("x", False, math.nan, None, 1.0, "").status is Verdict.ERROR
    assert judged("x", False, 1.0, math.inf, 1.0, "").status is Verdict.ERROR
