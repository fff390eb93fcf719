"""How long a sector takes from its release to the queue: listed, checked against the count, entered, queued.

python benchmarks/listing.py --targets 20000 [--names ../shared/data/catalogs/sector_lists/FILE.csv.gz] [--json FILE]

The replica of MAST serves the sector from a process of its own; its names are simulated, or those of a real list.
"""

import argparse
import csv
import gzip
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hunter.archives.mast.names import PRODUCTS
from hunter.archives.mast.portal import Portal
from hunter.archives.mast.sector import list_sector
from hunter.copies import Copies
from hunter.network.door import Door
from hunter.network.settings import NetworkSettings
from hunter.settings import load
from hunter.watching import Watcher
from state.store import State

SECTOR = 6


def serve(connection: Any, targets: int, names: list[str] | None) -> None:
    """A replica in a process of its own; says its addresses, then how many requests came whenever it is asked."""
    from hunter.replica import Catalogue, Replica

    catalogue = Catalogue()
    catalogue.add_crowd(SECTOR, stars=targets, names=names, fast=600, reports=1000, hlsp=500)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    with Replica(catalogue) as replica:
        connection.send(replica.settings)
        while connection.recv():
            connection.send([line.route for line in replica.lines()])
            replica.forget()


def timed(act: Any) -> tuple[Any, dict[str, float]]:
    began, spent = time.perf_counter(), time.process_time()
    found = act()
    return found, {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=20_000)
    parser.add_argument("--names", type=Path, metavar="FILE", help="a csv.gz whose column Filename names light curves")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    names = None
    if arguments.names is not None:
        with gzip.open(arguments.names, "rt") as file:
            names = [row["Filename"] for row in csv.DictReader(file)]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    replica = context.Process(target=serve, args=(theirs, arguments.targets, names), daemon=True)
    replica.start()
    addresses = ours.recv()

    def asked() -> list[str]:
        ours.send(True)
        found: list[str] = ours.recv()
        return found

    told: dict[str, Any] = {"machine": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="listing-") as scratch:
        home = Path(scratch)
        door = Door(NetworkSettings(contact="http://127.0.0.1/"))
        portal = Portal(door.session(), addresses["mast_url"], home / "cache")
        copies = Copies(door.session(), home / "scripts")
        with door.asking():
            portal.count(PRODUCTS["SPOC-120"], SECTOR)  # astroquery is imported, and the columns are described
            warm = asked()
            found, told["list"] = timed(
                lambda: list_sector(portal, copies, addresses["bulk_url"], PRODUCTS["SPOC-120"], SECTOR)
            )
        told["list"] |= {"files": len(found.files), "requests": len(asked()), "requests_before": len(warm)}
        where = {f"archive.{name}": address for name, address in addresses.items()}
        settings = load(str(home / "hunt"), {"archive.source": "mast", "watch.first_sector": SECTOR} | where)
        settings.home.mkdir()
        with State.open(settings.database) as state, door.asking():
            watcher = Watcher(settings, state, door.session())
            report, told["poll"] = timed(lambda: watcher.poll(time.time()))
            told["poll"] |= {"queued": report.added, "requests": len(asked())}
            again, told["poll_again"] = timed(lambda: watcher.poll(time.time()))
            told["poll_again"] |= {"queued": again.added, "requests": len(asked())}
            known, told["describe"] = timed(lambda: watcher.describe(SECTOR, "SPOC-120", time.time()))
            told["describe"] |= {"stars": known, "requests": len(asked())}
    ours.send(False)
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
