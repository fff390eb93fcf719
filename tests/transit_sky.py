"""Small skies whose truth is known, for the tests of folding and vetting."""

import numpy as np

from pipeline.types import CleanedLightCurve, LightCurve, TransitSignal

MINUTE = 1 / 1440


def cadences(days: float = 27.0, minutes: float = 10.0, start: float = 1325.0, gap: float = 1.1) -> np.ndarray:
    """A TESS sector: even cadences and a pause in the middle."""
    time = start + np.arange(0.0, days, minutes * MINUTE)
    middle = start + 0.5 * days
    return time[np.abs(time - middle) > 0.5 * gap]


def trapezoid(time: np.ndarray, period: float, epoch: float, duration: float, flat: float = 0.7) -> np.ndarray:
    """Unit-depth trapezoids, first to fourth contact lasting ``duration``."""
    away = np.abs((time - epoch + 0.5 * period) % period - 0.5 * period)
    half = 0.5 * duration
    return np.clip((half - away) / (half * (1 - flat)), 0.0, 1.0)


def red_noise(time: np.ndarray, sigma: float, hours: float, rng: np.random.Generator) -> np.ndarray:
    """A first-order autoregressive series of correlation time ``hours``, across gaps too."""
    keep = np.exp(-np.diff(time) * 24 / hours)
    kick = rng.normal(size=time.size)
    series = np.empty(time.size)
    series[0] = kick[0]
    for i in range(1, time.size):
        series[i] = keep[i - 1] * series[i - 1] + np.sqrt(1 - keep[i - 1] ** 2) * kick[i]
    return sigma * series


def cleaned(
    time: np.ndarray,
    flux: np.ndarray,
    noise: float,
    centroid: tuple[np.ndarray, np.ndarray] | None = None,
    minutes: float = 10.0,
) -> CleanedLightCurve:
    """Wrap a series as the cleaning phase would, already flat."""
    light_curve = LightCurve(time, flux, np.full(time.size, noise))
    segment = np.cumsum(np.concatenate(([0], np.diff(time) > 0.5))).astype(np.int64)
    column, row = (np.full(time.size, np.nan),) * 2 if centroid is None else centroid
    return CleanedLightCurve(
        light_curve, light_curve, segment, np.full(time.size, minutes * MINUTE), column, row, products=(), rejected={}
    )


def signal(period: float, epoch: float, duration: float, depth: float, **more: object) -> TransitSignal:
    return TransitSignal(period=period, epoch=epoch, duration=duration, depth=depth, snr=20.0, **more)  # type: ignore[arg-type]
