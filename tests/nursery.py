"""A warm process that gives birth to workers: run as a script, it reads one life a line and says how it ended.

Importing the libraries and compiling the kernels takes seconds; a fork of a process that has done it takes none, so
that a test can afford to kill hundreds of workers. Everything here runs the real engine on real files.
"""

import gc
import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np


def digest_sheet(evidence, cleaned, result, views) -> bytes:
    """A small PNG that shows the sha256 of everything the real sheet is drawn from, its times aside.

    Drawing takes a second of processor time, and one life in twelve does it. This sheet is stricter than the real
    one: any bit of the inputs changes it.
    """
    import hashlib

    from PIL import Image

    from hunter.checkpoints import encode

    document = {name: block for name, block in evidence.document.items() if name != "run"}
    hashed = hashlib.sha256(json.dumps(document, sort_keys=True).encode() + encode((cleaned, result, views))).digest()
    out = io.BytesIO()
    Image.fromarray(np.frombuffer(hashed, dtype=np.uint8).reshape(4, 8)).save(out, format="PNG")
    return out.getvalue()


def settings_of(home: str, given: dict):
    from hunter.settings import load

    return load(home, given)


def live(home: str, given: dict, diary: str, sheet: str) -> None:
    """What ``hunter run`` does after a kill, in one process: tidy up, then work to the end."""
    import candidates.plots
    from hunter import engine, worker

    if sheet == "digest":
        candidates.plots.draw_sheet = digest_sheet
    settings = settings_of(home, given)
    with open(diary, "a", buffering=1) as book, engine.home_lock(settings.home):
        state = engine.open_state(settings)
        engine._tidy(settings, state, lambda line: None, time.time())
        state.close()
        worker.work(settings, worker.Duty(report=lambda kind, what: print(json.dumps([kind, what]), file=book)))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                os.environ.update(order["environment"])
                live(order["home"], order["given"], order["diary"], order["sheet"])
                os._exit(0)
            except BaseException:
                import traceback

                Path(order["diary"]).with_suffix(".error").write_text(traceback.format_exc())
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if order["warm"]:  # what a first life has loaded and compiled is to be inherited by all later ones
            live(order["home"], order["given"], order["diary"], order["sheet"])
            gc.collect()
            gc.freeze()
        threads = len(os.listdir("/proc/self/task"))
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "threads": threads}), flush=True)


if __name__ == "__main__":
    main()
