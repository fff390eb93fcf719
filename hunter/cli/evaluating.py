"""The command that judges models and hunts: evaluate."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter.cli.common import AsJson, Home, WrongUsage, console, examples, give, say, write_text
from hunter.cli.registry import registry_of


@examples(
    "hunter evaluate --views ../shared/data/labelled_views/astronet_triage_views.npz --json",
    "hunter evaluate --views views.npz --scores scores.csv",
    "hunter evaluate --hunt night-one --json",
)
def evaluate(
    views: Annotated[
        Path | None, typer.Option("--views", metavar="FILE", help="Labelled views, laid out as the public sets.")
    ] = None,
    hunt: Annotated[
        str | None,
        typer.Option("--hunt", metavar="HOME", help="Look for drift between the nights and sectors of this hunt."),
    ] = None,
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
    """Judge a model on labelled views, or a hunt by the drift of what it measures and scores.

    Figures have bootstrap intervals, and the stars the model learnt from are left out of them. The scores hold every
    row that has views, with the columns row, tic_id, label, probability (of a planet, calibrated),
    eclipse_probability (planet or binary), raw and member_spread. Drift is looked for within each cadence; [drift]
    says when it alarms, and an alarm ends with exit code 1.
    """
    if (views is None) == (hunt is None):
        raise WrongUsage("give either --views FILE or --hunt HOME")
    if views is None:
        if scores is not None or stars is not None or prior is not None or model is not None:
            raise WrongUsage("--hunt looks at the scores a hunt has kept: it takes no other option but --json")
        _look_for_drift(hunt, json)
        return
    if prior is not None and not 0 < prior < 1:
        raise WrongUsage(f"--prior {prior:g}: a share of planets lies between 0 and 1")
    if scores == "-" and json:
        raise WrongUsage("--scores - and --json both want stdout: name a file for the scores")
    from models.evaluate import evaluate as judge
    from models.evaluate import score_views, scored_rows, scores_csv
    from models.registry import ModelRefused, read_json
    from models.scorer import Scorer

    registry = registry_of(home)
    folder = registry.folder(model) if model else registry.current()
    if folder is None:
        raise ModelRefused("no model serves: `hunter train` makes one")
    scorer = Scorer.load(folder)
    scored = score_views(scorer, views, stars, prior)
    if scores is not None:
        write_text(scores, scores_csv(scored_rows(scorer, views, scored=scored)), "--scores")
        if scores == "-":
            return
    found = {"model": folder.name, "model_sha256": scorer.sha256, "views": str(views)}
    found |= judge(scorer, views, resamples=resamples, scored=scored)
    rows = found["rows"]
    if read_json(folder, "card.json").get("imported"):
        say(f"{folder.name} was imported: what it learnt from is not known, so these rows may be among it")
    say(
        f"{rows['read']:,} rows, {rows['of stars it learnt from']:,} of them of stars {folder.name} learnt from: "
        f"judged on the other {rows['judged']:,}"
    )
    if json:
        give(found)
        return
    _print_tree(found, console())


def _look_for_drift(home: str | None, json: bool) -> None:
    """Report the drift of a hunt, keep it among its events, and end with 1 on an alarm."""
    from hunter.drifting import report, status_line
    from hunter.settings import load
    from state.store import State

    settings = load(home)
    found = report(settings)
    line = status_line(found)
    with State.open(settings.database, synchronous=settings.state.synchronous, check=False) as state:
        state.log("warning" if found["alarm"] else "info", "drift", line, time.time())
    if json:
        give(found)
    else:
        print(line)
        for name in ("nights", "sectors"):
            for shift in found[name]["alarms"]:
                print(
                    f"  {shift['number']} of {shift['where']} ({shift['stratum']}): PSI {shift['psi']:.2f}, "
                    f"KS {shift['ks']:.3f} (p {shift['p']:.1e}), {shift['n']} stars against {shift['before']}"
                )
            for words in found[name]["too few"]:
                say(f"  too few to say anything: {words}")
    if found["alarm"]:
        sys.exit(1)


def _print_tree(found: Any, out: Any, indent: str = "") -> None:
    for name, value in found.items():
        if isinstance(value, list):
            out.print(f"{indent}{name}", markup=False, soft_wrap=True)
            for row in value:
                out.print(
                    f"{indent}  " + "  ".join(f"{key} {each}" for key, each in row.items()),
                    markup=False,
                    soft_wrap=True,
                )
        elif isinstance(value, dict) and not {"value", "low", "high"} <= set(value):
            out.print(f"{indent}{name}", markup=False, soft_wrap=True)
            _print_tree(value, out, indent + "  ")
        elif isinstance(value, dict):
            out.print(f"{indent}{name:<52}{_figure(value)}", markup=False, soft_wrap=True)
        else:
            out.print(f"{indent}{name:<52}{value}", markup=False, soft_wrap=True)


def _figure(found: dict[str, Any]) -> str:
    """``0.9912  [0.9871, 0.9950]  n 1,710`` or why there is none."""
    if found["value"] is None:
        return f"–  ({found.get('reason', 'unknown')})"
    interval = "" if found["low"] is None else f"  [{found['low']:.4f}, {found['high']:.4f}]"
    return f"{found['value']:.4f}{interval}  n {found['n']:,}, {found['positives']:,} of them sought"
