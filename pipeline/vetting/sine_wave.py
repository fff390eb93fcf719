"""A variable star taken for transits: is there a sine wave at the period, half or twice it?"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Booleans, Finding, Floats, LightCurve
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run

MULTIPLES = (0.5, 1.0, 2.0)  # of the period
BINS = 24  # in the shortest of a period and a day: waves of half the period keep 99 % of their height
LEAST_BINS = 40  # that hold cadences
FLAT_CYCLES, RAW_CYCLES = 3.0, 6.0  # of a wave in the light curve; fewer are a trend
NEIGHBOURS = 12  # frequencies to each side at which the noise is measured...
SPACING = 1.25  # ... so many resolutions apart (1 / span)
NEAREST = 2.0  # the first this many resolutions away
PEAK = 0.7  # share of the highest power within a resolution that a wave at just this period has


@dataclass(frozen=True, slots=True)
class Wave:
    """A sine wave fitted at one period."""

    series: str
    multiple: float  # of the signal's period
    amplitude: float  # half of peak to peak, fraction
    log_tail: float  # of the probability that the noise of neighbouring frequencies is as high
    peak: bool  # no nearby frequency fits much better


def sine_wave(case: Case) -> Finding:
    """Fit sine waves out of transit, to the detrended light curve and to its undetrended twin.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the semi-amplitude over the transit's depth and ``sigma`` the significance of the most significant
        wave, after paying for the look at each. Fails when a wave is ``sine_sigma`` sure, its semi-amplitude is over
        ``sine_share`` of the depth, no neighbouring period fits it better, and the period is under
        ``sine_period`` days.

    Notes
    -----
    SWEET (Thompson et al. 2018, ApJS 235 38; LEO-Vetter fails 15 white-noise sigmas under 10 days) with the noise
    taken from the power at neighbouring frequencies, red noise included, once the three waves are taken off. A
    trend of a day and a half hides slow rotation; the undetrended twin shows it, where the span holds six cycles or
    more. A planet that turns with its star's spots is failed too; one whose tides raise less than half of its
    transit is not.
    """
    settings = case.settings
    limit = settings.sine_sigma
    depth = case.depth if case.depth > 0 else case.signal.depth
    if not depth > noise.FLOOR:
        return not_run("sine_wave", limit, "few_points: no dip to compare with")
    outside = noise.outside(case.light_curve.time, case.signal.period, case.signal.epoch, case.signal.duration)
    waves = [
        *_waves("detrended", case.light_curve, outside, case.signal.period, FLAT_CYCLES),
        *_waves("undetrended", case.cleaned.raw, outside, case.signal.period, RAW_CYCLES),
    ]
    if not waves:
        return not_run("sine_wave", limit, "few_points: too few cycles, or cadences out of transit, for a wave")

    def sigma_of(wave: Wave) -> float:
        return noise.best_of(_deviate(wave.log_tail), len(waves))

    def guilty(wave: Wave) -> bool:
        return sigma_of(wave) > limit and wave.peak and wave.amplitude > settings.sine_share * depth

    failed = case.signal.period < settings.sine_period and any(map(guilty, waves))
    worst = min(filter(guilty, waves) if failed else waves, key=lambda wave: wave.log_tail)
    sigma = sigma_of(worst)
    return judged(
        "sine_wave",
        failed,
        worst.amplitude / depth,
        sigma,
        limit,
        f"the {worst.series} light curve waves by +-{worst.amplitude * 1e6:.0f} ppm at {worst.multiple:g} periods, "
        f"{worst.amplitude / depth:.2f} of the transit's depth, {sigma:.1f} sigma"
        + ("" if worst.peak else "; a neighbouring period fits better"),
    )


def _waves(name: str, curve: LightCurve, outside: Booleans, period: float, cycles: float) -> list[Wave]:
    """One wave for each multiple of the period that the span holds often enough."""
    time, flux = curve.time[outside], curve.flux[outside]
    if time.size < LEAST_BINS:
        return []
    place = ((time - time[0]) / (min(period, 1.0) / BINS)).astype(np.int64)
    _, place = np.unique(place, return_inverse=True)
    weight = np.bincount(place).astype(np.float64)
    when, mean = np.bincount(place, time) / weight, np.bincount(place, flux) / weight
    span = float(when[-1] - when[0])
    multiples = [m for m in MULTIPLES if span >= cycles * m * period]
    if not multiples or weight.size < LEAST_BINS:
        return []
    trial = 1 / (np.array(multiples) * period)
    when, mean = when - when.mean(), mean - np.average(mean, weights=weight)
    gain, amplitude = _fit(when, mean, weight, trial)
    beside = trial[:, None] + np.linspace(-1, 1, 9) / span
    highest = _fit(when, mean, weight, beside.ravel())[0].reshape(beside.shape).max(axis=1)
    angle = 2 * np.pi * when[:, None] * trial
    columns = np.concatenate([np.ones((when.size, 1)), np.cos(angle), np.sin(angle)], axis=1)
    root = np.sqrt(weight)
    fitted = columns @ np.linalg.lstsq(columns * root[:, None], mean * root, rcond=None)[0]
    steps = NEAREST + SPACING * np.arange(NEIGHBOURS)
    around = trial[:, None] + np.concatenate([-steps, steps]) / span
    usable = around * span > 1
    power = _fit(when, mean - fitted, weight, np.where(usable, around, 1.0).ravel())[0].reshape(around.shape)
    waves = []
    for i, multiple in enumerate(multiples):
        count = int(usable[i].sum())
        usual = float(power[i, usable[i]].mean())
        # of exponential variates, one over the mean of others: (1 + F / n) ** -n
        ratio = float(gain[i]) / usual if usual > 0 else 0.0
        log_tail = -count * math.log1p(ratio / count)
        waves.append(Wave(name, multiple, float(amplitude[i]), log_tail, bool(gain[i] >= PEAK * highest[i])))
    return waves


def _fit(time: Floats, values: Floats, weight: Floats, frequency: Floats) -> tuple[Floats, Floats]:
    """What a sine wave of each frequency takes off the weighted sum of squares, and its amplitude, (f,) each."""
    angle = 2 * np.pi * frequency[:, None] * time
    total = weight.sum()
    cosine, sine = np.cos(angle), np.sin(angle)
    cosine -= (cosine @ weight / total)[:, None]
    sine -= (sine @ weight / total)[:, None]
    cc, ss, cs = (cosine**2) @ weight, (sine**2) @ weight, (cosine * sine) @ weight
    cy, sy = cosine @ (weight * values), sine @ (weight * values)
    determinant = np.maximum(cc * ss - cs**2, 1e-12 * total**2)
    a, b = (ss * cy - cs * sy) / determinant, (cc * sy - cs * cy) / determinant
    return a * cy + b * sy, np.hypot(a, b)


def _deviate(log_tail: float) -> float:
    """Normal deviate of a one-sided probability given by its logarithm."""
    if log_tail > -30:
        return -noise.NORMAL.inv_cdf(min(math.exp(log_tail), 1 - 1e-9))
    return math.sqrt(-2 * log_tail - math.log(2 * math.pi) - math.log(-2 * log_tail))
