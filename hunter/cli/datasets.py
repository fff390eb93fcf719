"""Commands around data sets: build, list, show, verify."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, examples, give, lasting, make_home, one_of, plural, say

EVERY = 10.0  # seconds between lines off a terminal
# as hunter.training_sets.build has them; importing it here would make every command slow
SOURCES = (
    "astronet-triage", "astronet-vetting", "nigraha", "public", "csv", "simulated", "injected", "toi", "reviews",
)  # fmt: skip

dataset = typer.Typer(name="dataset", help="Build and check the sets that models are trained on.", no_args_is_help=True)


@dataset.command("build")
@examples(
    "hunter dataset build --source public --from ../shared/data/labelled_views",
    "hunter dataset build --source nigraha --from clones/Nigraha",
    "hunter dataset build --source csv --from mine.csv",
    "hunter dataset build --source simulated --number 2000 --seed 1",
    "hunter dataset build --source injected --archive lightcurves --number 5",
    "hunter dataset build --source toi --archive lightcurves --labels toi.csv.gz --max-per-class 250",
    "hunter dataset build --source reviews",
)
def build_dataset(
    source: Annotated[str, typer.Option("--source", metavar="WORD", help=f"One of {', '.join(SOURCES)}.")],
    origin: Annotated[
        Path | None, typer.Option("--from", metavar="PATH", help="Folder or clone of a public set, or a CSV.")
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(min=1, help="Stars to simulate (else 1000), or signals to put into each light curve (else 5)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number, other stars.")] = 0,
    cadence: Annotated[float, typer.Option(help="Of simulated stars, seconds.")] = 1800.0,
    period_min: Annotated[float | None, typer.Option(help="Shortest period searched, days; else as hunted.")] = None,
    snr: Annotated[float | None, typer.Option(help="S/N from which a peak is a signal; else as hunted.")] = None,
    every_peak: Annotated[
        bool, typer.Option("--every-peak", help="Keep the strongest peak of each simulated star, believed or not.")
    ] = False,
    archive: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of light curves.")] = None,
    labels: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="List with labels (CSV): TOI, KOI or VSX; repeatable.")
    ] = None,
    max_per_class: Annotated[int, typer.Option(min=1, help="Most stars, and rows, of one class from a list.")] = 250,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core otherwise.")] = None,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Build a labelled set and freeze it under the home, named by the hash of what it holds.

    Public sets are read from npz files or from a clone's TFRecords, a CSV has a row a signal. The other sources run
    the hunt's own phases over simulated stars, real light curves with signals put in, or the stars of a published
    list; what is done is kept, and the same command goes on after an interruption. No star on which the hunt is
    judged is ever put into training.
    """
    one_of("--source", source, SOURCES)
    if not 1 <= cadence <= 7200:
        raise WrongUsage(f"--cadence {cadence:g}: give 1 to 7200 seconds")
    from hunter.settings import load, overrides

    settings = load(
        home,
        overrides(
            archive__source=None if archive is None else str(Path(archive).expanduser().absolute()),
            compute__workers=workers,
        ),
    )
    make_home(settings.home)
    from hunter.training_sets.build import Wanted, build
    from hunter.training_sets.simulated import Geometry

    geometry = Geometry(cadence_seconds=cadence, period_min=period_min, snr=snr, every_peak=every_peak)
    number = number or (5 if source == "injected" else 1000)
    wanted = Wanted(source, origin, number, seed, geometry, tuple(labels or ()), max_per_class)
    folder, work = build(wanted, settings, Progress().show)
    if folder is None or (work is not None and work.stopped_by is not None):
        assert work is not None
        say(f"stopped: {work.done:,} of {plural(work.asked, 'part')} are done; the same command goes on from there")
        sys.exit(128 + (work.stopped_by or 0))
    from models.datasets.snapshots import read_card

    card = read_card(folder)
    if json:
        give(card | {"folder": str(folder)})
        return
    print(folder)
    told = ", ".join(f"{label} {count:,}" for label, count in card["labels"].items())
    say(f"{plural(card['rows'], 'signal')} of {plural(card['stars'], 'star')}: {told}")
    for why, count in card["dropped"].items():
        if count:
            say(f"  left out {count:,}: {why}")
    say(f"next: hunter train --data {folder}")


@dataset.command("list")
@examples("hunter dataset list", "hunter dataset list --json")
def list_datasets(home: Home = None, json: AsJson = False) -> None:
    """List the sets of this home, with their sizes and labels."""
    found = _sets(home)
    if json:
        shown = ("id", "source", "rows", "stars", "labels")
        give([
            {"name": folder.name, "problem": problem} | ({key: card[key] for key in shown} if card else {})
            for folder, card, problem in found
        ])  # fmt: skip
        return
    if not found:
        print("no data set: `hunter dataset build` makes one")
    for folder, card, problem in found:
        told = problem or f"{card['rows']:>7,}  " + ", ".join(f"{k} {n:,}" for k, n in card["labels"].items())
        print(f"{folder.name:<36} {told}")


@dataset.command("show")
@examples("hunter dataset show simulated-0123456789ab")
def show_dataset(
    name: Annotated[str, typer.Argument(help="As `hunter dataset list` names it, or a folder.")], home: Home = None
) -> None:
    """Print the card of a set: where from, under which licence, how many of each label on which side."""
    from models.datasets.snapshots import read_card

    give({key: value for key, value in read_card(_folder(name, home)).items() if key != "words"})


@dataset.command("verify")
@examples("hunter dataset verify", "hunter dataset verify simulated-0123456789ab --json")
def verify_datasets(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]..", help="These; all otherwise.")] = None,
    home: Home = None,
    json: AsJson = False,
) -> None:
    """Read sets again to the last bit, and look for stars, neighbours and views on two sides; exit 1 if one is bad."""
    from models.datasets import JUDGED, ViewsRefused, leaks, open_dataset

    folders = [_folder(name, home) for name in names] if names else [folder for folder, _, _ in _sets(home)]
    found: dict[str, str | None] = {}
    for folder in folders:
        try:
            leaking = leaks(open_dataset([folder], JUDGED))
            found[folder.name] = leaking[0] if leaking else None
        except ViewsRefused as error:
            found[folder.name] = str(error)
    if json:
        give(found)
    else:
        for name, problem in found.items():
            print(f"{name}: {problem or 'whole'}")
    if any(found.values()):
        sys.exit(1)


def _root(home: str | None) -> Path:
    from hunter.settings import load

    return Path(load(home, light=True).home / "datasets")


def _sets(home: str | None) -> list[Any]:
    from models.datasets.snapshots import list_snapshots

    return list_snapshots(_root(home))


def _folder(name: str, home: str | None) -> Path:
    given = Path(name).expanduser()
    return given if (given / "card.json").exists() else _root(home) / name


class Progress:
    """How far a set is, on stderr: one line rewritten on a terminal, one every ten seconds off it."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.began = self.last = time.monotonic()

    def show(self, work: Any) -> None:
        """Called after every finished part."""
        now = time.monotonic()
        fresh = work.done - work.kept
        left = (work.asked - work.done) * (now - self.began) / fresh if fresh > 0 else 0.0
        line = f"{work.done:,} of {plural(work.asked, 'part')} done, {plural(work.signals, 'signal')}"
        line += f", {lasting(left)} to go" if left else ""
        if self.live:
            print(f"\r\x1b[2K{line}", end="\n" if work.done == work.asked else "", file=sys.stderr, flush=True)
        elif now - self.last >= EVERY or work.done == work.asked:
            self.last = now
            say(line)
