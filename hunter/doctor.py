"""Is this machine fit to hunt? One line for each thing that can be wrong, and what mends it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

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
    "numba": "pip install --force-reinstall numba llvmlite",
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
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )  # macOS has no affinity
    return Check("python", "ok", f"{version}, {cores} cores")


def _child(code: str) -> str:
    """Ask a library in a child process: a driver that hangs or crashes must not take the doctor along."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return done.stdout.strip()


ASK_JAX = """
import jax, json
kinds = [device.device_kind for device in jax.devices()]
print(json.dumps({"version": jax.__version__, "backend": jax.default_backend(), "kinds": kinds}))
"""
ASK_TORCH = """
import json, torch
backend, kinds = "cpu", []
if torch.cuda.is_available():
    backend, kinds = "cuda", [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
elif torch.backends.mps.is_available():
    backend, kinds = "mps", ["Apple GPU"]
seen = {"version": torch.__version__, "backend": backend, "kinds": kinds, "threads": torch.get_num_threads()}
print(json.dumps(seen))
"""
ASK_NUMBA = """
import json, numba
import llvmlite.binding as llvm
features = [name for name, there in llvm.get_host_cpu_features().items() if there]
print(json.dumps({"version": numba.__version__, "threads": numba.config.NUMBA_NUM_THREADS,
                  "cpu": llvm.get_host_cpu_name(), "features": features}))
"""
# LLVM's name of a feature: bits of its registers, and the name people know
SIMD = {
    "avx512f": "512-bit AVX-512",
    "avx2": "256-bit AVX2",
    "avx": "256-bit AVX",
    "sse2": "128-bit SSE2",
    "sve": "scalable SVE",
    "neon": "128-bit NEON",
}


def gpu_card() -> bool:
    """Whether the system shows an NVIDIA GPU, whatever the libraries make of it."""
    return (
        Path("/dev/nvidia0").exists()
        or Path("/proc/driver/nvidia/version").exists()
        or shutil.which("nvidia-smi") is not None
    )


def devices(kinds: Sequence[str]) -> str:
    """``2 x NVIDIA H200, cpu``."""
    return ", ".join(f"{count} x {kind}" if (count := kinds.count(kind)) > 1 else kind for kind in dict.fromkeys(kinds))


def threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def simd(features: Iterable[str]) -> str:
    """The widest vector registers of a processor, from LLVM's names of its features."""
    there = set(features)
    return next((name for feature, name in SIMD.items() if feature in there), "no vector registers known")


def jax_line(seen: Mapping[str, Any], card: bool, plugin: bool) -> Check:
    """What JAX sees; a warning where a GPU is there and JAX works without it."""
    note = f"{seen['version']} on {seen['backend']}: {devices(seen['kinds'])}"
    if seen["backend"] == "cpu" and card:
        cure = "an NVIDIA GPU is there: pip install 'transit-hunter[cuda]'"
        if plugin:
            cure = "an NVIDIA GPU and JAX's plugin for it are there: `nvidia-smi` says whether the driver works"
        return Check("jax", "warn", note, cure)
    return Check("jax", "ok", note)


def _jax(settings: Settings) -> Check:
    names = (distribution.name or "" for distribution in metadata.distributions())
    return jax_line(json.loads(_child(ASK_JAX)), gpu_card(), any(name.startswith("jax-cuda") for name in names))


def _torch(settings: Settings) -> Check:
    seen = json.loads(_child(ASK_TORCH))
    what = devices(seen["kinds"]) or threads(seen["threads"])
    return Check("torch", "ok", f"{seen['version']} on {seen['backend']}: {what}")


def _numba(settings: Settings) -> Check:
    seen = json.loads(_child(ASK_NUMBA))
    note = f"{seen['version']} on cpu: {threads(seen['threads'])}, {seen['cpu']}, {simd(seen['features'])}"
    return Check("numba", "ok", note)


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
    _numba,
    _disk,
    _writing,
    _database,
    _clock,
    _archive,
    _model,
)
