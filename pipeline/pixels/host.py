"""Which star holds the dip: every catalogued one on the stamp against the measured place."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.pixels.evidence import HostStar, PlacedStar, SkyOffset
from pipeline.pixels.offset import covariance_of, hotelling_sigma

ELSEWHERE = 0.01  # prior that no listed star holds the dip
MODEL_FLOOR = 0.05  # pixels in quadrature: models of the star's image and catalogue places are no better
FAINT_LIMIT = 1.3  # a dip may need this share of a star's light: magnitudes are that sure


def hosts(
    offset: SkyOffset,
    stars: Sequence[PlacedStar],
    amplitude: float,
    pixel_arcsec: float,
    area: float,
    required_depth: Mapping[str, float],
) -> tuple[tuple[HostStar, ...], float]:
    """Posterior over the stars.

    Parameters
    ----------
    offset : SkyOffset
        Of the dip from the target.
    stars : sequence of PlacedStar
        On the stamp; the target first.
    amplitude : float
        Light that goes missing, e-/s.
    pixel_arcsec : float
    area : float
        Of the stamp, square arcsec.
    required_depth : mapping of star name ("TIC 123") to fraction
        From a contamination table; a star it lacks is judged by ``amplitude`` over its own light.

    Returns
    -------
    tuple of HostStar, the most probable first, and the probability that none of them is it

    Notes
    -----
    All stars that could dim so much are equally probable beforehand; the likelihood is Student's t in two dimensions
    with the freedom of the measured covariance. "None of them" is spread evenly over the stamp.
    """
    covariance = covariance_of(offset) + np.eye(2) * (MODEL_FLOOR * pixel_arcsec) ** 2
    inverse, norm = np.linalg.inv(covariance), 1 / (2 * math.pi * math.sqrt(float(np.linalg.det(covariance))))
    required, likelihood, sigmas = [], [], []
    for star in stars:
        depth = required_depth.get(star.name)
        if depth is None and star.flux is not None and star.flux > 0:
            depth = amplitude / star.flux
        required.append(depth)
        apart = np.array([offset.east - star.east, offset.north - star.north])
        chi_square = float(apart @ inverse @ apart)
        likelihood.append(norm * (1 + chi_square / offset.independent) ** (-0.5 * (offset.independent + 2)))
        sigmas.append(hotelling_sigma(chi_square, offset.independent))
    allowed = np.array([depth is None or depth <= FAINT_LIMIT for depth in required], dtype=np.float64)
    prior = (1 - ELSEWHERE) * allowed / max(allowed.sum(), 1.0)
    nowhere = (1.0 if not allowed.any() else ELSEWHERE) / area
    weight = prior * np.array(likelihood)
    total = float(weight.sum()) + nowhere
    found = [
        HostStar(
            kind=star.kind,
            key=star.key,
            tmag=star.tmag,
            separation=math.hypot(star.east, star.north),
            sigma=sigmas[i],
            required_depth=required[i],
            prior=float(prior[i]),
            probability=float(weight[i]) / total,
        )
        for i, star in enumerate(stars)
    ]
    return tuple(sorted(found, key=lambda star: -star.probability)), nowhere / total
