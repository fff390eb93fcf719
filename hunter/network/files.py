"""The store of downloaded files: verified, named after their URI, within a quota, and never the only truth.

Deleting it costs time and never a result. What lies here and has a row in the state is known to be sound; a file
without a row was finished by a process that died before it could say so, and is taken over by the next who wants it.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from hunter.network.door import Door
from hunter.network.downloads import BAD, NOTES, PART, REASON, Downloaded, Refused, Wanted, fetch
from hunter.network.settings import FilesSettings

log = logging.getLogger(__name__)

GONE = ".gone"  # beside the place of a file that will not be had: why
LONGEST_NAME = 120  # characters of a URI's last part that are kept, from its end
PART_SECONDS = 86400.0  # a beginning nobody owns is kept so long
ORPHAN_SECONDS = 86400.0  # and so long a finished file that no row knows
BAD_SECONDS = 30 * 86400.0  # and so long a file that failed a check
AT_ONCE = 200  # files removed together
LOOKED_UP = 2000  # files looked up together


@dataclass(frozen=True, slots=True)
class Pause:
    """No download may begin now; ask again later, for the reason may pass by itself."""

    reason: str


class Products(Protocol):
    """What the store asks of the record of products (``state.products.Products``)."""

    def bytes_here(self) -> int:
        """Bytes of all files that lie here."""
        ...

    def evictable(self, limit: int) -> list[tuple[str, str, int]]:
        """URI, path and size of files that nobody needs, the longest unused first."""
        ...

    def gone(self, uris: Collection[str]) -> None:
        """Note that these no longer lie here."""
        ...

    def lying(self, paths: Collection[str]) -> set[str]:
        """Those of these paths that a row names."""
        ...


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left, whether or not the folder is there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class FileStore:
    """The files under one folder.

    Parameters
    ----------
    folder : Path
        Of the hunt: ``<home>/cache/files``.
    settings : FilesSettings
    now : callable
        Seconds since 1970.
    free : callable
        Bytes that the disk of a folder has left.
    """

    def __init__(
        self,
        folder: Path,
        settings: FilesSettings = FilesSettings(),
        *,
        now: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.settings = settings
        self._now, self._free = now, free
        self._trouble = ""

    # ---- names

    def place(self, uri: str, version: str = "") -> Path:
        """Where the file of a URI lies, or will lie: always inside the folder, whatever the URI says.

        Two URIs, and two versions of one, never share a place.
        """
        digest = hashlib.sha256(f"{uri}\n{version}".encode("utf-8", "surrogatepass")).hexdigest()
        name = re.sub(r"[^A-Za-z0-9._-]", "_", uri.rpartition("/")[2])[-LONGEST_NAME:].lstrip(".")
        if not name or name.endswith((PART, NOTES, BAD, REASON, GONE)):
            name += "_"
        return self.folder / digest[:2] / f"{digest[2:16]}-{name}"

    def relative(self, path: Path) -> str:
        """A place as the state keeps it, so that the home may be moved."""
        return path.relative_to(self.folder).as_posix()

    def at(self, relative: str) -> Path:
        """The place that the state names; raises ValueError where it would leave the folder."""
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{relative!r} is no file of the store")
        return self.folder / path

    # ---- fetching

    def fetch(
        self, door: Door, wanted: Wanted, version: str = "", refused: Refused | None = None
    ) -> Downloaded | Pause:
        """Fetch one file, or find it here; a disk that is full or cannot be written is a Pause and no error.

        Raises
        ------
        Corrupt, Missing, ArchiveUnavailable
            As ``hunter.network.downloads.fetch``.
        """
        held = self.pause()
        if held is not None:
            return held
        try:
            return fetch(door, wanted, self.place(wanted.uri, version), refused)
        except OSError as error:
            self._trouble = f"{self.folder} cannot be written: {error.strerror or error}"
            log.warning("%s; downloads pause until it can", self._trouble)
            return Pause(self._trouble)

    def pause(self) -> Pause | None:
        """Why no download may begin now; None where one may."""
        floor = self.settings.free_gb * 1e9
        try:
            free = self._free(self.folder)
        except OSError as error:
            return Pause(f"{self.folder} cannot be asked for its free space: {error.strerror or error}")
        if free < floor:
            left = f"{free / 1e9:.1f} GB left, and [files] free_gb keeps {self.settings.free_gb:g}"
            return Pause(f"the disk of {self.folder} has {left}")
        if self._trouble and not self._writable():
            return Pause(self._trouble)
        return None

    def _writable(self) -> bool:
        """Try whether what stopped the last write has passed."""
        probe = self.folder / f".probe.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"\0" * 2**16)
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        self._trouble = ""
        return True

    # ---- room

    def make_room(self, products: Products, needed: int = 0) -> Pause | None:
        """Remove files that nobody needs, the longest unused first, until ``needed`` bytes fit into the quota.

        The row is cleared before the file is removed: a file without a row is harmless, a row without its file is not.
        """
        excess = products.bytes_here() + needed - self.settings.quota_gb * 1e9
        while excess > 0:
            removable = products.evictable(AT_ONCE)
            if not removable:
                return Pause(
                    f"files that targets still need fill [files] quota_gb = {self.settings.quota_gb:g}: "
                    "raise it, or wait until they are worked off"
                )
            going = []
            for uri, path, size in removable:
                if excess <= 0:
                    break
                going.append((uri, path))
                excess -= size
            products.gone([uri for uri, _ in going])
            for _, path in going:
                self.at(path).unlink(missing_ok=True)
        return None

    def sweep(self, products: Products | None = None) -> int:
        """Remove what dead processes left and nobody came back for; returns how many files.

        Beginnings and files that failed a check go by age alone; finished files, where ``products`` is given, only if
        no row names them. What another process holds at this moment stays, and so do notes about files given up.
        """
        removed = 0
        finished: list[Path] = []
        for shard in self._shards():
            for path in sorted(shard.iterdir()):
                age = self._age(path)
                if path.name.endswith(PART):
                    removed += age > PART_SECONDS and _remove_unowned(path)
                elif path.name.endswith(NOTES):
                    removed += not path.with_name(path.name.removesuffix(".json")).exists() and _remove(path)
                elif path.name.endswith((BAD, REASON)):
                    removed += age > BAD_SECONDS and _remove(path)
                elif age > ORPHAN_SECONDS and not path.name.endswith(GONE):
                    finished.append(path)
        return removed if products is None else removed + self._remove_unknown(finished, products)

    def _remove_unknown(self, finished: list[Path], products: Products) -> int:
        removed = 0
        for start in range(0, len(finished), LOOKED_UP):
            some = {self.relative(path): path for path in finished[start : start + LOOKED_UP]}
            known = products.lying(some)
            removed += sum(_remove(path) for name, path in some.items() if name not in known)
        return removed

    def _shards(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if re.fullmatch(r"[0-9a-f]{2}", path.name))
        except OSError:  # none was made yet, or it cannot be read now: then there is nothing to sweep
            return []

    def _age(self, path: Path) -> float:
        try:
            return self._now() - path.stat(follow_symlinks=False).st_mtime
        except OSError:
            return 0.0


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError as error:  # it stays for the next sweep
        if not isinstance(error, FileNotFoundError):
            log.warning("%s cannot be removed: %s", path, error.strerror or error)
        return False
    return True


def _remove_unowned(path: Path) -> bool:
    """Remove a beginning that no process holds."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path.with_name(path.name + ".json"))
        return _remove(path)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
