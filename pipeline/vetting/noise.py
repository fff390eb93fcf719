"""The depth of one transit, and how well the noise of this very light curve lets us know it.

Everything the flux and centroid tests quote as a sigma comes from here. The same estimator that measures a real
transit (mean of a box one duration long against the mean of its two flanks) is run on *pseudo-transits*: the same
ephemeris shifted to every other phase. Their scatter holds the red noise that point-to-point errors miss.

    variance of one event = white * (1 / n_in + 1 / 4 n_left + 1 / 4 n_right) + red

``white`` is local (from second differences of neighbouring cadences, blind to slopes), ``red`` is what the scatter
of the pseudo-transits needs beyond it. The red/white split follows Pont et al. 2006 (MNRAS 373 231) and Hartman &
Bakos 2016; taking it from pseudo-transits follows DAVE and ``Model-shift`` (Coughlin 2017).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pipeline.ephemeris import cycle, phase
from pipeline.types import Booleans, Floats, Integers

NORMAL = NormalDist()
STEPS_PER_DURATION = 4  # trial phases in one duration: a box a quarter off loses under 13 % of its signal
MOST_PHASES = 4000  # trial phases at most; finer than a duration / 4 up to periods of 1000 durations
COVERAGE = 0.5  # least share of a box that must hold cadences
FLANK_COVERAGE = 0.3  # same, of each flank
CROWDED = 8.0  # durations to a period; below, the flanks of a pseudo-transit reach into the transit and are cut
CROWDED_COVERAGE = 0.12  # share of each flank that must be left then
DIFFERENCES = 35 / 18  # second differences that are worth one independent number, in their mean square
LEAST_LOCAL = 0.05  # white variance at any place over that of the series
FLOOR = 1e-9  # fraction or pixels; less noise than this is rounding
CORRELATED = 0.8  # durations apart at which the sum of squared correlations makes depths independent
CLIP = 4.0  # robust sigmas at which pseudo-events are clipped before their scatter is taken
LEAST_DEGREES = 8.0  # independent numbers that errors without any pseudo-transits are worth
DOUBT = 10.0  # odds of the expected variance against any other, before the data are asked


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a transit is measured, as distances from its centre, in days."""

    half: float  # the box: half a duration
    inner: float  # each flank starts here
    outer: float  # and ends here

    def contrast(self, flank_coverage: float) -> "Contrast":
        """The mean of the flanks minus the mean of the box."""
        spans = ((-self.outer, -self.inner), (-self.half, self.half), (self.inner, self.outer))
        return Contrast(spans, (0.5, -1.0, 0.5), (flank_coverage, COVERAGE, flank_coverage))

    @classmethod
    def of(cls, period: float, duration: float) -> "Windows":
        """Flanks from 0.75 to 2.5 durations, kept within half a period of the centre."""
        half, limit = 0.5 * duration, 0.5 * period
        inner = min(0.75 * duration, 0.5 * (half + limit))
        return cls(half, inner, max(min(2.5 * duration, limit), inner))


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of mean fluxes in windows around a centre; the weights sum to 0, so the level drops out."""

    spans: tuple[tuple[float, float], ...]  # days from the centre
    weights: tuple[float, ...]
    coverage: tuple[float, ...]  # least share of each window that must hold cadences


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Depths measured at given times; those without enough cadences are not ``usable`` and hold 0."""

    centre: Floats  # (n,) BTJD days
    depth: Floats  # (n,) mean of the flanks minus mean of the box, unit of the series
    white: Floats  # (n,) variance from point-to-point noise alone
    usable: Booleans  # (n,)

    @property
    def count(self) -> int:
        return int(self.usable.sum())


class Samples:
    """A series with running sums, so that a mean over any window costs two look-ups.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    values : (n,) finite; flux, or a centroid in pixels
    exposure : (n,) days each cadence covers
    """

    def __init__(self, time: Floats, values: Floats, exposure: Floats) -> None:
        self.time = time
        self.exposure = exposure
        self.level = float(np.median(values)) if values.size else 0.0
        self._values = _running(values - self.level)  # small numbers keep the sums exact
        self._light = _running((values - self.level) * exposure)
        self._exposure = _running(exposure)
        squares, known, white = _difference_squares(time, values)
        self.white = max(white, FLOOR**2)
        self._squares = _running(squares)
        self._known = _running(known)

    def measure(self, centres: Floats, windows: Windows, flank_coverage: float = FLANK_COVERAGE) -> Events:
        """Measure the depth at every centre.

        Parameters
        ----------
        centres : (m,) BTJD days
        windows : Windows
        flank_coverage : float
            Least share of each flank that must hold cadences.

        Returns
        -------
        Events, m of them
        """
        return self.contrast(centres, windows.contrast(flank_coverage))

    def read(self, centres: Floats, what: Windows | Contrast, flank_coverage: float = FLANK_COVERAGE) -> Events:
        """Measure either."""
        if isinstance(what, Contrast):
            return self.contrast(centres, what)
        return self.measure(centres, what, flank_coverage)

    def contrast(self, centres: Floats, contrast: Contrast) -> Events:
        """Measure a contrast at every centre, with the cadences on the edge of a window shared out.

        A cadence holds its flux over its whole exposure. Where one follows the other and the flux is even at the
        edges of the windows, the result then does not depend on how the cadences fall.

        Parameters
        ----------
        centres : (m,) BTJD days
        contrast : Contrast

        Returns
        -------
        Events, m of them
            ``depth`` holds the contrast.
        """
        if not self.time.size:
            return Events(centres, np.zeros(centres.size), np.zeros(centres.size), np.zeros(centres.size, dtype=bool))
        edges, place = np.unique(np.array(contrast.spans), return_inverse=True)
        first, last = place.reshape(-1, 2).T
        when = centres[None, :] + edges[:, None]
        knots = np.maximum.accumulate(
            np.ravel(self.time[:, None] + 0.5 * self.exposure[:, None] * np.array([-1.0, 1.0]))
        )
        light, covered = (
            np.diff(np.interp(when, knots, np.repeat(total, 2)[1:-1])[np.stack([first, last])], axis=0)[0]
            for total in (self._light, self._exposure)
        )
        least = np.array(contrast.coverage) * (edges[last] - edges[first])
        usable = (covered >= least[:, None]).all(axis=0)
        safe = np.where(usable, covered, 1.0)
        weights = np.array(contrast.weights)[:, None]
        value = (weights * light / safe).sum(axis=0)
        at = np.searchsorted(self.time, when[[0, -1]])
        exposure = (self._exposure[at[1]] - self._exposure[at[0]]) / np.maximum(at[1] - at[0], 1)
        white = self._local(at[0], at[1]) * (weights**2 * exposure / safe).sum(axis=0)
        return Events(centres, np.where(usable, value, 0.0), np.where(usable, white, 0.0), usable)

    def _local(self, first: Integers, last: Integers) -> Floats:
        """White variance of a cadence between two places: that of the series, unless it is surely another there."""
        near, known = self._squares[last] - self._squares[first], self._known[last] - self._known[first]
        share = np.where(known > 0, near / np.where(known > 0, known, 1.0) / self.white, 1.0)
        return self.white * believed(np.maximum(share, LEAST_LOCAL), known / DIFFERENCES)[0]


@dataclass(frozen=True, slots=True, eq=False)
class PseudoTransits:
    """The ephemeris shifted to every phase away from the transit, measured cycle by cycle."""

    phase: Floats  # (k,) of the shift, 0..1
    cycle: Integers  # (c,) cycles that hold data
    depth: Floats  # (c, k)
    white: Floats  # (c, k)
    usable: Booleans  # (c, k)
    red: float  # variance of one event beyond its white noise
    scale: float  # of the white variance; below 1 where the trend followed even white noise
    independent: float  # how many shifts do not overlap

    @property
    def degrees(self) -> float:
        """Independent numbers behind ``red`` and ``scale``; a few at least, as the cadences tell the white part."""
        if not self.phase.size:
            return LEAST_DEGREES
        repeated = np.maximum(self.usable.sum(axis=0) - 1, 0).sum() or self.usable.sum()
        return max(float(repeated) * self.independent / self.phase.size * 1.5 / CORRELATED, LEAST_DEGREES)

    def variance(self, white: Floats) -> Floats:
        """Of events with this much white variance, red noise included."""
        return self.scale * white + self.red

    def fold(self, cycles: Booleans | None = None) -> tuple[Floats, Floats, Integers]:
        """Average over cycles: depth, its standard error and the number of events at each phase, (k,) each."""
        weight = np.where(self.usable, 1 / np.where(self.usable, self.variance(self.white), 1.0), 0.0)
        if cycles is not None:
            weight = weight * cycles[:, None]
        total = weight.sum(axis=0)
        safe = np.where(total > 0, total, 1.0)
        depth = (weight * self.depth).sum(axis=0) / safe
        return depth, np.where(total > 0, 1 / np.sqrt(safe), 0.0), (weight > 0).sum(axis=0)


def pseudo_transits(
    samples: Samples, period: float, epoch: float, duration: float, windows: Windows | Contrast, clear: float
) -> PseudoTransits:
    """Measure the shifted ephemeris at all phases further than ``clear`` days from the transit.

    Parameters
    ----------
    samples : Samples
        With the cadences of the real transits taken out.
    period, epoch, duration : float
        Of the signal; days and BTJD.
    windows : Windows or Contrast
        What is measured.
    clear : float
        Days between a shifted centre and a real one, at least.

    Returns
    -------
    PseudoTransits
        With no phases at all where the transits leave no room.
    """
    number = int(np.clip(math.ceil(STEPS_PER_DURATION * period / duration), 8, MOST_PHASES))
    shift = np.arange(number) / number
    shift = shift[np.minimum(shift, 1 - shift) * period >= clear]
    # a shift of 0.9 belongs to the cycle it lies in when cycles are counted from transit to transit
    held = np.unique(np.floor((samples.time - epoch) / period).astype(np.int64))
    centres = epoch + (held[:, None] + shift[None, :]) * period
    least = CROWDED_COVERAGE if period < CROWDED * duration else FLANK_COVERAGE
    events = samples.read(centres.ravel(), windows, least)
    depth, white = events.depth.reshape(centres.shape), events.white.reshape(centres.shape)
    usable = events.usable.reshape(centres.shape)
    independent = shift.size / number * period / (1.5 * duration)
    return PseudoTransits(shift, held, depth, white, usable, *_red_and_scale(depth, white, usable), independent)


def inflation(z: Floats, independent: float, assumed: float) -> float:
    """How much wider than a unit normal a pseudo-folded statistic is.

    Folding at the wrong phase should give unit normals; where the noise of one cycle knows that of the next, it
    does not. The assumption that it is exactly 1 counts as much as ``assumed`` independent shifts.
    """
    if z.size < 3:
        return 1.0
    return math.sqrt((assumed + independent * clipped_variance(z)) / (assumed + independent))


def believed(mean_square: Floats | float, degrees: Floats | float) -> tuple[Floats, Floats]:
    """Weigh a measured variance against the expected one of 1.

    Parameters
    ----------
    mean_square : array_like
        Of ``degrees`` independent numbers that should be unit normals; positive.
    degrees : array_like

    Returns
    -------
    variance : array
        1 unless the likelihood of the mean square outweighs ``DOUBT``: an estimate from few numbers adds more error
        than it takes away, one that is far off has to be followed.
    spread : array
        Relative variance of that, from its being an estimate.
    """
    square, number = np.asarray(mean_square, dtype=np.float64), np.asarray(degrees, dtype=np.float64)
    gain = 0.5 * number * (square - 1 - np.log(square))  # in ln likelihood
    weight = 1 / (1 + DOUBT * np.exp(-np.minimum(gain, 700.0)))
    variance = 1 + weight * (square - 1)
    return variance, 2 / np.maximum(number, 1.0) * (weight * square / variance) ** 2


def clipped_variance(values: Floats) -> float:
    """Variance about 0 with values beyond four robust sigmas brought back to there."""
    if values.size == 0:
        return 0.0
    scale = 1.4826 * float(np.median(np.abs(values)))
    if scale == 0:
        return float(np.mean(values**2))
    return float(np.mean(np.clip(values, -CLIP * scale, CLIP * scale) ** 2))


def normal_equivalent(t: float, degrees: float) -> float:
    """Turn Student's t into the normal deviate of the same probability (Wallace 1959, good to 0.1 sigma to t = 10)."""
    if not math.isfinite(degrees):
        return t
    return math.copysign((8 * degrees + 1) / (8 * degrees + 3) * math.sqrt(degrees * math.log1p(t * t / degrees)), t)


def student_equivalent(z: float, degrees: float) -> float:
    """The Student's t of the same probability as a normal deviate: the inverse of ``normal_equivalent``."""
    if not math.isfinite(degrees):
        return z
    stretched = (8 * degrees + 3) / (8 * degrees + 1) * z
    return math.copysign(math.sqrt(degrees * math.expm1(min(stretched**2 / degrees, 700.0))), z)


def chi_square_sigma(chi_square: float, degrees: int) -> float:
    """One-sided normal deviate of a chi-square (Wilson & Hilferty 1931)."""
    width = 2 / (9 * degrees)
    return ((chi_square / degrees) ** (1 / 3) - (1 - width)) / math.sqrt(width)


def variance_ratio_sigma(ratio: float, degrees: float, other: float) -> float:
    """One-sided normal deviate of a chi-square per degree of freedom whose unit was measured too (Paulson 1942).

    ``other`` degrees of freedom is what the unit was measured with; many of them give ``chi_square_sigma``.
    """
    width, other_width = 2 / (9 * degrees), 2 / (9 * max(other, 1.0))
    root = ratio ** (1 / 3)
    return ((1 - other_width) * root - (1 - width)) / math.sqrt(width + other_width * root**2)


def best_of(z: float, trials: float) -> float:
    """The normal deviate of the largest of ``trials`` independent ones: pays for having looked everywhere."""
    trials = max(trials, 1.0)
    single = NORMAL.cdf(-z)
    if single < 1e-14:  # beyond 7.6 sigma the tail is exp(-z^2 / 2) / z
        return math.sqrt(max(z * z - 2 * math.log(trials), 0.0))
    together = -math.expm1(trials * math.log1p(-single)) if single < 1 else 1.0
    return -NORMAL.inv_cdf(min(max(together, 1e-300), 1 - 1e-16))


def one_of(sigma: float, trials: float) -> float:
    """The deviate that the largest of ``trials`` reaches as often as one alone ``sigma``; undoes ``best_of``."""
    together = NORMAL.cdf(-sigma)
    return -NORMAL.inv_cdf(max(-math.expm1(math.log1p(-together) / max(trials, 1.0)), 1e-300))


def outside(time: Floats, period: float, epoch: float, distance: float) -> Booleans:
    """True for cadences further than ``distance`` days from every transit centre."""
    return np.abs(phase(time, period, epoch)) * period > distance


def transit_centres(time: Floats, period: float, epoch: float) -> tuple[Integers, Floats]:
    """Cycle numbers with any data in them, and when their transits are centred."""
    cycles = np.unique(cycle(time, period, epoch))
    return cycles, epoch + cycles.astype(np.float64) * period


def _running(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _difference_squares(time: Floats, values: Floats) -> tuple[Floats, Floats, float]:
    """Squares of second differences as an estimate of the white variance at each cadence, where known, and overall."""
    squares, known = np.zeros(time.size), np.zeros(time.size)
    if time.size < 3:
        return squares, known, 0.0
    step = np.diff(time)
    usual = np.median(step)
    together = (step[1:] < 2.5 * usual) & (step[:-1] < 2.5 * usual)
    if not together.any():
        return squares, known, clipped_variance(values - np.median(values))
    second = (values[2:] - 2 * values[1:-1] + values[:-2]) / math.sqrt(6)
    scale = 1.4826 * float(np.median(np.abs(second[together])))
    # a flare or the edge of an eclipse must not pass for white noise
    bounded = np.clip(second, -CLIP * scale, CLIP * scale) if scale > 0 else second
    squares[1:-1] = np.where(together, bounded**2, 0.0)
    known[1:-1] = together
    return squares, known, float(squares.sum() / known.sum())


def _red_and_scale(depth: Floats, white: Floats, usable: Booleans) -> tuple[float, float]:
    """Variance beyond white and scale of the white: with them residuals about the fold have variance 1."""
    count = usable.sum(axis=0)
    if not usable.any():
        return 0.0, 1.0
    weight = np.where(usable, 1 / np.where(usable & (white > 0), white, 1.0), 0.0)
    if count.max() >= 3:  # what repeats every cycle is signal (a secondary, an ellipsoidal star), not noise
        enough = count >= 3
        total = weight.sum(axis=0)
        mean = np.where(enough, (weight * depth).sum(axis=0) / np.where(total > 0, total, 1.0), 0.0)
        grow = np.where(enough, np.sqrt(count / np.maximum(count - 1, 1)), 0.0)
        residual = (depth - mean) * grow
        used = usable & enough
    else:
        residual, used = depth, usable
    residual, white = residual[used], white[used]
    low, high = 0.0, float(np.mean(residual**2))
    if residual.size == 0:
        return 0.0, 1.0
    without = clipped_variance(residual / np.sqrt(white))
    if without <= 1:
        return 0.0, max(without, 0.1)
    for _ in range(14):  # to 1e-4 of the bracket
        middle = 0.5 * (low + high)
        if clipped_variance(residual / np.sqrt(white + middle)) > 1:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high), 1.0
