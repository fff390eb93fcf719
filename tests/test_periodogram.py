"""Grids, bins, templates, noise: the parts a search is made of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.periodogram import binned, grid, noise, nulls, refine
from pipeline.periodogram.spectrum import Before, Series, kernel, measure_spectrum
from pipeline.types import Star


def sun_grid(span=27.4, period_max=13.5, **changes):
    given = {"density": 1.0, "cadence": 2.0 / 1440.0, "oversample": 3.0, "duration_ratio": 1.25} | changes
    return grid.make_grid(span, 0.5, period_max, **given)


def test_the_period_grid_has_the_size_ofir_gives():
    assert sun_grid().period.size == pytest.approx(2740, abs=3)
    assert sun_grid(356.0, 30.0).period.size == pytest.approx(39750, abs=40)


def test_half_a_step_drifts_by_a_sixth_of_the_central_duration_at_every_period():
    made = sun_grid()
    drift = np.diff(made.period) / 2.0 / made.period[:-1] * 27.4
    share = drift / grid.central_duration(made.period[:-1], 1.0)
    # the note derives one sixth; the 13 h of a central transit are rounded, hence 10 %
    np.testing.assert_allclose(share, 1.0 / 6.0, rtol=0.1)


def test_a_denser_star_gets_more_periods_and_shorter_durations():
    dwarf = sun_grid(density=11.1)
    assert dwarf.period.size == pytest.approx(6113, abs=10)
    assert dwarf.durations[0] < 0.5 * sun_grid().durations[0]


def test_a_baseline_too_long_for_the_cap_raises_the_shortest_period_and_says_so():
    capped = sun_grid(2600.0, 30.0, max_periods=10_000)
    assert capped.period.size <= 10_000
    assert capped.period[-1] == pytest.approx(30.0)
    assert any("max_periods" in note for note in capped.notes)


def test_no_duration_is_longer_than_a_third_of_its_period():
    made = sun_grid(density=None)
    for duration, first in zip(made.durations, made.first, strict=True):
        assert duration <= grid.LARGEST_DUTY * made.period[first] * (1 + 1e-9)


def test_every_period_has_a_duration_near_the_central_one():
    made = sun_grid()
    for k in range(0, made.period.size, 50):
        tried = made.durations[(made.first <= k) & (k < made.last)]
        central = float(grid.central_duration(made.period[k], 1.0))
        assert np.abs(np.log(tried / central)).min() < 0.5 * np.log(1.25) + 1e-9


def test_a_fixed_number_of_periods_is_kept_on_request():
    assert sun_grid(356.0, 30.0, nperiods=500).period.size == 500


@pytest.mark.parametrize(
    ("star", "density"),
    [
        (Star(), None),
        (Star(radius=1.0, mass=1.0), 1.0),
        (Star(radius=2.0, mass=1.0), 0.125),
        (Star(radius=1.0, logg=4.438), 1.0),
        (Star(radius=0.3), 0.3 / 0.027),
        (Star(radius=-1.0, mass=1.0), None),
        (Star(radius=float("nan")), None),
        (Star(radius=1.0, logg=float("nan")), 1.0),
        (Star(radius=500.0, mass=1.0), None),
    ],
)
def test_density_comes_from_what_is_known(star, density):
    assert grid.stellar_density(star) == (None if density is None else pytest.approx(density))


@settings(max_examples=60, deadline=None)
@given(
    time=st.lists(st.floats(0.0, 3000.0), min_size=1, max_size=60),
    width=st.floats(0.01, 3.0),
    pad=st.integers(0, 30),
)
def test_binning_keeps_every_cadence_in_its_bin(time, width, pad):
    time = np.sort(np.asarray(time))
    rng = np.random.default_rng(1)
    flux, weight = rng.normal(size=(2, time.size)), rng.uniform(0.5, 2.0, time.size)
    series = binned.bin_light_curve(time, flux, weight, 0.0, width, pad)
    assert series.weight.sum() == pytest.approx(weight.sum())
    assert series.weighted_flux.sum(axis=1) == pytest.approx((weight * flux).sum(axis=1))
    assert not series.weight[:pad].any()
    assert not series.weight[series.weight.size - pad :].any()
    filled = np.flatnonzero(series.weight)
    left = series.start + filled * width
    assert ((time[:, None] >= left - 1e-6) & (time[:, None] < left + width + 1e-6)).any(axis=1).all()


@pytest.mark.parametrize("name", binned.TEMPLATES)
@pytest.mark.parametrize("width", [1.0, 4.37, 6.0, 8.9])
def test_template_taps_hold_the_area_of_their_shape(name, width):
    fine = np.linspace(-1.0, 1.0, 200_001)
    area = width * binned.template_shape(name, fine).mean()
    # sixteen positions a bin: the edges of a box are placed to a thirty-second of a bin each
    assert binned.template_taps(name, width).sum() == pytest.approx(area, abs=1.0 / 16.0)


def test_an_unknown_template_is_named():
    with pytest.raises(ValueError, match="sawtooth"):
        binned.template_shape("sawtooth", np.zeros(3))


def white(seed=0, days=27.0, sigma=1e-3, cadence=2.0 / 1440.0):
    time = 1400.0 + np.arange(0.0, days, cadence)
    return time, np.random.default_rng(seed).normal(0.0, sigma, time.size)


def test_the_filters_output_scatters_as_white_noise_should():
    time, flux = white()
    series = Series(time, flux[None], np.ones(time.size), 5.0 / 1440.0)
    for duration in (0.05, 0.1, 0.2):
        for template in ("box", "v"):
            ready = series.filtered(kernel("numpy"), duration, template, 8)
            # about 130 independent windows of 0.2 d: a scatter good to 10 %
            assert noise.filtered_scatter(ready)[0] == pytest.approx(1e-3, rel=0.2)


def test_outliers_do_not_move_the_scatter_and_it_knows_a_normal_one_better_than_a_median_does():
    values = np.random.default_rng(3).normal(0.0, 2.0, (2000, 300))
    found = noise.robust_scatter(values)
    assert found.mean() == pytest.approx(2.0, rel=0.005)
    away = np.abs(values - np.median(values, axis=1, keepdims=True))
    assert found.std() < 0.85 * (noise.SIGMA_PER_MAD * np.median(away, axis=1)).std()
    values[:, :9] = -40.0  # the transits of a planet, say
    assert noise.robust_scatter(values).mean() == pytest.approx(2.0, rel=0.03)
    assert noise.robust_scatter(np.ones((1, 50)))[0] == 0.0
    mostly = np.zeros((1, 50))
    mostly[0, 0] = 7.0
    assert noise.robust_scatter(mostly)[0] == pytest.approx(mostly.std())


@pytest.mark.parametrize("depth", [2e-3, 2e-2, 0.3])
def test_after_a_mask_nothing_is_missed_where_only_what_can_have_risen_is_tried_again(depth):
    time, flux = white(seed=4)
    first = np.abs((time - 1402.0 + 1.85) % 3.7 - 1.85) < 0.08
    flux[first] -= depth
    flux[np.abs((time - 1401.0 + 2.6) % 5.2 - 2.6) < 0.06] -= 7e-4
    layout = sun_grid(float(time[-1] - time[0]))
    numba, weight, masked = kernel("numba"), np.ones(time.size), np.where(first, 0.0, 1.0)

    def centred(weight):
        return Series(time, (flux - np.average(flux, weights=weight))[None], weight, 5.0 / 1440.0)

    unmasked = measure_spectrum(centred(weight), layout, binned.TEMPLATES, numba, 7.1)
    level = abs(float(np.average(flux, weights=masked) - flux.mean()))
    everywhere = measure_spectrum(centred(masked), layout, binned.TEMPLATES, numba, 7.1)
    again = measure_spectrum(centred(masked), layout, binned.TEMPLATES, numba, 7.1, Before(unmasked, 0, level))
    high = everywhere.snr[:, 0] >= 0.8 * 7.1
    assert high.any()
    np.testing.assert_allclose(again.snr[high], everywhere.snr[high], rtol=1e-3)
    assert (again.snr[~high] < 0.8 * 7.1).all()
    np.testing.assert_allclose(again.sigma, everywhere.sigma)


def test_steady_stars_weigh_all_cadences_alike():
    time, flux = white()
    rng = np.random.default_rng(5)
    assert (noise.cadence_weights(time, flux, rng.uniform(1.0e-3, 1.1e-3, time.size)) == 1.0).all()


def test_errors_that_differ_set_the_weights():
    time, flux = white()
    errors = np.where(np.arange(time.size) % 2 == 0, 1e-3, 2e-3)
    flux = flux * errors / 1e-3
    weight = noise.cadence_weights(time, flux, errors)
    assert np.median(weight[::2]) / np.median(weight[1::2]) == pytest.approx(4.0)


def test_a_restless_stretch_counts_less_and_a_transit_does_not():
    time, flux = white()
    flux[(time > 1410.0) & (time < 1413.0)] *= 4.0
    flux[np.abs(time - 1405.0) < 0.15] -= 0.02
    weight = noise.cadence_weights(time, flux, np.full(time.size, 1e-3))
    assert np.median(weight[(time > 1411.2) & (time < 1411.8)]) < 0.15
    assert (weight[np.abs(time - 1405.0) < 0.15] > 0.99).all()


def cadences(time, flux):
    return refine.Cadences(time, flux - flux.mean(), np.ones(time.size))


def test_a_measured_depth_is_the_least_squares_depth():
    time, flux = white()
    ephemeris = refine.Ephemeris(3.0, 1401.0, 0.15, "box")
    inside = refine.near_transit(time, ephemeris, 1.0)
    flux = flux - 2e-3 * inside
    measured = refine.measure(cadences(time, flux), ephemeris, 1e-3)
    design = np.stack([np.ones(time.size), -inside.astype(float)], axis=1)
    expected = np.linalg.lstsq(design, flux, rcond=None)[0][1]
    assert measured.depth == pytest.approx(expected, rel=1e-9)
    assert measured.depth_err == pytest.approx(1e-3 * np.sqrt(np.linalg.inv(design.T @ design)[1, 1]), rel=1e-9)
    assert measured.snr == pytest.approx(measured.depth / measured.depth_err)
    n_in = inside.sum()
    n_out = time.size - n_in
    assert measured.bls_power == pytest.approx(expected**2 * n_in * n_out / (n_in + n_out), rel=1e-9)
    assert measured.n_transits == 9
    assert measured.single_event_share == pytest.approx(1.0 / 9.0, abs=0.06)
    assert measured.chi_square == pytest.approx(1.0, abs=1.2)  # 8 degrees of freedom: its scatter is 0.5


def test_polishing_finds_the_edges_of_a_deep_transit():
    time, flux = white(sigma=3e-4)
    truth = refine.Ephemeris(3.0, 1401.0, 0.15, "box")
    flux = flux - 5e-3 * refine.near_transit(time, truth, 1.0)
    start = refine.Ephemeris(3.004, 1401.02, 0.12, "box")
    found = refine.polish(cadences(time, flux), start, {"box": (np.ones(1), np.ones(1))}, (0.5, 13.0), longest=0.5)
    cycle = round((found.epoch - truth.epoch) / truth.period)
    assert found.epoch - truth.epoch - cycle * truth.period == pytest.approx(0.0, abs=2.0 / 1440.0)
    assert found.period == pytest.approx(3.0, abs=5e-4)
    assert found.duration == pytest.approx(0.15, abs=4.0 / 1440.0)


@pytest.mark.parametrize("name", ["trapezoid", "v"])
def test_errors_of_period_and_epoch_tell_how_far_off_they_are(name):
    pulls = []
    for seed in range(12):
        time, flux = white(seed, sigma=1e-3)
        truth = refine.Ephemeris(3.0, 1401.0, 0.15, name)
        offset = refine.centred_phase(time, truth) / 0.075
        flux = flux - 3e-3 * binned.template_shape(name, offset)
        data = cadences(time, flux)
        start = refine.Ephemeris(3.001, 1401.004, 0.16, name)
        found = refine.polish(data, start, {name: (np.ones(1), np.ones(1))}, (0.5, 13.0), longest=0.5)
        measured = refine.measure(data, found, 1e-3)
        period_err, epoch_err, _ = refine.ephemeris_errors(measured, found, 2.0 / 1440.0)
        cycle = round((found.epoch - truth.epoch) / 3.0)
        pulls.append([(found.period - 3.0) / period_err, (found.epoch - truth.epoch - 3.0 * cycle) / epoch_err])
    rms = np.sqrt((np.array(pulls) ** 2).mean(axis=0))
    # twelve skies tell an rms of 1 to about 20 %; the cadence, a fifth of the ingress, blurs the rest
    assert (rms < 1.7).all()
    assert (rms > 0.4).all()


@pytest.mark.parametrize("shape", ["v", "limb-darkened"])
def test_trying_other_templates_only_where_the_box_is_high_loses_no_signal(shape):
    time = np.arange(0.0, 27.0, 10.0 / 1440.0)
    made = sun_grid(cadence=10.0 / 1440.0)
    for seed, depth in enumerate([0.0, 6e-4, 9e-4, 1.2e-3, 4e-3]):  # from nothing through the threshold to S/N 40
        rng = np.random.default_rng(seed)
        offset = (time - 1.3 + 2.05) % 4.1 - 2.05
        flux = 1e-3 * rng.normal(size=time.size) - depth * binned.template_shape(shape, offset / 0.06)
        series = Series(time, (flux - flux.mean())[None], np.ones(time.size), 10.0 / 1440.0)
        names = ("box", "limb-darkened", "v")
        everywhere = measure_spectrum(series, made, names, kernel("numba"))
        screened = measure_spectrum(series, made, names, kernel("numba"), threshold=7.1)
        over = everywhere.snr[:, 0] >= max(7.1, 0.9 * float(everywhere.snr.max()))
        np.testing.assert_array_equal(screened.snr[over], everywhere.snr[over])
        assert (screened.snr <= everywhere.snr).all()


def nulls_of(maxima):
    """Spectra whose blocks have these highest peaks."""
    return np.repeat(np.asarray(maxima, dtype=np.float32), 3)[:, None]


def test_the_tail_of_known_maxima_is_found_again():
    rng = np.random.default_rng(2)
    location, scale = 16.0, 3.2
    squared = location - scale * np.log(-np.log(rng.random(4000)))
    tail = nulls.tail_of(nulls_of(np.sqrt(squared)), 4000)
    assert tail.location == pytest.approx(location, abs=0.2)
    assert tail.scale == pytest.approx(scale, rel=0.05)  # four thousand maxima outweigh what is usual
    assert tail.nulls == 1
    # one block: the law itself; all: the chance that any reaches it
    one = 1.0 - np.exp(-np.exp(-(36.0 - tail.location) / tail.scale))
    assert replace(tail, blocks=1).probability(6.0) == pytest.approx(one, rel=1e-6)
    assert replace(tail, blocks=100).probability(6.0) == pytest.approx(1.0 - (1.0 - one) ** 100, rel=1e-3)
    assert tail.probability(0.0) == pytest.approx(1.0)
    assert tail.probability(1e6) == 0.0


def test_maxima_that_do_not_scatter_tell_nothing():
    assert nulls.tail_of(nulls_of(np.full(16, 5.0)), 16) is None
    assert nulls.tail_of(np.zeros((10, 0), dtype=np.float32), 4) is None
    assert nulls.tail_of(np.ones((3, 2), dtype=np.float32), 16) is None


def test_pieces_change_places_whole():
    time = np.concatenate([np.arange(0.0, 13.0, 0.01), np.arange(14.2, 27.0, 0.01)])
    order = nulls.pieces(time, 1.0, 3)
    assert np.sort(order).tolist() == list(range(time.size))
    assert not (order == np.arange(time.size)).all()
    assert (np.diff(order) != 1).sum() < 27
    assert nulls.pieces(time, 1.0, 3).tolist() == order.tolist()


def test_one_period_in_eight_is_searched_in_whole_runs():
    which = nulls.runs(2701)
    assert which.size == pytest.approx(2701 / 8, rel=0.06)
    assert (np.diff(which) != 1).sum() == nulls.BLOCKS - 1


def test_few_maxima_do_not_stray_far_from_what_is_usual():
    tail = nulls.tail_of(nulls_of(np.linspace(4.9, 5.1, 16)), 16)
    assert nulls.USUAL_SCALE > tail.scale > 0.9 * nulls.USUAL_SCALE
