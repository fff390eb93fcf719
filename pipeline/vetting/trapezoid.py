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


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A folded light curve around its transit, in bins."""

    since: Floats  # (m,) days from the epoch, mean of each bin's cadences
    mean: Floats  # (m,) flux less its level
    weight: Floats  # (m,) 1 / variance, red noise included
    smear: float  # days over which a bin averages: its width and the exposure together


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
    centre: float  # days from the epoch

    def flat_below(self, limit: float) -> float:
        """Probability that the flat share is under ``limit``."""
        return float(np.interp(limit, FLAT, self.cumulative))


def gather(light_curve: LightCurve, exposure: Floats, signal: TransitSignal, red_factor: float = 1.0) -> Fold | None:
    """Fold the light curve around the transit and bin it.

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
    Fold or None
        None when fewer than 10 bins hold data.
    """
    reach = min(REACH * signal.duration, 0.5 * signal.period)
    since = phase(light_curve.time, signal.period, signal.epoch) * signal.period
    near = np.abs(since) < reach
    since, flux = since[near], light_curve.flux[near]
    if since.size < 30:
        return None
    place = np.minimum(((since + reach) / (2 * reach) * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    used = count > 0
    if used.sum() < 10:
        return None
    safe = np.maximum(count, 1)
    level = float(np.median(flux))
    spread = np.sqrt(max(float(np.median(np.diff(flux) ** 2)) / (2 * 0.4549), 1e-16))  # 0.4549: median of chi2, 1 dof
    return Fold(
        since=(np.bincount(place, since, BINS) / safe)[used],
        mean=(np.bincount(place, flux - level, BINS) / safe)[used],
        weight=count[used] / spread**2 / red_factor,
        smear=float(np.hypot(np.median(exposure[near]), 2 * reach / BINS)),
    )


def fit(fold: Fold, duration: float) -> Trapezoid | None:
    """Fit a trapezoid, smeared by exposure and bin, to the folded light curve.

    Parameters
    ----------
    fold : Fold
    duration : float
        Days, of the search.

    Returns
    -------
    Trapezoid or None
        None when no dip is there.
    """
    since, mean, weight, smear = fold.since, fold.mean, fold.weight, fold.smear
    shift = _lowest(SHIFTS, _best_over_shapes(since, mean, weight, duration, smear)) * duration
    durations, flats = (axis.ravel() for axis in np.meshgrid(DURATIONS * duration, FLAT, indexing="ij"))
    chi_square, depth, _ = scores(_shape(since - shift, durations, flats, smear), mean, weight)
    chi_square = np.where(depth > 0, chi_square, np.inf)
    if not np.isfinite(chi_square).any():
        return None
    best = int(np.argmin(chi_square))
    reduced = float(chi_square[best]) / max(since.size - 5, 1)
    # an imperfect model must not make the errors small
    posterior = np.exp(-0.5 * (chi_square - chi_square[best]) / max(reduced, 1.0))
    posterior /= posterior.sum()
    cumulative = np.cumsum(posterior.reshape(DURATIONS.size, FLAT.size).sum(axis=0))
    length, flat = float(posterior @ durations), float(posterior @ flats)
    return Trapezoid(
        depth=float(depth[best]),
        duration=length,
        duration_err=float(np.sqrt(posterior @ (durations - length) ** 2)),
        flat=flat,
        flat_err=float(np.sqrt(posterior @ (flats - flat) ** 2)),
        cumulative=cumulative,
        reduced_chi_square=reduced,
        centre=shift,
    )


def _lowest(places: Floats, values: Floats) -> float:
    """Where a parabola through the lowest value and its neighbours is lowest; the places are evenly spaced."""
    at = int(np.argmin(values))
    if not 0 < at < places.size - 1:
        return float(places[at])
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(places[at] + (0.5 * (before - after) / bend if bend > 0 else 0.0) * (places[1] - places[0]))


def _best_over_shapes(centre: Floats, mean: Floats, weight: Floats, duration: float, smear: float) -> Floats:
    """Smallest chi-square of a few shapes at each shift of the centre."""
    durations, flats = (axis.ravel() for axis in np.meshgrid(DURATIONS[::3] * duration, FLAT[::6], indexing="ij"))
    return np.array(
        [scores(_shape(centre - s * duration, durations, flats, smear), mean, weight)[0].min() for s in SHIFTS]
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


def scores(shapes: Floats, mean: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Chi-square, depth and its error of each shape after a linear fit of level and depth, (m,) each."""
    total = weight.sum()
    middle = (weight * mean).sum() / total
    squares = (shapes**2) @ weight
    power = squares - (shapes @ weight) ** 2 / total
    power = np.where(power > 1e-9 * squares, power, 0.0)  # less is rounding: a shape without a step
    cross = shapes @ (weight * (mean - middle))
    safe = np.where(power > 0, power, 1.0)
    chi_square = (weight * (mean - middle) ** 2).sum() - np.where(power > 0, cross**2 / safe, 0.0)
    return chi_square, np.where(power > 0, -cross / safe, 0.0), safe**-0.5
