"""False alarms by the star's own light curve: upside down, and with its days in another order.

Turned upside down a light curve has no transits, and its noise is as red as before; cut in pieces of days that change
places it keeps the noise within a transit and loses whatever is periodic. The highest peaks of such null series, block
by block of periods, follow an extreme-value law, whose tail says how often noise alone would reach a given height
anywhere in the grid.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram import noise
from pipeline.periodogram.grid import Grid
from pipeline.periodogram.spectrum import BINS_PER_DURATION, LEAST_TRANSITS, Kernel, Series
from pipeline.types import Floats, Integers

BLOCKS = 16  # runs of neighbouring periods whose maxima are taken
SHARE = 8  # of the grid's periods one in so many is searched in the null series, in whole runs
PIECE = 1.0  # days; pieces are at least this long, and...
PIECE_DURATIONS = 5.0  # ... this many of the longest durations
EULER = 0.5772156649015329
# of the law, in simulated stars with white and red noise; one star alone leaves it uncertain by a tenth, which at a
# signal-to-noise of 7 is a factor of three in probability, so it is drawn towards this as if by so many more maxima
USUAL_SCALE = 2.6
USUAL_MAXIMA = 256
LEAST_SPREAD = 1e-3  # of squared maxima; below it they are all alike and nothing can be said


@dataclass(frozen=True, slots=True)
class Tail:
    """The law of the highest squared signal-to-noise of a block: Gumbel's, by its L-moments (Hosking 1990)."""

    location: float
    scale: float
    blocks: int  # in the whole grid
    nulls: int  # null series behind it

    def probability(self, snr: float) -> float:
        """How likely noise alone reaches this signal-to-noise somewhere in the grid."""
        exponent = -(snr**2 - self.location) / self.scale
        # of one block: 1 - exp(-exp(e)); of all: 1 - (1 - p)**blocks
        return -math.expm1(-self.blocks * math.exp(min(exponent, 700.0)))


def tail_of(heights: NDArray[np.float32], blocks: int, share: int = 1) -> Tail | None:
    """Fit the law to null spectra.

    Parameters
    ----------
    heights : (p, nulls)
        Signal-to-noise of null series over ``blocks`` runs of periods.
    blocks : int
    share : int
        The runs are one part in so many of the grid.

    Returns
    -------
    Tail or None
        None where there are fewer than two periods a block, or the maxima do not scatter.
    """
    if heights.shape[0] < 2 * blocks or heights.shape[1] == 0:
        return None
    maxima = np.concatenate([part.max(axis=0) for part in np.array_split(heights.astype(np.float64), blocks)])
    ranked = np.sort(maxima**2)
    first = float(ranked.mean())
    second = float((ranked * (2.0 * np.arange(ranked.size) / (ranked.size - 1) - 1.0)).mean())
    scale = second / math.log(2.0)
    if not scale > LEAST_SPREAD:
        return None
    scale = (maxima.size * scale + USUAL_MAXIMA * USUAL_SCALE) / (maxima.size + USUAL_MAXIMA)
    return Tail(first - EULER * scale, scale, blocks * share, heights.shape[1])


def null_tail(series: Series, grid: Grid, with_kernel: Kernel, scrambles: int) -> Tail | None:
    """The tail of one light curve: inverted, and ``scrambles`` times in another order both ways up.

    Parameters
    ----------
    series : Series
        One star, the transits of its signals masked.
    grid : Grid
    with_kernel : Kernel
    scrambles : int

    Returns
    -------
    Tail or None
        As :func:`tail_of`. The box is searched alone: the other templates are so like it (correlations of 0.94 and
        more) that they hardly add chances.
    """
    used = series.weight > 0
    time, flux, weight = series.time[used], series.flux[0, used], series.weight[used]
    orders = [pieces(time, max(PIECE, PIECE_DURATIONS * float(grid.durations[-1])), seed) for seed in range(scrambles)]
    mixed = np.stack([flux, *(flux[order] for order in orders)])
    mixed -= (mixed @ weight / weight.sum())[:, None]
    which = runs(grid.period.size)
    total = float(weight.sum())
    heights = np.zeros((which.size, 1 + 2 * scrambles), dtype=np.float32)
    mixture = replace(series, time=time, flux=mixed, weight=weight)
    for duration, first, last in zip(grid.durations, grid.first, grid.last, strict=True):
        tried = slice(*np.searchsorted(which, (first, last)))
        period = grid.period[which[tried]]
        if period.size == 0:
            continue
        ready = mixture.filtered(with_kernel, float(duration), "box", BINS_PER_DURATION)
        sigma = float(noise.filtered_scatter(replace(ready, numerator=ready.numerator[:1]))[0])
        if not sigma > 0:
            continue
        floor = LEAST_TRANSITS * float(ready.denominator.max())
        above, below = with_kernel.fold(ready.numerator, ready.denominator, period / ready.width, total, floor)
        found = np.concatenate([below, above[:, 1:]], axis=1) / np.float32(sigma)
        heights[tried] = np.maximum(heights[tried], found)
    return tail_of(heights, BLOCKS, round(grid.period.size / which.size))


def runs(periods: int) -> Integers:
    """Indices of one period in eight, in sixteen runs of neighbours spread evenly."""
    edges = np.linspace(0, periods, BLOCKS + 1).astype(np.int64)
    return np.concatenate([np.arange(low, low + max(1, (high - low) // SHARE)) for low, high in pairwise(edges)])


def pieces(time: Floats, length: float, seed: int) -> Integers:
    """The cadences in the order of their pieces of ``length`` observed days, shuffled, (n,)."""
    observed = np.cumsum(np.minimum(np.diff(time, prepend=time[0]), 0.5))
    number = np.floor(observed / length).astype(np.int64)
    order = np.random.default_rng([seed, int(number[-1])]).permutation(int(number[-1]) + 1)
    rank = np.argsort(order)
    return np.argsort(rank[number], kind="stable")
