"""Systems drawn from the engine's own priors: of those it gives a probability, so many are planets."""

import math
import time as clock
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from benchmarks.weighing.cases import NOTHING_REQUIRED, Pieces, Row, population, sig
from pipeline.types import Star
from pipeline.validation import Neighbour, ValidationCase, stars, unresolved, validate
from pipeline.validation.light import Folded
from pipeline.validation.scenarios import Field, Setting

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


def reliability(number: int, tables: Path, samples: int = 120) -> Pieces:
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
