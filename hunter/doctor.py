"""Is this machine fit to hunt? One line for each thing that can be wrong, and what mends it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from hunter.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    status: Literal["ok", "warn", "fail"]
    note: str
    cure: str = ""


CURES = {
    "jax": 'pip install --force-reinstall jax jaxlib, or [compute] backend = "numba"',
    "torch": "pip install --force-reinstall torch",
    "database": "`hunter db check` says more; a `hunter db backup` beside it can take its place",
    "model": "`hunter models verify` names the damage; `hunter models rollback` or `hunter train` gives another",
}


def examine(settings: Settings, checks: Sequence[Callable[[Settings], Check]] | None = None) -> Iterator[Check]:
    """Look at everything a night depends on; a check that breaks is itself a failure with its reason."""
    for check in CHECKS if checks is None else checks:
        try:
            yield check(settings)
        except Exception as error:
            name = check.__name__.strip("_")
            yield Check(name, "fail", " ".join(f"{error}".split()) or type(error).__name__, CURES.get(name, ""))


def _python(settings: Settings) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    cores = len(os.sched_getaffinity(0))
    return Check("python", "ok", f"{version}, {cores} cores")


def _child(code: str) -> str:
    """Ask a library in a child process: a driver that hangs or crashes must not take the doctor along."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout.strip()


def _gpu_card() -> bool:
    return Path("/dev/nvidia0").exists()


def _jax(settings: Settings) -> Check:
    seen = _child(
        "import jax; print(jax.__version__, ','.join(f'{d.platform}:{d.device_kind}' for d in jax.devices()))"
    )
    version, _, devices = seen.partition(" ")
    if _gpu_card() and "cpu:" in devices:
        return Check("jax", "warn", f"{version} sees {devices}", "a GPU is there: pip install 'transit-hunter[cuda]'")
    return Check("jax", "ok", f"{version} sees {devices}")


def _torch(settings: Settings) -> Check:
    seen = _child(
        "import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu')"
    )
    version, _, device = seen.partition(" ")
    return Check("torch", "ok", f"{version} sees {device}")


def _disk(settings: Settings) -> Check:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    floor = settings.engine.free_disk_mb / 1e3
    if free < floor:
        return Check(
            "disk",
            "fail",
            f"{free:.1f} GB free at {folder}",
            f"free some space: [engine] free_disk_mb is {floor * 1e3:g}",
        )
    status: Literal["ok", "warn"] = "warn" if free < 20 else "ok"
    cure = "a sector of 20,000 stars takes about 15 GB of phase results" if status == "warn" else ""
    return Check("disk", status, f"{free:.1f} GB free at {folder}", cure)


def _writing(settings: Settings) -> Check:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    probe = folder / f".hunter-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Check("writing", "fail", f"{folder}: {error.strerror}", f"make {folder} writable, or use another --home")
    return Check("writing", "ok", f"{folder} can be written")


def _database(settings: Settings) -> Check:
    from state.store import State

    if "://" not in settings.database and not Path(settings.database).exists():
        return Check("database", "ok", "none yet: the first run makes it")
    state = State.open(settings.database)
    try:
        problems = state.check()
    finally:
        state.close()
    if problems:
        return Check("database", "fail", "; ".join(problems), CURES["database"])
    return Check("database", "ok", "whole, and its counters are right")


def _clock(settings: Settings) -> Check:
    now = time.time()
    newest = max((p.stat().st_mtime for p in (settings.home / "state").glob("*")), default=now)
    year = datetime.fromtimestamp(now, UTC).year
    if year < 2025 or newest > now + 86400:
        return Check("clock", "warn", datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"), "set the clock")
    return Check("clock", "ok", datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"))


def _archive(settings: Settings) -> Check:
    source = settings.archive.source
    if not source:
        return Check("archive", "warn", "none set", "give --archive DIR, or set [archive] source in hunter.toml")
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return Check("archive", "fail", f"{folder} is no folder", "set [archive] source to a folder of light curves")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Check("archive", "fail", f"{folder} cannot be read", f"chmod u+rx {folder}")
    return Check("archive", "ok", str(folder))


def _model(settings: Settings) -> Check:
    from hunter.worker import choose_model

    model = choose_model(settings)
    if model is None:
        return Check(
            "model", "fail", "no usable model: signals will wait at score", "`hunter train`, or `hunter models promote`"
        )
    scorer = model.load()
    return Check("model", "ok", f"{scorer.name} sha256 {scorer.sha256[:12]}")


CHECKS: tuple[Callable[[Settings], Check], ...] = (
    _python,
    _jax,
    _torch,
    _disk,
    _writing,
    _database,
    _clock,
    _archive,
    _model,
)
