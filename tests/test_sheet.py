"""The sheet: one page a candidate, of a sky whose truth is known."""

import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
from candidate_sky import evidence_of, make_sky, sheet_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image

from candidates.drawing import BrokenTime, averages, clean_text, compress_peaks, thin, wrap
from candidates.evidence import to_json
from candidates.fit_block import fitted_rows
from candidates.page import render_page
from candidates.panels import transit
from candidates.plots import draw_sheet
from candidates.portrait_block import extremes
from candidates.reading import validate
from candidates.wording import (
    measured,
    scenario_text,
    significant,
    validation_text,
)
from pipeline.portrait import portray
from pipeline.simulate.pixels import SCALE, Scene, SceneStar, render
from pipeline.surroundings import look_around
from pipeline.types import (
    CleanedLightCurve,
    FieldStar,
    Finding,
    FoldedViews,
    LightCurve,
    SearchResult,
    Star,
    Target,
    TransitSignal,
    Verdict,
    View,
)
from pipeline.validation import Scenario, Validation


@pytest.fixture(scope="module")
def surroundings(sky):
    """SIMULATED: a dip on a neighbour 2.6 pixels from the target."""
    scene = Scene((SceneStar(5.0, 5.0, 10.4), SceneStar(7.3, 6.2, 12.0, 0.05)), rows=11, columns=11)
    pixels, stars = render(scene, sky.signal, seed=3)
    star = FieldStar(sky.target.kind, sky.target.key, stars[0].ra, stars[0].dec, tmag=stars[0].tmag)
    return look_around(sky.target, sky.signal, sky.cleaned, [pixels], [star, *stars[1:]], [None], {}, None, ["a note"])


@pytest.fixture(scope="module")
def again():
    """The sheet of a sky made anew."""
    sky = make_sky()
    return draw_sheet(evidence_of(sky), sky.cleaned, sky.result, sky.views)


@pytest.fixture(scope="module")
def portrayed(sky):
    return portray(sky.cleaned, sky.views, sky.signal, sky.target.star)


def test_the_sheet_is_1600_px_wide_and_the_same_for_the_same_input(sky, sheet, again):
    picture = Image.open(io.BytesIO(sheet))
    assert picture.format == "PNG"
    assert picture.width == 1600
    assert 1200 < picture.height < 3000
    assert len(sheet) < 350_000
    assert sheet == again.png
    later = {**sky.run, "timings": {"search": 9.9}, "finished_at": "2030-01-01T00:00:00+00:00", "device": "gpu"}
    assert sheet == sheet_of(sky, evidence_of(sky, run=later))


def test_the_sheet_is_one_page_of_pdf_too_the_same_for_the_same_input(drawn, again):
    one = drawn.pdf
    assert one == again.pdf
    assert one.startswith(b"%PDF")
    assert one.count(b"/Type /Page ") == 1
    assert b"CreationDate" not in one
    assert len(one) < 1_500_000


def test_pixels_and_neighbours_stand_in_evidence_on_the_sheet_and_decide(sky, evidence, surroundings):
    around = evidence_of(sky, surroundings=surroundings)
    validate(around.document)
    field = around.document["field"]
    assert field["status"] == "done"
    assert field["offset"]["arcsec"] == pytest.approx(math.hypot(2.3, 1.2) * SCALE, abs=2.0)
    assert field["hosts"][0]["name"] != sky.target.name
    assert field["notes"][0] == "a note"
    assert {finding["test"]: finding["status"] for finding in around.document["vetting"]}["pixel_offset"] == "fail"
    assert around.document["verdict"]["disposition"] == "nearby_false_positive"
    assert around.document["verdict"]["tested"]["kind"] == "nearby star"
    assert around.document["verdict"]["flux"] == evidence.document["verdict"]["flux"]
    drawn = draw_sheet(around, sky.cleaned, sky.result, sky.views, surroundings).png
    assert Image.open(io.BytesIO(drawn)).height > Image.open(io.BytesIO(sheet_of(sky, around))).height


def test_a_field_that_is_not_at_hand_is_not_run_and_leaves_the_verdict_open(sky):
    nothing = look_around(sky.target, sky.signal, sky.cleaned, (), (), (), {}, None, ["its field has not been fetched"])
    found = evidence_of(sky, surroundings=nothing)
    validate(found.document)
    assert found.document["field"]["status"] == "not_run"
    assert found.document["field"]["reason"].startswith("its field has not been fetched; no_pixels")
    told = {finding["test"]: finding["status"] for finding in found.document["vetting"]}
    assert {told[test] for test in ("pixel_offset", "host", "contamination")} == {"not_run"}
    assert found.document["verdict"]["disposition"] == "unknown"


def test_pixels_that_break_a_test_say_so_and_lose_nothing(sky):
    found = look_around(sky.target, sky.signal, sky.cleaned, ["no pixels"], ["no star"] * 2, [None], {}, None, ())
    assert found.light is None
    assert {finding.status for finding in found.findings} == {Verdict.ERROR}
    assert evidence_of(sky, surroundings=found).document["verdict"]["disposition"] == "unknown"


def test_shapes_and_curves_stand_in_the_evidence_small_enough_to_be_read(sky, portrayed):
    document = evidence_of(sky, portrait=portrayed).document
    validate(document)
    folded, star = document["folded"], document["variability"]
    # the light curve is a box of 2.88 hours and 1200 ppm
    assert folded["trapezoid"]["depth_ppm"] == pytest.approx(1200, rel=0.1)
    assert folded["trapezoid"]["duration_hours"] == pytest.approx(2.88, rel=0.15)
    assert max(folded["phases"]["sigma"]) < folded["phases"]["threshold_sigma"]
    assert folded["sectors"] == []
    assert sum(star["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert len(to_json(document)) < 60_000
    broken = evidence_of(sky, portrait="ValueError: why").document
    validate(broken)
    assert broken["folded"] == broken["variability"] == {"status": "error", "reason": "ValueError: why"}


@given(count=st.integers(1, 3000), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_thinned_scan_keeps_the_highest_and_the_lowest_of_every_piece(count, seed):
    random = np.random.default_rng(seed)
    x, y = np.sort(random.random(count)), random.standard_normal(count)
    kept = extremes(x, y, 20)
    assert kept.size <= 40
    assert (np.diff(kept) > 0).all()
    for piece in range(20):
        inside = (x >= piece / 20) & (x < (piece + 1) / 20)
        chosen = y[kept][inside[kept]]
        assert not inside.any() or (chosen.max() == y[inside].max() and chosen.min() == y[inside].min())


SECTOR_DEPTHS = [{"name": f"sector {n}", "depth_ppm": 1200.0 + n, "depth_ppm_err": 30.0} for n in range(1, 27)]
JUDGED = Validation(
    "done", None, "validated", 2e-3, 0.1, (1.6e-3, 2.5e-3), 1e-5, 0.3, (5e-6, 2e-5),
    scenarios=tuple(
        Scenario(name, kind, "target", -1.0, 0.1, 900.0, 1000, chance)
        for name, kind, chance in (("TP", "planet", 0.998), ("EBx2P", "eb", 2e-3), ("NEB 12", "neb", 1e-5))
    ),
    classes={"planet": 0.998, "eb": 2e-3, "neb": 1e-5},
)  # fmt: skip


def test_sectors_and_scenarios_have_panels_only_where_there_are_some(sky, portrayed, sheet):
    found = evidence_of(sky, portrait=portrayed, validation=JUDGED)
    found.document["folded"]["sectors"] = SECTOR_DEPTHS
    validate(found.document)
    assert Image.open(io.BytesIO(sheet_of(sky, found))).height > Image.open(io.BytesIO(sheet)).height
    assert (
        validation_text(found.document["validation"])
        == "FPP 0.002 ± 0.10 dex, NFPP 1e-05 ± 0.30 dex: validated as a planet"
    )
    assert scenario_text("SEBx2P", "a companion") == "SEBx2P: twin binary at twice the period, a companion"
    said = {one["source"]: one["says"] for one in found.document["verdict"]["opinions"]}
    assert said["false-positive probability"] == "planet"
    page = render_page(found, sheet)
    for text in ("FPP 0.002", "depth in sector 26", "rotation with spots"):
        assert text in page


def test_a_fitted_model_is_drawn_in_place_of_the_trapezoid_and_its_band_only_where_it_converged(sky, portrayed):
    hours = np.linspace(-5, 5, 101)
    dips = [-depth * (np.abs(hours) < 1.4) for depth in (1.3e-3, 1.2e-3, 1.1e-3)]
    curve = SimpleNamespace(at=hours, low=dips[0], middle=dips[1], high=dips[2])
    one = {"unit": "Earth radii", "median": 3.9, "minus": 0.11, "plus": 0.2}
    for status, bands in (("done", 1), ("not_converged", 0)):
        document = evidence_of(sky, portrait=portrayed).document
        document["fit"] = {"status": status, "parameters": {}, "derived": {"planet_radius_earth": one}}
        axes = Figure().add_axes((0.1, 0.1, 0.8, 0.8))
        transit(axes, sky.views, sky.signal, document, curve)
        drawn = [line for line in axes.lines if len(line.get_xdata()) == hours.size]
        assert len(drawn) == 1
        np.testing.assert_allclose(drawn[0].get_ydata(), 1e6 * dips[1])
        assert sum(isinstance(part, PolyCollection) for part in axes.collections) == bands
        assert fitted_rows(document) == [("fitted radius", "3.90 +0.20 −0.11 Earth radii")] * bands


def test_another_signal_gives_another_sheet(sheet):
    assert sheet != sheet_of(make_sky(depth=0.0013))


def test_hostile_and_broken_text_is_drawn_not_run(sky):
    # mathtext, control characters, glyphs that no font has, lone surrogates
    target = Target("FILE", "$\\frac{1}{0}$ \x00\x1b[31m 星 \udc80 </td><script>", Star())
    findings = (Finding("odd_even", Verdict.ERROR, None, None, None, "$" + "x" * 900 + " \n\n $"),)
    evidence = evidence_of(sky, target=target, findings=findings)
    drawn = draw_sheet(evidence, sky.cleaned, sky.result, sky.views)
    assert Image.open(io.BytesIO(drawn.png)).width == 1600
    assert drawn.pdf.startswith(b"%PDF")
    page = render_page(evidence, b"")
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    to_json(evidence.document).decode("utf-8")


def test_a_poor_light_curve_still_has_a_sheet(sky):
    """Nothing in transit, no spectrum, no secondary, empty views, no findings, no stellar data."""
    time = np.arange(1400.0, 1400.2, 600 / 86400)
    short = LightCurve(time, np.ones(time.size), np.full(time.size, 1e-3))
    nan = np.full(time.size, np.nan)
    cleaned = CleanedLightCurve(
        short, short, np.zeros(time.size, np.int64), np.full(time.size, 0.007), nan, nan, sky.cleaned.products, {}
    )
    empty = View(np.zeros(256), np.zeros(256, bool), np.zeros(256))
    whole = View(np.zeros(2048), np.zeros(2048, bool), np.zeros(2048))
    views = FoldedViews(short, whole, empty, empty, empty, empty, None)
    signal = TransitSignal(30.0, 1390.0, 0.1, 0.01, 7.2)
    nothing = np.zeros(0)
    result = SearchResult(nothing, nothing, nothing, nothing, (signal,), signal)
    poor = SimpleNamespace(
        target=Target("FILE", "x"),
        cleaned=cleaned,
        result=result,
        signal=signal,
        views=views,
        findings=(),
        score=sky.score,
        run={},
    )
    evidence = evidence_of(poor)
    validate(evidence.document)
    assert evidence.document["views"]["odd"]["depth_ppm"] is None
    assert evidence.document["verdict"]["disposition"] == "unknown"
    drawn = draw_sheet(evidence, poor.cleaned, poor.result, poor.views)
    assert Image.open(io.BytesIO(drawn.png)).width == 1600
    assert drawn.pdf.startswith(b"%PDF")
    assert "not known" in render_page(evidence, b"").lower()


def test_many_years_with_long_gaps_are_drawn_side_by_side():
    years = make_sky(starts=(1325.3, 2036.0, 2060.0 + 730), period=11.3)
    axis = BrokenTime.of(years.cleaned.flat.time)
    assert len(axis.starts) == 3
    shown = axis.place(years.cleaned.flat.time)
    assert (np.diff(shown) > 0).all()
    assert shown[-1] - shown[0] < 85  # 81 days of data, two short gaps
    assert axis.limits[0] < shown[0] < shown[-1] < axis.limits[1]
    assert len(sheet_of(years)) < 350_000


def test_thinning_keeps_one_point_of_every_pixel():
    x = np.linspace(0, 1, 100_000)
    y = np.sin(40 * x)
    kept = thin(x, y, (0, 1), (-1, 1), 300, 100)
    assert len(kept) < 300 * 100
    pixels = {(int(a * 299), int((b + 1) / 2 * 99)) for a, b in zip(x, y, strict=True)}
    assert {(int(x[n] * 299), int((y[n] + 1) / 2 * 99)) for n in kept} == pixels
    assert len(thin(x, y + 9, (0, 1), (-1, 1), 300, 100)) == 0


def test_the_compressed_spectrum_keeps_every_peak():
    period = np.geomspace(0.5, 400, 50_000)
    power = np.random.default_rng(1).exponential(size=period.size)
    power[31_337] = 99.0
    trial, kept = compress_peaks(period, power, 500)
    assert len(trial) <= 1000
    assert trial[np.argmax(kept)] == period[31_337]
    assert (np.diff(trial) > 0).all()


def test_averages_have_the_error_of_the_mean():
    random = np.random.default_rng(3)
    x = random.uniform(0, 1, 40_000)
    where, mean, error = averages(x, 5 + random.standard_normal(x.size), np.linspace(0, 1, 41))
    assert len(where) == 40
    assert np.std((mean - 5) / error) == pytest.approx(1, abs=0.35)  # 40 bins: 11 % of scatter, three of it


@given(st.text(max_size=300), st.integers(min_value=60, max_value=500))
@settings(max_examples=50, deadline=None)
def test_wrapping_loses_no_character(text, width):
    text = clean_text(text)
    lines = wrap(text, width, 10.0)
    assert "".join("".join(line.split()) for line in lines) == "".join(text.split())


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (6.2678912, 0.00052, "6.26789 ± 0.00052 d"),
        (1234.5, 56.7, "1234 ± 57 d"),
        (6.26789123, None, "6.268 d"),
        (None, 0.1, "unknown"),
        (0.0, None, "0 d"),
        (123456.0, 0.0, "123456 d"),
    ],
)
def test_errors_decide_the_digits(value, error, text):
    assert measured(value, error, "d") == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_significant_digits_come_back_as_the_number(value):
    assert float(significant(value, 6)) == pytest.approx(value, rel=1e-4)


# pages
