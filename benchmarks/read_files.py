"""What reading a folder of light curves costs: identify, check and read, paired with lightkurve in the same run.

    python benchmarks/read_files.py ../shared/data/lightcurves/spoc                 milliseconds of each file, as JSON
    python benchmarks/read_files.py ../shared/data/lightcurves/spoc --index 20000   a first and a second listing of many

Files lie in the page cache (each is read once before): the disk is not measured. The median over rounds is told, the
four ways take turns within a round. ``equal`` says whether time and flux are the same array for array on the rows
with a time, which are the only ones lightkurve keeps.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hunter.archives import formats
from hunter.archives.folder import ArchiveSettings, FolderArchive
from pipeline.errors import UnusableData
from pipeline.types import Observation

COLUMNS = ArchiveSettings().columns


def milliseconds(action: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time; the second holds on a busy machine too."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3


def lightkurve_read(path: Path) -> Any:
    import lightkurve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lightkurve.read(str(path), quality_bitmask="none")


def same(observed: Observation, theirs: Any) -> bool:
    kept = np.isfinite(observed.time)
    shift = -2167.0 if theirs.time.format == "bkjd" else 0.0
    values = theirs.flux
    flux = np.ma.filled(np.ma.asarray(getattr(values, "value", values)).astype(float), np.nan)
    times = np.asarray(theirs.time.value) + shift
    return np.array_equal(observed.time[kept], times) and np.array_equal(observed.flux[kept], flux, equal_nan=True)


def measure(path: Path, rounds: int) -> dict[str, Any]:
    """Medians of one file, in ms; or why it is refused."""
    try:
        product = formats.check(path, COLUMNS).product
    except UnusableData as error:
        return {"file": path.name, "refused": str(error)}
    ways: dict[str, Callable[[], object]] = {
        "identify": lambda: formats.identify(path),
        "check": lambda: formats.check(path, COLUMNS),
        "read": lambda: formats.read(product, COLUMNS),
    }
    row: dict[str, Any] = {"file": path.name, "author": product.author, "bytes": path.stat().st_size}
    try:
        row["equal"] = same(formats.read(product, COLUMNS), lightkurve_read(path))
        ways["lightkurve"] = lambda: lightkurve_read(path)
    except Exception as error:  # whatever lightkurve raises on a file it does not know is a result, not our failure
        row["lightkurve_says"] = f"{type(error).__name__}: {error}".splitlines()[0][:100]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, action in ways.items():
            taken[name].append(milliseconds(action))
    for name, pairs in taken.items():
        row[f"{name}_ms"], row[f"{name}_cpu_ms"] = (round(median(values), 2) for values in zip(*pairs, strict=True))
    return row


def listing(folder: Path, number: int) -> dict[str, float]:
    """Seconds of a first and a second listing of ``number`` links to the files of a folder."""
    sources = sorted(path for path in folder.rglob("*.fits") if path.is_file())
    with tempfile.TemporaryDirectory() as place:
        many = Path(place) / "many"
        for i in range(number):
            home = many / f"{i // 1000:03d}"
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{i:06d}.fits").symlink_to(sources[i % len(sources)].absolute())
        archive = FolderArchive(many, index=Path(place) / "index.jsonl")
        first, second = ([t / 1e3 for t in milliseconds(lambda: list(archive.targets()))] for _ in range(2))
        seconds = {"first_s": first[0], "first_cpu_s": first[1], "second_s": second[0], "second_cpu_s": second[1]}
        return {"files": number} | {name: round(value, 2) for name, value in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--index", type=int, default=0, metavar="N", help="list N links instead of timing each file")
    asked = parser.parse_args()
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 2)}
    if asked.index:
        json.dump({"machine": machine, "listing": listing(asked.folder, asked.index)}, sys.stdout, indent=1)
    else:
        rows = [measure(path, asked.rounds) for path in sorted(asked.folder.rglob("*")) if path.is_file()]
        names = [f"{way}{unit}" for way in ("identify", "check", "read", "lightkurve") for unit in ("_ms", "_cpu_ms")]
        times = {name: [row[name] for row in rows if name in row] for name in names}
        medians = {name: round(median(values), 2) for name, values in times.items() if values}
        json.dump({"machine": machine, "median": medians, "files": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
