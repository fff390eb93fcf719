"""Commands that look: status, candidates, show, review, verify, export. They import no science."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, console, examples, give, say

export = typer.Typer(name="export", help="Write the record of the hunt as files others read.", no_args_is_help=True)
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where to; - is stdout.")]


def _reader(home: str | None) -> tuple[Any, Any]:
    from hunter.settings import load
    from state.reading import Reader

    settings = load(home, light=True)
    return settings, Reader(settings.database)


@examples("hunter status", "hunter status --watch", "hunter status --json | jq .status")
def status(
    home: Home = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and draw anew every second.")] = False,
    json: AsJson = False,
) -> None:
    """Show how the hunt stands: phases, outcomes, pace, time to go, failures, candidates, workers."""
    from hunter.screen import dashboard

    settings, reader = _reader(home)
    if json:
        give(reader.summary(time.time()) | {"home": str(settings.home)})
        return
    if not watch:
        console().print(dashboard(reader.summary(time.time()), settings.home, time.time()))
        return
    if not sys.stdout.isatty():
        raise WrongUsage("--watch needs a terminal: use --json in a loop instead")
    from rich.live import Live

    with Live(console=console(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(dashboard(reader.summary(time.time()), settings.home, time.time()), refresh=True)
                time.sleep(1)
        except KeyboardInterrupt:
            pass


@examples("hunter candidates", "hunter candidates --min-probability 0.95 --sort snr", "hunter candidates --json")
def candidates(
    home: Home = None,
    sort: Annotated[str, typer.Option(help="probability, snr, sde, period, depth, name or published.")] = "probability",
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many.")] = None,
    min_probability: Annotated[float | None, typer.Option(help="Only from this probability on.")] = None,
    min_snr: Annotated[float | None, typer.Option(help="Only from this S/N on.")] = None,
    decision: Annotated[str | None, typer.Option(help="Only those reviewed so; unreviewed for the others.")] = None,
    json: AsJson = False,
) -> None:
    """List the candidates, best first."""
    from hunter.screen import candidate_table

    settings, reader = _reader(home)
    rows = reader.candidates(
        sort=sort, limit=limit, min_probability=min_probability, min_snr=min_snr, decision=decision
    )
    if json:
        give(rows)
        return
    console().print(candidate_table(rows, settings.home))


@examples("hunter show 'TIC 261136679'", "hunter show 261136679 --json")
def show(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="TIC number or candidate name.")],
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Show all that is recorded of one target: signals, findings, pages, reviews, history."""
    from hunter.screen import show_target

    _, reader = _reader(home)
    found = reader.find(target)
    if not found:
        raise WrongUsage(f"{target} is not in this hunt: `hunter status` shows what is")
    if json:
        give(found)
        return
    for row in found:
        show_target(row, console())


@examples(
    "hunter review TIC_261136679_p6.267890 --decision pc --reason 'clean, flat-bottomed'",
    "hunter review TIC_261136679_p6.267890",
)
def review(
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="Name of the candidate, as its files are called.")],
    decision: Annotated[str | None, typer.Option("--decision", "-d", help="pc, eb, fp, fa, ...; see the error for all.")] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, in a sentence.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decides; your user name otherwise.")] = None,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Record a decision on a candidate, with its reason, by whom and when; or show the decisions so far.

    Decisions are only ever added: a later one stands beside the earlier, and the latest counts.
    """
    from candidates.review import InvalidDecision, parse_decision

    settings, reader = _reader(home)
    row = next((row for row in reader.candidates() if row["name"] == candidate), None)
    if row is None:
        raise WrongUsage(f"{candidate} is no candidate of this hunt: `hunter candidates` lists them")
    if decision is not None:
        try:
            word = parse_decision(decision)
        except InvalidDecision as error:
            raise WrongUsage(str(error)) from None
        if not reason.strip():
            raise WrongUsage("--reason is missing: a decision without its reason helps nobody later")
        import getpass

        from state.store import State

        state = State.open(settings.database, synchronous=settings.state.synchronous)
        try:
            state.review(candidate, str(word), reason.strip(), by or os.environ.get("HUNTER_REVIEWER") or getpass.getuser(), time.time())
        finally:
            state.close()
        say(f"{candidate}: {word}")
        from hunter.pages import rewrite_index

        rewrite_index(settings, time.time())
    decisions = [
        other
        for other in reader.reviews()
        if (other["target_id"], other["ephemeris_key"]) == (row["target_id"], row["ephemeris_key"])
    ]
    if json:
        give(decisions)
        return
    from hunter.screen import review_table

    console().print(review_table(candidate, decisions))


@examples("hunter verify", "hunter verify --json")
def verify(home: Home = None, json: AsJson = False) -> None:
    """Read every candidate's files again and compare their hashes with the record; exit 1 if one differs."""
    from hunter.pages import verify_files

    settings, reader = _reader(home)
    problems, checked = verify_files(settings.home / "candidates", reader.candidates())
    if json:
        give({"checked": checked, "problems": problems})
    else:
        for problem in problems:
            print(problem)
        print(f"{checked} files of {checked // 3} candidates read, {len(problems)} problems")
    if problems:
        sys.exit(1)


def _write(settings: Any, lines: Any, name: str, out: str | None) -> None:
    if out == "-":
        sys.stdout.writelines(lines)
        return
    from candidates.files import write_durably

    path = Path(out) if out else settings.home / "exports" / name
    write_durably(path, "".join(lines).encode())
    print(path)


@export.command("log")
@examples("hunter export log", "hunter export log --out -")
def export_log(home: Home = None, out: Out = None) -> None:
    """Write processed_stars.txt: one line a target with its last stage, status and best period."""
    from candidates.exports import processed_stars

    settings, reader = _reader(home)
    _write(settings, processed_stars(reader.processed()), "processed_stars.txt", out)


@export.command("timings")
@examples("hunter export timings")
def export_timings(home: Home = None, out: Out = None) -> None:
    """Write hunter_timings.csv: milliseconds of every stage, a line a target."""
    from candidates.exports import timings

    settings, reader = _reader(home)
    rows = ({**row, "ms": row["milliseconds"]} for row in reader.timings())
    _write(settings, timings(rows), "hunter_timings.csv", out)


@export.command("table")
@examples("hunter export table", "hunter export table --json --out -")
def export_table(home: Home = None, out: Out = None, json: AsJson = False) -> None:
    """Write candidates.csv (or .json): one line a candidate with its ephemeris, score and review."""
    from candidates.exports import table, table_json

    from candidates.rows import complete

    settings, reader = _reader(home)
    rows = complete(settings.home / "candidates", reader.candidates())
    if json:
        _write(settings, [table_json(rows)], "candidates.json", out)
    else:
        _write(settings, table(rows), "candidates.csv", out)
