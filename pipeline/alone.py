"""One signal of a star at a time: light curve and pixels without the transits of the stronger ones.

The second planet of a star was found with the transits of the first masked. Judged with them, the first planet's
transits are a dip of the second at every other phase, deeper than its own: no test would let it pass.
"""

from dataclasses import replace

import numpy as np

from pipeline.ephemeris import transit_mask
from pipeline.types import Booleans, CleanedLightCurve, Floats, LightCurve, SearchResult, TargetPixels, TransitSignal


def alone(cleaned: CleanedLightCurve, signal: TransitSignal, found: SearchResult, width: float) -> CleanedLightCurve:
    """Leave out the cadences that the search had masked when it found a signal.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
    signal : TransitSignal
    found : SearchResult
        With all signals of the star, harmonics too: those stronger than ``signal`` are left out. A signal whose period
        is a simple ratio of a stronger one's is a harmonic and is not judged, so the secondary eclipse of a binary is
        never hidden from the judgement of its primary.
    width : float
        Durations around each of their transits, as in ``[search] mask_width``.

    Returns
    -------
    CleanedLightCurve, at most n cadences
        ``cleaned`` itself where ``signal`` is the strongest; else its ``whole`` is ``cleaned``.
    """
    left = _left(cleaned.flat.time, signal, found, width)
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


def pixels_alone(pixels: TargetPixels, signal: TransitSignal, found: SearchResult, width: float) -> TargetPixels:
    """Leave out the same images; see :func:`alone`."""
    left = _left(pixels.time, signal, found, width)
    if left.all():
        return pixels
    return replace(
        pixels,
        time=pixels.time[left],
        flux=pixels.flux[left],
        flux_err=pixels.flux_err[left],
        quality=pixels.quality[left],
    )


def left_out(cleaned: CleanedLightCurve, signal: TransitSignal) -> tuple[str, ...]:
    """What is to be said of it beside the views; nothing where all cadences are there."""
    if cleaned.whole is None:
        return ()
    missing = len(cleaned.whole.flat) - len(cleaned.flat)
    others = "the stronger signal" if signal.number == 2 else f"the {signal.number - 1} stronger signals"
    return (f"{missing} cadences in the transits of {others} are left out, as in the search that found this one",)


def _left(time: Floats, signal: TransitSignal, found: SearchResult, width: float) -> Booleans:
    """True outside the transits of all stronger signals, (n,)."""
    left = np.ones(time.size, dtype=bool)
    for other in found.signals:
        if other.number < signal.number:
            left &= ~transit_mask(time, other.period, other.epoch, other.duration, width)
    return left
