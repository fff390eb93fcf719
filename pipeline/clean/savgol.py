"""What the seed did: lightkurve's ``flatten`` over 101 cadences, and a symmetric 3-sigma clip."""

import numpy as np

from pipeline.types import Booleans, Floats

WINDOW = 101  # cadences
ORDER = 2
SIGMA = 3.0
ROUNDS = 3  # of flatten
CLIP_ROUNDS = 5  # of the clip that follows
BREAK = 5  # a gap of more than this many typical steps starts a new stretch


def savgol_trend(time: Floats, flux: Floats, masked: Booleans) -> Floats:
    """Smooth by Savitzky-Golay, three rounds, leaving out what lies beyond 3 sigma of the last.

    Parameters
    ----------
    time, flux : float64 arrays, (n,)
        In order of time.
    masked : bool array, (n,)
        True where a cadence must not shape the trend.

    Returns
    -------
    float64 array, (n,)

    Notes
    -----
    As ``flatten(window_length=101, polyorder=2, break_tolerance=5, niters=3, sigma=3)`` of lightkurve 2.6;
    beyond the last good cadence the trend is held, where lightkurve extrapolates.
    """
    from scipy.signal import savgol_filter

    with np.errstate(over="ignore", invalid="ignore"):
        good = ~masked & (np.abs(flux - np.median(flux)) <= SIGMA * np.std(flux))
    if not good.any():
        good = ~masked
    trend = np.full(time.size, float(np.median(flux[good])))
    for _ in range(ROUNDS):
        t, f = time[good], flux[good]
        if t.size < 2:
            break
        steps = np.diff(t)
        cuts = np.flatnonzero(steps > BREAK * np.median(steps)) + 1
        smooth = np.empty(t.size)
        for part in np.split(np.arange(t.size), cuts):
            smooth[part] = savgol_filter(f[part], WINDOW, ORDER) if part.size >= WINDOW else np.median(f[part])
        near = np.abs(f - smooth) < SIGMA * np.std(f - smooth) + 1e-14
        if not near.any():
            break
        trend = np.interp(time, t[near], smooth[near])
        good[good] = near
    return trend


def symmetric_clip(flux: Floats) -> Booleans:
    """Mark what lies beyond 3 sigma on either side, transits included: True where clipped, (n,).

    As astropy's ``sigma_clip(sigma=3, maxiters=5)`` with the median and the standard deviation.
    """
    good = np.isfinite(flux)
    for _ in range(CLIP_ROUNDS):
        if not good.any():
            break
        keep = good & (np.abs(flux - np.median(flux[good])) <= SIGMA * np.std(flux[good]))
        if keep.sum() == good.sum():
            break
        good = keep
    return ~good
