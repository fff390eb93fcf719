"""One pass of the search: every trial period, duration and template, each scaled by its own measured noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.periodogram import binned, noise
from pipeline.periodogram.grid import Grid
from pipeline.types import Floats

VERSION = 1

Fold = Callable[..., tuple[NDArray[np.float32], NDArray[np.int32]]]

BINS_PER_DURATION = 6  # of the box; 8 for shapes that are not flat
SCREEN = 0.8  # of the threshold or the highest peak: a period below it with the first template is not tried with others
LEAST_TRANSITS = 1.5  # denominator a phase must hold, in full transits; otherwise one glitch wins


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The best of all durations and templates at every period, for stars that share their cadences."""

    period: Floats  # (p,) days
    snr: NDArray[np.float32]  # (p, stars)
    duration: NDArray[np.int16]  # (p, stars) index into the grid's durations
    template: NDArray[np.int16]  # (p, stars) index into the templates
    epoch: Floats  # (p, stars) BTJD of a transit centre
    sigma: Floats  # (d, templates, stars) measured scatter of numerator / sqrt(denominator); 0 where not measured
    noise: Floats  # (d, stars) the same as the depth of a box-shaped transit, fraction
    deepest: tuple[
        tuple[float, float, float], ...
    ]  # of each star: period, epoch, duration of the highest unscaled peak


def kernel(backend: str) -> Fold:
    """The fold of this name: "numpy", "numba" or "jax".

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    if backend == "numba":
        from pipeline.periodogram.numba_kernel import fold
    elif backend == "numpy":
        from pipeline.periodogram.reference import fold
    elif backend == "jax":
        from pipeline.periodogram.jax_kernel import fold
    else:
        raise ValueError(f"no search backend is called {backend!r}; there are numpy, numba and jax")
    return fold


def bins_for(template: str) -> int:
    """Bins per duration that a template needs in the coarse pass."""
    return BINS_PER_DURATION if template == "box" else BINS_PER_DURATION + 2


def rebin_for(series: binned.BinnedSeries, duration: float, bins_per_duration: int) -> binned.BinnedSeries:
    """Rebin to a fraction of the duration, with room for a template around each stretch."""
    factor = binned.rebin_factor(duration, series.width, bins_per_duration)
    return binned.rebin(series, factor, binned.padding(duration, factor * series.width))


def measure_spectrum(
    series: binned.BinnedSeries, grid: Grid, templates: Sequence[str], fold: Fold, threshold: float = 0.0
) -> Spectrum:
    """Search binned series at every period of a grid.

    Parameters
    ----------
    series : BinnedSeries
        One or several stars.
    grid : Grid
    templates : sequence of str
        The first is tried at every period and wins where two are equal.
    fold : callable
        From :func:`kernel`.
    threshold : float
        Signal-to-noise worth having. The other templates are tried only at periods where the first reaches 0.8 of
        it, and 0.8 of the star's highest peak: a box keeps 94 % of the signal-to-noise of a V (the correlation of the
        two at the best width), so nothing over the threshold is lost, and a quiet star costs one template. 0 tries all
        everywhere.

    Returns
    -------
    Spectrum
        Signal-to-noise 0 at periods where no phase holds 1.5 transits or the flux does not vary.
    """
    stars = series.weighted_flux.shape[1]
    total = float(series.weight.sum())
    shape = (grid.period.size, stars)
    snr = np.zeros(shape, dtype=np.float32)
    best_duration = np.zeros(shape, dtype=np.int16)
    best_template = np.zeros(shape, dtype=np.int16)
    epoch = np.full(shape, series.start)
    sigma = np.zeros((grid.durations.size, len(templates), stars))
    depth_noise = np.zeros((grid.durations.size, stars))
    highest = np.zeros(stars)
    deepest = [(0.0, 0.0, 0.0)] * stars
    wanted = np.ones(shape, dtype=np.bool_)
    rebinned: dict[tuple[int, int], binned.BinnedSeries] = {}
    for j, template in enumerate(templates):
        if j == 1 and threshold > 0:
            wanted = snr >= SCREEN * np.maximum(threshold, snr.max(axis=0, initial=0.0))
        if not wanted.any():
            break
        for i, duration in enumerate(grid.durations):
            bins = bins_for(template)
            if (i, bins) not in rebinned:
                rebinned[i, bins] = rebin_for(series, float(duration), bins)
            filtered = binned.filter_series(rebinned[i, bins], float(duration), template)
            sigma[i, j] = noise.filtered_scatter(filtered)
            if j == 0:
                depth_noise[i] = noise.depth_noise(filtered, sigma[i, j])
            tried = np.arange(grid.first[i], grid.last[i])
            tried = tried[wanted[tried].any(axis=1)]
            if tried.size == 0:
                continue
            power, phase_bin = fold(
                filtered.numerator,
                filtered.denominator,
                filtered.first,
                filtered.length,
                filtered.offset,
                grid.period[tried] / filtered.width,
                total,
                LEAST_TRANSITS * float(filtered.denominator.max()),
            )
            centre = filtered.start + (phase_bin + 0.5) * filtered.width
            for star, top in enumerate(np.argmax(power, axis=0)):
                if power[top, star] > highest[star]:
                    highest[star] = power[top, star]
                    deepest[star] = (float(grid.period[tried[top]]), float(centre[top, star]), float(duration))
            inverse = np.divide(1.0, sigma[i, j], out=np.zeros(stars), where=sigma[i, j] > 0)
            value = power * inverse.astype(np.float32)
            row, column = np.nonzero((value > snr[tried]) & wanted[tried])
            at = tried[row], column
            snr[at] = value[row, column]
            best_duration[at] = i
            best_template[at] = j
            epoch[at] = centre[row, column]
    return Spectrum(grid.period, snr, best_duration, best_template, epoch, sigma, depth_noise, tuple(deepest))
