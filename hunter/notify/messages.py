"""The messages there are. Each has a line for a person and a body for a program, and is owed to every channel once.

The key of a message names what it tells, not when it was made: whoever makes it again, after a kill or by hunting the
same star anew, makes the same key, and nobody is told twice.
"""

import hashlib
import math
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hunter.masking import mask, masked
from hunter.notify.settings import channels_of
from hunter.settings import Settings
from state.rows import CandidateRow, Message
from state.status import Status

TROUBLE = frozenset({"stuck", "disk", "test"})  # what is told in quiet hours, too


def identity(settings: Settings) -> str:
    """A short name for this hunt on this machine, so that two hunts may tell the same channel."""
    return hashlib.sha256(f"{socket.gethostname()}\0{settings.home}".encode()).hexdigest()[:10]


def candidate(settings: Settings, target: str, row: CandidateRow) -> tuple[Message, ...]:
    """A candidate was published; nothing where it is below [notify] threshold or was not scored."""
    if row.probability is None or not row.probability >= settings.notify.threshold:
        return ()
    text = (
        f"{target}: candidate at {row.period:.5f} d, probability {row.probability:.3f}, S/N {row.snr:.1f}, "
        f"depth {row.depth * 1e6:,.0f} ppm"
    )
    body = {
        "target": target,
        "name": row.name,
        "period_days": row.period,
        "epoch_btjd": row.epoch,
        "duration_hours": row.duration * 24,
        "depth_ppm": row.depth * 1e6,
        "snr": row.snr,
        "probability": row.probability,
        "disposition": row.disposition,
        "page": row.html_file,
        "json_sha256": row.json_sha256,
    }
    return _each(settings, f"candidate:{target}:{row.ephemeris_key}", "candidate", text, body)


def sector_finished(settings: Settings, sector: int, product: str, listed: int, candidates: int) -> tuple[Message, ...]:
    """Every target of a release has its outcome. A release that has grown since is told anew."""
    found = f"{candidates:,} candidate{'' if candidates == 1 else 's'}"
    text = f"sector {sector} ({product}) is hunted: {listed:,} light curves, {found} among its stars"
    body = {"sector": sector, "product": product, "listed": listed, "candidates": candidates}
    return _each(settings, f"sector:{sector}:{product}:{listed}", "sector", text, body)


def stuck(settings: Settings, silence: float, now: float) -> tuple[Message, ...]:
    """The daemon's main loop has not turned for so many seconds."""
    text = f"the daemon is stuck: its main loop has not turned for {silence / 60:.0f} min"
    since = int((now - silence) // 60)
    return _each(settings, f"stuck:{since}", "stuck", text, {"silence_seconds": round(silence)})


def disk_low(settings: Settings, free_bytes: int, now: float) -> tuple[Message, ...]:
    """Little room is left; told once a day."""
    text = (
        f"the disk runs low: {free_bytes / 1e9:.1f} GB free; the hunt pauses below "
        f"{settings.engine.free_disk_mb / 1e3:g} GB and goes on by itself once there is room"
    )
    return _each(settings, f"disk:{_day(now)}", "disk", text, {"free_bytes": free_bytes})


def digest(settings: Settings, summary: Mapping[str, Any], now: float) -> tuple[Message, ...]:
    """The last 24 hours in a line, from the summary of the state."""
    counts = summary["counts"]
    ended = summary["finished"]["last_24_hours"]
    fresh = [row for row in summary["candidates"] if row["published_at"] >= now - 86_400]
    waiting = counts[Status.QUEUED] + counts[Status.RUNNING]
    parts = [f"{ended:,} targets in 24 h", f"{waiting:,} to go", f"{counts[Status.CANDIDATE]:,} candidates in all"]
    if fresh:
        parts.append(f"new: {', '.join(row['name'] for row in fresh[:3])}" + (" .." if len(fresh) > 3 else ""))
    failures = {row["error_class"]: row["n"] for row in summary["failures"]}
    if failures:
        parts.append("failures: " + ", ".join(f"{n:,} {name}" for name, n in failures.items()))
    body = {
        "day": _day(now),
        "counts": dict(counts),
        "finished": dict(summary["finished"]),
        "new_candidates": [row["name"] for row in fresh],
        "failures": failures,
    }
    return _each(settings, f"digest:{_day(now)}", "digest", "; ".join(parts), body)


def trial(settings: Settings, now: float) -> tuple[Message, ...]:
    """A message that says only that messages arrive."""
    text = "a test: if you read this, the hunt can reach you"
    return _each(settings, f"test:{now:.3f}", "test", text, {})


def bundle(several: list[Message]) -> Message:
    """One message in place of several to the same channel; the keys of those it holds stand in its body."""
    lines = [str(message.payload.get("text", "")) for message in several]
    best = max(several, key=lambda message: _probability(message.payload))
    hunt = several[0].payload.get("hunt", "")
    text = f"{len(several)} candidates, the best of them {best.payload.get('text', '')}"
    keys = [message.dedup for message in several]
    name = hashlib.sha256("\0".join(sorted(keys)).encode()).hexdigest()[:16]
    items = [{"key": message.dedup, **dict(message.payload.get("body", {}))} for message in several]
    payload = {"hunt": hunt, "text": text, "body": {"lines": lines, "items": items}}
    return Message(f"{keys[0].partition(':')[0]}:bundle:{name}", several[0].channel, "bundle", payload)


def _probability(payload: Mapping[str, Any]) -> float:
    value = payload.get("body", {}).get("probability")
    return float(value) if isinstance(value, int | float) else -1.0


def _each(settings: Settings, key: str, kind: str, text: str, body: Mapping[str, Any]) -> tuple[Message, ...]:
    payload = {"hunt": settings.home.name, "text": mask(text), "body": _finite(masked(body))}
    name = f"{identity(settings)}:{key}"
    return tuple(Message(name, channel.name, kind, payload) for channel in channels_of(settings.notify))


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not a number is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return value


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
