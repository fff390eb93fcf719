"""Two engines share one record while their workers are killed and stopped at random; the end must be as if untouched.

    PYTHONPATH=. python -P benchmarks/two_daemons.py --record sqlite --json > FILE
    PYTHONPATH=. python -P benchmarks/two_daemons.py --record postgresql --json > FILE

SIMULATED skies, a tiny model, real phases. Each engine is a process that forks workers, buries the dead and takes their
claims back; both work on one home and one database. A worker is hit at a moment drawn after it has reported its first
claim: SIGKILL, or SIGSTOP for longer than the lease, after which it comes back and finds itself fenced off. A round
ends when everything is finished; it is then held to an untouched hunt of the same sky, and another one follows until
there were as many hits as asked for. Exit code 1 if anything was wrong.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from sqlalchemy import create_engine, text

from hunter import worker
from hunter.crew import take_back
from hunter.engine import tidy
from hunter.settings import load
from state.reading import Reader
from state.store import State

LEASE = 2.0  # seconds
WORKERS = 2  # of each engine


def say(kind: str, what: object) -> None:
    """One line, written at once: whoever is killed in between has written all of it or nothing."""
    os.write(1, (json.dumps([kind, os.getpid(), what]) + "\n").encode())


# ---------------------------------------------------------------------------------------------------- an engine


def engine() -> None:
    """Read one hunt a line; fork workers at it until nothing is left."""
    from nursery import digest_sheet

    import candidates.plots

    candidates.plots.draw_sheet = digest_sheet
    warm = True
    for line in sys.stdin:
        order = json.loads(line)
        settings = load(order["home"], order["given"])
        if warm:  # what the first hunt loads and compiles is inherited by every worker
            warm = False
            worker.work(settings, worker.Duty())
            say("done", None)
            continue
        living: set[int] = set()
        while True:
            with suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    living.discard(ended[0])
            with State.open(settings.database, synchronous="NORMAL", check=False) as state:
                take_back(settings, state, lambda line: None, time.time())
            with Reader(settings.database) as reader:
                counts = reader.summary(time.time())["counts"]
            if not counts["QUEUED"] and not counts["RUNNING"] and not living:
                break
            while counts["QUEUED"] and len(living) < WORKERS:
                child = os.fork()
                if child == 0:
                    _live(settings)
                living.add(child)
            time.sleep(0.1)
        say("done", None)


def _live(settings: Any) -> None:
    try:
        worker.work(settings, worker.Duty(report=lambda kind, what: say(kind, what)))
        os._exit(0)
    except BaseException as error:
        say("broken", f"{type(error).__name__}: {error}")
        os._exit(1)


# ------------------------------------------------------------------------------------------ the hand that hits


class Hand:
    """Hits workers after their first claim, until there were enough hits."""

    def __init__(self, draw: random.Random, kills: int, stops: int, within: float) -> None:
        self.draw, self.left, self.within = draw, Counter(kill=kills, stop=stops), within
        self.hits: Counter[str] = Counter()
        self.phases: Counter[str] = Counter()
        self.plans: list[tuple[float, int, str]] = []
        self.seen: set[int] = set()
        self.phase: dict[int, str] = {}

    def hear(self, pid: int, phase: str) -> None:
        self.phase[pid] = phase
        if pid in self.seen:
            return
        self.seen.add(pid)
        sorts = [sort for sort, n in self.left.items() for _ in range(n)]
        if sorts and self.draw.random() < 0.9:
            self.plans.append((time.monotonic() + self.draw.uniform(0, self.within), pid, self.draw.choice(sorts)))

    def strike(self) -> None:
        now = time.monotonic()
        for plan in [plan for plan in self.plans if plan[0] <= now]:
            self.plans.remove(plan)
            _, pid, sort = plan
            if sort != "wake" and self.left[sort] <= 0:
                continue
            with suppress(ProcessLookupError):
                number = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "wake": signal.SIGCONT}[sort]
                os.kill(pid, number)
                if sort == "wake":
                    continue
                self.left[sort] -= 1
                self.hits[sort] += 1
                self.phases[self.phase.get(pid, "")] += 1
                if sort == "stop":
                    self.plans.append((now + self.draw.uniform(1.25, 1.75) * LEASE, pid, "wake"))

    def done(self) -> bool:
        return not +self.left


def end_of(url: str, home: Path, given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What must not depend on how the end was reached, and what is wrong with it."""
    with State.open(url) as state:
        tidy(load(str(home), given), state, lambda line: None, time.time())  # with this the next night would begin
        wrong = state.check()

        def rows(sql: str) -> list[tuple[Any, ...]]:
            with state.read() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]

        ends = rows(
            "SELECT kind, key, (SELECT count(*) FROM moves WHERE target_id = targets.id AND came_from = 'RUNNING' "
            "AND went_to <> 'QUEUED') FROM targets ORDER BY kind, key"
        )
        wrong += [f"{kind} {key} ended {n} times" for kind, key, n in ends if n != 1]
        files = rows(
            "SELECT json_file, json_sha256, png_file, png_sha256, pdf_file, pdf_sha256, "
            "html_file, html_sha256 FROM candidates"
        )
        known = set()
        for row in files:
            for name, sha256 in zip(row[::2], row[1::2], strict=True):
                known.add(name)
                path = home / "candidates" / name
                if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                    wrong.append(f"{name} is missing or not what was recorded")
        there = {path.name for path in (home / "candidates").iterdir() if path.is_file()} - {"index.html"}
        wrong += [f"{name} belongs to no candidate" for name in sorted(there - known)]
        told = {
            "targets": rows("SELECT kind, key, status, best_period, best_snr FROM targets ORDER BY kind, key"),
            "signals": rows(
                "SELECT kind, key, number, period, epoch, snr, probability FROM signals "
                "JOIN targets ON targets.id = target_id ORDER BY kind, key, number"
            ),
            "candidates": rows("SELECT name, ephemeris_key, probability FROM candidates ORDER BY name"),
        }
        refused = rows("SELECT count(*) FROM events WHERE kind = 'reclaimed'")[0][0]
    wrong += [f"{path.name} was left over" for path in home.rglob("*.part")]
    return told | {"taken_back": refused}, wrong


def torture(asked: argparse.Namespace, folder: Path, server: str | None) -> dict[str, Any]:
    from small_hunts import given_for, make_sky, open_queued, train_tiny

    draw = random.Random(asked.seed)
    sky, model = folder / "sky", train_tiny(folder / "model")
    make_sky(sky, stars=asked.stars)
    numbers = iter(range(10_000))

    def fresh() -> tuple[Path, str, dict[str, Any]]:
        number = next(numbers)
        home = folder / f"home-{number}"
        url = str(home / "state" / "hunter.sqlite")
        if server is not None:
            admin = create_engine(server, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text(f"CREATE DATABASE round_{number}"))
            url = admin.url.set(database=f"round_{number}").render_as_string(hide_password=False)
            admin.dispose()
        given = given_for(
            sky, str(model), state__url="" if server is None else url, compute__batch=4, state__synchronous="NORMAL",
            engine__lease_seconds=LEASE, engine__heartbeat_seconds=LEASE / 5, engine__max_deaths=100_000,
        )  # fmt: skip
        open_queued(load(str(home), given)).close()
        return home, url, given

    began = time.monotonic()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    with ExitStack() as stack:
        engines = [
            subprocess.Popen(
                [sys.executable, __file__, "--engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
            for _ in range(2)
        ]
        for process in engines:
            stack.callback(process.wait)
            stack.callback(process.kill)
        selector = stack.enter_context(selectors.DefaultSelector())
        for process in engines:
            assert process.stdout is not None
            os.set_blocking(process.stdout.fileno(), False)
            selector.register(process.stdout, selectors.EVENT_READ)
        broken: Counter[str] = Counter()
        hand = Hand(draw, asked.kills, asked.stops, asked.within)

        def play(process_orders: list[tuple[Any, tuple[Path, str, dict[str, Any]]]], hitting: bool) -> None:
            for process, (home, _, given) in process_orders:
                process.stdin.write((json.dumps({"home": str(home), "given": given}) + "\n").encode())
                process.stdin.flush()
            waiting = len(process_orders)
            rest: dict[Any, bytes] = {}
            while waiting:
                for key, _ in selector.select(timeout=0.02):
                    data = rest.pop(key.fileobj, b"") + (key.fileobj.read() or b"")  # type: ignore[union-attr]
                    *lines, last = data.split(b"\n")
                    rest[key.fileobj] = last
                    for kind, pid, what in map(json.loads, lines):
                        waiting -= kind == "done"
                        if kind == "broken":
                            broken[what] += 1
                        if kind == "phase" and hitting:
                            hand.hear(pid, what[0])
                hand.strike()
                for process in engines:
                    if process.poll() is not None:
                        raise SystemExit(f"an engine ended with {process.returncode}")

        untouched = [fresh(), fresh()]
        play(list(zip(engines, untouched, strict=True)), hitting=False)  # warms both engines
        wanted, told = end_of(untouched[0][1], untouched[0][0], untouched[0][2])
        wrong = [f"untouched: {line}" for line in told]
        wanted.pop("taken_back")
        print(f"untouched: {time.monotonic() - began:.0f} s", file=sys.stderr)
        rounds = taken_back = 0
        while not hand.done():
            rounds += 1
            home, url, given = fresh()
            play([(process, (home, url, given)) for process in engines], hitting=True)
            found, told = end_of(url, home, given)
            taken_back += found.pop("taken_back")
            wrong += [f"round {rounds}: {line}" for line in told]
            wrong += [f"round {rounds}: the {name} differ" for name in wanted if found[name] != wanted[name]]
            print(f"round {rounds}: {dict(hand.hits)} after {time.monotonic() - began:.0f} s", file=sys.stderr)
            shutil.rmtree(home)
    return {
        "record": asked.record,
        "sky": "simulated",
        "engines": 2,
        "workers_of_each": WORKERS,
        "lease_seconds": LEASE,
        "seed": asked.seed,
        "kills": hand.hits["kill"],
        "stops_beyond_the_lease": hand.hits["stop"],
        "rounds": rounds,
        "targets_of_a_round": len(wanted["targets"]),
        "candidates_of_a_round": len(wanted["candidates"]),
        "hit_in_phase": dict(hand.phases),
        "targets_taken_back": taken_back,
        "workers_that_gave_up": dict(broken),
        "seconds": round(time.monotonic() - began, 1),
        "machine": {"system": platform.platform(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]},
        "wrong": wrong,
        "same": not wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--stars", type=int, default=12)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--within", type=float, default=0.6, help="a hit comes within so many seconds after a claim")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--engine", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.engine:
        engine()
        return 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="two-daemons-")))
        server = None
        if asked.record == "postgresql":
            from postgres_server import shared_server

            server = stack.enter_context(shared_server(folder))
        result = torture(asked, folder, server)
    if asked.json:
        print(json.dumps(result, indent=1))
    return 0 if result["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
