"""Commands that tell people: try the channels, send again what was given up."""

import sys
import time
from typing import Annotated

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, examples, give, plural, say

notify = typer.Typer(name="notify", help="Try the channels that tell people of the hunt.", no_args_is_help=True)
NONE_SET = "[notify] channels is empty: put 'webhook https://..', 'command PROGRAM ..' or 'apprise ADDRESS' there"


@notify.command("test")
@examples("hunter notify test", "hunter notify test --json")
def trial(home: Home = None, json: AsJson = False) -> None:
    """Send a test message to every channel now, and say how each answered; exit 1 if one did not take it."""
    from hunter.notify.delivery import try_all
    from hunter.notify.letter import letter_of
    from hunter.notify.messages import trial as trial_of
    from hunter.notify.settings import channels_of
    from hunter.settings import load
    from state.rows import OwedMessage

    settings = load(home, light=True)
    channels = channels_of(settings.notify)
    if not channels:
        raise WrongUsage(NONE_SET)
    now = time.time()
    letter = letter_of(OwedMessage(0, trial_of(settings, now)[0], now, 0))
    found = try_all(channels, letter, settings.notify.limit_seconds)
    if json:
        give(found)
    else:
        for row in found:
            print(f"{row['channel']}: {'ok, ' if row['sent'] else 'NOT SENT: '}{row['answer']}")
    if not all(row["sent"] for row in found):
        sys.exit(1)


@notify.command("retry")
@examples("hunter notify retry", "hunter notify retry --channel webhook")
def retry(
    home: Home = None,
    channel: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this channel was owed.")] = None,
) -> None:
    """Put messages that were given up back among those that wait; the daemon sends them."""
    from hunter.settings import load
    from state.outbox import Outbox
    from state.store import State

    settings = load(home, light=True)
    with State.open(settings.database, synchronous=settings.state.synchronous, check=False) as state:
        again = Outbox(state).revive(time.time(), channel)
    print(f"{plural(again, 'message')} waiting again")
    if not again:
        say("none was given up")
