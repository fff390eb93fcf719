"""Logs: JSON lines in ``<home>/logs/hunter.jsonl`` for programs, short lines on stderr for people.

Every line says which hunt, which process, and, where there is one, which target and phase it speaks of. Secrets are
covered before a line is written. A line that cannot be written is counted and never raises: a full disk must not
end a hunt by its log.

All processes of a hunt append to one file, so that a night reads from top to bottom. Each line is one ``write`` to a
descriptor opened with ``O_APPEND``: the kernel puts whole writes to a local file one after the other, whatever their
length. Whoever finds the file too large renames it under a lock; the others notice that the name leads to another
file before their next line. A line on its way meanwhile lands in the file put aside, and is not lost.
"""

import fcntl
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import structlog
from annotated_types import Ge, Gt

from hunter.masking import masked

if TYPE_CHECKING:
    from hunter.settings import Settings

FILE = "hunter.jsonl"
LONGEST = 16_384  # characters of one value in a line: a traceback has room, a page of HTML has not
HEAD = ("at", "level", "event", "hunt", "role", "pid", "target", "phase")
CHATTY = (
    "urllib3",
    "requests",
    "apscheduler",
    "alembic",
    "astroquery",
    "astropy",
    "matplotlib",
    "numba",
    "jax",
    "asyncio",
)
COLOURS = {"warning": "33", "error": "31", "critical": "31;1", "debug": "2"}
Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The [logs] table."""

    level: Level = "info"  # the least that is written to <home>/logs/hunter.jsonl
    console: Level = "info"  # the least that is shown on stderr
    megabytes: Annotated[float, Gt(0)] = 20.0  # size at which hunter.jsonl is put aside
    keep: Annotated[int, Ge(1)] = 5  # files put aside that are kept


def say(line: str) -> None:
    """A line for the person, on stderr."""
    print(line, file=sys.stderr, flush=True)


def configure(
    folder: Path,
    settings: LogSettings,
    role: str,
    *,
    hunt: str,
    console: Callable[[str], None] | None = say,
    secrets: Iterable[str] = (),
    now: Callable[[], float] = time.time,
) -> "Journal":
    """Send everything this process logs to the journal of its hunt, and to the person.

    The standard library's loggers, those of the libraries we use and ``logger`` all end in the same two places.
    Calling it again replaces what it set up before.

    Parameters
    ----------
    folder : Path
        Where ``hunter.jsonl`` lies; made if missing.
    settings : LogSettings
    role : str
        What this process is: "engine", "daemon", "worker", "courier", ..
    hunt : str
        The hunt's name in every line: its home.
    console : callable, optional
        Takes each line for the person; None is silent.
    secrets : iterable of str
        Covered word for word, beside what looks like a secret.
    now : callable
        Seconds since 1970, for the time of a line.
    """
    covered = tuple(secrets)
    common = {"hunt": hunt, "role": role, "pid": os.getpid()}

    def complete(_logger: Any, _method: str, event: Any) -> Any:
        at = datetime.fromtimestamp(now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        whole = {"at": at, **common, "target": None, "phase": None, **event}
        ordered = {name: whole[name] for name in HEAD if name in whole} | whole
        return {name: _short(value) for name, value in masked(ordered, covered).items()}

    # what structlog's own chain does later, for the lines of other libraries
    foreign: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
    ]

    def formatter(render: Any) -> logging.Formatter:
        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=foreign,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                complete,
                render,
            ],
        )

    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Journal | _Person)]:
        root.removeHandler(handler)
        handler.close()
    journal = Journal(folder / FILE, int(settings.megabytes * 1e6), settings.keep)
    journal.setLevel(settings.level.upper())
    journal.setFormatter(formatter(_as_json))
    root.addHandler(journal)
    if console is not None:
        person = _Person(console)
        person.setLevel(settings.console.upper())
        person.setFormatter(formatter(_for_people))
        root.addHandler(person)
    ours = [handler for handler in root.handlers if isinstance(handler, Journal | _Person)]
    for handler in ours:
        handler.addFilter(_worth_a_line)
    root.setLevel(min(handler.level for handler in ours))
    return journal


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a line is ours, or a warning of a library.

    The libraries' own loggers are left alone: astropy makes its logger itself, and breaks where one is there before it.
    """
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in CHATTY


def configure_for(settings: "Settings", role: str, console: Callable[[str], None] | None = say) -> "Journal":
    """The same for a hunt's process, as its settings say; the addresses of people's channels are covered."""
    from hunter.notify.settings import secrets_of

    secrets = secrets_of(settings.notify)
    return configure(
        settings.home / "logs", settings.logs, role, hunt=str(settings.home), console=console, secrets=secrets
    )


def logger(name: str) -> Any:
    """A logger of events with values: ``logger(__name__).warning("short file", bytes=n)``."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def during(**what: Any) -> Iterator[None]:
    """Put ``target=`` and ``phase=`` into every line logged inside, also by libraries."""
    with structlog.contextvars.bound_contextvars(**what):
        yield


def bind(**what: Any) -> None:
    """The same from here on, for a loop that has no inside; None takes a word away."""
    for name, value in what.items():
        if value is None:
            structlog.contextvars.unbind_contextvars(name)
        else:
            structlog.contextvars.bind_contextvars(**{name: value})


class Journal(logging.Handler):
    """Appends lines to a file that several processes share, puts it aside when it is large, and never raises.

    Parameters
    ----------
    path : Path
    limit : int
        Bytes from which the file is put aside, as ``<name>.1``, the older ones one further.
    keep : int
        How many are kept beside the one in use.
    """

    def __init__(self, path: Path, limit: int, keep: int) -> None:
        super().__init__()
        self.path = path
        self.limit = limit
        self.keep = keep
        self.lost = 0  # lines that could not be written, not yet confessed
        self.why = ""
        self._descriptor: int | None = None
        self._torn = False  # the last write ended in the middle of a line

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # a value that cannot be shown
            line = json.dumps({"level": "error", "event": "a line could not be made", "why": repr(error)[:200]})
        try:
            descriptor = self._open()
            text = line + "\n"
            if self.lost:
                confession = {"level": "warning", "event": "lines were lost", "number": self.lost, "why": self.why}
                text = json.dumps(confession) + "\n" + text
            if self._torn:
                text = "\n" + text
            whole = text.encode("utf-8", "backslashreplace")
            written = os.write(descriptor, whole)
            self._torn = written < len(whole)
            if self._torn:
                raise OSError("only a part of a line fitted on the disk")
            self.lost = 0
        except OSError as error:
            self.lost += 1
            self.why = error.strerror or str(error)
            return
        with suppress(OSError):  # the line is written; if another was quicker, or nothing can be renamed, so be it
            if os.fstat(descriptor).st_size >= self.limit:
                self._put_aside(descriptor)

    def _open(self) -> int:
        """The descriptor of the file that bears the name now."""
        if self._descriptor is not None:
            try:
                named, held = os.stat(self.path), os.fstat(self._descriptor)
                if (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev):
                    return self._descriptor
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
            self._descriptor = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def _put_aside(self, descriptor: int) -> None:
        """Shift the files by one, unless another process is at it or was quicker."""
        lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(self.path).st_ino != os.fstat(descriptor).st_ino:
                return
            for number in range(self.keep - 1, 0, -1):
                older = self.path.with_name(f"{self.path.name}.{number}")
                if older.exists():
                    os.replace(older, self.path.with_name(f"{self.path.name}.{number + 1}"))
            os.replace(self.path, self.path.with_name(f"{self.path.name}.1"))
        finally:
            os.close(lock)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        super().close()


class _Person(logging.Handler):
    """Hands each line to a callable; a closed terminal is nobody's problem."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.show(self.format(record))
        except Exception:
            self.show = lambda line: None


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST:
        half = LONGEST // 2
        return f"{value[:half]} … {value[-half:]}"
    return value


def _as_json(_logger: Any, _method: str, event: Mapping[str, Any]) -> str:
    # a NaN is no JSON: the line says null, and a reader's parser stays whole
    return json.dumps(_finite(event), ensure_ascii=False, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _for_people(_logger: Any, _method: str, event: Mapping[str, Any]) -> str:
    """``03:12:07 warning  short file  target=TIC 7 phase=fetch bytes=2880``, a traceback below."""
    level = str(event.get("level", "info"))
    left_out = {"at", "level", "event", "hunt", "pid", "exception", "logger"}
    rest = " ".join(
        f"{name}={value}" for name, value in event.items() if name not in left_out and value not in (None, "")
    )
    first, *more = str(event.get("event", "")).splitlines() or [""]
    said = f"{first} …" if more else first  # the rest of it stands in the file
    line = f"{str(event['at'])[11:19]} {level:<7} {said}" + (f"  {rest}" if rest else "")
    line = " ".join(line.splitlines())
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR") and level in COLOURS:
        line = f"\033[{COLOURS[level]}m{line}\033[0m"
    return line + (f"\n{event['exception']}" if event.get("exception") else "")


# Before anybody has configured anything, structlog would print on stdout, which is for results.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
