"""The false-positive probability of one signal: every scenario's evidence, and what follows."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.types import Floats
from pipeline.validation import priors, stars, unresolved
from pipeline.validation.case import Scenario, ValidateSettings, Validation, ValidationCase
from pipeline.validation.evidence import Integral, integrate
from pipeline.validation.light import Folded
from pipeline.validation.scenarios import Field, Setting

VERSION = 6
PLANET = ("planet",)
NEARBY = ("neb", "ntp")
REDRAWS = 2000  # of all evidences within their errors
LEADING = 0.01  # of the probability, or of what decides a band: below it a scenario may have few samples
LOOKS = (4, 12)  # times as many samples for the scenarios that stand in the way of a band
BLURRED = 3  # of the scenarios that make a probability uncertain, those that do most
HOPELESS = 20.0  # in ln evidence below the best: such a scenario is not looked at further


def validate(case: ValidationCase, settings: ValidateSettings = ValidateSettings()) -> Validation:
    """Weigh planet, binaries and neighbours against each other.

    Parameters
    ----------
    case : ValidationCase
    settings : ValidateSettings

    Returns
    -------
    Validation
        FPP = 1 - (TP + PTP + DTP), NFPP the sum over the resolved neighbours, of the scenarios' shares of all evidence
        (Giacalone & Dressing 2021). No band is given where the Monte Carlo error straddles a threshold, where a
        leading scenario rests on few samples, outside the method's domain, or where something required is not known.

    Notes
    -----
    Where only the samples are in the way, the scenarios that are get ``LOOKS`` times as many, by turns.
    """
    if settings.method == "none":
        return Validation("not_run", 'not asked for: [validate] method is "none"', None)
    problem = _unusable(case)
    if problem:
        return Validation("failed", problem, None)
    folded = Folded.of(case)
    star = case.star
    distance = case.distance or stars.photometric_distance(star)
    population = case.population or unresolved.disc(star.ra, star.dec)
    background = None if star.tmag is None else unresolved.Background.of(population, star.tmag)
    room = unresolved.Room.of(case.curves, star.mass or 1.0, distance)
    field = Field(case, folded, room, background)
    inputs = _inputs(case, settings, population, distance)
    found: list[tuple[Setting, Integral]] = []
    best = -math.inf
    for number, one in enumerate(field.all()):
        random = np.random.default_rng([settings.seed, number])
        integral = integrate(
            one.ln_likelihood, one.dimensions, settings.samples, random, best - HOPELESS - one.ln_factor
        )
        best = max(best, integral.ln_evidence + one.ln_factor)
        found.append((one, integral))
    if not math.isfinite(best):
        return Validation("failed", "no scenario explains the light curve", None, inputs=inputs)
    result, doubtful = _weighed(field, found, settings, inputs)
    for look, longer in enumerate(LOOKS, start=1):
        if not doubtful:
            break
        for number, (one, _) in enumerate(found):
            if one.name in doubtful:
                random = np.random.default_rng([settings.seed, number, look])
                others = max(other.ln_evidence + it.ln_factor for it, other in found if it is not one)
                again = integrate(
                    one.ln_likelihood,
                    one.dimensions,
                    longer * settings.samples,
                    random,
                    others - HOPELESS - one.ln_factor,
                    settings.least_effective,
                )
                found[number] = (one, again)
        result, doubtful = _weighed(field, found, settings, inputs)
    return result


def _weighed(
    field: Field, found: Sequence[tuple[Setting, Integral]], settings: ValidateSettings, inputs: dict[str, object]
) -> tuple[Validation, list[str]]:
    """What the evidences come to, and which scenarios would have to be known better for a band."""
    case = field.case
    ln_z = np.array([integral.ln_evidence + one.ln_factor for one, integral in found])
    err = np.array([integral.err if math.isfinite(integral.err) else 0.0 for _, integral in found])
    best, share = float(ln_z.max()), _shares(ln_z)
    scenarios = tuple(
        Scenario(
            one.name,
            one.kind,
            one.host,
            float(total) if math.isfinite(total) else None,
            float(integral.err) if math.isfinite(total) else None,
            integral.effective,
            integral.samples,
            float(part),
        )
        for (one, integral), total, part in zip(found, ln_z, share, strict=True)
    )
    kinds = np.array([one.kind for one, _ in found])
    random = np.random.default_rng([settings.seed, 1 << 20])
    redrawn = _shares(ln_z + err * random.standard_normal((REDRAWS, ln_z.size)))
    classes = {kind: float(share[kinds == kind].sum()) for kind in dict.fromkeys(kinds.tolist())}
    fpp, fpp_range, fpp_err = _told(share, redrawn, ~np.isin(kinds, PLANET))
    nfpp, nfpp_range, nfpp_err = _told(share, redrawn, np.isin(kinds, NEARBY))
    known = case.neighbours is not None
    result = Validation(
        status="done",
        reason=None,
        band=None,
        fpp=fpp,
        fpp_err_dex=fpp_err,
        fpp_interval=fpp_range,
        nfpp=nfpp if known else None,
        nfpp_err_dex=nfpp_err if known else None,
        nfpp_interval=nfpp_range if known else None,
        scenarios=tuple(sorted(scenarios, key=lambda one: -one.probability)),
        classes=classes,
        planet_radius=_planet_radius(field, found[0][1]),
        inputs=inputs,
    )
    lost = [one.name for one, integral in found if integral.possible + one.ln_factor >= best - HOPELESS]
    return _judged(result, case, settings, lost)


def band_of(fpp: float, nfpp: float, settings: ValidateSettings = ValidateSettings()) -> str:
    """The band of two probabilities, by the cuts of Giacalone & Dressing (2021); "not_decided" lies between them."""
    if nfpp >= settings.nearby_nfpp:
        return "likely_nearby_false_positive"
    if fpp >= settings.likely_fpp:
        return "false_positive"
    if nfpp >= settings.validated_nfpp:
        return "not_decided"
    return "validated" if fpp < settings.validated_fpp else "likely_planet"


def _planet_radius(field: Field, planet: Integral) -> float | None:
    """Earth radii, of the target's planet: the median."""
    if planet.draws is None or planet.weight is None or not field.case.star.radius:
        return None
    radii = field.planet_radii(planet.draws)
    order = np.argsort(radii)
    share = np.cumsum(planet.weight[order])
    return float(radii[order][np.searchsorted(share, 0.5 * share[-1])])


def _unusable(case: ValidationCase) -> str:
    """Why a case cannot be weighed; empty if it can."""
    arrays = [np.asarray(a, dtype=np.float64) for a in (case.phase_time, case.flux, case.flux_err)]
    if arrays[0].ndim != 1 or not arrays[0].shape == arrays[1].shape == arrays[2].shape:
        return "phase_time, flux and flux_err must be one-dimensional and of one length"
    if arrays[0].size < 10:
        return f"few_points: {arrays[0].size} points, 10 are needed"
    if not all(np.isfinite(a).all() for a in arrays) or not (arrays[2] > 0).all():
        return "phase_time, flux and flux_err must be finite, errors positive"
    if not (math.isfinite(case.period) and case.period > 0 and 0 < case.host_share <= 1):
        return f"a period of {case.period} days and a share of {case.host_share} of the light make no case"
    return ""


def _shares(ln_z: Floats) -> Floats:
    """Of the sum of all, along the last axis."""
    weight = np.exp(ln_z - ln_z.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def _told(share: Floats, redrawn: Floats, chosen: np.ndarray) -> tuple[float, tuple[float, float], float | None]:
    """A sum of probabilities, its 16 to 84 per cent, and half of that in decades."""
    value = float(share[chosen].sum())
    low, high = (float(v) for v in np.quantile(redrawn[:, chosen].sum(axis=1), (0.16, 0.84)))
    return value, (low, high), 0.5 * math.log10(high / low) if low > 0 else None


def _judged(
    result: Validation, case: ValidationCase, settings: ValidateSettings, lost: Sequence[str]
) -> tuple[Validation, list[str]]:
    """Give a band where one can be given; else say which scenarios are in the way, if more samples would help."""
    star = case.star
    outside = []
    if not (star.radius and star.mass and star.radius > 0 and star.mass > 0):
        outside.append("no_stellar: mass and radius of the star are not both known, those of the Sun are taken")
    if star.tmag is None:
        outside.append("no_stellar: its magnitude is not known, so no background star is weighed")
    gravity = stars.gravity(star)
    if gravity is not None and gravity < settings.least_logg:
        outside.append(f"out_of_domain: log g {gravity:.2f} is no dwarf's, {settings.least_logg:g} at least is")
    radius = result.planet_radius
    if radius is not None and radius > settings.largest_planet:
        outside.append(
            f"out_of_domain: {radius:.1f} Earth radii, the method was made up to {settings.largest_planet:g}"
        )
    if outside:
        return replace(result, status="out_of_domain", reason="; ".join(outside)), []
    undecided = replace(result, status="not_decided", band="not_decided")
    missing = _missing(case, settings)
    if missing:
        return replace(undecided, reason=missing), []
    thin = _thin(result, settings)
    doubtful = [*lost, *(one.name for one in thin)]
    if lost:
        return replace(undecided, reason=f"not all ways found to make the dip: {', '.join(lost[:4])}"), doubtful
    if thin:
        told = ", ".join(f"{one.name} ({one.effective_samples:.0f})" for one in thin[:4])
        reason = f"few effective samples: {told}; {settings.least_effective:g} are needed"
        return replace(undecided, reason=reason), doubtful
    assert result.fpp_interval is not None
    assert result.nfpp_interval is not None
    corners = {band_of(f, n, settings) for f in result.fpp_interval for n in result.nfpp_interval}
    if len(corners) > 1:
        reason = f"the Monte Carlo error leaves {' and '.join(sorted(corners))} possible: more samples would tell"
        blurred = sorted(result.scenarios, key=lambda one: -one.probability * (one.ln_evidence_err or 0.0))
        return replace(undecided, reason=reason), [one.name for one in blurred[:BLURRED]]
    return replace(result, band=corners.pop()), []


def _missing(case: ValidationCase, settings: ValidateSettings) -> str:
    """What is required and not known."""
    said = []
    if case.neighbours is None and "neighbours" in settings.require:
        said.append("no_catalogue: the neighbours are not known")
    if case.offset is None and "pixels" in settings.require and case.neighbours != ():
        said.append("no_pixels: the place of the dip is not measured")
    if case.secondary_depth is None and "secondary" in settings.require:
        said.append("few_points: no depth is measured away from the transit")
    return "; ".join(said)


def _thin(result: Validation, settings: ValidateSettings) -> Sequence[Scenario]:
    """Leading scenarios that rest on too few samples."""
    assert result.fpp is not None
    false = max(result.fpp, 1e-300)
    return [
        one
        for one in result.scenarios
        if one.effective_samples < settings.least_effective
        and (one.probability > LEADING if one.kind in PLANET else one.probability > 0.1 * min(false, 1.0))
        and one.probability > LEADING * settings.validated_nfpp
    ]


def _inputs(
    case: ValidationCase, settings: ValidateSettings, population: object, distance: float | None
) -> dict[str, object]:
    curves = case.curves
    offset = case.offset
    return {
        "population": getattr(population, "source", ""),
        "population_stars": round(getattr(population, "stars", 0)),
        "population_dropped": getattr(population, "dropped", 0),
        "contrast_curve": "; ".join(curve.source or curve.band or "given" for curve in curves) or None,
        "centroid": "not measured: no pixels"
        if offset is None
        else f"{offset.east:+.2f} east, {offset.north:+.2f} north arcsec, {offset.independent:g} pseudo-transits",
        "distance_pc": distance,
        "seed": settings.seed,
        "samples": settings.samples,
        "dilution": f"raw light of the aperture, {case.host_share:.4f} of it the target's",
        "neighbours": None if case.neighbours is None else len(case.neighbours),
        "priors": list(priors.TEXT),
    }
