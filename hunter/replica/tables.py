"""Catalogues of known planets as the Exoplanet Archive (TAP) and ExoFOP publish them, made from a list of signals.

The columns are those of the real tables, in their order; the planets are those that were simulated.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from xml.sax.saxutils import escape

from pipeline.types import Star

BTJD_TO_BJD = 2457000.0
Cell = str | int | float | None
Row = dict[str, Cell]


class BadQuery(ValueError):
    """A query the service refuses; the message says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """A signal that catalogues know."""

    tic: int
    number: str  # of the TOI, "1234.01"
    period_days: float
    epoch_btjd: float
    duration_hours: float
    depth_ppm: float
    disposition: str = "PC"  # PC, KP, CP, FP, FA, APC
    period_error: float | None = 1e-4  # days
    epoch_error: float | None = 1e-3  # days
    name: str = ""  # of the planet, once confirmed
    community: bool = False  # a CTOI, not a TOI
    binary: bool = False  # of the catalogue of eclipsing binaries, and of no other


def _names(text: str) -> list[str]:
    return text.split(",")


TOI = (
    "toi:d tid:i tfopwg_disp rastr ra:d decstr dec:d st_pmra:e st_pmdec:e pl_tranmid:e pl_orbper:e pl_trandurh:e"
    " pl_trandep:e pl_rade:e pl_insol:e pl_eqt:e st_tmag:e st_dist:e st_teff:e st_logg:e st_rad:e toi_created rowupdate"
)
PLANETS = (
    "pl_name hostname pl_letter tic_id gaia_id default_flag:i sy_snum:i sy_pnum:i discoverymethod disc_year:i"
    " disc_facility tran_flag:i ra:d dec:d pl_orbper:e pl_tranmid:e pl_trandur:e pl_trandep:e pl_rade:e pl_bmasse:e"
    " pl_ratror:e pl_ratdor:e st_teff:e st_rad:e st_mass:e st_logg:e sy_tmag:e sy_dist:e rowupdate"
)
EXOFOP_TOI = _names(
    "TIC ID,TOI,Previous CTOI,Master,SG1A,SG1B,SG2,SG3,SG4,SG5,ESM,TSM,Predicted Mass (M_Earth),"
    "Time Series Observations,Spectroscopy Observations,Imaging Observations,TESS Disposition,TFOPWG Disposition,"
    "TESS Mag,TESS Mag err,Planet Name,Pipeline Signal ID,Source,Detection,RA,Dec,PM RA (mas/yr),"
    "PM RA err (mas/yr),PM Dec (mas/yr),PM Dec err (mas/yr),Epoch (BJD),Epoch (BJD) err,Period (days),"
    "Period (days) err,Duration (hours),Duration (hours) err,Depth (mmag),Depth (mmag) err,Depth (ppm),"
    "Depth (ppm) err,Planet Radius (R_Earth),Planet Radius (R_Earth) err,Planet Insolation (Earth Flux),"
    "Planet Equil Temp (K),Planet SNR,Stellar Distance (pc),Stellar Distance (pc) err,Stellar Eff Temp (K),"
    "Stellar Eff Temp (K) err,Stellar log(g) (cm/s^2),Stellar log(g) (cm/s^2) err,Stellar Radius (R_Sun),"
    "Stellar Radius (R_Sun) err,Stellar Metallicity,Stellar Metallicity err,Stellar Mass (M_Sun),"
    "Stellar Mass (M_Sun) err,Sectors,Date TOI Alerted (UTC),Date TOI Updated (UTC),Date Modified,Comments"
)
EXOFOP_CTOI = _names(
    "TIC ID,CTOI,Promoted to TOI,MASTER,SG1A,SG1B,SG2,SG3,SG4,SG5,User Disposition,TFOPWG Disposition,TESS Mag,"
    "TESS Mag err,RA,Dec,PM RA (mas/yr),PM RA err (mas/yr),PM Dec (mas/yr),PM RA (mas/yr),Transit Epoch (BJD),"
    "Transit Epoch (BJD) err,Period (days),Period (days) Error,Depth mmag,Depth mmag Error,Depth ppm,"
    "Depth ppm Error,Duration (hrs),Duration (hrs) Error,Inclination (deg),Inclination (deg) Error,Impact Param,"
    "Impact Param Error,Rad_p/Rad_s,Rad_p/Rad_s Error,a/Rad_s,a/Rad_s Error,Planet Radius (R_Earth),"
    "Planet Radius (R_Earth) Error,Mass (M_Earth),Mass (M_Earth) Error,Insolation (Earth Flux),"
    "Insolation (Earth Flux) Error,Equilibrium Temp (K),Equilibrium Temp (K) Error,"
    "Fitted Stellar Density (g/cm^3),Fitted Stellar Density (g/cm^3) Error,Semi-Major Axis (AU),"
    "Semi-Major Axis (AU) Error,Eccentricity,Eccentricity (Error),Arg of Periastron,Arg of Periastron Error,"
    "Time of Periastron (BJD),Time of Periastron (BJD) Error,Velocity Semi-amp (m/s),"
    "Velocity Semi-amp (m/s) Error,Stellar Distance (pc),Stellar Distance (pc) err,Stellar Eff Temp (K),"
    "Stellar Eff Temp (K) err,Stellar log(g) (cm/s^2),Stellar log(g) (cm/s^2) err,Stellar Radius (R_Sun),"
    "Stellar Radius (R_Sun) err,CTOI lastmod,User,Group,Tag,Notes"
)
TESS_EBS = _names(
    "tess_id,signal_id,date_added,date_modified,source,ra,dec,pmra,pmdec,Tmag,bjd0,bjd0_uncert,period,period_uncert,"
    "morph_coeff,prim_width_pf,prim_depth_pf,prim_pos_pf,sec_width_pf,sec_depth_pf,sec_pos_pf,prim_width_2g,"
    "prim_depth_2g,prim_pos_2g,sec_width_2g,sec_depth_2g,sec_pos_2g,sectors"
)
STAMP = "2020-09-13 00:00:00"


def tap_columns(table: str) -> list[tuple[str, str]]:
    """Names and VOTable types of a table's columns; "e" stands for a value with its two errors and its limit flag.

    Raises
    ------
    BadQuery
        If there is no such table.
    """
    if table == "tap_schema.tables":
        return [("schema_name", "char"), ("table_name", "char"), ("table_type", "char"), ("description", "char")]
    words = {"toi": TOI, "ps": PLANETS, "pscomppars": PLANETS}.get(table)
    if words is None:
        raise BadQuery(f'table "{table.upper()}" does not exist')
    columns = []
    for word in words.split():
        name, _, kind = word.partition(":")
        columns.append((name, {"": "char", "i": "int", "d": "double", "e": "double"}[kind]))
        if kind == "e":
            columns += [(f"{name}err1", "double"), (f"{name}err2", "double"), (f"{name}lim", "int")]
    return columns


def tap_rows(table: str, known: Sequence[Known], stars: Mapping[int, Star]) -> list[Row]:
    """The rows of a table."""
    if table == "tap_schema.tables":
        return [
            {"schema_name": "TAP_SCHEMA" if "." in name else "exoplanet", "table_name": name, "table_type": "table",
             "description": name}
            for name in ("TAP_SCHEMA.tables", "TAP_SCHEMA.columns", "ps", "pscomppars", "toi")
        ]  # fmt: skip
    rows: list[Row] = []
    for item in known:
        if item.binary:
            continue
        star = stars.get(item.tic, Star())
        row: Row = {}
        _measured(row, "pl_orbper", item.period_days, item.period_error)
        _measured(row, "pl_tranmid", item.epoch_btjd + BTJD_TO_BJD, item.epoch_error)
        _measured(row, "pl_trandep", item.depth_ppm if table == "toi" else item.depth_ppm / 1e4, None)
        for name, value in (("st_teff", star.teff), ("st_logg", star.logg), ("st_rad", star.radius)):
            _measured(row, name, value, None)
        row |= {"ra": star.ra, "dec": star.dec, "rowupdate": STAMP}
        if table == "toi" and not item.community:
            _measured(row, "pl_trandurh", item.duration_hours, 0.05)
            _measured(row, "st_tmag", star.tmag, 0.01)
            row |= {"toi": float(item.number), "tid": item.tic, "tfopwg_disp": item.disposition, "toi_created": STAMP}
            row |= {"rastr": _sexagesimal(star.ra, 15, "hms"), "decstr": _sexagesimal(star.dec, 1, "dms")}
            rows.append(row)
        elif table != "toi" and item.name:
            _measured(row, "pl_trandur", item.duration_hours, 0.05)
            _measured(row, "sy_tmag", star.tmag, 0.01)
            _measured(row, "st_mass", star.mass, None)
            host, _, letter = item.name.rpartition(" ")
            row |= {
                "pl_name": item.name, "hostname": host, "pl_letter": letter, "tic_id": f"TIC {item.tic}",
                "default_flag": 1, "sy_snum": 1, "sy_pnum": 1, "discoverymethod": "Transit", "disc_year": 2020,
                "disc_facility": "Transiting Exoplanet Survey Satellite (TESS)", "tran_flag": 1,
            }  # fmt: skip
            rows.append(row)
    return rows


def tap(query: str, form: str, known: Sequence[Known], stars: Mapping[int, Star]) -> tuple[int, str, bytes]:
    """Answer one ADQL query: status, media type, body.

    Understood: ``select [top n] *|columns|count(*) from table [where a and b ..] [order by column [desc]]`` with
    comparisons, ``like``, ``in`` and ``is [not] null``.
    """
    try:
        columns, rows = _select(query, known, stars)
    except BadQuery as error:
        return 400, "application/xml", _votable([], [], f"{error}")
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow([name for name, _ in columns])
        writer.writerows([_text(row.get(name)) for name, _ in columns] for row in rows)
        return 200, "text/csv", text.getvalue().encode()
    return 200, "application/x-votable+xml", _votable(columns, rows)


def exofop(kind: str, form: str, known: Iterable[Known], stars: Mapping[int, Star]) -> bytes:
    """ExoFOP's table of TOIs or CTOIs, comma- or pipe-separated."""
    names = EXOFOP_TOI if kind == "toi" else EXOFOP_CTOI
    text = io.StringIO()
    writer = csv.writer(text, delimiter="|" if form == "pipe" else ",", lineterminator="\n")
    writer.writerow(names)
    for item in known:
        if item.community == (kind == "ctoi") and not item.binary:
            row = _exofop_row(kind, item, stars.get(item.tic, Star()))
            writer.writerow([_text(row.get(name)) for name in names])
    return text.getvalue().encode()


def tess_ebs(known: Iterable[Known], stars: Mapping[int, Star]) -> bytes:
    """The catalogue of eclipsing binaries of TESS (Prsa et al. 2022), with the columns of its file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TESS_EBS)
    for item in known:
        if item.binary:
            star = stars.get(item.tic, Star())
            row: Row = {
                "tess_id": item.tic, "signal_id": 1, "date_added": STAMP, "date_modified": STAMP, "source": "LCF",
                "ra": star.ra, "dec": star.dec, "Tmag": star.tmag, "bjd0": item.epoch_btjd,
                "bjd0_uncert": item.epoch_error, "period": item.period_days, "period_uncert": item.period_error,
                "prim_width_pf": item.duration_hours / 24 / item.period_days, "prim_depth_pf": item.depth_ppm / 1e6,
                "prim_pos_pf": 0.0,
            }  # fmt: skip
            writer.writerow([_text(row.get(name)) for name in TESS_EBS])
    return text.getvalue().encode()


def _exofop_row(kind: str, item: Known, star: Star) -> Row:
    row: Row = {
        "TIC ID": item.tic,
        "TESS Mag": star.tmag,
        "Period (days)": item.period_days,
        "Depth (ppm)": item.depth_ppm,
        "Depth ppm": item.depth_ppm,
        "Stellar Eff Temp (K)": star.teff,
        "Stellar log(g) (cm/s^2)": star.logg,
        "Stellar Radius (R_Sun)": star.radius,
        "Stellar Mass (M_Sun)": star.mass,
        "TFOPWG Disposition": item.disposition,
    }
    if kind == "toi":
        return row | {
            "TOI": item.number,
            "TESS Disposition": "PC",
            "Planet Name": item.name,
            "Source": "SPOC",
            "RA": _sexagesimal(star.ra, 15, "::"),
            "Dec": _sexagesimal(star.dec, 1, "::"),
            "Epoch (BJD)": item.epoch_btjd + BTJD_TO_BJD,
            "Epoch (BJD) err": item.epoch_error,
            "Period (days) err": item.period_error,
            "Duration (hours)": item.duration_hours,
            "Date TOI Alerted (UTC)": STAMP[:10],
            "Date TOI Updated (UTC)": STAMP[:10],
            "Date Modified": STAMP,
            "Comments": "simulated",
        }
    return row | {
        "CTOI": f"{item.tic}.01",
        "RA": star.ra,
        "Dec": star.dec,
        "User Disposition": item.disposition,
        "TFOPWG Disposition": None,
        "Transit Epoch (BJD)": item.epoch_btjd + BTJD_TO_BJD,
        "Transit Epoch (BJD) err": item.epoch_error,
        "Period (days) Error": item.period_error,
        "Duration (hrs)": item.duration_hours,
        "CTOI lastmod": STAMP,
        "User": "replica",
        "Notes": "simulated",
    }


QUERY = re.compile(
    r"\s*select\s+(?:top\s+(?P<top>\d+)\s+)?(?P<what>.+?)\s+from\s+(?P<table>[\w.]+)"
    r"(?:\s+where\s+(?P<where>.+?))?(?:\s+order\s+by\s+(?P<order>[\w.]+)(?:\s+(?P<way>asc|desc))?)?\s*;?\s*",
    re.I | re.S,
)
CONDITION = re.compile(
    r"(?:lower\()?(?P<name>\w+)\)?\s*(?:(?P<null>is\s+(?P<not>not\s+)?null)|in\s*\((?P<list>[^)]*)\)"
    r"|(?P<sign><>|!=|<=|>=|=|<|>|like)\s*(?P<value>'(?:[^']|'')*'|[-+.\deE]+))",
    re.I | re.S,
)
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _select(query: str, known: Sequence[Known], stars: Mapping[int, Star]) -> tuple[list[tuple[str, str]], list[Row]]:
    found = QUERY.fullmatch(query)
    if found is None:
        raise BadQuery("the query is not understood")
    table = found["table"].lower()
    every = tap_columns(table)
    types = dict(every)
    rows = tap_rows(table, known, stars)
    for text in re.split(r"\s+and\s+", found["where"] or "", flags=re.I):
        if text.strip():
            holds = _condition(text.strip().strip("()") if text.strip().startswith("(") else text.strip(), types)
            rows = [row for row in rows if holds(row)]
    if found["order"]:
        name = _column(found["order"], types)
        present = [row for row in rows if row.get(name) is not None]
        absent = [row for row in rows if row.get(name) is None]
        present.sort(key=lambda row: cast(Any, row[name]), reverse=(found["way"] or "").lower() == "desc")
        rows = present + absent
    if found["top"]:
        rows = rows[: int(found["top"])]
    what = found["what"].strip()
    if re.fullmatch(r"count\(\s*\*\s*\)(\s+as\s+\w+)?", what, re.I):
        return [("count", "int")], [{"count": len(rows)}]
    if what == "*":
        return every, rows
    names = [_column(name.strip(), types) for name in what.split(",")]
    return [(name, types[name]) for name in names], rows


def _condition(text: str, types: Mapping[str, str]) -> Callable[[Row], bool]:
    found = CONDITION.fullmatch(text)
    if found is None:
        raise BadQuery(f"the condition {text!r} is not understood")
    name = _column(found["name"], types)
    if found["null"]:
        wanted = bool(found["not"])
        return lambda row: (row.get(name) is not None) == wanted
    if found["list"] is not None:
        choices = {_literal(part.strip(), types[name]) for part in found["list"].split(",")}
        return lambda row: row.get(name) in choices
    value = _literal(found["value"], types[name])
    sign = found["sign"].lower()
    if sign == "like":
        form = re.compile(".*".join(map(re.escape, str(value).split("%"))))
        return lambda row: row.get(name) is not None and form.fullmatch(str(row[name])) is not None
    return lambda row: row.get(name) is not None and SIGNS[sign](row[name], value)


def _column(name: str, types: Mapping[str, str]) -> str:
    lower = name.rpartition(".")[2].lower()
    if lower not in types:
        raise BadQuery(f'"{name.upper()}": invalid identifier')
    return lower


def _literal(text: str, kind: str) -> str | float:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    try:
        return float(text) if kind != "char" else text
    except ValueError:
        raise BadQuery(f"{text!r} is no number") from None


def _votable(columns: Sequence[tuple[str, str]], rows: Sequence[Row], error: str = "") -> bytes:
    status = f'<INFO name="QUERY_STATUS" value="ERROR">{escape(error)}</INFO>' if error else (
        '<INFO name="QUERY_STATUS" value="OK"/>')  # fmt: skip
    types = {"char": 'datatype="char" arraysize="*"', "int": 'datatype="long"', "double": 'datatype="double"'}
    fields = "".join(f'<FIELD name="{name}" {types[kind]}/>' for name, kind in columns)
    cells = ("".join(f"<TD>{escape(_text(row.get(name)))}</TD>" for name, _ in columns) for row in rows)
    body = "".join(f"<TR>{cell}</TR>" for cell in cells)
    table = "" if error else f"<TABLE>{fields}<DATA><TABLEDATA>{body}</TABLEDATA></DATA></TABLE>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results">{status}{table}</RESOURCE></VOTABLE>\n'
    ).encode()


def _measured(row: Row, name: str, value: float | None, error: float | None) -> None:
    row[name] = value
    row[f"{name}err1"] = error
    row[f"{name}err2"] = None if error is None else -error
    row[f"{name}lim"] = None if value is None else 0


def _text(value: Cell) -> str:
    return "" if value is None else str(value)


def _sexagesimal(degrees: float | None, per_unit: float, marks: str) -> str:
    """Hours (15 degrees a unit) or degrees, minutes, seconds."""
    if degrees is None:
        return ""
    hundredths = round(abs(degrees) / per_unit * 360000)
    whole, rest = divmod(hundredths, 360000)
    minutes, rest = divmod(rest, 6000)
    first, second, third = (marks[0], marks[1], "") if marks == "::" else (marks[0], marks[1], marks[2])
    sign = "-" if degrees < 0 else ""
    return f"{sign}{whole:02d}{first}{minutes:02d}{second}{rest / 100:05.2f}{third}"
