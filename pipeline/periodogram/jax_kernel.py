"""The shift-add fold for XLA: GPU, or CPU as its check; same signature and same sums as ``reference.fold``.

No scatter: runs of a cycle are ``dynamic_slice`` windows added in order of time. Periods are dealt into buckets of
similar length, so that a search compiles a handful of shapes; stretches are laid out with enough zeros around them that
no window can be clamped and shifted.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

WIDTH_RATIO = 1.5  # of neighbouring window widths: what lies beyond the period is added in vain
ROWS_RATIO = 4  # of neighbouring table sizes: costs memory alone
SMALLEST = 64  # bins, rows or runs
PERIODS = 128  # folded by one call


def bucket(size: int, ratio: float) -> int:
    """The smallest rung of the ladder that holds ``size``."""
    rung = SMALLEST
    while rung < size:
        rung = int(rung * ratio)
    return rung


@partial(jax.jit, static_argnames=("width",))
def _fold_bucket(
    numerator: jax.Array,
    denominator: jax.Array,
    starts: jax.Array,
    runs: jax.Array,
    phases: jax.Array,
    inverse_total: jax.Array,
    floor: jax.Array,
    width: int,
) -> tuple[jax.Array, jax.Array]:
    """Fold (rows, stars) at each row of ``starts`` (periods, runs): windows of ``width`` rows added one by one."""
    stars = numerator.shape[1]
    zero, one = jnp.float32(0.0), jnp.float32(1.0)

    def one_period(row: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        start, count, length = row

        def add(i: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            folded, weight = sums
            at = start[i]
            return (
                folded + jax.lax.dynamic_slice(numerator, (at, jnp.int32(0)), (width, stars)),
                weight + jax.lax.dynamic_slice(denominator, (at,), (width,)),
            )

        empty = (jnp.zeros((width, stars), jnp.float32), jnp.zeros((width,), jnp.float32))
        folded, weight = jax.lax.fori_loop(jnp.int32(0), count, add, empty)
        variance = jnp.maximum(weight, floor) * jnp.maximum(one - weight * inverse_total, jnp.float32(1e-6))
        allowed = (weight >= floor) & (jnp.arange(width, dtype=jnp.int32) < length)
        score = jnp.where(allowed, one / jnp.sqrt(variance), zero)[:, None] * folded
        best = jnp.argmax(score, axis=0).astype(jnp.int32)
        return jnp.maximum(jnp.max(score, axis=0), zero), best

    power, phase_bin = jax.lax.map(one_period, (starts, runs, phases))
    return power, phase_bin


def _runs(
    period_bins: NDArray[np.float64], phases: NDArray[np.int64], begin: int, length: int, row: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which period and which row each run of one stretch begins at, by period and then by time."""
    lowest = np.floor((begin - phases) / period_bins).astype(np.int64)
    highest = np.ceil((begin + length) / period_bins).astype(np.int64) + 1
    which = np.repeat(np.arange(period_bins.size), highest - lowest)
    within = np.arange(which.size) - np.repeat(np.cumsum(highest - lowest) - (highest - lowest), highest - lowest)
    start = np.floor((lowest[which] + within) * period_bins[which] + 0.5).astype(np.int64)
    meets = (start < begin + length) & (start + phases[which] > begin)
    return which[meets], row + start[meets] - begin


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
    if period_bins.size == 0:
        return power, phase_bin
    phases = np.floor(period_bins).astype(np.int64) + 1
    widths = np.array([bucket(int(size), WIDTH_RATIO) for size in phases])
    for width in np.unique(widths):
        chosen = np.flatnonzero(widths == width)
        # a window may begin a whole width before its stretch and end a whole width behind it
        rows = bucket(int(length.sum()) + int(width) * (length.size + 1), ROWS_RATIO)
        laid = np.zeros((rows, stars), dtype=np.float32)
        laid_weight = np.zeros(rows, dtype=np.float32)
        place = np.zeros(first.size, dtype=np.int64)
        at = int(width)
        for k in range(first.size):
            place[k] = at
            laid[at : at + length[k]] = numerator[offset[k] : offset[k] + length[k]]
            laid_weight[at : at + length[k]] = denominator[offset[k] : offset[k] + length[k]]
            at += int(length[k]) + int(width)
        on_device = (jnp.asarray(laid), jnp.asarray(laid_weight))
        for low in range(0, chosen.size, PERIODS):
            some = chosen[low : low + PERIODS]
            starts, runs = _starts(period_bins[some], phases[some], first, length, place)
            padded = np.zeros(PERIODS, dtype=np.int32)
            padded[: some.size] = phases[some]
            found, where = _fold_bucket(
                *on_device,
                jnp.asarray(starts),
                jnp.asarray(runs),
                jnp.asarray(padded),
                jnp.float32(1.0 / total_weight),
                jnp.float32(floor),
                width=int(width),
            )
            power[some] = np.asarray(found)[: some.size]
            phase_bin[some] = np.asarray(where)[: some.size]
    return power, phase_bin


def _starts(
    period_bins: NDArray[np.float64],
    phases: NDArray[np.int64],
    first: NDArray[np.int64],
    length: NDArray[np.int64],
    place: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First rows of all runs, (PERIODS, runs) in order of time, and how many each period has, (PERIODS,)."""
    parts = [_runs(period_bins, phases, int(first[k]), int(length[k]), int(place[k])) for k in range(first.size)]
    which = np.concatenate([part[0] for part in parts])
    start = np.concatenate([part[1] for part in parts])
    order = np.argsort(which, kind="stable")
    which, start = which[order], start[order]
    count = np.bincount(which, minlength=PERIODS)
    starts = np.zeros((PERIODS, bucket(int(count.max()), ROWS_RATIO)), dtype=np.int32)
    column = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    starts[which, column] = start
    return starts, count.astype(np.int32)
