"""One pass of the search: every trial period, duration and template, each scaled by its own measured noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram import binned, noise, reference
from pipeline.periodogram.grid import Grid
from pipeline.types import Floats, Integers

VERSION = 2

BINS_PER_DURATION = 6  # of the box; 8 for shapes that are not flat
SCREEN = 0.8  # of the threshold or the highest peak: a period below it with the first template is not tried with others
NARROWER, WIDER = 0.75, 2.1  # durations of the other templates by that of the first where it is highest
LEAST_TRANSITS = 1.5  # denominator a phase must hold, in full transits; otherwise one glitch wins


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The best of all durations and templates at every period, for stars that share their cadences."""

    period: Floats  # (p,) days
    snr: NDArray[np.float32]  # (p, stars)
    inverted: NDArray[np.float32]  # (p, stars) the same of the light curve turned upside down, first template
    duration: NDArray[np.int16]  # (p, stars) index into the grid's durations
    template: NDArray[np.int16]  # (p, stars) index into the templates
    sigma: Floats  # (d, templates, stars) measured scatter of numerator / sqrt(denominator); 0 where not measured
    noise: Floats  # (d, stars) the same as the depth of a box-shaped transit, fraction
    deepest: tuple[tuple[float, float], ...]  # of each star: period and duration of the highest unscaled peak


@dataclass(frozen=True, slots=True)
class Kernel:
    """The functions of one backend; ``binned`` and ``reference`` specify them."""

    bin_light_curve: Callable[..., binned.BinnedSeries]
    correlate: Callable[..., binned.FilteredSeries]
    fold: Callable[..., tuple[NDArray[np.float32], NDArray[np.float32]]]
    sums_inside: Callable[..., tuple[float, float, float]]
    climb: Callable[..., tuple[float, float, float]]


def kernel(backend: str) -> Kernel:
    """The kernel of this name: "numpy", "numba" or "jax".

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    if backend == "numpy":
        return Kernel(
            binned.bin_light_curve, binned.correlate, reference.fold, reference.sums_inside, reference.climb
        )  # fmt: skip
    if backend in ("numba", "jax"):
        from pipeline.periodogram import numba_kernel

        compiled = Kernel(
            numba_kernel.bin_light_curve,
            numba_kernel.correlate,
            numba_kernel.fold,
            numba_kernel.sums_inside,
            numba_kernel.climb,
        )
        if backend == "numba":
            return compiled
        # what the fold needs is made on the host
        from pipeline.periodogram import jax_kernel

        return replace(compiled, fold=jax_kernel.fold)
    raise ValueError(f"no search backend is called {backend!r}; there are numpy, numba and jax")


def bins_for(template: str) -> int:
    """Bins per duration that a template needs in the coarse pass."""
    return BINS_PER_DURATION if template == "box" else BINS_PER_DURATION + 2


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Light curves that share their cadences, ready to be binned for any duration."""

    time: Floats  # (n,) BTJD
    flux: Floats  # (stars, n) less the weighted mean
    weight: Floats  # (n,)
    narrowest: float  # days; no bin is narrower

    def filtered(
        self, with_kernel: Kernel, duration: float, template: str, bins_per_duration: int
    ) -> binned.FilteredSeries:
        """Bin to a fraction of the duration and filter."""
        width = max(self.narrowest, duration / bins_per_duration)
        start, pad = float(self.time[0]), binned.padding(duration, width)
        series = with_kernel.bin_light_curve(self.time, self.flux, self.weight, start, width, pad)
        return filtered(with_kernel, series, duration, template)


def filtered(with_kernel: Kernel, series: binned.BinnedSeries, duration: float, template: str) -> binned.FilteredSeries:
    """Filter a padded series with a template of this duration."""
    # to the thousandth of a bin: then most durations of a search share their taps
    width = round(duration / series.width, 3)
    taps, half_later = (binned.template_taps(template, width, shift) for shift in (0.0, 0.5))
    return with_kernel.correlate(series, taps, half_later)


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What was known of one star before some of its cadences were masked."""

    spectrum: Spectrum
    column: int  # of the star
    level: float  # by how much the mean of the flux has moved since

    def kept(self) -> tuple[NDArray, ...]:
        """Signal-to-noise, inverted, duration and template at every period, (p,) each."""
        known = self.spectrum
        return tuple(part[:, self.column] for part in (known.snr, known.inverted, known.duration, known.template))

    def worth_trying(self, number: int, within: slice, scatter: float, total: float, least: float) -> Integers:
        """Indices of the periods at which the first template of this duration can reach ``least`` now.

        Masking takes dimming away: a signal-to-noise rises by the fall of the noise and by the shift of the mean level
        over a quarter of the cadences, the most that a transit covers, and no more.
        """
        known = self.spectrum.snr[within, self.column]
        if not scatter > 0:
            return np.zeros(0, dtype=np.int64)
        ceiling = (known * self.spectrum.sigma[number, 0, self.column] + np.sqrt(total / 4.0) * self.level) / scatter
        return within.start + np.flatnonzero(ceiling >= least)


def measure_spectrum(
    series: Series,
    grid: Grid,
    templates: Sequence[str],
    with_kernel: Kernel,
    threshold: float = 0.0,
    before: Before | None = None,
) -> Spectrum:
    """Search light curves at every period of a grid, or again where a mask can have left something.

    Parameters
    ----------
    series : Series
        One or several stars.
    grid : Grid
    templates : sequence of str
        The first is tried at every period and wins where two are equal.
    with_kernel : Kernel
        From :func:`kernel`.
    threshold : float
        Signal-to-noise worth having. The other templates are tried only at periods where the first reaches 0.8 of
        it, and 0.8 of the star's highest peak, and at durations of 0.75 to 2.1 times its own: a box keeps 94 % of the
        signal-to-noise of a V (the correlation of the two at the best width), so nothing over the threshold is lost,
        and a quiet star costs one template. 0 tries all everywhere.
    before : Before or None
        Of a single star. Periods that cannot reach 0.8 of the threshold by what was known keep what they had.

    Returns
    -------
    Spectrum
        Signal-to-noise 0 at periods where no phase holds 1.5 transits or the flux does not vary.
    """
    stars = series.flux.shape[0]
    total = float(series.weight.sum())
    shape = (grid.period.size, stars)
    snr = np.zeros(shape, dtype=np.float32)
    inverted = np.zeros(shape, dtype=np.float32)
    best_duration = np.zeros(shape, dtype=np.int16)
    best_template = np.zeros(shape, dtype=np.int16)
    sigma = np.zeros((grid.durations.size, len(templates), stars))
    depth_noise = np.zeros((grid.durations.size, stars))
    again = np.zeros(grid.period.size, dtype=np.bool_)
    highest = np.zeros(stars)
    deepest = [(0.0, 0.0)] * stars
    if before is not None:
        held: tuple[NDArray, ...] = (snr, inverted, best_duration, best_template)
        for kept, known in zip(held, before.kept(), strict=True):
            kept[:, 0] = known
    wanted: NDArray[np.bool_] | None = None
    for j, template in enumerate(templates):
        if j == 1 and threshold > 0:
            wanted = (snr >= SCREEN * np.maximum(threshold, snr.max(axis=0, initial=0.0))).any(axis=1)
            if not wanted.any():
                break
            boxed = grid.durations[best_duration]  # (p, stars)
        for i, duration in enumerate(grid.durations):
            within = slice(int(grid.first[i]), int(grid.last[i]))
            tried: slice | Integers = within
            if wanted is not None:
                alike = (duration >= NARROWER * boxed[within]) & (duration <= WIDER * boxed[within])
                tried = within.start + np.flatnonzero((wanted[within, None] & alike).any(axis=1))
                if tried.size == 0:
                    continue
            ready = series.filtered(with_kernel, float(duration), template, bins_for(template))
            scatter = sigma[i, j] = noise.filtered_scatter(ready)
            if j == 0:
                depth_noise[i] = noise.depth_noise(ready, scatter)
                if before is not None:
                    chosen = before.worth_trying(i, within, float(scatter[0]), total, SCREEN * threshold)
                    snr[chosen[~again[chosen]]] = 0.0
                    again[chosen] = True
                    tried = chosen
            period = grid.period[tried]
            if period.size == 0:
                continue
            floor = LEAST_TRANSITS * float(ready.denominator.max())
            power, below = with_kernel.fold(ready.numerator, ready.denominator, period / ready.width, total, floor)
            for star, top in enumerate(np.argmax(power, axis=0)):
                if power[top, star] > highest[star]:
                    highest[star] = power[top, star]
                    deepest[star] = (float(period[top]), float(duration))
            inverse = np.divide(1.0, scatter, out=np.zeros(stars), where=scatter > 0).astype(np.float32)
            power *= inverse
            if j == 0:
                below *= inverse
                inverted[tried] = np.maximum(inverted[tried], below)
            better = power > snr[tried]
            for kept, value in ((snr, power), (best_duration, np.int16(i)), (best_template, np.int16(j))):
                part = kept[tried]  # a view, or where periods were chosen a copy
                np.copyto(part, value, where=better)
                kept[tried] = part
    return Spectrum(
        grid.period, snr, inverted, best_duration, best_template, sigma, depth_noise, tuple(deepest)
    )  # fmt: skip
