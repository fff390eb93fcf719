"""The search kernels against astropy's ``BoxLeastSquares``, paired in one run, on one thread.

One simulated sector at 2-minute cadence, the same periods and durations for all. Times are processor time of this
process, which other work on the machine disturbs least, and include binning, filtering and the noise; the first call,
which compiles, is wall time and reported apart.
"""

import os
import platform
import time as clock
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from typing import Any

import numpy as np

from pipeline.periodogram import grid
from pipeline.periodogram.spectrum import Series, kernel, measure_spectrum
from pipeline.search import SearchSettings, search
from pipeline.types import Floats, LightCurve, Star

DURATIONS_HOURS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
BATCH = 16  # stars that share their cadences
SIGMA = 1.5e-3  # white noise of a cadence


def sector(seed: int = 0) -> tuple[Floats, Floats]:
    """About 18,000 two-minute cadences, and sixteen noises with one planet of signal-to-noise near 20."""
    rng = np.random.default_rng(seed)
    time = 1325.0 + np.arange(0.0, 27.0, 2.0 / 1440.0)
    time = time[np.abs(time - 1338.5) > 0.6]
    time = time[rng.random(time.size) > 0.03]
    flux = rng.normal(0.0, SIGMA, (time.size, BATCH))
    flux[np.abs((time - 1326.0 + 1.65) % 3.3 - 1.65) < 0.06] -= 1.2e-3
    return time, flux - flux.mean(axis=0)


def time_search(repeats: int, jax: bool = False) -> dict[str, Any]:
    """Time every engine ``repeats`` times in turn.

    Returns
    -------
    dict
        ``engines``: name, median milliseconds a star, ratio to astropy (median of the paired ratios), seconds of the
        first call, best period; and the grid, the machine, the versions.
    """
    from astropy.timeseries import BoxLeastSquares

    time, flux = sector()
    durations = np.asarray(DURATIONS_HOURS) / 24.0
    layout = grid.make_grid(
        float(time[-1] - time[0]), 0.5, 13.5, density=1.0, cadence=2 / 1440, oversample=3.0, duration_ratio=1.25
    )
    # every duration at every period, as astropy takes them
    everywhere = np.full(durations.size, layout.period.size, dtype=np.int64)
    layout = grid.Grid(layout.period, durations, np.zeros_like(everywhere), everywhere, layout.step, 1.0)
    usable = durations[durations < layout.period[0]]
    model = BoxLeastSquares(time, flux[:, 0], dy=np.full(time.size, SIGMA))
    curve = LightCurve(time, 1.0 + flux[:, 0], np.full(time.size, SIGMA))

    def fold(stars: int, templates: tuple[str, ...], backend: str) -> float:
        series = Series(time, np.ascontiguousarray(flux[:, :stars].T), np.ones(time.size), 10.0 / 1440.0)
        found = measure_spectrum(series, layout, templates, kernel(backend))
        return float(found.period[np.argmax(found.snr[:, 0])])

    def astropy() -> float:
        power = model.power(layout.period, usable, oversample=10, objective="snr")
        return float(power.period[np.argmax(power.depth_snr)])

    engines: dict[str, tuple[Callable[[], float], int]] = {
        "astropy BoxLeastSquares": (astropy, 1),
        "numba, box": (lambda: fold(1, ("box",), "numba"), 1),
        f"numba, box, {BATCH} stars": (lambda: fold(BATCH, ("box",), "numba"), BATCH),
        "numba, three templates": (lambda: fold(1, ("box", "limb-darkened", "v"), "numba"), 1),
        "whole search, own grid": (
            lambda: search(curve, SearchSettings(max_signals=1), Star(radius=1.0, mass=1.0)).signals[0].period,
            1,
        ),
    }
    if jax:
        engines[f"jax, box, {BATCH} stars"] = (lambda: fold(BATCH, ("box",), "jax"), BATCH)
    first: dict[str, float] = {}
    best: dict[str, float] = {}
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for name, (engine, _) in engines.items():
        began = clock.perf_counter()
        best[name] = engine()
        first[name] = clock.perf_counter() - began
    for _ in range(repeats):
        for name, (engine, stars) in engines.items():
            began = clock.process_time()
            engine()
            spent[name].append((clock.process_time() - began) / stars)
    reference = spent["astropy BoxLeastSquares"]
    return {
        "simulated": True,
        "cadences": int(time.size),
        "periods": int(layout.period.size),
        "durations_hours": DURATIONS_HOURS,
        "repeats": repeats,
        "threads": 1,
        "engines": [
            {
                "name": name,
                "milliseconds": 1e3 * median(times),
                "ratio": median(peer / own for peer, own in zip(reference, times, strict=True)),
                "first_call_seconds": first[name],
                "best_period": best[name],
            }
            for name, times in spent.items()
        ],
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("numpy", "numba", "jax", "astropy")},
    }
