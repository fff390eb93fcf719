"""Does each transit bring its share of the signal? Chi-square of the single events, and mean against median."""

import math

import numpy as np

from pipeline.types import Finding
from pipeline.vetting import noise
from pipeline.vetting.case import Case
from pipeline.vetting.judging import judged, not_run

LEAST = 2  # transits: two can already be held against each other


def consistency(case: Case) -> Finding:
    """Compare the single transits' signal-to-noise with what their share of the fold should be.

    Parameters
    ----------
    case : Case

    Returns
    -------
    Finding
        ``value`` is CHI, the fold's signal-to-noise over the root of the reduced chi-square of the single ones;
        ``sigma`` that of their plain chi-square. Fails when CHI is under ``consistency_chi`` and the scatter is
        ``consistency_sigma`` sure, or when the mean depth is over ``mean_over_median`` times the median depth.

    Notes
    -----
    CHI = MES / sqrt(chi2 / (N - 1)), chi2 = sum((SES - E)**2 / E), E the SES that the common depth gives, and DMM
    (LEO-Vetter's tests 12 and 6, 7.8 and 1.5; Seader et al. 2013, ApJS 206 25). Divided by E the chi-square of plain
    noise grows as single transits sink below it, and good planets of a hundred transits would fail: hence the second
    condition. Two transits outvote nobody: each must be an event of its own (``pair_snr``), or two flares of an
    inverted light curve pass for a planet. ``depth_steadiness`` asks how much the depths differ, this test how little
    of the signal is common.
    """
    settings = case.settings
    limit = settings.consistency_chi
    transits = case.transits
    usable = transits.events.usable
    count = int(usable.sum())
    if count < LEAST:
        return not_run("consistency", limit, f"few_transits: {count} are well covered, {LEAST} are needed")
    depth, error = transits.events.depth[usable], np.sqrt(transits.variance[usable])
    if count == LEAST and not (weaker := float((depth / error).min())) >= settings.pair_snr:
        reason = f"few_transits: the weaker of two has a signal-to-noise of {weaker:.1f}, under {settings.pair_snr:g}"
        return not_run("consistency", limit, reason)
    mean, mean_err = transits.mean(usable)
    if not mean > 0:
        return judged("consistency", True, 0.0, None, limit, f"{count} transits are no dip on average")
    ses, expected = depth / error, mean / error
    chi_square = float(((ses - expected) ** 2 / expected).sum())
    chi = mean / mean_err / math.sqrt(max(chi_square / (count - 1), 1e-6))
    sigma = noise.chi_square_sigma(float(((ses - expected) ** 2).sum()), count - 1)
    median = float(np.median(depth))
    uneven = not median > 0 or float(np.mean(depth)) > settings.mean_over_median * median
    return judged(
        "consistency",
        (chi < limit and sigma > settings.consistency_sigma) or uneven,
        chi,
        sigma,
        limit,
        f"{count} transits of signal-to-noise {ses.min():.1f} to {ses.max():.1f}, {mean / mean_err:.1f} together, "
        f"scatter about their common depth by {sigma:+.1f} sigma more than noise: CHI {chi:.1f}; "
        f"mean depth {np.mean(depth) * 1e6:.0f} ppm, median {median * 1e6:.0f} ppm",
    )
