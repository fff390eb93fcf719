"""How much of what transits would be found: planets put into a light curve, and the search asked for them.

Every planet is simulated; the light curve it is put into may be real. What a map says holds for the search and the
detrending it was made with, and for a signal over the threshold: vetting and the score come after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, isfinite, log, sqrt
from statistics import NormalDist
from typing import Annotated, Literal, TypeGuard

import numpy as np
from annotated_types import Ge, Gt, Lt

from pipeline.clean.cleaning import CleanSettings
from pipeline.clean.detrend import DetrendSettings, detrend
from pipeline.clean.outliers import outliers
from pipeline.clean.savgol import symmetric_clip
from pipeline.errors import UnusableData
from pipeline.limb_darkening import quadratic
from pipeline.periodogram.grid import stellar_density
from pipeline.search import SearchSettings, search, search_many
from pipeline.simulate.eclipses import Orbit, Planet, planet_light
from pipeline.simulate.population import EARTH_RADIUS
from pipeline.simulate.seeds import stream
from pipeline.types import Booleans, CleanedLightCurve, Floats, Integers, LightCurve, SearchResult, Star, TransitSignal

VERSION = 3

FEWEST_TRANSITS = 2  # observed; with fewer there is no period to find
HARMONICS = (1 / 3, 1 / 2, 2.0, 3.0)  # found period over the injected one
SCALED_AXIS = 4.2082  # semi-major axis over stellar radius of a 1-d orbit round the Sun
CLOSEST = 1.5  # stellar radii; no orbit is drawn within it
LARGEST_RATIO = 0.5  # planet over star; beyond it a wanted signal-to-noise is given up
CONFIDENCE = 0.6827  # of the intervals: one sigma
# expected signal-to-noise, edges of the bins of the curve; the last is open
SNR_EDGES = (0.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 30.0, 50.0, float("inf"))

Outcome = Literal["recovered", "harmonic", "missed", "too_few_transits"]


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """Which planets are put in, and where."""

    by: Literal["radius", "snr"] = "radius"
    period_min: Annotated[float, Gt(0)] | None = None  # days; unset: the shortest searched
    period_max: Annotated[float, Gt(0)] | None = None  # days; unset: the longest searched
    radius_min: Annotated[float, Gt(0)] = 0.5  # Earth radii, log-uniform
    radius_max: Annotated[float, Gt(0)] = 16.0
    snr_min: Annotated[float, Gt(0)] = 4.0  # expected signal-to-noise, uniform
    snr_max: Annotated[float, Gt(0)] = 16.0
    impact_max: Annotated[float, Ge(0), Lt(1)] = 0.9  # impact parameter, uniform from 0
    redetrend: bool = True  # into the undetrended twin, cleaned and detrended again; else into the flat light curve


@dataclass(frozen=True, slots=True)
class Phases:
    """The settings of the hunt whose completeness is asked for."""

    search: SearchSettings
    clean: CleanSettings
    detrend: DetrendSettings
    backend: str = "numba"


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A light curve that planets are put into, and what the search makes of it as it is."""

    name: str
    star: Star
    cleaned: CleanedLightCurve
    own: tuple[TransitSignal, ...]  # found without any injection: finding them again is no recovery
    periods: tuple[float, float]  # drawn from, days
    density: float  # solar; 1 where unknown
    limb_darkening: tuple[float, float]
    durations: Floats  # (d,) days
    scatter: Floats  # (d,) noise of a transit of each duration times the root of the duration, days**0.5
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Injection:
    """One planet to put in."""

    number: int
    period: float  # days
    epoch: float  # BTJD of a transit centre in the first period of the data
    impact: float
    size: float  # Earth radii, or expected signal-to-noise: what the map is drawn over
    radius_ratio: float | None  # None where no size gives a signal-to-noise: nothing was observed
    radius: float | None  # Earth radii; None where the star's is unknown
    duration: float  # days, first to fourth contact
    depth: float  # fraction, at mid-transit, unsmeared
    snr: float  # expected: of the dip as injected, against the noise the search measures at its duration
    n_transits: int  # of which at least half was observed


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one injection."""

    injection: Injection
    outcome: Outcome
    found_period: float | None = None  # days, of the signal that agrees
    found_snr: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RecoveryMap:
    """Recoveries in cells of period and size; injections with too few observed transits are counted apart."""

    period_edges: Floats  # (p + 1,) days
    size_edges: Floats  # (s + 1,) Earth radii or signal-to-noise
    injected: Integers  # (p, s) those with at least two observed transits
    recovered: Integers  # (p, s)
    harmonic: Integers  # (p, s) found at a third, half, twice or three times the period; not recovered
    too_few: Integers  # (p, s) not among the injected


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Recoveries within one bin of expected signal-to-noise."""

    low: float
    high: float  # may be infinite
    mean: float  # expected signal-to-noise of its injections
    injected: int
    recovered: int
    harmonic: int


def prepare(name: str, cleaned: CleanedLightCurve, star: Star, settings: InjectionSettings, phases: Phases) -> Subject:
    """Search a light curve as it is: its own signals, its noise, the periods that can be asked for.

    Parameters
    ----------
    name : str
        Seeds the draws together with the seed: the same planets whatever the settings.
    cleaned : CleanedLightCurve
    star : Star
        ``radius`` must be known to draw by radius. An unknown density is the Sun's, as in the search.
    settings : InjectionSettings
    phases : Phases

    Raises
    ------
    UnusableData
        If the light curve cannot be searched, its noise cannot be measured, no period is left to draw,
        or the radius of the star is needed and unknown.
    """
    if settings.by == "radius" and not _positive(star.radius):
        raise UnusableData("the radius of the star is unknown, so no planet can be drawn by radius")
    result = search(cleaned.flat, phases.search, star, phases.backend)
    if result.period.size == 0:
        raise UnusableData("; ".join(result.notes))
    noise = np.asarray(result.noise, dtype=np.float64)
    known = np.isfinite(noise) & (noise > 0)
    if not known.any():
        raise UnusableData("the noise of the light curve cannot be measured: it does not vary")
    density = stellar_density(star)
    notes = []
    if density is None:
        notes.append("no stellar density: orbits are those round the Sun")
        density = 1.0
    # the grid is reached through a power of -3, so its ends are a rounding away
    searched = round(float(result.period.min()), 9), round(float(result.period.max()), 9)
    low = searched[0] if settings.period_min is None else settings.period_min
    high = searched[1] if settings.period_max is None else settings.period_max
    if low < searched[0] * (1 - 1e-6) or high > searched[1] * (1 + 1e-6):
        notes.append(f"the search tries {searched[0]:.3f} to {searched[1]:.3f} d: what lies beyond counts as missed")
    grazing = (CLOSEST / SCALED_AXIS) ** 1.5 / sqrt(density)
    if low < grazing:
        notes.append(f"no period below {grazing:.3f} d is drawn: the orbit would come within {CLOSEST:g} stellar radii")
        low = grazing
    if not low < high:
        raise UnusableData(f"no period between {low:.3f} and {high:.3f} d can be drawn")
    kepler = any(product.mission in ("Kepler", "K2") for product in cleaned.products)
    darkening = quadratic(star, "Kepler" if kepler else "TESS")
    if darkening.note:
        notes.append(f"limb darkening: {darkening.note}")
    return Subject(
        name=name,
        star=star,
        cleaned=cleaned,
        own=result.signals,
        periods=(low, high),
        density=density,
        limb_darkening=darkening.coefficients,
        durations=result.durations[known],
        scatter=noise[known] * np.sqrt(result.durations[known]),
        notes=tuple(notes),
    )


def draw(subject: Subject, settings: InjectionSettings, seed: int, number: int) -> Injection:
    """Draw one planet: period log-uniform, epoch and impact uniform, radius log-uniform or signal-to-noise uniform.

    The number of the injection, the name of the subject and the seed decide it, and nothing else.
    """
    chance = stream(seed, "injected planet", subject.name, number).random(4)
    low, high = subject.periods
    period = exp(log(low) + float(chance[0]) * (log(high) - log(low)))
    epoch = float(subject.cleaned.flat.time[0]) + float(chance[1]) * period
    impact = float(chance[2]) * settings.impact_max
    orbit = Orbit(period, epoch, SCALED_AXIS * (subject.density * period**2) ** (1 / 3), impact)
    stellar = subject.star.radius if _positive(subject.star.radius) else None
    ratio: float | None
    if settings.by == "radius":
        assert stellar is not None  # prepare has refused it otherwise
        size = exp(log(settings.radius_min) + float(chance[3]) * (log(settings.radius_max) - log(settings.radius_min)))
        ratio = size * EARTH_RADIUS / stellar
    else:
        size = settings.snr_min + float(chance[3]) * (settings.snr_max - settings.snr_min)
        ratio = _ratio_of(subject, orbit, size)
    duration = orbit.duration(ratio or 0.0)
    expected = 0.0 if ratio is None else expected_snr(subject, Planet(orbit, ratio))
    if settings.by == "snr" and ratio == LARGEST_RATIO:
        size = expected  # as much as a planet can give here
    middle = np.array([epoch])
    return Injection(
        number=number,
        period=period,
        epoch=epoch,
        impact=impact,
        size=size,
        radius_ratio=ratio,
        radius=None if ratio is None or stellar is None else ratio * stellar / EARTH_RADIUS,
        duration=duration,
        depth=0.0
        if ratio is None
        else float(1 - planet_light(Planet(orbit, ratio), middle, subject.limb_darkening)[0]),
        snr=expected,
        n_transits=observed_transits(subject.cleaned, period, epoch, duration),
    )


def expected_snr(subject: Subject, planet: Planet) -> float:
    """Signal-to-noise of a dip as injected: sqrt(integral of dip**2 / duration) over the noise at its duration.

    The noise is the scatter the search measured on the light curve as it is, with its own signals in; beyond the
    durations tried it scales as white noise. What detrending will take away is not taken off.
    """
    duration = planet.orbit.duration(planet.radius_ratio)
    if not duration > 0:
        return 0.0
    dip = 1 - transit_light(subject.cleaned, planet, subject.limb_darkening)
    scatter = float(np.interp(log(duration), np.log(subject.durations), subject.scatter))
    return sqrt(float((dip**2 * subject.cleaned.exposure).sum())) / scatter


def transit_light(cleaned: CleanedLightCurve, planet: Planet, limb_darkening: tuple[float, float]) -> Floats:
    """Relative light of the star behind its planet at every cadence, (n,), the mean over each exposure."""
    light = np.ones(len(cleaned.flat))
    seconds = np.round(cleaned.exposure * 86400)
    for exposure in np.unique(seconds):
        part = seconds == exposure
        light[part] = planet_light(planet, cleaned.flat.time[part], limb_darkening, float(exposure) / 86400)
    return light


def observed_transits(cleaned: CleanedLightCurve, period: float, epoch: float, duration: float) -> int:
    """Number of transits of which at least half was observed, as the search counts them."""
    if not duration > 0:
        return 0
    cycle = np.round((cleaned.flat.time - epoch) / period)
    inside = np.abs(cleaned.flat.time - epoch - cycle * period) < duration / 2
    which = (cycle[inside] - cycle[0]).astype(np.int64)
    return int((np.bincount(which, weights=cleaned.exposure[inside]) >= 0.5 * duration).sum()) if which.size else 0


def inject(subject: Subject, injection: Injection, settings: InjectionSettings, phases: Phases) -> LightCurve:
    """The light curve the search would be given if the planet were real.

    Parameters
    ----------
    subject : Subject
    injection : Injection
    settings : InjectionSettings
        ``redetrend``: the dip is multiplied into the undetrended twin, the cuts of the clean phase are applied to
        the cadences it touches, and all is detrended again; else it is multiplied into the flat light curve.
    phases : Phases

    Returns
    -------
    LightCurve
        With fewer cadences where cleaning cuts into the dip.
    """
    cleaned = subject.cleaned
    if injection.radius_ratio is None:
        return cleaned.flat
    axis = SCALED_AXIS * (subject.density * injection.period**2) ** (1 / 3)
    planet = Planet(Orbit(injection.period, injection.epoch, axis, injection.impact), injection.radius_ratio)
    light = transit_light(cleaned, planet, subject.limb_darkening)
    if not settings.redetrend:
        return replace(cleaned.flat, flux=cleaned.flat.flux * light)
    raw = replace(cleaned.raw, flux=cleaned.raw.flux * light)
    flat = detrend(raw, cleaned.segment, phases.detrend)
    keep = ~((light < 1) & _cut(raw, flat, cleaned, phases))
    if keep.all():
        return flat
    left = LightCurve(raw.time[keep], raw.flux[keep], raw.flux_err[keep])
    if phases.detrend.method == "savgol-101":  # the seed clips after its flattening and leaves it at that
        return LightCurve(flat.time[keep], flat.flux[keep], flat.flux_err[keep])
    return detrend(left, cleaned.segment[keep], phases.detrend)


def _cut(raw: LightCurve, flat: LightCurve, cleaned: CleanedLightCurve, phases: Phases) -> Booleans:
    """Cadences that the clean phase would take for flares, dead points or, with savgol-101, for 3-sigma outliers."""
    if phases.detrend.method == "savgol-101":
        return symmetric_clip(flat.flux)
    bad = np.zeros(len(raw), dtype=bool)
    settings = phases.clean
    starts = np.flatnonzero(np.concatenate([[True], np.diff(cleaned.segment) != 0]))
    for start, end in zip(starts, [*starts[1:], len(raw)], strict=True):
        part = slice(start, end)
        flaring, dead = outliers(
            raw.time[part],
            raw.flux[part],
            flat.flux[part],
            cleaned.exposure[part],
            settings.clip_up,
            settings.clip_down,
            settings.clip_down_below,
        )
        bad[part] = flaring | dead
    return bad


def attempt(
    subject: Subject, numbers: Sequence[int], settings: InjectionSettings, phases: Phases, seed: int
) -> list[Trial]:
    """Put the planets of these numbers in, one at a time, and search for each; in the order of the numbers.

    Searched together, so that light curves which share their cadences are folded together.
    """
    drawn = [draw(subject, settings, seed, number) for number in numbers]
    there = [injection for injection in drawn if injection.n_transits >= FEWEST_TRANSITS]
    curves = [inject(subject, injection, settings, phases) for injection in there]
    results = search_many(curves, phases.search, [subject.star] * len(curves), phases.backend)
    found = {
        injection.number: judge(injection, result, subject) for injection, result in zip(there, results, strict=True)
    }
    return [found.get(injection.number) or Trial(injection, "too_few_transits") for injection in drawn]


def judge(injection: Injection, result: SearchResult, subject: Subject) -> Trial:
    """Whether the signals of a search are the planet that was put in.

    ``recovered``: the period agrees to within a duration over the whole baseline and the epoch to half a duration.
    ``harmonic``: no signal does, but one does at a third, half, twice or three times the period, or as the harmonic of
    a stronger signal, which the hunt does not follow. A signal that fits one of the light curve's own, or a harmonic of
    it, at least as well as the planet counts as neither.
    """
    span = float(subject.cleaned.flat.time[-1] - subject.cleaned.flat.time[0])
    exact: list[TransitSignal] = []
    multiple: list[TransitSignal] = []
    for signal in result.signals:
        once, others = _misfits(signal, injection, span)
        best = min((fit for fit in (once, *others) if fit is not None), default=None)
        if best is None:
            continue
        for own in subject.own:
            same, harmonics = _misfits(signal, own, span)
            if any(fit is not None and fit <= best for fit in (same, *harmonics)):
                break
        else:
            (exact if once is not None and signal.alias_of is None else multiple).append(signal)
    if exact:
        return Trial(injection, "recovered", exact[0].period, exact[0].snr)
    if multiple:
        return Trial(injection, "harmonic", multiple[0].period, multiple[0].snr)
    return Trial(injection, "missed")


def misfit(
    signal: TransitSignal, period: float, epoch: float, duration: float, span: float, ratio: float = 1.0
) -> float | None:
    """How far, in durations, a signal is from the dip of this ephemeris; None where it is another dip.

    It is the same dip, its period found at ``ratio`` times the true one, if over the whole span the two drift apart by
    less than a duration, and their centres are less than half a duration apart where the signal was measured.
    """
    drift = abs(signal.period / (ratio * period) - 1.0) * span
    # of a period found too short some centres, of one found too long all centres are true ones
    nearest = epoch + round((signal.epoch - epoch) / period) * period
    shorter = min(period, signal.period)
    away = abs((signal.epoch - nearest + shorter / 2) % shorter - shorter / 2)
    return (drift + away) / duration if drift < duration and away < duration / 2 else None


def _misfits(
    signal: TransitSignal, true: Injection | TransitSignal, span: float
) -> tuple[float | None, tuple[float | None, ...]]:
    """The misfit of a signal at the true period, and at each harmonic of it."""
    once, *others = (misfit(signal, true.period, true.epoch, true.duration, span, ratio) for ratio in (1.0, *HARMONICS))
    return once, tuple(others)


# ------------------------------------------------------------------------------------------------ the map


def recovery_map(trials: Sequence[Trial], period_edges: Floats, size_edges: Floats) -> RecoveryMap:
    """Count trials in cells; the last edge of either axis belongs to the last cell."""
    shape = (period_edges.size - 1, size_edges.size - 1)
    counts = {name: np.zeros(shape, dtype=np.int64) for name in ("recovered", "harmonic", "missed", "too_few_transits")}
    for trial in trials:
        cell = _bin(period_edges, trial.injection.period), _bin(size_edges, trial.injection.size)
        if cell[0] is not None and cell[1] is not None:
            counts[trial.outcome][cell] += 1
    return RecoveryMap(
        period_edges=period_edges,
        size_edges=size_edges,
        injected=counts["recovered"] + counts["harmonic"] + counts["missed"],
        recovered=counts["recovered"],
        harmonic=counts["harmonic"],
        too_few=counts["too_few_transits"],
    )


def edges(low: float, high: float, number: int, logarithmic: bool) -> Floats:
    """Edges of so many equal bins, (number + 1,)."""
    if not logarithmic:
        return np.linspace(low, high, number + 1)
    found = np.exp(np.linspace(log(low), log(high), number + 1))
    found[[0, -1]] = low, high  # not a rounding away
    return found


def snr_curve(trials: Sequence[Trial]) -> tuple[CurvePoint, ...]:
    """Recoveries by expected signal-to-noise, bins without an injection left out."""
    points = []
    for low, high in pairwise(SNR_EDGES):
        inside = [t for t in trials if t.outcome != "too_few_transits" and low <= t.injection.snr < high]
        if inside:
            points.append(
                CurvePoint(
                    low=low,
                    high=high,
                    mean=float(np.mean([t.injection.snr for t in inside])),
                    injected=len(inside),
                    recovered=sum(t.outcome == "recovered" for t in inside),
                    harmonic=sum(t.outcome == "harmonic" for t in inside),
                )
            )
    return tuple(points)


def wilson(recovered: int, injected: int, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Interval of a share by its score test (Wilson 1927, JASA 22, 209); None of nothing."""
    if injected <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = recovered / injected
    scale = 1 + z**2 / injected
    centre = (share + z**2 / (2 * injected)) / scale
    half = z / scale * sqrt(share * (1 - share) / injected + z**2 / (4 * injected**2))
    # at the ends the formula is exact and its rounding is not
    return 0.0 if recovered == 0 else max(0.0, centre - half), 1.0 if recovered == injected else min(1.0, centre + half)


def contour(found: RecoveryMap, level: float, logarithmic: bool) -> tuple[tuple[float, float | None], ...]:
    """Size from which on this share is recovered, for each bin of period.

    Returns
    -------
    tuple of (period, size or None)
        Period in the middle of its bin. None where every size, or none, reaches the level, or nothing was injected.

    Notes
    -----
    Shares of a few injections go up and down; a larger planet is no harder to find, so the shares of a column are made
    to rise with size (least squares, weighted by number) before the crossing is read off between the middles of cells.
    """
    middles = _middles(found.size_edges, logarithmic)
    periods = np.sqrt(found.period_edges[1:] * found.period_edges[:-1])
    return tuple(
        (float(period), crossing(middles, found.recovered[k], found.injected[k], level, logarithmic))
        for k, period in enumerate(periods)
    )


def crossing(at: Floats, recovered: Integers, injected: Integers, level: float, logarithmic: bool) -> float | None:
    """Where a rising share crosses a level; None where it begins above it or ends below it."""
    some = injected > 0
    if not some.any():
        return None
    at, share = at[some], rising(recovered[some] / injected[some], injected[some].astype(np.float64))
    above = share >= level
    if above[0] or not above[-1]:
        return None
    k = int(np.argmax(above))
    x = np.log(at) if logarithmic else at
    where = x[k - 1] + (level - share[k - 1]) / (share[k] - share[k - 1]) * (x[k] - x[k - 1])
    return float(np.exp(where) if logarithmic else where)


def rising(share: Floats, weight: Floats) -> Floats:
    """The never-falling series nearest to this one in weighted least squares: neighbours that fall are pooled."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for value, heavy in zip(share.tolist(), weight.tolist(), strict=True):
        pools.append((value, heavy, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, first, n), (other, second, m) = pools[-2:]
            pools[-2:] = [((one * first + other * second) / (first + second), first + second, n + m)]
    return np.repeat([mean for mean, _, _ in pools], [members for _, _, members in pools])


def _middles(bounds: Floats, logarithmic: bool) -> Floats:
    return np.sqrt(bounds[1:] * bounds[:-1]) if logarithmic else (bounds[1:] + bounds[:-1]) / 2


def _bin(bounds: Floats, value: float) -> int | None:
    if not bounds[0] <= value <= bounds[-1]:
        return None
    return min(int(np.searchsorted(bounds, value, side="right")) - 1, bounds.size - 2)


def _ratio_of(subject: Subject, orbit: Orbit, wanted: float) -> float | None:
    """Radius ratio that gives the wanted signal-to-noise; None where fewer than two transits were observed."""
    if observed_transits(subject.cleaned, orbit.period, orbit.epoch, orbit.duration(0.0)) < FEWEST_TRANSITS:
        return None
    ratio = 0.02
    for _ in range(30):
        gives = expected_snr(subject, Planet(orbit, ratio))
        if not gives > 0:
            return None
        if abs(gives / wanted - 1) < 1e-4:
            break
        if ratio == LARGEST_RATIO and gives < wanted:
            break
        # the depth goes with the square of the ratio, and the duration hardly
        ratio = min(LARGEST_RATIO, ratio * sqrt(wanted / gives))
    return ratio


def _positive(value: float | None) -> TypeGuard[float]:
    return value is not None and isfinite(value) and value > 0
