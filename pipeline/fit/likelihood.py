"""How well a transit explains the folded groups, for many samples in one call."""

import hashlib
from dataclasses import dataclass

import numpy as np

from pipeline.fit.folding import Folded
from pipeline.fit.model import mean_dim
from pipeline.fit.priors import EPOCH, PERIOD, WHITE, Priors
from pipeline.types import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Prior and likelihood; a sample is (8,) in the order of ``priors.NAMES``."""

    folded: Folded
    priors: Priors

    def residuals(self, x: Floats) -> Floats:
        """What a model leaves in the independent numbers of all groups, (w, g, n); the samples must be allowed."""
        folded = self.folded
        shapes = self.priors.shapes(x)
        late = (x[:, EPOCH] - folded.epoch)[:, None] + (x[:, PERIOD] - folded.period)[:, None] * folded.turns
        reach = 0.5 * float(shapes.duration.max()) + 0.5 * float(folded.width.max()) + float(np.abs(late).max())
        # bins that no transit touches hold no light lost
        low, high = np.searchsorted(folded.edges, [-reach, reach])
        part = slice(max(int(low) - 1, 0), min(int(high), folded.edges.size - 1))
        since = folded.since[:, part] - late[:, :, None]
        dims = mean_dim(shapes, since, folded.width[:, part])
        turned = np.matmul(folded.rotation[:, :, part], dims.transpose(1, 2, 0))  # (g, n, w)
        return folded.rotated - turned.transpose(2, 0, 1)

    def log_likelihood(self, x: Floats) -> Floats:
        """But for a constant, (w,); the samples must be allowed."""
        folded = self.folded
        square = np.exp(2 * x[:, WHITE])
        variance = square[:, None] + folded.extra[folded.used]
        residual = self.residuals(x)[:, folded.used]
        log = -0.5 * (residual**2 / variance + np.log(variance)).sum(axis=1)
        return log - 0.5 * folded.within / square - folded.within_degrees * x[:, WHITE]

    def log_probability(self, x: Floats) -> Floats:
        """Logarithm of the posterior but for a constant, (w,); -inf where the prior allows nothing."""
        log = np.full(len(x), -np.inf)
        good = self.priors.allowed(x)
        if good.any():
            kept = x[good]
            log[good] = self.log_likelihood(kept) + self.priors.log_density(kept, self.priors.shapes(kept))
        return log

    @property
    def key(self) -> str:
        """A name for everything that decides the values."""
        name = hashlib.sha256(repr(self.priors).encode())
        for part in (self.folded.since, self.folded.width, self.folded.turns, self.folded.rotated,
                     self.folded.rotation, self.folded.extra):  # fmt: skip
            name.update(np.ascontiguousarray(part).tobytes())
        name.update(repr((self.folded.within, self.folded.within_degrees, self.folded.epoch)).encode())
        return name.hexdigest()
