"""What a measurement was made on: processor, load, versions."""

import contextlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The processor by its name, how many cores there are, and the system."""
    return {"cpu": cpu(), "cores": os.cpu_count(), "system": platform.platform()}


def cpu() -> str:
    """The processor's name as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load() -> float:
    """Processes that wanted to run in the last minute, on average; above the number of cores times are disturbed."""
    return round(os.getloadavg()[0], 2)


def installed(names: Iterable[str]) -> dict[str, str | None]:
    """The version of each distribution, ``None`` where it is not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def peak_memory() -> int:
    """Most bytes of memory this process has held.

    Linux tells it of the program that runs now. The figure of getrusage may be that of the process that started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
