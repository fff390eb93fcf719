"""One target now, through the same chain, in a small hunt of its own under ``<home>/once``."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hunter.cli.common import WrongUsage
from hunter.engine import night
from hunter.settings import load
from state.reading import Reader


def hunt_once(
    what: Sequence[str], home: Path, given: dict[str, Any], *, sectors: Sequence[int], predict: bool, fresh: bool
) -> list[dict[str, Any]]:
    """Hunt the named files, or one target of the archive; return what is recorded of it.

    Raises
    ------
    WrongUsage
        If the archive has no such target, or a file does not exist.
    """
    from hunter.archives import open_archive
    from hunter.archives.folder import FolderArchive

    settings = load(str(home), given)
    own = settings.changed(
        settings.home / "once",
        state=replace(settings.state, url=""),
        compute=replace(settings.compute, workers=1),
        score=settings.score if predict else replace(settings.score, checkpoint="none"),
    )
    if fresh:
        shutil.rmtree(own.home / "cache", ignore_errors=True)
        (own.home / "state" / "hunter.sqlite").unlink(missing_ok=True)
    paths = [Path(text).expanduser() for text in what]
    if all(path.is_file() for path in paths):
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        only = [path.absolute() for path in paths]
        found = list(FolderArchive(folder, settings.archive, settings.hunt.combine, sectors=sectors, only=only).targets())
    else:
        missing = next((text for text, path in zip(what, paths, strict=True) if os.sep in text and not path.is_file()), None)
        if missing or len(what) > 1:
            raise WrongUsage(f"{missing or ' '.join(what)}: no such file, and one target at a time")
        wanted = what[0].upper().replace(" ", "").removeprefix("TIC")
        folder = Path(settings.archive.source).expanduser().absolute()
        found = [item for item in open_archive(settings, sectors).targets() if wanted in (item.target.key, item.target.name.replace(" ", ""))]
        if not found:
            raise WrongUsage(f"{what[0]} is not in {settings.archive.source}")
    own = own.changed(archive=replace(settings.archive, source=str(folder)))
    night(own, lambda: found)
    reader = Reader(own.database)
    shown = [row for item in found for row in reader.find(item.target.name)]
    return [row | {"candidates_folder": str(own.home / "candidates")} for row in shown]
