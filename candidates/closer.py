"""What a page draws anew when a reader looks closer: the light curve, its fold on any multiple, the spectrum."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from candidates.drawing import compress_peaks
from pipeline.types import CleanedLightCurve, Floats, FoldedViews, SearchResult

MOST_POINTS = 20_000  # of a light curve; beyond, neighbours are averaged, and the page says so
COLUMNS = 900  # of the spectrum, each with its highest and lowest value
DAY_STEPS = 1e5  # a time is kept to 0.9 s
PPM = 1e6


def closer_data(
    document: Mapping[str, Any], cleaned: CleanedLightCurve, result: SearchResult, views: FoldedViews
) -> dict[str, Any]:
    """The numbers behind the charts, small enough for a page.

    Parameters
    ----------
    document : mapping
        Of the evidence.
    cleaned, result, views
        The light curve before and after detrending (with the transits masked), the spectrum.

    Returns
    -------
    dict
        Whole numbers: ``steps`` are times as differences in 1e-5 days from ``start`` on, fluxes are in ppm.
    """
    curve = views.light_curve
    together = max(1, -(-len(curve) // MOST_POINTS))
    raw_flux = cleaned.raw.flux[np.isin(cleaned.raw.time, curve.time)]  # without the transits of stronger signals
    time, flat, raw = (_averaged(values, together) for values in (curve.time, curve.flux, raw_flux))
    start = float(time[0]) if time.size else 0.0
    period, power = compress_peaks(result.period, result.power, COLUMNS) if result.period.size > 1 else ((), ())
    signal = document["signal"]
    return {
        "period": signal["period_days"],
        "epoch": signal["epoch_btjd"],
        "duration": signal["duration_hours"] / 24,
        "depth": signal["depth_ppm"],
        "averaged": together,
        "start": start,
        "steps": np.diff(np.rint((time - start) * DAY_STEPS).astype(np.int64), prepend=0).tolist(),
        "flat": _ppm(flat),
        "raw": _ppm(raw),
        "periods": [float(f"{value:.6g}") for value in period],
        "power": [round(float(value), 2) for value in power],
        "scan": _scan(document["folded"]),
    }


def _scan(folded: Mapping[str, Any]) -> dict[str, Any] | None:
    """The dip at every phase in sigmas, and the line that noise does not cross; None where it was not measured."""
    phases = folded["phases"] if folded["status"] == "done" else None
    if phases is None:
        return None
    return {"phase": phases["phase"], "sigma": phases["sigma"], "line": round(phases["threshold_sigma"], 2)}


def _averaged(values: Floats, together: int) -> Floats:
    """Means of so many neighbours; the last may be of fewer."""
    if together == 1 or values.size == 0:
        return values
    first = np.arange(0, values.size, together)
    return np.add.reduceat(values, first) / np.diff(np.append(first, values.size))


def _ppm(flux: Floats) -> list[int]:
    return np.rint((flux - 1) * PPM).astype(np.int64).tolist()
