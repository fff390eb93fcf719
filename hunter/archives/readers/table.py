"""Light curves as text: CSV, TSV, blank-separated, with or without header and comments, also gzipped.

What such a file does not say is decided by its numbers and said in ``Product.processing``; where the numbers do
not decide, the file is refused. Identity comes from comments ("tic_id: 188646744") or a column of that name.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hunter.archives.identity import KIND_OF_MISSION, Identity, catalogue_number, positive, whole
from pipeline.errors import UnusableData
from pipeline.types import Floats, Observation, Product, Star

HEAD_BYTES = 2**18  # the part of a text that tells what it is
SAMPLE_LINES = 60  # lines of data that decide separator and layout
MOST_COMMENTS = 2000
MISSING = {"", "nan", "-nan", "null", "none", "na", "n/a", "--", "masked", '""'}
BROKEN_SHARE = 0.05  # a file with more unreadable lines than this is refused
TIME_NAMES = (
    "time", "btjd", "tbjd", "time_btjd", "time_tbjd", "bjd", "bjd_tdb", "time_bjd", "time_bjd_tdb", "tmid_bjd",
    "bkjd", "time_bkjd", "bjd_2457000", "bjd_2454833", "time_bjd_2457000", "time_bjd_2454833", "time_days", "time_d",
    "jd", "hjd", "mjd", "time_jd", "time_hjd", "time_mjd", "t",
)  # fmt: skip
FLUX_NAMES = (
    "flux", "pdcsap_flux", "kspsap_flux", "det_flux", "flux_norm", "flux_normalized", "norm_flux", "normalized_flux",
    "rel_flux", "relative_flux", "flux_rel", "detrended_flux", "flux_detrended", "flat_flux", "flux_flat", "flux_ppm",
    "flux_ppt", "flux_e_s", "sap_flux", "fcor", "corr_flux", "raw_flux", "flux_raw",
)  # fmt: skip
ERROR_NAMES = (
    "flux_err", "flux_error", "fluxerr", "flux_unc", "flux_uncertainty", "e_flux", "err_flux", "sigma_flux", "dflux",
    "error", "err", "sigma", "uncertainty", "e",
)  # fmt: skip
QUALITY_NAMES = ("quality", "sap_quality", "flag", "flags", "quality_flag")
CENTROID_NAMES = (("centroids_x", "centroids_y"), ("mom_centr1", "mom_centr2"), ("centroid_col", "centroid_row"))
STAR_NAMES = {"tic": "TIC", "tic_id": "TIC", "ticid": "TIC", "kic": "KIC", "kepid": "KIC", "kic_id": "KIC",
              "epic": "EPIC", "epic_id": "EPIC"}  # fmt: skip
MISSION_OF_KIND = {kind: mission for mission, kind in KIND_OF_MISSION.items()}
# zero-centred flux: the scatter of neighbours tells its unit, for noise between 30 ppm and 3 % a cadence
SMALLEST_PPT, SMALLEST_PPM, LARGEST_PPM = 0.03, 30.0, 1e5


class NotALightCurve(UnusableData):
    """The text has no column of time or none of flux: it is something else, not a damaged light curve."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a text are to be taken apart."""

    lines: tuple[str, ...]  # lines of data, without comments, header and blank lines
    separator: str | None  # None is any run of blanks
    names: tuple[str, ...]  # normalised; () where the text has no header
    facts: dict[str, str]  # "key: value" comments, keys normalised
    width: int  # columns of most lines


def normalised(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().strip("\"'").lower()).strip("_")


def decode(raw: bytes) -> str:
    """Text of any common encoding; raises UnusableData for binary content."""
    if not raw.strip():
        raise UnusableData("it is empty" if raw else "it is empty (0 bytes)")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError as error:
            raise UnusableData("it is no text that can be read: broken UTF-16") from error
    head = raw[:4096]
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise UnusableData("it is a web page, not data: the download was answered with an error page; fetch it again")
    if head.startswith(b"PK"):
        raise UnusableData("it is a zip archive: unpack it, then hunt the folder")
    if b"\0" in head:
        raise UnusableData("it is neither FITS nor text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def cells_of(line: str, separator: str | None) -> list[str]:
    return [cell.strip().strip("\"'") for cell in line.split(separator)]


def as_number(cell: str) -> float | None:
    """The number in a cell, NaN where it says that none is there, None where it holds anything else."""
    if cell.lower() in MISSING:
        return float("nan")
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _separator(lines: Sequence[str]) -> str | None:
    """The separator that cuts most lines into the same number of cells, at least two."""
    best, score = None, -1.0
    for candidate in (",", "\t", ";", "|", None):
        widths = [len(line.split(candidate)) for line in lines]
        common = max(set(widths), key=lambda width: (widths.count(width), width))
        if common < 2:
            continue
        agreement = widths.count(common) / len(widths)
        if agreement > score + 0.2:
            best, score = candidate, agreement
    return best


def _split_comments(content: str) -> Iterator[tuple[bool, str]]:
    """Lines that are not blank, each with whether it is a comment."""
    for line in content.splitlines():
        bare = line.strip()
        if bare:
            yield bare.startswith(("#", "%", "//", "\\")), bare


def layout_of(raw: bytes) -> Layout:
    """Take the text apart: comments, header, separator, lines.

    Raises
    ------
    UnusableData
        If it is no text or has no line of data.
    """
    comments: list[str] = []
    lines: list[str] = []
    for is_comment, line in _split_comments(decode(raw)):
        if not is_comment:
            lines.append(line)
        elif len(comments) < MOST_COMMENTS:
            comments.append(line.lstrip("#%/\\ \t"))
    if not lines:
        raise UnusableData("it has no line of data, only comments")
    separator = _separator(lines[:SAMPLE_LINES])
    first = cells_of(lines[0], separator)
    names: tuple[str, ...] = ()
    if any(as_number(cell) is None for cell in first):
        names, lines = tuple(normalised(cell) for cell in first), lines[1:]
    else:
        for comment in reversed(comments):  # a header written as a comment
            candidates = cells_of(comment, separator)
            if len(candidates) == len(first) and len(first) > 1 and normalised(candidates[0]) and not any(
                as_number(cell) is not None for cell in candidates
            ):  # fmt: skip
                names = tuple(normalised(cell) for cell in candidates)
                break
    facts: dict[str, str] = {}
    for comment in comments:
        found = re.match(r"([A-Za-z][\w \-]{0,40}?)\s*[:=]\s*(\S.*)", comment)
        if found:
            facts.setdefault(normalised(found.group(1)), found.group(2).strip().strip("\"'"))
    widths = [len(cells_of(line, separator)) for line in lines[:SAMPLE_LINES]]
    width = max(set(widths), key=widths.count) if widths else len(first)
    return Layout(tuple(lines), separator, names, facts, width)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the parts of a light curve stand, as positions in a line."""

    time: int
    flux: int
    error: int | None = None
    quality: int | None = None
    centroids: tuple[int, int] | None = None
    star: tuple[str, int] | None = None  # kind and position of a column of catalogue numbers
    named: bool = False


def columns_of(layout: Layout, preferred: Sequence[str] = ()) -> Columns:
    """Find time, flux and what else there is, by the header or, without one, by position.

    Raises
    ------
    NotALightCurve
        If there is no time or no flux among the names, or a text without header has not two to four columns.
    """
    names = layout.names
    if not names:
        sample = layout.lines[:SAMPLE_LINES]
        numeric = sum(all(as_number(cell) is not None for cell in cells_of(line, layout.separator)) for line in sample)
        if not 2 <= layout.width <= 4 or numeric < 0.9 * len(sample):
            raise NotALightCurve(
                "it is no light curve: no header names its columns, and it is not two to four numbers a line"
            )
        return Columns(0, 1, 2 if layout.width > 2 else None, 3 if layout.width > 3 else None)

    def first(candidates: Sequence[str]) -> int | None:
        return next((names.index(name) for name in candidates if name in names), None)

    time = first(TIME_NAMES)
    flux = first([name.lower() for name in preferred if name.lower() in FLUX_NAMES] + list(FLUX_NAMES))
    if time is None or flux is None:
        lacking = " and ".join(what for what, where in (("time", time), ("flux", flux)) if where is None)
        shown = ", ".join(name for name in names if name)[:80]
        raise NotALightCurve(f"it is no light curve: no column of {lacking} among {shown}")
    pairs = ((first((x,)), first((y,))) for x, y in CENTROID_NAMES)
    star = next(((kind, names.index(name)) for name, kind in STAR_NAMES.items() if name in names), None)
    return Columns(
        time, flux,
        error=first((f"{names[flux]}_err", f"{names[flux]}_error", f"e_{names[flux]}", *ERROR_NAMES)),
        quality=first(QUALITY_NAMES),
        centroids=next(((x, y) for x, y in pairs if x is not None and y is not None), None),
        star=star,
        named=True,
    )  # fmt: skip


def identify(raw: bytes) -> Identity:
    """Say whose light curve a text is.

    Raises
    ------
    NotALightCurve
        If the text is something else.
    UnusableData
        If it is no text, empty, or a web page.
    """
    head = raw[:HEAD_BYTES]
    # the last line of a part may be cut
    layout = layout_of(head if len(head) < HEAD_BYTES else head[: head.rfind(b"\n") + 1] or head)
    columns = columns_of(layout)
    kind, key = _star_named(layout, columns)
    facts = layout.facts
    mission = MISSION_OF_KIND.get(kind, "")
    return Identity(
        kind=kind,
        key=key,
        mission=mission,
        author="CSV",
        sector=whole(facts.get("sector", facts.get("campaign", facts.get("quarter"))), 0, 9999),
        cadence_seconds=_fact(facts, "cadence_seconds", "exptime", "exposure"),
        star=Star(
            tmag=_fact(facts, "tmag", "tessmag", "tess_mag"),
            teff=_fact(facts, "teff"),
            logg=_fact(facts, "logg"),
            radius=_fact(facts, "radius"),
        ),
    )


def _fact(facts: dict[str, str], *names: str) -> float | None:
    return next((positive(as_number(facts[name])) for name in names if name in facts), None)


def _star_named(layout: Layout, columns: Columns) -> tuple[str, str]:
    for name, kind in STAR_NAMES.items():
        found = catalogue_number(layout.facts.get(name))
        if found:
            return kind, found
    for name in ("object", "target", "star"):
        named = re.fullmatch(
            r"(TIC|KIC|EPIC)[\s_-]*0*([1-9]\d{0,10})", layout.facts.get(name, "").strip(), re.I | re.ASCII
        )
        if named:
            return named.group(1).upper(), named.group(2)
    if columns.star is not None and layout.lines:
        kind, position = columns.star
        cells = cells_of(layout.lines[0], layout.separator)
        found = catalogue_number(re.sub(r"\.0*$", "", cells[position])) if position < len(cells) else None
        if found:
            return kind, found
    return "FILE", ""


def read(raw: bytes, product: Product, preferred: Sequence[str] = ()) -> Observation:
    """Read the light curve of a text, in BTJD.

    Returns
    -------
    Observation
        Its product says in ``flux_column`` which column was taken and in ``processing`` what was assumed.

    Raises
    ------
    UnusableData
        If lines are broken, the times belong to no known system, or the lines speak of several stars.
    """
    layout = layout_of(raw)
    where = columns_of(layout, preferred)
    wanted = [where.time, where.flux]
    wanted += [position for position in (where.error, where.quality, *(where.centroids or ())) if position is not None]
    values, notes = _numbers(layout, wanted)
    if where.star is not None:
        _one_star(layout, where.star[1])
    time, flux, rest = values[0], values[1], list(values[2:])
    error = rest.pop(0) if where.error is not None else np.full(time.size, np.nan)
    flags = rest.pop(0) if where.quality is not None else np.zeros(time.size)
    centroids = (rest.pop(0), rest.pop(0)) if where.centroids is not None else (None, None)
    if not where.named and layout.width == 2 and _system(time) is None and _system(flux) is not None:
        time, flux = flux, time
        notes.append("the second column is time, the first flux")
    time, said = to_btjd(time, layout.names[where.time] if where.named else "")
    notes.append(said)
    flux, error, remarks = to_relative(flux, error, layout.names[where.flux] if where.named else "")
    notes += remarks
    quality = np.where(np.isfinite(flags) & (np.abs(flags) < 2**53), flags, 0).astype(np.int64)
    found = replace(
        product,
        flux_column=layout.names[where.flux] if where.named else f"column {where.flux + 1}",
        processing="; ".join(note for note in notes if note),
    )
    return Observation(found, time, flux, error, quality, *centroids)


def _numbers(layout: Layout, wanted: Sequence[int]) -> tuple[list[Floats], list[str]]:
    """The wanted columns as float64, and a note where lines had to be left out."""
    # five times as fast where every cell is a plain number; else the lines are taken apart one by one
    with contextlib.suppress(ValueError):
        if layout.lines:
            plain = np.loadtxt(layout.lines, delimiter=layout.separator, usecols=wanted, comments=None, ndmin=2)
            return list(plain.T.copy()), []
    rows: list[list[float]] = []
    broken, first_broken = 0, ""
    separator, last = layout.separator, max(wanted) + 1
    for line in layout.lines:
        parts = line.split(separator, last)
        try:
            rows.append([float(parts[position]) for position in wanted])
            continue
        except (ValueError, IndexError):  # an empty or quoted cell, or a broken line
            cells = cells_of(line, separator)
        row = [as_number(cells[position]) if position < len(cells) else None for position in wanted]
        if None in row:
            broken += 1
            first_broken = first_broken or line[:40]
        else:
            rows.append(row)  # type: ignore[arg-type]  # no None in it
    if not rows:
        raise UnusableData("it has a header and no line of numbers" if layout.names else "it has no line of numbers")
    if broken > BROKEN_SHARE * (len(rows) + broken):
        raise UnusableData(f"{broken} of {len(rows) + broken} lines are not numbers, the first is {first_broken!r}")
    notes = [f"{broken} broken line{'s' if broken > 1 else ''} left out"] if broken else []
    return [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)], notes


def _one_star(layout: Layout, position: int) -> None:
    stars = {cells[position] for line in layout.lines if len(cells := cells_of(line, layout.separator)) > position}
    if len(stars) > 1:
        raise UnusableData(f"it holds {len(stars)} stars: write one file for each")


def _system(time: Floats) -> tuple[str, float] | None:
    """The time system and the days to add for BTJD, by the size of the numbers; None where none fits."""
    finite = time[np.isfinite(time)]
    if finite.size == 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    for name, least, most, shift in (
        ("BJD", 2400000.0, 2500000.0, -2457000.0),
        ("MJD", 40000.0, 100000.0, -56999.5),
        ("BTJD", 1300.0, 10000.0, 0.0),  # TESS began at 1325; K2's BKJD (1940-3300) looks the same
        ("BKJD", 100.0, 1300.0, -2167.0),
    ):
        # only the middle may decide a boundary: Kepler's BKJD ends at 1591
        if least <= float(np.median(finite)) < most and low > least - 400 and high < most + 400:
            return name, shift
    return None


def to_btjd(time: Floats, name: str) -> tuple[Floats, str]:
    """Times in BTJD, and what was assumed.

    Raises
    ------
    UnusableData
        If the numbers fit no system: phases, days since the start, or seconds.
    """
    if not np.isfinite(time).any():
        raise UnusableData("no time in it is a number")
    found = _system(time)
    if found is None:
        finite = time[np.isfinite(time)]
        raise UnusableData(
            f"its times run from {finite.min():.6g} to {finite.max():.6g}: neither BJD, BTJD, BKJD nor MJD; "
            "folded or relative times cannot be hunted"
        )
    system, shift = found
    if system in ("BTJD", "BKJD") and ("bkjd" in name or "2454833" in name):
        system, shift = "BKJD", -2167.0
    elif system == "BKJD" and ("btjd" in name or "tbjd" in name or "2457000" in name):
        raise UnusableData(f"its column {name} holds times before TESS began: these are no BTJD")
    return (time + shift if shift else time), f"time read as {system}"


def to_relative(flux: Floats, error: Floats, name: str) -> tuple[Floats, Floats, list[str]]:
    """Flux around a positive level, with its errors in the same unit, and what was assumed.

    Flux around 0 is a deviation: in ppm or ppt where the column says so, else by the scatter of neighbours (below
    0.03 a fraction, below 30 ppt, above ppm).
    """
    good = flux[np.isfinite(flux)]
    notes: list[str] = []
    if good.size < 2:
        return flux, error, notes
    steps = np.diff(good)
    scatter = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2)
    centred = abs(float(np.median(good))) < 0.5 * scatter or float(np.mean(good <= 0)) > 0.05
    scale = next((factor for unit, factor in (("ppm", 1e-6), ("ppt", 1e-3)) if name.endswith(unit)), None)
    if centred:
        if scale is None:
            if scatter > LARGEST_PPM or scatter == 0:
                raise UnusableData(f"its flux lies around 0 with a scatter of {scatter:.3g}: no unit fits that")
            scale = 1.0 if scatter < SMALLEST_PPT else 1e-3 if scatter < SMALLEST_PPM else 1e-6
        unit = {1.0: "a fraction", 1e-3: "ppt", 1e-6: "ppm"}[scale]
        notes.append(f"flux around 0 read as deviation in {unit}")
        flux, error, scatter = 1.0 + flux * scale, error * scale, scatter * scale
    given = error[np.isfinite(error)]
    if given.size and scatter > 0 and float(np.median(given)) > 100 * scatter:
        notes.append(f"errors of {float(np.median(given)):.3g} left aside: the flux scatters by {scatter:.3g}")
        error = np.full(error.size, np.nan)
    return flux, error, notes
