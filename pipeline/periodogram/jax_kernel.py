"""The fold for XLA: GPU, or CPU as its check; same signature, plan and numbers as ``reference.fold``.

No scatter: runs of a cycle are ``dynamic_slice`` windows added in order of time. Where each begins is worked out on the
host, in float64, and kept for the next light curve with the same cadences. Windows, tables and periods come in sizes
from fixed ladders, so that a search compiles a few dozen shapes once; series are laid out with enough zeros around them
that no window can be clamped and shifted.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram import tree

Singles = NDArray[np.float32]

WIDTH_RATIO = 1.3  # of neighbouring window widths: what lies beyond the period is added in vain
TABLE_RATIO = 2.0  # of neighbouring table sizes: costs memory alone
SMALLEST = 64  # rows of a window
FEWEST = 8  # rows or columns of a table
TOGETHER = 4  # windows added in one step; sums are read and written a quarter as often
PERIODS = 2048  # folded by one call
KEPT_PLANS = 64  # plans kept for the next light curve: one for each duration


def rung(size: int, ratio: float, smallest: int, step: int = 1) -> int:
    """The smallest rung of a ladder that holds ``size``."""
    value = smallest
    while value < size:
        value = step * -(-int(value * ratio) // step)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class _Windows:
    """Windows to be added: where each begins, and how many there are of each sum."""

    starts: jax.Array  # (sums, most) int32
    counts: jax.Array  # (sums,) int32, steps of ``TOGETHER`` windows


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Periods that are folded by one call: windows of the lower nodes, of the upper ones, and of the periods."""

    lower: _Windows | None
    upper: _Windows | None
    period: _Windows
    widths: tuple[int, int, int]  # rows of a window at each level
    phases: jax.Array  # (periods,) int32
    which: NDArray[np.int64]  # the periods


@partial(jax.jit, static_argnames=("width",))
def _sum_windows(lines: jax.Array, starts: jax.Array, counts: jax.Array, width: int) -> jax.Array:
    """Sums of windows of (lines, rows), laid one after the other, (lines, sums * width), and a window of zeros."""

    def one(row: tuple[jax.Array, jax.Array]) -> jax.Array:
        return _added(lines, *row, width)

    sums = jax.lax.map(one, (starts, counts))
    laid = jnp.moveaxis(sums, 0, 1).reshape(lines.shape[0], -1)
    return jnp.pad(laid, ((0, 0), (0, width)))


def _added(lines: jax.Array, starts: jax.Array, count: jax.Array, width: int) -> jax.Array:
    """One sum of ``count`` times ``TOGETHER`` windows, (lines, width)."""

    def window(i: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(lines, (jnp.int32(0), starts[i]), (lines.shape[0], width))

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        first = i * jnp.int32(TOGETHER)
        several = [window(first + jnp.int32(k)) for k in range(TOGETHER)]
        while len(several) > 1:
            several = [a + b for a, b in zip(several[::2], several[1::2], strict=True)]
        return total + several[0]

    return jax.lax.fori_loop(jnp.int32(0), count, add, jnp.zeros((lines.shape[0], width), jnp.float32))


@partial(jax.jit, static_argnames=("width",))
def _scores(
    lines: jax.Array,
    starts: jax.Array,
    counts: jax.Array,
    phases: jax.Array,
    inverse_total: jax.Array,
    floor: jax.Array,
    width: int,
) -> tuple[jax.Array, jax.Array]:
    """Highest score of each period and star, and of the stars upside down; (periods, stars) both."""
    zero, one, tiny = jnp.float32(0.0), jnp.float32(1.0), jnp.float32(1e-6)

    def one_period(row: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        start, count, length = row
        folded = _added(lines, start, count, width)
        held = folded[0]
        variance = jnp.maximum(held, floor) * jnp.maximum(one - held * inverse_total, tiny)
        allowed = (held >= floor) & (jnp.arange(width, dtype=jnp.int32) < length)
        score = jnp.where(allowed, one / jnp.sqrt(variance), zero)[None, :] * folded[1:]
        return jnp.maximum(score.max(axis=1), zero), jnp.maximum(-score.min(axis=1), zero)

    highest, lowest = jax.lax.map(one_period, (starts, counts, phases))
    return highest, lowest


def fold(
    numerator: Singles, denominator: Singles, period_bins: NDArray[np.float64], total_weight: float, floor: float
) -> tuple[Singles, Singles]:
    """Fold filtered series at many periods and keep the best score of each; see ``reference.fold``."""
    stars, _, rows = numerator.shape
    highest = np.zeros((period_bins.size, stars), dtype=np.float32)
    lowest = np.zeros((period_bins.size, stars), dtype=np.float32)
    if period_bins.size == 0:
        return highest, lowest
    # a series and, half a bin later, the same again, each with room for a window before and after
    spare = rung(int(period_bins[-1]) + 4 * tree.LARGEST_MARGIN, WIDTH_RATIO, SMALLEST, tree.LANE)
    half = rung(rows + 3 * spare, WIDTH_RATIO, SMALLEST)
    laid = np.zeros((1 + stars, 2, half), dtype=np.float32)
    laid[0, :, spare : spare + rows] = denominator
    laid[1:, :, spare : spare + rows] = numerator
    series = jnp.asarray(laid.reshape(1 + stars, 2 * half))
    inverse, least = jnp.float32(1.0 / total_weight), jnp.float32(floor)
    for group in _plan(period_bins, denominator[0] > 0, spare, half):
        lines = series
        for windows, width in ((group.lower, group.widths[0]), (group.upper, group.widths[1])):
            if windows is not None:
                lines = _sum_windows(lines, windows.starts, windows.counts, width)
        above, below = _scores(
            lines, group.period.starts, group.period.counts, group.phases, inverse, least, group.widths[2]
        )
        highest[group.which] = np.asarray(above)[: group.which.size]
        lowest[group.which] = np.asarray(below)[: group.which.size]
    return highest, lowest


_plans: OrderedDict[bytes, list[_Group]] = OrderedDict()


def _plan(period_bins: NDArray[np.float64], filled: NDArray[np.bool_], spare: int, half: int) -> list[_Group]:
    """The groups of periods for these cadences, worked out once."""
    digest = hashlib.sha256(period_bins.tobytes() + np.packbits(filled).tobytes() + bytes(f"{spare} {half}", "ascii"))
    key = digest.digest()
    if key not in _plans:
        _plans[key] = list(_groups(period_bins, filled, spare, half))
        while len(_plans) > KEPT_PLANS:
            _plans.popitem(last=False)
    _plans.move_to_end(key)
    return _plans[key]


def _groups(period_bins: NDArray[np.float64], filled: NDArray[np.bool_], spare: int, half: int) -> Iterator[_Group]:
    """Blocks of the plan with windows of like sizes together, up to ``PERIODS`` periods."""

    def sizes(block: tree.Block) -> tuple[bool, bool, int, int, int]:
        narrow = max(part.margin for part in block.parts)
        widths = (block.width + 2 * block.margin, block.width + 2 * narrow, block.width)
        low, up, top = (rung(width, WIDTH_RATIO, SMALLEST, tree.LANE) for width in widths)
        return block.lower > 1, block.upper > 1, low, up, top

    for shape, alike in groupby(tree.blocks(period_bins, filled.size), sizes):
        some: list[tree.Block] = []
        for block in alike:
            some.append(block)
            if sum(each.parts[-1].last - each.parts[0].first for each in some) >= PERIODS:
                yield _group(some, shape, period_bins, filled, spare, half)
                some = []
        if some:
            yield _group(some, shape, period_bins, filled, spare, half)


def _group(
    blocks: Sequence[tree.Block],
    shape: tuple[bool, bool, int, int, int],
    period_bins: NDArray[np.float64],
    filled: NDArray[np.bool_],
    spare: int,
    half: int,
) -> _Group:
    """The tables of some blocks."""
    has_lower, has_upper, *rest = shape
    widths = (rest[0], rest[1], rest[2])
    lower: list[NDArray[np.int64]] = []
    upper: list[NDArray[np.int64]] = []
    top: list[NDArray[np.int64]] = []
    which: list[NDArray[np.int64]] = []
    for block in blocks:
        cycle = tree.cycle_numbers(block, filled)
        nodes = _Places(cycle, np.full(cycle.size, float(spare + filled.size // 2)), half)
        if has_lower:
            nodes = nodes.combined(block.lower, block.centre, block.margin, widths[0], lower)
        for part in block.parts:
            last = nodes
            if has_upper:
                last = nodes.combined(block.lower * block.upper, part.centre, part.margin, widths[1], upper)
            periods = np.arange(part.first, part.last)
            top.extend(last.at(period) for period in period_bins[periods])
            which.append(periods)
    chosen = np.concatenate(which)
    count = rung(chosen.size, TABLE_RATIO, FEWEST)
    phases = np.zeros(count, dtype=np.int32)
    phases[: chosen.size] = [tree.phases(period) for period in period_bins[chosen]]
    # what fills up a step is a window of zeros: the margin of the series, or the end of the sums
    after_lower = rung(len(lower), TABLE_RATIO, FEWEST) * widths[0] if has_lower else 0
    after_upper = rung(len(upper), TABLE_RATIO, FEWEST) * widths[1] if has_upper else after_lower
    return _Group(
        _table(lower, 0) if has_lower else None,
        _table(upper, after_lower) if has_upper else None,
        _table(top, after_upper),
        widths,
        jnp.asarray(phases),
        chosen,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where nodes lie: in the series, half a bin later ``half`` rows on, or among sums made before (``half`` 0)."""

    cycle: NDArray[np.float64]
    base: NDArray[np.float64]
    half: int

    def at(self, period: float, margin: int = 0) -> NDArray[np.int64]:
        """First rows of the windows at a period."""
        halves = 2 if self.half else 1
        place = np.floor(halves * (self.base + self.cycle * period) + 0.5).astype(np.int64)
        return place // halves + place % halves * self.half - margin

    def combined(self, reach: int, period: float, margin: int, width: int, table: list[NDArray[np.int64]]) -> "_Places":
        """Nodes of the nodes within ``reach`` cycles; their windows are appended to a table."""
        starts = self.at(period, margin)
        cycle: list[float] = []
        base: list[float] = []
        low = 0
        while low < self.cycle.size:
            high = low + int(np.searchsorted(self.cycle[low:], self.cycle[low] + reach))
            mean = float(self.cycle[low:high].sum()) / (high - low)
            cycle.append(mean)
            base.append(len(table) * width + margin - mean * period)
            table.append(starts[low:high])
            low = high
        return _Places(np.asarray(cycle), np.asarray(base), 0)


def _table(windows: Sequence[NDArray[np.int64]], zeros: int) -> _Windows:
    """Windows as one table, padded to the sizes of the ladder with windows that begin at ``zeros``."""
    most = max((each.size for each in windows), default=1)
    shape = (rung(len(windows), TABLE_RATIO, FEWEST), rung(most, TABLE_RATIO, FEWEST))
    starts = np.full(shape, zeros, dtype=np.int32)
    counts = np.zeros(shape[0], dtype=np.int32)
    for row, each in enumerate(windows):
        starts[row, : each.size] = each
        counts[row] = -(-each.size // TOGETHER)
    return _Windows(jnp.asarray(starts), jnp.asarray(counts))
