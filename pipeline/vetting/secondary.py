"""The deepest dip away from the transit: an eclipse of the companion says that it shines."""

import math

from pipeline.types import Finding, Verdict
from pipeline.vetting.case import Case
from pipeline.vetting.transits import Dip, deepest_dip

LEAST_COVERAGE = 0.3  # of the phases away from the transit
LEAST_EVENTS = 2  # cycles that show the dip


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
    A shallow dip is seen through the trend, which takes a part of it, of its error and of its upper limit alike (some
    15 % at 3 hours under the default window); ``fold`` hides a sure one from the trend, and then it is whole.

    A hot planet is occulted too. A dip is let pass as an occultation when it is shallower than
    ``occultation_share`` of the transit, the body is no larger than ``largest_planet`` where the star's radius is
    known, and the planet need not reflect more light than falls on it: depth * (a / Rp)**2 < 1, with a / R* as the
    transit's own duration gives it for a central transit (the largest it can be, so the strictest test).
    """
    limit = case.settings.secondary_sigma
    pseudo = case.transits.pseudo
    dip = deepest_dip(pseudo)
    expected = case.signal.period / case.signal.duration
    covered = pseudo.usable.any(axis=0)
    if dip is None or covered.size == 0 or covered.mean() < LEAST_COVERAGE:
        share = covered.mean() if covered.size else 0.0
        why = f"{share:.0%} of the phases away from the transit are covered, {LEAST_COVERAGE:.0%} are needed"
        if covered.size == 0:
            why = f"the transits leave no phase free: a duration is 1/{expected:.1f} of the period"
        return Finding("secondary", Verdict.NOT_RUN, None, None, limit, f"few_points: {why}")
    if dip.events < LEAST_EVENTS:
        return Finding(
            "secondary",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            f"few_transits: phase {dip.phase:.3f} is seen in {dip.events} cycle, {LEAST_EVENTS} are needed",
        )
    share = dip.depth / case.depth
    if not (math.isfinite(share) and math.isfinite(dip.sigma)):
        return Finding("secondary", Verdict.ERROR, None, None, limit, f"depth {dip.depth} over {case.depth}")
    said = (
        f"deepest dip away from the transit at phase {dip.phase:.3f}: {dip.depth * 1e6:.0f} +- "
        f"{dip.depth_err * 1e6:.0f} ppm, {share:.1%} of the transit, {dip.sigma:.1f} sigma among "
        f"{dip.trials:.0f} phases; none deeper than {dip.depth_limit * 1e6:.0f} ppm"
    )
    if dip.sigma <= limit:
        return Finding("secondary", Verdict.PASS, share, dip.sigma, limit, said)
    reason = _not_an_occultation(case, dip, share)
    if reason:
        return Finding("secondary", Verdict.FAIL, share, dip.sigma, limit, f"{said}; {reason}")
    return Finding("secondary", Verdict.PASS, share, dip.sigma, limit, f"{said}; as a hot planet's occultation can")


def _not_an_occultation(case: Case, dip: Dip, share: float) -> str:
    """Why the dip cannot be a planet going behind its star; empty if it can."""
    settings = case.settings
    if share >= settings.occultation_share:
        return f"a planet's occultation is under {settings.occultation_share:.0%} of its transit"
    radius = case.planet_radius
    if radius is not None and radius > settings.largest_planet:
        return f"a body of {radius:.0f} Earth radii is no planet"
    ratio = math.sqrt(max(case.depth, 0.0))
    orbit = (1 + ratio) * case.signal.period / (math.pi * case.signal.duration)  # a / R* of a central transit
    albedo = dip.depth * (orbit / ratio) ** 2
    if albedo >= 1:
        return f"to reflect that much the body would need an albedo of {albedo:.1f}"
    return ""
