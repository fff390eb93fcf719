"""A trapezoid fitted to the fold by brute force: depth, duration and flat share, each with an error."""

from dataclasses import dataclass

import numpy as np

from pipeline.ephemeris import phase
from pipeline.types import Floats, LightCurve, TransitSignal

BINS = 80  # over the fitted stretch of the fold
REACH = 1.75  # durations of the search to each side of the centre
DURATIONS = np.geomspace(0.5, 2.4, 30)  # first to fourth contact, over the search's duration
FLAT = np.linspace(0.0, 0.96, 25)  # second to third contact, over first to fourth
SHIFTS = np.linspace(-0.2, 0.2, 9)  # of the centre, over the search's duration


@dataclass(frozen=True, slots=True)
class Trapezoid:
    """What the fit says; errors are standard deviations of the posterior on the grid of shapes (flat prior)."""

    depth: float  # fraction, at the bottom
    duration: float  # days, first to fourth contact
    duration_err: float  # days
    flat: float  # second to third contact over first to fourth: 0 is a V, 1 a box
    flat_err: float
    cumulative: Floats  # (25,) posterior probability that the flat share is at most FLAT
    reduced_chi_square: float

    def flat_below(self, limit: float) -> float:
        """Probability that the flat share is under ``limit``."""
        return float(np.interp(limit, FLAT, self.cumulative))


def fit(light_curve: LightCurve, exposure: Floats, signal: TransitSignal, red_factor: float = 1.0) -> Trapezoid | None:
    """Fit a trapezoid, smeared by the exposure, to the folded light curve.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
        Detrended with the transits masked.
    exposure : (n,) days each cadence covers
    signal : TransitSignal
    red_factor : float
        Variance of a transit's mean over its white variance.

    Returns
    -------
    Trapezoid or None
        None when fewer than 10 bins hold data or no dip is there.
    """
    reach = min(REACH * signal.duration, 0.5 * signal.period)
    since = phase(light_curve.time, signal.period, signal.epoch) * signal.period
    near = np.abs(since) < reach
    since, flux = since[near], light_curve.flux[near]
    if since.size < 30:
        return None
    smear = float(np.median(exposure[near]))
    place = np.minimum(((since + reach) / (2 * reach) * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    used = count > 0
    if used.sum() < 10:
        return None
    safe = np.maximum(count, 1)
    level = float(np.median(flux))
    mean = (np.bincount(place, flux - level, BINS) / safe)[used]
    centre = (np.bincount(place, since, BINS) / safe)[used]
    spread = np.sqrt(max(float(np.median(np.diff(flux) ** 2)) / (2 * 0.4549), 1e-16))  # 0.4549: median of chi2, 1 dof
    weight = count[used] / spread**2 / red_factor
    shift = SHIFTS[np.argmin(_best_over_shapes(centre, mean, weight, signal.duration, smear))] * signal.duration
    durations, flats = (axis.ravel() for axis in np.meshgrid(DURATIONS * signal.duration, FLAT, indexing="ij"))
    chi_square, depth = _scores(_shape(centre - shift, durations, flats, smear), mean, weight)
    chi_square = np.where(depth > 0, chi_square, np.inf)
    if not np.isfinite(chi_square).any():
        return None
    best = int(np.argmin(chi_square))
    reduced = float(chi_square[best]) / max(int(used.sum()) - 5, 1)
    # an imperfect model must not make the errors small
    posterior = np.exp(-0.5 * (chi_square - chi_square[best]) / max(reduced, 1.0))
    posterior /= posterior.sum()
    cumulative = np.cumsum(posterior.reshape(DURATIONS.size, FLAT.size).sum(axis=0))
    duration, flat = float(posterior @ durations), float(posterior @ flats)
    return Trapezoid(
        depth=float(depth[best]),
        duration=duration,
        duration_err=float(np.sqrt(posterior @ (durations - duration) ** 2)),
        flat=flat,
        flat_err=float(np.sqrt(posterior @ (flats - flat) ** 2)),
        cumulative=cumulative,
        reduced_chi_square=reduced,
    )


def _best_over_shapes(centre: Floats, mean: Floats, weight: Floats, duration: float, smear: float) -> Floats:
    """Smallest chi-square of a few shapes at each shift of the centre."""
    durations, flats = (axis.ravel() for axis in np.meshgrid(DURATIONS[::3] * duration, FLAT[::6], indexing="ij"))
    return np.array(
        [_scores(_shape(centre - s * duration, durations, flats, smear), mean, weight)[0].min() for s in SHIFTS]
    )


def _shape(since: Floats, durations: Floats, flats: Floats, smear: float) -> Floats:
    """Unit-depth trapezoids averaged over an exposure, (m, n), by differences of their integral."""
    low = _integral(since[None, :] - 0.5 * smear, durations[:, None], flats[:, None])
    high = _integral(since[None, :] + 0.5 * smear, durations[:, None], flats[:, None])
    return (high - low) / smear


def _integral(x: Floats, duration: Floats, flat: Floats) -> Floats:
    """Integral of the unit trapezoid from its centre."""
    half, top = 0.5 * duration, 0.5 * duration * flat
    slope = half - top
    away = np.minimum(np.abs(x), half)
    ingress = np.maximum(away - top, 0.0)
    return np.sign(x) * (away - 0.5 * ingress**2 / slope)


def _scores(shapes: Floats, mean: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Chi-square and depth of each shape after a linear fit of level and depth, (m,) each."""
    total = weight.sum()
    middle = (weight * mean).sum() / total
    centred = shapes - ((shapes @ weight) / total)[:, None]
    power = (centred**2) @ weight
    cross = centred @ (weight * (mean - middle))
    safe = np.where(power > 0, power, 1.0)
    chi_square = (weight * (mean - middle) ** 2).sum() - np.where(power > 0, cross**2 / safe, 0.0)
    return chi_square, np.where(power > 0, -cross / safe, 0.0)
