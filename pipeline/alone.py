"""One signal of a star at a time: light curve and pixels without the transits of the stronger ones.

The second planet of a star was found with the transits of the first masked. Judged with them, the first planet's
transits are a dip of the second at every other phase, deeper than its own: no test would let it pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.disposition import Word, decide
from pipeline.ephemeris import transit_mask
from pipeline.types import Booleans, CleanedLightCurve, Finding, Floats, LightCurve, TargetPixels, TransitSignal
from pipeline.vetting.case import VetSettings

WIDEST = 0.2  # of its period; a dip that lasts longer is a wave, and would take half of the light curve with it


def eclipsing(
    cleaned: CleanedLightCurve,
    signal: TransitSignal,
    signals: Sequence[TransitSignal],
    judged: Mapping[int, Sequence[Finding]],
    width: float,
    settings: VetSettings = VetSettings(),
) -> tuple[TransitSignal, ...]:
    """Those of a star's stronger signals whose dips are eclipses of something, so that this one is judged without them.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
    signal : TransitSignal
    signals : sequence of TransitSignal
        All that were found of the star, the strongest first, harmonics too.
    judged : mapping of number to findings
        What the tests say of the stronger ones; one without an entry, but for harmonics, is taken for noise.
    width : float
        As :func:`alone` takes it.
    settings : VetSettings

    Returns
    -------
    tuple of TransitSignal
        Noise, instrument and the star's own waves are not hidden: they fill the light curve, are there in the tests of
        every signal as its noise, and to hide them at the phases of one period is to open gaps beside every transit. A
        harmonic follows the signal that it is a harmonic of. None, where the greater part of the signal's own transits
        would go with them.

    Notes
    -----
    A signal whose period is a simple ratio of a stronger one's is a harmonic and is not judged, so the secondary
    eclipse of a binary is never hidden from the judgement of its primary.
    """
    real: dict[int, bool] = {}
    stronger = [other for other in signals if other.number < signal.number]
    for other in stronger:
        if other.alias_of is not None:
            real[other.number] = real.get(other.alias_of, False)
        else:
            findings = judged.get(other.number)
            said = None if findings is None else decide(findings, settings)
            wave = said is not None and said.kind == "variable star"
            brief = other.duration < WIDEST * other.period
            real[other.number] = said is not None and said.word is not Word.FALSE_ALARM and not wave and brief
    others = tuple(other for other in stronger if real[other.number])
    time = cleaned.flat.time
    own = transit_mask(time, signal.period, signal.epoch, signal.duration)
    return others if (own & _left(time, others, width)).sum() > 0.5 * own.sum() else ()


def alone(cleaned: CleanedLightCurve, others: Sequence[TransitSignal], width: float) -> CleanedLightCurve:
    """Leave out the cadences in the transits of other signals.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
    others : sequence of TransitSignal
        See :func:`eclipsing`.
    width : float
        Durations around each of their transits, as in ``[search] mask_width``.

    Returns
    -------
    CleanedLightCurve, at most n cadences
        ``cleaned`` itself where nothing is to be left out; else its ``whole`` is ``cleaned``.
    """
    left = _left(cleaned.flat.time, others, width)
    if left.all():
        return cleaned

    def kept(curve: LightCurve) -> LightCurve:
        return LightCurve(curve.time[left], curve.flux[left], curve.flux_err[left])

    return replace(
        cleaned,
        flat=kept(cleaned.flat),
        raw=kept(cleaned.raw),
        segment=cleaned.segment[left],
        exposure=cleaned.exposure[left],
        centroid_column=cleaned.centroid_column[left],
        centroid_row=cleaned.centroid_row[left],
        whole=cleaned,
    )


def pixels_alone(pixels: TargetPixels, others: Sequence[TransitSignal], width: float) -> TargetPixels:
    """Leave out the same images; see :func:`alone`."""
    left = _left(pixels.time, others, width)
    if left.all():
        return pixels
    return replace(
        pixels,
        time=pixels.time[left],
        flux=pixels.flux[left],
        flux_err=pixels.flux_err[left],
        quality=pixels.quality[left],
    )


def left_out(cleaned: CleanedLightCurve, others: Sequence[TransitSignal]) -> tuple[str, ...]:
    """What is to be said of it beside the views; nothing where all cadences are there."""
    if cleaned.whole is None:
        return ()
    missing = len(cleaned.whole.flat) - len(cleaned.flat)
    periods = " and ".join(f"{other.period:.4f} d" for other in others)
    return (f"{missing} cadences in the transits of stronger signals, {periods}, are left out",)


def _left(time: Floats, others: Sequence[TransitSignal], width: float) -> Booleans:
    """True outside the transits of all of them, (n,)."""
    left = np.ones(time.size, dtype=bool)
    for other in others:
        left &= ~transit_mask(time, other.period, other.epoch, other.duration, width)
    return left
