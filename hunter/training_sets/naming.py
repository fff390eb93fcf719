"""What a found signal is called, from what is known to be there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.ephemeris import transit_mask
from pipeline.simulate import TrueSignal
from pipeline.types import CleanedLightCurve, TransitSignal

ALIASES = (1.0, 2.0, 0.5, 3.0, 1.0 / 3.0)  # of the true period, in this order
PERIOD_AGREES = 0.01  # fraction
LEAST_EPOCH = 0.1  # days; how near the epochs must be, or a duration, whichever is longer
SHARED = 0.2  # of the cadences in a signal's transits that lie in true ones, from which it is no stranger to them


@dataclass(frozen=True, slots=True)
class Named:
    """What a signal is called, and why."""

    disposition: str  # of models.datasets.LABELS
    what: str  # in words: "planet", "detached", "blend", "wrong signal", ...
    alias: float  # period found over the true one; NaN where there is none


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known to be there: a periodic dip."""

    kind: str  # "planet", "detached", "contact", ...
    period: float  # days
    epoch: float | None  # BTJD of a centre; None where only the period is known
    duration: float  # days
    secondary_epoch: float | None = None  # BTJD, binaries
    period_err: float = 0.0  # days
    epoch_err: float = 0.0  # days


def truth_of(signal: TrueSignal) -> Truth:
    """What was put into a simulated light curve."""
    return Truth(signal.kind, signal.period, signal.epoch, signal.duration, signal.secondary_epoch)


def alias_of(signal: TransitSignal, truth: Truth) -> float | None:
    """The multiple of the true period at which a signal found it, None if it did not.

    The period must agree within 1 % with that multiple, and a transit with a true centre (of either eclipse of a
    binary) within 0.1 d or a duration, and three times what the errors of a listed ephemeris grow to over the cycles
    between. Where that is a quarter of a period, or no epoch is known, the period alone decides.
    """
    centres = [centre for centre in (truth.epoch, truth.secondary_epoch) if centre is not None]
    for multiple in ALIASES:
        if abs(signal.period / (multiple * truth.period) - 1) >= PERIOD_AGREES:
            continue
        step = truth.period * min(multiple, 1.0)
        if not centres:
            return multiple
        for centre in centres:
            apart = abs((signal.epoch - centre + step / 2) % step - step / 2)
            drift = math.hypot(truth.epoch_err, (signal.epoch - centre) / truth.period * truth.period_err)
            if apart < max(signal.duration, truth.duration, LEAST_EPOCH) + 3 * drift or 3 * drift > step / 4:
                return multiple
    return None


def name_simulated(
    signal: TransitSignal, truths: Sequence[Truth], kind: str, cleaned: CleanedLightCurve
) -> Named | None:
    """Label a signal of a simulated star; None where its truth is neither here nor there.

    A planet or pair that the search found, at its period or an alias, is one; the eclipses of a blended neighbour are
    eclipses (``EB``), with ``what`` telling them apart; contact pairs are variables, as the 2019 labels have them. What
    else is found in the star of a planet or pair is a wrong signal and junk, unless its transits lie on true ones: then
    it is an alias that nobody listed, and left out.
    """
    for truth in truths:
        alias = alias_of(signal, truth)
        if alias is None or truth.kind == "contact":
            continue
        if kind == "blend":
            return Named("EB" if truth.kind == "detached" else "O", f"blend: {truth.kind}", alias)
        return Named("PC" if truth.kind == "planet" else "EB", truth.kind, alias)
    if kind in ("contact", "rotation", "pulsation", "flaring"):
        return Named("V", kind, math.nan)
    if kind in ("systematics", "quiet"):
        return Named("IS" if kind == "systematics" else "J", kind, math.nan)
    time = cleaned.flat.time
    inside = transit_mask(time, signal.period, signal.epoch, signal.duration)
    for truth in truths:
        true = np.zeros(time.size, dtype=bool)
        for centre in (truth.epoch, truth.secondary_epoch):
            if centre is not None:
                true |= transit_mask(time, truth.period, centre, truth.duration)
        if inside.any() and (true & inside).sum() > SHARED * inside.sum():
            return None
    return Named("J", "wrong signal", math.nan)
