"""The children of a hunt: workers that compute and the courier that fetches; started, heard, killed, replaced.

The crew never computes and never waits for more than a moment. A child that dies gives its targets back as suspects,
which are tried alone; one that is silent for too long is killed; all die with the process that started them.
"""

import importlib
import multiprocessing
import multiprocessing.connection
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunter import device, worker
from hunter.archives.settings import FAR
from hunter.budget import Budget
from hunter.outcomes import DiskFull
from hunter.settings import Settings
from state.status import Status
from state.store import State
from state.survivors import Survivors

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds before a child that can't go on is started again
WORDS = 20  # answers of errands that are kept until somebody asks for them


class NightFailed(Exception):
    """The night can't go on; the message says why and what to do."""


class Flags:
    """What all processes of a hunt see. It has no lock: a child killed while it holds one would stop us all."""

    def __init__(self, forever: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self.forever = forever
        self._stop = context.RawValue("b", 0)
        self._more = context.RawValue("b", 0)

    def set(self) -> None:
        """Ask the children to end after the batch in flight."""
        self._stop.value = 1

    def is_set(self) -> bool:
        return bool(self._stop.value)

    def expect_more(self, more: bool) -> None:
        """Tell workers that find nothing whether to wait for more."""
        self._more.value = more

    def more_may_come(self) -> bool:
        return bool(self._more.value)


@dataclass(slots=True)
class Tally:
    """What the crew did, for the person and for the exit code."""

    hunted: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    phase: dict[int, tuple[str, str, float]] = field(default_factory=dict)  # worker: phase, target, since


@dataclass(slots=True)
class Child:
    """One process of the crew."""

    role: str  # "worker" or "courier"
    process: Any
    connection: Any
    heard: float  # monotonic time of the last message
    flags: Flags
    silent: bool = False  # its end of the pipe is closed


@dataclass(slots=True)
class Crew:
    """Keeps the children of one hunt at work; the caller turns it a few times a second.

    Parameters
    ----------
    settings, state
    tally : Tally
        What happens is written into it.
    say : callable
        Called with a line a person should read once.
    now : callable
        The wall clock.
    limit : int, optional
        Targets to claim at most.
    forever : bool
        A daemon's crew: what makes a night fail makes it wait and try again.
    """

    settings: Settings
    state: State
    tally: Tally
    say: Callable[[str], None]
    now: Callable[[], float]
    limit: int | None = None
    forever: bool = False
    flags: Flags = field(init=False)
    keeper: device.Keeper | None = None  # of the process that owns the device, once workers need it
    children: dict[int, Child] = field(default_factory=dict)
    failed: str | None = None  # why the night can't go on
    full: str | None = None  # why nothing can be stored just now
    stopping: bool = False
    resting: str | None = None  # why the courier fetches nothing just now
    resting_since: float = 0.0  # monotonic
    answers: deque[tuple[str, bool, str]] = field(default_factory=lambda: deque(maxlen=WORDS))  # errand, well, words
    _budgets: dict[str, Budget] = field(default_factory=dict)
    _broken: int = 0  # deaths in a row without a target ended between them
    _hunted_at_death: int = 0
    _resting_until: dict[str, float] = field(default_factory=dict)  # role: monotonic
    _pause: dict[str, float] = field(default_factory=dict)
    _errands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flags = Flags(self.forever)
        if self.limit is not None:
            folder = self.settings.home / "state"
            for role in ("worker", "courier"):
                self._budgets[role] = Budget.of(folder / f"{role}.budget", self.limit)

    def stop(self) -> None:
        """End everything after the batch in flight."""
        self.stopping = True
        self.flags.set()

    def close(self) -> None:
        """Let go of the device."""
        if self.keeper is not None:
            self.keeper.stop()
            self.keeper = None

    def _place(self) -> device.Place | None:
        """Where the process that owns the device lives, which is started here; None where workers need none."""
        if self.keeper is None and device.wanted(self.settings):
            self.keeper = device.Keeper(self.settings, self._of_device)
            self.keeper.start()
        return None if self.keeper is None else self.keeper.place

    def _of_device(self, level: str, words: str) -> None:
        self.state.log(level, "device", words, self.now())

    # ------------------------------------------------------------------------------------------------ staff

    def staff(self, summary: Mapping[str, Any]) -> None:
        """Start the children that there is work for."""
        if self.stopping or self.failed is not None:
            return
        queue = summary["queue"]
        ready = queue["ready"] + queue["suspects"]
        wanted = queue["queued"] > queue["ready"] or bool(self._errands)
        fetching = self.remote and (wanted or self.forever) and not self._spent("courier")
        fetching = fetching or self._fields_wanted()
        self.flags.expect_more(self.forever or (fetching and wanted) or self._count("courier") > 0)
        if (fetching or self._errands) and not self._count("courier") and self._may_start("courier"):
            self._start("courier")
        if ready and not self._spent("worker") and self.full is None:
            batch = self.settings.compute.batch
            # more workers than batches would only wait for each other's imports
            batches = -(-ready // batch) if ready > batch else min(2, ready)
            if self.remote and queue["queued"] > ready:
                batches = worker_count(self.settings)
            while self._count("worker") < min(worker_count(self.settings), max(1, batches)):
                if not self._may_start("worker"):
                    break
                self._start("worker")

    @property
    def remote(self) -> bool:
        """Whether files come from far away."""
        return self.settings.archive.source in FAR

    def _fields_wanted(self) -> bool:
        """Whether there are candidates whose pixels are still far away."""
        return self.remote and self.settings.field.fetch and Survivors(self.state).any(self.now())

    def send(self, errand: str) -> None:
        """Have the courier do something for the archive, once it lives."""
        if errand not in self._errands:
            self._errands.append(errand)
        self._hand_over()

    def _hand_over(self) -> None:
        for child in self.children.values():
            if child.role == "courier" and not child.silent and not child.flags.is_set():
                try:
                    while self._errands:
                        child.connection.send(self._errands[0])
                        self._errands.pop(0)
                except OSError:
                    return  # it has died; the next one gets them

    def idle(self) -> bool:
        return not self.children

    def _count(self, role: str) -> int:
        return sum(child.role == role and not child.flags.is_set() for child in self.children.values())

    def _spent(self, role: str) -> bool:
        return role in self._budgets and self._budgets[role].left() <= 0

    def spent(self) -> bool:
        """Whether all targets that may be claimed have been."""
        return self._spent("worker")

    def _may_start(self, role: str) -> bool:
        return time.monotonic() >= self._resting_until.get(role, 0.0)

    def _start(self, role: str) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments: tuple[Any, ...] = (self.settings, theirs, self.flags, self._budgets.get(role))
        if role == "courier":
            main: Callable[..., None] = importlib.import_module("hunter.courier").main
        else:
            main = worker.main
            arguments = (*arguments, self._place())
        process = context.Process(target=main, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self.children[process.pid or 0] = Child(role, process, ours, time.monotonic(), self.flags)
        if role == "courier":
            self._hand_over()

    def renew(self, settings: Settings) -> None:
        """Go on with other settings: the children end after the batch in flight, others begin with the new ones."""
        more = self.flags.more_may_come()
        self.flags.set()
        self.settings, self.flags = settings, Flags(self.forever)
        if self.keeper is not None:
            self.keeper.settings = settings  # for the next process; this one serves who is left
        self.flags.expect_more(more)

    # ------------------------------------------------------------------------------------------------ listening

    def hear(self, timeout: float) -> None:
        """Take what the children say, for at most so many seconds."""
        by_connection = {child.connection: child for child in self.children.values() if not child.silent}
        if not by_connection:
            time.sleep(timeout)
            return
        for connection in multiprocessing.connection.wait(list(by_connection), timeout=timeout):
            self._listen(by_connection[connection])

    def _listen(self, child: Child) -> None:
        try:
            kind, what = child.connection.recv()
        except (EOFError, OSError):
            child.silent = True
            return
        child.heard = time.monotonic()
        pid = child.process.pid or 0
        if kind == "phase":
            self.tally.phase[pid] = (*what, child.heard)
        elif kind == "idle":
            self.tally.phase.pop(pid, None)
        elif kind == "ended":
            self._pause.pop(child.role, None)
            self.tally.hunted += 1
            self.tally.outcomes[what[1]] = self.tally.outcomes.get(what[1], 0) + 1
        elif kind == "resting":
            self.resting_since = child.heard if self.resting is None else self.resting_since
            self.resting = what
        elif kind == "errand":
            self.answers.append(what)
        elif kind == "disk full":
            self.full = str(what)
            if not self.forever:
                self.failed = f"no room left: {what}. Free some space and run the same command again; nothing is lost"
        elif kind == "broken":
            kept = _keep_traceback(self.settings.home, what[1])
            words = f"a {child.role} can't go on: {what[0]}; the traceback is in {kept}"
            if not self.forever:
                self.failed = words
                return
            pause = min(LONGEST_PAUSE, 2 * self._pause.get(child.role, FIRST_PAUSE / 2))
            self._pause[child.role] = pause
            self._resting_until[child.role] = time.monotonic() + pause
            self.state.log("error", "broken", f"{words}; tried again in {pause:.0f} s", self.now())

    # ------------------------------------------------------------------------------------------------ life and death

    def bury(self, over: bool = False) -> None:
        """Kill who is silent for too long, or everybody when the time to end is over; take the claims of the dead."""
        if self.keeper is not None:
            self.keeper.look()
        for pid, child in list(self.children.items()):
            late = time.monotonic() - child.heard > self.settings.engine.phase_limit_seconds
            if late or over:
                child.process.kill()
            if child.process.is_alive():
                continue
            # its last words may still be in the pipe, which a process it left behind may hold open
            while not child.silent and child.connection.poll():
                self._listen(child)
            child.process.join()
            child.connection.close()
            del self.children[pid]
            self.tally.phase.pop(pid, None)
            if child.process.exitcode != 0:
                self._died()
        if self._broken > max(20, 4 * self.settings.engine.max_deaths):
            words = f"{self._broken} workers died in a row: `hunter status` and `hunter doctor` say more"
            if not self.forever:
                raise NightFailed(words)
            self._broken = 0
            self._resting_until["worker"] = time.monotonic() + LONGEST_PAUSE
            self.state.log("error", "broken", f"{words}; tried again in {LONGEST_PAUSE / 60:.0f} min", self.now())

    def _died(self) -> None:
        self.tally.deaths += 1
        self._broken = 0 if self.tally.hunted > self._hunted_at_death else self._broken + 1
        self._hunted_at_death = self.tally.hunted
        taken = self.reclaim()
        if any(what.startswith(Status.QUARANTINED) for _, what in taken):
            self._broken = 0  # a culprit was found: that is progress, too

    def reclaim(self) -> list[tuple[str, str]]:
        return take_back(self.settings, self.state, self.say, self.now())

    def room_again(self) -> bool:
        """Whether a full disk has room again: then the work goes on by itself."""
        try:
            worker.make_sure_of_room(self.settings)
        except DiskFull as error:
            self.full = str(error)
            return False
        self.full = None
        return True


def worker_count(settings: Settings) -> int:
    return settings.compute.workers or max(1, len(os.sched_getaffinity(0)))


def take_back(
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


def _keep_traceback(home: Path, text: str) -> Path:
    path = home / "logs" / "traceback.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
