"""How well an eclipse explains the folded light curve: many draws at once, averaged over exposure and bin."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Floats
from pipeline.validation.case import ValidationCase

NODES = 28  # of a light curve from mid-eclipse to last contact, denser towards the contact
BINS = 60  # of the fold, at most, from mid-transit outwards
ALBEDOS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])  # of a planet that is occulted, reflected and radiated light together


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """The light curve by distance from mid-transit, and what is measured away from it."""

    since: Floats  # (m,) days from mid-transit, not negative
    dip: Floats  # (m,) light missing, fraction of the aperture's
    weight: Floats  # (m,) 1 / variance
    width: Floats  # (m,) days that each bin averages over
    period: float  # days
    secondary: float | None  # depth away from the transit, fraction of the aperture's light
    secondary_err: float
    trials: float  # phases among which it is the deepest
    depth: float  # of the middle of the transit, roughly
    depth_err: float
    half_width: float  # days from the middle to half of that depth, roughly

    @classmethod
    def of(cls, case: ValidationCase) -> "Folded":
        """Fold a case about mid-transit, and group the points where there are many."""
        time, flux, err = (np.asarray(a, dtype=np.float64) for a in (case.phase_time, case.flux, case.flux_err))
        order = np.argsort(np.abs(time), kind="stable")
        since, dip, weight = np.abs(time)[order], 1 - flux[order], err[order] ** -2.0
        reach = float(since[-1])
        exposure = max(case.exposure, 1e-6)
        depth, depth_err, half_width = _rough(since, dip, weight)
        if since.size > 1.25 * BINS:
            # most bins to ingress and egress, which tell a planet from a binary
            knots = np.array([0.0, 0.6, 1.4]) * min(half_width, reach / 1.5)
            edges = np.interp(np.arange(BINS + 1) / BINS, (0.0, 0.2, 0.8, 1.0), (*knots, reach))
            place = np.clip(np.searchsorted(edges, since, side="right") - 1, 0, BINS - 1)
            total: Floats = np.asarray(np.bincount(place, weight, BINS), dtype=np.float64)
            held = total > 0
            safe = total[held]
            middle = np.bincount(place, weight * since, BINS)[held] / safe
            spread = np.bincount(place, weight * since**2, BINS)[held] / safe - middle**2
            dip = np.bincount(place, weight * dip, BINS)[held] / safe
            since, weight = middle, safe
            width = np.sqrt(exposure**2 + 12 * np.maximum(spread, 0.0))  # of a box with that spread
        else:
            width = np.full(since.size, exposure)
        secondary, secondary_err = case.secondary_depth, case.secondary_err
        known = (
            secondary is not None
            and secondary_err is not None
            and math.isfinite(secondary)
            and math.isfinite(secondary_err)
            and secondary_err > 0
        )
        return cls(
            since,
            dip,
            weight,
            width,
            case.period,
            secondary if known else None,
            float(secondary_err) if known and secondary_err is not None else 1.0,
            max(case.secondary_trials, 1.0),
            depth,
            depth_err,
            half_width,
        )


def _rough(since: Floats, dip: Floats, weight: Floats) -> tuple[float, float, float]:
    """Depth of the middle, its error and the half width of the box that fits best."""
    total, sums = np.cumsum(weight), np.cumsum(weight * dip)
    rest, others = total[-1] - total, sums[-1] - sums
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where((sums > 0) & (total > 0), sums**2 / total, 0.0) + np.where(rest > 0, others**2 / rest, 0.0)
    at = int(np.argmax(gain))
    half = float(since[at])
    inner = since <= max(0.5 * half, float(since[min(2, since.size - 1)]))
    err = float(weight[inner].sum() ** -0.5)
    return max(float(np.average(dip[inner], weights=weight[inner])), err), err, max(half, float(since[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Eclipses:
    """Draws of one body in front of another, (n,) each."""

    ratio: Floats  # radius of the body in front over that behind
    axis: Floats  # semi-major axis over the radius of the body behind
    cosine: Floats  # of the inclination
    eccentricity: Floats
    argument: Floats  # of periastron, radians
    light: Floats  # of the aperture that the body behind sends
    second_light: Floats  # and that the body in front sends
    limb: tuple[Floats, Floats]  # darkening of the body behind
    period_factor: float = 1.0  # 2 where every other eclipse is a secondary one
    reflecting: bool = False  # whether the second light is a share of what falls on a planet: it is the most, then


def ln_likelihood(folded: Folded, draws: Eclipses) -> Floats:
    """Of each draw, up to a constant of the light curve, (n,).

    Notes
    -----
    The sky-projected orbit is a circle of the distance and the angular speed at conjunction: exact for e = 0. Each
    light curve is computed at ``NODES`` moments from its middle to its last contact, integrated in time, and its
    integral read at both ends of each bin: exposure and bin width cost nothing more. Level and noise are as given.
    """
    e, sine = draws.eccentricity, np.sin(draws.argument)
    distance = draws.axis * (1 - e**2) / (1 + e * sine)
    speed = (1 + e * sine) ** 2 / (1 - e**2) ** 1.5
    impact = distance * draws.cosine
    chord = ((1 + draws.ratio) ** 2 - impact**2) / np.maximum(distance**2 - impact**2, 1e-12)
    angle = np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))
    half = np.maximum(angle * folded.period * draws.period_factor / (2 * math.pi * speed), 1e-9)  # days
    # nodes denser towards the contact, where the curve bends
    x = 1 - (1 - np.arange(NODES + 1) / NODES) ** 2
    angle = angle[:, None] * x
    apart = np.sqrt((distance[:, None] * np.sin(angle)) ** 2 + (impact[:, None] * np.cos(angle)) ** 2)
    lost = 1 - disc(apart, draws.ratio[:, None], draws.limb)
    step = np.diff(x)
    integral = np.zeros_like(lost)
    np.cumsum(0.5 * (lost[:, 1:] + lost[:, :-1]) * step, axis=1, out=integral[:, 1:])
    bend = 0.5 * np.diff(lost, axis=1, append=0.0) / np.append(step, 1.0)
    start = np.arange(half.size)[:, None] * (NODES + 1)

    def up_to(moment: Floats) -> Floats:
        """Integral of the light lost from the middle to a moment, in half durations, odd in it; (n, m)."""
        share = np.minimum(np.abs(moment) / half[:, None], 1.0)
        low = (NODES * (1 - np.sqrt(1 - share))).astype(np.int64)
        at = start + low
        # between two nodes the curve is a chord: its integral is a parabola
        share -= x[low]
        return np.sign(moment) * (integral.take(at) + share * (lost.take(at) + share * bend.take(at)))

    width = folded.width
    model = (up_to(folded.since + 0.5 * width) - up_to(folded.since - 0.5 * width)) * half[:, None] / width
    residual = folded.dip - draws.light[:, None] * model
    return -0.5 * (residual**2 @ folded.weight) + _secondary(folded, draws)


def disc(apart: Floats, ratio: Floats, limb: tuple[Floats, Floats]) -> Floats:
    """Light left of darkened discs, (n, m), behind discs of a ratio (n, 1)."""
    from exoplanet_core.numpy.ops import quad_solution_vector

    u1, u2 = (np.broadcast_to(u, apart.shape[:1]) for u in limb)
    weights = np.stack([1 - u1 - 1.5 * u2, u1 + 2 * u2, -0.25 * u2], axis=1)
    weights = weights / (math.pi * (weights[:, 0] + weights[:, 1] / 1.5))[:, None]
    wide = np.broadcast_to(ratio, apart.shape)
    # within 3e-16 below equality exoplanet-core 0.3.1 misses 2 pi / 3 of the linear term; equality itself is right
    behind = np.where(np.abs(apart - wide) < 1e-12, wide, apart)
    solution = quad_solution_vector(behind.ravel(), wide.ravel()).reshape(*apart.shape, 3)
    return np.where(apart < 1 + wide, np.einsum("nmk,nk->nm", solution, weights), 1.0)


def _secondary(folded: Folded, draws: Eclipses) -> Floats:
    """Of the deepest dip away from the transit, given the occultation of each draw."""
    if folded.secondary is None:
        return np.zeros(draws.ratio.size)
    if draws.period_factor != 1.0:  # the other eclipse of twins is in the fold of the transit: away from it is nothing
        return _deepest(folded, np.zeros(draws.ratio.size))
    e, sine = draws.eccentricity, np.sin(draws.argument)
    impact = draws.axis * (1 - e**2) / (1 - e * sine) * draws.cosine
    hidden = overlap(impact, draws.ratio)
    if not draws.reflecting:
        return _deepest(folded, draws.second_light * hidden)
    each = [_deepest(folded, albedo * draws.second_light * hidden) for albedo in ALBEDOS]
    return np.logaddexp.reduce(each, axis=0) - math.log(ALBEDOS.size)


def _deepest(folded: Folded, depth: Floats) -> Floats:
    """ln of the density of the deepest of some dips, one of which has a depth and the others none but noise."""
    from scipy.special import log_ndtr

    assert folded.secondary is not None
    err, others = folded.secondary_err, folded.trials - 1
    of_it = (folded.secondary - depth) / err
    alone = folded.secondary / err
    peak = -0.5 * of_it**2
    if others <= 0:
        return peak
    # either it is the deepest and all others lie below, or one of the others is and it lies below
    rest = log_ndtr(alone)
    return np.logaddexp(peak + others * rest, math.log(others) - 0.5 * alone**2 + (others - 1) * rest + log_ndtr(of_it))


def overlap(apart: Floats, ratio: Floats) -> Floats:
    """Share of the smaller disc, of this radius, that lies behind a unit disc."""
    apart = np.maximum(apart, 1e-9)
    one = np.arccos(np.clip((apart**2 + ratio**2 - 1) / (2 * apart * ratio), -1, 1))
    two = np.arccos(np.clip((apart**2 + 1 - ratio**2) / (2 * apart), -1, 1))
    kite = (-apart + ratio + 1) * (apart + ratio - 1) * (apart - ratio + 1) * (apart + ratio + 1)
    area = ratio**2 * one + two - 0.5 * np.sqrt(np.maximum(kite, 0.0))
    share = np.where(apart >= 1 + ratio, 0.0, area / (math.pi * ratio**2))
    return np.clip(np.where(apart <= np.abs(1 - ratio), np.minimum(1.0, ratio**-2.0), share), 0.0, 1.0)
