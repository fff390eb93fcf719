from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline.disposition import TABLE, Role, Word, decide, measured_rates
from pipeline.fold import fold
from pipeline.types import Finding, Star, Verdict
from pipeline.vet import VetSettings, vet
from pipeline.vetting import TESTS

OWED = [test.__name__ for test in TESTS]
GATES = [name for name in OWED if TABLE[name].role is not Role.SOFT]
SOFT = [name for name in OWED if TABLE[name].role is Role.SOFT]
STATUSES = st.fixed_dictionaries({name: st.sampled_from(list(Verdict)) for name in OWED})
EXCUSED = [(name, reason) for name, rule in TABLE.items() for reason in rule.excused if name in OWED]


def found(statuses=None, **changed):
    """One finding for each test, passed where nothing else is said."""
    statuses = {**dict.fromkeys(OWED, Verdict.PASS), **(statuses or {}), **changed}
    return [Finding(name, status, None, None, None, "input_missing: said so") for name, status in statuses.items()]


def first(role):
    return next((name for name in TABLE if TABLE[name].role is role and name in OWED), None)


def test_the_table_says_what_follows_from_every_test():
    assert set(OWED) <= set(TABLE), "add a line for it to TABLE in pipeline/disposition.py"


def test_a_signal_that_passed_everything_is_a_planet_candidate():
    decided = decide(found())
    assert (decided.word, decided.kind) == (Word.PLANET, None)
    assert [reason.side for reason in decided.reasons] == ["for"] * len(OWED)


@pytest.mark.parametrize("test", GATES)
def test_one_gate_that_fails_decides(test):
    decided = decide(found({test: Verdict.FAIL}))
    assert decided.word is (Word.FALSE_POSITIVE if TABLE[test].role is Role.FALSE_POSITIVE else Word.FALSE_ALARM)
    assert decided.kind == TABLE[test].speaks_of
    assert test.replace("_", " ") in decided.because
    assert [reason.side for reason in decided.reasons].count("against") == 1


@pytest.mark.parametrize("test", GATES)
@pytest.mark.parametrize("status", [Verdict.NOT_RUN, Verdict.ERROR])
def test_a_gate_that_said_nothing_leaves_it_unknown(test, status):
    assert decide(found({test: status})).word is Word.UNKNOWN


def test_an_error_of_any_test_blocks_but_a_failed_gate_still_decides():
    assert decide(found({SOFT[0]: Verdict.ERROR})).word is Word.UNKNOWN
    assert decide(found({SOFT[0]: Verdict.ERROR}, odd_even=Verdict.FAIL)).word is Word.FALSE_POSITIVE


def test_a_binary_that_also_fails_a_false_alarm_gate_stays_a_binary():
    decided = decide(found(odd_even=Verdict.FAIL, depth_steadiness=Verdict.FAIL))
    assert (decided.word, decided.kind) == (Word.FALSE_POSITIVE, "eclipsing binary")


def test_where_there_is_no_signal_nothing_else_is_believed():
    decided = decide(found({first(Role.NOISE): Verdict.FAIL}, odd_even=Verdict.FAIL))
    assert (decided.word, decided.kind) == (Word.FALSE_ALARM, "noise")


def test_soft_tests_speak_only_together():
    limit = VetSettings().soft_failures
    assert len(SOFT) >= limit
    alone = decide(found(dict.fromkeys(SOFT[: limit - 1], Verdict.FAIL)))
    assert alone.word is Word.PLANET
    assert "alone" in alone.because
    together = decide(found(dict.fromkeys(SOFT[:limit], Verdict.FAIL)))
    assert together.word is Word.FALSE_POSITIVE
    assert decide(found(dict.fromkeys(SOFT[:limit], Verdict.FAIL)), VetSettings(soft_failures=9)).word is Word.PLANET


def test_soft_tests_that_were_not_run_count_as_they_might_have_failed():
    limit = VetSettings().soft_failures
    failing = dict.fromkeys(SOFT[: limit - 1], Verdict.FAIL)
    assert decide(found(failing | {SOFT[limit - 1]: Verdict.NOT_RUN})).word is Word.UNKNOWN
    assert decide(found({SOFT[0]: Verdict.NOT_RUN})).word is Word.PLANET


@pytest.mark.parametrize(("test", "reason"), EXCUSED)
def test_a_test_that_does_not_apply_is_not_owed(test, reason):
    findings = found({test: Verdict.NOT_RUN})
    assert decide([replace(f, note=f"{reason}: so") for f in findings]).word is Word.PLANET


def test_a_number_that_is_not_finite_never_passes():
    findings = [replace(finding, sigma=float("nan")) for finding in found()]
    assert decide(findings).word is Word.UNKNOWN


def test_a_test_nobody_knows_is_told_and_makes_no_planet():
    decided = decide([*found(), Finding("horoscope", Verdict.PASS, None, None, None, "all is well")])
    assert decided.word is Word.UNKNOWN
    assert "horoscope" in decided.because
    assert any(reason.side == "unknown" and "horoscope" in reason.text for reason in decided.reasons)


def test_a_test_without_a_finding_was_not_run():
    decided = decide(found()[1:])
    assert decided.word is Word.UNKNOWN
    assert OWED[0].replace("_", " ") in decided.reasons[-1].text
    assert decide([]).word is Word.UNKNOWN
    assert decide([], expected=()).word is Word.UNKNOWN


@given(statuses=STATUSES, lost=st.sampled_from(OWED))
@settings(max_examples=300, deadline=None)
def test_losing_the_input_of_a_test_never_makes_a_planet(statuses, lost):
    before, without = decide(found(statuses)), decide(found(statuses | {lost: Verdict.NOT_RUN}))
    assert before.word is Word.PLANET or without.word is not Word.PLANET
    assert decide([f for f in found(statuses) if f.test != lost]).word == without.word


@given(statuses=STATUSES)
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_findings_changes_nothing(statuses):
    decided, turned = decide(found(statuses)), decide(found(statuses)[::-1])
    assert (decided.word, decided.kind, decided.because) == (turned.word, turned.kind, turned.because)


PERIOD, EPOCH, DURATION, DEPTH, NOISE = 2.37, 1326.1, 0.12, 0.004, 4e-4
SUN = Star(teff=5772.0, logg=4.438, radius=1.0, mass=1.0)


def decided(dip, depth=DEPTH):
    """The decision of a sky with this dip, at the period of the planet."""
    time = cadences()
    rng = np.random.default_rng(3)
    flux = 1 - dip(time) + NOISE * rng.normal(size=time.size) + red_noise(time, 1e-4, 6.0, rng)
    centroid = tuple(1500.2 + 1e-3 * rng.normal(size=time.size) for _ in range(2))
    light_curve = cleaned(time, flux, NOISE, centroid)
    what = signal(PERIOD, EPOCH, DURATION, depth, false_alarm_probability=1e-9, false_alarm_nulls=7)
    return decide(vet(light_curve, fold(light_curve, what), what, SUN))


def transits(time):
    return DEPTH * trapezoid(time, PERIOD, EPOCH, DURATION)


def test_a_planet_in_red_noise_is_a_planet_candidate():
    assert decided(transits).word is Word.PLANET


@pytest.mark.parametrize(
    ("dip", "word"),
    [
        (lambda time: transits(time) * np.where(trapezoid(time, 2 * PERIOD, EPOCH, 0.5) > 0, 1.0, 0.6), "positive"),
        (lambda time: transits(time) + 0.4 * DEPTH * trapezoid(time, PERIOD, EPOCH + 0.9, DURATION), "positive"),
        (lambda time: 0.5 * DEPTH * (1 + np.cos(2 * np.pi * (time - EPOCH) / PERIOD)), "false"),
        (lambda time: 8 * transits(time) * (np.abs(time - EPOCH - 2 * PERIOD) < 0.5), "alarm"),
        (lambda time: np.zeros_like(time), "alarm"),
    ],
    ids=["a pair at half its period", "a second eclipse", "a wave", "one event", "nothing"],
)
def test_what_is_no_planet_is_none(dip, word):
    assert word in decided(dip).word


def test_the_measured_rates_are_those_of_like_signals():
    found = measured_rates(signal(2.0, EPOCH, DURATION, DEPTH))
    assert found.snr[0] <= 20.0 < found.snr[1]
    assert found.period[0] <= 2.0 < found.period[1]
    assert 0 < found.kept <= found.planets
    assert 0 < found.refused <= found.false_alarms
    assert measured_rates(signal(400.0, EPOCH, DURATION, DEPTH)) is None
    assert measured_rates(replace(signal(2.0, EPOCH, DURATION, DEPTH), snr=5.0)) is None
