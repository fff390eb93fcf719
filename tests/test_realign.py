"""Transits that come early or late: found, moved back, and left alone where they keep time or are a binary's."""

import numpy as np
import pytest
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline.fold import fold
from pipeline.types import Star
from pipeline.validation.realign import ODDS, realign
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case

PERIOD, EPOCH, DURATION, DEPTH = 2.37, 1326.1, 0.12, 0.004
IN_TRANSIT = DURATION * 144  # cadences of ten minutes


def case_of(late, snr=8.0, days=54.0, seed=0, depths=None):
    """Two sectors whose transits are late by so many durations: a function of the cycle."""
    time = cadences(days)
    rng = np.random.default_rng(seed)
    cycle = np.floor((time - EPOCH) / PERIOD + 0.5)
    noise = DEPTH * np.sqrt(IN_TRANSIT) / snr
    depth = DEPTH if depths is None else DEPTH * depths(cycle)
    dip = depth * trapezoid(time - DURATION * late(cycle), PERIOD, EPOCH, DURATION)
    flux = 1 - dip + noise * rng.normal(size=time.size) + red_noise(time, 0.1 * noise, 6.0, rng)
    light_curve, what = cleaned(time, flux, noise), signal(PERIOD, EPOCH, 0.95 * DURATION, 0.8 * DEPTH)
    return Case(light_curve, fold(light_curve, what), what, Star(), VetSettings())


def off(found, late):
    """Scatter of what is left after the move, durations; a straight line is the ephemeris's."""
    left = found.late / DURATION - late(found.cycle)
    return float(np.std(left - np.polyval(np.polyfit(found.cycle, left, 1), found.cycle)))


@pytest.mark.parametrize(
    "late",
    [
        lambda cycle: 0.3 * np.sin(2 * np.pi * cycle / 9.3 + 0.4),
        lambda cycle: 0.5 * np.sin(2 * np.pi * cycle / 14.0),
        lambda cycle: 0.8 * ((cycle - 11) / 11) ** 2 - 0.4,
    ],
    ids=["wave", "wide wave", "parabola"],
)
def test_transits_that_come_late_are_put_back(late):
    case = case_of(late)
    found = realign(case)
    assert found.moved
    assert found.ln_odds > max(ODDS, *found.pseudo_ln_odds)
    assert off(found, late) < 0.05
    assert found.duration == pytest.approx(DURATION, rel=0.12)  # the smeared fold is half as wide again
    assert (np.diff(found.time) > 0).all()
    assert f"{found.cycle.size} transits" in found.reason


def test_the_amplitude_is_told_in_durations_and_minutes():
    found = realign(case_of(lambda cycle: 0.3 * np.sin(2 * np.pi * cycle / 7.0), snr=12))
    assert found.share == pytest.approx(0.3, rel=0.15)
    assert found.minutes == pytest.approx(0.3 * DURATION * 1440, rel=0.15)


def test_single_transits_are_moved_where_no_wave_tells_them():
    each = np.random.default_rng(3).normal(0, 0.2, 60)

    def late(cycle):
        return each[np.asarray(cycle, dtype=int)]

    found = realign(case_of(late, snr=15))
    assert found.method == "each"
    assert off(found, late) < 0.04


def test_faint_transits_are_moved_together_or_not_at_all():
    """At a signal-to-noise of 2 a transit has no time of its own; twenty of them on one wave have."""

    def late(cycle):
        return 0.6 * np.sin(2 * np.pi * cycle / 22.0)

    found = realign(case_of(late, snr=2.5, seed=1))
    assert found.snr < 3
    assert found.method == "wave"
    assert off(found, late) < 0.2


@pytest.mark.parametrize(("snr", "seed"), [(2.0, 0), (4.0, 1), (15.0, 2)])
def test_transits_that_keep_time_are_left_alone(snr, seed):
    case = case_of(lambda cycle: 0 * cycle, snr=snr, seed=seed)
    found = realign(case)
    assert not found.moved
    assert found.time is case.light_curve.time
    assert "keep time" in found.reason
    assert abs(found.deepening) < 0.1


def test_an_ephemeris_that_drifts_is_no_proof_of_anything():
    assert not realign(case_of(lambda cycle: 0.02 * (cycle - 11))).moved


def test_the_two_eclipses_of_an_eccentric_binary_are_not_put_in_line():
    """At half its period every other eclipse is late by the same."""
    found = realign(case_of(lambda cycle: 0.3 * (cycle % 2), snr=20))
    assert not found.moved
    assert "twice the period" in found.reason


def test_two_transits_tell_nothing():
    found = realign(case_of(lambda cycle: 0.3 * cycle, days=5.0))
    assert found.reason.startswith("few_transits")
    assert found.share is None
