"""The size of the body: what no planet is."""

import math

import numpy as np

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import EARTH_RADII, Case

SURE = 1e-15  # no radius is surer than this


def size(case: Case) -> Finding:
    """Compare the body's radius with the largest planet's.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the radius in Earth radii, or, where the star's radius is unknown, the depth as a fraction;
        ``sigma`` how sure we are that the radius exceeds ``largest_planet``.

    Notes
    -----
    Catches binaries of equal eclipses at half their period, which odd against even cannot. 22 Earth radii is
    LEO-Vetter's limit. The radius is that of each impact parameter the shape allows, with the error of the depth and
    of the star's radius (``radius_err``). Without a radius only depths that no planet of a normal star is known to
    reach fail (17 % is the deepest, TOI-6894 b). Light of other stars in the aperture makes the true radius larger.
    """
    settings = case.settings
    radius = case.planet_radius
    if radius is not None:
        ratios, probability = case.radius_ratios
        depth_err = 0.0 if case.transit is None else case.transit.depth_err / case.transit.depth
        width = math.hypot(settings.radius_err, 0.5 * depth_err)
        away = np.log(ratios * radius / case.radius_ratio / settings.largest_planet) / width
        larger = float(probability @ [noise.NORMAL.cdf(z) for z in away])
        sigma = noise.NORMAL.inv_cdf(min(max(larger, SURE), 1 - SURE))
        spread = math.hypot(width, math.sqrt(max(float(probability @ np.log(ratios / case.radius_ratio) ** 2), 0.0)))
        return Finding(
            "size",
            Verdict.FAIL if sigma > settings.size_sigma else Verdict.PASS,
            radius,
            sigma,
            settings.largest_planet,
            f"{case.bottom:.2%} of a star of {case.star.radius:.2f} solar radii is {radius:.1f} +- "
            f"{radius * spread:.1f} Earth radii, if all the light is this star's; over {settings.largest_planet:g} "
            f"with a probability of {larger:.1%}",
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
    largest = settings.largest_planet / EARTH_RADII / case.radius_ratio if case.radius_ratio > 0 else math.inf
    return Finding(
        "size",
        Verdict.NOT_RUN,
        None,
        None,
        settings.largest_planet,
        f"no_stellar: the star's radius is unknown; were it over {largest:.2f} solar radii, this is no planet",
    )
