"""When a sector is observed: cadences, orbits, the gap between them, momentum dumps and quality flags.

The pattern follows the genuine SPOC files of sector 1, release 42: 20,076 cadences of 2 minutes numbered
without a hole, a gap of 1.13 d whose cadences have no time, a dump of 7 flagged cadences every 2.5 d,
and 2.5 h of flagged scattered light at the end of each orbit.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from pipeline.simulate.seeds import stream
from pipeline.types import Booleans, Floats, Integers, Star

COARSE_POINT, EARTH_POINT, ARGABRIGHTENING, DESATURATION = 4, 8, 16, 32
MANUAL_EXCLUDE, IMPULSIVE_OUTLIER, STRAYLIGHT = 128, 512, 4096

FIRST_SECTOR = 1325.2936  # days, spacecraft time of the first cadence of sector 1
SECTOR_LENGTH = 27.4  # days from one sector to the next, rounded
FIRST_CADENCE = 70444  # number of that cadence at 2 minutes
LIGHT_DAYS = 0.005775  # days light takes for 1 au
SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class SectorSettings:
    """How one sector is observed."""

    number: Annotated[int, Ge(1)] = 1
    cadence_seconds: Annotated[float, Gt(0)] = 120.0  # 20, 120, 200, 600 or 1800 exist; any other is accepted
    span: Annotated[float, Gt(0)] = 27.883  # days from the first cadence to the last
    gap: Annotated[float, Ge(0)] = 1.133  # days between the two orbits
    dump_every: Annotated[float, Ge(0)] = 2.5  # days between momentum dumps; 0 for none
    dump_seconds: Annotated[float, Ge(0)] = 840.0  # flagged length of a dump
    blank_dumps: bool = False  # SPOC writes NaN in PDCSAP during a dump; False leaves the disturbed flux under its flag
    stray_hours: Annotated[float, Ge(0)] = 2.5  # flagged scattered light at the end of each orbit, hours
    lost: Annotated[float, Ge(0)] = 0.0  # share of cadences without flux, at random
    camera: Annotated[int, Ge(1)] = 4
    ccd: Annotated[int, Ge(1)] = 2


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The cadences of one sector as one star sees them: the times depend on where the star stands."""

    spacecraft_time: Floats  # (n,) days, middle of the cadence, JD - 2457000 at the spacecraft
    time: Floats  # (n,) BTJD at the barycentre; finite also where nothing was observed
    time_correction: Floats  # (n,) days, time - spacecraft_time
    cadence_number: Integers  # (n,) without a hole
    quality: Integers  # (n,) SPOC bits
    observed: Booleans  # (n,) False in the gap, where files have no time
    orbit: Integers  # (n,) 0 before the middle of the gap, 1 after
    since_orbit_start: Floats  # (n,) days since the orbit began
    until_orbit_end: Floats  # (n,) days until the orbit ends
    dumps: Floats  # (k,) BTJD at which a dump starts
    lost: Booleans  # (n,) True where no flux was recorded
    exposure: float  # days

    def __len__(self) -> int:
        return int(self.time.size)


def sector_start(number: int) -> float:
    """Spacecraft time of the first cadence of a sector, days (JD - 2457000): a sector every 27.4 d from sector 1 on."""
    return FIRST_SECTOR + SECTOR_LENGTH * (number - 1)


def schedule(sector: SectorSettings, star: Star, seed: int = 1) -> Schedule:
    """Lay out the cadences of a sector for one star.

    Gap, dumps and flags are the sector's and the same for every star; the barycentric correction follows
    the star's position (0 where it is unknown), on a circular orbit of the Earth: good to a few seconds,
    and exact within the simulation, where every signal is evaluated at the barycentric time.

    Parameters
    ----------
    sector : SectorSettings
    star : Star
        ``ra`` and ``dec`` are used where both are known.
    seed : int
        Seed of the sky; draws only which cadences are lost.
    """
    exposure = sector.cadence_seconds / SECONDS
    count = max(1, round(sector.span / exposure))
    start = sector_start(sector.number)
    spacecraft: Floats = start + exposure * (np.arange(count, dtype=np.float64) + 0.5)
    correction = barycentric_correction(spacecraft, star)

    elapsed: Floats = spacecraft - start
    gap_start = (sector.span - sector.gap) / 2
    gap_stop = gap_start + sector.gap
    observed = (elapsed < gap_start) | (elapsed >= gap_stop)
    orbit = (elapsed >= (gap_start + gap_stop) / 2).astype(np.int64)
    orbit_start = np.where(orbit == 0, 0.0, gap_stop)
    orbit_end = np.where(orbit == 0, gap_start, sector.span)
    since, until = elapsed - orbit_start, orbit_end - elapsed

    quality = np.where(observed, 0, EARTH_POINT).astype(np.int64)
    dumps: list[float] = []
    if sector.dump_every > 0:
        for begin, end in ((0.0, gap_start), (gap_stop, sector.span)):
            dumps.extend(np.arange(begin + sector.dump_every, end, sector.dump_every).tolist())
    width = sector.dump_seconds / SECONDS
    for dump in dumps:
        inside = _overlaps(elapsed, exposure, dump, dump + width) & observed
        quality[inside] |= DESATURATION
        quality[inside & _overlaps(elapsed, exposure, dump, dump + width * 3 / 7)] |= COARSE_POINT
        quality[inside & _overlaps(elapsed, exposure, dump, dump + width * 4 / 7)] |= MANUAL_EXCLUDE
    stray = observed & (until < sector.stray_hours / 24) & (since > 0)
    quality[stray] |= STRAYLIGHT
    lost = stream(seed, "lost cadences", sector.number, sector.cadence_seconds).random(count) < sector.lost

    first = FIRST_CADENCE + round((start - FIRST_SECTOR) * 720)
    return Schedule(
        spacecraft_time=spacecraft,
        time=spacecraft + correction,
        time_correction=correction,
        cadence_number=np.arange(count, dtype=np.int64) + int(first * 120 / sector.cadence_seconds),
        quality=quality,
        observed=observed,
        orbit=orbit,
        since_orbit_start=since,
        until_orbit_end=until,
        dumps=np.asarray(dumps, dtype=np.float64) + start + float(correction[count // 2]),
        lost=lost,
        exposure=exposure,
    )


def barycentric_correction(spacecraft_time: Floats, star: Star) -> Floats:
    """Light travel time from the barycentre, days, for an Earth on a circle in the ecliptic."""
    if star.ra is None or star.dec is None:
        return np.zeros_like(spacecraft_time)
    ra, dec, tilt = np.radians([star.ra, star.dec, 23.4393])
    direction = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    # mean longitude of the Sun, Astronomical Almanac, low precision; the Earth stands opposite
    longitude = np.radians(280.460 + 0.9856474 * (spacecraft_time + 2457000 - 2451545.0)) + np.pi
    earth = np.stack([np.cos(longitude), np.sin(longitude) * np.cos(tilt), np.sin(longitude) * np.sin(tilt)])
    return LIGHT_DAYS * (direction @ earth)


def _overlaps(middle: Floats, exposure: float, begin: float, end: float) -> Booleans:
    """Cadences that share more than a sliver of time with the window."""
    shared = np.minimum(middle + exposure / 2, end) - np.maximum(middle - exposure / 2, begin)
    return shared > 1e-6
