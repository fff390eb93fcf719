"""How much of the light in the aperture is the target's, and which star there could make the dip."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UnusableData
from pipeline.sky import pixel_of, place_of, separation, wcs_of
from pipeline.types import Booleans, FieldStar, Finding, Floats, Target, TargetPixels, Verdict

if TYPE_CHECKING:
    from pipeline.pixels.prf import Prf, PrfGrid

VERSION = 1
# columns whose makers have taken the neighbours' light off; depths in them are those of the target alone
CORRECTED = ("PDCSAP_FLUX", "KSPSAP_FLUX", "SYS_RM_FLUX", "DET_FLUX", "CAL_APER_FLUX", "CAL_PSF_FLUX")
SAME_STAR = 3.0  # arcsec within which a catalogued star is the target, where its number is not among them
REACH = 8.0  # pixels beyond the edge of the stamp from which a star sends no light worth counting
LEAST_SHARE = 1e-3  # of the aperture's light: a star below it is told of only if it could make the dip
TOLD_AT_MOST = 200  # stars, those of the most light


@dataclass(frozen=True, slots=True)
class Share:
    """One star's part of the light."""

    kind: str
    key: str
    separation: float  # arcsec from the target
    tmag: float | None
    fraction: float  # of the aperture's light, mean over the sectors
    required_depth: float | None  # of its own light, to make the dip; None where it sends none
    possible_host: bool  # whether that is 1 at most


@dataclass(frozen=True, slots=True)
class ApertureLight:
    """One sector."""

    sector: int | None
    fraction: float  # of the aperture's light that is the target's
    captured: float  # of the target's light that falls into the aperture (SPOC: FLFRCSAP)
    crowding: float | None  # the first of the two as the file has it (SPOC: CROWDSAP)
    pixels: int  # in the aperture
    prf: str
    stars: int  # counted


@dataclass(frozen=True, slots=True)
class Contamination:
    """The light of others in the aperture, and what follows for depth and radius."""

    source: str  # "catalogue", or "TIC contamination ratio"
    fraction: float  # of the light that is the target's, mean over the sectors
    least: float  # in the worst sector
    depth: float  # as the light curve has it
    depth_corrected_before: bool  # the light curve's makers have taken the neighbours' light off
    aperture_depth: float  # of all the light in the aperture
    own_depth: float  # of the target's own light
    radius_factor: float  # by which a radius from the light curve's depth grows: sqrt(own depth / depth)
    sectors: tuple[ApertureLight, ...] = ()
    stars: tuple[Share, ...] = ()  # the target first, then by light
    untold: int = 0  # stars of too little light to be told of one by one
    possible_hosts: int = 0  # besides the target
    notes: tuple[str, ...] = ()

    @property
    def required_depths(self) -> dict[str, float]:
        """What each star that is told of would have to lose of its own light, by its name."""
        return {
            f"{share.kind} {share.key}": share.required_depth
            for share in self.stars
            if share.required_depth is not None
        }


NOUNS = (Share, ApertureLight, Contamination)  # what a checkpoint may hold of it


def contamination(
    target: Target,
    depth: float,
    flux_column: str,
    pixels: Sequence[TargetPixels] = (),
    prfs: Sequence["Prf | PrfGrid | None"] = (),
    stars: Sequence[FieldStar] = (),
    *,
    ratio: float | None = None,
    crowding: Mapping[int, float] | None = None,
    shifts: Sequence[tuple[float, float]] = (),
) -> tuple[Finding, Contamination | None]:
    """Weigh every star of the field by its light in the aperture.

    Parameters
    ----------
    target : Target
    depth : float
        Of the dip in the light curve, a fraction.
    flux_column : str
        The light curve's; what its makers corrected for crowding is not corrected again.
    pixels : sequence of TargetPixels
        One for each sector.
    prfs : sequence
        For each of ``pixels`` the model of a star's image, the official models of its CCD, or None for the analytic
        one. Missing ones count as None.
    stars : sequence of FieldStar
        What a catalogue knows within a few pixels of the stamp, of one catalogue. The target alone is no catalogue.
    ratio : float, optional
        Light of the neighbours over that of the target, as the TESS Input Catalog has it: serves where pixels or
        neighbours are missing.
    crowding : mapping of sector to float, optional
        CROWDSAP of the light curves: what a corrected depth was divided by.
    shifts : sequence of (column, row), optional
        How far the stars of each of ``pixels`` lie from their catalogue places, in pixels.

    Returns
    -------
    Finding
        ``value`` is the target's share of the aperture's light, ``limit`` the depth of the dip in all that light:
        a target with less light than goes missing cannot be the host, and fails. A pass does not say that it is.
    Contamination or None
        None where the finding is ``not_run``.

    Notes
    -----
    Star j sends F_j = 10^(-0.4 T_j) sum(PRF_j) over the aperture, and has to lose d / f_j of its own light for the
    aperture to lose d, f_j = F_j / sum(F). Magnitudes of blended neighbours, saturated columns and light scattered
    farther than the PRF reaches are not in it.
    """
    if not (math.isfinite(depth) and depth > 0):
        return _not_run(f"few_points: no dip to weigh (depth {depth:g})"), None
    before = flux_column.upper() in CORRECTED
    why_not = (
        "no_pixels: no images of the field are at hand"
        if not pixels
        else "no_catalogue: no neighbours are known"
        if len(stars) < 2
        else ""
    )
    if not why_not:
        try:
            lights = _measure(target, pixels, prfs, stars, crowding or {}, shifts)
            return _judged(_weighed(depth, before, lights, stars))
        except UnusableData as error:
            why_not = f"no_pixels: {error}"
    if ratio is None or not (math.isfinite(ratio) and ratio >= 0):
        return _not_run(f"{why_not}; nor is there a contamination ratio"), None
    fraction = 1 / (1 + ratio)
    taken = _mean(list((crowding or {}).values())) or fraction
    return _judged(
        Contamination(
            "TIC contamination ratio",
            fraction,
            fraction,
            depth,
            before,
            *_depths(depth, before, fraction, taken),
            notes=(f"the contamination ratio of the TESS Input Catalog serves ({why_not.partition(': ')[2]})",),
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Lights:
    """The light of every star in the apertures of all sectors."""

    own: int  # which star is the target
    shares: Floats  # (sectors, stars) of each aperture's light
    apart: Floats  # (stars,) arcsec from the target
    sectors: tuple[ApertureLight, ...]
    notes: tuple[str, ...]


def _measure(
    target: Target,
    pixels: Sequence[TargetPixels],
    prfs: Sequence["Prf | PrfGrid | None"],
    stars: Sequence[FieldStar],
    crowding: Mapping[int, float],
    shifts: Sequence[tuple[float, float]],
) -> _Lights:
    from pipeline.pixels.prf import prf_of  # with scipy, which whoever only reads results need not load

    own = find_target(target, stars)
    if own is None:
        raise UnusableData("the target is not among the stars of the catalogue")
    magnitude = np.array([np.nan if star.tmag is None else star.tmag for star in stars])
    if not math.isfinite(magnitude[own]):
        raise UnusableData("the catalogue has no magnitude of the target")
    flux = np.where(np.isfinite(magnitude), 10 ** (-0.4 * (np.nan_to_num(magnitude) - magnitude[own])), 0.0)
    shares, sectors, notes = [], [], []
    for number, images in enumerate(pixels):
        prf = prf_of(images, prfs[number] if number < len(prfs) else None)
        moment = float(np.median(images.time))
        moved = shifts[number] if number < len(shifts) else (0.0, 0.0)
        wcs = wcs_of(images.wcs)
        place = np.array([pixel_of(wcs, *place_of(star, moment)) for star in stars]) + moved
        aperture, said = aperture_of(images, place[own])
        notes += [said] * bool(said)
        caught = _caught(prf, place, aperture) * flux
        total = float(caught.sum())
        if not caught[own] > 0:
            raise UnusableData("none of the target's light falls into the aperture")
        shares.append(caught / total)
        sector = images.product.sector
        sectors.append(
            ApertureLight(
                sector,
                float(caught[own] / total),
                float(caught[own]),
                None if sector is None else crowding.get(sector),
                int(aperture.sum()),
                prf.name,
                int((caught > 0).sum()),
            )
        )
    unknown = int((~np.isfinite(magnitude)).sum())
    notes += [f"{unknown} stars without a magnitude are left out"] * bool(unknown)
    middle = float(np.median([np.median(images.time) for images in pixels]))
    here = place_of(stars[own], middle)
    apart = np.array([separation(*here, *place_of(star, middle)) for star in stars])
    return _Lights(own, np.array(shares), apart, tuple(sectors), tuple(dict.fromkeys(notes)))


def _caught(prf: "Prf", place: Floats, aperture: Booleans) -> Floats:
    """Share of the light of each star that falls into the aperture, (n,)."""
    rows, columns = aperture.shape
    near = (
        (place[:, 0] > -REACH)
        & (place[:, 0] < columns - 1 + REACH)
        & (place[:, 1] > -REACH)
        & (place[:, 1] < rows - 1 + REACH)
    )
    caught = np.zeros(len(place))
    caught[near] = prf.images(place[near, 0], place[near, 1], (rows, columns))[:, aperture].sum(axis=1)
    return np.maximum(caught, 0.0)


def aperture_of(images: TargetPixels, place: Sequence[float]) -> tuple[Booleans, str]:
    """The aperture of the light curve, (rows, columns); around the target where the images have none, and so told."""
    if images.aperture.any():
        return images.aperture, ""
    rows, columns = images.aperture.shape
    row, column = np.mgrid[:rows, :columns]
    near = (np.abs(column - round(place[0])) <= 1) & (np.abs(row - round(place[1])) <= 1)
    return near, "the images have no aperture: 3 x 3 pixels around the target stand for it"


def find_target(target: Target, stars: Sequence[FieldStar]) -> int | None:
    """Which of the stars is the target: by its number, else the nearest within 3 arcsec of its place."""
    number = target.key.partition(" ")[0]
    for place, star in enumerate(stars):
        if star.kind == target.kind and star.key == number:
            return place
    ra, dec = target.star.ra, target.star.dec
    if ra is None or dec is None:
        return None
    apart = [separation(ra, dec, other.ra, other.dec) for other in stars]
    nearest = min(range(len(stars)), key=apart.__getitem__, default=None)
    return nearest if nearest is not None and apart[nearest] <= SAME_STAR else None


def _weighed(depth: float, before: bool, lights: _Lights, stars: Sequence[FieldStar]) -> Contamination:
    mean = lights.shares.mean(axis=0)
    fraction = float(mean[lights.own])
    divided = _mean([light.crowding for light in lights.sectors if light.crowding is not None])
    aperture_depth, own_depth, factor = _depths(depth, before, fraction, divided or fraction)
    with np.errstate(divide="ignore"):
        required = aperture_depth / mean
    hosts = required <= 1
    order = np.argsort(-mean, kind="stable")
    order = np.append(lights.own, order[order != lights.own])
    told = order[(hosts | (mean >= LEAST_SHARE))[order]][:TOLD_AT_MOST]
    if lights.own not in told:
        told = np.append(lights.own, told)
    return Contamination(
        "catalogue",
        fraction,
        float(lights.shares[:, lights.own].min()),
        depth,
        before,
        aperture_depth,
        own_depth,
        factor,
        lights.sectors,
        tuple(
            Share(
                stars[at].kind,
                stars[at].key,
                float(lights.apart[at]),
                stars[at].tmag,
                float(mean[at]),
                float(required[at]) if math.isfinite(required[at]) else None,
                bool(hosts[at]),
            )
            for at in told
        ),
        len(stars) - len(told),
        int(hosts.sum()) - int(hosts[lights.own]),
        lights.notes,
    )


def _depths(depth: float, before: bool, fraction: float, divided: float) -> tuple[float, float, float]:
    """Depth of all the light, depth of the target's own, and the factor of its radius; undiluted once, never twice."""
    if before:
        return depth * divided, depth, 1.0
    return depth, depth / fraction, 1 / math.sqrt(fraction)


def _judged(found: Contamination) -> tuple[Finding, Contamination]:
    ppm = 1e6
    said = (
        f"{found.fraction:.1%} of the light in the aperture is the target's ({found.source})"
        + (f", {found.least:.1%} in the worst of {len(found.sectors)} sectors" if len(found.sectors) > 1 else "")
        + (
            f"; its makers have taken the other light off the light curve: {found.depth * ppm:.0f} ppm are "
            f"{found.aperture_depth * ppm:.0f} ppm of all the light"
            if found.depth_corrected_before
            else f"; {found.depth * ppm:.0f} ppm of all the light are {found.own_depth * ppm:.0f} ppm of its own, "
            f"and its radius grows by {found.radius_factor:.3f}"
        )
    )
    others = [share for share in found.stars[1:] if share.possible_host]
    if others:
        first = others[0]
        said += (
            f"; {found.possible_hosts} other stars have light enough, {first.kind} {first.key} at "
            f"{first.separation:.1f} arcsec would lose {first.required_depth or 0:.1%}"
        )
    elif found.source == "catalogue":
        said += "; no other known star has light enough"
    if found.notes:
        said += "; " + "; ".join(found.notes)
    if not (math.isfinite(found.fraction) and math.isfinite(found.aperture_depth)):
        return Finding("contamination", Verdict.ERROR, None, None, None, f"share {found.fraction}"), found
    able = found.aperture_depth <= found.fraction
    if not able:
        said += ": more goes missing than the target sends, so it is not the host"
    verdict = Verdict.PASS if able else Verdict.FAIL
    return Finding("contamination", verdict, found.fraction, None, found.aperture_depth, said), found


def _not_run(reason: str) -> Finding:
    return Finding("contamination", Verdict.NOT_RUN, None, None, None, reason)


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value) and 0 < value <= 1]
    return sum(known) / len(known) if known else None
