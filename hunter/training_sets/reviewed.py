"""What people decided on candidates, as labelled rows: the views and scalars that the hunt kept of them."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hunter.archives.base import Fetched
from hunter.chain import inputs_of
from hunter.checkpoints import Damaged, decode
from hunter.settings import Settings
from hunter.suggest import suggested_before
from hunter.training_sets.naming import Named
from hunter.training_sets.work import Found, number_in
from hunter.worker import results_folder
from models.datasets import JUDGED, Labelled, ViewsRefused, label
from models.inputs import InputsRefused, check
from pipeline.types import CleanedLightCurve, FoldedViews, SearchResult
from state.reading import Reader

VERSION = 1  # raised when the same decisions would give other rows

LABEL_OF = {
    "planet_candidate": "PC",
    "known_planet": "KP",
    "eclipsing_binary": "EB",
    "nearby_eclipse": "FP",
    "false_positive": "FP",
    "false_alarm": "J",  # no astrophysical dip
    "variable": "V",
    "unsure": None,  # says nothing
}
GONE = "the hunt's results are gone from the cache: `hunter run` makes them again"


def reviewed(settings: Settings) -> tuple[Labelled, dict[str, np.ndarray], dict[int, dict[str, float]], dict[str, int]]:
    """The latest decision on each candidate of a hunt, with what the network would be shown of it.

    Returns
    -------
    labelled : Labelled
        A row a candidate.
    extra : dict
        ``what`` (the decision), ``reviewer``, ``at`` (seconds since 1970), and ``suggested``: whether the program
        asked for it, so that what was picked because it was doubtful can be told from the rest.
    stars : dict
        Places by star.
    dropped : dict
        Decisions that gave no row, by reason.

    Raises
    ------
    ViewsRefused
        If no decision gives a row.
    state.status.DatabaseMissing
        If nobody has hunted here.
    """
    dropped: Counter[str] = Counter()
    latest: dict[tuple[int, str], Mapping[str, Any]] = {}
    with Reader(settings.database) as reader:
        for given in reader.reviews():
            latest[given["target_id"], given["ephemeris_key"]] = given  # oldest first: the last one counts
        targets = {key: reader.target(*key) for key in {(row["kind"], row["key"]) for row in latest.values()}}
    asked = suggested_before(settings.home)
    found: list[Found] = []
    rows: list[Mapping[str, Any]] = []
    for row in latest.values():
        meaning = LABEL_OF.get(row["decision"])
        number = number_in(row["kind"], row["key"])
        if meaning is None:
            dropped["decided as unsure"] += 1
            continue
        if number in JUDGED:
            dropped["a star on which the hunt is judged"] += 1
            continue
        target = targets[row["kind"], row["key"]]
        one = (
            None if target is None else _kept(settings, target, row, Named(meaning, row["decision"], math.nan), number)
        )
        if one is None:
            dropped[GONE] += 1
            continue
        try:
            check(one.inputs)
        except InputsRefused:
            dropped["its views cannot be used"] += 1
            continue
        found.append(one)
        rows.append(row)
    if not found:
        told = ", ".join(f"{why}: {n}" for why, n in dropped.items()) or "nobody has decided on any: `hunter review`"
        raise ViewsRefused(f"{settings.home}: no decision on a candidate can be learnt from ({told})")
    labelled = label(
        [f.inputs for f in found],
        [f.tic for f in found],
        [f.period for f in found],
        [f.named.disposition for f in found],
        "reviews",
    )
    extra = {
        "what": np.array([str(row["decision"]) for row in rows]),
        "reviewer": np.array([str(row["reviewer"]) for row in rows]),
        "at": np.array([float(row["at"]) for row in rows]),
        "suggested": np.array([row["candidate"] in asked for row in rows]),
    }
    stars = {
        f.tic: {"ra": f.star.ra, "dec": f.star.dec}
        for f in found
        if f.star.ra is not None and f.star.dec is not None and math.isfinite(f.star.ra + f.star.dec)
    }
    return labelled, extra, stars, dict(dropped)


def _kept(
    settings: Settings, target: Mapping[str, Any], review: Mapping[str, Any], named: Named, number: int
) -> Found | None:
    """The reviewed signal from the hunt's checkpoints, None where one is gone, damaged, or of another search."""
    runs = {(run["phase"], run["item"]): run for run in target["phase_runs"]}

    def stored(phase: str, item: int) -> Any:
        run = runs.get((phase, item))
        if run is None:
            return None
        try:
            data = (results_folder(settings) / run["path"]).read_bytes()
            return decode(data) if hashlib.sha256(data).hexdigest() == run["sha256"] else None
        except (OSError, Damaged):
            return None

    result, cleaned, fetched = stored("search", 0), stored("clean", 0), stored("fetch", 0)
    if not (
        isinstance(result, SearchResult) and isinstance(cleaned, CleanedLightCurve) and isinstance(fetched, Fetched)
    ):
        return None
    for signal in result.signals:
        if f"p{signal.period:.4f}" != review["ephemeris_key"]:
            continue
        views, findings = stored("fold", signal.number), stored("vet", signal.number)
        if not isinstance(views, FoldedViews) or not isinstance(findings, tuple):
            return None
        inputs = inputs_of(cleaned, views, signal, fetched.star, findings)
        return Found(number, signal.period, inputs, named, fetched.star)
    return None


def origin(settings: Settings) -> list[dict[str, str]]:
    """Where decisions come from: the record, by name; its content is in the rows."""
    return [{"record": Path(settings.database).name if "://" not in settings.database else "database"}]
