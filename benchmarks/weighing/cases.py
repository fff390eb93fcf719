"""What is weighed: forty simulated cases with what TRICERATOPS says of them, and a few real signals."""

import json
import math
import time as clock
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.oracles.triceratops_cases import FIELD, REAL
from benchmarks.oracles.triceratops_cases import population as synthetic
from hunter.populations import read_contrast, read_population
from pipeline.limb_darkening import quadratic
from pipeline.types import SUN_LOGG, Star
from pipeline.validation import ContrastCurve, Neighbour, Population, ValidateSettings, ValidationCase

HERE = Path(__file__).parents[1]
ORACLE = HERE / "data" / "triceratops.json"
VETO = 1.197  # of the points' sigma: a normal limit on the secondary as wide as the oracle's veto at 1.5 sigma
SUN = Star(tmag=10.5, teff=5772.0, radius=1.0, mass=1.0, ra=90.0, dec=-30.0)
LAW = quadratic(SUN).coefficients
NOTHING_REQUIRED = ValidateSettings(require=())
Row = dict[str, Any]
Pieces = Iterable[tuple[str, Callable[[], Row]]]


def now(action: Callable[[], Any]) -> tuple[Any, float]:
    """What an action returns and the processor seconds it took."""
    begun = clock.process_time()
    found = action()
    return found, clock.process_time() - begun


def sig(value: float | None) -> float | None:
    """Three figures, so that the record stays readable."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.3g}")


@lru_cache(maxsize=8)
def population(name: str, tables: Path) -> Population:
    if name in REAL:
        import pandas

        table = pandas.read_csv(tables / REAL[name])
        known = table[pandas.to_numeric(table["Mact"], errors="coerce").notna()]
        columns = {key: known[key].astype(float).to_numpy() for key in ("Mact", "logg", "logTe", "TESS")}
    else:
        columns = synthetic(name)
    mass, logg = columns["Mact"], columns["logg"]
    return Population(
        columns["TESS"], mass, np.sqrt(mass / 10 ** (logg - SUN_LOGG)), 10 ** columns["logTe"], FIELD, name
    )


def oracle_case(given: Row, tables: Path) -> ValidationCase:
    """One of the forty, as our engine takes it."""
    star = given["star"]
    shown = None if given["contrast"] is None else np.array(given["contrast"], dtype=float)
    return ValidationCase(
        phase_time=np.linspace(-given["span"], given["span"], given["points"]),
        flux=1 + 1e-6 * np.array(given["flux_ppm"], dtype=float),
        flux_err=np.full(given["points"], given["sigma"]),
        exposure=given["exposure"],
        period=given["period"],
        star=Star(tmag=star["tmag"], teff=float(star["teff"]), radius=star["radius"], mass=star["mass"]),
        host_share=given["host_share"],
        neighbours=tuple(
            Neighbour(one["key"], one["separation_arcsec"], one["tmag"], one["share"], place(one))
            for one in given["neighbours"]
        ),
        secondary_depth=0.0,
        secondary_err=VETO * given["sigma"],
        population=population(given["population"], tables),
        contrast=None if shown is None else ContrastCurve(shown[:, 0], shown[:, 1]),
        distance=1000 / star["parallax_mas"],
    )


def place(neighbour: Row) -> tuple[float, float]:
    """Arcsec east and north."""
    angle = math.radians(neighbour["position_angle"])
    return neighbour["separation_arcsec"] * math.sin(angle), neighbour["separation_arcsec"] * math.cos(angle)


def given_cases(kinds: Iterable[str] = ("planet", "binary", "blend", "neighbour")) -> list[Row]:
    return [case for case in json.loads(ORACLE.read_text())["cases"] if case["name"].split("-")[0] in kinds]


# light curves folded by the authors of TRICERATOPS+ (JGB276/TRICERATOPS-plus, examples), their contrast curves and
# TRILEGAL tables; periods and stars of the papers. Where a table gives no star, one like the Sun is taken.
SIGNALS: dict[str, Row] = {
    "TOI-465, no image": {
        "curve": "TOI465_01_lightcurve.csv",
        "period": 3.836169,
        "star": Star(tmag=10.75, teff=4910.0, radius=0.76, mass=0.842, ra=32.782, dec=2.418),
        "distance": 122.0,
        "known": "WASP-156 b, a planet of 0.13 Jupiter masses (Demangeon et al. 2018)",
    },
    "TOI-4155, a star like the Sun": {
        "curve": "TOI4155_01_TESS_lightcurve.txt",
        "period": 3.320729,
        "star": Star(tmag=11.0, teff=5772.0, radius=1.0, mass=1.0),
        "contrast": "TOI4155_01_contrast_curve.csv",
        "population": "467331291_TRILEGAL.csv",
        "known": "validated by TRICERATOPS+ with FPP 1.7e-4",
    },
    "Kepler-10 b": {
        "curve": "Kepler10b_lightcurve.csv",
        "period": 0.8374907,
        "star": Star(tmag=10.4, teff=5627.0, radius=1.065, mass=0.91, ra=285.679, dec=50.241),
        "distance": 187.0,
        "band": "Kepler",
        "known": "a planet of 3.3 Earth masses (Dumusque et al. 2014)",
    },
}
SIGNALS["TOI-465"] = SIGNALS["TOI-465, no image"] | {"contrast": "TOI465_01_contrastcurve.csv"}
SIGNALS["TOI-465, the crowded field of TOI-4051"] = SIGNALS["TOI-465"] | {"population": "237101326_TRILEGAL.csv.gz"}
SIGNALS["TOI-4155, no image"] = SIGNALS["TOI-4155, a star like the Sun"] | {"contrast": None}


def curve_of(given: Row, tables: Path) -> Path:
    return tables / f"TRICERATOPS-plus__{given['curve']}"


def real_case(given: Row, tables: Path) -> ValidationCase:
    text = curve_of(given, tables).read_text().replace(",", " ")
    time, flux, err = np.array([line.split() for line in text.splitlines()], dtype=float).T
    out = np.abs(time) > 0.06
    near = {key: tables / f"TRICERATOPS-plus__{given[key]}" for key in ("contrast", "population") if given.get(key)}
    return ValidationCase(
        time,
        flux / flux[out].mean(),
        np.maximum(err, float(np.std(flux[out]))),
        exposure=0.00139,
        period=given["period"],
        star=given["star"],
        population=read_population(near["population"], FIELD) if "population" in near else None,
        contrast=read_contrast(near["contrast"]) if "contrast" in near else None,
        distance=given.get("distance"),
        band=given.get("band", "TESS"),
    )
