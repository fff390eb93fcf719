"""A whole night against the usual notebook stack, paired in one run.

The same files go through the whole hunt (database, checkpoints and pages included) and through the usual notebook
stack: ``lightkurve.read``, ``remove_nans``, ``flatten`` over 101 cadences, 3-sigma clip, and astropy's
``BoxLeastSquares`` on a coarse 2000 + fine 3000 period grid. Both run in as many processes, each computing on one core;
imports and compilation are done before the clock starts, on both sides.
"""

import contextlib
import io
import multiprocessing
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hunter.bench import machine
from hunter.settings import Settings
from hunter.worker import Duty, versions, work
from pipeline.errors import UnusableData

COARSE, FINE = 2000, 3000  # periods of the peer's two passes
DURATIONS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.33)  # days
WARM_SECONDS = 300.0  # within which a process has to be warm


def time_night(
    settings: Settings,
    *,
    rounds: int = 1,
    limit: int | None = None,
    workers: int = 1,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Time the whole hunt against the notebook stack on the same files.

    Parameters
    ----------
    settings : Settings
        ``[archive] source`` is the folder of light curves.
    rounds : int
        Paired repetitions; medians are given.
    limit : int, optional
        Use only the first files.
    workers : int
        Processes of the hunt, and of the notebook stack.

    Returns
    -------
    dict
        Stars per hour of both, milliseconds a star by phase, the machine, and two ratios: ``ratio`` of the whole
        night, and ``ratio_without_pages``, since the notebook stack makes no pages.
    """
    from hunter.archives import open_archive

    # one light curve is one target, on both sides
    settings = settings.changed(hunt=replace(settings.hunt, combine="sector"))
    found = [item for item in open_archive(settings).targets() if item.target.kind != "FILE"]
    found = found[:limit] if limit else found
    compared = [item for item in found if peer_reads(item.sources[-1])]
    if len(compared) < len(found):
        say(f"{len(found) - len(compared)} light curves are left out on both sides: the notebook stack can't read them")
    if not compared:
        raise UnusableData(f"{settings.archive.source} holds no light curve that the notebook stack can read")
    found = compared
    files = [item.sources[-1] for item in found]
    say(f"{len(found)} targets, {rounds} rounds; compiling first")
    notebook(files[0])
    _hunt(settings, found[:1], 1)
    before = machine.load()
    ours: list[float] = []
    pages: list[float] = []
    peers: list[float] = []
    phases: dict[str, list[float]] = {}
    for number in range(rounds):
        seconds, by_phase, candidates = _hunt(settings, found, workers)
        ours.append(seconds)
        pages.append(by_phase.get("publish", 0.0))
        for phase, spent in by_phase.items():
            phases.setdefault(phase, []).append(spent)
        peers.append(_notebooks(files, workers))
        say(
            f"round {number + 1}: hunt {ours[-1]:.2f} s, notebook stack {peers[-1]:.2f} s, {peers[-1] / ours[-1]:.1f} x"
        )
    return {
        "targets": len(found),
        "rounds": rounds,
        "hunt_stars_per_hour": 3600 * len(found) / median(ours),
        "notebook_stars_per_hour": 3600 * len(found) / median(peers),
        "ratio": median(peer / own for own, peer in zip(ours, peers, strict=True)),
        # the pages of one process are not spread over several
        "ratio_without_pages": median(
            peer / (own - page / workers) for own, page, peer in zip(ours, pages, peers, strict=True)
        ),
        "candidates": candidates,
        "milliseconds_by_phase": {phase: 1000 * median(spent) / len(found) for phase, spent in phases.items()},
        "processes": workers,
        "machine": machine.machine() | {"load": [before, machine.load()]},
        "versions": versions(),
    }


def _hunt(settings: Settings, found: Sequence[Any], workers: int) -> tuple[float, dict[str, float], int]:
    """Seconds from the first claim to the last ending in a fresh home, by phase, and candidates; start-up left out."""
    from hunter.engine import open_state, queue
    from state.reading import Reader

    folder = Path(tempfile.mkdtemp(prefix="hunter-bench-"))
    own = settings.changed(folder, state=replace(settings.state, url=""))
    try:
        state = open_state(own)
        queue(state, found, own, time.time())
        state.close()
        seconds = _in_turn(own) if workers == 1 else _together(_hunting, own, workers)
        with Reader(own.database) as reader:
            rows = list(reader.timings())
            candidates = len(reader.candidates())
    finally:
        shutil.rmtree(folder)
    by_phase: dict[str, float] = {}
    for row in rows:
        for phase, milliseconds in row["milliseconds"].items():
            by_phase[phase] = by_phase.get(phase, 0.0) + milliseconds / 1000
    by_phase["record"] = workers * seconds - sum(by_phase.values())
    return seconds, by_phase, candidates


def _in_turn(settings: Settings) -> float:
    """Seconds of a whole hunt in this process, from the moment it is warm."""
    began = [0.0]

    def allow(wanted: int) -> int:
        began[0] = began[0] or time.perf_counter()  # asked first when the worker is warm
        return wanted

    work(settings, Duty(allow=allow))
    return time.perf_counter() - began[0]


def _hunting(settings: Settings, ready: Any, number: int) -> None:
    """A worker that waits for the others when it is warm."""
    waited: list[bool] = []

    def allow(wanted: int) -> int:
        if not waited:
            waited.append(True)
            ready.wait()
        return wanted

    work(settings, Duty(allow=allow))


def _notebooks(files: Sequence[str], workers: int) -> float:
    """Seconds of the notebook stack over all files, in as many processes."""
    if workers == 1:
        began = time.perf_counter()
        for file in files:
            notebook(file)
        return time.perf_counter() - began
    return _together(_reading, [files[k::workers] for k in range(workers)], workers)


def _reading(shares: Sequence[Sequence[str]], ready: Any, number: int) -> None:
    """One process of the notebook stack, warm before the others are."""
    notebook(shares[number][0])
    ready.wait()
    for file in shares[number]:
        notebook(file)


def _together(task: Callable[[Any, Any, int], None], what: Any, workers: int) -> float:
    """Seconds from the moment that all of several fresh processes are warm to the end of the last one's work."""
    fresh = multiprocessing.get_context("spawn")
    ready, ends = fresh.Barrier(workers + 1), fresh.SimpleQueue()
    processes = [fresh.Process(target=_reporting, args=(task, what, ready, k, ends)) for k in range(workers)]
    for process in processes:
        process.start()
    try:
        ready.wait(WARM_SECONDS)
        began = time.monotonic()
        for process in processes:
            process.join()
    except threading.BrokenBarrierError:
        raise RuntimeError("a process of the measurement ended before it was warm") from None
    finally:
        for process in processes:
            process.kill()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a process of the measurement failed")
    return max(ends.get() for _ in processes) - began


def _reporting(task: Callable[[Any, Any, int], None], what: Any, ready: Any, number: int, ends: Any) -> None:
    """Do the task, and say when it was done: the clock is the machine's, one for all processes."""
    try:
        task(what, ready, number)
    except BaseException:
        ready.abort()
        raise
    ends.put(time.monotonic())


def peer_reads(file: str) -> bool:
    """Whether the notebook stack comes as far as a normalised light curve with this file."""
    import lightkurve

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return len(lightkurve.read(file).remove_nans().normalize()) > 0
        except Exception:  # whatever stops the peer, the pair has no second half
            return False


def notebook(file: str) -> float:
    """Hunt one file the usual way; return the best period in days."""
    import lightkurve
    from astropy.timeseries import BoxLeastSquares

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        curve = lightkurve.read(file).remove_nans().normalize().flatten(window_length=101).remove_outliers(sigma=3)
        time_, flux = np.asarray(curve.time.value, float), np.asarray(curve.flux.value, float)
        model = BoxLeastSquares(time_, flux)
        longest = max((time_[-1] - time_[0]) / 2, 1.0)
        coarse = np.linspace(0.5, longest, COARSE)
        found = model.power(coarse, DURATIONS)
        best = found.period[np.argmax(found.power)]
        fine = np.linspace(0.98 * best, min(1.02 * best, longest), FINE)
        found = model.power(fine, DURATIONS)
        return float(found.period[np.argmax(found.power)])
