"""Ensembles of walkers that walk in blocks until they agree; what is in the notebook after a block is never lost."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import emcee
import numpy as np

from pipeline.fit.settings import FitSettings
from pipeline.types import Floats

THIN = 2  # steps of which one is kept: far below any autocorrelation time
BURN = 5.0  # autocorrelation times that are dropped from the beginning
LEAST_BURN = 0.1  # of the chain
LEAPS, SNOOKERS = 0.5, 0.1  # shares of the proposals; the rest are differences
WHOLE = 0.15  # share of the differences that are not shortened, and jump between modes
DEGREES = 8.0  # of freedom of a leap


class Notebook(Protocol):
    """Where a chain is written down after each block; arrays only."""

    def load(self) -> Mapping[str, np.ndarray] | None:
        """What was saved last, or None."""

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state instead of what was saved before, whole or not at all."""


class Forgetful:
    """A notebook that keeps nothing."""

    def load(self) -> None:
        return None

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """What the ensembles walked, and how sure one may be of it."""

    samples: Floats  # (e, n, w, d) every THINth step after the burn-in
    log_probability: Floats  # (e, n, w)
    steps: int  # of each ensemble, burn-in included
    burn_in: int
    autocorrelation: float  # steps, the longest of all columns and ensembles
    lengths: float  # steps after the burn-in over that
    split_r_hat: Floats  # (d,)
    drift: float  # sigmas between the means of both halves, the largest of all columns
    acceptance: float
    reason: str | None  # why it is not converged; None where it is

    @property
    def flat(self) -> Floats:
        """All samples, (m, d)."""
        return self.samples.reshape(-1, self.samples.shape[-1])

    @property
    def effective(self) -> Floats:
        """Samples that are worth an independent one, by column, (d,)."""
        e, n, w, _ = self.samples.shape
        return e * n * w / np.maximum(autocorrelation(self.samples), 1.0)


class Differential(emcee.moves.Move):
    """Differential evolution of several ensembles in one call, and leaps to anywhere in a unit normal.

    Parameters
    ----------
    ensembles : int
        The walkers are theirs in equal parts, one after the other; walkers of different ensembles never meet.

    Notes
    -----
    ter Braak & Vrugt (2008, Stat. Comput. 18, 435). A leap is drawn from Student's t, whose tails are wider than those
    of what is nearly normal; it forgets where the walker was. emcee's own moves ask for the probability of half an
    ensemble at a time; asking for half of all costs little more.
    """

    def __init__(self, ensembles: int) -> None:
        self.ensembles = ensembles

    def propose(self, model: Any, state: Any) -> tuple[Any, np.ndarray]:
        """Move half of each ensemble by the differences of the other half, then the other half."""
        random, coords, log = model.random, state.coords, state.log_prob
        number = len(coords)
        each = number // self.ensembles
        order = np.argsort(random.rand(self.ensembles, each), axis=1) + each * np.arange(self.ensembles)[:, None]
        accepted = np.zeros(number, dtype=bool)
        halves = order[:, : each // 2], order[:, each // 2 :]
        for own, others in (halves, halves[::-1]):
            proposed, factor = (part.reshape(own.size, -1) for part in self._jump(coords[own], coords[others], random))
            fresh, _ = model.compute_log_prob_fn(proposed)
            which = own.ravel()
            taken = np.log(random.rand(which.size)) < factor[:, 0] + fresh - log[which]
            accepted[which] = taken
            coords[which[taken]], log[which[taken]] = proposed[taken], fresh[taken]
        return state, accepted

    def _jump(self, own: Floats, others: Floats, random: np.random.RandomState) -> tuple[Floats, Floats]:
        """Proposals (e, h, d) and the logarithm of what detailed balance asks for, (e, h, 1)."""
        e, h, size = own.shape
        three = np.argsort(random.rand(e, h, others.shape[1]), axis=2)[:, :, :3]
        first, second, third = others[np.arange(e)[:, None, None], three].transpose(2, 0, 1, 3)
        kind = random.rand(e, h, 1)
        whole = random.rand(e, h, 1) < WHOLE
        step = np.where(whole, 1.0, 2.38 / math.sqrt(2 * size)) * (1 + 1e-3 * random.randn(e, h, 1))
        line = own - third
        length = (line**2).sum(axis=2, keepdims=True)
        snooker = own + 1.7 * line * (line * (first - second)).sum(axis=2, keepdims=True) / length
        stretched = ((snooker - third) ** 2).sum(axis=2, keepdims=True)
        leap = random.randn(e, h, size) * np.sqrt(DEGREES / random.chisquare(DEGREES, (e, h, 1)))

        def log_student(y: Floats) -> Floats:
            return -0.5 * (DEGREES + size) * np.log1p((y**2).sum(axis=2, keepdims=True) / DEGREES)

        proposed = np.where(kind < LEAPS, leap, np.where(kind > 1 - SNOOKERS, snooker, own + step * (first - second)))
        factor = np.where(kind > 1 - SNOOKERS, 0.5 * (size - 1) * np.log(stretched / length), 0.0)
        return proposed, np.where(kind < LEAPS, log_student(own) - log_student(leap), factor)


def sample(
    log_probability: Callable[[Floats], Floats],
    start: Floats,
    settings: FitSettings,
    notebook: Notebook,
    key: str,
    meaning: Callable[[Floats], tuple[Floats, Floats]] = lambda y: (y, np.zeros(len(y))),
) -> Chains:
    """Walk until the chains are long enough, or the steps are spent.

    Parameters
    ----------
    log_probability : function of (w, d) to (w,)
    start : (e, w, d)
        Where each ensemble begins.
    settings : FitSettings
    notebook : Notebook
        Saved after each block. A chain that was interrupted at any instant goes on from there, and comes out bit for
        bit as if it had not been.
    key : str
        What the chain is of: a notebook of another is not read.
    meaning : function of (w, d) to (w, f) and (w,)
        What the coordinates stand for, and the logarithm of the volume of a unit: what has to converge.

    Returns
    -------
    Chains

    Notes
    -----
    By emcee (Foreman-Mackey et al. 2013, PASP 125, 306). Walkers of one ensemble are no independent chains: the
    ensembles are compared (split R-hat of Gelman et al. 2013, each half of each ensemble being one chain).
    """
    ensembles, number, size = start.shape
    walker = emcee.EnsembleSampler(
        ensembles * number, size, log_probability, moves=Differential(ensembles), vectorize=True
    )
    name = np.frombuffer(f"{key} {settings.seed} {start.shape}".encode(), dtype=np.uint8)
    kept = notebook.load()
    if kept is not None and np.array_equal(kept.get("key", ()), name):
        chain, log, random = kept["chain"], kept["log_probability"], _random_state(kept["keys"], kept["place"])
    else:
        chain, log = np.empty((0, ensembles * number, size)), np.empty((0, ensembles * number))
        random = np.random.RandomState(settings.seed).get_state(legacy=True)
    most = max(settings.block // THIN, 1)
    block = most
    while True:
        begun = len(chain) > 0
        if begun:
            chains = _judge(chain, log, ensembles, settings, meaning)
            if chains.reason is None or chains.steps >= settings.max_steps:
                return chains
            # as far as it seems to be, but no further than a block: less is lost when it is interrupted
            missing = (1.05 * settings.lengths / max(chains.lengths, 1.0) - 1) * len(chain)
            block = int(min(max(missing, most / 4, 1), most))
        coords = chain[-1] if begun else start.reshape(-1, size)
        state = emcee.State(
            coords, log_prob=log[-1] if begun else log_probability(coords), random_state=random, copy=True
        )
        walker.reset()
        random = walker.run_mcmc(state, block, thin_by=THIN, skip_initial_state_check=True).random_state
        chain = np.concatenate([chain, walker.get_chain()])
        log = np.concatenate([log, walker.get_log_prob()])
        keys, place = _as_arrays(random)
        notebook.save({"key": name, "keys": keys, "place": place, "chain": chain, "log_probability": log})


def _by_ensemble(part: Floats, ensembles: int) -> Floats:
    """(n, e * w, ...) as (e, n, w, ...)."""
    return part.reshape(len(part), ensembles, -1, *part.shape[2:]).swapaxes(0, 1)


def autocorrelation(samples: Floats) -> Floats:
    """The longest autocorrelation time of the ensembles, in stored steps, (f,), of samples (e, n, w, f)."""
    n = samples.shape[1]
    whole = samples.transpose(0, 3, 2, 1)  # (e, f, w, n)
    whole = whole - whole.mean(axis=(2, 3), keepdims=True)
    length = 2 << (n - 1).bit_length()
    spectrum = np.fft.rfft(whole, n=length, axis=-1)
    power = np.fft.irfft((spectrum * spectrum.conj()).mean(axis=2), n=length, axis=-1)[..., :n]
    first = np.where(power[..., :1] > 0, power[..., :1], 1.0)
    # the window of Sokal (1996): the first that is 5 times the time it gives
    times = 2 * np.cumsum(power / first, axis=-1) - 1
    long_enough = np.arange(n) >= 5 * times
    at = np.where(long_enough.any(axis=-1), np.argmax(long_enough, axis=-1), n - 1)
    return np.take_along_axis(times, at[..., None], axis=-1)[..., 0].max(axis=0)


def _judge(
    chain: Floats,
    log: Floats,
    ensembles: int,
    settings: FitSettings,
    meaning: Callable[[Floats], tuple[Floats, Floats]],
) -> Chains:
    """Drop the burn-in and ask whether the rest has converged."""
    told, volume = meaning(chain.reshape(-1, chain.shape[-1]))
    whole = _by_ensemble(told.reshape(*chain.shape[:2], -1), ensembles)
    log = _by_ensemble(log - volume.reshape(log.shape), ensembles)
    total = len(chain)
    burn = math.ceil(BURN * float(autocorrelation(whole).max()))
    burn = min(total // 2, max(burn, int(LEAST_BURN * total)))
    samples, log = whole[:, burn:], log[:, burn:]
    n = samples.shape[1]
    times = autocorrelation(samples)
    longest = float(np.nanmax(times)) if np.isfinite(times).any() else math.inf
    halves = np.stack([samples[:, : n // 2], samples[:, n // 2 : 2 * (n // 2)]], axis=1)  # (e, 2, n/2, w, f)
    middles, spread = halves.mean(axis=(2, 3)), halves.var(axis=(2, 3)).mean(axis=(0, 1))
    safe = np.where(spread > 0, spread, 1.0)
    r_hat = np.sqrt(1 + middles.reshape(-1, middles.shape[-1]).var(axis=0, ddof=1) / safe)
    drift = float((np.abs(middles[:, 0].mean(axis=0) - middles[:, 1].mean(axis=0)) / np.sqrt(safe)).max())
    lengths = n / max(longest, 1e-9)
    moved = float((np.diff(samples[..., 0], axis=1) != 0).mean()) if n > 1 else 0.0
    reasons = []
    if not lengths >= settings.lengths:
        reasons.append(f"{lengths:.0f} autocorrelation times of {settings.lengths:g}")
    if not drift < settings.drift:
        reasons.append(f"the two halves differ by {drift:.2f} sigma, {settings.drift:g} are allowed")
    if not r_hat.max() <= settings.split_r_hat:
        reasons.append(f"split R-hat is {r_hat.max():.3f}, {settings.split_r_hat:g} is allowed")
    if not np.isfinite(samples).all() or not (spread > 0).all():
        reasons.append("a parameter does not move")
    return Chains(
        samples, log, THIN * total, THIN * burn, THIN * longest, lengths, r_hat, drift, moved,
        "; ".join(reasons) or None,
    )  # fmt: skip


def _as_arrays(state: Any) -> tuple[np.ndarray, np.ndarray]:
    _, keys, place, has_normal, normal = state
    return keys, np.array([place, has_normal, normal])


def _random_state(keys: np.ndarray, place: np.ndarray) -> Any:
    return "MT19937", keys, int(place[0]), int(place[1]), float(place[2])
