"""Teach the classifier of variability, and measure it: on simulated stars it has not seen, and on real light curves.

    python -P benchmarks/variability.py train --number 2100      simulated stars in, pipeline/variability_weights.py out
    python -P benchmarks/variability.py judge --number 700       held-out stars, as drawn and drawn wider, into the JSON
    python -P benchmarks/variability.py speed                    processor time of one light curve of 20,000 cadences
    python -P benchmarks/variability.py files ../shared/data     what it says of every real light curve there

Every star learnt from is SIMULATED: 27 days at 2 or 30 minutes through the whole of cleaning, one in seven with one
orbit only. What is measured of a star is kept under --cache and not simulated twice. Real light curves are for looking
only: nothing is tuned on them.
"""

import argparse
import csv
import json
import os
import platform
import re
import tempfile
import time as clock
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from pipeline.clean import CleanSettings, DetrendSettings, clean
from pipeline.errors import UnusableData
from pipeline.simulate import FIRST_KEY, SectorSettings, SimulatedStar, draw_variable, observe
from pipeline.simulate import VERSION as SKY
from pipeline.simulate.seeds import stream
from pipeline.types import CleanedLightCurve, Star
from pipeline.variability import (
    CLASSES,
    LEARNT,
    VERSION,
    Series,
    Variability,
    autocorrelation_period,
    classify,
    count_flares,
    inputs,
    measure,
    split,
    strongest_period,
)

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "pipeline" / "variability_weights.py"
LEARNING, JUDGING, WIDER = 1, 2, 3  # seeds of the skies
NETWORKS, HIDDEN, PENALTY, EPOCHS, FOLDS = 3, 24, 0.1, 40, 3


@dataclass(frozen=True, slots=True)
class Examples:
    """What is measured of n simulated stars; a star that cleaning refuses is left out and counted."""

    numbers: np.ndarray  # (n, k) as `measure` gives them
    truth: np.ndarray  # (n,) place in CLASSES
    teff: np.ndarray  # (n,) K
    cadence: np.ndarray  # (n,) seconds
    tmag: np.ndarray  # (n,)
    wide: np.ndarray  # (n,)
    period: np.ndarray  # (n,) of a rotating star, days; else NaN
    found: np.ndarray  # (n, 3) period, its error, period by autocorrelation; NaN where there is none
    flares: np.ndarray  # (n, 2) put in above five sigma of a cadence, and counted

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: np.ndarray) -> "Examples":
        return Examples(*(getattr(self, name)[rows] for name in self.__slots__))


def simulated(number: int, seed: int, wide: bool) -> tuple[SimulatedStar, CleanedLightCurve] | None:
    """One star of the sky, observed and cleaned; classes, cadences and coverage follow its number."""
    key = str(FIRST_KEY + number)
    star = draw_variable(CLASSES[number % len(CLASSES)], key, seed, wide=wide)
    random = stream(seed, "how it is observed", wide, key)
    cadences = (120.0, 200.0, 600.0, 1800.0) if wide else (120.0, 1800.0)
    sector = SectorSettings(cadence_seconds=cadences[number // len(CLASSES) % len(cadences)])
    observed = observe(star, sector, seed).observation()
    if random.random() < 1 / 7:
        half = np.isfinite(observed.time) & (observed.time < np.nanmedian(observed.time))
        half = half if random.random() < 0.5 else ~half
        observed = replace(observed, flux=np.where(half, observed.flux, np.nan))
    try:
        return star, clean([observed], CleanSettings(), DetrendSettings())
    except UnusableData:
        return None


def measured(job: tuple[int, int, bool]) -> list | None:
    """The row of one star."""
    number, seed, wide = job
    made = simulated(number, seed, wide)
    if made is None:
        return None
    star, cleaned = made
    exposure = float(np.median(cleaned.exposure))
    pieces = split(cleaned.raw, cleaned.exposure)
    if not pieces:
        return None
    series = [Series(cleaned.raw.time[piece], cleaned.raw.flux[piece], exposure) for piece in pieces]
    turning, found = np.nan, [np.nan] * 3
    if star.rotation is not None or star.spots:
        turning = star.rotation.period if star.rotation else float(np.median([spot.period for spot in star.spots]))
        period, error = strongest_period(series)
        found = [period, error, autocorrelation_period(series, period)]
    flares = 0
    if star.flares_per_day:
        seen = observe(star, SectorSettings(cadence_seconds=round(exposure * 86400)), seed)
        kept = [f for f in seen.flares if np.abs(cleaned.raw.time - f.peak_time).min() < 0.05]
        flares = sum(f.amplitude * min(1.0, 1.5 * f.width / exposure) > 8 * seen.noise for f in kept)
    numbers = list(measure(series[0]).values())
    counted = count_flares(cleaned.flares, exposure) or 0
    row = [number % len(CLASSES), star.star.teff, exposure * 86400, star.star.tmag, wide, turning]
    return [numbers, row, [np.nan if value is None else value for value in found], [flares, counted]]


def examples(number: int, seed: int, wide: bool, cache: Path, workers: int) -> Examples:
    """The stars of one sky, from the cache where they are there."""
    path = cache / f"variability-{SKY}-{VERSION}-{seed}-{wide:d}-{number}.npz"
    if not path.exists():
        jobs = [(i, seed, wide) for i in range(number)]
        with Pool(workers) as pool:
            rows = [row for row in pool.imap(measured, jobs, chunksize=20) if row is not None]
        facts = np.array([row[1] for row in rows], dtype=np.float64)
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(
            path, numbers=np.array([row[0] for row in rows]), facts=facts,
            found=np.array([row[2] for row in rows], dtype=np.float64), flares=np.array([row[3] for row in rows]),
        )  # fmt: skip
    kept = np.load(path)
    facts = kept["facts"]
    return Examples(
        kept["numbers"], facts[:, 0].astype(int), facts[:, 1], facts[:, 2], facts[:, 3], facts[:, 4] > 0, facts[:, 5],
        kept["found"], kept["flares"],
    )  # fmt: skip


def table(stars: Examples, known: np.ndarray) -> np.ndarray:
    """What the networks are handed, (n, k + 2); the temperature only where it is known."""
    return np.array([
        inputs(dict(enumerate(row)), teff if told else None)  # type: ignore[arg-type]
        for row, teff, told in zip(stars.numbers, stars.teff, known, strict=True)
    ])  # fmt: skip


def learn(values: np.ndarray, truth: np.ndarray, seed: int) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Layers of each network, on standardised numbers."""
    from sklearn.neural_network import MLPClassifier

    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # it stops after EPOCHS, as it is asked to
    networks = []
    for number in range(NETWORKS):
        model = MLPClassifier(
            (HIDDEN,), alpha=PENALTY, max_iter=EPOCHS, batch_size=200, learning_rate_init=5e-3, tol=0.0,
            n_iter_no_change=EPOCHS, random_state=100 * seed + number,
        )  # fmt: skip
        model.fit(values, truth)
        networks.append(list(zip(model.coefs_, model.intercepts_, strict=True)))
    return networks


def asked(networks, values: np.ndarray, warmth: float = 1.0) -> np.ndarray:
    """Mean probabilities of the networks, (n, 7)."""
    total = np.zeros((len(values), len(CLASSES)))
    for (w1, b1), (w2, b2) in networks:
        logits = (np.maximum(values @ w1 + b1, 0.0) @ w2 + b2) / warmth
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        total += raised / raised.sum(axis=1, keepdims=True)
    return total / len(networks)


def train(stars: Examples) -> dict[str, object]:
    """Learn, choose by folds how sure to be, and write the weights."""
    both = table(stars, np.ones(len(stars), bool)), table(stars, np.zeros(len(stars), bool))
    centre = both[0].mean(axis=0)
    scale = np.maximum(both[0].std(axis=0), 1e-3)
    centre[-2:], scale[-2:] = 0.0, 1.0  # the temperature and whether it is known stay as they are
    values = [np.clip((part - centre) / scale, -4, 4) for part in both]
    folds = np.random.default_rng(LEARNING).integers(0, FOLDS, len(stars))
    chances, truth = [], []
    for fold in range(FOLDS):
        inside = folds != fold
        networks = learn(np.concatenate([v[inside] for v in values]), np.tile(stars.truth[inside], 2), fold)
        chances.append((networks, [v[~inside] for v in values]))
        truth.append(np.tile(stars.truth[~inside], 2))
    warmths = np.arange(0.7, 1.8, 0.05)
    every = np.concatenate(truth)

    def loss(warmth: float) -> float:
        said = np.concatenate([asked(networks, np.concatenate(v), warmth) for networks, v in chances])
        return -float(np.log(said[np.arange(len(every)), every] + 1e-12).mean())

    losses = [loss(warmth) for warmth in warmths]
    warmth = float(warmths[int(np.argmin(losses))])
    said = np.concatenate([asked(networks, np.concatenate(v), warmth) for networks, v in chances])
    networks = [
        [layers[0], (layers[1][0] / warmth, layers[1][1] / warmth)]
        for layers in learn(np.concatenate(values), np.tile(stars.truth, 2), 7)
    ]
    WEIGHTS.write_text(written(centre, scale, networks, len(stars)))
    return {"stars": len(stars), "warmth": round(warmth, 2), "folds": figures(every, said)}


def written(centre: np.ndarray, scale: np.ndarray, networks, number: int) -> str:
    """The file of weights."""

    def text(array: np.ndarray) -> str:
        words, lines = [f"{value:.4g}" for value in np.ravel(array)], [""]
        for word in words:
            if len(lines[-1]) + len(word) > 118:
                lines.append("")
            lines[-1] += f" {word}" if lines[-1] else word
        return '_read("""\n' + "\n".join(lines) + '\n""")'

    parts = []
    for network in networks:
        layers = ",\n".join(f"({text(w)}.reshape{w.shape}, {text(b)})" for w, b in network)
        parts.append(f"({layers})")
    return f'''"""Weights of `pipeline.variability`, written by ``benchmarks/variability.py train`` and not by hand.

Learnt from {number} SIMULATED stars, each with its temperature known and unknown; no real star is among them.
"""

# fmt: off
import numpy as np


def _read(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


SKY = {SKY}  # version of the simulation
FEATURES = {VERSION}  # version of the numbers
CENTRE = {text(centre)}
SCALE = {text(scale)}
NETWORKS = ({", ".join(parts)},)
'''


def figures(truth: np.ndarray, said: np.ndarray) -> dict[str, object]:
    """How right, and how honest, the probabilities are."""
    from sklearn.metrics import confusion_matrix, f1_score

    best = said.argmax(axis=1)
    labels = range(len(CLASSES))
    each = f1_score(truth, best, labels=labels, average=None)
    return {
        "stars": len(truth),
        "macro_f1": round(float(each.mean()), 4),
        "macro_f1_interval": interval(truth, best),
        "accuracy": round(float((best == truth).mean()), 4),
        "f1": {name: round(float(value), 3) for name, value in zip(CLASSES, each, strict=True)},
        "confusion": confusion_matrix(truth, best, labels=labels).tolist(),
        "ece": round(calibration_error(said.max(axis=1), best == truth), 4),
        "log_loss": round(-float(np.log(said[np.arange(len(truth)), truth] + 1e-12).mean()), 4),
    }


def interval(truth: np.ndarray, best: np.ndarray) -> list[float]:
    """95 % of the macro F1 over bootstraps."""
    from sklearn.metrics import f1_score

    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(truth), len(truth)) for _ in range(200)]
    values = [f1_score(truth[rows], best[rows], average="macro", labels=range(len(CLASSES))) for rows in drawn]
    return [round(float(value), 3) for value in np.quantile(values, (0.025, 0.975))]


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Mean gap between how sure and how often right, over ten bins of equal number."""
    order = np.array_split(np.argsort(sure), 10)
    return float(sum(len(part) * abs(sure[part].mean() - right[part].mean()) for part in order) / len(sure))


def judge(stars: Examples) -> dict[str, object]:
    """The shipped weights on stars they have not seen."""
    from pipeline import variability_weights as learnt

    def say(part: Examples, known: np.ndarray) -> np.ndarray:
        values = np.clip((table(part, known) - learnt.CENTRE) / learnt.SCALE, -4, 4)
        return asked(learnt.NETWORKS, values)

    half = np.arange(len(stars)) % 2 == 0
    said = say(stars, half)
    result: dict[str, object] = {"all": figures(stars.truth, said)}
    for name, part, known in (
        ("temperature known", stars, np.ones(len(stars), bool)),
        ("temperature unknown", stars, np.zeros(len(stars), bool)),
    ):
        result[name] = figures(stars.truth, say(part, known))
    for cadence in np.unique(np.round(stars.cadence)):
        rows = np.round(stars.cadence) == cadence
        result[f"{cadence:.0f} s"] = figures(stars.truth[rows], said[rows])
    return result | {"rotation period": rotation(stars, said), "flares": flares(stars)}


def rotation(stars: Examples, said: np.ndarray) -> dict[str, object]:
    """Periods of rotating stars that turn at least twice in the data."""
    rows = (stars.truth == CLASSES.index("rotation")) & (stars.period < 13)
    true, (period, error, repeat) = stars.period[rows], stars.found[rows].T
    right = np.abs(period / true - 1) < 0.1
    half = np.abs(2 * period / true - 1) < 0.1
    alike = np.abs(repeat / period - 1) < 0.1
    pull = (period - true)[right] / error[right]
    return {
        "stars": int(rows.sum()),
        "told": round(float(np.isfinite(period).mean()), 3),
        "right within 10 %": round(float(right.mean()), 3),
        "half of it": round(float(half.mean()), 3),
        "autocorrelation right": round(float((np.abs(repeat / true - 1) < 0.1).mean()), 3),
        "methods agree": round(float(alike.mean()), 3),
        "right where they agree": round(float(right[alike].mean()), 3),
        "right where they differ": round(float(right[~alike].mean()), 3),
        "pull, 68 % of it": round(float(np.quantile(np.abs(pull), 0.683)), 2),
        "error, median, fraction": round(float(np.median((error / period)[right])), 4),
    }


def flares(stars: Examples) -> dict[str, object]:
    """Flares counted against those put in well over the noise, and those counted where there are none."""
    true, counted = stars.flares.T
    some = true > 0
    none = true == 0
    by_class = {
        name: round(float(counted[none & (stars.truth == k)].mean()), 3) for k, name in enumerate(CLASSES)
    }  # fmt: skip
    return {
        "stars with flares": int(some.sum()),
        "put in": int(true[some].sum()),
        "counted there": int(counted[some].sum()),
        "counted per star without, by class": by_class,
    }


def speed() -> dict[str, object]:
    """Milliseconds of processor time of classifying one sector at two minutes."""
    made = simulated(2, JUDGING, False)
    assert made is not None
    star, cleaned = made
    classify(cleaned, star.star)
    took = []
    for _ in range(9):
        start = clock.process_time()
        classify(cleaned, star.star)
        took.append(1e3 * (clock.process_time() - start))
    return {"cadences": len(cleaned.raw), "ms": round(float(np.median(took)), 1)}


def files(data: Path, only: str = "") -> Iterator[tuple[str, Star, Variability]]:
    """What is said of each real light curve that can be cleaned."""
    from hunter.archives.folder import FolderArchive

    for path in sorted((data / "lightcurves").rglob("*")):
        if path.suffix != ".fits" or only not in path.name:
            continue
        archive = FolderArchive(path)
        for found in archive.targets():
            star = Star()
            try:
                fetched = archive.fetch(found.target, found.sources)
                star = fetched.star
                cleaned = clean([archive.read(product) for product in fetched.products])
            except UnusableData as problem:
                yield path.name, star, Variability(None, note=str(problem))
                continue
            yield path.name, star, classify(cleaned, star)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "judge", "speed", "files"))
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--number", type=int, default=2100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hunter-variability")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.what == "files":
        truth = {Path(row["path"]).name: row for row in csv.DictReader((Path(options.data) / "truth.csv").open())}
        for name, star, found in files(Path(options.data), options.only):
            known = truth.get(name)
            label = f"{known['kind']} {known['name']} {known['period_days']}" if known else ""
            print(f"{name}  {label}\n    Tmag {star.tmag} Teff {star.teff}  {found.kind}: {found.note}", flush=True)
        return
    report = HERE / "variability.json"
    kept: dict[str, object] = json.loads(report.read_text()) if report.exists() else {}
    kept["sky"] = f"simulated, version {SKY}; {LEARNT}"
    kept["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"
    kept["classes"] = CLASSES
    if options.what == "train":
        kept["training"] = train(examples(options.number, LEARNING, False, options.cache, options.workers))
    elif options.what == "judge":
        for name, seed, wide in (("held out", JUDGING, False), ("wider", WIDER, True)):
            kept[name] = judge(examples(options.number, seed, wide, options.cache, options.workers))
    else:
        kept["speed"] = speed()
    text = re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", json.dumps(kept, indent=1))
    report.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
