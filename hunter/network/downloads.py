"""One file, fetched with one request where all goes well, verified before it gets its final name.

A body that breaks off is kept as ``.part`` and asked for from where it ended, if the archive still has the same file
(``If-Range``). A file that came whole and is unsound is moved aside as ``.bad`` with the reason and asked for again
from its first byte; the same content failing the same check three times is `Corrupt`. The final name appears only after
every check and an fsync of the file, and is followed by an fsync of its folder.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from hunter.network.door import WEB_PAGE, Door, Reply
from hunter.network.errors import ArchiveUnavailable, Corrupt, Faltered, Missing, shown
from hunter.network.verifying import BINDING, Expected, Release, Unsound, verify, whole_length

log = logging.getLogger(__name__)

SAME_FAILURES = 3  # of one content at one check: then it is the file, not the way here
PART, NOTES, BAD, REASON = ".part", ".part.json", ".bad", ".bad.txt"

Refused = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch, and what it is to hold; what is None or empty is not compared."""

    uri: str  # what it is known by: mast:TESS/product/...
    urls: tuple[str, ...]  # where it may be had; the next serves where one fails
    size: int | None = None  # bytes as a catalogue believes: a hint, and only logged where it is wrong
    star: str = ""  # number of the TIC, KIC or EPIC
    sector: int | None = None
    cadence_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that lies here and passed every check."""

    uri: str
    path: Path
    size: int
    sha256: str
    etag: str | None
    processing: str  # PROCVER
    data_release: int | None  # DATA_REL
    created: str  # DATE
    retrieved_at: float  # seconds since 1970
    requests: int  # how many it took; 0 where it was here already


def fetch(door: Door, wanted: Wanted, path: Path, refused: Refused | None = None) -> Downloaded:
    """Fetch one file to ``path``, or find it there.

    Parameters
    ----------
    door : Door
    wanted : Wanted
    path : Path
        Its final name. A sound file that lies there already is taken as it is, without a request.
    refused : callable of (check, sha256), optional
        Notes that a content failed a check, and gives how often it has by now; by default counted for this call alone.

    Raises
    ------
    Corrupt
        If the archive gave the same unsound content three times.
    Missing
        If no address has it.
    ArchiveUnavailable
        And its kinds, if it could not be had now.
    OSError
        If the disk is full or cannot be written.
    """
    counts: Counter[tuple[str, str]] = Counter()

    def count(check: str, sha256: str) -> int:
        counts[check, sha256] += 1
        return counts[check, sha256]

    path.parent.mkdir(parents=True, exist_ok=True)
    with _owned(path) as part:
        found = adopt(wanted, path, door.now())
        if found is not None:
            return found
        failures: list[Exception] = []
        requests = 0
        for url in wanted.urls:
            attempt = _Attempt(door, wanted, url, part, refused or count)
            try:
                return attempt.run(path, requests)
            except (ArchiveUnavailable, Missing, Corrupt) as error:
                failures.append(error)
                requests += attempt.requests
                if len(failures) < len(wanted.urls):
                    log.info("%s; the next address is tried", error)
    # what may be had later goes before what is lost: one address may be away while another lacks the file
    for kind in (ArchiveUnavailable, Corrupt, Missing):
        for failure in failures:
            if isinstance(failure, kind):
                raise failure
    raise ValueError(f"{wanted.uri}: no address to fetch it from")


def adopt(wanted: Wanted, path: Path, now: float) -> Downloaded | None:
    """Take a sound file that lies at its final name already; an unsound one is moved aside."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        release = verify(raw, _expected(wanted))
    except Unsound as error:
        log.warning("%s: a file that lies here is unsound and is fetched again: %s", wanted.uri, error)
        _set_aside(path, path, str(error))
        return None
    return _downloaded(wanted, path, raw, None, release, now, 0)


def _expected(wanted: Wanted) -> Expected:
    binding = BINDING.match(wanted.uri) is not None
    return Expected(wanted.star, wanted.sector, wanted.cadence_seconds, binding)


def _downloaded(
    wanted: Wanted, path: Path, raw: bytes, etag: str | None, release: Release, now: float, requests: int
) -> Downloaded:  # fmt: skip
    return Downloaded(
        uri=wanted.uri,
        path=path,
        size=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        etag=etag,
        processing=release.processing,
        data_release=release.data_release,
        created=release.created,
        retrieved_at=now,
        requests=requests,
    )


class _Attempt:
    """The attempts to have a file from one address."""

    def __init__(self, door: Door, wanted: Wanted, url: str, part: "_Part", refused: Refused) -> None:
        self._door, self._wanted, self._url, self._part, self._refused = door, wanted, url, part, refused
        self.requests = 0

    def run(self, path: Path, before: int) -> Downloaded:
        """Ask until the file is here and sound, or raise."""
        failures = 0
        while True:
            self.requests += 1
            try:
                told = self._part.pull(self._door, self._url)
                raw = self._part.contents()
                release = verify(raw, _expected(self._wanted), told)
            except Missing:
                self._part.discard()
                raise
            except Unsound as error:
                failure = self._unsound(error)
            except Faltered as error:
                failure = error
            else:
                return self._done(path, raw, release, before)
            failures += 1
            if failures >= self._door.settings.attempts:
                raise Faltered(f"{failure} ({failures} attempts)")
            log.info("%s: attempt %d", failure, failures)
            self._door.faltered(self._url, failures)

    def _done(self, path: Path, raw: bytes, release: Release, before: int) -> Downloaded:
        """Give a sound file its name."""
        if self._wanted.size is not None and self._wanted.size != len(raw):
            log.info("%s has %d bytes, and the catalogue says %d", self._wanted.uri, len(raw), self._wanted.size)
        etag = self._part.etag or None
        self._part.finish(path)
        _beside(path, BAD).unlink(missing_ok=True)  # the reason stays; the unsound bytes have nothing more to tell
        return _downloaded(self._wanted, path, raw, etag, release, self._door.now(), before + self.requests)

    def _unsound(self, error: Unsound) -> Faltered:
        """Say what became of an unsound file that another attempt may mend; raises Corrupt where none will."""
        raw = self._part.contents()
        message = f"{shown(self._url)}: {error}"
        if not raw.strip() or raw[:512].lstrip().lower().startswith(WEB_PAGE):
            self._part.discard()  # an archive under repair, not a file
            return Faltered(message)
        sha256 = hashlib.sha256(raw).hexdigest()
        times = self._refused(error.check, sha256)
        if times >= SAME_FAILURES:
            self._part.set_aside(str(error))
            raise Corrupt(f"{message} ({times} downloads of the same content)", error.check, sha256) from None
        if not (error.more and self._part.resumable):
            self._part.set_aside(str(error))
        return Faltered(message)


class _Part:
    """The beginning of a file, and what it takes to ask for the rest."""

    def __init__(self, final: Path, stream: FileIO) -> None:
        self._final, self._stream = final, stream
        self._notes = final.with_name(final.name + NOTES)
        self._source = ""  # digest of the address it came from, which may hold a token
        self._validator = ""  # what If-Range compares: an ETag that is not weak, or a date
        self.etag = ""
        self._recall()

    @property
    def size(self) -> int:
        return os.fstat(self._stream.fileno()).st_size

    @property
    def resumable(self) -> bool:
        return bool(self._validator) and self.size > 0

    def contents(self) -> bytes:
        self._stream.seek(0)
        return self._stream.readall()

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[self._stream.write(rest) :]

    def pull(self, door: Door, url: str) -> bool:
        """One request: the whole, or the rest of what is here.

        Returns
        -------
        bool
            Whether the archive told how long the file is.

        Raises
        ------
        Faltered
            If another attempt may give it; what came so far is kept where the rest can be asked for.
        Unsound
            If more was promised than a whole file has.
        """
        source = hashlib.sha256(url.encode()).hexdigest()
        if source != self._source or not self.resumable:
            self.discard()
        headers = {"Accept-Encoding": "identity"}  # so that ranges count the bytes of the file
        begin = self.size
        if begin:
            headers |= {"Range": f"bytes={begin}-", "If-Range": self._validator}
        with door.stream(url, headers) as reply:
            self._accept(reply, url, begin)
            encoded = reply.header("Content-Encoding").lower() not in ("", "identity")
            if reply.status == 200:
                self._restart(reply, source, encoded)
            self._stream.seek(0, os.SEEK_END)
            try:
                for piece in reply.pieces():
                    self._write(piece)
            except Faltered:
                self._broken_off()
                raise
            except (ArchiveUnavailable, OSError):  # too much to be a light curve, or to be kept: a disk may be full
                self.discard()
                raise
            return bool(reply.header("Content-Length") or reply.header("Transfer-Encoding"))

    def _accept(self, reply: Reply, url: str, begin: int) -> None:
        """Refuse a reply that is no part of this file; raises Faltered, with nothing kept that could be wrong."""
        trouble = ""
        if reply.status == 206:
            place = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", reply.header("Content-Range"))
            etag = reply.header("ETag")
            if not begin or place is None or int(place.group(1)) != begin:
                trouble = "another part than the one asked for"
            elif etag and self.etag and etag != self.etag:
                trouble = "part of another file: its ETag has changed"
            elif reply.header("Content-Encoding").lower() not in ("", "identity"):
                trouble = "a part that is compressed by itself"
        elif reply.status == 416:
            trouble = "416: it has no more than is here"
        elif reply.status != 200:
            trouble = f"{reply.status} where a file was asked for"
        elif reply.header("Content-Type").lower().startswith("text/html"):
            trouble = "a web page where a file was asked for"
        if trouble:
            self.discard()
            raise Faltered(f"{shown(url)} answered with {trouble}")

    def _restart(self, reply: Reply, source: str, encoded: bool) -> None:
        """Begin at byte 0, and note what the rest could be asked for with."""
        self.discard()
        etag = reply.header("ETag")
        self.etag = etag
        strong = etag if etag and not etag.startswith("W/") else reply.header("Last-Modified")
        self._source, self._validator = source, "" if encoded else strong
        if self._validator:
            notes = {"source": source, "validator": self._validator, "etag": etag}
            self._notes.write_text(json.dumps(notes), "utf-8")

    def _broken_off(self) -> None:
        """Keep what came if the rest can be asked for; raises Unsound for a whole file of which more was promised."""
        raw = self.contents()
        if not self.resumable or not raw.startswith(b"SIMPLE"[: len(raw)]):
            self.discard()
        elif whole_length(raw) == len(raw):
            raise Unsound("length", f"it ends at byte {len(raw)} as its headers say, and more was promised")

    def finish(self, path: Path) -> None:
        """Give it its final name, for good."""
        os.fsync(self._stream.fileno())
        os.replace(_beside(path, PART), path)
        _sync_folder(path.parent)
        self._notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what came."""
        self._stream.seek(0)
        self._stream.truncate()
        self._source = self._validator = self.etag = ""
        self._notes.unlink(missing_ok=True)

    def set_aside(self, reason: str) -> None:
        """Keep what came as ``.bad`` for a person to look at, with the reason, and begin anew."""
        with contextlib.suppress(OSError):  # a full disk is told by the next byte that is to be kept
            _beside(self._final, BAD).write_bytes(self.contents())
            _beside(self._final, REASON).write_text(reason + "\n", "utf-8")
        self.discard()

    def _recall(self) -> None:
        """Read what an earlier process noted; without it the file begins anew."""
        try:
            notes = json.loads(self._notes.read_text("utf-8"))
            source, validator, etag = (str(notes[name]) for name in ("source", "validator", "etag"))
        except (OSError, ValueError, KeyError, TypeError):
            return
        self._source, self._validator, self.etag = source, validator, etag


@contextmanager
def _owned(path: Path) -> Iterator[_Part]:
    """The ``.part`` of a file, which no other thread or process writes at the same time."""
    place = _beside(path, PART)
    while True:
        stream = os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644), "r+b", 0)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise ArchiveUnavailable(f"{path.name} is being fetched by another process at this moment") from None
        # between opening and locking, its owner may have finished it: then this is the finished file
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(place)):
                break
        stream.close()
    try:
        part = _Part(path, stream)
        yield part
    finally:
        # an empty one is of no use to anybody
        with contextlib.suppress(OSError):
            if os.fstat(stream.fileno()).st_size == 0 and os.path.samestat(os.fstat(stream.fileno()), os.stat(place)):
                place.unlink()
        stream.close()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _set_aside(path: Path, final: Path, reason: str) -> None:
    os.replace(path, _beside(final, BAD))
    _beside(final, REASON).write_text(reason + "\n", "utf-8")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
