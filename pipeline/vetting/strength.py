"""How strong the signal is once its doubtful transits are left out, and how many are left."""

import numpy as np

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run


def strength(case: Case) -> Finding:
    """Measure the signal-to-noise of the sound transits.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is their multiple-event statistic (``series``). Fails below ``least_mes``, or when fewer than
        ``least_transits`` of two or more are both sound and dips.

    Notes
    -----
    Sound is a transit whose surroundings, two durations to each side, were observed for ``sound_coverage`` of the
    time: where data begin and end, ramps and steps look like transits. LEO-Vetter's tests 1 and 2; a brightening
    stays in the mean here, because leaving out what is not a dip makes a signal of any noise.
    """
    settings = case.settings
    limit = settings.least_mes
    series = case.series
    if isinstance(series, str):
        return not_run("strength", limit, series)
    count = int(series.seen.sum())
    if count < settings.least_transits:
        return not_run(
            "strength", limit, f"few_transits: {count} transits were observed, {settings.least_transits} are needed"
        )
    sound = series.seen & (series.around >= settings.sound_coverage)
    dips = int((sound & (series.ses[:, series.middle] > 0)).sum())
    mes = float(np.divide(*series.mean(sound))) if sound.any() else 0.0
    return judged(
        "strength",
        mes < limit or dips < settings.least_transits,
        mes,
        None,
        limit,
        f"{int(sound.sum())} of {count} observed transits have their surroundings observed, {dips} of them are dips; "
        f"together they reach a signal-to-noise of {mes:.1f}, red noise included",
    )
