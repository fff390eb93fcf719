"""What the record promises, on every database it runs on.

On SQLite, and on a PostgreSQL server: a private one (tests/postgres_server.py), or the one whose URL
``HUNTER_TEST_POSTGRES`` holds, on which databases may be made.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import REQUIRED, NoServer, shared_server
from sqlalchemy import Engine, Text, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from state.connecting import server_engine
from state.place import HEAD, sqlite_file
from state.reading import Reader
from state.rows import FetchedProduct
from state.schema import metadata
from state.status import (
    FINISHED,
    NEXT,
    RESTING,
    DatabaseMissing,
    DatabaseTooNew,
    DatabaseTooOld,
    IllegalMove,
    LostRace,
    StateError,
    Status,
    UnknownName,
)
from state.store import CandidateRow, End, NewTarget, PhaseRun, SharedRow, SignalRow, State
from state.survivors import Survivors

HERE = Path(__file__).parents[1]
OUTSIDE = os.environ.get("HUNTER_TEST_POSTGRES")
_numbers = itertools.count()


class SqlitePlaces:
    """Fresh databases, copied from one that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template.sqlite"
        State.open(self.template).close()

    def fresh(self, empty: bool = False) -> str:
        place = self.folder / f"{next(_numbers)}" / "hunter.sqlite"
        if not empty:
            place.parent.mkdir()
            shutil.copy(self.template, place)
        return str(place)

    def drop(self, url: str) -> None:
        shutil.rmtree(Path(url).parent, ignore_errors=True)


class PostgresPlaces:
    """The same on a server: made from a template, and wiped after a test for the next one, which is much quicker."""

    def __init__(self, server: str) -> None:
        self.address = make_url(server).set(drivername="postgresql+psycopg")
        self.admin = create_engine(self.address, isolation_level="AUTOCOMMIT")
        self.made: dict[str, Engine] = {}  # by URL
        self.spare: list[str] = []
        self.template = self._create("template", "template0")
        State.open(self.template).close()

    def _create(self, name: int | str, template: str) -> str:
        name = f"hunter_test_{os.getpid()}_{name}"
        with self.admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        url = self.address.set(database=name).render_as_string(hide_password=False)
        self.made[url] = create_engine(url, isolation_level="AUTOCOMMIT")
        return url

    def fresh(self, empty: bool = False) -> str:
        if empty:
            return self._create(next(_numbers), "template0")
        return self.spare.pop() if self.spare else self._create(next(_numbers), make_url(self.template).database)

    def drop(self, url: str) -> None:
        with self.made[url].connect() as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name AND pid <> :own"
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            connection.execute(text(others), {"name": make_url(url).database, "own": own})
            if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
                return  # it was to be empty: no other test wants it
            wipe = ["SET session_replication_role = replica"]  # a review may not be deleted otherwise
            for table in metadata.tables.values():
                wipe.append(f"DELETE FROM {table.name}")
                wipe += [f"ALTER SEQUENCE {table.name}_id_seq RESTART" for column in table.c if _is_counted(column)]
            wipe += [f"UPDATE alembic_version SET version_num = '{HEAD}'", "RESET session_replication_role"]
            connection.exec_driver_sql("; ".join(wipe))
        self.spare.append(url)

    def close(self) -> None:
        for url, engine in self.made.items():
            engine.dispose()
            if OUTSIDE:  # a private server is thrown away whole
                with self.admin.connect() as connection:
                    connection.execute(text(f"DROP DATABASE {make_url(url).database} WITH (FORCE)"))
        self.admin.dispose()


def _is_counted(column):
    return column.name == "id" and column.primary_key and not isinstance(column.type, Text)


@pytest.fixture(scope="session")
def postgresql_places(tmp_path_factory):
    """Places on one server for the whole session, however many processes it has."""
    with ExitStack() as held:
        server = OUTSIDE
        if not server:
            folder = tmp_path_factory.getbasetemp()
            if "PYTEST_XDIST_WORKER" in os.environ:
                folder = folder.parent  # the one that all of them see
            try:
                server = held.enter_context(shared_server(folder))
            except NoServer as error:
                reason = f"NO POSTGRESQL: {error}; every test of this file runs on SQLite only"
                if REQUIRED:
                    pytest.fail(reason)
                pytest.skip(reason)
        places = PostgresPlaces(server)
        held.callback(places.close)
        yield places


@pytest.fixture(scope="session")
def sqlite_places(tmp_path_factory):
    return SqlitePlaces(tmp_path_factory.mktemp("state"))


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request):
    return request.getfixturevalue(f"{request.param}_places")


@pytest.fixture
def url(places):
    place = places.fresh()
    yield place
    places.drop(place)


@pytest.fixture
def state(url):
    with State.open(url) as opened:
        yield opened


def offer(keys, inputs="first", **more):
    return [
        NewTarget("TIC", str(key), inputs, (f"/archive/{key}.fits",), {"tmag": 9.5, "teff": None}, **more)
        for key in keys
    ]


def signal(number=1, **more):
    return SignalRow(number, period=3.25, epoch=1326.5, duration=0.1, depth=0.001, snr=11.0, **more)


def candidate(key="3.25@1326.5", name="TIC_1_p3.250000", **more):
    return CandidateRow(
        key, name, period=3.25, epoch=1326.5, duration=0.1, depth=0.001, snr=11.0, probability=0.93, **more
    )


def rows(state, query, **values):
    with state.engine.connect().execution_options(reading=True) as connection:
        return [tuple(row) for row in connection.execute(text(query), values)]


def status_of(state, key):
    return rows(state, "SELECT status FROM targets WHERE key = :key", key=str(key))[0][0]


def assert_sound(state):
    """Counters equal the rows, every target is where its history says, and every step of it was allowed."""
    assert state.check() == []
    where = dict.fromkeys([row[0] for row in rows(state, "SELECT id FROM targets")], Status.QUEUED)
    finished = 0
    for target, came_from, went_to in rows(state, "SELECT target_id, came_from, went_to FROM moves ORDER BY id"):
        assert where[target] == came_from
        assert Status(went_to) in NEXT[Status(came_from)]
        where[target] = Status(went_to)
        finished += went_to in FINISHED
    assert where == {row[0]: Status(row[1]) for row in rows(state, "SELECT id, status FROM targets")}
    assert rows(state, "SELECT count(*) FROM targets WHERE (status = 'RUNNING') <> (owner IS NOT NULL)") == [(0,)]
    assert rows(state, "SELECT coalesce(sum(n), 0) FROM pace") == [(finished,)]


# ------------------------------------------------------------------------------------------- fields of candidates


def test_a_candidate_from_far_away_wants_its_field_until_it_has_that_of_its_light_curves(state):
    survivors = Survivors(state)
    state.enqueue([*offer([1], "files:one", remote=True, priority=2.0), *offer([2], "files:one", remote=True)], 1.0)
    state.enqueue(offer([3]), 1.0)  # of a folder
    state.arrived(state.claim_wanted("c", 9, 2.0), 3.0)
    for claim in state.claim("w", 9, 4.0):
        state.finish(claim, Status.CANDIDATE, "scored", 5.0, candidates=[candidate(name=f"TIC_{claim.key}")])
    assert [survivor.key for survivor in survivors.wanted(6.0, 9)] == ["1", "2"]
    first, second = survivors.wanted(6.0, 9)
    survivors.put_off(first, 100.0)
    assert [survivor.key for survivor in survivors.wanted(7.0, 9)] == ["2"]
    (again,) = [survivor for survivor in survivors.wanted(100.0, 9) if survivor.key == "1"]
    assert (again.tries, again.sources) == (1, first.sources)
    made = FetchedProduct(first.uri, "aa/list", 9, "0" * 64, retrieved_at=8.0)
    assert survivors.settled(again, "files", made, 101.0)
    assert not survivors.settled(again, "files", made, 101.0)
    assert rows(state, "SELECT status, ready FROM targets WHERE key = '1'") == [("QUEUED", True)]
    assert survivors.settled(second, "files", replace(made, uri=second.uri), 101.0, again=False)
    assert status_of(state, 2) == Status.CANDIDATE
    assert not survivors.any(1e9)
    (claim,) = state.claim("w", 9, 102.0)
    state.finish(claim, Status.CANDIDATE, "scored", 103.0, candidates=[candidate(name="TIC_1")])
    assert not survivors.any(1e9)
    # other settings want no other field, other light curves do
    state.enqueue(offer([1], "files:two", remote=True), 104.0)
    state.arrived(state.claim_wanted("c", 9, 105.0), 106.0)
    (claim,) = state.claim("w", 9, 107.0)
    state.finish(claim, Status.CANDIDATE, "scored", 108.0, candidates=[candidate(name="TIC_1")])
    assert not survivors.any(1e9)
    state.enqueue(offer([1], "more:two", remote=True), 109.0)
    state.arrived(state.claim_wanted("c", 9, 110.0), 111.0)
    (claim,) = state.claim("w", 9, 112.0)
    state.finish(claim, Status.CANDIDATE, "scored", 113.0, candidates=[candidate(name="TIC_1")])
    assert [survivor.key for survivor in survivors.wanted(114.0, 9)] == ["1"]
    assert_sound(state)


# ---------------------------------------------------------------------------------------------------- the queue


def test_a_target_is_added_once_and_queued_again_only_when_its_files_change(state):
    assert state.enqueue(offer(range(5)), 100.0).added == 5
    report = state.enqueue(offer(range(5)), 101.0)
    assert (report.added, report.requeued, report.unchanged) == (0, 0, 5)
    resting, held, running = state.claim("w", 3, 102.0)
    assert state.finish(resting, Status.NO_SIGNAL, "nothing over 7.1", 103.0)
    assert state.finish(held, Status.HELD, "no model", 103.0)

    report = state.enqueue(offer(range(6), inputs="second", priority=2.0), 104.0)

    assert (report.added, report.requeued, report.unchanged, report.refreshed, report.running) == (1, 2, 0, 2, 1)
    assert status_of(state, running.key) == "RUNNING"
    last = rows(
        state, "SELECT came_from, because FROM moves WHERE target_id = :id ORDER BY id DESC LIMIT 1", id=held.id
    )
    assert last == [("HELD", "its files or settings changed")]
    assert_sound(state)


def test_new_inputs_sources_and_star_reach_the_next_claim(state):
    state.enqueue(offer([1]), 1.0)
    state.finish(
        state.claim("w", 1, 2.0)[0], Status.UNUSABLE, "too few cadences", 3.0, error_class="unusable", error="x"
    )
    state.enqueue([NewTarget("TIC", "1", "other", ("a", "b"), {"tmag": 8.0}, 1.0, sector=3)], 4.0)
    (claim,) = state.claim("w", 1, 5.0)
    assert (claim.inputs, claim.sources, claim.star, claim.sector) == ("other", ("a", "b"), {"tmag": 8.0}, 3)
    assert claim.name == "TIC 1"
    assert rows(state, "SELECT error_class, error FROM targets") == [(None, None)]


def test_one_offered_twice_in_a_row_is_added_once(state):
    assert state.enqueue(offer([7, 7, 7]), 1.0).added == 1
    assert state.enqueue([], 1.0).added == 0


def test_the_same_key_in_another_catalogue_is_another_target(state):
    state.enqueue([NewTarget("TIC", "1", "x"), NewTarget("KIC", "1", "x")], 1.0)
    assert sorted(claim.name for claim in state.claim("w", 9, 2.0)) == ["KIC 1", "TIC 1"]


def test_claims_go_by_priority_then_age_and_write_their_history(state):
    state.enqueue([NewTarget("TIC", str(key), "x", priority=key % 3) for key in range(9)], 1.0)
    first, second = state.claim("w", 4, 2.0), state.claim("w", 99, 3.0)
    assert [claim.key for claim in first] == ["2", "5", "8", "1"]
    assert [claim.key for claim in second] == ["4", "7", "0", "3", "6"]
    assert state.claim("w", 1, 4.0) == []
    assert {(claim.token, claim.attempts, claim.phase) for claim in first + second} == {(1, 1, "")}
    assert rows(state, "SELECT because, count(*) FROM moves GROUP BY because") == [("claimed by w", 9)]
    assert_sound(state)


CLAIMER = """
import json, sys
from state.store import NewTarget, State
url, worker = sys.argv[1:]
with State.open(url, synchronous="NORMAL") as state:
    added = state.enqueue([NewTarget("TIC", str(key), "x") for key in range(2000)], 1.0).added
    taken = []
    while claims := state.claim(worker, 16, 2.0):
        taken += [claim.id for claim in claims]
print(json.dumps([added, taken]))
"""


def test_four_processes_create_fill_and_empty_one_queue_without_a_double(places):
    import json

    url = places.fresh(empty=True)
    try:
        workers = [
            subprocess.Popen([sys.executable, "-c", CLAIMER, url, f"w{n}"], stdout=subprocess.PIPE, cwd=HERE)
            for n in range(4)
        ]
        answers = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
        assert sum(added for added, _ in answers) == 2000
        taken = Counter(itertools.chain.from_iterable(taken for _, taken in answers))
        assert len(taken) == 2000
        assert set(taken.values()) == {1}
        with State.open(url) as state:
            assert_sound(state)
    finally:
        places.drop(url)


# ---------------------------------------------------------------------------------------------------- the fence


def test_what_was_taken_back_is_fenced_off_from_its_old_worker(state):
    state.register_worker("slow", 11, "host", "boot", 0.0)
    state.register_worker("quick", 12, "host", "boot", 0.0)
    state.enqueue(offer(range(3)), 0.0)
    mine = state.claim("slow", 3, 1.0)
    state.heartbeat("quick", 100.0)
    assert len(state.reclaim(100.0, 30.0, "host", "boot", dead=lambda pid: False)) == 3
    theirs = state.claim("quick", 3, 101.0)
    assert len(theirs) == 1  # a suspect is hunted alone
    taken = next(claim for claim in mine if claim.id == theirs[0].id)
    called = []

    def refused(claim):
        assert state.record([PhaseRun(claim.id, "clean", 0, "d")], {claim.id: claim.token}, 102.0) == {claim.id}
        assert not state.finish(
            claim, Status.CANDIDATE, "late", 102.0, candidates=[candidate()], install=lambda: called.append(1)
        )
        assert state.release([claim], 102.0) == 0

    refused(taken)  # while the other has it
    assert state.finish(theirs[0], Status.NO_SIGNAL, "in time", 103.0)
    for claim in mine:
        refused(claim)  # finished by the other, or queued again
    assert called == []
    assert rows(state, "SELECT count(*) FROM phase_runs") == [(0,)]
    assert rows(state, "SELECT count(*) FROM candidates") == [(0,)]
    assert status_of(state, taken.key) == "NO_SIGNAL"
    assert_sound(state)


def test_a_batch_loses_only_what_was_lost(state):
    state.enqueue(offer(range(4)), 0.0)
    claims = state.claim("w", 4, 1.0)
    state.move("TIC", claims[0].key, Status.RUNNING, Status.QUEUED, "by hand", 2.0)
    runs = [PhaseRun(claim.id, phase, 0, "d", seconds=0.5) for phase in ("fetch", "clean") for claim in claims]
    assert state.record(runs, {claim.id: claim.token for claim in claims}, 3.0) == {claims[0].id}
    recorded = state.phase_runs([claim.id for claim in claims])
    assert [len(recorded[claim.id]) for claim in claims] == [0, 2, 2, 2]
    assert sorted(rows(state, "SELECT phase, count(*) FROM targets GROUP BY phase")) == [("", 1), ("clean", 3)]


def test_a_phase_without_its_fence_is_refused(state):
    with pytest.raises(StateError, match="without their tokens"):
        state.record([PhaseRun(1, "clean", 0, "d")], {}, 1.0)


def test_a_phase_that_ran_again_replaces_its_row_and_is_counted_once(state):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)
    for digest in ("old", "new"):
        runs = [PhaseRun(claim.id, "clean", 0, digest), *(PhaseRun(claim.id, "fold", n, digest) for n in (1, 2, 3))]
        state.record(runs, {claim.id: claim.token}, 2.0)
    found = state.phase_runs([claim.id, 999])
    assert found[999] == []
    assert [(run.phase, run.item, run.digest) for run in found[claim.id]] == [
        ("clean", 0, "new"), ("fold", 1, "new"), ("fold", 2, "new"), ("fold", 3, "new"),
    ]  # fmt: skip
    assert sorted(rows(state, "SELECT name, sum(n) FROM counts WHERE what = 'phase' GROUP BY name")) == [
        ("clean", 1), ("fold", 1),
    ]  # fmt: skip
    assert_sound(state)


# ---------------------------------------------------------------------------------------------------- deaths


def test_a_dead_neighbour_is_believed_at_once_and_a_silent_stranger_after_its_lease(state):
    state.enqueue(offer(range(4)), 0.0)
    for worker, host, boot in (
        ("dead", "here", "b"),
        ("old", "here", "a"),
        ("far", "there", "b"),
        ("live", "here", "b"),
    ):
        state.register_worker(worker, len(worker), host, boot, 10.0)
        assert len(state.claim(worker, 1, 10.0)) == 1

    def dead(pid):
        assert pid == len("dead")  # "live" too is asked for; nobody of another host or boot is
        return asked.append(pid) is None and len(asked) == 1

    asked: list[int] = []
    assert [what for _, what in state.reclaim(20.0, 30.0, "here", "b", dead)] == [
        "QUEUED: its worker dead (process 4) died"
    ]
    state.heartbeat("live", 40.0)
    state.heartbeat("far", 40.0)
    taken = state.reclaim(45.0, 30.0, "here", "b", lambda pid: False)
    assert [what for _, what in taken] == ["QUEUED: its worker old was silent for 35 s"]
    assert_sound(state)


def test_claims_of_unknown_and_of_retired_workers_are_taken_back(state):
    state.enqueue(offer(range(2)), 0.0)
    state.claim("ghost", 1, 1.0)
    state.register_worker("gone", 1, "h", "b", 1.0)
    state.claim("gone", 1, 1.0)
    state.retire_worker("gone", 2.0, "done for today")
    assert len(state.reclaim(3.0, 30.0, "h", "b", lambda pid: False)) == 2
    assert state.reclaim(3.0, 30.0, "h", "b", lambda pid: False) == []
    assert not state.heartbeat("ghost", 4.0)


def test_a_target_that_kills_its_worker_is_found_out_alone_and_quarantined(state):
    state.enqueue(offer(range(3)), 0.0)
    poison = None
    for death in range(30):
        claims = state.claim(f"w{death}", 3, float(death))
        if not claims:
            break
        if poison is None:
            poison = claims[1].id
            assert len(claims) == 3
        else:
            assert len(claims) == 1
        for claim in claims:
            if claim.id == poison:
                state.reclaim(float(death), 30.0, "h", "b", lambda pid: True, max_deaths=4)
                break
            if len(claims) == 1:
                state.finish(claim, Status.NO_SIGNAL, "quiet", float(death))
    statuses = rows(state, "SELECT id, status, attempts, error FROM targets WHERE status <> 'NO_SIGNAL'")
    assert [row[:3] for row in statuses] == [(poison, "QUARANTINED", 4)]
    assert statuses[0][3].startswith("its worker died 4 times in its first phase")
    assert_sound(state)


def test_progress_clears_suspicion_and_the_count_of_deaths(state):
    state.enqueue(offer(range(2)), 0.0)
    state.claim("a", 2, 1.0)
    state.reclaim(2.0, 30.0, "h", "b", lambda pid: True)
    (alone,) = state.claim("b", 2, 3.0)
    assert (alone.suspect, alone.attempts) == (True, 2)
    state.record([PhaseRun(alone.id, "search", 0, "d")], {alone.id: alone.token}, 4.0)
    assert rows(state, "SELECT suspect, attempts FROM targets WHERE id = :id", id=alone.id) in ([(0, 0)], [(False, 0)])
    assert state.release([alone], 5.0) == 1
    assert rows(state, "SELECT attempts FROM targets WHERE id = :id", id=alone.id) == [(0,)]


def test_what_is_given_back_has_burned_no_attempt(state):
    state.enqueue(offer(range(2)), 0.0)
    claims = state.claim("w", 2, 1.0)
    assert state.release(claims, 2.0) == 2
    assert state.release(claims, 2.0) == 0
    again = state.claim("w", 2, 3.0)
    assert {(claim.attempts, claim.token, claim.suspect) for claim in again} == {(1, 2, False)}
    assert_sound(state)


def test_a_clock_that_is_set_back_neither_stops_nor_kills_anything(state):
    state.enqueue(offer(range(3)), 86_400.0 * 3)
    state.register_worker("w", 1, "far", "b", 86_400.0 * 3)
    first, second, third = state.claim("w", 3, 86_400.0 * 3)
    earlier = 86_400.0 * 2
    state.heartbeat("w", earlier)
    assert state.reclaim(earlier + 5, 30.0, "here", "b", lambda pid: False) == []
    assert state.record([PhaseRun(first.id, "clean", 0, "d", at=earlier)], {first.id: first.token}, earlier) == set()
    assert state.finish(first, Status.NO_SIGNAL, "quiet", earlier)
    assert state.finish(second, Status.DEFERRED, "503", earlier, next_at=earlier + 60)
    assert state.due(earlier + 59) == 0
    assert state.due(earlier + 61) == 1
    # a worker that beat before the clock was set back, and never since, is dead however long that will take
    state.heartbeat("w", 86_400.0 * 3)
    assert [name for name, _ in state.reclaim(earlier + 90, 30.0, "here", "b", lambda pid: False)] == [third.name]
    history = rows(state, "SELECT went_to FROM moves WHERE target_id = :id ORDER BY id", id=first.id)
    assert history == [("RUNNING",), ("NO_SIGNAL",)]
    assert_sound(state)


def test_a_clock_that_is_set_ahead_costs_the_living_their_claims_once_and_nothing_twice(state):
    state.enqueue(offer(range(2)), 0.0)
    state.register_worker("w", 1, "far", "b", 0.0)
    first, second = state.claim("w", 2, 0.0)
    later = 86_400.0
    assert len(state.reclaim(later, 30.0, "here", "b", lambda pid: False)) == 2  # nothing tells a leap from a silence
    assert not state.finish(first, Status.NO_SIGNAL, "quiet", later + 1)  # it lives, and finds itself fenced off
    assert state.heartbeat("w", later + 1)
    (again,) = state.claim("w", 2, later + 1)
    assert state.reclaim(later + 20, 30.0, "here", "b", lambda pid: False) == []  # it beats by the new clock
    assert state.finish(again, Status.NO_SIGNAL, "quiet", later + 21)
    (last,) = state.claim("w", 2, later + 22)
    assert {again.id, last.id} == {first.id, second.id}
    assert state.finish(last, Status.NO_SIGNAL, "quiet", later + 23)
    assert rows(state, "SELECT count(*) FROM moves WHERE went_to = 'NO_SIGNAL'") == [(2,)]
    assert_sound(state)


# ---------------------------------------------------------------------------------------------------- outcomes


def test_an_outcome_its_signals_its_candidates_and_its_files_come_together(state, url):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)
    installed = []
    assert state.finish(
        claim,
        Status.CANDIDATE,
        "0.93 is over 0.85",
        2.0,
        signals=[signal(1, sde=9.0), signal(2, alias_of=1)],
        candidates=[candidate(json_file="a.json", json_sha256="ab")],
        model="sha",
        best_period=3.25,
        best_snr=11.0,
        install=lambda: installed.append(rows_elsewhere(url)),
    )
    assert installed == [0]  # nobody else saw the candidate before its files were in place
    with Reader(url) as reader:
        found = reader.target("TIC", "1")
    assert [row["number"] for row in found["signals"]] == [1, 2]
    assert found["candidates"][0]["json_sha256"] == "ab"
    assert (found["model"], found["best_period"], found["star"]["teff"]) == ("sha", 3.25, None)
    assert_sound(state)


def test_many_ends_are_one_transaction_and_only_what_was_lost_is_left_out(state, url):
    state.enqueue(offer(range(5)), 0.0)
    first = state.claim("w", 5, 1.0)
    for claim in first[:2]:  # found something before
        one = candidate(name=f"TIC_{claim.key}_p3.250000")
        state.finish(claim, Status.CANDIDATE, "x", 1.0, signals=[signal()], candidates=[one])
    state.requeue("again", 2.0, outcomes=[Status.CANDIDATE])
    claims = [*state.claim("w", 5, 3.0), *first[2:]]
    lost = claims[4]
    state.move("TIC", lost.key, Status.RUNNING, Status.QUEUED, "by hand", 4.0)
    ends = [
        End(claims[0], Status.NO_SIGNAL, "quiet", best_snr=5.0),
        End(claims[1], Status.CLEARED, "scored low", signals=(signal(1), signal(2)), model="m"),
        End(claims[2], Status.QUARANTINED, "bug", error_class="ValueError", error="traceback"),
        End(claims[3], Status.DEFERRED, "503", next_at=9.0),
        End(lost, Status.NO_SIGNAL, "late"),
    ]
    assert state.finish_all(ends, 5.0) == {lost.id}
    told = rows(state, "SELECT status, best_snr, error_class, next_at FROM targets ORDER BY id")
    assert told == [
        ("NO_SIGNAL", 5.0, None, None),
        ("CLEARED", None, None, None),
        ("QUARANTINED", None, "ValueError", None),
        ("DEFERRED", None, None, 9.0),
        ("QUEUED", None, None, None),
    ]
    assert rows(state, "SELECT target_id, number FROM signals ORDER BY 1, 2") == [(claims[1].id, 1), (claims[1].id, 2)]
    assert rows(state, "SELECT count(*) FROM candidates") == [(0,)]
    assert rows(state, "SELECT count(*) FROM events WHERE text LIKE '%not found again%'") == [(2,)]
    assert rows(state, "SELECT count(*) FROM moves WHERE at = 5.0 AND came_from = 'RUNNING'") == [(4,)]
    assert_sound(state)


def test_many_ends_are_undone_by_the_one_that_cannot_be_recorded(state):
    state.enqueue(offer([1, 2]), 0.0)
    first, second = state.claim("w", 2, 1.0)
    bad = signal(1, findings=({"value": float("nan")},))  # no JSON
    with pytest.raises(ValueError, match="JSON"):
        state.finish_all([End(first, Status.NO_SIGNAL, "quiet"), End(second, Status.CLEARED, "x", signals=(bad,))], 2.0)
    assert rows(state, "SELECT count(*) FROM targets WHERE status = 'RUNNING'") == [(2,)]
    assert rows(state, "SELECT count(*) FROM moves WHERE came_from = 'RUNNING'") == [(0,)]
    assert_sound(state)


def rows_elsewhere(url):
    with Reader(url) as reader:
        return len(reader.candidate_names())


def test_files_that_cannot_be_installed_undo_the_whole_outcome(state):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)

    def install():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        state.finish(claim, Status.CANDIDATE, "x", 2.0, signals=[signal()], candidates=[candidate()], install=install)
    assert status_of(state, 1) == "RUNNING"
    assert rows(state, "SELECT count(*) FROM signals") == [(0,)]
    assert_sound(state)
    assert state.finish(claim, Status.CANDIDATE, "x", 3.0, signals=[signal()], candidates=[candidate()])
    assert_sound(state)


def test_reviews_outlive_a_new_hunt_and_a_candidate_that_is_gone(state, url):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)
    two = [candidate(), candidate("8.1@1327", "TIC_1_p8.100000")]
    state.finish(claim, Status.CANDIDATE, "x", 2.0, candidates=two)
    for name in ("TIC_1_p3.250000", "TIC_1_p8.100000"):
        state.review(name, "planet", "clean and flat-bottomed", "Ada", 3.0)
    state.review("TIC_1_p3.250000", "binary", "depths alternate", "Bo", 4.0)

    state.requeue("look again", 5.0, names=["TIC 1"])
    (claim,) = state.claim("w", 1, 6.0)
    state.finish(claim, Status.CANDIDATE, "x", 7.0, candidates=[candidate(name="TIC_1_p3.250001")])

    with Reader(url) as reader:
        (left,) = reader.candidates()
        assert (left["name"], left["decision"], left["reviewer"]) == ("TIC_1_p3.250001", "binary", "Bo")
        found = reader.find("TIC_1_p3.250001")[0]
        assert [review["decision"] for review in found["reviews"]] == ["planet", "planet", "binary"]
        assert [event["text"][:34] for event in reader.events()] == ["TIC_1_p8.100000 was not found agai"]
    with pytest.raises(UnknownName):
        state.review("TIC_1_p8.100000", "planet", "", "Ada", 8.0)


@pytest.mark.parametrize("outcome", [Status.DEFERRED, Status.QUARANTINED, Status.UNUSABLE, Status.NO_DATA, Status.HELD])
def test_an_outcome_that_says_nothing_of_the_sky_deletes_no_candidate(state, outcome):
    state.enqueue(offer([1]), 0.0)
    state.finish(
        state.claim("w", 1, 1.0)[0],
        Status.CANDIDATE,
        "x",
        2.0,
        signals=[signal()],
        candidates=[candidate()],
        model="m",
        best_snr=11.0,
    )
    state.requeue("again", 3.0, names=["1"])
    state.finish(state.claim("w", 1, 4.0)[0], outcome, "y", 5.0)
    assert rows(state, "SELECT count(*) FROM candidates") == [(1,)]
    assert rows(state, "SELECT count(*) FROM signals") == [(0 if outcome is Status.HELD else 1,)]


def test_reviews_cannot_be_changed_or_deleted(state):
    state.enqueue(offer([1]), 0.0)
    state.finish(state.claim("w", 1, 1.0)[0], Status.CANDIDATE, "x", 2.0, candidates=[candidate()])
    state.review("TIC_1_p3.250000", "planet", "because", "Ada", 3.0)
    for statement in ("UPDATE reviews SET decision = 'binary'", "DELETE FROM reviews"):
        with pytest.raises(DBAPIError, match="append-only"), state.engine.begin() as connection:
            connection.execute(text(statement))
    assert rows(state, "SELECT decision FROM reviews") == [("planet",)]


def test_an_archive_that_is_away_costs_no_attempt_and_is_counted_for_the_back_off(state):
    state.enqueue(offer([1]), 0.0)
    for time in (0.0, 100.0, 200.0):
        (claim,) = state.claim("w", 1, time)
        assert (claim.attempts, claim.deferrals) == (1, time / 100)
        state.finish(claim, Status.DEFERRED, "503", time + 1, error_class="network", error="503", next_at=time + 50)
        assert state.due(time + 49) == 0
        assert state.due(time + 50) == 1
    (claim,) = state.claim("w", 1, 300.0)
    state.record([PhaseRun(claim.id, "fetch", 0, "d")], {claim.id: claim.token}, 301.0)
    state.release([claim], 302.0)
    assert state.claim("w", 1, 303.0)[0].deferrals == 0
    assert_sound(state)


def test_a_claim_does_not_end_in_the_queue_or_in_itself(state):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)
    for outcome in (Status.QUEUED, Status.RUNNING):
        with pytest.raises(IllegalMove):
            state.finish(claim, outcome, "x", 2.0)
    assert status_of(state, 1) == "RUNNING"


def test_a_name_taken_by_another_target_is_refused_whole(state):
    state.enqueue(offer([1, 2]), 0.0)
    first, second = state.claim("w", 2, 1.0)
    state.finish(first, Status.CANDIDATE, "x", 2.0, candidates=[candidate()])
    installed = []
    with pytest.raises(DBAPIError):
        state.finish(second, Status.CANDIDATE, "x", 2.0, candidates=[candidate()], install=lambda: installed.append(1))
    assert installed == []
    assert status_of(state, second.key) == "RUNNING"


def test_text_that_no_database_takes_is_kept_readable(state):
    state.enqueue(offer([1]), 0.0)
    (claim,) = state.claim("w", 1, 1.0)
    assert state.finish(claim, Status.QUARANTINED, "nul \0", 2.0, error_class="bug", error="file \udcff.fits: \0")
    assert rows(state, "SELECT error FROM targets") == [("file \\udcff.fits: \\0",)]


# ---------------------------------------------------------------------------------------------------- moves


def test_a_move_by_hand_is_checked_raced_and_remembered(state):
    state.enqueue(offer([1]), 0.0)
    with pytest.raises(IllegalMove):
        state.move("TIC", "1", Status.QUEUED, Status.CANDIDATE, "wish", 1.0)
    with pytest.raises(LostRace, match="TIC 1 is QUEUED, no longer QUARANTINED"):
        state.move("TIC", "1", Status.QUARANTINED, Status.QUEUED, "retry", 1.0)
    with pytest.raises(UnknownName):
        state.move("TIC", "2", Status.QUARANTINED, Status.QUEUED, "retry", 1.0)
    assert rows(state, "SELECT count(*) FROM moves") == [(0,)]
    state.finish(state.claim("w", 1, 2.0)[0], Status.QUARANTINED, "bug", 3.0, error_class="bug", error="traceback")
    state.move("TIC", "1", Status.QUARANTINED, Status.QUEUED, "mended", 4.0)
    assert rows(state, "SELECT because, token FROM moves ORDER BY id DESC LIMIT 1") == [("mended", 1)]
    assert rows(state, "SELECT error_class FROM targets") == [(None,)]
    assert_sound(state)


def test_requeue_takes_what_meets_every_condition_and_nothing_without_one(state):
    state.enqueue(offer(range(6)), 0.0)
    claims = state.claim("w", 6, 1.0)
    for claim, error_class in zip(claims[:5], ("bug", "bug", "compute", None, None), strict=True):
        outcome = Status.QUARANTINED if error_class else Status.NO_SIGNAL
        state.finish(claim, outcome, "x", 2.0, error_class=error_class, error=error_class)
    with pytest.raises(StateError, match="say which"):
        state.requeue("all", 3.0)
    with pytest.raises(IllegalMove):
        state.requeue("x", 3.0, outcomes=[Status.RUNNING])
    with pytest.raises(UnknownName):
        state.requeue("x", 3.0, names=["TIC 99"])
    assert state.requeue("x", 3.0, names=[claims[5].name]) == 0  # in a worker's hands
    assert state.requeue("x", 3.0, error_class="bug", names=[claims[0].name, claims[2].name]) == 1
    assert state.requeue("x", 3.0, outcomes=[Status.QUARANTINED]) == 2
    assert state.requeue("x", 3.0, outcomes=[Status.NO_SIGNAL, Status.CLEARED]) == 2
    assert_sound(state)


def test_a_new_model_calls_back_what_waited_for_one_and_what_another_has_scored(state):
    state.enqueue(offer(range(5)), 0.0)
    outcomes = [
        (Status.HELD, None),
        (Status.CANDIDATE, "old"),
        (Status.CLEARED, "new"),
        (Status.CLEARED, "old"),
        (Status.NO_SIGNAL, None),
    ]
    for claim, (outcome, model) in zip(state.claim("w", 5, 1.0), outcomes, strict=True):
        state.finish(claim, outcome, "x", 2.0, model=model)
    assert state.requeue_for_model("new", 3.0) == 3
    assert state.requeue_for_model("new", 3.0) == 0
    assert sorted(status for (status,) in rows(state, "SELECT status FROM targets")) == [
        "CLEARED", "NO_SIGNAL", "QUEUED", "QUEUED", "QUEUED",
    ]  # fmt: skip
    assert_sound(state)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "offer",
                "change",
                "claim",
                "claim",
                "record",
                "finish",
                "finish",
                "finish",
                "release",
                "die",
                "requeue",
                "due",
                "model",
                "move",
                "fold",
            ]
        ),
        st.integers(0, 60),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_after_any_sequence_of_operations_counters_and_history_are_exact(places, operations):
    with fresh_state(places) as state:
        now, held = 1000.0, []
        for operation, number in operations:
            now += number - 20  # the clock goes back as well
            if operation == "offer":
                state.enqueue(offer(range(number % 9)), now)
            elif operation == "change":
                state.enqueue(offer(range(number % 9), inputs=str(number)), now)
            elif operation == "claim":
                held += state.claim(f"w{number % 2}", 1 + number % 4, now)
            elif operation == "record" and held:
                claim = held[number % len(held)]
                runs = [PhaseRun(claim.id, f"phase{number % 3}", number % 4, str(number))]
                state.record(runs, {claim.id: claim.token}, now)
            elif operation == "finish" and held:
                claim = held.pop(number % len(held))
                outcome = sorted(RESTING)[number % len(RESTING)]
                found = [candidate(str(number % 2), f"{claim.key}_{number % 2}")] if outcome is Status.CANDIDATE else []
                error = f"class{number % 2}" if outcome in (Status.QUARANTINED, Status.DEFERRED) else None
                state.finish(
                    claim, outcome, "x", now, candidates=found, signals=[signal()] * bool(found), model=str(number % 2),
                    error_class=error, next_at=now + number,
                )  # fmt: skip
            elif operation == "release" and held:
                state.release(held[number % len(held) :], now)
            elif operation == "die":
                state.register_worker(f"w{number % 2}", number, "h", "b", now)
                state.reclaim(now, 30.0, "h", "b", lambda pid: pid % 2 == 0, max_deaths=2)
            elif operation == "requeue":
                state.requeue("x", now, outcomes=[sorted(RESTING)[number % len(RESTING)]])
            elif operation == "due":
                state.due(now)
            elif operation == "model":
                state.requeue_for_model(str(number % 2), now)
            elif operation == "move" and held:
                with contextless(LostRace):
                    state.move("TIC", held[0].key, Status.RUNNING, Status.UNUSABLE, "x", now)
            elif operation == "fold":
                state.checkpoint()
        assert_sound(state)


@contextmanager
def contextless(allowed):
    """The target may have moved on by itself: that is an answer too."""
    try:
        yield
    except allowed:
        return


@contextmanager
def fresh_state(places):
    if isinstance(places, SqlitePlaces):
        with tempfile.TemporaryDirectory(dir=places.folder) as folder:
            shutil.copy(places.template, Path(folder) / "hunter.sqlite")
            with State.open(Path(folder) / "hunter.sqlite", synchronous="NORMAL") as state:
                yield state
        return
    url = places.fresh()
    try:
        with State.open(url) as state:
            yield state
    finally:
        places.drop(url)


# ---------------------------------------------------------------------------------------------------- words


def test_words_events_and_workers_are_kept(state, url):
    state.set("paused", "disk full")
    state.set("paused", "by hand")
    assert state.get("paused") == "by hand"
    for number in range(10):
        state.log("info", "poll", f"event {number}", float(number))
    assert state.prune_events(3) == 7
    assert state.prune_events(3) == 0
    state.register_worker("w", 42, "host", "boot", 5.0)
    assert state.heartbeat("w", 6.0, "running", "12 of 20")
    with Reader(url) as reader:
        assert reader.get("paused") == "by hand"
        assert [event["text"] for event in reader.events()] == ["event 9", "event 8", "event 7"]
        (worker,) = reader.summary(16.0)["workers"]
        assert (worker["age"], worker["message"], worker["stopped_at"]) == (10.0, "12 of 20", None)
    state.set("paused", None)
    assert state.get("paused") is None


def test_the_clock_of_the_record_is_a_clock(state):
    import time

    before = state.now()
    assert abs(before - time.time()) < 60
    assert state.now() >= before - 0.01


def test_a_count_that_was_tampered_with_is_noticed(state):
    state.enqueue(offer(range(3)), 0.0)
    with state.engine.begin() as connection:
        connection.execute(text("UPDATE counts SET n = n + 1"))
    assert state.check() == ["the counter says 4 for status QUEUED, the rows say 3"]


def test_what_stars_have_in_common_is_replaced_where_it_differs_and_only_there(state, url):
    state.enqueue(offer([1, 2]), 0.0)
    claims = state.claim("w", 2, 1.0)
    one, two = (claim.id for claim in claims)
    seen = [(5, 1, 3), (6, 2, 4)]
    for claim in claims:
        signals = [signal(1, detectors=seen), signal(2, alias_of=1, detectors=seen), signal(3)]
        state.finish(claim, Status.CANDIDATE, "x", 2.0, signals=signals, candidates=[candidate(name=f"c{claim.id}_p1")])
    with Reader(url) as reader:
        rows_seen = list(reader.seen_signals())  # no harmonics, none whose detectors are unknown
        assert [(row["target_id"], row["number"], row["detectors"]) for row in rows_seen] == [
            (one, 1, "[[5, 1, 3], [6, 2, 4]]"), (two, 1, "[[5, 1, 3], [6, 2, 4]]"),
        ]  # fmt: skip
        assert reader.last_move() == max(row[0] for row in rows(state, "SELECT id FROM moves"))

    def said(target, words, **more):
        return SharedRow(target, 1, "ephemeris", 3.25, 1326.5, 2, "TIC 1", 0.001, words, **more)

    assert state.share([said(one, "the deepest"), said(two, "theirs")], 10.0) == (2, 0)
    assert state.share([said(two, "theirs"), said(one, "the deepest")], 11.0) == (0, 0)
    assert state.share([said(one, "another")], 12.0) == (1, 1)
    with Reader(url) as reader:
        told = reader.target("TIC", "1")["signals"]
        assert [[item["words"] for item in row["shared"]] for row in told] == [["another"], [], []]
        assert [row["shared"] for row in reader.candidates()] == ["another", None]
    assert state.share([], 13.0) == (0, 1)
    assert_sound(state)


# ---------------------------------------------------------------------------------------------------- the reader


@pytest.fixture
def hunted(state):
    """Ten targets of known fate."""
    state.enqueue([NewTarget("TIC", str(100 + key), "x", ("a.fits",), {"tmag": 9.0}) for key in range(9)], 1000.0)
    state.enqueue(
        [NewTarget("KIC", "100", "x"), NewTarget("TIC", "5 s0001", "x"), NewTarget("TIC", "5 s0002", "x")], 1000.0
    )
    claims = {claim.name: claim for claim in state.claim("w", 8, 2000.0)}
    runs = [
        PhaseRun(claim.id, phase, item, "d", seconds=seconds, at=2001.0)
        for claim in claims.values()
        for phase, item, seconds in (("clean", 0, 0.5), ("fold", 1, 0.25), ("fold", 2, 0.25))
    ]
    state.record(runs, {claim.id: claim.token for claim in claims.values()}, 2001.0)
    for key, probability, snr in ((100, 0.9, 8.0), (101, 0.95, 30.0), (102, 0.4, 12.0)):
        found = CandidateRow(
            "k", f"TIC_{key}_p1.000000", 1.0, 2.0, 0.1, 0.01, snr, probability=probability, published_at=float(key)
        )
        state.finish(claims[f"TIC {key}"], Status.CANDIDATE, "x", 5000.0 + key, candidates=[found], best_period=1.0)
    state.finish(claims["TIC 103"], Status.NO_SIGNAL, "x", 9000.0)
    state.finish(claims["TIC 104"], Status.QUARANTINED, "x", 9100.0, error_class="bug", error="Traceback: one")
    state.finish(claims["TIC 105"], Status.QUARANTINED, "x", 9100.0, error_class="bug", error="Traceback: two")
    state.finish(claims["TIC 106"], Status.DEFERRED, "x", 9100.0, error_class="network", error="503", next_at=9999.0)
    state.review("TIC_101_p1.000000", "planet", "because", "Ada", 9200.0)
    return state


def test_the_summary_says_what_was_done_how_fast_and_what_failed(hunted, url):
    with Reader(url) as reader:
        summary = reader.summary(9300.0)
    expected = {"CANDIDATE": 3, "NO_SIGNAL": 1, "QUARANTINED": 2, "DEFERRED": 1, "RUNNING": 1, "QUEUED": 4}
    assert {status: n for status, n in summary["counts"].items() if n} == expected
    assert summary["total"] == 12
    assert summary["phases"] == {"clean": 8, "fold": 8}
    assert summary["finished"] == {"last_5_minutes": 3, "last_hour": 3, "last_24_hours": 6}
    assert summary["queue"] == {
        "queued": 4,
        "suspects": 0,
        "ready": 4,
        "running": 1,
        "deferred": 1,
        "next_due": 9999.0,
    }
    assert [(failure["error_class"], failure["n"]) for failure in summary["failures"]] == [("bug", 2), ("network", 1)]
    assert summary["failures"][0]["example"]["error"] == "Traceback: one"
    assert [row["key"] for row in summary["candidates"]] == ["102", "101", "100"]
    assert (summary["first_activity"], summary["last_activity"]) == (2000.0, 9100.0)


def test_an_empty_record_has_a_summary_too(state, url):
    with Reader(url) as reader:
        summary = reader.summary(1.0)
        assert (
            list(reader.processed()) == list(reader.timings()) == list(reader.failures()) == reader.find("TIC 1") == []
        )
    assert summary["total"] == 0
    assert set(summary["counts"]) == set(Status)
    assert summary["first_activity"] is summary["last_activity"] is summary["queue"]["next_due"] is None


@pytest.mark.parametrize(
    ("text_", "names"),
    [
        ("TIC 104", ["TIC 104"]),
        ("tic104", ["TIC 104"]),
        ("104", ["TIC 104"]),
        ("100", ["KIC 100", "TIC 100"]),
        ("TIC 5", ["TIC 5 s0001", "TIC 5 s0002"]),
        ("TIC 5 s0002", ["TIC 5 s0002"]),
        ("TIC_102_p1.000000", ["TIC 102"]),
        ("TIC 10", []),
        ("nothing", []),
    ],
)
def test_a_target_is_found_however_it_is_written(hunted, url, text_, names):
    with Reader(url) as reader:
        assert [row["name"] for row in reader.find(text_)] == names


def test_a_target_is_told_whole(hunted, url):
    with Reader(url) as reader:
        found = reader.target("TIC", "101")
        assert reader.target("TIC", "999") is None
    assert found["sources"] == ["a.fits"]
    assert found["star"] == {"tmag": 9.0}
    assert [(run["phase"], run["item"]) for run in found["phase_runs"]] == [("clean", 0), ("fold", 1), ("fold", 2)]
    assert [move["went_to"] for move in found["moves"]] == ["RUNNING", "CANDIDATE"]
    assert found["candidates"][0]["decision"] == found["reviews"][0]["decision"] == "planet"
    assert found["suspect"] is False


def test_candidates_are_sorted_and_picked(hunted, url):
    with Reader(url) as reader:

        def keys(*arguments, **more):
            return [row["key"] for row in reader.candidates(*arguments, **more)]

        assert keys() == ["101", "100", "102"]
        assert keys("snr") == ["101", "102", "100"]
        assert keys("published", 1) == ["102"]
        assert keys(min_probability=0.85) == ["101", "100"]
        assert keys(min_snr=10.0) == ["101", "102"]
        assert keys(decision="planet") == ["101"]
        assert keys(decision="unreviewed") == ["100", "102"]
        assert len(keys("period")) == len(keys("sde")) == len(keys("depth")) == len(keys("name")) == 3
        with pytest.raises(StateError, match="sorted by"):
            keys("beauty; DROP TABLE targets")
        assert reader.candidate_names() == {f"TIC_{key}_p1.000000" for key in (100, 101, 102)}
        assert [review["reviewer"] for review in reader.reviews()] == ["Ada"]


def test_the_exports_get_every_begun_target_once_page_by_page(hunted, url, monkeypatch):
    monkeypatch.setattr("state.reading.PAGE", 3)
    with Reader(url) as reader:
        processed, timings = list(reader.processed()), list(reader.timings())
        failures, bugs = list(reader.failures()), list(reader.failures("bug"))
    assert [row["key"] for row in processed] == [str(key) for key in range(100, 108)]
    assert processed[0]["phase"] == "fold"
    assert processed[0]["best_period"] == 1.0
    assert [row["key"] for row in timings] == [row["key"] for row in processed]
    assert timings[0]["milliseconds"] == {"clean": 500.0, "fold": 500.0}
    assert timings[0]["total"] == 1000.0
    assert [(row["key"], row["error"]) for row in failures] == [
        ("104", "Traceback: one"), ("105", "Traceback: two"), ("106", "503"),
    ]  # fmt: skip
    assert bugs == failures[:2]


def test_a_record_of_another_age_is_refused_and_left(state, url):
    for revision, error in (("0000", DatabaseTooOld), ("9999", DatabaseTooNew), ("abc", DatabaseTooNew)):
        with state.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        with pytest.raises(error, match=revision):
            Reader(url)
        if error is DatabaseTooNew:
            with pytest.raises(DatabaseTooNew, match="pip install -U"):
                State.open(url)
        assert rows(state, "SELECT version_num FROM alembic_version") == [(revision,)]


def test_a_place_without_a_record_is_named_by_the_reader(places):
    url = places.fresh(empty=True)
    try:
        with pytest.raises(DatabaseMissing, match="hunter run"):
            Reader(url)
    finally:
        places.drop(url)


STRUCTURE = {
    "sqlite": """WITH made AS (SELECT * FROM sqlite_master WHERE tbl_name <> 'alembic_version')
        SELECT made.name || '.' || c.name, c.type || c."notnull" || c.pk || coalesce(c.dflt_value, '')
        FROM made, pragma_table_info(made.name) AS c WHERE made.type = 'table'
        UNION ALL SELECT made.name || ' unique ' || i.name, group_concat(c.name)
        FROM made, pragma_index_list(made.name) AS i, pragma_index_info(i.name) AS c
        WHERE made.type = 'table' AND i."unique" GROUP BY 1
        UNION ALL SELECT made.name || '.' || f."from", f."table" || '.' || f."to"
        FROM made, pragma_foreign_key_list(made.name) AS f WHERE made.type = 'table'
        UNION ALL SELECT name, sql FROM made WHERE type = 'index' AND sql IS NOT NULL""",
    "postgresql": """SELECT table_name || '.' || column_name, data_type || is_nullable || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        UNION ALL SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'""",
}


def test_the_tables_are_what_the_migrations_make(places, state):
    empty = places.fresh(empty=True)
    try:
        file = sqlite_file(empty)
        if file is not None:
            file.parent.mkdir()
        engine = server_engine(empty) if file is None else create_engine(f"sqlite:///{file}")
        metadata.create_all(engine)
        with engine.connect() as connection:
            said = {tuple(row) for row in connection.execute(text(STRUCTURE[engine.dialect.name]))}
        engine.dispose()
        assert said == set(rows(state, STRUCTURE[engine.dialect.name]))
        assert len(said) > 20
    finally:
        places.drop(empty)
