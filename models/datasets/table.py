"""A person's own labelled signals, as a CSV: a row a signal, its views in columns or in an npz that the row names."""

import csv
import hashlib
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import LABELS, Labelled, ViewsRefused, join_labelled, label
from models.inputs import GLOBAL_LENGTH, LOCAL_LENGTH, SCALARS, InputsRefused, SignalInputs, check

VERSION = 1  # raised when the same file would give other rows

WORDS = {
    "planet": "PC",
    "planet_candidate": "PC",
    "candidate": "PC",
    "known_planet": "KP",
    "confirmed": "CP",
    "confirmed_planet": "CP",
    "eclipsing_binary": "EB",
    "blend": "NEB",
    "blended_eclipse": "NEB",
    "wrong_period": "WP",
    "nearby_eclipse": "FP",
    "false_positive": "FP",
    "false_alarm": "FA",
    "variable": "V",
    "variability": "V",
    "junk": "J",
    "instrumental": "IS",
    "systematic": "IS",
    "other": "O",
}
LENGTHS = {"global": GLOBAL_LENGTH, "local": LOCAL_LENGTH}
FURTHER = ("secondary", "odd", "even")  # views an npz may hold too
KNOWN = ("label", "path", "centroid_offset", "tic", "period", "depth", "ra", "dec", *SCALARS)
AT_ONCE = 512  # rows brought to the resolution of training together


def label_named(word: str) -> str | None:
    """The label that a word means, in any case, None if it means none."""
    plain = "_".join(word.strip().lower().replace("-", " ").split())
    return plain.upper() if plain.upper() in LABELS else WORDS.get(plain)


def read_table(path: Path) -> tuple[Labelled, dict[int, dict[str, float]], dict[str, int]]:
    """Read labelled signals from a CSV.

    Parameters
    ----------
    path : a CSV with the columns ``label`` and either ``global_0`` to ``global_2047`` and ``local_0`` to
        ``local_255``, or ``path``: an npz with arrays ``global`` (2048) and ``local`` (256), relative to the CSV's
        folder. It may have ``centroid_offset`` (arcsec), ``tic``, ``period`` (days), ``depth`` (fraction), ``ra``,
        ``dec`` (degrees) and any of ``models.inputs.SCALARS``; an empty cell is unknown. An npz may hold ``secondary``,
        ``odd`` and ``even`` (256), and for each view ``<view>_filled``, False where nothing was observed. Views are
        flux with the level out of transit at 0, a dip negative, in any unit that ``depth`` shares; without ``depth``
        it is taken from the local view.

    Returns
    -------
    labelled : n rows
    stars : places by TIC, where given
    notes : what a person should know, counted: a row without ``tic`` is a star of its own, which keeps no star's
        other rows out of another split

    Raises
    ------
    ViewsRefused
        A column or value is not as it must be; the line names row and column.
    """
    path = Path(path)
    signals: list[SignalInputs] = []
    tics: list[int] = []
    periods: list[float] = []
    labels: list[str] = []
    stars: dict[int, dict[str, float]] = {}
    parts: list[Labelled] = []
    unknown = 0

    def gathered() -> None:
        if signals:
            parts.append(label(signals, tics, periods, labels, "csv"))
        for some in (signals, tics, periods, labels):
            some.clear()

    for number, row in _rows(path):
        where = f"{path}: row {number}"
        signal = _signal(row, path, where)
        meaning = label_named(row["label"])
        if meaning is None:
            raise ViewsRefused(
                f"{where}, column label: {row['label']!r} is unknown; one of {', '.join(sorted(LABELS))} "
                f"or {', '.join(sorted(WORDS))}"
            )
        tic = _whole(row.get("tic", ""), where)
        if tic is None:
            # a number below 0 is no TIC's; the same views always get the same one
            tic = -1 - struct.unpack("<Q", hashlib.sha256(signal.local_flux.tobytes()).digest()[:8])[0] // 4
            unknown += 1
        place = {name: value for name in ("ra", "dec") if (value := _number(row, name, where)) is not None}
        if len(place) == 2:
            stars[tic] = place
        signals.append(signal)
        tics.append(tic)
        periods.append(_number(row, "period", where) or math.nan)
        labels.append(meaning)
        if len(signals) == AT_ONCE:
            gathered()
    gathered()
    if not parts:
        raise ViewsRefused(f"{path}: holds no row below its header")
    joined = join_labelled(parts)
    joined.place[:] = np.arange(len(joined))
    return joined, stars, {"rows without a star (kept, each its own)": unknown} if unknown else {}


def files_of_table(path: Path) -> list[Path]:
    """The CSV and every file it names, in order."""
    path = Path(path)
    return [path, *(path.parent / row["path"] for _, row in _rows(path) if row.get("path"))]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its number, the first below the header being 1, after a look at the header."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as text:
            lines = csv.reader(text, strict=True)
            header = [name.strip() for name in next(lines, [])]
            _check_header(path, header)
            for number, line in enumerate(lines, start=1):
                if not line:
                    continue
                if len(line) != len(header):
                    raise ViewsRefused(f"{path}: row {number} has {len(line)} cells, the header {len(header)}")
                yield number, dict(zip(header, line, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ViewsRefused(f"{path}: cannot be read as a CSV ({error})") from error


def _check_header(path: Path, header: list[str]) -> None:
    if twice := sorted({name for name in header if header.count(name) > 1} if len(set(header)) < len(header) else ()):
        raise ViewsRefused(f"{path}: column {twice[0]} is there twice")
    given = set(header)
    views = [f"{view}_{k}" for view, length in LENGTHS.items() for k in range(length)]
    if "label" not in given:
        raise ViewsRefused(f"{path}: column label is missing")
    lacking = [name for name in views if name not in given]
    if "path" not in given and lacking:
        raise ViewsRefused(
            f"{path}: {len(lacking)} columns of the views are missing, the first is {lacking[0]}: "
            f"global_0..{GLOBAL_LENGTH - 1} and local_0..{LOCAL_LENGTH - 1} are needed, or a column path"
        )
    if "path" in given and len(lacking) < len(views):
        raise ViewsRefused(f"{path}: has views in columns and a column path: one or the other")
    if strange := sorted(given - set(views) - set(KNOWN)):
        raise ViewsRefused(f"{path}: unknown column {strange[0]}; beside the views: {', '.join(KNOWN)}")


def _signal(row: Mapping[str, str], table: Path, where: str) -> SignalInputs:
    views = _from_npz(table.parent / row["path"], where) if "path" in row else _from_cells(row, where)
    arrays: dict[str, NDArray] = {}
    for view in (*LENGTHS, *FURTHER):
        length = LENGTHS.get(view, LOCAL_LENGTH)
        flux = views.get(view)
        arrays[f"{view}_flux"] = np.zeros(length) if flux is None else flux
        present = np.full(length, flux is not None)
        arrays[f"{view}_filled"] = views.get(f"{view}_filled", present).astype(bool)
    depth = _number(row, "depth", where)
    scalars = {name: _number(row, name, where) for name in SCALARS if name in row}
    period = _number(row, "period", where)
    if "log10_period" not in scalars and period is not None and period > 0:
        scalars["log10_period"] = math.log10(period)
    if depth is not None and depth > 0 and "log10_depth" not in scalars:
        scalars["log10_depth"] = math.log10(depth)
    signal = SignalInputs(
        **arrays, depth=depth if depth else max(float(-arrays["local_flux"].min()), 1e-9), scalars=scalars
    )
    try:
        check(signal)
    except InputsRefused as error:
        raise ViewsRefused(f"{where}: {str(error).removeprefix('signal 1: ')}") from error
    return signal


def _from_cells(row: Mapping[str, str], where: str) -> dict[str, NDArray]:
    views = {}
    for view, length in LENGTHS.items():
        values = np.empty(length)
        for k in range(length):
            value = _number(row, f"{view}_{k}", where)
            if value is None:
                raise ViewsRefused(f"{where}, column {view}_{k}: is empty")
            values[k] = value
        views[view] = values
    return views


def _from_npz(path: Path, where: str) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            views = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, KeyError, zipfile.BadZipFile) as error:
        raise ViewsRefused(f"{where}, column path: {path} is no npz of plain arrays ({error})") from error
    for view in LENGTHS:
        if view not in views:
            raise ViewsRefused(f"{where}, column path: {path} holds no array {view}")
    for name, values in views.items():
        view = name.removesuffix("_filled")
        if view not in (*LENGTHS, *FURTHER):
            raise ViewsRefused(f"{where}, column path: {path} holds an unknown array {name}")
        if values.shape != (length := LENGTHS.get(view, LOCAL_LENGTH),):
            raise ViewsRefused(f"{where}, column path: {name} of {path} has shape {values.shape}, not ({length},)")
        if values.dtype.kind not in "fiub":
            raise ViewsRefused(f"{where}, column path: {name} of {path} holds no numbers")
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ViewsRefused(f"{where}, column path: {name} of {path} is not finite in bin {bad}")
    return {n: v.astype(bool) if n.endswith("_filled") else v.astype(np.float64) for n, v in views.items()}


def _number(row: Mapping[str, str], name: str, where: str) -> float | None:
    """A finite number, None where the cell is empty or the column missing."""
    text = row.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ViewsRefused(f"{where}, column {name}: {text[:40]!r} is no number") from None
    if not math.isfinite(value):
        raise ViewsRefused(f"{where}, column {name}: {text[:40]} is not finite; leave the cell empty if it is unknown")
    return value


def _whole(text: str, where: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ViewsRefused(f"{where}, column tic: {text[:40]!r} is no TIC number")
    return int(text)
