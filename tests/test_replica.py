"""The loopback MAST talks as the hosts it stands for."""

import json
import re
from urllib.parse import quote

import numpy as np
import pytest
import requests

from hunter.archives import fits_file
from hunter.archives.formats import check
from hunter.replica import Catalogue, Replica, Rule, Rules, Weather, unavailable
from hunter.replica.faults import cut, flipped, reset, short
from hunter.replica.stamps import rows_of, take_apart

SECTOR = 7


@pytest.fixture(scope="module")
def crowd_files():
    """A catalogue of a small crowd, shared: its first release is never changed."""
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=12, span=0.5, pool=3, fast=2, reports=2, hlsp=1)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    return catalogue


@pytest.fixture(scope="module")
def replica(crowd_files):
    with Replica(crowd_files) as running:
        yield running


@pytest.fixture
def session():
    with requests.Session() as made:
        yield made


def small_catalogue(stars=4, **more):
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=stars, span=0.2, pool=2, **more)
    return catalogue


def invoke(session, replica, service, params, **more):
    body = {"service": service, "params": params, "format": "json", "pagesize": 50000, "page": 1, **more}
    reply = session.post(f"{replica.url}/api/v0/invoke", data="request=" + quote(json.dumps(body)),
                         headers={"Content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert reply.status_code == 200
    return reply.json()


def download(session, replica, uri, **headers):
    return session.get(f"{replica.url}/api/v0.1/Download/file?uri={uri}", headers=headers)


def light_curves(replica):
    entries = replica.catalogue.visible(SECTOR)
    return [entry.files[0] for entry in entries if entry.exptime == 120 and entry.source is not None]


def script_url(replica, kind="lc", sector=SECTOR):
    return f"{replica.url}/missions/tess/download_scripts/sector/tesscurl_sector_{sector}_{kind}.sh"


def test_a_stamped_file_passes_every_check_of_the_folder_archive(session, replica, tmp_path):
    for file in light_curves(replica)[:4]:
        whole = download(session, replica, file.uri).content
        assert len(whole) == file.size
        path = tmp_path / file.name
        path.write_bytes(whole)
        with path.open("rb") as stream:
            units = fits_file.walk(stream)
        assert all(fits_file.sum_is_right(whole, unit) for unit in units)
        identity = check(path, ("sap", "pdcsap")).identity
        assert f"{int(identity.key):016d}" in file.name
        assert identity.sector == SECTOR


def test_a_range_is_answered_with_exactly_its_bytes(session, replica):
    file = light_curves(replica)[0]
    whole = download(session, replica, file.uri)
    etag = whole.headers["ETag"]
    part = download(session, replica, file.uri, Range="bytes=5000-", **{"If-Range": etag})
    assert part.status_code == 206
    assert part.content == whole.content[5000:]
    assert part.headers["Content-Range"] == f"bytes 5000-{file.size - 1}/{file.size}"
    changed = download(session, replica, file.uri, Range="bytes=5000-", **{"If-Range": '"another"'})
    assert (changed.status_code, len(changed.content)) == (200, file.size)
    assert download(session, replica, file.uri, Range=f"bytes={file.size}-").status_code == 416


def test_the_script_names_mast_and_every_light_curve(session, replica):
    text = session.get(script_url(replica)).text
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh"
    form = r"curl -C - -L -o (\S+) https://mast.stsci.edu/api/v0.1/Download/file/\?uri=mast:TESS/product/(\S+)"
    found = [re.fullmatch(form, line).groups() for line in lines[1:]]
    assert sorted(name for name, _ in found) == sorted(file.name for file in light_curves(replica))
    assert all(name == again for name, again in found)
    assert session.get(script_url(replica, "fast-lc")).text.count("a_fast-lc.fits") == 4
    assert session.get(script_url(replica, sector=8)).status_code == 404


def test_a_script_that_has_not_changed_is_not_sent_again(session, replica):
    first = session.get(script_url(replica))
    known = {"If-None-Match": first.headers["ETag"]}
    assert session.get(script_url(replica), headers=known).status_code == 304
    since = {"If-Modified-Since": first.headers["Last-Modified"]}
    assert session.get(script_url(replica), headers=since).status_code == 304


def test_the_count_and_the_rows_of_a_sector_agree(session, replica):
    filters = [
        {"paramName": "obs_collection", "values": ["tess"], "separator": ";"},
        {"paramName": "sequence_number", "values": [str(SECTOR)]},
        {"paramName": "t_exptime", "values": [{"min": 100, "max": 130}]},
        {"paramName": "obs_id", "values": [], "freeText": "tess%-s"},
    ]
    rows = invoke(session, replica, "Mast.Caom.Filtered", {"columns": "*", "filters": filters})
    assert len(rows["data"]) == 12
    assert rows["paging"]["rowsTotal"] == 12
    assert {field["name"] for field in rows["fields"]} == set(rows["data"][0])
    count = invoke(session, replica, "Mast.Caom.Filtered", {"columns": "COUNT_BIG(*)", "filters": filters})
    assert count["data"] == [{"Column1": 12}]


def test_pages_together_hold_every_row_once(session, replica):
    params = {"columns": "*", "filters": [{"paramName": "sequence_number", "values": [SECTOR]}]}
    seen = []
    for page in (1, 2, 3):
        reply = invoke(session, replica, "Mast.Caom.Filtered", params, pagesize=7, page=page)
        assert reply["paging"]["pagesFiltered"] == 3
        seen += [row["obsid"] for row in reply["data"]]
    assert len(seen) == len(set(seen)) == 17


def test_products_lead_to_the_files(session, replica):
    entry = replica.catalogue.visible(SECTOR)[0]
    reply = invoke(session, replica, "Mast.Caom.Products", {"obsid": f"{entry.obsid},1"})
    assert [row["dataURI"] for row in reply["data"]] == [entry.files[0].uri]


def test_the_star_catalogue_answers_a_list_of_numbers(session, replica):
    tics = [entry.tic for entry in replica.catalogue.visible(SECTOR)[:3]]
    reply = invoke(session, replica, "Mast.Catalogs.Filtered.Tic.Rows", {"columns": "*", "ID": [*tics, 1]})
    assert [row["ID"] for row in reply["data"]] == tics
    assert len(reply["fields"]) == 89
    assert all(row["Tmag"] is not None for row in reply["data"])


def test_an_unknown_service_is_an_error_of_the_portal(session, replica):
    assert invoke(session, replica, "Mast.Nothing", {})["status"] == "ERROR"


def test_the_bucket_holds_the_same_bytes_under_computed_keys(session, replica):
    file = light_curves(replica)[0]
    tic = file.name.split("-")[2]
    key = f"tess/public/tid/s{SECTOR:04d}/{tic[:4]}/{tic[4:8]}/{tic[8:12]}/{tic[12:]}/{file.name}"
    head = session.head(f"{replica.url}/stpubdata/{key}")
    assert int(head.headers["Content-Length"]) == file.size
    assert session.get(f"{replica.url}/stpubdata/{key}").content == download(session, replica, file.uri).content
    listing = session.get(f"{replica.url}/stpubdata?list-type=2&prefix=tess/public/tid/s{SECTOR:04d}/{tic[:4]}/").text
    assert f"<Key>{key}</Key><LastModified>" in listing
    pages, after = [], ""
    while True:  # page by page
        page = session.get(
            f"{replica.url}/stpubdata?list-type=2&prefix=tess/&max-keys=5&continuation-token={after}"
        ).text
        pages.append(re.findall(r"<Key>([^<]+)</Key>", page))
        if "<IsTruncated>true" not in page:
            break
        after = re.search(r"<NextContinuationToken>([^<]+)<", page).group(1)
    assert [len(keys) for keys in pages] == [5, 5, 4]
    every = [key for keys in pages for key in keys]
    assert every == sorted(set(every))
    wrong = session.get(f"{replica.url}/stpubdata/tess/public/tid/s0001/{file.name}")
    assert (wrong.status_code, "NoSuchKey" in wrong.text) == (404, True)


def test_rows_and_files_trickle_in_and_the_script_comes_later(session):
    catalogue = small_catalogue(stars=10)
    with Replica(catalogue) as replica:
        params = {"columns": "COUNT_BIG(*)", "filters": [{"paramName": "sequence_number", "values": [SECTOR]}]}
        counts = []
        for fraction in (0, 0.3, 1):
            catalogue.release(SECTOR, fraction)
            counts.append(invoke(session, replica, "Mast.Caom.Filtered", params)["data"][0]["Column1"])
        assert counts == [0, 3, 10]
        assert session.get(script_url(replica)).status_code == 404
        catalogue.publish_script(SECTOR)
        assert session.get(script_url(replica)).text.count("curl") == 10


def test_a_reprocessed_file_keeps_name_and_size_and_nothing_else(session, tmp_path):
    catalogue = small_catalogue()
    catalogue.release(SECTOR)
    with Replica(catalogue) as replica:
        file = light_curves(replica)[0]
        before = download(session, replica, file.uri)
        assert catalogue.reprocess(SECTOR) == 4
        after = download(session, replica, file.uri)
    assert len(after.content) == len(before.content)
    assert after.headers["ETag"] != before.headers["ETag"]
    releases = []
    for content in (before.content, after.content):
        (tmp_path / file.name).write_bytes(content)
        releases.append(check(tmp_path / file.name, ("pdcsap",)).identity.data_release)
    assert releases == [42, 43]


def test_a_withdrawn_star_is_gone_from_rows_and_files_but_not_from_the_old_script(session):
    catalogue = small_catalogue()
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    with Replica(catalogue) as replica:
        entry = catalogue.visible(SECTOR)[0]
        assert catalogue.withdraw(entry.tic) == 1
        assert download(session, replica, entry.files[0].uri).status_code == 404
        assert entry.files[0].name in session.get(script_url(replica)).text
        assert len(catalogue.visible(SECTOR)) == 3


def test_the_same_seed_gives_the_same_bytes_and_another_sector_shares_stars():
    one, two, later = (Catalogue(clock=lambda: 0.0) for _ in range(3))
    for catalogue, sector in ((one, SECTOR), (two, SECTOR), (later, 9)):
        catalogue.add_crowd(sector, stars=50, span=0.2, pool=2)
        catalogue.release(sector)
    entries = [catalogue.visible()[5] for catalogue in (one, two)]
    assert one.content(entries[0], entries[0].files[0]) == two.content(entries[1], entries[1].files[0])
    assert len(one.stars().keys() & later.stars().keys()) == 8


def test_each_fault_strikes_the_hit_it_was_planned_for(session):
    catalogue = small_catalogue()
    catalogue.release(SECTOR)
    rules = Rules(
        Rule(unavailable("120"), "download", hits={1}),
        Rule(reset(), "download", hits={2}),
        Rule(cut(0.5), "download", hits={3}),
        Rule(short(0.5), "download", hits={4}),
        Rule(flipped(), "download", hits={5}),
    )
    with Replica(catalogue, plan=rules) as replica:
        file = light_curves(replica)[0]
        first = download(session, replica, file.uri)
        assert (first.status_code, first.headers["Retry-After"]) == (503, "120")
        with pytest.raises(requests.ConnectionError, match="reset"):
            download(session, replica, file.uri)
        for _ in ("cut", "short"):
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                download(session, replica, file.uri)
        wrong = download(session, replica, file.uri).content
        right = download(session, replica, file.uri).content
        assert sum(a != b for a, b in zip(wrong, right, strict=True)) == 1
        log = replica.lines("download")
    assert [line.fault for line in log] == ["503 after 120", "reset", "cut", "short", "flipped", ""]
    assert [line.status for line in log] == [503, 0, 200, 200, 200, 200]


def test_a_host_that_is_away_breaks_connections_and_a_closed_port_refuses_them(session):
    catalogue = small_catalogue()
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    now = [0.0]
    with Replica(catalogue, plan=Weather(0), clock=lambda: now[0]) as replica:
        from hunter.replica import Outage

        replica.plan = Rules(outages=[Outage(10, 20)])
        statuses = []
        for time in (0, 15, 20):
            now[0] = time
            try:
                statuses.append(session.get(script_url(replica)).status_code)
            except requests.ConnectionError:
                statuses.append(None)
        assert statuses == [200, None, 200]
        replica.refuse()
        with pytest.raises(requests.ConnectionError):
            session.get(script_url(replica))
        replica.accept()
        assert session.get(script_url(replica)).status_code == 200


def test_weather_hits_its_share_and_no_file_for_ever():
    from hunter.replica import Request

    weather = Weather(0.3, seed=3, most=2)
    struck = {1: 0, 2: 0, 3: 0}
    for name in map(str, range(500)):
        for attempt in struck:
            request = Request("GET", "download", "", name, "", "", 0, attempt, 0.0)
            struck[attempt] += weather.fault(request) is not None
    assert 0.2 < struck[1] / 500 < 0.4
    assert 0.2 < struck[2] / 500 < 0.4
    assert struck[3] == 0


def test_a_request_through_a_proxy_and_doubled_slashes_find_their_way(session, replica):
    proxies = {"http": replica.url}
    address = f"http://archive.stsci.edu//missions/tess//download_scripts/sector/tesscurl_sector_{SECTOR}_lc.sh"
    assert session.get(address, proxies=proxies).status_code == 200


def test_a_replica_is_started_and_steered_from_another_process_with_its_token(capsys):
    import threading

    from hunter.replica.__main__ import main
    from hunter.replica.control import Remote

    stop = threading.Event()
    arguments = ["--crowd", "6", "--span", "0.2", "--sector", "4", "--held", "--control"]
    running = threading.Thread(target=main, args=(arguments, stop))
    running.start()
    told = ""
    try:
        while "serving" not in told:
            running.join(0.01)
            assert running.is_alive()
            told += capsys.readouterr().out
        url = re.search(r'^mast_url = "(http://127.0.0.1:\d+)"$', told, re.M).group(1)
        token = re.search(r"token (\S+)", told).group(1)
        remote = Remote(url, token)
        assert remote.release(4, 0.5) == 3
        remote.publish_script(4)
        assert (
            requests.get(f"{url}/missions/tess/download_scripts/sector/tesscurl_sector_4_lc.sh").text.count("curl") == 3
        )
        assert remote.reprocess(4, 0.67) == 2
        remote.outage(3600)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/stpubdata")
        summary = remote.summary()
        assert (summary["requests"], summary["most_connections"], summary["faults"]) == (2, 1, {"outage": 1})
        with pytest.raises(ValueError, match="sector 99 is not served here"):
            remote.release(99)
        assert requests.post(f"{url}/replica/release", data={"sector": "4"}).status_code == 403
    finally:
        stop.set()
        running.join(10)


def test_a_replica_of_nothing_is_not_started(capsys, tmp_path):
    from hunter.replica.__main__ import main

    with pytest.raises(SystemExit):
        main([])
    assert "say what to serve" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path)])
    assert "holds no FITS file of TESS" in capsys.readouterr().err


def test_a_simulated_sky_is_served_with_its_truth(session, tmp_path):
    catalogue = Catalogue()
    truth = catalogue.add_sky(tmp_path, stars=9, seed=2, sector=5, cadence_seconds=120, damaged=2)
    assert catalogue.know(truth, share=1.0) > 1
    catalogue.release(5)
    catalogue.publish_script(5)
    with Replica(catalogue) as replica:
        names = re.findall(r"-o (\S+)", session.get(script_url(replica, sector=5)).text)
        assert set(names) == {row.file for row in truth.rows}
        for row in (truth.rows[0], truth.rows[-1]):  # a star and a damaged file, byte for byte
            served = download(session, replica, f"mast:TESS/product/{row.file}").content
            assert served == (tmp_path / row.file).read_bytes()


def test_a_reprocessed_sky_has_the_flux_of_its_new_release(session, tmp_path):
    catalogue = Catalogue()
    catalogue.add_sky(tmp_path, stars=1, sector=5, damaged=0)
    catalogue.release(5)
    (entry,) = catalogue.visible(5)
    before = catalogue.content(entry, entry.files[0])
    catalogue.reprocess(5, {entry.tic}, data_release=50)
    after = catalogue.content(entry, entry.files[0])
    assert (len(before.data), before.etag != after.etag) == (len(after.data), True)


def test_who_comes_back_too_early_is_seen(session):
    catalogue = small_catalogue()
    catalogue.release(SECTOR)
    now = [0.0]
    with Replica(catalogue, Rules(Rule(unavailable("60"), hits={1})), clock=lambda: now[0]) as replica:
        file = light_curves(replica)[0]
        for time in (0, 30, 61):
            now[0] = time
            download(session, replica, file.uri)
        assert [(told.time, later.time) for told, later in replica.hurried()] == [(0, 30)]


def test_a_crowd_is_of_the_kinds_asked_for():
    catalogue = Catalogue()
    crowd = catalogue.add_crowd(SECTOR, stars=200, pool=4, mix={"quiet": 3, "planet": 1})
    catalogue.release(SECTOR)
    kinds = [crowd.kind(entry.tic) for entry in catalogue.visible()]
    assert set(kinds) == {"quiet", "planet"}
    assert 25 < kinds.count("planet") < 75


def test_pixels_of_a_star_hold_its_light_curve(session, tmp_path):
    from astropy.io import fits

    from hunter.archives.formats import describe_units

    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=2, span=0.2, pool=1, pixels=True)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    entry = catalogue.visible(SECTOR)[0]
    light_curve, pixels = entry.files
    with Replica(catalogue) as replica:
        assert session.get(script_url(replica, "tp")).text.count("s_tp.fits") == 4
        assert pixels.name in session.get(script_url(replica, "tp")).text
        whole = download(session, replica, pixels.uri).content
    path = tmp_path / pixels.name
    path.write_bytes(whole)
    assert len(whole) == pixels.size
    with path.open("rb") as stream:
        units = fits_file.walk(stream)
    assert [unit.name for unit in units] == ["PRIMARY", "PIXELS", "APERTURE", "TARGET COSMIC RAY"]
    assert units[0].card("NEXTEND") == 3
    assert units[0].card("TICID") == entry.tic
    assert all(fits_file.sum_is_right(whole, unit) for unit in units)
    assert describe_units(units).startswith("it is a target pixel file")
    curve = rows_of(take_apart(catalogue.content(entry, light_curve).data))
    with fits.open(path, memmap=False) as opened:
        table, aperture = opened["PIXELS"].data, opened["APERTURE"].data
        summed = table["FLUX"][:, aperture & 2 != 0].sum(axis=1)
        assert opened["PIXELS"].columns["FLUX"].dim == "(11,11)"
    here = np.isfinite(curve["SAP_FLUX"])
    assert np.allclose(summed[here], curve["SAP_FLUX"][here], rtol=1e-4)
    assert np.array_equal(table["CADENCENO"], curve["CADENCENO"])


def test_too_many_rows_break_the_connection(session, crowd_files):
    with Replica(crowd_files, most_rows=16) as replica:
        params = {"columns": "*", "filters": [{"paramName": "project", "values": ["TESS"]}]}
        with pytest.raises(requests.ConnectionError):
            invoke(session, replica, "Mast.Caom.Filtered", params)
        params["columns"] = "COUNT_BIG(*)"
        assert invoke(session, replica, "Mast.Caom.Filtered", params)["data"] == [{"Column1": 17}]


def test_genuine_files_are_served_under_their_names(session, shared_data):
    catalogue = Catalogue()
    assert catalogue.add_folder(shared_data / "lightcurves" / "spoc") == 15
    for sector in (1, 2, 3, 6):
        catalogue.release(sector)
    entry, file = catalogue.find("tess2018206045859-s0001-0000000261136679-0120-s_lc.fits")
    assert (entry.tic, entry.sector, entry.exptime, file.size) == (261136679, 1, 120.0, 2039040)
    entry, file = catalogue.find("pi_Men_c.fits")
    assert (entry.tic, entry.sector) == (261136679, 1)
    with Replica(catalogue) as replica:
        assert (
            download(session, replica, file.uri).content
            == (shared_data / "lightcurves" / "spoc" / "pi_Men_c.fits").read_bytes()
        )
