"""What the sheet and the page of one candidate cost in processor time, and what they look like.

    python benchmarks/sheet.py [--record] [--out DIR]     a SIMULATED star with pixels, 20,000 cadences, every panel

The figures of `benchmarks/vet.py speed` say what the tests before it cost.
"""

import argparse
import json
import os
import platform
import time as clock
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from candidates.closer import closer_data
from candidates.evidence import build_evidence, candidate_name, to_json
from candidates.page import render_page
from candidates.plots import draw_sheet
from candidates.reading import validate
from pipeline.clean import DetrendSettings, detrend
from pipeline.fold import fold
from pipeline.portrait import portray
from pipeline.simulate.pixels import Scene, SceneStar, render
from pipeline.surroundings import look_around
from pipeline.types import CleanedLightCurve, LightCurve, Product, Score, SearchResult, Star, Target, TransitSignal
from pipeline.vet import vet

CADENCES = 20_000
SECTORS = (1, 2)
DAYS = 27.0
NOISE = 400e-6
SIGNAL = TransitSignal(
    3.1234567, 1326.5, 0.125, 0.0021, 60.0, period_err=2e-4, epoch_err=1e-3, depth_err=3e-5, n_transits=16, sde=14.0,
    false_alarm_probability=1e-8, false_alarm_nulls=7,
)  # fmt: skip
STAR = Star(tmag=10.0, teff=5700.0, logg=4.4, radius=1.0, mass=1.0, ra=84.3, dec=-60.5)
SCENE = Scene(
    stars=(SceneStar(5.2, 4.9, 10.0, depth=SIGNAL.depth), SceneStar(6.9, 6.4, 12.0), SceneStar(2.1, 7.5, 13.0)),
    cadence_seconds=600.0,
)


def light_curve() -> CleanedLightCurve:
    """Two sectors with a slow wave, white noise and transits with round shoulders."""
    random = np.random.default_rng(1)
    starts = [1325.0 + 28.0 * place for place in range(len(SECTORS))]
    each = CADENCES // len(SECTORS)
    time = np.concatenate([start + np.arange(each) * DAYS / each for start in starts])
    since = (time - SIGNAL.epoch + 0.5 * SIGNAL.period) % SIGNAL.period - 0.5 * SIGNAL.period
    dip = SIGNAL.depth * np.clip((0.5 * SIGNAL.duration - np.abs(since)) / (0.1 * SIGNAL.duration), 0, 1)
    wave = 0.004 * np.sin(2 * np.pi * time / 9.0)
    segment = np.repeat(np.arange(len(SECTORS)), each)
    raw = LightCurve(
        time, (1 + wave) * (1 - dip) + NOISE * random.standard_normal(time.size), np.full(time.size, NOISE)
    )
    products = tuple(
        Product(f"/data/s{n}.fits", f"{n:064x}", "TESS", "SPOC", "PDCSAP_FLUX", n, 1, 1, 120.0, 42) for n in SECTORS
    )
    column, row = 1e-3 * random.standard_normal((2, time.size))
    exposure = np.full(time.size, DAYS / each)
    flat = detrend(raw, segment, DetrendSettings())
    return CleanedLightCurve(flat, raw, segment, exposure, column, row, products, {}, tuple(range(len(SECTORS))))


def measure() -> tuple[dict[str, object], dict[str, bytes]]:
    """Processor seconds of each part, and the files of the candidate."""
    cleaned = light_curve()
    views = fold(cleaned, SIGNAL)
    trial = np.geomspace(0.5, 27.0, 20_000)
    power = 4 + 56 * np.exp(-0.5 * ((trial / SIGNAL.period - 1) / 0.002) ** 2)
    result = SearchResult(trial, power, np.array([0.06, 0.2]), np.array([2e-4, 1e-4]), (SIGNAL,), SIGNAL)
    pixels, stars = render(SCENE, SIGNAL, seed=1)
    target = Target("TIC", stars[0].key, STAR)
    around = look_around(target, SIGNAL, cleaned, (pixels,), stars, (None,), {}, None, ())
    findings = vet(cleaned, views, SIGNAL, STAR)
    spent: dict[str, object] = {}

    def timed(name, task):
        begin = clock.process_time()
        made = task()
        spent[f"{name}_seconds"] = round(clock.process_time() - begin, 2)
        return made

    portrait = timed("portrait", lambda: portray(cleaned, views, SIGNAL, STAR))
    score = Score(0.96, 3.1, "none: a benchmark", "0" * 64, 0.85, 0.5, members=(0.95, 0.97))
    evidence = timed(
        "evidence",
        lambda: build_evidence(
            target=target,
            cleaned=cleaned,
            result=result,
            signal=SIGNAL,
            views=views,
            findings=findings,
            score=score,
            run={"settings": {"search": {"snr": 7.1}}, "versions": {"numpy": np.__version__}},
            name=candidate_name(target, SIGNAL),
            surroundings=around,
            portrait=portrait,
        ),
    )
    validate(evidence.document)
    sheet = timed("sheet", lambda: draw_sheet(evidence, cleaned, result, views, around))
    page = timed(
        "page",
        lambda: render_page(evidence, sheet.png, closer_data(evidence.document, cleaned, result, views)),
    )
    files = {"png": sheet.png, "pdf": sheet.pdf, "html": page.encode(), "json": to_json(evidence.document)}
    spent |= {"bytes": {kind: len(data) for kind, data in files.items()}, "cadences": CADENCES, "sky": "simulated"}
    return spent | {"verdict": evidence.document["verdict"]["disposition"]}, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the result in sheet.json")
    parser.add_argument("--out", type=Path, help="write the files into this folder, to look at")
    asked = parser.parse_args()
    result, files = measure()
    result["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, one thread"
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        for kind, data in files.items():
            (asked.out / f"sheet.{kind}").write_bytes(data)
    if asked.record:
        Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
