"""Four opinions side by side: who agrees, what follows, and that no number undoes a gate."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import verdict_weights as weights
from pipeline.disposition import GATES, PIXEL_TESTS, TABLE
from pipeline.types import Finding, Score, Verdict
from pipeline.validation import Validation
from pipeline.verdict import (
    LIGHT_CURVE,
    NETWORK,
    PIXELS,
    PROBABILITY,
    SOURCES,
    Called,
    Says,
    combine,
    judge,
    opinions_of,
)

SCORE = Score(0.97, 0.9, "some model", "ab", 0.85, 0.2)
PLANETS = (Called.PLANET_CANDIDATE, Called.LIKELY_PLANET)


def finding(test, status=Verdict.PASS, note="as it should be"):
    return Finding(test, status, 1.0, 1.0, 3.0, note)


ALL = tuple(finding(name) for name in TABLE)


def but(**statuses):
    return tuple(replace(one, status=Verdict(statuses.get(one.test, one.status))) for one in ALL)


def validation(fpp=0.004, nfpp=1e-5, band="validated", status="done", **classes):
    classes = classes or {"planet": 1 - fpp, "eb": fpp}
    return Validation(status, None if status == "done" else "why", band, fpp, 0.1, (fpp, fpp), nfpp, classes=classes)


def test_all_say_planet():
    found = judge(ALL, SCORE, validation())
    assert found.called is Called.LIKELY_PLANET
    assert [one.says for one in found.opinions] == [Says.PLANET] * 4
    assert [one.source for one in found.opinions] == list(SOURCES)
    assert len(found.agreement) == 6
    assert all(found.agreement.values())
    assert found.weighed == SOURCES
    assert found.probability > 0.9
    assert found.prior == 0.2


@pytest.mark.parametrize(
    ("changed", "called"),
    [
        ({"odd_even": "fail"}, Called.BINARY),
        ({"sine_wave": "fail"}, Called.VARIABLE),
        ({"centroid": "fail"}, Called.NEARBY),
        ({"pixel_offset": "fail"}, Called.NEARBY),
        ({"host": "fail", "pixel_offset": "not_run"}, Called.NEARBY),
        ({"strength": "fail"}, Called.INSTRUMENTAL),
        ({"gaps": "fail"}, Called.INSTRUMENTAL),
        ({"size": "not_run"}, Called.UNKNOWN),
        ({"pixel_offset": "not_run"}, Called.UNKNOWN),
        ({"secondary": "error"}, Called.UNKNOWN),
        ({"v_shape": "fail"}, Called.LIKELY_PLANET),
        ({"v_shape": "fail", "timing": "fail"}, Called.BINARY),
    ],
)
def test_a_gate_decides_whatever_the_numbers_say(changed, called):
    found = judge(but(**changed), SCORE, validation())
    assert found.called is called
    if "fail" in changed.values() and set(changed) <= GATES:
        assert found.probability <= weights.GATE_CAP
        assert set(found.capped_by) == {name for name, status in changed.items() if status == "fail"}


def test_without_pixels_nothing_is_on_target():
    found = judge([one for one in ALL if one.test not in PIXEL_TESTS], SCORE, validation())
    assert found.called is Called.UNKNOWN
    assert found.opinions[1].says is Says.UNKNOWN
    assert "not looked at" in found.because
    assert found.agreement[LIGHT_CURVE, PIXELS] is None


@pytest.mark.parametrize(
    ("said", "called"),
    [
        (None, Called.PLANET_CANDIDATE),
        (validation(status="not_decided", band="not_decided"), Called.PLANET_CANDIDATE),
        (validation(status="out_of_domain", band=None), Called.PLANET_CANDIDATE),
        (validation(0.3, 1e-5, "likely_planet"), Called.LIKELY_PLANET),
        (validation(0.9, 0.8, "likely_nearby_false_positive"), Called.NEARBY),
        (validation(0.9, 1e-5, "false_positive", planet=0.1, eb=0.8, beb=0.1), Called.BINARY),
        (validation(0.9, 0.05, "false_positive", planet=0.1, eb=0.2, neb=0.7), Called.NEARBY),
    ],
)
def test_the_false_positive_probability_is_followed_where_it_is_decided(said, called):
    found = judge(ALL, SCORE, said)
    assert found.called is called
    assert (found.opinions[3].says is Says.PLANET) == (called is Called.LIKELY_PLANET)


def test_a_network_below_its_threshold_is_no_planet_and_stays_unknown():
    found = judge(ALL, replace(SCORE, probability=0.5), validation())
    assert found.called is Called.UNKNOWN
    assert found.agreement[LIGHT_CURVE, NETWORK] is False
    assert "below 0.85" in found.because


def test_a_score_without_its_prior_is_not_weighed():
    found = judge(ALL, replace(SCORE, prior=None), validation())
    assert found.probability is None
    assert found.weighed == ()
    assert found.called is Called.LIKELY_PLANET


@given(
    st.lists(st.sampled_from(list(Verdict)), min_size=len(TABLE), max_size=len(TABLE)),
    st.floats(0.0, 1.0),
    st.sampled_from([
        None, validation(), validation(0.9, 0.9, "likely_nearby_false_positive"), validation(status="failed"),
    ]),
)  # fmt: skip
def test_no_combination_is_stronger_than_its_weakest_gate(statuses, probability, said):
    findings = [replace(one, status=status) for one, status in zip(ALL, statuses, strict=True)]
    found = judge(findings, replace(SCORE, probability=probability), said)
    failed = {one.test for one in findings if one.test in GATES and one.status is Verdict.FAIL}
    owed = {one.test for one in findings if one.test in GATES and one.status in (Verdict.NOT_RUN, Verdict.ERROR)}
    if found.called in PLANETS:
        assert not failed
        assert not owed
        assert probability >= SCORE.threshold
    if failed and found.probability is not None:
        assert found.probability <= weights.GATE_CAP
    if found.probability is not None:
        assert 0 < found.probability < 1


@given(st.sets(st.integers(0, len(ALL) - 1)), st.booleans())
def test_taking_something_away_never_makes_a_planet(gone, validated):
    rest = [one for k, one in enumerate(ALL) if k not in gone]
    before = judge(but(pixel_offset="fail"), SCORE, validation())
    assert before.called not in PLANETS
    found = judge(rest, SCORE, validation() if validated else None)
    if gone & {
        k for k, one in enumerate(ALL) if one.test in GATES - PIXEL_TESTS or one.test in ("pixel_offset", "host")
    }:
        assert found.called not in PLANETS


def test_more_odds_for_a_planet_are_never_a_smaller_probability():
    for sources in weights.COMBINED:
        last = 0.0
        for odds in (-20.0, -3.0, 0.0, 1.0, 3.0, 20.0):
            opinions = [
                replace(one, ln_odds=odds if one.source in sources else None)
                for one in opinions_of(ALL, SCORE, validation())
            ]
            probability, weighed = combine(opinions, 0.5)
            assert weighed == sources
            assert probability >= last
            last = probability


def test_every_word_has_its_worth():
    assert set(weights.LIGHT_CURVE) == {"planet candidate", "unknown", "false positive", "false alarm"}
    assert weights.LIGHT_CURVE["planet candidate"] > 0 > weights.LIGHT_CURVE["false alarm"]
    assert set(weights.PIXELS) == {"planet", "no planet"}
    assert {SOURCES, (LIGHT_CURVE, NETWORK), (LIGHT_CURVE, NETWORK, PROBABILITY)} <= set(weights.COMBINED)
    assert PROBABILITY in SOURCES
    assert all(math.isfinite(number) for numbers in weights.COMBINED.values() for number in numbers)
    assert 0 < weights.GATE_CAP < 0.2
