"""The transit fit: its light, its likelihood, its errors, and that a chain which is killed goes on as it would have."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import batman
import numpy as np
import pytest

from candidates.fit_block import fit_block, fit_rows, with_errors
from candidates.fit_panels import fit_pictures
from hunter.checkpoints import decode, encode
from hunter.notebooks import FileNotebook
from pipeline import fit as fitting
from pipeline.clean import DetrendSettings
from pipeline.contamination import contamination
from pipeline.fit import FitSettings, TransitFit, folding, sampler
from pipeline.fit.fitting import UNITS, believe, derive, natural, prepare
from pipeline.fit.likelihood import Posterior
from pipeline.fit.model import Shapes, mean_dim
from pipeline.fit.phase_curve import phase_curve
from pipeline.fit.priors import DURATION, EPOCH, PERIOD, RATIO, U1, U2, WHITE
from pipeline.fit.result import Estimate
from pipeline.fold import fold
from pipeline.types import CleanedLightCurve, LightCurve, Star, Target, TransitSignal
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case

SUN = Star(tmag=10.0, teff=5772.0, logg=4.438, radius=1.0, mass=1.0)
MINUTES = 30.0
NOISE = 400e-6  # of a cadence
QUICK = FitSettings(smallest_ratio=0.05, largest_ratio=0.2, walkers=24, block=60, lengths=12.0, drift=0.3)
# the time between two transits of a search that is not quite right
SIGNAL = TransitSignal(period=3.3, epoch=1326.2, duration=0.11, depth=4e-3, snr=30.0)
ROOT = Path(__file__).parents[1]


def shape(period=3.3, ratio=0.06, impact=0.4, duration=0.11, u1=0.3, u2=0.28):
    return Shapes(*(np.array([float(value)]) for value in (period, ratio, impact, duration, u1, u2)))


def scene(flux, time, star=SUN):
    """A case of a flat light curve."""
    curve = LightCurve(time, flux, np.full(time.size, NOISE))
    unknown = np.full(time.size, np.nan)
    exposure = np.full(time.size, MINUTES / 1440)
    cleaned = CleanedLightCurve(curve, curve, np.zeros(time.size, dtype=np.int64), exposure, unknown, unknown, (), {})
    return Case(cleaned, fold(cleaned, SIGNAL, detrending=DetrendSettings(method="none")), SIGNAL, star, VetSettings())


def observe(seed, priors=None, settings=QUICK):
    """SIMULATED: a sector of 30-minute cadences with a transit drawn from the prior; the case and the truth (1, 8)."""
    rng = np.random.default_rng(seed)
    time = 1325.0 + np.arange(0.0, 27.0, MINUTES / 1440)
    priors = priors or believe(scene(1 + NOISE * rng.normal(size=time.size), time), settings)
    while True:  # until the data, which may choose, show it well
        truth = priors.draw(1, rng)
        truth[:, WHITE] = np.log(NOISE)
        since = time - truth[0, EPOCH]
        since -= truth[0, PERIOD] * np.round(since / truth[0, PERIOD])
        dim = mean_dim(priors.shapes(truth), since[None], np.full(time.size, MINUTES / 1440))[0]
        case = scene(1 - dim + NOISE * rng.normal(size=time.size), time)
        depth, err = case.transits.mean(case.transits.events.usable)
        if depth > 25 * err:
            return case, truth


def fit(case, settings=QUICK, **more):
    return fitting.fit(case.cleaned, case.views, case.signal, case.star, settings=settings, **more)


@pytest.fixture(scope="module")
def fitted():
    return fit(observe(4)[0])


@pytest.mark.parametrize("minutes", [2.0, 30.0])
def test_the_model_is_that_of_batman(minutes):
    rng = np.random.default_rng(3)
    exposure = minutes / 1440
    for ratio in (0.02, 0.1, 0.23, 0.5):
        for grazing in (0.05, 0.79, 0.97):
            impact, period, duration = grazing * (1 + ratio), rng.uniform(0.7, 9), rng.uniform(0.03, 0.07)
            shapes = shape(period, ratio, impact, duration)
            axis = float(shapes.scaled_axis[0])
            given = batman.TransitParams()
            given.t0, given.per, given.rp, given.a, given.ecc, given.w = 0.0, period, ratio, axis, 0.0, 90.0
            given.inc, given.u, given.limb_dark = float(np.degrees(np.arccos(impact / axis))), [0.3, 0.28], "quadratic"
            time = rng.uniform(-1, 1, 25) * (0.5 * duration + 0.5 * exposure)
            offsets = exposure * ((np.arange(401) + 0.5) / 401 - 0.5)
            theirs = batman.TransitModel(given, (time[:, None] + offsets).ravel()).light_curve(given)
            ours = 1 - mean_dim(shapes, time[None], np.full(25, exposure))[0]
            assert np.abs(ours - theirs.reshape(25, -1).mean(axis=1)).max() < 1.2e-6  # the midpoints cost 0.2


def test_duration_axis_and_density_are_those_of_one_orbit():
    found = shape(period=365.25, ratio=0.00917, impact=0.0, duration=13.0 / 24)
    assert found.scaled_axis[0] == pytest.approx(215, rel=0.02)
    assert found.density[0] == pytest.approx(1.41, rel=0.05)
    assert found.deepest[0] > 0.00917**2


def test_folded_groups_say_of_two_models_what_all_cadences_say():
    case, truth = observe(5)
    priors = believe(case, QUICK)
    curve = case.light_curve
    period, epoch, duration = truth[0, PERIOD], truth[0, EPOCH], np.exp(truth[0, DURATION])
    everything = folding.fold(case, period, epoch, duration, np.zeros(len(curve), dtype=bool), 30, 3.0)
    posterior = Posterior(everything, priors)
    assert everything.red.variance == 0
    one, other = truth.copy(), truth.copy()
    one[:, WHITE] = other[:, WHITE] = 0.0
    other[:, RATIO] += 0.05
    other[:, EPOCH] += 0.002
    told = np.diff(posterior.log_likelihood(np.concatenate([one, other])))[0]
    # cadence by cadence, with the level and the slope of each transit projected out
    number = np.round((curve.time - epoch) / period)
    chi = []
    for x in (one, other):
        since = curve.time - x[0, EPOCH]
        since -= x[0, PERIOD] * np.round(since / x[0, PERIOD])
        rest = curve.flux - 1 + mean_dim(priors.shapes(x), since[None], np.full(len(curve), MINUTES / 1440))[0]
        total = 0.0
        for cycle in np.unique(number[everything.cadences]):
            mine = everything.cadences[number[everything.cadences] == cycle]
            away = curve.time[mine] - curve.time[mine].mean()
            lines = np.stack([np.ones(mine.size), away], axis=1)
            solved = np.linalg.lstsq(lines, rest[mine], rcond=None)[0]
            total += float(((rest[mine] - lines @ solved) ** 2).sum()) / everything.white**2
        chi.append(total)
    assert told == pytest.approx(-0.5 * (chi[1] - chi[0]), abs=0.5)
    assert abs(told) > 5


def test_a_chart_changes_coordinates_and_not_the_posterior():
    chart = prepare(observe(4)[0], (), QUICK)
    y = 0.5 * np.random.default_rng(1).normal(size=(6, 8))
    x, volume = chart.samples(y)
    for at in range(6):
        step = 1e-5 * np.concatenate([np.eye(8), -np.eye(8)])
        moved = chart.samples(y[at] + step)[0]
        sign, log = np.linalg.slogdet((moved[:8] - moved[8:]) / 2e-5)
        assert sign != 0
        assert log - volume[at] == pytest.approx(-0.5 * np.log(2 * np.pi), abs=0.02)  # of the unit normal's height
    np.testing.assert_allclose(chart.log_probability(y), chart.posterior.log_probability(x) + volume)


def test_light_that_asks_for_an_impossible_limb_is_charted_where_limbs_are_possible():
    """At one impact parameter after the other, least squares alone made the rim of this star darker than nothing."""
    time = 1325.0 + np.arange(0.0, 27.0, MINUTES / 1440)
    since = time - SIGNAL.epoch - SIGNAL.period * np.round((time - SIGNAL.epoch) / SIGNAL.period)
    planet = shape(ratio=0.18, impact=0.75, u1=0.3, u2=0.65)
    dim = mean_dim(planet, since[None], np.full(time.size, MINUTES / 1440))[0]
    case = scene(1 - dim + 5e-5 * np.random.default_rng(3).normal(size=time.size), time)
    chart = prepare(case, (), QUICK)
    assert np.isfinite(chart.posterior.log_probability(chart.best)).all()
    assert chart.best[0, U1] + chart.best[0, U2] < 1


def test_half_of_the_truths_lie_below_the_median():
    ranks = []
    for seed in (20, 22, 23):
        case, truth = observe(seed)
        found = fit(case, replace(QUICK, seed=seed))
        true = natural(truth, believe(case, QUICK), 1.0)[0]
        assert found.status == "done"
        ranks.append((found.draws < true).mean(axis=0))
    ranks = np.array(ranks)
    assert ranks.shape == (3, len(UNITS))
    # 24 ranks, of which those of one fit know of each other: wide limits, for gross faults
    assert 0.35 < ranks.mean() < 0.65
    assert 0.4 < (np.abs(ranks - 0.5) < 0.34).mean() < 0.92


def test_what_is_said_of_a_fit(fitted):
    assert fitted.status == "done"
    assert fitted.reason is None
    assert set(fitted.parameters) == set(UNITS)
    assert fitted.lengths >= QUICK.lengths
    assert fitted.split_r_hat < QUICK.split_r_hat
    period = fitted.parameters["period_days"]
    assert abs(period.median - 3.3) < 0.02
    assert fitted.derived["planet_radius_earth"].median == pytest.approx(
        109.08 * fitted.parameters["radius_ratio"].median, rel=0.05
    )
    assert not fitted.not_derived
    assert len(fitted.transit_times) >= 6
    assert all(abs(one.late) < 5 * one.err for one in fitted.transit_times)
    assert np.median(np.abs(fitted.curve.flux - np.interp(fitted.curve.since, fitted.curve.at, fitted.curve.middle))
                     / fitted.curve.err) < 1.2  # fmt: skip


def test_its_pictures_are_the_fold_and_the_corner(fitted):
    (fold_words, fold_png), (corner_words, corner_png) = fit_pictures(fitted)
    assert "68 %" in fold_words
    assert corner_words.startswith("Corner plot")
    assert all(png.startswith(b"\x89PNG") for png in (fold_png, corner_png))
    (only,) = fit_pictures(replace(fitted, draws=None))
    assert "not converged" in only[0]


def test_a_fit_comes_back_from_a_checkpoint(fitted):
    again = decode(encode(fitted))
    assert again.parameters == fitted.parameters
    np.testing.assert_array_equal(again.draws, fitted.draws)


def test_its_block_has_rows_with_both_errors(fitted):
    block = fit_block(fitted)
    assert set(block["parameters"]) == set(UNITS)
    rows = dict(fit_rows(block))
    assert rows["Rp/R*"].count("+") == 1
    assert "split R-hat" in rows["chain"]
    told = {"unit": "hours", "median": 2.67412, "minus": 0.0501, "plus": 0.0534}
    assert with_errors(told) == "2.674 +0.053 −0.050 hours"
    assert with_errors(told | {"median": 4217.3, "minus": 132.6, "plus": 140.1, "unit": "ppm"}) == "4217 +140 −133 ppm"
    assert with_errors(told | {"median": 53.71, "minus": 1.6, "plus": 3.4}) == "53.7 +3.4 −1.6 hours"
    assert with_errors(told | {"median": 87.1, "minus": 0.996, "plus": 1.2}) == "87.1 +1.2 −1.0 hours"  # HAT-P-7 b
    assert with_errors(told | {"median": 88.0, "minus": 0.0, "plus": 1.2}) == "88.0000 +1.2000 −0.0000 hours"


def test_a_chain_that_has_not_converged_shows_no_errors():
    found = fit(observe(4)[0], replace(QUICK, max_steps=100, block=20, lengths=1000.0))
    assert found.status == "not_converged"
    assert "autocorrelation times of 1000" in found.reason
    assert found.parameters == {} == found.derived
    assert found.draws is None
    rows = dict(fit_rows(fit_block(found)))
    assert rows["not converged"].endswith("no errors are shown")
    assert "Rp/R*" not in rows


def test_without_a_star_what_needs_it_is_left_out_with_a_reason():
    found, missing = derive(shape(), Star(), FitSettings())
    assert set(missing) == {"planet_radius_earth", "axis_au", "insolation_earth", "equilibrium_temperature_k"}
    assert "scaled_axis" in found
    many = Shapes(*(np.full(20_000, getattr(shape(), name)[0]) for name in
                    ("period", "ratio", "impact", "duration", "u1", "u2")))  # fmt: skip
    found, missing = derive(many, SUN, FitSettings())
    assert missing == {}
    radius = found["planet_radius_earth"][1]
    # errors in the limit of small ones: those of the star alone
    assert np.std(radius) / np.mean(radius) == pytest.approx(0.06, rel=0.02)
    assert np.std(found["axis_au"][1]) / np.mean(found["axis_au"][1]) == pytest.approx(0.12 / 3, rel=0.02)


def test_the_light_of_other_stars_makes_the_planet_larger_and_the_method_says_so():
    radius, ratio = (Estimate("", *numbers, 900.0, 1.0) for numbers in ((2.0, 0.2, 0.3), (0.02, 0.001, 0.001)))
    found = TransitFit(
        "done", None, "a method", parameters={"radius_ratio": ratio}, derived={"planet_radius_earth": radius}
    )
    star = Target("TIC", "1", SUN)
    _, light = contamination(star, 4e-4, "SAP_FLUX", ratio=0.21)
    grown = found.undiluted(light)
    told = grown.derived["planet_radius_earth"]
    assert (told.median, told.minus, told.plus) == pytest.approx((2.2, 0.22, 0.33))
    assert grown.parameters == found.parameters
    assert "times 1.1000" in grown.method
    assert "82.6% of the light" in grown.method
    _, before = contamination(star, 4e-4, "PDCSAP_FLUX", ratio=0.21)  # its makers took that light off
    assert found.undiluted(before) is found
    assert found.undiluted(None) is found
    unconverged = TransitFit("not_converged", "too short")
    assert unconverged.undiluted(light) is unconverged


def tides(time, period, epoch):
    """What a heavy planet makes of its star's light, and its day side: 200 ppm of tides, 150 ppm of day."""
    angle = 2 * np.pi * (time - epoch) / period
    return -200e-6 * np.cos(2 * angle) - 150e-6 * np.cos(angle)


def test_tides_are_taken_off_before_the_fit_and_noise_is_not():
    rng = np.random.default_rng(5)
    time = 1325.0 + np.arange(0.0, 27.0, 10 / 1440)
    flux = 1 + NOISE * rng.normal(size=time.size)
    flux[np.abs((time - 1326.2 + 0.6) % 1.2 - 0.6) < 0.05] -= 0.01  # transits are no part of the waves
    curve = LightCurve(time, flux + tides(time, 1.2, 1326.2), np.full(time.size, NOISE))
    wave, heights = phase_curve(curve, 1.2, 1326.2, 0.1)
    # 3900 cadences know a wave to NOISE * sqrt(2 / 3900), 9 ppm
    assert heights == pytest.approx((150e-6, 200e-6), abs=30e-6)
    np.testing.assert_allclose(wave, tides(time, 1.2, 1326.2), atol=60e-6)
    wave, heights = phase_curve(replace(curve, flux=flux), 1.2, 1326.2, 0.1)
    assert heights == (0.0, 0.0)
    assert not wave.any()


def test_a_short_stretch_tells_of_no_waves():
    time = 1325.0 + np.arange(0.0, 3.0, 10 / 1440)
    curve = LightCurve(time, 1 + tides(time, 1.2, 1326.2), np.full(time.size, NOISE))
    assert phase_curve(curve, 1.2, 1326.2, 0.1)[1] == (0.0, 0.0)


def test_a_catalogue_that_the_transit_contradicts_is_left_aside(fitted):
    assert fitted.priors["duration_hours"].startswith("by the star's density")
    priors = prepare(replace(observe(4)[0], star=replace(SUN, radius=0.3)), (), QUICK).posterior.priors
    assert priors.density is None
    assert priors.left_aside == pytest.approx(37, abs=0.1)
    assert "52.2 g/cm3 ± 30%, is at odds with the transit" in priors.words["duration_hours"]


class Dies(Exception):
    pass


def test_a_chain_killed_anywhere_goes_on_bit_for_bit(tmp_path):
    start = np.random.default_rng(1).normal(size=(2, 20, 4))
    settings = FitSettings(walkers=20, block=40, max_steps=240, lengths=1e9)
    key = "of a normal"

    def walk(notebook, dies_at=None):
        calls = 0

        def log_probability(x):
            nonlocal calls
            calls += 1
            if calls == dies_at:
                raise Dies
            return -0.5 * (x**2).sum(axis=1)

        return sampler.sample(log_probability, start, settings, notebook, key)

    whole = walk(sampler.Forgetful())
    for dies_at in np.random.default_rng(2).integers(2, 480, 6):
        notebook = FileNotebook(tmp_path / f"{dies_at}.npz", "7")
        with pytest.raises(Dies):
            walk(notebook, int(dies_at))
        resumed = walk(notebook)
        np.testing.assert_array_equal(resumed.samples, whole.samples)
        np.testing.assert_array_equal(resumed.log_probability, whole.log_probability)
    assert not list(tmp_path.glob("*.part"))


CHILD = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
from test_fit import QUICK, fit, observe
from hunter.notebooks import FileNotebook
from pathlib import Path

class Mortal(FileNotebook):
    def save(self, state):
        super().save(state)
        os.kill(os.getpid(), signal.SIGKILL)

fit(observe(4)[0], notebook=Mortal(Path(sys.argv[1])))
"""


def test_a_fit_whose_worker_is_killed_comes_out_the_same(fitted, tmp_path):
    file = tmp_path / "fit.1.1.chain.npz"
    child = CHILD.format(tests=str(ROOT / "tests"), root=str(ROOT))
    died = subprocess.run([sys.executable, "-c", child, str(file)], cwd=ROOT, env=os.environ, timeout=300)
    assert died.returncode == -signal.SIGKILL
    notebook = FileNotebook(file)
    assert len(notebook.load()["chain"]) * sampler.THIN == QUICK.block
    resumed = fit(observe(4)[0], notebook=notebook)
    assert resumed.steps == fitted.steps > QUICK.block
    np.testing.assert_array_equal(resumed.draws, fitted.draws)
    assert resumed.parameters == fitted.parameters
    notebook.remove()
    assert notebook.load() is None


def test_a_notebook_of_other_data_is_not_read(tmp_path):
    start = np.random.default_rng(1).normal(size=(2, 20, 4))
    settings = FitSettings(walkers=20, block=40, max_steps=40, lengths=1e9)
    notebook = FileNotebook(tmp_path / "a.npz")

    def normal(x):
        return -0.5 * (x**2).sum(axis=1)

    first = sampler.sample(normal, start, settings, notebook, "one")
    other = sampler.sample(lambda x: 4 * normal(x), start, settings, notebook, "two")
    assert not np.array_equal(first.samples, other.samples)
    (tmp_path / "a.npz").write_bytes(b"torn")
    again = sampler.sample(normal, start, settings, notebook, "one")
    np.testing.assert_array_equal(again.samples, first.samples)


def test_the_autocorrelation_time_of_a_first_order_process_is_known():
    rng = np.random.default_rng(1)
    keep, series = 0.8, np.zeros((1, 4000, 16, 1))
    kick = rng.normal(size=series.shape)
    for i in range(1, 4000):
        series[:, i] = keep * series[:, i - 1] + kick[:, i]
    assert sampler.autocorrelation(series)[0] == pytest.approx((1 + keep) / (1 - keep), rel=0.1)
