"""What goes missing from every pixel in transit, and the same at times when nothing should.

A transit's image is the mean of its two flanks minus the mean in transit; those of a sector are averaged. The same
is done at *pseudo-transits*, the ephemeris shifted to other phases: whatever is linear in a difference image has the
scatter among those for its error, and so holds the pointing's drift, which the noise of single pixels does not tell.
Where transits follow each other so closely that none fits between them, the transits' own scatter stands in.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from pipeline.clean.quality import bad_bits
from pipeline.ephemeris import cycle
from pipeline.types import Booleans, Floats, Integers, TargetPixels, TransitSignal
from pipeline.vetting.noise import Windows

IN, INNER, OUTER = 0.4, 0.75, 1.75  # durations from the centre: the box ends, the flanks begin and end
LEAST_FLANK = 4  # cadences of a flank, where a duration holds fewer
CLEAR = 2.5  # durations between a pseudo-transit and a transit
STEPS = 4  # pseudo-transits in a duration
COLLECTED = 0.9  # share of the good cadences in which a pixel must hold a number
COVERAGE = 0.5  # of the box, and of each flank
LEAST_WEIGHT = 0.75  # of a pseudo-transit image, relative to the real one
ASSUMED = 20.0  # images that the scatter of single events counts for, beside that of folded ones
LEAST_FOLDS = 3.0  # independent folded images, below which single events alone tell the scatter
LEAST_INDEPENDENT = 8.0  # pseudo-transit images without which nothing can be said
DIP = 5.0  # robust sigmas from which a pseudo-transit is a dip of its own


@dataclass(frozen=True, slots=True, eq=False)
class DifferenceImages:
    """Of one sector; p pixels were collected."""

    valid: Booleans  # (rows, columns), p of them set
    direct: Floats  # (p,) e-/s, mean of the flanks
    direct_err: Floats  # (p,)
    difference: Floats  # (p,) e-/s, flanks minus transit
    noise: Floats  # (p,) of the difference
    transits: int
    shifts: int
    independent: float  # pseudo-transit images, those that overlap counted as one
    time: float  # BTJD, mean of the transits used
    events: Floats  # (e, p) pseudo-transits one by one
    weight: Floats  # (e,) of each, in cadences
    shift: Integers  # (e,) which shift of the ephemeris
    folds: float  # independent images among the folded ones
    total: float  # weight of the real image

    def covariance(self, linear: Floats) -> Floats:
        """Of any linear measurement of the difference image.

        Parameters
        ----------
        linear : Floats, (q, p)

        Returns
        -------
        Floats, (q, q)
            About zero. Folded pseudo-transits and single ones, which are more, each count as often as they are
            independent, the latter up to ``ASSUMED`` times.
        """
        values = self.events @ linear.T
        single = (values * self.weight[:, None]).T @ values / (self.weight.size * self.total)
        if self.folds < LEAST_FOLDS:
            return single
        weight = np.bincount(self.shift, self.weight)
        folded = np.stack([np.bincount(self.shift, self.weight * column) for column in values.T], axis=1)
        used = weight >= LEAST_WEIGHT * self.total
        # each as the real image's weight would have it
        scaled = folded[used] / np.sqrt(weight[used] * self.total)[:, None]
        together = scaled.T @ scaled / used.sum()
        assumed = self.independent - self.folds
        return (self.folds * together + assumed * single) / self.independent


def difference_images(pixels: TargetPixels, signal: TransitSignal) -> DifferenceImages | str:
    """Make the difference image of one sector and those of its pseudo-transits.

    Parameters
    ----------
    pixels : TargetPixels, n cadences
    signal : TransitSignal

    Returns
    -------
    DifferenceImages, or why there are none
        A sentence that begins with a reason code.

    Notes
    -----
    Windows and distances are those of a calibration on simulated drift: in transit within 0.4 durations of the
    centre, flanks from 0.75 to 1.75 durations on both sides, so that a linear drift cancels.
    """
    good = (np.asarray(pixels.quality, dtype=np.int64) & bad_bits(pixels.product, "default")) == 0
    good &= np.isfinite(pixels.time)
    if good.sum() < 3:
        return f"few_points: {int(good.sum())} good cadences"
    valid = np.isfinite(pixels.flux[good]).mean(axis=0) >= COLLECTED
    if not valid.any():
        return "no_pixels: no pixel was collected throughout"
    good &= np.isfinite(pixels.flux[:, valid]).all(axis=1)
    time, flux = pixels.time[good], pixels.flux[good][:, valid].astype(np.float64)
    if time.size < 3:
        return f"few_points: {time.size} cadences in which every pixel holds a number"
    boxes = _Boxes(time, flux)
    period, duration = signal.period, signal.duration
    windows = _windows(period, duration, boxes.step)
    clear = max(CLEAR * duration, windows.outer + (CLEAR - OUTER) * duration)
    cycles = np.unique(cycle(time, period, signal.epoch)).astype(np.float64)
    transits = boxes.measure(signal.epoch + cycles * period, windows)
    total = float(transits.weight.sum())
    if not total > 0:
        return "few_transits: no transit has its middle and both its flanks covered"
    difference = transits.mean(transits.difference)
    number = max(math.ceil(STEPS * period / duration), 8)
    shifts = np.arange(number) / number
    shifts = shifts[np.minimum(shifts, 1 - shifts) * period >= clear]
    held = np.unique(np.floor((time - signal.epoch) / period))
    pseudo = boxes.measure((signal.epoch + (held[:, None] + shifts[None, :]) * period).ravel(), windows)
    shift = np.tile(np.arange(shifts.size), held.size)[pseudo.known]
    dips = shifts[_dips(pseudo, shift, difference / boxes.white)] * period
    keep = (np.abs(shifts[shift, None] * period - dips) >= clear).all(axis=1)
    events, weight, shift = pseudo.difference[keep], pseudo.weight[keep], shift[keep]
    alike = _alike(shifts * period, windows)
    singles = shift.size / alike
    folds = float((np.bincount(shift, weight) >= LEAST_WEIGHT * total).sum()) / alike
    independent = singles if folds < LEAST_FOLDS else folds + min(singles, ASSUMED)
    if independent < LEAST_INDEPENDENT:  # no room between the transits: their own scatter tells
        count = transits.weight.size
        independent, folds = float(count - 1), 0.0
        if independent < LEAST_INDEPENDENT:
            return (
                f"few_points: {singles:.1f} independent pseudo-transits and {count} transits tell the scatter of "
                f"difference images, {LEAST_INDEPENDENT:g} are needed"
            )
        events, weight = (transits.difference - difference) * math.sqrt(count / (count - 1)), transits.weight
        shift = np.zeros(count, dtype=np.int64)
    images = DifferenceImages(
        valid=valid,
        direct=transits.mean(transits.direct) + boxes.level,
        direct_err=np.sqrt(boxes.white * (transits.weight**2 * transits.direct_share).sum()) / total,
        difference=difference,
        noise=np.sqrt(boxes.white / total),
        transits=int(transits.known.sum()),
        shifts=int(np.unique(shift).size),
        independent=independent,
        time=float((transits.weight * transits.centre).sum() / total),
        events=events,
        weight=weight,
        shift=shift,
        folds=folds,
        total=total,
    )
    scatter = np.diag(images.covariance(np.eye(difference.size)))
    together = (independent * scatter + ASSUMED * images.noise**2) / (independent + ASSUMED)
    return replace(images, noise=np.sqrt(together))


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Events with their middle and both flanks covered."""

    known: Booleans  # (m,) of the centres asked for; the e of them that are known follow
    centre: Floats  # (e,)
    difference: Floats  # (e, p) flanks minus middle
    direct: Floats  # (e, p) flanks
    weight: Floats  # (e,) cadences that one mean as good would take
    direct_share: Floats  # (e,) variance of the flanks, in that of one cadence

    def mean(self, images: Floats) -> Floats:
        return self.weight @ images / self.weight.sum()


class _Boxes:
    """The pixels with running sums, so that a mean over any window costs two look-ups."""

    def __init__(self, time: Floats, flux: Floats) -> None:
        self.time = time
        self.level = flux.mean(axis=0)
        self.step = float(np.median(np.diff(time)))
        self._sums = np.zeros((time.size + 1, flux.shape[1]))
        np.cumsum(flux - self.level, axis=0, out=self._sums[1:])
        third = 3 * (time.size // 3)  # every cadence in one difference
        second = (flux[2:third:3] - 2 * flux[1:third:3] + flux[:third:3]) / math.sqrt(6)
        scale = 1.4826 * np.median(np.abs(second), axis=0)
        self.white = np.maximum(scale, 1e-9 * (1 + np.abs(self.level))) ** 2  # (p,) variance of one cadence

    def measure(self, centres: Floats, windows: Windows) -> _Measured:
        edges = [-windows.outer, -windows.inner, -windows.half, windows.half, windows.inner, windows.outer]
        at = np.searchsorted(self.time, centres[None, :] + np.array(edges)[:, None])
        count = np.diff(at, axis=0)[::2]  # (3, m) left, middle, right
        width = np.array([windows.outer - windows.inner, 2 * windows.half, windows.outer - windows.inner])
        known = (count >= np.maximum(COVERAGE * width / self.step, 1)[:, None]).all(axis=0)
        at, count = at[:, known], count[:, known]
        left, middle, right = (
            (self._sums[at[end]] - self._sums[at[begin]]) / number[:, None]
            for begin, end, number in zip((0, 2, 4), (1, 3, 5), count, strict=True)
        )
        direct, share = 0.5 * (left + right), 0.25 / count[0] + 0.25 / count[2]
        return _Measured(known, centres[known], direct - middle, direct, 1 / (1 / count[1] + share), share)


def _windows(period: float, duration: float, step: float) -> Windows:
    """Box and flanks; where cadences are long, flanks of four of them."""
    inner = min(INNER * duration, 0.25 * period)
    outer = min(max(OUTER * duration, inner + LEAST_FLANK * step), 0.5 * period)
    return Windows(min(IN * duration, 0.5 * inner), inner, max(outer, inner))


def _dips(pseudo: _Measured, shift: Integers, template: Floats) -> Integers:
    """Shifts at which the light that goes missing in transit goes missing too: a secondary, another planet."""
    weight = np.bincount(shift, pseudo.weight)
    z = np.bincount(shift, pseudo.weight * (pseudo.difference @ template)) / np.sqrt(np.maximum(weight, 1e-9))
    z = np.where(weight > 0, z, 0.0)
    scale = 1.4826 * float(np.median(np.abs(z[weight > 0]))) if (weight > 0).any() else 0.0
    return np.flatnonzero(z > DIP * scale) if scale > 0 else np.array([], dtype=np.int64)


def _alike(shifts: Floats, windows: Windows) -> float:
    """How many of the shifts tell the same, because their windows overlap: the mean sum of squared correlations."""
    if shifts.size == 0:
        return 1.0
    grid = np.linspace(-windows.outer, windows.outer, 201)
    away = np.abs(grid)
    flank = windows.outer - windows.inner
    kernel = np.where(away < windows.half, 1 / (2 * windows.half), np.where(away >= windows.inner, -0.5 / flank, 0.0))
    correlation = np.correlate(kernel, kernel, "full")[200:]
    lag = np.abs(shifts[:, None] - shifts[None, :])
    near = np.interp(lag, (grid[1] - grid[0]) * np.arange(201), correlation / correlation[0], right=0.0)
    return float((near**2).sum() / shifts.size)
