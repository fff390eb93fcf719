"""How a night goes, on stderr: a live bar on a terminal, one plain line every ten seconds off it."""

import os
import sys
import time
from types import TracebackType
from typing import Any

EVERY = 10.0  # seconds between plain lines


class Progress:
    """Shows a :class:`hunter.engine.Night` while it lasts."""

    def __init__(self) -> None:
        self.live: Any = None
        self.last = 0.0
        self.began = time.monotonic()

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich.console import Console
            from rich.live import Live

            out = Console(file=sys.stderr, highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None)
            self.live = Live(console=out, auto_refresh=False, transient=True)
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, line: str) -> None:
        if self.live is not None:
            self.live.console.print(line, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def show(self, night: Any, summary: dict[str, Any]) -> None:
        counts = summary["counts"]
        waiting = counts.get("QUEUED", 0) + counts.get("RUNNING", 0)
        total = sum(counts.values())
        spent = time.monotonic() - self.began
        rate = night.hunted / spent * 3600 if spent > 0 else 0.0
        left = f", {waiting / rate * 60:.0f} min to go" if rate > 0 and waiting else ""
        line = f"{total - waiting}/{total} targets, {counts.get('CANDIDATE', 0)} candidates, {rate:,.0f} stars/hour{left}"
        if self.live is not None:
            from rich.console import Group
            from rich.progress_bar import ProgressBar
            from rich.text import Text

            doing = [Text(f"  {phase:<8} {target}", style="dim") for phase, target, _ in night.phase.values()]
            self.live.update(Group(Text(line), ProgressBar(total=max(total, 1), completed=total - waiting), *doing), refresh=True)
        elif time.monotonic() - self.last >= EVERY or not waiting:
            self.last = time.monotonic()
            print(line, file=sys.stderr, flush=True)
