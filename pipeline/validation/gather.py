"""From the phases before it to a false-positive probability: the case, and what stands apart from it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.disposition import measured_rates
from pipeline.disposition_rates import FALSE_ALARMS, SNR_EDGES
from pipeline.ephemeris import phase
from pipeline.surroundings import Surroundings
from pipeline.types import CleanedLightCurve, FoldedViews, Star, TransitSignal
from pipeline.validation.case import (
    Aside,
    ContrastCurve,
    MeasuredOffset,
    Neighbour,
    Population,
    ValidateSettings,
    Validation,
    ValidationCase,
)
from pipeline.validation.engine import validate
from pipeline.validation.realign import Realigned, realign
from pipeline.vetting.case import Case, VetSettings
from pipeline.vetting.secondary import scan
from pipeline.vetting.transits import deepest
from pipeline.vetting.variability import WAVES, in_step

REACH = 1.5  # durations to each side of the transit that are weighed
INNER = 0.75  # durations beyond which its level is taken
BRIGHT_ENOUGH = 1.3  # a dip may need this share of a neighbour's light: magnitudes are that sure
PLACE_FLOOR = 0.05  # pixels in quadrature: models of a star's image and catalogue places are no better
FEW_COUNTED = 100  # simulated false alarms of like strength and period below which those of all periods serve


def assess(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star,
    surroundings: Surroundings | None,
    vet: VetSettings,
    settings: ValidateSettings,
    population: Population | None = None,
    contrast: Sequence[ContrastCurve] = (),
    notes: Sequence[str] = (),
) -> Validation:
    """Weigh one signal of a hunt.

    Parameters
    ----------
    cleaned, views, signal, star, surroundings
        Of the phases before. Without surroundings neither neighbours nor the place of the dip are known.
    vet : VetSettings
    settings : ValidateSettings
    population, contrast
        Of the target's field, where a person has given any.
    notes : sequence of str
        What whoever read those has to tell.

    Returns
    -------
    Validation
        With reliability, variability and the planet's probability beside the numbers, never mixed into them.
    """
    if settings.method == "none":
        return Validation("not_run", 'not asked for: [validate] method is "none"', None)
    case = Case(cleaned, views, signal, star, vet)
    try:
        line = realign(case)
        result = validate(case_of(case, surroundings, population, contrast, line), settings)
        reliability, waves = _reliability(signal, settings), _waves(case)
    except Exception as problem:  # as with any test: what breaks says so, and stops no candidate
        return Validation("failed", f"{type(problem).__name__}: {problem}", None)
    planet = None if reliability.value is None or result.fpp is None else reliability.value * (1 - result.fpp)
    inputs = {**result.inputs, "transit_times": line.reason, "notes": [*notes, *_weighed(case.star)]}
    return replace(result, artifact=reliability, variability=waves, planet_probability=planet, inputs=inputs)


def _weighed(star: Star) -> tuple[str, ...]:
    """How the star's mass is known, where no catalogue gives it."""
    mass = star.with_mass().mass
    return (
        ()
        if mass is None or mass == star.mass
        else (f"the star's mass, {mass:.2f} of the Sun's, is that of its gravity and radius",)
    )


def case_of(
    case: Case,
    surroundings: Surroundings | None,
    population: Population | None = None,
    contrast: Sequence[ContrastCurve] = (),
    line: Realigned | None = None,
) -> ValidationCase:
    """The fold of a signal in the raw light of the aperture, with errors that hold the red noise.

    Parameters
    ----------
    case : Case
        As the vetting tests have it.
    surroundings : Surroundings or None
    population, contrast
        Of the target's field.
    line : Realigned, optional
        The times of the cadences with the lateness of each transit taken off, where transits do not keep time.

    Notes
    -----
    White noise is that of neighbouring cadences; it is widened by what the pseudo-transits say that a mean over a
    transit is worse than white noise allows (Pont et al. 2006).
    """
    curve, signal, transits = case.light_curve, case.signal, case.transits
    centre, duration = (0.0, signal.duration) if case.shape is None else (case.shape.centre, case.shape.duration)
    time = curve.time - centre
    if line is not None and line.moved:
        time, duration = line.time, line.duration or duration
    since = phase(time, signal.period, signal.epoch) * signal.period
    duration = max(signal.duration, duration)
    reach = min(REACH * duration, 0.45 * signal.period)
    near = np.abs(since) < reach
    level = np.abs(since) > min(INNER * duration, 0.6 * reach)
    flux = curve.flux[near] / float(np.mean(curve.flux[near & level])) if (near & level).any() else curve.flux[near]
    steps = np.diff(curve.flux)
    white = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2)
    usable = transits.events.usable
    red = 1.0
    if usable.any():
        weights = (1 / values[usable] for values in (transits.events.white, transits.variance))
        red = max(float(next(weights).sum() / next(weights).sum()), 1.0)
    light = None if surroundings is None else surroundings.light
    raw = 1.0 if light is None or not light.depth > 0 else light.aperture_depth / light.depth
    phases = scan(case)
    dip = None if phases is None else deepest(phases)
    missions = {product.mission for product in case.cleaned.products}
    return ValidationCase(
        phase_time=since[near],
        flux=1 - raw * (1 - flux),
        flux_err=np.full(flux.size, max(raw * white * math.sqrt(red), 1e-9)),
        exposure=math.hypot(float(np.median(case.cleaned.exposure)), 0.0 if line is None else line.blur),
        period=signal.period,
        star=case.star.with_mass(),
        host_share=1.0 if light is None else min(light.fraction, 1.0),
        neighbours=_neighbours(surroundings),
        secondary_depth=None if dip is None else raw * dip.depth,
        secondary_err=None if dip is None else raw * dip.depth_err,
        secondary_trials=1.0 if dip is None else dip.trials,
        population=population,
        contrast=tuple(contrast),
        offset=_offset(surroundings),
        band="Kepler" if missions and missions <= {"Kepler", "K2"} else "TESS",
    )


def _neighbours(surroundings: Surroundings | None) -> tuple[Neighbour, ...] | None:
    """Those that send light enough to make the dip; None where no catalogue was asked."""
    light = None if surroundings is None else surroundings.light
    if surroundings is None or light is None or light.source != "catalogue":
        return None
    places = {star.name: (star.east, star.north) for sector in surroundings.pixels.sectors for star in sector.stars}
    return tuple(
        Neighbour(
            name,
            share.separation,
            share.tmag,
            share.fraction,
            places.get(name),
        )
        for share in light.stars[1:]
        for name in [f"{share.kind} {share.key}"]
        if share.required_depth is not None and share.required_depth <= BRIGHT_ENOUGH
    )


def _offset(surroundings: Surroundings | None) -> MeasuredOffset | None:
    found = None if surroundings is None else surroundings.pixels.offset
    if surroundings is None or found is None:
        return None
    pixel = max(sector.pixel_arcsec for sector in surroundings.pixels.sectors)
    return MeasuredOffset(
        found.east, found.north, found.east_err, found.north_err, found.correlation, found.independent,
        PLACE_FLOOR * pixel,
    )  # fmt: skip


def _reliability(signal: TransitSignal, settings: ValidateSettings) -> Aside:
    """1 - (refused / kept) (1 - E) / E: the share of signals like this one that are no false alarm."""
    rates = measured_rates(signal)
    if rates is None:
        return Aside(None, "no simulated signals of such strength and period were counted")
    counted, refused = rates.false_alarms, rates.refused
    where = f"S/N {rates.snr[0]:g} to {rates.snr[1]:g}"
    if counted >= FEW_COUNTED:
        where += f" and {rates.period[0]:g} to {rates.period[1]:g} d"
    else:
        row = FALSE_ALARMS[SNR_EDGES.index(rates.snr[0])]
        counted, refused = (sum(pair[i] for pair in row) for i in (0, 1))
    effectiveness = (refused + 0.5) / (counted + 1)
    value = max(1 - settings.refused_per_kept * (1 - effectiveness) / effectiveness, 0.0)
    return Aside(
        value,
        f"{refused} of {counted} simulated false alarms of {where} were refused, for {settings.refused_per_kept:g} "
        "refused signals for each one kept",
    )


def _waves(case: Case) -> Aside:
    """The probability of a contact binary or pulsation whose wave keeps step with the signal."""
    found = case.variability
    if found.kind is None:
        return Aside(None, found.note)
    time = case.cleaned.raw.time
    cycles = in_step(found, case.signal, float(time[-1] - time[0]))
    if cycles is None:
        return Aside(0.0, f"no wave of the star keeps step with the signal; {found.note}")
    chance = min(sum(found.probabilities[name] for name in WAVES), 1.0)
    return Aside(chance, f"a wave of the star goes {cycles} times round in one period of the signal; {found.note}")
