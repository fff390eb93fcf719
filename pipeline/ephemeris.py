"""When a transit falls: phase, cycle, and the cadences inside.

Everything is float64 and starts from ``time - epoch``, so six years of 0.5-day cycles cost a few
nanoseconds of phase. What spoils a fold is the error of the period, times the cycles.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pipeline.types import Booleans, Floats, Integers


def cycle(time: ArrayLike, period: float, epoch: float) -> Integers:
    """Number the transit nearest to each time.

    Parameters
    ----------
    time : array_like, (n,)
        BTJD days, finite.
    period : float
        Days, positive.
    epoch : float
        BTJD of the centre of transit 0.

    Returns
    -------
    int64 array, (n,)
        0 for the transit at ``epoch``, negative before it; half-way between two transits
        the time belongs to the later one.

    Raises
    ------
    ValueError
        If the period is not a positive number or the epoch is not finite.
    """
    return _cycle(_since(time, period, epoch), period).astype(np.int64)


def phase(time: ArrayLike, period: float, epoch: float) -> Floats:
    """Fold each time on the period, with the transit at phase 0.

    Parameters
    ----------
    time : array_like, (n,)
        BTJD days, finite.
    period : float
        Days, positive.
    epoch : float
        BTJD of a transit centre.

    Returns
    -------
    float64 array, (n,)
        Phase in [-0.5, 0.5), in periods.

    Raises
    ------
    ValueError
        If the period is not a positive number or the epoch is not finite.
    """
    offset = _since(time, period, epoch)
    folded = (offset - _cycle(offset, period) * period) / period
    # the product above rounds, so half a period can come out as 0.5 + 1e-13
    return np.where(folded >= 0.5, -0.5, np.maximum(folded, -0.5))


def transit_mask(time: ArrayLike, period: float, epoch: float, duration: float, width: float = 1.0) -> Booleans:
    """Find the cadences inside the transits.

    Parameters
    ----------
    time : array_like, (n,)
        BTJD days, finite.
    period, epoch : float
        Days and BTJD of a transit centre.
    duration : float
        Days from first to fourth contact.
    width : float
        Durations to mark around each centre: 1 is the transit itself, 3 takes a duration more on both sides.

    Returns
    -------
    bool array, (n,)
        True within half of ``width * duration`` of a transit centre.

    Raises
    ------
    ValueError
        If the period is not a positive number, the epoch is not finite, or ``width * duration`` is negative
        or not a number.
    """
    if not width * duration >= 0:
        raise ValueError(f"a transit cannot last {duration} days, {width} times")
    return np.abs(phase(time, period, epoch)) * period <= 0.5 * width * duration


def _since(time: ArrayLike, period: float, epoch: float) -> Floats:
    """Days since the epoch, after a look at the ephemeris."""
    if not (math.isfinite(period) and period > 0 and math.isfinite(epoch)):
        raise ValueError(f"no ephemeris: period {period} days, epoch {epoch}")
    return np.asarray(time, dtype=np.float64) - epoch


def _cycle(offset: Floats, period: float) -> Floats:
    return np.floor(offset / period + 0.5)
