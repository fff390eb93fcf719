"""How much seeds and bins move the false-positive probability, where they should not."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.weighing.cases import (
    LAW,
    NOTHING_REQUIRED,
    SIGNALS,
    Pieces,
    Row,
    curve_of,
    given_cases,
    now,
    oracle_case,
    real_case,
    sig,
)
from benchmarks.weighing.peer import told
from pipeline.simulate.eclipses import DetachedBinary, Orbit, Planet, binary_light, planet_light
from pipeline.validation import ValidationCase, validate

FINE, COUNTS = 2160, (216, 100, 50, 25)  # points of a light curve, and the bins they are averaged into
NOISES = 5


def seeds(number: int, tables: Path) -> Pieces:
    """Cases whose FPP is neither sure nor none, ten seeds each."""
    chosen = [case for case in given_cases(("planet", "blend", "neighbour")) if 2e-3 < told(case)["fpp"] < 0.4]
    for case in chosen[:number]:
        for seed in range(1, 11):

            def run(case: Row = case, seed: int = seed) -> Row:
                found, spent = now(lambda: validate(oracle_case(case, tables), replace(NOTHING_REQUIRED, seed=seed)))
                return {"case": case["name"], "fpp": found.fpp, "dex": found.fpp_err_dex, "cpu_s": spent}

            yield f"{case['name']} {seed}", run


def seeds_told(rows: list[Row]) -> Row:
    cases: dict[str, Row] = {}
    for name in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == name]
        logs = np.log10([row["fpp"] for row in own])
        cases[name] = {
            "seeds": len(own),
            "median_fpp": sig(10 ** float(np.median(logs))),
            "std_dex": sig(float(logs.std(ddof=1))) if len(own) > 1 else None,
            "told_dex": sig(float(np.median([row["dex"] for row in own]))),
            "cpu_s": sig(float(np.median([row["cpu_s"] for row in own]))),
        }
    within = [one for one in cases.values() if 1e-3 < one["median_fpp"] < 0.5 and one["std_dex"] is not None]
    return {
        "worst_std_dex": max((one["std_dex"] for one in within), default=None),
        "median_std_dex": sig(float(np.median([one["std_dex"] for one in within]))) if within else None,
        "worst_cpu_s": max(one["cpu_s"] for one in cases.values()),
        "cases": cases,
    }


def bins(number: int, tables: Path) -> Pieces:
    """One light curve of 2160 points, averaged into 216, 100, 50 and 25: a planet's or an eclipsing pair's.

    Without noise (draw 0) and with: bins wider than an ingress know less of it, and noise says how much that mattered.
    """
    chosen = [case for case in given_cases(("planet", "neighbour", "blend")) if case["neighbours"]]
    for at, case in enumerate(chosen[:: max(len(chosen) // number, 1)][:number]):
        for draw in range(NOISES + 1):
            for count in COUNTS:

                def run(case: Row = case, count: int = count, at: int = at, draw: int = draw) -> Row:
                    binned = averaged(case, oracle_case(case, tables), at, draw, count)
                    found, spent = now(lambda: validate(binned, replace(NOTHING_REQUIRED, samples=1500)))
                    return {
                        "case": case["name"],
                        "draw": draw,
                        "bins": count,
                        "fpp": found.fpp,
                        "nfpp": found.nfpp,
                        "nfpp_dex": found.nfpp_err_dex,
                        "cpu_s": spent,
                    }

                yield f"{case['name']} {draw} {count}", run
    for name in ("TOI-465, no image", "TOI-4155, no image"):
        if curve_of(SIGNALS[name], tables).exists():
            for count in COUNTS:

                def run_real(name: str = name, count: int = count) -> Row:
                    found, spent = now(
                        lambda: validate(coarser(real_case(SIGNALS[name], tables), count), NOTHING_REQUIRED)
                    )
                    return {"real": name, "bins": count, "fpp": found.fpp, "dex": found.fpp_err_dex, "cpu_s": spent}

                yield f"{name} {count}", run_real


def coarser(case: ValidationCase, count: int) -> ValidationCase:
    """Even bins of what a case has."""
    edges = np.linspace(case.phase_time.min(), case.phase_time.max(), count + 1)
    cell = np.clip(np.searchsorted(edges, case.phase_time, side="right") - 1, 0, count - 1)
    held = np.bincount(cell, minlength=count)
    used = held > 0
    mean = [np.bincount(cell, values, count)[used] / held[used] for values in (case.phase_time, case.flux)]
    err = np.sqrt(np.bincount(cell, case.flux_err**2, count)[used]) / held[used]
    width = math.hypot(case.exposure, float(edges[1] - edges[0])) if held.max() > 1 else case.exposure
    return replace(case, phase_time=mean[0], flux=mean[1], flux_err=err, exposure=width)


def averaged(case: Row, given: ValidationCase, at: int, draw: int, count: int) -> ValidationCase:
    """A new light curve for a case's star: its points are moments, so that a bin's width is all of its exposure."""
    rng = np.random.default_rng([at, 11])
    mass, radius, impact = case["star"]["mass"], case["star"]["radius"], float(rng.uniform(0, 0.8))
    orbit = Orbit(case["period"], 0.0, 4.2083 * case["period"] ** (2 / 3) * mass ** (1 / 3) / radius, impact)
    fine = (np.arange(FINE) + 0.5) * 2 * case["span"] / FINE - case["span"]
    if case["name"].startswith("planet"):
        ratio = math.sqrt(case["depth"] / given.host_share)
        lost = given.host_share * (1 - planet_light(Planet(orbit, ratio), fine, LAW))
    else:  # a pair's, as deep as the case's own dip
        pair = 1 - binary_light(DetachedBinary(orbit, float(rng.uniform(0.2, 0.7)), 0.05), fine, LAW)
        lost = case["depth"] * pair / pair.max()
    noise = case["sigma"] * math.sqrt(FINE / case["points"])
    told = np.random.default_rng([at, draw, 13]).standard_normal(FINE) if draw else np.zeros(FINE)
    cell = np.arange(FINE) * count // FINE
    held = np.bincount(cell, minlength=count)
    return replace(
        given,
        phase_time=np.bincount(cell, fine, count) / held,
        flux=np.bincount(cell, 1 - lost + noise * told, count) / held,
        flux_err=noise / np.sqrt(held),
        exposure=2 * case["span"] / count,
    )


def bins_told(rows: list[Row]) -> Row:
    def change(own: dict[int, Row], key: str, count: int) -> float:
        """In decades, from the finest bins."""
        fine, coarse = own[COUNTS[0]][key], own[count][key]
        return math.log10(coarse / fine) if fine > 1e-6 and coarse > 0 else 0.0

    curves: dict[tuple[str, int], dict[int, Row]] = {}
    folds: dict[str, Row] = {}
    for row in rows:
        if "real" in row:
            folds.setdefault(row["real"], {})[str(row["bins"])] = sig(row["fpp"])
            continue
        curves.setdefault((row["case"], row["draw"]), {})[row["bins"]] = row
    whole = {name: own for name, own in curves.items() if len(own) == len(COUNTS)}
    told: Row = {"light_curves": len(whole)}
    for key in ("nfpp", "fpp"):
        for count in COUNTS[1:]:
            dex = {name: change(own, key, count) for name, own in whole.items()}
            noisy = np.array([value for (_, draw), value in dex.items() if draw])
            told[f"{key}_{count}_bins"] = {
                "without_noise_worst_dex": sig(max(abs(value) for (_, draw), value in dex.items() if not draw)),
                "median_dex": sig(float(np.median(noisy))) if noisy.size else None,
                "std_dex": sig(float(noisy.std())) if noisy.size else None,
                "within_0.3": f"{int((np.abs(noisy) <= 0.3).sum())} of {noisy.size}",
                "worst": max(dex, key=lambda name: abs(dex[name]))[0],
                "worst_dex": sig(max(map(abs, dex.values()))),
            }
    told["fpp_of_real_light"] = folds
    told["curves"] = [
        {"case": case, "draw": draw, "nfpp": {str(n): sig(own[n]["nfpp"]) for n in COUNTS}}
        for (case, draw), own in whole.items()
    ]
    return told
