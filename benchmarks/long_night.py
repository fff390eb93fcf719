"""A night nobody watches, on simulated stars: a sector is released, noticed, and hunted through faults and kills.

The replica of MAST serves a sector in this process; `hunter daemon` runs beside it as a user would run it. Waits that
take hours at night (polls, back-off, an outage) are shortened by ``--hour``: the seconds that stand for one hour. A
share of all downloads meets a fault, the daemon is killed with SIGKILL again and again, and the archive is away for an
hour. A second night without any of it gives what the first one must have found.

python benchmarks/long_night.py --targets 10000 --json benchmarks/long_night.json --session docs/a-night.txt

Every figure is of simulated light curves (six days at two minutes, a few stamped for many stars) on this machine.
"""

import argparse
import json
import os
import platform
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hunter.pages import verify_files
from hunter.replica import Catalogue, Outage, Replica, Weather
from state.reading import Reader
from state.status import FINISHED, StateError
from state.store import State

SECTOR = 6
HOME = "nights/sector-6"  # as the dashboards name it
MIX = {"quiet": 0.96, "planet": 0.01, "detached": 0.01, "rotation": 0.01, "flaring": 0.01}  # as the sky is, roughly
FRAMES = (0.02, 0.25, 0.5, 0.75, 0.98)  # shares of the night at which the dashboard is written down
ANSWER = ("status", "best_period", "best_snr")


@dataclass(slots=True)
class Night:
    """What was seen of one night."""

    seconds: float = 0.0
    kills: int = 0
    to_exit: float = 0.0
    rss: list[tuple[int, float, float]] = field(default_factory=list)  # life, seconds in it, MB of all its processes
    wal: float = 0.0  # MB, at most
    files: float = 0.0  # MB, at most
    frames: list[str] = field(default_factory=list)
    noticed: float | None = None  # seconds from the release to the first target in the queue
    busy: float = 0.0  # seconds of phases, all workers


def settings_text(arguments: argparse.Namespace, replica: Replica) -> str:
    hour = arguments.hour
    where = "\n".join(f'{name} = "{address}"' for name, address in replica.settings.items())
    return f"""
[archive]
source = "mast"
{where}
[watch]
first_sector = {SECTOR}
poll_hours = {hour / 3600:.6f}
[network]
contact = "http://127.0.0.1/"
read_seconds = 2
deadline_seconds = 10
queries_per_second = 10
breaker_seconds = {300 * hour / 3600:.3f}
slow_seconds = {600 * hour / 3600:.3f}
[files]
quota_gb = {arguments.quota_gb}
free_gb = 1
[engine]
defer_hours = [{", ".join(f"{h * hour / 3600:.6f}" for h in (1, 6, 24))}]
free_disk_mb = 1000
[field]
fetch = false  # the replica has no pixels of these stars
[compute]
workers = {arguments.workers}
[search]
period_max = {arguments.period_max}
"""


def processes(root: int) -> list[int]:
    """The process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def resident(root: int) -> float:
    """MB of memory of all processes of a life; what they share is counted for each."""
    total = 0
    for pid in processes(root):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue
    return total / 1e6


def counts(home: Path) -> dict[str, int]:
    try:
        with Reader(home / "state" / "hunter.sqlite") as reader:
            return reader.summary(time.time())["counts"]
    except (StateError, sqlite3.Error):
        return {}


def dashboard(home: Path) -> str:
    environment = os.environ | {"COLUMNS": "110", "NO_COLOR": "1"}
    shown = subprocess.run(
        [sys.executable, "-m", "hunter", "status", "--home", str(home)],
        capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    return shown.stdout.replace(str(home), HOME)


def start(home: Path) -> subprocess.Popen[bytes]:
    with open(home.parent / f"{home.name}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "hunter", "daemon", "--home", str(home)],
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )


def live_through(
    home: Path, replica: Replica, arguments: argparse.Namespace, kills: int, outage: bool, say: Any
) -> Night:
    """One night from the first start of the daemon to its end, when every target rests."""
    night = Night()
    draw = random.Random(arguments.seed)
    at = sorted(draw.uniform(0.05, 0.9) for _ in range(kills))
    total = arguments.targets
    home.mkdir(parents=True)
    (home / "hunter.toml").write_text(settings_text(arguments, replica))
    began = time.monotonic()
    daemon, life, life_began = start(home), 0, time.monotonic()
    released: float | None = None
    frames = list(FRAMES)
    while True:
        time.sleep(0.5)
        now = time.monotonic()
        if daemon.poll() is not None:
            raise SystemExit(f"the daemon ended by itself with {daemon.returncode}: see {home}.log")
        found = counts(home)
        if released is None and found is not None and now - life_began > 15:
            replica.catalogue.release(SECTOR)
            replica.catalogue.publish_script(SECTOR)
            released = now
        known = sum(found.values())
        if night.noticed is None and known and released is not None:
            night.noticed = now - released
        rest = sum(found.get(status, 0) for status in FINISHED)
        share = rest / total
        night.rss.append((life, now - life_began, resident(daemon.pid)))
        wal = home / "state" / "hunter.sqlite-wal"
        night.wal = max(night.wal, wal.stat().st_size / 1e6 if wal.exists() else 0.0)
        if len(night.rss) % 20 == 0:
            stored = sum(f.stat().st_size for f in (home / "cache" / "files").rglob("*") if f.is_file())
            night.files = max(night.files, stored / 1e6)
            say(f"{rest:,} of {known:,} at rest, {night.rss[-1][2]:.0f} MB, WAL {night.wal:.1f} MB")
        if frames and share >= frames[0]:
            frames.pop(0)
            night.frames.append(dashboard(home))
        if at and share >= at[0]:
            at.pop(0)
            for pid in reversed(processes(daemon.pid)):
                os.kill(pid, signal.SIGKILL)
            daemon.wait()
            night.kills += 1
            daemon, life, life_began = start(home), life + 1, time.monotonic()
        if outage and share >= 0.4:
            outage = False
            here = replica.clock()
            replica.plan.outages.append(Outage(here, here + arguments.hour))  # type: ignore[attr-defined]
        if known >= total and rest == known:
            break
        if now - began > arguments.limit:
            raise SystemExit(f"the night did not end within {arguments.limit:.0f} s: {found}")
    night.seconds = time.monotonic() - (released or began)
    asked = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    night.to_exit = time.monotonic() - asked
    with closing(sqlite3.connect(home / "state" / "hunter.sqlite")) as book:
        ((night.busy,),) = book.execute("SELECT coalesce(sum(seconds), 0) FROM phase_runs").fetchall()
    return night


def slope(points: list[tuple[float, float]]) -> float | None:
    """MB an hour, by least squares."""
    if len(points) < 20:
        return None
    mean_t = sum(t for t, _ in points) / len(points)
    mean_m = sum(m for _, m in points) / len(points)
    spread = sum((t - mean_t) ** 2 for t, _ in points)
    return 3600 * sum((t - mean_t) * (m - mean_m) for t, m in points) / spread


def memory(night: Night) -> dict[str, float | None]:
    """Growth over the second half of the longest life, and the most there was."""
    lives: dict[int, list[tuple[float, float]]] = {}
    for life, t, mb in night.rss:
        lives.setdefault(life, []).append((t, mb))
    longest = max(lives.values(), key=len)
    grown = slope(longest[len(longest) // 2 :])
    return {
        "most_mb": round(max(mb for *_, mb in night.rss), 1),
        "slope_mb_per_hour": None if grown is None else round(grown, 1),
        "over_seconds": round(longest[-1][0] - longest[len(longest) // 2][0], 1),
    }


def books(home: Path) -> dict[str, Any]:
    """The answers of a night, and everything that is wrong with its record."""
    with closing(sqlite3.connect(home / "state" / "hunter.sqlite")) as book:
        answers = {
            f"{kind} {key}": rest
            for kind, key, *rest in book.execute(f"SELECT kind, key, {', '.join(ANSWER)} FROM targets")
        }
        ended = book.execute(
            """SELECT target_id, count(*) FROM moves WHERE came_from = 'RUNNING'
            AND went_to IN ('CANDIDATE', 'CLEARED', 'NO_SIGNAL', 'NO_DATA', 'UNUSABLE', 'QUARANTINED')
            GROUP BY target_id HAVING count(*) > 1"""
        ).fetchall()
        signals = book.execute(
            """SELECT t.key, s.number, s.period, s.epoch, s.depth, s.snr, s.probability FROM signals AS s
            JOIN targets AS t ON t.id = s.target_id ORDER BY t.key, s.number"""
        ).fetchall()
        deferrals = book.execute("SELECT count(*) FROM moves WHERE went_to = 'DEFERRED'").fetchone()[0]
    wrong: list[str] = []
    with State.open(home / "state" / "hunter.sqlite") as state:
        wrong += state.check()
    with Reader(home / "state" / "hunter.sqlite") as reader:
        problems, hashed = verify_files(home / "candidates", reader.candidates())
    wrong += problems
    for pattern in ("*.part", "*.partial", "*.tmp"):
        wrong += [str(path) for folder in ("cache", "candidates") for path in (home / folder).rglob(pattern)]
    return {
        "answers": answers,
        "signals": signals,
        "ended_twice": len(ended),
        "wrong": wrong,
        "hashed": hashed,
        "deferrals": deferrals,
    }


def requests(replica: Replica) -> dict[str, Any]:
    lines = replica.lines()
    routes: dict[str, int] = {}
    for line in lines:
        routes[line.route] = routes.get(line.route, 0) + 1
    return {
        "all": len(lines),
        "by_route": routes,
        "head": sum(line.method == "HEAD" for line in lines),
        "most_connections": replica.most_connections(),
        "faults": dict(getattr(replica.plan, "hits", {})),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--faults", type=float, default=0.05, help="share of downloads that meet one")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--hour", type=float, default=36.0, help="seconds that stand for one hour")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quota-gb", type=float, default=0.5)
    parser.add_argument("--period-max", type=float, default=3.0, help="days; short, for the night to be short")
    parser.add_argument("--span", type=float, default=6.0, help="days of a light curve")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=5400.0, help="seconds after which a night counts as stuck")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--session", type=Path, metavar="FILE", help="write the dashboards of the night here")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    told: dict[str, Any] = {"machine": platform.platform(), "cores": os.cpu_count(), "targets": arguments.targets}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="long-night-") as scratch:
        for name, faults, kills, outage in (
            ("faults", arguments.faults, arguments.kills, True),
            ("calm", 0.0, 0, False),
        ):
            catalogue = Catalogue()
            catalogue.add_crowd(
                SECTOR,
                stars=arguments.targets,
                cadence_seconds=120,
                span=arguments.span,
                seed=arguments.seed,
                again=0.0,
                pool=100,
                mix=MIX,
            )
            home = Path(scratch) / name
            with Replica(catalogue, plan=Weather(faults, seed=arguments.seed)) as replica:
                threading.current_thread().name = name
                say(f"the night of {name}: {home}")
                night = live_through(home, replica, arguments, kills, outage, say)
                found[name] = books(home)
                wall = night.seconds
                told[name] = {
                    "seconds": round(wall, 1),
                    "stars_per_hour": round(arguments.targets / wall * 3600),
                    "noticed_after_seconds": round(night.noticed or 0.0, 1),
                    "kills": night.kills,
                    "exit_after_sigterm_seconds": round(night.to_exit, 1),
                    "lost": arguments.targets - len(found[name]["answers"]),
                    "ended_twice": found[name]["ended_twice"],
                    "wrong": found[name]["wrong"],
                    "files_hashed": found[name]["hashed"],
                    "deferrals": found[name]["deferrals"],
                    "memory": memory(night),
                    "most_wal_mb": round(night.wal, 1),
                    "most_files_mb": round(night.files, 1),
                    "quota_mb": 1000 * arguments.quota_gb,
                    "waiting_share": round(max(0.0, 1 - night.busy / (arguments.workers * wall)), 3),
                    "requests": requests(replica),
                }
                if arguments.session and name == "faults":
                    write_session(arguments.session, night, arguments)
    one, other = found["faults"], found["calm"]
    told["outcomes"] = outcomes(one["answers"])
    told["same_answers"] = one["answers"] == other["answers"] and one["signals"] == other["signals"]
    told["differing"] = sorted(
        name for name in one["answers"].keys() | other["answers"].keys()
        if one["answers"].get(name) != other["answers"].get(name)
    )[:20]  # fmt: skip
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    good = told["same_answers"] and not any(
        told[n]["wrong"] or told[n]["lost"] or told[n]["ended_twice"] for n in found
    )
    return 0 if good else 1


def outcomes(answers: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for status, *_ in answers.values():
        found[status] = found.get(status, 0) + 1
    return found


def write_session(path: Path, night: Night, arguments: argparse.Namespace) -> None:
    """The dashboard as it stood through the night, as text."""
    head = (
        f"The dashboard of one night, written down by benchmarks/long_night.py: {arguments.targets:,} simulated\n"
        f"stars, {100 * arguments.faults:.0f} % of downloads meet a fault, {night.kills} kills of the daemon and one\n"
        f"outage; an hour lasts {arguments.hour:.0f} s.\n"
    )
    frames = [f"$ hunter status --home {HOME}\n{frame.rstrip()}\n" for frame in night.frames]
    path.write_text(head + "\n" + "\n\n".join(frames))


if __name__ == "__main__":
    sys.exit(main())
