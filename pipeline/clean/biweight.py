"""The running Tukey biweight, compiled: the kernel behind ``method = "biweight"``.

One row of output is one window: median and MAD of the samples inside, then a few steps of the biweight location
(Mosteller & Tukey 1977; as a detrender: Hippke et al. 2019, arXiv:1906.00966).
"""

import numpy as np
from numba import njit


@njit(cache=True)
def running_biweight(time, flux, weight, at, half_window, cut, steps):  # type: ignore[no-untyped-def]
    """Locate the flux inside ``at[i] - half_window .. at[i] + half_window``, for each i.

    Parameters
    ----------
    time, flux, weight : float64 arrays, (n,)
        Samples in order of time; weight is the number of cadences behind each.
    at : float64 array, (m,)
        Where to evaluate, in order of time.
    half_window : float
        Days.
    cut : float
        Samples further than this many MADs from the centre count nothing.
    steps : int
        Iterations.

    Returns
    -------
    trend : float64 array, (m,)
        NaN where the window holds no sample.
    """
    m = at.size
    n = time.size
    trend = np.full(m, np.nan)
    low = 0
    high = 0
    for i in range(m):
        while low < n and time[low] < at[i] - half_window:
            low += 1
        if high < low:
            high = low
        while high < n and time[high] <= at[i] + half_window:
            high += 1
        if high == low:
            continue
        inside = flux[low:high]
        centre = np.median(inside)
        reach = cut * np.median(np.abs(inside - centre))
        if reach > 0:
            for _ in range(steps):
                top = 0.0
                bottom = 0.0
                for j in range(low, high):
                    u = (flux[j] - centre) / reach
                    if -1.0 < u < 1.0:
                        w = weight[j] * (1.0 - u * u) ** 2
                        top += w * (flux[j] - centre)
                        bottom += w
                if bottom == 0.0:
                    break
                centre += top / bottom
        trend[i] = centre
    return trend
