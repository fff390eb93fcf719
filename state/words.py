"""Words: the journal, the notes of the hunt, and what people say of candidates."""

from sqlalchemy import delete, insert, select, text

from state.schema import candidates, events, meta, reviews
from state.status import UnknownName
from state.transactions import Transactions, event_values, printable

PACE_SECONDS = 2 * 86_400  # how far back the pace is kept


class Words(Transactions):
    """The journal, words that are put down, and reviews."""

    def log(self, level: str, kind: str, text: str, now: float, target_id: int | None = None) -> None:
        """Write one line of the journal that ``status`` shows."""
        with self.write("log") as connection:
            connection.execute(insert(events), event_values(level, kind, text, now, target_id))

    def prune_events(self, keep: int) -> int:
        """Keep the newest ``keep`` events, and the pace of the last two days; returns how many events went."""
        pace_end = text("SELECT max(slice) FROM pace")
        with self.write("prune") as connection:
            newest = select(events.c.id).order_by(events.c.id.desc()).limit(1).offset(keep)
            gone = connection.execute(delete(events).where(events.c.id <= newest.scalar_subquery())).rowcount
            last = connection.execute(pace_end).scalar()
            if last is not None:
                oldest = last - PACE_SECONDS // 10
                connection.execute(text("DELETE FROM pace WHERE slice < :oldest"), {"oldest": oldest})
        return gone

    def get(self, key: str) -> str | None:
        """Return a word that was put down with ``set``, ``None`` if there is none."""
        with self.read() as connection:
            return connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()

    def set(self, key: str, value: str | None) -> None:
        """Put a word down, or take it away with ``None``."""
        with self.write("set") as connection:
            if value is None:
                connection.execute(delete(meta).where(meta.c.key == key))
            else:
                connection.execute(self.upsert(meta, ("key",)), {"key": key, "value": value})

    def review(self, candidate_name: str, decision: str, reason: str, reviewer: str, now: float) -> None:
        """Add a person's decision on a candidate; earlier ones stay, the latest counts.

        Raises
        ------
        UnknownName
            If the record holds no candidate of this name.
        """
        with self.write("review") as connection:
            found = connection.execute(
                select(candidates.c.target_id, candidates.c.ephemeris_key).where(candidates.c.name == candidate_name)
            ).first()
            if found is None:
                raise UnknownName(f"{candidate_name} is no candidate of this hunt")
            row = {"target_id": found.target_id, "ephemeris_key": found.ephemeris_key, "candidate": candidate_name}
            words = {"decision": decision, "reason": printable(reason), "reviewer": reviewer, "at": now}
            connection.execute(insert(reviews), row | words)
