"""Measure how fast a model scores: signals a second on one core, from folded views to calibrated probability.

    python -P benchmarks/scoring.py                          the model that ships
    python -P benchmarks/scoring.py --model DIR --signals 4096 --rounds 9 --json

The views are SIMULATED: dips in noise at the resolution of a hunt, a third of them with empty bins. Processor time of
the fastest round, the parts measured in turns: another program on the machine spoils a round, not a part.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are read

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from models.explain import explain_signal
from models.inputs import GLOBAL_LENGTH, LOCAL_LENGTH, SignalInputs, gather, measure, tensors
from models.registry import SHIPPED, Registry
from models.scorer import Scorer

REPORT = Path(__file__).with_suffix(".json")


def simulated(count: int, seed: int = 0) -> list[SignalInputs]:
    """SIMULATED signals: boxes in noise, periods of 1 to 20 days, depths of 0.01 to 1 %."""
    rng = np.random.default_rng(seed)
    signals = []
    for _ in range(count):
        relative, depth = rng.uniform(0.01, 0.08), 10 ** rng.uniform(-4, -2)
        whole = np.abs((np.arange(GLOBAL_LENGTH) + 0.5) / GLOBAL_LENGTH - 0.5) < relative / 2
        near = np.abs((np.arange(LOCAL_LENGTH) + 0.5) / LOCAL_LENGTH * 4 - 2) < 0.5
        share = rng.choice([1.0, 1.0, 0.6])
        views = {}
        for name in ("global", "local", "secondary", "odd", "even"):
            inside = whole if name == "global" else near if name != "secondary" else np.zeros_like(near)
            views[f"{name}_flux"] = -depth * inside + rng.normal(0, 0.3 * depth, len(inside))
            views[f"{name}_filled"] = rng.random(len(inside)) < share
        scalars = {
            "log10_period": rng.uniform(0, 1.3),
            "log10_depth": np.log10(depth),
            "duration_over_period": relative,
            "log10_snr": rng.uniform(0.9, 2),
            "tmag": rng.uniform(6, 14),
            "radius": rng.uniform(0.5, 2),
            "teff": rng.uniform(3000, 7000),
        }
        signals.append(SignalInputs(**views, depth=depth, scalars=scalars))
    return signals


def fastest(parts: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Processor seconds of each part in its best round."""
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for part in parts.values():
        part()  # what is loaded and allocated once
    for _ in range(rounds):
        for name, part in parts.items():
            begun = time.process_time()
            part()
            spent[name].append(time.process_time() - begun)
    return {name: min(seconds) for name, seconds in spent.items()}


def measured(folder: Path, count: int, rounds: int) -> dict[str, object]:
    """Every figure of one model."""
    torch.set_num_threads(1)
    scorer = Scorer.load(folder)
    signals = simulated(count)
    rows = gather(signals)
    known = measure(rows)
    load = os.getloadavg()[0]
    seconds = fastest(
        {
            "views brought to the common resolution": lambda: gather(signals),
            "numbers measured on the views": lambda: measure(rows),
            "tensors, the measuring included": lambda: tensors(rows, scorer.preparation),
            "common resolution to probability": lambda: scorer.score_rows(rows),
            "all": lambda: scorer.score(signals),
        },
        rounds,
    )
    alone = fastest(
        {
            "one signal alone": lambda: scorer.score(signals[:1]),
            "explaining one": lambda: explain_signal(scorer, signals[0]),
        },
        rounds,
    )
    assert len(known[0]) == count
    return {
        "model": scorer.name,
        "members": len(scorer.networks),
        "signals": count,
        "simulated": True,
        "signals per second on one core": {name: round(count / value) for name, value in seconds.items()},
        "microseconds per signal": {name: round(1e6 * value / count, 1) for name, value in seconds.items()},
        "milliseconds": {name: round(1e3 * value, 1) for name, value in alone.items()},
        "bytes of the model": sum(item.stat().st_size for item in folder.iterdir()),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load": round(load, 2),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "torch", "safetensors")},
        },
    }


def processor() -> str:
    """The processor's own name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of a model; the shipped one otherwise")
    parser.add_argument("--signals", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the report instead of a table, and write no file")
    asked = parser.parse_args()
    folder = asked.model or Registry(SHIPPED).current()
    if folder is None:
        raise SystemExit("no model ships: name one with --model DIR")
    found = measured(folder, asked.signals, asked.rounds)
    text = json.dumps(found, indent=1, allow_nan=False)
    if asked.json:
        print(text)
        return
    if asked.model is None:
        REPORT.write_text(text + "\n")
    for name, value in found["signals per second on one core"].items():  # type: ignore[attr-defined]
        print(f"{name:<42} {value:>9,} signals/s")
    for name, value in found["milliseconds"].items():  # type: ignore[attr-defined]
        print(f"{name:<42} {value:>9,} ms")


if __name__ == "__main__":
    main()
