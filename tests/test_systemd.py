"""The service manager hears what it should, in its own words, and never from a loop that hangs."""

import shutil
import socket
import subprocess
import sys

import pytest

from hunter.health import Pulse
from hunter.settings import load
from hunter.systemd import Notifier, daemon_command, unit_text


class Listener:
    """A service manager's end of the socket."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.setblocking(False)

    def heard(self):
        try:
            return self.socket.recv(4096).decode()
        except BlockingIOError:
            return None


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    """The listener and the address by which the environment names it."""
    name = str(tmp_path / "s") if request.param == "file" else f"\0hunter-{tmp_path}"
    listener = Listener(name)
    yield listener, name.replace("\0", "@")
    listener.socket.close()


def test_each_message_arrives_in_the_words_of_the_protocol(manager):
    listener, address = manager
    notifier = Notifier(address)
    assert notifier.ready("12 targets\nwait")
    assert listener.heard() == "READY=1\nSTATUS=12 targets wait"
    assert notifier.status("polling")
    assert listener.heard() == "STATUS=polling"
    assert notifier.stopping()
    assert listener.heard() == "STOPPING=1"


def test_the_watchdog_is_fed_only_while_the_main_loop_turns(manager):
    listener, address = manager
    notifier = Notifier(address, watchdog=60.0)
    assert notifier.every == 30.0
    assert notifier.ping()  # the first: the daemon has just begun
    assert listener.heard() == "WATCHDOG=1"
    assert not notifier.ping()
    assert listener.heard() is None
    notifier.turned()
    notifier.turned()
    assert notifier.ping()
    assert not notifier.ping()


def test_the_environment_is_read_once_and_taken_from_the_children(manager):
    listener, address = manager
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "120000000", "WATCHDOG_PID": "7", "HOME": "/"}
    notifier = Notifier.from_environment(environment=environment, pid=7)
    assert environment == {"HOME": "/"}
    assert notifier.every == 60.0
    assert notifier.ready()
    assert listener.heard() == "READY=1"


@pytest.mark.parametrize(
    "words", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "8"}, {}]
)
def test_a_watchdog_that_is_off_or_watches_another_is_not_fed(words):
    notifier = Notifier.from_environment(environment={"NOTIFY_SOCKET": "/nowhere", **words}, pid=7)
    assert notifier.every is None
    assert not notifier.ping()


def test_a_service_manager_that_is_gone_stops_nobody(tmp_path):
    assert not Notifier(str(tmp_path / "gone")).ready()
    assert not Notifier("x" * 500).ready()  # longer than an address may be
    assert not Notifier(None, watchdog=60.0).ready()
    assert Notifier(None, watchdog=60.0).every is None


def test_the_pulse_knows_how_long_the_loop_has_been_silent():
    now = [100.0]
    pulse = Pulse(lambda: now[0])
    now[0] = 130.0
    assert pulse.silence == 30.0
    pulse.turned()
    assert (pulse.silence, pulse.turns) == (0.0, 1)


def test_the_unit_follows_the_settings(tmp_path):
    settings = load(str(tmp_path), {"engine.drain_seconds": 90.0, "health.stuck_seconds": 240.0}, light=True)
    lines = unit_text(settings, daemon_command(settings)).splitlines()
    for line in (
        "Type=notify",
        "Restart=on-failure",
        "RestartSec=30",
        "RestartPreventExitStatus=2 75",
        "SuccessExitStatus=130 143",
        "TimeoutStopSec=100",
        "WatchdogSec=480",
        "KillMode=mixed",
    ):
        assert line in lines
    assert f"ExecStart={sys.executable} -m hunter daemon --home {tmp_path}" in lines


def test_odd_names_of_homes_keep_their_meaning(tmp_path):
    settings = load(str(tmp_path), light=True)
    text = unit_text(settings, ["/usr/bin/hunter", "daemon", "--home", '/data/50% "sure" $HOME\\x\n'])
    assert r'ExecStart=/usr/bin/hunter daemon --home "/data/50%% \"sure\" $$HOME\\x\n"' in text.splitlines()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT VERIFIED: systemd-analyze is not on this machine")
@pytest.mark.parametrize("name", ["hunt", "a night's 50% $hunt"])
def test_systemd_finds_no_fault_with_the_unit(tmp_path, name):
    home = tmp_path / name
    home.mkdir()
    settings = load(str(home), light=True)
    unit = tmp_path / "hunter-test.service"
    unit.write_text(unit_text(settings, daemon_command(settings)))
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
