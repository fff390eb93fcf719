"""SPOC light curves of TESS: 2-minute and 20-second targets, and TESS-SPOC from full-frame images.

One exporter writes all three. TESS-SPOC is told by its cadence (1800, 600 or 200 s), never by a file name.
"""

from collections.abc import Sequence

from hunter.archives.fits_file import Unit
from hunter.archives.identity import Identity, catalogue_number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ("LIGHTCURVE", "APERTURE")
ERRORS: dict[str, str | None] = {"PDCSAP_FLUX": "PDCSAP_FLUX_ERR", "SAP_FLUX": "SAP_FLUX_ERR"}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = True
CHECKSUM_NEEDED = True  # all genuine files have it in every unit
LONGEST_TARGET_CADENCE = 150.0  # seconds; SPOC's own targets have 20 and 120, TESS-SPOC at least 200


def recognise(units: Sequence[Unit]) -> bool:
    return (
        "lightcurveexporter" in text(units[0].card("CREATOR")).lower()
        and text(units[0].card("TELESCOP")).upper() == "TESS"
        and len(units) > 1
        and bool(common.present(units[1], ERRORS))
    )


def identify(units: Sequence[Unit]) -> Identity:
    primary, table = units[0], common.second(units)
    key = catalogue_number(primary.card("TICID")) or catalogue_number(primary.card("OBJECT"))
    cadence = common.cadence_of(table, primary)
    full_frame = cadence is not None and cadence > LONGEST_TARGET_CADENCE
    return Identity(
        kind="TIC" if key else "FILE",
        key=key or "",
        mission="TESS",
        # what is simulated in this layout says so in SIMDATA and must not pass for SPOC's
        author="SIMULATED" if primary.card("SIMDATA") is True else "TESS-SPOC" if full_frame else "SPOC",
        sector=whole(primary.card("SECTOR"), 1, 9999),
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=cadence,
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    return common.spoc_like(raw, common.second(units), units[0], product, ERRORS, common.BTJD_ZERO)
