"""The work of building a set: in processes, star by star, what is finished kept as files of some stars each."""

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from hunter.checkpoints import digest_of
from hunter.processes import in_processes
from hunter.training_sets.naming import Named
from models.datasets import Labelled, ViewsRefused, join_labelled, label
from models.datasets.snapshots import pack, unpack
from models.inputs import InputsRefused, Rows, SignalInputs, check
from models.registry import write_durably
from pipeline import features as describing
from pipeline import fold as folding
from pipeline import search as searching
from pipeline import simulate as simulating
from pipeline import vet as vetting
from pipeline.clean import VERSION as CLEAN_VERSION
from pipeline.clean.detrend import VERSION as DETREND_VERSION
from pipeline.errors import ArchiveUnavailable, UnusableData
from pipeline.types import Star, Target

VERSION = 1  # raised when the same call would give other rows


class Job(Protocol):
    """Some stars, always the same ones, whose signals are kept in one file."""

    @property
    def name(self) -> str:
        """Of the file, without suffix."""
        ...

    def stars(self) -> Iterator[Callable[[Counter[str]], list["Found"]]]:
        """What is to be done for each star: it counts what it left out, and may raise as the phases do."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One labelled signal on its way into a set."""

    tic: int
    period: float  # days
    inputs: SignalInputs
    named: Named
    star: Star


@dataclass(slots=True)
class Work:
    """How far a set is."""

    asked: int  # files of some stars each
    done: int = 0
    kept: int = 0  # of an earlier run
    signals: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    stopped_by: int | None = None  # signal
    seconds: float = 0.0


def carry_out(
    jobs: Sequence[Job], folder: Path, workers: int, show: Callable[[Work], None] = lambda work: None
) -> tuple[Work, list[Path]]:
    """Do what is left to do, and keep each finished job as a file of ``folder``.

    Parameters
    ----------
    jobs : sequence of Job
    folder : Path
        For these jobs with these settings and this code alone: its name holds their digest.
    workers : int
        Processes; 1 works in this one.
    show : callable
        Called after every job.

    Returns
    -------
    Work
        With ``stopped_by`` where a signal asked for the end; the jobs in flight are finished and kept.
    list of Path
        The files, in the order of the jobs; only those that are done.

    Raises
    ------
    NightFailed
        If a worker process dies.
    """
    from hunter.crew import Flags
    from hunter.engine import Night, pin_threads, stop_signals

    pin_threads()
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    work = Work(len(jobs))
    kept: dict[str, Path] = {}
    left: list[Job] = []
    for job in jobs:
        path = folder / f"{job.name}.safetensors"
        try:
            counted = _count(path)
        except (OSError, SafetensorError, ValueError, KeyError):
            left.append(job)
            continue
        kept[job.name] = path
        work.kept, work.done = work.kept + 1, work.done + 1
        work.signals, work.dropped = work.signals + counted[0], work.dropped + counted[1]
    night, stop = Night(), Flags()
    with stop_signals(night, stop.set):
        for job, (found, dropped) in in_processes(left, do, workers, stop.is_set):
            path = folder / f"{job.name}.safetensors"
            write_durably(path, _chunk(found, dropped))
            kept[job.name] = path
            work.done += 1
            work.signals += len(found)
            work.dropped += dropped
            show(work)
        work.stopped_by = night.stopped_by
    work.seconds = time.monotonic() - began
    return work, [kept[job.name] for job in jobs if job.name in kept]


def do(job: Job) -> tuple[list[Found], Counter[str]]:
    """The labelled signals of one job's stars, and what was left out, by reason."""
    found: list[Found] = []
    dropped: Counter[str] = Counter()
    for star in job.stars():
        try:
            fresh = star(dropped)
        except (UnusableData, ArchiveUnavailable) as error:
            dropped[f"unusable: {_kind_of(error)}"] += 1
            continue
        for item in fresh:
            try:
                check(item.inputs)
                found.append(item)
            except InputsRefused as error:
                dropped[f"refused: {_kind_of(error)}"] += 1
    return found, dropped


def _kind_of(error: Exception) -> str:
    """A reason without its numbers, so that alike ones are counted together."""
    return re.sub(r"[-+]?\d[\d.,e+-]*", "N", str(error))[:80]


def _chunk(found: Sequence[Found], dropped: Counter[str]) -> bytes:
    """A finished job as bytes: its rows, and beside them what was dropped."""
    about: dict[str, Any] = {"dropped": dict(dropped), "rows": len(found)}
    if not found:
        return save_arrays({"none": np.zeros(1)}, {"about": json.dumps(about)})
    labelled = label(
        [f.inputs for f in found],
        [f.tic for f in found],
        [f.period for f in found],
        [f.named.disposition for f in found],
        "simulated",
    )
    extra = {
        "alias": np.array([f.named.alias for f in found]),
        "what": np.array([f.named.what for f in found]),
        "ra": np.array([math.nan if f.star.ra is None else f.star.ra for f in found]),
        "dec": np.array([math.nan if f.star.dec is None else f.star.dec for f in found]),
    }
    arrays, words = pack(labelled, extra)
    # one word beside the arrays: several would be written in any order, and the same rows be other bytes
    return save_arrays(arrays, {"about": json.dumps(about | {"words": words})})


def _count(path: Path) -> tuple[int, Counter[str]]:
    about = _about(path)
    return int(about["rows"]), Counter(about["dropped"])


def _about(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as stored:
        about: dict[str, Any] = json.loads((stored.metadata() or {})["about"])
    return about


def collect(paths: Sequence[Path], source: str) -> tuple[Labelled, dict[str, Any], dict[int, dict[str, float]]]:
    """The rows of finished jobs, in order, with their further columns and the places of their stars.

    Raises
    ------
    ViewsRefused
        If none of them holds a row.
    """
    parts, extras = [], []
    for path in paths:
        about = _about(path)
        if about["rows"]:
            labelled, extra = unpack(load_arrays(path.read_bytes()), about["words"], path.name)
            parts.append(labelled)
            extras.append(extra)
    if not parts:
        raise ViewsRefused("no labelled signal was found in any of the stars: nothing to learn from")
    joined = join_labelled(parts)
    joined = replace(joined, place=np.arange(len(joined)), source=np.full(len(joined), source, dtype="U16"))
    extra = {name: np.concatenate([part[name] for part in extras]) for name in extras[0]}
    ra, dec = extra.pop("ra"), extra.pop("dec")
    stars = {
        int(t): {"ra": float(x), "dec": float(y)}
        for t, x, y in zip(joined.tic, ra, dec, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    }
    return joined, extra, stars


def code_version() -> str:
    """The versions of all code that decides the rows."""
    return digest_of(
        VERSION, CLEAN_VERSION, DETREND_VERSION, searching.VERSION, folding.VERSION, vetting.VERSION,
        describing.VERSION, simulating.VERSION, inputs_digest(),
    )  # fmt: skip


def inputs_digest() -> str:
    """What the views and scalars of a row are, in one word."""
    from models import inputs

    shape = [inputs.GLOBAL_BINS, inputs.LOCAL_BINS, inputs.GLOBAL_WIDTH, inputs.LOCAL_WIDTH, inputs.SAMPLED]
    return digest_of(*shape, *inputs.SCALARS, *(item.name for item in fields(Rows)))


CATALOGUES = {"TIC": 0, "KIC": 1, "EPIC": 2}  # blocks of numbers below zero, so that no KIC is taken for a TIC


def number_in(kind: str, key: str) -> int:
    """One number for a star of any catalogue: TIC as it is, others below zero, by their catalogue or their name."""
    first = key.split()[0] if key.split() else key
    if kind in CATALOGUES and first.isascii() and first.isdigit() and len(first) < 16:
        return int(first) if kind == "TIC" else -(CATALOGUES[kind] * 10**16 + int(first))
    named = int.from_bytes(hashlib.sha256(f"{kind} {key}".encode()).digest()[:7], "big")
    return -(3 * 10**16 + named)


def star_number(target: Target) -> int:
    """As ``number_in``, of a target of the hunt."""
    return number_in(target.kind, target.key)
