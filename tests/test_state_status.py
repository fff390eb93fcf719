"""The table of moves, and the names people write."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.rows import split_name
from state.status import ANSWERED, FINISHED, NEXT, RESTING, IllegalMove, Status, check_move


def test_the_words_are_the_values():
    assert [str(status) for status in Status] == [status.name for status in Status]


def test_every_status_has_a_way_on_and_the_queue_is_reached_from_everywhere():
    assert set(NEXT) == set(Status)
    assert all(NEXT.values())
    reached = {Status.QUEUED}
    for _ in Status:
        reached |= {here for here in Status if NEXT[here] & reached}
    assert reached == set(Status)


def test_only_a_worker_ends_a_hunt():
    for here in Status:
        for there in NEXT[here]:
            assert here is Status.RUNNING or there in (Status.QUEUED, Status.RUNNING)


def test_finished_answered_and_resting_are_what_they_say():
    assert ANSWERED < FINISHED < RESTING
    assert {Status.HELD, Status.DEFERRED} == RESTING - FINISHED
    assert set(Status) - RESTING == {Status.QUEUED, Status.RUNNING}


@given(st.sampled_from(Status), st.sampled_from(Status))
def test_check_move_allows_exactly_what_the_table_holds(here, there):
    if there in NEXT[here]:
        check_move(here, there)
        return
    with pytest.raises(IllegalMove) as refused:
        check_move(here, there)
    message = str(refused.value)
    assert str(here) in message
    assert f"but not {there}" in message
    assert all(allowed in message for allowed in NEXT[here])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("TIC 261136679", ("TIC", "261136679")),
        ("TIC261136679", ("TIC", "261136679")),
        ("tic-261136679", ("TIC", "261136679")),
        ("TIC_00261136679", ("TIC", "261136679")),
        ("  261136679 ", (None, "261136679")),
        ("TIC 261136679 s0001", ("TIC", "261136679 s0001")),
        ("KIC 0", ("KIC", "0")),
        ("FILE my star", ("FILE", "my star")),
        ("file star", ("FILE", "star")),
        ("star", (None, "star")),
        ("", (None, "")),
    ],
)
def test_a_name_is_read_as_people_write_it(written, meant):
    assert split_name(written) == meant


@given(st.sampled_from(["TIC", "KIC", "EPIC"]), st.integers(0, 10**12))
def test_a_printed_name_is_read_back(kind, number):
    assert split_name(f"{kind} {number}") == (kind, str(number))


@given(st.text(max_size=40))
def test_no_name_makes_the_reader_of_names_fall(text):
    kind, key = split_name(text)
    assert kind is None or kind == kind.upper()
    assert isinstance(key, str)


def test_looking_needs_no_sqlalchemy():
    code = (
        "import sys, state.reading, state.status, state.rows, state.place; "
        "heavy = {'sqlalchemy', 'alembic', 'numpy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
