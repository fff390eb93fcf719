"""Where files come from: a supplier has one file here, checked, or says why it cannot be had."""

import errno
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from candidates.files import write_durably
from hunter.archives.mast.names import download_url, read_uri
from hunter.archives.mast.portal import Portal
from hunter.archives.settings import FAR
from hunter.network.door import Door
from hunter.network.downloads import Wanted
from hunter.network.files import GONE, FileStore, Pause
from hunter.network.s3 import url_of
from hunter.settings import Settings
from state.products import Products
from state.rows import Claim, FetchedProduct
from state.store import State

log = logging.getLogger(__name__)

CADENCES = {"SPOC-120": 120.0, "SPOC-20": 20.0}  # seconds; of the others only the file tells


class Supplier(Protocol):
    """Where files come from and where they lie; threads ask it."""

    def get(self, source: str) -> FetchedProduct | None:
        """Have one file here, checked; None if it was here before.

        Raises
        ------
        ArchiveUnavailable, Missing, Corrupt
            As hunter/network/errors.py says.
        OSError
            If it cannot be stored.
        """
        ...

    def give_up(self, source: str, reason: str) -> None:
        """Note that this one will not be had; whoever reads the target's files is told why."""
        ...

    def pause(self, needed: int) -> str:
        """Why nothing more may be fetched just now, empty if all is well; makes room for so many bytes where it can."""
        ...


class FarSupplier:
    """Files of MAST or of its bucket, through the door into the store."""

    def __init__(self, settings: Settings, state: State, door: Door) -> None:
        self.settings, self.door = settings, door
        self.products = Products(state)
        self.store = file_store(settings)

    def get(self, source: str) -> FetchedProduct | None:
        uri, version = split(source)
        row = self.products.get([uri]).get(uri)
        if row is not None and row["path"] and row["version"] == version and self.store.at(row["path"]).exists():
            return None
        size = None if row is None else row["size_advised"]
        refused = self._counter(uri)
        found = self.store.fetch(self.door, wanted(self.settings, uri, size), version, refused)
        if isinstance(found, Pause):
            raise OSError(errno.EAGAIN, found.reason)
        return FetchedProduct(
            uri,
            self.store.relative(found.path),
            found.size,
            found.sha256,
            found.etag,
            found.processing,
            found.data_release,
            found.created,
            found.retrieved_at,
        )

    def _counter(self, uri: str) -> Callable[[str, str], int]:
        return lambda check, sha256: self.products.refused(uri, check, sha256)

    def give_up(self, source: str, reason: str) -> None:
        note = gone_note(self.store, source)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_durably(note, reason.encode("utf-8", "backslashreplace"))

    def pause(self, needed: int) -> str:
        held = self.store.pause() or self.store.make_room(self.products, needed)
        return "" if held is None else held.reason


def file_store(settings: Settings) -> FileStore:
    """The verified files of this hunt."""
    return FileStore(settings.home / "cache" / "files", settings.files)


def split(source: str) -> tuple[str, str]:
    """URI and version of a source: ``mast:...#2`` is the second file under that name."""
    uri, _, version = source.partition("#")
    return uri, version


def gone_note(store: FileStore, source: str) -> Path:
    """Where it is noted that this file will not be had."""
    place = store.place(*split(source))
    return place.with_name(place.name + GONE)


def wanted(settings: Settings, uri: str, size: int | None = None) -> Wanted:
    """What is asked for under a URI: its addresses, in order, and what the file has to say of itself."""
    archive = settings.archive
    here = download_url(archive.mast_url, uri)
    bucket = url_of(archive.s3_endpoint, uri) if archive.source == "s3" else None
    urls = (here,) if bucket is None else (bucket, here)
    name = read_uri(uri)
    if name is None:
        return Wanted(uri, urls, size)
    return Wanted(uri, urls, size, name.key, name.sector, CADENCES.get(name.product))


def open_door(settings: Settings, state: State) -> Door:
    """The way out to the network; what it learns of a host outlives this process."""
    if settings.archive.source in FAR and not settings.network.contact:
        log.warning("no archive can reach you: set [network] contact to a web page or address of yours")
    return Door(settings.network, state)


def open_portal(settings: Settings, door: Door) -> Portal:
    """MAST's portal, asked through the door."""
    return Portal(door.session(), settings.archive.mast_url, settings.home / "cache" / "archive")


def describer(settings: Settings, door: Door) -> Callable[[Iterable[Claim]], dict[int, dict[str, float | None]]]:
    """What tells of the stars of some claims what the TESS Input Catalog knows, by the number of the target."""
    portal = open_portal(settings, door)

    def describe(claims: Iterable[Claim]) -> dict[int, dict[str, float | None]]:
        numbers = {claim.id: int(claim.key.split()[0]) for claim in claims if claim.kind == "TIC"}
        if not numbers:
            return {}
        with door.asking():
            stars = portal.stars(numbers.values())
        return {target: asdict(stars[tic]) for target, tic in numbers.items() if tic in stars}

    return describe
