"""What is believed of a transit before its light is looked at."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.fit.model import GRAVITY, Shapes
from pipeline.types import Booleans, Floats

NAMES = ("period", "epoch", "ln ratio", "grazing", "ln duration", "u1", "u2", "ln white")  # columns of a sample
PERIOD, EPOCH, RATIO, GRAZING, DURATION, U1, U2, WHITE = range(8)
SUN_DENSITY = 1.4098  # g/cm3; IAU 2015 B3 nominal mass parameter and radius
CLOSEST = 1.5  # semi-major axis over the star's radius, at least
WHITE_RANGE = 5.0  # factor to each side of the noise measured between neighbouring cadences


@dataclass(frozen=True, slots=True)
class Priors:
    """Independent priors of the sampled columns, with that of the star's density in place of the duration's."""

    period: tuple[float, float]  # days, uniform
    epoch: tuple[float, float]  # BTJD of the transit nearest to the middle of the data, uniform
    ratio: tuple[float, float]  # log-uniform
    duration: tuple[float, float]  # days; log-uniform where the star is unknown
    limb_darkening: tuple[float, float]
    limb_darkening_err: float
    density: float | None = None  # of the star, solar
    density_err: float = 0.3  # fraction
    source: str = ""  # of the limb darkening
    left_aside: float | None = None  # a catalogue's density of the star that the light contradicts, solar

    def shapes(self, x: Floats) -> Shapes:
        """The transits that samples (w, 8) stand for; only where ``allowed``."""
        ratio = np.exp(x[:, RATIO])
        return Shapes(x[:, PERIOD], ratio, x[:, GRAZING] * (1 + ratio), np.exp(x[:, DURATION]), x[:, U1], x[:, U2])

    def allowed(self, x: Floats) -> Booleans:
        """Which samples (w, 8) have a probability at all."""
        low, high = self.bounds
        return np.asarray(((x > low) & (x < high)).all(axis=1) & (self.room(x) > 0).all(axis=1), dtype=np.bool_)

    def room(self, x: Floats) -> Floats:
        """How far limb darkening is from a dark limb, and from a limb that is not the darkest part, (w, 3)."""
        u1, u2 = x[:, U1], x[:, U2]
        return np.stack([1 - u1 - u2, u1, u1 + 2 * u2], axis=1)

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Least and largest value of each column."""
        sides = np.array([
            self.period,
            self.epoch,
            np.log(self.ratio),
            (0.0, 1.0),
            np.log(self.duration),
            (0.0, 2.0),
            (-1.0, 1.0),
            (-math.log(WHITE_RANGE), math.log(WHITE_RANGE)),
        ])  # fmt: skip
        return sides[:, 0], sides[:, 1]

    @property
    def ln_density(self) -> tuple[float, float]:
        """Mean and deviation of the logarithm of the density in g/cm3."""
        assert self.density is not None
        return math.log(self.density * SUN_DENSITY), math.sqrt(math.log1p(self.density_err**2))

    def log_density(self, x: Floats, shapes: Shapes) -> Floats:
        """Logarithm of the prior of allowed samples, but for a constant, (w,)."""
        first, second = self.limb_darkening
        log = -0.5 * ((x[:, U1] - first) ** 2 + (x[:, U2] - second) ** 2) / self.limb_darkening_err**2
        axis = shapes.scaled_axis
        if self.density is not None:
            middle, width = self.ln_density
            log -= 0.5 * ((np.log(shapes.density) - middle) / width) ** 2
            # d ln density / d ln duration at fixed ratio and impact parameter
            turn = np.pi * shapes.duration / shapes.period
            log += np.log(shapes.chord / np.sin(turn) ** 2 / axis**2 * turn / np.tan(turn))
        return np.where(axis > CLOSEST, log, -np.inf)

    def draw(self, number: int, rng: np.random.Generator) -> Floats:
        """Samples of the prior, (number, 8); those of the white noise are uniform in its logarithm."""
        low, high = self.bounds
        x = rng.uniform(low, high, (number, low.size))
        x[:, U1] = self.limb_darkening[0] + self.limb_darkening_err * rng.normal(size=number)
        x[:, U2] = self.limb_darkening[1] + self.limb_darkening_err * rng.normal(size=number)
        if self.density is not None:
            middle, width = self.ln_density
            density = np.exp(middle + width * rng.normal(size=number))
            cube = density * GRAVITY * (x[:, PERIOD] * 86400) ** 2 / (3 * np.pi)
            ratio = np.exp(x[:, RATIO])
            impact = x[:, GRAZING] * (1 + ratio)
            sine = np.sqrt(((1 + ratio) ** 2 - impact**2) / np.maximum(cube ** (2 / 3) - impact**2, 1e-9))
            x[:, DURATION] = np.log(x[:, PERIOD] / np.pi * np.arcsin(np.minimum(sine, 1.0)))
        good = self.allowed(x)
        good[good] = np.isfinite(self.log_density(x[good], self.shapes(x[good])))
        kept = x[good]
        return kept if good.all() else np.concatenate([kept, self.draw(number - len(kept), rng)])

    @property
    def words(self) -> dict[str, str]:
        """Each prior in words, by the name of its parameter in the evidence."""
        u1, u2 = self.limb_darkening
        law = f"normal, {{}} ± {self.limb_darkening_err:g} ({self.source}), within what darkens to the limb"
        duration = f"{24 * self.duration[0]:.3g} to {24 * self.duration[1]:.3g} h"
        if self.density is None:
            told = f"log-uniform, {duration}: the star's density is unknown"
            if self.left_aside is not None:
                told = (
                    f"log-uniform, {duration}: the catalogue's density of the star, "
                    f"{self.left_aside * SUN_DENSITY:.3g} g/cm3 ± {self.density_err:.0%}, is at odds with the transit "
                    "on a circular orbit and was left aside; what is derived from the star is no better than it"
                )
        else:
            told = (
                f"by the star's density on a circular orbit: log-normal, {self.density * SUN_DENSITY:.3g} g/cm3 ± "
                f"{self.density_err:.0%}; {duration}"
            )
        return {
            "period_days": f"uniform, {self.period[0]:.6f} to {self.period[1]:.6f}",
            "epoch_btjd": f"uniform, {self.epoch[0]:.4f} to {self.epoch[1]:.4f}",
            "radius_ratio": f"log-uniform, {self.ratio[0]:g} to {self.ratio[1]:g}",
            "impact_parameter": "uniform, 0 to 1 + radius_ratio",
            "duration_hours": told,
            "limb_darkening_1": law.format(f"{u1:.3f}"),
            "limb_darkening_2": law.format(f"{u2:.3f}"),
            "jitter_ppm": "all white noise of a cadence, log-uniform, a factor of "
            f"{WHITE_RANGE:g} to each side of that between neighbours",
        }
