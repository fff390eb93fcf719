"""Commands that look: status, candidates, show, review, verify. They import no science."""

import os
import sys
import time
from shlex import quote
from typing import Annotated, Any

import typer

from hunter.cli.common import (
    AsJson,
    Home,
    WrongUsage,
    console,
    examples,
    give,
    one_of,
    open_record,
    plural,
    say,
    with_reason,
)


@examples("hunter status", "hunter status --watch", "hunter status --json | jq .status")
def status(
    home: Home = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and draw anew every second.")] = False,
    json: AsJson = False,
) -> None:
    """Show how the hunt stands: phases, outcomes, pace, time to go, failures, candidates, workers."""
    from hunter.screen import dashboard
    from hunter.settings import load
    from state.reading import Reader
    from state.status import DatabaseMissing

    settings = load(home, light=True)
    try:
        reader = Reader(settings.database)
    except DatabaseMissing:
        if not settings.home.is_dir():
            raise
        _never_hunted(settings, json)
        return
    if json:
        give(_summary(reader, time.time()) | {"home": str(settings.home)})
        return
    out = console()
    if not watch:
        now = time.time()
        out.print(dashboard(_summary(reader, now), settings.home, now, out.width))
        return
    if not out.is_terminal or out.is_dumb_terminal:
        raise WrongUsage("--watch needs a terminal: use hunter status --json in a loop instead")
    import signal

    from rich.live import Live

    # a plain SIGTERM would leave the terminal on the screen that we draw on
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with Live(console=out, screen=True, auto_refresh=False) as live:
        try:
            while True:
                now = time.time()
                live.update(dashboard(_summary(reader, now), settings.home, now, out.width), refresh=True)
                time.sleep(1)
        except KeyboardInterrupt:
            pass  # the way to leave


def _summary(reader: Any, now: float) -> dict[str, Any]:
    """The summary of the state, each failure's example with its reason."""
    found: dict[str, Any] = reader.summary(now)
    for row in found["failures"]:
        if row["example"]:
            row["example"] = with_reason(reader, row["example"])
    return found


def _never_hunted(settings: Any, json: bool) -> None:
    """A home that is there, and nothing in it yet: no mistake, so no error."""
    if json:
        give({"home": str(settings.home), "total": 0, "counts": {}})
    else:
        print(f"{settings.home}\nnobody has hunted here yet")
        say(f"next: hunter run --home {quote(str(settings.home))} --archive DIR")


@examples(
    "hunter candidates",
    "hunter candidates --min-probability 0.95 --sort snr",
    "hunter candidates --next-to-review 10",
    "hunter candidates --json",
)
def candidates(
    home: Home = None,
    sort: Annotated[
        str, typer.Option(metavar="WORD", help="probability, snr, sde, period, depth, name or published.")
    ] = "probability",
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many.")] = None,
    min_probability: Annotated[float | None, typer.Option(help="Only from this probability on, 0 to 1.")] = None,
    min_snr: Annotated[float | None, typer.Option(help="Only from this S/N on.")] = None,
    decision: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only those reviewed so (pc, eb, ...), or unreviewed.")
    ] = None,
    next_to_review: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The N unreviewed ones that a look would teach most about.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the candidates, best first.

    With --next-to-review those that the model is least sure of, and unlike what was looked at before; what was
    suggested is logged, and `hunter train --include-reviews` learns from the decisions.
    """
    from hunter.screen import candidate_table
    from state.reading import SORTS

    settings, reader = open_record(home)
    rows = reader.candidates(
        sort=one_of("--sort", sort, SORTS),
        limit=limit,
        min_probability=min_probability,
        min_snr=min_snr,
        decision=None if decision is None else _decision(decision, "unreviewed"),
    )
    if next_to_review is not None:
        everything = rows if (limit, min_probability, min_snr, decision) == (None,) * 4 else reader.candidates()
        _suggest(settings, everything, rows, next_to_review, json)
        return
    if json:
        give(rows)
        return
    if not rows and reader.candidates(limit=1):
        say("no candidate fits: take an option away")
        return
    out = console()
    out.print(candidate_table(rows, settings.home, out.width))


def _suggest(settings: Any, everything: list[Any], fitting: list[Any], number: int, json: bool) -> None:
    """Print what to look at next, among the rows that fit, and put it on record."""
    from hunter.suggest import log_suggestion, next_to_review

    names = {row["name"] for row in fitting}
    rows = [row for row in everything if row["name"] in names or row["decision"] is not None]
    chosen = next_to_review(rows, number, settings.home / "candidates")
    if chosen:
        try:
            log_suggestion(settings.home, chosen, sum(row["decision"] is None for row in everything), time.time())
        except OSError as error:
            say(f"not logged ({error.strerror}): whoever trains on the decisions cannot know that they were picked")
    if json:
        give(chosen)
        return
    if not chosen:
        say("nothing to review: every candidate has a decision" if everything else "no candidates yet")
    for rank, row in enumerate(chosen, start=1):
        print(f"{rank:>3}  {row['name']:<36} {row['why']}")
    if chosen:
        say(f"next: hunter review {quote(chosen[0]['name'])} --decision pc --reason 'why'")


def _decision(word: str, *others: str) -> str:
    """The full name of a decision, or one of the other words."""
    from candidates.review import InvalidDecision, parse_decision

    if word in others:
        return word
    try:
        return str(parse_decision(word))
    except InvalidDecision as error:
        raise WrongUsage(str(error)) from None


@examples("hunter show 'TIC 261136679'", "hunter show 261136679 --json")
def show(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="TIC number or candidate name.")],
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Show all that is recorded of one target: signals, findings, pages, reviews, history."""
    from hunter.screen import show_target

    settings, reader = open_record(home)
    found = [row | {"candidates_folder": str(settings.home / "candidates")} for row in reader.find(target)]
    if not found:
        raise WrongUsage(f"{target} is not in this hunt: give a TIC number or a candidate's name")
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
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="Name of the candidate, as its files are called.")
    ],
    decision: Annotated[
        str | None,
        typer.Option("--decision", "-d", metavar="WORD", help="pc, kp, eb, neb, fp, fa, v or u; or the whole word."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, in a sentence.")] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who decides; your user name otherwise.")] = None,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Record a decision on a candidate, with its reason, by whom and when; or show the decisions so far.

    \b
    pc  planet candidate    kp   known planet      fp  false positive (not a planet)   v  variable star
    eb  eclipsing binary    neb  nearby eclipse    fa  false alarm (no real dip)       u  unsure

    Decisions are only ever added: a later one stands beside the earlier, and the latest counts.
    """
    settings, reader = open_record(home)
    row = next((row for row in reader.candidates() if row["name"] == candidate), None)
    if row is None:
        raise WrongUsage(f"{candidate} is no candidate of this hunt: `hunter candidates` lists them")
    if decision is None and reason.strip():
        raise WrongUsage("--decision is missing: a reason alone decides nothing")
    if decision is not None:
        word = _decision(decision)
        if not reason.strip():
            raise WrongUsage("--reason is missing: a decision without its reason helps nobody later")
        import getpass

        from hunter.pages import rewrite_index
        from state.store import State

        reviewer = by or os.environ.get("HUNTER_REVIEWER") or getpass.getuser()
        state = State.open(settings.database, synchronous=settings.state.synchronous, check=False)
        try:
            state.review(candidate, word, reason.strip(), reviewer, time.time())
        finally:
            state.close()
        say(f"{candidate}: {word.replace('_', ' ')}, by {reviewer}")
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

    settings, reader = open_record(home)
    recorded = reader.candidates()
    problems, checked = verify_files(settings.home / "candidates", recorded)
    if json:
        give({"checked": checked, "problems": problems})
    else:
        for problem in problems:
            print(problem)
        of = plural(len(recorded), "candidate")
        print(f"{plural(checked, 'file')} of {of} read, {plural(len(problems), 'problem')}")
    if problems:
        sys.exit(1)
