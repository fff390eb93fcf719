"""Texts of the network with the last good copy of each on disk: asked for by condition, replaced only by a good one."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from candidates.files import write_durably
from hunter.network.errors import Missing
from pipeline.errors import ArchiveUnavailable

_Meaning = TypeVar("_Meaning")


class Session(Protocol):
    """What asks over the network: ``requests.Session``, or that of the door, whose manners are its own."""

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
        What goes out to the network.
    folder : Path
        Deleting it costs downloads, nothing else.
    now : callable
        Seconds since 1970.
    """

    def __init__(self, session: Session, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._session = session
        self._folder = folder
        self._now = now

    def kept(self, name: str, read: Callable[[bytes], _Meaning]) -> Copy[_Meaning] | None:
        """The copy at hand; None where there is none, or it is not what was stored."""
        return kept(self._folder / name, read)

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
        at_hand = self.kept(name, read)
        headers = {"Accept": "*/*"}
        if at_hand is not None and at_hand.etag:
            headers["If-None-Match"] = at_hand.etag
        if at_hand is not None and at_hand.modified:
            headers["If-Modified-Since"] = at_hand.modified
        status, said, content = get(self._session, url, headers)
        if status == 304 and at_hand is not None:
            at_hand = replace(at_hand, checked_at=self._now())
            self._note(name, at_hand)
            return at_hand
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


def kept(place: Path, read: Callable[[bytes], _Meaning]) -> Copy[_Meaning] | None:
    """The copy that lies at a place; None where there is none, or it is not what was stored."""
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


def _note(place: Path) -> Path:
    return place.with_name(place.name + ".json")


def get(session: Session, url: str, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of one answer, whole.

    Raises
    ------
    ArchiveUnavailable
        If none came, or it broke off.
    """
    import requests

    try:
        answer = session.get(url, headers=dict(headers))
        return answer.status_code, answer.headers, answer.content
    except Missing:
        return 404, {}, b""
    except requests.RequestException as error:
        raise ArchiveUnavailable(f"unknown: {url}: {type(error).__name__}") from error
