"""Is this machine fit to hunt? One line for each thing that can be wrong, and what mends it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from hunter.archives.settings import FAR
from hunter.settings import Settings

CLOCK_SECONDS = 300.0  # by which a clock may be off before it is told


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


def examine(
    settings: Settings, checks: Sequence[Callable[[Settings], Check]] | None = None, *, online: bool = False
) -> Iterator[Check]:
    """Look at everything a night depends on; a check that breaks is itself a failure with its reason.

    What is here is looked at first; only ``online`` asks an archive, by one small question at the end.
    """
    chosen = CHECKS if checks is None else checks
    for check in (*chosen, _online) if online else chosen:
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
    if free < max(20.0, settings.health.disk_low_gb):
        cure = "a sector of 20,000 stars takes about 15 GB of phase results"
        return Check("disk", "warn", f"{free:.1f} GB free at {folder}", cure)
    return Check("disk", "ok", f"{free:.1f} GB free at {folder}")


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


def _file_system(settings: Settings) -> Check:
    from state.place import NETWORK_FILE_SYSTEMS, file_system, sqlite_file, without_password

    file = sqlite_file(settings.database)
    if file is None:
        return Check("storage", "ok", f"the database is a server: {without_password(settings.database)}")
    kind = file_system(file.absolute())
    if kind in NETWORK_FILE_SYSTEMS:
        cure = "put the home on a local disk, or set [state] url to a PostgreSQL server"
        return Check("storage", "fail", f"{file} lies on {kind}, where SQLite loses data", cure)
    return Check("storage", "ok", f"the database lies on {kind or 'a file system that cannot be told'}")


def _clock(settings: Settings) -> Check:
    now = time.time()
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    newest = max((p.stat().st_mtime for p in (settings.home / "state").glob("*")), default=now)
    with _record(settings) as reader:
        if reader is not None:
            summary = reader.summary(now, candidates=0, events=1)
            beats = (one["heartbeat"] for one in summary["workers"])
            newest = max([newest, *beats, *(row["at"] for row in summary["events"])])
    if datetime.fromtimestamp(now, UTC).year < 2025:
        return Check("clock", "warn", shown, "set the clock")
    if newest > now + CLOCK_SECONDS:
        note = f"{shown}, but the hunt was at work {_ahead(newest - now)} later than that"
        return Check("clock", "warn", note, "set the clock: leases and polls are counted by it")
    return Check("clock", "ok", shown)


@contextmanager
def _record(settings: Settings) -> Iterator[Any]:
    """A reader of the record, None where there is none yet; of what is wrong with it another check tells."""
    from state.reading import Reader
    from state.status import StateError

    try:
        reader = Reader(settings.database)
    except StateError:
        yield None
        return
    with reader:
        yield reader


def _ahead(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _archive(settings: Settings) -> Check:
    source = settings.archive.source
    if not source:
        return Check(
            "archive", "warn", "none set", "give --archive DIR, or set [archive] source to a folder, mast or s3"
        )
    if source in FAR:
        return Check("archive", "ok", f"{source}: not asked (use --online)")
    folder = Path(source).expanduser()
    if not folder.is_dir():
        return Check("archive", "fail", f"{folder} is no folder", "set [archive] source to a folder of light curves")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Check("archive", "fail", f"{folder} cannot be read", f"chmod u+rx {folder}")
    return Check("archive", "ok", str(folder))


def _contact(settings: Settings) -> Check:
    if settings.network.contact:
        return Check("contact", "ok", settings.network.contact)
    if settings.archive.source not in FAR:
        return Check("contact", "ok", "not needed: no archive is asked")
    cure = "set [network] contact to a web page or address of yours, so that an archive can reach you"
    return Check("contact", "warn", "none is sent with our requests", cure)


def _hosts(settings: Settings) -> Check:
    from hunter.words import breakers

    now = time.time()
    with _record(settings) as reader:
        known = [] if reader is None else breakers(reader.summary(now, candidates=0, events=0)["words"])
    alone = [host for host in known if host.is_open(now)]
    if not alone:
        return Check("hosts", "ok", "none is left alone" if known else "none was ever left alone")
    told = [
        f"{host.host} is left alone" + (f" until {_when(host.again)}" if host.again else "") + f" ({host.reason})"
        for host in alone
    ]
    return Check("hosts", "warn", "; ".join(told), "nothing to do: a request tries it then, and the hunt goes on")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _notify(settings: Settings) -> Check:
    import importlib.util
    import shlex

    from hunter.notify.settings import channels_of

    channels = channels_of(settings.notify)
    if not channels:
        return Check("notify", "ok", "nobody is told: [notify] channels is empty")
    for channel in channels:
        if channel.kind == "apprise" and importlib.util.find_spec("apprise") is None:
            return Check("notify", "fail", f"{channel.name} needs apprise", "pip install 'transit-hunter[notify]'")
        if channel.kind == "command" and shutil.which(program := shlex.split(channel.address)[0]) is None:
            return Check("notify", "fail", f"{channel.name}: {program} is no program", "give its whole path")
    return Check("notify", "ok", f"{', '.join(channel.name for channel in channels)}; `hunter notify test` tries them")


def _messages(settings: Settings) -> Check:
    with _record(settings) as reader:
        owed = {"waiting": 0, "dead": 0} if reader is None else reader.summary(time.time(), 0, 0)["outbox"]
    if owed["dead"]:
        cure = "`hunter notify test` says why; `hunter notify retry` sends them again"
        return Check("messages", "warn", f"{owed['dead']} were given up, {owed['waiting']} wait", cure)
    return Check("messages", "ok", f"{owed['waiting']} wait to be sent")


ONE_COUNT = {
    "service": "Mast.Caom.Filtered",
    "params": {
        "columns": "COUNT_BIG(*)",
        "filters": [
            {"paramName": "obs_collection", "values": ["TESS"]},
            {"paramName": "dataproduct_type", "values": ["timeseries"]},
            {"paramName": "sequence_number", "values": [1]},
        ],
    },
    "format": "json",
}


def _online(settings: Settings) -> Check:
    """Ask the archive one small thing, and compare its clock with ours."""
    from hunter.network.door import Door
    from hunter.network.s3 import BUCKET, prefix_of
    from hunter.words import breakers
    from pipeline.errors import ArchiveUnavailable

    source = settings.archive.source
    if source not in FAR:
        return Check("online", "ok", "nothing to ask: the archive is a folder" if source else "nothing to ask")
    address = (settings.archive.mast_url if source == "mast" else settings.archive.s3_endpoint).rstrip("/")
    with _record(settings) as reader:
        words = {} if reader is None else reader.summary(time.time(), 0, 0)["words"]
    host = address.partition("://")[2].partition("/")[0]
    if any(one.host == host and (one.again or 0) > time.time() for one in breakers(words)):
        return Check("online", "warn", f"{host} is left alone and was not asked", "`hunter status` says until when")
    door = Door(replace(settings.network, attempts=1, read_seconds=20.0, deadline_seconds=30.0))
    began = time.monotonic()
    try:
        if source == "mast":
            question = {"request": json.dumps(ONE_COUNT)}
            answer = door.ask(f"{address}/api/v0/invoke", method="POST", data=question)
        else:
            few = {"list-type": "2", "prefix": prefix_of(1), "max-keys": "1"}
            answer = door.ask(f"{address}/{BUCKET}", params=few)
    except ArchiveUnavailable as error:
        return Check(
            "online", "fail", str(error), "is this machine online? else the hunt waits and asks again by itself"
        )
    finally:
        door.close()
    took = time.monotonic() - began
    note = f"{host} answers in {took:.1f} s"
    told = answer.headers.get("Date")
    try:
        ahead = time.time() - parsedate_to_datetime(told).timestamp() if told else 0.0
    except ValueError:
        ahead = 0.0
    if abs(ahead) > CLOCK_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        return Check("online", "warn", f"{note}; our clock is {_ahead(abs(ahead))} {way} its", "set the clock")
    return Check("online", "ok", note)


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
    _file_system,
    _database,
    _clock,
    _archive,
    _contact,
    _hosts,
    _notify,
    _messages,
    _model,
)
