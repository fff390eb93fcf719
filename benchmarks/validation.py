"""Is the false-positive probability what it says? All skies simulated but the last, one thread, processor time.

    PYTHONPATH=. python -P benchmarks/validation.py seeds        # ten seeds: scatter of log10 FPP
    PYTHONPATH=. python -P benchmarks/validation.py bins         # the same light in 216, 100, 50 and 25 bins
    PYTHONPATH=. python -P benchmarks/validation.py oracle       # scenario by scenario against TRICERATOPS 1.1.0
    PYTHONPATH=. python -P benchmarks/validation.py reliability  # systems drawn from the engine's own priors
    PYTHONPATH=. python -P benchmarks/validation.py keeping      # planets that keep time: false claims of the contrary
    PYTHONPATH=. python -P benchmarks/validation.py ttv          # planets that do not: FPP before and after realigning
    PYTHONPATH=. python -P benchmarks/validation.py binaries     # binaries, in step and not: none may be rescued
    PYTHONPATH=. python -P benchmarks/validation.py neighbours   # what a measured place does to the NFPP
    PYTHONPATH=. python -P benchmarks/validation.py real         # real signals with their images and fields of stars

Every run is cut into pieces that are kept in ``--work`` as they come: a run that was stopped goes on. ``--record``
writes the summary to validation.json. The oracle's answers are in data/triceratops.json, made by
oracles/triceratops_cases.py.
"""

import argparse
import json
import math
import os
import platform
import time as clock
from collections.abc import Callable
from pathlib import Path

from benchmarks.weighing.cases import HERE, NOTHING_REQUIRED, SIGNALS, Pieces, Row, curve_of, now, real_case
from benchmarks.weighing.lateness import binaries, binaries_told, keeping, keeping_told, ttv, ttv_told
from benchmarks.weighing.peer import oracle, oracle_told
from benchmarks.weighing.places import neighbours, neighbours_told
from benchmarks.weighing.reliability import reliability, reliability_told
from benchmarks.weighing.scatter import bins, bins_told, seeds, seeds_told
from pipeline.validation import validate


def real(number: int, tables: Path) -> Pieces:
    """Folded light curves, contrast curves and TRILEGAL tables of real stars, read as a hunt reads them."""
    for name, given in list(SIGNALS.items())[:number]:
        if not curve_of(given, tables).exists():
            print(f"{name}: no {curve_of(given, tables)}")
            continue

        def run(name: str = name, given: Row = given) -> Row:
            case = real_case(given, tables)
            found, spent = now(lambda: validate(case, NOTHING_REQUIRED))
            return {
                "signal": name,
                "points": int(case.flux.size),
                "population": found.inputs["population"],
                "contrast": found.inputs["contrast_curve"],
                "status": found.status,
                "band": found.band,
                "reason": found.reason,
                "fpp": found.fpp,
                "fpp_interval": found.fpp_interval,
                "planet_radius": found.planet_radius,
                "likeliest": [[one.name, one.probability] for one in found.scenarios[:4]],
                "known": given["known"],
                "cpu_s": spent,
            }

        yield name, run


def real_told(rows: list[Row]) -> Row:
    return {"signals": [{key: value for key, value in row.items() if key not in ("piece", "spent")} for row in rows]}


RUNS: dict[str, tuple[Callable[..., Pieces], Callable[[list[Row]], Row], int]] = {
    "seeds": (seeds, seeds_told, 6),
    "bins": (bins, bins_told, 6),
    "oracle": (oracle, oracle_told, 40),
    "reliability": (reliability, reliability_told, 1000),
    "keeping": (keeping, keeping_told, 400),
    "ttv": (ttv, ttv_told, 16),
    "binaries": (binaries, binaries_told, 100),
    "neighbours": (neighbours, neighbours_told, 40),
    "real": (real, real_told, 40),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(RUNS))
    parser.add_argument("--number", type=int)
    parser.add_argument("--tables", type=Path, default=HERE.parents[1] / "shared/data/lightcurves/tables")
    parser.add_argument("--work", type=Path, default=Path("/tmp/hunter_validation"))
    parser.add_argument("--seconds", type=float, default=math.inf, help="of processor time, then stop")
    parser.add_argument("--record", action="store_true", help="keep the summary in validation.json")
    asked = parser.parse_args()
    pieces, tell, usual = RUNS[asked.what]
    asked.work.mkdir(parents=True, exist_ok=True)
    path = asked.work / f"{asked.what}.jsonl"
    kept = {row["piece"]: row for row in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    begun = clock.process_time()
    with path.open("a") as out:
        for name, run in pieces(asked.number or usual, asked.tables):
            if name in kept or clock.process_time() - begun > asked.seconds:
                continue
            row, spent = now(run)
            kept[name] = {"piece": name, "spent": spent} | row
            print(json.dumps(kept[name]), file=out, flush=True)
    summary = tell(list(kept.values())) | {"cpu_seconds": round(sum(row["spent"] for row in kept.values()), 1)}
    print(json.dumps(summary, indent=1))
    if asked.record:
        record = HERE / "validation.json"
        document = json.loads(record.read_text()) if record.exists() else {}
        document |= {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs shared, one thread",
            "sky": "simulated",
            asked.what: summary,
        }
        record.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
