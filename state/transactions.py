"""What every part of the record stands on: one transaction, the fence, the history of a move."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    CursorResult,
    Double,
    Engine,
    Executable,
    Table,
    Text,
    bindparam,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from state.connecting import faults, is_sqlite
from state.rows import Message
from state.schema import moves, outbox, targets
from state.status import Status

_Item = TypeVar("_Item")

BATCH = 2000  # rows in one transaction of the long operations, so that nobody waits long for the write lock

QUEUED_AGAIN: dict[str, Any] = {
    "status": Status.QUEUED,
    "owner": None,
    "claimed_at": None,
    "next_at": None,
    "error_class": None,
    "error": None,
    "attempts": 0,
    "suspect": False,
}


def nothing(step: str) -> None:
    """The step that does nothing: what runs outside crash tests."""


class numbers(FunctionElement[int]):
    """The numbers in a JSON array, for ``IN``: one text and one parameter, however many they are."""

    inherit_cache = True

    def __init__(self, array: ColumnElement[str]) -> None:
        super().__init__(array)


@compiles(numbers, "sqlite")
def _numbers_of_sqlite(element: numbers, compiler: Any, **more: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **more)}))"


@compiles(numbers, "postgresql")
def _numbers_of_postgresql(element: numbers, compiler: Any, **more: Any) -> str:
    array = compiler.process(element.clauses, **more)
    return f"(SELECT CAST(json_array_elements_text(CAST({array} AS json)) AS bigint))"


def among(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """Whether the column is one of the numbers in the JSON array that is handed in under this name."""
    return column.op("IN", is_comparison=True, return_type=Boolean())(numbers(bindparam(name, type_=Text())))


class Prepared:
    """A statement whose text is made once for each database, then handed to the driver as it is.

    For the few that are asked all the time: what SQLAlchemy does anew for each call takes longer than the statement.
    Every value is handed in by its name. What comes back is what the driver gives: a truth value of SQLite is a number.
    """

    def __init__(self, statement: Executable | None = None, **by_database: Executable) -> None:
        self._statement, self._by_database = statement, by_database
        self._made: dict[str, tuple[str, dict[str, Any], list[str] | None]] = {}

    def __call__(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Run it with these values."""
        sql, constants, names = self._text(connection)
        return connection.exec_driver_sql(sql, _in_order(constants | values, names))

    def many(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it with the values of each row."""
        sql, constants, names = self._text(connection)
        connection.exec_driver_sql(sql, [_in_order(constants | dict(row), names) for row in rows])

    def _text(self, connection: Connection) -> tuple[str, dict[str, Any], list[str] | None]:
        name = connection.dialect.name
        made = self._made.get(name)
        if made is None:
            statement: Any = self._by_database.get(name, self._statement)
            compiled = statement.compile(dialect=connection.dialect)
            names = compiled.positiontup if compiled.positional else None
            made = self._made[name] = (compiled.string, dict(compiled.params), names)
        return made


def _in_order(values: dict[str, Any], names: Sequence[str] | None) -> Any:
    return values if names is None else tuple([values[name] for name in names])


class Transactions:
    """Transactions on one database; the other parts of ``state.store.State`` are built on it.

    A ``step`` is called with the name of each boundary as it is passed: ``<operation>.before-begin``, ``.begun``,
    ``.fenced`` (record and finish), ``.before-install``, ``.installed`` (finish), ``.before-commit``, ``.committed``.
    """

    def __init__(self, engine: Engine, step: Callable[[str], None] = nothing) -> None:
        self.engine = engine
        self._step = step

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

    def _insert(self, table: Table) -> Any:
        return sqlite.insert(table) if is_sqlite(self.engine) else postgresql.insert(table)

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

    def _held(self, connection: Connection, tokens: Mapping[int, int]) -> dict[int, int]:
        """Return those of the claims that still hold, and keep them so until the commit."""
        rows: Iterable[Any] = _HELD(connection, ids=json.dumps(sorted(tokens)))
        return {number: token for number, token in rows if token == tokens[number]}

    def _any(self, condition: Any) -> bool:
        with self.read() as connection:
            return connection.execute(select(targets.c.id).where(condition).limit(1)).first() is not None


def _history(came_from: ColumnElement[Any]) -> Prepared:
    said = [
        bindparam("there", type_=Text()),
        bindparam("because", type_=Text()),
        bindparam("now", type_=Double()),
    ]
    rows = select(targets.c.id, came_from, *said, targets.c.token)
    rows = rows.where(among(targets.c.id, "ids")).order_by(targets.c.id)
    return Prepared(insert(moves).from_select(["target_id", "came_from", "went_to", "because", "at", "token"], rows))


_HELD = Prepared(
    select(targets.c.id, targets.c.token)
    .where(among(targets.c.id, "ids"), targets.c.status == literal_column("'RUNNING'"))
    .order_by(targets.c.id)
    .with_for_update()
)
_FROM_HERE = _history(targets.c.status)
_FROM_THERE = _history(bindparam("came_from", type_=Text()))


def remember(
    connection: Connection,
    ids: Sequence[int],
    there: Status,
    because: str,
    now: float,
    came_from: Status | None = None,
) -> None:
    """Write the history of a move: before it is made, or afterwards with ``came_from``."""
    said = {"ids": json.dumps(list(ids)), "there": str(there), "because": printable(because), "now": now}
    if came_from is None:
        _FROM_HERE(connection, **said)
    else:
        _FROM_THERE(connection, **said, came_from=str(came_from))


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    batch: list[_Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def event_values(level: str, kind: str, words: str, now: float, target_id: int | None) -> dict[str, Any]:
    return {"level": level, "kind": kind, "text": printable(words), "at": now, "target_id": target_id}


def printable(words: str | None) -> str | None:
    """Make text that every database takes: file names may hold bytes that are no text, tracebacks a NUL."""
    if words is None:
        return None
    return words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
