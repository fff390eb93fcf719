"""Light curves for timing, simulated: white noise at TESS's cadence, one transit put in where it is wanted."""

import numpy as np

from pipeline.types import Floats, LightCurve

SIGMA = 1.5e-3  # white noise of a two-minute cadence
SECTOR = 27.4  # days from the begin of a sector to that of the next
OBSERVED = 27.0  # days of it
PAUSE = 1.2  # days in its middle in which the data are sent down
LOST = 0.03  # share of the cadences
START = 1325.0  # BTJD
SIX_YEARS = 80  # sectors


def sector_times(
    rng: np.random.Generator, sectors: tuple[int, ...] = (0,), minutes: float = 2.0, days: float = OBSERVED
) -> Floats:
    """Cadences of sectors, each with its pause and its losses, BTJD."""
    elapsed = np.arange(0.0, days, minutes / 1440.0)
    elapsed = elapsed[np.abs(elapsed - days / 2.0) > PAUSE / 2.0 * days / OBSERVED]
    return np.concatenate(
        [START + SECTOR * sector + elapsed[rng.random(elapsed.size) > LOST] for sector in sectors]
    )  # fmt: skip


def years_of_sectors(number: int) -> tuple[int, ...]:
    """Which of the eighty sectors of six years see a star.

    Blocks of up to thirteen in a row with pauses between, as a star near the pole of the ecliptic is seen; a star seen
    in few sectors has them in pairs, years apart.
    """
    size = 13 if number > 13 else 2
    blocks = -(-number // size)
    pause = (SIX_YEARS - number) / max(blocks - 1, 1)
    found: list[int] = []
    for block in range(blocks):
        begin = round(block * (size + pause))
        found.extend(range(begin, begin + min(size, number - block * size)))
    return tuple(found)


def white(time: Floats, rng: np.random.Generator, stars: int) -> Floats:
    """Noise around 1, (stars, n)."""
    return 1.0 + rng.normal(0.0, SIGMA, (stars, time.size))


def transit(time: Floats, period: float, epoch: float, snr: float) -> Floats:
    """A central transit of a star like the Sun: slopes of a twentieth of it, round at the bottom; a loss of flux."""
    duration = 13.0 / 24.0 * (period / 365.25) ** (1.0 / 3.0)
    place = np.abs((time - epoch + period / 2.0) % period - period / 2.0) / (duration / 2.0)
    shape = np.clip((1.0 - place) / 0.1, 0.0, 1.0) * (0.8 + 0.2 * np.sqrt(np.clip(1.0 - place**2, 0.0, 1.0)))
    return snr * SIGMA / float(np.sqrt((shape**2).sum())) * shape


def light_curves(
    time: Floats, rng: np.random.Generator, stars: int, snr: float | None, longest: float = 12.0
) -> list[LightCurve]:
    """Stars that share these cadences, each with a planet of its own where a signal-to-noise is given."""
    found = []
    for flux in white(time, rng, stars):
        if snr is not None:
            period = float(np.exp(rng.uniform(np.log(0.65), np.log(longest))))
            flux = flux - transit(time, period, float(time[0]) + float(rng.uniform(0.0, period)), snr)
        found.append(LightCurve(time, flux, np.full(time.size, SIGMA)))
    return found
