"""The command that makes models: train."""

import json as jsonlib
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import (
    AsJson,
    Home,
    WrongUsage,
    examples,
    give,
    lasting,
    one_of,
    plural,
    say,
    write_text,
)
from hunter.cli.registry import Force, registry_of
from hunter.cli.registry import promote as promote_by_the_gates


@examples(
    "hunter train --data ../shared/data/labelled_views",
    "hunter train --data views/ --recipe quick --folds 5 --metrics metrics.json",
    "hunter train --data views/ --architecture cnn-attention --amp",
    "hunter train --data mine/ --pretrained NAME --freeze-epochs 5 --unfreeze-blocks 2 --finetune-lr 1e-4",
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
    architecture: Annotated[str | None, typer.Option(help="resnet1d or cnn-attention; the recipe's otherwise.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, data and machine: same model.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N..", help="One model for each of these seeds, and how far they scatter.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data; the recipe's otherwise.")] = None,
    members: Annotated[
        int | None, typer.Option(min=1, help="Networks in the ensemble; the recipe's otherwise.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="Epochs without a better validation before it stops; 7 in fine-tuning.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Signals in a step; the recipe's otherwise.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate; the recipe's otherwise.")] = None,
    schedule: Annotated[str, typer.Option(help="one-cycle, cosine or constant.")] = "one-cycle",
    loss: Annotated[str, typer.Option(help="bce, focal or smooth.")] = "bce",
    amp: Annotated[bool, typer.Option("--amp", help="Half precision (bfloat16) where the device has it.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    pretrained: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Tune this model, or these weights, further.")
    ] = None,
    student_of: Annotated[
        str | None, typer.Option(metavar="NAME", help="Teach a small 8-bit network what this model says.")
    ] = None,
    freeze_epochs: Annotated[int, typer.Option(min=0, help="Fine-tuning: epochs in which only the head learns.")] = 5,
    unfreeze_blocks: Annotated[
        int, typer.Option(min=0, help="Fine-tuning: blocks next to the head that learn afterwards.")
    ] = 2,
    finetune_lr: Annotated[float, typer.Option(help="Fine-tuning: highest learning rate.")] = 1e-4,
    folds: Annotated[
        int, typer.Option(min=0, help="Judge the recipe on so many folds of grouped stars first; 0 is none.")
    ] = 0,
    metrics: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write all figures here as JSON; - is stdout.")
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
    promote: Annotated[
        bool, typer.Option("--promote", help="Let the new model serve, if it passes the gates.")
    ] = False,
    force: Force = None,
    json: AsJson = False,
) -> None:
    """Train a model on labelled views and register it in the hunt; a killed training goes on where it was.

    --data takes a folder of public views, a set that `hunter dataset build` made (a folder, or a name in this home),
    or auto: the stars of the archive that a list with labels knows, through the hunt's own phases.
    """
    chosen_seeds = _seeds(seeds, seed)
    if promote and len(chosen_seeds) > 1:
        raise WrongUsage("--promote with several seeds: look at them first, then `hunter models promote NAME`")
    if folds == 1:
        raise WrongUsage("--folds 1: one fold leaves nothing to learn from; ask for 2 or more, or 0")
    if metrics == "-" and json:
        raise WrongUsage("--metrics - and --json both want stdout: name a file for the figures")
    if force is not None and not promote:
        raise WrongUsage("--force says why a model shall be promoted: it needs --promote")
    if student_of is not None and (pretrained or architecture or folds or members or patience):
        raise WrongUsage(
            "--student-of says what is learnt from whom: leave out --pretrained, --architecture, --folds, --members "
            "and --patience"
        )
    _check_rates(learning_rate=learning_rate, finetune_lr=finetune_lr)
    from models.datasets import ViewsRefused, lacking, open_dataset
    from models.fine_tune import SCHEDULES, unseen_by
    from models.folds import cross_validate
    from models.losses import LOSSES
    from models.networks import KINDS
    from models.train import RECIPES, train_on

    one_of("--recipe", recipe, RECIPES)
    one_of("--schedule", schedule, SCHEDULES)
    one_of("--loss", loss, LOSSES)
    if architecture is not None:
        one_of("--architecture", architecture, KINDS)
    registry = registry_of(home)
    chosen, start = _recipe(
        registry,
        RECIPES[recipe],
        architecture=architecture,
        given={
            "epochs": epochs,
            "members": members,
            "patience": patience,
            "batch": batch,
            "learning_rate": learning_rate,
        },
        teaching={"schedule": schedule, "loss": loss, "amp": amp, "device": _device(device)},
        pretrained=pretrained,
        fine={"freeze_epochs": freeze_epochs, "unfreeze_blocks": unfreeze_blocks},
        finetune_lr=finetune_lr,
    )
    rows = open_dataset(_sets(data, home, labels or [], max_per_class, archive, include_reviews), chosen.held_out)
    if start is not None:
        rows = unseen_by(rows, start)
    if (why := lacking(rows)) is not None:
        raise ViewsRefused(f"{', '.join(data)}: {why}")
    if student_of is not None:
        taught = _students(registry, student_of, rows, chosen_seeds, epochs, threads)
        _finish(home, taught, rows, seed, seeds, metrics, promote, force, json)
        return
    say(
        f"{len(rows):,} rows, {int(rows.labelled.planet.sum()):,} of planets; {chosen.architecture}, "
        f"{plural(chosen.members, 'member')} of {plural(chosen.epochs, 'epoch')}, {_computed(chosen)}"
    )
    pace = Pace(chosen.members * chosen.epochs, (folds + 1) * len(chosen_seeds))
    made: dict[int, Path] = {}
    for number in chosen_seeds:
        judged: dict[str, Any] = {}
        if folds:
            try:
                judged["folds"] = cross_validate(
                    rows,
                    registry.root / ".training",
                    chosen,
                    folds=folds,
                    seed=number,
                    threads=threads,
                    progress=pace,
                    start=start,
                )
            except ValueError as error:
                raise WrongUsage(f"--folds {folds}: {error}") from error
        made[number] = train_on(
            rows,
            registry.root,
            chosen,
            seed=number,
            threads=threads,
            progress=pace,
            start=start,
            beside=partial(dict, metrics=judged),
        )
    _finish(home, made, rows, seed, seeds, metrics, promote, force, json)


def _students(
    registry: Any, teacher: str, rows: Any, seeds: list[int], epochs: int | None, threads: int
) -> dict[int, Path]:
    """A student of a registered model for each seed."""
    from models.scorer import Scorer
    from models.student import Lesson, baseline_of, student_on

    folder, lesson = registry.folder(teacher), Lesson()
    lesson = replace(lesson, epochs=epochs or lesson.epochs)
    scorer, baseline = Scorer.load(folder), baseline_of(folder, rows)
    say(f"{len(rows):,} rows; a student of {folder.name}, {plural(lesson.epochs, 'epoch')}")
    return {
        number: student_on(
            scorer, rows, registry.root, lesson=lesson, seed=number, threads=threads, progress=say, baseline=baseline
        )
        for number in seeds
    }


def _finish(
    home: str | None,
    made: dict[int, Path],
    rows: Any,
    seed: int,
    seeds: str | None,
    metrics: str | None,
    promote: bool,
    force: str | None,
    json: bool,
) -> None:
    """Write the figures, promote if asked, and tell what was made."""
    from models.registry import read_json
    from models.summary import spread, summary

    summaries = {
        number: summary(read_json(folder, "card.json"), read_json(folder, "metrics.json"))
        for number, folder in made.items()
    }
    if metrics is not None:
        summaries = {number: _with_strata(found, made[number], rows) for number, found in summaries.items()}
    told: dict[str, Any] = {"seeds": summaries, "spread": spread(summaries)} if seeds else summaries[seed]
    if metrics is not None:
        everything = {str(folder.name): read_json(folder, "metrics.json") for folder in made.values()}
        write_text(metrics, jsonlib.dumps(told | {"all": everything}, indent=1, allow_nan=False) + "\n", "--metrics")
    for folder in made.values():
        if promote:
            promote_by_the_gates(home, folder.name, force)
    if json:
        give([_made(folder, read_json) for folder in made.values()] if seeds else _made(made[seed], read_json))
    elif metrics != "-":
        for folder in made.values():
            print(folder)
            say(
                f"next: hunter models show {folder.name}"
                + ("" if promote else f", then hunter models promote {folder.name}")
            )


def _with_strata(found: dict[str, Any], folder: Path, rows: Any) -> dict[str, Any]:
    """The figures by S/N, magnitude, period and duration, on the test stars, where training did not write them."""
    import numpy as np

    from models.evaluate import strata
    from models.scorer import Scorer
    from models.summary import STRATA

    if all(found[name] is not None for name in STRATA):
        return found
    scorer, test = Scorer.load(folder), rows.part("test")
    part = rows.labelled.take(test)
    said = scorer.score_rows(part.rows, scorer.calibration.training_prior) if len(test) else []
    return found | strata(part, np.array([row["probability"] for row in said]), rows.group[test])


def _made(folder: Path, read_json: Any) -> dict[str, Any]:
    return {"name": folder.name, "folder": str(folder), "metrics": read_json(folder, "metrics.json")}


def _seeds(seeds: str | None, seed: int) -> list[int]:
    if seeds is None:
        return [seed]
    try:
        found = [int(word) for word in seeds.split(",")]
    except ValueError:
        raise WrongUsage(f"--seeds {seeds}: give whole numbers with commas between, as 0,1,2") from None
    if len(set(found)) != len(found):
        raise WrongUsage(f"--seeds {seeds}: the same seed twice gives the same model twice")
    return found


def _check_rates(**rates: float | None) -> None:
    for name, rate in rates.items():
        if rate is not None and not 0 < rate < 1:
            raise WrongUsage(f"--{name.replace('_', '-')} {rate:g}: must lie between 0 and 1")


def _device(word: str) -> str:
    """The device asked for, if it is there."""
    one_of("--device", word, ("cpu", "cuda"))
    if word == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise WrongUsage("--device cuda: torch sees no such device here; `hunter doctor` says what it sees")
    return word


def _recipe(
    registry: Any,
    recipe: Any,
    *,
    architecture: str | None,
    given: dict[str, Any],
    teaching: dict[str, Any],
    pretrained: str | None,
    fine: dict[str, Any],
    finetune_lr: float,
) -> tuple[Any, Any]:
    """The recipe with what was asked for, and the model to start from, if one is named."""
    from models.fine_tune import Tuning

    given = {name: value for name, value in given.items() if value is not None}
    if pretrained is None:
        if architecture == "cnn-attention":
            # of all scalars it reads the centroid offset; trees would only repeat what it measures on the views
            recipe = replace(recipe, architecture=architecture, scalars=("centroid_offset",), stacked=False)
        elif architecture is not None:
            recipe = replace(recipe, architecture=architecture)
        return replace(recipe, tuning=Tuning(**teaching), **given), None
    start = _start(registry, pretrained)
    if architecture not in (None, start.architecture.name):
        raise WrongUsage(f"--architecture {architecture}: {pretrained} is of {start.architecture.name}")
    if given.get("learning_rate") is not None:
        raise WrongUsage("--learning-rate is for training from nothing: fine-tuning takes --finetune-lr")
    usual = {"patience": 7, "members": len(start.weights)}
    tuning = Tuning(parent=start.sha256, **fine, **teaching)
    recipe = replace(
        recipe,
        name="tuned",
        architecture=start.architecture.name,
        scalars=start.preparation.scalars,
        learning_rate=finetune_lr,
        tuning=tuning,
        **(usual | given),
    )
    if start.architecture.name == "cnn-attention":
        recipe = replace(recipe, stacked=False)
    return recipe, start


def _start(registry: Any, pretrained: str) -> Any:
    """The model to start from: a registered one by name, else a file of weights in the serving model's architecture."""
    from models.fine_tune import start_from, start_from_file
    from models.foreign import describe
    from models.registry import ModelRefused, verify_folder

    file = Path(pretrained).expanduser()
    if not file.is_file():
        return start_from(registry.folder(pretrained))
    serving = registry.current()
    if serving is None:
        raise ModelRefused(f"{pretrained}: no model serves whose architecture it could have; `hunter models import` it")
    verify_folder(serving)
    return start_from_file(file, *describe(serving / "card.json"))


def _computed(recipe: Any) -> str:
    """What the networks compute in, and why if it is not what was asked for."""
    from models.fine_tune import precision_of

    precision = precision_of(recipe.tuning)
    where = f"{precision} on {recipe.tuning.device}"
    return f"{where} (--amp: this device has no bfloat16)" if recipe.tuning.amp and precision == "float32" else where


class Pace:
    """Says each line of a training, with the time its epochs still need at most."""

    def __init__(self, of_model: int, models: int, now: Callable[[], float] = time.monotonic) -> None:
        self.of_model = of_model  # epochs of all members of one model
        self.models = models  # to train, those of folds included
        self.finished = 0
        self.now = now
        self.last = now()
        self.spent: list[float] = []

    def __call__(self, line: str) -> None:
        found = re.search(r"member (\d+)/(\d+) epoch (\d+)/(\d+)", line)
        if found is None:
            self.last = self.now()  # what lies between epochs is not counted as one
            self.finished += "registered" in line
            say(line)
            return
        at = self.now()
        self.spent.append(at - self.last)
        self.last = at
        member, _, epoch, epochs = (int(part) for part in found.groups())
        recent = sorted(self.spent[-9:])
        each = recent[len(recent) // 2]
        left = (self.models - self.finished) * self.of_model - (member - 1) * epochs - epoch
        say(f"{line}  {lasting(each)} an epoch, {lasting(left * each)} to go at most")


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
