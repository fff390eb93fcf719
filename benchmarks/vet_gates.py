"""Do the false-alarm tests let planets pass, and does each fail what it is there for?

    python benchmarks/vet_gates.py planets --number 200 --noise red    planets of MES 8 to 30: share that passes each
    python benchmarks/vet_gates.py alarms --number 40 --noise red      accidents made by hand: share that each fails
    python benchmarks/vet_gates.py searched --number 100               what the search finds in simulated stars
    python benchmarks/vet_gates.py speed                               CPU milliseconds of each test, 20,000 cadences

``planets`` also gives mean and standard deviation of each quoted sigma, and of the single and folded events away from
the transit (``ses``, ``mes``): unit normals. The noise is that of ``vet.py``; ``searched`` takes the simulated stars of
``pipeline/simulate`` through cleaning, search, fold and vetting, planets beside systematics, rotation, flares and
pulsation. All of it is simulated.
"""

import argparse
import json
import math
import time as clock
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.vet import SUN, cadences, draw_signal, equal, red_noise, scene, shape
from pipeline import vetting
from pipeline.clean import DetrendSettings, clean, detrend
from pipeline.fold import fold
from pipeline.search import search
from pipeline.simulate.population import draw_star
from pipeline.simulate.sector import SectorSettings
from pipeline.simulate.sky import Kind, observe
from pipeline.simulate.truth import true_signals
from pipeline.types import CleanedLightCurve, Finding, LightCurve, Star, TransitSignal, Verdict
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case
from pipeline.vetting.series import Series

GATES = (
    vetting.strength,
    vetting.dimming,
    vetting.uniqueness,
    vetting.single_event,
    vetting.consistency,
    vetting.chases,
    vetting.sine_wave,
    vetting.asymmetry,
    vetting.gaps,
    vetting.model_fit,
    vetting.false_alarm,
)
MES = (8.0, 30.0)
Made = tuple[CleanedLightCurve, TransitSignal]


def case_of(cleaned: CleanedLightCurve, signal: TransitSignal, star: Star = SUN) -> Case:
    return Case(cleaned, fold(cleaned, signal), signal, star, VetSettings())


def examine(case: Case) -> dict[str, Finding]:
    return {test.__name__: test(case) for test in GATES}


def summary(values: list[float]) -> dict[str, float]:
    z = np.array(values)
    return {"ran": z.size, "mean": round(float(z.mean()), 3), "std": round(float(z.std()), 3)}


def planets(number: int, noise: str, seed: int) -> dict[str, object]:
    """Planets with nothing wrong, their true signal-to-noise (red noise included) within MES."""
    status: dict[str, dict[str, int]] = {test.__name__: {} for test in GATES}
    sigmas: dict[str, list[float]] = {}
    strengths: list[float] = []
    i = 0
    while len(strengths) < number:
        rng = np.random.default_rng([seed, i, 7])
        i += 1
        wanted = float(np.exp(rng.uniform(np.log(7.0), np.log(60.0))))
        cleaned, signal = scene(rng, noise, equal, snr=wanted)
        case = case_of(cleaned, signal)
        series = case.series
        assert isinstance(series, Series)
        # the mean of the trapezoids of `vet.shape` over a duration is 0.875 of their depth
        true = 0.875 * signal.depth / series.mean(series.seen)[1]
        if not MES[0] <= true <= MES[1]:
            continue
        strengths.append(true)
        for name, finding in examine(case).items():
            tally = status[name]
            tally[str(finding.status)] = tally.get(str(finding.status), 0) + 1
            if finding.sigma is not None:
                sigmas.setdefault(name, []).append(finding.sigma)
        away = series.distance >= 1.5
        sigmas.setdefault("mes", []).extend(series.fold()[1][away][::12])
        sigmas.setdefault("ses", []).extend(series.ses[:, away][series.points[:, away] > 0][::12])
    return {
        "median_mes": round(float(np.median(strengths)), 1),
        "not_failed": {name: round(1 - tally.get("fail", 0) / number, 4) for name, tally in status.items()},
        "status": status,
        "sigma": {name: summary(values) for name, values in sigmas.items()},
    }


def made(
    flux: np.ndarray, time: np.ndarray, noise: str, rng: np.random.Generator, dropped: np.ndarray | None = None
) -> CleanedLightCurve:
    """Noise on a series, detrended; ``dropped`` cadences are missing."""
    white = 600e-6 * math.sqrt(3)
    flux = flux + white * rng.normal(size=time.size)
    if noise == "red":
        flux = flux + red_noise(time, 300e-6, 6.0, rng)
    if dropped is not None:
        time, flux = time[~dropped], flux[~dropped]
    segment = (time > 1338.5).astype(np.int64)
    flux = np.where(segment == 1, flux / np.median(flux[segment == 1]), flux / np.median(flux[segment == 0]))
    raw = LightCurve(time, flux, np.full(time.size, white))
    blank = np.full(time.size, np.nan)
    exposure = np.full(time.size, 10 / 1440)
    return CleanedLightCurve(detrend(raw, segment, DetrendSettings()), raw, segment, exposure, blank, blank, (), {})


def one_event(rng: np.random.Generator, noise: str) -> Made:
    """A single deep dip, folded with others that are only noise."""
    time, signal = cadences(), draw_signal(rng, 20.0, 600e-6 * math.sqrt(3), 10.0)
    centres = signal.epoch + np.arange(int(26 / signal.period)) * signal.period
    centres = centres[(np.abs(centres - 1338.5) > 1) & (centres > 1326) & (centres < 1351)]
    centre = float(rng.choice(centres))
    depth = signal.depth * math.sqrt(centres.size)
    here = np.abs(time - centre) < signal.period / 2
    return made(1 - depth * shape(time, signal) * here, time, noise, rng), signal


def sine(rng: np.random.Generator, noise: str) -> Made:
    """A sine wave of 0.3 to 2.5 days; its minima pass for transits."""
    time, period = cadences(), float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    epoch, amplitude = 1325.0 + rng.uniform(0, period), float(np.exp(rng.uniform(np.log(2e-3), np.log(2e-2))))
    flux = 1 - amplitude * np.cos(2 * np.pi * (time - epoch) / period)
    return made(flux, time, noise, rng), TransitSignal(period, epoch, 0.12 * period, amplitude, 20.0)


def rotation(rng: np.random.Generator, noise: str) -> Made:
    """Spots of 2 to 6 days, their first overtone a third as strong; the detrended remains pass for transits."""
    time, period = cadences(), float(rng.uniform(2.0, 4.0))
    epoch, amplitude = 1325.0 + rng.uniform(0, period), float(np.exp(rng.uniform(np.log(1e-2), np.log(5e-2))))
    angle = 2 * np.pi * (time - epoch) / period
    flux = 1 - amplitude * (np.cos(angle) + 0.3 * np.cos(2 * angle + 0.5))
    return made(flux, time, noise, rng), TransitSignal(period, epoch, 0.06 * period, 0.1 * amplitude, 15.0)


def gap_edges(rng: np.random.Generator, noise: str) -> Made:
    """Dips of 0.1 days as data begin and as they begin again after the pause: a period of 14.05 or 7.025 days."""
    time = cadences()
    depth, tau = float(rng.uniform(4e-3, 8e-3)), float(rng.uniform(0.08, 0.15))
    flux = np.ones(time.size)
    for start in (1325.0, 1339.05):
        flux -= depth * np.where(time >= start, np.exp(-np.maximum(time - start, 0) / tau), 0.0)
    return made(flux, time, noise, rng), TransitSignal(14.05, 1325.0 + 0.07, 0.14, 0.6 * depth, 12.0)


def dumps(rng: np.random.Generator, noise: str) -> Made:
    """After a dump every 2.5 days, whose cadences are missing, the flux is low and recovers within an hour or two."""
    time = cadences()
    first, depth, tau = 1325.6 + rng.uniform(0, 1), float(rng.uniform(4e-3, 1e-2)), float(rng.uniform(0.04, 0.1))
    since = (time - first) % 2.5
    flux = 1 - depth * np.exp(-since / tau)
    dropped = (time - first + 0.01) % 2.5 < 0.022
    return made(flux, time, noise, rng, dropped), TransitSignal(2.5, first + tau, 2 * tau, 0.5 * depth, 15.0)


def ramps(rng: np.random.Generator, noise: str) -> Made:
    """A sawtooth: the flux falls at once and recovers through a duration or two."""
    time, signal = cadences(), draw_signal(rng, 30.0, 600e-6 * math.sqrt(3), 10.0)
    since = (time - signal.epoch + 0.5 * signal.duration) % signal.period
    tau = float(rng.uniform(0.6, 1.2)) * signal.duration
    return made(1 - 2 * signal.depth * np.exp(-since / tau), time, noise, rng), signal


def brightenings(rng: np.random.Generator, noise: str) -> Made:
    """Brightenings every period, twice as strong as the dips beside them."""
    time, signal = cadences(), draw_signal(rng, 15.0, 600e-6 * math.sqrt(3), 10.0)
    at = float(rng.uniform(0.2, 0.8)) * signal.period
    flux = 1 - signal.depth * shape(time, signal) + 2 * signal.depth * shape(time, signal, at)
    return made(flux, time, noise, rng), signal


def third_dip(rng: np.random.Generator, noise: str) -> Made:
    """Three equal dips a period."""
    time, signal = cadences(), draw_signal(rng, 12.0, 600e-6 * math.sqrt(3), 10.0)
    flux = np.ones(time.size)
    for share, at in ((1.0, 0.0), (1.0, 0.31), (1.0, 0.64)):
        flux -= share * signal.depth * shape(time, signal, at * signal.period)
    return made(flux, time, noise, rng), signal


def uneven(rng: np.random.Generator, noise: str) -> Made:
    """A few strong dips among many weak ones."""
    time, signal = cadences(), draw_signal(rng, 20.0, 600e-6 * math.sqrt(3), 10.0)
    cycle = np.floor((time - signal.epoch) / signal.period + 0.5).astype(int)
    size = np.where(rng.permutation(cycle.max() + 2)[cycle] % 3 == 0, 2.6, 0.1)
    return made(1 - signal.depth * size * shape(time, signal), time, noise, rng), signal


def wiggles(rng: np.random.Generator, noise: str) -> Made:
    """Four dips in 26 days, with as strong a dip or brightening half a day or less from each."""
    time = cadences()
    signal = TransitSignal(6.3, 1327.2 + rng.uniform(0, 1), 0.13, 2e-3, 12.0)
    flux = 1 - signal.depth * shape(time, signal)
    for n in range(5):
        centre, sign = signal.epoch + n * signal.period, rng.choice([-1.0, 1.0])
        at = centre + rng.choice([-1, 1]) * rng.uniform(0.2, 0.4)
        flux += sign * signal.depth * (np.abs(time - at) < 0.065)
    return made(flux, time, noise, rng), signal


ALARMS: dict[str, Callable[[np.random.Generator, str], Made]] = {
    kind.__name__: kind
    for kind in (
        one_event, sine, rotation, gap_edges, dumps, ramps, brightenings, third_dip, uneven, wiggles
    )
}  # fmt: skip


def alarms(number: int, noise: str, seed: int) -> dict[str, object]:
    """The share of each kind of accident that each test fails."""
    table: dict[str, object] = {}
    for kind, make in ALARMS.items():
        failed = dict.fromkeys((test.__name__ for test in GATES), 0)
        any_failed = 0
        for i in range(number):
            found = examine(case_of(*make(np.random.default_rng([seed, i, 8]), noise)))
            for name, finding in found.items():
                failed[name] += finding.status is Verdict.FAIL
            any_failed += any(finding.status is Verdict.FAIL for finding in found.values())
        shares = {name: round(count / number, 3) for name, count in failed.items() if count}
        table[kind] = {"any": round(any_failed / number, 3), **shares}
    return table


def searched(number: int, seed: int) -> dict[str, object]:
    """What the search finds in simulated stars of each kind: how many signals, and the share that each test fails."""
    sector = SectorSettings(cadence_seconds=600.0)
    table: dict[str, object] = {}
    kinds: tuple[Kind, ...] = ("planet", "systematics", "rotation", "flaring", "pulsation")
    for kind in kinds:
        failed: dict[str, int] = {}
        signals = passed = 0
        for i in range(number):
            star = draw_star(kind, str(99_000_100_000 + i), seed, snr=(10.0, 40.0))
            observed = observe(star, sector, seed)
            cleaned = clean([observed.observation()])
            for signal in search(cleaned.flat, star=star.star).signals:
                if signal.alias_of is not None:
                    continue
                if kind == "planet" and not any(
                    abs(signal.period / true.period - 1) < 0.005 for true in true_signals(observed)
                ):
                    continue
                signals += 1
                found = examine(case_of(cleaned, signal, star.star))
                bad = [name for name, finding in found.items() if finding.status is Verdict.FAIL]
                passed += not bad
                for name in bad:
                    failed[name] = failed.get(name, 0) + 1
        shares = {name: round(count / signals, 3) for name, count in failed.items()}
        table[kind] = {"stars": number, "signals": signals, "failed_none": passed, **shares}
    return table


def speed(repeats: int = 15) -> dict[str, float]:
    """CPU milliseconds of each test of one signal in 20,000 two-minute cadences, what it shares measured apart."""
    cleaned, signal = scene(np.random.default_rng(0), "red", equal, minutes=2.0)
    views = fold(cleaned, signal)
    took: dict[str, list[float]] = {}
    for _ in range(repeats):
        case = Case(cleaned, views, signal, SUN, VetSettings())
        parts: list[tuple[str, Callable[[], object]]] = [
            ("transits", partial(getattr, case, "transits")),
            ("series", partial(getattr, case, "series")),
            *((test.__name__, partial(test, case)) for test in GATES),
        ]
        for name, part in parts:
            start = clock.process_time()
            part()
            took.setdefault(name, []).append(clock.process_time() - start)
    results = {name: round(1e3 * float(np.median(times)), 2) for name, times in took.items()}
    results["together"] = round(sum(results.values()) - results["transits"], 2)
    return {"cadences": len(cleaned.raw), **results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("planets", "alarms", "searched", "speed"))
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--noise", choices=("white", "red"), default="red")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.what == "planets":
        result: object = planets(asked.number, asked.noise, asked.seed)
    elif asked.what == "alarms":
        result = alarms(asked.number, asked.noise, asked.seed)
    elif asked.what == "searched":
        result = searched(asked.number, asked.seed)
    else:
        result = speed()
    print(json.dumps({"what": asked.what, "number": asked.number, "noise": asked.noise, "result": result}, indent=1))


if __name__ == "__main__":
    main()
