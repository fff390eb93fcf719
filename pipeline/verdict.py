"""Four opinions of one signal side by side, and what they say together.

The light curve's tests, the pixels, the network and the false-positive probability each say planet, no planet or
unknown. They share data, so they are shown with who agrees with whom; the one word that follows is a straight line of
rules, and the one probability a logistic combination that simulated stars calibrated (``pipeline.verdict_weights``,
written by ``benchmarks/verdict.py``). Neither is stronger than the weakest gate.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING

from pipeline import verdict_weights as weights
from pipeline.disposition import GATES, PIXEL_TESTS, PLACE, Disposition, Word, decide
from pipeline.types import Finding, Score, Verdict

if TYPE_CHECKING:  # who only shows verdicts need not load the engines
    from pipeline.validation.case import Validation
    from pipeline.vetting.case import VetSettings

LOUDEST = 7.0  # ln odds that one opinion may bring; beyond, nobody has counted


class Called(StrEnum):
    """What a candidate is called when all is said."""

    LIKELY_PLANET = "likely planet"
    PLANET_CANDIDATE = "planet candidate"
    NEARBY = "nearby false positive"
    BINARY = "eclipsing binary"
    VARIABLE = "variable"
    INSTRUMENTAL = "instrumental"
    UNKNOWN = "unknown"


MEANING: Mapping[Called, str] = {
    Called.LIKELY_PLANET: "light curve, pixels, network and false-positive probability all say planet",
    Called.PLANET_CANDIDATE: "light curve, pixels and network say planet; the false-positive probability does not yet",
    Called.NEARBY: "another star dims, not this one",
    Called.BINARY: "a star passes in front of a star",
    Called.VARIABLE: "the star itself varies",
    Called.INSTRUMENTAL: "nothing in the sky: noise or the instrument",
    Called.UNKNOWN: "not all that decides is known, or the opinions differ",
}
# what a test or a scenario speaks of, as a word for the whole
OF_KIND = {
    "eclipsing binary": Called.BINARY,
    "variable star": Called.VARIABLE,
    "nearby star": Called.NEARBY,
    "another star": Called.NEARBY,
    "instrument": Called.INSTRUMENTAL,
    "noise": Called.INSTRUMENTAL,
}


class Says(StrEnum):
    PLANET = "planet"
    NO_PLANET = "no planet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one source says of a signal."""

    source: str  # one of SOURCES
    says: Says
    called: Called | None  # what it is instead of a planet, where the source says so
    because: str  # a sentence
    ln_odds: float | None  # planet against anything else, beyond the prior; None: says nothing


LIGHT_CURVE, PIXELS, NETWORK, PROBABILITY = SOURCES = (
    "light curve",
    "pixels",
    "network",
    "false-positive probability",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a candidate is called, by whom, and how surely."""

    called: Called
    because: str  # a sentence
    opinions: tuple[Opinion, ...]  # in the order of SOURCES
    agreement: dict[tuple[str, str], bool | None]  # of each two sources; None where either says nothing
    probability: float | None  # of a planet, for ``prior``; None where nobody said anything that was counted
    prior: float | None  # share of planets it is stated for
    weighed: tuple[str, ...]  # the sources that it holds
    capped_by: tuple[str, ...]  # gates that failed, and hold it down

    @property
    def meaning(self) -> str:
        return MEANING[self.called]


def judge(
    findings: Sequence[Finding],
    score: Score,
    validation: "Validation | None" = None,
    settings: "VetSettings | None" = None,
) -> Judgement:
    """Put the opinions side by side and say what follows.

    Parameters
    ----------
    findings : sequence of Finding
        Of the light curve and, where they were looked at, of the pixels.
    score : Score
    validation : Validation, optional
        ``None`` is unknown.
    settings : VetSettings, optional

    Returns
    -------
    Judgement

    Notes
    -----
    The rules, in order: a gate that fails names the kind; a false-positive probability that names a binary or a
    neighbour is followed; a gate that is owed leaves it unknown, as does a network below its threshold; then it is a
    planet candidate, and a likely planet if the false-positive probability says so too. No combination of numbers
    undoes a gate.
    """
    tested = decide(findings, settings)
    opinions = opinions_of(findings, score, validation, settings)
    agreement = {
        (one.source, other.source): None if Says.UNKNOWN in (one.says, other.says) else one.says is other.says
        for one, other in combinations(opinions, 2)
    }
    failed = tuple(finding.test for finding in findings if finding.test in GATES and finding.status is Verdict.FAIL)
    called, because = _called(tested, opinions)
    probability, weighed = combine(opinions, score.prior)
    if failed and probability is not None:
        probability = min(probability, weights.GATE_CAP)
    return Judgement(called, because, opinions, agreement, probability, score.prior, weighed, failed)


def _called(tested: Disposition, opinions: Iterable[Opinion]) -> tuple[Called, str]:
    light_curve, pixels, network, probability = opinions
    if tested.word in (Word.FALSE_POSITIVE, Word.FALSE_ALARM):
        named = OF_KIND.get(tested.kind or "", Called.UNKNOWN)
        return (Called.INSTRUMENTAL if tested.word is Word.FALSE_ALARM else named), tested.because
    if probability.says is Says.NO_PLANET:
        return probability.called or Called.UNKNOWN, probability.because
    if tested.word is Word.UNKNOWN:
        return Called.UNKNOWN, tested.because
    if network.says is not Says.PLANET:
        return Called.UNKNOWN, network.because
    if pixels.says is not Says.PLANET:
        return Called.UNKNOWN, pixels.because
    if probability.says is Says.PLANET:
        return Called.LIKELY_PLANET, f"{light_curve.because}; {probability.because}"
    return Called.PLANET_CANDIDATE, f"{light_curve.because}; {probability.because}"


def opinions_of(
    findings: Sequence[Finding],
    score: Score,
    validation: "Validation | None" = None,
    settings: "VetSettings | None" = None,
) -> tuple[Opinion, ...]:
    """What each source says, in the order of ``SOURCES``."""
    return of_light_curve(findings, settings), of_pixels(findings), of_network(score), of_probability(validation)


def of_light_curve(findings: Sequence[Finding], settings: "VetSettings | None" = None) -> Opinion:
    """The decision of the tests of the light curve alone."""
    decided = decide([finding for finding in findings if finding.test not in PIXEL_TESTS], settings)
    says = {Word.PLANET: Says.PLANET, Word.UNKNOWN: Says.UNKNOWN}.get(decided.word, Says.NO_PLANET)
    called = OF_KIND.get(decided.kind or "") if says is Says.NO_PLANET else None
    return Opinion(LIGHT_CURVE, says, called, decided.because, weights.LIGHT_CURVE[str(decided.word)])


def of_pixels(findings: Sequence[Finding]) -> Opinion:
    """Where the dip is: on the target, elsewhere, or not known."""
    found = {finding.test: finding for finding in findings if finding.test in PIXEL_TESTS}
    if failed := [name for name in found if name in GATES and found[name].status is Verdict.FAIL]:
        because = found[failed[0]].note
        return Opinion(PIXELS, Says.NO_PLANET, Called.NEARBY, because, weights.PIXELS[Says.NO_PLANET])
    place = [found[name] for name in PLACE if name in found]
    unsaid = [finding.note for finding in place if finding.status is not Verdict.PASS]
    if len(place) == len(PLACE) and not unsaid:
        return Opinion(PIXELS, Says.PLANET, None, place[0].note, weights.PIXELS[Says.PLANET])
    because = f"the place of the dip is not known: {unsaid[0]}" if unsaid else "the pixels were not looked at"
    return Opinion(PIXELS, Says.UNKNOWN, None, because, None)


def of_network(score: Score) -> Opinion:
    """Over the threshold or not."""
    over = score.probability >= score.threshold
    because = f"{score.model} gives {score.probability:.3f}, {'over' if over else 'below'} {score.threshold:g}"
    odds = None if score.prior is None else _ln_odds(score.probability) - _ln_odds(score.prior)
    return Opinion(NETWORK, Says.PLANET if over else Says.NO_PLANET, None, because, odds)


def of_probability(validation: "Validation | None") -> Opinion:
    """The band of the false-positive probability; unknown where its error crosses a threshold or it does not apply."""
    if validation is None:
        return Opinion(PROBABILITY, Says.UNKNOWN, None, "no false-positive probability was asked for", None)
    decided = validation.status == "done"
    fpp, nfpp = validation.fpp, validation.nfpp
    numbers = "" if fpp is None or nfpp is None else f"FPP {fpp:.2g}, of a neighbour {nfpp:.2g}"
    # weighed where its error forbids a band, which was calibrated too, and not where the method does not hold
    odds = None if fpp is None or validation.status not in ("done", "not_decided") else -_ln_odds(fpp)
    if decided and validation.band in ("validated", "likely_planet"):
        return Opinion(PROBABILITY, Says.PLANET, None, numbers, odds)
    if decided and validation.band == "likely_nearby_false_positive":
        return Opinion(PROBABILITY, Says.NO_PLANET, Called.NEARBY, numbers, odds)
    if decided and validation.band == "false_positive":
        leading = max(validation.classes, key=lambda name: validation.classes[name])
        called = Called.NEARBY if leading in ("neb", "ntp") else Called.BINARY
        return Opinion(PROBABILITY, Says.NO_PLANET, called, f"{numbers}, most of it {leading}", odds)
    because = f"{numbers}: not decided, {validation.reason}" if numbers else f"not known: {validation.reason}"
    return Opinion(PROBABILITY, Says.UNKNOWN, None, because, odds)


def combine(opinions: Sequence[Opinion], prior: float | None) -> tuple[float | None, tuple[str, ...]]:
    """Probability of a planet from the opinions that say something, and which those are.

    Notes
    -----
    ln odds = intercept + sum of weight times ln odds of each opinion, with a lapse at both ends: some planets look like
    none whatever is asked, and the other way round. Fitted for each set of opinions that may be there, as dependent
    opinions count less together than one by one, for as many planets as others; then restated for the prior.
    """
    told = {one.source: one.ln_odds for one in opinions if one.ln_odds is not None}
    fitted = weights.COMBINED.get(tuple(source for source in SOURCES if source in told))
    if prior is None or fitted is None or not 0 < prior < 1:
        return None, ()
    low, high, line, *factors = fitted
    for factor, odds in zip(factors, told.values(), strict=True):
        line += factor * min(max(odds, -LOUDEST), LOUDEST)
    even = low + (1 - high - low) / (1 + math.exp(-line))
    return 1 / (1 + math.exp(-_ln_odds(even) - _ln_odds(prior))), tuple(told)


def _ln_odds(probability: float) -> float:
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))
