"""Is the transit the one event of the fold? Model-shift: the same box at every other phase."""

import math

import numpy as np

from pipeline.types import Booleans, Finding
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run
from pipeline.vetting.series import ASSUMED

SIGNALS = 20_000  # that a survey looks at: noise may make one of them
APART = 2.0  # durations from one event to the next
APART_POSITIVE = 3.0  # from an event to a brightening: dips have shoulders
DEEPER = 2.0  # times the transit's depth that a single event counts for at other phases


def uniqueness(case: Case) -> Finding:
    """Compare the transit with the strongest other events of the fold.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the smallest of three margins, each already less its limit, so that below 0 fails: the transit
        above noise (over ``unique_over_noise``), above the third event and above the strongest brightening (over
        ``unique_over_others``).

    Notes
    -----
    Model-shift (Coughlin 2017, Kepler's KSCI-19105; as LEO-Vetter states it)::

        MS1 = primary / F - FA1    FA1 = sqrt(2) erfcinv(duration / (period * 20,000))
        MS2 = primary - tertiary - FA2    FA2 = sqrt(2) erfcinv(duration / period)
        MS3 = primary - positive - FA2

    A brightening beside the secondary counts where it is the stronger of the two: then the dip is its shoulder.
    The secondary may be as deep as it likes: that is the test of ``secondary``. F is the scatter of the series away
    from primary and secondary, 1 where the noise of one cycle knows nothing of the next; LEO-Vetter's is over
    white noise, which counts red noise twice in a signal-to-noise that holds it already. At other phases a single
    event counts for twice the transit's depth at most, so that a deeper planet of the same star, each time at
    another phase, is no rival.
    """
    settings = case.settings
    series = case.series
    if isinstance(series, str):
        return not_run("uniqueness", 0.0, series)
    signal = case.signal
    depth, _ = series.fold()
    inside = series.distance <= 0.5
    cap = DEEPER * max(float(depth[inside].max()), series.white / math.sqrt(max(float(series.points.max()), 1.0)))
    _, mes = series.fold(np.clip(series.depth, -cap, cap))
    covered: Booleans = series.points.sum(axis=0) > 0

    def far(*events: int, apart: float) -> Booleans:
        """Covered phases that far from all events."""
        clear = covered.copy()
        for event in events:
            phases = np.abs((series.phase - series.phase[event] + 0.5) % 1 - 0.5)
            clear &= phases * signal.period >= apart * signal.duration
        return clear

    primary = int(np.argmax(np.where(inside & covered, mes, -np.inf)))
    beside = far(primary, apart=APART)
    if not beside.any() or not covered[primary]:
        return not_run("uniqueness", 0.0, "few_points: no phase is free beside the transit")
    second = int(np.argmax(np.where(beside, mes, -np.inf)))
    rest, bright = far(primary, second, apart=APART), far(primary, apart=APART_POSITIVE)
    bright &= far(second, apart=APART_POSITIVE) | (-mes > mes[second])
    if not rest.any():
        return not_run("uniqueness", 0.0, "few_points: no phase is free beside the two deepest dips")
    share = signal.duration / signal.period
    wider = max(noise.inflation(mes[rest], float(rest.mean()) / share, ASSUMED), 1.0)
    alone, among = -noise.NORMAL.inv_cdf(0.5 * share / SIGNALS), -noise.NORMAL.inv_cdf(0.5 * share)
    strongest, tertiary = float(mes[primary]), float(mes[rest].max())
    margins = {
        "noise": strongest / wider - alone - settings.unique_over_noise,
        "dips": strongest - tertiary - among - settings.unique_over_others,
    }
    if bright.any():
        positive = float(-mes[bright].min())
        margins["brightenings"] = strongest - positive - among - settings.unique_over_others
    least = min(margins.values())
    return judged(
        "uniqueness",
        least < 0,
        least,
        None,
        0.0,
        f"signal-to-noise {strongest:.1f} of the transit, {mes[second]:.1f} of the next dip, {tertiary:.1f} of the "
        f"third, {f'{positive:.1f}' if bright.any() else 'unknown'} of the strongest brightening; noise of the fold "
        f"{wider:.2f} times the expected: margins "
        + ", ".join(f"{margin:+.1f} over {what}" for what, margin in margins.items()),
    )
