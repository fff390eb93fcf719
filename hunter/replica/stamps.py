"""Give one light curve to many stars: other cards in a SPOC file, with every CHECKSUM made right again.

A sector of 20,000 targets needs 20,000 files and not 20,000 simulations. The data of a file are summed once; for each
star only the headers are written anew. Copies say SIMULATED as their origin does.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hunter.archives.fits_file import walk
from hunter.archives.spoc_writer import CARD, ROW, Value, card, checksum_text, ones_complement_sum

CARD_FORM = re.compile(rb"(.{8})= (?:'(?:[^']|'')*'|[^/]*?) */ ?(.*)", re.S)
TIME_SHIFT = 1.98 / 86400  # days by which times of pi Men in sector 1 moved from release 1 to release 42
FLUX_FACTOR = np.float32(1.019)  # and its PDCSAP flux


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One header-data unit, ready to get other cards."""

    header: bytes
    data: bytes  # with its padding
    total: int  # ones'-complement sum of the data
    places: Mapping[str, tuple[int, str]]  # keyword: where its card begins, its comment


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """A FITS file taken apart."""

    units: tuple[Unit, ...]


def take_apart(whole: bytes) -> Original:
    """The units of a FITS file.

    Raises
    ------
    UnusableData
        If it is none.
    """
    units = []
    for unit in walk(io.BytesIO(whole)):
        header, data = whole[unit.start : unit.data], whole[unit.data : unit.end]
        units.append(Unit(header, data, ones_complement_sum(data), places_of(header)))
    return Original(tuple(units))


def places_of(header: bytes) -> dict[str, tuple[int, str]]:
    """Where the card of each keyword begins, and its comment; of repeated ones the first."""
    places: dict[str, tuple[int, str]] = {}
    for start in range(0, len(header), CARD):
        found = CARD_FORM.fullmatch(header[start : start + CARD])
        if found:
            keyword = found.group(1).decode("ascii").rstrip()
            places.setdefault(keyword, (start, found.group(2).decode("ascii").rstrip()))
    return places


def stamp(original: Original, cards: Mapping[str, Value], *, only: int | None = None, checksum: bool = True) -> bytes:
    """The file with other values in the cards it has; a keyword that a unit lacks is left out there.

    Parameters
    ----------
    original : Original
    cards : keyword to value
        Values as `spoc_writer.card` writes them.
    only : int, optional
        The one unit to change, counted from 0; all of them by default.
    checksum : bool
        Whether CHECKSUM is made right again, where there is one.
    """
    pieces = []
    for number, unit in enumerate(original.units):
        if only is not None and number != only:
            pieces += [unit.header, unit.data]
            continue
        header = bytearray(unit.header)
        for keyword, value in cards.items():
            if keyword in unit.places:
                start, comment = unit.places[keyword]
                header[start : start + CARD] = card(keyword, value, comment)
        if checksum and "CHECKSUM" in unit.places:
            start, comment = unit.places["CHECKSUM"]
            header[start : start + CARD] = card("CHECKSUM", "0" * 16, comment)
            total = ones_complement_sum(bytes(header)) + unit.total
            total = (total & 0xFFFFFFFF) + (total >> 32)
            header[start : start + CARD] = card("CHECKSUM", checksum_text(total), comment)
        pieces += [bytes(header), unit.data]
    return b"".join(pieces)


def rows_of(original: Original) -> np.ndarray:
    """A copy of the LIGHTCURVE rows of a SPOC file.

    Raises
    ------
    ValueError
        If the first extension is no table of the 20 columns of SPOC.
    """
    unit = original.units[1] if len(original.units) > 1 else None
    if unit is None or _number(unit, "NAXIS1") != ROW.itemsize or _number(unit, "TFIELDS") != len(ROW.names or ()):
        raise ValueError("only files in the layout of SPOC can be changed here: the first extension is no such table")
    return np.frombuffer(unit.data, dtype=ROW, count=_number(unit, "NAXIS2")).copy()


def with_rows(original: Original, rows: np.ndarray) -> Original:
    """The same file with other LIGHTCURVE rows, as many or not; stamp it to make its CHECKSUM right."""
    data = rows.tobytes()
    data += b"\0" * (-len(data) % 2880)
    unit = original.units[1]
    start, comment = unit.places["NAXIS2"]
    header = unit.header[:start] + card("NAXIS2", len(rows), comment) + unit.header[start + CARD :]
    changed = Unit(header, data, ones_complement_sum(data), unit.places)
    return Original((original.units[0], changed, *original.units[2:]))


def reprocess(whole: bytes, data_release: int, date: str) -> bytes:
    """The file as a later data release holds it: the same name and size, other times and flux, DATA_REL, PROCVER, DATE.

    The changes are those of pi Men in sector 1 from release 1 to 42: times 1.98 s earlier, PDCSAP x 1.019.
    """
    original = take_apart(whole)
    rows = rows_of(original)
    rows["TIME"] -= TIME_SHIFT
    rows["PDCSAP_FLUX"] *= FLUX_FACTOR
    rows["PDCSAP_FLUX_ERR"] *= FLUX_FACTOR
    return stamp(
        with_rows(original, rows),
        {"DATA_REL": data_release, "PROCVER": f"simulated-{data_release}", "DATE": date},
    )


def _number(unit: Unit, keyword: str) -> int:
    if keyword not in unit.places:
        return -1
    start = unit.places[keyword][0]
    text = unit.header[start + 10 : start + 30].strip()
    return int(text) if text.isdigit() else -1
