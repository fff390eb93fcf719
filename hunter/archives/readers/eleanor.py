"""eleanor and GSFC-eleanor-lite light curves from full-frame images.

FLUX_ERR is the error of RAW_FLUX; the errors of the corrected fluxes follow by their ratio. The checksum of the
first unit is inherited from the TESScut image and stale. TICID is empty, TIC_ID holds the TIC.
"""

from collections.abc import Sequence

import numpy as np

from hunter.archives.fits_file import Unit, table
from hunter.archives.identity import Identity, catalogue_number, number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product, Star

EXTENSIONS: tuple[str, ...] = ()
ERRORS: dict[str, str | None] = {"CORR_FLUX": "FLUX_ERR", "PCA_FLUX": "FLUX_ERR", "RAW_FLUX": "FLUX_ERR"}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = False
CHECKSUM_NEEDED = False


def recognise(units: Sequence[Unit]) -> bool:
    return (
        units[0].card("TIC_ID") is not None
        and units[0].card("PCORIGIN") is not None
        and len(units) > 1
        and bool(common.present(units[1], ERRORS))
    )


def identify(units: Sequence[Unit]) -> Identity:
    primary, unit = units[0], common.second(units)
    key = catalogue_number(primary.card("TIC_ID"))
    cards = star_of(primary.card)
    ra, dec = number(primary.card("CEN_RA")), number(primary.card("CEN_DEC"))
    star = Star(cards.tmag, cards.teff, cards.logg, cards.radius, None, cards.ra or ra, cards.dec or dec)
    return Identity(
        kind="TIC" if key else "FILE",
        key=key or "",
        mission="TESS",
        author="ELEANOR",
        sector=whole(primary.card("SECTOR"), 1, 9999),
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=common.cadence_of(unit, primary),
        data_release=common.data_release(primary),
        processing=text(primary.card("VERSION")) or text(primary.card("TVERSION")),
        created=text(primary.card("CREATED")) or text(primary.card("DATE")),
        star=star,
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    columns = table(raw, common.second(units))
    flux, error = columns.floats(product.flux_column), common.missing_errors(columns)
    if "FLUX_ERR" in columns:
        error = columns.floats("FLUX_ERR")
        if product.flux_column.upper() != "RAW_FLUX" and "RAW_FLUX" in columns:
            with np.errstate(divide="ignore", invalid="ignore"):
                error = flux * error / columns.floats("RAW_FLUX")
            error = np.where(np.isfinite(error), error, np.nan)
    column, row = common.optional(columns, "X_CENTROID"), common.optional(columns, "Y_CENTROID")
    if column is None or row is None:
        column = row = None
    shift = common.btjd_shift(common.second(units), units[0], common.BTJD_ZERO)
    quality = common.quality_of(columns, "QUALITY")
    return Observation(product, common.shifted(columns.floats("TIME"), shift), flux, error, quality, column, row)
