"""Kepler and K2 light curves, long and short cadence (LLC, SLC); times go from BKJD to BTJD (minus 2167 days)."""

from collections.abc import Sequence

from hunter.archives.fits_file import Unit
from hunter.archives.identity import KIND_OF_MISSION, Identity, catalogue_number, number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ("LIGHTCURVE", "APERTURE")
ERRORS: dict[str, str | None] = {"PDCSAP_FLUX": "PDCSAP_FLUX_ERR", "SAP_FLUX": "SAP_FLUX_ERR"}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = True
CHECKSUM_NEEDED = True


def recognise(units: Sequence[Unit]) -> bool:
    return (
        "fluxexporter" in text(units[0].card("CREATOR")).lower()
        and text(units[0].card("TELESCOP")).upper() == "KEPLER"
        and len(units) > 1
        and bool(common.present(units[1], ERRORS))
    )


def identify(units: Sequence[Unit]) -> Identity:
    primary, table = units[0], common.second(units)
    campaign = whole(primary.card("CAMPAIGN"), 0, 9999)
    k2 = campaign is not None or text(primary.card("MISSION")).upper() == "K2"
    mission = "K2" if k2 else "Kepler"
    key = catalogue_number(primary.card("KEPLERID")) or catalogue_number(primary.card("OBJECT"))
    start = number(table.card("TSTART"))
    # a quarter of short cadence is released in monthly files that all count
    month = f"from BKJD {start:.0f}" if "short" in text(primary.card("OBSMODE")).lower() and start is not None else ""
    return Identity(
        kind=KIND_OF_MISSION[mission] if key else "FILE",
        key=key or "",
        mission=mission,
        author=mission.upper(),
        sector=campaign if k2 else whole(primary.card("QUARTER"), 0, 99),
        part=month,
        cadence_seconds=common.cadence_of(table, primary),
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    quality = ("SAP_QUALITY", "QUALITY")
    return common.spoc_like(raw, common.second(units), units[0], product, ERRORS, common.BKJD_ZERO, quality)
