"""The public labelled views of real TESS signals, as rows that may be trained and judged on.

Three sets are read where a user has them (they are never shipped): AstroNet-Triage and AstroNet-Vetting (Yu et al.
2019, arXiv:1904.02726; repositories under GPL-3) and Nigraha (Rao et al. 2021, arXiv:2101.09227; MIT). What was found
in these files and is handled here:

- stars, exact copies of views, and the same eclipse seen in blended neighbours lie on both sides of the published
  splits: rows are split by connected groups of star and neighbour, over all sets;
- Nigraha's views run from +1 to -1 and repeat one label for many sectors: rescaled, and weighted per star;
- Nigraha's ``odd_even_view`` is no odd and even: its first half is the view half a period away (its own
  preprocessing folds at T0 - P/2), so odd and even views are made from DepthOdd and DepthEven;
- AstroNet-Vetting's secondary view is divided by its own minimum and cannot be put in units of the primary:
  the secondary view is cut out of the global view instead (``inputs.secondary_views``);
- its Transit_Depth and Tmag are standardised: both come from triage and from the list of TCEs.
"""

import csv
import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import (
    LABELS,
    LICENCES,
    PLANETS,
    Dataset,
    Labelled,
    ViewsRefused,
    join_labelled,
    reasons_of,
)
from models.datasets.records import first_features, read_columns
from models.datasets.snapshots import Snapshot, identity, pack
from models.datasets.splits import assemble, of_stars
from models.inputs import (
    GLOBAL_BINS,
    GLOBAL_WIDTH,
    LOCAL_BINS,
    LOCAL_WIDTH,
    SCALARS,
    Rows,
    normalise,
    rebin,
)
from models.registry import sha256_of

SUN_LOGG = 4.438  # log10 cm/s2
# Nigraha's stellar values are standardised. Offset and scale follow from the stars it shares with the list of TCEs:
# logg agrees to 7 digits, temperatures to 175 K and radii to 5 % (an older release of the same catalogue).
NIGRAHA_STARS = {"teff": (6104.8, 2777.5), "radius": (1.4272, 0.83650), "logg": (4.19037, 0.398806)}


def read_views(
    path: Path,
    stars: dict[int, dict[str, float]] | None = None,
    lines: dict[tuple[int, int], dict[str, str]] | None = None,
) -> tuple[Labelled, dict[str, int]]:
    """Read one file laid out as the public views, AstroNet's or Nigraha's, recognised by its columns.

    Parameters
    ----------
    path : an npz without pickled objects
    stars : Tmag, radius and temperature by TIC, where known
    lines : the list of TCEs by (row_id, tic_id), for the depths that a file holds only standardised

    Raises
    ------
    ViewsRefused
        Missing columns, wrong lengths, pickled objects, unknown labels, or a file that is no npz.
    """
    return views_of(read_npz(path), path, stars, lines)


def read_npz(path: Path) -> dict[str, NDArray]:
    """The arrays of an npz; ViewsRefused if it is none, or holds pickled objects."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, KeyError, EOFError, BadZipFile) as error:
        raise ViewsRefused(f"{path}: not an npz of plain arrays ({error})") from error


def views_of(
    columns: dict[str, NDArray],
    path: Path,
    stars: dict[int, dict[str, float]] | None = None,
    lines: dict[tuple[int, int], dict[str, str]] | None = None,
) -> tuple[Labelled, dict[str, int]]:
    """As ``read_views``, of columns already read; ``path`` names them in what is refused."""
    nigraha = "odd_even_view" in columns or "TIC_ID" in columns
    needed = (
        ("TIC_ID", "T0", "Depth", "DepthOdd", "DepthEven", "snr", "TMag")
        if nigraha
        else ("tic_id", "Transit_Depth", "SN")
    )
    needed = (*needed, "global_view", "local_view", "Disposition", "Period", "Duration")
    lacking = [name for name in needed if name not in columns]
    if lacking:
        raise ViewsRefused(f"{path}: columns {', '.join(lacking)} are missing")
    count = len(columns["Disposition"])
    for name, length in (("global_view", GLOBAL_BINS), ("local_view", 81 if nigraha else LOCAL_BINS)):
        if columns[name].shape != (count, length):
            raise ViewsRefused(f"{path}: {name} has shape {columns[name].shape}, it must be ({count}, {length})")
    _one_number_a_row(path, columns, [name for name in (*needed, "row_id") if name in columns], count)
    strange = sorted(set(columns["Disposition"].tolist()) - LABELS)
    if strange:
        raise ViewsRefused(f"{path}: unknown labels {', '.join(map(str, strange))}")
    if lines and not nigraha and "row_id" in columns:
        columns = columns | {"Transit_Depth": _known_depths(columns, lines)}
    return _nigraha(columns, stars or {}) if nigraha else _astronet(columns, stars or {})


def _one_number_a_row(path: Path, columns: dict[str, NDArray], names: Iterable[str], count: int) -> None:
    """Refuse columns of another length, and text or fractions where numbers belong."""
    for name in names:
        column = columns[name]
        if name in ("global_view", "local_view", "Disposition"):
            wanted = "text" if name == "Disposition" else "numbers"
            if column.dtype.kind not in ("U" if wanted == "text" else "fiu"):
                raise ViewsRefused(f"{path}: {name} must hold {wanted}, not {column.dtype}")
            continue
        if column.shape != (count,):
            raise ViewsRefused(f"{path}: {name} has shape {column.shape}, it must be ({count},)")
        if column.dtype.kind not in ("iu" if name in ("tic_id", "TIC_ID", "row_id") else "fiu"):
            raise ViewsRefused(f"{path}: {name} must hold numbers (ids whole ones), not {column.dtype}")


def _known_depths(columns: dict[str, NDArray], lines: dict[tuple[int, int], dict[str, str]]) -> NDArray[np.float64]:
    """Depths in ppm, from the list where the file's own is not positive."""
    keys = zip(columns["row_id"].tolist(), columns["tic_id"].tolist(), strict=True)
    listed = np.array([float(lines.get(key, {}).get("Transit_Depth") or "nan") for key in keys])
    own = columns["Transit_Depth"].astype(np.float64)
    return np.where(own > 0, own, listed)


def _scalars(count: int, known: dict[str, NDArray]) -> NDArray[np.float64]:
    table = np.full((count, len(SCALARS)), np.nan)
    for name, values in known.items():
        table[:, SCALARS.index(name)] = values
    table[~np.isfinite(table)] = np.nan
    return table


def _log10(values: NDArray) -> NDArray[np.float64]:
    """log10 where positive, else unknown."""
    values = np.asarray(values, dtype=np.float64)
    return np.log10(np.where(values > 0, values, np.nan))


def _density(radius: NDArray, mass: NDArray, logg: NDArray) -> NDArray[np.float64]:
    """Of the star, in units of the Sun's: from its mass, else from its surface gravity; NaN where unknown."""
    radius = np.where(radius > 0, radius, np.nan)
    by_mass = np.where(mass > 0, mass, np.nan) / radius**3
    return np.where(np.isfinite(by_mass), by_mass, 10 ** (logg - SUN_LOGG) / radius)


def duration_ratio(duration: NDArray, period: NDArray, depth: NDArray, density: NDArray) -> NDArray[np.float64]:
    """Duration over that of a central transit on a circular orbit, as the hunt's own test of the duration has it.

    Parameters
    ----------
    duration, period : (n,) days
    depth : (n,) fraction
    density : (n,) of the star, solar units

    Returns
    -------
    (n,) NaN where unknown, and where such an orbit lies inside the star
    """
    with np.errstate(invalid="ignore"):
        orbit = 4.2083 * np.cbrt(density) * np.cbrt(period) ** 2  # a / R*
        sine = (1 + np.sqrt(np.clip(depth, 0, 1))) / orbit
        return duration / (period / np.pi * np.arcsin(np.where(sine < 1, sine, np.nan)))


def _astronet(columns: dict[str, NDArray], stars: dict[int, dict[str, float]]) -> tuple[Labelled, dict[str, int]]:
    tic = columns["tic_id"].astype(np.int64)
    period = columns["Period"].astype(np.float64)
    depth_ppm = columns["Transit_Depth"].astype(np.float64)
    scalars = _scalars(
        len(tic),
        {
            "log10_period": _log10(period),
            "log10_depth": np.clip(_log10(depth_ppm * 1e-6), -5, 0),  # a few fits ran to 300 times the star
            "duration_over_period": columns["Duration"] / period,  # days in the npz
            "log10_snr": _log10(columns["SN"]),
            **{name: of_stars(tic, stars, name) for name in ("tmag", "radius", "teff")},
            "duration_ratio": duration_ratio(
                columns["Duration"].astype(np.float64), period, depth_ppm * 1e-6, of_stars(tic, stars, "density")
            ),
        },
    )
    whole, close = columns["global_view"].astype(np.float32), columns["local_view"].astype(np.float32)
    good = np.isfinite(whole).all(axis=1) & np.isfinite(close).all(axis=1)
    unknown = np.full(len(tic), np.nan)  # this set has no odd and even views
    rows = _with_parities(np.nan_to_num(whole), np.nan_to_num(close), scalars, unknown, unknown)
    return _labelled(rows, columns["Disposition"], tic, period, "astronet", good)


def _nigraha(columns: dict[str, NDArray], stars: dict[int, dict[str, float]]) -> tuple[Labelled, dict[str, int]]:
    tic = columns["TIC_ID"].astype(np.int64)
    period = columns["Period"].astype(np.float64)
    depth = 1 - columns["Depth"].astype(np.float64)  # Depth is the flux at the bottom
    tmag = columns["TMag"].astype(np.float64)
    star = {
        name: NIGRAHA_STARS[name][0] + NIGRAHA_STARS[name][1] * columns[column].astype(np.float64)
        for name, column in (("teff", "Teff"), ("radius", "Radius"), ("logg", "logg"))
        if column in columns
    }
    nowhere = np.full(len(tic), np.nan)
    density = _density(star.get("radius", nowhere), nowhere, star.get("logg", nowhere))
    scalars = _scalars(
        len(tic),
        {
            "log10_period": _log10(period),
            "log10_depth": np.clip(_log10(depth), -5, 0),
            "duration_over_period": columns["Duration"] / 24 / period,  # hours
            "log10_snr": _log10(columns["snr"]),
            "tmag": np.where(np.isfinite(tmag), tmag, of_stars(tic, stars, "tmag")),
            **{
                name: np.where(star.get(name, nowhere) > 0, star.get(name, nowhere), np.nan)
                for name in ("radius", "teff")
            },
            "duration_ratio": duration_ratio(columns["Duration"].astype(np.float64) / 24, period, depth, density),
        },
    )
    views, good = {}, np.ones(len(tic), dtype=bool)
    for name, bins, width in (("global", GLOBAL_BINS, GLOBAL_WIDTH), ("local", LOCAL_BINS, LOCAL_WIDTH)):
        flux = (columns[f"{name}_view"].astype(np.float32) - 1) / 2  # +1..-1 becomes 0..-1
        filled = np.isfinite(flux)
        good &= filled.any(axis=1)
        views[name] = rebin(flux, filled, bins, width, wrap=name == "global")
    safe = np.where(depth > 1e-6, depth, np.nan)
    odd, even = ((1 - columns[name].astype(np.float64)) / safe for name in ("DepthOdd", "DepthEven"))
    rows = _with_parities(
        views["global"][0], views["local"][0], scalars, odd, even, views["global"][1], views["local"][1]
    )
    return _labelled(rows, columns["Disposition"], tic, period, "nigraha", good)


def _with_parities(whole, close, scalars, odd, even, whole_filled=None, close_filled=None) -> Rows:
    """Rows whose odd and even views are the local one scaled to the depth of each; training adds their noise."""
    known = np.isfinite(odd) & np.isfinite(even) & (np.abs(odd) < 5) & (np.abs(even) < 5)
    close_filled = np.ones_like(close) if close_filled is None else close_filled
    present = close_filled * known[:, None].astype(np.float32)
    scale = {
        name: np.where(known, value, 0)[:, None].astype(np.float32) for name, value in (("odd", odd), ("even", even))
    }
    return normalise(
        Rows(
            global_flux=whole,
            global_filled=np.ones_like(whole) if whole_filled is None else whole_filled,
            local_flux=close,
            local_filled=close_filled,
            odd_flux=close * scale["odd"],
            odd_filled=present,
            even_flux=close * scale["even"],
            even_filled=present.copy(),
            scalars=scalars,
        )
    )


def _labelled(rows: Rows, disposition, tic, period, source: str, good) -> tuple[Labelled, dict[str, int]]:
    """Keep the good rows and count the others."""
    disposition = disposition.astype("U4")
    everything = Labelled(
        rows,
        np.isin(disposition, PLANETS),
        reasons_of(disposition),
        tic,
        np.arange(len(tic)),
        np.full(len(tic), source, dtype="U16"),
        disposition,
        period,
    )
    return everything.take(np.flatnonzero(good)), {f"{source}: a view is NaN throughout": int((~good).sum())}


def read_stars(path: Path) -> tuple[dict[int, dict[str, float]], dict[tuple[int, int], dict[str, str]]]:
    """The list of TCEs: what is known of each star, and every line by (row_id, tic_id); row_id alone repeats."""
    stars: dict[int, dict[str, float]] = {}
    lines: dict[tuple[int, int], dict[str, str]] = {}
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else open(path, newline="") as text:
        for line in csv.DictReader(text):
            tic = int(line["tic_id"])
            lines[int(line["row_id"]), tic] = line
            stars[tic] = {
                name: float(line[column])
                for name, column in (
                    ("tmag", "Tmag"),
                    ("radius", "star_rad"),
                    ("teff", "teff"),
                    ("mass", "star_mass"),
                    ("logg", "logg"),
                    ("ra", "RA"),
                    ("dec", "Dec"),
                )
                if line.get(column)
            }
            density = float(_density(*(np.array(stars[tic].get(name, np.nan)) for name in ("radius", "mass", "logg"))))
            if np.isfinite(density):
                stars[tic]["density"] = density
    return stars, lines


SETS = {
    "astronet-triage": "astronet_triage_views.npz",
    "astronet-vetting": "astronet_vetting_views.npz",
    "nigraha": "nigraha_views.npz",
}
LIST = "astronet_tces.csv.gz"
VERSION = 1  # raised when the same files would give other rows


def public_dataset(folder: Path, held_out: Iterable[int] = ()) -> Dataset:
    """The three public sets, joined, deduplicated, grouped and split.

    Parameters
    ----------
    folder : holds astronet_triage_views.npz, astronet_vetting_views.npz, nigraha_views.npz, astronet_tces.csv.gz;
        at least one of the view files and, with AstroNet's, the list of TCEs
    held_out : TICs whose groups must lie in the test part, whatever their hash

    Raises
    ------
    ViewsRefused
        If no set is there or one is not as described.
    """
    labelled, stars, notes = public_rows(folder)
    return assemble(labelled, stars, held_out, notes)


def public_rows(folder: Path, which: str = "public") -> tuple[Labelled, dict[int, dict[str, float]], dict[str, int]]:
    """The rows of one public set as published, or of all with the best label of each; stars, and what was dropped.

    Parameters
    ----------
    folder : as ``public_dataset``, or a clone of the sets' repositories, or a folder with several of them
    which : a name from ``SETS``, or "public" for triage with the labels of vetting and the kinds of junk, and Nigraha

    Raises
    ------
    ViewsRefused
        If the set is not there or not as described.
    """
    folder = Path(folder)
    stars: dict[int, dict[str, float]] = {}
    lines: dict[tuple[int, int], dict[str, str]] = {}
    wanted = [*SETS] if which == "public" else [which]
    files = {name: found for name in wanted if (found := _files_of(folder, name))}
    listed = _list_of(folder) if files else None
    if listed is not None:
        stars, lines = read_stars(listed)
    if which != "public" and which not in files:
        raise ViewsRefused(f"{folder}: neither {SETS[which]} nor its records (TFRecord files of a clone) are here")
    columns = {name: _columns(found, lines) for name, found in files.items()}
    if which != "public":
        part, dropped = views_of(columns[which], files[which][0], stars, lines)
        return part, stars, dropped
    parts: list[Labelled] = []
    notes: dict[str, int] = {}
    for name in ("astronet-triage", "nigraha"):
        if name in columns:
            part, dropped = views_of(columns[name], files[name][0], stars)
            if name == "astronet-triage":
                part = _relabelled(part, columns[name], columns.get("astronet-vetting"), lines)
            parts.append(part)
            notes |= dropped
    if not parts:
        raise ViewsRefused(
            f"{folder}: neither astronet_triage_views.npz nor nigraha_views.npz is here, nor a clone of their "
            "repositories, nor a built data set"
        )
    return join_labelled(parts), stars, notes


def _files_of(folder: Path, which: str) -> list[Path]:
    """The npz of a set, or the TFRecord files of a clone, recognised by the features of their first record.

    Raises
    ------
    ViewsRefused
        If several folders hold records of this set, as old clones do: which are meant has to be said.
    """
    if (folder / SETS[which]).is_file():
        return [folder / SETS[which]]
    found: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        record = path.name.lower().endswith(".tfrecords") or re.fullmatch(r"\w+-\d{5}-of-\d{5}", path.name)
        if not record or not path.is_file():
            continue
        root = path.parent
        while root != folder and root.name in ("train", "test", "validate", "positive", "negative"):
            root = root.parent
        found.setdefault(root, []).append(path)
    kinds: dict[Path, list[Path]] = {}
    for root, paths in found.items():
        features = {name.replace(" ", "_") for name in first_features(paths[0])}
        if "Disposition" not in features:
            continue  # views without labels, to be predicted
        vetting = "secondary_view" in features or "depth_change" in features
        kind = "nigraha" if "TIC_ID" in features else "astronet-vetting" if vetting else "astronet-triage"
        if kind == which:
            kinds[root] = paths
    if len(kinds) > 1:
        shown = ", ".join(str(root.relative_to(folder)) for root in kinds)
        raise ViewsRefused(f"{folder}: records of {which} lie in {shown}: name the folder that is meant")
    return next(iter(kinds.values()), [])


def _list_of(folder: Path) -> Path | None:
    """The list of TCEs beside the views, or anywhere in a clone."""
    if (folder / LIST).exists():
        return folder / LIST
    return min(folder.rglob("tces.csv"), key=lambda path: len(path.parts), default=None)


def _columns(files: Sequence[Path], lines: Mapping[tuple[int, int], Mapping[str, str]]) -> dict[str, NDArray]:
    """The columns of a set from its npz or its records; an S/N that the records lack is taken from the list of TCEs."""
    if files[0].suffix == ".npz":
        return read_npz(files[0])
    columns = {name.replace(" ", "_"): values for name, values in read_columns(files).items()}
    if "SN" not in columns and {"row_id", "tic_id"} <= set(columns):
        keys = zip(columns["row_id"].tolist(), columns["tic_id"].tolist(), strict=True)
        columns["SN"] = np.array([float(lines.get(key, {}).get("SN") or "nan") for key in keys], dtype=np.float32)
    return columns


def public_origin(folder: Path, which: str = "public") -> tuple[list[dict[str, str]], str]:
    """The files that ``public_rows`` reads, each with its sha256, and the licences of their sets."""
    folder = Path(folder)
    files = [path for name in ([*SETS] if which == "public" else [which]) for path in _files_of(folder, name)]
    listed = _list_of(folder)
    files += [] if listed is None else [listed]
    origin = [{"file": str(path.relative_to(folder)), "sha256": sha256_of(path)} for path in files]
    keys = [key.replace("-", "_") for key in ([*SETS] if which == "public" else [which])]
    return origin, "; ".join(LICENCES[key] for key in keys)


def public_snapshot(folder: Path) -> Snapshot:
    """The public sets of a folder as a set that can be joined with built ones, without writing it."""
    labelled, stars, notes = public_rows(folder)
    origin, licence = public_origin(folder)
    about = {"source": "public", "licence": licence, "origin": origin, "settings": {}, "code": str(VERSION)}
    about["dropped"] = notes
    arrays, words = pack(labelled, {})
    return Snapshot(labelled, stars, {}, about | {"id": identity(arrays, words, about)})


def _relabelled(
    part: Labelled,
    triage: Mapping[str, NDArray],
    vetting: Mapping[str, NDArray] | None,
    lines: dict[tuple[int, int], dict[str, str]],
) -> Labelled:
    """Give triage rows the label of vetting where it has them, and junk its kind from the list of TCEs."""
    keys = list(zip(triage["row_id"][part.place].tolist(), part.tic.tolist(), strict=True))
    disposition = part.disposition.copy()
    if vetting is not None:
        pairs = zip(vetting["row_id"].tolist(), vetting["tic_id"].tolist(), strict=True)
        later = dict(zip(pairs, vetting["Disposition"].tolist(), strict=True))
        disposition = np.array([later.get(key, now) for key, now in zip(keys, disposition, strict=True)], dtype="U4")
    kinds = [lines.get(key, {}).get("Disposition", "") for key in keys]
    junk = disposition == "J"
    for kind in ("V", "IS"):
        disposition[junk & (np.array(kinds) == kind)] = kind
    return Labelled(
        part.rows,
        np.isin(disposition, PLANETS),
        reasons_of(disposition),
        part.tic,
        part.place,
        part.source,
        disposition,
        part.period,
    )
