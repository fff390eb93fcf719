"""The deepest dip away from the transit: an eclipse of the companion says that it shines."""

import math
from dataclasses import replace

import numpy as np

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.transits import SURE, Dip, Phases, away_from_transit, deepest

LEAST_COVERAGE = 0.3  # of the phases away from the transit
LEAST_EVENTS = 2  # cycles that show a phase
GRACE = 2.0  # sigmas by which a dip's depth may overstate an occultation
SUN_ORBIT = 4.2083  # a / R* of a one-day orbit around the Sun
BLIND_ORBIT = 0.71  # a / R* over that of a central transit, at impact parameter 0.7: for stars of unknown density


def secondary(case: Case) -> Finding:
    """Search all phases away from the transit for a second eclipse.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the depth of the deepest dip over the transit's; ``sigma`` its significance after paying for
        the look at every phase.

    Notes
    -----
    A hot planet is occulted too. A dip is let pass as an occultation when, ``GRACE`` sigmas shallower than it was
    measured, it is shallower than ``occultation_share`` of the transit and the planet need not reflect more light
    than falls on it: depth * (a / Rp)**2 < 1. The body must be no larger than ``largest_planet`` where the star's
    radius is known. a / R* is that of the star's density or of a central transit this long, whichever is less;
    without a density, of a transit at impact parameter 0.7.
    """
    limit = case.settings.secondary_sigma
    seen = case.transits.pseudo.usable.sum(axis=0)
    phases = scan(case)
    shown = float(np.mean(seen >= LEAST_EVENTS)) if seen.size else 0.0
    if phases is None or shown < LEAST_COVERAGE:
        once = float(np.mean(seen > 0)) if seen.size else 0.0
        why = (
            f"few_transits: {shown:.0%} of the phases away from the transit are seen in {LEAST_EVENTS} cycles"
            if once >= LEAST_COVERAGE
            else f"few_points: {once:.0%} of the phases away from the transit are covered"
        ) + f", {LEAST_COVERAGE:.0%} are needed"
        if not seen.size:
            ratio = case.signal.period / case.signal.duration
            why = f"few_points: the transits leave no phase free: a duration is 1/{ratio:.1f} of the period"
        return Finding("secondary", Verdict.NOT_RUN, None, None, limit, why)
    if not abs(case.depth) > noise.FLOOR:
        return Finding("secondary", Verdict.NOT_RUN, None, None, limit, "few_points: no transit to compare with")
    dip = deepest(phases)
    share = dip.depth / case.depth
    if not (math.isfinite(share) and math.isfinite(dip.sigma)):
        return Finding("secondary", Verdict.ERROR, None, None, limit, f"depth {dip.depth} over {case.depth}")
    said = (
        f"deepest dip away from the transit at phase {dip.phase:.3f}: {dip.depth * 1e6:.0f} +- "
        f"{dip.depth_err * 1e6:.0f} ppm, {share:.1%} of the transit, {dip.sigma:.1f} sigma among "
        f"{dip.trials:.0f} phases; none deeper than {phases.depth_limit.max() * 1e6:.0f} ppm at 3 sigma"
    )
    if dip.sigma <= limit:
        return Finding("secondary", Verdict.PASS, share, dip.sigma, limit, said)
    reason = _not_an_occultation(case, dip)
    if reason:
        return Finding("secondary", Verdict.FAIL, share, dip.sigma, limit, f"{said}; {reason}")
    return Finding("secondary", Verdict.PASS, share, dip.sigma, limit, f"{said}; as a hot planet's occultation can")


def scan(case: Case) -> Phases | None:
    """Measure the dip at every phase away from the transit.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Phases or None
        Those seen in two cycles or more, four to a duration; ``sigma`` against ``phase`` is the curve to draw,
        ``threshold(3)`` the line that noise crosses anywhere in one light curve of 741, ``depth_limit`` the upper
        limit. None where there are none.

    Notes
    -----
    A shallow dip is seen through the trend, which takes a part of it and of its noise alike: of the noise we know
    how much, since the detrending was also done blind to some pseudo-transits (``FoldedViews.masked_noise``), so
    both are given back. A dip that is sure was hidden from the trend and is whole.
    """
    phases = away_from_transit(case.transits.pseudo, LEAST_EVENTS)
    if phases is None:
        return None
    lost = math.sqrt(case.views.masked_noise)
    back = np.full(phases.phase.size, lost)
    dip = deepest(phases)
    if dip.local_sigma > SURE:
        apart = np.abs((phases.phase - dip.phase + 0.5) % 1 - 0.5) * case.signal.period
        back[apart < case.signal.duration] = 1.0
    return replace(phases, depth=back * phases.depth, depth_err=lost * phases.depth_err)


def _not_an_occultation(case: Case, dip: Dip) -> str:
    """Why the dip cannot be a planet going behind its star; empty if it can."""
    settings = case.settings
    least = max(dip.depth - GRACE * dip.depth_err, 0.0)
    if least >= settings.occultation_share * case.depth:
        return f"a planet's occultation is under {settings.occultation_share:.0%} of its transit"
    radius = case.planet_radius
    if radius is not None and radius > settings.largest_planet:
        return f"a body of {radius:.0f} Earth radii is no planet"
    ratio = math.sqrt(max(case.depth, 0.0))
    orbit = (1 + ratio) * case.signal.period / (math.pi * case.duration[0])  # a / R* of a central transit
    density = case.density
    if density is None:
        orbit *= BLIND_ORBIT
    else:
        orbit = min(orbit, SUN_ORBIT * (case.signal.period**2 * density) ** (1 / 3))
    albedo = least * (orbit / ratio) ** 2
    if albedo >= 1:
        return f"to reflect that much the body would need an albedo of {albedo:.1f} at least"
    return ""
