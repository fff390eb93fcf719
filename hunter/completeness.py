"""Injection and recovery for one light curve, or a sample of a hunt: what is done is kept, what is left is done.

Every finished injection is a line of ``<home>/cache/completeness/<digest>.jsonl``, the digest made of the light curve,
the star, the settings, the seed and the code: a second run goes on where the first stopped, and with other settings
nothing stale is read. Each injection has a seed of its own, so the number of workers changes nothing.
"""

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hunter.archives.base import Archive, Fetched, FoundTarget
from hunter.checkpoints import SHAPE, Damaged, decode, digest_of
from hunter.crew import Flags
from hunter.engine import Night, pin_threads, stop_signals
from hunter.processes import in_processes
from hunter.settings import Settings
from hunter.worker import choose_backend, results_folder, versions
from pipeline import completeness as recovering
from pipeline import search as searching
from pipeline import simulate as simulating
from pipeline.clean import VERSION as CLEAN_VERSION
from pipeline.clean import clean
from pipeline.clean.detrend import VERSION as DETREND_VERSION
from pipeline.completeness import (
    CONFIDENCE,
    Injection,
    InjectionSettings,
    Phases,
    Subject,
    Trial,
    attempt,
    contour,
    crossing,
    edges,
    prepare,
    recovery_map,
    snr_curve,
    wilson,
)
from pipeline.errors import ArchiveUnavailable, UnusableData
from pipeline.simulate import FIRST_KEY
from pipeline.simulate.seeds import stream
from pipeline.types import CleanedLightCurve, Star, Target
from state.reading import Reader
from state.status import Status

SCHEMA = "transit-hunter/completeness/1"
CHUNK = 8  # injections searched together, always the same ones
USABLE = (Status.CANDIDATE, Status.CLEARED, Status.NO_SIGNAL, Status.HELD)
LEVELS = (0.5, 0.9)
NO_RADIUS = "the radius of the star is unknown, so no planet can be drawn by radius"
CODE = {
    "completeness": recovering.VERSION,
    "clean": CLEAN_VERSION,
    "detrend": DETREND_VERSION,
    "search": searching.VERSION,
    "simulate": simulating.VERSION,
}
RULES = {
    "recovered": "a signal over the threshold whose period drifts from the injected one by less than a duration over "
    "the whole baseline, its epoch within half a duration, that is no harmonic of a stronger signal",
    "harmonic": "not recovered, but found at 1/3, 1/2, 2 or 3 times the period, or as the harmonic of another signal",
    "missed": "neither; signals that the light curve shows without the injection count as neither",
    "too_few_transits": "fewer than two transits of which at least half was observed; not among the injected",
    "expected_snr": "sqrt(integral of dip^2 / duration) over the noise the search measures at that duration",
}


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A target with its cleaned light curve."""

    target: Target
    star: Star
    cleaned: CleanedLightCurve


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to every target."""

    injections: InjectionSettings
    phases: Phases
    seed: int
    number: int  # injections into each target

    def digest(self, loaded: Loaded) -> str:
        """The name under which the injections into a light curve are kept."""
        summed = hashlib.sha256()
        for curve in (loaded.cleaned.raw, loaded.cleaned.flat):
            for array in (curve.time, curve.flux, curve.flux_err):
                summed.update(array.tobytes())
        summed.update(loaded.cleaned.segment.tobytes())
        summed.update(loaded.cleaned.exposure.tobytes())
        settings = (asdict(self.injections), asdict(self.phases), asdict(loaded.star))
        return digest_of(summed.hexdigest(), loaded.target.name, self.seed, *settings, sorted(CODE.items()))


@dataclass(slots=True)
class Done:
    """One target, and the injections into it that are finished."""

    target: Target
    star: Star
    digest: str
    products: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """All targets, what could not be used, and how the work ended."""

    done: list[Done] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # name, reason
    asked: int = 0  # injections
    kept: int = 0  # of an earlier run
    stopped_by: int | None = None  # signal
    seconds: float = 0.0

    @property
    def finished(self) -> int:
        return sum(len(done.trials) for done in self.done)


Source = tuple[str, Callable[[], Loaded]]  # name of a target, and how to come by its light curve


# ------------------------------------------------------------------------------------------------ light curves


def from_archive(found: FoundTarget, archive: Archive, settings: Settings) -> Loaded:
    """Verify, read, stitch, clean and detrend, as the hunt does."""
    fetched = archive.fetch(found.target, found.sources)
    observations = [archive.read(product) for product in fetched.products]
    return Loaded(found.target, fetched.star, clean(observations, settings.clean, settings.detrend))


def sample_of_hunt(
    settings: Settings, archive: Callable[[], Archive], number: int, seed: int
) -> tuple[list[Source], int]:
    """A random sample of the targets whose light curves a hunt could search, and how many such targets there are.

    Raises
    ------
    state.status.DatabaseMissing
        If nobody has hunted here.
    """
    with Reader(settings.database) as reader:
        names = sorted((row["kind"], row["key"]) for row in reader.processed() if row["status"] in USABLE)
    drawn = stream(seed, "targets").permutation(len(names))[:number]
    chosen = [names[k] for k in sorted(drawn.tolist())]

    def source(kind: str, key: str) -> Source:
        return f"{kind} {key}", lambda: _of_hunt(settings, archive, kind, key)

    return [source(*name) for name in chosen], len(names)


def _of_hunt(settings: Settings, archive: Callable[[], Archive], kind: str, key: str) -> Loaded:
    """The light curve the hunt searched, from its checkpoint; from its files where that is gone or outdated."""
    with Reader(settings.database) as reader:
        row = reader.target(kind, key)
    assert row is not None
    target = Target(kind, key, Star(**row["star"]))
    runs = {run["phase"]: run for run in row["phase_runs"] if run["item"] == 0}
    if "fetch" in runs and "clean" in runs:
        code = digest_of("clean", CLEAN_VERSION, settings.digest("clean", "detrend"))
        current = digest_of(SHAPE, "clean", code, 0, runs["fetch"]["digest"]) == runs["clean"]["digest"]
        fetched, cleaned = (_stored(settings, runs[phase]) if current else None for phase in ("fetch", "clean"))
        if isinstance(fetched, Fetched) and isinstance(cleaned, CleanedLightCurve):
            return Loaded(target, fetched.star, cleaned)
    return from_archive(FoundTarget(target, tuple(row["sources"]), row["inputs"]), archive(), settings)


def _stored(settings: Settings, run: Mapping[str, Any]) -> Any:
    try:
        data = (results_folder(settings) / run["path"]).read_bytes()
        return decode(data) if hashlib.sha256(data).hexdigest() == run["sha256"] else None
    except (OSError, Damaged):
        return None


# ------------------------------------------------------------------------------------------------ the work


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """A few injections into one light curve."""

    digest: str
    loaded: Loaded
    plan: Plan
    numbers: tuple[int, ...]


_subject: dict[str, Subject] = {}  # the last one of this process: its search is the same for all its injections


def _do(job: _Job) -> tuple[dict[str, Any], list[Trial]] | str:
    """Facts of the light curve and what became of its injections, or why it cannot be used."""
    try:
        if job.digest not in _subject:
            _subject.clear()
            loaded, plan = job.loaded, job.plan
            _subject[job.digest] = prepare(
                loaded.target.name, loaded.cleaned, loaded.star, plan.injections, plan.phases
            )
        subject = _subject[job.digest]
        trials = attempt(subject, job.numbers, job.plan.injections, job.plan.phases, job.plan.seed)
    except UnusableData as error:
        return str(error)
    own = [{"period": s.period, "epoch": s.epoch, "snr": s.snr} for s in subject.own]
    return {"periods": list(subject.periods), "own_signals": own, "notes": list(subject.notes)}, trials


def plan_of(settings: Settings, injections: InjectionSettings, seed: int, number: int) -> Plan:
    """The plan for the settings in force."""
    backend = choose_backend(settings.compute.backend)
    return Plan(injections, Phases(settings.search, settings.clean, settings.detrend, backend), seed, number)


def carry_out(
    sources: Sequence[Source],
    plan: Plan,
    folder: Path,
    workers: int,
    show: Callable[[Outcome], None] = lambda outcome: None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Inject and recover until all is done, or until a signal asks for the end.

    Parameters
    ----------
    sources : sequence of Source
    plan : Plan
    folder : Path
        Where finished injections are kept and looked for.
    workers : int
        Processes; 1 works in this one.
    show : callable
        Called after every few injections.
    say : callable
        Called with a line a person should read once.

    Returns
    -------
    Outcome
        With ``stopped_by`` where a signal ended it: the injections in flight are finished and kept.

    Raises
    ------
    NightFailed
        If a worker process dies.
    """
    pin_threads()
    began = time.monotonic()
    outcome = Outcome(asked=plan.number * len(sources))
    folder.mkdir(parents=True, exist_ok=True)
    night, stop = Night(), Flags()
    with stop_signals(night, stop.set):
        jobs = _jobs(sources, plan, folder, outcome, say)
        for job, result in in_processes(jobs, _do, workers, stop.is_set):
            done = next(item for item in outcome.done if item.digest == job.digest)
            if isinstance(result, str):
                if (done.target.name, result) not in outcome.skipped:
                    outcome.skipped.append((done.target.name, result))
                    outcome.asked -= plan.number
                    if len(sources) > 1:
                        say(f"{done.target.name} left out: {result}")
                continue
            done.facts = result[0]
            _keep(folder, done, result[1])
            show(outcome)
            if night.stopped_by is not None and outcome.stopped_by is None:
                say("stopping after the injections in flight; once more to stop at once")
                outcome.stopped_by = night.stopped_by
        outcome.stopped_by = night.stopped_by
    outcome.done = [done for done in outcome.done if done.trials]
    outcome.seconds = time.monotonic() - began
    return outcome


def _jobs(
    sources: Sequence[Source], plan: Plan, folder: Path, outcome: Outcome, say: Callable[[str], None]
) -> Iterator[_Job]:
    """What is left to do, target by target; each light curve is loaded when its turn comes."""
    for name, load in sources:
        try:
            loaded = load()
            if plan.injections.by == "radius" and not loaded.star.radius:
                raise UnusableData(NO_RADIUS)
        except (UnusableData, ArchiveUnavailable) as error:
            outcome.skipped.append((name, str(error)))
            outcome.asked -= plan.number
            if len(sources) > 1:
                say(f"{name} left out: {error}")
            continue
        digest = plan.digest(loaded)
        if any(done.digest == digest for done in outcome.done):
            continue
        products = tuple(product.uri for product in loaded.cleaned.products)
        done = Done(loaded.target, loaded.star, digest, products)
        done.facts, earlier = _kept(folder, digest)
        done.trials = {number: trial for number, trial in earlier.items() if number < plan.number}
        outcome.kept += len(done.trials)
        outcome.done.append(done)
        missing = [number for number in range(plan.number) if number not in done.trials]
        chunks: dict[int, list[int]] = {}
        for number in missing:
            chunks.setdefault(number // CHUNK, []).append(number)
        for numbers in chunks.values():
            yield _Job(digest, loaded, plan, tuple(numbers))


# ------------------------------------------------------------------------------------------------ what is kept


def _keep(folder: Path, done: Done, trials: Sequence[Trial]) -> None:
    """Add lines in one write: a kill leaves at most one of them torn, and that one is done again."""
    lines = [{"facts": done.facts}, *({"trial": asdict(trial)} for trial in trials)]
    with (folder / f"{done.digest}.jsonl").open("a+b") as file:
        torn = file.seek(0, 2) > 0 and file.seek(-1, 2) >= 0 and file.read(1) != b"\n"
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        file.write(("\n" * torn + text).encode())
    done.trials.update({trial.injection.number: trial for trial in trials})


def _kept(folder: Path, digest: str) -> tuple[dict[str, Any], dict[int, Trial]]:
    facts: dict[str, Any] = {}
    trials: dict[int, Trial] = {}
    try:
        lines = (folder / f"{digest}.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return facts, trials
    for line in lines:
        try:
            row = json.loads(line)
            if "facts" in row:
                facts = row["facts"]
                continue
            trial = Trial(**row["trial"] | {"injection": Injection(**row["trial"]["injection"])})
        except (ValueError, TypeError, KeyError):
            continue  # torn by a kill
        trials[trial.injection.number] = trial
    return (facts, trials) if facts else ({}, {})


# ------------------------------------------------------------------------------------------------ the result


def document(
    outcome: Outcome, plan: Plan, settings: Settings, name: str, bins: tuple[int, int], now: float
) -> dict[str, Any]:
    """The map, the curve, the contours and every injection, with all that they depend on."""
    injections = plan.injections
    logarithmic = injections.by == "radius"
    trials = [(done.target.name, trial) for done in outcome.done for _, trial in sorted(done.trials.items())]
    alone = [trial for _, trial in trials]
    period_edges = edges(
        min(done.facts["periods"][0] for done in outcome.done),
        max(done.facts["periods"][1] for done in outcome.done),
        bins[0],
        True,
    )
    sizes = (injections.radius_min, injections.radius_max) if logarithmic else (injections.snr_min, injections.snr_max)
    found = recovery_map(alone, period_edges, edges(*sizes, bins[1], logarithmic))
    curve = snr_curve(alone)
    counts = {word: sum(t.outcome == word for t in alone) for word in ("recovered", "harmonic", "missed")}
    injected = sum(counts.values())
    means, right, all_ = (
        _array([getattr(p, name) for p in curve], dtype)
        for name, dtype in (("mean", "f8"), ("recovered", "i8"), ("injected", "i8"))
    )
    return {
        "schema": SCHEMA,
        "name": name,
        "what": f"injected (simulated) transits in {_kind_of_data(outcome.done)} data",
        "partial": outcome.finished < outcome.asked,
        "injections": {
            "asked": outcome.asked,
            "done": outcome.finished,
            "injected": injected,
            **counts,
            "too_few_transits": len(alone) - injected,
        },
        "recovered": _share(counts["recovered"], injected),
        "by": injections.by,
        "seed": plan.seed,
        "search_threshold": plan.phases.search.snr,
        "confidence": CONFIDENCE,
        "rules": RULES,
        "map": {
            "period_edges_days": found.period_edges.tolist(),
            ("radius_edges_earth" if logarithmic else "snr_edges"): found.size_edges.tolist(),
            "cells": [
                {
                    "period": k,
                    injections.by: j,
                    "injected": int(found.injected[k, j]),
                    "recovered": int(found.recovered[k, j]),
                    "harmonic": int(found.harmonic[k, j]),
                    "too_few_transits": int(found.too_few[k, j]),
                    **_share(int(found.recovered[k, j]), int(found.injected[k, j])),
                }
                for k in range(bins[0])
                for j in range(bins[1])
            ],
        },
        "contours": {
            f"{level:g}": [
                {"period_days": period, injections.by: size} for period, size in contour(found, level, logarithmic)
            ]
            for level in LEVELS
        },
        "curve": [
            {
                "snr_low": point.low,
                "snr_high": point.high if point.high < float("inf") else None,
                "snr_mean": point.mean,
                "injected": point.injected,
                "recovered": point.recovered,
                "harmonic": point.harmonic,
                **_share(point.recovered, point.injected),
            }
            for point in curve
        ],
        "snr_at": {f"{level:g}": crossing(means, right, all_, level, False) for level in LEVELS},
        "targets": [
            {
                "name": done.target.name,
                "light_curve": done.digest,
                "files": list(done.products),
                "star": {key: value if _known(value) else None for key, value in asdict(done.star).items()},
                **done.facts,
                "done": len(done.trials),
            }
            for done in outcome.done
        ],
        "left_out": [{"name": name, "because": reason} for name, reason in outcome.skipped],
        "settings": {
            "injection": asdict(injections),
            **{table: dataclasses.asdict(getattr(settings, table)) for table in ("search", "clean", "detrend")},
            "backend": plan.phases.backend,
        },
        "versions": versions(),
        "code": CODE,
        "made_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "seconds": round(outcome.seconds, 3),
        "trials": [
            {
                "target": target,
                **asdict(trial.injection),
                **{k: v for k, v in asdict(trial).items() if k != "injection"},
            }
            for target, trial in trials
        ],
    }


def _array(values: Sequence[float], dtype: str) -> Any:
    import numpy as np

    return np.asarray(values, dtype=dtype)


def _share(recovered: int, injected: int) -> dict[str, float | None]:
    low, high = wilson(recovered, injected) or (None, None)
    return {"fraction": recovered / injected if injected else None, "low": low, "high": high}


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _kind_of_data(done: Sequence[Done]) -> str:
    """Simulated stars bear TIC numbers no catalogue reaches."""
    simulated = [
        item.target.kind == "TIC"
        and item.target.key.split()[0].isdigit()
        and int(item.target.key.split()[0]) >= FIRST_KEY
        for item in done
    ]
    return "simulated" if all(simulated) else "real and simulated" if any(simulated) else "real"
