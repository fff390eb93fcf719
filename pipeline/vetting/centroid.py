"""The shift of the light's centre in transit: if another star dims, the light moves away from it."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import CleanedLightCurve, Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.transits import Transits

LEAST_TRANSITS = 2
ASSUMED = 40.0  # pseudo-folds that unit-normal shifts count for
LEAST_PSEUDO = 12  # pseudo-transits that the covariance is measured on
BLIND = (
    "flux-weighted centroids miss blends whose light is mostly outside the aperture, "
    "so where it comes from is unknown without pixels"
)


@dataclass(frozen=True, slots=True)
class Shift:
    """Of the light's centre, transit minus out of transit."""

    column: float  # pixels
    row: float
    column_err: float
    row_err: float
    chi_square: float  # two degrees of freedom, pseudo-transit covariance
    independent: float  # pseudo-folds behind that covariance
    transits: int


def centroid(case: Case) -> Finding:
    """Compare the flux-weighted centroid in transit with that beside it.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the distance, in arcsec, of what dims from the centre of the aperture's light; ``sigma`` the
        significance of the shift. Fails when the shift is sure and the distance more than ``centroid_pixels``:
        neighbours in the aperture pull the centre of light off the target, so a small distance proves nothing.

    Notes
    -----
    A source at distance r that dims the aperture by d moves the centre by -r d / (1 - d) (Bryson et al. 2013,
    PASP 125 889). The depth is that of the light curve; where that is corrected for crowding the distance comes out
    too small. A pass means that no shift was measured, never that the transit is on the target: the dip of
    TIC 126890217 lies 33 arcsec away and does not show here.
    """
    settings = case.settings
    limit = settings.centroid_sigma
    known = np.isfinite(case.cleaned.centroid_column) & np.isfinite(case.cleaned.centroid_row)
    if not known.any():
        return Finding("centroid", Verdict.NOT_RUN, None, None, limit, "no_pixels: the light curve has no centroids")
    if not case.depth > 0:
        return Finding("centroid", Verdict.NOT_RUN, None, None, limit, "few_points: no dip to compare with")
    shift = _shift(case, known)
    if isinstance(shift, str):
        return Finding("centroid", Verdict.NOT_RUN, None, None, limit, shift)
    pixel = pixel_arcsec(case.cleaned)
    lever = pixel * max(1 - case.depth, 0.0) / case.depth  # arcsec of distance for a pixel of shift
    distance = lever * math.hypot(shift.column, shift.row)
    distance_err = lever * math.sqrt(0.5 * (shift.column_err**2 + shift.row_err**2))
    sigma = _sigma(shift.chi_square, shift.independent)
    if not (math.isfinite(distance) and math.isfinite(sigma)):
        return Finding("centroid", Verdict.ERROR, None, None, limit, f"distance {distance}, sigma {sigma}")
    said = (
        f"shift in transit ({shift.column * 1e3:+.2f} +- {shift.column_err * 1e3:.2f}, {shift.row * 1e3:+.2f} +- "
        f"{shift.row_err * 1e3:.2f}) millipixel, {sigma:.1f} sigma over {shift.transits} transits; at this depth "
        f"the source is {distance:.1f} +- {distance_err:.1f} arcsec from the centre of the light"
    )
    if sigma > limit and distance > settings.centroid_pixels * pixel:
        return Finding("centroid", Verdict.FAIL, distance, sigma, limit, f"{said}: another star dims")
    if sigma > limit:
        said = f"{said}, within {settings.centroid_pixels:g} pixel, as neighbours in the aperture can cause"
    visible = 3.44 * distance_err  # 3 sigma in two dimensions
    return Finding(
        "centroid",
        Verdict.PASS,
        distance,
        sigma,
        limit,
        f"{said}; a source inside the aperture closer than {visible:.1f} arcsec would not have shown, and {BLIND}",
    )


def pixel_arcsec(cleaned: CleanedLightCurve) -> float:
    """Scale of the centroid columns: TESS 21 arcsec, Kepler and K2 3.98."""
    return 3.98 if any(product.mission in ("Kepler", "K2") for product in cleaned.products) else 21.0


def _shift(case: Case, known: np.ndarray) -> Shift | str:
    """Measure the shift along both axes, or say why not."""
    axes = [case.measure_series(values, known) for values in (case.cleaned.centroid_column, case.cleaned.centroid_row)]
    usable = axes[0].events.usable & axes[1].events.usable
    count = int(usable.sum())
    if count < LEAST_TRANSITS:
        return f"few_transits: {count} transits have centroids, {LEAST_TRANSITS} are needed"
    pseudo_count = int(axes[0].pseudo.usable.sum())
    if pseudo_count < LEAST_PSEUDO:
        return f"few_points: {pseudo_count} pseudo-transits have centroids, {LEAST_PSEUDO} are needed"
    means, errors = zip(*(axis.mean(usable) for axis in axes), strict=True)
    if not min(errors) > 0:
        return "few_points: the centroids do not vary at all"
    folds = [axis.pseudo.fold() for axis in axes]
    together = (folds[0][2] > 0) & (folds[1][2] > 0)
    z = [depth[together] / err[together] for depth, err, _ in folds]
    independent = axes[0].pseudo.independent * float(together.mean())
    wider = [noise.inflation(values, independent, ASSUMED) for values in z]
    correlation = _correlation(axes)
    error = [err * factor for err, factor in zip(errors, wider, strict=True)]
    # a depth is out of transit minus in transit: the shift in transit is its negative
    a, b = means[0] / error[0], means[1] / error[1]
    chi_square = (a * a + b * b - 2 * correlation * a * b) / (1 - correlation**2)
    pseudo_folds = max(independent, count_independent(axes[0]), 3.0)
    return Shift(-means[0], -means[1], error[0], error[1], chi_square, pseudo_folds, count)


def count_independent(transits: Transits) -> float:
    """Pseudo-events that do not overlap: what the scatter of one event is known from."""
    return float(transits.pseudo.usable.sum()) / (1.5 * noise.STEPS_PER_DURATION)


def _correlation(axes: list[Transits]) -> float:
    """Of the two axes' pseudo-events, held within 0.95."""
    both = axes[0].pseudo.usable & axes[1].pseudo.usable
    scaled = [axis.pseudo.depth[both] / np.sqrt(axis.pseudo.variance(axis.pseudo.white[both])) for axis in axes]
    clipped = [np.clip(values, -noise.CLIP, noise.CLIP) for values in scaled]
    power = float(np.mean(clipped[0] ** 2) * np.mean(clipped[1] ** 2))
    return float(np.clip(np.mean(clipped[0] * clipped[1]) / math.sqrt(power), -0.95, 0.95)) if power > 0 else 0.0


def _sigma(chi_square: float, folds: float) -> float:
    """Two-sided normal deviate of Hotelling's T-squared with two components from ``folds`` samples."""
    other = max(folds - 2, 1.0)
    f = chi_square * other / (2 * (other + 1))
    log_tail = -0.5 * other * math.log1p(2 * f / other)
    if log_tail < -600:
        return math.sqrt(-2 * log_tail)
    return -noise.NORMAL.inv_cdf(max(0.5 * math.exp(log_tail), 1e-300))
