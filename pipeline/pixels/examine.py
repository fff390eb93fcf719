"""The pixels of one signal: where the dip is, which star holds it, and how it changes with the aperture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.pixels.aperture import aperture_depths
from pipeline.pixels.combine import DISAGREE, combine
from pipeline.pixels.difference import DifferenceImages, difference_images
from pipeline.pixels.evidence import (
    ApertureDepths,
    HostStar,
    PixelEvidence,
    PlacedStar,
    PositionFit,
    SectorPixels,
    SkyOffset,
    ZeroPoint,
)
from pipeline.pixels.host import hosts
from pipeline.pixels.offset import Place, locate, sky_offset, zero_point
from pipeline.pixels.prf import Prf, PrfGrid, prf_of
from pipeline.pixels.settings import PixelSettings
from pipeline.sky import pixel_of, place_of, scale_at, tangent, wcs_of
from pipeline.types import FieldStar, Finding, Floats, TargetPixels, TransitSignal, Verdict

VERSION = 1
TESTS = ("pixel_offset", "host", "aperture_depth", "ghost", "sector_offsets")

__all__ = ["TESTS", "VERSION", "PixelSettings", "examine"]


Looked = tuple[SectorPixels, ApertureDepths | str]  # a sector and its apertures, or why there are none


def examine(
    pixels: Sequence[TargetPixels],
    signal: TransitSignal,
    stars: Sequence[FieldStar],
    settings: PixelSettings = PixelSettings(),
    prf: Sequence[Prf | PrfGrid | None] = (),
    required_depth: Mapping[str, float] | None = None,
) -> PixelEvidence:
    """Look for the dip in the pixels of every sector.

    Parameters
    ----------
    pixels : sequence of TargetPixels
        One for each sector, or none.
    signal : TransitSignal
    stars : sequence of FieldStar
        The target first, then its neighbours.
    settings : PixelSettings
    prf : sequence
        For each of ``pixels`` the model of a star's image, the official models of its CCD, or None for the analytic
        fallback. Missing ones count as None.
    required_depth : mapping of star name ("TIC 123") to fraction, optional
        From a contamination table: the depth each star would need. Otherwise the light that goes missing is compared
        with the star's.

    Returns
    -------
    PixelEvidence
        A finding for each of ``TESTS``. An offset that could not be measured is None, never 0, and its findings say
        ``not_run`` with a reason code.
    """
    if not pixels:
        return _nothing("no_pixels: no pixel file of this star is at hand")
    if not stars:
        return _nothing("no_catalogue: the position of the target is not known")
    given = [*prf, *[None] * (len(pixels) - len(prf))]
    looked = [_look(one, signal, stars, settings, prf_of(one, its)) for one, its in zip(pixels, given, strict=True)]
    transits = sum(sector.transits for sector, _ in looked)
    if transits < settings.min_transits:
        few = f"few_transits: {transits} transits are well covered by pixels, {settings.min_transits} are needed"
        looked = [(replace(sector, offset=None, reason=sector.reason or few), few) for sector, _ in looked]
    used = [(sector, sector.offset, sector.fit) for sector, _ in looked if sector.offset and sector.fit]
    offset: SkyOffset | None = None
    between: float | None = None
    disagreement: float | None = None
    elsewhere: float | None = None
    held: tuple[HostStar, ...] = ()
    if used:
        offset, between, disagreement = combine([one for _, one, _ in used])
        best = max(used, key=lambda one: one[2].snr)[0]
        held, elsewhere = hosts(
            offset,
            [best.stars[0], *(star for star in best.stars[1:] if _on(star, best))],
            float(np.mean([fit.amplitude for _, _, fit in used])),
            best.pixel_arcsec,
            float(best.valid.sum()) * best.pixel_arcsec**2,
            required_depth or {},
        )
    reasons = "; ".join(dict.fromkeys(sector.reason for sector, _ in looked if sector.reason))
    sectors = tuple(sector for sector, _ in looked)
    findings = (
        _offset_finding(offset, sectors, reasons, settings),
        _host_finding(held, elsewhere, sectors[0].stars[0].name, reasons, settings),
        *_aperture_findings([depths for _, depths in looked], settings),
        _sectors_finding(between, disagreement, len(used)),
    )
    apertures = tuple(None if isinstance(depths, str) else depths for _, depths in looked)
    return PixelEvidence(findings, sectors, offset, between, disagreement, held, elsewhere, apertures, _notes(sectors))


def _look(
    pixels: TargetPixels, signal: TransitSignal, stars: Sequence[FieldStar], settings: PixelSettings, prf: Prf
) -> Looked:
    """Measure one sector as far as it goes."""
    images = difference_images(pixels, signal)
    middle = float(np.nanmedian(pixels.time)) if isinstance(images, str) else images.time
    sector = _placed(pixels, stars, prf, middle)
    reason = _saturated(stars[0], pixels, settings) or _edge(sector, settings)
    if isinstance(images, str):
        return replace(sector, reason=reason or images), reason or images
    direct, difference, noise = (_image(values, images) for values in (images.direct, images.difference, images.noise))
    sector = replace(
        sector,
        valid=images.valid,
        direct=direct,
        difference=difference,
        noise=noise,
        transits=images.transits,
        shifts=images.shifts,
        independent=images.independent,
        reason=reason,
    )
    if reason:
        return sector, reason
    zero = zero_point(images, [Place(star.column, star.row, star.tmag) for star in sector.stars], prf)
    if isinstance(zero, str):
        return replace(sector, reason=zero), zero
    point, others = zero
    sector = replace(
        sector,
        zero_point=point,
        target_column=sector.target_column + point.column,
        target_row=sector.target_row + point.row,
        stars=tuple(_lit(star, sector.stars[0], point) for star in sector.stars),
    )
    target = (sector.target_column, sector.target_row)
    found = locate(images, target, prf, point.chi_square**0.5)
    own = images.direct - point.background - others
    apertures = aperture_depths(images, own, target, None if isinstance(found, str) else found.background)
    if isinstance(found, str):
        return replace(sector, reason=found), apertures
    fit = found.fit
    reason = _unsure(fit, images, settings)
    if reason:
        return replace(sector, fit=fit, reason=reason), apertures
    mixed = point.correlation * point.column_err * point.row_err
    covariance = found.covariance + np.array([[point.column_err**2, mixed], [mixed, point.row_err**2]])
    covariance = sector.sky @ covariance @ sector.sky.T
    apart = sector.sky @ np.array([fit.column - target[0], fit.row - target[1]])
    if not (np.isfinite(apart).all() and np.isfinite(covariance).all() and np.linalg.det(covariance) > 0):
        return replace(sector, fit=fit, reason="not_converged: the offset has no finite error"), apertures
    offset = sky_offset(apart, covariance, images.independent)
    expected = point.target_flux * signal.depth
    if fit.amplitude < settings.amplitude_share * expected and offset.sigma <= settings.offset_sigma:
        reason = (
            f"not_converged: {fit.amplitude:.2f} e-/s go missing at the target, where depth times its light is "
            f"{expected:.2f}: the dip of the light curve is not seen"
        )
        return replace(sector, fit=fit, reason=reason), apertures
    return replace(sector, fit=fit, offset=offset), apertures


def _placed(pixels: TargetPixels, stars: Sequence[FieldStar], prf: Prf, btjd: float) -> SectorPixels:
    """The stars where the catalogue and the file's WCS put them, before anything is measured."""
    wcs = wcs_of(pixels.wcs)
    positions = [place_of(star, btjd) for star in stars]
    at = [pixel_of(wcs, ra, dec) for ra, dec in positions]
    around = [tangent(ra, dec, *positions[0]) for ra, dec in positions]
    sky = scale_at(wcs, *at[0])
    return SectorPixels(
        product=pixels.product,
        prf=prf.name,
        valid=np.zeros(pixels.aperture.shape, dtype=np.bool_),
        direct=None,
        difference=None,
        noise=None,
        transits=0,
        shifts=0,
        independent=0.0,
        pixel_arcsec=float(abs(np.linalg.det(sky)) ** 0.5),
        sky=sky,
        target_column=at[0][0],
        target_row=at[0][1],
        stars=tuple(
            PlacedStar(star.kind, star.key, star.tmag, *place, *apart, None)
            for star, place, apart in zip(stars, at, around, strict=True)
        ),
        zero_point=None,
        fit=None,
        offset=None,
        reason="",
    )


def _lit(star: PlacedStar, target: PlacedStar, point: ZeroPoint) -> PlacedStar:
    """The star with the zero point applied, and its light by the target's."""
    flux = None
    if star is target:
        flux = point.target_flux
    elif star.tmag is not None and target.tmag is not None:
        flux = point.target_flux * 10 ** (-0.4 * (star.tmag - target.tmag))
    return replace(star, column=star.column + point.column, row=star.row + point.row, flux=flux)


def _image(values: Floats, images: DifferenceImages) -> Floats:
    image = np.zeros(images.valid.shape)
    image[images.valid] = values
    return image


def _on(star: PlacedStar, sector: SectorPixels) -> bool:
    """Whether a star is on the stamp or within a pixel of it."""
    rows, columns = sector.valid.shape
    return -1.5 <= star.column <= columns + 0.5 and -1.5 <= star.row <= rows + 0.5


def _saturated(target: FieldStar, pixels: TargetPixels, settings: PixelSettings) -> str:
    kepler = pixels.product.mission in ("Kepler", "K2")
    limit = settings.saturated_kepler if kepler else settings.saturated_tmag
    if target.tmag is None or target.tmag >= limit:
        return ""
    return f"saturated: magnitude {target.tmag:.1f} is brighter than {limit:g}, where pixels bleed"


def _edge(sector: SectorPixels, settings: PixelSettings) -> str:
    rows, columns = sector.valid.shape
    column, row = sector.target_column, sector.target_row
    inside = min(column + 0.5, columns - 0.5 - column, row + 0.5, rows - 0.5 - row)
    if inside >= settings.edge_pixels:
        return ""
    return f"edge: the target is {inside:.1f} pixels inside the stamp, {settings.edge_pixels:g} are needed"


def _unsure(fit: PositionFit, images: DifferenceImages, settings: PixelSettings) -> str:
    """Why the place of a dip is not to be believed; empty if it is."""
    rows, columns = images.valid.shape
    if not fit.snr >= settings.min_snr:
        return (
            f"not_converged: the dip in the difference image has a signal-to-noise of {fit.snr:.1f}, "
            f"{settings.min_snr:g} are needed"
        )
    if not (-0.5 <= fit.column <= columns - 0.5 and -0.5 <= fit.row <= rows - 0.5):
        return "edge: what dims lies beyond the stamp"
    if not fit.chi_square <= settings.largest_chi_square:
        return (
            f"not_converged: no single star explains the difference image, reduced chi-square {fit.chi_square:.1f}, "
            f"at most {settings.largest_chi_square:g}"
        )
    return ""


def _not_run(test: str, limit: float | None, reason: str) -> Finding:
    return Finding(test, Verdict.NOT_RUN, None, None, limit, reason)


def _nothing(reason: str) -> PixelEvidence:
    findings = tuple(_not_run(test, None, reason) for test in TESTS)
    return PixelEvidence(findings, (), None, None, None, (), None, (), (reason,))


def _offset_finding(
    offset: SkyOffset | None, sectors: Sequence[SectorPixels], reasons: str, settings: PixelSettings
) -> Finding:
    limit = settings.offset_sigma
    if offset is None:
        return _not_run("pixel_offset", limit, reasons)
    used = [sector for sector in sectors if sector.offset is not None]
    pixel = used[0].pixel_arcsec
    long, short, angle = offset.ellipse
    said = (
        f"what dims lies {offset.arcsec:.2f} +- {offset.arcsec_err:.2f} arcsec ({offset.arcsec / pixel:.2f} px) from "
        f"{sectors[0].stars[0].name}: {offset.east:+.2f} east, {offset.north:+.2f} north, {offset.sigma:.1f} sigma; "
        f"ellipse {long:.2f} x {short:.2f} arcsec at {angle:.0f} degrees, {sum(s.transits for s in used)} transits in "
        f"{len(used)} of {len(sectors)} sectors, {offset.independent:.0f} independent pseudo-transits"
    )
    far = offset.arcsec > settings.offset_pixels * pixel
    if offset.sigma > limit and not far:
        said = f"{said}; within {settings.offset_pixels:g} pixel, which no model of the star's image can tell"
    failed = offset.sigma > limit and far
    return Finding("pixel_offset", Verdict.FAIL if failed else Verdict.PASS, offset.arcsec, offset.sigma, limit, said)


def _host_finding(
    held: Sequence[HostStar], elsewhere: float | None, target: str, reasons: str, settings: PixelSettings
) -> Finding:
    """``value`` is the probability that the target holds the dip."""
    limit = settings.host_odds
    if not held or elsewhere is None:
        return _not_run("host", limit, reasons)
    own = next(star.probability for star in held if star.name == target)
    best = held[0]
    rival = max(elsewhere, *(star.probability for star in held if star.name != target), 0.0)
    name = "no listed star" if elsewhere >= rival else next(s.name for s in held if s.name != target)
    said = f"the target holds the dip with a probability of {own:.3g}; next is {name} with {rival:.3g}"
    if own < rival and name == best.name:
        needed = "unknown" if best.required_depth is None else f"{best.required_depth:.3g}"
        said = f"{said}, {best.separation:.1f} arcsec away, which must dim by {needed} of its light"
    failed = rival > limit * own
    return Finding("host", Verdict.FAIL if failed else Verdict.PASS, own, None, limit, said)


def _aperture_findings(depths: Sequence[ApertureDepths | str], settings: PixelSettings) -> tuple[Finding, Finding]:
    """The worst sector of each."""
    limit = settings.aperture_sigma
    measured = [one for one in depths if not isinstance(one, str)]
    known = [one for one in measured if np.isfinite([one.sigma, one.halo_sigma, *one.depth]).all()]
    seen = [one for one in known if one.sigma > limit or one.halo_sigma > limit or _shows(one)]
    if known and not seen:
        unseen = "not_converged: no aperture around the target shows the dip at 3 sigma"
        return _not_run("aperture_depth", limit, unseen), _not_run("ghost", limit, unseen)
    known = seen
    if not known:
        missing = "; ".join(dict.fromkeys(one for one in depths if isinstance(one, str)))
        if not measured:
            return _not_run("aperture_depth", limit, missing), _not_run("ghost", limit, missing)
        broken = "the depths in the apertures are not numbers"
        return (
            Finding("aperture_depth", Verdict.ERROR, None, None, limit, broken),
            Finding("ghost", Verdict.ERROR, None, None, limit, broken),
        )
    worst = max(known, key=lambda one: one.sigma)
    ratio = _ratio(worst.depth[-1], worst.depth[0])
    listed = ", ".join(
        f"{d * 1e6:.0f} +- {e * 1e6:.0f} ppm within {r:g} px"
        for r, d, e in zip(worst.radius, worst.depth, worst.depth_err, strict=True)
    )
    uneven = worst.sigma > limit and not 1 / settings.aperture_ratio <= ratio <= settings.aperture_ratio
    halo = max(known, key=lambda one: one.halo_sigma)
    ghost_ratio = _ratio(halo.halo, halo.core)
    ghost = halo.halo_sigma > limit and ghost_ratio > settings.aperture_ratio
    return (
        Finding(
            "aperture_depth",
            Verdict.FAIL if uneven else Verdict.PASS,
            ratio,
            worst.sigma,
            limit,
            f"depth of the target's own light: {listed}; they differ by {worst.sigma:.1f} sigma",
        ),
        Finding(
            "ghost",
            Verdict.FAIL if ghost else Verdict.PASS,
            ghost_ratio,
            halo.halo_sigma,
            limit,
            f"depth {halo.halo * 1e6:.0f} +- {halo.halo_err * 1e6:.0f} ppm in the ring around the target, "
            f"{halo.core * 1e6:.0f} +- {halo.core_err * 1e6:.0f} in its core, {halo.halo_sigma:+.1f} sigma deeper",
        ),
    )


def _shows(one: ApertureDepths) -> bool:
    return bool((one.depth > 3 * one.depth_err).any())


def _ratio(above: float, below: float) -> float:
    """Of two depths, held within a thousand: a core without a dip has no ratio."""
    return float(np.clip(above / below if below > 0 else 1e3, -1e3, 1e3))


def _sectors_finding(between: float | None, sigma: float | None, count: int) -> Finding:
    if between is None or sigma is None:
        return _not_run("sector_offsets", DISAGREE, f"few_points: an offset in {count} of the sectors, 2 are needed")
    failed = sigma > DISAGREE
    return Finding(
        "sector_offsets",
        Verdict.FAIL if failed else Verdict.PASS,
        between,
        sigma,
        DISAGREE,
        f"the offsets of {count} sectors scatter with a reduced chi-square of {between:.2f}, {sigma:+.1f} sigma"
        + (": their common error was widened by it" if failed else ""),
    )


def _notes(sectors: Sequence[SectorPixels]) -> tuple[str, ...]:
    said = []
    for sector in sectors:
        name = "pixels" if sector.product.sector is None else f"sector {sector.product.sector}"
        said.append(f"{name}: the image of a star is {sector.prf}")
        if sector.reason:
            said.append(f"{name} is not used: {sector.reason}")
    return tuple(said)
