"""A star's weaker signals are judged without the eclipses among its stronger ones."""

import dataclasses

import numpy as np
import pytest
from transit_sky import cadences, cleaned, trapezoid

from pipeline.alone import alone, eclipsing, left_out, pixels_alone
from pipeline.fold import fold
from pipeline.search import SearchSettings, search
from pipeline.types import Finding, Product, Star, TargetPixels, TransitSignal, Verdict
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
    curve, found = searched(INNER, OUTER)
    _, findings = judged(curve, found.signals[0])
    others = eclipsing(curve, found.signals[1], found.signals, {1: tuple(findings.values())}, WIDTH)
    assert others == found.signals[:1]
    return curve, found, others


def test_the_transits_of_a_sister_are_no_secondary_of_the_weaker_planet(two_planets):
    curve, found, others = two_planets
    second = found.signals[1]
    assert second.period == pytest.approx(OUTER[0], abs=0.02)
    assert second.alias_of is None
    _, beside = judged(curve, second)
    assert beside["uniqueness"].status is Verdict.FAIL  # what is wrong with judging it beside its sister
    own = alone(curve, others, WIDTH)
    views, by_itself = judged(own, second)
    assert Verdict.FAIL not in {finding.status for finding in by_itself.values()}
    assert by_itself["uniqueness"].status is Verdict.PASS
    assert by_itself["secondary"].status is Verdict.PASS
    assert len(views.light_curve) == own.exposure.size < len(curve.flat)
    assert left_out(own, others) == (
        f"{len(curve.flat) - len(own.flat)} cadences in the transits of stronger signals, "
        f"{others[0].period:.4f} d, are left out",
    )


def test_the_strongest_is_judged_with_all_there_is(two_planets):
    curve, _, _ = two_planets
    assert alone(curve, (), WIDTH) is curve
    assert left_out(curve, ()) == ()


FAILED = {
    name: (Finding(name, Verdict.FAIL, None, None, None, ""),)
    for name in ("strength", "uniqueness", "sine_wave", "secondary", "centroid")
}


@pytest.mark.parametrize(
    ("findings", "hidden"),
    [
        (None, False),  # not judged
        (FAILED["strength"], False),  # noise
        (FAILED["uniqueness"], False),
        (FAILED["sine_wave"], False),  # the star's own wave
        (FAILED["secondary"], True),  # the eclipses of a binary hide its planet
        (FAILED["centroid"], True),  # and so do a neighbour's
        ((), True),  # nothing is known against it
    ],
)
def test_eclipses_are_hidden_and_noise_is_not(two_planets, findings, hidden):
    curve, _, _ = two_planets
    strong = TransitSignal(2.0, 1326.0, 0.1, 0.01, 40.0, number=1)
    half = dataclasses.replace(strong, period=1.0, number=2, alias_of=1)
    weak = TransitSignal(3.7, 1327.4, 0.1, 0.001, 9.0, number=3)
    judged = {} if findings is None else {1: findings}

    def found(*signals):
        return eclipsing(curve, signals[-1], signals, judged, WIDTH)

    assert found(strong, half, weak) == ((strong, half) if hidden else ())
    assert found(dataclasses.replace(strong, duration=0.5), half, weak) == ()  # half of the light would go
    assert found(strong, half, dataclasses.replace(weak, period=2.003, epoch=1326.0)) == ()  # and all of its own
    assert found(strong) == ()


def test_the_class_of_the_star_is_read_from_all_of_its_light(two_planets):
    curve, found, others = two_planets
    second, own = found.signals[1], alone(curve, others, WIDTH)
    assert own.whole is curve
    classes = [
        judged(one, second)[1]["variability"].value for one in (curve, own, dataclasses.replace(own, whole=None))
    ]
    assert classes[0] == classes[1] != classes[2]


def test_an_eclipse_of_the_same_binary_is_never_hidden():
    """Its secondary is a harmonic, which is not judged; its primary is the strongest, from which nothing is hidden."""
    period, epoch, duration, depth = 3.1, 1327.0, 0.14, 0.02
    curve, found = searched((period, epoch, duration, depth), (period, epoch + 0.5 * period, duration, 0.4 * depth))
    primary, *others = found.signals
    assert all(other.alias_of is not None for other in others)
    _, findings = judged(curve, primary)
    assert findings["secondary"].status is Verdict.FAIL


def test_the_images_of_a_sisters_transits_go_too(two_planets):
    curve, _, others = two_planets
    time = curve.flat.time
    flux = np.broadcast_to(np.arange(time.size, dtype=float)[:, None, None], (time.size, 2, 3))
    product = Product(uri="", sha256="", mission="TESS", author="", flux_column="")
    pixels = TargetPixels(product, time, flux, flux, np.zeros(time.size, int), np.ones((2, 3), bool), 1, 1, {})
    own = pixels_alone(pixels, others, WIDTH)
    assert own.time.tolist() == alone(curve, others, WIDTH).flat.time.tolist()
    assert own.time.tolist() == time[own.flux[:, 0, 0].astype(int)].tolist()
    assert own.flux.shape == own.flux_err.shape == (own.time.size, 2, 3)
    assert own.quality.shape == own.time.shape
    assert pixels_alone(pixels, (), WIDTH) is pixels
