"""Measure the cleaning: our detrending against wotan's biweight and the seed's Savitzky-Golay.

``python -m benchmarks.clean``                    simulated injections, scatter and speed; writes benchmarks/clean.json
``python -m benchmarks.clean --data DIR``         also S/N of known planets and scatter at segment ends on real files
                                                  (DIR holds truth.csv, as ../shared/data does)
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time as clock
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.clean import CleanSettings, DetrendSettings, clean, detrend, transit_mask
from pipeline.clean.quality import STRAYLIGHT
from pipeline.types import Booleans, CleanedLightCurve, Floats, Integers, Observation, Product

PERIOD, EPOCH = 3.6, 1327.1
Method = Callable[[CleanedLightCurve, Booleans | None], Floats]


def ours(**settings: object) -> Method:
    chosen = DetrendSettings(**settings)  # type: ignore[arg-type]
    return lambda cleaned, masked: detrend(cleaned.raw, cleaned.segment, chosen, masked).flux


def wotans(hours: float, minutes: float = 20.0) -> Method:
    """wotan's biweight on the same bins; its trend interpolated straight, below masks too."""
    from wotan import flatten

    def method(cleaned: CleanedLightCurve, masked: Booleans | None) -> Floats:
        light_curve = cleaned.raw
        flat = np.empty(len(light_curve))
        for number in np.unique(cleaned.segment):
            part = np.flatnonzero(cleaned.segment == number)
            seen = part if masked is None else part[~masked[part]]
            slot = np.floor((light_curve.time[seen] - light_curve.time[part[0]]) * 1440 / minutes)
            first = np.flatnonzero(np.concatenate([[True], np.diff(slot) > 0]))
            count = np.diff(np.concatenate([first, [slot.size]]))
            centre = np.add.reduceat(light_curve.time[seen], first) / count
            level = np.add.reduceat(light_curve.flux[seen], first) / count
            _, trend = flatten(
                centre,
                level,
                method="biweight",
                window_length=hours / 24,
                edge_cutoff=0,
                break_tolerance=0,
                cval=5.0,
                return_trend=True,
            )
            flat[part] = light_curve.flux[part] / np.interp(light_curve.time[part], centre, trend)
        return flat

    return method


def methods() -> dict[str, Method]:
    return {
        "parabola 24 h": ours(window_hours=24.0),
        "parabola 36 h (default)": ours(),
        "parabola 48 h": ours(window_hours=48.0),
        "line 24 h": ours(window_hours=24.0, order=1),
        "wotan biweight 12 h": wotans(12.0),
        "wotan biweight 18 h": wotans(18.0),
        "wotan biweight 24 h": wotans(24.0),
        "savgol-101": ours(method="savgol-101"),
    }


def simulate(cadence: float, noise: float, depth: float, hours: float, wave: float, seed: int) -> CleanedLightCurve:
    """One sector, two orbits, box transits; ``noise`` is that of two minutes; nothing clipped."""
    random = np.random.default_rng(seed)
    time = 1325.0 + np.arange(0, 27, cadence / 86400)
    time = time[(time < 1338.0) | (time > 1339.2)]
    flux = 1 + wave * np.sin(2 * np.pi * time / 4.0) + random.normal(0, noise * np.sqrt(120 / cadence), time.size)
    flux *= 1 - depth * transit_mask(time, PERIOD, EPOCH, hours / 24)
    product = Product("simulated", "", "TESS", "SPOC", "FLUX", 1, cadence_seconds=cadence)
    blank = np.full(time.size, np.nan)
    observation = Observation(product, time, flux, blank, np.zeros(time.size, dtype=np.int64))
    return clean([observation], CleanSettings(clip_up=0, clip_down=0), DetrendSettings(method="none"))


def kept(cleaned: CleanedLightCurve, method: Method, masked: bool, hours: float, depth: float) -> float:
    """Share of the depth that is left, against the hours beside."""
    time, days = cleaned.raw.time, hours / 24
    wide = transit_mask(time, PERIOD, EPOCH, days, 1.3)
    flux = method(cleaned, wide if masked else None)
    beside = transit_mask(time, PERIOD, EPOCH, days, 3.0) & ~wide
    return float((flux[beside].mean() - flux[transit_mask(time, PERIOD, EPOCH, days)].mean()) / depth)


def injections(seeds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for cadence in (120.0, 600.0, 1800.0):
        for noise, depth in ((1e-4, 1e-3), (1e-3, 1e-3), (3e-3, 1e-2)):
            for hours in (1.5, 3.0, 6.0):
                skies = [simulate(cadence, noise, depth, hours, 0.0, seed) for seed in range(seeds)]
                row: dict[str, object] = {"cadence_s": cadence, "noise": noise, "depth": depth, "hours": hours}
                for name, method in methods().items():
                    row[name] = [
                        round(float(np.mean([kept(sky, method, masked, hours, depth) for sky in skies])), 3)
                        for masked in (False, True)
                    ]
                rows.append(row)
    return rows


def scatter(flux: Floats, time: Floats, segment: Integers, hidden: Booleans) -> tuple[float, float]:
    """Ppm scatter of 3-hour means: inside segments (robust), and within 6 hours of their ends (rms)."""
    inner: list[float] = []
    outer: list[float] = []
    for number in np.unique(segment):
        part = (segment == number) & ~hidden
        if not part.any():
            continue
        slot = np.floor((time[part] - time[segment == number][0]) * 8).astype(int)
        count = np.bincount(slot)
        means = np.bincount(slot, flux[part])[count > 0.5 * count.max()] / count[count > 0.5 * count.max()]
        means -= np.median(flux[part])
        outer += [*means[:2], *means[-2:]]
        inner += list(means[2:-2])
    return 1.4826e6 * float(np.median(np.abs(inner))), 1e6 * float(np.sqrt(np.mean(np.square(outer))))


def speed() -> dict[str, float]:
    """Processor milliseconds for one sector of 2-minute data, best of 20; imports in wall milliseconds."""
    cleaned = simulate(120.0, 1e-3, 1e-3, 3.0, 2e-3, 0)
    times = {}
    for name, method in methods().items():
        method(cleaned, None)
        runs = []
        for _ in range(20):
            start = clock.process_time()
            method(cleaned, None)
            runs.append(clock.process_time() - start)
        times[name] = round(1e3 * min(runs), 2)
    for module in ("wotan", "numba"):
        start = clock.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        times[f"import {module}"] = round(1e3 * (clock.perf_counter() - start), 0)
    return times


def read(path: Path) -> Observation:
    from astropy.io import fits

    with fits.open(path) as file:
        table = file[1].data
        flux = "PDCSAP_FLUX" if "PDCSAP_FLUX" in table.names else "FLUX"
        time, level, error = (np.array(table[name], dtype=float) for name in ("TIME", flux, f"{flux}_ERR"))
        quality = np.array(table["QUALITY"], dtype=np.int64)
        return Observation(
            Product(path.name, "", "TESS", "SPOC", flux, file[0].header.get("SECTOR")), time, level, error, quality
        )


def real(data: Path) -> list[dict[str, object]]:
    """Scatter and, where a planet is known, S/N unmasked and masked, for each real file and method."""
    with (data / "truth.csv").open(newline="") as file:
        truth = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    rows: list[dict[str, object]] = []
    for path in sorted(
        p for f in ("spoc", "lightkurve_export", "ultracool") for p in (data / "lightcurves" / f).glob("*.fits")
    ):
        cleaned = clean([read(path)])
        time = cleaned.raw.time
        known = truth.get(path.name, {})
        hidden = np.zeros(time.size, dtype=bool)
        ephemeris: tuple[float, float, float] | None = None
        if known.get("period_days") and known.get("kind") != "variable":
            ephemeris = (float(known["period_days"]), float(known["epoch_btjd"]), float(known["duration_hours"]) / 24)
            hidden = transit_mask(time, *ephemeris, width=1.5)
            if known["kind"] == "eclipsing_binary":
                hidden |= transit_mask(time, ephemeris[0], ephemeris[1] + ephemeris[0] / 2, ephemeris[2], width=1.5)
        row: dict[str, object] = {"file": path.name}
        for name, method in methods().items():
            if name.startswith("savgol"):
                continue
            first, second = method(cleaned, None), method(cleaned, hidden)
            inner, outer = scatter(second, time, cleaned.segment, hidden)
            row[name] = {"inner_ppm": round(inner, 1), "ends_ppm": round(outer, 1)}
            if ephemeris is not None:
                row[name] |= {
                    "snr": round(snr(first, time, ephemeris), 1),
                    "snr_masked": round(snr(second, time, ephemeris), 1),
                }  # type: ignore[operator]
        rows.append(row)
    return rows


def snr(flux: Floats, time: Floats, ephemeris: tuple[float, float, float]) -> float:
    """Depth over the robust scatter of out-of-transit means one duration long, times sqrt(transits)."""
    inside = transit_mask(time, *ephemeris)
    if not inside.any():
        return 0.0
    outside = ~transit_mask(time, *ephemeris, width=1.6)
    slot = np.floor((time - time[0]) / ephemeris[2]).astype(int)
    _, which, count = np.unique(slot[outside], return_inverse=True, return_counts=True)
    means = (np.bincount(which, flux[outside]) / count)[count > 0.6 * count.max()]
    noise = 1.4826 * np.median(np.abs(means - np.median(means)))
    return float((np.median(flux[outside]) - flux[inside].mean()) / noise * np.sqrt(inside.sum() / np.median(count)))


def straylight(data: Path) -> dict[str, float]:
    """Scatter of the cadences that carry bit 2048 alone, over that of their file: are they worth keeping?"""
    ratios = {}
    for path in sorted((data / "lightcurves" / "spoc").glob("*.fits")):
        observation = read(path)
        cleaned = clean([observation], CleanSettings(quality="none"))
        flagged = observation.quality == STRAYLIGHT
        here = np.isin(cleaned.flat.time, observation.time[flagged & np.isfinite(observation.time)])
        if here.sum() > 50:
            ratios[path.name] = round(float(np.std(cleaned.flat.flux[here]) / np.std(cleaned.flat.flux[~here])), 3)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with truth.csv and lightcurves/")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    report: dict[str, object] = {
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}",
        "milliseconds_per_sector": speed(),
        "kept_depth_simulated [unmasked, masked]": injections(arguments.seeds),
    }
    if arguments.data is not None:
        rows = real(arguments.data)
        names = [name for name in rows[0] if name != "file"]
        base = "wotan biweight 18 h"
        report["real_scatter_relative_to_" + base.replace(" ", "_")] = {
            name: {
                key: round(float(np.exp(np.median([np.log(row[name][key] / row[base][key]) for row in rows]))), 3)  # type: ignore[index]
                for key in ("inner_ppm", "ends_ppm")
            }
            for name in names
        }
        report["real"] = rows
        report["scatter_of_bit_2048_over_the_rest"] = straylight(arguments.data)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({key: value for key, value in report.items() if key != "real"}, indent=1))


if __name__ == "__main__":
    main()
