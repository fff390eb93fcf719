"""The store of downloaded files: names that stay inside, room that is made, pauses that end by themselves."""

import os
import resource
from contextlib import contextmanager

import pytest
from far_archives import content, wanted, way_out
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter.network import downloads
from hunter.network.errors import Corrupt, Missing
from hunter.network.files import FileStore, Pause
from hunter.network.settings import FilesSettings
from hunter.replica import Rule, Rules
from hunter.replica.faults import flipped
from state.products import Products
from state.rows import FetchedProduct, ListedProduct, NewTarget
from state.status import Status
from state.store import State

DAY = 86400.0


@pytest.fixture
def state(tmp_path):
    with State.open(str(tmp_path / "hunter.sqlite")) as opened:
        yield opened


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path / "files")


# ---- names


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=300) | st.sampled_from(["", ".", "..", "/", "a/..", "../../etc/passwd", "mast:x/y.part", "a\0b"])
)
def test_no_uri_leads_out_of_the_folder(uri):
    store = FileStore("/home/hunt/files")  # type: ignore[arg-type]
    path = store.place(uri)
    assert path.parent.parent == store.folder
    assert os.path.normpath(path) == str(path)
    assert path.name.isascii()
    assert path.name.isprintable()
    assert len(path.name) < 200
    assert not path.name.endswith((".part", ".json", ".bad", ".txt", ".gone")) or uri.endswith((".json", ".txt"))
    assert store.at(store.relative(path)) == path


def test_the_name_of_a_file_can_be_read_and_two_uris_and_versions_never_share_one(store):
    path = store.place("mast:TESS/product/tess2018206045859-s0001-0000000278660115-0120-s_lc.fits")
    assert path.name.endswith("-tess2018206045859-s0001-0000000278660115-0120-s_lc.fits")
    same = {store.place(uri) for uri in ("a/x.fits", "b/x.fits", "A/x.fits", "a\\x.fits", "a_x.fits", "a/x.fits ")}
    assert len(same) == 6
    assert store.place("a/x.fits", "2") != store.place("a/x.fits")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ""])
def test_a_row_that_names_a_place_outside_is_refused(store, path):
    with pytest.raises(ValueError, match="no file of the store"):
        store.at(path)


# ---- fetching into it


def test_a_file_lies_under_its_uri_and_is_not_asked_for_again(mast, clock, store):
    one = wanted(mast.url)
    done = store.fetch(way_out(clock), one)
    assert done.path == store.place(one.uri)
    assert done.path.read_bytes() == content()
    again = store.fetch(way_out(clock), one)
    assert (again.requests, again.sha256) == (0, done.sha256)
    assert len(mast.lines()) == 1


def test_a_new_version_is_another_file_though_name_and_size_are_the_same(mast, clock, store):
    one = wanted(mast.url)
    old, new = store.fetch(way_out(clock), one, "1"), store.fetch(way_out(clock), one, "2")
    assert old.path != new.path
    assert new.requests == 1


def test_what_cannot_be_had_is_told_as_it_is(mast, clock, store):
    with pytest.raises(Missing):
        store.fetch(way_out(clock), wanted(mast.url, urls=(f"{mast.url}/nothing",)))
    mast.plan = Rules(Rule(flipped()))
    with pytest.raises(Corrupt):
        store.fetch(way_out(clock), wanted(mast.url))


# ---- pauses


def test_downloads_pause_while_the_disk_is_nearly_full_and_go_on_by_themselves(mast, clock, tmp_path):
    left = [4e9]
    store = FileStore(tmp_path / "files", FilesSettings(free_gb=5.0), free=lambda folder: left[0])
    held = store.fetch(way_out(clock), wanted(mast.url))
    assert isinstance(held, Pause)
    assert "4.0 GB left, and [files] free_gb keeps 5" in held.reason
    assert not mast.lines()
    left[0] = 6e9
    assert store.pause() is None
    assert store.fetch(way_out(clock), wanted(mast.url)).requests == 1


@contextmanager
def no_room_beyond(size):
    """The kernel lets no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_is_a_pause_and_passes_when_there_is_room_again(mast, clock, store):
    one = wanted(mast.url)
    with no_room_beyond(20_000):
        held = store.fetch(way_out(clock), one)
        assert isinstance(held, Pause)
        assert "cannot be written" in held.reason
        assert store.pause() == held
        store.fetch(way_out(clock), one)
        assert len(mast.lines()) == 1  # nothing is asked for that could not be kept
    assert not [path for path in store.folder.rglob("*.part*") if path.stat().st_size]
    assert store.pause() is None
    assert store.fetch(way_out(clock), one).path.read_bytes() == content()


def test_a_folder_that_cannot_be_made_is_a_pause_until_it_can(mast, clock, store):
    store.folder.write_text("in the way")
    assert isinstance(store.fetch(way_out(clock), wanted(mast.url)), Pause)
    assert isinstance(store.pause(), Pause)
    assert not mast.lines()
    store.folder.unlink()
    assert store.fetch(way_out(clock), wanted(mast.url)).requests == 1


# ---- room


def put(state, store, number, size=1000, now=1.0):
    """A product of a star that lies in the store."""
    uri = f"mast:{number}"
    products = Products(state)
    products.enter([ListedProduct(uri, "TIC", str(number), 1, "SPOC-120")], now)
    path = store.place(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\0" * size)
    products.fetched([FetchedProduct(uri, store.relative(path), size, "0" * 64, retrieved_at=now)], now)
    return path


def quota(store, kilobytes):
    return FileStore(store.folder, FilesSettings(quota_gb=kilobytes * 1e-6))


def test_the_longest_unused_files_make_room_and_no_more_than_needed(state, store):
    paths = {number: put(state, store, number, now=float(number)) for number in (3, 1, 2, 4)}
    Products(state).used(["mast:1"], 9.0)
    assert quota(store, 4).make_room(Products(state), 1500) is None
    assert [number for number, path in sorted(paths.items()) if path.exists()] == [1, 4]
    assert Products(state).bytes_here() == 2000
    assert Products(state).get(["mast:2"])["mast:2"]["path"] is None


def test_nothing_is_removed_while_there_is_room(state, store):
    path = put(state, store, 1)
    assert quota(store, 5).make_room(Products(state), 4000) is None
    assert path.exists()


def test_what_targets_still_need_is_never_removed_and_full_of_it_is_a_pause(state, store):
    names = {"waits": 1, "runs": 2, "candidate": 3, "done": 4}
    state.enqueue([NewTarget("TIC", str(n), "first", (f"mast:{n}",), remote=True) for n in names.values()], 1.0)
    paths = {name: put(state, store, number) for name, number in names.items()}
    state.arrived(state.claim_wanted("courier", 9, 2.0), 3.0)
    claims = {claim.key: claim for claim in state.claim("w", 4, 4.0)}
    state.finish(claims["3"], Status.CANDIDATE, "a planet", 5.0)
    state.finish(claims["4"], Status.NO_SIGNAL, "nothing", 5.0)
    state.release([claims["1"]], 5.0)
    held = quota(store, 1).make_room(Products(state))
    assert isinstance(held, Pause)
    assert "quota_gb" in held.reason
    assert {name for name, path in paths.items() if path.exists()} == {"waits", "runs", "candidate"}
    state.finish(claims["2"], Status.NO_SIGNAL, "nothing", 6.0)
    assert quota(store, 2).make_room(Products(state)) is None
    assert not paths["runs"].exists()


def test_a_file_that_somebody_has_removed_makes_no_trouble(state, store):
    put(state, store, 1).unlink()
    assert quota(store, 0.5).make_room(Products(state)) is None
    assert Products(state).bytes_here() == 0


# ---- what dead processes left


def aged(path, seconds, text=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    os.utime(path, (path.stat().st_mtime - seconds,) * 2)
    return path


def test_old_beginnings_go_and_young_and_owned_ones_stay(store, clock):
    shard = store.folder / "ab"
    old = [aged(shard / "1.fits.part", 2 * DAY), aged(shard / "1.fits.part.json", 2 * DAY)]
    young = [aged(shard / "2.fits.part", 0.1 * DAY), aged(shard / "2.fits.part.json", 0.1 * DAY)]
    alone = aged(shard / "3.fits.part.json", 0)
    with downloads._owned(shard / "4.fits") as part:
        part._write(b"beginning")
        os.utime(shard / "4.fits.part", (0, 0))
        assert store.sweep() == 2
    assert not any(path.exists() for path in [*old, alone])
    assert all(path.exists() for path in [*young, shard / "4.fits.part"])


def test_files_that_failed_a_check_are_kept_for_a_month(store):
    shard = store.folder / "ab"
    kept = [aged(shard / "1.fits.bad", 20 * DAY), aged(shard / "1.fits.bad.txt", 20 * DAY)]
    gone = [aged(shard / "2.fits.bad", 31 * DAY), aged(shard / "2.fits.bad.txt", 31 * DAY)]
    assert store.sweep() == 2
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_finished_files_go_only_if_they_are_old_and_no_row_names_them(state, store):
    known, unknown = put(state, store, 1), aged(store.place("mast:7"), 2 * DAY)
    young, note = aged(store.place("mast:8"), 0), aged(store.place("mast:9").with_suffix(".gone"), 9 * DAY)
    os.utime(known, (0, 0))
    assert store.sweep() == 0  # without the record nothing finished is touched
    assert store.sweep(Products(state)) == 1
    assert (known.exists(), unknown.exists(), young.exists(), note.exists()) == (True, False, True, True)


def test_a_clock_that_went_back_removes_nothing(store):
    path = aged(store.folder / "ab" / "1.fits.part", 0)
    assert FileStore(store.folder, now=lambda: 5.0).sweep() == 0
    assert path.exists()


def test_a_finished_file_without_a_row_is_taken_over_without_a_request(mast, clock, store, state):
    """As a process leaves it that is killed between the rename and the commit of the row."""
    one = wanted(mast.url)
    first = store.fetch(way_out(clock), one)
    found = FileStore(store.folder).fetch(way_out(clock), one)
    assert (found.requests, found.sha256, found.path) == (0, first.sha256, first.path)
    assert len(mast.lines()) == 1


def test_an_empty_store_is_swept_without_trouble(store):
    assert store.sweep() == 0
