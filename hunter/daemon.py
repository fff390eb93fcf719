"""The hunt that goes on for ever: notices what is released, hunts it, says how it is, and lives through the rest.

The main loop turns twice a second: it does what the timers say is due, and turns the crew. It never waits for the
network, a device or a target: what can hang is in a child that can be killed. What would end a night makes the daemon
wait and try again: a full disk, an archive that is down, a child that cannot start.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunter import logs, worker
from hunter.archives.settings import FAR
from hunter.cli.common import plural
from hunter.crew import Crew, worker_count
from hunter.engine import Night, home_lock, open_state, pin_threads, requeue_for_model, stop_signals, sweep, tidy
from hunter.health import Pulse
from hunter.metrics import Metrics
from hunter.notify.rounds import Rounds
from hunter.pages import rewrite_index
from hunter.schedule import Schedule
from hunter.settings import Settings, SettingsError
from hunter.systemd import Notifier
from hunter.words import WaitingMeter
from state.reading import Reader
from state.status import StateError
from state.store import State

log = logs.logger("hunter.daemon")

TURN = 0.5  # seconds the loop listens to its children
LOOK = 1.0  # seconds between looks at the record
SETTINGS_LOOK = 5.0  # seconds between looks whether hunter.toml was changed
FOLD = 300.0  # seconds between foldings of the write-ahead log into the file
ROOM_LOOK = 10.0  # seconds between looks for room on a disk that was full
FIGURES = 60.0  # seconds between two writings of the figures for others
ROUNDS = 30.0  # seconds between rounds of what is to be told to people
SHARING = 600.0  # seconds between comparisons of all stars with one another, while targets are hunted


@dataclass(slots=True)
class Daemon:
    """One life of the daemon; ``live`` returns when it was asked to stop.

    Parameters
    ----------
    settings : Settings
    reload : callable
        Reads the settings anew; what it raises is told, and the old ones stay in force.
    say : callable
        Called with a line a person should read once.
    now : callable
        The wall clock.
    until : callable
        Asked with each summary; true ends the daemon as a signal would. Nobody asks it to in real life.
    """

    settings: Settings
    reload: Callable[[], Settings]
    say: Callable[[str], None] = lambda line: None
    now: Callable[[], float] = time.time
    until: Callable[[dict[str, Any]], bool] = lambda summary: False
    show: Callable[[Night, dict[str, Any]], None] = lambda night, summary: None
    night: Night = field(default_factory=Night)
    pulse: Pulse = field(default_factory=Pulse)
    _state: Any = None
    _crew: Any = None
    _schedule: Any = None
    _metrics: Any = None
    _name: str = ""
    _caller: Rounds | None = None
    _meter: WaitingMeter = field(default_factory=WaitingMeter)
    _share: float = -1.0  # as it was last put down
    _written: tuple[int, ...] = ()  # what the index of candidates was written from
    _compared: int = 0  # targets hunted when the stars were last compared
    _file_seen: float | None = None

    def live(self) -> Night:
        """Hunt until asked to stop.

        Raises
        ------
        hunter.engine.HomeLocked
            If another process hunts this home.
        state.status.StateError
            If the record cannot be opened or written, for another reason than a full disk.
        """
        pin_threads()
        began = time.monotonic()
        self.settings.home.mkdir(parents=True, exist_ok=True)
        notifier = Notifier.from_environment(self.pulse)
        with home_lock(self.settings.home):
            self._state = open_state(self.settings)
            try:
                self._live(notifier)
            finally:
                self._state.close()
                self.night.seconds = time.monotonic() - began
        return self.night

    def _live(self, notifier: Notifier) -> None:
        state: State = self._state
        tidy(self.settings, state, self.say, self.now())
        requeue_for_model(self.settings, state, self.say, self.now())
        self._name = f"daemon-{socket.gethostname()}-{os.getpid()}"
        state.register_worker(
            self._name, os.getpid(), socket.gethostname(), worker.boot_id(), self.now(), role="daemon"
        )
        try:
            self._keep_turning(notifier)
            sweep(self.settings, state, self.now())
            from hunter.sharing import compare_stars

            compare_stars(self.settings, state, self.now())
            rewrite_index(self.settings, self.now())
            self._note("info", "night", f"the daemon ends: {plural(self.night.hunted, 'target')} hunted")
        finally:
            if self._caller is not None:
                self._caller.stop()
            state.retire_worker(self._name, self.now())
        state.checkpoint()

    def _keep_turning(self, notifier: Notifier) -> None:
        self._file_seen = _stamp(self.settings.file)
        crew = self._crew = Crew(self.settings, self._state, self.night, self.say, self.now, forever=True)
        reader = Reader(self.settings.database)
        summary = reader.summary(self.now())
        waiting = plural(summary["queue"]["queued"], "target")
        self._note("info", "night", f"a night begins: the daemon starts, {waiting} to do")
        last_look, drain_until = time.monotonic(), None
        metrics = Metrics(self.settings, self.pulse)
        with Schedule(self.now) as schedule, closing(crew), stop_signals(self.night, crew.stop), closing(metrics):
            self._schedule, self._metrics = schedule, metrics
            self._set_timers(notifier)
            if crew_is_far(self.settings):
                crew.send("relist")  # what was listed for a bounded night, or under other settings
            notifier.ready("hunting")
            while True:
                for name in schedule.due():
                    self._do(name, notifier)
                crew.staff(summary)
                crew.hear(TURN)
                if crew.stopping and drain_until is None:
                    drain_until = time.monotonic() + self.settings.engine.drain_seconds
                    notifier.stopping("ending the batch in flight")
                    if self.night.stopped_by is not None:
                        self.say("stopping after the batch in flight; once more to stop at once")
                crew.bury(over=drain_until is not None and time.monotonic() > drain_until)
                self._hear_answers()
                if crew.stopping and crew.idle():
                    break
                if time.monotonic() - last_look > LOOK:
                    last_look = time.monotonic()
                    summary = self._look(reader)
                    notifier.status(f"{self.night.hunted} hunted, {summary['queue']['queued']} to do")
                    if self.until(summary):
                        crew.stop()
                notifier.turned()

    # ------------------------------------------------------------------------------------------------ what is due

    def _set_timers(self, notifier: Notifier) -> None:
        schedule, settings = self._schedule, self.settings
        every = settings.watch.poll_hours * 3600
        last = float(self._state.get("last_poll_at") or 0.0)
        since = self.now() - last
        # a poll that was missed while nobody lived is made up for at once; one of the future is an old clock's
        schedule.every("poll", every, first=every - since if 0 <= since < every else 0.0, jitter=every / 20)
        if crew_is_far(settings):
            schedule.every("catalogues", 86_400.0, first=30.0, jitter=600.0)
        schedule.every("sharing", SHARING)
        schedule.every("beat", settings.engine.heartbeat_seconds, first=0.0)
        schedule.every("settings", SETTINGS_LOOK)
        schedule.every("index", settings.daemon.index_seconds)
        schedule.every("prune", 3600.0)
        schedule.every("fold", FOLD)
        schedule.every("room", ROOM_LOOK)
        if settings.daemon.backup_hours and not settings.state.url:
            between = settings.daemon.backup_hours * 3600
            newest = max((file.stat().st_mtime for file in _backups(settings)), default=0.0)
            schedule.every("backup", between, first=between - (self.now() - newest))
        schedule.every("rounds", ROUNDS, first=ROUNDS / 10)
        schedule.every("figures", FIGURES, first=0.0)
        if notifier.every is not None:
            schedule.every("watchdog", notifier.every)

    def _do(self, name: str, notifier: Notifier) -> None:
        state, crew = self._state, self._crew
        try:
            if name in ("poll", "catalogues"):
                crew.send(name)
            elif name == "sharing":
                if self.night.hunted != self._compared:
                    self._compared = self.night.hunted
                    crew.send(name)
            elif name == "beat":
                state.heartbeat(self._name, self.now(), message=f"paused: {crew.full}" if crew.full else "")
                following = self._schedule.next("poll")
                state.set("next_poll_at", None if following is None else str(following))
            elif name == "settings":
                self._look_at_settings()
            elif name == "index":
                self._look_at_index()
            elif name == "prune":
                state.prune_events(self.settings.daemon.events)
                sweep(self.settings, state, self.now())
            elif name == "fold":
                state.checkpoint()
            elif name == "room":
                self._look_for_room()
            elif name == "backup":
                self._back_up()
            elif name == "watchdog":
                notifier.ping()
            elif name == "rounds":
                self._go_round()
            elif name == "figures":
                self._metrics.write()
        except StateError as error:
            self._full(error)

    def _look(self, reader: Reader) -> dict[str, Any]:
        try:
            self._state.due(self.now())
            self._crew.reclaim()
        except StateError as error:
            self._full(error)
        summary = reader.summary(self.now())
        self._watch_the_waiting(summary)
        self.show(self.night, summary)
        return summary

    def _watch_the_waiting(self, summary: dict[str, Any]) -> None:
        """Put down which share of the workers' time goes by without files, where it has changed by half a percent."""
        crew, queue = self._crew, summary["queue"]
        busy = sum(child.role == "worker" and pid in crew.tally.phase for pid, child in crew.children.items())
        starved = queue["queued"] > 0 and queue["ready"] == 0
        share = self._meter.look(busy, worker_count(self.settings), starved, time.monotonic())
        if share is not None and abs(share - self._share) >= 0.005:
            self._share = share
            try:
                self._state.set("waiting", f"{share:.4f}")
            except StateError as error:
                self._full(error)

    def _full(self, error: StateError) -> None:
        """A full disk under the record is waited for; any other fault of it ends the daemon."""
        from hunter.outcomes import disk_is_full

        if not disk_is_full(error):
            raise error
        self._crew.full = str(error)

    def _look_for_room(self) -> None:
        was = self._crew.full
        if self._crew.room_again():
            if was is not None:
                self._note("info", "disk", "there is room on the disk again: the work goes on")
        elif was is None:
            self._note("error", "disk", f"no room left: {self._crew.full}; waiting for some")

    def _look_at_settings(self) -> None:
        """Take up what was changed in hunter.toml, for the batches that begin from now on."""
        seen = _stamp(self.settings.file)
        if seen == self._file_seen:
            return
        self._file_seen = seen
        try:
            new = self.reload()
        except SettingsError as error:
            words = f"hunter.toml was changed and is wrong, so the old settings stay: {error}"
            self._note("error", "settings", words)
            return
        if new.tables == self.settings.tables:
            return
        if new.home != self.settings.home or new.state != self.settings.state:
            words = "[paths] and [state] were changed: they count from the next start of the daemon"
            self._note("warning", "settings", words)
            new = new.changed(self.settings.home, state=self.settings.state)
        self._note("info", "settings", "hunter.toml was changed: taken up after the batch in flight")
        self.settings = new
        self._crew.renew(new)
        self._crew.send("relist")

    def _look_at_index(self) -> None:
        with Reader(self.settings.database) as reader:
            rows = reader.candidates()
        written = tuple(hash((row["name"], row["json_sha256"], row["decision"], row["shared"])) for row in rows)
        if written != self._written:
            rewrite_index(self.settings, self.now())
            self._written = written

    def _back_up(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.now()))
        folder = self.settings.home / "state" / "backups"
        folder.mkdir(exist_ok=True)
        self._state.backup(folder / f"hunter-{stamp}.sqlite")
        for old in _backups(self.settings)[self.settings.daemon.backups :]:
            old.unlink(missing_ok=True)

    def _hear_answers(self) -> None:
        """What the courier brought back from its errands; a failed one is told and tried at its next time."""
        while self._crew.answers:
            errand, well, words = self._crew.answers.popleft()
            if words:
                self._note("info" if well else "warning", errand, words)
            if errand == "poll":
                self._state.set("last_poll", words or "nothing new")

    def _go_round(self) -> None:
        """See that somebody tells people what is to be told: in a thread, for a channel may hang, and so may we."""
        rounds = self._caller = self._caller or Rounds(self.settings, self._state, self.pulse)
        rounds.settings = self.settings
        rounds.start(self.now)

    def _note(self, level: str, kind: str, text: str) -> None:
        """Say it in the journal of the hunt, and in the log."""
        self._state.log(level, kind, text, self.now())
        getattr(log, level)(text, kind=kind)


def crew_is_far(settings: Settings) -> bool:
    """Whether the archive is at the other end of a network."""
    return settings.archive.source in FAR


def _backups(settings: Settings) -> list[Path]:
    """The copies of the database, newest first; their names hold their times."""
    return sorted((settings.home / "state" / "backups").glob("hunter-*.sqlite"), reverse=True)


def _stamp(file: Path | None) -> float | None:
    try:
        return None if file is None else file.stat().st_mtime_ns
    except OSError:
        return None
