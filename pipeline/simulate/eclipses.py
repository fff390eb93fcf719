"""Planets and binaries in front of their stars: orbits, limb darkening, the mean over an exposure.

Light lost behind a disc comes from exoplanet-core (``quad_solution_vector``, Agol et al. 2020, AJ 159, 123);
the orbit and the sampling are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import asin, atan2, ceil, cos, pi, sin, sqrt

import numpy as np
from exoplanet_core.numpy.ops import kepler, quad_solution_vector

from pipeline.types import Booleans, Floats

SUB_EXPOSURE = 30.0 / 86400  # days; a kink of the curve is then misplaced by less than 15 s


@dataclass(frozen=True, slots=True)
class Orbit:
    """Where the smaller body is, seen from the larger one, in radii of the larger one."""

    period: float  # days
    epoch: float  # BTJD of a transit centre (inferior conjunction)
    scaled_axis: float  # semi-major axis over the radius of the larger body
    impact: float = 0.0  # projected separation at the epoch, radii of the larger body
    eccentricity: float = 0.0
    periastron: float = pi / 2  # argument of periastron, radians

    @property
    def cos_inclination(self) -> float:
        return self.impact / self._separation(pi / 2)

    def _separation(self, argument: float) -> float:
        """Distance when periastron argument plus true anomaly is ``argument``, radii of the larger body."""
        e = self.eccentricity
        return self.scaled_axis * (1 - e**2) / (1 + e * cos(argument - self.periastron))

    def mean_anomaly(self, argument: float) -> float:
        """Mean anomaly when periastron argument plus true anomaly is ``argument``, radians."""
        e, f = self.eccentricity, argument - self.periastron
        eccentric = 2 * atan2(sqrt(1 - e) * sin(f / 2), sqrt(1 + e) * cos(f / 2))
        return eccentric - e * sin(eccentric)

    def superior_conjunction(self) -> float:
        """BTJD of the secondary eclipse that follows the epoch; light travel time is left out."""
        turn = (self.mean_anomaly(3 * pi / 2) - self.mean_anomaly(pi / 2)) % (2 * pi)
        return self.epoch + self.period * turn / (2 * pi)

    def position(self, time: Floats) -> tuple[Floats, Floats]:
        """Projected separation and line-of-sight coordinate (positive: in front), radii of the larger body."""
        turns = (time - self.epoch) / self.period
        anomaly = 2 * pi * (turns - np.round(turns)) + self.mean_anomaly(pi / 2)
        if self.eccentricity == 0:
            sin_f, cos_f = np.sin(anomaly), np.cos(anomaly)
        else:
            sin_f, cos_f = kepler(anomaly, np.full_like(anomaly, self.eccentricity))
        distance = self.scaled_axis * (1 - self.eccentricity**2) / (1 + self.eccentricity * cos_f)
        sin_w, cos_w = sin(self.periastron), cos(self.periastron)
        sin_argument = sin_w * cos_f + cos_w * sin_f
        cos_argument = cos_w * cos_f - sin_w * sin_f
        cos_i = self.cos_inclination
        across = distance * cos_argument
        along = distance * sin_argument
        return np.hypot(across, along * cos_i), along * sqrt(max(0.0, 1 - cos_i**2))

    def duration(self, radius_ratio: float, argument: float = pi / 2) -> float:
        """First to fourth contact, days (Winn 2010, arXiv:1001.2010, eqs. 14 and 16); 0 where the discs never touch."""
        separation = self._separation(argument)
        impact = separation * self.cos_inclination
        chord = (1 + radius_ratio) ** 2 - impact**2
        if chord <= 0:
            return 0.0
        e = self.eccentricity
        sine = sqrt(chord) / (self.scaled_axis * sqrt(1 - self.cos_inclination**2))
        slowness = sqrt(1 - e**2) / (1 + e * cos(argument - self.periastron))
        return self.period / pi * asin(min(1.0, sine)) * slowness

    def fastest(self) -> float:
        """Speed at periastron, radii of the larger body a day."""
        e = self.eccentricity
        return 2 * pi * self.scaled_axis / self.period * sqrt((1 + e) / (1 - e))


@dataclass(frozen=True, slots=True)
class Planet:
    """A dark planet on its orbit."""

    orbit: Orbit
    radius_ratio: float  # planet over star


@dataclass(frozen=True, slots=True)
class DetachedBinary:
    """Two stars that eclipse each other, with the light curve between eclipses in its two lowest harmonics."""

    orbit: Orbit  # epoch: mid-eclipse of the larger star
    radius_ratio: float  # smaller over larger star
    surface_brightness: float  # of the smaller star over the larger one
    ellipsoidal: float = 0.0  # semi-amplitude at half the period, fraction; faintest in the eclipses
    reflection: float = 0.0  # semi-amplitude at the period, fraction; faintest in the primary eclipse


@dataclass(frozen=True, slots=True)
class ContactBinary:
    """Two stars in contact: a smooth wave with two minima a period (Yu et al. 2019 count these as variables)."""

    period: float  # days
    epoch: float  # BTJD of the deeper minimum
    amplitude: float  # depth of the deeper minimum, fraction
    sharpness: float = 2.0  # power of |cos|; 2 is a sine wave, more makes the minima narrower
    minima_ratio: float = 1.0  # depth of the shallower minimum over the deeper


def disc(separation: Floats, radius_ratio: float, limb_darkening: tuple[float, float]) -> Floats:
    """Light left of a quadratically darkened disc behind a dark one.

    Parameters
    ----------
    separation : Floats, (n,)
        Between the centres, radii of the disc behind.
    radius_ratio : float
        Dark disc in front over disc behind; may exceed 1.
    limb_darkening : two floats
        u1 and u2 of the quadratic law.
    """
    u1, u2 = limb_darkening
    weights = np.array([1 - u1 - 1.5 * u2, u1 + 2 * u2, -0.25 * u2])
    weights /= pi * (weights[0] + weights[1] / 1.5)
    light = np.ones_like(separation)
    touching = separation < 1 + radius_ratio
    behind = np.ascontiguousarray(separation[touching])
    light[touching] = solution(behind, np.full_like(behind, radius_ratio)) @ weights
    return light


def solution(separation: Floats, radius_ratio: Floats) -> Floats:
    """Light left in each of the three terms of quadratic limb darkening, (n, 3), of pairs of discs, (n,)."""
    # within 3e-16 below equality exoplanet-core 0.3.1 misses 2 pi / 3 of the linear term; equality itself is right
    return quad_solution_vector(
        np.where(np.abs(separation - radius_ratio) < 1e-12, radius_ratio, separation),
        np.ascontiguousarray(radius_ratio),
    )


def exposure_mean(model: Callable[[Floats], Floats], time: Floats, exposure: float) -> Floats:
    """Mean of a model over each exposure: midpoint rule on sub-exposures of at most 30 s."""
    samples = max(1, ceil(exposure / SUB_EXPOSURE - 1e-9))
    offsets = exposure * ((np.arange(samples) + 0.5) / samples - 0.5)
    return model((time[:, None] + offsets).ravel()).reshape(time.size, samples).mean(axis=1)


def planet_light(
    planet: Planet, time: Floats, limb_darkening: tuple[float, float] = (0.0, 0.0), exposure: float = 0.0
) -> Floats:
    """Relative light of a star with one planet; exposures that no limb touches are 1 and cost nothing.

    Parameters
    ----------
    planet : Planet
    time : Floats, (n,)
        Middle of each exposure, BTJD.
    limb_darkening : two floats
    exposure : float
        Days; 0 gives the instantaneous light.
    """

    def instantaneous(moments: Floats) -> Floats:
        separation, front = planet.orbit.position(moments)
        return np.where(front > 0, disc(separation, planet.radius_ratio, limb_darkening), 1.0)

    light = np.ones_like(time)
    near = _near(planet.orbit, 1 + planet.radius_ratio, time, exposure, front_only=True)
    light[near] = exposure_mean(instantaneous, time[near], exposure)
    return light


def binary_light(
    binary: DetachedBinary, time: Floats, limb_darkening: tuple[float, float] = (0.0, 0.0), exposure: float = 0.0
) -> Floats:
    """Relative light of a detached binary, 1 far from the eclipses where no tide or reflection shows.

    Both stars share the limb darkening. Light travel time and relativity are left out.
    """
    ratio = binary.radius_ratio
    second = binary.surface_brightness * ratio**2  # light of the smaller star over that of the larger
    orbit = binary.orbit

    def eclipses(moments: Floats) -> Floats:
        separation, front = orbit.position(moments)
        larger = np.where(front > 0, disc(separation, ratio, limb_darkening), 1.0)
        smaller = np.where(front < 0, disc(separation / ratio, 1 / ratio, limb_darkening), 1.0)
        return (larger + second * smaller) / (1 + second)

    light = np.ones_like(time)
    near = _near(orbit, 1 + ratio, time, exposure, front_only=False)
    light[near] = exposure_mean(eclipses, time[near], exposure)
    if binary.ellipsoidal or binary.reflection:
        angle = 2 * pi * (time - orbit.epoch) / orbit.period
        light *= 1 - binary.ellipsoidal * np.cos(2 * angle) - binary.reflection * np.cos(angle)
    return light


def contact_light(binary: ContactBinary, time: Floats, exposure: float = 0.0) -> Floats:
    """Relative light of a contact binary: 1 - depth * |cos|**sharpness, the depth swinging between the two minima."""

    def wave(moments: Floats) -> Floats:
        angle = 2 * pi * (moments - binary.epoch) / binary.period
        middle, swing = (1 + binary.minima_ratio) / 2, (1 - binary.minima_ratio) / 2
        depth = binary.amplitude * (middle + swing * np.cos(angle))
        return 1 - depth * np.abs(np.cos(angle)) ** binary.sharpness

    # five samples integrate a wave of a few hours to a millionth of its amplitude
    if exposure == 0:
        return wave(time)
    offsets = exposure * (np.arange(5) - 2) / 5
    return wave((time[:, None] + offsets).ravel()).reshape(time.size, 5).mean(axis=1)


def _near(orbit: Orbit, reach: float, time: Floats, exposure: float, front_only: bool) -> Booleans:
    """Exposures during which the discs can touch."""
    separation, front = orbit.position(time)
    margin = orbit.fastest() * exposure / 2
    near = separation < reach + margin
    return near & (front > -margin) if front_only else near
