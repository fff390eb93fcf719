"""Sets that hold the truth as often as promised: {planet}, {not planet}, both, or neither.

Class-conditional (Mondrian) split conformal prediction (Vovk, Gammerman & Shafer 2005, ch. 4.5; Romano et al. 2020 for
the same per class): of the planets, at least ``1 - alpha`` have "planet" in their set, of the others at least so many
"not planet", whatever the model, as long as the stars it is fitted on and those it is used on are alike and neither
taught the model. Both words in a set say that the model cannot decide; none says that it has seen nothing like it.

A set follows from the order of the scores alone, so a calibration that keeps the order, and another prior, change none.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.1
PLANET, OTHER = "planet", "not planet"


@dataclass(frozen=True, slots=True)
class Conformal:
    """Two thresholds on the calibrated probability at the training prior, and what they rest on."""

    alpha: float  # share of either class that may be missed
    planet_from: float  # "planet" is in the set from this probability on
    other_to: float  # "not planet" is in the set up to this one
    planets: int  # rows that fixed the one
    others: int  # and the other

    def __post_init__(self) -> None:
        numbers = (self.alpha, self.planet_from, self.other_to)
        if not np.isfinite(numbers).all() or not 0 < self.alpha < 1:
            raise ValueError(f"alpha and both thresholds must be finite, and alpha between 0 and 1: {numbers}")

    def members(self, probability: ArrayLike) -> NDArray[np.bool_]:
        """Whether planet, and whether not planet, is in the set of each probability, (n, 2)."""
        p = np.asarray(probability, dtype=np.float64)
        if not np.isfinite(p).all():
            raise ValueError("a probability that is not finite has no set")
        return np.stack([p >= self.planet_from, p <= self.other_to], axis=-1)

    def sets(self, probability: ArrayLike) -> list[tuple[str, ...]]:
        """The set of each calibrated probability, stated for the training prior."""
        return [
            tuple(word for word, inside in zip((PLANET, OTHER), row, strict=True) if inside)
            for row in np.atleast_2d(self.members(probability))
        ]

    def to_json(self) -> dict[str, object]:
        """Plain values for conformal.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Conformal":
        """The inverse of ``to_json``; raises TypeError or ValueError on anything else."""
        return cls(**values)


def fit(probability: ArrayLike, planet: ArrayLike, weight: ArrayLike | None = None, alpha: float = ALPHA) -> Conformal:
    """Find the thresholds on stars that taught the model nothing.

    Parameters
    ----------
    probability : (n,) calibrated, at the training prior; any increasing function of the score gives the same sets
    planet : (n,) truth
    weight : (n,) of each row, at most about 1; a star seen many times counts once
    alpha : share of each class that may be missed

    Raises
    ------
    ValueError
        If a class is lacking, or a value is not finite.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(planet, dtype=bool)
    w = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (np.isfinite(p).all() and np.isfinite(w).all()):
        raise ValueError("conformal sets need finite probabilities and weights")
    if not y.any() or y.all():
        raise ValueError("conformal sets need planets and others")
    planet_from = _bound(p[y], w[y], alpha)
    other_to = -_bound(-p[~y], w[~y], alpha)
    return Conformal(alpha, max(planet_from, 0.0), min(other_to, 1.0), int(y.sum()), int((~y).sum()))


def _bound(score: NDArray, weight: NDArray, alpha: float) -> float:
    """The highest score that a share of 1 - alpha reaches, counting one more that might be anywhere (-inf: too few)."""
    order = np.argsort(-score, kind="stable")
    reached = np.cumsum(weight[order])
    enough = reached >= (1 - alpha) * (reached[-1] + 1) - 1e-9
    return float(score[order][enough.argmax()]) if enough.any() else -np.inf


def coverage(conformal: Conformal, probability: ArrayLike, planet: ArrayLike, weight: ArrayLike | None = None) -> dict:
    """How often the sets of other stars hold the truth.

    Returns
    -------
    dict
        ``planets`` and ``others``, each with ``covered``, ``error`` (one standard deviation of a share of as many
        rows, the weights counted) and ``n``; ``both``, ``empty`` and ``decided``, shares of all rows.
    """
    return _counted(conformal.members(probability), np.asarray(planet, dtype=bool), weight)


def cross_coverage(
    probability: ArrayLike,
    planet: ArrayLike,
    group: ArrayLike,
    weight: ArrayLike | None = None,
    alpha: float = ALPHA,
    folds: int = 10,
    seed: int = 0,
) -> dict:
    """Coverage where too few planets are at hand to part with some: scores out of fold, each star judged once.

    Parameters
    ----------
    probability : (n,) each given by a model that saw nothing of the row's group
    planet, weight : (n,)
    group : (n,) star and blend; the groups are dealt into ``folds`` parts at random, the thresholds of each part
        come from all the others

    Returns
    -------
    dict
        As :func:`coverage`.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(planet, dtype=bool)
    w = np.ones(len(p)) if weight is None else np.asarray(weight, dtype=np.float64)
    known, place = np.unique(np.asarray(group), return_inverse=True)
    part = (np.random.default_rng(seed).permutation(len(known)) % folds)[place]
    inside = np.zeros((len(p), 2), dtype=bool)
    for number in np.unique(part):
        here = part == number
        inside[here] = fit(p[~here], y[~here], w[~here], alpha).members(p[here])
    return _counted(inside, y, w)


def _counted(inside: NDArray[np.bool_], planet: NDArray[np.bool_], weight: ArrayLike | None) -> dict:
    w = np.ones(len(planet)) if weight is None else np.asarray(weight, dtype=np.float64)
    found: dict[str, Any] = {}
    for name, rows, column in (("planets", planet, 0), ("others", ~planet, 1)):
        total = float(w[rows].sum())
        if total <= 0:
            found[name] = {"covered": None, "error": None, "n": 0}
            continue
        share = float((w * inside[:, column])[rows].sum()) / total
        effective = total**2 / float((w[rows] ** 2).sum())
        error = float(np.sqrt(max(share * (1 - share), 0.25 / effective) / effective))
        found[name] = {"covered": round(share, 4), "error": round(error, 4), "n": int(rows.sum())}
    everything = float(w.sum())
    for name, chosen in (
        ("both", inside.all(axis=1)),
        ("empty", ~inside.any(axis=1)),
        ("decided", inside.sum(axis=1) == 1),
    ):
        found[name] = round(float(w[chosen].sum()) / everything, 4) if everything > 0 else None
    return found


def entropy(probability: ArrayLike) -> NDArray[np.float64]:
    """Of a yes-or-no question with this probability, bits: 0 is certain, 1 is a coin."""
    p = np.clip(np.asarray(probability, dtype=np.float64), 1e-12, 1 - 1e-12)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def disagreement(members: ArrayLike) -> NDArray[np.float64]:
    """Mutual information of answer and member, bits, (n,): what asking which member is right would tell.

    Parameters
    ----------
    members : (members, n) probability of each member; 0 throughout where all agree or there is but one

    Notes
    -----
    BALD (Houlsby et al. 2011, arXiv:1112.5745): the entropy of the mean less the mean of the entropies.
    """
    p = np.asarray(members, dtype=np.float64)
    return np.maximum(entropy(p.mean(axis=0)) - entropy(p).mean(axis=0), 0.0)
