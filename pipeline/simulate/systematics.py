"""What the instrument does: ramps, recovery after dumps, scattered light, steps, pointing."""

from dataclasses import dataclass
from math import pi
from typing import Annotated

import numpy as np
from annotated_types import Ge

from pipeline.simulate.noise import red_noise
from pipeline.simulate.sector import Schedule
from pipeline.types import Floats


@dataclass(frozen=True, slots=True)
class Systematics:
    """Sizes of the instrument's effects on the simple aperture flux, fractions."""

    ramp: float = 2e-3  # at the start of an orbit, falling within half a day
    dump: float = 4e-3  # during a momentum dump
    dump_recovery: float = 3e-4  # left just after a dump, gone within an hour or two
    drift: float = 1e-3  # slow change within an orbit
    scattered: float = 1e-3  # hump at the end of an orbit
    step: float = 0.0  # a sudden drop of the pixel's sensitivity, once a sector
    residual: Annotated[float, Ge(0)] = 0.1  # share of all but the dump that PDC leaves in PDCSAP
    red_timescale: Annotated[float, Ge(0)] = 0.3  # days, of the red noise
    red_sigma: Annotated[float, Ge(0)] = 0.15  # of the red noise, in units of the one-hour noise


TYPICAL = Systematics()
NONE = Systematics(ramp=0, dump=0, dump_recovery=0, drift=0, scattered=0, step=0, red_sigma=0)


@dataclass(frozen=True, slots=True, eq=False)
class Disturbance:
    """What the instrument adds, relative to the star."""

    trend: Floats  # (n,) fraction; PDC removes most of it
    dump: Floats  # (n,) fraction, only during dumps
    background: Floats  # (n,) scattered light relative to the quiet background, 0 where there is none


def disturb(random: np.random.Generator, plan: Schedule, size: Systematics) -> Disturbance:
    """Draw the instrument's effects for one star and sector."""
    sign = random.choice([-1.0, 1.0], size=4)
    strength = random.uniform(0.5, 1.5, size=(4, 2))[:, plan.orbit]
    phase = random.uniform(0, 2 * pi, size=2)[plan.orbit]
    since, until = plan.since_orbit_start, plan.until_orbit_end
    hump = np.exp(-np.maximum(until, 0) / 0.25) * strength[3]
    trend = size.ramp * sign[0] * strength[0] * np.exp(-np.maximum(since, 0) / 0.4)
    trend += size.drift * strength[1] * np.sin(2 * pi * since / 18.0 + phase)
    trend += size.scattered * hump
    if size.step:
        trend -= size.step * (plan.time > random.uniform(plan.time[0] + 2, plan.time[-1] - 2))
    dump = np.zeros_like(trend)
    inside = (plan.quality & 32) != 0
    for start in plan.dumps:
        after = plan.time - start
        recent = (after >= 0) & (after < 0.5)
        trend[recent] += size.dump_recovery * sign[2] * np.exp(-after[recent] / 0.04)
    dump[inside] = -size.dump * random.uniform(0.3, 1.7, size=int(inside.sum()))
    return Disturbance(trend, dump, 4.0 * hump)


def pointing(random: np.random.Generator, plan: Schedule) -> tuple[Floats, Floats]:
    """Motion of the image, pixels in column and row: the same for all stars of a sector.

    A slow drift of 0.01 pixel and a jitter of 0.003 pixel at 2 minutes, as in genuine files of sectors 1 to 6;
    a momentum dump throws the star off by some 0.05 pixel.
    """
    motion = []
    for _ in range(2):
        slow = red_noise(random, len(plan), plan.exposure, 5.0, 0.008)
        jitter = random.standard_normal(len(plan)) * 0.003 * np.sqrt(120 / (plan.exposure * 86400))
        kick = np.where(plan.quality & 32, random.uniform(-0.08, 0.08, len(plan)), 0.0)
        motion.append(slow + jitter + kick)
    return motion[0], motion[1]
