"""How good a model is on signals of stars it never saw, each figure with its interval.

Intervals are 95 % bootstraps over groups of stars, never over rows: the rows of one star agree with one another.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.calibrate import logit, shift, sigmoid
from models.datasets import Labelled, groups, read_stars, read_views

if TYPE_CHECKING:
    from models.scorer import Scorer

THRESHOLDS = (0.5, 0.85)
Metric = Callable[[NDArray, NDArray, NDArray], float]  # truth, score, weight


def roc_auc(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Chance that a planet scores above another signal, ties counting half; NaN without both kinds."""
    truth, score, weight = _arrays(truth, score, weight)
    _, place = np.unique(score, return_inverse=True)
    size = int(place.max(initial=-1)) + 1
    plus = np.bincount(place, weight * truth, size)
    minus = np.bincount(place, weight * ~truth, size)
    total = plus.sum() * minus.sum()
    return float((plus * (np.cumsum(minus) - minus / 2)).sum() / total) if total > 0 else float("nan")


def average_precision(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean precision over the planets, best score first, tied scores taken together; NaN without planets."""
    truth, score, weight = _arrays(truth, score, weight)
    _, place = np.unique(-score, return_inverse=True)
    size = int(place.max(initial=-1)) + 1
    plus = np.bincount(place, weight * truth, size)
    everything = np.bincount(place, weight, size)
    if plus.sum() <= 0:
        return float("nan")
    precision = np.cumsum(plus) / np.maximum(np.cumsum(everything), 1e-300)
    return float((precision * plus).sum() / plus.sum())


def calibration_error(
    truth: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None, bins: int = 15
) -> float:
    """Expected calibration error over bins of equal weight; NaN without rows."""
    truth, probability, weight = _arrays(truth, probability, weight)
    if not len(truth):
        return float("nan")
    order = np.argsort(probability, kind="stable")
    truth, probability, weight = truth[order], probability[order], weight[order]
    share = (np.cumsum(weight) - weight / 2) / weight.sum()
    place = np.minimum((share * bins).astype(np.int64), bins - 1)
    gap = np.bincount(place, weight * probability, bins) - np.bincount(place, weight * truth, bins)
    return float(np.abs(gap).sum() / weight.sum())


def precision_at(threshold: float) -> Metric:
    """Share of planets among the signals at or over a threshold."""

    def precision(truth: NDArray, score: NDArray, weight: NDArray) -> float:
        over = score >= threshold
        total = weight[over].sum()
        return float(weight[over & truth].sum() / total) if total > 0 else float("nan")

    return precision


def recall_at(threshold: float) -> Metric:
    """Share of the planets that are at or over a threshold."""

    def recall(truth: NDArray, score: NDArray, weight: NDArray) -> float:
        total = weight[truth].sum()
        return float(weight[truth & (score >= threshold)].sum() / total) if total > 0 else float("nan")

    return recall


def _arrays(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None) -> tuple[NDArray, NDArray, NDArray]:
    truth = np.asarray(truth, dtype=bool)
    score = np.asarray(score, dtype=np.float64)
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not truth.shape == score.shape == weight.shape:
        raise ValueError(f"truth {truth.shape}, score {score.shape} and weight {weight.shape} must be of one length")
    return truth, score, weight


def with_interval(
    metric: Metric,
    truth: NDArray,
    score: NDArray,
    group: NDArray,
    weight: NDArray | None = None,
    resamples: int = 300,
    seed: int = 0,
) -> dict[str, float | int | None]:
    """A metric with its 95 % bootstrap interval over groups; None where it cannot be computed."""
    truth, score, weight = _arrays(truth, score, weight)
    _, member = np.unique(group, return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples if count > 1 else 0):
        times = np.bincount(generator.integers(0, count, count), minlength=count)[member]
        value = metric(truth, score, weight * times)
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, [2.5, 97.5]) if values else (np.nan, np.nan)
    value = metric(truth, score, weight)
    if metric is calibration_error and values:
        # drawing rows twice adds gaps of its own: the interval is moved back by that bias
        low, high = np.maximum(np.array([low, high]) + value - np.median(values), 0)
    return {
        "value": _number(value),
        "low": _number(low),
        "high": _number(high),
        "n": len(truth),
        "positives": int(truth.sum()),
    }


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def report(
    labelled: Labelled,
    probability: NDArray,
    training_prior: float,
    eclipse: NDArray,
    group: NDArray,
    weight: NDArray,
    priors: tuple[float, ...] = (0.03, 0.1, 0.2, 0.5),
    resamples: int = 300,
) -> dict[str, Any]:
    """Every figure of the card.

    Parameters
    ----------
    labelled : n rows of stars that trained and calibrated nothing
    probability : (n,) calibrated, stated for ``training_prior``
    eclipse : (n,) probability of planet or binary against everything else
    group, weight : (n,)
    """
    planet, reason, source = labelled.planet, labelled.reason, labelled.source

    def figure(metric: Metric, rows: NDArray, truth: NDArray = planet, score: NDArray = probability, heavy=None):
        heavy = None if heavy is None else heavy[rows]
        return with_interval(metric, truth[rows], score[rows], group[rows], heavy, resamples)

    every = np.ones(len(labelled), dtype=bool)
    astronet, nigraha = source == "astronet", source == "nigraha"
    settled = np.isin(labelled.disposition, ("KP", "CP", "FP", "FA"))
    snr = labelled.rows.scalars[:, 3]
    result: dict[str, Any] = {
        "planet against all": {"auc": figure(roc_auc, every), "ap": figure(average_precision, every)},
        "planet against all, AstroNet": {"auc": figure(roc_auc, astronet), "ap": figure(average_precision, astronet)},
        "planet against all, Nigraha": {"auc": figure(roc_auc, nigraha), "ap": figure(average_precision, nigraha)},
        "planet against binary": {"auc": figure(roc_auc, planet | (reason == 1))},
        "planet against binary, AstroNet": {"auc": figure(roc_auc, astronet & (planet | (reason == 1)))},
        "confirmed against false positive (Nigraha)": {"auc": figure(roc_auc, nigraha & settled)},
        "planet against all, S/N below 15": {
            "auc": figure(roc_auc, snr < np.log10(15)),
            "ap": figure(average_precision, snr < np.log10(15)),
        },
        "eclipse against junk, AstroNet": {
            "auc": figure(roc_auc, astronet & (reason >= 0), (reason == 0) | (reason == 1), eclipse),
            "ap": figure(average_precision, astronet & (reason >= 0), (reason == 0) | (reason == 1), eclipse),
        },
        "calibration": {
            "training prior": round(training_prior, 4),
            "share of planets here": _number(float((weight * planet).sum() / weight.sum())),
            "ece": figure(calibration_error, every, heavy=weight),
            "ece among p > 0.1": figure(calibration_error, probability > 0.1, heavy=weight),
            "brier": figure(_brier, every, heavy=weight),
        },
    }
    for prior in priors:
        stated = sigmoid(logit(probability) + shift(training_prior, prior))
        # the same rows as they would be counted in a hunt in which this share of signals are planets
        share = float((weight * planet).sum() / weight.sum())
        heavy = weight * np.where(planet, prior / share, (1 - prior) / (1 - share))
        result[f"stated for a prior of {prior:g}"] = {
            f"{name} at {threshold:g}{where}": figure(metric(threshold), every, score=stated, heavy=heavies)
            for threshold in THRESHOLDS
            for name, metric, where, heavies in (
                ("recall", recall_at, "", weight),
                ("precision", precision_at, ", in this mix", weight),
                ("precision", precision_at, ", where that share are planets", heavy),
            )
        }
    return result


def _brier(truth: NDArray, score: NDArray, weight: NDArray) -> float:
    total = weight.sum()
    return float((weight * (score - truth) ** 2).sum() / total) if total > 0 else float("nan")


def evaluate(scorer: "Scorer", views: Path, stars: Path | None = None, resamples: int = 300) -> dict[str, Any]:
    """Judge a model on a file laid out as the public views, on the stars it never saw.

    Parameters
    ----------
    scorer : Scorer
    views : AstroNet's or Nigraha's columns in an npz
    stars : list of TCEs (csv.gz), for magnitudes, radii, temperatures and neighbours; by default
        astronet_tces.csv.gz beside the views, where there is one
    resamples : of the bootstrap

    Returns
    -------
    dict
        ``rows`` (how many were read, left out, and judged) and the figures of ``report``.

    Raises
    ------
    ViewsRefused
        The file is not as described.
    """
    labelled, dropped, known = _read(views, stars)
    new = np.flatnonzero(~np.isin(labelled.tic, scorer.seen))
    counts: dict[str, object] = {"read": len(labelled), "of stars it learnt from": len(labelled) - len(new), **dropped}
    counts["judged"] = len(new)
    if not len(new):
        return {"rows": counts}
    part = labelled.take(new)
    logits, reasons = scorer.logits(part.rows)
    prior = scorer.calibration.training_prior
    probability = scorer.calibration.probability(logits.mean(axis=0), prior)
    group = groups(part.tic, part.period, known)
    _, place, repeats = np.unique(
        np.stack([part.tic, part.reason], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    weight = 1.0 / repeats[place.ravel()]
    return {"rows": counts} | report(
        part, probability, prior, reasons[:, :2].sum(axis=1), group, weight, resamples=resamples
    )


def scored_rows(scorer: "Scorer", views: Path, stars: Path | None = None) -> Iterator[dict[str, object]]:
    """Each row of such a file with its scores: row, tic_id, label, probability, eclipse_probability, raw,
    member_spread, and whether the model learnt from its star.
    """
    labelled, _, _ = _read(views, stars)
    seen = np.isin(labelled.tic, scorer.seen)
    for i, score in enumerate(scorer.score_rows(labelled.rows)):
        yield {
            "row": int(labelled.place[i]),
            "tic_id": int(labelled.tic[i]),
            "label": str(labelled.disposition[i]),
            "probability": score["probability"],
            "eclipse_probability": round(score["classes"]["planet"] + score["classes"]["eclipsing_binary"], 6),
            "raw": score["raw"],
            "member_spread": score["member_spread"],
            "seen": bool(seen[i]),
        }


def _read(views: Path, stars: Path | None) -> tuple[Labelled, dict[str, int], dict]:
    beside = Path(views).with_name("astronet_tces.csv.gz")
    stars = beside if stars is None and beside.exists() else stars
    known = read_stars(stars)[0] if stars is not None else {}
    return *read_views(Path(views), known), known
