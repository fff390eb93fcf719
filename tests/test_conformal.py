"""Conformal sets and the measures of doubt, on scores whose nature is known."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import conformal
from models.calibrate import sigmoid
from models.conformal import Conformal, coverage, cross_coverage, disagreement, entropy
from models.inputs import SignalInputs
from models.registry import CONFORMAL, ModelRefused, Registry, as_json, seal
from models.scorer import Scorer

PLANETS, OTHERS = 200, 2000


def draw(rng: np.random.Generator, planets: int = PLANETS, others: int = OTHERS) -> tuple[np.ndarray, np.ndarray]:
    """SIMULATED scores: two bells that overlap, as a fair classifier has them."""
    planet = np.arange(planets + others) < planets
    return sigmoid(rng.normal(np.where(planet, 1.0, -2.5), 1.5)), planet


def test_of_either_class_as_many_are_covered_as_promised():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        sets = conformal.fit(*draw(rng), alpha=0.1)
        seen = coverage(sets, *draw(rng))
        found.append((seen["planets"]["covered"], seen["others"]["covered"]))
    # one draw strays by sqrt(2 * 0.09 / 200) = 3 %, 200 of them by 0.2 %; the promise is 1 / 201 above at most
    assert np.mean(found, axis=0) == pytest.approx([0.9, 0.9], abs=0.01)
    assert np.std(found, axis=0)[0] == pytest.approx(0.03, abs=0.01)


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.05, 0.1, 0.3]))
@settings(max_examples=80, deadline=None)
def test_the_threshold_is_the_quantile_of_the_definition(seed: int, planets: int, alpha: float):
    p, planet = draw(np.random.default_rng(seed), planets, 100)
    sets = conformal.fit(p, planet, alpha=alpha)
    needed = int(np.ceil((1 - alpha) * (planets + 1) - 1e-9))
    expected = 0.0 if needed > planets else np.sort(p[planet])[::-1][needed - 1]
    assert sets.planet_from == expected
    assert (sets.planets, sets.others) == (planets, 100)


def test_too_few_planets_leave_every_signal_a_planet():
    p, planet = draw(np.random.default_rng(1), 8, 100)
    assert conformal.fit(p, planet).planet_from == 0
    assert all("planet" in found for found in conformal.fit(p, planet).sets(np.linspace(0, 1, 11)))


def test_another_scale_of_the_score_and_a_star_seen_twice_change_no_set():
    p, planet = draw(np.random.default_rng(2))
    other, _ = draw(np.random.default_rng(3))
    plain = conformal.fit(p, planet)
    assert conformal.fit(p**3, planet).sets(other**3) == plain.sets(other)
    twice = conformal.fit(np.repeat(p, 2), np.repeat(planet, 2), np.full(2 * len(p), 0.5))
    assert (twice.planet_from, twice.other_to) == (plain.planet_from, plain.other_to)


def test_every_kind_of_set_has_its_words_and_all_survive_the_disk():
    sets = Conformal(0.1, 0.4, 0.6, 100, 100)
    assert sets.sets([0.9, 0.5, 0.1]) == [("planet",), ("planet", "not planet"), ("not planet",)]
    assert replace(sets, planet_from=0.6, other_to=0.4).sets([0.5]) == [()]
    assert Conformal.from_json(sets.to_json()) == sets
    assert list(sets.members(0.5)) == [True, True]


@pytest.mark.parametrize(
    "changed", [{"alpha": 0.0}, {"alpha": 1.0}, {"planet_from": float("nan")}, {"other_to": np.inf}]
)
def test_thresholds_that_are_none_are_refused(changed):
    with pytest.raises(ValueError, match="alpha"):
        replace(Conformal(0.1, 0.4, 0.6, 100, 100), **changed)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="planets and others"):
        conformal.fit([0.1, 0.2], [True, True])
    with pytest.raises(ValueError, match="finite"):
        conformal.fit([0.1, np.nan], [True, False])
    with pytest.raises(ValueError, match="no set"):
        Conformal(0.1, 0.4, 0.6, 100, 100).sets([np.nan])


def test_cross_coverage_uses_every_star_once_and_never_its_own_group():
    rng = np.random.default_rng(4)
    p, planet = draw(rng)
    found = cross_coverage(p, planet, np.arange(len(p)))
    assert found["planets"]["n"] == PLANETS
    assert found["planets"]["covered"] == pytest.approx(0.9, abs=0.02)
    assert found["both"] + found["empty"] + found["decided"] == pytest.approx(1, abs=2e-4)
    # one group of planets far below all others is covered only if it sets its own threshold: it must not
    low = np.where(planet & (np.arange(len(p)) < 0.2 * PLANETS), 1e-6 * p, p)
    group = np.where(np.arange(len(p)) < 0.2 * PLANETS, 0, np.arange(len(p)))
    assert cross_coverage(low, planet, group)["planets"]["covered"] <= 0.8


def test_a_class_without_a_row_has_no_coverage():
    found = coverage(Conformal(0.1, 0.4, 0.6, 100, 100), [0.5, 0.9], [True, True])
    assert found["others"] == {"covered": None, "error": None, "n": 0}
    assert found["planets"]["covered"] == 1


def test_doubt_is_measured_in_bits():
    assert entropy([0.5, 0.0, 1.0, 0.11]) == pytest.approx([1, 0, 0, 0.4999], abs=1e-4)
    assert disagreement([[0.3], [0.3], [0.3]]) == pytest.approx([0], abs=1e-12)
    assert disagreement([[0.0], [1.0]]) == pytest.approx([1], abs=1e-9)  # each certain, of opposite answers
    assert disagreement([[0.2]])[0] == 0
    members = np.random.default_rng(5).random((4, 50))
    assert (disagreement(members) <= entropy(members.mean(axis=0)) + 1e-12).all()


@pytest.fixture
def copied(tmp_path):
    """A copy of the shipped model that anyone may change."""
    serving = Registry(tmp_path / "none").current()
    return Path(shutil.copytree(serving, tmp_path / serving.name))


def flat_signal() -> SignalInputs:
    """SIMULATED: noise."""
    rng = np.random.default_rng(0)
    views = {f"{name}_flux": rng.normal(0, 1e-3, 256) for name in ("local", "secondary", "odd", "even")}
    views["global_flux"] = rng.normal(0, 1e-3, 2048)
    filled = {name.replace("flux", "filled"): np.ones(len(flux), dtype=bool) for name, flux in views.items()}
    return SignalInputs(**views, **filled, depth=1e-3, scalars={"duration_over_period": 0.03, "log10_snr": 0.9})


def test_a_scorer_gives_sets_where_its_model_has_them_and_none_where_it_has_not(copied):
    (copied / CONFORMAL).unlink(missing_ok=True)
    seal(copied)
    older = Scorer.load(copied).score([flat_signal()])[0]
    assert older["conformal_set"] is None
    assert older["conformal_coverage"] is None
    assert 0 <= older["entropy"] <= 1
    assert len(older["members"]) == len(Scorer.load(copied).networks)
    (copied / CONFORMAL).write_bytes(as_json(Conformal(0.1, 0.0, 0.999, 100, 1000).to_json()))
    seal(copied)
    scorer = Scorer.load(copied)
    for prior in (0.01, 0.2, 0.9):  # a set does not depend on the prior that a probability is stated for
        newer = scorer.score([flat_signal()], prior)[0]
        assert newer["conformal_set"] == ["planet", "not planet"]
        assert newer["conformal_coverage"] == 0.9


@pytest.mark.parametrize("text", [b'{"alpha": 0.1}\n', b"[1]\n", b'{"alpha": 2, "planet_from": 0, "other_to": 1}\n'])
def test_thresholds_that_are_not_understood_are_refused_in_one_line(copied, text):
    (copied / CONFORMAL).write_bytes(text)
    seal(copied)
    with pytest.raises(ModelRefused, match=r"conformal\.json") as refused:
        Scorer.load(copied)
    assert "\n" not in str(refused.value)
