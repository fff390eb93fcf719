"""Networks by name, what they are taught, and teaching that starts from another model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_models import make_labelled, make_signal

from models import losses, networks
from models.cnn_attention import CLASSES, Attention, CNNAttention
from models.cnn_attention import Architecture as OfAttention
from models.datasets import Labelled, assemble
from models.fine_tune import SCHEDULES, Tuner, Tuning, one_cycle, start_from
from models.inputs import fit_preparation
from models.registry import ModelRefused
from models.resnet1d import REASONS, Architecture, parameters
from models.scorer import Scorer
from models.train import Recipe, train_on

torch.set_num_threads(1)

TINY = Recipe("tiny", epochs=4, members=1, batch=16, width=4, held_out=(), learning_rate=5e-3, trees=20, bins=15)
WITH_ATTENTION = replace(TINY, architecture="cnn-attention", scalars=("centroid_offset",))


@pytest.fixture(scope="module")
def data():
    return assemble(make_labelled(180), {}, [], {})


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    return train_on(data, tmp_path_factory.mktemp("plain"), replace(TINY, epochs=6), name="plain", resamples=20)


@pytest.fixture(scope="module")
def attentive(data, tmp_path_factory) -> Path:
    recipe = replace(WITH_ATTENTION, epochs=10)
    return train_on(data, tmp_path_factory.mktemp("attentive"), recipe, name="attentive", resamples=20)


def relabelled(*labels: str) -> Labelled:
    """Rows with these labels as published, told apart as the reader does."""
    from models.datasets import PLANETS, reasons_of

    disposition = np.array(labels, dtype="U4")
    rows = make_labelled(len(labels))
    return replace(rows, disposition=disposition, reason=reasons_of(disposition), planet=np.isin(disposition, PLANETS))


# ------------------------------------------------------------------------------------------------ six classes


def test_the_network_with_attention_has_two_branches_a_centroid_and_six_classes():
    network = CNNAttention(OfAttention(scalars=18)).eval()
    assert 150_000 < parameters(network) < 250_000
    planet, classes = network(torch.randn(3, 2, 2048), torch.randn(3, 8, 256), torch.randn(3, 18))
    assert planet.shape == (3,)
    assert classes.shape == (3, 6)
    share = torch.softmax(classes, dim=1)[:, 0]
    assert torch.sigmoid(planet).tolist() == pytest.approx(share.tolist(), abs=1e-5)


def test_attention_weighs_positions_and_its_weights_sum_to_one():
    attention = Attention(3, 2)
    with torch.no_grad():
        attention.key.weight.copy_(torch.eye(3)[:, :, None] * 20)
        attention.question.weight.fill_(20.0)
    x = torch.zeros(1, 3, 50)
    x[0, :, 17] = 1.0
    weights = attention.weights(x)
    assert weights.sum(dim=2).flatten().tolist() == pytest.approx([1.0, 1.0])
    assert weights[0, 0].argmax() == 17
    assert attention(x)[0, 0].item() == pytest.approx(1.0, abs=1e-3)


def test_it_reads_the_views_the_centroid_and_nothing_else_of_its_inputs():
    network = CNNAttention(OfAttention(scalars=18, centroid=2)).eval()
    inputs = [torch.randn(1, *shape).requires_grad_() for shape in ((2, 2048), (8, 256), (18,))]
    network(*inputs)[0].sum().backward()
    whole, close, scalars = (tensor.grad[0] for tensor in inputs)
    assert (whole.abs().sum(dim=1) > 0).all()
    assert (close.abs().sum(dim=1) > 0).tolist() == [True, True] + 6 * [False]
    assert np.flatnonzero(scalars.numpy()).tolist() == [2, 11]


def test_a_class_without_an_example_is_absent_and_gets_no_share(attentive):
    card = json.loads((attentive / "card.json").read_text())
    # noise is called junk, which is any of four classes: of them, only binaries refolded at half their period are shown
    assert card["absent reasons"] == ["blend", "variable", "systematic"]
    scorer = Scorer.load(attentive)
    told = scorer.score([make_signal("planet", 40)])[0]["classes"]
    assert set(told) == {"planet", "eclipsing_binary", "wrong_period"}
    assert sum(told.values()) == pytest.approx(1, abs=1e-5)


def test_the_network_with_attention_learns_and_goes_through_the_same_door(attentive):
    scorer = Scorer.load(attentive)
    kinds = ("planet", "binary")
    scored = {
        k: [s["probability"] for s in scorer.score([make_signal(k, 60, 900 + i) for i in range(20)])] for k in kinds
    }
    assert np.median(scored["planet"]) > np.median(scored["binary"]) + 0.3
    assert json.loads((attentive / "card.json").read_text())["architecture"]["name"] == "cnn-attention"
    # the loss of a step is finite although absent classes stand at minus infinity
    assert all(np.isfinite(value) for value in scored["planet"])


PLAINLY = ("planet", "eclipsing_binary", "variable", "systematic", "junk")


def test_labels_leave_open_what_they_do_not_say():
    told = networks.allowed(CLASSES, relabelled("PC", "EB", "V", "IS", "J", "FP"))
    assert told[:4].astype(int).tolist() == np.eye(6)[[0, 1, 3, 4]].astype(int).tolist()
    assert told[4].tolist() == [False, False, True, True, True, True]
    assert told[5].all()
    plain = networks.allowed(REASONS, relabelled("PC", "EB", "V", "IS", "J", "FP"))
    assert plain[:5].argmax(axis=1).tolist() == [REASONS.index(name) for name in PLAINLY]
    assert (plain[:5].sum(axis=1) == 1).all()
    assert plain[5].all()


def test_all_six_classes_can_be_labelled_and_none_is_then_absent():
    from models.datasets.table import label_named

    words = ("planet candidate", "eclipsing binary", "blend", "variability", "systematic", "wrong period")
    labelled = relabelled(*(label_named(word) for word in words))
    assert networks.allowed(CLASSES, labelled).astype(int).tolist() == np.eye(6).astype(int).tolist()
    constants = fit_preparation(labelled.rows, ("centroid_offset",))
    assert networks.design("cnn-attention", constants, 4, labelled).absent == ()
    assert labelled.planet.tolist() == [True] + 5 * [False]


def test_an_architecture_without_its_scalar_or_of_no_known_name_is_refused(data):
    constants = fit_preparation(data.labelled.rows, ("log10_snr",))
    with pytest.raises(ModelRefused, match="needs the scalar centroid_offset"):
        networks.design("cnn-attention", constants, 4, data.labelled)
    with pytest.raises(ModelRefused, match="there are resnet1d, cnn-attention"):
        networks.design("transformer", constants, 4, data.labelled)
    with pytest.raises(ValueError, match="absent classes"):
        OfAttention(scalars=18, absent=("planet",))


# ----------------------------------------------------------------------------------------------------- losses


def test_an_open_label_asks_only_that_the_share_stays_inside():
    classes = torch.tensor([[2.0, 0.0, -1.0]])
    inside = torch.logsumexp(classes[0, :2], 0) - torch.logsumexp(classes[0], 0)
    loss = losses.of_classes(classes, torch.tensor([[True, True, False]]), torch.ones(1))
    assert loss.item() == pytest.approx(-inside.item(), abs=1e-6)
    assert losses.of_classes(classes, torch.ones(1, 3, dtype=torch.bool), torch.ones(1)).item() == 0
    one = torch.nn.functional.cross_entropy(classes, torch.tensor([1]))
    told = losses.of_classes(classes, torch.tensor([[False, True, False]]), torch.ones(1))
    assert told.item() == pytest.approx(one.item(), abs=1e-6)


def test_the_focal_loss_cares_less_for_what_is_right_already():
    truth, weight = torch.tensor([1.0, 0.0]), torch.ones(2)
    sure, unsure = torch.tensor([4.0, -4.0]), torch.tensor([0.0, 0.0])

    def ratio(kind):
        return (losses.of_planet(kind, sure, truth, weight) / losses.of_planet(kind, unsure, truth, weight)).item()

    assert ratio("focal") < ratio("bce") / 100
    assert ratio("smooth") > ratio("bce")  # a smoothed label is never wholly met


# ------------------------------------------------------------------------------------------------- fine-tuning


def tuner(tuning: Tuning) -> Tuner:
    architecture = Architecture(scalars=6, width=4)
    return Tuner(tuning, networks.build(architecture), architecture, None, 0)


def learning(of: Tuner) -> set[str]:
    return {name for name, parameter in of.network.named_parameters() if parameter.requires_grad}


def test_only_the_head_learns_first_and_then_the_blocks_next_to_it():
    fine = tuner(Tuning(freeze_epochs=2, unfreeze_blocks=1))
    fine.begin(0)
    assert {name.split(".")[0] for name in learning(fine)} == {"numbers", "head", "planet", "reason"}
    assert not fine.network.whole.norm.training
    fine.begin(2)
    stages = {
        name.rpartition("stages.")[0] + name.split("stages.")[1][0] for name in learning(fine) if "stages" in name
    }
    assert stages == {"whole.2", "close.2"}
    assert fine.network.whole.stages[2].first_norm.training
    assert not fine.network.whole.stages[0].first_norm.training
    everything = tuner(Tuning())
    everything.begin(0)
    assert learning(everything) == {name for name, _ in everything.network.named_parameters()}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_schedule_ends_no_higher_than_it_began(schedule):
    rates = [tuner(Tuning(schedule=schedule)).rate(step, 100, 1.0)[0] for step in range(101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] <= rates[0]
    assert tuner(Tuning()).rate(30, 100, 1.0) == one_cycle(30, 100, 1.0)


def test_a_model_is_tuned_further_from_its_weights_and_its_card_names_the_parent(data, trained, tmp_path):
    start = start_from(trained)
    frozen = replace(
        TINY, epochs=2, learning_rate=1e-4, tuning=Tuning(start.sha256, freeze_epochs=2, unfreeze_blocks=0, amp=True)
    )
    folder = train_on(data, tmp_path, frozen, name="tuned", resamples=20, start=start)
    card = json.loads((folder / "card.json").read_text())
    assert card["parent"] == {"name": "plain", "sha256": start.sha256}
    assert card["precision"] == "bfloat16"
    before, after = (Scorer.load(f).networks[0].state_dict() for f in (trained, folder))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert {name.split(".")[0] for name in moved} <= {"numbers", "head", "planet", "reason"}
    # what its parent learnt from is not judged on either
    assert set(start.seen) <= set(Scorer.load(folder).seen.tolist())


class Killed(Exception):
    """What a kill looks like from inside."""


def test_fine_tuning_killed_and_resumed_ends_with_the_same_weights(data, trained, tmp_path):
    start = start_from(trained)
    tuning = Tuning(start.sha256, freeze_epochs=1, unfreeze_blocks=1, loss="focal", schedule="cosine")
    recipe = replace(TINY, epochs=3, learning_rate=1e-3, tuning=tuning)

    def killer(line: str) -> None:
        raise Killed

    whole = train_on(data, tmp_path / "whole", recipe, name="tuned", resamples=20, start=start)
    for _ in range(2):  # while the blocks are frozen, and after they have woken
        with pytest.raises(Killed):
            train_on(data, tmp_path / "cut", recipe, name="tuned", progress=killer, resamples=20, start=start)
    again = train_on(data, tmp_path / "cut", recipe, name="tuned", resamples=20, start=start)
    assert (again / "weights-0.safetensors").read_bytes() == (whole / "weights-0.safetensors").read_bytes()
