"""Stars to learn from: kinds, sizes and faults drawn far wider than any sector holds them.

`population.draw_star` makes a plausible sector to hunt in; here every kind is drawn flat over what it may be, so that
a network meets the rare ones too. How often each occurs is put right afterwards, by the prior a probability is
stated for.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import log10, pi, sqrt
from types import MappingProxyType

import numpy as np

from pipeline.simulate.eclipses import ContactBinary, DetachedBinary, Orbit, Planet
from pipeline.simulate.noise import one_hour_noise
from pipeline.simulate.population import EARTH_RADIUS, LIMB_DARKENING, OBSERVED_DAYS, main_sequence, scaled_axis
from pipeline.simulate.sector import sector_start
from pipeline.simulate.seeds import stream
from pipeline.simulate.sky import Blend, Kind, SimulatedStar, surface_gravity
from pipeline.simulate.systematics import Systematics
from pipeline.simulate.variability import Mode, Rotation

VARIETY: Mapping[Kind, float] = MappingProxyType({
    "planet": 0.20,
    "detached": 0.17,
    "contact": 0.10,
    "blend": 0.08,
    "rotation": 0.14,
    "pulsation": 0.13,
    "flaring": 0.03,
    "systematics": 0.13,
    "quiet": 0.02,
})  # fmt: skip
WORTH_SEARCHING = 6.0  # white-noise S/N in one sector below which a planet is drawn again: it would not be found
CLOSEST = 1.5  # stellar radii between the centre of a star and an orbit round it


def draw_varied_star(key: str, seed: int, *, sector: int = 1, mix: Mapping[Kind, float] = VARIETY) -> SimulatedStar:
    """Draw one star of any kind; the same key and seed always give the same star.

    Parameters
    ----------
    key : str
        TIC number to wear.
    seed : int
    sector : int
        A sector in whose first period the epochs fall.
    mix : kind to share
        Shares need not sum to 1.

    Returns
    -------
    SimulatedStar
        Tmag normal around 11.3 within 6 to 14.5; photon noise 0.9 to 1.6 times that of the magnitude, 60 ppm an hour
        beside it; red noise of 0.05 to 0.8 d. Planets: 1 to 20 Earth radii and 0.3 to 14 d, both log-uniform, impact
        to 0.95. Detached pairs: ratio of radii 0.1 to 1, grazing included. Contact pairs: 0.22 to 3 d, 0.2 to 40 %.
        Blends: 0.25 to 30 % of the light, one in five with a planet. Four in ten hosts of eclipses are spotted too.
    """
    random = stream(seed, "varied star", key)
    kinds = sorted(mix)
    kind: Kind = random.choice(kinds, p=np.array([mix[k] for k in kinds]) / sum(mix.values()))
    mass = float(random.uniform(0.2, 0.6) if kind == "flaring" else random.uniform(0.35, 1.6))
    tmag = float(np.clip(random.normal(11.3, 1.2), 6.0, 14.5))
    star = main_sequence(mass, tmag, float(random.uniform(0, 360)), float(random.uniform(-80, -30)))
    assert star.radius is not None
    assert star.teff is not None
    u1, u2 = (float(np.interp(star.teff, LIMB_DARKENING[:, 0], LIMB_DARKENING[:, i])) for i in (1, 2))
    if mass > 0.8:  # the Sun's like and what is heavier grow old within the age of the Galaxy
        radius = star.radius * float(np.exp(abs(random.normal(0.0, 0.25))))
        star = replace(star, radius=radius, logg=surface_gravity(mass, radius))
    rough = kind == "systematics"
    base = SimulatedStar(
        key=key,
        kind=kind,
        star=star,
        limb_darkening=(u1, u2),
        systematics=_systematics(random, tmag, rough),
        noise_factor=float(random.uniform(0.9, 1.6)),
        noise_floor_ppm=60.0,
    )
    if kind in ("planet", "detached", "blend") and random.random() < 0.4:
        base = replace(base, rotation=_rotation(random, _log_uniform(random, 2e-4, 1e-2), (0.6, 20.0)))
    if kind == "planet":
        return replace(base, planets=(_planet(random, base, sector),))
    if kind == "detached":
        return replace(base, binary=_detached(random, base, sector))
    if kind == "contact":
        period = _log_uniform(random, 0.22, 3.0)
        return replace(
            base,
            binary=ContactBinary(
                period=period,
                epoch=sector_start(sector) + float(random.uniform(0, period)),
                amplitude=float(10 ** random.uniform(-2.7, -0.4)),
                sharpness=float(random.uniform(1.5, 3.2)),
                minima_ratio=float(random.uniform(0.6, 1.0)),
            ),
        )
    if kind == "blend":
        share, angle = float(10 ** random.uniform(-2.6, -0.5)), float(random.uniform(0, 2 * pi))
        distance = float(random.uniform(0.3, 2.5))
        blend = Blend(share, distance * np.cos(angle), distance * np.sin(angle))
        if random.random() < 0.2:
            return replace(base, planets=(_planet(random, base, sector, share),), blend=blend)
        return replace(base, binary=_detached(random, base, sector), blend=blend)
    if kind == "rotation":
        return replace(base, rotation=_rotation(random, _log_uniform(random, 3e-4, 4e-2), (0.2, 15.0)))
    if kind == "flaring":
        return replace(
            base,
            rotation=_rotation(random, _log_uniform(random, 3e-3, 3e-2), (0.3, 5.0)),
            flares_per_day=float(random.uniform(0.3, 1.5)),
            flare_amplitude=float(max(0.01, 3 * one_hour_noise(tmag))),
        )
    if kind == "pulsation":
        size = _log_uniform(random, 3e-4, 3e-2)
        modes = tuple(
            Mode(
                _log_uniform(random, 0.06, 3.0),
                size * float(random.uniform(0.2, 1.0)),
                float(random.uniform(0, 2 * pi)),
            )
            for _ in range(int(random.integers(1, 7)))
        )
        return replace(base, modes=modes)
    return base


def draw_orbit(
    random: np.random.Generator,
    periods: tuple[float, float],
    mass: float,
    radius: float,
    reach: float,
    start: float,
    eccentric: float = 0.0,
) -> Orbit:
    """An orbit seen nearly edge-on: period log-uniform, impact uniform up to ``reach`` stellar radii.

    Parameters
    ----------
    random : numpy Generator
    periods : two floats, days
        The shorter is raised where the orbit would come closer than ``CLOSEST`` stellar radii to the centre.
    mass, radius : float
        Of the whole system and of the larger body, solar.
    reach : float
        Largest projected separation at mid-eclipse, radii of the larger body.
    start : float
        BTJD; the epoch falls within a period of it.
    eccentric : float
        Share of orbits longer than 3 d that are eccentric, to 0.4.
    """
    closest = (CLOSEST + reach / 2) ** 1.5 * sqrt(radius**3 / mass) / 4.2082**1.5
    period = _log_uniform(random, min(max(periods[0], closest), periods[1] / 1.01), periods[1])
    bent = period > 3 and random.random() < eccentric
    return Orbit(
        period=period,
        epoch=start + float(random.uniform(0, 1)) * period,
        scaled_axis=max(scaled_axis(period, mass, radius), CLOSEST),
        impact=float(random.uniform(0, reach)),
        eccentricity=float(random.uniform(0.05, 0.4)) if bent else 0.0,
        periastron=float(random.uniform(0, 2 * pi)) if bent else pi / 2,
    )


def draw_pair(random: np.random.Generator, orbit: Orbit, ratio: float) -> DetachedBinary:
    """A detached pair on an orbit, its smaller star anything from dark to as bright a surface as the larger."""
    return DetachedBinary(
        orbit=orbit,
        radius_ratio=ratio,
        surface_brightness=float(ratio ** random.uniform(0.2, 5.0)),
        ellipsoidal=float(min(0.1, random.uniform(0.3, 1.5) * ratio / orbit.scaled_axis**3)),
        reflection=float(min(0.05, 0.15 * ratio**2 / orbit.scaled_axis**2)),
    )


def _planet(random: np.random.Generator, base: SimulatedStar, sector: int, share: float = 1.0) -> Planet:
    """A planet that a search of one sector may find; after twenty draws the largest."""
    star = base.star
    assert star.mass is not None
    assert star.radius is not None
    assert star.tmag is not None
    noise = base.noise_factor * sqrt(one_hour_noise(star.tmag) ** 2 + 60e-6**2)
    for attempt in range(20):
        orbit = draw_orbit(random, (0.3, 14.0), star.mass, star.radius, 0.95, sector_start(sector))
        size = 20.0 if attempt == 19 else _log_uniform(random, 1.0, 20.0)
        ratio = min(size * EARTH_RADIUS / star.radius, 0.25)
        hours = 24 * orbit.duration(ratio) * OBSERVED_DAYS / orbit.period
        if share * ratio**2 * sqrt(hours) / noise > WORTH_SEARCHING:
            break
    return Planet(orbit, ratio)


def _detached(random: np.random.Generator, base: SimulatedStar, sector: int) -> DetachedBinary:
    star = base.star
    assert star.mass is not None
    assert star.radius is not None
    ratio = float(random.uniform(0.1, 1.0))
    mass = star.mass * (1 + ratio)
    reach = 0.95 * (1 + ratio) if random.random() < 0.7 else 0.5
    orbit = draw_orbit(random, (0.4, 20.0), mass, star.radius, reach, sector_start(sector), eccentric=0.3)
    return draw_pair(random, orbit, ratio)


def _systematics(random: np.random.Generator, tmag: float, rough: bool) -> Systematics:
    """What the instrument leaves in: little of it as a rule, much of it in a star that is all systematics."""
    grown = one_hour_noise(tmag)
    if not rough:
        return Systematics(
            residual=float(random.uniform(0.05, 0.3)),
            red_timescale=float(random.uniform(0.05, 0.8)),
            red_sigma=float(random.uniform(0.1, 0.8)),
        )
    return Systematics(
        ramp=_log_uniform(random, 1e-3, 3e-2),
        dump_recovery=float(random.uniform(0, 12)) * grown,
        drift=_log_uniform(random, 1e-3, 2e-2),
        scattered=_log_uniform(random, 1e-3, 3e-2),
        step=float(10 ** random.uniform(-3.3, -2.0)),
        residual=float(random.uniform(0.3, 1.0)),
        red_timescale=_log_uniform(random, 0.03, 1.0),
        red_sigma=float(random.uniform(0.5, 2.5)),
    )


def _rotation(random: np.random.Generator, amplitude: float, periods: tuple[float, float]) -> Rotation:
    phases = [float(value) for value in random.uniform(0, 2 * pi, 3)]
    return Rotation(
        period=_log_uniform(random, *periods),
        amplitude=amplitude,
        harmonics=(1.0, float(random.uniform(0.0, 0.9)), float(random.uniform(0.0, 0.4))),
        phases=(phases[0], phases[1], phases[2]),
        shear=float(random.uniform(0.01, 0.15)),
        second_group=float(random.uniform(0.0, 0.8)),
    )


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(10 ** random.uniform(log10(low), log10(high)))
