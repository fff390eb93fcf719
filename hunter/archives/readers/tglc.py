"""TGLC light curves (TESS-Gaia, UCSB) from full-frame images.

No errors are given: one error for all cadences is taken from the first differences of the flux. The TIC is text
(empty where Gaia's star has none). TGLC_flags above 0 are outliers of the background, which the authors advise to
leave out: they set bit 16384 (bad calibration), which every TESS mask holds.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hunter.archives.fits_file import Unit, table
from hunter.archives.identity import Identity, catalogue_number, positive, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ()
ERRORS: dict[str, str | None] = {
    "CAL_APER_FLUX": None,
    "CAL_PSF_FLUX": None,
    "APERTURE_FLUX": None,
    "PSF_FLUX": None,
}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = False
CHECKSUM_NEEDED = False
BAD_CALIBRATION = 16384


def recognise(units: Sequence[Unit]) -> bool:
    return "tglc" in text(units[0].card("ORIGIN")).lower() and len(units) > 1 and units[1].is_table


def identify(units: Sequence[Unit]) -> Identity:
    primary, table_unit = units[0], common.second(units)
    key = catalogue_number(primary.card("TICID"))
    # TIMEDEL is the span over the number of images, so gaps stretch it; XPTIME is the exposure
    exposure = positive(table_unit.card("XPTIME"))
    return Identity(
        kind="TIC" if key else "FILE",
        key=key or "",
        mission="TESS",
        author="TGLC",
        sector=whole(primary.card("SECTOR"), 1, 9999),
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=exposure,
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")) or text(primary.card("TGLCVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    unit = common.second(units)
    observed = common.spoc_like(raw, unit, units[0], product, ERRORS, common.BTJD_ZERO, ("TESS_FLAGS",))
    columns = table(raw, unit)
    outlier = columns.integers("TGLC_FLAGS") != 0 if "TGLC_FLAGS" in columns else np.zeros(columns.rows, dtype=bool)
    quality = observed.quality | np.where(outlier, BAD_CALIBRATION, 0)
    return replace(observed, quality=quality, flux_err=common.scatter_as_error(observed.flux))
