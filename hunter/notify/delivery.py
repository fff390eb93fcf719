"""The way of a message from the outbox to a person: sent, then marked; tried again later; never dropped in silence.

Killed between sending and marking, the same letter goes out once more under the same key. That is the only window in
which one is sent twice, and the key is there so that a receiver drops the second.
"""

import importlib
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hunter import crashpoints
from hunter.masking import mask
from hunter.notify.letter import Letter, NotSent, letter_of
from hunter.notify.messages import TROUBLE, bundle
from hunter.notify.settings import Channel, NotifySettings
from state.outbox import Outbox
from state.rows import OwedMessage
from state.store import State

FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0  # seconds; the wait doubles from the one to the other
AT_ONCE = 200  # messages of one look

Send = Callable[[Channel, Letter, float], str]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one delivery did."""

    sent: int = 0
    bundled: int = 0  # candidates that went together in one message
    failed: int = 0  # to be tried again
    dead: int = 0  # given up


def send(channel: Channel, letter: Letter, limit: float) -> str:
    """Send one letter now; returns what the channel answered.

    Raises
    ------
    NotSent
        With the reason. A channel that hangs, by a receiver that drips or a plugin that waits, counts as one that did
        not take it.
    """
    kind = importlib.import_module(f"hunter.notify.{channel.kind}")
    answers: list[str] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            answers.append(kind.send(channel.address, letter, limit))
        except BaseException as error:
            errors.append(error)

    # what happens in here has no end that could be counted on; a thread can at least be left behind
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit + 5.0)
    if answers:
        return answers[0]
    if not errors:
        raise NotSent(f"not done within {limit:g} s")
    if isinstance(errors[0], NotSent):
        raise errors[0]
    raise NotSent(mask(f"{type(errors[0]).__name__}: {errors[0]}", channel.secrets))


def deliver(
    state: State,
    channels: Sequence[Channel],
    now: float,
    settings: NotifySettings = NotifySettings(),
    *,
    draw: Callable[[], float] = random.random,
    step: Callable[[str], None] = crashpoints.at,
    send: Send = send,
) -> Delivered:
    """Send what is due, a channel after the other, and mark each message in a transaction of its own.

    Parameters
    ----------
    state : State
    channels : sequence of Channel
        What waits for a channel that is not among them goes on waiting.
    now : float
        Seconds since 1970.
    settings : NotifySettings
    draw : callable
        Uniform between 0 and 1, for the wait after a failure.
    step : callable
        Called at each boundary between two durable acts.
    send : callable
        Sends one letter.

    Notes
    -----
    A channel that fails is left alone until the next delivery, so that one which hangs costs one limit, not one for
    each message. Candidates beyond ``per_hour`` become one message, in one transaction with the end of those it holds.
    """
    outbox = Outbox(state)
    total = {"sent": 0, "bundled": 0, "failed": 0, "dead": 0}
    quiet = in_quiet_hours(settings, now)
    for channel in channels:
        due = outbox.due(now, AT_ONCE, channel.name)
        if quiet:
            due = [owed for owed in due if owed.message.kind in TROUBLE]
        for owed in _within_rate(outbox, channel, due, settings, now, total, step):
            step("notify.before-send")
            try:
                send(channel, letter_of(owed), settings.limit_seconds)
            except NotSent as error:
                _put_off(outbox, channel, owed, error, settings, now, draw, total)
                break
            step("notify.sent")
            outbox.sent([owed.id], now)
            step("notify.marked")
            total["sent"] += 1
    return Delivered(**total)


def _within_rate(
    outbox: Outbox,
    channel: Channel,
    due: list[OwedMessage],
    settings: NotifySettings,
    now: float,
    total: dict[str, int],
    step: Callable[[str], None],
) -> list[OwedMessage]:
    """What may go out now: everything but candidates, and of those as many as the hour allows, or all in one."""
    single = [owed for owed in due if owed.message.kind != "candidate"]
    several = [owed for owed in due if owed.message.kind == "candidate"]
    if not several:
        return single
    room = settings.per_hour - outbox.sent_since(channel.name, now - 3600)
    # the last place of the hour is kept for a bundle, so that nobody waits longer than an hour for news
    if len(several) == 1 and room >= 1:
        return single + several
    if len(several) < room:
        return single + several
    if room < 1:
        return single
    step("notify.before-bundle")
    together = outbox.bundle([owed.id for owed in several], bundle([owed.message for owed in several]), now)
    step("notify.bundled")
    total["bundled"] += len(several)
    return single + together


def _put_off(
    outbox: Outbox,
    channel: Channel,
    owed: OwedMessage,
    error: NotSent,
    settings: NotifySettings,
    now: float,
    draw: Callable[[], float],
    total: dict[str, int],
) -> None:
    """Try again after a random wait that grows, or give up with an event in the journal."""
    why = mask(str(error), channel.secrets)
    if owed.tries + 1 >= settings.tries:
        words = (
            f"{channel.name}: a message was given up after {owed.tries + 1} tries ({why}): "
            f"{owed.message.payload.get('text', owed.message.kind)}; `hunter notify retry` sends it again"
        )
        outbox.failed(owed.id, why, None, words, now)
        total["dead"] += 1
        return
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(owed.tries, 20))
    outbox.failed(owed.id, why, now + max(1.0, draw() * longest, error.wait or 0.0))
    total["failed"] += 1


def in_quiet_hours(settings: NotifySettings, now: float) -> bool:
    """Whether only trouble is told now; the hours may pass midnight."""
    if len(settings.quiet) != 2:
        return False
    hour = datetime.fromtimestamp(now, UTC).hour
    first, end = settings.quiet
    return first <= hour < end if first <= end else hour >= first or hour < end


def try_all(channels: Sequence[Channel], letter: Letter, limit: float, send: Send = send) -> list[dict[str, Any]]:
    """Send one letter to every channel now, past the outbox; how each answered."""
    found = []
    for channel in channels:
        try:
            found.append({"channel": channel.name, "sent": True, "answer": send(channel, letter, limit)})
        except NotSent as error:
            found.append({"channel": channel.name, "sent": False, "answer": mask(str(error), channel.secrets)})
    return found
