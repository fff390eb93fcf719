"""Trial periods and durations by stellar density (Ofir 2014, A&A 561, A138).

Days and solar units throughout. Periods are uniform in frequency to the power 1/3, because the duration of a transit
scales as period to the power 1/3: half a step drifts the ephemeris by the same share of a transit at every period.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Booleans, Floats, Integers, Star

VERSION = 2

SOLAR_STEP = 0.0756  # (1/d)**(1/3) per day of span and unit of oversampling: (2 pi)**(2/3)/pi * R/(G M)**(1/3), Sun
CENTRAL_HOURS_AT_ONE_YEAR = 13.0  # central transit of the Sun at 1 au
LARGEST_DUTY = 0.35  # longest duration tried, as a share of the period
DENSITY_RANGE = (1e-3, 100.0)  # solar; a catalogue beyond it is not believed


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Trial periods, trial durations, and which durations are tried at which period."""

    period: Floats  # (n,) days, increasing
    durations: Floats  # (d,) days, increasing
    first: Integers  # (d,) first period at which each duration is tried
    last: Integers  # (d,) one past the last period
    step: float  # of frequency**(1/3), (1/d)**(1/3)
    density: float  # solar, assumed or known
    shares: tuple[float, float] = (0.0, math.inf)  # shortest and longest duration over the central one
    notes: tuple[str, ...] = ()

    def fits(self, period: Floats, duration: float) -> Booleans:
        """Whether a duration is one to be tried at each period, (p,)."""
        central = central_duration(period, self.density)
        within = (duration >= 0.999 * self.shares[0] * central) & (duration <= 1.001 * self.shares[1] * central)
        return within & (duration <= LARGEST_DUTY * period)


def stellar_density(star: Star) -> float | None:
    """Mean density in solar units, from mass and radius, else surface gravity and radius, else radius alone; or None.

    From the radius alone the mass is taken as the radius up to 1.5 solar and 1.5 beyond, which is right to a factor
    of two on the main sequence; the duration enters by its cube root.
    """
    if star.radius is None or not star.radius > 0:
        return None
    mass = star.with_mass().mass
    density = (mass if mass is not None and mass > 0 else min(star.radius, 1.5)) / star.radius**3
    return density if DENSITY_RANGE[0] <= density <= DENSITY_RANGE[1] else None


def central_duration(period: float | Floats, density: float) -> float | Floats:
    """Duration in days of a transit across the middle of a star of this density (solar units)."""
    return CENTRAL_HOURS_AT_ONE_YEAR / 24.0 * (np.asarray(period) / 365.25 / density) ** (1.0 / 3.0)


def frequency_step(span: float, density: float, oversample: float) -> float:
    """Step of frequency**(1/3), in (1/d)**(1/3), between neighbouring periods."""
    return SOLAR_STEP * density ** (-1.0 / 3.0) / (span * oversample) / 3.0


def period_step(period: float | Floats, step: float) -> float | Floats:
    """Distance in days between neighbouring periods of a grid with this step."""
    return 3.0 * np.asarray(period) ** (4.0 / 3.0) * step


def periods(period_min: float, period_max: float, step: float) -> Floats:
    """Periods uniform in frequency**(1/3), increasing, from ``period_min`` to ``period_max`` inclusive, in days."""
    low, high = period_max ** (-1.0 / 3.0), period_min ** (-1.0 / 3.0)
    count = max(2, math.ceil((high - low) / step) + 1)
    return np.linspace(high, low, count) ** -3.0


def duration_ladder(shortest: float, longest: float, ratio: float) -> Floats:
    """Durations from ``shortest`` to at least ``longest``, each ``ratio`` times the one before, in days."""
    count = max(1, math.ceil(math.log(max(longest / shortest, 1.0)) / math.log(ratio) - 1e-9) + 1)
    return shortest * ratio ** np.arange(count, dtype=np.float64)


def make_grid(
    span: float,
    period_min: float,
    period_max: float,
    *,
    density: float | None,
    cadence: float,
    oversample: float,
    duration_ratio: float,
    durations: tuple[float, ...] = (),
    nperiods: int | None = None,
    max_periods: int = 200_000,
) -> Grid:
    """Lay out the search of one light curve.

    Parameters
    ----------
    span : float
        Last minus first cadence with its gaps, days.
    period_min, period_max : float
        Days.
    density : float or None
        Solar units; None takes the Sun's, with wider limits on the durations, and says so in ``notes``.
    cadence : float
        Median distance of the cadences, days; no duration below twice this is tried.
    oversample : float
        At 3, half a step drifts the ephemeris by a sixth of the central duration over the whole span.
    duration_ratio : float
        Ratio of neighbouring durations.
    durations : tuple of float
        Days; tried at every period at which they are below 0.35 of it. Empty: from the density.
    nperiods : int or None
        This many periods, whatever the span.
    max_periods : int
        Beyond it the shortest period tried is raised, and ``notes`` says so.

    Returns
    -------
    Grid
        Without periods if none of them leaves room for a duration.
    """
    notes: list[str] = []
    if density is None:
        density, shortest, longest = 1.0, 0.2, 2.2
        notes.append("no stellar density: periods and durations are those of the Sun, with wider limits")
    else:
        shortest, longest = 0.25, 2.0
    step = frequency_step(span, density, oversample)
    low, high = period_max ** (-1.0 / 3.0), period_min ** (-1.0 / 3.0)
    if nperiods is not None:
        step = max(high - low, 1e-12) / max(nperiods - 1, 1)
    elif (high - low) / step > max_periods:
        period_min = (low + (max_periods - 2) * step) ** -3.0
        notes.append(
            f"a baseline of {span:.0f} d needs {(high - low) / step:.0f} periods: the shortest period tried "
            f"is raised to {period_min:.3f} d ([search] max_periods is {max_periods})"
        )
    period = periods(period_min, period_max, step)
    if nperiods is not None:
        period = period[:: max(1, period.size // nperiods)][:nperiods]
    if durations:
        ladder = np.sort(np.asarray(durations, dtype=np.float64))
        lower = np.zeros(ladder.size)
        upper = np.full(ladder.size, np.inf)
        shortest, longest = 0.0, math.inf
    else:
        start = max(shortest * float(central_duration(period[0], density)), 2.0 * cadence)
        end = min(longest * float(central_duration(period[-1], density)), LARGEST_DUTY * float(period[-1]))
        ladder = duration_ladder(start, max(end, start), duration_ratio)
        lower = 365.25 * density * (ladder / longest * 24.0 / CENTRAL_HOURS_AT_ONE_YEAR) ** 3.0
        upper = 365.25 * density * (ladder / shortest * 24.0 / CENTRAL_HOURS_AT_ONE_YEAR) ** 3.0
        upper[0] = max(upper[0], upper[min(1, ladder.size - 1)])  # where the cadence set the shortest duration
    lower = np.maximum(lower, ladder / LARGEST_DUTY)
    first = np.searchsorted(period, lower * (1.0 - 1e-12)).astype(np.int64)
    last = np.searchsorted(period, upper * (1.0 + 1e-12), side="right").astype(np.int64)
    used = last > first
    return Grid(period, ladder[used], first[used], last[used], step, density, (shortest, longest), tuple(notes))
