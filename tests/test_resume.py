"""A hunt cannot be killed: whatever ends it, wherever, it goes on from the phase in flight to the same answer."""

import json
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from nursery import digest_sheet
from small_hunts import (
    Nursery,
    books,
    endings,
    faults,
    given_for,
    make_settings,
    make_sky,
    open_queued,
    rows,
    train_tiny,
)

from hunter import crew, engine, screen, worker
from hunter.settings import load
from pipeline.errors import ArchiveUnavailable
from state.status import Status
from state.store import State

PHASES = ("fetch", "clean", "search", "fold", "vet", "score", "field")


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Path:
    """A folder with a sky of one star, one of three, and a model."""
    folder = tmp_path_factory.mktemp("resume")
    make_sky(folder / "sky", 1)
    make_sky(folder / "three", 3)
    train_tiny(folder / "registry")
    return folder


@pytest.fixture(scope="module")
def model(ground) -> Path:
    return ground / "registry" / "tiny"


@pytest.fixture(scope="module")
def given(ground, model) -> dict[str, object]:
    return given_for(ground / "sky", model)


@pytest.fixture(scope="module")
def fresh(ground, model) -> Path:
    """A home whose only target waits; copied for every life."""
    home = ground / "fresh"
    open_queued(make_settings(home, ground / "sky", model)).close()
    return home


@pytest.fixture(scope="module")
def nursery(ground, fresh, given):
    home = ground / "warming"
    shutil.copytree(fresh, home)
    found = Nursery(ground)
    assert found.live(home, given, sheet="drawn", warm=True).code == 0
    yield found
    found.close()


@pytest.fixture(scope="module")
def unbroken(ground, fresh, given, nursery) -> dict[str, dict[str, object]]:
    """The books of a life nobody interrupted, for each kind of sheet, and the boundaries it passed."""
    told = {}
    for sheet in ("drawn", "digest"):
        home, log = ground / f"unbroken-{sheet}", ground / f"boundaries-{sheet}"
        shutil.copytree(fresh, home)
        life = nursery.live(home, given, sheet=sheet, HUNTER_CRASH_LOG=str(log))
        assert [outcome for _, outcome in life.ended] == ["CANDIDATE"]
        assert faults(home) == []
        told[sheet] = books(home) | {"boundaries": [line.split(" ", 1)[1] for line in log.read_text().splitlines()]}
        assert len(told[sheet]["candidates"]) >= 1
    return told


@pytest.fixture
def ended(ground, unbroken, tmp_path) -> Path:
    """A copy of the home of a whole life."""
    return copy_of(ground / "unbroken-digest", tmp_path)


# ------------------------------------------------------------------------------------------------- every boundary


def test_after_a_kill_at_any_boundary_a_restart_gives_the_same_bytes(ground, fresh, given, nursery, unbroken, tmp_path):
    boundaries = unbroken["drawn"]["boundaries"]
    assert boundaries == unbroken["digest"]["boundaries"]
    assert len(boundaries) >= 40
    tally = {"redone": 0}
    drawn = [k for k, name in enumerate(boundaries, 1) if name in ("score: rows stored", "sheet drawn", "finish")]
    assert len(drawn) == 3
    first = {name: k for k, name in reversed(list(enumerate(boundaries, 1)))}
    # what every phase passes alike, the storing of files and rows, is killed once; all 118 places with
    # HUNTER_TEST_EVERY_PLACE=1
    everywhere = bool(os.environ.get("HUNTER_TEST_EVERY_PLACE"))
    places = range(1, len(boundaries) + 1) if everywhere else sorted(first.values())
    assert {boundaries[k - 1] for k in places} == set(boundaries)
    for k in places:
        sheet = "drawn" if k in drawn else "digest"  # the digest is stricter, the drawing is what is shipped
        where = f"boundary {k}, {boundaries[k - 1]}"
        home = tmp_path / "home"
        shutil.copytree(fresh, home)
        killed = nursery.live(home, given, sheet=sheet, HUNTER_CRASH_AT=str(k))
        assert killed.code == -9, where
        stored = {phase for (phase,) in rows(home, "SELECT DISTINCT phase FROM phase_runs")}
        second = nursery.live(home, given, sheet=sheet)
        check_same(home, unbroken[sheet], where)
        # nothing that was stored is computed again, and of what had begun only the phase in flight
        begun, again = {phase for phase, _ in killed.computed}, {phase for phase, _ in second.computed}
        assert not again & stored, where
        assert len(begun & again) <= 1, where
        tally["redone"] += len(begun & again)
        shutil.rmtree(home)
    assert tally["redone"] > 0  # some kill did hit a phase in flight


def test_a_restart_that_is_killed_too_changes_nothing(ground, fresh, given, nursery, unbroken, tmp_path):
    draw = random.Random(5)
    last = len(unbroken["digest"]["boundaries"])
    for trial in range(6):
        home = tmp_path / f"home-{trial}"
        shutil.copytree(fresh, home)
        kills = [draw.randint(1, last) for _ in range(3)]
        for k in kills:
            nursery.live(home, given, HUNTER_CRASH_AT=str(k))
        assert nursery.live(home, given).code == 0
        check_same(home, unbroken["digest"], f"killed at {kills}")


def test_a_phase_that_is_killed_ever_again_does_not_condemn_its_target(fresh, given, nursery, unbroken, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(fresh, home)
    search = unbroken["digest"]["boundaries"].index("clean: rows stored") + 2
    assert nursery.live(home, given, HUNTER_CRASH_AT=str(search)).code == -9
    log, copy = tmp_path / "log", shutil.copytree(home, tmp_path / "copy")
    nursery.live(copy, given, HUNTER_CRASH_LOG=str(log))
    claimed = [line.split(" ", 1)[1] for line in log.read_text().splitlines()].index("claimed") + 1
    # from now on each life is killed at its first boundary after the claim: 12 times, more than twice max_deaths
    for death in range(12):
        assert nursery.live(home, given, HUNTER_CRASH_AT=str(claimed)).code == -9
        assert rows(home, "SELECT status, token FROM targets") == [("RUNNING", death + 2)]
    assert nursery.live(home, given).code == 0
    check_same(home, unbroken["digest"], "killed 13 times")


def check_same(home: Path, wanted: dict[str, object], where: str) -> None:
    """One outcome, the same answer, the same bytes, nothing left over."""
    assert faults(home) == [], where
    assert [outcome for _, outcome in endings(home)] == ["CANDIDATE"], where
    found = books(home)
    for name, value in found.items():
        assert value == wanted[name], f"{name} after {where}"


# ------------------------------------------------------------------------------------------------------ stopping


@pytest.mark.parametrize("phase", PHASES)
def test_a_hunt_stopped_after_a_phase_goes_on_with_the_next(phase, fresh, given, nursery, unbroken, tmp_path):
    home = copy_of(fresh, tmp_path)
    place = unbroken["digest"]["boundaries"].index(f"{phase}: rows stored") + 1
    first = nursery.live(home, given, more={"fail": [place, "interrupt"]})
    assert first.stopped[0] == "KeyboardInterrupt"
    assert rows(home, "SELECT status, attempts, suspect, phase FROM targets") == [("QUEUED", 0, 0, phase)]
    second = nursery.live(home, given)
    assert {name for name, _ in first.computed}.isdisjoint(name for name, _ in second.computed)
    check_same(home, unbroken["digest"], f"stopped after {phase}")


def test_a_second_run_computes_nothing(ended, given, nursery, unbroken, ground, model):
    open_queued(make_settings(ended, ground / "sky", model)).close()
    assert nursery.live(ended, given).computed == ()
    check_same(ended, unbroken["digest"], "a second run")


def test_a_kill_around_the_second_search_changes_nothing(ground, model, fresh, nursery, tmp_path):
    given = given_for(ground / "sky", model, search__confirm="tls")
    log, whole = tmp_path / "log", copy_of(fresh, tmp_path / "whole")
    assert nursery.live(whole, given, HUNTER_CRASH_LOG=str(log)).code == 0
    wanted = books(whole)
    (document,) = [json.loads(text) for text in wanted["evidence"].values()]
    assert document["confirmation"]["status"] == "done"
    boundaries = [line.split(" ", 1)[1] for line in log.read_text().splitlines()]
    around = [k for k, name in enumerate(boundaries, 1) if name.startswith("confirm: ")]
    assert len(around) == 3
    for k in around:
        home = copy_of(fresh, tmp_path)
        assert nursery.live(home, given, HUNTER_CRASH_AT=str(k)).code == -9
        second = nursery.live(home, given)
        stored = boundaries[k - 1] == "confirm: rows stored"
        assert ("confirm" in {phase for phase, _ in second.computed}) is not stored
        check_same(home, wanted, f"boundary {k}, {boundaries[k - 1]}")
        shutil.rmtree(home)


# ------------------------------------------------------------------------------------------------------ full disk


def test_a_full_disk_stops_with_one_line_and_the_same_command_finishes(fresh, given, nursery, unbroken, tmp_path):
    boundaries = unbroken["digest"]["boundaries"]
    first_claim = boundaries.index("claimed")
    writes = [
        k
        for k, name in enumerate(boundaries, 1)
        if k > first_claim and (name in ("file opened", "file written") or name.endswith("before-commit"))
    ]
    for k in writes[::4]:
        where = f"full from boundary {k}, {boundaries[k - 1]}"
        home = copy_of(fresh, tmp_path)
        life = nursery.live(home, given, more={"fail": [k, "full"]})
        assert life.stopped is not None, where
        assert life.stopped[2], f"{life.stopped} {where}"
        assert "\n" not in life.stopped[1], where
        assert nursery.live(home, given).stopped is None, where
        check_same(home, unbroken["digest"], where)
        shutil.rmtree(home)


# ---------------------------------------------------------------------------------------- what is computed again


@pytest.mark.parametrize("harm", ["deleted", "damaged", "emptied"])
def test_a_stored_result_that_is_gone_or_bad_is_computed_again_and_only_that(harm, ended, given, nursery, unbroken):
    home = ended
    (stored,) = (home / "cache" / "results").glob("*/search.*.npz")
    if harm == "deleted":
        stored.unlink()
    else:
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(bytes(data) if harm == "damaged" else b"")
    with State.open(home / "state" / "hunter.sqlite") as state:
        assert state.requeue("asked by hand", 1e9, outcomes=[Status.CANDIDATE]) == 1
    life = nursery.live(home, given)
    assert [phase for phase, _ in life.computed] == ["search", "publish"]
    assert faults(home) == []
    assert books(home)["evidence"] == unbroken["digest"]["evidence"]
    assert books(home)["png"] == unbroken["digest"]["png"]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"search__snr": 7.5}, ["search", "fold", "vet", "score", "field", "publish"]),
        ({"search__confirm": "tls"}, ["confirm", "publish"]),
        ({"search__confirm": "none", "search__confirm_seconds": 60.0}, ["publish"]),
        ({"hunt__threshold": 1e-9}, ["score", "publish"]),
        ({"compute__batch": 3}, []),
    ],
)
def test_changed_settings_redo_only_what_follows(change, again, ground, model, ended, nursery):
    open_queued(make_settings(ended, ground / "sky", model, **change)).close()
    life = nursery.live(ended, given_for(ground / "sky", model, **change))
    assert [phase for phase, _ in life.computed] == again
    assert faults(ended) == []
    assert len(rows(ended, "SELECT name FROM candidates")) == 1


def test_a_new_release_of_a_file_is_hunted_anew(ground, model, fresh, given, nursery, tmp_path):
    home, sky = copy_of(fresh, tmp_path), tmp_path / "sky"
    shutil.copytree(ground / "sky", sky)
    open_queued(make_settings(home, sky, model)).close()  # the same star from another folder is another hunt, too
    assert nursery.live(home, given_for(sky, model)).ended[0][1] == "CANDIDATE"
    (file,) = sky.glob("*.fits")
    os.utime(file, ns=(1, 1))
    open_queued(make_settings(home, sky, model)).close()
    life = nursery.live(home, given_for(sky, model))
    computed = [phase for phase, _ in life.computed]
    assert computed == [*PHASES, "publish"]
    asked = {"confirm", "fit", "validate"}  # these are switched off here
    assert computed == [phase for phase in screen.PHASES if phase not in asked]  # what the dashboard lists
    assert faults(home) == []


# ---------------------------------------------------------------------------------------------- poison and errors


def test_a_target_that_kills_its_worker_is_found_out_and_the_others_finish(ground, model, nursery, tmp_path):
    home = tmp_path / "home"
    settings = make_settings(home, ground / "three", model, engine__max_deaths=3)
    open_queued(settings).close()
    given = given_for(ground / "three", model, engine__max_deaths=3)
    poison = rows(home, "SELECT key FROM targets ORDER BY id")[1][0]
    lives = [nursery.live(home, given, more={"poison": poison})]
    while lives[-1].code == 77 and len(lives) < 10:
        lives.append(nursery.live(home, given, more={"poison": poison}))
    assert lives[-1].code == 0
    assert len(lives) <= 5
    told = dict(rows(home, "SELECT key, status FROM targets"))
    assert told.pop(poison) == "QUARANTINED"
    assert set(told.values()) == {"CANDIDATE"}
    ((because,),) = rows(home, "SELECT error FROM targets WHERE key = ?", poison)
    assert "its worker died" in because
    assert "times" in because
    assert faults(home) == []
    # after the first death nobody was in the same boat
    alone = rows(home, "SELECT count(*) FROM moves WHERE went_to = 'RUNNING' AND token > 1 GROUP BY at")
    assert set(alone) == {(1,)}


class Faulty:
    """An archive that is out of order for one star and holds an impossible file for another."""

    def __init__(self, archive, out_of_order: str, impossible: str) -> None:
        self.archive, self.out_of_order, self.impossible = archive, out_of_order, impossible

    def __getattr__(self, name):
        return getattr(self.archive, name)

    def fetch(self, target, sources):
        if target.key == self.out_of_order:
            raise ArchiveUnavailable("503 from the archive")
        return self.archive.fetch(target, sources)

    def read(self, product):
        if self.impossible in product.uri:
            raise ZeroDivisionError("a fault of ours")
        return self.archive.read(product)


def test_a_fault_quarantines_one_target_and_an_outage_defers_another_ever_longer(ground, model, tmp_path, monkeypatch):
    monkeypatch.setattr("candidates.plots.draw_sheet", digest_sheet)
    settings = make_settings(tmp_path / "home", ground / "three", model)
    with open_queued(settings) as state:
        first, second, third = (key for (key,) in rows(settings.home, "SELECT key FROM targets ORDER BY id"))
        state.register_worker("w", os.getpid(), "here", "boot", 0.0)
        tools, device = worker.equip(settings, state, lambda: 1e9)
        tools = replace(tools, archive=Faulty(tools.archive, first, second))
        now, waits = 1e9, []
        for _ in range(4):
            claims = state.claim("w", 16, now)
            worker._batch(claims, tools, settings, state, worker.Duty(now=lambda now=now: now), device)
            ((wakes,),) = rows(settings.home, "SELECT next_at FROM targets WHERE key = ?", first)
            waits.append(wakes - now)
            now = wakes
            assert state.due(now) == 1
        assert waits == sorted(waits)
        assert waits[3] > 4 * waits[0] > 0
        told = dict(rows(settings.home, "SELECT key, status FROM targets"))
        assert told == {first: "QUEUED", second: "QUARANTINED", third: "CANDIDATE"}
        ((kind, error),) = rows(settings.home, "SELECT error_class, error FROM targets WHERE key = ?", second)
        assert kind == "ZeroDivisionError"
        assert "Traceback" in error
        assert "a fault of ours" in error
    assert faults(settings.home) == []


@pytest.mark.parametrize("place", ["build_evidence", "candidate_row"])
def test_a_fault_while_publishing_quarantines_that_target_only(place, ground, model, tmp_path, monkeypatch):
    from hunter import chain

    monkeypatch.setattr("candidates.plots.draw_sheet", digest_sheet)
    settings = make_settings(tmp_path / "home", ground / "three", model)
    whole, calls = getattr(chain, place), []

    def first_fails(*values, **named):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("no such page")
        return whole(*values, **named)

    monkeypatch.setattr(chain, place, first_fails)
    open_queued(settings).close()
    worker.work(settings, worker.Duty())
    told = sorted(status for (status,) in rows(settings.home, "SELECT status FROM targets"))
    assert told == ["CANDIDATE", "CANDIDATE", "QUARANTINED"]
    assert rows(settings.home, "SELECT error_class FROM targets WHERE error IS NOT NULL") == [("ValueError",)]
    assert faults(settings.home) == []


# --------------------------------------------------------------------------------------------------- two workers


@pytest.mark.parametrize("phase", ["fold", "publish"])
def test_a_worker_stopped_beyond_its_lease_doubles_nothing(phase, ground, model, nursery, tmp_path, monkeypatch):
    monkeypatch.setattr("candidates.plots.draw_sheet", digest_sheet)
    home, given = tmp_path / "home", given_for(ground / "three", model, engine__lease_seconds=0.5)
    settings = make_settings(home, ground / "three", model, engine__lease_seconds=0.5)
    state = open_queued(settings)
    with nursery.stopped(home, given, phase) as stopped:
        time.sleep(0.6)
        assert len(crew.take_back(settings, state, lambda line: None, time.time())) == 3
        assert worker.work(settings, worker.Duty()) == 3
    assert stopped.code == 0
    assert json.loads(stopped.stdout.read_text().splitlines()[-1]) == ["hunted", 0]  # what the other has done
    state.close()
    assert [outcome for _, outcome in endings(home)] == ["CANDIDATE"] * 3
    assert len({target for target, _ in endings(home)}) == 3
    assert len(rows(home, "SELECT name FROM candidates")) == 3
    assert faults(home) == []


def test_a_second_process_on_the_same_home_is_turned_away(ground, model, tmp_path):
    settings = make_settings(tmp_path / "home", ground / "sky", model)
    with engine.home_lock(settings.home), pytest.raises(engine.HomeLocked, match=rf"process {os.getpid()}: stop it"):
        engine.night(settings, list)
    with engine.home_lock(settings.home):  # it went with its holder
        pass


def copy_of(fresh: Path, folder: Path) -> Path:
    return Path(shutil.copytree(fresh, folder / "home"))


# ------------------------------------------------------------------------------------------------- the power


def test_what_the_record_says_is_on_the_disk_before_it_says_so(fresh, given, monkeypatch, tmp_path):
    """A kill keeps what the kernel holds, a power cut does not: file, then name, then folder, then the row."""
    home = copy_of(fresh, tmp_path)
    kept, synced, named, late, unsynced, commits = os.path.realpath(home) + os.sep, set(), [], [], [], []
    sync, replaced = os.fsync, os.replace

    def note_sync(file):
        sync(file)
        path = os.readlink(f"/proc/self/fd/{file}")
        synced.add(path)
        named[:] = [name for name in named if os.path.dirname(name) != path]

    def note_name(source, target, **more):
        source, target = os.path.realpath(source), os.path.realpath(target)
        replaced(source, target, **more)
        if target.startswith(kept):
            unsynced.extend({source} - synced)
            synced.discard(source)
            synced.add(target)  # a file is on the disk under whatever name
            named.append(target)

    def note_commit(connection):
        commits.append(len(synced))
        late.extend(named)

    monkeypatch.setattr("os.fsync", note_sync)
    monkeypatch.setattr("os.replace", note_name)
    monkeypatch.setattr("candidates.plots.draw_sheet", digest_sheet)
    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", note_commit)
    try:
        assert worker.work(load(str(home), given), worker.Duty()) == 1
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "commit", note_commit)
    assert any("fold" in os.path.basename(path) for path in synced)
    assert max(commits) > commits[0]  # some after files were there
    assert (unsynced, late, named) == ([], [], [])
