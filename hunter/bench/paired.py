"""Engines that take turns: whatever else the machine does hits all of them, and only ratios within a round are told."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

TURN_SECONDS = 0.25  # a fast engine is called again until its turn lasts about this long
MOST_CALLS = 16  # of one turn


@dataclass(frozen=True, slots=True)
class Engine:
    """Something to be timed."""

    name: str
    run: Callable[[int], Any]  # is given a running number, by which it may take another star each time
    stars: int = 1  # searched by one call
    share: float = 1.0  # of the whole work that one call does; times are divided by it
    cells: int | None = None  # periods times durations of the whole work


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds a star of one engine, one entry a round."""

    engine: Engine
    processor: tuple[float, ...]
    wall: tuple[float, ...]
    first_call: float  # seconds of wall time, compiling included where nothing was cached
    calls: int  # of a turn
    answer: Any  # of the first call


def take_turns(engines: Sequence[Engine], rounds: int, say: Callable[[str], None] = lambda line: None) -> list[Times]:
    """Time engines in turn, so many rounds; each round begins with another.

    The first call of each is apart, a second one says how many calls a turn takes.
    """
    first: list[float] = []
    calls: list[int] = []
    answers: list[Any] = []
    for engine in engines:
        began = time.perf_counter()
        answers.append(engine.run(0))
        first.append(time.perf_counter() - began)
        began = time.process_time()
        engine.run(1)
        spent = time.process_time() - began
        calls.append(min(MOST_CALLS, max(1, round(TURN_SECONDS / max(spent, 1e-6)))))
        say(f"{engine.name}: {1e3 * spent / engine.stars / engine.share:,.1f} ms a star at its second call")
    processor: list[list[float]] = [[] for _ in engines]
    wall: list[list[float]] = [[] for _ in engines]
    for number in range(rounds):
        for turn in range(len(engines)):
            which = (turn + number) % len(engines)
            engine = engines[which]
            per_star = calls[which] * engine.stars * engine.share
            began, spent_before = time.perf_counter(), time.process_time()
            for call in range(calls[which]):
                engine.run(number * calls[which] + call)
            processor[which].append((time.process_time() - spent_before) / per_star)
            wall[which].append((time.perf_counter() - began) / per_star)
    return [
        Times(engine, tuple(processor[k]), tuple(wall[k]), first[k], calls[k], answers[k])
        for k, engine in enumerate(engines)
    ]


def ratios(own: Sequence[float], other: Sequence[float]) -> list[float]:
    """How many times faster than the other, round by round."""
    return [theirs / ours for ours, theirs in zip(own, other, strict=True)]


def row(times: Times, reference: Times, goal: float | None = None, stretch: float | None = None) -> dict[str, Any]:
    """What is told of an engine: medians, and its ratios to the reference from pairs of processor time."""
    by_processor = ratios(times.processor, reference.processor)
    told: dict[str, Any] = {
        "name": times.engine.name,
        "stars": times.engine.stars,
        "milliseconds": 1e3 * median(times.processor),
        "wall_milliseconds": 1e3 * median(times.wall),
        "ratio": median(by_processor),
        "ratio_lowest": min(by_processor),
        "ratio_highest": max(by_processor),
        "wall_ratio": median(ratios(times.wall, reference.wall)),
        "first_call_seconds": times.first_call,
        "calls_a_round": times.calls,
    }
    if times.engine.cells is not None:
        told["cells"] = times.engine.cells
        told["nanoseconds_per_cell"] = 1e9 * median(times.processor) / times.engine.cells
    if goal is not None:
        told |= {"goal": goal, "stretch": stretch, "met": told["ratio"] >= goal}
    return told
