"""Bins, filter and fold for the CPU, compiled by numba; same signatures as ``binned`` and ``reference``, same plan.

The phase axis is the vector. Up to eight runs are added at once, so that sums are read and written an eighth as often;
the highest and the lowest score are found as integers, since the bits of positive floats rise with their value and a
compiler vectorises integer maxima without being told that no NaN can come. Stars that share their cadences share
denominators, weights and the places of all runs.
"""

import math
from types import FunctionType

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.periodogram import binned, reference, tree

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

LANE = tree.LANE
# no infinities or NaN reach these loops, and the sign of zero is of no account
RELAXED = {"nnan", "ninf", "nsz"}

_plan = njit(cache=True, nogil=True, error_model="numpy")(tree.plan)
_margin = njit(cache=True, nogil=True, error_model="numpy")(tree.margin)
_last_sharing = njit(cache=True, nogil=True, error_model="numpy")(tree.last_sharing)
_step_at = njit(cache=True, nogil=True, error_model="numpy")(tree.step_at)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=RELAXED)
def _add_runs(into, series, starts, count, width):
    """into[i] = sum over runs of series[start + i], i < width, in groups of eight, four, two and one."""
    out = into[:width]
    if count == 0:
        for i in range(width):
            out[i] = np.float32(0.0)
    done = 0
    while count - done >= 8:
        a = series[starts[done] : starts[done] + width]
        b = series[starts[done + 1] : starts[done + 1] + width]
        c = series[starts[done + 2] : starts[done + 2] + width]
        d = series[starts[done + 3] : starts[done + 3] + width]
        e = series[starts[done + 4] : starts[done + 4] + width]
        f = series[starts[done + 5] : starts[done + 5] + width]
        g = series[starts[done + 6] : starts[done + 6] + width]
        h = series[starts[done + 7] : starts[done + 7] + width]
        if done == 0:
            for i in range(width):
                out[i] = ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i]))
        else:
            for i in range(width):
                out[i] += ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i]))
        done += 8
    if count - done >= 4:
        a = series[starts[done] : starts[done] + width]
        b = series[starts[done + 1] : starts[done + 1] + width]
        c = series[starts[done + 2] : starts[done + 2] + width]
        d = series[starts[done + 3] : starts[done + 3] + width]
        if done == 0:
            for i in range(width):
                out[i] = (a[i] + b[i]) + (c[i] + d[i])
        else:
            for i in range(width):
                out[i] += (a[i] + b[i]) + (c[i] + d[i])
        done += 4
    if count - done >= 2:
        a = series[starts[done] : starts[done] + width]
        b = series[starts[done + 1] : starts[done + 1] + width]
        if done == 0:
            for i in range(width):
                out[i] = a[i] + b[i]
        else:
            for i in range(width):
                out[i] += a[i] + b[i]
        done += 2
    if count - done == 1:
        a = series[starts[done] : starts[done] + width]
        if done == 0:
            for i in range(width):
                out[i] = a[i]
        else:
            for i in range(width):
                out[i] += a[i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=RELAXED)
def _weigh(denominator, inverse_total, floor, weight):
    """1 / (B (1 - B / W)) where B reaches the floor, else 0."""
    one, zero, tiny = np.float32(1.0), np.float32(0.0), np.float32(1e-6)
    for i in range(denominator.size):
        held = denominator[i]
        allowed = one if held >= floor else zero
        left = one - held * inverse_total
        left = left if left > tiny else tiny
        bounded = held if held >= floor else floor
        weight[i] = allowed / (bounded * left)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=RELAXED)
def _extremes(numerator, weight, score):
    """Highest A |A| w, and lowest, of one star; at least, and at most, 0."""
    for i in range(numerator.size):
        dimming = numerator[i]
        score[i] = dimming * abs(dimming) * weight[i]
    signed, unsigned = score.view(np.int32), score.view(np.uint32)
    highest, lowest = np.int32(0), np.uint32(0)
    for i in range(signed.size):
        bits = signed[i]
        highest = bits if bits > highest else highest
    for i in range(unsigned.size):  # a set sign bit makes the largest negative number the largest
        more = unsigned[i]
        lowest = more if more > lowest else lowest
    signed[0], unsigned[1] = highest, lowest
    return score[0], min(score[1], np.float32(0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _places(cycle, base, low, count, period, margin, half, starts):
    """Where the windows of some nodes begin at one period; with the second series ``half`` rows on, to half a bin."""
    if half > 0:
        for j in range(count):
            place = math.floor(2.0 * (base[low + j] + cycle[low + j] * period) + 0.5)
            starts[j] = (place >> 1) + (place & 1) * half - margin
    else:
        for j in range(count):
            starts[j] = math.floor(base[low + j] + cycle[low + j] * period + 0.5) - margin


@njit(cache=True, nogil=True, error_model="numpy")
def _nodes_within(cycle, count, reach):
    """How many nodes within ``reach`` cycles each it takes to hold all."""
    made, low = 0, 0
    for j in range(count):
        if j == 0 or cycle[j] - cycle[low] >= reach:
            low = j
            made += 1
    return made


@njit(cache=True, nogil=True, error_model="numpy")
def _combine(series, cycle, base, half, count, reach, period, margin, width, into, new_cycle, new_base, starts):
    """Make nodes of the nodes within ``reach`` cycles, windows of ``width`` rows in ``into``; returns their number."""
    made, at, low = 0, 0, 0
    while low < count:
        several = 1
        while low + several < count and cycle[low + several] - cycle[low] < reach:
            several += 1
        _places(cycle, base, low, several, period, margin, half, starts)
        _add_runs(into[at : at + width], series, starts, several, width)
        mean = cycle[low : low + several].sum() / several
        new_cycle[made] = mean
        new_base[made] = at + margin - mean * period
        made += 1
        at += width
        low += several
    return made


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(series, half, left, rows, filled, periods, inverse_total, floor, highest, lowest):
    # series: one line for the denominator, then one for each star; each holds `left` zeros, the rows, enough zeros,
    # and the same again half a bin later. Block by block, line by line: what one line needs stays in the cache
    longest = LANE * ((math.floor(periods[-1]) + LANE) // LANE)
    most = int((rows + 2 * longest + 2 * tree.LARGEST_MARGIN) / periods[0]) + 8
    cycle, base = np.empty(most), np.empty(most)
    low_cycle, low_base = np.empty(most), np.empty(most)
    up_cycle, up_base = np.empty(most), np.empty(most)
    starts = np.empty(most, dtype=np.int64)
    folded, score = np.empty(longest, dtype=np.float32), np.empty(longest, dtype=np.float32)
    weight = np.empty(1, dtype=np.float32)
    lower_nodes, upper_nodes = np.empty(1, dtype=np.float32), np.empty(1, dtype=np.float32)
    middle = left + rows // 2
    base[:] = middle
    p = 0
    while p < periods.size:
        step = _step_at(periods, p)
        lower, upper, wide, narrow = _plan(periods[p], step, rows)
        q = _last_sharing(periods, p, wide, step)
        cycles = rows / periods[p]
        wide_margin = _margin(periods[p], periods[q - 1], cycles, 4)
        centre = 0.5 * (periods[p] + periods[q - 1])
        width = LANE * ((math.floor(periods[q - 1]) + LANE) // LANE)
        if weight.size < (q - p) * width:
            weight = np.empty((q - p) * width, dtype=np.float32)
        # the cycles whose windows meet data
        count = 0
        number = math.floor((left - middle - width - wide_margin) / centre)
        while True:
            start = middle + math.floor(number * centre + 0.5)
            if start - wide_margin >= left + rows:
                break
            if filled[min(start + width + wide_margin, filled.size - 1)] > filled[max(start - wide_margin, 0)]:
                cycle[count] = number
                count += 1
            number += 1
        window = width + 2 * wide_margin
        if lower > 1:
            need = _nodes_within(cycle, count, lower) * window
            if lower_nodes.size < need:
                lower_nodes = np.empty(need + need // 4, dtype=np.float32)
        for line in range(series.shape[0]):
            low_count = 0
            if lower > 1:
                low_count = _combine(
                    series[line], cycle, base, half, count, lower, centre, wide_margin, window, lower_nodes, low_cycle,
                    low_base, starts,
                )  # fmt: skip
            for part in range(p, q, narrow):
                end = min(q, part + narrow)
                nodes = 0
                if upper > 1:
                    between = 0.5 * (periods[part] + periods[end - 1])
                    margin = _margin(periods[part], periods[end - 1], cycles, 2)
                    small = width + 2 * margin
                    if lower > 1:
                        need = _nodes_within(low_cycle, low_count, lower * upper) * small
                    else:
                        need = _nodes_within(cycle, count, upper) * small
                    if upper_nodes.size < need:
                        upper_nodes = np.empty(need + need // 4, dtype=np.float32)
                    if lower > 1:
                        nodes = _combine(
                            lower_nodes, low_cycle, low_base, 0, low_count, lower * upper, between, margin, small,
                            upper_nodes, up_cycle, up_base, starts,
                        )  # fmt: skip
                    else:
                        nodes = _combine(
                            series[line], cycle, base, half, count, upper, between, margin, small, upper_nodes,
                            up_cycle, up_base, starts,
                        )  # fmt: skip
                for k in range(part, end):
                    phases = LANE * ((math.floor(periods[k]) + LANE) // LANE)
                    if upper > 1:
                        _places(up_cycle, up_base, 0, nodes, periods[k], 0, 0, starts)
                        _add_runs(folded, upper_nodes, starts, nodes, phases)
                    else:
                        _places(cycle, base, 0, count, periods[k], 0, half, starts)
                        _add_runs(folded, series[line], starts, count, phases)
                    held = weight[(k - p) * width : (k - p) * width + phases]
                    if line == 0:
                        _weigh(folded[:phases], inverse_total, floor, held)
                    else:
                        high, low = _extremes(folded[:phases], held, score[:phases])
                        highest[k, line - 1] = math.sqrt(high)
                        lowest[k, line - 1] = math.sqrt(-low)
        p = q


@njit(cache=True, nogil=True, error_model="numpy")
def _bin(time, flux, weight, start, width, pad, sums, total):
    # cadences come in order of time: each bin is summed in a register and written once
    inverse = 1.0 / width
    for line in range(flux.shape[0] + 1):
        row, held = pad, 0.0
        for i in range(time.size):
            here = pad + int((time[i] - start) * inverse + 1e-9)
            if here != row:
                if line == 0:
                    total[row] = held
                else:
                    sums[line - 1, row] = held
                row, held = here, 0.0
            held += weight[i] if line == 0 else weight[i] * flux[line - 1, i]
        if line == 0:
            total[row] = held
        else:
            sums[line - 1, row] = held


def bin_light_curve(
    time: Doubles, flux: Doubles, weight: Doubles, start: float, width: float, pad: int = 0
) -> binned.BinnedSeries:
    """Sum flux and weight in bins; see ``binned.bin_light_curve``."""
    rows = int(np.floor((time[-1] - start) * (1.0 / width) + 1e-9)) + 1 + 2 * pad
    sums, total = np.zeros((flux.shape[0], rows)), np.zeros(rows)
    _bin(time, flux, weight, start, width, pad, sums, total)
    return binned.BinnedSeries(start - pad * width, width, sums, total)


@njit(cache=True, nogil=True, error_model="numpy")
def _correlate(series, taps, sign, spare, out):
    # one tap at a time, along the rows: each is a run of multiplications and additions
    rows, reach = series.size, taps.size // 2
    for i in range(rows):
        spare[i] = 0.0
    for k in range(taps.size):
        tap = sign * taps[k]
        if tap == 0.0:
            continue
        shift = k - reach
        low, high = max(0, -shift), min(rows, rows - shift)
        into, run = spare[low:high], series[low + shift : high + shift]
        for i in range(high - low):
            into[i] += tap * run[i]
    for i in range(rows):
        out[i] = np.float32(spare[i])


def correlate(series: binned.BinnedSeries, taps: Doubles, half_later: Doubles) -> binned.FilteredSeries:
    """Correlate a padded series with a template; see ``binned.correlate``."""
    stars, rows = series.weighted_flux.shape
    numerator = np.empty((stars, 2, rows), dtype=np.float32)
    denominator = np.empty((2, rows), dtype=np.float32)
    spare = np.empty(rows)
    for half, shape in enumerate((taps, half_later)):
        _correlate(series.weight, shape**2, 1.0, spare, denominator[half])
        for star in range(stars):
            _correlate(series.weighted_flux[star], shape, -1.0, spare, numerator[star, half])
    return binned.FilteredSeries(series.start, series.width, numerator, denominator)


@njit(cache=True, nogil=True, error_model="numpy")
def sums_inside(time, flux, weight, period, epoch, duration, table):
    """What a depth is made of; see ``reference.sums_inside``."""
    product, squares, total = 0.0, 0.0, 0.0
    scale = 2.0 / duration
    steps = table.size - 1
    for i in range(time.size):
        offset = time[i] - epoch
        distance = abs(offset - period * math.floor(offset / period + 0.5)) * scale
        if distance < 1.0:
            place = distance * steps
            low = int(place)
            shape = table[low] + (place - low) * (table[low + 1] - table[low])
            weighted = shape * weight[i]
            product += weighted * flux[i]
            squares += weighted * shape
            total += weighted
    return product, squares, total


# the specification itself, compiled around the compiled sums
climb = njit(cache=True, nogil=True, error_model="numpy")(
    FunctionType(reference.climb.__code__, {"__name__": __name__, "np": np, "sums_inside": sums_inside}, "climb")
)


def fold(
    numerator: Singles, denominator: Singles, period_bins: NDArray[np.float64], total_weight: float, floor: float
) -> tuple[Singles, Singles]:
    """Fold filtered series at many periods and keep the best score of each; see ``reference.fold``."""
    stars, _, rows = numerator.shape
    highest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lowest = np.zeros((period_bins.size, stars), dtype=np.float32)
    if period_bins.size == 0:
        return highest, lowest
    spare = int(period_bins[-1]) + LANE + 1 + 2 * tree.LARGEST_MARGIN
    series = np.zeros((1 + stars, 2, spare + rows + spare), dtype=np.float32)
    series[0, :, spare : spare + rows] = denominator
    series[1:, :, spare : spare + rows] = numerator
    half = series.shape[2]
    filled = np.zeros(half + 1, dtype=np.int64)
    np.cumsum(series[0, 0] > 0, out=filled[1:])
    inverse, least = np.float32(1.0 / total_weight), np.float32(floor)
    periods = np.ascontiguousarray(period_bins)
    _fold(series.reshape(1 + stars, -1), half, spare, rows, filled, periods, inverse, least, highest, lowest)
    return highest, lowest
