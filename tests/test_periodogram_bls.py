"""The older two-pass search, and what astropy's BoxLeastSquares says of both."""

import numpy as np
import pytest
from astropy.timeseries import BoxLeastSquares

from pipeline.periodogram import grid, two_pass_bls
from pipeline.periodogram.spectrum import kernel

DURATIONS = np.array([2.0, 3.0, 4.5]) / 24.0


def sky(period=2.7, epoch=1501.1, duration=0.13, depth=3e-3, seed=0, cadence=10.0 / 1440.0, days=20.0):
    rng = np.random.default_rng(seed)
    time = 1500.0 + np.arange(0.0, days, cadence)
    time = time[rng.random(time.size) > 0.05]
    flux = rng.normal(0.0, 1e-3, time.size)
    flux[np.abs((time - epoch + period / 2) % period - period / 2) < duration / 2] -= depth
    return time, flux - flux.mean()


def astropy_snr(time, flux, periods):
    model = BoxLeastSquares(time, flux, dy=np.full(time.size, 1e-3))
    return model.power(periods, DURATIONS, oversample=10, objective="snr", method="fast")


def test_the_box_search_is_astropys_away_from_phase_zero():
    # 1501.1 is at phases 0.1 to 0.9 of these periods, counted from the first cadence as astropy does
    time, flux = sky()
    periods = np.linspace(2.0, 3.4, 300)
    snr, _, epoch = two_pass_bls.box_least_squares(time, flux, np.full(time.size, 1e6), periods, DURATIONS)
    theirs = astropy_snr(time, flux, periods)
    top = int(np.argmax(snr))
    assert top == int(np.argmax(theirs.depth_snr))
    assert snr[top] == pytest.approx(theirs.depth_snr[top], rel=0.02)
    half = periods[top] / 2
    assert (epoch[top] - theirs.transit_time[top] + half) % periods[top] - half == pytest.approx(0.0, abs=0.02)
    assert np.median(snr / theirs.depth_snr) == pytest.approx(1.0, abs=0.02)


def test_the_box_search_has_no_hole_at_phase_zero():
    weight = None
    heights, theirs = [], []
    for phase in (0.0, 0.02, 0.3, 0.5, 0.98):
        time, flux = sky(period=2.5, epoch=1500.0 + 2.5 * phase, duration=0.18, seed=1)
        weight = np.full(time.size, 1e6)
        heights.append(two_pass_bls.box_least_squares(time, flux, weight, np.array([2.5]), DURATIONS)[0][0])
        theirs.append(float(astropy_snr(time, flux, np.array([2.5])).depth_snr[0]))
    assert min(heights) > 0.93 * max(heights)  # the noise under five phases differs by one sigma of about 35
    assert all(ours > 0.98 * other for ours, other in zip(heights, theirs, strict=True))


def test_downsampling_drops_no_cadence():
    time, flux = sky(cadence=2.0 / 1440.0)
    weight = np.random.default_rng(2).uniform(0.5, 1.5, time.size)
    few_time, few_flux, few_weight = two_pass_bls.downsample(time, flux, weight, 5000)
    assert few_time.size <= 5100
    assert few_weight.sum() == pytest.approx(weight.sum())
    assert (few_flux * few_weight).sum() == pytest.approx((flux * weight).sum())
    assert (np.diff(few_time) > 0).all()
    assert two_pass_bls.downsample(time, flux, weight, 80_000)[0].size == time.size


def test_the_second_pass_sharpens_the_period_of_the_first():
    time, flux = sky(depth=4e-3)
    layout = grid.make_grid(20.0, 0.8, 9.0, density=1.0, cadence=10 / 1440, oversample=3, duration_ratio=1.5)
    found = two_pass_bls.measure_spectrum(
        time,
        flux,
        np.ones(time.size),
        layout,
        kernel("numpy"),
        coarse_nperiods=500,
        refine_nperiods=400,
        downsample_limit=2000,
    )
    assert found.period[np.argmax(found.snr[:, 0])] == pytest.approx(2.7, abs=0.005)
    assert (np.diff(found.period) > 0).all()
    assert found.period.size == pytest.approx(900, abs=2)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_in_a_flat_line(seed):
    time, _ = sky(seed=seed)
    snr, _, _ = two_pass_bls.box_least_squares(
        time, np.zeros(time.size), np.ones(time.size), np.linspace(1.0, 5.0, 50), DURATIONS
    )
    assert not snr.any()
