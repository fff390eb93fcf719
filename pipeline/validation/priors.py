"""What is believed of planets, binaries and companions before the light curve is asked.

The laws are those of Giacalone & Dressing (2021, AJ 161, 24), as far as their code applies them: planet radii in broken
power laws, eccentricities of planets after Kipping (2013, MNRAS 434, L51), binaries after Moe & Di Stefano (2017,
ApJS 230, 15). Every law is an inverse cumulative distribution: uniform numbers in, values out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.types import Floats

UNRESOLVED = 2.2  # arcsec; a star farther from the target than this is in the catalogue of neighbours
TWIN = 0.95  # mass ratio from which both eclipses look alike, so that the period may be twice the found one
LEAST_MASS = 0.1  # solar, of any star
TEXT = (
    "planet radius: power law 0.5-20 R_E, indices 0, -4 (-7 for hosts up to 0.45 M_sun), -0.5, breaks at 3 and 6 R_E",
    "inclination: isotropic",
    "eccentricity: Beta(0.867, 3.030) of planets (Kipping 2013); e^-0.8 of binaries up to 10 d, e^-0.4 beyond",
    "close binaries: mass ratio q^0.3 below 0.3, q^-0.5 above, twin excess 0.30 (Moe & Di Stefano 2017)",
    "wide companions: mass ratio q^0.3 below 0.3, q^-0.95 above, twin excess 0.05; their rate by period beyond 2500 d "
    "of planet hosts, beyond 10 d of binaries (Moe & Di Stefano 2017, Moe & Kratter 2021)",
    "background stars: surface density times the square of the separation that is left possible, 1 at most",
    "occurrence rates of planets and binaries: not applied, as in Giacalone & Dressing (2021)",
)


@dataclass(frozen=True, slots=True, eq=False)
class PowerLaws:
    """Continuous power laws between edges; the last piece may be raised by a factor."""

    edges: Floats  # (m + 1,)
    indices: Floats  # (m,) none of them -1
    mass: Floats  # (m + 1,) cumulative, 0 to 1
    scale: Floats  # (m,) of each piece

    @classmethod
    def of(cls, edges: tuple[float, ...], indices: tuple[float, ...], last: float = 1.0) -> "PowerLaws":
        at, power = np.array(edges), np.array(indices)
        scale = np.ones(power.size)
        for i in range(1, power.size):
            scale[i] = scale[i - 1] * at[i] ** (power[i - 1] - power[i])
        scale[-1] *= last
        pieces = scale * (at[1:] ** (power + 1) - at[:-1] ** (power + 1)) / (power + 1)
        total = pieces.sum()
        return cls(at, power, np.concatenate(([0.0], np.cumsum(pieces / total))), scale / total)

    def quantile(self, u: Floats) -> Floats:
        i = np.clip(np.searchsorted(self.mass, u, side="right") - 1, 0, self.indices.size - 1)
        power = self.indices[i] + 1
        return ((u - self.mass[i]) * power / self.scale[i] + self.edges[i] ** power) ** (1 / power)

    def below(self, value: Floats) -> Floats:
        """Cumulative probability."""
        value = np.clip(value, self.edges[0], self.edges[-1])
        i = np.clip(np.searchsorted(self.edges, value, side="right") - 1, 0, self.indices.size - 1)
        power = self.indices[i] + 1
        return self.mass[i] + self.scale[i] * (value**power - self.edges[i] ** power) / power


def _twins(index: float, share: float) -> PowerLaws:
    """Mass ratios with a share of the companions above 0.3 as an excess of twins."""
    power = index + 1
    last = 1 + share / (1 - share) * (1 - 0.3**power) / (1 - TWIN**power)
    return PowerLaws.of((0.1, 0.3, TWIN, 1.0), (0.3, index, index), last)


RADII = PowerLaws.of((0.5, 3.0, 6.0, 20.0), (0.0, -4.0, -0.5))
RADII_OF_M_DWARFS = PowerLaws.of((0.5, 3.0, 6.0, 20.0), (0.0, -7.0, -0.5))
CLOSE = _twins(-0.5, 0.30)
WIDE = _twins(-0.95, 0.05)


def planet_radius(u: Floats, host_mass: Floats) -> Floats:
    """Earth radii."""
    return np.where(host_mass > 0.45, RADII.quantile(u), RADII_OF_M_DWARFS.quantile(u))


def mass_ratio(
    u: Floats, host_mass: Floats, law: PowerLaws, low: float = 0.0, high: float = 1.0
) -> tuple[Floats, Floats]:
    """Mass ratios between two bounds, and the probability that they lie there; no star is lighter than 0.1 suns."""
    least = np.minimum(LEAST_MASS / host_mass, 1.0)
    start = law.below(least)
    first, last = law.below(np.maximum(least, low)), law.below(np.full_like(host_mass, high))
    whole = np.where(start < 1, 1 - start, 1.0)
    # a host of the least mass has a twin or nothing
    share = np.where(start < 1, np.maximum(last - first, 0.0) / whole, 1.0 if high >= 1 else 0.0)
    return np.where(start < 1, law.quantile(np.clip(first + u * np.maximum(last - first, 0.0), 0, 1)), 1.0), share


def planet_eccentricity(u: Floats) -> Floats:
    grid, table = _beta_table()
    return np.interp(u, grid, table)


@lru_cache(maxsize=1)
def _beta_table() -> tuple[Floats, Floats]:
    e = np.concatenate((np.geomspace(1e-5, 0.05, 200), np.linspace(0.05, 1, 1900)[1:]))
    from scipy.special import betainc

    return np.concatenate(([0.0], betainc(0.867, 3.030, e))), np.concatenate(([0.0], e))


def binary_eccentricity(u: Floats, period: float) -> Floats:
    return u ** (5.0 if period <= 10 else 1 / 0.6)


def companion_rate(mass: float, shortest: float, longest: Floats) -> Floats:
    """Companions of a star with periods between two, in days.

    Parameters
    ----------
    mass : float
        Solar, of the star.
    shortest : float
        Days.
    longest : Floats, (n,)
        Days.

    Notes
    -----
    Equations 20 to 23 of Moe & Di Stefano (2017), for companions above 0.3 of the mass, in the decades of the period,
    integrated; 0.65 + 0.35 M of it for stars below a solar mass.
    """
    grid, cumulative = _companions(max(mass, 1.0))
    found = np.interp(np.log10(longest), grid, cumulative) - np.interp(np.log10(shortest), grid, cumulative)
    return np.maximum(found, 0.0) * min(1.0, 0.65 + 0.35 * mass)


@lru_cache(maxsize=256)
def _companions(mass: float) -> tuple[Floats, Floats]:
    m = np.log10(mass)
    one, two, five = (
        0.020 + 0.04 * m + 0.07 * m**2,
        0.039 + 0.07 * m + 0.01 * m**2,
        0.078 - 0.05 * m + 0.04 * m**2,
    )
    alpha, step = 0.018, 0.7
    x = np.linspace(0.2, 8.0, 1561)
    rate = np.select(
        [x < 1, x < 2, x < 2.7 + step, x < 5.5],
        [
            one + 0 * x,
            one + (x - 1) * (two - one - alpha * step),
            two + alpha * (x - 2.7),
            two + alpha * step + (x - 2.7 - step) / (2.8 - step) * (five - two - alpha * step),
        ],
        five * np.exp(-0.3 * (x - 5.5)),
    )
    return x, np.concatenate(([0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(x))))


def period_at(separation: Floats, mass: float) -> Floats:
    """Days of an orbit of this size (AU) around a star (solar masses)."""
    return 365.25 * np.sqrt(separation**3 / mass)
