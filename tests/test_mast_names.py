"""What MAST's names say, and what becomes of bulk scripts."""

import csv
import gzip
from datetime import UTC, datetime

import pytest
import requests
from loopback import open_shelf

from hunter.archives.mast import names
from hunter.archives.mast.scripts import ask_script, read_script
from hunter.copies import Copies
from pipeline.errors import ArchiveUnavailable

LINE = names.PRODUCTS["SPOC-120"]
FAST = names.PRODUCTS["SPOC-20"]
TESS_SPOC = names.PRODUCTS["TESS-SPOC"]
FILE = "tess2018206045859-s0001-0000000278660115-0120-s_lc.fits"
PLACE = "/missions/tess/download_scripts/sector/tesscurl_sector_1_lc.sh"


def script_of(files, host="https://mast.stsci.edu/api/v0.1/Download/file/", end="\n"):
    lines = [f"curl -C - -L -o {file} {host}?uri=mast:TESS/product/{file}" for file in files]
    return "#!/bin/sh\n" + "\n".join(lines) + end


def some_files(number, sector=1):
    return [f"tess2018206045859-s{sector:04d}-{tic:016d}-0120-s_lc.fits" for tic in range(1, number + 1)]


# ---- names


def test_a_file_name_tells_product_sector_and_star():
    name = names.read_file_name(FILE)
    assert (name.product, name.sector, name.tic, name.key) == ("SPOC-120", 1, 278660115, "278660115")
    assert name.obs_id == "tess2018206045859-s0001-0000000278660115-0120-s"
    assert name.uri == f"mast:TESS/product/{FILE}"
    assert name.pixels == f"mast:TESS/product/{name.obs_id}_tp.fits"


def test_a_fast_light_curve_has_its_own_ending():
    name = names.read_file_name("tess2020266004630-s0030-0000000278660115-0195-a_fast-lc.fits")
    assert name.product == "SPOC-20"
    assert name.obs_id == "tess2020266004630-s0030-0000000278660115-0195-a_fast"
    assert name.pixels.endswith("a_fast-tp.fits")


def test_a_tess_spoc_file_lies_in_folders_of_four_digits():
    name = names.read_file_name("hlsp_tess-spoc_tess_phot_0000010001177219-s0036_tess_v1_lc.fits")
    assert name.tic == 10001177219  # more than 32 bits
    assert name.uri == f"mast:HLSP/tess-spoc/s0036/target/0000/0100/0117/7219/{name.text}"
    assert names.read_uri(name.uri) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        FILE + "/../../etc/passwd",
        FILE.replace("s0001", "s0000"),
        FILE.replace("0000000278660115", "0000000000000000"),
        FILE.replace("0000000278660115", "9000000278660115"),
        FILE.replace("2018206045859", "2018367045859"),
        FILE.replace("2018206045859", "2018206045861"[:-2] + "61"),
        FILE.replace("2018206045859", "1999206045859"),
        FILE + "\n",
        FILE.replace("0", "\u0660"),
        "tess2018206190142-s0001-s0096-0000000278660115-01071_dvt.fits",
        "tess2018206045859-s0001-0000000278660115-0120-s_tp.fits",
    ],
)
def test_what_is_no_light_curve_has_no_name(text):
    assert names.read_file_name(text) is None


@pytest.mark.parametrize(
    "uri", [f"mast:TESS/product/../{FILE}", f"mast:HLSP/{FILE}", f"https://mast.stsci.edu/{FILE}", FILE, ""]
)
def test_a_uri_that_mast_does_not_write_says_nothing(uri):
    assert names.read_uri(uri) is None


def test_data_validation_over_many_sectors_is_no_observation_of_a_sector():
    assert names.read_obs_id("tess2018206190142-s0001-s0096-0000000278660115-01071", LINE) is None
    assert names.read_obs_id("tess2018206045859-s0001-0000000278660115-0120-a_fast", LINE) is None
    assert names.read_obs_id("tess2018206045859-s0001-0000000278660115-0120-s", LINE).text == FILE


def test_a_timestamp_is_a_moment_of_the_mission():
    assert names.timestamp("2018206045859") == datetime(2018, 7, 25, 4, 58, 59, tzinfo=UTC)
    assert names.timestamp("2020366235959") == datetime(2020, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert names.timestamp("2021366000000") is None  # no leap year


def test_addresses_start_at_the_configured_server():
    assert (
        names.download_url("http://127.0.0.1:8000/", f"mast:TESS/product/{FILE}")
        == f"http://127.0.0.1:8000/api/v0.1/Download/file?uri=mast:TESS/product/{FILE}"
    )
    assert names.script_url("http://127.0.0.1:8000", LINE, 1) == "http://127.0.0.1:8000" + PLACE
    assert names.script_url("http://h", TESS_SPOC, 7).endswith("hlsp_tess-spoc_tess_phot_s0007_tess_v1_dl-lc.sh")
    assert names.observation_pattern(LINE, 96) == "tess*-s0096-*-s"


def test_a_product_that_is_not_known_is_named_with_the_choices():
    with pytest.raises(ValueError, match="no product is called 'SPOC-30': choose from SPOC-120, SPOC-20, TESS-SPOC"):
        names.product_line("SPOC-30")


@pytest.mark.parametrize(("sector", "files"), [(6, 19995), (30, 19993), (48, 19958)])
def test_every_name_of_a_real_sector_is_read(shared_data, sector, files):
    path = shared_data / "catalogs" / "sector_lists" / f"nigraha_tic2file-sec{sector}.csv.gz"
    with gzip.open(path, "rt") as stream:
        rows = list(csv.DictReader(stream))
    found, repeated = read_script(script_of([row["Filename"] for row in rows]).encode(), LINE, sector)
    assert (len(found), repeated) == (files, 0)
    assert {name.key for name in found} == {row["tic_id"] for row in rows}


# ---- scripts


def test_hosts_in_a_script_are_never_taken():
    found, _ = read_script(script_of([FILE], host="http://evil.example/x").encode(), LINE, 1)
    assert "evil" not in names.download_url("http://127.0.0.1:1", found[0].uri)


@pytest.mark.parametrize(
    "line",
    [
        "curl -C - -L -o {f} https://mast.stsci.edu/api/v0.1/Download/file/?uri=mast:TESS/product/{f}",
        "curl -f -C - -L -o '{f}' 'https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:TESS/product/{f}'",
        'curl --fail --output "{f}" "http://h:1/api/v0.1/Download/file?uri=mast:TESS/product/{f}"\r',
        "  curl -L -o {f} -C - http://h/file?uri=mast:TESS/product/{f}  ",
    ],
)
def test_lines_are_read_in_the_ways_they_are_written(line):
    text = "#!/bin/sh\n\n# files of sector 1\n" + line.replace("{f}", FILE) + "\n"
    assert [name.text for name in read_script(text.encode(), LINE, 1)[0]] == [FILE]


def test_a_file_that_is_named_twice_counts_once():
    found, repeated = read_script(script_of([FILE, FILE]).encode(), LINE, 1)
    assert (len(found), repeated) == (1, 1)


def test_a_script_without_files_names_none():
    assert read_script(b"#!/bin/sh\n", LINE, 1) == ((), 0)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no script"),
        (b"<html><body>503</body></html>", "is no script but begins '<html>"),
        (b'{"status": "ERROR"}', "is no script"),
        (script_of(some_files(3)).encode()[:-30], "which is no light curve of it"),
        (script_of(some_files(3)).encode()[:-100], "1 of 3 lines .* was it cut"),
        ((script_of(some_files(3)) + "rm -rf /\n").encode(), "1 of 4 lines"),
        (script_of(some_files(3, sector=2)).encode(), "which is no light curve of it"),
        (script_of([FILE.replace("s_lc", "s_tp")]).encode(), "which is no light curve of it"),
        (script_of([FILE]).replace(f"product/{FILE}", "product/other.fits").encode(), "which is no light curve of it"),
        (script_of([FILE]).replace("TESS/product/", "TESS/product/../").encode(), "which is no light curve of it"),
    ],
)
def test_a_script_that_is_damaged_is_unknown(content, why):
    with pytest.raises(ArchiveUnavailable, match=f"^unknown: .*{why}"):
        read_script(content, LINE, 1)


@pytest.fixture
def shelf():
    with open_shelf() as shelf:
        yield shelf


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def test_a_script_is_asked_for_by_condition(shelf, session, tmp_path):
    copies = Copies(session, tmp_path / "scripts")
    assert ask_script(copies, shelf.url, LINE, 1) is None  # 404: not there yet
    shelf.put(PLACE, script_of(some_files(3)), etag='"one"', last_modified="Wed, 21 Oct 2026 07:28:00 GMT")
    first = ask_script(copies, shelf.url, LINE, 1)
    assert first.fresh
    assert len(first.files) == 3
    assert (first.etag, first.modified) == ('"one"', "Wed, 21 Oct 2026 07:28:00 GMT")
    again = ask_script(copies, shelf.url, LINE, 1)
    assert not again.fresh
    assert (again.files, again.sha256, again.etag) == (first.files, first.sha256, first.etag)
    assert shelf.asked[-1][1]["If-None-Match"] == '"one"'
    assert shelf.asked[-1][1]["If-Modified-Since"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    shelf.put(PLACE, script_of(some_files(4)), etag='"two"')
    changed = ask_script(copies, shelf.url, LINE, 1)
    assert changed.fresh
    assert changed.sha256 != first.sha256


def test_a_server_without_conditions_is_known_by_the_hash(shelf, session, tmp_path):
    copies = Copies(session, tmp_path)
    shelf.put(PLACE, script_of(some_files(3)))
    assert ask_script(copies, shelf.url, LINE, 1).sha256 == ask_script(copies, shelf.url, LINE, 1).sha256


def test_a_copy_that_was_damaged_on_disk_is_asked_for_anew(shelf, session, tmp_path):
    copies = Copies(session, tmp_path)
    shelf.put(PLACE, script_of(some_files(3)), etag='"one"')
    ask_script(copies, shelf.url, LINE, 1)
    (tmp_path / "SPOC-120-s0001.sh").write_text("#!/bin/sh\n")
    assert ask_script(copies, shelf.url, LINE, 1).fresh
    assert "If-None-Match" not in shelf.asked[-1][1]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"body": "<html>maintenance</html>", "content_type": "text/html"}, "a page of HTML"),
        ({"body": script_of(some_files(3))[:-100]}, "was it cut"),
        ({"body": "busy", "status": 503}, "answers 503"),
        ({"body": "no", "status": 403}, "answers 403"),
        ({"body": script_of(some_files(3)), "content_length": "5000"}, "unknown"),
    ],
)
def test_a_bad_answer_is_unknown_and_leaves_the_copy_alone(shelf, session, tmp_path, answer, why):
    copies = Copies(session, tmp_path)
    shelf.put(PLACE, script_of(some_files(2)), etag='"one"')
    good = ask_script(copies, shelf.url, LINE, 1)
    shelf.put(PLACE, **answer)
    with pytest.raises(ArchiveUnavailable, match=why):
        ask_script(copies, shelf.url, LINE, 1)
    shelf.put(PLACE, script_of(some_files(2)), etag='"one"')
    assert ask_script(copies, shelf.url, LINE, 1).files == good.files


def test_a_server_that_is_not_there_is_unknown(session, tmp_path):
    with pytest.raises(ArchiveUnavailable, match=r"^unknown: http://127\.0\.0\.1:9/.*ConnectionError"):
        ask_script(Copies(session, tmp_path), "http://127.0.0.1:9", LINE, 1)
