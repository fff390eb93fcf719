"""Files in SPOC layout: the same structure, formats and checksums as genuine ones."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from hunter.archives.spoc_writer import (
    COLUMNS,
    ROW,
    Fixed,
    SpocLightCurve,
    Words,
    card,
    checksum_text,
    file_name,
    from_simulation,
    ones_complement_sum,
    spoc_bytes,
    table,
    write_spoc,
)
from pipeline.simulate import FIRST_KEY, SectorSettings, draw_star, observe, reprocessed

ALL_ONES = 0xFFFFFFFF


@pytest.fixture(scope="module")
def observed():
    return observe(draw_star("planet", str(FIRST_KEY), 1))


@pytest.fixture(scope="module")
def curve(observed) -> SpocLightCurve:
    return from_simulation(observed)


def units_of(path: Path) -> list[tuple[bytes, bytes]]:
    """Header and data of each unit of a file, by its block structure alone."""
    raw, start, found = path.read_bytes(), 0, []
    while start < len(raw):
        end = start
        while True:
            block = raw[end : end + 2880]
            end += 2880
            if any(block[i : i + 8] == b"END     " for i in range(0, 2880, 80)):
                break
        header = raw[start:end]
        cards = {header[i : i + 8].strip(): header[i + 10 : i + 30] for i in range(0, len(header), 80)}
        size = abs(int(cards[b"BITPIX"])) // 8 if int(cards[b"NAXIS"]) else 0
        for axis in range(1, int(cards[b"NAXIS"]) + 1):
            size *= int(cards[b"NAXIS%d" % axis])
        stop = end + -(-size // 2880) * 2880
        found.append((header, raw[end:stop]))
        start = stop
    return found


def cards_of(header: bytes) -> list[bytes]:
    return [header[i : i + 80] for i in range(0, len(header), 80)]


def genuine(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "lightcurves" / "spoc").glob("*.fits"))


def test_the_same_input_gives_the_same_bytes(observed, curve):
    assert spoc_bytes(curve) == spoc_bytes(from_simulation(observe(observed.target)))


@pytest.mark.parametrize("rows", [0, 1, 60, 20076])
def test_the_size_is_the_genuine_one(curve, rows):
    data = spoc_bytes(replace(curve, table=curve.table[:rows]))
    assert len(data) == 28800 + 2880 * -(-100 * rows // 2880)


def test_every_unit_sums_to_all_ones_and_a_flipped_byte_shows(tmp_path, curve):
    path = write_spoc(tmp_path, curve)
    for header, data in units_of(path):
        assert ones_complement_sum(header + data) == ALL_ONES
        assert b"DATASUM" not in header
    header, data = units_of(path)[1]
    flipped = bytearray(data)
    flipped[12345] ^= 0x10
    assert ones_complement_sum(header + bytes(flipped)) != ALL_ONES


@given(st.integers(0, ALL_ONES))
@settings(max_examples=300, deadline=None)
def test_any_sum_is_written_in_sixteen_letters_and_digits_that_complete_it(total):
    text = checksum_text(total)
    assert len(text) == 16
    assert text.isalnum()
    assert text.isascii()
    # the string starts in column 12 of its card, one byte before a four-byte boundary
    before = ones_complement_sum(b"\0\0\0" + b"0" * 16 + b"\0")
    after = ones_complement_sum(b"\0\0\0" + text.encode() + b"\0")
    assert (total + after - before) % ALL_ONES == 0


def test_astropy_opens_it_without_a_warning_and_reads_what_was_written(tmp_path, curve):
    path = write_spoc(tmp_path, curve)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path) as units:
            units.verify("exception")
            assert [unit.name for unit in units] == ["PRIMARY", "LIGHTCURVE", "APERTURE"]
            for name in ROW.names:
                np.testing.assert_array_equal(units[1].data[name], curve.table[name])
            assert units[0].header["TICID"] == FIRST_KEY
            assert units[0].header["TESSMAG"] == pytest.approx(curve.tmag, abs=1e-8)
            assert units[1].header["TIMEDEL"] == pytest.approx(120 / 86400)
            assert units[2].data.shape == (11, 11)
            assert units[2].header["NPIXSAP"] == (units[2].data & 2 > 0).sum() > 0


def test_nobody_takes_it_for_a_real_star(tmp_path, curve):
    with fits.open(write_spoc(tmp_path, curve)) as units:
        assert units[0].header["ORIGIN"] == "SIMULATED"
        for unit in units:
            assert unit.header["SIMDATA"] is True
            assert unit.header["OBJECT"] == f"TIC {FIRST_KEY} simulated"


def test_what_is_unknown_is_an_empty_card(tmp_path, curve):
    with fits.open(write_spoc(tmp_path, replace(curve, radius=None, teff=None))) as units:
        assert units[0].header["RADIUS"] is None
        assert units[0].header["TEFF"] is None
        assert units[0].header["MH"] is None


def test_the_header_tells_the_cadence(tmp_path):
    for seconds, frames in ((20, 10), (120, 60), (600, 300), (1800, 900)):
        sector = SectorSettings(cadence_seconds=seconds, span=3.0, gap=0.0)
        path = write_spoc(tmp_path, from_simulation(observe(draw_star("quiet", str(FIRST_KEY), 1), sector)))
        with fits.open(path) as units:
            assert units[1].header["NUM_FRM"] == frames
            assert units[1].header["TIMEDEL"] * 86400 == pytest.approx(seconds)
            step = np.nanmedian(np.diff(units[1].data["TIME"])) * 86400
            assert step == pytest.approx(seconds, rel=1e-4)
            assert units[1].header["TSTART"] == pytest.approx(units[1].data["TIME"][0] - seconds / 172800, abs=1e-9)


def test_flags_times_and_numbers_survive_the_file(tmp_path, observed, curve):
    with fits.open(write_spoc(tmp_path, curve)) as units:
        data = units[1].data
        np.testing.assert_array_equal(data["QUALITY"], observed.quality)
        np.testing.assert_array_equal(data["TIME"], observed.time)
        dumps = (data["QUALITY"] & 32) != 0
        assert dumps.sum() == pytest.approx(70, abs=10)
        starts = np.flatnonzero(dumps & ~np.append(False, dumps[:-1]))
        np.testing.assert_allclose(data["TIME"][starts], observed.plan.dumps, atol=300 / 86400)
        gap = ~np.isfinite(data["TIME"])
        assert (data["QUALITY"][gap] & 8 == 8).all()
        assert (data["TIMECORR"][gap] == 0).all()


def test_a_later_release_has_the_same_name_and_size_and_other_bytes(tmp_path, observed):
    first = write_spoc(tmp_path / "first", from_simulation(observed))
    second = write_spoc(tmp_path / "second", from_simulation(reprocessed(observed), date="2021-05-01"))
    assert first.name == second.name
    assert first.stat().st_size == second.stat().st_size
    assert first.read_bytes() != second.read_bytes()
    releases = [fits.getval(path, "DATA_REL") for path in (first, second)]
    assert releases == [42, 43]
    assert fits.getval(second, "DATE") == "2021-05-01"


def test_a_column_unknown_to_spoc_is_refused_and_one_not_given_is_empty():
    with pytest.raises(KeyError, match="FLUX_ERROR"):
        table(3, FLUX_ERROR=np.ones(3))
    rows = table(3, TIME=np.arange(3.0))
    assert np.isnan(rows["PDCSAP_FLUX"]).all()
    assert (rows["QUALITY"] == 0).all()


def test_only_the_finished_file_is_left(tmp_path, curve):
    path = write_spoc(tmp_path / "new" / "folder", curve)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((261136679, 1), "tess2018206045859-s0001-0000000261136679-0120-s_lc.fits"),
        ((150065151, 2), "tess2018234235059-s0002-0000000150065151-0121-s_lc.fits"),
        ((99000000001, 5), "tess2018316092647-s0005-0000099000000001-0124-s_lc.fits"),
        ((99000000001, 1, 20.0), "tess2018206045859-s0001-0000099000000001-0120-a_fast-lc.fits"),
        ((99000000001, 1, 1800.0), "hlsp_tess-spoc_tess_phot_0000099000000001-s0001_tess_v1_lc.fits"),
    ],
)
def test_names_are_those_of_the_archive(arguments, name):
    assert file_name(*arguments) == name


def test_cards_are_written_as_spoc_writes_them():
    expected = [
        "TESSMAG =           5.10540009 / [mag] TESS magnitude",
        "LOGG    =                      / [cm/s2] log10 surface gravity",
        "TELESCOP= 'TESS    '           / telescope",
        "SIMDATA =                    F / file is based on simulated data",
        "TIERRELA=             1.16E-05 / [d] relative time error",
        "EQUINOX =               2000.0 / equinox of celestial coordinate system",
        "CREATOR = '26493 LightCurveExporterPipelineModule' / pipeline job and program us",
        "OBJECT  = 'Barnard''s star'    / name",
    ]
    written = [
        card("TESSMAG", Fixed(5.10540009, 8), "[mag] TESS magnitude"),
        card("LOGG", None, "[cm/s2] log10 surface gravity"),
        card("TELESCOP", "TESS", "telescope"),
        card("SIMDATA", False, "file is based on simulated data"),
        card("TIERRELA", Words("1.16E-05"), "[d] relative time error"),
        card("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
        card("CREATOR", "26493 LightCurveExporterPipelineModule", "pipeline job and program used"),
        card("OBJECT", "Barnard's star", "name"),
    ]
    assert written == [line.ljust(80).encode() for line in expected]


# --- against genuine files ---


def test_headers_have_the_cards_of_a_genuine_file(shared_data, tmp_path, curve):
    """Every card of release 42 in its place, with its comment and its number of decimals."""
    name = "tess2018206045859-s0001-0000000261136679-0120-s_lc.fits"
    real = units_of(shared_data / "lightcurves" / "spoc" / name)
    ours = units_of(write_spoc(tmp_path, curve))
    stamped = (b"CHECKSUM", b"CREATOR ")  # a time of day, a job number that pushes the comment
    for (real_header, _), (our_header, _) in zip(real, ours, strict=True):
        assert len(our_header) == len(real_header)
        for real_card, our_card in zip(cards_of(real_header), cards_of(our_header), strict=True):
            assert our_card[:10] == real_card[:10]
            if real_card[:8] not in stamped:
                assert our_card.partition(b" / ")[2].rstrip() == real_card.partition(b" / ")[2].rstrip()
            layout = real_card.startswith((b"TTYPE", b"TFORM", b"TUNIT", b"TDISP", b"NAXIS ", b"NAXIS1", b"BITPIX"))
            if layout:
                assert our_card == real_card


def test_our_checksum_is_the_one_spoc_wrote(shared_data):
    checked = 0
    for path in genuine(shared_data):
        for header, data in units_of(path):
            assert ones_complement_sum(header + data) == ALL_ONES
            place = header.index(b"CHECKSUM= '") + 11
            written = header[place : place + 16]
            zeroed = header[:place] + b"0" * 16 + header[place + 16 :]
            assert checksum_text(ones_complement_sum(zeroed + data)) == written.decode()
            checked += 1
    assert checked == 45


def test_a_genuine_table_is_reproduced_byte_for_byte(shared_data):
    for path in genuine(shared_data)[:3]:
        _, data = units_of(path)[1]
        with fits.open(path) as units:
            columns = {name: np.array(units[1].data[name]) for name, *_ in COLUMNS}
            rows = len(units[1].data)
        assert table(rows, **columns).tobytes() == data[: 100 * rows]


def test_the_noise_model_meets_the_noise_of_genuine_files(shared_data):
    """Point-to-point scatter of genuine quiet stars lies within 35 % of the model between Tmag 8 and 15."""
    from pipeline.simulate.noise import cadence_noise

    ratios = []
    for path in genuine(shared_data):
        with fits.open(path) as units:
            tmag, data = units[0].header["TESSMAG"], units[1].data
            flux = data["PDCSAP_FLUX"][(data["QUALITY"] == 0) & np.isfinite(data["PDCSAP_FLUX"])].astype(float)
        if tmag < 8 or units[0].header["TICID"] in (53842685, 290131778):  # eclipsing binary; a bright double star
            continue
        scatter = 1.4826 * np.median(np.abs(np.diff(flux))) / np.sqrt(2) / np.median(flux)
        ratios.append(scatter / cadence_noise(tmag, 120))
    assert len(ratios) >= 9
    assert min(ratios) > 0.65
    assert max(ratios) < 1.35
    assert np.median(ratios) == pytest.approx(0.95, abs=0.1)
