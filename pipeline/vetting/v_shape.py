"""The shape of the transit: two stars that graze make a V, a small disc on a large one a U."""

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

TOO_WIDE = 0.22  # standard deviation of the flat share; nothing known at all gives 0.28


def v_shape(case: Case) -> Finding:
    """Measure what share of the transit is flat.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the time from second to third contact over that from first to fourth; ``sigma`` how sure we are
        that it is under ``v_shape_flat``, negative when it is above. The exposure's smearing is in the model.

    Notes
    -----
    Soft: planets graze too. Limb darkening rounds a bottom, so a central planet of a tenth of its star reads 0.6
    rather than the 0.82 of geometry.
    """
    settings = case.settings
    limit = settings.v_shape_sigma
    shape = case.shape
    if shape is None:
        return Finding("v_shape", Verdict.NOT_RUN, None, None, limit, "few_points: no trapezoid fits the fold")
    said = f"{shape.flat:.2f} +- {shape.flat_err:.2f} of the transit ({shape.duration * 24:.2f} h) is flat"
    if shape.flat_err > TOO_WIDE:
        return Finding("v_shape", Verdict.NOT_RUN, None, None, limit, f"not_converged: {said}, too noisy to tell")
    sure = min(max(shape.flat_below(settings.v_shape_flat), 1e-15), 1 - 1e-15)
    sigma = noise.NORMAL.inv_cdf(sure)
    verdict = Verdict.FAIL if sigma > limit else Verdict.PASS
    return Finding(
        "v_shape", verdict, shape.flat, sigma, limit, f"{said}; under {settings.v_shape_flat:g} it counts as a V"
    )
