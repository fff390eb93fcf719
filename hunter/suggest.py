"""Which candidates a person should look at next: those the model is unsure of, and unlike one another.

Light on purpose: it reads the record and a few evidence files, and computes in plain Python.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOG = "review_suggestions.jsonl"  # in <home>/logs
POOL = 4  # times as many candidates are weighed against each other as are asked for


def entropy(probability: float | None) -> float:
    """Of a yes or no, bits: 1 where the model cannot tell; an unknown probability tells nothing either."""
    if probability is None or not 0 <= probability <= 1:
        return 1.0
    return -sum(p * math.log2(p) for p in (probability, 1 - probability) if p > 0)


def next_to_review(rows: Sequence[Mapping[str, Any]], number: int, folder: Path) -> list[dict[str, Any]]:
    """Rank the unreviewed candidates by what a look at them would teach.

    Parameters
    ----------
    rows : the candidates of the hunt, reviewed ones too: they are places already looked at
    number : how many are wanted
    folder : of the candidates' evidence files, for the disagreement of the ensemble's members

    Returns
    -------
    list of dict
        Best first, at most one a star: the row with ``usefulness`` (0 to 2: the entropy of the probability plus the
        disagreement of the members, bits), ``entropy``, ``disagreement`` (None where not recorded), ``distance`` (from
        the nearest candidate looked at or ranked before, in standard deviations; None for the first) and ``why``.

    Notes
    -----
    The most doubtful ``4 number`` candidates are weighed. Greedy k-centre (Sener & Savarese 2018, arXiv:1708.00489)
    over the logarithms of period, depth, S/N and duration share and the logit of the probability, each in units of its
    spread: each next one has the largest distance from all that were reviewed or ranked, times its usefulness.
    """
    fresh = [dict(row) for row in rows if row.get("decision") is None]
    for row in fresh:
        row["entropy"] = entropy(row["probability"])
    fresh.sort(key=lambda row: (-row["entropy"], row["name"]))
    pool = fresh[: POOL * number]
    for row in pool:
        row["disagreement"] = _disagreement(folder / str(row.get("json_file") or ""))
        row["usefulness"] = row["entropy"] + (row["disagreement"] or 0.0)
    places = _places(rows)
    taken = [places[row["name"]] for row in rows if row.get("decision") is not None]
    chosen: list[dict[str, Any]] = []
    while pool and len(chosen) < number:
        near = {row["name"]: min((math.dist(places[row["name"]], p) for p in taken), default=None) for row in pool}
        best = max(pool, key=lambda row: (_gain(row, near[row["name"]]), row["usefulness"], row["name"]))
        best["distance"] = near[best["name"]]
        best["why"] = _why(best)
        chosen.append(best)
        taken.append(places[best["name"]])
        pool = [row for row in pool if row["target_id"] != best["target_id"]]
    return chosen


def _gain(row: Mapping[str, Any], distance: float | None) -> float:
    return float(row["usefulness"]) * (1.0 if distance is None else distance)


def _why(row: Mapping[str, Any]) -> str:
    told = "no probability" if row["probability"] is None else f"probability {row['probability']:.2f}"
    doubt = "" if row["disagreement"] is None else f", members disagree by {row['disagreement']:.2f} bit"
    apart = "" if row["distance"] is None else f", {row['distance']:.1f} from what was looked at"
    return told + doubt + apart


def _disagreement(path: Path) -> float | None:
    """Of the ensemble's members, bits, from the evidence; None where it does not say."""
    try:
        value = json.loads(path.read_bytes())["score"]["disagreement"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _places(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Each candidate's place: its features, each less its mean and in units of its spread; unknown is the middle."""
    table = []
    for row in rows:
        share = row["duration"] / row["period"] if row["period"] else None
        values = [_log(row["period"]), _log(row["depth"]), _log(row["snr"]), _log(share)]
        p = row["probability"]
        values.append(None if p is None else math.log(min(max(p, 1e-4), 1 - 1e-4) / (1 - min(max(p, 1e-4), 1 - 1e-4))))
        table.append(values)
    scaled: list[list[float]] = [[] for _ in table]
    for column in zip(*table, strict=True):
        known = [value for value in column if value is not None]
        mean = sum(known) / len(known) if known else 0.0
        spread = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known)) if known else 0.0
        for place, value in zip(scaled, column, strict=True):
            place.append(0.0 if value is None or not spread else (value - mean) / spread)
    return {row["name"]: place for row, place in zip(rows, scaled, strict=True)}


def _log(value: float | None) -> float | None:
    return math.log(value) if value is not None and value > 0 else None


def log_suggestion(home: Path, chosen: Sequence[Mapping[str, Any]], unreviewed: int, now: float) -> None:
    """Add what was suggested to the home's log, one line: labels gained so are no fair sample, and must be known."""
    line = {
        "at": now,
        "unreviewed": unreviewed,
        "suggested": [
            {name: row[name] for name in ("name", "probability", "usefulness", "entropy", "disagreement", "distance")}
            for row in chosen
        ],
    }
    path = home / "logs" / LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as out:
        out.write(json.dumps(line, allow_nan=False) + "\n")
        out.flush()
        os.fsync(out.fileno())


def suggested_before(home: Path) -> set[str]:
    """Names of all candidates that were ever suggested; a torn line is passed over."""
    names: set[str] = set()
    try:
        lines = (home / "logs" / LOG).read_text().splitlines()
    except OSError:
        return names
    for line in lines:
        try:
            names |= {str(row["name"]) for row in json.loads(line)["suggested"]}
        except (ValueError, KeyError, TypeError):
            continue
    return names
