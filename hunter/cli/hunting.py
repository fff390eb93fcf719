"""Commands that hunt: init, demo, run, daemon, once."""

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, console, examples, give, make_home, one_of, plural, say

Device = Annotated[
    str,
    typer.Option("--device", metavar="auto|cpu|gpu", help="Where the search runs; auto is a GPU where there is one."),
]


@examples("hunter init", "hunter init ~/hunts/sector-90")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The home to be; made if it is not there.", show_default="here")
    ] = Path("."),
) -> None:
    """Make a home: a commented hunter.toml and the folders beside it."""
    from hunter.settings import template

    folder = folder.expanduser()
    file = folder / "hunter.toml"
    if file.exists():
        raise WrongUsage(f"{file} exists already: edit it, or choose another folder")
    make_home(folder)
    for name in ("state", "cache", "candidates", "models", "logs"):
        (folder / name).mkdir(exist_ok=True)
    file.write_text(template())
    print(file)
    say(f"edit {file}, then: hunter run --home {quote(str(folder))} --archive DIR")


@examples(
    "hunter run --archive lightcurves/ --home hunts/first",
    "hunter run --home hunts/first --limit 100 --dry-run",
    "hunter run --home hunts/first --snr 8 --max-hours 9",
    "hunter run --home /shared/hunts/first --workers-on dask://scheduler:8786",
)
def run(
    home: Home = None,
    archive: Annotated[
        str | None, typer.Option(metavar="mast|s3|DIR", help="What to hunt: MAST, its bucket, or a folder.")
    ] = None,
    sector: Annotated[list[int] | None, typer.Option(metavar="N", help="Only these sectors; may be repeated.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Hunt at most this many targets; the next run goes on.")
    ] = None,
    tic_list: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only these targets, one TIC number a line.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Probability (0 to 1) from which a signal is a candidate.")
    ] = None,
    snr: Annotated[float | None, typer.Option(help="S/N from which a peak is a signal.")] = None,
    bls_threshold: Annotated[float | None, typer.Option(help="The same for method two-pass-bls, as bls_power.")] = None,
    checkpoint: Annotated[str | None, typer.Option(metavar="MODEL", help="Folder of the model that scores.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one for each core otherwise.")] = None,
    workers_on: Annotated[
        str | None,
        typer.Option("--workers-on", metavar="dask://HOST:PORT", help="Let the workers of a Dask cluster hunt."),
    ] = None,
    device: Device = "auto",
    max_hours: Annotated[float | None, typer.Option(min=0, help="Stop claiming after so many hours.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be hunted and how long it takes.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Forget stored phase results; hunt all anew.")] = False,
    json: AsJson = False,
) -> None:
    """Hunt one bounded night: every target the archive lists, through every phase, then stop.

    What was done before is not done again; what was cut off goes on from its phase in flight.
    """
    from hunter.archives import open_archive
    from hunter.archives.settings import FAR
    from hunter.crew import Crew
    from hunter.engine import UNRESOLVED, night
    from hunter.settings import load, overrides

    settings = load(
        home,
        overrides(
            archive__source=_archive(archive),
            hunt__threshold=threshold,
            search__snr=snr,
            search__bls_threshold=bls_threshold,
            score__checkpoint=checkpoint,
            compute__workers=workers,
            compute__backend=_backend(device),
        ),
    )
    wanted = _tic_list(tic_list) if tic_list else None
    source: Any = open_archive(settings, sector or ())
    far = settings.archive.source in FAR

    def found() -> list[Any]:
        if far:
            from hunter.errands import list_sectors

            which = f"sector {', '.join(map(str, sector))}" if sector else "what was listed before"
            say(f"asking {settings.archive.mast_url} for {which}" if sector else f"hunting {which}")
            everything: Iterable[Any] = list_sectors(settings, sector or (), time.time())
        else:
            say(f"looking through {settings.archive.source}")
            everything = source.targets()
        listed = [item for item in everything if wanted is None or item.target.key.split()[0] in wanted]
        if not far and source.ignored:
            say(source.ignored_line())
        if wanted is not None and not listed:
            raise WrongUsage(f"--tic-list {tic_list}: none of its targets is in {settings.archive.source}")
        say(plural(len(listed), "target"))
        return listed

    if dry_run:
        _dry_run(settings, found()[:limit], json)
        return
    make_home(settings.home)
    if no_cache:
        _forget(settings)
    from hunter.progress import Progress

    with ExitStack() as stack:
        hire: Any = Crew
        if workers_on is not None:
            from hunter.dask_workers import crew_on_dask

            hire = stack.enter_context(crew_on_dask(settings, workers_on))
        progress = stack.enter_context(Progress(limit))
        result = night(
            settings, found, limit=limit, max_hours=max_hours, show=progress.show, say=progress.say, hire=hire
        )
    from state.reading import Reader

    summary = Reader(settings.database).summary(time.time())
    if json:
        give(
            {
                "hunted": result.hunted,
                "outcomes": result.outcomes,
                "status": summary["counts"],
                "seconds": result.seconds,
            }
        )
    else:
        _report(settings, result, summary)
    if result.stopped_by is not None and summary["counts"].get("QUEUED", 0):
        sys.exit(128 + result.stopped_by)
    if any(summary["counts"].get(str(outcome), 0) for outcome in UNRESOLVED):
        sys.exit(3)


@examples(
    "hunter daemon --home hunts/tess",
    "hunter daemon --home hunts/tess --archive mast",
    "hunter daemon --home hunts/tess --print-unit > ~/.config/systemd/user/hunter.service",
)
def daemon(
    home: Home = None,
    archive: Annotated[
        str | None, typer.Option(metavar="mast|s3|DIR", help="What to watch; [archive] source otherwise.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; one for each core otherwise.")] = None,
    device: Device = "auto",
    status: Annotated[bool, typer.Option("--status", help="Say how it is, as hunter status does, and stop.")] = False,
    print_unit: Annotated[bool, typer.Option("--print-unit", help="Print a systemd unit for it, and stop.")] = False,
    json: AsJson = False,
) -> None:
    """Hunt for ever: notice what is released, hunt it, live through faults, until asked to stop.

    SIGTERM or Ctrl-C ends it after the batch in flight, a second one at once; started again, it goes on where it was.
    """
    from hunter import logs
    from hunter.settings import load, overrides

    if status:
        from hunter.cli.looking import status as show_status

        show_status(home=home, json=json)
        return
    given = overrides(archive__source=_archive(archive), compute__workers=workers, compute__backend=_backend(device))
    settings = load(home, given)
    if print_unit:
        from hunter.systemd import daemon_command, unit_text

        print(unit_text(settings, daemon_command(settings)), end="")
        return
    from hunter.archives import open_archive
    from hunter.daemon import Daemon

    open_archive(settings)  # a source that is none is told before anything begins
    make_home(settings.home)
    logs.configure_for(settings, "daemon")
    log = logs.logger("hunter")
    Daemon(settings, lambda: load(home, given), say=log.info).live()


def _archive(given: str | None) -> str | None:
    """``mast``, ``s3``, or a folder as an absolute path."""
    if given is None or given in ("mast", "s3"):
        return given
    return str(Path(given).expanduser().absolute())


def _backend(device: str) -> str | None:
    choices = {"auto": None, "cpu": "numba", "gpu": "jax"}
    one_of("--device", device, choices)
    if device == "gpu":
        from hunter.worker import gpu_present

        if not gpu_present():
            raise WrongUsage("--device gpu: no GPU that jax can use; `hunter doctor` says what is missing")
    return choices[device]


def _tic_list(file: Path) -> set[str]:
    """The keys in a list of targets: one a line, ``TIC`` before it or not, ``#`` starts a comment."""
    wanted = set()
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise WrongUsage(f"--tic-list {file}: cannot be read: {why}") from None
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip().upper().removeprefix("TIC").strip().split(",")[0]
        if text and not text.isdigit():
            raise WrongUsage(f"--tic-list {file}:{number}: {line.strip()!r} is no TIC number")
        if text:
            wanted.add(str(int(text)))
    if not wanted:
        raise WrongUsage(f"--tic-list {file}: holds no target: write one TIC number a line")
    return wanted


def _forget(settings: Any) -> None:
    """Remove the stored phase results and queue everything again; what is recorded of candidates stays."""
    import shutil

    from hunter.engine import home_lock, open_state
    from hunter.worker import results_folder

    with home_lock(settings.home):
        state = open_state(settings)
        try:
            shutil.rmtree(results_folder(settings), ignore_errors=True)
            again = state.requeue(because="asked with --no-cache", now=time.time())
        finally:
            state.close()
    say(f"phase results forgotten, {plural(again, 'target')} queued again")


def _dry_run(settings: Any, listed: list[Any], json: bool) -> None:
    """Say what a night would do, from what this machine did before."""
    from hunter.crew import worker_count
    from state.reading import Reader

    files = sum(len(item.sources) for item in listed)
    seconds = None
    if Path(settings.database).exists():
        done = list(Reader(settings.database).timings())
        if done:
            seconds = sum(sum(row["milliseconds"].values()) for row in done) / 1000 / len(done)
    hours = None if seconds is None else seconds * len(listed) / worker_count(settings) / 3600
    gigabytes = files * 0.75e-3  # phase results of a two-minute light curve
    if json:
        give({"targets": len(listed), "files": files, "hours": hours, "gigabytes": gigabytes})
        return
    took = (
        "unknown before the first night"
        if hours is None
        else f"about {hours:.2f} h on {worker_count(settings)} workers"
    )
    print(
        f"{plural(len(listed), 'target')} in {plural(files, 'file')}; {took}; about {gigabytes:.2f} GB of phase results"
    )


def _report(settings: Any, result: Any, summary: Mapping[str, Any]) -> None:
    """What the night did, how the whole hunt stands, and what to do next."""
    counts = summary["counts"]
    rate = result.hunted / result.seconds * 3600 if result.seconds else 0
    if result.hunted:
        print(f"{plural(result.hunted, 'target')} hunted in {result.seconds:.0f} s ({rate:,.0f} stars/hour)")
    elif not counts["QUEUED"]:
        print("nothing new: every target listed was hunted before with these files and settings")
    for outcome, count in sorted(counts.items()):
        if count:
            print(f"  {outcome:<12} {count:,}")
    if result.deaths:
        print(f"{plural(result.deaths, 'worker')} died; their targets were taken up again")
    print(f"candidates: {settings.home / 'candidates' / 'index.html'}")
    home = quote(str(settings.file.parent if settings.file else settings.home))
    if counts["QUEUED"]:
        say(f"{plural(counts['QUEUED'], 'target')} to go: the same command goes on where it was")
    if counts["CANDIDATE"]:
        say(f"next: hunter candidates --home {home}")
    if counts["QUARANTINED"] or counts["DEFERRED"]:
        say(f"next: hunter status --home {home} shows why; hunter retry --all --home {home} queues them again")
    if counts["HELD"]:
        say(f"next: hunter models list --home {home} shows why {plural(counts['HELD'], 'target')} could not be scored")


@examples(
    "hunter once tess2018206045859-s0001-0000000261136679-0120-s_lc.fits --predict",
    "hunter once 'TIC 261136679' --home hunts/first --json",
)
def once(
    what: Annotated[list[str], typer.Argument(metavar="TARGET|FILE", help="Files, or one target of the archive.")],
    home: Home = None,
    archive: Annotated[
        str | None, typer.Option(metavar="mast|s3|DIR", help="Where to look for TARGET; of MAST, name its --sector.")
    ] = None,
    sector: Annotated[list[int] | None, typer.Option(metavar="N", help="Only these sectors.")] = None,
    period_min: Annotated[float | None, typer.Option(help="Shortest trial period, days.")] = None,
    period_max: Annotated[float | None, typer.Option(help="Longest trial period, days.")] = None,
    nperiods: Annotated[
        int | None, typer.Option(min=2, help="Number of trial periods, instead of the grid's own.")
    ] = None,
    snr: Annotated[float | None, typer.Option(help="S/N from which a peak is a signal.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability from which a page is written.")] = None,
    predict: Annotated[bool, typer.Option("--predict", help="Score the signals and write the pages.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Forget what an earlier call computed.")] = False,
    json: AsJson = False,
) -> None:
    """Hunt one target now, in a small hunt of its own under <home>/once/TARGET, and print what was found.

    Without a hunt here the folder at hand is its home.
    """
    from hunter.engine import UNRESOLVED
    from hunter.once import hunt_once
    from hunter.settings import SettingsError, find_home, overrides

    try:
        folder = find_home(home)[0]
    except SettingsError:
        folder = Path.cwd()  # a person with a file and no hunt yet
    given = overrides(
        archive__source=_archive(archive),
        search__period_min=period_min,
        search__period_max=period_max,
        search__nperiods=nperiods,
        search__snr=snr,
        hunt__threshold=threshold,
    )
    found = hunt_once(what, folder, given, sectors=sector or [], predict=predict, fresh=no_cache)
    if json:
        give(found)
    else:
        from hunter.screen import show_target

        for target in found:
            show_target(target, console())
    unresolved = set(UNRESOLVED) | {"QUEUED", "RUNNING"}
    if not predict:
        unresolved -= {"HELD"}  # nobody asked for a score
    if any(target["status"] in unresolved for target in found):
        sys.exit(3)


@examples("hunter demo", "hunter demo --stars 40 --home /tmp/demo")
def demo(
    home: Annotated[
        Path | None, typer.Option("--home", metavar="DIR", help="Where to hunt; hunter-demo otherwise.")
    ] = None,
    stars: Annotated[int, typer.Option(min=6, max=2000, help="Simulated stars in the sector.")] = 12,
    seed: Annotated[int, typer.Option(help="Another number, another sky.")] = 1,
) -> None:
    """Show the whole offline: a replica of MAST releases a simulated sector, the daemon notices and hunts it."""
    from hunter.demo import show

    sys.exit(show(home or Path("hunter-demo"), stars, seed))
