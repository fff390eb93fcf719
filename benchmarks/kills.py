"""Kill a hunt at random, again and again, and compare what it ends with to a hunt that nobody touched.

``python benchmarks/kills.py --archive DIR --kills 50 --json``: each round starts ``hunter run`` on a fresh home, in a
process group of its own, and sends SIGKILL to the whole group at a moment drawn after a worker has claimed a target;
then starts it again. A round that finishes early is compared and followed by another, until there were so many kills.
Exit code 1 if any state at the end differs from the unbroken run's.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

RESOLVED = (0, 3)  # exit codes of a night that came to its end
TIMES = ("timings", "finished_at")


def start(home: Path, archive: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """Start a night in a process group of its own; what it says goes to ``<home>.log``."""
    command = [sys.executable, "-m", "hunter", "run", "--home", str(home), "--archive", str(archive), *options]
    with open(f"{home}.log", "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def ask(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the record, which may not be there yet."""
    try:
        with closing(sqlite3.connect(f"file:{home}/state/hunter.sqlite?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def claims(home: Path) -> int:
    return sum(n for (n,) in ask(home, "SELECT count(*) FROM moves WHERE went_to = 'RUNNING'"))


def final_state(home: Path) -> dict[str, Any]:
    """Everything about a finished hunt that must not depend on how it was reached, and what is wrong with it."""
    wrong = []
    evidence = {}
    for row in ask(
        home,
        "SELECT json_file, json_sha256, png_file, png_sha256, pdf_file, pdf_sha256, "
        "html_file, html_sha256 FROM candidates",
    ):
        for name, sha256 in zip(row[::2], row[1::2], strict=True):
            path = home / "candidates" / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                wrong.append(f"{name} is missing or not what was recorded")
            elif path.suffix == ".json":
                document = json.loads(path.read_bytes())
                for part in TIMES:
                    document["run"].pop(part)
                evidence[name] = document
            elif path.suffix == ".png":
                evidence[name] = sha256
    recorded = {
        name for row in ask(home, "SELECT json_file, png_file, pdf_file, html_file FROM candidates") for name in row
    }
    there = {path.name for path in (home / "candidates").iterdir() if path.is_file()} - {"index.html"}
    wrong += [f"{name} belongs to no candidate" for name in sorted(there - recorded)]
    wrong += [f"{path.name} was left over" for path in home.rglob("*.part")]
    doubled = ask(
        home,
        "SELECT kind, key, count(*) FROM moves JOIN targets ON targets.id = target_id "
        "WHERE came_from = 'RUNNING' AND went_to <> 'QUEUED' GROUP BY target_id HAVING count(*) <> 1",
    )
    wrong += [f"{kind} {key} ended {n} times" for kind, key, n in doubled]
    counted = dict(ask(home, "SELECT name, sum(n) FROM counts WHERE what = 'status' GROUP BY name HAVING sum(n) <> 0"))
    if counted != dict(ask(home, "SELECT status, count(*) FROM targets GROUP BY status")):
        wrong.append(f"the counters say {counted}")
    signals = ask(
        home, "SELECT kind, key, signals.* FROM signals JOIN targets ON targets.id = target_id ORDER BY 1, 2, number"
    )
    targets = ask(home, "SELECT kind, key, status, best_period, best_snr FROM targets ORDER BY kind, key")
    return {
        "targets": {f"{kind} {key}": rest for kind, key, *rest in targets},
        "signals": [[kind, key, *rest[1:]] for kind, key, *rest in signals],  # without the number of the row
        "evidence": evidence,
        "wrong": wrong,
    }


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What differs, a line each."""
    told = list(found["wrong"])
    for block in ("targets", "evidence"):
        for name in sorted(found[block].keys() | wanted[block].keys()):
            if found[block].get(name) != wanted[block].get(name):
                told.append(
                    f"{block} {name}: {str(found[block].get(name))[:200]}, not {str(wanted[block].get(name))[:200]}"
                )
    if found["signals"] != wanted["signals"]:
        told.append("the signals differ")
    return told


def finish(process: subprocess.Popen[bytes], home: Path) -> None:
    if process.wait() not in RESOLVED:
        said = Path(f"{home}.log").read_text(errors="replace")
        raise SystemExit(f"hunter run ended with {process.returncode}: {said[-2000:]}")


def torture(arguments: argparse.Namespace, folder: Path, options: list[str]) -> dict[str, Any]:
    draw = random.Random(arguments.seed)
    began = time.monotonic()
    whole = folder / "unbroken"
    finish(start(whole, arguments.archive, options), whole)
    seconds = time.monotonic() - began
    wanted = final_state(whole)
    print(f"unbroken: {len(wanted['targets'])} targets in {seconds:.0f} s", file=sys.stderr)
    told = {f"unbroken: {line}" for line in wanted["wrong"]}
    kills = rounds = 0
    hit: dict[str, int] = {}
    while kills < arguments.kills:
        rounds += 1
        home = folder / f"round-{rounds}"
        ended = False
        while kills < arguments.kills and not ended:
            before = claims(home)
            process = start(home, arguments.archive, options)
            while process.poll() is None and claims(home) == before:
                time.sleep(0.02)
            wait = time.monotonic() + draw.uniform(0, arguments.within)
            while process.poll() is None and time.monotonic() < wait:
                time.sleep(0.005)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                for (phase,) in ask(home, "SELECT phase FROM targets WHERE status = 'RUNNING'"):
                    hit[phase or "(none)"] = hit.get(phase or "(none)", 0) + 1
                print(f"kill {kills} in round {rounds}", file=sys.stderr)
            else:
                finish(process, home)
                ended = True
        finish(start(home, arguments.archive, options), home)
        told |= {f"round {rounds}: {line}" for line in differences(final_state(home), wanted)}
        shutil.rmtree(home)
    outcomes = [status for status, *_ in wanted["targets"].values()]
    return {
        "kills": kills,
        "rounds": rounds,
        "targets": len(outcomes),
        "outcomes": {status: outcomes.count(status) for status in sorted(set(outcomes))},
        "signals": len(wanted["signals"]),
        "candidates": sum(name.endswith(".json") for name in wanted["evidence"]),
        "targets_in_hand_when_killed_by_last_phase_stored": hit,
        "seconds_unbroken": round(seconds, 1),
        "seconds": round(time.monotonic() - began, 1),
        "differences": sorted(told),
        "same": not told,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, required=True, metavar="DIR", help="folder of light curves")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--within", type=float, default=6.0, help="a kill comes within so many seconds after a claim")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="put the homes here, and the unbroken one stays")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    arguments, options = parser.parse_known_args()  # what is left goes to hunter run
    arguments.archive = arguments.archive.expanduser().absolute()
    with tempfile.TemporaryDirectory(prefix="kills-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        summary = torture(arguments, folder, options)
    if arguments.json:
        print(json.dumps(summary, indent=1))
    else:
        print(f"{summary['kills']} kills in {summary['rounds']} rounds over {summary['targets']} targets")
        print("\n".join(summary["differences"]) or "the same final state as an unbroken run")
    return 0 if summary["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
