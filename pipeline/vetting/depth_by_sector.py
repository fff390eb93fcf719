"""Sector by sector: a planet's transit is as deep in one as in the next, a neighbour's in another aperture is not."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Finding, Integers, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

ASSUMED = 40.0  # pseudo-folds that unit-normal depths count for; on null skies fewer only add noise
FLOOR = 0.01  # of the depth: crowding is corrected no better from sector to sector


@dataclass(frozen=True, slots=True)
class SectorDepth:
    """The transits of one sector, quarter or campaign together."""

    name: str  # "sector 5", "quarter 3", "file 2"
    depth: float  # mean over the duration, a fraction
    err: float  # red noise included


def depth_by_sector(case: Case) -> Finding:
    """Compare the mean depths of the single sectors (quarters, campaigns) with each other.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the scatter of the sectors' depths beyond their errors, over the mean depth; ``sigma`` that of
        their chi-square. Fails when the scatter is both sure and large.

    Notes
    -----
    A sector's error is that of its transits, scaled by the scatter of its own pseudo-transits folded. Soft: spots and
    a crowding correction that is off make depths differ too.
    """
    settings = case.settings
    limit = settings.sector_sigma
    sectors = sector_depths(case)
    if isinstance(sectors, str):
        return Finding("depth_by_sector", Verdict.NOT_RUN, None, None, limit, f"few_transits: {sectors}")
    depth, err = (np.array([getattr(sector, name) for sector in sectors]) for name in ("depth", "err"))
    weight = 1 / (err**2 + (FLOOR * np.median(depth)) ** 2)
    mean = float((weight * depth).sum() / weight.sum())
    chi_square = float(((depth - mean) ** 2 * weight).sum())
    if not (math.isfinite(chi_square) and mean != 0):
        return Finding("depth_by_sector", Verdict.ERROR, None, None, limit, f"depths {depth}, errors {err}")
    degrees = len(sectors) - 1
    pseudo = case.transits.pseudo
    sigma = noise.variance_ratio_sigma(chi_square / degrees, degrees, pseudo.independent * max(pseudo.cycle.size, 1))
    scatter = math.sqrt(max(chi_square / degrees - 1, 0.0) / float(weight.mean())) / abs(mean)
    said = ", ".join(f"{one.name} {1e6 * one.depth:.0f} +- {1e6 * one.err:.0f} ppm" for one in sectors)
    return Finding(
        "depth_by_sector",
        Verdict.FAIL if sigma > limit and scatter > settings.sector_scatter else Verdict.PASS,
        scatter,
        sigma,
        limit,
        f"{said}: they scatter by {scatter:.0%} of the depth beyond their errors, {sigma:.1f} sigma",
    )


def sector_depths(case: Case) -> tuple[SectorDepth, ...] | str:
    """The mean depth in each sector, in order of time, or why there are no two to compare."""
    transits, pseudo = case.transits, case.transits.pseudo
    sector = _sectors(case)
    if sector is None:
        return "the data do not say which sector is whose"
    period, epoch = case.signal.period, case.signal.epoch
    owner = _of_nearest(case, sector, epoch + transits.cycle * period)
    shifted = _of_nearest(case, sector, epoch + (pseudo.cycle + 0.5) * period)
    found = []
    for one in np.unique(owner[transits.events.usable]):
        mean, err = transits.mean(owner == one)
        fold, fold_err, count = pseudo.fold(shifted == one)
        known = count > 0
        if known.any():
            z = fold[known] / fold_err[known]
            err *= noise.inflation(z, pseudo.independent * float(known.mean()), ASSUMED)
        found.append(SectorDepth(_name(case, int(one)), mean, err))
    if len(found) < 2:
        return f"{len(found) or 'no'} sector has transits that are well covered, 2 are needed"
    return tuple(found)


def _sectors(case: Case) -> Integers | None:
    """Of each cadence, the first product of the same mission and sector; None where no product is known."""
    products, owner = case.cleaned.products, case.cleaned.segment_product
    if len(owner) <= int(case.cleaned.segment[-1]):
        return None
    keys = [(p.mission, i if p.sector is None else p.sector, p.sector is None) for i, p in enumerate(products)]
    first = np.array([keys.index(key) for key in keys])
    return first[np.array(owner)][case.cleaned.segment]


def _of_nearest(case: Case, sector: Integers, centres: np.ndarray) -> Integers:
    time = case.light_curve.time
    after = np.clip(np.searchsorted(time, centres), 1, time.size - 1)
    return sector[np.where(centres - time[after - 1] < time[after] - centres, after - 1, after)]


def _name(case: Case, index: int) -> str:
    product = case.cleaned.products[index]
    word = {"kepler": "quarter", "k2": "campaign"}.get(product.mission.lower(), "sector")
    return f"file {index + 1}" if product.sector is None else f"{word} {product.sector}"
