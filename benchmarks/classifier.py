"""Is the classifier right about real signals of stars it never saw? Ten folds, grouped by star and blend.

    python benchmarks/classifier.py folds --data ../shared/data/labelled_views  every fold learnt anew, judged once
    python benchmarks/classifier.py published --data ..                         the published split, as it is and purged
    python benchmarks/classifier.py ablate --data .. --only "no augmentation"   what a part of the recipe is worth

Rows are dealt by StratifiedGroupKFold over connected groups of star and neighbour, so that no star and no eclipse
shared by blended neighbours lies on both sides; the same folds serve triage, vetting and the follow-up truth. The
networks and trees of a fold learn from the other nine. What weighs and calibrates them in a fold is fitted on what
was said, out of fold, of the other nine. Exact copies of a view are dropped. A run that is killed goes on from the
fold where it was. Everything is judged on real labels; training holds the simulated rows that the card names.
"""

import argparse
import hashlib
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from numpy.typing import NDArray

from hunter.bench.machine import installed, machine
from models import calibrate, conformal, networks
from models.augment import Augmentation
from models.datasets import Dataset, public_dataset
from models.evaluate import average_precision, report, roc_auc, strata, with_interval
from models.inputs import fit_preparation
from models.registry import WEIGHTS
from models.scorer import load_network
from models.stack import Committee, Stack, fit_weighing, of_eclipse
from models.train import JUDGED, RECIPES, VERSION, Recipe, fit_member, grow_trees, learning_rows, numbers_of, pinned

VERSIONS = ("numpy", "torch", "scikit-learn")
TRIAGE, VETTING = "triage: planet or binary against junk, AstroNet", "vetting: planet against all, AstroNet"
WHO = ("stack", "network", "gradient-boosted trees")
PLAIN = Augmentation(
    flip=0, parities=0, unequal=0, lose_parities=0, stretch=0, shift=0, noise=0, smooth=0, gaps=0, jitter=0, lose_star=0
)
ABLATIONS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "no augmentation": {"augmentation": PLAIN},
    "follow-up weighs as much as a first look": {"settled": 1.0},
    "twice as wide": {"width": 16},
    "without duration_ratio": {"scalars": tuple(n for n in RECIPES["shipped"].scalars if n != "duration_ratio")},
}
ABLATIONS |= {
    f"without {step}": {"augmentation": replace(Augmentation(), **{step: 0.0})}
    for step in (
        "flip",
        "parities",
        "unequal",
        "lose_parities",
        "stretch",
        "shift",
        "noise",
        "smooth",
        "gaps",
        "jitter",
    )
}


def dealt(data: Dataset, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """The fold of each row, (n,)."""
    from sklearn.model_selection import StratifiedGroupKFold

    labelled = data.labelled
    kind = np.where(labelled.planet, 0, np.where(labelled.reason == 1, 1, 2)) + 3 * (labelled.source == "nigraha")
    fold = np.full(len(data), -1)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(np.zeros(len(data)), kind, data.group)):
        fold[held] = number
    return fold


def learnt(data: Dataset, test: NDArray[np.bool_], recipe: Recipe, seed: int, work: Path) -> dict[str, NDArray]:
    """What networks and trees that learnt from the rows outside ``test`` say of the rows inside."""
    kept = work / "said.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    work.mkdir(parents=True, exist_ok=True)
    judged = np.isin(data.group, np.unique(data.group[np.isin(data.labelled.tic, recipe.held_out)]))
    part = replace(data, split=np.where(test | judged, "test", "train"))
    index = np.flatnonzero(test)
    began = time.process_time()
    with pinned(1):
        learning = learning_rows(part, recipe, seed)
        preparation = fit_preparation(data.labelled.take(part.part("train")).rows, recipe.scalars)
        architecture = networks.design(recipe.architecture, preparation, recipe.width, learning.labelled)
        for member in range(recipe.members):
            fit_member(work, learning, part, preparation, architecture, recipe, seed, member, lambda line: None)
        fitted = [load_network(work / WEIGHTS.format(k), architecture) for k in range(recipe.members)]
        seen = Committee(fitted, preparation, architecture).look(data.labelled.take(index).rows)
        trees = grow_trees(learning, preparation, recipe, seed)
        grown = trees.logits(numbers_of(data.labelled.take(index), preparation))
    said = {
        "index": index,
        "members": seen.members,
        "eclipse": of_eclipse(seen.classes, networks.classes_of(architecture)),
        "trees": grown,
        "cpu_seconds": np.array(time.process_time() - began),
    }
    partial = kept.with_name("said.partial.npz")
    np.savez(partial, allow_pickle=False, **said)
    os.replace(partial, kept)
    return said


def all_folds(
    data: Dataset, fold: NDArray, recipe: Recipe, seed: int, cache: Path, use: list[int]
) -> tuple[dict[str, NDArray], float]:
    """Out of fold: mean logit of the networks, their eclipse, and the trees' two; NaN in folds not used."""
    run = hashlib.sha256(
        json.dumps([VERSION, data.id, asdict(recipe), seed, int(fold.max())], sort_keys=True).encode()
    ).hexdigest()[:12]
    said = {name: np.full(len(data), np.nan) for name in ("network", "eclipse", "trees", "trees_eclipse")}
    seconds = 0.0
    for number in use:
        began = time.time()
        found = learnt(data, fold == number, recipe, seed, cache / f"{run}-{number}")
        index = found["index"]
        said["network"][index], said["eclipse"][index] = found["members"].mean(axis=0), found["eclipse"]
        said["trees"][index], said["trees_eclipse"][index] = found["trees"]
        seconds += float(found["cpu_seconds"])
        tell(f"fold {number}: {time.time() - began:.0f} s; {one_line(data, said, fold, [number])}")
    return said, seconds


def tell(line: str) -> None:
    print(line, flush=True)


def one_line(data: Dataset, said: dict[str, NDArray], fold: NDArray, use: list[int]) -> str:
    """The network's and the trees' figures, roughly, while one waits."""
    labelled = data.labelled
    rows = np.isin(fold, use) & (labelled.source == "astronet")
    eclipse = (labelled.reason == 0) | (labelled.reason == 1)
    parts = []
    for who, planet, other in (("network", "network", "eclipse"), ("trees", "trees", "trees_eclipse")):
        parts.append(
            f"{who} triage {roc_auc(eclipse[rows], said[other][rows]):.4f} vetting "
            f"{roc_auc(labelled.planet[rows], said[planet][rows]):.4f} "
            f"{average_precision(labelled.planet[rows], said[planet][rows]):.3f}"
        )
    return "; ".join(parts)


def probabilities(data: Dataset, said: dict[str, NDArray], fold: NDArray, use: list[int]) -> dict[str, Any]:
    """Calibrated probabilities of planet and eclipse by who says so, fitted for each fold on the others."""
    labelled, weight = data.labelled, data.weight
    eclipse, known = np.isin(labelled.reason, (0, 1)), labelled.reason >= 0
    result: dict[str, Any] = {
        who: {"planet": np.full(len(data), np.nan), "eclipse": np.full(len(data), np.nan)} for who in WHO
    }
    weights = []
    for number in use:
        here = fold == number
        others = np.isin(fold, use) & ~here
        told = others & known
        stack = Stack(
            fit_weighing(said["network"][others], said["trees"][others], labelled.planet[others], weight[others]),
            fit_weighing(said["eclipse"][told], said["trees_eclipse"][told], eclipse[told], weight[told]),
        )
        weights.append(asdict(stack))
        raw = {
            "stack": (
                stack.planet(said["network"], said["trees"]),
                stack.eclipse(said["eclipse"], said["trees_eclipse"]),
            ),
            "network": (said["network"], said["eclipse"]),
            "gradient-boosted trees": (said["trees"], said["trees_eclipse"]),
        }
        for who, (planet, of_any) in raw.items():
            for what, logit, truth, rows in (
                ("planet", planet, labelled.planet, others),
                ("eclipse", of_any, eclipse, told),
            ):
                fitted = calibrate.fit(logit[rows], truth[rows], 0.5, weight[rows])
                result[who][what][here] = fitted.probability(logit[here], fitted.training_prior)
    return result | {"weights": weights}


def judged(data: Dataset, said: dict[str, NDArray], fold: NDArray, use: list[int], resamples: int) -> dict[str, Any]:
    """Every figure, of stack, networks and trees."""
    labelled = data.labelled
    found = probabilities(data, said, fold, use)
    eclipse = np.isin(labelled.reason, (0, 1))
    astronet = labelled.source == "astronet"
    used = np.flatnonzero(np.isin(fold, use))
    part, weight, group = labelled.take(used), data.weight[used], data.group[used]
    share = float((weight * part.planet).sum() / weight.sum())
    result: dict[str, Any] = {"weights of the stack in each fold": found["weights"]}
    for who in WHO:
        planet, of_any = found[who]["planet"], found[who]["eclipse"]

        def task(truth: NDArray, score: NDArray) -> dict[str, Any]:
            folds = [np.flatnonzero((fold == number) & astronet) for number in use]
            auc = [round(roc_auc(truth[rows], score[rows]), 4) for rows in folds]
            ap = [round(average_precision(truth[rows], score[rows]), 4) for rows in folds]
            rows = np.flatnonzero(np.isin(fold, use) & astronet)
            pooled = {
                name: with_interval(metric, truth[rows], score[rows], data.group[rows], None, resamples)
                for name, metric in (("auc", roc_auc), ("ap", average_precision))
            }
            return {
                "auc, mean of folds": round(float(np.mean(auc)), 4),
                "auc, lowest fold": min(auc),
                "auc of each fold": auc,
                "ap, mean of folds": round(float(np.mean(ap)), 4),
                "ap, lowest fold": min(ap),
                "ap of each fold": ap,
                "pooled": pooled,
            }

        result[who] = {
            TRIAGE: task(eclipse, of_any),
            VETTING: task(labelled.planet, planet),
            "out of fold": report(part, planet[used], share, of_any[used], group, weight, resamples=resamples),
        }
    best = found["stack"]["planet"][used]
    result["stack"]["strata"] = strata(part, best, group, resamples)
    result["stack"]["conformal sets"] = conformal.cross_coverage(best, part.planet, group, weight)
    return result


def published(data: Dataset, folder: Path, recipe: Recipe, seed: int, cache: Path, said, fold, resamples: int) -> dict:
    """The published split of AstroNet, as it is and with every star of its test part out of training.

    The stack is weighed on what was said out of fold, of rows outside the test part.
    """
    with np.load(folder / "astronet_triage_views.npz", allow_pickle=False) as columns:
        split = columns["split"]
    labelled = data.labelled
    astronet = labelled.source == "astronet"
    place = np.where(astronet, labelled.place, 0)
    test = astronet & (split[place] == "test")
    eclipse = np.isin(labelled.reason, (0, 1))
    others = ~test & np.isfinite(said["network"])
    told = others & (labelled.reason >= 0)
    stack = Stack(
        fit_weighing(said["network"][others], said["trees"][others], labelled.planet[others], data.weight[others]),
        fit_weighing(said["eclipse"][told], said["trees_eclipse"][told], eclipse[told], data.weight[told]),
    )
    result: dict[str, Any] = {}
    for name, out in (
        ("as published", test),
        ("purged of every star and neighbour of the test part", np.isin(data.group, np.unique(data.group[test]))),
    ):
        found = learnt(data, out, recipe, seed, cache / f"published-{VERSION}-{data.id[:8]}-{int(out.sum())}")
        rows = np.isin(found["index"], np.flatnonzero(test))
        index = found["index"][rows]
        network, any_kind, trees = found["members"].mean(axis=0)[rows], found["eclipse"][rows], found["trees"][:, rows]
        group = data.group[index]
        result[name] = {
            task: {
                metric: with_interval(function, truth[index], score, group, None, resamples)
                for metric, function in (("auc", roc_auc), ("ap", average_precision))
            }
            for task, truth, score in (
                ("triage", eclipse, stack.eclipse(any_kind, trees[1])),
                ("vetting", labelled.planet, stack.planet(network, trees[0])),
                ("triage, trees alone", eclipse, trees[1]),
                ("vetting, trees alone", labelled.planet, trees[0]),
            )
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("folds", "published", "ablate"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/labelled_views"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"), help="joined to what it holds")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/hunter-classifier"), help="what each fold said")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--use", type=int, default=0, help="only so many of the folds (0: all)")
    parser.add_argument("--members", type=int, default=0, help="networks in a fold (0: as the recipe)")
    parser.add_argument("--only", nargs="*", default=list(ABLATIONS), help="which ablations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=500)
    given = parser.parse_args()
    recipe = RECIPES["shipped"]
    recipe = replace(recipe, members=given.members or recipe.members)
    found: dict[str, Any] = {}
    data = public_dataset(given.data, JUDGED)
    fold = dealt(data, given.folds)
    use = list(range(given.use or given.folds))
    about = {
        "data": data.id,
        "rows": int(np.isin(fold, use).sum()),
        "groups": len(np.unique(data.group[np.isin(fold, use)])),
        "folds": given.folds,
        "folds used": len(use),
        "seed": given.seed,
        "recipe": asdict(recipe),
        "recipe version": VERSION,
    }
    if given.what in ("folds", "published"):
        said, seconds = all_folds(data, fold, recipe, given.seed, given.cache, use)
    if given.what == "folds":
        found["folds"] = (
            about | {"training_cpu_seconds": round(seconds)} | judged(data, said, fold, use, given.resamples)
        )
    elif given.what == "published":
        found["published split"] = about | published(
            data, given.data, recipe, given.seed, given.cache, said, fold, given.resamples
        )
    else:
        table = {}
        for name in given.only:
            changed = replace(recipe, **ABLATIONS[name])
            said, _ = all_folds(data, fold, changed, given.seed, given.cache, use)
            table[name] = summary(judged(data, said, fold, use, 20))
            tell(f"{name}: {table[name]}")
        found["ablations"] = about | {"table": table}
    before = json.loads(given.out.read_text()) if given.out.exists() else {}
    found = before | found
    for name in set(found) - set(before) | {next(iter(found))}:
        found[name] = {"machine": machine(), "versions": installed(VERSIONS)} | found[name]
    given.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    if "folds" in found and given.what == "folds":
        tell(json.dumps(summary(found["folds"]), indent=1))


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of the goals, of stack, networks and trees."""
    result = {}
    for who in WHO:
        triage, vetting, out = (found[who][name] for name in (TRIAGE, VETTING, "out of fold"))
        ece = out["calibration"]
        result[who] = {
            **{
                f"{name} auc, lowest, ap": (
                    task["auc, mean of folds"],
                    task["auc, lowest fold"],
                    task["pooled"]["ap"]["value"],
                )
                for name, task in (("triage", triage), ("vetting", vetting))
            },
            "planet against binary, AstroNet": out["planet against binary, AstroNet"]["auc"]["value"],
            "confirmed against false positive": out["confirmed against false positive (Nigraha)"]["auc"]["value"],
            "ece, among p > 0.1": (ece["ece"]["value"], ece["ece among p > 0.1"]["value"]),
        }
    return result


if __name__ == "__main__":
    main()
