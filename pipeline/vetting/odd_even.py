"""Odd against even transits: a binary seen at half its period has eclipses of two depths."""

import math

import numpy as np

from pipeline.types import Booleans, Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.transits import Transits

LEAST_EACH = 2  # transits of each parity; one alone could be any accident
ASSUMED = 40.0  # pseudo-folds that unit-normal differences count for; on null skies fewer only add noise
ALIKE = 20.0  # transits that "each scatters as its error says" counts for
FLOOR = 0.005  # of the depth: no two halves of a light curve are detrended more alike than this


def odd_even(case: Case) -> Finding:
    """Compare the mean depths of odd and even transits.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is (odd - even) / mean depth; ``sigma`` its significance. The error is that of the single events,
        scaled by the same difference at all other phases and by the scatter among transits of one parity.

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
    wider = _inflation(transits.pseudo) * _unlike(transits, parity, odd, even)
    err = np.hypot(np.hypot(odd_err, even_err) * wider, FLOOR * abs(mean))
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
    return noise.inflation(z, pseudo.independent * float(known.mean()), ASSUMED)


def _unlike(transits: Transits, parity: Booleans, odd: float, even: float) -> float:
    """Scatter of the transits about the mean of their parity, over their errors: spots and faults widen it."""
    usable = transits.events.usable
    residual = (transits.events.depth - np.where(parity, odd, even))[usable]
    degrees = int(usable.sum()) - 2
    return math.sqrt((ALIKE + float((residual**2 / transits.variance[usable]).sum())) / (ALIKE + degrees))
