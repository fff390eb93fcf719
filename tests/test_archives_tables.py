"""Light curves as text, with the many headers people write."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunter.archives.readers import table
from pipeline.errors import UnusableData
from pipeline.types import Observation, Product

PRODUCT = Product("a.csv", "0" * 64, "", "CSV", "")
ROWS = 200
TIME = 1325.0 + np.arange(ROWS) * 120 / 86400
FLUX = 1.0 + 1e-3 * np.random.default_rng(1).standard_normal(ROWS)


def read(text: str | bytes) -> Observation:
    return table.read(text.encode() if isinstance(text, str) else text, PRODUCT)


def lines(*columns: np.ndarray, header: str = "", separator: str = ",") -> str:
    body = "\n".join(separator.join(repr(float(value)) for value in row) for row in zip(*columns, strict=True))
    return (header + "\n" if header else "") + body + "\n"


@pytest.mark.parametrize("separator", [",", "\t", ";", "|", " ", "   "])
@pytest.mark.parametrize("header", [["time", "flux", "flux_err"], ["# time", "flux", "flux_err"], []])
def test_reads_every_separator_with_and_without_header(separator, header):
    observed = read(lines(TIME, FLUX, FLUX * 1e-3, header=separator.join(header), separator=separator))
    np.testing.assert_array_equal(observed.time, TIME)
    np.testing.assert_array_equal(observed.flux, FLUX)
    np.testing.assert_array_equal(observed.flux_err, FLUX * 1e-3)
    assert "BTJD" in observed.product.processing


@pytest.mark.parametrize(
    ("name", "zero", "system"),
    [("time", 2457000.0, "BJD"), ("bjd_tdb", 2457000.0, "BJD"), ("time_btjd", 0.0, "BTJD"),
     ("Time (BTJD)", 0.0, "BTJD"), ("bkjd", 2167.0, "BKJD"), ("mjd", 56999.5, "MJD"), ("BJD - 2457000", 0.0, "BTJD")],
)  # fmt: skip
def test_brings_every_time_system_to_btjd(name, zero, system):
    observed = read(lines(TIME + zero, FLUX, header=f"{name},flux"))
    # a BJD as float64 is good to 0.5 nanodays
    np.testing.assert_allclose(observed.time, TIME, rtol=0, atol=1e-9)
    assert f"read as {system}" in observed.product.processing


def test_times_of_kepler_without_a_name_are_bkjd():
    observed = read(lines(TIME - 1000, FLUX))
    np.testing.assert_allclose(observed.time, TIME - 1000 - 2167)
    assert "BKJD" in observed.product.processing


@pytest.mark.parametrize("start", [0.0, -0.1, 1e9, -3000.0])
def test_refuses_times_of_no_system(start):
    with pytest.raises(UnusableData, match="neither BJD, BTJD, BKJD nor MJD"):
        read(lines(TIME - 1325.0 + start, FLUX, header="time,flux"))


@pytest.mark.parametrize(
    ("scale", "name", "unit"),
    [(1e3, "flux", "ppt"), (1e6, "flux", "ppm"), (1.0, "flux", "a fraction"), (1e6, "flux_ppm", "ppm"),
     (1e3, "Flux [ppt]", "ppt")],
)  # fmt: skip
def test_flux_around_zero_becomes_relative_and_says_so(scale, name, unit):
    observed = read(lines(TIME, (FLUX - 1) * scale, np.full(ROWS, 1e-3) * scale, header=f"time,{name},err"))
    np.testing.assert_allclose(observed.flux, FLUX, rtol=0, atol=1e-12)
    np.testing.assert_allclose(observed.flux_err, 1e-3)
    assert f"flux around 0 read as deviation in {unit}" in observed.product.processing


def test_counts_stay_counts():
    observed = read(lines(TIME, FLUX * 24400, header="time,flux"))
    np.testing.assert_array_equal(observed.flux, FLUX * 24400)


def test_a_flux_without_any_scatter_around_zero_is_refused():
    with pytest.raises(UnusableData, match="around 0"):
        read(lines(TIME, np.zeros(ROWS), header="time,flux"))


def test_errors_that_only_fill_the_column_are_left_aside():
    observed = read(lines(TIME, FLUX, np.ones(ROWS), header="# time,flux,flux_err"))
    assert np.isnan(observed.flux_err).all()
    assert "errors of 1 left aside" in observed.product.processing


def test_takes_quality_and_centroids_where_they_are():
    header = ",time,flux,flux_err,background_flux,quality,centroids_x,centroids_y"
    number = np.arange(ROWS)
    observed = read(
        lines(number, TIME, FLUX, FLUX * 0 + 1e-3, number, number % 2 * 128, number + 0.5, number - 0.5, header=header)
    )
    np.testing.assert_array_equal(observed.flux, FLUX)
    np.testing.assert_array_equal(observed.quality, number % 2 * 128)
    np.testing.assert_array_equal(observed.centroid_column, number + 0.5)
    np.testing.assert_array_equal(observed.centroid_row, number - 0.5)


def test_empty_cells_are_nan():
    observed = read("time,flux,flux_err\n1325.0,,\n" + lines(TIME[1:], FLUX[1:], FLUX[1:] * 1e-3))
    assert np.isnan(observed.flux[0])
    assert np.isnan(observed.flux_err[0])
    assert observed.flux.size == ROWS


def test_flux_before_time_is_seen():
    observed = read(lines(FLUX * 2.5e5, TIME))
    np.testing.assert_array_equal(observed.time, TIME)
    assert "the second column is time" in observed.product.processing


def test_identity_stands_in_the_comments():
    text = "# tic_id: 188646744\n# sector: 55\n# cadence_seconds: 120.0\n# Teff = 5600\n#\n" + lines(
        TIME, FLUX, header="time_btjd,flux"
    )
    identity = table.identify(text.encode())
    assert (identity.kind, identity.key, identity.sector, identity.mission) == ("TIC", "188646744", 55, "TESS")
    assert identity.star.teff == 5600
    assert identity.cadence_seconds == 120


def test_identity_stands_in_a_column():
    identity = table.identify(lines(TIME * 0 + 77, TIME, FLUX, header="TIC_ID,time,flux").encode())
    assert (identity.kind, identity.key) == ("TIC", "77")


def test_several_stars_in_one_file_are_refused():
    text = lines(np.arange(ROWS) // 100 + 77, TIME, FLUX, header="tic_id,time,flux")
    with pytest.raises(UnusableData, match="2 stars"):
        read(text)


def test_a_text_without_identity_has_none():
    assert table.identify(lines(TIME, FLUX).encode()).kind == "FILE"


ENCODINGS = {
    "plain": str.encode,
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "windows lines": lambda text: text.replace("\n", "\r\n").encode(),
    "latin-1": lambda text: ("# \u00c5\n" + text).encode("latin-1"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_reads_the_encodings_that_spreadsheets_write(encode):
    np.testing.assert_array_equal(read(encode(lines(TIME, FLUX, header='"time","flux"'))).flux, FLUX)


def test_a_few_broken_lines_are_left_out_and_counted():
    observed = read(lines(TIME, FLUX, header="time,flux") + "1400.0,abc\n1400.1\n1400.")
    assert observed.flux.size == ROWS
    assert "3 broken lines left out" in observed.product.processing


def test_many_broken_lines_are_refused():
    with pytest.raises(UnusableData, match="lines are not numbers"):
        read(lines(TIME, FLUX, header="time,flux") + "1400.0,abc\n" * 50)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"# only\n# comments\n", "no line of data"),
        (b"time,flux\n", "no line of numbers"),
        (b"<html><body>not found</body></html>", "web page"),
        (b"\x00\x01\x02" * 100, "neither FITS nor text"),
        (b"time,flux\n" + b"nan,1.0\n" * 9, "no time in it"),
    ],
)
def test_says_why_a_text_cannot_be_read(content, words):
    with pytest.raises(UnusableData, match=words):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        "path,kind,sha256\nspoc/a.fits,lc,abc\n",
        "candidate,t0,depth,depth_err\n0,2064.8,1.4,0.1\n",
        "time,time_folded,core_flux,halo_flux,og_flux\n1,2,3,4,5\n",
        "# Read me\n\nThis folder holds light curves of the star.\n",
        "\n".join(",".join(["1.5"] * 12) for _ in range(30)),
    ],
)
def test_tables_of_something_else_are_known_as_such(content):
    with pytest.raises(table.NotALightCurve):
        table.identify(content.encode())


@given(st.binary(max_size=600))
def test_any_bytes_give_a_light_curve_or_a_reason_in_one_line(noise):
    try:
        observed = read(noise)
    except UnusableData as error:
        reason = str(error)
    else:
        reason = observed.product.processing
        assert observed.time.shape == observed.flux.shape == observed.quality.shape
    assert reason
    assert "\n" not in reason


CELL = st.one_of(
    st.floats(allow_nan=True).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["", "nan", "x", '"1"', "1e999", "--", "٣"]),
)


@given(
    st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=40),
    st.sampled_from([",", "\t", " "]),
    st.sampled_from(["", "time,flux,flux_err,quality"]),
)
def test_any_cells_give_a_light_curve_or_a_reason(rows, separator, header):
    text = "\n".join([header.replace(",", separator), *(separator.join(row) for row in rows)])
    try:
        observed = read(text)
    except UnusableData as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert observed.time.dtype == observed.flux.dtype == np.float64
        assert observed.quality.dtype == np.int64


@given(
    st.lists(st.floats(1400, 3000), min_size=30, max_size=60, unique=True),
    st.floats(0.5, 1e6),
)
def test_what_is_written_is_read_back(times, level):
    time = np.array(times)
    flux = level * (1 + 1e-3 * np.random.default_rng(3).standard_normal(time.size))
    observed = read(gzip.decompress(gzip.compress(lines(time, flux, header="time,flux").encode())))
    np.testing.assert_array_equal(observed.time, time)
    np.testing.assert_array_equal(observed.flux, flux)
