"""What fetching costs and how it behaves, against the replica of MAST on the loopback (its stars are simulated).

    python benchmarks/downloads.py --json > benchmarks/downloads.json
    python benchmarks/downloads.py --genuine ../shared/data/lightcurves --json

Files have the size of a sector's (2 MB) and are fetched by three threads through one door into a store; then the same
again, when every file is here; then with one request in ten told to wait a second. Queries are asked by four threads
as fast as they may. Times of checks are medians of wall and processor time with the file in the page cache.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from hunter.archives import formats
from hunter.archives.fits_file import BLOCK, walk
from hunter.archives.settings import ArchiveSettings
from hunter.network.door import Door
from hunter.network.downloads import Wanted
from hunter.network.files import FileStore, Pause
from hunter.network.settings import FilesSettings, NetworkSettings
from hunter.network.verifying import Expected, Unsound, verify
from hunter.replica import Catalogue, Replica, Rule, Rules, unavailable

SECTOR = 7
COLUMNS = ArchiveSettings().columns


def sector(stars: int) -> Catalogue:
    catalogue = Catalogue()
    catalogue.add_crowd(SECTOR, stars=stars, span=25.4, pool=6)
    catalogue.release(SECTOR)
    catalogue.publish_script(SECTOR)
    return catalogue


def wanted(catalogue: Catalogue, host: str) -> list[Wanted]:
    return [
        Wanted(file.uri, (f"{host}/api/v0.1/Download/file?uri={file.uri}",), file.size, str(entry.tic), SECTOR, 120.0)
        for entry in catalogue.visible(SECTOR)
        for file in entry.files
        if entry.source is not None
    ]


def most_in_a_second(times: Iterable[float]) -> int:
    """The most that began within any second, its end not included."""
    ordered = sorted(times)
    return max((bisect_left(ordered, begin + 1.0) - place for place, begin in enumerate(ordered)), default=0)


def fetched(catalogue: Catalogue, store: FileStore, plan: Rules | None = None) -> dict[str, Any]:
    """Fetch all files by three threads, and tell what a replica of its own has seen of it."""
    with Replica(catalogue, plan) as replica:
        return _fetched(replica, wanted(catalogue, replica.url), store)


def _fetched(replica: Replica, files: list[Wanted], store: FileStore) -> dict[str, Any]:
    door = Door(NetworkSettings(contact="https://example.org/benchmark"))
    wall, processor = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda one: store.fetch(door, one), files))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert not any(isinstance(one, Pause) for one in done), done
    lines = replica.lines()
    told = [(line.time, float(line.retry_after)) for line in lines if line.retry_after]
    waits = [line.time - (at + seconds) for line in lines for at, seconds in told if line.time > at]
    return {
        "files": len(done),
        "megabytes": round(sum(one.size for one in done if not isinstance(one, Pause)) / 1e6, 1),
        "get": sum(line.method == "GET" for line in lines),
        "head": sum(line.method == "HEAD" for line in lines),
        "most_requests_at_once": max((line.concurrency for line in lines), default=0),
        "most_connections_at_once": replica.most_connections(),
        "told_to_wait": len(told),
        # requests that were on their way when the reply left are not undercutting it
        "least_seconds_after_what_was_told": round(min((w for w in waits if w > -0.9), default=0.0), 3),
        "files_a_second": round(len(done) / wall, 1),
        "cpu_ms_a_file_both_sides": round(1e3 * processor / len(done), 1),
    }


def asked(replica: Replica, number: int) -> dict[str, Any]:
    """Ask the portal as fast as four threads may."""
    door = Door(NetworkSettings(contact="https://example.org/benchmark"))
    url = f"{replica.url}/missions/tess/download_scripts/sector/tesscurl_sector_{SECTOR}_lc.sh"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: door.ask(url), range(number)))
    times = [line.time for line in replica.lines()]
    return {"queries": len(times), "most_in_any_second": most_in_a_second(times)}


def taken(action: Callable[[], object], rounds: int) -> dict[str, float]:
    wall, processor = [], []
    for _ in range(rounds):
        begin, used = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - used)
    return {"ms": round(1e3 * median(wall), 2), "cpu_ms": round(1e3 * median(processor), 2)}


def whole_check(path: Path, expected: Expected) -> str:
    """What a download does with what came."""
    raw = path.read_bytes()
    verify(raw, expected)
    return hashlib.sha256(raw).hexdigest()


def checks(path: Path, expected: Expected, rounds: int) -> dict[str, Any]:
    """Verify as a download does, and check and decode as a worker does."""
    return {
        "bytes": path.stat().st_size,
        "verify": taken(lambda: whole_check(path, expected), rounds),
        "check_and_decode": taken(lambda: formats.check(path, COLUMNS), rounds),
        "both": taken(lambda: (whole_check(path, expected), formats.check(path, COLUMNS)), rounds),
    }


def refused(raw: bytes, expected: Expected) -> str:
    """The check that refuses a file; "" where it passes."""
    try:
        verify(raw, expected)
    except Unsound as error:
        return error.check
    return ""


def damage(path: Path, expected: Expected, number: int) -> dict[str, Any]:
    raw, draw = path.read_bytes(), random.Random(1)
    flipped = 0
    for _ in range(number):
        place = draw.randrange(len(raw))
        flipped += bool(
            refused(raw[:place] + bytes([raw[place] ^ (1 << draw.randrange(8))]) + raw[place + 1 :], expected)
        )
    with path.open("rb") as stream:
        ends = [unit.end for unit in walk(stream)][:-1]
    cuts = [*ends, *(draw.randrange(1, len(raw) // BLOCK) * BLOCK for _ in range(20))]
    return {
        "flipped_bits": number,
        "flipped_bits_caught": flipped,
        "cuts_behind_a_unit": len(ends),
        "cuts_behind_a_unit_caught": sum(refused(raw[:end], expected) == "complete" for end in ends),
        "cuts": len(cuts),
        "cuts_caught": sum(bool(refused(raw[:cut], expected)) for cut in cuts),
    }


def genuine(folder: Path) -> dict[str, Any]:
    found = [*(folder / "spoc").glob("*.fits*"), *(folder / "kepler").glob("*.fits*")]
    paths = sorted(path for path in found if "k2sff" not in path.name)
    verdicts = {path.name: refused(path.read_bytes(), Expected()) for path in paths}
    return {
        "accepted": sum(not check for check in verdicts.values()),
        "refused": {name: check for name, check in verdicts.items() if check},
        "times": checks(next(path for path in paths if "s0001" in path.name), Expected(), 15),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--queries", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--genuine", type=Path, help="a folder with spoc/ and kepler/")
    parser.add_argument("--json", action="store_true", help="the whole as JSON, and not a line for each part")
    given = parser.parse_args()
    catalogue = sector(given.files)
    result: dict[str, Any] = {
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 2)},
        "data": "simulated light curves of 2 MB, served on the loopback",
    }
    with tempfile.TemporaryDirectory() as place, Replica(catalogue) as replica:
        store = FileStore(Path(place) / "files", FilesSettings(free_gb=0.0))
        files = wanted(catalogue, replica.url)
        for one in files:  # made when first asked for: that is not what is measured
            catalogue.content(*catalogue.find(one.uri))  # type: ignore[misc]
        result["fetched"] = fetched(catalogue, store)
        result["fetched again"] = fetched(catalogue, store)
        waiting = FileStore(Path(place) / "waiting", FilesSettings(free_gb=0.0))
        overload = Rules(Rule(unavailable("1"), share=0.1, of_name=True, hits={1}))
        result["told to wait"] = fetched(catalogue, waiting, overload)
        result["asked"] = asked(replica, given.queries)
        expected = Expected(files[0].star, SECTOR, 120.0)
        result["checks"] = checks(store.place(files[0].uri), expected, given.rounds)
        result["damage"] = damage(store.place(files[0].uri), expected, 300)
    if given.genuine is not None:
        result["genuine"] = genuine(given.genuine)
    if given.json:
        print(json.dumps(result, indent=1))
        return
    for name, part in result.items():
        print(f"{name}: {part}")


if __name__ == "__main__":
    main()
