"""What the terminal shows, from summaries whose answer is known."""

import io
import json
import time

import pytest
from rich.console import Console, Group

from hunter.cli.common import lasting, plural
from hunter.engine import Night
from hunter.progress import Progress
from hunter.screen import candidate_table, dashboard, life, pace, show_target, surroundings
from state.outbox import Outbox
from state.reading import Reader
from state.releases import Releases
from state.rows import Message, ReleaseRow
from state.status import Status
from state.store import NewTarget, State

NOW = 1_800_000_000.0


@pytest.fixture
def state(tmp_path):
    with State.open(tmp_path / "hunter.sqlite") as opened:
        yield opened


def summary_of(state, now=NOW):
    with Reader(state.engine.url.database) as reader:
        return reader.summary(now)


def queue(state, number):
    targets = [
        NewTarget("TIC", str(1000 + n), inputs="a", priority=0.0, sources=("x",), star={}) for n in range(number)
    ]
    state.enqueue(targets, NOW - 100)


def work(state, number, *, since=NOW - 100, stopped=False):
    state.register_worker("w", 1, "here", "boot", since)
    claims = state.claim("w", number, NOW - 90)
    for claim in claims:
        state.finish(claim, Status.NO_SIGNAL, "nothing", NOW - 10)
    state.heartbeat("w", NOW - 1)
    if stopped:
        state.retire_worker("w", NOW - 1)


def printed(shown, width):
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(shown)
    return out.getvalue()


def test_the_pace_of_a_young_hunt_is_measured_over_its_own_age(state):
    queue(state, 30)
    work(state, 10)
    fast, steady, left = pace(summary_of(state), NOW)
    assert fast == steady == pytest.approx(10 * 3600 / 100)
    assert left == pytest.approx(20 / fast * 3600)


def test_nobody_at_work_means_no_time_to_go(state):
    queue(state, 30)
    work(state, 10, stopped=True)
    fast, _, left = pace(summary_of(state), NOW)
    assert (fast, left) == (0.0, None)


def test_a_restart_does_not_credit_a_moment_with_the_minutes_before_it():
    summary = {
        "workers": [{"role": "worker", "started_at": NOW - 5.0, "stopped_at": None, "age": 1.0}],
        "first_activity": NOW - 200.0,
        "first_recent": NOW - 200.0,
        "finished": {"last_5_minutes": 100, "last_hour": 100},
        "queue": {"queued": 0, "running": 0},
    }
    assert pace(summary, NOW)[0] == pytest.approx(1800)  # 100 in 200 seconds, not in 5


def test_an_empty_hunt_has_no_pace_and_fits_the_screen(state, tmp_path):
    summary = summary_of(state)
    assert pace(summary, NOW) == (0.0, 0.0, None)
    assert "nobody has hunted here yet" in printed(dashboard(summary, tmp_path, NOW), 80)


def test_life_tells_work_from_rest_from_death(state):
    queue(state, 3)
    work(state, 1)
    assert str(life(summary_of(state))).startswith("1 worker at it since")
    assert str(life(summary_of(state, NOW + 300))).startswith("dead since")
    assert "2 targets to go" in str(life(summary_of(state, NOW + 300)))
    state.retire_worker("w", NOW)
    assert str(life(summary_of(state, NOW + 300))).startswith("at rest since")


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_dashboard_fits_its_width_whatever_the_errors_say(state, tmp_path, width):
    queue(state, 3)
    state.register_worker("w", 1, "here", "boot", NOW - 100)
    for claim in state.claim("w", 3, NOW - 90):
        words = "Traceback\nValueError: " + "a very long [bold]sentence[/] " * 20
        state.finish(claim, Status.QUARANTINED, "x", NOW, error_class="ValueError", error=words)
        state.log("error", "quarantined", words, NOW)
    text = printed(dashboard(summary_of(state), tmp_path, NOW, width), width)
    assert "[bold]sentence[/]" in text  # what a target says is no markup
    assert max(map(len, text.splitlines())) <= width
    assert text.splitlines()[-1].rstrip().endswith("…")  # events keep to one line


def candidate(name, **other):
    row = {"name": name, "probability": 0.91, "snr": 12.34, "period": 3.5, "depth": 1e-3, "duration": 0.125}
    return row | {"disposition": "planet_candidate", "decision": None} | other


def test_a_narrow_window_loses_columns_but_never_a_name_or_a_line(tmp_path):
    rows = [candidate(f"TIC_{n}_p3.500000") for n in (261136679, 99000000001)]
    wide, narrow = (printed(candidate_table(rows, tmp_path, width, short=True), width) for width in (140, 50))
    assert "disposition" in wide
    assert "disposition" not in narrow
    for text in (wide, narrow):
        assert len(text.splitlines()) == 3
        assert all(row["name"] in text for row in rows)


def test_an_unscored_candidate_shows_a_dash_not_a_zero(tmp_path):
    assert "–" in printed(candidate_table([candidate("a", probability=None)], tmp_path, 80), 80)


def test_a_target_shows_units_and_reason(state):
    queue(state, 1)
    state.register_worker("w", 1, "here", "boot", NOW)
    (claim,) = state.claim("w", 1, NOW)
    state.finish(claim, Status.UNUSABLE, "12 cadences [of] 20", NOW, error_class="UnusableData")
    with Reader(state.engine.url.database) as reader:
        (row,) = reader.find("1000")
    out = io.StringIO()
    show_target(row | {"star": {"tmag": 9.5, "radius": None}}, Console(file=out, width=80))
    assert out.getvalue().splitlines()[1].endswith("UTC: 12 cadences [of] 20")
    assert "Tmag 9.50" in out.getvalue()
    assert "None" not in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (120, "2 min"), (7200, "2.0 h"), (3 * 86400, "3.0 d")])
def test_a_duration_is_told_in_the_unit_a_person_needs(seconds, text):
    assert lasting(seconds) == text


def test_one_target_is_no_targets():
    assert (plural(1, "target"), plural(0, "target"), plural(12000, "star")) == (
        "1 target",
        "0 targets",
        "12,000 stars",
    )


def test_off_a_terminal_progress_is_plain_lines_and_none_twice(state, capsys):
    queue(state, 4)
    summary = summary_of(state)
    with Progress(limit=2) as progress:
        progress.began = time.monotonic() - 10
        for _ in range(3):
            progress.show(Night(), summary)
        work(state, 2)
        night = Night(hunted=2)
        for _ in range(3):
            progress.show(night, summary_of(state))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["0 of 4 targets done, 0 candidates, warming up", "2 of 4 targets done, 0 candidates"]


# ------------------------------------------------------------------------------------------------ far away, for a year


def enrol(state, role, *, since=NOW - 7200, beat=NOW - 1, message=""):
    state.register_worker(role, 7, "here", "boot", since, role=role)
    state.heartbeat(role, beat, message=message)


def courier_says(state, **word):
    told = {"source": "mast", "fetching": 6, "files": 90, "bytes": 10**8, "resting": "", "until": None}
    state.set("courier", json.dumps(told | word))


def seen(state, width=200, now=NOW):
    return printed(Group(*surroundings(summary_of(state, now), now)), width).splitlines()


def test_the_daemon_is_shown_at_work_waiting_paused_and_dead(state):
    enrol(state, "daemon", message="next poll at 1800010000")
    assert str(life(summary_of(state))) == "the daemon lives since 2027-01-15 06:00:00 UTC, and waits for work"
    queue(state, 3)
    work(state, 1)
    assert str(life(summary_of(state))).endswith("with 1 worker")
    state.heartbeat("daemon", NOW - 1, message="paused: 300 MB are free")
    assert str(life(summary_of(state))) == (
        "the daemon is paused: 300 MB are free (it lives since 2027-01-15 06:00:00 UTC)"
    )
    state.log("error", "broken", "a worker can't go on:\nno more memory", NOW - 5)
    state.log("info", "night", "so", NOW - 4)
    assert str(life(summary_of(state, NOW + 11_000))) == (
        "dead since 2027-01-15 07:59:59 UTC, last error: a worker can't go on: no more memory; "
        "2 targets to go: hunter daemon goes on where it was"
    )
    state.retire_worker("w", NOW)
    state.retire_worker("daemon", NOW)
    assert str(life(summary_of(state, NOW + 11_000))).startswith("at rest since")


def test_a_dead_daemon_with_an_empty_queue_says_what_goes_on(state):
    enrol(state, "daemon")
    assert str(life(summary_of(state, NOW + 300))) == "dead since 2027-01-15 07:59:59 UTC; hunter daemon goes on"


def test_an_archive_in_a_folder_has_no_line(state):
    queue(state, 3)
    assert seen(state) == []
    enrol(state, "courier")
    courier_says(state, source="/data/sky")
    assert seen(state) == []


def test_the_archive_says_that_it_is_up_and_how_far_ahead_the_files_are(state):
    queue(state, 180)
    enrol(state, "courier")
    courier_says(state)
    assert seen(state) == ["archive mast: up · 180 targets with their files here · 6 on their way"]
    state.set("waiting", "0.031")
    assert seen(state)[0].endswith("· 3 % of the time waiting for data")


def test_the_archive_is_down_since_an_hour_and_probed_at_another(state):
    enrol(state, "courier")
    courier_says(state, resting="mast.stsci.edu is down (no answer)", until=NOW + 300)
    record = {"open_until": NOW + 300, "wait_until": None, "since": NOW - 3600, "reason": "no answer"}
    state.set("breaker:mast.stsci.edu", json.dumps(record))
    (line,) = seen(state)
    assert line.startswith(
        "archive mast: down since 07:00 (mast.stsci.edu is down (no answer)), next probe 08:05 · 0 targets"
    )
    assert ", being probed ·" in seen(state, now=NOW + 301)[0] or "nobody asks" in seen(state, now=NOW + 301)[0]


def test_a_courier_that_rests_for_the_disk_is_not_called_an_archive_that_is_down(state):
    enrol(state, "courier")
    courier_says(state, resting="the disk of /h has 4.0 GB left", until=NOW + 10)
    assert seen(state)[0].startswith("archive mast: resting (the disk of /h has 4.0 GB left)")


def test_a_host_beside_the_archive_that_is_left_alone_has_a_line_of_its_own(state):
    enrol(state, "courier")
    courier_says(state)
    record = {"open_until": NOW + 86_400, "since": NOW - 90_000, "reason": "503"}
    state.set("breaker:exofop.ipac.caltech.edu", json.dumps(record))
    assert seen(state)[1] == ("exofop.ipac.caltech.edu is left alone since 01-14 07:00 (503), next probe 01-16 08:00")


def test_with_no_courier_alive_nobody_asks_the_archive(state):
    courier_says(state)
    assert seen(state) == ["archive mast: nobody asks it just now · 0 targets with their files here"]


def test_polls_tell_what_was_said_and_when_the_next_is(state):
    enrol(state, "daemon", message=f"next poll at {NOW + 7200:.0f}")
    state.set("last_poll_at", str(NOW - 3600))
    state.set("last_poll", "3 sectors looked at, nothing new")
    assert seen(state) == ["last poll 07:00: 3 sectors looked at, nothing new · next poll 10:00 (in 2.0 h)"]
    assert seen(state, now=NOW + 7300) == ["last poll 07:00: 3 sectors looked at, nothing new"]  # nobody will


def test_releases_on_their_way_are_shown_and_else_the_newest(state):
    releases = Releases(state)
    releases.put(ReleaseRow(95, "SPOC-120", "enumerated", 20_000, listed=20_000, looked_at=NOW - 60), NOW)
    releases.put(ReleaseRow(94, "SPOC-120", "enumerated", 19_000, listed=19_000), NOW)
    releases.put(ReleaseRow(97, "SPOC-120"), NOW)
    assert seen(state) == ["sector 95 SPOC-120 enumerated, 20,000 counted, 20,000 listed, looked at 07:59"]
    releases.put(ReleaseRow(96, "SPOC-120", "ingesting", 12_000, failed_polls=2, note="no answer"), NOW)
    assert seen(state) == ["sector 96 SPOC-120 ingesting, 12,000 counted, 2 polls without an answer: no answer"]
    for sector in range(10, 16):
        releases.put(ReleaseRow(sector, "SPOC-120", "held"), NOW)
    assert seen(state)[-1] == "and 3 more releases on their way"


def test_messages_that_wait_or_were_given_up_are_shown(state):
    outbox = Outbox(state)
    outbox.post([Message(key, "hook", "x", {}) for key in "abc"], NOW)
    assert seen(state) == ["3 messages to be sent"]
    outbox.failed(1, "no", None)
    assert seen(state) == ["2 messages to be sent, 1 given up: hunter notify retry"]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_everything_at_once_fits_its_width(state, tmp_path, width):
    queue(state, 3)
    enrol(state, "daemon", message="paused: " + "no room " * 40)
    enrol(state, "courier")
    courier_says(state, resting="a very long reason " * 20, until=NOW + 5)
    state.set("breaker:x", json.dumps({"open_until": NOW + 5, "since": NOW, "reason": "no [bold]answer[/] " * 20}))
    state.set("last_poll_at", str(NOW))
    state.set("last_poll", "said " * 50)
    Releases(state).put(ReleaseRow(96, "SPOC-120", "held", 12_000, note="less than before " * 20), NOW)
    text = printed(dashboard(summary_of(state), tmp_path, NOW, width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "sector 96" in text


def test_progress_of_a_daemon_is_rare_and_says_when_the_archive_rests(state, capsys):
    queue(state, 4)
    courier_says(state, resting="mast is down")
    summary = summary_of(state)
    with Progress(every=600.0) as progress:
        progress.began = time.monotonic() - 10
        progress.last = time.monotonic() - 601
        progress.show(Night(), summary)
        summary["counts"]["CANDIDATE"] = 1
        progress.show(Night(), summary)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("warming up, archive mast is not asked just now: mast is down")
