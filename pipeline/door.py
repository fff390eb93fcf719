"""The phases for arrays at hand: what a notebook calls, over the same code as the hunt.

::

    from pipeline import run_phase1, run_phase2, run_phase3

    cleaned = run_phase1(time, flux)      # mask, stitch, detrend
    result = run_phase2(cleaned)          # search
    views = run_phase3(cleaned, result.signals[0])  # fold
"""

import numpy as np
from numpy.typing import ArrayLike

from pipeline.clean import CleanSettings, DetrendSettings, clean
from pipeline.fold import FoldSettings, fold
from pipeline.search import SearchSettings, search
from pipeline.types import CleanedLightCurve, FoldedViews, Observation, Product, SearchResult, Star, TransitSignal


def run_phase1(
    time: ArrayLike,
    flux: ArrayLike,
    flux_err: ArrayLike | None = None,
    quality: ArrayLike | None = None,
    settings: CleanSettings = CleanSettings(),
    detrending: DetrendSettings = DetrendSettings(),
) -> CleanedLightCurve:
    """Mask, stitch and detrend one light curve.

    Parameters
    ----------
    time : (n,) array
        BTJD days, in any order; NaN is left out.
    flux, flux_err : (n,) arrays
        Any one unit; without errors they are measured.
    quality : (n,) array of int, optional
        Non-zero cadences are left out.
    settings, detrending : CleanSettings, DetrendSettings

    Raises
    ------
    UnusableData
        If too little is left to search.
    ValueError
        If the arrays differ in length.
    """
    times = np.asarray(time, dtype=np.float64)
    fluxes = np.asarray(flux, dtype=np.float64)
    errors = np.full(times.shape, np.nan) if flux_err is None else np.asarray(flux_err, dtype=np.float64)
    flags = np.zeros(times.shape, dtype=np.int64) if quality is None else np.asarray(quality, dtype=np.int64)
    if times.ndim != 1 or not times.shape == fluxes.shape == errors.shape == flags.shape:
        raise ValueError(f"time {times.shape} and flux {fluxes.shape} must be one-dimensional and of one length")
    product = Product(uri="arrays", sha256="", mission="", author="", flux_column="")
    return clean([Observation(product, times, fluxes, errors, flags)], settings, detrending)


def run_phase2(
    cleaned: CleanedLightCurve, settings: SearchSettings = SearchSettings(), star: Star = Star()
) -> SearchResult:
    """Search a cleaned light curve for transits; see :func:`pipeline.search.search`."""
    return search(cleaned.flat, settings, star)


def run_phase3(
    cleaned: CleanedLightCurve,
    signal: TransitSignal,
    settings: FoldSettings = FoldSettings(),
    detrending: DetrendSettings = DetrendSettings(),
) -> FoldedViews:
    """Fold a signal into its views, detrended again with its transits masked; see :func:`pipeline.fold.fold`."""
    return fold(cleaned, signal, settings, detrending)
