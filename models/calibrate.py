"""From a raw logit to a probability stated for a named share of planets.

A network's logit is right only for the mix of signals it was calibrated on. Platt's two numbers (or, with many
planets, an isotonic curve) make it a probability for that mix, the *training prior*; another share of planets, the
*prior* the probability is stated for, shifts the logit by the difference of the log odds (Saerens et al. 2002).
Both are stored and both travel with every probability.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

ISOTONIC_POSITIVES = 1000  # fewer planets than this cannot support a curve
_EDGE = 1e-6


def logit(probability: ArrayLike) -> NDArray[np.float64]:
    """log(p / (1 - p)), of p kept away from 0 and 1 by 1e-6."""
    p = np.clip(np.asarray(probability, dtype=np.float64), _EDGE, 1 - _EDGE)
    return np.log(p / (1 - p))


def sigmoid(value: ArrayLike) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) without overflow."""
    x = np.asarray(value, dtype=np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns a raw logit into a calibrated probability."""

    method: Literal["platt", "isotonic"]
    training_prior: float  # share of planets in the calibration split
    prior: float  # share of planets the probabilities are stated for
    slope: float = 1.0  # platt
    intercept: float = 0.0
    knots: tuple[float, ...] = ()  # isotonic: raw logits, increasing
    heights: tuple[float, ...] = ()  # and their probabilities
    positives: int = 0  # planets and all rows it was fitted on
    rows: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.training_prior < 1 and 0 < self.prior < 1):
            raise ValueError(f"priors must lie between 0 and 1: {self.training_prior} and {self.prior}")
        if self.method not in ("platt", "isotonic"):
            raise ValueError(f"unknown calibration {self.method!r}: platt or isotonic")
        if self.method == "isotonic" and (len(self.knots) < 2 or len(self.knots) != len(self.heights)):
            raise ValueError("an isotonic calibration needs as many heights as knots, and two at least")
        if not (np.isfinite(self.slope) and np.isfinite(self.intercept)):
            raise ValueError("slope and intercept must be finite")

    def probability(self, raw: ArrayLike, prior: float | None = None) -> NDArray[np.float64]:
        """Calibrated probability of raw logits, stated for ``prior`` (the stored one by default); same shape."""
        target = self.prior if prior is None else prior
        if not 0 < target < 1:
            raise ValueError(f"prior must lie between 0 and 1, not {target}")
        raw = np.asarray(raw, dtype=np.float64)
        if self.method == "platt":
            inner = self.slope * raw + self.intercept
        else:
            inner = logit(np.interp(raw, self.knots, self.heights))
        return sigmoid(inner + shift(self.training_prior, target))

    def to_json(self) -> dict[str, object]:
        """Plain values for calibration.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Calibration":
        """The inverse of ``to_json``; raises TypeError or ValueError on anything else."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


def shift(here: float, there: float) -> float:
    """What is added to a logit that is right for the share ``here`` to be right for ``there``."""
    return float(logit(there) - logit(here))


def fit(raw: ArrayLike, planet: ArrayLike, prior: float, weight: ArrayLike | None = None) -> Calibration:
    """Fit on rows that trained nothing: Platt below 1000 planets, isotonic above.

    Parameters
    ----------
    raw : (n,) logits
    planet : (n,) truth
    prior : share of planets the probabilities shall be stated for
    weight : (n,) of each row; equal by default

    Raises
    ------
    ValueError
        If planets or the others are lacking.
    """
    x = np.asarray(raw, dtype=np.float64)
    y = np.asarray(planet, dtype=bool)
    w = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not y.any() or y.all():
        raise ValueError("calibration needs planets and others")
    share = float(w[y].sum() / w.sum())
    if y.sum() >= ISOTONIC_POSITIVES:
        knots, heights = _isotonic(x, y, w)
        return Calibration("isotonic", share, prior, knots=knots, heights=heights, positives=int(y.sum()), rows=len(x))
    slope, intercept = _platt(x, y, w)
    return Calibration("platt", share, prior, slope, intercept, positives=int(y.sum()), rows=len(x))


def _platt(x: NDArray, y: NDArray, w: NDArray) -> tuple[float, float]:
    """Newton's method on the smoothed targets of Platt (1999)."""
    plus, minus = w[y].sum(), w[~y].sum()
    target = np.where(y, (plus + 1) / (plus + 2), 1 / (minus + 2))
    a, b = 1.0, 0.0
    for _ in range(100):
        p = sigmoid(a * x + b)
        slack, curve = w * (p - target), w * p * (1 - p) + 1e-12
        gradient = np.array([(slack * x).sum(), slack.sum()])
        hessian = np.array([[(curve * x * x).sum(), (curve * x).sum()], [(curve * x).sum(), curve.sum()]])
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # far starts overshoot
        a, b = a - step[0], b - step[1]
        if np.abs(step).max() < 1e-10:
            break
    return float(a), float(b)


def _isotonic(x: NDArray, y: NDArray, w: NDArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Pool adjacent violators; a knot at the mean logit of each pool."""
    order = np.argsort(x, kind="stable")
    pools: list[list[float]] = []  # weight, sum of planets, sum of logits
    for i in order:
        pools.append([w[i], w[i] * y[i], w[i] * x[i]])
        while len(pools) > 1 and pools[-2][1] * pools[-1][0] >= pools[-1][1] * pools[-2][0]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    knots, heights = [], []
    for total, planets, logits in pools:
        knots.append(float(logits / total))
        heights.append(float((planets + 0.5) / (total + 1)))
    heights = list(np.maximum.accumulate(heights))
    if len(knots) == 1:
        knots, heights = [knots[0], knots[0] + 1], [heights[0], heights[0]]
    return tuple(knots), tuple(heights)
