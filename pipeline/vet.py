"""Put every vetting test to a signal."""

import traceback

from pipeline.types import CleanedLightCurve, Finding, FoldedViews, Star, TransitSignal, Verdict
from pipeline.vetting import TESTS
from pipeline.vetting.case import Case, VetSettings

VERSION = 3

__all__ = ["VERSION", "VetSettings", "broken", "vet"]


def vet(
    cleaned: CleanedLightCurve,
    views: FoldedViews,
    signal: TransitSignal,
    star: Star = Star(),
    settings: VetSettings = VetSettings(),
) -> tuple[Finding, ...]:
    """Run all tests, in their order.

    Parameters
    ----------
    cleaned : CleanedLightCurve, n cadences
        For its exposures and centroids.
    views : FoldedViews
        Of the same cadences: the fluxes measured are those of ``views.light_curve``.
    signal : TransitSignal
    star : Star
        What is unknown leaves the tests that need it ``not_run``.
    settings : VetSettings

    Returns
    -------
    tuple of Finding
        One for each test. A test that breaks is ``error`` with the reason and stops no other; ``value`` and
        ``sigma`` are finite or None.
    """
    case = Case(cleaned, views, signal, star, settings)
    findings = []
    for test in TESTS:
        try:
            findings.append(test(case))
        except Exception as problem:
            findings.append(broken(test.__name__, problem))
    return tuple(findings)


def broken(test: str, problem: Exception) -> Finding:
    """The finding of a test that failed to run."""
    where = traceback.extract_tb(problem.__traceback__)[-1]
    said = f"{type(problem).__name__}: {problem} ({where.name}, line {where.lineno})"
    return Finding(test, Verdict.ERROR, None, None, None, said)
