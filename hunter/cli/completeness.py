"""The command that asks how much a hunt would find."""

import math
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, HomeUnusable, WrongUsage, examples, give, lasting, one_of, plural, say

EVERY = 10.0  # seconds between lines off a terminal
MOST_BINS = 60


@examples(
    "hunter completeness tess2018206045859-s0001-0000000261136679-0120-s_lc.fits --by snr",
    "hunter completeness 'TIC 261136679' --home hunts/first --number 1000 --bins 10x8",
    "hunter completeness --hunt --home hunts/first --targets 50",
)
def completeness(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET|FILE]..", help="Files, or one target of the archive.")
    ] = None,
    home: Home = None,
    hunt: Annotated[bool, typer.Option("--hunt", help="A random sample of the hunt's targets, pooled.")] = False,
    targets: Annotated[int, typer.Option(min=1, help="How many targets --hunt samples.")] = 50,
    archive: Annotated[str | None, typer.Option(metavar="DIR", help="Folder to look for TARGET in.")] = None,
    sector: Annotated[list[int] | None, typer.Option(metavar="N", help="Only these sectors; may be repeated.")] = None,
    number: Annotated[int, typer.Option(min=1, help="Planets put in, shared out over all targets.")] = 400,
    by: Annotated[
        str, typer.Option(metavar="radius|snr", help="What is drawn and mapped beside the period.")
    ] = "radius",
    period_min: Annotated[float | None, typer.Option(help="Shortest period put in, days; else as searched.")] = None,
    period_max: Annotated[float | None, typer.Option(help="Longest period put in, days; else as searched.")] = None,
    radius_min: Annotated[float, typer.Option(help="Smallest planet, Earth radii.")] = 0.5,
    radius_max: Annotated[float, typer.Option(help="Largest planet, Earth radii.")] = 16.0,
    snr_min: Annotated[float, typer.Option(help="Lowest expected S/N, with --by snr.")] = 4.0,
    snr_max: Annotated[float, typer.Option(help="Highest expected S/N, with --by snr.")] = 16.0,
    bins: Annotated[str, typer.Option(metavar="PxS", help="Bins of period, and of radius or S/N.")] = "8x6",
    snr: Annotated[float | None, typer.Option(help="S/N from which a peak is a signal.")] = None,
    detrend: Annotated[
        bool, typer.Option("--detrend/--no-detrend", help="Put planets in before detrending, or after it.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Another number, other planets.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one for each core otherwise.")] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="Where to; else <home>/exports.")] = None,
    json: AsJson = False,
) -> None:
    """Measure which transits would be found: simulated planets are put into real light curves and searched for.

    Writes a map of the share recovered by period and radius (or expected S/N), as JSON and PNG. What is done is kept:
    the same command goes on after an interruption, and a larger --number adds to it.
    """
    if bool(what) == hunt:
        raise WrongUsage("name files or a target, or give --hunt" + "; not both" * hunt)
    shape = _bins(bins)
    one_of("--by", by, ("radius", "snr"))
    _range("period", period_min, period_max)
    _range("radius", radius_min, radius_max)
    _range("snr", snr_min, snr_max)
    from candidates.files import safe_name, write_durably
    from hunter.completeness import NO_RADIUS, carry_out, document, plan_of
    from hunter.crew import worker_count
    from hunter.settings import SettingsError, find_home, load, overrides
    from pipeline.completeness import InjectionSettings
    from pipeline.errors import UnusableData

    if not hunt:
        try:
            find_home(home)
        except SettingsError:
            home = str(Path.cwd())  # a person with a file and no hunt yet
    settings = load(
        home,
        overrides(
            archive__source=None if archive is None else str(Path(archive).expanduser().absolute()),
            search__snr=snr,
            compute__workers=workers,
        ),
    )
    folder = Path(out).expanduser() if out else settings.home / "exports"
    if folder.exists() and not folder.is_dir():
        raise WrongUsage(f"--out {out}: is a file; name a folder")
    sources, name = _of_hunt(settings, targets, seed) if hunt else _named(what or [], settings, sector or [])
    injections = InjectionSettings(
        by="radius" if by == "radius" else "snr",
        period_min=period_min,
        period_max=period_max,
        radius_min=radius_min,
        radius_max=radius_max,
        snr_min=snr_min,
        snr_max=snr_max,
        redetrend=detrend,
    )
    plan = plan_of(settings, injections, seed, max(1, -(-number // len(sources))))
    say(f"{plural(plan.number, 'planet')} into each of {plural(len(sources), 'light curve')}")
    cache = settings.home / "cache" / "completeness"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnusable(f"{cache} cannot be made ({error.strerror}): name another --home") from None
    with _Progress() as progress:
        outcome = carry_out(sources, plan, cache, worker_count(settings), progress.show, progress.say)
    if outcome.kept:
        say(f"{plural(outcome.kept, 'injection')} of an earlier run kept")
    if not outcome.done:
        if outcome.stopped_by is not None:
            sys.exit(128 + outcome.stopped_by)
        if all(reason == NO_RADIUS for _, reason in outcome.skipped):
            raise WrongUsage(f"{_told(outcome.skipped)}: {NO_RADIUS}; give --by snr")
        raise UnusableData(f"{_told(outcome.skipped)}: {outcome.skipped[0][1]}")
    found = document(outcome, plan, settings, name, shape, time.time())
    from candidates.completeness_plot import draw_completeness
    from candidates.evidence import to_json

    stem = f"completeness_{safe_name(name)}" + "_snr" * (by == "snr") + "_flat" * (not detrend)
    paths = folder / f"{stem}.json", folder / f"{stem}.png"
    try:
        write_durably(paths[0], to_json(found))
        write_durably(paths[1], draw_completeness(found))
    except PermissionError as error:
        raise HomeUnusable(f"{folder} cannot be written ({error.strerror}): name another --out") from None
    if json:
        give(found)
    else:
        _report(found)
    for path in paths:
        (say if json else print)(str(path))
    if outcome.stopped_by is not None:
        say(f"stopped: {outcome.finished:,} of {outcome.asked:,} are done; the same command goes on from there")
        sys.exit(128 + outcome.stopped_by)
    if any(reason != NO_RADIUS for _, reason in outcome.skipped):
        sys.exit(3)


def _told(skipped: list[tuple[str, str]]) -> str:
    more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
    return f"{skipped[0][0]}{more}"


def _bins(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,3})[xX](\d{1,3})", text)
    shape = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= n <= MOST_BINS for n in shape):
        raise WrongUsage(f"--bins {text}: give two numbers from 1 to {MOST_BINS}, as in 8x6")
    return shape


def _range(option: str, low: float | None, high: float | None) -> None:
    for word, value in (("min", low), ("max", high)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise WrongUsage(f"--{option}-{word} {value:g}: must be a number above 0")
    if low is not None and high is not None and not low < high:
        raise WrongUsage(f"--{option}-min {low:g} is not below --{option}-max {high:g}")


def _named(what: list[str], settings: Any, sectors: list[int]) -> tuple[list[Any], str]:
    """The targets asked for on the command line."""
    from hunter.archives import open_archive
    from hunter.archives.folder import FolderArchive
    from hunter.completeness import from_archive
    from hunter.once import named

    found, place = named(what, settings, sectors)
    if all(Path(text).expanduser().is_file() for text in what):
        archive: Any = FolderArchive(Path(place), settings.archive, settings.hunt.combine, sectors=sectors)
    else:
        archive = open_archive(settings, sectors)

    def source(item: Any) -> tuple[str, Callable[[], Any]]:
        return item.target.name, lambda: from_archive(item, archive, settings)

    first = found[0].target.name.replace(" ", "_")
    return [source(item) for item in found], first if len(found) == 1 else f"{first}_and_{len(found) - 1}_more"


def _of_hunt(settings: Any, targets: int, seed: int) -> tuple[list[Any], str]:
    from hunter.archives import open_archive
    from hunter.completeness import sample_of_hunt

    sources, there = sample_of_hunt(settings, lambda: open_archive(settings), targets, seed)
    if not sources:
        raise WrongUsage(f"{settings.home} holds no searched light curve: run `hunter run` first, or name files")
    say(f"{len(sources):,} of {plural(there, 'searched target')} drawn")
    return sources, "hunt"


def _report(found: dict[str, Any]) -> None:
    """The whole in a few lines."""
    counts, share = found["injections"], found["recovered"]
    print(f"{counts['injected']:,} {found['what']}, search threshold S/N {found['search_threshold']:g}")
    if share["fraction"] is not None:
        interval = f"(68 % interval {share['low']:.1%} to {share['high']:.1%})"
        print(f"  recovered    {counts['recovered']:>6,}  {share['fraction']:.1%} {interval}")
    print(f"  harmonic     {counts['harmonic']:>6,}  at 1/3, 1/2, 2 or 3 times the period; not counted as recovered")
    print(f"  missed       {counts['missed']:>6,}")
    print(f"  left out     {counts['too_few_transits']:>6,}  with fewer than 2 observed transits")
    for level, words in (("0.5", "50 %"), ("0.9", "90 %")):
        where = found["snr_at"][level]
        print(f"  {words} found at expected S/N {'–' if where is None else format(where, '.1f')}")
    if found["partial"]:
        print("  PARTIAL: stopped before the end")


class _Progress:
    """How far it is, on stderr: one line rewritten on a terminal, one every ten seconds off it."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.began = self.last = time.monotonic()
        self.open = False

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        if self.open:
            print(file=sys.stderr)
        self.open = False

    def say(self, line: str) -> None:
        self._end()
        say(line)

    def show(self, outcome: Any) -> None:
        now = time.monotonic()
        fresh = outcome.finished - outcome.kept
        left = (outcome.asked - outcome.finished) * (now - self.began) / fresh if fresh > 0 else 0.0
        line = f"{outcome.finished:,} of {plural(outcome.asked, 'injection')} done"
        line += f", {lasting(left)} to go" if left else ""
        if self.live:
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
            self.open = True
        elif now - self.last >= EVERY or not left:
            self.last = now
            say(line)
