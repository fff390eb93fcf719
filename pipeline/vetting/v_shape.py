"""The shape of the transit: two stars that graze make a V, a small disc on a large one a U."""

from pipeline.types import Finding, Verdict
from pipeline.vetting import noise
from pipeline.vetting.case import Case

TOO_WIDE = 0.22  # standard deviation of the flat share; nothing known at all gives 0.28
SURE = 1e-15  # no fit is surer than this


def v_shape(case: Case) -> Finding:
    """Ask the posterior of the transit's shape whether the bodies graze.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is the time from second to third contact over that from first to fourth; ``sigma`` how sure we are
        that it is under ``v_shape_flat``, negative when it is above. Limb darkening and the exposure's smearing are in
        the model, and the probability that the bodies graze is in the note.

    Notes
    -----
    Soft: planets graze too. A transit of which neither a trapezoid nor the posterior knows the flat share is called
    neither.
    """
    settings = case.settings
    limit = settings.v_shape_sigma
    shape, simple = case.transit, case.shape
    if shape is None or simple is None:
        return Finding("v_shape", Verdict.NOT_RUN, None, None, limit, "few_points: no transit fits the fold")
    said = (
        f"{shape.flat:.2f} +- {shape.flat_err:.2f} of the transit ({shape.duration * 24:.2f} h) is flat, impact "
        f"parameter {shape.impact:.2f} +- {shape.impact_err:.2f}, probability that the bodies graze {shape.grazing:.1%}"
    )
    if max(simple.flat_err, shape.flat_err) > TOO_WIDE:
        return Finding("v_shape", Verdict.NOT_RUN, None, None, limit, f"not_converged: too noisy to tell: {said}")
    sigma = noise.NORMAL.inv_cdf(min(max(shape.flat_below(settings.v_shape_flat), SURE), 1 - SURE))
    verdict = Verdict.FAIL if sigma > limit else Verdict.PASS
    return Finding(
        "v_shape", verdict, shape.flat, sigma, limit, f"{said}; under {settings.v_shape_flat:g} flat it counts as a V"
    )
