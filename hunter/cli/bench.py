"""Commands that measure this machine."""

from pathlib import Path
from typing import Annotated

import typer

from hunter.cli.common import AsJson, Home, console, examples, give, say

bench = typer.Typer(
    name="bench", help="This machine's stars an hour, paired against a peer in the same run.", no_args_is_help=True
)


@bench.command("night")
@examples("hunter bench night --archive lightcurves/", "hunter bench night --archive lightcurves/ --rounds 5 --json")
def bench_night(
    home: Home = None,
    archive: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of light curves.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Paired repetitions; medians are printed.")] = 3,
    limit: Annotated[int | None, typer.Option(min=1, help="Use at most this many targets.")] = None,
    json: AsJson = False,
) -> None:
    """Time whole hunts, one worker, against lightkurve + astropy BLS on the same files."""
    from hunter.bench.night import time_night
    from hunter.settings import SettingsError, find_home, load, overrides

    try:
        find_home(home)
    except SettingsError:
        home = str(Path.cwd())
    source = None if archive is None else str(Path(archive).expanduser().absolute())
    settings = load(home, overrides(archive__source=source))
    found = time_night(settings, rounds=rounds, limit=limit, say=say)
    if json:
        give(found)
        return
    out = console()
    out.print(f"hunt            {found['hunt_stars_per_hour']:>10,.0f} stars/hour, one process, everything included")
    out.print(f"notebook stack  {found['notebook_stars_per_hour']:>10,.0f} stars/hour, one process")
    out.print(f"ratio           {found['ratio']:>10.1f}  with the pages of {found['candidates']} candidates")
    out.print(f"                {found['ratio_without_pages']:>10.1f}  without pages: the notebook stack makes none")
    out.print(f"medians of {found['rounds']} paired rounds over {found['targets']} light curves")
    for phase, spent in found["milliseconds_by_phase"].items():
        out.print(f"  {phase:<20}{spent:8.1f} ms a star")


@bench.command("search")
@examples("hunter bench search", "hunter bench search --repeats 9 --json")
def bench_search(
    repeats: Annotated[int, typer.Option(min=1, help="Paired repetitions; medians are printed.")] = 5,
    jax: Annotated[bool, typer.Option("--jax", help="Time the JAX kernel too, on the device it sees.")] = False,
    json: AsJson = False,
) -> None:
    """Time the search kernels against astropy's BoxLeastSquares on the same grid, one simulated sector."""
    from hunter.bench.search import time_search

    found = time_search(repeats, jax)
    if json:
        give(found)
        return
    out = console()
    for row in found["engines"]:
        out.print(f"{row['name']:<28}{row['milliseconds']:>10.1f} ms   {row['ratio']:>7.1f} x astropy")
