"""Questions to the portal through the real astroquery: the replica, recorded replies, and answers gone wrong."""

import json
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
import requests
from loopback import open_shelf

from hunter.archives.mast.names import PRODUCTS
from hunter.archives.mast.portal import Portal, star_of
from hunter.archives.mast.sector import list_sector, read_products, replaced, sieve
from hunter.copies import Copies
from hunter.replica import Catalogue, Replica, Rule, Rules, unavailable
from hunter.replica.faults import Fault
from pipeline.errors import ArchiveUnavailable
from pipeline.types import Star

SECTOR = 7
LINE, FAST = PRODUCTS["SPOC-120"], PRODUCTS["SPOC-20"]
STARS = 12
INVOKE = "/api/v0/invoke"


def make_catalogue(script=True):
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=STARS, span=0.5, pool=3, fast=2, reports=2, hlsp=1)
    catalogue.release(SECTOR)
    if script:
        catalogue.publish_script(SECTOR)
    return catalogue


@pytest.fixture(scope="module")
def replica():
    with Replica(make_catalogue()) as running:
        yield running


@pytest.fixture
def session():
    with requests.Session() as made:
        yield made


@pytest.fixture(autouse=True)
def calm(replica):
    """Whatever an earlier test, in whatever order, planned for the shared replica is over."""
    replica.forget()
    replica.plan = Rules()


@pytest.fixture
def portal(replica, session, tmp_path):
    return Portal(session, replica.url, tmp_path / "columns")


@pytest.fixture
def copies(session, tmp_path):
    return Copies(session, tmp_path / "scripts")


# ---- the replica


def test_a_sector_is_counted_without_its_validation_reports(portal):
    assert portal.count(LINE, SECTOR) == STARS
    assert portal.count(FAST, SECTOR) == 2
    assert portal.count(PRODUCTS["TESS-SPOC"], SECTOR) == 1
    assert portal.count(LINE, SECTOR + 1) == 0


def test_a_sector_is_listed_with_five_questions(portal, copies, replica):
    found = list_sector(portal, copies, replica.url, LINE, SECTOR)
    assert [line.route for line in replica.lines()] == ["script", "columnsconfig", "invoke", "invoke", "invoke"]
    assert len(found.files) == found.count == len(found.script.files) == STARS
    assert {file.uri for file in found.files} == {name.uri for name in found.script.files}
    first = found.files[0]
    assert (first.kind, first.sector, first.product) == ("TIC", SECTOR, "SPOC-120")
    assert 0 <= first.ra <= 360
    assert -90 <= first.dec <= 90
    assert first.size_advised == replica.catalogue.find(first.uri)[1].size
    assert (found.processing, found.note) == ("simulated-1", "")
    replica.forget()
    list_sector(portal, copies, replica.url, LINE, SECTOR)
    # the script has not changed, and how columns are described is known
    assert [(line.route, line.status) for line in replica.lines()] == [("script", 304)] + [("invoke", 200)] * 3


def test_without_a_script_products_say_what_the_files_are_called(session, tmp_path):
    with Replica(make_catalogue(script=False)) as replica:
        portal = Portal(session, replica.url, tmp_path)
        found = list_sector(portal, Copies(session, tmp_path), replica.url, FAST, SECTOR)
    assert found.script is None
    assert [file.uri.endswith("-a_fast-lc.fits") for file in found.files] == [True, True]


def test_a_row_the_script_does_not_name_and_a_name_without_row_are_listed_and_told(session, tmp_path):
    catalogue = make_catalogue()
    gone = catalogue.visible(SECTOR)[0]
    catalogue.withdraw(gone.tic)
    catalogue.add_crowd(SECTOR, stars=3, span=0.5, pool=3, seed=2)
    catalogue.release(SECTOR)
    with Replica(catalogue) as replica:
        portal = Portal(session, replica.url, tmp_path)
        found = list_sector(portal, Copies(session, tmp_path), replica.url, LINE, SECTOR)
    assert (found.only_in_script, found.only_observed) == (1, 3)
    assert len(found.files) == STARS + 3
    assert found.note == "1 files are named by the script alone, 3 files are not named by the script"
    assert next(file for file in found.files if file.key == str(gone.tic)).ra is None


def test_reprocessed_files_are_seen_in_a_sample_and_told_one_by_one(session, tmp_path):
    catalogue = make_catalogue()
    some = [entry.tic for entry in catalogue.visible(SECTOR) if entry.exptime == 120 and entry.source][:5]
    with Replica(catalogue) as replica:
        portal, copies = Portal(session, replica.url, tmp_path), Copies(session, tmp_path)
        first = list_sector(portal, copies, replica.url, LINE, SECTOR)
        known = {file.uri: "" for file in first.files}
        assert replaced(portal, known, first.processing, turn=0) == ""
        catalogue.reprocess(SECTOR, tics=some, data_release=43)
        told = replaced(portal, known, first.processing, turn=1)
        assert told == "5 of 12 files have another version"
        exact = list_sector(portal, copies, replica.url, LINE, SECTOR, exact=True)
    assert {int(file.key) for file in exact.files if file.version == "simulated-43"} == set(some)
    assert exact.processing == "simulated-1"


def test_more_rows_than_the_portal_sends_at_once_are_asked_for_in_slices(replica, session, tmp_path):
    portal = Portal(session, replica.url, tmp_path, page=5, most_rows=11)
    rows = portal.observations(LINE, SECTOR, STARS)
    assert len({row["obsid"] for row in rows}) == STARS


def test_pages_are_put_together(replica, session, tmp_path):
    rows = Portal(session, replica.url, tmp_path, page=5).observations(LINE, SECTOR, STARS)
    assert len(rows) == STARS


def test_a_count_that_disagrees_with_the_rows_is_unknown(portal):
    with pytest.raises(ArchiveUnavailable, match=r"unknown: 13 observations .* are counted and 12 sent"):
        portal.observations(LINE, SECTOR, 13)


def test_observations_without_products_are_unknown(portal):
    rows = portal.observations(LINE, SECTOR, STARS)
    with pytest.raises(ArchiveUnavailable, match="unknown: 1 of 2 observations were answered without products"):
        portal.products([str(rows[0]["obsid"]), "999"])


def test_stars_come_by_their_numbers_and_only_those(portal, replica):
    known = replica.catalogue.stars()
    asked = [*list(known)[:3], 999_999_999_99]
    found = portal.stars(asked)
    assert set(found) == set(asked[:3])
    for tic, star in found.items():
        assert star == replace(known[tic], tmag=star.tmag)
        assert star.tmag == pytest.approx(known[tic].tmag)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (unavailable(), "503"),
        (
            Fault("error", document=lambda _: {"status": "ERROR", "msg": "kill state", "data": [], "fields": []}),
            "kill state",
        ),
        (Fault("no data", document=lambda sound: {k: v for k, v in sound.items() if k != "data"}), "KeyError: 'data'"),
        (Fault("no fields", document=lambda sound: sound | {"fields": []}), "sent no column"),
        (Fault("short", document=lambda sound: sound | {"data": sound["data"][:-1]}), "sent 11 rows as page 1"),
        (Fault("emptied", document=lambda sound: sound | {"data": []}), "sent 0 rows as page 1"),
        (Fault("pages", document=lambda s: s | {"paging": s["paging"] | {"pagesFiltered": 10**6}}), "too many at once"),
        (Fault("page", document=lambda s: s | {"paging": s["paging"] | {"page": 2}}), "sent 12 rows as page 1"),
        (Fault("list", document=lambda _: [1, 2]), "AttributeError"),
        (Fault("words", document=lambda s: s | {"data": ["a"] * 12}), "sent no rows"),
        (Fault("odd paging", document=lambda s: s | {"paging": {"page": "x"}}), "something odd"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_odd_answer_is_unknown_and_never_an_empty_list(portal, replica, fault, why):
    portal.count(LINE, SECTOR)
    replica.plan = Rules(Rule(fault, route="invoke"))
    with pytest.raises(ArchiveUnavailable, match=f"^unknown: .*{why}"):
        portal.observations(LINE, SECTOR, STARS)


# ---- recorded replies, and what a small server says


@pytest.fixture
def recorded(shared_data):
    folder = shared_data / "recorded_responses" / "astroquery" / "mast"

    def read(name):
        return json.loads((folder / name).read_text())

    return read


@pytest.fixture
def shelf():
    with open_shelf() as shelf:
        yield shelf


def asked_of(shelf):
    return [json.loads(parse_qs(body)["request"][0]) for path, _, body in shelf.posted if path == INVOKE]


def test_recorded_stars_are_read(recorded, session, shelf, tmp_path):
    document = recorded("tic.json")
    shelf.put(INVOKE, json.dumps(document))
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", json.dumps(recorded("columnsconfig.json")))
    ids = [row["ID"] for row in document["data"]]
    found = Portal(session, shelf.url, tmp_path).stars([*ids, 5])
    assert set(found) == set(ids)
    assert found[10000732589] == Star(tmag=16.328, ra=254.378937, dec=-4.09411)
    (asked,) = asked_of(shelf)
    assert asked["service"] == "Mast.Catalogs.Filtered.Tic.Rows"
    assert asked["params"]["filters"] == [{"paramName": "ID", "values": [str(tic) for tic in sorted([*ids, 5])]}]


def test_a_star_that_nobody_asked_for_is_unknown(recorded, session, shelf, tmp_path):
    shelf.put(INVOKE, json.dumps(recorded("tic.json")))
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", json.dumps(recorded("columnsconfig.json")))
    with pytest.raises(ArchiveUnavailable, match=r"unknown: TIC .* was sent and not asked for"):
        Portal(session, shelf.url, tmp_path).stars([5])


def test_the_recorded_description_of_columns_lacks_two_that_are_asked_for(recorded, session, shelf, tmp_path):
    config = recorded("columnsconfig.json")
    assert not {"sequence_number", "provenance_name"} & config.keys()
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", json.dumps(config))
    reply = {
        "status": "COMPLETE",
        "msg": "",
        "data": [{"Column1": "599"}],
        "fields": [{"name": "Column1", "type": "string"}],
    }
    shelf.put(INVOKE, json.dumps(reply))
    assert Portal(session, shelf.url, tmp_path).count(LINE, 96) == 599
    (asked,) = asked_of(shelf)
    assert asked["service"] == "Mast.Caom.Filtered"
    assert asked["params"]["columns"] == "COUNT_BIG(*)"
    assert asked["params"]["filters"] == [
        {"paramName": "obs_collection", "separator": ";", "values": ["TESS"]},
        {"paramName": "provenance_name", "values": ["SPOC"]},
        {"paramName": "dataproduct_type", "values": ["timeseries"]},
        {"paramName": "sequence_number", "values": ["96"]},
        {"paramName": "obs_id", "values": [], "freeText": "tess%-s0096-%-s"},
    ]


def test_an_old_description_serves_while_the_portal_gives_none(recorded, session, shelf, tmp_path):
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", json.dumps(recorded("columnsconfig.json")))
    reply = {
        "status": "COMPLETE",
        "msg": "",
        "data": [{"Column1": "3"}],
        "fields": [{"name": "Column1", "type": "string"}],
    }
    shelf.put(INVOKE, json.dumps(reply))
    assert Portal(session, shelf.url, tmp_path, now=lambda: 0.0).count(LINE, 96) == 3
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", "busy", status=503)
    assert Portal(session, shelf.url, tmp_path, now=lambda: 1e9).count(LINE, 96) == 3
    with pytest.raises(ArchiveUnavailable, match=r"^unknown: .*503"):
        Portal(session, shelf.url, tmp_path / "empty").count(LINE, 96)


def test_recorded_products_of_another_telescope_hold_no_light_curve(recorded):
    assert read_products(recorded("products.json")["data"]) == {}


def test_recorded_observations_of_another_telescope_are_dropped(recorded):
    rows = recorded("caom.json")["data"]
    kept, dropped = sieve(rows, LINE, SECTOR)
    assert not kept
    assert dropped == {"of another collection": len(rows)}


@pytest.mark.parametrize("count", [None, "", "many", -1, [], float("nan")])
def test_a_count_that_is_no_number_is_unknown(session, shelf, tmp_path, count):
    columns = {name: {"text": name} for name in ("obs_collection", "dataproduct_type", "obs_id")}
    shelf.put("/portal/Mashup/Mashup.asmx/columnsconfig", json.dumps(columns))
    reply = {
        "status": "COMPLETE",
        "msg": "",
        "data": [{"Column1": count}],
        "fields": [{"name": "Column1", "type": "string"}],
    }
    shelf.put(INVOKE, json.dumps(reply))
    with pytest.raises(ArchiveUnavailable, match="unknown: the count of sector 96"):
        Portal(session, shelf.url, tmp_path).count(LINE, 96)


# ---- rows and stars by themselves


def row(obs_id, target, **more):
    return {"obs_id": obs_id, "obsid": 1, "target_name": target, "obs_collection": "TESS", **more}


def test_rows_are_dropped_for_counted_reasons():
    good = "tess2018206045859-s0007-0000000000000005-0120-s"
    later = good.replace("2018206045859", "2018206050000")
    rows = [
        row(good, "5"),
        row(good, "5"),
        row(later, "5"),
        row("tess2018206190142-s0001-s0096-0000000000000005-01071", "5"),
        row("tess2018206045859-s0007-0000000000000006-0120-a_fast", "6"),
        row(good.replace("s0007", "s0008"), "5"),
        row(good, "6"),
        row(good, None),
        row(good, "TESS FFI"),
        row(None, "5"),
        row("", "5"),
        row(float("nan"), "5"),
        row(good, "5", obsid=None),
        row(good, "5", obsid=float("nan")),
        row(good, "5", obs_collection="HLSP"),
    ]
    kept, dropped = sieve(rows, LINE, SECTOR)
    assert [name.obs_id for name, _ in kept.values()] == [later]
    assert dropped == {
        "repeated": 2,
        "validation over several sectors": 1,
        "no light curve": 1,
        "of another sector": 1,
        "of another target than its name says": 1,
        "no target": 2,
        "no observation id": 3,
        "no observation number": 2,
        "of another collection": 1,
    }
    assert sum(dropped.values()) + len(kept) == len(rows)


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf"), "", "-"])
def test_what_the_catalogue_does_not_know_is_none(nothing):
    assert star_of(dict.fromkeys(("ra", "dec", "Tmag", "Teff", "logg", "rad", "mass"), nothing)) == Star()


def test_impossible_numbers_of_the_catalogue_are_none():
    told = {"ra": 400.0, "dec": 5.0, "Tmag": -999, "Teff": 0.0, "logg": 99.0, "rad": -1.0, "mass": 0.5}
    assert star_of(told) == Star(mass=0.5)
