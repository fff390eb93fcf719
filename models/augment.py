"""What is done to a batch of training rows so that the network meets what a hunt will show it.

Each step answers a difference between the public views and those of a hunt: other durations (TLS and box searches
disagree by 30 %), other noise, other cadences, gaps, views and catalogue values that are missing. Odd and even views
of AstroNet's rows do not exist and are simulated here; the card says so.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inputs import LOCAL_BINS, SCALARS, Rows, correlated_noise, fill_gaps, normalise, robust_scatter

PERIOD, DEPTH, DURATION, SNR = (
    SCALARS.index(name) for name in ("log10_period", "log10_depth", "duration_over_period", "log10_snr")
)
OPTIONAL = [SCALARS.index(name) for name in ("tmag", "radius", "teff")]
_OUT = np.abs(np.linspace(-2, 2, LOCAL_BINS)) > 0.8  # out of transit, durations


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly; 0 switches a step off."""

    flip: float = 0.5  # share of rows seen backwards in time
    parities: float = 0.6  # share of rows without odd and even views that get simulated ones
    unequal: float = 0.6  # share of those binaries without a visible second eclipse whose eclipses get unequal
    lose_parities: float = 0.2  # share of rows whose odd and even views are taken away
    stretch: float = 0.15  # largest change of the duration, natural logarithm
    shift: float = 1.0  # bins of the local view, largest error of the epoch
    noise: float = 0.15  # share of rows made noisier
    noisier: float = 3.0  # by this factor at most, in signal-to-noise
    least_snr: float = 6.0  # and not below this
    smooth: float = 0.05  # share of rows at a coarser resolution
    gaps: float = 0.1  # share of rows with a stretch of phase unobserved
    jitter: float = 0.02  # dex, of depth and signal-to-noise
    lose_star: float = 0.05  # share of catalogue values taken away, each on its own
    lose_scalar: float = 0.0  # and of the others


def augment(rows: Rows, binary: NDArray[np.bool_], settings: Augmentation, rng: np.random.Generator) -> Rows:
    """A new version of a batch; the labels stay true.

    Parameters
    ----------
    rows : n rows in units of their depth
    binary : (n,) True for eclipsing binaries, whose simulated odd and even eclipses may differ
    """
    count = len(rows)
    rows = _parities(rows, binary, settings, rng)
    rows = _seen_backwards(rows, rng.random(count) < settings.flip)
    rows = _other_duration(rows, settings, rng)
    rows = _noisier(rows, settings, rng)
    if settings.smooth:
        rows = _smoother(rows, rng.random(count) < settings.smooth)
    if settings.gaps:
        rows = _gaps(rows, rng.random(count) < settings.gaps, rng)
    return normalise(replace(rows, scalars=_scalars(rows.scalars, settings, rng)))


def _parities(rows: Rows, binary: NDArray[np.bool_], settings: Augmentation, rng: np.random.Generator) -> Rows:
    count = len(rows)
    absent = ~(rows.odd_filled > 0).any(axis=1)
    made = absent & (rng.random(count) < settings.parities)
    ratio = np.where(
        binary & (rows.global_flux[:, :20].min(axis=1) > -0.3) & (rng.random(count) < settings.unequal),
        rng.uniform(0.5, 1.0, count),  # SIMULATED: of the depths of the two eclipses
        1.0,
    )
    swap = rng.random(count) < 0.5
    one = np.where(made, np.where(swap, 2 * ratio, 2.0) / (1 + ratio), 1.0).astype(np.float32)[:, None]
    other = np.where(made, np.where(swap, 2.0, 2 * ratio) / (1 + ratio), 1.0).astype(np.float32)[:, None]
    odd = np.where(made[:, None], rows.local_flux * one, rows.odd_flux)
    even = np.where(made[:, None], rows.local_flux * other, rows.even_flux)
    # each half of the transits is noisier than the whole by sqrt(2), and their mean is the whole
    scatter = np.nan_to_num(robust_scatter(rows.local_flux, (rows.local_filled > 0) & _OUT)).astype(np.float32)[:, None]
    error = correlated_noise(odd.shape, rng) * scatter
    kept = (made | ~absent) & (rng.random(count) >= settings.lose_parities)
    present = (rows.local_filled * kept[:, None]).astype(np.float32)
    return replace(rows, odd_flux=odd + error, even_flux=even - error, odd_filled=present, even_filled=present.copy())


def _seen_backwards(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    names = [f"{view}_{what}" for view in ("global", "local", "odd", "even") for what in ("flux", "filled")]
    return replace(rows, **{n: np.where(chosen[:, None], getattr(rows, n)[:, ::-1], getattr(rows, n)) for n in names})


def _other_duration(rows: Rows, settings: Augmentation, rng: np.random.Generator) -> Rows:
    """As a search would have it that reports another duration and epoch."""
    count = len(rows)
    factor = np.exp(rng.uniform(-settings.stretch, settings.stretch, count))
    middle = (LOCAL_BINS - 1) / 2
    place = (np.arange(LOCAL_BINS) - middle)[None] * factor[:, None] + middle
    place = np.clip(place + rng.uniform(-settings.shift, settings.shift, count)[:, None], 0, LOCAL_BINS - 1)
    low = np.minimum(place.astype(np.int64), LOCAL_BINS - 2)
    share = (place - low).astype(np.float32)
    take = np.arange(count)[:, None]
    changed: dict[str, Any] = {}
    for view in ("local", "odd", "even"):
        flux, filled = getattr(rows, f"{view}_flux"), getattr(rows, f"{view}_filled")
        changed[f"{view}_flux"] = flux[take, low] * (1 - share) + flux[take, low + 1] * share
        changed[f"{view}_filled"] = filled[take, np.rint(place).astype(np.int64)]
    scalars = rows.scalars.copy()
    scalars[:, DURATION] *= factor
    return replace(rows, scalars=scalars, **changed)


def _noisier(rows: Rows, settings: Augmentation, rng: np.random.Generator) -> Rows:
    """Fainter stars: noise added to every view and the signal-to-noise lowered by as much."""
    count = len(rows)
    snr = 10 ** np.nan_to_num(rows.scalars[:, SNR], nan=1.0)
    most = np.clip(snr / settings.least_snr, 1, settings.noisier)
    factor = np.where(rng.random(count) < settings.noise, 1 + rng.random(count) * (most - 1), 1.0)
    # an instrument's noise, not only the scatter of this view, which is tiny for the deepest eclipses
    relative = np.clip(rows.scalars[:, DURATION], 0.002, 0.25)
    relative = np.where(np.isfinite(relative), relative, 0.03)
    changed: dict[str, Any] = {}
    for view, width in (
        ("global", 1.2 / 201 / relative),
        ("local", np.full(count, 0.16)),
        ("odd", None),
        ("even", None),
    ):
        flux = getattr(rows, f"{view}_flux")
        width = np.full(count, 0.08) if width is None else width  # half the transits
        per_bin = 1 / snr / np.sqrt(width)
        extra = np.minimum(np.sqrt(factor**2 - 1) * per_bin, 1.5).astype(np.float32)[:, None]
        changed[f"{view}_flux"] = flux + extra * correlated_noise(flux.shape, rng)
    scalars = rows.scalars.copy()
    scalars[:, SNR] -= np.log10(factor)
    return replace(rows, scalars=scalars, **changed)


def _smoother(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    changed: dict[str, Any] = {}
    for view in ("global", "local", "odd", "even"):
        flux = getattr(rows, f"{view}_flux")
        wide = np.pad(flux, ((0, 0), (1, 1)), mode="edge")
        changed[f"{view}_flux"] = np.where(chosen[:, None], (wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]) / 3, flux)
    return replace(rows, **changed)


def _gaps(rows: Rows, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Rows:
    """Phases without data, as long periods and short sectors leave them; never the transit itself."""
    changed: dict[str, Any] = {}
    for view, longest in (("global", 0.15), ("local", 0.2)):
        flux, filled = getattr(rows, f"{view}_flux"), getattr(rows, f"{view}_filled").copy()
        length = flux.shape[1]
        size = rng.uniform(0.01, longest, len(rows)) * length
        start = rng.uniform(0, length, len(rows))
        place = np.arange(length)[None]
        inside = (place >= start[:, None]) & (place < (start + size)[:, None]) & chosen[:, None]
        inside &= np.abs(place - (length - 1) / 2) > (0.06 if view == "global" else 0.18) * length
        filled[inside] = 0
        changed[f"{view}_flux"] = fill_gaps(flux, filled > 0, wrap=view == "global")
        changed[f"{view}_filled"] = filled
    return replace(rows, **changed)


def _scalars(scalars: NDArray[np.float64], settings: Augmentation, rng: np.random.Generator) -> NDArray[np.float64]:
    scalars = scalars.copy()
    scalars[:, [DEPTH, SNR]] += rng.normal(0, settings.jitter, (len(scalars), 2))
    lost = rng.random(scalars.shape) < settings.lose_scalar
    lost[:, OPTIONAL] = rng.random((len(scalars), len(OPTIONAL))) < settings.lose_star
    lost[:, DURATION] = False  # a hunt always knows it, and the secondary view is cut by it
    scalars[lost] = np.nan
    return scalars
