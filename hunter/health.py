"""Is the hunt well? One object the main loop turns, and one answer for ``/healthz``, the watchdog and the doctor."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

if TYPE_CHECKING:
    from hunter.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the hunt is well, and all that speaks against it."""

    reasons: tuple[str, ...]  # empty: it is well
    silence_seconds: float | None  # of the main loop; None where none is watched
    free_bytes: int | None  # at the home; None where it cannot be told

    @property
    def well(self) -> bool:
        return not self.reasons


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left, whether or not the folder is there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def examine(settings: "Settings", pulse: Pulse | None = None, free: Callable[[Path], int] = free_bytes) -> Health:
    """Ask the loop, the record and the disk; one short look at each, and no write."""
    from state.reading import Reader
    from state.status import StateError

    reasons = []
    silence = None if pulse is None else round(pulse.silence, 1)
    if silence is not None and silence > settings.health.stuck_seconds:
        reasons.append(f"the main loop has not turned for {silence:.0f} s")
    try:
        with Reader(settings.database) as reader:
            reader.get("last_poll_at")
    except StateError as error:
        reasons.append(f"the database cannot be read: {error}")
    room: int | None = None
    try:
        room = free(settings.home)
        if room < settings.health.disk_low_gb * 1e9:
            reasons.append(
                f"{room / 1e9:.1f} GB are free at the home: [health] disk_low_gb is {settings.health.disk_low_gb:g}"
            )
    except OSError as error:
        reasons.append(f"the disk cannot be asked for its free space: {error.strerror or error}")
    return Health(tuple(reasons), silence, room)
