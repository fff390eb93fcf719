"""`hunter train` as a person gives it: folds, seeds, fine-tuning, figures, refusals, and a kill in the middle."""

import json
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_hunts import Nursery, little_learning
from test_models import astronet_file, make_labelled

from hunter.cli.training import Pace
from models.datasets import assemble
from models.evaluate import roc_auc
from models.folds import NEVER, cross_validate, deal, fold_dataset
from models.registry import Registry
from models.scorer import Scorer
from models.summary import spread, summary
from models.train import RECIPES, Recipe, train_on

torch.set_num_threads(1)

TINY = Recipe("tiny", epochs=2, members=1, batch=16, width=4, held_out=(7,), learning_rate=5e-3, trees=10, bins=8)
SMALL = ("--recipe", "quick", "--epochs", "2", "--members", "1", "--batch", "16")


@pytest.fixture(scope="module")
def data():
    return assemble(make_labelled(120), {}, [], {})


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A folder of SIMULATED views laid out as the public ones."""
    folder = tmp_path_factory.mktemp("views")
    astronet_file(folder / "astronet_triage_views.npz", make_labelled(120))
    return folder


@pytest.fixture(autouse=True)
def small_recipe(monkeypatch):
    """The commands train and judge little: how well they learn is asked elsewhere."""
    monkeypatch.setattr("models.train.RECIPES", dict(RECIPES))
    little_learning()
    monkeypatch.setattr("models.train.train_on", partial(train_on, resamples=20))
    monkeypatch.setattr("models.folds.cross_validate", partial(cross_validate, resamples=20))


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text.strip()


# ------------------------------------------------------------------------------------------------------- folds


def test_folds_deal_whole_groups_once_and_each_has_its_planets(data):
    grouped = replace(data, group=data.group // 3)
    fold = deal(grouped, 4)
    assert sorted(np.unique(fold)) == [0, 1, 2, 3]
    for key in np.unique(grouped.group):
        assert len(set(fold[grouped.group == key])) == 1
    planets = np.bincount(fold[data.labelled.planet])
    assert planets.max() - planets.min() <= 3
    assert deal(grouped, 4).tolist() == fold.tolist()
    with pytest.raises(ValueError, match="ask for fewer folds"):
        deal(data, 500)


def test_what_trains_only_and_what_is_held_out_is_judged_or_learnt_by_no_mistake(data):
    source = data.labelled.source.copy()
    source[:30] = "simulated"
    mixed = replace(data, labelled=replace(data.labelled, source=source))
    fold = deal(mixed, 4)
    assert (fold[:30] == NEVER).all()
    assert (fold[30:] != NEVER).all()
    apart = int(mixed.labelled.tic[60])
    for number in range(4):
        part = fold_dataset(mixed, fold, number, (apart,), seed=0)
        test = part.part("test")
        assert test.tolist() == np.flatnonzero(fold == number).tolist()
        learnt = part.part("train", "validation", "calibration")
        assert not set(part.group[learnt]) & set(part.group[test])
        assert apart not in part.labelled.tic[learnt]
        assert {"train", "validation", "calibration"} <= set(part.split)
        assert set(part.split[:30]) == {"train"}


def test_folds_judge_every_star_by_a_model_that_never_saw_it_and_go_on_after_a_kill(data, tmp_path):
    lines: list[str] = []
    found = cross_validate(data, tmp_path / "whole", TINY, folds=2, progress=lines.append, resamples=20)
    assert found["pooled"]["planet against all"]["auc"]["n"] == len(data)
    auc = found["planet against all"]["auc"]
    assert len(auc["folds"]) == 2
    assert auc["lowest"] == min(auc["folds"])
    assert auc["mean"] == pytest.approx(np.mean(auc["folds"]), abs=1e-3)
    assert auc["pooled"]["low"] <= auc["pooled"]["value"] <= auc["pooled"]["high"]
    assert any(line.startswith("fold 2/2 member 1/1 epoch 2/2") for line in lines)

    class Killed(Exception):
        pass

    def killer(line: str) -> None:
        if "fold 2/2 member 1/1 epoch 1/2" in line:
            raise Killed

    with pytest.raises(Killed):
        cross_validate(data, tmp_path / "cut", TINY, folds=2, progress=killer, resamples=20)
    again: list[str] = []
    assert cross_validate(data, tmp_path / "cut", TINY, folds=2, progress=again.append, resamples=20) == found
    assert not any("fold 1/2 member" in line for line in again)
    assert not any("fold 2/2 member 1/1 epoch 1/2" in line for line in again)


# ----------------------------------------------------------------------------------------------------- commands


def test_a_training_with_folds_writes_every_figure_and_says_how_long_it_needs(run, views, tmp_path):
    out = tmp_path / "metrics.json"
    code, told, err = run(
        "train", "--data", views, "--home", tmp_path, *SMALL, "--folds", 2, "--metrics", out, "--json"
    )
    assert code == 0, err
    assert "an epoch, " in err
    assert "to go at most" in err
    found = json.loads(out.read_text())
    names = {"precision", "recall", "f1", "roc_auc", "pr_auc", "confusion", "calibration"}
    names |= {"by S/N", "by Tmag", "by period, days", "by duration, hours"}
    assert names <= set(found)
    assert found["roc_auc"]["low"] <= found["roc_auc"]["value"] <= found["roc_auc"]["high"]
    assert sum(found["confusion"].values()) == found["roc_auc"]["n"]
    assert len(found["folds"]["planet against all"]["ap"]["folds"]) == 2
    assert all(found[name] is not None for name in names - {"precision"})
    made = json.loads(told)
    assert made["metrics"]["folds"]["pooled"]
    shown = run("models", "show", made["name"], "--home", tmp_path)[1]
    assert "2 folds, planet against all: ROC-AUC lowest" in shown


def test_several_seeds_make_a_model_each_and_their_scatter(run, views, tmp_path):
    code, told, err = run("train", "--data", views, "--home", tmp_path, *SMALL, "--seeds", "0,3", "--metrics", "-")
    assert code == 0, err
    found = json.loads(told)
    assert sorted(found["seeds"]) == ["0", "3"]
    strata = found["seeds"]["0"]["by S/N"]  # of the test stars, no folds being asked for
    assert sum(part["auc"]["n"] for part in strata.values()) == found["seeds"]["0"]["roc_auc"]["n"]
    values = [found["seeds"][seed]["pr_auc"]["value"] for seed in ("0", "3")]
    assert found["spread"]["pr_auc"] == {
        "mean": pytest.approx(np.mean(values), abs=1e-4), "lowest": min(values), "highest": max(values)
    }  # fmt: skip
    assert len(Registry(tmp_path / "models").list()) >= 2


def test_a_model_is_tuned_further_by_name_and_from_a_file(run, views, tmp_path):
    code, told, _ = run("train", "--data", views, "--home", tmp_path, *SMALL)
    parent = Path(told.strip())
    Registry(tmp_path / "models").promote(parent.name, force="a test")
    fine = ("--freeze-epochs", 1, "--unfreeze-blocks", 1, "--epochs", 2, "--batch", 16, "--amp", "--loss", "focal")
    fine = (*fine, "--finetune-lr", "1e-3")
    code, told, err = run("train", "--data", views, "--home", tmp_path, "--pretrained", parent.name, *fine)
    assert code == 0, err
    assert "bfloat16 on cpu" in err
    card = json.loads((Path(told.strip()) / "card.json").read_text())
    assert card["parent"]["name"] == parent.name
    assert card["recipe"]["tuning"]["freeze_epochs"] == 1
    assert card["recipe"]["patience"] == 7
    listed = json.loads(run("models", "list", "--home", tmp_path, "--json")[1])
    assert next(e for e in listed if e["name"] == card["name"])["parent"] == parent.name
    save_file(load_file(parent / "weights-0.safetensors"), tmp_path / "theirs.safetensors")
    code, told, err = run(
        "train", "--data", views, "--home", tmp_path, "--pretrained", tmp_path / "theirs.safetensors", *fine, "--json"
    )
    assert code == 0, err
    assert Scorer.load(Path(json.loads(told)["folder"]))


def test_the_network_with_attention_is_trained_by_name(run, views, tmp_path):
    code, told, err = run(
        "train", "--data", views, "--home", tmp_path, *SMALL, "--architecture", "cnn-attention", "--schedule", "cosine"
    )
    assert code == 0, err
    shown = run("models", "show", Path(told.strip()).name, "--home", tmp_path)[1]
    assert "cnn-attention" in shown
    assert "no example of blend, variable, systematic" in shown


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--data", "VIEWS", "--recipe", "quik"], 2, "did you mean 'quick'"),
        (["--data", "VIEWS", "--architecture", "transformer"], 2, "one of resnet1d, cnn-attention"),
        (["--data", "VIEWS", "--loss", "hinge"], 2, "one of bce, focal, smooth"),
        (["--data", "VIEWS", "--schedule", "steps"], 2, "one of one-cycle, cosine, constant"),
        (["--data", "VIEWS", "--folds", "1"], 2, "one fold leaves nothing"),
        (["--data", "VIEWS", "--folds", "5000"], 2, "ask for fewer folds"),
        (["--data", "VIEWS", "--seeds", "1,x"], 2, "whole numbers"),
        (["--data", "VIEWS", "--seeds", "1,1"], 2, "the same seed twice"),
        (["--data", "VIEWS", "--seeds", "1,2", "--promote"], 2, "several seeds"),
        (["--data", "VIEWS", "--metrics", "-", "--json"], 2, "both want stdout"),
        (["--data", "VIEWS", "--learning-rate", "3"], 2, "between 0 and 1"),
        (["--data", "VIEWS", "--pretrained", "nobody"], 1, "no model is called 'nobody'"),
        (["--data", "VIEWS", "--force", "why"], 2, "needs --promote"),
        (["--data", "NOWHERE"], 1, "NOWHERE"),
        ([], 2, "--data"),
    ],
)
def test_a_training_that_cannot_be_is_refused_in_one_line(run, views, tmp_path, options, code, words):
    told = [str(views) if word == "VIEWS" else word for word in options]
    given, out, err = run("train", *told, "--home", tmp_path)
    assert (given, out) == (code, "")
    assert words in err.splitlines()[-1]
    assert len(err.splitlines()) <= 2  # the second says what was read, before anything is learnt
    assert "our fault" not in err


def test_too_few_labelled_stars_are_refused_before_anything_is_learnt(run, tmp_path):
    astronet_file(tmp_path / "astronet_triage_views.npz", make_labelled(9))
    code, out, err = run("train", "--data", tmp_path, "--home", tmp_path)
    assert (code, out) == (1, "")
    assert "more labelled stars are needed" in one_line(err)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test misses")
def test_a_device_that_is_not_there_is_said(run, views, tmp_path):
    code, _, err = run("train", "--data", views, "--home", tmp_path, "--device", "cuda")
    assert code == 2
    assert "torch sees no such device" in one_line(err)


def test_a_training_killed_by_the_system_goes_on_where_it_was(views, tmp_path):
    given = ["train", "--data", views, "--recipe", "quick", "--epochs", "4", "--members", "1", "--batch", "8"]
    ready = ("sklearn.ensemble", "small_hunts:little_learning")
    nursery = Nursery(tmp_path)
    try:
        with nursery.command(*given, "--home", tmp_path / "whole", first=ready) as whole:
            pass
        with nursery.command(*given, "--home", tmp_path / "cut", first=ready) as cut:
            cut.kill_after("epoch 2/4")
        with nursery.command(*given, "--home", tmp_path / "cut", first=ready) as again:
            pass
    finally:
        nursery.close()
    assert (whole.code, cut.code, again.code) == (0, -signal.SIGKILL, 0), again.stderr.read_text()
    said = again.stderr.read_text()
    assert "epoch 1/4" not in said
    assert "epoch 4/4" in said
    same = (Path(whole.stdout.read_text().strip()) / "weights-0.safetensors").read_bytes()
    assert (Path(again.stdout.read_text().strip()) / "weights-0.safetensors").read_bytes() == same


# ------------------------------------------------------------------------------------------------------ figures


def test_the_time_to_go_shrinks_with_the_epochs_and_counts_the_folds(capsys):
    clock = iter(float(t) for t in range(0, 1000, 10))
    pace = Pace(of_model=4, models=2, now=lambda: next(clock))
    said = []
    for line in (
        "fold 1/1 member 1/2 epoch 1/2 loss 1", "fold 1/1 member 1/2 epoch 2/2", "fold 1/1 registered fold-0",
        "member 1/2 epoch 1/2", "member 2/2 epoch 2/2",
    ):  # fmt: skip
        pace(line)
        said.append(capsys.readouterr().err.strip())
    assert said[0].endswith("10 s an epoch, 70 s to go at most")
    assert said[1].endswith("60 s to go at most")
    assert said[3].endswith("30 s to go at most")
    assert said[4].endswith("0 s to go at most")


def test_a_summary_of_nothing_measured_is_nothing(data):
    empty = summary({}, {})
    assert empty["roc_auc"] is None
    assert empty["precision"] is None
    assert empty["folds"] is None
    assert spread({0: empty})["pr_auc"] == {"mean": None, "lowest": None, "highest": None}
    assert roc_auc([True], [0.5]) != roc_auc([True], [0.5])  # NaN: there is no other kind
