"""Divide the flux by a trend that transits do not shape."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from pipeline.types import Booleans, Floats, Integers, LightCurve

VERSION = 1

CUT = 5.0  # MADs; Hippke et al. 2019 find 5 best for the biweight
STEPS = 6


@dataclass(frozen=True, slots=True)
class DetrendSettings:
    """The [detrend] table."""

    method: Literal["biweight", "savgol-101", "none"] = "biweight"
    window_hours: Annotated[float, Gt(0)] = 18.0  # hours; the window of the running biweight
    bin_minutes: Annotated[float, Gt(0)] = 20.0  # minutes; the trend is measured on bins of this length


def detrend(
    light_curve: LightCurve, segment: Integers, settings: DetrendSettings, masked: Booleans | None = None
) -> LightCurve:
    """Divide the flux of each segment by its running biweight."""
    if masked is None:
        masked = np.zeros(len(light_curve), dtype=bool)
    trend = np.ones(len(light_curve))
    if settings.method == "biweight":
        starts = np.flatnonzero(np.concatenate([[True], np.diff(segment) != 0]))
        for part in np.split(np.arange(len(light_curve)), starts[1:]):
            trend[part] = _segment_trend(light_curve.time[part], light_curve.flux[part], masked[part], settings)
    return LightCurve(light_curve.time, light_curve.flux / trend, light_curve.flux_err / trend)


def _segment_trend(time: Floats, flux: Floats, masked: Booleans, settings: DetrendSettings) -> Floats:
    from pipeline.clean.biweight import running_biweight

    if masked.all():
        masked = np.zeros_like(masked)
    width = settings.bin_minutes / 1440
    slot = np.floor((time - time[0]) / width).astype(np.int64)[~masked]
    t, f = time[~masked], flux[~masked]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(slot) > 0]))
    count = np.diff(np.concatenate([starts, [slot.size]])).astype(np.float64)
    centre = np.add.reduceat(t, starts) / count
    level = np.add.reduceat(f, starts) / count
    trend = running_biweight(centre, level, count, centre, settings.window_hours / 48, CUT, STEPS)
    return np.interp(time, centre, trend)
