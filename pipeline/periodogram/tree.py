"""How neighbouring periods share their sums: the plan of the fold.

Folding at one period adds every cycle. Two neighbouring trial periods put a few consecutive cycles at the same
distances from each other, to a fraction of a bin, so those cycles need adding only once for both: the idea of the fast
folding algorithm (Staelin 1969, Proc. IEEE 57, 724). Here the trial periods stay those of the grid, and where a sum of
cycles begins is worked out in float64 for each of them, so that gaps, long baselines and any spacing of periods cost
nothing in precision: every cycle lies within a rounding and a tolerance of its place.

A *node* is a window of rows that is to be added as one: a single cycle of the series, or the sum of consecutive ones.
It knows its cycle number (the mean of what it holds, counted from the middle of the series) and where in its array
phase 0 of cycle 0 would lie. `combine` in the kernels makes nodes of nodes; a fold takes at most two such levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.5  # bins a cycle at the end of a node may be out of place at the first or last period that shares it
DRIFT_SHARE = 0.125  # the same as a share of the drift between neighbouring periods, where that is more...
LARGEST_TOLERANCE = 1.0  # ... but no more bins than this
CHUNKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # cycles or nodes made one, at either level
FEWEST_CYCLES = 80  # below it a second level is not considered
LARGEST_MARGIN = 1024  # rows kept before and after a window
HELD_ROWS = 1 << 16  # folded denominators of the periods of a block, kept for all stars of a batch
LANE = 32  # rows; windows are widened to a multiple of it, repeating the first phases

# what the choice is made by: nanoseconds measured on one core, of a run added and of a row of it
RUN_COST = 7.0
ROW_COST = 0.065
NODE_COST = 60.0
BLOCK_COST = 150.0


def plan(first: float, step: float, rows: int) -> tuple[int, int, int, int]:
    """How many cycles are added once for how many periods.

    Parameters
    ----------
    first : float
        The shortest of the periods to come, bins.
    step : float
        Distance of neighbouring periods, bins.
    rows : int
        Length of the series, bins.

    Returns
    -------
    lower, upper : int
        Cycles in a lower node, and lower nodes in an upper one; 1 is a level left out.
    wide, narrow : int
        Periods that share the lower nodes, and of these the periods that share the upper ones.
    """
    cycles = rows / first
    width = first + 0.5 * LANE
    run = RUN_COST + ROW_COST * width
    # nothing shared: such periods only have their list of cycles in common
    several = max(1, min(64, int(LARGEST_MARGIN / (step * cycles + 1.0)), int(HELD_ROWS / width)))
    best, chosen = cycles * run, (1, 1, several, several)
    if not step > 0.0 or cycles < 4.0:
        return chosen
    tolerance = min(max(TOLERANCE, DRIFT_SHARE * step * cycles), LARGEST_TOLERANCE)
    reach = 4.0 * tolerance / step  # periods times cycles
    for lower in CHUNKS:
        if lower > 1 and (cycles < FEWEST_CYCLES or lower * 4 > cycles):
            break
        wide = min(reach / lower, HELD_ROWS / width)
        margin = 0.25 * wide * step * cycles + 4.0
        if lower > 1 and (wide < 4.0 or margin > LARGEST_MARGIN):
            continue
        for upper in CHUNKS:
            if lower * upper * 2 > cycles:
                break
            narrow = min(reach / (lower * upper), HELD_ROWS / width)
            small = 0.25 * narrow * step * cycles + 2.0
            if upper == 1 or narrow < 2.0 or small > LARGEST_MARGIN:
                continue
            nodes = cycles / lower
            cost = (nodes * (run + 2.0 * ROW_COST * small) + nodes / upper * NODE_COST + BLOCK_COST) / narrow
            cost += nodes / upper * run
            if lower > 1:
                cost += (cycles * (run + 2.0 * ROW_COST * margin) + nodes * NODE_COST + BLOCK_COST) / wide
            if cost < best:
                best = cost
                chosen = (lower, upper, int(wide) if lower > 1 else int(narrow), int(narrow))
    return chosen


def margin(shortest: float, longest: float, cycles: float, spare: int) -> int:
    """Rows by which a window must be wider at both ends to serve all periods between two, in bins."""
    return int(0.25 * (longest - shortest) * (cycles + 6.0)) + 1 + spare


def last_sharing(periods: NDArray[np.float64], first: int, wide: int, step: float) -> int:
    """One past the last of up to ``wide`` periods that lie no further apart than the plan took them to be."""
    last = min(periods.size, first + wide)
    while last - first > 1 and periods[last - 1] - periods[first] > 1.1 * step * (last - first):
        last = first + (last - first) // 2
    return last


def phases(period: float) -> int:
    """Rows of a folded series: the period rounded up to whole lanes."""
    return LANE * ((int(period) + LANE) // LANE)


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring periods that share upper nodes."""

    first: int
    last: int  # one past
    centre: float  # bins, the period the nodes are made for
    margin: int  # rows before and after a window


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring periods that share lower nodes."""

    lower: int  # cycles in a lower node
    upper: int  # lower nodes in an upper one
    centre: float  # bins
    margin: int  # rows before and after a window
    width: int  # rows of a window without its margins
    parts: tuple[Part, ...]


def blocks(periods: NDArray[np.float64], rows: int) -> Iterator[Block]:
    """The whole plan for increasing periods, in bins, of a series of ``rows``; the compiled kernel makes its own."""
    p = 0
    while p < periods.size:
        step = step_at(periods, p)
        lower, upper, wide, narrow = plan(periods[p], step, rows)
        q = last_sharing(periods, p, wide, step)
        cycles = rows / periods[p]
        parts = tuple(
            Part(
                low,
                min(low + narrow, q),
                0.5 * (periods[low] + periods[min(low + narrow, q) - 1]),
                margin(periods[low], periods[min(low + narrow, q) - 1], cycles, 2) if upper > 1 else 0,
            )
            for low in range(p, q, narrow)
        )
        spare = margin(periods[p], periods[q - 1], cycles, 4)
        yield Block(lower, upper, 0.5 * (periods[p] + periods[q - 1]), spare, phases(periods[q - 1]), parts)
        p = q


def step_at(periods: NDArray[np.float64], p: int) -> float:
    """Distance of a period from the next, the last one's from the one before; 0 if there is one only."""
    if periods.size < 2:
        return 0.0
    return periods[p + 1] - periods[p] if p + 1 < periods.size else periods[p] - periods[p - 1]


def cycle_numbers(block: Block, held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cycles, counted from the middle of the series, whose windows meet one of the rows that hold data."""
    rows = held.size
    reach = block.width + block.margin
    number = np.arange(
        np.floor((-(rows // 2) - reach) / block.centre), np.ceil((rows - rows // 2 + reach) / block.centre) + 1.0
    )
    start = rows // 2 + np.floor(number * block.centre + 0.5).astype(np.int64)
    filled = np.concatenate([[0], np.cumsum(held)])
    low, high = np.clip(start - block.margin, 0, rows), np.clip(start + reach, 0, rows)
    return number[filled[high] > filled[low]]
