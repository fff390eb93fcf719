"""Judging a recipe on every star once: folds of whole groups, each learnt anew from the others.

The model of a fold is trained, calibrated and registered as any other, in a folder of its own, so that a run that was
killed goes on from its last epoch and finds the folds it had finished.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets import Dataset, lacking, split_of
from models.datasets.snapshots import TRAIN_ONLY
from models.evaluate import average_precision, report, roc_auc, strata
from models.fine_tune import Start
from models.registry import as_json
from models.scorer import Scorer
from models.train import VERSION, Recipe, train_on

NEVER = -1  # the fold of rows that judge nothing


def deal(data: Dataset, folds: int, seed: int = 0) -> NDArray[np.int64]:
    """The fold in which each row is judged, (n,); whole groups, each fold with its share of planets and binaries.

    Rows for training only (simulated, or chosen by what a model said of them) are judged in none, unless there are no
    others.

    Raises
    ------
    ValueError
        Fewer groups with planets than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    labelled = data.labelled
    barred = np.isin(labelled.source, TRAIN_ONLY)
    rows = np.flatnonzero(~barred) if not barred.all() else np.arange(len(data))
    planets = len(np.unique(data.group[rows][labelled.planet[rows]]))
    if planets < folds:
        raise ValueError(f"{folds} folds need planets of as many stars, and there are {planets}: ask for fewer folds")
    fold = np.full(len(data), NEVER, dtype=np.int64)
    kind = np.where(labelled.planet, 0, np.where(labelled.reason == 1, 1, 2))
    # the sets differ in what they hold, so each fold takes its share of each
    _, source = np.unique(labelled.source, return_inverse=True)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held) in enumerate(splitter.split(rows, (kind + 3 * source)[rows], data.group[rows])):
        fold[rows[held]] = number
    return fold


def fold_dataset(data: Dataset, fold: NDArray[np.int64], number: int, held_out: tuple[int, ...], seed: int) -> Dataset:
    """The data of one fold: its rows are the test stars, the others train, validate and calibrate by their group.

    Stars that are never learnt from are in no part but the fold they are judged in.
    """
    judged = np.unique(data.group[fold == number])
    kept_apart = np.unique(data.group[np.isin(data.labelled.tic, np.array(held_out, dtype=np.int64))])
    salt = f"fold {number} of seed {seed}"
    parts = {int(group): split_of(int(group), salt) for group in np.unique(data.group)}
    split = np.array([parts[int(group)] for group in data.group], dtype="U16")
    split[split == "test"] = "train"
    split[fold == NEVER] = "train"
    split[np.isin(data.group, kept_apart)] = "apart"
    split[np.isin(data.group, judged)] = "apart"  # what trains only, of a star that is judged here
    split[fold == number] = "test"
    name = hashlib.sha256(as_json([data.id, int(fold.max()) + 1, number, seed])).hexdigest()
    return replace(data, split=split, id=name)


def cross_validate(
    data: Dataset,
    work: Path,
    recipe: Recipe,
    *,
    folds: int = 10,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    resamples: int = 300,
    start: Start | None = None,
) -> dict[str, Any]:
    """Train once for each fold and judge every row by the model that never saw its star.

    Parameters
    ----------
    data : Dataset
    work : folder in which the models of the folds are kept; deleting it costs time only
    folds : how many
    start : the model whose weights each fold tunes further; what that learnt from is not judged

    Returns
    -------
    dict
        Of each question ("planet against all", ...) the ROC-AUC and AP of each fold, the lowest and the mean, and the
        pooled figure with its interval; under ``pooled`` the whole report on all folds together. Figures of a fold
        that lacks planets are None.
    """
    fold = deal(data, folds, seed)
    asked = hashlib.sha256(as_json([VERSION, data.id, asdict(recipe), seed, threads, folds])).hexdigest()[:16]
    root = Path(work) / f"folds-{asked}"
    labelled = data.labelled
    said = np.full((2, len(data)), np.nan)  # planet, eclipse
    prior = []
    parts = [fold_dataset(data, fold, number, recipe.held_out, seed) for number in range(folds)]
    for number, one in enumerate(parts):
        if (why := lacking(one)) is not None:
            raise ValueError(f"fold {number + 1} of {folds} can't be learnt: {why}")
    for number in range(folds):

        def tell(line: str, at: int = number) -> None:
            progress(f"fold {at + 1}/{folds} {line}")

        if (root / f"fold-{number}").exists():
            tell("was registered before")
        folder = train_on(
            parts[number],
            root,
            recipe,
            seed=seed,
            threads=threads,
            progress=tell,
            name=f"fold-{number}",
            resamples=20,
            start=start,
        )
        scorer = Scorer.load(folder)
        rows = np.flatnonzero((fold == number) & ~np.isin(labelled.tic, scorer.seen))
        prior.append(scorer.calibration.training_prior)
        told = scorer.score_rows(labelled.rows.take(rows), prior[-1]) if len(rows) else []
        said[0, rows] = [row["probability"] for row in told]
        said[1, rows] = [row["eclipse_probability"] for row in told]
    judged = np.flatnonzero(np.isfinite(said[0]))
    part, group = labelled.take(judged), data.group[judged]
    pooled = report(
        part, said[0, judged], float(np.mean(prior)), said[1, judged], group, data.weight[judged],
        recipe.priors, resamples,
    )  # fmt: skip
    eclipse = np.isin(labelled.reason, (0, 1))
    sure = (labelled.source == "astronet") & (labelled.reason >= 0)
    result: dict[str, Any] = {
        "count": folds,
        "seed": seed,
        "on": f"{len(judged)} rows, {len(np.unique(group))} groups of stars, each judged by a model that never saw it",
    }
    for place, truth, score, rows_of in (
        ("planet against all", labelled.planet, said[0], np.ones(len(data), dtype=bool)),
        ("eclipse against junk, AstroNet", eclipse, said[1], sure),
        ("planet against binary", labelled.planet, said[0], labelled.planet | (labelled.reason == 1)),
    ):
        result[place] = {}
        for name, metric in (("auc", roc_auc), ("ap", average_precision)):
            values = []
            for number in range(folds):
                rows = (fold == number) & rows_of & np.isfinite(score)
                value = metric(truth[rows], score[rows])
                values.append(round(value, 4) if np.isfinite(value) else None)
            known = [value for value in values if value is not None]
            result[place][name] = {
                "folds": values,
                "lowest": min(known) if len(known) == folds else None,
                "mean": round(float(np.mean(known)), 4) if len(known) == folds else None,
                "pooled": pooled.get(place, {}).get(name),
            }
    return result | {"pooled": pooled | strata(part, said[0, judged], group, resamples)}
