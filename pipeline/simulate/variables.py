"""Variable stars of seven classes, to learn and to judge a classifier of variability with.

`variety.draw_varied_star` draws what a transit search meets; here each class is drawn over what it may be, and only so
that the wave or the eclipse stands over the photon noise: what hides in the noise is quiet to any method. Ranges are
rounded from the literature: rotation of dwarfs (McQuillan et al. 2014), delta Scuti and gamma Doradus stars
(Uytterhoeven et al. 2011; Balona & Dziembowski 2011; Van Reeth et al. 2015), RR Lyrae and Cepheids (Simon & Lee 1981;
Soszynski et al. 2008, 2009), contact binaries (Rucinski 1998).
"""

from collections.abc import Callable
from dataclasses import replace
from math import pi, sqrt

import numpy as np

from pipeline.simulate.eclipses import ContactBinary, DetachedBinary, Planet, binary_light
from pipeline.simulate.noise import cadence_noise, one_hour_noise
from pipeline.simulate.population import EARTH_RADIUS, LIMB_DARKENING, OBSERVED_DAYS, main_sequence
from pipeline.simulate.sector import SECTOR_LENGTH, sector_start
from pipeline.simulate.seeds import stream
from pipeline.simulate.sky import SimulatedStar
from pipeline.simulate.systematics import Systematics
from pipeline.simulate.variability import Mode, Rotation, Spot, spot_light
from pipeline.simulate.variety import draw_orbit
from pipeline.variability import CLASSES

LEAST_SNR = 15.0  # of the strongest wave in the photon noise of one sector, or of the eclipses; wide: 9
LEAST_DEPTH = 0.03  # of a detached binary's deeper eclipse: a planet may take less light than this; wide: 0.02
_MAX_TRIES = 60


def draw_variable(name: str, key: str, seed: int, *, wide: bool = False, sector: int = 1) -> SimulatedStar:
    """Draw one star of a class of variability; the same key and seed always give the same star.

    Parameters
    ----------
    name : str
        One of ``CLASSES``.
    key : str
        TIC number to wear.
    seed : int
    wide : bool
        Fainter and brighter stars, weaker waves, longer and shorter periods, closer pairs, rougher systematics: what
        a classifier has not learnt from.
    sector : int
        A sector in whose first period the epochs fall.

    Returns
    -------
    SimulatedStar
        Tmag 8 to 14 (wide 7 to 15). Its temperature is the catalogue's, 200 K off. Planets up to 16 Earth radii pass
        in front of four in ten quiet stars and one in six rotating ones; flares rise from a quarter of the latter.

    Raises
    ------
    ValueError
        If there is no such class.
    """
    if name not in CLASSES:
        raise ValueError(f"no class {name!r}: there are {', '.join(CLASSES)}")
    random = stream(seed, "variable star", name, wide, key)
    tmag = float(random.uniform(7, 15) if wide else random.uniform(8, 14))
    base = SimulatedStar(
        key=key,
        kind="other",
        star=main_sequence(1.0, tmag, float(random.uniform(0, 360)), float(random.uniform(-80, -30))),
        systematics=_systematics(random, wide),
        noise_factor=float(random.uniform(0.9, 2.0 if wide else 1.5)),
        noise_floor_ppm=60.0,
    )
    star = _DRAW[name](random, base, wide, sector)
    temperature = (star.star.teff or 5772.0) + 200.0 * float(random.standard_normal())
    return replace(star, star=replace(star.star, teff=temperature))


def _one_hour(star: SimulatedStar) -> float:
    assert star.star.tmag is not None
    return cadence_noise(star.star.tmag, 3600.0, star.noise_factor, star.noise_floor_ppm)


def _least_amplitude(star: SimulatedStar, wide: bool) -> float:
    """Semi-amplitude of a wave just strong enough to draw."""
    snr = 9.0 if wide else LEAST_SNR
    return snr * _one_hour(star) * sqrt(2 / (24 * OBSERVED_DAYS))


def _size(random: np.random.Generator, star: SimulatedStar, wide: bool, low: float, high: float) -> float:
    """A semi-amplitude, log-uniform from ``low`` or what the noise allows."""
    low = max(low, _least_amplitude(star, wide))
    return _log_uniform(random, low, max(high, 1.5 * low))


def _dwarf(star: SimulatedStar, mass: float) -> SimulatedStar:
    """The same star with the radius, gravity and temperature of a dwarf of this mass."""
    dwarf = main_sequence(mass, star.star.tmag or 10.0, star.star.ra, star.star.dec)
    u1, u2 = (float(np.interp(dwarf.teff or 5772.0, LIMB_DARKENING[:, 0], LIMB_DARKENING[:, i])) for i in (1, 2))
    return replace(star, star=dwarf, limb_darkening=(u1, u2))


def _hot(star: SimulatedStar, teff: float, logg: float | None = None) -> SimulatedStar:
    """The same star with this temperature; a giant's mass and radius are left unknown."""
    if logg is None:
        return replace(star, star=replace(star.star, teff=teff))
    return replace(star, star=replace(star.star, teff=teff, logg=logg, radius=None, mass=None))


def _quiet(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """Nothing but noise; or planets; or systematics; or granulation."""
    star = _dwarf(base, float(random.uniform(0.2, 1.6)))
    chance = random.random()
    if chance < 0.3:
        return replace(star, kind="quiet")
    if chance < 0.72:
        planet = _planet(random, star, sector)
        if planet.orbit.period > 2.5 or planet.radius_ratio < 0.06:
            return replace(star, kind="planet", planets=(planet,))
        hot = DetachedBinary(  # its own light, and the tides it raises
            planet.orbit, planet.radius_ratio, surface_brightness=float(random.uniform(0, 0.06)),
            ellipsoidal=float(random.uniform(0, 3e-4)), reflection=float(random.uniform(0, 3e-4)),
        )  # fmt: skip
        return replace(star, kind="planet", binary=hot)
    if chance < 0.9:
        return replace(star, kind="systematics", systematics=_rough(random, wide))
    grain = _log_uniform(random, 5e-5, 5e-4) / one_hour_noise(star.star.tmag or 10.0)
    granulation = replace(base.systematics, red_sigma=float(grain), red_timescale=_log_uniform(random, 0.03, 0.4))
    return _hot(replace(star, kind="quiet", systematics=granulation), float(random.uniform(4300, 6500)))


def _rotating(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """Two waves that beat, or a handful of spots that come and go; planets and flares beside them."""
    mass = float(random.uniform(0.2, 1.25))
    star = replace(_dwarf(base, mass), kind="rotation")
    low, high = (0.15, 16.0) if wide else (0.25, 13.0)
    period = _log_uniform(random, low, 1.0) if random.random() < 0.3 else _log_uniform(random, 1.0, high)
    size = _size(random, star, wide, 3e-4 * max(1.0, period / 4), 4e-2)
    if random.random() < 0.5:
        first, second, third = (float(value) for value in random.uniform(0, 2 * pi, 3))
        rotation = Rotation(
            period,
            size,
            (1.0, float(random.uniform(0.0, 0.9)), float(random.uniform(0.0, 0.4))),
            (first, second, third),
            shear=float(random.uniform(0.01, 0.2)),
            second_group=float(random.uniform(0.1, 0.8)),
        )
        # fully convective dwarfs keep their spots, and turn as one
        if period < 2 and random.random() < (0.6 if mass < 0.45 else 0.2):
            rotation = replace(rotation, second_group=0.0)
        star = replace(star, rotation=rotation)
    else:
        start = sector_start(sector)
        spots = tuple(
            Spot(
                period * float(1 + random.normal(0, 0.01)),
                float(random.uniform(0, 2 * pi)),
                float(random.uniform(0.3, 1.0)),
                start + float(random.uniform(-10, SECTOR_LENGTH + 10)),
                max(period, _log_uniform(random, 8.0, 200.0)),
                float(random.uniform(0.0, 0.6)),
            )
            for _ in range(int(random.integers(1, 7)))
        )
        swing = float(np.ptp(spot_light(spots, np.arange(start, start + SECTOR_LENGTH, period / 40))))
        spots = tuple(replace(spot, depth=spot.depth * 2 * size / swing) for spot in spots)
        star = replace(star, spots=spots)
    if random.random() < 1 / 6:
        star = replace(star, planets=(_planet(random, star, sector),))
    if random.random() < 0.25:
        smallest = max(0.01, 3 * one_hour_noise(star.star.tmag or 10.0))
        star = replace(star, flares_per_day=float(random.uniform(0.1, 1.5)), flare_amplitude=float(smallest))
    return star


def _delta_scuti(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """Modes of 4.5 to 50 a day, sometimes with weaker slow ones; one in seven of high amplitude with its harmonics."""
    star = replace(_hot(base, float(random.uniform(6300, 8600))), kind="pulsation")
    if random.random() < 0.15:
        period, size = _log_uniform(random, 0.05, 0.2), _log_uniform(random, 0.04, 0.2)
        modes = _sawtooth(random, period, size, float(random.uniform(0.15, 0.4)), 4)
        if random.random() < 0.3:  # pulsates in the first overtone too
            modes = (*modes, _mode(random, 0.773 * period, size * float(random.uniform(0.1, 0.5))))
        return replace(star, modes=modes)
    size = _size(random, star, wide, 3e-4, 2e-2)
    fastest = 60.0 if wide else 50.0
    first = float(random.uniform(4.5, fastest) if random.random() < 0.7 else random.uniform(6, 22))
    modes = (_mode(random, 1 / first, size),)
    for _ in range(int(random.integers(0, 9))):
        modes = (*modes, _mode(random, 1 / float(random.uniform(4.5, fastest)), size * _share(random)))
    if random.random() < 0.2:
        modes = (*modes, *(_mode(random, _log_uniform(random, 0.4, 2.0), 0.4 * size * _share(random)) for _ in "ab"))
    return replace(star, modes=modes)


def _gamma_doradus(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """High-order gravity modes in one or two groups of nearly even period spacing, some with combinations."""
    star = replace(_hot(base, float(random.uniform(6500, 7700))), kind="pulsation")
    size = _size(random, star, wide, 4e-4, 2e-2)
    longest = 3.0 if wide else 2.2
    period = _log_uniform(random, 0.3, longest)
    spacing = float(random.uniform(0.008, 0.045))  # days, from one radial order to the next
    orders = random.permutation(np.arange(-8, 9))
    orders = orders[orders != 0][: int(random.integers(2, 11))]
    modes: tuple[Mode, ...] = (_mode(random, period, size),)
    for order in orders:
        other = period + spacing * float(order) * (period / 0.8) + float(random.normal(0, 0.002))
        if other > 0.28:
            modes = (*modes, _mode(random, other, size * _share(random)))
    if random.random() < 0.4:  # the next degree, a fast rotator's second group
        modes = (*modes, *(_mode(random, period / float(random.uniform(1.7, 2.1)), 0.6 * size * _share(random))
                           for _ in range(3)))  # fmt: skip
    if random.random() < 0.3 and len(modes) > 1:
        pair = 1 / (1 / modes[0].period + 1 / modes[1].period)
        modes = (*modes, _mode(random, pair, 0.3 * size * _share(random)))
    return replace(star, modes=modes)


def _radial(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """RR Lyrae of both types and Cepheids of both populations: one period, steep rise, slow fall; some modulated."""
    chance = random.random()
    if chance < 0.35:
        period, size, share = float(random.uniform(0.4, 0.85)), float(random.uniform(0.12, 0.4)), (0.35, 0.55)
        star = _hot(base, float(random.uniform(5900, 7000)), float(random.uniform(2.2, 3.0)))
    elif chance < 0.55:
        period, size, share = float(random.uniform(0.22, 0.43)), float(random.uniform(0.08, 0.2)), (0.05, 0.25)
        star = _hot(base, float(random.uniform(6500, 7500)), float(random.uniform(2.5, 3.2)))
    else:
        period = _log_uniform(random, 1.0, 15.0 if wide else 12.0)
        size, share = float(random.uniform(0.05, 0.3)), (0.15, 0.5)
        star = _hot(base, float(random.uniform(5000, 6600)), float(random.uniform(1.2, 2.5)))
    size *= _log_uniform(random, 0.08 if wide else 0.3, 1.0) if random.random() < 0.3 else 1.0  # light of neighbours
    size = max(size, _least_amplitude(base, wide))
    modes = _sawtooth(random, period, size, float(random.uniform(*share)), 7)
    if random.random() < 0.25 and period < 1:
        beat = float(random.uniform(10, 80))  # days, of Blazhko's effect
        modes = (*modes, *(_mode(random, 1 / (1 / m.period + 1 / beat), 0.25 * m.amplitude) for m in modes[:3]))
    return replace(star, kind="pulsation", modes=modes)


def _contact(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """W Ursae Majoris to beta Lyrae, and ellipsoidal stars that do not eclipse; some with a spot on one side."""
    chance = random.random()
    if chance < 0.65:
        period, teff = float(random.uniform(0.22, 0.7)), float(random.uniform(4300, 7200))
        depth, ratio = _log_uniform(random, 2e-2, 0.5), float(random.uniform(0.75, 1.0))
        sharpness = float(random.uniform(1.7, 2.8))
    elif chance < 0.85:
        period, teff = _log_uniform(random, 0.4, 3.0), float(random.uniform(5000, 10000))
        depth, ratio = _log_uniform(random, 5e-2, 0.6), float(random.uniform(0.3, 0.9))
        sharpness = float(random.uniform(2.2, 3.6))
    else:
        period, teff = _log_uniform(random, 0.3, 5.0 if wide else 4.0), float(random.uniform(4500, 10000))
        depth, ratio, sharpness = _log_uniform(random, 5e-3, 0.1), float(random.uniform(0.7, 1.0)), 2.0
    depth *= _log_uniform(random, 0.1, 1.0) if wide and random.random() < 0.3 else 1.0
    depth = max(depth, 4 * _least_amplitude(base, wide))
    wave = ContactBinary(period, sector_start(sector) + float(random.uniform(0, period)), depth, sharpness, ratio)
    star = replace(_hot(base, teff), kind="contact", binary=wave)
    if random.random() < 0.4:
        size = depth * float(random.uniform(0.01, 0.08))
        phase = float(random.uniform(0, 2 * pi))
        spot = Rotation(period, size, (1.0, 0.1, 0.0), (phase, 0.0, 0.0), shear=0.005, second_group=0.1)
        star = replace(star, rotation=spot)
    return star


def _detached(random: np.random.Generator, base: SimulatedStar, wide: bool, sector: int) -> SimulatedStar:
    """Pairs whose eclipses fill less than half of the period, eccentric ones and such as eclipse once among them."""
    hot = random.random() < 0.25
    star = replace(_dwarf(base, float(random.uniform(1.3, 1.6) if hot else random.uniform(0.3, 1.4))), kind="detached")
    if hot:
        star = _hot(star, float(random.uniform(7000, 10000)))
    moments = sector_start(sector) + np.arange(0.0, 27.8, 0.01)
    moments = moments[np.abs(moments - moments[0] - 13.9) > 0.57]
    least = 0.02 if wide else LEAST_DEPTH
    for _ in range(_MAX_TRIES):
        ratio = float(random.uniform(0.15, 1.0))
        reach = 0.9 * (1 + ratio) if random.random() < 0.6 else 0.5
        periods = (12.0, 40.0 if wide else 27.0) if random.random() < 0.2 else (0.5, 12.0)
        mass = (star.star.mass or 1.0) * (1 + ratio)
        orbit = draw_orbit(random, periods, mass, star.star.radius or 1.0, reach, sector_start(sector), eccentric=0.5)
        pair = DetachedBinary(
            orbit,
            ratio,
            surface_brightness=float(ratio ** random.uniform(0.0, 4.0)),
            ellipsoidal=float(min(0.08, random.uniform(0.3, 1.5) * ratio / orbit.scaled_axis**3)),
            reflection=float(min(0.04, 0.12 * ratio**2 / orbit.scaled_axis**2)),
        )
        if 2 * (1 + ratio) / (pi * orbit.scaled_axis) > (0.6 if wide else 0.48):
            continue
        light = binary_light(replace(pair, ellipsoidal=0.0, reflection=0.0), moments)
        hours = 0.24 * float((light < 1 - 0.5 * least).sum())
        if light.min() < 1 - least and hours > 0.5:
            depth = 1 - float(light.min())
            if depth * sqrt(hours) > LEAST_SNR * _one_hour(star):
                break
    else:
        orbit = replace(orbit, period=3.0, impact=0.2, scaled_axis=8.0)
        pair, depth = DetachedBinary(orbit, 0.7, 0.5), 0.3
    star = replace(star, binary=pair)
    if random.random() < 0.4 and pair.orbit.period < 12:
        spin = pair.orbit.period * (1.0 if pair.orbit.period < 6 else float(random.uniform(0.8, 1.3)))
        size = depth * _log_uniform(random, 0.005, 0.25)
        phases = (float(random.uniform(0, 2 * pi)), 1.0, 2.0)
        star = replace(star, rotation=Rotation(spin, min(size, 0.02), phases=phases, shear=0.03))
    return star


_DRAW: dict[str, Callable[[np.random.Generator, SimulatedStar, bool, int], SimulatedStar]] = {
    "eb_detached": _detached,
    "eb_contact": _contact,
    "rotation": _rotating,
    "delta_scuti": _delta_scuti,
    "gamma_doradus": _gamma_doradus,
    "rr_lyrae_cepheid": _radial,
    "quiet": _quiet,
}


def _planet(random: np.random.Generator, star: SimulatedStar, sector: int) -> Planet:
    """A planet of 1 to 16 Earth radii that takes less light than the shallowest binary drawn."""
    mass, radius = star.star.mass or 1.0, star.star.radius or 1.0
    orbit = draw_orbit(random, (0.6, 20.0), mass, radius, 0.9, sector_start(sector))
    return Planet(orbit, min(_log_uniform(random, 1.0, 16.0) * EARTH_RADIUS / radius, 0.15))


def _mode(random: np.random.Generator, period: float, amplitude: float) -> Mode:
    return Mode(period, amplitude, float(random.uniform(0, 2 * pi)))


def _share(random: np.random.Generator) -> float:
    """Amplitude of a further mode over the strongest one's."""
    return float(random.uniform(0.1, 0.9) ** 1.5)


def _sawtooth(
    random: np.random.Generator, period: float, amplitude: float, falling: float, orders: int
) -> tuple[Mode, ...]:
    """A wave and its harmonics, each ``falling`` times the one before: steep rise, slow fall."""
    start = float(random.uniform(0, 2 * pi))
    return tuple(
        Mode(
            period / order,
            amplitude * falling ** (order - 1),
            order * start - pi / 2 + (float(random.normal(0, 0.25)) if order > 1 else 0.0),
        )
        for order in range(1, orders + 1)
    )


def _systematics(random: np.random.Generator, wide: bool) -> Systematics:
    """Little is left in, as a rule."""
    return Systematics(
        residual=float(random.uniform(0.05, 0.6 if wide else 0.3)),
        red_timescale=float(random.uniform(0.05, 0.8)),
        red_sigma=float(random.uniform(0.1, 1.5 if wide else 0.8)),
    )


def _rough(random: np.random.Generator, wide: bool) -> Systematics:
    """A star that is all systematics."""
    return Systematics(
        ramp=_log_uniform(random, 1e-3, 6e-2),
        dump_recovery=_log_uniform(random, 1e-4, 3e-3),
        drift=_log_uniform(random, 1e-3, 2e-2),
        scattered=_log_uniform(random, 1e-3, 6e-2),
        step=float(10 ** random.uniform(-3.3, -2.3)),
        residual=float(random.uniform(0.3, 1.0 if wide else 0.8)),
        red_timescale=_log_uniform(random, 0.03, 1.0),
        red_sigma=float(random.uniform(0.5, 2.5 if wide else 2.0)),
    )


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))
