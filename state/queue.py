"""The queue: who waits, who is claimed by whom, what is given back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, literal_column, select, text, update
from sqlalchemy.dialects import postgresql

from state.connecting import is_sqlite
from state.rows import Claim, EnqueueReport, NewTarget
from state.schema import targets
from state.status import Status, check_move
from state.transactions import QUEUED_AGAIN, Prepared, Transactions, batches, printable, remember

OFFERED_AT_ONCE = 10_000  # more: each transaction writes every page of the queue's index that it has touched

_OFFERED = ("priority", "sector", "inputs", "sources", "star", "remote", "ready", "changed_at")
_CLAIMED = tuple(field.name for field in fields(Claim))
_ID, _TOKEN, _SOURCES, _STAR, _SUSPECT = (
    _CLAIMED.index(name) for name in ("id", "token", "sources", "star", "suspect")
)


def _take(alias: str, which: str) -> Prepared:
    """Make the claim: the ids from the front of the index ``targets_<alias>``, and the update of their rows."""
    waiting = targets.alias(alias)
    picked = (
        select(waiting.c.id)
        .where(text(f"{alias}.status = 'QUEUED'"), text(which))  # word for word the condition of the index
        .order_by(waiting.c.priority.desc(), waiting.c.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return Prepared(
        update(targets)
        .where(targets.c.id.in_(select(picked.c.id)))
        .values(
            status=literal_column("'RUNNING'"),
            owner=bindparam("worker"),
            claimed_at=bindparam("now"),
            changed_at=bindparam("now"),
            token=targets.c.token + 1,
            attempts=targets.c.attempts + 1,
        )
        .returning(*(targets.c[name] for name in _CLAIMED), targets.c.priority)
    )


_TAKE = _take("queue", "queue.ready AND NOT queue.suspect")
_TAKE_SUSPECT = _take("suspects", "suspects.ready AND suspects.suspect")
_TAKE_WANTED = _take("wanted", "NOT wanted.ready AND NOT wanted.suspect")
_TAKE_WANTED_SUSPECT = _take("wanted_suspects", "NOT wanted_suspects.ready AND wanted_suspects.suspect")

_TOLD = (
    "INSERT INTO moves (target_id, came_from, went_to, because, at, token) SELECT {}, 'QUEUED', 'RUNNING', {}, {}, {}"
)
_REMEMBER = Prepared(
    sqlite=text(
        _TOLD.format("json_extract(value, '$[0]')", ":because", ":now", "json_extract(value, '$[1]')")
        + " FROM json_each(:taken)"
    ),
    postgresql=text(
        _TOLD.format(
            "CAST(value->>0 AS bigint)", ":because", "CAST(:now AS double precision)", "CAST(value->>1 AS bigint)"
        )
        + " FROM json_array_elements(CAST(:taken AS json))"
    ),
)


class Queue(Transactions):
    """Targets are queued, claimed and given back."""

    def enqueue(self, offered: Iterable[NewTarget], now: float) -> EnqueueReport:
        """Queue what is new, and again what rests with other files or settings; in batches, each one transaction.

        A target whose ``inputs`` are the same is left as it is; so is one in a worker's hands, whose new inputs
        are noticed the next time it is offered. Running it twice changes nothing.
        """
        total: dict[str, int] = {field.name: 0 for field in fields(EnqueueReport)}
        for batch in batches(offered, OFFERED_AT_ONCE):
            wanted = {(target.kind, target.key): target for target in batch}
            with self.write("enqueue") as connection:
                self._enqueue(connection, wanted, now, total)
        return EnqueueReport(**total)

    def _enqueue(
        self,
        connection: Connection,
        wanted: dict[tuple[str, str], NewTarget],
        now: float,
        total: dict[str, int],
    ) -> None:
        known = self._known(connection, wanted)
        fresh = [_target_values(target, now) for name, target in wanted.items() if name not in known]
        if fresh:
            # who is claimed together lies together: a claim then writes a few pages instead of one for each target
            fresh.sort(key=lambda values: -values["priority"])
            added = self._add(connection, fresh)
            total["added"] += added
            total["unchanged"] += len(fresh) - added
        again, refreshed = [], []
        for name, row in known.items():
            target = wanted[name]
            if row.inputs == target.inputs:
                total["unchanged"] += 1
            elif row.status == Status.RUNNING:
                total["running"] += 1
            elif row.status == Status.QUEUED:
                refreshed.append(_offered_values(target, now) | {"this": row.id})
            else:
                check_move(Status(row.status), Status.QUEUED)
                again.append(_offered_values(target, now) | {"this": row.id})
        columns: dict[str, Any] = {name: bindparam(name) for name in _OFFERED}
        here = targets.c.id == bindparam("this")
        if refreshed:
            connection.execute(update(targets).where(here).values(columns), refreshed)
        if again:
            remember(connection, [row["this"] for row in again], Status.QUEUED, "its files or settings changed", now)
            connection.execute(update(targets).where(here).values(columns | QUEUED_AGAIN | {"deferrals": 0}), again)
        total["refreshed"] += len(refreshed)
        total["requeued"] += len(again)

    def _add(self, connection: Connection, fresh: list[dict[str, Any]]) -> int:
        if is_sqlite(self.engine):  # one writer at a time: nobody can have been quicker
            connection.execute(insert(targets), fresh)
            return len(fresh)
        statement = postgresql.insert(targets).on_conflict_do_nothing().returning(targets.c.id)
        return len(connection.execute(statement, fresh).all())

    def _known(self, connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """Look the names up, and lock their rows where rows can be locked."""
        keys: dict[str, list[str]] = {}
        for kind, key in wanted:
            keys.setdefault(kind, []).append(key)
        columns = (targets.c.id, targets.c.kind, targets.c.key, targets.c.status, targets.c.inputs, targets.c.token)
        known = {}
        for kind, some in keys.items():
            query = select(*columns).where(targets.c.kind == kind, targets.c.key.in_(some)).order_by(targets.c.id)
            for row in connection.execute(query.with_for_update()):
                known[(row.kind, row.key)] = row
        return known

    def claim(self, worker: str, limit: int, now: float) -> list[Claim]:
        """Take up to ``limit`` targets whose files are here, highest priority first; or one suspect alone, if any.

        The attempt is counted here, so that a target that kills its worker counts too.
        """
        return self._claim("claim", (_TAKE_SUSPECT, _TAKE), worker, limit, now)

    def claim_wanted(self, worker: str, limit: int, now: float) -> list[Claim]:
        """Take up to ``limit`` targets whose files are still to be fetched, in the same order and the same way."""
        return self._claim("claim-wanted", (_TAKE_WANTED_SUSPECT, _TAKE_WANTED), worker, limit, now)

    def _claim(
        self, operation: str, take: tuple[Prepared, Prepared], worker: str, limit: int, now: float
    ) -> list[Claim]:
        with self.write(operation) as connection:
            rows = take[0](connection, worker=worker, now=now, most=1).all()
            if not rows:
                rows = take[1](connection, worker=worker, now=now, most=limit).all()
            if rows:
                taken = json.dumps(sorted((row[_ID], row[_TOKEN]) for row in rows))
                _REMEMBER(connection, because=printable(f"claimed by {worker}"), now=now, taken=taken)
        return _claims(rows)

    def release(self, claims: Iterable[Claim], now: float, because: str = "given back unfinished") -> int:
        """Give claims back without burning their attempt; returns how many were still held."""
        with self.write("release") as connection:
            held = self._held(connection, {claim.id: claim.token for claim in claims})
            self._step("release.fenced")
            if held:
                remember(connection, list(held), Status.QUEUED, because, now)
                connection.execute(
                    update(targets)
                    .where(targets.c.id.in_(list(held)))
                    .values(
                        status=Status.QUEUED,
                        owner=None,
                        claimed_at=None,
                        changed_at=now,
                        attempts=case((targets.c.attempts > 0, targets.c.attempts - 1), else_=0),
                    )
                )
        return len(held)

    def arrived(
        self, claims: Iterable[Claim], now: float, stars: Mapping[int, Mapping[str, float | None]] | None = None
    ) -> int:
        """Give claims back whose files are here now: workers may take them. Returns how many were still held.

        Parameters
        ----------
        stars : mapping of target id to what a catalogue knows of the star, optional
        """
        claims = list(claims)
        with self.write("arrived") as connection:
            held = self._held(connection, {claim.id: claim.token for claim in claims})
            self._step("arrived.fenced")
            if held:
                remember(connection, list(held), Status.QUEUED, "its files are here", now)
                values = {"status": Status.QUEUED, "owner": None, "claimed_at": None, "ready": True, "suspect": False}
                connection.execute(
                    update(targets)
                    .where(targets.c.id.in_(list(held)))
                    .values(values | {"attempts": 0, "deferrals": 0, "changed_at": now})
                )
            described = [
                {"this": number, "star": json.dumps(dict(star), allow_nan=False)}
                for number, star in (stars or {}).items()
                if number in held
            ]
            if described:
                one = update(targets).where(targets.c.id == bindparam("this")).values(star=bindparam("star"))
                connection.execute(one, described)
        return len(held)

    def ready(self, most: int) -> int:
        """Count the targets that wait with their files here, up to ``most``."""
        first = select(targets.c.id).where(text("status = 'QUEUED' AND ready AND NOT suspect")).limit(most).subquery()
        with self.read() as connection:
            return int(connection.execute(select(func.count()).select_from(first)).scalar_one())

    def wanted(self) -> bool:
        """Whether any target waits for its files."""
        waiting = "status = 'QUEUED' AND NOT ready AND"  # with the rest, word for word the condition of an index
        return self._any(text(f"{waiting} NOT suspect")) or self._any(text(f"{waiting} suspect"))


def _offered_values(target: NewTarget, now: float) -> dict[str, Any]:
    return {
        "priority": target.priority,
        "sector": target.sector,
        "inputs": target.inputs,
        "sources": json.dumps(target.sources),
        "star": json.dumps(dict(target.star), allow_nan=False),
        "remote": target.remote,
        "ready": not target.remote,
        "changed_at": now,
    }


def _target_values(target: NewTarget, now: float) -> dict[str, Any]:
    who = {"kind": target.kind, "key": target.key, "status": Status.QUEUED, "added_at": now}
    return who | _offered_values(target, now)


def _claims(rows: Sequence[Sequence[Any]]) -> list[Claim]:
    """Make claims of claimed rows, which a database gives back in any order; the priority is the last column."""
    rows = sorted(rows, key=lambda row: (-row[-1], row[_ID]))
    # all their JSON is read at once: that takes a third of the time
    told = iter(json.loads(f"[{','.join(f'{row[_SOURCES]},{row[_STAR]}' for row in rows)}]"))
    claims = []
    for row in rows:
        values = list(row[:-1])
        values[_SOURCES], values[_STAR] = tuple(next(told)), next(told)
        values[_SUSPECT] = bool(row[_SUSPECT])  # SQLite knows numbers only
        claims.append(Claim(*values))
    return claims
