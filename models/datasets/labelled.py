"""Rows that may be trained and judged on: their views, what is known of them, their group, split and weight."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.inputs import SCALARS, Rows, SignalInputs, gather, join

REASONS = ("planet", "eclipsing_binary", "variable", "junk")  # what labels tell apart; networks have finer classes
PLANETS = ("PC", "KP", "CP")
# NEB is the eclipse of a blended neighbour; FP, FA, O, WP (a dip folded at a wrong period) and the unknown: -1
REASON_OF = {"PC": 0, "KP": 0, "CP": 0, "EB": 1, "NEB": 1, "V": 2, "J": 3, "IS": 3}
LABELS = frozenset((*REASON_OF, "FP", "FA", "O", "WP"))
LICENCES = {
    "astronet_triage": "AstroNet-Triage views, github.com/yuliang419/Astronet-Triage, GPL-3 (arXiv:1904.02726)",
    "astronet_vetting": "AstroNet-Vetting labels, github.com/yuliang419/Astronet-Vetting, GPL-3 (arXiv:1904.02726)",
    "nigraha": "Nigraha views and scalars, github.com/ExoplanetML/Nigraha, MIT (arXiv:2101.09227)",
}


class ViewsRefused(ValueError):
    """A file of views that cannot be used; the message is one line and says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """n rows with what is known of them."""

    rows: Rows
    planet: NDArray[np.bool_]  # (n,)
    reason: NDArray[np.int64]  # (n,) index into REASONS, -1 where the label does not say
    tic: NDArray[np.int64]  # (n,) ids exceed 2**31
    place: NDArray[np.int64]  # (n,) row in the file it came from
    source: NDArray[np.str_]  # (n,)
    disposition: NDArray[np.str_]  # (n,) as published
    period: NDArray[np.float64]  # (n,) days

    def __len__(self) -> int:
        return len(self.tic)

    def take(self, index: NDArray) -> "Labelled":
        """The rows of ``index``."""
        rest = (getattr(self, item.name)[index] for item in fields(self) if item.name != "rows")
        return Labelled(self.rows.take(index), *rest)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled rows with the group, the split and the weight of each, and an id that is the hash of it all."""

    labelled: Labelled
    group: NDArray[np.int64]  # (n,) smallest TIC among the stars and neighbours that belong together
    split: NDArray[np.str_]  # (n,) one of SPLITS
    weight: NDArray[np.float64]  # (n,) 1 over the rows of this star and label
    id: str
    notes: dict[str, int]  # what was dropped, by reason
    sets: tuple[str, ...] = ()  # where the rows are from and under which licence, a line each
    synthetic: bool = False  # no row is a real signal

    def __len__(self) -> int:
        return len(self.labelled)

    def part(self, *splits: str) -> NDArray[np.int64]:
        """Indices of the rows in any of ``splits``."""
        return np.flatnonzero(np.isin(self.split, splits))


def join_labelled(parts: Iterable[Labelled]) -> Labelled:
    """All rows of all parts, in order."""
    parts = list(parts)
    rest = (np.concatenate([getattr(p, item.name) for p in parts]) for item in fields(Labelled) if item.name != "rows")
    return Labelled(join([p.rows for p in parts]), *rest)


def label(
    signals: Sequence[SignalInputs],
    tic: Sequence[int],
    period: Sequence[float],
    disposition: Sequence[str],
    source: str,
) -> Labelled:
    """Signals as a hunt folds them, with their stars and labels, as rows.

    Raises
    ------
    ViewsRefused
        A label that is none of ``LABELS``, or lists of different lengths.
    models.inputs.InputsRefused
        A signal that cannot be scored, with its number.
    """
    if not len(signals) == len(tic) == len(period) == len(disposition):
        raise ViewsRefused(f"{len(signals)} signals need as many stars, periods and labels")
    strange = sorted(set(disposition) - LABELS)
    if strange:
        raise ViewsRefused(f"unknown labels {', '.join(strange)}: choose among {', '.join(sorted(LABELS))}")
    labels = np.array(disposition, dtype="U4")
    return Labelled(
        rows=gather(signals),
        planet=np.isin(labels, PLANETS),
        reason=reasons_of(labels),
        tic=np.array(tic, dtype=np.int64),
        place=np.arange(len(labels)),
        source=np.full(len(labels), source, dtype="U16"),
        disposition=labels,
        period=np.array(period, dtype=np.float64),
    )


def scalar(rows: Rows, name: str) -> NDArray[np.float64]:
    """One of ``models.inputs.SCALARS`` of each row, NaN where it is unknown."""
    return rows.scalars[:, SCALARS.index(name)]


def reasons_of(disposition: NDArray) -> NDArray[np.int64]:
    """The index into REASONS of each label, -1 where the label does not say."""
    return np.array([REASON_OF.get(str(d), -1) for d in disposition], dtype=np.int64)
