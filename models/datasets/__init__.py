"""Data sets of labelled signals: where they are read from, how stars are kept apart, what is made from them."""

from models.datasets.labelled import (
    LABELS,
    LICENCES,
    PLANETS,
    REASON_OF,
    REASONS,
    Dataset,
    Labelled,
    ViewsRefused,
    join_labelled,
    label,
    reasons_of,
    scalar,
)
from models.datasets.made import folded_at_half, shows_its_dip, without_any_dip
from models.datasets.public import public_dataset, read_stars, read_views
from models.datasets.snapshots import open_dataset
from models.datasets.splits import JUDGED, SHARES, SPLITS, assemble, digest_of, groups, lacking, leaks, split_of

__all__ = [
    "JUDGED",
    "LABELS",
    "LICENCES",
    "PLANETS",
    "REASONS",
    "REASON_OF",
    "SHARES",
    "SPLITS",
    "Dataset",
    "Labelled",
    "ViewsRefused",
    "assemble",
    "digest_of",
    "folded_at_half",
    "groups",
    "join_labelled",
    "label",
    "lacking",
    "leaks",
    "open_dataset",
    "public_dataset",
    "read_stars",
    "read_views",
    "reasons_of",
    "scalar",
    "shows_its_dip",
    "split_of",
    "without_any_dip",
]
