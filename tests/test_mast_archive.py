"""MAST as an archive for workers: what was listed, what lies in the store, and nothing over the network."""

import os

import numpy as np
import pytest

from hunter.archives import open_archive
from hunter.archives.base import ArchiveEmpty, FilesGone
from hunter.archives.folder import FolderArchive
from hunter.archives.mast.archive import MastArchive
from hunter.archives.settings import ArchiveSettings
from hunter.replica import Catalogue
from hunter.settings import load
from hunter.supply import file_store, gone_note, split
from pipeline.errors import UnusableData
from pipeline.types import Star, Target
from state.products import Products
from state.releases import Releases
from state.rows import ListedProduct, ReleaseRow
from state.store import State

SECTOR = 7


@pytest.fixture(scope="module")
def crowd():
    """A few simulated files of 120 s and one of 20 s of the same star."""
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(SECTOR, stars=2, span=0.5, pool=2, fast=2)
    catalogue.release(SECTOR)
    files = {}
    for entry in catalogue.visible(SECTOR):
        for file in entry.files:
            files[file.uri] = catalogue.content(entry, file).data
    return files


@pytest.fixture
def settings(tmp_path):
    nowhere = {f"archive.{name}": "http://127.0.0.1:9" for name in ("mast_url", "bulk_url", "s3_endpoint")}
    return load(str(tmp_path), {"archive.source": "mast", **nowhere})


@pytest.fixture
def store(settings):
    return file_store(settings)


def lay(store, source, content):
    place = store.place(*split(source))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def star_of(uri):
    return str(int(uri.split("-")[2]))


def files_of_one_star(crowd):
    first = sorted(crowd)[0]
    return star_of(first), sorted(uri for uri in crowd if star_of(uri) == star_of(first))


def test_the_settings_open_it(settings, tmp_path):
    assert isinstance(open_archive(settings), MastArchive)
    (tmp_path / "mast").mkdir()
    folder = load(str(tmp_path), {"archive.source": "./mast"})
    assert isinstance(open_archive(folder), FolderArchive)


def test_a_target_is_read_from_the_store_as_a_folder_would_be(settings, store, crowd, tmp_path):
    key, uris = files_of_one_star(crowd)
    for uri in uris:
        lay(store, uri, crowd[uri])
    archive = open_archive(settings)
    fetched = archive.fetch(Target("TIC", key), uris)
    (product,) = fetched.products
    assert product.uri == next(uri for uri in uris if uri.endswith("s_lc.fits"))
    assert [uri for uri, _ in fetched.superseded] == [uri for uri in uris if uri.endswith("a_fast-lc.fits")]
    (tmp_path / "tree").mkdir()
    for uri in uris:
        (tmp_path / "tree" / uri.rpartition("/")[2]).write_bytes(crowd[uri])
    folder = FolderArchive(tmp_path / "tree", ArchiveSettings())
    (found,) = folder.targets()
    same = folder.fetch(found.target, found.sources)
    assert fetched.star == same.star
    assert [product.sha256] == [other.sha256 for other in same.products]
    one, other = archive.read(product), folder.read(same.products[0])
    assert one.product == product
    assert np.array_equal(one.time, other.time, equal_nan=True)
    assert np.array_equal(one.flux, other.flux, equal_nan=True)
    again = archive.read(product)  # what was decoded is handed out once; then the file is read
    assert np.array_equal(again.flux, one.flux, equal_nan=True)


def test_what_the_header_leaves_open_comes_from_the_catalogue(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    for uri in uris:
        lay(store, uri, crowd[uri])
    header = open_archive(settings).fetch(Target("TIC", key), uris).star
    catalogue = Star(tmag=1.0, teff=1.0, logg=1.0, radius=1.0, mass=0.77, ra=1.0, dec=1.0)
    star = open_archive(settings).fetch(Target("TIC", key, catalogue), uris).star
    assert star.mass == 0.77
    assert star.tmag == header.tmag


def test_a_file_that_is_not_here_sends_its_target_back(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    archive = open_archive(settings)
    with pytest.raises(FilesGone, match=r"2 of 2 files are not here any more: mast:TESS/product/"):
        archive.fetch(Target("TIC", key), uris)
    place = lay(store, uris[0], crowd[uris[0]])
    fetched = archive.fetch(Target("TIC", key), uris[:1])
    place.unlink()
    with pytest.raises(FilesGone, match="is not here any more"):
        archive.read(fetched.products[0])


def test_a_file_that_was_given_up_is_refused_with_its_reason(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    lay(store, uris[0], crowd[uris[0]])
    note = gone_note(store, uris[1])
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("corrupt:checksum: three downloads were unsound")
    fetched = open_archive(settings).fetch(Target("TIC", key), uris)
    assert fetched.refused == ((uris[1], "corrupt:checksum: three downloads were unsound"),)
    note = gone_note(store, uris[0])
    note.write_text("missing: 404")
    store.place(*split(uris[0])).unlink()
    with pytest.raises(UnusableData, match="missing: 404"):
        open_archive(settings).fetch(Target("TIC", key), uris)


def test_a_file_of_another_star_is_refused(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    other = next(content for uri, content in crowd.items() if star_of(uri) != key)
    lay(store, uris[0], other)
    with pytest.raises(UnusableData, match="was asked for"):
        open_archive(settings).fetch(Target("TIC", key), uris[:1])


def test_a_file_that_changed_since_it_was_checked_is_refused(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    place = lay(store, uris[0], crowd[uris[0]])
    archive = open_archive(settings)
    product = archive.fetch(Target("TIC", key), uris[:1]).products[0]
    place.write_bytes(crowd[uris[0]][:-1] + b"x")
    os.utime(place, (1, 1))
    with pytest.raises(UnusableData, match="has changed since it was checked"):
        archive.read(product)


def test_a_replaced_file_lies_at_a_place_of_its_own(settings, store, crowd):
    key, uris = files_of_one_star(crowd)
    lay(store, uris[0], crowd[uris[0]])
    newer = f"{uris[0]}#spoc-5.1"
    archive = open_archive(settings)
    with pytest.raises(FilesGone):
        archive.fetch(Target("TIC", key), [newer])
    lay(store, newer, crowd[uris[0]])
    product = archive.fetch(Target("TIC", key), [newer]).products[0]
    assert product.uri == newer
    assert archive.read(product).product == product


def test_targets_are_those_that_were_listed(settings):
    with State.open(settings.database) as state:
        archive = MastArchive(settings, state=state)
        with pytest.raises(ArchiveEmpty, match="no sector has been listed yet"):
            list(archive.targets())
        listed = [
            ListedProduct(f"mast:TESS/product/tess2018206045859-s{sector:04d}-{tic:016d}-0120-s_lc.fits", "TIC",
                          str(tic), sector, "SPOC-120", version)
            for sector, tic, version in ((1, 5, ""), (1, 6, "spoc-9"), (2, 5, ""))
        ]  # fmt: skip
        Products(state).enter(listed, 1.0)
        for sector in (1, 2):
            Releases(state).put(ReleaseRow(sector, "SPOC-120", "enumerated"), 1.0)
        found = {item.target.key: item for item in archive.targets()}
        assert {key: len(item.sources) for key, item in found.items()} == {"5": 2, "6": 1}
        assert all(item.remote for item in found.values())
        assert found["6"].sources[0].endswith("-s_lc.fits#spoc-9")
        # a target of the sector asked for comes with all its sectors
        (only,) = MastArchive(settings, [2], state).targets()
        assert only == found["5"]
        with pytest.raises(ArchiveEmpty, match="sector 3 has not been listed yet"):
            list(MastArchive(settings, [3], state).targets())
    assert len(list(MastArchive(settings).targets())) == 2  # it opens the record by itself
