"""Measure what the search finds at equal, measured false-alarm rate, against TLS 2 and astropy's BLS.

``python -P benchmarks/sensitivity.py white --cache DIR``    white noise, one sector: recovery, same best period
``python -P benchmarks/sensitivity.py red --cache DIR``      red noise and systematics, through our cleaning
``python -P benchmarks/sensitivity.py sectors``              thirteen sectors: the period found exactly
``python -P benchmarks/sensitivity.py phases``               loss of the statistic over phase and between grid periods
``python -P benchmarks/sensitivity.py quiet --data DIR``     signals on a thousand quiet stars, and on quiet real ones
``python -P benchmarks/sensitivity.py real --data DIR --cache DIR``  planets and binaries of truth.csv, each engine
``python -P benchmarks/sensitivity.py peers --cache DIR``    only run the peers of ``white`` and ``red``, and keep that

Every part writes its block of benchmarks/sensitivity.json. The skies are simulated, but for ``real``. What the peers
found is kept in the cache by the digest of the light curve and the settings, so that our own search can be measured
again in minutes; ``--only ours`` leaves out stars whose peers are not there yet.
"""

import argparse
import csv
import hashlib
import json
import os
import platform
import sys
import time as clock
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from pipeline.clean import clean
from pipeline.periodogram.grid import make_grid, stellar_density
from pipeline.search import SearchSettings, search
from pipeline.simulate import (
    FIRST_KEY,
    Orbit,
    Planet,
    SectorSettings,
    SimulatedStar,
    Systematics,
    draw_star,
    observe,
    scaled_axis,
    star_light,
)
from pipeline.simulate.seeds import stream
from pipeline.types import Floats, LightCurve, Star

SEED = 20261121
REPORT = Path(__file__).parent / "sensitivity.json"
SHORTEST = 0.602  # days: TLS tries nothing below the Roche limit of its star, so nobody does here
RATES = (0.01, 0.05)  # false-alarm rates at which recovery is told
HARMONICS = (0.5, 2.0, 1.0 / 3.0, 3.0)
SUN = Star(radius=1.0, mass=1.0)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """One simulated star, ready for every engine, and what was put into it."""

    regime: str
    role: str  # "null", "test null" or "injection"
    number: int
    light_curve: LightCurve
    star: Star
    period: float | None = None  # days
    epoch: float | None = None  # BTJD
    duration: float | None = None  # days, first to fourth contact
    snr: float | None = None  # of the whole signal, for the noise at its duration
    shortest: float | None = None  # days; the shortest period tried, where not TLS's own

    @property
    def span(self) -> float:
        return float(self.light_curve.time[-1] - self.light_curve.time[0])

    @property
    def period_min(self) -> float:
        """The shortest period tried by all: unless told, what TLS would try on this star."""
        if self.shortest is not None:
            return self.shortest
        return SHORTEST / float(np.sqrt(stellar_density(self.star) or 1.0)) * 1.001


# ---- white noise ----------------------------------------------------------------------------------------------------


def sector_times(random: np.random.Generator, start: float, minutes: float, sectors: int = 1) -> Floats:
    """Cadences of 27-day sectors every 27.4 d, 1.2 d missing in the middle of each, 3 % lost at random."""
    pieces = []
    for sector in range(sectors):
        elapsed = np.arange(0.0, 27.0, minutes / 1440.0)
        elapsed = elapsed[(elapsed < 12.9) | (elapsed >= 14.1)]
        pieces.append(start + 27.4 * sector + elapsed)
    time = np.concatenate(pieces)
    return time[random.random(time.size) > 0.03]


def rounded_dip(time: Floats, period: float, epoch: float, duration: float, impact: float) -> Floats:
    """A transit of depth 1: slopes as long as a small planet's at this impact parameter, a rounded bottom."""
    x = np.abs((time - epoch + period / 2.0) % period - period / 2.0) / (duration / 2.0)
    ingress = min(0.5, 0.05 / (1.0 - impact**2))
    bottom = 0.8 + 0.2 * np.sqrt(np.clip(1.0 - x**2, 0.0, 1.0))
    return np.where(x < 1.0, np.clip((1.0 - x) / (2.0 * ingress), 0.0, 1.0) * bottom, 0.0)


def white_sky(
    role: str,
    number: int,
    snr: tuple[float, float] | None = None,
    *,
    regime: str = "white",
    periods: tuple[float, float] = (0.65, 12.0),
    minutes: float = 2.0,
    sectors: int = 1,
    noise: float = 1.5e-3,
) -> Sky:
    """White noise around a Sun, with a transit where ``snr`` gives the range to draw from; at least two seen."""
    random = stream(SEED, regime, role, number)
    time = sector_times(random, 1500.0, minutes, sectors)
    flux = 1.0 + noise * random.standard_normal(time.size)
    error = np.full(time.size, noise)
    if snr is None:
        return Sky(regime, role, number, LightCurve(time, flux, error), SUN)
    while True:
        period = float(np.exp(random.uniform(*np.log(periods))))
        impact = float(random.uniform(0.0, 0.85))
        duration = 13.0 / 24.0 * (period / 365.25) ** (1.0 / 3.0) * float(np.sqrt(1.0 - impact**2))
        epoch = 1500.0 + float(random.uniform(0.0, period))
        dip = rounded_dip(time, period, epoch, duration, impact)
        if np.unique(np.round((time[dip > 0.5] - epoch) / period)).size >= 2:
            break
    wanted = float(random.uniform(*snr))
    flux = flux - wanted * noise / float(np.sqrt((dip**2).sum())) * dip
    return Sky(regime, role, number, LightCurve(time, flux, error), SUN, period, epoch, duration, wanted)


# ---- red noise and systematics --------------------------------------------------------------------------------------


ROLES = [(regime, role) for regime in ("red", "rough") for role in ("null", "test null", "injection")]


def red_star(regime: str, role: str, number: int) -> SimulatedStar:
    """A dwarf without planets whose noise is red.

    ``red``: noise with a memory of 0.05 to 0.8 d and a size of 0.3 to 3 times the one-hour noise, log-uniform; of the
    usual ramps, drifts, scattered light and recoveries after dumps PDC leaves a tenth to a half. ``rough``: the
    population's "systematics" stars, with sudden steps besides.
    """
    random = stream(SEED, regime, role, number)
    key = str(FIRST_KEY + number)
    seed = int(random.integers(2**31))
    if regime == "rough":
        return draw_star("systematics", key, seed)
    size = Systematics(
        residual=float(random.uniform(0.1, 0.5)),
        red_timescale=float(np.exp(random.uniform(np.log(0.05), np.log(0.8)))),
        red_sigma=float(np.exp(random.uniform(np.log(0.3), np.log(3.0)))),
    )
    return replace(draw_star("quiet", key, seed), systematics=size)


def transit_noise(light_curve: LightCurve, shape: Floats) -> float:
    """Robust scatter, per unit of the shape's norm, of a transit's matched filter over a light curve without one.

    ``shape`` is the transit at the cadence of the light curve. White noise of sigma gives sigma; noise that is red at
    this duration gives more, which is what a signal-to-noise of 7 has to mean on a real star.
    """
    cadence = float(np.median(np.diff(light_curve.time)))
    slot = np.round((light_curve.time - light_curve.time[0]) / cadence).astype(np.int64)
    flux, seen = np.zeros(slot[-1] + 1), np.zeros(slot[-1] + 1)
    flux[slot] = light_curve.flux - light_curve.flux.mean()
    seen[slot] = 1.0
    numerator = np.convolve(flux, shape[::-1], mode="valid")
    denominator = np.convolve(seen, shape[::-1] ** 2, mode="valid")
    full = denominator > 0.7 * denominator.max()
    output = numerator[full] / np.sqrt(denominator[full])
    return 1.4826 * float(np.median(np.abs(output - np.median(output))))


def red_sky(regime: str, role: str, number: int, snr: tuple[float, float] | None = None) -> Sky:
    """A star with red noise, observed at 2 minutes, cleaned and detrended by ours; a planet where ``snr`` is given.

    The signal-to-noise is what the engines are given: the transit's own matched filter over the difference that the
    planet makes to the detrended light curve, over the scatter of that filter on the star without the planet.
    """
    star = red_star(regime, role, number)
    sector = SectorSettings()
    seed = SEED + number + 1000 * ROLES.index((regime, role))  # noise is drawn by this and the star's key alone
    flat = clean([observe(star, sector, seed).observation()]).flat
    if snr is None:
        return Sky(regime, role, number, flat, star.star)
    random = stream(SEED, regime, role, number, "planet")
    mass, radius = star.star.mass, star.star.radius
    assert mass is not None
    assert radius is not None
    start = float(flat.time[0])
    while True:
        period = float(np.exp(random.uniform(np.log(1.0), np.log(12.0))))
        impact = float(random.uniform(0.0, 0.85))
        epoch = start + float(random.uniform(0.0, period))
        orbit = Orbit(period, epoch, scaled_axis(period, mass, radius), impact)
        duration = orbit.duration(0.02)
        x = np.abs((flat.time - epoch + period / 2.0) % period - period / 2.0)
        if np.unique(np.round((flat.time[x < duration / 4.0] - epoch) / period)).size >= 2:
            break
    wanted = float(random.uniform(*snr))
    exposure = sector.cadence_seconds / 86400.0
    ratio = 0.02
    for _ in range(4):
        hosting = replace(star, planets=(Planet(orbit, ratio),))
        reach = 0.6 * orbit.duration(ratio)
        shape = 1.0 - star_light(hosting, epoch + np.arange(-reach, reach + exposure / 2.0, exposure), exposure)
        seen = clean([observe(hosting, sector, seed).observation()]).flat
        time, left, right = np.intersect1d(flat.time, seen.time, assume_unique=True, return_indices=True)
        dip = 1.0 - star_light(hosting, time, exposure)
        lost = float((dip * (flat.flux[left] - seen.flux[right])).sum()) / float(np.sqrt((dip**2).sum()))
        reached = lost / transit_noise(flat, shape)
        if abs(reached / wanted - 1.0) < 0.02:
            break
        ratio *= float(np.sqrt(np.clip(wanted / reached, 0.3, 3.0))) if reached > 0 else 2.0
    return Sky(regime, role, number, seen, star.star, period, epoch, orbit.duration(ratio), reached)


# ---- engines --------------------------------------------------------------------------------------------------------


def ours(sky: Sky, **changes: Any) -> Row:
    """Our search through its public door; the statistic is the signal-to-noise of the best peak."""
    settings = SearchSettings(period_min=sky.period_min, **changes)
    begun = clock.process_time()
    result = search(sky.light_curve, settings, sky.star)
    seconds = clock.process_time() - begun
    best = result.best
    row: Row = {"seconds": seconds, "signals": len(result.signals), "notes": list(result.notes)}
    row["coarse"] = float(result.power.max()) if result.power.size else 0.0
    if best is None:
        return row | {"period": 0.0, "snr": 0.0, "sde": 0.0, "rarity": None}
    chance = best.false_alarm_probability
    return row | {
        "period": best.period,
        "epoch": best.epoch,
        "duration": best.duration,
        "depth": best.depth,
        "snr": best.snr,
        "sde": best.sde,
        "rarity": None if chance is None else -float(np.log10(max(chance, 1e-300))),
        "n_transits": best.n_transits,
        "single_event_share": best.single_event_share,
        "template": best.template,
        "all": [(signal.period, signal.snr) for signal in result.signals],
    }


def ours_box(sky: Sky) -> Row:
    return ours(sky, templates=("box",))


def tls(sky: Sky) -> Row:
    """Transit Least Squares with its defaults, the star's mass and radius, our period range."""
    from transitleastsquares import transitleastsquares

    curve = sky.light_curve
    begun = clock.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model = transitleastsquares(curve.time, curve.flux, curve.flux_err, verbose=False)
        found = model.power(
            period_min=sky.period_min,
            period_max=sky.span / 2.0,
            R_star=sky.star.radius or 1.0,
            M_star=sky.star.mass or 1.0,
            M_star_max=max(1.0, sky.star.mass or 1.0),  # its default refuses heavier stars
            R_star_max=max(3.5, sky.star.radius or 1.0),
            use_threads=1,
            show_progress_bar=False,
            verbose=False,
        )
    seconds = clock.process_time() - begun
    pink = np.asarray(found.snr_pink_per_transit, dtype=np.float64)
    row = {
        "seconds": seconds,
        "period": float(found.period),
        "epoch": float(found.T0),
        "duration": float(found.duration),
        "depth": 1.0 - float(found.depth),
        "sde": float(found.SDE),
        "sde_raw": float(found.SDE_raw),
        "snr": float(found.snr),
        "pink": float(np.sqrt(np.nansum(np.clip(pink, 0.0, None) ** 2))),
        "n_transits": int(found.distinct_transit_count),
    }
    return {key: 0.0 if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}


def astropy_bls(sky: Sky) -> Row:
    """astropy's Box Least Squares on our own periods, at each the durations that ours would try."""
    from astropy.timeseries import BoxLeastSquares

    curve = sky.light_curve
    layout = make_grid(
        sky.span,
        sky.period_min,
        sky.span / 2.0,
        density=stellar_density(sky.star),
        cadence=float(np.median(np.diff(curve.time))),
        oversample=3.0,
        duration_ratio=1.25,
    )
    scatter = 1.4826 * float(np.median(np.abs(curve.flux - np.median(curve.flux))))
    begun = clock.process_time()
    model = BoxLeastSquares(curve.time, curve.flux, dy=scatter)
    edges = np.unique(np.concatenate([[0, layout.period.size], layout.first, layout.last]))
    period, power, epoch, duration, depth = [], [], [], [], []
    for low, high in pairwise(edges):
        tried = layout.durations[(layout.first <= low) & (layout.last >= high)]
        if tried.size == 0:
            continue
        found = model.power(layout.period[low:high], tried, oversample=10, objective="snr")
        for column, value in zip(
            (period, power, epoch, duration, depth),
            (found.period, found.power, found.transit_time, found.duration, found.depth),
            strict=True,
        ):
            column.append(np.asarray(value, dtype=np.float64))
    seconds = clock.process_time() - begun
    height = np.concatenate(power)
    top = int(np.argmax(height))
    return {
        "seconds": seconds,
        "period": float(np.concatenate(period)[top]),
        "epoch": float(np.concatenate(epoch)[top]),
        "duration": float(np.concatenate(duration)[top]),
        "depth": float(np.concatenate(depth)[top]),
        "snr": float(height[top]),
        "sde": float((height[top] - height.mean()) / height.std()),
    }


OURS: dict[str, Callable[[Sky], Row]] = {"ours": ours, "ours, box only": ours_box}
PEERS: dict[str, Callable[[Sky], Row]] = {"TLS": tls, "astropy BLS": astropy_bls}
STATISTICS = {
    "ours": ("snr", "rarity", "sde", "coarse"),
    "ours, box only": ("snr", "rarity", "sde", "coarse"),
    "TLS": ("sde", "sde_raw", "snr", "pink"),
    "astropy BLS": ("snr", "sde"),
}
PACKAGES = {"TLS": "transitleastsquares", "astropy BLS": "astropy"}


class Cache:
    """What the peers found, by star, for as long as the light curve stays the same to a hundredth of its noise."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def ask(self, name: str, sky: Sky, run: bool = True) -> Row | None:
        """The peer's answer; from the cache, else from the peer where ``run`` allows it."""
        if self.folder is None:
            return PEERS[name](sky) if run else None
        place = self.folder / f"{sky.regime} {sky.role} {sky.number}".replace(" ", "_")
        asked = [
            SEED,
            self.light_curve(place, sky.light_curve, run),
            installed(PACKAGES[name]),
            round(sky.period_min, 9),
        ]
        entry = place.with_name(f"{place.name}.{PACKAGES[name]}.json")
        if entry.exists():
            kept = json.loads(entry.read_text())
            if kept["asked"] == asked:
                answer: Row = kept["answer"]
                return answer
        if not run:
            return None
        answer = PEERS[name](sky)
        partial = entry.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"asked": asked, "answer": answer}))
        partial.replace(entry)
        return answer

    def light_curve(self, place: Path, curve: LightCurve, keep: bool) -> str:
        """The digest of the flux that was kept for a star; if it is no longer the same flux, that of the new one."""
        path = place.with_name(f"{place.name}.npy")
        scatter = float(np.median(np.abs(np.diff(curve.flux))))
        if path.exists():
            kept = np.load(path)
            if kept.shape == curve.flux.shape and np.abs(kept - curve.flux).max() < 0.01 * scatter:
                return hashlib.sha256(kept.tobytes()).hexdigest()[:24]
        if keep:
            partial = path.with_suffix(f".{os.getpid()}.npy")
            np.save(partial, curve.flux.astype(np.float32))
            partial.replace(path)
        return hashlib.sha256(curve.flux.astype(np.float32).tobytes()).hexdigest()[:24]


# ---- figures --------------------------------------------------------------------------------------------------------


def verdict(sky: Sky, row: Row) -> str:
    """Whether a period is the injected one: "exact", "harmonic" or "wrong"."""
    assert sky.period is not None
    assert sky.duration is not None
    for ratio in (1.0, *HARMONICS):
        if abs(row["period"] / (ratio * sky.period) - 1.0) * sky.span < sky.duration:
            return "exact" if ratio == 1.0 else "harmonic"
    return "wrong"


def wilson(successes: int, trials: int) -> list[float]:
    """Share, and its 95 % interval (Wilson 1927)."""
    if trials == 0:
        return [0.0, 0.0, 1.0]
    z, p = 1.96, successes / trials
    middle = (p + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    return [round(float(value), 4) for value in (p, middle - half, middle + half)]


def threshold(nulls: Floats, rate: float) -> float:
    """The statistic that a share ``rate`` of the nulls exceeds, interpolated between the nulls."""
    return float(np.quantile(nulls, 1.0 - rate))


Measured = list[tuple[Sky, dict[str, Row]]]


def statistics_of(measured: Measured) -> Iterator[tuple[str, str]]:
    """Every engine with each of its statistics that all stars have."""
    for engine in measured[0][1]:
        for statistic in STATISTICS[engine]:
            if all(rows[engine].get(statistic) is not None for _, rows in measured):
                yield engine, statistic


def values(measured: Measured, engine: str, statistic: str) -> Floats:
    return np.array([rows[engine][statistic] for _, rows in measured], dtype=np.float64)


def exact(measured: Measured, engine: str) -> np.ndarray:
    return np.array([verdict(sky, rows[engine]) == "exact" for sky, rows in measured])


def recovery(nulls: Measured, tests: Measured, injections: Measured, edges: Sequence[float]) -> Row:
    """Recovery of every engine and statistic at thresholds from the nulls, and the rate the test nulls then show."""
    snr = np.array([sky.snr for sky, _ in injections])
    table: Row = {}
    for engine, statistic in statistics_of([*nulls, *tests, *injections]):
        right, height = exact(injections, engine), values(injections, engine, statistic)
        quiet = values(nulls, engine, statistic)
        entry: Row = {
            "median_null": round(float(np.median(quiet)), 3),
            "exact_whatever_height": wilson(int(right.sum()), right.size),
        }
        kinds = [verdict(sky, rows[engine]) for sky, rows in injections]
        entry["harmonic_whatever_height"] = wilson(kinds.count("harmonic"), len(kinds))
        for rate in RATES:
            level = threshold(quiet, rate)
            found = right & (height > level)
            at: Row = {"threshold": round(level, 3), "all": wilson(int(found.sum()), found.size)}
            if tests:
                above = int((values(tests, engine, statistic) > level).sum())
                at["false_alarms_on_test_nulls"] = wilson(above, len(tests))
                pooled = threshold(values([*nulls, *tests], engine, statistic), rate)
                at["all_at_threshold_of_all_nulls"] = wilson(int((right & (height > pooled)).sum()), right.size)
            for low, high in pairwise(edges):
                inside = (snr >= low) & (snr < high)
                at[f"snr {low:g}-{high:g}"] = [*wilson(int(found[inside].sum()), int(inside.sum())), int(inside.sum())]
            entry[f"at {rate:.0%}"] = at
        table.setdefault(engine, {})[statistic] = entry
    return table


def difference(nulls: Measured, injections: Measured, first: tuple[str, str], second: tuple[str, str]) -> Row:
    """Recovery of one engine minus another's on the same stars, and its 95 % from 4,000 redrawn sets of stars."""
    random = np.random.default_rng(SEED)
    answer: Row = {}
    sides = [(values(nulls, *side), values(injections, *side), exact(injections, side[0])) for side in (first, second)]
    for rate in RATES:

        def gap(null_rows: np.ndarray, rows: np.ndarray, rate: float = rate) -> float:
            shares = [
                float((right[rows] & (height[rows] > threshold(quiet[null_rows], rate))).mean())
                for quiet, height, right in sides
            ]
            return shares[0] - shares[1]

        n, m = len(nulls), len(injections)
        drawn = [gap(random.integers(n, size=n), random.integers(m, size=m)) for _ in range(4000)]
        whole = gap(np.arange(n), np.arange(m))
        low, high = np.percentile(drawn, [2.5, 97.5])
        answer[f"at {rate:.0%}"] = [round(float(value), 4) for value in (whole, low, high)]
    return answer


def best_statistic(table: Row, engine: str, rate: float) -> str:
    """The statistic with which an engine recovers most at a rate: chosen after the fact, in its favour."""
    return max(table[engine], key=lambda statistic: table[engine][statistic][f"at {rate:.0%}"]["all"][0])


def compare(nulls: Measured, tests: Measured, injections: Measured, table: Row) -> Row:
    """Ours by signal-to-noise (and by false-alarm probability where there is one) minus each peer at its best."""
    answer: Row = {}
    everything = [*nulls, *tests]
    for statistic in ("snr", "rarity"):
        if statistic not in table["ours"]:
            continue
        for peer in PEERS:
            if peer in table:
                best = best_statistic(table, peer, RATES[0])
                answer[f"ours by {statistic} - {peer} by {best}"] = difference(
                    everything, injections, ("ours", statistic), (peer, best)
                )
    return answer


def seconds(measured: Measured) -> Row:
    return {
        engine: round(float(np.median([rows[engine]["seconds"] for _, rows in measured])), 4)
        for engine in measured[0][1]
    }


# ---- the parts ------------------------------------------------------------------------------------------------------

WHITE = (("null", 160, None), ("low", 110, (5.5, 8.5)), ("high", 90, (8.0, 15.0)))
RED = (
    ("red", "null", 220, None),
    ("red", "injection", 220, (5.0, 9.0)),
    ("red", "test null", 160, None),
    ("rough", "null", 70, None),
    ("rough", "injection", 60, (5.0, 9.0)),
    ("rough", "test null", 50, None),
)


def white_skies() -> Iterator[Sky]:
    for role, number, snr in WHITE:
        for k in range(number):
            yield white_sky(role, k, snr)


def red_skies() -> Iterator[Sky]:
    for regime, role, number, snr in RED:
        for k in range(number):
            yield red_sky(regime, role, k, snr)


def measure(skies: Iterable[Sky], cache: Cache, run: bool, engines: dict[str, Callable[[Sky], Row]]) -> Measured:
    """All engines on all stars; without ``run`` only the stars that TLS has seen, and the peers that saw them all."""
    measured: Measured = []
    for sky in skies:
        answers = {name: row for name in PEERS if (row := cache.ask(name, sky, run)) is not None}
        if "TLS" in answers:
            measured.append((sky, {name: engine(sky) for name, engine in engines.items()} | answers))
            say(f"{sky.regime} {sky.role} {sky.number}")
    say("", end="\n")
    common = set.intersection(*(set(rows) for _, rows in measured))
    return [(sky, {name: row for name, row in rows.items() if name in common}) for sky, rows in measured]


def white(asked: argparse.Namespace) -> Row:
    measured = measure(white_skies(), Cache(asked.cache), asked.only != "ours", OURS)
    nulls = [pair for pair in measured if pair[0].role == "null"]
    injections = [pair for pair in measured if pair[0].role != "null"]
    low = [pair for pair in injections if pair[0].role == "low"]
    bright = [pair for pair in injections if (pair[0].snr or 0.0) >= 8.0]
    keep(asked, "white", measured)
    same: Row = {}
    for engine in OURS:
        agree = [
            abs(rows[engine]["period"] / rows["astropy BLS"]["period"] - 1.0) * sky.span < (sky.duration or 0.0)
            for sky, rows in bright
        ]
        same[engine] = wilson(sum(agree), len(agree))
    table = recovery(nulls, [], low, (5.5, 6.5, 7.5, 8.5))
    return {
        "protocol": "white noise 1.5e-3, 2 min, 27 d less a gap of 1.2 d, 3 % lost; P 0.65-12 d log-uniform, b 0-0.85, "
        "at least two transits; periods tried from 0.602 d to half the span by all; solar star",
        "nulls": len(nulls),
        "injections_snr_5.5-8.5": len(low),
        "injections_snr_8_up": len(bright),
        "same_best_period_as_astropy_snr_8_up": same,
        "exact_snr_8_up": {engine: wilson(int(exact(bright, engine).sum()), len(bright)) for engine in (*OURS, *PEERS)},
        "recovery_snr_5.5-8.5": table,
        "difference_snr_5.5-8.5": compare(nulls, [], low, table),
        "median_cpu_seconds": seconds(measured),
    }


def red(asked: argparse.Namespace) -> Row:
    measured = measure(red_skies(), Cache(asked.cache), asked.only != "ours", {"ours": ours})
    keep(asked, "red", measured)
    answer: Row = {
        "protocol": "pipeline.simulate at 2 min, one sector, Tmag 8-12, 0.7-1.3 solar masses; red noise and "
        "systematics as benchmarks/sensitivity.py red_star says; our clean and detrend before every engine; the star's "
        "mass and radius given to every engine; P 1-12 d log-uniform, b 0-0.85, at least two transits; S/N of the "
        "detrended transit for the noise that its own matched filter measures on the same star without it",
    }
    for regimes in (("red",), ("rough",), ("red", "rough")):
        chosen = [pair for pair in measured if pair[0].regime in regimes]
        parts = {role: [p for p in chosen if p[0].role == role] for role in ("null", "test null", "injection")}
        if not parts["null"] or not parts["injection"]:
            continue
        table = recovery(parts["null"], parts["test null"], parts["injection"], (6.0, 7.0, 8.0, 9.0))
        answer[" and ".join(regimes)] = {
            **{role: len(part) for role, part in parts.items()},
            "recovery": table,
            "difference": compare(parts["null"], parts["test null"], parts["injection"], table),
        }
    answer["median_cpu_seconds"] = seconds(measured)
    return answer


def peers(asked: argparse.Namespace) -> None:
    """Fill the cache: TLS first, and all roles of a part growing alike, so that a run cut short serves too."""
    cache = Cache(asked.cache)
    queue = [("white", role, n / count, n, snr) for role, count, snr in WHITE for n in range(count)]
    queue += [(regime, role, n / count, n, snr) for regime, role, count, snr in RED for n in range(count)]
    queue.sort(key=lambda item: item[2])
    rounds = [("TLS", item) for item in queue]
    rounds += [("astropy BLS", item) for part in (True, False) for item in queue if (item[0] == "white") is part]
    for done, (name, (regime, role, _, number, snr)) in enumerate(rounds):
        sky = white_sky(role, number, snr) if regime == "white" else red_sky(regime, role, number, snr)
        cache.ask(name, sky)
        say(f"{done} of {len(rounds)}: {name} {regime} {role} {number}", end="\n" if done % 20 == 0 else "")


def keep(asked: argparse.Namespace, part: str, measured: Measured) -> None:
    """The table of single stars, beside the cache, for whoever looks into them."""
    if asked.cache is None:
        return
    rows = [
        {
            "regime": sky.regime, "role": sky.role, "number": sky.number, "period": sky.period, "epoch": sky.epoch,
            "duration": sky.duration, "snr": sky.snr, "span": sky.span, **found,
        }
        for sky, found in measured
    ]  # fmt: skip
    (asked.cache / f"stars_{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def say(text: str, end: str = "") -> None:
    if sys.stderr.isatty() or end:
        print(f"\r{text:60s}", end=end, file=sys.stderr, flush=True)


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


SECTORS = 80  # stars


def sectors(asked: argparse.Namespace) -> Row:
    """Thirteen sectors at ten minutes: ours alone, default settings, periods up to half the span."""
    kinds, right, cpu, missed, snr = [], [], [], [], []
    for number in range(asked.stars or SECTORS):
        sky = white_sky(
            "injection",
            number,
            (8.0, 15.0),
            regime="sectors",
            periods=(0.6, 28.0),
            minutes=10.0,
            sectors=13,
            noise=1.5e-3 / float(np.sqrt(5.0)),
        )
        begun = clock.process_time()
        result = search(sky.light_curve, SearchSettings(), sky.star)
        cpu.append(clock.process_time() - begun)
        best = {"period": result.best.period if result.best else 0.0}
        kinds.append(verdict(sky, best))
        right.append(any(verdict(sky, {"period": signal.period}) == "exact" for signal in result.signals))
        snr.append(result.best.snr / (sky.snr or np.nan) if result.best else 0.0)
        if kinds[-1] != "exact":
            missed.append([number, sky.snr, sky.period, best["period"], result.best.snr if result.best else 0.0])
        say(f"sectors {number}")
    say("", end="\n")
    return {
        "protocol": "13 sectors of 27 d every 27.4 d, 10 min, white noise 1.5e-3/sqrt(5), gap of 1.2 d in each, "
        "3 % lost; P 0.6-28 d log-uniform, S/N 8-15 uniform; default settings, so periods from 0.5 d to half the span",
        "injections": len(kinds),
        "exact": wilson(kinds.count("exact"), len(kinds)),
        "harmonic": wilson(kinds.count("harmonic"), len(kinds)),
        "exact_among_signals_over_the_threshold": wilson(sum(right), len(right)),
        "reported_over_injected_snr_median": round(float(np.median(snr)), 4),
        "missed [number, S/N, period, found, found S/N]": missed,
        "median_cpu_seconds": round(float(np.median(cpu)), 3),
    }


PHASES = 64
PHASE_PERIODS = (0.73, 2.31, 4.37, 6.11, 9.83)  # days, moved to the middle between two periods of the grid


def unbinned(light_curve: LightCurve, period: float, epoch: float, duration: float, template: str) -> float:
    """The least-squares signal-to-noise of a transit on the cadences themselves, for unit noise, level fitted too."""
    from pipeline.periodogram.binned import template_shape

    x = (light_curve.time - epoch + period / 2.0) % period - period / 2.0
    shape = template_shape(template, x / (duration / 2.0))
    shape = shape - shape.mean()
    return -float((shape * (light_curve.flux - light_curve.flux.mean())).sum() / np.sqrt((shape**2).sum()))


def phases(asked: argparse.Namespace) -> Row:
    """Boxes of S/N 60 over white noise, at every phase; noise and its mirror image, so that it cancels on average."""
    minutes, noise, snr = 2.0, 1e-3, 60.0
    random = stream(SEED, "phases")
    time = 1500.0 + np.arange(0.0, 27.4, minutes / 1440.0)
    grain = noise * random.standard_normal(time.size)
    error = np.full(time.size, noise)
    settings = SearchSettings()
    quiet = {sign: search(LightCurve(time, 1.0 + sign * grain, error), settings, SUN) for sign in (1.0, -1.0)}
    grid = quiet[1.0].period
    rows = []
    for wanted in PHASE_PERIODS:
        k = int(np.searchsorted(grid, wanted))
        period = float(0.5 * (grid[k - 1] + grid[k]))
        duration = 13.0 / 24.0 * (period / 365.25) ** (1.0 / 3.0) * 0.87
        for phase in range(PHASES):
            epoch = 1500.0 + period * phase / PHASES
            x = np.abs((time - epoch + period / 2.0) % period - period / 2.0)
            box = (x < duration / 2.0).astype(np.float64)
            depth = snr * noise / float(np.sqrt(((box - box.mean()) ** 2).sum()))
            reported, told, coarse, folded = [], [], [], []
            for sign in (1.0, -1.0):
                curve = LightCurve(time, 1.0 - depth * box + sign * grain, error)
                result = search(curve, settings, SUN)
                best = result.best
                if best is None or abs(best.period / period - 1.0) * 27.4 > duration:
                    reported.append(0.0)
                    coarse.append(0.0)
                    folded.append(0.0)
                    continue
                clean_curve = LightCurve(time, 1.0 - depth * box, error)
                optimum = unbinned(clean_curve, period, epoch, duration, "box")
                height = unbinned(clean_curve, best.period, best.epoch, best.duration, best.template)
                reported.append(height / optimum)
                # the noise of the depth that the search tells, in units of the true one
                scatter, swollen = (
                    float(np.interp(duration, that.durations, that.noise * np.sqrt(that.durations)))
                    / float(np.sqrt(minutes / 1440.0))
                    / noise
                    for that in (quiet[sign], result)
                )
                coarse.append(float(result.power.max()) / (snr / scatter))
                folded.append(float(result.power.max()) / (snr / swollen))
                told.append(best.snr / (snr / scatter))
            means = (float(np.mean(column)) for column in (reported, coarse, told or [0.0], folded))
            rows.append((period, phase, *means))
        say(f"phases {period:.3f} d")
    say("", end="\n")
    table = np.array(rows)

    def told_of(column: int) -> Row:
        value = table[:, column]
        by_period = {
            f"{period:.3f}": [
                round(float(value[table[:, 0] == period].mean()), 4),
                round(float(value[table[:, 0] == period].min()), 4),
            ]
            for period in np.unique(table[:, 0])
        }
        return {
            "mean": round(float(value.mean()), 4),
            "min": round(float(value.min()), 4),
            "min_at [period, phase]": [round(float(table[value.argmin(), 0]), 4), int(table[value.argmin(), 1])],
            "phase_0_mean": round(float(value[table[:, 1] == 0].mean()), 4),
            "by_period [mean, min]": by_period,
        }

    return {
        "protocol": f"boxes of S/N {snr:g}, 27.4 d at 2 min, {PHASES} phases from the first cadence on, periods midway "
        "between two of the grid; each with a noise and with its mirror image, the mean of both; 1 is the unbinned "
        "optimum, the injected box itself",
        "reported": told_of(2),
        "reported_is": "statistic of the reported period, epoch, duration and template on the cadences, noise left out",
        "coarse_spectrum": told_of(3),
        "coarse_spectrum_at_equal_noise": told_of(5),
        "reported_snr": told_of(4),
        "coarse_spectrum_and_reported_snr_are": "as told, over the injected S/N for the noise measured at that "
        "duration on the same noise without the signal; at_equal_noise is over the noise measured with the signal",
    }


def real_files(data: Path) -> Iterator[tuple[dict[str, str], LightCurve, Star]]:
    """Every file of truth.csv with a light curve, cleaned and detrended by ours."""
    from hunter.archives.folder import FolderArchive

    with open(data / "truth.csv", newline="") as file:
        for row in csv.DictReader(file):
            archive = FolderArchive(data / row["path"])
            found = next(iter(archive.targets()))
            fetched = archive.fetch(found.target, found.sources)
            cleaned = clean([archive.read(product) for product in fetched.products])
            yield row, cleaned.flat, fetched.star


QUIET = 1000


def quiet(asked: argparse.Namespace) -> Row:
    """Default clean and search on stars without anything: how many are given a signal."""
    count = asked.stars or QUIET
    heights, alarms, noted = [], [], 0
    for number in range(count):
        star = draw_star("quiet", str(FIRST_KEY + number), SEED)
        flat = clean([observe(star, SectorSettings(), SEED + number).observation()]).flat
        result = search(flat, SearchSettings(), star.star)
        heights.append(result.best.snr if result.best else 0.0)
        noted += any("refused" in note for note in result.notes)
        if result.signals:
            best = result.signals[0]
            alarms.append([number, round(best.period, 4), round(best.snr, 2), best.n_transits])
        say(f"quiet {number}: {len(alarms)}")
    say("", end="\n")
    answer: Row = {
        "protocol": "draw_star('quiet'), Tmag 8-12, one sector at 2 min with the usual systematics; default settings",
        "stars": count,
        "with_a_signal": wilson(len(alarms), count),
        "per_1000": round(1000.0 * len(alarms) / count, 2),
        "signals [number, period, S/N, transits]": alarms,
        "with_a_peak_refused": noted,
        "best_snr_quantiles [50, 95, 99, 99.9 %]": [
            round(float(v), 2) for v in np.percentile(heights, [50, 95, 99, 99.9])
        ],
    }
    if asked.data is not None:
        answer["real_none_known"] = {
            Path(row["path"]).name: {
                "signals [period, S/N]": [[round(s.period, 4), round(s.snr, 2)] for s in result.signals],
                "best": [round(result.best.period, 4), round(result.best.snr, 2)] if result.best else None,
                "notes": list(result.notes),
            }
            for row, result in (
                (row, search(flat, SearchSettings(), star))
                for row, flat, star in real_files(asked.data)
                if row["kind"] == "none_known"
            )
        }
    return answer


def same_period(found: float, true: float, kind: str) -> bool:
    """As benchmarks/truth.py grades: 1 %, a binary or a variable also at half or double its period."""
    ratios = (1.0,) if kind == "planet" else (1.0, 0.5, 2.0)
    return any(abs(found / (ratio * true) - 1.0) < 0.01 for ratio in ratios)


def real(asked: argparse.Namespace) -> Row:
    """Planets and binaries of truth.csv, each engine on the same detrended light curve."""
    if asked.data is None:
        raise SystemExit("real: --data names the folder that holds truth.csv")
    cache = Cache(asked.cache)
    files: list[Row] = []
    for number, (row, flat, star) in enumerate(real_files(asked.data)):
        if not row["period_days"]:
            continue
        sky = Sky("real", row["kind"], number, flat, star, shortest=SearchSettings().period_min)
        true, kind = float(row["period_days"]), row["kind"]
        result = search(flat, SearchSettings(), star)
        entry: Row = {"file": Path(row["path"]).name, "kind": kind, "true_period": true}
        entry["findable"] = row["single_sector_findable"]
        best = result.best
        entry["ours"] = {
            "period": best.period if best else 0.0,
            "snr": best.snr if best else 0.0,
            "found": bool(result.signals),
            "right": any(same_period(signal.period, true, kind) for signal in result.signals),
            "best_right": best is not None and same_period(best.period, true, kind),
        }
        for name, passes in (("TLS", lambda r: r["sde"] >= 7.0), ("astropy BLS", lambda r: r["snr"] >= 7.1)):
            found = cache.ask(name, sky)
            assert found is not None
            right = same_period(found["period"], true, kind)
            entry[name] = {
                "period": found["period"],
                "sde": found["sde"],
                "snr": found["snr"],
                "found": passes(found),
                "right": right and passes(found),
                "best_right": right,
            }
        files.append(entry)
        say(entry["file"])
    say("", end="\n")
    names = ("ours", *PEERS)
    sure = [entry for entry in files if entry["kind"] in ("planet", "eclipsing_binary")]
    some = [entry for entry in sure if any(entry[name]["right"] for name in PEERS)]
    best = [entry for entry in sure if any(entry[name]["best_right"] for name in PEERS)]
    return {
        "protocol": "our clean and detrend, periods from 0.5 d (TLS: from its Roche limit) to half the span; found: a "
        "signal of ours, SDE >= 7 of TLS, S/N >= 7.1 of astropy; right: 1 %, a binary also at half or double",
        "planets_and_binaries": len(sure),
        "found_and_right": {name: sum(entry[name]["right"] for entry in sure) for name in names},
        "best_period_right": {name: sum(entry[name]["best_right"] for entry in sure) for name in names},
        "found_and_right_by_a_peer_and_by_ours": [sum(entry["ours"]["right"] for entry in some), len(some)],
        "best_right_by_a_peer_and_by_ours": [sum(entry["ours"]["best_right"] for entry in best), len(best)],
        "found_by_a_peer_not_by_ours": [entry["file"] for entry in some if not entry["ours"]["right"]],
        "found_by_ours_not_by_a_peer": [e["file"] for e in sure if e["ours"]["right"] and e not in some],
        "files": files,
    }


PARTS: dict[str, Callable[[argparse.Namespace], Row]] = {
    "white": white, "red": red, "sectors": sectors, "phases": phases, "quiet": quiet, "real": real,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*PARTS, "peers"))
    parser.add_argument("--cache", type=Path, help="folder for what the peers found")
    parser.add_argument("--data", type=Path, help="folder that holds truth.csv")
    parser.add_argument("--only", choices=("ours",), help="leave out stars whose peers are not in the cache")
    parser.add_argument("--stars", type=int, help="fewer or more stars of sectors and quiet")
    parser.add_argument("--out", type=Path, default=REPORT)
    asked = parser.parse_args()
    if asked.part == "peers":
        peers(asked)
        return
    begun = clock.time()
    block = PARTS[asked.part](asked)
    packages = ("numpy", "numba", "astropy", "transitleastsquares")
    block = {
        "measured": {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread, load {os.getloadavg()[0]:.1f}",
            "python": platform.python_version(),
            **{package: installed(package) for package in packages},
            "seed": SEED,
            "command": f"python -P benchmarks/sensitivity.py {asked.part}",
            "minutes": round((clock.time() - begun) / 60.0, 1),
        },
        **block,
    }
    report = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    report[asked.part] = block
    asked.out.write_text(json.dumps({part: report[part] for part in PARTS if part in report}, indent=1) + "\n")
    print(json.dumps(block, indent=1))


if __name__ == "__main__":
    main()
