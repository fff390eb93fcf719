"""Every layout of light curve, read from small files that astropy wrote."""

import contextlib
import errno
import gzip
import io
import warnings

import light_curve_files as files
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunter.archives import fits_file, formats
from hunter.archives.identity import Identity, catalogue_number, star_of, version
from hunter.archives.settings import ArchiveSettings
from pipeline.errors import UnusableData
from pipeline.types import Observation

COLUMNS = ArchiveSettings().columns


def taken(tmp_path, content, name="any_name.bin", columns=COLUMNS) -> tuple[formats.Checked, Observation]:
    path = files.save(tmp_path, name, content)
    assert formats.identify(path) == formats.check(path, columns).identity
    checked = formats.check(path, columns)
    return checked, formats.read(checked.product, columns)


def equal(measured, expected) -> None:
    np.testing.assert_array_equal(measured, expected)
    assert measured.dtype.isnative


def test_reads_spoc_and_keeps_every_row_as_it_is(tmp_path):
    checked, observed = taken(tmp_path, files.spoc())
    sky = files.sky()
    equal(observed.time, sky["time"])
    equal(observed.flux, (sky["flux"] * np.float32(1e4)).astype(float))
    equal(observed.flux_err, (sky["error"] * np.float32(1e4)).astype(float))
    equal(observed.quality, sky["quality"].astype(np.int64))
    equal(observed.centroid_column, sky["column"])
    equal(observed.centroid_row, sky["row"])
    product = checked.product
    assert (product.mission, product.author, product.sector, product.camera, product.ccd) == ("TESS", "SPOC", 1, 4, 2)
    assert (product.flux_column, product.data_release, product.created) == ("PDCSAP_FLUX", 42, "2020-09-13")
    assert product.cadence_seconds == pytest.approx(120)
    assert checked.notes == ()


def test_takes_the_star_from_the_primary_header_and_leaves_empty_cards_unknown(tmp_path):
    star = taken(tmp_path, files.spoc(TEFF=0.0))[0].identity.star
    assert (star.tmag, star.logg, star.ra, star.dec) == (5.097, 4.4, 84.291198, -80.469143)
    assert star.teff is None
    assert star.radius is None
    assert star.mass is None


def test_another_column_can_be_preferred(tmp_path):
    checked, observed = taken(tmp_path, files.spoc(), columns=("sap_flux",))
    assert checked.product.flux_column == "SAP_FLUX"
    assert np.nanmedian(observed.flux) == pytest.approx(1.1e4, rel=1e-3)


@pytest.mark.parametrize(("seconds", "author"), [(20, "SPOC"), (120, "SPOC"), (200, "TESS-SPOC"), (1800, "TESS-SPOC")])
def test_tells_tess_spoc_by_its_cadence(tmp_path, seconds, author):
    checked, _ = taken(tmp_path, files.spoc(seconds=seconds))
    assert checked.product.author == author
    assert checked.product.cadence_seconds == pytest.approx(seconds)


def test_simulated_files_never_pass_for_those_of_spoc(tmp_path):
    assert taken(tmp_path, files.spoc(SIMDATA=True))[0].product.author == "SIMULATED"


def test_reads_eleven_digits(tmp_path):
    assert taken(tmp_path, files.spoc(tic=10001177219))[0].identity.key == "10001177219"


def test_reads_kepler_in_btjd(tmp_path):
    checked, observed = taken(tmp_path, files.kepler())
    equal(observed.time, files.sky(seconds=1765.463, start=443.5)["time"] - 2167.0)
    equal(observed.quality, files.sky()["quality"].astype(np.int64))
    assert (checked.identity.kind, checked.identity.key, checked.product.sector) == ("KIC", "10002792", 5)
    assert (checked.product.mission, checked.product.author) == ("Kepler", "KEPLER")
    assert checked.identity.star.tmag is None  # KEPMAG is another band


def test_reads_k2(tmp_path):
    checked, observed = taken(tmp_path, files.kepler(211117077, 4, "K2", 2228.8))
    assert (checked.identity.kind, checked.product.mission, checked.product.sector) == ("EPIC", "K2", 4)
    assert np.nanmin(observed.time) == pytest.approx(2228.8 - 2167)


def test_reads_qlp_of_the_early_sectors(tmp_path):
    checked, observed = taken(tmp_path, files.qlp(sector=30))
    assert (checked.product.author, checked.product.flux_column, checked.product.sector) == ("QLP", "KSPSAP_FLUX", 30)
    equal(observed.flux, files.sky()["flux"].astype(float))
    equal(observed.flux_err, files.sky()["error"].astype(float))
    assert observed.centroid_column is not None
    assert checked.identity.star.teff is None  # 0.0 means missing


def test_reads_qlp_of_the_late_sectors(tmp_path):
    checked, observed = taken(tmp_path, files.qlp(sector=60))
    assert checked.product.flux_column == "SYS_RM_FLUX"
    equal(observed.flux, (files.sky()["flux"] * np.float32(1.02)).astype(float))
    equal(observed.flux_err, files.sky()["error"].astype(float))
    assert taken(tmp_path, files.qlp(sector=60), columns=("DET_FLUX",))[0].product.flux_column == "DET_FLUX"


def test_reads_tglc_and_makes_its_errors(tmp_path):
    checked, observed = taken(tmp_path, files.tglc())
    assert (checked.identity.key, checked.product.author, checked.product.sector) == (str(files.TIC), "TGLC", 30)
    assert checked.product.cadence_seconds == 600
    assert checked.product.flux_column == "cal_aper_flux".upper()
    equal(observed.flux, files.sky()["flux"].astype(float))
    # 400 draws: the MAD of differences is good to 6 % (1 sigma)
    assert observed.flux_err == pytest.approx(1e-3, rel=0.25)
    assert observed.quality[30] == 16384
    assert observed.quality[3] == 128


def test_tglc_of_a_star_without_tic_has_no_name(tmp_path):
    assert taken(tmp_path, files.tglc(tic=""))[0].identity.kind == "FILE"


@pytest.mark.parametrize("full", [False, True])
def test_reads_eleanor_and_scales_its_errors(tmp_path, full):
    checked, observed = taken(tmp_path, files.eleanor(full=full))
    assert (checked.identity.key, checked.product.author, checked.product.sector) == (str(files.TIC), "ELEANOR", 1)
    equal(observed.flux, files.sky()["flux"] * 1000.0)
    good = np.isfinite(observed.flux)
    assert observed.flux_err[good] == pytest.approx(2.0)  # 4 of the raw flux, which is twice the corrected one
    assert checked.identity.star.tmag == 5.1
    assert checked.notes == ("the checksum of PIXELS is stale or wrong",)


def test_reads_the_best_aperture_of_k2sff(tmp_path):
    checked, observed = taken(tmp_path, files.k2sff())
    assert (checked.identity.kind, checked.product.author, checked.product.flux_column) == ("EPIC", "K2SFF", "FCOR")
    equal(observed.flux, files.sky()["flux"].astype(float))
    assert np.nanmin(observed.time) == pytest.approx(1975.2 - 2167)
    assert np.flatnonzero(observed.quality).tolist() == [12]
    assert observed.quality[12] == 1048576
    assert np.nanmedian(observed.flux_err) == pytest.approx(1e-3, rel=0.25)


@pytest.mark.parametrize(
    ("mission", "unit", "kind", "start"),
    [("TESS", "btjd", "TIC", 1354.1), ("TESS", "jd", "TIC", 1354.1), ("Kepler", "bkjd", "KIC", 443.5 - 2167)],
)
def test_reads_exports_of_lightkurve(tmp_path, mission, unit, kind, start):
    checked, observed = taken(tmp_path, files.lightkurve_export(mission=mission, unit=unit))
    assert (checked.identity.kind, checked.identity.key) == (kind, str(files.TIC))
    assert (checked.product.author, checked.product.sector) == ("LIGHTKURVE", 2)
    assert observed.time.min() == pytest.approx(start)
    assert checked.product.cadence_seconds == pytest.approx(120, rel=1e-4)  # measured: the header does not say
    assert observed.centroid_column is not None


def test_an_export_named_by_words_has_no_number(tmp_path):
    assert taken(tmp_path, files.lightkurve_export(target="WASP-18"))[0].identity.kind == "FILE"


def test_reads_any_table_with_time_and_flux(tmp_path):
    sky = files.sky()
    columns = [files.column("TIME", "D", sky["time"]), files.column("FLUX", "E", sky["flux"])]
    cards = {"TELESCOP": "TESS", "OBJECT": "TIC 77"}
    content = files.fits_bytes(cards, files.aperture(), files.table(columns))
    checked, observed = taken(tmp_path, content)
    assert (checked.identity.kind, checked.identity.key, checked.product.author) == ("TIC", "77", "FITS")
    assert np.isnan(observed.flux_err).all()
    assert (observed.quality == 0).all()


def test_reads_gzipped_files(tmp_path):
    checked, observed = taken(tmp_path, gzip.compress(files.spoc()))
    assert checked.identity.key == str(files.TIC)
    equal(observed.time, files.sky()["time"])


def test_scaled_columns_are_scaled(tmp_path):
    sky = files.sky()
    flux = fits.Column("FLUX", "I", bzero=32768, array=np.full(files.ROWS, 40000, dtype=np.uint16))
    content = files.fits_bytes({}, files.table([files.column("TIME", "D", sky["time"]), flux]))
    assert (taken(tmp_path, content)[1].flux == 40000.0).all()


# ---- refusals


def refusal(tmp_path, content, name="file.fits") -> str:
    path = files.save(tmp_path, name, content)
    with pytest.raises(UnusableData) as caught:
        formats.check(path, COLUMNS)
    reason = str(caught.value)
    assert "\n" not in reason
    assert len(reason) > 10
    return reason


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path):
    whole = files.spoc()
    for length in (1, 79, 600, 2879, 2880, 5000, 6000, 9000, 20000, 30000, len(whole) - 2880, len(whole) - 1):
        assert "cut short" in (reason := refusal(tmp_path, whole[:length])) or "incomplete" in reason


def test_a_cut_at_the_boundary_of_a_unit_is_refused(tmp_path):
    whole = files.spoc()
    units = fits_file.walk(io.BytesIO(whole))
    assert "incomplete" in refusal(tmp_path, whole[: units[1].end])
    assert "incomplete" in refusal(tmp_path, whole[: units[0].end])


def test_a_missing_extension_is_refused_even_where_the_count_agrees(tmp_path):
    sky = files.sky()
    cards = {"CREATOR": "1 LightCurveExporterPipelineModule", "TELESCOP": "TESS", "TICID": 5, "SECTOR": 1}
    alone = files.fits_bytes(cards, files.table(files.spoc_columns(sky), "LIGHTCURVE", TIMEDEL=120 / 86400))
    assert "APERTURE is missing" in refusal(tmp_path, alone)


def test_what_stands_behind_the_last_unit_is_refused(tmp_path):
    assert "belong to nothing" in refusal(tmp_path, files.spoc() + b"x" * 2880)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_of_a_spoc_file_is_always_caught(tmp_path, place, change):
    content = bytearray(files.spoc_once())
    content[int(place * len(content))] ^= change
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal(tmp_path, bytes(content))


def test_a_changed_byte_in_each_header_card_is_caught(tmp_path):
    whole = files.spoc_once()
    for unit in fits_file.walk(io.BytesIO(whole)):
        for number, card in enumerate(range(unit.start, unit.data, 80)):
            content = bytearray(whole)
            content[card + (2, 12, 28)[number % 3]] ^= 1  # in the name, in the value's beginning and end
            refusal(tmp_path, bytes(content))


def test_a_spoc_file_without_checksum_is_refused(tmp_path):
    assert "carries no checksum" in refusal(tmp_path, files.spoc(checksum=False))


def test_a_gzipped_file_that_was_cut_or_changed_is_refused(tmp_path):
    packed = gzip.compress(files.spoc())
    assert "cut short" in refusal(tmp_path, packed[:-2000], "file.fits.gz")
    changed = bytearray(packed)
    changed[len(packed) // 2] ^= 255
    refusal(tmp_path, bytes(changed), "file.fits.gz")


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused():
    with pytest.raises(UnusableData, match="too much"):
        fits_file.inflate(gzip.compress(bytes(2_000_000)), limit=1_000_000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>503</body></html>" * 100, "web page"),
        (b"PK\x03\x04" + bytes(4000), "zip"),
        (bytes(5760), "zeros only"),
        (b"hello world" * 1000, "not a FITS file"),
        (files.pixels(), "target pixel file"),
        (files.fits_bytes({"TELESCOP": "HST"}, files.aperture()), "image"),
        (files.fits_bytes({}, files.table([files.column("VECTOR_1", "E", np.zeros(9))], "CBV.single")), "cotrending"),
        (files.fits_bytes({}, files.table([files.column("RA", "E", np.zeros(9))])), "no table in it"),
    ],
)
def test_says_what_a_file_is_that_is_no_light_curve(tmp_path, content, words):
    assert words in refusal(tmp_path, content)


def test_a_cadence_that_the_times_contradict_is_refused(tmp_path):
    sky = files.sky(seconds=20.0)
    cards = {"CREATOR": "1 LightCurveExporterPipelineModule", "TELESCOP": "TESS", "TICID": 5, "SECTOR": 1}
    unit = files.table(files.spoc_columns(sky), "LIGHTCURVE", BJDREFI=2457000, TIMEDEL=120 / 86400)
    assert "cadence" in refusal(tmp_path, files.fits_bytes(cards, unit, files.aperture()))


def test_times_that_are_no_btjd_are_refused(tmp_path):
    sky = files.sky(start=2458325.0)
    columns = [files.column("TIME", "D", sky["time"]), files.column("FLUX", "E", sky["flux"])]
    assert "no BTJD" in refusal(tmp_path, files.fits_bytes({"TELESCOP": "TESS"}, files.table(columns)))


def test_a_file_without_rows_reads_as_nothing(tmp_path):
    empty = [files.column("TIME", "D", np.empty(0)), files.column("FLUX", "E", np.empty(0))]
    checked, observed = taken(tmp_path, files.fits_bytes({}, files.table(empty)))
    assert observed.time.size == observed.flux.size == 0
    assert checked.product.cadence_seconds is None


def test_a_file_changed_since_it_was_checked_is_refused(tmp_path):
    path = files.save(tmp_path, "a.fits", files.spoc())
    product = formats.check(path, COLUMNS).product
    path.write_bytes(files.spoc(TEFF=6000.0))
    with pytest.raises(UnusableData, match="changed"):
        formats.read(product, COLUMNS)


def test_headers_that_announce_nonsense_are_refused_at_once(tmp_path):
    whole = files.spoc()
    for old, new in (
        (b"NAXIS1  =                  100", b"NAXIS1  =   999999999999999999"),
        (b"BITPIX  =                    8", b"BITPIX  =                    7"),
        (b"NAXIS2  =", b"NAXIS3  ="),
        (b"TFIELDS =                   10", b"TFIELDS =                    9"),
        (b"TFIELDS =", b"TFIELDS =           9999999999"),
        (b"NAXIS1  =", b"NAXIS1  =                  -40"),
        (b"NAXIS   =", b"NAXIS   =           9999999999"),
        (b"GCOUNT  =", b"GCOUNT  = 'one'               "),
        (b"END     ", b"AND     "),
    ):
        position = whole.find(old, 2880)
        if old.startswith(b"NAXIS1"):
            position = whole.find(b"NAXIS1  =", 2880)
        assert position > 0
        refusal(tmp_path, whole[:position] + new + whole[position + len(new) :])


# ---- headers and numbers


def headed(*cards: bytes) -> bytes:
    """A file of one header."""
    lines = [b"SIMPLE  =                    T", b"BITPIX  =                    8", b"NAXIS   =                    0"]
    return b"".join(line.ljust(80) for line in (*lines, *cards, b"END")).ljust(2880)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"KEY     = 'it''s / no comment  ' / a comment", "it's / no comment"), (b"KEY     =                   12", 12),
        (b"KEY     =             1.25D-03 / a comment", 1.25e-3), (b"KEY     =                    T", True),
        (b"KEY     =                      / empty", None), (b"KEY     = 1.2.3", None), (b"KEY     = 'no end", None),
        (b"KEY     = ( 1.0, 2.0 )", None), (b"OTHER   =                   12", None), (b"COMMENT KEY = 3", None),
        ((b"KEY     =                    1".ljust(80) + b"KEY     =                    2").ljust(160), 1),
    ],
)  # fmt: skip
def test_a_card_gives_its_value_or_none(written, value):
    (unit,) = fits_file.walk(io.BytesIO(headed(written)))
    assert unit.card("KEY") == value
    assert type(unit.card("KEY")) is type(value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_header_text_gives_values_or_none(noise):
    text = bytes(32 + byte % 95 for byte in noise)
    cards = [b"KEY%-5d= " % i + text[i : i + 70].ljust(70) for i in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (unit,) = fits_file.walk(io.BytesIO(headed(*cards)))
        for key in ("KEY0", "KEY1", "KEY2"):
            assert unit.card(key) is None or isinstance(unit.card(key), int | float | str)


SCRAPS = (
    "'",
    "''",
    "/",
    " ",
    "  ",
    "T",
    "F",
    "1",
    "007",
    "-",
    "+",
    ".",
    "E",
    "D",
    "e",
    "nan",
    "abc",
    ": ",
    "A: 1",
    "= ",
    "&",
    "(",
    ",",
)


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.sampled_from(SCRAPS), max_size=14).map("".join),
    st.sampled_from((b"KEY     ", b"key     ", b"KE Y    ")),
)
def test_a_card_means_to_us_what_it_means_to_astropy(written, keyword):
    raw = headed(keyword + b"= " + written[:70].encode().ljust(70), b"OTHER   =                   12")
    ours = fits_file.walk(io.BytesIO(raw))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = fits_file.Unit(fits.Header.fromstring(raw), 0, len(raw), len(raw))
        for key in ("KEY", "OTHER", "NAXIS"):
            value = theirs.card(key)
            assert ours.card(key) == value
            assert type(ours.card(key)) is type(value)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(("0", "1", "2", "3", "8", "-32", "64", "-1", "7", "1.0", "T", "''")), min_size=6, max_size=6
    )
)
def test_a_header_announces_to_us_what_it_announces_to_astropy(values):
    names = ("BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT")
    cards = [f"{name:8}= {value:>20}".ljust(80) for name, value in zip(names, values, strict=True)]
    text = "".join(["SIMPLE  =                    T".ljust(80), *cards, "END".ljust(80)]).ljust(2880).encode()
    try:
        end = fits_file.walk(io.BytesIO(text))[0].end
    except UnusableData:
        end = None
    try:
        header = fits.Header.fromstring(text)
        size = header.data_size_padded
        size = size if header["BITPIX"] in fits_file.BITS and isinstance(size, int) and size >= 0 else None
    except (KeyError, TypeError, ValueError, fits.VerifyError):
        size = None
    assert end == (None if size is None else 2880 + size)


def test_headers_as_spoc_writes_them_need_no_astropy():
    for unit in fits_file.walk(io.BytesIO(files.spoc_once())):
        assert isinstance(unit.header, fits_file.Cards)


def test_logical_columns_are_true_or_false(tmp_path):
    flags = fits.Column("QUALITY", "L", array=np.arange(files.ROWS) == 12)
    columns = [files.column("TIME", "D", files.sky()["time"]), files.column("FLUX", "E", files.sky()["flux"]), flags]
    observed = taken(tmp_path, files.fits_bytes({}, files.table(columns)))[1]
    assert np.flatnonzero(observed.quality).tolist() == [12]


def test_a_failing_disk_is_no_damage():
    class Disk(io.BytesIO):
        def read(self, size=-1):
            if self.tell() >= 2880:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        fits_file.walk(Disk(files.spoc_once()))


K2SFF = files.k2sff()  # whose checksum does not bind, and which holds an image
WILD = (
    "-1",
    "0",
    "-40",
    "9999999999",
    "9" * 40,
    "1.5",
    "1E400",
    "nan",
    "T",
    "''",
    "'x'",
    "'9999999D'",
    "'1PD(3)'",
    "(1,2)",
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(WILD)), min_size=1, max_size=3))
def test_wild_values_in_cards_end_in_a_reason_or_a_light_curve(tmp_path, changes):
    content = bytearray(K2SFF)
    cards = [at for at in range(0, len(content), 80) if content[at + 8 : at + 10] == b"= "]
    for place, value in changes:
        at = cards[int(place * len(cards))] + 10
        content[at : at + 70] = value.rjust(20).ljust(70).encode()
    path = files.save(tmp_path, "file.fits", bytes(content))
    try:
        formats.read(formats.check(path, COLUMNS).product, COLUMNS)
    except UnusableData as error:
        assert "\n" not in str(error)  # noqa: PT017  # either end is right


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=9000))
def test_any_bytes_behind_a_fits_beginning_are_refused_or_walked(noise):
    text = b"SIMPLE  =                    T" + bytes(32 + byte % 95 for byte in noise)
    with contextlib.suppress(UnusableData):
        units = fits_file.walk(io.BytesIO(text))
        assert units[0].end >= 2880


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (261136679, "261136679"), ("0000000261136679", "261136679"), ("TIC 261136679", "261136679"), (1.0, "1"),
        ("KIC 10002792", "10002792"), (10001177219, "10001177219"), ("10001177219", "10001177219"),
        (100011772190, None), ("", None), (0, None), (-5, None), (True, None), (None, None), ("WASP-18", None),
        (float("nan"), None), (1.5, None), ("../../etc/passwd", None), ("TIC ٣", None), ("0", None),
    ],
)  # fmt: skip
def test_catalogue_numbers_are_whole_and_positive(value, expected):
    assert catalogue_number(value) == expected


STAR_CARDS = st.sampled_from(["RA_OBJ", "DEC_OBJ", "TESSMAG", "TEFF", "LOGG", "RADIUS"])


@given(
    st.dictionaries(STAR_CARDS, st.one_of(st.none(), st.floats(), st.text(max_size=5), st.booleans(), st.integers()))
)
def test_a_star_never_holds_nonsense(cards):
    star = star_of(cards.get)
    for value in (star.tmag, star.teff, star.logg, star.radius, star.ra, star.dec):
        assert value is None or (np.isfinite(value) and isinstance(value, float))
    assert star.teff is None or star.teff > 0
    assert (star.ra is None) == (star.dec is None)


def test_releases_are_ordered_as_numbers():
    assert version("spoc-5.0.10-20200904") > version("spoc-5.0.9-20210101")
    old = Identity("TIC", "1", "TESS", "SPOC", data_release=1, processing="spoc-9", created="2024-01-01")
    new = Identity("TIC", "1", "TESS", "SPOC", data_release=42, processing="spoc-5", created="2020-01-01")
    assert new.release > old.release
    assert Identity.from_json(old.to_json()) == old
