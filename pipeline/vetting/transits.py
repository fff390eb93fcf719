"""The transits of one signal one by one, the pseudo-transits beside them, and the deepest dip among those."""

from dataclasses import dataclass

import numpy as np

from pipeline.types import Booleans, Floats, Integers, TransitSignal
from pipeline.vetting import noise

ASSUMED = 10.0  # pseudo-folds that unit-normal phases count for, when the scatter among phases is measured


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
class Dip:
    """The most significant dip of the fold away from the transit."""

    phase: float  # 0..1
    depth: float  # unit of the series
    depth_err: float  # red noise included
    events: int  # cycles that show this phase
    sigma: float  # after paying for the look at all phases
    local_sigma: float  # at this phase alone
    trials: float  # independent phases looked at
    depth_limit: float  # largest depth anywhere that this light curve leaves possible at 3 sigma


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
    return Transits(cycles, events, np.where(events.usable, masked_noise * pseudo.variance(events.white), 0.0), pseudo)


def block_distance(signal: TransitSignal) -> float:
    """Days around a transit that no pseudo-transit may use: a duration, or less where the period is crowded."""
    return min(signal.duration, max(0.6 * signal.duration, 0.25 * signal.period))


def deepest_dip(pseudo: noise.PseudoTransits) -> Dip | None:
    """Find the most significant dip among all phases away from the transit.

    Parameters
    ----------
    pseudo : PseudoTransits
        Of the flux.

    Returns
    -------
    Dip or None
        None where no phase is covered.
    """
    depth, err, count = pseudo.fold()
    known = (count > 0) & (err > 0)
    if not known.any():
        return None
    z = np.where(known, depth / np.where(known, err, 1.0), -np.inf)
    best = int(np.argmax(z))
    apart = np.abs((pseudo.phase - pseudo.phase[best] + 0.5) % 1 - 0.5)
    step = pseudo.phase[1] - pseudo.phase[0] if pseudo.phase.size > 1 else 1.0
    # beside a dip its own flanks make bumps; a box and both flanks reach 3 durations
    others = known & (apart > 1.5 * noise.STEPS_PER_DURATION * step)
    share = known.sum() / known.size
    # a sinusoid, or noise that knows the period, moves every phase: it must not make one of them stand out
    wider = max(noise.inflation(z[others], pseudo.independent * share * others.sum() / known.sum(), ASSUMED), 1.0)
    trials = max(2 * pseudo.independent * share, 1.0)  # phases closer than a duration still differ: measured
    local = float(z[best]) / wider
    limit = float(np.max(depth[known] + 3 * wider * err[known]))
    return Dip(
        phase=float(pseudo.phase[best]),
        depth=float(depth[best]),
        depth_err=float(err[best]) * wider,
        events=int(count[best]),
        sigma=noise.best_of(local, trials),
        local_sigma=local,
        trials=trials,
        depth_limit=limit,
    )
