"""Folding and vetting on real TESS light curves, on their true ephemerides (truth.csv)."""

import csv
from functools import cache
from pathlib import Path

import pytest

from hunter.archives.folder import FolderArchive
from pipeline.clean import clean
from pipeline.features import features
from pipeline.fold import fold
from pipeline.types import Finding, TransitSignal, Verdict
from pipeline.vet import vet


@cache
def examine(data: Path, path: str, part: int = 1) -> tuple[dict[str, Finding], dict[str, float | None]]:
    """Findings and scalars of one file at its true period, or a part of it."""
    row = next(row for row in csv.DictReader((data / "truth.csv").open()) if row["path"].endswith(path))
    archive = FolderArchive(data / row["path"])
    found = next(iter(archive.targets()))
    fetched = archive.fetch(found.target, found.sources)
    cleaned = clean([archive.read(product) for product in fetched.products])
    signal = TransitSignal(
        period=float(row["period_days"]) / part,
        epoch=float(row["epoch_btjd"]),
        duration=float(row["duration_hours"]) / 24,
        depth=float(row["depth_folded_ppm"] or row["depth_ppm"]) / 1e6,
        snr=float(row["snr_folded"]),
    )
    views = fold(cleaned, signal)
    findings = vet(cleaned, views, signal, fetched.star)
    assert not [finding for finding in findings if finding.status is Verdict.ERROR]
    return {finding.test: finding for finding in findings}, features(cleaned, views, signal, fetched.star, findings)


def failed(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.status is Verdict.FAIL}


PLANETS = (
    "HD_202772_A_b.fits",
    "phot_00025155310-s01_tess_v1_lc.fits",
    "pi_Men_c.fits",
    "0000000261136679-0120-s_lc.fits",
    "0000000441420236-0120-s_lc.fits",
    "tic55525572_lc.fits",
    "TIC_100100827_TESS_Sector_02.fits",
    "TIC_283722336_TESS_Sector_24.fits",
)


@pytest.mark.parametrize("path", PLANETS)
def test_a_known_planet_fails_nothing(shared_data, path):
    findings, _ = examine(shared_data, path)
    assert failed(findings) == set(), findings


def test_an_eclipsing_pair_at_half_its_period_fails_odd_even(shared_data):
    findings, scalars = examine(shared_data, "0000000117544915-0120-s_lc.fits", 2)
    assert {"odd_even", "v_shape", "size"} <= failed(findings)
    assert scalars["odd_even_sigma"] > 4


@pytest.mark.parametrize("path", ["0000000117544915-0120-s_lc.fits", "TIC_38699825_TESS_Sector_02.fits"])
def test_an_eclipsing_pair_at_its_period_fails_the_secondary(shared_data, path):
    findings, _ = examine(shared_data, path)
    assert {"secondary", "size"} <= failed(findings)
    # minima of 415 and 396, 327 and 281 thousand ppm
    assert findings["secondary"].value == pytest.approx(0.9, abs=0.1)


@pytest.mark.parametrize("part", [1, 2])
def test_a_contact_binary_is_no_planet(shared_data, part):
    findings, _ = examine(shared_data, "0000000053842685-0120-s_lc.fits", part)
    assert "size" in failed(findings)
    assert part == 1 or "odd_even" in failed(findings)


def test_the_occultation_of_wasp_18_is_seen_and_allowed(shared_data):
    findings, scalars = examine(shared_data, "TIC_100100827_TESS_Sector_02.fits")
    assert findings["secondary"].sigma > 3
    assert "occultation" in findings["secondary"].note
    # published: 387 ppm of 10,500; phase curve and trend leave 300-600 in this file
    assert 0.025 < scalars["secondary_over_primary"] < 0.06


def test_a_dip_33_arcsec_away_is_not_called_on_target(shared_data):
    """SPOC places the dip of TIC 126890217 33.2 arcsec off; its flux-weighted centroid does not move."""
    findings, _ = examine(shared_data, "0000000126890217-0120-s_lc.fits")
    assert findings["centroid"].sigma < 3
    assert "unknown without pixels" in findings["centroid"].note


@pytest.mark.parametrize("sector", ["s0011", "s0012", "s0013", "s0002"])
def test_a_binary_of_equal_eclipses_on_a_dwarf_fails_the_secondary(shared_data, sector):
    """On its true period; on half of it the eclipses of this star agree and nothing in the flux tells."""
    path = next((shared_data / "lightcurves" / "ultracool").glob(f"*{sector}-0000000220429097*"))
    findings, _ = examine(shared_data, path.name)
    assert "secondary" in failed(findings)
