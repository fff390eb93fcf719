"""Small real hunts for the tests that interrupt them: a simulated sky, a tiny trained model, a home, and its books."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hunter import engine, worker
from hunter.archives import open_archive
from hunter.settings import Settings, load
from hunter.skies import Truth, write_sector
from state.store import State

NURSERY = Path(__file__).with_name("nursery.py")
TIMES = ("timings", "finished_at")
# few periods, one template, one signal and no detrending keep a life short; what is stored, and when, is the same
QUICK = {
    "hunt.threshold": 0.0,
    "compute.backend": "numba",
    "search.period_min": 2.0,
    "search.period_max": 3.5,
    "search.templates": ["box"],
    "search.max_signals": 1,
    "search.scrambles": 0,
    "fit.sampler": "none",
    "detrend.method": "none",
    "engine.heartbeat_seconds": 3600.0,
    "engine.lease_seconds": 7200.0,
    "engine.free_disk_mb": 0.0,
    "state.synchronous": "NORMAL",  # a commit is lost with the power, not with a process
}


def make_sky(folder: Path, stars: int, seed: int = 3) -> Truth:
    """SIMULATED: planets nobody can miss, 27 days at 30 minutes; the first of seed 3 has a period of 2.588 days."""
    return write_sector(
        folder, stars=stars, seed=seed, cadence_seconds=1800.0, mix={"planet": 1.0}, damaged=0, snr=(40.0, 60.0)
    )


def train_tiny(folder: Path) -> Path:
    """Train a model in seconds on simulated signals; its opinion is worthless, its files are real."""
    from test_models import make_labelled

    from models.datasets import assemble
    from models.train import Recipe, train_on

    recipe = Recipe("tiny", epochs=1, members=1, batch=16, width=4, held_out=(), trees=5, bins=8)
    return train_on(assemble(make_labelled(90), {}, [], {}), folder, recipe, name="tiny", resamples=5)


def little_learning() -> None:
    """Let commands train a small network and few trees: how well they learn is asked elsewhere."""
    from models.train import RECIPES

    RECIPES["quick"] = replace(RECIPES["quick"], width=4, trees=10, bins=8)


def make_settings(home: Path, sky: Path, model: Path, **given: object) -> Settings:
    return load(str(home), given_for(sky, model, **given))


def given_for(sky: Path, model: Path, **given: object) -> dict[str, object]:
    """The command line's settings; ``search__snr=8`` is ``[search] snr``."""
    told = {name.replace("__", ".", 1): value for name, value in given.items()}
    return QUICK | {"archive.source": str(sky), "score.checkpoint": str(model)} | told


def open_queued(settings: Settings) -> State:
    """The record of a home whose archive has just been listed."""
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "candidates").mkdir(exist_ok=True)
    state = engine.open_state(settings)
    engine.queue(state, open_archive(settings).targets(), settings, time.time())
    return state


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """How a worker's life ended, and what it computed in it."""

    code: int  # -9: killed
    computed: tuple[tuple[str, str], ...]  # (phase, target), in order
    ended: tuple[tuple[str, str], ...]  # (target, outcome)
    stopped: tuple[str, str, bool] | None  # by what error, in which words, and whether a disk was full


class Nursery:
    """Gives birth to warm workers; see tests/nursery.py."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.born = 0
        # the tree under test is the one these tests lie in, wherever another is installed
        tests = NURSERY.parent
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
        self.process = subprocess.Popen(
            [sys.executable, str(NURSERY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def live(
        self,
        home: Path,
        given: dict[str, object],
        *,
        sheet: str = "digest",
        warm: bool = False,
        more: dict[str, object] | None = None,
        **environment: str,
    ) -> Life:
        """Tidy ``home`` and work until nothing is queued, or until the environment kills it."""
        self.born += 1
        diary = self.folder / f"life-{self.born}.jsonl"
        order = {"home": str(home), "given": given, "diary": str(diary), "sheet": sheet, "warm": warm}
        order["environment"] = environment
        self._say(order | (more or {}))
        answer = json.loads(self.process.stdout.readline())
        if answer["code"] == 1:
            raise AssertionError(diary.with_suffix(".error").read_text())
        assert answer["threads"] == 1  # else a fork may inherit a lock that nobody gives back
        lines = diary.read_text().splitlines() if diary.exists() else []
        told = [json.loads(line) for line in lines]
        computed = tuple((what[0], what[1]) for kind, what in told if kind == "phase")
        ended = tuple((what[0], what[1]) for kind, what in told if kind == "ended")
        stopped = next((tuple(what) for kind, what in told if kind == "stopped"), None)
        return Life(answer["code"], computed, ended, stopped)

    @contextmanager
    def command(self, *command: object, first: Sequence[str] = ()) -> Iterator["Running"]:
        """A command line in a process of its own, born after these modules were imported and functions called."""
        self.born += 1
        out, err = (self.folder / f"command-{self.born}.{name}" for name in ("stdout", "stderr"))
        order = {"command": [str(word) for word in command], "stdout": str(out), "stderr": str(err)}
        self._say(order | {"diary": str(out), "environment": {}, "first": list(first)})
        running = Running(json.loads(self.process.stdout.readline())["pid"], out, err)
        yield running
        running.code = json.loads(self.process.stdout.readline())["code"]

    @contextmanager
    def stopped(self, home: Path, given: dict[str, object], phase: str) -> Iterator["Running"]:
        """A worker that stands still where this phase first begins, and goes on at the end; its diary is ``stdout``."""
        self.born += 1
        diary = self.folder / f"life-{self.born}.jsonl"
        order = {"home": str(home), "given": given, "diary": str(diary), "sheet": "digest", "environment": {}}
        self._say(order | {"stop": phase})
        running = Running(json.loads(self.process.stdout.readline())["pid"], diary, diary.with_suffix(".error"))
        while Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert not running.stderr.exists(), running.stderr.read_text()
            time.sleep(0.02)
        try:
            yield running
        finally:
            os.kill(running.pid, signal.SIGCONT)
            running.code = json.loads(self.process.stdout.readline())["code"]

    def _say(self, order: dict[str, object]) -> None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()


@dataclass(slots=True)
class Running:
    """A command under way."""

    pid: int
    stdout: Path
    stderr: Path
    code: int | None = None  # once it has ended

    def kill_after(self, words: str) -> None:
        """Wait until it has said these words, and kill it."""
        while words not in (self.stderr.read_text() if self.stderr.exists() else ""):
            assert Path(f"/proc/{self.pid}").exists(), self.stderr.read_text()
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)


def rows(home: Path, query: str, *values: object) -> list[tuple]:
    """Ask the database itself."""
    with closing(sqlite3.connect(home / "state" / "hunter.sqlite")) as connection:
        return connection.execute(query, values).fetchall()


def evidence_of(home: Path) -> dict[str, str]:
    """Name to evidence as text, its times aside."""
    found = {}
    for path in sorted((home / "candidates").glob("*.json")):
        document = json.loads(path.read_bytes())
        for name in TIMES:
            del document["run"][name]
        found[path.name] = json.dumps(document)
    return found


def books(home: Path) -> dict[str, object]:
    """The final state of a home: everything that must not depend on how it was reached."""
    png = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (home / "candidates").glob("*.png")}
    return {
        "targets": rows(
            home,
            "SELECT kind, key, status, phase, attempts, suspect, owner, error_class, best_period, best_snr, model "
            "FROM targets ORDER BY kind, key",
        ),
        "signals": rows(home, "SELECT * FROM signals ORDER BY target_id, number"),
        "candidates": rows(
            home,
            "SELECT target_id, ephemeris_key, name, period, epoch, duration, depth, snr, sde, probability, "
            "disposition, json_file, png_file, png_sha256, pdf_sha256, html_file FROM candidates ORDER BY name",
        ),
        "results": rows(
            home,
            "SELECT target_id, phase, item, digest, path, sha256 FROM phase_runs WHERE path <> '' ORDER BY 1, 2, 3",
        ),
        "evidence": evidence_of(home),
        "png": png,
    }


def endings(home: Path) -> list[tuple[int, str]]:
    """Every time a target left the hands of a worker with an outcome."""
    return rows(
        home,
        "SELECT target_id, went_to FROM moves WHERE came_from = 'RUNNING' AND went_to <> 'QUEUED' ORDER BY 1, id",
    )


def faults(home: Path) -> list[str]:
    """Everything that is wrong with a home at rest, in words; empty if it is sound."""
    with State.open(home / "state" / "hunter.sqlite") as state:
        found = state.check()
    known = set()
    for files in rows(
        home,
        "SELECT json_file, json_sha256, png_file, png_sha256, pdf_file, pdf_sha256, "
        "html_file, html_sha256 FROM candidates",
    ):
        for name, sha256 in zip(files[::2], files[1::2], strict=True):
            known.add(name)
            path = home / "candidates" / name
            if not path.is_file():
                found.append(f"{name} is recorded and not there")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                found.append(f"{name} is not what was recorded")
    there = {path.name for path in (home / "candidates").iterdir() if path.is_file()} - {"index.html"}
    found += [f"{name} is there and not recorded" for name in sorted(there - known)]
    found += [f"{path} was left over" for path in home.rglob("*.part")]
    found += [f"{path} was left over" for path in (home / "candidates" / ".staging").glob("*")]
    results = worker.results_folder(load(str(home)))
    for path, sha256 in rows(home, "SELECT path, sha256 FROM phase_runs WHERE path <> ''"):
        stored = results / path
        if not stored.is_file() or hashlib.sha256(stored.read_bytes()).hexdigest() != sha256:
            found.append(f"{path} is not what was recorded")
    return found
