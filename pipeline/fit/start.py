"""Where chains begin, and coordinates in which they walk far: least squares along the valley of impact parameters.

What a transit leaves uncertain is a curved valley: nearer to the limb the planet is larger and the transit longer. At
every impact parameter of a few the best transit and its covariance are found by least squares; between them both are
interpolated. In coordinates that count along the valley, and across it in its own widths, a posterior is nearly a unit
normal, whatever its shape was. The change of coordinates is exact, so a poor chart costs time, not truth.
"""

import math
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.special import ndtr

from pipeline.fit.likelihood import Posterior
from pipeline.fit.priors import DURATION, EPOCH, GRAZING, PERIOD, RATIO, U1, U2, WHITE
from pipeline.types import Floats

PLACES = 13  # epochs, and periods, looked at
VALLEY = np.array([0.02, 0.2, 0.35, 0.5, 0.62, 0.72, 0.8, 0.86, 0.91, 0.95, 0.98])  # impact parameters over 1 + ratio
BEGIN = (0.3, 0.75)  # where the best of all is looked for
FREE = np.array([PERIOD, EPOCH, RATIO, DURATION, U1, U2])  # columns solved for at each of them
ACROSS = np.append(FREE, WHITE)  # columns across the valley
CELLS = 200  # along the valley, and again where the posterior lives
ROUNDS = 5  # of refining the valley at most
ENOUGH = 9  # impact parameters within DEEP of the best
DEEP = 8.0  # in the logarithm of the posterior
FLOOR = 0.02  # share of the chart along the valley that is even, whatever least squares say
NEAR, FENCE = 0.02, 0.003  # a fence so far before an impossible limb darkening, and how steep it is
STEP = 1e-4  # for derivatives, in steps of ``scales``
WIDER = 1.3  # the walkers begin so much wider than the chart says


def scales(posterior: Posterior, duration: float) -> Floats:
    """A step in each column that changes a transit visibly, (8,)."""
    step = np.full(8, 0.1)
    step[EPOCH] = 0.05 * duration
    step[PERIOD] = step[EPOCH] / max(float(np.ptp(posterior.folded.cycles)), 1.0)
    return step


def look_around(posterior: Posterior, depth: float, duration: float) -> Floats:
    """The likeliest transit of this depth and duration among the ephemerides that the prior allows, (8,)."""
    priors = posterior.priors
    low, high = priors.bounds
    x = np.zeros((PLACES**2, 8))
    place = (np.arange(PLACES) + 0.5) / PLACES
    early, late = np.meshgrid(place, place)
    # where the first and the last transit lie in their windows: mean and difference are epoch and period
    x[:, EPOCH] = low[EPOCH] + (high - low)[EPOCH] * 0.5 * (early + late).ravel()
    x[:, PERIOD] = low[PERIOD] + (high - low)[PERIOD] * 0.5 * (1 + (late - early).ravel())
    x[:, RATIO] = np.clip(0.5 * math.log(max(depth, 1e-8)), low[RATIO] + 1e-6, high[RATIO] - 1e-6)
    x[:, GRAZING], x[:, DURATION] = 0.3, np.clip(math.log(duration), low[DURATION] + 1e-6, high[DURATION] - 1e-6)
    x[:, U1], x[:, U2] = priors.limb_darkening
    return x[int(np.argmax(posterior.log_likelihood(x)))]


def solve(posterior: Posterior, begin: Floats, columns: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """Least squares in some columns: the solution (8,) and its covariance (f, f)."""
    priors = posterior.priors
    low, high = priors.bounds
    used = posterior.folded.used
    err = np.sqrt(math.exp(2 * begin[WHITE]) + posterior.folded.extra[used])

    def residual(x: Floats) -> Floats:
        parts = [posterior.residuals(x)[:, used] / err]
        parts.append((x[:, [U1, U2]] - priors.limb_darkening) / priors.limb_darkening_err)
        if priors.density is not None:
            middle, width = priors.ln_density
            parts.append(((np.log(priors.shapes(x).density) - middle) / width)[:, None])
        return np.concatenate(parts, axis=1)

    def fenced(x: Floats) -> Floats:
        """With what keeps limb darkening where the prior allows it, for light alone may ask for a dark rim."""
        return np.concatenate([residual(x), np.minimum(priors.room(x) - NEAR, 0.0) / FENCE], axis=1)

    def full(part: Floats) -> Floats:
        x = np.tile(begin, (part.shape[0], 1))
        x[:, columns] += part * scale[columns]
        return x

    def jacobian(part: Floats, of: Callable[[Floats], Floats] = fenced) -> Floats:
        steps = STEP * np.concatenate([np.eye(columns.size), -np.eye(columns.size)])
        r = of(full(part + steps))
        return ((r[: columns.size] - r[columns.size :]) / (2 * STEP)).T

    margin = 1e-3 * np.minimum(scale, high - low)
    # counted from where it begins: an epoch of 1339 days would end the steps too soon
    least, most = (((edge + side * margin - begin) / scale)[columns] for edge, side in ((low, 1), (high, -1)))
    inside = np.clip(0.0, least + 1e-6, most - 1e-6)
    found = least_squares(
        lambda part: fenced(full(part[None]))[0], inside, jac=jacobian, bounds=(least, most), max_nfev=40,
        xtol=1e-6, ftol=1e-7,
    )  # fmt: skip
    # no column is wider than a sixth of its prior, which bounds what the light does not
    widest = ((high - low) / scale)[columns] / 6
    slope = jacobian(found.x, residual)
    covariance = np.asarray(np.linalg.inv(slope.T @ slope + np.diag(widest**-2.0)), dtype=np.float64)
    return full(found.x[None])[0], covariance * np.outer(scale[columns], scale[columns])


def white_noise(posterior: Posterior, x: Floats) -> tuple[float, float]:
    """The likeliest logarithm of the white noise of a transit, and how well it is known."""
    low, high = posterior.priors.bounds
    width = 0.5 * (high - low)[WHITE]
    best = 0.0
    for _ in range(4):
        trial = np.tile(x, (21, 1))
        trial[:, WHITE] = np.clip(best + width * np.linspace(-1, 1, 21), 0.98 * low[WHITE], 0.98 * high[WHITE])
        log = posterior.log_likelihood(trial)
        best, width = float(trial[int(np.argmax(log)), WHITE]), 0.2 * width
    bend = posterior.folded.used.sum() + posterior.folded.within_degrees
    return best, 1 / math.sqrt(2 * float(bend))


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Coordinates (8,) in which the posterior is nearly a unit normal: along the valley, then across it."""

    posterior: Posterior
    nodes: Floats  # (j,) impact parameters over 1 + ratio
    middle: Floats  # (j, 7) the best transit at each
    root: Floats  # (j, 7, 7) lower triangle whose square is its covariance
    edges: Floats  # (c + 1,) of cells along the valley
    cumulative: Floats  # (c + 1,) probability up to each edge
    log_height: Floats  # (c,) logarithm of its density

    @property
    def best(self) -> Floats:
        """The likeliest of the transits at the nodes, (1, 8)."""
        x = np.empty((self.nodes.size, 8))
        x[:, ACROSS], x[:, GRAZING] = self.middle, self.nodes
        return x[[int(np.argmax(self.posterior.log_probability(x)))]]

    def samples(self, y: Floats) -> tuple[Floats, Floats]:
        """The transits (w, 8) that coordinates (w, 8) stand for, and the logarithm of the volume of a unit, (w,)."""
        part = ndtr(y[:, 0])
        cell = np.clip(np.searchsorted(self.cumulative, part, side="right") - 1, 0, self.log_height.size - 1)
        low, high = self.edges[cell], self.edges[cell + 1]
        before, after = self.cumulative[cell], self.cumulative[cell + 1]
        grazing = low + (high - low) * (part - before) / (after - before)
        node = np.clip(np.searchsorted(self.nodes, grazing) - 1, 0, self.nodes.size - 2)
        low, high = self.nodes[node], self.nodes[node + 1]
        share = np.clip((grazing - low) / (high - low), 0.0, 1.0)[:, None]
        middle = (1 - share) * self.middle[node] + share * self.middle[node + 1]
        root = (1 - share[:, :, None]) * self.root[node] + share[:, :, None] * self.root[node + 1]
        x = np.empty_like(y)
        x[:, ACROSS] = middle + (root @ y[:, 1:, None])[:, :, 0]
        x[:, GRAZING] = grazing
        volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return x, volume - 0.5 * y[:, 0] ** 2 - self.log_height[cell]

    def log_probability(self, y: Floats) -> Floats:
        """Logarithm of the posterior in these coordinates, but for a constant, (w,)."""
        x, volume = self.samples(y)
        return self.posterior.log_probability(x) + volume

    def walkers(self, number: int, rng: np.random.Generator) -> Floats:
        """Places to begin at, (number, 8).

        Raises
        ------
        ValueError
            If the prior allows hardly any.
        """
        for wider in (WIDER, 1.0, 0.3):
            y = wider * rng.normal(size=(20 * number, 8))
            found = y[np.isfinite(self.log_probability(y))]
            if len(found) >= number:
                return found[:number]
        raise ValueError(f"only {len(found)} of {number} walkers find a place to begin")


def chart(posterior: Posterior, begin: Floats, scale: Floats) -> Chart:
    """Walk along the valley from the best transit of all to both ends."""
    trials = []
    for place in BEGIN:
        at = begin.copy()
        at[GRAZING] = place
        trials.append(solve(posterior, at, np.append(FREE, GRAZING), scale)[0])
    begin = trials[int(np.argmax(posterior.log_probability(np.array(trials))))].copy()
    begin[WHITE], white_err = white_noise(posterior, begin)
    found: list[tuple[float, Floats, Floats, float]] = []  # impact parameter, transit, root of its covariance, height
    todo = VALLEY
    for _ in range(ROUNDS):
        # from the nearest that is solved to those further away
        for place in sorted(todo.tolist(), key=lambda place: abs(place - begin[GRAZING])):
            at = min(found, key=lambda node: abs(node[0] - place))[1].copy() if found else begin.copy()
            at[GRAZING] = place
            best, covariance = solve(posterior, at, FREE, scale)
            root = np.zeros((7, 7))
            root[:6, :6], root[6, 6] = np.linalg.cholesky(covariance), white_err
            height = float(posterior.log_probability(best[None])[0]) + float(np.log(np.diagonal(root)).sum())
            insort(found, (place, best, root, height), key=lambda node: node[0])
        # where the posterior lives, and a node more on either side
        places, log = (np.array([node[column] for node in found]) for column in (0, 3))
        high = np.flatnonzero(log > log.max() - DEEP)
        first, last = max(int(high[0]) - 1, 0), min(int(high[-1]) + 1, len(found) - 1)
        if high.size >= ENOUGH:
            break
        between = np.linspace(places[first], places[last], ENOUGH + 4)
        todo = between[np.abs(between[:, None] - places).min(axis=1) > 1e-6]
    known = np.isfinite(log)
    log = np.where(known, log, log[known].min() if known.any() else 0.0)
    # cells as fine as the nodes ask for
    edges = np.unique(
        np.concatenate([np.linspace(0, 1, CELLS + 1), np.linspace(places[first], places[last], CELLS + 1)])
    )
    height = np.exp(np.interp(0.5 * (edges[1:] + edges[:-1]), places, log) - log.max())
    width = np.diff(edges)
    height = (1 - FLOOR) * height / (height @ width) + FLOOR
    cumulative = np.concatenate([[0.0], np.cumsum(height * width)])
    return Chart(
        posterior,
        places,
        np.array([node[1] for node in found])[:, ACROSS],
        np.array([node[2] for node in found]),
        edges,
        cumulative / cumulative[-1],
        np.log(height),
    )
