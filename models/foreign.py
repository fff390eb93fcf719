"""Weights that others trained: read without running anything, mapped onto a known network whole, or refused."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from models import networks
from models.calibrate import Calibration
from models.inputs import Preparation
from models.registry import STARS, WEIGHTS, ModelRefused, Registry, as_json
from models.resnet1d import parameters

WRAPPED = ("state_dict", "model_state_dict", "model", "network")  # names under which trainers put the weights
PREFIXES = ("module.", "_orig_mod.", "model.")  # added by wrappers around a network
UNKNOWN = (
    "Foreign weights: on which stars they were trained is not known, so no figure measured on public stars can be "
    "trusted; they were never calibrated here. `hunter train --pretrained` tunes, calibrates and judges them."
)


def read_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors of a safetensors file or a torch file, and which of the two it was.

    A torch file is read with ``weights_only``: tensors and plain containers come out of it, and no code runs.

    Raises
    ------
    ModelRefused
        The file is neither, holds other objects, or no tensors.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if data[:2] == b"PK":
        return _plain(_from_torch(path), path), "torch"
    try:
        return dict(load_tensors(data)), "safetensors"
    except (SafetensorError, ValueError, TypeError) as error:
        if data[:1] == b"\x80":
            raise ModelRefused(f"{path}: a pickle, which could run anything: nothing of it was read") from error
        raise ModelRefused(f"{path}: neither a safetensors nor a torch file ({error})") from error


def _from_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that anybody may have put there fail in more ways than can be listed
        said = str(error).splitlines()
        if "eights only" in str(error) or "Unsupported" in str(error):
            raise ModelRefused(f"{path}: holds more than tensors, and such objects are never read") from error
        raise ModelRefused(f"{path}: no whole torch file ({said[0] if said else type(error).__name__})") from error


def _plain(found: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state of a network, out of whatever trainers wrap around it."""
    for _ in range(2):
        inner = (
            next((found[name] for name in WRAPPED if isinstance(found.get(name), Mapping)), None)
            if isinstance(found, Mapping)
            else None
        )
        found = found if inner is None else inner
    if not isinstance(found, Mapping) or not found:
        raise ModelRefused(f"{path}: holds no table of tensors")
    others = sorted(str(name) for name, value in found.items() if not isinstance(value, torch.Tensor))
    if others:
        raise ModelRefused(f"{path}: holds others than tensors: {', '.join(others[:10])}")
    return {str(name): value for name, value in found.items()}


def unwrapped(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without the prefix that a wrapper put before every name."""
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): value for name, value in tensors.items()}
    return dict(tensors)


def describe(card: Path) -> tuple[Any, Preparation]:
    """The architecture and the inputs that a card file names.

    Raises
    ------
    ModelRefused
        If it names none that is known.
    """
    try:
        values = json.loads(card.read_bytes())
        return networks.architecture_of(values["architecture"]), Preparation.from_json(values["inputs"])
    except ModelRefused as refusal:
        raise ModelRefused(f"{card}: {refusal}") from refusal
    except OSError as error:
        raise ModelRefused(f"{card}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelRefused(f"{card}: no card with an architecture and inputs ({error})") from error


def import_weights(
    files: Sequence[Path], registry: Registry, name: str, architecture: Any, preparation: Preparation, source: str
) -> Path:
    """Register foreign weights, one file a member; they do not serve before they are promoted.

    Parameters
    ----------
    files : safetensors or torch files
    registry : that receives the model
    name : of the new model
    architecture, preparation : what the weights are mapped onto, and how its inputs are made
    source : where those two were taken from, for the card

    Raises
    ------
    ModelRefused
        A file cannot be read, or does not map wholly: with every key that is missing, unknown or of another shape.
    """
    loaded, kinds = [], []
    for path in files:
        tensors, kind = read_checkpoint(path)
        loaded.append(networks.fit_tensors(unwrapped(tensors), architecture, str(path)))
        kinds.append(kind)
    calibration = Calibration("platt", 0.5, 0.5)
    origins = [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "format": kind}
        for path, kind in zip(files, kinds, strict=True)
    ]
    card = {
        "name": name,
        "architecture": asdict(architecture),
        "inputs": asdict(preparation),
        "members": len(loaded),
        "parameters": parameters(loaded[0]),
        "imported": origins,
        "inputs as in": source,
        "data": {"id": None, "sets": [], "reason": "foreign weights: their data are not known"},
        "reasons": list(networks.classes_of(architecture)),
        "absent reasons": list(networks.absent_classes(architecture)),
        "calibration": calibration.to_json(),
        "prior": "never calibrated: the network's own logit, stated for a share of one half",
        "limits": UNKNOWN,
        "parent": None,
        "synthetic": False,
        "beats_baseline": None,
        "libraries": {"torch": torch.__version__, "numpy": np.__version__},
    }

    def fill(folder: Path) -> None:
        for number, network in enumerate(loaded):
            state = {key: value.contiguous() for key, value in network.state_dict().items()}
            (folder / WEIGHTS.format(number)).write_bytes(save_tensors(state))
        (folder / "card.json").write_bytes(as_json(card))
        (folder / "calibration.json").write_bytes(as_json(calibration.to_json()))
        (folder / "metrics.json").write_bytes(as_json({"reason": "foreign weights: nothing was measured"}))
        (folder / STARS).write_bytes(save_arrays({"unknown": np.zeros(0, dtype=np.int64)}))

    return registry.register(name, fill)
