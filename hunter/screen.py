"""What the terminal shows: the dashboard, the candidates, one target. Everything from the state, nothing computed."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from state.status import Status

PHASES = ("fetch", "clean", "search", "fold", "vet", "score", "publish")
COLOURS = {
    Status.CANDIDATE: "bold green",
    Status.QUARANTINED: "bold red",
    Status.DEFERRED: "yellow",
    Status.HELD: "yellow",
    Status.UNUSABLE: "magenta",
}
MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "not_run": ("–", "yellow"), "error": ("!", "bold red")}


def when(seconds: float | None) -> str:
    """A time as people write it, UTC."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def lasting(seconds: float) -> str:
    """A duration in the two units a person needs."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"


def pace(summary: Mapping[str, Any]) -> tuple[float, float, float | None]:
    """Stars an hour over the last five minutes and the last hour, and seconds to go if the pace lasts."""
    recent, hour = summary["finished"]["last_5_minutes"], summary["finished"]["last_hour"]
    active = max(1.0, min(3600.0, (summary["last_activity"] or 0) - (summary["first_activity"] or 0)))
    now, steady = recent * 12.0, hour * 3600.0 / active
    waiting = summary["queue"]["queued"] + summary["queue"]["running"]
    rate = steady if hour else now
    return now, steady, (waiting / rate * 3600 if rate and waiting else None)


def life(summary: Mapping[str, Any], lease: float = 30.0) -> Text:
    """Whether anybody works on this hunt, and since when not."""
    living = [w for w in summary["workers"] if w["stopped_at"] is None and w["age"] <= lease]
    if living:
        since = min(w["started_at"] for w in living)
        return Text(f"{len(living)} workers at it since {when(since)} UTC", style="green")
    last = max((w["heartbeat"] for w in summary["workers"]), default=None)
    if last is None:
        return Text("nobody has hunted here yet: hunter run --archive DIR", style="yellow")
    ended = all(w["stopped_at"] is not None for w in summary["workers"])
    word = "at rest" if ended else "dead"
    more = "; hunter run goes on where it was" if summary["queue"]["queued"] + summary["queue"]["running"] else ""
    return Text(f"{word} since {when(last)} UTC{more}", style="dim" if ended else "bold red")


def dashboard(summary: Mapping[str, Any], home: Path, now: float) -> RenderableType:
    """The whole hunt on one screen; fits 80 columns and plain text alike."""
    counts, total = summary["counts"], summary["total"]
    resting = total - counts[Status.QUEUED] - counts[Status.RUNNING]
    recent, hour, left = pace(summary)
    free = shutil.disk_usage(home).free / 1e9 if home.exists() else 0.0
    head = Text.assemble(
        (f"{home}\n", "bold"),
        life(summary),
        f"\n{resting:,} of {total:,} targets done",
        f" · {recent:,.0f} stars/h now, {hour:,.0f} in the last hour",
        f" · {lasting(left)} to go" if left else "",
        f" · {free:.0f} GB free",
    )
    phases = Table(box=None, pad_edge=False, header_style="dim")
    phases.add_column("phase", min_width=9)
    phases.add_column("done", justify="right")
    phases.add_column("", min_width=24)
    most = max([*summary["phases"].values(), 1])
    for phase in PHASES:
        done = summary["phases"].get(phase, 0)
        phases.add_row(phase, f"{done:,}", "█" * round(24 * done / most) if done else "")
    outcomes = Table(box=None, pad_edge=False, header_style="dim")
    outcomes.add_column("outcome", min_width=12)
    outcomes.add_column("targets", justify="right")
    for status in Status:
        if counts[status]:
            outcomes.add_row(Text(status, style=COLOURS.get(status, "")), f"{counts[status]:,}")
    if not total:
        outcomes.add_row("none yet", "")
    side = Table.grid(padding=(0, 4))
    side.add_row(phases, outcomes)
    parts: list[RenderableType] = [head, Text(""), side]
    if summary["failures"]:
        failures = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("failures", "n", "next", "for example"):
            failures.add_column(name, justify="right" if name == "n" else "left", overflow="fold")
        for row in summary["failures"]:
            example = row["example"] or {}
            due = example.get("next_at")
            text = (example.get("error") or "").strip().splitlines()
            failures.add_row(
                row["error_class"],
                f"{row['n']:,}",
                "" if due is None else ("due" if due <= now else f"in {lasting(due - now)}"),
                Text(f"{example.get('kind', '')} {example.get('key', '')}: {text[-1] if text else ''}"),
            )
        parts += [Text(""), failures]
    if summary["candidates"]:
        parts += [Text(""), candidate_table(summary["candidates"], home, short=True)]
    if summary["events"]:
        events = Table(box=None, pad_edge=False, show_header=False)
        for row in summary["events"][:6]:
            style = {"error": "red", "warning": "yellow"}.get(row["level"], "dim")
            events.add_row(Text(when(row["at"])[5:], style="dim"), Text(row["text"], style=style))
        parts += [Text(""), events]
    return Group(*parts)


def candidate_table(rows: Sequence[Mapping[str, Any]], home: Path, short: bool = False) -> RenderableType:
    """Candidates, best first."""
    if not rows:
        return Text("no candidates yet")
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = ["candidate", "prob", "S/N", "period d", "depth ppm", "dur h", "disposition", "review"]
    for name in columns:
        table.add_column(
            name, justify="left" if name in ("candidate", "disposition", "review") else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(
            Text(row["name"], style="bold"),
            "–" if row["probability"] is None else f"{row['probability']:.3f}",
            f"{row['snr']:.1f}",
            f"{row['period']:.5f}",
            f"{row['depth'] * 1e6:,.0f}",
            f"{row['duration'] * 24:.2f}",
            Text(row["disposition"].replace("_", " ")),
            Text((row["decision"] or "not yet").replace("_", " "), style="" if row["decision"] else "dim"),
        )
    if short:
        return table
    return Group(table, Text(f"\n{home / 'candidates' / 'index.html'}", style="dim"))


def review_table(name: str, decisions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The decisions on one candidate, oldest first; the last one counts."""
    if not decisions:
        return Text(f"{name}: nobody has decided yet")
    table = Table(box=None, pad_edge=False, header_style="dim", title=name, title_justify="left")
    for column in ("when (UTC)", "by", "decision", "reason"):
        table.add_column(column, overflow="fold")
    for row in decisions:
        table.add_row(when(row["at"]), Text(row["reviewer"]), Text(row["decision"].replace("_", " ")), Text(row["reason"]))
    return table


def show_target(row: Mapping[str, Any], out: Console) -> None:
    """All that is recorded of one target."""
    out.print(Text.assemble((row["name"], "bold"), "  ", (row["status"], COLOURS.get(Status(row["status"]), ""))))
    if row["moves"]:
        out.print(Text(row["moves"][-1]["because"]))
    star = ", ".join(f"{name} {value:g}" for name, value in row["star"].items() if value is not None)
    if star:
        out.print(Text(star, style="dim"))
    for signal in row["signals"]:
        _show_signal(signal, out)
    for candidate in row["candidates"]:
        folder = Path(row.get("candidates_folder", "candidates"))
        out.print(Text(f"page: {folder / candidate['html_file']}"))
        if candidate["decision"]:
            out.print(Text(f"decided {candidate['decision']} by {candidate['reviewer']}: {candidate['reason']}"))
    if row["error"]:
        out.print(Text(row["error"].rstrip(), style="red" if row["status"] == Status.QUARANTINED else ""))
    spent: dict[str, float] = {}
    for run in row["phase_runs"]:
        spent[run["phase"]] = spent.get(run["phase"], 0.0) + run["seconds"]
    if spent:
        out.print(Text("  ".join(f"{phase} {1000 * seconds:.0f} ms" for phase, seconds in spent.items()), style="dim"))


def _show_signal(signal: Mapping[str, Any], out: Console) -> None:
    def error(value: float | None, form: str) -> str:
        return "" if value is None else f" ± {value:{form}}"

    score = "not scored" if signal["probability"] is None else f"probability {signal['probability']:.3f}"
    alias = f", a harmonic of signal {signal['alias_of']}" if signal["alias_of"] else ""
    out.print(
        Text.assemble(
            (f"signal {signal['number']}", "bold"),
            f": period {signal['period']:.6f}{error(signal['period_err'], '.6f')} d",
            f", epoch BTJD {signal['epoch']:.5f}",
            f", duration {signal['duration'] * 24:.2f} h",
            f", depth {signal['depth'] * 1e6:.0f}{error(_ppm(signal['depth_err']), '.0f')} ppm",
            f", S/N {signal['snr']:.1f}, {score}{alias}",
        )
    )
    for finding in signal["findings"]:
        mark, colour = MARKS[finding["status"]]
        out.print(f"  [{colour}]{mark}[/] {finding['test'].replace('_', ' '):<18} {escape(finding['note'])}")


def _ppm(fraction: float | None) -> float | None:
    return None if fraction is None else fraction * 1e6
