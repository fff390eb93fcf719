"""The commands that make and judge models: train, evaluate."""

import errno
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, HomeUnusable, WrongUsage, console, examples, give, say
from hunter.cli.registry import registry_of


@examples(
    "hunter train --data ../shared/data/labelled_views",
    "hunter train --data views/ --epochs 6 --members 2",
    "hunter train --data views/ --data simulated-0123456789ab --include-reviews",
    "hunter train --data auto --labels toi.csv.gz --archive lightcurves --max-per-class 250",
)
def train(
    data: Annotated[
        list[str],
        typer.Option("--data", metavar="DIR|auto", help="Labelled views, a built set, or auto; may be repeated."),
    ],
    home: Home = None,
    recipe: Annotated[str, typer.Option(help="Named recipe: shipped rebuilds the shipped model.")] = "shipped",
    seed: Annotated[int, typer.Option(help="Same seed, data and machine: same model.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data; the recipe's otherwise.")] = None,
    members: Annotated[
        int | None, typer.Option(min=1, help="Networks in the ensemble; the recipe's otherwise.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads to train with.")] = 1,
    labels: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="With --data auto: list with labels (TOI, KOI or VSX); repeatable."),
    ] = None,
    max_per_class: Annotated[
        int, typer.Option(min=1, help="With --data auto: most stars, and rows, of one class.")
    ] = 250,
    archive: Annotated[
        str | None, typer.Option(metavar="DIR", help="With --data auto: folder of light curves; else as hunted.")
    ] = None,
    include_reviews: Annotated[
        bool, typer.Option("--include-reviews", help="Learn from the decisions people took in this hunt too.")
    ] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Let the new model serve at once.")] = False,
    json: AsJson = False,
) -> None:
    """Train a model on labelled views and register it in the hunt; a killed training goes on where it was.

    --data takes a folder of public views, a set that `hunter dataset build` made (a folder, or a name in this home),
    or auto: the stars of the archive that a list with labels knows, through the hunt's own phases.
    """
    from models.registry import Registry, read_json
    from models.train import train as train_model

    registry = registry_of(home)
    sets = _sets(data, home, labels or [], max_per_class, archive, include_reviews)
    folder = train_model(
        sets, registry.root, recipe=recipe, seed=seed, epochs=epochs, members=members, threads=threads, progress=say
    )
    if promote:
        Registry(registry.root).promote(folder.name)
    if json:
        give({"name": folder.name, "folder": str(folder), "metrics": read_json(folder, "metrics.json")})
    else:
        print(folder)
        say(
            f"next: hunter models show {folder.name}"
            + ("" if promote else f", then hunter models promote {folder.name}")
        )


def _sets(
    data: list[str], home: str | None, labels: list[Path], per_class: int, archive: str | None, reviews: bool
) -> list[Path]:
    """What --data names; the hunt's phases are loaded only where they are needed."""
    from hunter.settings import load, overrides

    if "auto" not in data and not reviews:
        own = load(home, light=True).home / "datasets"
        return [own / word if (own / word / "card.json").exists() else Path(word).expanduser() for word in data]
    from hunter.cli.datasets import Progress
    from hunter.training_sets.build import named_sets

    source = None if archive is None else str(Path(archive).expanduser().absolute())
    settings = load(home, overrides(archive__source=source))
    return named_sets(data, settings, labels=labels, per_class=per_class, include_reviews=reviews, show=Progress().show)


@examples(
    "hunter evaluate --views ../shared/data/labelled_views/astronet_triage_views.npz --json",
    "hunter evaluate --views views.npz --scores scores.csv",
)
def evaluate(
    views: Annotated[
        Path, typer.Option("--views", metavar="FILE", help="Labelled views, laid out as the public sets.")
    ],
    scores: Annotated[
        str | None, typer.Option("--scores", metavar="FILE", help="Write each row's scores here as CSV; - is stdout.")
    ] = None,
    stars: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="List of TCEs; astronet_tces.csv.gz beside the views otherwise."),
    ] = None,
    prior: Annotated[
        float | None,
        typer.Option(help="State the scores for this share of planets; that of the calibration stars otherwise."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=20, help="Bootstrap resamples behind each interval.")] = 300,
    home: Home = None,
    model: Annotated[str | None, typer.Option(help="Name of the model; the serving one otherwise.")] = None,
    json: AsJson = False,
) -> None:
    """Judge a model on labelled views, with bootstrap intervals; the stars it learnt from are left out of them.

    The scores hold every row that has views, with the columns row, tic_id, label, probability (of a planet,
    calibrated), eclipse_probability (planet or binary), raw and member_spread.
    """
    if prior is not None and not 0 < prior < 1:
        raise WrongUsage(f"--prior {prior:g}: a share of planets lies between 0 and 1")
    if scores == "-" and json:
        raise WrongUsage("--scores - and --json both want stdout: name a file for the scores")
    from models.evaluate import evaluate as judge
    from models.evaluate import score_views, scored_rows, scores_csv
    from models.registry import ModelRefused
    from models.scorer import Scorer

    registry = registry_of(home)
    folder = registry.folder(model) if model else registry.current()
    if folder is None:
        raise ModelRefused("no model serves: `hunter train` makes one")
    scorer = Scorer.load(folder)
    scored = score_views(scorer, views, stars, prior)
    if scores is not None:
        _write_scores(scores, scores_csv(scored_rows(scorer, views, scored=scored)))
        if scores == "-":
            return
    found = {"model": folder.name, "model_sha256": scorer.sha256, "views": str(views)}
    found |= judge(scorer, views, resamples=resamples, scored=scored)
    rows = found["rows"]
    say(
        f"{rows['read']:,} rows, {rows['of stars it learnt from']:,} of them of stars {folder.name} learnt from: "
        f"judged on the other {rows['judged']:,}"
    )
    if json:
        give(found)
        return
    _print_tree(found, console())


def _write_scores(place: str, text: str) -> None:
    if place == "-":
        sys.stdout.write(text)
        return
    from candidates.files import write_durably

    path = Path(place).expanduser()
    if path.is_dir():
        raise WrongUsage(f"--scores {place}: is a folder; name a file in it, or - for stdout")
    try:
        write_durably(path, text.encode())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise HomeUnusable(f"{path} cannot be written ({error.strerror}): name another --scores") from None
    say(f"scores: {path}")


def _print_tree(found: Any, out: Any, indent: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, list):
            out.print(f"{indent}{name}", markup=False)
            for row in value:
                out.print(f"{indent}  " + "  ".join(f"{key} {each}" for key, each in row.items()), markup=False)
        elif isinstance(value, dict) and not {"value", "low", "high"} <= set(value):
            out.print(f"{indent}{name}", markup=False)
            _print_tree(value, out, indent + "  ")
        elif isinstance(value, dict):
            out.print(f"{indent}{name:<52}{_figure(value)}", markup=False)
        else:
            out.print(f"{indent}{name:<52}{value}", markup=False)


def _figure(found: dict[str, Any]) -> str:
    """``0.9912  [0.9871, 0.9950]  n 1,710`` or why there is none."""
    if found["value"] is None:
        return f"–  ({found.get('reason', 'unknown')})"
    interval = "" if found["low"] is None else f"  [{found['low']:.4f}, {found['high']:.4f}]"
    return f"{found['value']:.4f}{interval}  n {found['n']:,}, {found['positives']:,} of them sought"
