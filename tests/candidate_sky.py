"""One star with transits, and all that the phases say of it, for the tests of what becomes of a candidate."""

import hashlib
from types import SimpleNamespace

import numpy as np

from candidates.evidence import build_evidence, candidate_name
from candidates.plots import compose, palette_png
from pipeline.confirm import Confirmation
from pipeline.ephemeris import cycle, phase
from pipeline.types import (
    CleanedLightCurve,
    Finding,
    FoldedViews,
    LightCurve,
    Product,
    Score,
    SearchResult,
    Star,
    Target,
    TransitSignal,
    Verdict,
    View,
)

SHA = hashlib.sha256(b"a model").hexdigest()


def binned(position, flux, half_width: float, bins: int) -> View:
    """A plain folded view; the real one is pipeline.fold's, which this package does not need."""
    index = np.floor((position + half_width) / (2 * half_width) * bins).astype(np.int64)
    good = (index >= 0) & (index < bins)
    count = np.bincount(index[good], minlength=bins)
    mean = np.bincount(index[good], weights=flux[good], minlength=bins) / np.maximum(count, 1)
    scatter = np.where(count > 0, flux.std() / np.sqrt(np.maximum(count, 1)), 0.0)
    return View(mean, count > 0, scatter)


def make_sky(
    period=3.1234567,
    depth=0.0012,
    duration=0.12,
    odd_depth=None,
    noise=3e-4,
    starts=(1325.3,),
    key="261136679",
    kind="TIC",
    star=Star(tmag=10.4, teff=5640.0, radius=1.03),
) -> SimpleNamespace:
    """One star with box-shaped transits in 10-minute cadence, 27 days from each of the starts."""
    random = np.random.default_rng(7)
    time = np.concatenate([np.arange(start, start + 27.0, 600 / 86400) for start in starts])
    epoch = starts[0] + 1.234
    since = phase(time, period, epoch) * period
    odd = cycle(time, period, epoch) % 2 == 1
    deep = np.where(odd, depth if odd_depth is None else odd_depth, depth)
    flux = 1 - deep * (np.abs(since) <= duration / 2) + noise * random.standard_normal(time.size)
    error = np.full(time.size, noise)
    flat = LightCurve(time, flux, error)
    raw = LightCurve(time, flux * (1 + 0.003 * np.sin(time)), error)
    products = tuple(
        Product(
            f"/data/s{n}.fits", hashlib.sha256(bytes([n])).hexdigest(), "TESS", "SPOC", "PDCSAP_FLUX", n, 1, 2, 600.0
        )
        for n in range(1, len(starts) + 1)
    )
    nan = np.full(time.size, np.nan)
    exposure = np.full(time.size, 600 / 86400)
    cleaned = CleanedLightCurve(flat, raw, np.zeros(time.size, np.int64), exposure, nan, nan, products, {"flagged": 12})
    signal = TransitSignal(
        period, epoch, duration, depth, 40.0, period_err=2e-4, depth_err=2e-5, n_transits=8 * len(starts), sde=12.0
    )
    trial = np.geomspace(0.5, 13.0, 5000)
    power = 3 + 37 * np.exp(-0.5 * ((trial - period) / 0.01) ** 2)
    result = SearchResult(trial, power, np.array([0.06, 0.2]), np.array([2e-4, 1e-4]), (signal,), signal)
    local, relative = since / duration, flux - 1
    views = FoldedViews(
        flat,
        binned(since / period, relative, 0.5, 2048),
        binned(local, relative, 2.0, 256),
        binned(phase(time, period, epoch + 0.4 * period) * period / duration, relative, 2.0, 256),
        binned(local[odd], relative[odd], 2.0, 256),
        binned(local[~odd], relative[~odd], 2.0, 256),
        0.4,
    )
    findings = (
        Finding("odd_even", Verdict.PASS, 3.0, 0.4, 3.0, "odd 1200 +- 20 ppm, even 1203 +- 20 ppm"),
        Finding("centroid", Verdict.NOT_RUN, None, None, 3.0, "no_pixels: the light curve has no centroids"),
    )
    run = {
        "settings": {"search": {"snr": 7.1}, "clean": {"min_points": 100}},
        "versions": {"hunter": "0.1"},
        "device": "cpu",
        "timings": {"search": 0.5},
        "finished_at": "2026-01-02T03:04:05+00:00",
    }
    return SimpleNamespace(
        target=Target(kind, key, star),
        cleaned=cleaned,
        result=result,
        signal=signal,
        views=views,
        findings=findings,
        score=Score(
            0.93,
            2.6,
            "resnet1d",
            SHA,
            0.85,
            0.05,
            0.02,
            {"planet": 0.93, "junk": 0.07},
            members=(0.9, 0.92, 0.95),
            entropy=0.37,
            disagreement=0.004,
            conformal_set=("planet",),
            conformal_coverage=0.9,
            conformal_note="",
        ),
        run=run,
    )


def evidence_of(sky: SimpleNamespace, **changed):
    parts = {**vars(sky), **changed}
    return build_evidence(**parts, name=candidate_name(parts["target"], parts["signal"]))


CONFIRMED = Confirmation(
    "done", "", "2.0.4", ((0.5, 13.0),), True, "same period", 3.1234, 1326.1, 0.12, 0.0013, 33.1, 21.34, 8e-5, 0.42, 8
)


def sheet_of(sky: SimpleNamespace, evidence=None) -> bytes:
    """The picture alone: its PDF takes as long again."""
    return palette_png(compose(evidence or evidence_of(sky), sky.cleaned, sky.result, sky.views))
