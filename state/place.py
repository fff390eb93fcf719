"""Where the record lives: its place, the file system under it, its age and its soundness. Standard library only."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from state.status import DatabaseCorrupt, DatabaseTooNew, DatabaseTooOld, DatabaseUnavailable, StateError

HEAD = "0004"
"""The newest revision in ``migrations/versions``."""

# Write-ahead logging needs memory shared by all who open the file, which no network gives.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
    }
)  # fmt: skip


def sqlite_file(url: str | os.PathLike[str]) -> Path | None:
    """Return the file of a SQLite place (a plain path, or ``sqlite:///path``); ``None`` for a server's URL."""
    place = os.fspath(url)
    if "://" not in place:
        name = place
    elif place.startswith(("sqlite:", "sqlite+pysqlite:")):
        name = unquote(place.split("://", 1)[1].split("?", 1)[0].removeprefix("/"))
    else:
        return None
    if name in ("", ":memory:"):
        raise StateError(f"{place or 'an empty name'} is no place for a record that must last: give the path of a file")
    return Path(name)


def file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the type of the file system under ``path`` ("ext4", "nfs4", ..), ``None`` where it cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None  # not Linux
    where = path.resolve()
    longest, kind = -1, None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # a later mount over the same point hides the earlier one
        if (where == point or point in where.parents) and len(point.parts) >= longest:
            longest, kind = len(point.parts), fields[2]
    return kind


def refuse_network(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Raise ``DatabaseUnavailable`` if ``path`` lies on a network file system."""
    kind = file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise DatabaseUnavailable(
            f"{path} lies on a network file system ({kind}), where SQLite loses data: put the home on a local disk, "
            "or give a PostgreSQL URL as the database"
        )


def damage(path: Path, every_page: bool = True) -> str | None:
    """Say what speaks against the file as a hunt's database, ``None`` if nothing.

    A damaged page makes ``PRAGMA quick_check`` either raise or return rows; both are caught. Rolls an interrupted
    transaction back, as any opening does, and changes nothing else.

    Parameters
    ----------
    every_page : bool
        Read the whole file (1.5 s for a million targets), not only its list of tables.

    Raises
    ------
    DatabaseCorrupt
        If the file holds tables, but no hunt's.
    DatabaseUnavailable
        If it cannot be opened.
    """
    if path.stat().st_size == 0:
        return "it is empty"
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = [row[0] for row in connection.execute("PRAGMA quick_check(3)")] if every_page else ["ok"]
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return str(error)
        raise DatabaseUnavailable(f"{path} cannot be opened: {error}") from error
    if rows != ["ok"]:
        return "; ".join(str(row).replace("\n", " ") for row in rows)
    if tables and "alembic_version" not in tables:
        raise foreign(str(path), tables)
    return None


def foreign(place: str, tables: Sequence[str]) -> DatabaseCorrupt:
    """Make the error for a database that is not a hunt's."""
    return DatabaseCorrupt(
        f"{place} holds tables of something else ({', '.join(sorted(tables)[:3])}): give another place"
    )


def is_damage(error: BaseException) -> bool:
    """Tell an error that means a damaged file from one that means "not now"."""
    text = str(error)
    return "malformed" in text or "not a database" in text or "corrupt" in text


def newest_backup(path: Path) -> Path | None:
    """Return the newest backup of the database that lies beside it or in ``backups/``."""
    folders = (path.parent, path.parent / "backups")
    found = [
        file
        for folder in folders
        for file in folder.glob(f"{path.stem}*{path.suffix}")
        if file != path
        and file.is_file()
        and not file.name.endswith((".partial", ".new"))
        and not file.name.startswith(f"{path.stem}-replaced-")  # what a restore has put aside
    ]
    return max(found, key=lambda file: file.stat().st_mtime_ns, default=None)


def corrupt(path: Path, reason: str) -> DatabaseCorrupt:
    """Make the error for a damaged file: what is wrong, what was kept, and the way back."""
    backup = newest_backup(path)
    if backup is None:
        cure = "no backup was found beside it, so move it away to begin a new record"
    elif path.parent.name == "state":
        cure = f"put its newest backup in its place with: hunter db restore {backup} --home {path.parent.parent}"
    else:
        cure = f"move it and its -wal and -shm files away, then: cp {backup} {path}"
    return DatabaseCorrupt(f"{path} is damaged ({reason}) and was left as it is: {cure}")


def without_password(url: str) -> str:
    """Return a URL that may be shown."""
    scheme, separator, rest = url.partition("://")
    account, at, host = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    return f"{scheme}{separator}{user}{':***' if colon else ''}{at}{host}"


def refuse_other_age(found: str, place: str) -> None:
    """Raise unless the revision ``found`` at ``place`` is the one this code reads and writes."""
    if found == HEAD:
        return
    if found.isdigit() and int(found) < int(HEAD):
        raise DatabaseTooOld(f"{place} has schema {found}, this version reads {HEAD}: run `hunter db migrate`")
    raise too_new(found, place)


def too_new(found: str, place: str) -> DatabaseTooNew:
    return DatabaseTooNew(
        f"{place} has schema {found}, newer than the {HEAD} of this version: "
        "upgrade with `pip install -U transit-hunter`"
    )
