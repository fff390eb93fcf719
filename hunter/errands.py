"""What the daemon asks of the archive by the clock: polls, catalogues, a new list after a change of settings."""

import time
from collections.abc import Callable
from typing import Any

from hunter.cli.common import plural
from hunter.engine import queue
from hunter.settings import Settings
from state.store import State


def errand_runner(
    settings: Settings, state: State, door: Any, now: Callable[[], float] = time.time
) -> Callable[[str], str]:
    """What does an errand by its name, and says in words what came of it.

    ``poll`` looks for what is new, ``relist`` queues what changed settings ask to be hunted again, ``catalogues``
    refreshes the tables of known objects.
    """
    return _of_folder(settings, state, now)


def _of_folder(settings: Settings, state: State, now: Callable[[], float]) -> Callable[[str], str]:
    from hunter.archives import open_archive

    def poll() -> str:
        report = queue(state, open_archive(settings).targets(), settings, now())
        state.set("last_poll_at", str(now()))
        if not (report.added or report.requeued or report.refreshed):
            return ""
        return (
            f"{plural(report.added, 'target')} new, {report.requeued + report.refreshed:,} with new files or settings"
        )

    known = {"poll": poll, "relist": poll}
    return lambda name: known[name]()
