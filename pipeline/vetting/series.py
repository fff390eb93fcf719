"""The signal's ephemeris moved to every phase: depth and significance of each event and of their fold.

The statistics that the published checklists share (Robovetter, LEO-Vetter) and their limits are stated for:

    depth     mean out of transit minus mean of a box one duration long
    SES       of a single event: depth / sqrt(white**2 / n + red**2), n cadences in its box
    MES       of the fold: depth / sqrt(white**2 / n + red**2 / N), n cadences in N boxes

``white`` is the scatter of the cadences out of transit, ``red`` what the scatter of running means of one duration has
beyond that of white noise (Pont et al. 2006, MNRAS 373 231; Hartman & Bakos 2016, Astron. Comput. 17 1). Running sums
give the mean of any box in two look-ups, so all trial centres together cost as much as sorting the cadences once.

``noise.py`` measures the same events against their own flanks, with errors that hold what hiding a transit from the
trend adds; here the level is one for the whole light curve and the noise that of events the trend followed, as in those
checklists: a significance among other phases, not the error of a depth.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.ephemeris import cycle, phase
from pipeline.types import Booleans, Floats, Integers, LightCurve, TransitSignal
from pipeline.vetting import noise

STEPS = 8  # trial centres in one duration
MOST_PHASES = 4000  # trial centres in one period, at most
COVERAGE = 0.5  # least share of a box that must hold cadences
REACH = 2.0  # durations to each side of a transit within which its surroundings are looked at
LEAST_INSIDE = 10  # cadences in transit
LEAST_OUTSIDE = 0.1  # share of the cadences that lie out of transit
ASSUMED = 10.0  # independent phases that unit-normal ones count for, when the scatter of the fold is measured


class Sums:
    """A series with running sums, cadences weighted by their errors.

    Parameters
    ----------
    time : (n,) BTJD days, increasing
    values : (n,) relative to the level
    weight : (n,) 1 for a usual cadence
    exposure : (n,) days each cadence covers
    """

    def __init__(self, time: Floats, values: Floats, weight: Floats, exposure: Floats) -> None:
        self.time = time
        self._values, self._weight, self._exposure = (
            np.concatenate(([0.0], np.cumsum(part))) for part in (values * weight, weight, exposure)
        )

    def between(self, low: Floats, high: Floats) -> tuple[Floats, Floats, Booleans]:
        """Mean of the values from ``low`` to ``high`` (days), the cadences there, and whether they cover half of it."""
        first, last = np.searchsorted(self.time, low), np.searchsorted(self.time, high)
        points = self._weight[last] - self._weight[first]
        usable = (self._exposure[last] - self._exposure[first] >= COVERAGE * (high - low)) & (last > first)
        mean = (self._values[last] - self._values[first]) / np.where(usable, points, 1.0)
        return np.where(usable, mean, 0.0), np.where(usable, points, 0.0), usable


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Every event of the moved ephemeris, cycle by cycle, and their fold."""

    signal: TransitSignal
    sums: Sums
    cycle: Integers  # (c,) cycles that hold data
    phase: Floats  # (k,) of the trial centres, -0.5..0.5
    depth: Floats  # (c, k) fraction; 0 where fewer than half of the cadences are there
    points: Floats  # (c, k) cadences in the box; 0 there
    around: Floats  # (c,) share of the time within REACH durations of the transit that holds cadences
    white: float  # scatter of one cadence
    red: float  # scatter of the mean of one box beyond that of white noise

    @property
    def centre(self) -> Floats:
        """(c, k) BTJD of the trial centres."""
        return self.signal.epoch + (self.cycle[:, None] + self.phase[None, :]) * self.signal.period

    @property
    def distance(self) -> Floats:
        """(k,) of the trial centres from the transit, durations."""
        return np.abs(self.phase) * self.signal.period / self.signal.duration

    @property
    def middle(self) -> int:
        """Index of phase 0."""
        return self.phase.size // 2

    @property
    def seen(self) -> Booleans:
        """(c,) True where half of the transit or more was observed."""
        return self.points[:, self.middle] > 0

    @property
    def ses(self) -> Floats:
        """(c, k) signal-to-noise of the single events, 0 where there are none; those of the transits in mid-column."""
        known = self.points > 0
        variance = self.white**2 / np.where(known, self.points, 1.0) + self.red**2
        return np.where(known, self.depth / np.sqrt(variance), 0.0)

    def fold(self, depth: Floats | None = None) -> tuple[Floats, Floats]:
        """Depth and its signal-to-noise (MES) at each phase, (k,) each; 0 where no cycle was observed."""
        points, events = self.points.sum(axis=0), (self.points > 0).sum(axis=0)
        known = events > 0
        mean = (self.points * (self.depth if depth is None else depth)).sum(axis=0) / np.where(known, points, 1.0)
        variance = self.white**2 / np.where(known, points, 1.0) + self.red**2 / np.maximum(events, 1)
        return mean, np.where(known, mean / np.sqrt(variance), 0.0)

    def mean(self, chosen: Booleans) -> tuple[float, float]:
        """Depth of the chosen transits together and its error; at least one of them must have been seen."""
        points = self.points[chosen & self.seen, self.middle]
        depth = float((points * self.depth[chosen & self.seen, self.middle]).sum() / points.sum())
        variance = self.white**2 / float(points.sum()) + self.red**2 / points.size
        return depth, math.sqrt(variance)


def every_phase(light_curve: LightCurve, exposure: Floats, signal: TransitSignal) -> Series | str:
    """Move the ephemeris to every phase.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
        Detrended with the transits masked.
    exposure : (n,) days each cadence covers
    signal : TransitSignal

    Returns
    -------
    Series or str
        The reason, beginning with its code, where too little lies in or out of transit.

    Notes
    -----
    Weights go with the inverse square of the errors, so that cadences of 20 seconds and of 10 minutes stand side by
    side; errors that are not all positive are not used. Scatters are clipped at four robust sigmas.
    """
    time, period, epoch, duration = light_curve.time, signal.period, signal.epoch, signal.duration
    away = np.abs(phase(time, period, epoch)) * period
    outside = away > duration
    inside = int((away < 0.5 * duration).sum())
    if inside < LEAST_INSIDE:
        return f"few_points: {inside} cadences in transit, {LEAST_INSIDE} are needed"
    if outside.mean() < LEAST_OUTSIDE:
        return f"few_points: {outside.mean():.0%} of the cadences are out of transit, {LEAST_OUTSIDE:.0%} are needed"
    weight = relative_weights(light_curve.flux_err)
    level = float(np.average(light_curve.flux[outside], weights=weight[outside]))
    values = light_curve.flux - level
    sums = Sums(time, values, weight, exposure)
    white = max(math.sqrt(noise.clipped_variance(values[outside] * np.sqrt(weight[outside]))), noise.FLOOR)
    off = Sums(time[outside], values[outside], weight[outside], exposure[outside])
    mean, points, usable = off.between(off.time - 0.5 * duration, off.time + 0.5 * duration)
    red = 0.0
    if usable.any():
        expected = white**2 * float(np.mean(1 / points[usable]))
        red = math.sqrt(max(noise.clipped_variance(mean[usable]) - expected, 0.0))
    number = 2 * int(np.clip(math.ceil(0.5 * STEPS * period / duration), 4, MOST_PHASES // 2))
    shift = np.arange(number) / number - 0.5
    held = np.unique(cycle(time, period, epoch))
    centre = epoch + (held[:, None] + shift[None, :]) * period
    depth, points, _ = sums.between(centre - 0.5 * duration, centre + 0.5 * duration)
    transit = epoch + held * period
    near = np.searchsorted(time, [transit - REACH * duration, transit + REACH * duration])
    covered = np.concatenate(([0.0], np.cumsum(exposure)))
    around = (covered[near[1]] - covered[near[0]]) / (2 * REACH * duration)
    return Series(signal, sums, held, shift, -depth, points, around, white, red)


def relative_weights(flux_err: Floats) -> Floats:
    """Inverse squares of the errors over their mean; all 1 where the errors are not all positive."""
    if not (flux_err > 0).all():
        return np.ones_like(flux_err)
    weight = (np.median(flux_err) / flux_err) ** 2
    return weight / weight.mean()
