"""Start a replica of MAST by hand: python -m hunter.replica --stars 40 --sector 5."""

import argparse
import csv
import gzip
import secrets
import signal
import sys
import tempfile
import threading
from pathlib import Path

from hunter.replica import Catalogue, Replica, Weather


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m hunter.replica",
        description="Serve simulated TESS data on 127.0.0.1 as MAST, S3, the Exoplanet Archive and ExoFOP would.",
        epilog="Examples: --stars 40 --sector 5;  --folder light-curves;  --crowd 20000 --sector 6 --span 6 --control",
    )
    made.add_argument("--folder", type=Path, help="serve the FITS files of this folder")
    made.add_argument("--stars", type=int, default=0, help="simulate so many stars, with their truth, into --sky")
    made.add_argument("--sky", type=Path, help="where simulated stars are written (a temporary folder by default)")
    made.add_argument("--crowd", type=int, default=0, help="serve so many stamped copies of a few simulated stars")
    made.add_argument("--names", type=Path, help="a CSV (may be .gz) whose column Filename names the crowd's files")
    made.add_argument("--sector", type=int, default=1, help="number of the sector that is simulated")
    made.add_argument("--cadence", type=float, default=120.0, help="seconds; above 120 it is served as TESS-SPOC")
    made.add_argument("--span", type=float, default=27.883, help="days that a light curve of the crowd covers")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--weather", type=float, default=0.0, help="share of downloads that meet a passing fault")
    made.add_argument("--held", action="store_true", help="release nothing yet: --control tells when")
    made.add_argument("--control", action="store_true", help="let it be steered (hunter.replica.control), with a token")
    return made


def fill(catalogue: Catalogue, asked: argparse.Namespace, scratch: Path) -> None:
    """Put into a catalogue what the command line asks for."""
    if asked.folder is not None:
        catalogue.add_folder(asked.folder)
    if asked.stars:
        sky = asked.sky or scratch
        truth = catalogue.add_sky(
            sky, stars=asked.stars, seed=asked.seed, sector=asked.sector, cadence_seconds=asked.cadence
        )
        catalogue.know(truth)
    if asked.crowd or asked.names:
        names = None if asked.names is None else read_names(asked.names)
        catalogue.add_crowd(
            asked.sector, asked.crowd, names=names, seed=asked.seed, cadence_seconds=asked.cadence, span=asked.span
        )
    if not asked.held:
        for sector in catalogue.sectors:
            catalogue.release(sector)
            catalogue.publish_script(sector)
            catalogue.publish_targets(sector)


def read_names(path: Path) -> list[str]:
    """File names of a sector from a list such as those under sector_lists."""
    raw = path.read_bytes()
    text = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return [row["Filename"] for row in csv.DictReader(text.decode().splitlines())]


def main(arguments: list[str] | None = None, stop: threading.Event | None = None) -> int:
    asked = parser().parse_args(arguments)
    if asked.folder is None and not (asked.stars or asked.crowd or asked.names):
        parser().error("say what to serve: --folder DIR, --stars N or --crowd N")
    if asked.folder is not None and not asked.folder.is_dir():
        parser().error(f"--folder {asked.folder} is no folder")
    stopped = threading.Event() if stop is None else stop
    if stop is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="replica-") as scratch:
        catalogue = Catalogue()
        try:
            fill(catalogue, asked, Path(scratch))
        except (ValueError, OSError) as error:
            parser().error(str(error))
        plan = Weather(asked.weather, asked.seed) if asked.weather else None
        token = secrets.token_urlsafe(16) if asked.control else ""
        with Replica(catalogue, plan, asked.port, token=token) as replica:
            for sector in sorted(catalogue.sectors):
                held = catalogue.sectors[sector]
                print(f"# sector {sector}: {len(held.entries)} observations, {held.released} released", flush=True)
            print("[archive]")
            for key, value in replica.settings.items():
                print(f'{key} = "{value}"')
            if token:
                print(f"# control token {token}")
            print("# serving until interrupted", flush=True)
            stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
