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
FARTHEST = 3.0  # deviations beyond which a value is an outlier; within one less it counts fully
OF_NORMAL = 0.94829  # what is left of a normal distribution's deviation when its tails count so
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
    scatter = np.array([middle(jump[None, low[k] : high[k]])[0, 0] for k in enough]) / np.median(jump)
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
    filled = denominator[denominator >= 0.5 * denominator.max()]
    return scatter / np.sqrt(float(middle(filled[None])[0, 0]))


def robust_scatter(values: NDArray[np.float32] | NDArray[np.float64]) -> Floats:
    """Standard deviation of each row without its outliers, (rows,); with them where most values are equal.

    What lies within 2 deviations of the median counts fully, what lies beyond 3 not at all, with a median absolute
    deviation for the first guess. That alone would err more (its efficiency for normal noise is 37 %), and the few
    hundred independent windows of a sector leave enough error already: it divides every peak.
    """
    away = values - middle(values)
    np.abs(away, out=away)
    guess = SIGMA_PER_MAD * middle(away)
    inside = np.clip(FARTHEST - away / np.where(guess > 0, guess, 1.0), 0.0, 1.0)
    kept = inside.sum(axis=1, dtype=np.float64)
    sigma = np.sqrt((inside * away**2).sum(axis=1, dtype=np.float64) / np.maximum(kept, 1.0)) / OF_NORMAL
    if (guess[:, 0] >= 1e-3 * away.max(axis=1)).all():
        return sigma
    spread = values.std(axis=1, dtype=np.float64)
    return np.where(guess[:, 0] < 1e-3 * spread, spread, sigma)


def middle(values: NDArray) -> NDArray:
    """The median of each row, (rows, 1), of an even number the higher of the two; a fifth of ``np.median``'s time."""
    half = values.shape[1] // 2
    return np.partition(values, half, axis=1)[:, half : half + 1]
