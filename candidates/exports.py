"""Tables for other programs: the processing log, the timings, the candidates.

Rows come as plain dicts and leave as lines of CSV (RFC 4180 quoting, ``\\n`` at the end). A text cell that a
spreadsheet would run as a formula is written with a leading apostrophe.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from candidates.rows import OF_SIGNAL, OF_STAR, row_of_record
from candidates.tables import FIT_COLUMNS

Row = Mapping[str, object]

LOG_HEADER = ("TIC_ID", "LAST_STAGE", "STATUS", "BEST_PERIOD", "UPDATED_AT", "ERROR")
TIMING_HEADER = ("TIC_ID", "PHASE1_MS", "PHASE2_MS", "PHASE3_MS", "PREDICT_MS", "TOTAL_MS", "STATUS")
STAGES = {
    "fetch": "phase1",
    "clean": "phase1",
    "search": "phase2",
    "confirm": "phase2",
    "fold": "phase3",
    "vet": "phase3",
    "score": "predict",
    "fit": "predict",  # the log knows no later stage before DONE
    "validate": "predict",
    "field": "predict",
    "publish": "predict",
    "finished": "DONE",
}
TIMED_STAGES = ("phase1", "phase2", "phase3", "predict")
FINISHED = frozenset({"CANDIDATE", "CLEARED", "NO_SIGNAL", "NO_DATA", "UNUSABLE"})  # nothing further will happen
TABLE_COLUMNS = (
    "name",
    "target",
    "probability",
    "prior",
    "threshold",
    "disposition",
    "flux",
    "review",
    *OF_SIGNAL[1:],  # all but its number
    "planet_radius_earth",
    *OF_STAR,
    "sectors",
    "tests_passed",
    "tests_failed",
    "tests_not_run",
    "model",
    "finished_at",
    *FIT_COLUMNS,
)
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what spreadsheets take for a formula


def text_cell(value: object) -> str:
    """A text as a cell that no spreadsheet runs and no reader chokes on; ``None`` is empty.

    Line ends, control and other unprintable characters become spaces, so that a row is always one line.
    """
    if value is None:
        return ""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return "'" + text if text.lstrip().startswith(FORMULA_STARTS) else text


def number_cell(value: object, form: str = "") -> str:
    """A finite number in the given format, or an empty cell for ``None`` and for what is not finite."""
    if value is None or not math.isfinite(float(value)):  # type: ignore[arg-type]
        return ""
    return format(value, form) if form else repr(value)


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def star_id(row: Row) -> str:
    """The TIC number alone, or kind and key for a star of another catalogue."""
    return text_cell(row["key"] if row["kind"] == "TIC" else f"{row['kind']} {row['key']}")


def last_stage(phase: object, status: object) -> str:
    """The stage name of the log for one of our phases; ``DONE`` once nothing further will happen.

    Raises
    ------
    ValueError
        For a phase that is not ours.
    """
    if status in FINISHED:
        return "DONE"
    if phase is None or phase == "":
        return ""
    if phase not in STAGES:
        raise ValueError(f"unknown phase {phase!r}; one of {', '.join(STAGES)}")
    return STAGES[str(phase)]


def processed_stars(rows: Iterable[Row]) -> Iterator[str]:
    """The processing log, ``processed_stars.txt``.

    Parameters
    ----------
    rows : iterable of mappings
        Each with ``kind``, ``key``, ``phase``, ``status``, ``best_period`` (days or ``None``), ``changed_at``
        (unix seconds or ``None``) and ``error`` (text or ``None``).

    Yields
    ------
    str
        The header, then one line per row; period with 6 decimals, times in UTC.
    """
    yield _line(LOG_HEADER)
    for row in rows:
        changed = row["changed_at"]
        when = "" if changed is None else datetime.fromtimestamp(float(changed), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # type: ignore[arg-type]
        error = row["error"]
        yield _line(
            (
                star_id(row),
                last_stage(row["phase"], row["status"]),
                text_cell(row["status"]),
                number_cell(row["best_period"], ".6f"),
                when,
                text_cell(None if error is None else " ".join(str(error).split())),
            )
        )


def timings(rows: Iterable[Row]) -> Iterator[str]:
    """The timings, ``hunter_timings.csv``.

    Parameters
    ----------
    rows : iterable of mappings
        Each with ``kind``, ``key``, ``status`` and ``ms``, a mapping of phase to milliseconds.

    Yields
    ------
    str
        The header, then one line per row; milliseconds with one decimal, empty for a stage that never ran.
        The total counts every phase, also those that have no column.
    """
    yield _line(TIMING_HEADER)
    for row in rows:
        sums: dict[str, float] = {}
        total = 0.0
        spent: Mapping[str, float] = row["ms"]  # type: ignore[assignment]
        for phase, milliseconds in spent.items():
            stage = STAGES[phase] if phase in ("fetch", "clean", "search", "fold", "vet", "score") else ""
            sums[stage] = sums.get(stage, 0.0) + float(milliseconds)
            total += float(milliseconds)
        cells = [number_cell(sums.get(stage), ".1f") for stage in TIMED_STAGES]
        yield _line((star_id(row), *cells, number_cell(total if spent else None, ".1f"), text_cell(row["status"])))


def table(rows: Iterable[Row]) -> Iterator[str]:
    """The candidates as CSV in the order given.

    Parameters
    ----------
    rows : iterable of mappings
        What the state keeps of each candidate, or the fuller rows of :func:`candidates.rows.complete`; what a row
        does not know is an empty cell.

    Yields
    ------
    str
        The header, then one line per candidate.
    """
    yield _line(("rank", *TABLE_COLUMNS))
    for rank, row in enumerate(map(row_of_record, rows), start=1):
        cells = []
        for column in TABLE_COLUMNS:
            value = row.get(column)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            cells.append(number_cell(value) if number else text_cell(value))
        yield _line((str(rank), *cells))


def table_json(rows: Sequence[Row]) -> str:
    """The candidates as a JSON list of objects with the same columns as the CSV.

    Raises
    ------
    ValueError
        If a number is NaN or infinite.
    """
    listed = [
        {"rank": rank, **{column: row.get(column) for column in TABLE_COLUMNS}}
        for rank, row in enumerate(map(row_of_record, rows), start=1)
    ]
    return json.dumps(listed, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
