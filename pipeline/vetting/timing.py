"""Transit by transit: when each one came, and whether they keep time."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Finding, Floats, Integers, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.transits import block_distance

LEAST = 3  # transits: two always keep time
LEAST_SNR = 3.0  # of a single transit, in the middle of all
COVERAGE = 0.6  # least share of the cadences in each of the two ramps; they are two cadences wide at least
WIDEST = 1.2  # ramp, in half-depth half durations: both still end before the middle
LINEAR = 18.0  # the ramp that keeps two sigmas of a time within itself, times signal-to-noise squared, in durations
STEPS = np.linspace(-1.0, 1.0, 41)  # durations to each side in which a displaced transit is looked for
DISPLACED = 4.0  # sigmas by which it must be deeper there
NEWTON = 6  # steps, of half a ramp at most, from there to its middle
MINUTES = 1440.0


@dataclass(frozen=True, slots=True, eq=False)
class TransitTimes:
    """The transits that are covered well enough, one by one."""

    cycle: Integers  # (n,) counted from the signal's epoch
    expected: Floats  # (n,) BTJD, of the signal's ephemeris
    time: Floats  # (n,) BTJD
    time_err: Floats  # (n,) days, red noise included
    depth: Floats  # (n,) mean over the duration at the expected time, fraction
    depth_err: Floats  # (n,) red noise included
    independent: float  # pseudo-transits behind the errors that do not overlap

    @property
    def snr(self) -> float:
        """Of a single transit, the median."""
        return float(np.median(self.depth / self.depth_err)) if self.cycle.size else 0.0

    @property
    def o_minus_c(self) -> Floats:
        """Days by which each transit is late, after a fit of period and epoch, (n,)."""
        late = self.time - self.expected
        if self.cycle.size < 2:
            return late - late
        weight = self.time_err**-2
        cycle = self.cycle - (weight * self.cycle).sum() / weight.sum()
        late = late - (weight * late).sum() / weight.sum()
        return late - cycle * (weight * cycle * late).sum() / (weight * cycle**2).sum()


def timing(case: Case) -> Finding:
    """Compare the times of the single transits with a constant period.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the root mean square of observed minus calculated times in minutes, after a fit of period and
        epoch; ``sigma`` that of their chi-square.

    Notes
    -----
    Soft: planets that pull at each other do not keep time either. Below a signal-to-noise of 3 a single transit has no
    time of its own.
    """
    limit = case.settings.timing_sigma
    times = transit_times(case)
    count = times.cycle.size
    if count < LEAST:
        return Finding(
            "timing", Verdict.NOT_RUN, None, None, limit, f"few_transits: {count} have both ramps, {LEAST} are needed"
        )
    if not times.snr >= LEAST_SNR:
        return Finding(
            "timing",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            f"out_of_domain: a single transit has a signal-to-noise of {times.snr:.1f}, {LEAST_SNR:g} is needed",
        )
    late = times.o_minus_c
    chi_square = float((late**2 / times.time_err**2).sum())
    rms = float(np.sqrt(np.mean(late**2))) * MINUTES
    if not (math.isfinite(chi_square) and math.isfinite(rms)):
        return Finding("timing", Verdict.ERROR, None, None, limit, f"times {times.time}, errors {times.time_err}")
    sigma = noise.variance_ratio_sigma(chi_square / (count - 2), count - 2, times.independent)
    worst = int(np.argmax(np.abs(late) / times.time_err))
    return Finding(
        "timing",
        Verdict.FAIL if sigma > limit else Verdict.PASS,
        rms,
        sigma,
        limit,
        f"{count} transits are off a constant period by {rms:.1f} minutes (rms), each known to "
        f"{float(np.median(times.time_err)) * MINUTES:.1f}: {sigma:.1f} sigma; the most, {late[worst] * MINUTES:+.1f} "
        f"minutes, at BTJD {times.time[worst]:.3f}",
    )


def transit_times(case: Case) -> TransitTimes:
    """Measure when each transit came, with the shape and depth of the fold held fixed.

    Parameters
    ----------
    case : Case

    Returns
    -------
    TransitTimes
        Of the transits whose box and ramps are covered; maybe none.

    Notes
    -----
    Moving a trapezoid by a moment changes the flux on its two ramps, by opposite amounts: the mean of the residual over
    the first less that over the second, a straight line through the flanks taken off, is the lateness in units of the
    ramps' slope. This is linear in the flux, so its noise is that of the same difference at all other phases, red noise
    included, and as normal as the light curve's own. What a trend does not follow below its mask is slow: the flanks
    take it off. Where a transit is faint the two windows are wider than the ramps,
    which keeps two sigmas within them. A transit that is surely off by more is followed, in steps of half a ramp, from
    its place or from wherever within a duration it is deeper by 4 sigma.
    """
    signal, curve, transits = case.signal, case.light_curve, case.transits
    shape = case.shape
    depth, duration, flat, centre = (
        (case.depth, signal.duration, 0.7, 0.0)
        if shape is None
        else (shape.depth, shape.duration, shape.flat, shape.centre)
    )
    expected = signal.epoch + transits.cycle.astype(np.float64) * signal.period
    at_hand = transits.events.usable
    if depth <= 0 or not at_hand.any() or duration >= 0.5 * signal.period:
        none = np.empty(0)
        return TransitTimes(none.astype(np.int64), none, none, none, none, none, transits.pseudo.independent)
    half = 0.25 * duration * (1 + flat)  # to where the depth is half
    snr = float(np.median(transits.events.depth[at_hand] / np.sqrt(transits.variance[at_hand])))
    exposure = float(np.median(case.cleaned.exposure))
    ramp = min(max(0.5 * duration * (1 - flat), 2 * half * LINEAR / max(snr, 1.0) ** 2), WIDEST * half)
    ramp = max(ramp, 2.01 * exposure)
    windows = noise.Windows.of(signal.period, signal.duration)

    def ramps(keep: np.ndarray, values: Floats) -> _Ramps:
        return _Ramps(curve.time[keep], values[keep], case.cleaned.exposure[keep], half, ramp, depth)

    def dip(time: Floats, middle: Floats | float) -> Floats:
        """The transit at its best, cadence by cadence."""
        return depth * unit_trapezoid(time - middle, duration, flat, exposure)

    nearest = signal.epoch + centre + signal.period * np.round((curve.time - signal.epoch - centre) / signal.period)
    everywhere = np.ones(len(curve), dtype=bool)
    events = ramps(everywhere, curve.flux + dip(curve.time, nearest)).measure(expected + centre, windows)
    off = noise.outside(curve.time, signal.period, signal.epoch, block_distance(signal))
    pseudo = noise.pseudo_transits(
        ramps(off, curve.flux),
        signal.period,
        signal.epoch,
        signal.duration,
        windows,
        block_distance(signal) + half + 0.5 * ramp,
    )
    used = at_hand & events.usable
    variance = pseudo.variance(events.white)
    used &= variance > 0
    late, err = events.depth.copy(), np.sqrt(variance)
    # where the transit has left the ramps: is it deeper elsewhere, or does it lie beside its place?
    moved = (expected + centre)[:, None] + STEPS * signal.duration
    tried = noise.Samples(curve.time, curve.flux, case.cleaned.exposure).measure(moved.ravel(), windows)
    depths = np.where(tried.usable, tried.depth, -np.inf).reshape(moved.shape)
    best = np.argmax(depths, axis=1)
    gain = depths[np.arange(best.size), best] - transits.events.depth
    deeper = gain > DISPLACED * np.sqrt(transits.variance)
    beside = np.abs(late) > np.maximum(0.5 * ramp, DISPLACED * err)
    for i in np.flatnonzero(used & (deeper | beside)):
        place = moved[i, best[i]] if deeper[i] else expected[i] + centre
        near = np.abs(curve.time - place) < windows.outer + 3 * duration
        for _ in range(NEWTON):
            again = ramps(near, curve.flux + dip(curve.time, place)).measure(np.array([place]), windows)
            place += float(np.clip(again.depth[0], -0.5 * ramp, 0.5 * ramp))
            if abs(again.depth[0]) < 0.5 * ramp:
                break
        late[i] = place - expected[i] - centre
    return TransitTimes(
        cycle=transits.cycle[used],
        expected=expected[used],
        time=(expected + centre + late)[used],
        time_err=err[used],
        depth=transits.events.depth[used],
        depth_err=np.sqrt(transits.variance[used]),
        independent=pseudo.independent * max(pseudo.cycle.size, 1),
    )


class _Ramps(noise.Samples):
    """The difference of two windows, a ramp wide, where a transit begins and where it ends, as days of lateness."""

    def __init__(self, time: Floats, values: Floats, exposure: Floats, half: float, ramp: float, depth: float) -> None:
        super().__init__(time, values, exposure)
        self.half, self.ramp, self.per_flux = half, ramp, 0.5 * ramp / depth

    def measure(
        self, centres: Floats, windows: noise.Windows, flank_coverage: float = noise.FLANK_COVERAGE
    ) -> noise.Events:
        inner = max(windows.inner, self.half + 0.5 * self.ramp)
        outer = max(windows.outer, inner + self.ramp)
        begins, ends = self.half - 0.5 * self.ramp, self.half + 0.5 * self.ramp
        edges = np.array([-outer, -inner, -ends, -begins, begins, ends, inner, outer])
        at = np.searchsorted(self.time, centres[None, :] + edges[:, None])
        first, last = at[::2], at[1::2]
        count = np.maximum(last - first, 1)
        mean = (self._values[last] - self._values[first]) / count
        covered = self._exposure[last] - self._exposure[first]
        least = np.array([flank_coverage * (outer - inner), COVERAGE * self.ramp])
        usable = (covered >= least[[0, 1, 1, 0], None]).all(axis=0) & (last > first).all(axis=0)
        lever = 2 * self.half / (inner + outer)  # the slope of the flanks, over the distance of the ramps
        late = mean[1] - mean[2] - lever * (mean[0] - mean[3])
        white = (
            self._local(at[0], at[7])
            * (1 / count[1] + 1 / count[2] + lever**2 * (1 / count[0] + 1 / count[3]))
            * self.per_flux**2
        )
        return noise.Events(centres, np.where(usable, late * self.per_flux, 0.0), np.where(usable, white, 0.0), usable)


def unit_trapezoid(since: Floats, duration: float, flat: float, exposure: float) -> Floats:
    """Unit trapezoids; the ramps are as wide as the exposure makes them."""
    half = 0.25 * duration * (1 + flat)
    ramp = max(0.5 * duration * (1 - flat), exposure)
    return np.clip((half + 0.5 * ramp - np.abs(since)) / ramp, 0.0, 1.0)
