"""The false-positive probability: planet, binary, companion, background or neighbour."""

from pipeline.validation.case import (
    NOUNS,
    ContrastCurve,
    MeasuredOffset,
    Neighbour,
    Population,
    Scenario,
    Share,
    ValidateSettings,
    Validation,
    ValidationCase,
)
from pipeline.validation.engine import VERSION, band_of, validate

__all__ = [
    "NOUNS",
    "VERSION",
    "ContrastCurve",
    "MeasuredOffset",
    "Neighbour",
    "Population",
    "Scenario",
    "Share",
    "ValidateSettings",
    "Validation",
    "ValidationCase",
    "band_of",
    "validate",
]
