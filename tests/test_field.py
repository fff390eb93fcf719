"""A candidate gets its field: fetched once, all of it or nothing, and the target is hunted again with it."""

import json
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest
from far_hunts import SECTOR, courier, listed, queued
from far_hunts import settings_for as impatient
from small_hunts import rows

from hunter import crashpoints, engine
from hunter.archives.mast.archive import MastArchive
from hunter.checkpoints import files_of
from hunter.courier import Courier, forget_lost_lists
from hunter.field import FieldList
from hunter.field_supply import FieldSupplier
from hunter.network.door import Door
from hunter.replica import Catalogue, Replica, Rule, Rules, unavailable
from hunter.replica.faults import status_page
from hunter.supply import FarSupplier, open_portal
from hunter.worker import Duty
from pipeline.types import Product, Star, Target
from state.products import Products
from state.rows import CandidateRow
from state.status import Status
from state.survivors import OF_A_FIELD, Survivors


def settings_for(home, addresses, **given):
    """A replica draws images while it is asked: it gets the time for that on a busy machine."""
    return impatient(home, addresses, network__read_seconds=60.0, network__deadline_seconds=120.0, **given)


@pytest.fixture(scope="module")
def catalogue():
    """SIMULATED: a star with pixels, and neighbours that the catalogue knows."""
    import astropy.io.fits  # noqa: F401  # here, so that no child and no answer of the replica waits for it
    import astroquery.mast.discovery_portal  # noqa: F401

    made = Catalogue()
    made.add_crowd(SECTOR, stars=2, cadence_seconds=120, span=0.1, pool=1, again=0.0, pixels=True)
    made.release(SECTOR)
    for entry in made.visible():
        star = entry.star
        made.add_neighbours({
            entry.tic + 500 + place: Star(tmag=12.0 + place, ra=star.ra, dec=star.dec + (10 + 20 * place) / 3600)
            for place in range(5)
        })  # fmt: skip
    return made


@pytest.fixture
def replica(catalogue):
    with Replica(catalogue) as found:
        yield found


@pytest.fixture
def settings(tmp_path, replica):
    return settings_for(tmp_path / "home", replica.settings)


@pytest.fixture
def state(settings, catalogue):
    with candidate(settings, catalogue) as found:
        yield found


ROW = CandidateRow(
    "TIC_1_p3.000000", "p3.0000", 3.0, 1500.0, 0.1, 1e-3, 20.0, None, 0.9, "planet candidate",
    "a.json", "0" * 64, "a.png", "0" * 64, "a.html", "0" * 64, 5.0,
)  # fmt: skip


def candidate(settings, catalogue):
    """The record of a home in which the light curve of one star is here, and has been hunted: a candidate."""
    state = queued(settings, catalogue.visible()[:1])
    assert courier(settings, state).live() == 1
    end(state)
    return state


def end(state, outcome=Status.CANDIDATE):
    (claim,) = state.claim("w", 9, 5.0)
    kept = (ROW,) if outcome is Status.CANDIDATE else ()
    assert state.finish(claim, outcome, "hunted", 6.0, candidates=kept)
    return claim


def runner(settings, state, turns=400, **more):
    """A courier that also brings fields, and gives up after so many turns."""
    door = Door(settings.network, state, sleep=lambda seconds: None)
    supplier = FarSupplier(settings, state, door)
    fields = FieldSupplier(settings, door, open_portal(settings, door))
    stops = iter(range(turns))
    duty = Duty(stop=lambda: next(stops, None) is None, **more)
    return Courier(settings, state, supplier, duty, fields=fields, turn=0.01)


def status(home):
    return rows(home, "SELECT status, ready, attempts, deferrals FROM targets ORDER BY id")[0]


def products_of(catalogue):
    (file,) = (file for file in catalogue.visible()[0].files if file.subgroup == "LC")
    return [Product(file.uri, "", "TESS", "SIMULATED", "PDCSAP_FLUX", sector=SECTOR)]


def target_of(catalogue):
    return Target("TIC", str(catalogue.visible()[0].tic))


# ------------------------------------------------------------------------------------------------------ all goes well


def test_the_field_of_a_candidate_is_fetched_and_its_target_queued_again(settings, state, replica, catalogue):
    archive, target, products = MastArchive(settings, state=state), target_of(catalogue), products_of(catalogue)
    assert archive.field_key(target, ()) == ""
    replica.forget()
    runner(settings, state).live()
    assert status(settings.home) == ("QUEUED", 1, 0, 0)
    assert [line.name.rpartition("_")[2] for line in replica.lines("download")] == ["tp.fits"]
    assert len(replica.lines("invoke")) == 1
    assert 2 <= len(replica.lines("models")) <= 8
    field = archive.field_of(target, (), products)
    (images,) = field.pixels
    assert images.flux.shape[1:] == (11, 11)
    assert field.stars[0].key == target.key
    assert len(field.stars) == 6
    assert field.crowding[SECTOR] <= 1
    assert field.contamination_ratio == pytest.approx(0.005)
    model = field.prf[0].at(images.column + 5, images.row + 5)
    assert model.images(np.array([5.0]), np.array([5.0]), (11, 11)).sum() == pytest.approx(1.0, abs=0.02)
    assert archive.field_key(target, ()) != ""
    (move,) = rows(settings.home, "SELECT because FROM moves WHERE came_from = 'CANDIDATE'")
    assert "field is here" in move[0]


def test_what_is_hunted_is_named_as_before_so_that_no_phase_before_the_pixels_runs_again(settings, state):
    before = rows(settings.home, "SELECT inputs, sources FROM targets")
    runner(settings, state).live()
    assert rows(settings.home, "SELECT inputs, sources FROM targets") == before


def test_a_candidate_looked_at_in_pixels_is_not_asked_for_again(settings, state, replica):
    runner(settings, state).live()
    replica.forget()
    end(state)
    runner(settings, state, turns=60).live()
    assert status(settings.home)[0] == "CANDIDATE"
    assert replica.lines() == []
    assert not Survivors(state).any(1e12)


def test_other_targets_than_candidates_get_none(settings, catalogue, replica):
    for outcome in (Status.CLEARED, Status.HELD):
        home = settings.changed(home=settings.home.with_name(outcome.value))
        with queued(home, catalogue.visible()[:1]) as state:
            courier(home, state).live()
            end(state, outcome)
            replica.forget()
            runner(home, state, turns=20).live()
            assert replica.lines() == []


def test_nobody_asks_where_the_settings_say_no(tmp_path, catalogue, replica):
    settings = settings_for(tmp_path / "no", replica.settings, field__fetch=False)
    with candidate(settings, catalogue) as state:
        replica.forget()
        runner(settings, state, turns=20).live()
        assert (replica.lines(), status(settings.home)[0]) == ([], "CANDIDATE")


def test_new_light_curves_ask_for_a_new_field_and_old_files_are_not_fetched_again(settings, state, replica, catalogue):
    from state.rows import NewTarget

    runner(settings, state).live()
    end(state)
    (source,) = json.loads(rows(settings.home, "SELECT sources FROM targets")[0][0])
    (item,) = listed(catalogue.visible()[:1])
    state.enqueue([NewTarget("TIC", item.key, "another", (source,), {}, remote=True)], 7.0)
    courier(settings, state).live()
    end(state)
    replica.forget()
    runner(settings, state).live()
    assert status(settings.home)[0] == "QUEUED"
    assert replica.lines() == []


def test_the_night_has_room_for_the_second_look(settings, state):
    paid = []
    one = runner(settings, state)
    one.pay_back = paid.append
    one.live()
    assert paid == [1]


def test_light_curves_alone_are_offered_and_weighed(settings, state):
    """Files of a field are no light curves of their target."""
    mean = Products(state).mean_size()
    runner(settings, state).live()
    (name,) = rows(settings.home, "SELECT kind, key FROM targets")
    assert [row["product"] for row in Products(state).of_targets([name])[name]] == ["SPOC-120"]
    assert Products(state).mean_size() == mean
    assert {row[0] for row in rows(settings.home, "SELECT DISTINCT product FROM products")} <= {*OF_A_FIELD, "SPOC-120"}


def test_pixels_that_were_looked_at_make_room_and_what_was_found_stays(settings, state, catalogue):
    archive, target, products = MastArchive(settings, state=state), target_of(catalogue), products_of(catalogue)
    runner(settings, state).live()
    assert Products(state).evictable(9) == []  # queued: they are needed
    end(state)
    ((uri, path, _),) = Products(state).evictable(9)
    assert uri.endswith("_tp.fits")
    key = archive.field_key(target, ())
    Products(state).gone([uri])
    archive._store.at(path).unlink()
    assert archive.field_key(target, ()) == key
    field = archive.field_of(target, (), products)
    assert field.pixels == ()
    assert any("_tp.fits" in note for note in field.notes)


# ------------------------------------------------------------------------------------------------- what is not there


def test_light_curves_of_full_frames_get_a_cut_out(tmp_path):
    made = Catalogue()
    made.add_crowd(SECTOR, stars=1, cadence_seconds=1800, span=2.0, pool=1, again=0.0)
    made.release(SECTOR)
    with Replica(made) as replica:
        settings = settings_for(tmp_path / "home", replica.settings)
        with candidate(settings, made) as state:
            runner(settings, state).live()
            assert status(settings.home)[0] == "QUEUED"
            assert len(replica.lines("tesscut")) == 1
            field = MastArchive(settings, state=state).field_of(target_of(made), (), products_of(made))
            assert not field.pixels[0].background_taken_off


def test_a_target_pixel_file_that_is_missing_is_replaced_by_a_cut_out(settings, state, replica, catalogue):
    replica.plan = Rules(Rule(status_page(404), route="download"))
    runner(settings, state).live()
    assert status(settings.home)[0] == "QUEUED"
    field = MastArchive(settings, state=state).field_of(target_of(catalogue), (), products_of(catalogue))
    assert not field.pixels[0].background_taken_off


def test_without_any_pixels_it_is_asked_again_later_and_in_the_end_told(settings, state, replica, catalogue):
    replica.plan = Rules(Rule(status_page(404), route="download"), Rule(status_page(404), route="tesscut"))
    for tries in range(3):
        runner(settings, state, turns=60).live()
        assert status(settings.home)[0] == "CANDIDATE"
        ((until, failures),) = rows(settings.home, "SELECT listed_at, failures FROM products WHERE product = 'FIELD'")
        assert len(json.loads(failures)) == tries + 1
        assert until > 1e9
        with state.write("test") as connection:
            connection.exec_driver_sql("UPDATE products SET listed_at = 0 WHERE product = 'FIELD'")
    runner(settings, state).live()
    assert status(settings.home)[0] == "QUEUED"  # there are neighbours, at least
    field = MastArchive(settings, state=state).field_of(target_of(catalogue), (), products_of(catalogue))
    assert field.pixels == ()
    assert len(field.stars) == 6
    assert any(note.startswith(f"sector {SECTOR}:") for note in field.notes)


def test_an_outage_costs_nothing(settings, state, replica):
    replica.refuse()
    runner(settings, state, turns=30).live()
    assert status(settings.home) == ("CANDIDATE", 0, 0, 0)
    assert rows(settings.home, "SELECT count(*) FROM products WHERE product = 'FIELD'") == [(0,)]
    replica.accept()
    runner(settings, state).live()
    assert status(settings.home)[0] == "QUEUED"


@pytest.mark.parametrize("route", ["download", "invoke", "models"])
def test_what_fails_just_now_puts_the_field_off_and_leaves_the_candidate_as_it_is(settings, state, replica, route):
    replica.plan = Rules(Rule(unavailable(), route=route))
    runner(settings, state, turns=80).live()
    assert status(settings.home) == ("CANDIDATE", 0, 0, 0)
    replica.plan = Rules()
    with state.write("test") as connection:
        connection.exec_driver_sql("UPDATE products SET listed_at = 0 WHERE product = 'FIELD'")
    replica.forget()
    runner(settings, state).live()
    assert status(settings.home)[0] == "QUEUED"
    # what had come before the fault is not fetched a second time
    assert len(replica.lines("download")) == (route == "download")


def test_models_that_are_not_there_leave_the_analytic_one(settings, state, replica, catalogue):
    replica.plan = Rules(Rule(status_page(404), route="models"))
    runner(settings, state).live()
    field = MastArchive(settings, state=state).field_of(target_of(catalogue), (), products_of(catalogue))
    assert field.prf == (None,)
    assert any("analytic" in note for note in field.notes)


def test_our_own_fault_stops_neither_the_courier_nor_the_candidate(settings, state):
    one = runner(settings, state, turns=40)
    one.fields.portal = None
    one.live()
    assert status(settings.home)[0] == "CANDIDATE"
    ((level, text),) = rows(settings.home, "SELECT level, text FROM events WHERE kind = 'field'")
    assert level == "error"
    assert "AttributeError" in text


def test_a_target_hunted_meanwhile_is_left_to_who_hunts_it(settings, state):
    (survivor,) = Survivors(state).wanted(1e12)
    one = runner(settings, state)
    brought = one.fields.bring(survivor)
    state.requeue("asked", 7.0, outcomes=[Status.CANDIDATE])
    courier(settings, state).live()
    (claim,) = state.claim("w", 9, 8.0)
    assert not Survivors(state).settled(survivor, files_of(survivor.inputs), brought.listed, 9.0)
    state.finish(claim, Status.CANDIDATE, "hunted", 10.0, candidates=[ROW])
    assert Survivors(state).any(1e12)  # it may not have seen the field


def test_a_field_whose_list_is_lost_is_fetched_again(settings, state):
    runner(settings, state).live()
    end(state)
    shutil.rmtree(settings.home / "cache" / "files")
    assert not Survivors(state).any(1e12)
    door = Door(settings.network, state)
    forget_lost_lists(state, FarSupplier(settings, state, door))
    assert Survivors(state).any(1e12)


def test_a_list_is_read_as_it_was_written():
    made = FieldList("TIC 1", missing=("sector 3: none",), prf=("a/b.fits",))
    assert FieldList.of(made.to_bytes()) == made
    assert made.empty
    for content in (b"", b"[]", b'{"field": 2}', b'{"field": 1}'):
        with pytest.raises((ValueError, KeyError, TypeError)):
            FieldList.of(content)


# ------------------------------------------------------------------------------------------------------- crashes


def live(home, addresses, die_at: str = "") -> int:
    """A life of a courier in a process of its own, which is killed at a boundary; gives its exit code."""

    def at(boundary: str) -> None:
        if boundary == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        crashpoints.at = at
        settings = settings_for(home, addresses)
        with engine.open_state(settings) as state:
            runner(settings, state).live()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(120)
    return process.exitcode


def test_killed_at_any_boundary_it_loses_no_file_and_queues_the_target_once(tmp_path, settings, state, replica):
    home, fresh = settings.home, tmp_path / "fresh"
    state.close()
    shutil.copytree(home, fresh)
    for boundary in ("field files renamed", "settled.before-commit", "field settled"):
        shutil.rmtree(home)
        shutil.copytree(fresh, home)
        replica.forget()
        assert live(home, replica.settings, boundary) == -signal.SIGKILL, boundary
        assert live(home, replica.settings) == 0, boundary
        assert status(home)[:2] == ("QUEUED", 1), boundary
        assert len(rows(home, "SELECT id FROM moves WHERE came_from = 'CANDIDATE'")) == 1, boundary
        # what was whole when the power failed is adopted, not asked for again
        assert len(replica.lines("download")) == len(replica.lines("invoke")) == 1, boundary
        models = [line.name for line in replica.lines("models") if line.name]
        assert len(models) == len(set(models)), boundary
        assert list((home / "cache").rglob("*.part")) == []
