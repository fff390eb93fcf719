"""A crew whose workers are tasks on a Dask cluster: ``hunter run --workers-on dask://HOST:PORT``.

The record is the queue here as everywhere: a task is a shift, which claims batches until so many targets are done or
nothing is queued. Dask only says on which machine a shift runs. One shift at a time is given to each Dask worker, for
a worker hunts with one thread. A Dask worker that is lost loses its heartbeat, then its claims; if it comes back, it is
fenced off. What fetches from an archive far away stays on this machine: the courier, a child as in any crew.

Whoever reaches a Dask scheduler may run any code on its workers: keep it on a network of your own.
"""

import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hunter import worker
from hunter.crew import Crew, NightFailed
from hunter.outcomes import disk_is_full
from hunter.settings import Settings, SettingsError
from state.place import sqlite_file

BATCHES = 4  # in a shift: long enough to be worth a task, short enough that the last one is not waited for long
CONNECT_SECONDS = 10.0
_ADDRESS = re.compile(r"dask://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")


class Unfit(Exception):
    """A Dask worker cannot take part in this hunt; the message says why."""


@contextmanager
def crew_on_dask(settings: Settings, address: str, patience: float = CONNECT_SECONDS) -> Iterator[Callable[..., Crew]]:
    """Connect to the cluster at ``address``; gives what :func:`hunter.engine.night` makes its crew with.

    Parameters
    ----------
    address : str
        ``dask://HOST:PORT`` of the scheduler.
    patience : float
        Seconds to wait for its answer.

    Raises
    ------
    SettingsError
        If the address is none, Dask is not installed, or the record is a file that other machines cannot share.
    NightFailed
        If no scheduler answers there.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise SettingsError(f"--workers-on {address}: give the scheduler as dask://HOST:PORT")
    if sqlite_file(settings.database) is not None and not is_this_host(found["host"].strip("[]")):
        raise SettingsError(
            f"--workers-on {address}: the record is a SQLite file, which only this machine can use: "
            "set [state] url to a postgresql:// URL that all machines reach"
        )
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise SettingsError("--workers-on needs Dask: pip install 'transit-hunter[dask]'") from None
    try:
        client = Client(address.replace("dask://", "tcp://"), timeout=patience, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise NightFailed(f"no Dask scheduler answers at {address}: {error or 'timed out'}") from None
    word = secrets.token_hex(8)
    sign = settings.home / "state" / f"dask-{word}"
    try:
        yield lambda *arguments, **named: DaskCrew(*arguments, **named, client=client, word=word, sign=sign)
    finally:
        sign.unlink(missing_ok=True)
        client.close()


def is_this_host(host: str) -> bool:
    """Whether the name or address belongs to this machine: only then can a socket be bound to it."""
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as tried:
                tried.bind(where)
        return True
    except OSError:
        return False


class DaskCrew(Crew):
    """A crew whose workers are shifts on a cluster; its courier, if any, is a child of this process."""

    def __init__(self, *arguments: Any, client: Any, word: str, sign: Path, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._client, self._word, self._sign = client, word, sign
        self._shifts: dict[str, tuple[Any, int]] = {}  # Dask worker: its shift and how many targets it may claim
        self._unfit: set[str] = set()
        sign.write_text(word)  # shifts go on while they see it

    def staff(self, summary: Mapping[str, Any]) -> None:
        queue = summary["queue"]
        ready = queue["ready"] + queue["suspects"]
        # the children do what is not ready; what is ready is done by shifts
        rest = {"queued": max(0, queue["queued"] - ready), "ready": 0, "suspects": 0}
        super().staff({**summary, "queue": {**queue, **rest}})
        if self.stopping or self.failed is not None:
            return
        batch = self.settings.compute.batch
        for name in self._client.nthreads():
            if name in self._shifts or name in self._unfit or ready <= 0 or self.full is not None:
                continue
            allotment = BATCHES * batch
            if "worker" in self._budgets:
                allotment = self._budgets["worker"].take(allotment)
            if allotment <= 0:
                return
            future = self._client.submit(
                shift, self.settings, self._word, str(self._sign), worker.boot_id(), allotment,
                workers=[name], pure=False, retries=0,
            )  # fmt: skip
            self._shifts[name] = (future, allotment)
            ready -= allotment

    def idle(self) -> bool:
        return super().idle() and not self._shifts

    def stop(self) -> None:
        super().stop()
        self._sign.unlink(missing_ok=True)

    def hear(self, timeout: float) -> None:
        until = time.monotonic() + timeout
        while not any(future.done() for future, _ in self._shifts.values()):
            left = until - time.monotonic()
            if left <= 0:
                break
            if self.children:
                super().hear(min(0.1, left))
            else:
                time.sleep(min(0.05, left))
        for name, (future, allotment) in list(self._shifts.items()):
            if future.done():
                del self._shifts[name]
                self._take(name, future, allotment)

    def _take(self, name: str, future: Any, allotment: int) -> None:
        """Take what a shift brings home."""
        if future.status == "cancelled":
            return
        error = future.exception()
        if error is None:
            claimed, outcomes = future.result()
            if "worker" in self._budgets:
                self._budgets["worker"].give_back(allotment - claimed)
            self.tally.hunted += sum(outcomes.values())
            for outcome, n in outcomes.items():
                self.tally.outcomes[outcome] = self.tally.outcomes.get(outcome, 0) + n
        elif isinstance(error, Unfit):
            if "worker" in self._budgets:
                self._budgets["worker"].give_back(allotment)
            self._unfit.add(name)
            self.say(f"{name} takes no part: {error}")
            if not set(self._client.nthreads()) - self._unfit:
                self.failed = f"no worker of the cluster can take part: {error}"
        elif disk_is_full(error):
            self.failed = f"no room left: {error}. Free some space and run the same command again; nothing is lost"
        elif type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError"):
            self._lost(name)
        else:
            self.failed = f"a shift on {name} can't go on: {type(error).__name__}: {error}"

    def bury(self, over: bool = False) -> None:
        super().bury(over)
        there = set(self._client.nthreads())
        for name, (future, _) in list(self._shifts.items()):
            if over or name not in there:
                future.cancel()
                del self._shifts[name]
                if not over:
                    self._lost(name)

    def _lost(self, name: str) -> None:
        self.say(f"{name} was lost: what it had in hand is queued again when its lease is over")
        self._died()


def shift(settings: Settings, word: str, sign: str, boot: str, allotment: int) -> tuple[int, dict[str, int]]:
    """Hunt up to so many targets, on a worker of the cluster.

    Returns
    -------
    (int, dict)
        How many were claimed, and the outcomes of those that were ended.

    Raises
    ------
    Unfit
        If this machine does not see the hunt's home, or cannot use its record.
    """
    _make_sure_we_fit(settings, word, sign, boot)
    left, outcomes = [allotment], dict[str, int]()
    heard = [time.monotonic()]

    def report(kind: str, what: Any) -> None:
        heard[0] = time.monotonic()
        if kind == "ended":
            outcomes[what[1]] = outcomes.get(what[1], 0) + 1

    def allow(wanted: int) -> int:
        granted = min(wanted, left[0])
        left[0] -= granted
        return granted

    def give_back(unused: int) -> None:
        left[0] += unused

    over = threading.Event()
    _end_if_silent(settings.engine.phase_limit_seconds, heard, over)
    try:
        duty = worker.Duty(report=report, stop=lambda: not Path(sign).exists(), allow=allow, give_back=give_back)
        worker.work(settings, duty)
    finally:
        over.set()
    return allotment - left[0], outcomes


def _make_sure_we_fit(settings: Settings, word: str, sign: str, boot: str) -> None:
    host = socket.gethostname()
    try:
        seen = Path(sign).read_text()
    except OSError:
        seen = ""
    if seen != word:
        raise Unfit(
            f"{settings.home} on {host} is not the home of this hunt: it must be a folder that all machines share"
        )
    if sqlite_file(settings.database) is not None and worker.boot_id() != boot:
        raise Unfit(
            f"the record is a SQLite file, and {host} is another machine: set [state] url to a postgresql:// URL"
        )


def _end_if_silent(limit: float, heard: list[float], over: threading.Event) -> None:
    """Where a nanny starts another one, end a process whose phase takes too long, as the crew kills its children."""
    from distributed import get_worker

    if get_worker().nanny is None:
        return

    def watch() -> None:
        while not over.wait(min(limit, 5.0)):
            if time.monotonic() - heard[0] > limit:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
