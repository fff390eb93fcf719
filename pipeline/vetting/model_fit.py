"""A transit against what else the fold could be: a straight line, a step, a jump that recovers."""

import math

import numpy as np

from pipeline.types import Finding, Floats
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run

REACH = 2.0  # durations to each side
BINS = 48
LEAST_BINS = 12  # that hold cadences
DURATIONS = np.array([0.5, 0.7, 0.85, 1.0, 1.2, 1.5])  # first to fourth contact, over the search's
FLAT = np.array([0.0, 0.4, 0.7, 0.9])  # second to third contact, over first to fourth
SHIFTS = np.linspace(-0.3, 0.3, 13)  # of the centre, durations
RECOVERIES = np.array([0.3, 1.0, np.inf])  # durations in which a jump recovers by e; a step never does


def model_fit(case: Case) -> Finding:
    """Fit a transit and its rivals to the fold.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is BIC(transit) - BIC(straight line), red noise counted in the chi-squares. Fails when the
        transit does not better the line by ``fit_gain``, or when a step or recovering jump betters the transit by
        ``fit_rival``.

    Notes
    -----
    LEO-Vetter asks for 60 or 30 less of AIC; that is a signal-to-noise of 8, more than the search's threshold. Each
    model has a level and a slope; the transit depth, duration, flat share and shift; the jump height, place and time
    of recovery, forward or backward.
    """
    settings = case.settings
    limit = -settings.fit_gain
    series = case.series
    if isinstance(series, str):
        return not_run("model_fit", limit, series)
    signal = case.signal
    reach = min(REACH * signal.duration, 0.5 * signal.period)
    since = ((case.light_curve.time - signal.epoch + 0.5 * signal.period) % signal.period) - 0.5 * signal.period
    near = np.abs(since) < reach
    since, flux = since[near] / signal.duration, case.light_curve.flux[near]
    edge = reach / signal.duration
    place = np.minimum(((since + edge) / (2 * edge) * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    used = count > 0
    if used.sum() < LEAST_BINS:
        return not_run("model_fit", limit, f"few_points: {used.sum()} bins of the fold are filled, {LEAST_BINS} needed")
    at = (np.bincount(place, since, BINS) / np.maximum(count, 1))[used]
    mean = (np.bincount(place, flux - 1, BINS) / np.maximum(count, 1))[used]
    # a box of n cadences has the variance white**2 / n + red**2; its bins share it
    in_box = float(np.median(series.points[series.seen, series.middle])) if series.seen.any() else 1.0
    factor = 1 + series.red**2 * in_box / series.white**2
    weight = count[used] / (series.white**2 * factor)
    transit = _gains(at, mean, weight, _transits(at), dips_only=True)
    jump = _gains(at, mean, weight, _jumps(at), dips_only=False)
    each = math.log(int(used.sum()))
    against_line = 4 * each - float(transit.max())
    against_jump = against_line - (3 * each - float(jump.max()))
    return judged(
        "model_fit",
        against_line > limit or against_jump > settings.fit_rival,
        against_line,
        None,
        limit,
        f"BIC of a transit {against_line:+.0f} against a straight line, {against_jump:+.0f} against the best step or "
        f"recovering jump, over {int(used.sum())} bins",
    )


def _transits(at: Floats) -> Floats:
    """Unit trapezoids of all durations, flat shares and shifts, (m, n)."""
    duration, flat, shift = (axis.ravel()[:, None] for axis in np.meshgrid(DURATIONS, FLAT, SHIFTS))
    half = 0.5 * duration
    return np.clip((half - np.abs(at - shift)) / (half * (1 - flat)), 0.0, 1.0)


def _jumps(at: Floats) -> Floats:
    """Unit jumps at every bin that recover in all times, forward and backward, (m, n)."""
    place, recovery = (axis.ravel()[:, None] for axis in np.meshgrid(at[1:], RECOVERIES))
    forward = np.where(at >= place, np.exp(-np.maximum(at - place, 0) / recovery), 0.0)
    backward = np.where(at <= place, np.exp(-np.maximum(place - at, 0) / recovery), 0.0)
    return np.concatenate([forward, backward])


def _gains(at: Floats, mean: Floats, weight: Floats, shapes: Floats, dips_only: bool) -> Floats:
    """What each shape takes off the chi-square of a straight line, (m,)."""
    basis = np.stack([np.ones_like(at), at]) * np.sqrt(weight)
    basis, _ = np.linalg.qr(basis.T)
    values, shapes = mean * np.sqrt(weight), shapes * np.sqrt(weight)
    values = values - basis @ (basis.T @ values)
    left = shapes - (shapes @ basis) @ basis.T
    power, cross = (left**2).sum(axis=1), left @ values
    known = power > 1e-6 * (shapes**2).sum(axis=1)
    if dips_only:
        known &= cross < 0
    return np.where(known, cross**2 / np.where(known, power, 1.0), 0.0)
