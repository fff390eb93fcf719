"""The shift-add fold for the CPU, compiled by numba; same signature and same sums as ``reference.fold``.

One star: the phase axis is the vector. Several stars that share their cadences: the star axis is last and contiguous,
one cycle is a single run of additions, and the phases are cut in tiles that stay in the first-level cache.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Singles = NDArray[np.float32]

TILE = 4096  # floats of one tile of folded numerators
BLOCK = 64  # phases compared with the highest so far before any of them is divided
# no infinities or NaN reach these loops, and the sign of zero is of no account: lets the compiler vectorise the maximum
RELAXED = {"nnan", "ninf", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=RELAXED)
def _fold_one(pairs, first, length, offset, period_bins, inverse_total, floor, power, phase_bin):
    # pairs holds numerator and denominator of each row side by side: one run of additions serves both
    longest = 0
    for p in range(period_bins.size):
        longest = max(longest, math.floor(period_bins[p]) + 1)
    folded = np.empty(2 * longest, dtype=np.float32)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    tiny = np.float32(1e-6)
    for p in range(period_bins.size):
        bins = period_bins[p]
        phases = math.floor(bins) + 1
        folded[: 2 * phases] = zero
        for k in range(first.size):
            begin = first[k]
            end = begin + length[k]
            shift = offset[k] - begin
            cycle = math.floor((begin - phases) / bins)
            while True:
                start = math.floor(cycle * bins + 0.5)
                if start >= end:
                    break
                fourth = math.floor((cycle + 3) * bins + 0.5)
                if start >= begin and fourth + phases <= end:
                    # four whole cycles at once: the sums are read and written a quarter as often
                    second, third = math.floor((cycle + 1) * bins + 0.5), math.floor((cycle + 2) * bins + 0.5)
                    a = pairs[2 * (shift + start) : 2 * (shift + start + phases)]
                    b = pairs[2 * (shift + second) : 2 * (shift + second + phases)]
                    c = pairs[2 * (shift + third) : 2 * (shift + third + phases)]
                    d = pairs[2 * (shift + fourth) : 2 * (shift + fourth + phases)]
                    whole = folded[: 2 * phases]
                    for i in range(2 * phases):
                        whole[i] += (a[i] + b[i]) + (c[i] + d[i])
                    cycle += 4
                    continue
                low = max(start, begin)
                count = 2 * (min(start + phases, end) - low)
                if count > 0:
                    row = 2 * (shift + low)
                    run = pairs[row : row + count]
                    into = folded[2 * (low - start) : 2 * (low - start) + count]
                    for i in range(count):
                        into[i] += run[i]
                cycle += 1
        # squares are compared, and a division is made only in the few blocks that hold something higher
        best = zero
        where = 0
        for block in range(0, phases, BLOCK):
            beyond = min(block + BLOCK, phases)
            higher = 0
            for i in range(block, beyond):
                weight = folded[2 * i + 1]
                dimming = max(folded[2 * i], zero)
                variance = weight * max(one - weight * inverse_total, tiny)
                higher += (dimming * dimming > best * variance) & (weight >= floor)
            if higher:
                for i in range(block, beyond):
                    weight = folded[2 * i + 1]
                    dimming = folded[2 * i]
                    if dimming > zero and weight >= floor:
                        score = dimming * dimming / (weight * max(one - weight * inverse_total, tiny))
                        if score > best:
                            best = score
                            where = i
        power[p, 0] = np.sqrt(best)
        phase_bin[p, 0] = where


@njit(cache=True, nogil=True, error_model="numpy", fastmath=RELAXED)
def _fold_many(numerator, denominator, first, length, offset, period_bins, inverse_total, floor, power, phase_bin):
    stars = numerator.shape[1]
    flat = numerator.reshape(numerator.size)
    tile = max(16, TILE // stars)
    folded = np.empty(tile * stars, dtype=np.float32)
    weight = np.empty(tile, dtype=np.float32)
    best = np.empty(stars, dtype=np.float32)
    where = np.empty(stars, dtype=np.int32)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    tiny = np.float32(1e-6)
    for p in range(period_bins.size):
        bins = period_bins[p]
        phases = math.floor(bins) + 1
        for s in range(stars):
            best[s] = zero
            where[s] = 0
        for tile_low in range(0, phases, tile):
            tile_high = min(tile_low + tile, phases)
            for i in range((tile_high - tile_low) * stars):
                folded[i] = zero
            for i in range(tile_high - tile_low):
                weight[i] = zero
            for k in range(first.size):
                begin = first[k]
                end = begin + length[k]
                cycle = math.floor((begin - tile_high) / bins)
                while True:
                    start = math.floor(cycle * bins + 0.5)
                    if start + tile_low >= end:
                        break
                    low = max(start + tile_low, begin)
                    high = min(start + tile_high, end)
                    count = high - low
                    if count > 0:
                        row = offset[k] + low - begin
                        at = low - start - tile_low
                        run = flat[row * stars : (row + count) * stars]
                        into = folded[at * stars : (at + count) * stars]
                        for i in range(count * stars):
                            into[i] += run[i]
                        run_weight = denominator[row : row + count]
                        into_weight = weight[at : at + count]
                        for i in range(count):
                            into_weight[i] += run_weight[i]
                    cycle += 1
            for i in range(tile_high - tile_low):
                if weight[i] >= floor:
                    factor = one / np.sqrt(weight[i] * max(one - weight[i] * inverse_total, tiny))
                    scores = folded[i * stars : (i + 1) * stars]
                    phase = np.int32(tile_low + i)
                    for s in range(stars):
                        score = scores[s] * factor
                        better = score > best[s]
                        best[s] = score if better else best[s]
                        where[s] = phase if better else where[s]
        for s in range(stars):
            power[p, s] = best[s]
            phase_bin[p, s] = where[s]


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
    """Fold filtered series at many periods and keep the best phase of each; see ``reference.fold``."""
    stars = numerator.shape[1]
    power = np.zeros((period_bins.size, stars), dtype=np.float32)
    phase_bin = np.zeros((period_bins.size, stars), dtype=np.int32)
    inverse_total, floor32 = np.float32(1.0 / total_weight), np.float32(floor)
    if stars == 1:
        pairs = np.stack([numerator[:, 0], denominator], axis=1).ravel()
        _fold_one(pairs, first, length, offset, period_bins, inverse_total, floor32, power, phase_bin)
    else:
        series = np.ascontiguousarray(numerator)
        _fold_many(series, denominator, first, length, offset, period_bins, inverse_total, floor32, power, phase_bin)
    return power, phase_bin
