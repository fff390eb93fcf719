"""Real signals with the labels of a published list: the TESS objects of interest, KOIs, or eclipsing binaries."""

import csv
import gzip
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hunter.archives.base import Archive, FoundTarget
from hunter.checkpoints import digest_of
from hunter.settings import Settings
from hunter.training_sets.naming import Named, Truth, alias_of
from hunter.training_sets.simulated import signals_of
from hunter.training_sets.work import Found, code_version, number_in, star_number
from models.datasets import JUDGED, Labelled, ViewsRefused

BTJD = 2457000.0  # BJD of day 0
BKJD = 2454833.0

# column of each fact, by layout; the first column must be there to recognise it
LAYOUTS: Mapping[str, Mapping[str, str]] = {
    "NASA Exoplanet Archive, TOI": {
        "star": "tid", "label": "tfopwg_disp", "period": "pl_orbper", "period_err": "pl_orbpererr1",
        "epoch": "pl_tranmid", "epoch_err": "pl_tranmiderr1", "hours": "pl_trandurh",
    },
    "ExoFOP, TOI": {
        "star": "TIC ID", "label": "TFOPWG Disposition", "period": "Period (days)", "period_err": "Period (days) err",
        "epoch": "Epoch (BJD)", "epoch_err": "Epoch (BJD) err", "hours": "Duration (hours)",
    },
    "NASA Exoplanet Archive, KOI": {
        "star": "kepid", "label": "koi_disposition", "period": "koi_period", "period_err": "koi_period_err1",
        "epoch": "koi_time0bk", "epoch_err": "koi_time0bk_err1", "hours": "koi_duration",
    },
    "VSX, eclipsing binaries": {"star": "tic_id", "label": "VSX_Type", "period": "VSX_Period"},
}  # fmt: skip
LABEL_OF = {
    "KP": "KP", "CP": "CP", "PC": "PC", "FP": "FP", "FA": "FA",
    "CONFIRMED": "CP", "CANDIDATE": "PC", "FALSE POSITIVE": "FP",
    "EA": "EB", "EB": "EB", "EW": "V",
}  # fmt: skip
CLASSES = {"KP": "planet", "CP": "planet", "PC": "planet", "FP": "false positive", "FA": "false positive"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list."""

    label: str  # of models.datasets.LABELS
    truth: Truth


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A published list: the lines of each star, by the star's number."""

    path: Path
    layout: str
    stars: Mapping[int, tuple[Listed, ...]]
    left_out: Mapping[str, int]  # lines, by reason


def read_list(path: Path) -> Table:
    """Read a list in one of the known layouts, recognised by its columns; ``#`` lines above the header are skipped.

    A period or epoch of 0 or nothing is unknown; a line without a period, or with a label that says nothing (ambiguous
    candidates, other kinds of variables), is left out and counted. An error that is missing counts as unknown: the
    epoch then decides nothing.

    Raises
    ------
    ViewsRefused
        It cannot be read or is in none of the layouts.
    """
    path = Path(path)
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="") as text:
            lines = [line for line in text if not line.startswith("#")]
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise ViewsRefused(f"{path}: the list cannot be read ({error})") from error
    rows = list(csv.DictReader(lines))
    names = set(rows[0]) if rows else set()
    layout = next((name for name, columns in LAYOUTS.items() if set(columns.values()) <= names), None)
    if layout is None:
        shown = "; ".join(f"{name}: {', '.join(columns.values())}" for name, columns in LAYOUTS.items())
        raise ViewsRefused(f"{path}: is no list that is known here. Columns needed: {shown}")
    columns = LAYOUTS[layout]
    kepler = layout.endswith("KOI")
    stars: dict[int, list[Listed]] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        label = LABEL_OF.get(_label(row[columns["label"]], columns["label"]))
        star = row[columns["star"]].strip()
        period = _positive(row, columns.get("period"))
        if label is None or not star.isdigit():
            left_out["its label says nothing"] += 1
            continue
        if period is None:
            left_out["no period"] += 1
            continue
        epoch = _positive(row, columns.get("epoch"))
        epoch_err, period_err = (_positive(row, columns.get(name)) for name in ("epoch_err", "period_err"))
        if epoch is not None:
            epoch = epoch + (BKJD - BTJD) if kepler else epoch - BTJD if epoch > BTJD / 2 else epoch
        if period_err is None or epoch_err is None:
            epoch = None
        hours = _positive(row, columns.get("hours"))
        truth = Truth(
            label, period, epoch, (hours or 0.0) / 24, period_err=period_err or 0.0, epoch_err=epoch_err or 0.0
        )
        number = number_in("KIC" if kepler else "TIC", star)
        stars.setdefault(number, []).append(Listed(label, truth))
    return Table(path, layout, {star: tuple(some) for star, some in stars.items()}, dict(left_out))


def _label(text: str, column: str) -> str:
    """The word itself; of a compound VSX type the first, without what stands in doubt or behind a slash."""
    text = text.strip().upper()
    if column != "VSX_Type":
        return text
    return "" if text.startswith("EP") else text.partition("/")[0].partition("|")[0].partition("+")[0].rstrip(":")


def _positive(row: Mapping[str, str], name: str | None) -> float | None:
    try:
        value = float(row[name] or "nan") if name else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class ListedJob:
    """One star of an archive, and what is listed of it; nothing, for a star that nobody has listed."""

    found: FoundTarget
    archive: Archive
    listed: tuple[Listed, ...]
    settings: Settings
    backend: str

    @property
    def name(self) -> str:
        """From the star, its files and its lines."""
        return digest_of(self.found.target.name, self.found.inputs, *self.listed)

    def stars(self) -> Iterator[Callable[[Counter[str]], list[Found]]]:
        """The one star."""
        yield partial(listed_star, self)


def listed_star(job: ListedJob, dropped: Counter[str]) -> list[Found]:
    """Hunt a star and give each signal the label of the line it matches.

    A signal of a listed star that matches no line is dropped; every signal of a star in no list is junk, as most are:
    a noisy label, kept apart by ``what``.

    Raises
    ------
    UnusableData, ArchiveUnavailable
        As reading and the phases do.
    """
    fetched = job.archive.fetch(job.found.target, job.found.sources)
    observations = [job.archive.read(product) for product in fetched.products]
    _, signals = signals_of(observations, fetched.star, job.settings, job.backend)
    found = []
    for signal, inputs in signals:
        named = None if job.listed else Named("J", "in no list", math.nan)
        for line in job.listed:
            alias = alias_of(signal, line.truth)
            if alias is not None:
                named = Named(line.label, "listed", alias)
                break
        if named is None:
            dropped["a signal of a listed star that is in no line"] += 1
            continue
        found.append(Found(star_number(job.found.target), signal.period, inputs, named, fetched.star))
    return found


def listed(
    targets: Sequence[FoundTarget],
    archive: Archive,
    tables: Sequence[Table],
    per_class: int,
    settings: Settings,
    backend: str,
    cache: Path,
) -> tuple[list[ListedJob], Path]:
    """The jobs of a listed set: of each class at most ``per_class`` stars, chosen by the hash of their number.

    Stars on which the whole hunt is judged are left out.

    Raises
    ------
    ViewsRefused
        If no star of the archive is in a list.
    """
    chosen: dict[str, list[tuple[str, FoundTarget, tuple[Listed, ...]]]] = {}
    for found in targets:
        number = star_number(found.target)
        if number in JUDGED:
            continue
        lines = tuple(line for table in tables for line in table.stars.get(number, ()))
        kinds = {class_of(line.label) for line in lines} or {"junk"}
        for kind in kinds:
            chosen.setdefault(kind, []).append((_order(number), found, lines))
    if set(chosen) <= {"junk"}:
        names = ", ".join(str(table.path) for table in tables)
        raise ViewsRefused(f"no star of the archive ({len(targets)} targets) is in {names}: nothing can be labelled")
    jobs = {}
    for stars in chosen.values():
        for _, found, lines in sorted(stars, key=lambda item: item[0])[:per_class]:
            jobs[found.target.name] = ListedJob(found, archive, lines, settings, backend)
    used = settings.digest("archive", "clean", "detrend", "search", "fold", "vet")
    return [jobs[name] for name in sorted(jobs)], cache / f"toi-{digest_of(code_version(), used, backend)}"


def class_of(label: str) -> str:
    """What is balanced: planets, false positives, binaries, variables, junk."""
    return CLASSES.get(label, {"EB": "binary", "V": "variable"}.get(label, "junk"))


def capped(labelled: Labelled, per_class: int) -> np.ndarray:
    """The rows kept where each class may have ``per_class``: by the hash of their star, so that more data move none."""
    order = np.array([_order(int(tic), str(period)) for tic, period in zip(labelled.tic, labelled.period, strict=True)])
    kinds = np.array([class_of(label) for label in labelled.disposition])
    keep = []
    for kind in sorted(set(kinds.tolist())):
        rows = np.flatnonzero(kinds == kind)
        keep.append(rows[np.argsort(order[rows], kind="stable")][:per_class])
    return np.sort(np.concatenate(keep)) if keep else np.array([], dtype=np.int64)


def _order(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()
