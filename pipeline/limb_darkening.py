"""How much darker a star's limb is than its centre, from its temperature and gravity."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline import limb_darkening_tables as tables
from pipeline.types import Floats, Star

Band = Literal["TESS", "Kepler"]

SOLAR_TEFF = 5772.0  # K; IAU 2015 Resolution B3
SOLAR_LOGG = 4.438
ALL_PHOENIX, ALL_ATLAS = 3500.0, 4000.0  # K; where both models exist, one hands over to the other
# Teff and log g along the main sequence, from masses and radii of Pecaut & Mamajek (2013, ApJS 208, 9; table of 2022)
DWARF = np.array([
    (2420, 5.31), (2930, 5.14), (3270, 4.92), (3560, 4.78), (3990, 4.65), (4600, 4.60), (5270, 4.56), (5770, 4.43),
    (6350, 4.27), (7020, 4.16), (8100, 4.21), (9700, 4.09),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class LimbDarkening:
    """The quadratic law: I(mu) / I(1) = 1 - u1 (1 - mu) - u2 (1 - mu)**2."""

    u1: float
    u2: float
    source: str  # the published table
    note: str = ""  # what was assumed or clipped; empty when the star itself was looked up

    @property
    def coefficients(self) -> tuple[float, float]:
        return self.u1, self.u2


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """One table: its temperatures, its gravities and both coefficients at each pair."""

    source: str
    teff: Floats  # (t,) K
    logg: Floats  # (g,)
    coefficients: Floats  # (t, g, 2)

    def at(self, teff: float, logg: float) -> tuple[float, float]:
        """Bilinear between the four cells around a star, which must lie inside the table."""
        i = min(int(np.searchsorted(self.teff, teff, side="right")), self.teff.size - 1)
        j = min(int(np.searchsorted(self.logg, logg, side="right")), self.logg.size - 1)
        x = (teff - self.teff[i - 1]) / (self.teff[i] - self.teff[i - 1])
        y = (logg - self.logg[j - 1]) / (self.logg[j] - self.logg[j - 1])
        cell = self.coefficients[i - 1 : i + 1, j - 1 : j + 1]
        u = (cell * np.outer([1 - x, x], [1 - y, y])[:, :, None]).sum(axis=(0, 1))
        return float(u[0]), float(u[1])


def _grid(source: str, rows: Floats, logg: Floats) -> _Grid:
    return _Grid(source, rows[:, 0].astype(float), logg, rows[:, 1:].reshape(len(rows), logg.size, 2) / 10_000)


TESS_COOL = _grid("Claret (2017), PHOENIX", tables.TESS_COOL, tables.TESS_COOL_LOGG)
TESS_WARM = _grid("Claret (2017), ATLAS", tables.TESS_WARM, tables.TESS_WARM_LOGG)
KEPLER_WARM = _grid("Claret & Bloemen (2011), ATLAS", tables.KEPLER_WARM, tables.KEPLER_WARM_LOGG)


def quadratic(star: Star, band: Band = "TESS") -> LimbDarkening:
    """Look up the quadratic coefficients of a star.

    Parameters
    ----------
    star : Star
        Without a temperature the Sun is assumed. Without log g it follows from mass and radius, and without these from
        the temperature along the main sequence.
    band : {"TESS", "Kepler"}

    Returns
    -------
    LimbDarkening
        Its note says what was assumed, and which value lies outside the tables and was moved to their edge.

    Raises
    ------
    ValueError
        If there is no such band.

    Notes
    -----
    TESS: PHOENIX models to 3500 K, ATLAS from 4000 K, and between them a mean that slides from one to the other, as
    they differ by up to 0.25 in u1 there. Kepler: ATLAS only, so that stars below 3500 K are given the edge. Between
    the models the law is uncertain by about 0.1 in each coefficient: a fit should let it move, not fix it. Solar
    metallicity is assumed throughout.
    """
    if band not in ("TESS", "Kepler"):
        raise ValueError(f"no limb darkening is tabulated for {band!r}; there is TESS, Kepler")
    teff, logg, notes = _temperature_and_gravity(star)
    if band == "Kepler":
        mix = [(KEPLER_WARM, 1.0)]
    else:
        share = float(np.clip((teff - ALL_PHOENIX) / (ALL_ATLAS - ALL_PHOENIX), 0.0, 1.0))
        mix = [(grid, weight) for grid, weight in ((TESS_COOL, 1.0 - share), (TESS_WARM, share)) if weight > 0]
    u1 = u2 = 0.0
    for grid, weight in mix:
        inside = _inside(teff, grid.teff), _inside(logg, grid.logg)
        first, second = grid.at(*inside)
        u1, u2 = u1 + weight * first, u2 + weight * second
        if inside[0] != teff:
            notes.append(f"{teff:.0f} K is outside the {grid.source} table: its edge at {inside[0]:.0f} K is taken")
        if inside[1] != logg:
            notes.append(f"log g {logg:.2f} is outside the {grid.source} table: its edge at {inside[1]:.1f} is taken")
    return LimbDarkening(u1, u2, " and ".join(grid.source for grid, _ in mix), "; ".join(notes))


def _temperature_and_gravity(star: Star) -> tuple[float, float, list[str]]:
    """What to look up, and what had to be assumed for it."""
    teff = _positive(star.teff)
    if teff is None:
        return SOLAR_TEFF, SOLAR_LOGG, ["temperature unknown: the Sun is assumed"]
    if star.logg is not None and math.isfinite(star.logg):
        return teff, star.logg, []
    mass, radius = _positive(star.mass), _positive(star.radius)
    if mass is not None and radius is not None:
        return teff, SOLAR_LOGG + math.log10(mass / radius**2), ["log g follows from mass and radius"]
    return teff, float(np.interp(teff, DWARF[:, 0], DWARF[:, 1])), ["log g unknown: a dwarf is assumed"]


def _positive(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _inside(value: float, nodes: Floats) -> float:
    return float(np.clip(value, nodes[0], nodes[-1]))
