"""Does the fold only dim? What brightens as much as it dims is variability, a ramp or a flare."""

import numpy as np

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run


def dimming(case: Case) -> Finding:
    """Compare the strongest brightening of the fold with its deepest dip.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is brightening / (brightening + dip), boxes of one duration at any phase: 0 only dims, 1 only
        brightens.

    Notes
    -----
    The SHP statistic of LEO-Vetter (limit 0.6). Phases seen by fewer than half as many cadences as the usual one
    are left out.
    """
    limit = case.settings.brightening_share
    series = case.series
    if isinstance(series, str):
        return not_run("dimming", limit, series)
    points = series.points.sum(axis=0)
    depth, _ = series.fold()
    depth = depth[points >= 0.5 * np.median(points)]
    if not depth.size or not np.ptp(depth) > 0:
        return not_run("dimming", limit, "few_points: the fold is empty or the same everywhere")
    dip, brightening = max(float(depth.max()), 0.0), max(float(-depth.min()), 0.0)
    share = brightening / (brightening + dip)
    return judged(
        "dimming",
        share > limit,
        share,
        None,
        limit,
        f"the fold dims by {dip * 1e6:.0f} ppm at most and brightens by {brightening * 1e6:.0f} ppm at most",
    )
