"""One decision out of all that the vetting tests found: a planet candidate, or what it is instead, or unknown.

The table below says what follows from each test. A gate that fails decides alone; soft tests speak only together. A
test that was not run is no pass: what it would have said stays open, and while that could change the answer the answer
is ``unknown``. So losing the input of a test never makes a planet candidate.
"""

import bisect
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.disposition_rates import FALSE_ALARMS, PERIOD_EDGES, PLANETS, SNR_EDGES
from pipeline.types import Finding, TransitSignal, Verdict

if TYPE_CHECKING:
    from pipeline.vetting.case import VetSettings


class Word(StrEnum):
    """What a signal is taken for."""

    PLANET = "planet candidate"
    FALSE_POSITIVE = "false positive"  # something in the sky that is no planet of this star
    FALSE_ALARM = "false alarm"  # nothing in the sky: noise or the instrument
    UNKNOWN = "unknown"  # nothing speaks against it, but not all that must be known is


class Role(StrEnum):
    """What follows when a test fails."""

    NOISE = "noise gate"  # there is no signal: a false alarm whatever else fails
    FALSE_POSITIVE = "false-positive gate"  # there is one, and it is no planet's
    FALSE_ALARM = (
        "false-alarm gate"  # it is no eclipse; binaries and variables may fail it too, so they are asked first
    )
    SOFT = "soft"  # a planet may fail it; several together do not


@dataclass(frozen=True, slots=True)
class Rule:
    """What one test decides."""

    role: Role
    speaks_of: str  # what a signal is that fails it
    excused: tuple[str, ...] = ()  # reason codes of ``not_run`` that say the test does not apply, not that it is owed


# why soft tests of pixels may not be run: the place of the dip, which decides, answers for it
OWED_BY_PLACE = (
    "no_pixels", "no_catalogue", "saturated", "edge", "few_transits", "few_points", "not_converged", "out_of_domain",
)  # fmt: skip

NOISE, FALSE_POSITIVE, FALSE_ALARM, SOFT = Role.NOISE, Role.FALSE_POSITIVE, Role.FALSE_ALARM, Role.SOFT

# in the order in which a failure names the kind
TABLE: Mapping[str, Rule] = MappingProxyType({
    # without a signal nothing that was measured of it means anything
    "strength":         Rule(NOISE, "noise"),
    # what planets do not do; three transits are no two pairs, and say nothing of odd against even
    "centroid":         Rule(FALSE_POSITIVE, "nearby star"),
    "odd_even":         Rule(FALSE_POSITIVE, "eclipsing binary", excused=("few_transits",)),
    "odd_even_epoch":   Rule(FALSE_POSITIVE, "eclipsing binary", excused=("few_transits",)),
    "secondary":        Rule(FALSE_POSITIVE, "eclipsing binary"),
    "alias":            Rule(FALSE_POSITIVE, "eclipsing binary", excused=("few_transits",)),
    "size":             Rule(FALSE_POSITIVE, "eclipsing binary"),
    "sine_wave":        Rule(FALSE_POSITIVE, "variable star"),
    # what no eclipse does; two weak transits cannot be held against each other, and stay unknown by ``consistency``
    "single_event":     Rule(FALSE_ALARM, "instrument"),
    "uniqueness":       Rule(FALSE_ALARM, "noise"),
    "consistency":      Rule(FALSE_ALARM, "instrument"),
    "depth_steadiness": Rule(FALSE_ALARM, "instrument"),
    "chases":           Rule(FALSE_ALARM, "noise", excused=("out_of_domain",)),
    "dimming":          Rule(FALSE_ALARM, "instrument"),
    "model_fit":        Rule(FALSE_ALARM, "instrument"),
    "asymmetry":        Rule(FALSE_ALARM, "instrument"),
    "gaps":             Rule(FALSE_ALARM, "instrument"),
    # what a planet may do too
    "v_shape":          Rule(SOFT, "eclipsing binary"),
    "duration_density": Rule(SOFT, "another star"),
    "timing":           Rule(SOFT, "variable star", excused=("few_transits", "out_of_domain")),
    "depth_by_sector":  Rule(SOFT, "nearby star", excused=("few_transits",)),
    # the field around the star; while the place of the dip is unknown, so is its host
    "pixel_offset":     Rule(FALSE_POSITIVE, "nearby star"),
    "host":             Rule(FALSE_POSITIVE, "nearby star"),
    "contamination":    Rule(FALSE_POSITIVE, "nearby star", excused=("no_pixels", "no_catalogue")),
    "aperture_depth":   Rule(SOFT, "nearby star", excused=OWED_BY_PLACE),
    "ghost":            Rule(SOFT, "nearby star", excused=OWED_BY_PLACE),
    "sector_offsets":   Rule(SOFT, "nearby star", excused=OWED_BY_PLACE),
    # alone it refused no false alarm of the stars that thresholds are looked at on, and two planets of a hundred
    "false_alarm":      Rule(SOFT, "noise", excused=("offline",)),
    "variability":      Rule(SOFT, "variable star", excused=("few_days",)),
})  # fmt: skip

GATES = frozenset(name for name, rule in TABLE.items() if rule.role is not SOFT)
PLACE = ("pixel_offset", "host")  # together they say which star dims
PIXEL_TESTS = frozenset((*PLACE, "contamination", "aperture_depth", "ghost", "sector_offsets"))


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of the decision."""

    side: str  # "for", "against" or "unknown"
    text: str


@dataclass(frozen=True, slots=True)
class Disposition:
    """The decision, and why."""

    word: Word
    kind: str | None  # what it is instead of a planet, where that is decided
    because: str  # the tests that decided, in a sentence
    reasons: tuple[Reason, ...]  # every test, in the order of the findings


def decide(
    findings: Sequence[Finding], settings: "VetSettings | None" = None, expected: Collection[str] | None = None
) -> Disposition:
    """Decide what a signal is.

    Parameters
    ----------
    findings : sequence of Finding
        Of one signal, any order. A test that ``TABLE`` does not name is told, and leaves a planet candidate unknown.
    settings : VetSettings, optional
        ``soft_failures`` soft tests that fail make a false positive.
    expected : collection of str, optional
        Tests that are owed; those of ``pipeline.vetting`` if not given. One without a finding was not run.

    Returns
    -------
    Disposition

    Notes
    -----
    In this order: a noise gate that fails makes a false alarm; a false-positive gate a false positive; any other
    false-alarm gate a false alarm. Then an error, an unknown test or a gate that was not run leaves it unknown. Then
    the soft tests: enough failures make a false positive, and while those not run could still be enough, unknown.
    A finding that is not finite is an error, whatever status it wears.
    """
    # who only shows decisions need not load the tests
    from pipeline.vetting import TESTS
    from pipeline.vetting.case import VetSettings

    settings = VetSettings() if settings is None else settings
    expected = tuple(test.__name__ for test in TESTS) if expected is None else expected
    status = {finding.test: _status(finding) for finding in findings}
    order = [name for name in TABLE if name in status or name in expected]

    def failed(role: Role) -> list[str]:
        return [name for name in order if TABLE[name].role is role and status.get(name) is Verdict.FAIL]

    def open_(*roles: Role) -> list[str]:
        """Tests of these roles that said nothing and should have."""
        return [name for name in order if TABLE[name].role in roles and name not in ran and name not in excused]

    ran = {name for name, value in status.items() if value in (Verdict.PASS, Verdict.FAIL)}
    excused = {finding.test for finding in findings if status[finding.test] is Verdict.NOT_RUN and _excuses(finding)}
    reasons = tuple(_reason(finding) for finding in findings)
    if missing := [name for name in expected if name not in status]:
        reasons += (Reason("unknown", f"never put to this signal: {_listed(missing)}"),)

    def made(word: Word, names: Sequence[str], because: str) -> Disposition:
        decided = names and word in (Word.FALSE_POSITIVE, Word.FALSE_ALARM)
        return Disposition(word, TABLE[names[0]].speaks_of if decided else None, because, reasons)

    for role, word in (
        (NOISE, Word.FALSE_ALARM),
        (FALSE_POSITIVE, Word.FALSE_POSITIVE),
        (FALSE_ALARM, Word.FALSE_ALARM),
    ):
        if against := failed(role):
            return made(word, against, f"{_listed(against)} failed, and one failure decides")
    if broken := sorted(name for name, value in status.items() if value is Verdict.ERROR):
        return made(Word.UNKNOWN, broken, f"{_listed(broken)} ended in an error")
    if strange := sorted(set(status) - set(TABLE)):
        return made(Word.UNKNOWN, (), f"this version does not know what follows from {_listed(strange)}")
    if owed := open_(NOISE, FALSE_POSITIVE, FALSE_ALARM):
        return made(Word.UNKNOWN, owed, f"{_listed(owed)} could not be run, and a planet must pass")
    if not any(name in GATES and name in ran for name in order):
        return made(Word.UNKNOWN, (), "no test was run")
    soft, unsaid = failed(SOFT), open_(SOFT)
    if len(soft) >= settings.soft_failures:
        return made(Word.FALSE_POSITIVE, soft, f"{_listed(soft)} failed together")
    if len(soft) + len(unsaid) >= settings.soft_failures:
        return made(
            Word.UNKNOWN,
            unsaid,
            f"{_listed(unsaid)} could not be run" + (f", and {_listed(soft)} failed" if soft else ""),
        )
    because = "every test that a planet must pass was run and passed"
    return made(Word.PLANET, (), because + (f"; {_listed(soft)} alone failed, which a planet may" if soft else ""))


def spoken(test: str) -> str:
    """The name of a test as it is said in a sentence."""
    return test.replace("_", " ")


def _status(finding: Finding) -> Verdict:
    """The status of a finding; what is not finite is an error."""
    numbers = [number for number in (finding.value, finding.sigma) if number is not None]
    return finding.status if all(math.isfinite(number) for number in numbers) else Verdict.ERROR


def _excuses(finding: Finding) -> bool:
    """Whether a test that was not run had nothing to say of such a signal."""
    rule = TABLE.get(finding.test)
    return rule is not None and finding.note.partition(":")[0] in rule.excused


def _reason(finding: Finding) -> Reason:
    """What a finding says for or against a planet."""
    rule, status = TABLE.get(finding.test), _status(finding)
    name = spoken(finding.test)
    if rule is None:
        return Reason("unknown", f"{name} is no test this version can weigh; it says {finding.status}: {finding.note}")
    if status is Verdict.PASS:
        return Reason("for", f"{name} passed: {finding.note}")
    if status is Verdict.FAIL:
        likely = f"as {'an' if rule.speaks_of[0] in 'aeiou' else 'a'} {rule.speaks_of}"
        return Reason("against", f"{name} failed, {likely} would ({rule.role}): {finding.note}")
    if status is Verdict.NOT_RUN:
        return Reason("unknown", f"{name} was not run: {finding.note}")
    return Reason("unknown", f"{name} ended in an error: {finding.note}")


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = [spoken(name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often the decision was right about simulated signals of like strength and period."""

    snr: tuple[float, float]  # the bin; the upper end may be infinite
    period: tuple[float, float]  # days
    planets: int  # put in and found by the search
    kept: int  # of these, called planet candidates
    false_alarms: int  # signals of inverted and scrambled light curves
    refused: int  # of these, not called planet candidates


def measured_rates(signal: TransitSignal) -> Rates | None:
    """Completeness and effectiveness as counted, at the default thresholds, for signals like this one.

    Returns
    -------
    Rates or None
        None outside what was counted (``pipeline.disposition_rates``).
    """
    k = bisect.bisect_right(SNR_EDGES, signal.snr) - 1
    j = bisect.bisect_right(PERIOD_EDGES, signal.period) - 1
    if not (0 <= k < len(SNR_EDGES) - 1 and 0 <= j < len(PERIOD_EDGES) - 1):
        return None
    bins = (SNR_EDGES[k], SNR_EDGES[k + 1]), (PERIOD_EDGES[j], PERIOD_EDGES[j + 1])
    return Rates(*bins, *PLANETS[k][j], *FALSE_ALARMS[k][j])
