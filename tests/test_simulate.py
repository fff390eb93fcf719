"""Simulated skies: what is put in is what comes out."""

from dataclasses import replace
from math import pi

import batman
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.simulate import (
    FIRST_KEY,
    NONE,
    Blend,
    ContactBinary,
    DetachedBinary,
    Mode,
    Orbit,
    Planet,
    Rotation,
    SectorSettings,
    SimulatedStar,
    Systematics,
    draw_star,
    main_sequence,
    observe,
    reprocessed,
    scaled_axis,
    schedule,
    star_light,
    true_signals,
)
from pipeline.simulate.eclipses import binary_light, contact_light, disc, planet_light
from pipeline.simulate.noise import one_hour_noise, red_noise
from pipeline.simulate.sector import sector_start
from pipeline.simulate.seeds import stream
from pipeline.simulate.variability import Flare, flare_light
from pipeline.types import Star

START = sector_start(1)
KINDS = ("planet", "detached", "contact", "blend", "rotation", "flaring", "pulsation", "systematics", "quiet")


@pytest.fixture
def planet() -> Planet:
    """A hot Jupiter's tenth of the radius, 3.1 d, slightly off centre."""
    return Planet(Orbit(period=3.1, epoch=START + 1.234, scaled_axis=9.0, impact=0.3), radius_ratio=0.08)


@pytest.fixture
def quiet() -> SimulatedStar:
    """A star of Tmag 10 with photon noise and nothing else."""
    return SimulatedStar(
        key=str(FIRST_KEY),
        kind="quiet",
        star=main_sequence(1.0, 10.0, 64.8, -71.4),
        systematics=NONE,
        outliers_per_day=0.0,
    )


# --- seeds ---


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_sky(kind):
    star = draw_star(kind, str(FIRST_KEY), 7)
    assert star == draw_star(kind, str(FIRST_KEY), 7)
    first, second = observe(star, seed=7), observe(star, seed=7)
    for name in ("time", "flux", "flux_err", "sap_flux", "background", "quality", "centroid_column", "centroid_row"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


@pytest.mark.parametrize("change", ["seed", "key", "sector"])
def test_another_seed_star_or_sector_gives_other_noise(quiet, change):
    first = observe(quiet, seed=1).flux
    if change == "seed":
        second = observe(quiet, seed=2).flux
    elif change == "key":
        second = observe(replace(quiet, key=str(FIRST_KEY + 1)), seed=1).flux
    else:
        second = observe(quiet, SectorSettings(number=2), seed=1).flux
    both = np.isfinite(first) & np.isfinite(second)
    noise = [flux[both] / np.median(flux[both]) - 1 for flux in (first, second)]
    # independent noise correlates by 1/sqrt(n) = 0.007
    assert abs(np.corrcoef(noise)[0, 1]) < 0.04


def test_a_planet_added_leaves_the_noise_as_it_was(quiet, planet):
    without, with_planet = observe(quiet), observe(replace(quiet, planets=(planet,)))
    level = np.nanmedian(without.flux)
    difference = (with_planet.flux - without.flux)[without.good] / level
    expected = (planet_light(planet, without.plan.time, quiet.limb_darkening, without.plan.exposure) - 1)[without.good]
    np.testing.assert_allclose(difference, expected * 15700 / level, atol=1e-9)


# --- noise ---


@pytest.mark.parametrize(
    ("tmag", "ppm"), [(6, 64.3), (8, 93.6), (9, 131.6), (10, 202.5), (11, 336), (12, 595), (13, 1122), (14, 2285)]
)
def test_one_hour_noise_has_the_published_values(tmag, ppm):
    assert one_hour_noise(tmag) * 1e6 == pytest.approx(ppm, rel=0.002)


@pytest.mark.parametrize("cadence_seconds", [20, 120, 600, 1800])
@pytest.mark.parametrize("tmag", [6.0, 10.0, 14.0])
def test_the_measured_noise_is_the_stated_one(quiet, tmag, cadence_seconds):
    star = replace(quiet, star=replace(quiet.star, tmag=tmag))
    curve = observe(star, SectorSettings(cadence_seconds=cadence_seconds)).light_curve()
    measured = 1.4826 * np.median(np.abs(np.diff(curve.flux))) / np.sqrt(2)
    # 1,200 points at 30 minutes know their scatter to 4 %
    assert measured == pytest.approx(one_hour_noise(tmag) * np.sqrt(3600 / cadence_seconds), rel=0.1)
    assert np.median(curve.flux_err) == pytest.approx(measured, rel=0.1)


def test_factor_and_floor_raise_the_noise(quiet):
    plain = observe(quiet).noise
    assert observe(replace(quiet, noise_factor=1.5)).noise == pytest.approx(1.5 * plain)
    floor = 60e-6 * np.sqrt(30)
    assert observe(replace(quiet, noise_floor_ppm=60.0)).noise == pytest.approx(np.hypot(plain, floor))


@pytest.mark.parametrize("tmag", [-1.0, 25.0, float("nan")])
def test_a_magnitude_beyond_the_noise_model_is_refused(quiet, tmag):
    with pytest.raises(ValueError, match="Tmag"):
        observe(replace(quiet, star=replace(quiet.star, tmag=tmag)))


def test_a_star_without_a_magnitude_is_refused(quiet):
    with pytest.raises(ValueError, match="no Tmag"):
        observe(replace(quiet, star=Star()))


@pytest.mark.parametrize("timescale", [0.05, 0.3, 0.8])
def test_red_noise_has_its_size_and_its_memory(timescale):
    step = 1 / 720
    values = red_noise(np.random.default_rng(3), 400_000, step, timescale, 2.0)
    lag = round(timescale / step)
    # 555 d hold about 350 independent values at the longest timescale: 4 % on the size
    assert values.std() == pytest.approx(2.0, rel=0.12)
    assert np.corrcoef(values[:-lag], values[lag:])[0, 1] == pytest.approx(np.exp(-1), abs=0.12)


def test_red_noise_follows_its_recursion_exactly():
    values = red_noise(np.random.default_rng(5), 5000, 1.0, 10.0, 1.0)
    memory = np.exp(-0.1)
    kicks = np.random.default_rng(5).standard_normal(5000) * np.sqrt(1 - memory**2)
    np.testing.assert_allclose(values[1:] - memory * values[:-1], kicks[1:], atol=1e-12)


# --- transits ---


def by_batman(planet: Planet, time, limb_darkening, exposure):
    """The same light by batman (Kreidberg 2015), finely sampled where an exposure is given."""
    orbit = planet.orbit
    parameters = batman.TransitParams()
    parameters.t0, parameters.per, parameters.rp, parameters.a = (
        orbit.epoch,
        orbit.period,
        planet.radius_ratio,
        orbit.scaled_axis,
    )
    parameters.inc = float(np.degrees(np.arccos(orbit.cos_inclination)))
    parameters.ecc, parameters.w = orbit.eccentricity, float(np.degrees(orbit.periastron))
    parameters.u, parameters.limb_dark = list(limb_darkening), "quadratic"
    samples = {"supersample_factor": 201, "exp_time": exposure} if exposure else {}
    return batman.TransitModel(parameters, time, max_err=0.05, **samples).light_curve(parameters)


ORBITS = [
    (3.1, 9.0, 0.3, 0.0, pi / 2, 0.1),
    (0.6, 2.8, 0.0, 0.0, pi / 2, 0.03),
    (12.0, 22.0, 0.85, 0.0, pi / 2, 0.2),
    (5.0, 13.0, 0.95, 0.0, pi / 2, 0.1),  # grazing
    (8.0, 17.0, 0.4, 0.35, 0.7, 0.12),
    (8.0, 17.0, 0.1, 0.5, 4.0, 0.05),
]


@pytest.mark.parametrize("cadence_seconds", [0, 120, 600, 1800])
@pytest.mark.parametrize(("period", "axis", "impact", "eccentricity", "periastron", "ratio"), ORBITS)
def test_a_transit_is_batmans_within_20_ppm(period, axis, impact, eccentricity, periastron, ratio, cadence_seconds):
    planet = Planet(Orbit(period, 1326.2, axis, impact, eccentricity, periastron), ratio)
    exposure = cadence_seconds / 86400
    time = 1326.2 + np.linspace(-0.12, 0.12, 1201) * min(period, 4.0)
    for limb_darkening in ((0.32, 0.24), (0.5, 0.1), (0.0, 0.0)):
        ours = planet_light(planet, time, limb_darkening, exposure)
        assert ours.min() < 1 - 0.2 * ratio**2
        np.testing.assert_allclose(ours, by_batman(planet, time, limb_darkening, exposure), atol=20e-6, rtol=0)


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.1, 0.2])
def test_the_depth_of_an_even_disc_is_the_squared_ratio(ratio):
    planet = Planet(Orbit(4.0, 0.0, 10.0), ratio)
    assert 1 - planet_light(planet, np.zeros(1))[0] == pytest.approx(ratio**2, rel=1e-9)


def test_the_observed_depth_is_the_models(quiet, planet):
    observed = observe(replace(quiet, planets=(planet,)))
    curve = observed.light_curve()
    phase = (curve.time - planet.orbit.epoch + 1.55) % 3.1 - 1.55
    centre = np.abs(phase) < 0.02
    outside = np.abs(phase) > 0.2
    depth = np.mean(curve.flux[outside]) - np.mean(curve.flux[centre])
    model = planet_light(planet, planet.orbit.epoch + np.linspace(-0.02, 0.02, 101), quiet.limb_darkening).mean()
    # 9 transits of 58 minutes average 1,100 ppm to 70 ppm; four of that
    assert depth == pytest.approx(1 - model, abs=4 * observed.noise / np.sqrt(centre.sum()))
    assert depth > planet.radius_ratio**2


def test_a_transit_begins_and_ends_at_its_contacts(planet):
    half = planet.orbit.duration(planet.radius_ratio) / 2
    for cycle in (0, 1, 700):
        centre = planet.orbit.epoch + cycle * planet.orbit.period
        edges = centre + np.array([-half - 1e-4, -half + 1e-4, half - 1e-4, half + 1e-4])
        light = planet_light(planet, edges, (0.3, 0.2))
        assert light[0] == light[3] == 1.0
        assert light[1] < 1.0
        assert light[2] == pytest.approx(light[1], rel=1e-6)


def test_nothing_is_seen_when_the_planet_passes_behind(planet):
    behind = planet.orbit.epoch + planet.orbit.period / 2 + np.linspace(-0.1, 0.1, 101)
    assert (planet_light(planet, behind, (0.3, 0.2)) == 1.0).all()


def test_an_exposure_smears_without_losing_light(planet):
    loss = []
    for cadence_seconds in (20, 120, 600, 1800):
        exposure = cadence_seconds / 86400
        time = planet.orbit.epoch - 0.25 + exposure * (np.arange(round(0.5 / exposure)) + 0.5)
        loss.append(np.sum(1 - planet_light(planet, time, (0.3, 0.2), exposure)) * exposure)
    np.testing.assert_allclose(loss, loss[0], rtol=2e-4)


@settings(max_examples=60, deadline=None)
@given(
    period=st.floats(0.3, 40),
    axis=st.floats(1.6, 60),
    impact=st.floats(0, 1.3),
    eccentricity=st.floats(0, 0.35),
    periastron=st.floats(0, 2 * pi),
    ratio=st.floats(0.001, 0.4),
    cadence_seconds=st.sampled_from([0, 120, 1800]),
)
def test_any_transit_lies_between_nothing_and_its_depth(
    period, axis, impact, eccentricity, periastron, ratio, cadence_seconds
):
    orbit = Orbit(period, 1330.0, axis, impact, eccentricity, periastron)
    if orbit.cos_inclination > 1:
        return
    light = planet_light(Planet(orbit, ratio), 1325 + np.arange(2000) / 72, (0.4, 0.2), cadence_seconds / 86400)
    assert np.isfinite(light).all()
    assert light.max() <= 1 + 1e-9
    # for these coefficients the middle of the disc is 1 / (1 - 0.4 / 3 - 0.2 / 6) = 1.2 times as bright as its mean
    assert light.min() >= 1 - 1.2 * ratio**2 - 1e-9


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 4.0])
def test_light_has_no_hole_where_circles_touch_or_meet_the_centre(ratio):
    """exoplanet-core loses two thirds of the light when the limb of the planet passes within 3e-16 of the centre."""
    steps = np.concatenate([np.linspace(-4e-15, 4e-15, 4001), [-1e-9, 1e-9]])
    for special in (ratio, abs(1 - ratio), 1.0, 1 + ratio):
        light = disc(np.abs(special + steps), ratio, (0.4, 0.2))
        assert np.ptp(light) < 1e-7


# --- binaries ---


def test_a_total_secondary_takes_the_light_of_the_smaller_star():
    binary = DetachedBinary(Orbit(4.0, 10.0, 12.0), radius_ratio=0.5, surface_brightness=0.4)
    second = 0.4 * 0.25
    assert binary_light(binary, np.array([12.0]))[0] == pytest.approx(1 - second / (1 + second), rel=1e-9)
    assert binary_light(binary, np.array([10.0]))[0] == pytest.approx(1 - 0.25 / (1 + second), rel=1e-9)
    assert binary_light(binary, np.array([11.0, 13.0])) == pytest.approx(1.0)


def test_the_secondary_of_an_eccentric_binary_stands_where_the_truth_says(quiet):
    orbit = Orbit(6.0, START + 2.0, 12.0, 0.2, eccentricity=0.3, periastron=0.5)
    star = replace(quiet, kind="detached", binary=DetachedBinary(orbit, 0.6, 0.5))
    signal = true_signals(observe(star))[0]
    time = START + np.arange(0, 6, 1e-4)
    light = star_light(star, time, 0.0)
    far = np.abs((time - signal.epoch + 3) % 6 - 3) > 1
    assert time[far][np.argmin(light[far])] == pytest.approx(signal.secondary_epoch, abs=0.02)
    assert 1 - light[far].min() == pytest.approx(signal.secondary_depth, rel=0.01)
    # far from half a period: e cos(w) = 0.26
    assert abs((signal.secondary_epoch - signal.epoch) % 6 - 3) > 0.5


def test_tides_make_a_binary_faintest_in_its_eclipses_and_reflection_brightest_opposite():
    orbit = Orbit(4.0, 10.0, 5.0)
    tides = DetachedBinary(orbit, 0.2, 0.1, ellipsoidal=0.01)
    np.testing.assert_allclose(binary_light(tides, np.array([11.0, 13.0])), 1.01)
    np.testing.assert_allclose(binary_light(tides, np.array([10.5, 11.5])), 1.0)
    glow = DetachedBinary(orbit, 0.2, 0.1, reflection=0.01)
    assert binary_light(glow, np.array([12.7]))[0] > binary_light(glow, np.array([10.7]))[0]


def test_a_contact_binary_has_two_minima_of_the_stated_depths():
    binary = ContactBinary(period=0.4, epoch=5.0, amplitude=0.2, sharpness=2.4, minima_ratio=0.8)
    np.testing.assert_allclose(contact_light(binary, np.array([5.0, 5.2, 5.1, 5.3])), [0.8, 0.84, 1.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("cadence_seconds", [120, 1800])
def test_a_contact_binary_is_averaged_over_the_exposure(cadence_seconds):
    binary = ContactBinary(period=0.4, epoch=5.0, amplitude=0.2, sharpness=2.4, minima_ratio=0.8)
    exposure = cadence_seconds / 86400
    time = np.linspace(5, 5.4, 60)
    fine = (np.arange(2000) + 0.5) / 2000 - 0.5
    expected = np.mean([contact_light(binary, time + exposure * shift) for shift in fine], axis=0)
    np.testing.assert_allclose(contact_light(binary, time, exposure), expected, atol=1e-4)


def test_a_blend_dilutes_the_eclipse_and_moves_the_centroid_away_from_it(quiet):
    binary = DetachedBinary(Orbit(4.0, START + 1.0, 12.0), radius_ratio=0.5, surface_brightness=0.0)
    blend = Blend(share=0.05, column=1.5, row=-0.8)
    observed = observe(replace(quiet, kind="blend", binary=binary, blend=blend, limb_darkening=(0.0, 0.0)))
    signal = true_signals(observed)[0]
    assert signal.depth == pytest.approx(0.05 * 0.25, rel=1e-6)
    time = observed.time
    phase = (time - signal.epoch + 2) % 4 - 2
    good = observed.good
    inside, outside = good & (np.abs(phase) < 0.03), good & (np.abs(phase) > 0.3) & (np.abs(phase) < 0.4)
    for values, offset, motion in (
        (observed.centroid_column, blend.column, observed.motion_column),
        (observed.centroid_row, blend.row, observed.motion_row),
    ):
        still = values - motion
        shift = np.mean(still[inside]) - np.mean(still[outside])
        expected = offset * 0.05 * (0.75 / (1 - 0.0125) - 1)
        # 300 cadences of 0.0008 pixel: 0.00005; the shift is 0.018 and 0.010
        assert shift == pytest.approx(expected, rel=0.03)


# --- variability ---


def test_spots_return_after_a_rotation(quiet):
    rotation = Rotation(period=2.7, amplitude=0.01, second_group=0.0)
    star = replace(quiet, rotation=rotation)
    time = START + np.linspace(0, 2.7, 200)
    np.testing.assert_allclose(star_light(star, time + 2.7, 0.0), star_light(star, time, 0.0), atol=1e-12)
    assert np.ptp(star_light(star, time, 0.0)) > 0.01


def test_a_second_spot_group_makes_the_amplitude_beat(quiet):
    rotation = Rotation(period=2.0, amplitude=0.01, second_group=0.5, shear=0.1)
    light = star_light(replace(quiet, rotation=rotation), START + np.arange(0, 44, 0.01), 0.0)
    heights = [np.ptp(light[i : i + 200]) for i in range(0, 4400, 200)]
    assert max(heights) > 1.3 * min(heights)


def test_pulsation_is_the_sum_of_its_modes(quiet):
    star = replace(quiet, modes=(Mode(0.1, 0.002), Mode(0.17, 0.001, 1.0)))
    time = START + np.arange(0, 17, 0.001)
    light = star_light(star, time, 0.0) - 1
    for period, amplitude in ((0.1, 0.002), (0.17, 0.001)):
        assert 2 * abs(np.mean(light * np.exp(2j * pi * time / period))) == pytest.approx(amplitude, rel=0.02)


def test_a_flare_peaks_at_its_time_and_is_half_as_high_over_its_width():
    flare = Flare(peak_time=10.0, amplitude=0.3, width=0.02)
    time = 10 + np.arange(-0.05, 0.4, 1e-5)
    light = flare_light((flare,), time)
    assert time[np.argmax(light)] == pytest.approx(10.0, abs=1e-4)
    assert light.max() == pytest.approx(0.3, rel=0.01)
    assert np.sum(light > 0.15) * 1e-5 == pytest.approx(0.02, rel=0.15)
    assert light.min() >= 0.0
    assert light[-1] < 0.001


def test_flares_only_brighten(quiet):
    star = replace(quiet, flares_per_day=1.0, flare_amplitude=0.05)
    observed = observe(star)
    assert len(observed.flares) > 10
    assert observed.light.min() >= 1.0
    assert observed.light.max() > 1.04


# --- the sector ---


def test_cadences_are_numbered_without_a_hole_and_the_gap_has_no_time(quiet):
    observed = observe(quiet)
    assert len(observed.time) == 20076  # as genuine files of sector 1
    assert (np.diff(observed.plan.cadence_number) == 1).all()
    assert observed.plan.cadence_number[0] == 70444
    missing = ~np.isfinite(observed.time)
    assert (observed.quality[missing] & 8 == 8).all()
    assert not (observed.quality[~missing] & 8).any()
    assert missing.sum() == pytest.approx(1.133 * 720, abs=2)
    assert (np.diff(observed.time[~missing]) > 0).all()
    assert not np.isfinite(observed.flux[missing]).any()


@pytest.mark.parametrize("cadence_seconds", [120, 600, 1800])
def test_momentum_dumps_are_flagged_every_two_and_a_half_days(quiet, cadence_seconds):
    star = replace(quiet, systematics=replace(NONE, dump=0.05))
    sector = SectorSettings(cadence_seconds=cadence_seconds)
    observed = observe(star, sector)
    flagged = (observed.quality & 32) != 0
    assert len(observed.plan.dumps) == 10  # five in each orbit of 13.4 d
    for dump in observed.plan.dumps:
        inside = (observed.plan.time > dump) & (observed.plan.time < dump + 840 / 86400)
        assert flagged[inside].all()
    if cadence_seconds == 120:
        assert flagged.sum() == pytest.approx(70, abs=10)
    # the dump disturbs the flux under its flag and nowhere else
    relative = observed.flux / np.nanmedian(observed.flux)
    assert np.nanmax(relative[flagged]) < 1 - 0.05 * 0.3 + 5 * observed.noise
    assert np.nanmin(relative[~flagged]) > 1 - 6 * observed.noise


def test_dumps_are_blank_where_the_sector_says_so(quiet):
    observed = observe(quiet, SectorSettings(blank_dumps=True))
    flagged = (observed.quality & 32) != 0
    assert flagged.any()
    assert not np.isfinite(observed.flux[flagged]).any()
    assert np.isfinite(observed.sap_flux[flagged & (observed.quality & 16 == 0)]).all()


def test_scattered_light_at_orbit_ends_is_flagged_and_blank(quiet):
    observed = observe(replace(quiet, systematics=Systematics()))
    stray = (observed.quality & 4096) != 0
    assert stray.sum() == pytest.approx(2 * 75, abs=3)  # twice 2.5 h
    assert not np.isfinite(observed.flux[stray]).any()
    assert np.nanmedian(observed.background[stray]) > 2 * np.nanmedian(observed.background)


def test_pdc_keeps_only_a_share_of_the_instruments_trend(quiet):
    star = replace(quiet, star=replace(quiet.star, tmag=6.0), systematics=replace(NONE, ramp=0.02, residual=0.1))
    observed = observe(star)
    start = observed.plan.since_orbit_start < 0.05
    start &= observed.good & (observed.plan.orbit == 0)
    ramps = [abs(np.median(flux[start]) / np.nanmedian(flux) - 1) for flux in (observed.sap_flux, observed.flux)]
    assert ramps[0] > 0.008
    assert ramps[1] == pytest.approx(0.1 * ramps[0], rel=0.15)


def test_a_step_lowers_the_rest_of_the_sector(quiet):
    star = replace(quiet, systematics=replace(NONE, step=0.02, residual=1.0))
    curve = observe(star).light_curve()
    levels = np.median(curve.flux[:500]), np.median(curve.flux[-500:])
    assert levels[0] - levels[1] == pytest.approx(0.02, rel=0.05)


def test_flagged_outliers_stand_out(quiet):
    observed = observe(replace(quiet, outliers_per_day=3.0))
    hit = ((observed.quality & 512) != 0) & np.isfinite(observed.flux)
    assert 40 < hit.sum() < 140
    assert (observed.flux[hit] / np.nanmedian(observed.flux) - 1 > 2 * observed.noise).mean() > 0.95


def test_lost_cadences_are_lost(quiet):
    observed = observe(quiet, SectorSettings(lost=0.2))
    seen = np.isfinite(observed.time)
    assert np.mean(~np.isfinite(observed.sap_flux[seen])) == pytest.approx(0.2, abs=0.02)


def test_barycentric_time_shifts_by_minutes_and_keeps_its_epochs(quiet, planet):
    """A transit stands at its barycentric epoch whatever the star's place in the sky."""
    near_ecliptic = replace(quiet.star, ra=330.0, dec=-12.0)
    plan = schedule(SectorSettings(), near_ecliptic)
    pole = schedule(SectorSettings(), replace(quiet.star, ra=90.0, dec=-66.6))
    assert np.abs(pole.time_correction).max() < 20 / 86400
    assert np.abs(plan.time_correction).max() == pytest.approx(500 / 86400, rel=0.1)
    np.testing.assert_allclose(plan.time - plan.time_correction, plan.spacecraft_time, rtol=0, atol=1e-12)
    star = replace(quiet, star=near_ecliptic, planets=(planet,))
    signal = true_signals(observe(star))[0]
    assert (signal.epoch - planet.orbit.epoch) % planet.orbit.period == pytest.approx(0, abs=1e-9)
    assert plan.time[0] <= signal.epoch < plan.time[0] + planet.orbit.period


def test_sectors_follow_one_another(quiet):
    first, second = observe(quiet), observe(quiet, SectorSettings(number=2))
    assert np.nanmin(second.time) > np.nanmax(first.time) - 0.5
    assert second.plan.cadence_number[0] == first.plan.cadence_number[0] + round(27.4 * 720)


def test_a_reprocessing_changes_little_and_keeps_the_truth(quiet, planet):
    first = observe(replace(quiet, planets=(planet,), outliers_per_day=1.0))
    later = reprocessed(first)
    assert later.data_release == first.data_release + 1
    np.testing.assert_allclose((later.time - first.time)[first.good] * 86400, -1.98, atol=1e-4)
    both = np.isfinite(first.flux) & np.isfinite(later.flux)
    np.testing.assert_allclose(later.flux[both] / first.flux[both], 1.019)
    changed = later.quality != first.quality
    assert 0 < changed.sum() < 100
    assert (later.plan.cadence_number == first.plan.cadence_number).all()
    assert true_signals(later)[0].period == true_signals(first)[0].period


# --- the truth ---


def test_the_truth_counts_transits_and_signal(quiet, planet):
    observed = observe(replace(quiet, planets=(planet,)))
    signal = true_signals(observed)[0]
    hours = signal.duration * 24
    # a box of the mean depth over the seen transits, ingress and limb darkening aside
    box = planet.radius_ratio**2 * np.sqrt(signal.n_transits * hours) / one_hour_noise(10.0)
    assert signal.snr == pytest.approx(box, rel=0.15)
    centres = planet.orbit.epoch + np.arange(-1, 10) * planet.orbit.period
    seen = [np.any(np.abs(observed.time[observed.good] - centre) < signal.duration / 2) for centre in centres]
    assert signal.n_transits == sum(seen)
    assert (signal.period, signal.duration) == (3.1, planet.orbit.duration(0.08))


@pytest.mark.parametrize("cadence_seconds", [600, 1800])
def test_signal_to_noise_hardly_depends_on_the_cadence(quiet, planet, cadence_seconds):
    star = replace(quiet, planets=(planet,))
    short, longer = (true_signals(observe(star, SectorSettings(cadence_seconds=c)))[0] for c in (120, cadence_seconds))
    assert longer.snr == pytest.approx(short.snr, rel=0.06)
    assert longer.depth == short.depth


def test_a_quiet_star_has_no_signal(quiet):
    assert true_signals(observe(quiet)) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_star_holds_what_its_name_says(kind):
    star = draw_star(kind, str(FIRST_KEY + 3), 2)
    assert bool(star.planets) == (kind == "planet")
    assert isinstance(star.binary, DetachedBinary) == (kind in ("detached", "blend"))
    assert isinstance(star.binary, ContactBinary) == (kind == "contact")
    assert (star.blend is not None) == (kind == "blend")
    assert (star.rotation is not None) == (kind in ("rotation", "flaring"))
    assert bool(star.modes) == (kind == "pulsation")
    assert (star.flares_per_day > 0) == (kind == "flaring")
    assert (star.systematics.step > 0) == (kind == "systematics")
    assert int(star.key) > 10_001_177_219  # beyond the real catalogue


def test_planets_are_drawn_near_the_wanted_signal():
    reached = []
    for number in range(40):
        star = draw_star("planet", str(FIRST_KEY + number), 4, snr=(20.0, 20.0001))
        ratio = star.planets[0].radius_ratio
        assert 0.9 < ratio * star.star.radius / 0.0091577 < 20.1
        reached.append(true_signals(observe(star))[0].snr)
    # gap, dumps and chance of the phase make single stars differ by the square root of their transits
    assert np.median(reached) == pytest.approx(20, rel=0.1)
    assert np.percentile(np.abs(np.array(reached) / 20 - 1), 80) < 0.25


def test_the_scaled_axis_of_the_earth_is_215():
    assert scaled_axis(365.25, 1.0, 1.0) == pytest.approx(215.0, rel=0.002)


def test_streams_differ_by_name_and_repeat():
    first, again, other = (stream(1, name, 5).random(4) for name in ("a", "a", "b"))
    assert (first == again).all()
    assert not (first == other).any()
