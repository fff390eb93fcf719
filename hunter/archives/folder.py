"""Any tree of light curves as an archive.

What a file is and whose it is comes from its content, never from its name, and no path in a header is followed.
Files that claim to be data and are not become targets of kind FILE, so that they end with a reason; text and
pictures lying beside the data are left aside and counted.
"""

import contextlib
import hashlib
import json
import logging
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from hunter.archives import formats, pixel_files
from hunter.archives.base import ArchiveEmpty, Fetched, FoundTarget
from hunter.archives.choosing import choose, rank
from hunter.archives.fits_file import inflate_head
from hunter.archives.fresh import Fresh, signature
from hunter.archives.identity import Identity, merge
from hunter.archives.readers.table import NotALightCurve
from hunter.archives.settings import ArchiveSettings
from pipeline.errors import ArchiveUnavailable, UnusableData
from pipeline.sky import separation
from pipeline.types import Observation, Product, Star, Target, TargetPixels

if TYPE_CHECKING:
    from hunter.field import Field

__all__ = ["ArchiveSettings", "FolderArchive"]

log = logging.getLogger(__name__)

INDEX_VERSION = 2  # raised when identities are read in another way
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".tbl", ".lc", ".ecsv")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar", ".fits.fz", ".fits.bz2", ".fits.xz", ".fits.zst")
UNWRITABLE_NAME = "its name holds characters that cannot be written: rename it"
NAMED_AT_MOST = 5  # files named in a line of text
PIXELS_AT = "pixels:"  # before the path of a source that holds pixels and no light curve
SAME_PLACE = 10.0  # arcsec within which the middle of a cut-out, which names no star, is that of a target


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index remembers of one file; exactly one of the last three is set, or the first two of them for pixels.

    Pixels are no light curve, and are refused for that where no light curve of their star and sector lies here.
    """

    path: str  # relative to the folder, as text
    size: int
    mtime_ns: int
    identity: Identity | None = None
    refusal: str = ""  # it claims to be data: a target that will end with this reason
    foreign: str = ""  # it does not: left aside

    @property
    def holds_pixels(self) -> bool:
        return self.identity is not None and bool(self.refusal)


class FolderArchive:
    """A folder of light curves, or one file.

    Parameters
    ----------
    folder : Path
        Searched with all its subfolders; names beginning with a dot are left aside, links are followed once.
    settings : ArchiveSettings
    combine : "all" or "sector"
        One target for a star, or one for each of its sectors.
    index : Path or None
        Where identities are remembered between starts; safe to delete.
    sectors : collection of int
        Only these sectors (quarters, campaigns); empty is all.
    only : collection of Path
        Only these files; empty is all.
    models : Path, optional
        Where official models of a star's image lie.

    Attributes
    ----------
    ignored : tuple of (str, str)
        Path and reason of each file left aside by the last ``targets()``.
    """

    def __init__(
        self,
        folder: Path,
        settings: ArchiveSettings = ArchiveSettings(),
        combine: str = "all",
        index: Path | None = None,
        *,
        sectors: Collection[int] = (),
        only: Collection[Path] = (),
        models: Path | None = None,
    ) -> None:
        if combine not in ("all", "sector"):
            raise ValueError(f"combine is {combine!r}: choose all or sector")
        self.asked = Path(folder)
        self.folder = Path(os.path.abspath(folder))
        self.settings = settings
        self.combine = combine
        self.index = index
        self.sectors = frozenset(sectors)
        self.models = models
        self.only = frozenset(os.path.relpath(path, self._root) for path in only)
        self.ignored: tuple[tuple[str, str], ...] = ()
        self._fresh = Fresh()

    def targets(self) -> Iterator[FoundTarget]:
        """Yield every target of the folder, sorted by kind and key.

        Raises
        ------
        ArchiveEmpty
            If the folder is missing, unreadable, empty, or holds no light curve at all.
        """
        entries = self._entries()
        self.ignored = tuple((entry.path, entry.foreign) for entry in entries if entry.foreign)
        found: dict[tuple[str, str], list[Entry]] = {}
        beside = self._pixels_beside(entries)
        attached = {entry.path for files in beside.values() for entry in files}
        for entry in entries:
            if not entry.foreign and entry.path not in attached and self._wanted(entry):
                identity = entry.identity
                key = ("FILE", entry.path) if identity is None or entry.holds_pixels else (
                    identity.kind, identity.target_key(entry.path, self.combine)
                )  # fmt: skip
                found.setdefault(key, []).append(entry)
        if not found and self.sectors:
            asked = ", ".join(map(str, sorted(self.sectors)))
            raise ArchiveEmpty(f"{self.asked} holds no light curve of sector {asked}")
        if not found:
            raise ArchiveEmpty(self._nothing())
        for (kind, name), files in sorted(found.items()):
            files.sort(key=lambda entry: entry.path)
            identities = [e.identity for e in files if e.identity is not None and not e.holds_pixels]
            identities.sort(key=lambda identity: rank(identity, self.settings.prefer))
            star = reduce(merge, (identity.star for identity in identities), Star())
            digest = _digest(files)
            priority = 0.0 if star.tmag is None else max(0.0, 20.0 - star.tmag)
            around = beside.get((kind, name), [])
            sources = tuple(str(self._root / e.path) for e in files)
            sources += tuple(f"{PIXELS_AT}{self._root / e.path}" for e in around)
            yield FoundTarget(Target(kind, name, star), sources, digest, priority, field=_digest(around))

    def _wanted(self, entry: Entry) -> bool:
        if self.only and entry.path not in self.only:
            return False
        return not self.sectors or (entry.identity is not None and entry.identity.sector in self.sectors)

    # ---- pixels beside light curves

    def pixels(self, sources: Sequence[str], sectors: Collection[int] = ()) -> tuple[TargetPixels, ...]:
        """The pixels among the sources of a target, whole ones, in order of sector; of these sectors, if any are named.

        Raises
        ------
        ArchiveUnavailable
            If the disk failed to answer.
        """
        return self._read_pixels(sources, sectors)[0]

    def field_key(self, target: Target, sources: Sequence[str]) -> str:
        """Name the pixel files of a target by path, size and time of change; "" where there are none."""
        paths = _pixel_paths(sources)
        told = [(str(path), (signature(path) or ())[2:4]) for path in paths]  # size, and time of change
        return hashlib.sha256(json.dumps(told).encode()).hexdigest() if paths else ""

    def field_of(self, target: Target, sources: Sequence[str], products: Sequence[Product]) -> "Field":
        """Read the pixels that lie beside these products; a folder holds no catalogue of their neighbours.

        Raises
        ------
        ArchiveUnavailable
            If the disk failed to answer.
        """
        from hunter.field import gathered

        sectors = [product.sector for product in products if product.sector is not None]
        images, notes = self._read_pixels(sources, sectors)
        return gathered(target, images, (), self.models, {product: Path(product.uri) for product in products}, notes)

    def _read_pixels(
        self, sources: Sequence[str], sectors: Collection[int]
    ) -> tuple[tuple[TargetPixels, ...], list[str]]:
        """The best pixel file of each sector that is whole, and why others are not."""
        found: dict[int | None, list[tuple[tuple, Path]]] = {}
        for path in _pixel_paths(sources):
            identity = pixel_files.identify(path)
            sector = None if identity is None else identity.sector
            if identity is None or not sectors or sector in sectors:
                rank = () if identity is None else _rank_of_pixels(identity)
                found.setdefault(sector, []).append((rank, path))
        read: list[TargetPixels] = []
        notes: list[str] = []
        for sector in sorted(found, key=lambda sector: sector or 0):
            for _, path in sorted(found[sector], reverse=True):
                try:
                    read.append(pixel_files.read(path))
                    break
                except UnusableData as error:
                    notes.append(f"{path.name}: {error}")
        return tuple(read), notes

    def _pixels_beside(self, entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
        """The pixel files of each target of which a light curve of the same sector lies here."""
        if not any(entry.holds_pixels for entry in entries):
            return {}
        targets: dict[tuple[str, str, str, int | None], tuple[str, str]] = {}
        places: dict[int | None, list[tuple[Star, tuple[str, str]]]] = {}
        for entry in entries:
            identity = entry.identity
            if identity is None or entry.holds_pixels or entry.foreign or not self._wanted(entry):
                continue
            name = (identity.kind, identity.target_key(entry.path, self.combine))
            targets[identity.kind, identity.key, identity.mission, identity.sector] = name
            places.setdefault(identity.sector, []).append((identity.star, name))
        beside: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            if not entry.holds_pixels or entry.identity is None:
                continue
            identity = entry.identity
            found = targets.get((identity.kind, identity.key, identity.mission, identity.sector))
            if found is None and not identity.key:
                near = (name for star, name in places.get(identity.sector, []) if _same_place(star, identity.star))
                found = next(near, None)
            if found is not None:
                beside.setdefault(found, []).append(entry)
        return beside

    def fetch(self, target: Target, sources: Sequence[str]) -> Fetched:
        """Check the files of one target and keep one product for each sector.

        The products of a sector are tried in the order of preference; where the best fails, the next serves.

        Raises
        ------
        UnusableData
            If no file passes; the message names the reasons.
        ArchiveUnavailable
            If the disk failed to answer for one of them.
        """
        paths = {source: Path(source) for source in sources if not source.startswith(PIXELS_AT)}
        return choose(target, paths, self.settings, self.combine, self._identify_source, self._check_source)

    def read(self, product: Product) -> Observation:
        """Read a checked product; a file changed since is refused.

        What this process has just decoded from the bytes that it checked is handed out once, if the file is still the
        one it was (device, number, size and times of it); else the file is read and its sha256 compared again.

        Raises
        ------
        UnusableData
            If the file changed or vanished since it was checked.
        ArchiveUnavailable
            If the disk failed to answer.
        """
        observation = self._fresh.take(product, Path(product.uri))
        return formats.read(product, self.settings.columns) if observation is None else observation

    def kept_bytes(self) -> tuple[int, ...]:
        """The sizes of what was checked and not yet read, the oldest first."""
        return self._fresh.sizes()

    def ignored_line(self) -> str:
        """One line that counts and names what was left aside; empty where nothing was."""
        if not self.ignored:
            return ""
        names = ", ".join(path for path, _ in self.ignored[:NAMED_AT_MOST])
        more = f" and {len(self.ignored) - NAMED_AT_MOST} more" if len(self.ignored) > NAMED_AT_MOST else ""
        files = "file that is" if len(self.ignored) == 1 else "files that are"
        return f"{len(self.ignored)} {files} no light curve left aside: {names}{more}"

    # ---- what choosing asks

    def _identify_source(self, source: str, path: Path) -> Identity:
        if "\\" in source and not path.exists():  # `_shown` has escaped it
            raise UnusableData(UNWRITABLE_NAME)
        if not self._root.exists():
            raise ArchiveUnavailable(f"the folder {self._root} is not there: is the disk mounted?")
        return formats.identify(path)

    def _check_source(self, source: str, path: Path) -> formats.Checked:
        seen = signature(path)
        checked = formats.check(path, self.settings.columns, source)
        self._fresh.keep(checked, seen)
        return checked

    # ---- walking and remembering

    @property
    def _root(self) -> Path:
        """The folder that relative paths start from: that of the file, where one file was given."""
        return self.folder.parent if self.folder.is_file() else self.folder

    def _nothing(self) -> str:
        if not self.ignored:
            return f"{self.asked} is empty: put light curves in it, or name another folder in [archive] source"
        path, reason = self.ignored[0]
        if len(self.ignored) == 1:
            return f"{self.asked} holds no light curve: {path}: {reason}"
        return f"{self.asked} holds no light curve among {len(self.ignored)} files (the first: {path}: {reason})"

    def _entries(self) -> list[Entry]:
        """Every file below the folder with what it is, from the index where it has not changed."""
        if not os.path.lexists(self.folder):
            raise ArchiveEmpty(f"{self.asked} does not exist: name a folder of light curves in [archive] source")
        try:
            os.stat(self.folder)
            if not self.folder.is_file():
                os.listdir(self.folder)
        except OSError as error:
            raise ArchiveEmpty(f"{self.asked} cannot be read: {error.strerror}; check its permissions") from error
        known = self._remembered()
        entries = []
        asked = map(_status, sorted(self._root / name for name in self.only)) if self.only else _tree(self.folder)
        for path, facts in asked:
            relative = os.path.relpath(path, self._root)
            if isinstance(facts, str):
                entries.append(_beside(path, relative, facts))
                continue
            old = known.get(relative)
            if old is not None and (old.size, old.mtime_ns) == (facts.st_size, facts.st_mtime_ns):
                entries.append(old)
            else:
                entries.append(_look(path, relative, facts))
        # what could not be looked at may be readable the next time: it is not remembered
        lasting = {entry.path: entry for entry in entries if entry.mtime_ns}
        if self.index is not None and lasting != known and not self.only:
            self._remember(self.index, list(lasting.values()))
        return entries

    def _remembered(self) -> dict[str, Entry]:
        """The index of the last start; empty where there is none, it is damaged, or of another folder."""
        if self.index is None:
            return {}
        try:
            first, *lines = self.index.read_text("utf-8").splitlines()
            if json.loads(first) != self._heading():
                return {}
            records = [json.loads(line) for line in lines]
            return {r[0]: Entry(r[0], r[1], r[2], r[3] and Identity.from_json(r[3]), r[4], r[5]) for r in records}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            log.warning("%s is damaged and made anew: %s", self.index, error)
            return {}

    def _heading(self) -> dict[str, object]:
        return {"index": INDEX_VERSION, "folder": str(self._root)}

    def _remember(self, index: Path, entries: Sequence[Entry]) -> None:
        """Write the index beside itself and rename it; without it the next start is only slower."""
        lines = [json.dumps(self._heading())]
        for e in entries:
            identity = e.identity and e.identity.to_json()
            lines.append(json.dumps([e.path, e.size, e.mtime_ns, identity, e.refusal, e.foreign]))
        partial = index.with_name(f"{index.name}.{os.getpid()}.part")
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text("\n".join(lines) + "\n", "utf-8")
            os.replace(partial, index)
        except OSError as error:
            log.warning("%s could not be written, so that every start reads all headers: %s", index, error)
            with contextlib.suppress(OSError):  # the folder may be what is missing
                partial.unlink()


def _tree(folder: Path) -> Iterator[tuple[Path, os.stat_result | str]]:
    """Every file below a folder in order of name, with its status or why it has none.

    Links are followed; a folder reached a second time is left out, so that loops end.
    """
    if folder.is_file():
        yield folder, folder.stat()
        return
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            facts = here.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            names = sorted(os.listdir(here))
        except OSError as error:
            yield here, f"a folder that cannot be read: {error.strerror}"
            continue
        folders = []
        for name in names:
            path = here / name
            if name.startswith("."):
                yield path, "hidden"
                continue
            _, status = _status(path)
            if not isinstance(status, str) and stat.S_ISDIR(status.st_mode):
                folders.append(path)
            else:
                yield path, status
        waiting += reversed(folders)


def _status(path: Path) -> tuple[Path, os.stat_result | str]:
    """A path with its status, or with why it is neither a plain file nor a folder."""
    try:
        facts = path.stat()
    except OSError as error:
        return path, str(formats.unreadable(error, path))
    if stat.S_ISDIR(facts.st_mode) or stat.S_ISREG(facts.st_mode):
        return path, facts
    return path, "it is a pipe or a device, not a plain file"


def _claims_data(path: Path) -> bool:
    """Whether a name promises a light curve; decides only if a file that is none is worth a target of its own."""
    name = path.name.lower()
    return formats.looks_like_fits(path) or name.removesuffix(".gz").endswith(TABLE_SUFFIXES[:2])


def _shown(relative: str) -> str:
    """A path as text that can be stored and printed on one line."""
    if relative.isprintable():
        return relative
    return os.fsencode(relative).decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")


def _beside(path: Path, relative: str, reason: str) -> Entry:
    """An entry for what could not even be looked at."""
    if reason != "hidden" and _claims_data(path):
        return Entry(_shown(relative), 0, 0, refusal=reason)
    return Entry(_shown(relative), 0, 0, foreign=reason)


def _look(path: Path, relative: str, facts: os.stat_result) -> Entry:
    """Find out what a file is."""
    entry = Entry(_shown(relative), facts.st_size, facts.st_mtime_ns)
    if not relative.isprintable():
        return replace(entry, refusal=UNWRITABLE_NAME)
    name = path.name.lower()
    try:
        head = _head(path)
        if not head.startswith(formats.FITS_MAGIC) and not formats.looks_like_fits(path):
            if name.endswith(ARCHIVE_SUFFIXES):
                return replace(entry, refusal="it is a packed archive: unpack it, then hunt the folder")
            if not name.removesuffix(".gz").endswith(TABLE_SUFFIXES):
                return replace(entry, foreign="neither FITS nor a table of text")
        return replace(entry, identity=formats.identify(path))
    except NotALightCurve as error:
        return replace(entry, foreign=str(error))
    except UnusableData as error:
        pixels = pixel_files.identify(path)
        if pixels is not None or _claims_data(path) or name.endswith(ARCHIVE_SUFFIXES):
            return replace(entry, refusal=str(error), identity=pixels)
        return replace(entry, foreign=str(error))
    except ArchiveUnavailable as error:
        # a target all the same: fetching it says that the disk did not answer, and it is tried again
        return Entry(entry.path, 0, 0, refusal=str(error))


def _digest(files: Sequence[Entry]) -> str:
    """Name some files by path, size and time of change; "" for none."""
    told = [(entry.path, entry.size, entry.mtime_ns) for entry in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest() if told else ""


def _pixel_paths(sources: Sequence[str]) -> list[Path]:
    return [Path(source.removeprefix(PIXELS_AT)) for source in sources if source.startswith(PIXELS_AT)]


def _rank_of_pixels(identity: Identity) -> tuple:
    """What orders pixel files of one sector, the best last: own images before cut-outs, two minutes, newest release."""
    return identity.author != "TESSCUT", -abs((identity.cadence_seconds or 1e9) - 120.0), identity.release


def _same_place(star: Star, other: Star) -> bool:
    if star.ra is None or star.dec is None or other.ra is None or other.dec is None:
        return False
    return separation(star.ra, star.dec, other.ra, other.dec) <= SAME_PLACE


def _head(path: Path) -> bytes:
    """The first bytes of what a file holds, unpacked."""
    with formats.open_plain(path) as stream:
        try:
            head = stream.read(len(formats.FITS_MAGIC))
            if not head.startswith(formats.GZIP_MAGIC):
                return head
            return inflate_head(head + stream.read(formats.HEAD_BYTES), len(formats.FITS_MAGIC))
        except OSError as error:
            raise formats.unreadable(error, path) from error
