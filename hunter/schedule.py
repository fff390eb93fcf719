"""When things are due. Timers only: a timer never holds a target and never does the work.

APScheduler keeps the time (3.11, memory store, one thread); what it fires is a name put into a queue, and the main loop
does what is due when it comes round. A name that is still waiting is not put in twice. Its defaults drop what is a
second late; all three of its settings that matter are set (grace, coalescing, one instance).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from annotated_types import Ge, Gt

JUMP = 60.0  # seconds by which the wall clock may stray from the monotonic one between two looks


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The [daemon] table."""

    backup_hours: Annotated[float, Ge(0)] = 24.0  # between copies of the database; 0 makes none
    backups: Annotated[int, Ge(1)] = 7  # copies that are kept
    events: Annotated[int, Ge(100)] = 100_000  # lines of the journal that are kept
    index_seconds: Annotated[float, Gt(0)] = 60.0  # between looks whether the index of candidates is to be written


class Schedule:
    """Names that become due, for a loop that asks.

    Use it as a context manager; times are UTC.

    Parameters
    ----------
    wall, clock : callable
        The wall clock and the monotonic one.
    """

    def __init__(self, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self._wall, self._clock = wall, clock
        self._offset = wall() - clock()
        self._due: dict[str, None] = {}  # in order; one thread puts in, one takes out, each in one step
        self._timers = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def __enter__(self) -> "Schedule":
        self._timers.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timers.shutdown(wait=False)

    def every(self, name: str, seconds: float, *, first: float | None = None, jitter: float = 0.0) -> None:
        """Fire ``name`` every so many seconds, first after ``first`` seconds (one interval if not given)."""
        begin = self._wall() + (seconds if first is None else max(0.0, first))
        self._timers.add_job(
            self._fire,
            "interval",
            args=[name],
            id=name,
            seconds=seconds,
            jitter=jitter or None,
            next_run_time=datetime.fromtimestamp(begin, UTC),
            replace_existing=True,
        )

    def daily(self, name: str, hour: int) -> None:
        """Fire ``name`` at the full hour, UTC."""
        self._timers.add_job(self._fire, "cron", args=[name], id=name, hour=hour, minute=0, replace_existing=True)

    def drop(self, name: str) -> None:
        """Fire ``name`` no more."""
        if self._timers.get_job(name) is not None:
            self._timers.remove_job(name)

    def next(self, name: str) -> float | None:
        """When ``name`` fires next, seconds since 1970; None if it never does."""
        job = self._timers.get_job(name)
        return None if job is None or job.next_run_time is None else float(job.next_run_time.timestamp())

    def now(self, name: str) -> None:
        """Make ``name`` due at once, beside its timer."""
        self._fire(name)

    def due(self) -> list[str]:
        """Take what has become due since the last call, each name once."""
        self._look_at_the_clock()
        names = list(self._due)
        for name in names:
            self._due.pop(name, None)
        return names

    def _fire(self, name: str) -> None:
        self._due[name] = None

    def _look_at_the_clock(self) -> None:
        """Begin every interval anew where the wall clock was set, or the machine slept.

        A timer holds a time of the wall clock: set back by a day, it would be silent for a day.
        """
        offset = self._wall() - self._clock()
        if abs(offset - self._offset) <= JUMP:
            return
        self._offset = offset
        now = datetime.fromtimestamp(self._wall(), UTC)
        for job in self._timers.get_jobs():
            if hasattr(job.trigger, "interval"):
                # the trigger counts its intervals from a start of the old clock
                job.trigger.start_date = now
                self._timers.modify_job(job.id, next_run_time=now)
            else:
                self._timers.modify_job(job.id, next_run_time=job.trigger.get_next_fire_time(None, now))
