"""The place of the dip against the target's catalogue position: weighted least squares with a model of the star.

Linear errors at the best fit, pushed through pseudo-transit images, hold what drift does to a position; formal ones
do not. After Bryson et al. 2013 (PASP 125 889), who compare difference images with catalogue positions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.pixels.difference import DifferenceImages
from pipeline.pixels.evidence import PositionFit, SkyOffset, ZeroPoint
from pipeline.pixels.prf import Prf, slopes
from pipeline.types import Floats
from pipeline.vetting.noise import NORMAL

STARTS = (-2.0, 0.0, 2.0)  # pixels from the target, along both axes
MODEL_ERROR = 0.02  # of a star's light in a pixel: no model of its image is better
WING_ERROR = 0.002  # of all the stars' light, in any pixel: nor does one tell the far wings and spikes
MAGNITUDE_ERROR = 0.2  # fraction; colours and variability leave a catalogue's relative light this sure
FAINTER = 5.0  # magnitudes below the brightest on the stamp from which a star does not move the zero point
MOST_STARS = 40
FARTHEST = 1.5  # pixels of zero point; beyond, the field is not the one the catalogue tells
STEPS = 40


@dataclass(frozen=True, slots=True)
class Place:
    """A star on the stamp."""

    column: float  # pixels
    row: float
    tmag: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A fit with the estimator that its errors come from."""

    fit: PositionFit
    covariance: Floats  # (2, 2) square pixels, of column and row, from pseudo-transits
    background: Floats  # (p,) estimator of the background, linear in the difference image


def zero_point(images: DifferenceImages, places: Sequence[Place], prf: Prf) -> tuple[ZeroPoint, Floats] | str:
    """Fit all bright stars of the direct image at once, moved together.

    Parameters
    ----------
    images : DifferenceImages
    places : sequence of Place
        The target first; where the catalogue puts them.
    prf : Prf

    Returns
    -------
    ZeroPoint and the light of all stars but the target, (p,); or why there is none

    Notes
    -----
    Each star's light is free within ``MAGNITUDE_ERROR`` of what its magnitude says, on a common scale that is
    fitted; a target without a magnitude is free altogether, other stars without one are left out.
    """
    shape, valid = images.valid.shape, images.valid
    chosen = _bright(places, shape)
    column, row = (np.array([getattr(places[i], axis) for i in chosen]) for axis in ("column", "row"))
    relative = _relative([places[i] for i in chosen])
    shift = np.zeros(2)
    noise = images.direct_err
    prior = np.zeros(len(chosen))  # what the magnitudes say, e-/s; 0 is unknown
    light = np.zeros(len(chosen) + 1)
    model_noise = noise
    for step in range(STEPS):
        shapes = prf.images(column + shift[0], row + shift[1], shape)[:, valid]
        # first all stars on one scale, then each as the pixels say within the catalogue's error
        if step == 0:
            together = np.stack([relative @ shapes, np.ones(noise.size)])
            error = np.hypot(noise, WING_ERROR * float(np.abs(images.direct).sum()))
            scale = max(float(np.linalg.lstsq((together / error).T, images.direct / error, rcond=None)[0][0]), 0.0)
            prior = scale * relative
            if not scale > 0:
                return "not_converged: the direct image holds no light at the stars' places"
        by_column, by_row = (image[:, valid] for image in slopes(prf, column + shift[0], row + shift[1], shape))
        design = np.concatenate([shapes, np.ones((1, noise.size))])
        expected = prior @ shapes
        model_noise = np.sqrt(noise**2 + (MODEL_ERROR * expected) ** 2 + (WING_ERROR * expected.sum()) ** 2)
        light = _solve(design, images.direct, model_noise, prior)
        residual = images.direct - light @ design
        moving = np.stack([light[:-1] @ by_column, light[:-1] @ by_row])
        everything = np.concatenate([design, moving])
        update = _solve(everything, residual, model_noise, prior, centred=light[:-1])[-2:]
        shift = shift + np.clip(update, -0.5, 0.5)
        if not np.isfinite(shift).all() or np.abs(shift).max() > FARTHEST:
            return f"not_converged: the stars lie further than {FARTHEST:g} pixels from their catalogue places"
        if np.abs(update).max() < 1e-4:
            break
    else:
        return "not_converged: the zero point of the field wanders"
    scaled = everything / model_noise
    normal = scaled @ scaled.T + np.diag(_stiffness(prior, everything.shape[0]))
    degrees = max(noise.size - everything.shape[0], 1)
    chi_square = float(((residual / model_noise) ** 2).sum() / degrees)
    covariance = np.linalg.pinv(normal)[-2:, -2:] * chi_square
    column_err, row_err = np.sqrt(np.diag(covariance))
    others = light[1:-1] @ shapes[1:]
    found = ZeroPoint(
        column=float(shift[0]),
        row=float(shift[1]),
        column_err=float(column_err),
        row_err=float(row_err),
        correlation=float(covariance[0, 1] / (column_err * row_err)) if column_err * row_err > 0 else 0.0,
        stars=len(chosen),
        target_flux=float(light[0]),
        background=float(light[-1]),
        chi_square=chi_square,
    )
    return found, others


def locate(images: DifferenceImages, target: tuple[float, float], prf: Prf, mismatch: float = 0.0) -> Located | str:
    """Fit one star's image to the difference image, from nine starts.

    Parameters
    ----------
    images : DifferenceImages
    target : column and row of the target, pixels
    prf : Prf
    mismatch : float
        How much worse than ``MODEL_ERROR`` and ``WING_ERROR`` the model describes the direct image: the root of the
        zero point's chi-square. A deep dip's noise is that of the model.

    Returns
    -------
    Located, or why no place was found
    """
    shape, valid = images.valid.shape, images.valid
    starts = np.array(STARTS)
    place = np.stack([axis.ravel() for axis in np.meshgrid(target[0] + starts, target[1] + starts)])
    noise = images.noise
    for model_error in (0.0, mismatch):
        place = _descend(images.difference / noise, noise, place, prf, valid)
        stars = prf.images(place[0], place[1], shape)[:, valid]
        chi_square, amplitude, background = _given(images.difference / noise, noise, stars)
        chi_square = np.where(amplitude > 0, chi_square, np.inf)
        best = int(np.argmin(chi_square))
        if not np.isfinite(chi_square[best]):
            return "not_converged: no place on the stamp loses light in transit"
        light, star = amplitude[best], stars[best]
        if model_error == 0 and mismatch > 0:
            wrong = mismatch * light * np.hypot(MODEL_ERROR * star, WING_ERROR)
            noise = np.hypot(images.noise, wrong)
    column, row = place[:, [best]]
    by_column, by_row = (image[0, valid] for image in slopes(prf, column, row, shape))
    jacobian = np.stack([light * by_column, light * by_row, star, np.ones(star.size)]) / noise  # (4, p)
    normal = jacobian @ jacobian.T
    if not (np.isfinite(normal).all() and np.linalg.cond(normal) < 1e14):
        return "not_converged: the place of the dip is not determined"
    estimator = np.linalg.solve(normal, jacobian) / noise  # (4, p), what a difference image moves the fit by
    formal = np.linalg.inv(normal)
    covariance = images.covariance(estimator[:3])
    errors = np.sqrt(np.diag(covariance))
    fit = PositionFit(
        column=float(column[0]),
        row=float(row[0]),
        column_err=float(errors[0]),
        row_err=float(errors[1]),
        correlation=float(covariance[0, 1] / (errors[0] * errors[1])),
        amplitude=float(light),
        amplitude_err=float(errors[2]),
        background=float(background[best]),
        chi_square=float(chi_square[best] / max(star.size - 4, 1)),
        agreeing=int((np.abs(place - place[:, [best]]).max(axis=0) < 0.1).sum()),
        formal_err=math.sqrt(0.5 * float(formal[0, 0] + formal[1, 1])),
    )
    return Located(fit, covariance[:2, :2], estimator[3])


def sky_offset(difference: Floats, covariance: Floats, independent: float) -> SkyOffset:
    """Put an offset and its covariance, arcsec east and north, into words.

    Parameters
    ----------
    difference : Floats, (2,)
    covariance : Floats, (2, 2)
    independent : float
        Samples about zero behind the covariance.
    """
    errors = np.sqrt(np.diag(covariance))
    chi_square = float(difference @ np.linalg.solve(covariance, difference))
    return SkyOffset(
        east=float(difference[0]),
        north=float(difference[1]),
        east_err=float(errors[0]),
        north_err=float(errors[1]),
        correlation=float(covariance[0, 1] / (errors[0] * errors[1])),
        independent=float(independent),
        chi_square=chi_square,
        sigma=hotelling_sigma(chi_square, independent),
    )


def covariance_of(offset: SkyOffset) -> Floats:
    """The covariance of east and north, (2, 2) square arcsec."""
    mixed = offset.correlation * offset.east_err * offset.north_err
    return np.array([[offset.east_err**2, mixed], [mixed, offset.north_err**2]])


def hotelling_sigma(chi_square: float, independent: float) -> float:
    """Two-sided normal deviate of Hotelling's T-squared of two components.

    ``chi_square`` (v - 1) / (2 v) follows F(2, v - 1) for a covariance about zero from v samples, whose tail is
    (1 + chi_square / v) ** (-(v - 1) / 2).
    """
    freedom = max(independent, 2.0)
    return normal_sigma(-0.5 * (freedom - 1) * math.log1p(chi_square / freedom))


def normal_sigma(log_tail: float) -> float:
    """The two-sided normal deviate of a probability, given as its logarithm."""
    if log_tail < -600:
        return math.sqrt(-2 * log_tail)
    return max(-NORMAL.inv_cdf(max(0.5 * math.exp(min(log_tail, 0.0)), 1e-300)), 0.0)


def _bright(places: Sequence[Place], shape: tuple[int, int]) -> list[int]:
    """The target and the bright stars on the stamp and beside it, not more than ``MOST_STARS``."""
    near = [
        (place.tmag, i)
        for i, place in enumerate(places)
        if i > 0 and place.tmag is not None and -2 <= place.column <= shape[1] + 1 and -2 <= place.row <= shape[0] + 1
    ]
    target = places[0].tmag
    if target is None:
        return [0]  # nothing to scale the others by
    near.sort()
    faintest = min([target, *(tmag for tmag, _ in near)]) + FAINTER
    faintest = max(faintest, target + FAINTER)
    return [0, *(i for tmag, i in near[: MOST_STARS - 1] if tmag <= faintest)]


def _relative(places: Sequence[Place]) -> Floats:
    target = places[0].tmag
    if target is None:
        return np.ones(1)
    return np.array([10 ** (-0.4 * (place.tmag - target)) for place in places if place.tmag is not None])


def _stiffness(prior: Floats, size: int) -> Floats:
    """What the magnitudes weigh on the diagonal of the normal matrix; nothing where one star is all."""
    weight = np.zeros(size)
    if prior.size > 1:
        weight[: prior.size] = 1 / (MAGNITUDE_ERROR * prior) ** 2
    return weight


def _solve(design: Floats, data: Floats, noise: Floats, prior: Floats, centred: Floats | None = None) -> Floats:
    """Weighted least squares, the stars' light drawn to what their magnitudes say."""
    scaled = design / noise
    stiff = _stiffness(prior, design.shape[0])
    normal = scaled @ scaled.T + np.diag(stiff)
    pull = np.zeros(design.shape[0])
    pull[: prior.size] = stiff[: prior.size] * (prior if centred is None else prior - centred)
    units = np.sqrt(np.maximum(np.diag(normal), 1e-300))
    solved = np.linalg.lstsq(normal / np.outer(units, units), (scaled @ (data / noise) + pull) / units, rcond=1e-12)[0]
    return solved / units


def _given(data: Floats, noise: Floats, stars: Floats) -> tuple[Floats, Floats, Floats]:
    """Best amplitude and background for each star image: chi-square, amplitude, background, (n,) each."""
    a, b = stars / noise, 1 / noise
    aa, ab, bb = (a * a).sum(axis=1), a @ b, float(b @ b)
    ad, bd = a @ data, float(b @ data)
    determinant = np.maximum(aa * bb - ab**2, 1e-12 * aa * bb + 1e-300)
    amplitude = (ad * bb - bd * ab) / determinant
    background = (bd * aa - ad * ab) / determinant
    residual = data - amplitude[:, None] * a - background[:, None] * b
    return (residual**2).sum(axis=1), amplitude, background


def _descend(data: Floats, noise: Floats, place: Floats, prf: Prf, valid: np.ndarray) -> Floats:
    """Levenberg-Marquardt on the place alone, amplitude and background solved for at each; all starts at once."""
    shape = valid.shape
    damping = np.full(place.shape[1], 1e-2)
    stars = prf.images(place[0], place[1], shape)[:, valid]
    chi_square, amplitude, _ = _given(data, noise, stars)
    floor = np.array([[-1.0], [-1.0]])
    ceiling = np.array([[float(shape[1])], [float(shape[0])]])
    for _ in range(STEPS):
        background = np.stack([stars / noise, np.broadcast_to(1 / noise, stars.shape)], axis=1)  # (n, 2, p)
        moving = np.stack([image[:, valid] for image in slopes(prf, place[0], place[1], shape)], axis=1) / noise
        moving = moving * amplitude[:, None, None]
        # what amplitude and background can do is not the place's to explain
        basis = np.linalg.qr(background.transpose(0, 2, 1))[0]  # (n, p, 2)
        moving = moving - (moving @ basis) @ basis.transpose(0, 2, 1)
        residual = data - (data @ basis)[:, None, :] @ basis.transpose(0, 2, 1)
        gradient = (moving @ residual.transpose(0, 2, 1))[:, :, 0]
        normal = moving @ moving.transpose(0, 2, 1)
        trace = np.maximum(np.trace(normal, axis1=1, axis2=2), 1e-300)
        damped = normal + (damping * trace)[:, None, None] * np.eye(2)
        step = np.linalg.solve(damped, gradient[:, :, None])[:, :, 0].T
        trial = np.clip(place + np.clip(step, -1.0, 1.0), floor, ceiling)
        trial_stars = prf.images(trial[0], trial[1], shape)[:, valid]
        trial_chi, trial_amplitude, _ = _given(data, noise, trial_stars)
        better = trial_chi < chi_square
        moved = np.abs(trial - place).max(axis=0)
        place = np.where(better, trial, place)
        stars = np.where(better[:, None], trial_stars, stars)
        chi_square = np.where(better, trial_chi, chi_square)
        amplitude = np.where(better, trial_amplitude, amplitude)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e9)
        if (moved < 1e-4).all():
            break
    return place
