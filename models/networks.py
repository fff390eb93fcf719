"""The networks by name: which there are, how each is built, loaded, cut into blocks, and taught its classes."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models import cnn_attention, resnet1d, student
from models.datasets import REASONS, Labelled
from models.inputs import Preparation
from models.registry import ModelRefused

CENTROID = "centroid_offset"


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of network."""

    describe: type  # its dataclass of sizes
    build: Callable[[Any], nn.Module]
    classes: tuple[str, ...]  # in the order of its second output
    stages: str  # the name of the row of blocks in each branch


KINDS = {
    "resnet1d": Kind(resnet1d.Architecture, resnet1d.ResNet1D, resnet1d.REASONS, "stages"),
    "cnn-attention": Kind(cnn_attention.Architecture, cnn_attention.CNNAttention, cnn_attention.CLASSES, "blocks"),
    "student": Kind(student.Architecture, student.Student, (), ""),  # its classes are its teacher's
}

# what a label of one class may be in the eyes of a network with others: junk of people who told no kinds apart
_FINER = {"junk": ("blend", "variable", "systematic", "wrong_period")}
_BY_LABEL = {"IS": "systematic", "NEB": "blend", "WP": "wrong_period"}


def architecture_of(values: Mapping[str, Any]) -> Any:
    """The architecture that a card describes.

    Raises
    ------
    ModelRefused
        If no network here has that name.
    TypeError, ValueError
        If its sizes are not understood.
    """
    name = values.get("name", "resnet1d")
    if name not in KINDS:
        raise ModelRefused(f"its architecture is {name}, known are {', '.join(KINDS)}")
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return KINDS[name].describe(**plain)


def design(name: str, preparation: Preparation, width: int, labelled: Labelled) -> Any:
    """The architecture of a new network for these inputs; classes that no row may have are absent."""
    if name not in KINDS:
        raise ModelRefused(f"no network is called {name!r}: there are {', '.join(KINDS)}")
    if name == "student":
        raise ModelRefused("a student is taught by a model: hunter train --student-of NAME")
    told = allowed(KINDS[name].classes, labelled)
    single = told[told.sum(axis=1) == 1].any(axis=0)  # classes that some row has, and no other beside it
    absent = tuple(c for c, known in zip(KINDS[name].classes, single, strict=True) if not known)
    if name == "resnet1d":
        return resnet1d.Architecture(scalars=preparation.width, width=width, absent=absent)
    if CENTROID not in preparation.scalars:
        raise ModelRefused(f"{name} needs the scalar {CENTROID}: its recipe leaves it out")
    return cnn_attention.Architecture(
        scalars=preparation.width, centroid=preparation.scalars.index(CENTROID), width=width, absent=absent
    )


def build(architecture: Any) -> nn.Module:
    """A network of this architecture with fresh weights."""
    return KINDS[architecture.name].build(architecture)


FOLDED = (("stem", "norm"), ("first", "first_norm"), ("second", "second_norm"))  # a convolution and its batch-norm


def in_use(network: nn.Module) -> nn.Module:
    """A copy that says the same to the last bits in two thirds of the time: batch-norms folded into their kernels."""
    network = copy.deepcopy(network).eval()
    for part in list(network.modules()):
        for kernel, norm in FOLDED:
            before, after = getattr(part, kernel, None), getattr(part, norm, None)
            if isinstance(before, nn.Conv1d) and isinstance(after, nn.BatchNorm1d):
                setattr(part, kernel, fuse_conv_bn_eval(before, after))
                setattr(part, norm, nn.Identity())
    return network


def classes_of(architecture: Any) -> tuple[str, ...]:
    """The classes of its second output, in order; absent ones included."""
    return getattr(architecture, "classes", KINDS[architecture.name].classes)


def absent_classes(architecture: Any) -> tuple[str, ...]:
    """Those of its classes that it was shown no example of, and gives no share."""
    return getattr(architecture, "absent", ())


def blocks(network: nn.Module, architecture: Any) -> list[list[nn.Module]]:
    """The layers below the head, from those next to it down to the stems; ModelRefused where none can be taught."""
    if architecture.name == "student":
        raise ModelRefused("a student's weights are rounded: tune its teacher, and teach a new student")
    branches: list[Any] = [network.whole, network.close]
    rows = [list(getattr(branch, KINDS[architecture.name].stages)) for branch in branches]
    levels = [[row[-1 - depth] for row in rows if depth < len(row)] for depth in range(max(len(row) for row in rows))]
    return [*levels, [layer for branch in branches for layer in (branch.stem, branch.norm)]]


def allowed(classes: Sequence[str], labelled: Labelled) -> NDArray[np.bool_]:
    """Which classes each row may have, (n, k): one where its label says so, several where it says only what it isn't.

    Junk of people who told no kinds apart is neither planet nor binary; where a label says nothing of the classes (a
    false positive of follow-up), all are open.
    """
    result = np.zeros((len(labelled), len(classes)), dtype=bool)
    for label in np.unique(labelled.disposition):
        for reason in np.unique(labelled.reason[labelled.disposition == label]):
            rows = (labelled.disposition == label) & (labelled.reason == reason)
            named = REASONS[reason] if reason >= 0 else ""
            finer = _BY_LABEL.get(str(label), named)
            if finer in classes:
                result[rows] = np.array([name == finer for name in classes])
            elif named in classes:
                result[rows] = np.array([name == named for name in classes])
            elif named in _FINER:
                result[rows] = np.array([name in _FINER[named] for name in classes])
    if "wrong_period" in classes:
        result[labelled.source == "folded_at_half"] = np.array([name == "wrong_period" for name in classes])
    result[~result.any(axis=1)] = True
    return result


def fit_tensors(stored: Mapping[str, torch.Tensor], architecture: Any, whose: str) -> nn.Module:
    """A network with these weights, all of them and no others.

    Raises
    ------
    ModelRefused
        With every tensor that is missing, unknown or of another shape, in one line.
    """
    network = build(architecture)
    expected = network.state_dict()
    lacking, surplus = sorted(set(expected) - set(stored)), sorted(set(stored) - set(expected))
    shaped = [
        f"{name} {tuple(stored[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in stored and stored[name].shape != tensor.shape
    ]
    if lacking or surplus or shaped:
        parts = [
            f"{len(names)} {what} ({_some(names)})"
            for names, what in ((lacking, "missing"), (surplus, "unknown"), (shaped, "of another shape"))
            if names
        ]
        raise ModelRefused(f"{whose} is of another architecture than {architecture.name}: tensors {'; '.join(parts)}")
    for name in expected:
        if not torch.isfinite(stored[name].float()).all():
            raise ModelRefused(f"{whose} holds values that are not finite in {name}")
    network.load_state_dict({name: stored[name].to(tensor.dtype) for name, tensor in expected.items()})
    return network.eval()


def _some(names: Sequence[str], most: int = 40) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
