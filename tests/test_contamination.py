"""The light in an aperture is shared out as it was drawn, and a depth is corrected once."""

import math
from dataclasses import replace

import numpy as np
import pytest
from star_fields import draw_field

from pipeline.contamination import contamination, find_target
from pipeline.errors import UnusableData
from pipeline.pixels.prf import TESS_ANALYTIC
from pipeline.sky import pixel_of, place_of, separation, wcs_of
from pipeline.types import FieldStar, Star, Target, Verdict

DEPTH = 1e-3


@pytest.fixture(scope="module")
def drawn():
    """SIMULATED: a crowded field, in which others send a good part of the light."""
    return next(field for field in map(draw_field, range(40)) if 0.5 < field.fraction < 0.8 and len(field.stars) > 20)


def weigh(drawn, column="SAP_FLUX", depth=DEPTH, **more):
    return contamination(drawn.target, depth, column, [drawn.pixels], [TESS_ANALYTIC], drawn.stars, **more)


def test_shares_are_those_of_drawn_fields():
    # 200 fields are in benchmarks/contamination.py
    for seed in range(4):
        drawn = draw_field(seed)
        finding, found = weigh(drawn)
        assert finding.value == found.fraction == pytest.approx(drawn.fraction, rel=0.02)
        assert sum(share.fraction for share in found.stars) <= 1 + 1e-9
        caught = drawn.light[0][drawn.pixels.aperture].sum() / 10 ** (-0.4 * drawn.stars[0].tmag)
        assert found.sectors[0].captured == pytest.approx(caught, rel=0.02)


def test_images_five_percent_wider_than_the_model_move_the_share_by_a_few_percent():
    # the limit of it: benchmarks/contamination.py has the figures
    errors = [
        weigh(drawn)[1].fraction / drawn.fraction - 1 for drawn in (draw_field(seed, wider=1.05) for seed in range(2))
    ]
    assert 1e-3 < max(map(abs, errors)) < 0.06


def test_a_raw_depth_is_corrected_and_a_corrected_one_is_not_corrected_again(drawn):
    _, raw = weigh(drawn, "SAP_FLUX")
    assert (raw.depth_corrected_before, raw.aperture_depth) == (False, DEPTH)
    assert raw.own_depth == pytest.approx(DEPTH / raw.fraction)
    assert raw.radius_factor == pytest.approx(1 / math.sqrt(raw.fraction))
    _, corrected = weigh(drawn, "PDCSAP_FLUX", depth=raw.own_depth)
    assert corrected.depth_corrected_before
    assert corrected.radius_factor == 1.0
    assert corrected.own_depth == raw.own_depth
    assert corrected.aperture_depth == pytest.approx(DEPTH)
    # what the file was divided by counts, not what we believe it should have been
    _, told = weigh(drawn, "PDCSAP_FLUX", crowding={1: 0.9})
    assert told.aperture_depth == pytest.approx(0.9 * DEPTH)
    assert told.sectors[0].crowding == 0.9


def test_every_star_is_told_with_the_depth_it_would_need(drawn):
    finding, found = weigh(drawn)
    assert (found.stars[0].key, found.stars[0].separation) == ("1000", 0.0)
    assert [share.fraction for share in found.stars[1:]] == sorted(
        (share.fraction for share in found.stars[1:]), reverse=True
    )
    for share in found.stars:
        assert share.required_depth == pytest.approx(DEPTH / share.fraction)
        assert share.possible_host == (share.required_depth <= 1)
    hosts = [share for share in found.stars[1:] if share.possible_host]
    assert found.possible_hosts == len(hosts) > 0
    assert len(found.stars) + found.untold == len(drawn.stars)
    assert found.required_depths["TIC 1000"] == found.stars[0].required_depth
    assert f"{len(hosts)} other stars have light enough" in finding.note
    assert hosts[0].key in finding.note


def test_a_target_that_sends_less_than_goes_missing_is_not_the_host(drawn):
    finding, found = weigh(drawn, depth=0.5 * (1 + drawn.fraction))
    assert finding.status is Verdict.FAIL
    assert finding.value < finding.limit
    assert not found.stars[0].possible_host
    assert weigh(drawn)[0].status is Verdict.PASS


def test_without_neighbours_the_ratio_of_the_catalogue_serves_and_is_said(drawn):
    for pixels, prfs, stars in (
        ([drawn.pixels], [TESS_ANALYTIC], ()),
        ([drawn.pixels], [TESS_ANALYTIC], drawn.stars[:1]),
        ((), (), drawn.stars),
        ([replace(drawn.pixels, wcs={})], [TESS_ANALYTIC], drawn.stars),
    ):
        finding, found = contamination(drawn.target, DEPTH, "SAP_FLUX", pixels, prfs, stars, ratio=0.25)
        assert found.fraction == pytest.approx(0.8)
        assert found.source == "TIC contamination ratio"
        assert found.own_depth == pytest.approx(DEPTH / 0.8)
        assert "contamination ratio of the TESS Input Catalog" in finding.note
        assert found.stars == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pixels": ()}, "no_pixels"),
        ({"stars": ()}, "no_catalogue"),
        ({"depth": math.nan}, "few_points"),
        ({"depth": -1e-4}, "few_points"),
        ({"ratio": math.nan, "stars": ()}, "no_catalogue"),
    ],
)
def test_what_cannot_be_weighed_is_not_run_and_says_why(drawn, change, reason):
    given = {"depth": DEPTH, "pixels": [drawn.pixels], "stars": drawn.stars, "ratio": None} | change
    prfs = [TESS_ANALYTIC] * len(given["pixels"])
    finding, found = contamination(
        drawn.target, given["depth"], "SAP_FLUX", given["pixels"], prfs, given["stars"], ratio=given["ratio"]
    )
    assert found is None
    assert (finding.status, finding.value) == (Verdict.NOT_RUN, None)
    assert finding.note.startswith(f"{reason}:")


def test_a_target_the_catalogue_does_not_know_is_not_taken_for_its_neighbour(drawn):
    finding, found = contamination(Target("TIC", "7"), DEPTH, "SAP_FLUX", [drawn.pixels], [TESS_ANALYTIC], drawn.stars)
    assert found is None
    assert "not among the stars" in finding.note
    here = drawn.stars[3]
    assert find_target(Target("KIC", "7", Star(ra=here.ra, dec=here.dec + 2 / 3600)), drawn.stars) == 3
    assert find_target(Target("KIC", "7", Star(ra=here.ra, dec=here.dec + 0.1)), drawn.stars) is None


def test_images_without_an_aperture_are_weighed_in_nine_pixels_around_the_target(drawn):
    bare = replace(drawn.pixels, aperture=np.zeros_like(drawn.pixels.aperture))
    finding, found = contamination(drawn.target, DEPTH, "SAP_FLUX", [bare], [TESS_ANALYTIC], drawn.stars)
    assert found.sectors[0].pixels == 9
    assert "no aperture" in finding.note


def test_several_sectors_give_their_mean_and_their_worst(drawn):
    smaller = replace(drawn.pixels, aperture=drawn.pixels.aperture & (drawn.light[0] > 0.3 * drawn.light[0].max()))
    _, found = contamination(drawn.target, DEPTH, "SAP_FLUX", [drawn.pixels, smaller], [TESS_ANALYTIC] * 2, drawn.stars)
    shares = [sector.fraction for sector in found.sectors]
    assert found.fraction == pytest.approx(np.mean(shares))
    assert found.least == min(shares)


def test_stars_are_placed_as_astropy_places_them():
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.time import Time
    from astropy.wcs import WCS

    star = FieldStar("TIC", "1", 359.9999, -80.47, pm_ra=3600.0, pm_dec=-2500.0)
    then = SkyCoord(
        star.ra * u.deg, star.dec * u.deg, pm_ra_cosdec=3600 * u.mas / u.yr, pm_dec=-2500 * u.mas / u.yr,
        obstime=Time(2451545.0, format="jd", scale="tdb"), distance=10 * u.pc,
    )  # fmt: skip
    now = then.apply_space_motion(new_obstime=Time(2459000.5, format="jd", scale="tdb"))
    ra, dec = place_of(star, 2000.5)
    assert separation(ra, dec, float(now.ra.deg), float(now.dec.deg)) < 1e-3
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 0.01, "CRVAL2": -80.46, "CRPIX1": 6.3,
             "CRPIX2": 5.1, "CDELT1": -0.0057, "CDELT2": 0.0057, "PC1_1": 0.8, "PC1_2": 0.6, "PC2_1": -0.6,
             "PC2_2": 0.8}  # fmt: skip
    expected = WCS(cards).all_world2pix([[ra, dec]], 0)[0]
    assert pixel_of(wcs_of(cards), ra, dec) == pytest.approx(tuple(expected), abs=1e-6)
    for wrong in ({}, {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, cards | {"CDELT1": 0.0}):
        with pytest.raises(UnusableData, match="projection"):
            wcs_of(wrong)
    with pytest.raises(UnusableData, match="other side"):
        pixel_of(wcs_of(cards), 180.0, 80.0)
