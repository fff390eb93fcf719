"""Offsets of several sectors as one, and whether the sectors agree."""

from collections.abc import Sequence

import numpy as np

from pipeline.pixels.evidence import SkyOffset
from pipeline.pixels.offset import covariance_of, sky_offset
from pipeline.vetting.noise import chi_square_sigma

DISAGREE = 3.0  # sigmas between the sectors from which their errors are widened until they agree


def combine(offsets: Sequence[SkyOffset]) -> tuple[SkyOffset, float | None, float | None]:
    """Average offsets on the sky, each by the inverse of its covariance.

    Parameters
    ----------
    offsets : sequence of SkyOffset
        One for each sector, at least one.

    Returns
    -------
    SkyOffset
        Its ``independent`` is that of the parts by the share of information each brings (Welch & Satterthwaite).
    reduced chi-square between the sectors, and its one-sided normal deviate
        None for a single sector. Where the deviate is beyond ``DISAGREE`` the combined errors are widened by it.
    """
    if len(offsets) == 1:
        return offsets[0], None, None
    # the inverse of a covariance from few samples is too large in the mean (inverse Wishart, two dimensions)
    weights = [np.linalg.inv(covariance_of(offset)) * max(1 - 3 / offset.independent, 0.25) for offset in offsets]
    places = [np.array([offset.east, offset.north]) for offset in offsets]
    covariance = np.linalg.inv(np.sum(weights, axis=0))
    mean = covariance @ np.sum([w @ place for w, place in zip(weights, places, strict=True)], axis=0)
    shares = [0.5 * float(np.trace(covariance @ w)) for w in weights]
    independent = 1 / sum(share**2 / offset.independent for share, offset in zip(shares, offsets, strict=True))
    between = sum(float((place - mean) @ w @ (place - mean)) for w, place in zip(weights, places, strict=True))
    degrees = 2 * (len(offsets) - 1)
    sigma = chi_square_sigma(between, degrees)
    if sigma > DISAGREE:
        covariance = covariance * between / degrees
    return sky_offset(mean, covariance, independent), between / degrees, sigma
