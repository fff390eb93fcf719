"""A second opinion on a signal, by transit least squares (Hippke & Heller 2019, A&A 623, A39).

It takes another path than our search: limb-darkened templates fitted to the cadences, its own period and duration
grids, its own significance. What it finds is told beside our numbers under its own name, and decides nothing.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pipeline import limb_darkening
from pipeline.ephemeris import transit_mask
from pipeline.limb_darkening import Band
from pipeline.types import Booleans, LightCurve, Star, TransitSignal

VERSION = 2

FULL_RANGE = 60.0  # days of baseline up to which every period is tried: 1.5 s for 27 d, 5 s for 54 d, minutes for 350
WINDOW = 0.02  # half width of the window around a period, as a share of it
WINDOW_DURATIONS = 200.0  # and at most so many durations over the baseline: long baselines need fine steps
MASK_WIDTH = 1.5  # durations left out around the transits of stronger signals
RATIOS = {
    "same period": 1.0,
    "half the period": 0.5,
    "twice the period": 2.0,
    "a third of the period": 1.0 / 3.0,
    "three times the period": 3.0,
    "two thirds of the period": 2.0 / 3.0,
    "one and a half times the period": 1.5,
}
NO_SDE = "no SDE: it depends on the range of periods, and here only narrow windows were searched"
ROCHE_DAYS = 0.6016  # days; TLS tries no orbit closer than three stellar radii, for the Sun this period


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What transit least squares found of one signal; every number is its own, none is ours."""

    status: Literal["done", "error"]
    note: str  # what a person should know of it; for an error, the reason
    version: str = ""  # of transitleastsquares
    ranges: tuple[tuple[float, float], ...] = ()  # days, the periods searched
    agrees: bool | None = None  # same period and phase, within a duration over the whole baseline
    relation: str | None = None  # its period over ours, in words; None where no simple ratio holds
    period: float | None = None  # days
    epoch: float | None = None  # BTJD, its first transit
    duration: float | None = None  # days
    depth: float | None = None  # fraction, at the bottom of its template: more than the mean depth
    snr: float | None = None  # white noise only
    sde: float | None = None  # over all periods tried; None where only windows were searched
    tls_fap: float | None = None  # from TLS's own table of white-noise SDEs; None above 0.1, and without an SDE
    odd_even_sigma: float | None = None  # mismatch of odd and even depths
    transits: int | None = None  # with data


def confirm(
    light_curve: LightCurve,
    signal: TransitSignal,
    stronger: Sequence[TransitSignal],
    star: Star,
    periods: tuple[float, float],
    band: Band | None = None,
) -> Confirmation:
    """Search a light curve again with transit least squares, and compare.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
        As it was searched: one detrended again under the transits of the signal would favour its period.
    signal : TransitSignal
        What our search found.
    stronger : sequence of TransitSignal
        Signals of the same star whose transits are left out, or they would be found instead.
    star : Star
        Radius and mass, where known, set its period grid; else the Sun's.
    periods : (float, float)
        Shortest and longest period of our search, days.
    band : {"TESS", "Kepler"}, optional
        In which the star was observed: its limb darkening is looked up. Else TLS's own, a solar one.

    Returns
    -------
    Confirmation
        Up to 60 d of baseline all periods are searched. Beyond, windows around the period, its half and its double,
        of which that with the least chi-square is told: the double folds only every other transit, the half fits a
        dip where there is none, so the true one of the three fits best.

    Raises
    ------
    ValueError
        If TLS refuses the light curve.
    """
    from transitleastsquares import transitleastsquares
    from transitleastsquares.version import TLS_VERSIONING
    from transitleastsquares.warmup import ensure_compiled

    kept = _without(light_curve, stronger)
    time, flux, flux_err = light_curve.time[kept], light_curve.flux[kept], light_curve.flux_err[kept]
    if time.size < 3:
        raise ValueError(f"{time.size} cadences are left without the transits of stronger signals")
    span = float(time[-1] - time[0])
    ranges, complete = _ranges(signal, span, periods)
    notes = [] if complete else [NO_SDE]
    if stronger:
        notes.append(f"transits of {len(stronger)} stronger signal(s) left out")
    star = star.with_mass()
    if star.radius is None or star.mass is None:
        notes.append("radius or mass unknown: the Sun's")
    law: dict[str, Any] = {}
    if band is None:
        notes.append("band unknown: limb darkening of a star like the Sun")
    else:
        looked_up = limb_darkening.quadratic(star, band)
        law = {"u": list(looked_up.coefficients), "limb_dark": "quadratic"}
        notes += [f"limb darkening: {looked_up.note}"] if looked_up.note else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the small search that compiles
        ensure_compiled(verbose=False)
    said: set[str] = set()
    best: Mapping[str, Any] | None = None
    for low, high in ranges:
        # errors of 0 are unknown: TLS would drop the cadence, and without errors it weighs all alike
        model = transitleastsquares(time, flux, flux_err if (flux_err > 0).all() else None, verbose=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = model.power(
                period_min=low,
                period_max=high,
                n_transits_min=1,  # the range says how long a period may be
                use_threads=1,
                show_progress_bar=False,
                verbose=False,
                **_stellar(star, low),
                **law,
            )
        fits = _finite(found["period"]) is not None
        if fits and (best is None or found["chi2_min"] < best["chi2_min"]):
            best = found
            said = {" ".join(str(item.message).split()) for item in caught if issubclass(item.category, UserWarning)}
    notes += sorted(f"TLS says: {text}" for text in said)
    blank = Confirmation("done", "", TLS_VERSIONING, tuple(ranges))
    if best is None:
        return replace(blank, agrees=False, note="; ".join(["TLS fits no transit", *notes]))
    sde = _finite(best["SDE"]) if complete else None
    told = replace(
        blank,
        period=_finite(best["period"]),
        epoch=_finite(best["T0"]),
        duration=_finite(best["duration"]),
        depth=1.0 - float(best["depth"]),
        snr=_finite(best["snr"]),
        sde=sde,
        tls_fap=None if sde is None else _finite(best["FAP"]),
        odd_even_sigma=_finite(best["odd_even_mismatch"]),
        transits=int(best["distinct_transit_count"]),
    )
    agrees, relation, why = compare(told, signal, span)
    return replace(told, agrees=agrees, relation=relation, note="; ".join([*why, *notes]))


def compare(found: Confirmation, signal: TransitSignal, span: float) -> tuple[bool, str | None, list[str]]:
    """Whether TLS means the same dips, the ratio of the periods in words, and what is to be said of it.

    Two periods are in a ratio where they drift apart by less than a duration over the whole baseline.
    """
    if found.period is None:
        return False, None, []
    longest = max(signal.duration, found.duration or 0.0)
    drift = {name: abs(found.period / (ratio * signal.period) - 1.0) * span for name, ratio in RATIOS.items()}
    relation = min(drift, key=lambda name: drift[name])
    if not drift[relation] < longest:
        return False, None, []
    if relation != "same period":
        return False, relation, []
    if found.epoch is not None:
        late = (found.epoch - signal.epoch + 0.5 * signal.period) % signal.period - 0.5 * signal.period
        if not abs(late) < longest:
            return False, relation, [f"its transits come {late * 24:+.1f} h from ours"]
    return True, relation, []


def _without(light_curve: LightCurve, signals: Sequence[TransitSignal]) -> Booleans:
    """True for the cadences away from the transits of all these signals, (n,)."""
    kept = np.ones(len(light_curve), dtype=np.bool_)
    for signal in signals:
        kept &= ~transit_mask(light_curve.time, signal.period, signal.epoch, signal.duration, MASK_WIDTH)
    return kept


def _ranges(signal: TransitSignal, span: float, periods: tuple[float, float]) -> tuple[list[tuple[float, float]], bool]:
    """The ranges of periods to search, and whether they are our whole search."""
    if span <= FULL_RANGE:
        near = signal.period * (1 - WINDOW), signal.period * (1 + WINDOW)
        return [(min(periods[0], near[0]), max(periods[1], near[1]))], True
    half = min(WINDOW, WINDOW_DURATIONS * signal.duration / span)
    trials = [factor * signal.period for factor in (0.5, 1.0, 2.0)]
    return [(trial * (1 - half), trial * (1 + half)) for trial in trials if trial * (1 + half) <= span], False


def _stellar(star: Star, shortest: float) -> dict[str, float]:
    """The star as TLS takes it, with its limits on durations widened where this star lies beyond them.

    TLS uses the radius for its period grid alone, which ends at three stellar radii; where shorter periods are asked
    for, the radius given is the one whose grid reaches them.
    """
    mass = star.mass if star.mass is not None and star.mass > 0 else 1.0
    radius = star.radius if star.radius is not None and star.radius > 0 else 1.0
    reaching = (mass * (0.98 * shortest / ROCHE_DAYS) ** 2) ** (1 / 3)
    grid_radius = min(radius, reaching)
    return {
        "R_star": grid_radius,
        "R_star_min": min(0.13, grid_radius),
        "R_star_max": max(3.5, radius),
        "M_star": mass,
        "M_star_min": min(0.1, mass),
        "M_star_max": max(1.0, mass),
    }


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
