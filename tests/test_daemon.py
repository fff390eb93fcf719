"""The daemon on a replica of MAST: it notices, hunts, takes up settings, keeps others out, and ends when asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from far_hunts import IMPATIENT, SECTOR, settings_for
from small_hunts import QUICK, endings, faults, make_sky, rows, train_tiny

from hunter.daemon import Daemon
from hunter.engine import HomeLocked
from hunter.replica import Catalogue, Replica
from hunter.settings import SettingsError, load
from state.status import Status

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return train_tiny(tmp_path_factory.mktemp("registry"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The daemon looks about as often as a test can wait for it: what is tested is what follows from what."""
    monkeypatch.setattr("hunter.daemon.SETTINGS_LOOK", 0.5)
    monkeypatch.setattr("hunter.daemon.LOOK", 0.2)
    monkeypatch.setattr("hunter.daemon.TURN", 0.1)


def at_rest(summary):
    waiting = (Status.QUEUED, Status.RUNNING, Status.DEFERRED)
    return summary["total"] > 0 and not any(summary["counts"][status] for status in waiting)


class Story:
    """What happens to a daemon, told to it step by step; each step is a question whether it may go on."""

    def __init__(self, *steps) -> None:
        self.steps = list(steps)
        self.until = time.monotonic() + 300

    def over(self, summary) -> bool:
        assert time.monotonic() < self.until, f"stuck before {self.steps[0].__name__}: {summary}"
        while self.steps and self.steps[0](summary):
            self.steps.pop(0)
        return not self.steps


def test_a_sector_is_noticed_hunted_once_and_hunted_again_when_settings_change(tmp_path, model):
    catalogue = Catalogue()
    catalogue.add_sky(tmp_path / "sky", stars=2, seed=3, sector=SECTOR, cadence_seconds=120.0, mix={"planet": 1.0},
                      damaged=0, snr=(40.0, 60.0))  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    (home / "hunter.toml").write_text("[hunt]\nthreshold = 0.0\n")
    given = {**QUICK, **IMPATIENT, "watch.first_sector": SECTOR, "watch.poll_hours": 1.0 / 3600,
             "score.checkpoint": str(model), "engine.heartbeat_seconds": 5.0}  # fmt: skip
    given.pop("hunt.threshold")
    seen = {}

    def released(summary):
        if not summary["words"].get("last_poll_at"):
            return False
        assert summary["total"] == 0
        catalogue.release(SECTOR)
        catalogue.publish_script(SECTOR)
        return True

    def hunted(summary):
        if not at_rest(summary):
            return False
        ended = [target for target, _ in endings(home)]
        seen["first"] = sorted(ended) == sorted(set(ended)) and len(ended)
        with pytest.raises(HomeLocked, match=str(os.getpid())):
            Daemon(settings, lambda: settings).live()
        (home / "hunter.toml").write_text("[hunt]\nthreshold = nonsense\n")
        return True

    def refused(summary):
        if not any(event["kind"] == "settings" for event in summary["events"]):
            return False
        (home / "hunter.toml").write_text("[hunt]\nthreshold = 1.0\n")
        return True

    def taken_up(summary):
        return at_rest(summary) and summary["counts"][Status.CLEARED] == 2

    with Replica(catalogue) as replica:
        where = {f"archive.{name}": address for name, address in replica.settings.items()}
        told = given | where | {"archive.source": "mast", "field.fetch": False}
        settings = load(str(home), told)
        story = Story(released, hunted, refused, taken_up)
        night = Daemon(settings, lambda: load(str(home), told), until=story.over).live()
        downloads = replica.lines("download")
    assert seen["first"] == 2  # each once
    assert len(downloads) == 2  # hunting again with other settings fetches nothing
    assert night.outcomes["CLEARED"] == 2
    assert faults(home) == []
    assert list((home / "candidates").glob("TIC*")) == []
    said = [text for (text,) in rows(home, "SELECT text FROM events WHERE kind = 'settings' ORDER BY id")]
    assert "hunter.toml: not TOML" in said[0].replace(str(home) + "/", "")
    assert "taken up" in said[1]
    assert len(list((home / "state" / "backups").glob("*.sqlite"))) == 1


def test_asked_to_stop_it_ends_the_batch_in_flight_and_the_next_one_redoes_nothing(tmp_path, model):
    make_sky(tmp_path / "sky", 6)
    home = tmp_path / "home"
    home.mkdir()
    given = QUICK | {
        "compute.workers": 1,
        "compute.batch": 1,
        "hunt.threshold": 1.0,
        "score.checkpoint": str(model),
        "engine.drain_seconds": 30.0,
    }
    tables: dict[str, list[str]] = {}
    for name, value in given.items():
        table, _, key = name.partition(".")
        tables.setdefault(table, []).append(f"{key} = {json.dumps(value)}")
    text = "\n".join(f"[{table}]\n" + "\n".join(lines) for table, lines in tables.items())
    (home / "hunter.toml").write_text(text)
    command = [sys.executable, "-m", "hunter", "daemon", "--home", str(home), "--archive", str(tmp_path / "sky")]
    daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while time.monotonic() < until and not ((home / "state" / "hunter.sqlite").exists() and endings_of(home)):
        assert daemon.poll() is None, daemon.stderr.read()
        time.sleep(0.02)
    daemon.send_signal(signal.SIGTERM)
    daemon.communicate(timeout=35)  # the drain limit and five seconds
    assert daemon.returncode == 0
    ended = endings_of(home)
    assert 0 < len(ended) < 6
    assert rows(home, "SELECT count(*) FROM targets WHERE status = 'RUNNING'") == [(0,)]
    before = rows(home, "SELECT target_id, phase, item, at FROM phase_runs ORDER BY 1, 2, 3")
    settings = load(str(home), {"archive.source": str(tmp_path / "sky")})
    Daemon(settings, lambda: settings, until=Story(at_rest).over).live()
    after = set(rows(home, "SELECT target_id, phase, item, at FROM phase_runs"))
    assert set(before) <= after  # nothing that was stored was computed again
    assert len(endings_of(home)) == 6
    assert faults(home) == []


def endings_of(home):
    try:
        return [pair for pair in endings(home) if pair[1] not in ("QUEUED", "RUNNING")]
    except Exception:
        return []


def test_wrong_settings_end_it_before_anything_begins(tmp_path, run):
    code, _, err = run("daemon", "--home", tmp_path / "home", "--archive", tmp_path / "nowhere")
    assert (code, "does not exist" in err) == (2, True)
    assert not (tmp_path / "home").exists()
    code, _, err = run("daemon", "--home", tmp_path / "home")
    assert (code, "no archive" in err) == (2, True)


def test_a_unit_for_the_service_manager_is_printed(tmp_path, run):
    (tmp_path / "hunter.toml").write_text("")
    code, out, _ = run("daemon", "--home", tmp_path, "--print-unit")
    assert code == 0
    assert f"--home {tmp_path}" in out
    assert "Type=notify" in out


def test_the_reader_of_settings_is_told_what_is_wrong(tmp_path):
    with pytest.raises(SettingsError, match="poll_hours"):
        settings_for(tmp_path, {}, watch__poll_hours=-1.0)
