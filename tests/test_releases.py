"""Every arrow of the release state machine, and that nothing else moves it."""

from dataclasses import replace

import pytest

from hunter.releases import NEXT, Progress, ScriptSeen, Seen, advance, listed
from state.rows import ReleaseRow

HOUR, DAY = 3600.0, 86_400.0
NOW = 1_800_000_000.0
NEW = ReleaseRow(96, "SPOC-120")


def script(lines, tag="one", sha=None):
    return ScriptSeen(lines, sha or f"hash of {lines}", f'"{tag}"', "Mon")


def polls(row, *seen, every=6 * HOUR, start=NOW):
    """The rows after each of several polls."""
    rows = []
    for number, one in enumerate(seen):
        step = advance(row, one, start + number * every)
        assert step.row.status == row.status or step.row.status in NEXT[Progress(row.status)]
        row = step.row
        rows.append(row)
    return rows


def enumerated(count=100, lines=100, files=100):
    seen = script(lines) if lines else None
    return listed(replace(NEW, status="settled", count=count), files, count, seen, NOW).row


def status(row):
    return str(row.status)


# ---- the way there


def test_nothing_seen_stays_unseen():
    rows = polls(NEW, Seen(0), Seen(0), Seen(0))
    assert [status(row) for row in rows] == ["unseen"] * 3
    assert rows[-1].polled_at == NOW + 12 * HOUR


def test_the_first_rows_are_ingesting():
    step = advance(NEW, Seen(1), NOW)
    assert status(step.row) == "ingesting"
    assert step.word == "sector 96 SPOC-120 is arriving: 1 rows counted"
    assert not step.to_list


def test_a_script_alone_is_ingesting():
    assert status(advance(NEW, Seen(0, script(100)), NOW).row) == "ingesting"


def test_a_script_that_names_what_is_counted_settles_at_once():
    step = advance(NEW, Seen(100, script(100)), NOW)
    assert status(step.row) == "settled"
    assert step.to_list
    assert "its script names the 100 files that are counted" in step.word


def test_three_equal_polls_over_a_day_settle_without_a_script():
    rows = polls(NEW, *[Seen(100)] * 6)
    assert [status(row) for row in rows] == ["ingesting"] * 4 + ["settled"] * 2


def test_equal_polls_within_a_day_do_not_settle():
    rows = polls(NEW, *[Seen(100)] * 20, every=HOUR)
    assert {status(row) for row in rows} == {"ingesting"}


def test_two_polls_a_day_apart_do_not_settle():
    assert status(polls(NEW, Seen(100), Seen(100), every=DAY)[-1]) == "ingesting"
    assert status(polls(NEW, Seen(100), Seen(100), Seen(100), every=DAY)[-1]) == "settled"


def test_a_sector_that_trickles_in_waits_from_the_last_change():
    growing = [Seen(count) for count in (10, 50, 90, 100)]
    rows = polls(NEW, *growing, *[Seen(100)] * 4)
    assert status(rows[-2]) == "ingesting"
    assert status(rows[-1]) == "settled"
    assert rows[-1].same_since == NOW + 18 * HOUR


def test_a_script_that_lags_behind_the_count_does_not_settle_until_both_stand():
    rows = polls(NEW, Seen(100, script(90)), Seen(100, script(90)), Seen(100, script(100)))
    assert [status(row) for row in rows] == ["ingesting", "ingesting", "settled"]
    rows = polls(NEW, *[Seen(100, script(90))] * 5)
    assert status(rows[-1]) == "settled"  # they never agree: what has stood for a day is what there is


def test_a_clock_that_was_ahead_does_not_hold_a_sector_up():
    row = replace(NEW, status="ingesting", count=100, same_polls=2, same_since=NOW + 365 * DAY)
    rows = polls(row, *[Seen(100)] * 5)
    assert status(rows[-1]) == "settled"


def test_a_sector_is_enumerated_when_its_files_are_listed():
    step = listed(replace(NEW, status="settled"), 100, 100, script(100), NOW, "2 rows left aside")
    assert status(step.row) == "enumerated"
    assert not step.to_list
    assert (step.row.listed, step.row.count, step.row.script_lines, step.row.enumerated_at) == (100, 100, 100, NOW)
    assert step.word == "sector 96 SPOC-120: 100 files listed; 2 rows left aside"


def test_a_settled_sector_is_to_be_listed_until_it_is():
    rows = polls(replace(NEW, status="settled", count=100), Seen(100), Seen(100, script(100)))
    assert [status(row) for row in rows] == ["settled", "settled"]


def test_a_settled_sector_that_grows_is_ingesting_again():
    row = replace(NEW, status="settled", count=100)
    assert status(advance(row, Seen(120), NOW).row) == "ingesting"
    assert status(advance(row, Seen(120, script(120)), NOW).row) == "settled"


# ---- drift


def test_the_same_again_moves_nothing():
    row = enumerated()
    rows = polls(row, *[Seen(100, script(100))] * 3, start=NOW + 7 * DAY)
    assert {status(one) for one in rows} == {"enumerated"}
    assert rows[-1].listed == row.listed


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(101, script(100)), "101 rows are counted, 100 before"),
        (Seen(100, script(101)), "its script has another content"),
        (Seen(100, script(100, sha="another")), "its script has another content"),
        (Seen(100, script(100, tag="two")), "its script was published anew"),
        (Seen(100, ScriptSeen(100, "hash of 100", None, "Tue")), "its script was published anew"),
        (Seen(100, script(100), replaced="5 of 20 files have another version"), "5 of 20 files have another version"),
    ],
)
def test_what_has_changed_drifts(seen, why):
    step = advance(enumerated(), seen, NOW + DAY)
    assert status(step.row) == "drift"
    assert step.to_list
    assert step.row.note == why
    assert step.word == f"sector 96 SPOC-120 has changed: {why}"


def test_a_drift_that_was_listed_is_enumerated_again():
    drift = advance(enumerated(), Seen(101), NOW + DAY).row
    assert status(advance(drift, Seen(101), NOW + 2 * DAY).row) == "drift"  # until it is listed
    after = listed(drift, 101, 101, script(101), NOW + DAY).row
    assert status(after) == "enumerated"
    assert status(advance(after, Seen(101, script(101)), NOW + 2 * DAY).row) == "enumerated"


def test_a_script_that_appears_after_the_listing_only_confirms_it():
    row = enumerated(lines=None)
    confirmed = advance(row, Seen(100, script(100)), NOW + DAY).row
    assert status(confirmed) == "enumerated"
    assert confirmed.script_lines == 100
    assert status(advance(row, Seen(100, script(103)), NOW + DAY).row) == "drift"


# ---- what falls is held


@pytest.mark.parametrize("row", [replace(NEW, status=one, count=100) for one in ("ingesting", "settled", "drift")])
def test_a_count_that_falls_is_held_and_said(row):
    step = advance(row, Seen(99), NOW)
    assert status(step.row) == "held"
    assert not step.to_list
    assert step.word == "sector 96 SPOC-120 is held: 100 rows counted before, now 99 rows counted"


def test_a_script_that_shrinks_is_held():
    assert status(advance(enumerated(), Seen(100, script(80)), NOW + DAY).row) == "held"


def test_an_empty_answer_is_held_for_ever_and_alerts_at_the_third_poll():
    row = enumerated()
    alerts = []
    for number in range(30):
        step = advance(row, Seen(0), NOW + number * 6 * HOUR)
        row = step.row
        alerts.append(step.alert)
        assert status(row) == "held"
    assert [number for number, alert in enumerate(alerts) if alert] == [2]
    assert row.listed == 100


def test_a_count_that_comes_back_is_listed_again_which_finds_nothing_new():
    rows = polls(enumerated(), Seen(0), Seen(100), start=NOW + DAY)
    assert [status(row) for row in rows] == ["held", "drift"]


def test_a_smaller_sector_that_stands_is_believed():
    rows = polls(enumerated(), *[Seen(90, script(90))] * 5, start=NOW + DAY)
    assert [status(row) for row in rows] == ["held"] * 4 + ["drift"]
    rows = polls(enumerated(), Seen(90), Seen(85), *[Seen(90)] * 3, start=NOW + DAY)
    assert {status(row) for row in rows} == {"held"}  # it has to stand still


def test_a_held_sector_that_was_never_listed_goes_on_arriving():
    held = advance(replace(NEW, status="ingesting", count=100), Seen(60), NOW).row
    assert status(advance(held, Seen(110), NOW + HOUR).row) == "ingesting"
    assert status(advance(held, Seen(110, script(110)), NOW + HOUR).row) == "settled"
    assert status(polls(held, *[Seen(60)] * 4, start=NOW + 6 * HOUR)[-1]) == "settled"


# ---- a failed poll is unknown


@pytest.mark.parametrize("row", [replace(NEW, status=one, count=100, same_polls=2, same_since=NOW) for one in NEXT])
def test_a_failed_poll_moves_nothing(row):
    step = advance(row, Seen(0, failed="unknown: 503"), NOW + 3 * DAY)
    assert step.row == replace(row, looked_at=NOW + 3 * DAY, failed_polls=1, note="unknown: 503")
    assert not step.word
    assert not step.alert


def test_the_third_failure_in_a_row_is_said_once():
    row, alerts = NEW, []
    for number in range(6):
        step = advance(row, Seen(failed="unknown: refused"), NOW + number)
        row = step.row
        alerts.append(step.alert)
    assert alerts == [False, False, True, False, False, False]
    assert advance(row, Seen(0), NOW + 10).row.failed_polls == 0


def test_every_arrow_leads_to_a_place_that_has_its_own():
    assert set(NEXT) == set(Progress)
    assert all(there in NEXT for places in NEXT.values() for there in places)
