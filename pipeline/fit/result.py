"""What a fit says."""

from dataclasses import dataclass, field, replace

from pipeline.contamination import Contamination
from pipeline.types import Floats

RADIUS = "planet_radius_earth"


@dataclass(frozen=True, slots=True)
class Estimate:
    """The middle 68 % of a posterior."""

    unit: str
    median: float
    minus: float  # down to the 16th percentile, positive
    plus: float  # up to the 84th
    effective_samples: float
    r_hat: float


@dataclass(frozen=True, slots=True)
class TransitTime:
    """When one transit came."""

    number: int  # cycle, counted from the transit nearest to the middle of the data
    time: float  # BTJD
    err: float  # days
    late: float  # days after the fitted ephemeris
    snr: float  # of this transit


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The fold about the transit and what the posterior makes of it."""

    since: Floats  # (n,) hours from the middle
    flux: Floats  # (n,) relative to the level and slope beside the transit, 0 there
    err: Floats  # (n,) standard error, red noise included
    at: Floats  # (m,) hours
    low: Floats  # (m,) 16th percentile of the model
    middle: Floats  # (m,)
    high: Floats  # (m,) 84th


@dataclass(frozen=True, slots=True, eq=False)
class TransitFit:
    """A posterior of a transit model, or why there is none."""

    status: str  # "done", "not_converged" or "error"
    reason: str | None  # why it is not done
    method: str = ""
    seed: int = 0
    walkers: int = 0
    ensembles: int = 0
    steps: int = 0
    burn_in: int = 0
    autocorrelation_steps: float = 0.0
    lengths: float = 0.0
    split_r_hat: float = 0.0
    drift: float = 0.0
    priors: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Estimate] = field(default_factory=dict)
    derived: dict[str, Estimate] = field(default_factory=dict)
    not_derived: dict[str, str] = field(default_factory=dict)
    residual_ppm: float | None = None
    points: int = 0  # cadences
    transit_times: tuple[TransitTime, ...] = ()
    names: tuple[str, ...] = ()  # columns of the draws, as in ``parameters``
    draws: Floats | None = None  # (n, d) of the posterior
    curve: Curve | None = None

    def undiluted(self, light: Contamination | None) -> "TransitFit":
        """With the planet's radius as it is once the light of other stars is taken off, and the method saying so.

        Parameters
        ----------
        light : Contamination or None
            Where its makers took that light off the light curve, or nobody weighed it, nothing changes.

        Notes
        -----
        The depth is diluted by the target's share of the light, so the radius grows by the root of its inverse; ratio,
        depth and shape stay those of the light curve. The share is taken as known: its error is not in the radius's.
        """
        radius = self.derived.get(RADIUS)
        if light is None or radius is None or light.radius_factor == 1:
            return self
        by = light.radius_factor
        grown = replace(radius, median=by * radius.median, minus=by * radius.minus, plus=by * radius.plus)
        said = f"planet radius times {by:.4f}, as {light.fraction:.1%} of the light is the target's ({light.source})"
        return replace(self, derived=self.derived | {RADIUS: grown}, method=f"{self.method}; {said}")


NOUNS = (Estimate, TransitTime, Curve, TransitFit)  # what a checkpoint may hold of it
