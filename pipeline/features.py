"""The numbers beside the views: what a network is told in figures."""

import math
from collections.abc import Sequence

import numpy as np

from pipeline.ephemeris import cycle, transit_mask
from pipeline.types import CleanedLightCurve, Finding, FoldedViews, Star, TransitSignal, Verdict

VERSION = 1


def features(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star,
    findings: Sequence[Finding],
) -> dict[str, float | None]:
    """Collect the scalars of a signal.

    Parameters
    ----------
    cleaned : CleanedLightCurve
    views : FoldedViews
    signal : TransitSignal
    star : Star
    findings : sequence of Finding
        What ``vet`` returned.

    Returns
    -------
    dict of float or None
        Finite numbers; None where unknown, never 0 or NaN. Depth is a fraction, periods days, offsets arcsec.
    """
    found = {finding.test: finding for finding in findings}

    def measured(test: str, what: str) -> float | None:
        finding = found.get(test)
        if finding is None or finding.status not in (Verdict.PASS, Verdict.FAIL):
            return None
        return getattr(finding, what)

    transits = signal.n_transits
    if transits is None:
        time = views.light_curve.time
        inside = transit_mask(time, signal.period, signal.epoch, signal.duration)
        transits = int(np.unique(cycle(time[inside], signal.period, signal.epoch)).size)
    values = {
        "log10_period": _log10(signal.period),
        "log10_depth": _log10(signal.depth),
        "duration_over_period": signal.duration / signal.period,
        "log10_snr": _log10(signal.snr),
        "odd_even_sigma": measured("odd_even", "sigma"),
        "secondary_sigma": measured("secondary", "sigma"),
        "secondary_over_primary": measured("secondary", "value"),
        "centroid_offset": measured("centroid", "value"),
        "centroid_sigma": measured("centroid", "sigma"),
        "tmag": star.tmag,
        "radius": star.radius,
        "teff": star.teff,
        "n_transits": float(transits),
        "duration_ratio": measured("duration_density", "value"),
    }
    return {name: None if value is None or not math.isfinite(value) else float(value) for name, value in values.items()}


def _log10(value: float) -> float | None:
    return math.log10(value) if value > 0 else None
