"""From the files of one star to one series: masked, sorted, without repeats, each orbit segment around 1.

lightkurve's own ``stitch`` neither sorts nor drops repeats and passes files without one good number;
here every cadence left out is counted under its reason, and what cannot be hunted is refused with one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from pipeline.clean.median import median, median_of_close
from pipeline.clean.outliers import noisy_ends, point_scatter, scattered_light
from pipeline.clean.quality import DESATURATION, QualityLevel, good_cadences
from pipeline.clean.steps import steps
from pipeline.errors import UnusableData
from pipeline.types import Booleans, Floats, Integers, Observation, Product

VERSION = 4

DAY_SECONDS = 86400.0
LATEST_DAY = 1e6  # BTJD; a time beyond (2,700 years) is a fill value
DUMP_APART = 0.2  # days; flagged cadences closer than this are one momentum dump
NO_CADENCE = 30 / 1440  # days; the exposure of a lone point that states none


@dataclass(frozen=True, slots=True)
class CleanSettings:
    """The [clean] table."""

    quality: QualityLevel = "default"  # which cadences the mission calls bad: "default", "hard" or "none"
    min_points: Annotated[int, Ge(3)] = 100  # fewest good cadences worth a search
    min_span: Annotated[float, Ge(0)] = 1.0  # days from the first to the last good cadence
    gap: Annotated[float, Gt(0)] = 0.5  # days without data that end an orbit segment
    min_segment: Annotated[float, Ge(0)] = 0.25  # days; a shorter segment has no level of its own and is left out
    bin_below: Annotated[float, Ge(0)] = 40.0  # seconds; faster cadences (20 s) are binned
    bin_to: Annotated[float, Gt(0)] = 120.0  # seconds, to this cadence
    dump_steps: bool = True  # where the level jumps at a momentum dump, begin a new segment
    excursion: Annotated[float, Ge(0)] = 10.0  # sigma over the median of a segment: scattered light; 0 is off
    noisy_ends: bool = True  # cut the ends of segments where the scatter is three times the usual
    clip_up: Annotated[float, Ge(0)] = 5.0  # sigma over the trend: flares, cosmic rays; 0 is off
    clip_down: Annotated[float, Ge(0)] = 6.0  # sigma under the trend, single points between ordinary ones; 0 is off
    clip_down_below: Annotated[float, Ge(0), Le(900)] = 700.0  # seconds; slower cadences are not clipped downward


@dataclass(frozen=True, slots=True, eq=False)
class Stitched:
    """One series of all products; a step between the files and the cleaned light curve."""

    time: Floats  # (n,) BTJD days, strictly increasing
    flux: Floats  # (n,) each segment divided by its median
    flux_err: Floats  # (n,) same unit as flux, positive
    segment: Integers  # (n,) from 0, in order of time
    exposure: Floats  # (n,) days
    centroid_column: Floats  # (n,) pixels, NaN where not measured
    centroid_row: Floats  # (n,) pixels, NaN where not measured
    products: tuple[Product, ...]  # in order of time
    segment_product: tuple[int, ...]  # of each segment, where in ``products`` it comes from
    rejected: dict[str, int]  # cadences left out, by reason

    def __len__(self) -> int:
        return int(self.time.size)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The good cadences of one product, in order of time."""

    product: Product
    cadence: float  # days
    columns: Floats  # (6, n): time, flux, flux_err, exposure, centroid column, centroid row
    dumps: Floats  # (d,) when momentum was dumped, in order of time

    def keep(self, good: Booleans) -> "_Piece":
        return self if good.all() else replace(self, columns=self.columns[:, good])


TIME, FLUX, ERROR, EXPOSURE, COLUMN, ROW = range(6)


def stitch(observations: Sequence[Observation], settings: CleanSettings) -> Stitched:
    """Join all products of a star into one series.

    Parameters
    ----------
    observations : sequence of Observation
        Any order, any cadences, NaN anywhere. Where two overlap in time the faster cadence wins, then the newer
        release, then the earlier in the sequence: the other adds only what lies outside its segments.
    settings : CleanSettings

    Returns
    -------
    Stitched

    Raises
    ------
    UnusableData
        If too few cadences are left, they span too little, or the flux is not that of a star:
        constant, or a median that is not above its own scatter.
    """
    rejected: Counter[str] = Counter()
    refused: list[str] = []
    pieces: list[_Piece] = []
    for observation in observations:
        piece = _good_part(observation, settings, rejected)
        if piece.columns.shape[1] == 0:
            continue
        reason = _not_a_star(piece)
        if reason:
            refused.append(reason)
            rejected["flux without a level"] += piece.columns.shape[1]
            continue
        pieces.append(_with_errors(_bin_fast(piece, settings)))
    n = sum(piece.columns.shape[1] for piece in pieces)
    if n < settings.min_points:
        raise UnusableData(_too_few(n, settings, rejected, refused))
    segments = _without_overlap(pieces, settings, rejected)
    n = sum(piece.columns.shape[1] for piece in segments)
    if n < max(settings.min_points, 1):
        raise UnusableData(_too_few(n, settings, rejected, refused))
    table = np.concatenate([piece.columns for piece in segments], axis=1)
    number = np.repeat(np.arange(len(segments)), [piece.columns.shape[1] for piece in segments])
    span = table[TIME, -1] - table[TIME, 0]
    if span < settings.min_span:
        raise UnusableData(f"{n} good cadences span only {span:.3g} days: [clean] min_span is {settings.min_span:g}")
    products = tuple(dict.fromkeys(piece.product for piece in segments))
    return Stitched(
        time=table[TIME],
        flux=table[FLUX],
        flux_err=table[ERROR],
        segment=number.astype(np.int64),
        exposure=table[EXPOSURE],
        centroid_column=table[COLUMN],
        centroid_row=table[ROW],
        products=products,
        segment_product=tuple(products.index(piece.product) for piece in segments),
        rejected=dict(rejected),
    )


def _good_part(observation: Observation, settings: CleanSettings, rejected: Counter[str]) -> _Piece:
    """Drop what the mission flags, then what is not a number, then repeats; sort by time."""
    time, flux = (np.asarray(values, dtype=np.float64) for values in (observation.time, observation.flux))
    with np.errstate(invalid="ignore"):
        timed = np.abs(time) < LATEST_DAY
    unflagged = good_cadences(observation, settings.quality)
    finite = timed & np.isfinite(flux)
    _count(rejected, "quality flag", time.size - int(unflagged.sum()))
    _count(rejected, "not a number", int((unflagged & ~finite).sum()))
    cadence = _cadence(observation.product, time[timed])
    kept = np.flatnonzero(unflagged & finite)
    if not _rising(time[kept]):
        kept = kept[np.argsort(time[kept], kind="stable")]
    alone = _not_repeated(time[kept], cadence)
    _count(rejected, "repeated cadence", kept.size - alone.size)
    kept = kept[alone]
    columns = np.full((6, kept.size), np.nan)
    columns[TIME], columns[FLUX] = time[kept], flux[kept]
    columns[ERROR] = np.asarray(observation.flux_err, dtype=np.float64)[kept]
    columns[EXPOSURE] = cadence
    for row, centroid in ((COLUMN, observation.centroid_column), (ROW, observation.centroid_row)):
        if centroid is not None:
            values = np.asarray(centroid, dtype=np.float64)[kept]
            columns[row] = np.where(np.isfinite(values), values, np.nan)
    return _Piece(observation.product, cadence, columns, _dumps(observation, time[timed], timed))


def _dumps(observation: Observation, time: Floats, timed: Booleans) -> Floats:
    """The ends of the momentum dumps of TESS, from its flags."""
    if observation.product.mission.strip().lower() != "tess":
        return np.empty(0)
    flagged = np.sort(time[(np.asarray(observation.quality, dtype=np.int64)[timed] & DESATURATION) != 0])
    return flagged[np.append(np.diff(flagged) > DUMP_APART, True)] if flagged.size else flagged


def _rising(time: Floats) -> bool:
    return bool((time[1:] >= time[:-1]).all())


def _cadence(product: Product, time: Floats) -> float:
    """Days from one cadence to the next: the header's word, unless the times themselves are closer."""
    steps = np.diff(time if _rising(time) else np.sort(time))
    steps = steps[steps > 0]
    measured = median_of_close(steps) if steps.size else None
    stated = product.cadence_seconds
    if stated is not None and np.isfinite(stated) and stated > 0:
        stated /= DAY_SECONDS
        # flagged cadences that were cut before the file was written make the measured step too long, never too short
        if measured is None or measured > 0.7 * stated:
            return float(stated)
    return NO_CADENCE if measured is None else measured


def _not_repeated(time: Floats, cadence: float) -> Integers:
    """Where the first of the cadences are that lie less than half a cadence after another; times rise."""
    first = np.concatenate([[True], np.diff(time) >= 0.5 * cadence])
    if time.size < 2 or first.all():
        return np.arange(time.size)
    # rounded to half cadences from the first one kept, so that a crowd of points is thinned, not dropped
    crowd = np.maximum.accumulate(np.where(first, np.arange(time.size), 0))
    slot = np.floor((time - time[crowd]) / (0.5 * cadence)).astype(np.int64)
    first |= np.concatenate([[False], (np.diff(slot) > 0) & (np.diff(crowd) == 0)])
    # a slot's last point and the next one's first may be closer than half a cadence: a lone pass more
    kept = np.flatnonzero(first)
    return kept[np.concatenate([[True], np.diff(time[kept]) > 0])]


def _not_a_star(piece: _Piece) -> str:
    """Say why this flux has no level to divide by, or nothing."""
    flux = piece.columns[FLUX]
    level, scatter = median(flux), point_scatter(flux)
    if not np.isfinite(scatter):
        return "the flux is not finite after subtraction"
    if scatter == 0 and flux.size > 1:
        return "most cadences have the same flux"
    if not level > 0:
        return f"the median flux is {level:.3g}: relative flux must be around 1, not around 0"
    if level <= scatter:
        return f"the median flux {level:.3g} is not above the scatter {scatter:.3g} of one cadence"
    return ""


def _bin_fast(piece: _Piece, settings: CleanSettings) -> _Piece:
    """Average fast cadences (20 s) to the cadence of the search, cosmic rays aside."""
    per_bin = round(settings.bin_to / (piece.cadence * DAY_SECONDS))
    if piece.cadence * DAY_SECONDS >= settings.bin_below or per_bin < 2:
        return piece
    columns = piece.columns
    slot = np.floor((columns[TIME] - columns[TIME, 0]) / (per_bin * piece.cadence) + 1e-3).astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(slot) > 0]))
    count = np.diff(np.concatenate([starts, [slot.size]]))
    which = np.repeat(np.arange(starts.size), count)
    binned = np.empty((6, starts.size))
    for row in (TIME, FLUX):
        binned[row] = np.add.reduceat(columns[row], starts) / count
    for row in (COLUMN, ROW):
        known = np.isfinite(columns[row])
        seen = np.bincount(which, weights=known, minlength=starts.size)
        total = np.bincount(which, weights=np.where(known, columns[row], 0.0), minlength=starts.size)
        binned[row] = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
    binned[ERROR] = np.sqrt(np.add.reduceat(columns[ERROR] ** 2, starts)) / count
    binned[EXPOSURE] = per_bin * piece.cadence
    return replace(piece, cadence=per_bin * piece.cadence, columns=binned)


def _with_errors(piece: _Piece) -> _Piece:
    """Give every cadence an error: the file's, or the scatter where the file has none or nonsense."""
    error = piece.columns[ERROR]
    scatter = point_scatter(piece.columns[FLUX])
    with np.errstate(invalid="ignore"):
        stated = np.isfinite(error) & (error > 0)
    typical = median(error[stated]) if stated.any() else 0.0
    # a star that flickers has scatter far above its photon noise; a tenth of it is still a believable error
    if scatter > 0 and not 0.1 * scatter < typical < 10 * scatter:
        believable, typical = np.zeros(error.size, dtype=bool), scatter
    else:
        # one wild value would weigh a cadence by millions or by nothing
        with np.errstate(invalid="ignore"):
            believable = stated & (error > 0.1 * typical) & (error < 10 * typical)
    if believable.all():
        return piece
    columns = piece.columns.copy()
    columns[ERROR, ~believable] = typical
    return replace(piece, columns=columns)


def _without_overlap(pieces: Sequence[_Piece], settings: CleanSettings, rejected: Counter[str]) -> list[_Piece]:
    """Cut every piece into orbit segments around 1, drop those another product covers better, sort by time."""
    ranked = sorted(
        pieces, key=lambda piece: (round(piece.cadence * DAY_SECONDS, -1), -(piece.product.data_release or 0))
    )
    taken: list[tuple[float, float]] = []
    segments: list[_Piece] = []
    for piece in ranked:
        time = piece.columns[TIME]
        covered = np.zeros(time.size, dtype=bool)
        for start, end in taken:
            if start - piece.cadence < time[-1] and time[0] < end + piece.cadence:
                covered |= (time > start - 0.5 * piece.cadence) & (time < end + 0.5 * piece.cadence)
        _count(rejected, "covered by another product", int(covered.sum()))
        free = piece.keep(~covered)
        cuts = np.diff(free.columns[TIME]) > settings.gap
        # what another product covers lies between two stretches of this one, however short it is
        cuts |= np.diff(np.flatnonzero(~covered)) > 1
        edges = [0, *(np.flatnonzero(cuts) + 1), free.columns.shape[1]]
        if settings.dump_steps:
            edges = sorted({*edges, *(edge for pair in pairwise(edges) for edge in _step_edges(free, *pair))})
        for first, last in pairwise(edges):
            segment = _level(replace(piece, columns=free.columns[:, first:last]), settings, rejected)
            if segment is not None:
                segments.append(segment)
                taken.append(
                    (segment.columns[TIME, 0] - 0.5 * piece.cadence, segment.columns[TIME, -1] + 0.5 * piece.cadence)
                )
    return sorted(segments, key=lambda segment: float(segment.columns[TIME, 0]))


def _level(segment: _Piece, settings: CleanSettings, rejected: Counter[str]) -> _Piece | None:
    """Cut scattered light, divide by the median; None if nothing with a level is left."""
    columns = segment.columns
    n = columns.shape[1]
    if n == 0:
        return None
    if columns[TIME, -1] - columns[TIME, 0] < settings.min_segment:
        _count(rejected, "segment too short", n)
        return None
    bright = scattered_light(columns[FLUX], settings.excursion)
    _count(rejected, "scattered light", int(bright.sum()))
    segment = segment.keep(~bright)
    if settings.noisy_ends:
        noisy = noisy_ends(segment.columns[FLUX], segment.columns[EXPOSURE])
        _count(rejected, "noisy end of a segment", int(noisy.sum()))
        segment = segment.keep(~noisy)
    columns = segment.columns
    if columns.shape[1] == 0:
        return None
    level = median(columns[FLUX])
    if not level > point_scatter(columns[FLUX]) > 0:
        _count(rejected, "flux without a level", columns.shape[1])
        return None
    columns = columns.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        columns[FLUX] /= level
        columns[ERROR] /= level
    sane = np.isfinite(columns[FLUX]) & np.isfinite(columns[ERROR]) & (columns[ERROR] > 0)
    _count(rejected, "not a number", int((~sane).sum()))
    return replace(segment, columns=columns).keep(sane) if sane.any() else None


def _step_edges(piece: _Piece, first: int, last: int) -> list[int]:
    """Where within one stretch the level jumps, as places of the cadences behind it."""
    time, flux = piece.columns[TIME, first:last], piece.columns[FLUX, first:last]
    return [first + int(np.searchsorted(time, dump)) for dump in steps(time, flux, piece.dumps)]


def _count(rejected: Counter[str], reason: str, n: int) -> None:
    if n:
        rejected[reason] += n


def _too_few(n: int, settings: CleanSettings, rejected: Counter[str], refused: Sequence[str]) -> str:
    if n == 0 and refused:
        return f"no flux to search: {refused[0]}"
    lost = ", ".join(f"{count} {reason}" for reason, count in rejected.items())
    left_out = f" (left out: {lost})" if lost else ""
    return f"{n} good cadences are too few: [clean] min_points is {settings.min_points}{left_out}"
