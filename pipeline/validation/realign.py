"""Transits that come early or late: put back in line before the fold is judged, where they surely do.

A fold on a constant period smears transits that do not keep time into the V of a grazing binary, and no false-positive
engine that reads the fold can know. Amplitudes are shares of the transit's duration.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.types import Floats, Integers
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.timing import LEAST, LEAST_SNR, unit_trapezoid
from pipeline.vetting.trapezoid import Trapezoid, gather
from pipeline.vetting.trapezoid import fit as fit_trapezoid

REACH = 1.0  # durations to each side in which a transit is looked for
STEPS = 81
SHIFTS = np.linspace(-REACH, REACH, STEPS)
AROUND = 2.5  # durations of light to each side of a transit: its level
AMPLITUDES = np.array([0.04, 0.08, 0.12, 0.17, 0.23, 0.3, 0.38, 0.47, 0.57, 0.7])  # of a wave, durations
PHASES = 2 * np.pi * np.arange(16) / 16
FASTEST = 0.4  # cycles of a wave a transit: at 0.5 it is the odd transits against the even, which is a binary
MOST_WAVES = 80
BENDS = np.array([*-AMPLITUDES[::-1], *AMPLITUDES])  # of a parabola from the middle to the ends, durations
LINE = np.linspace(-0.6, 0.6, 13)  # offset and tilt of a line through all, durations; then ever finer
FINER = (1.0, 0.25, 0.06, 0.015)
MOST_SNR = 16.0  # of a single transit: beyond it the grids of lateness and waves are coarser than what is known
SCATTERS = np.array([0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5])  # of single transits beyond a wave, durations
ROUNDS = 6  # of times and shape by turns, at most
SETTLED = 0.01  # durations
ODDS = 2.5  # natural logarithm, against a constant period; noise gave -0.4 at most in hundreds of skies
PSEUDO = 8  # shifted ephemerides that get the same treatment
ALTERNATES = 4.0  # sigmas between odd and even transits from which they are a binary's two eclipses
COVERED = 0.3  # least cadences in the reach of a transit over those it should have


@dataclass(frozen=True, slots=True, eq=False)
class Realigned:
    """A light curve whose transits keep time, or the reason why it was left as it is."""

    moved: bool
    method: str  # "none", "wave" (a sine or a parabola, marginalised) or "each" (the single transits beside it)
    reason: str
    time: Floats  # (n,) BTJD of the cadences, the lateness of their transit taken off; as they came where not moved
    cycle: Integers  # (k,) transits with data, counted from the epoch
    late: Floats  # (k,) days, posterior mean; 0 where not moved
    late_err: Floats  # (k,) days
    amplitude: float | None  # days: sqrt(2) times the rms lateness
    duration: float | None  # days, first to fourth contact, of the transits in line
    snr: float | None  # of a single transit, the median
    ln_odds: float | None  # of transits that do not keep time against those that do
    pseudo_ln_odds: tuple[float, ...]  # same, of shifted ephemerides with transits that keep time
    deepening: float | None  # share by which moving pseudo-transits that keep time deepens their fold

    @property
    def share(self) -> float | None:
        """Amplitude over duration."""
        return None if self.amplitude is None or not self.duration else self.amplitude / self.duration

    @property
    def blur(self) -> float:
        """Days over which the fold is smeared, as a box, since each lateness is known no better than its error."""
        return math.sqrt(12 * float(np.mean(self.late_err**2))) if self.moved else 0.0

    @property
    def minutes(self) -> float | None:
        return None if self.amplitude is None else 1440 * self.amplitude


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """How well a fixed template fits each transit, early or late."""

    ln_likelihood: Floats  # (k, s)
    cross: Floats  # (k, s) of flux and template, level taken off
    power: Floats  # (k, s) of the template


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    late: Floats  # (k,) durations
    late_err: Floats  # (k,)
    ln_odds: float
    method: str


def realign(case: Case) -> Realigned:
    """Move each transit to where a constant period has it, if the transits surely do not keep one.

    Parameters
    ----------
    case : Case
        Its light curve is detrended with the transits masked.

    Returns
    -------
    Realigned
        ``time`` folds on the signal's period and epoch as before; where moved, mid-transit is at the epoch itself.

    Notes
    -----
    A trapezoid of fixed shape is laid over each transit at 81 moments within a duration of its place, which gives the
    likelihood of each lateness, however faint the transit. These are weighed together under sine waves of all periods
    and phases and under parabolas, all marginalised on a grid; where the single transits have a signal-to-noise of 3,
    each may also lie beside the wave, by a normal scatter whose width the data tell. What is taken off is the posterior
    mean, which leaves a transit that says nothing at its place. Shape and lateness are found by turns, as the fold in
    which the shape is seen is smeared at first.

    Shifted ephemerides, with the same template put in at a constant period, get the same treatment: moving windows of
    noise deepens any fold. Transits are moved only where the odds exceed ``ODDS`` and those of every shifted ephemeris.
    Odd transits against even ones are never moved: that is a binary with an eccentric orbit at twice the period.
    """
    signal, curve = case.signal, case.light_curve
    if signal.duration * (2 * AROUND) > signal.period:
        return _left(case, "out_of_domain: the transits fill too much of the period to be moved")
    shape = case.shape
    if shape is None or not shape.depth > 0:
        return _left(case, "few_points: the fold has no shape")
    near, cycles, place = _transits(case)
    if cycles.size < LEAST:
        return _left(case, f"few_transits: {cycles.size} are covered, {LEAST} are needed")
    unit, exposure = signal.duration, float(np.median(case.cleaned.exposure))
    variance = _variance(case)
    level = float(np.median(curve.flux))

    def curves_of(
        flux: Floats, near: Integers, cycles: Integers, place: Integers, epoch: float, shape: Trapezoid
    ) -> tuple[_Curves, Floats, float]:
        """Each transit against the template, about the best line; that line; signal-to-noise of one transit."""
        since = curve.time[near] - epoch - cycles[place] * signal.period
        snr = _snr(since, place, cycles.size, shape, variance)
        noise_ = variance * max(snr / MOST_SNR, 1.0) ** 2
        line = _line(_curves(since, flux, place, cycles.size, shape, unit, exposure, noise_), cycles)
        about = since - unit * line[place]
        return _curves(about, flux, place, cycles.size, shape, unit, exposure, noise_), line, snr

    late = np.zeros(cycles.size)
    for _ in range(ROUNDS):
        curves, line, snr = curves_of(curve.flux[near] - level, near, cycles, place, signal.epoch + shape.centre, shape)
        judged = _judge(curves, cycles, snr)
        step = float(np.abs(line + judged.late - late).max())
        late = line + judged.late
        again = _shape_of(case, cycles, late * unit, shape)
        if again is None or step < SETTLED:
            break
        shape = again
    # the same treatment where nothing is late
    residual = _without(case, cycles, late * unit, shape, exposure)
    pseudo, depths = [], []
    room = (0.5 * (shape.duration + unit) + REACH * unit) / signal.period
    for phase in np.linspace(0, 1, PSEUDO + 2)[1:-1]:
        shifted = replace(signal, epoch=signal.epoch + phase * signal.period)
        near_, cycles_, place_ = _transits(replace(case, signal=shifted))
        if min(phase, 1 - phase) < room or cycles_.size < LEAST:
            continue
        since_ = curve.time[near_] - shifted.epoch - cycles_[place_] * signal.period
        put_in = residual[near_] - shape.depth * unit_trapezoid(since_, shape.duration, shape.flat, exposure)
        null_curves, _, snr_ = curves_of(put_in, near_, cycles_, place_, shifted.epoch, shape)
        null = _judge(null_curves, cycles_, snr_)
        pseudo.append(null.ln_odds)
        depths.append(_depth(null_curves, null.late) / shape.depth)
    told: dict[str, Any] = {
        "cycle": cycles,
        "snr": snr,
        "ln_odds": judged.ln_odds,
        "pseudo_ln_odds": tuple(pseudo),
        "deepening": float(np.mean(depths)) - 1 if depths else None,
    }
    limit = max([ODDS, *pseudo])
    if not judged.ln_odds > limit:
        return _left(
            case,
            f"the transits keep time as far as can be told: ln odds {judged.ln_odds:.1f}, {limit:.1f} is the limit",
            **told,
        )
    apart, apart_err = _parity(judged, cycles)
    if abs(apart) > ALTERNATES * apart_err and abs(apart) > np.std(judged.late):
        return _left(
            case,
            f"odd and even transits come {abs(apart) * unit * 1440:.0f} minutes apart, as the two eclipses of a binary "
            "at twice the period do: left as they are",
            **told,
        )
    amplitude = math.sqrt(2) * float(np.std(judged.late)) * unit
    return Realigned(
        moved=True,
        method=judged.method,
        reason=f"{cycles.size} transits come {amplitude * 1440:.1f} minutes early or late "
        f"({amplitude / shape.duration:.2f} of their duration, semi-amplitude), ln odds {judged.ln_odds:.1f} "
        f"against a constant period: each was moved back",
        time=curve.time - _lateness(curve.time, case, cycles, late * unit + shape.centre),
        late=late * unit,
        late_err=judged.late_err * unit,
        amplitude=amplitude,
        duration=shape.duration,
        **told,
    )


def _left(case: Case, reason: str, **told: Any) -> Realigned:
    rest: dict[str, Any] = {"cycle": np.empty(0, dtype=np.int64), "snr": None, "ln_odds": None}
    rest |= {"pseudo_ln_odds": (), "deepening": None} | told
    none, shape = np.zeros(rest["cycle"].size), case.shape
    return Realigned(
        moved=False,
        method="none",
        reason=reason,
        time=case.light_curve.time,
        late=none,
        late_err=none,
        amplitude=None,
        duration=None if shape is None else shape.duration,
        **rest,
    )


def _variance(case: Case) -> float:
    """Of one cadence, with what red noise adds to the mean of a transit."""
    curve, transits = case.light_curve, case.transits
    white = noise.Samples(curve.time, curve.flux, case.cleaned.exposure).white
    usable = transits.events.usable
    if not usable.any():
        return white
    one = float(np.median(transits.events.white[usable]))
    return white * max(float(transits.pseudo.variance(np.array(one))) / one, 1.0)


def _snr(since: Floats, place: Integers, count: int, shape: Trapezoid, variance: float) -> float:
    """Of a single transit, the median."""
    inside = np.bincount(place, np.abs(since) < 0.5 * shape.duration, count)
    return shape.depth * 0.5 * (1 + shape.flat) * math.sqrt(float(np.median(inside[inside > 0])) / variance)


def _transits(case: Case) -> tuple[Integers, Integers, Integers]:
    """Cadences around covered transits, the cycles of those, and which of them each cadence belongs to."""
    signal, time = case.signal, case.light_curve.time
    cycle = np.floor((time - signal.epoch) / signal.period + 0.5)
    away = np.abs(time - signal.epoch - cycle * signal.period)
    cycle = cycle.astype(np.int64)
    inner = away < REACH * signal.duration
    held, count = np.unique(cycle[inner], return_counts=True)
    expected = 2 * REACH * signal.duration / float(np.median(case.cleaned.exposure))
    held = held[count >= COVERED * expected]
    near = np.flatnonzero((away < AROUND * signal.duration) & np.isin(cycle, held))
    return near, held, np.searchsorted(held, cycle[near])


def _curves(
    since: Floats,
    flux: Floats,
    place: Integers,
    count: int,
    shape: Trapezoid,
    unit: float,
    exposure: float,
    variance: float,
) -> _Curves:
    """Each transit against the template at every shift; the level of each is its own."""
    template = unit_trapezoid(since - unit * SHIFTS[:, None], shape.duration, shape.flat, exposure)
    starts = np.searchsorted(place, np.arange(count))

    def total(values: Floats) -> Floats:
        return np.add.reduceat(values, starts, axis=-1).T

    number = np.diff(np.append(starts, place.size)).astype(float)[:, None]
    sums, light = total(template), total(flux[None, :])
    power = total(template**2) - sums**2 / number
    cross = total(template * flux) - sums * light / number
    return _Curves(-(shape.depth * cross + 0.5 * shape.depth**2 * power) / variance, cross, power)


def _line(curves: _Curves, cycles: Integers) -> Floats:
    """The best straight line through the lateness of all transits, durations, (k,): the ephemeris corrected."""
    x = (cycles - cycles.mean()) / max(float(np.ptp(cycles)) / 2, 1.0)
    offset, tilt = (axis.ravel() for axis in np.meshgrid(LINE, LINE, indexing="ij"))
    best = np.zeros(2)
    for scale in FINER:
        lines = (best[0] + scale * offset)[:, None] + (best[1] + scale * tilt)[:, None] * x
        at = int(np.argmax(_at(curves.ln_likelihood, lines).sum(axis=1)))
        best = best + scale * np.array([offset[at], tilt[at]])
    return best[0] + best[1] * x


def _judge(curves: _Curves, cycles: Integers, snr: float) -> _Judged:
    """Weigh waves, parabolas and single transits beside them against none of it; the lateness is a posterior mean."""
    likelihood = curves.ln_likelihood
    steady = float(_at(likelihood, np.zeros(cycles.size)).sum())
    models, sines = _models(cycles)
    total = _at(likelihood, models).sum(axis=1)
    weight = np.where(np.arange(total.size) < sines, 1 / sines, 1 / (total.size - sines))
    top = float(total.max())
    posterior = np.exp(total - top) * weight
    bent = top + math.log(0.5 * posterior.sum())
    posterior /= posterior.sum()
    smooth = posterior @ models
    found = _Judged(smooth, np.sqrt(np.maximum(posterior @ models**2 - smooth**2, 0.0)), bent - steady, "wave")
    if snr < LEAST_SNR:
        return found
    alone = _singles(likelihood, np.zeros(cycles.size), 0.0, steady)
    beside = _singles(likelihood, smooth, bent - float(_at(likelihood, smooth).sum()), steady)
    best = max((found, alone, beside), key=lambda judged: judged.ln_odds)
    odds = _log_mean(np.array([found.ln_odds, alone.ln_odds, beside.ln_odds]))
    return replace(best, ln_odds=odds)


def _singles(likelihood: Floats, middle: Floats, penalty: float, steady: float) -> _Judged:
    """Each transit beside its place, by a normal scatter of every width in turn."""
    away = SHIFTS - middle[:, None]
    prior = -0.5 * (away / SCATTERS[:, None, None]) ** 2
    prior -= np.log(np.exp(prior).sum(axis=2, keepdims=True))
    joint = likelihood + prior
    top = joint.max(axis=2, keepdims=True)
    share = np.exp(joint - top)
    norm = share.sum(axis=2, keepdims=True)
    evidence = (top + np.log(norm)).sum(axis=(1, 2))
    weight = np.exp(evidence - evidence.max())
    weight = weight / weight.sum()
    mean = weight @ ((share / norm) @ SHIFTS)
    err = np.sqrt(np.maximum(weight @ ((share / norm) @ SHIFTS**2) - mean**2, 0.0))
    return _Judged(mean, err, _log_mean(evidence) + min(penalty, 0.0) - steady, "each")


def _models(cycles: Integers) -> tuple[Floats, int]:
    """Lateness of every transit on sines and parabolas, any line taken off, durations, (m, k); how many sines."""
    span = max(float(np.ptp(cycles)), 1.0)
    x = (cycles - cycles.mean()) / (0.5 * span)
    number = int(np.clip(2.5 * span * FASTEST, 4, MOST_WAVES))
    rate, amplitude, phase = (
        axis.ravel()[:, None]
        for axis in np.meshgrid(np.linspace(0.5 / span, FASTEST, number), AMPLITUDES, PHASES, indexing="ij")
    )
    sines = amplitude * np.sin(2 * np.pi * rate * (cycles - cycles.mean()) + phase)
    models = np.concatenate([sines, BENDS[:, None] * x**2])
    slope = (models @ (x - x.mean())) / ((x - x.mean()) ** 2).sum()
    models = models - models.mean(axis=1, keepdims=True) - slope[:, None] * (x - x.mean())
    return np.clip(models, -REACH, REACH), len(sines)


def _at(values: Floats, late: Floats) -> Floats:
    """What each transit's row, (k, s), holds at a lateness, (..., k)."""
    where = np.clip((late + REACH) / (2 * REACH) * (STEPS - 1), 0, STEPS - 1 - 1e-9)
    low = where.astype(np.int64)
    row = np.arange(values.shape[0])
    return values[row, low] + (where - low) * (values[row, low + 1] - values[row, low])


def _log_mean(values: Floats) -> float:
    top = float(values.max())
    return top + math.log(float(np.mean(np.exp(values - top))))


def _depth(curves: _Curves, late: Floats) -> float:
    """Of the fold after moving."""
    return -float(_at(curves.cross, late).sum() / _at(curves.power, late).sum())


def _parity(judged: _Judged, cycles: Integers) -> tuple[float, float]:
    """Odd transits less even ones, and its error, durations."""
    odd = cycles % 2 == 1
    if min(odd.sum(), (~odd).sum()) < 2:
        return 0.0, math.inf
    err = np.hypot(*(np.sqrt(np.mean(judged.late_err[kind] ** 2) / kind.sum()) for kind in (odd, ~odd)))
    scatter = np.hypot(*(np.std(judged.late[kind]) / math.sqrt(kind.sum()) for kind in (odd, ~odd)))
    return float(judged.late[odd].mean() - judged.late[~odd].mean()), float(max(err, scatter))


def _lateness(time: Floats, case: Case, cycles: Integers, late: Floats) -> Floats:
    """Of every cadence: constant around each transit, straight in between, so that time still increases."""
    signal = case.signal
    centre = signal.epoch + cycles * signal.period
    margin = min(AROUND * signal.duration, 0.4 * signal.period)
    knots = np.stack([centre + late - margin, centre + late + margin], axis=1).ravel()
    return np.interp(time, np.maximum.accumulate(knots), np.repeat(late, 2))


def _shape_of(case: Case, cycles: Integers, late: Floats, before: Trapezoid) -> Trapezoid | None:
    """The trapezoid that fits the fold of the transits moved back."""
    curve = case.light_curve
    moved = replace(curve, time=curve.time - _lateness(curve.time, case, cycles, late + before.centre))
    fold = gather(moved, case.cleaned.exposure, case.signal)
    found = None if fold is None else fit_trapezoid(fold, case.signal.duration)
    return None if found is None or not found.depth > 0 else replace(found, centre=before.centre)


def _without(case: Case, cycles: Integers, late: Floats, shape: Trapezoid, exposure: float) -> Floats:
    """The flux about its level, the transits put back."""
    curve, signal = case.light_curve, case.signal
    time = curve.time - _lateness(curve.time, case, cycles, late) - signal.epoch - shape.centre
    since = time - signal.period * np.floor(time / signal.period + 0.5)
    dip = shape.depth * unit_trapezoid(since, shape.duration, shape.flat, exposure)
    return curve.flux - float(np.median(curve.flux)) + dip
