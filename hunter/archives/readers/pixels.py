"""Target pixel files of TESS, Kepler and K2, and cut-outs of full-frame images as TESScut makes them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hunter.archives.fits_file import Unit, table
from hunter.archives.identity import Identity, number, text, whole
from hunter.archives.readers import common, kepler, spoc
from pipeline.errors import UnusableData
from pipeline.types import Booleans, Floats, Integers, Product, TargetPixels

TABLES = ("PIXELS", "TARGETTABLES")  # what TESS, and what Kepler and K2, call the table of images
EXTENSIONS: tuple[str, ...] = ("APERTURE",)
IN_APERTURE = 2  # bit of APERTURE: the pixel is in the optimal aperture
IMAGE_CARDS = (
    "CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CUNIT1", "CUNIT2", "CDELT1", "CDELT2",
    "PC1_1", "PC1_2", "PC2_1", "PC2_2", "CD1_1", "CD1_2", "CD2_1", "CD2_2", "LONPOLE", "LATPOLE", "RADESYS", "EQUINOX",
)  # fmt: skip
# the same in the header of a table, for the column of that number
COLUMN_CARDS = {
    "CTYPE1": "1CTYP{}", "CTYPE2": "2CTYP{}", "CRPIX1": "1CRPX{}", "CRPIX2": "2CRPX{}", "CRVAL1": "1CRVL{}",
    "CRVAL2": "2CRVL{}", "CUNIT1": "1CUNI{}", "CUNIT2": "2CUNI{}", "CDELT1": "1CDLT{}", "CDELT2": "2CDLT{}",
    "PC1_1": "11PC{}", "PC1_2": "12PC{}", "PC2_1": "21PC{}", "PC2_2": "22PC{}",
}  # fmt: skip


def recognise(units: Sequence[Unit]) -> bool:
    return (
        len(units) > 1
        and units[1].name.upper() in TABLES
        and {"TIME", "FLUX"} <= {name.upper() for name in units[1].columns}
    )


def is_cut_out(units: Sequence[Unit]) -> bool:
    return text(units[0].card("CREATOR")).lower() == "astrocut"


def identify(units: Sequence[Unit]) -> Identity:
    """Say whose pixels these are; a cut-out names no star, and its place on the sky is that of its middle."""
    if text(units[0].card("TELESCOP")).upper() == "KEPLER":
        return kepler.identify(units)
    identity = spoc.identify(units)
    if identity.author == "SIMULATED" or not is_cut_out(units):
        return identity
    return replace(identity, author="TESSCUT")


def read(raw: bytes, units: Sequence[Unit], product: Product) -> TargetPixels:
    """Take the images; raises UnusableData where they are damaged, or not all of what is needed is there."""
    primary, images = units[0], common.second(units)
    stored = table(raw, images)
    unit = next((unit for unit in units if unit.name == "APERTURE"), None)
    mask = _image(raw, unit) if unit is not None else None
    if unit is None or mask is None:
        raise UnusableData("it is incomplete: APERTURE is missing, or no image of whole numbers")
    zero = common.BTJD_ZERO if product.mission == "TESS" else common.BKJD_ZERO
    time = common.shifted(stored.floats("TIME"), common.btjd_shift(images, primary, zero))
    kept = _in_order(time)
    if not kept.size:
        raise UnusableData(f"none of its {time.size} images has a time")
    flux, flux_err = (_cube(stored.stored, name, mask.shape)[kept] for name in ("FLUX", "FLUX_ERR"))
    column, row = _corner(images, unit)
    cut_out = is_cut_out(units)
    return TargetPixels(
        product,
        time=time[kept],
        flux=flux,
        flux_err=flux_err,
        quality=common.quality_of(stored, "QUALITY", "SAP_QUALITY")[kept],
        aperture=np.zeros(mask.shape, dtype=np.bool_) if cut_out else _bits(mask),
        column=column,
        row=row,
        wcs=_projection(images, unit),
        background_taken_off=not cut_out,
    )


def aperture(raw: bytes, unit: Unit) -> Booleans | None:
    """The optimal aperture, (rows, columns), of an APERTURE unit; light curves have it too. None where it is none."""
    mask = _image(raw, unit)
    return None if mask is None else _bits(mask)


def _bits(mask: Integers) -> Booleans:
    return (mask & IN_APERTURE) != 0


def _image(raw: bytes, unit: Unit) -> Integers | None:
    """An image of 32-bit whole numbers, (rows, columns); None where the unit holds something else."""
    columns, rows = whole(unit.card("NAXIS1"), 1, 4096), whole(unit.card("NAXIS2"), 1, 4096)
    if unit.card("BITPIX") != 32 or columns is None or rows is None or unit.card("NAXIS") != 2:
        return None
    if unit.data + 4 * rows * columns > len(raw):
        raise UnusableData(f"it is cut short: {unit.title} ends behind the end of the file")
    return np.frombuffer(raw, ">i4", rows * columns, unit.data).reshape(rows, columns).astype(np.int64)


def _cube(stored: np.ndarray, name: str, shape: tuple[int, ...]) -> Floats:
    """A column of images, (n, rows, columns)."""
    found = next((title for title in stored.dtype.names or () if title.upper() == name), None)
    if found is None:
        raise UnusableData(f"its table has no column {name}")
    values = stored[found]
    if values.size != len(stored) * shape[0] * shape[1]:
        raise UnusableData(f"its images have {values.size // max(1, len(stored))} pixels, and APERTURE has {shape}")
    return values.reshape(len(stored), *shape).astype(np.float64)


def _in_order(time: Floats) -> Integers:
    """The images that have a time, in its order, each time once."""
    known = np.flatnonzero(np.isfinite(time))
    known = known[np.argsort(time[known], kind="stable")]
    return known[np.append(True, np.diff(time[known]) > 0)] if known.size else known


def _corner(images: Unit, mask: Unit) -> tuple[int, int]:
    """Column and row of the detector of the first pixel."""
    number_of_flux = _number_of_flux(images)
    found = []
    for axis in (1, 2):
        told = [
            (mask.card(f"CRVAL{axis}P"), mask.card(f"CRPIX{axis}P")),
            (images.card(f"{axis}CRV{number_of_flux}P"), images.card(f"{axis}CRP{number_of_flux}P")),
        ]
        values = [(number(value), number(pixel)) for value, pixel in told]
        place = next((value - ((pixel or 1.0) - 1) for value, pixel in values if value is not None), None)
        if place is None:
            raise UnusableData("its headers do not say where on the detector it lies")
        found.append(round(place))
    return found[0], found[1]


def _number_of_flux(images: Unit) -> int:
    return 1 + next((at for at, name in enumerate(images.columns) if name.upper() == "FLUX"), 0)


def _projection(images: Unit, mask: Unit) -> dict[str, float | str]:
    """The celestial projection: of APERTURE, or where that has none, of the column of images."""
    cards = {name: mask.card(name) for name in IMAGE_CARDS}
    if not text(cards["CTYPE1"]):
        flux = _number_of_flux(images)
        cards = {name: images.card(place.format(flux)) for name, place in COLUMN_CARDS.items()}
    return {name: value for name, value in cards.items() if isinstance(value, float | int | str) and value != ""}
