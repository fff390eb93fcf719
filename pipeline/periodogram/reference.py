"""The shift-add fold in plain numpy: slow, and the specification of the fast kernels.

The filter acted in time, so folding is adding: each cycle of a trial period is one contiguous run of filtered bins,
added where the run begins. A transit at phase 0 is nothing special. The rounding of a run's start moves it by at most
half a bin, a twelfth of a duration.
"""

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]


def fold(
    numerator: Singles,
    denominator: Singles,
    first: NDArray[np.int64],
    length: NDArray[np.int64],
    offset: NDArray[np.int64],
    period_bins: NDArray[np.float64],
    total_weight: float,
    floor: float,
) -> tuple[Singles, NDArray[np.int32]]:
    """Fold filtered series at many periods and keep the best phase of each.

    Parameters
    ----------
    numerator : (rows, stars) float32
        Filtered numerator, positive for dimming.
    denominator : (rows,) float32
        Filtered denominator, shared by the stars.
    first, length, offset : (stretches,) int64
        Stretch k covers bins ``first[k]`` to ``first[k] + length[k]`` and starts at row ``offset[k]``.
    period_bins : (p,) float64
        Trial periods in bins; at least 1.
    total_weight : float
        Weight of the whole light curve.
    floor : float
        Phases with less denominator than this are not considered.

    Returns
    -------
    power : (p, stars) float32
        Largest numerator / sqrt(denominator * (1 - denominator / total_weight)) over phase; 0 where nothing dims.
    phase_bin : (p, stars) int32
        The phase bin it was found in.

    Notes
    -----
    Cycle c starts at bin floor(c * period_bins + 1/2), computed in float64 and exact over any baseline. Sums run in
    order of time, in float32, so that every kernel rounds alike.
    """
    stars = numerator.shape[1]
    power = np.zeros((period_bins.size, stars), dtype=np.float32)
    phase_bin = np.zeros((period_bins.size, stars), dtype=np.int32)
    one = np.float32(1.0)
    inverse_total = np.float32(1.0 / total_weight)
    floor32 = np.float32(floor)
    for p, bins in enumerate(period_bins):
        phases = int(np.floor(bins)) + 1
        folded = np.zeros((phases, stars), dtype=np.float32)
        weight = np.zeros(phases, dtype=np.float32)
        for begin, count, row in zip(first, length, offset, strict=True):
            cycle = int(np.floor((begin - phases) / bins))
            while (start := int(np.floor(cycle * bins + 0.5))) < begin + count:
                low, high = max(start, begin), min(start + phases, begin + count)
                if high > low:
                    folded[low - start : high - start] += numerator[row + low - begin : row + high - begin]
                    weight[low - start : high - start] += denominator[row + low - begin : row + high - begin]
                cycle += 1
        variance = np.maximum(weight, floor32) * np.maximum(one - weight * inverse_total, np.float32(1e-6))
        score = np.where(weight >= floor32, one / np.sqrt(variance), np.float32(0.0))[:, None] * folded
        best = np.argmax(score, axis=0)
        power[p] = np.maximum(score[best, np.arange(stars)], np.float32(0.0))
        phase_bin[p] = best
    return power, phase_bin


def sums_inside(
    time: NDArray[np.float64],
    flux: NDArray[np.float64],
    weight: NDArray[np.float64],
    period: float,
    epoch: float,
    duration: float,
    table: NDArray[np.float64],
) -> tuple[float, float, float]:
    """What a depth is made of, over the cadences inside the transits of an ephemeris.

    Parameters
    ----------
    time, flux, weight : (n,) float64
    period, epoch, duration : float
        Days.
    table : (m,) float64
        The template from its centre to its edge, in equal steps.

    Returns
    -------
    Sums of a w y, a**2 w and a w, with a the template.
    """
    offset = time - epoch
    distance = np.abs(offset - period * np.floor(offset / period + 0.5)) * (2.0 / duration)
    inside = distance < 1.0
    shape = np.interp(distance[inside] * (table.size - 1), np.arange(table.size), table)
    weighted = shape * weight[inside]
    return float(weighted @ flux[inside]), float(weighted @ shape), float(weighted.sum())
