"""The student: rounding keeps what it says, it learns from a teacher, and it is asked like any model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_models import astronet_file, make_labelled, make_signal

from models import networks
from models.datasets import assemble
from models.registry import WEIGHTS, ModelRefused
from models.scorer import Scorer
from models.student import Architecture, Learner, Lesson, Rounded, distance, rounded, student_on
from models.train import Recipe, train_on

torch.set_num_threads(1)

CLASSES = ("planet", "eclipsing_binary", "variable", "junk")
LESSON = Lesson(epochs=6, batch=16)


@pytest.fixture(scope="module")
def data():
    return assemble(make_labelled(180), {}, [], {})


@pytest.fixture(scope="module")
def taught(data, tmp_path_factory) -> Path:
    recipe = Recipe("tiny", epochs=6, members=2, batch=16, width=4, held_out=(), learning_rate=5e-3, trees=20, bins=15)
    return train_on(data, tmp_path_factory.mktemp("teacher"), recipe, name="tiny", resamples=20)


@pytest.fixture(scope="module")
def teacher(taught) -> Scorer:
    return Scorer.load(taught)


@pytest.fixture(scope="module")
def student(data, teacher, tmp_path_factory):
    return student_on(teacher, data, tmp_path_factory.mktemp("registry"), lesson=LESSON, resamples=20)


def used_learner(architecture: Architecture, seed: int = 0) -> Learner:
    """A learner whose batch-norms have seen something."""
    torch.manual_seed(seed)
    learner = Learner(architecture).train()
    for _ in range(4):
        learner(*inputs(architecture, 32))
    return learner.eval()


def inputs(a: Architecture, count: int) -> tuple[torch.Tensor, ...]:
    return torch.randn(count, 2, a.global_length), torch.randn(count, 8, a.local_length), torch.randn(count, a.scalars)


@pytest.mark.parametrize(("far", "near"), [(201, 61), (2048, 256)])
def test_folding_and_rounding_keep_what_the_learner_says(far, near):
    architecture = Architecture(20, far, near, CLASSES)
    learner = used_learner(architecture)
    small = rounded(learner, architecture)
    batch = inputs(architecture, 200)
    with torch.inference_mode():
        planet, classes = learner(*batch)
        said, told = small(*batch)
    spread = float(planet.std())
    assert float((planet - said).abs().max()) < 0.1 * spread  # 127 steps a weight, and their errors add at random
    assert float((classes - told).abs().max()) < 0.1 * float(classes.std())
    for part in small.modules():
        if isinstance(part, Rounded):
            assert part.weight.dtype == torch.int8
            assert int(part.weight.abs().flatten(1).amax(dim=1).min()) == 127  # each channel uses its scale to the end


def test_the_parts_of_a_folded_layer_do_exactly_what_layer_and_norm_did():
    learner = used_learner(Architecture(20, 201, 61, CLASSES))
    layer = learner.whole.stem
    weight, bias = layer.folded()
    x = torch.randn(5, 2, 201)
    with torch.inference_mode():
        alone = torch.nn.functional.conv1d(x, weight, bias, layer.stride, layer.kernel // 2)
        assert torch.allclose(alone, layer(x), atol=1e-5)


def test_absent_classes_get_no_share_and_no_lesson():
    architecture = Architecture(20, 201, 61, CLASSES, absent=("variable",))
    planet, classes = used_learner(architecture)(*inputs(architecture, 8))
    assert (torch.softmax(classes, dim=1)[:, 2] == 0).all()
    told = torch.tensor([[0.5, 0.5, 0.0, 0.0]]).repeat(8, 1)
    apart = distance(planet, classes, torch.zeros(8), told, torch.zeros(8), torch.ones(8), Lesson())
    assert torch.isfinite(apart)


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn():
    logit = torch.tensor([-3.0, 0.5, 4.0], requires_grad=True)
    shares = torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    lesson = Lesson(hard=0.0)
    classes = torch.log(shares)
    distance(logit, classes, logit.detach(), shares, torch.ones(3), torch.ones(3), lesson).backward()
    assert logit.grad is not None
    assert float(logit.grad.abs().max()) < 1e-6


def test_a_student_is_small_names_its_teacher_and_is_asked_like_any_model(student, teacher):
    card = json.loads((student / "card.json").read_text())
    assert card["student_of"] == {"name": "tiny", "sha256": teacher.sha256}
    assert card["bytes"]["weights"] == (student / WEIGHTS.format(0)).stat().st_size
    assert card["bytes"]["weights and calibration"] < 100_000
    stored = load_file(student / WEIGHTS.format(0))
    assert {tensor.dtype for name, tensor in stored.items() if name.endswith("weight")} == {torch.int8}
    scorer = Scorer.load(student)
    planet, noise = scorer.score([make_signal("planet", 60), make_signal("noise", 8, seed=3)])
    assert planet["probability"] > noise["probability"]
    assert planet["conformal_set"] is not None
    assert planet["disagreement"] is None  # one network cannot disagree
    assert set(planet["classes"]) <= set(teacher.classes)
    assert set(teacher.seen) <= set(scorer.seen)


def test_its_loss_against_the_teacher_is_measured_on_stars_that_taught_neither(student):
    metrics = json.loads((student / "metrics.json").read_text())
    beside = metrics["beside its teacher"]["planet against all"]["auc"]
    assert beside["lost"]["value"] == pytest.approx(beside["teacher"]["value"] - beside["student"]["value"], abs=2e-4)
    assert beside["lost"]["low"] <= beside["lost"]["value"] <= beside["lost"]["high"]
    assert beside["student"]["value"] > 0.8  # SIMULATED signals that a glance tells apart
    assert metrics["conformal sets"]["promised"] == 0.9


def test_the_same_teacher_and_seed_give_the_same_bytes_and_another_run_is_not_taken_for_it(
    student, data, teacher, tmp_path
):
    again = student_on(teacher, data, tmp_path, lesson=LESSON, resamples=20, name=student.name)
    for name in (WEIGHTS.format(0), "calibration.json", "conformal.json"):
        assert (again / name).read_bytes() == (student / name).read_bytes()
    assert student_on(teacher, data, tmp_path, lesson=LESSON, resamples=20, name=student.name) == again
    with pytest.raises(ModelRefused, match="registered already"):
        student_on(teacher, data, tmp_path, lesson=replace(LESSON, epochs=1), resamples=20, name=student.name)


def test_a_teacher_that_knows_the_judging_stars_is_refused(data, teacher, tmp_path):
    everything = Scorer(
        "greedy",
        "",
        teacher.networks,
        teacher.preparation,
        teacher.calibration,
        seen=np.unique(data.labelled.tic),
        architecture=teacher.architecture,
    )
    with pytest.raises(ModelRefused, match="greedy learnt from"):
        student_on(everything, data, tmp_path, lesson=LESSON)
    assert not list(tmp_path.iterdir())


def test_a_student_is_neither_trained_plainly_nor_tuned_further(student):
    scorer = Scorer.load(student)
    with pytest.raises(ModelRefused, match="--student-of"):
        networks.design("student", scorer.preparation, 8, make_labelled(6))
    with pytest.raises(ModelRefused, match="rounded"):
        networks.blocks(scorer.networks[0], scorer.architecture)


def test_a_weight_file_of_another_student_is_refused(student):
    scorer = Scorer.load(student)
    stored = load_file(student / WEIGHTS.format(0))
    wider = replace(scorer.architecture, width=16)
    with pytest.raises(ModelRefused, match="another architecture"):
        networks.fit_tensors(stored, wider, "some file")


def test_a_student_is_taught_by_one_command(taught, run, tmp_path):
    views, home = tmp_path / "views", tmp_path / "home"
    views.mkdir()
    astronet_file(views / "astronet_triage_views.npz", make_labelled(180))
    shutil.copytree(taught, home / "models" / "tiny")
    code, out, err = run("train", "--data", views, "--home", home, "--student-of", "tiny", "--epochs", 1, "--json")
    assert code == 0, err
    made = json.loads(out)
    assert made["name"].startswith("student-of-tiny-")
    assert "lost" in made["metrics"]["beside its teacher"]["planet against all"]["auc"]
    assert Scorer.load(home / "models" / made["name"]).score([make_signal()])
    for more in (("--folds", 5), ("--pretrained", "tiny"), ("--members", 2)):
        code, _, err = run("train", "--data", views, "--home", home, "--student-of", "tiny", *more)
        assert code == 2
        assert "leave out" in err
    code, _, err = run("train", "--data", views, "--home", home, "--student-of", "nobody")
    assert code != 0
    assert "no model is called 'nobody'" in err
    assert "Traceback" not in err
