"""The page of a candidate, and the index of all."""

import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from candidate_sky import SHA, evidence_of, make_sky
from hypothesis import given
from hypothesis import strategies as st

from candidates import publish
from candidates.closer import closer_data
from candidates.evidence import to_json
from candidates.page import curve_path, render_index, render_page, script_data
from candidates.reading import validate
from candidates.rows import index_row
from pipeline.types import (
    Star,
    Target,
)


@pytest.fixture(scope="module")
def closer(sky, evidence):
    return closer_data(evidence.document, sky.cleaned, sky.result, sky.views)


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
