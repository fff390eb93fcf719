"""The candidates as astronomers' tables: ECSV and VOTable, each column with unit, description and UCD.

Values are the fit's where it converged and the search's elsewhere; ``values_from`` says which. Errors stand on either
side, ``_minus`` and ``_plus``, both positive; an unknown value is masked in a VOTable and empty in ECSV.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from candidates.quantities import QUANTITIES, Document, fitted, measured, planet_probabilities

FORMATS = {"ecsv": "ascii.ecsv", "votable": "votable"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table."""

    name: str
    kind: type
    unit: str
    says: str
    ucd: str


OF_CASE = (
    Column("name", str, "", "name of the candidate's files", "meta.id;meta.main"),
    Column("target", str, "", "star, by its catalogue", "meta.id"),
    Column("ra", float, "deg", "right ascension, ICRS", "pos.eq.ra;meta.main"),
    Column("dec", float, "deg", "declination, ICRS", "pos.eq.dec;meta.main"),
    Column("tmag", float, "mag", "TESS magnitude", "phot.mag;em.opt"),
    Column("teff", float, "K", "effective temperature of the star", "phys.temperature.effective"),
    Column("stellar_radius", float, "R_sun", "radius of the star", "phys.size.radius"),
    Column("snr", float, "", "matched-filter signal-to-noise", "stat.snr"),
    Column("n_transits", int, "", "transits with data", "meta.number"),
    Column("probability", float, "", "calibrated probability of a planet, by the model", "stat.probability"),
    Column("disposition", str, "", "what all tests together say", "meta.code.class"),
    Column("review", str, "", "what a person decided last; empty where nobody looked", "meta.code.class"),
    Column("values_from", str, "", "fit: of a converged fit; search: of the search", "meta.code"),
    Column("fit_status", str, "", "of the transit fit", "meta.code.status"),
    Column("validation_status", str, "", "of the false-positive probability", "meta.code.status"),
    Column("fpp", float, "", "false-positive probability", "stat.probability"),
    Column("fpp_err_dex", float, "", "its Monte Carlo error, in log10", "stat.error;stat.probability"),
    Column("nfpp", float, "", "probability of a false positive on a nearby star", "stat.probability"),
    Column("nfpp_err_dex", float, "", "its Monte Carlo error, in log10", "stat.error;stat.probability"),
    Column("band", str, "", "verdict of the false-positive probability", "meta.code.class"),
)
OF_QUANTITIES = tuple(
    column
    for item in QUANTITIES
    for column in (
        Column(item.name, float, item.unit, item.says, item.ucd),
        Column(f"{item.name}_minus", float, item.unit, f"error below, of {item.says}", f"stat.error;{item.ucd}"),
        Column(f"{item.name}_plus", float, item.unit, f"error above, of {item.says}", f"stat.error;{item.ucd}"),
    )
)
COLUMNS = (*OF_CASE, *OF_QUANTITIES)
FIT_COLUMNS = (
    "fit_status",
    *(f"fit_{item.name}{side}" for item in QUANTITIES for side in ("", "_minus", "_plus")),
    "validation_status", "fpp", "fpp_err_dex", "nfpp", "nfpp_err_dex", "fpp_band",
)  # fmt: skip


def fit_cells(document: Document) -> dict[str, Any]:
    """What fit and validation say, by the names of ``FIT_COLUMNS``, beside the search's own values."""
    cells: dict[str, Any] = {"fit_status": document["fit"].get("status")}
    for name, value in fitted(document).items():
        cells |= {f"fit_{name}": value.value, f"fit_{name}_minus": value.minus, f"fit_{name}_plus": value.plus}
    told = planet_probabilities(document)
    return cells | {("fpp_band" if name == "band" else name): value for name, value in told.items()}


def cells(document: Document, review: str | None = None) -> dict[str, Any]:
    """One row of the table, by the names of ``COLUMNS``; None is unknown."""
    star, best = document["target"]["star"], measured(document)
    row: dict[str, Any] = {
        "name": document["name"],
        "target": document["target"]["name"],
        "ra": star["ra"],
        "dec": star["dec"],
        "tmag": star["tmag"],
        "teff": star["teff"],
        "stellar_radius": star["radius"],
        "snr": document["signal"]["snr"],
        "n_transits": document["signal"]["n_transits"],
        "probability": document["score"]["probability"],
        "disposition": document["verdict"]["disposition"],
        "review": review,
        "values_from": "fit" if any(value.source == "fit" for value in best.values()) else "search",
        "fit_status": document["fit"].get("status"),
        **planet_probabilities(document),
    }
    for name, value in best.items():
        row |= {name: value.value, f"{name}_minus": value.minus, f"{name}_plus": value.plus}
    return row


def write(rows: Sequence[Mapping[str, Any]], form: str, origin: str) -> bytes:
    """The table as the bytes of its file.

    Parameters
    ----------
    rows : sequence of mappings
        Of :func:`cells`; no row is a table too.
    form : str
        One of ``FORMATS``.
    origin : str
        What made it, for the table's own description.
    """
    from astropy.table import MaskedColumn, Table  # half a second, and only these two formats need it

    table = Table(meta={"description": f"Transit candidates by {origin}"})
    for column in COLUMNS:
        values = [row.get(column.name) for row in rows]
        table[column.name] = MaskedColumn(
            [_empty(column.kind) if value is None else column.kind(value) for value in values],
            mask=[value is None for value in values],
            dtype=_width(values) if column.kind is str else column.kind,
            unit=_unit(column.unit, form),
            description=column.says,
            meta={"ucd": column.ucd},
        )
    out = io.BytesIO()
    if form == "votable":
        _votable(table, out)
    else:
        text = io.StringIO()
        table.write(text, format="ascii.ecsv", delimiter=",")
        out.write(text.getvalue().encode())
    return out.getvalue()


def _empty(kind: type) -> Any:
    return "" if kind is str else 0


def _width(values: Iterable[Any]) -> str:
    return f"U{max((len(str(value or '')) for value in values), default=1) or 1}"


def _unit(unit: str, form: str) -> str | None:
    """The unit as the format can write it: VOUnits have no radius of the Earth, and the description says it."""
    return None if not unit or (form == "votable" and unit == "R_earth") else unit


def _votable(table: Any, out: io.BytesIO) -> None:
    from astropy.io.votable import from_table

    document = from_table(table)
    document.description = table.meta["description"]
    first = document.get_first_table()
    first.description = table.meta["description"]
    by_name = {column.name: column for column in COLUMNS}
    for field in first.fields:
        field.ucd = by_name[field.name].ucd
        field.description = by_name[field.name].says
    document.to_xml(out)
