"""The integral of a likelihood over its prior, by importance sampling that learns where the likelihood is.

Parameters are standard normal deviates: every prior is a map from them. A proposal is found in rounds, each from a
likelihood that is flattened less (Neal 2001, Cornuet et al. 2012), and is a mixture of wide normals of what was seen
before and of the prior itself, so that no weight is beyond all bounds (Hesterberg 1995). The evidence then comes from
fresh draws of a proposal that no longer changes: it is unbiased, and its error is that of a mean.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.types import Floats

DEFENSIVE = 0.1  # of all draws come from the prior
GROUPS = 6  # components of the proposal
WIDER = 1.6  # variance of each over that of its draws
ROUNDS = 9  # at most
ENOUGH = 0.04  # effective share of the draws of a round at which the next is flattened less


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """An evidence and what the draws say of its error."""

    ln_evidence: float  # -inf where no draw explains anything
    err: float  # of the logarithm
    effective: float  # samples
    samples: int
    mean: Floats | None = None  # (d,) of the posterior, in deviates


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A mixture of normals, and of the prior."""

    share: Floats  # (g,) they sum to 1 - DEFENSIVE
    centre: Floats  # (g, d)
    root: Floats  # (g, d, d) Cholesky factor of each covariance

    def draw(self, number: int, random: np.random.Generator) -> Floats:
        dimensions = self.centre.shape[1]
        which = random.choice(self.share.size + 1, size=number, p=np.append(self.share, 1 - self.share.sum()))
        deviates = random.standard_normal((number, dimensions))
        found = deviates.copy()
        for g in range(self.share.size):
            found[which == g] = self.centre[g] + deviates[which == g] @ self.root[g].T
        return found

    def ln_density(self, x: Floats) -> Floats:
        """Without the factor (2 pi)^(-d/2), as ``ln_prior``."""
        terms = [math.log(1 - self.share.sum()) + ln_prior(x)]
        for share, centre, root in zip(self.share, self.centre, self.root, strict=True):
            z = np.linalg.solve(root, (x - centre).T)
            terms.append(math.log(share) - np.log(np.diag(root)).sum() - 0.5 * (z**2).sum(axis=0))
        return np.logaddexp.reduce(terms, axis=0)


def ln_prior(x: Floats) -> Floats:
    return -0.5 * (x**2).sum(axis=1)


def integrate(
    likelihood: Callable[[Floats], Floats],
    dimensions: int,
    samples: int,
    random: np.random.Generator,
    hopeless: float = -math.inf,
) -> Integral:
    """Integrate a likelihood over standard normal deviates.

    Parameters
    ----------
    likelihood : function of (n, d) deviates to (n,) logarithms
    dimensions : int
    samples : int
        Fresh draws behind the evidence; about twice as many look for the proposal.
    random : Generator
    hopeless : float
        Where the rounds show an evidence below this, they are all that is done.

    Returns
    -------
    Integral
        ``err`` is sqrt(1 / ESS - 1 / N), ESS = (sum w)^2 / sum w^2.
    """
    x = random.standard_normal((samples, dimensions))
    ln_l = likelihood(x)
    ln_g = ln_prior(x)
    if not np.isfinite(ln_l).any():
        x = random.standard_normal((4 * samples, dimensions))
        ln_l, ln_g = likelihood(x), ln_prior(x)
        if not np.isfinite(ln_l).any():
            return Integral(-math.inf, math.inf, 0.0, 5 * samples)
    each = max(samples // 4, 100)
    heat = 0.0
    proposal: Proposal | None = None
    for _ in range(ROUNDS):
        ratio = ln_prior(x) - ln_g
        heat = _warmest(ln_l, ratio, heat, max(ENOUGH * each, 8.0 * dimensions))
        proposal = _learn(x, heat * ln_l + ratio, random)
        fresh = proposal.draw(each, random)
        told = likelihood(fresh)
        if heat >= 1:
            recent = _estimate(fresh, told + ln_prior(fresh) - proposal.ln_density(fresh))
            x, ln_l, ln_g = _joined((x, fresh), (ln_l, told), (ln_g, proposal.ln_density(fresh)))
            if recent.ln_evidence + 4 < hopeless:
                return recent
            if recent.effective > 0.1 * each:
                break
        else:
            x, ln_l, ln_g = _joined((x, fresh), (ln_l, told), (ln_g, proposal.ln_density(fresh)))
    proposal = _learn(x, ln_l + ln_prior(x) - ln_g, random)
    x = proposal.draw(samples, random)
    return _estimate(x, likelihood(x) + ln_prior(x) - proposal.ln_density(x))


def _joined(*pairs: tuple[Floats, Floats]) -> list[Floats]:
    return [np.concatenate(pair) for pair in pairs]


def _estimate(x: Floats, ln_w: Floats) -> Integral:
    peak = float(ln_w.max())
    if not math.isfinite(peak):
        return Integral(-math.inf, math.inf, 0.0, ln_w.size)
    w = np.exp(ln_w - peak)
    effective = float(w.sum() ** 2 / (w**2).sum())
    err = math.sqrt(max(1 / effective - 1 / ln_w.size, 0.0))
    return Integral(peak + math.log(float(w.mean())), err, effective, ln_w.size, w @ x / w.sum())


def _warmest(ln_l: Floats, ratio: Floats, heat: float, enough: float) -> float:
    """The largest power of the likelihood at which so many draws still count; never less than before."""

    def effective(power: float) -> float:
        ln_w = np.where(np.isfinite(ln_l), power * np.where(np.isfinite(ln_l), ln_l, 0.0) + ratio, -np.inf)
        w = np.exp(ln_w - ln_w.max())
        return float(w.sum() ** 2 / (w**2).sum())

    if effective(1.0) >= enough:
        return 1.0
    low, high = math.log(1e-9), 0.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(math.exp(middle)) >= enough else (low, middle)
    return max(math.exp(low), heat)


def _learn(x: Floats, ln_w: Floats, random: np.random.Generator) -> Proposal:
    """Normals around groups of weighted draws."""
    dimensions = x.shape[1]
    ln_w = np.where(np.isfinite(ln_w), ln_w, -np.inf)
    w = np.exp(ln_w - ln_w.max())
    w /= w.sum()
    held = np.flatnonzero(w > 1e-7 * w.max())
    x, w = x[held], w[held] / w[held].sum()
    mean = w @ x
    spread = ((x - mean).T * w) @ (x - mean) + 1e-6 * np.eye(dimensions)
    effective = 1 / float((w**2).sum())
    groups = int(np.clip(effective // (4 * dimensions), 1, GROUPS))
    scaled = np.linalg.solve(np.linalg.cholesky(spread), (x - mean).T).T
    centre = scaled[random.choice(x.shape[0], size=groups, p=w)]
    member = np.zeros(x.shape[0], dtype=np.int64)
    for _ in range(8):
        member = ((scaled[:, None, :] - centre[None]) ** 2).sum(axis=2).argmin(axis=1)
        for g in range(groups):
            if w[member == g].sum() > 0:
                centre[g] = np.average(scaled[member == g], axis=0, weights=w[member == g])
    shares, centres, roots = [1.0], [mean], [np.linalg.cholesky(2.0 * WIDER * spread)]  # one that is wider than all
    for g in range(groups):
        own = member == g
        total = float(w[own].sum())
        if total <= 0:
            continue
        around = np.average(x[own], axis=0, weights=w[own])
        apart = x[own] - around
        number = total**2 / float((w[own] ** 2).sum())
        covariance = (apart.T * w[own]) @ apart / total
        # few draws tell a covariance badly: lean on that of all
        lean = dimensions / (dimensions + number)
        covariance = (1 - lean) * covariance + lean * spread / groups ** (2 / dimensions) + 1e-6 * np.eye(dimensions)
        shares.append(8 * total)
        centres.append(around)
        roots.append(np.linalg.cholesky(WIDER * covariance))
    share = np.array(shares)
    return Proposal((1 - DEFENSIVE) * share / share.sum(), np.array(centres), np.array(roots))
