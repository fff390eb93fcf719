"""Limb darkening looked up for a star."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import limb_darkening
from pipeline.limb_darkening import quadratic
from pipeline.types import Star

MU = np.linspace(0.0, 1.0, 201)
BANDS = ("TESS", "Kepler")


def brightness(star, band="TESS"):
    u1, u2 = quadratic(star, band).coefficients
    return 1 - u1 * (1 - MU) - u2 * (1 - MU) ** 2


@pytest.mark.parametrize(
    ("teff", "logg", "expected"),
    [
        (2900, 5.0, (0.1998, 0.5387)),
        (3300, 4.5, (0.1710, 0.4514)),
        (3500, 5.0, (0.1604, 0.4325)),
        (4000, 4.5, (0.4090, 0.2526)),
        (4750, 2.5, (0.4547, 0.1974)),
        (5750, 4.5, (0.3075, 0.2743)),
        (10000, 4.5, (0.1493, 0.2491)),
    ],
)
def test_a_star_on_a_node_has_the_published_tess_coefficients(teff, logg, expected):
    found = quadratic(Star(teff=teff, logg=logg))
    assert found.coefficients == pytest.approx(expected, abs=1e-9)
    assert found.note == ""


def test_between_nodes_the_coefficients_are_the_mean_of_the_four_around():
    around = [quadratic(Star(teff=teff, logg=logg)).coefficients for teff in (5750, 6000) for logg in (4.0, 4.5)]
    middle = quadratic(Star(teff=5875, logg=4.25)).coefficients
    assert middle == pytest.approx(np.mean(around, axis=0), abs=1e-12)


def test_kepler_coefficients_match_those_the_mission_published_for_a_host():
    # KOI-752: 5455 K, log g 4.467 and [Fe/H] 0.14, which in the full table moves u1 by 0.011; measured: off by 0.003
    found = quadratic(Star(teff=5455.0, logg=4.467), "Kepler")
    assert found.coefficients == pytest.approx((0.4603, 0.2291), abs=0.015)


@pytest.mark.parametrize(
    ("teff", "logg", "law"),
    [
        (6220.0, 3.60, (0.42160133, 0.54525036, -0.49173722, 0.14709838)),  # TIC 117544915
        (5143.0, 4.47, (0.67591584, -0.508886, 0.9958272, -0.4449505)),  # TIC 126890217
    ],
)
def test_the_brightness_is_the_one_the_mission_used(teff, logg, law):
    """SPOC's data validation gives its four-term TESS law for these stars; two terms follow it to 0.022."""
    spoc = 1 - sum(a * (1 - MU ** (k / 2)) for k, a in enumerate(law, 1))
    inner = MU > 0.2
    np.testing.assert_allclose(brightness(Star(teff=teff, logg=logg))[inner], spoc[inner], atol=0.025)


@pytest.mark.parametrize("band", BANDS)
@given(teff=st.floats(1000, 60_000), logg=st.floats(-1.0, 7.0))
def test_every_star_is_brightest_at_its_centre_and_never_dark(band, teff, logg):
    profile = brightness(Star(teff=teff, logg=logg), band)
    assert (np.diff(profile) > 0).all()
    assert profile[0] > 0.05


@pytest.mark.parametrize("band", BANDS)
def test_no_cliff_stands_anywhere_in_the_tables(band):
    teff = np.arange(2000.0, 11_000.0, 10.0)
    for logg in (2.0, 3.0, 4.0, 4.5, 5.0, 5.5):
        found = np.array([quadratic(Star(teff=t, logg=logg), band).coefficients for t in teff])
        # the steepest published slope is 0.012 per 10 K
        assert np.abs(np.diff(found, axis=0)).max() < 0.02


@pytest.mark.parametrize("teff", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_a_star_without_a_temperature_is_taken_for_the_sun_and_says_so(teff):
    found = quadratic(Star(teff=teff, logg=5.0))
    assert found.coefficients == quadratic(Star(teff=5772.0, logg=4.438)).coefficients
    assert "the Sun is assumed" in found.note


def test_log_g_follows_from_mass_and_radius_before_a_dwarf_is_assumed():
    giant = quadratic(Star(teff=4750.0, mass=1.2, radius=10.0))
    assert giant.coefficients == quadratic(Star(teff=4750.0, logg=4.438 + np.log10(0.012))).coefficients
    assert "mass and radius" in giant.note
    for logg in (None, float("nan")):
        dwarf = quadratic(Star(teff=5770.0, logg=logg))
        assert dwarf.coefficients == quadratic(Star(teff=5770.0, logg=4.43)).coefficients
        assert "a dwarf is assumed" in dwarf.note


@pytest.mark.parametrize(
    ("star", "edge"),
    [
        (Star(teff=50_000.0, logg=4.0), Star(teff=10_000.0, logg=4.0)),
        (Star(teff=2000.0, logg=5.0), Star(teff=2300.0, logg=5.0)),
        (Star(teff=4500.0, logg=1.0), Star(teff=4500.0, logg=2.0)),
    ],
)
def test_a_star_outside_the_tables_gets_their_edge_and_says_so(star, edge):
    found = quadratic(star)
    assert found.coefficients == quadratic(edge).coefficients
    assert "outside" in found.note
    assert quadratic(edge).note == ""


def test_an_unknown_band_is_refused():
    with pytest.raises(ValueError, match="there is TESS, Kepler"):
        quadratic(Star(teff=5772.0), "Gaia")


@pytest.mark.parametrize("grid", [limb_darkening.TESS_COOL, limb_darkening.TESS_WARM, limb_darkening.KEPLER_WARM])
def test_the_tables_are_whole(grid):
    assert (np.diff(grid.teff) > 0).all()
    assert (np.diff(grid.logg) == 0.5).all()
    assert grid.coefficients.shape == (grid.teff.size, grid.logg.size, 2)
    assert (grid.coefficients.sum(axis=2) < 0.9).all()


def test_what_is_looked_up_can_be_compared_and_kept():
    assert astuple(quadratic(Star(teff=5750.0, logg=4.5))) == (
        pytest.approx(0.3075), pytest.approx(0.2743), "Claret (2017), ATLAS", "",
    )  # fmt: skip
