"""The genuine files of shared/data: accepted, refused and read as they should be."""

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pytest

from hunter.archives import fits_file, formats
from hunter.archives.folder import ArchiveSettings, FolderArchive
from hunter.archives.readers.table import NotALightCurve
from pipeline.errors import UnusableData

COLUMNS = ArchiveSettings().columns
MODIFIED = "kplr009579641-2010174085026_llc_cbvshrink.fits"


def fits_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith((".fits", ".fits.gz")))


def genuine(shared_data: Path) -> list[Path]:
    folder = shared_data / "lightcurves"
    paths = fits_below(folder / "spoc") + fits_below(folder / "kepler")
    return [path for path in paths if path.name != MODIFIED and "k2sff" not in path.name]


def test_accepts_all_24_genuine_files_and_refuses_the_modified_one(shared_data):
    paths = genuine(shared_data)
    assert len(paths) == 24
    for path in paths:
        checked = formats.check(path, COLUMNS)
        assert checked.product.author in ("SPOC", "KEPLER", "K2")
        assert checked.identity.kind in ("TIC", "KIC", "EPIC")
        assert checked.notes == ()
    with pytest.raises(UnusableData, match="checksum of LIGHTCURVE is wrong"):
        formats.check(shared_data / "lightcurves" / "kepler" / MODIFIED, COLUMNS)


def test_identity_agrees_with_the_list_of_truth(shared_data):
    with (shared_data / "truth.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 20
    for row in rows:
        identity = formats.identify(shared_data / row["path"])
        assert (identity.kind, identity.key, str(identity.sector)) == ("TIC", row["tic_id"], row["sector"]), row["path"]


def test_reads_what_lightkurve_reads(shared_data):
    import lightkurve  # seconds: only where it is compared with

    folder = shared_data / "lightcurves"
    # one of a kind, for lightkurve takes its time; `benchmarks/read_files.py` compares every file of a folder
    kinds = ("spoc/*s0006*", "kepler/kplr*_llc.fits", "kepler/*k2sff*", "lightkurve_export/*.fits")
    paths = [sorted(folder.glob(kind))[0] for kind in kinds]
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = lightkurve.read(str(path), quality_bitmask="none")
        observed = formats.read(formats.check(path, COLUMNS).product, COLUMNS)
        kept = np.isfinite(observed.time)  # lightkurve drops the others
        assert kept.sum() == len(expected)
        shift = -2167.0 if expected.time.format == "bkjd" else 0.0
        np.testing.assert_array_equal(observed.time[kept], np.asarray(expected.time.value) + shift)
        pairs = [
            ("flux", observed.flux),
            ("centroid_col", observed.centroid_column),
            ("centroid_row", observed.centroid_row),
        ]
        if "k2sff" not in path.name:  # without errors in the file
            pairs += [("flux_err", observed.flux_err), ("quality", observed.quality)]
        for name, ours in pairs:
            if ours is not None and name in expected.colnames:
                theirs = np.ma.filled(
                    np.ma.asarray(getattr(expected[name], "value", expected[name])).astype(float), np.nan
                )
                np.testing.assert_array_equal(ours[kept].astype(float), theirs, err_msg=f"{path.name} {name}")


def test_the_units_of_every_genuine_file_follow_one_another_to_its_end(shared_data):
    pixels, dwarfs = fits_below(shared_data / "pixels"), fits_below(shared_data / "lightcurves" / "ultracool")
    for path in [*genuine(shared_data), *pixels, *dwarfs]:
        raw = path.read_bytes()
        units = fits_file.walk(io.BytesIO(raw))
        assert [unit.start for unit in units] == [0, *(unit.end for unit in units[:-1])]
        assert units[-1].end == len(raw)
        for unit in units:
            assert raw[unit.start :].startswith((b"SIMPLE  =", b"XTENSION="))
            assert raw[: unit.data].rstrip().endswith(b" END")


def test_100_changed_bytes_of_a_genuine_file_are_caught(shared_data, tmp_path):
    whole = (
        shared_data / "lightcurves" / "spoc" / "tess2018349182459-s0006-0000000200319843-0126-s_lc.fits"
    ).read_bytes()
    rng = np.random.default_rng(11)
    path = tmp_path / "changed.fits"
    for place, change in zip(rng.integers(0, len(whole), 100), rng.integers(1, 256, 100), strict=True):
        content = bytearray(whole)
        content[place] ^= int(change)
        path.write_bytes(content)
        with pytest.raises(UnusableData):
            formats.check(path, COLUMNS)


def test_a_genuine_file_cut_at_every_unit_is_refused(shared_data, tmp_path):
    for source in genuine(shared_data)[:3] + genuine(shared_data)[-3:]:
        whole = source.read_bytes()
        for unit in fits_file.walk(io.BytesIO(whole))[:-1]:
            path = tmp_path / "cut.fits"
            path.write_bytes(whole[: unit.end])
            with pytest.raises(UnusableData, match="incomplete"):
                formats.check(path, COLUMNS)


def test_everything_damaged_ends_with_a_reason_in_one_line(shared_data):
    archive = FolderArchive(shared_data / "damaged_and_partial")
    outcomes = {}
    for item in archive.targets():
        try:
            outcomes[item.target.name] = archive.fetch(item.target, item.sources)
        except UnusableData as error:
            outcomes[item.target.name] = str(error)
    # pi Men is there in four light curves of 100 cadences, one of them cut; it stays for the cleaning to refuse
    whole = {name: result for name, result in outcomes.items() if not isinstance(result, str)}
    assert list(whole) == ["TIC 261136679"]
    result = whole["TIC 261136679"]
    assert [product.author for product in result.products] == ["SPOC"]
    assert archive.read(result.products[0]).time.size == 100
    assert len(result.refused) == 1
    assert len(result.superseded) == 2
    reasons = [reason for reason in outcomes.values() if isinstance(reason, str)]
    assert len(reasons) == 15
    for reason in reasons:
        assert "\n" not in reason
        assert any(words in reason for words in ("cut short", "pixel file", "cut-out", "cotrending"))
    assert archive.ignored == ()


def test_every_cut_file_is_refused(shared_data):
    cut = [path for path in fits_below(shared_data / "damaged_and_partial") if "corrupted" in path.name]
    assert len(cut) == 9
    for path in cut:
        with pytest.raises(UnusableData, match="cut short"):
            formats.check(path, COLUMNS)


def test_pixels_and_packed_files_are_refused(shared_data):
    archive = FolderArchive(shared_data / "pixels")
    items = list(archive.targets())
    assert len(items) == 7
    for item in items:
        with pytest.raises(UnusableData, match=r"pixel file|cut-out|unpack it"):
            archive.fetch(item.target, item.sources)


def test_the_two_releases_of_pi_men_are_told_apart(shared_data):
    archive = FolderArchive(shared_data / "lightcurves" / "spoc")
    items = {item.target.name: item for item in archive.targets()}
    assert len(items) == 13
    result = archive.fetch(items["TIC 261136679"].target, items["TIC 261136679"].sources)
    assert [product.data_release for product in result.products] == [42]
    ((uri, reason),) = result.superseded
    assert Path(uri).name == "pi_Men_c.fits"
    assert "release 42" in reason


TABLES = {
    "DAVE__wasp47.csv": "second column is time",
    "SHERLOCK_TOI175__lc_data.csv.gz": "BTJD",
    "allesfitter__pi_men_TESS.csv.gz": "read as BJD; errors of 1 left aside",
    "exovetter__wasp18b_flat_lightcurve.csv.gz": "BTJD",
    "tess-atlas__lightcurve.csv.gz": "deviation in ppt",
    "tess-vetter__sector55_pdcsap.csv.gz": "BTJD",
    "tls__EPIC201367065.csv": "BTJD",
    "watson_TIC25155310__lc_0.csv.gz": "BTJD",
}


@pytest.mark.parametrize("name", TABLES)
def test_reads_the_published_tables(shared_data, name):
    checked = formats.check(shared_data / "lightcurves" / "tables" / name, COLUMNS)
    assert TABLES[name] in checked.product.processing
    observed = formats.read(checked.product, COLUMNS)
    good = np.isfinite(observed.time) & np.isfinite(observed.flux)
    assert good.sum() > 3000
    assert np.median(observed.flux[good]) > 0.5
    assert np.median(np.diff(np.sort(observed.time[good]))) * 86400 == pytest.approx(checked.product.cadence_seconds)


def test_tables_name_their_star_only_where_they_say_so(shared_data):
    folder = shared_data / "lightcurves" / "tables"
    named = formats.identify(folder / "tess-vetter__sector55_pdcsap.csv.gz")
    assert (named.kind, named.key, named.sector) == ("TIC", "188646744", 55)
    assert formats.identify(folder / "watson_TIC25155310__lc_0.csv.gz").kind == "FILE"  # its name would say


@pytest.mark.parametrize(
    "name",
    [
        "tables/SHERLOCK_TOI175__candidates.csv",
        "tables/SHERLOCK_TOI175__centroids.csv.gz",
        "tables/SHERLOCK_TOI175__transits_stats.csv",
        "tables/TRICERATOPS-plus__467331291_TRILEGAL.csv",
        "tables/tess-atlas__tic_data.csv",
        "ultracool/tables/20200218_vetted_flares.csv",
        "ultracool/tables/spts.csv",
        "../MANIFEST.csv",
        "../truth.csv",
    ],
)
def test_other_tables_are_known_as_foreign(shared_data, name):
    with pytest.raises(NotALightCurve):
        formats.identify(shared_data / "lightcurves" / name)


def test_folded_and_contrast_curves_are_refused(shared_data):
    folder = shared_data / "lightcurves" / "tables"
    paths = [*folder.glob("*contrast*.csv"), *folder.glob("TRICERATOPS*lightcurve.csv")]
    assert len(paths) == 5
    for path in paths:
        with pytest.raises(UnusableData, match="neither BJD"):
            formats.check(path, COLUMNS)
