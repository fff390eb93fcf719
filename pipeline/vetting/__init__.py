"""One file, one test; this is their order."""

from collections.abc import Callable

from pipeline.types import Finding
from pipeline.vetting.case import Case
from pipeline.vetting.centroid import centroid
from pipeline.vetting.depth_by_sector import depth_by_sector
from pipeline.vetting.depth_steadiness import depth_steadiness
from pipeline.vetting.duration_density import duration_density
from pipeline.vetting.odd_even import odd_even
from pipeline.vetting.secondary import secondary
from pipeline.vetting.size import size
from pipeline.vetting.timing import timing
from pipeline.vetting.v_shape import v_shape

TESTS: tuple[Callable[[Case], Finding], ...] = (
    odd_even,
    secondary,
    v_shape,
    depth_steadiness,
    duration_density,
    size,
    centroid,
    timing,
    depth_by_sector,
)
