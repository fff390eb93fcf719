"""Catalogues of known objects: read with their traps, refreshed politely, and used while they are stale."""

import gzip
import math
from dataclasses import fields

import pytest
import requests
from loopback import open_shelf

from hunter.archives.settings import ArchiveSettings
from hunter.catalogues import DAY, TABLES, Catalogues, KnownObject, _degrees, in_words, read_table, to_btjd
from pipeline.errors import ArchiveUnavailable

TOI, CTOI, PLANETS, BINARIES = TABLES
NOW = 1.8e9
TOI_PATH = "/tess/download_toi.php?sort=toi&output=csv"
CTOI_PATH = "/tess/download_ctoi.php?sort=ctoi&output=csv"
TOI_HEAD = "TIC ID,TOI,TFOPWG Disposition,Epoch (BJD),Epoch (BJD) err,Period (days),Period (days) err,Depth (ppm)\n"
CTOI_HEAD = "TIC ID,CTOI,User Disposition,Transit Epoch (BJD),Period (days)\n"


def tois(*rows):
    return TOI_HEAD + "".join(",".join(map(str, row)) + "\n" for row in rows)


WASP = (231663901, "101.01", "KP", 2458326.009117, 0.00013, 1.43036995, 7.7e-07, 18960.7)


# ---- reading


def test_a_row_is_read_in_our_units():
    (row,) = read_table(tois(WASP).encode(), TOI)
    assert (row.tic, row.source, row.name, row.disposition) == (231663901, "TOI", "TOI 101.01", "KP")
    assert row.epoch == pytest.approx(1326.009117)
    assert (row.period, row.period_err, row.epoch_err) == (1.43036995, 7.7e-07, 0.00013)
    assert row.depth_ppm == 18960.7
    assert row.duration_hours is None


@pytest.mark.parametrize("nothing", ["", "0", "0.0", "nan", "inf", "-1", "unknown"])
def test_a_period_that_is_not_known_is_none_and_so_is_its_error(nothing):
    (row,) = read_table(tois((5, "1.01", "PC", 2458326.0, nothing, nothing, 0.1, nothing)).encode(), TOI)
    assert (row.period, row.period_err, row.epoch_err, row.depth_ppm) == (None, None, None, None)
    assert row.epoch == pytest.approx(1326.0)


@pytest.mark.parametrize(
    ("epoch", "btjd"),
    [(2458326.0, 1326.0), (1326.0, 1326.0), (2454833.5, -2166.5), (0.0, None), (3458494.1, None), (24581371.2, None),
     (None, None)],
)  # fmt: skip
def test_an_epoch_is_btjd_whatever_it_counts_from(epoch, btjd):
    assert to_btjd(epoch) == (None if btjd is None else pytest.approx(btjd))


def test_pipes_comments_and_a_byte_order_mark_are_read():
    text = "\ufeff# made by an archive\n" + tois(WASP).replace(",", "|")
    assert [row.tic for row in read_table(text.encode(), TOI)] == [231663901]


def test_planets_without_a_tic_are_left_out_and_depths_are_percent():
    text = "tic_id,pl_name,pl_orbper,pl_tranmid,pl_trandep\nTIC 7,X b,3.5,2458000.5,1.5\n,Kepler-1 b,2.0,2455000,1\n"
    (row,) = read_table(text.encode(), PLANETS)
    assert (row.tic, row.name, row.disposition) == (7, "X b", "confirmed")
    assert row.depth_ppm == pytest.approx(15000.0)
    assert row.period_err is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "has no column of stars"),
        ("<html>maintenance</html>", "has no column of stars"),
        ('{"error": 5}', "has no column of stars"),
        (tois(WASP)[:-40], "line 2 of the table of TOIs has 4 cells of 8"),
    ],
)
def test_what_is_no_such_table_is_unknown(content, why):
    with pytest.raises(ArchiveUnavailable, match=f"^unknown: .*{why}"):
        read_table(content.encode(), TOI)


@pytest.mark.parametrize(
    ("file", "table", "rows", "without_period"),
    [
        ("toi_exofop_2024-10-17", TOI, 7241, 101),
        ("toi_nexsci_2025-10-04", TOI, 7703, 107),
        ("toi_mit_early", TOI, 2487, None),
        ("ctoi", CTOI, 1945, None),
    ],
)
def test_real_tables_are_read_whole(shared_data, file, table, rows, without_period):
    content = gzip.decompress((shared_data / "catalogs" / f"{file}.csv.gz").read_bytes())
    found = read_table(content, table)
    assert len(found) == rows
    if without_period is not None:
        assert sum(row.period is None for row in found) == without_period
    for row in found:
        numbers = (row.period, row.period_err, row.epoch, row.epoch_err, row.duration_hours, row.depth_ppm)
        assert all(value is None or math.isfinite(value) for value in numbers)
        assert row.period is None or 0 < row.period < 1e5
        assert row.epoch is None or -3000 < row.epoch < 4000  # found by Kepler or later


@pytest.mark.parametrize(
    ("text", "per_unit", "degrees"),
    [("21:14:56.88", 15, 318.737), ("-55:52:18.71", 1, -55.871864), ("-00:30:00", 1, -0.5), ("12.5", 15, 12.5),
     ("", 1, None), ("1:x:3", 1, None)],
)  # fmt: skip
def test_a_place_is_read_in_degrees_or_in_sixtieths(text, per_unit, degrees):
    assert _degrees(text, per_unit) == (None if degrees is None else pytest.approx(degrees, abs=1e-6))


# ---- refreshing


@pytest.fixture
def shelf():
    with open_shelf() as shelf:
        shelf.put(TOI_PATH, tois(WASP, (5, "1.01", "FP", 1326.0, "", 2.0, "", 100)), etag='"t1"')
        shelf.put(CTOI_PATH, CTOI_HEAD + "231663901,231663901.01,PC,2458326.0,0\n", etag='"c1"')
        planets = "tic_id,pl_name,pl_orbper,pl_tranmid\nTIC 231663901,WASP-46 b,1.43,2455392.3\n"
        archive = archive_at("http://h")
        shelf.put(PLANETS.path(archive).removeprefix("http://h"), planets)
        binaries = "tess_id,bjd0,period,ra,dec\n8,1326.5,2.5,10.0,-45.0\n"
        shelf.put(BINARIES.path(archive).removeprefix("http://h"), binaries)
        yield shelf


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def archive_at(url):
    return ArchiveSettings(exofop_url=url, exoplanet_archive_url=url, bulk_url=url)


def test_a_star_is_known_by_all_catalogues(shelf, session, tmp_path):
    catalogues = Catalogues(tmp_path / "cache")
    assert catalogues.known(5) == []  # nothing is here yet
    assert catalogues.refresh(session, archive_at(shelf.url), lambda: NOW) == []
    assert [(row.source, row.name) for row in catalogues.known(231663901)] == [
        ("planet", "WASP-46 b"), ("TOI", "TOI 101.01"), ("CTOI", "CTOI 231663901.01"),
    ]  # fmt: skip
    assert catalogues.known(6) == []
    assert catalogues.hosts() == {231663901}  # neither a false positive nor a binary makes a host
    assert catalogues.ages(NOW + 60) == {"TOI": 60.0, "CTOI": 60.0, "planet": 60.0, "TESS-EB": 60.0}


def test_what_is_known_around_a_place_is_found_across_the_zero_of_the_circle(shelf, session, tmp_path):
    shelf.put(BINARIES.path(archive_at("")), "tess_id,bjd0,period,ra,dec\n8,1326.5,2.5,359.99,-45.0\n9,1326.5,2.5,,\n")
    catalogues = Catalogues(tmp_path)
    assert catalogues.near(0.0, -45.0, 0.1) == []
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    assert [row.tic for row in catalogues.near(0.0, -45.0, 0.01)] == [8]
    assert catalogues.near(0.0, -45.0, 0.005) == []
    assert catalogues.near(180.0, -45.0, 1.0) == []


def test_a_table_is_asked_for_once_a_day_and_by_condition(shelf, session, tmp_path):
    catalogues = Catalogues(tmp_path)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    asked = len(shelf.asked)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW + DAY - 1)
    assert len(shelf.asked) == asked
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW + DAY)
    assert len(shelf.asked) == asked + 4
    assert shelf.asked[asked][1]["If-None-Match"] == '"t1"'
    assert catalogues.ages(NOW + DAY)["TOI"] == 0


def test_a_new_row_is_known_after_the_next_refresh(shelf, session, tmp_path):
    catalogues = Catalogues(tmp_path)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    shelf.put(TOI_PATH, tois(WASP, (6, "2.01", "PC", 1326.0, "", 2.0, "", 100)), etag='"t2"')
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW + 2 * DAY)
    assert [row.name for row in catalogues.known(6)] == ["TOI 2.01"]
    assert catalogues.known(5) == []


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (503, "busy", "answers 503"),
        (200, "<html>", "has no column"),
        (404, "gone", "no such table any more"),
        (200, TOI_HEAD, "has 0 rows, and had 2"),
    ],
)
def test_a_refresh_that_fails_leaves_the_old_copy_in_use_and_says_so(shelf, session, tmp_path, status, body, why):
    catalogues = Catalogues(tmp_path)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    shelf.put(TOI_PATH, body, status=status)
    (word,) = catalogues.refresh(session, archive_at(shelf.url), lambda: NOW + 3 * DAY)
    assert word.startswith("the table of TOIs is 3 days old and stays in use: unknown: ")
    assert why in word
    assert [row.name for row in catalogues.known(5)] == ["TOI 1.01"]
    assert catalogues.ages(NOW + 3 * DAY)["TOI"] == 3 * DAY


def test_without_any_answer_nothing_is_known_and_that_is_said(session, tmp_path):
    catalogues = Catalogues(tmp_path)
    words = catalogues.refresh(session, archive_at("http://127.0.0.1:9"), lambda: NOW)
    assert [word.split(":")[0] for word in words] == [
        f"the table of {source}s is not here yet" for source in ("TOI", "CTOI", "planet", "TESS-EB")
    ]
    assert catalogues.known(5) == []
    assert catalogues.hosts() == frozenset()


def test_an_index_that_was_damaged_or_lags_behind_is_made_anew(shelf, session, tmp_path):
    catalogues = Catalogues(tmp_path)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    (tmp_path / "known.sqlite").write_bytes(b"not a database" * 100)
    assert catalogues.known(5) == []
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW + 1)  # the copies are young: nothing is asked
    assert [row.name for row in catalogues.known(5)] == ["TOI 1.01"]
    assert not list(tmp_path.glob("*.part"))


def test_every_field_of_a_known_object_is_kept(shelf, session, tmp_path):
    catalogues = Catalogues(tmp_path)
    catalogues.refresh(session, archive_at(shelf.url), lambda: NOW)
    (row,) = catalogues.known(5)
    assert row == KnownObject(5, "TOI", "TOI 1.01", "FP", 2.0, None, 1326.0, None, None, 100.0, "")
    assert len(fields(KnownObject)) == 13


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "less than a minute"), (60, "1 minute"), (7300, "2 hours"), (90_000, "1 day")]
)
def test_an_age_is_told_in_words(seconds, words):
    assert in_words(seconds) == words
