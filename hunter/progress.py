"""How a night goes, on stderr: a live bar on a terminal, one plain line every ten seconds off it."""

import os
import sys
import time
from types import TracebackType
from typing import Any

from hunter.cli.common import lasting, plural
from hunter.words import of_courier

EVERY = 10.0  # seconds between plain lines


class Progress:
    """Shows a :class:`hunter.engine.Night` while it lasts.

    Parameters
    ----------
    limit : int, optional
        Targets hunted at most.
    every : float
        Seconds between plain lines; a daemon, whose lines a journal keeps for a year, takes more.
    """

    def __init__(self, limit: int | None = None, every: float = EVERY) -> None:
        self.limit = limit
        self.every = every
        self.live: Any = None
        self.last = 0.0
        self.line = ""
        self.began = time.monotonic()

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.live import Live

            out = Console(file=sys.stderr, highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None)
            self.live = Live(console=out, auto_refresh=False, transient=True)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, line: str) -> None:
        if self.live is not None:
            self.live.console.print(line, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def show(self, night: Any, summary: dict[str, Any]) -> None:
        counts = summary["counts"]
        total = sum(counts.values())
        resting = total - counts["QUEUED"] - counts["RUNNING"]
        to_do = total - resting if self.limit is None else min(total - resting, max(0, self.limit - night.hunted))
        spent = time.monotonic() - self.began
        rate = night.hunted / spent * 3600 if spent > 0 else 0.0
        line = f"{resting:,} of {plural(total, 'target')} done, {plural(counts['CANDIDATE'], 'candidate')}"
        if rate and to_do:
            line += f", {rate:,.0f} stars/hour, {lasting(to_do / rate * 3600)} to go"
        elif to_do and not night.hunted:
            line += ", warming up" if not night.phase else ""
        courier = of_courier(summary["words"])
        if courier is not None and courier.resting and to_do:
            line += f", archive {courier.source} is not asked just now: {' '.join(courier.resting.split())}"
        if self.live is not None:
            from rich.console import Group
            from rich.progress_bar import ProgressBar
            from rich.text import Text

            doing = [
                Text(f"  {phase:<8} {target}", style="dim", no_wrap=True, overflow="ellipsis")
                for phase, target, _ in night.phase.values()
            ]
            bar = ProgressBar(total=max(resting + to_do, 1), completed=resting)
            self.live.update(Group(Text(line), bar, *doing), refresh=True)
        elif line != self.line and (time.monotonic() - self.last >= self.every or not to_do):
            self.last, self.line = time.monotonic(), line
            print(line, file=sys.stderr, flush=True)
