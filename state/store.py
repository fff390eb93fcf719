"""The record, for those who change it: the queue, the fence, the history, in one transaction each.

Every write of a worker carries the token of its claim. Whoever was taken for dead, by swap, a hung device or a
sleeping laptop, holds an old token; its writes find no row, and nothing of what it brings is stored.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Double,
    Engine,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from state.connecting import backup, connect, faults, is_sqlite, place_of
from state.rows import CandidateRow, Claim, EnqueueReport, Message, NewTarget, PhaseRun, SignalRow, split_name
from state.schema import (
    candidates,
    counts,
    events,
    meta,
    moves,
    outbox,
    phase_runs,
    reviews,
    signals,
    targets,
    workers,
)
from state.status import ANSWERED, RESTING, IllegalMove, LostRace, StateError, Status, UnknownName, check_move

__all__ = ["CandidateRow", "Claim", "End", "EnqueueReport", "NewTarget", "PhaseRun", "SignalRow", "State", "nothing"]

_Item = TypeVar("_Item")

BATCH = 2000  # rows in one transaction of the long operations, so that nobody waits long for the write lock
OFFERED_AT_ONCE = 10_000  # more: each transaction writes every page of the queue's index that it has touched
PACE_SECONDS = 2 * 86_400  # how far back the pace is kept

_OFFERED = ("priority", "sector", "inputs", "sources", "star", "remote", "ready", "changed_at")
_QUEUED_AGAIN: dict[str, Any] = {
    "status": Status.QUEUED,
    "owner": None,
    "claimed_at": None,
    "next_at": None,
    "error_class": None,
    "error": None,
    "attempts": 0,
    "suspect": False,
}


_CLAIMED = ("id", "kind", "key", "token", "attempts", "phase", "inputs", "suspect", "deferrals", "sector")
_RUN = tuple(field.name for field in fields(PhaseRun))


# ------------------------------------------------------------------------------ statements that are built only once


def _take(alias: str, which: str) -> Any:
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
    return (
        update(targets)
        .where(targets.c.id.in_(select(picked.c.id)))
        .values(
            status=Status.RUNNING,
            owner=bindparam("worker"),
            claimed_at=bindparam("now"),
            changed_at=bindparam("now"),
            token=targets.c.token + 1,
            attempts=targets.c.attempts + 1,
        )
        .returning(*(targets.c[name] for name in _CLAIMED), targets.c.sources, targets.c.star, targets.c.priority)
    )


_TAKE = _take("queue", "queue.ready AND NOT queue.suspect")
_TAKE_SUSPECT = _take("suspects", "suspects.ready AND suspects.suspect")
_TAKE_WANTED = _take("wanted", "NOT wanted.ready AND NOT wanted.suspect")
_TAKE_WANTED_SUSPECT = _take("wanted_suspects", "NOT wanted_suspects.ready AND wanted_suspects.suspect")

_PROGRESS = (
    update(targets)
    .where(targets.c.id.in_(bindparam("ids", expanding=True)))
    .values(phase=bindparam("phase"), attempts=0, deferrals=0, suspect=False, changed_at=bindparam("now"))
)


def _kept(column: str, value: str) -> ColumnElement[Any]:
    """What was measured: as it is handed in if the hunt found an answer, else only if there is anything new."""
    new = bindparam(value, type_=targets.c[column].type)
    return case((bindparam("found", type_=Boolean()), new), else_=func.coalesce(new, targets.c[column]))


_END = (
    update(targets)
    .where(
        targets.c.id == bindparam("target"),
        targets.c.token == bindparam("fence"),
        targets.c.status == Status.RUNNING,
    )
    .values(
        status=bindparam("outcome"),
        owner=None,
        claimed_at=None,
        changed_at=bindparam("now"),
        attempts=0,
        suspect=False,
        ready=not_(targets.c.remote),  # until it is hunted again its files may be gone
        deferrals=bindparam("more_deferrals") * (targets.c.deferrals + 1),
        next_at=bindparam("wakes_at"),
        error_class=bindparam("failure"),
        error=bindparam("words"),
        model=_kept("model", "model_sha"),
        best_period=_kept("best_period", "period"),
        best_snr=_kept("best_snr", "snr"),
    )
)


def _history(came_from: ColumnElement[Any]) -> Any:
    said = [
        bindparam("there", type_=Text()),
        bindparam("because", type_=Text()),
        bindparam("now", type_=Double()),
    ]
    rows = select(targets.c.id, came_from, *said, targets.c.token)
    rows = rows.where(targets.c.id.in_(bindparam("ids", expanding=True))).order_by(targets.c.id)
    return insert(moves).from_select(["target_id", "came_from", "went_to", "because", "at", "token"], rows)


_FROM_HERE = _history(targets.c.status)
_FROM_THERE = _history(bindparam("came_from", type_=Text()))


def _remember(
    connection: Connection,
    ids: Sequence[int],
    there: Status,
    because: str,
    now: float,
    came_from: Status | None = None,
) -> None:
    """Write the history of a move: before it is made, or afterwards with ``came_from``."""
    said = {"ids": ids, "there": there, "because": _printable(because), "now": now}
    if came_from is None:
        connection.execute(_FROM_HERE, said)
    else:
        connection.execute(_FROM_THERE, said | {"came_from": came_from})


@dataclass(frozen=True, slots=True)
class End:
    """How one claim ends, and what is recorded with it; see ``State.finish``."""

    claim: Claim
    outcome: Status
    because: str
    signals: tuple[SignalRow, ...] = ()
    candidates: tuple[CandidateRow, ...] = ()
    runs: tuple[PhaseRun, ...] = ()
    model: str | None = None
    best_period: float | None = None
    best_snr: float | None = None
    error_class: str | None = None
    error: str | None = None
    next_at: float | None = None
    messages: tuple[Message, ...] = ()  # owed to people once this end stands

    @property
    def found(self) -> bool:
        """Whether the hunt came as far as an answer about the sky, or to one that waits for a model."""
        return self.outcome in ANSWERED or self.outcome is Status.HELD


def nothing(step: str) -> None:
    """The step that does nothing: what runs outside crash tests."""


class State:
    """The record of one hunt. Safe to share between threads; each process opens its own.

    Open it with ``State.open``, and use it as a context manager or ``close`` it. Times are seconds since 1970, UTC,
    and always handed in; ``now()`` is the database's own clock, the same for all its workers.

    A ``step`` is called with the name of each boundary as it is passed: ``<operation>.before-begin``, ``.begun``,
    ``.fenced`` (record and finish), ``.before-install``, ``.installed`` (finish), ``.before-commit``, ``.committed``.
    """

    def __init__(self, engine: Engine, step: Callable[[str], None] = nothing) -> None:
        self.engine = engine
        self._step = step

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

    # ------------------------------------------------------------------------------------------------ the queue

    def enqueue(self, offered: Iterable[NewTarget], now: float) -> EnqueueReport:
        """Queue what is new, and again what rests with other files or settings; in batches, each one transaction.

        A target whose ``inputs`` are the same is left as it is; so is one in a worker's hands, whose new inputs
        are noticed the next time it is offered. Running it twice changes nothing.
        """
        total: dict[str, int] = {field.name: 0 for field in fields(EnqueueReport)}
        for batch in _batches(offered, OFFERED_AT_ONCE):
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
            _remember(connection, [row["this"] for row in again], Status.QUEUED, "its files or settings changed", now)
            connection.execute(update(targets).where(here).values(columns | _QUEUED_AGAIN | {"deferrals": 0}), again)
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

    def _claim(self, operation: str, take: tuple[Any, Any], worker: str, limit: int, now: float) -> list[Claim]:
        who = {"worker": worker, "now": now}
        with self.write(operation) as connection:
            rows = connection.execute(take[0], who | {"most": 1}).all()
            if not rows:
                rows = connection.execute(take[1], who | {"most": limit}).all()
            if rows:
                ids = [row.id for row in rows]
                _remember(connection, ids, Status.RUNNING, f"claimed by {worker}", now, came_from=Status.QUEUED)
        return [
            Claim(
                **dict(zip(_CLAIMED, row, strict=False)),
                sources=tuple(json.loads(row.sources)),
                star=json.loads(row.star),
            )
            for row in sorted(rows, key=lambda row: (-row.priority, row.id))
        ]

    def release(self, claims: Iterable[Claim], now: float, because: str = "given back unfinished") -> int:
        """Give claims back without burning their attempt; returns how many were still held."""
        with self.write("release") as connection:
            held = self._held(connection, {claim.id: claim.token for claim in claims})
            self._step("release.fenced")
            if held:
                _remember(connection, list(held), Status.QUEUED, because, now)
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
                _remember(connection, list(held), Status.QUEUED, "its files are here", now)
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
        return self._any(text("status = 'QUEUED' AND NOT ready"))

    # ------------------------------------------------------------------------------------------------ progress

    def phase_runs(self, target_ids: Collection[int]) -> dict[int, list[PhaseRun]]:
        """Return what was recorded of each target, an empty list where nothing was."""
        found: dict[int, list[PhaseRun]] = {target: [] for target in target_ids}
        with self.read() as connection:
            for some in _batches(found, BATCH):
                query = select(phase_runs).where(phase_runs.c.target_id.in_(some)).order_by(*phase_runs.primary_key)
                for row in connection.execute(query):
                    found[row.target_id].append(PhaseRun(**row._mapping))
        return found

    def record(self, runs: Sequence[PhaseRun], tokens: Mapping[int, int], now: float) -> set[int]:
        """Record the phases that a batch of targets has finished, in one transaction.

        Parameters
        ----------
        runs : sequence of PhaseRun
            In the order in which they ran; a target may have several.
        tokens : mapping of target id to token
            The fences, from the claims.

        Returns
        -------
        set of int
            The targets that were lost to another worker. Nothing was written for them.
        """
        if strangers := {run.target_id for run in runs} - tokens.keys():
            raise StateError(f"record() was given phases of targets {sorted(strangers)} without their tokens")
        with self.write("record") as connection:
            held = self._held(connection, tokens)
            self._step("record.fenced")
            rows = {
                (run.target_id, run.phase, run.item): {name: getattr(run, name) for name in _RUN}
                for run in runs
                if run.target_id in held
            }
            last: dict[str, list[int]] = {}
            for target, phase in {run.target_id: run.phase for run in runs if run.target_id in held}.items():
                last.setdefault(phase, []).append(target)
            for phase, some in last.items():
                connection.execute(_PROGRESS, {"phase": phase, "now": now, "ids": some})
            if rows:
                connection.execute(self.upsert(phase_runs, ("target_id", "phase", "item")), list(rows.values()))
        return set(tokens) - held.keys()

    def finish(
        self,
        claim: Claim,
        outcome: Status,
        because: str,
        now: float,
        *,
        signals: Sequence[SignalRow] = (),
        candidates: Sequence[CandidateRow] = (),
        runs: Sequence[PhaseRun] = (),
        model: str | None = None,
        best_period: float | None = None,
        best_snr: float | None = None,
        error_class: str | None = None,
        error: str | None = None,
        next_at: float | None = None,
        install: Callable[[], None] | None = None,
    ) -> bool:
        """End a claim with its outcome, its signals, its candidates and their files, all together or not at all.

        Parameters
        ----------
        runs : sequence of PhaseRun
            Phases that end with the claim itself, such as publishing.
        install : callable, optional
            Renames the candidates' files into place. It is called inside the transaction, after the fence and
            after every row was accepted, so that only the commit itself is left to fail; what it raises undoes
            the transaction.
        next_at : float, optional
            When a DEFERRED target is to be asked again; at once if not given.

        Returns
        -------
        bool
            False if the target was lost to another worker: nothing was written and ``install`` was not called.

        Notes
        -----
        An answer (CANDIDATE, CLEARED, NO_SIGNAL) replaces the signals and candidates of an earlier hunt; HELD
        replaces the signals. The other outcomes say nothing about the sky, so what was found before stays.
        A candidate that is found again keeps its row and its reviews by its ephemeris key.
        """
        end = End(
            claim,
            outcome,
            because,
            tuple(signals),
            tuple(candidates),
            tuple(runs),
            model,
            best_period,
            best_snr,
            error_class,
            error,
            next_at,
        )
        return not self.finish_all([end], now, install=install)

    def finish_all(self, ends: Sequence[End], now: float, *, install: Callable[[], None] | None = None) -> set[int]:
        """End several claims in one transaction, each as :meth:`finish` would, all or none.

        Returns
        -------
        set of int
            The targets that were lost to another worker: nothing was written for them. ``install`` is called only
            if none was lost.
        """
        for end in ends:
            check_move(Status.RUNNING, end.outcome)
            if end.outcome is Status.QUEUED:
                raise IllegalMove("finish() ends a claim; to give it back there is release()")
        tokens = {end.claim.id: end.claim.token for end in ends}
        with self.write("finish") as connection:
            lost = tokens.keys() - self._held(connection, tokens).keys()
            ends = [end for end in ends if end.claim.id not in lost]
            if not ends:
                return set(lost)
            connection.execute(_END, [_end_values(end, now) for end in ends])
            self._step("finish.fenced")
            self._replace_signals(connection, ends)
            self._replace_candidates(connection, ends, now)
            rows = [{name: getattr(run, name) for name in _RUN} for end in ends for run in end.runs]
            if rows:
                connection.execute(self.upsert(phase_runs, ("target_id", "phase", "item")), rows)
            connection.execute(insert(moves), [_move_values(end, now) for end in ends])
            self.post(connection, [message for end in ends for message in end.messages], now)
            if install is not None and not lost:
                self._step("finish.before-install")
                install()
                self._step("finish.installed")
        return set(lost)

    def _replace_signals(self, connection: Connection, ends: Sequence[End]) -> None:
        """The signals of an answer, or of a target that waits for a model, replace those of an earlier hunt."""
        new = [end for end in ends if end.found or end.signals]
        if new:
            connection.execute(delete(signals).where(signals.c.target_id.in_([end.claim.id for end in new])))
        rows = [_signal_values(end.claim.id, row) for end in new for row in end.signals]
        if rows:
            connection.execute(insert(signals), rows)

    def _replace_candidates(self, connection: Connection, ends: Sequence[End], now: float) -> None:
        """The candidates of an answer replace those of an earlier hunt; one found again keeps its row."""
        names = {end.claim.id: end.claim.name for end in ends}
        answered = [end for end in ends if end.outcome in ANSWERED]
        empty = [end.claim.id for end in answered if not end.candidates]
        gone: list[ColumnElement[bool]] = [candidates.c.target_id.in_(empty)] if empty else []
        gone += [
            and_(
                candidates.c.target_id == end.claim.id,
                candidates.c.ephemeris_key.not_in([row.ephemeris_key for row in end.candidates]),
            )
            for end in answered
            if end.candidates
        ]
        for condition in gone:
            left = delete(candidates).where(condition).returning(candidates.c.name, candidates.c.target_id)
            for name, target in connection.execute(left).all():
                words = f"{name} was not found again when {names[target]} was hunted anew; its reviews are kept"
                connection.execute(insert(events), _event_values("info", "candidate", words, now, target))
        rows = [asdict(row) | {"target_id": end.claim.id} for end in ends for row in end.candidates]
        if rows:
            connection.execute(self.upsert(candidates, ("target_id", "ephemeris_key")), rows)

    # ------------------------------------------------------------------------------------------------ moves

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
            values |= _QUEUED_AGAIN
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
            _remember(connection, [moved.id], there, because, now, came_from=here)

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
            self._requeue(and_(*condition, targets.c.id.in_(some)), because, now) for some in _batches(wanted, BATCH)
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
        values = _QUEUED_AGAIN | {"changed_at": now} | ({} if keep_deferrals else {"deferrals": 0})
        total = 0
        while True:
            if not self._any(condition):
                return total  # nobody waits for a write lock that is not needed
            with self.write("requeue") as connection:
                ids = list(connection.execute(query).scalars())
                if ids:
                    _remember(connection, ids, Status.QUEUED, because, now)
                    connection.execute(update(targets).where(targets.c.id.in_(ids)).values(values))
            total += len(ids)

    def _any(self, condition: Any) -> bool:
        with self.read() as connection:
            return connection.execute(select(targets.c.id).where(condition).limit(1)).first() is not None

    # ------------------------------------------------------------------------------------------------ workers

    def register_worker(self, worker: str, pid: int, host: str, boot_id: str, now: float, role: str = "worker") -> None:
        """Enter a worker, before its first claim; or a courier or a daemon, which beats like one."""
        row = {"id": worker, "pid": pid, "host": host, "boot_id": boot_id, "started_at": now, "heartbeat": now}
        row |= {"role": role}
        with self.write("register") as connection:
            connection.execute(
                self.upsert(workers, ("id",)), row | {"status": "running", "message": "", "stopped_at": None}
            )

    def heartbeat(self, worker: str, now: float, status: str = "running", message: str = "") -> bool:
        """Say that the worker lives; False if it is not registered."""
        with self.write("heartbeat") as connection:
            beat = update(workers).where(workers.c.id == worker)
            beat = beat.values(heartbeat=now, status=status, message=_printable(message), stopped_at=None)
            return connection.execute(beat).rowcount > 0

    def retire_worker(self, worker: str, now: float, message: str = "") -> None:
        """Say that the worker has ended in good order."""
        with self.write("retire") as connection:
            end = update(workers).where(workers.c.id == worker)
            connection.execute(end.values(heartbeat=now, stopped_at=now, status="stopped", message=_printable(message)))

    def reclaim(
        self,
        now: float,
        lease_seconds: float,
        host: str,
        boot_id: str,
        dead: Callable[[int], bool],
        max_deaths: int = 5,
        counted: bool = True,
    ) -> list[tuple[str, str]]:
        """Take back the claims of workers that are dead, unknown, retired, or silent for longer than the lease.

        Parameters
        ----------
        host, boot_id : str
            Of the caller. Of a worker of the same host and boot, ``dead(pid)`` is asked, and believed at once;
            of any other only its heartbeat speaks.
        max_deaths : int
            A target with so many claims since its last progress is quarantined.
        counted : bool
            Whether this death speaks against the target. False when a whole hunt was cut off, by a power cut or by
            hand: the attempt is given back and nothing is quarantined, however often that happens.

        Returns
        -------
        list of (name, what became of it)

        Notes
        -----
        What is taken back becomes a suspect: it is claimed alone, until a phase of it is recorded, so that one
        poisonous target is found out at the price of a batch. A heartbeat further in the future than the lease
        is as dead as an old one: the clock was set back and nobody has beaten since.
        """
        with self.read() as connection:
            owners = connection.execute(_owners()).scalars().all()
        if not owners:
            return []
        taken: list[tuple[str, str]] = []
        with self.write("reclaim") as connection:
            known = {row.id: row for row in connection.execute(select(workers))}
            for owner in connection.execute(_owners()).scalars().all():
                reason = _why_lost(owner, known.get(owner), now, lease_seconds, host, boot_id, dead)
                if reason is not None:
                    taken += self._take_back(connection, owner, reason, now, max_deaths if counted else None)
        return taken

    def _take_back(
        self, connection: Connection, owner: str | None, reason: str, now: float, max_deaths: int | None
    ) -> list[tuple[str, str]]:
        query = (
            select(targets.c.id, targets.c.kind, targets.c.key, targets.c.attempts, targets.c.phase)
            .where(_running(), targets.c.owner == owner if owner is not None else targets.c.owner.is_(None))
            .order_by(targets.c.id)
            .with_for_update(skip_locked=True)  # locked by a finish that is under way: not lost after all
        )
        taken: list[tuple[str, str]] = []
        for row in connection.execute(query).all():
            values: dict[str, Any] = {"owner": None, "claimed_at": None, "changed_at": now}
            if max_deaths is not None and row.attempts >= max_deaths:
                there = Status.QUARANTINED
                where = f"in the phase after {row.phase}" if row.phase else "in its first phase"
                because = f"its worker died {row.attempts} times {where}"
                values |= {"suspect": False, "error_class": "worker-died", "error": f"{because}; at last {reason}"}
            else:
                there, because = Status.QUEUED, reason
                values |= {"suspect": True}
                if max_deaths is None:
                    values |= {"attempts": max(0, row.attempts - 1)}
            _remember(connection, [row.id], there, because, now)
            connection.execute(update(targets).where(targets.c.id == row.id).values(values | {"status": there}))
            taken.append((f"{row.kind} {row.key}", f"{there}: {because}"))
        return taken

    # ------------------------------------------------------------------------------------------------ words

    def log(self, level: str, kind: str, text: str, now: float, target_id: int | None = None) -> None:
        """Write one line of the journal that ``status`` shows."""
        with self.write("log") as connection:
            connection.execute(insert(events), _event_values(level, kind, text, now, target_id))

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
            words = {"decision": decision, "reason": _printable(reason), "reviewer": reviewer, "at": now}
            connection.execute(insert(reviews), row | words)

    # ------------------------------------------------------------------------------------------------ keeping

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

    # ------------------------------------------------------------------------------------------------ one transaction

    def post(self, connection: Connection, messages: Sequence[Message], now: float) -> None:
        """Owe people these messages, as part of the transaction that does what they tell; each is owed once."""
        if messages:
            rows = [
                {
                    "dedup": message.dedup,
                    "channel": message.channel,
                    "kind": message.kind,
                    "payload": json.dumps(dict(message.payload), allow_nan=False),
                    "created_at": now,
                    "next_at": now,
                }
                for message in messages
            ]
            connection.execute(self._insert(outbox).on_conflict_do_nothing(), rows)

    @contextmanager
    def write(self, operation: str) -> Iterator[Connection]:
        """One transaction that writes; committed whole, or not at all."""
        self._step(f"{operation}.before-begin")
        with faults(self.engine), self.engine.begin() as connection:
            self._step(f"{operation}.begun")
            yield connection
            self._step(f"{operation}.before-commit")
        self._step(f"{operation}.committed")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads, and takes no write lock."""
        with faults(self.engine), self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    def _held(self, connection: Connection, tokens: Mapping[int, int]) -> dict[int, int]:
        """Return those of the claims that still hold, and keep them so until the commit."""
        held: dict[int, int] = {}
        for some in _batches(sorted(tokens), BATCH):
            query = (
                select(targets.c.id, targets.c.token)
                .where(targets.c.id.in_(some), targets.c.status == Status.RUNNING)
                .order_by(targets.c.id)
                .with_for_update()
            )
            held |= {row.id: row.token for row in connection.execute(query) if row.token == tokens[row.id]}
        return held

    def _insert(self, table: Table) -> Any:
        return sqlite.insert(table) if is_sqlite(self.engine) else postgresql.insert(table)

    def upsert(self, table: Table, key: Sequence[str]) -> Any:
        statement = self._insert(table)
        # row by row, each column that is handed in; what is not handed in (a candidate's id) stays
        return statement.on_conflict_do_update(
            index_elements=list(key),
            set_={
                column.name: statement.excluded[column.name]
                for column in table.c
                if column.name not in key and column.name != "id"
            },
        )


_FOLD = """WITH gone AS (
    DELETE FROM {table} WHERE slot <> 0 AND ctid IN (
        SELECT ctid FROM {table} WHERE slot <> 0 FOR UPDATE SKIP LOCKED)
    RETURNING {names}, n)
INSERT INTO {table} AS c ({names}, slot, n) SELECT {names}, 0, sum(n) FROM gone GROUP BY {names} ORDER BY {names}
ON CONFLICT ({names}, slot) DO UPDATE SET n = c.n + excluded.n"""


def _running() -> ColumnElement[bool]:
    return literal_column("targets.status") == literal_column("'RUNNING'")


def _owners() -> Select[Any]:
    return select(targets.c.owner).where(_running()).distinct()


def _why_lost(
    owner: str | None,
    worker: Any,
    now: float,
    lease_seconds: float,
    host: str,
    boot_id: str,
    dead: Callable[[int], bool],
) -> str | None:
    """Say why the claims of a worker are to be taken back, ``None`` if they are not."""
    if worker is None:
        return f"its worker {owner or '(none)'} is not known here"
    if worker.stopped_at is not None:
        return f"its worker {owner} ended without it"
    if worker.host == host and worker.boot_id == boot_id and dead(worker.pid):
        return f"its worker {owner} (process {worker.pid}) died"
    silent = now - worker.heartbeat
    if abs(silent) <= lease_seconds:
        return None
    if silent < 0:
        return f"its worker {owner} has not been heard since the clock was set back by {-silent:.0f} s or more"
    return f"its worker {owner} was silent for {silent:.0f} s"


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


def _batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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


def _signal_values(target: int, row: SignalRow) -> dict[str, Any]:
    return asdict(row) | {"target_id": target, "findings": json.dumps(list(row.findings), allow_nan=False)}


def _end_values(end: End, now: float) -> dict[str, Any]:
    deferred = end.outcome is Status.DEFERRED
    return {
        "target": end.claim.id,
        "fence": end.claim.token,
        "outcome": end.outcome,
        "now": now,
        "more_deferrals": int(deferred),
        "wakes_at": (now if end.next_at is None else end.next_at) if deferred else None,
        "failure": end.error_class,
        "words": _printable(end.error),
        "found": end.found,
        "model_sha": end.model,
        "period": end.best_period,
        "snr": end.best_snr,
    }


def _move_values(end: End, now: float) -> dict[str, Any]:
    return {
        "target_id": end.claim.id,
        "came_from": Status.RUNNING,
        "went_to": end.outcome,
        "because": _printable(end.because),
        "at": now,
        "token": end.claim.token,
    }


def _event_values(level: str, kind: str, words: str, now: float, target_id: int | None) -> dict[str, Any]:
    return {"level": level, "kind": kind, "text": _printable(words), "at": now, "target_id": target_id}


def _printable(words: str | None) -> str | None:
    """Make text that every database takes: file names may hold bytes that are no text, tracebacks a NUL."""
    if words is None:
        return None
    return words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
