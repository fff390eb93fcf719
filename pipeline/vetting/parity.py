"""Odd and even transits, each on its own time: when they come, how deep and how wide they are."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.types import Booleans, Floats, Integers, TransitSignal
from pipeline.vetting import noise
from pipeline.vetting.transits import LEAST_EACH, Comparison, Transits, below_mask, block_distance, compare

STEPS = 8  # trial times in one duration
BETTER = 25.0  # S/N squared by which another time must beat the predicted one: no noise does
LEAST_SNR = 2.0  # of each parity; less is no dip that has a time
GATE_COVERAGE = 0.85  # share of the windows on ingress and egress that must hold cadences: a hole there is a shift


@dataclass(frozen=True, slots=True)
class Parities:
    """The odd transits (``one``) against the even (``other``)."""

    time: Comparison  # days after the ephemeris
    depth: Comparison  # fraction, each at its own time
    width: Comparison | None  # of the odd and even fold against the common one, durations


def is_odd(cycle: Integers) -> Booleans:
    return cycle % 2 == 1


def timing(duration: float) -> noise.Contrast:
    """Early gate minus late gate: a transit that comes later takes light from the one and gives to the other.

    Both gates are half a duration wide and centred on ingress and egress. For any shape whose edges lie within them
    the contrast is 4 * depth * shift / duration, and an error of the duration moves both gates' light alike.
    """
    inner, outer = 0.25 * duration, 0.75 * duration
    return noise.Contrast(((-outer, -inner), (inner, outer)), (1.0, -1.0), (GATE_COVERAGE,) * 2)


def width(duration: float, windows: noise.Windows, ratio: float) -> noise.Contrast:
    """Depth of both gates minus ``ratio`` times that of the middle: wider transits give more, shape or duration."""
    inner, outer = 0.25 * duration, 0.75 * duration
    spans = (
        (-windows.outer, -windows.inner),
        (-outer, -inner),
        (-inner, inner),
        (inner, outer),
        (windows.inner, windows.outer),
    )
    level = 0.5 * (1 - ratio)
    flank, gate = noise.FLANK_COVERAGE, GATE_COVERAGE
    return noise.Contrast(spans, (level, -0.5, ratio, -0.5, level), (flank, gate, gate, gate, flank))


def measure_parities(
    time: Floats, flux: Floats, exposure: Floats, signal: TransitSignal, transits: Transits, masked_noise: float
) -> Parities | str:
    """Time the odd and the even transits and compare them.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    flux : (n,) relative, detrended
    exposure : (n,) days each cadence covers
    signal : TransitSignal
    transits : Transits
        Of the same series.
    masked_noise : float
        As in ``transits.measure``; of depths only, as the trend hardly follows what is odd about a transit's centre.

    Returns
    -------
    Parities or str
        Or the reason why not, with its code.

    Notes
    -----
    A parity is looked for over the whole period, and taken from where it is predicted only if it is surely elsewhere:
    the second eclipse of an eccentric binary may come hours late. The errors are the scatter of the same contrast
    on pseudo-transits.
    """
    period, duration = signal.period, signal.duration
    odd = is_odd(transits.cycle)
    counts = [int((transits.events.usable & kind).sum()) for kind in (odd, ~odd)]
    if min(counts) < LEAST_EACH:
        return (
            f"few_transits: {counts[0]} odd and {counts[1]} even transits are well covered, "
            f"{LEAST_EACH} of each are needed"
        )
    if not 1.5 * duration < period:
        return f"few_points: the transits leave no room, a duration is 1/{period / duration:.1f} of the period"
    samples = noise.Samples(time, flux, exposure)
    windows = noise.Windows.of(period, duration)

    def read(what: noise.Windows | noise.Contrast, shift: Floats, pseudo: noise.PseudoTransits) -> Transits:
        """The contrast at each transit, moved by its shift."""
        events = samples.read(transits.events.centre + shift, what)
        factor = masked_noise if isinstance(what, noise.Windows) else 1.0
        return Transits(transits.cycle, events, below_mask(events, pseudo, factor, masked_noise > 1), pseudo)

    def late(shift: Floats, chosen: Booleans) -> float:
        """Days by which the chosen transits come after their shift, within the gates' reach; 0 where unknown."""
        gate, depth = (read(what, shift, transits.pseudo) for what in (gates, windows))
        if not ((gate.events.usable & chosen).any() and (depth.events.usable & chosen).any()):
            return 0.0
        below = 4 * depth.mean(chosen)[0]
        reach = 0.25 * duration
        return float(np.clip(duration * gate.mean(chosen)[0] / below, -reach, reach)) if below > 0 else 0.0

    gates = timing(duration)
    away = [_elsewhere(samples, windows, transits, kind, period, duration) for kind in (odd, ~odd)]
    shift = np.where(odd, *away)
    for _ in range(2):
        common = late(shift, np.ones_like(odd))
        shift = shift + (np.where(odd, late(shift, odd), late(shift, ~odd)) if any(away) else common)
    shifts = [float(shift[kind][0]) for kind in (odd, ~odd)]

    blocked = block_distance(signal)
    off = np.ones(time.size, dtype=bool)
    for late_by, turn in zip(shifts, (1, 0), strict=True):
        off &= noise.outside(time, 2 * period, signal.epoch + turn * period + late_by, blocked)
    quiet = noise.Samples(time[off], flux[off], exposure[off])

    def pseudo(what: noise.Windows | noise.Contrast) -> noise.PseudoTransits:
        return noise.pseudo_transits(quiet, period, signal.epoch, duration, what, blocked + windows.half)

    depth = compare(read(windows, shift, pseudo(windows)), is_odd)
    gate = compare(read(gates, shift, pseudo(gates)), is_odd)
    if depth is None or gate is None:
        return f"few_transits: too few of the transits have an ingress and an egress, {LEAST_EACH} of each are needed"
    for name, mean, err in (("odd", depth.one, depth.one_err), ("even", depth.other, depth.other_err)):
        if not mean > LEAST_SNR * err:
            return f"few_points: the {name} transits are no sure dip, {mean * 1e6:.0f} +- {err * 1e6:.0f} ppm"
    days = [0.25 * duration / depth.one, 0.25 * duration / depth.other]
    times = replace(
        gate,
        one=shifts[0] + gate.one * days[0],
        other=shifts[1] + gate.other * days[1],
        one_err=gate.one_err * days[0],
        other_err=gate.other_err * days[1],
    )
    return Parities(times, depth, _widths(read, pseudo, shift, duration, windows, transits))


def _elsewhere(
    samples: noise.Samples,
    windows: noise.Windows,
    transits: Transits,
    chosen: Booleans,
    period: float,
    duration: float,
) -> float:
    """Days from the ephemeris at which the chosen transits surely are, or 0."""
    reach = math.floor(0.5 * STEPS * period / duration)
    offset = np.arange(-reach, reach + 1) * duration / STEPS
    centres = transits.events.centre[chosen, None] + offset
    events = samples.measure(centres.ravel(), windows)
    usable = events.usable.reshape(centres.shape)
    variance = transits.pseudo.variance(np.where(events.usable, events.white, 1.0)).reshape(centres.shape)
    weight = np.where(usable, 1 / variance, 0.0)
    snr = (weight * events.depth.reshape(centres.shape)).sum(axis=0) / np.sqrt(np.maximum(weight.sum(axis=0), 1e-300))
    best = int(np.argmax(snr))
    home = max(float(snr[reach]), 0.0)
    # another eclipse of the same binary, half a period away, is not this one come late
    far = abs(offset[best]) > duration
    return float(offset[best]) if snr[best] ** 2 > home**2 + BETTER and not (far and home > 0.5 * snr[best]) else 0.0


def _widths(
    read: Callable[[noise.Contrast, Floats, noise.PseudoTransits], Transits],
    pseudo: Callable[[noise.Contrast], noise.PseudoTransits],
    shift: Floats,
    duration: float,
    windows: noise.Windows,
    transits: Transits,
) -> Comparison | None:
    """Light in the gates over light in the middle, odd and even; None where flanks or gates have holes."""
    gate, rest = (read(width(duration, windows, ratio), shift, transits.pseudo) for ratio in (0.0, 1.0))
    usable = gate.events.usable
    if not usable.any():
        return None
    middle = gate.mean(usable)[0] - rest.mean(usable)[0]
    if not middle > 0:
        return None
    what = width(duration, windows, gate.mean(usable)[0] / middle)
    found = compare(read(what, shift, pseudo(what)), is_odd)
    if found is None:
        return None
    return replace(
        found,
        one=found.one / middle,
        other=found.other / middle,
        one_err=found.one_err / middle,
        other_err=found.other_err / middle,
    )
