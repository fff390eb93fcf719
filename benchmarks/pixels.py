"""Are offsets in difference images what their errors say, and is the right star named?

    python -P benchmarks/pixels.py scenes --number 200     on-target signals: white noise, 2-arcsec drift, a neighbour
    python -P benchmarks/pixels.py hosts --number 200      signals on any star of a field
    python -P benchmarks/pixels.py width --number 50       the model of a star's image 5 % too wide
    python -P benchmarks/pixels.py speed                   processor time of one candidate
    python -P benchmarks/pixels.py files ../shared/data    the pixel files at hand, and dips put into them
    python -P benchmarks/pixels.py all ../shared/data --number 400     all of these, into pixels.json

Scenes are simulated: 11 x 11 pixels, 27 days of 10-minute cadences with their pause, stars of Tmag 9 to 12, transits
of 2 to 4 hours every 2 to 6 days; ``drift`` is the amplitude of a wander of 2 to 10 days in a random direction.
"""

import argparse
import json
import math
import os
import platform
import time as clock
import warnings
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from pipeline.pixels.examine import PixelEvidence, PixelSettings, examine
from pipeline.pixels.prf import TESS_ANALYTIC
from pipeline.simulate.pixels import SCALE, Scene, SceneStar, render
from pipeline.types import FieldStar, TargetPixels, TransitSignal, Verdict

KEPLER_TO_BTJD = 2454833.0 - 2457000.0
KINDS = ("white", "drift", "neighbour")
KOI_6771 = TransitSignal(0.700606, 131.59767 + KEPLER_TO_BTJD, 0.993 / 24, 433e-6, 20.0)


def draw(rng: np.random.Generator, low: float = 2.0) -> TransitSignal:
    """An ephemeris; the depth is set by the scene."""
    period = float(rng.uniform(low, 3 * low))
    duration = float(rng.uniform(2, 4)) / 24
    return TransitSignal(period, 1325.0 + float(rng.uniform(0, period)), duration, 0.0, 0.0)


def on_target(seed: int, i: int, kind: str) -> tuple[Scene, TransitSignal]:
    """A signal of S/N 7 to 60 on the target, by the noise of the pixels within its image."""
    rng = np.random.default_rng([seed, i, KINDS.index(kind)])
    signal, tmag = draw(rng), float(rng.uniform(9, 12))
    column, row = (float(value) for value in 5 + rng.uniform(-0.5, 0.5, 2))
    snr = math.exp(rng.uniform(math.log(8), math.log(60)))
    cadences = 0.8 * signal.duration * 144 * 26 / signal.period
    light = 15700 * 10 ** (-0.4 * (tmag - 10))
    depth = snr * 1.3 * math.sqrt((light + 13 * 150) / 600 / cadences) / light
    signal = replace(signal, depth=depth, snr=snr)
    stars = [SceneStar(column, row, tmag, depth)]
    if kind == "neighbour":
        apart, angle = float(rng.uniform(2, 3)), float(rng.uniform(0, 2 * math.pi))
        stars.append(SceneStar(column + apart * math.cos(angle), row + apart * math.sin(angle), tmag + 2))
    return Scene(tuple(stars), drift=2 / SCALE if kind == "drift" else 0.0), signal


def log_tail(chi_square: float, independent: float) -> float:
    return -0.5 * (independent - 1) * math.log1p(chi_square / independent)


def described(found: list[PixelEvidence], of: int) -> dict[str, object]:
    """Of on-target signals: how far their offsets are from what their errors say."""
    offsets = [one.offset for one in found if one.offset is not None]
    fits = [one.sectors[0].fit for one in found if one.offset is not None]
    t_squared = np.array([one.chi_square for one in offsets])
    # the same probabilities as a chi-square of two degrees, 2 in the mean
    chi_square = np.array([-2 * log_tail(one.chi_square, one.independent) for one in offsets])
    expected = np.array([0.8 * SCALE / fit.snr for fit in fits if fit is not None])
    axis = np.array([[one.east, one.north] for one in offsets])
    formal = np.array([fit.formal_err * SCALE for fit in fits if fit is not None])
    count = len(offsets)
    return {
        "scenes": of,
        "measured": count,
        "chi_square_mean": round(float(chi_square.mean()), 3),
        "t_squared_mean": round(float(t_squared.mean()), 3),
        "axis_over_formal": round(float(np.sqrt(np.mean((axis / formal[:, None]) ** 2))), 3),
        "formal_chi_square_mean": round(float(((axis / formal[:, None]) ** 2).sum(axis=1).mean()), 3),
        "over_3_sigma": round(float(np.mean([one.sigma > 3 for one in offsets])), 4),
        "error_of_mean": round(2 / math.sqrt(count), 3),
        "axis_over_expected": round(float(np.sqrt(np.mean((axis / expected[:, None]) ** 2))), 3),
        "axis_over_expected_robust": round(1.4826 * float(np.median(np.abs(axis / expected[:, None]))), 3),
        "snr_median": round(float(np.median([fit.snr for fit in fits if fit is not None])), 1),
        "independent_median": round(float(np.median([one.independent for one in offsets])), 1),
        "called_off_target": sum(one.findings[0].status is Verdict.FAIL for one in found),
        "aperture_depth_failed": sum(one.findings[2].status is Verdict.FAIL for one in found),
        "aperture_over_3_sigma": round(float(np.mean([(one.findings[2].sigma or 0) > 3 for one in found])), 4),
        "ghost_failed": sum(one.findings[3].status is Verdict.FAIL for one in found),
        "bias_px": [round(float(value), 4) for value in axis.mean(axis=0) / SCALE],
    }


def as_published(seed: int, i: int) -> tuple[Scene, TransitSignal]:
    """Tmag 10, eight transits of 3 hours and 2000 ppm, a neighbour two magnitudes fainter 2.46 pixels away."""
    rng = np.random.default_rng([seed, i, 8])
    signal = TransitSignal(3.3, 1325.0 + float(rng.uniform(0.5, 3)), 3 / 24, 0.002, 40.0)
    column, row = (float(value) for value in 5 + rng.uniform(-0.5, 0.5, 2))
    angle = float(rng.uniform(0, 2 * math.pi))
    beside = SceneStar(column + 2.46 * math.cos(angle), row + 2.46 * math.sin(angle), 12.0)
    return Scene((SceneStar(column, row, 10.0, 0.002), beside)), signal


def scenes(number: int, seed: int) -> dict[str, object]:
    report: dict[str, object] = {}
    for kind in (*KINDS, "tmag 10, 2000 ppm"):
        found = []
        for i in range(number):
            scene, signal = on_target(seed, i, kind) if kind in KINDS else as_published(seed, i)
            pixels, stars = render(scene, signal, seed + i)
            found.append(examine([pixels], signal, stars))
        report[kind] = described(found, number)
    return report


def sectors(number: int, seed: int) -> dict[str, object]:
    """Three sectors of drift each, together."""
    found = []
    for i in range(number):
        scene, signal = on_target(seed, i, "drift")
        together = [
            render(replace(scene, sector=n, start=1325.0 + 27.5 * (n - 1)), signal, seed + i)[0] for n in (1, 2, 3)
        ]
        found.append(examine(together, signal, render(scene, signal, seed + i)[1]))
    report = described(found, number)
    for name in ("axis_over_formal", "formal_chi_square_mean", "axis_over_expected", "axis_over_expected_robust"):
        del report[name]  # of one sector's fit
    report["between_sectors_mean"] = round(
        float(np.mean([one.sectors_chi_square for one in found if one.sectors_chi_square is not None])), 3
    )
    return report


def field(seed: int, i: int) -> tuple[Scene, TransitSignal, int]:
    """A target with five neighbours, one of the six stars holds a dip of S/N 8 to 60."""
    rng = np.random.default_rng([seed, i, 9])
    scene, signal = on_target(seed, i, "white")
    target = scene.stars[0]
    stars = [replace(target, depth=0.0)]
    while len(stars) < 6:
        apart, angle = float(rng.uniform(0.7, 5)), float(rng.uniform(0, 2 * math.pi))
        star = SceneStar(
            target.column + apart * math.cos(angle),
            target.row + apart * math.sin(angle),
            target.tmag + float(rng.uniform(0.5, 5)),
        )
        if -0.5 < star.column < 10.5 and -0.5 < star.row < 10.5:
            stars.append(star)
    missing = target.depth * 10 ** (-0.4 * target.tmag)
    able = [n for n, star in enumerate(stars) if missing / 10 ** (-0.4 * star.tmag) < 0.9]
    host = int(rng.choice(able))
    stars[host] = replace(stars[host], depth=missing / 10 ** (-0.4 * stars[host].tmag))
    return replace(scene, stars=tuple(stars), drift=float(rng.choice([0, 2 / SCALE]))), signal, host


def host_choice(number: int, seed: int) -> dict[str, object]:
    """Whether the right star is the most probable, where all able others are beyond 3 sigma of it."""
    resolved = right = right_all = measured = off = off_flagged = on = on_flagged = elsewhere = 0
    probability = []
    for i in range(number):
        scene, signal, host = field(seed, i)
        pixels, stars = render(scene, signal, seed + i)
        found = examine([pixels], signal, stars)
        if found.offset is None:
            continue
        measured += 1
        truth = stars[host].key
        named = found.hosts[0].key == truth
        probability.append(next((star.probability for star in found.hosts if star.key == truth), 0.0))
        elsewhere += (found.elsewhere or 0) > 0.5
        right_all += named
        place = found.sectors[0].stars
        error = np.array([found.offset.east_err, found.offset.north_err])
        rivals = [
            math.hypot(*((np.array([s.east, s.north]) - [place[host].east, place[host].north]) / error)) / math.sqrt(2)
            for n, s in enumerate(place)
            if n != host
        ]
        if min(rivals) > 3:
            resolved += 1
            right += named
        if host == 0:
            on += 1
            on_flagged += found.findings[0].status is Verdict.FAIL
        else:
            off += 1
            off_flagged += found.findings[0].status is Verdict.FAIL or found.findings[1].status is Verdict.FAIL
    return {
        "fields": number,
        "measured": measured,
        "all_others_beyond_3_sigma": resolved,
        "right_of_these": round(right / max(resolved, 1), 4),
        "right_of_all": round(right_all / max(measured, 1), 4),
        "mean_probability_of_the_truth": round(float(np.mean(probability)), 3),
        "said_none_of_them": elsewhere,
        "on_neighbours": off,
        "of_these_called_off_target": off_flagged,
        "on_targets": on,
        "of_these_called_off_target_wrongly": on_flagged,
    }


def width(number: int, seed: int) -> dict[str, object]:
    """A model 5 % wider than the stars: offsets of strong signals from the truth, pixels."""
    wide = replace(TESS_ANALYTIC, name="5 % too wide", sigma=1.05 * TESS_ANALYTIC.sigma)
    report: dict[str, object] = {}
    for kind in ("white", "neighbour"):
        bias, share, failed = [], [], 0
        for i in range(number):
            scene, signal = on_target(seed, i, kind)
            deep = tuple(replace(star, depth=min(star.depth * 10, 0.5)) for star in scene.stars)
            signal = replace(signal, depth=deep[0].depth)
            pixels, stars = render(replace(scene, stars=deep), signal, seed + i)
            found = examine([pixels], signal, stars, prf=[wide])
            if found.offset is None:
                failed += 1
                continue
            bias.append(found.offset.arcsec / SCALE)
            share.append(found.offset.sigma > 3)
        report[kind] = {
            "scenes": number,
            "not_measured": failed,
            "offset_px_median": round(float(np.median(bias)), 4),
            "offset_px_95": round(float(np.quantile(bias, 0.95)), 4),
            "offset_px_max": round(float(np.max(bias)), 4),
            "over_3_sigma": round(float(np.mean(share)), 3),
        }
    return report


def speed(seed: int) -> dict[str, object]:
    """Processor time of one candidate, milliseconds, median of five."""
    report = {}
    for label, cadence, count in (("10 minutes, 1 sector", 600.0, 1), ("2 minutes, 1 sector", 120.0, 1),
                                  ("10 minutes, 6 sectors", 600.0, 6)):  # fmt: skip
        scene, signal = on_target(seed, 0, "neighbour")
        many = [
            render(replace(scene, cadence_seconds=cadence, sector=n, start=1325.0 + 27.5 * n), signal, seed)
            for n in range(count)
        ]
        spent = []
        for _ in range(5):
            begun = clock.process_time()
            examine([one for one, _ in many], signal, many[0][1])
            spent.append(clock.process_time() - begun)
        report[label] = round(1e3 * float(np.median(spent)), 1)
    return report


def read(path: Path) -> tuple[TargetPixels, FieldStar]:
    """A target pixel file or a cut-out, and its star as the header has it."""
    from astropy.io import fits

    from hunter.archives import pixel_files

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = fits.getheader(path)
    pixels = pixel_files.read(path)
    scale = 1.0 if pixels.product.mission == "TESS" else 1000.0  # mas/yr; Kepler writes arcsec/yr
    motion = [
        float(value) * scale if isinstance(value := head.get(name), float) else None for name in ("PMRA", "PMDEC")
    ]
    magnitude = head.get("TESSMAG") or head.get("KEPMAG") or None
    star = FieldStar("header", str(head.get("OBJECT")), float(head["RA_OBJ"]), float(head["DEC_OBJ"]),
                     pm_ra=motion[0], pm_dec=motion[1], tmag=magnitude)  # fmt: skip
    return pixels, star


def told(found: PixelEvidence) -> dict[str, object]:
    sector = found.sectors[0]
    return {
        "prf": sector.prf,
        "transits": sector.transits,
        "independent": round(sector.independent, 1),
        "zero_point": None
        if sector.zero_point is None
        else {
            "column": round(sector.zero_point.column, 4),
            "row": round(sector.zero_point.row, 4),
            "err": round(sector.zero_point.column_err, 4),
            "chi_square": round(sector.zero_point.chi_square, 2),
        },
        "fit": None
        if sector.fit is None
        else {
            "snr": round(sector.fit.snr, 1),
            "chi_square": round(sector.fit.chi_square, 2),
            "offset_px": [
                round(sector.fit.column - sector.target_column, 3),
                round(sector.fit.row - sector.target_row, 3),
            ],
            "agreeing": sector.fit.agreeing,
        },
        "findings": {one.test: f"{one.status}: {one.note}" for one in found.findings},
    }


def injected(pixels: TargetPixels, star: FieldStar, number: int, seed: int, depth: float) -> dict[str, object]:
    """Dips of all the stamp's light, which is the target's, at random ephemerides: chi-squares in genuine noise."""
    rng = np.random.default_rng(seed)
    found = []
    span = float(pixels.time[-1] - pixels.time[0])
    for _ in range(number):
        period = float(rng.uniform(1.5, min(6.0, span / 4)))
        duration = float(rng.uniform(3, 6)) / 24
        signal = TransitSignal(period, float(pixels.time[0] + rng.uniform(0, period)), duration, depth, 20.0)
        away = np.abs((pixels.time - signal.epoch + 0.5 * period) % period - 0.5 * period)
        dimmed = pixels.flux * (1 - depth * (away < 0.5 * duration))[:, None, None]
        found.append(examine([replace(pixels, flux=dimmed)], signal, [star], PixelSettings()))
    measured = [one for one in found if one.offset is not None]
    report: dict[str, object] = {"dips": number, "depth": depth, "measured": len(measured)}
    if measured:
        offsets = [one.offset for one in measured if one.offset is not None]
        report |= {
            "chi_square_mean": round(
                float(np.mean([-2 * log_tail(one.chi_square, one.independent) for one in offsets])), 2
            ),
            "over_3_sigma": round(float(np.mean([one.sigma > 3 for one in offsets])), 3),
            "offset_arcsec_median": round(float(np.median([one.arcsec for one in offsets])), 3),
            "error_arcsec_median": round(float(np.median([one.east_err for one in offsets])), 3),
            "called_off_target": sum(one.findings[0].status is Verdict.FAIL for one in measured),
            "snr_median": round(
                float(np.median([one.sectors[0].fit.snr for one in measured if one.sectors[0].fit])), 1
            ),
        }
    else:
        report["reasons"] = sorted({one.sectors[0].reason for one in found})
    return report


def files(data: Path, number: int, seed: int) -> dict[str, object]:
    folder = data / "pixels"
    report: dict[str, object] = {}
    pixels, star = read(folder / "kepler_tpf_KIC6804648_contaminante.fits")
    report["KIC 6804648, K06771.01, a known false positive"] = told(examine([pixels], KOI_6771, [star]))
    report["KIC 6804648, dips put in"] = injected(pixels, star, number, seed, 0.002)
    pixels, star = read(folder / "ktwo211983544-c18_lpd-targ.fits")
    report["EPIC 211983544, dips put in"] = injected(pixels, star, number, seed, 0.2)
    epoch = float(pixels.time[0]) + 1
    report["EPIC 211983544, nothing there (3 d)"] = told(
        examine([pixels], TransitSignal(3.0, epoch, 0.15, 1e-3, 8.0), [star])
    )
    for name in ("tess_tpf1_TIC273589987.fits", "tess-s0001-4-2_84.291190_-80.469170_6x6_astrocut.fits"):
        pixels, star = read(folder / name)
        middle = float(np.median(pixels.time))
        report[name] = told(examine([pixels], TransitSignal(5.0, middle, 0.02, 1e-2, 8.0), [star]))
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["scenes", "hosts", "width", "speed", "files", "sectors", "all"])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    number, seed = asked.number, asked.seed
    sections = {
        "scenes": lambda: scenes(number, seed),
        "sectors": lambda: sectors(max(number // 4, 10), seed),
        "hosts": lambda: host_choice(number, seed),
        "width": lambda: width(max(number // 4, 10), seed),
        "speed": lambda: speed(seed),
        "files": lambda: files(asked.data, min(number, 100), seed),
    }
    chosen = list(sections) if asked.what == "all" else [asked.what]
    if asked.data is None:
        chosen = [name for name in chosen if name != "files"]
    begun = clock.process_time()
    report: dict[str, object] = {name: sections[name]() for name in chosen}
    report["about"] = {
        "command": f"python -P benchmarks/pixels.py {asked.what} ../shared/data --number {number} --seed {seed}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "processor_seconds": round(clock.process_time() - begun, 1),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text, end="")
    if asked.what == "all":
        Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    main()
