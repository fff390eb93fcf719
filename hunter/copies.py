"""Texts of the network with the last good copy of each on disk: asked for by condition, replaced only by a good one."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from candidates.files import write_durably
from pipeline.errors import ArchiveUnavailable

MAX_BYTES = 64 * 2**20  # 160,000 files of 250 bytes a line are 40 MB
PIECE = 2**18
LONGEST_SECONDS = 600.0  # for a whole text

_Meaning = TypeVar("_Meaning")


class Session(Protocol):
    """What asks over the network; ``requests.Session`` is one."""

    def get(self, url: str, **options: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Copy(Generic[_Meaning]):
    """A text, and what it was read as."""

    meaning: _Meaning
    sha256: str
    etag: str | None
    modified: str | None  # Last-Modified, as the server wrote it
    checked_at: float  # seconds since 1970: when the server last said that it stands
    fresh: bool  # False: the server said that the copy at hand is still right


class Copies:
    """Copies in one folder.

    Parameters
    ----------
    session : Session
        What goes out to the network; its timeouts, retries and manners are its own.
    folder : Path
        Deleting it costs downloads, nothing else.
    now : callable
        Seconds since 1970.
    clock : callable
        Seconds of a clock that never jumps, for the deadline.
    """

    def __init__(
        self,
        session: Session,
        folder: Path,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._folder = folder
        self._now = now
        self._clock = clock

    def kept(self, name: str, read: Callable[[bytes], _Meaning]) -> Copy[_Meaning] | None:
        """The copy at hand; None where there is none, or it is not what was stored."""
        place = self._folder / name
        try:
            said = json.loads(_note(place).read_text("utf-8"))
            content = place.read_bytes()
            if hashlib.sha256(content).hexdigest() != said["sha256"]:
                return None
            return Copy(
                read(content), said["sha256"], said["etag"], said["modified"], float(said["checked_at"]), fresh=False
            )
        except (OSError, ValueError, KeyError, TypeError, ArchiveUnavailable):
            return None

    def ask(self, url: str, name: str, read: Callable[[bytes], _Meaning]) -> Copy[_Meaning] | None:
        """The text at ``url`` as it stands now; None where the server says that there is none (404, 410).

        The question carries the ETag and the date of the copy at hand: an unchanged text is not sent again.

        Parameters
        ----------
        url : str
        name : str
            Of the copy in the folder.
        read : callable
            Makes sense of the bytes, or raises ArchiveUnavailable: such an answer does not replace the copy.

        Raises
        ------
        ArchiveUnavailable
            If there is no answer, or none that can be trusted.
        """
        kept = self.kept(name, read)
        headers = {"Accept": "*/*"}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.modified:
            headers["If-Modified-Since"] = kept.modified
        status, said, content = get(self._session, url, headers, clock=self._clock)
        if status == 304 and kept is not None:
            kept = replace(kept, checked_at=self._now())
            self._note(name, kept)
            return kept
        if status in (404, 410):
            return None
        if status != 200:
            raise ArchiveUnavailable(f"unknown: {url} answers {status}")
        if "html" in said.get("Content-Type", "").lower():
            raise ArchiveUnavailable(f"unknown: {url} answers with a page of HTML")
        digest = hashlib.sha256(content).hexdigest()
        copy = Copy(read(content), digest, said.get("ETag"), said.get("Last-Modified"), self._now(), fresh=True)
        with suppress(OSError):  # a full disk: the next question costs a download
            write_durably(self._folder / name, content)
            self._note(name, copy)
        return copy

    def _note(self, name: str, copy: Copy[Any]) -> None:
        note = {"sha256": copy.sha256, "etag": copy.etag, "modified": copy.modified, "checked_at": copy.checked_at}
        with suppress(OSError):
            write_durably(_note(self._folder / name), json.dumps(note).encode())


def _note(place: Path) -> Path:
    return place.with_name(place.name + ".json")


def get(
    session: Session,
    url: str,
    headers: Mapping[str, str],
    *,
    most: int = MAX_BYTES,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of one answer, whole.

    Raises
    ------
    ArchiveUnavailable
        If none came, it broke off, is longer than ``most`` bytes, or took longer than LONGEST_SECONDS.
    """
    import requests

    until = clock() + LONGEST_SECONDS
    try:
        with closing(session.get(url, headers=dict(headers), stream=True)) as answer:
            pieces, size = [], 0
            for piece in answer.iter_content(PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    raise ArchiveUnavailable(f"unknown: {url} sends more than {most // 2**20} MB")
                if clock() > until:
                    raise ArchiveUnavailable(f"unknown: {url} has not ended after {LONGEST_SECONDS:.0f} s")
            content = b"".join(pieces)
            stated = answer.headers.get("Content-Length", "")
            encoded = answer.headers.get("Content-Encoding", "identity") not in ("", "identity")
            if answer.status_code == 200 and stated.isdigit() and not encoded and int(stated) != size:
                raise ArchiveUnavailable(f"unknown: {url} was cut: {size} bytes of {stated}")
            return answer.status_code, answer.headers, content
    except requests.RequestException as error:
        raise ArchiveUnavailable(f"unknown: {url}: {type(error).__name__}: {error}") from error
