"""The one place that catches: what an exception means for its target.

::

    UnusableData          the sky's fault      -> UNUSABLE     with the reason, never retried
    ArchiveUnavailable    the archive's fault  -> DEFERRED     asked again with back-off
    FilesGone             made room for others -> DEFERRED     fetched again at once
    ModelRefused          no usable model      -> HELD         waits; a missing model never clears a star
    anything else         our fault            -> QUARANTINED  traceback kept, the next target goes on

A full disk is nobody's fault in particular: it stops the hunt with one clear line and loses nothing, since
no target could be stored either. ``DiskFull`` therefore passes through.
"""

import errno
import random
import traceback
from dataclasses import dataclass

from hunter.archives.base import FilesGone
from models.registry import ModelRefused
from pipeline.errors import ArchiveUnavailable, UnusableData
from state.status import StateError, Status

FIRST_WAIT, LONGEST_WAIT = 60.0, 6 * 3600.0  # seconds of the back-off of a deferred target


class DiskFull(Exception):
    """There is no room to store a result; the message names the folder."""


class DeviceLost(Exception):
    """The process that owns the device is gone, or can't take this batch: no target's fault."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a target left the chain before its end."""

    outcome: Status
    because: str  # one line
    error_class: str  # "UnusableData", "ArchiveUnavailable" or the name of the exception
    error: str | None = None  # traceback, where it is our fault
    wait: float | None = None  # seconds before a deferred target is asked for again


def disk_is_full(error: BaseException) -> bool:
    """Whether an error, or one it came from, says that a disk is full or a quota spent."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if "database or disk is full" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def judge(error: Exception, phase: str, deferrals: int) -> Failure:
    """Say what ``error``, raised in ``phase``, means for its target, which was deferred so often in a row before.

    Raises
    ------
    DiskFull, DeviceLost, state.status.StateError
        If the disk is full, the device gone or the record out of reach: that is no target's fault.
    """
    if isinstance(error, (DiskFull, DeviceLost)):
        raise error
    if disk_is_full(error):
        raise DiskFull(str(error)) from error
    if isinstance(error, StateError):
        raise error
    because = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ModelRefused):
        return Failure(Status.HELD, because, "ModelRefused")
    if isinstance(error, UnusableData):
        return Failure(Status.UNUSABLE, because, "UnusableData")
    if isinstance(error, FilesGone):
        return Failure(Status.DEFERRED, because, "FilesGone", wait=0.0)  # the courier brings them again
    if isinstance(error, ArchiveUnavailable):
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(deferrals, 12))
        # drawn, so that the targets of one outage do not all come back in the same second
        return Failure(Status.DEFERRED, because, "ArchiveUnavailable", wait=random.uniform(wait, 1.5 * wait))
    kept = "".join(traceback.format_exception(error))
    return Failure(Status.QUARANTINED, f"{phase}: {because}", type(error).__name__, kept)
