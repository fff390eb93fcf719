"""Three hundred signals put to our tests and to LEO-Vetter 1.2.0, one after the other.

    python3.11 -m venv /tmp/oracle-leo
    /tmp/oracle-leo/bin/pip install 'leo-vetter==1.2.0' 'pandas==3.1.1' 'numpy==2.4.6' 'scipy==1.17.1' \\
        'lmfit==1.3.4' 'batman-package==2.5.3' 'brokenaxes==0.6.2'
    python -P benchmarks/disposition.py make --cache DIR --seeds report --number 1000
    python -P benchmarks/oracles/leo_cases.py run --cache DIR --rows ROWS [--seconds 600]
    python -P benchmarks/oracles/leo_cases.py report --rows ROWS          benchmarks/leo.json

LEO-Vetter (Kunimoto et al. 2025, AJ 170 280) is GPL and no dependency. It is asked as a black box: in an environment
and a process of its own (``--oracle`` names its Python), a line of JSON a signal each way, every socket blocked.

The signals are those of ``disposition.py report``, simulated, over S/N 7.1, evenly through what is kept: 120 planets,
60 inverted, 60 scrambled, 60 binaries. Both are handed the same cadences, detrended with the transits masked, and the
search's ephemeris; LEO is told errors of 10 % and 100 K of the star. ``run`` keeps a line a signal in ROWS: what LEO
has said is not asked again, ours is always new, but both times are of one run, each taken by its own process on one
thread. Three further planets at two-minute cadences tell the time at 19,000 points.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time as clock
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

ROOT = Path(__file__).parents[2]
NUMBERS = {"planets": 120, "inverted": 60, "scrambled": 60, "binaries": 60}
LONG = 3  # signals at two-minute cadences
LEAST_SNR = 7.1
METRICS = (
    "MES", "new_MES", "N_transit", "new_N_transit", "n_in", "zpt", "dep", "sig_w", "sig_r", "err", "SHP", "CHI", "DMM",
    "max_SES", "mean_chases", "sig_pri", "sig_sec", "sig_ter", "sig_pos", "Fred", "sine_sig", "sig_dep", "trap_sig_dep",
    "transit_sig_dep", "trap_sig_epo", "transit_sig_epo", "transit_aic", "line_aic", "transit_b",
    "transit_RpRs", "Rp", "albedo",
)  # fmt: skip
Row = dict[str, Any]


# ------------------------------------------------------------------------------------------------ the oracle's process


def answer_all() -> None:
    """Answer each line of standard input by a line of standard output."""
    import contextlib
    import io
    import socket
    import warnings

    def closed(*_: object, **__: object) -> None:
        raise OSError("the oracle may not use the network")

    socket.socket.connect = closed  # type: ignore[method-assign, assignment]
    socket.create_connection = closed  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    from leo_vetter.main import TCELightCurve
    from leo_vetter.thresholds import check_thresholds

    for line in sys.stdin:
        case = json.loads(line)
        arrays = [np.array(case[key]) for key in ("time", "raw", "flux", "flux_err")]
        said = io.StringIO()
        begun = clock.process_time()
        with contextlib.redirect_stdout(said):
            curve = TCELightCurve(1, *arrays, case["period"], case["epoch"], case["duration"])
            row: Row = {"error": None, "word": None, "failed": []}
            try:
                curve.compute_flux_metrics(case["star"], verbose=False)
                words = [word for word in ("FA", "FP") if check_thresholds(curve.metrics, word)]
                row["word"] = words[0] if words else "PC"
            except Exception as problem:
                row["error"] = f"{type(problem).__name__}: {problem}"
        row["cpu_s"] = round(clock.process_time() - begun, 4)
        if row["error"] is None:
            said.truncate(said.seek(0))
            with contextlib.redirect_stdout(said):
                for word in words:
                    check_thresholds(curve.metrics, word, verbose=True)
            row["failed"] = [text.strip() for text in said.getvalue().splitlines() if "Passed all" not in text]
        metrics = {key: float(curve.metrics[key]) for key in METRICS if key in curve.metrics}
        row["metrics"] = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        for key in ("tran_epochs", "SES", "rubble", "chases", "redchi2"):
            values = np.asarray(getattr(curve, key, []), float)
            row[key] = [float(value) if math.isfinite(value) else None for value in values]
        print(json.dumps(row), flush=True)


# ------------------------------------------------------------------------------------------------ our side


def chosen(cache: Path, only: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Names and kept signals, the same ones at every call; of these names alone, if any are given."""
    from disposition import facts_of, signals_of

    for population, number in NUMBERS.items():
        places = [
            (path, k)
            for path in sorted((cache / "report" / population).glob("*.npz"))
            for k, row in enumerate(facts_of(path)["signals"])
            if row["signal"]["snr"] >= LEAST_SNR
        ]
        if len(places) < number:
            raise SystemExit(f"{cache}: {len(places)} {population} are kept, {number} are needed")
        for path, k in (places[i * len(places) // number] for i in range(number)):
            name = f"{population} {path.stem}.{k}"
            if not only or name in only:
                yield name, list(signals_of(path))[k]


def long_ones() -> Iterator[tuple[str, Any]]:
    """Planets at two-minute cadences."""
    from disposition import SEARCH, SECTOR, SEEDS, Kept, catalogued, host, replace, truth_of

    from pipeline.clean import clean
    from pipeline.fold import fold
    from pipeline.search import search_many
    from pipeline.simulate import observe
    from pipeline.simulate.seeds import stream

    found, number = 0, 0
    while found < LONG:
        star = host("planets", number, SEEDS["report"])
        number += 1
        curve = clean([observe(star, replace(SECTOR, cadence_seconds=120.0), SEEDS["report"]).observation()])
        known = catalogued(star.star, stream(SEEDS["report"], "catalogue", star.key))
        for signal in search_many([curve.flat], SEARCH, [known])[0].signals:
            if signal.snr >= LEAST_SNR and truth_of("planets", star, signal) and found < LONG:
                found += 1
                about = {"population": "long", "truth": "planet", "host": star.kind, "tmag": star.star.tmag}
                yield f"long {number}.{signal.number}", Kept(about, curve, fold(curve, signal), signal, known)


def question(kept: Any) -> str:
    """What LEO-Vetter is asked."""
    from pipeline import limb_darkening

    curve, star, signal = kept.views.light_curve, kept.star, kept.signal
    u1, u2 = limb_darkening.quadratic(star).coefficients
    known = {"tic": 1, "rad": star.radius, "mass": star.mass, "Teff": star.teff, "rho": star.mass / star.radius**3,
             "e_rad": 0.1 * star.radius, "e_mass": 0.1 * star.mass, "e_Teff": 100.0, "u1": u1, "u2": u2}  # fmt: skip
    return json.dumps({
        "time": curve.time.tolist(), "raw": kept.cleaned.raw.flux.tolist(), "flux": curve.flux.tolist(),
        "flux_err": curve.flux_err.tolist(), "period": signal.period, "epoch": signal.epoch,
        "duration": signal.duration, "star": known,
    })  # fmt: skip


def ask_ourselves(kept: Any) -> Row:
    """Our tests, our decision, and the statistics of the moved ephemeris."""
    from pipeline.disposition import decide
    from pipeline.vet import VetSettings
    from pipeline.vetting import TESTS
    from pipeline.vetting.case import Case

    begun = clock.process_time()
    case = Case(kept.cleaned, kept.views, kept.signal, kept.star, VetSettings())
    findings = [test(case) for test in TESTS]
    decided = decide(findings)
    row: Row = {"cpu_s": round(clock.process_time() - begun, 4), "word": str(decided.word), "because": decided.because}
    row["failed"] = [f.test for f in findings if f.status == "fail"]
    row["owed"] = [f.test for f in findings if f.status in ("not_run", "error")]
    row["values"] = {f.test: f.value for f in findings}
    row["mapped"] = their_way(kept)
    series = case.series
    if isinstance(series, str):
        return row | {"series": series}
    seen = series.seen
    depth, err = series.mean(seen) if seen.any() else (math.nan, math.nan)
    return row | {
        "cycle": series.cycle[seen].tolist(),
        "ses": series.ses[seen, series.middle].tolist(),
        "points": series.points[seen, series.middle].tolist(),
        "mes": depth / err if err > 0 else None,
        "depth": depth,
        "white": series.white,
        "red": series.red,
    }


def their_way(kept: Any) -> Row:
    """MES and SES as LEO defines them: every cadence in transit counts, however few the transit has, and the red noise
    is that of all boxes, weighted by what they hold, none clipped."""
    from pipeline.ephemeris import cycle, phase
    from pipeline.vetting.series import Sums, relative_weights

    curve, signal = kept.views.light_curve, kept.signal
    away = np.abs(phase(curve.time, signal.period, signal.epoch)) * signal.period
    outside, inside = away > signal.duration, away < 0.5 * signal.duration
    weight = relative_weights(curve.flux_err)
    values = curve.flux - np.average(curve.flux[outside], weights=weight[outside])

    def variance(series: np.ndarray, weights: np.ndarray) -> float:
        return float(np.average((series - np.average(series, weights=weights)) ** 2, weights=weights))

    white = variance(values[outside], weight[outside])
    time = curve.time[outside]
    sums = Sums(
        time, values[outside], weight[outside], np.full(time.size, signal.duration)
    )  # so that no box is left out
    mean, points, _ = sums.between(time - 0.5 * signal.duration, time + 0.5 * signal.duration)
    red = max(variance(mean, points) - white * float(np.mean(1 / points)), 0.0)
    events, place = np.unique(cycle(curve.time, signal.period, signal.epoch)[inside], return_inverse=True)
    held = np.bincount(place, weight[inside])
    depth = -np.bincount(place, (weight * values)[inside]) / held
    total = float((held * depth).sum() / held.sum())
    mes = total / math.sqrt(white / held.sum() + red / events.size)
    return {
        "mes": mes,
        "red": math.sqrt(red),
        "cycle": events.tolist(),
        "ses": (depth / np.sqrt(white / held + red)).tolist(),
    }


def run(cache: Path, rows: Path, oracle: Path, seconds: float, only: tuple[str, ...]) -> None:
    """Put every signal, or those of these names anew, to both."""
    lines = rows.read_text().splitlines() if rows.exists() else []
    asked: dict[str, Row] = {row["name"]: row for row in map(json.loads, lines)}
    command = [str(oracle), str(Path(__file__).resolve()), "answer"]
    done: dict[str, Row] = {}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        begun, spent, warm = clock.process_time(), 0.0, False

        def put(kept: Any) -> Row:
            child.stdin.write(question(kept) + "\n")
            child.stdin.flush()
            return json.loads(child.stdout.readline())

        for source in (chosen(cache, only),) if only else (long_ones(), chosen(cache, only)):
            for name, kept in source:
                if clock.process_time() - begun + spent > seconds:
                    break
                before = None if only else asked.get(name)
                theirs = before and before["leo"]
                if not warm:  # neither's first signal is timed: it pays for compiling and loading
                    ask_ourselves(kept)
                    _ = put(kept) if theirs is None else None
                    warm = True
                theirs = put(kept) if theirs is None else theirs
                spent += theirs["cpu_s"]
                n, about = len(kept.views.light_curve), kept.about
                signal = {key: getattr(kept.signal, key) for key in ("period", "duration", "snr", "n_transits")}
                done[name] = {"name": name, "points": n, "about": about, "signal": signal, "leo": theirs}
                done[name]["ours"] = ask_ourselves(kept)
                if before:  # both times are of one run
                    done[name]["ours"]["cpu_s"] = before["ours"]["cpu_s"]
                if len(done) % 20 == 0:
                    keep(rows, asked | done)
                    print(len(done), f"{clock.process_time() - begun:.0f} s ours, {spent:.0f} s LEO", flush=True)
        child.stdin.close()
    keep(rows, asked | done)


def keep(rows: Path, found: dict[str, Row]) -> None:
    """Write a line a signal, by rename."""
    partial = rows.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in found.values()))
    os.replace(partial, rows)


# ------------------------------------------------------------------------------------------------ the figures


def spread(differences: list[float], within: float) -> Row:
    """Quantiles of relative differences, and the share of them within a limit."""
    values = np.array(differences)
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return {
        "number": values.size,
        "median": round(float(middle), 5),
        "median_size": round(float(np.median(np.abs(values))), 5),
        "from_16_to_84_percent": [round(float(low), 5), round(float(high), 5)],
        "within": within,
        "share_within": round(float(np.mean(np.abs(values) <= within)), 4),
    }


def cause(row: Row, limit: float = 0.02) -> str | None:
    """Why the fold's signal-to-noise differs by more than a limit: what of theirs, put into ours, brings it back."""
    ours, theirs = row["ours"], row["leo"]["metrics"]
    points, number = sum(ours["points"]), len(ours["points"])

    def apart(white: float, red: float) -> bool:
        return abs(ours["depth"] / math.sqrt(white**2 / points + red**2 / number) / theirs["MES"] - 1) > limit

    if not apart(ours["white"], ours["red"]):
        return None
    if not apart(ours["white"], theirs["sig_r"]):
        return "red noise"
    return "transits half observed" if apart(theirs["sig_w"], theirs["sig_r"]) else "white and red noise"


def covered(row: Row) -> bool:
    """Whether both saw the same transits, whole."""
    ours, theirs = row["ours"], row["leo"]
    same = ours["cycle"] == ours["mapped"]["cycle"]
    return same and abs(sum(ours["points"]) / theirs["metrics"]["n_in"] - 1) < 0.01


def strengths(rows: list[Row], key: str) -> list[float]:
    """Relative differences of the fold's signal-to-noise."""
    found = []
    for row in rows:
        ours, theirs = row["ours"], row["leo"]["metrics"]
        pair = {
            "as_defined": (ours["mes"], theirs["MES"]),
            "mapped": (ours["mapped"]["mes"], theirs["MES"]),
            "sound": (ours["values"]["strength"], theirs["new_MES"]),
        }[key]
        if None not in pair and pair[1] != 0:
            found.append(pair[0] / pair[1] - 1)
    return found


def events(rows: list[Row], key: str) -> list[float]:
    """Differences of the single transits' signal-to-noise, relative to theirs or to 1 where that is smaller."""
    found = []
    for row in rows:
        ours = row["ours"] if key == "as_defined" else row["ours"]["mapped"]
        own = dict(zip(ours["cycle"], ours["ses"], strict=True))
        for number, theirs in zip(row["leo"]["tran_epochs"], row["leo"]["SES"], strict=True):
            if theirs is not None and round(number) in own:
                found.append((own[round(number)] - theirs) / max(abs(theirs), 1.0))
    return found


def others(rows: list[Row]) -> Row:
    """Other statistics of one definition: the median size of their differences."""
    theirs_of = {
        "dimming": lambda metrics: metrics["SHP"],
        "single_event": lambda metrics: metrics["max_SES"] / metrics["MES"],
        "chases": lambda metrics: metrics["mean_chases"],
    }
    found: Row = {}
    for name, theirs in theirs_of.items():
        pairs = [(row["ours"]["values"][name], theirs(row["leo"]["metrics"])) for row in rows]
        sizes = [abs(ours - other) for ours, other in pairs if ours is not None and other is not None]
        found[name] = {"number": len(sizes), "median_size": round(float(np.median(sizes)), 5)}
    return found


def kept_by_us(row: Row) -> bool:
    return row["ours"]["word"] == "planet candidate"


def kept_by_them(row: Row) -> bool:
    return row["leo"]["word"] == "PC"


def kept_at_our_limits(row: Row) -> bool:
    """Whether LEO keeps it once two valid transits suffice and odd may differ from even by four sigmas, as for us."""
    of = {key: value or 0.0 for key, value in row["leo"]["metrics"].items()}
    fits = max(of.get("trap_sig_dep", 0.0), of.get("transit_sig_dep", 0.0))
    epochs = max(of.get("trap_sig_epo", 0.0), of.get("transit_sig_epo", 0.0))
    lifted = {
        "FA: not enough valid transits": of["new_N_transit"] == 2 and of["new_MES"] >= 6.2,
        "FP: odd-even transit differences": min(of["sig_dep"], fits) <= 4 and epochs <= 10,
    }
    return all(lifted.get(test, False) for test in row["leo"]["failed"])


def decisions(rows: list[Row]) -> Row:
    """Who keeps what, and who is right where they differ: the truth is known."""
    from disposition import share

    groups = {name: [row for row in rows if row["about"]["population"] == name] for name in NUMBERS}
    table: dict[str, Counter[str]] = {}
    for row in rows:
        table.setdefault(row["ours"]["word"], Counter())[row["leo"]["word"] or "error"] += 1
    same = [kept_by_us(row) == kept_by_them(row) for row in rows]
    return {
        "agree": share(sum(same), len(rows)),
        "agree_at_our_limits": share(sum(kept_by_us(row) == kept_at_our_limits(row) for row in rows), len(rows)),
        "agree_by_population": {
            name: share(sum(kept_by_us(row) == kept_by_them(row) for row in group), len(group))
            for name, group in groups.items()
        },
        "words_ours_against_theirs": {word: dict(counts.most_common()) for word, counts in table.items()},
        "kept": {
            name: {"ours": share(sum(map(kept_by_us, group)), len(group)),
                   "LEO": share(sum(map(kept_by_them, group)), len(group))}
            for name, group in groups.items()
        },
        "differ": {
            "planet, only we keep it": why(rows, True, True),
            "planet, only LEO keeps it": why(rows, True, False),
            "no planet, only we keep it": why(rows, False, True),
            "no planet, only LEO keeps it": why(rows, False, False),
        },
    }  # fmt: skip


def why(rows: list[Row], planet: bool, ours: bool) -> Row:
    """The signals that one of the two alone keeps: how many, which tests of the other refused them, and each."""
    chosen = [
        row
        for row in rows
        if (row["about"]["truth"] == "planet") == planet and kept_by_us(row) == ours and kept_by_them(row) != ours
    ]

    def refusal(row: Row) -> str:
        return ("; ".join(row["leo"]["failed"]) or row["leo"]["error"]) if ours else row["ours"]["because"]

    return {
        "number": len(chosen),
        "because": dict(Counter(map(refusal, chosen)).most_common()),
        "signals": [
            {"name": row["name"], "host": row["about"]["host"], **row["signal"], "ours": row["ours"]["word"],
             "LEO": row["leo"]["word"], "because": refusal(row)}
            for row in chosen
        ],
    }  # fmt: skip


def report(rows: Path) -> None:
    """benchmarks/leo.json."""
    from disposition import SEEDS

    from pipeline.vet import VERSION

    every = [json.loads(line) for line in rows.read_text().splitlines()]
    long = [row for row in every if row["about"]["population"] == "long"]
    usual = [row for row in every if row["about"]["population"] != "long"]
    measured = [row for row in usual if row["ours"].get("mes") is not None and "MES" in row["leo"]["metrics"]]
    whole = [row for row in measured if covered(row)]
    steady = [row for row in measured if row["about"]["population"] == "planets"]

    def seconds(group: list[Row], side: str) -> Row:
        times = [row[side]["cpu_s"] for row in group]
        return {"median": round(float(np.median(times)), 3), "most": round(max(times), 3)}

    document = {
        "sky": "simulated",
        "oracle": "leo-vetter 1.2.0",
        "seed": SEEDS["report"],
        "vet_version": VERSION,
        "signals": dict(Counter(row["about"]["population"] for row in usual)),
        "errors": Counter(row["leo"]["error"] for row in usual if row["leo"]["error"]),
        "mes": {
            "as_each_defines_it": spread(strengths(measured, "as_defined"), 0.02),
            "of_planets": spread(strengths(steady, "as_defined"), 0.02),
            "same_transits_whole": spread(strengths(whole, "as_defined"), 0.02),
            "of_the_sound_transits": spread(strengths(measured, "sound"), 0.02),
            "ours_their_way": spread(strengths(measured, "mapped"), 0.02),
            "beyond_because_of": {
                name: dict(Counter(filter(None, map(cause, group))).most_common())
                for name in NUMBERS
                if (group := [row for row in measured if row["about"]["population"] == name])
            },
        },
        "ses": {
            "as_each_defines_it": spread(events(measured, "as_defined"), 0.05),
            "of_planets": spread(events(steady, "as_defined"), 0.05),
            "same_transits_whole": spread(events(whole, "as_defined"), 0.05),
            "ours_their_way": spread(events(measured, "mapped"), 0.05),
        },
        "others_of_planets": others(steady),
        "decisions": decisions(usual),
        "cpu_s": {
            "points": int(np.median([row["points"] for row in usual])),
            "ours": seconds(usual, "ours"),
            "LEO": seconds(usual, "leo"),
            "two_minute_cadences": {
                "points": [row["points"] for row in long],
                "ours": [row["ours"]["cpu_s"] for row in long],
                "LEO": [row["leo"]["cpu_s"] for row in long],
            },
        },
    }
    (ROOT / "benchmarks" / "leo.json").write_text(json.dumps(document, indent=1) + "\n")
    decided = document["decisions"]
    print(json.dumps({key: document[key] for key in ("signals", "errors", "mes", "ses", "cpu_s")}, indent=1))
    for key in ("agree", "agree_at_our_limits", "agree_by_population", "words_ours_against_theirs", "kept"):
        print(key, decided[key])
    for key, entry in decided["differ"].items():
        print(f"{key}: {entry['number']}")
        for because, count in entry["because"].items():
            print(f"  {count:3d} {because}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "report", "answer"))
    parser.add_argument("--cache", type=Path, default=Path("disposition-cache"))
    parser.add_argument("--rows", type=Path, default=Path("leo-rows.jsonl"))
    parser.add_argument("--oracle", type=Path, default=Path("/tmp/oracle-leo/bin/python"))
    parser.add_argument("--seconds", type=float, default=math.inf, help="of processor time of both, then stop")
    parser.add_argument("--only", default="", help="names of signals to ask about anew")
    asked = parser.parse_args()
    if asked.what == "answer":
        answer_all()
        return
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    if asked.what == "run":
        run(asked.cache, asked.rows, asked.oracle, asked.seconds, tuple(filter(None, asked.only.split(","))))
    else:
        report(asked.rows)


if __name__ == "__main__":
    main()
