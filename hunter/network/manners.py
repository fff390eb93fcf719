"""Manners: how fast, how many at once, how long to wait."""

import math
import re
import threading
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime

LONGEST_TOLD = 7 * 86400.0  # seconds; a Retry-After beyond this was not meant


def retry_after(value: str | None, date: str | None, now: float) -> float | None:
    """Seconds a Retry-After asks to wait; None where it is absent or cannot be meant.

    Parameters
    ----------
    value : str or None
        The header: seconds, or an HTTP date.
    date : str or None
        The Date header of the same reply: a date is compared with the clock that wrote it.
    now : float
        Seconds since 1970, where there is no Date.

    Notes
    -----
    RFC 9110, section 10.2.3. Negative numbers, text, dates that have passed and more than a week count as absent:
    the back-off of the caller follows then.
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text, re.ASCII):
        seconds = float(text)
    else:
        moment = _moment(text)
        if moment is None:
            return None
        from_date = _moment(date or "")
        seconds = moment - (now if from_date is None else from_date)
    return seconds if 0 < seconds <= LONGEST_TOLD else None


def _moment(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if math.isfinite(moment) else None


def back_off(attempt: int, draw: Callable[[], float], base: float = 1.0, cap: float = 300.0) -> float:
    """Seconds to wait after the ``attempt``-th failure: exponential, with full jitter.

    Notes
    -----
    Any time between 0 and the bound: clients that failed together do not come back together.
    """
    return draw() * min(cap, base * 2.0 ** min(attempt, 30))


MARGIN = 1.1  # the way to an archive is not always equally long: what leaves evenly does not arrive so


class Spacing:
    """Lets one pass in each 1/rate seconds, and a little more: no burst, so that no second sees more than the rate."""

    def __init__(self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._gap = MARGIN / per_second
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._free = -math.inf

    def wait(self) -> None:
        """Wait for the next place in the row."""
        with self._lock:
            now = self._clock()
            mine = max(now, self._free)
            self._free = mine + self._gap
        if mine > now:
            self._sleep(mine - now)


class Turnstile:
    """Counts who is inside, by host and in all, and lets the next in when there is room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = threading.Condition()
        self._inside: Counter[str] = Counter()

    def enter(self, host: str, limit: Callable[[], int]) -> None:
        """Wait for room; ``limit`` tells how many may be inside for this host, and is asked again and again."""
        with self._room:
            while self._inside.total() >= self._most or self._inside[host] >= limit():
                self._room.wait(0.5)  # a limit may rise by the passing of time
            self._inside[host] += 1

    def leave(self, host: str) -> None:
        with self._room:
            self._inside[host] -= 1
            self._room.notify_all()
