"""The duration against the star's density: an orbit of this period crosses this star in so many hours."""

import math

import numpy as np

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

IMPACTS = (np.arange(200) + 0.5) / 200  # impact parameter over 1 + radius ratio, as likely one as the other
SURE = 1e-15  # no duration is surer than this


def duration_density(case: Case) -> Finding:
    """Compare the duration with that of a central transit on a circular orbit.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is duration over central duration; ``sigma`` the normal deviate of the chance that a circular orbit
        of any impact parameter shows so long a one, errors of duration and density counted: a unit normal for such
        orbits. Fails above ``duration_ratio`` when that is 2 sigma sure: the light crossed is that of a larger star
        than the target.

    Notes
    -----
    Duration of a central transit: P / pi * arcsin((1 + k) R* / a), Kepler's third law giving a / R* of the density
    (Seager & Mallen-Ornelas 2003). Short ones are no fault: a high impact parameter explains them. An eccentric
    orbit seen at its far point lengthens a transit by sqrt((1 + e) / (1 - e)): 1.67 is e = 0.47 (the photo-eccentric
    effect, Dawson & Johnson 2012). The note says which eccentricity a long transit asks for.
    """
    limit = case.settings.duration_ratio
    density = case.density
    if density is None:
        return Finding(
            "duration_density",
            Verdict.NOT_RUN,
            None,
            None,
            limit,
            "no_stellar: the star's density is unknown (needs its radius, and its mass or surface gravity)",
        )
    central = central_duration(case.signal.period, density, math.sqrt(max(case.depth, 0.0)))
    if central is None:
        return Finding(
            "duration_density",
            Verdict.FAIL,
            None,
            None,
            limit,
            f"an orbit of {case.signal.period:.4f} d lies inside a star of {density:.3g} solar densities",
        )
    duration, duration_err, source = case.duration
    ratio = duration / central
    # the duration goes with the cube root of the density
    relative = math.hypot(duration_err / duration, case.settings.density_err / 3)
    sigma = _longer_than_any(ratio, relative)
    sure = math.log(ratio / limit) / relative
    needs = f"; so long a one needs an eccentricity over {(ratio**2 - 1) / (ratio**2 + 1):.2f}" if sigma > 2 else ""
    return Finding(
        "duration_density",
        Verdict.FAIL if sure > 2 else Verdict.PASS,
        ratio,
        sigma,
        limit,
        f"{duration * 24:.2f} +- {duration_err * 24:.2f} h ({source}) against {central * 24:.2f} h for a central "
        f"transit of a star of {density:.2f} solar densities: {ratio:.2f} +- {ratio * relative:.2f} times{needs}",
    )


def _longer_than_any(ratio: float, relative: float) -> float:
    """Normal deviate of the chance that a circular orbit is measured at least this long; 0 is the middle."""
    chord = 0.5 * np.log(1 - IMPACTS**2)
    chance = np.mean([noise.NORMAL.cdf(z) for z in (chord - math.log(ratio)) / relative])
    return -noise.NORMAL.inv_cdf(min(max(float(chance), SURE), 1 - SURE))


def central_duration(period: float, density: float, radius_ratio: float) -> float | None:
    """Days from first to fourth contact; density in solar units; None where the orbit lies inside the star."""
    orbit = 4.2083 * density ** (1 / 3) * period ** (2 / 3)  # a / R*; 4.2083 for 1 day and the Sun's density
    sine = (1 + radius_ratio) / orbit
    return None if sine >= 1 else period / math.pi * math.asin(sine)
