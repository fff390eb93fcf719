import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline.clean import DetrendSettings
from pipeline.ephemeris import phase
from pipeline.fold import FoldSettings, bin_view, fold

PERIOD, EPOCH, DURATION, DEPTH = 3.21, 1326.4, 0.13, 0.004
LOCAL = np.linspace(-2, 2, 256, endpoint=False) + 2 / 256  # durations, centres of the bins


def sky(seed=0, noise=3e-4, depth=DEPTH, odd_depth=None, minutes=10.0, days=27.0):
    rng = np.random.default_rng(seed)
    time = cadences(days=days, minutes=minutes)
    dip = depth * trapezoid(time, 2 * PERIOD, EPOCH, DURATION)
    dip = dip + (depth if odd_depth is None else odd_depth) * trapezoid(time, 2 * PERIOD, EPOCH + PERIOD, DURATION)
    return cleaned(time, 1 - dip + noise * rng.normal(size=time.size), noise, minutes=minutes)


PLANET = signal(PERIOD, EPOCH, DURATION, DEPTH)


def test_views_show_the_depth_and_nothing_outside():
    views = fold(sky(), PLANET)
    assert views.global_view.flux.shape == (2048,)
    for view in (views.local_view, views.odd, views.even):
        assert view.flux.shape == view.filled.shape == view.scatter.shape == (256,)
        # a window of 0.16 durations holds some 5 cadences a parity: its median is good to 2e-4
        assert np.median(view.flux[np.abs(LOCAL) < 0.3]) == pytest.approx(-DEPTH, abs=2e-4)
        assert np.median(view.flux[np.abs(LOCAL) > 0.8]) == pytest.approx(0.0, abs=1e-4)
    middle = views.global_view.flux[1020:1028]
    assert middle == pytest.approx(np.full(8, -DEPTH), abs=3e-4)
    assert np.median(views.global_view.flux) == pytest.approx(0.0, abs=5e-5)
    assert views.notes == ()


def test_odd_and_even_follow_the_cycle_number_from_the_epoch():
    views = fold(sky(odd_depth=0.5 * DEPTH), PLANET)
    inside = np.abs(LOCAL) < 0.3
    assert np.median(views.even.flux[inside]) == pytest.approx(-DEPTH, abs=2e-4)
    assert np.median(views.odd.flux[inside]) == pytest.approx(-0.5 * DEPTH, abs=2e-4)
    later = fold(sky(odd_depth=0.5 * DEPTH), signal(PERIOD, EPOCH + PERIOD, DURATION, DEPTH))
    assert np.median(later.odd.flux[inside]) == pytest.approx(-DEPTH, abs=2e-4)


@pytest.mark.parametrize("at", [0.5, 0.31, 0.8])
def test_the_secondary_view_finds_the_eclipse_at_any_phase(at):
    base = sky()
    flux = base.raw.flux - 0.3 * DEPTH * trapezoid(base.raw.time, PERIOD, EPOCH + at * PERIOD, DURATION)
    views = fold(cleaned(base.raw.time, flux, 3e-4), PLANET)
    # trial phases are a quarter duration apart
    assert views.secondary_phase == pytest.approx(at, abs=0.3 * DURATION / PERIOD)
    assert np.median(views.secondary.flux[np.abs(LOCAL) < 0.2]) == pytest.approx(-0.3 * DEPTH, abs=2e-4)


def test_the_fold_phase_is_right_to_a_second_over_six_years():
    """A step of flux at phase 0, sampled every 20 s for three days at both ends of six years, must not smear."""
    period, epoch = 0.737373737, 1325.123456
    start = 1325.5 + np.array([0.0, 6 * 365.25])
    time = np.concatenate([np.arange(s, s + 3, 20 / 86400) for s in start])
    # exact truth in extended precision, independent of the code under test
    turns = (time.astype(np.longdouble) - np.longdouble(epoch)) / np.longdouble(period)
    seconds = np.asarray((turns - np.rint(turns)) * np.longdouble(period) * 86400, dtype=float)
    wrapped = (phase(time, period, epoch) * period * 86400 - seconds + 0.5 * period * 86400) % (period * 86400)
    # BTJD near 3500 in float64 is itself good to 4e-8 s only after the subtraction: 1e-4 s is generous
    assert np.abs(wrapped - 0.5 * period * 86400).max() < 1e-4
    flux = 1 - 0.01 * (np.abs(seconds) < 1800)
    views = fold(
        cleaned(time, flux, 1e-4, minutes=1 / 3),
        signal(period, epoch, 3600 / 86400, 0.01),
        FoldSettings(local_window=0.012),
        DetrendSettings(method="none"),
    )
    edge = np.flatnonzero(np.diff((views.local_view.flux < -0.005).astype(int)))
    # 256 bins over 4 durations are 56 s each: the edges sit between the right bins
    assert list(edge) == [95, 159]


def test_the_trend_is_fitted_without_the_transit():
    """A day-long trend window would eat part of a six-hour transit; with the transit hidden its depth survives."""
    rng = np.random.default_rng(3)
    time = cadences()
    period, duration, depth = 5.3, 0.25, 0.003
    trend = 1 + 0.004 * np.sin(2 * np.pi * time / 6.1) + red_noise(time, 1e-4, 48, rng)
    flux = trend * (1 - depth * trapezoid(time, period, EPOCH, duration)) + 2e-4 * rng.normal(size=time.size)
    views = fold(cleaned(time, flux, 2e-4), signal(period, EPOCH, duration, depth))
    # trends of this size leave some 5 % under a mask of 12 h
    assert np.median(views.local_view.flux[np.abs(LOCAL) < 0.3]) == pytest.approx(-depth, rel=0.06)


def test_a_contact_binary_is_folded_as_it_was_searched_and_says_so():
    time = cadences()
    flux = 1 + 0.1 * np.cos(4 * np.pi * (time - EPOCH) / 0.37)
    views = fold(cleaned(time, flux, 1e-3), signal(0.185, EPOCH, 0.09, 0.1))
    assert np.array_equal(views.light_curve.flux, flux)
    assert "too many to hide" in views.notes[0]


def test_a_short_period_narrows_the_mask_and_says_so():
    time = cadences()
    period, duration = 0.5, 0.11
    flux = 1 - DEPTH * trapezoid(time, period, EPOCH, duration)
    views = fold(cleaned(time, flux, 1e-4), signal(period, EPOCH, duration, DEPTH))
    assert "leaves room" in views.notes[0]
    assert views.local_view.flux.min() == pytest.approx(-DEPTH, rel=0.03)


def test_empty_bins_are_marked_and_interpolated():
    time = cadences(days=6.0, minutes=30.0, gap=2.5)
    # bins of 0.16 * 1.9 h are shorter than the cadence
    views = fold(cleaned(time, 1 + 0 * time, 1e-4, minutes=30.0), signal(4.0, EPOCH, 0.08, DEPTH))
    for view in (views.global_view, views.local_view, views.odd, views.even, views.secondary):
        assert np.isfinite(view.flux).all()
        assert (view.scatter[~view.filled] == 0).all()
    assert not views.odd.filled.all()
    assert not views.global_view.filled.all()


def test_the_scatter_is_the_standard_error_of_a_bin():
    rng = np.random.default_rng(5)
    position, centres = rng.uniform(-1, 1, 20000), np.linspace(-0.9, 0.9, 90)
    views = [bin_view(position, rng.normal(0, 1e-3, 20000), centres, 0.02) for _ in range(40)]
    spread = np.std([view.flux for view in views], axis=0).mean()
    claimed = np.mean([view.scatter for view in views])
    # the spread over 40 draws and 90 bins is known to 1 %, an interquartile range of 200 points is unbiased to 2 %
    assert claimed == pytest.approx(spread, rel=0.05)


def test_the_views_look_alike_at_two_minutes_and_at_thirty():
    fine, coarse = fold(sky(minutes=2.0, noise=6e-4), PLANET), fold(sky(minutes=30.0, noise=1.5e-4), PLANET)
    # both are medians over the same windows; 30 min sampling differs by a few cadences an edge
    difference = fine.global_view.flux - coarse.global_view.flux
    assert np.std(difference) < 0.1 * DEPTH


@settings(max_examples=40, deadline=None)
@given(
    period=st.floats(0.3, 40.0),
    share=st.floats(0.005, 0.9),
    epoch=st.floats(1300.0, 1400.0),
    points=st.integers(30, 400),
    seed=st.integers(0, 1000),
)
def test_any_signal_gives_finite_views(period, share, epoch, points, seed):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.choice(np.arange(20000), points, replace=False)) * 2 / 1440 + 1325.0
    flux = 1 + rng.normal(0, 10 ** rng.uniform(-5, 0), points)
    views = fold(cleaned(time, flux, 1e-3, minutes=2.0), signal(period, epoch, share * period, 0.01))
    for view in (views.global_view, views.local_view, views.secondary, views.odd, views.even):
        assert np.isfinite(view.flux).all()
        assert np.isfinite(view.scatter).all()
        assert (view.scatter >= 0).all()
    assert views.secondary_phase is None or 0 <= views.secondary_phase < 1


@given(
    flux=st.lists(st.floats(-1, 1), min_size=1, max_size=60),
    window=st.floats(0.01, 3.0),
    seed=st.integers(0, 100),
)
def test_every_bin_is_the_median_of_its_window(flux, window, seed):
    flux = np.array(flux)
    position = np.random.default_rng(seed).uniform(-1, 1, flux.size)
    centres = np.linspace(-1, 1, 17)
    view = bin_view(position, flux, centres, window)
    for centre, value, filled in zip(centres, view.flux, view.filled, strict=True):
        inside = (position >= centre - 0.5 * window) & (position <= centre + 0.5 * window)
        assert filled == inside.any()
        if filled:
            assert value == pytest.approx(np.median(flux[inside]), abs=1e-12)
