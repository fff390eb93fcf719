"""Put the field around a star to a signal: whose light is in the aperture, where the dip is, which star holds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.contamination import Contamination, contamination
from pipeline.pixels.evidence import PixelEvidence
from pipeline.pixels.settings import PixelSettings
from pipeline.types import CleanedLightCurve, FieldStar, Finding, Target, TargetPixels, TransitSignal
from pipeline.vet import broken

if TYPE_CHECKING:
    from pipeline.pixels.prf import Prf, PrfGrid

VERSION = 2


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the field around a star says of one signal."""

    light: Contamination | None  # None where nothing is known of the neighbours
    pixels: PixelEvidence
    findings: tuple[Finding, ...]  # of the light first, then of the pixels
    notes: tuple[str, ...]  # what is missing, and why


def look_around(
    target: Target,
    signal: TransitSignal,
    cleaned: CleanedLightCurve,
    pixels: Sequence[TargetPixels],
    stars: Sequence[FieldStar],
    prf: Sequence["Prf | PrfGrid | None"],
    crowding: Mapping[int, float],
    ratio: float | None,
    notes: Sequence[str],
    settings: PixelSettings = PixelSettings(),
) -> Surroundings:
    """Weigh the light of the neighbours, and look for the dip in the pixels.

    Parameters
    ----------
    target, signal
    cleaned : CleanedLightCurve
        Its products tell which flux was searched.
    pixels, stars, prf
        As :func:`pipeline.pixels.examine.examine` takes them; each may be empty.
    crowding : mapping of sector to float
        CROWDSAP of the light curves.
    ratio : float, optional
        The catalogue's light of the neighbours over that of the target.
    notes : sequence of str
        What whoever gathered the field has to tell.
    settings : PixelSettings

    Returns
    -------
    Surroundings
    """
    # with scipy and the WCS, which whoever only reads results need not load
    from pipeline.pixels.examine import TESTS, examine

    column = cleaned.products[0].flux_column if cleaned.products else ""
    light: Contamination | None = None
    try:
        weighed, light = contamination(target, signal.depth, column, pixels, prf, stars, ratio=ratio, crowding=crowding)
    except Exception as problem:  # as with any test: what breaks says so, and stops no other
        weighed = broken("contamination", problem)
    try:
        found = examine(pixels, signal, stars, settings, prf, light.required_depths if light else None)
    except Exception as problem:
        findings = tuple(broken(test, problem) for test in TESTS)
        found = PixelEvidence(findings, (), None, None, None, (), None, (), ())
    return Surroundings(light, found, (weighed, *found.findings), tuple(dict.fromkeys((*notes, *found.notes))))


NOUNS = (Surroundings,)  # what a checkpoint may hold of it
