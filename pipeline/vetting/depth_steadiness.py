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
        chi-square. Fails when the scatter is both sure and large, or when one transit carries the signal: its
        signal-to-noise over that of the fold exceeds ``single_event_share`` (LEO-Vetter's limit is 0.8) and all the
        others together are no dip of ``single_event_rest`` sigma. The second condition is ours: of two equal
        transits of signal-to-noise 5, noise alone makes one exceed that share in one case of three.
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
    mean, mean_err = transits.mean(usable)
    if not (np.isfinite(depth).all() and (variance > 0).all() and mean != 0):
        return Finding("depth_steadiness", Verdict.ERROR, None, None, limit, f"depths {depth}, variances {variance}")
    chi_square = float(((depth - mean) ** 2 / variance).sum())
    sigma = noise.chi_square_sigma(chi_square, count - 1)
    excess = math.sqrt(max(chi_square / (count - 1) - 1, 0.0) / float(np.mean(1 / variance)))
    scatter = excess / abs(mean)
    single = depth / np.sqrt(variance)
    strongest = int(np.argmax(single))
    share = float(single[strongest] * mean_err / mean) if mean > 0 else math.inf
    said = (
        f"{count} transits of {mean * 1e6:.0f} ppm on average scatter by {scatter:.0%} beyond their errors, "
        f"{sigma:.1f} sigma; the strongest has {share:.0%} of the fold's signal-to-noise"
    )
    if mean <= 0:
        return Finding("depth_steadiness", Verdict.FAIL, scatter, sigma, limit, f"{said}: the mean is no dip")
    others = np.arange(count) != strongest
    weight = others / variance
    rest, rest_err = float((weight * depth).sum() / weight.sum()), float(weight.sum() ** -0.5)
    dominated = share > settings.single_event_share and rest < settings.single_event_rest * rest_err
    if dominated:
        when = transits.events.centre[usable][strongest]
        said = (
            f"{said}: one event, at BTJD {when:.3f}, carries it, "
            f"without it {rest * 1e6:.0f} +- {rest_err * 1e6:.0f} ppm are left"
        )
    unsteady = sigma > limit and scatter > settings.steadiness_scatter
    return Finding(
        "depth_steadiness", Verdict.FAIL if dominated or unsteady else Verdict.PASS, scatter, sigma, limit, said
    )
