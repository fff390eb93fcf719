"""What is known of a signal when its false-positive probability is asked for, and what comes of it."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval

from pipeline.limb_darkening import Band
from pipeline.types import Floats, Star


@dataclass(frozen=True, slots=True)
class ValidateSettings:
    """The [validate] table."""

    method: Literal["importance", "none"] = "importance"  # importance sampling of every scenario; none computes nothing
    samples: Annotated[int, Ge(100)] = 3000  # draws behind each scenario's evidence; as many again find its proposal
    seed: Annotated[int, Ge(0)] = 1  # of all draws
    validated_fpp: Annotated[float, Interval(gt=0, lt=1)] = 0.015  # false-positive probability of a validated planet
    validated_nfpp: Annotated[float, Interval(gt=0, lt=1)] = 1e-3  # and of a likely one: that a neighbour makes the dip
    likely_fpp: Annotated[float, Interval(gt=0, lt=1)] = 0.5  # false-positive probability of a likely planet
    nearby_nfpp: Annotated[float, Interval(gt=0, lt=1)] = 0.1  # from here on a neighbour is the likely host
    largest_planet: Annotated[float, Gt(0)] = 8.0  # Earth radii; for larger bodies the method was not made
    least_logg: float = 3.8  # log10 cm/s2; below it the star is no dwarf
    least_effective: Annotated[float, Ge(1)] = 50.0  # effective samples of every leading scenario, else no verdict
    # signals that a hunt refuses as false alarms for each one it keeps (35 in LEO-Vetter's search)
    refused_per_kept: Annotated[float, Ge(0)] = 35.0
    # what must be known for any band; of "neighbours", "pixels", "secondary"; the numbers are told without
    require: tuple[Literal["neighbours", "pixels", "secondary"], ...] = ("neighbours", "pixels", "secondary")
    population: str = ""  # folder of TRILEGAL or Gaia tables (TIC number in the file's name), or one table; empty: none
    population_area: Annotated[float, Gt(0)] = 0.1  # square degrees that such a table covers
    contrast: str = ""  # folder of contrast curves (TIC number in the file's name), or one; empty: none


SUN = Star(teff=5772.0, radius=1.0, mass=1.0)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A resolved star that sends light into the aperture."""

    key: str  # "TIC 123"
    separation_arcsec: float
    tmag: float | None
    share: float  # of the aperture's light
    offset: tuple[float, float] | None = None  # arcsec east and north of the target
    star: Star = SUN  # what is known of it


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Stars as they lie, on average, in an area of the sky around the target."""

    tmag: Floats  # (n,) TESS magnitude
    mass: Floats  # (n,) solar
    radius: Floats  # (n,) solar
    teff: Floats  # (n,) K
    area: float  # square degrees
    source: str
    count: Floats | None = None  # (n,) how many stars each one stands for; None: one
    dropped: int = 0  # rows of the table that could not be read

    @property
    def stars(self) -> float:
        return float(self.tmag.size if self.count is None else self.count.sum())


@dataclass(frozen=True, slots=True, eq=False)
class ContrastCurve:
    """Which companions an image would have shown."""

    separation: Floats  # (n,) arcsec, increasing
    contrast: Floats  # (n,) magnitudes fainter than the target, at which a star would still have been seen
    band: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredOffset:
    """Where the dip is, from difference images."""

    east: float  # arcsec from the target
    north: float
    east_err: float
    north_err: float
    correlation: float = 0.0
    independent: float = math.inf  # K: independent pseudo-transit images behind the covariance
    floor: float = 1.0  # arcsec in quadrature: models of a star's image and catalogue places are no better

    def ln_likelihood(self, east: float, north: float) -> float:
        """Of a host at a place: Student's t in two dimensions, normal where the covariance is known."""
        mixed = self.correlation * self.east_err * self.north_err
        covariance = np.array([[self.east_err**2, mixed], [mixed, self.north_err**2]]) + np.eye(2) * self.floor**2
        apart = np.array([self.east - east, self.north - north])
        square = float(apart @ np.linalg.solve(covariance, apart))
        norm = -math.log(2 * math.pi) - 0.5 * math.log(float(np.linalg.det(covariance)))
        if not math.isfinite(self.independent):
            return norm - 0.5 * square
        return norm - 0.5 * (self.independent + 2) * math.log1p(square / self.independent)


@dataclass(frozen=True, slots=True, eq=False)
class ValidationCase:
    """One signal, folded, in the raw light of the aperture."""

    phase_time: Floats  # (n,) days from mid-transit
    flux: Floats  # (n,) light of the whole aperture, 1 out of transit: not corrected for neighbours
    flux_err: Floats  # (n,) red noise included
    exposure: float  # days that each point averages over: the cadence, or the bin where points are bins
    period: float  # days
    star: Star  # the target
    host_share: float = 1.0  # of the aperture's light that is the target's
    neighbours: tuple[Neighbour, ...] | None = ()  # None: nobody looked
    secondary_depth: float | None = None  # fraction of the aperture's light; None: not measured
    secondary_err: float | None = None  # red noise included
    secondary_trials: float = 1.0  # phases among which it is the deepest dip; 1: measured at the phase that counts
    population: Population | None = None  # None: the built-in model of the disc
    contrast: tuple[ContrastCurve, ...] | ContrastCurve | None = None
    offset: MeasuredOffset | None = None  # None: no pixels
    distance: float | None = None  # parsec; None: from magnitude and mass
    band: Band = "TESS"  # of the light curve: how its stars darken towards their limbs

    @property
    def curves(self) -> tuple[ContrastCurve, ...]:
        return (self.contrast,) if isinstance(self.contrast, ContrastCurve) else self.contrast or ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to make the dip."""

    name: str  # "TP", "EBx2P", "NEB TIC 123"
    kind: str  # "planet", "eb", "heb", "beb", "neb", "ntp", "stp", "btp"
    host: str  # which star loses light, in words
    ln_evidence: float | None  # up to a constant common to all scenarios; None: it cannot make the dip at all
    ln_evidence_err: float | None
    effective_samples: float
    samples: int
    probability: float


@dataclass(frozen=True, slots=True)
class Aside:
    """A number that stands apart from the scenarios."""

    value: float | None
    source: str  # where it is from, or why it is not known


UNKNOWN = Aside(None, "not asked for")


@dataclass(frozen=True, slots=True)
class Validation:
    """The false-positive probability of one signal, with its own error."""

    status: str  # "done", "out_of_domain", "not_decided", "failed", "not_run"
    reason: str | None
    band: str | None  # "validated", "likely_planet", "likely_nearby_false_positive", "false_positive", "not_decided"
    fpp: float | None = None
    fpp_err_dex: float | None = None
    fpp_interval: tuple[float, float] | None = None  # 16 to 84 per cent, of the Monte Carlo alone
    nfpp: float | None = None
    nfpp_err_dex: float | None = None
    nfpp_interval: tuple[float, float] | None = None
    scenarios: tuple[Scenario, ...] = ()  # the most probable first
    classes: dict[str, float] = field(default_factory=dict)  # probability of each kind
    planet_radius: float | None = None  # Earth radii, if the target's planet makes the dip
    artifact: Aside = UNKNOWN  # reliability: share of such detections that are no false alarm
    variability: Aside = UNKNOWN  # probability that the star does it of itself
    planet_probability: float | None = None  # reliability times 1 - fpp: told apart, mixed into nothing
    inputs: dict[str, object] = field(default_factory=dict)


NOUNS = (Scenario, Aside, Validation)  # what a checkpoint may hold of it
