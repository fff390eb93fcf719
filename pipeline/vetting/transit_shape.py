"""A limb-darkened transit fitted to the fold: the impact parameters and radius ratios that its shape leaves possible.

The depth is fitted freely, as light of other stars may dilute it, but no body hides more light than its disc covers.
A grid of shapes is quick and has no convergence to watch: every cell's chi-square is one row of a matrix product.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.simulate.eclipses import disc
from pipeline.types import Booleans, Floats
from pipeline.vetting.trapezoid import Fold, scores

RATIOS = np.geomspace(0.02, 1.0, 16)  # of the radii; below 0.02 a shape hardly changes, above 1 an eclipse is total
IMPACTS = (np.arange(24) + 0.5) / 24  # impact parameter over 1 + ratio, at which the discs only touch
CELLS = 64  # in time, of half a transit
COARSE = np.geomspace(0.5, 2.6, 12)  # first to fourth contact, over the search's duration
FINE = 20  # durations of the second pass, where the first leaves a chance
CHANCE = 12.0  # in the logarithm of the posterior
COVERED = 0.1  # of the depth that a disc can make: the laws of limb darkening are no better known


@dataclass(frozen=True, slots=True, eq=False)
class TransitShape:
    """The posterior over impact parameter (uniform), radius ratio and duration (uniform in their logarithms)."""

    duration: float  # days, first to fourth contact, if all the light is the star's and a body can make this depth
    duration_err: float  # days
    flats: Floats  # (c,) second to third contact over first to fourth, of each pair of impact parameter and ratio
    probability: Floats  # (c,) of each pair
    impact: float  # mean, radii of the star
    impact_err: float
    grazing: float  # probability that the body's disc is never wholly on the star
    ratios: Floats  # (r,) radius ratios that make the measured depth if all the light is the star's; one an impact
    ratio_probability: Floats  # (r,) of each; sums to 1, or to 0 where no body makes this depth
    depth: float  # fraction, at the deepest
    depth_err: float
    reduced_chi_square: float

    @property
    def flat(self) -> float:
        return float(self.probability @ self.flats)

    @property
    def flat_err(self) -> float:
        return math.sqrt(max(float(self.probability @ (self.flats - self.flat) ** 2), 0.0))

    def flat_below(self, limit: float) -> float:
        """Probability that the flat share is under ``limit``."""
        return float(self.probability[self.flats < limit].sum())


def fit(fold: Fold, centre: float, duration: float, limb_darkening: tuple[float, float]) -> TransitShape | None:
    """Weigh the shapes of all impact parameters, radius ratios and durations against the fold.

    Parameters
    ----------
    fold : Fold
    centre : float
        Days from the epoch to the middle of the transit.
    duration : float
        Days, of the search; half to 2.6 times of it are tried.
    limb_darkening : two floats
        u1 and u2 of the quadratic law.

    Returns
    -------
    TransitShape or None
        None where no shape dips.

    Notes
    -----
    The orbit is a straight line at constant speed during a transit. An imperfect model must not make the posterior
    narrow: the chi-square is divided by that of the best cell per degree of freedom, where that exceeds 1.
    """
    u1, u2 = (round(50 * value) / 50 for value in limb_darkening)  # closer than the law is known; fewer tables
    profiles, covered = _profiles(u1, u2)
    flats, grazing, impact = _geometry()
    since = fold.since - centre

    def posterior(durations: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Logarithm of the posterior, depth and its error, (cells, durations) each, and the reduced chi-square."""
        shapes = (profiles @ _shares(since, durations, fold.smear)).reshape(-1, since.size)
        chi_square, depth, err = (
            values.reshape(covered.size, durations.size) for values in scores(shapes, fold.mean, fold.weight)
        )
        chi_square = np.where(depth > 0, chi_square, np.inf)
        least = float(chi_square.min())
        reduced = least / max(since.size - 6, 1)
        too_deep = np.maximum(depth / covered[:, None] - 1, 0.0) / np.hypot(COVERED, err / covered[:, None])
        if not math.isfinite(least):
            return chi_square, depth, err, reduced
        return -0.5 * (chi_square - least) / max(reduced, 1.0) - 0.5 * too_deep**2, depth, err, reduced

    durations = COARSE * duration
    log, *_ = posterior(durations)
    if not np.isfinite(log).any():
        return None
    likely = np.flatnonzero(log.max(axis=0) > log.max() - CHANCE)
    step = COARSE[1] / COARSE[0]
    durations = np.geomspace(durations[likely[0]] / step, durations[likely[-1]] * step, FINE)
    log, depth, err, reduced = posterior(durations)
    joint = np.exp(log - log.max())
    joint /= joint.sum()
    cells = joint.sum(axis=1)
    middle, middle_depth = float(cells @ impact), float((joint * depth).sum())
    ratios, undiluted = _undiluted(joint, depth, covered)
    known = undiluted.sum() > 0
    lasting = undiluted.sum(axis=0) / undiluted.sum() if known else joint.sum(axis=0)
    mean = float(lasting @ durations)
    return TransitShape(
        duration=mean,
        duration_err=math.sqrt(float(lasting @ (durations - mean) ** 2)),
        flats=flats,
        probability=cells,
        impact=middle,
        impact_err=math.sqrt(float(cells @ (impact - middle) ** 2)),
        grazing=float(cells[grazing].sum()),
        ratios=ratios,
        ratio_probability=undiluted.sum(axis=1) / undiluted.sum() if known else np.zeros(ratios.size),
        depth=middle_depth,
        depth_err=math.sqrt(float((joint * (err**2 + (depth - middle_depth) ** 2)).sum())),
        reduced_chi_square=reduced,
    )


def _geometry() -> tuple[Floats, Booleans, Floats]:
    """Flat share, whether it grazes, and impact parameter of each cell, (cells,) each."""
    impact = IMPACTS[:, None] * (1 + RATIOS)
    inner, outer = (1 - RATIOS) ** 2 - impact**2, (1 + RATIOS) ** 2 - impact**2
    grazing = impact > 1 - RATIOS
    return np.sqrt(np.where(grazing, 0.0, inner) / outer).ravel(), grazing.ravel(), impact.ravel()


@lru_cache(maxsize=64)
def _profiles(u1: float, u2: float) -> tuple[Floats, Floats]:
    """Shape of each cell from its centre to its last contact, (cells, CELLS), and its depth there, (cells,)."""
    along = (np.arange(CELLS + 1) - 0.5) / CELLS
    along[0] = 0.0
    dips = np.empty((IMPACTS.size, RATIOS.size, CELLS + 1))
    for j, ratio in enumerate(RATIOS):
        impact = IMPACTS[:, None] * (1 + ratio)
        separation = np.hypot(impact, along * np.sqrt((1 + ratio) ** 2 - impact**2))
        dips[:, j] = 1 - disc(separation.ravel(), float(ratio), (u1, u2)).reshape(separation.shape)
    depth = dips[:, :, 0].reshape(-1)
    profiles = dips[:, :, 1:].reshape(-1, CELLS) / depth[:, None]
    for table in (profiles, depth):
        table.flags.writeable = False
    return profiles, depth


def _shares(since: Floats, durations: Floats, smear: float) -> Floats:
    """What share of each bin of the fold, smeared, lies in each cell of time, (CELLS, durations * bins)."""
    edges = np.arange(CELLS) / (2 * CELLS)

    def up_to(moment: Floats) -> Floats:
        away = np.clip(np.abs(moment)[..., None] - edges, 0.0, 0.5 / CELLS)
        return np.sign(moment)[..., None] * away

    low, high = ((since + side) / durations[:, None] for side in (-0.5 * smear, 0.5 * smear))
    shares = (up_to(high) - up_to(low)) * (durations / smear)[:, None, None]
    return shares.reshape(-1, CELLS).T


def _undiluted(joint: Floats, depth: Floats, covered: Floats) -> tuple[Floats, Floats]:
    """At each impact parameter the ratio that makes the measured depth with all the light, (impacts,), and the
    posterior of the durations there, (impacts, durations)."""
    shape = (IMPACTS.size, RATIOS.size)
    weight = joint.sum(axis=1).reshape(shape)
    measured = (joint * depth).sum(axis=1).reshape(shape) / np.where(weight > 0, weight, 1.0)
    # where a cell has no weight its depth says nothing: take that of all
    measured = np.where(measured > 0, measured, (joint * depth).sum())
    excess = np.maximum.accumulate(np.log(covered.reshape(shape) / measured), axis=1)  # rises with the ratio
    cells = joint.reshape(*shape, -1)
    ratios, chances = np.empty(IMPACTS.size), np.zeros((IMPACTS.size, cells.shape[2]))
    for i, row in enumerate(excess):
        at = float(np.interp(0.0, row, np.arange(RATIOS.size)))
        low = min(int(at), RATIOS.size - 2)
        # below the table the depth goes with the square of the ratio, and the shape no longer changes
        ratios[i] = RATIOS[0] * (RATIOS[1] / RATIOS[0]) ** at * math.exp(-0.5 * max(float(row[0]), 0.0))
        if row[-1] >= 0:
            chances[i] = (low + 1 - at) * cells[i, low] + (at - low) * cells[i, low + 1]
    return ratios, chances
