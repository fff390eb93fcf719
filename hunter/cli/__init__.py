"""The commands, a file for each group; heavy libraries are imported inside the commands that need them."""

from typing import Annotated

import typer

from hunter import __version__
from hunter.cli import (
    bench,
    care,
    completeness,
    datasets,
    evaluating,
    exporting,
    hunting,
    looking,
    notifying,
    registry,
    training,
)
from hunter.cli.common import summary

app = typer.Typer(
    name="hunter",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,  # plain help: half the time, and every line stays where it was written
    epilog="A hunt lives in a folder, its home: --home DIR, else HUNTER_HOME, else the folder with hunter.toml. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 finished with some targets not resolved, "
    "75 another process holds the hunt, 130 or 143 stopped by a signal. "
    "--debug, anywhere, shows the traceback of a failure.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hunter {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Hunt transiting planets in TESS light curves: unattended, resumable, honest about what it knows."""


for command in (
    hunting.init,
    care.doctor,
    hunting.demo,
    hunting.run,
    hunting.daemon,
    hunting.once,
    completeness.completeness,
    looking.status,
    looking.candidates,
    looking.show,
    looking.review,
    looking.verify,
    care.retry,
    training.train,
    evaluating.evaluate,
):
    app.command(short_help=summary(command))(command)
for group in (exporting.export, care.database, notifying.notify, datasets.dataset, registry.models, bench.bench):
    app.add_typer(group, short_help=group.info.help)
