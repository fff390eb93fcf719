"""Learn from simulated stars alone, and judge on every real row of AstroNet-Triage: planets and binaries against junk.

    python benchmarks/sim_to_real.py ../shared/data/labelled_views --cache /tmp/sets [--stars 9600] [--out FILE]
    python benchmarks/sim_to_real.py ../shared/data/labelled_views --data <home>/datasets/simulated-...

Nothing real is learnt from: weights, scalers, early stopping and trees see simulated stars only. Several scorers are
tried; which of them is the answer is decided on the validation stars of the real set (a tenth of its groups), and its
figure is given on all rows and on the others. Intervals are 95 % bootstraps over groups of stars.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from hunter.settings import load
from hunter.training_sets.simulated import Geometry, simulate
from hunter.training_sets.work import carry_out, code_version, collect
from models.calibrate import logit
from models.datasets import Dataset, groups, open_dataset, split_of
from models.datasets.public import public_rows
from models.datasets.snapshots import write_snapshot
from models.evaluate import average_precision, roc_auc, with_interval
from models.inputs import SCALARS, Rows, measure
from models.scorer import Scorer
from models.train import Recipe, train_on

# as the first full-frame images were searched: 30 minutes, from 0.1 d, every peak over the noise
GEOMETRY = Geometry(cadence_seconds=1800.0, period_min=0.1, snr=5.0, every_peak=True, vet=False)
ALL = ("log10_period", "log10_depth", "duration_over_period", "log10_snr")
FEW = ("log10_period", "duration_over_period")  # what both pipelines measure alike
SHARES = {"validation": 0.10, "calibration": 0.05, "test": 0.05}  # of the simulated stars; the others are learnt from


def simulated(arguments: argparse.Namespace) -> Path:
    """The set, built where it is not there yet."""
    if arguments.data is not None:
        return arguments.data
    settings = load(str(arguments.cache / "home"))
    jobs, folder = simulate(arguments.stars, arguments.seed, GEOMETRY, settings, "numba", arguments.cache)

    def show(work):
        if work.done % 20 == 0:
            print(f"{work.done} of {work.asked} parts, {work.signals} signals", file=sys.stderr, flush=True)

    work, paths = carry_out(jobs, folder, arguments.workers, show)
    if work.stopped_by is not None:
        raise SystemExit(128 + work.stopped_by)
    labelled, extra, stars = collect(paths, "simulated")
    return write_snapshot(
        arguments.cache / "sets", "simulated", labelled, licence="none: SIMULATED", code=code_version(), stars=stars,
        origin=[{"simulated": f"{arguments.stars} stars of seed {arguments.seed}"}], extra=extra,
        settings={"seed": arguments.seed, "stars": arguments.stars}, dropped=dict(work.dropped),
    )  # fmt: skip


def shared_out(data: Dataset) -> Dataset:
    """Nearly all simulated stars to learn from: the figures on the others are not what is asked."""
    edges = np.cumsum(list(SHARES.values()))
    chance = np.array([hash_of(int(group)) for group in data.group])
    place = np.searchsorted(edges, chance, side="right")
    return replace(data, split=np.array([*SHARES, "train"])[place])


def hash_of(group: int) -> float:
    """A number from 0 to 1 that the group decides."""
    return float(np.random.default_rng(abs(group)).random())


def features(rows: Rows, scalars: tuple[str, ...]) -> np.ndarray:
    """What the trees see: scalars, what is measured on the views, the local view in pairs and the global in threes."""
    known = rows.scalars[:, [SCALARS.index(name) for name in scalars]]
    pairs = rows.local_flux[:, :60].reshape(len(rows), 30, 2).mean(axis=2)
    threes = rows.global_flux.reshape(len(rows), 67, 3).mean(axis=2)
    return np.concatenate([known, measure(rows)[0], np.clip(pairs, -2, 3), np.clip(threes, -2, 3)], axis=1)


def by_trees(data: Dataset, real: Rows, scalars: tuple[str, ...], seeds: int) -> np.ndarray:
    """Log-odds of an eclipse from gradient-boosted trees, the mean over seeds; each leaves a share of columns out."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    part = data.part("train", "validation", "calibration", "test")
    part = part[data.labelled.reason[part] >= 0]
    learnt = data.labelled.take(part)
    inputs, asked = features(learnt.rows, scalars), features(real, scalars)
    total = np.zeros(len(real))
    for seed in range(seeds):
        trees = HistGradientBoostingClassifier(
            max_iter=200, learning_rate=0.06, l2_regularization=5.0, max_leaf_nodes=15, max_features=0.3,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        trees.fit(inputs, np.isin(learnt.reason, (0, 1)), sample_weight=data.weight[part])
        total += logit(trees.predict_proba(asked)[:, 1])
    return total / seeds


def by_network(
    data: Dataset, real: Rows, scalars: tuple[str, ...], arguments: argparse.Namespace, work: Path
) -> tuple[np.ndarray, float]:
    """Log-odds of an eclipse (planet or binary among the reasons), and how well simulated stars are told."""
    recipe = Recipe(
        "simulated", scalars=scalars, epochs=arguments.epochs, members=arguments.members, width=arguments.width,
        auxiliary=1.0, held_out=(), trees=20,
    )  # fmt: skip
    folder = train_on(
        data, work / "-".join(scalars), recipe, progress=lambda line: print(line, file=sys.stderr, flush=True),
        resamples=20,
    )  # fmt: skip
    scorer = Scorer.load(folder)

    def odds(rows: Rows) -> np.ndarray:
        return logit(np.clip(scorer.logits(rows)[1][:, :2].sum(axis=1), 1e-6, 1 - 1e-6))

    test = data.labelled.take(data.part("test"))
    own = roc_auc(np.isin(test.reason, (0, 1)), odds(test.rows))
    return odds(real), own


def figures(truth, score, group, resamples: int) -> dict:
    return {
        "auc": with_interval(roc_auc, truth, score, group, resamples=resamples),
        "ap": with_interval(average_precision, truth, score, group, resamples=resamples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path, help="folder with the AstroNet-Triage views and the list of TCEs")
    parser.add_argument("--data", type=Path, help="a built simulated set; else one is made under --cache")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "hunter-sets")
    parser.add_argument("--stars", type=int, default=9600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--out", type=Path, help="write the JSON here too")
    arguments = parser.parse_args()
    began, spent = time.monotonic(), time.process_time()

    folder = simulated(arguments)
    data = shared_out(open_dataset(folder))
    real, stars, _ = public_rows(arguments.views, "astronet-triage")
    real = real.take(np.flatnonzero(real.disposition != "O"))
    truth = np.isin(real.disposition, ("PC", "EB"))
    group = groups(real.tic, real.period, stars)
    choosing = np.array([split_of(int(g)) == "validation" for g in group])

    scores: dict[str, np.ndarray] = {}
    own: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as work:
        for name, scalars in (("all scalars", ALL), ("period and duration", FEW)):
            scores[f"trees, {name}"] = by_trees(data, real.rows, scalars, 3)
            scores[f"network, {name}"], own[name] = by_network(data, real.rows, scalars, arguments, Path(work))
            pair = (scores[f"trees, {name}"], scores[f"network, {name}"])
            scores[f"both, {name}"] = sum(one / one.std() for one in pair)  # type: ignore[assignment]
        scores["both, both"] = scores["both, all scalars"] + scores["both, period and duration"]
    on_few = {name: roc_auc(truth[choosing], score[choosing]) for name, score in scores.items()}
    best = max(on_few, key=lambda name: on_few[name])
    result = {
        "what": "learnt from SIMULATED stars only; judged on real AstroNet-Triage, PC and EB against J",
        "set": folder.name,
        "simulated signals": len(data),
        "labels": {
            str(k): int(n) for k, n in zip(*np.unique(data.labelled.disposition, return_counts=True), strict=True)
        },
        "real rows": len(real),
        "eclipses among them": int(truth.sum()),
        "groups": len(np.unique(group)),
        "chosen on the validation stars": best,
        "auc there": {name: round(value, 4) for name, value in on_few.items()},
        "rows there": int(choosing.sum()),
        "on all rows": figures(truth, scores[best], group, arguments.resamples),
        "on all but the validation stars": figures(
            truth[~choosing], scores[best][~choosing], group[~choosing], arguments.resamples
        ),
        "planets alone against junk": figures(
            (real.disposition == "PC")[real.disposition != "EB"],
            scores[best][real.disposition != "EB"],
            group[real.disposition != "EB"],
            arguments.resamples,
        ),
        "every scorer, on all rows": {
            name: figures(truth, score, group, arguments.resamples) for name, score in scores.items()
        },
        "networks on simulated test stars, auc": {name: round(value, 4) for name, value in own.items()},
        "settings": {k: str(v) for k, v in vars(arguments).items() if k not in ("out", "data", "cache", "views")},
        "seconds": round(time.monotonic() - began),
        "core seconds, simulation not counted where it was there": round(time.process_time() - spent),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
