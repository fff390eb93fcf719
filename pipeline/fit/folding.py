"""The cadences around the transits as few numbers that say as much: groups of transits, folded, with their covariance.

Every transit has a level and a slope of its own, and noise that is white or remembers some hours. The transits of a
group, a few consecutive ones, are averaged with the weights that this gives them, bin by bin; what the average says of
a model is then what all the single cadences say, but for what changes within a bin or, between the groups, the period.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.ephemeris import cycle, transit_mask
from pipeline.types import Booleans, Floats, Integers
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.transits import block_distance

REACH = 2.5  # durations to each side of the middle that are fitted
FINE = 0.75  # durations to each side in which bins are fine
COARSE = 0.25  # durations of a bin further out
FEWEST_BINS, MOST_BINS = 16, 48  # of a duration, at signal-to-noise 10 and at 90 or more
LEAST_CADENCES = 4  # of a transit
BROAD = 10.0  # deviation of a transit's own level and slope, over what noise does to a mean of one duration
LAG_BINS = 6  # of a duration, in which the memory of the noise is measured
TIMES = np.geomspace(0.25, 8.0, 12)  # durations that the noise may remember
EXPOSURE_STEP = 1 / 86400  # days; exposures closer than this are of one kind


@dataclass(frozen=True, slots=True)
class RedNoise:
    """Noise that forgets exponentially; a first-order process is fixed by the two."""

    variance: float  # fraction squared; 0 where the noise is white
    memory: float  # days in which the correlation falls by e

    def covariance(self, time: Floats) -> Floats:
        return self.variance * np.exp(-np.abs(time[:, None] - time) / self.memory)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Groups of transits, binned; rows without data are ``used`` nowhere and weigh nothing."""

    edges: Floats  # (n + 1,) of the bins, days from the middle
    since: Floats  # (g, n) days from the middle of transit ``turns``, mean of each bin's cadences
    width: Floats  # (g, n) days over which a bin averages: exposure and spread of its cadences together
    turns: Floats  # (g,) mean cycle, counted from that of the epoch
    period: float  # of the fold, days
    epoch: float  # BTJD of transit 0
    dim: Floats  # (g, n) light lost, a fraction
    precision: Floats  # (g, n) 1 / variance of each alone, beside what level and slope do; 0 where no cadence is
    rotated: Floats  # (g, n) the same after ``rotation``
    rotation: Floats  # (g, n, n) to numbers that are independent of each other, white noise of variance 1 in each
    extra: Floats  # (g, n) variance of these beyond white noise
    used: Booleans  # (g, n) which of these are there
    within: float  # sum of squares of cadences about their bin's mean, out of transit, over the white variance
    within_degrees: int
    white: float  # noise of a cadence of the usual exposure, a fraction
    red: RedNoise
    cadences: Integers  # indices into the light curve
    cycles: Integers  # (c,) transits with data, counted from that of the epoch
    group: Integers  # (c,) group of each


def middle_epoch(time: Floats, period: float, epoch: float, duration: float) -> float:
    """BTJD of the transit nearest to the middle of the cadences in transit, where period and epoch are independent.

    Raises
    ------
    ValueError
        If no cadence lies in a transit.
    """
    inside = transit_mask(time, period, epoch, duration)
    if not inside.any():
        raise ValueError("no cadence lies in a transit")
    return epoch + period * float(np.round(np.mean(cycle(time[inside], period, epoch))))


def fold(
    case: Case, period: float, epoch: float, duration: float, others: Booleans, groups: int, fineness: float
) -> Folded:
    """Fold a light curve on an ephemeris, in groups of transits.

    Parameters
    ----------
    case : Case
        The light curve is detrended with its transits masked; the noise is measured beside them.
    period, epoch, duration : float
        Days and BTJD of transit 0; from first to fourth contact.
    others : (n,) bool
        Cadences to leave out.
    groups : int
        Groups of transits at most; more where exposures differ.
    fineness : float
        Bins of a transit, over those that its signal-to-noise asks for.

    Raises
    ------
    ValueError
        If no transit has data.
    """
    curve, exposure = case.light_curve, case.cleaned.exposure
    reach = min(REACH * duration, 0.5 * period)
    number = cycle(curve.time, period, epoch)
    away = curve.time - epoch - number * period
    near = np.flatnonzero((np.abs(away) < reach) & ~others)
    kind = np.round(exposure / EXPOSURE_STEP).astype(np.int64)
    edges = _edges(duration, reach, case.signal.snr, fineness)
    seen, count = np.unique(np.stack([kind[near], number[near]]), axis=1, return_counts=True)
    seen = seen[:, count >= LEAST_CADENCES]
    if not seen.size:
        raise ValueError(f"no transit has {LEAST_CADENCES} cadences")
    # the white noise of a cadence beside each transit, whose own ingress would pass for noise
    off = np.abs(away) > 0.6 * duration
    samples = noise.Samples(curve.time[off], curve.flux[off], exposure[off])
    centre = epoch + seen[1] * period
    spans = samples.contrast(centre, noise.Contrast(((-reach, reach),), (1.0,), (1e-6,)))
    cadences = np.diff(np.searchsorted(samples.time, centre + reach * np.array([[-1.0], [1.0]])), axis=0)[0]
    whites = np.where(spans.usable, spans.white * cadences, samples.white)
    red = red_noise(case, duration)
    parts: list[_Transit] = []
    for (what, which), white in zip(seen.T, whites.tolist(), strict=True):
        own = near[(kind[near] == what) & (number[near] == which)]
        parts.append(_Transit.of(own, away[own], 1 - curve.flux[own], white, edges, exposure[own[0]], duration))
    level = BROAD * math.sqrt(
        float(np.median([part.white / max((0.5 * duration / part.exposure), 1.0) for part in parts])) + red.variance
    )
    member = _groups(seen, np.array([part.weight for part in parts]), groups)
    total = member.max() + 1
    shape = (total, edges.size - 1)
    since, width, dim, precision, rotated, extra = (np.zeros(shape) for _ in range(6))
    used, rotation = np.zeros(shape, dtype=bool), np.zeros((*shape, shape[1]))
    since[:], width[:] = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    turns = np.empty(total)
    for g in range(total):
        chosen = [part for part, group in zip(parts, member, strict=True) if group == g]
        weight = np.array([part.weight for part in chosen])
        turns[g] = (weight * seen[1][member == g]).sum() / weight.sum()
        bins, mean, since_, width_, numbers, turned, more = _together(chosen, red, level, reach)
        since[g, bins], width[g, bins], dim[g, bins] = since_, width_, mean
        for part in chosen:
            precision[g, part.bins] += 1 / (part.white / part.count + red.variance)
        rows = np.arange(bins.size)
        rotated[g, rows], extra[g, rows], used[g, rows] = numbers, more, True
        rotation[g, rows[:, None], bins[None, :]] = turned
    usual = np.median([part.exposure for part in parts])
    white = math.sqrt(float(np.median([part.white for part in parts if part.exposure == usual] or [parts[0].white])))
    return Folded(
        edges, since, width, turns, period, epoch, dim, precision, rotated, rotation, extra, used,
        within=float(sum(part.within for part in parts)), within_degrees=int(sum(part.degrees for part in parts)),
        white=white, red=red, cadences=np.sort(np.concatenate([part.cadences for part in parts])),
        cycles=seen[1], group=member,
    )  # fmt: skip


def red_noise(case: Case, duration: float) -> RedNoise:
    """What the noise remembers: as much as pseudo-transits below a mask scatter more than white noise lets them."""
    transits, signal = case.transits, case.signal
    usable = transits.events.usable
    white = transits.events.white[usable] if usable.any() else transits.pseudo.white[transits.pseudo.usable]
    if not white.size:
        return RedNoise(0.0, duration)
    one = float(np.median(white))
    beyond = max(case.views.masked_noise, 1.0) * float(transits.pseudo.scale * one + transits.pseudo.red) - one
    memory = _memory(case, duration)
    if beyond <= 0:
        return RedNoise(0.0, memory)
    windows = noise.Windows.of(signal.period, signal.duration)
    contrast = windows.contrast(noise.FLANK_COVERAGE)
    points = 24
    place = np.concatenate([low + (high - low) * (np.arange(points) + 0.5) / points for low, high in contrast.spans])
    weight = np.repeat(np.array(contrast.weights) / points, points)
    unit = float(weight @ RedNoise(1.0, memory).covariance(place) @ weight)
    return RedNoise(beyond / unit, memory)


def _memory(case: Case, duration: float) -> float:
    """Days in which the noise beside the transits forgets, from its autocovariance over three durations."""
    curve, signal = case.light_curve, case.signal
    off = noise.outside(curve.time, signal.period, signal.epoch, block_distance(signal) + 0.5 * signal.duration)
    step = duration / LAG_BINS
    place = ((curve.time[off] - curve.time[0]) / step).astype(np.int64)
    count = np.bincount(place)
    mean = np.bincount(place, curve.flux[off] - 1) / np.maximum(count, 1)
    known = (count >= 0.5 * np.median(count[count > 0])).astype(np.float64)
    mean = np.where(known > 0, mean - np.median(mean[known > 0]), 0.0)
    scale = 4 * 1.4826 * float(np.median(np.abs(mean[known > 0]))) if known.any() else 0.0
    mean = np.clip(mean, -scale, scale)
    lags = np.arange(1, min(3 * LAG_BINS, mean.size - 1) + 1)
    pairs = np.array([float(known[lag:] @ known[:-lag]) for lag in lags])
    if lags.size < LAG_BINS or not (pairs > 0).all():
        return duration
    covariance = np.array([float(mean[lag:] @ mean[:-lag]) for lag in lags]) / pairs
    best, least = duration, math.inf
    for memory in TIMES * duration:
        shape = np.stack([np.exp(-lags * step / memory), np.ones(lags.size)], axis=1)
        solved, *_ = np.linalg.lstsq(shape, covariance, rcond=None)
        square = float(((covariance - shape @ solved) ** 2).sum())
        if solved[0] > 0 and square < least:
            best, least = float(memory), square
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Transit:
    """One transit in one kind of exposure, binned."""

    cadences: Integers
    exposure: float  # days
    white: float  # variance of a cadence
    bins: Integers  # (b,) those that hold cadences
    count: Integers  # (b,)
    since: Floats  # (b,) sums over the cadences of each bin: of the time,
    squares: Floats  # (b,) of its square
    mean: Floats  # (b,) light lost
    within: float
    degrees: int
    weight: float  # for the time of the transit

    @classmethod
    def of(
        cls, own: Integers, away: Floats, dim: Floats, white: float, edges: Floats, exposure: float, duration: float
    ) -> "_Transit":
        place = np.searchsorted(edges, away, side="right") - 1
        place = np.clip(place, 0, edges.size - 2)
        count = np.bincount(place, minlength=edges.size - 1)
        bins = np.flatnonzero(count)
        mean = np.bincount(place, dim, edges.size - 1)[bins] / count[bins]
        back = np.searchsorted(bins, place)
        outside = np.abs(away) > FINE * duration
        residual = np.where(outside, dim - mean[back], 0.0)
        beyond = np.unique(place[outside])
        white = max(white, noise.FLOOR**2)
        return cls(
            own,
            float(exposure),
            white,
            bins,
            count[bins],
            np.bincount(place, away, edges.size - 1)[bins].astype(np.float64),
            np.bincount(place, away**2, edges.size - 1)[bins].astype(np.float64),
            mean,
            float((residual**2).sum()) / white,
            int(outside.sum() - beyond.size),
            float((~outside).sum()) / white + 1e-9,
        )


def _edges(duration: float, reach: float, snr: float, fineness: float) -> Floats:
    """Fine bins about the transit, as its signal-to-noise asks for, and coarse ones beside it, even about 0."""
    each = min(max(FEWEST_BINS * math.sqrt(max(snr, 1.0) / 10), FEWEST_BINS), MOST_BINS) * fineness
    inner = min(FINE * duration, reach)
    fine = inner * np.arange(1, 1 + (number := math.ceil(inner / duration * each))) / number
    coarse = np.linspace(inner, reach, 1 + max(math.ceil((reach - inner) / (COARSE * duration)), 1))[1:]
    side = np.concatenate([fine, coarse]) if reach > inner else fine
    return np.concatenate([-side[::-1], [0.0], side])


def _groups(seen: Integers, weight: Floats, most: int) -> Integers:
    """Number of the group of each transit: split where that takes off most of the spread of the cycles in a group."""
    member = np.unique(seen[0], return_inverse=True)[1].astype(np.int64)
    most = max(most, int(member.max()) + 1)

    def best_split(of: Integers) -> tuple[float, int]:
        """Spread that a split takes off, and the transits before it."""
        if of.size < 2:
            return 0.0, 0
        w, c = weight[of], seen[1][of].astype(np.float64)
        c = c - np.average(c, weights=w)
        # summed from either end: a transit without its middle weighs so little that a difference would lose it
        before, after, moment = np.cumsum(w)[:-1], np.cumsum(w[::-1])[-2::-1], np.cumsum(w * c)[:-1]
        gain = moment**2 * (1 / before + 1 / after)
        return float(gain.max()), int(np.argmax(gain)) + 1

    while member.max() + 1 < most:
        parts = [np.flatnonzero(member == g) for g in range(member.max() + 1)]
        splits = [best_split(part) for part in parts]
        g = int(np.argmax([gain for gain, _ in splits]))
        if splits[g][0] <= 0:
            break
        member[parts[g][splits[g][1] :]] = member.max() + 1
    return member


def _together(
    transits: list[_Transit], red: RedNoise, level: float, reach: float
) -> tuple[Integers, Floats, Floats, Floats, Floats, Floats, Floats]:
    """The weighted mean of a few transits: bins, light lost, time and width, and what makes them independent."""
    bins = np.unique(np.concatenate([part.bins for part in transits]))
    size = bins.size
    count, since, squares = (np.zeros(size) for _ in range(3))
    precision, pulled = np.zeros((size, size)), np.zeros(size)
    inverses = []
    for part in transits:
        at = np.searchsorted(bins, part.bins)
        count[at] += part.count
        since[at] += part.since
        squares[at] += part.squares
        time = part.since / part.count
        own = red.covariance(time) + level**2 * (1 + np.outer(time, time) / reach**2)
        white = part.white / part.count
        inverse = np.linalg.inv(own + np.diag(white))
        precision[np.ix_(at, at)] += inverse
        pulled[at] += inverse @ part.mean
        inverses.append((at, inverse, white))
    covariance = np.linalg.inv(precision)
    noisy = np.zeros((size, size))  # the share of white noise in the covariance
    for at, inverse, white in inverses:
        pull = covariance[:, at] @ inverse
        noisy += (pull * white) @ pull.T
    lower = np.linalg.cholesky(0.5 * (noisy + noisy.T))
    half = np.linalg.solve(lower, covariance - noisy)
    rest = np.linalg.solve(lower, half.T)
    extra, turn = np.linalg.eigh(0.5 * (rest + rest.T))
    rotation = np.linalg.solve(lower.T, turn).T
    mean = covariance @ pulled
    since /= count
    spread = np.maximum(squares / count - since**2, 0.0)
    exposure = transits[0].exposure
    width = np.sqrt(exposure**2 + 12 * spread)
    return bins, mean, since, width, rotation @ mean, rotation, np.maximum(extra, 0.0)
