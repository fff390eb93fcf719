"""Judging a model on a file of labelled views, through the command and below it."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_models import astronet_file, make_labelled

from models.datasets import assemble
from models.evaluate import (
    COLUMNS,
    average_precision,
    confusion,
    f1_at,
    report,
    roc_auc,
    score_views,
    strata,
    with_interval,
)
from models.registry import Registry
from models.scorer import Scorer
from models.train import Recipe, train_on

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data():
    return assemble(make_labelled(180), {}, [], {})


@pytest.fixture(scope="module")
def home(data, tmp_path_factory):
    """A hunt whose serving model was trained on SIMULATED views."""
    folder = tmp_path_factory.mktemp("hunt")
    recipe = Recipe("tiny", epochs=6, members=2, batch=16, width=4, held_out=(), learning_rate=5e-3, trees=20, bins=15)
    train_on(data, folder / "models", recipe, name="tiny", resamples=20)
    Registry(folder / "models").promote("tiny")
    return folder


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text.strip()


def test_the_scores_hold_exactly_the_columns_asked_for_and_every_row(run, home, data, tmp_path):
    views = astronet_file(tmp_path / "a.npz", data.labelled)
    out = tmp_path / "scores.csv"
    code, told, err = run("evaluate", "--views", views, "--scores", out, "--json", "--home", home, "--resamples", 20)
    assert code == 0
    with open(out, newline="") as text:
        rows = list(csv.reader(text))
    assert ",".join(rows[0]) == "row,tic_id,label,probability,eclipse_probability,raw,member_spread"
    assert rows[0] == list(COLUMNS)
    assert [int(row[0]) for row in rows[1:]] == list(range(len(data)))
    assert [row[2] for row in rows[1:]] == data.labelled.disposition.tolist()
    probability = np.array([float(row[3]) for row in rows[1:]])
    assert ((probability >= 0) & (probability <= 1)).all()
    found = json.loads(told)
    seen = len(data) - len(data.part("test"))
    assert found["rows"] == {
        "read": len(data), "of stars it learnt from": seen, "astronet: a view is NaN throughout": 0,
        "judged": len(data) - seen,
    }  # fmt: skip
    assert f"{seen:,} of them of stars tiny learnt from" in err
    new = np.isin(np.arange(len(data)), data.part("test"))
    expected = roc_auc(data.labelled.planet[new], probability[new])
    assert found["planet against all"]["auc"]["value"] == pytest.approx(expected, abs=1e-4)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.npz", "scores.csv"]


def test_the_scores_go_to_stdout_where_asked(run, home, data, tmp_path):
    views = astronet_file(tmp_path / "a.npz", data.labelled)
    code, out, _ = run("evaluate", "--views", views, "--scores", "-", "--home", home)
    assert code == 0
    assert len(list(csv.DictReader(io.StringIO(out)))) == len(data)
    code, out, err = run("evaluate", "--views", views, "--scores", "-", "--json", "--home", home)
    assert (code, out) == (2, "")
    assert "both want stdout" in one_line(err)


def test_probabilities_are_stated_for_the_mix_of_the_calibration_stars_or_as_asked(home, data, tmp_path):
    scorer = Scorer.load(home / "models" / "tiny")
    views = astronet_file(tmp_path / "a.npz", data.labelled)
    usual, rare = score_views(scorer, views), score_views(scorer, views, prior=0.001)
    assert usual.prior == scorer.calibration.training_prior
    assert (rare.probability <= usual.probability).all()
    assert np.array_equal(rare.raw, usual.raw)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Disposition": np.full(60, "XX")}, "unknown labels XX"),
        ({"global_view": np.zeros((60, 200), np.float32)}, "global_view has shape (60, 200), it must be (60, 201)"),
        ({"Period": np.ones(59, np.float32)}, "Period has shape (59,), it must be (60,)"),
        ({"Period": np.full(60, "three")}, "Period must hold numbers"),
        ({"tic_id": np.full(60, 1.5)}, "tic_id must hold numbers (ids whole ones)"),
        ({"local_view": np.full((60, 61), "x")}, "local_view must hold numbers"),
        ({"SN": None}, "columns SN are missing"),
        ({"local_view": np.full((60, 61), np.nan, np.float32)}, "no row can be scored"),
    ],
)
def test_a_file_that_cannot_be_judged_is_refused_in_one_line(run, home, tmp_path, changes, words):
    views = astronet_file(tmp_path / "a.npz", make_labelled(60), **changes)
    if "SN" in changes:
        with np.load(views) as columns:
            kept = {name: columns[name] for name in columns.files if name not in changes}
        np.savez(views, **kept)
    code, out, err = run("evaluate", "--views", views, "--scores", tmp_path / "s.csv", "--home", home)
    assert (code, out) == (1, "")
    assert words in one_line(err)
    assert not (tmp_path / "s.csv").exists()


def test_what_cannot_be_had_is_refused_in_one_line(run, home, data, tmp_path):
    views = astronet_file(tmp_path / "a.npz", data.labelled)
    wrongs = [
        (["--views", tmp_path / "none.npz"], 1, "none.npz"),
        (["--views", views, "--model", "nobody"], 1, "no model is called 'nobody'"),
        (["--views", views, "--prior", "1.5"], 2, "--prior 1.5"),
        (["--views", views, "--scores", tmp_path], 2, "is a folder"),
        (["--views", views, "--scores", "/proc/none/s.csv"], 1, "cannot be written"),
        (["--views", views, "--stars", tmp_path / "none.gz"], 1, "none.gz"),
        (["--views", views, "--stars", views], 1, "no list of TCEs"),
    ]
    for options, expected, words in wrongs:
        code, out, err = run("evaluate", *options, "--home", home)
        assert (code, out) == (expected, ""), options
        assert words in one_line(err)
        assert "our fault" not in err


def test_a_file_without_planets_has_figures_that_are_null_and_say_why(run, home, tmp_path):
    labelled = make_labelled(60, first_tic=5000)
    others = labelled.take(np.flatnonzero(~labelled.planet))
    views = astronet_file(tmp_path / "a.npz", others)
    code, out, _ = run("evaluate", "--views", views, "--json", "--home", home, "--resamples", 20)
    assert code == 0
    auc = json.loads(out)["planet against all"]["auc"]
    assert auc["value"] is None
    assert auc["reason"] == "none of the 40 rows is what is looked for"
    code, out, _ = run("evaluate", "--views", views, "--home", home, "--resamples", 20)
    assert "–  (none of the 40 rows is what is looked for)" in out


def test_a_file_of_nothing_but_training_stars_is_judged_on_none(run, home, data, tmp_path):
    views = astronet_file(tmp_path / "a.npz", data.labelled.take(data.part("train")))
    code, out, _ = run("evaluate", "--views", views, "--json", "--home", home)
    assert code == 0
    assert json.loads(out)["rows"]["reason"] == "the model learnt from every star of this file"


def test_a_depth_that_a_file_holds_standardised_is_taken_from_the_list_beside_it(home, tmp_path):
    import gzip

    labelled = make_labelled(30)
    views = astronet_file(tmp_path / "a.npz", labelled, Transit_Depth=np.full(30, -51883.0, np.float32))
    lines = [f"{i},{t},12.0,{4000 + i},1.0,5000,10.0,{-30 + i},3.0\n" for i, t in enumerate(labelled.tic)]
    with gzip.open(tmp_path / "astronet_tces.csv.gz", "wt") as out:
        out.write("row_id,tic_id,Tmag,Transit_Depth,star_rad,teff,RA,Dec,Period\n" + "".join(lines))
    scored = score_views(Scorer.load(home / "models" / "tiny"), views)
    assert 10 ** scored.labelled.rows.scalars[:, 1] == pytest.approx((4000 + np.arange(30)) * 1e-6, rel=1e-4)


# ------------------------------------------------------------------------------------------------------ figures


def test_the_hard_sets_stand_beside_the_headline():
    labelled = make_labelled(120)
    scalars = labelled.rows.scalars.copy()
    scalars[:, 9] = np.linspace(8, 15, 120)  # Tmag
    period = np.where(np.arange(120) % 2, 14.0, 3.0)
    labelled = replace(labelled, rows=replace(labelled.rows, scalars=scalars), period=period)
    score = np.clip(labelled.planet * 0.5 + np.random.default_rng(0).random(120) * 0.49, 0.01, 0.99)
    found = report(labelled, score, 0.3, score, labelled.tic, np.ones(120), resamples=20)
    assert found["planet against binary"]["auc"]["n"] == 80
    assert found["planet against all, few transits or a long period"]["auc"]["n"] == 60
    assert found["planet against all, Tmag over 13"]["auc"]["n"] == int((scalars[:, 9] > 13).sum())
    assert found["planet against all, S/N below 15"]["auc"]["n"] == int((scalars[:, 3] < np.log10(15)).sum())
    assert found["confirmed against false positive (Nigraha)"]["auc"]["reason"] == "no row is of this kind"
    for figures in strata(labelled, score, labelled.tic, 20).values():
        assert sum(part["auc"]["n"] for part in figures.values()) == 120


def test_the_confusion_and_f1_agree():
    truth, score = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([0.9, 0.6, 0.2, 0.7, 0.1])
    table = confusion(truth, score, 0.5)
    assert list(table.values()) == [2, 1, 1, 1]
    assert f1_at(0.5)(truth, score, np.ones(5)) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_an_interval_is_the_same_whether_the_metric_is_prepared_or_not():
    rng = np.random.default_rng(0)
    truth, group = rng.random(80) < 0.4, np.arange(80) // 2
    score = np.round(truth + rng.normal(size=80), 1)
    for metric in (roc_auc, average_precision):
        slow = with_interval(lambda t, s, w, m=metric: m(t, s, w), truth, score, group, resamples=50)
        assert with_interval(metric, truth, score, group, resamples=50) == slow
