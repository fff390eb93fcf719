"""How far one product of one sector has come: what a poll saw moves it, and nothing else does.

::

    unseen ──► ingesting ──► settled ──► enumerated ──► drift
                   ▲  │          │           ▲   │        │
                   │  │          │           └───┼────────┘
                   │  ▼          ▼               ▼
                   └─ held ◄──────────────────────── (from drift, too)

An archive fills a sector in over a day, row by row. It is *settled* when its script is there and has as many lines
as the archive counts, or when three polls over at least a day have seen the same. What was listed once *drifts* when
the count, the script or a sample of the files has changed. A count that falls is *held*: it is acted on only when it
has stood for as long as settling takes, and never where nothing is left at all. A poll without an answer is unknown
and moves nothing.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from state.rows import ReleaseRow

SAME_POLLS = 3
SAME_SECONDS = 86_400.0
ALERT_POLLS = 3  # polls without rows, or without an answer, until a person hears of it


class Progress(StrEnum):
    """Where a product of a sector stands."""

    UNSEEN = "unseen"
    INGESTING = "ingesting"
    SETTLED = "settled"  # to be listed now
    ENUMERATED = "enumerated"
    DRIFT = "drift"  # to be listed again
    HELD = "held"


# every arrow there is
NEXT = {
    Progress.UNSEEN: {Progress.INGESTING, Progress.SETTLED},
    Progress.INGESTING: {Progress.SETTLED, Progress.HELD},
    Progress.SETTLED: {Progress.INGESTING, Progress.ENUMERATED, Progress.HELD},
    Progress.ENUMERATED: {Progress.DRIFT, Progress.HELD},
    Progress.DRIFT: {Progress.ENUMERATED, Progress.HELD},
    Progress.HELD: {Progress.INGESTING, Progress.SETTLED, Progress.DRIFT},
}


@dataclass(frozen=True, slots=True)
class ScriptSeen:
    """What a poll saw of a bulk script."""

    lines: int  # files that it names
    sha256: str
    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one poll was told of one product of one sector."""

    count: int | None = None  # rows that the archive counts; None: not asked
    script: ScriptSeen | None = None  # None: not asked, or there is none
    replaced: str = ""  # what shows that files were replaced under their names
    failed: str = ""  # why a question stayed without an answer: then nothing else here is believed


@dataclass(frozen=True, slots=True)
class Step:
    """A release after a poll, and what is to be said of it."""

    row: ReleaseRow
    word: str = ""  # for the journal
    alert: bool = False  # a person should hear it

    @property
    def to_list(self) -> bool:
        """Whether the files of the sector are to be listed now."""
        return self.row.status in (Progress.SETTLED, Progress.DRIFT)


def advance(row: ReleaseRow, seen: Seen, now: float) -> Step:
    """Move a release by what a poll saw.

    Parameters
    ----------
    row : ReleaseRow
        As it stands; left as it is.
    seen : Seen
    now : float
        Seconds since 1970.

    Returns
    -------
    Step
        The same answer again moves it no further, except that it counts as one more poll.
    """
    if seen.failed:
        failures = row.failed_polls + 1
        after = replace(row, looked_at=now, failed_polls=failures, note=seen.failed)
        if failures != ALERT_POLLS:
            return Step(after)
        return Step(after, f"{name(row)}: {failures} polls without an answer: {seen.failed}", alert=True)
    return _MOVES[Progress(row.status)](replace(row, looked_at=now, polled_at=now, failed_polls=0), seen, now)


def listed(row: ReleaseRow, files: int, count: int, script: ScriptSeen | None, now: float, note: str = "") -> Step:
    """A release whose files have been listed; ``count`` and ``script`` are those the list was made from."""
    row = replace(row, status=Progress.ENUMERATED, listed=files, enumerated_at=now, note=note)
    return Step(_counted(row, Seen(count, script)), f"{name(row)}: {files} files listed" + (note and f"; {note}"))


def name(row: ReleaseRow) -> str:
    return f"sector {row.sector} {row.product}"


# ---- one function for each place to stand


def _unseen(row: ReleaseRow, seen: Seen, now: float) -> Step:
    row = _counted(row, seen)
    if not _size(row):
        return Step(row)
    return _arriving(row, now, f"{name(row)} is arriving: {_told(row)}")


def _arriving(row: ReleaseRow, now: float, word: str) -> Step:
    """Ingesting from now on, or settled at once where script and count agree."""
    row = replace(row, status=Progress.INGESTING, same_polls=1, same_since=now, note="")
    return _settled(row, now) or Step(row, word)


def _ingesting(row: ReleaseRow, seen: Seen, now: float) -> Step:
    if _fell(row, seen):
        return _hold(row, seen, now)
    row = _waited(row, seen, now)
    return _settled(row, now) or Step(row)


def _settled(row: ReleaseRow, now: float) -> Step | None:
    """The step to settled, if it is due."""
    if row.count and row.count == row.script_lines:
        why = f"its script names the {row.count} files that are counted"
    elif _stood(row, now):
        why = f"{row.same_polls} polls saw the same: {_told(row)}"
    else:
        return None
    return Step(replace(row, status=Progress.SETTLED), f"{name(row)} is settled: {why}")


def _waiting_for_list(row: ReleaseRow, seen: Seen, now: float) -> Step:
    if _fell(row, seen):
        return _hold(row, seen, now)
    grew = seen.count is not None and row.count is not None and seen.count > row.count
    if grew:
        row = _counted(row, seen)
        return _arriving(row, now, f"{name(row)} is growing again: {_told(row)}")
    return Step(_counted(row, seen))


def _enumerated(row: ReleaseRow, seen: Seen, now: float) -> Step:
    if _fell(row, seen):
        return _hold(row, seen, now)
    why = _changed(row, seen)
    row = _counted(row, seen)
    if not why:
        return Step(replace(row, note=""))
    return Step(replace(row, status=Progress.DRIFT, note=why), f"{name(row)} has changed: {why}")


def _drift(row: ReleaseRow, seen: Seen, now: float) -> Step:
    if _fell(row, seen):
        return _hold(row, seen, now)
    return Step(_counted(row, seen))


def _held(row: ReleaseRow, seen: Seen, now: float) -> Step:
    if _fell(row, seen):
        return _hold(row, seen, now)
    grew = _counted(row, seen)
    grown = (grew.count, grew.script_lines) != (row.count, row.script_lines)
    row = _waited(row, seen, now)
    if not _least(row):
        if row.same_polls != ALERT_POLLS:
            return Step(row)
        return Step(row, f"{name(row)}: {row.same_polls} polls saw nothing where {_before(row)}", alert=True)
    if row.enumerated_at is None:
        if grown:
            return _arriving(row, now, f"{name(row)} is arriving again: {_told(row)}")
        return _settled(row, now) or Step(row)
    if _least(row) >= row.listed or _stood(row, now):
        why = f"{_told(row)}, {row.listed} were listed"
        return Step(replace(row, status=Progress.DRIFT, note=why), f"{name(row)} is to be listed again: {why}")
    return Step(row)


_MOVES = {
    Progress.UNSEEN: _unseen,
    Progress.INGESTING: _ingesting,
    Progress.SETTLED: _waiting_for_list,
    Progress.ENUMERATED: _enumerated,
    Progress.DRIFT: _drift,
    Progress.HELD: _held,
}


# ---- what they share


def _counted(row: ReleaseRow, seen: Seen) -> ReleaseRow:
    """The row with what was seen in the place of what it held; what was not asked stays."""
    if seen.count is not None:
        row = replace(row, count=seen.count)
    if seen.script is not None:
        script = seen.script
        row = replace(
            row,
            script_lines=script.lines,
            script_hash=script.sha256,
            script_etag=script.etag,
            script_modified=script.modified,
        )
    return row


def _waited(row: ReleaseRow, seen: Seen, now: float) -> ReleaseRow:
    """One poll more of the same, or the first of something else."""
    after = _counted(row, seen)
    if (after.count, after.script_lines) == (row.count, row.script_lines) and row.same_since is not None:
        # a clock that was ahead must not hold a sector up
        return replace(after, same_polls=row.same_polls + 1, same_since=min(row.same_since, now))
    return replace(after, same_polls=1, same_since=now)


def _stood(row: ReleaseRow, now: float) -> bool:
    return row.same_polls >= SAME_POLLS and row.same_since is not None and now - row.same_since >= SAME_SECONDS


def _size(row: ReleaseRow) -> int:
    return max(row.count or 0, row.script_lines or 0)


def _least(row: ReleaseRow) -> int:
    return min(known for known in (row.count, row.script_lines, _size(row)) if known is not None)


def _fell(row: ReleaseRow, seen: Seen) -> bool:
    fewer = seen.count is not None and row.count is not None and seen.count < row.count
    shorter = seen.script is not None and row.script_lines is not None and seen.script.lines < row.script_lines
    return fewer or shorter


def _hold(row: ReleaseRow, seen: Seen, now: float) -> Step:
    """Believe a smaller number only when it has stood."""
    after = _counted(row, seen)
    note = f"{_told(row)} before, now {_told(after)}"
    after = replace(after, status=Progress.HELD, same_polls=1, same_since=now, note=note)
    return Step(after, f"{name(row)} is held: {note}")


def _changed(row: ReleaseRow, seen: Seen) -> str:
    """What shows that the files listed are not those of now; empty where nothing does."""
    if seen.count is not None and seen.count != row.count:
        return f"{seen.count} rows are counted, {row.count} before"
    script = seen.script
    if script is not None and row.script_hash is None:
        return "" if script.lines == row.listed else f"its script names {script.lines} files, {row.listed} are listed"
    if script is not None and script.sha256 != row.script_hash:
        return "its script has another content"
    # the same names published anew: files replaced under their names leave the script's content as it was
    if script is not None and row.script_etag and script.etag and script.etag != row.script_etag:
        return "its script was published anew"
    if script is not None and row.script_modified and script.modified and script.modified != row.script_modified:
        return "its script was published anew"
    return seen.replaced


def _told(row: ReleaseRow) -> str:
    script = "" if row.script_lines is None else f", {row.script_lines} in its script"
    return f"{'no count' if row.count is None else f'{row.count} rows counted'}{script}"


def _before(row: ReleaseRow) -> str:
    return f"{row.listed} files had been listed" if row.enumerated_at is not None else "there had been rows"
