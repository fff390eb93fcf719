"""Binning and filtering: from cadences to the series that a fold adds up.

The base series is binned once per star. For each trial duration it is rebinned to about a sixth of the duration and
filtered with the template, so that the fold that follows knows nothing of durations or shapes. A window that meets a
gap has proportionally smaller numerator *and* denominator: a half-observed transit counts half, and nothing is filled.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Floats, Integers

SUBPOSITIONS = 16  # of a bin over which a template is averaged, so that fractional widths are right
INGRESS = 0.12  # of half the duration, in the limb-darkened template
# quadratic, TESS band; one for all stars: their own coefficients would change the signal-to-noise by less than 0.2 %
LIMB_DARKENING = (0.35, 0.20)
IMPACT = 0.3  # of the limb-darkened template
LONGEST_EMPTY_RUN = 64  # bins; a longer empty run splits the series, so that no fold walks through it

TEMPLATES = ("box", "limb-darkened", "trapezoid", "v")


@dataclass(frozen=True, slots=True, eq=False)
class BinnedSeries:
    """Weighted sums of cadences in equal bins, over the populated stretches only.

    Stretch k covers bins ``first[k]`` to ``first[k] + length[k]`` of the time axis that starts at ``start``, and rows
    ``offset[k]`` to ``offset[k] + length[k]`` of the arrays.
    """

    start: float  # BTJD of the left edge of bin 0
    width: float  # days
    weighted_flux: Floats  # (rows, stars) sum of weight * (flux - mean)
    weight: Floats  # (rows,) sum of weight, shared by the stars
    first: Integers  # (stretches,)
    length: Integers  # (stretches,)
    offset: Integers  # (stretches,)


@dataclass(frozen=True, slots=True, eq=False)
class FilteredSeries:
    """Matched-filter numerator and denominator of a transit centred on each bin; positive is dimming."""

    start: float  # BTJD of the left edge of bin 0
    width: float  # days
    numerator: NDArray[np.float32]  # (rows, stars)
    denominator: NDArray[np.float32]  # (rows,)
    first: Integers  # (stretches,)
    length: Integers  # (stretches,)
    offset: Integers  # (stretches,)


def template_shape(name: str, distance: Floats) -> Floats:
    """Depth of a template, 1 at its centre, at ``distance`` from it in half durations.

    ``box``; ``v`` for grazing transits; ``trapezoid`` with 15 % of the duration as ingress; ``limb-darkened``: a small
    planet at impact parameter 0.3 across a quadratically darkened disc.

    Raises
    ------
    ValueError
        If no template has this name.
    """
    distance = np.abs(distance)
    inside = distance < 1.0
    if name == "box":
        return inside.astype(np.float64)
    if name == "v":
        return np.clip(1.0 - distance, 0.0, 1.0)
    if name == "trapezoid":
        return np.clip((1.0 - distance) / 0.30, 0.0, 1.0)
    if name == "limb-darkened":
        first, second = LIMB_DARKENING
        chord = IMPACT**2 + np.minimum(distance, 1.0) ** 2 * (1.0 - IMPACT**2)
        edge = 1.0 - np.sqrt(np.clip(1.0 - chord, 0.0, 1.0))
        middle = 1.0 - np.sqrt(1.0 - IMPACT**2)
        shape = (1.0 - first * edge - second * edge**2) / (1.0 - first * middle - second * middle**2)
        return np.where(inside, shape * np.clip((1.0 - distance) / INGRESS, 0.0, 1.0), 0.0)
    raise ValueError(f"no template is called {name!r}; there are {', '.join(TEMPLATES)}")


@cache
def template_table(name: str) -> Floats:
    """A template from its centre to its edge in 512 equal steps, (513,): linear in between to better than 1e-4."""
    return template_shape(name, np.linspace(0.0, 1.0 - 1e-12, 513))


def template_taps(name: str, width: float) -> Floats:
    """Averages of a template ``width`` bins wide over each bin, centred on the middle one; odd in number."""
    half = int(np.ceil(width / 2.0 + 0.5))
    within = (np.arange(SUBPOSITIONS) + 0.5) / SUBPOSITIONS - 0.5
    position = np.arange(-half, half + 1)[:, None] + within[None, :]
    return template_shape(name, position / (width / 2.0)).mean(axis=1)


def bin_light_curve(time: Floats, flux: Floats, weight: Floats, start: float, width: float) -> BinnedSeries:
    """Sum flux and weight in bins of ``width`` days from ``start`` on.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    flux : (n, stars), less its weighted mean
    weight : (n,) shared by the stars; cadences of weight 0 are left out
    start : float
        BTJD, not after the first cadence.
    width : float
        Days.

    Returns
    -------
    BinnedSeries
        Split wherever more than 64 bins in a row are empty, so that its size follows the data and not the baseline.
    """
    used = weight > 0
    index = np.floor((time[used] - start) / width + 1e-9).astype(np.int64)
    breaks = np.flatnonzero(np.diff(index) > LONGEST_EMPTY_RUN)
    first: Integers = index[np.append(0, breaks + 1)]
    length: Integers = index[np.append(breaks, index.size - 1)] + 1 - first
    offset = np.cumsum(length) - length
    stretch = np.zeros(index.size, dtype=np.int64)
    stretch[breaks + 1] = 1
    stretch = np.cumsum(stretch)
    row = index - first[stretch] + offset[stretch]
    rows = int(length.sum())
    total = np.asarray(np.bincount(row, weight[used], minlength=rows), dtype=np.float64)
    weighted = weight[used, None] * flux[used]
    columns = [np.bincount(row, weighted[:, k], minlength=rows) for k in range(flux.shape[1])]
    sums = np.asarray(np.stack(columns, axis=1), dtype=np.float64)
    return BinnedSeries(start, width, sums, total, first, length, offset)


def rebin(series: BinnedSeries, factor: int, pad: int) -> BinnedSeries:
    """Add ``factor`` bins to one, with ``pad`` empty bins before and after each stretch, joining what then touches."""
    before = series.first // factor - pad
    after = -(-(series.first + series.length) // factor) + pad
    starts_new = np.concatenate([[True], before[1:] > np.maximum.accumulate(after)[:-1]])
    group = np.cumsum(starts_new) - 1
    first = before[starts_new]
    length = np.maximum.reduceat(after, np.flatnonzero(starts_new)) - first
    offset = np.cumsum(length) - length
    rows = int(length.sum())
    weighted = np.zeros((rows, series.weighted_flux.shape[1]))
    weight = np.zeros(rows)
    # the old bins, stretch by stretch, and the new row each falls in: never decreasing, as two stretches can share one
    bins = np.arange(series.weight.size) + np.repeat(series.first - series.offset, series.length)
    row = bins // factor + np.repeat((offset - first)[group], series.length)
    edges = np.flatnonzero(np.diff(row, prepend=-1))
    weighted[row[edges]] = np.add.reduceat(series.weighted_flux, edges, axis=0)
    weight[row[edges]] = np.add.reduceat(series.weight, edges)
    return BinnedSeries(series.start, series.width * factor, weighted, weight, first, length, offset)


def rebin_factor(duration: float, width: float, bins_per_duration: int) -> int:
    """How many base bins make one bin of about ``duration / bins_per_duration``; at least 1."""
    return max(1, int(duration / (bins_per_duration * width) + 1e-9))


def filter_series(series: BinnedSeries, duration: float, template: str) -> FilteredSeries:
    """Correlate a padded series with a template.

    Parameters
    ----------
    series : BinnedSeries
        From :func:`rebin`, padded by at least half the template on every side of every stretch.
    duration : float
        Days.
    template : str
        One of ``TEMPLATES``.

    Returns
    -------
    FilteredSeries
        With a_k the template: numerator ``-sum a w y``, denominator ``sum a**2 w``.
        Sums are taken in float64 and kept in float32.
    """
    taps = template_taps(template, duration / series.width)  # the same from both ends: to convolve is to correlate
    numerator = np.empty(series.weighted_flux.shape, dtype=np.float32)
    for star in range(series.weighted_flux.shape[1]):
        numerator[:, star] = -np.convolve(series.weighted_flux[:, star], taps, mode="same")
    return FilteredSeries(
        series.start,
        series.width,
        numerator,
        np.convolve(series.weight, taps**2, mode="same").astype(np.float32),
        series.first,
        series.length,
        series.offset,
    )


def padding(duration: float, width: float) -> int:
    """Empty bins needed on both sides of a stretch, so that no template reaches from one stretch into the next."""
    return int(np.ceil(duration / width / 2.0 + 0.5))
