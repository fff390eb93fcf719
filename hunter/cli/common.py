"""What the commands share: options, output on the right stream, the errors of the command line."""

import difflib
import errno
import inspect
import json
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="Folder of the hunt; else HUNTER_HOME, else the one with hunter.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]

PLAIN_WIDTH = 160  # columns off a terminal, where nobody's window folds the lines


class WrongUsage(Exception):
    """The command line asks for something that can't be; exit code 2."""


class HomeUnusable(Exception):
    """The home can't be made or written; exit code 1."""


def say(line: str) -> None:
    """A line for the person, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def plural(number: int, noun: str) -> str:
    """``1 target``, ``12,000 targets``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """A duration in the two units a person needs."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"


def give(value: Any) -> None:
    """A result as JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False))


def console(stream: Any = None) -> Any:
    """A rich console that keeps plain off a terminal and honours NO_COLOR."""
    from rich.console import Console

    out = stream or sys.stdout
    width = None if out.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
    return Console(file=out, highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None, width=width)


def examples(*lines: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add examples to the help of a command, which is its docstring."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        # the mark \b keeps the help from filling these lines to a paragraph
        command.__doc__ = (
            inspect.cleandoc(command.__doc__ or "") + "\n\n\b\nExamples:\n" + "\n".join(f"  {x}" for x in lines)
        )
        return command

    return add


def summary(command: Callable[..., None]) -> str:
    """The first paragraph of a command's help, for the list of commands; typer would cut it short."""
    return inspect.cleandoc(command.__doc__ or "").partition("\n\n")[0]


def one_of(option: str, word: str, known: Collection[str]) -> str:
    """The word, if it is known.

    Raises
    ------
    WrongUsage
        With the nearest word and all of them.
    """
    if word in known:
        return word
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise WrongUsage(f"{option} {word}: unknown{hint}; one of {', '.join(known)}")


def make_home(home: Path) -> Path:
    """Make the folder of a hunt if it is missing, and see that it can be written, before anything else is done.

    Raises
    ------
    HomeUnusable
        With the reason and the cure.
    """
    probe = home / f".hunter-{os.getpid()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except FileExistsError:
        raise HomeUnusable(f"{home} is a file: a hunt needs a folder; name another --home") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise HomeUnusable(f"{home} cannot be written ({why}): make it writable, or name another --home") from None
    return home


def write_text(place: str, text: str, option: str) -> None:
    """Write what an option asked for to its file, whole or not at all, or to stdout for ``-``."""
    if place == "-":
        sys.stdout.write(text)
        return
    from candidates.files import write_durably

    path = Path(place).expanduser()
    if path.is_dir():
        raise WrongUsage(f"{option} {place}: is a folder; name a file in it, or - for stdout")
    try:
        write_durably(path, text.encode())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise HomeUnusable(f"{path} cannot be written ({error.strerror}): name another {option}") from None
    say(f"{option.strip('-')}: {path}")


def open_record(home: str | None) -> tuple[Any, Any]:
    """The light settings of a home and a reader of its record."""
    from hunter.settings import load
    from state.reading import Reader

    settings = load(home, light=True)
    return settings, Reader(settings.database)


def with_reason(reader: Any, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the reason of its last move: a traceback is kept only where the fault is ours."""
    if row["error"] or row["status"] not in ("UNUSABLE", "NO_DATA", "DEFERRED"):
        return row
    moves = reader.target(row["kind"], row["key"])["moves"]
    return row | {"because": moves[-1]["because"] if moves else None}
