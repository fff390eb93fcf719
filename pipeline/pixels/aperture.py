"""The depth against the size of the aperture: constant if the dip is on the target, growing if it is beside it."""

import math

import numpy as np
from scipy.special import fdtrc

from pipeline.pixels.difference import DifferenceImages
from pipeline.pixels.evidence import ApertureDepths
from pipeline.pixels.offset import normal_sigma
from pipeline.types import Booleans, Floats
from pipeline.vetting.noise import normal_equivalent

RADII = (1.0, 1.5, 2.0, 2.5, 3.0)  # pixels
CORE, HALO = 1.5, 3.0  # pixels: the core ends, the ring around it ends


def aperture_depths(
    images: DifferenceImages, own: Floats, target: tuple[float, float], background: Floats | None
) -> ApertureDepths | str:
    """Measure the depth of the target's own light in growing apertures, and in core and halo.

    Parameters
    ----------
    images : DifferenceImages, p pixels
    own : Floats, (p,)
        e-/s of the target: the direct image without background and neighbours.
    target : column and row, pixels
    background : Floats, (p,), optional
        Estimator of the difference image's background.

    Returns
    -------
    ApertureDepths, or why there are none

    Notes
    -----
    Twicken et al. 2018 (PASP 130 064502) compare core and halo to tell ghosts and scattered light. The apertures
    share pixels and noise: their differences are judged by the covariance among pseudo-transits.
    """
    rows, columns = np.nonzero(images.valid)
    distance = np.hypot(columns - target[0], rows - target[1])
    level = np.zeros(own.size) if background is None else background

    def estimator(inside: Booleans) -> Floats | None:
        light = float(own[inside].sum())
        return (inside - inside.sum() * level) / light if inside.any() and light > 0 else None

    measured: list[tuple[float, Floats]] = []
    held = 0
    for radius in RADII:
        inside = distance <= radius
        one = estimator(inside)
        if one is not None and inside.sum() > held:
            measured.append((radius, one))
            held = int(inside.sum())
    core, halo = estimator(distance <= CORE), estimator((distance > CORE) & (distance <= HALO))
    if len(measured) < 2 or core is None or halo is None:
        return "few_points: too few pixels around the target hold its light"
    linear = np.stack([one for _, one in measured] + [core, halo])
    depth = linear @ images.difference
    covariance = images.covariance(linear)
    many = len(measured)
    contrast = np.eye(many)[:-1] - np.eye(many)[-1]
    between = contrast @ covariance[:many, :many] @ contrast.T
    change = contrast @ depth[:many]
    chi_square = float(change @ np.linalg.lstsq(between, change, rcond=1e-10)[0])
    freedom, others = images.independent, many - 1
    tail = float(fdtrc(others, freedom - others + 1, chi_square * (freedom - others + 1) / (freedom * others)))
    core_err, halo_err = np.sqrt(np.diag(covariance)[many:])
    mixed = covariance[many, many] + covariance[many + 1, many + 1] - 2 * covariance[many, many + 1]
    growth = float(depth[many + 1] - depth[many]) / math.sqrt(max(float(mixed), 1e-30))
    return ApertureDepths(
        radius=np.array([radius for radius, _ in measured]),
        depth=depth[:many],
        depth_err=np.sqrt(np.diag(covariance)[:many]),
        sigma=normal_sigma(math.log(max(tail, 1e-300))),
        core=float(depth[many]),
        core_err=float(core_err),
        halo=float(depth[many + 1]),
        halo_err=float(halo_err),
        halo_sigma=normal_equivalent(growth, freedom),
    )
