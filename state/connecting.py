"""Open the database: create it whole or not at all, check it, upgrade it, and speak of its faults in clear lines."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, make_url, text

from state.place import (
    HEAD,
    corrupt,
    damage,
    foreign,
    is_damage,
    refuse_network,
    sqlite_file,
    too_new,
    without_password,
)
from state.status import DatabaseCorrupt, DatabaseFull, DatabaseUnavailable, StateError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30.0  # how long a writer waits for another one
JOURNAL_BYTES = 64 * 2**20  # the -wal file is cut back to this after a checkpoint
CACHE_KIB = 64 * 1024  # pages kept in memory
MIGRATION_LOCK = 7_245_113_001  # advisory lock of PostgreSQL, any number of our own


def connect(url: str | os.PathLike[str], *, synchronous: str = "FULL", check: bool = True) -> Engine:
    """Return an engine on a sound database of the newest schema, created if there was none.

    Parameters
    ----------
    url : str or path
        A file (or ``sqlite:///file``), or the URL of a PostgreSQL server.
    synchronous : "FULL" or "NORMAL"
        Of SQLite. FULL survives a power cut with every commit; NORMAL may lose the last ones, and is never torn.
    check : bool
        Read the whole file with ``quick_check`` first (1.5 s for a million targets).

    Raises
    ------
    DatabaseCorrupt, DatabaseTooNew, DatabaseUnavailable
        As their names say; the file is left as it was.
    """
    if synchronous not in ("FULL", "NORMAL"):
        raise StateError(f"synchronous is FULL or NORMAL, not {synchronous!r}")
    file = sqlite_file(url)
    if file is None:
        return _connect_server(os.fspath(url))
    refuse_network(file)
    try:
        if not file.exists():
            _create(file, synchronous)
        elif (reason := damage(file, every_page=check)) is not None:
            raise corrupt(file, reason)
    except OSError as error:
        raise DatabaseUnavailable(f"{file} cannot be opened: {error.strerror or error}") from error
    engine = _sqlite_engine(file, synchronous)
    try:
        with faults(engine):
            upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def place_of(engine: Engine) -> str:
    """Name the database in a message: its file, or its URL without the password."""
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return without_password(engine.url.render_as_string(hide_password=True))


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


@contextmanager
def faults(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises into the state's own errors; anything that is our fault passes unchanged."""
    try:
        yield
    except (exc.DBAPIError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        place = place_of(engine)
        said = " ".join(str(cause).split())
        if is_sqlite(engine) and is_damage(cause):
            raise corrupt(Path(place), said) from error
        if "disk is full" in said or getattr(cause, "sqlstate", None) == "53100":
            raise DatabaseFull(
                f"{place}: no space left ({said}); what was recorded is kept: free some space and it goes on"
            ) from error
        if "readonly database" in said or "read-only" in said:
            raise DatabaseUnavailable(f"{place} cannot be written: make it and its folder writable") from error
        if "is locked" in said:
            raise DatabaseUnavailable(
                f"{place} was locked by another process for {BUSY_SECONDS:.0f} s: end that process, then start again"
            ) from error
        unreachable = (exc.OperationalError, exc.InterfaceError, sqlite3.OperationalError)
        if isinstance(error, unreachable) or getattr(error, "connection_invalidated", False):
            raise DatabaseUnavailable(f"{place} does not answer: {said}") from error
        raise


# ---------------------------------------------------------------------------------------------------- engines


def _sqlite_engine(file: Path, synchronous: str) -> Engine:
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(file)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver shall begin nothing by itself
        for setting in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            f"journal_size_limit={JOURNAL_BYTES}",
            f"cache_size=-{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {setting}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that turns into a writer fails at once with "database is locked"; this one waits.
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def server_engine(url: str) -> Engine:
    """Return an engine on a PostgreSQL server, not yet connected; refuse any other URL in one clear line."""
    try:
        address = make_url(url)
    except exc.ArgumentError as error:
        raise StateError(f"{without_password(url)} is neither a file nor a database URL") from error
    if address.get_backend_name() != "postgresql":
        raise StateError(f"{address.get_backend_name()} is not supported: give a file (SQLite) or a postgresql:// URL")
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    try:
        return create_engine(address, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise StateError("PostgreSQL needs a driver: pip install 'transit-hunter[postgresql]'") from error


def _connect_server(url: str) -> Engine:
    engine = server_engine(url)
    try:
        with faults(engine):
            upgrade(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _create(file: Path, synchronous: str) -> None:
    """Make the database under another name and rename it: an empty or half-made one is then never ours."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # one creator at a time; a killed one lets go by itself
        if file.exists():
            return
        unfinished = file.with_name(file.name + ".new")
        for left in (unfinished, Path(f"{unfinished}-wal"), Path(f"{unfinished}-shm"), Path(f"{unfinished}-journal")):
            left.unlink(missing_ok=True)
        for left in (Path(f"{file}-wal"), Path(f"{file}-shm")):
            if left.exists() and left.stat().st_size:
                raise DatabaseCorrupt(
                    f"{left} exists without its database {file.name}: put the database back beside it, "
                    f"or move {left.name} away to begin a new record"
                )
        engine = _sqlite_engine(unfinished, synchronous)
        try:
            with faults(engine):
                upgrade(engine)
        finally:
            engine.dispose()  # the last connection folds the -wal in and removes it
        _flush(unfinished)
        os.rename(unfinished, file)
        os.fsync(folder)
    finally:
        os.close(folder)


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------------------------------- upgrades


def revision(connection: Connection) -> str | None:
    """Return the schema's revision, ``None`` for a database without one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(engine: Engine, folder: Path = MIGRATIONS, head: str = HEAD) -> Path | None:
    """Bring the schema to ``head`` in one transaction, after a backup where there is something to lose.

    Returns
    -------
    Path or None
        The backup, ``<name>-before-<head>.sqlite`` beside the database; ``None`` if none was made (the schema was
        new enough, the record empty, or the database a server's, which its keeper backs up).
    """
    with engine.connect().execution_options(reading=True) as connection:
        found = revision(connection)
        tables = [] if found is not None else inspect(connection).get_table_names()
    if tables:
        raise foreign(place_of(engine), tables)
    if found == head:
        return None
    if found is not None and not (found.isdigit() and int(found) < int(head)):
        raise too_new(found, place_of(engine))

    from alembic import command  # slow to import, and needed only here
    from alembic.config import Config

    saved = None
    with engine.begin() as connection:
        if not is_sqlite(engine):
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        if revision(connection) == head:
            return None  # another process was quicker
        if is_sqlite(engine) and found is not None and _has_targets(connection):
            file = Path(place_of(engine))
            saved = file.with_name(f"{file.stem}-before-{head}{file.suffix}")
            backup(file, saved)  # the write lock is ours, so nothing can change between the copy and the upgrade
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return saved


def _has_targets(connection: Connection) -> bool:
    return connection.execute(text("SELECT 1 FROM targets LIMIT 1")).first() is not None


def backup(file: Path, destination: Path) -> None:
    """Copy a SQLite database in use, whole and consistent, by its online backup; the name appears when it is done."""
    partial = destination.with_name(destination.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with no -wal to forget
        _flush(partial)
        os.replace(partial, destination)
        folder = os.open(destination.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise DatabaseUnavailable(f"{destination} could not be written: {error}") from error


def restore(file: Path, source: Path, stamp: str) -> Path | None:
    """Put a backup in the place of a database that nobody has open; what was there is kept beside it.

    Parameters
    ----------
    file, source : Path
        The database, whole or damaged or gone, and the backup, which stays where it is.
    stamp : str
        Goes into the name of what is kept.

    Returns
    -------
    Path or None
        The database that was there, with its log beside it: restoring that one undoes this.

    Raises
    ------
    DatabaseCorrupt, DatabaseUnavailable
        If the backup is no sound record of a hunt, or cannot be copied; nothing was changed.
    """
    partial = file.with_name(file.name + ".partial")
    try:
        if (reason := damage(source)) is not None:
            raise DatabaseCorrupt(f"{source} is damaged ({reason}): restore another backup")
        backup(source, partial)
        aside = file.with_name(f"{file.stem}-replaced-{stamp}{file.suffix}")
        kept = aside if file.exists() else None
        if kept is not None:
            os.link(file, kept)  # at no moment is there no database: an empty one would be made
        for end in ("-wal", "-shm"):
            if (left := Path(f"{file}{end}")).exists():
                os.rename(left, f"{aside}{end}")
        os.replace(partial, file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DatabaseUnavailable(f"{source} could not be restored: {error}") from error
    return kept
