"""How often would this light curve, inverted or with its days in another order, have given such a signal?"""

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run


def false_alarm(case: Case) -> Finding:
    """Read the false-alarm probability that the search measured on null series of this star.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the probability that noise alone gives a peak of this height anywhere in the grid.
    """
    limit = case.settings.false_alarm_probability
    probability, nulls = case.signal.false_alarm_probability, case.signal.false_alarm_nulls
    if probability is None:
        return not_run("false_alarm", limit, "offline: the search measured no null series of this light curve")
    series = "null series" if nulls is None else f"{nulls} null series (inverted, days in another order)"
    return judged(
        "false_alarm",
        probability > limit,
        probability,
        None,
        limit,
        f"by {series} of this star, noise alone reaches a signal-to-noise of {case.signal.snr:.1f} "
        f"with a probability of {probability:.1g}",
    )
