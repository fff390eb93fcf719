"""What is known already: TESS objects of interest, those of the community, confirmed planets, eclipsing binaries.

Each table is asked for once a day by condition and kept on disk; where an archive does not answer, the copy at hand
goes on serving and is said to be stale. A number that a table does not give is None: ExoFOP writes 0 for a period it
does not know, and an error that is missing is unknown, not nought.
"""

import csv
import io
import math
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

from candidates.files import fsync_folder
from hunter.archives.identity import catalogue_number
from hunter.archives.settings import ArchiveSettings
from hunter.copies import Copies, Copy, Session, kept
from pipeline.errors import ArchiveUnavailable

DAY = 86_400.0
BJD_TO_BTJD = 2_457_000.0
BJD_RANGE = (2_440_000.0, 2_480_000.0)  # 1968 to 2077
BTJD_RANGE = (-17_000.0, 23_000.0)  # the same, for tables that count from BTJD 0
LONGEST_PERIOD = 100_000.0  # days; more is a date in the wrong column
INDEX = "known.sqlite"
INDEX_VERSION = 2
HOSTED = ("TOI", "CTOI", "planet")  # of these a star may be a host


@dataclass(frozen=True, slots=True)
class KnownObject:
    """A signal that a catalogue knows of a star; None is unknown."""

    tic: int | None  # None only in a person's own table, whose stars are known by their places
    source: str  # "TOI", "CTOI", "planet", "TESS-EB", or the name of a person's own table
    name: str  # "TOI 101.01", "CTOI 17361.01", "WASP-46 b", "TESS-EB 117544915"
    disposition: str  # as the catalogue writes it: PC, CP, KP, FP, FA, APC, EA; "confirmed", "EB"; may be empty
    period: float | None  # days
    period_err: float | None
    epoch: float | None  # BTJD days, a transit's centre
    epoch_err: float | None
    duration_hours: float | None
    depth_ppm: float | None
    updated: str  # as the catalogue writes it
    ra: float | None = None  # degrees
    dec: float | None = None  # degrees


@dataclass(frozen=True, slots=True)
class Table:
    """One catalogue: where it is, and what its columns are called, the first that a table has."""

    source: str
    file: str  # of the copy
    path: Callable[[ArchiveSettings], str]
    tic: tuple[str, ...]
    name: tuple[str, ...]
    disposition: tuple[str, ...]
    period: tuple[str, ...]
    period_err: tuple[str, ...]
    epoch: tuple[str, ...]
    epoch_err: tuple[str, ...]
    duration: tuple[str, ...]
    depth: tuple[str, ...]
    updated: tuple[str, ...]
    ra: tuple[str, ...]
    dec: tuple[str, ...]
    depth_unit: float = 1.0  # ppm in one of the table's units
    named: bool = True  # the source stands before the name
    default: str = ""  # disposition of a row that has none
    by_place: bool = False  # rows without a star of the TIC are kept by their places


_PLANETS = (
    "tic_id,pl_name,pl_orbper,pl_orbpererr1,pl_orbpererr2,pl_tranmid,pl_tranmiderr1,pl_tranmiderr2,pl_trandur,"
    "pl_trandep,rowupdate,ra,dec"
)
TABLES = (
    Table(
        "TOI", "toi.csv", lambda archive: f"{archive.exofop_url.rstrip('/')}/tess/download_toi.php?sort=toi&output=csv",
        tic=("TIC ID", "tid", "TIC"), name=("TOI", "toi", "Full TOI ID"),
        disposition=("TFOPWG Disposition", "tfopwg_disp", "TOI Disposition", "TESS Disposition"),
        period=("Period (days)", "pl_orbper", "Orbital Period Value"),
        period_err=("Period (days) err", "pl_orbpererr1", "Orbital Period Error"),
        epoch=("Epoch (BJD)", "pl_tranmid", "Epoch Value"),
        epoch_err=("Epoch (BJD) err", "pl_tranmiderr1", "Epoch Error"),
        duration=("Duration (hours)", "pl_trandurh", "Transit Duration Value"),
        depth=("Depth (ppm)", "pl_trandep", "Transit Depth Value"),
        updated=("Date TOI Updated (UTC)", "rowupdate", "Updated"),
        ra=("RA", "ra", "TIC Right Ascension"), dec=("Dec", "dec", "TIC Declination"),
    ),
    Table(
        "CTOI", "ctoi.csv",
        lambda archive: f"{archive.exofop_url.rstrip('/')}/tess/download_ctoi.php?sort=ctoi&output=csv",
        tic=("TIC ID",), name=("CTOI",), disposition=("TFOPWG Disposition", "User Disposition"),
        period=("Period (days)",), period_err=("Period (days) Error",),
        epoch=("Transit Epoch (BJD)",), epoch_err=("Transit Epoch (BJD) err",),
        duration=("Duration (hrs)",), depth=("Depth ppm",), updated=("CTOI lastmod",),
        ra=("RA",), dec=("Dec",),
    ),
    Table(
        "planet", "planets.csv",
        lambda archive: f"{archive.exoplanet_archive_url.rstrip('/')}/TAP/sync?query="
        + quote_plus(f"select {_PLANETS} from pscomppars where tran_flag=1") + "&format=csv",
        tic=("tic_id",), name=("pl_name",), disposition=(),
        period=("pl_orbper",), period_err=("pl_orbpererr1",), epoch=("pl_tranmid",), epoch_err=("pl_tranmiderr1",),
        duration=("pl_trandur",), depth=("pl_trandep",), updated=("rowupdate",), ra=("ra",), dec=("dec",),
        depth_unit=1e4, named=False, default="confirmed",  # depths in percent
    ),
    Table(  # Prsa et al. 2022 (ApJS 258, 16), as the archive of TESS keeps it; its widths are shares of the period
        "TESS-EB", "tess_ebs.csv",
        lambda archive: f"{archive.bulk_url.rstrip('/')}/hlsps/tess-ebs/"
        "hlsp_tess-ebs_tess_lcf-ffi_s0001-s0026_tess_v1.0_cat.csv",
        tic=("tess_id",), name=("tess_id",), disposition=(), period=("period",), period_err=("period_uncert",),
        epoch=("bjd0",), epoch_err=("bjd0_uncert",), duration=(), depth=(), updated=("date_modified",),
        ra=("ra",), dec=("dec",), default="EB",
    ),
)  # fmt: skip


def read_table(content: bytes, table: Table) -> list[KnownObject]:
    """The rows of a catalogue that name a star of the TIC.

    Raises
    ------
    ArchiveUnavailable
        If it is no such table, or was cut: it is unknown what is known.
    """
    text = content.decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("#")]
    header = lines[0] if lines else ""
    separator = max(",|\t", key=header.count)
    reader = csv.reader(io.StringIO("".join(lines)), delimiter=separator)
    names = [name.strip() for name in next(reader, [])]
    place = {name: number for number, name in reversed(list(enumerate(names)))}  # the first of a repeated name

    def column(choices: Sequence[str]) -> int | None:
        return next((place[name] for name in choices if name in place), None)

    columns = {item.name: column(getattr(table, item.name)) for item in fields(Table)[3:15]}
    stars = columns["tic"] if not table.by_place or columns["tic"] is not None else columns["ra"]
    if None in (stars, columns["period"]) or (not table.by_place and None in (columns["name"], columns["epoch"])):
        raise ArchiveUnavailable(f"unknown: the table of {table.source}s has no column of stars, periods or epochs")
    found = []
    for number, cells in enumerate(reader, 2):
        if not cells:
            continue
        if len(cells) != len(names):
            raise ArchiveUnavailable(
                f"unknown: line {number} of the table of {table.source}s has {len(cells)} cells of {len(names)}"
            )

        def cell(name: str, cells: list[str] = cells) -> str:
            number = columns[name]
            return "" if number is None else cells[number].strip()

        star = catalogue_number(cell("tic"))
        ra, dec = _degrees(cell("ra"), 15.0), _degrees(cell("dec"), 1.0)
        if star is None and not (table.by_place and ra is not None and dec is not None):
            continue  # a planet of another telescope, or a row without a star
        period = _positive(cell("period"), LONGEST_PERIOD)
        epoch = to_btjd(_number(cell("epoch")))
        depth = _positive(cell("depth"))
        name = cell("name") or cell("tic") or f"{ra} {dec}"
        found.append(
            KnownObject(
                None if star is None else int(star), table.source, f"{table.source} {name}" if table.named else name,
                cell("disposition") or table.default,
                period, _positive(cell("period_err")) if period is not None else None,
                epoch, _positive(cell("epoch_err")) if epoch is not None else None,
                _positive(cell("duration")), None if depth is None else depth * table.depth_unit, cell("updated"),
                ra, dec,
            )
        )  # fmt: skip
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _degrees(text: str, per_unit: float) -> float | None:
    """An angle written in degrees, or as 21:14:56.88 in hours (15 degrees a unit) or degrees."""
    parts = text.split(":")
    if len(parts) != 3:
        return _number(text)
    values = [_number(part.lstrip("+-")) for part in parts]
    if None in values:
        return None
    size = sum((value or 0.0) / 60.0**place for place, value in enumerate(values)) * per_unit
    return -size if text.startswith("-") else size


def _positive(text: str, most: float = math.inf) -> float | None:
    value = _number(text)
    return value if value is not None and 0 < value < most else None


def to_btjd(epoch: float | None) -> float | None:
    """An epoch as BTJD, whether a table counts from BJD 0 or from BTJD 0; None where it is neither."""
    if epoch is None or epoch == 0:
        return None
    if BJD_RANGE[0] <= epoch <= BJD_RANGE[1]:
        return epoch - BJD_TO_BTJD
    return epoch if BTJD_RANGE[0] <= epoch <= BTJD_RANGE[1] else None


class Catalogues:
    """The copies under one folder, and an index by star beside them.

    Parameters
    ----------
    folder : Path
        ``<home>/cache/catalogues``; deleting it costs one download.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def refresh(
        self,
        session: Session,
        archive: ArchiveSettings,
        now: Callable[[], float] = time.time,
        tables: Collection[Table] = TABLES,
    ) -> list[str]:
        """Ask for every table that was not confirmed within the last day; returns a line for each that is stale.

        What was there goes on serving until a whole new table is here. Killed anywhere and called again, it ends the
        same.
        """
        copies = Copies(session, self.folder, now)
        changed, words = not (self.folder / INDEX).exists(), []
        serving: dict[str, Copy[list[KnownObject]]] = {}
        for table in tables:
            read = partial(read_table, table=table)
            old = copies.kept(table.file, read)
            if old is not None:
                serving[table.source] = old
                if 0 <= now() - old.checked_at < DAY:
                    continue
            try:
                new = copies.ask(table.path(archive), table.file, partial(_read_new, table=table, old=old))
                if new is None:
                    raise ArchiveUnavailable("unknown: the archive has no such table any more")
                changed |= new.fresh
                serving[table.source] = new
            except ArchiveUnavailable as error:
                words.append(stale_words(table.source, None if old is None else now() - old.checked_at, str(error)))
        if changed or not self._indexed(serving):
            self._index(serving)
        return words

    def known(self, tic: int) -> list[KnownObject]:
        """What the catalogues know of a star; empty where they know nothing, or there are no copies yet."""
        with self._open() as index:
            if index is None:
                return []
            columns = ", ".join(item.name for item in fields(KnownObject))
            query = f"SELECT {columns} FROM known WHERE tic = ? ORDER BY source DESC, name"
            return [KnownObject(*row) for row in index.execute(query, (int(tic),))]

    def near(self, ra: float, dec: float, radius: float) -> list[KnownObject]:
        """What the catalogues know within a radius in degrees of a place; empty where there are no copies yet."""
        with self._open() as index:
            if index is None:
                return []
            columns = ", ".join(item.name for item in fields(KnownObject))
            query = f"SELECT {columns} FROM known WHERE dec BETWEEN ? AND ? ORDER BY source DESC, name"
            rows = [KnownObject(*row) for row in index.execute(query, (dec - radius, dec + radius))]
        return within(rows, ra, dec, radius)

    def hosts(self) -> frozenset[int]:
        """The stars that have a known planet or a candidate that was not refuted."""
        with self._open() as index:
            if index is None:
                return frozenset()
            query = f"""SELECT DISTINCT tic FROM known WHERE disposition NOT IN ('FP', 'FA')
                AND source IN ({", ".join("?" * len(HOSTED))})"""
            return frozenset(row[0] for row in index.execute(query, HOSTED))

    def checked_at(self) -> dict[str, float]:
        """When the archive last said that each copy stands, by source; without those that are not here."""
        copies = {table.source: kept(self.folder / table.file, lambda content: None) for table in TABLES}
        return {source: copy.checked_at for source, copy in copies.items() if copy is not None}

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since the archive last said that each copy stands, by source; without those that are not here."""
        return {source: now - checked_at for source, checked_at in self.checked_at().items()}

    # ---- the index

    def _open(self) -> "_Opened":
        return _Opened(self.folder / INDEX)

    def _indexed(self, serving: Mapping[str, Copy[list[KnownObject]]]) -> bool:
        """Whether the index is made of exactly these copies."""
        with self._open() as index:
            if index is None:
                return not serving
            told = dict(index.execute("SELECT source, sha256 FROM made_of"))
            return told == {source: copy.sha256 for source, copy in serving.items()}

    def _index(self, serving: Mapping[str, Copy[list[KnownObject]]]) -> None:
        """Make the index anew beside the old one, and put it in its place when it is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / INDEX
        unfinished = place.with_name(f"{INDEX}.{os.getpid()}.part")
        with suppress(FileNotFoundError):
            unfinished.unlink()
        names = [item.name for item in fields(KnownObject)]
        try:
            with closing(sqlite3.connect(unfinished)) as index:
                index.execute("PRAGMA journal_mode = OFF")
                index.execute(f"PRAGMA user_version = {INDEX_VERSION}")
                index.execute(f"CREATE TABLE known ({', '.join(names)})")
                index.execute("CREATE TABLE made_of (source TEXT PRIMARY KEY, sha256 TEXT)")
                rows = [astuple(item) for copy in serving.values() for item in copy.meaning]
                index.executemany(f"INSERT INTO known VALUES ({', '.join('?' * len(names))})", rows)
                index.executemany(
                    "INSERT INTO made_of VALUES (?, ?)", [(source, copy.sha256) for source, copy in serving.items()]
                )
                index.execute("CREATE INDEX known_tic ON known (tic)")
                index.execute("CREATE INDEX known_dec ON known (dec)")
                index.commit()
            with open(unfinished, "rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, place)
            fsync_folder(self.folder)
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()


class _Opened:
    """The index, opened for reading; None where there is none that can be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection | None:
        try:
            index = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        except sqlite3.Error:
            return None
        try:
            version = index.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error:
            version = None
        if version != INDEX_VERSION:
            index.close()
            return None
        self._index = index
        return index

    def __exit__(self, *_: object) -> None:
        if self._index is not None:
            self._index.close()


def _read_new(content: bytes, table: Table, old: Copy[list[KnownObject]] | None) -> list[KnownObject]:
    """A table that has lost half its rows is not believed."""
    new = read_table(content, table)
    before = 0 if old is None else len(old.meaning)
    if len(new) < before / 2 or (not new and before):
        raise ArchiveUnavailable(f"unknown: the table has {len(new)} rows, and had {before}")
    return new


def stale_words(source: str, age: float | None, why: str) -> str:
    """One line for a table that could not be refreshed."""
    if age is None:
        return f"the table of {source}s is not here yet: {why}"
    return f"the table of {source}s is {in_words(age)} old and stays in use: {why}"


def in_words(seconds: float) -> str:
    """An age as people say it: "3 hours", "2 days"."""
    seconds = max(0.0, seconds)
    for unit, length in (("day", 86_400.0), ("hour", 3_600.0), ("minute", 60.0)):
        number = int(seconds // length)
        if number:
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "less than a minute"


def within(rows: Sequence[KnownObject], ra: float, dec: float, radius: float) -> list[KnownObject]:
    """Those within a radius in degrees of a place, in their order."""
    from pipeline.matching import angle

    unknown = math.nan
    places = [(unknown, unknown) if row.ra is None or row.dec is None else (row.ra, row.dec) for row in rows]
    away = angle([ra for ra, _ in places], [dec for _, dec in places], ra, dec).tolist()
    return [row for row, arcsec in zip(rows, away, strict=True) if arcsec <= radius * 3600.0]


def catalogues_of(home: Path) -> Catalogues:
    """The catalogues of a hunt."""
    return Catalogues(home / "cache" / "catalogues")
