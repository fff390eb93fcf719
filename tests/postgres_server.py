"""A private PostgreSQL server for the tests: found or installed, shared by all processes, gone with the last of them.

Run as a script it keeps the server: who uses it holds a connection to the keeper's socket, which the kernel closes
however its process ends. When nobody is left the server is stopped and its folder removed; if the keeper itself is
killed, the server dies with it.
"""

import ctypes
import fcntl
import json
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REQUIRED = any(os.environ.get(name, "") not in ("", "0") for name in ("CI", "HUNTER_REQUIRE_POSTGRES"))
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
SERVER_OPTIONS = ("autovacuum=off", "jit=off", "max_connections=60", "listen_addresses=")
# nothing of a test has to outlive a power cut
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")


class NoServer(Exception):
    """There is no PostgreSQL here, and it cannot be put here; the message says why."""


@contextmanager
def shared_server(folder: Path, durable: bool = False) -> Iterator[str]:
    """Give the URL of the server that all who name this folder share; the last one out waits until it has gone.

    Parameters
    ----------
    durable : bool
        Whether it syncs to the disk, as PostgreSQL does by default.

    Raises
    ------
    NoServer
    """
    with open(folder / "postgres.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        door, url = _enter(lock.read())
        if door is None:
            lock.truncate(0)
            address = _start_keeper(find_binaries() or install(), () if durable else QUICK)
            lock.write(address)
            lock.flush()
            door, url = _enter(address)
            if door is None:
                raise NoServer("the server ended as soon as it had begun")
    with door:
        try:
            yield url
        finally:
            door.shutdown(socket.SHUT_WR)
            while door.recv(1):
                pass


def _enter(address: str) -> tuple[socket.socket | None, str]:
    """Become a user of the server whose keeper listens at ``address``: the open door and the server's URL."""
    door = socket.socket(socket.AF_UNIX)
    try:
        door.settimeout(60)
        door.connect(address)
        url = door.makefile().readline().strip()
    except OSError:
        url = ""
    if not url:  # it has gone, or is just going
        door.close()
        return None, ""
    return door, url


def _start_keeper(binaries: Path, options: tuple[str, ...]) -> str:
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(binaries), *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True, start_new_session=True,  # a Ctrl-C at the tests is theirs: the keeper notices that they are gone
    )  # fmt: skip
    assert keeper.stdout is not None
    with keeper.stdout:
        told = json.loads(keeper.stdout.readline() or '{"error": "its keeper died"}')
    if "error" in told:
        raise NoServer(f"PostgreSQL in {binaries} does not start: {told['error']}")
    return str(told["address"])


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL installed, where Debian's packages or the PATH have one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    found = [*debian, *([Path(on_path).resolve()] if on_path else [])]
    return next((path.parent for path in reversed(found) if (path.parent / "postgres").exists()), None)


def install() -> Path:
    """Install Debian's server, without the cluster that the package would make and start.

    Raises
    ------
    NoServer
        Without root's rights, without apt, or if apt fails (no network).
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoServer(
            "PostgreSQL is not installed, and only root on Debian can do it here: apt-get install postgresql"
        )
    if _apt("install", "postgresql-common") is not None:
        _apt("update")  # a fresh container knows no package
        if (words := _apt("install", "postgresql-common")) is not None:
            raise NoServer(f"PostgreSQL is not installed, and apt-get cannot do it: {words}")
    before = CLUSTERS.read_text() if CLUSTERS.exists() else ""
    CLUSTERS.write_text(f"{before}\ncreate_main_cluster = false\n")
    words = _apt("install", "postgresql")
    if words is not None or (found := find_binaries()) is None:
        raise NoServer(f"PostgreSQL is not installed, and apt-get cannot do it: {words}")
    return found


def _apt(*what: str) -> str | None:
    """Run apt-get; its last words if it fails."""
    command = ["apt-get", *what, "-y", "-qq", *(["--no-install-recommends"] if what[0] == "install" else [])]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took more than 300 s"
    return None if done.returncode == 0 else " ".join(done.stderr.split())[-300:]


# ---------------------------------------------------------------------------------------------------- the keeper


def keep(binaries: Path, options: list[str]) -> None:
    """Make a server, say where its keeper listens, and stop it when its last user has gone."""
    folder = Path(tempfile.mkdtemp(prefix="hunter-postgres-", dir="/tmp"))  # a socket's path is a short one
    server = None
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            try:
                server = _start(binaries, folder, options)
                url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
                _wait_until_ready(server, url, folder / "log")
                listening.bind(str(folder / "users"))
                listening.listen(64)
            except (OSError, NoServer, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", None) or str(error)
                print(json.dumps({"error": " ".join(said.split())[-300:]}), flush=True)
                return
            print(json.dumps({"address": str(folder / "users")}), flush=True)
            left = _serve(listening, url)
    finally:
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    left.close()  # for this the last one has waited


def _start(binaries: Path, folder: Path, settings: list[str]) -> "subprocess.Popen[bytes]":
    options: dict[str, object] = {"cwd": folder}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        names = {account.pw_name: account for account in pwd.getpwall()}
        account = names.get("postgres") or names["nobody"]
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-locale", "-E", "UTF8", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]
    given = [part for option in (*SERVER_OPTIONS, *settings) for part in ("-c", option)]
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder, *given],
            stdout=log, stderr=log, preexec_fn=_die_with_parent, **options,  # type: ignore[call-overload]
        )  # fmt: skip


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    import psycopg

    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url.replace("+psycopg", "")).close()
            return
        time.sleep(0.02)
    raise NoServer(log.read_text(errors="replace"))


def _serve(listening: socket.socket, url: str) -> socket.socket:
    """Let users in and out; return the door of the last one, still open."""
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        users: set[socket.socket] = set()
        while True:
            ready = selector.select(timeout=None if users else 60)
            if not ready:
                return listening  # nobody came
            for key, _ in ready:
                if key.fileobj is listening:
                    user, _ = listening.accept()
                    user.sendall(f"{url}\n".encode())
                    users.add(user)
                    selector.register(user, selectors.EVENT_READ)
                    continue
                user = key.fileobj  # type: ignore[assignment]
                with suppress(ConnectionError):
                    if user.recv(1):
                        continue
                selector.unregister(user)
                users.remove(user)
                if not users:
                    return user
                user.close()


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2:])
