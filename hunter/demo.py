"""A whole hunt offline: a replica of MAST releases a small simulated sector, the daemon notices, hunts and reports.

The sky is simulated and says so in every header; the daemon, the network, the hunt are the real ones, and only the
addresses point at this machine. The demo knows what it put in, and fails when the hunt does not find it.
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunter import logs
from hunter.cli.common import WrongUsage, console, plural, say
from hunter.daemon import Daemon
from hunter.engine import Night, open_state
from hunter.progress import Progress
from hunter.replica import Catalogue, Replica
from hunter.settings import load, template
from state.reading import Reader
from state.status import Status
from state.survivors import Survivors

MARK = "# A demonstration: the light curves of this hunt are simulated.\n"
SECTOR = 6
POLL_SECONDS = 4.0


def show(home: Path, stars: int, seed: int) -> int:
    """Run the demonstration in ``home``; return the exit code: 0 if the hunt found what was put into the sky."""
    home = home.expanduser().absolute()
    file = home / "hunter.toml"
    if file.exists() and not file.read_text().startswith(MARK):
        raise WrongUsage(f"{home} holds a hunt of yours: give the demonstration another --home")
    home.mkdir(parents=True, exist_ok=True)
    sky = home / "simulated-sector"
    say(f"simulating {stars} stars, 27 days at 2-minute cadence: {sky}")
    catalogue = Catalogue()
    truth: Any = catalogue.add_sky(sky, stars=stars, seed=seed, sector=SECTOR, pixels=True)
    with Replica(catalogue) as replica:
        file.write_text(MARK + _settings(replica))
        say(f"a replica of MAST answers on {replica.url}; it has released nothing yet")
        settings = load(str(home))
        logs.configure(home / "logs", settings.logs, "daemon", hunt=str(home), console=None)
        with Progress() as progress:
            release = Release(catalogue, progress, len({row.tic_id for row in truth.rows}), settings)
            daemon = Daemon(settings, lambda: load(str(home)), progress.say, until=release.over, show=release.show)
            result = daemon.live()
    return _judge(settings, truth, result)


def _settings(replica: Replica) -> str:
    """The template with the lines that make a night of hours one of a minute."""
    text = template()
    changed = {
        "source": '"mast"',
        **{name: f'"{address}"' for name, address in replica.settings.items()},
        "first_sector": SECTOR,
        "poll_hours": POLL_SECONDS / 3600,
        "contact": f'"{replica.url}"',
        "queries_per_second": 10.0,
        "free_gb": 0.5,
        "sampler": '"none"',  # the fit of each candidate would take longer than all the rest
    }
    for key, value in changed.items():
        text, count = re.subn(rf"(?m)^# {key} = [^#\n]*", f"{key} = {value}  ", text, count=1)
        assert count == 1, f"hunter.toml has no setting {key}"
    return text


@dataclass(slots=True)
class Release:
    """Releases the sector once the daemon has looked and found nothing, and sees when all is hunted, pixels too."""

    catalogue: Catalogue
    progress: Progress
    targets: int
    settings: Any
    released: bool = False
    noticed: bool = False
    began: float = field(default_factory=time.monotonic)

    def show(self, night: Night, summary: dict[str, Any]) -> None:
        if summary["total"]:
            self.progress.show(night, summary)

    def over(self, summary: dict[str, Any]) -> bool:
        """Whether every target has its outcome; what the archive never gives whole is left for another day."""
        polled = summary["words"].get("last_poll_at")
        if polled and not self.released:
            self.released = True
            self.catalogue.release(SECTOR)
            self.catalogue.publish_script(SECTOR)
            self.began = time.monotonic()
            self.progress.say(f"the archive releases sector {SECTOR}: {plural(self.targets, 'target')}")
        if summary["total"] and not self.noticed:
            self.noticed = True
            after = time.monotonic() - self.began
            self.progress.say(
                f"the daemon noticed by itself, {after:.0f} s later (it polls every {POLL_SECONDS:.0f} s)"
            )
            self.progress.say("hunting it; the first run on a machine compiles the search kernels")
        waiting = summary["counts"][Status.QUEUED] + summary["counts"][Status.RUNNING]
        return self.noticed and summary["total"] >= self.targets and not waiting and not self._fields_wanted()

    def _fields_wanted(self) -> bool:
        """Whether the courier is still to bring the pixels of a candidate, which then is hunted again."""
        state = open_state(self.settings)
        try:
            return Survivors(state).any(time.time())
        finally:
            state.close()


def _judge(settings: Any, truth: Any, result: Any) -> int:
    reader = Reader(settings.database)
    summary = reader.summary(time.time())
    out = console()
    out.print(f"\n{summary['total']} targets in {result.seconds:.0f} s:", end=" ")
    out.print(", ".join(f"{count} {outcome}" for outcome, count in sorted(summary["counts"].items()) if count))
    missed = []
    for row in truth.must_find:
        found = reader.find(f"TIC {row.tic_id}")
        periods = [signal["period"] for target in found for signal in target["signals"]]
        if not any(_same(period, row) for period in periods):
            missed.append(f"TIC {row.tic_id}: {row.kind} at {row.period_days:.4f} d, S/N {row.snr:.0f}")
    sure = len(truth.must_find)
    out.print(f"{sure - len(missed)} of the {sure} signals that were put in above S/N 15 were found again")
    for line in missed:
        out.print(f"  missed: {line}", markup=False)
    candidates = reader.candidates()
    planets = {row.tic_id for row in truth.rows if row.kind == "planet"}
    right = sum(1 for row in candidates if int(row["key"].split()[0]) in planets)
    out.print(f"{plural(len(candidates), 'candidate')}, {right} of them planets in truth;", end=" ")
    words = Counter(row["disposition"].replace("_", " ") for row in candidates)
    out.print(f"with their pixels: {', '.join(f'{n} {word}' for word, n in words.most_common()) or 'none'}\n")
    out.print(f"{settings.home / 'candidates' / 'index.html'}", markup=False, soft_wrap=True)
    out.print("open it in a browser; then try", markup=False)
    for command in ("status", "candidates", "doctor"):
        out.print(f"  hunter {command} --home {settings.home}", markup=False, soft_wrap=True)
    if candidates:
        name = candidates[0]["name"]
        out.print(
            f"  hunter review {name} --decision pc --reason 'flat bottom, no secondary' --home {settings.home}",
            soft_wrap=True,
        )
    return 0 if not missed and right else 1


def _same(period: float, row: Any) -> bool:
    """Whether a found period is the true one; a binary may be found at half its period."""
    ratios = (1.0,) if row.kind == "planet" else (1.0, 0.5, 2.0)
    return any(abs(period / (ratio * row.period_days) - 1) < 0.01 for ratio in ratios)
