"""One candidate as one row: what the index, the tables and the terminal lists show of it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from candidates.reading import BadEvidence, read

Row = dict[str, Any]

OF_SIGNAL = (
    "number",
    "period_days",
    "period_days_err",
    "epoch_btjd",
    "epoch_btjd_err",
    "duration_hours",
    "duration_hours_err",
    "depth_ppm",
    "depth_ppm_err",
    "snr",
    "sde",
    "n_transits",
    "false_alarm_probability",
)
OF_STAR = ("tmag", "teff", "radius", "ra", "dec")


def index_row(document: Mapping[str, Any]) -> Row:
    """Cut one evidence document down to a row of plain values.

    Returns
    -------
    dict
        Can be stored as JSON, and given to ``render_index``, ``table`` and ``table_json``.
    """
    signal, score, star, verdict = (
        document["signal"],
        document["score"],
        document["target"]["star"],
        document["verdict"],
    )
    sectors = sorted({file["sector"] for file in document["data"]["files"] if file["sector"] is not None})
    tests = verdict["tests"]
    return {
        "name": document["name"],
        "target": document["target"]["name"],
        "probability": score["probability"],
        "prior": score["prior"],
        "threshold": score["threshold"],
        "model": score["model"],
        "disposition": verdict["disposition"],
        "flux": verdict["flux"]["disposition"],
        **{name: signal[name] for name in OF_SIGNAL},
        "planet_radius_earth": document["derived"]["planet_radius_earth"],
        **{name: star[name] for name in OF_STAR},
        "sectors": " ".join(str(sector) for sector in sectors),
        "tests_passed": tests["pass"],
        "tests_failed": tests["fail"],
        "tests_not_run": tests["not_run"] + tests["error"],
        "curve_ppm": document["views"]["local"]["curve_ppm"],
        "finished_at": document["run"]["finished_at"],
    }


def row_of_record(record: Mapping[str, Any]) -> Row:
    """A row from what the state keeps of a candidate, in the units and words of :func:`index_row`.

    Parameters
    ----------
    record : mapping
        With ``name`` and as many as are known of ``kind``, ``key``, ``period``, ``epoch``, ``duration`` (days),
        ``depth`` (fraction), ``snr``, ``sde``, ``probability``, ``disposition``, ``flux``, and of the last review
        ``decision``, ``reviewer`` (or ``by``) and ``reason``. A row of :func:`index_row` passes unchanged.
    """
    row = dict(record)
    if record.get("kind") and record.get("key") and not record.get("target"):
        row["target"] = f"{record['kind']} {record['key']}"
    for theirs, ours, factor in (
        ("period", "period_days", 1.0),
        ("epoch", "epoch_btjd", 1.0),
        ("duration", "duration_hours", 24.0),
        ("depth", "depth_ppm", 1e6),
    ):
        if ours not in row and record.get(theirs) is not None:
            row[ours] = float(record[theirs]) * factor
    if not row.get("flux"):
        row.pop("flux", None)  # an older record does not know; the evidence may
    row["review"] = record.get("review") or record.get("decision")
    row["reviewer"] = record.get("reviewer") or record.get("by")
    return row


def complete(
    folder: Path,
    records: Iterable[Mapping[str, Any]],
    more: Callable[[Mapping[str, Any]], Row] = lambda document: {},
) -> list[Row]:
    """Rows of records, with what only the evidence files know: thumbnail, star, tests, errors; and what ``more`` reads.

    A file that is missing or broken leaves its row with what the record has, and says so under ``problem``: the
    index must come out even if one candidate was damaged. The record wins where both know a value.
    """
    rows: list[Row] = []
    for record in records:
        row = row_of_record(record)
        if "curve_ppm" not in row:
            path = folder / f"{row['name']}.json"
            try:
                document = read(path)
                found = index_row(document) | more(document)
            except (BadEvidence, OSError, KeyError, TypeError) as error:
                row["problem"] = f"{path.name} cannot be read: {type(error).__name__}; `hunter verify` says more"
            else:
                row = found | {name: value for name, value in row.items() if value is not None}
        rows.append(row)
    return rows


def ranked(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Highest probability first, then highest S/N, then by name, so that the order is always the same."""

    def order(row: Mapping[str, Any]) -> tuple[float, float, str]:
        return (-(row.get("probability") or 0.0), -(row.get("snr") or 0.0), str(row["name"]))

    return sorted(rows, key=order)
