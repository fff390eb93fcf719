"""What workers bring: phases that are done, and how each claim ends. Every write carries the token of its claim."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Double,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    literal_column,
    not_,
    select,
    update,
)

from state.connecting import is_sqlite
from state.rows import CandidateRow, Claim, Message, PhaseRun, SignalRow
from state.schema import candidates, events, moves, phase_runs, signals, targets
from state.status import ANSWERED, IllegalMove, StateError, Status, check_move
from state.transactions import BATCH, Prepared, Transactions, among, batches, event_values, printable

_RUN = tuple(field.name for field in fields(PhaseRun))
_PROGRESS = Prepared(
    update(targets)
    .where(among(targets.c.id, "ids"))
    .values(phase=bindparam("phase"), attempts=0, deferrals=0, suspect=False, changed_at=bindparam("now"))
)
_NO_SIGNALS = Prepared(delete(signals).where(among(signals.c.target_id, "ids")))
_NO_CANDIDATES = Prepared(
    delete(candidates).where(among(candidates.c.target_id, "ids")).returning(candidates.c.name, candidates.c.target_id)
)

_SAID_OF_AN_END: dict[str, Any] = {
    "target": BigInteger(),
    "fence": BigInteger(),
    "outcome": Text(),
    "because": Text(),
    "more_deferrals": Integer(),
    "wakes_at": Double(),
    "failure": Text(),
    "words": Text(),
    "found": Boolean(),
    "model_sha": Text(),
    "period": Double(),
    "snr": Double(),
}


def _end(said: Mapping[str, ColumnElement[Any]]) -> Any:
    """Make the update that ends a claim, as ``said``."""

    def kept(column: ColumnElement[Any], new: ColumnElement[Any]) -> ColumnElement[Any]:
        """What was measured: as it is handed in if the hunt found an answer, else only if there is anything new."""
        return case((said["found"], new), else_=func.coalesce(new, column))

    return (
        update(targets)
        .where(
            targets.c.id == said["target"],
            targets.c.token == said["fence"],
            targets.c.status == literal_column("'RUNNING'"),
        )
        .values(
            status=said["outcome"],
            owner=None,
            claimed_at=None,
            changed_at=bindparam("now"),
            attempts=0,
            suspect=False,
            ready=not_(targets.c.remote),  # until it is hunted again its files may be gone
            deferrals=said["more_deferrals"] * (targets.c.deferrals + 1),
            next_at=said["wakes_at"],
            error_class=said["failure"],
            error=said["words"],
            model=kept(targets.c.model, said["model_sha"]),
            best_period=kept(targets.c.best_period, said["period"]),
            best_snr=kept(targets.c.best_snr, said["snr"]),
        )
    )


def _told(said: Mapping[str, ColumnElement[Any]]) -> Any:
    """Make the insert of the history of an end, as ``said``."""
    here = literal("RUNNING", Text())
    row = select(
        said["target"], here, said["outcome"], said["because"], bindparam("now", type_=Double()), said["fence"]
    )
    return insert(moves).from_select(["target_id", "came_from", "went_to", "because", "at", "token"], row)


# Each end is a statement's worth of values where the database is in this process; a server gets all ends at once, as
# JSON, because every message to it costs more than what it does.
_ONE = {name: bindparam(name, type_=kind) for name, kind in _SAID_OF_AN_END.items()}
_ALL = (
    func.json_to_recordset(cast(bindparam("ends", type_=Text()), JSON))
    .table_valued(*(column(name, kind) for name, kind in _SAID_OF_AN_END.items()), name="ended")
    .render_derived(with_types=True)
)
_END_ONE, _TOLD_ONE = Prepared(_end(_ONE)), Prepared(_told(_ONE))
_END_ALL, _TOLD_ALL = Prepared(_end(dict(_ALL.c))), Prepared(_told(dict(_ALL.c)))


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


class Progress(Transactions):
    """Phases are recorded and claims are ended, by those who still hold them."""

    def phase_runs(self, target_ids: Collection[int]) -> dict[int, list[PhaseRun]]:
        """Return what was recorded of each target, an empty list where nothing was."""
        found: dict[int, list[PhaseRun]] = {target: [] for target in target_ids}
        with self.read() as connection:
            for some in batches(found, BATCH):
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
                _PROGRESS(connection, phase=phase, now=now, ids=json.dumps(some))
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
            said = [_said_of(end, now) for end in ends]
            at_once = {} if is_sqlite(self.engine) else {"ends": json.dumps(said, allow_nan=False), "now": now}
            if at_once:
                _END_ALL(connection, **at_once)
            else:
                _END_ONE.many(connection, said)
            self._step("finish.fenced")
            self._replace_signals(connection, ends)
            self._replace_candidates(connection, ends, now)
            rows = [{name: getattr(run, name) for name in _RUN} for end in ends for run in end.runs]
            if rows:
                connection.execute(self.upsert(phase_runs, ("target_id", "phase", "item")), rows)
            if at_once:
                _TOLD_ALL(connection, **at_once)
            else:
                _TOLD_ONE.many(connection, said)
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
            _NO_SIGNALS(connection, ids=json.dumps([end.claim.id for end in new]))
        rows = [_signal_values(end.claim.id, row) for end in new for row in end.signals]
        if rows:
            connection.execute(insert(signals), rows)

    def _replace_candidates(self, connection: Connection, ends: Sequence[End], now: float) -> None:
        """The candidates of an answer replace those of an earlier hunt; one found again keeps its row."""
        names = {end.claim.id: end.claim.name for end in ends}
        answered = [end for end in ends if end.outcome in ANSWERED]
        empty = [end.claim.id for end in answered if not end.candidates]
        gone: list[Any] = list(_NO_CANDIDATES(connection, ids=json.dumps(empty))) if empty else []
        for end in answered:
            if end.candidates:
                others = candidates.c.ephemeris_key.not_in([row.ephemeris_key for row in end.candidates])
                left = delete(candidates).where(candidates.c.target_id == end.claim.id, others)
                gone += connection.execute(left.returning(candidates.c.name, candidates.c.target_id))
        for name, target in gone:
            words = f"{name} was not found again when {names[target]} was hunted anew; its reviews are kept"
            connection.execute(insert(events), event_values("info", "candidate", words, now, target))
        rows = [asdict(row) | {"target_id": end.claim.id} for end in ends for row in end.candidates]
        if rows:
            connection.execute(self.upsert(candidates, ("target_id", "ephemeris_key")), rows)


def _signal_values(target: int, row: SignalRow) -> dict[str, Any]:
    told = {"findings": row.findings, "detectors": row.detectors}
    return asdict(row) | {"target_id": target} | {k: json.dumps(list(v), allow_nan=False) for k, v in told.items()}


def _said_of(end: End, now: float) -> dict[str, Any]:
    deferred = end.outcome is Status.DEFERRED
    return {
        "target": end.claim.id,
        "fence": end.claim.token,
        "outcome": str(end.outcome),
        "because": printable(end.because),
        "now": now,
        "more_deferrals": int(deferred),
        "wakes_at": (now if end.next_at is None else end.next_at) if deferred else None,
        "failure": end.error_class,
        "words": printable(end.error),
        "found": end.found,
        "model_sha": end.model,
        "period": end.best_period,
        "snr": end.best_snr,
    }
