"""Models on disk: a folder each, checked at every load, registered and promoted in one step or not at all.

::

    <root>/current.json                  which model serves, which served before, and who let it when and why
    <root>/<name>/manifest.json          sha256 of every other file
    <root>/<name>/card.json              what it is, made from what, with which limits
    <root>/<name>/calibration.json
    <root>/<name>/conformal.json         thresholds of its conformal sets; older models have none
    <root>/<name>/metrics.json
    <root>/<name>/stars.safetensors      the stars it was trained and calibrated on
    <root>/<name>/weights-0.safetensors  one per member

The package's own ``models/weights`` is such a root and serves while a hunt's is empty. Reads no tensor and imports
no torch: listing stays light.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
STARS = "stars.safetensors"
CONFORMAL = "conformal.json"  # older models have none
NEEDED = ("card.json", "calibration.json", "metrics.json", STARS)
WEIGHTS = "weights-{}.safetensors"
FORMAT = 1  # of a model's folder


class ModelRefused(Exception):
    """A model that must not be used; the message is one line and says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of models."""

    name: str
    folder: Path
    current: bool
    shipped: bool
    card: dict
    problem: str | None = None  # why it would be refused, else None
    history: tuple[dict, ...] = ()  # when it was let serve, or taken back, oldest first

    @property
    def simulated(self) -> bool:
        """Whether it was trained on simulation only."""
        return bool(self.card.get("synthetic", False))


def as_json(value: object) -> bytes:
    """The one way JSON is written here, so that a file can be compared byte by byte."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_durably(path: Path, data: bytes) -> None:
    """Partial file, fsync, rename, fsync of the folder: the file is whole or not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(partial, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Digest of a file."""
    with open(path, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def seal(folder: Path) -> str:
    """Write the manifest over all files of a folder; its own digest is the model's."""
    files = {item.name: sha256_of(item) for item in sorted(folder.iterdir()) if item.name != MANIFEST}
    data = as_json({"format": FORMAT, "files": files})
    write_durably(folder / MANIFEST, data)
    return hashlib.sha256(data).hexdigest()


def verify_folder(folder: Path) -> str:
    """Check every file of a model against its manifest and return the model's digest.

    Raises
    ------
    ModelRefused
        A file is missing, extra or changed, or the manifest is not one.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ModelRefused(f"{folder}: no model is here ({MANIFEST}: {error.strerror})") from error
    try:
        manifest = json.loads(data)
        if as_json(manifest) != data or manifest["format"] != FORMAT:
            raise ValueError("not as it was written")
        files = dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelRefused(f"{folder.name}: {MANIFEST} is damaged or of another format ({error})") from error
    present = {item.name for item in folder.iterdir() if item.name != MANIFEST}
    lacking, extra = sorted((set(files) | set(NEEDED)) - present), sorted(present - set(files))
    if lacking:
        raise ModelRefused(f"{folder.name}: {', '.join(lacking)} is missing")
    if extra:
        raise ModelRefused(f"{folder.name}: {', '.join(extra)} is not in its manifest")
    for name, expected in files.items():
        if sha256_of(folder / name) != expected:
            raise ModelRefused(f"{folder.name}: {name} is not the file that was registered (its sha256 differs)")
    return hashlib.sha256(data).hexdigest()


def read_json(folder: Path, name: str) -> dict:
    """One of the JSON files of a model; ModelRefused if it is none."""
    try:
        value = json.loads((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{folder.name}: {name} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"{folder.name}: {name} holds no table")
    return value


class Registry:
    """The models of one hunt, with the shipped ones behind them."""

    def __init__(self, root: Path, shipped: Path = SHIPPED) -> None:
        self.root = Path(root)
        self.shipped = Path(shipped)

    def list(self) -> Sequence[Entry]:
        """Every model here and shipped, by name; those that would be refused say why."""
        now = self.current()
        found = [self._entry(folder, False, now) for folder in _models(self.root)]
        return found + [self._entry(folder, True, now) for folder in _models(self.shipped)]

    def show(self, name: str) -> Entry:
        """One model with its card; ModelRefused if there is none of that name."""
        return self._entry(self.folder(name), not (self.root / name / MANIFEST).exists(), self.current())

    def folder(self, name: str) -> Path:
        """Folder of a model by name, the hunt's own before a shipped one."""
        if name and name == Path(name).name and not name.startswith("."):
            for root in (self.root, self.shipped):
                if (root / name / MANIFEST).is_file():
                    return root / name
        known = ", ".join(sorted({folder.name for r in (self.root, self.shipped) for folder in _models(r)})) or "none"
        raise ModelRefused(f"no model is called {name!r}; there are: {known}")

    def current(self) -> Path | None:
        """Folder of the model that serves: the promoted one, else the shipped one, else None.

        Raises
        ------
        ModelRefused
            If current.json is damaged or names a model that is gone: a hunt must not change its model silently.
        """
        for root in (self.root, self.shipped):
            served = _served(root)
            if served:
                return self.folder(served[-1])
        return None

    def register(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Make a model's folder whole or not at all.

        Parameters
        ----------
        name : a folder name, not yet taken
        fill : writes the files of the model into the folder it is given

        Returns
        -------
        The folder. It does not serve before ``promote``.
        """
        if name != Path(name).name or name.startswith(".") or not name:
            raise ModelRefused(f"{name!r} cannot name a model: use a plain word")
        final = self.root / name
        if final.exists():
            raise ModelRefused(f"a model called {name} is registered already: models are never overwritten")
        self.root.mkdir(parents=True, exist_ok=True)
        partial = self.root / f".{name}.{os.getpid()}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            fill(partial)
            seal(partial)
            for item in partial.iterdir():
                with open(item, "rb") as data:
                    os.fsync(data.fileno())
            verify_folder(partial)
            sync_folder(partial)
            os.rename(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        sync_folder(self.root)
        return final

    def promote(
        self,
        name: str,
        *,
        missed: Sequence[str] = (),
        force: str | None = None,
        by: str | None = None,
        now: str | None = None,
    ) -> Path:
        """Let a model serve, after checking its files; the one before is kept for ``rollback``.

        Parameters
        ----------
        name : of a registered model
        missed : what was said of each gate it missed (``gates.missed``)
        force : why it shall serve all the same; recorded
        by, now : who lets it serve and when, for the record

        Raises
        ------
        ModelRefused
            A damaged model; or one that missed a gate or was trained on simulation only, without ``force``.
        """
        folder = self.folder(name)
        sha256 = verify_folder(folder)
        problems = [*missed]
        if read_json(folder, "card.json").get("synthetic", False):
            problems.insert(0, "it was trained on simulation only")
        if problems and not force:
            raise ModelRefused(f"{name} may not serve: {'; '.join(problems)}; --force REASON lets it, on the record")
        try:
            served, history = _record(self.root)
        except ModelRefused:
            served, history = [], [{"what": "the record was damaged and is begun anew"}]
        if not served or served[-1] != name:
            told = {"what": "promoted", "model": name, "sha256": sha256, "by": by, "at": now, "why": force}
            event: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
            if problems:
                event["gates missed"] = problems
            self._serve([*served, name], [*history, event])
        return folder

    def rollback(self, *, why: str | None = None, by: str | None = None, now: str | None = None) -> Path | None:
        """Let the model before serve again (the shipped one where there was none); returns its folder."""
        served, history = _served(self.root), _history(self.root)
        if not served:
            raise ModelRefused("nothing was promoted here, so there is nothing to go back to")
        told = {"what": "rolled back", "model": served[-1], "by": by, "at": now, "why": why}
        self._serve(served[:-1], [*history, {key: value for key, value in told.items() if value is not None}])
        return self.current()

    def history(self) -> Sequence[dict]:
        """Every promotion and rollback of this hunt, oldest first."""
        return _history(self.root)

    def verify(self) -> dict[str, str | None]:
        """What is wrong with each model, None where nothing is; the shipped ones included."""
        return {entry.name: entry.problem for entry in self.list()}

    def _serve(self, served: Sequence[str], history: Sequence[dict]) -> None:
        """One file for both, so that no model serves without its record."""
        self.root.mkdir(parents=True, exist_ok=True)
        write_durably(self.root / "current.json", as_json({"served": [*served], "history": [*history]}))

    def _entry(self, folder: Path, shipped: bool, now: Path | None) -> Entry:
        told = tuple(event for event in _history(folder.parent) if event.get("model") == folder.name)
        try:
            verify_folder(folder)
            return Entry(folder.name, folder, folder == now, shipped, read_json(folder, "card.json"), None, told)
        except ModelRefused as refusal:
            return Entry(folder.name, folder, folder == now, shipped, {}, str(refusal), told)


def _models(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(item for item in root.iterdir() if not item.name.startswith(".") and (item / MANIFEST).is_file())


def _served(root: Path) -> list[str]:
    """Names promoted at a root, the serving one last."""
    return _record(root)[0]


def _history(root: Path) -> list[dict]:
    """What happened at a root, oldest first."""
    return _record(root)[1]


def _record(root: Path) -> tuple[list[str], list[dict]]:
    path = root / "current.json"
    if not path.exists():
        return [], []
    try:
        record = json.loads(path.read_bytes())
        served, history = record["served"], record.get("history", [])  # records of old have no history
        if not isinstance(served, list) or not all(isinstance(name, str) for name in served):
            raise ValueError("no list of names")
        if not isinstance(history, list) or not all(isinstance(event, dict) for event in history):
            raise ValueError("no list of events")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelRefused(f"{path}: damaged ({error}); promote a model to write it anew") from error
    return served, history
