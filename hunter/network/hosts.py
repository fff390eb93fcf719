"""What is known of one host: whether it answers, and what it asked for.

A host that fails again and again is left alone: no request for some minutes, then one that tries it. What it is left
alone for outlives the process, so that a restart neither hammers at it nor comes back too early.
"""

import json
import logging
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from hunter.network.errors import HostDown
from hunter.network.manners import LONGEST_TOLD
from hunter.network.settings import NetworkSettings

log = logging.getLogger(__name__)

TRIAL_SECONDS = 10.0  # to wait, for all others, while one request finds out whether a host is back


class Store(Protocol):
    """Where a few words are kept between two starts."""

    def get(self, key: str) -> str | None:
        """The words kept under a key."""
        ...

    def set(self, key: str, text: str) -> None:
        """Keep words under a key."""
        ...


class Memory:
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self._words.get(key)

    def set(self, key: str, text: str) -> None:
        self._words[key] = text


def key_of(host: str) -> str:
    """The key of a host's record: ``breaker:mast.stsci.edu``.

    The record is JSON: ``open_until`` and ``wait_until`` (seconds since 1970, null where the host may be asked),
    ``told`` (the seconds that a Retry-After gave), ``since`` (when it last began to fail) and ``reason``.
    """
    return f"breaker:{host}"


class Host:
    """One host; its methods may be called from any thread.

    Parameters
    ----------
    name : str
        With its port, where that is not the usual one.
    settings : NetworkSettings
    store : Store
    clock : callable
        Seconds that only go forward: all waiting is measured by it.
    now : callable
        Seconds since 1970: only for what is kept, and bounded when it is read again, whatever the clock did meanwhile.
    """

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        store: Store,
        clock: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.name = name
        self._settings, self._store, self._clock, self._now = settings, store, clock, now
        self._lock = threading.RLock()
        self._failures = 0  # exchanges in a row that did not come about
        self._erring: set[str] = set()  # addresses answered with a server's error since the last good answer
        self._open_until: float | None = None  # by the clock; None while the host is asked
        self._trying = False  # one request is out to see whether it is back
        self._wait_until = -math.inf
        self._told = 0.0
        self._slow_until = -math.inf
        self._since: float | None = None
        self._reason = ""
        self._recall()

    # ---- before a request

    def check(self) -> None:
        """Raise HostDown while the host is left alone."""
        with self._lock:
            if self._open_until is not None and (self._trying or self._clock() < self._open_until):
                raise self._down()

    def begin(self) -> None:
        """Take note of a request that leaves now; raises HostDown where none may.

        Every ``begin`` is followed by one of ``answered``, ``failed`` and ``abandoned``.
        """
        with self._lock:
            self.check()
            self._trying = self._open_until is not None

    def wait(self) -> float:
        """Seconds until the host may be asked, as it has told; 0 where it has not."""
        with self._lock:
            return max(0.0, self._wait_until - self._clock())

    def limit(self) -> int:
        """How many connections it may have now."""
        with self._lock:
            slow = self._open_until is not None or self._clock() < self._slow_until
            return 1 if slow else self._settings.connections

    # ---- after it

    def answered(self) -> None:
        """It answered as a host in good health."""
        with self._lock:
            self._failures = 0
            self._erring.clear()
            self._since, self._reason = None, ""
            self._trying = False
            if self._open_until is not None:
                log.info("%s answers again", self.name)
                self._open_until = None
                self._keep()

    def erred(self, address: str, reason: str) -> None:
        """It answered with a server's error.

        One address that fails for ever says nothing about the host; several different ones in a row do.
        """
        with self._lock:
            self._failures = 0
            self._erring.add(address)
            self._count(len(self._erring), reason)

    def failed(self, reason: str) -> None:
        """No answer came."""
        with self._lock:
            self._failures += 1
            self._count(self._failures, reason)

    def abandoned(self) -> None:
        """The request ended for a reason of ours."""
        with self._lock:
            self._trying = False

    def told(self, seconds: float) -> None:
        """It asked to be left alone for so long (Retry-After)."""
        with self._lock:
            until = self._clock() + seconds
            if until > self._wait_until:
                self._wait_until, self._told = until, seconds
                self._keep()
            self.slow()

    def slow(self) -> None:
        """Give it one connection only, until it has been quiet for some minutes."""
        with self._lock:
            self._slow_until = self._clock() + self._settings.slow_seconds

    # ---- for messages and restarts

    def until(self) -> float:
        """When it is asked again, in seconds since 1970."""
        with self._lock:
            waits = [self.wait()]
            if self._open_until is not None:
                waits.append(self._open_until - self._clock())
            if self._trying:
                waits.append(TRIAL_SECONDS)
            return self._now() + max(0.0, *waits)

    def _count(self, failures: int, reason: str) -> None:
        if self._since is None:
            self._since = self._now()
        tried, self._trying = self._trying, False
        if tried or (self._open_until is None and failures >= self._settings.breaker_failures):
            self._open_until = self._clock() + self._settings.breaker_seconds
            self._reason = reason
            log.warning("%s is left alone for %.0f s: %s", self.name, self._settings.breaker_seconds, reason)
            self._keep()

    def _down(self) -> HostDown:
        until = self.until()
        when = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S")
        return HostDown(f"{self.name} is down ({self._reason}): it is asked again from {when} UTC on", until)

    def _keep(self) -> None:
        now, clock = self._now(), self._clock()
        waiting = self._wait_until > clock
        record = {
            "open_until": None if self._open_until is None else now + self._open_until - clock,
            "wait_until": now + self._wait_until - clock if waiting else None,
            "told": self._told if waiting else None,
            "since": self._since,
            "reason": self._reason,
        }
        self._store.set(key_of(self.name), json.dumps(record))

    def _recall(self) -> None:
        """Go on where the last process ended; no clock can make that longer than it was meant to be."""
        text = self._store.get(key_of(self.name))
        if not text:
            return
        try:
            record = json.loads(text)
            opened, waits, told = (_number(record.get(name)) for name in ("open_until", "wait_until", "told"))
            since, reason = _number(record.get("since")), str(record.get("reason") or "")
        except (ValueError, AttributeError) as error:
            log.warning("what was kept of %s cannot be read, so that it is asked as usual: %s", self.name, error)
            return
        now, clock = self._now(), self._clock()
        if opened is not None:
            self._open_until = clock + min(max(opened - now, 0.0), self._settings.breaker_seconds)
            self._since, self._reason = since, reason
        if waits is not None and told is not None and waits > now:
            self._told = min(told, LONGEST_TOLD)
            self._wait_until = clock + min(waits - now, self._told)
            self.slow()


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None  # type: ignore[arg-type]
