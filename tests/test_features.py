import dataclasses
import math

import numpy as np
import pytest
from transit_sky import cadences, cleaned, signal, trapezoid

from pipeline.features import features
from pipeline.fold import fold
from pipeline.types import Star, Verdict
from pipeline.vet import vet

NAMES = (
    "log10_period", "log10_depth", "duration_over_period", "log10_snr", "odd_even_sigma", "secondary_sigma",
    "secondary_over_primary", "centroid_offset", "centroid_sigma", "tmag", "radius", "teff", "n_transits",
    "duration_ratio",
)  # fmt: skip
PLANET = signal(3.0, 1326.4, 0.125, 0.002)


def scene(centroids=True):
    rng = np.random.default_rng(1)
    time = cadences()
    flux = 1 - PLANET.depth * trapezoid(time, 3.0, 1326.4, 0.125) + 3e-4 * rng.normal(size=time.size)
    centroid = (1e-3 * rng.normal(size=time.size), 1e-3 * rng.normal(size=time.size)) if centroids else None
    return cleaned(time, flux, 3e-4, centroid)


def test_a_known_star_fills_every_scalar():
    star = Star(tmag=9.1, teff=5800.0, logg=4.4, radius=1.0)
    light_curve = scene()
    views = fold(light_curve, PLANET)
    scalars = features(light_curve, views, PLANET, star, vet(light_curve, views, PLANET, star))
    assert tuple(scalars) == NAMES
    assert all(isinstance(value, float) and math.isfinite(value) for value in scalars.values())
    assert scalars["log10_period"] == pytest.approx(math.log10(3.0))
    assert scalars["log10_depth"] == pytest.approx(math.log10(0.002))
    assert scalars["n_transits"] == 8  # the ninth falls into the pause of the sector
    # 3.0 h against 2.7 h for a central transit of a star like the Sun
    assert scalars["duration_ratio"] == pytest.approx(1.1, abs=0.1)


def test_what_is_unknown_is_none_and_never_zero():
    light_curve = scene(centroids=False)
    views = fold(light_curve, PLANET)
    scalars = features(light_curve, views, PLANET, Star(), vet(light_curve, views, PLANET, Star()))
    assert tuple(scalars) == NAMES
    for name in ("centroid_offset", "centroid_sigma", "tmag", "radius", "teff", "duration_ratio"):
        assert scalars[name] is None


def test_a_broken_test_or_a_nan_gives_none():
    light_curve = scene()
    views = fold(light_curve, PLANET)
    findings = [
        dataclasses.replace(finding, status=Verdict.ERROR) for finding in vet(light_curve, views, PLANET, Star())
    ]
    scalars = features(light_curve, views, PLANET, Star(tmag=math.nan), findings)
    assert scalars["odd_even_sigma"] is None
    assert scalars["centroid_offset"] is None
    assert scalars["tmag"] is None
