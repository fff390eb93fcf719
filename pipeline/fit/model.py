"""The light of a star behind a transiting planet, averaged over exposures, for many sets of parameters at once.

A transit on a circular orbit is the same before and after its middle, so its running integral over half of it says
all: the mean over any exposure is the difference of two values of it. The integral is taken on Chebyshev points of the
ingress and of the part between the inner contacts, where the light is smooth, so that few points are exact.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev

from pipeline.simulate.eclipses import solution
from pipeline.types import Floats

# of each of the two pieces, by the largest radius ratio: 44 would give 1.3 ppm for k = 0.5 in exposures of 2 minutes
NODES = ((0.12, 28), (math.inf, 56))
GRAVITY = 6.6743e-8  # cm3 / (g s2); CODATA 2018
DAY = 86400.0  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Transits of circular orbits; every field is (w,)."""

    period: Floats  # days
    ratio: Floats  # radius of the planet over that of the star
    impact: Floats  # radii of the star, below 1 + ratio
    duration: Floats  # days, first to fourth contact, below half a period
    u1: Floats  # of the quadratic limb darkening
    u2: Floats

    @property
    def chord(self) -> Floats:
        """Square of the half chord that the planet's centre walks, radii of the star."""
        return (1 + self.ratio) ** 2 - self.impact**2

    @property
    def scaled_axis(self) -> Floats:
        """Semi-major axis over the star's radius (Winn 2010, arXiv:1001.2010, eq. 14 solved for it)."""
        return np.sqrt(self.impact**2 + self.chord / np.sin(np.pi * self.duration / self.period) ** 2)

    @property
    def density(self) -> Floats:
        """Of the star, g/cm3 (Seager & Mallén-Ornelas 2003, ApJ 585, 1038, eq. 19)."""
        return 3 * np.pi * self.scaled_axis**3 / (GRAVITY * (self.period * DAY) ** 2)

    @property
    def deepest(self) -> Floats:
        """Light lost in the middle of the transit, a fraction."""
        return _dims(self.impact[:, None], self)[:, 0]


def mean_dim(shapes: Shapes, since: Floats, width: Floats) -> Floats:
    """Light lost, averaged over exposures.

    Parameters
    ----------
    shapes : Shapes, w of them
    since : (w, ...)
        Days from the middle of the transit to the middle of each exposure.
    width : broadcastable to (...)
        Days of each exposure, positive.

    Returns
    -------
    (w, ...)
        Fraction of the star's light, 0 outside the transit.

    Notes
    -----
    Limb-darkened light of Agol et al. (2020, AJ 159, 123) as exoplanet-core has it; against batman it holds to 1 ppm
    for radius ratios to 0.5 at all impact parameters, exposures of 30 minutes included: see
    ``test_the_model_is_that_of_batman``.
    """
    half, inner, value, slope = _integral(shapes)
    flat = since.reshape(half.size, -1)
    wide = np.broadcast_to(width, since.shape[1:]).ravel()
    return _means(half, inner, value, slope, flat, wide).reshape(since.shape)


@njit(cache=True, error_model="numpy")
def _means(half, inner, value, slope, since, width):
    """Differences of the integral over the two ends of each exposure, over its width."""
    rows, columns = since.shape
    nodes = value.shape[2] - 1
    mean = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            middle, wide = since[row, column], width[column]
            if abs(middle) >= half[row] + 0.5 * wide:
                continue
            total = 0.0
            for side in (0.5, -0.5):
                end = middle + side * wide
                away = abs(end)
                if away < inner[row]:
                    piece, place = 0, away / inner[row]
                else:
                    piece, place = 1, min((away - inner[row]) / (half[row] - inner[row]), 1.0)
                angle = math.acos(1 - 2 * place) * (nodes / math.pi)
                cell = min(int(angle), nodes - 1)
                t = angle - cell
                low, high = value[row, piece, cell], value[row, piece, cell + 1]
                start, end_slope = slope[row, piece, cell], slope[row, piece, cell + 1]
                # the cubic through both values with both slopes
                step = high - low
                part = low + t * (start + t * (3 * step - 2 * start - end_slope + t * (start + end_slope - 2 * step)))
                total += math.copysign(part, side * end)
            mean[row, column] = total / wide
    return mean


def _integral(shapes: Shapes) -> tuple[Floats, Floats, Floats, Floats]:
    """Half duration and where the inner piece ends, (w,), and the integral and its slope at the nodes, (w, 2, n)."""
    at, weights, sine = _nodes(next(n for most, n in NODES if shapes.ratio.max() <= most))
    half = 0.5 * shapes.duration
    stretch = np.sin(2 * np.pi * half / shapes.period)
    inside = (1 - shapes.ratio) ** 2 - shapes.impact**2
    grazing = inside <= 1e-12
    share = np.sqrt(np.where(grazing, 0.25, inside) / shapes.chord)
    second = np.arcsin(np.minimum(share * stretch, 1.0)) * shapes.period / (2 * np.pi)
    inner: Floats = np.minimum(np.where(grazing, 0.5 * half, second), half * (1 - 1e-9))
    length = np.stack([inner, half - inner], axis=1)  # (w, 2)
    moment = np.array([0.0, 1.0])[:, None] * inner[:, None, None] + length[:, :, None] * at  # (w, 2, n)
    path = np.sin((2 * np.pi / shapes.period)[:, None, None] * moment) / stretch[:, None, None]
    separation = np.sqrt(shapes.impact[:, None, None] ** 2 + shapes.chord[:, None, None] * path**2)
    dims = _dims(separation.reshape(half.size, -1), shapes).reshape(moment.shape)
    value: Floats = length[:, :, None] * (dims @ weights.T)
    value[:, 1] += value[:, 0, -1:]
    return half, inner, value, dims * length[:, :, None] * sine


def _dims(separation: Floats, shapes: Shapes) -> Floats:
    """Light lost at each separation, (w, n)."""
    u1, u2, ratio = shapes.u1[:, None], shapes.u2[:, None], shapes.ratio[:, None]
    left = solution(separation.ravel(), np.broadcast_to(ratio, separation.shape).ravel()).reshape(*separation.shape, 3)
    light = (1 - u1 - 1.5 * u2) * left[..., 0] + (u1 + 2 * u2) * left[..., 1] - 0.25 * u2 * left[..., 2]
    dims = 1 - light / (np.pi * (1 - u1 / 3 - u2 / 6))
    return np.where(separation < 1 + ratio, dims, 0.0)


@lru_cache(maxsize=4)
def _nodes(number: int) -> tuple[Floats, Floats, Floats]:
    """Chebyshev points of 0..1, the matrix that integrates values there up to each of them, and d(point) / d(index)."""
    angle = np.pi * np.arange(number + 1) / number
    x = -np.cos(angle)
    coefficients = np.linalg.inv(chebyshev.chebvander(x, number))  # of a value at each point
    integrals = chebyshev.chebint(coefficients, lbnd=-1, axis=0)
    weights: Floats = np.asarray(0.5 * chebyshev.chebvander(x, number + 1) @ integrals, dtype=np.float64)
    return 0.5 * (1 + x), weights, 0.5 * np.sin(angle) * np.pi / number
