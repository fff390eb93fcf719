"""QLP light curves of MIT from full-frame images.

Sectors 1-55 have KSPSAP_FLUX (spline-detrended), sectors from 56 on SYS_RM_FLUX (systematics removed) and DET_FLUX
(spline-detrended). Fluxes are relative. SYS_RM_FLUX and SAP_FLUX have no error column of their own: the error of
the detrended flux of the same aperture serves, both being photon noise of the same pixels.
"""

from collections.abc import Sequence

from hunter.archives.fits_file import Unit
from hunter.archives.identity import Identity, catalogue_number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ()
ERRORS: dict[str, str | None] = {
    "KSPSAP_FLUX": "KSPSAP_FLUX_ERR",
    "SYS_RM_FLUX": "DET_FLUX_ERR",
    "DET_FLUX": "DET_FLUX_ERR",
    "SAP_FLUX": None,
}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = False
CHECKSUM_NEEDED = False


def recognise(units: Sequence[Unit]) -> bool:
    return "mit/qlp" in text(units[0].card("ORIGIN")).lower() and len(units) > 1 and units[1].is_table


def identify(units: Sequence[Unit]) -> Identity:
    primary, table = units[0], common.second(units)
    key = catalogue_number(primary.card("TICID")) or catalogue_number(primary.card("OBJECT"))
    return Identity(
        kind="TIC" if key else "FILE",
        key=key or "",
        mission="TESS",
        author="QLP",
        sector=whole(primary.card("SECTOR"), 1, 9999),
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=common.cadence_of(table, primary),
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")) or text(primary.card("FILEVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    table = common.second(units)
    shared = next((name for name in ("KSPSAP_FLUX_ERR", "DET_FLUX_ERR") if name in table.columns), None)
    errors = {**ERRORS, "SAP_FLUX": shared}
    return common.spoc_like(
        raw, table, units[0], product, errors, common.BTJD_ZERO, centroids=("SAP_X", "SAP_Y")
    )  # fmt: skip
