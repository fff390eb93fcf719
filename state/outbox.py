"""Messages that are owed to people. Each is posted in the transaction of what it tells, and marked when it is sent.

Whoever is killed between sending and marking sends once more: the ``dedup`` goes with the message, so that a receiver
can drop the second. Nothing is lost, because a message waits until it is marked.
"""

import json
from collections.abc import Sequence

from sqlalchemy import and_, func, insert, select, update

from state.rows import Message, OwedMessage
from state.schema import events, outbox
from state.store import State


class Outbox:
    """The messages of one hunt; every method is one transaction."""

    def __init__(self, state: State) -> None:
        self._state = state

    def post(self, messages: Sequence[Message], now: float) -> None:
        """Owe people these messages; what was posted before under the same ``dedup`` and channel is not owed twice."""
        with self._state.write("post") as connection:
            self._state.post(connection, messages, now)

    def due(self, now: float, limit: int = 50, channel: str | None = None) -> list[OwedMessage]:
        """Give the messages whose time has come, oldest first; those of one channel, or of all."""
        waiting = and_(outbox.c.status == "waiting", outbox.c.next_at <= now)
        if channel is not None:
            waiting = and_(waiting, outbox.c.channel == channel)
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

    def failed(self, number: int, error: str, next_at: float | None, word: str = "", now: float = 0.0) -> None:
        """Try again at ``next_at``, or never where it is None: then the message is dead, and counted as such.

        A ``word`` goes into the journal in the same transaction: nothing is given up in silence.
        """
        values = {"tries": outbox.c.tries + 1, "error": error}
        values |= {"status": "dead"} if next_at is None else {"next_at": next_at}
        with self._state.write("not-sent") as connection:
            here = and_(outbox.c.id == number, outbox.c.status == "waiting")
            done = connection.execute(update(outbox).where(here).values(values)).rowcount
            if word and done:
                said = {"level": "error", "kind": "notify", "text": word, "at": now, "target_id": None}
                connection.execute(insert(events), said)

    def bundle(self, ids: Sequence[int], message: Message, now: float) -> list[OwedMessage]:
        """Owe one message in place of several, which are then "bundled"; returns it as it is owed.

        Where one of them was sent or bundled meanwhile, nothing is changed and the list is empty.
        """
        with self._state.write("bundle") as connection:
            here = and_(outbox.c.id.in_(list(ids)), outbox.c.status == "waiting")
            query = select(func.count()).select_from(outbox).where(here)
            if connection.execute(query).scalar_one() != len(ids):
                return []
            connection.execute(update(outbox).where(here).values(status="bundled", sent_at=now))
            self._state.post(connection, [message], now)
            whole = and_(outbox.c.dedup == message.dedup, outbox.c.channel == message.channel)
            number = connection.execute(select(outbox.c.id).where(whole)).scalar_one()
        return [OwedMessage(number, message, now, 0)]

    def sent_since(self, channel: str, since: float) -> int:
        """How many messages went out on this channel since then, a bundle counted once."""
        mine = and_(outbox.c.channel == channel, outbox.c.status == "sent", outbox.c.sent_at > since)
        with self._state.read() as connection:
            return int(connection.execute(select(func.count()).select_from(outbox).where(mine)).scalar_one())

    def revive(self, now: float, channel: str | None = None) -> int:
        """Let dead messages wait again, with all their tries; returns how many."""
        dead = outbox.c.status == "dead"
        if channel is not None:
            dead = and_(dead, outbox.c.channel == channel)
        with self._state.write("revive") as connection:
            return connection.execute(
                update(outbox).where(dead).values(status="waiting", tries=0, next_at=now, error=None)
            ).rowcount

    def counts(self) -> dict[str, int]:
        """How many messages wait, were sent (alone or bundled), are dead."""
        with self._state.read() as connection:
            rows = connection.execute(select(outbox.c.status, func.count()).group_by(outbox.c.status))
            return {"waiting": 0, "sent": 0, "dead": 0} | {status: int(n) for status, n in rows}
