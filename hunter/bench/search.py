"""The search against its peers, paired in one run, on one thread; every light curve here is simulated.

Each section runs in a process of its own, bound to one core (``python -m hunter.bench.search NAME``). Within it the
engines take turns, round by round. Ratios are medians of pairs of processor time, which other work on the machine
disturbs least; wall time stands beside them. The first call, which compiles where nothing was cached, is apart.
"""

import argparse
import json
import os
import subprocess
import sys
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hunter.bench import machine, peers, stars
from hunter.bench.paired import Engine, ratios, row, take_turns
from pipeline.periodogram import grid
from pipeline.periodogram.spectrum import Series, kernel, measure_spectrum
from pipeline.search import SearchSettings, search, search_many
from pipeline.types import LightCurve, SearchResult, Star

DURATIONS_HOURS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
EVERY_TEMPLATE = ("box", "limb-darkened", "v")
BASE_BIN = 10.0  # minutes: a sixth of the shortest duration
SUN = Star(radius=1.0, mass=1.0)
INJECTED = 10.0  # signal-to-noise of the planets put in
GIB = 2.0**30
MEASURED = ("numpy", "numba", "jax", "jaxlib", "astropy", "transitleastsquares", *peers.OPTIONAL.values())
PINNED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. The defaults are what the goals are about; tests take less."""

    days: float = 27.0  # of a sector
    minutes: float = 2.0  # cadence
    period_max: float = 13.5  # days, one sector
    long_period_max: float = 30.0  # days, several sectors
    batches: tuple[int, ...] = (16, 64)  # stars that share their cadences
    several: int = 4  # stars that take turns where the work depends on the star
    sectors: int = 13
    part: int = 100  # of the periods of thirteen sectors that astropy is given
    baselines: tuple[int, ...] = (6, 13, 26, 60)  # sectors within six years
    durations_hours: tuple[float, ...] = DURATIONS_HOURS


def every_duration(span: float, period_max: float, hours: tuple[float, ...] = DURATIONS_HOURS) -> grid.Grid:
    """Ofir's periods for the Sun, with every duration at every period, as astropy takes them."""
    layout = grid.make_grid(
        span, 0.5, period_max, density=1.0, cadence=2 / 1440, oversample=3.0, duration_ratio=1.25
    )  # fmt: skip
    durations = np.asarray(hours) / 24.0
    everywhere = np.full(durations.size, layout.period.size, dtype=np.int64)
    return grid.Grid(layout.period, durations, np.zeros_like(everywhere), everywhere, layout.step, 1.0)


def kernel_engine(
    name: str, curves: Sequence[LightCurve], layout: grid.Grid, templates: tuple[str, ...] = ("box",),
    backend: str = "numba", batch: int = 1,
) -> Engine:  # fmt: skip
    """Binning, filter, fold and noise of our search: all between a light curve and its spectrum."""
    time = curves[0].time
    weight = np.ones(time.size)

    def run(number: int) -> float:
        chosen = [curves[(number * batch + k) % len(curves)].flux for k in range(batch)]
        flux = np.stack([each - each.mean() for each in chosen])
        series = Series(time, flux, weight, BASE_BIN / 1440.0)
        found = measure_spectrum(series, layout, templates, kernel(backend))
        return float(found.period[np.argmax(found.snr[:, 0])])

    return Engine(name, run, batch, cells=layout.period.size * layout.durations.size * len(templates))


def described(layout: grid.Grid, curve: LightCurve) -> dict[str, Any]:
    """The grid and the light curve of a section."""
    return {
        "cadences": len(curve),
        "span_days": float(curve.time[-1] - curve.time[0]),
        "periods": int(layout.period.size),
        "period_days": [float(layout.period[0]), float(layout.period[-1])],
        "durations_hours": [round(24.0 * float(duration), 4) for duration in layout.durations],
    }


def one(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """One sector, box, one star at a time: the kernel against astropy and every peer present."""
    rng = np.random.default_rng(1)
    time = stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes)
    curves = stars.light_curves(time, rng, sizes.several, 2.0 * INJECTED, sizes.period_max * 0.8)
    layout = every_duration(float(time[-1] - time[0]), sizes.period_max, sizes.durations_hours)
    others, absent = peers.optional(curves, layout.period, layout.durations, (BASE_BIN, sizes.minutes))
    engines = [
        peers.astropy_bls(curves, layout.period, layout.durations),
        kernel_engine("kernel, box", curves, layout),
        kernel_engine("kernel, three templates at every period", curves, layout, EVERY_TEMPLATE),
        *others,
    ]
    times = take_turns(engines, rounds, say)
    rows = [row(times[0], times[0]), row(times[1], times[0], 30.0, 60.0), *(row(each, times[0]) for each in times[2:])]
    return {"grid": described(layout, curves[0]), "reference": engines[0].name, "absent": absent, "rows": rows,
            "best_periods": {each.engine.name: each.answer for each in times}}  # fmt: skip


def batch(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """The same for stars that share their cadences; astropy takes one at a time."""
    rng = np.random.default_rng(2)
    time = stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes)
    curves = stars.light_curves(time, rng, max(sizes.batches), 2.0 * INJECTED, sizes.period_max * 0.8)
    layout = every_duration(float(time[-1] - time[0]), sizes.period_max, sizes.durations_hours)
    engines = [
        peers.astropy_bls(curves, layout.period, layout.durations),
        *(kernel_engine(f"kernel, box, {n} stars", curves, layout, batch=n) for n in sizes.batches),
    ]
    times = take_turns(engines, rounds, say)
    rows = [row(times[0], times[0]), *(row(each, times[0], 60.0, 150.0) for each in times[1:])]
    return {"grid": described(layout, curves[0]), "reference": engines[0].name, "rows": rows}


def searched(name: str, curves: Sequence[LightCurve], settings: SearchSettings, star: Star = Star()) -> Engine:
    """The public door, one star at a time."""
    return Engine(name, lambda number: search(curves[number % len(curves)], settings, star))


def searched_together(name: str, curves: Sequence[LightCurve], settings: SearchSettings, star: Star = Star()) -> Engine:
    """The public door, all at once."""
    return Engine(name, lambda number: search_many(curves, settings, [star] * len(curves)), len(curves))


def door(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """The public door against astropy on the very periods and durations of the result: refinement and all.

    astropy tries every duration at every period, and its bins are a tenth of the shortest; ours tries those that a
    transit of the star can have, each in bins of its own.
    """
    rng = np.random.default_rng(3)
    time = stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes)
    settings = SearchSettings(templates=("box",), max_signals=1)
    together = min(sizes.batches)
    quiet = stars.light_curves(time, rng, together, None)
    hosts = stars.light_curves(time, rng, together, INJECTED, sizes.period_max * 0.8)
    result = search(quiet[0], settings)
    engines = [
        peers.astropy_bls(quiet, result.period, result.durations),
        searched("search, quiet stars", quiet, settings),
        searched("search, planets of S/N 10", hosts, settings),
        searched_together(f"search_many, {together} quiet stars", quiet, settings),
        searched_together(f"search_many, {together} planets of S/N 10", hosts, settings),
    ]
    times = take_turns(engines, rounds, say)
    goals: list[tuple[float | None, float | None]] = [(None, None), (30.0, 60.0), (30.0, 60.0)]
    goals += [(60.0, 150.0), (60.0, 150.0)]
    rows = [row(each, times[0], *goal) for each, goal in zip(times, goals, strict=True)]
    return {
        "grid": grid_of(result, quiet[0]),
        "reference": engines[0].name,
        "rows": rows,
        "signals": {"quiet": counted(search_many(quiet, settings)), "planets": counted(search_many(hosts, settings))},
    }


def grid_of(result: SearchResult, curve: LightCurve) -> dict[str, Any]:
    """The grid of a result; not every duration is tried at every period."""
    return {
        "cadences": len(curve),
        "span_days": float(curve.time[-1] - curve.time[0]),
        "periods": int(result.period.size),
        "period_days": [float(result.period[0]), float(result.period[-1])],
        "durations_hours": [round(24.0 * float(duration), 4) for duration in result.durations],
    }


def counted(results: Sequence[SearchResult]) -> str:
    """How many stars have a signal."""
    return f"{sum(bool(result.signals) for result in results)} of {len(results)} stars have a signal"


def templates(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """Default settings (three templates, several signals) against transitleastsquares with its own defaults."""
    rng = np.random.default_rng(4)
    time = stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes)
    quiet = stars.light_curves(time, rng, sizes.several, None)
    hosts = stars.light_curves(time, rng, sizes.several, INJECTED, sizes.period_max * 0.8)
    settings = SearchSettings()
    result = search(quiet[0], settings, SUN)
    layout = every_duration(float(time[-1] - time[0]), sizes.period_max, sizes.durations_hours)
    together = min(sizes.batches)
    many = stars.light_curves(time, rng, together, None)
    engines = [
        peers.tls(quiet),
        searched("search, quiet stars", quiet, settings, SUN),
        searched("search, planets of S/N 10", hosts, settings, SUN),
        searched_together(f"search_many, {together} quiet stars", many, settings, SUN),
        kernel_engine("kernel, three templates and ten durations at every period", quiet, layout, EVERY_TEMPLATE),
    ]
    times = take_turns(engines, rounds, say)
    rows = [row(times[0], times[0]), *(row(each, times[0], 20.0, 40.0) for each in times[1:4]), row(times[4], times[0])]
    return {
        "grid": grid_of(result, quiet[0]) | {"peer_periods": times[0].answer["periods"]},
        "reference": engines[0].name,
        "rows": rows,
    }


def sectors13(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """Thirteen sectors in a row, box: the kernel against astropy, and GERBLS by the cell."""
    rng = np.random.default_rng(5)
    time = stars.sector_times(rng, tuple(range(sizes.sectors)), sizes.minutes, sizes.days)
    curves = stars.light_curves(time, rng, min(sizes.batches), INJECTED, 25.0)
    layout = every_duration(float(time[-1] - time[0]), sizes.long_period_max, sizes.durations_hours)
    # those that fold every cadence at every period take minutes here; the first section has them
    others, absent = peers.optional(curves[:1], layout.period, layout.durations, (BASE_BIN,), ("gerbls",))
    together = min(sizes.batches)
    engines = [
        peers.astropy_part(curves, layout.period, layout.durations, sizes.part),
        kernel_engine("kernel, box", curves, layout),
        kernel_engine(f"kernel, box, {together} stars", curves, layout, batch=together),
        *others,
    ]
    times = take_turns(engines, rounds, say)
    rows = [row(times[0], times[0])] + [row(each, times[0], 100.0) for each in times[1:3]]
    rows += [row(each, times[0]) for each in times[3:]]
    for each, told in zip(times[1:3], rows[1:3], strict=True):
        for peer in times[3:]:
            if peer.engine.cells and each.engine.cells:
                by_cell = [ratio * each.engine.cells / peer.engine.cells
                           for ratio in ratios(each.processor, peer.processor)]  # fmt: skip
                told.setdefault("by_cell", {})[peer.engine.name] = float(np.median(by_cell))
                told.setdefault("by_star", {})[peer.engine.name] = float(
                    np.median(ratios(each.processor, peer.processor))
                )
        if "by_cell" in told:
            told["stretch_by_cell"] = 3.0
    whole = None
    if rounds >= 5:
        began = clock.process_time()
        peers.astropy_bls(curves, layout.period, layout.durations).run(0)
        whole = 1e3 * (clock.process_time() - began)
    return {
        "grid": described(layout, curves[0]) | {"sectors": sizes.sectors},
        "reference": engines[0].name,
        "absent": absent,
        "rows": rows,
        "astropy_every_period_milliseconds": whole,  # once, to see how far the scaling can be trusted
    }


def sectors60(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """Sectors spread over six years, the public door with its defaults, each in a fresh process: time and memory."""
    rows = []
    for number in sizes.baselines:
        for snr in (None, 2.0 * INJECTED):
            told = apart(["--baseline", str(number), "--snr", str(snr or 0.0)], sizes, say)
            goal = {"goal_gib": 2.0, "stretch_gib": 1.0, "met": told["peak_gib"] < 2.0}
            rows.append(told | (goal if number == max(sizes.baselines) else {}))
            say(f"{told['name']}: {told['wall_seconds']:.1f} s, {told['peak_gib']:.2f} GiB")
    return {"rows": rows}


def one_baseline(number: int, snr: float, sizes: Sizes) -> dict[str, Any]:
    """One search of one star in this process, compiled code as the cache has it."""
    rng = np.random.default_rng(6)
    days = stars.sector_times(rng, stars.years_of_sectors(number), sizes.minutes, sizes.days)
    curve = stars.light_curves(days, rng, 1, snr or None)[0]
    # load the compiled code on a small star first: a worker does that once, not once a star
    few = len(curve) // number
    search(LightCurve(curve.time[:few], curve.flux[:few], curve.flux_err[:few]))
    before = machine.peak_memory()
    began, spent = clock.perf_counter(), clock.process_time()
    result = search(curve)
    wall, processor = clock.perf_counter() - began, clock.process_time() - spent
    return {
        "name": f"{number} sectors, {f'a planet of S/N {snr:g}' if snr else 'quiet'}",
        "sectors": number,
        "wall_seconds": wall,
        "processor_seconds": processor,
        "peak_gib": machine.peak_memory() / GIB,
        "before_gib": before / GIB,
        "signals": len(result.signals),
        **grid_of(result, curve),
        "notes": list(result.notes),
    }


def jax(sizes: Sizes, rounds: int, say: Say) -> dict[str, Any]:
    """The JAX kernel on the device it sees against numba: same grid, same batch, after a warm-up."""
    import jax as library

    compiled: list[str] = []

    def noticed(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    library.monitoring.register_event_duration_secs_listener(noticed)
    device = library.devices()[0]
    rng = np.random.default_rng(7)
    time = stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes)
    together = min(sizes.batches)
    curves = stars.light_curves(time, rng, together, 2.0 * INJECTED, sizes.period_max * 0.8)
    layout = every_duration(float(time[-1] - time[0]), sizes.period_max, sizes.durations_hours)
    engines = [
        kernel_engine(f"numba, box, {together} stars", curves, layout, batch=together),
        kernel_engine(f"jax, box, {together} stars", curves, layout, backend="jax", batch=together),
    ]
    began = clock.perf_counter()
    engines[1].run(0)
    warming, warm = clock.perf_counter() - began, len(compiled)
    times = take_turns(engines, rounds, say)
    again = len(compiled) - warm
    # the same stars at other cadences: another sector, the same shapes
    other = stars.light_curves(
        stars.sector_times(rng, days=sizes.days, minutes=sizes.minutes), rng, together, 2.0 * INJECTED
    )  # fmt: skip
    began = clock.perf_counter()
    kernel_engine("", other, layout, backend="jax", batch=together).run(0)
    planning = clock.perf_counter() - began
    rows = [row(times[0], times[0]), row(times[1], times[0], 0.25, 0.5)]
    if device.platform != "cpu":  # its work is not this process's: only wall time says anything
        rows[1] |= {"ratio": rows[1]["wall_ratio"], "met": rows[1]["wall_ratio"] >= 0.25}
    return {
        "grid": described(layout, curves[0]),
        "reference": engines[0].name,
        "device": f"{device.platform}: {device.device_kind}",
        "warm_up_seconds": warming,
        "compiled_at_first": warm,
        "compiled_after_warm_up": again,
        "compiled_for_other_cadences": len(compiled) - warm - again,
        "other_cadences_milliseconds": 1e3 * planning / together,  # a star, wall: where runs begin is worked out anew
        "rows": rows,
    }


SECTIONS: dict[str, Callable[[Sizes, int, Say], dict[str, Any]]] = {
    "one": one,
    "batch": batch,
    "door": door,
    "templates": templates,
    "sectors13": sectors13,
    "sectors60": sectors60,
    "jax": jax,
}


def time_search(
    only: Sequence[str] = (), rounds: int = 5, sizes: Sizes = Sizes(), say: Say = lambda line: None
) -> dict[str, Any]:
    """Measure the sections asked for, each in a process of its own on one core.

    Parameters
    ----------
    only : sequence of str
        Names of :data:`SECTIONS`; empty: all of them.
    rounds : int
        Paired repetitions; medians are told.

    Returns
    -------
    dict
        ``sections`` by name: the grid, a row for each engine, the load before and after; and the machine and versions.

    Raises
    ------
    RuntimeError
        If a section ended without a result; what it said is on stderr.
    """
    return {
        "simulated": True,
        "threads": 1,
        "rounds": rounds,
        "machine": machine.machine(),
        "versions": machine.installed(MEASURED),
        "sections": {name: apart([name, "--rounds", str(rounds)], sizes, say) for name in only or SECTIONS},
    }


def apart(arguments: Sequence[str], sizes: Sizes, say: Say) -> Any:
    """Run this module in a fresh process, pinned to one thread, and return what it prints."""
    ours = str(Path(__file__).parents[2])
    path = os.pathsep.join(part for part in (ours, os.environ.get("PYTHONPATH", "")) if part)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hunter.bench.search", *arguments, "--sizes", json.dumps(asdict(sizes))],
        env=os.environ | {"PYTHONPATH": path} | dict.fromkeys(PINNED, "1"),
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the measurement {' '.join(arguments)} ended with {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    """Measure one section, or one baseline, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", nargs="?", choices=SECTIONS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=json.loads, default={})
    parser.add_argument("--baseline", type=int)
    parser.add_argument("--snr", type=float, default=0.0)
    asked = parser.parse_args()
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in asked.sizes.items()}
    sizes = Sizes(**given)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if asked.baseline is not None:
        told = one_baseline(asked.baseline, asked.snr, sizes)
    else:
        before = machine.load()
        told = SECTIONS[asked.section](sizes, asked.rounds, lambda line: print(line, file=sys.stderr, flush=True))
        told["load"] = [before, machine.load()]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
