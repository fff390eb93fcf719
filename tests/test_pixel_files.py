"""Target pixel files and cut-outs are read as their makers meant them, and refused in one line where damaged."""

import gzip
import io
import os
from dataclasses import replace
from pathlib import Path

import light_curve_files as files
import numpy as np
import pytest
from astropy.io import fits

from hunter.archives import pixel_files
from hunter.archives.folder import FolderArchive
from hunter.archives.spoc_writer import from_simulation, spoc_bytes
from hunter.replica.catalogue import Catalogue
from hunter.replica.pixels import SIDE, neighbours_of, pixels_of
from hunter.replica.sky import cut_out
from pipeline.clean import clean
from pipeline.errors import UnusableData
from pipeline.simulate import FIRST_KEY, SectorSettings, draw_star, observe, true_signals
from pipeline.surroundings import look_around
from pipeline.types import FieldStar, TransitSignal

SECTOR = 6


@pytest.fixture(scope="module")
def catalogue():
    """SIMULATED: two stars for a fifth of a day, with pixels."""
    made = Catalogue(clock=lambda: 1.6e9)
    made.add_crowd(SECTOR, stars=2, span=0.2, pool=1, pixels=True)
    made.release(SECTOR)
    return made


@pytest.fixture(scope="module")
def content(catalogue):
    """The light curve and the pixels of one star, by the ending of their names."""
    entry = catalogue.visible(SECTOR)[0]
    return {file.subgroup: catalogue.content(entry, file).data for file in entry.files}


@pytest.fixture(scope="module")
def star(catalogue):
    return catalogue.visible(SECTOR)[0]


def cut(catalogue, star, sector=SECTOR) -> bytes:
    import zipfile

    packed = cut_out(catalogue, star.star.ra, star.star.dec, SIDE, 9, sector)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return archive.read(archive.namelist()[0])


# ---------------------------------------------------------------------------------------------------------- reading


def test_a_target_pixel_file_is_read_as_astropy_reads_it(tmp_path, content, star):
    path = files.save(tmp_path, "any_name.fits", content["TP"])
    images = pixel_files.read(path)
    with fits.open(path, memmap=False) as opened:
        table, aperture = opened["PIXELS"].data, opened["APERTURE"]
        kept = np.isfinite(table["TIME"])
        np.testing.assert_array_equal(images.time, table["TIME"][kept])
        np.testing.assert_array_equal(images.flux, table["FLUX"][kept].astype(float))
        np.testing.assert_array_equal(images.flux_err, table["FLUX_ERR"][kept].astype(float))
        np.testing.assert_array_equal(images.quality, table["QUALITY"][kept])
        np.testing.assert_array_equal(images.aperture, (aperture.data & 2) != 0)
        assert images.wcs["CRVAL1"] == aperture.header["CRVAL1"]
        assert (images.column, images.row) == (aperture.header["CRVAL1P"], aperture.header["CRVAL2P"])
    assert images.flux.shape == (images.time.size, SIDE, SIDE)
    assert images.background_taken_off
    assert (images.product.sector, images.product.author, images.product.camera) == (SECTOR, "SIMULATED", 4)
    assert pixel_files.identify(path).key == str(star.tic)


def test_a_packed_file_is_read_too(tmp_path, content):
    path = files.save(tmp_path, "packed.fits.gz", gzip.compress(content["TP"], 1))
    assert pixel_files.read(path).flux.shape[1:] == (SIDE, SIDE)
    assert pixel_files.identify(path).sector == SECTOR


def test_a_cut_out_has_no_aperture_and_its_background(tmp_path, catalogue, star):
    images = pixel_files.read(files.save(tmp_path, "cut.fits", cut(catalogue, star)))
    assert images.flux.shape[1:] == (9, SIDE)
    assert not images.aperture.any()
    assert not images.background_taken_off
    assert (images.column, images.row) == (1000, 600)
    assert images.wcs["CRVAL1"] == star.star.ra


def test_times_out_of_order_are_sorted_and_repeated_ones_dropped(tmp_path, content):
    with fits.open(io.BytesIO(content["TP"]), memmap=False) as opened:
        time = opened["PIXELS"].data["TIME"]
        known = np.flatnonzero(np.isfinite(time))
        time[known[[3, 9]]] = time[known[[9, 3]]]
        time[known[20]] = time[known[21]]
        made = io.BytesIO()
        for unit in opened:
            for name in ("CHECKSUM", "DATASUM"):
                unit.header.remove(name, ignore_missing=True)
        opened.writeto(made)
    images = pixel_files.read(files.save(tmp_path, "mixed.fits", made.getvalue()))
    assert images.time.size == known.size - 1
    assert (np.diff(images.time) > 0).all()


def test_damaged_pixels_are_refused_in_one_line(tmp_path, content):
    whole = content["TP"]
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 255
    faults = {
        "its content was changed": bytes(changed),
        "cut short": whole[:-5760],
        "empty": b"",
        "web page": b"<!DOCTYPE html><html></html>" * 200,
        "no pixels of a target": content["LC"],
        "APERTURE is missing": files.fits_bytes(
            {}, files.table([files.column("TIME", "D", np.arange(5.0)), files.column("FLUX", "9E", np.zeros((5, 9)))],
                            "PIXELS")
        ),
        "its images have 9 pixels": files.pixels(),
    }  # fmt: skip
    for words, bad in faults.items():
        with pytest.raises(UnusableData, match=words) as told:
            pixel_files.read(files.save(tmp_path, "bad.fits", bad))
        assert "\n" not in str(told.value)
    path = files.save(tmp_path, "sound.fits", whole)
    with pytest.raises(UnusableData, match="changed since"):
        pixel_files.read(path, sha256="0" * 64)


# -------------------------------------------------------------------------------------------------- beside light curves


def folder_of(tmp_path: Path, content, name: str = "images.fits") -> FolderArchive:
    files.save(tmp_path, "a/curve.fits", content["LC"])
    files.save(tmp_path, f"b/{name}", content["TP"])
    return FolderArchive(tmp_path, index=tmp_path / ".index")


def test_pixels_beside_a_light_curve_are_found_by_their_headers(tmp_path, content, star):
    archive = folder_of(tmp_path, content)
    (item,) = archive.targets()
    curve, around = item.sources
    assert (Path(curve).name, around) == ("curve.fits", f"pixels:{tmp_path / 'b' / 'images.fits'}")
    assert item.field
    (images,) = archive.pixels(item.sources, [SECTOR])
    assert images.product.uri.endswith("images.fits")
    assert archive.pixels(item.sources, [SECTOR + 1]) == archive.pixels([curve]) == ()
    assert archive.ignored == ()
    assert [Path(product.uri).name for product in archive.fetch(item.target, item.sources).products] == ["curve.fits"]


def test_a_pixel_file_that_comes_later_asks_for_another_hunt_of_the_same_light_curves(tmp_path, content):
    from hunter.checkpoints import files_of, inputs_of

    files.save(tmp_path, "curve.fits", content["LC"])
    archive = FolderArchive(tmp_path, index=tmp_path / ".index")
    (before,) = archive.targets()
    assert (before.field, archive.field_key(before.target, before.sources)) == ("", "")
    files.save(tmp_path, "images.fits", content["TP"])
    (after,) = archive.targets()
    assert after.inputs == before.inputs
    one, other = (inputs_of(item.inputs, "decided", item.field) for item in (before, after))
    assert one != other
    assert files_of(one) == files_of(other)  # no earlier phase runs again
    key = archive.field_key(after.target, after.sources)
    assert key
    os.utime(tmp_path / "images.fits", (1e9, 1e9))
    assert archive.field_key(after.target, after.sources) != key


def test_the_field_of_a_folder_holds_the_target_alone_and_says_so(tmp_path, content, star):
    archive = folder_of(tmp_path, content)
    (item,) = archive.targets()
    products = archive.fetch(item.target, item.sources).products
    field = archive.field_of(item.target, item.sources, products)
    assert len(field.pixels) == 1
    assert [(one.kind, one.key, one.ra) for one in field.stars] == [("TIC", str(star.tic), star.star.ra)]
    assert field.crowding == {SECTOR: pytest.approx(0.995, abs=0.1)}
    assert field.prf == (None,)
    assert any("no catalogue" in note for note in field.notes)
    assert any("analytic" in note for note in field.notes)


def test_damaged_pixels_are_left_out_of_the_field_and_told(tmp_path, content):
    bad = bytearray(content["TP"])
    bad[len(bad) // 2] ^= 255
    archive = folder_of(tmp_path, content | {"TP": bytes(bad)})
    (item,) = archive.targets()
    field = archive.field_of(item.target, item.sources, archive.fetch(item.target, item.sources).products)
    assert field.pixels == ()
    assert any("images.fits: its content was changed" in note for note in field.notes)


def test_a_cut_out_belongs_to_the_target_in_its_middle(tmp_path, catalogue, content, star):
    files.save(tmp_path, "curve.fits", content["LC"])
    files.save(tmp_path, "cut.fits", cut(catalogue, star))
    archive = FolderArchive(tmp_path)
    (item,) = archive.targets()
    (images,) = archive.pixels(item.sources)
    assert not images.background_taken_off
    # the target's own images go before a cut-out
    files.save(tmp_path, "images.fits", content["TP"])
    (item,) = archive.targets()
    (images,) = archive.pixels(item.sources)
    assert images.background_taken_off


def test_pixels_without_their_light_curve_are_refused_as_before(tmp_path, content):
    files.save(tmp_path, "images.fits", content["TP"])
    archive = FolderArchive(tmp_path)
    (item,) = archive.targets()
    assert item.target.kind == "FILE"
    with pytest.raises(UnusableData, match="target pixel file"):
        archive.fetch(item.target, item.sources)


# ------------------------------------------------------------------------------------------------------- real files


def test_genuine_files_of_every_mission_are_read(shared_data):
    expected = {
        "tess_tpf1_TIC273589987.fits": ("TIC", "273589987", 15, (11, 11), 1073, 884),
        "kepler_tpf_KIC6804648_contaminante.fits": ("KIC", "6804648", 10, (7, 7), 278, 268),
        "ktwo211983544-c18_lpd-targ.fits": ("EPIC", "211983544", 18, (5, 7), 740, 796),
        "tess-s0001-4-2_84.291190_-80.469170_6x6_astrocut.fits": ("FILE", "", 1, (6, 6), 1628, 257),
    }
    for name, (kind, key, sector, shape, column, row) in expected.items():
        path = shared_data / "pixels" / name
        identity = pixel_files.identify(path)
        assert (identity.kind, identity.key, identity.sector) == (kind, key, sector)
        images = pixel_files.read(path)
        assert images.flux.shape == (images.time.size, *shape)
        assert (images.column, images.row) == (column, row)
        assert np.isfinite(images.flux).any()
        assert images.aperture.any() == (kind != "FILE")
        assert images.background_taken_off == (kind != "FILE")
        assert (np.diff(images.time) > 0).all()
        assert -2100 < images.time[0] < 4000


def test_damaged_genuine_files_are_refused(shared_data):
    damaged = sorted((shared_data / "damaged_and_partial").glob("test-tpf-*corrupted*.fits"))
    assert len(damaged) == 6
    for path in damaged:
        with pytest.raises(UnusableData, match="cut short"):
            pixel_files.read(path)
    for name in ("tess25155310-s01-first-cadences_no_pm", "tess25155310-s01-first-cadences_no_target_position"):
        identity = pixel_files.identify(shared_data / "damaged_and_partial" / f"{name}.fits.gz")
        assert (identity.key, identity.sector) == ("25155310", 1)
    path = shared_data / "damaged_and_partial" / "test-tpf-tesscut_1x1.fits"
    assert pixel_files.read(path).flux.shape[1:] == (1, 1)


# ------------------------------------------------------------------------------------------- what the replica draws


@pytest.mark.parametrize(("kind", "seed", "status"), [("planet", 3, "pass"), ("blend", 3, "fail")])
def test_the_star_that_dims_in_the_replicas_pixels_is_the_one_that_was_simulated(tmp_path, kind, seed, status):
    simulated = observe(
        draw_star(kind, str(FIRST_KEY), seed, snr=(60, 80)), SectorSettings(number=SECTOR, cadence_seconds=600.0), seed
    )
    whole = spoc_bytes(from_simulation(simulated, date="2020-09-13"))
    beside = neighbours_of(kind, FIRST_KEY, seed)
    images = pixel_files.read(files.save(tmp_path, "x_tp.fits", pixels_of(whole, beside)))
    archive = FolderArchive(files.save(tmp_path, "x_lc.fits", whole))
    found = next(iter(archive.targets()))
    fetched = archive.fetch(found.target, found.sources)
    target = replace(found.target, star=fetched.star)
    catalogue = [target.star, *(star.star(target.star) for star in beside)]
    names = [target.key, *map(str, range(1, len(catalogue)))]
    stars = tuple(
        FieldStar("TIC", name, star.ra, star.dec, tmag=star.tmag) for name, star in zip(names, catalogue, strict=True)
    )
    true = max(true_signals(simulated), key=lambda signal: signal.snr)
    signal = TransitSignal(true.period, true.epoch, true.duration, true.depth, true.snr)
    cleaned = clean([archive.read(product) for product in fetched.products])
    around = look_around(target, signal, cleaned, (images,), stars, (None,), {}, None, ())
    told = {finding.test: str(finding.status) for finding in around.findings}
    assert (told["pixel_offset"], told["host"]) == (status, status)
    host = max(around.pixels.hosts, key=lambda star: star.probability)
    assert host.name == ("TIC 1" if status == "fail" else target.name)
