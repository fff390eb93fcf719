"""One worker: claim a batch, walk it through the chain, record how each target ended, claim the next.

The same function serves a child of ``hunter run``, a process on another machine, and ``hunter once``. It owns
no timer and no lock: what it holds is a claim, which it loses when its heartbeat stops.
"""

import multiprocessing.connection
import os
import platform
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from hunter import crashpoints, logs
from hunter.outcomes import DeviceLost, DiskFull, disk_is_full, judge
from hunter.settings import Settings
from state.reading import Reader
from state.rows import Message
from state.status import StateError, Status
from state.store import Claim, End, State

Report = Callable[[str, Any], None]
IDLE = 0.3  # seconds between looks into an empty queue
LIBRARIES = (
    "numpy", "scipy", "numba", "jax", "torch", "astropy", "matplotlib", "sqlalchemy", "transitleastsquares", "emcee",
    "exoplanet-core",
)  # fmt: skip


@dataclass(slots=True)
class Duty:
    """When a worker has to stop, and whom it tells what it does."""

    report: Report = lambda kind, what: None
    stop: Callable[[], bool] = lambda: False  # asked between batches
    allow: Callable[[int], int] = lambda wanted: wanted  # how many of the wanted targets may still be claimed
    give_back: Callable[[int], None] = lambda unused: None  # what was allowed and not claimed
    more: Callable[[], bool] = lambda: False  # whether to wait for more when nothing is queued
    now: Callable[[], float] = time.time
    place: Any = None  # hunter.device.Place, where a process of its own owns the device
    hunted: int = field(default=0)


def work(settings: Settings, duty: Duty, name: str | None = None) -> int:
    """Hunt until nothing is queued or the duty says stop; return the number of targets ended.

    Raises
    ------
    DiskFull
        If a result can't be stored; unfinished claims are given back first, where the disk still lets us.
    """
    name = name or f"{socket.gethostname()}-{os.getpid()}-{time.time_ns() % 10**9:09d}"
    # the engine has read the whole file; a worker only joins in
    state = State.open(settings.database, synchronous=settings.state.synchronous, step=crashpoints.at, check=False)
    with enrolled(state, name, settings, duty.now):
        serving = serving_now(settings)
        tools, device = equip(settings, state, duty.now, duty.place)
        lost = False
        allowed, busy = 0, time.monotonic()
        while not duty.stop():
            allowed = allowed or duty.allow(settings.compute.batch)
            if allowed <= 0:
                break
            make_sure_of_room(settings)
            crashpoints.at("claim")
            claims = state.claim(name, allowed, duty.now())
            if not claims:
                if not duty.more() or time.monotonic() - busy > settings.engine.idle_seconds:
                    duty.give_back(allowed)
                    break
                duty.report("idle", None)
                time.sleep(IDLE)
                continue
            crashpoints.at("claimed")
            duty.give_back(allowed - len(claims))
            allowed, busy = 0, time.monotonic()
            if (now_serving := serving_now(settings)) != serving:
                serving, tools = now_serving, replace(tools, model=choose_model(settings))
            ended = duty.hunted
            try:
                if tools.device is not None and (lost or not tools.device.lives()):
                    lost = False  # the device is asked again for the next batch, if it lives by then
                    _batch(claims, replace(tools, backend="numba", device=None), settings, state, duty, "cpu")
                else:
                    _batch(claims, tools, settings, state, duty, device)
            except DeviceLost as error:
                lost = True
                duty.give_back(len(claims) - (duty.hunted - ended))
                state.log("warning", "device", f"{error}: the next batch is searched on the CPU", duty.now())
    return duty.hunted


@contextmanager
def enrolled(
    state: State, name: str, settings: Settings, now: Callable[[], float], role: str = "worker"
) -> Iterator[None]:
    """Be in the record's list of the living, with a beating heart, and close the record at the end."""
    state.register_worker(name, os.getpid(), socket.gethostname(), boot_id(), now(), role)
    beating = threading.Event()
    pulse = threading.Thread(target=_beat, args=(state, name, settings.engine.heartbeat_seconds, beating), daemon=True)
    pulse.start()
    try:
        yield
    finally:
        beating.set()
        pulse.join()
        state.retire_worker(name, now())
        state.close()


def _batch(claims: list[Claim], tools: Any, settings: Settings, state: State, duty: Duty, device: str) -> None:
    from hunter.chain import hunt
    from hunter.checkpoints import Memory

    def watch(phase: str, target: str) -> None:
        logs.bind(target=target, phase=phase)
        duty.report("phase", (phase, target))

    memory = Memory(
        results_folder(settings),
        state,
        claims,
        device=device,
        now=duty.now,
        step=crashpoints.at,
        watch=watch,
    )
    from hunter.notify import messages

    def tell(ending: Any) -> tuple[Message, ...]:
        name = ending.claim.name
        return tuple(message for row in ending.candidates for message in messages.candidate(settings, name, row))

    unfinished = {claim.id: claim for claim in claims}
    waiting: list[Any] = []  # endings without pages: they cost one transaction together

    def record(endings: list[Any]) -> None:
        for ending, done in finish(state, endings, duty.now(), tell):
            del unfinished[ending.claim.id]
            if not done:
                continue  # another worker has it meanwhile, and reports it
            duty.hunted += 1
            duty.report("ended", (ending.claim.name, str(ending.outcome), ending.because))

    try:
        for ending in hunt(claims, tools, settings, memory):
            if ending.staged:
                record(waiting)
                waiting = []
                record([ending])
            else:
                waiting.append(ending)
        record(waiting)
    except BaseException:
        # a full disk, an interrupt: what was stored stays stored, the rest goes back to the queue
        state.release(list(unfinished.values()), duty.now())
        raise
    finally:
        logs.bind(target=None, phase=None)  # what this process logs from here on is of no target


def finish(
    state: State, endings: list[Any], now: float, tell: Callable[[Any], tuple[Message, ...]] = lambda ending: ()
) -> list[tuple[Any, bool]]:
    """Record endings in one transaction, with the pages of the one that has any; False for a claim that is lost.

    ``tell`` gives the messages that are owed to people once an ending stands: they are recorded with it. Where one of
    several can't be recorded, each is tried alone; where one alone can't, its target has failed.
    """
    if not endings:
        return []

    def install() -> None:
        for ending in endings:
            for pages in ending.staged:
                pages.install(crashpoints.at)

    from hunter.chain import Ending

    staged = [pages for ending in endings for pages in ending.staged]
    crashpoints.at("finish")
    try:
        lost = state.finish_all(
            [_end_of(ending, now, tell(ending)) for ending in endings], now, install=install if staged else None
        )
    except Exception as error:
        for pages in staged:
            pages.discard()
        ours = isinstance(error, StateError)
        if ours or (len(endings) == 1 and endings[0].failure is not None):
            if disk_is_full(error):
                raise DiskFull(str(error)) from error
            raise
        # what was found of one can't be recorded: the others are not to suffer for it
        if len(endings) > 1:
            return [told for ending in endings for told in finish(state, [ending], now, tell)]
        failed = judge(error, "publish", endings[0].claim.deferrals)
        return finish(state, [Ending(endings[0].claim, failed.outcome, failed.because, failure=failed)], now)
    crashpoints.at("finished")
    for pages in staged:
        pages.discard()  # the undo note, once the record stands; everything, if the claim was lost
    for ending in endings:
        if ending.outcome is Status.QUARANTINED and ending.claim.id not in lost:
            words = f"{ending.claim.name}: {ending.because}"
            state.log("error", "quarantined", words, now, target_id=ending.claim.id)
    return [(ending, ending.claim.id not in lost) for ending in endings]


def _end_of(ending: Any, now: float, messages: tuple[Message, ...]) -> End:
    failure, best = ending.failure, ending.best
    return End(
        ending.claim,
        ending.outcome,
        ending.because,
        ending.signals,
        ending.candidates,
        ending.runs,
        ending.model,
        best.period if best else None,
        best.snr if best else None,
        failure.error_class if failure else None,
        failure.error if failure else None,
        now + failure.wait if failure and failure.wait is not None else None,
        messages,
    )


def equip(settings: Settings, state: State, now: Callable[[], float], place: Any = None) -> tuple[Any, str]:
    """Everything the chain needs from outside, warm: kernels are compiled before the first claim.

    ``place`` is where the process lives that owns the device; this one then never opens it.
    """
    import numpy as np

    from hunter.archives import open_archive
    from hunter.chain import Tools
    from pipeline.search import search
    from pipeline.types import LightCurve

    backend = choose_backend(settings.compute.backend)
    owned = None
    if place is not None and backend == "jax":
        from hunter.device import Device

        owned = Device(place)
    time_ = np.arange(2000) / 72.0
    warming = LightCurve(time_, 1 + 1e-4 * np.sin(37.0 * time_), np.full(2000, 1e-4))
    search(warming, settings.search, backend=backend if owned is None else "numba")
    tools = Tools(
        archive=open_archive(settings),
        model=choose_model(settings),
        backend=backend,
        candidates=settings.home / "candidates",
        versions=versions(),
        now=now,
        name_taken=Reader(settings.database).name_taken,
        step=crashpoints.at,
        device=owned,
    )
    return tools, "gpu" if backend == "jax" and gpu_present() else "cpu"


def choose_backend(asked: str) -> str:
    """The search kernel: as asked, or jax where a GPU is seen and numba elsewhere."""
    if asked != "auto":
        return asked
    return "jax" if gpu_present() else "numba"


def gpu_present() -> bool:
    """Whether an NVIDIA device can be seen and jax has the plugin for it; jax itself is not imported."""
    return Path("/dev/nvidia0").exists() and any(
        distribution.name and distribution.name.startswith("jax-cuda") for distribution in metadata.distributions()
    )


def choose_model(settings: Settings) -> Any:
    """The model that scores: the checkpoint asked for, the hunt's promoted one, or the shipped one; else None."""
    from functools import cache

    from hunter.chain import Model
    from models.registry import ModelRefused, Registry, verify_folder

    named = settings.score.checkpoint
    if named == "none":
        return None
    try:
        folder = Path(named).expanduser() if named else Registry(settings.home / "models").current()
        sha256 = verify_folder(folder) if folder is not None else ""
    except ModelRefused:
        if named:
            raise  # asked for by name: say at once that it can't be had
        return None  # signals wait; `hunter doctor` and `hunter models list` say why
    if folder is None:
        return None

    @cache
    def load() -> Any:
        from models.scorer import Scorer

        return Scorer.load(folder)

    return Model(sha256, load)


def serving_now(settings: Settings) -> object:
    """What tells, at the price of two small looks, whether another model serves than a moment ago."""
    from models.registry import MANIFEST, ModelRefused, Registry

    if settings.score.checkpoint:
        return None  # named for the whole run
    try:
        folder = Registry(settings.home / "models").current()
        return folder and (str(folder), (folder / MANIFEST).stat().st_mtime_ns)
    except (ModelRefused, OSError) as error:
        return str(error)


def versions() -> dict[str, str]:
    """The versions every result is stored with."""
    from hunter import __version__

    found = {"hunter": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in LIBRARIES}


def results_folder(settings: Settings) -> Path:
    return settings.home / "cache" / "results"


def boot_id() -> str:
    """Which boot of this machine this is; a process of an earlier boot is certainly dead."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def dead(pid: int) -> bool:
    """Whether no process of this machine has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:  # a zombie has ended; only its parent has not looked yet
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def make_sure_of_room(settings: Settings) -> None:
    """Raise DiskFull where the disk under the home has less left than it shall keep."""
    free = shutil.disk_usage(settings.home).free / 1e6
    if free < settings.engine.free_disk_mb:
        raise DiskFull(
            f"{free:.0f} MB are free at {settings.home}: [engine] free_disk_mb is {settings.engine.free_disk_mb:g}"
        )


def _beat(state: State, name: str, every: float, stop: threading.Event) -> None:
    while not stop.wait(every):
        try:
            state.heartbeat(name, time.time())
        except StateError as error:  # locked or full just now: one beat is lost, not the worker
            print(f"hunter: no heartbeat of {name}: {error}", file=sys.stderr)


def main(settings: Settings, connection: Any, flags: Any, budget: Any, place: Any = None) -> None:
    """A child of the crew: work, tell the parent, die with it."""
    logs.configure_for(settings, "worker", console=None)

    def duty(report: Report) -> Duty:
        told = {"report": report, "stop": flags.is_set, "more": flags.more_may_come, "place": place}
        return Duty(**told) if budget is None else Duty(**told, allow=budget.take, give_back=budget.give_back)

    serve_parent(connection, lambda report: work(settings, duty(report)))


def serve_parent(connection: Any, live: Callable[[Report], Any]) -> None:
    """Live as a child: let the parent decide what a signal means, tell it what ends us, die with it."""
    import signal

    # a Ctrl-C reaches the whole group
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=die_with_parent, daemon=True).start()
    telling = threading.Lock()

    def report(kind: str, what: Any) -> None:
        with telling:
            connection.send((kind, what))

    try:
        report("done", live(report))
    except DiskFull as error:
        report("disk full", str(error))
    except Exception as error:
        if disk_is_full(error):
            report("disk full", str(error))
        else:
            import traceback

            report("broken", (f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))))


def die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
