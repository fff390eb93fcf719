"""Noise as a transit meets it: measured at each duration, and allowed to change along the light curve.

Errors from a file describe photons. A matched filter's output scatters more where the star or the spacecraft is
restless, and more for long transits than for short ones; dividing by the measured scatter makes the signal-to-noise
comparable with SPOC's multiple event statistic (Jenkins 2002, ApJ 575, 493; CDPP is the same scatter as a depth).
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram.binned import FilteredSeries
from pipeline.types import Floats

SIGMA_PER_MAD = 1.4826
STEADY_ERRORS = 1.3  # 95th over 5th percentile of the errors; below it all cadences weigh the same
RESTLESS = 1.5  # largest over median local scatter; below it the scatter counts as steady
STEADY = 1.25  # local over median scatter up to which a cadence keeps its full weight
LOCAL_WINDOW = 2.0  # days
LOCAL_STEP = 1.0  # days
LOCAL_BIN = 1.0 / 48.0  # days
ENOUGH_WINDOWS = 1500  # filtered bins of which a third measures the scatter as well
THINNED = 3
FEWEST_WINDOWS = 30  # filtered bins below which a scatter is not worth the name


def cadence_weights(time: Floats, flux: Floats, flux_err: Floats) -> Floats:
    """Relative weight of each cadence, median near 1: inverse squares of the errors and of the local scatter.

    Parameters
    ----------
    time, flux, flux_err : (n,)
        Errors that are nowhere above 0 are ignored.

    Returns
    -------
    (n,) float64
        All ones where errors and scatter are steady, so that stars observed alike weigh alike.

    Notes
    -----
    The local scatter is that of differences between neighbouring half-hour means within two days, which a transit
    enters only by its ingress and egress. It only ever lowers a weight, and only where it exceeds its median by a
    quarter: the search counts transits by their weight.
    """
    weight = np.ones(time.size)
    good = flux_err > 0
    if good.all() and flux_err.max() > STEADY_ERRORS * flux_err.min():
        low, high = np.percentile(flux_err, (5, 95))
        if high > STEADY_ERRORS * low:
            weight = np.clip((np.median(flux_err) / flux_err) ** 2, 1e-2, 1e2)
    scatter = local_scatter(time, flux, weight)
    if scatter is not None:
        weight = weight / scatter**2
    return weight / np.median(weight)


def local_scatter(time: Floats, flux: Floats, weight: Floats) -> Floats | None:
    """Excess of the scatter around each cadence over its median, (n,), at least 1; None if steady or unknown."""
    width = max(LOCAL_BIN, 2.0 * float(np.median(np.diff(time)))) if time.size > 1 else LOCAL_BIN
    index = np.floor((time - time[0]) / width).astype(np.int64)
    used, row = np.unique(index, return_inverse=True)
    total = np.bincount(row, weight)
    mean = np.bincount(row, weight * flux) / total
    pairs = np.diff(used) == 1
    jump = np.abs(np.diff(mean) / np.sqrt(1.0 / total[1:] + 1.0 / total[:-1]))[pairs]
    at = (time[0] + (used[1:] + 0.0) * width)[pairs]
    if jump.size < FEWEST_WINDOWS or not np.median(jump) > 0:
        return None
    centres = np.arange(time[0], time[-1] + LOCAL_STEP, LOCAL_STEP)
    low, high = np.searchsorted(at, centres - LOCAL_WINDOW / 2), np.searchsorted(at, centres + LOCAL_WINDOW / 2)
    enough = np.flatnonzero(high - low >= FEWEST_WINDOWS // 2)
    if enough.size == 0:
        return None
    scatter = np.array([np.median(jump[low[k] : high[k]]) for k in enough]) / np.median(jump)
    if scatter.max() < RESTLESS:
        return None
    return np.clip(np.interp(time, centres[enough], scatter) / STEADY, 1.0, 30.0)


def filtered_scatter(filtered: FilteredSeries) -> Floats:
    """Robust scatter of the filter's output, numerator / sqrt(denominator), where its window is well filled; (stars,).

    0 where the flux does not vary. Neighbours hold almost the same cadences: of long series every third is taken.
    """
    denominator = filtered.denominator[0]
    filled = np.flatnonzero(denominator >= 0.5 * denominator.max())
    if filled.size > ENOUGH_WINDOWS:
        filled = filled[::THINNED]
    output = filtered.numerator[:, 0, filled] / np.sqrt(denominator[filled])
    return robust_scatter(output)


def depth_noise(filtered: FilteredSeries, scatter: Floats) -> Floats:
    """The scatter of the filter's output as the depth of one well-observed transit, (stars,) fraction: its CDPP."""
    denominator = filtered.denominator[0]
    if denominator.size > ENOUGH_WINDOWS:
        denominator = denominator[::THINNED]
    return scatter / np.sqrt(float(np.median(denominator[denominator >= 0.5 * denominator.max()])))


def robust_scatter(values: NDArray[np.float32] | NDArray[np.float64]) -> Floats:
    """1.4826 times the median absolute deviation of each row, (rows,); the standard deviation where most are equal."""
    sigma = SIGMA_PER_MAD * np.median(np.abs(values - np.median(values, axis=1, keepdims=True)), axis=1)
    spread = values.std(axis=1, dtype=np.float64)
    return np.where(sigma < 1e-3 * spread, spread, sigma)
