"""Commands that measure this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, console, examples, give, one_of, say

# of `hunter bench search`, and what is compared there
SECTIONS = {
    "one": "one sector, box, one star at a time, times astropy",
    "batch": "one sector, box, stars that share their cadences, times astropy",
    "door": "one sector, box, search() and search_many(), times astropy on the periods and durations of the result",
    "templates": "one sector, three templates, default settings, times transitleastsquares",
    "sectors13": "thirteen sectors, box, times astropy",
    "sectors60": "sectors over six years, default settings, a fresh process for each",
    "jax": "one sector, box, JAX, times numba",
}

bench = typer.Typer(
    name="bench", help="This machine's stars an hour, paired against a peer in the same run.", no_args_is_help=True
)


@bench.command("night")
@examples("hunter bench night --archive lightcurves/", "hunter bench night --archive lightcurves/ --workers 2 --json")
def bench_night(
    home: Home = None,
    archive: Annotated[str | None, typer.Option(metavar="DIR", help="Folder of light curves.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Paired repetitions; medians are printed.")] = 3,
    limit: Annotated[int | None, typer.Option(min=1, help="Use at most this many targets.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of the hunt and of the notebook stack.")] = 1,
    json: AsJson = False,
) -> None:
    """Time whole hunts against lightkurve + astropy BLS on the same files, in as many processes."""
    from hunter.bench.night import time_night
    from hunter.settings import SettingsError, find_home, load, overrides

    try:
        find_home(home)
    except SettingsError:
        home = str(Path.cwd())
    source = None if archive is None else str(Path(archive).expanduser().absolute())
    settings = load(home, overrides(archive__source=source))
    found = time_night(settings, rounds=rounds, limit=limit, workers=workers, say=say)
    if json:
        give(found)
        return
    out = console()
    several = "one process" if workers == 1 else f"{workers} processes"
    out.print(f"hunt            {found['hunt_stars_per_hour']:>10,.0f} stars/hour, {several}, everything included")
    out.print(f"notebook stack  {found['notebook_stars_per_hour']:>10,.0f} stars/hour, {several}")
    out.print(f"ratio           {found['ratio']:>10.1f}  with the pages of {found['candidates']} candidates")
    out.print(f"                {found['ratio_without_pages']:>10.1f}  without pages: the notebook stack makes none")
    out.print(f"medians of {found['rounds']} paired rounds over {found['targets']} light curves")
    for phase, spent in found["milliseconds_by_phase"].items():
        out.print(f"  {phase:<20}{spent:8.1f} ms a star")


@bench.command("search")
@examples("hunter bench search", "hunter bench search --only one,batch --repeats 9", "hunter bench search --json")
def bench_search(
    only: Annotated[
        str, typer.Option(metavar="NAME,..", help="Sections to measure: " + ", ".join(SECTIONS) + "; else all.")
    ] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Paired rounds; medians are printed.")] = 5,
    json: AsJson = False,
) -> None:
    """Time the search against astropy, transitleastsquares and other peers installed, on simulated light curves.

    Each section is a process of its own, on one core, in which the engines take turns. Ratios are medians of pairs of
    processor time.
    """
    wanted = [one_of("--only", name.strip(), SECTIONS) for name in only.split(",") if name.strip()]
    from hunter.bench.search import time_search

    found = time_search(wanted, repeats, say=say)
    if json:
        give(found)
        return
    out = console()
    for line in table(found):
        out.print(line)


def table(found: dict[str, Any]) -> Iterator[str]:
    """What was measured, a line for each engine."""
    for name, section in found["sections"].items():
        yield f"{name}: {SECTIONS[name]}"
        for row in section["rows"]:
            yield f"  {row['name']:<58}{_figures(row)}{_standing(row)}"
        for peer, why in section.get("absent", {}).items():
            yield f"  {peer:<58}{why}"
        if "device" in section:
            yield f"  on {section['device']}, compiled again after the warm-up: {section['compiled_after_warm_up']}"
        yield ""
    machine = found["machine"]
    yield f"simulated light curves; {found['rounds']} rounds, one thread; {machine['cpu']}, {machine['cores']} cores"


def _figures(row: dict[str, Any]) -> str:
    if "peak_gib" in row:
        return f"{row['wall_seconds']:9.1f} s   {row['peak_gib']:5.2f} GiB   {row['periods']:>9,} periods"
    return f"{row['milliseconds']:9.1f} ms a star {row['ratio']:8.1f} x"


def _standing(row: dict[str, Any]) -> str:
    """How a figure stands to its goal."""
    lines = []
    if "goal_gib" in row:
        lines.append(f"goal below {row['goal_gib']:g} GiB, stretch {row['stretch_gib']:g} GiB")
    if "goal" in row:
        lines.append(f"goal {row['goal']:g} x")
        if row["stretch"] is not None:
            lines.append(f"stretch {row['stretch']:g} x")
    if lines:
        lines.append("met" if row["met"] else "missed")
    lines += [f"{ratio:.1f} x {peer} per period and duration" for peer, ratio in row.get("by_cell", {}).items()]
    return "   " + ", ".join(lines) if lines else ""
