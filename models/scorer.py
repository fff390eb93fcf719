"""A registered model, checked and ready to give its opinion of signals."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.torch import load as load_tensors
from torch import nn

from models import networks
from models.calibrate import Calibration, sigmoid
from models.conformal import Conformal, disagreement, entropy
from models.inputs import Preparation, Rows, SignalInputs, gather
from models.networks import absent_classes, classes_of
from models.registry import CONFORMAL, STARS, WEIGHTS, ModelRefused, read_json, verify_folder
from models.resnet1d import REASONS
from models.stack import STACK, TREES, Committee, Stack
from models.trees import Trees, TreesRefused

DIGITS = 6  # of every number given out: the last bits of a sum depend on who shared its batch


class Scorer:
    """An ensemble with its preparation and calibration; deterministic, on one thread by the caller's setting."""

    def __init__(
        self,
        name: str,
        sha256: str,
        networks: Sequence[nn.Module],
        preparation: Preparation,
        calibration: Calibration,
        seen: NDArray[np.int64] | None = None,
        architecture: Any = None,
        conformal: Conformal | None = None,
        trees: Trees | None = None,
        stack: Stack | None = None,
    ) -> None:
        self.name = name
        self.sha256 = sha256
        self.networks = tuple(network.eval() for network in networks)
        self.preparation = preparation
        self.committee = Committee(self.networks, preparation, architecture, trees, stack)
        self.calibration = calibration
        self.architecture = architecture
        self.classes = REASONS if architecture is None else classes_of(architecture)
        self.absent = () if architecture is None else absent_classes(architecture)
        self.conformal = conformal  # None: the model came without
        self.seen = np.zeros(0, dtype=np.int64) if seen is None else seen  # TICs it was trained and calibrated on

    @classmethod
    def load(cls, folder: Path, prior: float | None = None) -> "Scorer":
        """Load a model after checking the sha256 of each of its files.

        Parameters
        ----------
        folder : of a registered model
        prior : share of planets the probabilities are stated for; the card's own by default

        Raises
        ------
        ModelRefused
            A changed, missing or foreign file, another architecture, missing or surplus tensors, wrong lengths.
        """
        folder = Path(folder)
        digest = verify_folder(folder)
        card = read_json(folder, "card.json")
        try:
            architecture = networks.architecture_of(card["architecture"])
            preparation = Preparation.from_json(card["inputs"])
            calibration = Calibration.from_json(read_json(folder, "calibration.json"))
            members = int(card["members"])
            conformal = Conformal.from_json(read_json(folder, CONFORMAL)) if (folder / CONFORMAL).exists() else None
        except ModelRefused as refusal:
            raise ModelRefused(f"{folder.name}: {refusal}") from refusal
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelRefused(
                f"{folder.name}: card.json, calibration.json or {CONFORMAL} is not understood ({error})"
            ) from error
        wanted = (preparation.width, preparation.global_length, preparation.local_length)
        if wanted != (architecture.scalars, architecture.global_length, architecture.local_length):
            raise ModelRefused(
                f"{folder.name}: its inputs have lengths {wanted}, its network "
                f"{(architecture.scalars, architecture.global_length, architecture.local_length)}"
            )
        if members < 1:
            raise ModelRefused(f"{folder.name}: it has no members")
        loaded = [load_network(folder / WEIGHTS.format(k), architecture) for k in range(members)]
        if prior is not None:
            calibration = replace(calibration, prior=prior)
        trees, stack = load_stack(folder)
        try:
            return cls(
                folder.name,
                digest,
                loaded,
                preparation,
                calibration,
                _seen(folder),
                architecture,
                conformal,
                trees,
                stack,
            )
        except ValueError as error:
            raise ModelRefused(f"{folder.name}: {error}") from error

    def score(self, signals: Sequence[SignalInputs], prior: float | None = None) -> list[dict[str, Any]]:
        """Score signals as the hunt folds them.

        Returns
        -------
        list of dict
            probability (calibrated, of a planet, stated for ``prior``), raw (mean of the members' uncalibrated
            probabilities), prior, members (calibrated probability by each), member_spread (their standard
            deviation), entropy (of the probability, bits), disagreement (mutual information of answer and member,
            bits; None with one member), conformal_set (the words it holds; None where the model came without) and
            conformal_coverage, classes (probability by reason, of the networks, uncalibrated), eclipse_probability
            (of a planet or a binary against everything else, in the mix of the calibration stars).

        Raises
        ------
        InputsRefused
            A signal cannot be scored; see ``inputs.gather``.
        """
        return self.score_rows(gather(signals), prior) if signals else []

    def score_rows(self, rows: Rows, prior: float | None = None) -> list[dict[str, Any]]:
        """As ``score``, for rows already at the common resolution."""
        opinion = self.committee.look(rows)
        logits, reasons, mean = opinion.members, opinion.classes, opinion.planet
        eclipse = sigmoid(opinion.eclipse)
        stated = self.calibration.prior if prior is None else prior
        probability = self.calibration.probability(mean, stated)
        members = self.calibration.probability(logits, stated)
        spread, unsure, differ = members.std(axis=0), entropy(probability), disagreement(members)
        raw = sigmoid(mean)
        told = [(k, name) for k, name in enumerate(self.classes) if name not in self.absent]
        sets = None
        if self.conformal is not None:  # found at the training prior, whatever prior is asked for
            plain = self.calibration.probability(mean, self.calibration.training_prior)
            sets = self.conformal.sets(np.round(plain, DIGITS))
        return [
            {
                "probability": round(float(probability[i]), DIGITS),
                "raw": round(float(raw[i]), DIGITS),
                "prior": stated,
                "members": [round(float(value), DIGITS) for value in members[:, i]],
                "member_spread": round(float(spread[i]), DIGITS),
                "entropy": round(float(unsure[i]), DIGITS),
                "disagreement": round(float(differ[i]), DIGITS) if len(members) > 1 else None,
                "conformal_set": None if sets is None else list(sets[i]),
                "conformal_coverage": None if self.conformal is None else round(1 - self.conformal.alpha, DIGITS),
                "classes": {name: round(float(reasons[i, k]), DIGITS) for k, name in told},
                "eclipse_probability": round(float(eclipse[i]), DIGITS),
            }
            for i in range(len(rows))
        ]

    def logits(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logits of each member, weighed with the trees, (members, n), and mean probabilities of classes, (n, k)."""
        opinion = self.committee.look(rows)
        return opinion.members, opinion.classes


def load_stack(folder: Path) -> tuple[Trees | None, Stack | None]:
    """The trees of a model and how they are weighed with its networks; None for a model of networks alone."""
    if not (folder / TREES).exists() and not (folder / STACK).exists():
        return None, None
    try:
        trees = Trees.from_arrays(load_arrays((folder / TREES).read_bytes()))
        stack = Stack.from_json(read_json(folder, STACK))
    except (OSError, SafetensorError, TreesRefused, KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"{folder.name}: {TREES} or {STACK} cannot be read ({error})") from error
    return trees, stack


def _seen(folder: Path) -> NDArray[np.int64]:
    """The stars a model must not be judged on."""
    try:
        parts = load_arrays((folder / STARS).read_bytes())
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelRefused(f"{folder.name}: {STARS} cannot be read ({error})") from error
    return np.unique(np.concatenate([part.astype(np.int64) for part in parts.values()] or [np.zeros(0, np.int64)]))


def load_network(path: Path, architecture: Any) -> nn.Module:
    """A network with the weights of a safetensors file, all of them and no others."""
    try:
        stored = load_tensors(path.read_bytes())
    except (OSError, SafetensorError, ValueError, json.JSONDecodeError) as error:
        raise ModelRefused(f"{path.parent.name}: {path.name} is no safetensors file ({error})") from error
    return networks.fit_tensors(stored, architecture, f"{path.parent.name}: {path.name}")


def describe(architecture: Any, preparation: Preparation) -> dict[str, object]:
    """The parts of a card from which ``Scorer.load`` builds the model again."""
    return {"architecture": asdict(architecture), "inputs": asdict(preparation)}
