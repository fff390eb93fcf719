"""A warm process that gives birth to workers: run as a script, it reads one life a line and says how it ended.

Importing the libraries and compiling the kernels takes seconds; a fork of a process that has done it takes none, so
that a test can afford to kill hundreds of workers. Everything here runs the real engine on real files.
"""

import errno
import functools
import gc
import importlib
import io
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import numpy as np

from state.status import StateError


def digest_sheet(evidence, cleaned, result, views, surroundings, curve=None):
    """A small PNG that shows the sha256 of everything the real sheet is drawn from, its times aside.

    Drawing takes a second of processor time, and one life in twelve does it. This sheet is stricter than the real
    one: any bit of the inputs changes it.
    """
    import hashlib

    from PIL import Image

    from candidates.plots import Sheet
    from hunter.checkpoints import encode

    document = {name: block for name, block in evidence.document.items() if name != "run"}
    hashed = hashlib.sha256(
        json.dumps(document, sort_keys=True).encode() + encode((cleaned, result, views, surroundings))
    ).digest()
    out = io.BytesIO()
    Image.fromarray(np.frombuffer(hashed, dtype=np.uint8).reshape(4, 8)).save(out, format="PNG")
    return Sheet(out.getvalue(), hashed)


def settings_of(home: str, given: dict):
    from hunter.settings import load

    return load(home, given)


class Poison:
    """An archive in which the file of one star ends the process that reads it, as a fault in a C library would."""

    def __init__(self, archive, key: str) -> None:
        self.archive, self.key = archive, key

    def __getattr__(self, name):
        return getattr(self.archive, name)

    def read(self, product):
        if self.key in product.uri:
            os._exit(77)
        return self.archive.read(product)


def failing(where: int, what: str):
    """A boundary at which a person interrupts, or from which on every write finds the disk full."""
    passed = [0]

    def at(name: str) -> None:
        passed[0] += 1
        if what == "interrupt" and passed[0] == where:
            raise KeyboardInterrupt
        if what == "full" and passed[0] >= where:
            if name in ("file opened", "file written"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")
            if name.endswith("before-commit"):
                raise sqlite3.OperationalError("database or disk is full")  # what SQLite itself says then

    return at


def command(order: dict) -> None:
    """One command line, with its output in files."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
    from hunter.__main__ import main as hunter

    try:
        hunter(order["command"])
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))


def live(order: dict) -> None:
    """What ``hunter run`` does after a kill, in one process: tidy up, then work to the end."""
    import candidates.plots
    import hunter.archives
    from hunter import crashpoints, crew, engine, worker

    if order["sheet"] == "digest":
        candidates.plots.draw_sheet = digest_sheet
    if "poison" in order:
        opened = hunter.archives.open_archive
        hunter.archives.open_archive = lambda settings: Poison(opened(settings), order["poison"])
    settings = settings_of(order["home"], order["given"])
    with open(order["diary"], "a", buffering=1) as book, engine.home_lock(settings.home):

        def note(kind: str, what: object) -> None:
            print(json.dumps([kind, what]), file=book)
            if kind == "phase" and what[0] == order.get("stop"):
                del order["stop"]
                os.kill(os.getpid(), signal.SIGSTOP)

        state = engine.open_state(settings)
        if order.get("poison"):  # the engine that lives on sees its worker die
            crew.take_back(settings, state, lambda line: None, time.time())
        engine.tidy(settings, state, lambda line: None, time.time())
        state.close()
        if "fail" in order:
            crashpoints.at = failing(*order["fail"])
        try:
            note("hunted", worker.work(settings, worker.Duty(report=note)))
        except (KeyboardInterrupt, worker.DiskFull, StateError, OSError) as error:
            note("stopped", [type(error).__name__, str(error), worker.disk_is_full(error)])


def main() -> None:
    from hunter import worker

    worker.versions = functools.cache(worker.versions)  # nobody installs anything between two lives
    # a kill, unlike a power cut, takes nothing from the kernel: a test that waited for the disk would show no more
    os.fsync = lambda file: None
    for line in sys.stdin:
        order = json.loads(line)
        for name in order.get("first", ()):  # module, or module:function
            module, _, function = name.partition(":")
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
        if order.get("warm"):  # what this first life has loaded and compiled is inherited by all later ones
            live(order)
            gc.collect()
            gc.freeze()
            print(json.dumps({"code": 0, "threads": threads()}), flush=True)
            continue
        child = os.fork()
        if child == 0:
            try:
                os.environ.update(order["environment"])
                (command if "command" in order else live)(order)
                os._exit(0)
            except BaseException:
                import traceback

                Path(order["diary"]).with_suffix(".error").write_text(traceback.format_exc())
                os._exit(1)
        if "command" in order or "stop" in order:
            print(json.dumps({"pid": child}), flush=True)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "threads": threads()}), flush=True)


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


if __name__ == "__main__":
    main()
