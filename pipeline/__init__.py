"""The science: arrays in, frozen results out; no files, no network, no clock.

``from pipeline import run_phase1, run_phase2, run_phase3`` is the door for arrays at hand; it loads the phases only
when it is used.
"""

from typing import Any

DOOR = ("run_phase1", "run_phase2", "run_phase3")


def __getattr__(name: str) -> Any:
    if name in DOOR:
        from pipeline import door

        return getattr(door, name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
