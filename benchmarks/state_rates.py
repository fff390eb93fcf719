"""How fast the record is when many ask: a claim on a long queue, four processes on SQLite and on PostgreSQL.

    PYTHONPATH=. python -P benchmarks/state_rates.py --json > benchmarks/state_rates.json

Claims are timed in short windows, because a machine that does other work as well tells its own speed only in the
best of them; processor time, which other work hardly lengthens, stands beside. SQLite runs as a hunt has it
(synchronous FULL: every commit waits for the disk) and with NORMAL. The server is a private one
(tests/postgres_server.py) that syncs as PostgreSQL does by default. Targets are instant: claimed in batches of 32 and
ended in one transaction; afterwards every target must have been claimed once and ended once.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from postgres_server import shared_server
from sqlalchemy import text

from benchmarks.record import offered
from benchmarks.status import summary_milliseconds, timed
from state.status import Status
from state.store import End, State

CLAIM, BATCH, WINDOW = 64, 32, 40
GOALS = {"claim_p50_ms": 2.0, "server_targets_per_second": 5000.0, "status_wall_seconds": 0.5, "doubles": 0}


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------------- claims


def claims(database: Path, synchronous: str, windows: int) -> dict[str, Any]:
    """Claim from the front of the queue, window by window; the figures of the best window, and of all together."""
    told = []
    with State.open(database, synchronous=synchronous, check=False) as state:
        state.register_worker("bench", os.getpid(), "bench", "", time.time())
        for number in range(windows + 1):
            wall, cpu = [], []
            for _ in range(WINDOW):
                began, spent = time.perf_counter(), time.process_time()
                taken = state.claim("bench", CLAIM, time.time())
                wall.append(1e3 * (time.perf_counter() - began))
                cpu.append(1e3 * (time.process_time() - spent))
                assert len(taken) == CLAIM
            if number:  # the first warms the cache of pages
                told.append((median(wall), wall, cpu))
            time.sleep(0.5)
    _, wall, cpu = min(told)
    together = [ms for _, some, _ in told for ms in some]
    return {
        "best_window": {"claims": WINDOW, **_spread(wall), "cpu_p50_ms": round(median(cpu), 2)},
        "all_windows": {"claims": len(together), **_spread(together)},
    }


def _spread(milliseconds: list[float]) -> dict[str, float]:
    ranked = sorted(milliseconds)
    return {"p50_ms": round(median(ranked), 2), "p99_ms": round(ranked[int(0.99 * (len(ranked) - 1))], 2)}


# ---------------------------------------------------------------------------------------------------- processes


def live(url: str, name: str, gate: Any, told: Any) -> None:
    """One worker process: claim and end until nothing is queued."""
    with State.open(url, check=False) as state:
        state.register_worker(name, os.getpid(), "bench", "", time.time())
        gate.wait()
        taken: list[int] = []
        began = time.perf_counter()
        while batch := state.claim(name, BATCH, time.time()):
            lost = state.finish_all([End(claim, Status.NO_SIGNAL, "instant") for claim in batch], time.time())
            taken += [claim.id for claim in batch]
            assert not lost
        told.put((began, time.perf_counter(), time.process_time(), taken))


def crowd(url: str, targets: int, processes: int) -> dict[str, Any]:
    """Let so many processes empty a queue; the rate from the first begin to the last end, and what was done twice."""
    with State.open(url) as state:
        state.enqueue(offered(targets), time.time())
        state.checkpoint()
    context = multiprocessing.get_context("spawn")
    gate, told = context.Barrier(processes + 1), context.Queue()
    workers = [context.Process(target=live, args=(url, f"w{n}", gate, told)) for n in range(processes)]
    for worker in workers:
        worker.start()
    gate.wait()
    lives = [told.get() for _ in workers]
    for worker in workers:
        worker.join()
    seconds = max(end for _, end, _, _ in lives) - min(began for began, _, _, _ in lives)
    taken = [target for *_, some in lives for target in some]
    with State.open(url) as state, state.read() as connection:

        def count(sql: str) -> int:
            return int(connection.execute(text(sql)).scalar_one())

        claimed = "SELECT count(*) FROM (SELECT 1 FROM moves WHERE {} GROUP BY target_id HAVING count(*) <> 1) AS odd"
        doubles = len(taken) - len(set(taken)) + count(claimed.format("went_to = 'RUNNING'"))
        doubles += count(claimed.format("came_from = 'RUNNING'"))
        ended = count("SELECT count(*) FROM targets WHERE status = 'NO_SIGNAL'")
    with State.open(url) as state:
        faults = state.check()
    return {
        "processes": processes,
        "batch": BATCH,
        "targets": targets,
        "ended": ended,
        "doubles": doubles,
        "faults": faults,
        "seconds": round(seconds, 2),
        "claimed_and_ended_per_second": round(targets / seconds),
        "cpu_seconds_of_the_workers": round(sum(cpu for _, _, cpu, _ in lives), 2),
    }


@contextmanager
def server() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="state-rates-") as folder, shared_server(Path(folder), durable=True) as url:
        yield url


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queued", type=int, default=1_000_000, help="targets in the queue that claims are timed on")
    parser.add_argument("--targets", type=int, default=100_000, help="targets that the processes share")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--windows", type=int, default=12)
    parser.add_argument("--only", default="claims,sqlite,postgresql,status")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    only = asked.only.split(",")
    found: dict[str, Any] = {
        "machine": {
            "system": platform.platform(),
            "cores": len(os.sched_getaffinity(0)),
            "load_at_the_start": round(os.getloadavg()[0], 1),
            "niceness": os.nice(0),
        },
        "goals": GOALS,
    }
    with tempfile.TemporaryDirectory(prefix="state-rates-") as temporary:
        home = Path(temporary)
        if "claims" in only or "status" in only:
            database = home / "state" / "hunter.sqlite"
            with State.open(database, synchronous="NORMAL") as state:
                state.enqueue(offered(asked.queued), time.time())
                state.checkpoint()
            note(f"{asked.queued} targets are queued")
        if "claims" in only:
            found[f"claim_of_{CLAIM}"] = {"queued": asked.queued} | {
                f"synchronous_{mode}": claims(database, mode, asked.windows) for mode in ("FULL", "NORMAL")
            }
            note(json.dumps(found[f"claim_of_{CLAIM}"]))
        if "status" in only:
            command = [sys.executable, "-m", "hunter", "status", "--home", str(home)]
            found["status"] = {
                "targets": asked.queued,
                **timed(command, 9),
                "database_ms": summary_milliseconds(home, 9),
            }
            note(json.dumps(found["status"]))
        if "sqlite" in only:
            found["sqlite"] = crowd(str(home / "crowd.sqlite"), asked.targets, asked.processes)
            note(json.dumps(found["sqlite"]))
    if "postgresql" in only:
        with server() as url:
            found["postgresql"] = crowd(url, asked.targets, asked.processes)
        note(json.dumps(found["postgresql"]))
    found["machine"]["load_at_the_end"] = round(os.getloadavg()[0], 1)
    if asked.json:
        print(json.dumps(found, indent=1))
    crowds = [found[name] for name in ("sqlite", "postgresql") if name in found]
    return int(any(told["doubles"] or told["faults"] or told["ended"] != told["targets"] for told in crowds))


if __name__ == "__main__":
    sys.exit(main())
