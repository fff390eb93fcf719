"""A stamp of stars whose truth is known: images as a target pixel file or a cut-out gives them, from a seed."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.pixels.prf import TESS_ANALYTIC, Prf
from pipeline.simulate.noise import electrons
from pipeline.simulate.seeds import stream
from pipeline.types import FieldStar, Floats, Product, TargetPixels, TransitSignal

READ_NOISE = 10.0  # electrons a readout of a pixel
READOUT = 2.0  # seconds
FLAT = 0.7  # share of a transit that is flat
SCALE = 20.25  # arcsec a pixel
ROTATION = 30.0  # degrees of the stamp against north


@dataclass(frozen=True, slots=True)
class SceneStar:
    """A star on the stamp or beside it."""

    column: float  # pixels, (0, 0) is the centre of the first one
    row: float
    tmag: float
    depth: float = 0.0  # of the signal's transits on this star, fraction
    listed: bool = True  # whether the catalogue knows it


@dataclass(frozen=True, slots=True)
class Scene:
    """A field and how it is observed."""

    stars: tuple[SceneStar, ...]  # the target first
    rows: int = 11
    columns: int = 11
    start: float = 1325.0  # BTJD
    days: float = 27.0
    gap: tuple[float, float] = (0.48, 0.52)  # of the time, without data
    cadence_seconds: float = 600.0
    background: float = 100.0  # e-/s in a pixel, taken off but for its noise
    jitter: float = 0.0  # pixels, of every cadence, along each axis
    drift: float = 0.0  # pixels, amplitude of a slow wander in a random direction
    pointing: tuple[float, float] = (0.0, 0.0)  # pixels of column and row by which the WCS is wrong
    noise: bool = True
    ra: float = 84.3  # degrees, of the target
    dec: float = -60.5
    sector: int = 1
    mission: str = "TESS"


def render(
    scene: Scene, signal: TransitSignal, seed: int, prf: Prf = TESS_ANALYTIC
) -> tuple[TargetPixels, tuple[FieldStar, ...]]:
    """Observe a scene.

    Parameters
    ----------
    scene : Scene
    signal : TransitSignal
        When the stars with a depth dim: trapezoids of its period, epoch and duration.
    seed : int
    prf : Prf
        How a star falls on the pixels.

    Returns
    -------
    TargetPixels, and the stars that a catalogue lists, the target first

    Notes
    -----
    The wander is three sinusoids of 2 to 10 days in one direction, its largest excursion ``drift``: slower than a
    transit, as thermal drift of the pointing is. Photons and readout are Gaussian.
    """
    time = scene.start + np.arange(0.0, scene.days, scene.cadence_seconds / 86400)
    share = (time - scene.start) / scene.days
    time = time[(share < scene.gap[0]) | (share > scene.gap[1])]
    motion = _motion(scene, time, seed)
    dip = _transits(time, signal)
    shape = (scene.rows, scene.columns)
    flux = np.zeros((time.size, *shape))
    steady = scene.drift == 0 and scene.jitter == 0
    for star in scene.stars:
        light = electrons(star.tmag) * (1 - star.depth * dip)
        moving = np.zeros((1, 2)) if steady else motion
        images = prf.images(star.column + moving[:, 0], star.row + moving[:, 1], shape)
        flux += light[:, None, None] * images
    readouts = scene.cadence_seconds / READOUT
    variance = (flux + scene.background + READ_NOISE**2 * readouts / scene.cadence_seconds) / scene.cadence_seconds
    err = np.sqrt(np.maximum(variance, 0))
    if scene.noise:
        flux = flux + err * stream(seed, "pixel noise", scene.sector).standard_normal(flux.shape)
    target = scene.stars[0]
    radius = np.hypot(*np.meshgrid(np.arange(scene.columns) - target.column, np.arange(scene.rows) - target.row))
    product = Product(
        uri=f"simulated:pixels/s{scene.sector:04d}/{seed}",
        sha256="",
        mission=scene.mission,
        author="SIMULATED",
        flux_column="FLUX",
        sector=scene.sector,
        camera=1,
        ccd=1,
        cadence_seconds=scene.cadence_seconds,
    )
    pixels = TargetPixels(
        product=product,
        time=time,
        flux=flux,
        flux_err=err,
        quality=np.zeros(time.size, dtype=np.int64),
        aperture=radius <= 1.5,
        column=1000,
        row=1000,
        wcs=_cards(scene),
    )
    listed = tuple(
        FieldStar("TIC", str(99_000_000_001 + i), *_sky(scene, star), tmag=star.tmag)
        for i, star in enumerate(scene.stars)
        if star.listed
    )
    return pixels, listed


def _motion(scene: Scene, time: Floats, seed: int) -> Floats:
    """Of the image, (n, 2) pixels of column and row."""
    random = stream(seed, "pointing", scene.sector)
    motion = scene.jitter * random.standard_normal((time.size, 2))
    if scene.drift:
        periods, phases = random.uniform(2, 10, 3), random.uniform(0, 2 * math.pi, 3)
        wave = np.sin(2 * math.pi * time[:, None] / periods + phases).sum(axis=1)
        direction = random.uniform(0, 2 * math.pi)
        wave *= scene.drift / np.abs(wave).max()
        motion += wave[:, None] * np.array([math.cos(direction), math.sin(direction)])
    return motion


def _transits(time: Floats, signal: TransitSignal) -> Floats:
    """Trapezoids of unit depth, (n,)."""
    away = np.abs((time - signal.epoch + 0.5 * signal.period) % signal.period - 0.5 * signal.period)
    half = 0.5 * signal.duration
    return np.clip((half - away) / (half * (1 - FLAT)), 0.0, 1.0)


def _cards(scene: Scene) -> dict[str, float | str]:
    """A tangent plane at the target, off by the pointing's error."""
    target = scene.stars[0]
    turn, step = math.radians(ROTATION), SCALE / 3600
    return {
        "WCSAXES": 2,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CUNIT1": "deg",
        "CUNIT2": "deg",
        "CRPIX1": target.column + 1 + scene.pointing[0],
        "CRPIX2": target.row + 1 + scene.pointing[1],
        "CRVAL1": scene.ra,
        "CRVAL2": scene.dec,
        "CD1_1": -step * math.cos(turn),
        "CD1_2": step * math.sin(turn),
        "CD2_1": step * math.sin(turn),
        "CD2_2": step * math.cos(turn),
    }


def _sky(scene: Scene, star: SceneStar) -> tuple[float, float]:
    """Right ascension and declination of a star, degrees: the tangent plane undone."""
    turn, step = math.radians(ROTATION), math.radians(SCALE / 3600)
    x, y = (star.column - scene.stars[0].column) * step, (star.row - scene.stars[0].row) * step
    east, north = -x * math.cos(turn) + y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
    dec0 = math.radians(scene.dec)
    below = math.cos(dec0) - north * math.sin(dec0)
    ra = scene.ra + math.degrees(math.atan2(east, below))
    dec = math.atan2(math.sin(dec0) + north * math.cos(dec0), math.hypot(east, below))
    return ra % 360, math.degrees(dec)
