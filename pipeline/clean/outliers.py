"""Cadences that no transit can explain: flares, cosmic rays, scattered light, single dead points.

Only upward flux is cut freely. Downward nothing goes but a single point between two ordinary ones, at cadences fast
enough that no transit is that short: a symmetric 3-sigma clip removes every point of a 1 % dip.
"""

import numpy as np

from pipeline.clean.detrend import DetrendSettings, running_trend
from pipeline.types import Booleans, Floats, Integers

VERSION = 1

LOCAL = DetrendSettings(window_hours=6.0, order=1)  # follows rotation and eclipses, not a flare of an hour
GROWTH = 2.0  # sigma; a flare is cut down to here on both sides of its peak
ORDINARY = 1.5  # sigma under the trend that the neighbours of a dead point may reach
BLOCK = 30  # cadences in which light level and scatter are judged together
BLOCK_GROWTH = 3.0  # sigma; scattered light is cut down to here on both sides
NOISY = 3.0  # times the usual scatter: the end of a segment is unusable
BELOW_ZERO = 5.0  # sigma under zero flux that noise may reach


def point_scatter(flux: Floats) -> float:
    """Scatter from one cadence to the next: 1.4826 MAD of the first differences over sqrt(2).

    Slow variability cancels; what is left is the noise of a single cadence. 0 for fewer than two points.
    """
    if flux.size < 2:
        return 0.0
    with np.errstate(over="ignore"):
        return float(1.4826 * np.median(np.abs(np.diff(flux))) / np.sqrt(2))


def outliers(
    time: Floats, flux: Floats, flat: Floats, exposure: Floats, up: float, down: float, slowest: float
) -> tuple[Booleans, Booleans]:
    """Find flares and dead points in one segment.

    Parameters
    ----------
    time, flux : float64 arrays, (n,)
        In order of time, around 1.
    flat : float64 array, (n,)
        The same flux divided by its trend.
    exposure : float64 array, (n,)
        Days.
    up, down : float
        How far above and below, in sigma: the larger of the scatter of a cadence and that around the last hours;
        0 finds nothing.
    slowest : float
        Seconds; at a slower cadence a single low point may be a transit, and stays.

    Returns
    -------
    flaring : bool array, (n,)
        Above both the trend and the hours around, with the rise and decay. Beside an eclipse the level of the hours
        around is pulled down and the trend is not, on a fast rotator it is the other way round: only what exceeds
        both is a flare.
    dead : bool array, (n,)
        Far below, between two ordinary neighbours. A point beside a gap has none to judge it by and stays.
    """
    flaring = np.zeros(time.size, dtype=bool)
    dead = np.zeros(time.size, dtype=bool)
    if time.size < 3:
        return flaring, dead
    residual = flux - running_trend(time, flux, flaring, LOCAL)
    noise = max(1.4826 * float(np.median(np.abs(residual))), point_scatter(flux))
    if up > 0:
        excess = np.minimum(residual, flat - 1)
        flaring = _grown(excess > up * noise, excess > GROWTH * noise)
    if down > 0:
        close = np.diff(time) < 1.6 * exposure[1:]
        ordinary = residual > -ORDINARY * noise
        alone = ordinary[:-2] & ordinary[2:] & close[:-1] & close[1:]
        dead[1:-1] = alone & (residual[1:-1] < -down * noise) & (exposure[1:-1] * 86400 < slowest)
    return flaring, dead


def scattered_light(flux: Floats, sigma: float) -> Booleans:
    """Find light that is not the star's, in the flux of a segment as the file gives it.

    Parameters
    ----------
    flux : float64 array, (n,)
        One segment, in order of time, any unit.
    sigma : float
        How far over the median, in the robust scatter of the whole segment; 0 finds nothing.

    Returns
    -------
    bool array, (n,)
        True for flux far above the median, with the ramps on both sides; and for flux far under zero,
        which is a background subtracted twice, and no eclipse.
    """
    if sigma == 0 or flux.size < 3:
        return np.zeros(flux.size, dtype=bool)
    median = float(np.median(flux))
    noise = point_scatter(flux)
    spread = max(1.4826 * float(np.median(np.abs(flux - median))), noise)
    bright = flux > median + sigma * spread
    block = np.arange(flux.size) // BLOCK
    level = _block_medians(flux)
    # a flare of a few cadences is not worth its neighbours: only light that fills half a block spreads
    glow = _grown(level > median + sigma * spread, level > median + BLOCK_GROWTH * spread)
    return bright | glow[block] | (flux < -BELOW_ZERO * noise)


def noisy_ends(flux: Floats, exposure: Floats) -> Booleans:
    """Find stretches at the ends of a segment where cadences scatter several times more than usual.

    Parameters
    ----------
    flux, exposure : float64 arrays, (n,)
        One segment, in order of time; exposure in days.

    Returns
    -------
    bool array, (n,)
        True from either end inwards as long as blocks of 30 cadences are noisy. Second differences are compared, to
        which the ingress of an eclipse is straight; cadences over 300 s are too few per eclipse for that and stay.
    """
    noisy = np.zeros(flux.size, dtype=bool)
    if flux.size < 10 * BLOCK or float(np.median(exposure)) * 86400 > 300:
        return noisy
    with np.errstate(over="ignore", invalid="ignore"):
        bend = np.abs(np.diff(flux, 2))
    bend = np.concatenate([bend[:1], bend, bend[-1:]])
    scatter = _block_medians(bend)
    loud = scatter > NOISY * np.median(scatter)
    inward = np.minimum.accumulate(loud) | np.minimum.accumulate(loud[::-1])[::-1]
    return inward[np.arange(flux.size) // BLOCK]


def _block_medians(values: Floats) -> Floats:
    """Median of every 30 values; the last block may be shorter."""
    whole = values.size // BLOCK * BLOCK
    medians = np.median(values[:whole].reshape(-1, BLOCK), axis=1)
    return np.concatenate([medians, [np.median(values[whole:])]]) if whole < values.size else medians


def _grown(core: Booleans, around: Booleans) -> Booleans:
    """Spread each True of ``core`` over the unbroken run of ``around`` it lies in."""
    run: Integers = np.cumsum(np.concatenate([[True], around[1:] != around[:-1]])) - 1
    hit = np.bincount(run, weights=core & around, minlength=int(run[-1]) + 1 if run.size else 0) > 0
    return core | (around & hit[run])
