"""Levels that jump where the spacecraft dumped momentum: the pointing moves, and what the aperture catches."""

import numpy as np

from pipeline.clean.median import median
from pipeline.clean.outliers import point_scatter
from pipeline.types import Booleans, Floats

VERSION = 1

BIN = 20 / 1440  # days
REACH = 0.75  # days; a step is measured in so much data on either side
NEAR = 0.25  # days; a first look compares the levels of so much on either side
CONTROL = 0.25  # days from one place to the next where no step can be
LEAST_BINS = 12  # on either side
LEAST_PLACES = 4  # where no step can be
SIGMA = 5.0  # times what the same fit finds there
ENDINGS = np.arange(1, 10) / 24  # days after which a dip or rise at a dump may end
BETTER = 4.0  # in chi square, that a step must be than any of these
UNLIKE = 0.05  # largest share of bins that may not follow the fit
CUT, ROUNDS = 5.0, 4  # MADs beyond which a bin counts nothing, and rounds of reweighting


def steps(time: Floats, flux: Floats, dumps: Floats) -> Floats:
    """Find the momentum dumps across which the level of a star jumps.

    Parameters
    ----------
    time, flux : float64 arrays, (n,)
        One stretch without long gaps, in order of time.
    dumps : float64 array, (d,)
        Where momentum was dumped, in order of time.

    Returns
    -------
    float64 array, (k,)
        The dumps with a step.

    Notes
    -----
    A cubic and a step are fitted together, robustly, to three quarters of a day on either side. How large a step the
    star's own variability and the noise feign is measured by the same fit wherever no dump is within its reach: a jump
    counts where it is five times as large, and where no dip or rise of up to nine hours on one side, which ends again,
    explains the data as well: transits and eclipses may begin or end at a dump. Where more than a twentieth of the
    bins does not follow the fit, as in an eclipse, nothing is measured. A jump within half a day of a gap may pass
    unseen, for it looks like a dip that the gap cuts off.
    """
    from pipeline.clean.local_fit import bins  # compiles: not for commands that only read settings

    inside = dumps[(dumps > time[0] + NEAR) & (dumps < time[-1] - NEAR)] if time.size else dumps[:0]
    white = point_scatter(flux)
    if not inside.size or not white > 0:
        return inside[:0]
    suspect = [dump for dump in inside if _differs(time, flux, dump, white)]
    if not suspect:
        return inside[:0]
    centre, level, _ = bins(time, flux, time[0], BIN)
    places = np.arange(time[0] + REACH, time[-1] - REACH, CONTROL)
    places = places[np.abs(places[:, None] - inside[None, :]).min(axis=1) >= REACH]
    feigned = [found for found in (_jump(centre, level, place) for place in places) if found is not None]
    if len(feigned) < LEAST_PLACES:
        return inside[:0]
    spread = 1.4826 * median(np.array(feigned))
    found = [(dump, _jump(centre, level, dump)) for dump in suspect]
    return np.array([
        dump
        for dump, jump in found
        if jump is not None and jump > SIGMA * spread and _lasts(centre, level, dump)
    ])  # fmt: skip


def _differs(time: Floats, flux: Floats, dump: float, white: float) -> bool:
    """Whether the hours before and after differ by more than noise; most dumps are done with here."""
    first, here, last = np.searchsorted(time, [dump - NEAR, dump, dump + NEAR])
    before, after = flux[first:here], flux[here:last]
    if min(before.size, after.size) < 6:
        return False
    # medians, so that neither a flare nor a dip of an hour is a step
    return abs(median(after) - median(before)) > 3 * 1.25 * white * np.sqrt(1 / before.size + 1 / after.size)


def _jump(time: Floats, level: Floats, place: float) -> float | None:
    """The height of a step at one place beside a cubic; None where too few bins tell, or too many tell otherwise."""
    first, here, last = np.searchsorted(time, [place - REACH, place, place + REACH])
    if min(here - first, last - here) < LEAST_BINS:
        return None
    x, y, cubic = _around(time, level, first, last, place)
    columns = np.column_stack([cubic, np.where(x > 0, 0.5, -0.5)])
    weight = np.ones_like(x)
    found = 0.0
    for _ in range(ROUNDS):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(columns * root, y * root[:, 0], rcond=None)[0]
        found = float(solution[-1])
        residual = np.abs(y - columns @ solution)
        reach = CUT * median(residual)
        if not reach > 0:
            break
        weight = np.clip(1 - (residual / reach) ** 2, 0, None) ** 2
    return abs(found) if (weight == 0).mean() <= UNLIKE else None


def _lasts(time: Floats, level: Floats, place: float) -> bool:
    """Whether a step explains the data clearly better than anything that ends again on the same side."""
    first, last = np.searchsorted(time, [place - REACH, place + REACH])
    x, y, cubic = _around(time, level, first, last, place)
    parabola = cubic[:, 1:]  # a cubic and a dip of nine hours make a step of 18

    def unexplained(shape: Booleans) -> float:
        columns = np.column_stack([parabola, shape.astype(np.float64)])
        return float(np.sum((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2))

    ending = [unexplained((side * x > 0) & (side * x < end / REACH)) for side in (-1, 1) for end in ENDINGS]
    step = unexplained(x > 0)
    return min(ending) - step > BETTER * step / (x.size - 4)


def _around(time: Floats, level: Floats, first: int, last: int, place: float) -> tuple[Floats, Floats, Floats]:
    """Times from -1 to 1, levels around 0, and the powers that a cubic is made of."""
    x = (time[first:last] - place) / REACH
    return x, level[first:last] - median(level[first:last]), np.vander(x, 4)
