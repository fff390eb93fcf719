"""The fast folds against the numpy one, which is their specification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.periodogram import binned, grid, jax_kernel, numba_kernel, reference, tree
from pipeline.periodogram.spectrum import Series, kernel

KERNELS = {"numba": numba_kernel.fold, "jax": jax_kernel.fold}
ALL = {"numpy": reference.fold, **KERNELS}
DURATION = 0.15  # days
CADENCE = 10.0 / 1440.0  # days


def filtered(template="box", stars=3, gap=0.0, seed=3, days=14.0):
    """Some stars with a transit every 2.3 d at different phases, binned and filtered."""
    rng = np.random.default_rng(seed)
    time = 1500.0 + np.arange(0.0, days, CADENCE)
    time = time[(time < 1506.3) | (time > 1507.1)]
    time = np.where(time < 1509.0, time, time + gap)
    flux = rng.normal(0.0, 1.0, (stars, time.size))
    for star in range(stars):
        phase = (time - 1500.2 - 0.4 * star + 1.15) % 2.3 - 1.15
        flux[star, np.abs(phase) < DURATION / 2] -= 3.0
    flux -= flux.mean(axis=1, keepdims=True)
    series = Series(time, flux, np.ones(time.size), CADENCE)
    return series.filtered(kernel("numpy"), DURATION, template, 6), float(time.size)


def arguments(ready, total, periods, floor=1.5):
    return (
        ready.numerator,
        ready.denominator,
        np.asarray(periods) / ready.width,
        total,
        floor * float(ready.denominator.max()),
    )


def ofir(span, low, high):
    """The periods a search would try."""
    return grid.periods(low, high, grid.frequency_step(span, 1.0, 3.0))


PERIODS = 2.3 * 1.013 ** np.arange(-60, 90)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("template", ["box", "limb-darkened", "v"])
def test_a_fast_fold_gives_the_numbers_of_the_reference(name, template):
    given = arguments(*filtered(template), PERIODS)
    highest, lowest = reference.fold(*given)
    fast, fast_lowest = KERNELS[name](*given)
    np.testing.assert_allclose(fast, highest, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fast_lowest, lowest, rtol=1e-5, atol=1e-5)
    assert fast.dtype == fast_lowest.dtype == np.float32
    np.testing.assert_allclose(PERIODS[np.argmax(highest, axis=0)], 2.3, rtol=0.01)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("days", "gap"), [(14.0, 0.0), (40.0, 60.0), (14.0, 730.0)])
def test_a_fast_fold_shares_sums_as_the_reference_does(name, days, gap):
    ready, total = filtered(stars=2, days=days, gap=gap)
    periods = np.concatenate([ofir(days + gap, 0.5, 0.6)[:150], ofir(days + gap, 2.29, 2.32)[:80]])
    given = arguments(ready, total, periods)
    plans = {(block.lower > 1, block.upper > 1) for block in tree.blocks(given[2], ready.denominator.shape[1])}
    assert any(upper for _, upper in plans)
    highest, lowest = reference.fold(*given)
    fast, fast_lowest = KERNELS[name](*given)
    np.testing.assert_allclose(fast, highest, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(fast_lowest, lowest, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize(("days", "gap"), [(27.0, 0.0), (60.0, 0.0), (54.0, 700.0)])
@pytest.mark.parametrize("template", ["box", "v"])
def test_sharing_sums_costs_next_to_nothing(days, gap, template):
    ready, total = filtered(template, stars=1, days=days, gap=gap)
    around = ofir(days + gap, 2.28, 2.32)
    given = arguments(ready, total, np.concatenate([ofir(days + gap, 0.5, 0.501), around]))
    shared, each = reference.fold(*given)[0], reference.fold_each(*given)[0]
    high = each > 0.5 * each.max()
    assert (shared[high] / each[high]).mean() > 0.98
    assert shared.max() > 0.94 * each.max()


@pytest.mark.parametrize("name", ALL)
def test_a_star_in_a_batch_gets_the_numbers_it_gets_alone(name):
    given = arguments(*filtered(stars=3), PERIODS[::5])
    highest, lowest = ALL[name](*given)
    for star in range(3):
        alone, alone_lowest = ALL[name](np.ascontiguousarray(given[0][star : star + 1]), *given[1:])
        np.testing.assert_allclose(alone[:, 0], highest[:, star], rtol=1e-6)
        np.testing.assert_allclose(alone_lowest[:, 0], lowest[:, star], rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_light_curve_upside_down_gives_the_lowest_for_the_highest(name):
    given = arguments(*filtered(), PERIODS[::10])
    highest, lowest = ALL[name](*given)
    turned = ALL[name](-given[0], *given[1:])
    np.testing.assert_allclose(turned[0], lowest, rtol=1e-6)
    np.testing.assert_allclose(turned[1], highest, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_fold_repeats_itself_to_the_bit(name):
    given = arguments(*filtered(), PERIODS[::10])
    first, again = ALL[name](*given), ALL[name](*given)
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()


@pytest.mark.parametrize("name", ALL)
def test_a_floor_nothing_reaches_leaves_no_power(name):
    highest, lowest = ALL[name](*arguments(*filtered(), PERIODS[::10], floor=1e6))
    assert not highest.any()
    assert not lowest.any()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("periods", [[], [2.3], [0.9, 2.3, 6.5], [0.2, 0.5, 7.0]])
def test_any_periods_will_do(name, periods):
    ready, total = filtered(stars=1)
    given = arguments(ready, total, periods)
    highest, _ = ALL[name](*given)
    assert highest.shape == (len(periods), 1)
    np.testing.assert_allclose(highest, reference.fold(*given)[0], rtol=1e-5, atol=1e-5)


def test_the_best_phase_is_a_transit():
    ready, total = filtered(stars=1)
    floor = 1.5 * float(ready.denominator.max())
    score, place = reference.best_phase(ready.numerator[0], ready.denominator, 2.3 / ready.width, total, floor)
    assert score == pytest.approx(float(reference.fold_each(*arguments(ready, total, [2.3]))[0][0, 0]), rel=1e-5)
    epoch = ready.start + (place + 0.5) * ready.width
    assert abs((epoch - 1500.2 + 1.15) % 2.3 - 1.15) < ready.width


@given(
    first=st.floats(4.0, 3000.0), drift=st.floats(1e-3, 100.0), rows=st.integers(10, 400_000)
)  # fmt: skip
def test_no_plan_puts_a_cycle_far_from_its_place(first, drift, rows):
    step = drift * first / rows
    lower, upper, wide, narrow = tree.plan(first, step, rows)
    assert min(lower, upper, wide, narrow) >= 1
    assert narrow <= wide
    if lower > 1:  # half the periods that share, times half the cycles of a node
        assert 0.25 * wide * step * lower <= tree.LARGEST_TOLERANCE + 1e-9
    if upper > 1:
        assert 0.25 * narrow * step * lower * upper <= tree.LARGEST_TOLERANCE + 1e-9


def test_the_device_fold_compiles_nothing_new_for_a_second_star_of_the_same_grid():
    jax_kernel.fold(*arguments(*filtered(seed=3), PERIODS))
    before = jax_kernel._scores._cache_size(), jax_kernel._sum_windows._cache_size()
    jax_kernel.fold(*arguments(*filtered(seed=4), PERIODS))
    assert (jax_kernel._scores._cache_size(), jax_kernel._sum_windows._cache_size()) == before


@given(st.integers(0, 300), st.floats(0.003, 0.3), st.integers(0, 9), st.sampled_from(binned.TEMPLATES))
def test_compiled_bins_and_filters_are_the_reference_ones(count, width, pad, template):
    rng = np.random.default_rng(count)
    time = np.sort(rng.uniform(1500.0, 1530.0, count + 1))
    flux, weight = rng.normal(size=(2, count + 1)), rng.uniform(0.0, 2.0, count + 1)
    slow = binned.bin_light_curve(time, flux, weight, 1500.0, width, pad)
    fast = numba_kernel.bin_light_curve(time, flux, weight, 1500.0, width, pad)
    assert fast.start == slow.start
    np.testing.assert_allclose(fast.weight, slow.weight, atol=1e-9)
    np.testing.assert_allclose(fast.weighted_flux, slow.weighted_flux, atol=1e-9)
    taps = [binned.template_taps(template, 5.3, shift) for shift in (0.0, 0.5)]
    slow_filter, fast_filter = binned.correlate(slow, *taps), numba_kernel.correlate(slow, *taps)
    np.testing.assert_allclose(fast_filter.numerator, slow_filter.numerator, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fast_filter.denominator, slow_filter.denominator, rtol=1e-5, atol=1e-5)


@given(
    st.integers(min_value=0, max_value=200),
    st.floats(min_value=0.3, max_value=20.0),
    st.floats(min_value=-5.0, max_value=40.0),
    st.floats(min_value=0.02, max_value=0.1),
    st.sampled_from(binned.TEMPLATES),
)
def test_the_compiled_sums_inside_a_transit_are_the_reference_sums(count, period, epoch, share, template):
    rng = np.random.default_rng(count)
    time = np.sort(rng.uniform(0.0, 27.0, count))
    arrays = time, rng.normal(size=count), rng.uniform(0.0, 2.0, count)
    table = binned.template_table(template)
    slow = reference.sums_inside(*arrays, period, epoch, share * period, table)
    fast = numba_kernel.sums_inside(*arrays, period, epoch, share * period, table)
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-9)


@given(
    st.integers(min_value=0, max_value=200),
    st.floats(min_value=1.0, max_value=9.0),
    st.floats(min_value=0.05, max_value=0.2),
    st.sampled_from(binned.TEMPLATES),
    st.booleans(),
)
def test_the_compiled_climb_ends_where_the_reference_does(seed, period, duration, template, longer):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0.0, 27.0, 1500))
    flux, weight = rng.normal(0.0, 1e-3, time.size), rng.uniform(0.5, 2.0, time.size)
    flux[np.abs((time - 3.0 + period / 2) % period - period / 2) < duration / 2] -= 3e-3
    start = (period * (1 + 1e-4), 3.0 + 0.1 * duration, duration * 1.2)
    sigma = np.array([1.0, 1.2, 1.5]), np.array([0.04, 0.1, 0.3])
    given_all = (
        time, flux, weight, float(weight.sum()), start, binned.template_table(template), sigma[1], sigma[0],
        (0.5, 13.0), 0.5 * longer, 0.25, 27.0,
    )  # fmt: skip
    slow, fast = reference.climb(*given_all), numba_kernel.climb(*given_all)
    np.testing.assert_allclose(fast, slow, rtol=1e-9)
    if not longer:
        assert slow[2] == start[2]
