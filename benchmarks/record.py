"""Measure the record: enqueue, claim, commit, summary. Prints JSON; every figure is of this machine, now.

python benchmarks/record.py --targets 1000000 [--url postgresql://..] [--folder DIR]
"""

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlalchemy import text

from state.reading import Reader
from state.status import Status
from state.store import NewTarget, PhaseRun, State

BATCH = 64


def offered(n: int) -> Iterator[NewTarget]:
    star = {"tmag": 10.5, "teff": 5800.0, "radius": 1.0, "ra": 10.0, "dec": -20.0}
    for key in range(n):
        # spread over the priorities as stars over magnitudes, not in order
        yield NewTarget("TIC", str(key), f"{key:064x}", (f"/archive/tess{key}.fits",), star, key * 7919 % 1000 / 100)


def spread(seconds: list[float], cpu: list[float] | None = None) -> dict[str, float]:
    ranked = sorted(seconds)
    return ({"cpu_p50_ms": round(1e3 * statistics.median(cpu), 3)} if cpu else {}) | {
        "n": len(ranked),
        "p50_ms": round(1e3 * statistics.median(ranked), 3),
        "p99_ms": round(1e3 * ranked[int(0.99 * (len(ranked) - 1))], 3),
        "max_ms": round(1e3 * ranked[-1], 3),
    }


def timed(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def claims(state: State, times: int) -> dict[str, float]:
    """Claim batches from the full queue and give them back, so that each finds it as the first did."""
    seconds, cpu = [], []
    for _ in range(times):
        begun, spent = time.perf_counter(), time.process_time()
        taken = state.claim("bench", BATCH, time.time())
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - spent)
        state.release(taken, time.time())
    return spread(seconds, cpu)


def commits(state: State, times: int) -> dict[str, float]:
    """Record one phase of one target, of a batch, and finish targets, each in a transaction of its own."""
    taken = state.claim("bench", BATCH, time.time())
    tokens = {claim.id: claim.token for claim in taken}

    def one(number: int) -> None:
        claim = taken[number % len(taken)]
        state.record([PhaseRun(claim.id, "search", 0, "d" * 64)], {claim.id: claim.token}, time.time())

    def batch(number: int) -> None:
        state.record([PhaseRun(claim.id, f"phase{number}", 0, "d" * 64) for claim in taken], tokens, time.time())

    singles = [timed(lambda number=number: one(number)) for number in range(times)]
    batches = [timed(lambda number=number: batch(number)) for number in range(20)]
    finished = [
        timed(lambda claim=claim: state.finish(claim, Status.NO_SIGNAL, "bench", time.time())) for claim in taken
    ]
    return {
        "record_one_per_second": round(len(singles) / sum(singles), 1),
        "record_one": spread(singles),
        f"record_batch_of_{BATCH}": spread(batches),
        "finish_per_second": round(len(finished) / sum(finished), 1),
    }


def age(state: State, share: float) -> int:
    """Finish a share of the targets within the last day, as the engine would, but by a few large statements."""
    now = time.time()
    rest = "CASE id % 50 WHEN 0 THEN 'QUARANTINED' WHEN 1 THEN 'DEFERRED' ELSE 'NO_SIGNAL' END"
    statements = [
        f"""INSERT INTO moves (target_id, came_from, went_to, because, at, token)
        SELECT id, 'RUNNING', {rest}, 'bench', :now - 86400.0 * id / :last, 1
        FROM targets WHERE id <= :last AND status = 'QUEUED'""",
        *(
            f"""INSERT INTO phase_runs (target_id, phase, item, digest, path, sha256, seconds, device, at)
            SELECT id, '{phase}', 0, 'd', '', '', 0.1, 'cpu', :now
            FROM targets WHERE id <= :last AND status = 'QUEUED'"""
            for phase in ("fetch", "clean", "search")
        ),
        f"""UPDATE targets SET phase = 'search', changed_at = :now, status = {rest},
        next_at = CASE id % 50 WHEN 1 THEN :now + id END,
        error_class = CASE id % 50 WHEN 0 THEN 'bug' WHEN 1 THEN 'network' END
        WHERE id <= :last AND status = 'QUEUED'""",
    ]
    with state.engine.begin() as connection:
        last = int(share * connection.execute(text("SELECT count(*) FROM targets")).scalar_one())
        for statement in statements:
            connection.execute(text(statement), {"last": last, "now": now})
    return last


def looks(url: str, times: int) -> dict[str, object]:
    def look() -> None:
        with Reader(url) as reader:
            reader.summary(time.time())

    with Reader(url) as reader:
        again = [timed(lambda: reader.summary(time.time())) for _ in range(times)]
        find = [timed(lambda: reader.find("TIC 77")) for _ in range(times)]
    return {
        "open_and_summary": spread([timed(look) for _ in range(times)]),
        "summary_again": spread(again),
        "find": spread(find),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--url", help="another database than a fresh SQLite file; it must be empty")
    parser.add_argument("--folder", help="where the fresh SQLite file is made")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        url = options.url or str(Path(folder) / "hunter.sqlite")
        answer: dict[str, object] = {
            "targets": options.targets,
            "database": "sqlite " + sqlite3.sqlite_version if options.url is None else options.url.split(":")[0],
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "python": platform.python_version(),
        }
        with State.open(url) as state:
            seconds = timed(lambda: state.enqueue(offered(options.targets), time.time()))
            answer["enqueue"] = {"seconds": round(seconds, 1), "per_second": round(options.targets / seconds)}
            again = timed(lambda: state.enqueue(offered(options.targets), time.time()))
            answer["enqueue_unchanged"] = {"seconds": round(again, 1), "per_second": round(options.targets / again)}
            answer["claim_64_full"] = claims(state, options.times)
            answer["commits_full"] = commits(state, options.times)
            answer["aged_targets"] = age(state, 0.6)
            answer["reclaim_ms"] = round(1e3 * timed(lambda: state.reclaim(time.time(), 30, "h", "b", bool)), 3)
            state.checkpoint()
            answer["status"] = looks(url, options.times)
        if options.url is None:
            with State.open(url, synchronous="NORMAL", check=False) as state:
                answer["claim_64_normal"] = claims(state, options.times)
                answer["commits_normal"] = commits(state, options.times)
            answer["open_with_quick_check_seconds"] = round(timed(lambda: State.open(url).close()), 2)
            answer["file_mb"] = round(Path(url).stat().st_size / 1e6)
        with State.open(url, check=False) as state:
            answer["check_seconds"] = round(timed(state.check), 2)
            answer["faults"] = state.check()
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    main()
