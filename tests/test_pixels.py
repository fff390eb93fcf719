"""Difference images of simulated stamps: the place of the dip, its errors, the star behind it, what was not run."""

from dataclasses import replace

import numpy as np
import pytest

from hunter.archives import pixel_files
from hunter.checkpoints import decode, encode
from pipeline.pixels.combine import combine
from pipeline.pixels.difference import difference_images
from pipeline.pixels.examine import TESTS, PixelSettings, examine
from pipeline.pixels.offset import hotelling_sigma, sky_offset
from pipeline.pixels.prf import KEPLER_ANALYTIC, TESS_ANALYTIC, PrfGrid, prf_of
from pipeline.simulate.pixels import SCALE, Scene, SceneStar, render
from pipeline.sky import pixel_of, place_of, scale_at, tangent, wcs_of
from pipeline.types import FieldStar, TransitSignal, Verdict

SIGNAL = TransitSignal(3.3, 1326.2, 3 / 24, 0.002, 40.0)
TARGET = SceneStar(5.2, 4.8, 10.0, 0.002)
NEIGHBOUR = SceneStar(7.0, 6.4, 12.0)  # 2.4 pixels away
ECLIPSED = replace(NEIGHBOUR, depth=0.0126)  # as much light as the target's dip


def look(*stars, signal=SIGNAL, seed=1, prf=(), settings=PixelSettings(), **scene):
    pixels, listed = render(Scene(stars, **scene), signal, seed)
    return examine([pixels], signal, listed, settings, prf)


def finding(found, test):
    return next(one for one in found.findings if one.test == test)


def samples_of(prf):
    """The 117 x 117 samples that MAST's file of such a star would hold."""
    ninth = np.arange(9) / 9 - 4 / 9
    samples = np.zeros((117, 117))
    for i, y in enumerate(ninth):
        for j, x in enumerate(ninth):
            # a star to the left of its pixel's centre shows that pixel a sample to the right of its own middle
            samples[8 - i :: 9, 8 - j :: 9] = prf.images(np.array([6 + x]), np.array([6 + y]), (13, 13))[0]
    return samples


@pytest.fixture(scope="module")
def grid():
    samples = samples_of(TESS_ANALYTIC)
    wider = samples_of(replace(TESS_ANALYTIC, sigma=1.2))
    return PrfGrid("TESS PRF", np.array([0.0, 0, 1000, 1000]), np.array([0.0, 1000, 0, 1000]),
                   np.stack([samples, samples, wider, wider]))  # fmt: skip


def test_the_interleaved_samples_give_the_star_back_wherever_it_falls(grid):
    prf = grid.at(0, 400)
    column, row = np.array([6.0, 5.31, 6.49, 1.2]), np.array([6.0, 6.77, 5.5, 3.9])
    sampled = prf.images(column, row, (13, 13))
    assert sampled == pytest.approx(TESS_ANALYTIC.images(column, row, (13, 13)), abs=1.5e-3)
    assert sampled[:3].sum(axis=(1, 2)) == pytest.approx(1.0, abs=3e-3)
    assert prf.images(np.array([40.0]), np.array([6.0]), (13, 13)).max() == 0


def test_between_the_places_of_the_grid_the_models_are_mixed(grid):
    middle = grid.at(250, 10).images(np.array([6.0]), np.array([6.0]), (13, 13))[0, 6, 6]
    ends = [grid.at(c, 10).images(np.array([6.0]), np.array([6.0]), (13, 13))[0, 6, 6] for c in (0, 1000)]
    assert middle == pytest.approx(0.75 * ends[0] + 0.25 * ends[1], rel=1e-3)  # each sums to 1 by itself


def test_a_place_outside_the_grid_is_clamped_and_says_so(grid):
    assert np.array_equal(grid.at(-30, 10).samples, grid.at(0, 10).samples)
    assert "clamped" in grid.at(-30, 10).name
    assert "clamped" not in grid.at(0, 10).name


def test_models_of_another_shape_are_refused(grid):
    with pytest.raises(ValueError, match="117"):
        replace(grid, samples=grid.samples[:, :99, :99]).at(1, 1)


def test_the_evidence_names_the_model_of_a_star(grid):
    pixels, stars = render(Scene((TARGET,)), SIGNAL, 1)
    assert prf_of(pixels, None) is TESS_ANALYTIC
    assert prf_of(replace(pixels, product=replace(pixels.product, mission="Kepler")), None) is KEPLER_ANALYTIC
    found = examine([pixels], SIGNAL, stars, prf=[replace(grid, column=grid.column * 2, row=grid.row * 2)])
    assert found.sectors[0].prf == "TESS PRF"
    assert "TESS PRF" in found.notes[0]


def test_pixels_and_sky_agree():
    pixels, stars = render(Scene((TARGET, NEIGHBOUR)), SIGNAL, 1)
    wcs = wcs_of(pixels.wcs)
    assert pixel_of(wcs, stars[1].ra, stars[1].dec) == pytest.approx((7.0, 6.4), abs=1e-6)
    apart = scale_at(wcs, 5.2, 4.8) @ np.array([1.8, 1.6])
    assert apart == pytest.approx(tangent(stars[1].ra, stars[1].dec, stars[0].ra, stars[0].dec), abs=1e-3)
    assert np.hypot(*apart) == pytest.approx(SCALE * np.hypot(1.8, 1.6), rel=1e-4)


def test_a_fast_star_is_looked_for_where_it_is_now():
    star = FieldStar("TIC", "1", 10.0, 60.0, epoch=2015.5, pm_ra=1000.0, pm_dec=-500.0)
    ra, dec = place_of(star, 2458849.5 - 2457000)  # the beginning of 2020
    assert (ra - 10) * 3600 * 0.5 == pytest.approx(4.5, abs=0.01)
    assert (dec - 60) * 3600 == pytest.approx(-2.25, abs=0.01)


def test_a_dip_on_the_target_is_found_there():
    found = look(TARGET, NEIGHBOUR)
    said = finding(found, "pixel_offset")
    assert said.status is Verdict.PASS
    assert said.value == found.offset.arcsec < 3
    assert found.offset.arcsec_err == pytest.approx(0.8 * SCALE / found.sectors[0].fit.snr, rel=0.5)
    assert found.hosts[0].probability > 0.99
    assert found.sectors[0].fit.agreeing >= 5
    assert finding(found, "host").status is Verdict.PASS
    assert finding(found, "aperture_depth").status is Verdict.PASS
    assert finding(found, "ghost").status is Verdict.PASS


def test_a_dip_on_a_neighbour_is_found_there():
    found = look(replace(TARGET, depth=0.0), ECLIPSED)
    assert finding(found, "pixel_offset").status is Verdict.FAIL
    assert found.offset.arcsec == pytest.approx(SCALE * np.hypot(1.8, 1.6), abs=3)
    assert finding(found, "host").status is Verdict.FAIL
    assert found.hosts[0].tmag == 12.0
    assert found.hosts[0].required_depth == pytest.approx(0.0126, rel=0.25)
    assert finding(found, "aperture_depth").status is Verdict.FAIL
    assert finding(found, "aperture_depth").value > 1.5


def test_a_star_that_cannot_dim_so_much_is_no_host():
    faint = SceneStar(6.4, 4.8, 17.0)
    crowded = look(replace(TARGET, depth=0.003), faint)
    assert next(star for star in crowded.hosts if star.tmag == 17.0).prior == 0
    pixels, stars = render(Scene((TARGET, NEIGHBOUR)), SIGNAL, 1)
    told = examine([pixels], SIGNAL, stars, required_depth={"TIC 99000000002": 1.7})
    assert next(star for star in told.hosts if star.tmag == 12.0).prior == 0
    assert next(star for star in told.hosts if star.tmag == 12.0).required_depth == 1.7


def test_a_dip_where_no_star_is_listed_is_said_to_be_elsewhere():
    found = look(replace(TARGET, depth=0.0), replace(ECLIPSED, listed=False))
    assert found.elsewhere > 0.99
    assert finding(found, "host").status is Verdict.FAIL


def test_the_zero_point_takes_out_an_error_of_the_wcs():
    found = look(TARGET, NEIGHBOUR, SceneStar(2.0, 8.0, 10.5), pointing=(0.4, -0.3))
    zero = found.sectors[0].zero_point
    assert (zero.column, zero.row) == pytest.approx((-0.4, 0.3), abs=0.01)
    assert finding(found, "pixel_offset").status is Verdict.PASS
    assert zero.target_flux == pytest.approx(15700, rel=0.01)


def test_a_model_five_percent_too_wide_does_not_move_the_dip():
    wide = replace(TESS_ANALYTIC, sigma=1.05 * TESS_ANALYTIC.sigma)
    deep = look(replace(TARGET, depth=0.05), NEIGHBOUR, signal=replace(SIGNAL, depth=0.05), prf=[wide])
    assert deep.offset.arcsec < 0.1 * SCALE


def test_drift_is_in_the_errors_and_not_in_the_claims():
    """The formal errors are those of single pixels; pseudo-transits know of the drift."""
    formal, chi_square = [], []
    for seed in range(12):
        found = look(TARGET, seed=seed, drift=2 / SCALE)
        offset, fit = found.offset, found.sectors[0].fit
        formal.append((offset.arcsec / (fit.formal_err * SCALE)) ** 2)
        chi_square.append(offset.chi_square)
        assert finding(found, "pixel_offset").status is Verdict.PASS
    assert np.mean(formal) > 4
    assert 0.3 < np.mean(chi_square) < 3.8  # 2 within three standard errors of twelve


def test_sectors_together_know_more_than_one():
    three = [render(Scene((TARGET,), sector=n, start=1325.0 + 28 * n), SIGNAL, n) for n in range(3)]
    stars = three[0][1]
    one, all_three = examine([three[0][0]], SIGNAL, stars), examine([p for p, _ in three], SIGNAL, stars)
    assert all_three.offset.east_err == pytest.approx(one.offset.east_err / np.sqrt(3), rel=0.3)
    assert all_three.offset.independent > one.offset.independent
    assert finding(all_three, "sector_offsets").status is Verdict.PASS
    assert finding(one, "sector_offsets").status is Verdict.NOT_RUN


def test_sectors_that_disagree_widen_the_error():
    covariance = np.diag([0.04, 0.04])
    here, there = sky_offset(np.array([0.0, 0.0]), covariance, 1e6), sky_offset(np.array([3.0, 0.0]), covariance, 1e6)
    together, between, sigma = combine([here, there])
    assert together.east == pytest.approx(1.5)
    assert between == pytest.approx(9 / 0.08 / 2, rel=1e-4)
    assert sigma > 3
    assert together.east_err == pytest.approx(np.sqrt(0.02 * between), rel=1e-4)


def test_few_samples_behind_an_error_weaken_its_claim():
    assert hotelling_sigma(11.83, 1e7) == pytest.approx(3.0, abs=0.01)
    assert hotelling_sigma(11.83, 25) < 2.7
    assert hotelling_sigma(0.0, 25) == 0


def test_an_offset_is_an_ellipse_on_the_sky():
    offset = sky_offset(np.array([3.0, 4.0]), np.array([[4.0, 0.0], [0.0, 1.0]]), 50)
    assert offset.ellipse == pytest.approx((2.0, 1.0, 90.0))
    assert offset.arcsec_err == pytest.approx(np.sqrt((0.6 * 2) ** 2 + 0.8**2))


@pytest.mark.parametrize(
    ("reason", "scene", "signal"),
    [
        ("saturated", {"stars": (replace(TARGET, tmag=6.5),)}, SIGNAL),
        ("edge", {"stars": (replace(TARGET, column=0.3),)}, SIGNAL),
        ("few_transits", {"stars": (TARGET,), "days": 8.0}, replace(SIGNAL, period=5.0)),
        ("not_converged", {"stars": (replace(TARGET, depth=0.0),)}, SIGNAL),
        ("few_points", {"stars": (TARGET,), "days": 3.0}, replace(SIGNAL, period=0.5)),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_not_run_and_never_zero(reason, scene, signal):
    pixels, stars = render(Scene(**scene), signal, 3)
    found = examine([pixels], signal, stars)
    assert found.offset is None
    for test in ("pixel_offset", "host"):
        said = finding(found, test)
        assert said.status is Verdict.NOT_RUN
        assert said.value is said.sigma is None
        assert said.note.startswith(f"{reason}: ")
    assert not found.hosts
    assert found.elsewhere is None


def test_transits_without_room_between_them_tell_their_own_scatter():
    found = look(replace(TARGET, depth=0.004), NEIGHBOUR, signal=replace(SIGNAL, period=0.5))
    assert found.sectors[0].independent == found.sectors[0].transits - 1 > 30
    assert finding(found, "pixel_offset").status is Verdict.PASS


def test_without_pixels_or_a_catalogue_nothing_is_known():
    pixels, stars = render(Scene((TARGET,)), SIGNAL, 1)
    for found, reason in ((examine([], SIGNAL, stars), "no_pixels"), (examine([pixels], SIGNAL, []), "no_catalogue")):
        assert [one.test for one in found.findings] == list(TESTS)
        assert all(one.status is Verdict.NOT_RUN and one.note.startswith(reason) for one in found.findings)


def test_pixels_that_were_not_collected_and_bad_cadences_are_left_out():
    pixels, stars = render(Scene((TARGET, NEIGHBOUR)), SIGNAL, 1)
    flux, quality = pixels.flux.copy(), pixels.quality.copy()
    flux[:, :2, :2] = np.nan
    flux[::50] *= 3
    quality[::50] = 128
    flux[7] = np.nan
    found = examine([replace(pixels, flux=flux, quality=quality)], SIGNAL, stars)
    assert found.sectors[0].valid.sum() == 121 - 4
    assert found.sectors[0].snr_image[0, 0] == 0
    assert finding(found, "pixel_offset").status is Verdict.PASS


def test_a_secondary_is_kept_out_of_the_scatter():
    other = replace(SIGNAL, epoch=SIGNAL.epoch + 0.5 * SIGNAL.period)
    star = replace(TARGET, depth=0.1)
    first, _ = render(Scene((star,)), replace(SIGNAL, depth=0.1), 1)
    both = replace(first, flux=first.flux + render(Scene((star,), noise=False), other, 1)[0].flux
                   - render(Scene((replace(star, depth=0.0),), noise=False), other, 1)[0].flux)  # fmt: skip
    alone, with_it = difference_images(first, SIGNAL), difference_images(both, SIGNAL)
    assert with_it.noise == pytest.approx(alone.noise, rel=0.3)
    assert with_it.shifts < alone.shifts


def test_a_known_false_positive_of_kepler_lies_beside_its_star(shared_data):
    """K06771.01: its vetters found the offset too (DR25 flag CENT_RESOLVED_OFFSET)."""
    pixels = pixel_files.read(shared_data / "pixels" / "kepler_tpf_KIC6804648_contaminante.fits")
    signal = TransitSignal(0.700606, 131.59767 - 2167.0, 0.993 / 24, 433e-6, 20.0)
    found = examine([pixels], signal, [FieldStar("KIC", "6804648", 298.48257, 42.24038, tmag=12.609)])
    assert finding(found, "pixel_offset").status is Verdict.FAIL
    assert found.offset.arcsec == pytest.approx(7.5, abs=1)
    assert found.elsewhere > 0.99


def test_what_is_found_can_be_stored_and_read_back():
    found = look(TARGET, NEIGHBOUR)
    again = decode(encode(found))
    assert again.findings == found.findings
    assert again.offset == found.offset
    assert again.hosts == found.hosts
    assert np.array_equal(again.sectors[0].difference, found.sectors[0].difference)


def test_the_same_seed_renders_the_same_pixels_and_noise_can_be_left_out():
    scene = Scene((TARGET,), days=2.0, drift=0.1, jitter=0.01)
    first, second = (render(scene, SIGNAL, 5)[0] for _ in range(2))
    assert np.array_equal(first.flux, second.flux)
    quiet = render(Scene((replace(TARGET, depth=0.0),), days=2.0, noise=False), SIGNAL, 5)[0]
    assert np.ptp(quiet.flux, axis=0).max() == 0
    assert quiet.flux[0].sum() == pytest.approx(15700, rel=0.01)
