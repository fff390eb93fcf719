"""What a person looks at beside the findings of one signal: the shapes and curves that the vetting tests measured."""

from dataclasses import dataclass

from pipeline.types import CleanedLightCurve, FoldedViews, Star, TransitSignal
from pipeline.variability import Variability
from pipeline.vetting.case import Case, VetSettings
from pipeline.vetting.depth_by_sector import SectorDepth, sector_depths
from pipeline.vetting.secondary import scan
from pipeline.vetting.transit_shape import TransitShape
from pipeline.vetting.transits import Phases
from pipeline.vetting.trapezoid import Trapezoid


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """Measurements behind the tests; ``None`` or empty where the data do not tell."""

    trapezoid: Trapezoid | None  # through the folded transit
    shape: TransitShape | None  # impact parameters and radius ratios that the fold leaves possible
    phases: Phases | None  # the dip at every phase away from the transit
    sectors: tuple[SectorDepth, ...]  # in order of time
    variability: Variability  # what the star does of itself


def portray(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star = Star(),
    settings: VetSettings = VetSettings(),
) -> Portrait:
    """Measure what the vetting tests measure, to be shown.

    Parameters
    ----------
    cleaned, views, signal, star, settings
        As :func:`pipeline.vet.vet` takes them.
    """
    case = Case(cleaned, views, signal, star, settings)
    sectors = sector_depths(case)
    return Portrait(
        trapezoid=case.shape,
        shape=case.transit,
        phases=scan(case),
        sectors=() if isinstance(sectors, str) else sectors,
        variability=case.variability,
    )
