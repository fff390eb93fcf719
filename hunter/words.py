"""What other processes have put down in the record about themselves, read back as values.

The courier, the GPU child, the door to the archives and the polls each keep one word in the state's ``meta`` table.
Whoever shows or counts them reads them here; a word that is missing, old or damaged is None, never an error.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

BREAKER = "breaker:"


@dataclass(frozen=True, slots=True)
class CourierWord:
    """How far ahead the courier is."""

    source: str  # "mast", "s3"
    fetching: int  # targets in its hands
    files: int  # fetched since it started
    bytes: int
    resting: str  # why it fetches nothing, empty while it does
    until: float | None  # when it goes on, seconds since 1970


@dataclass(frozen=True, slots=True)
class Breaker:
    """A host that was left alone, or is."""

    host: str
    open_until: float | None
    wait_until: float | None  # it asked for it (Retry-After)
    since: float | None
    reason: str

    def is_open(self, now: float) -> bool:
        """Whether it is left alone; past its time, until a request has shown that it is back, still true."""
        return self.open_until is not None or (self.wait_until is not None and self.wait_until > now)

    @property
    def again(self) -> float | None:
        """When it is asked next."""
        return max((at for at in (self.open_until, self.wait_until) if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class DeviceWord:
    """What the GPU child has done."""

    name: str
    busy_seconds: float
    batches: int
    kills: int  # at its limit


@dataclass(frozen=True, slots=True)
class PollWord:
    """The last look for releases, and the next."""

    at: float | None
    said: str
    following: float | None


def of_courier(words: Mapping[str, str]) -> CourierWord | None:
    told = _read(words.get("courier"))
    if told is None:
        return None
    return CourierWord(
        str(told.get("source") or ""),
        int(_number(told.get("fetching")) or 0),
        int(_number(told.get("files")) or 0),
        int(_number(told.get("bytes")) or 0),
        str(told.get("resting") or ""),
        _number(told.get("until")),
    )


def of_device(words: Mapping[str, str]) -> DeviceWord | None:
    told = _read(words.get("device"))
    if told is None:
        return None
    return DeviceWord(
        str(told.get("name") or ""),
        _number(told.get("busy_seconds")) or 0.0,
        int(_number(told.get("batches")) or 0),
        int(_number(told.get("kills")) or 0),
    )


def breakers(words: Mapping[str, str]) -> list[Breaker]:
    """Every host that was ever left alone, by name."""
    found = []
    for key, text in sorted(words.items()):
        told = _read(text) if key.startswith(BREAKER) else None
        if told is not None:
            found.append(
                Breaker(
                    key.removeprefix(BREAKER),
                    _number(told.get("open_until")),
                    _number(told.get("wait_until")),
                    _number(told.get("since")),
                    str(told.get("reason") or ""),
                )
            )
    return found


def poll(words: Mapping[str, str]) -> PollWord:
    return PollWord(
        _number_of(words.get("last_poll_at")), words.get("last_poll", ""), _number_of(words.get("next_poll_at"))
    )


def waiting_share(words: Mapping[str, str]) -> float | None:
    """Share of the workers' time that went by without files to work on, 0 to 1, of late."""
    share = _number_of(words.get("waiting"))
    return None if share is None else min(1.0, max(0.0, share))


def _read(text: str | None) -> dict[str, object] | None:
    try:
        told = json.loads(text) if text else None
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _number_of(text: str | None) -> float | None:
    try:
        return _number(float(text)) if text else None
    except ValueError:
        return None


class WaitingMeter:
    """Which share of the workers' time goes by without files to work on, over about an hour.

    Older time counts less and less, so that the figure needs no history: what was looked at an hour ago has a third
    of the weight of now. Time in which nothing is left to hunt is no waiting, and is not counted.
    """

    def __init__(self, span: float = 3600.0) -> None:
        self._span = span  # seconds
        self._at: float | None = None
        self._waited = self._whole = 0.0  # worker seconds, faded

    def look(self, busy: int, workers: int, starved: bool, clock: float) -> float | None:
        """The share so far, 0 to 1; None before there was any work.

        Parameters
        ----------
        busy : int
            Workers in the middle of a target.
        workers : int
            How many there would be with enough work.
        starved : bool
            Targets are queued, and none has its files here.
        clock : float
            Seconds that only go forward.
        """
        seconds = 0.0 if self._at is None else max(0.0, clock - self._at)
        self._at = clock
        if busy or starved:
            fade = math.exp(-seconds / self._span)
            idle = max(0, workers - busy) if starved else 0
            self._waited = fade * self._waited + idle * seconds
            self._whole = fade * self._whole + (busy + idle) * seconds
        return self._waited / self._whole if self._whole > 0 else None
