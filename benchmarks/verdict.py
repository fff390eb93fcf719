"""How surely do light curve, pixels, network and false-positive probability together say planet?

    python -P benchmarks/verdict.py ask --cache DIR --seeds tune      network, place and false-positive probability
    python -P benchmarks/verdict.py ask --cache DIR --seeds report    of signals that benchmarks/disposition.py vetted
    python -P benchmarks/verdict.py ask --cache DIR --seeds report --quick        of the others, all but the last
    python -P benchmarks/verdict.py fit --cache DIR                   weights from tune, figures from report

All stars are simulated. The place of the dip is drawn, not imaged: on the star that dims, with the error that
`benchmarks/pixels.py` measured for its signal-to-noise; every star has neighbours drawn around it, and a blend its own.
Opinions are fitted on ``tune`` and judged on ``report``, whose stars share nothing. The figures are stated for as many
planets as other signals; the verdict of a hunt takes the network's own prior.
"""

import argparse
import json
import math
import os
import sys
import time as clock
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from disposition import POPULATIONS, SEEDS, SNR_EDGES, Kept, findings_of, host, signals_of
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import cohen_kappa_score

from hunter.chain import inputs_of
from hunter.processes import in_processes
from models.registry import Registry
from models.scorer import Scorer
from pipeline import verdict_weights as weights
from pipeline.completeness import wilson
from pipeline.disposition import GATES, PIXEL_TESTS, PLACE, Word, decide
from pipeline.pixels.settings import PixelSettings
from pipeline.simulate.seeds import stream
from pipeline.types import Finding, Floats, Score, Verdict
from pipeline.validation import MeasuredOffset, Neighbour, ValidateSettings, Validation, case_of, validate
from pipeline.verdict import (
    LIGHT_CURVE,
    LOUDEST,
    NETWORK,
    PIXELS,
    PROBABILITY,
    SOURCES,
    Says,
    judge,
    of_pixels,
    opinions_of,
)
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case

ROOT = Path(__file__).parents[1]
PIXEL_ARCSEC = 21.0
SHARPNESS = 1.35 * 0.8 * PIXEL_ARCSEC  # arcsec of error in each axis times signal-to-noise: benchmarks/pixels.py
NEIGHBOURS = 1.0  # of each star within REACH, on average
REACH = 2.5  # pixels
SAMPLES = 1000  # behind each scenario: fewer than a hunt takes, as only the odds are wanted
THRESHOLD = 0.85
FOLDER = {False: "verdict", True: "verdict-quick"}
HALF = 0.5  # share of planets that everything is stated for
LAPSE = 0.01  # where its search begins
LEAST_LAPSE = 0.005  # some hundred signals tell of no smaller one
FEWEST = 0.5  # signals added to each word's, so that none is impossible
NO_VALIDATION = Validation("not_run", "not asked for", None)
DOCUMENT = """What each opinion is worth, counted on simulated stars: by benchmarks/verdict.py fit."""
Row = dict[str, Any]


# ------------------------------------------------------------------------------------------------ the opinions


def place_of(kept: Kept, seed: int) -> tuple[MeasuredOffset | None, tuple[Neighbour, ...], tuple[Finding, ...]]:
    """Neighbours around a star, where its dip is seen to be, and what the pixel tests then say."""
    random = stream(seed, "place", kept.about["key"])
    limits = PixelSettings()
    neighbours = []
    true = (0.0, 0.0)
    blend = host(kept.about["population"], int(kept.about["key"]) % 10_000_000, seed).blend
    if blend is not None:
        true = (PIXEL_ARCSEC * blend.column, PIXEL_ARCSEC * blend.row)
        neighbours.append(neighbour("host", true, blend.share, kept.about["tmag"]))
    for k in range(random.poisson(NEIGHBOURS)):
        distance, angle = REACH * PIXEL_ARCSEC * math.sqrt(random.random()), random.uniform(0, 2 * math.pi)
        share = 10 ** random.uniform(-3.0, -0.5)
        place = (distance * math.cos(angle), distance * math.sin(angle))
        neighbours.append(neighbour(str(k), place, share, kept.about["tmag"]))
    if kept.signal.snr < limits.min_snr:
        note = f"not_converged: a dip of signal-to-noise {kept.signal.snr:.1f}"
        unknown = tuple(Finding(name, Verdict.NOT_RUN, None, None, None, note) for name in PLACE)
        return None, tuple(neighbours), unknown
    error = SHARPNESS / kept.signal.snr
    seen = tuple(float(axis + error * random.standard_normal()) for axis in true)
    offset = MeasuredOffset(*seen, error, error)
    sigma = math.hypot(*seen) / math.hypot(error, PIXEL_ARCSEC * limits.offset_pixels / limits.offset_sigma)
    here = offset.ln_likelihood(0.0, 0.0)
    there = max((offset.ln_likelihood(*one.offset) for one in neighbours if one.offset), default=-math.inf)
    findings = []
    for name, failed in (
        ("pixel_offset", sigma > limits.offset_sigma),
        ("host", there - here > math.log(limits.host_odds)),
    ):
        status = Verdict.FAIL if failed else Verdict.PASS
        note = f"the dip is drawn {math.hypot(*seen):.1f} arcsec from the target, {sigma:.1f} sigma"
        findings.append(Finding(name, status, math.hypot(*seen), sigma, limits.offset_sigma, note))
    return offset, tuple(neighbours), tuple(findings)


def neighbour(key: str, place: tuple[float, float], share: float, tmag: float) -> Neighbour:
    return Neighbour(key, math.hypot(*place), tmag - 2.5 * math.log10(share / (1 - share)), share, place)


def ask_batch(job: tuple[Path, Path, int, bool]) -> int:
    """All opinions of the signals of a batch, one line each, in a file that is there when it is whole."""
    import torch

    torch.set_num_threads(1)
    path, place, seed, quick = job
    scorer = Scorer.load(the_model())
    vetted = json.loads(path.with_suffix(".json").read_text())
    lines = []
    for kept, row in zip(signals_of(path), vetted, strict=True):
        if kept.signal.snr < SNR_EDGES[0]:
            continue
        findings = findings_of(row)
        inputs = inputs_of(kept.cleaned, kept.views, kept.signal, kept.star, findings)
        said = scorer.score([inputs])[0]
        offset, neighbours, placed = place_of(kept, seed)
        begun = clock.process_time()
        light = case_of(Case(kept.cleaned, kept.views, kept.signal, kept.star, VetSettings()), None)
        share = 1 - sum(one.share for one in neighbours)
        case = replace(light, host_share=share, neighbours=neighbours, offset=offset)
        found = validate(case, ValidateSettings(method="none" if quick else "importance", samples=SAMPLES))
        seconds = clock.process_time() - begun
        lines.append({
            "about": kept.about,
            "snr": kept.signal.snr,
            "probability": said["probability"],
            "prior": said["prior"],
            "findings": [[f.test, f.status, f.value, f.sigma, f.limit, f.note] for f in (*findings, *placed)],
            "validation": {
                "status": found.status, "reason": found.reason, "band": found.band, "fpp": found.fpp,
                "nfpp": found.nfpp, "classes": found.classes,
            },
            "cpu_seconds": seconds,
        })  # fmt: skip
    partial = place.with_suffix(".part")
    partial.write_text(json.dumps(lines))
    partial.replace(place)
    return len(lines)


def the_model() -> Path:
    folder = Registry(ROOT / "models").current()
    assert folder is not None, "no model is shipped"
    return folder


def ask(cache: Path, seeds: str, workers: int, number: int, quick: bool) -> None:
    """Batch by batch through all populations, until each has its number or none is left."""
    counted = dict.fromkeys(POPULATIONS, 0)
    for population in POPULATIONS:
        (cache / FOLDER[quick] / seeds / population).mkdir(parents=True, exist_ok=True)

    def jobs() -> Iterator[tuple[Path, Path, int, bool]]:
        for path in sorted((cache / seeds).glob("*/*.npz"), key=lambda path: (path.name, path)):
            population = path.parent.name
            place = cache / FOLDER[quick] / seeds / population / f"{path.stem}.json"
            if place.exists():
                counted[population] += len(json.loads(place.read_text()))
            elif counted[population] < number and path.with_suffix(".json").exists():
                yield path, place, SEEDS[seeds], quick

    for (path, *_), count in in_processes(jobs(), ask_batch, workers, lambda: False):
        counted[path.parent.name] += count
        print(f"{seeds}: {counted}", flush=True)


# ------------------------------------------------------------------------------------------------ the figures


@dataclass(frozen=True, slots=True)
class Asked:
    """One signal with all that was said of it."""

    planet: bool
    population: str
    findings: tuple[Finding, ...]
    score: Score  # stated for as many planets as others
    validation: Validation


def read(cache: Path, seeds: str) -> list[Asked]:
    asked = []
    for population in POPULATIONS:
        batches = {
            path.name: path
            for quick in (True, False)
            for path in (cache / FOLDER[quick] / seeds / population).glob("*.json")
        }
        for path in batches.values():
            for row in json.loads(path.read_text()):
                findings = tuple(Finding(f[0], Verdict(f[1]), *f[2:]) for f in row["findings"])
                odds = row["probability"] / (1 - row["probability"]) * (1 - row["prior"]) / row["prior"]
                score = Score(odds / (1 + odds), 0.0, "model", "", THRESHOLD, HALF)
                validation = Validation(**row["validation"])
                planet = row["about"]["truth"] == "planet"
                asked.append(Asked(planet, population, findings, score, validation))
    return asked


def parts(asked: Sequence[Asked]) -> Floats:
    """Of each signal: planets count as much as all others, and each kind of others as much as the next."""
    counts = Counter(one.population for one in asked)
    others = len(counts) - ("planets" in counts)
    share = {name: HALF if name == "planets" else HALF / others for name in counts}
    return np.array([share[one.population] / counts[one.population] for one in asked])


def seen(one: Asked, sources: Sequence[str]) -> Asked:
    """The same signal where only some of its opinions can be had."""
    findings = one.findings
    if PIXELS not in sources:
        findings = tuple(finding for finding in findings if finding.test not in PLACE)
    return replace(one, findings=findings, validation=one.validation if PROBABILITY in sources else NO_VALIDATION)


def fit(asked: Sequence[Asked]) -> Row:
    """What each word is worth in ln odds, and how much each opinion counts in each company."""
    part = parts(asked)
    planet = np.array([one.planet for one in asked])

    def worth(words: Sequence[str], all_words: Iterable[str]) -> dict[str, float]:
        table = {}
        said = np.array(words)
        for word in all_words:
            shares = [
                float(part[(said == word) & (planet == kind)].sum() / HALF + FEWEST / (planet == kind).sum())
                for kind in (True, False)
            ]
            table[word] = round(math.log(shares[0] / shares[1]), 3)
        return table

    flux = [str(decide([f for f in one.findings if f.test not in PIXEL_TESTS]).word) for one in asked]
    place = [str(of_pixels(one.findings).says) for one in asked]
    weights.LIGHT_CURVE = worth(flux, [str(word) for word in Word])
    weights.PIXELS = {Says(word): odds for word, odds in worth(place, [Says.PLANET, Says.NO_PLANET]).items()}
    combined = {}
    for rest in ((), (PIXELS,), (PROBABILITY,), (PIXELS, PROBABILITY)):
        sources = tuple(source for source in SOURCES if source in (LIGHT_CURVE, NETWORK, *rest))
        rows, truth, counts = [], [], []
        for one, weight in zip(asked, part, strict=True):
            shown = seen(one, sources)
            told = {o.source: o.ln_odds for o in opinions_of(shown.findings, shown.score, shown.validation)}
            if all(told[source] is not None for source in sources):
                rows.append([1.0, *(max(min(told[source], LOUDEST), -LOUDEST) for source in sources)])
                truth.append(one.planet)
                counts.append(weight)
        combined[sources] = tuple(
            round(float(x), 3) for x in logistic(np.array(rows), np.array(truth), np.array(counts))
        )
    gated = np.array([any(f.test in GATES and f.status is Verdict.FAIL for f in one.findings) for one in asked])
    low_high = wilson(int((gated & planet).sum()), int(planet.sum()), 0.95)
    assert low_high is not None
    others = float(part[gated & ~planet].sum() / HALF)
    cap = round(low_high[1] / (low_high[1] + others), 3)
    return {"light_curve": weights.LIGHT_CURVE, "pixels": weights.PIXELS, "combined": combined, "gate_cap": cap}


def logistic(rows: Floats, truth: NDArray[np.bool_], counts: Floats) -> Floats:
    """Lapses, intercept and weights of a logistic regression whose ends are not certain.

    A share of planets looks like none whatever is asked, and of others like a planet: the two lapses. A little is paid
    for each weight, so that no perfect column runs away.
    """
    counts = counts / counts.sum() * len(counts)

    def loss(x: Floats) -> float:
        low, high, line = x[0], 1 - x[1], rows @ x[2:]
        said = low + (high - low) / (1 + np.exp(-line))
        return float(-(counts * np.log(np.where(truth, said, 1 - said))).sum() + 0.5 * x[3:] @ x[3:])

    width = rows.shape[1] - 1
    begin = np.r_[LAPSE, LAPSE, 0.0, np.ones(width)]
    bounds = [(LEAST_LAPSE, 0.2)] * 2 + [(None, None)] + [(0, None)] * width
    return np.asarray(minimize(loss, begin, bounds=bounds).x)


def judged(asked: Sequence[Asked]) -> Row:
    """Calibration of the combination, who agrees with whom, and what signals are called."""
    part = parts(asked)
    report: Row = {"signals": dict(Counter(one.population for one in asked))}
    for rest in ((), (PIXELS,), (PROBABILITY,), (PIXELS, PROBABILITY)):
        shown = [seen(one, rest) for one in asked]
        found = [judge(one.findings, one.score, one.validation) for one in shown]
        said = np.array([one.probability for one in found], dtype=float)
        failed = np.array([bool(one.capped_by) for one in found])
        report["with " + " and ".join(("light curve", "network", *rest))] = calibration(asked, part, said) | {
            "highest_where_a_gate_failed": float(said[failed].max()),
        }
    report["called"] = {
        population: dict(
            Counter(str(one.called) for one, a in zip(found, asked, strict=True) if a.population == population)
        )
        for population in POPULATIONS
    }
    report["agreement"] = {}
    for one, other in combinations(range(len(SOURCES)), 2):
        pairs = [
            (j.opinions[one].says, j.opinions[other].says)
            for j in found
            if Says.UNKNOWN not in (j.opinions[one].says, j.opinions[other].says)
        ]
        report["agreement"][f"{SOURCES[one]} and {SOURCES[other]}"] = {
            "both_say": len(pairs),
            "agree": round(float(np.mean([a is b for a, b in pairs])), 3),
            "kappa": kappa(pairs),
        }
    return report


def kappa(pairs: Sequence[tuple[Says, Says]]) -> float | None:
    """Cohen's kappa; None where only one word was said."""
    columns = [np.array([str(word) for word in column]) for column in zip(*pairs, strict=True)]
    if len({word for column in columns for word in column}) < 2:
        return None
    return round(float(cohen_kappa_score(*columns)), 3)


def calibration(asked: Sequence[Asked], part: Floats, said: Floats) -> Row:
    """Expected calibration error over ten bins, Brier score, and the bins."""
    planet = np.array([one.planet for one in asked], dtype=float)
    bins, error = [], 0.0
    for k in range(10):
        inside = (said >= k / 10) & (said < (k + 1) / 10 if k < 9 else said <= 1)
        if not inside.any():
            continue
        weight = part[inside].sum()
        stated, true = (float(np.average(values[inside], weights=part[inside])) for values in (said, planet))
        error += float(weight / part.sum()) * abs(stated - true)
        bins.append({"signals": int(inside.sum()), "stated": round(stated, 4), "planets": round(true, 4)})
    brier = float(np.average((said - planet) ** 2, weights=part))
    return {"ece": round(error, 4), "brier": round(brier, 4), "bins": bins}


def write(cache: Path) -> None:
    """Fit on one half of the sky, judge on the other, and write both."""
    tuned, reported = read(cache, "tune"), read(cache, "report")
    fitted = fit(tuned)
    weights.COMBINED, weights.GATE_CAP = fitted["combined"], fitted["gate_cap"]
    report = {"sky": "simulated", "seeds": SEEDS, "tune": judged(tuned), "report": judged(reported)}
    lines = [
        f'"""{DOCUMENT}"""',
        "",
        "from collections.abc import Mapping",
        "",
        "# ln of how much oftener planets get this word than other signals do",
        "LIGHT_CURVE: Mapping[str, float] = {",
        *(f'    "{word}": {odds},' for word, odds in fitted["light_curve"].items()),
        "}",
        "PIXELS: Mapping[str, float] = {",
        *(f'    "{word}": {odds},' for word, odds in fitted["pixels"].items()),
        "}",
        "",
        "# for each set of opinions that says something: share of planets that look like none and of others that look",
        "# like planets whatever is asked, intercept, then the weight of each opinion",
        "COMBINED: Mapping[tuple[str, ...], tuple[float, ...]] = {",
        *(
            f"    {sources!r}:\n        {numbers!r},".replace("'", '"')
            for sources, numbers in fitted["combined"].items()
        ),
        "}  # fmt: skip",
        "",
        f"GATE_CAP = {fitted['gate_cap']}  # share of planets among signals of which a gate failed, at most (95 %)",
    ]
    (ROOT / "pipeline" / "verdict_weights.py").write_text("\n".join(lines) + "\n")
    (Path(__file__).with_suffix(".json")).write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["report"], indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ask", "fit"))
    parser.add_argument("--cache", type=Path, default=Path("disposition-cache"))
    parser.add_argument("--seeds", choices=tuple(SEEDS), default="report")
    parser.add_argument("--number", type=int, default=200, help="signals of each population")
    parser.add_argument("--quick", action="store_true", help="without the false-positive probability")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if asked.what == "ask":
        ask(asked.cache, asked.seeds, asked.workers, asked.number, asked.quick)
    else:
        write(asked.cache)


if __name__ == "__main__":
    main()
