"""The second opinion of transit least squares: what it finds in skies whose truth is known, and that it is bounded."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from transit_sky import trapezoid

from candidates.evidence import confirmation_block
from candidates.wording import confirmation_text
from hunter.checkpoints import decode, encode
from hunter.confirming import confirm_apart
from hunter.settings import load
from pipeline.confirm import Confirmation, compare, confirm
from pipeline.types import LightCurve, Star, TransitSignal

SUN = Star(teff=5750.0, logg=4.45, radius=1.0, mass=1.0)
PLANET = TransitSignal(period=5.43, epoch=1326.3, duration=0.125, depth=9e-4, snr=25.0)
NEIGHBOUR = TransitSignal(period=3.17, epoch=1325.9, duration=0.1, depth=3e-3, snr=90.0)
LIMITS = {"band": "TESS", "seconds": 120.0, "memory_mb": 2048.0}


def make_sky(*planets: TransitSignal, starts=(1325.0,), noise=2.5e-4, seed=4) -> LightCurve:
    """SIMULATED: sectors of 26 days at 10 minutes, white noise, trapezoid transits."""
    rng = np.random.default_rng(seed)
    time = np.concatenate([start + np.arange(0.0, 26.0, 10 / 1440) for start in starts])
    flux = 1.0 + rng.normal(0.0, noise, time.size)
    for planet in planets:
        flux -= planet.depth * trapezoid(time, planet.period, planet.epoch, planet.duration)
    return LightCurve(time, flux, np.full(time.size, noise))


@pytest.fixture(scope="module")
def found() -> Confirmation:
    return confirm(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), "TESS")


def test_it_finds_the_planet_we_found(found):
    assert found.status == "done"
    assert found.agrees
    assert found.relation == "same period"
    assert abs(found.period / PLANET.period - 1) * 26.0 < PLANET.duration
    assert found.epoch == pytest.approx(PLANET.epoch, abs=0.02)
    assert found.duration == pytest.approx(PLANET.duration, rel=0.3)
    assert found.depth == pytest.approx(PLANET.depth, rel=0.25)
    assert found.sde > 9
    assert found.tls_fap <= 1e-4
    assert found.odd_even_sigma < 2
    assert found.transits == 5
    assert found.ranges == ((0.5, 13.0),)
    assert found.note == ""


def test_it_can_be_stored_and_read_back(found):
    assert decode(encode(found)) == found


def test_it_names_the_harmonic_where_we_told_a_wrong_one():
    told = confirm(make_sky(PLANET), replace(PLANET, period=2 * PLANET.period), [], SUN, (0.5, 13.0))
    assert (told.agrees, told.relation) == (False, "half the period")
    assert told.period == pytest.approx(PLANET.period, rel=0.005)


def test_it_says_so_where_it_finds_other_dips():
    told = confirm(make_sky(NEIGHBOUR), PLANET, [], SUN, (0.5, 13.0))
    assert (told.agrees, told.relation) == (False, None)
    assert told.period == pytest.approx(NEIGHBOUR.period, rel=0.005)
    assert "another period, 3.1" in confirmation_text(confirmation_block(told))


def test_a_stronger_signal_is_left_out_so_that_the_weaker_is_searched():
    sky = make_sky(PLANET, NEIGHBOUR)
    assert not confirm(sky, PLANET, [], SUN, (0.5, 13.0)).agrees
    told = confirm(sky, PLANET, [NEIGHBOUR], SUN, (0.5, 13.0))
    assert told.agrees
    assert "1 stronger signal" in told.note


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_long_baseline_is_searched_in_windows_without_an_sde(factor):
    sky = make_sky(PLANET, starts=(1325.0, 1352.0, 2063.0), noise=2e-4)
    told = confirm(sky, replace(PLANET, period=factor * PLANET.period), [], SUN, (0.5, 13.0))
    assert told.status == "done"
    assert len(told.ranges) == 3
    assert abs(told.period / PLANET.period - 1) * 764 < PLANET.duration
    assert told.relation == {0.5: "twice the period", 1.0: "same period", 2.0: "half the period"}[factor]
    assert (told.sde, told.tls_fap) == (None, None)
    assert "no SDE" in told.note
    assert confirmation_text(confirmation_block(told)).startswith(f"TLS {told.version}: no SDE, {told.relation}")


@pytest.mark.parametrize("star", [Star(), Star(radius=3.0, mass=1.2), Star(radius=0.15, mass=0.12)])
def test_periods_closer_than_three_stellar_radii_are_reached_and_any_star_is_taken(star):
    close = replace(PLANET, period=0.71, duration=0.05, depth=2e-3)
    told = confirm(make_sky(close), close, [], star, (0.5, 1.5))
    assert told.agrees


def test_the_same_period_at_another_phase_is_no_agreement(found):
    late = replace(PLANET, epoch=PLANET.epoch + 0.5 * PLANET.period)
    agrees, relation, why = compare(found, late, 26.0)
    assert (agrees, relation) == (False, "same period")
    assert "from ours" in why[0]


def test_periods_agree_only_within_a_duration_over_the_baseline(found):
    apart = replace(found, period=PLANET.period * (1 + 1.5 * PLANET.duration / 26.0), duration=PLANET.duration)
    assert compare(apart, PLANET, 26.0)[:2] == (False, None)
    near = replace(found, period=PLANET.period * (1 + 0.9 * PLANET.duration / 26.0), duration=PLANET.duration)
    assert compare(near, PLANET, 26.0)[:2] == (True, "same period")


def test_without_a_band_or_a_star_the_note_says_what_was_assumed(found):
    assert found.note == ""
    told = confirm(make_sky(PLANET), PLANET, [], Star(teff=5000.0), (3.0, 8.0))
    assert "band unknown" in told.note
    assert "radius or mass unknown" in told.note
    assert "log g unknown" in confirm(make_sky(PLANET), PLANET, [], Star(teff=5000.0), (3.0, 8.0), "TESS").note


# ---------------------------------------------------------------------------------------- the process of its own


def test_the_process_gives_the_same_answer(found):
    assert confirm_apart(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), **LIMITS) == found


@pytest.mark.parametrize(
    ("limit", "word"),
    [({"seconds": 0.2}, "confirm_seconds"), ({"memory_mb": 150.0}, "150 MB"), ({"memory_mb": 320.0}, "320 MB")],
)
def test_beyond_its_limits_it_is_an_error_with_its_reason_and_no_agreement(limit, word):
    told = confirm_apart(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), **LIMITS | limit)
    assert told.status == "error"
    assert told.agrees is None
    assert word in told.note


def test_a_process_that_dies_or_cannot_start_is_an_error_with_its_reason(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    told = confirm_apart(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), **LIMITS)
    assert (told.status, told.agrees) == ("error", None)
    assert "ended with 1" in told.note
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert "cannot be read" in confirm_apart(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), **LIMITS).note
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "could not be started" in confirm_apart(make_sky(PLANET), PLANET, [], SUN, (0.5, 13.0), **LIMITS).note


def test_what_the_library_refuses_is_an_error_with_its_reason():
    sky = make_sky(PLANET)
    told = confirm_apart(LightCurve(sky.time, sky.flux - 1.1, sky.flux_err), PLANET, [], SUN, (0.5, 13.0), **LIMITS)
    assert told.status == "error"
    assert "ValueError" in told.note


# -------------------------------------------------------------------------------------------------------- settings


def test_asking_for_a_second_opinion_does_not_search_again(tmp_path):
    plain, asked = load(str(tmp_path)), load(str(tmp_path), {"search.confirm": "tls"})
    assert plain.search.confirm == "none"
    assert plain.digest("search") == asked.digest("search")
    assert plain.digest("search.confirm") != asked.digest("search.confirm")
