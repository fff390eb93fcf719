"""How good a model is on signals of stars it never saw, each figure with its interval.

Intervals are 95 % bootstraps over groups of stars, never over rows: the rows of one star agree with one another.
"""

import csv
import gzip
import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.calibrate import logit, shift, sigmoid
from models.datasets import Labelled, ViewsRefused, groups, read_stars, read_views
from models.inputs import GLOBAL_BINS, LOCAL_BINS, SCALARS, Rows, normalise

if TYPE_CHECKING:
    from models.scorer import Scorer

THRESHOLDS = (0.5, 0.85)
LONG_PERIOD = 10.0  # days: two transits or three in one sector
FEW_TRANSITS = 3
COLUMNS = ("row", "tic_id", "label", "probability", "eclipse_probability", "raw", "member_spread")
STRATA = {
    "by S/N": (10, 15, 30),
    "by Tmag": (9, 11, 13),
    "by period, days": (1, 3, 10),
    "by duration, hours": (1.5, 3, 6),
}
Metric = Callable[[NDArray, NDArray, NDArray], float]  # truth, score, weight


def roc_auc(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Chance that a planet scores above another signal, ties counting half; NaN without both kinds."""
    truth, score, weight = _arrays(truth, score, weight)
    return _auc(truth, np.unique(score, return_inverse=True)[1], weight)


def _auc(truth: NDArray, place: NDArray, weight: NDArray) -> float:
    size = int(place.max(initial=-1)) + 1
    plus = np.bincount(place, weight * truth, size)
    minus = np.bincount(place, weight * ~truth, size)
    total = plus.sum() * minus.sum()
    return float((plus * (np.cumsum(minus) - minus / 2)).sum() / total) if total > 0 else float("nan")


def average_precision(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean precision over the planets, best score first, tied scores taken together; NaN without planets."""
    truth, score, weight = _arrays(truth, score, weight)
    return _ap(truth, np.unique(-score, return_inverse=True)[1], weight)


def _ap(truth: NDArray, place: NDArray, weight: NDArray) -> float:
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


def f1_at(threshold: float) -> Metric:
    """Harmonic mean of precision and recall at a threshold."""

    def f1(truth: NDArray, score: NDArray, weight: NDArray) -> float:
        over = score >= threshold
        total = weight[over].sum() + weight[truth].sum()
        return float(2 * weight[over & truth].sum() / total) if weight[truth].sum() > 0 else float("nan")

    return f1


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
) -> dict[str, Any]:
    """A metric with its 95 % bootstrap interval over groups; None with the reason where it cannot be computed."""
    truth, score, weight = _arrays(truth, score, weight)
    _, member = np.unique(group, return_inverse=True)
    count = int(member.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    of_weight = _prepared(metric, truth, score)
    values = []
    for _ in range(resamples if count > 1 else 0):
        times = np.bincount(generator.integers(0, count, count), minlength=count)[member]
        value = of_weight(weight * times)
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, [2.5, 97.5]) if values else (np.nan, np.nan)
    value = of_weight(weight)
    if metric is calibration_error and values:
        # drawing rows twice adds gaps of its own: the interval is moved back by that bias
        low, high = np.maximum(np.array([low, high]) + value - np.median(values), 0)
    found: dict[str, Any] = {
        "value": _number(value),
        "low": _number(low),
        "high": _number(high),
        "n": len(truth),
        "positives": int(truth.sum()),
    }
    return found if np.isfinite(value) else found | {"reason": _why_unknown(truth)}


def _prepared(metric: Metric, truth: NDArray, score: NDArray) -> Callable[[NDArray], float]:
    """The metric as a function of the weights alone; what does not depend on them is done once."""
    if metric is not roc_auc and metric is not average_precision:
        return lambda weight: metric(truth, score, weight)
    _, place = np.unique(score if metric is roc_auc else -score, return_inverse=True)
    return lambda weight: (_auc if metric is roc_auc else _ap)(truth, place, weight)


def _why_unknown(truth: NDArray) -> str:
    if not len(truth):
        return "no row is of this kind"
    if not truth.any():
        return f"none of the {len(truth)} rows is what is looked for"
    if truth.all():
        return f"all {len(truth)} rows are what is looked for"
    return "no row reaches the threshold"


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
    number = {name: labelled.rows.scalars[:, SCALARS.index(name)] for name in ("log10_snr", "n_transits", "tmag")}
    few = (labelled.period > LONG_PERIOD) | (number["n_transits"] <= FEW_TRANSITS)

    def both(rows: NDArray) -> dict[str, Any]:
        return {"auc": figure(roc_auc, rows), "ap": figure(average_precision, rows)}

    total = float(weight.sum())
    share = float((weight * planet).sum() / total) if total > 0 else 0.0
    result: dict[str, Any] = {
        "planet against all": both(every),
        "planet against all, AstroNet": both(astronet),
        "planet against all, Nigraha": both(nigraha),
        "planet against binary": {"auc": figure(roc_auc, planet | (reason == 1))},
        "planet against binary, AstroNet": {"auc": figure(roc_auc, astronet & (planet | (reason == 1)))},
        "confirmed against false positive (Nigraha)": {"auc": figure(roc_auc, nigraha & settled)},
        "planet against all, S/N below 15": both(number["log10_snr"] < np.log10(15)),
        "planet against all, few transits or a long period": both(few),
        "planet against all, Tmag over 13": both(number["tmag"] > 13),
        "eclipse against junk, AstroNet": {
            "auc": figure(roc_auc, astronet & (reason >= 0), (reason == 0) | (reason == 1), eclipse),
            "ap": figure(average_precision, astronet & (reason >= 0), (reason == 0) | (reason == 1), eclipse),
        },
        "calibration": {
            "training prior": round(training_prior, 4),
            "share of planets here": _number(share),
            "ece": figure(calibration_error, every, heavy=weight),
            "ece among p > 0.1": figure(calibration_error, probability > 0.1, heavy=weight),
            "brier": figure(_brier, every, heavy=weight),
            "reliability": reliability(planet, probability, weight),
        },
    }
    for prior in priors:
        stated = sigmoid(logit(probability) + shift(training_prior, prior))
        # the same rows as they would be counted in a hunt in which this share of signals are planets
        heavy = weight * np.where(planet, prior / share, (1 - prior) / (1 - share)) if 0 < share < 1 else weight * 0
        result[f"stated for a prior of {prior:g}"] = {
            f"{name} at {threshold:g}{where}": figure(metric(threshold), every, score=stated, heavy=heavies)
            for threshold in THRESHOLDS
            for name, metric, where, heavies in (
                ("recall", recall_at, "", weight),
                ("precision", precision_at, ", in this mix", weight),
                ("f1", f1_at, ", in this mix", weight),
                ("precision", precision_at, ", where that share are planets", heavy),
            )
        } | {f"confusion at {threshold:g}": confusion(planet, stated, threshold) for threshold in THRESHOLDS}
    return result


def confusion(truth: NDArray, score: NDArray, threshold: float) -> dict[str, int]:
    """Rows by what they are and what they are called at a threshold."""
    over = score >= threshold
    return {
        "planets called planets": int((truth & over).sum()),
        "planets missed": int((truth & ~over).sum()),
        "others called planets": int((~truth & over).sum()),
        "others left": int((~truth & ~over).sum()),
    }


def reliability(truth: NDArray, probability: NDArray, weight: NDArray, bins: int = 10) -> list[dict[str, Any]]:
    """What was said and what was so, in bins of equal width that hold any row."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    return [
        {
            "from": k / bins,
            "to": (k + 1) / bins,
            "n": int(inside.sum()),
            "mean probability": _number(float(np.average(probability[inside], weights=weight[inside]))),
            "share of planets": _number(float(np.average(truth[inside], weights=weight[inside]))),
        }
        for k in range(bins)
        if (inside := place == k).any()
    ]


def strata(
    labelled: Labelled, probability: NDArray, group: NDArray, resamples: int = 300
) -> dict[str, dict[str, dict[str, Any]]]:
    """Planet against all, apart by signal-to-noise, magnitude, period and duration; AUC and AP of each."""
    scalars = labelled.rows.scalars
    period = labelled.period
    numbers = {
        "by S/N": 10 ** scalars[:, SCALARS.index("log10_snr")],
        "by Tmag": scalars[:, SCALARS.index("tmag")],
        "by period, days": period,
        "by duration, hours": scalars[:, SCALARS.index("duration_over_period")] * period * 24,
    }
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for name, values in numbers.items():
        edges = (-np.inf, *STRATA[name], np.inf)
        result[name] = {}
        for low, high in pairwise(edges):
            rows = (values >= low) & (values < high)
            where = f"{low:g} to {high:g}" if np.isfinite([low, high]).all() else ""
            where = where or (f"below {high:g}" if np.isinf(low) else f"{low:g} and more")
            result[name][where] = _auc_and_ap(labelled.planet, probability, group, rows, resamples)
        unknown = ~np.isfinite(values)
        if unknown.any():
            result[name]["unknown"] = _auc_and_ap(labelled.planet, probability, group, unknown, resamples)
    return result


def _auc_and_ap(truth: NDArray, score: NDArray, group: NDArray, rows: NDArray, resamples: int) -> dict[str, Any]:
    return {
        name: with_interval(metric, truth[rows], score[rows], group[rows], None, resamples)
        for name, metric in (("auc", roc_auc), ("ap", average_precision))
    }


def _brier(truth: NDArray, score: NDArray, weight: NDArray) -> float:
    total = weight.sum()
    return float((weight * (score - truth) ** 2).sum() / total) if total > 0 else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The rows of a file of views with what a model says of them."""

    labelled: Labelled
    probability: NDArray[np.float64]  # (n,) of a planet, calibrated, stated for ``prior``
    eclipse: NDArray[np.float64]  # (n,) of a planet or a binary
    raw: NDArray[np.float64]  # (n,) before calibration
    spread: NDArray[np.float64]  # (n,) standard deviation over the members
    seen: NDArray[np.bool_]  # (n,) whether the model learnt from the star
    prior: float
    group: NDArray[np.int64]  # (n,) of stars and blends
    dropped: dict[str, int]  # rows of the file that could not be scored, by reason


def score_views(scorer: "Scorer", views: Path, stars: Path | None = None, prior: float | None = None) -> Scored:
    """Score every row of a file laid out as the public views.

    Parameters
    ----------
    scorer : Scorer
    views : AstroNet's or Nigraha's columns in an npz
    stars : list of TCEs (csv.gz), for magnitudes, radii, temperatures, depths and neighbours; by default
        astronet_tces.csv.gz beside the views, where there is one
    prior : share of planets the probabilities are stated for; by default that of the calibration stars, which is the
        mix of the public sets, so that probabilities can be held against these labels

    Raises
    ------
    ViewsRefused
        The file is not as described, or no row of it can be scored.
    """
    beside = Path(views).with_name("astronet_tces.csv.gz")
    stars = beside if stars is None and beside.exists() else stars
    try:
        known, lines = read_stars(stars) if stars is not None else ({}, {})
    except (KeyError, ValueError, EOFError, gzip.BadGzipFile) as error:
        raise ViewsRefused(f"{stars}: no list of TCEs ({type(error).__name__}: {error})") from error
    labelled, dropped = read_views(Path(views), known, lines)
    if not len(labelled):
        told = "; ".join(f"{reason}: {count}" for reason, count in dropped.items() if count)
        raise ViewsRefused(f"{views}: no row can be scored ({told or 'it holds none'})")
    prior = scorer.calibration.training_prior if prior is None else prior
    said = scorer.score_rows(labelled.rows, prior)

    def column(name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in said], dtype=np.float64)

    return Scored(
        labelled,
        column("probability"),
        column("eclipse_probability"),
        column("raw"),
        column("member_spread"),
        np.isin(labelled.tic, scorer.seen),
        prior,
        groups(labelled.tic, labelled.period, known),
        dropped,
    )


def evaluate(
    scorer: "Scorer", views: Path, stars: Path | None = None, resamples: int = 300, scored: Scored | None = None
) -> dict[str, Any]:
    """Judge a model on a file laid out as the public views, on the stars it never saw.

    Parameters
    ----------
    scorer, views, stars : as ``score_views`` has them
    resamples : of the bootstrap
    scored : what ``score_views`` gave, where it was called already

    Returns
    -------
    dict
        ``rows`` (how many were read, left out, and judged), the figures of ``report``, and ``strata``. A figure that
        cannot be computed is None and says why.

    Raises
    ------
    ViewsRefused
        The file is not as described.
    """
    scored = scored or score_views(scorer, views, stars)
    new = np.flatnonzero(~scored.seen)
    total = len(scored.labelled)
    counts: dict[str, object] = {"read": total, "of stars it learnt from": total - len(new), **scored.dropped}
    counts["judged"] = len(new)
    if not len(new):
        return {"rows": counts | {"reason": "the model learnt from every star of this file"}}
    part, probability, group = scored.labelled.take(new), scored.probability[new], scored.group[new]
    _, place, repeats = np.unique(
        np.stack([part.tic, part.reason], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    weight = 1.0 / repeats[place.ravel()]
    found = report(part, probability, scored.prior, scored.eclipse[new], group, weight, resamples=resamples)
    return (
        {"rows": counts, "probabilities stated for": scored.prior} | found | strata(part, probability, group, resamples)
    )


def rows_digest(labelled: Labelled) -> str:
    """sha256 of rows that are judged on: their stars, labels and views."""
    total = hashlib.sha256("\n".join(labelled.disposition.tolist()).encode())
    for array in (labelled.tic, labelled.planet, labelled.rows.global_flux, labelled.rows.local_flux):
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def speed(scorer: "Scorer", count: int = 512) -> float:
    """Signals scored in a second of one core's time, on SIMULATED views of noise; the better of two tries."""
    rng = np.random.default_rng(0)
    far, near = (count, GLOBAL_BINS), (count, LOCAL_BINS)
    flux = {
        f"{name}_flux": rng.normal(size=far if name == "global" else near).astype(np.float32)
        for name in ("global", "local", "odd", "even")
    }
    filled = {f"{name[:-5]}_filled": np.ones_like(values) for name, values in flux.items()}
    rows = normalise(Rows(**flux, **filled, scalars=rng.normal(size=(count, len(SCALARS)))))
    spent = []
    for _ in range(2):
        began = time.process_time()
        scorer.score_rows(rows)
        spent.append(time.process_time() - began)
    return count / max(min(spent), 1e-9)


def scored_rows(
    scorer: "Scorer", views: Path, stars: Path | None = None, scored: Scored | None = None
) -> Iterator[dict[str, object]]:
    """Each row of such a file with its scores: the columns of COLUMNS, and whether the model learnt from its star."""
    scored = scored or score_views(scorer, views, stars)
    for i in range(len(scored.labelled)):
        yield {
            "row": int(scored.labelled.place[i]),
            "tic_id": int(scored.labelled.tic[i]),
            "label": str(scored.labelled.disposition[i]),
            "probability": round(float(scored.probability[i]), 6),
            "eclipse_probability": round(float(scored.eclipse[i]), 6),
            "raw": round(float(scored.raw[i]), 6),
            "member_spread": round(float(scored.spread[i]), 6),
            "seen": bool(scored.seen[i]),
        }


def scores_csv(rows: Iterable[dict[str, object]]) -> str:
    """The rows as CSV text with exactly the columns of COLUMNS."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
