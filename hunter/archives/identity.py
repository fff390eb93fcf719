"""Who a light curve belongs to and which release of what it is, read from headers alone."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields

from pipeline.types import Star

LARGEST_NUMBER = 10**11 - 1  # TICs reach 11 digits (10001177219)
KIND_OF_MISSION = {"TESS": "TIC", "Kepler": "KIC", "K2": "EPIC"}
UNKNOWN_STAR = Star()
STAR_FIELDS = tuple(field.name for field in fields(Star))
PART_LETTER = {"TESS": "s", "Kepler": "q", "K2": "c"}  # sector, quarter, campaign


@dataclass(frozen=True, slots=True)
class Identity:
    """What the header of one file says of it."""

    kind: str  # "TIC", "KIC", "EPIC"; "FILE" where the file names no star
    key: str  # number without leading zeros; "" for "FILE", whose key is its path
    mission: str
    author: str
    sector: int | None = None  # sector, quarter or campaign
    part: str = ""  # tells pieces of one sector apart (the months of Kepler short cadence)
    camera: int | None = None
    ccd: int | None = None
    cadence_seconds: float | None = None
    data_release: int | None = None
    processing: str = ""
    created: str = ""
    star: Star = UNKNOWN_STAR

    @property
    def release(self) -> tuple[int, tuple[tuple[int, ...], str], str]:
        """What orders two releases of one product: DATA_REL, PROCVER, DATE."""
        return (-1 if self.data_release is None else self.data_release, version(self.processing), self.created)

    def target_key(self, path: str, combine: str) -> str:
        """The key of the target this file belongs to."""
        if self.kind == "FILE":
            return path
        if combine == "sector" and self.sector is not None:
            return f"{self.key} {PART_LETTER.get(self.mission, 's')}{self.sector:04d}"
        return self.key

    def to_json(self) -> dict[str, object]:
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        return record | {"star": {name: getattr(self.star, name) for name in STAR_FIELDS}}

    @classmethod
    def from_json(cls, record: dict) -> "Identity":
        return cls(**{**record, "star": Star(**record["star"])})


def version(text: str) -> tuple[tuple[int, ...], str]:
    """Order "spoc-5.0.10-20200904" after "spoc-5.0.9-2020...": numbers compare as numbers."""
    return tuple(int(number[:18]) for number in re.findall(r"\d+", text)), text


Card = Callable[[str], object]  # gives the value of a header card, None where it is absent, empty or unreadable


def number(value: object) -> float | None:
    """A finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def positive(value: object) -> float | None:
    """A finite number above zero; archives write 0.0 where they know nothing."""
    result = number(value)
    return result if result is not None and result > 0 else None


def whole(value: object, low: int = 0, high: int = 10**9) -> int | None:
    """A whole number within bounds, also from text or from a float without fraction."""
    if isinstance(value, str):
        text = value.strip()
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            return None
        result = int(text)
    else:
        measured = number(value)
        if measured is None or measured != int(measured):
            return None
        result = value if isinstance(value, int) else int(measured)
    return result if low <= result <= high else None


def text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def catalogue_number(value: object) -> str | None:
    """The bare number of a TIC, KIC or EPIC identifier written as number or text; None if it is none."""
    if isinstance(value, str):
        found = re.fullmatch(r"(?:TIC|KIC|EPIC|kplr|ktwo)?[\s_-]*0*([1-9]\d{0,10})", value.strip(), re.I | re.ASCII)
        return found.group(1) if found else None
    result = whole(value, 1, LARGEST_NUMBER)
    return None if result is None else str(result)


def star_of(card: Card) -> Star:
    """The star as SPOC-like cards describe it; empty cards and 0.0 are unknown.

    The position is that of the primary header (J2000): the table headers of SPOC move the right ascension
    to the epoch by proper motion and never the declination.
    """
    ra, dec = number(card("RA_OBJ")), number(card("DEC_OBJ"))
    if ra is None or dec is None or (ra == 0 and dec == 0) or not (0 <= ra <= 360 and -90 <= dec <= 90):
        ra = dec = None
    # no star is brighter than -2 in the TESS band; exactly 0.0 is a missing value
    magnitude = number(card("TESSMAG"))
    if magnitude is None or magnitude == 0:
        magnitude = number(card("TMAG"))
    if magnitude is not None and (magnitude == 0 or not -2 < magnitude < 30):
        magnitude = None
    gravity = number(card("LOGG"))
    return Star(
        tmag=magnitude,
        teff=positive(card("TEFF")),
        logg=None if gravity is None or gravity == 0 or not -2 < gravity < 10 else gravity,
        radius=positive(card("RADIUS")),
        ra=ra,
        dec=dec,
    )


def merge(first: Star, second: Star) -> Star:
    """``first``, with what it does not know taken from ``second``."""
    pairs = ((getattr(first, name), getattr(second, name)) for name in STAR_FIELDS)
    return Star(*(other if own is None else own for own, other in pairs))
