"""K2SFF light curves (Vanderburg & Johnson 2014): many apertures, the best of which is named BESTAPER.

There are no errors and no flags; MOVING marks cadences during a thruster firing and becomes K2's bit for it.
"""

from collections.abc import Sequence

import numpy as np

from hunter.archives.fits_file import Unit, table
from hunter.archives.identity import Identity, catalogue_number, star_of, text, whole
from hunter.archives.readers import common
from pipeline.types import Observation, Product

EXTENSIONS: tuple[str, ...] = ("BESTAPER",)
ERRORS: dict[str, str | None] = {"FCOR": None, "FRAW": None}
NEXTEND_COUNTS = True
CHECKSUM_BINDS = False
CHECKSUM_NEEDED = False
THRUSTER_FIRING = 1048576


def recognise(units: Sequence[Unit]) -> bool:
    return len(units) > 1 and units[1].name == "BESTAPER" and bool(common.present(units[1], ERRORS))


def identify(units: Sequence[Unit]) -> Identity:
    primary, unit = units[0], common.second(units)
    key = catalogue_number(primary.card("KEPLERID")) or catalogue_number(primary.card("OBJECT"))
    return Identity(
        kind="EPIC" if key else "FILE",
        key=key or "",
        mission="K2",
        author="K2SFF",
        sector=whole(primary.card("CAMPAIGN"), 0, 9999),
        cadence_seconds=common.cadence_of(unit, primary),
        data_release=common.data_release(primary),
        processing=text(primary.card("PROCVER")),
        created=text(primary.card("DATE")),
        star=star_of(primary.card),
    )


def flux_columns(units: Sequence[Unit]) -> tuple[str, ...]:
    return common.present(common.second(units), ERRORS)


def read(raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
    unit = common.second(units)
    columns = table(raw, unit)
    flux = columns.floats(product.flux_column)
    return Observation(
        product,
        time=common.shifted(columns.floats("T"), common.btjd_shift(unit, units[0], common.BKJD_ZERO)),
        flux=flux,
        flux_err=common.scatter_as_error(flux),
        quality=np.where(common.quality_of(columns, "MOVING") != 0, THRUSTER_FIRING, 0),
    )
