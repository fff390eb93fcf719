"""Measure a peak of the spectrum on the unbinned light curve: the period, its harmonics, the transit itself.

The denominator is exact here (level and depth fitted together) for every template.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.periodogram import binned, noise, reference
from pipeline.periodogram.binned import FilteredSeries
from pipeline.periodogram.grid import LARGEST_DUTY, Grid, period_step
from pipeline.periodogram.spectrum import BINS_PER_DURATION, LEAST_TRANSITS, Kernel, Series, filtered, kernel
from pipeline.types import Booleans, Floats

VERSION = 2

HARMONICS = (1.0, 0.5, 2.0, 1.0 / 3.0, 3.0)
FINE_BINS = 16  # per duration
PERIODS_PER_STEP = 7  # of the coarse grid: an oversampling of about 20
STEPS_AROUND = 1.5  # coarse steps searched on both sides
SHORTEST_RATIO, LONGEST_RATIO = 0.4, 1.6  # of the peak's duration; the shortest are for P/3
SHAPE_DURATIONS = 1.19 ** np.arange(-4, 9)  # of the detected duration
SHAPE_BINS = 40  # per duration, of the fold a shape is chosen by
MASK_WIDTH = 1.5  # durations masked to measure the noise outside
LEAST_OUTSIDE = 0.6  # of the weight that must be left outside for it
LEAST_CYCLES = 5  # whose mean may be subtracted to measure the noise
# error of one mid-time in durations, times its signal-to-noise: root mean square of a template over that of its slope;
# a box has no slope and takes the trapezoid's
TIMING = {"box": 0.25, "trapezoid": 0.25, "limb-darkened": 0.20, "v": 0.29}

SigmaOf = dict[str, tuple[Floats, Floats]]  # template to (durations, scatter of the filter's output at each)
NUMPY = kernel("numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Cadences:
    """An unbinned light curve as the matched filter sees it."""

    time: Floats  # (n,) BTJD
    flux: Floats  # (n,) less its weighted mean
    weight: Floats  # (n,) relative, 0 where masked

    @property
    def span(self) -> float:
        return float(self.time[-1] - self.time[0])


@dataclass(frozen=True, slots=True)
class Ephemeris:
    """A trial transit: when, how long, which shape."""

    period: float  # days
    epoch: float  # BTJD
    duration: float  # days
    template: str


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak of the coarse spectrum."""

    period: float  # days
    duration: float  # days
    template: str
    snr: float  # coarse


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The least-squares depth of an ephemeris, and what each transit gives to it."""

    depth: float  # fraction
    depth_err: float  # fraction, for the noise given
    snr: float
    cycle: Floats  # (m,) number of each transit with data, counted from the epoch
    event_snr: Floats  # (m,) of each transit alone
    event_weight: Floats  # (m,) share of a full transit that was observed
    n_in: float  # cadences inside, by weight
    n_out: float  # cadences outside, by weight

    @property
    def n_transits(self) -> int:
        """Distinct transits of which at least half was observed."""
        return int((self.event_weight >= 0.5).sum())

    @property
    def single_event_share(self) -> float:
        """Largest share of the signal-to-noise squared that comes from one transit."""
        squares = np.clip(self.event_snr, 0.0, None) ** 2
        total = float(squares.sum())
        return float(squares.max()) / total if total > 0 else 1.0

    @property
    def chi_square(self) -> float:
        """Scatter of the single transits around the common depth, per degree of freedom; 1 for equal transits."""
        if self.cycle.size < 2:
            return 1.0
        expected = self.snr * np.sqrt(self.event_weight / self.event_weight.sum())
        return float(((self.event_snr - expected) ** 2).sum() / (self.cycle.size - 1))

    @property
    def bls_power(self) -> float:
        """depth**2 * n_in * n_out / (n_in + n_out)"""
        return self.depth**2 * self.n_in * self.n_out / (self.n_in + self.n_out)


def centred_phase(time: Floats, ephemeris: Ephemeris) -> Floats:
    """Days from the nearest transit centre, (n,)."""
    half = ephemeris.period / 2.0
    return (time - ephemeris.epoch + half) % ephemeris.period - half


def near_transit(time: Floats, ephemeris: Ephemeris, width: float) -> Booleans:
    """True within ``width`` durations centred on each transit, (n,)."""
    return np.abs(centred_phase(time, ephemeris)) < 0.5 * width * ephemeris.duration


def statistic(
    cadences: Cadences, total: float, ephemeris: Ephemeris, with_kernel: Kernel = NUMPY
) -> tuple[float, float]:
    """Depth and squared signal-to-noise for unit noise, the level outside fitted too; (0, 0) if none is inside."""
    product, squares, weight = with_kernel.sums_inside(
        cadences.time,
        cadences.flux,
        cadences.weight,
        ephemeris.period,
        ephemeris.epoch,
        ephemeris.duration,
        binned.template_table(ephemeris.template),
    )
    variance = squares - weight**2 / total
    if variance <= 0:
        return 0.0, 0.0
    return -product / variance, -product * abs(product) / variance


def locate(cadences: Cadences, peak: Peak, with_kernel: Kernel) -> Ephemeris | None:
    """The ephemeris of a peak as the coarse spectrum has it; None if nothing dims."""
    series = Series(cadences.time, cadences.flux[None], cadences.weight, 0.0)
    ready = series.filtered(with_kernel, peak.duration, peak.template, FINE_BINS)
    floor = LEAST_TRANSITS * float(ready.denominator.max())
    return _at_best_phase(ready, peak.period, peak.duration, peak.template, float(cadences.weight.sum()), floor)


def _at_best_phase(
    ready: FilteredSeries, period: float, duration: float, template: str, total: float, floor: float
) -> Ephemeris | None:
    """The transits of one period that stand out most."""
    score, place = reference.best_phase(ready.numerator[0], ready.denominator, period / ready.width, total, floor)
    if not score > 0:
        return None
    return Ephemeris(period, ready.start + (place + 0.5) * ready.width, duration, template)


def scan_harmonics(
    cadences: Cadences,
    peak: Peak,
    templates: Sequence[str],
    sigma_of: SigmaOf,
    grid: Grid,
    limits: tuple[float, float],
    with_kernel: Kernel,
) -> Ephemeris | None:
    """The best ephemeris near a peak or near a half, double, third or triple of its period; None if nothing dims.

    Parameters
    ----------
    cadences : Cadences
    peak : Peak
        From the coarse spectrum.
    templates : sequence of str
    sigma_of : dict
        Template to (durations, scatter), for the noise at any duration.
    grid : Grid
        The coarse grid. Only its durations are tried, each where it fits the period: every further choice would lift
        the peaks of noise more than those of transits.
    limits : (float, float)
        Shortest and longest period allowed, days.
    with_kernel : Kernel
        All phases are tried again, in bins of a sixteenth of the peak's duration.
    """
    durations = grid.durations[
        (grid.durations >= SHORTEST_RATIO * peak.duration) & (grid.durations <= LONGEST_RATIO * peak.duration)
    ]
    # one series serves all durations; it needs room at both ends for the longest
    width = peak.duration / FINE_BINS
    series = with_kernel.bin_light_curve(
        cadences.time,
        cadences.flux[None],
        cadences.weight,
        float(cadences.time[0]),
        width,
        binned.padding(float(durations[-1]), width),
    )
    total = float(cadences.weight.sum())
    around = np.arange(-STEPS_AROUND, STEPS_AROUND + 1e-9, 1.0 / PERIODS_PER_STEP)
    period = np.unique(
        np.concatenate(
            [peak.period * ratio + around * period_step(peak.period * ratio, grid.step) for ratio in HARMONICS]
        )
    )
    period = period[(period >= limits[0]) & (period <= limits[1])]
    best, found = 0.0, None
    for duration in durations:
        allowed = period[grid.fits(period, float(duration))]
        if allowed.size == 0:
            continue
        for template in templates:
            ready = filtered(with_kernel, series, float(duration), template)
            floor = LEAST_TRANSITS * float(ready.denominator.max())
            power, _ = with_kernel.fold(ready.numerator, ready.denominator, allowed / ready.width, total, floor)
            scaled = power[:, 0] / np.interp(duration, *sigma_of[template])
            k = int(np.argmax(scaled))
            if scaled[k] > best:
                best = float(scaled[k])
                found = ready, float(allowed[k]), float(duration), template, total, floor
    return None if found is None else _at_best_phase(*found)


def polish(
    cadences: Cadences,
    trial: Ephemeris,
    sigma_of: SigmaOf,
    limits: tuple[float, float],
    longest: float | None = None,
    with_kernel: Kernel = NUMPY,
) -> Ephemeris:
    """Climb from a trial to the nearest maximum of the signal-to-noise on the unbinned cadences.

    A pattern search (``reference.climb``) in epoch and period, and in duration up to ``longest`` days where that is
    given; the epoch is moved to the middle of the data, where its error does not depend on the period's.
    """
    middle = np.round((float(np.mean(cadences.time)) - trial.epoch) / trial.period)
    centre = Ephemeris(trial.period, trial.epoch + float(middle) * trial.period, trial.duration, trial.template)
    near = near_transit(cadences.time, centre, 3.0) & (cadences.weight > 0)
    local = Cadences(cadences.time[near], cadences.flux[near], cadences.weight[near])
    total = float(cadences.weight.sum())
    if local.time.size == 0:
        return centre
    period, epoch, duration = with_kernel.climb(
        local.time,
        local.flux,
        local.weight,
        total,
        (centre.period, centre.epoch, centre.duration),
        binned.template_table(trial.template),
        *sigma_of[trial.template],
        limits,
        longest or 0.0,
        LARGEST_DUTY,
        cadences.span,
    )
    return Ephemeris(period, epoch, duration, trial.template)


def own_noise(cadences: Cadences, ephemeris: Ephemeris, with_kernel: Kernel) -> float | None:
    """Scatter of the filter's output without the signal: the lower of its transits masked and its fold subtracted.

    The mask serves where most cadences are outside transit, the fold (the mean of all cycles in bins of a third of the
    duration) where there are at least five cycles; None where neither can be had. A binary that varies all the time has
    no quiet part to measure, only what its fold leaves over.
    """
    scatters = []
    outside = np.where(near_transit(cadences.time, ephemeris, MASK_WIDTH), 0.0, cadences.weight)
    if outside.sum() >= LEAST_OUTSIDE * cadences.weight.sum():
        scatters.append(_scatter(cadences.time, cadences.flux, outside, ephemeris, with_kernel))
    phase = centred_phase(cadences.time, ephemeris)
    cycles = np.unique(np.floor((cadences.time[cadences.weight > 0] - ephemeris.epoch) / ephemeris.period)).size
    if cycles >= LEAST_CYCLES:
        row = np.floor((phase / ephemeris.period + 0.5) * np.ceil(3.0 * ephemeris.period / ephemeris.duration))
        row = row.astype(np.int64)
        total = np.bincount(row, cadences.weight)
        mean = np.bincount(row, cadences.weight * cadences.flux) / np.where(total > 0, total, 1.0)
        left = _scatter(cadences.time, cadences.flux - mean[row], cadences.weight, ephemeris, with_kernel)
        scatters.append(None if left is None else left * float(np.sqrt(cycles / (cycles - 1.0))))
    return min((scatter for scatter in scatters if scatter is not None), default=None)


def _scatter(time: Floats, flux: Floats, weight: Floats, ephemeris: Ephemeris, with_kernel: Kernel) -> float | None:
    """Scatter of the filter's output at the duration and shape of an ephemeris; None if windows are too few."""
    flux = (flux - float((weight * flux).sum() / weight.sum()))[None]
    ready = Series(time, flux, weight, 0.0).filtered(
        with_kernel, ephemeris.duration, ephemeris.template, BINS_PER_DURATION
    )  # fmt: skip
    if int((ready.denominator[0] >= 0.5 * ready.denominator[0].max()).sum()) < noise.FEWEST_WINDOWS:
        return None
    return float(noise.filtered_scatter(ready)[0]) or None


def fit_shape(
    cadences: Cadences,
    ephemeris: Ephemeris,
    templates: Sequence[str],
    limits: tuple[float, float],
    longest: float,
    with_kernel: Kernel = NUMPY,
) -> Ephemeris:
    """The duration and shape that fit best at a known period, each cadence counting by its weight alone.

    A detection prefers durations at which the light curve is quiet, and a deep signal makes its own duration look
    noisy; a fit must not. Durations from 0.5 to 4 times the known one, and up to ``longest`` days, are tried, then
    polished.
    """
    total = float(cadences.weight.sum())
    # the fold is sharp only at the right period, which a wrong duration leaves open
    unscaled = {template: (np.ones(1), np.ones(1)) for template in templates}
    ephemeris = polish(cadences, ephemeris, unscaled, limits, longest, with_kernel)
    folded = _folded_near(cadences, ephemeris, 2.0 * float(SHAPE_DURATIONS[-1]))
    best, found = -1.0, ephemeris
    for template in templates:
        for duration in ephemeris.duration * SHAPE_DURATIONS:
            if duration > min(LARGEST_DUTY * ephemeris.period, max(longest, ephemeris.duration)):
                break
            for shift in np.array([-0.3, -0.1, 0.0, 0.1, 0.3]) * ephemeris.duration:
                trial = Ephemeris(ephemeris.period, ephemeris.epoch + float(shift), float(duration), template)
                value = statistic(folded, total, trial, with_kernel)[1]
                if value > best:
                    best, found = value, trial
    return polish(cadences, found, unscaled, limits, longest, with_kernel)


def _folded_near(cadences: Cadences, ephemeris: Ephemeris, width: float) -> Cadences:
    """The cadences within ``width`` durations around the transits, folded on one of them in bins of a fortieth."""
    near = near_transit(cadences.time, ephemeris, width) & (cadences.weight > 0)
    step = ephemeris.duration / SHAPE_BINS
    weight = cadences.weight[near]
    used, row = np.unique(
        np.floor(centred_phase(cadences.time[near], ephemeris) / step).astype(np.int64), return_inverse=True
    )
    total = np.asarray(np.bincount(row, weight), dtype=np.float64)
    flux = np.bincount(row, weight * cadences.flux[near]) / total
    time = np.asarray(ephemeris.epoch + (used + 0.5) * step, dtype=np.float64)
    return Cadences(time, flux, total)


def measure(cadences: Cadences, ephemeris: Ephemeris, sigma: float) -> Measurement:
    """Depth, signal-to-noise and single transits of an ephemeris, for a noise of ``sigma`` per unit weight."""
    total = float(cadences.weight.sum())
    depth, squared = statistic(cadences, total, ephemeris)
    offset = centred_phase(cadences.time, ephemeris)
    inside = (np.abs(offset) < 0.5 * ephemeris.duration) & (cadences.weight > 0)
    shape = binned.template_shape(ephemeris.template, offset[inside] * (2.0 / ephemeris.duration))
    weight = cadences.weight[inside]
    level = depth * float((shape * weight).sum()) / total
    number = np.round((cadences.time[inside] - ephemeris.epoch) / ephemeris.period)
    cycle, row = np.unique(number, return_inverse=True)
    numerator = -np.bincount(row, shape * weight * (cadences.flux[inside] - level), minlength=cycle.size)
    denominator = np.bincount(row, shape**2 * weight, minlength=cycle.size)
    seen = denominator > 0
    fullest = float(np.max(denominator, initial=0.0))
    n_in = float((cadences.weight[inside] > 0).sum())
    variance = squared and depth**2 / squared
    return Measurement(
        depth=depth,
        depth_err=sigma * float(np.sqrt(abs(variance))),
        snr=float(np.sqrt(max(squared, 0.0))) / sigma,
        cycle=cycle[seen],
        event_snr=numerator[seen] / np.sqrt(denominator[seen]) / sigma,
        event_weight=denominator[seen] / (fullest or 1.0),
        n_in=n_in,
        n_out=float((cadences.weight > 0).sum()) - n_in,
    )


def ephemeris_errors(measurement: Measurement, ephemeris: Ephemeris, cadence: float) -> tuple[float, float, float]:
    """Errors of period, epoch and duration, days.

    The mid-time of one transit is as good as its slopes are steep (the Fisher matrix of the template, as in Carter et
    al. 2008, ApJ 689, 499), and no better than the cadence allows; period and epoch follow from the straight line
    through the transits, the epoch at cycle 0.
    """
    steepness = TIMING[ephemeris.template]
    weight = measurement.event_weight / measurement.event_weight.sum()
    squares = np.maximum(measurement.snr**2 * weight, 1e-12)
    single = (steepness * ephemeris.duration) ** 2 / squares + cadence**2 / 12.0 / np.maximum(squares, 1.0)
    inverse = 1.0 / single
    total = float(inverse.sum())
    mean = float((inverse * measurement.cycle).sum()) / total
    spread = float((inverse * (measurement.cycle - mean) ** 2).sum())
    duration_err = 2.0 * steepness * ephemeris.duration / max(measurement.snr, 1e-6)
    if spread <= 0:
        return ephemeris.duration, float(np.sqrt(1.0 / total)), duration_err
    return float(np.sqrt(1.0 / spread)), float(np.sqrt(1.0 / total + mean**2 / spread)), duration_err
