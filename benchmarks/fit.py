"""Do the errors of a fit hold the truth as often as they say, is its light right, and what does it cost?

    python benchmarks/fit.py sbc --number 500 --kept FILE        truths drawn from the prior, white noise
    python benchmarks/fit.py sbc --number 200 --noise red ..     the same below noise that remembers, detrended
    python benchmarks/fit.py model --number 1000                 the light against batman
    python benchmarks/fit.py binning --number 20                 fine bins and many groups against the usual ones
    python benchmarks/fit.py speed                               processor seconds of one fit
    python benchmarks/fit.py real ../shared/data                 fits of the planets of truth.csv, and what is published
    python benchmarks/fit.py inject ../shared/data --number 8    each of them again at 8 other phases of its own star
    ..  --record                                                 into fit.json

Simulated light curves throughout, but for ``real`` and ``inject`` (simulated transits in real noise). What ``sbc`` has
done lies in ``--kept``, a line for each simulation: it may be stopped at any time and goes on where it was.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import csv
import gzip
import json
import math
import platform
import time as clock
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, chisquare

from pipeline import clean as cleaning
from pipeline import fit as fitting
from pipeline.clean import DetrendSettings, detrend
from pipeline.ephemeris import phase, transit_mask
from pipeline.fit import FitSettings
from pipeline.fit.fitting import UNITS, believe, natural
from pipeline.fit.model import Shapes, mean_dim
from pipeline.fit.priors import EPOCH, PERIOD, WHITE
from pipeline.fold import fold
from pipeline.types import CleanedLightCurve, Floats, LightCurve, Observation, Star, TransitSignal
from pipeline.vet import VetSettings
from pipeline.vetting.case import Case

ROOT = Path(__file__).parent
SUN = Star(tmag=10.0, teff=5772.0, logg=4.438, radius=1.0, mass=1.0)
NOISE = 600e-6  # in 30 minutes
# radius ratios that can be seen in one sector; all else is as in a hunt
NARROW = FitSettings(smallest_ratio=0.02, largest_ratio=0.2)
LEAST_SNR = 8.0  # of the box on the search's ephemeris: data alone decide, which leaves the ranks of truths flat


def cadences(minutes: float) -> Floats:
    """A sector with a pause of 1.1 days in the middle."""
    time = 1325.0 + np.arange(0.0, 27.0, minutes / 1440)
    return time[np.abs(time - 1338.5) > 0.55]


def red_noise(time: Floats, sigma: float, hours: float, rng: np.random.Generator) -> Floats:
    """First-order autoregressive noise."""
    keep = np.concatenate(([0.0], np.exp(-np.diff(time) * 24 / hours)))
    kick = rng.normal(size=time.size) * np.sqrt(1 - keep**2)
    series, last = np.empty(time.size), 0.0
    for i in range(time.size):
        series[i] = last = keep[i] * last + kick[i]
    return sigma * series


def scene(time: Floats, flux: Floats, minutes: float, detrended: bool) -> CleanedLightCurve:
    segment = (time > 1338.5).astype(np.int64)
    raw = LightCurve(time, flux, np.full(time.size, NOISE))
    flat = detrend(raw, segment, DetrendSettings()) if detrended else raw
    unknown = np.full(time.size, np.nan)
    return CleanedLightCurve(flat, raw, segment, np.full(time.size, minutes / 1440), unknown, unknown, (), {})


def case_of(cleaned: CleanedLightCurve, signal: TransitSignal, star: Star, detrended: bool) -> Case:
    views = fold(cleaned, signal, detrending=DetrendSettings() if detrended else DetrendSettings(method="none"))
    return Case(cleaned, views, signal, star, VetSettings())


def draw(rng: np.random.Generator, noise: str, minutes: float, settings: FitSettings = NARROW) -> tuple[Case, Floats]:
    """A case and the truth it was made of, drawn from the prior of its fit until the box finds it."""
    time = cadences(minutes)
    period = float(np.exp(rng.uniform(np.log(1.5), np.log(8.0))))
    signal = TransitSignal(period, 1325.0 + float(rng.uniform(0, period)), 0.9 * 0.0756 * period ** (1 / 3), 1e-3, 20.0)
    red = noise == "red"
    empty = scene(time, 1 + NOISE * rng.normal(size=time.size), minutes, False)
    priors = believe(case_of(empty, signal, SUN, False), settings)
    while True:
        truth = priors.draw(1, rng)
        white = NOISE * math.sqrt(30 / minutes) * math.exp(rng.uniform(-1.0, 1.0))
        truth[:, WHITE] = np.log(white)
        since = time - truth[0, EPOCH]
        since -= truth[0, PERIOD] * np.round(since / truth[0, PERIOD])
        flux = 1 - mean_dim(priors.shapes(truth), since[None], np.full(time.size, minutes / 1440))[0]
        flux = flux + white * rng.normal(size=time.size)
        if red:  # half the white noise of 30 minutes
            flux = flux + red_noise(time, 0.5 * white * math.sqrt(minutes / 30), 6.0, rng)
        if box_snr(time, flux, signal) > LEAST_SNR:
            return case_of(scene(time, flux, minutes, red), signal, SUN, red), truth


def box_snr(time: Floats, flux: Floats, signal: TransitSignal) -> float:
    """Of the mean flux of a box on the search's ephemeris against all other, for the noise between neighbours."""
    inside = transit_mask(time, signal.period, signal.epoch, signal.duration)
    white = float(np.std(np.diff(flux))) / math.sqrt(2)
    return float((flux[~inside].mean() - flux[inside].mean()) / white * math.sqrt(inside.sum()))


def one(seed: int, number: int, noise: str, minutes: float) -> dict[str, object]:
    """Fit one simulation: the share of its posterior that lies below each true value."""
    case, truth = draw(np.random.default_rng([seed, number]), noise, minutes)
    began = clock.process_time()
    told = fitting.fit(
        case.cleaned, case.views, case.signal, case.star, settings=replace(NARROW, seed=1000 * seed + number)
    )
    spent = clock.process_time() - began
    out: dict[str, object] = {
        "number": number, "status": told.status, "reason": told.reason, "steps": told.steps,
        "autocorrelation": told.autocorrelation_steps, "cpu_s": round(spent, 2),
        "snr": round(box_snr(case.light_curve.time, case.light_curve.flux, case.signal), 1),
    }  # fmt: skip
    if told.status == "done":
        true = natural(truth, believe(case, NARROW), 1.0)[0]
        out["rank"] = {name: float((told.draws[:, i] < true[i]).mean()) for i, name in enumerate(UNITS)}
        out["true"] = dict(zip(UNITS, true.tolist(), strict=True))
    return out


def sbc(number: int, noise: str, minutes: float, seed: int, kept: Path) -> dict[str, object]:
    done = {}
    if kept.exists():
        lines = [json.loads(line) for line in kept.read_text().splitlines() if line.endswith("}")]
        done = {line["number"]: line for line in lines}
    with open(kept, "a") as file:
        for i in range(number):
            if i not in done:
                done[i] = one(seed, i, noise, minutes)
                file.write(json.dumps(done[i]) + "\n")
                file.flush()
    return counted([done[i] for i in range(number)], noise, minutes)


def counted(found: list[dict], noise: str, minutes: float) -> dict[str, object]:
    """Coverage and flatness of the ranks of each parameter."""
    good = [line for line in found if line["status"] == "done"]
    out: dict[str, object] = {
        "noise": f"simulated, {noise}", "cadence_minutes": minutes, "simulations": len(found), "converged": len(good),
        "cpu_s_median": float(np.median([line["cpu_s"] for line in found])),
        "cpu_s_p90": float(np.quantile([line["cpu_s"] for line in found], 0.9)),
        "steps_median": float(np.median([line["steps"] for line in found])),
        "snr_quartiles": [float(value) for value in np.quantile([line["snr"] for line in found], [0.25, 0.5, 0.75])],
    }  # fmt: skip
    for name in UNITS:
        rank = np.array([line["rank"][name] for line in good])
        inside = int((np.abs(rank - 0.5) < 0.34).sum())
        bins = np.histogram(rank, np.linspace(0, 1, 11))[0]
        out[name] = {
            "coverage_68": round(inside / max(rank.size, 1), 3),
            "coverage_95": round(float((np.abs(rank - 0.5) < 0.475).mean()), 3),
            "binomial_p": round(float(binomtest(inside, max(rank.size, 1), 0.68).pvalue), 4),
            "rank_p": round(float(chisquare(bins).pvalue), 4),
            "histogram": bins.tolist(),
        }
    return out


def model(number: int, seed: int) -> dict[str, object]:
    """The largest difference from batman, averaged over the same exposures on 2001 midpoints."""
    import batman

    rng = np.random.default_rng(seed)
    worst = {2.0: 0.0, 30.0: 0.0}
    for _ in range(number):
        ratio = rng.uniform(0.005, 0.5)
        period, impact = math.exp(rng.uniform(math.log(0.6), math.log(30))), rng.uniform(0, 1 + ratio)
        duration = rng.uniform(0.02, 0.1) * min(period, 4.0)
        u1 = rng.uniform(0, 0.7)
        u2 = rng.uniform(-0.5 * u1, 1 - u1)
        shapes = Shapes(*(np.array([value]) for value in (period, ratio, impact, duration, u1, u2)))
        axis = float(shapes.scaled_axis[0])
        given = batman.TransitParams()
        given.t0, given.per, given.rp, given.a, given.ecc, given.w = 0.0, period, ratio, axis, 0.0, 90.0
        given.inc, given.u, given.limb_dark = math.degrees(math.acos(impact / axis)), [u1, u2], "quadratic"
        for minutes in worst:
            exposure = minutes / 1440
            time = np.sort(rng.uniform(-1, 1, 60)) * (0.55 * duration + 0.5 * exposure)
            points = 301 if minutes < 10 else 2001
            offsets = exposure * ((np.arange(points) + 0.5) / points - 0.5)
            moments = (time[:, None] + offsets).ravel()
            theirs = batman.TransitModel(given, moments).light_curve(given).reshape(time.size, -1).mean(axis=1)
            ours = 1 - mean_dim(shapes, time[None], np.full(time.size, exposure))[0]
            worst[minutes] = max(worst[minutes], 1e6 * float(np.abs(ours - theirs).max()))
    return {"transits": number, "largest_ppm": {f"{minutes:g} minutes": round(w, 3) for minutes, w in worst.items()}}


def binning(number: int, seed: int) -> dict[str, object]:
    """How far medians and errors move, in sigmas, when bins are four times finer and every transit is a group."""
    moved: dict[str, list[float]] = {name: [] for name in UNITS}
    wider: dict[str, list[float]] = {name: [] for name in UNITS}
    for i in range(number):
        case, _ = draw(np.random.default_rng([seed, i]), "white", 10.0)
        pair = [
            fitting.fit(case.cleaned, case.views, case.signal, case.star, settings=replace(NARROW, **given))
            for given in ({}, {"fineness": 4.0, "groups": 30, "seed": 2})
        ]
        if any(told.status != "done" for told in pair):
            continue
        for name in UNITS:
            usual, fine = (told.parameters[name] for told in pair)
            width, fine_width = usual.minus + usual.plus, fine.minus + fine.plus
            moved[name].append(2 * (fine.median - usual.median) / fine_width)
            wider[name].append(width / fine_width)
    return {
        name: {
            "rms_sigma": round(float(np.sqrt(np.mean(np.square(moved[name])))), 3),
            "largest_sigma": round(float(np.max(np.abs(moved[name]))), 3),
            "width_ratio": round(float(np.mean(wider[name])), 3),
        }
        for name in UNITS
    }


def speed(seed: int) -> dict[str, object]:
    """Processor seconds of fits of one sector at 2 and at 10 minutes."""
    out: dict[str, object] = {}
    for minutes in (2.0, 10.0, 30.0):
        spent, steps = [], []
        for i in range(5):
            case, _ = draw(np.random.default_rng([seed, i]), "white", minutes)
            began = clock.process_time()
            told = fitting.fit(case.cleaned, case.views, case.signal, case.star, settings=NARROW)
            spent.append(clock.process_time() - began)
            steps.append(told.steps)
        out[f"{minutes:g} minutes"] = {"cpu_s": [round(s, 1) for s in sorted(spent)], "steps": steps}
    return out


PLANETS = ("HD_202772_A_b", "00025155310", "pi_Men_c.fits", "0000000261136679", "TIC_100100827_TESS", "TIC_283722336")
COMPARED = ("period_days", "epoch_btjd", "depth_ppm", "duration_hours", "radius_ratio", "scaled_axis",
            "impact_parameter")  # fmt: skip
# what papers say, value and error; a T14 that is not printed follows from their axis, ratio and inclination
LITERATURE = {
    "100100827": (
        "Deline et al. 2025, A&A 699, A150 (doi:10.1051/0004-6361/202450939), table 3: CHEOPS, TESS, Spitzer",
        {"period_days": (0.941452379, 1.6e-8), "epoch_btjd": (1375.169847, 1.9e-5), "radius_ratio": (0.09757, 1.3e-4),
         "scaled_axis": (3.493, 0.011), "impact_parameter": (0.360, 0.010), "duration_hours": (2.180, 0.007)},
    ),
    "261136679": (
        "Huang et al. 2018, ApJL 868, L39: TESS sector 1",
        {"period_days": (6.2679, 4.6e-4), "epoch_btjd": (1325.50400, 9.7e-4), "radius_ratio": (0.01703, 2.4e-4),
         "duration_hours": (2.953, 0.047)},
    ),
}  # fmt: skip
OCCULTED = {"100100827": 340.4e-6}  # light of the planet's day side (Deline et al. 2025)


def planets(root: Path) -> list[dict[str, str]]:
    """The rows of truth.csv that one sector is enough for."""
    with open(root / "truth.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if any(part in row["path"] for part in PLANETS)]


def observed(root: Path, row: dict[str, str]) -> tuple[list[Observation], Star]:
    """The file of a row as the hunt reads it."""
    from hunter.archives.folder import FolderArchive
    from hunter.settings import load

    path = root / row["path"]
    settings = load(str(root), {"archive.source": str(path.parent)})
    archive = FolderArchive(path.parent, settings.archive, only=[path])
    offered = next(iter(archive.targets()))
    fetched = archive.fetch(offered.target, offered.sources)
    return [archive.read(product) for product in fetched.products], fetched.star


def hunted(
    observations: list[Observation], star: Star, period: float, epoch: float | None = None
) -> tuple[fitting.TransitFit, float, list[TransitSignal]] | None:
    """Clean, search, fold and fit; the fit, its processor seconds, all signals, or None where it is not found."""
    from pipeline.search import search

    cleaned = cleaning.clean(observations)
    signals = [item for item in search(cleaned.flat, star=star).signals if item.alias_of is None]

    def meant(item: TransitSignal) -> bool:
        late = 0.0 if epoch is None else float(phase(epoch, item.period, item.epoch)) * item.period
        return abs(item.period / period - 1) < 0.01 and abs(late) < item.duration

    signal = next((item for item in signals if meant(item)), None)
    if signal is None:
        return None
    others = [item for item in signals if item is not signal]
    views = fold(cleaned, signal)
    began = clock.process_time()
    told = fitting.fit(cleaned, views, signal, star, others)
    return told, clock.process_time() - began, [signal, *others]


def real(root: Path, only: str) -> dict[str, Any]:
    """Search, fold and fit the real light curves of the planets of truth.csv; compare with what is published."""
    out: dict[str, Any] = {}
    for row in planets(root):
        name = Path(row["path"]).name
        if only not in name:
            continue
        observations, star = observed(root, row)
        found = hunted(observations, star, float(row["period_days"]))
        if found is None:
            out[name] = {"name": row["name"], "status": "not found"}
            continue
        told, spent, _ = found
        line: dict[str, object] = {"name": row["name"], "status": told.status, "reason": told.reason,
                                   "method": told.method, "cpu_s": round(spent, 1), "steps": told.steps,
                                   "lengths": round(told.lengths, 1), "transits": len(told.transit_times),
                                   "star": {"radius": star.radius, "mass": star.mass, "logg": star.logg,
                                            "teff": star.teff}}  # fmt: skip
        estimates = told.parameters | told.derived
        line["fitted"] = {
            name: [float(f"{value:.10g}") for value in (e.median, e.minus, e.plus)] for name, e in estimates.items()
        }
        if told.status == "done":
            line["compared"] = [{"source": source, **compared(told, values)} for source, values in published(root, row)]
            line["depth_folded_ppm"] = float(row["depth_folded_ppm"])
        out[name] = line
    return out


Values = dict[str, tuple[float, float | None]]  # each with its error, where one is told


def published(root: Path, row: dict[str, str]) -> list[tuple[str, Values]]:
    """What catalogues and papers say of a planet: source and values."""
    number = lambda text: float(text) if text else None  # noqa: E731
    toi = row["name"].split("TOI-")[1].rstrip(")")
    found: list[tuple[str, Values]] = []
    table = {"period_days": "pl_orbper", "epoch_btjd": "pl_tranmid", "depth_ppm": "pl_trandep",
             "duration_hours": "pl_trandurh"}  # fmt: skip
    for line in rows_of(root / "catalogs" / "toi_nexsci_2025-10-04.csv.gz", "toi", toi):
        values = {name: (float(line[key]), number(line[f"{key}err1"])) for name, key in table.items()}
        values["epoch_btjd"] = (values["epoch_btjd"][0] - 2457000, values["epoch_btjd"][1])
        found.append(("NASA Exoplanet Archive, TOI table of 2025-10-04, from which truth.csv is", values))
    table = {"period_days": "Orbital Period", "epoch_btjd": "Epoch", "depth_ppm": "Transit Depth",
             "duration_hours": "Transit Duration"}  # fmt: skip
    for line in rows_of(root / "catalogs" / "toi_mit_early.csv.gz", "Full TOI ID", toi):
        # QLP gives the errors of depths as fractions of a percent, which none of its depths can be known to
        known = {name: number(line[f"{key} Error"]) for name, key in table.items()}
        if line["Source Pipeline"] == "qlp":
            known["depth_ppm"] = None
        values = {name: (float(line[f"{key} Value"]), known[name] or None) for name, key in table.items()}
        found.append((f"TOI catalogue of 2021 ({line['Source Pipeline'].upper()}, sectors {line['Sectors']})", values))
    table = {"period_days": "TPERIOD", "epoch_btjd": "TEPOCH", "depth_ppm": "TDEPTH", "duration_hours": "TDUR"}
    for line in rows_of(root / "catalogs" / "tess_spoc_tces_s1-s4.csv.gz", "TID", row["tic_id"]):
        if line["sector"] == f"{row['sector']}.0" and line["n_det"] == "0":
            values = {name: (float(line[key]), None) for name, key in table.items()}
            found.append((f"SPOC's threshold crossing event of sector {row['sector']}", values))
    if row["tic_id"] in LITERATURE:
        found.append(LITERATURE[row["tic_id"]])
    return found


def rows_of(path: Path, column: str, value: str) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return [line for line in csv.DictReader(text for text in file if text[0] != "#") if line[column] == value]


def compared(told: fitting.TransitFit, values: Values) -> dict[str, object]:
    """Fitted and published value with their errors, and the deviation in both together where both are known."""
    estimates, out = told.parameters | told.derived, {}
    for name, (value, err) in values.items():
        e = estimates[name]
        if name == "epoch_btjd":  # carried to the fitted one with the published period
            period, period_err = values["period_days"]
            turns = round((e.median - value) / period)
            value += turns * period
            err = None if err is None or period_err is None else math.hypot(err, turns * period_err)
        side = e.plus if value > e.median else e.minus
        out[name] = {
            "fitted": float(f"{e.median:.10g}"), "err": float(f"{0.5 * (e.minus + e.plus):.3g}"),
            "published": float(f"{value:.10g}"), "published_err": None if err is None else float(f"{err:.3g}"),
            "sigma": None if err is None else round((e.median - value) / math.hypot(side, err), 2),
        }  # fmt: skip
    return out


def inject(root: Path, number: int, only: str) -> dict[str, Any]:
    """The planet once more in the light curve of its own star, at other phases, its own transits taken out.

    What comes back of depth and duration says what detrending and fit do to them in this noise: the same period,
    shape and star, and another truth in nothing but the epoch.
    """
    out: dict[str, Any] = {}
    for row in planets(root):
        if only not in row["path"]:
            continue
        observations, star = observed(root, row)
        found = hunted(observations, star, float(row["period_days"]))
        if found is None:
            continue
        own, _, signals = found
        true = {name: e.median for name, e in (own.parameters | own.derived).items()}
        shapes = Shapes(*(np.array([true[name] / (24 if name == "duration_hours" else 1)])
                          for name in ("period_days", "radius_ratio", "impact_parameter", "duration_hours",
                                       "limb_darkening_1", "limb_darkening_2")))  # fmt: skip
        deviations: dict[str, list[float]] = {name: [] for name in COMPARED}
        moved: dict[str, list[float]] = {name: [] for name in COMPARED}
        status: list[str] = []
        for i in range(number):
            epoch = true["epoch_btjd"] + true["period_days"] * (i + 1) / (number + 1)
            made = [
                with_planet(item, shapes, epoch, true["epoch_btjd"], signals, OCCULTED.get(row["tic_id"], 0.0))
                for item in observations
            ]
            again = hunted(made, star, true["period_days"], epoch)
            status.append("not found" if again is None else again[0].status)
            if again is None or again[0].status != "done":
                continue
            estimates = again[0].parameters | again[0].derived
            for name in COMPARED:
                e, value = estimates[name], true[name]
                if name == "epoch_btjd":
                    value = epoch + true["period_days"] * round((e.median - epoch) / true["period_days"])
                deviations[name].append((e.median - value) / (e.plus if value > e.median else e.minus))
                moved[name].append((e.median - value) / (1.0 if name == "epoch_btjd" else value))
        told: dict[str, object] = {"name": row["name"], "injected": number, "status": status}
        for name in COMPARED:
            sigma = np.array(deviations[name])
            told[name] = {
                "sigmas": [round(value, 2) for value in deviations[name]],
                "mean_sigma": round(float(sigma.mean()), 2), "rms_sigma": round(float(np.sqrt((sigma**2).mean())), 2),
                "mean_shift": float(f"{np.mean(moved[name]):.3g}"),  # days for the epoch, else a fraction
            }  # fmt: skip
        out[Path(row["path"]).name] = told
        print(json.dumps(told), flush=True)
    return out


def together(injected: dict[str, Any]) -> dict[str, object]:
    """How often the truth lies within the errors, over all stars."""
    out: dict[str, object] = {}
    for name in COMPARED:
        values = np.array([value for told in injected.values() for value in told[name]["sigmas"]])
        out[name] = {"fits": values.size, "within_1_sigma": round(float((np.abs(values) < 1).mean()), 3),
                     "within_2_sigma": round(float((np.abs(values) < 2).mean()), 3),
                     "mean_sigma": round(float(values.mean()), 2),
                     "rms_sigma": round(float(np.sqrt(np.mean(values**2))), 2)}  # fmt: skip
    return out


def with_planet(
    item: Observation, shapes: Shapes, epoch: float, own_epoch: float, signals: list[TransitSignal], occulted: float
) -> Observation:
    """The observation with one more planet, without the cadences in its own transits, its own occultations filled."""
    time = np.nan_to_num(item.time)
    period, exposure = float(shapes.period[0]), (item.product.cadence_seconds or 120.0) / 86400
    width = np.full(time.size, exposure)
    gone = np.zeros(time.size, dtype=bool)
    for signal in signals:
        gone |= transit_mask(time, signal.period, signal.epoch, max(signal.duration, 0.0), 1.3)
    dim = mean_dim(shapes, (period * phase(time, period, epoch))[None], width)[0]
    plain = replace(shapes, u1=np.zeros(1), u2=np.zeros(1))
    behind = mean_dim(plain, (period * phase(time, period, own_epoch + 0.5 * period))[None], width)[0]
    filled = 1 + occulted * behind / float(shapes.ratio[0]) ** 2
    return replace(item, flux=np.where(gone, np.nan, item.flux * (1 - dim) * filled))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sbc", "count", "model", "binning", "speed", "real", "inject"))
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--noise", choices=("white", "red"), default="white")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=Path("fit-sbc.jsonl"))
    parser.add_argument(
        "--only", default="", help="real, inject: the file whose name holds this, beside what is recorded"
    )
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    name = asked.what
    found: dict[str, Any]
    if asked.what in ("sbc", "count"):
        name = f"sbc_{asked.noise}"
        if asked.what == "sbc":
            found = sbc(asked.number, asked.noise, asked.minutes, asked.seed, asked.kept)
        else:  # what there is, while it goes on
            found = counted(
                [json.loads(line) for line in asked.kept.read_text().splitlines()], asked.noise, asked.minutes
            )
    elif asked.what == "model":
        found = model(asked.number, asked.seed)
    elif asked.what == "binning":
        found = binning(asked.number, asked.seed)
    elif asked.what == "speed":
        found = speed(asked.seed)
    elif asked.what == "inject":
        found = inject(asked.data, asked.number, asked.only)
    else:
        found = real(asked.data, asked.only)
    file = ROOT / "fit.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if asked.what in ("real", "inject"):
        stars = {part: told for part, told in kept.get(name, {}).get("stars", {}).items() if asked.only} | found
        found = {"stars": stars}
        if asked.what == "inject":
            found |= {"noise": "real, transits simulated", "all": together(stars)}
    print(json.dumps(found, indent=1))
    if asked.record:
        kept[name] = found | {"seed": asked.seed, "python": platform.python_version()}
        file.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
