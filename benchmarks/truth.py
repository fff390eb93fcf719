"""Hunt every light curve of a truth table on its own, and grade what is found.

    python benchmarks/truth.py ../shared/data [--json]

Grading: a planet on its period (1 %), a binary or a variable also on half or double it. Signals are those over the
detection threshold; the best peak is shown even below it.
"""

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hunter.archives.folder import FolderArchive
from hunter.engine import open_state, queue
from hunter.settings import load
from hunter.worker import Duty, work
from state.reading import Reader


def same(found: float, true: float, kind: str) -> bool:
    """Whether a found period is the true one; a binary may be found at half or double of it."""
    ratios = (1.0,) if kind == "planet" else (1.0, 0.5, 2.0)
    return any(abs(found / (ratio * true) - 1) < 0.01 for ratio in ratios)


def grade(root: Path, row: dict[str, str], home: Path) -> dict:
    path = root / row["path"]
    settings = load(str(home), {"archive.source": str(path.parent)})
    found = list(FolderArchive(path.parent, settings.archive, only=[path]).targets())
    state = open_state(settings)
    queue(state, found, settings, time.time())
    state.close()
    work(settings, Duty())
    target = Reader(settings.database).find(found[0].target.name)[0]
    signals = [signal for signal in target["signals"] if signal["alias_of"] is None]
    true = float(row["period_days"]) if row["period_days"] else None
    best = target["best_period"]
    failed = [f"{f['test']}" for s in signals[:1] for f in s["findings"] if f["status"] == "fail"]
    return {
        "file": path.name,
        "tic": row["tic_id"],
        "kind": row["kind"],
        "name": row["name"],
        "findable": row["single_sector_findable"],
        "true_period": true,
        "outcome": target["status"],
        "best_period": best,
        "best_snr": target["best_snr"],
        "best_right": None if true is None or best is None else same(best, true, row["kind"]),
        "any_signal_right": None if true is None else any(same(s["period"], true, row["kind"]) for s in signals),
        "signals": [(round(s["period"], 5), round(s["snr"], 1), s["probability"]) for s in signals],
        "failed_tests": failed,
        "because": target["moves"][-1]["because"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that holds truth.csv")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help="part of a path")
    asked = parser.parse_args()
    with open(asked.data / "truth.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not asked.only or asked.only in row["path"]]
    graded = []
    with tempfile.TemporaryDirectory() as folder:
        for number, row in enumerate(rows):
            graded.append(grade(asked.data, row, Path(folder) / str(number)))
            if not asked.json:
                g = graded[-1]
                signals = " ".join(f"{p}d/{s}" + ("" if q is None else f"/p{q:.2f}") for p, s, q in g["signals"])
                right = {None: " ", True: "+", False: "-"}[g["best_right"]]
                print(
                    f"{right} {g['tic']:>10} {g['kind'][:9]:<9} {g['findable']:<4} true {g['true_period'] or 0:9.5f} "
                    f"best {g['best_period'] or 0:9.5f} S/N {g['best_snr'] or 0:7.1f} {g['outcome']:<10} {signals} "
                    f"[{','.join(g['failed_tests'])}]",
                    flush=True,
                )
    sure = [g for g in graded if g["findable"] == "yes"]
    summary = {
        "findable": len(sure),
        "best_period_right": sum(bool(g["best_right"]) for g in sure),
        "a_signal_right": sum(bool(g["any_signal_right"]) for g in sure),
        "quiet": sum(g["kind"] == "none_known" for g in graded),
        "quiet_candidates": [g["tic"] for g in graded if g["kind"] == "none_known" and g["outcome"] == "CANDIDATE"],
        "quiet_signals": [g["tic"] for g in graded if g["kind"] == "none_known" and g["signals"]],
    }
    if asked.json:
        json.dump({"summary": summary, "files": graded}, sys.stdout, indent=2)
    else:
        print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
