"""Networks and trees together: each looks at a signal, and two numbers weigh what they say.

The weights are those of a logistic regression on stars that taught neither, held towards a third and two thirds. A
model without trees is its networks alone; the rest of the code need not know which it has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from models.calibrate import sigmoid
from models.inputs import Preparation, Rows, measure, raw_scalars, tensors
from models.networks import classes_of, in_use
from models.resnet1d import REASONS, ResNet1D, Together
from models.trees import Trees

STACK = "stack.json"  # how the two are weighed; older models, and those of networks alone, have none
TREES = "trees.safetensors"
OUTPUTS = ("planet", "eclipse")  # of the trees; an eclipse is a planet's or a binary's
ECLIPSES = ("planet", "eclipsing_binary", "wrong_period", "blend")  # of the classes, those that are eclipses
BATCH = 256
SHARES = (1 / 3, 2 / 3)  # of networks and trees, as far as the calibration stars say nothing else
HOLD = 100.0
Asked = Callable[..., tuple[torch.Tensor, torch.Tensor]]
_LEAST = 1e-12  # share of a class that no longer counts


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the logits of networks and trees count."""

    network: float
    trees: float
    intercept: float

    def __post_init__(self) -> None:
        if not np.isfinite([self.network, self.trees, self.intercept]).all() or min(self.network, self.trees) < 0:
            raise ValueError("weights must be finite, and those of networks and trees not negative")

    def __call__(self, network: NDArray, trees: NDArray) -> NDArray[np.float64]:
        return self.network * network + self.trees * trees + self.intercept


@dataclass(frozen=True, slots=True)
class Stack:
    """How networks and trees are weighed, for each question."""

    planet: Weighing
    eclipse: Weighing

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Stack":
        """From stack.json; raises TypeError, KeyError or ValueError on anything that is none."""
        if set(values) != {"planet", "eclipse"}:
            raise ValueError("a stack weighs planet and eclipse")
        return cls(**{name: Weighing(**values[name]) for name in ("planet", "eclipse")})


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What is said of n signals."""

    members: NDArray[np.float64]  # (members, n) logit of planet, by each network, weighed with the trees
    classes: NDArray[np.float64]  # (n, k) mean probabilities of the classes, by the networks alone
    eclipse: NDArray[np.float64]  # (n,) logit of planet or binary against everything else
    networks: NDArray[np.float64]  # (n,) mean logit of planet, by the networks alone
    networks_eclipse: NDArray[np.float64]  # (n,)
    trees: NDArray[np.float64] | None  # (2, n) logits by the trees alone, in the order of OUTPUTS

    @property
    def planet(self) -> NDArray[np.float64]:
        """Logit of planet, (n,)."""
        return self.members.mean(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Committee:
    """Everything that looks at a signal, as it is now: what networks learn later is not heard."""

    networks: Sequence[nn.Module]
    preparation: Preparation
    architecture: Any = None
    trees: Trees | None = None
    stack: Stack | None = None
    _ask: Asked = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ask", asked(self.networks))
        if (self.trees is None) != (self.stack is None):
            raise ValueError("trees need a stack, and a stack trees")
        if self.trees is not None:
            if len(self.trees.start) != len(OUTPUTS):
                raise ValueError(f"its trees have {len(self.trees.start)} outputs, not {len(OUTPUTS)}")
            if self.trees.numbers > self.preparation.width // 2:
                raise ValueError(f"its trees read {self.trees.numbers} numbers of {self.preparation.width // 2}")

    def look(self, rows: Rows) -> Opinion:
        """The opinion of every row."""
        members = np.zeros((len(self.networks), len(rows)))
        classes = np.zeros((len(rows), len(REASONS if self.architecture is None else classes_of(self.architecture))))
        grown = np.zeros((len(OUTPUTS), len(rows)))
        with torch.inference_mode():
            for start in range(0, len(rows), BATCH):
                part = slice(start, start + BATCH)
                some = rows.take(part)
                measured = measure(some)
                inputs = [torch.from_numpy(array) for array in tensors(some, self.preparation, measured)]
                planet, reason = self._ask(*inputs)
                members[:, part] = planet.double().numpy()
                classes[part] = torch.softmax(reason.double(), dim=2).mean(dim=0).numpy()
                if self.trees is not None:
                    grown[:, part] = self.trees.logits(raw_scalars(some, self.preparation.scalars, measured[0]))
        return self.weigh(members, classes, grown if self.trees is not None else None)

    def weigh(self, members: NDArray, classes: NDArray, grown: NDArray | None) -> Opinion:
        """The opinion that follows from what networks and trees say."""
        names = REASONS if self.architecture is None else classes_of(self.architecture)
        by_networks = of_eclipse(classes, names)
        mean = members.mean(axis=0)
        if self.stack is None or grown is None:
            return Opinion(members, classes, by_networks, mean, by_networks, grown)
        weighed = self.stack.planet(members, grown[0][None])
        return Opinion(weighed, classes, self.stack.eclipse(by_networks, grown[1]), mean, by_networks, grown)


def asked(networks: Sequence[nn.Module]) -> Asked:
    """All networks at once, in use: (members, n) logits of planet and (members, n, k) logits of the classes."""
    if all(isinstance(network, ResNet1D) for network in networks):
        return Together([network for network in networks if isinstance(network, ResNet1D)])
    folded = [in_use(network) for network in networks]

    def one_by_one(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        said = [network(*inputs) for network in folded]
        return torch.stack([planet for planet, _ in said]), torch.stack([reason for _, reason in said])

    return one_by_one


def of_eclipse(classes: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Logit of any eclipse, (n,), from the probabilities of the classes, (n, k)."""
    eclipses = np.array([name in ECLIPSES for name in names])
    yes, no = classes[:, eclipses].sum(axis=1), classes[:, ~eclipses].sum(axis=1)
    return np.log(np.maximum(yes, _LEAST)) - np.log(np.maximum(no, _LEAST))


def fit_weighing(
    network: ArrayLike, trees: ArrayLike, truth: ArrayLike, weight: ArrayLike, hold: float = HOLD
) -> Weighing:
    """Logistic regression of the truth on the two logits, (n,) each, held towards ``SHARES``; no weight is negative.

    Parameters
    ----------
    hold : how hard the weights are held; the calibration stars have a hundred planets, and the figures are flat over
        shares of the networks from 0.2 to 0.5

    Raises
    ------
    ValueError
        Without rows of both kinds.
    """
    x = np.stack([np.asarray(network, dtype=np.float64), np.asarray(trees, dtype=np.float64)], axis=1)
    y, w = np.asarray(truth, dtype=bool), np.asarray(weight, dtype=np.float64)
    if not (w[y].sum() > 0 and w[~y].sum() > 0):
        raise ValueError("networks and trees can only be weighed on rows of both kinds")
    best: tuple[float, Weighing] | None = None
    for used in ((0, 1), (0,), (1,)):
        weights, intercept, loss = _logistic(x[:, list(used)], y, w, np.array(SHARES)[list(used)], hold)
        if (weights < 0).any():
            continue
        known = dict(zip(used, weights.tolist(), strict=True))
        found = Weighing(known.get(0, 0.0), known.get(1, 0.0), intercept)
        if len(used) == 2:
            return found
        if best is None or loss < best[0]:
            best = loss, found
    return Weighing(*SHARES, 0.0) if best is None else best[1]


def _logistic(
    x: NDArray, y: NDArray, w: NDArray, towards: NDArray, hold: float
) -> tuple[NDArray[np.float64], float, float]:
    """Newton's method: the weights, the intercept, and what is left unexplained."""
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    prior = np.append(towards, 0.0)
    held = np.append(np.full(x.shape[1], hold), 1e-6)
    found = prior.copy()
    for _ in range(100):
        p = sigmoid(design @ found)
        slope = design.T @ (w * (p - y)) + held * (found - prior)
        curve = (design * (w * p * (1 - p) + 1e-12)[:, None]).T @ design + np.diag(held)
        step = np.linalg.solve(curve, slope)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # far starts overshoot
        found = found - step
        if np.abs(step).max() < 1e-10:
            break
    z = design @ found
    loss = float((w * (np.logaddexp(0, z) - y * z)).sum() + (held * (found - prior) ** 2).sum() / 2)
    return found[:-1], float(found[-1]), loss
