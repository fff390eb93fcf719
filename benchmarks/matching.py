"""How often do unrelated ephemerides match, how often are true ones found, and what of a sector is one event?

    python -P benchmarks/matching.py pairs --number 20000        one ephemeris and another, simulated
    python -P benchmarks/matching.py sectors --number 300        2,000 signals a sector, with and without binaries
    python -P benchmarks/matching.py speed                       seconds of 100,000 signals
    python -P benchmarks/matching.py files ../shared/data        real catalogues: TOIs years apart, TCEs of five sectors
    python -P benchmarks/matching.py all ../shared/data          all of these into matching.json

Of the real catalogues: the TOIs of 2019 and 2020 beside those of October 2025 by their numbers (true) and shifted
against one another (unrelated); and the 11,667 signals of the 2019 full-frame images, whose errors are estimated from
their S/N.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import tempfile
import time as clock
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from hunter.catalogues import TABLES, KnownObject, read_table
from hunter.settings import load
from hunter.sharing import compare_stars
from pipeline.matching import Agreement, Ephemeris, Match, SeenSignals, angle, compare, shared
from pipeline.simulate.signals import sector_signals
from state.reading import Reader
from state.schema import signals, targets
from state.store import State


def tally(found: list[Match]) -> dict[str, Any]:
    """Shares of the answers, and what was promised of chance."""
    count = Counter(match.status for match in found)
    return {
        "pairs": len(found),
        **{str(status): round(count[status] / len(found), 5) for status in Agreement},
        "promised_chance": round(float(np.mean([match.chance or 0.0 for match in found])), 5),
    }


def drawn(random: np.random.Generator) -> tuple[Ephemeris, Ephemeris]:
    """A true ephemeris, and it as a search of one sector measures it."""
    period = float(np.exp(random.uniform(np.log(0.5), np.log(13.0))))
    true = Ephemeris(period, 2000.0 + float(random.uniform(0, period)))
    period_err, epoch_err = period * 10 ** random.uniform(-5, -3.3), 10 ** random.uniform(-3.3, -2)
    assert true.epoch is not None
    return true, Ephemeris(
        period + period_err * random.standard_normal(),
        true.epoch + epoch_err * random.standard_normal(),
        period_err,
        epoch_err,
        0.1,
    )


def catalogued(random: np.random.Generator, true: Ephemeris) -> Ephemeris:
    """The same as a catalogue has it, from data up to eight years older."""
    assert true.period is not None
    assert true.epoch is not None
    cycles = round(random.uniform(0, 8) * 365.25 / true.period)
    period_err, epoch_err = true.period * 10 ** random.uniform(-7, -4), 10 ** random.uniform(-3.5, -2)
    return Ephemeris(
        true.period + period_err * random.standard_normal(),
        true.epoch - cycles * true.period + epoch_err * random.standard_normal(),
        period_err,
        epoch_err,
    )


def pairs(number: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    true, false, forgotten = [], [], []
    for _ in range(number):
        ephemeris, signal = drawn(random)
        other = catalogued(random, ephemeris)
        true.append(compare(signal, other, secondary=True))
        forgotten.append(compare(signal, replace(other, period_err=1e-9), secondary=True))
        false.append(compare(signal, catalogued(random, drawn(random)[0]), secondary=True))
    return {"sky": "simulated", "true": tally(true), "unrelated": tally(false), "error_forgotten": tally(forgotten)}


def sectors(number: int, seed: int, periods: np.ndarray | None = None) -> dict[str, Any]:
    falsely, flagged, began = 0, 0, clock.process_time()
    for each in range(number):
        found = shared(sector_signals(seed + each, periods=periods)[0])
        falsely += bool(found)
        flagged += len(found)
    spent = clock.process_time() - began
    families = members = right = wrong = 0
    for each in range(max(number // 10, 1)):
        seen, source = sector_signals(10_000 + seed + each, families=20, periods=periods)
        of_family = [item for item in shared(seen) if item.kind == "ephemeris"]
        by_source: dict[int, list[int]] = {}
        for item in of_family:
            by_source.setdefault(int(item.source or 0), []).append(item.row)
        for row in np.unique(source[2000:]).tolist():
            families += 1
            mine = by_source.pop(row, [])
            right += bool(mine)
            members += sum(source[victim] == row and victim != row for victim in mine)
            wrong += sum(source[victim] != row for victim in mine)
        wrong += sum(len(rest) for rest in by_source.values())
    return {
        "sky": "simulated",
        "periods": "even in the logarithm" if periods is None else "of the real TCEs of sectors 1 to 4",
        "sectors": number,
        "signals_a_sector": 2000,
        "sectors_with_a_false_family": round(falsely / number, 4),
        "signals_falsely_shared": round(flagged / number / 2000, 7),
        "binaries": families,
        "binaries_found_as_source": round(right / families, 4),
        "contaminated_neighbours_found": round(members / families / 5, 4),
        "others_in_families_a_binary": round(wrong / families, 4),
        "cpu_seconds_a_sector": round(spent / number, 4),
    }


def speed() -> dict[str, Any]:
    parts = [sector_signals(seed, 2000)[0] for seed in range(50)]
    names = ("period", "epoch", "period_err", "epoch_err", "duration", "depth", "transits", "ra", "dec")
    whole = SeenSignals(
        star=np.arange(100_000),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
        detectors=tuple(((sector, *places[0][1:]),) for sector, part in enumerate(parts) for places in part.detectors),
    )
    began = clock.process_time()
    shared(whole)
    spent = clock.process_time() - began
    return {"signals": 100_000, "detectors": 800, "cpu_seconds": round(spent, 2)} | of_a_record(whole)


def of_a_record(seen: SeenSignals) -> dict[str, Any]:
    """The same signals in a record of SQLite: read, compared and written; then once more, when nothing has changed."""
    with tempfile.TemporaryDirectory() as home:
        settings = load(home)
        (Path(home) / "state").mkdir()
        with State.open(settings.database, synchronous="NORMAL") as state:
            with state.write("fill") as connection:
                number = range(1, seen.star.size + 1)
                told = {"kind": "TIC", "status": "CLEARED", "inputs": "x", "added_at": 0.0, "changed_at": 0.0}
                places = zip(seen.ra.tolist(), seen.dec.tolist(), strict=True)
                stars = [json.dumps({"tmag": 10.0, "ra": ra, "dec": dec}) for ra, dec in places]
                rows = [told | {"id": n, "key": str(n), "star": star} for n, star in zip(number, stars, strict=True)]
                connection.execute(insert(targets), rows)
                names = ("period", "epoch", "period_err", "epoch_err", "duration", "depth")
                columns = [getattr(seen, name).tolist() for name in names]
                base = {"number": 1, "snr": 10.0, "template": "box"}
                connection.execute(
                    insert(signals),
                    [
                        base | dict(zip(names, values[:-2], strict=True))
                        | {"target_id": n, "n_transits": values[-2], "detectors": json.dumps(values[-1])}
                        for n, values in zip(
                            number, zip(*columns, seen.transits.tolist(), seen.detectors, strict=True), strict=True
                        )
                    ],
                )  # fmt: skip
            with Reader(settings.database) as reader:
                began = clock.process_time()
                read = sum(1 for _ in reader.seen_signals())
                reading = clock.process_time() - began
            began = clock.process_time()
            compare_stars(settings, state, 1.0)
            whole = clock.process_time() - began
            began = clock.process_time()
            compare_stars(settings, state, 2.0)
            again = clock.process_time() - began
    return {
        "record_rows_read": read,
        "record_reading_cpu_seconds": round(reading, 2),
        "record_compared_cpu_seconds": round(whole, 2),
        "record_unchanged_cpu_seconds": round(again, 3),
    }


def files(data: Path) -> dict[str, Any]:
    def table(name: str) -> dict[str, KnownObject]:
        content = gzip.decompress((data / "catalogs" / f"{name}.csv.gz").read_bytes())
        return {row.name: row for row in read_table(content, TABLES[0])}

    def ephemeris(row: KnownObject) -> Ephemeris:
        duration = None if row.duration_hours is None else row.duration_hours / 24
        return Ephemeris(row.period, row.epoch, row.period_err, row.epoch_err, duration)

    early, late = table("toi_mit_early"), table("toi_nexsci_2025-10-04")
    names = [
        name for name, row in early.items()
        if name in late and row.tic == late[name].tic and row.period and row.epoch and late[name].period
    ]  # fmt: skip
    true = [compare(ephemeris(early[name]), ephemeris(late[name])) for name in names]
    moved = [
        compare(ephemeris(early[a]), ephemeris(late[b])) for a, b in zip(names, names[1:] + names[:1], strict=True)
    ]
    years = [abs((late[name].epoch or 0) - (early[name].epoch or 0)) / 365.25 for name in names]
    unmatched = Counter(match.words.partition(";")[0] for match in true if match.status is Agreement.NO_MATCH)
    return {
        "tois_2019_and_2025": tally(true) | {"median_years": round(float(np.median(years)), 2)},
        "their_no_matches": dict(unmatched.most_common(5)),
        "tois_shifted": tally(moved),
        "tces_2019": tces(data),
    }


def tces(data: Path) -> dict[str, Any]:
    """Signals of the full-frame images of 2019, with the labels people gave them."""
    with gzip.open(data / "labelled_views" / "astronet_tces.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["Epoc"] and row["Period"] and row["camera"] and row["ccd"]]
    sectors = [str(row["Sectors"]) for row in rows]
    number = {name: place for place, name in enumerate(sorted(set(sectors)))}

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name] or "nan") for row in rows])

    period, epoch, duration = column("Period"), column("Epoc"), column("Duration") / 24
    duration = np.where(duration > 0, duration, 0.1)
    transits = np.maximum((27.0 / period).astype(int), 2)
    # the list gives no errors: those of a straight line through transits timed as well as their S/N lets, doubled
    single = 0.8 * duration * np.sqrt(transits) / np.maximum(column("SN"), 5.0)
    period_err = single / np.sqrt(transits * (transits**2 - 1) / 12.0)
    seen = SeenSignals(
        star=np.array([int(float(row["tic_id"])) for row in rows]),
        period=period,
        epoch=epoch,
        period_err=period_err,
        epoch_err=np.hypot(single / np.sqrt(transits), period_err * (transits - 1) / 2),
        duration=duration,
        depth=column("Transit_Depth") / 1e6,
        transits=transits,
        ra=column("RA"),
        dec=column("Dec"),
        detectors=tuple(
            ((number[sector], int(float(row["camera"])), int(float(row["ccd"]))),)
            for sector, row in zip(sectors, rows, strict=True)
        ),
    )
    began = clock.process_time()
    found = shared(seen)
    spent = clock.process_time() - began
    of_family = [item for item in found if item.kind == "ephemeris"]
    stands = {item.row for item in of_family}
    close = both = one = 0
    for row in range(len(rows)):  # pairs within 0.1 degrees whose periods agree to 3e-4 as 1, 2 or a half
        near = np.flatnonzero(
            (np.abs(seen.dec - seen.dec[row]) < 0.1) & (np.arange(len(rows)) > row) & (seen.star != seen.star[row])
        )
        near = near[angle(seen.ra[near], seen.dec[near], seen.ra[row], seen.dec[row]) < 360]
        for other in near.tolist():
            ratio = seen.period[other] / seen.period[row]
            if min(abs(ratio - 1), abs(ratio / 2 - 1), abs(ratio * 2 - 1)) < 3e-4:
                close += 1
                both += row in stands and other in stands
                one += seen.detectors[row] == seen.detectors[other]
    return {
        "signals": len(rows),
        "groups_of_sectors": len(number),
        "cpu_seconds": round(spent, 2),
        "in_families": len(of_family),
        "families": len({item.source for item in of_family}),
        "near_pairs_of_one_period": close,
        "of_which_on_one_detector": one,
        "of_which_both_in_families": both,
        "labels_in_families": dict(Counter(rows[item.row]["Disposition"] for item in of_family)),
        "labels": dict(Counter(row["Disposition"] for row in rows)),
        "dips_together": len(found) - len(of_family),
        "labels_of_dips_together": dict(
            Counter(rows[item.row]["Disposition"] for item in found if item.kind == "times")
        ),
    }


def real_periods(data: Path) -> np.ndarray:
    with gzip.open(data / "catalogs" / "tess_spoc_tces_s1-s4.csv.gz", "rt") as file:
        return np.array([float(row["TPERIOD"]) for row in csv.DictReader(file) if row["TPERIOD"]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pairs", "sectors", "speed", "files", "all"))
    parser.add_argument("data", nargs="?", type=Path, help="the real catalogues")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    told: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} CPUs, one thread", "seed": asked.seed}
    if asked.what in ("pairs", "all"):
        told["pairs"] = pairs(asked.number or 20_000, asked.seed)
    if asked.what in ("sectors", "all"):
        told["sectors"] = [sectors(asked.number or 300, asked.seed)]
        if asked.data is not None:
            told["sectors"].append(sectors(asked.number or 300, asked.seed, real_periods(asked.data)))
    if asked.what in ("speed", "all"):
        told["speed"] = speed()
    if asked.what in ("files", "all") and asked.data is not None:
        told["files"] = files(asked.data)
    print(json.dumps(told, indent=1))
    if asked.what == "all":
        Path(__file__).with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
