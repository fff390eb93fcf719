"""Odd against even transits: a binary seen at half its period has eclipses of two depths."""

import numpy as np

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

LEAST_EACH = 2  # transits of each parity; one alone could be any accident
FLOOR = 0.005  # of the depth: no two halves of a light curve are detrended more alike than this


def odd_even(case: Case) -> Finding:
    """Compare the mean depths of odd and even transits.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is (odd - even) / mean depth; ``sigma`` its significance, scaled by the same difference of the
        pseudo-transits at all other phases.

    Notes
    -----
    Binaries of two equal eclipses cannot be told this way: see ``size`` and ``secondary``.
    """
    limit = case.settings.odd_even_sigma
    transits = case.transits
    parity = transits.cycle % 2 == 1
    usable = transits.events.usable
    odd_count, even_count = int((usable & parity).sum()), int((usable & ~parity).sum())
    if min(odd_count, even_count) < LEAST_EACH:
        return Finding(
            "odd_even",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            f"few_transits: {odd_count} odd and {even_count} even transits are well covered, "
            f"{LEAST_EACH} of each are needed",
        )
    odd, odd_err = transits.mean(parity)
    even, even_err = transits.mean(~parity)
    mean = 0.5 * (odd + even)
    err = np.hypot(np.hypot(odd_err, even_err) * _inflation(transits.pseudo), FLOOR * abs(mean))
    if not (np.isfinite([odd, even, err]).all() and err > 0 and mean != 0):
        return Finding("odd_even", Verdict.ERROR, None, None, limit, f"odd {odd}, even {even}, error {err}")
    sigma = abs(odd - even) / err
    return Finding(
        "odd_even",
        Verdict.FAIL if sigma > limit else Verdict.PASS,
        float((odd - even) / mean),
        float(sigma),
        limit,
        f"odd {odd * 1e6:.0f} ppm ({odd_count} transits), even {even * 1e6:.0f} ppm ({even_count}): "
        f"they differ by {abs(odd - even) * 1e6:.0f} +- {err * 1e6:.0f} ppm, {sigma:.1f} sigma",
    )


def _inflation(pseudo: noise.PseudoTransits) -> float:
    """Scatter of odd minus even among the pseudo-transits, over its expected error."""
    parity = pseudo.cycle % 2 == 1
    odd, odd_err, odd_count = pseudo.fold(parity)
    even, even_err, even_count = pseudo.fold(~parity)
    known = (odd_count >= LEAST_EACH) & (even_count >= LEAST_EACH)
    if not known.any():
        return 1.0
    z = (odd - even)[known] / np.hypot(odd_err, even_err)[known]
    return noise.inflation(z, pseudo.independent * known.mean())
