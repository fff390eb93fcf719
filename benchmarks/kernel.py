"""Time the search kernel against astropy's BoxLeastSquares, paired in one run, on one thread.

    python benchmarks/kernel.py [--json] [--repeats 5] [--jax]

One simulated sector at 2-minute cadence, the same periods and durations for all; the kernel's time includes binning,
filtering and the noise. Times are processor time of this process, which other work on the machine disturbs least;
compilation is in the first call, which is wall time and reported apart.
"""

import argparse
import json
import os
import platform
import statistics
import time as clock
from importlib.metadata import version

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

# after the threads are pinned
import numpy as np  # noqa: E402
from astropy.timeseries import BoxLeastSquares  # noqa: E402

from pipeline.periodogram import binned, grid  # noqa: E402
from pipeline.periodogram.spectrum import kernel, measure_spectrum  # noqa: E402
from pipeline.search import SearchSettings, search  # noqa: E402
from pipeline.types import LightCurve, Star  # noqa: E402

DURATIONS_HOURS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
BATCH = 16
SIGMA = 1.5e-3


def sector(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """About 18,000 two-minute cadences with a planet of signal-to-noise near 20, and sixteen noises."""
    rng = np.random.default_rng(seed)
    time = 1325.0 + np.arange(0.0, 27.0, 2.0 / 1440.0)
    time = time[np.abs(time - 1338.5) > 0.6]
    time = time[rng.random(time.size) > 0.03]
    flux = rng.normal(0.0, SIGMA, (time.size, BATCH))
    flux[np.abs((time - 1326.0 + 1.65) % 3.3 - 1.65) < 0.06] -= 1.2e-3
    return time, flux - flux.mean(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--repeats", type=int, default=5, help="paired repeats (default 5)")
    parser.add_argument("--jax", action="store_true", help="time the JAX kernel too")
    options = parser.parse_args()

    time, flux = sector()
    durations = tuple(hours / 24.0 for hours in DURATIONS_HOURS)
    span = float(time[-1] - time[0])
    # the same durations at every period, as astropy takes them
    layout = grid.make_grid(
        span, 0.5, 13.5, density=1.0, cadence=2 / 1440, oversample=3.0, duration_ratio=1.25, durations=durations
    )
    layout = grid.Grid(
        layout.period,
        np.asarray(durations),
        np.zeros(len(durations), dtype=np.int64),
        np.full(len(durations), layout.period.size, dtype=np.int64),
        layout.step,
        1.0,
    )
    usable = np.asarray(durations)[np.asarray(durations) < layout.period[0]]
    model = BoxLeastSquares(time, flux[:, 0], dy=np.full(time.size, SIGMA))

    def run(stars: int, templates: tuple[str, ...], backend: str, minutes: float) -> float:
        series = binned.bin_light_curve(time, flux[:, :stars], np.ones(time.size), 1325.0, minutes / 1440.0)
        found = measure_spectrum(series, layout, templates, kernel(backend))
        return float(found.period[np.argmax(found.snr[:, 0])])

    def astropy() -> float:
        power = model.power(layout.period, usable, oversample=10, objective="snr")
        return float(power.period[np.argmax(power.depth_snr)])

    def whole_search() -> float:
        curve = LightCurve(time, 1.0 + flux[:, 0], np.full(time.size, SIGMA))
        result = search(curve, SearchSettings(max_signals=1), Star(radius=1.0, mass=1.0))
        return result.signals[0].period

    engines = {
        "astropy BoxLeastSquares": (astropy, 1),
        "numba, box, 10-min base bins": (lambda: run(1, ("box",), "numba", 10.0), 1),
        "numba, box, 5-min base bins": (lambda: run(1, ("box",), "numba", 5.0), 1),
        "numba, box, 10-min, batch of 16, per star": (lambda: run(BATCH, ("box",), "numba", 10.0), BATCH),
        "numba, three templates, 10-min": (lambda: run(1, ("box", "limb-darkened", "v"), "numba", 10.0), 1),
        "search(), defaults, own grid, one signal": (whole_search, 1),
    }
    if options.jax:
        engines["jax on its default device, box, 10-min, batch of 16, per star"] = (
            lambda: run(BATCH, ("box",), "jax", 10.0),
            BATCH,
        )
    first, spent, best = {}, {name: [] for name in engines}, {}
    for name, (engine, _) in engines.items():
        begun = clock.perf_counter()
        best[name] = engine()
        first[name] = clock.perf_counter() - begun
    for _ in range(options.repeats):
        for name, (engine, stars) in engines.items():
            begun = clock.process_time()
            engine()
            spent[name].append((clock.process_time() - begun) / stars)
    reference = spent["astropy BoxLeastSquares"]
    rows = [
        {
            "engine": name,
            "median_ms": 1e3 * statistics.median(times),
            "fastest_ms": 1e3 * min(times),
            "faster_than_astropy": statistics.median(a / b for a, b in zip(reference, times, strict=True)),
            "first_call_s": first[name],
            "best_period": best[name],
        }
        for name, times in spent.items()
    ]
    report = {
        "simulated": True,
        "cadences": int(time.size),
        "periods": int(layout.period.size),
        "durations_hours": DURATIONS_HOURS,
        "durations_astropy_takes": int(usable.size),
        "repeats": options.repeats,
        "threads": 1,
        "machine": platform.processor() or platform.machine(),
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("numpy", "numba", "jax", "astropy")},
        "engines": rows,
    }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{time.size} cadences, {layout.period.size} periods, {len(durations)} durations, load {report['load']:.1f}")
    for row in rows:
        print(
            f"{row['engine']:66s} {row['median_ms']:9.1f} ms  {row['faster_than_astropy']:7.1f} x astropy  "
            f"first call {row['first_call_s']:5.1f} s  P {row['best_period']:.4f} d"
        )


if __name__ == "__main__":
    main()
