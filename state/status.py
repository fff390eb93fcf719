"""Where a target stands, and the one table of the moves it may make.

::

    Exception
    └── StateError              whatever the record cannot do; one clear line with the cure
        ├── IllegalMove         the table below has no such arrow: our fault
        ├── LostRace            somebody else moved the target first
        ├── UnknownName         no such target, or no such candidate
        ├── DatabaseMissing     there is no record here yet
        ├── DatabaseTooOld      a reader met the record of an older version
        ├── DatabaseTooNew      the record was written by a newer version
        ├── DatabaseCorrupt     the file is damaged; it is left as it is
        └── DatabaseUnavailable locked, read-only, unreachable
            └── DatabaseFull    the disk under it is full; what was acknowledged is kept
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class StateError(Exception):
    """The record cannot do this; the message says why and what to do."""


class IllegalMove(StateError):
    """No arrow leads from the one status to the other."""


class LostRace(StateError):
    """The target is no longer where the caller believed it to be."""


class UnknownName(StateError):
    """The record holds no target, or no candidate, of this name."""


class DatabaseMissing(StateError):
    """There is no database at this place."""


class DatabaseTooOld(StateError):
    """The database must be upgraded before it can be read."""


class DatabaseTooNew(StateError):
    """The database was written by a newer version than this one."""


class DatabaseCorrupt(StateError):
    """The database is damaged, empty, or not a hunt's; the file was not touched."""


class DatabaseUnavailable(StateError):
    """The database cannot be reached or written just now."""


class DatabaseFull(DatabaseUnavailable):
    """No space is left under the database; the transaction was rolled back whole."""


class Status(StrEnum):
    """Where a target stands."""

    QUEUED = "QUEUED"  # waits for a worker
    RUNNING = "RUNNING"  # a worker has claimed it
    CANDIDATE = "CANDIDATE"  # scored at or above the threshold
    CLEARED = "CLEARED"  # scored below the threshold
    NO_SIGNAL = "NO_SIGNAL"  # nothing over the detection threshold
    NO_DATA = "NO_DATA"  # the archive has nothing for it
    UNUSABLE = "UNUSABLE"  # the data's fault: never retried by itself
    DEFERRED = "DEFERRED"  # the archive's fault: asked again at next_at
    QUARANTINED = "QUARANTINED"  # our fault: the traceback is kept
    HELD = "HELD"  # no usable model: waits at score


FINISHED: frozenset[Status] = frozenset(
    {
        Status.CANDIDATE,
        Status.CLEARED,
        Status.NO_SIGNAL,
        Status.NO_DATA,
        Status.UNUSABLE,
        Status.QUARANTINED,
    }
)
"""Where a target rests until something outside changes: its files, the model, a person's wish."""

RESTING: frozenset[Status] = FINISHED | {Status.HELD, Status.DEFERRED}
"""Where no worker holds the target and none will take it: all but QUEUED and RUNNING."""

ANSWERED: frozenset[Status] = frozenset({Status.CANDIDATE, Status.CLEARED, Status.NO_SIGNAL})
"""The hunt has looked and has an answer, so an earlier answer of the same target no longer holds."""

NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.QUEUED: frozenset({Status.RUNNING}),
        Status.RUNNING: RESTING | {Status.QUEUED},
        **{status: frozenset({Status.QUEUED}) for status in RESTING},
    }
)
"""Every move there is."""


def check_move(here: Status, there: Status) -> None:
    """Raise ``IllegalMove`` unless a target that is ``here`` may go ``there``."""
    if there not in NEXT[here]:
        allowed = ", ".join(sorted(NEXT[here]))
        raise IllegalMove(f"a {here} target may become {allowed}, but not {there}")
