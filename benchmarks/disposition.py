"""How many planets does the decision keep, and how many false alarms and binaries does it refuse?

    python -P benchmarks/disposition.py make --cache DIR --seeds tune --number 300    simulate, search, fold; keep
    python -P benchmarks/disposition.py make --cache DIR --seeds report --number 1000 other stars, to report on
    python -P benchmarks/disposition.py vet --cache DIR --seeds report                put the tests to what is kept
    python -P benchmarks/disposition.py measure --cache DIR --seeds tune              the figures, test by test
    python -P benchmarks/disposition.py report --cache DIR                            disposition.json, shipped table
    python -P benchmarks/disposition.py files ../shared/data                          the real light curves of truth.csv

All stars are simulated (Tmag 6 to 14.5, one sector of 10-minute cadences): quiet, spotted, pulsating, flaring ones and
such with red noise and the instrument's faults. ``planets`` have one put in; ``inverted`` are cleaned and turned upside
down, ``scrambled`` have their two orbits change places; ``binaries`` are detached, in contact, or blended with a
neighbour. Then the search with its default thresholds finds
what it finds, and every signal over S/N 7.1 is folded and kept. What is kept is not made again; thresholds are tuned on
``tune`` and figures read on ``report``, whose stars share nothing. Catalogue radii are off by 6 %, masses by 7 %.
"""

import argparse
import csv
import json
import math
import os
import sys
import time as clock
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from hunter.processes import in_processes
from pipeline.alone import alone, eclipsing
from pipeline.clean import clean
from pipeline.completeness import wilson
from pipeline.disposition import TABLE, Disposition, Word, decide
from pipeline.fold import fold
from pipeline.search import SearchSettings, search_many
from pipeline.simulate import FIRST_KEY, Planet, SectorSettings, SimulatedStar, draw_orbit, draw_varied_star, observe
from pipeline.simulate.noise import one_hour_noise
from pipeline.simulate.population import EARTH_RADIUS, OBSERVED_DAYS
from pipeline.simulate.sector import sector_start
from pipeline.simulate.seeds import stream
from pipeline.types import CleanedLightCurve, Finding, FoldedViews, LightCurve, Star, TransitSignal, Verdict, View
from pipeline.vet import VERSION as VET_VERSION
from pipeline.vet import VetSettings, vet
from pipeline.vetting import TESTS
from pipeline.vetting.case import Case

ROOT = Path(__file__).parents[1]
SEEDS = {"tune": 20261201, "report": 20261202}
SECTOR = SectorSettings(cadence_seconds=600.0)
SEARCH = SearchSettings(bin_minutes=10.0, max_signals=3)
# where nothing may be found the search's own doubts are silenced: they leave too few false alarms to count
SILENCED = replace(SEARCH, event_snr=0.0, event_share=1.0, consistent_snr=0.0)
HOSTS = {"quiet": 0.25, "rotation": 0.3, "pulsation": 0.08, "flaring": 0.07, "systematics": 0.3}
# quiet stars, and upright rough ones too, give hardly any signals
TURNED = {"rotation": 0.35, "pulsation": 0.2, "flaring": 0.25, "systematics": 0.2}
VARIABLES = {"rotation": 0.4, "pulsation": 0.4, "flaring": 0.2}
PAIRS = {"detached": 0.5, "contact": 0.25, "blend": 0.25}
MIXES = {"planets": HOSTS, "inverted": TURNED, "scrambled": VARIABLES, "binaries": PAIRS}
POPULATIONS = tuple(MIXES)
FALSE_ALARMS = ("inverted", "scrambled")
SNR = (7.0, 60.0)  # of the planets put in, white noise alone, log-uniform
BATCH = 8  # stars
CONFIDENCE = 0.95
SNR_EDGES = (7.1, 8.0, 10.0, 15.0, 30.0, math.inf)
PERIOD_EDGES = (0.0, 1.0, 3.0, 6.0, 15.0)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A found signal with all that a vetting test is handed, and what it truly is."""

    about: Row
    cleaned: CleanedLightCurve
    views: FoldedViews
    signal: TransitSignal
    star: Star


# ------------------------------------------------------------------------------------------------ the sky


def host(population: str, number: int, seed: int) -> SimulatedStar:
    """One star; with a planet where the population has one."""
    key = str(FIRST_KEY + 10_000_000 * POPULATIONS.index(population) + number)
    base = draw_varied_star(key, seed, mix=MIXES[population])
    return replace(base, planets=(planet(base, seed),)) if population == "planets" else base


def planet(base: SimulatedStar, seed: int) -> Planet:
    """A planet of the wanted signal-to-noise, no larger than 20 and no smaller than half an Earth radius."""
    random = stream(seed, "planet", base.key)
    star = base.star
    noise = base.noise_factor * math.hypot(one_hour_noise(star.tmag), 60e-6)
    while True:
        orbit = draw_orbit(random, (0.5, 13.0), star.mass, star.radius, 0.9, sector_start(1), eccentric=0.3)
        wanted = float(np.exp(random.uniform(*np.log(SNR))))
        hours = 24 * orbit.duration(0.0) * OBSERVED_DAYS / orbit.period
        ratio = math.sqrt(wanted * noise / math.sqrt(hours) / 1.1)
        if 0.5 <= ratio * star.radius / EARTH_RADIUS <= 20:
            return Planet(orbit, ratio)


def catalogued(star: Star, random: np.random.Generator) -> Star:
    """The star as a catalogue would have it."""
    radius, mass = star.radius * random.normal(1, 0.06), star.mass * random.normal(1, 0.07)
    return replace(star, radius=radius, mass=mass, logg=star.logg + float(random.normal(0, 0.08)))


def changed(population: str, cleaned: CleanedLightCurve) -> CleanedLightCurve:
    """Upside down, or the second orbit before the first; else as it is."""
    if population == "inverted":

        def turned(curve: LightCurve) -> LightCurve:
            return replace(curve, flux=2 - curve.flux)

        return replace(cleaned, flat=turned(cleaned.flat), raw=turned(cleaned.raw))
    if population == "scrambled":
        flat = cleaned.flat
        second = int(np.argmax(np.diff(flat.time))) + 1
        order = np.roll(np.arange(len(flat)), -second)
        mixed = replace(flat, flux=flat.flux[order], flux_err=flat.flux_err[order])
        columns = {name: getattr(cleaned, name)[order] for name in ("exposure", "centroid_column", "centroid_row")}
        return replace(cleaned, flat=mixed, raw=mixed, **columns)
    return cleaned


def truth_of(population: str, star: SimulatedStar, signal: TransitSignal) -> str | None:
    """What a found signal is; None where it is neither here nor there."""
    if population in FALSE_ALARMS:
        return star.kind
    if population == "binaries":
        return None if star.planets else star.kind
    orbit = star.planets[0].orbit
    apart = (signal.epoch - orbit.epoch + 0.5 * orbit.period) % orbit.period - 0.5 * orbit.period
    found = abs(signal.period / orbit.period - 1) < 0.01 and abs(apart) < max(0.5 * signal.duration, 0.04)
    return "planet" if found else None


def make_batch(job: tuple[Path, str, int, int]) -> tuple[int, int]:
    """Simulate, search and fold some stars, and keep the signals; how many stars and signals."""
    path, population, number, seed = job
    begun = clock.process_time()
    stars, curves, known = [], [], []
    for k in range(number * BATCH, (number + 1) * BATCH):
        star = host(population, k, seed)
        stars.append(star)
        known.append(catalogued(star.star, stream(seed, "catalogue", star.key)))
        curves.append(changed(population, clean([observe(star, SECTOR, seed).observation()])))
    made = clock.process_time()
    settings = SILENCED if population in FALSE_ALARMS else SEARCH
    results = search_many([curve.flat for curve in curves], settings, known)
    searched = clock.process_time()
    kept = []
    for star, curve, catalogue, result in zip(stars, curves, known, results, strict=True):
        judged: dict[int, tuple[Finding, ...]] = {}
        for place, signal in enumerate(result.signals):
            others = eclipsing(curve, signal, result.signals, judged, settings.mask_width)
            own = alone(curve, others, settings.mask_width)
            views = None
            if len(result.signals) > place + 1 and signal.alias_of is None:
                views = fold(own, signal)
                judged[signal.number] = vet(own, views, signal, catalogue)
            truth = None if signal.alias_of is not None else truth_of(population, star, signal)
            if truth is not None:
                about = {"population": population, "truth": truth, "host": star.kind, "tmag": star.star.tmag}
                views = fold(own, signal) if views is None else views
                kept.append(Kept(about | {"key": star.key}, own, views, signal, catalogue))
    seconds = {"simulate": made - begun, "search": searched - made, "fold": clock.process_time() - searched}
    write(path, kept, {"stars": BATCH, "seconds": seconds})
    return BATCH, len(kept)


# ------------------------------------------------------------------------------------------------ what is kept


def packed(value: object, name: str, arrays: dict[str, np.ndarray]) -> object:
    """A frozen value as JSON, its arrays beside it in single precision, but for times."""
    if isinstance(value, np.ndarray):
        single = value.dtype == np.float64 and not name.endswith("time")
        arrays[name] = value.astype(np.float32) if single else value
        return {"array": name}
    if isinstance(value, LightCurve | View | CleanedLightCurve | FoldedViews):
        inside = {f.name: packed(getattr(value, f.name), f"{name}.{f.name}", arrays) for f in fields(value)}
        return {"type": type(value).__name__, **inside}
    return {"empty": type(value).__name__} if isinstance(value, tuple | dict) else value  # files and counts of rejects


def unpacked(value: Any, arrays: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        array = arrays[value["array"]]
        return array.astype(np.float64) if array.dtype == np.float32 else array
    if isinstance(value, dict) and "empty" in value:
        return {"tuple": (), "dict": {}}[value["empty"]]
    if isinstance(value, dict):
        kind = {item.__name__: item for item in (LightCurve, View, CleanedLightCurve, FoldedViews)}[value["type"]]
        return kind(**{key: unpacked(part, arrays) for key, part in value.items() if key != "type"})
    return value


def write(path: Path, kept: list[Kept], facts: Row) -> None:
    """One file, there only when it is whole."""
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for k, item in enumerate(kept):
        rows.append({
            "about": item.about,
            "signal": asdict(item.signal),
            "star": asdict(item.star),
            "cleaned": packed(item.cleaned, f"{k}.cleaned", arrays),
            "views": packed(item.views, f"{k}.views", arrays),
        })  # fmt: skip
    text = json.dumps(facts | {"signals": rows}).encode()
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, text=np.frombuffer(text, np.uint8), **arrays)
    partial.replace(path)


def facts_of(path: Path) -> Row:
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(arrays["text"].tobytes())


def signals_of(path: Path) -> Iterator[Kept]:
    with np.load(path, allow_pickle=False) as arrays:
        for row in json.loads(arrays["text"].tobytes())["signals"]:
            yield Kept(
                row["about"],
                unpacked(row["cleaned"], arrays),
                unpacked(row["views"], arrays),
                TransitSignal(**row["signal"]),
                Star(**row["star"]),
            )


def make(cache: Path, seeds: str, number: int, workers: int, most: int, only: str) -> None:
    """Make batches of each population until enough signals are kept."""
    for population in POPULATIONS:
        if only and population not in only.split(","):
            continue
        folder = cache / seeds / population
        folder.mkdir(parents=True, exist_ok=True)
        wanted = number if population != "binaries" else max(number // 3, 100)
        counted = Counter()

        def jobs(folder: Path = folder, population: str = population, wanted: int = wanted, counted=counted):
            for batch in range(most // BATCH):
                path = folder / f"{batch:05d}.npz"
                if path.exists():
                    facts = facts_of(path)
                    counted.update(stars=facts["stars"], signals=len(facts["signals"]))
                elif counted["signals"] < wanted:
                    yield path, population, batch, SEEDS[seeds]

        for _, (stars, signals) in in_processes(jobs(), make_batch, workers, lambda: False):
            counted.update(stars=stars, signals=signals)
        print(f"{seeds} {population}: {counted['signals']} signals of {counted['stars']} stars", flush=True)


# ------------------------------------------------------------------------------------------------ the tests


def vet_batch(job: tuple[Path, tuple[str, ...]]) -> int:
    """Put the tests, or those of these names, to every signal of a batch; other findings stay as they are."""
    path, only = job
    place = path.with_suffix(".json")
    before = json.loads(place.read_text()) if place.exists() else []
    rows = []
    for k, kept in enumerate(signals_of(path)):
        case = Case(kept.cleaned, kept.views, kept.signal, kept.star, VetSettings())
        row = before[k] if k < len(before) else {"about": kept.about, "signal": asdict(kept.signal), "findings": {}}
        for test in TESTS:
            name = test.__name__
            if only and name not in only and name in row["findings"]:
                continue
            begun = clock.process_time()
            try:
                f = test(case)
            except Exception as problem:
                f = Finding(name, Verdict.ERROR, None, None, None, f"{type(problem).__name__}: {problem}")
            row["findings"][name] = [f.status, f.value, f.sigma, f.limit, f.note, clock.process_time() - begun]
        row["findings"] = {t.__name__: row["findings"][t.__name__] for t in TESTS}
        rows.append(row)
    partial = place.with_suffix(".part")
    partial.write_text(json.dumps(rows))
    partial.replace(place)
    return len(rows)


def vet_all(cache: Path, seeds: str, workers: int, only: tuple[str, ...], newer: float) -> None:
    jobs = [
        (path, only)
        # batch by batch, so that a run that was stopped has something of every population
        for path in sorted((cache / seeds).glob("*/*.npz"), key=lambda path: (path.name, path))
        if not path.with_suffix(".json").exists() or path.with_suffix(".json").stat().st_mtime < newer
    ]
    done = sum(count for _, count in in_processes(jobs, vet_batch, workers, lambda: False))
    print(f"{seeds}: {done} signals vetted")


def findings_of(row: Row) -> list[Finding]:
    return [Finding(name, Verdict(f[0]), *f[1:5]) for name, f in row["findings"].items()]


def read_all(cache: Path, seeds: str) -> dict[str, list[Row]]:
    """All vetted signals over the threshold, by population."""
    rows: dict[str, list[Row]] = {population: [] for population in POPULATIONS}
    for population in POPULATIONS:
        for path in sorted((cache / seeds / population).glob("*.json")):
            rows[population] += [row for row in json.loads(path.read_text()) if row["signal"]["snr"] >= SNR_EDGES[0]]
    return rows


# ------------------------------------------------------------------------------------------------ the figures


def share(part: int, whole: int) -> Row:
    low, high = wilson(part, whole, CONFIDENCE) or (None, None)
    return {"number": whole, "share": round(part / whole, 5) if whole else None, "low": low, "high": high}


def curve(rows: list[Row], good: list[bool], of: Callable[[Row], float], edges: tuple[float, ...]) -> list[Row]:
    """Shares within bins."""
    values = np.array([of(row) for row in rows])
    points = []
    for low, high in pairwise(edges):
        inside = np.flatnonzero((values >= low) & (values < high))
        point = share(sum(good[k] for k in inside), inside.size)
        points.append({"low": low, "high": None if math.isinf(high) else high} | {"rate": point})
    return points


def snr_of(row: Row) -> float:
    return row["signal"]["snr"]


def period_of(row: Row) -> float:
    return row["signal"]["period"]


def cells(rows: list[Row], good: list[bool]) -> list[list[list[int]]]:
    """Signals, and good ones, in each cell of S/N and period."""
    table = [[[0, 0] for _ in PERIOD_EDGES[1:]] for _ in SNR_EDGES[1:]]
    for row, is_good in zip(rows, good, strict=True):
        k = int(np.searchsorted(SNR_EDGES, snr_of(row), "right")) - 1
        j = min(int(np.searchsorted(PERIOD_EDGES, period_of(row), "right")) - 1, len(PERIOD_EDGES) - 2)
        table[k][j][0] += 1
        table[k][j][1] += is_good
    return table


def reliability(effectiveness: float, per_passing: float) -> float:
    """R = 1 - (N_FA / N_passing) (1 - E) / E (Thompson et al. 2018), for so many false alarms a passing signal."""
    return 1 - per_passing * (1 - effectiveness) / effectiveness


def measure(rows: dict[str, list[Row]]) -> Row:
    """Completeness, effectiveness, and what each test contributes."""
    decided = {name: [decide(findings_of(row)) for row in group] for name, group in rows.items()}
    passed = {name: [d.word is Word.PLANET for d in group] for name, group in decided.items()}
    alarms = [row for name in FALSE_ALARMS for row in rows[name]]
    refused = [not p for name in FALSE_ALARMS for p in passed[name]]
    several = [k for k, row in enumerate(rows["planets"]) if (row["signal"]["n_transits"] or 0) >= 3]
    effectiveness = sum(refused) / max(len(refused), 1)
    report: Row = {
        "completeness": share(sum(passed["planets"]), len(rows["planets"])),
        "completeness_three_transits": share(sum(passed["planets"][k] for k in several), len(several)),
        "effectiveness": share(sum(refused), len(refused)),
        "effectiveness_inverted": share(passed["inverted"].count(False), len(rows["inverted"])),
        "effectiveness_scrambled": share(passed["scrambled"].count(False), len(rows["scrambled"])),
        "binaries_refused": share(passed["binaries"].count(False), len(rows["binaries"])),
        "reliability_by_false_alarms_per_passing_signal": {
            f"{n:g}": round(reliability(effectiveness, n), 4) for n in (1, 10, 35.2) if effectiveness
        },
        "completeness_by_snr": curve(rows["planets"], passed["planets"], snr_of, SNR_EDGES),
        "completeness_by_period": curve(rows["planets"], passed["planets"], period_of, PERIOD_EDGES),
        "effectiveness_by_snr": curve(alarms, refused, snr_of, SNR_EDGES),
        "effectiveness_by_period": curve(alarms, refused, period_of, PERIOD_EDGES),
    }
    report["words"] = {n: dict(Counter(str(d.word) for d in group).most_common()) for n, group in decided.items()}
    report["kinds"] = {n: dict(Counter(d.kind for d in g if d.kind).most_common()) for n, g in decided.items()}
    report["passed_by_truth"] = {
        name: {
            truth: share(sum(p for r, p in zip(group, passed[name], strict=True) if r["about"]["truth"] == truth), n)
            for truth, n in sorted(Counter(row["about"]["truth"] for row in group).items())
        }
        for name, group in rows.items()
        if name != "planets"
    }
    report["lost_planets"] = dict(
        Counter(d.because for d in decided["planets"] if d.word is not Word.PLANET).most_common(25)
    )
    report["tests"] = tests(rows)
    return report


def tests(rows: dict[str, list[Row]]) -> Row:
    """Of each test: how often it fails and was not run, how often it alone refuses, and its processor time."""
    found: Row = {}
    for name in [test.__name__ for test in TESTS]:
        entry: Row = {"role": str(TABLE[name].role)}
        for population, group in rows.items():
            states = [row["findings"][name][0] for row in group]
            alone = sum(
                row["findings"][name][0] == "fail"
                and decide([f for f in findings_of(row) if f.test != name] + [_passed(name)]).word is Word.PLANET
                for row in group
            )
            entry[population] = {
                "fail": round(states.count("fail") / max(len(states), 1), 4),
                "not_run": round(states.count("not_run") / max(len(states), 1), 4),
                "error": states.count("error"),
                "alone": alone,
            }
        times = [row["findings"][name][5] for group in rows.values() for row in group]
        found[name] = entry | {"cpu_ms": round(1e3 * float(np.mean(times)), 2)}
    return found


def _passed(name: str) -> Finding:
    return Finding(name, Verdict.PASS, None, None, None, "taken as passed")


def say(report: Row) -> None:
    for key in (
        "completeness",
        "effectiveness",
        "effectiveness_inverted",
        "effectiveness_scrambled",
        "binaries_refused",
    ):
        f = report[key]
        if f["number"]:
            print(f"{key:26s}{f['share']:.4f}  ({f['low']:.4f} to {f['high']:.4f}, {f['number']})")
    print(f"reliability {report['reliability_by_false_alarms_per_passing_signal']}")
    for key in ("completeness_by_snr", "completeness_by_period", "effectiveness_by_snr", "effectiveness_by_period"):
        print(key, "  ".join(f"{p['low']:g}: {p['rate']['share']} of {p['rate']['number']}" for p in report[key]))
    for key in ("words", "kinds"):
        for name, counts in report[key].items():
            print(f"{key} {name}: {counts}")
    for name, group in report["passed_by_truth"].items():
        print(f"passed {name}:", {t: f"{f['share']:.3f} of {f['number']}" for t, f in group.items()})
    for because, count in report["lost_planets"].items():
        print(f"  {count:4d} planets: {because}")
    print(f"{'test':18s}{'role':22s}" + "".join(f"{p:>26s}" for p in POPULATIONS) + "   ms  (fail/not run/alone)")
    for name, entry in report["tests"].items():
        told = "".join(
            f"{e['fail']:12.3f}{e['not_run']:7.3f}{e['alone']:5d}" + (f"!{e['error']}" if e["error"] else "  ")
            for e in (entry[p] for p in POPULATIONS)
        )
        print(f"{name:18s}{entry['role']:22s}{told}{entry['cpu_ms']:7.1f}")


def made_of(cache: Path, seeds: str) -> Row:
    """Stars, signals and processor seconds behind a set."""
    found: Row = {}
    for population in POPULATIONS:
        facts = [facts_of(path) for path in sorted((cache / seeds / population).glob("*.npz"))]
        seconds: Counter[str] = Counter()
        for item in facts:
            seconds.update(item["seconds"])
        found[population] = {
            "stars": sum(item["stars"] for item in facts),
            "signals": sum(len(item["signals"]) for item in facts),
            "cpu_seconds": {name: round(value, 1) for name, value in seconds.items()},
        }
    return found


def write_report(cache: Path) -> None:
    """benchmarks/disposition.json, and the table that the evidence reads its references from."""
    rows = read_all(cache, "report")
    report = measure(rows)
    words = [decide(findings_of(row)).word for row in rows["planets"]]
    planets = cells(rows["planets"], [word is Word.PLANET for word in words])
    alarms = [row for name in FALSE_ALARMS for row in rows[name]]
    refused = cells(alarms, [decide(findings_of(row)).word is not Word.PLANET for row in alarms])
    document = {
        "sky": "simulated",
        "seeds": SEEDS,
        "vet_version": VET_VERSION,
        "confidence": CONFIDENCE,
        "settings": asdict(VetSettings()),
        "tune": {"made": made_of(cache, "tune"), **_head(measure(read_all(cache, "tune")))},
        "report": {"made": made_of(cache, "report"), **report},
    }
    (ROOT / "benchmarks" / "disposition.json").write_text(json.dumps(document, indent=1) + "\n")
    (ROOT / "pipeline" / "disposition_rates.py").write_text(_table(planets, refused))
    say(report)


def _head(report: Row) -> Row:
    return {key: value for key, value in report.items() if key in ("completeness", "effectiveness", "binaries_refused")}


def _table(planets: list[list[list[int]]], alarms: list[list[list[int]]]) -> str:
    def block(name: str, counts: list[list[list[int]]], what: str) -> str:
        lines = "".join("    (" + ", ".join(f"({n}, {k})" for n, k in row) + "),\n" for row in counts)
        return f"{name} = (  # {what}\n{lines})  # fmt: skip\n"

    edges = ", ".join("math.inf" if math.isinf(edge) else f"{edge:g}" for edge in SNR_EDGES)
    return (
        '"""What the decision keeps and refuses, counted on simulated stars: by benchmarks/disposition.py report.\n\n'
        "A row for each bin of signal-to-noise, in it a pair of numbers for each bin of period.\n"
        '"""\n\nimport math\n\n'
        f"VET_VERSION = {VET_VERSION}  # of the tests that were counted, at their default thresholds\n"
        f"SNR_EDGES = ({edges})\n"
        f"PERIOD_EDGES = ({', '.join(f'{edge:g}' for edge in PERIOD_EDGES)})  # days\n\n"
        + block("PLANETS", planets, "injected planets that the search found, and those called planet candidates")
        + "\n"
        + block("FALSE_ALARMS", alarms, "signals of inverted and scrambled light curves, and those refused")
    )


# ------------------------------------------------------------------------------------------------ real light curves


def files(data: Path, only: str) -> None:
    """Hunt each light curve of truth.csv, vet what is found, and its true ephemeris, and say what is decided."""
    from hunter.archives.folder import FolderArchive
    from pipeline.errors import UnusableData
    from pipeline.vet import vet

    for row in csv.DictReader((data / "truth.csv").open()):
        if only not in row["path"]:
            continue
        archive = FolderArchive(data / row["path"])
        found = next(iter(archive.targets()))
        fetched = archive.fetch(found.target, found.sources)
        try:
            cleaned = clean([archive.read(product) for product in fetched.products])
        except UnusableData as problem:
            print(f"\n{row['kind']} {row['name']} {row['path']}: {problem}")
            continue
        result = search_many([cleaned.flat], SearchSettings(), [fetched.star])[0]
        signals = [("found", signal) for signal in result.signals if signal.alias_of is None]
        true = float(row["period_days"]) if row["period_days"] else None
        if true and float(row["snr_folded"] or 0) > 0:
            hours, depth = float(row["duration_hours"]) / 24, float(row["depth_folded_ppm"] or row["depth_ppm"]) / 1e6
            listed = TransitSignal(true, float(row["epoch_btjd"]), hours, depth, float(row["snr_folded"]))
            signals.append(("listed", listed))
        print(
            f"\n{row['kind']} {row['name']} TIC {row['tic_id']} findable {row['single_sector_findable']} {row['path']}"
        )
        if not any(how == "found" for how, _ in signals):
            print("  no signal found")
        judged: dict[int, tuple[Finding, ...]] = {}
        for how, signal in signals:
            others = eclipsing(cleaned, signal, result.signals, judged, SEARCH.mask_width) if how == "found" else ()
            own = alone(cleaned, others, SEARCH.mask_width)
            findings = vet(own, fold(own, signal), signal, fetched.star)
            if how == "found":
                judged[signal.number] = findings
            decided = decide(findings)
            right = "" if true is None else "its" if same(signal.period, true, row["kind"]) else "another"
            print(f"  {how} {right} P {signal.period:.5f} d S/N {signal.snr:.1f}: {words(decided)}")
            for reason in decided.reasons:
                if reason.side != "for":
                    print(f"      {reason.side}: {reason.text}")


def same(found: float, true: float, kind: str) -> bool:
    """Whether a period is the true one; a binary's may be half or twice it."""
    return any(abs(found / (ratio * true) - 1) < 0.01 for ratio in ((1.0,) if kind == "planet" else (1.0, 0.5, 2.0)))


def words(decided: Disposition) -> str:
    return f"{str(decided.word).upper()}{f' ({decided.kind})' if decided.kind else ''}: {decided.because}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "vet", "measure", "report", "files"))
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("disposition-cache"))
    parser.add_argument("--seeds", choices=tuple(SEEDS), default="report")
    parser.add_argument("--number", type=int, default=1000, help="signals of each population")
    parser.add_argument("--most", type=int, default=20_000, help="stars of each population, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="populations to make, tests to run again, or part of a path")
    parser.add_argument("--newer", type=float, default=math.inf, help="leave findings younger than this Unix time")
    asked = parser.parse_args()
    if asked.what == "make":
        make(asked.cache, asked.seeds, asked.number, asked.workers, asked.most, asked.only)
    elif asked.what == "vet":
        vet_all(asked.cache, asked.seeds, asked.workers, tuple(filter(None, asked.only.split(","))), asked.newer)
    elif asked.what == "measure":
        say(measure(read_all(asked.cache, asked.seeds)))
    elif asked.what == "report":
        write_report(asked.cache)
    else:
        files(asked.data, asked.only)


if __name__ == "__main__":
    main()
