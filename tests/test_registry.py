"""The registry as a hunt uses it: gates, the record of what serves, weights from elsewhere, a hunt under way."""

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_hunts import make_settings, make_sky, open_queued, rows, train_tiny
from test_models import make_signal

from hunter import worker
from models.foreign import describe, import_weights, read_checkpoint
from models.gates import GateSettings, judge, missed, same_stars
from models.registry import MANIFEST, ModelRefused, Registry, verify_folder
from models.scorer import Scorer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return train_tiny(tmp_path_factory.mktemp("tiny"))


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text.strip()


def put(registry: Registry, model: Path, name: str, **card: object) -> Path:
    """A copy of a model under another name, with what is said of it changed."""

    def fill(folder: Path) -> None:
        for item in model.iterdir():
            if item.name != MANIFEST:
                (folder / item.name).write_bytes(item.read_bytes())
        told = json.loads((folder / "card.json").read_text()) | {"name": name} | card
        (folder / "card.json").write_text(json.dumps(told))

    return registry.register(name, fill)


# ------------------------------------------------------------------------------------------------------- gates


def figures(value: float = 0.97) -> dict:
    """What training would have written of a good model."""

    def at(number: float) -> dict:
        return {"value": number, "low": number - 0.01, "high": number + 0.01, "n": 100, "positives": 30}

    report = {
        "planet against all": {"auc": at(value), "ap": at(0.75)},
        "planet against binary": {"auc": at(0.92)},
        "planet against all, S/N below 15": {"auc": at(0.95), "ap": at(0.6)},
        "confirmed against false positive (Nigraha)": {"auc": at(0.88)},
        "calibration": {"ece among p > 0.1": at(0.05)},
    }
    trees = {"planet against all": {"auc": at(0.97), "ap": at(0.70)}}
    folds = {"planet against all": {"auc": {"lowest": 0.95, "folds": [0.95, 0.97], "mean": 0.96}}}
    return {"network": report, "gradient-boosted trees": trees, "folds": folds}


def held(metrics: dict, card: dict | None = None, serving=None, size=1_000_000, speed=9000.0, **settings) -> list[str]:
    gates = judge(
        card or {"data": {"id": "a"}}, metrics, GateSettings(**settings), size=size, per_second=speed, serving=serving
    )
    return missed(gates)


def test_a_good_model_passes_every_gate():
    assert held(figures()) == []
    assert held(figures(), serving=({"name": "old", "data": {"id": "a"}}, figures())) == []


def spoilt(*path: str, value: object) -> dict:
    """The good figures with one of them changed."""
    metrics = copy.deepcopy(figures())
    place = metrics
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return metrics


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("network", "planet against all", "ap", "value"), 0.70, "0.7000 must be over 0.7000"),
        (("network", "planet against all", "ap", "value"), None, "average precision (the trees' is the limit) is not"),
        (("gradient-boosted trees",), {}, "the trees beside it were not measured"),
        (("folds", "planet against all", "auc", "lowest"), 0.92, "worst fold 0.9200 must reach 0.9300"),
        (("folds",), {}, "worst fold is not known (train with --folds 10)"),
        (("network", "planet against binary", "auc", "value"), 0.8, "against binaries 0.8000 must reach 0.8500"),
        (("network", "planet against all, S/N below 15"), {}, "S/N 15 is not known"),
        (("network", "calibration", "ece among p > 0.1", "value"), 0.2, "0.2000 may be 0.1000"),
        (("network", "calibration"), {}, "calibration error among p > 0.1 is not known"),
    ],
)
def test_each_gate_names_its_figure_and_its_limit_and_the_unknown_never_passes(path, value, words):
    said = held(spoilt(*path, value=value))
    assert len(said) == 1
    assert words in said[0]


def test_all_gates_missed_are_named_together():
    assert len(held({})) == 5
    said = held({}, size=9_000_000, speed=100.0)
    assert "its files take 9.00 MB and may take 4" in said
    assert "100 signals a second are scored, 300 must be" in said
    assert len(said) == 7
    assert held(figures(), speed=None) == ["its speed was not measured, 300 must be"]


def test_a_gate_set_to_nothing_is_off():
    off = {"beat_baseline": False, "fold_floor": 0.0, "binary_floor": 0.0, "low_snr_floor": 0.0, "candidate_ece": 1.0}
    assert held({}, size=10, speed=None, signals_per_second=0.0, **off) == []


def test_no_set_may_lose_more_than_a_little_against_the_serving_model():
    old = {"name": "old", "data": {"id": "a"}}
    better = spoilt("network", "planet against binary", "auc", "value", value=0.93)
    said = held(figures(), serving=(old, better))
    assert said == ["ROC-AUC falls against old: planet against binary by 0.0100; it may by 0.005"]
    assert held(figures(), serving=(old, better), most_drop=0.02) == []
    assert held(figures(), serving=({"name": "old", "data": {"id": "b"}}, figures())) == [
        "it cannot be held against old, which was judged on other stars"
    ]
    more = spoilt("network", "new set", value={"auc": {"value": 0.9}})
    assert "was not measured where old was: new set" in held(figures(), serving=(old, more))[0]


def test_the_test_rows_decide_whether_two_models_can_be_compared():
    assert same_stars({"data": {"id": "a", "test": "t"}}, {"data": {"id": "b", "test": "t"}})
    assert not same_stars({"data": {"id": "a", "test": "t"}}, {"data": {"id": "a", "test": "u"}})
    assert same_stars({"data": {"id": "a", "test": "t"}}, {"data": {"id": "a"}})
    assert not same_stars({}, {})


# ------------------------------------------------------------------------------------------------------ record


def test_a_promotion_refused_lists_every_gate_and_a_forced_one_is_recorded(run, tiny, tmp_path):
    registry = Registry(tmp_path / "models")
    put(registry, tiny, "mine")
    code, out, err = run("models", "promote", "mine", "--home", tmp_path)
    assert (code, out) == (1, "")
    line = one_line(err)
    for words in ("may not serve", "worst fold is not known", "--force REASON"):
        assert words in line
    assert not (tmp_path / "models" / "current.json").exists()
    assert run("models", "promote", "mine", "--force", " ", "--home", tmp_path)[0] == 2
    assert run("models", "promote", "mine", "--force", "our own stars", "--home", tmp_path)[0] == 0
    assert registry.current() == tmp_path / "models" / "mine"
    (event,) = registry.history()
    assert (event["what"], event["model"], event["why"]) == ("promoted", "mine", "our own stars")
    assert event["by"]
    assert event["at"]
    assert any("worst fold" in said for said in event["gates missed"])
    shown = run("models", "show", "mine", "--home", tmp_path)[1]
    assert "because: our own stars in spite of: " in shown
    listed = json.loads(run("models", "list", "--home", tmp_path, "--json")[1])
    mine = next(entry for entry in listed if entry["name"] == "mine")
    assert mine["serving"]
    assert mine["history"] == [event]
    assert len(mine["data"]) == 64
    assert len(mine["code"]) == 64


def test_gates_from_the_settings_let_a_model_serve_and_a_rollback_says_why(run, tiny, tmp_path):
    (tmp_path / "hunter.toml").write_text(
        "[models]\nbeat_baseline = false\nfold_floor = 0\nbinary_floor = 0\nlow_snr_floor = 0\ncandidate_ece = 1\n"
        "most_drop = 1\nsignals_per_second = 0\n"
    )
    registry = Registry(tmp_path / "models")
    put(registry, tiny, "one")
    put(registry, tiny, "two")
    for name in ("one", "two"):
        assert run("models", "promote", name, "--home", tmp_path)[0] == 0
    code, out, _ = run("models", "rollback", "--because", "too many binaries", "--home", tmp_path)
    assert (code, out.strip()) == (0, str(tmp_path / "models" / "one"))
    assert [(e["what"], e["model"]) for e in registry.history()] == [
        ("promoted", "one"), ("promoted", "two"), ("rolled back", "two")
    ]  # fmt: skip
    assert registry.history()[-1]["why"] == "too many binaries"
    assert "gates missed" not in registry.history()[0]


def test_a_model_trained_on_simulation_only_is_marked_and_serves_only_by_force(run, tiny, tmp_path):
    registry = Registry(tmp_path / "models")
    put(registry, tiny, "dreamt", synthetic=True)
    with pytest.raises(ModelRefused, match="simulation only"):
        registry.promote("dreamt")
    assert "SIMULATION ONLY" in run("models", "list", "--home", tmp_path)[1]
    assert "TRAINED ON SIMULATION ONLY" in run("models", "show", "dreamt", "--home", tmp_path)[1]
    registry.promote("dreamt", force="a demonstration")
    assert registry.history()[0]["gates missed"] == ["it was trained on simulation only"]


def test_a_card_is_readable_and_its_json_is_whole(run, tiny, tmp_path):
    put(Registry(tmp_path / "models"), tiny, "mine", parent={"name": "old", "sha256": "f" * 64})
    code, text, _ = run("models", "show", "mine", "--home", tmp_path)
    assert code == 0
    for words in ("resnet1d", "seed 0", "limits", "old (sha256 ffff", "planet against all, ap", "[", "never promoted"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 160
    told = json.loads(run("models", "show", "mine", "--home", tmp_path, "--json")[1])
    assert told["name"] == "mine"
    assert told["metrics"]["network"]
    assert told["history"] == []


def test_a_record_of_old_has_no_history_and_a_damaged_one_is_begun_anew_by_a_promotion(tiny, tmp_path):
    registry = Registry(tmp_path / "models", shipped=tmp_path / "none")
    put(registry, tiny, "mine")
    (registry.root / "current.json").write_text('{"served": ["mine"]}')
    assert registry.current() == registry.root / "mine"
    assert registry.history() == []
    for broken in ("{", '{"served": ["mine"], "history": 3}', "[]"):
        (registry.root / "current.json").write_text(broken)
        with pytest.raises(ModelRefused, match="damaged"):
            registry.current()
    registry.promote("mine")
    assert [event["what"] for event in registry.history()] == ["the record was damaged and is begun anew", "promoted"]


# --------------------------------------------------------------------------------------------- from elsewhere


@pytest.fixture
def weights(tiny) -> dict[str, torch.Tensor]:
    return load_file(tiny / "weights-0.safetensors")


def test_foreign_weights_of_either_kind_map_whole_and_score_as_they_did(run, tiny, weights, tmp_path):
    save_file(weights, tmp_path / "a.safetensors")
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}}
    torch.save(wrapped, tmp_path / "a.pt")
    before = Scorer.load(tiny).networks[0].state_dict()
    for name, file in (("one", "a.safetensors"), ("two", "a.pt")):
        told = ["models", "import", tmp_path / file, "--name", name, "--card", tiny / "card.json", "--home", tmp_path]
        code, out, err = run(*told)
        assert (code, out.strip()) == (0, str(tmp_path / "models" / name)), err
        scorer = Scorer.load(tmp_path / "models" / name)
        after = scorer.networks[0].state_dict()
        assert all(torch.equal(after[key], value) for key, value in before.items())
        assert 0 <= scorer.score([make_signal()])[0]["probability"] <= 1
    shown = run("models", "show", "two", "--home", tmp_path)[1]
    assert "IMPORTED: a.pt (torch)" in shown
    assert "never calibrated" in shown
    code, _, err = run("models", "promote", "two", "--home", tmp_path)
    assert code == 1
    assert "is not known" in one_line(err)


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "all"])
def test_weights_that_do_not_map_whole_are_refused_with_their_keys(run, tiny, weights, tmp_path, change):
    if change in ("missing", "all"):
        del weights["planet.bias"]
    if change in ("unknown", "all"):
        weights["attention.key"] = torch.zeros(2)
    if change in ("shape", "all"):
        weights["planet.weight"] = torch.zeros(1, 7)
    save_file(weights, tmp_path / "a.safetensors")
    told = ["models", "import", tmp_path / "a.safetensors", "--name", "x", "--card", tiny / "card.json"]
    code, out, err = run(*told, "--home", tmp_path)
    assert (code, out) == (1, "")
    line = one_line(err)
    assert ("1 missing (planet.bias)" in line) == (change in ("missing", "all"))
    assert ("1 unknown (attention.key)" in line) == (change in ("unknown", "all"))
    assert ("1 of another shape (planet.weight (1, 7), not (1," in line) == (change in ("shape", "all"))
    assert not (tmp_path / "models" / "x").exists()


class Trap:
    """Runs when unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return (Path.touch, (self.place,))


def test_a_pickle_posing_as_a_checkpoint_is_refused_and_never_run(run, tiny, tmp_path):
    sprung = tmp_path / "sprung"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "plain.safetensors").write_bytes(pickle.dumps({"a": Trap(sprung)}))
    torch.save({"state_dict": Trap(sprung)}, tmp_path / "zipped.pt")
    torch.save({"a": 3.0, "b": [1, 2]}, tmp_path / "numbers.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "zipped.pt").read_bytes()[:200])
    (tmp_path / "empty.pt").write_bytes(b"")
    words = {
        "plain.pt": "a pickle, which could run anything",
        "plain.safetensors": "a pickle, which could run anything",
        "zipped.pt": "holds more than tensors",
        "module.pt": "holds more than tensors",
        "numbers.pt": "holds others than tensors: a, b",
        "cut.pt": "no whole torch file",
        "empty.pt": "neither a safetensors nor a torch file",
        "absent.pt": "no such file",
    }
    for name, said in words.items():
        code, out, err = run(
            "models", "import", tmp_path / name, "--name", "x", "--card", tiny / "card.json", "--home", tmp_path
        )
        assert (code, out) == (1, ""), name
        assert said in one_line(err), name
    assert not sprung.exists()


def test_what_an_import_needs_is_said_in_one_line(run, tiny, weights, tmp_path):
    save_file(weights, tmp_path / "a.safetensors")
    (tmp_path / "bad.json").write_text("{}")
    told = ["models", "import", tmp_path / "a.safetensors", "--name"]
    card = ["--card", tiny / "card.json"]
    for rest, code, words in (
        (["x", "--card", tmp_path / "bad.json"], 1, "no card with an architecture"),
        (["x", "--card", tmp_path / "none.json"], 1, "no such file"),
        (["x", "--like", "nobody"], 1, "no model is called 'nobody'"),
        (["x", *card, "--like", "nobody"], 2, "give one"),
        (["../x", *card], 1, "cannot name a model"),
        (["x"], 1, "another architecture"),  # the shipped one, which is wider
    ):
        given, out, err = run(*told, *rest, "--home", tmp_path)
        assert (given, out) == (code, ""), rest
        assert words in one_line(err), rest


def test_a_flipped_byte_in_imported_weights_is_refused(tiny, tmp_path, weights):
    save_file(weights, tmp_path / "a.safetensors")
    registry = Registry(tmp_path / "models")
    folder = import_weights([tmp_path / "a.safetensors"], registry, "x", *describe(tiny / "card.json"), "tiny")
    assert read_checkpoint(folder / "weights-0.safetensors")[1] == "safetensors"
    data = bytearray((folder / "weights-0.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "weights-0.safetensors").write_bytes(data)
    with pytest.raises(ModelRefused, match=r"x: weights-0\.safetensors is not the file that was registered"):
        Scorer.load(folder)
    with pytest.raises(ModelRefused, match="not the file"):
        registry.promote("x", force="no reason is good enough")


# --------------------------------------------------------------------------------------------- a hunt under way


def test_a_model_promoted_while_a_hunt_runs_scores_its_next_targets(tiny, tmp_path):
    sky = make_sky(tmp_path / "sky", stars=3)
    home = tmp_path / "hunt"
    settings = make_settings(home, sky.folder, Path(), score__checkpoint="", compute__batch=1, hunt__threshold=1.0)
    registry = Registry(home / "models")
    first, second = put(registry, tiny, "first"), put(registry, tiny, "second")
    registry.promote("first")
    open_queued(settings).close()
    ended = []

    def report(kind: str, what: object) -> None:
        if kind == "ended":
            ended.append(what)
            if len(ended) == 1:
                registry.promote("second")
            if len(ended) == 2:
                registry.rollback()

    assert worker.work(settings, worker.Duty(report=report)) == 3
    assert {outcome for _, outcome, _ in ended} == {"CLEARED"}
    models = [model for (model,) in rows(home, "SELECT model FROM targets ORDER BY changed_at")]
    assert models == [verify_folder(first), verify_folder(second), verify_folder(first)]


def test_a_model_damaged_while_a_hunt_runs_holds_its_targets(tiny, tmp_path):
    sky = make_sky(tmp_path / "sky", stars=2)
    home = tmp_path / "hunt"
    settings = make_settings(home, sky.folder, Path(), score__checkpoint="", compute__batch=1, hunt__threshold=1.0)
    registry = Registry(home / "models")
    put(registry, tiny, "first")
    registry.promote("first")
    open_queued(settings).close()
    ended = []

    def report(kind: str, what: object) -> None:
        if kind == "ended":
            ended.append(what[1])
            (home / "models" / "current.json").write_text("{")

    assert worker.work(settings, worker.Duty(report=report)) == 2
    assert ended == ["CLEARED", "HELD"]
