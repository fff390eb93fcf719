"""Search a light curve for periodic transits: several signals per star, each measured on unbinned data.

The coarse pass is the filter-first, shift-add matched filter of ``pipeline.periodogram``; its peaks and their harmonics
are refined on the cadences themselves, accepted or refused, masked, and the rest is searched again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from pipeline.periodogram import binned, grid, noise, nulls, refine, spectrum
from pipeline.types import Floats, LightCurve, SearchResult, Star, TransitSignal

VERSION = 5

LONG_SERIES = 60.0  # observed days beyond which the base bin is 10 minutes instead of 5
PEAKS_REFINED = 3  # of each pass
WORTH_REFINING = 0.8  # of the threshold: below it refinement lifts no peak over it
PEAK_SHARE = 0.85  # of the highest peak's signal-to-noise, below which a peak is not refined
ALIASES = (1.0, 0.5, 2.0, 1.0 / 3.0, 3.0, 2.0 / 3.0, 1.5)
LONGEST_FIT = 1.5  # a fitted duration over the longest one tried
FIT_MAY_LOSE = 0.9  # of the detected signal-to-noise a fitted shape must keep
OWN_NOISE = 1.5  # signal-to-noise without a signal's own transits over that with them, beyond which it is believed
CERTAIN = 8.0  # signal-to-noise beyond which scrambles add nothing: white noise hardly ever gets there
ONE_IN_A_THOUSAND = 3.09  # standard deviations of a normal
FEW_TRANSITS = 3  # up to this many, each must be significant alone


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The [search] table."""

    method: Literal["matched-filter", "two-pass-bls"] = "matched-filter"  # two-pass-bls keeps the older search
    snr: Annotated[float, Gt(0)] = 7.1  # matched-filter signal-to-noise a signal must reach
    period_min: Annotated[float, Gt(0)] = 0.5  # days; a signal may still be named by a half or a third of it
    period_max: Annotated[float, Gt(0)] | None = None  # days; unset: half the baseline, at most the days observed
    longest_period: Annotated[float, Gt(0)] = 200.0  # days; bounds an unset period_max
    oversample: Annotated[float, Gt(0)] = 3.0  # of the period grid; 3 drifts a sixth of a duration in half a step
    nperiods: Annotated[int, Ge(2)] | None = None  # this many periods whatever the baseline; unset: as it needs
    max_periods: Annotated[int, Ge(2)] = 1_000_000  # beyond it the shortest period tried is raised, and a note says so
    durations_hours: tuple[float, ...] = ()  # trial durations, hours; empty: from the star's density
    duration_ratio: Annotated[float, Gt(1)] = 1.25  # of neighbouring trial durations
    templates: tuple[Literal["box", "limb-darkened", "trapezoid", "v"], ...] = ("box", "limb-darkened", "v")
    bin_minutes: Annotated[float, Gt(0)] | None = None  # base bin, minutes; unset: 5 up to 60 observed days, 10 beyond
    min_points: Annotated[int, Ge(3)] = 50  # fewest cadences worth searching
    max_signals: Annotated[int, Ge(1)] = 4  # per star
    min_transits: Annotated[int, Ge(2)] = 2  # distinct transits of which at least half was observed
    event_snr: Annotated[float, Ge(0)] = 2.5  # each transit alone must reach it where there are three or fewer
    event_share: Annotated[float, Gt(0), Le(1)] = 0.75  # largest share of snr**2 one transit may have
    consistent_snr: Annotated[float, Ge(0)] = (
        5.0  # snr over the root of chi-square, where transits disagree more than by chance
    )
    max_removed_events: Annotated[int, Ge(0)] = 2  # lone dips that are masked, and the rest searched again
    scrambles: Annotated[int, Ge(0)] = 3  # orders of its days a star with a signal is searched in for false alarms
    mask_width: Annotated[float, Ge(1)] = 1.5  # durations masked around the transits of a signal found
    bls_threshold: Annotated[float, Gt(0)] = 0.001  # depth**2 * n_in * n_out / (n_in + n_out), two-pass-bls only
    coarse_nperiods: Annotated[int, Ge(2)] = 2000  # two-pass-bls only
    refine_nperiods: Annotated[int, Ge(2)] = 3000  # two-pass-bls only
    downsample_limit: Annotated[int, Ge(100)] = 80_000  # cadences above which two-pass-bls bins them
    # "tls" asks transit least squares for a second opinion on every signal; it decides nothing
    confirm: Literal["none", "tls"] = field(default="none", metadata={"phase": "confirm"})
    # for one signal; keep it below [engine] phase_limit_seconds
    confirm_seconds: Annotated[float, Gt(0)] = field(default=120.0, metadata={"phase": "confirm"})
    # address space of the process that does it, where the system can limit that
    confirm_memory_mb: Annotated[float, Ge(64)] = field(default=2048.0, metadata={"phase": "confirm"})


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A light curve ready to be searched."""

    time: Floats
    flux: Floats
    weight: Floats
    cadence: float
    narrowest: float  # days, of a bin
    grid: grid.Grid
    limits: tuple[float, float]

    def cadences(self, weight: Floats) -> refine.Cadences:
        """The cadences with these weights, less their weighted mean."""
        mean = float((weight * self.flux).sum() / weight.sum())
        return refine.Cadences(self.time, self.flux - mean, weight)

    @property
    def sampling(self) -> bytes:
        """Equal for light curves that share cadences, weights and grid."""
        digest = hashlib.sha256()
        for array in (self.time, self.weight, self.grid.period, self.grid.durations):
            digest.update(array.tobytes())
        return digest.digest()


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A refined peak."""

    peak: refine.Peak  # of the coarse spectrum
    ephemeris: refine.Ephemeris
    measurement: refine.Measurement
    snr: float  # with the noise of the whole light curve, its own transits included
    sde: float

    @property
    def height(self) -> float:
        """What peaks are ranked by: ``snr``, but for a signal that makes most of the noise it was measured against."""
        return self.measurement.snr if self.measurement.snr > OWN_NOISE * self.snr else self.snr


def search(
    light_curve: LightCurve,
    settings: SearchSettings = SearchSettings(),
    star: Star = Star(),
    backend: str = "numba",
) -> SearchResult:
    """Find the periodic dips of a light curve.

    Parameters
    ----------
    light_curve : LightCurve, n cadences
        Detrended. Gaps may be of any length; errors of 0 are ignored.
    settings : SearchSettings
    star : Star
        Its density, where known, sets periods and durations; else the Sun's, with a note.
    backend : str
        "numba", "numpy" or "jax": the kernel of the coarse pass. The numbers agree to 1e-5.

    Returns
    -------
    SearchResult
        ``signals`` are those over the threshold, strongest first. ``best`` is the strongest peak, whether or not it
        passed, and ``None`` only where no period could be tried or nothing dims. A light curve too short or too sparse
        has no signals and says so in ``notes``. Never NaN.

    Raises
    ------
    ValueError
        If there is no such backend or template.

    Notes
    -----
    Filter first, fold second (`pipeline.periodogram.reference`), on Ofir's periods (2014, A&A 561, A138). The
    signal-to-noise is scaled by the scatter of the filter's own output at each duration, so that red noise counts.
    ``noise`` is that scatter as a depth. A signal needs two distinct transits; where there are three or fewer each
    must be significant alone, none may dominate, and the transits must agree in depth as far as the noise says. The
    reported ``snr`` takes the noise with the signal's own transits masked; the threshold is applied before that.
    """
    return search_many([light_curve], settings, [star], backend)[0]


def search_many(
    light_curves: Sequence[LightCurve],
    settings: SearchSettings = SearchSettings(),
    stars: Sequence[Star] | None = None,
    backend: str = "numba",
) -> list[SearchResult]:
    """Search many light curves; those that share their cadences and grid are folded together.

    Parameters
    ----------
    light_curves : sequence of LightCurve
    settings, backend
        As in :func:`search`.
    stars : sequence of Star or None
        One for each light curve.

    Returns
    -------
    list of SearchResult
        One for each light curve, equal to what :func:`search` gives it alone (signal-to-noise to 1e-5).

    Raises
    ------
    ValueError
        If stars and light curves differ in number, or there is no such backend or template.
    """
    stars = [Star()] * len(light_curves) if stars is None else stars
    if len(stars) != len(light_curves):
        raise ValueError(f"{len(light_curves)} light curves with {len(stars)} stars: give one star for each")
    with_kernel = spectrum.kernel(backend)
    for template in settings.templates:
        binned.template_shape(template, np.zeros(1))
    results: list[SearchResult | None] = [None] * len(light_curves)
    groups: dict[bytes, list[tuple[int, _Prepared]]] = {}
    for k, (light_curve, star) in enumerate(zip(light_curves, stars, strict=True)):
        prepared = _prepare(light_curve, settings, star)
        if isinstance(prepared, str):
            results[k] = _nothing(settings, backend, prepared)
        else:
            alone = settings.method == "two-pass-bls"
            groups.setdefault(str(k).encode() if alone else prepared.sampling, []).append((k, prepared))
    for group in groups.values():
        first = _spectrum([prepared for _, prepared in group], None, settings, with_kernel)
        for column, (k, prepared) in enumerate(group):
            results[k] = _finish(prepared, first, column, settings, backend)
    return [result for result in results if result is not None]


def _nothing(settings: SearchSettings, backend: str, note: str) -> SearchResult:
    """The result of a light curve that cannot be searched."""
    empty = np.zeros(0)
    return SearchResult(empty, empty, empty, empty, (), None, settings.method, backend, (note,))


def _prepare(light_curve: LightCurve, settings: SearchSettings, star: Star) -> _Prepared | str:
    """Weights, bins and grid of a light curve, or why it cannot be searched."""
    n = len(light_curve)
    if n < settings.min_points:
        return f"{n} cadences are too few to search: [search] min_points is {settings.min_points}"
    time = light_curve.time
    span = float(time[-1] - time[0])
    cadence = float(np.median(np.diff(time)))
    observed = cadence * n
    period_max = settings.period_max
    if period_max is None:
        period_max = min(span / 2.0, max(observed, settings.period_min), settings.longest_period)
    period_max = min(period_max, span)
    if not period_max > settings.period_min * 1.001:
        return (
            f"a baseline of {span:.2f} d, {observed:.2f} d of it observed, leaves no period to try: "
            f"[search] period_min is {settings.period_min:g} d and two transits are needed"
        )
    width = (settings.bin_minutes or (5.0 if observed <= LONG_SERIES else 10.0)) / 1440.0
    layout = grid.make_grid(
        span,
        settings.period_min,
        period_max,
        density=grid.stellar_density(star),
        cadence=cadence,
        oversample=settings.oversample,
        duration_ratio=settings.duration_ratio,
        durations=tuple(hours / 24.0 for hours in settings.durations_hours),
        nperiods=settings.nperiods,
        max_periods=settings.max_periods,
    )
    if layout.durations.size == 0:
        return (
            f"no duration fits periods of {settings.period_min:g} to {period_max:.2f} d "
            f"at a cadence of {cadence * 1440:.1f} min"
        )
    weight = noise.cadence_weights(time, light_curve.flux, light_curve.flux_err)
    # a dip that comes back three times within every trial period belongs to a third of it
    limits = (float(layout.period[0]) / 3.0 * (1 - 1e-9), float(layout.period[-1]) * (1 + 1e-9))
    return _Prepared(time, light_curve.flux, weight, cadence, width, layout, limits)


def _spectrum(
    group: Sequence[_Prepared],
    weight: Floats | None,
    settings: SearchSettings,
    with_kernel: spectrum.Kernel,
    before: spectrum.Before | None = None,
) -> spectrum.Spectrum:
    """The coarse spectrum of light curves that share cadences, weights and grid."""
    lead = group[0]
    weight = lead.weight if weight is None else weight
    flux = np.stack([prepared.cadences(weight).flux for prepared in group])
    if settings.method == "two-pass-bls":
        # numba is not imported by those who only read the settings
        from pipeline.periodogram import two_pass_bls

        return two_pass_bls.measure_spectrum(
            lead.time,
            flux[0],
            weight,
            lead.grid,
            with_kernel,
            coarse_nperiods=settings.coarse_nperiods,
            refine_nperiods=settings.refine_nperiods,
            downsample_limit=settings.downsample_limit,
        )
    series = spectrum.Series(lead.time, flux, weight, lead.narrowest)
    return spectrum.measure_spectrum(series, lead.grid, settings.templates, with_kernel, settings.snr, before)


def _finish(
    prepared: _Prepared, first: spectrum.Spectrum, column: int, settings: SearchSettings, backend: str
) -> SearchResult:
    """Refine, accept, mask and search again, from the first coarse spectrum on."""
    # refinement runs a few dozen periods: it stays on the CPU whatever folds the coarse grid
    fine = spectrum.kernel("numpy" if backend == "numpy" else "numba")
    coarse = spectrum.kernel(backend)
    notes = list(prepared.grid.notes)
    weight = prepared.weight
    accepted: list[_Found] = []
    strongest: _Found | None = None  # of those nothing but their height is held against
    refused: _Found | None = None
    removed = 0
    current, k = first, column
    while True:
        searched = weight
        found = _refined_peaks(prepared, prepared.cadences(weight), current, k, settings, fine)
        sound = [item for item in found if _veto(item, settings) is None]
        passed = next((item for item in sound if _is_strong(item, settings)), None)
        if sound and (strongest is None or sound[0].height > strongest.height):
            strongest = sound[0]
        if found and refused is None:
            refused = found[0]
        if passed is not None:
            accepted.append(passed)
            weight = np.where(refine.near_transit(prepared.time, passed.ephemeris, settings.mask_width), 0.0, weight)
            if len(accepted) >= settings.max_signals:
                break
        elif found and _is_strong(found[0], settings):
            notes.append(f"period {found[0].ephemeris.period:.4f} d refused: {_veto(found[0], settings)}")
            if removed >= settings.max_removed_events:
                break
            removed += 1
            weight = np.where(_strongest_event(prepared.time, found[0], settings), 0.0, weight)
        else:
            break
        if int((weight > 0).sum()) < settings.min_points:
            break
        level = abs(float(np.average(prepared.flux, weights=weight) - np.average(prepared.flux, weights=searched)))
        current, k = _spectrum([prepared], weight, settings, coarse, spectrum.Before(current, k, level)), 0
    tail = _tail(prepared, first, column, weight, settings, coarse, min((item.snr for item in accepted), default=None))
    signals = _numbered(prepared, accepted, tail)
    best = signals[0] if signals else None
    if best is None and (peak := strongest or refused) is not None:
        best = _signal(prepared, peak, tail)
    if best is None:
        notes.append("nothing dims: no peak at any period")
    return SearchResult(
        period=first.period,
        power=first.snr[:, column].astype(np.float64),
        durations=prepared.grid.durations,
        noise=first.noise[:, column],
        signals=signals,
        best=best,
        method=settings.method,
        backend=backend,
        notes=tuple(notes),
    )


def _tail(
    prepared: _Prepared,
    first: spectrum.Spectrum,
    column: int,
    weight: Floats,
    settings: SearchSettings,
    with_kernel: spectrum.Kernel,
    weakest: float | None,
) -> nulls.Tail | None:
    """How high noise alone rises: by the inversion, and where the weakest signal is not certain by scrambles too."""
    if settings.method == "two-pass-bls":
        return None
    if weakest is None or weakest >= CERTAIN or int((weight > 0).sum()) < settings.min_points:
        return nulls.tail_of(first.inverted[:, column : column + 1], nulls.BLOCKS * nulls.SHARE)
    series = spectrum.Series(prepared.time, prepared.cadences(weight).flux[None], weight, prepared.narrowest)
    return nulls.null_tail(series, prepared.grid, with_kernel, settings.scrambles)


def _refined_peaks(
    prepared: _Prepared,
    cadences: refine.Cadences,
    current: spectrum.Spectrum,
    column: int,
    settings: SearchSettings,
    with_kernel: spectrum.Kernel,
) -> list[_Found]:
    """The highest peaks of a coarse spectrum, refined, strongest first; low ones only until one is sound."""
    power = current.snr[:, column].astype(np.float64)
    spread = float(power.std())
    names: tuple[str, ...] = settings.templates if settings.method == "matched-filter" else ("box",)
    sigma_of: refine.SigmaOf = {}
    for j, template in enumerate(names):
        measured = current.sigma[:, j, column] > 0
        if measured.any():  # other templates than the first are measured where a peak is worth them
            sigma_of[template] = (prepared.grid.durations[measured], current.sigma[measured, j, column])
    if not sigma_of:
        return []
    found: list[_Found] = []
    for peak in _peaks(prepared, current, column, names):
        if peak.snr < WORTH_REFINING * settings.snr and any(_veto(item, settings) is None for item in found):
            break
        refined = _refined(prepared, cadences, peak, float(current.period[0]), sigma_of, settings, with_kernel)
        if refined is not None and refined[1].snr > 0:
            sde = (peak.snr - float(power.mean())) / spread if spread > 0 else 0.0
            found.append(_Found(peak, *refined, sde))
    return sorted(found, key=lambda item: (not _is_strong(item, settings), -item.height))


def _refined(
    prepared: _Prepared,
    cadences: refine.Cadences,
    peak: refine.Peak,
    shortest: float,
    sigma_of: refine.SigmaOf,
    settings: SearchSettings,
    with_kernel: spectrum.Kernel,
) -> tuple[refine.Ephemeris, refine.Measurement, float] | None:
    """A peak with what was measured of it and its signal-to-noise; None if nothing dims.

    A peak that refinement does not lift over the threshold is told as the coarse spectrum has it: it lifts noise more
    than transits.
    """
    older = settings.method == "two-pass-bls"
    if older or peak.snr >= WORTH_REFINING * settings.snr:
        if older:
            trial = refine.locate(cadences, peak, with_kernel)
        else:
            # only a signal may be named by a period below those asked for: there noise has many more chances
            lowest = prepared.limits[0] if peak.snr >= settings.snr else shortest * (1 - 1e-9)
            limits = (lowest, prepared.limits[1])
            shapes = tuple(name for name in sigma_of if name in (peak.template, settings.templates[0]))
            trial = refine.scan_harmonics(cadences, peak, shapes, sigma_of, prepared.grid, limits, with_kernel)
        if trial is None:
            return None
        ephemeris = refine.polish(cadences, trial, sigma_of, prepared.limits, with_kernel=with_kernel)
        measurement = refine.measure(cadences, ephemeris, _sigma(sigma_of, ephemeris))
        snr = measurement.snr
        if snr >= settings.snr:
            fitted = _fitted(prepared, cadences, ephemeris, tuple(sigma_of), measurement, with_kernel)
            return *fitted, snr
        if older:
            return ephemeris, measurement, snr
    located = refine.locate(cadences, peak, with_kernel)
    if located is None:
        return None
    return located, replace(refine.measure(cadences, located, _sigma(sigma_of, located)), snr=peak.snr), peak.snr


def _peaks(prepared: _Prepared, current: spectrum.Spectrum, column: int, names: Sequence[str]) -> list[refine.Peak]:
    """The highest peaks of a coarse spectrum, further apart than a transit drifts, and the highest one unscaled.

    A star that varies all the time looks noisy at the duration of its own dips; scaled by that noise its true period
    can hide below a long duration over which the dips average out. Unscaled it stands out.
    """
    span = float(prepared.time[-1] - prepared.time[0])
    left = current.snr[:, column].astype(np.float64)
    highest = float(left.max())
    peaks: list[refine.Peak] = []
    for _ in range(PEAKS_REFINED):
        top = int(np.argmax(left))
        if not left[top] > 0 or left[top] < PEAK_SHARE * highest:
            break
        period = float(current.period[top])
        duration = float(prepared.grid.durations[current.duration[top, column]])
        peaks.append(refine.Peak(period, duration, names[int(current.template[top, column])], float(left[top])))
        left[np.abs(current.period / period - 1.0) * span < 1.5 * duration] = 0.0
        left[top] = 0.0
    period, duration = current.deepest[column]
    if period > 0 and all(abs(period / peak.period - 1.0) * span > duration for peak in peaks):
        height = float(current.snr[int(np.argmin(np.abs(current.period - period))), column])
        peaks.append(refine.Peak(period, duration, names[0], max(height, 0.0)))
    return peaks


def _sigma(sigma_of: refine.SigmaOf, ephemeris: refine.Ephemeris) -> float:
    """The scatter for the duration and shape of an ephemeris."""
    return float(np.interp(ephemeris.duration, *sigma_of[ephemeris.template]))


def _fitted(
    prepared: _Prepared,
    cadences: refine.Cadences,
    found: refine.Ephemeris,
    names: Sequence[str],
    measured: refine.Measurement,
    with_kernel: spectrum.Kernel,
) -> tuple[refine.Ephemeris, refine.Measurement]:
    """Duration and shape by least squares, and the noise with the signal's own transits masked, if it can be."""
    longest = LONGEST_FIT * float(prepared.grid.durations[-1])
    for ephemeris in (refine.fit_shape(cadences, found, names, prepared.limits, longest, with_kernel), found):
        alone = refine.own_noise(cadences, ephemeris, with_kernel)
        if alone is not None:
            fitted = refine.measure(cadences, ephemeris, alone)
            if fitted.snr >= FIT_MAY_LOSE * measured.snr:
                return ephemeris, fitted
    return found, measured


def _is_strong(found: _Found, settings: SearchSettings) -> bool:
    """Whether the height of the peak alone would make a signal."""
    if settings.method == "two-pass-bls":
        return found.measurement.bls_power >= settings.bls_threshold
    return found.snr >= settings.snr


def _veto(found: _Found, settings: SearchSettings) -> str | None:
    """What but its height speaks against a refined peak; None if nothing does.

    Below the threshold the limits shrink with the height, so that the strongest peak of a quiet star is judged as a
    signal would be.
    """
    measurement = found.measurement
    share = min(1.0, found.snr / settings.snr)
    if measurement.n_transits < settings.min_transits:
        return f"{measurement.n_transits} distinct transits, [search] min_transits is {settings.min_transits}"
    if measurement.single_event_share > settings.event_share:
        return (
            f"one transit holds {measurement.single_event_share:.0%} of it, "
            f"[search] event_share is {settings.event_share:g}"
        )
    whole = measurement.event_snr[measurement.event_weight >= 0.5]
    if measurement.n_transits <= FEW_TRANSITS and float(whole.min()) < share * settings.event_snr:
        return (
            f"of {measurement.n_transits} transits the weakest reaches {float(whole.min()):.1f}, "
            f"[search] event_snr is {settings.event_snr:g}"
        )
    by_chance = measurement.chi_square <= chi_square_limit(measurement.cycle.size - 1)
    consistent = measurement.snr / np.sqrt(max(1.0, measurement.chi_square))
    if not by_chance and consistent < share * settings.consistent_snr:
        return (
            f"its transits disagree in depth: {measurement.snr:.1f} / sqrt({measurement.chi_square:.1f}) is "
            f"{consistent:.1f}, [search] consistent_snr is {settings.consistent_snr:g}"
        )
    return None


def chi_square_limit(freedom: int) -> float:
    """Reduced chi-square that chance exceeds once in a thousand (Wilson & Hilferty 1931, PNAS 17, 684)."""
    spread = 2.0 / (9.0 * max(freedom, 1))
    return float((1.0 - spread + ONE_IN_A_THOUSAND * np.sqrt(spread)) ** 3)


def _strongest_event(time: Floats, found: _Found, settings: SearchSettings) -> np.ndarray:
    """True within the mask of the one transit that gives most to a refused peak, (n,)."""
    cycle = float(found.measurement.cycle[int(np.argmax(found.measurement.event_snr))])
    centre = found.ephemeris.epoch + cycle * found.ephemeris.period
    return np.abs(time - centre) < 0.5 * settings.mask_width * found.ephemeris.duration


def _signal(prepared: _Prepared, found: _Found, tail: nulls.Tail | None) -> TransitSignal:
    """What is told of a refined peak, its epoch moved to the first transit of which at least half was observed."""
    measurement, ephemeris = found.measurement, found.ephemeris
    whole = measurement.cycle[measurement.event_weight >= 0.5]
    first = float(whole[0])
    shifted = replace(measurement, cycle=measurement.cycle - first)
    period_err, epoch_err, duration_err = refine.ephemeris_errors(shifted, ephemeris, prepared.cadence)
    return TransitSignal(
        period=ephemeris.period,
        epoch=ephemeris.epoch + first * ephemeris.period,
        duration=ephemeris.duration,
        depth=measurement.depth,
        snr=measurement.snr,
        period_err=period_err,
        epoch_err=epoch_err,
        duration_err=duration_err,
        depth_err=measurement.depth_err,
        sde=found.sde,
        bls_power=measurement.bls_power,
        n_transits=measurement.n_transits,
        single_event_share=measurement.single_event_share,
        chi_square=measurement.chi_square,
        false_alarm_probability=None if tail is None else tail.probability(found.peak.snr),
        false_alarm_nulls=None if tail is None else tail.nulls,
        template=ephemeris.template,
    )


def _numbered(prepared: _Prepared, accepted: Sequence[_Found], tail: nulls.Tail | None) -> tuple[TransitSignal, ...]:
    """Signals by falling signal-to-noise, numbered from 1, each harmonic with the number of the stronger signal."""
    ranked = sorted((_signal(prepared, found, tail) for found in accepted), key=lambda signal: -signal.snr)
    span = float(prepared.time[-1] - prepared.time[0])
    signals: list[TransitSignal] = []
    for number, signal in enumerate(ranked, start=1):
        alias = next((other.number for other in signals if _is_harmonic(signal, other, span)), None)
        signals.append(replace(signal, number=number, alias_of=alias))
    return tuple(signals)


def _is_harmonic(weaker: TransitSignal, stronger: TransitSignal, span: float) -> bool:
    """Whether two periods keep a simple ratio to within a duration over the whole baseline."""
    longest = max(weaker.duration, stronger.duration)
    return any(abs(weaker.period / (ratio * stronger.period) - 1.0) * span < 1.5 * longest for ratio in ALIASES)
