"""Divide the flux by a trend that transits do not shape."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from pipeline.clean.median import median
from pipeline.errors import UnusableData
from pipeline.types import Booleans, Floats, Integers, LightCurve

VERSION = 3

CUT = 5.0  # MADs; Hippke et al. 2019 (arXiv:1906.00966) find 5 best for the biweight
STEPS = 6  # of reweighting
KNOT = 2  # bins from one knot of the trend to the next
LOWEST = 0.05  # of a segment's median: a trend below it is a failed fit, not a star
SUPPORT = 0.05  # of a full window's weight needed on both sides to fit below a mask


@dataclass(frozen=True, slots=True)
class DetrendSettings:
    """The [detrend] table."""

    method: Literal["biweight", "savgol-101", "none"] = "biweight"
    window_hours: Annotated[float, Gt(0)] = 36.0  # hours; full width; a level's window of half of it is as stiff
    bin_minutes: Annotated[float, Gt(0)] = 20.0  # minutes; the trend is measured on bins of this length
    order: Annotated[int, Ge(0), Le(2)] = 2  # of the polynomial inside the window: 0 level, 1 line, 2 parabola


def detrend(
    light_curve: LightCurve, segment: Integers, settings: DetrendSettings, masked: Booleans | None = None
) -> LightCurve:
    """Divide the flux by its trend, segment by segment.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
        Stitched and quality-masked, each segment around 1.
    segment : int64 array, (n,)
        Number of the orbit segment, in order of time. No trend crosses from one into the next.
    settings : DetrendSettings
    masked : bool array, (n,), optional
        True for cadences that must not shape the trend, such as those of a known transit. The trend is fitted
        from both sides below them, interpolated straight where the mask is wider than the window, and held where it
        reaches the end of a segment. A segment masked whole is detrended as if it were not.

    Returns
    -------
    LightCurve, n cadences
        Same times; flux and its error divided by the trend.

    Raises
    ------
    UnusableData
        If ``segment`` or ``masked`` is not of the light curve's length.

    Notes
    -----
    ``biweight`` is a running robust parabola on bins (``local_fit.py``), chosen over wotan 2.0's biweight, a running
    level, by ``benchmarks/clean.py`` (all figures in ``clean.json``). On 42 real files a parabola of 36 hours leaves
    0.90 of the scatter that wotan's level of 18 hours leaves within segments and 0.62 at their ends, and raises the
    S/N of planets and eclipsing binaries on variable stars (AU Mic b, masked: 13 against 5). Its price: of a 6-hour dip
    of 0.1 % lost in the noise of two minutes the first, unmasked pass keeps 0.7 and wotan's 0.9 (3 hours: 0.92, 0.96).
    A dip that stands out of the noise of one bin keeps its depth in either. The second pass, masked, keeps all.
    Dips of over 8 hours need a longer window. wotan is as fast on bins and costs seconds to import.

    ``savgol-101`` is what the seed did (lightkurve's ``flatten``): 101 cadences are 3.4 hours at a cadence of 2 minutes
    and erase shallow transits; kept by name for comparison.
    """
    if len(light_curve) == 0 or settings.method == "none":
        _check_lengths(len(light_curve), segment, masked)
        return light_curve
    return divided(light_curve, trend_of(light_curve, segment, settings, masked))


def divided(light_curve: LightCurve, trend: Floats) -> LightCurve:
    return LightCurve(light_curve.time, light_curve.flux / trend, light_curve.flux_err / trend)


def trend_of(
    light_curve: LightCurve,
    segment: Integers,
    settings: DetrendSettings,
    masked: Booleans | None = None,
    known: Floats | None = None,
) -> Floats:
    """Fit the trend that :func:`detrend` divides by.

    Parameters
    ----------
    light_curve, segment, settings, masked
        As for :func:`detrend`; the method is not ``none``.
    known : float64 array, (n,), optional
        The trend where it is known. A segment that has a NaN in it is fitted, all others are taken over.

    Returns
    -------
    float64 array, (n,)
    """
    n = len(light_curve)
    _check_lengths(n, segment, masked)
    trend = np.full(n, np.nan) if known is None else known.copy()
    starts = np.flatnonzero(np.concatenate([[True], np.diff(segment) != 0]))
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        part = slice(start, end)
        if not np.isnan(trend[part]).any():
            continue
        time, flux = light_curve.time[part], light_curve.flux[part]
        hidden = np.zeros(time.size, dtype=bool) if masked is None else np.asarray(masked[part], dtype=bool)
        if hidden.all():
            hidden = np.zeros_like(hidden)
        if settings.method == "savgol-101":
            from pipeline.clean.savgol import savgol_trend

            trend[part] = savgol_trend(time, flux, hidden)
        else:
            trend[part] = running_trend(time, flux, hidden, settings)
        trend[part] = _believable(trend[part], flux)
    return trend


def _check_lengths(n: int, segment: Integers, masked: Booleans | None) -> None:
    hidden = (n,) if masked is None else np.shape(masked)
    if not (np.shape(segment) == hidden == (n,)):
        raise UnusableData(f"segment {np.shape(segment)} and masked {hidden} must be as long as the flux, {n}")


def running_trend(time: Floats, flux: Floats, masked: Booleans, settings: DetrendSettings) -> Floats:
    """Fit the trend of one segment.

    Parameters
    ----------
    time, flux : float64 arrays, (n,)
        One segment, in order of time.
    masked : bool array, (n,)
        True where a cadence must not shape the trend; not everywhere.
    settings : DetrendSettings

    Returns
    -------
    float64 array, (n,)
    """
    # compile: not for commands that only read settings
    from pipeline.clean.local_fit import bins, running_fit, through

    width = settings.bin_minutes / 1440
    half_window = settings.window_hours / 48
    hiding = bool(masked.any())
    seen = ~masked if hiding else slice(None)
    centre, level, count = bins(time[seen], flux[seen], time[0], width)
    if hiding:
        at = bins(time, flux, time[0], width)[0]
        at = at[(at >= centre[0]) & (at <= centre[-1])]
    else:
        at = centre
    # a smooth trend needs no more knots than this, and each costs two medians
    at = np.concatenate([at[:-1:KNOT], at[-1:]])
    if at.size == 0:
        return np.full(time.size, median(flux[seen]))
    trend, before, after = running_fit(centre, level, count, at, half_window, settings.order, CUT, STEPS)
    if hiding:
        nearest = np.abs(centre[np.searchsorted(centre, at).clip(max=centre.size - 1)] - at)
        below = (nearest > width) & (np.minimum(before, after) < SUPPORT * np.median(before + after))
        trend[below] = np.nan
    known = np.isfinite(trend)
    if not known.any():
        return np.full(time.size, median(flux[seen]))
    return through(time, at[known], trend[known])


def _believable(trend: Floats, flux: Floats) -> Floats:
    """Replace what cannot be divided by: the trend of a star is never near 0."""
    level = median(flux)
    if not (np.isfinite(level) and level > 0):
        return np.ones_like(trend)
    return np.where(np.isfinite(trend) & (trend > LOWEST * level), trend, level)
