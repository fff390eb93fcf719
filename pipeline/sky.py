"""Places on the sky, and where they fall on an image by the projection of the image's own header."""

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UnusableData
from pipeline.types import FieldStar, Floats

if TYPE_CHECKING:
    from astropy.wcs import WCS

BTJD_OF_J2000 = 2451545.0 - 2457000.0
DAYS_OF_A_YEAR = 365.25  # Julian
MILLIARCSEC = 1 / 3.6e6  # degrees


def year_of(btjd: float) -> float:
    """Julian year of a BTJD."""
    return 2000.0 + (btjd - BTJD_OF_J2000) / DAYS_OF_A_YEAR


def place_of(star: FieldStar, btjd: float) -> tuple[float, float]:
    """Right ascension and declination of a star at a date, degrees, ICRS; a motion that is unknown is none.

    Motion along the great circle, without parallax and radial velocity: less than 2 arcsec of error in 20 years for
    any star, and less than 0.001 for one that moves 1 arcsec a year.
    """
    years = year_of(btjd) - star.epoch
    east = (star.pm_ra or 0.0) * MILLIARCSEC * years
    north = (star.pm_dec or 0.0) * MILLIARCSEC * years
    dec = math.radians(star.dec)
    # from the tangent plane at the old place back to the sphere
    x, y = math.radians(east), math.radians(north)
    away = math.cos(dec) - y * math.sin(dec)
    turned = math.atan2(x, away)
    return (
        (star.ra + math.degrees(turned)) % 360.0,
        math.degrees(math.atan2(math.sin(dec) + y * math.cos(dec), math.hypot(x, away))),
    )


def separation(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Between two places given in degrees, arcsec."""
    one, two, turn = math.radians(dec), math.radians(other_dec), math.radians(other_ra - ra)
    half = math.sin((one - two) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(turn / 2) ** 2
    return 3600 * math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))


def tangent(ra: float, dec: float, ra0: float, dec0: float) -> tuple[float, float]:
    """Arcsec east and north of (``ra0``, ``dec0``) on the plane that touches the sky there."""
    a, d, d0 = math.radians(ra - ra0), math.radians(dec), math.radians(dec0)
    depth = math.sin(d0) * math.sin(d) + math.cos(d0) * math.cos(d) * math.cos(a)
    east = math.cos(d) * math.sin(a) / depth
    north = (math.cos(d0) * math.sin(d) - math.sin(d0) * math.cos(d) * math.cos(a)) / depth
    return math.degrees(east) * 3600, math.degrees(north) * 3600


def wcs_of(cards: Mapping[str, float | str]) -> "WCS":
    """The celestial projection of an image, from the cards of its own header.

    Raises
    ------
    UnusableData
        If the cards describe none.
    """
    from astropy.io.fits import Header
    from astropy.wcs import WCS, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            found = WCS(Header(dict(cards))).celestial
        except Exception as error:  # of wcslib, by many names
            raise UnusableData(f"the projection of its header cannot be read: {error}") from error
    if found.naxis != 2 or not found.has_celestial:
        raise UnusableData("its header holds no projection: where a star falls is unknown")
    return found


def pixel_of(wcs: "WCS", ra: float, dec: float) -> tuple[float, float]:
    """Column and row of a place in degrees, counted from 0 at the centre of the image's first pixel.

    Raises
    ------
    UnusableData
        If it lies on the other side of the sky.
    """
    column, row = wcs.all_world2pix([[ra, dec]], 0)[0]
    if not (math.isfinite(column) and math.isfinite(row)):
        raise UnusableData("the star lies on the other side of the sky")
    return float(column), float(row)


def scale_at(wcs: "WCS", column: float, row: float) -> Floats:
    """Arcsec east and north by pixel of column and row around a place, (2, 2)."""
    ends = wcs.all_pix2world([[column - 0.5, row], [column + 0.5, row], [column, row - 0.5], [column, row + 0.5]], 0)
    ra0, dec0 = wcs.all_pix2world([[column, row]], 0)[0]
    flat = np.array([tangent(float(ra), float(dec), float(ra0), float(dec0)) for ra, dec in ends])
    return np.stack([flat[1] - flat[0], flat[3] - flat[2]], axis=1)
