"""Does the star itself make the dip: a contact binary or a pulsation in step with the signal?"""

import math

from pipeline.types import Finding, TransitSignal, Verdict
from pipeline.variability import Variability
from pipeline.vetting.case import Case

WAVES = ("eb_contact", "delta_scuti", "gamma_doradus", "rr_lyrae_cepheid")  # their light never stands still
IN_STEP = 0.35  # cycles that wave and signal may drift apart over the data; a spectrum tells no less
DEEPEST = 1.5  # times the wave's range; a deeper dip is not of the wave
MOST_CYCLES = 12  # of the wave to one of the signal: further up any period is near a multiple


def variability(case: Case) -> Finding:
    """Compare the signal with what the star does of itself (`pipeline.variability`, learnt from simulated stars)."""
    found, signal = case.variability, case.signal
    limit = case.settings.variability_probability
    if found.kind is None:
        return Finding("variability", Verdict.NOT_RUN, None, None, limit, found.note)
    chance = sum(found.probabilities[name] for name in WAVES)
    time = case.cleaned.raw.time
    cycles = in_step(found, signal, float(time[-1] - time[0]))
    note = found.note
    if cycles is not None:
        note = f"the star's own wave goes {cycles} times round in one period of the signal; {note}"
    failed = cycles is not None and chance >= limit
    return Finding("variability", Verdict.FAIL if failed else Verdict.PASS, chance, None, limit, note)


def in_step(found: Variability, signal: TransitSignal, span: float) -> int | None:
    """Cycles of the star's wave in one period of the signal, if they stay in step and the wave is as large.

    Parameters
    ----------
    found : Variability
    signal : TransitSignal
    span : float
        Days of the data.

    Returns
    -------
    int or None
        1 to ``MOST_CYCLES``; None where no whole number fits.
    """
    if found.period is None or found.amplitude is None or not signal.depth <= DEEPEST * found.amplitude:
        return None
    cycles = round(signal.period / found.period)
    drift = abs(1 / found.period - cycles / signal.period) * span
    doubt = (found.period_err or 0.0) / found.period**2 * span
    if not 1 <= cycles <= MOST_CYCLES or not drift <= math.hypot(IN_STEP, 2 * doubt):
        return None
    return cycles
