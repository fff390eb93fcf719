"""One file, one test; this is their order."""

from collections.abc import Callable

from pipeline.types import Finding
from pipeline.vetting.alias import alias
from pipeline.vetting.asymmetry import asymmetry
from pipeline.vetting.case import Case
from pipeline.vetting.centroid import centroid
from pipeline.vetting.chases import chases
from pipeline.vetting.consistency import consistency
from pipeline.vetting.depth_by_sector import depth_by_sector
from pipeline.vetting.depth_steadiness import depth_steadiness
from pipeline.vetting.dimming import dimming
from pipeline.vetting.duration_density import duration_density
from pipeline.vetting.false_alarm import false_alarm
from pipeline.vetting.gaps import gaps
from pipeline.vetting.model_fit import model_fit
from pipeline.vetting.odd_even import odd_even
from pipeline.vetting.odd_even_epoch import odd_even_epoch
from pipeline.vetting.secondary import secondary
from pipeline.vetting.sine_wave import sine_wave
from pipeline.vetting.single_event import single_event
from pipeline.vetting.size import size
from pipeline.vetting.strength import strength
from pipeline.vetting.timing import timing
from pipeline.vetting.uniqueness import uniqueness
from pipeline.vetting.v_shape import v_shape
from pipeline.vetting.variability import variability

TESTS: tuple[Callable[[Case], Finding], ...] = (
    odd_even,
    odd_even_epoch,
    secondary,
    alias,
    v_shape,
    depth_steadiness,
    duration_density,
    size,
    centroid,
    timing,
    depth_by_sector,
    strength,
    dimming,
    uniqueness,
    single_event,
    consistency,
    chases,
    sine_wave,
    asymmetry,
    gaps,
    model_fit,
    false_alarm,
    variability,
)
