"""Messages that are owed to people. Each is posted in the transaction of what it tells, and marked when it is sent.

Whoever is killed between sending and marking sends once more: the ``dedup`` goes with the message, so that a receiver
can drop the second. Nothing is lost, because a message waits until it is marked.
"""

import json
from collections.abc import Sequence

from sqlalchemy import and_, func, select, update

from state.rows import Message, OwedMessage
from state.schema import outbox
from state.store import State


class Outbox:
    """The messages of one hunt; every method is one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state

    def post(self, messages: Sequence[Message], now: float) -> None:
        """Owe people these messages; what was posted before under the same ``dedup`` and channel is not owed twice."""
        with self._state.write("post") as connection:
            self._state.post(connection, messages, now)

    def due(self, now: float, limit: int = 50) -> list[OwedMessage]:
        """Give the messages whose time has come, oldest first."""
        waiting = and_(outbox.c.status == "waiting", outbox.c.next_at <= now)
        query = select(outbox).where(waiting).order_by(outbox.c.next_at, outbox.c.id).limit(limit)
        with self._state.read() as connection:
            return [
                OwedMessage(
                    row.id,
                    Message(row.dedup, row.channel, row.kind, json.loads(row.payload)),
                    row.created_at,
                    row.tries,
                )
                for row in connection.execute(query)
            ]

    def sent(self, ids: Sequence[int], now: float) -> None:
        with self._state.write("sent") as connection:
            mark = update(outbox).where(outbox.c.id.in_(list(ids)), outbox.c.status == "waiting")
            connection.execute(mark.values(status="sent", sent_at=now, tries=outbox.c.tries + 1, error=None))

    def failed(self, number: int, error: str, next_at: float | None) -> None:
        """Try again at ``next_at``, or never where it is None: then the message is dead, and counted as such."""
        values = {"tries": outbox.c.tries + 1, "error": error}
        values |= {"status": "dead"} if next_at is None else {"next_at": next_at}
        with self._state.write("not-sent") as connection:
            here = and_(outbox.c.id == number, outbox.c.status == "waiting")
            connection.execute(update(outbox).where(here).values(values))

    def counts(self) -> dict[str, int]:
        """How many messages wait, were sent, are dead."""
        with self._state.read() as connection:
            rows = connection.execute(select(outbox.c.status, func.count()).group_by(outbox.c.status))
            return {"waiting": 0, "sent": 0, "dead": 0} | {status: int(n) for status, n in rows}
