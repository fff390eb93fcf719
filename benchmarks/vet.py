"""Are the vetting sigmas unit normals where nothing is wrong, and do the tests find what is?

    python benchmarks/vet.py nulls --number 200 --noise red      planets in noise: nothing may be called wrong
    python benchmarks/vet.py power --number 100                  what must be called wrong
    python benchmarks/vet.py secondaries --number 500            second eclipses of S/N 7, upper limits, hot Jupiters
    python benchmarks/vet.py periods --number 300                eccentric pairs, twins and other wrong periods
    python benchmarks/vet.py shapes --number 500 [--record]      V against U; deviates of size, duration, times, sectors
    python benchmarks/vet.py speed [--record]                    CPU ms of all flux tests of a signal, 20,000 cadences
    python benchmarks/vet.py all --number 1000 --seed 20         all of these into vet.json, with fewer of the others
    python benchmarks/vet.py files ../shared/data                findings on the real light curves of truth.csv

The noise is simulated: 600 ppm in 30 minutes white, and for ``red`` 300 ppm with a correlation time of 6 hours
beside it, over a sector of 10-minute cadences with its pause. The whole chain runs: detrending, masking, folding,
vetting.
"""

import argparse
import csv
import json
import math
import os
import platform
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import kstest

from pipeline import vetting
from pipeline.clean import DetrendSettings, detrend
from pipeline.fold import fold
from pipeline.types import CleanedLightCurve, Finding, LightCurve, Product, Star, TransitSignal, Verdict
from pipeline.vet import VetSettings, vet
from pipeline.vetting import noise as noise_of
from pipeline.vetting.case import SUN_LOGG, Case
from pipeline.vetting.parity import Parities
from pipeline.vetting.secondary import scan

SIGNED = ("odd_even", "odd_even_epoch")  # the sign of the value is that of the deviate
MEAN = 0.875  # of a trapezoid's depth, over its duration, three quarters of which are flat
SUN = Star(teff=5772.0, logg=4.438, radius=1.0)
Dip = Callable[[np.ndarray, TransitSignal], np.ndarray]


def cadences(minutes: float = 10.0) -> np.ndarray:
    """A sector with a pause of 1.1 days in the middle."""
    time = 1325.0 + np.arange(0.0, 27.0, minutes / 1440)
    return time[np.abs(time - 1338.5) > 0.55]


def red_noise(time: np.ndarray, sigma: float, hours: float, rng: np.random.Generator) -> np.ndarray:
    """First-order autoregressive noise."""
    keep = np.concatenate(([0.0], np.exp(-np.diff(time) * 24 / hours)))
    kick = rng.normal(size=time.size) * np.sqrt(1 - keep**2)
    series = np.empty(time.size)
    last = 0.0
    for i in range(time.size):
        series[i] = last = keep[i] * last + kick[i]
    return sigma * series


def shape(
    time: np.ndarray, signal: TransitSignal, shift: float = 0.0, every: int = 1, flat: float = 0.75
) -> np.ndarray:
    """Unit trapezoids; ``every`` 2 leaves out odd cycles."""
    period = every * signal.period
    away = np.abs((time - signal.epoch - shift + 0.5 * period) % period - 0.5 * period)
    half = 0.5 * signal.duration
    return np.clip((half - away) / (half * (1 - flat)), 0.0, 1.0)


def draw_signal(rng: np.random.Generator, snr: float, noise: float, minutes: float) -> TransitSignal:
    """A planet: period 1.2-6 days, 0.7-1.5 times the Sun's central duration, the depth of this white-noise S/N."""
    period = float(np.exp(rng.uniform(np.log(1.2), np.log(6.0))))
    duration = 0.0756 * period ** (1 / 3) * rng.uniform(0.7, 1.5)  # of a central transit of the Sun
    in_transit = 25.9 / period * duration * 1440 / minutes
    return TransitSignal(
        period, 1325.0 + rng.uniform(0, period), float(duration), float(snr * noise / math.sqrt(in_transit)), snr
    )


def scene(
    rng: np.random.Generator, kind: str, dip: Dip, snr: float = 20.0, minutes: float = 10.0
) -> tuple[CleanedLightCurve, TransitSignal]:
    """A light curve with a dip, cleaned."""
    time = cadences(minutes)
    noise = 600e-6 * math.sqrt(30 / minutes)
    signal = draw_signal(rng, snr, noise, minutes)
    flux = 1 - dip(time, signal) + noise * rng.normal(size=time.size)
    column, row = (1e-3 * rng.normal(size=time.size) for _ in range(2))
    if kind == "red":
        flux = flux + red_noise(time, 300e-6, 6.0, rng)
        column, row = (axis + red_noise(time, 1e-3, 6.0, rng) for axis in (column, row))
    segment = (time > 1338.5).astype(np.int64)
    raw = LightCurve(time, flux, np.full(time.size, noise))
    flat = detrend(raw, segment, DetrendSettings())
    exposure = np.full(time.size, minutes / 1440)
    return CleanedLightCurve(flat, raw, segment, exposure, column, row, (), {}), signal


def examine(cleaned: CleanedLightCurve, signal: TransitSignal, star: Star = SUN) -> dict[str, Finding]:
    return {finding.test: finding for finding in vet(cleaned, fold(cleaned, signal), signal, star)}


def equal(time: np.ndarray, signal: TransitSignal) -> np.ndarray:
    return signal.depth * shape(time, signal)


def nulls(number: int, noise: str, seed: int) -> dict[str, object]:
    """Planets with nothing wrong: the sigmas of each test."""
    sigmas: dict[str, list[float]] = {}
    failed: dict[str, int] = {}
    for i in range(number):
        found = examine(*scene(np.random.default_rng([seed, i]), noise, equal))
        for name, finding in found.items():
            failed[name] = failed.get(name, 0) + (finding.status is Verdict.FAIL)
            if finding.sigma is not None and finding.value is not None:
                sign = math.copysign(1.0, finding.value) if name in SIGNED else 1.0
                sigmas.setdefault(name, []).append(sign * finding.sigma)
    report: dict[str, object] = {}
    for name, values in sigmas.items():
        z = np.array(values)
        report[name] = {
            **({"ks_p": round(float(kstest(z, "norm").pvalue), 3)} if name in SIGNED else {}),
            "ran": z.size,
            "mean": round(float(z.mean()), 3),
            "std": round(float(z.std()), 3),
            "median_abs": round(float(np.median(np.abs(z))), 3),
            "over_3": round(float(np.mean(np.abs(z) > 3)), 4),
            "failed": failed[name],
        }
    return report


def power(number: int, noise: str, seed: int) -> dict[str, object]:
    """What must be found: depths 10 % to each side of their mean at S/N 38, red noise counted."""
    snr = {"white": 54.0, "red": 64.0}[noise]  # in white noise alone; the median that the tests see is reported
    odd_even, events = [], []
    for i in range(number):

        def unequal(time: np.ndarray, signal: TransitSignal) -> np.ndarray:
            return signal.depth * (0.9 * shape(time, signal) + 0.2 * shape(time, signal, every=2))

        cleaned, signal = scene(np.random.default_rng([seed, i, 1]), noise, unequal, snr=snr)
        views = fold(cleaned, signal)
        case = Case(cleaned, views, signal, SUN, VetSettings())
        if (sigma := vetting.odd_even(case).sigma) is not None:
            odd_even.append(sigma)
            mean, err = case.transits.mean(case.transits.events.usable)
            events.append(mean / err)
    return {
        "median_snr": round(float(np.median(events)), 1),
        "odd_even_median_sigma": round(float(np.median(odd_even)), 2),
        "odd_even_failed": round(float(np.mean(np.array(odd_even) > VetSettings().odd_even_sigma)), 3),
    }


def case_of(cleaned: CleanedLightCurve, signal: TransitSignal, star: Star = SUN) -> Case:
    return Case(cleaned, fold(cleaned, signal), signal, star, VetSettings())


def secondaries(number: int, noise: str, seed: int) -> dict[str, object]:
    """Second eclipses at any phase of S/N 7 and of less, over the error that the same sky without them has there."""
    found, beyond, covered, ratios = [], [], [], []
    for i in range(number):
        rng = np.random.default_rng([seed, i, 6])
        snr = rng.uniform(20, 40)
        cleaned, signal = scene(np.random.default_rng([seed, i, 1]), noise, equal, snr=snr)
        phases = scan(case_of(cleaned, signal))
        if phases is None:
            continue
        free = phases.phase[[0, -1]]
        at, width = rng.uniform(*free), rng.uniform(0.8, 1.25)  # of the transit's duration, as eccentric ones have
        err = float(np.interp(at, phases.phase, phases.depth_err)) / math.sqrt(width)  # of a box as wide as the dip
        for strength in (7.0, rng.uniform(0, 7)):
            depth = strength * err

            def double(
                time: np.ndarray, signal: TransitSignal, at: float = at, width: float = width, depth: float = depth
            ) -> np.ndarray:
                wide = replace(signal, duration=width * signal.duration)
                return equal(time, signal) + depth / MEAN * shape(time, wide, at * signal.period)

            case = case_of(*scene(np.random.default_rng([seed, i, 1]), noise, double, snr=snr))
            after = scan(case)
            assert after is not None
            covered.append(depth * min(width, 1.0) <= float(np.interp(at, after.phase, after.depth_limit)))
            if strength == 7.0:
                finding = vetting.secondary(case)
                found.append(finding.status is Verdict.FAIL)
                beyond.append((finding.sigma or 0.0) > VetSettings().secondary_sigma)
                near = np.interp(at, after.phase, after.depth)
                ratios.append(near / depth / min(width, 1.0))
    return {
        "ran": len(found),
        "failed_at_snr_7": round(float(np.mean(found)), 3),
        "seen_at_snr_7": round(float(np.mean(beyond)), 3),
        "measured_over_true_depth": round(float(np.median(ratios)), 3),
        "limit_covers_truth": round(float(np.mean(covered)), 4),
        "hot_jupiters": hot_jupiters(number, noise, seed),
    }


def hot_jupiters(number: int, noise: str, seed: int) -> dict[str, int]:
    """Occultations of albedo below 1 and depth below a tenth, in light curves that show them: none may fail."""
    tally = {"planets": 0, "occultation_seen": 0, "failed": 0}
    for i in range(number):
        rng = np.random.default_rng([seed, i, 7])
        mass = rng.uniform(0.8, 1.4)
        radius = mass * rng.uniform(0.9, 1.4)
        density = mass / radius**3
        period = float(np.exp(rng.uniform(np.log(0.7), np.log(4.0))))
        orbit = 4.2083 * (period**2 * density) ** (1 / 3)
        ratio, impact = rng.uniform(0.07, 0.13), rng.uniform(0, 0.8)
        duration = period / np.pi * math.asin(math.sqrt((1 + ratio) ** 2 - impact**2) / orbit)
        share = rng.uniform(0.3, 1.0) / orbit**2
        if share > 0.1:
            continue
        signal = TransitSignal(period, 1325.0 + rng.uniform(0, period), duration, ratio**2, 100.0)
        time = cadences()
        white = ratio**2 * share / rng.uniform(3, 15) * math.sqrt(25.9 / period * duration * 144)
        flux = 1 - ratio**2 * (shape(time, signal) + share * shape(time, signal, 0.5 * period))
        flux = flux + white * rng.normal(size=time.size)
        if noise == "red":
            flux = flux + red_noise(time, 0.3 * white, 6.0, rng)
        case = case_of(wrap(time, flux, white), signal, Star(radius=radius, mass=mass, logg=SUN_LOGG))
        finding = vetting.secondary(case)
        tally["planets"] += 1
        tally["occultation_seen"] += (finding.sigma or 0.0) > VetSettings().secondary_sigma
        tally["failed"] += finding.status is Verdict.FAIL
    return tally


def wrap(time: np.ndarray, flux: np.ndarray, white: float, minutes: float = 10.0) -> CleanedLightCurve:
    """Detrend a made light curve, without centroids."""
    segment = (time > 1338.5).astype(np.int64)
    raw = LightCurve(time, flux, np.full(time.size, white))
    blank = np.full(time.size, np.nan)
    exposure = np.full(time.size, minutes / 1440)
    return CleanedLightCurve(detrend(raw, segment, DetrendSettings()), raw, segment, exposure, blank, blank, (), {})


def twins(eccentricity: float, turn: float) -> Dip:
    """Eclipses of one depth at half the binary's period: every second one late, and of another duration."""

    def dip(time: np.ndarray, signal: TransitSignal) -> np.ndarray:
        along, across = eccentricity * math.cos(turn), eccentricity * math.sin(turn)
        late = 4 / math.pi * along * signal.period
        first = replace(signal, duration=signal.duration * (1 - across))
        second = replace(signal, duration=signal.duration * (1 + across))
        return signal.depth * (shape(time, first, every=2) + shape(time, second, signal.period + late, every=2))

    return dip


def periods(number: int, noise: str, seed: int) -> dict[str, object]:
    """Signals at a wrong period: e = 0.1 pairs, equal eclipses of any eccentricity, and P/3, P/2, 2P, 3P."""
    report: dict[str, object] = {}
    epochs = []
    for i in range(20):
        turn = np.random.default_rng([seed, i, 8]).uniform(0, 2 * np.pi)
        found = examine(*scene(np.random.default_rng([seed, i, 9]), noise, twins(0.1, turn), snr=38))
        epochs.append(found["odd_even_epoch"].status is Verdict.FAIL)
    report["eccentric_pairs_of_20"] = int(sum(epochs))
    told: dict[str, list[bool]] = {"told_5": [], "told_7": [], "hidden": []}
    for i in range(number):
        rng = np.random.default_rng([seed, i, 10])
        eccentricity, turn = float(np.exp(rng.uniform(np.log(1e-3), np.log(0.3)))), rng.uniform(0, 2 * np.pi)
        case = case_of(*scene(np.random.default_rng([seed, i, 11]), noise, twins(eccentricity, turn), snr=38))
        finding = vetting.alias(case)
        if not isinstance(case.parities, Parities) or finding.status is Verdict.NOT_RUN:
            continue
        late = 4 / math.pi * eccentricity * math.cos(turn) * case.signal.period / case.parities.time.err
        wide = 0.0 if case.parities.width is None else 2 * eccentricity * math.sin(turn) / case.parities.width.err
        clear = math.hypot(late, wide)
        kind = "told_7" if clear > 7 else "told_5" if clear > 5 else "hidden" if clear < 1 else ""
        if kind:
            told[kind].append(finding.status is Verdict.FAIL)
    report["twins"] = {name: {"number": len(said), "failed": int(sum(said))} for name, said in told.items()}
    for factor, snr in ((1 / 3, 20.0), (1 / 2, 20.0), (2.0, 30.0), (3.0, 40.0)):
        parts = round(1 / factor) if factor < 1 else 1

        def wrong(time: np.ndarray, signal: TransitSignal, parts: int = parts, factor: float = factor) -> np.ndarray:
            shifts = [part / parts * signal.period for part in range(parts)]
            every = max(round(factor), 1)
            return signal.depth * np.sum([shape(time, signal, shift, every) for shift in shifts], axis=0)

        results = []
        for i in range(number // 4):
            finding = vetting.alias(case_of(*scene(np.random.default_rng([seed, i, 12]), noise, wrong, snr=snr)))
            if finding.status is not Verdict.NOT_RUN:
                results.append(finding.status is Verdict.FAIL and finding.value == factor)
        report[f"factor_{factor:.2g}"] = {"ran": len(results), "named": int(sum(results))}
    return report


def disc_shape(time: np.ndarray, signal: TransitSignal, ratio: float, impact: float, orbit: float) -> np.ndarray:
    """Light lost behind a disc, quadratic limb darkening (0.35, 0.2), by summing rings of the star."""
    angle = 2 * np.pi * (time - signal.epoch) / signal.period
    distance = np.where(np.cos(angle) > 0, np.hypot(orbit * np.sin(angle), impact * np.cos(angle)), 9.0)
    rings = (np.arange(200) + 0.5) / 200
    cosine = np.sqrt(1 - rings**2)
    light = 1 - 0.35 * (1 - cosine) - 0.2 * (1 - cosine) ** 2
    near = distance < 1 + ratio
    d = np.maximum(distance[near, None], 1e-9)
    cover = np.clip((d**2 + rings**2 - ratio**2) / (2 * d * rings), -1, 1)
    lost = (rings * light * np.arccos(cover) / np.pi).sum(axis=1) / (rings * light).sum()
    dip = np.zeros(time.size)
    dip[near] = lost
    return dip


def observe(
    rng: np.random.Generator,
    noise: str,
    ratio: float,
    impact: float,
    snr: float,
    minutes: float = 10.0,
    late: Callable[[int], float] = lambda cycle: 0.0,
    sectors: tuple[float, ...] = (1.0,),
) -> tuple[CleanedLightCurve, TransitSignal, float]:
    """A planet on a circular orbit of a star like the Sun, as a box search reports it, and its true duration.

    ``late`` are the days by which a cycle comes late, in durations; ``sectors`` the share of the depth each one shows.
    """
    period = float(np.exp(rng.uniform(np.log(1.2), np.log(6.0))))
    orbit = 4.2083 * period ** (2 / 3)
    duration = period / np.pi * math.asin(min(math.sqrt((1 + ratio) ** 2 - impact**2) / orbit, 1.0))
    epoch = 1325.0 + rng.uniform(0, period)
    one = cadences(minutes)
    time = np.concatenate([one + 27.4 * i for i in range(len(sectors))])
    sector = np.repeat(np.arange(len(sectors)), one.size)
    cycle = np.round((time - epoch) / period).astype(int)
    delay = duration * np.array([late(i) for i in range(cycle.min(), cycle.max() + 1)])[cycle - cycle.min()]
    moments = (np.arange(5) - 2) / 5 * minutes / 1440  # of an exposure
    sharp = TransitSignal(period, epoch, duration, 0.01, snr)
    dip = np.mean([disc_shape(time - delay + moment, sharp, ratio, impact, orbit) for moment in moments], axis=0)
    white = float(np.sqrt((dip**2).sum())) / math.sqrt(len(sectors)) / snr  # of a sector
    flux = 1 - dip * np.array(sectors)[sector] + white * rng.normal(size=time.size)
    if noise == "red":  # half of the white noise in 30 minutes
        flux = flux + red_noise(time, 0.5 * white * math.sqrt(minutes / 30), 6.0, rng)
    segment = np.cumsum(np.concatenate(([0], np.diff(time) > 0.3))).astype(np.int64)
    raw = LightCurve(time, flux, np.full(time.size, white))
    blank = np.full(time.size, np.nan)
    products = tuple(Product("", "", "TESS", "SPOC", "PDCSAP_FLUX", sector=i + 1) for i in range(len(sectors)))
    cleaned = CleanedLightCurve(
        detrend(raw, segment, DetrendSettings()),
        raw,
        segment,
        np.full(time.size, minutes / 1440),
        blank,
        blank,
        products,
        {},
        tuple(i // 2 for i in range(2 * len(sectors))),
    )
    # what a box search reports is shorter than first to fourth contact, and its ephemeris is not exact
    err, cycles = 0.25 * duration / snr, np.ptp(time) / period
    return (
        cleaned,
        TransitSignal(
            period + float(rng.normal(0, 2 * err / cycles)),
            epoch + float(rng.normal(0, 2 * err)),
            float(0.85 * duration * np.exp(rng.normal(0, 0.1))),
            float(dip.max()),
            snr,
        ),
        duration,
    )


def summary(values: list[float]) -> dict[str, float]:
    """How far from a unit normal, and the tail."""
    z = np.array(values)
    ordered = np.sort(z)
    expected = np.array([noise_of.NORMAL.cdf(x) for x in ordered])
    steps = np.arange(z.size + 1) / z.size
    distance = float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))
    root = math.sqrt(z.size) + 0.12 + 0.11 / math.sqrt(z.size)
    p = 2 * sum((-1) ** (k - 1) * math.exp(-2 * (k * root * distance) ** 2) for k in range(1, 101))
    return {
        "ran": z.size,
        "mean": round(float(z.mean()), 3),
        "std": round(float(z.std()), 3),
        "ks_p": round(min(max(p, 0.0), 1.0), 4),
        "over_3": round(float(np.mean(z > 3)), 4),
    }


def shapes(number: int, noise: str, seed: int) -> dict[str, object]:
    """Shape and times: V against U, and whether size, duration, times and sectors are as sure as they say."""
    return {
        "v_shape": v_and_u(number, noise, seed),
        "nulls": keeping_time(number, noise, seed),
        "late_0.1": late(number // 4, noise, seed, 0.1),
        "late_0.5": late(number // 4, noise, seed, 0.5),
        "sectors_alike": sectors(number, noise, seed, 1.0),
        "sectors_30_percent_apart": sectors(number // 4, noise, seed, 0.7),
    }


def keeping_time(number: int, noise: str, seed: int) -> dict[str, object]:
    """Planets of any impact parameter on circular orbits, catalogue errors included: deviates that should be normal."""
    settings = VetSettings()
    sigmas: dict[str, list[float]] = {"duration_density": [], "timing": [], "radius": []}
    failed: dict[str, int] = {"duration_density": 0, "timing": 0, "size": 0, "v_shape": 0}
    not_run: dict[str, int] = dict.fromkeys(failed, 0)
    for i in range(number):
        rng = np.random.default_rng([seed, i, 6])
        ratio = float(np.exp(rng.uniform(np.log(0.02), np.log(0.15))))
        cleaned, signal, lasts = observe(rng, noise, ratio, (1 + ratio) * rng.uniform(), float(rng.uniform(12, 60)))
        if lasts < 3 * cleaned.exposure[0]:  # half an hour at the edge of the star: no search finds it
            continue
        star = Star(
            radius=float(np.exp(rng.normal(0, settings.radius_err))),
            teff=5772.0,
        )
        # the density the catalogue gives is off by its own error, whatever the radius
        star = replace(star, mass=float(np.exp(rng.normal(0, settings.density_err))) * star.radius**3)
        case = Case(cleaned, fold(cleaned, signal), signal, star, settings)
        for test in (vetting.duration_density, vetting.timing, vetting.size, vetting.v_shape):
            found = test(case)
            failed[found.test] += found.status is Verdict.FAIL
            not_run[found.test] += found.status is Verdict.NOT_RUN
            if found.sigma is not None and found.test in sigmas:
                sigmas[found.test].append(found.sigma)
        ratios, probability = case.radius_ratios
        if ratios.size > 1 and case.transit is not None:
            width = math.hypot(settings.radius_err, 0.5 * case.transit.depth_err / case.transit.depth)
            away = np.log(ratio / star.radius / ratios) / width
            below = float(probability @ [noise_of.NORMAL.cdf(x) for x in away])
            sigmas["radius"].append(noise_of.NORMAL.inv_cdf(min(max(below, 1e-12), 1 - 1e-12)))
    return {name: summary(values) for name, values in sigmas.items()} | {"failed": failed, "not_run": not_run}


def late(number: int, noise: str, seed: int, amplitude: float) -> dict[str, float]:
    """Transits that swing about their ephemeris by this many durations, a swing in seven cycles: how many are seen."""
    claimed, ran, measured = 0, 0, []
    for i in range(number):
        rng = np.random.default_rng([seed, i, 7])
        cleaned, signal, duration = observe(
            rng, noise, 0.1, float(rng.uniform(0, 0.7)), 45.0, late=lambda n: amplitude * math.sin(2 * math.pi * n / 7)
        )
        found = vetting.timing(Case(cleaned, fold(cleaned, signal), signal, SUN, VetSettings()))
        ran += found.status is not Verdict.NOT_RUN
        claimed += found.status is Verdict.FAIL
        if found.value is not None:
            measured.append(found.value / (amplitude * duration * 1440 / math.sqrt(2)))
    return {"ran": ran, "claimed": claimed, "rms_over_true": round(float(np.median(measured)), 3)}


def sectors(number: int, noise: str, seed: int, share: float) -> dict[str, object]:
    """Three sectors, the middle one with this share of the depth."""
    sigmas, failed = [], 0
    for i in range(number):
        rng = np.random.default_rng([seed, i, 8])
        cleaned, signal, _ = observe(rng, noise, 0.1, float(rng.uniform(0, 0.7)), 30.0, sectors=(1.0, share, 1.0))
        found = vetting.depth_by_sector(Case(cleaned, fold(cleaned, signal), signal, SUN, VetSettings()))
        failed += found.status is Verdict.FAIL
        if found.sigma is not None:
            sigmas.append(found.sigma)
    return {**summary(sigmas), "median": round(float(np.median(sigmas)), 2), "failed": failed}


def v_and_u(number: int, noise: str, seed: int) -> dict[str, dict[str, int]]:
    """Planets of b < 0.7 and grazing binaries of b > 0.9, k > 0.3: how many are called V."""
    counts: dict[str, dict[str, int]] = {}
    for kind in ("planet", "grazing"):
        tally = counts.setdefault(kind, {})
        for i in range(number):
            rng = np.random.default_rng([seed, i, 4 if kind == "planet" else 5])
            period = float(np.exp(rng.uniform(np.log(1.2), np.log(6.0))))
            orbit = 4.2083 * period ** (2 / 3)
            ratio = rng.uniform(0.03, 0.15) if kind == "planet" else rng.uniform(0.3, 0.8)
            impact = rng.uniform(0, 0.7) if kind == "planet" else rng.uniform(0.9, min(1.0, 0.7 + ratio) + 0.2)
            chord = (1 + ratio) ** 2 - impact**2
            duration = period / np.pi * math.asin(min(math.sqrt(chord) / orbit, 1.0))
            epoch = 1325.0 + rng.uniform(0, period)
            signal = TransitSignal(period, epoch, duration, 0.01, 20.0)
            time = cadences(2.0)
            dip = disc_shape(time, signal, ratio, impact, orbit)
            if kind == "planet":  # the S/N of a good candidate
                depth = dip.max()
                white = depth / 30 * math.sqrt(25.9 / period * duration * 720)
            else:
                white = 2e-3
            flux = 1 - dip + white * rng.normal(size=time.size)
            if noise == "red":
                flux = flux + red_noise(time, 0.1 * white, 6.0, rng)
            segment = (time > 1338.5).astype(np.int64)
            raw = LightCurve(time, flux, np.full(time.size, white))
            flat = detrend(raw, segment, DetrendSettings())
            blank = np.full(time.size, np.nan)
            cleaned = CleanedLightCurve(flat, raw, segment, np.full(time.size, 2 / 1440), blank, blank, (), {})
            # what a box search reports is shorter than first to fourth contact
            box = TransitSignal(period, epoch, (0.85 if kind == "planet" else 0.65) * duration, float(dip.max()), 30.0)
            status = str(examine(cleaned, box)["v_shape"].status)
            tally[status] = tally.get(status, 0) + 1
    return counts


def speed(repeats: int = 10) -> dict[str, float]:
    """CPU milliseconds of folding a signal in 20,000 cadences and of all its flux tests: median and first."""
    cleaned, signal = scene(np.random.default_rng(0), "red", equal, minutes=1.86)
    views = fold(cleaned, signal)
    results: dict[str, float] = {}
    for name, task in (
        ("detrend", lambda: detrend(cleaned.raw, cleaned.segment, DetrendSettings())),
        ("fold", lambda: fold(cleaned, signal)),
        ("vet", lambda: vet(cleaned, views, signal, SUN)),
    ):
        took = []
        for _ in range(repeats):
            start = clock.process_time()
            task()
            took.append(clock.process_time() - start)
        results[f"{name}_ms"] = round(1e3 * float(np.median(took)), 1)
        results[f"{name}_first_ms"] = round(1e3 * took[0], 1)  # tables are made and modules warmed
    results["cadences"] = len(cleaned.raw)
    return results


def files(data: Path, only: str) -> Iterator[tuple[str, TransitSignal, tuple[Finding, ...]]]:
    """Vet the light curves of truth.csv on their true ephemerides, binaries at half the period too."""
    from hunter.archives.folder import FolderArchive
    from pipeline.clean import clean

    for row in csv.DictReader((data / "truth.csv").open()):
        if not row["period_days"] or only not in row["path"]:
            continue
        archive = FolderArchive(data / row["path"])
        found = next(iter(archive.targets()))
        fetched = archive.fetch(found.target, found.sources)
        cleaned = clean([archive.read(product) for product in fetched.products])
        period, hours = float(row["period_days"]), float(row["duration_hours"])
        for part in (1, 2) if row["kind"] == "eclipsing_binary" else (1,):
            signal = TransitSignal(
                period / part,
                float(row["epoch_btjd"]),
                hours / 24,
                float(row["depth_folded_ppm"] or row["depth_ppm"]) / 1e6,
                float(row["snr_folded"] or 0),
            )
            yield row["name"] or row["tic_id"], signal, vet(cleaned, fold(cleaned, signal), signal, fetched.star)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("nulls", "power", "secondaries", "periods", "shapes", "speed", "files", "all"))
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--noise", choices=("white", "red"), default="red")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--record", action="store_true", help="keep the result in vet.json")
    asked = parser.parse_args()
    if asked.what == "files":
        for name, signal, findings in files(Path(asked.data), asked.only):
            print(f"\n{name}  P {signal.period:.5f} d")
            for finding in findings:
                sigma = "" if finding.sigma is None else f"{finding.sigma:.1f}"
                print(f"  {finding.test:17s}{finding.status!s:9s}{sigma:>7s}  {finding.note}")
        return
    runs: dict[str, Callable[[int, str, int], object]] = {
        "nulls": nulls,
        "power": power,
        "secondaries": secondaries,
        "periods": periods,
        "shapes": shapes,
    }
    if asked.what == "all":
        report: dict[str, object] = {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one thread",
            "numpy": np.__version__,
            "number": asked.number,
            "seed": asked.seed,
            "sky": "simulated",
            "speed": speed(),
        }
        for name, run in runs.items():
            for noise in ("white", "red"):
                report[f"{name}_{noise}"] = run(
                    asked.number // {"nulls": 1, "secondaries": 2}.get(name, 4), noise, asked.seed
                )
        (Path(__file__).parent / "vet.json").write_text(json.dumps(report, indent=1) + "\n")
        return
    result = runs[asked.what](asked.number, asked.noise, asked.seed) if asked.what in runs else speed()
    if asked.record:
        path = Path(__file__).parent / "vet.json"
        key = f"{asked.what}_{asked.noise}" if asked.what in runs else asked.what
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: result}, indent=1) + "\n")
    print(json.dumps({"what": asked.what, "noise": asked.noise, "number": asked.number, "result": result}, indent=1))


if __name__ == "__main__":
    main()
