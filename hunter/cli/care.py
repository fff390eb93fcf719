"""Commands that care: doctor, retry, db."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, console, examples, give, plural, say

database = typer.Typer(name="db", help="Back up, check and migrate the database.", no_args_is_help=True)


@examples("hunter doctor", "hunter doctor --online", "hunter doctor --json")
def doctor(
    home: Home = None,
    online: Annotated[bool, typer.Option("--online", help="Ask the archive one small thing, too.")] = False,
    json: AsJson = False,
) -> None:
    """Look at everything a night depends on: each line ok, warn or fail, with the cure. Exit 1 if one fails."""
    from dataclasses import asdict

    from hunter.doctor import examine
    from hunter.settings import SettingsError, find_home, load

    try:
        find_home(home)
    except SettingsError:
        home = str(Path.cwd())  # before there is a hunt, look at the machine
    settings = load(home)
    checks = []
    out = console(sys.stderr if json else None)
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    for check in examine(settings, online=online):
        checks.append(check)
        if not json:
            out.print(f"[{colours[check.status]}]{check.status:<5}[/] {check.name:<9} ", end="")
            out.print(check.note + (f" -> {check.cure}" if check.cure else ""), markup=False, soft_wrap=True)
    if json:
        give([asdict(check) for check in checks])
    if any(check.status == "fail" for check in checks):
        sys.exit(1)


@examples(
    "hunter retry 'TIC 261136679'",
    "hunter retry --class ArchiveUnavailable",
    "hunter retry --all --because 'mended the reader'",
)
def retry(
    target: Annotated[list[str] | None, typer.Argument(metavar="TARGET", help="Targets to queue again.")] = None,
    home: Home = None,
    error_class: Annotated[
        str | None, typer.Option("--class", help="All failures of this class; see `hunter status`.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are quarantined, deferred or held.")] = False,
    because: Annotated[str, typer.Option(help="Kept in the history.")] = "asked by hand",
    json: AsJson = False,
) -> None:
    """Put targets back in the queue: those named, or the quarantined, deferred and held ones."""
    from hunter.settings import load
    from state.reading import Reader
    from state.status import Status
    from state.store import State

    if not target and not error_class and not everything:
        raise WrongUsage("name a target, or give --class or --all")
    settings = load(home, light=True)
    with Reader(settings.database) as reader:
        found = {text: [row["name"] for row in reader.find(text)] for text in target or []}
    unknown = [text for text, rows in found.items() if not rows]
    if unknown:
        raise WrongUsage(f"{', '.join(unknown)}: not in this hunt: give TIC numbers or candidates' names")
    names = [name for rows in found.values() for name in rows]
    outcomes = () if names else (Status.QUARANTINED, Status.DEFERRED, Status.HELD)
    state = State.open(settings.database, synchronous=settings.state.synchronous)
    try:
        again = state.requeue(because, time.time(), outcomes=outcomes, error_class=error_class, names=names)
    finally:
        state.close()
    if json:
        give({"queued": again})
    else:
        print(f"{plural(again, 'target')} queued again")
    if again:
        say("next: the same hunter run takes them up")
    else:
        say("none of them rests in an outcome that a retry changes")
        sys.exit(1)


@database.command("backup")
@examples("hunter db backup", "hunter db backup --out /mnt/usb/hunter.sqlite")
def backup(
    home: Home = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; <home>/state otherwise.")] = None,
) -> None:
    """Copy the database while it is in use."""
    from hunter.settings import load
    from state.store import State

    settings = load(home, light=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path = out or settings.home / "state" / f"hunter-{stamp}.sqlite"
    state = State.open(settings.database, synchronous=settings.state.synchronous)
    try:
        state.backup(path)
    finally:
        state.close()
    print(path)


@database.command("restore")
@examples("hunter db restore hunt/state/hunter-20260101-000000.sqlite")
def restore(
    backup: Annotated[Path, typer.Argument(metavar="FILE", help="The backup; it stays where it is.")],
    home: Home = None,
) -> None:
    """Put a backup in the place of the database; what was there is kept beside it."""
    from hunter.engine import home_lock
    from hunter.settings import load
    from state.connecting import restore as put
    from state.place import sqlite_file

    settings = load(home, light=True)
    file = sqlite_file(settings.database)
    if file is None:
        raise WrongUsage("the record is a server's database: restore it with its own tool, pg_restore or psql")
    if not backup.is_file():
        raise WrongUsage(f"{backup} is not there: `hunter db backup` makes one")
    with home_lock(settings.home):
        kept = put(file, backup, time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
    print(file)
    if kept is not None:
        say(f"what was there is kept as {kept}")


@database.command("check")
@examples("hunter db check --json")
def check(home: Home = None, json: AsJson = False) -> None:
    """Check the whole database; exit 1 if something is wrong."""
    from hunter.settings import load
    from state.store import State

    settings = load(home, light=True)
    state = State.open(settings.database, synchronous=settings.state.synchronous)
    try:
        problems = state.check()
    finally:
        state.close()
    if json:
        give({"problems": problems})
    else:
        print("\n".join(problems) or "the database is whole, and its counters are right")
    if problems:
        sys.exit(1)


@database.command("migrate")
@examples("hunter db migrate")
def migrate(home: Home = None) -> None:
    """Bring the database to this version's schema.

    A copy is kept beside it. Every command that writes does the same.
    """
    from hunter.settings import load
    from state.store import State

    settings = load(home, light=True)
    State.open(settings.database, synchronous=settings.state.synchronous).close()
    print("the database has this version's schema")
