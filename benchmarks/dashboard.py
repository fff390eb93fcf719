"""What looking costs on a long queue: a live frame in processor time, ``hunter status`` and a scrape in wall time.

    PYTHONPATH=. python -P benchmarks/dashboard.py --targets 1000000 --json benchmarks/dashboard.json

Makes a record of that many targets by a few large statements, six tenths of them hunted, with a daemon, a courier,
releases, breakers and messages, and draws the dashboard from it as ``hunter status --watch`` does.
"""

import argparse
import io
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from sqlalchemy import text

from benchmarks.record import age
from benchmarks.status import timed
from hunter.metrics import generate_latest, registry_of
from hunter.screen import dashboard
from hunter.settings import load
from state.outbox import Outbox
from state.reading import Reader
from state.releases import Releases
from state.rows import CandidateRow, Message, ReleaseRow
from state.status import Status
from state.store import State

FRAME_GOAL_MS, STATUS_GOAL_SECONDS = 15.0, 0.5
FILL = """
    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < :last)
    INSERT INTO targets (kind, key, status, priority, inputs, sources, star, added_at, changed_at, remote, ready)
    SELECT 'TIC', CAST(n AS TEXT), 'QUEUED', (n * 7919 % 1000) / 100.0, 'x', '["mast:x"]', '{"tmag": 10.5}', :now, :now,
        true, n % 5 > 0 FROM number"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", help="where the record is made")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hunter-dashboard-", dir=asked.folder) as folder:
        home = Path(folder)
        began = time.perf_counter()
        fill(home, asked.targets)
        found = {
            "targets": asked.targets,
            "making_seconds": round(time.perf_counter() - began, 1),
            "frame": frames(home, asked.frames) | {"goal_processor_ms": FRAME_GOAL_MS},
            "python_alone": timed([sys.executable, "-c", "pass"], asked.repeats),
            "status": timed([sys.executable, "-m", "hunter", "status", "--home", folder], asked.repeats)
            | {"goal_seconds": STATUS_GOAL_SECONDS},
            "scrape": scrapes(home, 20),
            "machine": {
                "cores": os.cpu_count(),
                "load": round(os.getloadavg()[0], 1),
                "system": platform.platform(),
                "python": platform.python_version(),
            },
        }
    words = json.dumps(found, indent=2)
    print(words)
    if asked.json:
        Path(asked.json).write_text(words + "\n")


def fill(home: Path, targets: int) -> None:
    """A hunt in the middle of a year, by few statements."""
    now = time.time()
    with State.open(home / "state" / "hunter.sqlite") as state:
        with state.write("fill") as connection:
            connection.execute(text(FILL), {"last": targets, "now": now})
        age(state, 0.6)
        for role in ("worker", "worker-2", "courier", "daemon"):
            state.register_worker(role, os.getpid(), platform.node(), "", now - 3600, role=role.partition("-")[0])
            state.heartbeat(role, now + 1e6, message=f"next poll at {now + 7200:.0f}")
        for number, claim in enumerate(state.claim("worker", 12, now)):
            state.finish(claim, Status.CANDIDATE, "so", now, candidates=[candidate(number)])
        for number in range(1000):
            state.log("warning" if number % 3 else "error", "bench", f"line {number} of the journal", now)
        for sector in range(1, 100):
            status = "enumerated" if sector < 97 else "ingesting"
            Releases(state).put(ReleaseRow(sector, "SPOC-120", status, 20_000, listed=20_000, looked_at=now), now)
        Outbox(state).post([Message(str(n), "webhook", "candidate", {}) for n in range(50)], now)
        courier = {"source": "mast", "fetching": 6, "files": 9, "bytes": 10**7, "resting": "no answer", "until": now}
        state.set("courier", json.dumps(courier))
        state.set("breaker:mast.stsci.edu", json.dumps({"open_until": now + 600, "since": now - 60, "reason": "x"}))
        state.set("last_poll_at", str(now))
        state.checkpoint()


def candidate(number: int) -> CandidateRow:
    name = f"TIC_{261136679 + number}_p6.267890"
    return CandidateRow(
        f"e{number}", name, 6.26789, 1325.5, 0.12, 4e-4, 21.4, probability=0.97, published_at=1.0 + number
    )


def frames(home: Path, number: int) -> dict[str, float]:
    """Processor milliseconds of a frame: the look at the record, the drawing, and both."""
    looks, draws = [], []
    with Reader(home / "state" / "hunter.sqlite") as reader:
        for _ in range(number + 5):
            out = Console(file=io.StringIO(), width=120, height=45, force_terminal=True, highlight=False)
            began = time.process_time()
            summary = reader.summary(time.time())
            between = time.process_time()
            out.print(dashboard(summary, home, time.time(), out.width))
            looks.append(1e3 * (between - began))
            draws.append(1e3 * (time.process_time() - between))
    whole = sorted(look + draw for look, draw in zip(looks[5:], draws[5:], strict=True))
    return {
        "look_ms": round(median(looks[5:]), 2),
        "draw_ms": round(median(draws[5:]), 2),
        "processor_ms": round(median(whole), 2),
        "processor_ms_p95": round(whole[int(0.95 * len(whole))], 2),
    }


def scrapes(home: Path, number: int) -> dict[str, float]:
    """Processor milliseconds of what Prometheus asks for."""
    registry, took = registry_of(load(str(home))), []
    for _ in range(number + 1):
        began = time.process_time()
        generate_latest(registry)
        took.append(1e3 * (time.process_time() - began))
    return {"processor_ms": round(median(took[1:]), 2)}


if __name__ == "__main__":
    main()
