"""Fields of stars drawn point by point, their places by astropy: what the weighing of their light is held to."""

from dataclasses import dataclass

import numpy as np

from pipeline.types import FieldStar, Product, Star, Target, TargetPixels

SIDE = 11  # pixels
SCALE = 20.25  # arcsec a pixel
FINE = 15  # points along each axis of a pixel
SIGMA, WING, WIDER = 0.80, 0.15, 2.2  # of a star's image: pixels, share of light, how much wider


@dataclass(frozen=True, slots=True, eq=False)
class DrawnField:
    """SIMULATED: a target, its neighbours, and the light of each in each pixel."""

    target: Target
    pixels: TargetPixels
    stars: tuple[FieldStar, ...]  # the target first
    light: np.ndarray  # (stars, rows, columns)

    @property
    def fraction(self) -> float:
        """The target's share of the light in the aperture."""
        caught = self.light[:, self.pixels.aperture].sum(axis=1)
        return float(caught[0] / caught.sum())


def draw_field(seed: int, wider: float = 1.0, astray: float = 0.0) -> DrawnField:
    """Draw a field.

    Parameters
    ----------
    seed : int
    wider : float
        Factor of the width of the stars' images.
    astray : float
        Pixels by which all stars lie beside their places, in a direction of the seed.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.time import Time
    from astropy.wcs import WCS

    rng = np.random.default_rng(seed)
    count = 1 + rng.poisson(rng.choice([5, 25, 100]))
    ra, dec = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-0.98, 0.98)))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = rng.uniform(5, 7, 2)
    turn = rng.uniform(0, 2 * np.pi)
    wcs.wcs.cd = SCALE / 3600 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    # within 150 arcsec of the target, which moves fast
    away, angle = 150 * np.sqrt(rng.uniform(0, 1, count)), rng.uniform(0, 2 * np.pi, count)
    away[0] = 0.0
    middle = SkyCoord(ra * u.deg, dec * u.deg)
    born = middle.directional_offset_by(angle * u.rad, away * u.arcsec)
    motion = rng.normal(0, 20, (count, 2))
    motion[0] = rng.normal(0, 400, 2)
    magnitude = 10 + np.where(np.arange(count) == 0, rng.uniform(-1, 4), 6 - 4 * rng.power(0.5, count))
    begin = rng.uniform(1325, 4000)
    moving = SkyCoord(
        born.ra, born.dec, pm_ra_cosdec=motion[:, 0] * u.mas / u.yr, pm_dec=motion[:, 1] * u.mas / u.yr,
        obstime=Time(2451545.0, format="jd", scale="tdb"), distance=10 * u.pc,
    )  # fmt: skip
    now = moving.apply_space_motion(new_obstime=Time(2457000 + begin + 0.5, format="jd", scale="tdb"))
    column, row = wcs.world_to_pixel(now)
    direction = rng.uniform(0, 2 * np.pi)
    column, row = column + astray * np.cos(direction), row + astray * np.sin(direction)
    light = 10 ** (-0.4 * magnitude)[:, None, None] * images(column, row, wider)
    y, x = np.mgrid[:SIDE, :SIDE]
    aperture = np.hypot(x - column[0], y - row[0]) <= rng.uniform(1.0, 2.6)
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
    cards |= {f"CRVAL{i + 1}": float(wcs.wcs.crval[i]) for i in (0, 1)}
    cards |= {f"CRPIX{i + 1}": float(wcs.wcs.crpix[i]) for i in (0, 1)}
    cards |= {f"CD{i + 1}_{j + 1}": float(wcs.wcs.cd[i, j]) for i in (0, 1) for j in (0, 1)}
    time = begin + np.array([0.0, 0.5, 1.0])
    pixels = TargetPixels(
        Product("simulated", "", "TESS", "SIMULATED", "FLUX", sector=1, camera=1, ccd=1), time,
        np.repeat(light.sum(axis=0)[None], 3, axis=0), np.ones((3, SIDE, SIDE)), np.zeros(3, dtype=np.int64), aperture,
        100, 200, cards,
    )  # fmt: skip
    stars = tuple(
        FieldStar(
            "TIC", str(1000 + place), float(born.ra.deg[place]), float(born.dec.deg[place]),
            pm_ra=float(motion[place, 0]), pm_dec=float(motion[place, 1]), tmag=float(magnitude[place]),
        )
        for place in range(count)
    )  # fmt: skip
    return DrawnField(Target("TIC", "1000", Star(tmag=stars[0].tmag, ra=ra, dec=dec)), pixels, stars, light)


def images(column: np.ndarray, row: np.ndarray, wider: float = 1.0) -> np.ndarray:
    """Share of each star's light in each pixel, (stars, rows, columns), summed over points in the pixel."""
    points = (np.arange(SIDE * FINE) + 0.5) / FINE - 0.5
    total = 0.0
    for share, sigma in ((1 - WING, SIGMA * wider), (WING, SIGMA * WIDER * wider)):
        along = [
            np.exp(-((points - place[:, None]) ** 2) / (2 * sigma**2)).reshape(len(place), SIDE, FINE).sum(axis=2)
            / (FINE * sigma * np.sqrt(2 * np.pi))
            for place in (row, column)
        ]
        total = total + share * along[0][:, :, None] * along[1][:, None, :]
    return total
