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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from benchmarks.oracles.triceratops_cases import FIELD, REAL
from benchmarks.oracles.triceratops_cases import population as synthetic
from hunter.populations import read_contrast, read_population
from pipeline.ephemeris import phase
from pipeline.fold import fold
from pipeline.limb_darkening import quadratic
from pipeline.simulate.eclipses import DetachedBinary, Orbit, Planet, binary_light, planet_light
from pipeline.types import SUN_LOGG, CleanedLightCurve, LightCurve, Star, TransitSignal
from pipeline.validation import (
    ContrastCurve,
    MeasuredOffset,
    Neighbour,
    Population,
    ValidateSettings,
    Validation,
    ValidationCase,
    band_of,
    priors,
    scenarios,
    stars,
    unresolved,
    validate,
)
from pipeline.validation import light as eclipses
from pipeline.validation.light import Folded
from pipeline.validation.realign import realign
from pipeline.validation.scenarios import Field, Setting
from pipeline.vet import VetSettings
from pipeline.vetting import transits
from pipeline.vetting.case import Case

HERE = Path(__file__).parent
ORACLE = HERE / "data" / "triceratops.json"
FINE, COUNTS = 2160, (216, 100, 50, 25)  # points of a light curve, and the bins they are averaged into
NOISES = 5
VETO = 1.197  # of the points' sigma: a normal limit on the secondary as wide as the oracle's veto at 1.5 sigma
SUN = Star(tmag=10.5, teff=5772.0, radius=1.0, mass=1.0, ra=90.0, dec=-30.0)
LAW = quadratic(SUN).coefficients
NOTHING_REQUIRED = ValidateSettings(require=())
Row = dict[str, Any]


def now(action: Callable[[], Any]) -> tuple[Any, float]:
    """What an action returns and the processor seconds it took."""
    begun = clock.process_time()
    found = action()
    return found, clock.process_time() - begun


# --- cases


@lru_cache(maxsize=8)
def population(name: str, tables: Path) -> Population:
    if name in REAL:
        import pandas

        table = pandas.read_csv(tables / REAL[name])
        known = table[pandas.to_numeric(table["Mact"], errors="coerce").notna()]
        columns = {key: known[key].astype(float).to_numpy() for key in ("Mact", "logg", "logTe", "TESS")}
    else:
        columns = synthetic(name)
    mass, logg = columns["Mact"], columns["logg"]
    return Population(
        columns["TESS"], mass, np.sqrt(mass / 10 ** (logg - SUN_LOGG)), 10 ** columns["logTe"], FIELD, name
    )


def oracle_case(given: Row, tables: Path) -> ValidationCase:
    """One of the forty, as our engine takes it."""
    star = given["star"]
    shown = None if given["contrast"] is None else np.array(given["contrast"], dtype=float)
    return ValidationCase(
        phase_time=np.linspace(-given["span"], given["span"], given["points"]),
        flux=1 + 1e-6 * np.array(given["flux_ppm"], dtype=float),
        flux_err=np.full(given["points"], given["sigma"]),
        exposure=given["exposure"],
        period=given["period"],
        star=Star(tmag=star["tmag"], teff=float(star["teff"]), radius=star["radius"], mass=star["mass"]),
        host_share=given["host_share"],
        neighbours=tuple(
            Neighbour(one["key"], one["separation_arcsec"], one["tmag"], one["share"], place(one))
            for one in given["neighbours"]
        ),
        secondary_depth=0.0,
        secondary_err=VETO * given["sigma"],
        population=population(given["population"], tables),
        contrast=None if shown is None else ContrastCurve(shown[:, 0], shown[:, 1]),
        distance=1000 / star["parallax_mas"],
    )


def place(neighbour: Row) -> tuple[float, float]:
    """Arcsec east and north."""
    angle = math.radians(neighbour["position_angle"])
    return neighbour["separation_arcsec"] * math.sin(angle), neighbour["separation_arcsec"] * math.cos(angle)


def given_cases(kinds: Iterable[str] = ("planet", "binary", "blend", "neighbour")) -> list[Row]:
    return [case for case in json.loads(ORACLE.read_text())["cases"] if case["name"].split("-")[0] in kinds]


# --- seeds, bins, oracle, neighbours


def seeds(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
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


def bins(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
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


def told(case: Row, orbits: str = "eccentric") -> Row:
    """What the oracle says: evidences over all its seeds with their errors, the neighbours' stray factor taken off."""
    runs = list(case["oracle"][orbits].values())
    share = {one["key"]: one["share"] / case["host_share"] for one in case["neighbours"]}
    found: dict[str, float] = {}
    spread: dict[str, float] = {}
    for name in runs[0]["ln_evidence"]:
        values = np.array([-np.inf if run["ln_evidence"][name] is None else run["ln_evidence"][name] for run in runs])
        if not np.isfinite(values).any():
            continue
        top = values.max()
        z = np.exp(values - top)
        mean = float(z.mean())
        stray = math.log(share[name.split()[1]]) if " " in name else 0.0
        found[name] = top + math.log(mean) - stray
        told_err = [run["err"][name] for run in runs if name in run.get("err", {})]
        if told_err:
            spread[name] = float(np.median(told_err)) / math.sqrt(z.size)
        elif z.size > 1:
            spread[name] = float(z.std(ddof=1) / mean / math.sqrt(z.size))
    top = max(found.values())
    total = sum(math.exp(value - top) for value in found.values())
    probability = {name: math.exp(value - top) / total for name, value in found.items()}
    near = sum(value for name, value in probability.items() if " " in name)
    return {
        "ln_evidence": found,
        "spread": spread,
        "probability": probability,
        "nfpp": near,
        "fpp": 1 - sum(probability.get(name, 0.0) for name in ("TP", "PTP", "DTP")),
    }


@contextmanager
def like_for_like(case: Row, circular: bool) -> Iterator[None]:
    """Our engine with the oracle's own assumptions.

    Its dwarfs' radii, light and limb darkening; no occultations of planets, binaries refused whose second eclipse
    exceeds 1.5 sigma of a point; and what are slips there: a companion's and a background star's partner is drawn with
    the least mass of the target's; the second eclipse is computed with the orbit in radii of the other star; the light
    of a background star's partner by that of the target; the rate of companions counts its fourth decade from 100 d
    instead of 2500 d; the last point of a contrast curve bounds what lies beyond it; the eccentricities of twins are
    those of half their period; light curves are computed for 90 degrees - argument, where that argument decided what
    eclipses. ``circular`` takes all eccentricities away, as the oracle's ``--circular``.
    """
    table = {name: np.array(column) for name, column in json.loads(ORACLE.read_text())["relations"].items()}
    mass, sigma = case["star"]["mass"], case["sigma"]
    place = ["target"]
    its_hosts, its_ratio, its_rate = Field._hosts, priors.mass_ratio, priors.companion_rate
    its_light, its_eccentricity = scenarios.ln_likelihood, priors.binary_eccentricity

    def hosts(self: Field, where: Any, *given: Any) -> Any:
        place[0] = where
        found = its_hosts(self, where, *given)
        if where != "behind":
            return found
        gravity = SUN_LOGG + np.log10(found.mass / found.radius**2)
        return replace(found, ln_weight=np.where(gravity >= 3.5, found.ln_weight, -np.inf))

    def own_magnitude(of: np.ndarray, radius: np.ndarray) -> np.ndarray:
        found = stars.magnitude_of(of)
        if place[0] == "behind":
            found = found + 2.5 * np.log10(1 + 10 ** (-0.4 * (found - float(stars.magnitude_of(mass)))))
        return found

    def limb(teff: np.ndarray, _: str) -> tuple[np.ndarray, np.ndarray]:
        nearest = np.abs(table["limb_teff"][:, None] - np.ravel(teff)).argmin(axis=0)
        return table["u1"][nearest], table["u2"][nearest]

    def mass_ratio(u: np.ndarray, of: np.ndarray, *given: Any) -> Any:
        return its_ratio(u, np.full_like(of, mass) if place[0] in ("companion", "behind") else of, *given)

    def rate(of: float, shortest: float, longest: np.ndarray) -> np.ndarray:
        m = math.log10(max(of, 1.0))
        stray = 0.078 - 0.05 * m + 0.04 * m**2 - (0.039 + 0.07 * m + 0.01 * m**2) - 0.018 * 0.7
        stray = 0.952381 * 0.7 * stray * (np.clip(np.log10(longest), 3.4, 5.5) - 3.4)
        return its_rate(of, shortest, longest) + stray * min(1.0, 0.65 + 0.35 * of)

    def room(curves: Any, of: float, distance: float) -> unresolved.Room:
        reach = np.full(unresolved.MAGNITUDES.size, priors.UNRESOLVED)
        for curve in curves:
            reach = np.interp(unresolved.MAGNITUDES, curve.contrast, curve.separation)
        longest = priors.period_at(reach * distance, of)
        return unresolved.Room(reach**2, *(rate(of, shortest, longest) for shortest in unresolved.SHORTEST))

    def veto(_: Folded, draws: Any) -> np.ndarray:
        if draws.reflecting or draws.period_factor != 1.0:
            return np.zeros(draws.ratio.size)
        apart = (draws.axis * draws.cosine)[:, None]
        depth = draws.second_light * (1 - eclipses.disc(apart, 1 / draws.ratio[:, None], draws.limb)[:, 0])
        return np.where(depth < 1.5 * sigma, 0.0, -np.inf)

    def turned(folded: Folded, draws: Any) -> np.ndarray:
        return its_light(folded, replace(draws, argument=0.5 * math.pi - draws.argument))

    changed: tuple[tuple[Any, str, Any], ...] = (
        (Field, "_hosts", hosts),
        (stars, "DWARFS", np.array([table[name] for name in ("mass", "radius", "teff", "magnitude")]).T),
        (stars, "own_magnitude", own_magnitude),
        (stars, "limb_darkening", limb),
        (priors, "mass_ratio", mass_ratio),
        (
            priors,
            "binary_eccentricity",
            lambda u, _: np.zeros_like(u) if circular else its_eccentricity(u, case["period"]),
        ),
        (scenarios, "ln_likelihood", turned),
        (unresolved.Room, "of", room),
        (eclipses, "_secondary", veto),
        *(((priors, "planet_eccentricity", np.zeros_like),) if circular else ()),
    )
    kept = [(of, name, vars(of)[name]) for of, name, _ in changed]
    for of, name, value in changed:
        setattr(of, name, value)
    try:
        yield
    finally:
        for of, name, value in kept:
            setattr(of, name, value)


def oracle(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
    """The forty cases through our engine, like for like and as it is."""
    for how in ("alike circular", "as it is", "alike eccentric"):
        circular = how.endswith("circular")
        for case in given_cases()[:number]:

            def run(case: Row = case, how: str = how, circular: bool = circular) -> Row:
                with nullcontext() if how == "as it is" else like_for_like(case, circular):
                    found = validate(oracle_case(case, tables), replace(NOTHING_REQUIRED, samples=800))
                return {
                    "case": case["name"],
                    "how": how,
                    "fpp": found.fpp,
                    "nfpp": found.nfpp,
                    "fpp_interval": found.fpp_interval,
                    "nfpp_interval": found.nfpp_interval,
                    "scenarios": {
                        one.name: [one.ln_evidence, one.ln_evidence_err, one.effective_samples]
                        for one in found.scenarios
                        if one.ln_evidence is not None
                    },
                }

            yield f"{how} {case['name']}", run


def oracle_told(rows: list[Row]) -> Row:
    return {
        how: compared_told([row for row in rows if row["how"] == how], "circular" if "circular" in how else "eccentric")
        for how in dict.fromkeys(row["how"] for row in rows)
    }


def compared_told(rows: list[Row], orbits: str) -> Row:
    """Differences of ln evidence over that of the target's planet, where the oracle gives a scenario over 1e-4."""
    cases = {case["name"]: case for case in given_cases()}
    beyond, other_band, all_of_them = [], [], []
    kinds: dict[str, list[float]] = {}
    for row in rows:
        theirs, ours = told(cases[row["case"]], orbits), row["scenarios"]
        # a case without any planet is compared over its likeliest scenario
        base = max(theirs["probability"], key=theirs["probability"].get)
        base = "TP" if theirs["probability"].get("TP", 0) > 1e-4 else base
        bands = band_of(theirs["fpp"], theirs["nfpp"]), band_of(row["fpp"], row["nfpp"])
        if bands[0] != bands[1]:
            other_band.append(
                {
                    "case": row["case"],
                    "bands": bands,
                    "fpp": [sig(theirs["fpp"]), sig(row["fpp"])],
                    "nfpp": [sig(theirs["nfpp"]), sig(row["nfpp"])],
                }
            )
        for name, probability in theirs["probability"].items():
            if probability < 1e-4 or name == base or base not in ours:
                continue
            mine = ours.get(name, [-math.inf, 0, 0])
            difference = mine[0] - ours[base][0] - (theirs["ln_evidence"][name] - theirs["ln_evidence"][base])
            spread = [theirs["spread"].get(one) for one in (name, base)]
            err = None if None in spread else math.hypot(*spread, mine[1], ours[base][1])
            all_of_them.append((difference, err))
            kinds.setdefault(name.split()[0], []).append(difference)
            if abs(difference) > 0.5:
                beyond.append(
                    {
                        "case": row["case"],
                        "scenario": name,
                        "over": base,
                        "difference": sig(difference),
                        "err": sig(err),
                        "oracle_probability": sig(probability),
                    }
                )
    known = [abs(difference) / err for difference, err in all_of_them if err]
    return {
        "cases": len(rows),
        "same_band": len(rows) - len(other_band),
        "compared": len(all_of_them),
        "within_half": len(all_of_them) - len(beyond),
        "median_difference": sig(float(np.median([one[0] for one in all_of_them]))),
        "errors_known": len(known),
        "within_2_errors": sum(int(one <= 2) for one in known),
        "kinds": {
            kind: {
                "compared": len(own),
                "within_half": sum(int(abs(d) <= 0.5) for d in own),
                "median": sig(float(np.median(own))),
            }
            for kind, own in sorted(kinds.items())
        },
        "other_band": other_band,
        "beyond_half": sorted(beyond, key=lambda one: -abs(one["difference"])),
    }


def neighbours(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
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


# --- reliability

SKIES = 50  # stars with their neighbours
DRAWS = 1500  # from the prior of each scenario of a sky
LEAST_SNR = 7.1  # of what is looked at, as the light curve itself shows it: a cut on data leaves odds as they are
MOST_SNR, MOST_DEPTH = 25.0, 0.02  # deep and loud ones are binaries beyond doubt: they would fill nine deciles of ten
RELIABILITY_BINS = 32


def sky(number: int) -> tuple[ValidationCase, np.random.Generator]:
    """A star, its neighbours, a period and a noise, drawn before what makes the dip is."""
    rng = np.random.default_rng([number, 77])
    mass = float(rng.uniform(0.5, 1.3))
    radius = float(stars.radius_of(np.array(mass)))
    period = float(np.exp(rng.uniform(0, math.log(15))))
    axis = 4.2083 * period ** (2 / 3) * mass ** (1 / 3) / radius
    reach = 2.2 * period / math.pi / axis  # four central transits' half durations: blends last longer
    tmag = float(rng.uniform(8, 12.5))
    near = []
    for key in range(int(rng.integers(0, 2))):
        faint = float(rng.uniform(1, 6))
        near.append((f"n{key}", float(rng.uniform(5, 40)), tmag + faint, 10 ** (-0.4 * faint)))
    total = 1 + sum(one[3] for one in near)
    time = (np.arange(RELIABILITY_BINS) + 0.5) / RELIABILITY_BINS * 2 * reach - reach
    sigma = float(np.exp(rng.uniform(math.log(6e-5), math.log(1.5e-3))))
    case = ValidationCase(
        time,
        np.ones_like(time),
        np.full(time.size, sigma),
        2 * reach / RELIABILITY_BINS,
        period,
        Star(tmag=tmag, teff=float(stars.teff_of(np.array(mass))), radius=radius, mass=mass, ra=90.0, dec=-30.0),
        1 / total,
        tuple(Neighbour(k, s, t, f / total) for k, s, t, f in near),
        0.0,
        sigma / math.sqrt(4.0),
        1.0,
        population("middle", Path()),
    )
    return case, rng


def settings_of(case: ValidationCase, folded: Folded) -> list[Setting]:
    """Every scenario of a case, with another light curve's data in place of its own."""
    assert case.star.tmag is not None
    assert case.population is not None
    distance = stars.photometric_distance(case.star)
    room = unresolved.Room.of(case.curves, case.star.mass or 1.0, distance)
    background = unresolved.Background.of(case.population, case.star.tmag)
    return list(Field(case, folded, room, background).all())


def light_of(case: ValidationCase, folded: Folded, index: int, x: np.ndarray) -> tuple[np.ndarray, float]:
    """The dip of one draw in every bin of a fold, and its depth away from the transit.

    The likelihood is a sum of squares: with all weight on one bin and no dip in the data, it tells the model there.
    """

    def ask(weight: np.ndarray, secondary: float | None) -> float:
        probe = replace(folded, weight=weight, dip=np.zeros_like(folded.dip), secondary=secondary, secondary_err=1.0)
        return float(settings_of(case, probe)[index].ln_likelihood(x[None, :])[0])

    nothing = np.zeros_like(folded.weight)
    prior = ask(nothing, None)
    bins_ = np.array([math.sqrt(max(2 * (prior - ask(row, None)), 0.0)) for row in np.eye(folded.weight.size)])
    return bins_, math.sqrt(max(2 * (prior - ask(nothing, 0.0)), 0.0))


def box_snr(dip: np.ndarray, weight: np.ndarray) -> float:
    """Of the best box around the middle: what a search would see."""
    return float((np.cumsum(weight * dip) / np.sqrt(np.cumsum(weight))).max())


def reliability(number: int, tables: Path, samples: int = 120) -> Iterable[tuple[str, Callable[[], Row]]]:
    """Systems of a sky drawn from the prior until some make a dip that would be looked at."""
    for at in range(SKIES):

        def run(at: int = at) -> Row:
            case, rng = sky(at)
            # proposals look around a depth: any will do, as what a draw is worth goes with it
            white = float(case.flux_err[0])
            folded = replace(Folded.of(case), secondary=None, depth=8 * white, depth_err=16 * white)
            dark = replace(folded, dip=np.zeros_like(folded.dip))
            scenarios = settings_of(case, replace(dark, weight=np.zeros_like(folded.weight)))
            draws = [rng.standard_normal((DRAWS, one.dimensions)) for one in scenarios]
            prior = np.array([one.ln_likelihood(x) for one, x in zip(scenarios, draws, strict=True)]).ravel()
            weighed = settings_of(case, dark)
            there = np.array([one.ln_likelihood(x) for one, x in zip(weighed, draws, strict=True)]).ravel()
            with np.errstate(invalid="ignore"):
                snr = np.sqrt(np.maximum(2 * (prior - there), 0.0))
            share = np.where(np.isfinite(prior) & (snr > LEAST_SNR - 3.5) & (snr < MOST_SNR + 5), np.exp(prior), 0.0)
            share = share / share.sum()
            found: list[list[Any]] = []
            spent, tried = 0.0, 0
            err = folded.weight**-0.5
            while len(found) < number // SKIES and tried < 2000:
                tried += 1
                index, one = divmod(int(rng.choice(share.size, p=share)), DRAWS)
                model, second = light_of(case, folded, index, draws[index][one])
                if scenarios[index].kind in ("planet", "stp", "btp", "ntp"):  # the albedos it sums over, mean square
                    second *= rng.choice([0, 0.25, 0.5, 0.75, 1.0]) / math.sqrt(0.375)
                dip = model + err * rng.standard_normal(err.size)
                assert case.secondary_err is not None
                second += case.secondary_err * rng.standard_normal()
                if not LEAST_SNR < box_snr(dip, folded.weight) < MOST_SNR or dip.max() > MOST_DEPTH:
                    continue
                seen = replace(
                    case,
                    phase_time=folded.since,
                    flux=1 - dip,
                    flux_err=err,
                    exposure=float(folded.width[0]),
                    secondary_depth=second,
                )
                settings = replace(NOTHING_REQUIRED, samples=samples, seed=1000 * at + tried)
                begun = clock.process_time()
                result = validate(seen, settings)
                spent += clock.process_time() - begun
                if result.fpp is not None:
                    found.append([result.fpp, scenarios[index].kind, scenarios[index].name, result.fpp_err_dex])
            return {"sky": at, "tried": tried, "systems": found, "cpu_s": spent}

        yield f"sky {at}", run


def reliability_told(rows: list[Row]) -> Row:
    systems = [system for row in rows for system in row["systems"]]
    fpp = np.array([one[0] for one in systems])
    planet = np.array([one[1] == "planet" for one in systems])
    edges = np.append(np.arange(10) / 10, 1.0 + 1e-9)
    deciles = []
    for part in range(10):
        own = (fpp >= edges[part]) & (fpp < edges[part + 1])
        if not own.any():
            continue
        good, all_ = int(planet[own].sum()), int(own.sum())
        low = float(beta.ppf(0.025, good, all_ - good + 1)) if good else 0.0
        high = float(beta.ppf(0.975, good + 1, all_ - good)) if good < all_ else 1.0
        expected = float(np.mean(1 - fpp[own]))
        deciles.append(
            {
                "systems": all_,
                "planets": good,
                "expected_share": sig(expected),
                "share": sig(good / all_),
                "band": [sig(low), sig(high)],
                "inside": bool(low <= expected <= high),
            }
        )
    return {
        "systems": len(systems),
        "planets": int(planet.sum()),
        "skies": len(rows),
        "deciles_inside": sum(d["inside"] for d in deciles),
        "mean_probability": sig(float(np.mean(1 - fpp))),
        "share_of_planets": sig(float(planet.mean())),
        "cpu_s_a_system": sig(sum(row["cpu_s"] for row in rows) / max(len(systems), 1)),
        "deciles": deciles,
    }


# --- transits that do not keep time

DAYS, MINUTES = 54.0, 10.0
SAMPLES = 600  # a third of the seconds of the default, errors of 0.05 dex instead of 0.02
RED = 0.3  # of the white noise of a cadence, correlated over six hours


def red_noise(time: np.ndarray, hours: float, rng: np.random.Generator) -> np.ndarray:
    keep = np.exp(-np.diff(time) * 24 / hours)
    kick = rng.standard_normal(time.size)
    for i in range(1, time.size):
        kick[i] = keep[i - 1] * kick[i - 1] + math.sqrt(1 - keep[i - 1] ** 2) * kick[i]
    return kick


def lateness(kind: str, cycle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of unit semi-amplitude."""
    x = cycle - cycle.min()
    if kind == "parabola":
        u = 2 * x / max(x.max(), 1) - 1
        return np.asarray(2 * (u**2 - 0.5))
    if kind == "random":
        each = rng.standard_normal(int(x.max()) + 1)
        return np.asarray(each[x.astype(int)] / math.sqrt(2))
    return np.asarray(np.sin(2 * math.pi * x / rng.uniform(5, 25) + rng.uniform(0, 2 * math.pi)))


def observed(
    rng: np.random.Generator,
    light: Callable[[np.ndarray], np.ndarray],
    period: float,
    duration: float,
    snr: float,
    late: Callable[[np.ndarray], np.ndarray],
) -> tuple[Case, float]:
    """Two sectors of a dip that comes late, its fold as the chain sees it, and the noise of a cadence."""
    time = 1325 + np.arange(0, DAYS, MINUTES / 1440)
    time = time[np.abs((time - 1325) % 27 - 13.5) > 0.55]
    epoch = 1325 + rng.uniform(0.1, 0.9) * period
    cycle = np.floor((time - epoch) / period + 0.5)
    dip = 1 - light(time - epoch - late(cycle))
    inside = duration / (MINUTES / 1440)
    depth = float(dip.max())
    hours = 24 * duration
    red_factor = math.sqrt(1 + RED**2 * inside / (1 + hours / 12))
    white = depth * math.sqrt(inside) / snr / red_factor
    flux = 1 - dip + white * (rng.standard_normal(time.size) + RED * red_noise(time, 6.0, rng))
    curve = LightCurve(time, flux / np.median(flux), np.full(time.size, white))
    blank = np.full(time.size, np.nan)
    segment = ((time - 1325) // 13.5).astype(np.int64)
    cleaned = CleanedLightCurve(curve, curve, segment, np.full(time.size, MINUTES / 1440), blank, blank, (), {})
    signal = TransitSignal(period, epoch, 0.95 * duration, 0.8 * depth, snr * math.sqrt(DAYS / period))
    return Case(cleaned, fold(cleaned, signal), signal, SUN, VetSettings()), white


def to_validate(case: Case, time: np.ndarray, width: float) -> ValidationCase:
    """The fold of a light curve, given the times of its cadences."""
    signal, curve = case.signal, case.light_curve
    reach = min(1.5 * width, 0.4 * signal.period)
    centre = case.shape.centre if case.shape is not None and time is curve.time else 0.0
    since = phase(time - centre, signal.period, signal.epoch) * signal.period
    near = np.abs(since) < reach
    count = 96
    cell = ((since[near] + reach) / (2 * reach) * count).astype(int)
    held = np.bincount(cell, minlength=count)
    used = held > 0
    white = float(np.median(np.abs(np.diff(curve.flux)))) / 0.6745 / math.sqrt(2)
    found = case.transits
    usable = found.events.usable
    factor = math.sqrt(float(np.median(found.variance[usable] / found.events.white[usable]))) if usable.any() else 1.0
    level = float(np.median(curve.flux[(np.abs(since) > width) & (np.abs(since) < 3 * width)]))
    dip = transits.deepest_dip(found.pseudo)
    return ValidationCase(
        (np.bincount(cell, since[near], count)[used] / held[used]),
        (np.bincount(cell, curve.flux[near], count)[used] / held[used]) / level,
        factor * white / np.sqrt(held[used]),
        math.hypot(MINUTES / 1440, 2 * reach / count),
        signal.period,
        SUN,
        1.0,
        (),
        None if dip is None else dip.depth,
        None if dip is None else dip.depth_err,
        1.0 if dip is None else dip.trials,
    )


def planet_of(rng: np.random.Generator) -> tuple[Callable[[np.ndarray], np.ndarray], float, float]:
    period = float(np.exp(rng.uniform(math.log(2), math.log(6))))
    axis, impact = 4.2083 * period ** (2 / 3), float(rng.uniform(0, 0.6))
    ratio = float(rng.uniform(1.5, 5)) / 109.08
    duration = period / math.pi * math.asin(math.sqrt((1 + ratio) ** 2 - impact**2) / axis)
    return (
        lambda time: planet_light(Planet(Orbit(period, 0.0, axis, impact), ratio), time, LAW, MINUTES / 1440),
        period,
        duration,
    )


def keeping(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
    """Planets that keep time."""
    for at in range(number):

        def run(at: int = at) -> Row:
            rng = np.random.default_rng([at, 5])
            light, period, duration = planet_of(rng)
            snr = float(np.exp(rng.uniform(math.log(1.5), math.log(15))))
            case, _ = observed(rng, light, period, duration, snr, lambda cycle: 0 * cycle)
            found, spent = now(lambda: realign(case))
            return {
                "snr": snr,
                "moved": found.moved,
                "ln_odds": found.ln_odds,
                "cpu_s": spent,
                "reason": found.reason,
                "pseudo": max(found.pseudo_ln_odds, default=None),
                "deepening": found.deepening,
            }

        yield f"planet {at}", run


def keeping_told(rows: list[Row]) -> Row:
    odds = np.array([row["ln_odds"] for row in rows if row["ln_odds"] is not None])
    return {
        "planets": len(rows),
        "judged": odds.size,
        "claimed": sum(row["moved"] for row in rows),
        "highest_ln_odds": [sig(value) for value in np.sort(odds)[-5:]],
        "mean_deepening": sig(float(np.mean([row["deepening"] for row in rows if row["deepening"] is not None]))),
        "cpu_s": sig(float(np.median([row["cpu_s"] for row in rows]))),
    }


def ttv(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
    """The same planet and noise, its transits moved by 0 to 0.5 of their duration."""
    for at in range(number):
        for share in (0.0, 0.1, 0.25, 0.5):

            def run(at: int = at, share: float = share) -> Row:
                rng = np.random.default_rng([at, 6])
                light, period, duration = planet_of(rng)
                snr = float(np.exp(rng.uniform(math.log(3), math.log(12))))
                kind = ("sine", "sine", "parabola", "random")[at % 4]
                seed = int(rng.integers(1 << 30))

                def late(cycle: np.ndarray) -> np.ndarray:
                    return share * duration * lateness(kind, cycle, np.random.default_rng(seed))

                case, _ = observed(np.random.default_rng([at, 7]), light, period, duration, snr, late)
                found, spent = now(lambda: realign(case))
                quick = replace(NOTHING_REQUIRED, samples=SAMPLES)
                linear = validate(to_validate(case, case.light_curve.time, duration), quick)
                moved = validate(to_validate(case, found.time, duration), quick) if found.moved else linear
                return {
                    "planet": at,
                    "kind": kind,
                    "share": share,
                    "snr": snr,
                    "transits": int(found.cycle.size),
                    "cpu_s": spent,
                    "moved": found.moved,
                    "measured": found.share,
                    "ln_odds": found.ln_odds,
                    "fpp_linear": linear.fpp,
                    "fpp": moved.fpp,
                    "dex": moved.fpp_err_dex,
                }

            yield f"planet {at} {share}", run


def ttv_told(rows: list[Row]) -> Row:
    still = {row["planet"]: row["fpp"] for row in rows if row["share"] == 0}
    shares: dict[str, Row] = {}
    for share in sorted({row["share"] for row in rows}):
        own = [row for row in rows if row["share"] == share and still.get(row["planet"])]
        ratio = np.array([row["fpp"] / still[row["planet"]] for row in own])
        linear = np.array([row["fpp_linear"] / still[row["planet"]] for row in own])
        shares[str(share)] = {
            "planets": len(own),
            "moved": sum(row["moved"] for row in own),
            "within_3": int((np.abs(np.log(ratio)) <= math.log(3)).sum()),
            "worst": sig(float(ratio.max())),
            "median": sig(float(np.median(ratio))),
            "without_realigning_within_3": int((np.abs(np.log(linear)) <= math.log(3)).sum()),
            "without_realigning_median": sig(float(np.median(linear))),
        }
    late = [row for row in rows if row["share"] > 0]
    return {
        "shares": shares,
        "all_within_3": sum(one["within_3"] for one in shares.values()),
        "all": sum(one["planets"] for one in shares.values()),
        "late": len(late),
        "rows": [
            {key: sig(value) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ],
    }


def binaries(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
    """Grazing, detached, eccentric at half the period, blended; in step or moved by a third star."""
    for at in range(number):

        def run(at: int = at) -> Row:
            rng = np.random.default_rng([at, 8])
            kind = ("grazing", "secondary", "half", "blend")[at % 4]
            period = float(np.exp(rng.uniform(math.log(2), math.log(6))))
            axis = 4.2083 * period ** (2 / 3) * 1.4 ** (1 / 3)
            ratio = float(rng.uniform(0.25, 0.9))
            impact = (
                float(rng.uniform(1 - 0.3 * ratio, 1 + 0.6 * ratio))
                if kind == "grazing"
                else float(rng.uniform(0, 0.8))
            )
            orbit = Orbit(period, 0.0, axis, impact)
            bright = {"grazing": 0.1, "secondary": 0.4, "half": 1.0, "blend": 0.1}[kind]
            thin = float(np.exp(rng.uniform(math.log(1e-3), math.log(0.03)))) if kind == "blend" else 1.0
            binary = DetachedBinary(orbit, ratio, bright)
            chord = max((1 + ratio) ** 2 - impact**2, 0.05)
            duration = period / math.pi * math.asin(min(math.sqrt(chord) / axis, 1.0))
            found_period = period
            if kind == "half":  # two alike eclipses, the second off half a period by up to 0.4 durations
                found_period, twin = 0.5 * period, DetachedBinary(orbit, 1.0, 1.0)
                off = float(rng.uniform(0, 0.4)) * duration

                def light(time: np.ndarray) -> np.ndarray:
                    turn = np.floor(time / found_period + 0.5) % 2
                    return binary_light(twin, np.where(turn == 1, time - off, time), LAW, MINUTES / 1440)
            else:

                def light(time: np.ndarray) -> np.ndarray:
                    return 1 - thin * (1 - binary_light(binary, time, LAW, MINUTES / 1440))

            share = float(rng.choice([0.0, 0.0, 0.1, 0.25, 0.5]))
            seed = int(rng.integers(1 << 30))

            snr, noise = float(np.exp(rng.uniform(math.log(3), math.log(20)))), rng.bit_generator.state

            def seen(share: float) -> Case:
                """With the same noise, whatever the share."""
                rng.bit_generator.state = noise
                return observed(
                    rng,
                    light,
                    found_period,
                    duration,
                    snr,
                    lambda cycle: share * duration * lateness("sine", cycle, np.random.default_rng(seed)),
                )[0]

            def weighed(case: Case, time: np.ndarray) -> Validation:
                return validate(to_validate(case, time, duration), replace(NOTHING_REQUIRED, samples=SAMPLES))

            case = seen(share)
            found = realign(case)
            row: Row = {"kind": kind, "share": share, "moved": found.moved, "reason": found.reason}
            if found.moved:  # what is left as it is cannot be rescued
                moved = weighed(case, found.time)
                row |= {"fpp_moved": moved.fpp, "band_moved": moved.band, "planet_radius": moved.planet_radius}
                if moved.fpp is not None and moved.fpp < 0.5:  # nor what is a false positive in line
                    steady = seen(0.0)
                    row["fpp"] = weighed(case, case.light_curve.time).fpp
                    row["fpp_in_step"] = weighed(steady, steady.light_curve.time).fpp
            return row

        yield f"binary {at}", run


PLANETS = ("validated", "likely_planet")


def binaries_told(rows: list[Row]) -> Row:
    def rescued(row: Row) -> bool:
        return bool(row.get("fpp", 0.0) >= 0.5 > row["fpp_moved"])

    kinds = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        moved = [row for row in own if row["moved"]]
        kinds[kind] = {
            "binaries": len(own),
            "in_step": sum(row["share"] == 0 for row in own),
            "moved": len(moved),
            "moved_in_step": sum(row["share"] == 0 for row in moved),
            "false_positive_in_line": sum(row["fpp_moved"] >= 0.5 for row in moved),
            "rescued": sum(map(rescued, own)),
        }
    return {
        "binaries": len(rows),
        "rescued": sum(map(rescued, rows)),
        "rescued_with_a_planets_band": sum(rescued(row) and row["band_moved"] in PLANETS for row in rows),
        "left_as_two_eclipses": sum("twice the period" in row["reason"] for row in rows),
        "kinds": kinds,
        "those": [row for row in rows if rescued(row)],
    }


# --- real signals

# light curves folded by the authors of TRICERATOPS+ (JGB276/TRICERATOPS-plus, examples), their contrast curves and
# TRILEGAL tables; periods and stars of the papers. Where a table gives no star, one like the Sun is taken.
SIGNALS: dict[str, Row] = {
    "TOI-465, no image": {
        "curve": "TOI465_01_lightcurve.csv",
        "period": 3.836169,
        "star": Star(tmag=10.75, teff=4910.0, radius=0.76, mass=0.842, ra=32.782, dec=2.418),
        "distance": 122.0,
        "known": "WASP-156 b, a planet of 0.13 Jupiter masses (Demangeon et al. 2018)",
    },
    "TOI-4155, a star like the Sun": {
        "curve": "TOI4155_01_TESS_lightcurve.txt",
        "period": 3.320729,
        "star": Star(tmag=11.0, teff=5772.0, radius=1.0, mass=1.0),
        "contrast": "TOI4155_01_contrast_curve.csv",
        "population": "467331291_TRILEGAL.csv",
        "known": "validated by TRICERATOPS+ with FPP 1.7e-4",
    },
    "Kepler-10 b": {
        "curve": "Kepler10b_lightcurve.csv",
        "period": 0.8374907,
        "star": Star(tmag=10.4, teff=5627.0, radius=1.065, mass=0.91, ra=285.679, dec=50.241),
        "distance": 187.0,
        "band": "Kepler",
        "known": "a planet of 3.3 Earth masses (Dumusque et al. 2014)",
    },
}
SIGNALS["TOI-465"] = SIGNALS["TOI-465, no image"] | {"contrast": "TOI465_01_contrastcurve.csv"}
SIGNALS["TOI-465, the crowded field of TOI-4051"] = SIGNALS["TOI-465"] | {"population": "237101326_TRILEGAL.csv.gz"}
SIGNALS["TOI-4155, no image"] = SIGNALS["TOI-4155, a star like the Sun"] | {"contrast": None}


def curve_of(given: Row, tables: Path) -> Path:
    return tables / f"TRICERATOPS-plus__{given['curve']}"


def real_case(given: Row, tables: Path) -> ValidationCase:
    text = curve_of(given, tables).read_text().replace(",", " ")
    time, flux, err = np.array([line.split() for line in text.splitlines()], dtype=float).T
    out = np.abs(time) > 0.06
    near = {key: tables / f"TRICERATOPS-plus__{given[key]}" for key in ("contrast", "population") if given.get(key)}
    return ValidationCase(
        time,
        flux / flux[out].mean(),
        np.maximum(err, float(np.std(flux[out]))),
        exposure=0.00139,
        period=given["period"],
        star=given["star"],
        population=read_population(near["population"], FIELD) if "population" in near else None,
        contrast=read_contrast(near["contrast"]) if "contrast" in near else None,
        distance=given.get("distance"),
        band=given.get("band", "TESS"),
    )


def real(number: int, tables: Path) -> Iterable[tuple[str, Callable[[], Row]]]:
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


# --- running


def sig(value: float | None) -> float | None:
    """Three figures, so that the record stays readable."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.3g}")


RUNS: dict[str, tuple[Callable[..., Iterable[tuple[str, Callable[[], Row]]]], Callable[[list[Row]], Row], int]] = {
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
