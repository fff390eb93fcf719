"""Signals of simulated stars, as the hunt finds them. SIMULATED, all of them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from hunter.chain import inputs_of
from hunter.checkpoints import digest_of
from hunter.settings import Settings
from hunter.training_sets.naming import name_simulated, truth_of
from hunter.training_sets.work import Found, code_version
from models.inputs import SignalInputs
from pipeline import fold as folding
from pipeline import search as searching
from pipeline import vet as vetting
from pipeline.alone import alone, eclipsing
from pipeline.clean import clean
from pipeline.simulate import FIRST_KEY, SectorSettings, draw_varied_star, observe, true_signals
from pipeline.types import CleanedLightCurve, Finding, Observation, Star, TransitSignal

CHUNK = 16  # stars a file


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the stars of a simulated set are observed and searched."""

    cadence_seconds: float = 1800.0  # 1800 as in the first full-frame images: 1,300 points a sector, cheap
    sectors: tuple[int, ...] = (1,)
    period_min: float | None = None  # days; None: as [search] says
    snr: float | None = None  # of the search; None: as [search] says
    every_peak: bool = False  # the strongest peak of every star over ``snr``, also one the hunt would not believe
    vet: bool = True  # put the vetting tests to each signal, for the scalars that come from them


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedJob:
    """Some simulated stars."""

    numbers: tuple[int, ...]
    seed: int
    geometry: Geometry
    settings: Settings
    backend: str

    @property
    def name(self) -> str:
        """The first and the number of stars: the last job of a set may be short."""
        return f"{self.numbers[0]:07d}-{len(self.numbers)}"

    def stars(self) -> Iterator[Callable[[Counter[str]], list[Found]]]:
        """Draw, observe and hunt each."""
        for number in self.numbers:
            yield partial(simulated_star, number, self.seed, self.geometry, self.settings, self.backend)


def hunted_as(settings: Settings, geometry: Geometry) -> Settings:
    """The settings of the hunt with what the geometry of the set asks for."""
    search = settings.search
    if geometry.every_peak:
        search = replace(
            search, event_snr=0.0, event_share=1.0, consistent_snr=0.0, max_removed_events=0, max_signals=1, scrambles=0
        )
    if geometry.period_min is not None:
        search = replace(search, period_min=geometry.period_min)
    if geometry.snr is not None:
        search = replace(search, snr=geometry.snr)
    return settings.changed(search=search)


def signals_of(
    observations: Sequence[Observation], star: Star, settings: Settings, backend: str, vet: bool = True
) -> tuple[CleanedLightCurve, list[tuple[TransitSignal, SignalInputs]]]:
    """Clean, search, fold, vet and describe, as the hunt does; harmonics of a stronger signal are left out.

    Raises
    ------
    UnusableData
        As the phases do.
    """
    cleaned = clean(observations, settings.clean, settings.detrend)
    result = searching.search(cleaned.flat, settings.search, star, backend)
    found = []
    judged: dict[int, tuple[Finding, ...]] = {}
    for signal in result.signals:
        if signal.alias_of is not None:
            continue
        others = eclipsing(cleaned, signal, result.signals, judged, settings.search.mask_width, settings.vet)
        curve = alone(cleaned, others, settings.search.mask_width)
        views = folding.fold(curve, signal, settings.fold, settings.detrend)
        findings: tuple[Finding, ...] = ()
        if vet:
            findings = judged[signal.number] = vetting.vet(curve, views, signal, star, settings.vet)
        found.append((signal, inputs_of(curve, views, signal, star, findings)))
    return cleaned, found


def simulated_star(
    number: int, seed: int, geometry: Geometry, settings: Settings, backend: str, dropped: Counter[str]
) -> list[Found]:
    """Draw a star, observe it, hunt it, label what was found. SIMULATED.

    Raises
    ------
    UnusableData
        As the phases do.
    """
    target = draw_varied_star(str(FIRST_KEY + number), seed, sector=geometry.sectors[0])
    seen = [observe(target, SectorSettings(n, geometry.cadence_seconds), seed) for n in geometry.sectors]
    cleaned, signals = signals_of([o.observation() for o in seen], target.star, settings, backend, geometry.vet)
    truths = [truth_of(signal) for signal in true_signals(seen[0])]
    found = []
    for signal, inputs in signals:
        named = name_simulated(signal, truths, target.kind, cleaned)
        if named is None:
            dropped["an unlisted alias of what was put in"] += 1
        else:
            found.append(Found(int(target.key), signal.period, inputs, named, target.star))
    return found


def simulate(
    number: int, seed: int, geometry: Geometry, settings: Settings, backend: str, cache: Path
) -> tuple[list[SimulatedJob], Path]:
    """The jobs of a simulated set, and the folder where those that are done are kept.

    Parameters
    ----------
    number : of stars
    seed : of the whole sky
    geometry : Geometry
    settings : of the hunt whose phases are used
    backend : search kernel
    cache : the folder is made in it; its name holds a digest of all that decides a star's rows
    """
    settings = hunted_as(settings, geometry)
    jobs = [
        SimulatedJob(tuple(range(first, min(first + CHUNK, number))), seed, geometry, settings, backend)
        for first in range(0, number, CHUNK)
    ]
    tables = settings.digest("clean", "detrend", "search", "fold", "vet")
    return jobs, cache / f"simulated-{digest_of(code_version(), seed, asdict(geometry), tables, backend)}"
