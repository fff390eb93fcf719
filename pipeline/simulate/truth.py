"""What a hunt could find in a simulated star, worked out from what was put in."""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from pipeline.simulate.eclipses import ContactBinary, DetachedBinary, Planet
from pipeline.simulate.sky import SimulatedObservation, SimulatedStar, eclipse_light
from pipeline.types import Floats


@dataclass(frozen=True, slots=True)
class TrueSignal:
    """One periodic dip that was put in."""

    kind: str  # "planet", "detached", "contact"; where it is blended, the star's kind says so
    period: float  # days
    epoch: float  # BTJD of the first centre at or after the first cadence
    duration: float  # days, first to fourth contact; a quarter of the period for a contact binary
    depth: float  # fraction of the light in the aperture at the deepest moment, blend included, unsmeared
    snr: float  # of a matched filter over all unflagged cadences, white noise only
    n_transits: int  # centres with unflagged cadences within half a duration
    secondary_epoch: float | None = None  # BTJD, binaries
    secondary_depth: float | None = None  # fraction, binaries
    radius_ratio: float | None = None


def true_signals(observed: SimulatedObservation) -> tuple[TrueSignal, ...]:
    """The dips of one observation, planets first.

    The signal-to-noise is sqrt(sum((1 - model)**2)) / noise with the exposure-averaged model of this dip alone, the
    sum over cadences with a finite flux and no flag: red noise and residual systematics make a real search do worse.
    """
    target = observed.target
    signals = [_signal(observed, replace(target, planets=(planet,), binary=None), planet) for planet in target.planets]
    if target.binary is not None:
        signals.append(_signal(observed, replace(target, planets=()), target.binary))
    return tuple(signals)


def _signal(
    observed: SimulatedObservation, alone: SimulatedStar, source: Planet | DetachedBinary | ContactBinary
) -> TrueSignal:
    secondary_epoch = secondary_depth = ratio = None
    if isinstance(source, ContactBinary):
        kind, period, centre, duration = "contact", source.period, source.epoch, source.period / 4
        secondary_epoch = centre + period / 2
    else:
        kind = "planet" if isinstance(source, Planet) else "detached"
        period, centre, ratio = source.orbit.period, source.orbit.epoch, source.radius_ratio
        duration = source.orbit.duration(ratio)
        if isinstance(source, DetachedBinary):
            secondary_epoch = source.orbit.superior_conjunction()
    start = observed.plan.time[0]
    epoch = centre + period * ceil((start - centre) / period)
    if secondary_epoch is not None:
        secondary_epoch += period * ceil((start - secondary_epoch) / period)
        secondary_depth = _deepest(alone, secondary_epoch, duration)

    good = observed.good
    time = observed.plan.time[good]
    model = _diluted(alone, eclipse_light(alone, time, observed.plan.exposure))
    # a binary's waves between eclipses are no part of its dip, so the dip is measured below the light at quadrature
    away = np.array([centre + 0.25 * period])
    dip = _diluted(alone, eclipse_light(alone, away, 0.0))[0] - model
    if isinstance(source, DetachedBinary):
        # the primary eclipse is the signal of the period; the secondary is its own
        phase = (time - epoch) / period
        dip[np.abs(phase - np.round(phase)) * period > duration / 2] = 0
    cycle = np.round((time - epoch) / period)
    inside = np.abs(time - epoch - cycle * period) < duration / 2
    return TrueSignal(
        kind=kind,
        period=period,
        epoch=float(epoch),
        duration=duration,
        depth=_deepest(alone, epoch, duration),
        snr=float(np.sqrt(np.sum(dip**2)) / observed.noise),
        n_transits=int(np.unique(cycle[inside]).size),
        secondary_epoch=secondary_epoch,
        secondary_depth=secondary_depth,
        radius_ratio=ratio,
    )


def _deepest(alone: SimulatedStar, centre: float, duration: float) -> float:
    moments = np.linspace(centre - duration / 2, centre + duration / 2, 201)
    return float(1 - _diluted(alone, eclipse_light(alone, moments, 0.0)).min())


def _diluted(alone: SimulatedStar, eclipsed: Floats) -> Floats:
    if alone.blend is None:
        return eclipsed
    return 1 - alone.blend.share + alone.blend.share * eclipsed
