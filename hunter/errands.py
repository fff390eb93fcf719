"""What the daemon asks of the archive by the clock: polls, catalogues, a new list after a change of settings."""

import time
from collections.abc import Callable, Collection
from typing import Any

from hunter.archives.base import FoundTarget
from hunter.archives.settings import FAR
from hunter.cli.common import plural, say
from hunter.engine import queue
from hunter.network.door import Door
from hunter.settings import Settings
from state.store import EnqueueReport, State

POLLS_IN_A_ROW = 50  # while each finds that more is there than one poll looks at


def errand_runner(
    settings: Settings, state: State, door: Door, now: Callable[[], float] = time.time
) -> Callable[[str], str]:
    """What does an errand by its name, and says what came of it: empty where there is nothing to say.

    ``poll`` looks for what is new, ``relist`` queues what changed settings ask to be hunted again, ``catalogues``
    refreshes the tables of known objects, ``sharing`` compares the signals of all stars with one another.
    """

    def sharing() -> str:
        from hunter.sharing import compare_stars

        return compare_stars(settings, state, now())

    known = _far(settings, state, door, now) if settings.archive.source in FAR else _near(settings, state, now)
    known["sharing"] = sharing
    return lambda name: known[name]()


def _near(settings: Settings, state: State, now: Callable[[], float]) -> dict[str, Callable[[], str]]:
    """A folder is looked through."""
    from hunter.archives import open_archive
    from hunter.archives.base import ArchiveEmpty

    def poll() -> str:
        try:
            told = _told(queue(state, open_archive(settings).targets(), settings, now()))
        except ArchiveEmpty:
            told = ""  # nothing lies there yet
        state.set("last_poll_at", str(now()))
        return told

    return {"poll": poll, "relist": poll}


def _far(settings: Settings, state: State, door: Door, now: Callable[[], float]) -> dict[str, Callable[[], str]]:
    """An archive is asked, through the door."""
    from hunter.archives import open_archive
    from hunter.archives.base import ArchiveEmpty
    from hunter.catalogues import catalogues_of
    from hunter.watching import Watcher

    session: Any = door.session()
    watcher = Watcher(settings, state, session)

    def poll() -> str:
        told = []
        with door.asking():
            for _ in range(POLLS_IN_A_ROW):
                report = watcher.poll(now())
                if report.words or report.alerts or report.unknown:
                    told.append(report.line)
                for sector, product in report.undescribed:
                    watcher.describe(sector, product, now())
                if not report.again:
                    break
        return "; ".join(told)

    def relist() -> str:
        try:
            return _told(queue(state, open_archive(settings).targets(), settings, now()))
        except ArchiveEmpty:
            return ""  # nothing was listed yet

    def catalogues() -> str:
        with door.asking():
            return "; ".join(catalogues_of(settings.home).refresh(session, settings.archive, now))

    return {"poll": poll, "relist": relist, "catalogues": catalogues}


def list_sectors(settings: Settings, sectors: Collection[int], now: float) -> list[FoundTarget]:
    """List these sectors as the archive has them now, and give their targets; without any, those listed before.

    Raises
    ------
    ArchiveUnavailable
        If one of them cannot be listed.
    ArchiveEmpty
        If there is nothing in them.
    """
    from hunter.archives.base import ArchiveEmpty
    from hunter.archives.mast.archive import MastArchive
    from hunter.supply import open_door
    from hunter.watching import Watcher

    with State.open(settings.database, synchronous=settings.state.synchronous, check=False) as state:
        if sectors:
            door = open_door(settings, state)
            with door.asking():
                watcher = Watcher(settings, state, door.session())
                for alert in watcher.list_now(sectors, now, offer=False).alerts:
                    say(alert)
        try:
            return list(MastArchive(settings, sectors, state).targets())
        except ArchiveEmpty as error:
            raise ArchiveEmpty(f"{error}: name what to hunt with --sector N, or let `hunter daemon` watch") from None


def _told(report: EnqueueReport) -> str:
    again = report.requeued + report.refreshed
    if not (report.added or again):
        return ""
    return f"{plural(report.added, 'target')} new, {again:,} with new files or settings"
