"""A simulated sector on disk: the files hold what the truth says."""

import csv
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from astropy.io import fits

from hunter.skies import DAMAGES, MIX, read_truth, shares, write_sector


@pytest.fixture(scope="module")
def sector(tmp_path_factory):
    """Twelve stars and the four damages of sector 1."""
    return write_sector(tmp_path_factory.mktemp("sky"), stars=12, seed=1)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_files(tmp_path, sector):
    again = write_sector(tmp_path, stars=12, seed=1)
    assert digests(tmp_path) == digests(sector.folder)
    assert again.rows == sector.rows


def test_another_seed_gives_other_stars(tmp_path, sector):
    other = write_sector(tmp_path, stars=3, seed=2, damaged=0)
    assert other.rows[0].period_days != sector.rows[0].period_days


def test_twelve_stars_hold_every_kind_and_every_damage(sector):
    kinds = Counter(row.kind for row in sector.rows if row.number == 1)
    assert set(kinds) == set(MIX) | set(DAMAGES)
    assert kinds["planet"] >= 3
    assert sum(kinds.values()) == 16
    assert len(list(sector.folder.glob("*.fits"))) == 16


def test_the_truth_reads_the_same_from_csv_and_json(sector):
    assert read_truth(sector.folder) == sector
    rows = list(csv.DictReader((sector.folder / "truth.csv").open()))
    assert [row["file"] for row in rows] == [row.file for row in sector.rows]
    assert float(rows[0]["period_days"]) == sector.rows[0].period_days
    assert json.loads((sector.folder / "truth.json").read_text())["simulated"] is True


def test_every_row_names_a_file_of_its_star(sector):
    for row in sector.rows:
        assert f"{row.tic_id:016d}" in row.file
        if row.kind not in DAMAGES:
            header = fits.getheader(sector.folder / row.file)
            assert (header["TICID"], header["SECTOR"], header["SIMDATA"]) == (row.tic_id, 1, True)
            assert header["TESSMAG"] == pytest.approx(row.tmag, abs=1e-7)


def test_what_must_be_found_is_in_the_flux(sector):
    """Folding a file on the truth shows a dip of the stated depth at the stated time, as strong as stated."""
    wanted = [row for row in sector.must_find if row.kind == "planet"]
    assert len(wanted) >= 3
    for row in wanted:
        assert row.n_transits >= 2
        with fits.open(sector.folder / row.file) as units:
            data = units[1].data
            good = (data["QUALITY"] == 0) & np.isfinite(data["PDCSAP_FLUX"])
            time, flux = np.array(data["TIME"][good]), np.array(data["PDCSAP_FLUX"][good], dtype=float)
        duration = row.duration_hours / 24
        phase = (time - row.epoch_btjd + row.period_days / 2) % row.period_days - row.period_days / 2
        inside = np.abs(phase) < 0.35 * duration
        beside = (np.abs(phase) > 0.7 * duration) & (np.abs(phase) < 1.7 * duration)
        depth = 1 - np.mean(flux[inside]) / np.mean(flux[beside])
        # limb darkening makes the middle 0.7 of a transit some percent shallower than its deepest moment;
        # noise is depth / snr with red noise on top
        assert depth * 1e6 == pytest.approx(row.depth_ppm, rel=0.12 + 3 / row.snr)
        assert row.snr >= 15


def test_a_planet_hidden_behind_another_is_not_promised(tmp_path):
    """Star 7 of this seed has planets of 4.85 and 9.92 d whose transits fall together twice; one stays free."""
    truth = write_sector(tmp_path, stars=7, seed=1, damaged=0, mix={"planet": 1.0})
    rows = {round(row.period_days, 1): row for row in truth.of(truth.rows[-1].tic_id)}
    assert set(rows) == {4.8, 9.9}
    half = (rows[9.9].duration_hours + rows[4.8].duration_hours) / 48
    inner = rows[4.8].epoch_btjd + np.arange(6) * rows[4.8].period_days
    outer = rows[9.9].epoch_btjd + np.arange(3) * rows[9.9].period_days
    assert (np.abs(outer[:, None] - inner).min(axis=1) < half).tolist() == [True, True, False]
    assert (rows[9.9].expected, rows[4.8].expected) == ("maybe", "signal")
    assert rows[9.9].note == "2 of its transits overlap with another planet's"


def test_stars_without_transits_promise_none(sector):
    for row in sector.rows:
        if row.kind in ("quiet", "rotation", "flaring", "pulsation", "systematics"):
            assert row.expected == "none"
            assert row.period_days is None
        if row.kind == "contact":
            assert row.expected == "maybe"  # a variable, not an eclipse


def test_the_next_sector_shows_the_same_stars(tmp_path, sector):
    second = write_sector(tmp_path, stars=12, seed=1, sector=2, damaged=0)
    for one, two in zip(sector.must_find, second.must_find, strict=False):
        assert (one.tic_id, one.period_days, one.tmag) == (two.tic_id, two.period_days, two.tmag)
        cycles = (two.epoch_btjd - one.epoch_btjd) / one.period_days
        assert cycles == pytest.approx(round(cycles), abs=1e-6)
        assert one.file != two.file


def test_damaged_files_are_damaged_as_stated(sector):
    paths = {row.kind: sector.folder / row.file for row in sector.rows if row.expected == "unusable"}
    whole = next(sector.folder / row.file for row in sector.rows if row.kind == "quiet").stat().st_size
    assert paths["truncated"].stat().st_size == whole * 3 // 5
    assert paths["html"].read_bytes().startswith(b"<!DOCTYPE html>")
    with fits.open(paths["nan_flux"]) as units:
        assert not np.isfinite(units[1].data["PDCSAP_FLUX"]).any()
        assert np.isfinite(units[1].data["TIME"]).any()
    with fits.open(paths["too_short"]) as units:
        assert len(units[1].data) == 60


def test_a_later_release_replaces_the_files_under_the_same_names(tmp_path, sector):
    later = write_sector(tmp_path, stars=12, seed=1, damaged=0, data_release=43, date="2021-05-01")
    first = next(row for row in sector.rows if row.kind == "quiet")
    again = next(row for row in later.rows if row.kind == "quiet")
    assert first.file == again.file
    assert fits.getval(tmp_path / again.file, "DATA_REL") == 43
    assert (tmp_path / again.file).stat().st_size == (sector.folder / first.file).stat().st_size


def test_ten_minute_sectors_bear_full_frame_names(tmp_path):
    truth = write_sector(tmp_path, stars=1, cadence_seconds=600.0, damaged=0, sector=27)
    assert truth.rows[0].file.startswith("hlsp_tess-spoc_tess_phot_")


@pytest.mark.parametrize("stars", [0, 1, 2, 11, 12, 40, 101])
def test_shares_give_exactly_so_many_stars(stars):
    kinds = shares(stars, MIX)
    assert len(kinds) == stars
    if stars >= 12:
        assert set(kinds) == set(MIX)
    if stars == 101:
        assert Counter(kinds)["planet"] in (36, 37)


@pytest.mark.parametrize("mix", [{}, {"planet": 0.0}, {"planet": -1.0, "quiet": 2.0}])
def test_a_senseless_mix_is_refused(mix):
    with pytest.raises(ValueError, match="mix"):
        shares(5, mix)
