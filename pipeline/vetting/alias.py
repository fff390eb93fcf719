"""Is it another period? The transits at P/3, P/2, 2P and 3P."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline.types import Booleans, Finding, Integers, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.odd_even import FLOOR as DEPTH_FLOOR
from pipeline.vetting.odd_even_epoch import FLOOR as TIME_FLOOR
from pipeline.vetting.parity import is_odd
from pipeline.vetting.transits import LEAST_EACH, block_distance, compare

ALIKE = 0.05  # of the depth: dips this alike are called equal, where the errors alone would tell them apart
WIDTH_FLOOR = 0.005  # durations
SAME = 3.0  # sigmas within which two depths are equal, and a depth is none


@dataclass(frozen=True, slots=True)
class Rival:
    """Another period, and how surely the data prefer it to the one that was found."""

    factor: float  # of the found period
    sigma: float | None  # 0 where it is ruled out; None where the data cannot tell
    said: str


def alias(case: Case) -> Finding:
    """Ask at P/3, P/2, 2P and 3P whether the transits are those of another period.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the factor of the preferred period, 1 unless another is surer than ``alias_sigma``; ``sigma``
        that of the strongest rival.

    Notes
    -----
    A fraction of the period is preferred when the transits that it adds are there, each as deep as the rest. Twice
    the period is preferred when odd and even transits differ in depth, time or width (duration and shape), each
    measured on its own time; three times, when of three transits in turn only one is there.

    Two eclipses that are alike in all of this and evenly spaced are one transit at half the period, and no flux can
    tell them apart: size, duration against the star's density, pixels and velocities may.
    """
    limit = case.settings.alias_sigma
    rivals = [_fraction(case, 3), _fraction(case, 2), _double(case), _triple(case)]
    known = [(rival.sigma, rival) for rival in rivals if rival.sigma is not None]
    said = "; ".join(rival.said for rival in rivals)
    if not known:
        return Finding("alias", Verdict.NOT_RUN, None, None, limit, f"few_transits: {said}")
    sigma, best = max(known, key=lambda pair: pair[0])
    if not math.isfinite(sigma):
        return Finding("alias", Verdict.ERROR, None, None, limit, said)
    if sigma > limit:
        period = case.signal.period
        said = f"{best.factor * period:.5f} d rather than {period:.5f} d, {sigma:.1f} sigma: {said}"
        return Finding("alias", Verdict.FAIL, best.factor, sigma, limit, said)
    said = f"{said}; identical eclipses, evenly spaced at twice the period, would look the same"
    return Finding("alias", Verdict.PASS, 1.0, sigma, limit, said)


def _fraction(case: Case, parts: int) -> Rival:
    """Are there transits between the transits?"""
    signal, transits = case.signal, case.transits
    factor, name = 1 / parts, f"P/{parts}"
    windows = noise.Windows.of(signal.period, signal.duration)
    blocked = block_distance(signal)
    if signal.period / parts < blocked + windows.half:
        return Rival(factor, None, f"{name} leaves no room beside the transits")
    curve, exposure = case.light_curve, case.cleaned.exposure
    off = noise.outside(curve.time, signal.period, signal.epoch, blocked)
    samples = noise.Samples(curve.time[off], curve.flux[off], exposure[off])
    depths, errors = [], []
    for part in range(1, parts):
        at = signal.epoch + (transits.pseudo.cycle.astype(np.float64) + part * factor) * signal.period
        events = samples.measure(at, windows)
        if events.count < LEAST_EACH:
            return Rival(factor, None, f"{name}: {events.count} of the transits between are covered")
        weight = 1 / transits.pseudo.variance(events.white[events.usable])
        depths.append(float((weight * events.depth[events.usable]).sum() / weight.sum()))
        errors.append(float(weight.sum() ** -0.5))
    depth, err = np.array(depths), np.array(errors)
    sigma = noise.normal_equivalent(float(np.min(depth / err)), transits.pseudo.degrees)
    # what the trend took of a dip that was not hidden from it is between nothing and this
    lost = math.sqrt(case.views.masked_noise)
    room = np.maximum(SAME * np.hypot(err, _err(case)), ALIKE * case.depth)
    alike = (depth - room < case.depth) & (lost * depth + room > case.depth)
    between = " and ".join(f"{d * 1e6:.0f} +- {e * 1e6:.0f}" for d, e in zip(depth, err, strict=True))
    return Rival(factor, max(sigma, 0.0) if alike.all() else 0.0, f"{name}: {between} ppm between the transits")


def _err(case: Case) -> float:
    usable = case.transits.events.usable
    return case.transits.mean(usable)[1] if usable.any() else 0.0


def _double(case: Case) -> Rival:
    """Do odd and even transits differ?"""
    parities = case.parities
    if isinstance(parities, str):
        depth = compare(case.transits, is_odd)  # those of one parity may be missing altogether
        if depth is None:
            return Rival(2.0, None, f"2P: {parities.split(': ', 1)[1]}")
        z = depth.sigma(DEPTH_FLOOR * abs(0.5 * (depth.one + depth.other)))
        said = f"2P: odd and even transits differ by {z:+.1f} in depth sigma"
        return Rival(2.0, max(noise.chi_square_sigma(z * z, 1), 0.0), said)
    mean = 0.5 * (parities.depth.one + parities.depth.other)
    parts = {
        "depth": parities.depth.sigma(DEPTH_FLOOR * mean),
        "time": parities.time.sigma(TIME_FLOOR * case.signal.duration),
    }
    if parities.width is not None:
        parts["width"] = parities.width.sigma(WIDTH_FLOOR)
    sigma = noise.chi_square_sigma(sum(z * z for z in parts.values()), len(parts))
    listed = ", ".join(f"{z:+.1f} in {name}" for name, z in parts.items())
    return Rival(2.0, max(sigma, 0.0), f"2P: odd and even transits differ by {listed} sigma")


def _third(cycle: Integers, turn: int) -> Booleans:
    return cycle % 3 == turn


def _triple(case: Case) -> Rival:
    """Is it only one transit of three?"""
    found = []
    for turn in range(3):
        group = compare(case.transits, partial(_third, turn=turn))
        if group is None:
            return Rival(3.0, None, "3P: too few transits of each third are covered")
        found.append(group)
    best = max(found, key=lambda group: group.sigma())
    alone = best.other < SAME * best.other_err
    sigma = noise.best_of(best.sigma(), 3) if alone else 0.0
    return Rival(
        3.0,
        max(sigma, 0.0),
        f"3P: one third {best.one * 1e6:.0f} +- {best.one_err * 1e6:.0f} ppm, "
        f"the others {best.other * 1e6:.0f} +- {best.other_err * 1e6:.0f} ppm",
    )
