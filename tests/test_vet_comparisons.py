"""Transits compared with each other and with the rest of the period, on skies whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from pipeline import vetting
from pipeline.fold import fold
from pipeline.types import Star, Verdict
from pipeline.vet import VetSettings
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.parity import timing
from pipeline.vetting.secondary import scan

PERIOD, EPOCH, DURATION, DEPTH, NOISE = 2.37, 1326.1, 0.12, 0.004, 4e-4
WHAT = signal(PERIOD, EPOCH, DURATION, DEPTH)
SUN = Star(teff=5772.0, logg=4.438, radius=1.0)


def dips(time, period=PERIOD, epoch=EPOCH, duration=DURATION, depth=DEPTH):
    return depth * trapezoid(time, period, epoch, duration)


def case_of(dip, seed=0, what=WHAT, star=SUN, level=NOISE):
    time = cadences()
    rng = np.random.default_rng(seed)
    flux = 1 - dip(time) + level * rng.normal(size=time.size) + red_noise(time, 0.25 * level, 6.0, rng)
    light_curve = cleaned(time, flux, level)
    return Case(light_curve, fold(light_curve, what), what, star, VetSettings())


def eccentric(time, late=0.0, longer=1.0):
    """Equal eclipses at half the binary's period, every second one late and longer."""
    first = dips(time, 2 * PERIOD, EPOCH, DURATION)
    return first + dips(time, 2 * PERIOD, EPOCH + PERIOD + late, longer * DURATION)


@pytest.mark.parametrize("degrees", [4, 12, 60])
def test_a_deviate_and_students_t_of_the_same_tail_are_told_from_each_other(degrees):
    for z in (-4.0, 0.5, 2.0, 3.0):
        exact = norm.isf(t.sf(z, degrees))
        assert noise.normal_equivalent(z, degrees) == pytest.approx(exact, abs=0.05)
        assert noise.student_equivalent(noise.normal_equivalent(z, degrees), degrees) == pytest.approx(z)


def test_paying_for_a_look_everywhere_can_be_undone():
    for sigma in (1.0, 3.0, 4.5):
        assert noise.best_of(noise.one_of(sigma, 60.0), 60.0) == pytest.approx(sigma, abs=1e-6)


def test_a_variance_is_believed_only_where_the_data_are_sure_of_it():
    variance, spread = noise.believed([1.0, 1.3, 9.0], [20.0, 20.0, 20.0])
    assert variance == pytest.approx([1.0, 1.03, 9.0], abs=0.05)
    assert spread == pytest.approx([0.0, 0.0, 0.1], abs=0.01)  # 2 / 20 where it was followed


@pytest.mark.parametrize("minutes", [10.0, 30.0])
def test_the_time_of_a_transit_does_not_depend_on_how_the_cadences_fall(minutes):
    """Box transits without noise, averaged over each exposure; half a cadence is 15 minutes."""
    exposure = minutes / 1440
    for start in np.linspace(0, exposure, 5):
        edges = np.arange(-1.0, 1.0, exposure) + start
        time = 0.5 * (edges[1:] + edges[:-1])
        overlap = np.minimum(edges[1:], 0.06 + 0.004) - np.maximum(edges[:-1], -0.06 + 0.004)
        inside = np.clip(overlap, 0, None) / exposure
        samples = noise.Samples(time, 1 - 0.01 * inside, np.full(time.size, exposure))
        gate = samples.contrast(np.array([0.0]), timing(0.12))
        assert gate.usable.all()
        assert 0.12 * gate.depth[0] / (4 * 0.01) == pytest.approx(0.004, abs=1e-9)


def test_comparisons_of_equal_transits_are_unit_normal():
    """Sixteen skies; the thousands are in benchmarks/vet.py."""
    sigmas = {"odd_even": [], "odd_even_epoch": []}
    for seed in range(16):
        case = case_of(dips, seed)
        for name, values in sigmas.items():
            finding = getattr(vetting, name)(case)
            assert finding.status is Verdict.PASS
            values.append(math.copysign(finding.sigma, finding.value))
    for values in sigmas.values():
        # chi-square of 16: one in a thousand lies outside
        assert 3.5 < np.sum(np.square(values)) < 41


def test_sees_that_every_second_eclipse_is_late():
    """0.5 h of 57: e cos(omega) = 0.007."""
    late = 0.5 / 24
    finding = vetting.odd_even_epoch(case_of(lambda time: eccentric(time, late)))
    assert finding.status is Verdict.FAIL
    assert finding.value == pytest.approx(late / DURATION, abs=0.05)
    assert "+30" in finding.note or "+2" in finding.note or "+3" in finding.note


@pytest.mark.parametrize("late", [-0.5, 0.3])
def test_finds_eclipses_that_are_late_by_hours(late):
    finding = vetting.odd_even_epoch(case_of(lambda time: eccentric(time, late)))
    assert finding.status is Verdict.FAIL
    assert finding.value == pytest.approx(late / DURATION, abs=0.1)


def test_transits_of_one_parity_that_are_no_dip_have_no_time():
    finding = vetting.odd_even_epoch(case_of(lambda time: dips(time, 2 * PERIOD)))
    assert finding.status is Verdict.NOT_RUN
    assert finding.note.startswith("few_points: the odd transits are no sure dip")


@pytest.mark.parametrize(
    ("factor", "dip"),
    [
        (1 / 3, lambda time: dips(time, PERIOD / 3)),
        (1 / 2, lambda time: dips(time, PERIOD / 2)),
        (2.0, lambda time: dips(time, 2 * PERIOD)),
        (2.0, lambda time: eccentric(time, longer=1.4)),
        (2.0, lambda time: eccentric(time, late=0.02)),
        (3.0, lambda time: dips(time, 3 * PERIOD)),
    ],
)
def test_names_the_period_that_the_transits_really_have(factor, dip):
    finding = vetting.alias(case_of(dip))
    assert finding.status is Verdict.FAIL
    assert finding.value == pytest.approx(factor)
    assert f"{factor * PERIOD:.5f} d rather than {PERIOD:.5f} d" in finding.note


def test_identical_eclipses_evenly_spaced_keep_the_period_and_the_note_says_so():
    finding = vetting.alias(case_of(eccentric))
    assert finding.status is Verdict.PASS
    assert finding.value == 1.0
    assert "would look the same" in finding.note


def test_a_second_eclipse_of_another_depth_is_no_transit_at_half_the_period():
    finding = vetting.alias(case_of(lambda time: dips(time) + dips(time, epoch=EPOCH + PERIOD / 2, depth=0.6 * DEPTH)))
    assert finding.status is Verdict.PASS


def test_the_upper_limit_on_a_second_eclipse_holds_at_its_phase():
    """Seen through the trend a dip of 5 sigma is a sixth shallower; the limit gives that back."""
    for seed in range(6):
        quiet = scan(case_of(dips, seed))
        at = 0.2 + 0.1 * seed
        depth = 5 * float(np.interp(at, quiet.phase, quiet.depth_err))
        case = case_of(lambda time, d=depth, a=at: dips(time) + dips(time, epoch=EPOCH + a * PERIOD, depth=d), seed)
        phases = scan(case)
        assert np.interp(at, phases.phase, phases.depth_limit) > 0.85 * depth  # of the mean over the duration
        assert f"none deeper than {phases.depth_limit.max() * 1e6:.0f} ppm" in vetting.secondary(case).note


def test_the_line_of_the_phases_is_where_a_secondary_fails():
    phases = scan(case_of(lambda time: dips(time) + dips(time, epoch=EPOCH + 0.3 * PERIOD, depth=0.4 * DEPTH)))
    assert phases.sigma.max() > phases.threshold(3.0) > 4
    assert phases.phase[np.argmax(phases.sigma)] == pytest.approx(0.3, abs=0.02)
    assert phases.sigma[np.abs(phases.phase - 0.3) > 0.2].max() < phases.threshold(3.0)


def test_a_planet_that_crosses_off_centre_may_reflect_as_much_as_one_that_does_not():
    """Albedo 0.8 at impact parameter 0.7: by its short transit alone the orbit would look 1.4 times wider."""
    ratio, period, impact = 0.1, 1.2, 0.7
    orbit = 4.2083 * period ** (2 / 3)
    duration = period / math.pi * math.asin(math.sqrt((1 + ratio) ** 2 - impact**2) / orbit)
    what = signal(period, EPOCH, duration, ratio**2)

    def dip(time):
        share = 0.8 / orbit**2
        return sum(dips(time, period, EPOCH + at * period, duration, d * ratio**2) for at, d in ((0, 1), (0.5, share)))

    finding = vetting.secondary(case_of(dip, what=what, level=1e-4))
    assert finding.sigma > 3
    assert finding.status is Verdict.PASS
    assert "occultation" in finding.note
    dwarf = replace(SUN, mass=1.0, logg=None)
    assert vetting.secondary(case_of(dip, what=what, level=1e-4, star=dwarf)).status is Verdict.PASS
