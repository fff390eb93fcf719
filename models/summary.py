"""The figures of a training in the words that other programs ask for, out of what ``metrics.json`` holds."""

from collections.abc import Mapping
from typing import Any

from models.gates import HEADLINE, report_of, value_of

STRATA = ("by S/N", "by Tmag", "by period, days", "by duration, hours")


def summary(card: Mapping[str, Any], metrics: Mapping[str, Any], threshold: float = 0.85) -> dict[str, Any]:
    """Precision, recall, F1, ROC-AUC, PR-AUC, confusion, calibration, strata and folds of one model.

    Parameters
    ----------
    card, metrics : of a registered model
    threshold : at which a signal is called a planet, in probability stated for the card's own prior

    Returns
    -------
    dict
        Each figure with its interval as ``metrics.json`` has it; None where it was not measured.
    """
    report = report_of(metrics)
    prior = card.get("calibration", {}).get("prior")
    at = report.get(f"stated for a prior of {prior:g}", {}) if isinstance(prior, (int, float)) else {}

    def of(name: str) -> Any:
        return at.get(f"{name} at {threshold:g}, in this mix", at.get(f"{name} at {threshold:g}"))

    headline = report.get(HEADLINE, {})
    folds = metrics.get("folds")
    wider = {} if folds is None else folds.get("pooled", {})  # the same question asked of every star
    strata = {name: report.get(name) or wider.get(name) for name in STRATA}
    return {
        "model": card.get("name"),
        "threshold": threshold,
        "stated for a prior of": prior,
        "precision": of("precision"),
        "recall": of("recall"),
        "f1": of("f1"),
        "roc_auc": headline.get("auc"),
        "pr_auc": headline.get("ap"),
        "confusion": of("confusion"),
        "calibration": report.get("calibration"),
        "beats_baseline": metrics.get("beats_baseline"),
        "baseline_pr_auc": value_of(metrics.get("gradient-boosted trees", {}), HEADLINE, "ap"),
        **strata,
        "folds": None if folds is None else {k: v for k, v in folds.items() if k != "pooled"},
    }


def spread(of_seeds: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """How far models of several seeds scatter: mean, lowest and highest ROC-AUC and PR-AUC of their summaries."""
    found: dict[str, dict[str, float | None]] = {}
    for name in ("roc_auc", "pr_auc"):
        values = [figure["value"] for one in of_seeds.values() if (figure := one.get(name)) is not None]
        known = [value for value in values if value is not None]
        whole = bool(known) and len(known) == len(of_seeds)
        found[name] = {
            "mean": round(sum(known) / len(known), 4) if whole else None,
            "lowest": min(known) if whole else None,
            "highest": max(known) if whole else None,
        }
    return found
