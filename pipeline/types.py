"""The frozen nouns that carry the data from phase to phase.

Times are days, epochs BTJD (BJD - 2457000, TDB), flux relative to 1, depth a fraction;
a name that breaks this rule carries its unit. What could not be measured is ``None``.
"""

import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnusableData

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

SUN_LOGG = 4.438  # log10 cm/s2; IAU 2015 B3 nominal mass parameter and radius


@dataclass(frozen=True, slots=True)
class Star:
    """What a header or a catalogue knows of the star; ``None`` is unknown."""

    tmag: float | None = None  # TESS magnitude
    teff: float | None = None  # K
    logg: float | None = None  # log10 cm/s2
    radius: float | None = None  # solar radii
    mass: float | None = None  # solar masses
    ra: float | None = None  # degrees, J2000
    dec: float | None = None  # degrees, J2000

    def with_mass(self) -> "Star":
        """The star with the mass that its gravity and radius make where none is given, as headers give none."""
        weighed = self.mass is not None and self.mass > 0
        if weighed or self.logg is None or self.radius is None or not self.radius > 0 or not math.isfinite(self.logg):
            return self
        return replace(self, mass=10 ** (self.logg - SUN_LOGG) * self.radius**2)


@dataclass(frozen=True, slots=True)
class Target:
    """What is hunted: a text key within a kind, and the star behind it."""

    kind: str  # the catalogue: "TIC", "KIC", "EPIC", or "FILE" where nothing else is known
    key: str  # "261136679"; "261136679 s0001" where every sector is a target of its own
    star: Star = Star()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class Product:
    """One light curve file: where it is, what it holds, which release it is."""

    uri: str
    sha256: str
    mission: str  # "TESS", "Kepler", "K2", or "" where the file does not say
    author: str  # "SPOC", "TESS-SPOC", "QLP", "TGLC", "ELEANOR", "KEPLER", "K2", "K2SFF", "LIGHTKURVE", "CSV", ...
    flux_column: str
    sector: int | None = None  # sector, quarter or campaign
    camera: int | None = None
    ccd: int | None = None
    cadence_seconds: float | None = None
    data_release: int | None = None  # DATA_REL
    processing: str = ""  # PROCVER
    created: str = ""  # DATE


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One product as its file gives it: nothing removed, any order, NaN where the file has NaN."""

    product: Product
    time: Floats  # (n,) BTJD days; may hold NaN
    flux: Floats  # (n,) the unit of the file; may hold NaN
    flux_err: Floats  # (n,) same unit; NaN throughout where the file has none
    quality: Integers  # (n,) bit mask of the mission; 0 throughout where the file has none
    centroid_column: Floats | None = None  # (n,) pixels, flux-weighted; None where the file has none
    centroid_row: Floats | None = None  # (n,) pixels


@dataclass(frozen=True, slots=True)
class FieldStar:
    """A star that a catalogue knows in the field of a target; the target itself is one of them."""

    kind: str  # the catalogue: "TIC", "Gaia DR3"
    key: str
    ra: float  # degrees, ICRS, at ``epoch``
    dec: float  # degrees
    epoch: float = 2000.0  # Julian year of the position
    pm_ra: float | None = None  # mas/yr, times cos(dec)
    pm_dec: float | None = None  # mas/yr
    tmag: float | None = None  # TESS magnitude


@dataclass(frozen=True, slots=True, eq=False)
class TargetPixels:
    """The images around one target in one sector, as a target pixel file or a cut-out gives them."""

    product: Product
    time: Floats  # (n,) BTJD days, finite and increasing
    flux: Floats  # (n, rows, columns) electrons/s, background taken off; NaN where a pixel was not collected
    flux_err: Floats  # (n, rows, columns) same unit
    quality: Integers  # (n,) bit mask of the mission
    aperture: Booleans  # (rows, columns) the optimal aperture; none set in a cut-out
    column: int  # of the detector, of the first pixel
    row: int
    wcs: dict[str, float | str]  # cards of the image's celestial WCS, as its own header gives them, first pixel (1, 1)
    background_taken_off: bool = True  # False in a cut-out of full-frame images


@dataclass(frozen=True, slots=True, eq=False)
class LightCurve:
    """A cleaned light curve: equal-length, finite, strictly increasing in time."""

    time: Floats  # (n,) BTJD days
    flux: Floats  # (n,) relative, median 1
    flux_err: Floats  # (n,) same unit as flux

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, np.asarray(getattr(self, item.name), dtype=np.float64))
        if self.time.ndim != 1 or not (self.time.shape == self.flux.shape == self.flux_err.shape):
            raise UnusableData(
                f"time {self.time.shape}, flux {self.flux.shape} and flux_err {self.flux_err.shape} "
                "must be one-dimensional and of one length"
            )
        if not (np.isfinite(self.time).all() and np.isfinite(self.flux).all() and np.isfinite(self.flux_err).all()):
            raise UnusableData("time, flux and flux_err must be finite: mask the bad cadences first")
        if self.time.size > 1 and not (np.diff(self.time) > 0).all():
            raise UnusableData("time must increase strictly: sort it and drop repeated cadences first")

    def __len__(self) -> int:
        return int(self.time.size)


@dataclass(frozen=True, slots=True, eq=False)
class CleanedLightCurve:
    """All products of one target, stitched: the detrended light curve and its undetrended twin."""

    flat: LightCurve  # (n,) detrended
    raw: LightCurve  # (n,) the same cadences, each segment divided by its median only
    segment: Integers  # (n,) number of the orbit segment, from 0, in order of time
    exposure: Floats  # (n,) cadence of each point, days
    centroid_column: Floats  # (n,) pixels, NaN where not measured
    centroid_row: Floats  # (n,) pixels, NaN where not measured
    products: tuple[Product, ...]  # what was used, in order of time
    rejected: dict[str, int]  # cadences left out, by reason
    segment_product: tuple[int, ...] = ()  # of each segment, where in ``products`` it comes from; empty: not known
    flares: LightCurve | None = None  # (f,) detrended cadences left out as flares or cosmic rays; None if not kept
    whole: "CleanedLightCurve | None" = None  # with the transits of the star's stronger signals; None: they are here


@dataclass(frozen=True, slots=True)
class TransitSignal:
    """A periodic dip, as the search measured it."""

    period: float  # days
    epoch: float  # BTJD of a transit centre inside the data
    duration: float  # days, first to fourth contact
    depth: float  # fraction
    snr: float  # matched-filter signal-to-noise, noise measured at this duration
    number: int = 1  # 1 is the strongest
    period_err: float | None = None  # days
    epoch_err: float | None = None  # days
    duration_err: float | None = None  # days
    depth_err: float | None = None  # fraction
    sde: float | None = None  # signal detection efficiency of the coarse spectrum
    bls_power: float | None = None  # depth**2 * n_in * n_out / (n_in + n_out)
    n_transits: int | None = None  # distinct transits with data
    single_event_share: float | None = None  # largest share of snr**2 from one transit
    chi_square: float | None = None  # of the single transits' depths about the common one, reduced
    false_alarm_probability: float | None = None  # that noise alone gives such a peak anywhere in the grid
    false_alarm_nulls: int | None = None  # null series behind it
    template: str = "box"
    alias_of: int | None = None  # number of the stronger signal this one is a harmonic of


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The coarse spectrum and the signals over the threshold, strongest first."""

    period: Floats  # (n,) trial periods, days
    power: Floats  # (n,) best signal-to-noise of each period, over all durations
    durations: Floats  # (d,) trial durations, days
    noise: Floats  # (d,) measured noise of a transit of each duration, fraction (CDPP)
    signals: tuple[TransitSignal, ...]
    best: TransitSignal | None  # the strongest peak, whether or not it passed
    method: str = "matched-filter"
    backend: str = "numpy"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A folded, binned piece of a light curve."""

    flux: Floats  # (m,) relative to the out-of-transit level, 0 outside transit; interpolated where not filled
    filled: Booleans  # (m,) False where no cadence fell
    scatter: Floats  # (m,) standard error of each bin, 0 where not filled


@dataclass(frozen=True, slots=True, eq=False)
class FoldedViews:
    """A signal folded on its period, after detrending again with its transits masked."""

    light_curve: LightCurve  # (n,) detrended with the transits of this signal masked
    global_view: View  # (2048,) phase -0.5..0.5, transit in the middle
    local_view: View  # (256,) -2..2 durations around the transit
    secondary: View  # (256,) -2..2 durations around the deepest dip away from the transit
    odd: View  # (256,) as local, odd transits only
    even: View  # (256,) as local, even transits only
    secondary_phase: float | None  # phase of the deepest dip away from the transit, 0..1
    notes: tuple[str, ...] = ()  # what a person should know of how the views were made
    masked_noise: float = 1.0  # variance of a depth measured below a mask over that of one the trend followed


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NOT_RUN = "not_run"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one vetting test measured, and what follows."""

    test: str
    status: Verdict
    value: float | None  # in the unit the note names
    sigma: float | None  # significance, where the test has one
    limit: float | None  # the value or sigma beyond which the test fails
    note: str  # a sentence a person can check


@dataclass(frozen=True, slots=True)
class Score:
    """A network's opinion of one signal, with the model that gave it."""

    probability: float  # calibrated, 0..1
    raw: float  # before calibration
    model: str  # name in the registry
    model_sha256: str
    threshold: float
    prior: float | None = None  # share of planets the probability is stated for
    member_spread: float | None = None  # standard deviation over ensemble members
    classes: dict[str, float] = field(default_factory=dict)  # probability by reason, where the model gives one
    members: tuple[float, ...] = ()  # calibrated probability by each member of the ensemble
    entropy: float | None = None  # of the probability, bits: 0 is certain, 1 is a coin
    disagreement: float | None = None  # mutual information of answer and member, bits; None with one member
    conformal_set: tuple[str, ...] | None = None  # of "planet" and "not planet"; None with the reason in the note
    conformal_coverage: float | None = None  # share of true planets, and of others, whose set holds the truth
    conformal_note: str = "the model gave no set"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything said about one candidate, ready to be written."""

    name: str  # TIC_261136679_p6.267890
    document: dict[str, object]  # follows candidates/schema.json
