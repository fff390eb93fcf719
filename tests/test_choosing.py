"""The choice between files that are known by a URI and lie somewhere else."""

import light_curve_files as files
import numpy as np

from hunter.archives import formats
from hunter.archives.choosing import choose
from hunter.archives.settings import ArchiveSettings
from pipeline.types import Target

SETTINGS = ArchiveSettings()
STAR = Target("TIC", str(files.TIC))


def stored(folder, **urls):
    """Files under names that say nothing, by the URI each is known by."""
    return {f"mast:TESS/product/{name}.fits": files.save(folder, name[::-1], content) for name, content in urls.items()}


def test_evidence_names_the_uri_and_not_the_place_of_the_file(tmp_path):
    sources = stored(tmp_path, slow=files.spoc(sector=1), fast=files.spoc(sector=1, seconds=20.0), bad=b"<html>")
    found = choose(STAR, sources, SETTINGS, "all")
    (product,) = found.products
    assert product.uri == "mast:TESS/product/slow.fits"
    assert [uri for uri, _ in found.superseded] == ["mast:TESS/product/fast.fits"]
    assert [uri for uri, _ in found.refused] == ["mast:TESS/product/bad.fits"]
    assert "slow.fits has the plain cadence" in found.superseded[0][1]


def test_a_product_known_by_a_uri_is_read_from_where_it_lies(tmp_path):
    sources = stored(tmp_path, one=files.spoc())
    (product,) = choose(STAR, sources, SETTINGS, "all").products
    observed = formats.read(product, SETTINGS.columns, sources[product.uri])
    assert observed.product == product
    assert np.isfinite(observed.flux).sum() == files.ROWS - 1


def test_the_newest_release_is_taken_whatever_the_uris_are(tmp_path):
    sources = stored(tmp_path, b=files.spoc(DATA_REL=42), a=files.spoc(DATA_REL=1), c=files.spoc(DATA_REL=30))
    found = choose(STAR, sources, SETTINGS, "all")
    assert [product.data_release for product in found.products] == [42]


def test_another_star_and_another_sector_are_refused_by_what_they_hold(tmp_path):
    sources = stored(tmp_path, one=files.spoc(sector=1), two=files.spoc(sector=2), other=files.spoc(tic=7, sector=1))
    found = choose(Target("TIC", f"{files.TIC} s0001"), sources, SETTINGS, "sector")
    assert [product.sector for product in found.products] == [1]
    assert dict(found.refused) == {
        "mast:TESS/product/two.fits": f"it holds TIC {files.TIC} s0002 and TIC {files.TIC} s0001 was asked for",
        "mast:TESS/product/other.fits": f"it holds TIC 7 s0001 and TIC {files.TIC} s0001 was asked for",
    }
