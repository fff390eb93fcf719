"""What every vetting test is handed: one signal, its data, and the measurements several tests share."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Interval

from pipeline import limb_darkening
from pipeline.types import CleanedLightCurve, FoldedViews, LightCurve, Star, TransitSignal
from pipeline.variability import Variability, classify
from pipeline.vetting import transit_shape, trapezoid
from pipeline.vetting.parity import Parities, measure_parities
from pipeline.vetting.series import Series, every_phase
from pipeline.vetting.transits import Transits, measure

EARTH_RADII = 109.08  # in a solar radius


@dataclass(frozen=True, slots=True)
class VetSettings:
    """The [vet] table."""

    odd_even_sigma: Annotated[float, Gt(0)] = 4.0  # odd and even depths may differ by this many sigmas
    odd_even_epoch_sigma: Annotated[float, Gt(0)] = 4.0  # same for the times of odd and even transits
    alias_sigma: Annotated[float, Gt(0)] = 4.0  # another period must be this much likelier than the found one
    secondary_sigma: Annotated[float, Gt(0)] = 3.0  # deepest dip away from the transit, after paying for the look
    occultation_share: Annotated[float, Interval(gt=0, lt=1)] = 0.1  # of the transit's depth; a planet's is shallower
    v_shape_flat: Annotated[float, Interval(ge=0, lt=1)] = 0.3  # flat share of a transit below which it is a V
    v_shape_sigma: Annotated[float, Gt(0)] = 2.0  # how sure of that
    steadiness_sigma: Annotated[float, Gt(0)] = 5.0  # scatter of the single depths beyond their errors
    steadiness_scatter: Annotated[float, Gt(0)] = 0.2  # and at least this fraction of the depth
    single_event_share: Annotated[float, Interval(gt=0, le=1)] = 0.8  # S/N of the strongest transit over that of all
    single_event_rest: Annotated[float, Gt(0)] = 2.0  # sigmas of dip that the other transits must show together
    duration_ratio: Annotated[float, Gt(1)] = 1.67  # duration over that of a central transit of this star
    density_err: Annotated[float, Gt(0)] = 0.3  # fraction; catalogue densities without an error are this good
    radius_err: Annotated[float, Gt(0)] = 0.1  # fraction; catalogue radii of stars without an error are this good
    timing_sigma: Annotated[float, Gt(0)] = 4.0  # scatter of the transit times beyond their errors
    sector_sigma: Annotated[float, Gt(0)] = 4.0  # scatter of the sectors' mean depths beyond their errors
    sector_scatter: Annotated[float, Gt(0)] = 0.1  # and at least this fraction of the depth
    centroid_sigma: Annotated[float, Gt(0)] = 4.0  # shift in transit
    centroid_pixels: Annotated[float, Gt(0)] = 1.0  # and distance of the source from the light's centre
    largest_planet: Annotated[float, Gt(0)] = 22.0  # Earth radii
    size_sigma: Annotated[float, Ge(0)] = 1.0  # how sure that the body is larger
    largest_depth: Annotated[float, Interval(gt=0, lt=1)] = 0.25  # fraction, where the star's radius is unknown
    soft_failures: Annotated[int, Ge(1)] = 2  # soft tests that make a false positive when they fail together
    least_mes: Annotated[float, Ge(0)] = 6.2  # signal-to-noise that the sound transits must reach together
    least_transits: Annotated[int, Ge(1)] = 2  # sound transits that must be dips
    sound_coverage: Annotated[float, Interval(ge=0, le=1)] = 0.75  # share observed of 2 durations around a sound one
    brightening_share: Annotated[float, Interval(gt=0, le=1)] = 0.6  # brightest box over brightest + deepest
    unique_over_noise: float = 0.2  # sigmas of the transit above noise that 20,000 signals may make
    unique_over_others: float = 0.8  # sigmas above the third dip and the strongest brightening, after the look
    consistency_chi: Annotated[float, Ge(0)] = 7.8  # signal-to-noise over the scatter of the single transits' own
    consistency_sigma: Annotated[float, Ge(0)] = 3.0  # and how sure of that scatter
    pair_snr: Annotated[float, Ge(0)] = 4.0  # signal-to-noise of each transit where there are but two
    mean_over_median: Annotated[float, Gt(1)] = 1.5  # of the single depths
    chases_least: Annotated[float, Interval(ge=0, le=1)] = 0.78  # tenths of a period to the nearest event as strong
    chases_transits: Annotated[int, Ge(0)] = 5  # of that few transits each must stand out
    sine_sigma: Annotated[float, Gt(0)] = 4.0  # of a wave at half, once or twice the period
    sine_share: Annotated[float, Gt(0)] = 0.3  # and its semi-amplitude over the depth
    sine_period: Annotated[float, Ge(0)] = 10.0  # days; waves of longer periods are not judged
    asymmetry_sigma: Annotated[float, Gt(0)] = 5.0  # of left against right
    asymmetry_share: Annotated[float, Gt(0)] = 0.3  # and the difference over the depth
    gap_days: Annotated[float, Gt(0)] = 0.3  # without cadences that make a long gap
    gap_share: Annotated[float, Interval(gt=0, le=1)] = 0.5  # of the transits beside a gap
    gap_chance: Annotated[float, Interval(gt=0, le=1)] = 0.01  # and the probability that so many are there by chance
    fit_gain: float = 20.0  # BIC by which a transit betters a straight line
    fit_rival: Annotated[float, Ge(0)] = 6.0  # BIC by which a step or jump may better the transit
    false_alarm_probability: Annotated[float, Interval(gt=0, le=1)] = 0.01  # of so strong a peak in noise alone
    variability_probability: Annotated[float, Interval(gt=0, le=1)] = 0.8  # of a contact binary or pulsation in step


@dataclass(frozen=True, eq=False)
class Case:
    """One signal under test."""

    cleaned: CleanedLightCurve
    views: FoldedViews
    signal: TransitSignal
    star: Star
    settings: VetSettings

    @property
    def light_curve(self) -> LightCurve:
        return self.views.light_curve

    @cached_property
    def transits(self) -> Transits:
        """Depths of the single transits in flux."""
        curve = self.light_curve
        return measure(curve.time, curve.flux, self.cleaned.exposure, self.signal, self.views.masked_noise)

    @cached_property
    def parities(self) -> Parities | str:
        """Times, depths and widths of the odd transits against the even, or why they are not known."""
        curve, transits = self.light_curve, self.transits
        return measure_parities(
            curve.time, curve.flux, self.cleaned.exposure, self.signal, transits, self.views.masked_noise
        )

    @cached_property
    def series(self) -> Series | str:
        """The ephemeris moved to every phase, or why that cannot be measured."""
        return every_phase(self.light_curve, self.cleaned.exposure, self.signal)

    @cached_property
    def fold(self) -> trapezoid.Fold | None:
        """The light curve around the transit, or None where too few cadences are there."""
        events, pseudo = self.transits.events, self.transits.pseudo
        white = float(np.median(events.white[events.usable])) if events.count else 0.0
        factor = pseudo.scale + pseudo.red / white if white > 0 else 1.0
        return trapezoid.gather(self.light_curve, self.cleaned.exposure, self.signal, factor)

    @cached_property
    def shape(self) -> trapezoid.Trapezoid | None:
        """The trapezoid that fits the fold, or None where the data do not tell."""
        return None if self.fold is None else trapezoid.fit(self.fold, self.signal.duration)

    @cached_property
    def transit(self) -> transit_shape.TransitShape | None:
        """Impact parameter, radius ratio and duration that the fold leaves possible, or None where no shape fits it."""
        if self.fold is None or self.shape is None:
            return None
        law = limb_darkening.quadratic(self.star).coefficients
        return transit_shape.fit(self.fold, self.shape.centre, self.signal.duration, law)

    @cached_property
    def variability(self) -> Variability:
        """What the star does of itself, in the whole undetrended light curve, the eclipses of a binary among it."""
        return classify(self.cleaned.whole or self.cleaned, self.star)

    def measure_series(self, values: np.ndarray, known: np.ndarray) -> Transits:
        """The same measurement in another series on the same cadences, where it is known."""
        return measure(self.light_curve.time[known], values[known], self.cleaned.exposure[known], self.signal)

    @cached_property
    def depth(self) -> float:
        """Mean over the duration, a fraction: of the single transits, or the search's where none is well covered."""
        usable = self.transits.events.usable
        if not usable.any():
            return self.signal.depth
        return self.transits.mean(usable)[0]

    @property
    def bottom(self) -> float:
        """Depth at the bottom, a fraction: the trapezoid's where it fits, else the mean one."""
        return self.depth if self.shape is None else max(self.shape.depth, self.depth)

    @cached_property
    def radius_ratios(self) -> tuple[np.ndarray, np.ndarray]:
        """Radius ratios that the depth leaves possible if all the light is the star's, and their probabilities."""
        shape = self.transit
        if shape is not None and shape.ratio_probability.any():
            return shape.ratios, shape.ratio_probability
        return np.array([math.sqrt(max(self.bottom, 0.0))]), np.ones(1)

    @property
    def radius_ratio(self) -> float:
        """The median of ``radius_ratios``."""
        ratios, probability = self.radius_ratios
        order = np.argsort(ratios)
        return float(np.interp(0.5, np.cumsum(probability[order]) - 0.5 * probability[order], ratios[order]))

    @property
    def planet_radius(self) -> float | None:
        """Earth radii, if all the light is the star's; None without the star's radius."""
        if self.star.radius is None or not self.star.radius > 0 or not self.radius_ratio > 0:
            return None
        return EARTH_RADII * self.star.radius * self.radius_ratio

    @property
    def density(self) -> float | None:
        """Of the star, in solar densities; None where neither mass nor gravity, or no radius, is known."""
        star = self.star.with_mass()
        if star.radius is None or not star.radius > 0 or star.mass is None or not star.mass > 0:
            return None
        return star.mass / star.radius**3

    @property
    def duration(self) -> tuple[float, float, str]:
        """Days from first to fourth contact, its error, and where it is from."""
        shape = self.transit
        if shape is not None and shape.duration_err < 0.25 * shape.duration:
            return shape.duration, shape.duration_err, "fitted"
        err = self.signal.duration_err
        return self.signal.duration, 0.2 * self.signal.duration if err is None else err, "search"
