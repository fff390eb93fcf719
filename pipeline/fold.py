"""Fold a signal on its period and bin it into the views that a network and a person look at."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval

from pipeline.clean import DetrendSettings, detrend
from pipeline.ephemeris import phase, transit_mask
from pipeline.types import (
    CleanedLightCurve,
    Floats,
    FoldedViews,
    LightCurve,
    TransitSignal,
    View,
)
from pipeline.vetting import noise, transits

VERSION = 3

GLOBAL_BINS = 2048
LOCAL_BINS = 256
LOCAL_REACH = 2.0  # durations to each side of the transit
MASKED_EVENTS = 40  # pseudo-transits hidden from the trend to see what that does to their noise
MASKED_SHIFTS = 6  # phases they are taken from, at most: each costs a detrending


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """The [fold] table."""

    mask_width: Annotated[float, Gt(1)] = 2.0  # durations hidden from the trend around each transit: a box fit is short
    max_masked: Annotated[float, Interval(gt=0, lt=1)] = 0.4  # most of the series that may be hidden from the trend
    global_window: Annotated[float, Interval(gt=0, lt=0.5)] = 1.2 / 201  # width of a global bin, periods; bins overlap
    local_window: Annotated[float, Gt(0)] = 0.16  # width of a local bin, durations; bins overlap


def fold(
    cleaned: CleanedLightCurve,
    signal: TransitSignal,
    settings: FoldSettings = FoldSettings(),
    detrending: DetrendSettings = DetrendSettings(),
) -> FoldedViews:
    """Detrend again without the transits, fold, and bin.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
    signal : TransitSignal
        Its duration may be the short one of a box fit; the mask is ``mask_width`` times wider.
    settings : FoldSettings
    detrending : DetrendSettings

    Returns
    -------
    FoldedViews
        ``notes`` says so when the transits fill too much of the series to be hidden from the trend, as in contact
        binaries: then the views show the flat light curve that was searched.

    Notes
    -----
    A bin is the median of the cadences in a window as wide as those of the public views that the networks are
    trained on (Yu et al. 2019, arXiv:1904.02726: 1.2 P / 201 and 0.16 durations), so neighbouring bins of the 2048
    and 256 overlap, by a factor 12 and 10: the views look like those of 201 and 61 bins, finely sampled. Windows as
    narrow as the bins would be empty in four of ten bins of a 30-minute sector. Empty bins are interpolated across
    phase and marked. The zero of each view is the median beside its own dip.

    A second dip that is sure is hidden from the trend too, so that the eclipses of a binary keep their depth.
    """
    period, epoch, duration = signal.period, signal.epoch, signal.duration
    light_curve, width, notes = _without_transits(cleaned, signal, settings, detrending)
    measured = transits.measure(light_curve.time, light_curve.flux, cleaned.exposure, signal)
    dip = transits.deepest_dip(measured.pseudo)
    hidden: tuple[float, ...] = (0.0,)
    narrower = min(settings.mask_width, 0.5 * settings.max_masked * period / duration)
    if width and dip is not None and dip.local_sigma > transits.SURE and narrower >= 1:
        hidden, width = (0.0, dip.phase), narrower
        light_curve = _hide(cleaned, signal, detrending, width, hidden)
        measured = transits.measure(light_curve.time, light_curve.flux, cleaned.exposure, signal)
        dip = transits.deepest_dip(measured.pseudo)
    secondary_phase = None if dip is None else dip.phase
    middle = epoch + (0.5 if secondary_phase is None else secondary_phase) * period

    def close(period: float, epoch: float) -> View:
        return _close_view(light_curve, period, epoch, duration, settings.local_window)

    return FoldedViews(
        light_curve=light_curve,
        global_view=_global_view(light_curve, signal, settings.global_window),
        local_view=close(period, epoch),
        secondary=close(period, middle),
        odd=close(2 * period, epoch + period),  # cycle numbers are counted from the epoch, so cycle 1 is odd
        even=close(2 * period, epoch),
        secondary_phase=secondary_phase,
        notes=notes,
        masked_noise=_masked_noise(cleaned, signal, detrending, width, hidden, measured.pseudo),
    )


def _without_transits(
    cleaned: CleanedLightCurve, signal: TransitSignal, settings: FoldSettings, detrending: DetrendSettings
) -> tuple[LightCurve, float, tuple[str, ...]]:
    """Detrend with the transits hidden from the trend, as wide as the period allows; that width in durations, or 0."""
    widest = settings.max_masked * signal.period / signal.duration
    width = min(settings.mask_width, widest)
    masked = transit_mask(cleaned.raw.time, signal.period, signal.epoch, signal.duration, max(width, 1.0))
    share = float(masked.mean())
    if width < 1 or share > max(1.5 * settings.max_masked, 0.5):
        return (
            cleaned.flat,
            0.0,
            (
                f"transits fill {share:.0%} of the cadences, too many to hide from the trend "
                f"([fold] max_masked is {settings.max_masked:g}): folded the light curve as it was searched",
            ),
        )
    notes: tuple[str, ...] = ()
    if width < settings.mask_width:
        notes = (f"the period leaves room to hide only {width:.2f} durations around each transit from the trend",)
    return _hide(cleaned, signal, detrending, width, (0.0,)), width, notes


def _hide(
    cleaned: CleanedLightCurve,
    signal: TransitSignal,
    detrending: DetrendSettings,
    width: float,
    phases: Iterable[float],
) -> LightCurve:
    """Detrend with what lies at some phases of the period, the transit at 0, hidden from the trend."""
    masked = np.zeros(len(cleaned.raw), dtype=bool)
    for at in phases:
        epoch = signal.epoch + at * signal.period
        masked |= transit_mask(cleaned.raw.time, signal.period, epoch, signal.duration, width)
    return detrend(cleaned.raw, cleaned.segment, detrending, masked)


def _masked_noise(
    cleaned: CleanedLightCurve,
    signal: TransitSignal,
    detrending: DetrendSettings,
    width: float,
    hidden: tuple[float, ...],
    pseudo: noise.PseudoTransits,
) -> float:
    """How much the trend's blindness below a mask adds to the variance of a transit's depth.

    A few pseudo-transits are hidden from the trend as the transits are, and measured again. Taking the ratio over
    the same events keeps it sharp: 40 of them give it to 10 %.
    """
    per_shift = pseudo.usable.sum(axis=0)
    apart = [np.abs((pseudo.phase - at + 0.5) % 1 - 0.5) * signal.period for at in hidden]
    free = np.flatnonzero((per_shift > 0) & (np.min(apart, axis=0) > 1.5 * signal.duration))
    if not width or not free.size:
        return 1.0
    number = int(np.clip(math.ceil(MASKED_EVENTS / float(np.median(per_shift[free]))), 2, MASKED_SHIFTS))
    shifts = free[np.unique(np.linspace(0, free.size - 1, number + 2).round().astype(int)[1:-1])]
    time = cleaned.raw.time
    windows = noise.Windows.of(signal.period, signal.duration)
    off = noise.outside(time, signal.period, signal.epoch, transits.block_distance(signal))
    seen, unseen = [], []
    for shift in shifts:
        epoch = signal.epoch + pseudo.phase[shift] * signal.period
        blind = _hide(cleaned, signal, detrending, width, (*hidden, float(pseudo.phase[shift])))
        events = noise.Samples(time[off], blind.flux[off], cleaned.exposure[off]).measure(
            epoch + pseudo.cycle * signal.period, windows
        )
        both = events.usable & pseudo.usable[:, shift]
        unseen.append(events.depth[both])
        seen.append(pseudo.depth[both, shift])
    followed = noise.clipped_variance(np.concatenate(seen))
    return float(np.clip(noise.clipped_variance(np.concatenate(unseen)) / followed, 1.0, 10.0)) if followed > 0 else 1.0


def _global_view(light_curve: LightCurve, signal: TransitSignal, window: float) -> View:
    """The whole period, transit in the middle."""
    folded = phase(light_curve.time, signal.period, signal.epoch)
    away = np.abs(folded) * signal.period > signal.duration
    level = float(np.median(light_curve.flux[away])) if away.any() else float(np.median(light_curve.flux))
    centres = (np.arange(GLOBAL_BINS) + 0.5) / GLOBAL_BINS - 0.5
    # both ends again on the other side, so that bins at phase -0.5 and 0.5 see across the seam
    wraps = [(folded, light_curve.flux)]
    for edge, move in ((folded < -0.5 + window, 1.0), (folded >= 0.5 - window, -1.0)):
        wraps.append((folded[edge] + move, light_curve.flux[edge]))
    position, flux = (np.concatenate(parts) for parts in zip(*wraps, strict=True))
    return bin_view(position, flux - level, centres, window, period=1.0)


def _close_view(light_curve: LightCurve, period: float, epoch: float, duration: float, window: float) -> View:
    """Two durations to each side of the epoch; further than half a period the fold repeats itself."""
    folded = phase(light_curve.time, period, epoch) * period
    reach = (LOCAL_REACH + window) * duration
    turns = math.ceil(max(reach / period - 0.5, 0.0))
    parts = []
    for turn in range(-turns, turns + 1):
        moved = folded + turn * period
        near = np.abs(moved) <= reach
        parts.append((moved[near], light_curve.flux[near]))
    since, flux = (np.concatenate(part) for part in zip(*parts, strict=True))
    beside = (np.abs(since) > 0.75 * duration) & (np.abs(since) <= LOCAL_REACH * duration)
    reference = flux[beside] if beside.any() else light_curve.flux
    centres = ((np.arange(LOCAL_BINS) + 0.5) / LOCAL_BINS - 0.5) * 2 * LOCAL_REACH
    return bin_view(since / duration, flux - float(np.median(reference)), centres, window)


def bin_view(position: Floats, flux: Floats, centres: Floats, window: float, period: float | None = None) -> View:
    """Take the median of the flux within half a window of each centre.

    Parameters
    ----------
    position : (n,) any order; phase or durations
    flux : (n,) relative to the level outside transit
    centres : (m,) increasing
    window : float
        Full width of a bin, in the unit of ``position``.
    period : float, optional
        Bins are neighbours across this length: empty ones at the ends are interpolated around it.

    Returns
    -------
    View, m bins
        ``scatter`` is the standard error of the median, from the bin's own quartiles where it holds 8 cadences or
        more, else from those of all.

    Notes
    -----
    One integer sort ranks (bin, flux) for all windows at once: every median, quartiles included, is then an index.
    """
    order = np.argsort(position, kind="stable")
    position, flux = position[order], flux[order]
    low = np.searchsorted(position, centres - 0.5 * window, side="left")
    high = np.searchsorted(position, centres + 0.5 * window, side="right")
    count = high - low
    filled = count > 0
    if not filled.any():
        return View(np.zeros(centres.size), filled, np.zeros(centres.size))
    rank_order = np.argsort(flux, kind="stable")
    rank = np.empty(flux.size, dtype=np.int64)
    rank[rank_order] = np.arange(flux.size)
    ascending = flux[rank_order]
    start = np.concatenate(([0], np.cumsum(count)))
    member = np.arange(start[-1]) - np.repeat(start[:-1] - low, count)  # cadences of each window, one after the other
    key = np.repeat(np.arange(centres.size, dtype=np.int64) * flux.size, count) + rank[member]
    key.sort()

    def quantile(share: float) -> Floats:
        """Of each filled window, interpolated between order statistics."""
        at = share * (count[filled] - 1)
        below = np.floor(at).astype(np.int64)
        above = np.minimum(below + 1, count[filled] - 1)
        first, second = (ascending[key[start[:-1][filled] + i] % flux.size] for i in (below, above))
        return first + (at - below) * (second - first)

    values = np.zeros(centres.size)
    values[filled] = quantile(0.5)
    spread = (quantile(0.75) - quantile(0.25)) / 1.349
    many = count[filled] >= 8
    typical = float(np.median(spread[many])) if many.any() else 1.4826 * float(np.median(np.abs(flux)))
    scatter = np.zeros(centres.size)
    # the median of n normals is sqrt(pi / 2) less certain than their mean, one or two excepted
    efficiency = np.where(count[filled] > 2, math.sqrt(math.pi / 2), 1.0)
    scatter[filled] = efficiency * np.where(many, spread, typical) / np.sqrt(count[filled])
    if not filled.all():
        values[~filled] = np.interp(centres[~filled], centres[filled], values[filled], period=period)
    return View(values, filled, scatter)
