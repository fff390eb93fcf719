"""What the FITS formats share: the shape of a reader, the offset to BTJD, the choice of a flux column."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from hunter.archives.fits_file import Table, Unit, table
from hunter.archives.identity import Identity, number, whole
from pipeline.errors import UnusableData
from pipeline.types import Floats, Integers, Observation, Product

BTJD_ZERO = 2457000.0  # BJD of BTJD 0
BKJD_ZERO = 2454833.0  # BJD of BKJD 0


class Reader(Protocol):
    """One format. The modules beside this one have this shape."""

    EXTENSIONS: tuple[str, ...]  # names of units that must be there
    ERRORS: dict[str, str | None]  # flux columns the format may have, best first, and the column of their errors
    NEXTEND_COUNTS: bool  # NEXTEND is the number of extensions
    CHECKSUM_BINDS: bool  # a wrong CHECKSUM refuses the file; False where archives ship stale ones
    CHECKSUM_NEEDED: bool  # a unit without CHECKSUM refuses the file

    def recognise(self, units: Sequence[Unit]) -> bool:
        """Tell from the first two units (or more) whether the file has this format."""
        ...

    def identify(self, units: Sequence[Unit]) -> Identity:
        """Say whose light curve it is, from the headers."""
        ...

    def read(self, raw: bytes, units: Sequence[Unit], product: Product) -> Observation:
        """Take the arrays of ``product.flux_column``; raises UnusableData where a column is missing."""
        ...

    def flux_columns(self, units: Sequence[Unit]) -> tuple[str, ...]:
        """Names of the flux columns the file has, best first."""
        ...


def btjd_shift(unit: Unit, primary: Unit, default: float) -> float:
    """Days to add to the times of a table to have BTJD: its BJD reference minus 2457000."""
    for header in (unit, primary):
        whole_days = number(header.card("BJDREFI"))
        if whole_days is not None:
            return whole_days + (number(header.card("BJDREFF")) or 0.0) - BTJD_ZERO
    return default - BTJD_ZERO


def shifted(time: Floats, shift: float) -> Floats:
    return time + shift if shift else time


def present(unit: Unit, wanted: Mapping[str, str | None]) -> tuple[str, ...]:
    """Which of the wanted columns a table has, in the order wanted, spelled as wanted."""
    names = {name.upper() for name in unit.columns}
    return tuple(name for name in wanted if name.upper() in names)


def optional(columns: Table, name: str) -> Floats | None:
    """A column where the table has it and it is not NaN throughout."""
    if name not in columns:
        return None
    values = columns.floats(name)
    return values if np.isfinite(values).any() else None


def quality_of(columns: Table, *names: str) -> Integers:
    """The first of the named flag columns; 0 throughout where there is none."""
    for name in names:
        if name in columns:
            return columns.integers(name)
    return np.zeros(columns.rows, dtype=np.int64)


def missing_errors(columns: Table) -> Floats:
    return np.full(columns.rows, np.nan)


def scatter_as_error(flux: Floats) -> Floats:
    """One error for all cadences of a file without errors, (n,): 1.4826 MAD of first differences over sqrt(2).

    First differences take out what varies slowly, so that stellar variability is not counted as noise.
    """
    steps = np.diff(flux[np.isfinite(flux)])
    if steps.size == 0:
        return np.full(flux.size, np.nan)
    error = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2)
    return np.full(flux.size, error if error > 0 else np.nan)


def spoc_like(
    raw: bytes,
    unit: Unit,
    primary: Unit,
    product: Product,
    errors: Mapping[str, str | None],
    zero: float,
    quality: tuple[str, ...] = ("QUALITY",),
    centroids: tuple[str, str] = ("MOM_CENTR1", "MOM_CENTR2"),
) -> Observation:
    """Read a table with TIME, a flux column, its error, flags and flux-weighted centroids."""
    columns = table(raw, unit)
    error = errors.get(product.flux_column)
    column, row = optional(columns, centroids[0]), optional(columns, centroids[1])
    if column is None or row is None:
        column = row = None
    return Observation(
        product,
        time=shifted(columns.floats("TIME"), btjd_shift(unit, primary, zero)),
        flux=columns.floats(product.flux_column),
        flux_err=columns.floats(error) if error is not None and error in columns else missing_errors(columns),
        quality=quality_of(columns, *quality),
        centroid_column=column,
        centroid_row=row,
    )


def cadence_of(unit: Unit, primary: Unit) -> float | None:
    """TIMEDEL in seconds."""
    for header in (unit, primary):
        days = number(header.card("TIMEDEL"))
        if days is not None and days > 0:
            return days * 86400.0
    return None


def detector(primary: Unit, name: str, highest: int) -> int | None:
    return whole(primary.card(name), 1, highest)


def data_release(primary: Unit) -> int | None:
    return whole(primary.card("DATA_REL"), 0, 10_000)


def second(units: Sequence[Unit]) -> Unit:
    """The first extension."""
    if len(units) < 2:
        raise UnusableData("it is incomplete: it ends behind its primary header")
    return units[1]
