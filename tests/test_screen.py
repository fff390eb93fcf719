"""What the terminal shows, from summaries whose answer is known."""

import io
import time

import pytest
from rich.console import Console

from hunter.cli.common import lasting, plural
from hunter.engine import Night
from hunter.progress import Progress
from hunter.screen import candidate_table, dashboard, life, pace, show_target
from state.reading import Reader
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
    return row | {"disposition": "candidate", "decision": None} | other


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
