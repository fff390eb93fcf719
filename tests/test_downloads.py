"""A file is fetched with one request, survives every fault of the way, and gets its name only when it is sound.

The contract holds for both back ends: the archive's own download service and the open bucket of S3.
"""

import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import light_curve_files as made
import numpy as np
import pytest
from far_archives import (
    SECTOR,
    Clock,
    answers,
    archive,
    changed,
    content,
    download_url,
    files,
    header,
    redirect,
    small_sector,
    unmarked,
    wanted,
    way_out,
    wire,
    zipped,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunter.archives.fits_file import BLOCK
from hunter.network import downloads
from hunter.network.downloads import Wanted, fetch
from hunter.network.errors import ArchiveUnavailable, Corrupt, Denied, Faltered, HostDown, Missing
from hunter.network.s3 import url_of
from hunter.network.verifying import Expected, Unsound, verify
from hunter.replica import Fault, Reply, Rule, Rules, Weather, unavailable
from hunter.replica.faults import cut, flipped, html, reset, short, status_page
from hunter.replica.stamps import reprocess

NAME = "the.fits"
FITS = ("Content-Type", "application/fits")


@pytest.fixture(params=["download", "s3"])
def route(request):
    return request.param


@pytest.fixture
def asked(mast, route):
    """The same file, from either back end."""
    one = wanted(mast.url)
    return one if route == "download" else replace(one, urls=(url_of(mast.url, one.uri),))


def hits(fault, *numbers):
    return Rules(Rule(fault, hits=numbers or None))


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def check_whole(done, tmp_path, requests):
    """It is here, it is the file of the archive, nothing else is left, and it took so many requests."""
    path = tmp_path / NAME
    assert path.read_bytes() == content()
    assert (done.path, done.size) == (path, len(content()))
    assert done.sha256 == hashlib.sha256(content()).hexdigest()
    assert done.requests == requests
    assert [name for name in left(tmp_path) if ".bad" not in name] == [NAME]


# ---- where all goes well


def test_a_file_takes_one_get_and_no_head(mast, clock, route, asked, tmp_path):
    done = fetch(way_out(clock), asked, tmp_path / NAME)
    check_whole(done, tmp_path, 1)
    assert [(line.method, line.route) for line in mast.lines()] == [("GET", route)]
    assert done.etag == small_sector().content(*files()[0]).etag
    assert (done.data_release, done.retrieved_at) == (42, 1.6e9 + clock.time)
    assert done.processing
    assert done.created


def test_a_sound_file_that_is_here_takes_no_request(mast, clock, asked, tmp_path):
    (tmp_path / NAME).write_bytes(content())
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 0)
    assert not mast.lines()


def test_an_unsound_file_that_is_here_is_moved_aside_and_fetched(mast, clock, asked, tmp_path):
    (tmp_path / NAME).write_bytes(content()[:-BLOCK])
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)
    assert "cut short" in (tmp_path / f"{NAME}.bad.txt").read_text()
    assert not (tmp_path / f"{NAME}.bad").exists()  # a sound one is here


# ---- the way here: each fault once, and then for ever


RETRIED = {
    "503": unavailable(),
    "503 with an absurd wait": unavailable("-1"),
    "500": status_page(500),
    "502": status_page(502),
    "504": status_page(504),
    "reset before the headers": reset(),
    "a web page": html(),
    "a web page called FITS": answers(200, b"<!DOCTYPE html><html>Back soon</html>", FITS),
    "nothing": answers(200, b"", FITS),
    "no content": answers(204),
    "a part nobody asked for": Fault(
        "206", reply=lambda request, sound: replace(sound, status=206).with_header("Content-Range", "bytes 0-9/10")
    ),
    "a body that is longer than the file": wire(body=content() + b"\0" * BLOCK),
    "a length that is too large": wire(length=len(content()) + 5000),
    "a damaged compression": header("Content-Encoding", "gzip"),
    "a flipped bit": flipped(),
    "a header cut short": changed(lambda whole: whole[:2000]),
    "a length of no whole block": changed(lambda whole: whole[:-1]),
    "an end behind a unit": changed(lambda whole: whole[: whole.index(b"XTENSION= 'IMAGE")]),
}  # fmt: skip


@pytest.mark.parametrize("name", RETRIED)
def test_a_fault_that_passes_costs_one_more_request(mast, clock, asked, tmp_path, name):
    mast.plan = hits(RETRIED[name], 1)
    done = fetch(way_out(clock), asked, tmp_path / NAME)
    requests = len(mast.lines())
    check_whole(done, tmp_path, requests)
    assert requests in (2, 3)


@pytest.mark.parametrize("name", RETRIED)
def test_a_fault_that_stays_leaves_no_file_and_ends(mast, clock, asked, tmp_path, name):
    mast.plan = hits(RETRIED[name])
    with pytest.raises((ArchiveUnavailable, Corrupt)):
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert NAME not in left(tmp_path)
    assert len(mast.lines()) <= 6


@pytest.mark.parametrize("name", RETRIED)
def test_faults_are_waited_out_with_growing_pauses(mast, clock, asked, tmp_path, name):
    mast.plan = hits(RETRIED[name], 1, 2)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, len(mast.lines()))
    assert clock.slept[:2] == pytest.approx([0.5, 1.0])
    assert all(later >= earlier for earlier, later in pairwise(clock.slept))


def test_a_retry_after_is_waited_for_and_counts_as_no_attempt(mast, clock, asked, tmp_path):
    mast.plan = hits(unavailable("30"), *range(1, 8))
    fetch(way_out(clock), asked, tmp_path / NAME)
    times = [line.time for line in mast.lines()]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 30
    assert len(times) == 8


def test_a_host_that_refuses_is_down_after_five_and_costs_no_request_then(mast, clock, asked, tmp_path):
    mast.refuse()
    with pytest.raises(HostDown):
        fetch(door := way_out(clock), asked, tmp_path / NAME)
    mast.accept()
    with pytest.raises(HostDown):
        fetch(door, asked, tmp_path / NAME)
    assert not mast.lines()
    assert left(tmp_path) == []


@pytest.mark.parametrize(("status", "error"), [(404, Missing), (410, Missing), (401, Denied), (403, Denied)])
def test_a_lack_and_a_refusal_are_asked_for_once(mast, clock, asked, tmp_path, status, error):
    mast.plan = hits(answers(status))
    with pytest.raises(error):
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert len(mast.lines()) == 1
    assert left(tmp_path) == []


def test_a_redirect_to_another_host_is_followed(mast, clock, asked, route, tmp_path):
    with archive(clock) as other:
        mast.plan = Rules(Rule(redirect(asked.urls[0].replace(mast.url, other.url))))
        check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)
        assert len(other.lines(route)) == 1


def test_a_loop_of_redirects_is_left_for_later(mast, clock, asked, tmp_path):
    mast.plan = hits(redirect("/api/v0.1/Download/file?uri=again"))
    with pytest.raises(ArchiveUnavailable, match="redirected"):
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert len(mast.lines()) <= 7


# ---- a body that breaks off


BROKEN = {
    "reset within the body": cut(0.6),
    "an end before the length": short(0.6),
    "an end without a length": wire(framing="close", stop_after=30_000),
    "chunks that end too early": wire(framing="chunked", stop_after=30_000),
    "a short body of that length": changed(lambda whole: whole[:30_000]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_rest_is_asked_for_if_the_archive_has_the_same_file(mast, clock, asked, tmp_path, name):
    rule = Rule(BROKEN[name], hits=[1])
    if name == "a short body of that length":  # as a proxy cuts it: its ETag is that of the whole
        body = Fault("short", reply=lambda request, sound: replace(sound, body=sound.body[:30_000]))
        rule = Rule(body, hits=[1])
    mast.plan = Rules(rule)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)
    first, second = mast.lines()
    begin = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert (first.range, second.status) == ("", 206)
    assert 0 < begin <= 30_000
    assert second.sent == len(content()) - begin


def test_a_body_that_breaks_off_again_and_again_is_put_together(mast, clock, asked, tmp_path):
    mast.plan = hits(cut(0.5), 1, 2, 3)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 4)
    begins = [int(line.range[6:-1] or 0) for line in mast.lines() if line.range]
    assert begins == sorted(begins)


def test_without_anything_to_compare_a_file_is_begun_anew(mast, clock, asked, tmp_path):
    mast.plan = hits(unmarked(stop_after=30_000), 1)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)
    assert [line.range for line in mast.lines()] == ["", ""]


def test_a_weak_etag_is_nothing_to_ask_for_the_rest_with(mast, clock, asked, tmp_path):
    mast.plan = hits(unmarked(stop_after=30_000, headers=(("ETag", 'W/"1"'),)), 1)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)
    assert [line.range for line in mast.lines()] == ["", ""]


def test_a_whole_file_in_answer_to_a_range_takes_the_place_of_what_was_here(mast, clock, asked, tmp_path):
    whole = Fault("no ranges", reply=lambda request, sound: Reply(200, (("ETag", '"2"'),), content()))
    mast.plan = Rules(Rule(cut(0.5), hits=[1]), Rule(whole, hits=[2]))
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)


def test_a_part_of_another_file_is_thrown_away_with_what_was_here(mast, clock, asked, tmp_path):
    other = Fault("another ETag", reply=lambda request, sound: sound.with_header("ETag", '"another"'))
    mast.plan = Rules(Rule(cut(0.5), hits=[1]), Rule(other, hits=[2]))
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 3)
    assert mast.lines()[2].range == ""


def test_a_part_from_another_place_is_thrown_away(mast, clock, asked, tmp_path):
    elsewhere = Fault("elsewhere", reply=lambda request, sound: sound.with_header("Content-Range", "bytes 7-9/10"))
    mast.plan = Rules(Rule(cut(0.5), hits=[1]), Rule(elsewhere, hits=[2]))
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 3)


def test_a_range_that_is_refused_begins_the_file_anew(mast, clock, asked, tmp_path):
    mast.plan = Rules(Rule(cut(0.5), hits=[1]), Rule(answers(416), hits=[2]))
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 3)
    assert [bool(line.range) for line in mast.lines()] == [False, True, False]


def test_a_file_that_is_replaced_between_two_halves_is_not_mixed(mast, clock, asked, tmp_path):
    newer = reprocess(content(), 43, "2026-11-01")
    after = Fault("newer", reply=lambda request, sound: Reply(200, (("ETag", '"newer"'),), newer))
    mast.plan = Rules(Rule(cut(0.5), hits=[1]), Rule(after))
    done = fetch(way_out(clock), asked, tmp_path / NAME)
    assert done.path.read_bytes() == newer
    assert (done.data_release, done.created) == (43, "2026-11-01")


def test_a_body_that_takes_too_long_is_given_up_and_gone_on_with(mast, clock, tmp_path):
    mast.plan = hits(wire(piece=30_000, pause=0.5), 1)
    door = way_out(clock, deadline_seconds=0.4)
    door.clock = time.monotonic  # what the archive takes is real here
    done = fetch(door, wanted(mast.url), tmp_path / NAME)
    check_whole(done, tmp_path, len(mast.lines()))
    assert mast.lines()[1].range == "bytes=30000-"


def test_silence_within_a_body_is_given_up_and_gone_on_with(mast, clock, asked, tmp_path):
    mast.plan = hits(wire(piece=30_000, pause=60.0), 1)
    done = fetch(way_out(clock, read_seconds=0.2), asked, tmp_path / NAME)
    check_whole(done, tmp_path, len(mast.lines()))
    assert {line.range for line in mast.lines()} == {"", "bytes=30000-"}


def test_what_a_dead_process_left_is_gone_on_with(mast, clock, asked, tmp_path):
    mast.plan = hits(cut(0.5))
    with pytest.raises(Faltered, match="5 attempts"):
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert left(tmp_path) == [f"{NAME}.part", f"{NAME}.part.json"]
    mast.plan = Rules()
    mast.forget()
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)
    assert mast.lines()[0].range


def test_what_was_left_is_not_gone_on_with_from_another_address(mast, clock, tmp_path):
    one = wanted(mast.url)
    mast.plan = Rules(Rule(cut(0.5), route="download"))
    both = replace(one, urls=(*one.urls, url_of(mast.url, one.uri)))
    check_whole(fetch(way_out(clock), both, tmp_path / NAME), tmp_path, 6)
    assert mast.lines("s3")[0].range == ""


@pytest.mark.parametrize("notes", ["", "{", "[1]", '{"source": 3}'])
def test_a_beginning_whose_notes_are_damaged_is_begun_anew(mast, clock, asked, tmp_path, notes):
    (tmp_path / f"{NAME}.part").write_bytes(b"\0" * 999)
    (tmp_path / f"{NAME}.part.json").write_text(notes)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)
    assert mast.lines()[0].range == ""


def test_a_whole_beginning_that_is_unsound_is_not_gone_on_with(mast, clock, asked, tmp_path):
    mast.plan = hits(flipped(), 1)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)
    assert [line.range for line in mast.lines()] == ["", ""]
    assert "checksum" in (tmp_path / f"{NAME}.bad.txt").read_text()


# ---- framing


@pytest.mark.parametrize("fault", [wire(framing="chunked"), wire(framing="close"), zipped(), unmarked()])
def test_a_file_is_taken_however_it_is_wrapped(mast, clock, asked, tmp_path, fault):
    mast.plan = hits(fault)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)


def test_a_compressed_body_that_breaks_off_is_begun_anew(mast, clock, asked, tmp_path):
    broken = Fault("gzip cut", reply=lambda request, sound: replace(zipped().reply(request, sound), reset_after=2000))
    mast.plan = hits(broken, 1)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 2)
    assert [line.range for line in mast.lines()] == ["", ""]


# ---- files that are unsound where they lie


def damaged(place=20_000):
    return changed(lambda whole: whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])


UNSOUND = {
    "checksum": damaged(),
    "length": changed(lambda whole: whole + b"\0" * BLOCK),
    "complete": changed(lambda whole: whole[: whole.index(b"XTENSION= 'IMAGE")]),
    "begins": changed(lambda whole: b"\0" * len(whole)),
    "structure": changed(lambda whole: whole[:2880] + b"\xff" * 80 + whole[2960:]),
}


@pytest.mark.parametrize("check", UNSOUND)
def test_the_same_content_failing_the_same_check_three_times_is_corrupt(mast, clock, asked, tmp_path, check):
    mast.plan = hits(UNSOUND[check])
    with pytest.raises(Corrupt, match="3 downloads") as caught:
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert caught.value.check == check
    assert caught.value.sha256 == hashlib.sha256((tmp_path / f"{NAME}.bad").read_bytes()).hexdigest()
    assert len(mast.lines()) == 3
    assert left(tmp_path) == [f"{NAME}.bad", f"{NAME}.bad.txt"]


def test_a_whole_file_of_which_more_is_promised_again_and_again_is_corrupt(mast, clock, asked, tmp_path):
    mast.plan = hits(wire(length=len(content()) + BLOCK))
    with pytest.raises(Corrupt, match="more was promised") as caught:
        fetch(way_out(clock), asked, tmp_path / NAME)
    assert caught.value.check == "length"
    assert len(mast.lines()) == 3


def test_other_content_each_time_is_the_way_and_not_the_file(mast, clock, asked, tmp_path):
    mast.plan = Rules(*(Rule(damaged(20_000 + number), hits=[number]) for number in range(1, 9)))
    with pytest.raises(ArchiveUnavailable, match=r"checksum.*5 attempts"):
        fetch(way_out(clock), asked, tmp_path / NAME)


def test_failures_that_are_remembered_count_over_calls(mast, clock, asked, tmp_path):
    told = []

    def refused(check, sha256):
        told.append((check, sha256))
        return 2 + len(told)

    mast.plan = hits(damaged())
    with pytest.raises(Corrupt):
        fetch(way_out(clock), asked, tmp_path / NAME, refused)
    assert [check for check, _ in told] == ["checksum"]
    assert len(mast.lines()) == 1


@pytest.mark.parametrize(
    ("told", "check"),
    [({"star": "77"}, "identity"), ({"sector": 8}, "identity"), ({"cadence_seconds": 20.0}, "cadence")],
)  # fmt: skip
def test_a_file_of_another_star_sector_or_cadence_is_corrupt(mast, clock, tmp_path, told, check):
    with pytest.raises(Corrupt, match="was asked for") as caught:
        fetch(way_out(clock), wanted(mast.url, **told), tmp_path / NAME)
    assert caught.value.check == check


def test_the_file_of_a_20_second_target_called_two_minutes_is_corrupt(mast, clock, tmp_path):
    entry, file = files("FAST-LC")[0]
    one = Wanted(file.uri, (download_url(mast.url, file.uri),), star=str(entry.tic), sector=SECTOR)
    assert fetch(way_out(clock), replace(one, cadence_seconds=20.0), tmp_path / "fast.fits").requests == 1
    with pytest.raises(Corrupt, match="its cadence is 20 s"):
        fetch(way_out(clock), replace(one, cadence_seconds=120.0), tmp_path / NAME)


def test_a_wrong_size_in_the_catalogue_is_a_note_and_no_fault(mast, clock, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    check_whole(fetch(way_out(clock), wanted(mast.url, size=12), tmp_path / NAME), tmp_path, 1)
    assert "the catalogue says 12" in caplog.text


def test_stale_sums_of_a_high_level_product_are_no_fault(mast, clock, tmp_path):
    entry, file = files(provenance="TESS-SPOC")[0]
    one = Wanted(file.uri, (download_url(mast.url, file.uri),), star=str(entry.tic), sector=SECTOR)
    mast.plan = hits(damaged())
    assert fetch(way_out(clock), one, tmp_path / NAME).requests == 1


@pytest.mark.parametrize("what", ["no rows", "one row", "no flux", "no time", "no flux column"])
def test_data_that_no_sky_should_hold_are_no_fault_of_the_download(mast, clock, tmp_path, what):
    rows = {"no rows": 0, "one row": 1}.get(what, 50)
    sky = {name: values[:rows] for name, values in made.sky(50).items()}
    if what in ("no flux", "no time"):
        sky[what.removeprefix("no ")][:] = np.nan
    columns = [one for one in made.spoc_columns(sky) if what != "no flux column" or "FLUX" not in one.name]
    unit = made.table(columns, "LIGHTCURVE", TIMEDEL=120 / 86400, NUM_FRM=60)
    whole = made.fits_bytes({"TELESCOP": "TESS", "TICID": 5, "SECTOR": 1}, unit, made.aperture())
    mast.plan = hits(answers(200, whole, FITS))
    one = wanted(mast.url, star="5", sector=1)
    assert fetch(way_out(clock), one, tmp_path / NAME).size == len(whole)


# ---- several addresses


def test_what_the_bucket_lacks_comes_from_mast(mast, clock, tmp_path):
    one = wanted(mast.url)
    both = replace(one, urls=(url_of(mast.url, one.uri), *one.urls))
    mast.plan = Rules(Rule(answers(404), route="s3"))
    check_whole(fetch(way_out(clock), both, tmp_path / NAME), tmp_path, 2)
    assert [line.route for line in mast.lines()] == ["s3", "download"]


def test_a_bucket_that_is_down_or_unsound_is_left_for_mast(mast, clock, tmp_path):
    one = wanted(mast.url)
    for number, fault in enumerate((reset(), damaged(), answers(403))):
        with archive(clock, Rules(Rule(fault))) as bucket:
            both = replace(one, urls=(url_of(bucket.url, one.uri), *one.urls))
            done = fetch(way_out(clock), both, tmp_path / f"{number}.fits")
            assert done.path.read_bytes() == content()


def test_missing_everywhere_is_missing_and_away_somewhere_is_away(mast, clock, tmp_path):
    one = wanted(mast.url)
    both = replace(one, urls=(url_of(mast.url, one.uri), *one.urls))
    mast.plan = hits(answers(404))
    with pytest.raises(Missing):
        fetch(way_out(clock), both, tmp_path / NAME)
    mast.plan = Rules(Rule(answers(404), route="s3"), Rule(unavailable()))
    with pytest.raises(ArchiveUnavailable):
        fetch(way_out(clock), both, tmp_path / NAME)


# ---- processes


def test_two_fetches_of_one_file_at_once_do_not_write_into_each_other(mast, clock, asked, tmp_path):
    with downloads._owned(tmp_path / NAME), pytest.raises(ArchiveUnavailable, match="another process"):
        fetch(way_out(clock), asked, tmp_path / NAME)
    check_whole(fetch(way_out(clock), asked, tmp_path / NAME), tmp_path, 1)


CHILD = """
import sys, time
from pathlib import Path
from hunter.network import downloads
from hunter.network.door import Door
from hunter.network.settings import NetworkSettings
door = Door(NetworkSettings(contact="https://example.org"))
downloads.fetch(door, downloads.Wanted("mast:TESS/product/x.fits", (sys.argv[1],)), Path(sys.argv[2]))
"""


def test_a_process_killed_within_a_download_leaves_what_the_next_goes_on_with(mast, clock, tmp_path):
    one = wanted(mast.url)
    mast.plan = hits(wire(piece=20_000, pause=60.0), 1)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, one.urls[0], str(tmp_path / NAME)], cwd=Path(__file__).parents[1]
    )
    part = tmp_path / f"{NAME}.part"
    try:
        for _ in range(3000):  # until the first piece is on the disk
            if part.exists() and part.stat().st_size >= 20_000:
                break
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert left(tmp_path) == [f"{NAME}.part", f"{NAME}.part.json"]
    check_whole(fetch(way_out(clock), one, tmp_path / NAME), tmp_path, 1)
    assert mast.lines()[1].range == "bytes=20000-"


def test_a_beginning_keeps_no_secret_of_its_address(mast, clock, tmp_path):
    one = wanted(mast.url)
    mast.plan = hits(cut(0.5))
    secret = replace(one, urls=(f"{one.urls[0]}&token=sesame",))
    with pytest.raises(ArchiveUnavailable) as caught:
        fetch(way_out(clock), secret, tmp_path / NAME)
    notes = (tmp_path / f"{NAME}.part.json").read_text()
    assert "sesame" not in notes + str(caught.value)
    assert set(json.loads(notes)) == {"source", "validator", "etag"}


# ---- the checks themselves


def test_three_hundred_random_changes_of_a_byte_are_all_seen():
    whole, draw = content(), random.Random(300)
    expected = Expected(str(files()[0][0].tic), SECTOR, 120.0)
    verify(whole, expected)
    missed = []
    for _ in range(300):
        place, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        try:
            verify(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :], expected)
        except Unsound:
            continue
        missed.append(place)
    assert missed == []


def test_every_cut_is_seen_also_one_exactly_behind_a_unit():
    whole = content()
    for place in {*range(0, len(whole), BLOCK), 1, 9, 600, 6000, len(whole) - 1}:
        with pytest.raises(Unsound):
            verify(whole[:place], Expected(binding=False))


def genuine(shared_data):
    folder = shared_data / "lightcurves"
    return sorted([*(folder / "spoc").glob("*.fits*"), *(folder / "kepler").glob("*.fits*")])


def test_genuine_files_pass_and_the_one_that_was_changed_does_not(shared_data):
    accepted, refused = [], []
    for path in genuine(shared_data):
        try:
            verify(path.read_bytes(), Expected())
        except Unsound as error:
            refused.append((path.name, error.check))
        else:
            accepted.append(path.name)
    assert len(accepted) == 24
    assert all(check == "checksum" for _, check in refused)
    assert any("cbv" in name.lower() for name, _ in refused)


def test_genuine_files_that_were_cut_are_refused(shared_data):
    paths = sorted((shared_data / "damaged_and_partial").glob("*-corrupted*"))
    assert len(paths) == 9
    for path in paths:
        with pytest.raises(Unsound):
            verify(path.read_bytes(), Expected(binding=False))


# ---- all at once


def test_through_a_night_of_faults_three_threads_bring_every_file_whole(clock, tmp_path):
    faults = [fault for name, fault in RETRIED.items() if name != "no content"] + [cut(0.3), short(0.8), zipped()]
    with archive(clock, weather := Weather(0.6, seed=5, faults=faults, most=3)) as mast:
        door = way_out(clock, attempts=8)
        jobs = [(number, copy) for copy in range(6) for number in range(len(files()))]

        def bring(job):
            number, copy = job
            one = wanted(mast.url, number)
            one = replace(one, urls=(url_of(mast.url, one.uri), *one.urls)) if copy % 2 else one
            return fetch(door, one, tmp_path / f"{number}-{copy}.fits").path.read_bytes() == content(number)

        with ThreadPoolExecutor(3) as pool:
            assert all(pool.map(bring, jobs))
        assert weather.hits.total() > 5
        assert max(line.concurrency for line in mast.lines()) <= 3
        assert {line.method for line in mast.lines()} == {"GET"}
    assert not [name for name in left(tmp_path) if ".part" in name]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted({**RETRIED, **BROKEN})), min_size=1, max_size=6))
def test_after_any_sequence_of_faults_the_file_is_whole_or_not_there(mast, tmp_path_factory, names):
    folder, every = tmp_path_factory.mktemp("any"), {**RETRIED, **BROKEN}
    mast.forget()
    mast.plan = Rules(*(Rule(every[name], hits=[number]) for number, name in enumerate(names, 1)))
    try:
        fetch(way_out(Clock()), wanted(mast.url), folder / NAME)
    except (ArchiveUnavailable, Corrupt):
        assert NAME not in left(folder)
    else:
        assert (folder / NAME).read_bytes() == content()
