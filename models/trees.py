"""Gradient-boosted trees over the numbers of a signal: grown by scikit-learn, kept and evaluated without it.

Grown trees are plain arrays in a safetensors file. They are evaluated all at once, without walking any: every test of
every tree is made, a test that sends a signal to the right strikes out the leaves on its left, and the first leaf
that is left is the one reached (QuickScorer: Lucchese et al. 2015, doi:10.1145/2766462.2767733). Imports only numpy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAVES = 16  # most leaves of a tree: each is a bit of a 16-bit word
_ALL = np.uint16(0xFFFF)
_TOGETHER = 64  # rows at once: what is made of them stays in the processor's cache


class TreesRefused(ValueError):
    """Arrays that are no trees; the message is one line and says why."""


@dataclass(frozen=True, slots=True)
class Growing:
    """How trees are grown."""

    rounds: int = 180
    learning_rate: float = 0.06
    leaves: int = 15
    features: float = 0.35  # share of the numbers that each split may choose among
    bins: int = 63
    l2: float = 1.0
    forests: int = 2  # grown with other choices of numbers, and averaged


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """t trees of up to 15 tests and 16 leaves each, of one or several outputs."""

    feature: NDArray[np.int16]  # (t, 15) the number that is tested
    threshold: NDArray[np.float64]  # (t, 15) at most this goes left; inf where no test is
    missing_left: NDArray[np.bool_]  # (t, 15) where an unknown number goes
    kept: NDArray[np.uint16]  # (t, 15) bits of the leaves that remain after going right
    value: NDArray[np.float64]  # (t, 16) what each leaf adds
    output: NDArray[np.int16]  # (t,) to which output
    start: NDArray[np.float64]  # (outputs,) what is added to

    def __post_init__(self) -> None:
        count = len(self.output)
        shapes: dict[str, tuple[int, ...]] = {
            name: (count, LEAVES - 1) for name in ("feature", "threshold", "missing_left", "kept")
        }
        shapes |= {"value": (count, LEAVES), "output": (count,), "start": (len(self.start),)}
        for item in fields(self):
            array = getattr(self, item.name)
            if array.shape != shapes[item.name]:
                raise TreesRefused(f"{item.name} has shape {array.shape}, it must be {shapes[item.name]}")
        if not (np.isfinite(self.value).all() and np.isfinite(self.start).all()) or np.isnan(self.threshold).any():
            raise TreesRefused("a value or a threshold is not finite")
        if count and (self.output.min() < 0 or self.output.max() >= len(self.start) or self.feature.min() < 0):
            raise TreesRefused("a tree belongs to no output, or tests no number")
        if not np.bitwise_and.reduce(self.kept, axis=1).all():
            raise TreesRefused("a tree may reach none of its leaves")

    @property
    def numbers(self) -> int:
        """How many numbers of a signal are read at least."""
        return int(self.feature.max(initial=-1)) + 1

    def logits(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of the leaves reached, for each output.

        Parameters
        ----------
        values : (n, k) NaN where unknown

        Returns
        -------
        (outputs, n)

        Raises
        ------
        TreesRefused
            If there are fewer numbers than the trees test.
        """
        table = np.asarray(values, dtype=np.float64)
        if table.ndim != 2 or table.shape[1] < self.numbers:
            raise TreesRefused(f"values have shape {table.shape}, the trees read {self.numbers} numbers of each row")
        parts = [self._logits(table[i : i + _TOGETHER]) for i in range(0, len(table), _TOGETHER)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(self.start), 0))

    def _logits(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = np.ascontiguousarray(values.T)  # (k, n)
        unknown = np.isnan(columns)
        gappy = bool(unknown.any())
        left = np.full((len(self.output), len(values)), _ALL)  # (t, n) leaves that may still be reached
        for test in range(LEAVES - 1):
            feature = self.feature[:, test]
            right = columns[feature] > self.threshold[:, test, None]
            if gappy:
                right |= unknown[feature] & ~self.missing_left[:, test, None]
            left &= np.where(right, self.kept[:, test, None], _ALL)
        reached = _first_bit()[left]
        added = np.take_along_axis(self.value, reached, axis=1)
        return np.stack([self.start[k] + added[self.output == k].sum(axis=0) for k in range(len(self.start))])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, by name, as it is written to a file."""
        return {item.name: np.ascontiguousarray(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Trees":
        """The inverse of ``arrays``; raises TreesRefused on anything else."""
        names = {item.name for item in fields(cls)}
        if set(arrays) != names:
            strange, lacking = sorted(set(arrays) - names), sorted(names - set(arrays))
            raise TreesRefused(
                f"arrays {', '.join(lacking) or 'none'} are missing, {', '.join(strange) or 'none'} unknown"
            )
        kinds = {
            "feature": "i",
            "threshold": "f",
            "missing_left": "b",
            "kept": "u",
            "value": "f",
            "output": "i",
            "start": "f",
        }
        for name, kind in kinds.items():
            if arrays[name].dtype.kind != kind:
                raise TreesRefused(f"{name} has type {arrays[name].dtype}")
        return cls(**{name: np.asarray(arrays[name]) for name in names})


@lru_cache(maxsize=1)
def _first_bit() -> NDArray[np.intp]:
    """Place of the lowest set bit of every 16-bit word."""
    words = np.arange(2**16, dtype=np.int64)
    lowest = words & -words
    return np.round(np.log2(np.maximum(lowest, 1))).astype(np.intp)


def grow(
    values: NDArray[np.floating],
    truths: Sequence[NDArray[np.bool_]],
    weights: Sequence[NDArray[np.floating]],
    growing: Growing,
    seed: int = 0,
) -> Trees:
    """Grow trees for each output with scikit-learn.

    Parameters
    ----------
    values : (n, k) NaN where unknown
    truths : (n,) of each output
    weights : (n,) of each output; rows of weight 0 are left out
    growing : Growing
    seed : the same seed grows the same trees

    Raises
    ------
    ValueError
        If an output lacks rows of one kind, or trees of so many leaves cannot be kept.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if growing.leaves > LEAVES:
        raise ValueError(f"trees of {growing.leaves} leaves cannot be kept: {LEAVES} at most")
    values = np.array(values, dtype=np.float64)
    values[:, ~np.isfinite(values).any(axis=0)] = 0.0  # a column without any value cannot be binned
    grown, shares = [], []
    for output, (truth, weight) in enumerate(zip(truths, weights, strict=True)):
        rows = np.asarray(weight) > 0
        if not (truth[rows].any() and (~truth[rows]).any()):
            raise ValueError("trees need rows of both kinds")
        for forest in range(growing.forests):
            model = HistGradientBoostingClassifier(
                max_iter=growing.rounds,
                learning_rate=growing.learning_rate,
                max_leaf_nodes=growing.leaves,
                max_features=growing.features,
                max_bins=growing.bins,
                l2_regularization=growing.l2,
                early_stopping=False,
                random_state=seed * 100 + forest,
            ).fit(values[rows], truth[rows], sample_weight=np.asarray(weight)[rows])
            grown.append((output, from_sklearn(model)))
            shares.append(1 / growing.forests)
    start = np.zeros(len(truths))
    for (output, trees), share in zip(grown, shares, strict=True):
        start[output] += share * trees.start[0]
    parts = {
        name: np.concatenate([getattr(trees, name) for _, trees in grown])
        for name in ("feature", "threshold", "missing_left", "kept")
    }
    return Trees(
        **parts,
        value=np.concatenate([trees.value * share for (_, trees), share in zip(grown, shares, strict=True)]),
        output=np.concatenate([np.full(len(trees.output), output, dtype=np.int16) for output, trees in grown]),
        start=start,
    )


def from_sklearn(model: Any) -> Trees:
    """The trees of a fitted binary HistGradientBoostingClassifier.

    Raises
    ------
    TreesRefused
        If it has categories, more than two classes, or trees of more than 16 leaves.
    """
    kept_trees = [stage[0].nodes for stage in model._predictors]
    if any(len(stage) != 1 for stage in model._predictors):
        raise TreesRefused("trees of more than two classes are not kept")
    count, tests = len(kept_trees), LEAVES - 1
    feature = np.zeros((count, tests), dtype=np.int16)
    threshold = np.full((count, tests), np.inf)
    missing_left = np.ones((count, tests), dtype=bool)
    kept = np.full((count, tests), _ALL)
    value = np.zeros((count, LEAVES))
    for number, nodes in enumerate(kept_trees):
        if nodes["is_categorical"].any() or int(nodes["is_leaf"].sum()) > LEAVES:
            raise TreesRefused(f"a tree tests categories, or has more than {LEAVES} leaves")
        leaves = _under(nodes, 0)
        value[number, : len(leaves)] = nodes["value"][leaves]
        place = {leaf: bit for bit, leaf in enumerate(leaves)}
        for test, node in enumerate(np.flatnonzero(nodes["is_leaf"] == 0)):
            struck = sum(1 << place[leaf] for leaf in _under(nodes, int(nodes["left"][node])))
            feature[number, test] = nodes["feature_idx"][node]
            threshold[number, test] = nodes["num_threshold"][node]
            missing_left[number, test] = bool(nodes["missing_go_to_left"][node])
            kept[number, test] = 0xFFFF & ~struck
    start = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    return Trees(feature, threshold, missing_left, kept, value, np.zeros(count, dtype=np.int16), start)


def _under(nodes: NDArray[Any], node: int) -> list[int]:
    """The leaves under a node, from left to right."""
    if nodes["is_leaf"][node]:
        return [node]
    return _under(nodes, int(nodes["left"][node])) + _under(nodes, int(nodes["right"][node]))
