"""How far the sectors of an archive have come, as the record keeps it; ``hunter/releases.py`` says what moves them."""

from collections.abc import Collection
from dataclasses import asdict, fields

from sqlalchemy import insert, select

from state.rows import Message, ReleaseRow
from state.schema import events, releases
from state.store import State

_NAMES = tuple(field.name for field in fields(ReleaseRow))


class Releases:
    """The releases of one hunt; every method is one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state

    def all(self) -> list[ReleaseRow]:
        """Every release that was ever looked for, by sector and product."""
        with self._state.read() as connection:
            rows = connection.execute(select(releases).order_by(releases.c.sector, releases.c.product))
            return [ReleaseRow(*(getattr(row, name) for name in _NAMES)) for row in rows]

    def get(self, sector: int, product: str) -> ReleaseRow | None:
        query = select(releases).where(releases.c.sector == sector, releases.c.product == product)
        with self._state.read() as connection:
            row = connection.execute(query).first()
            return None if row is None else ReleaseRow(*(getattr(row, name) for name in _NAMES))

    def put(self, row: ReleaseRow, now: float, word: str = "", messages: Collection[Message] = ()) -> None:
        """Store a release; ``word`` goes into the journal and ``messages`` to people in the same transaction."""
        with self._state.write("release") as connection:
            connection.execute(self._state.upsert(releases, ("sector", "product")), asdict(row))
            if word:
                said = {"level": "info", "kind": "release", "text": word, "at": now, "target_id": None}
                connection.execute(insert(events), said)
            self._state.post(connection, list(messages), now)
