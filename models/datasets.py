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
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.inputs import (
    GLOBAL_BINS,
    GLOBAL_WIDTH,
    LOCAL_BINS,
    LOCAL_WIDTH,
    SCALARS,
    Rows,
    box_means,
    correlated_noise,
    join,
    measure,
    normalise,
    rebin,
)

REASONS = ("planet", "eclipsing_binary", "variable", "junk")  # as models.resnet1d.REASONS, which needs torch
PLANETS = ("PC", "KP", "CP")
REASON_OF = {"PC": 0, "KP": 0, "CP": 0, "EB": 1, "V": 2, "J": 3, "IS": 3}  # FP, FA, O and the unknown: -1
LABELS = frozenset((*REASON_OF, "FP", "FA", "O"))
SPLITS = ("test", "calibration", "validation", "train")
SHARES = (0.15, 0.15, 0.10, 0.60)
LICENCES = {
    "astronet_triage": "AstroNet-Triage views, github.com/yuliang419/Astronet-Triage, GPL-3 (arXiv:1904.02726)",
    "astronet_vetting": "AstroNet-Vetting labels, github.com/yuliang419/Astronet-Vetting, GPL-3 (arXiv:1904.02726)",
    "nigraha": "Nigraha views and scalars, github.com/ExoplanetML/Nigraha, MIT (arXiv:2101.09227)",
}


class ViewsRefused(ValueError):
    """A file of views that cannot be used; the message is one line and says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """n rows with what is known of them."""

    rows: Rows
    planet: NDArray[np.bool_]  # (n,)
    reason: NDArray[np.int64]  # (n,) index into REASONS, -1 where the label does not say
    tic: NDArray[np.int64]  # (n,) ids exceed 2**31
    place: NDArray[np.int64]  # (n,) row in the file it came from
    source: NDArray[np.str_]  # (n,)
    disposition: NDArray[np.str_]  # (n,) as published
    period: NDArray[np.float64]  # (n,) days

    def __len__(self) -> int:
        return len(self.tic)

    def take(self, index: NDArray) -> "Labelled":
        """The rows of ``index``."""
        rest = (getattr(self, item.name)[index] for item in fields(self) if item.name != "rows")
        return Labelled(self.rows.take(index), *rest)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled rows with the group, the split and the weight of each, and an id that is the hash of it all."""

    labelled: Labelled
    group: NDArray[np.int64]  # (n,) smallest TIC among the stars and neighbours that belong together
    split: NDArray[np.str_]  # (n,) one of SPLITS
    weight: NDArray[np.float64]  # (n,) 1 over the rows of this star and label
    id: str
    notes: dict[str, int]  # what was dropped, by reason

    def __len__(self) -> int:
        return len(self.labelled)

    def part(self, *splits: str) -> NDArray[np.int64]:
        """Indices of the rows in any of ``splits``."""
        return np.flatnonzero(np.isin(self.split, splits))


def read_views(path: Path, stars: dict[int, dict[str, float]] | None = None) -> tuple[Labelled, dict[str, int]]:
    """Read one file laid out as the public views, AstroNet's or Nigraha's, recognised by its columns.

    Parameters
    ----------
    path : an npz without pickled objects
    stars : Tmag, radius and temperature by TIC, where known

    Raises
    ------
    ViewsRefused
        Missing columns, wrong lengths, pickled objects, unknown labels, or a file that is no npz.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, KeyError, EOFError) as error:
        raise ViewsRefused(f"{path}: not an npz of plain arrays ({error})") from error
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
    strange = sorted(set(columns["Disposition"].tolist()) - LABELS)
    if strange:
        raise ViewsRefused(f"{path}: unknown labels {', '.join(map(str, strange))}")
    return _nigraha(columns, stars or {}) if nigraha else _astronet(columns, stars or {})


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


def _of_stars(tic: NDArray, stars: dict[int, dict[str, float]], name: str) -> NDArray[np.float64]:
    return np.array([stars.get(int(t), {}).get(name, np.nan) for t in tic], dtype=np.float64)


def _reasons(disposition: NDArray) -> NDArray[np.int64]:
    return np.array([REASON_OF.get(str(d), -1) for d in disposition], dtype=np.int64)


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
            **{name: _of_stars(tic, stars, name) for name in ("tmag", "radius", "teff")},
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
    scalars = _scalars(
        len(tic),
        {
            "log10_period": _log10(period),
            "log10_depth": np.clip(_log10(depth), -5, 0),
            "duration_over_period": columns["Duration"] / 24 / period,  # hours
            "log10_snr": _log10(columns["snr"]),
            "tmag": np.where(np.isfinite(tmag), tmag, _of_stars(tic, stars, "tmag")),
            # the radii and temperatures of this set are standardised with unknown constants: taken from the other
            **{name: _of_stars(tic, stars, name) for name in ("radius", "teff")},
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
        _reasons(disposition),
        tic,
        np.arange(len(tic)),
        np.full(len(tic), source, dtype="U16"),
        disposition,
        period,
    )
    return everything.take(np.flatnonzero(good)), {f"{source}: a view is NaN throughout": int((~good).sum())}


def join_labelled(parts: Iterable[Labelled]) -> Labelled:
    """All rows of all parts, in order."""
    parts = list(parts)
    rest = (np.concatenate([getattr(p, item.name) for p in parts]) for item in fields(Labelled) if item.name != "rows")
    return Labelled(join([p.rows for p in parts]), *rest)


def read_stars(path: Path) -> tuple[dict[int, dict[str, float]], dict[tuple[int, int], dict[str, str]]]:
    """The list of TCEs: what is known of each star, and every line by (row_id, tic_id); row_id alone repeats."""
    stars: dict[int, dict[str, float]] = {}
    lines: dict[tuple[int, int], dict[str, str]] = {}
    with gzip.open(path, "rt", newline="") as text:
        for line in csv.DictReader(text):
            tic = int(line["tic_id"])
            lines[int(line["row_id"]), tic] = line
            stars[tic] = {
                name: float(line[column])
                for name, column in (
                    ("tmag", "Tmag"),
                    ("radius", "star_rad"),
                    ("teff", "teff"),
                    ("ra", "RA"),
                    ("dec", "Dec"),
                )
                if line[column]
            }
    return stars, lines


def groups(tic: NDArray, period: NDArray, stars: dict[int, dict[str, float]]) -> NDArray[np.int64]:
    """Smallest TIC of the connected component of each row.

    Two stars are joined when they lie within 0.1 degrees and their periods agree within 3e-4, or one is twice the
    other: the same eclipse seen in blended neighbours.
    """
    parent = {int(t): int(t) for t in tic}

    def root(t: int) -> int:
        while parent[t] != t:
            parent[t] = parent[parent[t]]
            t = parent[t]
        return t

    ra, dec = _of_stars(tic, stars, "ra"), _of_stars(tic, stars, "dec")
    placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & (period > 0))
    placed = placed[np.argsort(dec[placed], kind="stable")]
    ends = np.searchsorted(dec[placed], dec[placed] + 0.1, side="right")
    for first, one in enumerate(placed):
        near = placed[first + 1 : ends[first]]
        apart = np.hypot((ra[near] - ra[one] + 180) % 360 - 180, 0) * np.cos(np.deg2rad(dec[one]))
        near = near[np.hypot(apart, dec[near] - dec[one]) < 0.1]
        ratio = period[near] / period[one]
        same = np.minimum.reduce([np.abs(ratio / m - 1) for m in (0.5, 1.0, 2.0)]) < 3e-4
        for other in near[same]:
            a, b = root(int(tic[one])), root(int(tic[other]))
            parent[max(a, b)] = min(a, b)
    return np.array([root(int(t)) for t in tic], dtype=np.int64)


def split_of(group: int, salt: str = "transit-hunter") -> str:
    """The split of a group, from a hash of its smallest TIC: adding data never moves a star."""
    share = int.from_bytes(hashlib.sha256(f"{salt} {group}".encode()).digest()[:8], "big") / 2**64
    edges = np.cumsum(SHARES)
    return SPLITS[min(int(np.searchsorted(edges, share, side="right")), len(SPLITS) - 1)]


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
    stars: dict[int, dict[str, float]] = {}
    lines: dict[tuple[int, int], dict[str, str]] = {}
    if (folder / "astronet_tces.csv.gz").exists():
        stars, lines = read_stars(folder / "astronet_tces.csv.gz")
    parts: list[Labelled] = []
    notes: dict[str, int] = {}
    triage = folder / "astronet_triage_views.npz"
    if triage.exists():
        part, dropped = read_views(triage, stars)
        part = _relabelled(part, triage, folder / "astronet_vetting_views.npz", lines)
        parts.append(part)
        notes |= dropped
    if (folder / "nigraha_views.npz").exists():
        part, dropped = read_views(folder / "nigraha_views.npz", stars)
        parts.append(part)
        notes |= dropped
    if not parts:
        raise ViewsRefused(f"{folder}: neither astronet_triage_views.npz nor nigraha_views.npz is here")
    return assemble(join_labelled(parts), stars, held_out, notes)


def _relabelled(part: Labelled, triage: Path, vetting: Path, lines: dict[tuple[int, int], dict[str, str]]) -> Labelled:
    """Give triage rows the label of vetting where it has them, and junk its kind from the list of TCEs."""
    with np.load(triage, allow_pickle=False) as columns:
        keys = list(zip(columns["row_id"][part.place].tolist(), part.tic.tolist(), strict=True))
    disposition = part.disposition.copy()
    if vetting.exists():
        with np.load(vetting, allow_pickle=False) as columns:
            pairs = zip(columns["row_id"].tolist(), columns["tic_id"].tolist(), strict=True)
            later = dict(zip(pairs, columns["Disposition"].tolist(), strict=True))
        disposition = np.array([later.get(key, now) for key, now in zip(keys, disposition, strict=True)], dtype="U4")
    kinds = [lines.get(key, {}).get("Disposition", "") for key in keys]
    junk = disposition == "J"
    for kind in ("V", "IS"):
        disposition[junk & (np.array(kinds) == kind)] = kind
    return Labelled(
        part.rows,
        np.isin(disposition, PLANETS),
        _reasons(disposition),
        part.tic,
        part.place,
        part.source,
        disposition,
        part.period,
    )


def assemble(labelled: Labelled, stars, held_out: Iterable[int], notes: dict[str, int]) -> Dataset:
    """Drop copies, group, split, weigh, and take the hash of the result."""
    seen: set[bytes] = set()
    keep = []
    for index in range(len(labelled)):
        views = labelled.rows.local_flux[index].tobytes() + labelled.rows.global_flux[index].tobytes()
        digest = hashlib.sha256(views).digest()
        if digest not in seen:
            seen.add(digest)
            keep.append(index)
    notes = notes | {"exact copies of another row": len(labelled) - len(keep)}
    labelled = labelled.take(np.array(keep, dtype=np.int64))
    group = groups(labelled.tic, labelled.period, stars)
    kept_apart = set(group[np.isin(labelled.tic, np.array(sorted(held_out), dtype=np.int64))].tolist())
    split = np.array(["test" if int(g) in kept_apart else split_of(int(g)) for g in group])
    _, inverse, counts = np.unique(
        np.stack([labelled.tic, labelled.reason], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    weight = 1.0 / counts[inverse.ravel()]
    dataset = Dataset(labelled, group, split, weight, "", notes)
    return Dataset(labelled, group, split, weight, digest_of(dataset), notes)


def digest_of(dataset: Dataset) -> str:
    """sha256 over every array and the names of the columns: the same id means the same data and the same split."""
    total = hashlib.sha256(json.dumps([SCALARS, REASONS, SPLITS, SHARES]).encode())
    for item in fields(Rows):
        total.update(np.ascontiguousarray(getattr(dataset.labelled.rows, item.name)).tobytes())
    for array in (
        dataset.labelled.planet,
        dataset.labelled.reason,
        dataset.labelled.tic,
        dataset.group,
        dataset.weight,
    ):
        total.update(np.ascontiguousarray(array).tobytes())
    total.update("\n".join(dataset.split.tolist()).encode())
    return total.hexdigest()


def shows_its_dip(rows: Rows) -> NDArray[np.bool_]:
    """Whether the local view falls by 0.4 of its depth in the middle half duration, (n,).

    Nigraha labels a star and folds each of its sectors on one ephemeris: one planet row in twelve shows no transit,
    and a network that learns those calls empty views planets (measured: noise scored 0.83 in the median).
    """
    return measure(rows)[0][:, 0] < -0.4


def without_any_dip(labelled: Labelled, count: int, rng: np.random.Generator) -> Labelled:
    """SIMULATED junk: the scalars of ``count`` rows drawn from all classes, with views of nothing but noise.

    A signal whose views are empty is no planet, whatever its period, depth and signal-to-noise say.
    """
    part = labelled.take(rng.choice(len(labelled), size=count, replace=count > len(labelled)))
    shape = part.rows.local_flux.shape
    present = np.ones(shape, dtype=np.float32)
    part_of = {
        f"{view}_flux": correlated_noise(shape, rng) * np.float32(scatter)
        for view, scatter in (("local", 1.0), ("odd", 1.41), ("even", 1.41))
    }
    rows = Rows(
        global_flux=correlated_noise(part.rows.global_flux.shape, rng),
        global_filled=np.ones_like(part.rows.global_flux),
        local_filled=present,
        odd_filled=present.copy(),
        even_filled=present.copy(),
        scalars=part.rows.scalars,
        **part_of,
    )
    return Labelled(
        normalise(rows),
        np.zeros(count, dtype=bool),
        np.full(count, REASONS.index("junk"), dtype=np.int64),
        part.tic,
        part.place,
        np.full(count, "simulated", dtype="U16"),
        np.full(count, "J", dtype="U4"),
        part.period,
    )


def folded_at_half(labelled: Labelled) -> Labelled:
    """Eclipsing binaries as a search finds them at half their period: odd and even transits are the two eclipses.

    Made from binaries whose global view shows a clear second eclipse opposite the first. They keep the star (and so
    its group) and count as eclipsing binaries; none is a planet.
    """
    rows = labelled.rows
    relative = rows.scalars[:, SCALARS.index("duration_over_period")]
    flux = rows.global_flux
    opposite = np.roll(flux, GLOBAL_BINS // 2, axis=1)
    width = np.maximum(1, np.rint(np.nan_to_num(relative, nan=0.03) * GLOBAL_BINS)).astype(np.int64)
    depth = -box_means(opposite, width)[:, GLOBAL_BINS // 2]
    sigma = measure(rows)[0][:, 4]
    chosen = np.flatnonzero(
        (labelled.reason == 1) & (depth > 0.1) & (sigma > 0.6) & (relative > 0.012) & (relative < 0.12)
    )
    if not chosen.size:
        return labelled.take(chosen)
    part = labelled.take(chosen)
    flux, relative = part.rows.global_flux, relative[chosen]
    # phase of the shorter period runs over half of the longer one
    place = np.linspace(-0.25, 0.25, GLOBAL_BINS) * (GLOBAL_BINS - 1) + (GLOBAL_BINS - 1) / 2
    first = np.stack([np.interp(place, np.arange(GLOBAL_BINS), row) for row in flux])
    swapped = np.roll(flux, GLOBAL_BINS // 2, axis=1)
    second = np.stack([np.interp(place, np.arange(GLOBAL_BINS), row) for row in swapped])
    near = np.linspace(-2, 2, LOCAL_BINS)[None] * relative[:, None] * (GLOBAL_BINS - 1) + (GLOBAL_BINS - 1) / 2
    even = np.stack([np.interp(where, np.arange(GLOBAL_BINS), row) for where, row in zip(near, swapped, strict=True)])
    odd = np.stack([np.interp(where, np.arange(GLOBAL_BINS), row) for where, row in zip(near, flux, strict=True)])
    ones = np.ones_like(part.rows.local_flux)
    scalars = part.rows.scalars.copy()
    scalars[:, SCALARS.index("log10_period")] -= np.log10(2)
    scalars[:, SCALARS.index("duration_over_period")] *= 2
    shallower = np.clip((1 + depth[chosen]) / 2, 0.3, 1)
    scalars[:, SCALARS.index("log10_depth")] += np.log10(shallower)
    new = Rows(
        global_flux=((first + second) / 2).astype(np.float32),
        global_filled=np.ones_like(part.rows.global_flux),
        local_flux=((odd + even) / 2).astype(np.float32),
        local_filled=ones,
        odd_flux=odd.astype(np.float32),
        odd_filled=ones.copy(),
        even_flux=even.astype(np.float32),
        even_filled=ones.copy(),
        scalars=scalars,
    )
    return Labelled(
        normalise(new),
        part.planet,
        part.reason,
        part.tic,
        part.place,
        np.full(len(part), "folded_at_half", dtype="U16"),
        part.disposition,
        part.period / 2,
    )
