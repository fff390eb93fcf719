"""What a measured place does to the probability of a neighbour."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.weighing.cases import NOTHING_REQUIRED, Pieces, Row, given_cases, oracle_case, sig
from pipeline.validation import MeasuredOffset, validate


def neighbours(number: int, tables: Path) -> Pieces:
    """A place measured to 1.5 arcsec: on the target where the dip is there, on the neighbour where it is there."""
    for at, case in enumerate(given_cases(("planet", "neighbour"))):
        if not case["neighbours"] or at >= number:
            continue

        def run(case: Row = case, at: int = at) -> Row:
            true = 0 if case["name"].startswith("planet") else 1
            whole = oracle_case(case, tables)
            assert whole.neighbours is not None
            where = (0.0, 0.0) if true == 0 else whole.neighbours[0].offset
            assert where is not None
            apart = np.random.default_rng([at, 3]).normal(0, 1.5, 2)
            offset = MeasuredOffset(where[0] + apart[0], where[1] + apart[1], 1.5, 1.5, 0.0, 25.0)
            quick = replace(NOTHING_REQUIRED, samples=800)
            blind, seen, again = (
                validate(replace(whole, offset=one), quick).nfpp
                for one in (None, offset, replace(offset, east_err=1e4, north_err=1e4))
            )
            return {
                "case": case["name"],
                "kind": case["name"].split("-")[0],
                "nearest": min(n.separation_arcsec for n in whole.neighbours),
                "blind": blind,
                "seen": seen,
                "vague": again,
            }

        yield case["name"], run


def neighbours_told(rows: list[Row]) -> Row:
    on = [row for row in rows if row["kind"] == "planet" and row["blind"] > 1e-9]
    off = [row for row in rows if row["kind"] == "neighbour"]
    falls = [row["blind"] / max(row["seen"], 1e-300) for row in on]
    return {
        "on_target": len(on),
        "least_fall": sig(min(falls)),
        "median_fall": sig(float(np.median(falls))),
        "fall_over_1000": sum(fall >= 1e3 for fall in falls),
        "on_neighbour": len(off),
        "least_nfpp": sig(min(row["seen"] for row in off)),
        "over_half": sum(row["seen"] > 0.5 for row in off),
        "vague_over_blind": sig(
            max(abs(row["vague"] / max(row["blind"], 1e-300) - 1) for row in rows if row["blind"] > 1e-6)
        ),
        "cases": [
            {key: sig(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ],
    }
