"""Gradient-boosted trees kept as arrays: the same as scikit-learn's, and refused where they are none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save
from sklearn.ensemble import HistGradientBoostingClassifier

from models.trees import LEAVES, Growing, Trees, TreesRefused, from_sklearn, grow


def numbers(count: int, seed: int, gaps: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(count, 6))
    truth = values[:, 0] * values[:, 1] + 0.5 * np.abs(values[:, 2]) + generator.normal(0, 0.3, count) > 0.4
    values[generator.random(values.shape) < gaps] = np.nan
    values[:, 5] = np.where(truth & (generator.random(count) < 0.5), np.nan, values[:, 5])  # that it is missing tells
    return values, truth


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.3]), st.integers(2, LEAVES))
def test_kept_trees_say_what_scikit_learn_says(seed, gaps, leaves):
    values, truth = numbers(400, seed, gaps)
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=leaves, random_state=seed).fit(values, truth)
    unseen, _ = numbers(600, seed + 1, 0.4)
    unseen[:3] = np.nan
    unseen[3] = np.inf
    unseen[4] = -np.inf
    trees = Trees.from_arrays(load(save(from_sklearn(model).arrays())))
    said = 1 / (1 + np.exp(-trees.logits(unseen)[0]))
    np.testing.assert_allclose(said, model.predict_proba(unseen)[:, 1], atol=1e-6)
    np.testing.assert_allclose(trees.logits(unseen)[0], model.decision_function(unseen), atol=1e-9)


def test_a_value_at_a_threshold_goes_left_as_in_scikit_learn():
    values, truth = numbers(300, 1, 0.2)
    model = HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=8).fit(values, truth)
    trees = from_sklearn(model)
    edges = np.unique(trees.threshold[np.isfinite(trees.threshold)])
    unseen = np.repeat(edges[:, None], values.shape[1], axis=1)
    np.testing.assert_allclose(trees.logits(unseen)[0], model.decision_function(unseen), atol=1e-9)


def test_several_outputs_are_grown_at_once_and_rows_of_no_weight_teach_nothing():
    values, truth = numbers(500, 2, 0.1)
    other = values[:, 3] > 0
    weight = np.where(np.arange(500) < 250, 1.0, 0.0)
    growing = Growing(rounds=15, forests=2)
    trees = grow(values, [truth, other], [np.ones(500), weight], growing, seed=3)
    assert trees.logits(values).shape == (2, 500)
    alone = grow(values[:250], [other[:250]], [np.ones(250)], growing, seed=3)
    np.testing.assert_allclose(trees.logits(values)[1], alone.logits(values)[0], atol=1e-9)
    again = grow(values, [truth, other], [np.ones(500), weight], growing, seed=3)
    for name, array in trees.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    assert ((trees.logits(values)[0] > 0) == truth).mean() > 0.85


def test_a_column_without_any_value_is_never_read():
    values, truth = numbers(300, 4, 0.0)
    values[:, 4] = np.nan
    trees = grow(values, [truth], [np.ones(300)], Growing(rounds=10, forests=1))
    filled = values.copy()
    filled[:, 4] = 7.0
    np.testing.assert_array_equal(trees.logits(values), trees.logits(filled))


def test_what_cannot_be_trees_is_refused():
    values, truth = numbers(300, 5, 0.0)
    trees = grow(values, [truth], [np.ones(300)], Growing(rounds=5, forests=1))
    assert trees.logits(np.zeros((0, 6))).shape == (1, 0)
    with pytest.raises(TreesRefused, match="the trees read"):
        trees.logits(values[:, :1])
    for change, words in (
        ({"value": np.full_like(trees.value, np.nan)}, "not finite"),
        ({"threshold": np.full_like(trees.threshold, np.nan)}, "not finite"),
        ({"kept": np.zeros_like(trees.kept)}, "none of its leaves"),
        ({"output": trees.output + np.int16(1)}, "no output"),
        ({"value": trees.value[:, :3]}, "value has shape"),
    ):
        with pytest.raises(TreesRefused, match=words):
            replace(trees, **change)
    arrays = trees.arrays()
    with pytest.raises(TreesRefused, match="kept"):
        Trees.from_arrays({name: array for name, array in arrays.items() if name != "kept"})
    with pytest.raises(TreesRefused, match="has type"):
        Trees.from_arrays(arrays | {"kept": arrays["kept"].astype(np.float64)})
    with pytest.raises(ValueError, match="both kinds"):
        grow(values, [np.zeros(300, dtype=bool)], [np.ones(300)], Growing(rounds=2))
    with pytest.raises(ValueError, match="cannot be kept"):
        grow(values, [truth], [np.ones(300)], Growing(leaves=31))
