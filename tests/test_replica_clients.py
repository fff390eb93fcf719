"""The real clients of the archives read the replica as they read the archives themselves."""

import csv
import gzip
import json
import urllib.error
import urllib.request
import warnings

import pytest

from hunter.replica import Catalogue, Replica
from hunter.replica.columns import OBSERVATION, PRODUCT, TIC
from hunter.replica.tables import EXOFOP_CTOI, EXOFOP_TOI, Known, tap_columns

SECTOR = 11


@pytest.fixture(scope="module")
def replica():
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=8, span=0.3, pool=2, fast=1, reports=1, hlsp=2)
    catalogue.release(SECTOR)
    catalogue.publish_targets(SECTOR)
    first, second, third = (entry.tic for entry in catalogue.visible(SECTOR)[:3])
    catalogue.known += [
        Known(first, "90001.01", 3.5, 1600.25, 2.5, 1200.0, "CP", name="Replica-1 b"),
        Known(second, "90002.01", 7.25, 1601.5, 3.0, 400.0, "FP"),
        Known(third, "", 1.5, 1602.0, 1.5, 900.0, community=True),
    ]
    with Replica(catalogue) as running:
        yield running


@pytest.fixture
def mast(replica, monkeypatch):
    """astroquery.mast, sent to the replica."""
    from astroquery import mast

    for client in (mast.Observations, mast.Catalogs, mast.Mast):
        portal = client._portal_api_connection
        monkeypatch.setattr(portal, "MAST_REQUEST_URL", f"{replica.url}/api/v0/invoke")
        monkeypatch.setattr(portal, "COLUMNS_CONFIG_URL", f"{replica.url}/portal/Mashup/Mashup.asmx/columnsconfig")
        monkeypatch.setattr(portal, "MAST_DOWNLOAD_URL", f"{replica.url}/api/v0.1/Download/file")
        monkeypatch.setattr(portal, "_column_configs", {})
    return mast


@pytest.fixture
def recorded(shared_data):
    """A genuine reply of MAST, as astroquery's own tests keep it."""
    folder = shared_data / "recorded_responses" / "astroquery" / "mast"
    return lambda name: json.loads((folder / f"{name}.json").read_text())


def query(replica, sql, form="csv"):
    address = f"{replica.url}/TAP/sync?query={sql.replace(' ', '+')}&format={form}"
    with urllib.request.urlopen(address) as reply:
        return list(csv.DictReader(reply.read().decode().splitlines()))


def test_a_sector_is_found_and_counted(replica, mast):
    wanted = {"obs_collection": "TESS", "provenance_name": "SPOC", "sequence_number": SECTOR, "obs_id": "tess*-s"}
    rows = mast.Observations.query_criteria(**wanted, t_exptime=[100, 130], dataproduct_type="timeseries")
    count = mast.Observations.query_criteria_count(**wanted, t_exptime=[100, 130], dataproduct_type="timeseries")
    assert len(rows) == count == 8
    assert {str(row["target_name"]) for row in rows} == {
        str(entry.tic) for entry in replica.catalogue.visible(SECTOR) if entry.obs_id.endswith("-s")
    }
    assert rows["t_exptime"].dtype.kind == "f"
    assert rows["sequence_number"].dtype.kind == "i"
    assert rows["obsid"].dtype.kind == "U"


def test_a_sector_in_pages_is_put_together_again(mast):
    rows = mast.Observations.query_criteria(sequence_number=SECTOR, project="TESS", pagesize=5)
    assert len(rows) == len(set(rows["obsid"])) == 12


def test_a_place_in_the_sky_finds_its_star(replica, mast):
    from astropy.coordinates import SkyCoord

    entry = replica.catalogue.visible(SECTOR)[0]
    place = SkyCoord(entry.star.ra, entry.star.dec, unit="deg")
    rows = mast.Observations.query_criteria(coordinates=place, radius="0.01 deg", obs_collection=["TESS", "HLSP"])
    assert {str(entry.tic)} == set(rows["target_name"])
    assert max(rows["distance"]) < 1


def test_products_of_rows_lead_to_files(mast):
    rows = mast.Observations.query_criteria(sequence_number=SECTOR, obs_collection="TESS")
    files = mast.Observations.get_product_list(rows[:4])
    assert len(files) == 4
    assert set(files["parent_obsid"]) == set(rows["obsid"][:4])
    assert all(
        str(uri).endswith(str(name)) for uri, name in zip(files["dataURI"], files["productFilename"], strict=True)
    )
    assert files["size"].dtype.kind == "i"


def test_a_list_of_stars_is_found_in_the_catalogue(replica, mast):
    from astropy.coordinates import SkyCoord

    tics = [entry.tic for entry in replica.catalogue.visible(SECTOR)[:3]]
    rows = mast.Mast.mast_query("Mast.Catalogs.Filtered.Tic.Rows", columns="*", ID=[*map(str, tics)])
    assert sorted(int(row["ID"]) for row in rows) == sorted(set(tics))
    star = replica.catalogue.stars()[tics[0]]
    near = mast.Catalogs.query_region(SkyCoord(star.ra, star.dec, unit="deg"), radius="0.01 deg", catalog="TIC")
    assert str(tics[0]) in set(near["ID"])
    assert near["Tmag"].dtype.kind == "f"


@pytest.mark.parametrize(
    ("name", "fields"), [("caom", OBSERVATION), ("advSearchPos", OBSERVATION), ("products", PRODUCT), ("tic", TIC)]
)
def test_the_columns_of_recorded_replies_are_here_with_their_types(recorded, name, fields):
    told = {field["name"]: field["type"] for field in recorded(name)["fields"]}
    ours = dict(fields)
    extra = {"_selected_", "objID1"}  # the client drops the one; the other came with an old cone search
    assert told.keys() - extra <= ours.keys()
    assert {key: kind for key, kind in told.items() if key in ours and ours[key] != kind} == {}
    if name == "tic":
        assert list(told) == list(ours)


@pytest.mark.parametrize("name", ["caom", "products", "tic"])
def test_the_client_reads_recorded_rows_and_ours_into_the_same_columns(recorded, replica, name):
    from astroquery.mast.discovery_portal import _json_to_table

    from hunter.replica.portal import invoke

    entry = replica.catalogue.visible(SECTOR)[0]
    service, params = {
        "caom": ("Mast.Caom.Cone", {"ra": entry.star.ra, "dec": entry.star.dec, "radius": 0.1}),
        "products": ("Mast.Caom.Products", {"obsid": str(entry.obsid)}),
        "tic": ("Mast.Catalogs.Filtered.Tic.Rows", {"columns": "*", "ID": [entry.tic]}),
    }[name]
    document = json.loads(json.dumps(invoke(replica.catalogue, {"service": service, "params": params})))
    real = recorded(name)
    assert document.keys() == real.keys() | {"status", "msg"}
    assert document["paging"].keys() == real["paging"].keys()
    theirs, ours = _json_to_table(real), _json_to_table(document)
    shared = set(theirs.colnames) & set(ours.colnames)
    assert {column: ours[column].dtype.kind for column in shared} == {c: theirs[c].dtype.kind for c in shared}


def test_columns_are_described_as_recorded(recorded):
    from hunter.replica.columns import configuration

    real, ours = recorded("columnsconfig"), configuration("Mast.Caom.Cone")
    told = ("vot.datatype", "type", "separator", "treatNumeric")
    for name in real.keys() & ours.keys():
        theirs = {key: real[name][key] for key in told if key in real[name]}
        mine = {key: ours[name][key] for key in told if key in ours[name]}
        if name not in ("dataRights", "dataURL"):  # described as strings of another name
            assert mine == theirs, name
    assert {"sequence_number", "provenance_name"} <= ours.keys() - real.keys()
    assert recorded("ticcolumns").keys() >= configuration("Mast.Catalogs.TIC.Cone").keys() - {
        "dec",
        "duplicate_id",
        "priority",
    }


def test_lightkurve_finds_a_light_curve(replica, mast):
    import lightkurve

    entry = next(entry for entry in replica.catalogue.visible(SECTOR) if entry.obs_id.endswith("-s"))
    found = lightkurve.search_lightcurve(f"TIC {entry.tic}", author="SPOC", sector=SECTOR, exptime=120)
    assert list(found.table["productFilename"]) == [entry.files[0].name]


def test_the_exoplanet_archive_answers_its_client(replica, monkeypatch):
    from astroquery.ipac.nexsci import nasa_exoplanet_archive as nexsci

    client = nexsci.NasaExoplanetArchiveClass()
    monkeypatch.setattr(client, "URL_TAP", f"{replica.url}/TAP/")
    with nexsci.conf.set_temp("url_tap", f"{replica.url}/TAP/"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = client.query_criteria(table="toi", select="toi,tid,pl_orbper,pl_orbpererr1", where="tfopwg_disp='CP'")
        planets = client.query_criteria(table="pscomppars", select="pl_name,tic_id,pl_orbper")
    assert [float(value) for value in table["toi"]] == [90001.01]
    assert table["pl_orbper"][0] == 3.5
    assert list(planets["pl_name"]) == ["Replica-1 b"]


def test_plain_queries_of_the_exoplanet_archive_are_answered_as_csv(replica):
    rows = query(replica, "select toi,tid,pl_tranmid,pl_trandurh,pl_trandep,tfopwg_disp from toi order by toi desc")
    assert [row["tfopwg_disp"] for row in rows] == ["FP", "CP"]
    assert float(rows[1]["pl_tranmid"]) == 2458600.25
    assert query(replica, "select count(*) from toi where pl_orbper > 5 and tfopwg_disp in ('FP','FA')")[0] == {
        "count": "1"
    }
    assert query(replica, "select top 1 pl_name from ps where pl_name like 'Replica%25'") == [
        {"pl_name": "Replica-1 b"}
    ]
    with pytest.raises(urllib.error.HTTPError, match="400"):
        query(replica, "select nothing from toi")


def test_exofop_lists_tois_and_ctois(replica):
    def page(address, delimiter):
        with urllib.request.urlopen(replica.url + address) as reply:
            return list(csv.DictReader(reply.read().decode().splitlines(), delimiter=delimiter))

    tois = page("/tess/download_toi.php?sort=toi&output=csv", ",")
    assert [(row["TOI"], row["TFOPWG Disposition"]) for row in tois] == [("90001.01", "CP"), ("90002.01", "FP")]
    assert float(tois[0]["Epoch (BJD)"]) == 2458600.25
    assert page("/tess/download_toi.php?sort=toi&output=pipe", "|") == tois
    ctois = page("/tess/download_ctoi.php?sort=ctoi&output=pipe", "|")
    assert [row["Period (days)"] for row in ctois] == ["1.5"]


@pytest.mark.parametrize(
    ("name", "ours"),
    [("toi_exofop_2024-10-17", EXOFOP_TOI), ("ctoi", EXOFOP_CTOI), ("toi_nexsci_2025-10-04", None)],
)
def test_the_tables_of_planets_have_the_columns_of_the_real_ones(shared_data, name, ours):
    with gzip.open(shared_data / "catalogs" / f"{name}.csv.gz", "rt") as stream:
        real = next(csv.reader(line for line in stream if not line.startswith("#")))
    if ours is None:
        assert [column for column, _ in tap_columns("toi")] == real
    else:
        assert ours == [column.removesuffix(".1") for column in real]


def test_a_name_is_resolved_and_cut_out_of_the_sky(replica):
    import io
    import zipfile

    from hunter.archives.fits_file import walk
    from hunter.archives.formats import describe_units

    entry = replica.catalogue.visible(SECTOR)[0]
    with urllib.request.urlopen(
        f"{replica.url}/Santa-war/query?outputFormat=json&name=TIC+{entry.tic},Nobody"
    ) as reply:
        found = json.load(reply)["resolvedCoordinate"]
    assert [(item["searchString"], item["ra"]) for item in found] == [(f"tic {entry.tic}", entry.star.ra)]
    place = f"ra={entry.star.ra}&dec={entry.star.dec}"
    with urllib.request.urlopen(f"{replica.url}/tesscut/api/v0.1/sector", f"{place}&radius=0.0".encode()) as reply:
        assert [row["sector"] for row in json.load(reply)["results"]] == [f"{SECTOR:04d}"]
    form = f"x=5&y=4&units=px&sector={SECTOR}&{place}".encode()
    with urllib.request.urlopen(f"{replica.url}/tesscut/api/v0.1/astrocut", form) as reply:
        files = zipfile.ZipFile(io.BytesIO(reply.read()))
    (name,) = files.namelist()
    assert "cut-out" in describe_units(walk(io.BytesIO(files.read(name))))


def test_the_list_of_targets_comes_before_the_data():
    catalogue = Catalogue()
    catalogue.add_crowd(SECTOR, stars=5, span=0.3, pool=1)
    catalogue.publish_targets(SECTOR)
    with Replica(catalogue) as replica:
        address = f"{replica.url}/wp-content/uploads/all_targets_S{SECTOR:03d}_v1.txt"
        with urllib.request.urlopen(address) as reply:
            lines = reply.read().decode().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == 5
    assert catalogue.visible(SECTOR) == []


def test_a_real_sector_is_served_under_its_real_names(shared_data):
    with gzip.open(shared_data / "catalogs" / "sector_lists" / "nigraha_tic2file-sec6.csv.gz", "rt") as stream:
        names = [row["Filename"] for row in csv.DictReader(stream)]
    catalogue = Catalogue()
    catalogue.add_crowd(6, names=names)
    catalogue.release(6)
    catalogue.publish_script(6)
    text = catalogue.sectors[6].scripts["lc"].text
    assert len(text) == pytest.approx(3.94e6, rel=0.001)
    assert sorted(line.split()[5] for line in text.decode().splitlines()[1:]) == sorted(names)
