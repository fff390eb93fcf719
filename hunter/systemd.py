"""The service manager: it is told that the daemon is ready, what it does, and that its main loop still turns.

The protocol is one datagram for each message, to the socket named by ``NOTIFY_SOCKET`` (sd_notify(3)). Run by hand,
there is no such socket, and every call does nothing.
"""

import os
import socket
import sys
from collections.abc import MutableMapping, Sequence

from hunter.health import Pulse
from hunter.settings import Settings

NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
START_SECONDS = 900  # to check, back up and migrate a large database before READY
STATUS_LENGTH = 200  # characters of a status line


class Notifier:
    """Speaks to the service manager, and pings its watchdog as long as the main loop turns.

    Parameters
    ----------
    address : str, optional
        The socket; a leading ``@`` means the abstract name space. None: nobody listens.
    watchdog : float, optional
        Seconds of silence after which the service manager ends us; None where it does not watch.
    pulse : Pulse, optional
        What the main loop turns; its own otherwise.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None, pulse: Pulse | None = None) -> None:
        self.address = address
        self.watchdog = watchdog
        self.pulse = pulse or Pulse()
        self._seen = -1  # turns at the last ping; none yet, so that the first one goes out

    @classmethod
    def from_environment(
        cls,
        pulse: Pulse | None = None,
        environment: MutableMapping[str, str] = os.environ,
        pid: int | None = None,
    ) -> "Notifier":
        """The notifier that the environment asks for.

        The variables are taken out of the environment, so that no child of ours speaks in our name.
        """
        address, microseconds, watched = (environment.pop(name, "") for name in NAMES)
        seconds = int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
        if watched and watched != str(os.getpid() if pid is None else pid):
            seconds = None  # another process is the one that is watched
        return cls(address or None, seconds, pulse)

    @property
    def every(self) -> float | None:
        """Seconds between two pings: half of what the watchdog allows; None where nobody watches."""
        return None if self.watchdog is None or self.address is None else self.watchdog / 2

    def ready(self, status: str = "") -> bool:
        """All is open and checked; a unit of ``Type=notify`` counts as started from here on."""
        return self._send("READY=1", status)

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self._send("", text)

    def stopping(self, status: str = "") -> bool:
        """The daemon drains and ends."""
        return self._send("STOPPING=1", status)

    def turned(self) -> None:
        """The main loop went round once more."""
        self.pulse.turned()

    def ping(self) -> bool:
        """Tell the watchdog that we live, if the main loop has turned since the last ping; a timer calls this."""
        turns = self.pulse.turns
        if self.every is None or turns == self._seen:
            return False
        self._seen = turns
        return self._send("WATCHDOG=1")

    def _send(self, words: str, status: str = "") -> bool:
        """Send one datagram; whether it went. A service manager that does not listen is no reason to stop."""
        if self.address is None:
            return False
        lines = [words] if words else []
        if status:
            lines.append("STATUS=" + " ".join(status.split())[:STATUS_LENGTH])
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
                door.setblocking(False)
                door.sendto("\n".join(lines).encode(), name)
        except OSError:
            return False
        return True


def daemon_command(settings: Settings) -> list[str]:
    """The words that start this hunt's daemon from anywhere, with this Python."""
    return [sys.executable, "-m", "hunter", "daemon", "--home", str(settings.home)]


def unit_text(settings: Settings, command: Sequence[str]) -> str:
    """A service unit for this hunt, whole and ready to install.

    Parameters
    ----------
    settings : Settings
        With its [engine] and [health] tables; the time to stop follows the drain limit, the watchdog the main loop's.
    command : sequence of str
        The words of the command, the program first, as an absolute path.

    Returns
    -------
    str
        The text of a ``.service`` file, for a user's service manager or the system's.
    """
    program, *rest = command
    # the program itself is not searched for variables, so its dollars stay single
    words = [_quoted(program, dollars=False), *(_quoted(word) for word in rest)]
    return f"""\
[Unit]
Description=Transit hunter of {_specifiers(_one_line(str(settings.home)))}

[Service]
Type=notify
ExecStart={" ".join(words)}
Restart=on-failure
RestartSec=30
# wrong settings, or another process holds the hunt: starting again would not help
RestartPreventExitStatus=2 75
# ended by a signal is ended well
SuccessExitStatus=130 143
TimeoutStartSec={START_SECONDS}
# the limit to drain, and a little
TimeoutStopSec={settings.engine.drain_seconds + 10:.0f}
# a main loop that is silent for so long is killed and started again; people are told at half of it
WatchdogSec={2 * settings.health.stuck_seconds:.0f}
# only the main process is asked to stop; it ends its workers
KillMode=mixed
Nice=10

[Install]
WantedBy=default.target
"""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str, dollars: bool = True) -> str:
    """One word of a command line as systemd reads it: in quotes, with C escapes, ``%`` and ``$`` doubled."""
    text = _specifiers(word.replace("\\", "\\\\").replace('"', '\\"'))
    text = text.replace("\n", "\\n").replace("\t", "\\t")
    if dollars:
        text = text.replace("$", "$$")
    return f'"{text}"' if not word or any(letter in word for letter in " \t\n\"'\\;") else text
