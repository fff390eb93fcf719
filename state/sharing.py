"""What signals of different stars have in common, as it was found by comparing all of them."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Connection, and_, delete, insert, select

from state.rows import SharedRow
from state.schema import shared_signals
from state.transactions import Transactions

_KEY = ("target_id", "number", "kind")
_SAID = tuple(column for column in shared_signals.c if column.name != "at")


class Sharing(Transactions):
    """The last comparison of all stars stands; an older one is replaced where they differ."""

    def share(self, found: Iterable[SharedRow], now: float) -> tuple[int, int]:
        """Put down what was found, in one transaction, in place of what was found before.

        Returns
        -------
        (int, int)
            How many rows are new or changed, and how many went. Done twice it changes nothing, and writes nothing.
        """
        rows = {(row.target_id, row.number, row.kind): row for row in found}
        with self.read() as connection:
            if _recorded(connection) == rows:
                return 0, 0
        with self.write("share") as connection:
            before = _recorded(connection)
            gone = [key for key, row in before.items() if rows.get(key) != row]
            fresh = [row for key, row in rows.items() if before.get(key) != row]
            for key in gone:
                here = and_(*(shared_signals.c[name] == value for name, value in zip(_KEY, key, strict=True)))
                connection.execute(delete(shared_signals).where(here))
            if fresh:
                connection.execute(insert(shared_signals), [asdict(row) | {"at": now} for row in fresh])
        return len(fresh), sum(key not in rows for key in gone)


def _recorded(connection: Connection) -> dict[tuple[int, int, str], SharedRow]:
    rows = (SharedRow(**row._mapping) for row in connection.execute(select(*_SAID)))
    return {(row.target_id, row.number, row.kind): row for row in rows}
