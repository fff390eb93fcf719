"""Built sets on disk: a folder each, named by what it holds, written whole or not at all, and never changed.

::

    <root>/<source>-<first 12 figures of the id>/rows.safetensors   views, scalars, labels, stars, places
    <root>/<source>-<first 12 figures of the id>/card.json          where from, under which licence, how many

The id is the hash of every array, of the words beside them and of all that the card says of their origin: the same id
is the same data, and a card or an array changed afterwards is refused. Groups and splits are not stored but follow
from the stars and their places, so that sets may be joined.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from models.datasets.labelled import LABELS, REASONS, Dataset, Labelled, ViewsRefused, join_labelled
from models.datasets.splits import assemble
from models.inputs import SCALARS, Rows
from models.registry import as_json, sync_folder, write_durably

FORMAT = 1
ROWS, CARD = "rows.safetensors", "card.json"
NUMBERS = ("planet", "reason", "tic", "place", "period")
WORDS = ("source", "disposition")
SIMULATED = ("simulated", "injected")  # signals of these are no real ones
TRAIN_ONLY = (*SIMULATED, "reviews")  # and these were chosen: beside other sets they train, and judge nothing
ABOUT = ("source", "licence", "origin", "settings", "code", "dropped")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A built set: its rows, where their stars stand, what else is known of them, and its card."""

    labelled: Labelled
    stars: dict[int, dict[str, float]]  # ``ra`` and ``dec`` by TIC, degrees, where known
    extra: dict[str, NDArray]  # further columns of numbers or words, (n,) each
    card: dict[str, Any]

    @property
    def id(self) -> str:
        """Hash of the content."""
        return str(self.card["id"])


def pack(labelled: Labelled, extra: Mapping[str, NDArray]) -> tuple[dict[str, NDArray], dict[str, list[str]]]:
    """All columns as arrays of numbers; words become places in sorted lists, which are returned beside them."""
    arrays = {f"rows.{item.name}": getattr(labelled.rows, item.name) for item in fields(Rows)}
    arrays |= {name: getattr(labelled, name) for name in NUMBERS}
    words: dict[str, list[str]] = {}
    texts = {name: getattr(labelled, name) for name in WORDS}
    for name, values in extra.items():
        if np.asarray(values).shape[:1] != (len(labelled),):
            raise ValueError(f"{name} must hold one value for each of {len(labelled)} rows")
        (texts if np.asarray(values).dtype.kind == "U" else arrays)[f"extra.{name}"] = np.asarray(values)
    for name, values in texts.items():
        known, place = np.unique(values, return_inverse=True)
        words[name], arrays[name] = [str(word) for word in known], place.ravel().astype(np.int32)
    return {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}, words


def unpack(arrays: Mapping[str, NDArray], words: Mapping[str, Sequence[str]], where: str) -> tuple[Labelled, dict]:
    """The rows and further columns that ``pack`` was given.

    Raises
    ------
    ViewsRefused
        The columns are not those of this version of the inputs, or differ in length.
    """
    needed = {f"rows.{item.name}" for item in fields(Rows)} | set(NUMBERS) | set(WORDS)
    lacking = sorted(needed - set(arrays)) + sorted(n for n in arrays if n.startswith("rows.") and n not in needed)
    if lacking:
        raise ViewsRefused(f"{where}: was built for other inputs ({', '.join(lacking)}): build it again")
    if len({len(array) for array in arrays.values()}) != 1:
        raise ViewsRefused(f"{where}: its columns differ in length")
    if arrays["rows.scalars"].shape[1] != len(SCALARS):
        raise ViewsRefused(f"{where}: was built for other scalars than {', '.join(SCALARS)}: build it again")
    texts: dict[str, NDArray] = {}
    for name, known in words.items():
        place = arrays[name]
        if place.size and not (place.min() >= 0 and place.max() < len(known)):
            raise ViewsRefused(f"{where}: {name} holds words that are not listed")
        texts[name] = np.array(known, dtype=str)[place] if place.size else np.array([], dtype="U1")
    if strange := sorted(set(texts["disposition"].tolist()) - LABELS):
        raise ViewsRefused(f"{where}: unknown labels {', '.join(strange)}")
    labelled = Labelled(
        rows=Rows(**{item.name: arrays[f"rows.{item.name}"] for item in fields(Rows)}),
        **{name: arrays[name] for name in NUMBERS},
        source=texts["source"].astype("U16"),
        disposition=texts["disposition"].astype("U4"),
    )
    extra = {name.removeprefix("extra."): arrays[name] for name in arrays if name.startswith("extra.")}
    return labelled, extra | {n.removeprefix("extra."): t for n, t in texts.items() if n.startswith("extra.")}


def identity(arrays: Mapping[str, NDArray], words: Mapping[str, Sequence[str]], about: Mapping[str, Any]) -> str:
    """The id: sha256 over every array with its name, type and shape, the words, and what the card says of origin."""
    total = hashlib.sha256(as_json([FORMAT, dict(words), {name: about.get(name) for name in ABOUT}]))
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def write_snapshot(
    root: Path,
    source: str,
    labelled: Labelled,
    *,
    licence: str,
    origin: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    code: str,
    stars: Mapping[int, Mapping[str, float]] | None = None,
    extra: Mapping[str, NDArray] | None = None,
    dropped: Mapping[str, int] | None = None,
    held_out: Iterable[int] = (),
) -> Path:
    """Write a set; one that is there already, to the last bit, is found and not written again.

    Parameters
    ----------
    root : folder of all sets, made where missing
    source : what built it: a word
    labelled : n rows, at least one
    licence : of the data, for the cards of the models trained on it
    origin : what it was made from: files with their sha256, or a seed
    settings : of the builder
    code : version of the builder and of the phases it used
    stars : ``ra`` and ``dec`` by TIC, degrees, where known: neighbours are kept in one split
    extra : further columns, (n,) each
    dropped : rows that were left out, by reason
    held_out : TICs that may only be judged on; the card counts its rows by label and split with them

    Returns
    -------
    Path
        Of the folder.

    Raises
    ------
    ViewsRefused
        There is no row, or a view or label is not as it must be.
    """
    if not len(labelled):
        raise ViewsRefused(f"no row is left for a set of {source}" + _because(dropped or {}))
    for item in fields(Rows):
        if item.name != "scalars" and not np.isfinite(getattr(labelled.rows, item.name)).all():
            raise ViewsRefused(f"{source}: {item.name} holds values that are not finite")
    if source in TRAIN_ONLY:  # joined with others, their rows are known by it
        labelled = replace(labelled, source=np.full(len(labelled), source, dtype="U16"))
    known = stars or {}
    places = {
        name: np.array([known.get(int(t), {}).get(name, np.nan) for t in labelled.tic], dtype=np.float64)
        for name in ("ra", "dec")
    }
    arrays, words = pack(labelled, {**(extra or {}), **places})
    about = {
        "source": source,
        "licence": licence,
        "origin": [dict(item) for item in origin],
        "settings": dict(settings),
        "code": code,
        "dropped": dict(dropped or {}),
    }
    data = save_arrays(arrays)
    name = identity(arrays, words, about)
    dataset = assemble(labelled, known, held_out, {})
    card = about | {
        "format": FORMAT,
        "id": name,
        "words": words,
        "rows": len(labelled),
        "stars": len(np.unique(labelled.tic)),
        "labels": dict(sorted(Counter(labelled.disposition.tolist()).items())),
        "splits": {
            split: dict(sorted(Counter(dataset.labelled.disposition[dataset.split == split].tolist()).items()))
            for split in sorted(set(dataset.split.tolist()))
        },
        "groups": len(np.unique(dataset.group)),
        "synthetic": source in SIMULATED,
        "reasons": list(REASONS),
        "scalars": list(SCALARS),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    folder = Path(root) / f"{source}-{name[:12]}"
    if folder.exists():
        read_snapshot(folder)
        return folder
    partial = Path(root) / f".{folder.name}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write_durably(partial / ROWS, data)
        write_durably(partial / CARD, as_json(card))
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_folder(Path(root))
    return folder


def _because(dropped: Mapping[str, int]) -> str:
    told = ", ".join(f"{why}: {count}" for why, count in dropped.items() if count)
    return f" ({told})" if told else ""


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a set, unchecked beyond its form; light.

    Raises
    ------
    ViewsRefused
        There is none, or it is none.
    """
    try:
        card = json.loads((Path(folder) / CARD).read_bytes())
    except (OSError, ValueError) as error:
        raise ViewsRefused(f"{folder}: no data set is here ({CARD}: {error})") from error
    if not isinstance(card, dict) or not {"id", "words", "sha256", *ABOUT} <= set(card):
        raise ViewsRefused(f"{folder}: {CARD} is not the card of a data set")
    if card.get("format") != FORMAT:
        raise ViewsRefused(f"{folder}: has format {card.get('format')}, this version reads {FORMAT}: build it again")
    return card


def read_snapshot(folder: Path) -> Snapshot:
    """Read a set, and check it to the last bit.

    Raises
    ------
    ViewsRefused
        It is no set, was built for other inputs, or is not what was written.
    """
    folder = Path(folder)
    card = read_card(folder)
    try:
        data = (folder / ROWS).read_bytes()
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise ViewsRefused(f"{folder.name}: {ROWS} is not the file that was written (its sha256 differs)")
        arrays = load_arrays(data)
    except (OSError, SafetensorError) as error:
        raise ViewsRefused(f"{folder.name}: {ROWS} cannot be read ({error})") from error
    if identity(arrays, card["words"], card) != card["id"]:
        raise ViewsRefused(f"{folder.name}: {CARD} does not belong to these rows (the id differs): build it again")
    labelled, extra = unpack(arrays, card["words"], folder.name)
    ra, dec = extra.pop("ra"), extra.pop("dec")
    stars = {
        int(t): {"ra": float(x), "dec": float(y)}
        for t, x, y in zip(labelled.tic, ra, dec, strict=True)
        if np.isfinite(x) and np.isfinite(y)
    }
    return Snapshot(labelled, stars, extra, card)


def list_snapshots(root: Path) -> list[tuple[Path, dict[str, Any] | None, str | None]]:
    """Each set of a folder with its card, or with the reason why it has none; unchecked, so light."""
    found: list[tuple[Path, dict[str, Any] | None, str | None]] = []
    for folder in sorted(Path(root).glob("*")) if Path(root).is_dir() else []:
        if folder.is_dir() and not folder.name.startswith("."):
            try:
                found.append((folder, read_card(folder), None))
            except ViewsRefused as error:
                found.append((folder, None, str(error)))
    return found


def join_snapshots(sets: Sequence[Snapshot], held_out: Iterable[int] = ()) -> Dataset:
    """Several sets as one to train on: groups over all of them, each star in the split where an earlier set put it.

    Beside other sets, those of ``TRAIN_ONLY`` train and judge nothing; alone they are split like any other.

    Raises
    ------
    ViewsRefused
        If there is no set.
    """
    if not sets:
        raise ViewsRefused("no data set is named")
    held = frozenset(int(t) for t in held_out)
    stars: dict[int, dict[str, float]] = {}
    settled: dict[int, str] = {}
    dataset: Dataset | None = None
    chosen = [s.card["source"] in TRAIN_ONLY for s in sets]
    ordered = [s for s, only in zip(sets, chosen, strict=True) if not only]
    ordered += [s for s, only in zip(sets, chosen, strict=True) if only]
    for one in ordered:
        stars |= {t: place for t, place in one.stars.items() if t not in stars}
        before = [] if dataset is None else [dataset.labelled]  # what was left out stays out
        rows = join_labelled([*before, one.labelled])
        fresh = np.arange(len(rows)) >= len(rows) - len(one.labelled)
        notes = {} if dataset is None else dict(dataset.notes)
        for why, count in one.card["dropped"].items():
            notes[f"{one.card['source']}: {why}"] = notes.get(f"{one.card['source']}: {why}", 0) + count
        dataset = assemble(rows, stars, held, notes, settled, np.isin(rows.source, TRAIN_ONLY), fresh)
        settled |= {int(t): str(side) for t, side in zip(dataset.labelled.tic, dataset.split, strict=True)}
    assert dataset is not None
    return replace(
        dataset,
        sets=tuple(f"{s.card['source']} {s.id[:12]}: {s.card['licence']}" for s in sets),
        synthetic=all(s.card["source"] in SIMULATED for s in sets),
    )


def open_dataset(paths: Path | Sequence[Path], held_out: Iterable[int] = ()) -> Dataset:
    """What ``--data`` names: built sets, and folders of the public views, joined in this order.

    Raises
    ------
    ViewsRefused
        If one is neither, or is damaged.
    """
    from models.datasets.public import public_dataset, public_snapshot

    named = [Path(paths)] if isinstance(paths, (str, os.PathLike)) else [Path(p) for p in paths]
    if len(named) == 1 and not (named[0] / CARD).exists():
        return public_dataset(named[0], held_out)
    sets = [read_snapshot(path) if (path / CARD).exists() else public_snapshot(path) for path in named]
    return join_snapshots(sets, held_out)
