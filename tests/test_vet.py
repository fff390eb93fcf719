import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline import vetting
from pipeline.fold import fold
from pipeline.types import Finding, Star, Verdict
from pipeline.vet import VetSettings, vet

PERIOD, EPOCH, DURATION, DEPTH, NOISE = 2.37, 1326.1, 0.12, 0.004, 4e-4
SUN = Star(teff=5772.0, logg=4.438, radius=1.0)
NAMES = (
    "odd_even",
    "odd_even_epoch",
    "secondary",
    "alias",
    "v_shape",
    "depth_steadiness",
    "duration_density",
    "size",
    "centroid",
    "timing",
    "variability",
)


def flux_of(dip, seed=0, red=1e-4):
    time = cadences()
    rng = np.random.default_rng(seed)
    return time, 1 - dip(time) + NOISE * rng.normal(size=time.size) + red_noise(time, red, 6.0, rng)


def examine(dip, star=SUN, what=None, seed=0, centroid=None, vetting_settings=VetSettings()):
    time, flux = flux_of(dip, seed)
    light_curve = cleaned(time, flux, NOISE, None if centroid is None else centroid(time))
    what = what or signal(PERIOD, EPOCH, DURATION, DEPTH)
    findings = vet(light_curve, fold(light_curve, what), what, star, vetting_settings)
    return {finding.test: finding for finding in findings}


def planet(time):
    return DEPTH * trapezoid(time, PERIOD, EPOCH, DURATION)


def quiet_centroid(time, seed=9):
    rng = np.random.default_rng(seed)
    return (
        1500.2 + 1e-3 * rng.normal(size=time.size) + red_noise(time, 2e-3, 24.0, rng),
        80.7 + 1e-3 * rng.normal(size=time.size) + red_noise(time, 2e-3, 24.0, rng),
    )


def test_a_planet_passes_everything():
    found = examine(planet, centroid=quiet_centroid)
    assert {name: found[name].status for name in NAMES} == dict.fromkeys(NAMES, Verdict.PASS)
    assert Verdict.FAIL not in {finding.status for finding in found.values()}
    # 109.08 * sqrt(0.004 / 1.18): the middle of the Sun is brighter than its mean
    assert found["size"].value == pytest.approx(6.35, abs=0.5)
    assert found["v_shape"].value == pytest.approx(0.75, abs=0.12)


def test_fails_a_binary_seen_at_half_its_period():
    found = examine(lambda time: planet(time) * np.where(trapezoid(time, 2 * PERIOD, EPOCH, 0.5) > 0, 1.0, 0.6))
    assert found["odd_even"].status is Verdict.FAIL
    assert found["odd_even"].value == pytest.approx(-0.5, abs=0.1)  # (0.6 - 1) / 0.8
    assert found["odd_even"].sigma > 6


@pytest.mark.parametrize("at", [0.5, 0.3])
def test_fails_a_second_eclipse_at_any_phase(at):
    found = examine(lambda time: planet(time) + 0.4 * DEPTH * trapezoid(time, PERIOD, EPOCH + at * PERIOD, DURATION))
    assert found["secondary"].status is Verdict.FAIL
    assert found["secondary"].value == pytest.approx(0.4, abs=0.1)


def test_a_hot_planet_may_be_occulted():
    """WASP-18 b: 1 % transit, 4 % of that in occultation, 0.94 d."""
    hot = signal(0.94, EPOCH, 0.088, 0.0105)

    def dip(time):
        return 0.0105 * trapezoid(time, 0.94, EPOCH, 0.088) + 4e-4 * trapezoid(time, 0.94, EPOCH + 0.47, 0.088)

    found = examine(dip, star=Star(radius=1.23, logg=4.37), what=hot)
    assert found["secondary"].sigma > 4
    assert found["secondary"].status is Verdict.PASS
    assert "occultation" in found["secondary"].note


def test_the_same_dip_on_a_wide_orbit_is_no_occultation():
    """At 9 d a planet catches a hundredth of the light: 9 % of the transit would need an albedo beyond 1."""
    wide = signal(5.0, EPOCH, DURATION, 0.02)

    def dip(time):
        return 0.02 * trapezoid(time, 5.0, EPOCH, DURATION) + 0.0016 * trapezoid(time, 5.0, EPOCH + 2.5, DURATION)

    found = examine(dip, what=wide)
    assert found["secondary"].status is Verdict.FAIL
    assert "albedo" in found["secondary"].note


def test_fails_a_grazing_v():
    found = examine(lambda time: 3 * DEPTH * trapezoid(time, PERIOD, EPOCH, DURATION, flat=0.0))
    assert found["v_shape"].status is Verdict.FAIL
    assert found["v_shape"].value < 0.15


def test_a_box_smeared_by_long_exposures_is_not_taken_for_a_v():
    time = cadences(minutes=2.0)
    dip = 0.01 * trapezoid(time, PERIOD, EPOCH, 0.07, flat=0.75)
    bins = time.size // 15 * 15
    time, flux = (x[:bins].reshape(-1, 15).mean(axis=1) for x in (time, 1 - dip))
    flux = flux + 2e-4 * np.random.default_rng(0).normal(size=flux.size)
    what = signal(PERIOD, EPOCH, 0.07, 0.01)
    light_curve = cleaned(time, flux, 2e-4, minutes=30.0)
    found = {f.test: f for f in vet(light_curve, fold(light_curve, what), what, SUN)}
    assert found["v_shape"].status is Verdict.PASS
    assert found["v_shape"].value > 0.5


def test_fails_depths_that_wander():
    sizes = np.array([2.2, 0.1, 1.4, 0.3, 1.9, 0.2, 2.1, 0.4, 1.6, 0.2, 1.0, 1.0])
    found = examine(lambda time: planet(time) * sizes[np.floor((time - EPOCH) / PERIOD + 0.5).astype(int)])
    assert found["depth_steadiness"].status is Verdict.FAIL
    assert found["depth_steadiness"].value > 0.5


def test_fails_a_transit_too_long_for_the_star():
    dwarf = Star(radius=0.3, mass=0.3)  # 11 solar densities: a central transit lasts 1.2 h, not 2.9
    assert examine(planet, star=dwarf)["duration_density"].status is Verdict.FAIL
    assert examine(planet, star=SUN)["duration_density"].status is Verdict.PASS


def test_fails_a_body_larger_than_planets():
    found = examine(planet, star=Star(radius=5.0))
    assert found["size"].status is Verdict.FAIL
    assert found["size"].value == pytest.approx(5 * 6.35, rel=0.1)


def test_fails_a_depth_no_planet_reaches_even_where_the_star_is_unknown():
    deep = signal(PERIOD, EPOCH, DURATION, 0.4)
    found = examine(lambda time: 0.4 * trapezoid(time, PERIOD, EPOCH, DURATION), star=Star(), what=deep)
    assert found["size"].status is Verdict.FAIL


def test_an_unknown_star_leaves_its_tests_not_run():
    found = examine(planet, star=Star())
    for name in ("size", "duration_density", "centroid"):
        assert found[name].status is Verdict.NOT_RUN
        assert found[name].value is None
        assert found[name].note.split(":")[0] in {"no_stellar", "no_pixels"}


def test_fails_a_source_two_pixels_away():
    def moved(time):
        column, row = quiet_centroid(time)
        dip = planet(time)
        return column - 2.0 * dip / (1 - dip), row + 1.0 * dip / (1 - dip)

    found = examine(planet, centroid=moved)
    assert found["centroid"].status is Verdict.FAIL
    # sqrt(5) pixels of 21 arcsec
    assert found["centroid"].value == pytest.approx(47.0, rel=0.1)
    assert "another star" in found["centroid"].note


def test_a_centroid_that_does_not_move_is_not_called_on_target():
    found = examine(planet, centroid=quiet_centroid)
    assert found["centroid"].status is Verdict.PASS
    assert found["centroid"].sigma < 4
    assert "unknown without pixels" in found["centroid"].note
    assert "would not have shown" in found["centroid"].note


def test_a_drift_of_the_pointing_is_no_shift():
    """Two arcsec of slow drift a day, a hundred times the cadence noise of the centroid."""

    def drifting(time):
        rng = np.random.default_rng(4)
        return 0.1 * np.sin(time / 2) + red_noise(time, 0.02, 12.0, rng), red_noise(time, 0.02, 12.0, rng)

    found = examine(planet, centroid=drifting)
    assert found["centroid"].status is Verdict.PASS
    assert found["centroid"].sigma < 4


def test_two_transits_leave_odd_even_not_run():
    long_period = signal(14.0, EPOCH, 0.2, DEPTH)
    found = examine(lambda time: DEPTH * trapezoid(time, 14.0, EPOCH, 0.2), what=long_period)
    assert found["odd_even"].status is Verdict.NOT_RUN
    assert found["odd_even"].note.startswith("few_transits")
    assert found["depth_steadiness"].status is Verdict.PASS


def test_one_transit_leaves_the_comparisons_not_run():
    single = signal(60.0, EPOCH + 5, 0.2, DEPTH)
    found = examine(lambda time: DEPTH * trapezoid(time, 60.0, EPOCH + 5, 0.2), what=single)
    for name in ("odd_even", "secondary", "depth_steadiness", "centroid"):
        assert found[name].status is Verdict.NOT_RUN


def test_a_test_that_breaks_is_an_error_and_stops_no_other(monkeypatch):
    def broken(case) -> Finding:
        raise ZeroDivisionError("nothing to divide")

    monkeypatch.setattr("pipeline.vet.TESTS", (broken, vetting.size))
    time, flux = flux_of(planet)
    light_curve, what = cleaned(time, flux, NOISE), signal(PERIOD, EPOCH, DURATION, DEPTH)
    first, second = vet(light_curve, fold(light_curve, what), what, SUN)
    assert (first.test, first.status) == ("broken", Verdict.ERROR)
    assert "ZeroDivisionError: nothing to divide" in first.note
    assert second.status is Verdict.PASS


def test_limits_come_from_the_settings():
    strict = dataclasses.replace(VetSettings(), largest_planet=5.0)
    assert examine(planet, vetting_settings=strict)["size"].status is Verdict.FAIL


@settings(max_examples=40, deadline=None)
@given(
    period=st.floats(0.2, 40.0),
    share=st.floats(0.005, 0.95),
    epoch=st.floats(1300.0, 1400.0),
    points=st.integers(40, 1500),
    depth=st.floats(-0.01, 0.9),
    level=st.sampled_from([0.0, 1e-6, 1e-3, 0.3]),
    seed=st.integers(0, 1000),
)
def test_nothing_breaks_a_test_or_slips_through_as_nan(period, share, epoch, points, depth, level, seed):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.choice(np.arange(20000), points, replace=False)) * 2 / 1440 + 1325.0
    flux = 1 + level * rng.normal(size=points) - depth * trapezoid(time, period, epoch, share * period)
    what = signal(period, epoch, share * period, depth)
    light_curve = cleaned(time, flux, 1e-3, (rng.normal(size=points), np.zeros(points)), minutes=2.0)
    for finding in vet(light_curve, fold(light_curve, what), what, SUN):
        assert finding.status is not Verdict.ERROR, finding
        for number in (finding.value, finding.sigma):
            assert number is None or np.isfinite(number), finding
        if finding.status is Verdict.NOT_RUN:
            assert finding.value is None
            assert ":" in finding.note
