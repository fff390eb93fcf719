"""The commands, a file for each group; heavy libraries are imported inside the commands that need them."""

import typer

from hunter.cli import bench, care, hunting, looking, training

app = typer.Typer(
    name="hunter",
    help="Hunt transiting planets in TESS light curves: unattended, resumable, honest about what it knows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    epilog="A hunt lives in a folder, its home: --home DIR, else HUNTER_HOME, else the folder with hunter.toml.",
)

for command in (hunting.init, care.doctor, hunting.demo, hunting.run, hunting.once):
    app.command()(command)
for command in (looking.status, looking.candidates, looking.show, looking.review, looking.verify, care.retry):
    app.command()(command)
app.add_typer(looking.export)
app.add_typer(care.database)
app.command()(training.train)
app.command()(training.evaluate)
app.add_typer(training.models)
app.add_typer(bench.bench)
