"""The [archive], [watch] and [field] tables."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

FAR = ("mast", "s3")  # sources over the network


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The [archive] table: where light curves come from, and which of several is taken."""

    source: str = ""  # a folder of light curves, or one file; "mast" or "s3" for the archives of TESS
    # one product per sector, the first of these authors; those not named come after all of these
    prefer: tuple[str, ...] = (
        "SPOC", "SIMULATED", "TESS-SPOC", "QLP", "TGLC", "ELEANOR", "KEPLER", "K2", "K2SFF", "LIGHTKURVE", "FITS",
        "CSV",
    )  # fmt: skip
    # the flux column: the first of these that a file has, in any case of letters
    columns: tuple[str, ...] = (
        "PDCSAP_FLUX", "KSPSAP_FLUX", "SYS_RM_FLUX", "DET_FLUX", "CAL_APER_FLUX", "CAL_PSF_FLUX", "CORR_FLUX", "FCOR",
        "FLUX", "SAP_FLUX",
    )  # fmt: skip
    # where a thing is asked for decides no result: these may point to a replica or a mirror
    mast_url: str = field(default="https://mast.stsci.edu", metadata={"phase": "where"})  # queries and files
    bulk_url: str = field(default="https://archive.stsci.edu", metadata={"phase": "where"})  # bulk scripts
    # the open bucket of TESS, read without a key
    s3_endpoint: str = field(default="https://s3.us-east-1.amazonaws.com", metadata={"phase": "where"})
    # confirmed planets
    exoplanet_archive_url: str = field(default="https://exoplanetarchive.ipac.caltech.edu", metadata={"phase": "where"})
    # TESS objects of interest
    exofop_url: str = field(default="https://exofop.ipac.caltech.edu", metadata={"phase": "where"})


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """The [watch] table: which releases are looked out for."""

    poll_hours: Annotated[float, Gt(0), Le(168)] = 6.0  # between two polls of the archive
    first_sector: Annotated[int, Ge(0), Le(9999)] = 0  # the hunt begins with this one; 0 is the newest there is
    # light curves to hunt, the most wanted first
    products: tuple[Literal["SPOC-120", "SPOC-20", "TESS-SPOC"], ...] = ("SPOC-120",)
    favourites: str = ""  # a file with one TIC a line: these go first


@dataclass(frozen=True, slots=True)
class FieldSettings:
    """The [field] table: what is fetched around a candidate, so that it is looked at in pixels."""

    fetch: bool = True  # pixels and neighbours of candidates from an archive far away
    sectors: Annotated[int, Ge(1), Le(100)] = 4  # whose pixels are fetched, the newest; 48 MB each
    radius_arcsec: Annotated[float, Gt(0), Le(600)] = 180.0  # stars of the TESS Input Catalog so near are neighbours
    cut_out_pixels: Annotated[int, Ge(5), Le(50)] = 11  # side of a cut-out, where there is no target pixel file


def models_folder(home: Path) -> Path:
    """Where the official models of a star's image lie; safe to delete."""
    return home / "cache" / "prf"
