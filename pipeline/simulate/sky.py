"""A star whose truth is known, and what a sector of TESS would make of it."""

from dataclasses import dataclass, replace
from math import log10
from typing import Literal

import numpy as np

from pipeline.simulate.eclipses import (
    ContactBinary,
    DetachedBinary,
    Planet,
    binary_light,
    contact_light,
    planet_light,
)
from pipeline.simulate.noise import cadence_noise, electrons, red_noise
from pipeline.simulate.sector import (
    ARGABRIGHTENING,
    DESATURATION,
    IMPULSIVE_OUTLIER,
    STRAYLIGHT,
    Schedule,
    SectorSettings,
    schedule,
)
from pipeline.simulate.seeds import stream
from pipeline.simulate.systematics import TYPICAL, Systematics, disturb, pointing
from pipeline.simulate.variability import (
    Flare,
    Mode,
    Rotation,
    Spot,
    draw_flares,
    flare_light,
    pulsation_light,
    rotation_light,
    spot_light,
)
from pipeline.types import Booleans, Floats, Integers, LightCurve, Observation, Product, Star

Kind = Literal[
    "planet", "detached", "contact", "blend", "rotation", "flaring", "pulsation", "systematics", "quiet", "other"
]
BLANK = DESATURATION | STRAYLIGHT  # flags under which SPOC writes no PDCSAP flux


@dataclass(frozen=True, slots=True)
class Blend:
    """A fainter neighbour in the aperture; whatever eclipses, eclipses there."""

    share: float  # of the aperture's light
    column: float  # offset from the target, pixels
    row: float  # pixels


@dataclass(frozen=True, slots=True)
class SimulatedStar:
    """A star, what orbits it and what it does."""

    key: str  # TIC number, from 99000000001 on so that no real star is meant
    kind: Kind
    star: Star  # ``tmag`` must be known
    planets: tuple[Planet, ...] = ()
    binary: DetachedBinary | ContactBinary | None = None
    blend: Blend | None = None
    limb_darkening: tuple[float, float] = (0.32, 0.24)  # quadratic, TESS band, near solar
    rotation: Rotation | None = None
    spots: tuple[Spot, ...] = ()
    modes: tuple[Mode, ...] = ()
    flares_per_day: float = 0.0
    flare_amplitude: float = 0.0  # smallest flare, fraction
    systematics: Systematics = TYPICAL
    noise_factor: float = 1.0  # times the photon noise
    noise_floor_ppm: float = 0.0  # in one hour, added in quadrature
    outliers_per_day: float = 0.5  # cosmic rays that SPOC flags


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedObservation:
    """One star in one sector, as the columns of a SPOC light curve file; NaN where SPOC writes NaN."""

    target: SimulatedStar
    sector: SectorSettings
    seed: int
    plan: Schedule
    time: Floats  # (n,) BTJD
    flux: Floats  # (n,) PDCSAP, e-/s
    flux_err: Floats  # (n,) e-/s
    sap_flux: Floats  # (n,) e-/s
    sap_flux_err: Floats  # (n,) e-/s
    background: Floats  # (n,) e-/s in the aperture
    background_err: Floats  # (n,) e-/s
    quality: Integers  # (n,) SPOC bits
    centroid_column: Floats  # (n,) pixels, flux-weighted
    centroid_row: Floats  # (n,) pixels
    centroid_err: Floats  # (n,) pixels, of either coordinate
    motion_column: Floats  # (n,) pixels, of the image
    motion_row: Floats  # (n,) pixels
    noise: float  # fraction, white noise of one cadence: the truth, not the error column
    light: Floats  # (n,) the star's own relative light at every cadence, without noise
    crowding: float = 0.995  # CROWDSAP
    aperture_share: float = 0.9  # FLFRCSAP
    data_release: int = 42
    flares: tuple[Flare, ...] = ()

    @property
    def good(self) -> Booleans:
        """Cadences with a time, a flux and no flag."""
        return np.isfinite(self.time) & np.isfinite(self.flux) & (self.quality == 0)

    def observation(self) -> Observation:
        """The same as the nouns of the pipeline see a file."""
        product = Product(
            uri=f"simulated:{self.target.key}/s{self.sector.number:04d}/{self.seed}",
            sha256="",
            mission="TESS",
            author="SPOC",
            flux_column="PDCSAP_FLUX",
            sector=self.sector.number,
            camera=self.sector.camera,
            ccd=self.sector.ccd,
            cadence_seconds=self.sector.cadence_seconds,
            data_release=self.data_release,
        )
        return Observation(
            product=product,
            time=self.time,
            flux=self.flux,
            flux_err=self.flux_err,
            quality=self.quality,
            centroid_column=self.centroid_column,
            centroid_row=self.centroid_row,
        )

    def light_curve(self) -> LightCurve:
        """Unflagged cadences divided by their median: not detrended."""
        good = self.good
        level = float(np.median(self.flux[good]))
        return LightCurve(self.time[good], self.flux[good] / level, self.flux_err[good] / level)


def star_light(target: SimulatedStar, time: Floats, exposure: float, flares: tuple[Flare, ...] = ()) -> Floats:
    """Relative light of everything in the aperture, the mean over each exposure, without noise.

    Eclipses happen on the target or, where there is a blend, on the neighbour; the target varies by itself.

    Parameters
    ----------
    target : SimulatedStar
    time : Floats, (n,)
        Middle of the exposures, BTJD.
    exposure : float
        Days.
    flares : Flares
        Their light is relative to the target's.
    """
    varying = np.ones_like(time)
    if target.rotation is not None:
        varying += rotation_light(target.rotation, time)
    varying += spot_light(target.spots, time)
    varying += pulsation_light(target.modes, time, exposure)
    varying += flare_light(flares, time, exposure)
    eclipsed = eclipse_light(target, time, exposure)
    if target.blend is None:
        return varying * eclipsed
    return (1 - target.blend.share) * varying + target.blend.share * eclipsed


def eclipse_light(target: SimulatedStar, time: Floats, exposure: float) -> Floats:
    """Relative light of the star that hosts planets and binary, before any blend."""
    light = np.ones_like(time)
    for planet in target.planets:
        light *= planet_light(planet, time, target.limb_darkening, exposure)
    if isinstance(target.binary, DetachedBinary):
        light *= binary_light(target.binary, time, target.limb_darkening, exposure)
    elif target.binary is not None:
        light *= contact_light(target.binary, time, exposure)
    return light


def observe(target: SimulatedStar, sector: SectorSettings = SectorSettings(), seed: int = 1) -> SimulatedObservation:
    """Observe one star for one sector.

    The noise of a cadence is white photon noise by magnitude (see `noise.one_hour_noise`) plus an
    Ornstein-Uhlenbeck process; the instrument adds ramps, drifts, scattered light, steps, recovery after
    momentum dumps (see `systematics`), of which PDCSAP keeps ``residual``. Cosmic rays are flagged
    (bit 512), dumps flagged (bits 32, 4, 128), scattered light at orbit ends flagged and blanked (bit 4096),
    the gap has no time (bit 8).

    Parameters
    ----------
    target : SimulatedStar
    sector : SectorSettings
        Any cadence; exposures are integrated.
    seed : int
        Seed of the sky. Every effect draws from a stream hashed from seed, star, sector and its own name.

    Returns
    -------
    SimulatedObservation
        n cadences, the same for every star of the sector.

    Raises
    ------
    ValueError
        If the star has no Tmag, or one outside the noise model.
    """
    if target.star.tmag is None:
        raise ValueError(f"TIC {target.key} has no Tmag, which sets its photon noise")
    plan = schedule(sector, target.star, seed)
    count = len(plan)
    names = (target.key, sector.number, sector.cadence_seconds)

    flares: tuple[Flare, ...] = ()
    if target.flares_per_day > 0:
        random = stream(seed, "flares", target.key, sector.number)
        flares = draw_flares(random, plan.time[0], plan.time[-1], target.flares_per_day, target.flare_amplitude)
    light = star_light(target, plan.time, plan.exposure, flares)

    noise = cadence_noise(target.star.tmag, sector.cadence_seconds, target.noise_factor, target.noise_floor_ppm)
    white = noise * stream(seed, "photon noise", *names).standard_normal(count)
    size = target.systematics
    one_hour = noise * np.sqrt(sector.cadence_seconds / 3600)
    random = stream(seed, "red noise", *names)
    red = red_noise(random, count, plan.exposure, size.red_timescale, size.red_sigma * one_hour)
    disturbance = disturb(stream(seed, "systematics", *names), plan, size)

    quality = plan.quality.copy()
    random = stream(seed, "outliers", *names)
    hit = (random.random(count) < target.outliers_per_day * plan.exposure) & plan.observed
    spike = np.where(hit, noise * random.uniform(6, 30, count), 0.0)
    quality[hit] |= IMPULSIVE_OUTLIER
    bright = stream(seed, "argabrightening", sector.number, sector.cadence_seconds).random(count) < 5e-4
    bright &= plan.observed
    quality[bright] |= ARGABRIGHTENING

    level = electrons(target.star.tmag)
    crowding = 0.995
    aperture_share = float(np.clip(0.98 - 0.03 * (target.star.tmag - 5), 0.5, 0.98))
    common = light * (1 + red) + white + spike
    corrected = level * (common + size.residual * disturbance.trend + disturbance.dump)
    simple = level * aperture_share * (common + disturbance.trend + disturbance.dump)
    simple += level * aperture_share * (1 / crowding - 1)
    lost = ~plan.observed | plan.lost | bright
    blank = lost | ((quality & (BLANK if sector.blank_dumps else STRAYLIGHT)) != 0)

    quiet_background = 1500.0 * 10 ** (-0.15 * (target.star.tmag - 10))
    grain = stream(seed, "background", *names).standard_normal(count) * 3.0
    background = quiet_background * (1 + disturbance.background) + grain

    column, row = centroids(target, light, plan)
    motion_column, motion_row = pointing(stream(seed, "pointing", sector.number, sector.cadence_seconds), plan)
    centroid_err = 0.7 * noise  # pixels per relative noise: the MOM_CENTR errors of genuine files, Tmag 5 to 15
    random = stream(seed, "centroids", *names)
    base = stream(seed, "place on the detector", target.key, sector.number).uniform(100, 1900, 2)
    column = base[0] + column + motion_column + centroid_err * random.standard_normal(count)
    row = base[1] + row + motion_row + centroid_err * random.standard_normal(count)

    return SimulatedObservation(
        target=target,
        sector=sector,
        seed=seed,
        plan=plan,
        time=np.where(plan.observed, plan.time, np.nan),
        flux=np.where(blank, np.nan, corrected),
        flux_err=np.where(blank, np.nan, level * noise),
        sap_flux=np.where(lost, np.nan, simple),
        sap_flux_err=np.where(lost, np.nan, level * aperture_share * noise * 0.98),
        background=np.where(lost, np.nan, background),
        background_err=np.where(lost, np.nan, 3.0),
        quality=quality,
        centroid_column=np.where(lost, np.nan, column),
        centroid_row=np.where(lost, np.nan, row),
        centroid_err=np.where(lost, np.nan, centroid_err),
        motion_column=np.where(blank, np.nan, motion_column),
        motion_row=np.where(blank, np.nan, motion_row),
        noise=noise,
        light=light,
        crowding=crowding,
        aperture_share=aperture_share,
        flares=flares,
    )


def centroids(target: SimulatedStar, light: Floats, plan: Schedule) -> tuple[Floats, Floats]:
    """Flux-weighted centroid relative to the target, pixels; it moves where a blended neighbour fades."""
    if target.blend is None:
        return np.zeros_like(light), np.zeros_like(light)
    weight = target.blend.share * eclipse_light(target, plan.time, plan.exposure) / light
    return weight * target.blend.column, weight * target.blend.row


def reprocessed(observed: SimulatedObservation, data_release: int | None = None) -> SimulatedObservation:
    """The same pixels in a later data release, changed as pi Men in sector 1 changed from release 1 to 42.

    Times 1.98 s earlier, SAP x 1.049, PDCSAP x 1.019, one flagged cadence fewer at the end of each dump, half
    of the flagged outliers cleared. Numbers of cadences and the truth stay.
    """
    quality = observed.quality.copy()
    inside = (quality & DESATURATION) != 0
    last = inside & ~np.append(inside[1:], False)
    quality[last] &= ~DESATURATION
    outliers = np.flatnonzero(quality & IMPULSIVE_OUTLIER)
    quality[outliers[::2]] &= ~IMPULSIVE_OUTLIER
    flux = observed.flux * 1.019
    flux[last] = np.nan
    flux[outliers[::2]] = np.nan
    return replace(
        observed,
        time=observed.time - 1.98 / 86400,
        flux=flux,
        flux_err=observed.flux_err * 1.019,
        sap_flux=observed.sap_flux * 1.049,
        sap_flux_err=observed.sap_flux_err * 1.049,
        quality=quality,
        data_release=observed.data_release + 1 if data_release is None else data_release,
    )


def surface_gravity(mass: float, radius: float) -> float:
    """log10 of the gravity in cm/s2, from mass and radius in solar units."""
    return 4.438 + log10(mass / radius**2)
