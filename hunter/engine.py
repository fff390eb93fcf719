"""One night: list the archive, queue what is new, keep the workers at it, say how it went.

The engine owns the lock of the home, the clock and the workers' lives; it never computes. A worker that dies
gives its targets back as suspects, which are tried alone; one that hangs in a phase is killed; when the engine
itself dies, its workers die with it, and the next night goes on from the phase in flight.
"""

import fcntl
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from candidates.publish import sweep as sweep_candidates
from hunter import checkpoints, crashpoints, worker
from hunter.archives.base import FoundTarget
from hunter.pages import rewrite_index
from hunter.settings import DECISIVE, Settings
from state.reading import Reader
from state.status import Status
from state.store import EnqueueReport, NewTarget, State

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
UNRESOLVED = (Status.DEFERRED, Status.QUARANTINED, Status.HELD)


class HomeLocked(Exception):
    """Another process holds this hunt."""


class NightFailed(Exception):
    """The night can't go on; the message says why and what to do."""


@dataclass(slots=True)
class Night:
    """What happened in one run of the engine, for the person and for the exit code."""

    listed: int = 0
    report: EnqueueReport | None = None
    hunted: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    stopped_by: int | None = None  # signal
    seconds: float = 0.0
    phase: dict[int, tuple[str, str, float]] = field(default_factory=dict)  # worker: phase, target, since


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Hold the hunt of this home; the lock goes with the process, however it ends.

    Raises
    ------
    HomeLocked
        If another process holds it.
    """
    path = home / "state" / "hunter.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "another process"
            raise HomeLocked(f"{home} is being hunted by process {holder}: stop it, or use another --home") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def pin_threads() -> None:
    """One thread a worker: the cores are shared by processes. Inherited by the children started after this."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")


def open_state(settings: Settings) -> State:
    return State.open(settings.database, synchronous=settings.state.synchronous, step=crashpoints.at)


def queue(state: State, found: Iterable[FoundTarget], settings: Settings, now: float) -> EnqueueReport:
    """Queue what the archive lists, where it is new or its files or the deciding settings changed."""
    decided = settings.digest(*DECISIVE)
    return state.enqueue(
        (
            NewTarget(
                kind=item.target.kind,
                key=item.target.key,
                inputs=checkpoints.inputs_of(item.inputs, decided),
                priority=item.priority,
                sources=item.sources,
                star=asdict(item.target.star),
            )
            for item in found
        ),
        now,
    )


def night(
    settings: Settings,
    found: Callable[[], Iterable[FoundTarget]],
    *,
    limit: int | None = None,
    max_hours: float | None = None,
    show: Callable[[Night, dict[str, Any]], None] = lambda night, summary: None,
    say: Callable[[str], None] = lambda line: None,
    now: Callable[[], float] = time.time,
) -> Night:
    """Hunt everything the archive lists and everything still queued; return when nothing is left to do.

    Parameters
    ----------
    settings : Settings
    found : callable giving FoundTarget
        The archive's list; called once the home is locked.
    limit : int, optional
        Targets to claim at most.
    max_hours : float, optional
        Stop claiming after so long.
    show : callable
        Called about twice a second with the night so far and the summary of the state.
    say : callable
        Called with a line a person should read once.

    Raises
    ------
    HomeLocked, NightFailed, state.status.StateError
    """
    pin_threads()
    began = time.monotonic()
    result = Night()
    settings.home.mkdir(parents=True, exist_ok=True)
    with home_lock(settings.home):
        state = open_state(settings)
        try:
            _tidy(settings, state, say, now())
            listed = list(found())
            result.listed = len(listed)
            result.report = queue(state, listed, settings, now())
            _requeue_for_model(settings, state, say, now())
            state.log(
                "info", "night", f"a night begins: {result.listed} targets listed, {result.report.added} new", now()
            )
            with stop_signals(result) as stop:
                deadline = None if max_hours is None else began + max_hours * 3600
                _keep_working(settings, state, result, stop, limit, deadline, show, say, now)
            rewrite_index(settings, now())
            state.log("info", "night", f"the night ends: {result.hunted} targets hunted", now())
            state.checkpoint()
        finally:
            state.close()
            result.seconds = time.monotonic() - began
    return result


class Stop:
    """A flag all processes of a night see. It has no lock: a worker killed while it holds one would stop us all."""

    def __init__(self) -> None:
        self.raised = multiprocessing.get_context("spawn").RawValue("b", 0)

    def set(self) -> None:
        self.raised.value = 1

    def is_set(self) -> bool:
        return bool(self.raised.value)


@contextmanager
def stop_signals(result: Night) -> Iterator[Stop]:
    """A flag set by the first SIGINT or SIGTERM; a second one ends the process at once."""
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:
        if result.stopped_by is not None:
            os._exit(128 + number)  # the workers die with us; what they had stored stays stored
        result.stopped_by = number
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class _Child:
    process: Any
    connection: Any
    heard: float  # monotonic time of the last message
    silent: bool = False  # its end of the pipe is closed


def _keep_working(
    settings: Settings,
    state: State,
    result: Night,
    stop: Stop,
    limit: int | None,
    deadline: float | None,
    show: Callable[[Night, dict[str, Any]], None],
    say: Callable[[str], None],
    now: Callable[[], float],
) -> None:
    context = multiprocessing.get_context("spawn")
    budget = None if limit is None else context.Value("q", limit)
    children: dict[int, _Child] = {}
    failed: str | None = None
    reader = Reader(settings.database)
    last_look = 0.0
    drain_until: float | None = None
    broken, hunted_at_death = 0, 0  # deaths in a row without a target ended between them

    def start() -> None:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=worker.main, args=(settings, theirs, stop, budget), daemon=True)
        process.start()
        theirs.close()
        children[process.pid or 0] = _Child(process, ours, time.monotonic())

    summary = reader.summary(now())
    while True:
        waiting = summary["counts"][Status.QUEUED]
        spent = budget is not None and budget.value <= 0
        if waiting and not stop.is_set() and not spent and failed is None:
            # more workers than batches would only wait for each other's imports
            batches = -(-waiting // settings.compute.batch)
            wanted = min(
                worker_count(settings), max(1, batches if waiting > settings.compute.batch else min(2, waiting))
            )
            while len(children) < wanted:
                start()
        elif not children:
            held_elsewhere = summary["counts"][Status.RUNNING]
            if not held_elsewhere or stop.is_set() or spent or failed is not None:
                break
            time.sleep(0.5)  # another worker ends its targets, or falls silent and loses them
        by_connection = {child.connection: child for child in children.values() if not child.silent}
        for connection in multiprocessing.connection.wait(list(by_connection), timeout=0.5):
            failed = _listen(by_connection[connection], result, settings.home) or failed
        if failed is not None:
            stop.set()
        if deadline is not None and time.monotonic() > deadline:
            stop.set()
        if stop.is_set() and drain_until is None:
            drain_until = time.monotonic() + settings.engine.drain_seconds
            if result.stopped_by is not None:
                say("stopping after the batch in flight; once more to stop at once")
        for pid, child in list(children.items()):
            late = time.monotonic() - child.heard > settings.engine.phase_limit_seconds
            if late or (drain_until is not None and time.monotonic() > drain_until):
                child.process.kill()
            if not child.process.is_alive():
                while not child.silent:  # its last words may still be in the pipe
                    failed = _listen(child, result, settings.home) or failed
                child.process.join()
                child.connection.close()
                del children[pid]
                result.phase.pop(pid, None)
                if child.process.exitcode != 0:
                    result.deaths += 1
                    broken = 0 if result.hunted > hunted_at_death else broken + 1
                    hunted_at_death = result.hunted
                    taken = _reclaim(settings, state, say, now())
                    if any(what.startswith(Status.QUARANTINED) for _, what in taken):
                        broken = 0  # a culprit was found: that is progress, too
        if broken > max(20, 4 * settings.engine.max_deaths):
            raise NightFailed(f"{broken} workers died in a row: `hunter status` and `hunter doctor` say more")
        if time.monotonic() - last_look > 1.0 or not children:
            last_look = time.monotonic()
            state.due(now())
            _reclaim(settings, state, say, now())
            summary = reader.summary(now())
            show(result, summary)
    if failed is not None:
        raise NightFailed(failed)


def worker_count(settings: Settings) -> int:
    return settings.compute.workers or max(1, len(os.sched_getaffinity(0)))


def _listen(child: _Child, result: Night, home: Path) -> str | None:
    """Take one message of a worker; a string is why the night can't go on."""
    try:
        kind, what = child.connection.recv()
    except (EOFError, OSError):
        child.silent = True
        return None
    child.heard = time.monotonic()
    pid = child.process.pid or 0
    if kind == "phase":
        result.phase[pid] = (*what, child.heard)
    elif kind == "ended":
        result.hunted += 1
        result.outcomes[what[1]] = result.outcomes.get(what[1], 0) + 1
    elif kind == "disk full":
        return f"no room left: {what}. Free some space and run the same command again; nothing is lost"
    elif kind == "broken":
        return f"a worker can't go on: {what[0]}; the traceback is in {_keep_traceback(home, what[1])}"
    return None


def _keep_traceback(home: Path, text: str) -> Path:
    path = home / "logs" / "traceback.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _reclaim(
    settings: Settings, state: State, say: Callable[[str], None], now: float, counted: bool = True
) -> list[tuple[str, str]]:
    """Take the claims of dead workers back; ``counted``: their deaths speak against the targets."""
    taken = state.reclaim(
        now,
        settings.engine.lease_seconds,
        socket.gethostname(),
        worker.boot_id(),
        worker.dead,
        settings.engine.max_deaths,
        counted,
    )
    for name, what in taken:
        state.log("warning", "reclaimed", f"{name}: {what}", now)
    if taken:
        again = sum(not what.startswith(Status.QUARANTINED) for _, what in taken)
        say(f"{again} targets of a dead worker are queued again, {len(taken) - again} quarantined")
    return taken


def _tidy(settings: Settings, state: State, say: Callable[[str], None], now: float) -> None:
    """Take back what a night that was cut off left behind."""
    # whoever kills the whole hunt at once, engine and workers, says nothing about the targets in flight
    _reclaim(settings, state, say, now, counted=False)
    state.due(now)
    reader = Reader(settings.database)
    if reader.summary(now)["queue"]["running"] == 0:  # with workers elsewhere, a partial file may be theirs
        checkpoints.sweep(worker.results_folder(settings))
        folder = settings.home / "candidates"
        folder.mkdir(parents=True, exist_ok=True)
        for path in sweep_candidates(folder, reader.candidate_names()):
            state.log("info", "swept", f"{path.name} belonged to no recorded candidate", now)


def _requeue_for_model(settings: Settings, state: State, say: Callable[[str], None], now: float) -> None:
    model = worker.choose_model(settings)
    if model is not None:
        again = state.requeue_for_model(model.sha256, now)
        if again:
            say(f"{again} targets scored by another model, or by none, are queued again")
