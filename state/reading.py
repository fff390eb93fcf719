"""The record, for those who only look: no write lock, no upgrade, and no SQLAlchemy where the record is SQLite.

A reader opens the file read-only. It works beside a living writer, and after one was killed and left its log
behind. Every method is one short look; long lists come in pages, so that no reader holds the log open.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from state.place import corrupt, is_damage, refuse_other_age, sqlite_file, without_password
from state.rows import split_name
from state.status import DatabaseMissing, DatabaseUnavailable, StateError, Status

Row = dict[str, Any]

PAGE = 5000  # rows of one look of the long lists

SORTS = {
    "probability": "c.probability IS NULL, c.probability DESC, c.snr DESC, c.id",
    "snr": "c.snr DESC, c.id",
    "sde": "c.sde IS NULL, c.sde DESC, c.id",
    "period": "c.period, c.id",
    "depth": "c.depth DESC, c.id",
    "name": "c.name",
    "published": "c.published_at DESC, c.id DESC",
}
"""How candidates may be sorted; the first is the usual one."""

_CANDIDATES = """
    SELECT c.*, t.kind, t.key, t.sector, t.status,
        r.decision, r.reason, r.reviewer, r.at AS reviewed_at,
        (SELECT min(h.words) FROM shared_signals AS h WHERE h.target_id = c.target_id
            AND h.period = c.period AND h.epoch = c.epoch) AS shared
    FROM candidates AS c
    JOIN targets AS t ON t.id = c.target_id
    LEFT JOIN reviews AS r ON r.id = (
        SELECT max(x.id) FROM reviews AS x WHERE x.target_id = c.target_id AND x.ephemeris_key = c.ephemeris_key)
"""

_SUSPECTS = (
    "SELECT count(*) AS n FROM targets WHERE status = 'QUEUED' AND ready AND suspect",
    "SELECT count(*) AS n FROM targets WHERE status = 'QUEUED' AND NOT ready AND suspect",
)
_READY = """SELECT count(*) AS n FROM (
    SELECT 1 FROM targets WHERE status = 'QUEUED' AND ready AND NOT suspect LIMIT 1000) AS first"""

_OWED = "SELECT count(*) AS n FROM outbox WHERE status = 'waiting'"
_DEAD = "SELECT count(*) AS n FROM outbox WHERE status = 'dead'"
_WORDS = """SELECT key, value FROM meta
    WHERE key IN ('courier', 'device', 'last_poll', 'last_poll_at', 'next_poll_at', 'waiting')
    OR key LIKE 'breaker:%'"""
_RELEASES = """SELECT sector, product, status, count, listed, looked_at, failed_polls, enumerated_at, note FROM releases
    WHERE status NOT IN ('unseen', 'enumerated')
    OR sector = (SELECT max(sector) FROM releases WHERE status = 'enumerated')
    ORDER BY sector DESC, product LIMIT 12"""

_FINISHED = {"last_5_minutes": 300, "last_hour": 3600, "last_24_hours": 86_400}


class _Door(Protocol):
    def query(self, sql: str, values: Mapping[str, Any]) -> list[Row]: ...

    def close(self) -> None: ...


class Reader:
    """Looks into the record at ``url`` (a file, ``sqlite:///file``, or a PostgreSQL URL).

    Raises
    ------
    DatabaseMissing, DatabaseTooOld, DatabaseTooNew, DatabaseCorrupt, DatabaseUnavailable
        As their names say, in one line with the cure.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        file = sqlite_file(url)
        place = str(file) if file is not None else without_password(os.fspath(url))
        self._door: _Door = _File(file) if file is not None else _Server(os.fspath(url))
        try:
            if not self._has_schema(file is not None):
                if file is not None and file.stat().st_size == 0:
                    raise corrupt(file, "it is empty")
                raise DatabaseMissing(f"{place} holds no hunt: start one with `hunter run`")
            refuse_other_age(str(self._value("SELECT version_num AS n FROM alembic_version")), place)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._door.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------ the whole

    def summary(self, now: float, candidates: int = 10, events: int = 20) -> Row:
        """Return what the dashboard shows, from counters and short index ranges only.

        Returns
        -------
        dict
            ``total``; ``counts`` of every status; ``phases`` {phase: targets that have done it}; ``finished``
            {last_5_minutes, last_hour, last_24_hours}, to ten seconds; ``first_recent``, when the first of the last
            five minutes was finished; ``queue`` {queued, suspects, ready (counted to
            1,000), running, deferred, next_due}; ``workers``, newest heartbeat first, each with ``age`` in seconds;
            ``failures``, one a class with ``n`` and an ``example``; ``candidates`` and ``events``, newest first;
            ``releases``, those on their way and the newest that was listed; ``outbox`` {waiting, dead}; ``words``, what
            the courier, the polls and the door to the archives have put down, as text;
            ``first_activity`` and ``last_activity``, ``None`` before there is any.
        """
        counted: dict[str, dict[str, int]] = {"status": {}, "phase": {}, "error": {}}
        for row in self._rows("SELECT what, name, sum(n) AS n FROM counts GROUP BY what, name"):
            counted[row["what"]][row["name"]] = int(row["n"])
        counts = {status.value: counted["status"].get(status, 0) for status in Status}
        workers = self._rows("SELECT * FROM workers ORDER BY heartbeat DESC, id LIMIT 20")
        for worker in workers:
            worker["age"] = now - worker["heartbeat"]
        moved = [
            self._value(f"SELECT at AS n FROM moves ORDER BY id {way} LIMIT 1")  # by number: the clock may be set back
            for way in ("ASC", "DESC")
        ]
        return {
            "total": sum(counts.values()),
            "counts": counts,
            "phases": {phase: n for phase, n in sorted(counted["phase"].items()) if n},
            "finished": {name: self._finished_since(now - seconds) for name, seconds in _FINISHED.items()},
            "first_recent": self._first_finish_since(now - _FINISHED["last_5_minutes"]),
            "queue": {
                "queued": counts[Status.QUEUED],
                "suspects": sum(int(self._value(query)) for query in _SUSPECTS),
                "ready": min(int(self._value(_READY)), counts[Status.QUEUED]),
                "running": counts[Status.RUNNING],
                "deferred": counts[Status.DEFERRED],
                "next_due": self._value("SELECT min(next_at) AS n FROM targets WHERE status = 'DEFERRED'"),
            },
            "workers": workers,
            "failures": self._failures_by_class(counted["error"]),
            "candidates": self.candidates("published", limit=candidates),
            "events": self.events(events),
            "releases": self._rows(_RELEASES),
            "outbox": {"waiting": int(self._value(_OWED)), "dead": int(self._value(_DEAD))},
            "words": {row["key"]: row["value"] for row in self._rows(_WORDS)},
            "first_activity": moved[0],
            "last_activity": max((at for at in (moved[1], *(w["heartbeat"] for w in workers)) if at), default=None),
        }

    def _first_finish_since(self, since: float) -> float | None:
        first = self._value("SELECT min(slice) AS n FROM pace WHERE slice >= :since", since=int(since // 10))
        return None if first is None else 10.0 * int(first)

    def _finished_since(self, since: float) -> int:
        query = "SELECT coalesce(sum(n), 0) AS n FROM pace WHERE slice >= :since"
        return int(self._value(query, since=int(since // 10)))

    def _failures_by_class(self, counted: Mapping[str, int]) -> list[Row]:
        query = """SELECT kind, key, status, error, next_at FROM targets
            WHERE error_class IS NOT NULL AND error_class = :error_class ORDER BY id LIMIT 1"""
        return [
            {"error_class": name, "n": n, "example": next(iter(self._rows(query, error_class=name)), None)}
            for name, n in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
            if n > 0
        ]

    def events(self, limit: int = 20) -> list[Row]:
        """Return the newest events, newest first, each with the name of its target where it has one."""
        query = """SELECT e.at, e.level, e.kind, e.text, t.kind AS target_kind, t.key AS target_key
            FROM events AS e LEFT JOIN targets AS t ON t.id = e.target_id ORDER BY e.id DESC LIMIT :limit"""
        return self._rows(query, limit=limit)

    def events_since(self, since: float) -> dict[str, int]:
        """Return how many events there were since then, by level."""
        query = "SELECT level, count(*) AS n FROM events WHERE at >= :since GROUP BY level"
        return {row["level"]: int(row["n"]) for row in self._rows(query, since=since)}

    def sector_at_rest(self, sector: int, product: str) -> bool:
        """Return whether every listed star of a release has an outcome; stops at the first that has none."""
        query = """SELECT 1 AS n FROM products AS p JOIN targets AS t ON t.kind = p.kind AND t.key = p.key
            WHERE p.sector = :sector AND p.product = :product AND p.delisted_at IS NULL
            AND t.status IN ('QUEUED', 'RUNNING', 'DEFERRED') LIMIT 1"""
        return not self._rows(query, sector=sector, product=product)

    def sector_candidates(self, sector: int, product: str) -> int:
        """Return how many listed stars of a release have a candidate."""
        query = """SELECT count(DISTINCT t.id) AS n FROM candidates AS c JOIN targets AS t ON t.id = c.target_id
            JOIN products AS p ON p.kind = t.kind AND p.key = t.key
            WHERE p.sector = :sector AND p.product = :product AND p.delisted_at IS NULL"""
        return int(self._value(query, sector=sector, product=product))

    def get(self, key: str) -> str | None:
        """Return a word that was put down with ``State.set``, ``None`` if there is none."""
        value = self._value("SELECT value AS n FROM meta WHERE key = :key", key=key)
        return None if value is None else str(value)

    # ------------------------------------------------------------------------------------------------ one target

    def target(self, kind: str, key: str) -> Row | None:
        """Return everything known of one target, ``None`` if it is not in this hunt.

        Returns
        -------
        dict
            The columns of the target, ``name``, and its ``signals``, ``phase_runs``, ``candidates`` (with their
            latest review), ``reviews`` and ``moves``, each in order.
        """
        rows = self._rows("SELECT * FROM targets WHERE kind = :kind AND key = :key", kind=kind, key=key)
        return self._with_all(rows[0]) if rows else None

    def find(self, text: str) -> list[Row]:
        """Return the targets that a name may mean, as ``target`` does; most often one, none if it is unknown.

        "TIC 261136679", "TIC261136679" and "261136679" all work, as does the name of a candidate. Where each
        sector is a target of its own, the bare star finds all of them.
        """
        named = self._rows("SELECT target_id FROM candidates WHERE name = :name", name=text.strip())
        if named:
            return [
                self._with_all(row)
                for row in self._rows("SELECT * FROM targets WHERE id = :id", id=named[0]["target_id"])
            ]
        kind, key = split_name(text)
        exact = "SELECT * FROM targets WHERE kind = :kind AND key = :key"
        sectors = "SELECT * FROM targets WHERE kind = :kind AND key >= :first AND key < :beyond ORDER BY key"
        return [
            self._with_all(row)
            for each in ([kind] if kind else self._kinds())
            for row in (
                *self._rows(exact, kind=each, key=key),
                *self._rows(sectors, kind=each, first=f"{key} s", beyond=f"{key} t"),
            )
        ]

    def _kinds(self) -> list[str]:
        """Step from one kind to the next in the index, without a look at the targets between."""
        query = """WITH RECURSIVE step (kind) AS (
                SELECT min(kind) FROM targets
                UNION ALL
                SELECT (SELECT min(t.kind) FROM targets AS t WHERE t.kind > step.kind)
                FROM step WHERE step.kind IS NOT NULL)
            SELECT kind FROM step WHERE kind IS NOT NULL"""
        return [row["kind"] for row in self._rows(query)]

    def _with_all(self, target: Row) -> Row:
        number = target["id"]
        row = _readable(target)
        row["name"] = f"{target['kind']} {target['key']}"
        shared = self._rows("SELECT * FROM shared_signals WHERE target_id = :id ORDER BY number, kind", id=number)
        row["signals"] = [
            signal
            | {name: json.loads(signal[name]) for name in ("findings", "detectors")}
            | {"shared": [said for said in shared if _ephemeris(said) == _ephemeris(signal)]}
            for signal in self._rows("SELECT * FROM signals WHERE target_id = :id ORDER BY number", id=number)
        ]
        row["phase_runs"] = self._rows(
            "SELECT * FROM phase_runs WHERE target_id = :id ORDER BY at, phase, item", id=number
        )
        row["candidates"] = self._rows(f"{_CANDIDATES} WHERE c.target_id = :id ORDER BY c.id", id=number)
        row["reviews"] = self._rows("SELECT * FROM reviews WHERE target_id = :id ORDER BY id", id=number)
        row["moves"] = self._rows("SELECT * FROM moves WHERE target_id = :id ORDER BY id", id=number)
        return row

    # ------------------------------------------------------------------------------------------------ many

    def candidates(
        self,
        sort: str = "probability",
        limit: int | None = None,
        *,
        min_probability: float | None = None,
        min_snr: float | None = None,
        decision: str | None = None,
    ) -> list[Row]:
        """Return the candidates with the target and the latest review of each.

        Parameters
        ----------
        sort : str
            One of ``SORTS``.
        decision : str, optional
            Only those whose latest decision this is; "unreviewed" for those that nobody has looked at.
        """
        if sort not in SORTS:
            raise StateError(f"candidates can be sorted by {', '.join(SORTS)}, not by {sort!r}")
        conditions = ["true"]
        values: dict[str, Any] = {}
        for condition, name, value in (
            ("c.probability >= :min_probability", "min_probability", min_probability),
            ("c.snr >= :min_snr", "min_snr", min_snr),
        ):
            if value is not None:
                conditions.append(condition)
                values[name] = value
        if decision == "unreviewed":
            conditions.append("r.id IS NULL")
        elif decision is not None:
            conditions.append("r.decision = :decision")
            values["decision"] = decision
        query = f"{_CANDIDATES} WHERE {' AND '.join(conditions)} ORDER BY {SORTS[sort]}"
        if limit is not None:
            query += " LIMIT :limit"
            values["limit"] = limit
        return self._rows(query, **values)

    def reviews(self) -> list[Row]:
        """Return every review ever given, oldest first."""
        return self._rows(
            "SELECT r.*, t.kind, t.key FROM reviews AS r JOIN targets AS t ON t.id = r.target_id ORDER BY r.id"
        )

    def scored(self) -> Iterator[Row]:
        """Yield the strongest scored signal of each target, candidate or not.

        Each row has the columns of the signal with ``findings`` read, the ``kind``, ``key``, ``star``, ``sources`` and
        ``model`` of its target, when it was ``scored_at``, and the path of what was ``fetched``.
        """
        page = """SELECT target_id, min(number) AS number FROM signals
            WHERE target_id > :after AND probability IS NOT NULL GROUP BY target_id ORDER BY target_id LIMIT :page"""
        query = """SELECT s.*, t.kind, t.key, t.star, t.sources, t.model, r.at AS scored_at, f.path AS fetched
            FROM signals AS s JOIN targets AS t ON t.id = s.target_id
            LEFT JOIN phase_runs AS r ON r.target_id = s.target_id AND r.phase = 'score' AND r.item = s.number
            LEFT JOIN phase_runs AS f ON f.target_id = s.target_id AND f.phase = 'fetch' AND f.item = 0
            WHERE s.target_id BETWEEN :first AND :last AND s.probability IS NOT NULL ORDER BY s.target_id, s.number"""
        after = -1
        while wanted := self._rows(page, after=after, page=PAGE):
            strongest = {(row["target_id"], row["number"]) for row in wanted}
            for row in self._rows(query, first=wanted[0]["target_id"], last=wanted[-1]["target_id"]):
                if (row["target_id"], row["number"]) in strongest:
                    yield row | {"star": json.loads(row["star"]), "findings": json.loads(row["findings"])}
            after = wanted[-1]["target_id"]

    def seen_signals(self) -> Iterator[Row]:
        """Yield the signals of all stars whose detectors are known, harmonics left out: what is to be compared.

        Each row has ``target_id``, ``number``, the ephemeris with its errors, ``duration``, ``depth``, ``n_transits``,
        the ``detectors`` and the ``star`` as they are stored, and the ``kind`` and ``key`` of the target.
        """
        query = """SELECT s.target_id, s.number, s.period, s.epoch, s.period_err, s.epoch_err, s.duration, s.depth,
                s.n_transits, s.detectors, t.kind, t.key, t.star
            FROM signals AS s JOIN targets AS t ON t.id = s.target_id
            WHERE s.target_id > :after AND s.target_id <= :last AND s.alias_of IS NULL AND s.detectors <> '[]'
            ORDER BY s.target_id, s.number"""
        page = """SELECT max(target_id) AS n FROM (
            SELECT target_id FROM signals WHERE target_id > :after ORDER BY target_id LIMIT :page) AS next"""
        after = -1
        while (last := self._value(page, after=after, page=PAGE)) is not None:
            yield from self._rows(query, after=after, last=last)
            after = last

    def last_move(self) -> int:
        """Return the number of the newest move, 0 before the first: while it stays, no signal has changed."""
        return int(self._value("SELECT coalesce(max(id), 0) AS n FROM moves"))

    def nights(self) -> list[float]:
        """Return when each night of this hunt began, oldest first, as far back as the events are kept."""
        query = "SELECT at FROM events WHERE kind = 'night' AND text LIKE 'a night begins%' ORDER BY at"
        return [row["at"] for row in self._rows(query)]

    def candidate_names(self) -> set[str]:
        """Return the names of all recorded candidates: what else lies in the folder, nobody has published."""
        return {row["name"] for row in self._rows("SELECT name FROM candidates")}

    def name_taken(self, name: str, target_id: int) -> bool:
        """Return whether a candidate of another target bears this name."""
        rows = self._rows("SELECT target_id FROM candidates WHERE name = :name", name=name)
        return any(row["target_id"] != target_id for row in rows)

    def failures(self, error_class: str | None = None) -> Iterator[Row]:
        """Yield the targets with an error, class by class: kind, key, status, phase, error_class, error, times."""
        columns = "id, kind, key, status, phase, attempts, deferrals, error_class, error, next_at, changed_at"
        name, number = error_class if error_class is not None else "", 0
        after = (
            "(error_class > :name OR (error_class = :name AND id > :number))"
            if error_class is None
            else "error_class = :name AND id > :number"
        )
        query = f"""SELECT {columns} FROM targets WHERE error_class IS NOT NULL AND {after}
            ORDER BY error_class, id LIMIT :page"""
        while rows := self._rows(query, name=name, number=number, page=PAGE):
            yield from rows
            name, number = rows[-1]["error_class"], rows[-1]["id"]

    def processed(self) -> Iterator[Row]:
        """Yield every target that was begun: kind, key, sector, phase (the last done), status, best_period, ..."""
        query = """SELECT id, kind, key, sector, phase, status, best_period, best_snr, changed_at, error_class, error
            FROM targets WHERE id > :after AND (phase <> '' OR status NOT IN ('QUEUED', 'RUNNING'))
            ORDER BY id LIMIT :page"""
        yield from self._pages(query)

    def timings(self) -> Iterator[Row]:
        """Yield the cost of every target that was begun: kind, key, sector, status, milliseconds {phase: ms}, total.

        A phase that ran once for each signal is summed over them.
        """
        query = """SELECT id, kind, key, sector, status FROM targets WHERE id > :after AND phase <> ''
            ORDER BY id LIMIT :page"""
        spent = """SELECT target_id, phase, 1000.0 * sum(seconds) AS ms FROM phase_runs
            WHERE target_id BETWEEN :first AND :last GROUP BY target_id, phase"""
        after = -1
        while rows := self._rows(query, after=after, page=PAGE):
            cost: dict[int, dict[str, float]] = {row["id"]: {} for row in rows}
            for run in self._rows(spent, first=rows[0]["id"], last=rows[-1]["id"]):
                cost.setdefault(run["target_id"], {})[run["phase"]] = float(run["ms"])
            for row in rows:
                milliseconds = cost[row["id"]]
                yield row | {"milliseconds": milliseconds, "total": sum(milliseconds.values())}
            after = rows[-1]["id"]

    def _pages(self, query: str) -> Iterator[Row]:
        after = -1
        while rows := self._rows(query, after=after, page=PAGE):
            yield from rows
            after = rows[-1]["id"]

    # ------------------------------------------------------------------------------------------------ private

    def _rows(self, sql: str, **values: Any) -> list[Row]:
        return self._door.query(sql, values)

    def _value(self, sql: str, **values: Any) -> Any:
        rows = self._door.query(sql, values)
        return rows[0]["n"] if rows else None

    def _has_schema(self, sqlite: bool) -> bool:
        if sqlite:
            return bool(self._rows("SELECT 1 AS n FROM sqlite_master WHERE name = 'alembic_version'"))
        return self._value("SELECT to_regclass('alembic_version') AS n") is not None


def _ephemeris(row: Row) -> tuple[int, float, float]:
    return row["number"], row["period"], row["epoch"]


def _readable(target: Row) -> Row:
    return target | {
        "sources": json.loads(target["sources"]),
        "star": json.loads(target["star"]),
        "suspect": bool(target["suspect"]),
    }


class _File:
    """SQLite, by the standard library, read-only."""

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            raise DatabaseMissing(
                f"{file} does not exist: start a hunt with `hunter run`, or name its home with --home"
            )
        address = f"{file.resolve().as_uri()}?mode=ro"
        # In a folder that may not be written, SQLite cannot make the shared memory of its log; where no log is left,
        # the file alone is the whole record.
        log = Path(f"{file}-wal")
        if not os.access(file.parent, os.W_OK) and not log.exists():
            address += "&immutable=1"
        self.connection = self._guarded(
            lambda: sqlite3.connect(address, uri=True, timeout=30, isolation_level=None, check_same_thread=False)
        )

    def query(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        def look() -> list[Row]:
            cursor = self.connection.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

        rows: list[Row] = self._guarded(look)
        return rows

    def _guarded(self, look: Any) -> Any:
        try:
            return look()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise corrupt(self.file, str(error)) from error
            if isinstance(error, sqlite3.OperationalError) and "no such" not in str(error):
                raise DatabaseUnavailable(f"{self.file} cannot be read just now: {error}") from error
            raise

    def close(self) -> None:
        self.connection.close()


class _Server:
    """Any other database, by SQLAlchemy, which is imported only now."""

    def __init__(self, url: str) -> None:
        from state.connecting import server_engine

        self.engine = server_engine(url)

    def query(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        from sqlalchemy import text

        from state.connecting import faults

        with faults(self.engine), self.engine.connect() as connection:
            rows: Sequence[Any] = connection.execute(text(sql), dict(values)).mappings().all()
            return [dict(row) for row in rows]

    def close(self) -> None:
        self.engine.dispose()
