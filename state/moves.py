"""Moves that no worker makes: by hand, when a model changes, when the time has come."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, not_, or_, select, update

from state.rows import split_name
from state.schema import targets
from state.status import RESTING, IllegalMove, LostRace, StateError, Status, UnknownName, check_move
from state.transactions import BATCH, QUEUED_AGAIN, Transactions, batches, remember


class Moves(Transactions):
    """Targets at rest are queued again; one target is moved by hand."""

    def move(self, kind: str, key: str, here: Status, there: Status, because: str, now: float) -> None:
        """Take one target from ``here`` to ``there`` and record why, or change nothing.

        Raises
        ------
        IllegalMove, LostRace, UnknownName
        """
        check_move(here, there)
        name = and_(targets.c.kind == kind, targets.c.key == key)
        values: dict[str, Any] = {"status": there, "changed_at": now}
        if there is Status.QUEUED:
            values |= QUEUED_AGAIN
        if there is not Status.RUNNING and here is Status.RUNNING:
            values["ready"] = not_(targets.c.remote)
        if there is Status.DEFERRED:
            values["next_at"] = now
        if here is Status.RUNNING:
            values |= {"owner": None, "claimed_at": None}
        if there is Status.RUNNING:
            values["token"] = targets.c.token + 1
        with self.write("move") as connection:
            moved = connection.execute(
                update(targets).where(name, targets.c.status == here).values(values).returning(targets.c.id)
            ).first()
            if moved is None:
                now_at = connection.execute(select(targets.c.status).where(name)).scalar()
                if now_at is None:
                    raise UnknownName(f"{kind} {key} is not in this hunt")
                raise LostRace(f"{kind} {key} is {now_at}, no longer {here}, so it cannot become {there}")
            remember(connection, [moved.id], there, because, now, came_from=here)

    def requeue(
        self,
        because: str,
        now: float,
        *,
        outcomes: Collection[Status] = (),
        error_class: str | None = None,
        names: Collection[str] = (),
    ) -> int:
        """Queue resting targets again; those that meet all the conditions given. Returns how many.

        Raises
        ------
        StateError
            If no condition is given: everything at once is never meant.
        UnknownName
            If a name is not in this hunt, so that a slip of the pen is not taken for success.
        """
        if not (outcomes or error_class or names):
            raise StateError("say which targets to queue again: an outcome, an error class or names")
        for outcome in outcomes:
            check_move(outcome, Status.QUEUED)
        condition: list[ColumnElement[bool]] = [targets.c.status.in_(list(outcomes or RESTING))]
        if Status.RUNNING in outcomes:
            raise IllegalMove("a RUNNING target is in a worker's hands: it is taken back only when the worker is dead")
        if error_class is not None:
            condition.append(targets.c.error_class == error_class)
        if not names:
            return self._requeue(and_(*condition), because, now)
        wanted = {self._find(name) for name in names}
        return sum(
            self._requeue(and_(*condition, targets.c.id.in_(some)), because, now) for some in batches(wanted, BATCH)
        )

    def _find(self, name: str) -> int:
        kind, key = split_name(name)
        query = select(targets.c.id, targets.c.kind).where(targets.c.key == key)
        with self.read() as connection:
            found = connection.execute(query.where(targets.c.kind == kind) if kind else query).all()
        if not found:
            raise UnknownName(f"{name} is not in this hunt")
        if len(found) > 1:
            raise UnknownName(f"{name} may be {' or '.join(f'{row.kind} {key}' for row in found)}: say which")
        return int(found[0].id)

    def requeue_for_model(self, model_sha: str, now: float) -> int:
        """Queue again what waits for a model, and what another model than ``model_sha`` has scored."""
        scored = targets.c.status.in_([Status.CANDIDATE, Status.CLEARED])
        other = or_(targets.c.model.is_(None), targets.c.model != model_sha)
        condition = or_(targets.c.status == Status.HELD, and_(scored, other))
        return self._requeue(condition, f"to be scored by model {model_sha[:12]}", now)

    def due(self, now: float) -> int:
        """Queue again the deferred targets whose time has come."""
        condition = and_(literal_column("status") == literal_column("'DEFERRED'"), targets.c.next_at <= now)
        return self._requeue(condition, "its waiting time is over", now, keep_deferrals=True)

    def _requeue(self, condition: ColumnElement[bool], because: str, now: float, keep_deferrals: bool = False) -> int:
        """Queue again all that meet the condition; what is moved no longer meets it, so this ends."""
        query = select(targets.c.id).where(condition).order_by(targets.c.id).limit(BATCH).with_for_update()
        values = QUEUED_AGAIN | {"changed_at": now} | ({} if keep_deferrals else {"deferrals": 0})
        total = 0
        while True:
            if not self._any(condition):
                return total  # nobody waits for a write lock that is not needed
            with self.write("requeue") as connection:
                ids = list(connection.execute(query).scalars())
                if ids:
                    remember(connection, ids, Status.QUEUED, because, now)
                    connection.execute(update(targets).where(targets.c.id.in_(ids)).values(values))
            total += len(ids)
