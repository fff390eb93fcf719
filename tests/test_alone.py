"""A star's weaker signals are judged without the transits of its stronger ones."""

import dataclasses

import numpy as np
import pytest
from transit_sky import cadences, cleaned, trapezoid

from pipeline.alone import alone, left_out, pixels_alone
from pipeline.fold import fold
from pipeline.search import SearchSettings, search
from pipeline.types import Product, Star, TargetPixels, Verdict
from pipeline.vet import vet

WIDTH = SearchSettings().mask_width
INNER, OUTER = (4.451, 1327.3, 0.13, 0.008), (11.474, 1330.0, 0.16, 0.002)
SUN = Star(teff=5772.0, logg=4.438, radius=1.0, mass=1.0)


def searched(*dips):
    """A star with these dips (period, epoch, duration, depth), and what is found."""
    time = cadences()
    flux = 1 + 3e-4 * np.random.default_rng(4).normal(size=time.size)
    for period, epoch, duration, depth in dips:
        flux -= depth * trapezoid(time, period, epoch, duration)
    curve = cleaned(time, flux, 3e-4)
    return curve, search(curve.flat, SearchSettings(bin_minutes=10.0, max_signals=3), SUN)


def judged(curve, signal):
    views = fold(curve, signal)
    return views, {finding.test: finding for finding in vet(curve, views, signal, SUN)}


@pytest.fixture(scope="module")
def two_planets():
    return searched(INNER, OUTER)


def test_the_transits_of_a_sister_are_no_secondary_of_the_weaker_planet(two_planets):
    curve, found = two_planets
    second = found.signals[1]
    assert second.period == pytest.approx(OUTER[0], abs=0.02)
    assert second.alias_of is None
    _, beside = judged(curve, second)
    assert beside["uniqueness"].status is Verdict.FAIL  # what is wrong with judging it beside its sister
    own = alone(curve, second, found, WIDTH)
    views, by_itself = judged(own, second)
    assert Verdict.FAIL not in {finding.status for finding in by_itself.values()}
    assert by_itself["uniqueness"].status is Verdict.PASS
    assert by_itself["secondary"].status is Verdict.PASS
    assert len(views.light_curve) == own.exposure.size < len(curve.flat)
    (note,) = left_out(own, second)
    assert note.startswith(f"{len(curve.flat) - len(own.flat)} cadences in the transits of the stronger signal ")


def test_the_strongest_is_judged_with_all_there_is(two_planets):
    curve, found = two_planets
    assert alone(curve, found.signals[0], found, WIDTH) is curve
    assert left_out(curve, found.signals[0]) == ()


def test_the_class_of_the_star_is_read_from_all_of_its_light(two_planets):
    curve, found = two_planets
    own = alone(curve, found.signals[1], found, WIDTH)
    assert own.whole is curve
    (_, whole), (_, masked) = (
        judged(own, found.signals[1]),
        judged(dataclasses.replace(own, whole=None), found.signals[1]),
    )
    of_all = {finding.test: finding for finding in vet(curve, fold(curve, found.signals[1]), found.signals[1], SUN)}
    assert whole["variability"].value == of_all["variability"].value != masked["variability"].value


def test_an_eclipse_of_the_same_binary_is_never_hidden():
    """Its secondary is a harmonic, which is not judged; its primary is the strongest, from which nothing is hidden."""
    period, epoch, duration, depth = 3.1, 1327.0, 0.14, 0.02
    curve, found = searched((period, epoch, duration, depth), (period, epoch + 0.5 * period, duration, 0.4 * depth))
    primary, *others = found.signals
    assert all(other.alias_of is not None for other in others)
    _, findings = judged(alone(curve, primary, found, WIDTH), primary)
    assert findings["secondary"].status is Verdict.FAIL


def test_the_images_of_a_sisters_transits_go_too(two_planets):
    curve, found = two_planets
    time = curve.flat.time
    flux = np.broadcast_to(np.arange(time.size, dtype=float)[:, None, None], (time.size, 2, 3))
    product = Product(uri="", sha256="", mission="TESS", author="", flux_column="")
    pixels = TargetPixels(product, time, flux, flux, np.zeros(time.size, int), np.ones((2, 3), bool), 1, 1, {})
    own = pixels_alone(pixels, found.signals[1], found, WIDTH)
    assert own.time.tolist() == alone(curve, found.signals[1], found, WIDTH).flat.time.tolist()
    assert own.time.tolist() == time[own.flux[:, 0, 0].astype(int)].tolist()
    assert own.flux.shape == own.flux_err.shape == (own.time.size, 2, 3)
    assert own.quality.shape == own.time.shape
    assert pixels_alone(pixels, found.signals[0], found, WIDTH) is pixels
