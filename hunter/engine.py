"""One night: list the archive, queue what is new, keep the workers at it, say how it went.

The engine owns the lock of the home and the clock, and turns the crew; it never computes. When it dies, its crew dies
with it, and the next night goes on from the phase in flight.
"""

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from candidates.publish import sweep as sweep_candidates
from hunter import checkpoints, crashpoints, worker
from hunter.archives.base import FoundTarget
from hunter.crew import Crew, NightFailed, Tally, take_back
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


@dataclass(slots=True)
class Night(Tally):
    """What happened in one run of the engine, for the person and for the exit code."""

    listed: int = 0
    report: EnqueueReport | None = None
    stopped_by: int | None = None  # signal
    seconds: float = 0.0


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
                inputs=checkpoints.inputs_of(item.inputs, decided, item.field),
                priority=item.priority,
                sources=item.sources,
                star=asdict(item.target.star),
                remote=item.remote,
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
    hire: Callable[..., Crew] = Crew,
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
    hire : callable giving Crew
        Whose hands do the work: children of this process, or a cluster (``hunter.dask_workers``).

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
            tidy(settings, state, say, now())
            listed = list(found())
            result.listed = len(listed)
            result.report = queue(state, listed, settings, now())
            requeue_for_model(settings, state, say, now())
            state.log(
                "info", "night", f"a night begins: {result.listed} targets listed, {result.report.added} new", now()
            )
            crew = hire(settings, state, result, say, now, limit)
            with closing(crew), stop_signals(result, crew.stop):
                deadline = None if max_hours is None else began + max_hours * 3600
                _keep_working(crew, result, deadline, show)
            from hunter.sharing import compare_stars  # light commands want the lock of this file, and no scipy

            compare_stars(settings, state, now())
            rewrite_index(settings, now())
            state.log("info", "night", f"the night ends: {result.hunted} targets hunted", now())
            state.checkpoint()
        finally:
            state.close()
            result.seconds = time.monotonic() - began
    return result


@contextmanager
def stop_signals(result: Night, stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls ``stop``; a second one ends the process at once."""

    def asked(number: int, frame: FrameType | None) -> None:
        if result.stopped_by is not None:
            os._exit(128 + number)  # the workers die with us; what they had stored stays stored
        result.stopped_by = number
        stop()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_working(
    crew: Crew,
    result: Night,
    deadline: float | None,
    show: Callable[[Night, dict[str, Any]], None],
) -> None:
    """Turn the crew until nothing is left to do, or the night is to end."""
    settings, state = crew.settings, crew.state
    reader = Reader(settings.database)
    last_look = 0.0
    drain_until: float | None = None
    summary = reader.summary(crew.now())
    while True:
        crew.staff(summary)
        if crew.idle():
            left = summary["queue"]["queued"] and not crew.spent()
            held_elsewhere = summary["counts"][Status.RUNNING]
            if crew.stopping or crew.failed is not None or not (left or held_elsewhere):
                break
            # else another worker ends its targets, or falls silent and loses them
        crew.hear(0.5)
        ending = crew.failed is not None or (deadline is not None and time.monotonic() > deadline)
        rested = 0.0 if crew.resting is None else time.monotonic() - crew.resting_since
        given_up = rested > settings.engine.outage_hours * 3600
        if given_up and not summary["queue"]["ready"] and not ending:
            ending = True
            crew.say(f"nothing could be fetched for so long that the night ends; the next one goes on. {crew.resting}")
        if ending:
            crew.stop()
        if crew.stopping and drain_until is None:
            drain_until = time.monotonic() + settings.engine.drain_seconds
            if result.stopped_by is not None:
                crew.say("stopping after the batch in flight; once more to stop at once")
        crew.bury(over=drain_until is not None and time.monotonic() > drain_until)
        if time.monotonic() - last_look > 1.0 or crew.idle():
            last_look = time.monotonic()
            state.due(crew.now())
            crew.reclaim()
            summary = reader.summary(crew.now())
            show(result, summary)
    if crew.failed is not None:
        raise NightFailed(crew.failed)


def tidy(settings: Settings, state: State, say: Callable[[str], None], now: float) -> None:
    """Take back what a night that was cut off left behind."""
    # whoever kills the whole hunt at once, engine and workers, says nothing about the targets in flight
    take_back(settings, state, say, now, counted=False)
    state.due(now)
    sweep(settings, state, now)


def sweep(settings: Settings, state: State, now: float) -> None:
    """Remove what belongs to nothing recorded: partial files, pages of candidates that are none any more."""
    with Reader(settings.database) as reader:
        if reader.summary(now)["queue"]["running"]:
            return  # with workers at it, a partial file may be theirs
        checkpoints.sweep(worker.results_folder(settings))
        folder = settings.home / "candidates"
        folder.mkdir(parents=True, exist_ok=True)
        for path in sweep_candidates(folder, reader.candidate_names()):
            state.log("info", "swept", f"{path.name} belonged to no recorded candidate", now)


def requeue_for_model(settings: Settings, state: State, say: Callable[[str], None], now: float) -> None:
    model = worker.choose_model(settings)
    if model is not None:
        again = state.requeue_for_model(model.sha256, now)
        if again:
            say(f"{again} targets scored by another model, or by none, are queued again")
