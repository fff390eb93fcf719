"""What TRICERATOPS 1.1.0 says of a planet is near what we say; benchmarks/validation.py has the forty cases."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.types import Star
from pipeline.validation import Population, ValidateSettings, ValidationCase, validate

ROOT = Path(__file__).parents[1]


def dense_field():
    """The field of the case, drawn as the oracle's table of it was."""
    rng = np.random.default_rng(3)
    mass = (0.1**-1.0 + rng.uniform(size=1500) * (1.4**-1.0 - 0.1**-1.0)) ** -1.0
    giant = rng.uniform(size=1500) < 0.04
    mass = np.where(giant, rng.uniform(1.0, 1.6, 1500), mass)
    distance = rng.gamma(3.0, 500.0, 1500) * np.where(mass < 0.5, 0.4, 1.0) + 30.0
    tess = np.where(giant, rng.normal(0.8, 0.8, 1500), 4.2 - 10 * np.log10(mass)) + 5 * np.log10(distance / 10)
    return Population(tess, mass, mass**0.9, 5770 * mass**0.55, 0.1, "simulated")


def test_the_planets_scenarios_weigh_what_the_oracle_says():
    document = json.loads((ROOT / "benchmarks/data/triceratops.json").read_text())
    given = next(case for case in document["cases"] if case["name"] == "planet-02")  # no neighbours, a dense field
    star = given["star"]
    found = validate(
        ValidationCase(
            np.linspace(-given["span"], given["span"], given["points"]),
            1 + 1e-6 * np.array(given["flux_ppm"], dtype=float),
            np.full(given["points"], given["sigma"]),
            given["exposure"],
            given["period"],
            Star(tmag=star["tmag"], teff=float(star["teff"]), radius=star["radius"], mass=star["mass"]),
            secondary_depth=0.0,
            secondary_err=1.2 * given["sigma"],
            population=dense_field(),
            distance=1000 / star["parallax_mas"],
        ),
        ValidateSettings(samples=500, require=()),
    )
    ours = {one.name: one.ln_evidence for one in found.scenarios}
    runs = [run["ln_evidence"] for run in given["oracle"]["eccentric"].values()]
    theirs = {
        name: math.log(np.mean([math.exp(run[name] - run["TP"]) for run in runs])) for name in ("PTP", "STP", "DTP")
    }
    # half a unit in the logarithm, and what 200,000 draws from the prior leave open
    assert {name: ours[name] - ours["TP"] for name in theirs} == pytest.approx(theirs, abs=0.7)
    assert found.fpp == pytest.approx(np.mean([run["fpp"] for run in given["oracle"]["eccentric"].values()]), rel=0.6)
