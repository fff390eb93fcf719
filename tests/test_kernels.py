"""The fast folds against the numpy one, which is their specification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.periodogram import binned, jax_kernel, numba_kernel, reference
from pipeline.periodogram.spectrum import rebin_for

KERNELS = {"numba": numba_kernel.fold, "jax": jax_kernel.fold}
DURATION = 0.15  # days


def filtered(template="box", stars=3, gap=(0.0, 0.0), seed=3):
    """Some stars with a transit every 2.3 d at different phases, binned and filtered."""
    rng = np.random.default_rng(seed)
    time = 1500.0 + np.arange(0.0, 14.0, 10.0 / 1440.0)
    time = time[(time < 1506.3) | (time > 1507.1)]
    time = np.concatenate([time[time < 1509.0], time[time >= 1509.0] + gap[0]])
    flux = rng.normal(0.0, 1e-3, (time.size, stars))
    for star in range(stars):
        phase = (time - 1500.2 - 0.4 * star + 1.15) % 2.3 - 1.15
        flux[np.abs(phase) < DURATION / 2, star] -= 3e-3
    flux -= flux.mean(axis=0)
    series = binned.bin_light_curve(time, flux, np.ones(time.size), 1500.0, 10.0 / 1440.0)
    ready = binned.filter_series(rebin_for(series, DURATION, 6), DURATION, template)
    return ready, float(time.size)


def arguments(ready, total, periods, floor=1.5):
    return (
        ready.numerator,
        ready.denominator,
        ready.first,
        ready.length,
        ready.offset,
        np.asarray(periods) / ready.width,
        total,
        floor * float(ready.denominator.max()),
    )


PERIODS = 2.3 * 1.013 ** np.arange(-60, 90)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("template", ["box", "limb-darkened", "v"])
def test_a_fast_fold_gives_the_numbers_of_the_reference(kernel, template):
    given = arguments(*filtered(template), PERIODS)
    power, phase_bin = reference.fold(*given)
    fast_power, fast_bin = KERNELS[kernel](*given)
    np.testing.assert_allclose(fast_power, power, rtol=1e-5)
    assert (fast_bin == phase_bin).mean() > 0.99  # two phases of equal height may be told apart by the last bit
    assert fast_power.dtype == np.float32
    assert fast_bin.dtype == np.int32
    np.testing.assert_allclose(PERIODS[np.argmax(power, axis=0)], 2.3, rtol=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_fast_fold_crosses_two_empty_years_like_the_reference(kernel):
    ready, total = filtered(gap=(730.0, 0.0))
    assert ready.denominator.size < 14.5 / ready.width  # the empty years are not in the series
    given = arguments(ready, total, PERIODS)
    power, phase_bin = reference.fold(*given)
    fast_power, fast_bin = KERNELS[kernel](*given)
    np.testing.assert_allclose(fast_power, power, rtol=1e-5)
    assert (fast_bin == phase_bin).mean() > 0.99


@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_a_star_in_a_batch_gets_the_numbers_it_gets_alone(kernel):
    fold = reference.fold if kernel == "numpy" else KERNELS[kernel]
    ready, total = filtered(stars=3)
    given = arguments(ready, total, PERIODS[::5])
    power, phase_bin = fold(*given)
    for star in range(3):
        alone, alone_bin = fold(np.ascontiguousarray(given[0][:, star : star + 1]), *given[1:])
        np.testing.assert_allclose(alone[:, 0], power[:, star], rtol=1e-6)
        assert (alone_bin[:, 0] == phase_bin[:, star]).mean() > 0.95


def test_long_periods_cut_into_tiles_give_the_numbers_of_the_reference():
    ready, total = filtered(stars=40)
    given = arguments(ready, total, [5.1, 6.0, 6.9])
    assert 5.1 / ready.width > numba_kernel.TILE / 40
    power, _ = reference.fold(*given)
    np.testing.assert_allclose(numba_kernel.fold(*given)[0], power, rtol=1e-5)


@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_a_fold_repeats_itself_to_the_bit(kernel):
    fold = reference.fold if kernel == "numpy" else KERNELS[kernel]
    given = arguments(*filtered(), PERIODS[::10])
    first, again = fold(*given), fold(*given)
    assert first[0].tobytes() == again[0].tobytes()
    assert first[1].tobytes() == again[1].tobytes()


@pytest.mark.parametrize("kernel", ["numpy", *KERNELS])
def test_a_floor_nothing_reaches_leaves_no_power(kernel):
    fold = reference.fold if kernel == "numpy" else KERNELS[kernel]
    power, _ = fold(*arguments(*filtered(), PERIODS[::10], floor=1e6))
    assert not power.any()


def test_the_device_fold_compiles_nothing_new_for_a_second_star_of_the_same_grid():
    jax_kernel.fold(*arguments(*filtered(seed=3), PERIODS))
    before = jax_kernel._fold_bucket._cache_size()
    jax_kernel.fold(*arguments(*filtered(seed=4), PERIODS))
    assert jax_kernel._fold_bucket._cache_size() == before


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
