"""Rows that may be trained and judged on: their views, what is known of them, their group, split and weight."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from models.inputs import Rows, join

REASONS = ("planet", "eclipsing_binary", "variable", "junk")  # as models.resnet1d.REASONS, which needs torch
PLANETS = ("PC", "KP", "CP")
REASON_OF = {"PC": 0, "KP": 0, "CP": 0, "EB": 1, "V": 2, "J": 3, "IS": 3}  # FP, FA, O and the unknown: -1
LABELS = frozenset((*REASON_OF, "FP", "FA", "O"))


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


def reasons_of(disposition: NDArray) -> NDArray[np.int64]:
    """The index into REASONS of each label, -1 where the label does not say."""
    return np.array([REASON_OF.get(str(d), -1) for d in disposition], dtype=np.int64)
