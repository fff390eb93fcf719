"""How a network is taught: from which weights it starts, which of its layers learn when, how fast, how precisely.

A plain training starts from nothing and lets everything learn. Fine-tuning starts from another model's weights: for
the first epochs only the head learns, which would otherwise send noise into layers that know something already; then
the blocks next to it learn too, slowly; what lies deeper stays as it was.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from models import networks
from models.datasets import Dataset
from models.inputs import Preparation
from models.losses import Loss
from models.registry import WEIGHTS, ModelRefused, read_json, sha256_of, verify_folder

Schedule = Literal["one-cycle", "cosine", "constant"]
SCHEDULES: tuple[Schedule, ...] = ("one-cycle", "cosine", "constant")


@dataclass(frozen=True, slots=True)
class Tuning:
    """What of the teaching is not the plain recipe; part of it, so that another value makes another model."""

    parent: str = ""  # sha256 of the model whose weights it starts from
    freeze_epochs: int = 0  # in which only the head learns
    unfreeze_blocks: int | None = None  # how many blocks next to the head learn afterwards; None: all of them
    amp: bool = False  # half precision where it loses nothing
    device: str = "cpu"
    schedule: Schedule = "one-cycle"
    loss: Loss = "bce"


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Another model, to start from: its network's weights, and how it wants its inputs."""

    name: str
    sha256: str
    architecture: Any
    preparation: Preparation
    weights: tuple[dict[str, torch.Tensor], ...]  # of its members
    seen: tuple[int, ...] = field(default=(), repr=False)  # stars it was trained and calibrated on


def start_from(folder: Path) -> Start:
    """A registered model to start from.

    Raises
    ------
    ModelRefused
        If it is damaged, or is not of networks.
    """
    from models.scorer import Scorer, load_network

    sha256 = verify_folder(folder)
    card = read_json(folder, "card.json")
    seen = Scorer.load(folder).seen
    try:
        architecture = networks.architecture_of(card["architecture"])
        preparation = Preparation.from_json(card["inputs"])
        files = [folder / WEIGHTS.format(number) for number in range(int(card["members"]))]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"{folder.name}: no network to start from ({error})") from error
    if not files:
        raise ModelRefused(f"{folder.name}: no network to start from")
    weights = tuple(dict(load_network(file, architecture).state_dict()) for file in files)
    return Start(folder.name, sha256, architecture, preparation, weights, tuple(int(star) for star in seen))


def start_from_file(path: Path, architecture: Any, preparation: Preparation) -> Start:
    """Foreign weights to start from, mapped whole onto a known architecture.

    Raises
    ------
    ModelRefused
        The file cannot be read, or does not map; see ``models.foreign``.
    """
    from models.foreign import read_checkpoint, unwrapped

    tensors, _ = read_checkpoint(path)
    network = networks.fit_tensors(unwrapped(tensors), architecture, str(path))
    return Start(path.name, sha256_of(path), architecture, preparation, (dict(network.state_dict()),))


def unseen_by(data: Dataset, start: Start) -> Dataset:
    """The data without the test stars that the model to start from has learnt from: they can judge nothing now."""
    known = np.unique(data.group[np.isin(data.labelled.tic, np.array(start.seen, dtype=np.int64))])
    tainted = (data.split == "test") & np.isin(data.group, known)
    if not tainted.any():
        return data
    split = data.split.astype("U16")
    split[tainted] = "apart"
    notes = data.notes | {"test rows of stars that the parent learnt from": int(tainted.sum())}
    return replace(data, split=split, notes=notes)


class Tuner:
    """Carries a ``Tuning`` out on one network; keeps nothing that a resumed training would miss."""

    def __init__(self, tuning: Tuning, network: nn.Module, architecture: Any, start: Start | None, member: int) -> None:
        self.tuning = tuning
        self.network = network
        self.levels = networks.blocks(network, architecture)
        self.precision = precision_of(tuning)
        if start is not None:
            network.load_state_dict(start.weights[member % len(start.weights)])
        network.to(tuning.device)

    def begin(self, epoch: int) -> None:
        """Let learn what learns in this epoch, and keep the norms of the rest as they are."""
        self.network.train()
        for layer in self._frozen(epoch):
            layer.eval()
        asleep = {id(parameter) for layer in self._frozen(epoch) for parameter in layer.parameters()}
        for parameter in self.network.parameters():
            parameter.requires_grad_(id(parameter) not in asleep)

    def _frozen(self, epoch: int) -> Iterator[nn.Module]:
        awake = 0
        if epoch >= self.tuning.freeze_epochs:
            wanted = self.tuning.unfreeze_blocks
            awake = len(self.levels) if wanted is None else wanted
        for level in self.levels[awake:]:
            yield from level

    def rate(self, step: int, steps: int, peak: float) -> tuple[float, float]:
        """Learning rate and first momentum of a step.

        One-cycle (Smith & Topin 2018) rises for 30 % of the steps and falls to nothing; cosine only falls.
        """
        if self.tuning.schedule == "constant":
            return peak, 0.9
        if self.tuning.schedule == "cosine":
            return float(peak * (1 + np.cos(np.pi * min(1.0, step / max(1, steps)))) / 2), 0.9
        return one_cycle(step, steps, peak)

    def autocast(self) -> AbstractContextManager[Any]:
        """Half precision for the network's own arithmetic, where asked for; the loss is always taken in full."""
        if self.precision == "float32":
            return nullcontext()
        kind = torch.bfloat16 if self.precision == "bfloat16" else torch.float16
        return torch.autocast(torch.device(self.tuning.device).type, dtype=kind)

    def tensors(self, *arrays: np.ndarray) -> list[torch.Tensor]:
        """Arrays where the network is."""
        return [torch.from_numpy(array).to(self.tuning.device) for array in arrays]

    def at_home(self) -> nn.Module:
        """The network on the processor, ready to score."""
        if torch.device(self.tuning.device).type == "cpu":
            return self.network.eval()
        import copy

        return copy.deepcopy(self.network).cpu().eval()


def one_cycle(step: int, steps: int, peak: float) -> tuple[float, float]:
    """Learning rate and first momentum of a step: OneCycle (Smith & Topin 2018), cosine both ways, 30 % rising."""
    rise = max(1.0, 0.3 * steps)
    if step < rise:
        part = (1 - np.cos(np.pi * step / rise)) / 2
        return float(peak / 25 + (peak - peak / 25) * part), float(0.95 - 0.1 * part)
    part = (1 + np.cos(np.pi * min(1.0, (step - rise) / max(1.0, steps - rise)))) / 2
    return float(peak / 2.5e5 + (peak - peak / 2.5e5) * part), float(0.95 - 0.1 * part)


def precision_of(tuning: Tuning) -> str:
    """What the network computes in: float32, or what half precision means on its device.

    bfloat16 keeps the range of float32, so no gradient has to be scaled; a device without it computes in float32.
    """
    if not tuning.amp:
        return "float32"
    if torch.device(tuning.device).type == "cuda" and not torch.cuda.is_bf16_supported():
        return "float32"
    return "bfloat16"
