"""False-positive probabilities: integrals that are right, and verdicts that follow from the sky we made."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.simulate.eclipses import Orbit, Planet, planet_light
from pipeline.types import Star
from pipeline.validation import (
    ValidateSettings,
    ValidationCase,
    band_of,
    validate,
)
from pipeline.validation.evidence import integrate

SUN = Star(tmag=10.5, teff=5772.0, radius=1.0, mass=1.0)
FAST = ValidateSettings(samples=500, least_effective=10)
NOBODY = replace(FAST, require=())


@pytest.fixture
def planet():
    """A planet of 2.7 Earth radii on a circle of 5 days around the Sun, folded into 60 bins."""
    orbit = Orbit(5.0, 0.0, 12.3, 0.3)
    time = np.linspace(-0.2, 0.2, 60)
    flux = planet_light(Planet(orbit, 2.7 / 109.1), time, (0.3, 0.25), 0.4 / 60)
    noise = 8e-5 * np.random.default_rng(0).standard_normal(time.size)
    return ValidationCase(
        time, flux + noise, np.full(time.size, 8e-5), 0.4 / 60, 5.0, SUN, 1.0, (), 0.0, 3e-5, offset=None
    )


def test_the_evidence_of_a_gaussian_is_what_it_is_on_paper():
    """Normal prior, normal likelihood, strongly correlated: ln Z is known."""
    random = np.random.default_rng(3)
    errors = []
    for trial in range(6):
        design = random.normal(size=(30, 4))
        design[:, 1] = design[:, 0] + 0.1 * design[:, 1]
        truth, sigma = random.standard_normal(4), 0.3
        data = design @ truth + sigma * random.standard_normal(30)

        def likelihood(x, data=data, design=design, sigma=sigma):
            return -0.5 * (((data - x @ design.T) / sigma) ** 2).sum(axis=1)

        covariance = sigma**2 * np.eye(30) + design @ design.T
        exact = -0.5 * data @ np.linalg.solve(covariance, data)
        exact -= 0.5 * (np.linalg.slogdet(covariance)[1] - 30 * math.log(sigma**2))
        found = integrate(likelihood, 4, 3000, np.random.default_rng(trial))
        errors.append(found.ln_evidence - exact)
        assert abs(found.ln_evidence - exact) < max(4 * found.err, 0.02)
    assert np.abs(errors).mean() < 0.05


def test_a_planet_is_a_planet(planet):
    found = validate(planet, NOBODY)
    assert found.scenarios[0].name == "TP"
    assert found.classes["eb"] < 1e-6
    assert found.planet_radius == pytest.approx(2.7, rel=0.1)


def test_the_bands_are_those_of_the_paper():
    assert band_of(0.01, 1e-4) == "validated"
    assert band_of(0.2, 1e-4) == "likely_planet"
    assert band_of(0.7, 1e-4) == "false_positive"
    assert band_of(0.01, 0.01) == "not_decided"
    assert band_of(0.01, 0.2) == "likely_nearby_false_positive"
