"""Odd against even transits in time: the eclipses of an eccentric binary are not evenly spaced."""

import math

from pipeline.types import Finding, Verdict
from pipeline.vetting.case import Case

FLOOR = 0.005  # of the duration: starspots and the trend move the middle of any transit by as much


def odd_even_epoch(case: Case) -> Finding:
    """Compare the times of odd and even transits.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the time by which odd transits come after the middle between even ones, in durations; ``sigma``
        the normal deviate of that. The error is the scatter of the same timing on pseudo-transits.

    Notes
    -----
    Every second eclipse of a binary with twice the period P is late by (4 / pi) * e * cos(omega) * P: half a duration
    for e * cos(omega) of 0.02 and 2P of 5 days.
    """
    limit = case.settings.odd_even_epoch_sigma
    parities = case.parities
    if isinstance(parities, str):
        return Finding("odd_even_epoch", Verdict.NOT_RUN, None, None, limit, parities)
    time = parities.time
    floor = FLOOR * case.signal.duration
    late, err = time.one - time.other, math.hypot(time.err, floor)
    sigma = abs(time.sigma(floor))
    if not (math.isfinite(late) and math.isfinite(sigma)):
        return Finding("odd_even_epoch", Verdict.ERROR, None, None, limit, f"odd {time.one}, even {time.other}, {err}")
    return Finding(
        "odd_even_epoch",
        Verdict.FAIL if sigma > limit else Verdict.PASS,
        late / case.signal.duration,
        sigma,
        limit,
        f"odd transits come {late * 1440:+.1f} +- {err * 1440:.1f} minutes from the middle between even ones, "
        f"{sigma:.1f} sigma",
    )
