"""The commands of the registry: which models there are, which serves, who let it, and models from elsewhere."""

import getpass
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, examples, give, say

models = typer.Typer(
    name="models", help="List, show, promote, roll back and import the models that score.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `hunter models list` names it.")]
Force = Annotated[
    str | None, typer.Option("--force", metavar="REASON", help="Let it serve although gates are missed; recorded.")
]


def registry_of(home: str | None) -> Any:
    """The registry of a hunt."""
    from hunter.settings import load
    from models.registry import Registry

    return Registry(load(home, light=True).home / "models")


def person() -> str:
    """Who gives the command."""
    return os.environ.get("HUNTER_REVIEWER") or getpass.getuser()


def moment() -> str:
    """Now, as the record writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def promote(home: str | None, name: str, force: str | None) -> Path:
    """Hold a model to the gates of the settings and let it serve.

    Raises
    ------
    ModelRefused
        With every gate it missed, unless ``force`` says why it shall serve all the same.
    """
    from hunter.settings import load
    from models.evaluate import speed
    from models.gates import judge, missed
    from models.registry import Registry, read_json, verify_folder
    from models.scorer import Scorer

    if force is not None and not force.strip():
        raise WrongUsage("--force needs its reason: it stands in the record for good")
    settings = load(home, light=True)
    registry = Registry(settings.home / "models")
    folder = registry.folder(name)
    scorer = Scorer.load(folder)
    serving = _serving(registry)
    other = None
    if serving is not None and serving != folder:
        verify_folder(serving)
        other = read_json(serving, "card.json"), read_json(serving, "metrics.json")
    gates = judge(
        read_json(folder, "card.json"),
        read_json(folder, "metrics.json"),
        settings.models,
        size=sum(item.stat().st_size for item in folder.iterdir()),
        per_second=speed(scorer) if settings.models.signals_per_second else None,
        serving=other,
    )
    result: Path = registry.promote(name, missed=missed(gates), force=force, by=person(), now=moment())
    return result


def _serving(registry: Any) -> Path | None:
    """The folder of what serves; None where nothing does, or its record is damaged and is to be written anew."""
    from models.registry import ModelRefused

    try:
        found: Path | None = registry.current()
    except ModelRefused as refusal:
        say(f"warning: {refusal}")
        return None
    return found


@models.command("list")
@examples("hunter models list", "hunter models list --json")
def list_models(home: Home = None, json: AsJson = False) -> None:
    """List the models of this hunt and the shipped ones: what serves, from which data, of which parent, since when."""
    entries = registry_of(home).list()
    if json:
        give([_told(entry) for entry in entries])
        return
    if not entries:
        print("no model: `hunter train` makes one")
    for entry in entries:
        told = _told(entry)
        words = [
            "shipped" if entry.shipped else "this hunt",
            f"data {told['data'][:8]}" if told["data"] else "data ?",
            f"from {told['parent']}" if told["parent"] else "",
            "SIMULATION ONLY" if told["simulated"] else "",
            f"{told['history'][-1]['what']} {told['history'][-1].get('at', '')[:10]}" if told["history"] else "",
            f"REFUSED: {entry.problem}" if entry.problem else "",
        ]
        print(f"{'*' if entry.current else ' '} {entry.name:<32} {'  '.join(word for word in words if word)}")


def _told(entry: Any) -> dict[str, Any]:
    parent = entry.card.get("parent") or {}
    return {
        "name": entry.name,
        "serving": entry.current,
        "shipped": entry.shipped,
        "architecture": entry.card.get("architecture", {}).get("name"),
        "data": entry.card.get("data", {}).get("id"),
        "code": entry.card.get("code"),
        "parent": parent.get("name"),
        "simulated": entry.simulated,
        "beats_baseline": entry.card.get("beats_baseline"),
        "history": list(entry.history),
        "problem": entry.problem,
    }


@models.command("show")
@examples("hunter models show NAME", "hunter models show NAME --json")
def show_model(name: Name, home: Home = None, json: AsJson = False) -> None:
    """Print the card of a model: data, licences, figures with intervals, limits, and who let it serve when and why."""
    from models.cards import readable
    from models.registry import ModelRefused, read_json

    entry = registry_of(home).show(name)
    if entry.problem:
        raise ModelRefused(entry.problem)
    metrics = read_json(entry.folder, "metrics.json")
    if json:
        give(entry.card | {"metrics": metrics, "serving": entry.current, "history": list(entry.history)})
    else:
        print(readable(entry.card, metrics, entry.history, entry.current), end="")


@models.command("promote")
@examples("hunter models promote NAME", "hunter models promote NAME --force 'better on our own stars'")
def promote_model(name: Name, force: Force = None, home: Home = None) -> None:
    """Let a model serve if it passes the gates of [models]; a running hunt takes it up with its next batch.

    What another model scored is scored anew in the next night.
    """
    print(promote(home, name, force))


@models.command("rollback")
@examples("hunter models rollback", "hunter models rollback --because 'too many binaries'")
def rollback_model(
    because: Annotated[str | None, typer.Option("--because", metavar="REASON", help="For the record.")] = None,
    home: Home = None,
) -> None:
    """Let the model before serve again."""
    folder = registry_of(home).rollback(why=because, by=person(), now=moment())
    print(folder if folder else "no model serves now")


@models.command("import")
@examples(
    "hunter models import weights.safetensors --name theirs",
    "hunter models import a.pt b.pt --name theirs --card card.json",
)
def import_model(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Weights, safetensors or torch; one file a member.")
    ],
    name: Annotated[str, typer.Option("--name", help="What the model shall be called here.")],
    like: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Architecture and inputs as this model has them; the serving one otherwise."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Card (JSON) with the architecture and the inputs.")
    ] = None,
    home: Home = None,
) -> None:
    """Register weights trained elsewhere; they map onto the architecture whole, or are refused with their keys.

    Nothing in a file is run: torch files are read as tensors only. The model is not calibrated and does not serve.
    """
    if like and card:
        raise WrongUsage("--like and --card both name an architecture: give one")
    from models.foreign import describe, import_weights
    from models.registry import ModelRefused, verify_folder

    registry = registry_of(home)
    source = str(card)
    if card is None:
        folder = registry.folder(like) if like else registry.current()
        if folder is None:
            raise ModelRefused("no model serves whose architecture could be taken: give --card FILE")
        verify_folder(folder)
        card, source = folder / "card.json", folder.name
    architecture, preparation = describe(card)
    print(import_weights(_distinct(files), registry, name, architecture, preparation, source))
    say(f"next: hunter train --pretrained {name} --data DIR tunes, calibrates and judges it")


def _distinct(files: Sequence[Path]) -> Sequence[Path]:
    if len(set(files)) != len(files):
        raise WrongUsage("the same file twice would be the same member twice")
    return files


@models.command("verify")
@examples("hunter models verify")
def verify_models(home: Home = None, json: AsJson = False) -> None:
    """Hash every file of every model again; exit 1 if one is damaged."""
    found = registry_of(home).verify()
    if json:
        give(found)
    else:
        for name, problem in found.items():
            print(f"{name}: {problem or 'whole'}")
    if any(found.values()):
        sys.exit(1)
