"""Each fault of the replica is the one its name says, seen by a plain client over a real socket."""

import json
import socket

import numpy as np
import pytest
import requests
from faults import (
    BODY,
    CONTENT,
    FITS,
    HTTP,
    MATRIX,
    PORTAL,
    another_etag,
    drip,
    duplicates,
    executing,
    gzipped,
    hang,
    ignores_range,
    null_ids,
    plan,
    range_refused,
    redirect,
    slow_headers,
    wrong_length,
)  # fmt: skip

from hunter.archives import fits_file
from hunter.archives.formats import check
from hunter.replica import Catalogue, Replica, Rules, unavailable
from hunter.replica.stamps import rows_of, take_apart
from pipeline.errors import UnusableData

SECTOR = 3


@pytest.fixture(scope="module")
def replica():
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=6, span=1.0, pool=1)
    catalogue.release(SECTOR)
    with Replica(catalogue) as running:
        yield running


@pytest.fixture
def file(replica):
    replica.forget()
    replica.plan = Rules()
    entry = replica.catalogue.visible(SECTOR)[0]
    return entry.files[0]


@pytest.fixture
def whole(replica, file):
    entry, _ = replica.catalogue.find(file.name)
    return replica.catalogue.content(entry, file).data


def get(replica, file, patience=30, **headers):
    """One request on a connection of its own."""
    address = f"{replica.url}/api/v0.1/Download/file?uri={file.uri}"
    return requests.get(address, headers=headers, timeout=patience, allow_redirects=False)


def ask(replica, columns="*", pagesize=50000):
    params = {"columns": columns, "filters": [{"paramName": "sequence_number", "values": [str(SECTOR)]}]}
    request = {"service": "Mast.Caom.Filtered", "params": params, "pagesize": pagesize, "page": 1}
    return requests.post(f"{replica.url}/api/v0/invoke", data={"request": json.dumps(request)}, timeout=5)


def test_every_fault_has_a_name_of_its_own_within_its_route():
    names = [(case.route, case.name) for case in MATRIX]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", HTTP, ids=lambda case: case.name)
def test_a_fault_of_http_strikes_once_and_then_the_file_comes(replica, file, whole, case):
    replica.plan = plan(case.fault, 1)
    try:
        first = get(replica, file)
    except requests.ConnectionError:
        first = None
    if case.name == "reset":
        assert first is None
    elif case.name in ("html", "empty"):
        assert first.status_code == 200
        assert not first.content.startswith(b"SIMPLE")
    else:
        assert str(first.status_code) in case.name or first.status_code == 302
    assert get(replica, file).content == whole


@pytest.mark.parametrize("case", BODY, ids=lambda case: case.name)
def test_a_fault_of_the_body_breaks_what_its_name_says(replica, file, whole, case):
    replica.plan = plan(case.fault, 1)
    broken = ("cut", "short", "chunked and cut", "length off by +2880")
    if case.name in broken:
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            get(replica, file)
    else:
        told = get(replica, file)
        assert told.status_code == 200
        assert (told.content == whole) == (case.wanted == "sound")
        assert ("Content-Length" in told.headers) == (case.name not in ("chunked", "short without length"))
    assert get(replica, file).content == whole


def test_gzip_tells_the_length_of_what_is_sent(replica, file, whole):
    replica.plan = plan(gzipped(), 1)
    told = get(replica, file)
    assert told.content == whole
    assert int(told.headers["Content-Length"]) < len(whole)


def test_a_length_too_small_leaves_bytes_behind_on_a_connection_that_closes(replica, file, whole):
    replica.plan = plan(wrong_length(-100), 1)
    told = get(replica, file)
    assert told.content == whole[:-100]
    assert told.headers["Connection"] == "close"


@pytest.mark.parametrize("fault", [hang(), slow_headers(30)], ids=lambda fault: fault.name)
def test_silence_lasts_longer_than_the_patience_of_the_client(replica, file, fault):
    replica.plan = plan(fault, 1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        get(replica, file, patience=0.1)


def test_a_drip_never_lets_one_read_time_out(replica, file):
    replica.plan = plan(drip(piece=64, pause=0.01), 1)
    with requests.get(f"{replica.url}/api/v0.1/Download/file?uri={file.uri}", stream=True, timeout=30) as told:
        parts = [next(told.iter_content(64)) for _ in range(3)]
    assert b"".join(parts).startswith(b"SIMPLE  =")


def test_ranges_go_wrong_in_each_way(replica, file, whole):
    etag = get(replica, file).headers["ETag"]
    answers = []
    for fault in (ignores_range(), another_etag(), range_refused()):
        replica.forget()
        replica.plan = plan(fault, 1)
        answers.append(get(replica, file, Range="bytes=100-", **{"If-Range": etag}))
    assert [told.status_code for told in answers] == [200, 206, 416]
    assert answers[1].headers["ETag"] != etag


def test_a_redirect_leads_elsewhere_or_round_and_round(replica, file):
    replica.plan = plan(redirect("http://elsewhere.invalid/file"), 1)
    assert get(replica, file).headers["Location"] == "http://elsewhere.invalid/file"
    replica.forget()
    replica.plan = plan(redirect("{path}"), None)
    with pytest.raises(requests.TooManyRedirects):
        requests.get(f"{replica.url}/api/v0.1/Download/file?uri={file.uri}", timeout=5)


@pytest.mark.parametrize("case", FITS, ids=lambda case: case.name)
def test_a_damaged_file_differs_as_its_name_says(whole, case, tmp_path, file):
    damaged = case.fault.file(whole)
    assert damaged != whole
    path = tmp_path / file.name
    path.write_bytes(damaged)
    if case.name in ("flipped", "header cut", "odd length", "cut at a unit", "20 s named 120 s"):
        with pytest.raises(UnusableData):
            check(path, ("pdcsap",))
    else:  # sound files of somebody else: only the name they came under tells
        identity = check(path, ("pdcsap",)).identity
        assert (identity.key, identity.sector) != (str(int(file.name.split("-")[2])), SECTOR)


@pytest.mark.parametrize("case", CONTENT, ids=lambda case: case.name)
def test_a_file_of_unusable_content_is_sound_fits(whole, case, tmp_path):
    path = tmp_path / "file.fits"
    path.write_bytes(case.fault.file(whole))
    with path.open("rb") as stream:
        units = fits_file.walk(stream)
        assert units[-1].end == path.stat().st_size
    assert all(fits_file.sum_is_right(path.read_bytes(), unit) for unit in units)
    if case.name.startswith("without"):
        return
    rows, before = rows_of(take_apart(path.read_bytes())), rows_of(take_apart(whole))
    expected = {"zero rows": 0, "one cadence": 1, "repeated": 2 * len(before)}
    assert len(rows) == expected.get(case.name, len(before))
    if len(rows) == len(before):
        assert not np.array_equal(rows.tobytes(), before.tobytes())


@pytest.mark.parametrize("case", PORTAL, ids=lambda case: case.name)
def test_a_fault_of_the_portal_changes_its_answer_and_then_passes(replica, file, case):
    sound = {columns: ask(replica, columns).json() for columns in ("*", "COUNT_BIG(*)")}
    answers = {}
    for columns, right in sound.items():
        replica.forget()
        replica.plan = plan(case.fault, 1, route="invoke")
        try:
            answers[columns] = ask(replica, columns).json()
        except (requests.ConnectionError, requests.exceptions.JSONDecodeError):
            answers[columns] = None
        assert ask(replica, columns).json() == right
    assert answers != sound


def test_rows_are_doubled_lack_ids_or_are_not_ready(replica, file):
    rows = []
    for fault in (duplicates(), null_ids(), executing()):
        replica.forget()
        replica.plan = plan(fault, 1, route="invoke")
        rows.append(ask(replica).json())
    assert [len(document["data"]) for document in rows] == [12, 6, 0]
    assert sum(row["obsid"] is None for row in rows[1]["data"]) == 2
    assert rows[2]["status"] == "EXECUTING"


def test_a_plan_counts_each_file_by_itself(replica, file):
    replica.plan = plan(unavailable(), 2)
    files = [entry.files[0] for entry in replica.catalogue.visible(SECTOR)[:2]]
    statuses = [get(replica, item).status_code for item in files * 3]
    assert statuses == [503, 503, 503, 503, 200, 200]


def test_a_client_that_leaves_in_the_middle_hurts_nobody(replica, file, whole):
    with socket.create_connection(("127.0.0.1", replica.port)) as connection:
        connection.sendall(f"GET /api/v0.1/Download/file?uri={file.uri} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.recv(10)
    assert get(replica, file).content == whole
