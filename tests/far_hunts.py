"""Small real hunts of an archive far away: a replica on the loopback, a home that points at it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hunter import engine
from hunter.courier import Courier
from hunter.network.door import Door
from hunter.replica import Catalogue, Entry
from hunter.settings import Settings, load
from hunter.supply import FarSupplier
from hunter.worker import Duty
from state.products import Products
from state.rows import ListedProduct, NewTarget
from state.store import State

SECTOR = 6
# a night's waits in no time: the archive is a process away, and what is tested is what follows from what
IMPATIENT = {
    "network.breaker_seconds": 0.2,
    "network.read_seconds": 0.5,
    "network.deadline_seconds": 2.0,
    "network.queries_per_second": 10.0,
    "files.free_gb": 0.0,
    "engine.free_disk_mb": 0.0,
    "engine.heartbeat_seconds": 3600.0,
    "engine.lease_seconds": 7200.0,
    "compute.workers": 1,
    "fit.sampler": "none",
}


def crowd(stars: int, **more: object) -> Catalogue:
    """SIMULATED: a sector whose light curves are a few, stamped for many stars; two days at two minutes."""
    catalogue = Catalogue()
    catalogue.add_crowd(SECTOR, stars=stars, cadence_seconds=120, span=2.0, pool=3, again=0.0, **more)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    return catalogue


def settings_for(home: Path, addresses: dict[str, str], **given: object) -> Settings:
    told = {name.replace("__", ".", 1): value for name, value in given.items()}
    where = {f"archive.{name}": address for name, address in addresses.items()}
    return load(str(home), {"archive.source": "mast"} | where | IMPATIENT | told)


def listed(entries: Iterable[Entry]) -> list[ListedProduct]:
    return [
        ListedProduct(file.uri, "TIC", str(entry.tic), entry.sector, "SPOC-120", "", file.size)
        for entry in entries
        for file in entry.files
        if file.subgroup == "LC"
    ]


def queued(settings: Settings, entries: Iterable[Entry]) -> State:
    """The record of a home in which these wait for their files."""
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "candidates").mkdir(exist_ok=True)
    state = engine.open_state(settings)
    files = listed(entries)
    Products(state).enter(files, 1.0)
    digest = hashlib.sha256(b"listed").hexdigest()
    state.enqueue([NewTarget(f.kind, f.key, digest, (f.uri,), {"tmag": 9.0}, remote=True) for f in files], 1.0)
    return state


def courier(settings: Settings, state: State, **more: object) -> Courier:
    """A courier that waits for nothing."""
    door = Door(settings.network, state, sleep=lambda seconds: None)
    return Courier(settings, state, FarSupplier(settings, state, door), Duty(**more), turn=0.01)
