"""Groups of stars that belong together, the split of each, the weight of each row, and the id of it all."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from models.datasets.labelled import REASONS, Dataset, Labelled
from models.inputs import SCALARS, Rows

SPLITS = ("test", "calibration", "validation", "train")
SHARES = (0.15, 0.15, 0.10, 0.60)


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


def of_stars(tic: NDArray, stars: dict[int, dict[str, float]], name: str) -> NDArray[np.float64]:
    """One number of each star, NaN where it is unknown."""
    return np.array([stars.get(int(t), {}).get(name, np.nan) for t in tic], dtype=np.float64)
