"""A small network that has learnt to say what a large model says: one file of some 40 kB, in place of megabytes.

Distillation (Hinton, Vinyals & Dean 2015, arXiv:1503.02531): beside the labels, the student is taught its teacher's
logit and shares of the classes, on the training stars in ever new versions. Then batch-norms are folded into the
kernels before them, and kernels are rounded to 8 bits with a scale for each output channel; biases stay whole. It is
registered, checked, calibrated and asked like any other model, through the same door; the card names its teacher.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from models.datasets import Dataset, Labelled
    from models.scorer import Scorer

VERSION = 1  # raised when the same teacher and data would give other weights
STEM = {"global": 67, "local": 61}  # points that the stem leaves of a view, about
ECLIPSES = ("planet", "eclipsing_binary", "wrong_period", "blend")  # of the classes, those that are eclipses


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything needed to build the network again; kept in the card."""

    scalars: int  # length of the scalar input, values and missing bits
    global_length: int
    local_length: int
    classes: tuple[str, ...]  # the teacher's, in its order
    absent: tuple[str, ...] = ()  # of these: never shown to the teacher
    width: int = 8  # channels of the stems
    numbers: int = 32  # units of the scalar branch
    head: int = 32
    name: str = "student"


@dataclass(frozen=True, slots=True)
class Lesson:
    """How a student is taught."""

    epochs: int = 30
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3
    hard: float = 0.3  # weight of the labels beside the teacher's opinion
    classes: float = 0.2  # weight of the teacher's shares of the classes
    temperature: float = 2.0  # of the teacher's opinion: what it finds improbable is taught too
    furthest: float = 8.0  # log odds; beyond, one opinion is as certain as another


class Whole(nn.Module):
    """A convolution or a linear layer with its batch-norm, as it learns."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.layer: Any
        self.norm: Any
        if kernel:
            self.layer = nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
            self.norm = nn.BatchNorm1d(channels_out)
        else:
            self.layer, self.norm = nn.Linear(channels_in, channels_out), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(x))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of one layer that does the same in use."""
        weight = self.layer.weight.detach()
        if not self.kernel:
            return weight, self.layer.bias.detach()
        norm = self.norm
        gain = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        return weight * gain[:, None, None], norm.bias.detach() - norm.running_mean * gain


class Rounded(nn.Module):
    """The same layer in use: 8 bits a weight, a scale for each output channel, whole biases."""

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        shape = (channels_out, channels_in, kernel) if kernel else (channels_out, channels_in)
        self.register_buffer("weight", torch.zeros(shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(channels_out))
        self.register_buffer("bias", torch.zeros(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.float() * self.scale.reshape(-1, *([1] * (self.weight.dim() - 1)))
        if self.kernel:
            return functional.conv1d(x, weight, self.bias, self.stride, self.kernel // 2)
        return functional.linear(x, weight, self.bias)


class Branch(nn.Module):
    """A stem, and two stages that halve the length and double the channels; mean and maximum of each channel."""

    def __init__(self, layer: type, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.stem = layer(channels, width, 2 * stride + 5, stride)
        self.first, self.first_more = layer(width, 2 * width, 5, 2), layer(2 * width, 2 * width, 5, 1)
        self.second, self.second_more = layer(2 * width, 4 * width, 5, 2), layer(4 * width, 4 * width, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.relu(self.first(x))
        x = functional.relu(x + self.first_more(x))
        x = functional.relu(self.second(x))
        x = functional.relu(x + self.second_more(x))
        return torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)  # (n, 8 width)


class Body(nn.Module):
    """The network, made of one sort of layer or the other."""

    layer: type = Whole

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        strides = {"global": a.global_length // STEM["global"], "local": a.local_length // STEM["local"]}
        self.whole = Branch(self.layer, 2, a.width, max(1, strides["global"]))
        self.close = Branch(self.layer, 8, a.width, max(1, strides["local"]))
        self.numbers, self.numbers_more = self.layer(a.scalars, a.numbers, 0, 1), self.layer(a.numbers, a.numbers, 0, 1)
        self.head = self.layer(16 * a.width + a.numbers, a.head, 0, 1)
        self.planet, self.reason = self.layer(a.head, 1, 0, 1), self.layer(a.head, len(a.classes), 0, 1)
        known = torch.tensor([float("-inf") if name in a.absent else 0.0 for name in a.classes])
        self.register_buffer("known", known, persistent=False)

    def forward(self, whole: Tensor, close: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Score a batch.

        Parameters
        ----------
        whole : (n, 2, global_length), close : (n, 8, local_length), scalars : (n, architecture.scalars)

        Returns
        -------
        planet : (n,) logit; classes : (n, k) logits in the order of the architecture, -inf for those that are absent
        """
        numbers = functional.relu(self.numbers_more(functional.relu(self.numbers(scalars))))
        seen = torch.cat([self.whole(whole), self.close(close), numbers], dim=1)
        hidden = functional.relu(self.head(seen))
        return self.planet(hidden).squeeze(1), self.reason(hidden) + self.known


class Learner(Body):
    """The student as it learns, in 32 bits."""


class Student(Body):
    """The student in use, in 8 bits."""

    layer = Rounded


def rounded(learner: Learner, architecture: Architecture) -> Student:
    """Fold the batch-norms and round the weights; the largest of each output channel becomes 127."""
    student = Student(architecture)
    into = dict(student.named_modules())
    for name, part in learner.named_modules():
        if not isinstance(part, Whole):
            continue
        weight, bias = part.folded()
        largest = weight.abs().flatten(1).amax(dim=1)
        scale = torch.where(largest > 0, largest, torch.ones_like(largest)) / 127
        target = into[name]
        assert isinstance(target, Rounded)
        target.weight.copy_(torch.round(weight / scale.reshape(-1, *([1] * (weight.dim() - 1)))))
        target.scale.copy_(scale)
        target.bias.copy_(bias)
    return student.eval()


def teach(
    teacher: "Scorer",
    learning: Any,
    architecture: Architecture,
    lesson: Lesson = Lesson(),
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Learner:
    """Teach a new student on rows that taught the teacher.

    Parameters
    ----------
    teacher : Scorer
        Asked anew for each version of a row.
    learning : train.Learning
        The rows, their weights and chances.
    """
    from models.augment import Augmentation, augment
    from models.fine_tune import one_cycle
    from models.inputs import tensors

    torch.manual_seed(_seed(seed))
    learner = Learner(architecture)
    optimiser = torch.optim.AdamW(learner.parameters(), lr=lesson.learning_rate, weight_decay=lesson.weight_decay)
    per_epoch = int(np.ceil(learning.share.sum() / lesson.batch))
    settings = Augmentation()
    for epoch in range(lesson.epochs):
        generator = np.random.default_rng([seed, epoch])
        drawn = np.flatnonzero(generator.random(len(learning.share)) < learning.share)
        generator.shuffle(drawn)
        rows = augment(learning.labelled.rows.take(drawn), learning.labelled.reason[drawn] == 1, settings, generator)
        logits, shares = teacher.logits(rows)
        soft = torch.from_numpy(np.clip(logits.mean(axis=0), -lesson.furthest, lesson.furthest).astype(np.float32))
        told = torch.from_numpy(shares.astype(np.float32))
        truth = torch.from_numpy(learning.labelled.planet[drawn].astype(np.float32))
        weight = torch.from_numpy(learning.weight[drawn].astype(np.float32))
        learner.train()
        total = 0.0
        for number, first in enumerate(range(0, len(drawn) - 1, lesson.batch)):
            part = slice(first, first + lesson.batch)
            if len(drawn[part]) < 2:  # a batch of one has no spread to normalise by
                continue
            step = min(epoch * per_epoch + number, lesson.epochs * per_epoch)
            rate, momentum = one_cycle(step, lesson.epochs * per_epoch, lesson.learning_rate)
            for group in optimiser.param_groups:
                group["lr"], group["betas"] = rate, (momentum, 0.999)
            inputs = tensors(rows.take(part), teacher.preparation)
            planet, classes = learner(*(torch.from_numpy(array) for array in inputs))
            loss = distance(planet, classes, soft[part], told[part], truth[part], weight[part], lesson)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
            optimiser.step()
            total += float(loss.detach()) * len(drawn[part])
        progress(f"student epoch {epoch + 1}/{lesson.epochs} loss {total / max(len(drawn), 1):.4f}")
    return learner.eval()


def distance(
    planet: Tensor, classes: Tensor, soft: Tensor, told: Tensor, truth: Tensor, weight: Tensor, lesson: Lesson
) -> Tensor:
    """How far a student is from its teacher and from the labels.

    Parameters
    ----------
    planet : (n,) logit; classes : (n, k) logits: the student's
    soft : (n,) logit; told : (n, k) shares of the classes: the teacher's
    truth, weight : (n,)
    """
    warm = lesson.temperature
    binary = functional.binary_cross_entropy_with_logits
    follow = binary(planet / warm, torch.sigmoid(soft / warm), weight=weight, reduction="sum") / weight.sum()
    hard = binary(planet, truth, weight=weight, reduction="sum") / weight.sum()
    shares = functional.log_softmax(classes, dim=1)
    apart = torch.where(told > 0, told * shares, torch.zeros_like(told)).sum(dim=1)  # absent classes have no share
    named = -(apart * weight).sum() / weight.sum()
    return warm**2 * (1 - lesson.hard) * follow + lesson.hard * hard + lesson.classes * named


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.sha256(repr(("student", *parts)).encode()).digest()[:7], "big")


def train_student(
    teacher_folder: Path,
    data_folder: Path,
    out_registry: Path,
    *,
    lesson: Lesson | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    name: str | None = None,
) -> Path:
    """Distil a registered model into a student and register that; it does not serve before it is promoted.

    Parameters
    ----------
    teacher_folder : of the teacher
    data_folder : as for ``train.train``: the sets the teacher learnt from
    out_registry : root of the registry that receives the student
    lesson : how it is taught
    seed, threads : of torch
    progress : is called with a line after each epoch
    name : of the student; by default ``student-of-`` the teacher and the digest of the run

    Returns
    -------
    Path
        Folder of the registered model. A run that was registered before is checked and returned at once.

    Raises
    ------
    ModelRefused
        The teacher can't be used, learnt from stars it would be judged on here, or the name is taken.
    ViewsRefused
        The data are lacking or not as described.
    """
    from models.datasets import JUDGED, open_dataset
    from models.scorer import Scorer

    teacher = Scorer.load(Path(teacher_folder))
    data = open_dataset(data_folder, JUDGED)
    return student_on(
        teacher,
        data,
        out_registry,
        lesson=lesson,
        seed=seed,
        threads=threads,
        progress=progress,
        name=name,
        baseline=baseline_of(Path(teacher_folder), data),
    )


def baseline_of(teacher_folder: Path, data: "Dataset") -> dict[str, Any] | None:
    """The figures of the trees that were grown beside a teacher, where they were judged on the same rows as these."""
    from models.evaluate import rows_digest
    from models.gates import BASELINE
    from models.registry import read_json

    test = read_json(teacher_folder, "card.json").get("data", {}).get("test")
    same = test is not None and test == rows_digest(data.labelled.take(data.part("test")))
    return read_json(teacher_folder, "metrics.json").get(BASELINE) if same else None


def student_on(
    teacher: "Scorer",
    data: "Dataset",
    out_registry: Path,
    *,
    lesson: Lesson | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] = lambda line: None,
    name: str | None = None,
    resamples: int = 300,
    baseline: dict[str, Any] | None = None,
) -> Path:
    """As :func:`train_student`, on rows already assembled; ``baseline`` from :func:`baseline_of`."""
    from safetensors.numpy import save as save_arrays
    from safetensors.torch import save as save_tensors

    from models.datasets import SPLITS
    from models.evaluate import rows_digest
    from models.registry import CONFORMAL, STARS, WEIGHTS, ModelRefused, Registry, as_json, read_json, verify_folder
    from models.scorer import describe
    from models.train import RECIPES, code_digest, learning_rows, pinned

    started = time.process_time()
    lesson = lesson or Lesson()
    judged = data.part("test")
    known = np.isin(data.labelled.tic[judged], teacher.seen)
    if known.any():
        raise ModelRefused(
            f"{teacher.name} learnt from {len(np.unique(data.labelled.tic[judged][known]))} of the stars on which its "
            "student would be judged: give the data that it was trained on"
        )
    run = hashlib.sha256(as_json([VERSION, teacher.sha256, data.id, asdict(lesson), seed, threads])).hexdigest()
    name = name or f"student-of-{teacher.name}-{run[:8]}"
    registry = Registry(out_registry)
    if (registry.root / name).exists():
        verify_folder(registry.root / name)
        if read_json(registry.root / name, "card.json").get("run") == run:
            return registry.root / name
        raise ModelRefused(f"a model called {name} is registered already, from another run")

    preparation = teacher.preparation
    architecture = Architecture(
        scalars=preparation.width,
        global_length=preparation.global_length,
        local_length=preparation.local_length,
        classes=tuple(teacher.classes),
        absent=tuple(teacher.absent),
    )
    with pinned(threads):
        learner = teach(teacher, learning_rows(data, RECIPES["shipped"], seed), architecture, lesson, seed, progress)
        student = rounded(learner, architecture)
        progress("rounded; measuring on unseen stars")
        calibration, sets, metrics = judge(data, teacher, learner, student, architecture, baseline, resamples)
    weights = save_tensors({key: tensor.contiguous() for key, tensor in student.state_dict().items()})
    files = {
        WEIGHTS.format(0): weights,
        "calibration.json": as_json(calibration.to_json()),
        CONFORMAL: as_json(sets.to_json()),
    }
    card = {
        "name": name,
        "version": VERSION,
        "run": run,
        "student_of": {"name": teacher.name, "sha256": teacher.sha256},
        "parent": {"name": teacher.name, "sha256": teacher.sha256},
        "lesson": asdict(lesson),
        "seed": seed,
        "threads": threads,
        "members": 1,
        "parameters": sum(p.numel() for p in learner.parameters()),
        "precision": "8-bit weights, a scale for each output channel, 32-bit biases; batch-norms folded",
        "bytes": {"weights": len(weights), "weights and calibration": sum(len(part) for part in files.values())},
        **describe(architecture, preparation),
        "data": {
            "id": data.id,
            "sets": list(data.sets),
            "test": rows_digest(data.labelled.take(judged)),
            "rows": {split: len(data.part(split)) for split in SPLITS},
            "planets": {split: int(data.labelled.planet[data.part(split)].sum()) for split in SPLITS},
            "dropped": data.notes,
        },
        "reasons": list(architecture.classes),
        "absent reasons": list(architecture.absent),
        "calibration": calibration.to_json(),
        "limits": "Those of its teacher, and it says nothing of how far several networks would disagree.",
        "synthetic": data.synthetic,
        "beats_baseline": metrics["beats_baseline"],
        "trained_cpu_seconds": round(time.process_time() - started),
        "code": code_digest(),
        "libraries": {"torch": torch.__version__, "numpy": np.__version__},
    }
    stars = {split: np.unique(data.labelled.tic[data.part(split)]).astype(np.int64) for split in LEARNT}
    stars["teacher"] = np.array(teacher.seen, dtype=np.int64)

    def fill(folder: Path) -> None:
        for file, content in files.items():
            (folder / file).write_bytes(content)
        (folder / "card.json").write_bytes(as_json(card))
        (folder / "metrics.json").write_bytes(as_json(metrics))
        (folder / STARS).write_bytes(save_arrays(stars))

    folder = registry.register(name, fill)
    progress(f"registered {name}")
    return folder


LEARNT = ("train", "validation", "calibration")


def judge(
    data: "Dataset",
    teacher: "Scorer",
    learner: Learner,
    student: Student,
    architecture: Architecture,
    baseline: dict[str, Any] | None = None,
    resamples: int = 300,
) -> tuple[Any, Any, dict[str, Any]]:
    """Calibrate on the calibration stars, and measure student and teacher side by side on the test stars.

    Returns
    -------
    Calibration, Conformal, metrics
    """
    from models import calibrate, conformal
    from models.evaluate import average_precision, report, roc_auc, strata, with_interval
    from models.gates import BASELINE, HEADLINE, value_of
    from models.scorer import Scorer

    def look(network: Body, part: "Labelled") -> tuple[np.ndarray, np.ndarray]:
        scorer = Scorer("", "", [network], teacher.preparation, teacher.calibration, architecture=architecture)
        logits, classes = scorer.logits(part.rows)
        return logits[0], classes

    held, test = data.part("calibration"), data.part("test")
    fitted, part = data.labelled.take(held), data.labelled.take(test)
    weight, group = data.weight[test], data.group[test]
    raw_fitted = look(student, fitted)[0]
    calibration = calibrate.fit(raw_fitted, fitted.planet, teacher.calibration.prior, data.weight[held])

    def plain(raw: np.ndarray) -> np.ndarray:
        return calibration.probability(raw, calibration.training_prior)

    sets = conformal.fit(plain(raw_fitted), fitted.planet, data.weight[held])
    raw, classes = look(student, part)
    whole, _ = look(learner, part)
    said, said_classes = teacher.logits(part.rows)
    said = said.mean(axis=0)
    eclipses = np.isin(architecture.classes, ECLIPSES)
    eclipse, said_eclipse = classes[:, eclipses].sum(axis=1), said_classes[:, eclipses].sum(axis=1)
    mine = report(part, plain(raw), calibration.training_prior, eclipse, group, weight, resamples=resamples)
    mine |= strata(part, plain(raw), group, resamples)
    ap, trees = value_of(mine, HEADLINE, "ap"), value_of(baseline or {}, HEADLINE, "ap")
    astronet = (part.source == "astronet") & (part.reason >= 0)
    eclipsing = np.isin(part.reason, (0, 1))

    def beside(metric: Any, rows: np.ndarray, truth: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict:
        def loss(t: np.ndarray, s: np.ndarray, w: np.ndarray) -> float:
            return float(metric(t, theirs[rows], w) - metric(t, s, w))

        shared = group[rows], None, resamples
        return {
            "student": with_interval(metric, truth[rows], ours[rows], *shared),
            "teacher": with_interval(metric, truth[rows], theirs[rows], *shared),
            "lost": with_interval(loss, truth[rows], ours[rows], *shared),
        }

    every = np.ones(len(part), dtype=bool)
    compared = {
        "planet against all": {
            "auc": beside(roc_auc, every, part.planet, raw, said),
            "ap": beside(average_precision, every, part.planet, raw, said),
        },
        "eclipse against junk, AstroNet": {
            "auc": beside(roc_auc, astronet, eclipsing, eclipse, said_eclipse),
            "ap": beside(average_precision, astronet, eclipsing, eclipse, said_eclipse),
        },
        "lost by rounding, planet against all": {"auc": beside(roc_auc, every, part.planet, raw, whole)["lost"]},
    }
    return (
        calibration,
        sets,
        {
            "on": f"{len(test)} rows of {len(np.unique(group))} groups of stars that trained and calibrated neither; "
            "95 % bootstrap over groups, in pairs where two are compared; real data",
            "serves": "network",
            "network": mine,
            "beside its teacher": compared,
            **({} if baseline is None else {BASELINE: baseline}),
            "conformal sets": {"promised": 1 - sets.alpha} | conformal.coverage(sets, plain(raw), part.planet, weight),
            "beats_baseline": ap is not None and trees is not None and ap > trees,
        },
    )
