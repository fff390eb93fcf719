"""Where the transits fall: beside gaps, ends and dumps the instrument makes dips of its own."""

import math

import numpy as np

from pipeline.types import Finding, Floats
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run
from pipeline.vetting.series import REACH

LEAST = 2  # transits
PAUSE = 1.9  # exposures without a cadence make a short gap: two are missing, as at a momentum dump
BESIDE = 1.0  # durations from a transit's centre within which a short gap counts


def gaps(case: Case) -> Finding:
    """Count the transits at gaps, and compare with how many chance would put there.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the share of transits within two durations of a long gap (over ``gap_days``; the ends of the
        data are such) or within one of a short one (two cadences or more: a dump), whichever is the less likely to
        chance. Fails when two or more transits and at least ``gap_share`` of them are there, and the same
        ephemeris at a random phase would put as many there with a probability below ``gap_chance``.

    Notes
    -----
    LEO-Vetter's test 13 (0.3 days, half of the transits). Chance is ours: in a light curve full of holes every
    transit lies beside one.
    """
    settings = case.settings
    limit = settings.gap_share
    series = case.series
    if isinstance(series, str):
        return not_run("gaps", limit, series)
    count = int(series.seen.sum())
    if count < LEAST:
        return not_run("gaps", limit, f"few_transits: {count} were observed, {LEAST} are needed")
    time, half = case.light_curve.time, 0.5 * case.cleaned.exposure
    opens, closes = time[:-1] + half[:-1], time[1:] - half[1:]
    missing = closes - opens
    long = missing > settings.gap_days
    short = ~long & (missing > PAUSE * (half[1:] + half[:-1]))
    ends = np.array([time[0] - half[0], time[-1] + half[-1]])
    kinds = (
        (
            "a gap or an end",
            REACH,
            np.concatenate((ends[:1] - 1, opens[long], ends[1:])),
            np.concatenate((ends[:1], closes[long], ends[1:] + 1)),
        ),
        ("a short gap", BESIDE, opens[short], closes[short]),
    )
    observed = series.points > 0
    found = []
    for name, reach, start, stop in kinds:
        beside = _touches(series.centre, reach * case.signal.duration, start, stop)
        touching = int(beside[series.seen, series.middle].sum())
        usual = float(beside[observed].mean())
        found.append((name, touching, usual, _chance(touching, count, usual)))
    failed = any(
        touching >= LEAST and touching >= settings.gap_share * count and chance < settings.gap_chance
        for _, touching, _, chance in found
    )
    _, touching, _, _ = min(found, key=lambda item: item[3])
    return judged(
        "gaps",
        failed,
        touching / count,
        None,
        limit,
        "; ".join(
            f"{touching} of {count} transits are beside {name}, chance puts {usual:.0%} there (p = {chance:.2g})"
            for name, touching, usual, chance in found
        ),
    )


def _touches(centre: Floats, reach: float, start: Floats, stop: Floats) -> np.ndarray:
    """Whether a gap lies within ``reach`` days of each centre; gaps in order, apart from each other."""
    return np.searchsorted(start, centre + reach) > np.searchsorted(stop, centre - reach)


def _chance(least: int, trials: int, share: float) -> float:
    """Binomial probability of ``least`` or more."""
    if least <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    whole = math.lgamma(trials + 1)
    return min(
        math.fsum(
            math.exp(
                whole
                - math.lgamma(k + 1)
                - math.lgamma(trials - k + 1)
                + k * math.log(share)
                + (trials - k) * math.log1p(-share)
            )
            for k in range(least, trials + 1)
        ),
        1.0,
    )
