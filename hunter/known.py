"""What is known already of a signal: its ephemeris beside those of the catalogues, for its star and its neighbours.

Only copies at hand are read: a worker has no network. The courier of a hunt of a far archive refreshes them once a
day; a person may lay tables of their own beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, Le

from hunter.archives.settings import FAR
from hunter.catalogues import DAY, TABLES, KnownObject, Table, catalogues_of, read_table, within
from hunter.settings import Settings
from pipeline.errors import ArchiveUnavailable
from pipeline.matching import MOST_CHANCE, Agreement, Ephemeris, Match, angle, compare
from pipeline.types import Target, TransitSignal

STALE = 2 * DAY  # a copy is asked for once a day: one that is older could not be refreshed
SAME_STAR = 4.0  # arcsec: tables without a TIC number give places no better than this
REFUTED = ("FP", "FA")
CONFIRMED = ("CP", "KP", "confirmed")
OF_STARS = "TIC"  # kind of target that these catalogues number


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """The [known] table: which catalogues a signal is compared with, and how far around its star."""

    radius_arcsec: Annotated[float, Gt(0), Le(3600)] = 126.0  # six pixels: so far a neighbour's light reaches
    # your own CSV tables of variables, columns as VSX calls them, some 100,000 rows at most
    tables: tuple[str, ...] = ()


OWN = Table(
    "", "", lambda archive: "",
    tic=("tic", "tic_id", "TIC", "TIC ID"), name=("name", "Name", "VSX_OID", "OID"),
    disposition=("type", "Type", "VSX_Type", "disposition"),
    period=("period", "Period", "VSX_Period", "period_days"), period_err=("period_err", "period_days_err"),
    epoch=("epoch", "Epoch", "epoch_btjd"), epoch_err=("epoch_err", "epoch_btjd_err"),
    duration=("duration_hours",), depth=("depth_ppm",), updated=(),
    ra=("ra", "RA", "RAJ2000", "_RAJ2000", "GAIA_RAJ2000"), dec=("dec", "Dec", "DEJ2000", "_DEJ2000", "GAIA_DEJ2000"),
    by_place=True,
)  # fmt: skip


def known_block(settings: Settings, target: Target, signal: TransitSignal, now: float) -> dict[str, Any]:
    """The evidence's block ``known``: the signal beside everything the catalogues at hand know hereabouts.

    Parameters
    ----------
    settings : Settings
    target : Target
        Its star's place, where it is known, lets neighbours be asked after.
    signal : TransitSignal
    now : float
        Seconds since 1970.

    Returns
    -------
    dict
        As ``candidates/schema.json`` has it; ``not_run`` with the reason ``no_catalogue`` where none is at hand.
    """
    catalogues = catalogues_of(settings.home)
    checked = catalogues.checked_at()
    own, missing = _own_tables(settings.known.tables)
    missing += [f"{table.source}: no copy is here yet" for table in TABLES if table.source not in checked]
    if not checked and not own:
        why = "no copy of any is here yet" if settings.archive.source in FAR else "a hunt of a folder asks none"
        told = [f"[known] tables: {reason}" for reason in missing[: -len(TABLES)]]
        return {"status": "not_run", "reason": "; ".join([f"no_catalogue: {why}", *told])}
    tic = int(target.key.split()[0]) if target.kind == OF_STARS and target.key.split()[0].isdigit() else None
    ra, dec, radius = target.star.ra, target.star.dec, settings.known.radius_arcsec / 3600.0
    found = [] if tic is None else catalogues.known(tic)
    found += [row for rows, _ in own for row in rows if tic is not None and row.tic == tic]
    if ra is not None and dec is not None:
        around = catalogues.near(ra, dec, radius)
        around += [row for rows, _ in own for row in within(rows, ra, dec, radius)]
        found += [row for row in around if tic is None or row.tic != tic]
    ours = Ephemeris(signal.period, signal.epoch, signal.period_err, signal.epoch_err, signal.duration)
    compared = [_row(row, ours, tic, ra, dec) for row in found]
    return {
        "status": "done",
        "catalogues": [
            {"source": source, "as_of": _day(at), "stale": now - at > STALE} for source, at in sorted(checked.items())
        ]
        + [{"source": rows[0].source, "as_of": _day(at), "stale": False} for rows, at in own if rows],
        "missing": missing,
        "radius_arcsec": settings.known.radius_arcsec if ra is not None and dec is not None else None,
        "compared": len(compared),
        "note": _note(checked, now, ra is not None and dec is not None),
        # of neighbours that have another ephemeris only the number is told
        "matches": [row for row in compared if row["same_star"] or row["status"] != Agreement.NO_MATCH or row["ratio"]],
    }


def _row(row: KnownObject, ours: Ephemeris, tic: int | None, ra: float | None, dec: float | None) -> dict[str, Any]:
    """One known object beside the signal."""
    duration = None if row.duration_hours is None else row.duration_hours / 24.0
    theirs = Ephemeris(row.period, row.epoch, row.period_err, row.epoch_err, duration)
    match = compare(ours, theirs, secondary=True)
    separation = None
    if None not in (ra, dec, row.ra, row.dec):
        separation = float(angle(ra or 0.0, dec or 0.0, row.ra or 0.0, row.dec or 0.0))
    same = row.tic == tic if row.tic is not None and tic is not None else (separation or 0.0) <= SAME_STAR
    kind = kind_of(row)
    return {
        "source": row.source,
        "name": row.name,
        "disposition": row.disposition,
        "kind": kind,
        "tic": row.tic,
        "separation_arcsec": separation,
        "same_star": same,
        "status": str(match.status),
        "side": _side(match, kind, same),
        "words": _words(row, match, kind, same, separation),
        "period_days": row.period,
        "period_days_err": row.period_err,
        "epoch_btjd": row.epoch,
        "epoch_btjd_err": row.epoch_err,
        "ratio": None if match.ratio is None else f"{match.ratio[0]}:{match.ratio[1]}",
        "at_phase": match.at,
        "cycles": match.cycles,
        "period_sigma": match.period_sigma,
        "offset": match.offset,
        "offset_err": match.offset_err,
        "sigma": match.sigma,
        "chance": match.chance,
        "assumed": list(match.assumed),
    }


def kind_of(row: KnownObject) -> str:
    """What a catalogue takes an object for: planet, candidate, refuted, eclipsing binary or variable."""
    if row.disposition in REFUTED:
        return "refuted"
    if row.disposition in CONFIRMED or row.disposition == "EP":
        return "planet"
    if row.source in ("TOI", "CTOI", "planet"):
        return "candidate"
    # the types of VSX: E, EA, EB, EW and what is joined to them, also where they are uncertain
    kinds = {part.strip(": ") for part in row.disposition.replace("|", "/").replace("+", "/").split("/")}
    return "eclipsing binary" if kinds & {"E", "EA", "EB", "EW", "EC", "ED", "ESD"} else "variable"


def _side(match: Match, kind: str, same: bool) -> str | None:
    """For a planet of this star, or against; unknown where the ephemerides leave it open; None where they differ."""
    if match.ratio is None:
        return None if match.status is Agreement.NO_MATCH else "unknown"
    if match.status is Agreement.NO_MATCH:
        return "unknown" if same else None
    if match.chance is None or match.chance > MOST_CHANCE:
        return "unknown"
    if not same or kind not in ("planet", "candidate"):
        return "against"
    return "for" if match.status is Agreement.MATCH else "unknown"


def _words(row: KnownObject, match: Match, kind: str, same: bool, separation: float | None) -> str:
    """The comparison as a sentence a person can check."""
    where = "of this star" if same else "of a neighbour" if separation is None else f"{separation:.0f} arcsec away"
    what = f"{row.disposition}, {kind}" if row.disposition and row.disposition != kind else kind
    said = f"{row.name} ({what}), {where}: {match.words}"
    if match.sigma is not None and match.cycles is not None:
        said += f", {match.sigma:.1f} sigma apart after {abs(match.cycles):,} cycles"
    if match.ratio is not None and match.chance is not None:
        said += f"; chance {match.chance:.1g}"
    if match.ratio is not None and match.assumed:
        said += f" (assumed: {'; '.join(match.assumed)})"
    return said


def _note(checked: dict[str, float], now: float, placed: bool) -> str:
    """What a person should know of the comparison: tables that are old, a star without a place."""
    said = [
        f"the table of {source}s is of {_day(at)} and could not be refreshed since"
        for source, at in sorted(checked.items())
        if now - at > STALE
    ]
    if not placed:
        said.append("the star's place is unknown: only objects of its own number were compared")
    return "; ".join(said)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _own_tables(names: Sequence[str]) -> tuple[list[tuple[list[KnownObject], float]], list[str]]:
    """A person's own tables with their dates, and a line for each that cannot be read."""
    found, missing = [], []
    for name in names:
        path = Path(name)
        try:
            changed = path.stat().st_mtime
            found.append((_own_table(path, changed), changed))
        except (OSError, ArchiveUnavailable) as error:
            missing.append(f"{path.stem}: {error}")
    return found, missing


@lru_cache(maxsize=8)
def _own_table(path: Path, changed: float) -> list[KnownObject]:
    """Read once for each version of the file."""
    return read_table(path.read_bytes(), replace(OWN, source=path.stem))
