"""The second search in a process of its own, bounded in time and memory.

Transit least squares is a large compiled library of others, run on whatever a light curve holds: if it hangs, runs out
of memory or crashes, the target keeps its signal and the evidence says what happened. Arrays go in as npz without
pickle, the answer comes back as JSON. Run as ``python -m hunter.confirming`` this file is that process.
"""

import io
import json
import os
import signal as signals
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.confirm import Confirmation, confirm
from pipeline.limb_darkening import Band
from pipeline.types import LightCurve, Star, TransitSignal

MB = 1_000_000
SINGLE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")  # workers share the cores
LAST_WORDS = 400  # characters of what the process said at its end


def confirm_apart(
    light_curve: LightCurve,
    signal: TransitSignal,
    stronger: Sequence[TransitSignal],
    star: Star,
    periods: tuple[float, float],
    *,
    band: Band | None,
    seconds: float,
    memory_mb: float,
) -> Confirmation:
    """:func:`pipeline.confirm.confirm` in a process of its own.

    Parameters
    ----------
    light_curve, signal, stronger, star, periods, band
        As there.
    seconds : float
        After which the process is killed.
    memory_mb : float
        Its address space, where the system can limit that.

    Returns
    -------
    Confirmation
        With status "error" and the reason where the process gave no answer, whatever it was. Never raises for that.
    """
    asked = {
        "signal": asdict(signal),
        "stronger": [asdict(other) for other in stronger],
        "star": asdict(star),
        "periods": periods,
        "band": band,
        "seconds": seconds,
        "memory_mb": memory_mb,
    }
    ours = str(Path(__file__).parents[1])
    path = os.pathsep.join(part for part in (ours, os.environ.get("PYTHONPATH", "")) if part)
    environment = os.environ | {"PYTHONPATH": path} | dict.fromkeys(SINGLE, "1")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hunter.confirming"],
            input=packed(light_curve, asked),
            capture_output=True,
            env=environment,
            timeout=seconds,
            check=False,
            start_new_session=True,  # a Ctrl-C is for the hunt, which lets the batch in flight end
        )
    except OSError as error:
        return failed(f"it could not be started: {error}")
    except subprocess.TimeoutExpired:
        return failed(f"it was stopped after {seconds:g} s: [search] confirm_seconds")
    within = f"within {memory_mb:g} MB ([search] confirm_memory_mb)"
    if done.returncode == -signals.SIGALRM:
        return failed(f"it was stopped after {seconds:g} s: [search] confirm_seconds")
    if done.returncode:
        how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        words = " ".join(done.stderr.decode("utf-8", "replace").split())[-LAST_WORDS:]
        return failed(f"it {how} {within}" + (f": {words}" if words else ""))
    try:
        answer = json.loads(done.stdout)
        if "failed" in answer:
            return failed(f"{answer['failed']} {within}" if answer["memory"] else answer["failed"])
        answer["ranges"] = tuple((float(low), float(high)) for low, high in answer["ranges"])
        return Confirmation(**answer)
    except (ValueError, TypeError, KeyError) as error:
        return failed(f"its answer cannot be read: {error}")


def failed(why: str) -> Confirmation:
    """No answer, and why."""
    return Confirmation("error", f"transit least squares gave no answer: {why}")


def packed(light_curve: LightCurve, asked: dict[str, Any]) -> bytes:
    """A light curve and what is asked of it, as npz bytes."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(asked, default=float).encode(), dtype=np.uint8)
    np.savez(buffer, time=light_curve.time, flux=light_curve.flux, flux_err=light_curve.flux_err, asked=text)
    return buffer.getvalue()


def _bounded(seconds: float, memory_mb: float) -> None:
    """Limit this process, also for the case that its parent is killed and nobody waits."""
    signals.signal(signals.SIGINT, signals.SIG_IGN)
    signals.signal(signals.SIGTERM, signals.SIG_IGN)  # whoever stops the hunt stops it after the batch in flight
    signals.setitimer(signals.ITIMER_REAL, seconds)  # SIGALRM ends the process, whatever it computes
    try:
        import resource
    except ImportError:
        return
    for limit, value in ((resource.RLIMIT_AS, int(memory_mb * MB)), (resource.RLIMIT_CORE, 0)):
        try:
            hard = resource.getrlimit(limit)[1]
            resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
        except (ValueError, OSError):
            continue  # macOS has the name but not the limit


def main() -> None:
    """Read a light curve on stdin, search it, write the answer on stdout."""
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as given:
        asked = json.loads(given["asked"].tobytes())
        light_curve = LightCurve(given["time"], given["flux"], given["flux_err"])
    _bounded(asked["seconds"], asked["memory_mb"])
    out, sys.stdout = sys.stdout, sys.stderr  # a library that prints does not spoil the answer
    try:
        found = confirm(
            light_curve,
            TransitSignal(**asked["signal"]),
            [TransitSignal(**other) for other in asked["stronger"]],
            Star(**asked["star"]),
            (asked["periods"][0], asked["periods"][1]),
            asked["band"],
        )
        answer: dict[str, Any] = asdict(found)
    except Exception as error:  # whatever others' code raises is an answer too
        answer = {
            "failed": f"{type(error).__name__}: " + (" ".join(str(error).split())[:LAST_WORDS] or "no reason given"),
            "memory": isinstance(error, MemoryError | ImportError | OSError),
        }
    out.write(json.dumps(answer, allow_nan=False))


if __name__ == "__main__":
    main()
