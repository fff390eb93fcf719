"""The record, for those who change it: the queue, the fence, the history, in one transaction each.

Every write of a worker carries the token of its claim. Whoever was taken for dead, by swap, a hung device or a
sleeping laptop, holds an old token; its writes find no row, and nothing of what it brings is stored.
"""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Select, func, select, text

from state.connecting import backup, connect, faults, is_sqlite, place_of
from state.moves import Moves
from state.progress import End, Progress
from state.queue import Queue
from state.rows import CandidateRow, Claim, EnqueueReport, NewTarget, PhaseRun, SharedRow, SignalRow
from state.schema import counts, phase_runs, targets
from state.sharing import Sharing
from state.status import StateError
from state.transactions import nothing
from state.words import Words
from state.workers import Workers

__all__ = [
    "CandidateRow",
    "Claim",
    "End",
    "EnqueueReport",
    "NewTarget",
    "PhaseRun",
    "SharedRow",
    "SignalRow",
    "State",
    "nothing",
]


class State(Queue, Progress, Moves, Workers, Words, Sharing):
    """The record of one hunt. Safe to share between threads; each process opens its own.

    Open it with ``State.open``, and use it as a context manager or ``close`` it. Times are seconds since 1970, UTC,
    and always handed in; ``now()`` is the database's own clock, the same for all its workers. What it can do stands
    in the classes it is made of; its steps in ``Transactions``.
    """

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        synchronous: str = "FULL",
        check: bool = True,
        step: Callable[[str], None] = nothing,
    ) -> Self:
        """Open the record at ``url``: created if there was none, checked, upgraded to the newest schema.

        See ``state.connecting.connect`` for the parameters and the errors.
        """
        return cls(connect(url, synchronous=synchronous, check=check), step)

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def now(self) -> float:
        """Read the clock that all workers of this record share: the server's, or this machine's for SQLite."""
        query = "SELECT (julianday('now') - 2440587.5) * 86400.0"
        if not is_sqlite(self.engine):
            query = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
        with self.read() as connection:
            return float(connection.execute(text(query)).scalar_one())

    def backup(self, path: str | os.PathLike[str]) -> Path:
        """Copy a SQLite record in use into one file, which appears when it is whole.

        Raises
        ------
        StateError
            For a server's database, which ``pg_dump`` copies.
        """
        if not is_sqlite(self.engine):
            raise StateError(f"{place_of(self.engine)} is copied with its own tool: pg_dump")
        backup(Path(place_of(self.engine)), Path(path))
        return Path(path)

    def check(self) -> list[str]:
        """Compare what can be compared; returns a sentence for each fault, none if the record is sound."""
        faults_found: list[str] = []
        with self.read() as connection:
            if is_sqlite(self.engine):
                rows = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
                faults_found += [f"integrity: {row}" for row in rows if row != "ok"]
                faults_found += [
                    f"row {row[1]} of {row[0]} names a row of {row[2]} that is not there"
                    for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                ]
            faults_found += _compare(connection, "status", select(targets.c.status, func.count()), targets.c.status)
            failed = select(targets.c.error_class, func.count()).where(targets.c.error_class.is_not(None))
            faults_found += _compare(connection, "error", failed, targets.c.error_class)
            done = select(phase_runs.c.phase, func.count()).where(phase_runs.c.item.in_((0, 1)))
            faults_found += _compare(connection, "phase", done, phase_runs.c.phase)
        return faults_found

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file (SQLite) or the counters' slots into one (PostgreSQL).

        On SQLite a reader or a writer in its transaction makes this do less, never fail.
        """
        if is_sqlite(self.engine):
            with faults(self.engine), closing(self.engine.raw_connection()) as borrowed:
                borrowed.execute("PRAGMA busy_timeout=1000").close()
                try:
                    borrowed.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
                finally:
                    borrowed.execute("PRAGMA busy_timeout=30000").close()
            return
        with self.write("checkpoint") as connection:
            for table, names in (("counts", "what, name"), ("pace", "slice")):
                connection.execute(text(_FOLD.format(table=table, names=names)))


_FOLD = """WITH gone AS (
    DELETE FROM {table} WHERE slot <> 0 AND ctid IN (
        SELECT ctid FROM {table} WHERE slot <> 0 FOR UPDATE SKIP LOCKED)
    RETURNING {names}, n)
INSERT INTO {table} AS c ({names}, slot, n) SELECT {names}, 0, sum(n) FROM gone GROUP BY {names} ORDER BY {names}
ON CONFLICT ({names}, slot) DO UPDATE SET n = c.n + excluded.n"""


def _compare(connection: Connection, what: str, query: Select[Any], group: ColumnElement[Any]) -> list[str]:
    """Hold the counters of one sort to a real count."""
    real = {name: n for name, n in connection.execute(query.group_by(group))}
    summed = select(counts.c.name, func.sum(counts.c.n)).where(counts.c.what == what).group_by(counts.c.name)
    kept = {name: int(n) for name, n in connection.execute(summed)}
    return [
        f"the counter says {kept.get(name, 0)} for {what} {name}, the rows say {real.get(name, 0)}"
        for name in sorted(real.keys() | kept.keys())
        if real.get(name, 0) != kept.get(name, 0)
    ]
