"""False-positive probabilities: integrals that are right, and verdicts that follow from the sky we made."""

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from transit_sky import cadences, cleaned, red_noise, signal, trapezoid

from candidates.reading import schema
from candidates.validation_block import validation_block
from hunter.checkpoints import decode, encode
from hunter.populations import field_tables, read_contrast, read_population, tables_key
from pipeline.fold import fold
from pipeline.simulate.eclipses import DetachedBinary, Orbit, Planet, binary_light, planet_light
from pipeline.types import Product, Star, Target
from pipeline.validation import (
    ContrastCurve,
    MeasuredOffset,
    Neighbour,
    ValidateSettings,
    Validation,
    ValidationCase,
    assess,
    band_of,
    case_of,
    priors,
    stars,
    unresolved,
    validate,
)
from pipeline.validation.engine import _judged
from pipeline.validation.evidence import integrate
from pipeline.validation.light import Eclipses, Folded, ln_likelihood
from pipeline.validation.scenarios import Field, steer
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case

SUN = Star(tmag=10.5, teff=5772.0, radius=1.0, mass=1.0)
FAST = ValidateSettings(samples=300, least_effective=5)
NEAR = Neighbour("TIC 2", 25.0, 13.0, 0.08, (20.0, 15.0))
ON_TARGET = MeasuredOffset(0.3, -0.2, 1.0, 1.0, 0.0, 40.0)
ON_NEIGHBOUR = MeasuredOffset(20.5, 14.6, 2.0, 2.0, 0.0, 40.0)


def planet_case(**known):
    """A planet of 2.7 Earth radii on a circle of 5 days around the Sun, folded into 60 bins."""
    time = np.linspace(-0.2, 0.2, 60)
    flux = planet_light(Planet(Orbit(5.0, 0.0, 12.3, 0.3), 2.7 / 109.1), time, (0.3, 0.25), 0.4 / 60)
    noise = 8e-5 * np.random.default_rng(0).standard_normal(time.size)
    case = ValidationCase(
        time, flux + noise, np.full(60, 8e-5), 0.4 / 60, 5.0, SUN, secondary_depth=0.0, secondary_err=3e-5
    )
    return replace(case, **known)


@pytest.fixture(scope="module")
def planet():
    case = planet_case(neighbours=(NEAR,), offset=ON_TARGET)
    return case, validate(case, FAST)


def test_the_evidence_of_a_gaussian_is_what_it_is_on_paper():
    """Normal prior, normal likelihood, strongly correlated: ln Z is known."""
    random = np.random.default_rng(3)
    errors = []
    for trial in range(4):
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


def test_seeking_the_promising_draws_changes_no_integral():
    random = np.random.default_rng(1)
    u, ln_weight = steer(random.random(200_000), np.tile([0.0, 5.0, 1.0, 0.2], (200_000, 1)))
    assert np.exp(ln_weight).mean() == pytest.approx(1.0, abs=0.01)
    assert (np.exp(ln_weight) * u**2).mean() == pytest.approx(1 / 3, abs=0.01)


def test_the_fast_eclipse_is_that_of_the_simulator():
    time = (np.arange(60) + 0.5) / 60 * 0.3
    for ratio, impact in ((0.02, 0.1), (0.1, 0.7), (0.5, 1.2), (1.0, 0.6)):
        light = planet_light(Planet(Orbit(5.0, 0.0, 12.0, impact), ratio), time, (0.4, 0.2), 0.02)
        case = ValidationCase(time, light, np.ones(60), 0.02, 5.0, SUN)
        one, none = np.ones(1), np.zeros(1)
        draw = Eclipses(ratio * one, 12 * one, impact / 12 * one, none, none, one, none, (0.4 * one, 0.2 * one))
        rms = math.sqrt(-2 * ln_likelihood(Folded.of(case), draw)[0] / 60)
        assert rms < 1e-3 * (1 - light.min())


def light_lost(name, companion):
    """The deepest that 400 draws of a scenario make the middle of the transit, beside a companion so bright."""
    case = planet_case()
    folded = Folded.of(case)
    room = unresolved.Room.of((), 1.0, 100.0)
    x = np.random.default_rng(4).standard_normal((400, 5))
    x[:, 4] = companion  # 5: a twin, -3: a dwarf of a tenth of a sun

    def ask(weight):
        probe = replace(folded, dip=0 * folded.dip, weight=weight, secondary=None)
        (one,) = (one for one in Field(case, probe, room, None).all() if one.name == name)
        return one.ln_likelihood(x)

    nothing = ask(0 * folded.weight)
    there = nothing > -math.inf
    return math.sqrt(2 * (nothing[there] - ask(np.eye(folded.weight.size)[0])[there]).max()) if there.any() else None


def test_twins_beside_a_twin_eclipse_a_third_of_the_light():
    assert light_lost("PEBx2P", 5) == pytest.approx(1 / 3, rel=0.03)


def test_no_unseen_pair_outshines_the_star_it_hides_beside():
    assert light_lost("SEBx2P", 5) is None
    assert 0 < light_lost("SEBx2P", -3) < 0.01


def test_grouping_the_points_changes_no_comparison():
    """A planet against a grazing body, both far from perfect: their ratio is the same for 3000 points and 60 bins."""
    random = np.random.default_rng(5)
    time = np.sort(random.uniform(-0.2, 0.2, 3000))
    flux = planet_light(Planet(Orbit(5.0, 0.0, 12.3, 0.3), 0.025), time, (0.3, 0.25), 0.002)
    case = ValidationCase(time, flux + 6e-4 * random.standard_normal(3000), np.full(3000, 6e-4), 0.002, 5.0, SUN)
    none = np.zeros(2)
    draws = Eclipses(
        np.array([0.025, 0.05]), np.array([12.3, 12.3]), np.array([0.3, 1.005]) / 12.3, none, none, np.ones(2), none,
        (np.full(2, 0.3), np.full(2, 0.25)),
    )  # fmt: skip
    folded = Folded.of(case)
    assert folded.since.size <= 60
    each = replace(folded, since=np.abs(time), dip=1 - case.flux, weight=case.flux_err**-2, width=np.full(3000, 0.002))
    one, other = (np.diff(ln_likelihood(way, draws))[0] for way in (folded, each))
    assert abs(other) > 100
    assert one == pytest.approx(other, rel=0.005)


def test_priors_are_the_inverse_of_their_cumulative_laws():
    u = np.linspace(0.001, 0.999, 50)
    for law in (priors.RADII, priors.RADII_OF_M_DWARFS, priors.CLOSE, priors.WIDE):
        assert law.below(law.quantile(u)) == pytest.approx(u, abs=1e-9)
    q = priors.CLOSE.quantile(np.random.default_rng(0).random(100_000))
    # the excess of twins is three tenths of the companions above 0.3
    smooth = np.mean((q > 0.3) & (q < 0.95)) * (1 - 0.3**0.5) / (0.95**0.5 - 0.3**0.5)
    assert 1 - smooth / np.mean(q > 0.3) == pytest.approx(0.3, abs=0.01)
    light, _ = priors.mass_ratio(u, np.full(50, 0.2), priors.CLOSE)
    assert light.min() >= 0.5  # no star below a tenth of the Sun's mass


def test_the_tightest_image_leaves_least_room():
    wide = ContrastCurve(np.array([0.1, 2.0]), np.array([1.0, 4.0]))
    deep = ContrastCurve(np.array([0.1, 1.0]), np.array([5.0, 8.0]))
    area = {n: unresolved.Room.of(c, 1.0, 100.0).ln_area(np.array([3.0]))[0] for n, c in
            {"none": (), "wide": (wide,), "both": (wide, deep)}.items()}  # fmt: skip
    assert math.exp(area["none"]) == pytest.approx(2.2**2, rel=0.01)
    assert area["both"] < area["wide"] < area["none"]


def test_the_built_in_disc_counts_as_trilegal_does_near_the_pole():
    """TRILEGAL to T = 15 at TIC 467331291: 34 stars in 0.1 square degrees."""
    found = unresolved.disc(12.0, -27.0)
    assert found.count[found.tmag < 15].sum() == pytest.approx(34, rel=0.4)


def test_a_planet_is_a_planet(planet):
    _, found = planet
    assert found.scenarios[0].name == "TP"
    assert found.classes["eb"] < 1e-6
    assert found.planet_radius == pytest.approx(2.7, rel=0.1)
    assert found.fpp_interval[0] <= found.fpp <= found.fpp_interval[1]
    assert sum(one.probability for one in found.scenarios) == pytest.approx(1.0)


def test_a_deep_v_with_a_second_eclipse_is_a_binary():
    time = np.linspace(-0.2, 0.2, 60)
    binary = DetachedBinary(Orbit(5.0, 0.0, 14.0, 1.1), 0.5, 0.5)
    flux = binary_light(binary, time, (0.3, 0.25), 0.4 / 60)
    second = 1 - binary_light(binary, np.array([2.5]), (0.3, 0.25))[0]
    noise = 2e-4 * np.random.default_rng(0).standard_normal(60)
    found = validate(
        planet_case(flux=flux + noise, flux_err=np.full(60, 2e-4), secondary_depth=second, secondary_err=5e-5), FAST
    )
    assert found.classes["eb"] + found.classes["heb"] > 0.99
    assert found.fpp > 0.99
    assert found.band != "validated"


def test_the_measured_place_decides_between_neighbours(planet):
    case, found = planet
    far = validate(replace(case, offset=ON_NEIGHBOUR), FAST)
    assert far.nfpp_interval[0] > 0.5
    assert far.band in ("likely_nearby_false_positive", "not_decided")
    # what the same evidences say without the place
    factor = ON_TARGET.ln_likelihood(20, 15) - ON_TARGET.ln_likelihood(0, 0)
    near = [one.kind in ("neb", "ntp") for one in found.scenarios]
    ln_z = [-np.inf if one.ln_evidence is None else one.ln_evidence for one in found.scenarios]
    blind = np.exp(np.array(ln_z) - np.where(near, factor, 0.0))
    assert found.nfpp < 1e-3 * blind[near].sum() / blind.sum()


def test_without_pixels_every_star_is_weighed_by_its_light_alone(planet):
    case, _ = planet
    folded, room = Folded.of(case), unresolved.Room.of((), 1.0, None)
    for offset, factors in (
        (None, {0.0}),
        (ON_TARGET, {0.0, ON_TARGET.ln_likelihood(20, 15) - ON_TARGET.ln_likelihood(0, 0)}),
    ):
        field = Field(replace(case, offset=offset), folded, room, None)
        assert {one.ln_factor for one in field.all()} == factors


def sure(**changes):
    done = Validation("done", None, None, 0.004, 0.05, (0.0035, 0.0045), 1e-5, 0.05, (9e-6, 1.1e-5))
    return replace(done, planet_radius=2.7, **changes)


def test_no_band_is_given_across_a_threshold():
    case = planet_case(neighbours=(NEAR,), offset=ON_TARGET)
    assert _judged(sure(), case, FAST, ())[0].band == "validated"
    for changes in ({"fpp_interval": (0.012, 0.02)}, {"nfpp_interval": (5e-4, 2e-3)}):
        found, _ = _judged(sure(**changes), case, FAST, ())
        assert (found.status, found.band) == ("not_decided", "not_decided")
        assert "Monte Carlo" in found.reason
    found, doubtful = _judged(sure(), case, FAST, ("BEB",))
    assert (found.band, doubtful) == ("not_decided", ["BEB"])


def test_where_only_samples_are_in_the_way_those_scenarios_get_more(monkeypatch, planet):
    case, _ = planet
    strict = replace(FAST, least_effective=50)
    longer = validate(case, strict)
    unknown = validate(replace(case, offset=None), strict)  # no number of samples makes up for a place
    monkeypatch.setattr("pipeline.validation.engine.LOOKS", ())
    once = validate(case, strict)
    assert unknown.scenarios == validate(replace(case, offset=None), strict).scenarios
    assert (once.band, longer.band) == ("not_decided", "validated")
    samples = {one.name: one.samples for one in once.scenarios}
    again = [one for one in longer.scenarios if one.samples > samples[one.name]]
    assert again
    assert again != list(longer.scenarios)
    assert longer.fpp_err_dex < once.fpp_err_dex


def test_removing_an_input_never_makes_the_band_better():
    case = planet_case(neighbours=(NEAR,), offset=ON_TARGET)
    for missing in ({"neighbours": None}, {"offset": None}, {"secondary_depth": None}):
        found, doubtful = _judged(sure(), replace(case, **missing), FAST, ("BEB",))
        assert not doubtful  # it can't be helped by samples
        assert found.band == "not_decided", missing
    for missing in ({"mass": None}, {"radius": None}, {"tmag": None}):
        found, _ = _judged(sure(), replace(case, star=replace(SUN, **missing)), FAST, ())
        assert (found.status, found.band) == ("out_of_domain", None), missing
    assert _judged(sure(), replace(case, star=replace(SUN, logg=3.2)), FAST, ())[0].status == "out_of_domain"
    giant, _ = _judged(replace(sure(), planet_radius=9.0), case, FAST, ())
    assert (giant.status, giant.band, giant.fpp) == ("out_of_domain", None, 0.004)


def test_nan_never_passes():
    for array in ("flux", "flux_err", "phase_time"):
        case = planet_case()
        broken = getattr(case, array).copy()
        broken[3] = np.nan
        found = validate(replace(case, **{array: broken}), FAST)
        assert (found.status, found.fpp, found.band) == ("failed", None, None)


def test_what_nothing_explains_has_failed_and_is_no_false_positive():
    found = validate(planet_case(period=0.01), FAST)  # within any star
    assert (found.status, found.fpp, found.band) == ("failed", None, None)
    assert validation_block(found)["status"] == "error"


def test_the_bands_are_those_of_the_paper():
    assert band_of(0.01, 1e-4) == "validated"
    assert band_of(0.2, 1e-4) == "likely_planet"
    assert band_of(0.7, 1e-4) == "false_positive"
    assert band_of(0.01, 0.01) == "not_decided"
    assert band_of(0.01, 0.2) == "likely_nearby_false_positive"


def test_the_evidence_follows_the_schema_and_is_remembered(planet):
    import jsonschema

    block = validation_block(decode(encode(planet[1])))
    whole = schema()
    jsonschema.validate(
        json.loads(json.dumps(block)), whole["properties"]["validation"] | {"$defs": whole.get("$defs", {})}
    )
    assert block["scenarios"]["TP"]["host"] == "the target"


def test_keplers_light_darkens_towards_the_limb_as_kepler_sees_it():
    time = cadences()[:2000]
    curve = cleaned(time, 1 - 6e-4 * trapezoid(time, 3.1, 1326.1, 0.12), 2e-4)
    curve, what = replace(curve, products=(Product("", "", "Kepler", "", ""),)), signal(3.1, 1326.1, 0.12, 6e-4)
    assert case_of(Case(curve, fold(curve, what), what, SUN, VetSettings()), None).band == "Kepler"
    assert stars.limb_darkening(np.array([5600.0]), "Kepler")[0] > stars.limb_darkening(np.array([5600.0]))[0] + 0.05


def test_a_signal_of_a_hunt_is_weighed_with_what_stands_apart():
    time, rng = cadences(), np.random.default_rng(2)
    flux = (
        1
        - 6e-4 * trapezoid(time, 3.1, 1326.1, 0.12)
        + 2e-4 * rng.normal(size=time.size)
        + red_noise(time, 5e-5, 6.0, rng)
    )
    curve, what = cleaned(time, flux, 2e-4), signal(3.1, 1326.1, 0.12, 6e-4)
    few = replace(FAST, samples=150)
    found = assess(curve, fold(curve, what), what, SUN, None, VetSettings(), few)
    assert found.scenarios[0].kind == "planet"
    assert found.nfpp is None
    assert found.band == "not_decided"
    assert "no_catalogue" in found.reason
    assert found.planet_probability == pytest.approx(found.artifact.value * (1 - found.fpp))
    assert assess(curve, fold(curve, what), what, SUN, None, VetSettings(), replace(few, method="none")).fpp is None


def test_a_trilegal_table_loses_its_footer_and_says_so(tmp_path):
    text = ",Mact,logg,logTe,[M/H],TESS\n0,1.0,4.438,3.7613,0,12.0\n1,0.5,4.8,3.57,0,18.0\n2,#TRILEGAL,normally,,,\n"
    path = tmp_path / "TIC_7_TRILEGAL.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    (tmp_path / "TIC_77_curve.csv").write_text("sep,dmag\n0.1, 2.0\n1.0, 5.0\n")
    found = read_population(path, 0.1)
    assert (found.stars, found.dropped) == (2, 1)
    assert found.radius[0] == pytest.approx(1.0, abs=0.01)
    given = ValidateSettings(population=str(tmp_path), contrast=str(tmp_path / "TIC_77_curve.csv"))
    population, curves, notes = field_tables(given, Target("TIC", "7"))
    assert (population.stars, len(curves), notes) == (2, 1, ())
    assert tables_key(given, Target("TIC", "7")) != tables_key(given, Target("TIC", "8"))
    assert field_tables(given, Target("TIC", "8"))[2]  # no table: told


def test_a_cone_of_gaia_is_read_too(tmp_path):
    path = tmp_path / "cone.csv"
    path.write_text("source_id,phot_g_mean_mag,bp_rp,teff_gspphot\n1,15.0,0.82,5800\n2,16.0,,\n3,18.0,2.3,\n")
    found = read_population(path, 0.1)
    assert (found.stars, found.dropped) == (2, 1)
    assert found.tmag[0] == pytest.approx(14.57, abs=0.05)  # T - G = -0.43 for the Sun's colour
    assert found.mass == pytest.approx([1.02, 0.43], abs=0.02)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="among its columns"):
        read_population(path, 0.1)
    with pytest.raises(ValueError, match="no two rows"):
        read_contrast(path)
