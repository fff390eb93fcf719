"""Any other FITS table with a column of time and one of flux: the last resort, and it says so in the author, FITS."""

from collections.abc import Sequence

from hunter.archives.fits_file import Unit
from hunter.archives.identity import KIND_OF_MISSION, Identity, catalogue_number, star_of, text, whole
from hunter.archives.readers import common
from hunter.archives.readers.lightkurve_export import ZERO_OF_UNIT, mission_of
from pipeline.errors import UnusableData
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ()
ERRORS: dict[str, str | None] = {
    "PDCSAP_FLUX": "PDCSAP_FLUX_ERR",
    "FLUX": "FLUX_ERR",
    "CORR_FLUX": "CORR_FLUX_ERR",
    "SAP_FLUX": "SAP_FLUX_ERR",
}
NEXTEND_COUNTS = True
# a wrong sum of an unknown writer refuses: a known format whose name was hit by a flipped bit lands here too
CHECKSUM_BINDS = True
CHECKSUM_NEEDED = False
PIXEL_UNITS = ("PIXELS", "TARGETTABLES")


def _table(units: Sequence[Unit]) -> Unit | None:
    for unit in units[1:]:
        if unit.is_table and "TIME" in (name.upper() for name in unit.columns) and common.present(unit, ERRORS):
            return unit
    return None


def recognise(units: Sequence[Unit]) -> bool:
    return not any(unit.name in PIXEL_UNITS for unit in units) and _table(units) is not None


def _found(units: Sequence[Unit]) -> Unit:
    unit = _table(units)
    if unit is None:
        raise UnusableData("it has no table with time and flux")
    return unit


def identify(units: Sequence[Unit]) -> Identity:
    primary, unit = units[0], _found(units)
    mission = mission_of(primary)
    cards = {"TESS": ("TICID", "TIC_ID", "OBJECT"), "Kepler": ("KEPLERID", "OBJECT"), "K2": ("KEPLERID", "OBJECT")}
    numbers = (catalogue_number(primary.card(card)) for card in cards.get(mission, ()))
    key = next((found for found in numbers if found), None)
    place = {"TESS": "SECTOR", "Kepler": "QUARTER", "K2": "CAMPAIGN"}.get(mission, "SECTOR")
    return Identity(
        kind=KIND_OF_MISSION[mission] if key else "FILE",
        key=key or "",
        mission=mission,
        author="FITS",
        sector=whole(primary.card(place), 0, 9999),
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=common.cadence_of(unit, primary),
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(_found(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    unit = _found(units)
    index = [name.upper() for name in unit.columns].index("TIME") + 1
    written = text(unit.card(f"TUNIT{index}")).lower()
    zero = common.BKJD_ZERO if product.mission in ("Kepler", "K2") else common.BTJD_ZERO
    zero = ZERO_OF_UNIT.get(written, zero)
    return common.spoc_like(raw, unit, units[0], product, ERRORS, zero, ("QUALITY", "SAP_QUALITY"))
