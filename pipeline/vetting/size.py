"""The size of the body: what no planet is."""

import math

from pipeline.types import Finding, Verdict
from pipeline.vetting.case import EARTH_RADII, Case


def size(case: Case) -> Finding:
    """Compare the body's radius with the largest planet's.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the radius in Earth radii, or, where the star's radius is unknown, the depth as a fraction.

    Notes
    -----
    Catches binaries of equal eclipses at half their period, which odd against even cannot. 22 Earth radii is
    LEO-Vetter's limit. Without a radius only depths that no planet of a normal star is known to reach fail (17 % is
    the deepest, TOI-6894 b). Light of other stars in the aperture makes the true radius larger.
    """
    settings = case.settings
    radius = case.planet_radius
    if radius is not None:
        verdict = Verdict.FAIL if radius > settings.largest_planet else Verdict.PASS
        return Finding(
            "size",
            verdict,
            radius,
            None,
            settings.largest_planet,
            f"{case.bottom:.2%} of a star of {case.star.radius:.2f} solar radii is {radius:.1f} Earth radii, "
            f"if all the light is this star's",
        )
    if case.bottom > settings.largest_depth:
        return Finding(
            "size",
            Verdict.FAIL,
            case.bottom,
            None,
            settings.largest_depth,
            f"the star's radius is unknown, and {case.bottom:.1%} is deeper than any planet's transit",
        )
    largest = settings.largest_planet / EARTH_RADII / math.sqrt(case.bottom) if case.bottom > 0 else math.inf
    return Finding(
        "size",
        Verdict.NOT_RUN,
        None,
        None,
        settings.largest_planet,
        f"no_stellar: the star's radius is unknown; were it over {largest:.2f} solar radii, this is no planet",
    )
