"""Evidence, sheet, page, index and publication, from a sky whose truth is known."""

import copy
import dataclasses
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from PIL import Image

from candidates import publish
from candidates.closer import closer_data
from candidates.drawing import BrokenTime, averages, clean_text, compress_peaks, thin, wrap
from candidates.evidence import build_evidence, candidate_name, dip, to_json
from candidates.fit_block import fitted_rows
from candidates.page import curve_path, render_index, render_page, script_data
from candidates.panels import transit
from candidates.plots import compose, draw_sheet, palette_png
from candidates.portrait_block import extremes
from candidates.reading import BadEvidence, parse, read, schema, validate
from candidates.rows import index_row
from candidates.wording import (
    decision_lines,
    measured,
    scenario_text,
    signal_rows,
    significant,
    unknown_lines,
    validation_text,
    verdict_words,
)
from pipeline.confirm import Confirmation
from pipeline.disposition import TABLE, Role, decide
from pipeline.ephemeris import cycle, phase
from pipeline.portrait import portray
from pipeline.simulate.pixels import SCALE, Scene, SceneStar, render
from pipeline.surroundings import look_around
from pipeline.types import (
    CleanedLightCurve,
    FieldStar,
    Finding,
    FoldedViews,
    LightCurve,
    Product,
    Score,
    SearchResult,
    Star,
    Target,
    TransitSignal,
    Verdict,
    View,
)
from pipeline.validation import Scenario, Validation
from pipeline.vetting import TESTS

SHA = hashlib.sha256(b"a model").hexdigest()


def binned(position, flux, half_width: float, bins: int) -> View:
    """A plain folded view; the real one is pipeline.fold's, which this package does not need."""
    index = np.floor((position + half_width) / (2 * half_width) * bins).astype(np.int64)
    good = (index >= 0) & (index < bins)
    count = np.bincount(index[good], minlength=bins)
    mean = np.bincount(index[good], weights=flux[good], minlength=bins) / np.maximum(count, 1)
    scatter = np.where(count > 0, flux.std() / np.sqrt(np.maximum(count, 1)), 0.0)
    return View(mean, count > 0, scatter)


def make_sky(
    period=3.1234567,
    depth=0.0012,
    duration=0.12,
    odd_depth=None,
    noise=3e-4,
    starts=(1325.3,),
    key="261136679",
    kind="TIC",
    star=Star(tmag=10.4, teff=5640.0, radius=1.03),
) -> SimpleNamespace:
    """One star with box-shaped transits in 10-minute cadence, 27 days from each of the starts."""
    random = np.random.default_rng(7)
    time = np.concatenate([np.arange(start, start + 27.0, 600 / 86400) for start in starts])
    epoch = starts[0] + 1.234
    since = phase(time, period, epoch) * period
    odd = cycle(time, period, epoch) % 2 == 1
    deep = np.where(odd, depth if odd_depth is None else odd_depth, depth)
    flux = 1 - deep * (np.abs(since) <= duration / 2) + noise * random.standard_normal(time.size)
    error = np.full(time.size, noise)
    flat = LightCurve(time, flux, error)
    raw = LightCurve(time, flux * (1 + 0.003 * np.sin(time)), error)
    products = tuple(
        Product(
            f"/data/s{n}.fits", hashlib.sha256(bytes([n])).hexdigest(), "TESS", "SPOC", "PDCSAP_FLUX", n, 1, 2, 600.0
        )
        for n in range(1, len(starts) + 1)
    )
    nan = np.full(time.size, np.nan)
    exposure = np.full(time.size, 600 / 86400)
    cleaned = CleanedLightCurve(flat, raw, np.zeros(time.size, np.int64), exposure, nan, nan, products, {"flagged": 12})
    signal = TransitSignal(
        period, epoch, duration, depth, 40.0, period_err=2e-4, depth_err=2e-5, n_transits=8 * len(starts), sde=12.0
    )
    trial = np.geomspace(0.5, 13.0, 5000)
    power = 3 + 37 * np.exp(-0.5 * ((trial - period) / 0.01) ** 2)
    result = SearchResult(trial, power, np.array([0.06, 0.2]), np.array([2e-4, 1e-4]), (signal,), signal)
    local, relative = since / duration, flux - 1
    views = FoldedViews(
        flat,
        binned(since / period, relative, 0.5, 2048),
        binned(local, relative, 2.0, 256),
        binned(phase(time, period, epoch + 0.4 * period) * period / duration, relative, 2.0, 256),
        binned(local[odd], relative[odd], 2.0, 256),
        binned(local[~odd], relative[~odd], 2.0, 256),
        0.4,
    )
    findings = (
        Finding("odd_even", Verdict.PASS, 3.0, 0.4, 3.0, "odd 1200 +- 20 ppm, even 1203 +- 20 ppm"),
        Finding("centroid", Verdict.NOT_RUN, None, None, 3.0, "no_pixels: the light curve has no centroids"),
    )
    run = {
        "settings": {"search": {"snr": 7.1}, "clean": {"min_points": 100}},
        "versions": {"hunter": "0.1"},
        "device": "cpu",
        "timings": {"search": 0.5},
        "finished_at": "2026-01-02T03:04:05+00:00",
    }
    return SimpleNamespace(
        target=Target(kind, key, star),
        cleaned=cleaned,
        result=result,
        signal=signal,
        views=views,
        findings=findings,
        score=Score(
            0.93,
            2.6,
            "resnet1d",
            SHA,
            0.85,
            0.05,
            0.02,
            {"planet": 0.93, "junk": 0.07},
            members=(0.9, 0.92, 0.95),
            entropy=0.37,
            disagreement=0.004,
            conformal_set=("planet",),
            conformal_coverage=0.9,
            conformal_note="",
        ),
        run=run,
    )


def evidence_of(sky: SimpleNamespace, **changed):
    parts = {**vars(sky), **changed}
    return build_evidence(**parts, name=candidate_name(parts["target"], parts["signal"]))


CONFIRMED = Confirmation(
    "done", "", "2.0.4", ((0.5, 13.0),), True, "same period", 3.1234, 1326.1, 0.12, 0.0013, 33.1, 21.34, 8e-5, 0.42, 8
)


def sheet_of(sky: SimpleNamespace, evidence=None) -> bytes:
    """The picture alone: its PDF takes as long again."""
    return palette_png(compose(evidence or evidence_of(sky), sky.cleaned, sky.result, sky.views))


@pytest.fixture(scope="module")
def sky():
    return make_sky()


@pytest.fixture(scope="module")
def evidence(sky):
    return evidence_of(sky)


@pytest.fixture(scope="module")
def drawn(sky, evidence):
    """The same sheet twice, the second time of a sky made anew."""
    again = make_sky()
    return (
        draw_sheet(evidence, sky.cleaned, sky.result, sky.views),
        draw_sheet(evidence_of(again), again.cleaned, again.result, again.views),
    )


@pytest.fixture(scope="module")
def sheet(drawn):
    return drawn[0].png


@pytest.fixture(scope="module")
def closer(sky, evidence):
    return closer_data(evidence.document, sky.cleaned, sky.result, sky.views)


# evidence


def test_the_document_follows_its_schema_and_says_what_is_true(evidence):
    document = evidence.document
    validate(document)
    assert evidence.name == document["name"] == "TIC_261136679_p3.123457"
    assert document["signal"]["duration_hours"] == pytest.approx(2.88)
    assert document["signal"]["depth_ppm"] == pytest.approx(1200)
    # 80 cadences in the inner half of 8 transits with 300 ppm each: 60 ppm / sqrt(80) = 34 ppm, 4 sigma
    assert document["views"]["local"]["depth_ppm"] == pytest.approx(1200, abs=140)
    assert document["views"]["secondary"]["depth_ppm"] == pytest.approx(0, abs=140)
    assert document["derived"]["planet_radius_earth"] == pytest.approx(0.0012**0.5 * 1.03 * 109.076)
    assert document["signal"]["epoch_btjd_err"] is None
    assert document["run"]["settings"] == {"clean": {"min_points": 100}, "search": {"snr": 7.1}}


def test_the_json_is_the_same_for_the_same_input_and_reads_back(sky, evidence, tmp_path):
    data = to_json(evidence.document)
    assert data == to_json(evidence_of(make_sky()).document)
    other = {"clean": {"min_points": 100}, "search": {"snr": 7.1}}  # another order of the same settings
    assert data == to_json(evidence_of(sky, run={**sky.run, "settings": other}).document)
    (tmp_path / "a.json").write_bytes(data)
    assert read(tmp_path / "a.json") == evidence.document


def test_odd_and_even_depths_are_told_apart():
    binary = make_sky(depth=0.01, odd_depth=0.02)
    views = evidence_of(binary).document["views"]
    assert views["odd"]["depth_ppm"] == pytest.approx(20_000, rel=0.03)
    assert views["even"]["depth_ppm"] == pytest.approx(10_000, rel=0.03)


def test_the_depth_error_covers_the_scatter_of_simulated_depths():
    signal = make_sky().signal
    pulls = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        time = np.arange(1325.3, 1352.3, 600 / 86400)
        flux = 1 - 0.0012 * (np.abs(phase(time, signal.period, signal.epoch)) * signal.period <= signal.duration / 2)
        found = dip(LightCurve(time, flux + 3e-4 * random.standard_normal(time.size), np.full(time.size, 3e-4)), signal)
        pulls.append((found.depth - 0.0012) / found.depth_err)
    assert 0.75 < np.std(pulls) < 1.3  # 60 draws: the spread of a standard deviation is 9 %, three of it
    assert abs(np.mean(pulls)) < 0.45


def leaves(node, path=()):
    """Every place in a document, with what stands there."""
    yield path, node
    if isinstance(node, dict):
        for key, item in node.items():
            yield from leaves(item, (*path, key))
    elif isinstance(node, list):
        for place, item in enumerate(node):
            yield from leaves(item, (*path, place))


def put(document, path, value):
    """A copy of the document with another value at one place."""
    changed = copy.deepcopy(document)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


FREE = {("run", "settings"), ("run", "versions"), ("data", "rejected"), ("score", "classes"), ("run", "timings")}


def test_every_corruption_of_a_document_is_refused(evidence):
    document = evidence.document
    refused = 0
    for path, node in leaves(document):
        if not path or path[:2] in FREE:
            continue
        with pytest.raises(BadEvidence):
            validate(put(document, path, {"a": "surprise"}))
        refused += 1
        if isinstance(path[-1], str):
            without = put(document, path, None)
            holder = without
            for key in path[:-1]:
                holder = holder[key]
            del holder[path[-1]]
            with pytest.raises(BadEvidence):
                validate(without)
        if isinstance(node, float):
            for value in (float("nan"), float("inf"), "12"):
                with pytest.raises(BadEvidence):
                    validate(put(document, path, value))
        if isinstance(node, dict):
            with pytest.raises(BadEvidence):
                validate(put(document, path, {**node, "surprise": 1}))
    assert refused > 100


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("vetting", 0, "status"), "ok"),
        (("vetting", 1, "note"), ""),
        (("score", "probability"), 1.5),
        (("score", "model_sha256"), "abc"),
        (("signal", "period_days"), 0.0),
        (("signal", "period_days_err"), -1.0),
        (("data", "files"), []),
        (("schema", "version"), "0.9"),
        (("name",), "../../etc/passwd"),
        (("verdict", "disposition"), "candidate"),  # no word of this version
        (("fit",), None),
        (("validation",), {"status": "not_run", "reason": ""}),
        (("views", "secondary", "phase"), 1.5),
    ],
)
def test_a_document_that_lies_is_refused(evidence, path, value):
    with pytest.raises(BadEvidence, match=re.escape(str(path[0]))):
        validate(put(evidence.document, path, value))


def test_the_schema_names_every_block_of_the_design():
    named = (
        "schema",
        "target",
        "data",
        "signal",
        "views",
        "score",
        "centroid",
        "vetting",
        "fit",
        "validation",
        "known",
    )
    assert {*named, "verdict", "run"} <= set(schema()["required"])
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', "[1]", "{", "", b"\xff\xfe"])
def test_what_is_not_json_is_no_evidence(text):
    with pytest.raises(BadEvidence):
        parse(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_number_that_is_not_finite_is_refused_where_it_stands(sky, value):
    with pytest.raises(ValueError, match=r"evidence\.signal\.snr is"):
        evidence_of(sky, signal=dataclasses.replace(sky.signal, snr=value))
    with pytest.raises(ValueError, match=r"evidence\.vetting\[0\]\.sigma is"):
        evidence_of(sky, findings=(dataclasses.replace(sky.findings[0], sigma=value),))


def test_a_status_outside_the_four_is_refused(sky):
    with pytest.raises(ValueError, match="not one of pass fail not_run error"):
        evidence_of(sky, findings=(dataclasses.replace(sky.findings[0], status="ok"),))


OWED = [test.__name__ for test in TESTS]


def of_statuses(statuses):
    return tuple(Finding(name, status, None, None, None, "why") for name, status in zip(OWED, statuses, strict=False))


@given(
    statuses=st.lists(st.sampled_from(list(Verdict)), max_size=len(OWED)) | st.just([Verdict.PASS] * len(OWED)),
    probability=st.floats(min_value=0, max_value=1),
)
@settings(max_examples=60, deadline=None)
def test_the_verdict_follows_the_decision_of_the_tests_and_the_score(statuses, probability):
    findings = of_statuses(statuses)
    score = dataclasses.replace(SKY.score, probability=probability)
    document = evidence_of(SKY, findings=findings, score=score).document
    validate(document)
    word, flux = document["verdict"]["disposition"], document["verdict"]["flux"]["disposition"]
    assert flux == decide(findings).word
    assert len(document["verdict"]["opinions"]) == 4
    assert len(document["verdict"]["agreement"]) == 6
    if flux == "false alarm":
        assert word == "instrumental"
    elif flux == "false positive":
        assert word in ("eclipsing_binary", "variable", "nearby_false_positive", "instrumental")
    else:
        assert word == "unknown"  # nobody looked at the pixels
    lines = unknown_lines(document)
    undone = {status for status in statuses if status in (Verdict.NOT_RUN, Verdict.ERROR)}
    # one line for each reason, one for tests that nobody ran; then fit, validation and catalogues
    assert len(lines) == len(undone) + (len(statuses) < len(OWED)) + 3
    for name, status in zip(OWED, statuses, strict=False):
        assert status not in undone or any(re.search(rf"\b{name.replace('_', ' ')}\b", line) for line in lines)


@pytest.mark.parametrize(("word", "kind"), [("eclipsing_binary", "eclipsing binary"), ("instrumental", "instrument")])
def test_what_it_is_instead_is_said_in_the_title(word, kind):
    test = next(name for name in OWED if TABLE[name].speaks_of == kind and TABLE[name].role is not Role.SOFT)
    findings = of_statuses([Verdict.FAIL if name == test else Verdict.PASS for name in OWED])
    document = evidence_of(SKY, findings=findings).document
    assert document["verdict"]["disposition"] == word
    because = f"{test.replace('_', ' ')} failed, and one failure decides"
    assert verdict_words(document) == f"{word.replace('_', ' ').upper()}: {because}"


SKY = make_sky()


def test_the_title_says_where_the_light_curve_alone_is_a_planets():
    flux = tuple(Finding(name, Verdict.PASS, None, None, None, "why") for name in OWED)
    pixels = Finding(
        "pixel_offset", Verdict.NOT_RUN, None, None, None, "no_pixels: no pixel file of this star is at hand"
    )
    place = tuple(Finding(name, Verdict.PASS, 0.1, 0.2, 3.0, "at the star") for name in ("pixel_offset", "host"))
    block = evidence_of(SKY, findings=(*flux, *place)).document
    assert verdict_words(block) == f"PLANET CANDIDATE: tests {len(OWED) + 2} passed"
    around = SimpleNamespace(findings=(pixels,), light=None, pixels=SimpleNamespace(sectors=()), notes=())
    found = evidence_of(SKY, findings=flux, surroundings=around).document
    assert found["verdict"]["disposition"] == "unknown"
    assert verdict_words(found) == f"PLANET CANDIDATE BY ITS LIGHT CURVE, tests {len(OWED)} passed, 1 not run"
    said = dict(decision_lines(found))
    assert said["light curve"].startswith("planet: ")
    assert said["pixels"] == "unknown: the place of the dip is not known: " + pixels.note
    assert said["together"].startswith("planet probability 0.")
    assert "pixel offset: no pixel file of this star is at hand" in unknown_lines(found)


def test_names_carry_the_period_and_on_a_clash_the_sector(sky):
    assert candidate_name(sky.target, sky.signal, 12) == "TIC_261136679_p3.123457_s12"
    assert candidate_name(Target("TIC", "261136679 s0001"), sky.signal) == "TIC_261136679_p3.123457"
    with pytest.raises(ValueError, match="cannot name"):
        candidate_name(sky.target, dataclasses.replace(sky.signal, period=float("nan")))


@given(st.text(min_size=1, max_size=200))
def test_any_key_gives_a_name_that_can_be_published_and_swept(key):
    name = candidate_name(Target("FILE", key), SKY.signal)
    assert publish.NAME.match(name)
    assert publish.FILE.match(f"{name}.json")["name"] == name
    assert Path(name).name == name
    assert len(name) < 180


# the sheet


def test_the_sheet_is_1600_px_wide_and_the_same_for_the_same_input(sky, sheet, drawn):
    picture = Image.open(io.BytesIO(sheet))
    assert picture.format == "PNG"
    assert picture.width == 1600
    assert 1200 < picture.height < 3000
    assert len(sheet) < 350_000
    assert sheet == drawn[1].png
    later = {**sky.run, "timings": {"search": 9.9}, "finished_at": "2030-01-01T00:00:00+00:00", "device": "gpu"}
    assert sheet == sheet_of(sky, evidence_of(sky, run=later))


def test_the_sheet_is_one_page_of_pdf_too_the_same_for_the_same_input(drawn):
    one, two = (sheet.pdf for sheet in drawn)
    assert one == two
    assert one.startswith(b"%PDF")
    assert one.count(b"/Type /Page ") == 1
    assert b"CreationDate" not in one
    assert len(one) < 1_500_000


@pytest.fixture(scope="module")
def surroundings(sky):
    """SIMULATED: a dip on a neighbour 2.6 pixels from the target."""
    scene = Scene((SceneStar(5.0, 5.0, 10.4), SceneStar(7.3, 6.2, 12.0, 0.05)), rows=11, columns=11)
    pixels, stars = render(scene, sky.signal, seed=3)
    star = FieldStar(sky.target.kind, sky.target.key, stars[0].ra, stars[0].dec, tmag=stars[0].tmag)
    return look_around(sky.target, sky.signal, sky.cleaned, [pixels], [star, *stars[1:]], [None], {}, None, ["a note"])


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


@pytest.fixture(scope="module")
def portrayed(sky):
    return portray(sky.cleaned, sky.views, sky.signal, sky.target.star)


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


class Checker(HTMLParser):
    """What a page refers to, and whether its elements close."""

    VOID = frozenset({"meta", "img", "input", "br", "path"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.handlers: list[str] = []
        self.policy = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        if tag == "meta" and dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
        for name, value in attrs:
            if name in ("src", "href") and value:
                self.links.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_page_needs_no_other_file_and_no_network(evidence, sheet):
    page = render_page(evidence, sheet)
    checked = Checker(page)
    assert checked.open == []
    assert checked.scripts == 1
    assert not [link for link in checked.links if link.startswith(("http", "//", "file"))]
    assert checked.policy.startswith("default-src 'none'; img-src data:;")
    assert [link[:22] for link in checked.links if link.startswith("data:")] == ["data:image/png;base64,"]
    assert "hunter review TIC_261136679_p3.123457 --decision pc --reason" in page
    assert {"TIC_261136679_p3.123457.png", "TIC_261136679_p3.123457.json", "index.html"} <= set(checked.links)


def test_the_page_names_every_number_of_the_signal_and_every_test(evidence, sheet):
    page = render_page(evidence, sheet)
    for text in (
        "3.12346 ± 0.00020 d",
        "1200 ± 20 ppm",
        "2.88 h",
        "0.9300",
        "NOT RUN",
        "the light curve has no centroids",
        "not run",
        SHA,
    ):
        assert text in page


def test_the_scripts_are_those_that_the_policy_allows(evidence, sheet, closer):
    import base64

    for page in (
        render_page(evidence, sheet),
        render_page(evidence, sheet, closer),
        render_index([index_row(evidence.document)]),
    ):
        scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
        digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
        assert set(re.findall(r"'sha256-([^']+)'", Checker(page).policy)) >= set(digests)
        assert len(scripts) == (3 if page.count("closer-data") else 1)


def test_the_charts_of_a_page_hold_the_light_curve_to_a_second_and_a_ppm(sky, closer):
    time = closer["start"] + np.cumsum(closer["steps"]) / 1e5
    assert np.abs(time - sky.views.light_curve.time).max() < 1 / 86400
    assert np.abs(np.array(closer["flat"]) / 1e6 + 1 - sky.views.light_curve.flux).max() <= 0.5e-6
    assert closer["averaged"] == 1
    assert max(closer["power"]) == pytest.approx(sky.result.power.max(), abs=0.01)
    assert "</script" not in script_data({"x": "</script><script>alert(1)"})


def test_a_long_light_curve_is_averaged_for_the_charts_and_the_page_says_so():
    sky = make_sky(starts=tuple(1325.3 + 30.0 * number for number in range(8)))
    evidence = evidence_of(sky)
    found = closer_data(evidence.document, sky.cleaned, sky.result, sky.views)
    assert found["averaged"] == 2
    assert len(found["flat"]) == -(-len(sky.cleaned.flat) // 2) == len(found["steps"])
    assert np.mean(found["flat"]) == pytest.approx(1e6 * (sky.views.light_curve.flux.mean() - 1), abs=1.0)
    assert "each point is the mean of 2 cadences" in render_page(evidence, b"", found)


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../etc/passwd",
    "javascript:alert(1)",
    "{{ 7*7 }}",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_name_stays_text_on_every_page(sky, sheet, key):
    evidence = evidence_of(sky, target=Target("FILE", key, Star()))
    validate(evidence.document)
    row = {**index_row(evidence.document), "review": key, "reviewer": key}
    for page in (render_page(evidence, sheet), render_index([row], key)):
        checked = Checker(page)
        assert checked.open == []
        assert checked.scripts == 1
        assert checked.handlers == []
        assert all(
            "/" not in link.removeprefix("data:image/png") for link in checked.links if not link.startswith("data:")
        )
        assert not [link for link in checked.links if link.startswith("javascript:")]
        assert "49" not in key or "{{ 7*7 }}" in page


def test_an_empty_index_says_so():
    page = render_index([], "2026-01-02 03:04:05 UTC")
    assert "No candidates yet" in page
    assert "2026-01-02 03:04:05 UTC" in page
    assert Checker(page).open == []


def test_an_index_of_one(evidence):
    page = render_index([index_row(evidence.document)])
    assert "1 candidate, 0 reviewed, 1 to review." in page
    assert page.count("<svg") == 1
    assert 'href="TIC_261136679_p3.123457.html"' in page


def test_an_index_of_a_thousand_is_small_and_ranked(evidence):
    base = index_row(evidence.document)
    random = np.random.default_rng(5)
    rows = []
    for number in range(1000):
        curve = [int(value) for value in random.integers(-2000, 500, 64)]
        probability, snr = float(random.uniform()), float(random.uniform(7, 90))
        rows.append(
            {**base, "name": f"TIC_{number}_p1.000000", "probability": probability, "snr": snr, "curve_ppm": curve}
        )
    page = render_index(rows)
    assert len(page.encode()) < 10_000_000
    shown = [float(value) for value in re.findall(r'data-probability="([0-9.e-]+)"', page)]
    assert len(shown) == 1000
    assert shown == sorted(shown, reverse=True)
    assert page == render_index(rows[::-1])


@given(st.lists(st.none() | st.integers(min_value=-(10**6), max_value=10**6), max_size=64))
def test_a_thumbnail_stays_in_its_box(curve):
    numbers = [float(number) for number in re.findall(r"-?[0-9.]+", curve_path(curve))]
    assert all(0 <= number <= 128 for number in numbers)
    assert len(curve_path(curve)) < 1000


def test_an_index_of_records_reads_the_rest_from_the_evidence(tmp_path, evidence):
    (tmp_path / f"{evidence.name}.json").write_bytes(to_json(evidence.document))
    record = {"name": evidence.name, "probability": 0.93, "snr": 40.0, "decision": "unsure", "reviewer": "anna"}
    page = publish.write_index(tmp_path, [record], written="now").read_text()
    assert "<svg" in page
    assert "by anna" in page
    assert "1 reviewed" in page


# publication

CONTENTS = {kind: kind.encode() * 400 for kind in publish.KINDS}
NEWER = {kind: kind.upper().encode() * 400 for kind in publish.KINDS}
NAME = "TIC_261136679_p3.123457"


class Stop(Exception):
    """Raised by a step at the boundary where a failure is rehearsed."""


def stop_at(number: int):
    left = [number]

    def step(boundary: str) -> None:
        if left[0] == 0:
            raise Stop(boundary)
        left[0] -= 1

    return step


def contents_of(folder: Path, name: str = NAME) -> dict[str, bytes]:
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob(f"{name}.*")}


def publish_all(folder: Path, contents, token: str, step=lambda boundary: None, name: str = NAME) -> None:
    staged = publish.stage_files(folder, name, contents, token, step)
    staged.install(step)
    staged.discard()


def staging_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / publish.STAGING).iterdir())


def test_a_candidate_is_published_with_its_four_files(sky, evidence, tmp_path):
    passed: list[str] = []
    staged = publish.stage(tmp_path, evidence, sky.cleaned, sky.result, sky.views, None, "7-1", passed.append)
    assert contents_of(tmp_path, evidence.name) == {}
    staged.install(passed.append)
    staged.discard()
    found = contents_of(tmp_path, evidence.name)
    assert sorted(found) == ["html", "json", "pdf", "png"]
    for kind, (path, sha256) in staged.files.items():
        assert path == tmp_path / f"{evidence.name}.{kind}"
        assert hashlib.sha256(found[kind]).hexdigest() == sha256
    validate(parse(found["json"]))
    assert staging_of(tmp_path) == []
    assert len(passed) == 28
    assert publish.sweep(tmp_path, {evidence.name}) == []


@pytest.mark.parametrize("before", [None, CONTENTS], ids=["new", "replacing"])
def test_all_files_appear_or_none_when_any_boundary_fails(tmp_path, before):
    passed: list[str] = []
    publish_all(tmp_path / "count", NEWER, "1", passed.append)
    assert len(passed) > 20
    for number, boundary in enumerate(passed):
        folder = tmp_path / str(number)
        if before:
            publish_all(folder, before, "1")
        with pytest.raises(Stop, match=boundary):
            publish_all(folder, NEWER, "2", stop_at(number))
        assert contents_of(folder) == (NEWER if boundary == "undo retired" else before or {})
        publish.sweep(folder, {NAME})
        assert contents_of(folder) == (NEWER if boundary == "undo retired" else before or {})
        assert staging_of(folder) == []


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from candidates import publish
root, name = Path(sys.argv[2]), sys.argv[3]
old = {kind: kind.encode() * 400 for kind in publish.KINDS}
new = {kind: kind.upper().encode() * 400 for kind in publish.KINDS}

def show(folder):
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob(name + ".*")}

def act(folder, contents, token, step=lambda boundary: None):
    staged = publish.stage_files(folder, name, contents, token, step)
    staged.install(step)
    staged.discard()

count = 0
for before in ({}, old):
    number = 0
    while True:
        folder = root / f"{bool(before)}-{number}"
        if before:
            act(folder, before, "1")
        child = os.fork()
        if child == 0:
            left = [number]
            def step(boundary):
                if left[0] == 0:
                    os._exit(9)  # no clean-up runs, as under SIGKILL
                left[0] -= 1
            act(folder, new, "2", step)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        publish.sweep(folder, {name})
        found = show(folder)
        assert found in (before, new), (number, sorted(found))
        assert not list((folder / publish.STAGING).iterdir()), number
        if code == 9:
            act(folder, new, "3")  # the restart
            assert show(folder) == new
            count += 1
        number += 1
        if code == 0:
            break
print(count)
"""


def test_all_files_appear_or_none_when_the_process_is_killed_at_any_boundary(tmp_path):
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILL, root, str(tmp_path), NAME], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 52  # 26 boundaries, once for a new candidate and once over an older one


def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path):
    staged = publish.stage_files(tmp_path, NAME, CONTENTS, "1")
    assert len(staging_of(tmp_path)) == 4
    staged.discard()
    staged.discard()
    assert staging_of(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        staged.install()
    assert contents_of(tmp_path) == {}


def test_a_name_that_is_not_ours_is_never_published(tmp_path):
    for name in ("../x_p1.000000", "notes", "a/b_p1.000000", "TIC_1_p1.0"):
        with pytest.raises(ValueError, match="not the name of a candidate"):
            publish.stage_files(tmp_path, name, CONTENTS, "1")


def test_a_sweep_removes_what_nobody_recorded_and_nothing_of_a_person(tmp_path):
    publish_all(tmp_path, CONTENTS, "1")
    publish_all(tmp_path, CONTENTS, "1", name="TIC_5_p2.000000_s12")
    publish.stage_files(tmp_path, "TIC_6_p2.000000", CONTENTS, "9")  # its worker died
    publish.write_index(tmp_path, [])
    mine = ["notes.txt", "TIC_261136679 my thoughts.html", f"{NAME}.md", f"{NAME}.json.bak", "TIC_7_p1.png"]
    for name in mine:
        (tmp_path / name).write_text("a person's")
    (tmp_path / publish.STAGING / "readme").write_text("a person's, too")
    (tmp_path / "index.html.999999999.part").write_text("half")
    removed = publish.sweep(tmp_path, {NAME})
    assert {path.name for path in removed} == {
        *(f"TIC_5_p2.000000_s12.{kind}" for kind in publish.KINDS),
        *(f"TIC_6_p2.000000.9.{kind}" for kind in publish.KINDS),
        "index.html.999999999.part",
    }
    assert {kind: (tmp_path / f"{NAME}.{kind}").read_bytes() for kind in publish.KINDS} == CONTENTS
    assert {*mine, "index.html"} <= {path.name for path in tmp_path.iterdir()}
    assert staging_of(tmp_path) == ["readme"]
    assert publish.sweep(tmp_path, {f"{NAME}.{kind}" for kind in publish.KINDS}) == []
    assert publish.sweep(tmp_path / "absent", set()) == []


@pytest.mark.parametrize("place", ["undo noted", "earlier kept", "png renamed", "json renamed", "candidates synced"])
@pytest.mark.parametrize("replaced", [False, True])
def test_what_another_worker_published_after_a_kill_outlives_the_next_sweep(tmp_path, place, replaced):
    if replaced:  # by an earlier hunt
        publish.stage_files(tmp_path, NAME, dict.fromkeys(CONTENTS, b"earlier"), "0").install()
    child = os.fork()
    if child == 0:
        killed = publish.stage_files(tmp_path, NAME, dict.fromkeys(CONTENTS, b"of the killed"), "1")
        killed.install(lambda step: os._exit(9) if step == place else None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    second = publish.stage_files(tmp_path, NAME, CONTENTS, "2")
    second.install()
    second.discard()  # its record is committed
    publish.sweep(tmp_path, {NAME})
    assert {kind: (tmp_path / f"{NAME}.{kind}").read_bytes() for kind in CONTENTS} == dict(CONTENTS)
    assert list((tmp_path / publish.STAGING).iterdir()) == []


def test_a_sweep_leaves_the_work_of_a_living_worker(tmp_path):
    staged = publish.stage_files(tmp_path, NAME, CONTENTS, "8-3")
    assert publish.sweep(tmp_path, set(), alive={"8-3"}) == []
    staged.install()  # not committed yet: no record names it
    assert publish.sweep(tmp_path, set(), alive={"8-3"}) == []
    assert contents_of(tmp_path) == CONTENTS
    assert len(publish.sweep(tmp_path, set())) == 5  # four files and the note


def test_two_workers_on_one_candidate_leave_one_whole_candidate(tmp_path):
    late = publish.stage_files(tmp_path, NAME, CONTENTS, "1")
    publish_all(tmp_path, NEWER, "2")
    assert contents_of(tmp_path) == NEWER
    late.discard()  # the fence told it that the work was taken over
    assert contents_of(tmp_path) == NEWER
    assert staging_of(tmp_path) == []


def test_the_index_stands_or_is_replaced_at_every_boundary(tmp_path):
    old = publish.write_index(tmp_path, [], written="old").read_bytes()
    for number in range(5):
        publish.write_index(tmp_path, [], written="old")
        with pytest.raises(Stop):
            publish.write_index(tmp_path, [], stop_at(number), written="new")
        data = (tmp_path / "index.html").read_bytes()
        assert data == old if number < 3 else b"Written new" in data
        assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_real_candidates_of_a_real_light_curve_fit_the_schema(shared_data):
    """A real light curve, read plainly: the searches and folds have their own tests."""
    from astropy.io import fits

    with fits.open(shared_data / "lightcurves" / "spoc" / "pi_Men_c.fits") as file:
        table = file[1].data
        good = (table["QUALITY"] == 0) & np.isfinite(table["PDCSAP_FLUX"]) & np.isfinite(table["TIME"])
        time = table["TIME"][good].astype(np.float64)
        flux = table["PDCSAP_FLUX"][good].astype(np.float64)
    flat = LightCurve(time, flux / np.median(flux), np.full(time.size, 1e-4))
    signal = TransitSignal(6.267832, 1325.5078, 2.789 / 24, 321e-6, 15.0)
    real = make_sky()
    real.cleaned = dataclasses.replace(
        real.cleaned,
        flat=flat,
        raw=flat,
        segment=np.zeros(time.size, np.int64),
        exposure=np.full(time.size, 120 / 86400),
    )
    real.views = dataclasses.replace(real.views, light_curve=flat)
    real.signal = signal
    evidence = evidence_of(real)
    validate(evidence.document)
    depth = evidence.document["views"]["local"]["depth_ppm"]
    assert depth == pytest.approx(
        280, abs=120
    )  # truth.csv: 321 ppm in the catalogue, 246 in this file, undetrended here
    assert len(sheet_of(real, evidence)) < 350_000
    json.loads(to_json(evidence.document))


# --------------------------------------------------------------------------------------------------- second search


def test_without_a_second_search_the_evidence_says_that_none_was_run(evidence):
    block = evidence.document["confirmation"]
    assert block["status"] == "not_run"
    assert "[search] confirm" in block["reason"]
    assert not any("TLS" in reason["text"] for reason in evidence.document["verdict"]["reasons"])


def test_a_second_search_stands_under_its_own_name_in_evidence_signal_table_and_page(sky):
    document = evidence_of(sky, confirmation=CONFIRMED).document
    validate(document)
    assert document["confirmation"]["tls_false_alarm_probability"] == 8e-5
    assert document["signal"]["false_alarm_probability"] != 8e-5
    line = "TLS 2.0.4: SDE 21.3, same period, odd-even 0.4 sigma"
    assert ("second search", line) in signal_rows(document)
    assert {"side": "for", "text": line} in document["verdict"]["reasons"]
    page = render_page(evidence_of(sky, confirmation=CONFIRMED), b"")
    assert line in page
    assert "transit least squares 2.0.4: 0.5000 to 13.00 d" in page


def test_a_second_search_that_disagrees_speaks_against_and_changes_no_disposition(sky):
    other = dataclasses.replace(CONFIRMED, agrees=False, relation=None, period=7.0)
    document = evidence_of(sky, confirmation=other).document
    (reason,) = [reason for reason in document["verdict"]["reasons"] if "TLS" in reason["text"]]
    assert reason["side"] == "against"
    assert document["verdict"]["disposition"] == evidence_of(sky).document["verdict"]["disposition"]


def test_a_second_search_that_broke_is_unknown_with_its_reason_and_never_a_pass(sky):
    broken = Confirmation("error", "transit least squares gave no answer: it was stopped after 120 s")
    document = evidence_of(sky, confirmation=broken).document
    validate(document)
    assert document["confirmation"]["status"] == "error"
    assert any("stopped after 120 s" in line for line in unknown_lines(document))
    assert document["verdict"]["tests"] == evidence_of(sky).document["verdict"]["tests"]


def said_of(evidence) -> str:
    return " | ".join(f"{reason['side']}: {reason['text']}" for reason in evidence.document["verdict"]["reasons"])


def test_how_sure_the_model_is_stands_in_evidence_and_on_the_page(sky, sheet):
    evidence = evidence_of(sky)
    validate(evidence.document)
    assert evidence.document["score"]["conformal_set"] == ["planet"]
    assert "for: conformal set: planet (at 90% coverage)" in said_of(evidence)
    assert "disagree" not in said_of(evidence)
    torn = dataclasses.replace(sky.score, members=(0.41, 0.7, 0.93), conformal_set=("planet", "not planet"))
    evidence = evidence_of(sky, score=torn)
    validate(evidence.document)
    assert "unknown: conformal set: planet or not: undecided (at 90% coverage)" in said_of(evidence)
    assert "disagree: 0.41 to 0.93" in said_of(evidence)
    page = render_page(evidence, sheet)
    assert "disagree: 0.41 to 0.93" in page
    assert "planet or not: undecided" in page
    against = evidence_of(sky, score=dataclasses.replace(sky.score, conformal_set=("not planet",)))
    assert "against: conformal set: not planet" in said_of(against)
    strange = evidence_of(sky, score=dataclasses.replace(sky.score, conformal_set=()))
    validate(strange.document)
    assert "unknown: conformal set: neither: unlike what it was calibrated on" in said_of(strange)


def test_a_model_without_conformal_sets_says_so_and_never_counts_as_sure(sky):
    older = dataclasses.replace(
        sky.score, members=(), conformal_set=None, conformal_coverage=None, conformal_note="the model gave no set"
    )
    document = evidence_of(sky, score=older).document
    validate(document)
    assert "unknown: conformal set unknown: the model gave no set" in said_of(evidence_of(sky, score=older))
    with pytest.raises(BadEvidence):
        validate(put(document, ("score", "conformal_note"), ""))
    with pytest.raises(BadEvidence):
        validate(put(evidence_of(sky).document, ("score", "conformal_set"), ["planet", "planet"]))
    with pytest.raises(BadEvidence):
        validate(put(evidence_of(sky).document, ("score", "conformal_set"), ["maybe"]))


def explained(**changed) -> dict:
    """What a model may have said of the simulated star."""
    centre = [2.0 if 25 <= place < 36 else 0.0 for place in range(61)]
    dark = [-1.0 if place < 20 else 0.0 for place in range(201)]
    views = {name: {"flux": [0.0] * 61, "influence": centre} for name in ("local", "odd", "even")}
    return {
        "method": "occlusion",
        "score": 2.6,
        "views": {"global": {"flux": [0.0] * 201, "influence": dark}} | views,
        "parts": {"dip": 5.5, "beside": 0.0, "orbit": -0.7},
        "scalars": {"log10_period": {"value": 0.4946, "influence": 0.3}},
        "other_dip_phase": None,
    } | changed


def test_why_the_model_scores_so_stands_in_evidence_on_the_sheet_and_on_the_page(sky, sheet):
    evidence = evidence_of(sky, explanation=explained())
    validate(evidence.document)
    block = evidence.document["explanation"]
    assert block["towards"] == [
        {"what": "the dip itself", "influence": 5.5},
        {"what": "the period of 3.12 d", "influence": 0.3},
    ]
    assert block["against"] == [{"what": "the rest of the orbit", "influence": -0.7}]
    drawn = sheet_of(sky, evidence)
    assert drawn != sheet
    assert drawn == sheet_of(sky, evidence)
    picture = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB")).astype(int)
    violet = np.abs(picture - np.array([0xB5, 0xA4, 0xEC])).max(axis=2) < 12
    amber = np.abs(picture - np.array([0xFB, 0xDF, 0x9D])).max(axis=2) < 12
    assert violet.sum() > 5000  # behind the middle of three panels
    assert amber.sum() > 2000  # behind a tenth of the orbit
    page = render_page(evidence, drawn)
    assert "For a planet: the dip itself (+5.5), the period of 3.12 d (+0.3). Against: the rest of the orbit" in page
    assert page.count('class="t3"') == 3
    assert page.count('class="a2"') == 1


def test_a_score_that_could_not_be_explained_says_so_and_changes_nothing_else(sky):
    broken = evidence_of(sky, explanation={"status": "error", "reason": "ValueError: it broke"})
    validate(broken.document)
    assert sheet_of(sky, broken)
    assert "ERROR: ValueError: it broke" in render_page(broken, b"")
    assert broken.document["verdict"] == evidence_of(sky).document["verdict"]
    for wrong in (explained(parts={"dip": 1.0}), explained(method="guess"), {"status": "error", "reason": ""}):
        with pytest.raises(BadEvidence):
            validate(evidence_of(sky, explanation=wrong).document)
