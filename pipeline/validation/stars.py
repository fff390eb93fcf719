"""Dwarfs by their mass: radius, temperature, light in the TESS band, limb darkening."""

import math
from functools import lru_cache

import numpy as np

from pipeline.limb_darkening import Band, quadratic
from pipeline.types import SUN_LOGG, Floats, Star

# mass, radius (solar), Teff (K), absolute TESS magnitude along the main sequence: masses, radii, temperatures and I
# magnitudes of Pecaut & Mamajek (2013, ApJS 208, 9; table of 2022), rounded. T follows I within 0.1 mag for dwarfs; at
# a mass the dwarfs of TRILEGAL tables lie within 0.3 mag of it.
DWARFS = np.array([
    (0.08, 0.115, 2570, 13.6), (0.10, 0.135, 2810, 12.3), (0.13, 0.165, 2950, 11.4), (0.16, 0.196, 3060, 10.75),
    (0.23, 0.274, 3210, 9.75), (0.37, 0.361, 3430, 8.65), (0.44, 0.446, 3560, 8.10), (0.50, 0.501, 3660, 7.66),
    (0.57, 0.588, 3850, 7.05), (0.63, 0.630, 4050, 6.65), (0.70, 0.701, 4440, 6.05), (0.78, 0.750, 4830, 5.55),
    (0.88, 0.813, 5270, 5.03), (0.98, 0.977, 5660, 4.25), (1.02, 1.012, 5770, 4.10), (1.08, 1.100, 5930, 3.79),
    (1.18, 1.221, 6180, 3.42), (1.33, 1.473, 6550, 2.90), (1.59, 1.622, 7220, 2.20), (1.88, 1.785, 8080, 1.65),
    (2.30, 2.090, 9700, 1.00), (2.75, 2.500, 10700, 0.50), (4.00, 3.000, 14000, -0.40),
])  # fmt: skip
EARTH_RADIUS = 1 / 109.076  # solar


def radius_of(mass: Floats) -> Floats:
    """Solar radii of dwarfs of these masses."""
    return np.interp(mass, DWARFS[:, 0], DWARFS[:, 1])


def teff_of(mass: Floats) -> Floats:
    """K."""
    return np.interp(mass, DWARFS[:, 0], DWARFS[:, 2])


def magnitude_of(mass: Floats) -> Floats:
    """Absolute TESS magnitude."""
    return np.interp(mass, DWARFS[:, 0], DWARFS[:, 3])


def own_magnitude(mass: Floats, radius: Floats) -> Floats:
    """Absolute TESS magnitude of a star that may be larger than a dwarf of its mass."""
    return magnitude_of(mass) - 5 * np.log10(radius / radius_of(mass))


def limb_darkening(teff: Floats, band: Band = "TESS") -> tuple[Floats, Floats]:
    """Both quadratic coefficients of dwarfs of these temperatures."""
    table = _law_table(band)
    return np.interp(teff, table[:, 0], table[:, 1]), np.interp(teff, table[:, 0], table[:, 2])


@lru_cache(maxsize=2)
def _law_table(band: Band) -> Floats:
    teff = np.linspace(2600.0, 10000.0, 75)
    return np.array([(t, *quadratic(Star(teff=float(t)), band).coefficients) for t in teff])


def photometric_distance(star: Star) -> float | None:
    """Parsec, from the magnitude of a star and that of a dwarf of its mass and radius; no dust."""
    if star.tmag is None or star.mass is None or star.radius is None:
        return None
    mass, radius = np.array([star.mass]), np.array([star.radius])
    return 10 ** (0.2 * (star.tmag - float(own_magnitude(mass, radius)[0])) + 1)


def gravity(star: Star) -> float | None:
    """log10 cm/s2, measured or from mass and radius."""
    if star.logg is not None and math.isfinite(star.logg):
        return star.logg
    if star.mass and star.radius and star.mass > 0 and star.radius > 0:
        return SUN_LOGG + math.log10(star.mass / star.radius**2)
    return None
