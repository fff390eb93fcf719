"""Stars around a target and images of it, as a person has laid them by: TRILEGAL or Gaia tables, contrast curves."""

import csv
import gzip
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from pipeline.types import SUN_LOGG, Floats, Target
from pipeline.validation import stars
from pipeline.validation.case import ContrastCurve, Population, ValidateSettings

LARGEST_FILE = 200 * 2**20  # bytes of one table
TRILEGAL = ("Mact", "logg", "logTe", "TESS")
GAIA = ("phot_g_mean_mag", "bp_rp")


def tables_key(settings: ValidateSettings, target: Target) -> str:
    """What names the tables of a target: their content. Other tables ask for another result."""
    files = [*_files(settings.population, target), *_files(settings.contrast, target)]
    return " ".join(map(_sha256, files))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:  # reading it will say so
        return str(error)


def field_tables(
    settings: ValidateSettings, target: Target
) -> tuple[Population | None, tuple[ContrastCurve, ...], tuple[str, ...]]:
    """Read the tables of a target, and tell what could not be read.

    A table is one file for all targets, or a folder in which a file's name holds the target's number. Nothing is
    fetched; a file that cannot be read is told of and left out.
    """
    notes: list[str] = []

    def read(path: Path, how: Callable[[Path], object]) -> object | None:
        try:
            return how(path)
        except (OSError, ValueError, EOFError) as error:
            notes.append(f"{path.name} cannot be read: {error}")
            return None

    population: Population | None = None
    for path in _files(settings.population, target)[:1]:
        found = read(path, lambda one: read_population(one, settings.population_area))
        population = found if isinstance(found, Population) else None
    curves = [read(path, read_contrast) for path in _files(settings.contrast, target)]
    if settings.population and population is None and not notes:
        notes.append(f"no table of stars for {target.name} in {settings.population}")
    if settings.contrast and not curves:
        notes.append(f"no contrast curve for {target.name} in {settings.contrast}")
    return population, tuple(curve for curve in curves if isinstance(curve, ContrastCurve)), tuple(notes)


def read_population(path: Path, area: float) -> Population:
    """Read a TRILEGAL table, or a cone of Gaia.

    Parameters
    ----------
    path : Path
        CSV, plain or gzipped. TRILEGAL: columns ``Mact, logg, logTe, TESS``, others may stand beside them. Gaia:
        ``phot_g_mean_mag, bp_rp`` and, where known, ``mass_flame, radius_flame, teff_gspphot``.
    area : float
        Square degrees that it covers.

    Raises
    ------
    ValueError
        If it is neither, or holds no star.

    Notes
    -----
    A row that cannot be read (TRILEGAL ends with a sentence) is dropped and counted. Of Gaia's stars T follows from G
    and colour (Stassun et al. 2019, AJ 158, 138, their equation 1); what Gaia does not know is that of a dwarf of the
    same colour.
    """
    rows = csv.DictReader(io.StringIO(_text(path)), skipinitialspace=True)
    names = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    if set(TRILEGAL) <= set(names):
        values, dropped = _numbers(rows, TRILEGAL)
        mass, gravity, teff, tmag = values[:, 0], values[:, 1], 10 ** values[:, 2], values[:, 3]
        radius = np.sqrt(mass * 10 ** (SUN_LOGG - gravity))
        kind = "TRILEGAL"
    elif set(GAIA) <= set(names):
        values, dropped = _numbers(rows, GAIA, ("mass_flame", "radius_flame", "teff_gspphot"))
        g, colour = values[:, 0], values[:, 1]
        tmag = g - 0.00522555 * colour**3 + 0.0891337 * colour**2 - 0.633923 * colour + 0.0324473
        dwarf = np.interp(colour, COLOURS[:, 0], COLOURS[:, 1])
        mass = np.where(np.isfinite(values[:, 2]), values[:, 2], dwarf)
        radius = np.where(np.isfinite(values[:, 3]), values[:, 3], stars.radius_of(mass))
        teff = np.where(np.isfinite(values[:, 4]), values[:, 4], stars.teff_of(dwarf))
        kind = "Gaia cone"
    else:
        raise ValueError(f"neither {', '.join(TRILEGAL)} nor {', '.join(GAIA)} are among its columns")
    good = (mass > 0) & (radius > 0) & (teff > 0) & np.isfinite(tmag)
    if not good.any():
        raise ValueError("no star in it can be read")
    return Population(
        tmag[good], mass[good], radius[good], teff[good], area, f"{kind}: {path.name}", None,
        dropped + int((~good).sum()),
    )  # fmt: skip


# Gaia BP - RP and mass of dwarfs (Pecaut & Mamajek 2013, table of 2022), rounded
COLOURS = np.array([
    (-0.04, 2.30), (0.25, 1.88), (0.38, 1.59), (0.59, 1.33), (0.71, 1.18), (0.78, 1.08), (0.82, 1.02), (0.85, 0.98),
    (1.00, 0.88), (1.21, 0.78), (1.43, 0.70), (1.64, 0.63), (1.84, 0.57), (2.09, 0.50), (2.27, 0.44), (2.50, 0.37),
    (2.84, 0.23), (3.35, 0.16), (4.00, 0.10),
])  # fmt: skip


def read_contrast(path: Path) -> ContrastCurve:
    """Read a contrast curve: two columns, arcsec and magnitudes, with or without a header.

    Raises
    ------
    ValueError
        If it has fewer than two rows of numbers.
    """
    pairs = []
    for line in _text(path).splitlines():
        parts = [part for part in re.split(r"[,;\s]+", line.strip()) if part]
        try:
            pairs.append((float(parts[0]), float(parts[1])))
        except (IndexError, ValueError):
            continue
    values = np.array(sorted(pair for pair in pairs if np.isfinite(pair).all()))
    if len(values) < 2:
        raise ValueError("it has no two rows of separation and contrast")
    return ContrastCurve(values[:, 0], values[:, 1], "", path.name)


def _files(where: str, target: Target) -> list[Path]:
    """The file itself, or those of a folder whose names hold the target's number."""
    if not where:
        return []
    path = Path(where)
    if not path.is_dir():
        return [path] if path.is_file() else []
    number = re.escape(target.key.partition(" ")[0])
    return sorted(one for one in path.iterdir() if one.is_file() and re.search(rf"(?<!\d){number}(?!\d)", one.name))


def _text(path: Path) -> str:
    """The text of a file, plain or gzipped."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it holds more than {LARGEST_FILE >> 20} MB")
    return data.decode("utf-8-sig", "replace")


def _numbers(
    rows: Iterable[Mapping[str, str | None]], needed: tuple[str, ...], known: tuple[str, ...] = ()
) -> tuple[Floats, int]:
    """The columns of every row that has the needed ones, (n, columns); and how many had not."""
    found: list[list[float]] = []
    dropped = 0
    for row in rows:
        try:
            values = [float(row[name] or "") for name in needed]
        except (TypeError, ValueError):
            dropped += 1
            continue
        if not np.isfinite(values).all():
            dropped += 1
            continue
        found.append(values + [_maybe(row.get(name)) for name in known])
    return np.array(found, dtype=np.float64).reshape(-1, len(needed) + len(known)), dropped


def _maybe(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
