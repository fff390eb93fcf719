"""ExoFOP's planet-parameter file: written from evidence, held to its rules, and never sent by us.

A line a candidate, cells parted by ``|``, explanations on lines that begin with a backslash. What the file may hold
and what is refused stands in ``docs/exports.md``, with where each rule was read.

The header is that of ExoFOP's own template, ``params_planet_YYYYMMDD_001.txt``. We have not seen that file: the
columns here are those that independent projects took from it, mixed ``_unc`` and ``_err`` spellings and all.
A person who has the template gives it to the command, and it decides.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from candidates.quantities import Document, Measured, decimals_for, measured, number, simulated, source_words

Row = Mapping[str, str]

HEADER = (
    "target|flag|disp|discovery|candname|period|period_unc|epoch|epoch_unc|depth|depth_unc|duration|duration_unc|"
    "inc|inc_unc|imp|imp_unc|r_planet|r_planet_err|ar_star|ar_star_err|radius|radius_unc|mass|mass_unc|temp|temp_unc|"
    "insol|insol_unc|dens|dens_unc|sma|sma_unc|ecc|ecc_unc|arg_peri|arg_peri_err|time_peri|time_peri_unc|vsa|vsa_unc|"
    "tag|group|prop_period|paper|notes"
)
COLUMNS = tuple(HEADER.split("|"))
UNVERIFIED = ("discovery", "candname", "paper")  # the newest; their names are as others report them
NEEDED = ("target", "flag", "disp", "period", "epoch", "depth", "duration", "tag", "prop_period", "paper", "notes")
TEXTS = ("target", "flag", "disp", "discovery", "candname", "tag", "group", "prop_period", "paper", "notes")
FLAGS = ("newctoi", "newparams")
DISPOSITIONS = ("PC", "CP", "FP")
BTJD_ZERO = 2_457_000.0
LEAST_BJD = 2_000_000.0
LONGEST_NOTES = 120  # characters
NEAR = 126.0  # arcsec, six pixels: so near a TOI or CTOI of the same period is taken for the same signal
SAME_DAYS = 0.5  # periods closer than this are one
SAME_RATIO = 0.01  # and so are those in the ratio 1:2, 1:1 or 2:1 to this share
MISSIONS = {"TESS", "Kepler", "K2"}
OBJECTS = ("TOI", "CTOI")  # catalogues whose entries ExoFOP keeps
PLANETS = ("planet candidate", "likely planet")  # dispositions that may be exported
NO_PLANETS = ("false_positive", "likely_nearby_false_positive")  # bands of the false-positive probability
REJECTED = ("eclipsing_binary", "nearby_eclipse", "false_positive", "false_alarm", "variable")
PLACE_TESTS = ("pixel_offset", "host", "centroid")

# column: the quantity it holds, decimals where no error decides them, and what must hold of it in words and as a test
CELLS: Mapping[str, tuple[str, int]] = {
    "period": ("period_days", 6),
    "epoch": ("epoch_btjd", 6),
    "depth": ("depth_ppm", 1),
    "duration": ("duration_hours", 4),
    "inc": ("inclination_deg", 3),
    "imp": ("impact_parameter", 3),
    "r_planet": ("radius_ratio", 5),
    "ar_star": ("scaled_axis", 3),
    "radius": ("planet_radius_earth", 3),
    "temp": ("equilibrium_temperature_k", 0),
    "insol": ("insolation_earth", 3),
    "dens": ("stellar_density_cgs", 3),
    "sma": ("axis_au", 5),
}
MOST_DECIMALS = {"epoch": 9}  # a double holds no more of a BJD
POSITIVE = (
    "period", "depth", "duration", "r_planet", "ar_star", "radius", "mass", "temp", "insol", "dens", "sma", "vsa",
)  # fmt: skip
RANGES = {
    "depth": (1.0, 1e6, "parts per million: multiply a fraction by 1e6"),
    "inc": (0.0, 180.0, "degrees"),
    "imp": (0.0, 10.0, "in stellar radii, and not negative"),
    "ecc": (0.0, 0.999999, "from 0 to below 1"),
    "arg_peri": (-360.0, 360.0, "degrees"),
}

TARGET = re.compile(r"(TIC[1-9]\d{0,15}|TOI[1-9]\d{0,6})\.(0[1-9]|[1-9]\d)")
NAME = re.compile(r"params_planet_(\d{8})_(\d{3})\.txt")
TAG = re.compile(r"\d{8}_[A-Za-z0-9.-]+_[A-Za-z0-9.-]+_\d{5}|\d{1,9}")
WORD = re.compile(r"[A-Za-z0-9.-]{1,40}")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
ADDRESS = re.compile(r"https?://[^\s|/]+\.[^\s|]+")
NUMBERED = re.compile(r"^(TOI|CTOI) (\d+)\.(\d{2})$")


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one place of a file breaks."""

    line: int  # of the file, from 1; 0 is the file as a whole
    column: str  # by name; empty where it is the line
    rule: str
    cure: str

    def __str__(self) -> str:
        place = (f"line {self.line}" if self.line else "file") + (f", {self.column}" if self.column else "")
        return f"{place}: {self.rule}: {self.cure}"


class BadTemplate(ValueError):
    """A template without a header of the columns that are needed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person decided about the file."""

    flag: str  # newctoi or newparams
    disp: str  # PC, CP or FP
    paper: str  # address of the published paper
    username: str  # at ExoFOP
    description: str  # of the tag, without underscores
    group: str
    day: date
    version: str  # of the hunter


@dataclass(frozen=True, slots=True)
class Listed:
    """A TOI or CTOI near the star."""

    name: str  # "TOI 101.01"
    same_star: bool
    separation_arcsec: float | None
    period_days: float | None


# ---- the template


def columns_of(text: str) -> tuple[str, ...]:
    """The columns of a template or of any file: its first line that is no explanation.

    Raises
    ------
    BadTemplate
        Without such a line, or without a column that is needed.
    """
    line = next((line for line in text.splitlines() if line.strip() and not line.startswith("\\")), "")
    columns = tuple(cell.strip() for cell in line.split("|"))
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise BadTemplate(f"no header with the columns {', '.join(missing)}: give ExoFOP's params_planet template")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise BadTemplate(f"the columns {', '.join(repeated)} stand there twice: give ExoFOP's params_planet template")
    return columns


def value_of(column: str) -> str | None:
    """The column whose error this one holds; None for a column that is no error."""
    base, _, ending = column.rpartition("_")
    return base if ending in ("unc", "err") and base else None


# ---- what is refused


def listed_in(document: Document) -> list[Listed]:
    """The TOIs and CTOIs that the evidence names near its star."""
    return [
        Listed(match["name"], match["same_star"], match["separation_arcsec"], match["period_days"])
        for match in document["known"].get("matches", ())
        if match["source"] in OBJECTS
    ]


def same_period(ours: float, theirs: float) -> bool:
    """Whether two periods count as one: within half a day, or in the ratio 1:2, 1:1 or 2:1."""
    return abs(ours - theirs) < SAME_DAYS or any(
        abs(ours / theirs / ratio - 1.0) < SAME_RATIO for ratio in (0.5, 1.0, 2.0)
    )


def tic_of(document: Document) -> int | None:
    """The star's number in the TESS Input Catalog."""
    target = document["target"]
    key = target["key"].split()[0]
    return int(key) if target["kind"] == "TIC" and key.isascii() and key.isdigit() and int(key) > 0 else None


def off_target(document: Document) -> str | None:
    """What places the dip on another star, in a sentence; None where nothing does."""
    for finding in document["vetting"]:
        if finding["test"] in PLACE_TESTS and finding["status"] == "fail":
            return f"{finding['test']}: {finding['note']}"
    return None


def refusals(document: Document, ask: Ask, decision: str | None = None, also: Sequence[Listed] = ()) -> list[str]:
    """Why a candidate gets no line, each reason with its cure; empty where nothing speaks against one.

    Parameters
    ----------
    document : mapping
        The evidence.
    ask : Ask
    decision : str, optional
        The latest review's word.
    also : sequence of Listed
        TOIs and CTOIs of a newer catalogue than the evidence was written with.
    """
    return [
        *(_refused_by_kind(document) or _refused_by_values(document, ask)),
        *_refused_by_verdict(document, ask, decision),
        *(_refused_by_paper(ask) if ask.flag == "newctoi" else ()),
        *_refused_by_catalogues(document, ask, also),
    ]


def _refused_by_kind(document: Document) -> list[str]:
    said = []
    if tic_of(document) is None:
        said.append(
            f"{document['target']['name']} has no TIC number, and ExoFOP's file names stars by it: hunt it as a TIC"
        )
    if simulated(document):
        said.append("its light curve is simulated: only what a telescope saw may leave")
    best = measured(document)
    for name in ("period_days", "epoch_btjd", "depth_ppm", "duration_hours"):
        value = best.get(name)
        if value is None or not value.value + (BTJD_ZERO if name == "epoch_btjd" else 0.0) > 0:
            said.append(f"{name} is {'unknown' if value is None else value.value}: ExoFOP wants it above 0")
    return said


def _refused_by_values(document: Document, ask: Ask) -> list[str]:
    """What of its own line would break a rule."""
    row = row_of(document, ask, "TIC1.01", "1")
    said = [f"its {one.column} breaks a rule: {one.rule}: {one.cure}" for one in _check_values(0, row)]
    absent = [name for name in ("period", "epoch", "depth", "duration") if name not in row]
    return said + [f"its {name} is smaller than its error shows: ExoFOP wants it above 0" for name in absent]


def _refused_by_verdict(document: Document, ask: Ask, decision: str | None) -> list[str]:
    word = document["verdict"]["disposition"].replace("_", " ")
    if ask.disp == "FP":
        if ask.flag == "newctoi":
            return ["a false positive is no new CTOI: --flag newparams reports it of one that is listed"]
        if "false" not in word and decision not in REJECTED:
            return [f"its verdict is {word!r} and nobody rejected it: `hunter review` it first, or use --disp PC"]
        return []
    said = []
    place = off_target(document)
    if place is not None:
        said.append(f"the dip is off target ({place}): it is another star's; `hunter review` it as neb")
    if word not in PLANETS:
        said.append(
            f"its verdict is {word!r}, not a planet candidate: the page says what is missing or speaks against it"
        )
    band = document["validation"].get("band")
    if band in NO_PLANETS:
        said.append(f"its false-positive probability says {band.replace('_', ' ')}: it is no planet candidate")
    if decision in REJECTED:
        said.append(f"its latest review says {decision.replace('_', ' ')}: review it again if that was wrong")
    return said


def _refused_by_paper(ask: Ask) -> list[str]:
    if not ask.paper:
        return ["a new CTOI must first be published in a peer-reviewed journal: give its address with --paper URL"]
    if not ADDRESS.fullmatch(ask.paper):
        return [f"--paper {ask.paper}: is no address of a paper; it begins with https:// and has no | or space"]
    return []


def _refused_by_catalogues(document: Document, ask: Ask, also: Sequence[Listed]) -> list[str]:
    known = document["known"]
    cure = (
        "hunt its star with [archive] source mast, whose daemon keeps the tables of TOIs and CTOIs, "
        f"then `hunter retry {document['name']}`"
    )
    if known["status"] != "done":
        return [f"what is known of its star is unknown ({known['reason']}): {cure}"]
    said = []
    absent = [name for name in OBJECTS if name not in {table["source"] for table in known["catalogues"]}]
    if absent:
        said.append(f"the tables of {' and '.join(absent)}s were not at hand when it was compared: {cure}")
    if (known["radius_arcsec"] or 0.0) < NEAR:
        radius = known["radius_arcsec"]
        compared = "not compared, its place is unknown" if radius is None else f"compared within {radius:g} arcsec only"
        said.append(
            f"its neighbours were {compared}: [known] radius_arcsec is {NEAR:g} at least, and the star has a place"
        )
    objects = {row.name: row for row in (*listed_in(document), *also)}
    if ask.flag == "newparams":
        if _reported(document, objects.values()) is None:
            said.append("no TOI or CTOI of its star has its period: --flag newctoi is for what is new")
        return said
    period = measured(document)["period_days"].value
    for row in objects.values():
        where = "its star" if row.same_star else f"{row.separation_arcsec or 0.0:.0f} arcsec away"
        if not row.same_star and (row.separation_arcsec is None or row.separation_arcsec > NEAR):
            continue
        if row.period_days is None:
            if row.same_star:
                said.append(f"{row.name} is of its star and has no period to compare: look at it by hand")
        elif same_period(period, row.period_days):
            told = f"{row.name} ({where}) has a period of {row.period_days:.7g} d against {period:.7g} d"
            said.append(f"{told}: it is listed already; --flag newparams adds values to it")
    for match in known["matches"]:
        if match["side"] == "against" and match["source"] not in OBJECTS:
            said.append(f"{match['name']} speaks against a planet ({match['words']}): it is no new candidate")
    return said


def _reported(document: Document, objects: Any) -> Listed | None:
    """The TOI or CTOI of the star that has this period; a TOI before a CTOI, the nearest period first."""
    best = measured(document).get("period_days")
    if best is None:
        return None
    fitting = [
        row
        for row in objects
        if row.same_star and row.period_days is not None and abs(row.period_days - best.value) < SAME_DAYS
        and NUMBERED.match(row.name)
    ]  # fmt: skip
    return min(fitting, key=lambda row: (row.name[:3] != "TOI", abs(row.period_days - best.value)), default=None)


# ---- the lines


def target_of(document: Document, ask: Ask, also: Sequence[Listed] = (), taken: Sequence[str] = ()) -> str:
    """The name of the signal: that of the listed object, or the star's next number that is free.

    Parameters
    ----------
    taken : sequence of str
        Targets that the file has already.
    """
    objects = [*listed_in(document), *also]
    if ask.flag == "newparams":
        row = _reported(document, objects)
        if row is None:
            raise ValueError(f"{document['name']}: no TOI or CTOI to add to")
        match = NUMBERED.match(row.name)
        assert match is not None
        return f"{'TOI' if match[1] == 'TOI' else 'TIC'}{match[2]}.{match[3]}"
    star = f"TIC{tic_of(document)}"
    used = [int(match[3]) for row in objects if row.same_star and (match := NUMBERED.match(row.name))]
    used += [int(name.partition(".")[2]) for name in taken if name.startswith(f"{star}.")]
    return f"{star}.{max(used, default=0) + 1:02d}"


def row_of(document: Document, ask: Ask, target: str, tag: str) -> dict[str, str]:
    """The cells of one candidate by column; what is not known is not in it."""
    row = {
        "target": target,
        "flag": ask.flag,
        "disp": ask.disp,
        "discovery": _mission(document),
        "tag": tag,
        "group": _plain(ask.group),
        "prop_period": "0",
        "paper": _plain(ask.paper),
        "notes": notes_of(document, ask.version),
    }
    best = measured(document)
    for column, (name, digits) in CELLS.items():
        if name in best:
            row |= _cells(column, best[name], digits)
    return {column: text for column, text in row.items() if text}


def _cells(column: str, value: Measured, digits: int) -> dict[str, str]:
    """A value and its symmetric error, the larger of the two, to two digits of the error."""
    error = value.symmetric
    places = decimals_for(error, digits, MOST_DECIMALS.get(column, 12))
    shown = value.value + (BTJD_ZERO if column == "epoch" else 0.0)
    text = f"{shown:.{places}f}"
    if column in POSITIVE and not float(text) > 0:  # smaller than its error shows
        return {}
    if column in RANGES and column not in NEEDED and not RANGES[column][0] <= float(text) <= RANGES[column][1]:
        return {}
    cells = {column: text}
    if error is not None and float(f"{error:.{places}f}") > 0:
        cells[f"{column}_unc"] = f"{error:.{places}f}"
    return cells


def _mission(document: Document) -> str:
    missions = {file["mission"] for file in document["data"]["files"]}
    return missions.pop() if len(missions) == 1 and missions <= MISSIONS else ""


def _plain(text: object) -> str:
    """Text as one cell: printable ASCII, one line, no ``|``."""
    told = str(text).replace("|", "/").encode("ascii", "replace").decode()
    return " ".join("".join(letter if letter.isprintable() else " " for letter in told).split())


def notes_of(document: Document, version: str) -> str:
    """What a reader must know in 120 characters: whose values, where the dip is, how strong it is."""
    signal = document["signal"]
    place = next((f for f in document["vetting"] if f["test"] == "pixel_offset" and f["status"] == "pass"), None)
    sigma = None if place is None else number(place["sigma"])
    parts = [source_words(document)]
    if off_target(document) is not None:
        parts.append("dip off target")
    elif place is None:
        parts.append("no pixel check")
    else:
        parts.append("on target" + ("" if sigma is None else f" to {sigma:.1f} sigma"))
    transits = "" if signal["n_transits"] is None else f" in {signal['n_transits']} transits"
    parts.append(f"S/N {signal['snr']:.1f}{transits}")
    fpp = number(document["validation"].get("fpp"))
    if fpp is not None:
        parts.append(f"FPP {fpp:.2g}")
    parts.append(f"transit-hunter {version}")
    while len(notes := _plain("; ".join(parts))) > LONGEST_NOTES and len(parts) > 1:
        parts.pop()
    return notes[:LONGEST_NOTES]


def tag_of(ask: Ask, number: int) -> str:
    """``20261122_name_transit-hunter_00001``.

    Raises
    ------
    ValueError
        If name or description are no words of letters, digits, dots and hyphens.
    """
    for option, word in (("--username", ask.username), ("--tag-description", ask.description)):
        if not WORD.fullmatch(word):
            raise ValueError(f"{option} {word!r}: letters, digits, dots and hyphens only, 40 at most")
    return f"{ask.day:%Y%m%d}_{ask.username}_{ask.description}_{number:05d}"


def file_name(day: date, number: int) -> str:
    """``params_planet_20261122_001.txt``."""
    return f"params_planet_{day:%Y%m%d}_{number:03d}.txt"


def file_text(rows: Sequence[Row], ask: Ask, columns: Sequence[str], template: str | None) -> str:
    """The whole file.

    Parameters
    ----------
    rows : sequence of mappings
        Of :func:`row_of`.
    columns : sequence of str
        Of the header, in order; a value's error goes to the column that ends in ``_unc`` or ``_err``.
    template : str, optional
        Name of the template that gave the columns; without one they are the built-in ones, and the file says so.
    """
    origin = (
        f"of the template {_plain(template)}"
        if template
        else f"built in, not verified: {', '.join(UNVERIFIED)} and their order are as others report them"
    )
    lines = [
        f"\\ Planet parameters by transit-hunter {_plain(ask.version)}, {ask.day:%Y-%m-%d}; nobody has sent this file.",
        f"\\ Columns {origin}.",
        "|".join(columns),
    ]
    for row in rows:
        cells = []
        for column in columns:
            base = value_of(column)
            cells.append(row.get(column) or (row.get(f"{base}_unc", "") if base else ""))
        lines.append("|".join(cells))
    return "\n".join(lines) + "\n"


# ---- the validator


def check(data: bytes, name: str = "", columns: Sequence[str] = COLUMNS) -> list[Violation]:
    """Hold any file to the rules.

    Parameters
    ----------
    data : bytes
    name : str
        The file's name; empty leaves it unjudged.
    columns : sequence of str
        Of the template in force.

    Returns
    -------
    list of Violation
        In the order of the lines; empty for a file that keeps every rule.
    """
    found: list[Violation] = []
    if name:
        found += _check_name(name)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        at = data[: error.start].count(b"\n") + 1
        found.append(Violation(at, "", f"byte 0x{data[error.start]:02X} is not ASCII", "write it in plain letters"))
        text = data.decode("ascii", "replace")
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    else:
        found.append(Violation(len(lines), "", "the last line has no end", "end it with a line feed"))
    header: list[str] | None = None
    seen: dict[tuple[str, str], int] = {}
    rows = 0
    for place, line in enumerate(lines, start=1):
        if line.startswith("\\"):
            continue
        if not all(letter.isprintable() for letter in line):
            found.append(
                Violation(place, "", "a control character", "one line a row, parted by |, ended by a line feed")
            )
        cells = "".join(letter if letter.isprintable() else " " for letter in line).rstrip("\r ").split("|")
        if header is None:
            header = cells
            found += _check_header(place, cells, columns)
            continue
        rows += 1
        if len(cells) != len(header):
            told = f"{len(cells)} cells under {len(header)} columns"
            found.append(Violation(place, "", told, "one cell a column, empty where nothing is known, no | in a text"))
            continue
        row = dict(zip(header, cells, strict=True))
        found += _check_row(place, row)
        key = (row.get("target", ""), row.get("tag", ""))
        if key in seen:
            told = f"the target and tag of line {seen[key]} again"
            found.append(Violation(place, "target", told, "one line a signal and upload"))
        seen.setdefault(key, place)
    if header is None:
        found.append(Violation(0, "", "no header", "the first line without a backslash names the columns"))
    elif not rows:
        found.append(Violation(0, "", "no planet in it", "one line a candidate below the header"))
    return found


def _check_name(name: str) -> list[Violation]:
    cure = "params_planet_YYYYMMDD_nnn.txt, nnn from 001 to 999"
    match = NAME.fullmatch(name)
    if match is None:
        return [Violation(0, "", f"the name {name!r}", cure)]
    if not _is_day(match[1]) or match[2] == "000":
        return [Violation(0, "", f"the name {name!r} holds no day or no number", cure)]
    return []


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _check_header(place: int, cells: Sequence[str], columns: Sequence[str]) -> list[Violation]:
    if list(cells) == list(columns):
        return []
    if len(cells) != len(columns):
        missing = [name for name in columns if name not in cells]
        told = f"{len(cells)} columns, and the template has {len(columns)}"
        return [Violation(place, "", told, f"missing: {', '.join(missing) or 'none'}")]
    number, ours, theirs = next((n, a, b) for n, (a, b) in enumerate(zip(cells, columns, strict=True), 1) if a != b)
    return [Violation(place, ours, f"column {number} is {ours!r}", f"the template calls it {theirs!r}")]


def _check_row(place: int, row: Row) -> list[Violation]:
    return [*_check_values(place, row), *_check_texts(place, row)]


def _check_values(place: int, row: Row) -> list[Violation]:
    """What the numbers of a line break."""
    found: list[Violation] = []

    def say(column: str, rule: str, cure: str) -> None:
        found.append(Violation(place, column, rule, cure))

    values: dict[str, float] = {}
    for column, text in row.items():
        if text != text.strip():
            say(column, "spaces around the cell", "none")
        text = text.strip()
        if column in TEXTS or not text:
            continue
        if not PLAIN_NUMBER.fullmatch(text) or number(float(text)) is None:
            say(column, f"{text[:30]!r} is no number", "leave the cell empty where a value is unknown")
            continue
        values[column] = float(text)
    for column, value in values.items():
        base = value_of(column)
        if base is not None and base in row:
            if base not in values:
                say(column, f"an uncertainty without {base}", f"give {base}, or leave this empty")
            if not value > 0:
                say(column, f"an uncertainty of {value:g}", "above 0, or empty where it is unknown")
        elif column in POSITIVE and not value > 0:
            say(column, f"{value:g}", "above 0, or empty where it is unknown")
        elif column in RANGES and not RANGES[column][0] <= value <= RANGES[column][1]:
            say(column, f"{value:g} is outside {RANGES[column][0]:g} to {RANGES[column][1]:g}", RANGES[column][2])
        elif column in ("epoch", "time_peri") and not value > LEAST_BJD:
            say(column, f"{value:g} is no BJD", f"above {LEAST_BJD:.0f}: add {BTJD_ZERO:.0f} to BTJD")
    if values.get("duration", 0.0) > 24.0 * values.get("period", float("inf")) > 0:
        say("duration", f"{values['duration']:g} h is longer than the period", "in hours")
    return found


def _check_texts(place: int, row: Row) -> list[Violation]:
    found: list[Violation] = []

    def say(column: str, rule: str, cure: str) -> None:
        found.append(Violation(place, column, rule, cure))

    cell = {column: row.get(column, "").strip() for column in (*TEXTS, "period", "epoch", "depth", "duration")}
    new = cell["flag"] == "newctoi"
    if not TARGET.fullmatch(cell["target"]):
        say("target", f"{cell['target'][:30]!r}", "TIC<number>.<nn> or TOI<number>.<nn>, no space, nn from 01")
    elif new and cell["target"].startswith("TOI"):
        say("target", "a TOI cannot be a new CTOI", "TIC<number>.<nn>, or the flag newparams")
    if cell["flag"] not in FLAGS:
        say("flag", f"{cell['flag'][:30]!r}", " or ".join(FLAGS))
    if cell["disp"] not in DISPOSITIONS:
        say("disp", f"{cell['disp'][:30]!r}", ", ".join(DISPOSITIONS))
    elif new and cell["disp"] == "FP":
        say("disp", "a false positive as a new CTOI", "PC or CP, or the flag newparams")
    if not cell["tag"]:
        say("tag", "no tag", "YYYYMMDD_username_description_nnnnn")
    elif not TAG.fullmatch(cell["tag"]) or ("_" in cell["tag"] and not _is_day(cell["tag"][:8])):
        say("tag", f"{cell['tag'][:60]!r}", "YYYYMMDD_username_description_nnnnn, or the number of a tag")
    if cell["prop_period"] not in ("0", "12"):
        say("prop_period", f"{cell['prop_period'][:30]!r}", "0 or 12 months")
    elif cell["prop_period"] == "12" and (new or not cell["group"]):
        say("prop_period", "12 months", "0 for a new CTOI, and wherever there is no group")
    if len(cell["notes"]) > LONGEST_NOTES:
        say("notes", f"{len(cell['notes'])} characters", f"{LONGEST_NOTES} at most")
    if cell["paper"] and not ADDRESS.fullmatch(cell["paper"]):
        say("paper", f"{cell['paper'][:60]!r}", "the address of a published paper, from https:// on")
    if new:
        if not cell["notes"]:
            say("notes", "none", "a new CTOI says how it was found")
        if not cell["paper"]:
            say("paper", "none", "a new CTOI must be published in a peer-reviewed journal first: give its address")
        for column in ("period", "epoch", "depth", "duration"):
            if not cell[column]:
                say(column, "none", "a new CTOI has period, epoch, depth and duration, all above 0")
    return found


def checklist(name: str, rows: Sequence[Row], ask: Ask, template: str | None, stale: Sequence[str]) -> list[str]:
    """What a person does before the file goes anywhere: nothing here was sent, and nothing will be."""
    said = [
        f"{name}: written and checked against every rule we know; nothing was sent, and this program never sends it."
    ]
    if template is None:
        said.append(
            f"the names of the columns {', '.join(UNVERIFIED)} are as others report them: download ExoFOP's template "
            "and check with --template FILE"
        )
    if ask.flag == "newctoi":
        said.append(f"the paper is published in a peer-reviewed journal, and names these candidates: {ask.paper}")
        targets = ", ".join(row["target"] for row in rows)
        said.append(f"each number is still free on its star's page at ExoFOP: {targets}")
    said += [
        "ExoFOP has approved you for uploads (Published Candidate Upload Request)",
        f"the tag exists there, or is made with the upload: {rows[0]['tag'] if rows else ''}",
        "no Gaia DR3 eclipsing or non-single-star solution, and no SPOC or QLP event, explains the dips "
        "(vari_eclipsing_binary, nss_two_body_orbit, the TCE tables): we hold no copy of these",
        "the page of each candidate was looked at by a person, and its evidence is kept where others can get it",
    ]
    said += [f"the table of {source}s was old when compared: look again on the day" for source in stale]
    return said
