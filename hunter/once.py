"""One target now, through the same chain, in a small hunt of its own under ``<home>/once/<target>``."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hunter.cli.common import WrongUsage, make_home
from hunter.engine import home_lock, night
from hunter.progress import Progress
from hunter.settings import load
from state.reading import Reader
from state.status import Status


def hunt_once(
    what: Sequence[str], home: Path, given: dict[str, Any], *, sectors: Sequence[int], predict: bool, fresh: bool
) -> list[dict[str, Any]]:
    """Hunt the named files, or one target of the archive; return what is recorded of it.

    Raises
    ------
    WrongUsage
        If the archive has no such target, or a file does not exist.
    hunter.engine.HomeLocked
        If another ``hunter once`` is at work in this home.
    KeyboardInterrupt, SystemExit
        If a signal stopped the hunt before its end.
    """
    settings = load(str(home), given)
    found, source = named(what, settings, sectors)
    own = settings.changed(
        make_home(settings.home / "once" / _folder_name(found)),
        state=replace(settings.state, url=""),
        compute=replace(settings.compute, workers=1),
        score=settings.score if predict else replace(settings.score, checkpoint="none"),
        archive=replace(settings.archive, source=source),
    )
    if fresh:
        with home_lock(own.home):
            shutil.rmtree(own.home / "cache", ignore_errors=True)
            for name in ("hunter.sqlite", "hunter.sqlite-wal", "hunter.sqlite-shm"):
                (own.home / "state" / name).unlink(missing_ok=True)
    with Progress() as progress:
        result = night(own, lambda: found, show=progress.show, say=progress.say)
    if result.stopped_by is not None:
        raise SystemExit(128 + result.stopped_by)
    with Reader(own.database) as reader:
        shown = [row for item in found for row in [reader.target(item.target.kind, item.target.key)] if row]
    folder = own.home / "candidates"
    return [_with_evidence(_told(row, predict), folder) | {"candidates_folder": str(folder)} for row in shown]


TOLD = ("verdict", "fit", "validation")  # blocks of the evidence that stand beside a candidate hunted once


def _with_evidence(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Beside each candidate what its evidence says of it in the end."""
    documents = [json.loads((folder / item["json_file"]).read_bytes()) for item in row["candidates"]]
    return row | {
        "candidates": [
            item | {name: document[name] for name in TOLD}
            for item, document in zip(row["candidates"], documents, strict=True)
        ]
    }


def _folder_name(found: Sequence[Any]) -> str:
    """A home for each target, or set of targets: what an earlier call left unfinished is not hunted along."""
    names = sorted(item.target.name for item in found)
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", names[0])[:80]
    if len(names) == 1:
        return name
    return f"{name}_and_{len(names) - 1}_more_{hashlib.sha256(chr(10).join(names).encode()).hexdigest()[:8]}"


def _told(row: dict[str, Any], predict: bool) -> dict[str, Any]:
    """Without --predict a signal waits for a score that nobody asked for: say so."""
    if predict or row["status"] != Status.HELD:
        return row
    last = row["moves"][-1] | {"because": "not scored: --predict asks for that"}
    return row | {"moves": [*row["moves"][:-1], last]}


def named(what: Sequence[str], settings: Any, sectors: Sequence[int]) -> tuple[list[Any], str]:
    """The targets that were asked for, and the archive they come from.

    Raises
    ------
    WrongUsage
        If the archive has no such target, or a file does not exist.
    """
    from hunter.archives import open_archive
    from hunter.archives.folder import FolderArchive
    from hunter.archives.settings import FAR
    from hunter.errands import list_sectors

    paths = [Path(text).expanduser() for text in what]
    if all(path.is_file() for path in paths):
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        only = [path.absolute() for path in paths]
        archive = FolderArchive(folder, settings.archive, settings.hunt.combine, sectors=sectors, only=only)
        return list(archive.targets()), str(folder)
    for text, path in zip(what, paths, strict=True):
        if not path.is_file() and (os.sep in text or path.suffix or path.exists()):
            told = "is a folder: name files in it, or give --archive" if path.is_dir() else "no such file"
            raise WrongUsage(f"{text}: {told}")
    if len(what) > 1:
        raise WrongUsage(f"{' '.join(what)}: one target at a time; quote a name with a space in it")
    wanted = what[0].upper().replace(" ", "").removeprefix("TIC")
    far = settings.archive.source in FAR
    offered = list_sectors(settings, sectors, time.time()) if far else open_archive(settings, sectors).targets()
    found = [
        item
        for item in offered
        if wanted in (item.target.key.split()[0], item.target.key, item.target.name.upper().replace(" ", ""))
    ]
    if not found:
        raise WrongUsage(f"{what[0]} is not in {settings.archive.source}")
    return found, settings.archive.source if far else str(Path(settings.archive.source).expanduser().absolute())
