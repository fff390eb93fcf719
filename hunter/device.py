"""One process owns the GPU: workers send it light curves to search, and it can be killed when it hangs.

A device that hangs takes its process with it, and a thread can't be killed: so no worker opens it. The child is
spawned, never forked, and lives as long as the hunt; requests of several workers are searched together. When it dies,
whoever waited for it gives its targets back and goes on with the CPU: nothing is lost or redone but that batch.

What is sent are bytes made by :func:`hunter.checkpoints.encode`: nothing that arrives is unpickled.
"""

import json
import multiprocessing
import os
import queue
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from hunter.checkpoints import Damaged, decode, encode
from hunter.outcomes import DeviceLost
from hunter.settings import Settings
from hunter.worker import choose_backend, die_with_parent, gpu_present
from pipeline.search import SearchSettings
from pipeline.types import LightCurve, SearchResult, Star

Search = Callable[[Sequence[LightCurve], SearchSettings, Sequence[Star]], list[SearchResult]]
LARGEST_MESSAGE = 2**30  # bytes
BEAT = 1.0  # seconds between two signs of life
HOUR = 3600.0  # in which so many new processes are started


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """The [device] table."""

    use: Literal["auto", "always", "never"] = "auto"  # one process owns the GPU; always: also where jax finds none
    limit_seconds: Annotated[float, Gt(0)] = 120.0  # for one batch; then the process is killed, and the CPU does it
    first_limit_seconds: Annotated[float, Gt(0)] = 600.0  # for the first batch of a process, which compiles
    batch: Annotated[int, Ge(1), Le(4096)] = 64  # light curves searched at once; halved where memory runs out
    memory_share: Annotated[float, Gt(0), Le(1)] = 0.75  # of the GPU's memory that the search may take
    restarts: Annotated[int, Ge(0)] = 3  # new processes in an hour; beyond that the hunt goes on with the CPU alone


class SearchFailed(Exception):
    """The search of a batch failed in the process of the device; the message is what it said there."""


def wanted(settings: Settings) -> bool:
    """Whether a process of its own is to own the device of this hunt."""
    use = settings.device.use
    if use == "never" or choose_backend(settings.compute.backend) != "jax":
        return False
    return use == "always" or gpu_present()


class Place:
    """Where the device's process listens, its key, and whether one lives; handed to workers as they are spawned."""

    def __init__(self, address: str, key: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.address = address
        self.key = key
        self._number = context.RawValue("i", 0)  # which process it is; 0: none
        self._ready = context.RawValue("b", 0)

    def __repr__(self) -> str:
        return f"Place({self.address!r})"  # the key is a secret

    @property
    def number(self) -> int:
        """Which process lives there, counted from 1; 0 if none does."""
        return int(self._number.value)

    @property
    def ready(self) -> bool:
        """Whether it listens already."""
        return bool(self._ready.value)

    def lives(self, number: int, ready: bool) -> None:
        """The engine's word on who lives here."""
        self._ready.value = ready
        self._number.value = number


# ---------------------------------------------------------------------------------------------------- the worker's end


@dataclass(slots=True)
class Device:
    """What a worker searches with where a process owns the device.

    Parameters
    ----------
    place : Place
    patience : float
        Seconds for a process to be born; the engine gives up long before.
    sleep : callable
        Between two looks at a process that is still being born.
    """

    place: Place
    patience: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    _connection: Connection | None = None
    _of: int = 0  # the process it is connected to
    _asked: int = 0
    _lost: int = 0  # the process that was lost

    def lives(self) -> bool:
        """Whether there is a process that was not lost before."""
        return self.place.number not in (0, self._lost)

    def search_many(
        self, curves: Sequence[LightCurve], settings: SearchSettings, stars: Sequence[Star]
    ) -> list[SearchResult]:
        """As :func:`pipeline.search.search_many` with backend "jax", on the device.

        Raises
        ------
        DeviceLost
            If the process is absent, dies, is killed for hanging, or has not the memory for a single light curve.
        SearchFailed
            If the search itself fails.
        """
        self._asked += 1
        try:
            connection = self._connected()
            connection.send_bytes(encode((self._asked, asdict(settings), tuple(curves), tuple(stars))))
            number, how, what = decode(connection.recv_bytes(LARGEST_MESSAGE))
        except (OSError, EOFError, Damaged, multiprocessing.AuthenticationError) as error:
            self.close()
            self._lost = self._of or self.place.number
            raise DeviceLost(f"the process of the device is gone ({type(error).__name__})") from error
        if number != self._asked:
            self.close()
            self._lost = self._of
            raise DeviceLost(f"the process of the device answered request {number} instead of {self._asked}")
        if how == "memory":
            raise DeviceLost(str(what))
        if how != "done":
            raise SearchFailed(str(what))
        return list(what)

    def _connected(self) -> Connection:
        number, until = self.place.number, time.monotonic() + self.patience
        while number and not self.place.ready:
            if time.monotonic() > until:
                raise EOFError("the process of the device does not begin to listen")
            self.sleep(0.05)  # the engine ends this: it is ready one day, or dead
            number = self.place.number
        if number == 0:
            raise EOFError("no process owns the device")
        if self._connection is None or self._of != number:
            self.close()
            self._of = number
            self._connection = Client(self.place.address, authkey=self.place.key)
        assert self._connection is not None
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# ---------------------------------------------------------------------------------------------------- the engine's end


@dataclass(slots=True)
class Keeper:
    """Keeps the process of the device alive: starts it, listens, kills it when it hangs, starts another.

    Parameters
    ----------
    settings : Settings
    log : callable
        Called with ``level, words`` when something happens that a person should find later.
    """

    settings: Settings
    log: Callable[[str, str], None] = lambda level, words: None
    place: Place = field(init=False)
    busy_since: float | None = None  # monotonic
    peak_memory: int | None = None  # bytes on the device, where jax tells
    batches: int = 0  # finished, of all processes
    largest: int = 0  # light curves in a batch
    size: int = field(init=False)  # light curves that fit
    process: Any = None
    _folder: Path = field(init=False)
    _connection: Any = None
    _heard: float = 0.0
    _first: bool = True  # no batch of this process is finished
    _born: int = 0
    _births: deque[float] = field(default_factory=deque)
    _given_up: bool = False

    def __post_init__(self) -> None:
        # not in the home, whose path may be longer than the address of a socket can be
        self._folder = Path(tempfile.mkdtemp(prefix="hunter-device-"))
        self.place = Place(str(self._folder / "socket"), secrets.token_bytes(32))
        self.size = self.settings.device.batch

    def start(self, now: float | None = None) -> None:
        """Start the process, unless one lives or too many have died."""
        if self.process is not None or self._given_up:
            return
        now = time.monotonic() if now is None else now
        while self._births and now - self._births[0] > HOUR:
            self._births.popleft()
        if len(self._births) > self.settings.device.restarts:
            self._given_up = True
            self.log(
                "error",
                f"the process of the device died {len(self._births)} times in an hour: the hunt goes on with the CPU "
                "alone; `hunter doctor` looks at the device",
            )
            return
        self._births.append(now)
        Path(self.place.address).unlink(missing_ok=True)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (self.settings.device, self.place.address, self.place.key, self.size, theirs)
        self.process = context.Process(target=main, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self._born += 1
        self._heard, self._first, self.busy_since = now, True, None
        self.place.lives(self._born, ready=False)

    def look(self, now: float | None = None) -> None:
        """Hear the process; kill it past its limit; start another in place of a dead one."""
        now = time.monotonic() if now is None else now
        if self.process is None:
            return
        alive = self.process.is_alive()
        self._listen(now)
        device = self.settings.device
        limit = device.first_limit_seconds if self._first else device.limit_seconds
        since = self._heard if self.busy_since is None else self.busy_since
        if alive and now - since > limit:
            self.log("error", f"the device has not answered for {now - since:.0f} s: its process is killed")
            self.process.kill()
            alive = False
        if not alive:
            self.place.lives(0, ready=False)
            self.process.join()
            self.log("warning", f"the process of the device ended with code {self.process.exitcode}")
            self._connection.close()
            self.process = self._connection = None
            self.start(now)

    def _listen(self, now: float) -> None:
        try:
            while self._connection.poll():
                word = json.loads(self._connection.recv_bytes())
                self._heard = now
                if word["is"] == "ready":
                    self.place.lives(self._born, ready=True)
                elif word["is"] == "busy":
                    self.busy_since = now
                    self.largest = max(self.largest, word["curves"])
                elif word["is"] == "idle":
                    self.busy_since, self._first = None, False
                    self.batches += 1
                    self.peak_memory = word["peak_memory"] or self.peak_memory
                elif word["is"] == "smaller":
                    self.size = word["size"]
                    self.log("warning", f"the device's memory is full: {self.size} light curves at once from now on")
        except (OSError, EOFError):
            pass  # it has died, which is seen by other signs

    def stop(self) -> None:
        """End the process and take its socket away."""
        self.place.lives(0, ready=False)
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self._connection.close()
            self.process = self._connection = None
        shutil.rmtree(self._folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------------------ the process


@dataclass(slots=True)
class Request:
    """What one worker asked."""

    number: int
    settings: SearchSettings
    curves: tuple[LightCurve, ...]
    stars: tuple[Star, ...]
    answer: Callable[[bytes], None]


class TooLarge(Exception):
    """A single light curve does not fit into the device's memory."""


def out_of_memory(error: Exception) -> bool:
    """Whether this says that the device's memory, or ours, is full."""
    words = str(error)
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in words or "out of memory" in words.lower()


def search_in_parts(
    curves: Sequence[LightCurve],
    settings: SearchSettings,
    stars: Sequence[Star],
    size: int,
    search: Search,
    smaller: Callable[[int], None] = lambda size: None,
) -> list[SearchResult]:
    """Search so many light curves at once as fit.

    Parameters
    ----------
    size : int
        Light curves to try at once; halved when memory is full.
    smaller : callable
        Told the new size.

    Raises
    ------
    TooLarge
        If a single light curve does not fit.
    """
    results: list[SearchResult] = []
    while len(results) < len(curves):
        part = slice(len(results), len(results) + size)
        try:
            results += search(curves[part], settings, stars[part])
        except Exception as error:
            if not out_of_memory(error):
                raise
            if size == 1 or len(curves[part]) == 1:
                raise TooLarge("a single light curve does not fit into the device's memory") from error
            size = len(curves[part]) // 2
            smaller(size)
    return results


def together(waiting: Sequence[Request], size: int) -> list[Request]:
    """The requests at the head of the line that are searched at once: of the same settings, and not more than fit."""
    chosen = list(waiting[:1])
    for request in waiting[1:]:
        held = sum(len(each.curves) for each in chosen)
        if request.settings == chosen[0].settings and held + len(request.curves) <= size:
            chosen.append(request)
    return chosen


@dataclass(slots=True)
class Bench:
    """The line of requests, and the one who serves it."""

    size: int
    search: Search
    tell: Callable[..., None]
    peak_memory: Callable[[], int | None] = lambda: None
    arriving: "queue.Queue[Request]" = field(default_factory=queue.Queue)
    _waiting: list[Request] = field(default_factory=list)

    def serve_once(self) -> None:
        """Wait for a request; search it with all that wait beside it, and answer them."""
        if not self._waiting:
            self._waiting.append(self.arriving.get())
        while not self.arriving.empty():
            self._waiting.append(self.arriving.get())
        chosen = together(self._waiting, self.size)
        self._waiting = [request for request in self._waiting if all(request is not other for other in chosen)]
        self.tell("busy", curves=sum(len(request.curves) for request in chosen))
        self._serve(chosen)
        self.tell("idle", peak_memory=self.peak_memory())

    def _serve(self, chosen: Sequence[Request]) -> None:
        curves = [curve for request in chosen for curve in request.curves]
        stars = [star for request in chosen for star in request.stars]
        try:
            results = search_in_parts(curves, chosen[0].settings, stars, self.size, self.search, self._shrink)
        except TooLarge as error:
            self._refuse(chosen, "memory", str(error))
        except Exception as error:
            self._refuse(chosen, "failed", f"{type(error).__name__}: {error}")
        else:
            first = 0
            for request in chosen:
                own = tuple(results[first : first + len(request.curves)])
                first += len(request.curves)
                request.answer(encode((request.number, "done", own)))

    def _refuse(self, chosen: Sequence[Request], how: str, why: str) -> None:
        """Say why it failed; of several that were searched together, each is tried alone."""
        if len(chosen) == 1:
            chosen[0].answer(encode((chosen[0].number, how, why)))
            return
        for request in chosen:
            self._serve([request])

    def _shrink(self, size: int) -> None:
        self.size = size
        self.tell("smaller", size=size)


def main(settings: DeviceSettings, address: str, key: bytes, size: int, connection: Any) -> None:
    """The process of the device: listen, search, answer, until the engine ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the engine decides what a signal means
    threading.Thread(target=die_with_parent, daemon=True).start()
    # before jax is imported: torch may share the device
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{settings.memory_share:g}"
    telling = threading.Lock()

    def tell(what: str, **more: Any) -> None:
        with telling:
            connection.send_bytes(json.dumps({"is": what, **more}).encode())

    def search(curves: Sequence[LightCurve], wanted: SearchSettings, stars: Sequence[Star]) -> list[SearchResult]:
        from pipeline.search import search_many

        return search_many(curves, wanted, stars, "jax")

    bench = Bench(size, search, tell, _peak_memory)
    with Listener(address, family="AF_UNIX", authkey=key, backlog=64) as listener:
        threading.Thread(target=_admit, args=(listener, bench), daemon=True).start()
        tell("ready")
        threading.Thread(target=_beat, args=(tell,), daemon=True).start()
        while True:
            bench.serve_once()


def _beat(tell: Callable[..., None]) -> None:
    while True:
        time.sleep(BEAT)
        try:
            tell("alive")
        except OSError:
            os._exit(1)  # nobody is there any more: the device's memory must not stay taken


def _admit(listener: Listener, bench: Bench) -> None:
    """Let workers in who have the key."""
    while True:
        try:
            connection = listener.accept()
        except (OSError, EOFError, multiprocessing.AuthenticationError) as error:
            print(f"hunter: the device's process turned somebody away: {error}", file=sys.stderr)
            time.sleep(0.1)
            continue
        threading.Thread(target=_hear, args=(connection, bench), daemon=True).start()


def _hear(connection: Connection, bench: Bench) -> None:
    """Take the requests of one worker until it is gone."""

    def answer(data: bytes) -> None:
        with suppress(OSError):  # it died meanwhile: its targets are another's
            connection.send_bytes(data)

    try:
        while True:
            number, wanted, curves, stars = decode(connection.recv_bytes(LARGEST_MESSAGE))
            bench.arriving.put(Request(number, SearchSettings(**wanted), curves, stars, answer))
    except (OSError, EOFError):
        pass
    except (Damaged, TypeError, ValueError) as error:
        print(f"hunter: the device's process was sent what it can't read: {error}", file=sys.stderr)
    finally:
        connection.close()


def _peak_memory() -> int | None:
    import jax

    told = jax.local_devices()[0].memory_stats()
    return None if told is None else told.get("peak_bytes_in_use")
