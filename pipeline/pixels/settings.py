"""The [pixels] table."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Interval


@dataclass(frozen=True, slots=True)
class PixelSettings:
    """The [pixels] table."""

    saturated_tmag: Annotated[float, Ge(0)] = 7.0  # a brighter star's pixels are not used: its light bleeds
    saturated_kepler: Annotated[float, Ge(0)] = 11.5  # the same for Kepler and K2, Kepler magnitude
    edge_pixels: Annotated[float, Ge(0)] = 1.5  # least distance of the target from the edge of its stamp
    min_transits: Annotated[int, Ge(1)] = 3  # well covered, over all sectors
    min_snr: Annotated[float, Gt(0)] = 4.5  # of a dip in a difference image whose place is asked for
    largest_chi_square: Annotated[float, Gt(1)] = 5.0  # reduced, of its fit; beyond, no single star explains it
    amplitude_share: Annotated[float, Interval(gt=0, lt=1)] = (
        0.3  # of depth times the target's light, for a dip on the target
    )
    offset_sigma: Annotated[float, Gt(0)] = 3.0  # the dip may lie this many sigmas from the target
    offset_pixels: Annotated[float, Ge(0)] = 0.25  # or this far: models of the star's image are no better
    host_odds: Annotated[float, Gt(1)] = 100.0  # for another star against the target
    aperture_sigma: Annotated[float, Gt(0)] = 4.0  # the depth may change with the aperture by this many sigmas
    aperture_ratio: Annotated[float, Gt(1)] = 1.5  # or by this factor
