"""The false-positive probability: planet, binary, companion, background or neighbour."""

from pipeline.validation.case import (
    NOUNS,
    Aside,
    ContrastCurve,
    MeasuredOffset,
    Neighbour,
    Population,
    Scenario,
    ValidateSettings,
    Validation,
    ValidationCase,
)
from pipeline.validation.engine import VERSION, band_of, validate

__all__ = [
    "NOUNS",
    "VERSION",
    "Aside",
    "ContrastCurve",
    "MeasuredOffset",
    "Neighbour",
    "Population",
    "Scenario",
    "ValidateSettings",
    "Validation",
    "ValidationCase",
    "band_of",
    "validate",
]
