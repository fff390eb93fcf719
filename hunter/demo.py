"""A whole hunt offline: simulate a small sector, hunt it, compare with the truth, say where to look.

The sky is simulated and says so in every header; the hunt is the real one. The demo knows what it put in, and
fails when the hunt does not find it.
"""

import time
from pathlib import Path
from typing import Any

from hunter.cli.common import WrongUsage, console, say
from hunter.engine import night
from hunter.progress import Progress
from hunter.settings import load, template
from state.reading import Reader

MARK = "# A demonstration: the light curves of this hunt are simulated.\n"


def show(home: Path, stars: int, seed: int) -> int:
    """Run the demonstration in ``home``; return the exit code: 0 if the hunt found what was put into the sky."""
    from hunter.archives import open_archive
    from hunter.skies import write_sector

    home = home.expanduser().absolute()
    file = home / "hunter.toml"
    if file.exists() and not file.read_text().startswith(MARK):
        raise WrongUsage(f"{home} holds a hunt of yours: give the demonstration another --home")
    home.mkdir(parents=True, exist_ok=True)
    sky = home / "simulated-sector"
    say(f"simulating {stars} stars, 27 days at 2-minute cadence: {sky}")
    truth = write_sector(sky, stars=stars, seed=seed)
    file.write_text(MARK + template().replace('# source = ""', 'source = "simulated-sector"'))
    settings = load(str(home))
    say("hunting it; the first run on a machine compiles the search kernels")
    with Progress() as progress:
        result = night(settings, lambda: list(open_archive(settings).targets()), show=progress.show, say=progress.say)
    return _judge(settings, truth, result)


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
    out.print(f"{len(candidates)} candidates, {right} of them planets in truth\n")
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
