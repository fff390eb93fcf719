"""From a light curve and a signal to a posterior of the transit, and what follows for the planet."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline import limb_darkening
from pipeline.ephemeris import cycle, phase, transit_mask
from pipeline.fit import sampler, start
from pipeline.fit.folding import fold, middle_epoch
from pipeline.fit.likelihood import Posterior
from pipeline.fit.model import Shapes, mean_dim
from pipeline.fit.phase_curve import phase_curve
from pipeline.fit.priors import DURATION, EPOCH, PERIOD, RATIO, WHITE, Priors
from pipeline.fit.result import Curve, Estimate, TransitFit, TransitTime
from pipeline.fit.sampler import Chains, Forgetful, Notebook
from pipeline.fit.settings import FitSettings
from pipeline.fit.start import Chart
from pipeline.types import CleanedLightCurve, Floats, FoldedViews, Star, TransitSignal
from pipeline.vetting.case import EARTH_RADII, Case, VetSettings
from pipeline.vetting.timing import transit_times

VERSION = 3

WINDOW = 0.5  # durations by which the first and the last transit may be off the search's ephemeris
LONGEST = 5.0  # the duration may be longer or shorter than the search's by this factor
OF_PERIOD = 0.45  # and be that share of the period
AT_ODDS = 3.0  # sigmas of the catalogue's density, beyond which it is left aside
DRAWS = 1000  # of the posterior that are kept
DRAWN = 300  # models behind the band
SUN_TEFF = 5772.0  # K
SUN_MASS_CUBE = 1.3271244e26  # cm3/s2, of the Sun: IAU 2015 B3
SUN_RADIUS = 6.957e10  # cm
AU = 1.495978707e13  # cm
UNITS = {
    "period_days": "days", "epoch_btjd": "BTJD", "radius_ratio": "stellar radii", "impact_parameter": "stellar radii",
    "duration_hours": "hours", "limb_darkening_1": "", "limb_darkening_2": "", "jitter_ppm": "ppm of a cadence",
}  # fmt: skip
METHOD = (
    "emcee differential evolution with snooker over a quadratically darkened transit on a circular orbit; "
    "level and slope of each transit and noise that remembers marginalised"
)


def fit(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star = Star(),
    others: Sequence[TransitSignal] = (),
    settings: FitSettings = FitSettings(),
    notebook: Notebook = Forgetful(),
) -> TransitFit:
    """Fit period, epoch, radius ratio, impact parameter, duration, limb darkening and white noise.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
        For its exposures.
    views : FoldedViews
        Of the same cadences: what is fitted is ``views.light_curve``, detrended with the transits masked.
    signal : TransitSignal
        The priors of period, epoch and duration are windows about its own.
    star : Star
        Its density is a prior of the duration, its temperature and gravity one of the limb darkening. What is unknown
        of it leaves the quantities that need it out.
    others : sequence of TransitSignal
        Other signals of the star; the cadences in their transits are left out.
    settings : FitSettings
    notebook : Notebook
        Where the chain is written down, block by block.

    Returns
    -------
    TransitFit
        ``not_converged`` fits hold no estimates: errors of a chain that has not converged are not honest.

    Raises
    ------
    ValueError
        If no transit has data.

    Notes
    -----
    How the noise is treated stands in :mod:`pipeline.fit.folding`; the share of truths that lie in the 68 % is measured
    by ``benchmarks/fit.py`` on simulated transits and held by ``test_half_of_the_truths_lie_below_the_median``.
    """
    views, waves = steady(views, signal)
    case = Case(cleaned, views, signal, star, VetSettings())
    chart = prepare(case, others, settings)
    begin = np.stack([
        chart.walkers(settings.walkers, np.random.default_rng([settings.seed, e])) for e in range(settings.ensembles)
    ])  # fmt: skip
    chains = sampler.sample(
        chart.log_probability, begin, settings, notebook, f"{VERSION} {chart.posterior.key}", chart.samples
    )
    found = summary(case, chart.posterior, chains, settings)
    return replace(found, method=f"{METHOD}; {waves}" if waves else METHOD)


def steady(views: FoldedViews, signal: TransitSignal) -> tuple[FoldedViews, str]:
    """The views without the light that comes and goes with the orbit, and what was taken off in words, if anything."""
    curve = views.light_curve
    wave, heights = phase_curve(curve, signal.period, signal.epoch, signal.duration)
    words = " and ".join(
        f"±{1e6 * height:.0f} ppm at {name}"
        for name, height in zip(("the period", "half of it"), heights, strict=True)
        if height
    )
    if not words:
        return views, ""
    return replace(views, light_curve=replace(curve, flux=curve.flux - wave)), f"waves taken off first: {words}"


def prepare(case: Case, others: Sequence[TransitSignal], settings: FitSettings) -> Chart:
    """Fold the data on the best ephemeris, and chart where the posterior is high."""
    signal, curve = case.signal, case.light_curve
    duration = signal.duration if case.shape is None else case.shape.duration
    duration = float(np.clip(duration, 0.5 * signal.duration, 2.0 * signal.duration))
    duration = min(duration, 0.8 * OF_PERIOD * signal.period)
    left_out = np.zeros(len(curve), dtype=bool)
    for other in others:
        left_out |= transit_mask(curve.time, other.period, other.epoch, other.duration, 1.5)
    priors = believe(case, settings)
    epoch = 0.5 * (priors.epoch[0] + priors.epoch[1])
    posterior = Posterior(
        fold(case, signal.period, epoch, duration, left_out, settings.groups, settings.fineness), priors
    )
    scale = start.scales(posterior, duration)
    best = start.look_around(posterior, case.bottom, duration)
    best, _ = start.solve(posterior, best, np.array([PERIOD, EPOCH, RATIO, DURATION]), scale)
    # once more on the ephemeris that was found: the transits of a group then lie upon each other
    period, epoch, duration = float(best[PERIOD]), float(best[EPOCH]), float(np.exp(best[DURATION]))
    posterior = Posterior(fold(case, period, epoch, duration, left_out, settings.groups, settings.fineness), priors)
    chart = start.chart(posterior, best, scale)
    if strain(chart) < AT_ODDS:
        return chart
    # a catalogue that is so wrong would bend shape and errors; an eccentric orbit looks the same
    priors = replace(priors, density=None, left_aside=priors.density)
    return start.chart(Posterior(posterior.folded, priors), best, scale)


def strain(chart: Chart) -> float:
    """Sigmas of the catalogue between its density of the star and what light and catalogue together ask for."""
    priors = chart.posterior.priors
    if priors.density is None:
        return 0.0
    best = chart.best
    middle, width = priors.ln_density
    return abs(math.log(float(priors.shapes(best).density[0])) - middle) / width


def believe(case: Case, settings: FitSettings) -> Priors:
    """What the search, the star and the settings say before the fit; of the fluxes it knows nothing."""
    signal, time = case.signal, case.light_curve.time
    epoch = middle_epoch(time, signal.period, signal.epoch, signal.duration)
    seen = cycle(time[transit_mask(time, signal.period, epoch, signal.duration)], signal.period, epoch)
    slack, span = WINDOW * signal.duration, max(float(np.ptp(seen)), 1.0)
    longest = min(LONGEST * signal.duration, OF_PERIOD * signal.period)
    missions = {product.mission for product in case.cleaned.products}
    law = limb_darkening.quadratic(case.star, "Kepler" if missions and missions <= {"Kepler", "K2"} else "TESS")
    return Priors(
        period=(signal.period - 2 * slack / span, signal.period + 2 * slack / span),
        epoch=(epoch - slack, epoch + slack),
        ratio=(settings.smallest_ratio, settings.largest_ratio),
        duration=(min(signal.duration / LONGEST, 0.5 * longest), longest),
        limb_darkening=law.coefficients,
        limb_darkening_err=settings.limb_darkening_err,
        density=case.density,
        density_err=settings.density_err,
        source=law.source,
    )


def summary(case: Case, posterior: Posterior, chains: Chains, settings: FitSettings) -> TransitFit:
    """Put the chains into words and numbers."""
    priors, folded = posterior.priors, posterior.folded
    x = chains.flat
    best = x[int(np.argmax(chains.log_probability))][None]
    values = natural(x, priors, folded.white)
    converged = chains.reason is None
    chosen = np.linspace(0, len(x) - 1, min(DRAWS, len(x))).round().astype(int)
    parameters: dict[str, Estimate] = {}
    derived: dict[str, Estimate] = {}
    reasons: dict[str, str] = {}
    if converged:
        effective = chains.effective
        for column, name in enumerate(UNITS):
            parameters[name] = _estimate(
                UNITS[name], values[:, column], float(effective[column]), float(chains.split_r_hat[column])
            )
        least, worst = float(effective.min()), float(chains.split_r_hat.max())
        follows, reasons = derive(priors.shapes(x), case.star, settings)
        derived = {name: _estimate(unit, drawn, least, worst) for name, (unit, drawn) in follows.items()}
    curve = case.light_curve
    which = folded.cadences
    period, epoch = best[0, PERIOD], best[0, EPOCH]
    since = phase(curve.time[which], period, epoch) * period
    dim = mean_dim(priors.shapes(best), since[None], case.cleaned.exposure[which])[0]
    residual = curve.flux[which] - 1 + dim
    ephemeris = (float(np.median(x[:, PERIOD])), float(np.median(x[:, EPOCH])))
    return TransitFit(
        status="done" if converged else "not_converged",
        reason=chains.reason,
        method=METHOD,
        seed=settings.seed,
        walkers=settings.walkers,
        ensembles=settings.ensembles,
        steps=chains.steps,
        burn_in=chains.burn_in,
        autocorrelation_steps=chains.autocorrelation,
        lengths=chains.lengths,
        split_r_hat=float(chains.split_r_hat.max()),
        drift=chains.drift,
        priors=priors.words,
        parameters=parameters,
        derived=derived,
        not_derived=reasons,
        residual_ppm=1e6 * 1.4826 * float(np.median(np.abs(residual - np.median(residual)))),
        points=int(which.size),
        transit_times=_times(case, *ephemeris),
        names=tuple(UNITS) if converged else (),
        draws=values[chosen] if converged else None,
        curve=_curve(posterior, x, best, converged, float(np.median(case.cleaned.exposure[which]))),
    )


def natural(x: Floats, priors: Priors, white: float) -> Floats:
    """Samples (m, 8) in the units of the evidence; ``white`` is the noise that their last column counts in."""
    shapes = priors.shapes(x)
    return np.stack(
        [
            shapes.period, x[:, EPOCH], shapes.ratio, shapes.impact, 24 * shapes.duration, shapes.u1, shapes.u2,
            1e6 * white * np.exp(x[:, WHITE]),
        ],
        axis=1,
    )  # fmt: skip


def _estimate(unit: str, drawn: Floats, effective: float, r_hat: float) -> Estimate:
    low, middle, high = (float(value) for value in np.percentile(drawn, [16, 50, 84]))
    return Estimate(unit, middle, middle - low, high - middle, effective, r_hat)


def derive(shapes: Shapes, star: Star, settings: FitSettings) -> tuple[dict[str, tuple[str, Floats]], dict[str, str]]:
    """What follows for planet and orbit, drawn jointly with a star that is known so well, and what does not.

    Notes
    -----
    The TIC's own errors do not come with its light curves: [fit] says how well radius, mass and temperature are
    assumed to be known. Temperature of a black body without albedo that spreads its heat evenly.
    """
    star = star.with_mass()
    number = shapes.period.size
    rng = np.random.default_rng([settings.seed, number])
    axis = shapes.scaled_axis
    deepest = np.concatenate([part.deepest for part in _parts(shapes)])
    found = {
        "depth_ppm": ("ppm", 1e6 * deepest),
        "scaled_axis": ("stellar radii", axis),
        "inclination_deg": ("degrees", np.degrees(np.arccos(np.minimum(shapes.impact / axis, 1.0)))),
        "stellar_density_cgs": ("g/cm3", shapes.density),
    }
    missing: dict[str, str] = {}

    def known(value: float | None, fraction: float) -> Floats | None:
        if value is None or not math.isfinite(value) or not value > 0:
            return None
        width = math.sqrt(math.log1p(fraction**2))
        return value * np.exp(width * rng.normal(size=number) - 0.5 * width**2)

    radius, mass = known(star.radius, settings.radius_err), known(star.mass, settings.mass_err)
    teff = known(star.teff, settings.teff_err / star.teff if star.teff else 1.0)
    if radius is None:
        for name in ("planet_radius_earth", "axis_au", "insolation_earth"):
            missing[name] = "the star's radius is unknown"
    else:
        found["planet_radius_earth"] = ("Earth radii", EARTH_RADII * shapes.ratio * radius)
        if mass is None:
            length = axis * radius * SUN_RADIUS / AU
        else:
            length = np.cbrt(SUN_MASS_CUBE * mass * (shapes.period * 86400 / (2 * np.pi)) ** 2) / AU
        found["axis_au"] = ("au", length)
        if teff is None:
            missing["insolation_earth"] = "the star's temperature is unknown"
        else:
            found["insolation_earth"] = ("of the Earth's", radius**2 * (teff / SUN_TEFF) ** 4 / length**2)
    if teff is None:
        missing["equilibrium_temperature_k"] = "the star's temperature is unknown"
    else:
        far = axis if radius is None or mass is None else length * AU / (radius * SUN_RADIUS)
        found["equilibrium_temperature_k"] = ("K", teff * np.sqrt(0.5 / far))
    return found, missing


def _parts(shapes: Shapes, size: int = 20_000) -> list[Shapes]:
    """The same in parts that do not take much room."""
    fields = [getattr(shapes, name) for name in ("period", "ratio", "impact", "duration", "u1", "u2")]
    return [Shapes(*(field[i : i + size] for field in fields)) for i in range(0, shapes.period.size, size)]


def _times(case: Case, period: float, epoch: float) -> tuple[TransitTime, ...]:
    """When each transit came that has both ramps, against the fitted ephemeris."""
    times = transit_times(case)
    out = []
    for time, err, depth, depth_err in zip(times.time, times.time_err, times.depth, times.depth_err, strict=True):
        number = round((float(time) - epoch) / period)
        late = float(time) - epoch - number * period
        out.append(
            TransitTime(number, float(time), float(err), late, float(depth / depth_err) if depth_err > 0 else 0.0)
        )
    return tuple(out)


def _curve(posterior: Posterior, x: Floats, best: Floats, converged: bool, exposure: float) -> Curve:
    """The folded groups upon each other, and the models."""
    folded = posterior.folded
    late = best[0, EPOCH] - folded.epoch + (best[0, PERIOD] - folded.period) * folded.turns
    weight = folded.precision
    # the level and slope of each group, which the fit leaves open
    away = folded.since - late[:, None]
    beside = np.where(np.abs(away) > 0.6 * float(np.exp(best[0, DURATION])), weight, 0.0)
    dim = np.empty_like(folded.dim)
    for g, root in enumerate(np.sqrt(beside)):
        line = np.stack([np.ones(away.shape[1]), away[g]], axis=1)
        dim[g] = folded.dim[g] - line @ np.linalg.lstsq(line * root[:, None], folded.dim[g] * root, rcond=None)[0]
    total = weight.sum(axis=0)
    some = total > 0
    since = ((weight * away).sum(axis=0)[some] / total[some]) * 24
    flux = -(weight * dim).sum(axis=0)[some] / total[some]
    at = np.linspace(folded.edges[0], folded.edges[-1], 301)
    chosen = x[np.linspace(0, len(x) - 1, DRAWN).round().astype(int)] if converged else best
    models = -mean_dim(posterior.priors.shapes(chosen), np.tile(at, (len(chosen), 1)), np.full(at.size, exposure))
    low, middle, high = np.percentile(models, [16, 50, 84], axis=0)
    return Curve(since, flux, total[some] ** -0.5, 24 * at, low, middle, high)
