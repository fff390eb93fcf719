"""Scenario by scenario against TRICERATOPS 1.1.0, like for like and as our engine is."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.weighing.cases import NOTHING_REQUIRED, ORACLE, Pieces, Row, given_cases, oracle_case, sig
from pipeline.types import SUN_LOGG
from pipeline.validation import band_of, priors, scenarios, stars, unresolved, validate
from pipeline.validation import light as eclipses
from pipeline.validation.light import Folded
from pipeline.validation.scenarios import Field


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


def oracle(number: int, tables: Path) -> Pieces:
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
