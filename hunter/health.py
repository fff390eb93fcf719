"""Is the hunt well? One object the main loop turns, and one answer for ``/healthz``, the watchdog and the doctor."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """The [health] table."""

    stuck_seconds: Annotated[float, Gt(0)] = 300.0  # a main loop silent for longer is stuck: told, and restarted
    disk_low_gb: Annotated[float, Ge(0)] = 10.0  # less free than this is told; [engine] free_disk_mb is the end


class Pulse:
    """Counts the turns of a main loop, for those who watch it from other threads.

    A thread of its own that says "alive" would say so beside a loop that hangs: only turns count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.turns = 0
        self._last = clock()

    def turned(self) -> None:
        """The main loop went round once more."""
        self.turns += 1
        self._last = self._clock()

    @property
    def silence(self) -> float:
        """Seconds since the last turn, or since the start."""
        return self._clock() - self._last
