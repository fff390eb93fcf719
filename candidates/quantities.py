"""What was measured of a candidate, with its errors on either side, from its evidence alone.

A converged fit comes before the search, value by value: what a fit leaves open is the search's, and each value says
whose it is. Columns of tables, macros of LaTeX and cells of the ExoFOP file are all made of this.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity: its name in fit, table and schema, and how others write it."""

    name: str
    unit: str  # as astropy spells it; empty is a pure number
    says: str
    ucd: str  # IVOA UCD1+
    symbol: str  # LaTeX, in math mode
    latex_unit: str = ""


QUANTITIES = (
    Quantity("period_days", "d", "orbital period", "time.period", "P", r"\mathrm{d}"),
    Quantity("epoch_btjd", "d", "transit centre, BJD - 2457000 (TDB)", "time.epoch", "T_0", r"\mathrm{BTJD}"),
    Quantity("duration_hours", "h", "first to last contact", "time.duration", "T_{14}", r"\mathrm{h}"),
    Quantity("depth_ppm", "", "transit depth, parts per million", "phot.flux;arith.ratio", r"\delta", r"\mathrm{ppm}"),
    Quantity("radius_ratio", "", "planet radius over stellar radius", "phys.size.radius;arith.ratio", r"R_p/R_\star"),
    Quantity("impact_parameter", "", "impact parameter", "src.orbital", "b"),
    Quantity("scaled_axis", "", "semi-major axis over stellar radius", "phys.size.smajAxis;arith.ratio", r"a/R_\star"),
    Quantity("inclination_deg", "deg", "orbital inclination", "src.orbital.inclination", "i", r"{}^\circ"),
    Quantity(
        "stellar_density_cgs", "g / cm3", "stellar density from the transits", "phys.density;stat.fit", r"\rho_\star",
        r"\mathrm{g\,cm^{-3}}",
    ),
    Quantity("planet_radius_earth", "R_earth", "planet radius, Earth radii", "phys.size.radius", "R_p", r"R_\oplus"),
    Quantity("axis_au", "AU", "semi-major axis", "phys.size.smajAxis", "a", r"\mathrm{au}"),
    Quantity(
        "equilibrium_temperature_k", "K", "equilibrium temperature", "phys.temperature", r"T_\mathrm{eq}",
        r"\mathrm{K}",
    ),
    Quantity(
        "insolation_earth", "", "insolation, that of the Earth is 1", "phys.luminosity;arith.ratio", "S", r"S_\oplus",
    ),
    Quantity("limb_darkening_1", "", "limb darkening, linear term", "stat.param", "u_1"),
    Quantity("limb_darkening_2", "", "limb darkening, quadratic term", "stat.param", "u_2"),
)  # fmt: skip
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
OF_SEARCH = ("period_days", "epoch_btjd", "duration_hours", "depth_ppm")
DERIVED = ("radius_ratio", "planet_radius_earth")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value and its errors; None is unknown."""

    value: float
    minus: float | None = None  # positive
    plus: float | None = None
    source: str = "search"  # or "fit"

    @property
    def symmetric(self) -> float | None:
        """The larger of the two errors."""
        known = [error for error in (self.minus, self.plus) if error is not None]
        return max(known, default=None)


def number(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def error_of(value: object) -> float | None:
    """An error: a finite number that is not zero, its sign aside."""
    found = number(value)
    return abs(found) if found else None


def fitted(document: Document) -> dict[str, Measured]:
    """Every quantity that a converged fit measured; empty where there is none, or it did not converge."""
    fit = document["fit"]
    if fit.get("status") != "done":
        return {}
    found = {}
    for row in (fit.get("derived") or {}, fit.get("parameters") or {}):
        for name, told in row.items():
            value = number(told.get("median")) if name in BY_NAME else None
            if value is not None:
                found[name] = Measured(value, error_of(told.get("minus")), error_of(told.get("plus")), "fit")
    return found


def searched(document: Document) -> dict[str, Measured]:
    """What the search says, and what follows from it by a line of arithmetic."""
    found = {}
    for block, names in (("signal", OF_SEARCH), ("derived", DERIVED)):
        for name in names:
            value = number(document[block].get(name))
            if value is not None:
                error = error_of(document[block].get(f"{name}_err"))
                found[name] = Measured(value, error, error, "search")
    return found


def measured(document: Document) -> dict[str, Measured]:
    """Each quantity at its best: by the fit where it converged, by the search elsewhere; in the order of QUANTITIES."""
    best = searched(document) | fitted(document)
    return {quantity.name: best[quantity.name] for quantity in QUANTITIES if quantity.name in best}


def source_words(document: Document) -> str:
    """Where the values come from, in few words: ``MCMC fit``, ``search values (fit not converged)``."""
    status = document["fit"].get("status")
    if status == "done":
        return "MCMC fit"
    return f"search values ({'fit not converged' if status == 'not_converged' else 'no fit'})"


def planet_probabilities(document: Document) -> dict[str, Any]:
    """The false-positive probabilities with their errors; every one None where they were not computed."""
    block = document["validation"]
    names = ("fpp", "fpp_err_dex", "nfpp", "nfpp_err_dex")
    return {"validation_status": block.get("status")} | {name: number(block.get(name)) for name in names} | {
        "band": block.get("band")
    }  # fmt: skip


def decimals_for(error: float | None, fallback: int, most: int = 12) -> int:
    """Decimals that show two digits of an error, as many as ``most``; ``fallback`` without one."""
    if error is None or not 0 < error < math.inf:
        return fallback
    # an error of 0.0996 is shown as 0.10: the digits are counted after rounding to two
    return min(max(0, 1 - math.floor(math.log10(float(f"{error:.1e}")))), most)


def simulated(document: Document) -> bool:
    """Whether any of the light curves was never seen by a telescope."""
    return any("simulated" in (file["author"] + file["processing"]).lower() for file in document["data"]["files"])
