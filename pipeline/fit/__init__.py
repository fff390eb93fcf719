"""Fit a transit model to a signal and say what is known of it, with errors that hold the truth as often as they say.

What a fit says is at hand at once; what makes one is loaded by whoever asks for it, for the sampler takes a second.
"""

from typing import TYPE_CHECKING, Any

from pipeline.fit.result import Curve, Estimate, TransitFit, TransitTime
from pipeline.fit.settings import FitSettings

if TYPE_CHECKING:
    from pipeline.fit.fitting import VERSION, fit
    from pipeline.fit.sampler import Forgetful, Notebook

__all__ = [
    "VERSION", "Curve", "Estimate", "FitSettings", "Forgetful", "Notebook", "TransitFit", "TransitTime", "fit",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pipeline.fit import fitting

        return getattr(fitting, name)
    raise AttributeError(f"module 'pipeline.fit' has no attribute {name!r}")
