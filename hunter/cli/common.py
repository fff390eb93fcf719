"""What the commands share: options, output on the right stream, the wrong-usage error."""

import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

Home = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="Folder of the hunt; else HUNTER_HOME, else the one with hunter.toml."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


class WrongUsage(Exception):
    """The command line asks for something that can't be; exit code 2."""


def say(line: str) -> None:
    """A line for the person, on stderr: stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def give(value: Any) -> None:
    """A result as JSON on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str, allow_nan=False))


def console(stream: Any = None) -> Any:
    """A rich console that keeps plain off a terminal and honours NO_COLOR."""
    from rich.console import Console

    out = stream or sys.stdout
    return Console(file=out, highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None)


def examples(*lines: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add examples to the help of a command, which is its docstring."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        command.__doc__ = (command.__doc__ or "").rstrip() + "\n\n\b\nExamples:\n" + "\n".join(f"  {x}" for x in lines)
        return command

    return add
