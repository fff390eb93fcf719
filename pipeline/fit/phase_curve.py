"""Light that comes and goes with the orbit (tides, beaming, the day side of the planet), taken off before a fit.

A close and heavy planet raises tides: the star is faintest at the transit and opposite to it, and brightest between.
A level and a slope beside each transit do not follow that, and the fit would take the bend for a longer and deeper
transit. Waves at the period and half of it hold it all (Faigler & Mazeh 2011, MNRAS 415, 3921, eq. 1).
"""

import math

import numpy as np

from pipeline.ephemeris import phase
from pipeline.types import Floats, LightCurve
from pipeline.vetting import noise

TURNS = (1.0, 2.0)  # of the waves in one period
BINS = 48  # of a period
FEWEST = 3.0  # periods in the data
ECLIPSE = 0.75  # durations to each side of the transit, and of its opposite, that are no part of the waves
NEIGHBOURS = np.concatenate([side * (2 + 1.25 * np.arange(12)) for side in (-1, 1)])  # resolutions (1 / span) away
CHANCE = 0.00135  # that the noise of the neighbouring frequencies is as high: 3 sigma


def phase_curve(curve: LightCurve, period: float, epoch: float, duration: float) -> tuple[Floats, tuple[float, ...]]:
    """Waves at the period and half of it where they stand out of what neighbouring frequencies hold.

    Parameters
    ----------
    curve : LightCurve, n cadences
        Detrended with the transits masked.
    period, epoch, duration : float
        Days and BTJD of the transits.

    Returns
    -------
    (n,) float64
        Light beyond the mean, a fraction; 0 where no wave stands out.
    tuple of float
        Half of peak to peak of each wave of ``TURNS``, a fraction; 0 where it does not stand out.
    """
    away = np.abs(phase(curve.time, period, epoch)) * period
    off = (away > ECLIPSE * duration) & (np.abs(away - 0.5 * period) > ECLIPSE * duration)
    since, flux = curve.time - epoch, curve.flux
    nothing = np.zeros(len(curve)), (0.0,) * len(TURNS)
    place = np.floor(since[off] / period * BINS).astype(np.int64)
    _, place, count = np.unique(place, return_inverse=True, return_counts=True)
    if count.size < BINS:
        return nothing
    when = np.bincount(place, since[off]) / count
    mean = np.bincount(place, flux[off]) / count
    span = float(np.ptp(when))
    if span < FEWEST * period:
        return nothing
    root = np.sqrt(count)

    def columns(at: Floats, further: float) -> Floats:
        angle = 2 * np.pi * at[:, None] * (np.array(TURNS) / period + further / span)
        return np.concatenate([np.ones((at.size, 1)), np.cos(angle), np.sin(angle)], axis=1)

    def solve(values: Floats, further: float) -> Floats:
        solved = np.linalg.lstsq(columns(when, further) * root[:, None], values * root, rcond=None)[0]
        return np.asarray(solved, dtype=np.float64)

    def powers(solved: Floats) -> Floats:
        square: Floats = (solved[1:].reshape(2, -1) ** 2).sum(axis=0)
        return square

    found = solve(mean, 0.0)
    rest = mean - columns(when, 0.0) @ found
    beside = NEIGHBOURS[TURNS[0] / period + NEIGHBOURS / span > 1 / span]
    usual = np.mean([powers(solve(rest, further)) for further in beside], axis=0)
    # of exponential variates, one over the mean of others: (1 + F / n) ** -n
    tail = (1 + powers(found) / np.maximum(usual, noise.FLOOR**2) / beside.size) ** -beside.size
    sure = tail < CHANCE
    kept = np.concatenate([[0.0], np.tile(sure, 2) * found[1:]])
    wave: Floats = columns(since, 0.0) @ kept
    return wave, tuple(math.sqrt(power) for power in np.where(sure, powers(found), 0.0))
