"""What stars do of themselves: rotation with spots, pulsation, flares."""

from dataclasses import dataclass
from math import pi

import numpy as np

from pipeline.simulate.eclipses import exposure_mean
from pipeline.types import Floats


@dataclass(frozen=True, slots=True)
class Rotation:
    """Spots carried round by rotation: three harmonics whose amplitude beats with a second, slower spot group."""

    period: float  # days
    amplitude: float  # semi-amplitude of the first harmonic, fraction
    harmonics: tuple[float, float, float] = (1.0, 0.4, 0.15)  # relative amplitudes
    phases: tuple[float, float, float] = (0.0, 1.0, 2.0)  # radians
    shear: float = 0.05  # the second group's period is longer by this share
    second_group: float = 0.4  # its amplitude over the first group's


@dataclass(frozen=True, slots=True)
class Spot:
    """A dark spot that comes and goes, on a star that turns no slower or faster than at its latitude."""

    period: float  # days, of rotation at its latitude
    longitude: float  # radians, at time 0
    depth: float  # light it takes at most, fraction, facing us at its largest
    middle: float  # BTJD, when it is largest
    life: float  # days; it grows and fades as a Gaussian of this sigma
    tilt: float = 0.3  # sine of its latitude times the cosine of the inclination: over 0 it is seen longer


@dataclass(frozen=True, slots=True)
class Mode:
    """One pulsation mode."""

    period: float  # days
    amplitude: float  # semi-amplitude, fraction
    phase: float = 0.0  # radians


@dataclass(frozen=True, slots=True)
class Flare:
    """One flare."""

    peak_time: float  # BTJD
    amplitude: float  # fraction of the quiet flux
    width: float  # full width at half maximum, days


def rotation_light(rotation: Rotation, time: Floats) -> Floats:
    """Relative change of light by spots, 0 on average."""
    light = np.zeros_like(time)
    for order, (share, phase) in enumerate(zip(rotation.harmonics, rotation.phases, strict=True), start=1):
        angle = 2 * pi * order * time / rotation.period
        light += share * np.cos(angle + phase)
        light += share * rotation.second_group * np.cos(angle / (1 + rotation.shear) + 2 * phase)
    return rotation.amplitude * light


def spot_light(spots: tuple[Spot, ...], time: Floats) -> Floats:
    """Relative change of light by spots of finite life, each darkening as the cosine of its angle: 0 or below."""
    light = np.zeros_like(time)
    for spot in spots:
        size = spot.depth * np.exp(-0.5 * ((time - spot.middle) / spot.life) ** 2)
        facing = spot.tilt + (1 - spot.tilt) * np.cos(2 * pi * time / spot.period + spot.longitude)
        light -= size * np.maximum(facing, 0.0)
    return light


def pulsation_light(modes: tuple[Mode, ...], time: Floats, exposure: float = 0.0) -> Floats:
    """Relative change of light by pulsation, 0 on average; the mean over each exposure, which smears fast modes."""
    light = np.zeros_like(time)
    for mode in modes:
        amplitude = mode.amplitude * np.sinc(exposure / mode.period)
        light += amplitude * np.cos(2 * pi * time / mode.period + mode.phase)
    return light


def flare_light(flares: tuple[Flare, ...], time: Floats, exposure: float = 0.0) -> Floats:
    """Relative light added by flares, in the shape of Davenport et al. 2014 (arXiv:1411.3723, eqs. 1 and 4)."""
    light = np.zeros_like(time)
    for flare in flares:
        near = np.abs(time - flare.peak_time) < 20 * flare.width + exposure

        def shape(moments: Floats, flare: Flare = flare) -> Floats:
            t = (moments - flare.peak_time) / flare.width
            rise = 1 + 1.941 * t - 0.175 * t**2 - 2.246 * t**3 - 1.125 * t**4
            fall = 0.6890 * np.exp(-1.600 * np.maximum(t, 0)) + 0.3030 * np.exp(-0.2783 * np.maximum(t, 0))
            return np.where(t < -1, 0.0, np.where(t < 0, rise, fall))

        light[near] += flare.amplitude * exposure_mean(shape, time[near], exposure)
    return light


def draw_flares(
    random: np.random.Generator, start: float, stop: float, per_day: float, amplitude: float
) -> tuple[Flare, ...]:
    """Flares at random times; amplitudes by a power law of index -1.8 from ``amplitude`` up, widths growing with them.

    The median width is 0.01 d, so that the slow tail lasts the 0.05 d seen in TESS flare stars.
    """
    count = int(random.poisson(per_day * (stop - start)))
    times = np.sort(random.uniform(start, stop, count))
    sizes = amplitude * np.minimum((1 - random.random(count)) ** (-1 / 0.8), 30.0)
    widths = 0.008 * (sizes / amplitude) ** 0.25 * np.exp(0.3 * random.standard_normal(count))
    return tuple(Flare(float(t), float(a), float(w)) for t, a, w in zip(times, sizes, widths, strict=True))
