"""The clean phase: files in, one detrended light curve and its undetrended twin out."""

from collections.abc import Sequence

import numpy as np

from pipeline.clean.detrend import DetrendSettings, divided, trend_of
from pipeline.clean.outliers import outliers
from pipeline.clean.savgol import symmetric_clip
from pipeline.clean.stitch import CleanSettings, Stitched, stitch
from pipeline.errors import UnusableData
from pipeline.types import Booleans, CleanedLightCurve, Floats, LightCurve, Observation

VERSION = 5

FLARE = "flare or cosmic ray"  # the reason cadences far above the trend are left out for


def clean(
    observations: Sequence[Observation],
    settings: CleanSettings = CleanSettings(),
    detrending: DetrendSettings = DetrendSettings(),
) -> CleanedLightCurve:
    """Stitch the products of one star, cut what no transit can be, detrend.

    Parameters
    ----------
    observations : sequence of Observation
        All products of one star, any order, any cadences.
    settings : CleanSettings
    detrending : DetrendSettings
        With ``savgol-101`` the clip is the seed's, symmetric at 3 sigma, and takes deep transits with it.

    Returns
    -------
    CleanedLightCurve, n cadences
        ``rejected`` counts every cadence of the input that is not among them, by reason; cadences that were binned
        to a slower one are not rejected. Flux and error are rounded to 24 bits.

    Raises
    ------
    UnusableData
        If the data cannot be hunted, with the reason a person reads.
    """
    series = stitch(observations, settings)
    raw = LightCurve(series.time, series.flux, series.flux_err)
    trend = np.ones(len(raw)) if detrending.method == "none" else trend_of(raw, series.segment, detrending)
    flat = divided(raw, trend)
    rejected = dict(series.rejected)
    reasons = (
        {"beyond 3 sigma": symmetric_clip(flat.flux)}
        if detrending.method == "savgol-101"
        else _outliers(series, flat, settings)
    )
    keep = np.ones(len(series), dtype=bool)
    for reason, bad in reasons.items():
        fresh = int((bad & keep).sum())
        if fresh:
            rejected[reason] = rejected.get(reason, 0) + fresh
        keep &= ~bad
    n = int(keep.sum())
    if n < max(settings.min_points, 1):
        raise UnusableData(f"{n} cadences without outliers are too few: [clean] min_points is {settings.min_points}")
    if np.ptp(series.time[keep]) < settings.min_span:
        raise UnusableData(
            f"{n} cadences without outliers span only {np.ptp(series.time[keep]):.3g} days: "
            f"[clean] min_span is {settings.min_span:g}"
        )
    segment, segment_product = series.segment, series.segment_product
    flares = _part(flat, reasons[FLARE]) if FLARE in reasons else None
    if n < keep.size:
        raw, flat = _part(raw, keep), _part(flat, keep)
        if detrending.method == "biweight":  # the seed clips after its flattening and leaves it at that
            cut = np.bincount(segment, ~keep) > 0
            trend = np.where(cut[segment], np.nan, trend)[keep]
            flat = divided(raw, trend_of(raw, segment[keep], detrending, known=trend))
        left, segment = np.unique(segment[keep], return_inverse=True)
        segment, segment_product = segment.astype(np.int64), tuple(segment_product[i] for i in left)
    return CleanedLightCurve(
        flat=_rounded(flat),
        raw=_rounded(raw),
        segment=segment,
        exposure=series.exposure[keep],
        centroid_column=series.centroid_column[keep],
        centroid_row=series.centroid_row[keep],
        products=series.products,
        rejected=rejected,
        segment_product=segment_product,
        flares=flares,
    )


def _outliers(series: Stitched, flat: LightCurve, settings: CleanSettings) -> dict[str, Booleans]:
    """Flares and dead points of each segment, by reason."""
    found = {FLARE: np.zeros(len(series), dtype=bool), "dead point": np.zeros(len(series), dtype=bool)}
    starts = np.flatnonzero(np.concatenate([[True], np.diff(series.segment) != 0]))
    for start, end in zip(starts, [*starts[1:], len(series)], strict=True):
        part = slice(start, end)
        flaring, dead = outliers(
            series.time[part],
            series.flux[part],
            flat.flux[part],
            series.exposure[part],
            settings.clip_up,
            settings.clip_down,
            settings.clip_down_below,
        )
        found[FLARE][part] = flaring
        found["dead point"][part] = dead
    return found


def _part(light_curve: LightCurve, keep: Booleans) -> LightCurve:
    return LightCurve(light_curve.time[keep], light_curve.flux[keep], light_curve.flux_err[keep])


def _rounded(light_curve: LightCurve) -> LightCurve:
    """Flux and error to 24 bits (0.06 ppm), as the files' own numbers are: stored, they take half the room."""
    return LightCurve(light_curve.time, _single(light_curve.flux), _single(light_curve.flux_err))


def _single(values: Floats) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        rounded = values.astype(np.float32).astype(np.float64)
    # what 32 bits cannot hold stays as it is
    return np.where(np.isfinite(rounded) & (rounded != 0), rounded, values)
