"""What a person may choose of a fit: the [fit] table."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The [fit] table."""

    sampler: Literal["emcee", "none"] = "emcee"  # what draws the posterior of a survivor; none: no fits
    walkers: Annotated[int, Interval(ge=18, le=512)] = 32  # of each ensemble
    ensembles: Annotated[int, Interval(ge=2, le=8)] = 2  # independent of each other, compared at the end
    block: Annotated[int, Interval(ge=20, le=10_000)] = 300  # steps between two looks at the convergence
    max_steps: Annotated[int, Ge(100)] = 10_000  # of each ensemble; a chain that needs more is not converged
    lengths: Annotated[float, Gt(0)] = 50.0  # autocorrelation times that a chain must hold after its burn-in
    drift: Annotated[float, Gt(0)] = 0.1  # posterior sigmas between the means of both halves, at most
    split_r_hat: Annotated[float, Gt(1)] = 1.01  # of the halves of the ensembles, at most
    seed: Annotated[int, Ge(0)] = 1  # of the random numbers: the same seed gives the same chain
    groups: Annotated[int, Interval(ge=2, le=64)] = 6  # of consecutive transits that are folded together
    fineness: Annotated[float, Gt(0)] = 1.0  # bins of a transit, over those that its signal-to-noise asks for
    smallest_ratio: Annotated[float, Interval(gt=0, lt=1)] = 0.002  # radius of the planet over that of the star
    largest_ratio: Annotated[float, Interval(gt=0, le=1)] = 0.5  # same; more makes a star
    density_err: Annotated[float, Gt(0)] = 0.3  # fraction; TIC gives no errors, and orbits need not be circular
    radius_err: Annotated[float, Gt(0)] = 0.06  # fraction; typical of the TIC's radii of dwarfs
    mass_err: Annotated[float, Gt(0)] = 0.12  # fraction; typical of the TIC's masses
    teff_err: Annotated[float, Gt(0)] = 130.0  # K; typical of the TIC's temperatures
    limb_darkening_err: Annotated[float, Gt(0)] = 0.1  # of each coefficient, around the tables
