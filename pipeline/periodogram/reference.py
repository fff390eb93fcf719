"""The fold in plain numpy: slow, and the specification of the fast kernels.

The filter acted in time, so folding is adding: each cycle of a trial period is one contiguous run of filtered bins,
added where the run begins. A transit at phase 0 is nothing special. The series comes twice, the second time half a bin
later, so that the rounding of a run's start moves it by at most a quarter of a bin. ``fold_each`` adds every cycle at
every period; ``fold`` lets neighbouring periods share sums of cycles as `pipeline.periodogram.tree` plans it, and is
what the fast kernels must equal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram import tree

Singles = NDArray[np.float32]


def fold(
    numerator: Singles, denominator: Singles, period_bins: NDArray[np.float64], total_weight: float, floor: float
) -> tuple[Singles, Singles]:
    """Fold filtered series at many periods and keep the best score of each.

    Parameters
    ----------
    numerator : (stars, 2, rows) float32
        Filtered numerator, positive for dimming; the second half a bin later.
    denominator : (2, rows) float32
        Filtered denominator, shared by the stars; 0 where a window holds no cadence.
    period_bins : (p,) float64
        Trial periods in bins, increasing, at least 1; neighbours that are close share their sums.
    total_weight : float
        Weight of the whole light curve.
    floor : float
        Phases with less denominator than this are not considered.

    Returns
    -------
    highest : (p, stars) float32
        Largest numerator / sqrt(denominator * (1 - denominator / total_weight)) over phase; 0 where nothing dims.
    lowest : (p, stars) float32
        The same of the light curve turned upside down.

    Notes
    -----
    Cycle c starts at the half bin nearest to c * period_bins, counted from the middle of the series and computed in
    float64, exact over any baseline. Phases are rounded up to a multiple of 32; those beyond the period repeat the
    first ones one cycle on. Sums are float32.
    """
    stars, _, rows = numerator.shape
    highest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lowest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lines = np.concatenate([denominator[None], numerator])
    for shared in tree.blocks(period_bins, rows):
        cycles = tree.cycle_numbers(shared, denominator[0] > 0)
        raw = _Nodes(lines, cycles, np.full(cycles.size, float(rows // 2)))
        lower = raw if shared.lower == 1 else _combine(raw, shared.lower, shared.centre, shared.margin, shared.width)
        for block in shared.parts:
            nodes = lower if shared.upper == 1 else _combine(
                lower, shared.lower * shared.upper, block.centre, block.margin, shared.width
            )  # fmt: skip
            for k in range(block.first, block.last):
                folded = _sum(nodes, slice(None), period_bins[k], 0, tree.phases(period_bins[k]))
                highest[k], lowest[k] = _extremes(folded, total_weight, floor)
    return highest, lowest


def fold_each(
    numerator: Singles, denominator: Singles, period_bins: NDArray[np.float64], total_weight: float, floor: float
) -> tuple[Singles, Singles]:
    """As :func:`fold`, every cycle added at every period."""
    stars = numerator.shape[0]
    highest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lowest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lines = np.concatenate([denominator[None], numerator])
    for k, bins in enumerate(period_bins):
        highest[k], lowest[k] = _extremes(_folded(lines, bins), total_weight, floor)
    return highest, lowest


def best_phase(
    numerator: Singles, denominator: Singles, period_bins: float, total_weight: float, floor: float
) -> tuple[float, int]:
    """Score of the highest phase of one star at one period, and its bin, counted from bin 0 of the series.

    ``numerator`` is (2, rows); every cycle is added.
    """
    folded = _folded(np.stack([denominator, numerator]), period_bins)
    score = folded[1] * _inverse_root(folded[0], total_weight, floor)
    best = int(np.argmax(score))
    return float(score[best]), denominator.shape[1] // 2 + best


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Windows of rows that are added as one; see `pipeline.periodogram.tree`."""

    lines: Singles  # (1 + stars, 1 or 2, rows) the denominator first; a second one half a bin later
    cycle: NDArray[np.float64]  # (nodes,) mean cycle number, from the middle of the series
    base: NDArray[np.float64]  # (nodes,) row at which phase 0 of cycle 0 would lie


def _sum(nodes: _Nodes, which: slice, period: float, margin: int, width: int) -> Singles:
    """The windows of some nodes at one period, added; (1 + stars, width)."""
    halves, length = nodes.lines.shape[1:]
    total = np.zeros((nodes.lines.shape[0], width), dtype=np.float32)
    place = np.floor(halves * (nodes.base[which] + nodes.cycle[which] * period) + 0.5).astype(np.int64)
    for half, start in zip(place % halves, place // halves - margin, strict=True):
        low, high = max(start, 0), min(start + width, length)
        if high > low:
            total[:, low - start : high - start] += nodes.lines[:, half, low:high]
    return total


def _combine(nodes: _Nodes, reach: int, period: float, margin: int, width: int) -> _Nodes:
    """Nodes of all the nodes within ``reach`` cycles, with ``margin`` rows to spare at both ends."""
    window = width + 2 * margin
    parts: list[Singles] = []
    cycle: list[float] = []
    base: list[float] = []
    low = 0
    while low < nodes.cycle.size:
        which = slice(low, low + int(np.searchsorted(nodes.cycle[low:], nodes.cycle[low] + reach)))
        mean = float(nodes.cycle[which].sum()) / nodes.cycle[which].size
        base.append(len(parts) * window + margin - mean * period)
        cycle.append(mean)
        parts.append(_sum(nodes, which, period, margin, window))
        low = which.stop
    lines = np.concatenate(parts, axis=1) if parts else np.zeros((nodes.lines.shape[0], 0), dtype=np.float32)
    return _Nodes(lines[:, None], np.asarray(cycle), np.asarray(base))


def _folded(lines: Singles, bins: float) -> Singles:
    """Every cycle of one period, added; phase 0 begins at the middle of the series."""
    rows = lines.shape[2]
    width = tree.phases(bins)
    numbers = np.arange(np.floor((-(rows // 2) - width) / bins), np.ceil((rows - rows // 2) / bins) + 1.0)
    return _sum(_Nodes(lines, numbers, np.full(numbers.size, float(rows // 2))), slice(None), bins, 0, width)


def _inverse_root(weight: Singles, total_weight: float, floor: float) -> Singles:
    """1 / sqrt(B (1 - B / W)) where B reaches the floor, else 0."""
    left = np.maximum(np.float32(1.0) - weight * np.float32(1.0 / total_weight), np.float32(1e-6))
    held = np.maximum(weight, np.float32(floor))
    return np.where(weight >= np.float32(floor), np.float32(1.0) / np.sqrt(held * left), np.float32(0.0))


def _extremes(folded: Singles, total_weight: float, floor: float) -> tuple[Singles, Singles]:
    """Highest score of each star and that of its inversion; (stars,), (stars,)."""
    score = folded[1:] * _inverse_root(folded[0], total_weight, floor)
    return np.maximum(score.max(axis=1), np.float32(0.0)), np.maximum(-score.min(axis=1), np.float32(0.0))


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


def climb(
    time: NDArray[np.float64],
    flux: NDArray[np.float64],
    weight: NDArray[np.float64],
    total: float,
    start: tuple[float, float, float],
    table: NDArray[np.float64],
    durations: NDArray[np.float64],
    sigma: NDArray[np.float64],
    limits: tuple[float, float],
    longest: float,
    duty: float,
    span: float,
) -> tuple[float, float, float]:
    """The nearest maximum of the signal-to-noise over period, epoch and, where it may change, duration.

    A pattern search; a compiled kernel compiles this very function, with its own ``sums_inside``.

    Parameters
    ----------
    time, flux, weight : (n,)
        Cadences near the transits.
    total : float
        Weight of all cadences.
    start : (period, epoch, duration), days
        The epoch in the middle of the data, where its error does not depend on the period's.
    table : (m,)
        The template from its centre to its edge.
    durations, sigma : (k,)
        Scatter of the filter's output by duration.
    limits : shortest and longest period, days
    longest : float
        Days up to which the duration may change, by a factor of two at most; 0 leaves it.
    duty : float
        Largest duration as a share of the period.
    span : float
        Days between the first and the last cadence.
    """
    cycles = max(1.0, span / start[0])
    period, epoch, duration = start
    highest = -np.inf
    scale = 0.25
    moved = False
    while scale > 0.004:
        if not moved:
            scale /= 2.0
        moved = False
        move = scale * duration
        drift = 2.0 * move / cycles
        for later, slower, longer in (
            (0.0, 0.0, 0.0),
            (move, 0.0, 0.0),
            (-move, 0.0, 0.0),
            (0.0, drift, 0.0),
            (0.0, -drift, 0.0),
            (0.0, 0.0, move),
            (0.0, 0.0, -move),
            (0.5 * move, 0.0, move),  # the end alone, later
            (-0.5 * move, 0.0, -move),  # the end alone, earlier
            (-0.5 * move, 0.0, move),  # the beginning alone, earlier
            (0.5 * move, 0.0, -move),  # the beginning alone, later
        ):
            still = later == 0.0 and slower == 0.0 and longer == 0.0
            if (still and highest > -np.inf) or (longer != 0.0 and longest <= 0.0):
                continue
            new_period, new_epoch, new_duration = period + slower, epoch + later, duration + longer
            if not 0.5 * start[2] <= new_duration <= 2.0 * start[2]:
                continue
            if new_duration > min(duty * new_period, max(longest, start[2])):
                continue
            if not limits[0] <= new_period <= limits[1]:
                continue
            product, squares, inside = sums_inside(time, flux, weight, new_period, new_epoch, new_duration, table)
            variance = squares - inside**2 / total
            k = 0
            while k < durations.size - 2 and durations[k + 1] < new_duration:
                k += 1
            noise = sigma[k]
            if durations.size > 1:
                share = (new_duration - durations[k]) / (durations[k + 1] - durations[k])
                noise += min(1.0, max(0.0, share)) * (sigma[k + 1] - sigma[k])
            value = -product * abs(product) / variance / noise**2 if variance > 0.0 else 0.0
            if highest == -np.inf or value > highest + 1e-9 * abs(highest):
                period, epoch, duration = new_period, new_epoch, new_duration
                highest, moved = value, not still
    return period, epoch, duration
