"""The transits of one signal one by one, the pseudo-transits beside them, and the deepest dip among those."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.types import Booleans, Floats, Integers, TransitSignal
from pipeline.vetting import noise

ASSUMED = 10.0  # pseudo-folds that unit-normal phases count for, when the scatter among phases is measured
MASKED_SPREAD = 0.01  # relative variance of ``masked_noise``, from some 40 events
LOOKS = 3.0  # independent looks for each phase apart, as phases closer than a duration still differ: measured
SURE = 7.0  # sigma at its phase of a second dip that the fold hides from the trend too
LEAST_EACH = 2  # transits of each kind that are compared; one alone could be any accident


@dataclass(frozen=True, slots=True, eq=False)
class Transits:
    """The real transits one by one, and the noise of such measurements."""

    cycle: Integers  # (n,) counted from the signal's epoch
    events: noise.Events  # (n,)
    variance: Floats  # (n,) of each depth, white and red, below the mask; 0 where the event is not usable
    pseudo: noise.PseudoTransits

    def mean(self, chosen: Booleans) -> tuple[float, float]:
        """Weighted mean depth of the chosen usable transits and its error; at least one must be chosen."""
        chosen = chosen & self.events.usable
        weight = 1 / self.variance[chosen]
        return float((weight * self.events.depth[chosen]).sum() / weight.sum()), float(weight.sum() ** -0.5)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two kinds of transits of one signal, and how well the noise lets us know their difference."""

    one: float  # weighted mean of the first kind, unit of the series
    other: float
    one_err: float
    other_err: float
    one_count: int
    other_count: int
    degrees: float  # independent numbers behind the errors

    @property
    def err(self) -> float:
        return math.hypot(self.one_err, self.other_err)

    def sigma(self, floor: float = 0.0) -> float:
        """Normal deviate of one - other: Student's t where the error is itself uncertain."""
        err = math.hypot(self.err, floor)
        return noise.normal_equivalent((self.one - self.other) / err, self.degrees) if err > 0 else math.nan


def compare(transits: Transits, chosen: Callable[[Integers], Booleans]) -> Comparison | None:
    """Compare the transits of some cycles with all others.

    Parameters
    ----------
    transits : Transits
    chosen : function of cycle numbers, true for the first kind

    Returns
    -------
    Comparison or None
        None where fewer than two transits of either kind are usable.

    Notes
    -----
    The errors are those of the single events. They are widened where the same difference at all other
    phases, or the scatter among transits of one kind, says beyond doubt that those are not the truth.
    """
    one = chosen(transits.cycle)
    usable = transits.events.usable
    counts = int((usable & one).sum()), int((usable & ~one).sum())
    if min(counts) < LEAST_EACH:
        return None
    (first, first_err), (second, second_err) = transits.mean(one), transits.mean(~one)
    pseudo = transits.pseudo
    degrees = sum(counts) - 2
    residual = (transits.events.depth - np.where(one, first, second))[usable]
    scatter = float((residual**2 / transits.variance[usable]).sum()) / degrees
    between, between_spread = noise.believed(*_pseudo_differences(pseudo, chosen(pseudo.cycle)))
    within, within_spread = noise.believed(max(scatter, 1.0), degrees)
    # what the transits themselves say of their errors replaces what the pseudo-transits said
    rest = 1 - math.sqrt(0.5 * degrees * float(within_spread))
    spread = float(within_spread) + rest**2 * (float(between_spread) + 2 / pseudo.degrees + MASKED_SPREAD)
    wider = math.sqrt(between * within)
    return Comparison(first, second, wider * first_err, wider * second_err, *counts, 2 / spread)


def _pseudo_differences(pseudo: noise.PseudoTransits, one: Booleans) -> tuple[float, float]:
    """Mean square of the same difference among the pseudo-transits, in its errors, and its degrees of freedom."""
    depth, err, count = pseudo.fold(one)
    other, other_err, other_count = pseudo.fold(~one)
    known = (count >= LEAST_EACH) & (other_count >= LEAST_EACH)
    if known.sum() < 3:
        return 1.0, 0.0
    z = (depth - other)[known] / np.hypot(err, other_err)[known]
    return max(noise.clipped_variance(z), 1.0), pseudo.independent * 1.5 / noise.CORRELATED * float(known.mean())


@dataclass(frozen=True, slots=True)
class Dip:
    """The most significant dip of the fold away from the transit."""

    phase: float  # 0..1
    depth: float  # unit of the series
    depth_err: float  # red noise included
    events: int  # cycles that show this phase
    sigma: float  # after paying for the look at all phases
    local_sigma: float  # at this phase alone
    trials: float  # independent phases looked at


@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """The fold away from the transit: the dip at each phase and what its noise lets one say."""

    phase: Floats  # (k,) 0..1, increasing; those that enough cycles show
    depth: Floats  # (k,) unit of the series
    depth_err: Floats  # (k,) red noise included
    events: Integers  # (k,) cycles that show the phase
    trials: float  # independent looks
    degrees: float  # independent numbers behind the errors

    @property
    def sigma(self) -> Floats:
        """Significance of the dip at each phase alone, (k,); the errors' own error is in ``threshold``."""
        return self.depth / self.depth_err

    @property
    def depth_limit(self) -> Floats:
        """Largest depth at each phase that this light curve leaves possible at 3 sigma, (k,)."""
        return np.maximum(self.depth, 0.0) + 3 * self.depth_err

    def threshold(self, sigma: float) -> float:
        """What ``Phases.sigma`` must reach anywhere to be as rare in noise as one deviate of ``sigma``."""
        return noise.student_equivalent(noise.one_of(sigma, self.trials), self.degrees)


def measure(
    time: Floats, values: Floats, exposure: Floats, signal: TransitSignal, masked_noise: float = 1.0
) -> Transits:
    """Measure the depth of every transit and pseudo-transit of a series.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    values : (n,) finite; flux, or a centroid in pixels
    exposure : (n,) days each cadence covers
    signal : TransitSignal
    masked_noise : float
        Variance of a depth below the detrending's mask over that of the pseudo-transits, which the trend followed.

    Returns
    -------
    Transits
    """
    windows = noise.Windows.of(signal.period, signal.duration)
    cycles, centres = noise.transit_centres(time, signal.period, signal.epoch)
    events = noise.Samples(time, values, exposure).measure(centres, windows)
    blocked = block_distance(signal)
    off = noise.outside(time, signal.period, signal.epoch, blocked)
    pseudo = noise.pseudo_transits(
        noise.Samples(time[off], values[off], exposure[off]),
        signal.period,
        signal.epoch,
        signal.duration,
        windows,
        blocked + windows.half,
    )
    return Transits(cycles, events, below_mask(events, pseudo, masked_noise, masked_noise > 1), pseudo)


def below_mask(events: noise.Events, pseudo: noise.PseudoTransits, factor: float, masked: bool) -> Floats:
    """Variance of each event, ``factor`` that of the pseudo-transits; what no trend followed has its white noise."""
    variance = factor * pseudo.variance(events.white)
    return np.where(events.usable, np.maximum(variance, events.white) if masked else variance, 0.0)


def block_distance(signal: TransitSignal) -> float:
    """Days around a transit that no pseudo-transit may use: a duration, or less where the period is crowded."""
    return min(signal.duration, max(0.6 * signal.duration, 0.25 * signal.period))


def away_from_transit(pseudo: noise.PseudoTransits, least_events: int = 1) -> Phases | None:
    """Fold the pseudo-transits: a dip, or none, at each phase.

    Parameters
    ----------
    pseudo : PseudoTransits
        Of the flux.
    least_events : int
        Cycles that must show a phase.

    Returns
    -------
    Phases or None
        None where no phase is covered.
    """
    depth, err, count = pseudo.fold()
    known = (count >= least_events) & (err > 0)
    if not known.any():
        return None
    z = np.where(known, depth / np.where(known, err, 1.0), -np.inf)
    best = int(np.argmax(z))
    apart = np.abs((pseudo.phase - pseudo.phase[best] + 0.5) % 1 - 0.5)
    step = pseudo.phase[1] - pseudo.phase[0] if pseudo.phase.size > 1 else 1.0
    # beside a dip its own flanks make bumps; a box and both flanks reach 3 durations
    others = known & (apart > 1.5 * noise.STEPS_PER_DURATION * step)
    independent = pseudo.independent * known.sum() / known.size
    others_independent = independent * others.sum() / known.sum()
    # a sinusoid, or noise that knows the period, moves every phase: it must not make one of them stand out
    wider = max(noise.inflation(z[others], others_independent, ASSUMED), 1.0)
    spread = 2 / pseudo.degrees + (2 * others_independent / (ASSUMED + others_independent) ** 2 if wider > 1 else 0.0)
    return Phases(
        phase=pseudo.phase[known],
        depth=depth[known],
        depth_err=wider * err[known],
        events=count[known],
        trials=max(LOOKS * independent, 1.0),
        degrees=2 / spread,
    )


def deepest_dip(pseudo: noise.PseudoTransits, least_events: int = 1) -> Dip | None:
    """Find the most significant dip among all phases away from the transit.

    Parameters
    ----------
    pseudo : PseudoTransits
        Of the flux.
    least_events : int
        Cycles that must show it.

    Returns
    -------
    Dip or None
        None where no phase is covered.
    """
    phases = away_from_transit(pseudo, least_events)
    return None if phases is None else deepest(phases)


def deepest(phases: Phases) -> Dip:
    """The most significant of the phases."""
    best = int(np.argmax(phases.sigma))
    local = float(phases.sigma[best])
    return Dip(
        phase=float(phases.phase[best]),
        depth=float(phases.depth[best]),
        depth_err=float(phases.depth_err[best]),
        events=int(phases.events[best]),
        sigma=noise.best_of(noise.normal_equivalent(local, phases.degrees), phases.trials),
        local_sigma=local,
        trials=phases.trials,
    )
