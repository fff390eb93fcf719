"""The round a daemon makes each minute: is there anything to tell, and is there anything to send."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hunter import crashpoints
from hunter.health import Pulse, free_bytes
from hunter.logs import logger
from hunter.notify import messages
from hunter.notify.delivery import Delivered, deliver
from hunter.notify.settings import channels_of
from hunter.settings import Settings
from state.outbox import Outbox
from state.reading import Reader
from state.releases import Releases
from state.rows import Message
from state.store import State

EVERY = 60.0  # seconds between rounds

log = logger(__name__)


@dataclass(slots=True)
class Rounds:
    """Posts what the state of things asks for, then delivers, in a thread of its own.

    The main loop starts it and is not needed after that: that the loop hangs is one of the things to tell. Posting
    twice is harmless; what this process has posted is remembered to spare the database the write.
    """

    settings: Settings
    state: State
    pulse: Pulse | None = None
    free: Callable[[Path], int] = free_bytes
    step: Callable[[str], None] = crashpoints.at
    _posted: set[str] = field(default_factory=set)
    _stuck: bool = False
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, now: Callable[[], float], every: float = EVERY) -> None:
        """Go round now and every so many seconds until ``stop``; while it does, another call changes nothing."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._over.clear()
        self._thread = threading.Thread(target=self._walk, args=(now, every), name="rounds", daemon=True)
        self._thread.start()

    def stop(self, patience: float = 2.0) -> None:
        """End after the round in flight; one that takes longer than the patience is left behind, and dies with us."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _walk(self, now: Callable[[], float], every: float) -> None:
        while not self._over.is_set():
            try:
                self.go(now())
            except Exception as error:  # a database that is locked, a disk that is full: the next round is as good
                log.warning("nobody could be told", why=f"{type(error).__name__}: {error}")
            self._over.wait(every)

    def go(self, now: float) -> Delivered:
        """One round.

        Raises
        ------
        state.status.StateError
            If the database cannot be reached; the next round is as good.
        """
        channels = channels_of(self.settings.notify)
        if not channels:
            return Delivered()
        for several in (self._of_the_daemon(now), self._of_the_disk(now), self._of_the_day(now), self._of_sectors(now)):
            self._post(several, now)
        return deliver(self.state, channels, now, self.settings.notify, step=self.step)

    def _post(self, several: tuple[Message, ...], now: float) -> None:
        fresh = [message for message in several if message.dedup not in self._posted]
        if fresh:
            Outbox(self.state).post(fresh, now)
            self._posted.update(message.dedup for message in fresh)

    def _of_the_daemon(self, now: float) -> tuple[Message, ...]:
        silence = self.pulse.silence if self.pulse else 0.0
        if silence < self.settings.health.stuck_seconds:
            self._stuck = False
            return ()
        if self._stuck:
            return ()  # told once for each time it hangs
        self._stuck = True
        return messages.stuck(self.settings, silence, now)

    def _of_the_disk(self, now: float) -> tuple[Message, ...]:
        free = self.free(self.settings.home)
        low = free < self.settings.health.disk_low_gb * 1e9
        return messages.disk_low(self.settings, free, now) if low else ()

    def _of_the_day(self, now: float) -> tuple[Message, ...]:
        hour = self.settings.notify.digest_hour
        today = datetime.fromtimestamp(now, UTC)
        if hour < 0 or today.hour < hour:
            return ()
        if any(f":digest:{today:%Y-%m-%d}" in name for name in self._posted):
            return ()
        with Reader(self.settings.database) as reader:
            return messages.digest(self.settings, reader.summary(now, candidates=50), now)

    def _of_sectors(self, now: float) -> tuple[Message, ...]:
        found: tuple[Message, ...] = ()
        releases = [row for row in Releases(self.state).all() if row.status == "enumerated" and row.listed]
        if not releases:
            return found
        with Reader(self.settings.database) as reader:
            for row in releases:
                name = f":sector:{row.sector}:{row.product}:{row.listed}"
                if any(posted.endswith(name) for posted in self._posted):
                    continue
                if reader.sector_at_rest(row.sector, row.product):
                    candidates = reader.sector_candidates(row.sector, row.product)
                    found += messages.sector_finished(self.settings, row.sector, row.product, row.listed, candidates)
        return found
