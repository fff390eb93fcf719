"""Fit a transit model to a signal and say what is known of it, with errors that hold the truth as often as they say."""

from pipeline.fit.fitting import VERSION, fit
from pipeline.fit.result import Curve, Estimate, TransitFit, TransitTime
from pipeline.fit.sampler import Forgetful, Notebook
from pipeline.fit.settings import FitSettings

__all__ = [
    "VERSION", "Curve", "Estimate", "FitSettings", "Forgetful", "Notebook", "TransitFit", "TransitTime", "fit",
]  # fmt: skip
