"""Light curves written by lightkurve's ``to_fits``, among them those of custom apertures.

The target stands in OBJECT and TARGETID as a bare number, the time system in the unit of TIME. Flagged cadences
have been cut by whoever wrote the file; the flux may be raw or already flattened.
"""

from collections.abc import Sequence

from hunter.archives.fits_file import Unit, table
from hunter.archives.identity import KIND_OF_MISSION, Identity, catalogue_number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ("LIGHTCURVE",)
ERRORS: dict[str, str | None] = {"FLUX": "FLUX_ERR", "PDCSAP_FLUX": "PDCSAP_FLUX_ERR", "SAP_FLUX": "SAP_FLUX_ERR"}
NEXTEND_COUNTS = False  # lightkurve always writes 2
CHECKSUM_BINDS = True  # lightkurve has astropy write both sums, right in all 27 files at hand
CHECKSUM_NEEDED = False
ZERO_OF_UNIT = {"btjd": common.BTJD_ZERO, "bkjd": common.BKJD_ZERO, "jd": 0.0, "bjd": 0.0}


def recognise(units: Sequence[Unit]) -> bool:
    return (
        text(units[0].card("CREATOR")).lower().startswith("lightkurve")
        and len(units) > 1
        and bool(common.present(units[1], ERRORS))
    )


def mission_of(primary: Unit) -> str:
    for card in ("MISSION", "TELESCOP"):
        named = text(primary.card(card)).upper()
        for mission in KIND_OF_MISSION:
            if mission.upper() == named:
                return mission
    return ""


def identify(units: Sequence[Unit]) -> Identity:
    primary, unit = units[0], common.second(units)
    mission = mission_of(primary)
    numbers = (catalogue_number(primary.card(card)) for card in ("TICID", "OBJECT", "TARGETID", "KEPLERID"))
    key = next((found for found in numbers if found), None) if mission else None
    place = next((whole(primary.card(card), 0, 9999) for card in ("SECTOR", "CAMPAIGN", "QUARTER")
                  if primary.card(card) is not None), None)  # fmt: skip
    return Identity(
        kind=KIND_OF_MISSION[mission] if key else "FILE",
        key=key or "",
        mission=mission,
        author="LIGHTKURVE",
        sector=place,
        camera=common.detector(primary, "CAMERA", 4),
        ccd=common.detector(primary, "CCD", 4),
        cadence_seconds=common.cadence_of(unit, primary),
        data_release=common.data_release(primary),
        processing=f"lightkurve {text(primary.card('PROCVER'))}".strip(),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    unit = common.second(units)
    by_mission = common.BTJD_ZERO if product.mission in ("TESS", "") else common.BKJD_ZERO
    columns = table(raw, unit)
    zero = ZERO_OF_UNIT.get(columns.unit_of("TIME").lower(), by_mission) if "TIME" in columns else by_mission
    return common.spoc_like(raw, unit, units[0], product, ERRORS, zero, ("QUALITY", "SAP_QUALITY"))
