"""Names and pixels: the name resolver and TESScut, as far as a client of light curves needs them."""

import io
import re
import zipfile
from typing import Any

import numpy as np

from hunter.replica.catalogue import Catalogue, Entry

PIXEL_DEGREES = 0.0057
CORNER = (1000, 600)  # column and row of the detector at which cut-outs begin


def resolve(catalogue: Catalogue, names: str) -> dict[str, Any]:
    """What the resolver says of names separated by commas; nothing for a name it does not know."""
    found = []
    for name in names.split(","):
        number = re.fullmatch(r"\s*tic[\s_-]*0*(\d+)\s*", name, re.I)
        star = catalogue.stars().get(int(number.group(1))) if number else None
        if number and star is not None and star.ra is not None and star.dec is not None:
            found.append({
                "searchString": name.strip().lower(), "resolver": "TIC", "cached": False, "resolverTime": 2,
                "searchRadius": 0.000333, "canonicalName": f"TIC {number.group(1)}", "ra": star.ra, "decl": star.dec,
            })  # fmt: skip
    return {"resolvedCoordinate": found, "status": ""}


def nearest(catalogue: Catalogue, ra: float, dec: float, sector: int | None = None) -> list[Entry]:
    """The observations of the star within an arc minute of a place, one a sector."""
    found = {}
    for entry in catalogue.visible(sector):
        star = entry.star
        if star.ra is None or star.dec is None:
            continue
        away = np.hypot((star.ra - ra) * np.cos(np.radians(dec)), star.dec - dec)
        if away < 1 / 60 and entry.sector not in found:
            found[entry.sector] = entry
    return [found[number] for number in sorted(found)]


def cut_sectors(catalogue: Catalogue, ra: float, dec: float) -> dict[str, Any]:
    """The sectors in which TESScut has a place."""
    rows = [
        {"sectorName": f"tess-s{entry.sector:04d}-4-2", "sector": f"{entry.sector:04d}", "camera": "4", "ccd": "2"}
        for entry in nearest(catalogue, ra, dec)
    ]
    return {"results": rows, "msg": ""}


def cut_out(catalogue: Catalogue, ra: float, dec: float, columns: int, rows: int, sector: int | None) -> bytes:
    """A ZIP of cut-outs, one a sector: ten simulated images of a still star, in the layout of TESScut.

    Where nothing was observed it holds none.
    """
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        for entry in nearest(catalogue, ra, dec, sector):
            name = f"tess-s{entry.sector:04d}-4-2_{ra:.6f}_{dec:.6f}_{columns}x{rows}_astrocut.fits"
            archive.writestr(zipfile.ZipInfo(name, (2020, 9, 13, 0, 0, 0)), _images(entry, columns, rows))
    return memory.getvalue()


def _images(entry: Entry, columns: int, rows: int, count: int = 10) -> bytes:
    from astropy.io import fits

    across = np.hypot(*np.mgrid[: float(rows), : float(columns)] - np.array([[[rows - 1]], [[columns - 1]]]) / 2)
    flux = np.repeat((100 + 1000 * np.exp(-(across**2) / 2)).astype(np.float32)[np.newaxis], count, axis=0)
    cube, shape = f"{columns * rows}E", f"({columns},{rows})"
    step = 1800 / 86400
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("TIME", "D", "BJD - 2457000, days", array=entry.begin + step * (np.arange(count) + 0.5)),
            fits.Column("TIMECORR", "E", "d", array=np.zeros(count)),
            fits.Column("CADENCENO", "J", array=np.arange(count)),
            fits.Column("RAW_CNTS", cube.replace("E", "J"), "count", dim=shape, array=flux.astype(np.int32)),
            fits.Column("FLUX", cube, "e-/s", dim=shape, array=flux),
            fits.Column("FLUX_ERR", cube, "e-/s", dim=shape, array=np.sqrt(flux)),
            fits.Column("FLUX_BKG", cube, "e-/s", dim=shape, array=np.zeros_like(flux)),
            fits.Column("FLUX_BKG_ERR", cube, "e-/s", dim=shape, array=np.zeros_like(flux)),
            fits.Column("QUALITY", "J", array=np.zeros(count, dtype=np.int32)),
            fits.Column("POS_CORR1", "E", "pixel", array=np.zeros(count)),
            fits.Column("POS_CORR2", "E", "pixel", array=np.zeros(count)),
            fits.Column("FFI_FILE", "38A", array=[f"simulated-{number:04d}" for number in range(count)]),
        ],
        name="PIXELS",
    )
    table.header["TIMEDEL"] = step
    projection = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": (columns + 1) / 2, "CRPIX2": (rows + 1) / 2,
        "CRVAL1": entry.star.ra, "CRVAL2": entry.star.dec, "CDELT1": 1.0, "CDELT2": 1.0, "PC1_1": -PIXEL_DEGREES,
        "PC1_2": 0.0, "PC2_1": 0.0, "PC2_2": PIXEL_DEGREES,
    }  # fmt: skip
    aperture = fits.ImageHDU(np.full((rows, columns), 3, np.int32), name="APERTURE")
    aperture.header.update({key: value for key, value in projection.items() if value is not None})
    for axis, corner in ((1, CORNER[0]), (2, CORNER[1])):
        table.header[f"{axis}CRV5P"], table.header[f"{axis}CRP5P"] = corner, 1
    primary = fits.PrimaryHDU()
    cards = {"ORIGIN": "SIMULATED", "CREATOR": "astrocut", "TELESCOP": "TESS", "SECTOR": entry.sector, "CAMERA": 4,
             "CCD": 2, "RA_OBJ": entry.star.ra, "DEC_OBJ": entry.star.dec, "TESSMAG": 0.0, "TEFF": 0.0, "RADIUS": 0.0,
             "SIMDATA": True}  # fmt: skip
    primary.header.update({key: value for key, value in cards.items() if value is not None})
    memory = io.BytesIO()
    fits.HDUList([primary, table, aperture]).writeto(memory)
    return memory.getvalue()
