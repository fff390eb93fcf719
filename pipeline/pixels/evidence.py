"""What the pixels say of one signal. Positions are pixels of the stamp, (0, 0) the centre of its first pixel."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.types import Booleans, Finding, Floats, Product


@dataclass(frozen=True, slots=True)
class PlacedStar:
    """A catalogued star where it falls on the stamp, or beside it."""

    kind: str
    key: str
    tmag: float | None
    column: float  # proper motion and zero point applied
    row: float
    east: float  # arcsec from the target
    north: float
    flux: float | None  # e-/s, scaled from the target's; None without both magnitudes

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """How far the field of stars lies from its catalogue positions, out of transit."""

    column: float  # pixels
    row: float
    column_err: float  # scaled to how well the model of the star's image describes them
    row_err: float
    correlation: float
    stars: int  # fitted together
    target_flux: float  # e-/s
    background: float  # e-/s in a pixel
    chi_square: float  # reduced, with the model's own error counted in


@dataclass(frozen=True, slots=True)
class PositionFit:
    """The place of the dip in a difference image."""

    column: float  # pixels
    row: float
    column_err: float  # from pseudo-transits
    row_err: float
    correlation: float
    amplitude: float  # e-/s that go missing
    amplitude_err: float  # from pseudo-transits
    background: float  # e-/s in a pixel
    chi_square: float  # reduced
    agreeing: int  # of the nine starts, those that end here
    formal_err: float  # pixels, from the pixels' noise alone, mean of both axes

    @property
    def snr(self) -> float:
        return self.amplitude / self.amplitude_err


@dataclass(frozen=True, slots=True)
class SkyOffset:
    """Of the dip from the target's catalogue position, on the sky."""

    east: float  # arcsec
    north: float  # arcsec
    east_err: float
    north_err: float
    correlation: float
    independent: float  # pseudo-transit images behind the errors
    chi_square: float  # Hotelling's T-squared, two components
    sigma: float  # two-sided normal deviate of the same probability

    @property
    def arcsec(self) -> float:
        return math.hypot(self.east, self.north)

    @property
    def arcsec_err(self) -> float:
        """Along the direction of the offset."""
        distance = self.arcsec
        if distance == 0:
            return math.sqrt(0.5 * (self.east_err**2 + self.north_err**2))
        e, n = self.east / distance, self.north / distance
        mixed = 2 * e * n * self.correlation * self.east_err * self.north_err
        return math.sqrt(max((e * self.east_err) ** 2 + (n * self.north_err) ** 2 + mixed, 0.0))

    @property
    def ellipse(self) -> tuple[float, float, float]:
        """Half axes of one sigma in arcsec, the longer first, and its direction in degrees from north to east."""
        a, b = self.east_err**2, self.north_err**2
        c = self.correlation * self.east_err * self.north_err
        middle, half = 0.5 * (a + b), math.hypot(0.5 * (a - b), c)
        angle = math.degrees(0.5 * math.atan2(2 * c, b - a)) % 180
        return math.sqrt(middle + half), math.sqrt(max(middle - half, 0.0)), angle


@dataclass(frozen=True, slots=True, eq=False)
class SectorPixels:
    """One sector: its images for the sheet, the place of the dip, and what speaks against using it."""

    product: Product
    prf: str  # the model of the star's image
    valid: Booleans  # (rows, columns) collected; the images hold 0 elsewhere
    direct: Floats | None  # (rows, columns) e-/s beside the transits; None where no transit is covered
    difference: Floats | None  # (rows, columns) e-/s missing in transit
    noise: Floats | None  # (rows, columns) e-/s, of the difference
    transits: int  # well covered
    shifts: int  # pseudo-transit images
    independent: float  # of them
    pixel_arcsec: float
    sky: Floats  # (2, 2) arcsec east and north by pixel of column and row
    target_column: float  # where the catalogue and the zero point put the target
    target_row: float
    stars: tuple[PlacedStar, ...]  # the target first
    zero_point: ZeroPoint | None
    fit: PositionFit | None
    offset: SkyOffset | None
    reason: str  # why the place is not used; empty where it is

    @property
    def snr_image(self) -> Floats | None:
        """(rows, columns) of the difference."""
        if self.difference is None or self.noise is None:
            return None
        return np.divide(self.difference, self.noise, out=np.zeros(self.valid.shape), where=self.noise > 0)


@dataclass(frozen=True, slots=True)
class HostStar:
    """A star that may hold the dip."""

    kind: str
    key: str
    tmag: float | None
    separation: float  # arcsec from the target
    sigma: float | None  # between the star and the dip
    required_depth: float | None  # fraction of its own light, None where its light is unknown
    prior: float
    probability: float

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True, eq=False)
class ApertureDepths:
    """Depth of the target's own light in apertures of several sizes around it; one value if the dip is on it."""

    radius: Floats  # (m,) pixels
    depth: Floats  # (m,) fraction
    depth_err: Floats  # (m,) from pseudo-transits
    sigma: float  # of the differences among them
    core: float  # depth of the light within the core's radius
    core_err: float
    halo: float  # depth of the light in the ring around it
    halo_err: float
    halo_sigma: float  # of halo minus core, signed


@dataclass(frozen=True, slots=True, eq=False)
class PixelEvidence:
    """All that the pixels say of one signal."""

    findings: tuple[Finding, ...]
    sectors: tuple[SectorPixels, ...]
    offset: SkyOffset | None  # all sectors together; None is unknown, never 0
    sectors_chi_square: float | None  # between the sectors, reduced
    sectors_sigma: float | None
    hosts: tuple[HostStar, ...]  # the most probable first
    elsewhere: float | None  # probability that no listed star holds the dip
    apertures: tuple[ApertureDepths | None, ...]  # one for each sector
    notes: tuple[str, ...]


NOUNS = (
    PlacedStar, ZeroPoint, PositionFit, SkyOffset, SectorPixels, HostStar, ApertureDepths, PixelEvidence,
)  # fmt: skip
