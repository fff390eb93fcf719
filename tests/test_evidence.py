"""Evidence: what the document says of a sky whose truth is known, and what is refused."""

import copy
import dataclasses
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from candidate_sky import CONFIRMED, evidence_of, make_sky, sheet_of
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from candidates import publish
from candidates.evidence import candidate_name, dip, to_json
from candidates.page import render_page
from candidates.reading import BadEvidence, parse, read, schema, validate
from candidates.wording import (
    decision_lines,
    signal_rows,
    unknown_lines,
    verdict_words,
)
from pipeline.confirm import Confirmation
from pipeline.disposition import TABLE, Role, decide
from pipeline.ephemeris import phase
from pipeline.types import (
    Finding,
    LightCurve,
    Target,
    TransitSignal,
    Verdict,
)
from pipeline.vetting import TESTS


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
