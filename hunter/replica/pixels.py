"""Target pixels made of a light curve: the images whose sum in the aperture is that light curve.

The layout is that of SPOC: PRIMARY, PIXELS (11 columns), APERTURE, TARGET COSMIC RAY, CHECKSUM without DATASUM. The
star stands where the file's WCS has it and moves as POS_CORR says, its light falls as `pipeline.pixels.prf` has it;
neighbours stand beside it, and one of them may be the star that dims. All of it is simulated.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, radians
from typing import TYPE_CHECKING, cast

import numpy as np

from hunter.archives.spoc_writer import BLOCK, CARD, Value, card, ones_complement_sum
from hunter.replica.stamps import Original, Unit, places_of, rows_of, stamp, take_apart
from pipeline.types import Star

if TYPE_CHECKING:
    from pipeline.simulate import Kind

SIDE = 11  # pixels
SCALE = 0.005657736158444  # degrees a pixel, as `spoc_writer` writes it
SKY = 150.0  # e-/s in a pixel whose noise is seen: background and readout
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


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A star beside the target."""

    column: float  # pixels to the right of the target
    row: float  # and above
    share: float  # of the target's mean light
    dims: bool = False  # whether what varies in the light curve is this star, and the target shines steadily

    def star(self, target: Star) -> Star:
        """What a catalogue knows of it."""
        assert target.ra is not None
        assert target.dec is not None
        tmag = None if target.tmag is None else round(target.tmag - 2.5 * float(np.log10(self.share)), 3)
        ra = target.ra - self.column * SCALE / cos(radians(target.dec))
        return Star(tmag=tmag, ra=ra % 360, dec=target.dec + self.row * SCALE)


# far enough to leave some 0.5 % of their light in the aperture's, as CROWDSAP of the simulated files says
FIELD = (Neighbour(3.4, 2.1, 0.06), Neighbour(-4.2, 1.3, 0.03), Neighbour(1.2, -4.4, 0.1))


def neighbours_of(kind: str, tic: int, seed: int) -> tuple[Neighbour, ...]:
    """The stars beside one of `hunter.skies`: of a blend also the one that makes its dips."""
    from pipeline.simulate import draw_star

    blend = draw_star(cast("Kind", kind), str(tic), seed).blend
    if blend is None:
        return FIELD
    return (Neighbour(blend.column, blend.row, blend.share / (1 - blend.share), dims=True), *FIELD)


def pixels_size(rows: int) -> int:
    """Bytes of a target pixel file of so many cadences."""
    return OVERHEAD + BLOCK * ceil(ROW.itemsize * rows / BLOCK)


def pixels_of(light_curve: bytes, neighbours: Sequence[Neighbour] = ()) -> bytes:
    """The target pixel file that a SPOC light curve was made of, and that holds these stars beside the target."""
    original = take_apart(light_curve)
    rows = rows_of(original)
    primary, table, aperture = original.units
    mask = np.frombuffer(aperture.data, ">i4", SIDE * SIDE).reshape(SIDE, SIDE) & IN_APERTURE != 0
    data = _images(rows, mask, neighbours).tobytes()
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


def _images(rows: np.ndarray, mask: np.ndarray, neighbours: Sequence[Neighbour]) -> np.ndarray:
    """The rows of PIXELS: stars that move together, and noise of each pixel that cancels in the aperture."""
    from pipeline.pixels.prf import TESS_ANALYTIC  # it loads scipy, and most replicas are asked for no pixels

    images = np.zeros(len(rows), dtype=ROW)
    for name in ("TIME", "TIMECORR", "CADENCENO", "QUALITY", "POS_CORR1", "POS_CORR2"):
        images[name] = rows[name]
    right, up = (np.nan_to_num(rows[name].astype(np.float64)) + (SIDE - 1) / 2 for name in ("POS_CORR1", "POS_CORR2"))

    def shape(column: float, row: float) -> np.ndarray:
        return TESS_ANALYTIC.images(right + column, up + row, (SIDE, SIDE)).astype(np.float32)

    def cube(light: np.ndarray | float) -> np.ndarray:
        return np.asarray(light, dtype=np.float32).reshape(-1, 1, 1)

    inside = np.asarray(rows["SAP_FLUX"], dtype=np.float64)
    beside = [(star, shape(star.column, star.row)) for star in neighbours]
    spot = shape(0.0, 0.0)
    steady = float(np.nanmedian(inside)) if np.isfinite(inside).any() else 0.0
    mean = steady / float(np.median(spot[:, mask].sum(axis=1)))  # of the target, were it alone
    dims = next((star for star in neighbours if star.dims), None)
    flux = np.zeros_like(spot)
    for star, image in beside:
        if star is not dims:
            flux += cube(mean * star.share) * image
    varies = spot
    if dims is not None:
        flux += cube(mean) * spot
        varies = next(image for star, image in beside if star is dims)
    light = (inside - flux[:, mask].sum(axis=1)) / varies[:, mask].sum(axis=1)
    flux += cube(light) * varies
    # the light curve's own error, shared out as the light and the sky are
    weight = np.maximum(flux, 0) + np.float32(SKY)
    weight /= weight[:, mask].sum(axis=1)[:, None, None]
    error = cube(rows["SAP_FLUX_ERR"]) * np.sqrt(weight)
    noise = np.random.default_rng(zlib.crc32(rows.tobytes())).standard_normal(flux.shape, dtype=np.float32) * error
    noise[:, mask] -= noise[:, mask].mean(axis=1)[:, None]
    pixels = int(mask.sum())
    background = np.zeros_like(flux) + cube(rows["SAP_BKG"]) / pixels
    images["FLUX"] = flux + noise
    images["FLUX_ERR"] = error
    images["FLUX_BKG"] = background
    images["FLUX_BKG_ERR"] = cube(rows["SAP_BKG_ERR"]) / np.sqrt(pixels)
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
