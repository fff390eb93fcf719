"""Forty cases for the false-positive engine, and what TRICERATOPS 1.1.0 says of them.

TRICERATOPS (Giacalone & Dressing 2021, AJ 161 24) is no dependency: it needs numpy below 2 and imports a GPL
package. It runs here in an environment and a process of its own, JSON in and out, every socket blocked:

    python3.11 -m venv /tmp/oracle-tri
    /tmp/oracle-tri/bin/pip install 'setuptools<81' 'numpy==1.26.4' 'scipy==1.13.1' 'pytransit==2.2.0' \\
        'pandas==2.3.3' 'lightkurve==2.6.0' 'astropy==7.2.3' 'numba==0.68.1' 'triceratops==1.1.0'
    PYTHONPATH=. python -P benchmarks/oracles/triceratops_cases.py make benchmarks/data/triceratops.json
    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 /tmp/oracle-tri/bin/python benchmarks/oracles/triceratops_cases.py \\
        run benchmarks/data/triceratops.json --draws 200000 --seeds 1 --tables ../shared/data/lightcurves/tables
    ... the same once more with --circular

``make`` draws the cases from a fixed seed with this repository's own light curves (simulation). ``run`` adds to each
case the evidence of every scenario, one figure per seed; what is there already is not computed again. Cases whose
population is a real TRILEGAL table need ``--tables``. Light curves are raw aperture flux. Their signal-to-noise is 9 to
30: beyond that the oracle's draws from the prior hit too seldom for its evidences to agree with themselves (at 15 to 60
those of STP scattered by 1 to 4 in the logarithm from seed to seed, 200,000 draws each). ``--circular`` takes the
eccentricities out of its prior: where they are in it, it draws inclinations that eclipse for one argument of periastron
and computes the light curve for another, 90 degrees from it.
"""

import argparse
import json
import math
import os
import time as clock
from pathlib import Path
from typing import Any

import numpy as np

POINTS = 60
FIELD = 0.1  # square degrees that a population stands for
COLUMNS = ("Mact", "logg", "logTe", "[M/H]", "TESS", "J", "H", "Ks")
REAL = {
    "trilegal_237101326": "TRICERATOPS-plus__237101326_TRILEGAL.csv.gz",
    "trilegal_467331291": "TRICERATOPS-plus__467331291_TRILEGAL.csv",
}
SYNTHETIC = {"sparse": (150, 1), "middle": (600, 2), "dense": (1500, 3)}  # stars, seed
# mass, radius, Teff of dwarfs
DWARFS = (
    (0.40, 0.39, 3450),
    (0.60, 0.58, 4000),
    (0.75, 0.72, 4700),
    (0.9, 0.87, 5400),
    (1.0, 1.0, 5770),
    (1.1, 1.12, 6000),
    (1.25, 1.35, 6350),
)
CURVE = ((0.05, 0.0), (0.1, 1.0), (0.2, 3.0), (0.5, 5.0), (1.0, 6.5), (2.0, 7.0))  # arcsec, magnitudes: speckles
KINDS = ("planet",) * 20 + ("binary",) * 6 + ("blend",) * 7 + ("neighbour",) * 7


def population(name: str) -> dict[str, np.ndarray]:
    """Field stars drawn from a fixed seed: a power-law of masses, some of them giants, in a thinning disc."""
    number, seed = SYNTHETIC[name]
    rng = np.random.default_rng(seed)
    mass = (0.1**-1.0 + rng.uniform(size=number) * (1.4**-1.0 - 0.1**-1.0)) ** -1.0
    giant = rng.uniform(size=number) < 0.04
    mass = np.where(giant, rng.uniform(1.0, 1.6, number), mass)
    distance = rng.gamma(3.0, 500.0, number) * np.where(mass < 0.5, 0.4, 1.0) + 30.0  # pc
    absolute = np.where(giant, rng.normal(0.8, 0.8, number), 4.2 - 10 * np.log10(mass))
    teff = np.where(giant, rng.normal(4800, 200, number), 5770 * mass**0.55)
    tess = absolute + 5 * np.log10(distance / 10)
    red = np.clip((6500 - teff) / 3000, 0.0, 1.2)  # crude colours
    return {
        "Mact": mass,
        "logg": np.where(giant, rng.normal(2.6, 0.2, number), 4.44 - 0.5 * np.log10(mass)),
        "logTe": np.log10(teff),
        "[M/H]": rng.normal(-0.2, 0.2, number),
        "TESS": tess,
        "J": tess - 0.4 - 0.6 * red,
        "H": tess - 0.6 - 1.1 * red,
        "Ks": tess - 0.65 - 1.3 * red,
    }


def make(path: Path) -> None:
    """Draw the cases."""
    from pipeline.limb_darkening import quadratic
    from pipeline.simulate.eclipses import DetachedBinary, Orbit, Planet, binary_light, planet_light
    from pipeline.types import Star

    rng = np.random.default_rng(20210124)
    cases = []
    for number, kind in enumerate(KINDS):
        mass, radius, teff = DWARFS[rng.integers(len(DWARFS))]
        tmag = float(np.round(rng.uniform(8.5, 12.5), 2))
        distance = 10 * 10 ** (0.2 * (tmag - (4.2 - 10 * math.log10(mass))))
        period = float(np.round(np.exp(rng.uniform(0.0, math.log(15.0))), 4))
        axis = 4.2083 * period ** (2 / 3) * mass ** (1 / 3) / radius
        # neighbours: separations and magnitudes; an aperture catches less of those that are far
        count = int(rng.integers(1, 4)) if kind == "neighbour" else int(rng.integers(0, 4))
        neighbours: list[dict[str, Any]] = []
        for star in range(count):
            faint = float(
                np.round(rng.uniform(0.5, 3.5) if kind == "neighbour" and star == 0 else rng.uniform(1, 7), 2)
            )
            apart = float(np.round(rng.uniform(8, 45), 1))
            neighbours.append(
                {
                    "key": f"n{star + 1}",
                    "separation_arcsec": apart,
                    "tmag": round(tmag + faint, 2),
                    "caught": round(float(np.exp(-0.5 * (apart / 30) ** 2)), 3),
                    "position_angle": float(np.round(rng.uniform(0, 360), 1)),
                }
            )
        light = [1.0] + [star["caught"] * 10 ** (-0.4 * (star["tmag"] - tmag)) for star in neighbours]
        shares = [value / sum(light) for value in light]
        law = quadratic(Star(teff=teff, logg=4.438 + math.log10(mass / radius**2))).coefficients

        def dwarf(orbit: Orbit, ratio: float, law: tuple[float, float] = law) -> Any:
            return lambda moment: planet_light(Planet(orbit, ratio), moment, law)

        def pair(orbit: Orbit, ratio: float, bright: float, law: tuple[float, float] = law) -> Any:
            return lambda moment: binary_light(DetachedBinary(orbit, ratio, bright), moment, law)

        if kind == "planet":
            earths = float(np.exp(rng.uniform(math.log(1.2), math.log(7.0))))
            impact = float(rng.uniform(0, 0.85))
            ratio = earths / 109.08 / radius
            model, share, snr = dwarf(Orbit(period, 0.0, axis, impact), ratio), shares[0], rng.uniform(9, 22)
            truth = f"{earths:.2f} Earth radii, impact {impact:.2f}, on the target"
        elif kind == "binary":
            ratio = float(rng.uniform(0.2, 0.8))
            impact = float(rng.uniform(1 - 0.3 * ratio, 1 + 0.75 * ratio))
            model, share, snr = pair(Orbit(period, 0.0, axis, impact), ratio, 0.05), shares[0], rng.uniform(12, 30)
            truth = f"grazing binary, radius ratio {ratio:.2f}, impact {impact:.2f}, on the target"
        else:
            ratio, impact = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0, 0.9))
            model, snr = pair(Orbit(period, 0.0, axis, impact), ratio, 0.05), rng.uniform(10, 25)
            share = shares[1] if kind == "neighbour" else shares[0] * float(np.exp(rng.uniform(math.log(2e-3), -2.5)))
            where = "a neighbour" if kind == "neighbour" else "an unresolved star"
            truth = f"binary on {where} of {share:.4f} of the light, radius ratio {ratio:.2f}, impact {impact:.2f}"
        duration = period / math.pi * math.asin(min(math.sqrt(max((1 + ratio) ** 2 - impact**2, 0.01)) / axis, 1.0))
        span = float(np.round(max(1.5 * duration, 0.06), 4))
        time = np.linspace(-span, span, POINTS)
        clean = 1 - share * (1 - model(time))
        depth = float(1 - clean.min())
        inside = max(float((clean < 1 - 0.3 * depth).sum()), 4.0)
        sigma = float(np.round(max(depth * math.sqrt(inside) / snr, 1e-5), 7))
        flux = clean + sigma * rng.normal(size=POINTS)
        cases.append(
            {
                "name": f"{kind}-{number:02d}",
                "truth": truth,
                "period": period,
                "exposure": 0.00139,
                "span": span,
                "points": POINTS,
                "sigma": sigma,
                "depth": round(depth, 7),
                "flux_ppm": [round(1e6 * (value - 1)) for value in flux],
                "star": {
                    "mass": mass,
                    "radius": radius,
                    "teff": teff,
                    "tmag": tmag,
                    "parallax_mas": round(1e3 / distance, 3),
                },
                "host_share": round(shares[0], 6),
                "neighbours": [
                    star | {"share": round(value, 6)} for star, value in zip(neighbours, shares[1:], strict=True)
                ],
                "population": (*SYNTHETIC, *REAL)[number % 5] if number % 4 == 0 else tuple(SYNTHETIC)[number % 3],
                "contrast": CURVE if number % 6 == 5 else None,
                "oracle": {},
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, {"oracle": "triceratops 1.1.0, parallel, dilution_corrected=False", "cases": cases})


def write(path: Path, document: dict[str, Any]) -> None:
    """One case a line, by rename."""
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in document["cases"])
    rest = json.dumps({key: value for key, value in document.items() if key != "cases"})
    partial = path.with_suffix(".partial")
    partial.write_text(f'{rest[:-1]}, "cases": [\n{cases}\n]}}\n')
    os.replace(partial, path)


def run(path: Path, draws: int, seeds: int, tables: Path | None, seconds: float, circular: bool) -> None:
    """Ask the oracle for what is missing."""
    import socket

    def closed(*_: object, **__: object) -> None:
        raise OSError("the oracle may not use the network")

    for door in ("connect", "connect_ex"):
        setattr(socket.socket, door, closed)
    import pandas
    import triceratops.marginal_likelihoods
    from triceratops.triceratops import target

    # how well each mean over the draws is known: sqrt(1 / effective - 1 / all), as the oracle does not tell it
    errors: list[float] = []
    mean = triceratops.marginal_likelihoods._log_mean_exp

    def counted(logw: np.ndarray, *, N_total: int) -> Any:
        found = mean(logw, N_total=N_total)
        share = np.exp(logw[np.isfinite(logw)] - found - math.log(N_total)) if math.isfinite(found) else np.zeros(0)
        errors.append(math.sqrt(max(float((share**2).sum()) - 1 / N_total, 0.0)) if share.size else math.inf)
        return found

    triceratops.marginal_likelihoods._log_mean_exp = counted
    if circular:
        triceratops.marginal_likelihoods.sample_ecc = lambda x, planet, P_orb: np.zeros(len(x))
    document = json.loads(path.read_text())
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "triceratops_cases"
    folder.mkdir(exist_ok=True)
    document |= {"draws": draws, "relations": relations()}
    begun = clock.process_time()
    for seed in range(1, seeds + 1):
        for case in document["cases"]:
            kept = case["oracle"].setdefault("circular" if circular else "eccentric", {})
            if str(seed) in kept or clock.process_time() - begun > seconds:
                continue
            if case["population"] in REAL:
                if tables is None:
                    continue
                stars = str(tables / REAL[case["population"]])
            else:
                stars = str(folder / f"{case['population']}.csv")
                pandas.DataFrame(population(case["population"])).to_csv(stars)
            errors.clear()
            kept[str(seed)] = ask(target, pandas, case, stars, folder, draws, seed, errors)
            print(seed, case["name"], kept[str(seed)]["fpp"], kept[str(seed)]["cpu_s"], flush=True)
            write(path, document)


def relations() -> dict[str, list[float]]:
    """The oracle's dwarfs: radius, temperature and light by mass, limb darkening by temperature."""
    from triceratops.funcs import flux_relation, stellar_relations
    from triceratops.marginal_likelihoods import ldc_T

    mass = np.round(np.geomspace(0.04, 2.8, 80), 4)
    radius, teff = stellar_relations(mass, np.full(mass.size, 99.0), np.full(mass.size, 99e3))
    light = flux_relation(mass)
    law = ldc_T[(ldc_T.Z == 0) & (ldc_T.logg == 4.5)].sort_values("Teff")
    return {
        "mass": mass.tolist(),
        "radius": np.round(radius, 4).tolist(),
        "teff": np.round(teff).tolist(),
        "magnitude": np.round(4.0 - 2.5 * np.log10(light), 4).tolist(),
        "limb_teff": law.Teff.tolist(),
        "u1": law.aLSM.tolist(),
        "u2": law.bLSM.tolist(),
    }


def ask(
    target: Any, pandas: Any, case: dict[str, Any], stars: str, folder: Path, draws: int, seed: int, errors: list[float]
) -> Any:
    """One run of the oracle."""
    star, unknown = case["star"], math.nan
    rows = [
        {
            "ID": "0",
            "Tmag": star["tmag"],
            "mass": star["mass"],
            "rad": star["radius"],
            "Teff": float(star["teff"]),
            "plx": star["parallax_mas"],
            "fluxratio": case["host_share"],
        }
    ] + [
        {
            "ID": str(number + 1),
            "Tmag": other["tmag"],
            "mass": unknown,
            "rad": unknown,
            "Teff": unknown,
            "plx": unknown,
            "fluxratio": other["share"],
        }
        for number, other in enumerate(case["neighbours"])
    ]
    table = pandas.DataFrame(rows)
    for band, colour in (("Jmag", 0.6), ("Hmag", 0.9), ("Kmag", 1.0)):
        table[band] = table["Tmag"] - colour
    table["ra"] = table["dec"] = 0.0
    needed = case["depth"] / table["fluxratio"]
    table["tdepth"] = np.where(needed <= 1, needed, 0.0)
    asked = target.__new__(target)
    asked.ID, asked.mission, asked.stars = 0, "TESS", table
    asked.trilegal_fname, asked.trilegal_url = stars, None
    curve = None
    if case["contrast"]:
        curve = str(folder / "contrast.csv")
        np.savetxt(curve, np.array(case["contrast"]), delimiter=",")
    np.random.seed(seed)  # noqa: NPY002 (the oracle draws from the global state)
    begun = clock.process_time()
    asked.calc_probs(
        np.linspace(-case["span"], case["span"], case["points"]),
        1 + 1e-6 * np.array(case["flux_ppm"], dtype=float),
        case["sigma"],
        case["period"],
        contrast_curve_file=curve,
        filt="TESS",
        N=draws,
        parallel=True,
        exptime=case["exposure"],
        nsamples=1,
        dilution_corrected=False,
        verbose=0,
    )
    names = [
        name if int(key) == 0 else f"{name} {case['neighbours'][int(key) - 1]['key']}"
        for key, name in zip(asked.probs["ID"], asked.probs["scenario"], strict=True)
    ]
    return {
        "ln_evidence": {
            name: round(float(value), 3) if math.isfinite(value) else None
            for name, value in zip(names, asked.lnZ, strict=True)
        },
        "err": {name: round(error, 3) for name, error in zip(names, errors, strict=True) if math.isfinite(error)},
        "fpp": float(f"{asked.FPP:.4g}"),
        "nfpp": float(f"{asked.NFPP:.4g}"),
        "cpu_s": round(clock.process_time() - begun, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "run"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--draws", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--circular", action="store_true", help="with the eccentricity of every orbit set to 0")
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--seconds", type=float, default=math.inf, help="of processor time, then stop")
    asked = parser.parse_args()
    if asked.what == "make":
        make(asked.file)
    else:
        run(asked.file, asked.draws, asked.seeds, asked.tables, asked.seconds, asked.circular)


if __name__ == "__main__":
    main()
