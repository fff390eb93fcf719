"""Skies whose truth is known: arrays in SPOC cadence from a seed, without files or a clock.

Everything here is simulated and must be labelled so wherever a figure is taken from it.
`population.draw_star` makes a star, `sky.observe` observes it, `truth.true_signals` says what is in it.
"""

from pipeline.simulate.eclipses import ContactBinary, DetachedBinary, Orbit, Planet
from pipeline.simulate.population import FIRST_KEY, draw_star, main_sequence, scaled_axis
from pipeline.simulate.sector import Schedule, SectorSettings, schedule
from pipeline.simulate.sky import Blend, Kind, SimulatedObservation, SimulatedStar, observe, reprocessed, star_light
from pipeline.simulate.systematics import NONE, Systematics
from pipeline.simulate.truth import TrueSignal, true_signals
from pipeline.simulate.variability import Flare, Mode, Rotation, Spot
from pipeline.simulate.variables import draw_variable
from pipeline.simulate.variety import VARIETY, draw_orbit, draw_pair, draw_varied_star

VERSION = 2  # raised when the same seed gives other numbers

__all__ = [
    "Blend", "ContactBinary", "DetachedBinary", "Flare", "Kind", "Mode", "NONE", "Orbit", "Planet", "Rotation",
    "Schedule", "SectorSettings", "SimulatedObservation", "SimulatedStar", "Spot", "Systematics", "TrueSignal",
    "VARIETY", "draw_orbit", "draw_pair", "draw_star", "draw_variable", "draw_varied_star", "main_sequence",
    "observe", "reprocessed", "scaled_axis", "schedule", "star_light", "true_signals", "FIRST_KEY", "VERSION",
]  # fmt: skip
