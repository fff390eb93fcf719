"""One event seen in many stars: all signals of the hunt are compared, and the record keeps what is shared.

A candidate may be published before the star that contaminates it is hunted. So what is shared stands in the record, not
in the evidence: the index, ``hunter candidates`` and ``hunter show`` tell it as it is known now.
"""

import json
import math
from typing import Any

import numpy as np

from hunter.settings import Settings
from pipeline.matching import SeenSignals, Shared, shared
from state.reading import Reader
from state.rows import SharedRow
from state.store import State

VERSION = 1  # of the comparison: another one compares anew
COMPARED = "shared_signals"  # the word under which the record keeps up to which move all was compared


def compare_stars(settings: Settings, state: State, now: float) -> str:
    """Compare the signals of all stars, unless nothing has moved since the last time; say what is new in a line.

    Killed anywhere and called again, it ends the same.
    """
    with Reader(settings.database) as reader:
        upto = f"{VERSION} {reader.last_move()}"
        if state.get(COMPARED) == upto:
            return ""
        rows = list(reader.seen_signals())
    fresh, gone = state.share([_told(item, rows) for item in shared(_seen(rows))], now)
    state.set(COMPARED, upto)
    parts = [f"{count} {what}" for count, what in ((fresh, "new or changed"), (gone, "gone")) if count]
    return f"signals shared by several stars: {', '.join(parts)}" if parts else ""


def _seen(rows: list[dict[str, Any]]) -> SeenSignals:
    def column(name: str) -> Any:
        return np.array([math.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)

    # all their JSON is read at once, in a third of the time
    stars = json.loads(f"[{','.join(row['star'] for row in rows)}]")
    places = np.array(
        [[math.nan if star.get(name) is None else star[name] for name in ("ra", "dec")] for star in stars],
        dtype=np.float64,
    ).reshape(-1, 2)
    detectors = json.loads(f"[{','.join(row['detectors'] for row in rows)}]")
    keys: dict[tuple[str, str], int] = {}
    return SeenSignals(
        # where each sector is a target of its own, they are one star
        star=np.array([keys.setdefault((r["kind"], r["key"].split(" ")[0]), len(keys)) for r in rows], dtype=np.int64),
        period=column("period"),
        epoch=column("epoch"),
        period_err=column("period_err"),
        epoch_err=column("epoch_err"),
        duration=column("duration"),
        depth=column("depth"),
        transits=np.array([row["n_transits"] or 0 for row in rows], dtype=np.int64),
        ra=places[:, 0],
        dec=places[:, 1],
        detectors=tuple(tuple((int(s), int(camera), int(ccd)) for s, camera, ccd in seen) for seen in detectors),
    )


def _told(item: Shared, rows: list[dict[str, Any]]) -> SharedRow:
    row = rows[item.row]
    source = None if item.source is None else rows[item.source]
    name = None if source is None else f"{source['kind']} {source['key']}"
    return SharedRow(
        target_id=row["target_id"],
        number=row["number"],
        kind=item.kind,
        period=row["period"],
        epoch=row["epoch"],
        stars=item.stars,
        source=name,
        chance=float(f"{item.chance:.3g}"),
        words=_words(item, row, source, name),
    )


def _words(item: Shared, row: dict[str, Any], source: dict[str, Any] | None, name: str | None) -> str:
    """A sentence a person can check."""
    others = f"{item.stars - 1} other star{'' if item.stars == 2 else 's'}"
    if source is None:
        return f"each of its transits fell when {others} or more of the camera dipped: scattered light or a jolt"
    if source is row:
        return f"{others} of the CCD dip at the same times; it is the deepest here"
    ratio = "" if item.ratio is None or abs(item.ratio - 1) < 0.1 else f", at {item.ratio:.3g} of its period,"
    where = "" if item.separation is None else f" {item.separation:.0f} arcsec away"
    deeper = f"{source['depth'] * 1e6:.0f} against {row['depth'] * 1e6:.0f} ppm"
    return f"the same dips{ratio} in {others} of the CCD, the deepest in {name}{where} ({deeper}): it may be theirs"
