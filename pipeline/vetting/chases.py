"""Few transits must stand out each by itself: how far away is the next event as strong?"""

import numpy as np

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run

AS_STRONG = 0.7  # of the transit's signal-to-noise, up or down
REACH = 0.1  # periods to each side that are searched


def chases(case: Case) -> Finding:
    """Measure the prominence of the single transits among their neighbourhood.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the mean over transits of the distance, in tenths of the period, to the nearest event of 0.7
        times the transit's signal-to-noise, up or down, a duration or more away; 1 where there is none. Fails below
        ``chases_least`` with up to ``chases_transits`` transits: of many, each may drown in noise.

    Notes
    -----
    CHASES of the Kepler Robovetter (Thompson et al. 2018, ApJS 235 38), as LEO-Vetter states it (0.78, 5 transits).
    """
    settings = case.settings
    limit = settings.chases_least
    series = case.series
    if isinstance(series, str):
        return not_run("chases", limit, series)
    count = int(series.seen.sum())
    if not count:
        return not_run("chases", limit, "few_transits: none was observed")
    near = (series.distance >= 1) & (np.abs(series.phase) <= REACH)
    if not near.any():
        return not_run("chases", limit, "out_of_domain: a tenth of the period is shorter than the transit")
    ses = series.ses[series.seen]
    own = np.maximum(ses[:, series.middle], 0.0)
    rival = np.abs(ses[:, near]) > AS_STRONG * own[:, None]
    prominence = np.where(rival, np.abs(series.phase[near]) / REACH, 1.0).min(axis=1)
    mean = float(prominence.mean())
    applies = count <= settings.chases_transits
    return judged(
        "chases",
        applies and mean < limit,
        mean,
        None,
        limit,
        f"{int(rival.any(axis=1).sum())} of {count} transits have an event as strong within a tenth of the period, "
        f"{mean:.2f} of that away on average"
        + ("" if applies else f"; more than {settings.chases_transits} transits need not stand out singly"),
    )
