"""What the network sees of a signal: views at one resolution, in units of the transit's depth, and scalars.

Light on purpose (numpy only): a command may import it without torch.

A hunt folds light curves into 2048 and 256 bins, each the median of a window as wide as the bins of the public
labelled views (1.2/201 of a period, 0.16 of a duration), of which there are 201 and 61. Both are brought to the second
geometry before anything is measured on them, so that a bin has the same noise for the same signal-to-noise wherever
it comes from, and only then stretched to the lengths of the network. Every number that is measured on the views
(``MEASURED``) is measured here, by one piece of code, for training and hunting alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

GLOBAL_LENGTH = 2048  # bins over one period, transit in the middle
LOCAL_LENGTH = 256  # bins over -2..2 durations
GLOBAL_BINS = 201  # resolution of the public views
LOCAL_BINS = 61
GLOBAL_WIDTH = 1.2 / 201  # width of a bin, share of the period: AstroNet's choice, bins overlap
LOCAL_WIDTH = 0.16 / 4  # share of the four durations of the view
SAMPLED = 2.0  # bins of a hunt's view averaged into one: they are wide windows already, closely spaced
NOTHING = 1e-9  # fraction of the flux; rounding of a constant light curve is no dip
CLIP = (-1.5, 5.0)  # depths; raw public views reach 54 and 478

SCALARS = (
    "log10_period",  # days
    "log10_depth",  # fraction
    "duration_over_period",
    "log10_snr",
    "odd_even_sigma",
    "secondary_sigma",
    "secondary_over_primary",
    "centroid_offset",
    "centroid_sigma",
    "tmag",
    "radius",  # solar radii
    "teff",  # K
    "n_transits",
    "duration_ratio",  # observed over that of a central transit on a circular orbit around this star
)

MEASURED = (
    "floor",  # mean of the central half duration: -1 is a flat bottom
    "local_scatter",  # robust scatter of the local view out of transit
    "global_scatter",
    "off_transit_minimum",  # deepest box of one duration away from the transit, in depths
    "off_transit_sigma",
    "odd_even_difference",  # |odd - even| in depths
    "odd_even_significance",
    "minimum_offset",  # |phase of the deepest box from the middle of the local view|, durations
    "log10_planet_radius",  # Earth radii, of the depth and the star's radius
    "log10_duration",  # hours
    "box_depth",  # mean of the global view over one duration at the transit; -1 is all of its deepest bin
    "box_sigma",  # that, in units of the scatter of such means
    "half_depth",  # the same half a period away
    "half_sigma",
    "share_as_deep",  # of the phases whose box is deeper than 0.6 of the transit's
    "cosine",  # variation out of transit at the period, its even part, in depths
    "sine",  # and the size of the odd one
    "cosine_half",  # at half the period
    "sine_half",
    "global_maximum",
    "local_maximum",
    "before",  # mean of the first eight bins of the local view
    "after",  # and of the last
    "asymmetry",  # root mean square of the local view less itself backwards, in the middle third
    "trapezoid_duration",  # of the best of a bank of trapezoids, in units of the reported one
    "trapezoid_ingress",  # its share of each ingress: 0.5 is a V
    "trapezoid_share",  # of the local view's variance it explains
    "trapezoid_depth",
    "v_share",  # share of the variance that the best V explains beyond the best box
)
MADE_OF = {"log10_planet_radius": ("log10_depth", "radius"), "log10_duration": ("log10_period",)}  # of SCALARS
TRAPEZOIDS = ((0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.45, 1.75, 2.1, 2.6), (0.05, 0.2, 0.35, 0.5))  # durations, ingresses
EARTHS = 109.1  # radii of the Earth in one of the Sun

_NAMES = frozenset(SCALARS)
TOGETHER = 64  # signals prepared at once: their views stay in the processor's cache

VIEWS = ("local", "secondary", "odd", "even")  # channels of the local branch, each followed by its mask


class InputsRefused(ValueError):
    """A signal that cannot be scored; the message is one line and says why."""


@dataclass(frozen=True, slots=True, eq=False)
class SignalInputs:
    """One signal as the hunt folds it; flux is relative to 1 with the out-of-transit level at 0."""

    global_flux: NDArray[np.floating]  # (2048,) phase -0.5..0.5, transit in the middle
    global_filled: NDArray[np.bool_]  # (2048,) False where no cadence fell
    local_flux: NDArray[np.floating]  # (256,) -2..2 durations
    local_filled: NDArray[np.bool_]
    secondary_flux: NDArray[np.floating]  # (256,) checked but not yet used: the public views do not have its like
    secondary_filled: NDArray[np.bool_]
    odd_flux: NDArray[np.floating]  # (256,) as local, odd transits only
    odd_filled: NDArray[np.bool_]
    even_flux: NDArray[np.floating]  # (256,) as local, even transits only
    even_filled: NDArray[np.bool_]
    depth: float  # fraction
    scalars: dict[str, float | None] = field(default_factory=dict)  # keys from SCALARS; None is unknown


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n signals at the common resolution, in units of their depth; the form in which training keeps them."""

    global_flux: Array  # (n, 201)
    global_filled: Array  # (n, 201) 1 where a cadence fell, else 0 and flux interpolated
    local_flux: Array  # (n, 61)
    local_filled: Array  # (n, 61)
    odd_flux: Array  # (n, 61) in units of the primary's depth
    odd_filled: Array  # (n, 61) 0 throughout where there is no such view
    even_flux: Array  # (n, 61)
    even_filled: Array  # (n, 61)
    scalars: NDArray[np.float64]  # (n, 14) the order of SCALARS, NaN where unknown

    def __len__(self) -> int:
        return len(self.global_flux)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_] | slice) -> "Rows":
        """The rows of ``index``, copied."""
        return Rows(*(getattr(self, item.name)[index].copy() for item in fields(self)))


def join(parts: Sequence[Rows]) -> Rows:
    """All rows of all parts, in order."""
    return Rows(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Rows)))


@dataclass(frozen=True, slots=True)
class Preparation:
    """How one model wants its inputs; kept in its card."""

    scalars: tuple[str, ...]  # those of SCALARS it was trained with; every other is ignored
    mean: tuple[float, ...]  # of scalars + MEASURED
    std: tuple[float, ...]
    low: tuple[float, ...]  # the range met in training; what lies beyond is set to its edge, for a network
    high: tuple[float, ...]  # knows nothing of what it never saw
    global_length: int = GLOBAL_BINS  # the common resolution, or another that the views are stretched to
    local_length: int = LOCAL_BINS

    def __post_init__(self) -> None:
        unknown = sorted(set(self.scalars) - set(SCALARS))
        if unknown:
            raise ValueError(f"unknown scalars {unknown}: choose among {', '.join(SCALARS)}")
        constants = (self.mean, self.std, self.low, self.high)
        if any(len(values) != len(self.scalars) + len(MEASURED) for values in constants):
            raise ValueError(f"{len(self.scalars) + len(MEASURED)} scalars need as many means, deviations and ranges")
        if not np.isfinite(constants).all() or min(self.std) <= 0:
            raise ValueError("means, deviations and ranges must be finite, and deviations positive")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Preparation":
        """From a card; raises TypeError or ValueError on anything that is none."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)

    @property
    def width(self) -> int:
        """Length of the scalar input: each scalar and its missing bit."""
        return 2 * (len(self.scalars) + len(MEASURED))


@lru_cache(maxsize=32)
def overlap(length: int, bins: int, width: float, window: float) -> Array:
    """Share of each of ``length`` equal bins inside each of ``bins`` windows; (length, bins).

    The windows are centred where AstroNet's bins of ``width`` are: at equal steps, the first bin starting at 0 and
    the last ending at 1.
    """
    starts = np.linspace(0, 1 - width, bins) + (width - window) / 2
    edges = np.arange(length + 1) / length
    inside = np.minimum(edges[1:, None], starts + window) - np.maximum(edges[:-1, None], starts)
    return (np.clip(inside, 0, None) * length).astype(np.float32)


@lru_cache(maxsize=32)
def narrow(length: int, bins: int, width: float, window: float) -> tuple[NDArray[np.int64], Array]:
    """The same shares for windows of a few bins: which bins, (bins, k), and their shares."""
    weights = overlap(length, bins, width, window)
    most = int((weights > 0).sum(axis=0).max())
    first = np.minimum((weights > 0).argmax(axis=0), length - most)
    index = first[:, None] + np.arange(most)
    return index, weights[index, np.arange(bins)[:, None]]


def rebin(
    flux: NDArray, filled: NDArray, bins: int, width: float, wrap: bool, window: float | None = None
) -> tuple[Array, Array]:
    """Average each row into the bins of the public views, weighting by what was observed.

    Parameters
    ----------
    flux, filled : (n, m)
        Equal bins; ``filled`` is False or 0 where nothing fell.
    bins, width : number of new bins and their width as a share of the view
    wrap : interpolate empty bins around the ends, as phase does
    window : share of the view averaged around the centre of each new bin; ``width`` by default, less where the old
        bins are already medians over that width

    Returns
    -------
    flux, filled : (n, bins) float32
        Empty bins are interpolated and marked 0; a row without any filled bin is 0 throughout.
    """
    weights = overlap(flux.shape[1], bins, width, width if window is None else window)
    seen = np.asarray(filled, dtype=np.float32)
    return _means(np.where(seen > 0, flux, 0).astype(np.float32) @ weights, seen @ weights, wrap)


def averaged(flux: NDArray, filled: NDArray, shares: Array, wrap: bool) -> tuple[Array, Array]:
    """As ``rebin``, of the bins of each window already taken out: (n, bins, k) with their shares, (bins, k)."""
    seen = np.asarray(filled, dtype=np.float32) * shares
    known = np.where(seen > 0, flux, 0).astype(np.float32)
    return _means(np.einsum("nbk,nbk->nb", known, seen), seen.sum(axis=2), wrap)


def _means(summed: Array, total: Array, wrap: bool) -> tuple[Array, Array]:
    kept = total > 1e-3
    mean = np.where(kept, summed / np.maximum(total, 1e-9), 0)
    return fill_gaps(mean.astype(np.float32), kept, wrap), kept.astype(np.float32)


def fill_gaps(flux: Array, filled: NDArray[np.bool_], wrap: bool = False) -> Array:
    """Interpolate the bins that are not filled, row by row; rows without any filled bin become 0."""
    flux = flux.copy()
    gappy = np.flatnonzero(~filled.all(axis=1))
    if not len(gappy):
        return flux
    seen, values = filled[gappy], flux[gappy].astype(np.float64)
    length = flux.shape[1]
    place = np.arange(length)
    before = np.maximum.accumulate(np.where(seen, place, -1), axis=1)  # -1: none on this side
    after = np.minimum.accumulate(np.where(seen, place, length)[:, ::-1], axis=1)[:, ::-1]
    last, first = before[:, -1:], after[:, :1]
    if wrap:
        left = np.where(before < 0, last - length, before)
        right = np.where(after == length, first + length, after)
    else:
        left, right = np.where(before < 0, first, before), np.where(after == length, last, after)
    row = np.arange(len(gappy))[:, None]
    low, high = values[row, left % length], values[row, right % length]
    slope = (high - low) / np.maximum(right - left, 1)
    inside = slope * (place - left) + low
    filled_in = np.where(seen, values, np.where(right > left, inside, low))
    flux[gappy] = np.where(seen.any(axis=1, keepdims=True), filled_in, 0)
    return flux


def medians(values: NDArray[np.floating], used: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Median of the used entries of each row, (n,); NaN where none is used. Used entries that are NaN don't count."""
    half, odd = divmod(values.shape[1], 2)
    whole = used.all(axis=1)
    if whole.all():
        parted = np.partition(values, half, axis=1)  # NaN come last, and then the row is sorted below
        high = parted[:, half]
        if not np.isnan(parted[:, half:]).any():
            return high if odd else (parted[:, :half].max(axis=1) + high) / 2
    elif whole.any() and values.shape[1] > 512:  # sorting long rows costs more than parting them
        result = np.empty(len(values), dtype=values.dtype)
        result[whole] = medians(values[whole], used[whole])
        result[~whole] = medians(values[~whole], used[~whole])
        return result
    used = used & ~np.isnan(values)
    ordered = np.sort(np.where(used, values, values.dtype.type(np.inf)), axis=1)
    count = used.sum(axis=1)
    row, upper = np.arange(len(ordered)), np.minimum(count // 2, values.shape[1] - 1)
    middle = (ordered[row, upper - (count % 2 == 0)] + ordered[row, upper]) / 2
    middle[count == 0] = np.nan
    return middle


def level(flux: NDArray, filled: NDArray) -> NDArray:
    """Median of the filled bins of each row, (n, 1); 0 where there are none."""
    middle = medians(flux, filled > 0)
    middle[np.isnan(middle)] = 0
    return middle[:, None]


def deepest(flux: Array, filled: Array) -> Array:
    """|minimum| of the filled bins of each row, (n, 1); 1 where there is no dip, so that nothing divides by 0."""
    lowest = np.where(filled > 0, flux, 0).min(axis=1, keepdims=True)
    return np.where(lowest < -1e-6, -lowest, 1).astype(np.float32)


def normalise(rows: Rows) -> Rows:
    """Put every view at median 0; global and local at minimum -1; odd and even in units of the local view's depth.

    A constant view stays 0. Values are clipped to ``CLIP`` afterwards, so one wild bin cannot rule a batch.
    """
    global_flux = rows.global_flux - level(rows.global_flux, rows.global_filled)
    global_flux = global_flux / deepest(global_flux, rows.global_filled)
    local_flux = rows.local_flux - level(rows.local_flux, rows.local_filled)
    depth = deepest(local_flux, rows.local_filled)
    parities = {}
    for name in ("odd", "even"):
        flux, filled = getattr(rows, f"{name}_flux"), getattr(rows, f"{name}_filled")
        present = (filled > 0).any(axis=1, keepdims=True)
        parities[f"{name}_flux"] = np.clip(np.where(present, (flux - level(flux, filled)) / depth, 0), *CLIP)
    return replace(
        rows, global_flux=np.clip(global_flux, *CLIP), local_flux=np.clip(local_flux / depth, *CLIP), **parities
    )


def gather(signals: Sequence[SignalInputs]) -> Rows:
    """Check signals as the hunt folds them and bring them to the common resolution and units.

    Raises
    ------
    InputsRefused
        Wrong lengths, NaN or infinity in a view, an empty global or local view, an unknown scalar, an infinite one.
    """
    return join([_gather(signals, first) for first in range(0, len(signals), TOGETHER)]) if signals else _no_rows()


def _gather(signals: Sequence[SignalInputs], first: int) -> Rows:
    """The rows of ``TOGETHER`` signals from the one at ``first`` on."""
    part = signals[first : first + TOGETHER]
    stacked = _stacked(part)
    if stacked is None:
        for number, signal in enumerate(part, start=first + 1):
            check(signal, number)
        raise AssertionError("a signal was refused without a reason")
    scalars = np.array([[signal.scalars.get(name) for name in SCALARS] for signal in part], dtype=np.float64)
    depth = np.array([max(abs(signal.depth), NOTHING) for signal in part])[:, None, None]
    views: dict[str, Array] = {}
    for name in ("global", "local", "odd", "even"):
        flux, filled = stacked[name]
        length = flux.shape[1]
        bins, width = (GLOBAL_BINS, GLOBAL_WIDTH) if name == "global" else (LOCAL_BINS, LOCAL_WIDTH)
        index, shares = narrow(length, bins, width, SAMPLED / length)
        # ppm-deep views keep their digits: level and scale are taken out before going to 32 bits
        taken = flux.take(index, axis=1) - level(flux, filled)[:, :, None]
        taken = np.where(np.abs(taken) < NOTHING, 0, taken) / depth
        views[f"{name}_flux"], views[f"{name}_filled"] = averaged(
            taken, filled.take(index, axis=1), shares, name == "global"
        )
    return normalise(Rows(**views, scalars=scalars))


def _no_rows() -> Rows:
    whole, close = (np.zeros((0, bins), dtype=np.float32) for bins in (GLOBAL_BINS, LOCAL_BINS))
    return Rows(whole, whole, close, close, close, close, close, close, np.zeros((0, len(SCALARS))))


def _stacked(signals: Sequence[SignalInputs]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]] | None:
    """Flux and filled bins of each view, (n, m); None where ``check`` would refuse one of the signals."""
    for signal in signals:
        if not np.isfinite(signal.depth) or not _NAMES.issuperset(signal.scalars):
            return None
        if any(value is not None and np.isinf(value) for value in signal.scalars.values()):
            return None
    views = {}
    for name in ("global", *VIEWS):
        shape = (GLOBAL_LENGTH if name == "global" else LOCAL_LENGTH,)
        fluxes = [np.asarray(getattr(signal, f"{name}_flux")) for signal in signals]
        masks = [np.asarray(getattr(signal, f"{name}_filled")) for signal in signals]
        if any(part.shape != shape for part in (*fluxes, *masks)):
            return None
        flux, filled = np.array(fluxes, dtype=np.float64), np.array(masks, dtype=bool)
        if not np.isfinite(flux).all() or (name in ("global", "local") and not filled.any(axis=1).all()):
            return None
        views[name] = flux, filled
    return views


def check(signal: SignalInputs, number: int = 1) -> None:
    """Raise InputsRefused where a signal cannot be scored."""
    for name in ("global", *VIEWS):
        length = GLOBAL_LENGTH if name == "global" else LOCAL_LENGTH
        flux, filled = np.asarray(getattr(signal, f"{name}_flux")), np.asarray(getattr(signal, f"{name}_filled"))
        if flux.shape != (length,) or filled.shape != (length,):
            raise InputsRefused(f"signal {number}: the {name} view has shape {flux.shape}, it must be ({length},)")
        if not np.isfinite(flux).all():
            bad = int((~np.isfinite(flux)).sum())
            raise InputsRefused(f"signal {number}: the {name} view holds {bad} values that are not finite")
        if name in ("global", "local") and not filled.any():
            raise InputsRefused(f"signal {number}: no cadence falls in the {name} view")
    if not np.isfinite(signal.depth):
        raise InputsRefused(f"signal {number}: its depth is {signal.depth}")
    unknown = sorted(set(signal.scalars) - set(SCALARS))
    if unknown:
        raise InputsRefused(f"signal {number}: unknown scalars {', '.join(unknown)}")
    for name, value in signal.scalars.items():
        if value is not None and np.isinf(value):
            raise InputsRefused(f"signal {number}: {name} is infinite")


def robust_scatter(flux: Array, used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1.4826 x median absolute deviation of the used bins of each row; NaN with fewer than 5."""
    enough = used.sum(axis=1) >= 5
    result = np.full(len(flux), np.nan)
    if enough.any():
        known, counted = flux[enough].astype(np.float64), used[enough]
        centre = medians(known, counted)[:, None]
        result[enough] = 1.4826 * medians(np.abs(known - centre), counted)
    return result


def correlated_noise(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Noise of unit scatter with the correlation of the overlapping bins of the public views."""
    white = rng.standard_normal((shape[0], shape[1] + 2))
    smooth = 0.6 * white[:, :-2] + white[:, 1:-1] + 0.6 * white[:, 2:]
    return (smooth / np.sqrt(1.72)).astype(np.float32)


def box_means(flux: Array, width: NDArray[np.int64]) -> Array:
    """Circular running means of each row over its own ``width`` bins, centred; (n, m)."""
    count, length = flux.shape
    edge = min(int(width.max(initial=1)), length)
    sums = np.zeros((count, length + 2 * edge + 1))
    np.cumsum(np.concatenate([flux[:, length - edge :], flux, flux[:, :edge]], axis=1), axis=1, out=sums[:, 1:])
    first = edge + np.arange(length)[None] - (width // 2)[:, None]
    high = np.take_along_axis(sums, first + width[:, None], axis=1)
    return ((high - np.take_along_axis(sums, first, axis=1)) / width[:, None]).astype(np.float32)


def relative_duration(rows: Rows) -> NDArray[np.float64]:
    """Duration over period, (n,), within what a view can show."""
    return np.clip(np.nan_to_num(rows.scalars[:, SCALARS.index("duration_over_period")], nan=0.03), 0.002, 0.24)


def secondary_views(rows: Rows) -> tuple[Array, Array, NDArray[np.float64], NDArray[np.float64]]:
    """Cut the deepest dip away from the transit out of the global view.

    Returns
    -------
    flux, filled : (n, 61)
        -2..2 durations around that dip, in units of the primary's depth in the same view, so that both are
        diluted alike by the width of the bins.
    minimum, sigma : (n,)
        Mean over one duration there (negative is a dip) and its distance from 0 in units of the scatter of
        all such means.
    """
    relative = relative_duration(rows)
    count, length = rows.global_flux.shape
    width = np.maximum(1, np.rint(relative * length)).astype(np.int64)
    means = box_means(rows.global_flux, width)
    phase = (np.arange(length) - (length - 1) / 2) / length
    away = np.abs(phase)[None] > np.maximum(1.5 * relative, 0.03)[:, None]
    away &= rows.global_filled > 0
    nowhere = ~away.any(axis=1)
    place = np.where(away, means, np.inf).argmin(axis=1)
    minimum = np.where(nowhere, np.nan, means[np.arange(count), place])
    scatter = np.maximum(robust_scatter(means, away), 1e-3)
    offsets = np.linspace(-2, 2, LOCAL_BINS)[None] * relative[:, None] * length
    where = place[:, None] + offsets
    low = np.floor(where).astype(np.int64)
    share = (where - low).astype(np.float32)
    take = np.arange(count)[:, None]
    flux = rows.global_flux[take, low % length] * (1 - share) + rows.global_flux[take, (low + 1) % length] * share
    filled = rows.global_filled[take, np.rint(where).astype(np.int64) % length].copy()
    flux[nowhere], filled[nowhere] = 0, 0
    return flux, filled, minimum, -minimum / scatter


def measure(rows: Rows) -> tuple[NDArray[np.float64], Array, Array]:
    """The numbers of MEASURED, (n, 8) with NaN where unknown, and the secondary view with its mask."""
    secondary, secondary_filled, minimum, sigma = secondary_views(rows)
    offset = np.linspace(-2 + 0.08, 2 - 0.08, LOCAL_BINS)  # durations
    core, out = np.abs(offset) < 0.25, np.abs(offset) > 0.8
    phase = (np.arange(GLOBAL_BINS) - (GLOBAL_BINS - 1) / 2) / GLOBAL_BINS
    outside = np.abs(phase)[None] > np.maximum(relative_duration(rows), 0.01)[:, None]
    local_scatter = robust_scatter(rows.local_flux, (rows.local_filled > 0) & out)
    # bins overlap 2.5 times, so the seven of the core hold about 3.1 independent ones
    both = (rows.odd_filled[:, core].mean(axis=1) > 0.5) & (rows.even_filled[:, core].mean(axis=1) > 0.5)
    difference = np.where(
        both, np.abs(rows.odd_flux[:, core].mean(axis=1) - rows.even_flux[:, core].mean(axis=1)), np.nan
    )
    error = np.sqrt(
        robust_scatter(rows.odd_flux, (rows.odd_filled > 0) & out) ** 2
        + robust_scatter(rows.even_flux, (rows.even_filled > 0) & out) ** 2
    ) / np.sqrt(3.1)
    smooth = box_means(rows.local_flux, np.full(len(rows), 15, dtype=np.int64))[:, 8:-8]  # one duration
    numbers = np.stack(
        [
            rows.local_flux[:, core].mean(axis=1),
            np.clip(local_scatter, 0, 2),
            np.clip(robust_scatter(rows.global_flux, (rows.global_filled > 0) & outside), 0, 2),
            np.clip(minimum, -2, 1),
            np.clip(np.log10(np.maximum(sigma, 0.1)), -1, 2),
            np.clip(difference, 0, 2),
            np.clip(np.log10(np.maximum(difference / np.maximum(error, 1e-3), 0.1)), -1, 2),
            np.abs(offset[8:-8][smooth.argmin(axis=1)]),
        ],
        axis=1,
    )
    numbers = np.concatenate([numbers, _sizes(rows), _around(rows), _shapes(rows)], axis=1)
    return numbers, secondary, secondary_filled


def _sizes(rows: Rows) -> NDArray[np.float64]:
    """Radius of the planet and duration, (n, 2)."""
    known = {name: rows.scalars[:, SCALARS.index(name)] for name in SCALARS}
    with np.errstate(invalid="ignore", divide="ignore"):
        radius = np.log10(known["radius"]) + known["log10_depth"] / 2 + np.log10(EARTHS)
        duration = known["log10_period"] + np.log10(known["duration_over_period"] * 24)
    return np.stack([np.where(np.isfinite(value), value, np.nan) for value in (radius, duration)], axis=1)


def _around(rows: Rows) -> NDArray[np.float64]:
    """What the global view shows at the transit, opposite it, and between, (n, 10)."""
    flux, length = rows.global_flux, GLOBAL_BINS
    relative = relative_duration(rows)
    phase = (np.arange(length) - (length - 1) / 2) / length
    means = box_means(flux, np.maximum(1, np.rint(relative * length)).astype(np.int64))
    outside = (np.abs(phase)[None] > np.maximum(relative, 0.01)[:, None]) & (rows.global_filled > 0)
    scatter = np.maximum(np.nan_to_num(robust_scatter(means, outside), nan=1.0), 1e-3)
    here, opposite = means[:, length // 2], means[:, [0, -1]].mean(axis=1)
    used = outside.astype(np.float32)
    count = np.maximum(used.sum(axis=1), 1)
    level_out = (used * np.clip(flux, *CLIP)).sum(axis=1) / count
    waves = used * (np.clip(flux, *CLIP) - level_out[:, None]) @ _waves()  # (n, 4)
    waves = 2 * waves / count[:, None]
    return np.stack(
        [
            here,
            np.clip(here / scatter, -100, 100),
            opposite,
            np.clip(opposite / scatter, -100, 100),
            (means < 0.6 * here[:, None]).mean(axis=1),
            waves[:, 0],
            np.abs(waves[:, 1]),
            waves[:, 2],
            np.abs(waves[:, 3]),
            flux.max(axis=1),
        ],
        axis=1,
    )


@lru_cache(maxsize=1)
def _waves() -> Array:
    """Cosine and sine of one and of two cycles over the global view, (201, 4)."""
    phase = (np.arange(GLOBAL_BINS) - (GLOBAL_BINS - 1) / 2) / GLOBAL_BINS
    parts = [wave(2 * np.pi * cycles * phase) for cycles in (1, 2) for wave in (np.cos, np.sin)]
    return np.stack(parts, axis=1).astype(np.float32)


def _shapes(rows: Rows) -> NDArray[np.float64]:
    """The shape of the local view, and the trapezoid that fits it best, (n, 9)."""
    flux = rows.local_flux
    bank, kinds = _trapezoids()
    used = (rows.local_filled > 0).astype(np.float64)
    y = np.clip(flux, -1.5, 2).astype(np.float64)
    weight = np.maximum(used.sum(axis=1, keepdims=True), 1)
    total = (used * y).sum(axis=1, keepdims=True)
    whole = np.maximum((used * y * y).sum(axis=1, keepdims=True) - total**2 / weight, 1e-9)
    covered = used @ bank.T
    spread = np.maximum(used @ (bank**2).T - covered**2 / weight, 1e-9)
    along = (used * y) @ bank.T - covered * total / weight
    share = np.where(along > 0, along**2 / spread, 0) / whole  # (n, trapezoids)
    best, row = share.argmax(axis=1), np.arange(len(flux))
    by_ingress = share.reshape(len(flux), *(len(part) for part in TRAPEZOIDS)).max(axis=1)
    turned = (flux - flux[:, ::-1])[:, 20:41]
    return np.stack(
        [
            flux.max(axis=1),
            flux[:, :8].mean(axis=1),
            flux[:, -8:].mean(axis=1),
            np.sqrt((turned**2).mean(axis=1)),
            *kinds[best].T,
            share[row, best],
            np.clip((along / spread)[row, best], -1, 5),
            by_ingress[:, -1] - by_ingress[:, 0],
        ],
        axis=1,
    )


@lru_cache(maxsize=1)
def _trapezoids() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dips of depth 1 as the bins of the local view see them, (k, 61), and their durations and ingresses, (k, 2)."""
    kinds = np.array([(duration, ingress) for duration in TRAPEZOIDS[0] for ingress in TRAPEZOIDS[1]])
    centre = np.linspace(-2 + 0.08, 2 - 0.08, LOCAL_BINS)
    within = centre[:, None] + np.linspace(-0.08, 0.08, 65)[None]  # durations, over the width of each bin
    duration, ingress = kinds[:, 0, None, None], kinds[:, 1, None, None]
    dips = -np.clip((duration / 2 - np.abs(within)[None]) / (duration * ingress), 0, 1)
    return dips.mean(axis=2), kinds


def fit_preparation(rows: Rows, scalars: Sequence[str]) -> Preparation:
    """Means, deviations and ranges (but for 0.2 % at either end) of the training rows; NaN do not count."""
    values = raw_scalars(rows, tuple(scalars), measure(rows)[0])
    known = [column[np.isfinite(column)] for column in values.T]
    known = [column if column.size else np.array([0.0]) for column in known]

    def each(number: Callable[[NDArray], float]) -> tuple[float, ...]:
        return tuple(float(number(column)) for column in known)

    return Preparation(
        tuple(scalars),
        mean=each(np.mean),
        std=each(lambda column: max(np.std(column), 1e-3)),
        low=each(lambda column: np.quantile(column, 0.002)),
        high=each(lambda column: np.quantile(column, 0.998)),
    )


def raw_scalars(rows: Rows, scalars: tuple[str, ...], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """The chosen scalars followed by MEASURED, (n, k), NaN where unknown; what would need another is unknown too."""
    unknown = [MEASURED.index(name) for name, needed in MADE_OF.items() if not set(needed) <= set(scalars)]
    if unknown:
        measured = measured.copy()
        measured[:, unknown] = np.nan
    return np.concatenate([rows.scalars[:, [SCALARS.index(name) for name in scalars]], measured], axis=1)


def stretch(flux: Array, length: int) -> Array:
    """Linear interpolation of each row to ``length`` points, ends on ends."""
    if flux.shape[1] == length:
        return flux
    place = np.linspace(0, flux.shape[1] - 1, length)
    low = np.minimum(place.astype(np.int64), flux.shape[1] - 2)
    share = (place - low).astype(np.float32)
    stretched = flux.take(low, axis=1)
    stretched *= 1 - share
    stretched += flux.take(low + 1, axis=1) * share
    return stretched


def tensors(
    rows: Rows, preparation: Preparation, measured: tuple[NDArray[np.float64], Array, Array] | None = None
) -> tuple[Array, Array, Array]:
    """The three inputs of the network; ``measured`` is what ``measure`` says of the rows, where that is known.

    Returns
    -------
    whole : (n, 2, global_length) float32
        The global view and its mask.
    close : (n, 8, local_length) float32
        local, secondary, odd, even, each followed by its mask.
    scalars : (n, 2 k) float32
        z-scored with the constants of the card, then NaN to 0, then the missing bits: in this order, else a
        missing value would look like a measured 0.
    """
    numbers, secondary, secondary_filled = measure(rows) if measured is None else measured
    far, near = preparation.global_length, preparation.local_length

    def mask(filled: Array, length: int) -> Array:
        if filled.all():
            return np.ones((len(filled), length), dtype=np.float32)
        return np.rint(stretch(filled, length))

    whole = np.stack([stretch(rows.global_flux, far), mask(rows.global_filled, far)], axis=1)
    pairs = (
        (rows.local_flux, rows.local_filled),
        (secondary, secondary_filled),
        (rows.odd_flux, rows.odd_filled),
        (rows.even_flux, rows.even_filled),
    )
    close = np.stack([part for flux, filled in pairs for part in (stretch(flux, near), mask(filled, near))], axis=1)
    values = raw_scalars(rows, preparation.scalars, numbers)
    missing = ~np.isfinite(values)
    scored = np.clip(values, preparation.low, preparation.high)  # NaN stays NaN
    scored = np.where(missing, 0.0, (scored - np.array(preparation.mean)) / np.array(preparation.std))
    return whole, close, np.concatenate([scored, missing], axis=1).astype(np.float32)
