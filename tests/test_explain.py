"""Explanations: of scores whose reason is known, and of the shipped model on real planets."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_models import make_signal

from candidates.wording import explanation_text, influence_words, influences, shades
from models.datasets import read_views
from models.explain import PHASE, SINCE, explain, explain_signal
from models.inputs import GLOBAL_BINS, LOCAL_BINS, MEASURED, SCALARS, InputsRefused, Preparation, Rows
from models.registry import Registry
from models.scorer import Scorer

torch.set_num_threads(1)

KNOWN = ("log10_period", "log10_depth", "duration_over_period", "log10_snr", "tmag")
PREPARATION = Preparation(KNOWN, *([value] * (len(KNOWN) + len(MEASURED)) for value in (0.5, 1.0, 0.0, 2.0)))


def make_rows(seed: int = 0, other_dip: float = 0.0) -> Rows:
    """SIMULATED: a transit of 4 % of the period, and maybe a second dip of so many depths at phase 0.3."""
    rng = np.random.default_rng(seed)

    def noisy(shape: np.ndarray) -> np.ndarray:
        return (shape + 0.05 * rng.standard_normal(shape.size)).astype(np.float32)[None]

    close = [noisy(-1.0 * (np.abs(SINCE) < 0.5)) for _ in range(3)]
    seen, near = np.ones((1, GLOBAL_BINS), np.float32), np.ones((1, LOCAL_BINS), np.float32)
    scalars = np.full((1, len(SCALARS)), np.nan)
    for name, value in zip(KNOWN, (0.3, -2.5, 0.04, 1.5, np.nan), strict=True):
        scalars[0, SCALARS.index(name)] = value
    whole = noisy(-1.0 * (np.abs(PHASE) < 0.02) - other_dip * (np.abs(PHASE - 0.3) < 0.02))
    return Rows(whole, seen, close[0], near, close[1], near, close[2], near, scalars)


def region(view: str, first: int, last: int, factor: float = -1.0):
    """A score that reads nothing but these bins of one view: 10 for a dip of depth 1 there."""
    return lambda rows: factor * 10 * getattr(rows, f"{view}_flux")[:, first:last].mean(axis=1).astype(np.float64)


@pytest.mark.parametrize(("view", "first", "last"), [("global", 98, 103), ("local", 24, 36), ("odd", 26, 35)])
def test_an_explanation_points_at_the_region_that_the_score_reads_and_at_no_other(view, first, last):
    found = explain(region(view, first, last), make_rows(), PREPARATION)
    influence = found.views[view][1]
    assert first - 2 <= influence.argmax() < last + 2
    away = np.ones(len(influence), dtype=bool)
    away[max(0, first - 10) : last + 10] = False
    assert influence.max() > 1
    assert np.abs(influence[away]).max() < 0.05 * influence.max()
    for other, (_, values) in found.views.items():
        assert other == view or not values.any()
    assert not any(found.scalars.values())
    assert max(found.parts, key=lambda name: found.parts[name]) == "dip"
    assert found.score == pytest.approx(10, abs=1)


def test_a_score_that_a_dip_lowers_is_explained_as_against():
    found = explain(region("local", 24, 36, factor=1.0), make_rows(), PREPARATION)
    assert found.parts["dip"] == pytest.approx(-10, abs=1)
    assert found.views["local"][1].min() < -1


def test_a_second_dip_is_found_and_blamed():
    rows = make_rows(other_dip=0.8)
    found = explain(lambda rows: 20 * rows.global_flux[:, 155:167].min(axis=1).astype(float), rows, PREPARATION)
    assert found.other_dip == pytest.approx(0.3, abs=0.01)
    assert min(found.parts, key=lambda name: found.parts[name]) == "other_dip"
    assert found.parts["other_dip"] < -10


def test_unlike_halves_are_blamed_as_such():
    rows = make_rows()
    rows = replace(rows, odd_flux=rows.odd_flux * np.float32(1.5))
    middle = slice(26, 35)

    def apart(rows: Rows) -> np.ndarray:
        return -10 * np.abs((rows.odd_flux - rows.even_flux)[:, middle].mean(axis=1)).astype(float)

    assert explain(apart, rows, PREPARATION).parts["parity"] == pytest.approx(-5, abs=0.5)


def test_each_known_scalar_is_put_at_its_mean_and_unknown_ones_are_left_alone():
    found = explain(lambda rows: 3 * rows.scalars[:, 0] - rows.scalars[:, 3], make_rows(), PREPARATION)
    assert found.scalars == pytest.approx(
        {"log10_period": 3 * (0.3 - 0.5), "log10_depth": 0, "duration_over_period": 0, "log10_snr": 0.5 - 1.5}
    )
    assert found.values["log10_period"] == pytest.approx(0.3)


def test_a_stretch_is_made_noise_not_a_line():
    seen = []
    explain(lambda rows: seen.append(rows.global_flux) or np.zeros(len(rows)), make_rows(), PREPARATION)
    changed = np.concatenate(seen)
    assert 100 < len(changed) < 250
    for first in range(110, 190, 10):
        assert np.median(np.std(changed[:, first : first + 10], axis=1)) > 0.02
        assert (np.std(changed[:, first : first + 10], axis=1) > 0.005).all()


def test_an_empty_view_is_left_out_and_a_broken_score_is_refused():
    rows = make_rows()
    rows = replace(rows, odd_filled=np.zeros_like(rows.odd_filled), odd_flux=np.zeros_like(rows.odd_flux))
    found = explain(region("local", 24, 36), rows, PREPARATION)
    assert set(found.views) == {"global", "local", "even"}
    assert "parity" not in found.parts
    with pytest.raises(ValueError, match="not finite"):
        explain(lambda rows: np.full(len(rows), np.nan), make_rows(), PREPARATION)
    with pytest.raises(ValueError, match="one signal"):
        explain(region("local", 24, 36), make_rows().take(np.array([0, 0])), PREPARATION)


def test_the_shipped_model_explains_a_hunts_signal_the_same_way_twice(tmp_path):
    scorer = Scorer.load(Registry(tmp_path).current())
    signal = make_signal("planet", 40)
    first, second = (explain_signal(scorer, signal).to_json() for _ in range(2))
    assert first == second
    assert first["parts"]["dip"] > 1
    with pytest.raises(InputsRefused):
        explain_signal(scorer, replace(signal, depth=float("nan")))


def test_on_real_planets_the_transit_is_the_strongest_evidence(shared_data, tmp_path):
    scorer = Scorer.load(Registry(tmp_path).current())
    labelled, _ = read_views(shared_data / "labelled_views" / "astronet_triage_views.npz")
    chosen = labelled.planet & ~np.isin(labelled.tic, scorer.seen) & (labelled.rows.scalars[:, 3] > np.log10(12))
    leading, inside = [], []
    for place in np.flatnonzero(chosen)[:20]:
        found = explain(
            lambda rows: scorer.logits(rows)[0].mean(axis=0), labelled.rows.take(np.array([place])), scorer.preparation
        )
        everything = found.parts | found.scalars
        leading.append(max(everything, key=lambda name: everything[name]) == "dip")
        inside.append(abs(SINCE[found.views["local"][1].argmax()]) <= 0.75)
    # a candidate of 2019 need not show a dip: two in twenty may not
    assert sum(leading) >= 18
    assert sum(inside) >= 18


def test_influences_are_told_in_plain_words_strongest_first():
    block = {
        "parts": {"dip": 5.0, "beside": 0.05, "other_dip": -2.0, "orbit": 0.3, "parity": -0.2},
        "scalars": {
            "log10_period": {"value": 0.5, "influence": -0.4},
            "log10_depth": {"value": -3.0, "influence": 0.9},
            "teff": {"value": 5600.0, "influence": 0.2},
        },
        "other_dip_phase": 0.31,
    }
    towards, against = influences(block)
    assert [what for what, _ in towards] == ["the dip itself", "the depth of 1000 ppm", "the rest of the orbit"]
    assert [what for what, _ in against] == [
        "the deepest other dip at phase 0.31",
        "the period of 3.16 d",
        "how odd and even transits compare",
    ]
    done = {"status": "done", "towards": [{"what": "the dip itself", "influence": 5.0}], "against": []}
    assert explanation_text(done) == "For a planet: the dip itself (+5.0). Against: nothing of note."
    assert explanation_text({"status": "error", "reason": "it broke"}) == "ERROR: it broke"
    assert "nan" not in " ".join(influence_words(name, 1.0) for name in SCALARS)


def test_shades_follow_the_strongest_influence_of_all_views():
    views = {"global": {"influence": [0.0, -0.2, 0.5, 1.0]}, "local": {"influence": [-2.0, -0.9, 0.31, 0.29]}}
    block = {"status": "done", "views": views}
    assert shades(block, "local") == [-3, -2, 1, 0]
    assert shades(block, "global") == [0, 0, 1, 2]
    assert shades(block, "odd") == []
    quiet = {"status": "done", "views": {"local": {"influence": [0.01, -0.02]}}}
    assert shades(quiet, "local") == [0, 0]
    assert shades({"status": "not_run", "reason": "none"}, "local") == []
