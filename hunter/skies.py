"""A simulated sector on disk: stars of known kinds as SPOC files, beside the truth a hunt is graded on.

Nothing here is real: the stars bear TIC numbers no catalogue reaches, and every header says SIMULATED.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from hunter.archives.spoc_writer import file_name, from_simulation, spoc_bytes
from pipeline.simulate import (
    FIRST_KEY,
    Kind,
    SectorSettings,
    SimulatedObservation,
    TrueSignal,
    draw_star,
    observe,
    reprocessed,
    true_signals,
)

Damage = Literal["truncated", "html", "nan_flux", "too_short"]
DAMAGES: tuple[Damage, ...] = ("truncated", "html", "nan_flux", "too_short")

# shares of the kinds; every kind gets a star from twelve stars on
MIX: Mapping[Kind, float] = MappingProxyType({
    "planet": 0.36,
    "detached": 0.12,
    "rotation": 0.10,
    "quiet": 0.10,
    "contact": 0.08,
    "flaring": 0.08,
    "pulsation": 0.08,
    "blend": 0.04,
    "systematics": 0.04,
})  # fmt: skip

SURE_SNR = 15.0  # white-noise S/N above which a hunt that misses a planet is wrong, red noise and detrending included

# what an archive sends with status 200 when it is out of order
HTML = (
    b"<!DOCTYPE html>\n<html><head><title>503</title></head><body>Service unavailable, try again later</body></html>\n"
)


@dataclass(frozen=True, slots=True)
class TrueStar:
    """One row of the truth: one file, and one signal in it if it has any; a second planet has a row of its own."""

    file: str
    tic_id: int
    sector: int
    kind: str  # "planet", "detached", "contact", "blend", "rotation", ...; a damage for a damaged file
    expected: str  # "signal": must be found; "maybe": may be found; "none": no transit to find; "unusable"
    period_days: float | None = None
    epoch_btjd: float | None = None  # of the first centre at or after the first cadence
    depth_ppm: float | None = None
    duration_hours: float | None = None
    snr: float | None = None  # white noise only
    n_transits: int | None = None
    secondary_epoch_btjd: float | None = None
    secondary_depth_ppm: float | None = None
    radius_ratio: float | None = None
    tmag: float | None = None
    teff: float | None = None
    radius: float | None = None  # solar
    number: int = 1  # of the signal within its star
    note: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """What was put into a simulated sector."""

    folder: Path
    seed: int
    sector: int
    cadence_seconds: float
    rows: tuple[TrueStar, ...]

    @property
    def must_find(self) -> tuple[TrueStar, ...]:
        """The signals a hunt has to find."""
        return tuple(row for row in self.rows if row.expected == "signal")

    def of(self, tic_id: int) -> tuple[TrueStar, ...]:
        """All rows of one star."""
        return tuple(row for row in self.rows if row.tic_id == tic_id)


def write_sector(
    folder: Path,
    *,
    stars: int = 40,
    seed: int = 1,
    sector: int = 1,
    cadence_seconds: float = 120.0,
    mix: Mapping[Kind, float] = MIX,
    damaged: int = len(DAMAGES),
    snr: tuple[float, float] = (12.0, 80.0),
    date: str = "2020-09-13",
    data_release: int = 42,
) -> Truth:
    """Simulate a sector and write it: one SPOC file a star, ``truth.csv`` and ``truth.json``.

    The same arguments give the same bytes. Another sector with the same seed, mix and number of stars shows the same
    stars again, so that several sectors can be stitched.

    Parameters
    ----------
    folder : Path
        Made where missing; files of the same names are replaced.
    stars : int
        Whole stars with a good file.
    seed : int
    sector : int
    cadence_seconds : float
        120 gives SPOC names, more gives TESS-SPOC names.
    mix : kind to share
        Shares need not sum to 1; numbers of stars follow by largest remainder.
    damaged : int
        Damaged files besides the stars, taken in turn from ``DAMAGES``.
    snr : two floats
        Range of the white-noise signal-to-noise of planets in one sector.
    date : str
        DATE of the files.
    data_release : int
        Above 42 the files are written as a reprocessing of the same pixels: small changes of time, flux and flags.

    Returns
    -------
    Truth
        Rows in order of TIC number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = SectorSettings(number=sector, cadence_seconds=cadence_seconds)
    rows: list[TrueStar] = []
    for offset, kind in enumerate(shares(stars, mix)):
        star = draw_star(kind, str(FIRST_KEY + offset), seed, snr=snr)
        observed = observe(star, settings, seed)
        if data_release > observed.data_release:
            observed = reprocessed(observed, data_release)
        path = folder / file_name(FIRST_KEY + offset, sector, cadence_seconds)
        path.write_bytes(spoc_bytes(from_simulation(observed, date=date)))
        rows.extend(_rows(path.name, observed))
    for number in range(damaged):
        damage, key = DAMAGES[number % len(DAMAGES)], FIRST_KEY + stars + number
        whole = observe(draw_star("quiet", str(key), seed), settings, seed)
        path = folder / file_name(key, sector, cadence_seconds)
        path.write_bytes(damaged_bytes(whole, damage, date=date))
        rows.append(TrueStar(path.name, key, sector, damage, "unusable", note=NOTES[damage]))
    truth = Truth(folder, seed, sector, cadence_seconds, tuple(rows))
    (folder / "truth.csv").write_text(truth_csv(truth))
    (folder / "truth.json").write_text(truth_json(truth))
    return truth


NOTES: Mapping[str, str] = MappingProxyType({
    "truncated": "cut in the middle of the table: the header still parses",
    "html": "a page of a server out of order under the name of a FITS file: only the file name tells the star",
    "nan_flux": "sound FITS, no finite flux",
    "too_short": "sound FITS, 60 cadences",
})  # fmt: skip


def damaged_bytes(observed: SimulatedObservation, damage: Damage, *, date: str = "2020-09-13") -> bytes:
    """A file of one star, damaged in one of the ways that archives deliver."""
    curve = from_simulation(observed, date=date)
    match damage:
        case "truncated":
            whole = spoc_bytes(curve)
            return whole[: len(whole) * 3 // 5]
        case "html":
            return HTML
        case "nan_flux":
            table = curve.table.copy()
            for column in ("SAP_FLUX", "SAP_FLUX_ERR", "PDCSAP_FLUX", "PDCSAP_FLUX_ERR"):
                table[column] = np.nan
            return spoc_bytes(replace(curve, table=table))
        case "too_short":
            return spoc_bytes(replace(curve, table=curve.table[:60]))


def shares(stars: int, mix: Mapping[Kind, float]) -> Sequence[Kind]:
    """The kinds of so many stars by largest remainder, first the largest share; ties in the order of the mix.

    Raises
    ------
    ValueError
        If the mix is empty or holds a negative share.
    """
    total = sum(mix.values())
    if total <= 0 or min(mix.values()) < 0:
        raise ValueError(f"the mix of stars needs shares of at least 0 that sum to more than 0, not {dict(mix)}")
    wanted = {kind: stars * share / total for kind, share in mix.items()}
    counts = {kind: int(number) for kind, number in wanted.items()}
    order = sorted(wanted, key=lambda kind: counts[kind] - wanted[kind])
    for kind in order[: stars - sum(counts.values())]:
        counts[kind] += 1
    return [kind for kind, count in counts.items() for _ in range(count)]


def truth_csv(truth: Truth) -> str:
    """The truth as CSV, one row a signal, an empty cell where nothing is known."""
    text = io.StringIO()
    names = [item.name for item in fields(TrueStar)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in asdict(row).items()} for row in truth.rows)
    return text.getvalue()


def truth_json(truth: Truth) -> str:
    """The truth as JSON, with what it was made from."""
    document = {
        "simulated": True,
        "seed": truth.seed,
        "sector": truth.sector,
        "cadence_seconds": truth.cadence_seconds,
        "rows": [asdict(row) for row in truth.rows],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def read_truth(folder: Path) -> Truth:
    """The truth that `write_sector` left in a folder."""
    document = json.loads((folder / "truth.json").read_text())
    rows = tuple(TrueStar(**row) for row in document["rows"])
    return Truth(folder, document["seed"], document["sector"], document["cadence_seconds"], rows)


def _rows(name: str, observed: SimulatedObservation) -> list[TrueStar]:
    target = observed.target
    star = target.star
    base = TrueStar(
        file=name,
        tic_id=int(target.key),
        sector=observed.sector.number,
        kind=target.kind,
        expected="none",
        tmag=star.tmag,
        teff=star.teff,
        radius=star.radius,
    )
    rows = []
    signals = sorted(true_signals(observed), key=lambda item: -item.snr)
    for number, signal in enumerate(signals, start=1):
        shared = sum(_shared(observed, signal, other) for other in signals if other is not signal)
        sure = signal.snr >= SURE_SNR and signal.n_transits >= 2 and signal.kind != "contact"
        sure &= not shared or signal.n_transits - shared >= 3
        depth = signal.secondary_depth
        note = "half or double the period counts" if signal.kind != "planet" else ""
        if shared:
            note = f"{shared} of its transits overlap with another planet's"
        rows.append(
            replace(
                base,
                expected="signal" if sure else "maybe",
                period_days=signal.period,
                epoch_btjd=signal.epoch,
                depth_ppm=signal.depth * 1e6,
                duration_hours=signal.duration * 24,
                snr=signal.snr,
                n_transits=signal.n_transits,
                secondary_epoch_btjd=signal.secondary_epoch,
                secondary_depth_ppm=None if depth is None else depth * 1e6,
                radius_ratio=signal.radius_ratio,
                number=number,
                note=note,
            )
        )
    return rows or [base]


def _shared(observed: SimulatedObservation, signal: TrueSignal, other: TrueSignal) -> int:
    """Observed transits of one planet during which another transits too: masking one takes the other with it."""
    times = observed.plan.time[observed.good]
    centres = np.arange(signal.epoch, times[-1], signal.period)
    seen = np.array([np.any(np.abs(times - centre) < signal.duration / 2) for centre in centres])
    apart = np.abs((centres - other.epoch + other.period / 2) % other.period - other.period / 2)
    return int((seen & (apart < (signal.duration + other.duration) / 2)).sum())
