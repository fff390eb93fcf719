"""What a hunt remembers: every phase result, stored once, found again by what it was made from.

A result is called ``<phase>.<digest>.npz``, the digest made of the phase, its version, its inputs and its
settings: change any of them and the name changes, so a stale result is never read and nothing needs clearing.
A batch is stored phase by phase: its files are written, fsynced and renamed, then the folder is fsynced, then
one transaction records the whole batch. A file without a row is harmless; a row without its file is redone.
"""

import dataclasses
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

import pipeline.contamination
import pipeline.fit.result
import pipeline.pixels.evidence
import pipeline.surroundings
import pipeline.types
import pipeline.validation
from candidates.files import fsync_folder, sha256_of
from hunter.archives.base import Fetched
from hunter.outcomes import Failure, judge
from pipeline.confirm import Confirmation
from state.store import Claim, PhaseRun, State

Item = tuple[int, int]  # number of the target, number of the signal (0: the target as a whole)

# what may be stored and read back; nothing else ever is, so a forged file can build nothing else
NOUNS: dict[str, type] = {
    name: thing
    for name, thing in vars(pipeline.types).items()
    if isinstance(thing, type) and (dataclasses.is_dataclass(thing) or issubclass(thing, StrEnum))
} | {"Fetched": Fetched, "Confirmation": Confirmation}
_FIELD = (
    pipeline.pixels.evidence, pipeline.contamination, pipeline.surroundings, pipeline.fit.result, pipeline.validation,
)  # fmt: skip
NOUNS |= {noun.__name__: noun for module in _FIELD for noun in module.NOUNS}


# the fields of all nouns: where a noun has another shape than it had, what was stored of it is not read any more
SHAPE = hashlib.sha256(
    repr(
        [
            (name, [*getattr(noun, "__dataclass_fields__", ()), *getattr(noun, "__members__", ())])
            for name, noun in sorted(NOUNS.items())
        ]
    ).encode()
).hexdigest()[:16]


WORTH_PACKING = 64  # values; shorter arrays are stored as they are
LONGEST = 2**26  # values that runs may stand for: more than any light curve has
WRITTEN_AT_ONCE = 32  # files written before the first of them is fsynced: the disk takes them together


class Damaged(Exception):
    """A stored result cannot be read back."""


def encode(value: Any) -> bytes:
    """A phase result as npz bytes: its arrays, and a JSON tree of everything else. Same value, same bytes.

    What every array holds comes back bit for bit, but in fewer bytes: one that is there twice is stored once, long runs
    of one value (a cadence, a segment number, what was not measured) as value and length, and numbers of which 24 bits
    tell all as float32. A cleaned light curve takes half the room, and half the time to sum and to put on the disk.
    """
    arrays: dict[str, np.ndarray] = {}
    told: list[tuple[np.dtype, np.ndarray, dict[str, str]]] = []  # the bits of what is long, and where they are stored

    def stored(array: np.ndarray) -> str:
        name = f"a{len(arrays)}"
        arrays[name] = array
        return name

    def packed(array: np.ndarray) -> dict[str, str]:
        if array.ndim != 1 or array.itemsize != 8 or array.size < WORTH_PACKING:
            return {"array": stored(array)}
        bits = np.ascontiguousarray(array).view(np.uint64)
        for kind, earlier, where in told:
            if kind == array.dtype and earlier[-1] == bits[-1] and np.array_equal(earlier, bits):
                return where
        where = {}
        last = np.flatnonzero(np.append(bits[1:] != bits[:-1], True))
        if last.size < array.size // 16:
            where = {"runs": stored(array[last]), "lengths": stored(np.diff(last, prepend=-1))}
        elif array.dtype == np.float64:
            with np.errstate(all="ignore"):
                short = array.astype(np.float32)
            if np.array_equal(short.astype(np.float64).view(np.uint64), bits):
                where = {"short": stored(short)}
        where = where or {"array": stored(array)}
        told.append((array.dtype, bits, where))
        return where

    def tree(thing: Any) -> Any:
        if isinstance(thing, StrEnum):
            return {"enum": type(thing).__name__, "value": str(thing)}
        if isinstance(thing, np.generic):  # before float, which np.float64 is too
            return thing.item()
        if thing is None or isinstance(thing, (bool, int, float, str)):
            return thing
        if isinstance(thing, np.ndarray):
            if thing.dtype.hasobject:
                raise TypeError("an array of objects can't be stored: numpy would pickle it")
            return packed(thing)
        if isinstance(thing, tuple):
            return {"tuple": [tree(part) for part in thing]}
        if isinstance(thing, list):
            return [tree(part) for part in thing]
        if isinstance(thing, dict):
            return {"dict": [[tree(key), tree(part)] for key, part in thing.items()]}
        name = type(thing).__name__
        if NOUNS.get(name) is not type(thing):
            raise TypeError(f"{type(thing).__name__} is not a noun that can be stored")
        return {"noun": name, "fields": {f.name: tree(getattr(thing, f.name)) for f in dataclasses.fields(NOUNS[name])}}

    text = json.dumps(tree(value), separators=(",", ":")).encode()
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.frombuffer(text, dtype=np.uint8), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def decode(data: bytes) -> Any:
    """The value that :func:`encode` was given.

    Raises
    ------
    Damaged
        If the bytes are not such a value.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        text = arrays.pop("tree").tobytes()
        return _grow(json.loads(text), arrays, {})
    except Exception as error:  # bytes that anybody may have put there fail in more ways than can be listed
        raise Damaged(f"a stored result cannot be read: {error}") from error


def _grow(thing: Any, arrays: Mapping[str, np.ndarray], grown: dict[str, np.ndarray]) -> Any:
    if isinstance(thing, list):
        return [_grow(part, arrays, grown) for part in thing]
    if not isinstance(thing, dict):
        return thing
    if "array" in thing:
        return arrays[thing["array"]]
    if "short" in thing or "runs" in thing:
        name = thing.get("short") or thing["runs"]
        if name not in grown:
            grown[name] = _unpacked(thing, arrays)
        return grown[name]
    if "tuple" in thing:
        return tuple(_grow(part, arrays, grown) for part in thing["tuple"])
    if "dict" in thing:
        return {_grow(key, arrays, grown): _grow(part, arrays, grown) for key, part in thing["dict"]}
    if "enum" in thing:
        kind = NOUNS[thing["enum"]]
        if not issubclass(kind, StrEnum):
            raise TypeError(f"{thing['enum']} is no enumeration")
        return kind(thing["value"])
    kind = NOUNS[thing["noun"]]
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{thing['noun']} is no record")
    return kind(**{name: _grow(part, arrays, grown) for name, part in thing["fields"].items()})


def _unpacked(thing: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if "short" in thing:
        return arrays[thing["short"]].astype(np.float64)
    values, lengths = arrays[thing["runs"]], arrays[thing["lengths"]]
    sound = lengths.shape == values.shape and lengths.min() > 0 and lengths.max() <= LONGEST
    if not sound or int(lengths.sum()) > LONGEST:
        raise ValueError("the lengths of its runs are none")
    return np.repeat(values, lengths)


@dataclass(slots=True)
class Kept:
    """A phase result and the name of what it was made from; read from its bytes when first asked for."""

    digest: str
    value: Any = None
    stored: bytes | None = None

    def get(self) -> Any:
        if self.stored is not None:
            self.value, self.stored = decode(self.stored), None
        return self.value


def digest_of(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]


def inputs_of(files: str, decided: str, field: str = "") -> str:
    """What a target is hunted from: a digest of its files, one of the settings that decide its result, its field."""
    return f"{digest_of(files)}:{decided}" + (f":{digest_of(field)}" if field else "")


def files_of(inputs: str) -> str:
    """The part of :func:`inputs_of` that speaks of the files: other settings fetch nothing anew."""
    return inputs.partition(":")[0]


@dataclass(slots=True)
class Memory:
    """The results of one batch of targets, before and behind the database.

    ``failures`` holds the targets that left the chain, and why; ``lost`` those that another worker has taken
    over meanwhile, of which nothing more may be written.
    """

    folder: Path
    state: State
    claims: Sequence[Claim]
    device: str = "cpu"
    now: Callable[[], float] = time.time
    step: Callable[[str], None] = lambda name: None
    watch: Callable[[str, str], None] = lambda phase, target: None
    failures: dict[int, Failure] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    seconds: dict[int, dict[str, float]] = field(default_factory=dict)
    redone: dict[str, int] = field(default_factory=dict)  # phase: results computed, not read
    _rows: dict[tuple[int, str, int], PhaseRun] = field(default_factory=dict)
    _claims: dict[int, Claim] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._claims = {claim.id: claim for claim in self.claims}
        for target, rows in self.state.phase_runs(list(self._claims)).items():
            for row in rows:
                self._rows[target, row.phase, row.item] = row
                self.seconds.setdefault(target, {})
                self.seconds[target][row.phase] = self.seconds[target].get(row.phase, 0.0) + row.seconds

    def each(
        self,
        phase: str,
        version: object,
        jobs: Mapping[Item, Sequence[Kept]],
        work: Callable[..., Any],
        *,
        together: Callable[[list[Item], list[list[Any]]], list[Any]] | None = None,
    ) -> dict[Item, Kept]:
        """Run one phase for all items, or read what it gave before.

        Parameters
        ----------
        phase : str
        version : object
            Everything beside the inputs that decides the numbers: code version and settings.
        jobs : mapping of item to its inputs
            Items whose target has left the chain are passed over.
        work : callable ``(item, *values) -> result``
            Computes one item. What it raises is judged by :mod:`hunter.outcomes`.
        together : callable ``(items, values) -> results``, optional
            Computes all items at once; if it raises, each is tried alone so that the culprit is found.

        Returns
        -------
        mapping of item to result
            Without the items that failed or were lost.
        """
        kept: dict[Item, Kept] = {}
        todo: dict[Item, tuple[str, Sequence[Kept]]] = {}
        for item, inputs in jobs.items():
            if item[0] in self.failures or item[0] in self.lost:
                continue
            digest = digest_of(SHAPE, phase, version, item[1], *(part.digest for part in inputs))
            stored = self._read(item, phase, digest)
            if stored is not None:
                kept[item] = Kept(digest, stored=stored)
            else:
                todo[item] = (digest, inputs)
        fresh = self._compute(phase, todo, work, together)
        kept.update(self._store(phase, fresh))
        return {item: kept[item] for item in jobs if item in kept and item[0] not in self.failures}

    def _read(self, item: Item, phase: str, digest: str) -> bytes | None:
        row = self._rows.get((item[0], phase, item[1]))
        if row is None or row.digest != digest or not row.path:
            return None
        try:
            data = (self.folder / row.path).read_bytes()
        except OSError:
            return None  # deleted with the cache: costs time, never a result
        return data if sha256_of(data) == row.sha256 else None

    def _compute(
        self,
        phase: str,
        todo: Mapping[Item, tuple[str, Sequence[Kept]]],
        work: Callable[..., Any],
        together: Callable[[list[Item], list[list[Any]]], list[Any]] | None,
    ) -> dict[Item, tuple[str, Any, float]]:
        done: dict[Item, tuple[str, Any, float]] = {}
        if together is not None and len(todo) > 1:
            items = list(todo)
            self.watch(phase, f"{len(items)} targets")
            began = time.perf_counter()
            try:
                results = together(items, [[part.get() for part in todo[item][1]] for item in items])
            except Exception as error:
                judge(error, phase, 0)  # a full disk goes through; any other culprit is found below
            else:
                each = (time.perf_counter() - began) / len(items)
                return {item: (todo[item][0], result, each) for item, result in zip(items, results, strict=True)}
        for item, (digest, inputs) in todo.items():
            claim = self._claims[item[0]]
            if item[0] in self.failures:
                continue
            self.watch(phase, claim.name)
            began = time.perf_counter()
            try:
                result = work(item, *(part.get() for part in inputs))
            except Exception as error:
                self.failures[item[0]] = judge(error, phase, claim.deferrals)
                continue
            done[item] = (digest, result, time.perf_counter() - began)
        return done

    def _store(self, phase: str, fresh: Mapping[Item, tuple[str, Any, float]]) -> dict[Item, Kept]:
        runs: list[PhaseRun] = []
        kept: dict[Item, Kept] = {}
        folders: set[Path] = set()
        items = list(fresh)
        for begin in range(0, len(items), WRITTEN_AT_ONCE):
            files: dict[Item, _File] = {}
            try:
                for item in items[begin : begin + WRITTEN_AT_ONCE]:
                    if item[0] in self.failures:
                        continue  # another signal of the same target failed
                    digest, value, _ = fresh[item]
                    path = self.folder / f"{item[0] // 1000:06d}" / f"{phase}.{digest}.npz"
                    with self._judged(phase, item):
                        data = encode(value)
                        if path.parent not in folders:
                            path.parent.mkdir(parents=True, exist_ok=True)
                            folders.add(path.parent)
                        files[item] = _File(path, f"{path.name}.{self._claims[item[0]].token}.part", sha256_of(data))
                        files[item].write(data, self.step)
                for item, file in files.items():
                    digest, value, seconds = fresh[item]
                    if item[0] in self.failures:
                        continue
                    with self._judged(phase, item):
                        file.install(self.step)
                        self.step(f"{phase}: file renamed")
                        self.redone[phase] = self.redone.get(phase, 0) + 1
                        spent = self.seconds.setdefault(item[0], {})
                        spent[phase] = seconds if item[1] <= 1 else spent.get(phase, 0.0) + seconds
                        kept[item] = Kept(digest, value=value)
                        name, at = file.path.relative_to(self.folder).as_posix(), self.now()
                        run = PhaseRun(item[0], phase, item[1], digest, name, file.sha256, seconds, self.device, at)
                        runs.append(run)
            finally:  # an interrupt, an exit or a full disk, too, leaves nothing half
                for file in files.values():
                    file.discard()
        for folder in folders:
            fsync_folder(folder)
        if runs:
            self.step(f"{phase}: files stored, rows not")
            tokens = {run.target_id: self._claims[run.target_id].token for run in runs}
            self.lost |= self.state.record(runs, tokens, self.now())
            self.step(f"{phase}: rows stored")
        return {item: result for item, result in kept.items() if item[0] not in self.lost}

    @contextmanager
    def _judged(self, phase: str, item: Item) -> Iterator[None]:
        """What fails here is the end of this target, or of all if the disk is full."""
        try:
            yield
        except Exception as error:
            self.failures[item[0]] = judge(error, phase, self._claims[item[0]].deferrals)


class _File:
    """One result on its way to the disk: written, then fsynced and renamed."""

    __slots__ = ("_descriptor", "_partial", "path", "sha256")

    def __init__(self, path: Path, partial: str, sha256: str) -> None:
        self.path = path
        self.sha256 = sha256
        self._partial: Path | None = path.with_name(partial)
        self._descriptor = -1

    def write(self, data: bytes, step: Callable[[str], None]) -> None:
        assert self._partial is not None
        self._descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        step("file opened")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        step("file written")

    def install(self, step: Callable[[str], None]) -> None:
        assert self._partial is not None
        os.fsync(self._descriptor)
        step("file synced")
        self._partial.replace(self.path)
        self._partial = None

    def discard(self) -> None:
        """Close it, and remove what was not put in place."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._partial is not None:
            with suppress(OSError):
                self._partial.unlink()


def sweep(folder: Path) -> int:
    """Remove the partial files that a killed hunt left in the result cache; return how many."""
    leftovers: Iterable[Path] = folder.glob("*/*.part") if folder.is_dir() else ()
    removed = 0
    for path in leftovers:
        path.unlink(missing_ok=True)
        removed += 1
    return removed
