"""The integral of a likelihood over its prior, by importance sampling that learns where the likelihood is.

Parameters are standard normal deviates: every prior is a map from them. A proposal is found in rounds, each from a
likelihood that is flattened less (Neal 2001, Cornuet et al. 2012), and is a mixture of wide normals of what was seen
before and of the prior itself, so that no weight is beyond all bounds (Hesterberg 1995). The evidence then comes from
fresh draws of a proposal that no longer changes: it is unbiased, and its error is that of a mean. Where next to none
of them count, the proposal had missed where the likelihood is: another is learned from them too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.types import Floats

DEFENSIVE = 0.1  # of all draws come from the prior
RESAMPLED = 600  # draws that a proposal is learned from
GROUPS = 6  # components of the proposal
WIDER = 1.6  # variance of each over that of its draws
PATIENCE = 6  # rounds after which fewer draws are enough
ROUNDS = 24  # at most
TRIES = 3  # proposals at most that fresh draws come from, until so many of these count:
FEW = 10.0
ENOUGH = 25.0  # effective draws for each dimension at which the next round is flattened less


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """An evidence and what the draws say of its error."""

    ln_evidence: float  # -inf where no draw explains anything
    err: float  # of the logarithm
    effective: float  # samples
    samples: int
    draws: Floats | None = None  # (n, d) deviates
    weight: Floats | None = None  # (n,) of each, the largest is 1
    possible: float = -math.inf  # as much may be there, where the rounds ended before the likelihood was met as it is


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A mixture of normals, and of the prior."""

    share: Floats  # (g,) they sum to 1 - DEFENSIVE
    centre: Floats  # (g, d)
    root: Floats  # (g, d, d) Cholesky factor of each covariance

    def draw(self, number: int, dimensions: int, random: np.random.Generator) -> Floats:
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
            z = (x - centre) @ np.linalg.inv(root).T
            terms.append(math.log(share) - np.log(np.diag(root)).sum() - 0.5 * np.einsum("nd,nd->n", z, z))
        return _ln_sum(terms)


PRIOR = Proposal(np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0, 0)))


def ln_prior(x: Floats) -> Floats:
    return -0.5 * np.einsum("nd,nd->n", x, x)


def _ln_sum(terms: list[Floats]) -> Floats:
    stack = np.array(terms)
    peak = stack.max(axis=0)
    return peak + np.log(np.exp(stack - peak).sum(axis=0))


def integrate(
    likelihood: Callable[[Floats], Floats],
    dimensions: int,
    samples: int,
    random: np.random.Generator,
    hopeless: float = -math.inf,
    few: float = FEW,
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
    few : float
        Another proposal is learned where fewer effective draws come from the last.

    Returns
    -------
    Integral
        ``err`` is sqrt(1 / ESS - 1 / N), ESS = (sum w)^2 / sum w^2.
    """
    pool = _Pool(likelihood, dimensions)
    pool.add(samples, PRIOR, random)
    if not np.isfinite(pool.ln_l).any():
        pool.add(4 * samples, PRIOR, random)
        if not np.isfinite(pool.ln_l).any():
            return Integral(-math.inf, math.inf, 0.0, 5 * samples)
    each = max(samples // 4, 100)
    heat, settled = 0.0, False
    for number in range(ROUNDS):
        ln_w = pool.ln_prior - pool.ln_density
        enough = ENOUGH * dimensions / (1 + max(number - PATIENCE, 0) / 2)
        heat = _warmest(pool.ln_l, ln_w, heat, enough)
        pool.add(each, _learn(pool.x, heat * pool.ln_l + ln_w, random), random)
        if settled or (number >= 2 and pool.summit(heat) < hopeless):
            break
        settled = heat >= 1
    whole = _estimate(pool.x, pool.ln_l + pool.ln_prior - pool.ln_density)
    possible = -math.inf if settled else min(pool.summit(heat), whole.ln_evidence + dimensions / heat)
    if whole.ln_evidence >= hopeless:
        sought = whole.ln_evidence
        for _ in range(TRIES):
            proposal = _learn(pool.x, pool.ln_l + pool.ln_prior - pool.ln_density, random)
            pool.add(samples, proposal, random)
            x, ln_l, prior = (values[-samples:] for values in (pool.x, pool.ln_l, pool.ln_prior))
            whole = _estimate(x, ln_l + prior - proposal.ln_density(x))
            if whole.effective >= few:
                break
        if whole.effective < FEW:  # neither what was sought with nor what was found can be relied on
            possible = max(possible, sought)
    return replace(whole, possible=possible)


class _Pool:
    """All draws of the rounds, each weighed as one of the mixture of all proposals (Cornuet et al. 2012)."""

    def __init__(self, likelihood: Callable[[Floats], Floats], dimensions: int) -> None:
        self.likelihood = likelihood
        self.x = np.zeros((0, dimensions))
        self.ln_l = np.zeros(0)
        self.ln_prior = np.zeros(0)
        self.proposals: list[tuple[int, Proposal]] = []
        self.ln_sum = np.zeros(0)  # of the density of each proposal times its draws

    def add(self, number: int, proposal: Proposal, random: np.random.Generator) -> None:
        fresh = proposal.draw(number, self.x.shape[1], random)
        own = math.log(number) + proposal.ln_density(self.x)
        self.ln_sum = np.logaddexp(self.ln_sum, own) if self.proposals else own
        self.proposals.append((number, proposal))
        terms = [math.log(drawn) + one.ln_density(fresh) for drawn, one in self.proposals]
        self.ln_sum = np.concatenate([self.ln_sum, _ln_sum(terms)])
        self.x = np.concatenate([self.x, fresh])
        self.ln_l = np.concatenate([self.ln_l, self.likelihood(fresh)])
        self.ln_prior = np.concatenate([self.ln_prior, ln_prior(fresh)])

    def summit(self, heat: float) -> float:
        """How high the likelihood may go: draws lie d / 2 heat below its top in the mean, twice that is allowed for."""
        return float(self.ln_l.max()) + self.x.shape[1] / heat

    @property
    def ln_density(self) -> Floats:
        return self.ln_sum - math.log(self.x.shape[0])


def _estimate(x: Floats, ln_w: Floats) -> Integral:
    peak = float(ln_w.max())
    if not math.isfinite(peak):
        return Integral(-math.inf, math.inf, 0.0, ln_w.size)
    w = np.exp(ln_w - peak)
    effective = float(w.sum() ** 2 / (w**2).sum())
    err = math.sqrt(max(1 / effective - 1 / ln_w.size, 0.0))
    return Integral(peak + math.log(float(w.mean())), err, effective, ln_w.size, x, w)


def _warmest(ln_l: Floats, ratio: Floats, heat: float, enough: float) -> float:
    """The largest power of the likelihood at which so many draws still count; never less than before."""

    def effective(power: float) -> float:
        ln_w = np.where(np.isfinite(ln_l), power * np.where(np.isfinite(ln_l), ln_l, 0.0) + ratio, -np.inf)
        w = np.exp(ln_w - ln_w.max())
        return float(w.sum() ** 2 / (w**2).sum())

    if effective(1.0) >= enough:
        return 1.0
    low, high = math.log(max(heat, 1e-7)), 0.0
    for _ in range(16):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(math.exp(middle)) >= enough else (low, middle)
    return max(math.exp(low), heat)


def _learn(x: Floats, ln_w: Floats, random: np.random.Generator) -> Proposal:
    """Normals around groups of weighted draws."""
    dimensions = x.shape[1]
    w = np.exp(np.where(np.isfinite(ln_w), ln_w, -np.inf) - ln_w.max())
    w /= w.sum()
    effective = 1 / float((w**2).sum())
    # systematic resampling: as many draws as each weighs
    x = x[np.searchsorted(np.cumsum(w), (np.arange(RESAMPLED) + random.random()) / RESAMPLED).clip(max=w.size - 1)]
    mean = x.mean(axis=0)
    floor = 1e-6 * np.eye(dimensions)
    spread = np.cov(x.T) + floor
    groups = int(np.clip(effective // (4 * dimensions), 1, GROUPS))
    scaled = (x - mean) @ np.linalg.inv(np.linalg.cholesky(spread)).T
    centre = scaled[random.choice(RESAMPLED, size=groups, replace=False)]
    member = np.zeros(RESAMPLED, dtype=np.int64)
    for _ in range(6):
        member = ((scaled[:, None, :] - centre[None]) ** 2).sum(axis=2).argmin(axis=1)
        centre = np.array(
            [scaled[member == g].mean(axis=0) if (member == g).any() else centre[g] for g in range(groups)]
        )
    shares, centres, roots = [1.0], [mean], [np.linalg.cholesky(2.0 * WIDER * spread)]  # one that is wider than all
    for g in range(groups):
        own = x[member == g]
        if own.shape[0] < 2:
            continue
        around = own.mean(axis=0)
        # few draws tell a covariance badly: lean on that of all
        number = effective * own.shape[0] / RESAMPLED
        lean = dimensions / (dimensions + number)
        covariance = (1 - lean) * np.cov(own.T) + lean * spread / groups ** (2 / dimensions) + floor
        shares.append(8 * own.shape[0] / RESAMPLED)
        centres.append(around)
        roots.append(np.linalg.cholesky(WIDER * covariance))
    share = np.array(shares)
    return Proposal((1 - DEFENSIVE) * share / share.sum(), np.array(centres), np.array(roots))
