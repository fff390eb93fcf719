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
from pipeline.validation.gather import assess, case_of

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
    "assess",
    "band_of",
    "case_of",
    "validate",
]
