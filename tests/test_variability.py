"""What a star does of itself, on simulated stars of known class."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.timeseries import LombScargle
from transit_sky import cadences, cleaned, signal, trapezoid

from pipeline import variability_weights
from pipeline.clean import clean
from pipeline.fold import fold
from pipeline.simulate import (
    FIRST_KEY,
    Mode,
    SectorSettings,
    SimulatedStar,
    Spot,
    draw_variable,
    main_sequence,
    observe,
)
from pipeline.simulate.variability import pulsation_light, spot_light
from pipeline.types import CleanedLightCurve, LightCurve, Star, Verdict
from pipeline.variability import (
    CLASSES,
    FASTEST,
    LEARNT,
    LONGEST_PIECE,
    MOST_PIECES,
    VERSION,
    Series,
    Variability,
    classify,
    count_flares,
    inputs,
    measure,
    split,
)
from pipeline.vet import vet
from pipeline.vetting.variability import in_step

NOISE = 4e-4


def seen(light, days=27.0, minutes=30.0, noise=NOISE, seed=0):
    """A star of known light, observed and cleaned."""
    time = cadences(days, minutes)
    flux = 1 + light(time) + noise * np.random.default_rng(seed).normal(size=time.size)
    return cleaned(time, flux, noise, minutes=minutes)


def wave(period, amplitude):
    return lambda time: amplitude * np.sin(2 * np.pi * time / period)


def drawn(name, number, cadence=1800.0):
    star = draw_variable(name, str(FIRST_KEY + number), seed=77)
    return star, clean([observe(star, SectorSettings(cadence_seconds=cadence), seed=77).observation()])


def test_the_spectrum_is_that_of_lomb_and_scargle_with_a_floating_mean():
    rng = np.random.default_rng(3)
    time = np.sort(rng.choice(np.arange(2000), 1200, replace=False)) * 10 / 1440
    series = Series(time, 1 + rng.normal(size=time.size), 10 / 1440)
    some = slice(5, None, 173)
    expected = LombScargle(series.time, series.flux).power(series.frequency[some])
    assert series.spectrum(series.flux)[some] == pytest.approx(expected, abs=1e-9)
    assert series.frequency[-1] <= FASTEST


def test_the_autocovariance_is_the_sum_over_pairs():
    rng = np.random.default_rng(4)
    time = np.sort(rng.choice(np.arange(600), 400, replace=False)) * 10 / 1440
    series = Series(time, 1 + rng.normal(size=time.size), 10 / 1440)
    total, pairs = series.autocorrelation()
    grid = np.zeros(series.slot[-1] + 1)
    grid[series.slot] = series.flux - series.flux.mean()
    known = np.zeros(grid.size)
    known[series.slot] = 1
    for lag in (0, 7, 111):
        assert total[lag] == pytest.approx(grid[lag:] @ grid[: grid.size - lag], abs=1e-9)
        assert pairs[lag] == pytest.approx(known[lag:] @ known[: grid.size - lag])


@pytest.mark.parametrize("period", [0.61, 3.7, 11.0])
def test_both_methods_find_the_period_of_a_wave(period):
    found = classify(seen(wave(period, 0.005)))
    assert found.period == pytest.approx(period, rel=0.02)
    assert abs(found.period - period) < 4 * found.period_err
    assert found.autocorrelation_period == pytest.approx(period, rel=0.05)
    assert found.agree
    # 5th to 95th percentile of a sine, twice 0.988 of its semi-amplitude
    assert found.amplitude == pytest.approx(0.00988, rel=0.1)


def test_two_unequal_humps_make_the_methods_differ():
    found = classify(seen(lambda time: wave(2.5, 0.006)(time) + wave(5.0, 0.002)(time)))
    assert found.period == pytest.approx(2.5, rel=0.02)
    assert found.autocorrelation_period == pytest.approx(5.0, rel=0.05)
    assert found.agree is False


def test_noise_has_no_period():
    found = classify(seen(lambda time: 0.0))
    assert found.kind == "quiet"
    assert found.period is None
    assert found.period_err is None
    assert found.agree is None


def test_most_simulated_stars_are_told_right():
    # the shipped weights are right for nine in ten: 3 standard deviations below that are 20 of 28
    right = 0
    for number in range(28):
        star, light_curve = drawn(CLASSES[number % 7], number)
        found = classify(light_curve, star.star if number % 2 else Star())
        right += found.kind == CLASSES[number % 7]
        assert set(found.probabilities) == set(CLASSES)
        assert sum(found.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert LEARNT in found.note
    assert right >= 20


def test_a_transiting_planet_is_no_variable():
    found = classify(seen(lambda time: -0.008 * trapezoid(time, 3.1, 1326.0, 0.13), minutes=10.0))
    assert found.kind == "quiet"
    assert found.probabilities["eb_detached"] < 0.3


def test_nothing_is_said_of_a_few_days():
    found = classify(seen(wave(1.0, 0.01), days=9.0))
    assert found.kind is None
    assert found.note.startswith("few_days: ")
    assert found.probabilities == {}


def test_long_light_curves_are_looked_at_sector_by_sector():
    time = np.concatenate([cadences(), cadences() + 27.4, cadences() + 700])
    pieces = split(LightCurve(time, np.ones(time.size), np.full(time.size, 1e-3)), np.full(time.size, 10 / 1440))
    assert [time[piece].size for piece in pieces] == [pytest.approx(time.size / 3, rel=0.05)] * 3
    assert all(np.ptp(time[piece]) <= LONGEST_PIECE for piece in pieces)
    time = 1325 + np.arange(0, 2000, 0.1)
    pieces = split(LightCurve(time, np.ones(time.size), np.full(time.size, 1e-3)), np.full(time.size, 0.1))
    assert len(pieces) == MOST_PIECES


def test_flares_are_counted_where_cleaning_cut_them():
    def light(time):
        since = time[:, None] - np.arange(1326.3, 1351, 2.5)
        return (0.05 * np.where(since >= 0, np.exp(-np.maximum(since, 0) / 0.01), 0.0)).sum(axis=1)

    quiet = SimulatedStar(str(FIRST_KEY), "quiet", main_sequence(0.5, 10.0))
    observed = observe(quiet, seed=5).observation()
    level = np.nanmedian(observed.flux)
    alone = clean([observed])
    flaring = clean([replace(observed, flux=observed.flux + level * light(np.nan_to_num(observed.time)))])
    assert classify(alone).flares == 0
    assert classify(flaring).flares == 9  # one of ten falls into the pause
    assert classify(flaring).flares_per_day == pytest.approx(9 / 26, rel=0.1)
    assert classify(replace(flaring, flares=None)).flares is None
    single = LightCurve(np.array([1.0, 2.0]), np.array([1.1, 1.2]), np.full(2, 0.01))
    assert count_flares(single, 120 / 86400) == 0


def test_the_weights_are_those_of_these_numbers():
    numbers = measure(Series(cadences(), 1 + wave(1.0, 0.01)(cadences()), 10 / 1440))
    assert variability_weights.FEATURES == VERSION
    assert inputs(numbers, None).shape == variability_weights.CENTRE.shape == variability_weights.SCALE.shape
    assert inputs(numbers, 7500.0)[-2:] == pytest.approx([1.0, 1.0])
    assert inputs(numbers, float("nan"))[-2:] == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize("flux", [np.ones(3000), 1 + 1e-12 * np.arange(3000), np.tile([1.0, 0.2], 1500)])
def test_a_strange_light_curve_gives_finite_numbers(flux):
    time = 1325 + np.arange(3000) / 144
    blank = np.full(3000, np.nan)
    curve = LightCurve(time, flux, np.full(3000, 1e-3))
    strange = CleanedLightCurve(curve, curve, np.zeros(3000, int), np.full(3000, 1 / 144), blank, blank, (), {})
    found = classify(strange)
    assert all(np.isfinite(value) for value in found.probabilities.values())


def examined(light, what):
    light_curve = seen(light, minutes=10.0)
    findings = vet(light_curve, fold(light_curve, what), what, Star())
    return next(finding for finding in findings if finding.test == "variability")


def test_a_contact_binary_at_half_its_period_fails():
    def light(time):
        return -0.1 * np.abs(np.cos(2 * np.pi * (time - 1325.2) / 0.4)) ** 2.2

    found = examined(light, signal(0.2, 1325.2, 0.05, 0.05))
    assert found.status is Verdict.FAIL
    assert found.value > 0.8
    assert "1 times round" in found.note
    assert LEARNT in found.note


def test_a_planet_passes():
    found = examined(lambda time: -0.004 * trapezoid(time, 2.37, 1326.1, 0.12), signal(2.37, 1326.1, 0.12, 0.004))
    assert found.status is Verdict.PASS
    assert found.value < 0.5


def test_only_a_wave_in_step_and_as_large_as_the_dip_counts():
    found = Variability("eb_contact", period=0.5, period_err=1e-4, amplitude=0.01)
    assert in_step(found, signal(1.5, 1326.0, 0.1, 0.005), 27.0) == 3
    assert in_step(found, signal(1.53, 1326.0, 0.1, 0.005), 27.0) is None
    assert in_step(found, signal(0.31, 1326.0, 0.1, 0.005), 27.0) is None
    assert in_step(found, signal(1.5, 1326.0, 0.1, 0.05), 27.0) is None
    assert in_step(found, signal(10.0, 1326.0, 0.1, 0.005), 27.0) is None
    assert in_step(replace(found, period=None), signal(1.5, 1326.0, 0.1, 0.005), 27.0) is None


@pytest.mark.parametrize("name", CLASSES)
def test_a_drawn_star_is_the_same_every_time_and_another_with_another_key(name):
    once, again = (draw_variable(name, "99000000007", 1) for _ in range(2))
    other = draw_variable(name, "99000000008", 1)
    assert once == again
    assert once != other
    assert 8 <= once.star.tmag <= 14


def test_an_unknown_class_is_refused():
    with pytest.raises(ValueError, match="no class 'nova'"):
        draw_variable("nova", "1", 1)


def test_a_long_exposure_smears_a_fast_mode():
    modes = (Mode(0.05, 0.01, 0.4),)
    moments = 1325 + np.linspace(-0.5, 0.5, 2001) * 0.02
    mean = pulsation_light(modes, moments).mean()
    assert pulsation_light(modes, np.array([1325.0]), 0.02)[0] == pytest.approx(mean, rel=1e-3)


def test_a_spot_darkens_when_it_faces_us_and_fades():
    spot = Spot(period=2.0, longitude=0.0, depth=0.01, middle=0.0, life=10.0, tilt=0.0)
    light = spot_light((spot,), np.array([0.0, 1.0, 20.0]))
    assert light == pytest.approx([-0.01, 0.0, -0.01 * np.exp(-2)])
