"""Stars that hide in the light of the target: where images leave room for them, and how many there are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.types import Floats
from pipeline.validation import priors, stars
from pipeline.validation.case import ContrastCurve, Population

FAINTEST = 21.0  # TESS magnitude of the built-in model's faintest stars: fainter ones make no dip
STEP = 0.01  # arcsec
ALIKE = 0.25  # magnitudes
MAGNITUDES = np.arange(0.0, 16.0, 0.1)
# the disc: stars of 0.1 to 2.5 suns in a cubic parsec near the Sun, in exponential layers
NEAR_THE_SUN = 0.098  # stars / pc3 (Kirkpatrick et al. 2024: 0.07 to 0.1 of systems and their companions)
LAYERS = ((0.88, 300.0, 2600.0), (0.12, 900.0, 3600.0))  # share, height, length in pc (Juric et al. 2008)
HALO = 0.005  # of them, as r^-2.8
SUN_RADIUS, SUN_HEIGHT = 8200.0, 20.0  # pc from the centre and above the plane
DUST, DUST_HEIGHT = 0.9e-3, 110.0  # mag/pc of extinction in the TESS band in the plane, and pc of its layer
GALACTIC_POLE = (192.85948, 27.12825, 122.93192)  # degrees: its right ascension, declination; longitude of the pole
BLIND_LATITUDE = 20.0  # degrees, for a star whose place is not known: the mean sky has fewer stars


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """What images leave possible, by the magnitude difference of the hidden star."""

    area: Floats  # (m,) of MAGNITUDES: square arcsec, without the factor pi
    planet_hosts: Floats  # (m,) bound companions of a star with a planet
    binaries: Floats  # (m,) bound companions of a close binary

    @classmethod
    def of(cls, curves: Sequence[ContrastCurve], mass: float, distance: float | None) -> "Room":
        """Leave out what any image would have shown; beyond an image's edge it shows nothing.

        Parameters
        ----------
        curves : sequence of ContrastCurve
        mass : float
            Solar, of the target.
        distance : float, optional
            Parsec; where it is not known, all companions beyond the least period count.
        """
        edges = np.arange(0.0, priors.UNRESOLVED + 0.5 * STEP, STEP)
        middle = 0.5 * (edges[1:] + edges[:-1])
        left = np.ones((MAGNITUDES.size, middle.size), dtype=bool)
        for curve in curves:
            reached = np.interp(middle, curve.separation, curve.contrast, left=-np.inf, right=-np.inf)
            left &= MAGNITUDES[:, None] > reached[None, :]
        area = left @ np.diff(edges**2)
        if distance is None:
            rates = (np.full(MAGNITUDES.size, priors.companion_rate(mass, p, np.array([1e8]))[0]) for p in SHORTEST)
            return cls(area, *rates)
        longest = priors.period_at(np.maximum(edges * distance, 1e-9), mass)
        return cls(area, *(left @ np.diff(priors.companion_rate(mass, p, longest)) for p in SHORTEST))

    def ln_area(self, fainter: Floats) -> Floats:
        return np.log(np.maximum(np.interp(fainter, MAGNITUDES, self.area), 1e-300))

    def companions(self, fainter: Floats, planet: bool) -> Floats:
        return np.interp(fainter, MAGNITUDES, self.planet_hosts if planet else self.binaries)


SHORTEST = (10**3.4, 10.0)  # days: planets and close binaries leave no room for a companion nearer than this


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The stars of a population that are fainter than the target."""

    fainter: Floats  # (n,) magnitudes
    mass: Floats
    radius: Floats
    teff: Floats
    cumulative: Floats  # (n,) of their numbers, ends at 1; by groups of like brightness, in each by mass
    groups: Floats  # (g + 1,) of ``cumulative`` at the ends of the groups
    density: float  # of all of them, a square arcsec

    @classmethod
    def of(cls, population: Population, tmag: float) -> "Background | None":
        fainter = population.tmag - tmag
        group = np.floor(fainter / ALIKE).astype(np.int64)
        order = np.lexsort((population.mass, group))
        order = order[fainter[order] >= 0]
        count = np.ones(fainter.size) if population.count is None else population.count
        total = float(count[order].sum())
        if not total > 0:
            return None
        cumulative = np.cumsum(count[order]) / total
        ends = np.append(np.flatnonzero(np.diff(group[order])), order.size - 1)
        return cls(
            fainter[order],
            population.mass[order],
            population.radius[order],
            population.teff[order],
            cumulative,
            np.concatenate(([0.0], cumulative[ends])),
            total / population.area / 3600.0**2,
        )

    def pick(self, u: Floats, v: Floats) -> np.ndarray:
        """Which stars two uniform numbers choose: how bright, then how massive."""
        at = np.minimum(np.searchsorted(self.groups, u * self.groups[-1], side="right"), self.groups.size - 1)
        low, high = self.groups[at - 1], self.groups[at]
        return np.minimum(np.searchsorted(self.cumulative, low + v * (high - low)), self.fainter.size - 1)

    def ln_chance(self, fainter: Floats, room: Room) -> Floats:
        """That one lies in the room left, 1 at most."""
        return np.minimum(math.log(self.density) + room.ln_area(fainter), 0.0)


def disc(ra: float | None, dec: float | None, area: float = 0.1) -> Population:
    """The built-in model: dwarfs in two exponential discs and a halo, dimmed by a layer of dust.

    Parameters
    ----------
    ra, dec : float, optional
        Degrees. Unknown: galactic latitude 20, towards the centre's meridian.
    area : float
        Square degrees.

    Returns
    -------
    Population
        Cells of mass and distance, with the number of stars each stands for.

    Notes
    -----
    A mass function after Kroupa (2001) below, and that of old discs above, a solar mass. Giants, arms, the bulge and
    clouds of dust are left out: good to a factor of two away from the plane, of a few within 10 degrees of it. A
    TRILEGAL or Gaia table of the field is better.
    """
    if ra is None or dec is None:
        longitude, latitude = 0.0, math.radians(BLIND_LATITUDE)
        place = f"galactic latitude {BLIND_LATITUDE:g} assumed"
    else:
        longitude, latitude = galactic(ra, dec)
        place = f"galactic latitude {math.degrees(latitude):.0f}"
    edges = np.concatenate((np.linspace(0.1, 1.0, 19), (1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5)))
    mass = 0.5 * (edges[1:] + edges[:-1])
    # Kroupa below 0.5; above, the index that stars which still live leave
    number = np.where(mass < 0.5, (mass / 0.5) ** -1.3, np.where(mass < 1, (mass / 0.5) ** -2.3, 2**-2.3 * mass**-5.0))
    number = number * np.diff(edges)
    number = number / number.sum()
    far = np.geomspace(10.0, 60_000.0, 141)
    away = np.sqrt(far[1:] * far[:-1])
    shell = area * math.radians(1) ** 2 * (far[1:] ** 3 - far[:-1] ** 3) / 3
    height = away * math.sin(latitude) + SUN_HEIGHT
    across = away * math.cos(latitude)
    centre = np.sqrt(SUN_RADIUS**2 + across**2 - 2 * SUN_RADIUS * across * math.cos(longitude))
    density = HALO * (np.hypot(centre, height) / SUN_RADIUS) ** -2.8
    for share, thick, long in LAYERS:
        density = density + share * np.exp(-(np.abs(height) - SUN_HEIGHT) / thick - (centre - SUN_RADIUS) / long)
    slope = abs(math.sin(latitude)) / DUST_HEIGHT
    dimmed = DUST * np.where(slope * away > 1e-6, -np.expm1(-slope * away) / max(slope, 1e-12), away)
    tmag = stars.magnitude_of(mass)[:, None] + 5 * np.log10(away / 10) + dimmed
    count = number[:, None] * NEAR_THE_SUN * density * shell
    seen = (tmag < FAINTEST) & (count > 0)
    masses = np.broadcast_to(mass[:, None], tmag.shape)[seen]
    return Population(
        tmag[seen],
        masses,
        stars.radius_of(masses),
        stars.teff_of(masses),
        area,
        f"built-in model of the disc to T = {FAINTEST:g}, {place}",
        count[seen],
    )


def galactic(ra: float, dec: float) -> tuple[float, float]:
    """Galactic longitude and latitude of a place in degrees, radians."""
    pole_ra, pole_dec, pole_l = (math.radians(value) for value in GALACTIC_POLE)
    a, d = math.radians(ra) - pole_ra, math.radians(dec)
    latitude = math.asin(math.sin(d) * math.sin(pole_dec) + math.cos(d) * math.cos(pole_dec) * math.cos(a))
    longitude = pole_l - math.atan2(
        math.cos(d) * math.sin(a), math.sin(d) * math.cos(pole_dec) - math.cos(d) * math.sin(pole_dec) * math.cos(a)
    )
    return longitude, latitude
