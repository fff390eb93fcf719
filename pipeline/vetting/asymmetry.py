"""Left against right: a planet goes as it came; a ramp, a step or a recovering detector does not."""

import math

import numpy as np

from pipeline.types import Finding, Floats
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run
from pipeline.vetting.series import Series

HALVES = (  # what is compared: durations from the centre, left and right
    ("inside", 0.0, 0.35),  # ingress and egress left out: a centre that is a little off moves them
    ("beside", 0.75, 2.0),
)
RECENTRED = 0.25  # durations that the centre may be off...
SURER = 9.0  # ... where the squared signal-to-noise there is higher by this
LEAST_PSEUDO = 12  # events away from the transit that the noise is measured on


def asymmetry(case: Case) -> Finding:
    """Compare the left with the right half of the fold, in transit and beside it.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the larger difference, left minus right flux, over the depth; ``sigma`` the significance of the
        surest, after paying for the look at both. Fails when one difference is ``asymmetry_sigma`` sure and over
        ``asymmetry_share`` of the depth.

    Notes
    -----
    LEO-Vetter compares fits of half trapezoids (8 of their own sigmas). Here the noise is that of the same
    difference at all other phases, single event by single event.
    """
    settings = case.settings
    limit = settings.asymmetry_sigma
    series = case.series
    if isinstance(series, str):
        return not_run("asymmetry", limit, series)
    depth, mes = series.fold()
    close = np.flatnonzero(series.distance <= RECENTRED)
    best = int(close[np.argmax(mes[close])])
    middle = best if mes[best] ** 2 - mes[series.middle] ** 2 > SURER else series.middle
    if not depth[middle] > 0:
        return not_run("asymmetry", limit, "few_points: no dip to compare with")
    found = []
    for where, inner, outer in HALVES:
        difference = _difference(series, middle, inner, outer)
        if difference is not None:
            found.append((where, difference[0] / float(depth[middle]), difference[0] / difference[1]))
    if not found:
        return not_run("asymmetry", limit, "few_points: too few events away from the transit to measure the noise")
    looks = 2.0 * len(found)  # up or down

    def sigma_of(z: float) -> float:
        return noise.best_of(abs(z), looks)

    failed = any(sigma_of(z) > limit and abs(share) > settings.asymmetry_share for _, share, z in found)
    where, share, z = max(found, key=lambda item: abs(item[2]))
    return judged(
        "asymmetry",
        failed,
        share,
        sigma_of(z),
        limit,
        "; ".join(
            f"{place} the transit left and right differ by {s:+.0%} of its depth, {abs(z):.1f} sigma"
            for place, s, z in found
        ),
    )


def _difference(series: Series, middle: int, inner: float, outer: float) -> tuple[float, float] | None:
    """Left minus right mean flux of the fold and its error; None where too little is there."""
    duration = series.signal.duration
    centre = series.centre
    left, left_points, left_usable = series.sums.between(centre - outer * duration, centre - inner * duration)
    right, right_points, right_usable = series.sums.between(centre + inner * duration, centre + outer * duration)
    usable = left_usable & right_usable
    difference = left - right
    white = series.white**2 * (1 / np.where(usable, left_points, 1) + 1 / np.where(usable, right_points, 1))
    away = usable & (series.distance > 0.5 + outer)[None, :]
    if away.sum() < LEAST_PSEUDO or not usable[:, middle].any():
        return None
    expected = float(white[away].mean())
    red = max(noise.clipped_variance(difference[away]) - expected, 0.0)
    chosen = usable[:, middle]
    variance: Floats = white[chosen, middle] + red
    weight = 1 / variance
    return float((weight * difference[chosen, middle]).sum() / weight.sum()), 1 / math.sqrt(float(weight.sum()))
