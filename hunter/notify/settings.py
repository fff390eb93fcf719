"""Whom the hunt tells, and what."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le

KINDS = ("webhook", "command", "apprise")


class ChannelRefused(ValueError):
    """A channel in the settings cannot be understood; the message says which, without its secrets."""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """The [notify] table."""

    # who is told, in order: "webhook https://..", "command PROGRAM ARGUMENT ..", "apprise ntfy://topic"
    channels: tuple[str, ...] = field(default=(), metadata={"secret": True})
    threshold: Annotated[float, Ge(0), Le(1)] = 0.9  # probability from which a candidate is told
    digest_hour: Annotated[int, Ge(-1), Le(23)] = 8  # UTC hour of the daily digest; -1 sends none
    quiet: tuple[int, ...] = ()  # UTC hours from, to in which only trouble is told, such as [22, 7]
    per_hour: Annotated[int, Ge(1)] = 10  # messages to a channel; more candidates are told in one message
    tries: Annotated[int, Ge(1)] = 40  # failed tries until a message is given up, about a day
    limit_seconds: Annotated[float, Gt(0)] = 20.0  # for one try

    def __post_init__(self) -> None:
        channels_of(self)  # what cannot work is refused at once, and not when there is something to tell


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to a person."""

    name: str  # "webhook", "webhook-2": in the outbox; an address may change, what waits goes to the new one
    kind: str  # one of KINDS
    address: str = field(repr=False)  # may hold a secret

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be covered word for word; the words of a command are seen by all who see its process anyway."""
        return () if self.kind == "command" else (self.address,)


def channels_of(settings: NotifySettings) -> tuple[Channel, ...]:
    """Read the channels of the settings, in order.

    Raises
    ------
    ChannelRefused
        Naming the channel by its number: its text may be a secret.
    """
    if settings.quiet and (len(settings.quiet) != 2 or not all(0 <= hour <= 24 for hour in settings.quiet)):
        raise ChannelRefused(f"quiet = {list(settings.quiet)}: give two hours of the day, from and to")
    found: list[Channel] = []
    for number, text in enumerate(settings.channels, start=1):
        kind, _, address = text.strip().partition(" ")
        refuse_channel(kind, address.strip(), number)
        before = sum(channel.kind == kind for channel in found)
        found.append(Channel(f"{kind}-{before + 1}" if before else kind, kind, address.strip()))
    return tuple(found)


def refuse_channel(kind: str, address: str, number: int) -> None:
    """Raise ``ChannelRefused`` where a channel cannot work whatever the world does."""
    where = f"channels, number {number}"
    if kind not in KINDS:
        raise ChannelRefused(f"{where}: begins with none of {', '.join(KINDS)}: write 'webhook https://..'")
    if not address:
        raise ChannelRefused(f"{where}: {kind} of what? give its address after the word")
    if kind == "webhook":
        try:
            parts = urlsplit(address)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or any(letter.isspace() for letter in address):
            raise ChannelRefused(f"{where}: a webhook is an http:// or https:// address")
    if kind == "apprise" and "://" not in address:
        raise ChannelRefused(f"{where}: an address of apprise has a scheme, as in ntfy://topic")
    if kind == "command":
        try:
            shlex.split(address)
        except ValueError as error:
            raise ChannelRefused(f"{where}: the command's quotes do not match ({error})") from None


def secrets_of(settings: NotifySettings) -> Sequence[str]:
    """What must be covered in every line: the addresses, whose paths are often the password."""
    split = (text.strip().partition(" ") for text in settings.channels)
    return [address.strip() for kind, _, address in split if kind != "command" and address.strip()]
