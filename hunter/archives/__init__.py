"""Where light curves come from: one file, one source."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hunter.archives.folder import FolderArchive
    from hunter.archives.mast.archive import MastArchive
    from hunter.settings import Settings


def open_archive(settings: "Settings", sectors: Collection[int] = ()) -> "FolderArchive | MastArchive":
    """The archive that ``[archive] source`` names.

    Raises
    ------
    hunter.settings.SettingsError
        If none is named.
    """
    from hunter.archives.folder import FolderArchive
    from hunter.archives.settings import FAR, models_folder
    from hunter.settings import SettingsError

    if not settings.archive.source:
        raise SettingsError("no archive: give --archive DIR, mast or s3, or set [archive] source in hunter.toml")
    if settings.archive.source in FAR:
        from hunter.archives.mast.archive import MastArchive

        return MastArchive(settings, sectors)
    folder = Path(settings.archive.source).expanduser()
    if not folder.exists():
        raise SettingsError(
            f"{folder} does not exist: name a folder of light curves with --archive or [archive] source"
        )
    index = settings.home / "cache" / "index.jsonl"
    models = models_folder(settings.home)
    return FolderArchive(folder, settings.archive, settings.hunt.combine, index, sectors=sectors, models=models)
