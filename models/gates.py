"""What a model must show before it may serve a hunt: gates, each with the figure it is held to and the limit.

Reads the files that training wrote and measures nothing itself. What is not known is not passed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

BASELINE = "gradient-boosted trees"
REPORTS = ("stack", "model", "network")  # of metrics.json: what serves, the first of these that is there
HEADLINE = "planet against all"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The [models] table: what a model must show before `hunter models promote` lets it serve."""

    beat_baseline: bool = True  # a higher average precision than the trees trained beside it, on the same stars
    fold_floor: Annotated[float, Ge(0), Le(1)] = 0.93  # ROC-AUC of its worst fold; 0 asks for no folds
    binary_floor: Annotated[float, Ge(0), Le(1)] = 0.85  # ROC-AUC of planets against binaries; 0 is off
    low_snr_floor: Annotated[float, Ge(0), Le(1)] = 0.85  # ROC-AUC below S/N 15; 0 is off
    confirmed_floor: Annotated[float, Ge(0), Le(1)] = 0.0  # ROC-AUC of confirmed against false positive; 0 is off
    most_drop: Annotated[float, Ge(0), Le(1)] = 0.005  # ROC-AUC any set may lose against the serving model; 1 is off
    candidate_ece: Annotated[float, Gt(0), Le(1)] = 0.1  # calibration error among probabilities over 0.1; 1 is off
    size_mb: Annotated[float, Gt(0)] = 4.0  # of all its files
    signals_per_second: Annotated[float, Ge(0)] = 300.0  # it must score on one core here; 0 is off


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: whether it is passed, and a sentence with the figure and the limit."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    said: str


def judge(
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    settings: GateSettings,
    *,
    size: int,
    per_second: float | None,
    serving: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> list[Gate]:
    """Hold a model to every gate.

    Parameters
    ----------
    card, metrics : of the model
    settings : GateSettings
    size : bytes of its files
    per_second : signals it scored in a second on one core; None if that was not measured
    serving : card and metrics of the model that serves now, if another does

    Returns
    -------
    list of Gate
        Those that are switched on, in the order of the settings.
    """
    mine = report_of(metrics)
    gates: list[Gate] = []

    def over(name: str, figure: float | None, floor: float, why: str, strict: bool = False) -> None:
        passed = figure is not None and (figure > floor if strict else figure >= floor)
        word = "must be over" if strict else "must reach"
        said = f"{name} {figure:.4f} {word} {floor:.4f}" if figure is not None else f"{name} is not known ({why})"
        gates.append(Gate(name, passed, figure, floor, said))

    if settings.beat_baseline:
        trees = value_of(metrics.get(BASELINE, {}), HEADLINE, "ap")
        why = "the trees beside it were not measured" if trees is None else "it was not measured"
        name = "average precision (the trees' is the limit)"
        over(name, value_of(mine, HEADLINE, "ap") if trees is not None else None, trees or 0.0, why, strict=True)
    if settings.fold_floor:
        folds = metrics.get("folds", {}).get(HEADLINE, {}).get("auc", {})
        over("ROC-AUC of its worst fold", folds.get("lowest"), settings.fold_floor, "train with --folds 10")
    for name, place, floor in (
        ("ROC-AUC of planets against binaries", "planet against binary", settings.binary_floor),
        ("ROC-AUC below S/N 15", "planet against all, S/N below 15", settings.low_snr_floor),
        (
            "ROC-AUC of confirmed against false positive",
            "confirmed against false positive (Nigraha)",
            settings.confirmed_floor,
        ),
    ):
        if floor:
            over(name, value_of(mine, place, "auc"), floor, "the test stars hold none")
    if serving is not None and settings.most_drop < 1:
        gates.append(_against_serving(card, mine, *serving, settings.most_drop))
    if settings.candidate_ece < 1:
        ece = value_of(mine, "calibration", "ece among p > 0.1")
        limit = settings.candidate_ece
        said = "calibration error among p > 0.1 " + ("is not known" if ece is None else f"{ece:.4f} may be {limit:.4f}")
        gates.append(Gate("candidate ECE", ece is not None and ece <= limit, ece, limit, said))
    megabytes = size / 1e6
    said = f"its files take {megabytes:.2f} MB and may take {settings.size_mb:g}"
    gates.append(Gate("size", megabytes <= settings.size_mb, megabytes, settings.size_mb, said))
    if settings.signals_per_second:
        limit = settings.signals_per_second
        said = "its speed was not measured" if per_second is None else f"{per_second:.0f} signals a second are scored"
        fast = per_second is not None and per_second >= limit
        gates.append(Gate("speed", fast, per_second, limit, f"{said}, {limit:g} must be"))
    return gates


def missed(gates: Sequence[Gate]) -> list[str]:
    """What was said of the gates that are not passed."""
    return [gate.said for gate in gates if not gate.passed]


def report_of(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of what serves, on its test stars; empty where nothing was measured."""
    return next((metrics[name] for name in REPORTS if isinstance(metrics.get(name), Mapping)), {})


def value_of(report: Mapping[str, Any], place: str, metric: str) -> float | None:
    """One figure of a report, None where it is not there or could not be computed."""
    found = report.get(place, {}).get(metric, {}) if isinstance(report.get(place), Mapping) else {}
    value = found.get("value") if isinstance(found, Mapping) else None
    return float(value) if isinstance(value, (int, float)) else None


def same_stars(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two cards speak of the same test rows: by their digest, else by that of the whole data set."""
    mine, theirs = one.get("data", {}), other.get("data", {})
    name = "test" if mine.get("test") and theirs.get("test") else "id"
    return mine.get(name) is not None and mine.get(name) == theirs.get(name)


def _against_serving(
    card: Mapping[str, Any],
    mine: Mapping[str, Any],
    other_card: Mapping[str, Any],
    other_metrics: Mapping[str, Any],
    most: float,
) -> Gate:
    """Whether any set lost more ROC-AUC than it may against the serving model."""
    name, theirs = str(other_card.get("name", "the serving model")), report_of(other_metrics)
    if not same_stars(card, other_card):
        said = f"it cannot be held against {name}, which was judged on other stars"
        return Gate("no set worse than served", False, None, most, said)
    drops = {
        place: before - after
        for place in theirs
        if (before := value_of(theirs, place, "auc")) is not None
        and (after := value_of(mine, place, "auc")) is not None
    }
    lacking = [place for place in theirs if value_of(theirs, place, "auc") is not None and place not in drops]
    worst = max(drops, key=lambda place: drops[place], default=None)
    if lacking or worst is None:
        said = f"it was not measured where {name} was: {', '.join(lacking) or 'anywhere'}"
        return Gate("no set worse than served", False, None, most, said)
    many = [f"{place} by {drop:.4f}" for place, drop in drops.items() if drop > most]
    said = f"ROC-AUC falls against {name}: {', '.join(many) or f'{worst} by {drops[worst]:.4f}'}; it may by {most:g}"
    return Gate("no set worse than served", not many, drops[worst], most, said)
