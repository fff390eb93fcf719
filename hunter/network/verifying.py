"""Whether a downloaded file is what was asked for, byte by byte, before it gets its final name.

What a sky may hold is no fault of a download: a file without a single good cadence passes here and ends as unusable
where it is cleaned. What fails here is a file that is not as the archive released it, or is another than the one asked
for.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hunter.archives import fits_file
from hunter.archives.fits_file import BLOCK, Unit
from hunter.archives.formats import FITS_MAGIC
from hunter.archives.identity import catalogue_number, number, text, whole
from pipeline.errors import UnusableData

# products of the missions are bound by their checksums; those of others ship stale ones
BINDING = re.compile(r"mast:(TESS|Kepler|K2)/", re.I)
FRAME_SECONDS = 2.0  # of TESS: NUM_FRM of them make a cadence
SAME_CADENCE = 0.01  # fraction by which TIMEDEL may differ from the cadence asked for


class Unsound(Exception):
    """A file failed a check.

    Attributes
    ----------
    check : str
        begins, length, structure, complete, checksum, identity or cadence.
    more : bool
        Whether the rest of it may be missing, so that it is worth asking for.
    """

    def __init__(self, check: str, reason: str, more: bool = False) -> None:
        super().__init__(reason)
        self.check = check
        self.more = more


@dataclass(frozen=True, slots=True)
class Expected:
    """What the file is to hold; what is None or empty is not compared."""

    star: str = ""  # number of the TIC, KIC or EPIC
    sector: int | None = None  # sector, quarter or campaign
    cadence_seconds: float | None = None
    binding: bool = True  # whether its checksums must be there and right


@dataclass(frozen=True, slots=True)
class Release:
    """Which release of a product a file is."""

    processing: str  # PROCVER
    data_release: int | None  # DATA_REL
    created: str  # DATE


def whole_length(raw: bytes) -> int | None:
    """The length in bytes that the headers imply; None where they do not tell."""
    try:
        return fits_file.walk(io.BytesIO(raw))[-1].end
    except UnusableData:
        return None


def verify(raw: bytes, expected: Expected, length_told: bool = True) -> Release:
    """Check a whole file in the order of what a fault would break first.

    Parameters
    ----------
    raw : bytes
    expected : Expected
    length_told : bool
        Whether the archive told how long the file is, so that what is missing at its end is not on its way.

    Raises
    ------
    Unsound
        Naming the first check that failed.
    """
    if not raw.startswith(FITS_MAGIC):
        raise Unsound("begins", fits_file.describe_bytes(raw[:BLOCK]), more=FITS_MAGIC.startswith(raw))
    units = _units(raw, length_told)
    _complete(units, length_told)
    if expected.binding:
        _sums(raw, units)
    _identity(units, expected)
    _cadence(units, expected)
    primary = units[0]
    return Release(
        text(primary.card("PROCVER")), whole(primary.card("DATA_REL"), 0, 9999), text(primary.card("DATE"))
    )  # fmt: skip


def _units(raw: bytes, length_told: bool) -> Sequence[Unit]:
    """Headers that can be read, and units that fill the file exactly, in whole blocks."""
    try:
        units = fits_file.walk(io.BytesIO(raw))
    except UnusableData as error:
        raise Unsound("structure", str(error), more=not length_told) from None
    try:
        fits_file.check_structure(raw, units)
    except UnusableData as error:
        raise Unsound("length", str(error), more=units[-1].end > len(raw)) from None
    return units


def _complete(units: Sequence[Unit], length_told: bool) -> None:
    """A file cut exactly behind a unit is sound FITS: only NEXTEND shows it."""
    try:
        fits_file.check_complete(units, (), counted=True)
    except UnusableData as error:
        raise Unsound("complete", str(error), more=not length_told) from None


def _sums(raw: bytes, units: Sequence[Unit]) -> None:
    verdicts = {unit.title: fits_file.sum_is_right(raw, unit) for unit in units}
    wrong = [title for title, right in verdicts.items() if right is False]
    absent = [title for title, right in verdicts.items() if right is None]
    if wrong:
        raise Unsound("checksum", f"the checksum of {', '.join(wrong)} is wrong")
    if absent:  # every genuine file has one in every unit: a byte of the card itself was changed
        raise Unsound("checksum", f"{', '.join(absent)} carries no checksum")


def _identity(units: Sequence[Unit], expected: Expected) -> None:
    primary = units[0]
    if expected.star:
        cards = (primary.card(name) for name in ("TICID", "TIC_ID", "KEPLERID", "OBJECT"))
        star = next((found for found in map(catalogue_number, cards) if found), None)
        if star is not None and star != expected.star.lstrip("0"):
            raise Unsound("identity", f"it holds star {star}, and {expected.star} was asked for")
    if expected.sector is not None:
        cards = (primary.card(name) for name in ("SECTOR", "QUARTER", "CAMPAIGN"))
        sector = next((found for found in map(whole, cards) if found is not None), None)
        if sector is not None and sector != expected.sector:
            raise Unsound("identity", f"it holds sector {sector}, and {expected.sector} was asked for")


def _cadence(units: Sequence[Unit], expected: Expected) -> None:
    if expected.cadence_seconds is None or len(units) < 2:
        return
    step, frames = number(units[1].card("TIMEDEL")), whole(units[1].card("NUM_FRM"))
    told = [] if step is None else [step * 86400.0]
    if frames is not None and text(units[0].card("TELESCOP")).upper() == "TESS":
        told.append(frames * FRAME_SECONDS)
    for seconds in told:
        if abs(seconds / expected.cadence_seconds - 1) > SAME_CADENCE:
            asked = expected.cadence_seconds
            raise Unsound("cadence", f"its cadence is {seconds:.0f} s, and {asked:.0f} s was asked for")
