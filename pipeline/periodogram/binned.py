"""Binning and filtering: from cadences to the series that a fold adds up.

The base series is binned once per star. For each trial duration it is rebinned to about a sixth of the duration and
filtered with the template, so that the fold that follows knows nothing of durations or shapes. A window that meets a
gap has proportionally smaller numerator *and* denominator: a half-observed transit counts half, and nothing is filled.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Floats

SUBPOSITIONS = 16  # of a bin over which a template is averaged, so that fractional widths are right
INGRESS = 0.12  # of half the duration, in the limb-darkened template
# quadratic, TESS band; one for all stars: their own coefficients would change the signal-to-noise by less than 0.2 %
LIMB_DARKENING = (0.35, 0.20)
IMPACT = 0.3  # of the limb-darkened template

TEMPLATES = ("box", "limb-darkened", "trapezoid", "v")


@dataclass(frozen=True, slots=True, eq=False)
class BinnedSeries:
    """Weighted sums of cadences in equal bins, from the first to the last; bins without cadences hold zeros."""

    start: float  # BTJD of the left edge of bin 0
    width: float  # days
    weighted_flux: Floats  # (stars, rows) sum of weight * (flux - mean)
    weight: Floats  # (rows,) sum of weight, shared by the stars


@dataclass(frozen=True, slots=True, eq=False)
class FilteredSeries:
    """Matched-filter numerator and denominator of a transit centred on each bin, and half a bin later.

    A fold takes for each cycle whichever of the two lies nearer, which halves the error of its place at no cost.
    Positive is dimming.
    """

    start: float  # BTJD of the left edge of bin 0
    width: float  # days
    numerator: NDArray[np.float32]  # (stars, 2, rows)
    denominator: NDArray[np.float32]  # (2, rows)


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


@lru_cache(maxsize=4096)
def template_taps(name: str, width: float, shift: float = 0.0) -> Floats:
    """Averages of a template ``width`` bins wide over each bin, its centre ``shift`` bins after that of the middle one.

    Odd in number.
    """
    half = int(np.ceil(width / 2.0 + 0.5 + shift))
    within = (np.arange(SUBPOSITIONS) + 0.5) / SUBPOSITIONS - 0.5 - shift
    position = np.arange(-half, half + 1)[:, None] + within[None, :]
    return template_shape(name, position / (width / 2.0)).mean(axis=1)


def bin_light_curve(
    time: Floats, flux: Floats, weight: Floats, start: float, width: float, pad: int = 0
) -> BinnedSeries:
    """Sum flux and weight in bins of ``width`` days from ``start`` on.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    flux : (stars, n), less its weighted mean
    weight : (n,) shared by the stars; cadences of weight 0 are left out
    start : float
        BTJD, not after the first cadence.
    width : float
        Days.
    pad : int
        Empty bins before the first and after the last.

    Returns
    -------
    BinnedSeries
        Up to the last cadence. Six years in bins of ten minutes are 2.5 MB a star.
    """
    # the cadences come in order of time, so each bin is a run of them
    row = np.floor((time - start) / width + 1e-9).astype(np.int64) + pad
    edges = np.flatnonzero(np.diff(row, prepend=-1))
    rows = int(row[-1]) + 1 + pad
    total = np.zeros(rows)
    total[row[edges]] = np.add.reduceat(weight, edges)
    sums = np.zeros((flux.shape[0], rows))
    sums[:, row[edges]] = np.add.reduceat(weight * flux, edges, axis=1)
    return BinnedSeries(start - pad * width, width, sums, total)


def correlate(series: BinnedSeries, taps: Floats, half_later: Floats) -> FilteredSeries:
    """Correlate a padded series with a template.

    Parameters
    ----------
    series : BinnedSeries
        Padded by at least half the template at both ends.
    taps, half_later : (odd,)
        From :func:`template_taps`, centred on a bin and half a bin after it.

    Returns
    -------
    FilteredSeries
        With a_k the template: numerator ``-sum a w y``, denominator ``sum a**2 w``, kept in float32. A window that
        holds no cadence has a denominator of exactly 0.
    """
    stars, rows = series.weighted_flux.shape
    numerator = np.empty((stars, 2, rows), dtype=np.float32)
    denominator = np.empty((2, rows), dtype=np.float32)
    for half, shape in enumerate((taps[::-1], half_later[::-1])):  # to correlate is to convolve from the other end
        denominator[half] = _middle(np.convolve(series.weight, shape**2), shape.size, rows)
        for star in range(stars):
            numerator[star, half] = _middle(np.convolve(series.weighted_flux[star], -shape), shape.size, rows)
    return FilteredSeries(series.start, series.width, numerator, denominator)


def _middle(full: Floats, taps: int, rows: int) -> Floats:
    """The part of a full convolution that is centred on the rows of its series."""
    return full[taps // 2 : taps // 2 + rows]


def padding(duration: float, width: float) -> int:
    """Empty bins needed at both ends, so that a template that begins before the data is whole."""
    return int(np.ceil(duration / width / 2.0 + 1.0))
