"""Train, calibrate, judge and register a model: one call, the same result for the same seed on the same machine.

A run that is killed goes on from its last epoch and ends with the same weights: the order of rows, the augmentation
and dropout of an epoch are drawn from (seed, member, epoch), and the state of the optimiser is kept whole.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from models import calibrate, conformal, losses, networks
from models.augment import Augmentation, augment
from models.calibrate import Calibration
from models.datasets import (
    JUDGED,
    SHARES,
    SPLITS,
    Dataset,
    Labelled,
    folded_at_half,
    join_labelled,
    open_dataset,
    shows_its_dip,
    without_any_dip,
)
from models.evaluate import average_precision, precision_at, recall_at, report, rows_digest, strata
from models.fine_tune import Start, Tuner, Tuning, precision_of
from models.inputs import Preparation, fit_preparation, measure, raw_scalars, tensors
from models.registry import (
    CONFORMAL,
    STARS,
    WEIGHTS,
    ModelRefused,
    Registry,
    as_json,
    sync_folder,
    verify_folder,
    write_durably,
)
from models.resnet1d import parameters
from models.scorer import describe, load_network
from models.stack import STACK, TREES, Committee, Stack, fit_weighing
from models.trees import Growing, Trees, grow

VERSION = 2  # raised when the same recipe would give other weights


SETTLED = ("KP", "CP", "FP", "FA")  # what follow-up said


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights, besides the data and the seed."""

    name: str
    # of models.inputs.SCALARS, those that the labelled sets have with the meaning they have in a hunt
    scalars: tuple[str, ...] = (
        "log10_period",
        "log10_depth",
        "duration_over_period",
        "log10_snr",
        "tmag",
        "radius",
        "teff",
        "duration_ratio",
    )
    epochs: int = 10
    members: int = 4
    # epochs without a better average precision on the validation stars; 0: they are learnt from, and the last epoch is
    # kept
    patience: int = 0
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    positive_weight: float = 1.0  # 3 made no difference on the validation stars
    junk: float = 0.5  # share of the signals that are neither planet nor binary drawn in an epoch
    empty: float = 0.04  # simulated views without any dip beside the training rows, as a share of them
    settled: float = 3.0  # weight of what follow-up settled (KP, CP, FP, FA), beside that of a person's first look
    auxiliary: float = 0.3  # weight of telling the reasons apart
    # shares of planets the probabilities may be stated for; of them, the one with the best F1 at 0.85
    priors: tuple[float, ...] = (0.03, 0.1, 0.2, 0.5)
    held_out: tuple[int, ...] = JUDGED
    width: int = 8
    trees: int = 180  # rounds of boosting
    bins: int = 63  # that the trees tell apart in each number
    stacked: bool = True  # whether the trees beside the network weigh in, or are its baseline only
    augmentation: Augmentation = field(default_factory=Augmentation)
    architecture: str = "resnet1d"
    tuning: Tuning = field(default_factory=Tuning)


RECIPES = {"shipped": Recipe("shipped"), "quick": Recipe("quick", epochs=3, members=1, width=8)}


def train(
    data_folder: Path | Sequence[Path],
    out_registry: Path,
    *,
    recipe: str | Recipe = "shipped",
    seed: int = 0,
    epochs: int | None = None,
    members: int | None = None,
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    name: str | None = None,
) -> Path:
    """Train on the public labelled views and register the model; it does not serve before it is promoted.

    Parameters
    ----------
    data_folder : holds the npz sets and the list of TCEs, or a built set, or several of them; see
        ``datasets.open_dataset``
    out_registry : root of the registry that receives the model
    recipe : a name from RECIPES, or a Recipe
    seed, epochs, members : override the recipe's
    threads : of torch; the weights are reproducible for one number of threads
    progress : is called with a line after each epoch
    name : of the model; by default from the recipe and the digest of the run

    Returns
    -------
    Path
        Folder of the registered model. A run that was registered before is checked and returned at once.

    Raises
    ------
    ViewsRefused
        The data are lacking or not as described.
    ModelRefused
        The name is taken by another model.
    """
    chosen = RECIPES[recipe] if isinstance(recipe, str) else recipe
    chosen = replace(chosen, epochs=epochs or chosen.epochs, members=members or chosen.members)
    data = open_dataset(data_folder, chosen.held_out)
    return train_on(data, Path(out_registry), chosen, seed=seed, threads=threads, progress=progress, name=name)


def train_on(
    data: Dataset,
    out_registry: Path,
    recipe: Recipe,
    *,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    name: str | None = None,
    resamples: int = 300,
    start: Start | None = None,
    beside: Callable[[], dict[str, dict[str, Any]]] = dict,
) -> Path:
    """As ``train``, on rows already assembled.

    Parameters
    ----------
    start : the model whose weights are tuned further; ``recipe.tuning.parent`` holds its sha256
    beside : gives what else is to stand in the files, as ``{"card": {...}, "metrics": {...}}``; called last
    """
    started = time.process_time()
    run = hashlib.sha256(as_json([VERSION, data.id, asdict(recipe), seed, threads])).hexdigest()
    name = name or f"{recipe.architecture}-{recipe.name}-{run[:8]}"
    registry = Registry(out_registry)
    final = registry.root / name
    if final.exists():
        verify_folder(final)
        if json.loads((final / "card.json").read_bytes()).get("run") == run:
            return final
        raise ModelRefused(f"a model called {name} is registered already, from another run")
    work = registry.root / ".training" / run[:16]
    work.mkdir(parents=True, exist_ok=True)

    with pinned(threads):
        learning = learning_rows(data, recipe, seed)
        if start is None:
            preparation = fit_preparation(data.labelled.take(learnt_from(data, recipe)).rows, recipe.scalars)
            architecture = networks.design(recipe.architecture, preparation, recipe.width, learning.labelled)
            lengths = (architecture.global_length, architecture.local_length)
            preparation = replace(preparation, global_length=lengths[0], local_length=lengths[1])
        else:
            preparation, architecture = start.preparation, start.architecture
        for member in range(recipe.members):
            fit_member(work, learning, data, preparation, architecture, recipe, seed, member, progress, start)
        fitted = [load_network(work / WEIGHTS.format(k), architecture) for k in range(recipe.members)]

        progress("growing trees")
        trees = grow_trees(learning, preparation, recipe, seed)
        committee = weighed(data, fitted, preparation, architecture, trees)
        alone = Committee(fitted, preparation, architecture)
        committee, beside_it = (committee, alone) if recipe.stacked else (alone, committee)

        held = data.part("calibration")
        part = data.labelled.take(held)
        logits = committee.look(part.rows).planet
        calibration = calibrate.fit(logits, part.planet, 0.5, data.weight[held])
        choice = choice_of_prior(data, committee, calibration, recipe)
        stated = max(choice, key=lambda prior: (choice[prior]["f1"] or 0.0, -prior))
        calibration = replace(calibration, prior=stated)
        progress("calibrated; measuring on unseen stars")
        metrics = judge(data, committee, beside_it, calibration, recipe, seed, resamples)
        sets, metrics["conformal sets"] = conformal_sets(data, committee, calibration)
        metrics[f"choice of prior, on the {choosing(recipe)} stars"] = {f"{p:g}": row for p, row in choice.items()}

    card = {
        "name": name,
        "version": VERSION,
        "run": run,
        "recipe": asdict(recipe),
        "seed": seed,
        "threads": threads,
        "members": recipe.members,
        "parameters": parameters(fitted[0]),
        "trees": len(trees.output) if recipe.stacked else 0,
        "stack": None if committee.stack is None else asdict(committee.stack),
        "precision": precision_of(recipe.tuning),
        **describe(architecture, preparation),
        "data": {
            "id": data.id,
            "sets": list(data.sets),
            "test": rows_digest(data.labelled.take(data.part("test"))),
            "rows": {split: len(data.part(split)) for split in SPLITS},
            "planets": {split: int(data.labelled.planet[data.part(split)].sum()) for split in SPLITS},
            "dropped": data.notes,
            "simulated": "odd and even views of AstroNet rows, made from the measured view and its noise; "
            "binaries refolded at half their period; views without any dip",
            "left out of training": "planet rows whose view shows no dip (kept in validation, calibration and test)",
        },
        "split": {
            "rule": "sha256 of the smallest TIC of a connected group (one star; or neighbours within 0.1 deg "
            "whose period ratio is 1, 2 or 1/2 within 3e-4), over all sets",
            "shares": dict(zip(SPLITS, SHARES, strict=True)),
            "held_out": list(recipe.held_out),
        },
        "labels": "planet: PC, KP, CP; everything else is not, FP and FA of follow-up included",
        "reasons": list(networks.classes_of(architecture)),
        "absent reasons": list(networks.absent_classes(architecture)),
        "parent": None if start is None else {"name": start.name, "sha256": start.sha256},
        "calibration": calibration.to_json(),
        "prior": PRIOR_NOTE.format(calibration.training_prior, calibration.prior, choosing(recipe)),
        "limits": LIMITS,
        "synthetic": data.synthetic,
        "beats_baseline": metrics["beats_baseline"],
        "trained_cpu_seconds": round(time.process_time() - started),
        "code": code_digest(),
        "libraries": {"torch": torch.__version__, "numpy": np.__version__},
    }
    more = beside()
    card |= more.get("card", {})
    metrics |= more.get("metrics", {})
    stars = {
        split: np.unique(data.labelled.tic[data.part(split)]).astype(np.int64)
        for split in ("train", "validation", "calibration")
    }
    if start is not None:
        stars["parent"] = np.array(start.seen, dtype=np.int64)

    def fill(folder: Path) -> None:
        for k in range(recipe.members):
            shutil.copyfile(work / WEIGHTS.format(k), folder / WEIGHTS.format(k))
        (folder / "card.json").write_bytes(as_json(card))
        (folder / "calibration.json").write_bytes(as_json(calibration.to_json()))
        (folder / CONFORMAL).write_bytes(as_json(sets.to_json()))
        (folder / "metrics.json").write_bytes(as_json(metrics))
        (folder / STARS).write_bytes(save_arrays(stars))
        if committee.trees is not None and committee.stack is not None:
            (folder / TREES).write_bytes(save_arrays(committee.trees.arrays()))
            (folder / STACK).write_bytes(as_json(asdict(committee.stack)))

    folder = registry.register(name, fill)
    shutil.rmtree(work)
    sync_folder(work.parent)
    progress(f"registered {name}")
    return folder


LIMITS = (
    "Trained on folded views of real TESS signals from two pipelines (QLP 30-minute S1-S5 and SPOC 2-minute), labelled "
    "by people in 2019 and by TFOPWG in 2020: a candidate of 2019 need not be a planet, junk of 2019 need not be none. "
    "Reads no centroid, no pixels and no vetting sigma: a blend that looks like a transit passes. Odd-even depth is "
    "read from the views; its training is partly simulated. Periods over 50 days and cadences under 2 minutes were "
    "never seen. Eclipses of equal depth at half the true period cannot be told from a planet but by depth and shape."
)
PRIOR_NOTE = (
    "The calibration stars hold {:.3f} planets per signal (weighted per star); probabilities are stated for {:g}: of "
    "the candidate priors, the one with the best F1 at a threshold of 0.85 on the {} stars (table in "
    "metrics.json). Stated for the share of planets that a wide hunt really holds (0.03 to 0.1), hardly any single "
    "signal can reach 0.85. metrics.json has precision and recall at 0.5 and 0.85 for each prior, in the mix of the "
    "test stars and where the stated share are planets."
)


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """A fixed number of torch threads and deterministic kernels, as they were before afterwards."""
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    # the same switch as use_deterministic_algorithms, which imports torch's compiler: seconds for what is never used
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """The rows that are learnt from."""

    labelled: Labelled
    weight: NDArray[np.float64]  # (n,) of each row in the loss
    share: NDArray[np.float64]  # (n,) chance of being drawn in an epoch


def choosing(recipe: Recipe) -> str:
    """The split on which a choice between finished models may be made."""
    return "validation" if recipe.patience else "calibration"


def learnt_from(data: Dataset, recipe: Recipe) -> NDArray[np.int64]:
    """Indices of the rows that are learnt from."""
    return data.part("train") if recipe.patience else data.part("train", "validation")


def learning_rows(data: Dataset, recipe: Recipe, seed: int = 0) -> Learning:
    """The training stars without planets whose view is empty, with refolded binaries and simulated empty views."""
    index = learnt_from(data, recipe)
    index = index[~data.labelled.planet[index] | shows_its_dip(data.labelled.rows.take(index))]
    labelled, weight = data.labelled.take(index), data.weight[index]
    weight = weight * np.where(np.isin(labelled.disposition, SETTLED), recipe.settled, 1.0)
    halves = folded_at_half(labelled)
    empty = without_any_dip(labelled, round(recipe.empty * len(labelled)), np.random.default_rng([seed, 1]))
    labelled = join_labelled([labelled, halves, empty])
    weight = np.concatenate([weight, np.ones(len(halves) + len(empty))])
    # a star's repeats take turns, two of them in an epoch; so does plentiful junk, and weighs the more
    share = np.minimum(1.0, 2 * weight) * np.where(np.isin(labelled.reason, (0, 1)), 1.0, recipe.junk)
    return Learning(labelled, weight / share, share)


def fit_member(
    work: Path,
    learning: Learning,
    data: Dataset,
    preparation: Preparation,
    architecture: Any,
    recipe: Recipe,
    seed: int,
    member: int,
    progress: Callable[[str], None],
    start: Start | None = None,
) -> None:
    """Train one network from where it was left and leave its weights, in half precision, in ``work``.

    They are those of the best epoch on the validation stars, or of the last one where the recipe has no patience.
    """
    final, kept = work / WEIGHTS.format(member), work / f"epoch-{member}.safetensors"
    if final.exists():
        return
    torch.manual_seed(_seed(seed, member))
    network = networks.build(architecture)
    tuner = Tuner(recipe.tuning, network, architecture, start, member)
    told = networks.allowed(networks.classes_of(architecture), learning.labelled)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    per_epoch = int(np.ceil(learning.share.sum() / recipe.batch))
    best: dict[str, torch.Tensor] = {}
    done, best_value, best_epoch = 0, -1.0, 0
    if kept.exists():
        done, best_value, best_epoch, best = _restore(kept, network, optimiser)
    held = data.part("validation") if recipe.patience else np.zeros(0, dtype=np.int64)
    examined, weight = data.labelled.take(held), data.weight[held]

    for epoch in range(done, recipe.epochs):
        if recipe.patience and epoch - best_epoch > recipe.patience:
            break
        generator = np.random.default_rng([seed, member, epoch])
        torch.manual_seed(_seed(seed, member, epoch))
        drawn = np.flatnonzero(generator.random(len(learning.share)) < learning.share)
        generator.shuffle(drawn)
        tuner.begin(epoch)
        total = 0.0
        for number, first in enumerate(range(0, len(drawn) - 1, recipe.batch)):
            index = drawn[first : first + recipe.batch]
            if len(index) < 2:  # a batch of one has no spread to normalise by
                continue
            rate, momentum = tuner.rate(
                min(epoch * per_epoch + number, recipe.epochs * per_epoch),
                recipe.epochs * per_epoch,
                recipe.learning_rate,
            )
            for group in optimiser.param_groups:
                group["lr"], group["betas"] = rate, (momentum, 0.999)
            total += _step(tuner, optimiser, learning, told, index, preparation, recipe, generator) * len(index)
        said = f"member {member + 1}/{recipe.members} epoch {epoch + 1}/{recipe.epochs} loss {total / len(drawn):.4f}"
        value = best_value
        if recipe.patience:
            raw = Committee([tuner.at_home()], preparation, architecture).look(examined.rows).planet
            value = average_precision(examined.planet, raw, weight)
            if not np.isfinite(value):
                raise ValueError("the validation stars hold no planets, so no epoch can be preferred")
        if value >= best_value:  # of equals the later: it has learnt longer
            best_value, best_epoch = value, epoch
            best = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        _keep(kept, network, optimiser, best, epoch + 1, best_value, best_epoch)
        progress(f"{said} validation AP {value:.4f} (best {best_value:.4f})" if recipe.patience else said)
    write_durably(final, save_tensors({key: _half(key, tensor) for key, tensor in best.items()}))


def _step(tuner: Tuner, optimiser, learning: Learning, told, index, preparation, recipe: Recipe, generator) -> float:
    """One step of the optimiser; returns the loss."""
    binary = learning.labelled.reason[index] == 1
    rows = augment(learning.labelled.rows.take(index), binary, recipe.augmentation, generator)
    inputs = tuner.tensors(*tensors(rows, preparation))
    truth, weight, allowed = tuner.tensors(
        learning.labelled.planet[index].astype(np.float32), learning.weight[index].astype(np.float32), told[index]
    )
    with tuner.autocast():
        planet, classes = tuner.network(*inputs)
    loss = losses.of_planet(recipe.tuning.loss, planet.float(), truth, weight, recipe.positive_weight)
    loss = loss + recipe.auxiliary * losses.of_classes(classes.float(), allowed, weight)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(tuner.network.parameters(), 5.0)
    optimiser.step()
    return float(loss.detach())


def code_digest() -> str:
    """sha256 of the code that made a model: every file of this package, by name."""
    total = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        total.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


def _half(key: str, tensor: torch.Tensor) -> torch.Tensor:
    """Kernels in half precision, norms and biases whole."""
    return tensor.half().contiguous() if tensor.dim() > 1 else tensor.contiguous()


def _keep(path: Path, network, optimiser, best, done: int, best_value: float, best_epoch: int) -> None:
    """Everything the next epoch needs, in one file."""
    stored = {f"network.{key}": tensor for key, tensor in network.state_dict().items()}
    stored |= {f"best.{key}": tensor for key, tensor in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        stored |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
    about = {"done": str(done), "best_value": repr(best_value), "best_epoch": str(best_epoch)}
    write_durably(path, save_tensors({k: v.detach().clone().contiguous() for k, v in stored.items()}, about))


def _restore(path: Path, network, optimiser) -> tuple[int, float, int, dict[str, torch.Tensor]]:
    with safe_open(path, framework="pt") as stored:
        about = stored.metadata()
        everything = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
    parts: dict[str, dict] = {"network": {}, "best": {}, "optimiser": {}}
    for key, tensor in everything.items():
        head, rest = key.split(".", 1)
        parts[head][rest] = tensor
    network.load_state_dict(parts["network"])
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in parts["optimiser"].items():
        number, what = key.split(".", 1)
        states.setdefault(int(number), {})[what] = tensor
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(about["done"]), float(about["best_value"]), int(about["best_epoch"]), parts["best"]


def numbers_of(labelled: Labelled, preparation: Preparation) -> NDArray[np.float64]:
    """What the trees see: the scalars and what is measured on the views, (n, k), NaN where unknown."""
    return raw_scalars(labelled.rows, preparation.scalars, measure(labelled.rows)[0])


def grow_trees(learning: Learning, preparation: Preparation, recipe: Recipe, seed: int) -> Trees:
    """Trees for planets, and for eclipses of any kind; what nobody told an eclipse from none teaches the first only."""
    labelled, weight = learning.labelled, learning.weight * learning.share
    truths = (labelled.planet, np.isin(labelled.reason, (0, 1)))
    return grow(
        numbers_of(labelled, preparation),
        truths,
        (weight, np.where(labelled.reason >= 0, weight, 0.0)),
        Growing(rounds=recipe.trees, bins=recipe.bins),
        seed,
    )


def weighed(data: Dataset, fitted, preparation: Preparation, architecture: Any, trees: Trees) -> Committee:
    """Networks and trees, weighed on the calibration stars."""
    held = data.part("calibration")
    part, weight = data.labelled.take(held), data.weight[held]
    known = part.reason >= 0
    seen = Committee(fitted, preparation, architecture).look(part.rows)
    grown = trees.logits(numbers_of(part, preparation))
    stack = Stack(
        fit_weighing(seen.networks, grown[0], part.planet, weight),
        fit_weighing(seen.networks_eclipse[known], grown[1][known], np.isin(part.reason, (0, 1))[known], weight[known]),
    )
    return Committee(fitted, preparation, architecture, trees, stack)


def choice_of_prior(
    data: Dataset, committee: Committee, calibration: Calibration, recipe: Recipe
) -> dict[float, dict[str, float | None]]:
    """Precision, recall and F1 at 0.85 for each prior the probabilities might be stated for."""
    held = data.part(choosing(recipe))
    part, weight = data.labelled.take(held), data.weight[held]
    raw = committee.look(part.rows).planet
    table: dict[float, dict[str, float | None]] = {}
    for prior in recipe.priors:
        score = calibration.probability(raw, prior)
        precision = precision_at(0.85)(part.planet, score, weight)
        recall = recall_at(0.85)(part.planet, score, weight)
        known = np.isfinite(precision) and precision + recall > 0
        table[prior] = {
            "precision": round(precision, 4) if known else None,
            "recall": round(recall, 4) if np.isfinite(recall) else None,
            "f1": round(2 * precision * recall / (precision + recall), 4) if known else None,
        }
    return table


def judge(
    data: Dataset,
    committee: Committee,
    beside_it: Committee,
    calibration: Calibration,
    recipe: Recipe,
    seed: int,
    resamples: int = 300,
) -> dict[str, Any]:
    """The figures of what serves, on the test stars, and of networks and trees each on their own.

    Parameters
    ----------
    committee : what serves
    beside_it : the same networks with trees where those don't serve, or without where they do
    calibration : of what serves
    """
    test, held = data.part("test"), data.part("calibration")
    part, weight, group = data.labelled.take(test), data.weight[test], data.group[test]
    both = committee if committee.trees is not None else beside_it
    seen, fitted = both.look(part.rows), both.look(data.labelled.take(held).rows)
    assert seen.trees is not None
    assert fitted.trees is not None

    def figures(raw: NDArray, eclipse: NDArray, calibrated: Calibration) -> dict[str, Any]:
        probability = calibrated.probability(raw, calibrated.training_prior)
        shared = calibrated.training_prior, calibrate.sigmoid(eclipse), group, weight, recipe.priors, resamples
        return report(part, probability, *shared)

    def calibrated(raw: NDArray) -> Calibration:
        return calibrate.fit(raw, data.labelled.planet[held], calibration.prior, data.weight[held])

    found = {
        "stack": figures(seen.planet, seen.eclipse, calibrated(fitted.planet)),
        "network": figures(seen.networks, seen.networks_eclipse, calibrated(fitted.networks)),
        "gradient-boosted trees": figures(seen.trees[0], seen.trees[1], calibrated(fitted.trees[0])),
    }
    serves = "stack" if recipe.stacked else "network"
    if not recipe.stacked:
        found.pop("stack")
    mine, theirs = (found[who]["planet against all"]["ap"]["value"] for who in (serves, "gradient-boosted trees"))
    raw = seen.planet if recipe.stacked else seen.networks
    probability = calibration.probability(raw, calibration.training_prior)
    found[serves] |= strata(part, probability, group, resamples)
    return {
        "on": f"{len(test)} rows of {len(np.unique(group))} groups of stars that trained and calibrated nothing; "
        "95 % bootstrap over groups; real data",
        "serves": serves,
        **found,
        "beats_baseline": bool(mine is not None and theirs is not None and mine > theirs),
        "SIMULATED, views without any dip": of_empty_views(part, committee, calibration, seed),
    }


def conformal_sets(
    data: Dataset, committee: Committee, calibration: Calibration
) -> tuple[conformal.Conformal, dict[str, Any]]:
    """Sets from the calibration stars, and how often they hold the truth of the test stars."""

    def scored(split: str) -> tuple[NDArray, NDArray, NDArray]:
        index = data.part(split)
        part = data.labelled.take(index)
        raw = committee.look(part.rows).planet
        return calibration.probability(raw, calibration.training_prior), part.planet, data.weight[index]

    sets = conformal.fit(*scored("calibration"))
    return sets, {"promised": 1 - sets.alpha} | conformal.coverage(sets, *scored("test"))


def of_empty_views(part: Labelled, committee: Committee, calibration: Calibration, seed: int) -> dict:
    """How the model scores views of nothing but noise that carry the scalars of the test stars' signals."""
    empty = without_any_dip(part, 500, np.random.default_rng([seed, 2]))
    score = calibration.probability(committee.look(empty.rows).planet)
    over = {f"share over {threshold:g}": round(float((score > threshold).mean()), 4) for threshold in (0.5, 0.85)}
    return {"stated for a prior of": calibration.prior, "n": 500, "median": round(float(np.median(score)), 4)} | over
