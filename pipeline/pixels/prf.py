"""The light of one star on the pixels: the mission's own model where it is at hand, else an analytic one.

Positions are pixels of the stamp, (0, 0) the centre of its first pixel.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import erf

from pipeline.types import Floats, TargetPixels

SAMPLES = 9  # of the official model in one pixel
WIDTH = 13  # pixels it spans
CENTRE = (WIDTH * SAMPLES - 1) // 2  # sample at which the star sits
STEP = 0.05  # pixels, for derivatives


class Prf(Protocol):
    """How a star of unit flux falls on the pixels."""

    @property
    def name(self) -> str:
        """For the evidence."""
        ...

    def images(self, column: Floats, row: Floats, shape: tuple[int, int]) -> Floats:
        """Share of the light in each pixel.

        Parameters
        ----------
        column, row : Floats, (n,)
            Of each star, pixels; any place, inside the stamp or not.
        shape : rows and columns of the stamp

        Returns
        -------
        Floats, (n, rows, columns)
            A star far inside a wide stamp sums to 1.
        """
        ...


@dataclass(frozen=True, slots=True)
class AnalyticPrf:
    """A Gaussian core with a wider Gaussian wing, integrated over each pixel."""

    name: str
    sigma: float  # pixels, of the core
    wing: float = 0.15  # share of the light in the wing
    wing_width: float = 2.2  # of the wing, in sigmas of the core

    def images(self, column: Floats, row: Floats, shape: tuple[int, int]) -> Floats:
        core, wing = (
            _integrals(row, shape[0], sigma)[:, :, None] * _integrals(column, shape[1], sigma)[:, None, :]
            for sigma in (self.sigma, self.sigma * self.wing_width)
        )
        return (1 - self.wing) * core + self.wing * wing


@dataclass(frozen=True, slots=True, eq=False)
class SampledPrf:
    """The official model at one place of the detector, bilinear in the phase within a pixel, each image sums to 1."""

    name: str
    samples: Floats  # (119, 119) ninths of a pixel, the star in the middle, a border of zeros

    def images(self, column: Floats, row: Floats, shape: tuple[int, int]) -> Floats:
        whole_column, whole_row = np.rint(column), np.rint(row)
        around = np.arange(WIDTH + 2) - (WIDTH + 1) // 2
        everything = self._at(row - whole_row, column - whole_column, around, around)
        image = self._at(row, column, np.arange(shape[0]), np.arange(shape[1]))
        return image / everything.sum(axis=(1, 2))[:, None, None]

    def _at(self, row: Floats, column: Floats, rows: np.ndarray, columns: np.ndarray) -> Floats:
        r0, r1, u = self._neighbours(row, rows)
        c0, c1, v = self._neighbours(column, columns)
        r0, r1, u = r0[:, :, None], r1[:, :, None], u[:, :, None]
        c0, c1, v = c0[:, None, :], c1[:, None, :], v[:, None, :]
        lower = (1 - v) * self.samples[r0, c0] + v * self.samples[r0, c1]
        upper = (1 - v) * self.samples[r1, c0] + v * self.samples[r1, c1]
        return (1 - u) * lower + u * upper

    @staticmethod
    def _neighbours(place: Floats, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, Floats]:
        """The samples left and right of each pixel's centre, and how far it lies between them."""
        sample = CENTRE + 1 + SAMPLES * (pixels[None, :] - np.asarray(place, dtype=np.float64)[:, None])
        left = np.floor(sample)
        last = WIDTH * SAMPLES + 1
        index = left.astype(np.int64)
        return np.clip(index, 0, last), np.clip(index + 1, 0, last), sample - left


@dataclass(frozen=True, slots=True, eq=False)
class PrfGrid:
    """The official models of one CCD.

    The arrays of MAST's ``prf_fitsfiles``, 25 places a CCD: 13 pixels of 9 interleaved samples along each axis, rows
    first, so that sample 58 + 9 d is the light of a pixel whose centre lies d pixels beyond the star.
    """

    name: str  # "TESS PRF start_s0004 camera 1 ccd 2"
    column: Floats  # (g,) of the detector, from the names of the files
    row: Floats  # (g,)
    samples: Floats  # (g, 117, 117)

    def at(self, column: float, row: float) -> SampledPrf:
        """Interpolate between the four models around a place of the detector.

        Parameters
        ----------
        column, row : float
            Of the detector. Outside the grid the nearest place on its border is taken, and the name says so.

        Returns
        -------
        SampledPrf

        Raises
        ------
        ValueError
            If the models are not 117 by 117 samples, do not form a grid of columns and rows, or hold no light.
        """
        side = WIDTH * SAMPLES
        columns, rows = np.unique(self.column), np.unique(self.row)
        if self.samples.shape != (self.column.size, side, side) or columns.size * rows.size != self.column.size:
            raise ValueError(f"{self.name}: {self.samples.shape} models are no grid of {side} x {side} samples")
        inside_column = float(np.clip(column, columns[0], columns[-1]))
        inside_row = float(np.clip(row, rows[0], rows[-1]))
        model = np.zeros((side + 2, side + 2))
        for at_column, share in _shares(columns, inside_column):
            for at_row, other in _shares(rows, inside_row):
                (which,) = np.flatnonzero((self.column == at_column) & (self.row == at_row))
                model[1:-1, 1:-1] += share * other * self.samples[which]
        if not (np.isfinite(model).all() and model.sum() > 0):
            raise ValueError(f"{self.name}: the model at column {column:.0f}, row {row:.0f} holds no light")
        clamped = inside_column != column or inside_row != row
        said = f", column {column:.0f} row {row:.0f} outside the grid: clamped" if clamped else ""
        return SampledPrf(f"{self.name}{said}", model)


TESS_ANALYTIC = AnalyticPrf("analytic: Gaussian of 0.80 px with 15 % of the light in a wing of 2.2 times that", 0.80)
# narrower in its core, as KIC 6804648 (quarter 10) and EPIC 211983544 (campaign 18) are: 0.50 and 0.52 px
KEPLER_ANALYTIC = AnalyticPrf(
    "analytic: Gaussian of 0.51 px with 20 % of the light in a wing of 2.6 times that", 0.51, 0.20, 2.6
)


def prf_of(pixels: TargetPixels, given: Prf | PrfGrid | None) -> Prf:
    """The model for one stamp: the one given, at the stamp's centre if it is a grid, else the analytic fallback."""
    if isinstance(given, PrfGrid):
        rows, columns = pixels.aperture.shape
        return given.at(pixels.column + 0.5 * (columns - 1), pixels.row + 0.5 * (rows - 1))
    if given is not None:
        return given
    return KEPLER_ANALYTIC if pixels.product.mission in ("Kepler", "K2") else TESS_ANALYTIC


def slopes(prf: Prf, column: Floats, row: Floats, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Derivatives of the images by column and by row, (n, rows, columns) each."""
    by_column = prf.images(column + STEP, row, shape) - prf.images(column - STEP, row, shape)
    by_row = prf.images(column, row + STEP, shape) - prf.images(column, row - STEP, shape)
    return by_column / (2 * STEP), by_row / (2 * STEP)


def _integrals(place: Floats, size: int, sigma: float) -> Floats:
    """Of a unit Gaussian over each pixel along one axis, (n, size)."""
    edges = np.arange(size + 1) - 0.5 - np.asarray(place, dtype=np.float64)[:, None]
    return 0.5 * np.diff(erf(edges / (sigma * math.sqrt(2))), axis=1)


def _shares(grid: Floats, place: float) -> Sequence[tuple[float, float]]:
    """The grid lines on both sides of a place, each with its weight."""
    if grid.size == 1:
        return [(float(grid[0]), 1.0)]
    left = int(np.clip(np.searchsorted(grid, place, side="right") - 1, 0, grid.size - 2))
    share = (place - grid[left]) / (grid[left + 1] - grid[left])
    return [(float(grid[left]), float(1 - share)), (float(grid[left + 1]), float(share))]
