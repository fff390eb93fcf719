"""Target pixels made of a light curve: the images whose sum in the aperture is that light curve.

The layout is that of SPOC: PRIMARY, PIXELS (11 columns), APERTURE, TARGET COSMIC RAY, CHECKSUM without DATASUM. The
star is a round spot that moves as POS_CORR says; there is nothing else in the images but the background.
"""

from math import ceil

import numpy as np

from hunter.archives.spoc_writer import BLOCK, CARD, Value, card, ones_complement_sum
from hunter.replica.stamps import Original, Unit, places_of, rows_of, stamp, take_apart

SIDE = 11  # pixels
SPOT = 1.0  # pixels, standard deviation of the star's image
CUBE = f"({SIDE},{SIDE})"
IN_APERTURE = 2
OVERHEAD = 28800  # bytes of a file beside the rows of PIXELS

# name, element, unit, whether it is an image
COLUMNS = (
    ("TIME", "D", "BJD - 2457000, days", False),
    ("TIMECORR", "E", "d", False),
    ("CADENCENO", "J", "", False),
    ("RAW_CNTS", "J", "count", True),
    ("FLUX", "E", "e-/s", True),
    ("FLUX_ERR", "E", "e-/s", True),
    ("FLUX_BKG", "E", "e-/s", True),
    ("FLUX_BKG_ERR", "E", "e-/s", True),
    ("QUALITY", "J", "", False),
    ("POS_CORR1", "E", "pixel", False),
    ("POS_CORR2", "E", "pixel", False),
)
ELEMENTS = {"D": ">f8", "E": ">f4", "J": ">i4"}
ROW = np.dtype([(name, ELEMENTS[code], (SIDE, SIDE) if image else ()) for name, code, _, image in COLUMNS])
COSMIC_RAYS = (("CADENCENO", "J"), ("RAWX", "I"), ("RAWY", "I"), ("COSMIC_RAY", "E"))


def pixels_size(rows: int) -> int:
    """Bytes of a target pixel file of so many cadences."""
    return OVERHEAD + BLOCK * ceil(ROW.itemsize * rows / BLOCK)


def pixels_of(light_curve: bytes) -> bytes:
    """The target pixel file that a SPOC light curve was made of."""
    original = take_apart(light_curve)
    rows = rows_of(original)
    primary, table, aperture = original.units
    mask = np.frombuffer(aperture.data, ">i4", SIDE * SIDE).reshape(SIDE, SIDE) & IN_APERTURE != 0
    data = _images(rows, mask).tobytes()
    kept = [table.header[place : place + CARD] for place in range(0, len(table.header), CARD)]
    body = [line for line in kept if not _of_the_table(line)]
    units = (
        _unit(primary.header, b""),
        _unit(b"".join([*_table_cards("PIXELS", len(rows)), *body, card("CHECKSUM", "", "HDU checksum")]), data),
        aperture,
        _unit(b"".join([*_cosmic_ray_cards(), card("CHECKSUM", "", "HDU checksum")]), b""),
    )
    whole = Original(units)
    # the header of the light curve promises two extensions, and names the program that wrote it
    return stamp(whole, {"NEXTEND": 3, "CREATOR": "0 TargetPixelExporterPipelineModule"})


def _images(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The rows of PIXELS: the flux in the aperture spread over a round spot that moves."""
    images = np.zeros(len(rows), dtype=ROW)
    for name in ("TIME", "TIMECORR", "CADENCENO", "QUALITY", "POS_CORR1", "POS_CORR2"):
        images[name] = rows[name]
    row, column = np.mgrid[: float(SIDE), : float(SIDE)] - (SIDE - 1) / 2
    right, up = (np.nan_to_num(rows[name].astype(np.float64))[:, None, None] for name in ("POS_CORR1", "POS_CORR2"))
    spot = np.exp(-((column - right) ** 2 + (row - up) ** 2) / (2 * SPOT**2))
    spot /= spot[:, mask].sum(axis=1)[:, None, None]
    pixels = int(mask.sum())
    background = (rows["SAP_BKG"].astype(np.float64) / pixels)[:, None, None] + np.zeros_like(spot)
    images["FLUX"] = rows["SAP_FLUX"].astype(np.float64)[:, None, None] * spot
    images["FLUX_ERR"] = rows["SAP_FLUX_ERR"].astype(np.float64)[:, None, None] * np.sqrt(spot)
    images["FLUX_BKG"] = background
    images["FLUX_BKG_ERR"] = (rows["SAP_BKG_ERR"].astype(np.float64) / np.sqrt(pixels))[:, None, None]
    counts = images["FLUX"] + background
    images["RAW_CNTS"] = np.where(np.isfinite(counts), np.round(np.nan_to_num(counts)), -1)
    return images


def _of_the_table(line: bytes) -> bool:
    """Whether a card of the light curve's header describes its own table, which this one is not."""
    keyword = line[:8].decode("ascii").rstrip()
    numbered = keyword.rstrip("0123456789") in ("TTYPE", "TFORM", "TUNIT", "TDISP") and keyword[-1:].isdigit()
    plain = ("XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "CHECKSUM")
    return numbered or keyword in (*plain, "END", "")


def _head(name: str, width: int, rows: int, fields: int) -> list[tuple[str, Value]]:
    return [
        ("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", width), ("NAXIS2", rows), ("PCOUNT", 0),
        ("GCOUNT", 1), ("TFIELDS", fields), ("EXTNAME", name),
    ]  # fmt: skip


def _table_cards(name: str, rows: int) -> list[bytes]:
    values = _head(name, ROW.itemsize, rows, len(COLUMNS))
    for number, (title, code, unit, image) in enumerate(COLUMNS, start=1):
        values.append((f"TTYPE{number}", title))
        values.append((f"TFORM{number}", f"{SIDE * SIDE}{code}" if image else code))
        if unit:
            values.append((f"TUNIT{number}", unit))
        if image:
            values.append((f"TDIM{number}", CUBE))
    return [card(keyword, value, "") for keyword, value in values]


def _cosmic_ray_cards() -> list[bytes]:
    """A table without rows: nothing struck."""
    values = _head("TARGET COSMIC RAY", 12, 0, len(COSMIC_RAYS))
    for number, (title, code) in enumerate(COSMIC_RAYS, start=1):
        values += [(f"TTYPE{number}", title), (f"TFORM{number}", code)]
    return [card(keyword, value, "") for keyword, value in values]


def _unit(cards: bytes, data: bytes) -> Unit:
    """A unit of these cards, ended and padded, whose CHECKSUM is still to be made right."""
    text = cards.rstrip(b" ")
    whole = cards if text.endswith(b"END") else cards + b"END".ljust(CARD)
    header = whole.ljust(ceil(len(whole) / BLOCK) * BLOCK)
    padded = data + b"\0" * (-len(data) % BLOCK)
    return Unit(header, padded, ones_complement_sum(padded), places_of(header))
