"""Box least squares in two passes, kept by name: a coarse grid of periods, then a fine one around its best.

The coarse grid does not follow the baseline: with several sectors it misses about half of the weak signals that the
default search finds. Use it to compare, not to hunt.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.periodogram import noise
from pipeline.periodogram.grid import LARGEST_DUTY, Grid
from pipeline.periodogram.spectrum import BINS_PER_DURATION, Kernel, Series, Spectrum
from pipeline.types import Floats

VERSION = 2

OVERSAMPLE = 10  # phase bins per shortest duration
REFINE_WIDTH = 0.02  # of the best coarse period, on both sides


@njit(cache=True, nogil=True, error_model="numpy")
def _box_least_squares(time, weighted, weight, periods, durations, longest_duty, oversample):
    count = periods.size
    snr = np.zeros(count)
    which = np.zeros(count, dtype=np.int64)
    epoch = np.zeros(count)
    width = durations[0] / oversample
    total = weight.sum()
    sum_flux = weighted.sum()
    most = math.ceil(periods.max() / width) + math.ceil(durations[-1] / width) + 2
    flux_sum = np.zeros(most)
    weight_sum = np.zeros(most)
    for p in range(count):
        period = periods[p]
        bins = math.ceil(period / width)
        extra = math.ceil(min(durations[-1], longest_duty * period) / width)
        extra = min(extra, bins)
        for i in range(bins + extra + 1):
            flux_sum[i] = 0.0
            weight_sum[i] = 0.0
        for i in range(time.size):
            k = int((time[i] - period * math.floor(time[i] / period)) / width) + 1
            k = min(k, bins)
            flux_sum[k] += weighted[i]
            weight_sum[k] += weight[i]
        # the folded series goes on past phase 1 by the longest duration: no phase is special
        for i in range(extra):
            flux_sum[bins + 1 + i] = flux_sum[1 + i]
            weight_sum[bins + 1 + i] = weight_sum[1 + i]
        for i in range(1, bins + extra + 1):
            flux_sum[i] += flux_sum[i - 1]
            weight_sum[i] += weight_sum[i - 1]
        best = 0.0
        for d in range(durations.size):
            if durations[d] > longest_duty * period:
                break
            length = math.floor(durations[d] / width + 0.5)
            if length > extra:
                length = extra
            for i in range(bins):
                inside = weight_sum[i + length] - weight_sum[i]
                outside = total - inside
                if inside <= 0.0 or outside <= 0.0:
                    continue
                inside_flux = flux_sum[i + length] - flux_sum[i]
                depth = (sum_flux - inside_flux) / outside - inside_flux / inside
                value = depth / math.sqrt(1.0 / inside + 1.0 / outside)
                if value > best:
                    best = value
                    which[p] = d
                    epoch[p] = (i + 0.5 * length) * width
        snr[p] = best
    return snr, which, epoch


def box_least_squares(
    time: Floats, flux: Floats, weight: Floats, periods: Floats, durations: Floats, oversample: int = OVERSAMPLE
) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Box least squares on unbinned cadences (Kovács et al. 2002, A&A 391, 369).

    Parameters
    ----------
    time, flux, weight : (n,)
        Days; relative flux; inverse squares of the errors, 0 to leave a cadence out.
    periods, durations : (p,), (d,) days, durations increasing
        Durations above 0.35 of a period are not tried at it.
    oversample : int
        Phase bins per shortest duration.

    Returns
    -------
    snr : (p,)
        Depth over its error at the best phase and duration; what astropy's ``BoxLeastSquares`` gives with
        ``objective="snr"``, except that no phase is cut short at the end of a cycle.
    duration : (p,) index into ``durations``
    epoch : (p,) days, a transit centre
    """
    start = float(time[0])
    snr, which, epoch = _box_least_squares(
        time - start,
        weight * flux,
        weight,
        np.ascontiguousarray(periods, dtype=np.float64),
        np.ascontiguousarray(durations, dtype=np.float64),
        LARGEST_DUTY,
        oversample,
    )
    return snr, which, start + epoch


def downsample(time: Floats, flux: Floats, weight: Floats, limit: int) -> tuple[Floats, Floats, Floats]:
    """Weighted means of neighbouring cadences, as many together as brings their number to ``limit``; none is dropped.

    Groups are equal stretches of time, so none reaches across a gap.
    """
    used = weight > 0
    time, flux, weight = time[used], flux[used], weight[used]
    factor = -(-time.size // limit)
    if factor <= 1:
        return time, flux, weight
    width = factor * float(np.median(np.diff(time)))
    row = np.unique(np.floor((time - time[0]) / width), return_inverse=True)[1]
    total = np.asarray(np.bincount(row, weight), dtype=np.float64)
    return np.bincount(row, weight * time) / total, np.bincount(row, weight * flux) / total, total


def measure_spectrum(
    time: Floats,
    flux: Floats,
    weight: Floats,
    grid: Grid,
    with_kernel: Kernel,
    *,
    coarse_nperiods: int = 2000,
    refine_nperiods: int = 3000,
    downsample_limit: int = 80_000,
) -> Spectrum:
    """The coarse and the fine pass of one star, merged in order of period.

    Parameters
    ----------
    time, flux, weight : (n,)
        Days; flux less its weighted mean; relative weights.
    grid : Grid
        Its limits and durations are used, not its periods.
    with_kernel : Kernel
        Measures the scatter.
    coarse_nperiods : int
        Equally spaced in period.
    refine_nperiods : int
        Within 2 % of the best coarse period.
    downsample_limit : int
        Cadences above which neighbours are averaged.

    Returns
    -------
    Spectrum
        Of one star; scaled, as everywhere, by the scatter measured at each duration.
    """
    low, high = float(grid.period[0]), float(grid.period[-1])
    series = Series(time, flux[None], weight, 0.0)
    filtered = [series.filtered(with_kernel, float(duration), "box", BINS_PER_DURATION) for duration in grid.durations]
    sigma = np.stack([noise.filtered_scatter(item) for item in filtered])
    depth_noise = np.stack([noise.depth_noise(item, scatter) for item, scatter in zip(filtered, sigma, strict=True)])
    sampled = downsample(time, flux, weight, downsample_limit)
    coarse = np.linspace(low, high, coarse_nperiods)
    passes = [(coarse, *box_least_squares(*sampled, coarse, grid.durations))]
    around = float(coarse[int(np.argmax(_scaled(passes[0][1], passes[0][2], sigma[:, 0])))])
    fine = np.linspace(max(low, around * (1 - REFINE_WIDTH)), min(high, around * (1 + REFINE_WIDTH)), refine_nperiods)
    passes.append((fine, *box_least_squares(*sampled, fine, grid.durations)))
    period, snr, which, _ = (np.concatenate(columns) for columns in zip(*passes, strict=True))
    top = int(np.argmax(snr))
    deepest = (float(period[top]), float(grid.durations[which[top]]))
    period, order = np.unique(period, return_index=True)
    return Spectrum(
        period,
        _scaled(snr, which, sigma[:, 0])[order, None].astype(np.float32),
        np.zeros((period.size, 1), dtype=np.float32),
        which[order, None].astype(np.int16),
        np.zeros((period.size, 1), dtype=np.int16),
        sigma[:, None, :],
        depth_noise,
        (deepest,),
    )


def _scaled(snr: Floats, which: NDArray[np.int64], sigma: Floats) -> Floats:
    """Signal-to-noise over the scatter of the duration it was found at; 0 where there is none."""
    return np.divide(snr, sigma[which], out=np.zeros(snr.size), where=sigma[which] > 0)
