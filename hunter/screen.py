"""What the terminal shows: the dashboard, the candidates, one target. Everything from the state, nothing computed."""

import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from candidates.fit_block import fit_rows
from candidates.wording import called_text, decision_lines, validation_text
from hunter.cli.common import lasting, plural
from hunter.words import breakers, of_courier, poll, waiting_share
from state.status import Status

PHASES = ("fetch", "clean", "search", "confirm", "fold", "vet", "score", "field", "fit", "validate", "publish")
COLOURS = {
    Status.CANDIDATE: "bold green",
    Status.QUARANTINED: "bold red",
    Status.DEFERRED: "yellow",
    Status.HELD: "yellow",
    Status.UNUSABLE: "magenta",
}
LEASE = 30.0  # seconds; a worker silent for longer is taken for dead
FAR = ("mast", "s3")  # archives that are asked over the network
RELEASES = 4  # releases on their way that are shown
MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "not_run": ("–", "yellow"), "error": ("!", "bold red")}


def when(seconds: float | None) -> str:
    """A time as people write it, UTC."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock(seconds: float, now: float) -> str:
    """The hour and minute of a time, UTC, with the day where it is another one."""
    there, here = (datetime.fromtimestamp(at, UTC) for at in (seconds, now))
    return there.strftime("%H:%M" if there.date() == here.date() else "%m-%d %H:%M")


def pace(summary: Mapping[str, Any], now: float) -> tuple[float, float, float | None]:
    """Stars an hour over the last five minutes and the last hour, and seconds to go if the recent pace lasts.

    A hunt younger than the window is measured over its own age; nobody at work means no time to go.
    """
    living = _living(summary, "worker")
    began = min((w["started_at"] for w in living), default=summary["first_activity"] or now)
    recent, hour = summary["finished"]["last_5_minutes"], summary["finished"]["last_hour"]
    # what was finished before a restart counts with the time it took
    began = min(began, summary["first_recent"] or began)
    first = min(began, summary["first_activity"] or began)
    fast = recent * 3600 / min(300.0, max(1.0, now - began)) if living else 0.0
    steady = hour * 3600 / min(3600.0, max(1.0, now - first))
    waiting = summary["queue"]["queued"] + summary["queue"]["running"]
    rate = fast or steady
    return fast, steady, (waiting / rate * 3600 if rate and waiting and living else None)


def _living(summary: Mapping[str, Any], role: str | None = None) -> list[Mapping[str, Any]]:
    """Those who beat, of one role or of all."""
    return [
        one
        for one in summary["workers"]
        if one["stopped_at"] is None and one["age"] <= LEASE and (role is None or one["role"] == role)
    ]


def life(summary: Mapping[str, Any]) -> Text:
    """Whether anybody works on this hunt, and since when not."""
    daemon, workers = _living(summary, "daemon"), _living(summary, "worker")
    if daemon:
        return _daemon_alive(daemon[0], len(workers))
    if workers or _living(summary):
        since = min(one["started_at"] for one in workers or _living(summary))
        who = plural(len(workers), "worker") if workers else "the courier alone"
        return Text(f"{who} at it since {when(since)} UTC", style="green")
    newest = max(summary["workers"], key=lambda one: one["heartbeat"], default=None)
    if newest is None:
        return Text("nobody has hunted here yet: hunter run --archive DIR", style="yellow")
    last = newest["heartbeat"]
    # the daemon's children beat on for a moment after it
    was = [one for one in summary["workers"] if one["role"] == "daemon" and last - one["heartbeat"] <= 2 * LEASE]
    command = "hunter daemon" if was else "hunter run"
    waiting = summary["queue"]["queued"] + summary["queue"]["running"]
    more = f"; {plural(waiting, 'target')} to go: {command} goes on where it was" if waiting else ""
    if all(one["stopped_at"] is not None for one in summary["workers"]):
        return Text(f"at rest since {when(last)} UTC{more}", style="yellow" if waiting else "dim")
    said = f", last error: {_short(error)}" if (error := _last_error(summary, was or [newest])) else ""
    more = more or (f"; {command} goes on" if was else "")
    return Text(f"dead since {when(last)} UTC{said}{more}", style="bold red")


def _daemon_alive(daemon: Mapping[str, Any], workers: int) -> Text:
    since = f"since {when(daemon['started_at'])} UTC"
    if daemon["message"].startswith("paused"):
        return Text(f"the daemon is {_one_line(daemon['message'])} (it lives {since})", style="yellow")
    at_work = f"with {plural(workers, 'worker')}" if workers else "and waits for work"
    return Text(f"the daemon lives {since}, {at_work}", style="green")


def _last_error(summary: Mapping[str, Any], dead: Sequence[Mapping[str, Any]]) -> str:
    """The newest error of the journal in the life that ended."""
    began = min(one["started_at"] for one in dead)
    return next((row["text"] for row in summary["events"] if row["level"] == "error" and row["at"] >= began), "")


def surroundings(summary: Mapping[str, Any], now: float) -> list[Text]:
    """The archive, the polls, the releases on their way and the messages that wait: a line for each that there is."""
    lines = [*_archive(summary, now), *_polls(summary, now)]
    arriving = [row for row in summary["releases"] if row["status"] != "enumerated"]
    settled = [row for row in summary["releases"] if row["status"] == "enumerated"]
    for row in (arriving or settled[:1])[:RELEASES]:
        lines.append(_release(row, now))
    if len(arriving) > RELEASES:
        lines.append(Text(f"and {len(arriving) - RELEASES} more releases on their way", style="dim"))
    owed = summary["outbox"]
    if owed["waiting"] or owed["dead"]:
        words = [f"{plural(owed['waiting'], 'message')} to be sent"] if owed["waiting"] else []
        words += [f"{owed['dead']:,} given up: hunter notify retry"] if owed["dead"] else []
        lines.append(Text(", ".join(words), style="red" if owed["dead"] else "yellow"))
    return lines


def _archive(summary: Mapping[str, Any], now: float) -> list[Text]:
    """How the archive answers and how far ahead of the workers its files are; nothing where it is a folder."""
    courier = of_courier(summary["words"])
    left_alone = [host for host in breakers(summary["words"]) if host.is_open(now)]
    if courier is None or courier.source not in FAR:
        return [_left_alone(host, now) for host in left_alone]
    ready, first = summary["queue"]["ready"], f"archive {courier.source}: "
    facts = [
        f"{'1,000+' if ready >= 1000 else ready} targets with their files here",
        f"{courier.fetching} on their way",
    ]
    if (share := waiting_share(summary["words"])) is not None:
        facts.append(f"{100 * share:.0f} % of the time waiting for data")
    if not _living(summary, "courier"):
        state, style = "nobody asks it just now", "dim"
        facts = facts[:1]
    elif courier.resting:
        since = min((host.since for host in left_alone if host.since is not None), default=None)
        again = max(
            (at for at in (courier.until, *(host.again for host in left_alone)) if at is not None), default=None
        )
        state = f"down since {clock(since, now)}" if since is not None else "resting"
        state += f" ({_short(courier.resting)})"
        if again is not None:
            state += f", next probe {clock(again, now)}" if again > now else ", being probed"
        style = "yellow"
    else:
        state, style = "up", "green"
    return [Text.assemble(first, (state, style), f" · {' · '.join(facts)}")] + [
        _left_alone(host, now) for host in left_alone if not courier.resting
    ]


def _left_alone(host: Any, now: float) -> Text:
    reason = f" ({_short(host.reason)})" if host.reason else ""
    again = f", next probe {clock(host.again, now)}" if host.again is not None and host.again > now else ""
    since = f"since {clock(host.since, now)}" if host.since is not None else "as it asked"
    return Text(f"{host.host} is left alone {since}{reason}{again}", style="yellow")


def _polls(summary: Mapping[str, Any], now: float) -> list[Text]:
    """The last look for what is new, and the next; nothing where nobody ever polled."""
    word = poll(summary["words"])
    following = word.following
    for daemon in _living(summary, "daemon"):
        if told := re.search(r"next poll at (\d+)", daemon["message"]):
            following = float(told[1])
    words = []
    if word.at is not None:
        words.append(f"last poll {clock(word.at, now)}" + (f": {_short(word.said)}" if word.said else ""))
    if following is not None and _living(summary, "daemon"):
        until = following - now
        words.append(f"next poll {clock(following, now)} (in {lasting(until)})" if until > 0 else "polling")
    return [Text(" · ".join(words))] if words else []


def _release(row: Mapping[str, Any], now: float) -> Text:
    known = [row["status"]]
    if row["count"] is not None:
        known.append(f"{row['count']:,} counted")
    if row["listed"]:
        known.append(f"{row['listed']:,} listed")
    if row["failed_polls"]:
        known.append(f"{plural(row['failed_polls'], 'poll')} without an answer")
    elif row["looked_at"] is not None:
        known.append(f"looked at {clock(row['looked_at'], now)}")
    note = f": {_short(row['note'])}" if row["note"] else ""
    style = "yellow" if row["status"] == "held" or row["failed_polls"] else ""
    return Text(f"sector {row['sector']} {row['product']} {', '.join(known)}{note}", style=style)


def _short(text: str, most: int = 100) -> str:
    """One line of a text, cut where it is long."""
    line = _one_line(text)
    return line if len(line) <= most else line[: most - 1] + "…"


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
    for line in surroundings(summary, now):
        head = head.append("\n").append_text(line)
    parts: list[RenderableType] = [head, Text(""), _phases_and_outcomes(summary, width)]
    if summary["failures"]:
        parts += [Text(""), _failures(summary["failures"], now)]
    if summary["candidates"]:
        parts += [Text(""), candidate_table(summary["candidates"], home, width, short=True)]
    if summary["events"]:
        parts += [Text(""), Text(f"{'UTC':<14}  last events", style="dim")]
        for row in summary["events"][:6]:
            style = {"error": "red", "warning": "yellow"}.get(row["level"], "dim")
            line = Text.assemble((when(row["at"])[5:], "dim"), "  ", (_one_line(row["text"]), style))
            line.no_wrap, line.overflow = True, "ellipsis"
            parts.append(line)
    return Group(*parts)


def _phases_and_outcomes(summary: Mapping[str, Any], width: int) -> Text:
    """How far the targets came, and beside it how they ended. Our own lines: a table of rich costs half a frame."""
    counts = summary["counts"]
    bar = max(6, min(24, width - 46))  # what the outcomes beside it leave
    reached = {**summary["phases"], "publish": counts[Status.CANDIDATE]}  # publishing is one step with the ending
    most = max([*reached.values(), 1])
    left = [("phase".ljust(9) + " " + "done".rjust(9) + " " * (bar + 2), "dim")]
    for phase in PHASES:
        done = reached.get(phase, 0)
        if phase == "confirm" and not done:
            continue  # only where it was asked for
        blocks = "█" * max(1, round(bar * done / most)) if done else ""
        left.append((f"{phase:<9} {done:>9,}  {blocks:<{bar}}", ""))
    right = [("outcome".ljust(11) + " " + "targets".rjust(9), "dim")]
    right += [(f"{status:<11} {counts[status]:>9,}", COLOURS.get(status, "")) for status in Status if counts[status]]
    if len(right) == 1:
        right.append(("none yet", ""))
    blank = (" " * len(left[0][0]), "")
    lines = [
        Text.assemble(left[row] if row < len(left) else blank, "   ", right[row] if row < len(right) else "")
        for row in range(max(len(left), len(right)))
    ]
    return Text("\n").join(lines)


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
COLUMNS = ("candidate", "prob", "S/N", "period d", "review", "light curve", "depth ppm", "disposition", "dur h")
SHOWN = ("candidate", "prob", "S/N", "period d", "depth ppm", "dur h", "light curve", "disposition", "review")
LEFT = ("candidate", "light curve", "disposition", "review")


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
    shown = [name for name in SHOWN if name in kept]
    lines = [Text(_row({name: name for name in shown}, shown, wide), style="dim")]
    for row in cells:
        words = [(_cell(row[name], name, wide), _candidate_style(name, row[name])) for name in shown]
        lines.append(Text("  ").join([Text(*word) for word in words]))
    for line in lines:
        line.rstrip()
    table = Text("\n").join(lines)
    if short:
        return table
    return Group(table, Text(f"\n{home / 'candidates' / 'index.html'}", style="dim", overflow="fold"))


def _row(row: Mapping[str, str], shown: Sequence[str], wide: Mapping[str, int]) -> str:
    return "  ".join(_cell(row[name], name, wide) for name in shown)


def _cell(text: str, column: str, wide: Mapping[str, int]) -> str:
    return text.ljust(wide[column]) if column in LEFT else text.rjust(wide[column])


def _candidate_cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "candidate": row["name"],
        "prob": "–" if row["probability"] is None else f"{row['probability']:.3f}",
        "S/N": f"{row['snr']:.1f}",
        "period d": f"{row['period']:.5f}",
        "depth ppm": f"{row['depth'] * 1e6:,.0f}",
        "dur h": f"{row['duration'] * 24:.2f}",
        "light curve": row.get("flux", "").removesuffix(" candidate") or "–",
        "disposition": row["disposition"].replace("_", " ") + (", shared" if row.get("shared") else ""),
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
        if "verdict" in candidate:
            _show_evidence(candidate, out)
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


def _show_evidence(candidate: Mapping[str, Any], out: Console) -> None:
    """The verdict with each opinion, the parameters of the fit with their errors, the false-positive probability."""
    verdict, fit = candidate["verdict"], candidate["fit"]
    out.print(Text(f"verdict: {called_text(verdict)}: {verdict['because']}"))
    for name, said in decision_lines(candidate):
        out.print(Text(f"  {name:<12} {said}"))
    if fit["status"] in ("not_run", "error"):
        said = "not run" if fit["status"] == "not_run" else "ended in an error"
        out.print(Text(f"transit fit {said}: {fit['reason']}"))
    else:
        out.print(Text(f"transit fit: {fit['status'].replace('_', ' ')}"))
        for name, value in fit_rows(fit):
            out.print(Text(f"  {name:<22} {value}"))
    out.print(Text(f"false-positive probability: {validation_text(candidate['validation'])}"))


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
    for said in signal.get("shared", ()):
        out.print(Text(f"shared by {said['stars']} stars: {said['words']}", style="yellow"))
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
