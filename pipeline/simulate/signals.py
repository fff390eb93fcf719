"""SIMULATED signals of one sector, as a search reports them: ephemerides with errors drawn as large as they are said.

Nothing is searched here: a sector of them costs milliseconds, so that rates of one in a thousand can be counted.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.matching import SeenSignals
from pipeline.types import Floats, Integers

SPAN = 27.0  # days
BEGIN = 2000.0  # BTJD
CCD_SIDE = 12.0  # degrees
NEIGHBOUR = 150.0  # arcsec: contaminated stars stand no further from the source
DEC = -40.0  # degrees, of the middle of every CCD


@dataclass(frozen=True, slots=True, eq=False)
class Timetable:
    """True ephemerides, (n,) each."""

    period: Floats
    first: Floats  # BTJD of the first transit in the sector


def timetable(random: np.random.Generator, number: int, periods: Floats | None = None) -> Timetable:
    """Unrelated ephemerides with two transits at least in the sector.

    Parameters
    ----------
    periods : array, optional
        Drawn from these; else evenly in their logarithm, from 0.5 to 13.4 days.
    """
    if periods is None:
        period = np.exp(random.uniform(np.log(0.5), np.log(13.4), number))
    else:
        usable = periods[(periods > 0.3) & (periods < SPAN / 2)]
        period = random.choice(usable, number) * (1 + 1e-3 * random.standard_normal(number))
    return Timetable(period, BEGIN + random.uniform(0.0, 1.0, number) * period)


def observed(
    random: np.random.Generator, true: Timetable, snr: Floats, star: Integers, depth: Floats, ccd: Integers
) -> SeenSignals:
    """What a search tells of them: the straight line through transits of which each is timed to 0.4 durations a sigma.

    Stars stand evenly on 12 degrees square of their CCD, of which there are 16.
    """
    period, number = true.period, true.period.size
    transits = np.floor((BEGIN + SPAN - true.first) / period).astype(np.int64) + 1
    duration = 0.12 * np.cbrt(period / 3.0)
    single = 0.4 * duration * np.sqrt(transits) / snr
    middle = (transits - 1) / 2.0
    spread = transits * (transits**2 - 1) / 12.0
    period_err = single / np.sqrt(np.maximum(spread, 0.5))
    centre_err = single / np.sqrt(transits)
    seen_period = period + period_err * random.standard_normal(number)
    centre = true.first + middle * period + centre_err * random.standard_normal(number)
    return SeenSignals(
        star=star,
        period=seen_period,
        epoch=centre - middle * seen_period,
        period_err=period_err,
        epoch_err=np.hypot(centre_err, middle * period_err),
        duration=duration,
        depth=depth,
        transits=transits,
        ra=CCD_SIDE * ccd * 1.5 + random.uniform(0.0, CCD_SIDE, number) / np.cos(np.radians(DEC)),
        dec=DEC + random.uniform(-CCD_SIDE / 2, CCD_SIDE / 2, number),
        detectors=tuple(((5, int(place) // 4 + 1, int(place) % 4 + 1),) for place in ccd),
    )


def sector_signals(
    seed: int, number: int = 2000, *, families: int = 0, neighbours: int = 5, periods: Floats | None = None
) -> tuple[SeenSignals, Integers]:
    """The signals of a sector, most of them unrelated.

    Parameters
    ----------
    number : int
        Signals of as many stars, unrelated.
    families : int
        Binaries among them whose light falls on the ``neighbours`` more stars within 150 arcsec.

    Returns
    -------
    SeenSignals, number + families * neighbours rows
    int64 array
        The row of the source of each; its own where it is unrelated.
    """
    random = np.random.default_rng(seed)
    true = timetable(random, number, periods)
    ccd = random.integers(0, 16, number)
    snr = np.exp(random.uniform(np.log(8.0), np.log(200.0), number))
    depth = np.exp(random.uniform(np.log(2e-4), np.log(0.02), number))
    sources = random.choice(number, families, replace=False)
    depth[sources] = random.uniform(0.05, 0.4, families)
    snr[sources] = random.uniform(200.0, 1000.0, families)
    victim = np.repeat(sources, neighbours)
    dilution = np.exp(random.uniform(np.log(3.0), np.log(100.0), victim.size))
    row = np.concatenate([np.arange(number), victim])
    seen = observed(
        random,
        Timetable(true.period[row], true.first[row]),
        np.concatenate([snr, random.uniform(8.0, 40.0, victim.size)]),
        np.arange(row.size),
        np.concatenate([depth, depth[victim] / dilution]),
        ccd[row],
    )
    away = np.sqrt(random.uniform(0.0, 1.0, victim.size)) * NEIGHBOUR / 3600.0
    angle = random.uniform(0.0, 2 * np.pi, victim.size)
    ra, dec = seen.ra.copy(), seen.dec.copy()
    dec[number:] = dec[victim] + away * np.sin(angle)
    ra[number:] = ra[victim] + away * np.cos(angle) / np.cos(np.radians(dec[victim]))
    return replace(seen, ra=ra, dec=dec), row
