"""Figures and health: what stands in the record is what is told, on loopback only, whatever is broken."""

import http.client
import json
import os
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hunter import words
from hunter.health import Pulse, examine
from hunter.metrics import HOST, Metrics, Server, generate_latest, registry_of, write_text_file
from hunter.settings import load
from state.outbox import Outbox
from state.releases import Releases
from state.rows import Message, NewTarget, ReleaseRow
from state.status import Status
from state.store import State

NOW = 1_800_000_000.0
ROOM = 10**12


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HUNTER_")]:
        monkeypatch.delenv(name)
    return load(str(tmp_path))


@pytest.fixture
def state(settings):
    with State.open(settings.database) as opened:
        yield opened


@pytest.fixture
def server(settings):
    """A server on a free port, its clock and its disk in the test's hands."""
    clock, disk = [0.0], [ROOM]
    with Server(settings, Pulse(lambda: clock[0]), 0, lambda folder: disk[0]) as made:
        yield made, clock, disk


def get(server, path, method="GET"):
    connection = http.client.HTTPConnection(HOST, server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def samples(text):
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def figures_of(settings, **given):
    return samples(generate_latest(registry_of(settings, now=lambda: NOW, free=lambda folder: ROOM, **given)))


def test_what_stands_in_the_record_is_what_is_told(settings, state):
    state.enqueue([NewTarget("TIC", str(n), "x", remote=n > 6) for n in range(10)], NOW - 100)
    state.register_worker("w", 1, "here", "boot", NOW - 100)
    state.register_worker("c", 2, "here", "boot", NOW - 100, role="courier")
    for claim in state.claim("w", 3, NOW - 90):
        state.finish(claim, Status.QUARANTINED, "x", NOW - 80, error_class="ValueError", error="no")
    state.log("error", "x", "y", NOW - 10)
    state.log("error", "x", "y", NOW - 7200)
    for name in ("w", "c"):
        state.heartbeat(name, NOW - 1)
    Outbox(state).post([Message("a", "hook", "x", {}), Message("b", "hook", "x", {})], NOW)
    Outbox(state).failed(1, "no", None)
    Releases(state).put(ReleaseRow(96, "SPOC-120", "ingesting"), NOW)
    courier = {"source": "mast", "fetching": 2, "files": 7, "bytes": 14_000_000, "resting": "down", "until": NOW}
    state.set("courier", json.dumps(courier))
    state.set("breaker:mast.stsci.edu", json.dumps({"open_until": NOW + 60, "reason": "no answer"}))
    state.set("device", json.dumps({"name": "H200", "busy_seconds": 12.5, "batches": 3, "kills": 1}))
    state.set("last_poll_at", repr(NOW - 600))
    found = figures_of(settings)
    for name, value in {
        ("hunter_targets", "QUEUED"): 7,
        ("hunter_targets", "QUARANTINED"): 3,
        ("hunter_queue", "ready"): 4,
        ("hunter_stars_per_hour", "1h"): 3 * 3600 / 100,
        ("hunter_failures", "ValueError"): 3,
        ("hunter_events_last_hour", "error"): 1,
        ("hunter_outbox", "waiting"): 1,
        ("hunter_outbox", "dead"): 1,
        ("hunter_processes", "worker"): 1,
        ("hunter_processes", "courier"): 1,
        ("hunter_processes", "daemon"): 0,
        ("hunter_releases", "ingesting"): 1,
        ("hunter_downloaded_bytes_total",): 14_000_000,
        ("hunter_downloaded_files_total",): 7,
        ("hunter_archive_resting",): 1,
        ("hunter_breaker_open", "mast.stsci.edu"): 1,
        ("hunter_device_busy_seconds_total",): 12.5,
        ("hunter_last_poll_age_seconds",): 600,
        ("hunter_disk_free_bytes",): ROOM,
        ("hunter_database_up",): 1,
    }.items():
        assert found[name] == pytest.approx(value), name
    assert found[("hunter_wal_bytes",)] > 0


def test_without_a_record_the_figures_say_so(settings):
    found = figures_of(settings)
    assert found[("hunter_database_up",)] == 0
    assert ("hunter_targets", "QUEUED") not in found


def test_a_look_takes_no_write_lock(settings, state):
    with state.write("hold"):  # somebody writes all the while
        assert figures_of(settings)[("hunter_database_up",)] == 1
        assert examine(settings, free=lambda folder: ROOM).well


def test_healthz_is_well_and_then_says_every_reason(server, settings, state):
    made, clock, disk = server
    status, body = get(made, "/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    clock[0], disk[0] = 301.0, 10**9
    status, body = get(made, "/healthz")
    told = json.loads(body)
    assert status == 503
    assert told["reasons"] == [
        "the main loop has not turned for 301 s",
        "1.0 GB are free at the home: [health] disk_low_gb is 10",
    ]


def test_healthz_fails_without_the_database(server):
    status, body = get(server[0], "/healthz")
    assert status == 503
    assert json.loads(body)["reasons"][0].startswith("the database cannot be read: ")


def test_only_two_pages_and_only_on_loopback(server, state):
    made, *_ = server
    assert get(made, "/")[0] == 404
    assert get(made, "/metrics/../hunter.toml")[0] == 404
    assert get(made, "/metrics", "HEAD") == (200, b"")
    assert get(made, "/metrics", "POST")[0] == 501
    assert samples(get(made, "/metrics?x=1")[1])[("hunter_database_up",)] == 1
    assert made._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_logged_and_no_reason_to_end(settings, caplog):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        given = load(str(settings.home), {"metrics.port": port})
        Metrics(given).close()
    assert f"no figures on port {port}" in caplog.text


def test_the_text_file_is_whole_and_readable_by_others(settings, state, tmp_path):
    path = tmp_path / "hunter.prom"
    write_text_file(path, registry_of(settings))
    assert samples(path.read_bytes())[("hunter_database_up",)] == 1
    assert path.stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob("*.part"))


def test_a_text_file_that_cannot_be_written_is_logged(settings, state, caplog):
    given = load(str(settings.home), {"metrics.file": "/proc/nowhere/hunter.prom"})
    metrics = Metrics(given)
    metrics.write()
    metrics.close()
    assert "/proc/nowhere/hunter.prom ([metrics] file) cannot be written" in caplog.text


@pytest.mark.parametrize("text", [None, "", "no json", "[1]", '{"files": "many"}', '{"until": NaN}', '{"bytes": true}'])
def test_a_word_that_is_damaged_is_none_or_zero_and_never_an_error(text):
    table = {} if text is None else {"courier": text, "device": text, "breaker:x": text, "last_poll_at": text}
    courier, device = words.of_courier(table), words.of_device(table)
    assert courier is None or (courier.files, courier.bytes, courier.until) == (0, 0, None)
    assert device is None or device.busy_seconds == 0.0
    assert all(not breaker.is_open(NOW) for breaker in words.breakers(table))
    assert words.poll(table).at is None


def test_a_host_that_asked_for_time_is_closed_until_then():
    (one,) = words.breakers({"breaker:x": json.dumps({"open_until": None, "wait_until": NOW + 5, "since": NOW})})
    assert (one.is_open(NOW), one.is_open(NOW + 6), one.again) == (True, False, NOW + 5)


def test_the_waiting_share_counts_idle_workers_while_files_are_missing():
    meter = words.WaitingMeter()
    assert meter.look(0, 2, False, 0.0) is None
    assert meter.look(2, 2, False, 60.0) == 0.0
    assert meter.look(1, 2, True, 120.0) == pytest.approx(0.25, abs=0.01)  # one of two, in half the time
    assert meter.look(0, 2, False, 9999.0) == pytest.approx(0.25, abs=0.01)  # nothing left to hunt: no waiting
    for second in range(10_000, 40_000, 60):
        share = meter.look(2, 2, False, float(second))
    assert share == pytest.approx(0.0, abs=0.01)  # long past
