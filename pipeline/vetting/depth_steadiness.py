"""Transit by transit: a planet's are all alike, an accident's are not."""

import math

import numpy as np

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

LEAST = 2  # transits


def depth_steadiness(case: Case) -> Finding:
    """Compare the depths of the single transits with each other.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the scatter of the depths beyond their errors, over the mean depth; ``sigma`` that of their
        chi-square. Fails when the scatter is both sure and large. One transit that carries all is ``single_event``.
    """
    settings = case.settings
    limit = settings.steadiness_sigma
    transits = case.transits
    usable = transits.events.usable
    count = int(usable.sum())
    if count < LEAST:
        return Finding(
            "depth_steadiness",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            f"few_transits: {count} of {usable.size} transits in the data are well covered, {LEAST} are needed",
        )
    depth, variance = transits.events.depth[usable], transits.variance[usable]
    mean, _ = transits.mean(usable)
    if not (np.isfinite(depth).all() and (variance > 0).all() and mean != 0):
        return Finding("depth_steadiness", Verdict.ERROR, None, None, limit, f"depths {depth}, variances {variance}")
    chi_square = float(((depth - mean) ** 2 / variance).sum())
    sigma = noise.chi_square_sigma(chi_square, count - 1)
    excess = math.sqrt(max(chi_square / (count - 1) - 1, 0.0) / float(np.mean(1 / variance)))
    scatter = excess / abs(mean)
    said = (
        f"{count} transits of {mean * 1e6:.0f} ppm on average scatter by {scatter:.0%} beyond their errors, "
        f"{sigma:.1f} sigma"
    )
    if mean <= 0:
        return Finding("depth_steadiness", Verdict.FAIL, scatter, sigma, limit, f"{said}: the mean is no dip")
    unsteady = sigma > limit and scatter > settings.steadiness_scatter
    return Finding("depth_steadiness", Verdict.FAIL if unsteady else Verdict.PASS, scatter, sigma, limit, said)
