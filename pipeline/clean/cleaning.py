"""The clean phase: files in, one detrended light curve and its undetrended twin out."""

from collections.abc import Sequence

from pipeline.clean.detrend import DetrendSettings, detrend
from pipeline.clean.stitch import CleanSettings, stitch
from pipeline.types import CleanedLightCurve, LightCurve, Observation

VERSION = 1


def clean(
    observations: Sequence[Observation], settings: CleanSettings, detrending: DetrendSettings
) -> CleanedLightCurve:
    """Stitch the products of one star, cut outliers, detrend."""
    series = stitch(observations, settings)
    raw = LightCurve(series.time, series.flux, series.flux_err)
    flat = detrend(raw, series.segment, detrending)
    return CleanedLightCurve(
        flat=flat,
        raw=raw,
        segment=series.segment,
        exposure=series.exposure,
        centroid_column=series.centroid_column,
        centroid_row=series.centroid_row,
        products=series.products,
        rejected=series.rejected,
    )
