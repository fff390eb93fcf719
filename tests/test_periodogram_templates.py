"""What the limb-darkened template keeps of transits of stars it was not made for."""

import numpy as np
import pytest

from pipeline.limb_darkening import quadratic
from pipeline.periodogram import binned
from pipeline.simulate.eclipses import disc
from pipeline.types import Star

STARS = {
    "M5": Star(teff=3060.0, logg=5.06),
    "M2": Star(teff=3560.0, logg=4.78),
    "K5": Star(teff=4440.0, logg=4.59),
    "Sun": Star(teff=5772.0, logg=4.438),
    "F5": Star(teff=6550.0, logg=4.23),
    "A0": Star(teff=9700.0, logg=4.09),
    "giant": Star(teff=4750.0, logg=2.5),
}
TRANSITS = [(ratio, impact) for ratio in (0.01, 0.03, 0.1) for impact in (0.0, 0.3, 0.6, 0.8)]


def kept(star, ratio, impact, template="limb-darkened"):
    """Share of the signal-to-noise of a noiseless transit that a template collects at its best duration."""
    half = np.sqrt((1 + ratio) ** 2 - impact**2)
    along = np.linspace(-1.1, 1.1, 1501)
    transit = 1 - disc(np.hypot(along * half, impact), ratio, quadratic(star).coefficients)

    def share(width):
        shape = binned.template_shape(template, along / width)
        return shape @ transit / np.sqrt((shape @ shape) * (transit @ transit))

    return max(share(width) for width in np.linspace(0.7, 1.06, 73))


@pytest.mark.parametrize("name", STARS)
def test_one_limb_darkened_template_keeps_the_transits_of_every_star(name):
    shares = np.array([kept(STARS[name], *transit) for transit in TRANSITS])
    assert shares.min() > 0.99
    assert shares.mean() > 0.997


@pytest.mark.parametrize("name", STARS)
def test_a_stars_own_coefficients_would_not_find_more(name, monkeypatch):
    """Why the search has no template for each class of star: length of ingress and impact parameter matter more."""
    fixed = np.array([kept(STARS[name], *transit) for transit in TRANSITS])
    monkeypatch.setattr(binned, "LIMB_DARKENING", quadratic(STARS[name]).coefficients)
    own = np.array([kept(STARS[name], *transit) for transit in TRANSITS])
    assert (own - fixed).max() < 0.002
    assert (own - fixed).mean() < 0.001


@pytest.mark.parametrize("name", STARS)
def test_a_darkened_star_is_seen_better_with_it_than_with_a_box(name):
    for transit in TRANSITS:
        assert kept(STARS[name], *transit) > kept(STARS[name], *transit, "box")
