"""The doctor: each thing that can be wrong is named with its cure."""

import json
import os
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hunter import doctor
from hunter.settings import load
from state.outbox import Outbox
from state.rows import Message
from state.store import State


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [*os.environ]:
        if name.startswith("HUNTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def checks(tmp_path):
    """All checks of a home, but those that start a child process for a library."""
    quick = [check for check in doctor.CHECKS if check.__name__ not in ("_jax", "_torch", "_numba")]

    def of(text="", home=tmp_path):
        if home.is_dir():
            (home / "hunter.toml").write_text(text)
        return {check.name: check for check in doctor.examine(load(str(home)), quick)}

    return of


def test_a_fresh_home_is_fit_but_for_the_archive(checks):
    found = checks()
    assert [name for name, check in found.items() if check.status == "fail"] == []
    assert found["archive"].status == "warn"
    assert "--archive DIR" in found["archive"].cure


def test_an_archive_that_is_no_folder_fails_with_its_name(checks):
    found = checks('[archive]\nsource = "gone"\n')["archive"]
    assert found.status == "fail"
    assert "gone is no folder" in found.note


def test_a_disk_below_the_floor_fails_with_the_setting(checks):
    found = checks("[engine]\nfree_disk_mb = 1e12\n")["disk"]
    assert found.status == "fail"
    assert "[engine] free_disk_mb" in found.cure


def test_a_damaged_database_fails_and_the_other_checks_go_on(checks, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hunter.sqlite").write_bytes(b"damage" * 1000)
    found = checks()
    assert found["database"].status == "fail"
    assert found["database"].cure
    assert found["clock"].status == "ok"


def test_a_home_that_cannot_be_written_fails_with_the_cure(checks):
    found = checks(home=Path("/proc/hunt"))["writing"]
    assert found.status == "fail"
    assert "another --home" in found.cure


def test_a_checkpoint_that_is_not_there_fails_with_a_cure(checks):
    found = checks('[score]\ncheckpoint = "/nowhere/model"\n')["model"]
    assert found.status == "fail"
    assert found.cure


def test_a_library_that_breaks_is_a_failure_of_its_line_alone(tmp_path):
    def _jax(settings):
        return doctor.Check("jax", "ok", doctor._child("raise OSError('libcuda.so.1: cannot open')"))

    found = [*doctor.examine(load(str(tmp_path)), [_jax, *doctor.CHECKS[:1]])]
    assert [(check.name, check.status) for check in found] == [("jax", "fail"), ("python", "ok")]
    assert "libcuda" in found[0].note
    assert found[0].cure


def test_jax_on_the_cpu_beside_a_gpu_is_warned_of_with_the_cure():
    seen = {"version": "0.10.2", "backend": "cpu", "kinds": ["cpu"]}
    assert doctor.jax_line(seen, card=False, plugin=False) == doctor.Check("jax", "ok", "0.10.2 on cpu: cpu")
    bare = doctor.jax_line(seen, card=True, plugin=False)
    assert (bare.status, bare.cure.partition(": ")[2]) == ("warn", "pip install 'transit-hunter[cuda]'")
    assert "nvidia-smi" in doctor.jax_line(seen, card=True, plugin=True).cure
    gpus = {"version": "0.10.2", "backend": "gpu", "kinds": ["NVIDIA H200", "NVIDIA H200"]}
    assert doctor.jax_line(gpus, card=True, plugin=True).note == "0.10.2 on gpu: 2 x NVIDIA H200"
    assert doctor.jax_line(gpus, card=True, plugin=True).status == "ok"


def test_the_widest_vector_registers_are_named():
    assert doctor.simd(["sse2", "avx", "avx2", "avx512f"]) == "512-bit AVX-512"
    assert doctor.simd(["sse2", "avx"]) == "256-bit AVX"
    assert doctor.simd(["neon", "fp-armv8"]) == "128-bit NEON"
    assert doctor.simd([]) == "no vector registers known"


def test_each_library_says_on_what_it_runs(tmp_path):
    found = [*doctor.examine(load(str(tmp_path)), [doctor._jax, doctor._torch, doctor._numba])]
    assert [check.name for check in found] == ["jax", "torch", "numba"]
    assert "fail" not in [check.status for check in found]
    assert all(" on " in check.note for check in found)
    assert "thread" in found[2].note


def test_the_command_prints_a_line_for_each_and_fails_if_one_does(tmp_path, capfd):
    from hunter.__main__ import main

    (tmp_path / "hunter.toml").write_text('[archive]\nsource = "gone"\n')
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--home", str(tmp_path)])
    lines = capfd.readouterr().out.splitlines()
    assert end.value.code == 1
    assert len(lines) == len(doctor.CHECKS)
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)
    assert any(line.startswith("fail  archive") and " -> " in line for line in lines)


def test_a_child_that_fails_gives_its_last_line(tmp_path):
    with pytest.raises(RuntimeError, match="no such driver"):
        doctor._child("raise OSError('no such driver')")


# ------------------------------------------------------------------------------------------------ for a year alone


@pytest.fixture
def record(tmp_path):
    (tmp_path / "state").mkdir()
    with State.open(tmp_path / "state" / "hunter.sqlite") as state:
        yield state


def test_a_far_archive_is_not_asked_unless_one_says_so(checks):
    found = checks('[archive]\nsource = "mast"\n')
    assert found["archive"].note == "mast: not asked (use --online)"
    assert (found["contact"].status, "online" in found) == ("warn", False)
    assert "[network] contact" in found["contact"].cure


def test_a_contact_is_not_needed_for_a_folder_and_shown_where_it_is_set(checks, tmp_path):
    assert checks(f'[archive]\nsource = "{tmp_path}"\n')["contact"].note == "not needed: no archive is asked"
    assert checks('[network]\ncontact = "https://a.example.org"\n')["contact"].note == "https://a.example.org"


def test_a_clock_behind_the_record_is_warned_of(checks, record):
    assert checks()["clock"].status == "ok"
    record.log("info", "x", "y", time.time() + 7300)
    found = checks()["clock"]
    assert found.status == "warn"
    assert "was at work 2.0 h later" in found.note


def test_a_database_on_a_network_file_system_fails_and_a_server_is_no_file(checks, monkeypatch):
    assert checks()["storage"].note.startswith("the database lies on ")
    monkeypatch.setattr("state.place.file_system", lambda path: "nfs4")
    assert checks()["storage"].status == "fail"
    found = checks('[state]\nurl = "postgresql://me:s3cr3t@db/hunt"\n')["storage"]
    assert (found.status, "s3cr3t" in found.note) == ("ok", False)


def test_hosts_that_are_left_alone_are_named(checks, record):
    assert checks()["hosts"].note == "none was ever left alone"
    until = time.time() + 3600
    record.set("breaker:mast.stsci.edu", json.dumps({"open_until": until, "since": until, "reason": "no answer"}))
    found = checks()["hosts"]
    assert found.status == "warn"
    assert found.note.startswith("mast.stsci.edu is left alone until 20")
    assert found.note.endswith("(no answer)")


@pytest.mark.parametrize(
    ("channels", "status", "said"),
    [
        ("", "ok", "nobody is told"),
        ('"webhook https://a.org/s3cr3t", "command true"', "ok", "webhook, command"),
        ('"command /nowhere/tell"', "fail", "/nowhere/tell is no program"),
    ],
)
def test_channels_are_looked_at_without_being_used(checks, channels, status, said):
    found = checks(f"[notify]\nchannels = [{channels}]\n")["notify"]
    assert (found.status, said in found.note) == (status, True)
    assert "s3cr3t" not in found.note


def test_messages_that_were_given_up_are_warned_of(checks, record):
    Outbox(record).post([Message(key, "hook", "x", {}) for key in "ab"], 1.0)
    Outbox(record).failed(1, "no", None)
    found = checks()["messages"]
    assert (found.status, found.note) == ("warn", "1 were given up, 1 wait")


class Archive:
    """An archive on loopback that answers any question with a date of its own."""

    def __init__(self, ahead=0.0, status=200):
        archive = self
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                archive.asked.append((self.command, self.path, body))
                text = json.dumps({"status": "COMPLETE", "data": [{"Column1": 15889}]}).encode()
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + ahead, usegmt=True))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def online(tmp_path, url, source="mast"):
    name = "mast_url" if source == "mast" else "s3_endpoint"
    text = f'[archive]\nsource = "{source}"\n{name} = "{url}"\n[network]\ncontact = "https://a.example.org"\n'
    (tmp_path / "hunter.toml").write_text(text)
    (check,) = doctor.examine(load(str(tmp_path)), [], online=True)
    return check


@pytest.mark.parametrize(("source", "way"), [("mast", "POST"), ("s3", "GET")])
def test_online_asks_the_archive_one_small_thing(tmp_path, monkeypatch, source, way):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Archive() as archive:
        found = online(tmp_path, archive.url, source)
    assert found.status == "ok", found.note
    assert found.note.startswith("127.0.0.1:")
    assert [command for command, *_ in archive.asked] == [way]


def test_online_compares_the_clocks(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Archive(ahead=7200.0) as archive:
        found = online(tmp_path, archive.url)
    assert (found.status, "our clock is 2.0 h behind its" in found.note) == ("warn", True)


def test_online_says_why_an_archive_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Archive(status=503) as archive:
        found = online(tmp_path, archive.url)
        assert len(archive.asked) == 1
    assert found.status == "fail"
    assert found.cure
    assert online(tmp_path, archive.url).status == "fail"  # nobody is there any more


def test_online_leaves_a_host_alone_that_is_left_alone(tmp_path, record):
    until = {"open_until": time.time() + 3600, "since": 1.0, "reason": "x"}
    record.set("breaker:127.0.0.1:9", json.dumps(until))
    found = online(tmp_path, "http://127.0.0.1:9")
    assert (found.status, "was not asked" in found.note) == ("warn", True)


def test_online_has_nothing_to_ask_of_a_folder(tmp_path):
    assert online(tmp_path, "", "folder").note == "nothing to ask: the archive is a folder"
