"""How long a person waits for the light commands: ``hunter status`` on a long queue, and ``hunter --help``.

    python benchmarks/status.py --targets 200000

Queues that many targets in a temporary home, then starts each command several times as its own process and prints
the medians as JSON: wall time, processor time, and the time the database took of it.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from state.reading import Reader
from state.status import Status
from state.store import NewTarget, State

HELP_GOAL, STATUS_GOAL = 0.4, 0.5  # seconds on an idle machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hunter-status-") as folder:
        home = Path(folder)
        began = time.perf_counter()
        fill(home, asked.targets)
        filled = time.perf_counter() - began
        command = [sys.executable, "-m", "hunter"]
        found = {
            "targets": asked.targets,
            "repeats": asked.repeats,
            "queueing_seconds": round(filled, 2),
            "python_alone": timed([sys.executable, "-c", "pass"], asked.repeats),
            "help": timed([*command, "--help"], asked.repeats) | {"goal_seconds": HELP_GOAL},
            "status": timed([*command, "status", "--home", folder], asked.repeats) | {"goal_seconds": STATUS_GOAL},
            "summary_milliseconds": summary_milliseconds(home, asked.repeats),
            "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "system": platform.platform()},
        }
    print(json.dumps(found, indent=2))


def fill(home: Path, targets: int) -> None:
    """A queue of so many targets, a hundred of them hunted."""
    now = time.time()
    with State.open(home / "state" / "hunter.sqlite") as state:
        state.enqueue((target(number) for number in range(targets)), now)
        state.register_worker("bench", os.getpid(), platform.node(), "", now)
        for claim in state.claim("bench", min(100, targets), now):
            state.finish(claim, Status.NO_SIGNAL, "nothing", now)


def target(number: int) -> NewTarget:
    return NewTarget("TIC", str(number), inputs="inputs", sources=("a.fits",), priority=float(number % 7))


def timed(command: list[str], repeats: int) -> dict[str, float]:
    """Medians of wall and processor seconds over so many processes, after one that warms the disk cache."""
    walls, spent = [], []
    # compiled modules are kept, as everybody's Python keeps them
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=usual)
        walls.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_seconds": round(median(walls[1:]), 3), "processor_seconds": round(median(spent[1:]), 3)}


def summary_milliseconds(home: Path, repeats: int) -> float:
    """What the database takes for everything that the dashboard shows."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        with Reader(home / "state" / "hunter.sqlite") as reader:
            reader.summary(time.time())
        took.append(1000 * (time.perf_counter() - began))
    return round(median(took), 2)


if __name__ == "__main__":
    main()
