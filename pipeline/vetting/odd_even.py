"""Odd against even transits: a binary seen at half its period has eclipses of two depths."""

import math

from pipeline.types import Finding, Verdict
from pipeline.vetting.case import Case
from pipeline.vetting.parity import is_odd
from pipeline.vetting.transits import LEAST_EACH, compare

FLOOR = 0.005  # of the depth: no two halves of a light curve are detrended more alike than this


def odd_even(case: Case) -> Finding:
    """Compare the mean depths of odd and even transits.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is (odd - even) / mean depth; ``sigma`` the normal deviate of their difference, with an error that
        pseudo-transits gave and whose own uncertainty is counted (``transits.compare``).

    Notes
    -----
    Binaries of two equal eclipses cannot be told this way: see ``odd_even_epoch``, ``alias`` and ``size``.
    """
    limit = case.settings.odd_even_sigma
    transits = case.transits
    found = compare(transits, is_odd)
    if found is None:
        odd = is_odd(transits.cycle)
        counts = [int((transits.events.usable & kind).sum()) for kind in (odd, ~odd)]
        return Finding(
            "odd_even",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            f"few_transits: {counts[0]} odd and {counts[1]} even transits are well covered, "
            f"{LEAST_EACH} of each are needed",
        )
    mean, difference = 0.5 * (found.one + found.other), found.one - found.other
    floor = FLOOR * abs(mean)
    sigma = abs(found.sigma(floor))
    if not (math.isfinite(sigma) and mean != 0):
        return Finding(
            "odd_even", Verdict.ERROR, None, None, limit, f"odd {found.one}, even {found.other}, {found.err}"
        )
    return Finding(
        "odd_even",
        Verdict.FAIL if sigma > limit else Verdict.PASS,
        difference / mean,
        sigma,
        limit,
        f"odd {found.one * 1e6:.0f} ppm ({found.one_count} transits), even {found.other * 1e6:.0f} ppm "
        f"({found.other_count}): they differ by {abs(difference) * 1e6:.0f} +- "
        f"{math.hypot(found.err, floor) * 1e6:.0f} ppm, {sigma:.1f} sigma",
    )
