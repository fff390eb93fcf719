"""Between catalogue positions, the sky around the target, and the pixels of a stamp."""

import math
import warnings
from collections.abc import Mapping

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS, FITSFixedWarning

from pipeline.types import FieldStar, Floats

BTJD, J2000 = 2457000.0, 2451545.0  # JD


def wcs_of(cards: Mapping[str, float | str]) -> WCS:
    """The celestial WCS of an image from its header's cards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return WCS(Header(dict(cards))).celestial


def moved(star: FieldStar, btjd: float) -> tuple[float, float]:
    """Right ascension and declination in degrees at a time: proper motion since the catalogue's epoch."""
    years = 2000 + (btjd + BTJD - J2000) / 365.25 - star.epoch
    ra, dec = star.ra, star.dec
    if star.pm_ra is not None and star.pm_dec is not None:
        ra += years * star.pm_ra / 3.6e6 / math.cos(math.radians(star.dec))
        dec += years * star.pm_dec / 3.6e6
    return ra, dec


def tangent(ra: float, dec: float, ra0: float, dec0: float) -> tuple[float, float]:
    """Arcsec east and north of (``ra0``, ``dec0``) on the plane that touches the sky there."""
    a, d, d0 = math.radians(ra - ra0), math.radians(dec), math.radians(dec0)
    depth = math.sin(d0) * math.sin(d) + math.cos(d0) * math.cos(d) * math.cos(a)
    east = math.cos(d) * math.sin(a) / depth
    north = (math.cos(d0) * math.sin(d) - math.sin(d0) * math.cos(d) * math.cos(a)) / depth
    return math.degrees(east) * 3600, math.degrees(north) * 3600


def pixel_of(wcs: WCS, ra: float, dec: float) -> tuple[float, float]:
    """Column and row on the stamp, its first pixel at (0, 0)."""
    column, row = wcs.all_world2pix([[ra, dec]], 0)[0]
    return float(column), float(row)


def scale_at(wcs: WCS, column: float, row: float) -> Floats:
    """Arcsec east and north by pixel of column and row around a place, (2, 2)."""
    ends = wcs.all_pix2world([[column - 0.5, row], [column + 0.5, row], [column, row - 0.5], [column, row + 0.5]], 0)
    ra0, dec0 = wcs.all_pix2world([[column, row]], 0)[0]
    flat = np.array([tangent(float(ra), float(dec), float(ra0), float(dec0)) for ra, dec in ends])
    return np.stack([flat[1] - flat[0], flat[3] - flat[2]], axis=1)
