"""Simulated signals put into real light curves before anything is done to them, and found again. SIMULATED."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from hunter.archives.base import Archive, FoundTarget
from hunter.checkpoints import digest_of
from hunter.settings import Settings
from hunter.training_sets.naming import Truth, alias_of, name_simulated
from hunter.training_sets.simulated import signals_of
from hunter.training_sets.work import Found, code_version, star_number
from pipeline import search as searching
from pipeline.clean import clean
from pipeline.limb_darkening import quadratic
from pipeline.simulate import (
    Blend,
    DetachedBinary,
    Planet,
    SimulatedStar,
    draw_orbit,
    draw_pair,
    star_light,
)
from pipeline.simulate.population import EARTH_RADIUS
from pipeline.simulate.seeds import stream
from pipeline.types import Observation, Star

KINDS = {"planet": 0.5, "detached": 0.3, "blend": 0.2}
LONGEST = 14.0  # days, and half of the days observed
FAINTEST = 6.0  # signal-to-noise below which a planet is drawn again: it would not be found
WHITE = 30.0 / 86400  # days; the exposure of an observation that does not say


@dataclass(frozen=True, slots=True, eq=False)
class InjectedJob:
    """One real light curve."""

    found: FoundTarget
    archive: Archive
    times: int
    seed: int
    settings: Settings
    backend: str

    @property
    def name(self) -> str:
        """From the star, its files, and how often something is put in."""
        return f"{digest_of(self.found.target.name, self.found.inputs)}-{self.times}"

    def stars(self) -> Iterator[Callable[[Counter[str]], list[Found]]]:
        """The one star."""
        yield partial(injected_star, self)


def inject(
    targets: Sequence[FoundTarget],
    archive: Archive,
    times: int,
    seed: int,
    settings: Settings,
    backend: str,
    cache: Path,
) -> tuple[list[InjectedJob], Path]:
    """The jobs of an injected set, one a star, and the folder where those that are done are kept."""
    jobs = [InjectedJob(found, archive, times, seed, settings, backend) for found in targets]
    tables = settings.digest("archive", "clean", "detrend", "search", "fold", "vet")
    return jobs, cache / f"injected-{digest_of(code_version(), seed, tables, backend)}"


def injected_star(job: InjectedJob, dropped: Counter[str]) -> list[Found]:
    """Read one star, put a planet, a pair or a blended pair into it a number of times, hunt, label.

    What the light curve shows by itself is dropped: nobody knows what it is.

    Raises
    ------
    UnusableData, ArchiveUnavailable
        As reading and the phases do.
    """
    fetched = job.archive.fetch(job.found.target, job.found.sources)
    observations = [job.archive.read(product) for product in fetched.products]
    star, settings = fetched.star, job.settings
    cleaned = clean(observations, settings.clean, settings.detrend)
    result = searching.search(cleaned.flat, settings.search, star, job.backend)
    own = [Truth("own", s.period, s.epoch, s.duration) for s in result.signals]
    known = np.isfinite(result.noise) & (result.noise > 0)
    found: list[Found] = []
    for number in range(job.times):
        random = stream(job.seed, "injected signal", job.found.target.name, number)
        observed = float(cleaned.flat.time[-1] - cleaned.flat.time[0])
        scatter = (result.durations[known], result.noise[known])
        source = draw_source(random, star, scatter, float(cleaned.flat.time[0]), observed)
        changed = [put_in(observation, source) for observation in observations]
        there, signals = signals_of(changed, star, settings, job.backend)
        truth = truth_put_in(source)
        for signal, inputs in signals:
            if any(alias_of(signal, other) for other in own) and alias_of(signal, truth) is None:
                dropped["the star's own signals"] += 1
                continue
            named = name_simulated(signal, [truth], source.kind, there)
            if named is None or named.what == "wrong signal":
                dropped["neither what was put in nor what was there"] += 1
                continue
            found.append(Found(star_number(job.found.target), signal.period, inputs, named, star))
    return found


def draw_source(
    random: np.random.Generator,
    star: Star,
    scatter: tuple[np.ndarray, np.ndarray],
    start: float,
    observed: float,
) -> SimulatedStar:
    """A planet, a pair, or a pair in a blended neighbour, round a star of this radius; the Sun's where it is unknown.

    Parameters
    ----------
    random : numpy Generator
    star : Star
    scatter : two arrays, (d,)
        Durations, days, and the noise of a transit of each, fraction, as the search measured it.
    start, observed : float
        First day, BTJD, and length of the light curve, days.
    """
    kind = str(random.choice(sorted(KINDS), p=[KINDS[k] for k in sorted(KINDS)]))
    radius = star.radius if star.radius is not None and math.isfinite(star.radius) and star.radius > 0 else 1.0
    mass = star.mass if star.mass is not None and math.isfinite(star.mass) and star.mass > 0 else radius
    longest = max(min(LONGEST, observed / 2), 1.0)
    blank = SimulatedStar(key="0", kind="other", star=star, limb_darkening=quadratic(star, "TESS").coefficients)
    if kind == "planet":
        for attempt in range(20):
            orbit = draw_orbit(random, (0.4, longest), mass, radius, 0.95, start)
            size = 20.0 if attempt == 19 else float(np.exp(random.uniform(0, np.log(20.0))))
            planet = Planet(orbit, min(size * EARTH_RADIUS / radius, 0.25))
            duration = max(orbit.duration(planet.radius_ratio), 1e-3)
            noise = float(np.interp(duration, *scatter)) if scatter[0].size else 0.0
            if not noise or planet.radius_ratio**2 * math.sqrt(observed / orbit.period) / noise > FAINTEST:
                break
        return replace(blank, kind="planet", planets=(planet,))
    ratio = float(random.uniform(0.1, 1.0))
    reach = 0.95 * (1 + ratio)
    pair = draw_pair(random, draw_orbit(random, (0.4, longest), mass * (1 + ratio), radius, reach, start, 0.3), ratio)
    if kind == "detached":
        return replace(blank, kind="detached", binary=pair)
    share = float(10 ** random.uniform(-2.6, -0.5))
    return replace(blank, kind="blend", binary=pair, blend=Blend(share, 1.0, 0.0))


def put_in(observation: Observation, source: SimulatedStar) -> Observation:
    """The observation as it would be with the source's eclipses in its light; flux stays in its own unit.

    A blended source leaves the centroids as they are: where its light falls on the pixels is not known here.
    """
    seconds = observation.product.cadence_seconds
    exposure = WHITE if seconds is None or not math.isfinite(seconds) else seconds / 86400
    known = np.isfinite(observation.time)
    light = np.ones(observation.time.size)
    light[known] = star_light(source, observation.time[known], exposure)
    return replace(
        observation,
        flux=observation.flux * light,
        centroid_column=None if source.blend else observation.centroid_column,
        centroid_row=None if source.blend else observation.centroid_row,
    )


def truth_put_in(source: SimulatedStar) -> Truth:
    """What was put in, to label what is found."""
    if source.planets:
        orbit = source.planets[0].orbit
        return Truth("planet", orbit.period, orbit.epoch, orbit.duration(source.planets[0].radius_ratio))
    assert isinstance(source.binary, DetachedBinary)
    orbit = source.binary.orbit
    duration = orbit.duration(source.binary.radius_ratio)
    return Truth("detached", orbit.period, orbit.epoch, duration, orbit.superior_conjunction())
