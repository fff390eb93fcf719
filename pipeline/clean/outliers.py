"""Cadences that no transit can explain: flares, cosmic rays, scattered light, single dead points.

Only upward flux is cut freely. Downward nothing goes but a single point between two ordinary ones, at cadences fast
enough that no transit is that short: a symmetric 3-sigma clip removes every point of a 1 % dip.
"""

import numpy as np

from pipeline.clean.detrend import DetrendSettings, running_trend
from pipeline.clean.median import median, median_of_close, row_medians
from pipeline.types import Booleans, Floats, Integers

VERSION = 2

LOCAL = DetrendSettings(window_hours=6.0, order=1)  # follows rotation and eclipses, not a flare of an hour
GROWTH = 2.0  # sigma; a flare is cut down to here on both sides of its peak
SIDE_BIN = 20 / 1440  # days
SIDE_BINS = 9  # 3 hours before and after a cadence
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
        return float(1.4826 * median(np.abs(np.diff(flux))) / np.sqrt(2))


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
        Above the trend, the hours around, the hours before and the hours after, with the rise and decay. Each of these
        levels is pulled down somewhere beside a transit, an eclipse or a minimum of rotation, but never all.
    dead : bool array, (n,)
        Far below the two cadences before and the two after, so never the first or last point of a transit.
        A point beside a gap has none to judge it by and stays.
    """
    flaring = np.zeros(time.size, dtype=bool)
    dead = np.zeros(time.size, dtype=bool)
    if time.size < 3:
        return flaring, dead
    scatter = point_scatter(flux)
    # most segments have no flare: nothing over the trend needs no other level
    if up > 0 and (flat - 1 > up * scatter).any():
        residual = flux - running_trend(time, flux, flaring, LOCAL)
        noise = max(1.4826 * median(np.abs(residual)), scatter)
        excess = np.minimum(np.minimum(residual, flat - 1), flux - _higher_side(time, flux))
        flaring = _grown(excess > up * noise, excess > GROWTH * noise)
    if down > 0 and time.size >= 5:
        lowest = np.minimum.reduce([flux[:-4], flux[1:-3], flux[3:-1], flux[4:]])
        close = time[4:] - time[:-4] < 4.6 * exposure[2:-2]
        fast = exposure[2:-2] * 86400 < slowest
        dead[2:-2] = close & fast & (flux[2:-2] < lowest - down * scatter)
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
    middle = median(flux)
    noise = point_scatter(flux)
    spread = max(1.4826 * median(np.abs(flux - middle)), noise)
    bright = flux > middle + sigma * spread
    if not bright.any() and flux.min() >= -BELOW_ZERO * noise:
        return bright
    block = np.arange(flux.size) // BLOCK
    level = _block_medians(flux)
    # a flare of a few cadences is not worth its neighbours: only light that fills half a block spreads
    glow = _grown(level > middle + sigma * spread, level > middle + BLOCK_GROWTH * spread)
    bad = bright | glow[block] | (flux < -BELOW_ZERO * noise)
    # what survives amid such a mess is no better
    crowded = np.bincount(block, weights=bad) > 0.5 * np.bincount(block)
    return bad | crowded[block]


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
    if flux.size < 10 * BLOCK or median_of_close(exposure) * 86400 > 300:
        return noisy
    with np.errstate(over="ignore", invalid="ignore"):
        bend = np.abs(np.diff(flux, 2))
    bend = np.concatenate([bend[:1], bend, bend[-1:]])
    scatter = _block_medians(bend)
    loud = scatter > NOISY * median(scatter)
    inward = np.minimum.accumulate(loud) | np.minimum.accumulate(loud[::-1])[::-1]
    return inward[np.arange(flux.size) // BLOCK]


def _higher_side(time: Floats, flux: Floats) -> Floats:
    """Level of the hours before or of the hours after each cadence, whichever is higher."""
    slot = np.floor((time - time[0]) / SIDE_BIN).astype(np.int64)
    first = np.flatnonzero(np.concatenate([[True], np.diff(slot) > 0]))
    count = np.diff(np.concatenate([first, [slot.size]]))
    level = np.add.reduceat(flux, first) / count
    # SIDE_BINS bins on either side and not the one a cadence is in; beyond the ends there is nothing to be higher than
    padded = np.concatenate([np.full(SIDE_BINS, -np.inf), level, np.full(SIDE_BINS, -np.inf)])
    windows = row_medians(np.lib.stride_tricks.sliding_window_view(padded, SIDE_BINS))
    higher = np.maximum(windows[: level.size], windows[SIDE_BINS + 1 :])
    return np.repeat(higher, count)


def _block_medians(values: Floats) -> Floats:
    """Median of every 30 values; the last block may be shorter."""
    whole = values.size // BLOCK * BLOCK
    medians = row_medians(values[:whole].reshape(-1, BLOCK))
    return np.concatenate([medians, [median(values[whole:])]]) if whole < values.size else medians


def _grown(core: Booleans, around: Booleans) -> Booleans:
    """Spread each True of ``core`` over the unbroken run of ``around`` it lies in."""
    run: Integers = np.cumsum(np.concatenate([[True], around[1:] != around[:-1]])) - 1
    hit = np.bincount(run, weights=core & around, minlength=int(run[-1]) + 1 if run.size else 0) > 0
    return core | (around & hit[run])
