"""Does one event carry the whole signal?"""

import math

import numpy as np

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run

LEAST = 2  # transits


def single_event(case: Case) -> Finding:
    """Compare the strongest transit with the fold, and look at what the others show without it.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the strongest transit's signal-to-noise over that of the fold (SES / MES). Fails over
        ``single_event_share`` when all the others together are no dip of ``single_event_rest`` sigma.

    Notes
    -----
    LEO-Vetter's limit is 0.8, for up to 10 transits. The second condition is ours: of two equal transits of
    signal-to-noise 5, noise alone makes one exceed that share in one case of three.
    """
    settings = case.settings
    limit = settings.single_event_share
    transits = case.transits
    usable = transits.events.usable
    count = int(usable.sum())
    if count < LEAST:
        return not_run("single_event", limit, f"few_transits: {count} are well covered, {LEAST} are needed")
    depth, variance = transits.events.depth[usable], transits.variance[usable]
    mean, mean_err = transits.mean(usable)
    if not mean > 0:
        return not_run("single_event", limit, "few_points: the transits are no dip on average")
    single = depth / np.sqrt(variance)
    strongest = int(np.argmax(single))
    share = float(single[strongest] * mean_err / mean)
    weight = (np.arange(count) != strongest) / variance
    rest, rest_err = float((weight * depth).sum() / weight.sum()), 1 / math.sqrt(float(weight.sum()))
    when = transits.events.centre[usable][strongest]
    return judged(
        "single_event",
        share > limit and rest < settings.single_event_rest * rest_err,
        share,
        None,
        limit,
        f"the strongest of {count} transits, at BTJD {when:.3f}, has {share:.0%} of the fold's signal-to-noise; "
        f"without it {rest * 1e6:.0f} +- {rest_err * 1e6:.0f} ppm are left",
    )
