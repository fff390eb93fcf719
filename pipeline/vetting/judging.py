"""How a test ends: on finite numbers with pass or fail, on any other with an error, or not at all, with the reason."""

import math

from pipeline.types import Finding, Verdict


def judged(test: str, failed: bool, value: float, sigma: float | None, limit: float, note: str) -> Finding:
    """Pass or fail; an error where a number is not finite, for a NaN compares as if it passed."""
    value, sigma = float(value), None if sigma is None else float(sigma)
    if not math.isfinite(value) or (sigma is not None and not math.isfinite(sigma)):
        return Finding(test, Verdict.ERROR, None, None, limit, f"value {value}, sigma {sigma}: {note}")
    return Finding(test, Verdict.FAIL if failed else Verdict.PASS, value, sigma, limit, note)


def not_run(test: str, limit: float, reason: str) -> Finding:
    """What could not be measured; ``reason`` begins with its code."""
    return Finding(test, Verdict.NOT_RUN, None, None, limit, reason)
