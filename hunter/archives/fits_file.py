"""FITS files: headers as the standard writes them are read here, all others and the columns by astropy.

astropy takes 4 ms for the headers of a file of SPOC, and 0.2 ms are enough where every card keeps to the standard to
the letter; where one does not, astropy is asked, so that both ways give the same values.

astropy mends and warns where a file must be refused: that the units fill the file, that none is missing, and that
every byte is as it was written is checked here. Its own check of sums counts the data of a unit without DATASUM as 0
and so reports every genuine SPOC and Kepler file as damaged. It is imported where it is used: listing a folder of sound
files needs none of it.
"""

import math
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from pipeline.errors import UnusableData
from pipeline.types import Floats, Integers

if TYPE_CHECKING:
    from astropy.io.fits import Column, Header

BLOCK = 2880  # bytes; every FITS unit fills whole blocks
MAX_BYTES = 512 * 2**20  # a 20-s light curve has 12 MB; what is larger than this is something else
MAX_HEADER_BLOCKS = 512
MAX_UNITS = 1000
LARGEST_END = 2**50  # bytes a header may announce; no file system at hand holds more
MAX_COLUMNS = 999  # the FITS standard allows no more, and astropy makes room for as many as a header claims
DEFINES_COLUMN = re.compile(rb"(?:BITPIX|NAXIS\d?|PCOUNT|GCOUNT|TFIELDS|T(?:TYPE|FORM|UNIT|SCAL|ZERO|DIM)\d+) *=")
BITS = (8, 16, 32, 64, -32, -64)  # of one value, as BITPIX may say
# a header to the letter: keywords as the standard has them, "= " in its place, no continued strings, END alone
PLAIN_HEADER = re.compile(
    rb"(?:(?!COMMENT |HISTORY |CONTINUE|HIERARCH|END     |        )(?=[A-Z0-9_-]+ *= )[A-Z0-9_ -]{8}= .{70}"
    rb"|(?:COMMENT |HISTORY |        ).{72})*END {77}",
    re.DOTALL,
)
RECORD = re.compile(rb"'[A-Za-z_][\w.]*: ")  # a string like 'AXIS.1: 2', which astropy splits into two
# a value to the letter, in columns 11-80: text without quotes inside, a truth, a number, or nothing
PLAIN_VALUE = re.compile(
    rb" *(?:'([ -&(-~]+)' *(?:/[ -~]*)?|([TF]) *(?:/[ -~]*)?|([+-]?\d+) *(?:/[ -~]*)?"
    rb"|([+-]?(?:\d+\.\d*|\.\d+|\d+(?=[ED]))(?:[ED][+-]?\d+)?) *(?:/[ -~]*)?|(?:'' *)?(?:/[ -&(-~]*)?)"
)
# what astropy has been seen to raise on damaged bytes, beside its VerifyError
DAMAGE = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep astropy's warnings off the terminal: what they are about ends in a reason of ours."""
    from astropy.utils.exceptions import AstropyWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        yield


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One header and the data behind it; offsets count bytes from the start of the file."""

    header: "Cards | Header"
    start: int
    data: int  # where the data begin
    end: int  # behind the padding
    columns: tuple[str, ...] = ()  # of a table, their names as written, in order

    @property
    def name(self) -> str:
        return _text(self.card("EXTNAME"))

    @property
    def title(self) -> str:
        """The name for a message."""
        return self.name or ("PRIMARY" if self.start == 0 else f"the unit at byte {self.start}")

    @property
    def is_table(self) -> bool:
        return self.card("XTENSION") == "BINTABLE"

    def card(self, key: str) -> object:
        """The value of a card, of repeated ones the first; None where it is absent, empty or not readable."""
        if isinstance(self.header, Cards):
            return self.header.value(key)
        with _without_warnings():
            return _value(self.header, key)


class Cards:
    """A header written to the letter; a card is read when it is asked for."""

    __slots__ = ("_places", "_raw")

    def __init__(self, raw: bytes, places: dict[bytes, int]) -> None:
        self._raw = raw
        self._places = places

    @classmethod
    def of(cls, raw: bytes) -> "Cards | None":
        """The cards of a header; None where it takes astropy to read it."""
        plain = PLAIN_HEADER.match(raw)
        if plain is None or RECORD.search(raw):
            return None
        places: dict[bytes, int] = {}
        for at in range(0, plain.end() - 80, 80):
            places.setdefault(raw[at : at + 8], at)
        return cls(raw, places)

    def value(self, key: str) -> object:
        """The value of a card, of repeated ones the first; None where it is absent, empty or not readable."""
        at = self._places.get(key.encode().ljust(8))
        if at is None:
            return None
        found = PLAIN_VALUE.fullmatch(self._raw, at + 10, at + 80)
        if found is None:
            from astropy.io.fits import Header

            with _without_warnings():
                return _value(Header.fromstring(self._raw), key)
        words, truth, whole, real = found.groups()
        if words is not None:
            return words.decode().rstrip(" ")
        if truth is not None:
            return truth == b"T"
        if whole is not None:
            return int(whole)
        if real is not None:
            return float(real.replace(b"D", b"E"))
        return "" if self._raw[at + 10 : at + 80].lstrip().startswith(b"'") else None


def _value(header: "Header", key: str) -> object:
    from astropy.io.fits import VerifyError

    try:
        found = header.get(key)
    except (VerifyError, ValueError):
        return None
    return found if isinstance(found, str | int | float) else None  # an empty card gives astropy's Undefined


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def walk(stream: BinaryIO, units: int = MAX_UNITS) -> tuple[Unit, ...]:
    """Read the headers of the first ``units`` units, skipping their data; the stream stays open.

    Raises
    ------
    UnusableData
        If the stream does not begin as FITS, or a header is damaged or cut short. Whether the data behind the
        last header read are complete is for ``check_structure``.
    OSError
        If the disk failed to answer.
    """
    found: list[Unit] = []
    position = 0
    while len(found) < units:
        stream.seek(position)
        first = stream.read(BLOCK)
        if not found and not first.startswith(b"SIMPLE  ="):
            raise UnusableData(describe_bytes(first))
        if found and not first.startswith(b"XTENSION"):
            break
        found.append(_unit(_header_bytes(stream, position, first), position))
        position = found[-1].end
    return tuple(found)


def _header_bytes(stream: BinaryIO, start: int, first: bytes) -> bytes:
    """The whole blocks of the header that begins with the block ``first``; astropy would search END without limit."""
    blocks = [first]
    while not any(blocks[-1].startswith(b"END     ", card) for card in range(0, len(blocks[-1]), 80)):
        if len(blocks) == MAX_HEADER_BLOCKS:
            raise UnusableData(f"its header is damaged: no END within {MAX_HEADER_BLOCKS} blocks of byte {start}")
        blocks.append(stream.read(BLOCK))
        if not blocks[-1]:
            break
    raw = b"".join(blocks)
    if len(raw) % BLOCK or not blocks[-1]:
        raise UnusableData(f"it is cut short: the header at byte {start} has no end, the file has {start + len(raw)}")
    if not raw.isascii():  # astropy would read question marks
        raise UnusableData(f"its header is damaged: there are bytes that are no text behind byte {start}")
    return raw


def _unit(raw: bytes, start: int) -> Unit:
    data = start + len(raw)
    cards = Cards.of(raw)
    if cards is not None:
        size, number = _plain_size(cards)
        if size is not None and data + size <= LARGEST_END:
            names = tuple(_text(cards.value(f"TTYPE{i}")) for i in range(1, number + 1))
            return Unit(cards, start, data, data + size, names)
    from astropy.io.fits import Header, VerifyError

    try:
        with _without_warnings():
            header = Header.fromstring(raw)
            end = data + header.data_size_padded
            number = header["TFIELDS"] if header.get("XTENSION") == "BINTABLE" else 0
            sound = isinstance(end, int) and data <= end <= LARGEST_END and header["BITPIX"] in BITS
            if not sound or not 0 <= number <= MAX_COLUMNS:
                raise ValueError(f"BITPIX {header['BITPIX']}, {number} columns, and its data end at byte {end}")
            names = tuple(_text(_value(header, f"TTYPE{i}")) for i in range(1, number + 1))
    except (VerifyError, *DAMAGE) as error:
        raise UnusableData(f"its header is damaged: that at byte {start} does not tell the size of its data") from error
    return Unit(header, start, data, end, names)


def _plain_size(cards: Cards) -> tuple[int | None, int]:
    """Bytes of the data behind a header with their padding, and columns; None where the cards do not simply tell."""
    axes = cards.value("NAXIS")
    table = cards.value("XTENSION") == "BINTABLE"
    told = [cards.value("BITPIX"), axes, cards.value("TFIELDS") if table else 0]
    if type(axes) is not int or not 0 <= axes <= MAX_COLUMNS:
        return None, 0
    told += [cards.value(f"NAXIS{i}") for i in range(1, axes + 1)]
    spare, groups = cards.value("PCOUNT"), cards.value("GCOUNT")
    told += [0 if spare is None else spare, 1 if groups is None else groups]
    if not all(type(number) is int for number in told) or cards.value("GROUPS") is not None:
        return None, 0
    bits, count, columns, *lengths, spare, groups = cast("list[int]", told)
    sound = bits in BITS and 0 <= columns <= MAX_COLUMNS and min(count, spare, groups, *lengths, 0) == 0
    if not sound or (count and lengths[0] == 0):
        return None, 0
    size = abs(bits) // 8 * groups * (spare + math.prod(lengths)) if count else 0
    return -(-size // BLOCK) * BLOCK, columns


def describe_bytes(head: bytes) -> str:
    """Say what a file is that does not begin as FITS."""
    start = head[:512].lstrip().lower()
    if not head:
        return "it is empty (0 bytes)"
    if b"SIMPLE  =".startswith(head):
        return f"it is cut short: {len(head)} bytes, and one FITS block has {BLOCK}"
    if start.startswith((b"<!doctype", b"<html", b"<head")):
        return "it is a web page, not data: the download was answered with an error page; fetch it again"
    if head.startswith(b"PK"):
        return "it is a zip archive: unpack it, then hunt the folder"
    if head.startswith(b"\x1f\x8b"):
        return "it is compressed twice: unpack it once"
    if not head.strip(b"\0"):
        return "it holds zeros only: the disk or the download lost its content"
    return "it is not a FITS file: it does not begin with SIMPLE"


def check_structure(raw: bytes, units: Sequence[Unit]) -> None:
    """Check that the units fill the file exactly.

    Raises
    ------
    UnusableData
    """
    last = units[-1]
    if last.end > len(raw):
        raise UnusableData(f"it is cut short: {last.title} ends at byte {last.end}, the file at byte {len(raw)}")
    if last.end < len(raw):
        raise UnusableData(f"it has {len(raw) - last.end} bytes behind its last unit that belong to nothing")


def check_complete(units: Sequence[Unit], extensions: Sequence[str], counted: bool) -> None:
    """Check that no unit is missing.

    A file cut exactly behind a unit is valid FITS: only NEXTEND and the names show that something is gone.

    Parameters
    ----------
    extensions : sequence of str
        Names that must be there.
    counted : bool
        Whether NEXTEND means anything in this format.

    Raises
    ------
    UnusableData
    """
    promised = units[0].card("NEXTEND")
    if counted and promised is not None and promised != len(units) - 1:
        raise UnusableData(
            f"it is incomplete: the header promises {promised} extensions and {len(units) - 1} are there"
        )
    names = [unit.name for unit in units]
    missing = [name for name in extensions if name not in names]
    if missing:
        raise UnusableData(f"it is incomplete: the extension {', '.join(missing)} is missing")


def sum_is_right(raw: bytes, unit: Unit) -> bool | None:
    """Whether the ones'-complement sum of header and data is all ones; None where the unit carries no CHECKSUM."""
    if unit.card("CHECKSUM") is None:
        return None
    words = np.frombuffer(raw, dtype=">u4", count=(unit.end - unit.start) // 4, offset=unit.start)
    total = int(words.sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total == 0xFFFFFFFF


def inflate_head(compressed: bytes, length: int) -> bytes:
    """The first bytes, at most ``length``, of what the beginning of a gzip file holds."""
    try:
        return zlib.decompressobj(wbits=31).decompress(compressed, length)
    except zlib.error as error:
        raise UnusableData(f"its compression is damaged: {error}") from error


def inflate(compressed: bytes, limit: int = MAX_BYTES) -> bytes:
    """Unpack gzip, at most ``limit`` bytes; raises UnusableData where it is damaged, cut short or larger."""
    pieces: list[bytes] = []
    rest, length = compressed, 0
    while rest:
        machine = zlib.decompressobj(wbits=31)
        try:
            piece = machine.decompress(rest, limit - length + 1)
        except zlib.error as error:
            raise UnusableData(f"its compression is damaged: {error}") from error
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise UnusableData(f"it unpacks to more than {limit // 2**20} MB, too much for a light curve")
        if not machine.eof:
            raise UnusableData("it is cut short: the compressed stream has no end")
        rest = machine.unused_data.lstrip(b"\0")
    return b"".join(pieces)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The scalar columns of numbers of one binary table."""

    stored: np.ndarray  # (rows,) as they lie in the file: one field for each column, big-endian
    columns: dict[str, "Column"]  # by their names in upper case

    def __contains__(self, name: str) -> bool:
        return name.upper() in self.columns

    @property
    def rows(self) -> int:
        return len(self.stored)

    def floats(self, name: str) -> Floats:
        """A column as native float64, (rows,)."""
        return self._numbers(name).astype(np.float64)

    def integers(self, name: str) -> Integers:
        """A column as native int64, (rows,); what is no number is 0."""
        numbers = self._numbers(name)
        if numbers.dtype.kind == "f":
            numbers = np.where(np.isfinite(numbers) & (np.abs(numbers) < 2**53), numbers, 0)
        return numbers.astype(np.int64)

    def unit_of(self, name: str) -> str:
        return _text(self.columns[name.upper()].unit)

    def _numbers(self, name: str) -> np.ndarray:
        """A column with its scale applied."""
        if name not in self:
            raise UnusableData(f"its table has no column {name}")
        column = self.columns[name.upper()]
        stored = self.stored[column.name]
        if column.format.endswith("L"):
            return stored == ord("T")
        if column.bscale in (None, "", 1) and column.bzero in (None, "", 0):
            return stored
        return stored.astype(np.float64) * (column.bscale or 1) + (column.bzero or 0)


@lru_cache(maxsize=64)
def _defined(cards: bytes) -> tuple[np.dtype, dict[str, "Column"]]:
    """The row of a table and its scalar columns of numbers, from the cards that define them.

    Kept, for the files of one release have the same, and astropy takes 5 ms for the 20 columns of SPOC.
    """
    from astropy.io.fits import BinTableHDU

    table = b"XTENSION= 'BINTABLE'".ljust(80) + cards + b"END".ljust(80)
    with _without_warnings():
        columns = BinTableHDU.fromstring(table.ljust(-(-len(table) // BLOCK) * BLOCK)).columns
        row = columns.dtype.newbyteorder(">")
    return row, {column.name.upper(): column for column in columns if row[column.name].kind in "iuf"}


def table(raw: bytes, unit: Unit) -> Table:
    """Lay the columns astropy finds in a header over the bytes of the file, which are not copied.

    ``hdu.data`` would define every column twice and copy the table, 6 ms more for a file of SPOC.

    Raises
    ------
    UnusableData
        If the unit is no binary table or its columns do not add up to its row length.
    """
    from astropy.io.fits import VerifyError

    if not unit.is_table:
        raise UnusableData(f"{unit.title} is not a table")
    rows, row_bytes = unit.card("NAXIS2"), unit.card("NAXIS1")
    try:
        cards = (raw[at : at + 80] for at in range(unit.start, unit.data, 80))
        layout, scalar = _defined(b"".join(card for card in cards if DEFINES_COLUMN.match(card)))
    except (VerifyError, AssertionError, *DAMAGE) as error:
        raise UnusableData(f"its header is damaged: the columns of {unit.title} cannot be read") from error
    if not isinstance(rows, int) or rows < 0 or layout.itemsize != row_bytes:
        raise UnusableData(
            f"its header is damaged: {rows} rows of {row_bytes} bytes, and the columns take {layout.itemsize}"
        )
    if unit.data + rows * layout.itemsize > len(raw):
        raise UnusableData(f"it is cut short: {unit.title} ends behind the end of the file")
    stored = np.ndarray((rows,), layout, raw, unit.data) if rows * layout.itemsize else np.empty(rows, layout)
    return Table(stored, scalar)
