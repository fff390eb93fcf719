"""Stars of known kinds drawn at random: who lives in a simulated sector."""

from dataclasses import replace
from math import pi, sqrt

import numpy as np

from pipeline.simulate.eclipses import ContactBinary, DetachedBinary, Orbit, Planet
from pipeline.simulate.noise import one_hour_noise
from pipeline.simulate.sector import sector_start
from pipeline.simulate.seeds import stream
from pipeline.simulate.sky import Blend, Kind, SimulatedStar, surface_gravity
from pipeline.simulate.systematics import Systematics
from pipeline.simulate.variability import Mode, Rotation
from pipeline.types import Star

FIRST_KEY = 99_000_000_001  # ten times the longest real TIC number, so no real star is meant
EARTH_RADIUS = 0.0091577  # solar radii
OBSERVED_DAYS = 26.75  # of one sector, both orbits

# mass, radius (solar), Teff (K) along the main sequence, rounded; enough for durations that fit their stars
MAIN_SEQUENCE = np.array([
    (0.20, 0.22, 3200), (0.35, 0.36, 3450), (0.50, 0.49, 3750), (0.65, 0.64, 4250), (0.80, 0.77, 5000),
    (1.00, 1.00, 5770), (1.20, 1.25, 6200), (1.40, 1.50, 6700), (1.60, 1.70, 7300),
])  # fmt: skip
# Teff and quadratic u1, u2 in the TESS band: rounded, plausible values, not a table to fit real stars with
LIMB_DARKENING = np.array([
    (3200, 0.26, 0.32), (4250, 0.43, 0.20), (5000, 0.41, 0.19), (5770, 0.32, 0.24), (7300, 0.22, 0.29),
])  # fmt: skip


def draw_star(
    kind: Kind,
    key: str,
    seed: int,
    *,
    snr: tuple[float, float] = (12.0, 80.0),
    tmag: tuple[float, float] = (8.0, 12.0),
    periods: tuple[float, float] = (0.8, 9.0),
    sector: int = 1,
) -> SimulatedStar:
    """Draw one star of a kind; the same key and seed always give the same star.

    Parameters
    ----------
    kind : Kind
    key : str
        TIC number to wear.
    seed : int
    snr : two floats
        Range of the signal-to-noise of the first planet in one sector, log-uniform; its radius follows, within
        1 to 20 Earth radii, so that a faint dwarf's planet may fall outside the range.
    tmag : two floats
        Range of the magnitude, uniform.
    periods : two floats
        Range of planets' and detached binaries' periods, days, log-uniform; binaries from 1 d up.
    sector : int
        A sector in whose first period the epochs fall; orbits go on for ever.
    """
    random = stream(seed, "star", kind, key)
    mass = float(random.uniform(0.7, 1.3) if kind != "flaring" else random.uniform(0.2, 0.5))
    magnitude = float(random.uniform(*tmag))
    star = main_sequence(mass, magnitude, *_place(random))
    u1, u2 = (float(np.interp(dwarf_temperature(mass), LIMB_DARKENING[:, 0], LIMB_DARKENING[:, i])) for i in (1, 2))
    base = SimulatedStar(key=key, kind=kind, star=star, limb_darkening=(u1, u2))
    start = sector_start(sector)
    shortest = periods[0] if kind == "planet" else min(max(1.0, periods[0]), periods[1])
    period = float(np.exp(random.uniform(np.log(shortest), np.log(periods[1]))))
    epoch = start + float(random.uniform(0.0, 1.0)) * period
    match kind:
        case "planet":
            first = _planet(random, mass, magnitude, period, epoch, float(np.exp(random.uniform(*np.log(snr)))))
            planets = [first]
            if random.random() < 0.25:
                outer = period * float(random.uniform(1.6, 2.8))
                strength = float(np.exp(random.uniform(*np.log(snr)))) / 1.5
                planets.append(
                    _planet(random, mass, magnitude, outer, start + float(random.uniform(0, outer)), strength)
                )
            return replace(base, planets=tuple(planets))
        case "detached":
            return replace(base, binary=_detached(random, mass, period, epoch))
        case "contact":
            short = float(np.exp(random.uniform(np.log(0.25), np.log(0.7))))
            wave = ContactBinary(
                period=short,
                epoch=start + float(random.uniform(0, short)),
                amplitude=float(10 ** random.uniform(-1.8, -0.4)),
                sharpness=float(random.uniform(1.6, 3.0)),
                minima_ratio=float(random.uniform(0.75, 1.0)),
            )
            return replace(base, binary=wave)
        case "blend":
            # a third-light share that leaves a dip of some tenths of a percent, as a planet would
            binary = _detached(random, mass, period, epoch)
            angle = float(random.uniform(0, 2 * pi))
            distance = float(random.uniform(0.6, 2.0))
            blend = Blend(float(10 ** random.uniform(-2.0, -1.2)), distance * np.cos(angle), distance * np.sin(angle))
            return replace(base, binary=binary, blend=blend)
        case "rotation":
            return replace(base, rotation=_rotation(random, 10 ** random.uniform(-2.6, -1.5), (0.8, 12.0)))
        case "flaring":
            return replace(
                base,
                rotation=_rotation(random, 10 ** random.uniform(-2.3, -1.7), (0.5, 5.0)),
                flares_per_day=float(random.uniform(0.3, 1.2)),
                flare_amplitude=float(max(0.01, 3 * one_hour_noise(magnitude))),
            )
        case "pulsation":
            count = int(random.integers(1, 7))
            size = float(10 ** random.uniform(-3.2, -2.0))
            modes = tuple(
                Mode(
                    period=float(np.exp(random.uniform(np.log(0.06), np.log(0.6)))),
                    amplitude=size * float(random.uniform(0.2, 1.0)),
                    phase=float(random.uniform(0, 2 * pi)),
                )
                for _ in range(count)
            )
            return replace(base, modes=modes)
        case "systematics":
            grown = one_hour_noise(magnitude)
            rough = Systematics(
                ramp=8e-3,
                dump_recovery=6 * grown,
                drift=4e-3,
                scattered=5e-3,
                step=float(10 ** random.uniform(-3.0, -2.3)),
                residual=0.5,
                red_timescale=float(random.uniform(0.05, 0.8)),
                red_sigma=float(random.uniform(0.5, 2.0)),
            )
            return replace(base, systematics=rough)
        case _:
            return base


def main_sequence(mass: float, tmag: float, ra: float | None = None, dec: float | None = None) -> Star:
    """A dwarf of a mass (solar, 0.2 to 1.6), its radius, Teff and gravity interpolated along the main sequence."""
    radius = dwarf_radius(mass)
    teff = dwarf_temperature(mass)
    gravity = surface_gravity(mass, radius)
    return Star(tmag=tmag, teff=teff, logg=gravity, radius=radius, mass=mass, ra=ra, dec=dec)


def dwarf_radius(mass: float) -> float:
    """Radius of a dwarf, solar, from its mass."""
    return float(np.interp(mass, MAIN_SEQUENCE[:, 0], MAIN_SEQUENCE[:, 1]))


def dwarf_temperature(mass: float) -> float:
    """Effective temperature of a dwarf, K, from its mass, solar."""
    return float(np.interp(mass, MAIN_SEQUENCE[:, 0], MAIN_SEQUENCE[:, 2]))


def scaled_axis(period: float, mass: float, radius: float) -> float:
    """Semi-major axis over stellar radius by Kepler's third law; period in days, mass and radius solar."""
    return 4.2082 * (mass * period**2) ** (1 / 3) / radius


def _planet(random: np.random.Generator, mass: float, tmag: float, period: float, epoch: float, snr: float) -> Planet:
    """A planet on a circle, of the radius that gives the wanted signal-to-noise in one sector."""
    radius = dwarf_radius(mass)
    impact = float(random.uniform(0.0, 0.7))
    orbit = Orbit(period, epoch, scaled_axis(period, mass, radius), impact)
    hours_in_transit = 24 * orbit.duration(0.0) * OBSERVED_DAYS / period
    depth = snr * one_hour_noise(tmag) / sqrt(hours_in_transit)
    # mid-transit of a darkened disc is about a tenth deeper than the area; good enough to aim with
    ratio = sqrt(depth / 1.1)
    smallest, largest = (size * EARTH_RADIUS / radius for size in (1.0, 20.0))
    return Planet(orbit, float(np.clip(ratio, smallest, min(largest, 0.2))))


def _detached(random: np.random.Generator, mass: float, period: float, epoch: float) -> DetachedBinary:
    """A detached pair with a secondary eclipse; three in ten are eccentric where the orbit is wide."""
    ratio = float(random.uniform(0.25, 0.95))
    axis = scaled_axis(period, mass * (1 + ratio), dwarf_radius(mass))
    impact = float(random.uniform(0.0, 0.6 * (1 + ratio)))
    eccentric = period > 3 and random.random() < 0.3
    orbit = Orbit(
        period,
        epoch,
        axis,
        impact,
        eccentricity=float(random.uniform(0.05, 0.35)) if eccentric else 0.0,
        periastron=float(random.uniform(0, 2 * pi)) if eccentric else pi / 2,
    )
    return DetachedBinary(
        orbit=orbit,
        radius_ratio=ratio,
        surface_brightness=float(ratio ** random.uniform(1.0, 4.0)),
        ellipsoidal=float(1.2 * ratio / axis**3),  # of the order of mass ratio x (radius / axis)**3
        reflection=float(0.1 * ratio**2 / axis**2),
    )


def _rotation(random: np.random.Generator, amplitude: float, periods: tuple[float, float]) -> Rotation:
    phases = tuple(float(value) for value in random.uniform(0, 2 * pi, 3))
    return Rotation(
        period=float(np.exp(random.uniform(*np.log(periods)))),
        amplitude=float(amplitude),
        harmonics=(1.0, float(random.uniform(0.1, 0.6)), float(random.uniform(0.0, 0.25))),
        phases=(phases[0], phases[1], phases[2]),
        shear=float(random.uniform(0.02, 0.1)),
        second_group=float(random.uniform(0.1, 0.6)),
    )


def _place(random: np.random.Generator) -> tuple[float, float]:
    """Right ascension and declination, degrees, evenly over the southern ecliptic cap's surroundings."""
    return float(random.uniform(0, 360)), float(random.uniform(-80, -30))
