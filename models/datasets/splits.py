"""Groups of stars that belong together, the split of each, the weight of each row, and the id of it all."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import LICENCES, REASONS, Dataset, Labelled
from models.inputs import SCALARS, Rows

SPLITS = ("test", "calibration", "validation", "train")  # the most protected first
SHARES = (0.15, 0.15, 0.10, 0.60)

# the stars on whose light curves the whole hunt is judged: never trained, tuned or calibrated on
JUDGED = (
    *(3836541, 25155310, 29779873, 29928567, 38699825, 53842685, 55525572, 100100827, 117544915, 126890217),
    *(150065151, 200319843, 220429097, 261136679, 270501383, 283722336, 290131778, 340703996, 441420236),
)


COPIES = "exact copies of another row"
ASTRAY = "rows for training only whose star is judged on"
TIED = "rows that would tie two splits together"


def groups(tic: NDArray, period: NDArray, stars: Mapping[int, Mapping[str, float]]) -> NDArray[np.int64]:
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

    ra, dec = of_stars(tic, stars, "ra"), of_stars(tic, stars, "dec")
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


def assemble(
    labelled: Labelled,
    stars: Mapping[int, Mapping[str, float]],
    held_out: Iterable[int],
    notes: dict[str, int],
    settled: Mapping[int, str] = MappingProxyType({}),
    only_train: NDArray[np.bool_] | None = None,
    fresh: NDArray[np.bool_] | None = None,
) -> Dataset:
    """Drop copies, group, split, weigh, and take the hash of the result.

    Parameters
    ----------
    labelled : n rows
    stars : ``ra`` and ``dec`` by TIC, degrees, where known
    held_out : TICs whose groups must lie in the test part, whatever their hash and wherever they were before
    notes : what was dropped before, by reason
    settled : split of each star that has one already: it keeps it, and what would tie two sides together is dropped,
        new stars first, then new rows, then the rows of all sides but the most protected
    only_train : (n,) rows that must judge nothing (simulated, or chosen by what a model said of them): they are
        dropped where their group lies in another split, and a group of nothing else lies in training
    fresh : (n,) rows that were not there when the stars were settled

    Returns
    -------
    Dataset
        No star, group or identical pair of views in two splits.
    """
    seen: set[bytes] = set()
    keep = []
    for index in range(len(labelled)):
        views = labelled.rows.local_flux[index].tobytes() + labelled.rows.global_flux[index].tobytes()
        digest = hashlib.sha256(views).digest()
        if digest not in seen:
            seen.add(digest)
            keep.append(index)
    copies = notes.get(COPIES, 0) + len(labelled) - len(keep)
    notes = notes | {COPIES: copies}
    kept = np.array(keep, dtype=np.int64)
    labelled = labelled.take(kept)
    barred = np.zeros(len(kept), dtype=bool) if only_train is None else only_train[kept]
    apart = frozenset(int(t) for t in held_out)
    new = np.zeros(len(kept), dtype=bool) if fresh is None else fresh[kept]
    while True:
        group = groups(labelled.tic, labelled.period, stars)
        split, tied = _sides(labelled.tic, group, barred, new, apart, settled)
        if not tied.any():
            break
        notes[TIED] = notes.get(TIED, 0) + int(tied.sum())
        labelled, barred, new = labelled.take(np.flatnonzero(~tied)), barred[~tied], new[~tied]
    astray = barred & (split != "train")
    if only_train is not None and not barred.all():
        if astray.any():
            notes[ASTRAY] = notes.get(ASTRAY, 0) + int(astray.sum())
        labelled, group, split = labelled.take(np.flatnonzero(~astray)), group[~astray], split[~astray]
    _, inverse, counts = np.unique(
        np.stack([labelled.tic, labelled.reason], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    weight = 1.0 / counts[inverse.ravel()]
    sources = set(labelled.source.tolist())
    sets = tuple(licence for name, licence in LICENCES.items() if name.partition("_")[0] in sources)
    dataset = Dataset(labelled, group, split, weight, "", notes, sets)
    return replace(dataset, id=digest_of(dataset))


def _sides(
    tic: NDArray,
    group: NDArray,
    barred: NDArray[np.bool_],
    fresh: NDArray[np.bool_],
    apart: frozenset[int],
    settled: Mapping[int, str],
) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """The split of each row, and which rows must go because they tie settled stars of several splits together."""
    split = np.full(len(tic), "", dtype="U16")
    tied = np.zeros(len(tic), dtype=bool)
    order = np.argsort(group, kind="stable")
    alone = not barred.all()  # a set of nothing but such rows has to be split like any other
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else []:
        stars = [int(t) for t in tic[rows]]
        sides = {settled[t] for t in stars if t in settled}
        if apart & set(stars):
            split[rows] = "test"
        elif len(sides) > 1:
            first = min(sides, key=SPLITS.index)
            unknown = np.array([t not in settled for t in stars])
            others = np.array([settled.get(t) != first for t in stars])
            tied[rows] = next(some for some in (unknown, fresh[rows], others) if some.any())
            split[rows] = first
        elif sides:
            split[rows] = sides.pop()
        elif alone and barred[rows].all():
            split[rows] = "train"
        else:
            split[rows] = split_of(int(group[rows[0]]))
    return split, tied


def lacking(dataset: Dataset) -> str | None:
    """Why a data set can't be learnt from, calibrated and judged on; None if it can."""
    for split in ("train", "validation", "calibration"):
        planet = dataset.labelled.planet[dataset.part(split)]
        if not planet.any() or planet.all():
            what = "planets" if not planet.any() else "signals that are no planets"
            return f"its {split} stars hold no {what}: more labelled stars are needed"
    return None


def leaks(dataset: Dataset) -> list[str]:
    """What lies in two splits and must not: stars, groups of neighbours, identical views; a line each, none if none."""
    found = []
    views = [
        hashlib.sha256(local.tobytes() + whole.tobytes()).hexdigest()
        for local, whole in zip(dataset.labelled.rows.local_flux, dataset.labelled.rows.global_flux, strict=True)
    ]
    for what, keys in (("TIC", dataset.labelled.tic), ("group", dataset.group), ("views", np.array(views, dtype=str))):
        _, member = np.unique(keys, return_inverse=True)
        kinds, place = np.unique(dataset.split, return_inverse=True)
        pairs = np.unique(np.stack([member, place], axis=1), axis=0)
        for key in np.flatnonzero(np.bincount(pairs[:, 0], minlength=1) > 1):
            rows = member == key
            sides = ", ".join(kinds[np.unique(place[rows])])
            found.append(f"{what} {keys[np.flatnonzero(rows)[0]]} lies in {sides}")
    return found


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


def of_stars(tic: NDArray, stars: Mapping[int, Mapping[str, float]], name: str) -> NDArray[np.float64]:
    """One number of each star, NaN where it is unknown."""
    return np.array([stars.get(int(t), {}).get(name, np.nan) for t in tic], dtype=np.float64)
