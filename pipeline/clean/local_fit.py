"""The running robust polynomial, compiled: the kernels behind ``method = "biweight"``.

Around each time a parabola (or a line, or a level) is fitted to the bins inside a window, with weights that fall
to zero towards the window's ends (tricube) and for bins far from the fit (Tukey's biweight): Cleveland's robust
local regression (1979, JASA 74, 829) with a window in time instead of a number of points.
``tests/test_clean_detrend.py`` holds every kernel to a plain numpy version.
"""

import numpy as np
from numba import njit

SUMS = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; NaN and infinity keep their meaning


@njit(cache=True, fastmath=SUMS)
def middle(values, n):
    """Take the median of the first ``n`` values, by halving their range.

    Counting is a loop the compiler makes eight wide: a window of 108 takes a sixth of the time of a partition. Exact
    unless the two middle values are one value many times over or differ by 1e-15 of the range.
    """
    low = values[0]
    high = values[0]
    for j in range(n):
        low = min(low, values[j])
        high = max(high, values[j])
    half = n // 2
    for _ in range(50):
        cut = 0.5 * low + 0.5 * high
        count = 0
        for j in range(n):
            count += values[j] <= cut
        if count == half or (n % 2 == 1 and count == half + 1):
            under = -np.inf
            over = np.inf
            for j in range(n):
                if values[j] <= cut:
                    under = max(under, values[j])
                else:
                    over = min(over, values[j])
            if n % 2 == 0:
                return 0.5 * (under + over)
            return under if count > half else over
        if count < half:
            low = cut
        else:
            high = cut
    return high


@njit(cache=True, fastmath=SUMS)
def running_fit(time, flux, weight, at, half_window, order, cut, steps):
    """Fit the samples around each of ``at``; return the fit there.

    Parameters
    ----------
    time, flux, weight : float64 arrays, (n,)
        Samples in order of time; weight is the number of cadences behind each.
    at : float64 array, (m,)
        Where to evaluate, in order of time.
    half_window : float
        Days; samples further away count nothing.
    order : int
        0 level, 1 line, 2 parabola; lowered where a window holds fewer than four samples per coefficient.
    cut : float
        Samples further than this many MADs from the fit count nothing.
    steps : int
        Iterations of the reweighting; the MAD is measured around the median first and around the fit after the second.

    Returns
    -------
    trend : float64 array, (m,)
        NaN where the window holds no sample.
    before, after : float64 arrays, (m,)
        Taper-weighted number of cadences on either side of each time, whatever the fit made of them.
    """
    m = at.size
    n = time.size
    trend = np.full(m, np.nan)
    before = np.zeros(m)
    after = np.zeros(m)
    taper = np.empty(n)
    offset = np.empty(n)
    residual = np.empty(n)
    low = 0
    high = 0
    for i in range(m):
        while low < n and time[low] <= at[i] - half_window:
            low += 1
        if high < low:
            high = low
        while high < n and time[high] < at[i] + half_window:
            high += 1
        count = high - low
        if count == 0:
            continue
        y = flux[low:high]
        for j in range(count):
            d = (time[low + j] - at[i]) / half_window
            q = abs(d)
            t = weight[low + j] * (1.0 - q * q * q) ** 3
            offset[j] = d
            taper[j] = t
            if d <= 0.0:
                before[i] += t
            if d >= 0.0:
                after[i] += t
        here = min(order, count // 4)
        a = middle(y, count)
        b = 0.0
        c = 0.0
        for j in range(count):
            residual[j] = abs(y[j] - a)
        reach = cut * middle(residual, count)
        for step in range(steps):
            if step == 2:
                for j in range(count):
                    residual[j] = abs(y[j] - a - (b + c * offset[j]) * offset[j])
                reach = cut * middle(residual, count)
            if not reach > 0.0:
                break
            inverse = 1.0 / reach
            s0 = 0.0
            s1 = 0.0
            s2 = 0.0
            s3 = 0.0
            s4 = 0.0
            t0 = 0.0
            t1 = 0.0
            t2 = 0.0
            # no branch and no call: the compiler makes this loop eight wide
            for j in range(count):
                d = offset[j]
                z = y[j] - a  # the fit is of what the level leaves, so that 1 + 1e-6 keeps its digits
                u = (z - (b + c * d) * d) * inverse
                v = max(1.0 - u * u, 0.0)
                w = taper[j] * v * v
                wd = w * d
                wdd = wd * d
                s0 += w
                s1 += wd
                s2 += wdd
                s3 += wdd * d
                s4 += wdd * d * d
                t0 += w * z
                t1 += wd * z
                t2 += wdd * z
            if not s0 > 0.0:
                break
            line = s0 * s2 - s1 * s1
            if here == 0 or line <= 1e-6 * s0 * s0:
                a += t0 / s0
                b = 0.0
                c = 0.0
                continue
            cube = s0 * (s2 * s4 - s3 * s3) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2 * s2)
            if here == 1 or cube <= 1e-6 * line * s0:
                a += (t0 * s2 - t1 * s1) / line
                b = (s0 * t1 - s1 * t0) / line
                c = 0.0
                continue
            a += (t0 * (s2 * s4 - s3 * s3) - s1 * (t1 * s4 - s3 * t2) + s2 * (t1 * s3 - s2 * t2)) / cube
            b = (s0 * (t1 * s4 - s3 * t2) - t0 * (s1 * s4 - s2 * s3) + s2 * (s1 * t2 - s2 * t1)) / cube
            c = (s0 * (s2 * t2 - s3 * t1) - s1 * (s1 * t2 - s2 * t1) + t0 * (s1 * s3 - s2 * s2)) / cube
        trend[i] = a
    return trend, before, after


@njit(cache=True)
def bins(time, flux, start, width):
    """Average the cadences of each bin that holds any.

    Parameters
    ----------
    time, flux : float64 arrays, (n,)
        In order of time.
    start, width : float
        Days; bins begin at ``start + k * width``.

    Returns
    -------
    centre, level, count : float64 arrays, (m,)
        Mean time, mean flux, number of cadences.
    """
    n = time.size
    centre = np.empty(n)
    level = np.empty(n)
    count = np.empty(n)
    m = -1
    here = -np.inf
    for j in range(n):
        slot = np.floor((time[j] - start) / width)
        if m < 0 or slot > here:
            m += 1
            here = slot
            centre[m] = 0.0
            level[m] = 0.0
            count[m] = 0.0
        centre[m] += time[j] - start
        level[m] += flux[j]
        count[m] += 1.0
    m += 1
    return start + centre[:m] / count[:m], level[:m] / count[:m], count[:m].copy()


@njit(cache=True)
def through(time, knot, value):
    """Interpolate by Hermite's cubics through the knots, straight over wide gaps; the first and last value are held.

    Parameters
    ----------
    time : float64 array, (n,)
        In order of time.
    knot, value : float64 arrays, (m,)
        At least one, in order of time. The slope at a knot is that of the parabola through its neighbours.

    Returns
    -------
    float64 array, (n,)
    """
    n = time.size
    m = knot.size
    curve = np.empty(n)
    if m == 1:
        curve[:] = value[0]
        return curve
    step = np.diff(knot)
    wide = 3.0 * np.median(step)
    rise = np.diff(value) / step
    slope = np.empty(m)
    slope[0] = rise[0]
    slope[m - 1] = rise[m - 2]
    for k in range(1, m - 1):
        slope[k] = (step[k] * rise[k - 1] + step[k - 1] * rise[k]) / (step[k - 1] + step[k])
    k = 0
    for j in range(n):
        t = time[j]
        if t <= knot[0]:
            curve[j] = value[0]
            continue
        if t >= knot[m - 1]:
            curve[j] = value[m - 1]
            continue
        while t >= knot[k + 1]:
            k += 1
        x = (t - knot[k]) / step[k]
        chord = value[k + 1] - value[k]
        y = value[k] + x * chord
        if m >= 4 and step[k] < wide:
            # what the cubic adds to the chord
            y += x * (1 - x) * ((1 - x) * (slope[k] * step[k] - chord) - x * (slope[k + 1] * step[k] - chord))
        curve[j] = y
    return curve
