"""Transits and eclipses that do not keep time, put back in line."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.weighing.cases import LAW, NOTHING_REQUIRED, SUN, Pieces, Row, now, sig
from pipeline.ephemeris import phase
from pipeline.fold import fold
from pipeline.simulate.eclipses import DetachedBinary, Orbit, Planet, binary_light, planet_light
from pipeline.types import CleanedLightCurve, LightCurve, TransitSignal
from pipeline.validation import Validation, ValidationCase, validate
from pipeline.validation.realign import Realigned, realign
from pipeline.vet import VetSettings
from pipeline.vetting import transits
from pipeline.vetting.case import Case

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
    """Of unit semi-amplitude (the root of two times its rms) about the ephemeris that fits it best.

    A long wave is mostly another period, which the search would have found.
    """
    each, place = np.unique(cycle, return_inverse=True)
    x = each - each.min()
    if kind == "parabola":
        late = (2 * x / max(x.max(), 1) - 1) ** 2
    elif kind == "random":
        late = rng.standard_normal(int(x.max()) + 1)[x.astype(int)]
    else:
        late = np.sin(2 * math.pi * x / rng.uniform(5, 25) + rng.uniform(0, 2 * math.pi))
    late = late - np.polyval(np.polyfit(x, late, 1), x)
    return np.asarray((late / (math.sqrt(2) * late.std()))[place])


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


def to_validate(case: Case, width: float, line: Realigned | None = None) -> ValidationCase:
    """The fold of a light curve, its transits put back in line or as they came."""
    signal, curve = case.signal, case.light_curve
    reach = min(1.5 * width, 0.4 * signal.period)
    time, centre = curve.time, 0.0 if case.shape is None else case.shape.centre
    if line is not None and line.moved:
        time, centre = line.time, 0.0
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
        math.hypot(MINUTES / 1440, 2 * reach / count, 0.0 if line is None else line.blur),
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


def keeping(number: int, tables: Path) -> Pieces:
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


def ttv(number: int, tables: Path) -> Pieces:
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
                linear = validate(to_validate(case, duration), quick)
                moved = validate(to_validate(case, duration, found), quick) if found.moved else linear
                return {
                    "planet": at,
                    "kind": kind,
                    "share": share,
                    "snr": snr,
                    "transits": int(found.cycle.size),
                    "cpu_s": spent,
                    "moved": found.moved,
                    "measured": found.share,
                    "blur": found.blur / duration,
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


def binaries(number: int, tables: Path) -> Pieces:
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

            def weighed(case: Case, line: Realigned | None = None) -> Validation:
                return validate(to_validate(case, duration, line), replace(NOTHING_REQUIRED, samples=SAMPLES))

            case = seen(share)
            found = realign(case)
            row: Row = {"kind": kind, "share": share, "moved": found.moved, "reason": found.reason}
            if found.moved:  # what is left as it is cannot be rescued
                moved = weighed(case, found)
                row |= {"fpp_moved": moved.fpp, "band_moved": moved.band, "planet_radius": moved.planet_radius}
                if moved.fpp is not None and moved.fpp < 0.5:  # nor what is a false positive in line
                    steady = seen(0.0)
                    row["fpp"] = weighed(case).fpp
                    row["fpp_in_step"] = weighed(steady).fpp
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
