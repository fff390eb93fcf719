"""The courier: files are here before a worker asks, each is fetched once, and an outage costs nobody anything."""

import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
import structlog
from far_hunts import courier, crowd, listed, queued, settings_for
from small_hunts import rows

from hunter import engine
from hunter.courier import Brought
from hunter.network.errors import Busy, Corrupt, Denied, HostDown, Missing
from hunter.replica import Replica, Rule, Rules, unavailable
from hunter.supply import GONE, open_door
from state.products import Products
from state.status import Status


@pytest.fixture(scope="module")
def catalogue():
    return crowd(12)


@pytest.fixture
def replica(catalogue):
    with Replica(catalogue) as found:
        yield found


@pytest.fixture
def settings(tmp_path, replica):
    return settings_for(tmp_path / "home", replica.settings)


@pytest.fixture
def state(settings, catalogue):
    with queued(settings, catalogue.visible()) as found:
        yield found


def statuses(home):
    return dict(rows(home, "SELECT status, count(*) FROM targets GROUP BY status"))


# ------------------------------------------------------------------------------------------------------ fetching


def test_every_file_is_asked_for_once_and_lies_here_sound(settings, state, replica, catalogue):
    assert courier(settings, state).live() == 12
    assert rows(settings.home, "SELECT DISTINCT status, ready FROM targets") == [("QUEUED", 1)]
    assert [line.method for line in replica.lines("download")] == ["GET"] * 12
    assert replica.most_connections() <= 3
    known = Products(state).get([item.uri for item in listed(catalogue.visible())])
    for entry in catalogue.visible():
        (file,) = entry.files
        path = settings.home / "cache" / "files" / known[file.uri]["path"]
        assert path.read_bytes() == catalogue.content(entry, file).data
        assert known[file.uri]["size"] == path.stat().st_size
    assert Products(state).bytes_here() == sum(row["size"] for row in known.values())


def test_what_is_here_is_not_asked_for_again(settings, state, replica):
    courier(settings, state).live()
    for claim in state.claim("w", 99, 5.0):
        state.finish(claim, Status.NO_SIGNAL, "nothing", 6.0)
    state.requeue("asked", 7.0, outcomes=[Status.NO_SIGNAL])
    replica.forget()
    assert courier(settings, state).live() == 12
    assert replica.lines("download") == []


def test_it_runs_ahead_only_so_far(tmp_path, replica, catalogue):
    near = settings_for(tmp_path / "near", replica.settings, files__ahead_files=4)
    with queued(near, catalogue.visible()) as state:
        stops = iter(range(40))
        courier(near, state, stop=lambda: next(stops, None) is None).live()
        assert state.ready(99) == 4
        for claim in state.claim("w", 2, 5.0):
            state.finish(claim, Status.NO_SIGNAL, "nothing", 6.0)
        stops = iter(range(40))
        courier(near, state, stop=lambda: next(stops, None) is None).live()
        assert state.ready(99) == 4
        assert len(replica.lines("download")) == 6


def test_files_nobody_needs_make_room_for_those_that_are_wanted(tmp_path, replica, catalogue):
    one = listed(catalogue.visible())[0].size_advised
    tight = settings_for(tmp_path / "tight", replica.settings, files__quota_gb=5.5 * one / 1e9, files__ahead_files=4)
    with queued(tight, catalogue.visible()) as state:
        ended = 0
        while ended < 12:
            stops = iter(range(30))
            courier(tight, state, stop=lambda stops=stops: next(stops, None) is None).live()
            claims = state.claim("w", 4, 5.0)
            assert claims
            for claim in claims:
                state.finish(claim, Status.NO_SIGNAL, "nothing", 6.0)
            ended += len(claims)
            assert Products(state).bytes_here() <= 5.5 * one
        files = [path for path in (tight.home / "cache" / "files").rglob("*.fits")]
        assert sum(path.stat().st_size for path in files) == Products(state).bytes_here()


# ------------------------------------------------------------------------------------------- what comes of a fault


def test_an_outage_costs_no_attempt_and_no_deferral(settings, state, replica):
    replica.refuse()
    stops = iter(range(20))
    courier(settings, state, stop=lambda: next(stops, None) is None).live()
    assert rows(settings.home, "SELECT DISTINCT status, ready, attempts, deferrals FROM targets") == [
        ("QUEUED", 0, 0, 0)
    ]
    assert rows(settings.home, "SELECT count(*) FROM events WHERE kind = 'archive'")[0][0] >= 1
    replica.accept()
    assert courier(settings, state).live() == 12


def test_a_file_that_fails_alone_defers_its_target_alone(settings, state, catalogue, replica):
    (file,) = catalogue.visible()[0].files
    replica.plan = Rules(Rule(unavailable(), route="download", names={file.name}))
    assert courier(settings, state).live() == 11
    assert statuses(settings.home) == {"QUEUED": 11, "DEFERRED": 1}
    ((wait,),) = rows(settings.home, "SELECT next_at - changed_at FROM targets WHERE status = 'DEFERRED'")
    assert 3600 <= wait <= 1.25 * 3600
    replica.plan = Rules()
    state.due(1e12)
    assert courier(settings, state).live() == 1


class Shelf:
    """A supplier that lacks everything, for a reason."""

    def __init__(self, error: Exception) -> None:
        self.error, self.asked, self.noted = error, 0, []

    def get(self, source):
        self.asked += 1
        raise self.error

    def give_up(self, source, reason):
        self.noted.append((source, reason))

    def pause(self, needed):
        return ""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HostDown("it is down", 4e9), ("QUEUED", 0)),
        (Busy("not now", 4e9), ("QUEUED", 0)),
        (OSError(errno.ENOSPC, "No space left on device"), ("QUEUED", 0)),
        (OSError(errno.EROFS, "Read-only file system"), ("QUEUED", 0)),
        (Denied("403"), ("DEFERRED", 1)),
        (Missing("404"), ("DEFERRED", 1)),
        (Corrupt("its checksum is wrong", "checksum", "ab"), ("UNUSABLE", 0)),
        (KeyError("our fault"), ("QUARANTINED", 0)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_fault_ends_in_its_own_way(settings, state, error, outcome):
    one = courier(settings, state)
    one.supplier = Shelf(error)
    (claim, *others) = state.claim_wanted(one.name, 99, 2.0)
    state.release(others, 2.0)
    one._settle([one._bring(claim)])
    found = rows(settings.home, f"SELECT status, deferrals, attempts FROM targets WHERE id = {claim.id}")
    assert found == [(*outcome, 0)]
    assert structlog.contextvars.get_contextvars() == {}  # what is logged from here on is of no target


def test_a_file_that_is_missing_for_a_day_counts_as_gone(settings, state):
    one = courier(settings, state)
    one.supplier = Shelf(Missing("404"))
    for tries in range(4):
        (claim,) = state.claim_wanted(one.name, 1, 2.0)
        assert claim.deferrals == tries
        one._settle([one._bring(claim)])
        state.due(1e12)
    assert rows(settings.home, f"SELECT status FROM targets WHERE id = {claim.id}") == [("NO_DATA",)]
    assert one.supplier.noted[0][0] == claim.sources[0]


def test_a_target_is_hunted_with_the_files_that_can_be_had(settings, state, catalogue):
    one = courier(settings, state)
    (claim,) = state.claim_wanted(one.name, 1, 2.0)
    brought = Brought(claim, gone=((claim.sources[0], "corrupt:checksum", True),))
    two = Brought(
        type(claim)(
            **{name: getattr(claim, name) for name in claim.__slots__} | {"sources": (*claim.sources, "mast:x")}
        ),
        gone=brought.gone,
    )
    assert one._settle([two]) == 1
    (note,) = (settings.home / "cache" / "files").rglob(f"*{GONE}")
    assert note.read_text() == "corrupt:checksum"


def test_after_three_refusals_it_knocks_no_more(settings, state, replica):
    from hunter.replica.faults import status_page

    replica.plan = Rules(Rule(status_page(403), route="download"))
    stops = iter(range(30))
    courier(settings, state, stop=lambda: next(stops, None) is None).live()
    assert 3 <= len(replica.lines("download")) <= 3 + 12  # those in hand when it understood
    refused = len(replica.lines("download"))
    stops = iter(range(10))
    one = courier(settings, state, stop=lambda: next(stops, None) is None)
    one.rest_until = float("inf")
    one.live()
    assert len(replica.lines("download")) == refused


@pytest.mark.parametrize(("source", "contact", "warned"), [("mast", "", True), ("mast", "me", False), ("", "", False)])
def test_whoever_asks_an_archive_without_a_contact_is_warned(tmp_path, caplog, source, contact, warned):
    settings = settings_for(tmp_path, {}, archive__source=source, network__contact=contact)
    with engine.open_state(settings) as record:
        open_door(settings, record)
    assert ("set [network] contact" in caplog.text) == warned


def test_it_says_how_far_ahead_it_is(settings, state):
    courier(settings, state).live()
    told = json.loads(state.get("courier"))
    assert (told["files"], told["fetching"], told["resting"], told["source"]) == (12, 0, "", "mast")
    assert told["bytes"] == Products(state).bytes_here()


# ------------------------------------------------------------------------------------------------------- crashes


def live(home: Path, addresses, **environment: str) -> int:
    """A life of a courier in a process of its own; gives its exit code."""

    def work() -> None:
        os.environ.update(environment)
        settings = settings_for(home, addresses)
        with engine.open_state(settings) as state:
            state.reclaim(1e12, 30.0, "h", "b", lambda pid: True, counted=False)
            courier(settings, state).live()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


def test_killed_at_any_boundary_it_loses_no_file_and_fetches_none_that_is_here(tmp_path, replica, catalogue):
    home = tmp_path / "home"
    settings = settings_for(home, replica.settings)
    # one alone, so that nothing else is on its way when the power fails
    queued(settings, catalogue.visible()[:1]).close()
    log = tmp_path / "log"
    fresh = tmp_path / "fresh"
    shutil.copytree(home, fresh)
    assert live(home, replica.settings, HUNTER_CRASH_LOG=str(log)) == 0
    names = [line.split(" ", 1)[1] for line in log.read_text().splitlines()]
    places = [names.index(name) + 1 for name in ("claimed wanted", "files renamed", "files recorded", "made ready")]
    for place in places:
        shutil.rmtree(home)
        shutil.copytree(fresh, home)
        replica.forget()
        assert live(home, replica.settings, HUNTER_CRASH_AT=str(place)) == -9
        assert live(home, replica.settings) == 0
        assert rows(home, "SELECT DISTINCT status, ready FROM targets") == [("QUEUED", 1)], names[place - 1]
        here = rows(home, "SELECT count(*) FROM products WHERE path IS NOT NULL AND sha256 IS NOT NULL")
        assert here == [(1,)], names[place - 1]
        # what was whole when the power failed is adopted, not asked for again
        assert len(replica.lines("download")) == 1, names[place - 1]
        assert list((home / "cache" / "files").rglob("*.part")) == []
