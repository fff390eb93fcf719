"""Shape, size, duration, times and sectors of one signal; the large calibrations are in benchmarks/vet.py shapes."""

import dataclasses

import numpy as np
import pytest
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline import vetting
from pipeline.clean import clean
from pipeline.fold import fold
from pipeline.simulate.eclipses import Orbit, Planet, planet_light
from pipeline.types import Observation, Product, Star, Verdict
from pipeline.vet import VetSettings
from pipeline.vetting import noise, transit_shape
from pipeline.vetting import trapezoid as trapezoids
from pipeline.vetting.case import Case
from pipeline.vetting.timing import transit_times

PERIOD, EPOCH = 2.37, 1326.1
LAW = (0.3, 0.27)  # of the Sun in the TESS band
SUN = Star(teff=5772.0, logg=4.438, radius=1.0)


def orbit(impact, axis=7.5):
    return Orbit(PERIOD, EPOCH, axis, impact)


def case_of(dip, sigma=4e-4, minutes=10.0, seed=0, red=1e-4, length=0.85, star=SUN, ratio=0.1, impact=0.3):
    """A series with a dip under noise; the box of a search is shorter than the transit."""
    time = cadences(minutes=minutes)
    rng = np.random.default_rng(seed)
    flux = 1 - dip(time) + sigma * rng.normal(size=time.size) + red_noise(time, red, 6.0, rng)
    light_curve = cleaned(time, flux, sigma, minutes=minutes)
    what = signal(PERIOD, EPOCH, length * orbit(impact).duration(ratio), 0.01)
    return Case(light_curve, fold(light_curve, what), what, star, VetSettings())


def body(ratio, impact, **more):
    """A dark disc in front of the Sun."""

    def dip(time):
        return 1 - planet_light(Planet(orbit(impact), ratio), time, LAW, more.get("minutes", 10.0) / 1440)

    return case_of(dip, ratio=ratio, impact=impact, **more)


def test_the_shape_of_a_planet_is_found_within_its_errors():
    case = body(0.1, 0.3, sigma=1e-4, red=0.0)
    shape = case.transit
    assert abs(shape.duration - orbit(0.3).duration(0.1)) < 3 * shape.duration_err
    assert abs(shape.impact - 0.3) < 3 * shape.impact_err
    assert shape.grazing < 1e-3
    # from second to third contact: sqrt((1 - k)^2 - b^2) / sqrt((1 + k)^2 - b^2)
    assert abs(shape.flat - (0.72 / 1.12) ** 0.5) < 3 * shape.flat_err + 0.03
    assert case.radius_ratio == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("minutes", [2.0, 30.0])
def test_a_grazing_star_is_a_v_and_a_planet_is_none(minutes):
    star = vetting.v_shape(body(0.5, 1.1, minutes=minutes, length=0.65))
    assert star.status is Verdict.FAIL
    assert star.value < 0.1
    assert "graze" in star.note
    planet = vetting.v_shape(body(0.1, 0.5, minutes=minutes))
    assert planet.status is Verdict.PASS
    assert planet.value > 0.5


def test_a_shape_too_noisy_to_tell_is_not_run():
    found = vetting.v_shape(body(0.03, 0.3, sigma=1.5e-3))
    assert found.status is Verdict.NOT_RUN
    assert found.note.startswith("not_converged")


def test_a_dip_deeper_than_a_disc_can_make_excludes_small_discs():
    case = body(0.35, 0.2)
    ratios, probability = case.radius_ratios
    assert ratios.min() > 0.3
    assert probability.sum() == pytest.approx(1.0)


def test_every_cell_of_a_shape_weighs_what_the_disc_hides():
    """The profile at a cell's middle against the model at that moment, smeared by nearly nothing."""
    profiles, covered = transit_shape._profiles(0.3, 0.26)
    j, i = 5, 3
    ratio, impact = transit_shape.RATIOS[j], transit_shape.IMPACTS[i] * (1 + transit_shape.RATIOS[j])
    moments = (np.arange(transit_shape.CELLS) + 0.5) / transit_shape.CELLS / 2
    separation = np.hypot(impact, 2 * moments * np.sqrt((1 + ratio) ** 2 - impact**2))
    hidden = 1 - transit_shape.disc(separation, ratio, (0.3, 0.26))
    row = i * transit_shape.RATIOS.size + j
    assert profiles[row] * covered[row] == pytest.approx(hidden, abs=1e-12)
    shares = transit_shape._shares(np.array([0.0, 0.2, 0.7]), np.array([1.0]), 0.1)
    assert shares.sum(axis=0) == pytest.approx([1.0, 1.0, 0.0])


def test_the_size_of_a_body_has_an_error_and_fails_only_where_it_is_sure():
    planet, giant = body(0.1, 0.3), body(0.1, 0.3, star=dataclasses.replace(SUN, radius=2.05))
    found = vetting.size(planet)
    assert found.value == pytest.approx(10.9, rel=0.06)
    assert found.status is Verdict.PASS
    assert found.sigma < -5  # ln(22 / 10.9) / 0.1
    almost = vetting.size(giant)  # 22.4 +- 2.2 Earth radii
    assert almost.status is Verdict.PASS
    assert abs(almost.sigma) < 1
    assert vetting.size(body(0.1, 0.3, star=dataclasses.replace(SUN, radius=3.0))).status is Verdict.FAIL


def test_a_duration_is_as_long_as_one_in_two_circular_orbits_show():
    from pipeline.vetting.duration_density import _longer_than_any

    # the median chord is sqrt(1 - 1/4) of the diameter
    assert _longer_than_any(0.75**0.5, 1e-4) == pytest.approx(0.0, abs=0.01)
    assert _longer_than_any(1.3, 0.1) > 2.5
    assert _longer_than_any(0.3, 0.1) < -1.5


def late_by(days):
    """The same transits, cycle by cycle late by so much."""

    def dip(time):
        cycle = np.round((time - EPOCH) / PERIOD).astype(int)
        return 1 - planet_light(Planet(orbit(0.3), 0.1), time - days[cycle - cycle.min()], LAW, 10 / 1440)

    return dip


def test_transits_that_keep_time_are_said_to():
    found = vetting.timing(case_of(late_by(np.zeros(20)), sigma=1e-3))
    assert found.status is Verdict.PASS
    assert found.sigma < 3
    assert found.value < 5.0


def test_transits_that_come_early_and_late_are_found_and_timed():
    swing = 0.02 * np.sin(np.arange(20) * 2.2)  # 29 minutes
    case = case_of(late_by(swing), sigma=1e-3)
    found, times = vetting.timing(case), transit_times(case)
    assert found.status is Verdict.FAIL
    late = 1440 * swing[times.cycle - round((cadences()[0] - EPOCH) / PERIOD)]
    assert np.corrcoef(times.time - times.expected, late)[0, 1] > 0.99
    assert found.value == pytest.approx(np.std(late), rel=0.25)  # the fold that gives the template is smeared by them
    assert times.depth == pytest.approx(np.full(times.cycle.size, times.depth.mean()), rel=0.4)


def test_a_transit_displaced_by_most_of_its_duration_is_found_there():
    moved = np.zeros(20)
    moved[4] = 0.1
    times = transit_times(case_of(late_by(moved), sigma=5e-4))
    assert (times.time - times.expected).max() == pytest.approx(0.1, abs=0.01)


def test_times_of_faint_or_few_transits_are_not_run():
    faint = vetting.timing(case_of(late_by(np.zeros(20)), sigma=1.5e-2))
    assert (faint.status, faint.value) == (Verdict.NOT_RUN, None)
    assert faint.note.startswith("out_of_domain")
    two = case_of(lambda time: np.where(np.abs(time - EPOCH) < 3, late_by(np.zeros(20))(time), 0.0))
    wide = dataclasses.replace(two.signal, period=12.0)
    few = vetting.timing(Case(two.cleaned, fold(two.cleaned, wide), wide, SUN, VetSettings()))
    assert few.note.startswith("few_transits")


@pytest.mark.parametrize("red", [0.0, 2e-4])
def test_times_are_as_sure_as_they_say(red):
    """8 planets: unit normals have a mean within 1.2 and a mean square of 0.15 .. 3.3 in 99.9 of 100 draws."""
    late = [vetting.timing(body(0.05, 0.3, sigma=4e-4, red=red, seed=seed)).sigma for seed in range(8)]
    assert abs(np.mean(late)) < 1.2
    assert 0.15 < np.mean(np.square(late)) < 3.3


def sector(number, depth, seed):
    time = cadences(minutes=10.0, start=1325.0 + 27.4 * number)
    rng = np.random.default_rng(seed)
    flux = 1 - depth * trapezoid(time, PERIOD, EPOCH, 0.12) + 4e-4 * rng.normal(size=time.size)
    product = Product(f"s{number}", "", "TESS", "SPOC", "PDCSAP_FLUX", sector=number + 1, cadence_seconds=600.0)
    return Observation(product, time, 1e4 * flux, np.full(time.size, 4.0), np.zeros(time.size, dtype=np.int64))


@pytest.mark.parametrize(
    ("depths", "verdict"), [((0.01, 0.01, 0.01), Verdict.PASS), ((0.01, 0.006, 0.01), Verdict.FAIL)]
)
def test_sectors_that_differ_in_depth_are_found(depths, verdict):
    observations = [sector(i, depth, i) for i, depth in enumerate(depths)]
    whole = clean(observations[::-1])
    assert [whole.products[i].sector for i in whole.segment_product] == [1, 1, 2, 2, 3, 3]
    what = signal(PERIOD, EPOCH, 0.12, 0.01)
    found = vetting.depth_by_sector(Case(whole, fold(whole, what), what, SUN, VetSettings()))
    assert found.status is verdict
    assert "sector 2" in found.note


def test_one_sector_is_not_compared_with_itself():
    whole, what = clean([sector(0, 0.01, 0)]), signal(PERIOD, EPOCH, 0.12, 0.01)
    found = vetting.depth_by_sector(Case(whole, fold(whole, what), what, SUN, VetSettings()))
    assert found.status is Verdict.NOT_RUN
    assert found.note.startswith("few_transits")


def test_a_measured_unit_of_variance_makes_a_ratio_less_sure():
    assert noise.variance_ratio_sigma(2.0, 10, 1e9) == pytest.approx(noise.chi_square_sigma(20.0, 10), abs=1e-3)
    assert noise.variance_ratio_sigma(2.0, 10, 20) < noise.variance_ratio_sigma(2.0, 10, 1e9)


def test_the_middle_of_a_fold_is_found_between_the_steps():
    places = np.linspace(-0.2, 0.2, 9)
    assert trapezoids._lowest(places, (places - 0.033) ** 2) == pytest.approx(0.033)
