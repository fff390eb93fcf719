"""Drift of a hunt: what it measured and scored, night by night and sector by sector, held against what came before.

Read from the record: each scored signal has its row, whether or not it became a candidate. The sector and cadence of
a star's light curves are those of its fetched products, where the cache still holds them.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunter.checkpoints import Damaged, decode
from hunter.settings import Settings
from hunter.worker import results_folder
from models.drift import Drift, find_drift
from state.reading import Reader

MAGNITUDES = (9.0, 11.0, 13.0)  # a hunt goes from bright to faint: nights are compared among stars alike
SCORE = "score"  # logit of the probability
FINDINGS = {"odd_even_sigma": "odd_even", "secondary_sigma": "secondary", "centroid_sigma": "centroid"}
STAR = ("tmag", "radius", "teff")


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The strongest scored signal of each star."""

    numbers: dict[str, NDArray[np.float64]]  # (n,) each, NaN where unknown
    night: list[str]  # (n,)
    nights: list[str]  # in order
    sector: list[str]  # (n,) "sector 12", or "unknown sector"
    sectors: list[str]  # in order
    cadence: list[str]  # (n,) "120 s", or "unknown cadence"
    magnitude: list[str]  # (n,) "Tmag 9 to 11"
    model: list[str]  # (n,) of the score


def read_scored(reader: Reader, results: Path) -> Scored:
    """The strongest scored signal of each star of a hunt.

    Parameters
    ----------
    reader : Reader
    results : folder of the stored phase results, for sectors and cadences
    """
    begins = reader.nights()
    rows = list(reader.scored())
    seen = [_seen_in(results, row) for row in rows]
    nights = [_night(row["scored_at"], begins) for row in rows]
    numbers = {name: np.array([_number(row, name) for row in rows]) for name in _NUMBERS}
    sectors = [sector for sector, _ in seen]
    return Scored(
        numbers=numbers,
        night=nights,
        nights=sorted(set(nights)),
        sector=["unknown sector" if sector is None else f"sector {sector}" for sector in sectors],
        sectors=[f"sector {sector}" for sector in sorted({s for s in sectors if s is not None})],
        cadence=["unknown cadence" if cadence is None else f"{cadence:.0f} s" for _, cadence in seen],
        magnitude=[_magnitude(value) for value in numbers["tmag"]],
        model=[str(row["model"] or "")[:8] for row in rows],
    )


def drift_of(scored: Scored, settings: Any) -> dict[str, Drift]:
    """Nights and sectors, each against those before it.

    A hunt takes bright stars first, so nights are compared among stars of like magnitude and not by the magnitude;
    scores are compared among those of one model.
    """
    cadence = scored.cadence
    alike = [f"{c}, {m}" for c, m in zip(cadence, scored.magnitude, strict=True)]

    def of_model(strata: Sequence[str]) -> list[str]:
        return [f"{stratum}, model {model}" for stratum, model in zip(strata, scored.model, strict=True)]

    by_night = {name: values for name, values in scored.numbers.items() if name != "tmag"}
    known = np.array([name != "unknown sector" for name in scored.sector], dtype=bool)
    by_sector = {name: values[known] for name, values in scored.numbers.items()}
    there = [stratum for stratum, kept in zip(cadence, known, strict=True) if kept]
    models = [stratum for stratum, kept in zip(of_model(cadence), known, strict=True) if kept]
    return {
        "nights": find_drift(by_night, scored.night, scored.nights, {"": alike, SCORE: of_model(alike)}, settings),
        "sectors": find_drift(
            by_sector,
            [name for name in scored.sector if name != "unknown sector"],
            scored.sectors,
            {"": there, SCORE: models},
            settings,
        ),
    }


def report(settings: Settings) -> dict[str, Any]:
    """The drift of a hunt as plain values: whether anything alarms, what, and what was compared."""
    with Reader(settings.database) as reader:
        scored = read_scored(reader, results_folder(settings))
    found = drift_of(scored, settings.drift)
    return {
        "home": str(settings.home),
        "stars": len(scored.night),
        "alarm": any(drift.alarms for drift in found.values()),
        "settings": settings.as_dict()["drift"],
        "nights seen": scored.nights,
        "sectors seen": scored.sectors,
        "mean probability by night": _mean_by(scored.night, scored.numbers[SCORE]),
    } | {name: drift.to_json() for name, drift in found.items()}


def status_line(found: Mapping[str, Any]) -> str:
    """The report in one line, as `hunter status` shows it among the events."""
    if not found["alarm"]:
        compared = found["nights"]["comparisons"] + found["sectors"]["comparisons"]
        if not compared:
            return f"no drift could be looked for: {found['stars']} stars with scores are too few or of one night"
        return f"no drift in {compared} comparisons over {found['stars']} stars"
    alarms = [*found["nights"]["alarms"], *found["sectors"]["alarms"]]
    first = min(alarms, key=lambda shift: (shift["p"], -shift["psi"]))
    more = f" and {len(alarms) - 1} more" if len(alarms) > 1 else ""
    return (
        f"drift: {first['number']} of {first['where']} ({first['stratum']}) has PSI {first['psi']:.2f}{more}: "
        "hunter evaluate --hunt says all"
    )


def _mean_by(labels: Sequence[str], logits: NDArray[np.float64]) -> dict[str, float]:
    probability = 1 / (1 + np.exp(-logits))
    names = np.array(labels, dtype=str)
    return {str(name): round(float(probability[names == name].mean()), 4) for name in np.unique(names)}


def _logit(row: Mapping[str, Any]) -> float:
    p = min(max(float(row["probability"]), 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def _log10(value: float | None) -> float:
    return math.log10(value) if value is not None and value > 0 else math.nan


_NUMBERS = {
    SCORE: _logit,
    "log10_period": lambda row: _log10(row["period"]),
    "log10_depth": lambda row: _log10(row["depth"]),
    "duration_over_period": lambda row: row["duration"] / row["period"] if row["period"] else math.nan,
    "log10_snr": lambda row: _log10(row["snr"]),
    "sde": lambda row: row["sde"],
    "n_transits": lambda row: row["n_transits"],
} | {name: (lambda row, name=name: row["star"].get(name)) for name in STAR} | {
    name: (lambda row, test=test: _sigma(row["findings"], test)) for name, test in FINDINGS.items()
}  # fmt: skip


def _number(row: Mapping[str, Any], name: str) -> float:
    value = _NUMBERS[name](row)
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _sigma(findings: Sequence[Mapping[str, Any]], test: str) -> float | None:
    return next((finding.get("sigma") for finding in findings if finding.get("test") == test), None)


def _magnitude(tmag: float) -> str:
    if not math.isfinite(tmag):
        return "Tmag unknown"
    over = sum(tmag >= edge for edge in MAGNITUDES)
    low = f"{MAGNITUDES[over - 1]:g}" if over else ""
    high = f"{MAGNITUDES[over]:g}" if over < len(MAGNITUDES) else ""
    return f"Tmag {low} to {high}" if low and high else f"Tmag below {high}" if high else f"Tmag over {low}"


def _night(scored_at: float | None, begins: Sequence[float]) -> str:
    """The run of the engine in which a signal was scored, by the time it began; else the day from noon to noon."""
    if scored_at is None:
        return "unknown night"
    before = [begin for begin in begins if begin <= scored_at]
    if before:
        return datetime.fromtimestamp(before[-1], UTC).strftime("night of %Y-%m-%d %H:%M:%S")
    return datetime.fromtimestamp(scored_at - 43200, UTC).strftime("night of %Y-%m-%d")


def _seen_in(results: Path, row: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """The newest sector of a star's products, and their fastest cadence in seconds; None where not known."""
    if row["fetched"]:
        try:
            products = decode((results / row["fetched"]).read_bytes()).products
        except (OSError, Damaged, AttributeError):
            products = ()
        sectors = [product.sector for product in products if product.sector is not None]
        cadences = [product.cadence_seconds for product in products if product.cadence_seconds]
        if products:
            return max(sectors, default=None), min(cadences, default=None)
    named = [int(n) for n in re.findall(r"-s(\d{4})-", " ".join(json.loads(row["sources"])))]
    return max(named, default=None), None
