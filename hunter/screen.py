"""What the terminal shows: the dashboard, the candidates, one target. Everything from the state, nothing computed."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from hunter.cli.common import lasting, plural
from state.status import Status

PHASES = ("fetch", "clean", "search", "confirm", "fold", "vet", "score", "publish")
COLOURS = {
    Status.CANDIDATE: "bold green",
    Status.QUARANTINED: "bold red",
    Status.DEFERRED: "yellow",
    Status.HELD: "yellow",
    Status.UNUSABLE: "magenta",
}
LEASE = 30.0  # seconds; a worker silent for longer is taken for dead
MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "not_run": ("–", "yellow"), "error": ("!", "bold red")}


def when(seconds: float | None) -> str:
    """A time as people write it, UTC."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def pace(summary: Mapping[str, Any], now: float) -> tuple[float, float, float | None]:
    """Stars an hour over the last five minutes and the last hour, and seconds to go if the recent pace lasts.

    A hunt younger than the window is measured over its own age; nobody at work means no time to go.
    """
    living = _living(summary)
    began = min((w["started_at"] for w in living), default=summary["first_activity"] or now)
    recent, hour = summary["finished"]["last_5_minutes"], summary["finished"]["last_hour"]
    first = min(began, summary["first_activity"] or began)
    fast = recent * 3600 / min(300.0, max(1.0, now - began)) if living else 0.0
    steady = hour * 3600 / min(3600.0, max(1.0, now - first))
    waiting = summary["queue"]["queued"] + summary["queue"]["running"]
    rate = fast or steady
    return fast, steady, (waiting / rate * 3600 if rate and waiting and living else None)


def _living(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [worker for worker in summary["workers"] if worker["stopped_at"] is None and worker["age"] <= LEASE]


def life(summary: Mapping[str, Any]) -> Text:
    """Whether anybody works on this hunt, and since when not."""
    living = _living(summary)
    if living:
        since = min(worker["started_at"] for worker in living)
        return Text(f"{plural(len(living), 'worker')} at it since {when(since)} UTC", style="green")
    last = max((worker["heartbeat"] for worker in summary["workers"]), default=None)
    if last is None:
        return Text("nobody has hunted here yet: hunter run --archive DIR", style="yellow")
    waiting = summary["queue"]["queued"] + summary["queue"]["running"]
    more = f"; {plural(waiting, 'target')} to go: hunter run goes on where it was" if waiting else ""
    if all(worker["stopped_at"] is not None for worker in summary["workers"]):
        return Text(f"at rest since {when(last)} UTC{more}", style="yellow" if waiting else "dim")
    return Text(f"dead since {when(last)} UTC{more}", style="bold red")


def dashboard(summary: Mapping[str, Any], home: Path, now: float, width: int = 80) -> RenderableType:
    """The whole hunt on one screen of so many columns, in plain text alike."""
    counts, total = summary["counts"], summary["total"]
    resting = total - counts[Status.QUEUED] - counts[Status.RUNNING]
    recent, hour, left = pace(summary, now)
    free = shutil.disk_usage(home).free / 1e9 if home.exists() else 0.0
    facts = [f"{resting:,} of {plural(total, 'target')} done"] if total else []
    if recent:
        facts.append(f"{recent:,.0f} stars/hour now")
    if hour:
        facts.append(f"{hour:,.0f} stars/hour in the last hour")
    if left:
        facts.append(f"{lasting(left)} to go")
    facts.append(f"{free:,.0f} GB free")
    head = Text.assemble((f"{home}\n", "bold"), life(summary), "\n", " · ".join(facts))
    bar = max(6, min(24, width - 46))  # what the two tables beside each other leave
    phases = Table(box=None, pad_edge=False, header_style="dim")
    phases.add_column("phase", min_width=9)
    phases.add_column("done", justify="right")
    phases.add_column("", min_width=bar)
    reached = {**summary["phases"], "publish": counts[Status.CANDIDATE]}  # publishing is one step with the ending
    most = max([*reached.values(), 1])
    for phase in PHASES:
        done = reached.get(phase, 0)
        if phase == "confirm" and not done:
            continue  # only where it was asked for
        phases.add_row(phase, f"{done:,}", "█" * max(1, round(bar * done / most)) if done else "")
    outcomes = Table(box=None, pad_edge=False, header_style="dim")
    outcomes.add_column("outcome", min_width=11)
    outcomes.add_column("targets", justify="right")
    for status in Status:
        if counts[status]:
            outcomes.add_row(Text(status, style=COLOURS.get(status, "")), f"{counts[status]:,}")
    if not total:
        outcomes.add_row("none yet", "")
    side = Table.grid(padding=(0, 3))
    side.add_row(phases, outcomes)
    parts: list[RenderableType] = [head, Text(""), side]
    if summary["failures"]:
        parts += [Text(""), _failures(summary["failures"], now)]
    if summary["candidates"]:
        parts += [Text(""), candidate_table(summary["candidates"], home, width, short=True)]
    if summary["events"]:
        events = Table(box=None, pad_edge=False, header_style="dim")
        events.add_column("UTC", no_wrap=True, width=14)
        events.add_column("last events", no_wrap=True, overflow="ellipsis")
        for row in summary["events"][:6]:
            style = {"error": "red", "warning": "yellow"}.get(row["level"], "dim")
            events.add_row(Text(when(row["at"])[5:], style="dim"), Text(_one_line(row["text"]), style=style))
        parts += [Text(""), events]
    return Group(*parts)


def _failures(rows: Sequence[Mapping[str, Any]], now: float) -> Table:
    """Failures by class, one of each told."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("failures", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("retry", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for row in rows:
        example = row["example"] or {}
        due = example.get("next_at")
        again = "" if due is None else ("due" if due <= now else f"in {lasting(due - now)}")
        lines = (example.get("error") or example.get("because") or "").strip().splitlines()
        told = _one_line(lines[-1]) if lines else ""
        if not told.startswith(str(example.get("key"))):
            told = f"{example.get('kind', '')} {example.get('key', '')}: {told}"
        table.add_row(Text(row["error_class"]), f"{row['n']:,}", again, Text(told))
    return table


def _one_line(text: str) -> str:
    return " ".join(text.split())


# the columns of the list of candidates, those that a narrow window loses first at the end
COLUMNS = ("candidate", "prob", "S/N", "period d", "review", "depth ppm", "disposition", "dur h")
SHOWN = ("candidate", "prob", "S/N", "period d", "depth ppm", "dur h", "disposition", "review")
LEFT = ("candidate", "disposition", "review")


def candidate_table(
    rows: Sequence[Mapping[str, Any]], home: Path, width: int = 80, short: bool = False
) -> RenderableType:
    """Candidates, best first; each on one line, with as many columns as fit."""
    if not rows:
        return Text("no candidates yet")
    cells = [_candidate_cells(row) for row in rows]
    wide = {name: max(len(name), *(len(row[name]) for row in cells)) for name in COLUMNS}
    kept = list(COLUMNS)
    while len(kept) > 2 and sum(wide[name] + 2 for name in kept) - 2 > width:
        kept.pop()
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    shown = [name for name in SHOWN if name in kept]
    for name in shown:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True, overflow="fold")
    for row in cells:
        table.add_row(*(Text(row[name], style=_candidate_style(name, row[name])) for name in shown))
    if short:
        return table
    return Group(table, Text(f"\n{home / 'candidates' / 'index.html'}", style="dim", overflow="fold"))


def _candidate_cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "candidate": row["name"],
        "prob": "–" if row["probability"] is None else f"{row['probability']:.3f}",
        "S/N": f"{row['snr']:.1f}",
        "period d": f"{row['period']:.5f}",
        "depth ppm": f"{row['depth'] * 1e6:,.0f}",
        "dur h": f"{row['duration'] * 24:.2f}",
        "disposition": row["disposition"].replace("_", " "),
        "review": (row["decision"] or "not yet").replace("_", " "),
    }


def _candidate_style(column: str, text: str) -> str:
    if column == "candidate":
        return "bold"
    return "dim" if column == "review" and text == "not yet" else ""


def review_table(name: str, decisions: Sequence[Mapping[str, Any]]) -> RenderableType:
    """The decisions on one candidate, oldest first; the last one counts."""
    if not decisions:
        return Text(f"{name}: nobody has decided yet")
    table = Table(box=None, pad_edge=False, header_style="dim", title=name, title_justify="left")
    for column in ("when (UTC)", "by", "decision", "reason"):
        table.add_column(column, overflow="fold")
    for row in decisions:
        table.add_row(
            when(row["at"]), Text(row["reviewer"]), Text(row["decision"].replace("_", " ")), Text(row["reason"])
        )
    return table


def show_target(row: Mapping[str, Any], out: Console) -> None:
    """All that is recorded of one target."""
    out.print(Text.assemble((row["name"], "bold"), "  ", (row["status"], COLOURS.get(Status(row["status"]), ""))))
    if row["moves"]:
        last = row["moves"][-1]
        out.print(Text(f"{when(last['at'])} UTC: {_one_line(last['because'])}"))
    star = ", ".join(form.format(row["star"][name]) for name, form in STAR.items() if row["star"].get(name) is not None)
    if star:
        out.print(Text(star, style="dim"))
    for signal in row["signals"]:
        _show_signal(signal, out)
    for candidate in row["candidates"]:
        folder = Path(row.get("candidates_folder", "candidates"))
        out.print(Text(f"page: {folder / candidate['html_file']}"), soft_wrap=True)
        if candidate["decision"]:
            word = candidate["decision"].replace("_", " ")
            decided = f"{word}, by {candidate['reviewer']}, {when(candidate['reviewed_at'])} UTC"
            out.print(Text(f"decided: {decided}: {candidate['reason']}"))
    if row["error"]:
        out.print(Text(row["error"].rstrip(), style="red" if row["status"] == Status.QUARANTINED else ""))
    spent: dict[str, float] = {}
    for run in row["phase_runs"]:
        spent[run["phase"]] = spent.get(run["phase"], 0.0) + run["seconds"]
    if spent:
        out.print(Text("  ".join(f"{phase} {1000 * seconds:.0f} ms" for phase, seconds in spent.items()), style="dim"))


STAR = {
    "tmag": "Tmag {:.2f}",
    "teff": "Teff {:.0f} K",
    "radius": "radius {:.2f} Sun",
    "mass": "mass {:.2f} Sun",
    "logg": "log g {:.2f}",
    "ra": "RA {:.4f} deg",
    "dec": "Dec {:+.4f} deg",
}


def _show_signal(signal: Mapping[str, Any], out: Console) -> None:
    def error(value: float | None, form: str) -> str:
        return "" if value is None else f" ± {value:{form}}"

    score = "not scored" if signal["probability"] is None else f"probability {signal['probability']:.3f}"
    alias = f", a harmonic of signal {signal['alias_of']}" if signal["alias_of"] else ""
    out.print(
        Text.assemble(
            (f"signal {signal['number']}", "bold"),
            f": period {signal['period']:.6f}{error(signal['period_err'], '.6f')} d",
            f", epoch {signal['epoch']:.5f} BTJD",
            f", duration {signal['duration'] * 24:.2f} h",
            f", depth {signal['depth'] * 1e6:.0f}{error(_ppm(signal['depth_err']), '.0f')} ppm",
            f", S/N {signal['snr']:.1f}, {score}{alias}",
        )
    )
    findings = Table.grid(padding=(0, 1, 0, 0))
    findings.add_column(min_width=3, justify="right")
    findings.add_column(no_wrap=True)
    findings.add_column(overflow="fold")
    for finding in signal["findings"]:
        mark, colour = MARKS[finding["status"]]
        findings.add_row(Text(mark, style=colour), finding["test"].replace("_", " "), Text(finding["note"]))
    if signal["findings"]:
        out.print(findings)


def _ppm(fraction: float | None) -> float | None:
    return None if fraction is None else fraction * 1e6
