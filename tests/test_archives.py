"""A folder of light curves as an archive: what is found, what is taken, what is refused and why."""

import errno
import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import light_curve_files as files
import numpy as np
import pytest

from hunter.archives import formats
from hunter.archives.base import ArchiveEmpty, Fetched, FoundTarget
from hunter.archives.folder import ArchiveSettings, FolderArchive
from hunter.archives.spoc_writer import SpocLightCurve, table, write_spoc
from pipeline.errors import ArchiveUnavailable, UnusableData
from pipeline.types import Target

TIC = str(files.TIC)


def found(archive: FolderArchive) -> dict[str, FoundTarget]:
    return {item.target.name: item for item in archive.targets()}


def fetched(archive: FolderArchive, name: str) -> Fetched:
    item = found(archive)[name]
    return archive.fetch(item.target, item.sources)


def refused(archive: FolderArchive, name: str) -> str:
    with pytest.raises(UnusableData) as caught:
        fetched(archive, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def taken(result: Fetched) -> list[str]:
    return [Path(product.uri).name for product in result.products]


def csv(time_zero: float = 1325.0, head: str = "") -> str:
    rows = "\n".join(f"{time_zero + i / 720},{1 + 1e-3 * (i % 7)}" for i in range(300))
    return f"{head}time,flux\n{rows}\n"


# ---- what is found


def test_lists_targets_by_header_whatever_the_files_are_called(tmp_path):
    files.save(tmp_path, "deep/er/one.fits", files.spoc(tic=7, sector=1))
    files.save(tmp_path, "two.dat", files.spoc(tic=7, sector=2))
    files.save(tmp_path, "tess-s0001-0000000000000099-lc.fits", files.kepler(10002792))
    files.save(tmp_path, "my star.csv", csv())
    files.save(tmp_path, "named.csv", csv(head="# tic_id: 12\n# sector: 3\n"))
    targets = found(FolderArchive(tmp_path))
    assert list(targets) == ["FILE my star.csv", "KIC 10002792", "TIC 12", "TIC 7"]
    assert [Path(source).name for source in targets["TIC 7"].sources] == ["one.fits", "two.dat"]
    assert targets["TIC 7"].target.star.tmag == 5.097


def test_brighter_stars_come_earlier(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc(tic=1, TESSMAG=8.0))
    files.save(tmp_path, "b.fits", files.spoc(tic=2, TESSMAG=14.0))
    files.save(tmp_path, "c.csv", csv())
    targets = found(FolderArchive(tmp_path))
    assert targets["TIC 1"].priority > targets["TIC 2"].priority > targets["FILE c.csv"].priority == 0


def test_combines_sectors_or_keeps_them_apart(tmp_path):
    for sector in (1, 2):
        files.save(tmp_path, f"{sector}.fits", files.spoc(sector=sector))
    files.save(tmp_path, "k.fits", files.kepler(5, quarter=3))
    assert list(found(FolderArchive(tmp_path, combine="all"))) == ["KIC 5", f"TIC {TIC}"]
    apart = FolderArchive(tmp_path, combine="sector")
    assert list(found(apart)) == ["KIC 5 q0003", f"TIC {TIC} s0001", f"TIC {TIC} s0002"]
    assert taken(fetched(apart, f"TIC {TIC} s0002")) == ["2.fits"]


def test_the_inputs_change_with_the_files_and_only_then(tmp_path):
    path = files.save(tmp_path, "a.fits", files.spoc())
    first = found(FolderArchive(tmp_path))[f"TIC {TIC}"].inputs
    assert found(FolderArchive(tmp_path))[f"TIC {TIC}"].inputs == first
    os.utime(path, ns=(1, 1_000_000_007))
    second = found(FolderArchive(tmp_path))[f"TIC {TIC}"].inputs
    files.save(tmp_path, "b.fits", files.spoc(sector=2))
    assert len({first, second, found(FolderArchive(tmp_path))[f"TIC {TIC}"].inputs}) == 3


def test_a_single_file_is_an_archive_too(tmp_path):
    files.save(tmp_path, "other.fits", files.spoc(tic=9))
    archive = FolderArchive(files.save(tmp_path, "one.csv", csv()))
    assert list(found(archive)) == ["FILE one.csv"]
    assert archive.read(fetched(archive, "FILE one.csv").products[0]).time.size == 300


def test_only_the_files_and_sectors_asked_for(tmp_path):
    paths = [files.save(tmp_path, f"{sector}.fits", files.spoc(sector=sector)) for sector in (1, 2, 3)]
    assert len(found(FolderArchive(tmp_path, sectors=[2, 3]))[f"TIC {TIC}"].sources) == 2
    assert found(FolderArchive(tmp_path, only=[paths[0]]))[f"TIC {TIC}"].sources == (str(paths[0]),)
    with pytest.raises(ArchiveEmpty, match="sector 9"):
        found(FolderArchive(tmp_path, sectors=[9]))


def test_a_file_asked_for_by_name_that_is_no_light_curve_says_so(tmp_path):
    path = files.save(tmp_path, "MANIFEST.csv", "path,bytes\na.fits,3\n")
    files.save(tmp_path, "a.fits", files.spoc())
    with pytest.raises(ArchiveEmpty, match=r"MANIFEST\.csv: it is no light curve"):
        found(FolderArchive(tmp_path, only=[path]))


# ---- nothing to hunt


@pytest.mark.parametrize(
    "make", [lambda p: None, Path.mkdir, lambda p: (p.mkdir(), (p / "README.md").write_text("Hello"))]
)
def test_a_missing_an_empty_and_a_foreign_folder_are_one_clear_line(tmp_path, make):
    folder = tmp_path / "curves"
    make(folder)
    with pytest.raises(ArchiveEmpty) as caught:
        found(FolderArchive(folder))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_foreign_is_counted_and_named(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc())
    files.save(tmp_path, "README.md", "# time,flux\n1 2\n3 4\n")
    files.save(tmp_path, "truth.csv", "path,tic_id,period_days\na.fits,1,2.0\n")
    files.save(tmp_path, "plot.png", b"\x89PNG\r\n")
    files.save(tmp_path, ".git/config", "[core]")
    archive = FolderArchive(tmp_path)
    assert list(found(archive)) == [f"TIC {TIC}"]
    assert [path for path, _ in archive.ignored] == [".git", "README.md", "plot.png", "truth.csv"]
    assert archive.ignored_line() == (
        "4 files that are no light curve left aside: .git, README.md, plot.png, truth.csv"
    )  # fmt: skip


# ---- what claims to be data and is not


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.fits", b"", "empty"),
        ("page.fits", b"<!DOCTYPE html><title>503</title>", "web page"),
        ("page.csv", b"<!DOCTYPE html><title>503</title>", "web page"),
        ("cut.fits", files.spoc()[:4000], "cut short"),
        ("pixels.fits", files.pixels(), "target pixel file"),
        ("image.fits", files.fits_bytes({"TELESCOP": "HST"}, files.aperture()), "image"),
        ("many.zip", b"PK\x03\x04" + bytes(100), "archive"),
        ("noise.csv", bytes(range(256)) * 8, "neither FITS nor text"),
        ("empty.csv", b"", "empty"),
        ("headers.csv", b"time,flux\n", "no line"),
        ("phase.csv", b"time,flux\n" + b"".join(b"%f,1.0\n" % (i / 100) for i in range(99)), "folded"),
        ("cut.fits.gz", gzip.compress(files.spoc())[:3000], "cut short"),
        ("twice.fits.gz", gzip.compress(gzip.compress(files.spoc())), "compressed twice"),
    ],
)
def test_every_broken_file_becomes_a_target_that_ends_with_a_reason(tmp_path, name, content, words):
    files.save(tmp_path, f"sub/{name}", content)
    archive = FolderArchive(tmp_path)
    targets = list(archive.targets())
    assert len(targets) == 1
    with pytest.raises(UnusableData, match=words) as caught:
        archive.fetch(targets[0].target, targets[0].sources)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_links_that_lead_nowhere_or_back_end_with_a_reason(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc())
    (tmp_path / "nowhere.fits").symlink_to(tmp_path / "gone.fits")
    (tmp_path / "round.fits").symlink_to(tmp_path / "round.fits")
    (tmp_path / "loop").symlink_to(tmp_path)
    archive = FolderArchive(tmp_path)
    assert list(found(archive)) == ["FILE nowhere.fits", "FILE round.fits", f"TIC {TIC}"]
    assert "does not exist" in refused(archive, "FILE nowhere.fits")
    assert "leads back" in refused(archive, "FILE round.fits")


def test_pipes_are_never_opened(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc())
    os.mkfifo(tmp_path / "pipe.fits")
    archive = FolderArchive(tmp_path)
    assert "pipe" in refused(archive, "FILE pipe.fits")


def test_names_that_cannot_be_written_are_refused(tmp_path):
    (tmp_path / "new\nline.fits").write_bytes(files.spoc())
    (tmp_path / os.fsdecode(b"latin-\xe9.fits")).write_bytes(files.spoc())
    archive = FolderArchive(tmp_path)
    names = list(found(archive))
    assert all(name.isprintable() and name.encode("utf-8") for name in names)
    assert len(names) == 2
    for name in names:
        assert "rename it" in refused(archive, name)


def test_names_in_any_script_are_read(tmp_path):
    files.save(tmp_path, "Ω Centauri/étoile é.csv", csv())
    archive = FolderArchive(tmp_path)
    assert taken(fetched(archive, "FILE Ω Centauri/étoile é.csv")) == ["étoile é.csv"]


def test_a_path_in_a_header_is_never_a_path(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc(tic="../../../etc/passwd"))
    archive = FolderArchive(tmp_path)
    assert list(found(archive)) == ["FILE a.fits"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, UnusableData), (errno.ELOOP, UnusableData), (errno.ENOENT, UnusableData),
     (errno.EIO, ArchiveUnavailable), (errno.ESTALE, ArchiveUnavailable), (errno.EMFILE, ArchiveUnavailable)],
)  # fmt: skip
def test_failures_of_the_disk_are_told_from_facts_about_the_file(tmp_path, number, kind):
    error = formats.unreadable(OSError(number, os.strerror(number)), tmp_path / "a.fits")
    assert isinstance(error, kind)
    assert str(error)


OWN = ("pytest-", "popen-", "test_")  # folders that pytest makes


@pytest.fixture
def as_somebody(tmp_path):
    """Root may read everything, so that somebody else has to try."""
    before = os.geteuid()
    # pytest keeps its folders to their owner, one level deeper with several workers
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == before and folder.stat().st_mode & 0o055 != 0o055 and folder.name.startswith(OWN):
            folder.chmod(folder.stat().st_mode | 0o055)
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_file_without_permission_ends_with_the_cure(tmp_path, request):
    files.save(tmp_path, "a.fits", files.spoc()).chmod(0)
    request.getfixturevalue("as_somebody")
    archive = FolderArchive(tmp_path)
    assert "permission denied; chmod u+r" in refused(archive, "FILE a.fits")


def test_a_folder_without_permission_is_one_clear_line(tmp_path, request):
    (tmp_path / "closed").mkdir(mode=0)
    request.getfixturevalue("as_somebody")
    with pytest.raises(ArchiveEmpty, match="check its permissions"):
        found(FolderArchive(tmp_path / "closed"))


# ---- what is taken


def test_the_newer_release_wins_and_the_older_is_named(tmp_path):
    files.save(tmp_path, "b.fits", files.spoc(DATA_REL=1, PROCVER="spoc-3.3.36-20180925", DATE="2018-09-27"))
    files.save(tmp_path, "a.fits", files.spoc(DATA_REL=42, PROCVER="spoc-5.0.10-20200904", DATE="2020-09-13"))
    result = fetched(FolderArchive(tmp_path), f"TIC {TIC}")
    assert taken(result) == ["a.fits"]
    ((uri, reason),) = result.superseded
    assert Path(uri).name == "b.fits"
    assert "a.fits is newer: release 42" in reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"DATA_REL": 9}, {"DATA_REL": 10}),
        ({"PROCVER": "spoc-5.0.9-2020"}, {"PROCVER": "spoc-5.0.10-2020"}),
        ({"DATE": "2020-09-13"}, {"DATE": "2021-01-01"}),
    ],
)
def test_releases_are_compared_by_number_then_version_then_date(tmp_path, old, new):
    files.save(tmp_path, "a.fits", files.spoc(**new))
    files.save(tmp_path, "b.fits", files.spoc(**old))
    assert taken(fetched(FolderArchive(tmp_path), f"TIC {TIC}")) == ["a.fits"]


def test_one_product_for_each_sector_by_preference(tmp_path):
    files.save(tmp_path, "fast.fits", files.spoc(seconds=20.0))
    files.save(tmp_path, "spoc.fits", files.spoc())
    files.save(tmp_path, "frames.fits", files.spoc(seconds=1800.0))
    files.save(tmp_path, "eleanor.fits", files.eleanor())
    files.save(tmp_path, "qlp.fits", files.qlp(sector=30))
    files.save(tmp_path, "tglc.fits", files.tglc(sector=30))
    result = fetched(FolderArchive(tmp_path), f"TIC {TIC}")
    assert taken(result) == ["spoc.fits", "qlp.fits"]
    reasons = {Path(uri).name: reason for uri, reason in result.superseded}
    assert set(reasons) == {"fast.fits", "frames.fits", "eleanor.fits", "tglc.fits"}
    assert "plain cadence" in reasons["fast.fits"]
    assert "[archive] prefer" in reasons["tglc.fits"]
    tglc_first = ArchiveSettings(prefer=("TGLC", "ELEANOR"))
    assert taken(fetched(FolderArchive(tmp_path, tglc_first), f"TIC {TIC}")) == ["eleanor.fits", "tglc.fits"]


def test_the_next_best_serves_where_the_best_is_damaged(tmp_path):
    damaged = bytearray(files.spoc())
    damaged[20000] ^= 1
    files.save(tmp_path, "spoc.fits", bytes(damaged))
    files.save(tmp_path, "eleanor.fits", files.eleanor())
    result = fetched(FolderArchive(tmp_path), f"TIC {TIC}")
    assert taken(result) == ["eleanor.fits"]
    ((uri, reason),) = result.refused
    assert Path(uri).name == "spoc.fits"
    assert "checksum" in reason


def test_where_nothing_is_left_the_reasons_are_told(tmp_path):
    damaged = bytearray(files.spoc())
    damaged[20000] ^= 1
    files.save(tmp_path, "one.fits", bytes(damaged))
    files.save(tmp_path, "two.fits", files.spoc(sector=2)[:-2880])
    reason = refused(FolderArchive(tmp_path), f"TIC {TIC}")
    assert "one.fits: its content was changed" in reason
    assert "two.fits: it is cut short" in reason


def test_months_of_kepler_short_cadence_all_count_unless_there_is_the_quarter(tmp_path):
    for month, start in enumerate((443.5, 474.5, 505.5)):
        files.save(tmp_path, f"{month}.fits", files.kepler(seconds=58.849, start=start))
    files.save(tmp_path, "again.fits", files.kepler(seconds=58.849, start=443.5, DATA_REL=24))
    result = fetched(FolderArchive(tmp_path), "KIC 10002792")
    assert taken(result) == ["0.fits", "1.fits", "2.fits"]
    assert [Path(uri).name for uri, _ in result.superseded] == ["again.fits"]
    files.save(tmp_path, "long.fits", files.kepler())
    assert taken(fetched(FolderArchive(tmp_path), "KIC 10002792")) == ["long.fits"]


def test_files_that_name_no_sector_do_not_replace_one_another(tmp_path):
    for number in (1, 2):
        files.save(tmp_path, f"{number}.csv", csv(1325.0 + 30 * number, head="# tic_id: 12\n"))
    assert taken(fetched(FolderArchive(tmp_path), "TIC 12")) == ["1.csv", "2.csv"]


def test_a_file_of_another_star_is_refused(tmp_path):
    path = files.save(tmp_path, "a.fits", files.spoc(tic=5))
    archive = FolderArchive(tmp_path)
    item = found(archive)["TIC 5"]
    path.write_bytes(files.spoc(tic=6))
    with pytest.raises(UnusableData, match="holds TIC 6 and TIC 5 was asked for"):
        archive.fetch(item.target, item.sources)
    with pytest.raises(UnusableData, match="holds TIC 6 s0001 and TIC 6 s0002"):
        FolderArchive(tmp_path, combine="sector").fetch(Target("TIC", "6 s0002"), item.sources)


def test_a_file_removed_since_the_listing_is_no_traceback(tmp_path):
    path = files.save(tmp_path, "a.fits", files.spoc())
    archive = FolderArchive(tmp_path)
    item = found(archive)[f"TIC {TIC}"]
    path.unlink()
    with pytest.raises(UnusableData, match="removed"):
        archive.fetch(item.target, item.sources)


def test_a_folder_that_went_away_is_asked_again_later(tmp_path):
    files.save(tmp_path / "disk", "a.fits", files.spoc())
    archive = FolderArchive(tmp_path / "disk")
    item = found(archive)[f"TIC {TIC}"]
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    with pytest.raises(ArchiveUnavailable, match="mounted"):
        archive.fetch(item.target, item.sources)


def test_products_say_what_was_read(tmp_path):
    files.save(tmp_path, "a.fits", files.spoc())
    archive = FolderArchive(tmp_path)
    (product,) = fetched(archive, f"TIC {TIC}").products
    assert product.uri == str(tmp_path / "a.fits")
    assert len(product.sha256) == 64
    np.testing.assert_array_equal(archive.read(product).time, files.sky()["time"])
    assert archive.read(product).product == product
    with pytest.raises(UnusableData, match="changed"):
        archive.read(replace(product, sha256="0" * 64))


def test_what_was_just_checked_is_handed_out_unless_its_file_changed(tmp_path):
    path = files.save(tmp_path, "a.fits", files.spoc())
    archive = FolderArchive(tmp_path)
    (product,) = fetched(archive, f"TIC {TIC}").products
    once, again = archive.read(product), archive.read(product)  # from the checked bytes, then from the disk
    for name in ("time", "flux", "flux_err", "quality", "centroid_column", "centroid_row"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    (product,) = fetched(archive, f"TIC {TIC}").products
    whole, facts = bytearray(path.read_bytes()), path.stat()
    whole[9000] ^= 1
    path.write_bytes(whole)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # only ctime tells
    with pytest.raises(UnusableData, match="changed"):
        archive.read(product)


def test_what_was_decoded_and_never_read_is_forgotten(tmp_path, monkeypatch):
    for number in (5, 6, 7):
        files.save(tmp_path, f"{number}.fits", files.spoc(tic=number))
    archive = FolderArchive(tmp_path)
    fetched(archive, "TIC 5")
    (size,) = archive.kept_bytes()
    monkeypatch.setattr("hunter.archives.fresh.KEPT_BYTES", 2 * size)
    fetched(archive, "TIC 6")
    fetched(archive, "TIC 7")
    assert archive.kept_bytes() == (size, size)


def test_what_had_to_be_assumed_is_noted(tmp_path):
    files.save(tmp_path, "a.csv", csv())
    result = fetched(FolderArchive(tmp_path), "FILE a.csv")
    assert result.notes == ((str(tmp_path / "a.csv"), "time read as BTJD"),)
    assert result.products[0].processing == "time read as BTJD"


# ---- the index


def test_a_second_start_reads_no_header_again(tmp_path):
    path = files.save(tmp_path / "data", "a.fits", files.spoc(tic=5))
    files.save(tmp_path / "data", "b.csv", csv())
    files.save(tmp_path / "data", "notes.txt", "nothing here")
    files.save(tmp_path / "data", "c.fits", b"")
    index = tmp_path / "cache" / "index.jsonl"
    first = FolderArchive(tmp_path / "data", index=index)
    targets = list(first.targets())
    status = path.stat()
    # same size and time, other content: only the index can still say TIC 5
    path.write_bytes(files.spoc(tic=6))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = FolderArchive(tmp_path / "data", index=index)
    assert list(second.targets()) == targets
    assert second.ignored == first.ignored
    index.unlink()
    assert f"TIC {6}" in found(FolderArchive(tmp_path / "data", index=index))


def test_a_changed_file_is_read_again(tmp_path):
    path = files.save(tmp_path / "data", "a.fits", files.spoc(tic=5))
    index = tmp_path / "index.jsonl"
    assert list(found(FolderArchive(tmp_path / "data", index=index))) == ["TIC 5"]
    path.write_bytes(files.spoc(tic=6))
    os.utime(path, ns=(1, 5))
    assert list(found(FolderArchive(tmp_path / "data", index=index))) == ["TIC 6"]
    path.unlink()
    files.save(tmp_path / "data", "b.fits", files.spoc(tic=7))
    assert list(found(FolderArchive(tmp_path / "data", index=index))) == ["TIC 7"]


@pytest.mark.parametrize("damage", ["", "{", "[]\n[]\n", '{"index": 0}\n', "\x00\xff", '{"index": 1}\n["a"]\n'])
def test_a_damaged_index_costs_only_time(tmp_path, damage):
    files.save(tmp_path / "data", "a.fits", files.spoc(tic=5))
    index = files.save(tmp_path, "index.jsonl", damage.encode("latin-1"))
    assert list(found(FolderArchive(tmp_path / "data", index=index))) == ["TIC 5"]
    heading, line = index.read_text().splitlines()
    assert json.loads(heading)["folder"] == str(tmp_path / "data")
    assert json.loads(line)[0] == "a.fits"


def test_the_index_of_another_folder_is_not_believed(tmp_path):
    index = tmp_path / "index.jsonl"
    for number, folder in ((5, "one"), (6, "two")):
        path = files.save(tmp_path / folder, "a.fits", files.spoc(tic=number))
        os.utime(path, ns=(1, 5))
        assert list(found(FolderArchive(tmp_path / folder, index=index))) == [f"TIC {number}"]


def test_an_index_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    files.save(tmp_path / "data", "a.fits", files.spoc(tic=5))
    blocked = files.save(tmp_path, "file", "not a folder") / "index.jsonl"
    assert list(found(FolderArchive(tmp_path / "data", index=blocked))) == ["TIC 5"]
    assert "every start reads all headers" in caplog.text


# ---- simulated files in the layout of SPOC


def test_takes_simulated_files_and_calls_them_so(tmp_path):
    rng = np.random.default_rng(5)
    columns = {
        "TIME": 1400 + np.arange(900) / 720,
        "PDCSAP_FLUX": 1e4 + rng.standard_normal(900),
        "MOM_CENTR1": rng.random(900),
    }
    curve = SpocLightCurve(tic=99, sector=3, table=table(900, **columns), ra=10.0, dec=5.0, tmag=9.0)
    path = write_spoc(tmp_path, curve)
    archive = FolderArchive(tmp_path)
    result = fetched(archive, "TIC 99")
    (product,) = result.products
    assert (product.author, product.sector, product.cadence_seconds) == ("SIMULATED", 3, 120.0)
    assert result.star.tmag == 9.0
    np.testing.assert_array_equal(archive.read(product).time, columns["TIME"])
    damaged = bytearray(path.read_bytes())
    damaged[40_000] ^= 4
    path.write_bytes(damaged)
    assert "checksum" in refused(archive, "TIC 99")
