"""Why a model scores a signal as it does: what the score loses when a part of what it saw is made ordinary.

Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901) through the whole scorer: a window of a view is put at the level out
of transit, with the noise that view has from bin to bin (a stretch without any would be the strangest of all), or a
scalar at its mean over the training rows, and the row is scored again, all altered rows in one batch. What is measured
on the views changes with them, the secondary view included, so the numbers tell of the light curve and not of one
input among several that show the same; and nothing is asked of the model but its score, so it may hold anything.

An influence is the drop of the raw log odds: positive speaks for a planet, negative against. Influences do not add up.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.inputs import (
    GLOBAL_BINS,
    LOCAL_BINS,
    SCALARS,
    Preparation,
    Rows,
    SignalInputs,
    box_means,
    correlated_noise,
    gather,
    join,
    relative_duration,
)

if TYPE_CHECKING:
    from models.scorer import Scorer

Scores = Callable[[Rows], NDArray[np.float64]]  # raw log odds of each row, (n,)

DRAWS = 4  # of the noise, for the parts that a person has a name for
STRIDE = {"global": 3, "local": 2, "odd": 3, "even": 3}  # bins from window to window
LEAST = {"global": 5, "local": 5, "odd": 7, "even": 7}  # bins of a window; local ones overlap 2.5 times
DIGITS = 3  # of an influence; the last bits of a sum depend on who shared its batch
PHASE = (np.arange(GLOBAL_BINS) - (GLOBAL_BINS - 1) / 2) / GLOBAL_BINS  # of the global bins, periods
SINCE = np.linspace(-2 + 0.08, 2 - 0.08, LOCAL_BINS)  # of the local bins, durations


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What moved the score of one signal; influences in raw log odds, positive towards planet."""

    score: float  # raw log odds of the signal as it is
    views: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]  # name: flux in depths, influence; (bins,)
    parts: dict[str, float]  # of dip, beside, other_dip, orbit, parity: made flat, or alike, as a whole
    scalars: dict[str, float]  # of each scalar that is known
    values: dict[str, float]  # of those scalars, in the unit of SCALARS
    other_dip: float | None  # phase of the deepest dip away from the transit, periods

    def to_json(self) -> dict[str, Any]:
        """Plain values; a view that was not observed is left out."""
        return {
            "method": "occlusion",
            "score": round(self.score, DIGITS),
            "views": {
                name: {"flux": _rounded(flux), "influence": _rounded(influence)}
                for name, (flux, influence) in self.views.items()
            },
            "parts": {name: round(value, DIGITS) for name, value in self.parts.items()},
            "scalars": {
                name: {"value": float(f"{self.values[name]:.6g}"), "influence": round(value, DIGITS)}
                for name, value in self.scalars.items()
            },
            "other_dip_phase": None if self.other_dip is None else round(self.other_dip, 4),
        }


def _rounded(values: NDArray) -> list[float]:
    return [round(float(value), DIGITS) + 0.0 for value in values]


def explain_signal(scorer: "Scorer", signal: SignalInputs) -> Explanation:
    """Explain the score of a signal as the hunt folds it; raises InputsRefused where it cannot be scored."""
    return explain(lambda rows: scorer.logits(rows)[0].mean(axis=0), gather([signal]), scorer.preparation)


def explain(score: Scores, rows: Rows, preparation: Preparation) -> Explanation:
    """Explain the score of one signal.

    Parameters
    ----------
    score : callable
        Raw log odds of rows, (n,); called once with some 170 of them.
    rows : Rows of length 1
    preparation : Preparation
        Its scalars are put, one by one, at their mean over the training rows.

    Raises
    ------
    ValueError
        If there is not one row, or the score is not finite.

    Notes
    -----
    A window is as wide as the transit in the global view and a third of it in the close-up: narrower ones mostly
    measure noise. The influence of a bin is the mean over the windows that hold it.
    """
    if len(rows) != 1:
        raise ValueError(f"one signal is explained at a time, not {len(rows)}")
    quiet = [_without_signal(rows, np.random.default_rng(draw)) for draw in range(DRAWS)]
    altered: list[Rows] = [rows]
    windows: list[tuple[str, slice]] = []
    relative = float(relative_duration(rows)[0])
    for name in ("global", "local", "odd", "even"):
        if not (getattr(rows, f"{name}_filled") > 0).any():
            continue
        length = GLOBAL_BINS if name == "global" else LOCAL_BINS
        wide = max(LEAST[name], round(relative * GLOBAL_BINS)) if name == "global" else LEAST[name]
        for middle in range(length // 2 % STRIDE[name], length, STRIDE[name]):  # one window on the middle
            window = slice(max(0, middle - wide // 2), middle - wide // 2 + wide)
            windows.append((name, window))
            altered.append(_mixed(rows, quiet[0], {name: np.isin(np.arange(length), np.arange(length)[window])}))
    place = _other_dip(rows, relative)
    drawn = [_parts(rows, other, relative, place) for other in quiet]
    parts = list(drawn[0])
    altered += [part[name] for name in parts for part in drawn]
    known = [
        (number, SCALARS.index(name))
        for number, name in enumerate(preparation.scalars)
        if np.isfinite(rows.scalars[0, SCALARS.index(name)])
    ]
    for number, column in known:
        scalars = rows.scalars.copy()
        scalars[0, column] = preparation.mean[number]
        altered.append(replace(rows, scalars=scalars))

    found = np.asarray(score(join(altered)), dtype=np.float64)
    if found.shape != (len(altered),) or not np.isfinite(found).all():
        raise ValueError("a score that is not finite cannot be explained")
    drop = found[0] - found[1:]
    first, second = len(windows), len(windows) + len(parts) * DRAWS
    of_parts = drop[first:second].reshape(len(parts), DRAWS).mean(axis=1)
    views = {}
    for name in dict.fromkeys(name for name, _ in windows):
        flux = getattr(rows, f"{name}_flux")[0].astype(np.float64)
        total, times = np.zeros(len(flux)), np.zeros(len(flux))
        for (whose, window), value in zip(windows, drop, strict=False):
            if whose == name:
                total[window] += value
                times[window] += 1
        views[name] = flux, total / times
    names = [SCALARS[column] for _, column in known]
    return Explanation(
        score=float(found[0]),
        views=views,
        parts=dict(zip(parts, map(float, of_parts), strict=True)),
        scalars=dict(zip(names, map(float, drop[second:]), strict=True)),
        values={name: float(rows.scalars[0, SCALARS.index(name)]) for name in names},
        other_dip=place,
    )


def _without_signal(rows: Rows, rng: np.random.Generator) -> Rows:
    """The row's views with nothing but the noise that they have from bin to bin, whatever their slow changes."""
    changed: dict[str, Any] = {}
    for name in ("global", "local", "odd", "even"):
        flux = getattr(rows, f"{name}_flux")
        steps = np.abs(flux[0, 3:] - flux[0, :-3])  # three bins apart they share no cadence
        changed[f"{name}_flux"] = correlated_noise(flux.shape, rng) * np.float32(1.4826 * np.median(steps) / np.sqrt(2))
    return replace(rows, **changed)


def _mixed(rows: Rows, quiet: Rows, where: dict[str, NDArray[np.bool_]]) -> Rows:
    """The row with some bins of its views taken from the quiet one."""
    names = [f"{name}_flux" for name in where]
    mixed = [
        np.where(chosen, getattr(quiet, n), getattr(rows, n)) for n, chosen in zip(names, where.values(), strict=True)
    ]
    return replace(rows, **dict(zip(names, mixed, strict=True)))


def _parts(rows: Rows, quiet: Rows, relative: float, place: float | None) -> dict[str, Rows]:
    """The row with each part that a person has a name for made ordinary."""
    near, inside = np.abs(PHASE), np.abs(SINCE)
    half, beyond = max(0.75 * relative, 1.5 / GLOBAL_BINS), max(2 * relative, 2.5 / GLOBAL_BINS)
    close = ("local", "odd", "even")
    parts = {
        "dip": _mixed(rows, quiet, {"global": near <= half} | dict.fromkeys(close, inside <= 0.75)),
        "beside": _mixed(
            rows, quiet, {"global": (near > half) & (near <= beyond)} | dict.fromkeys(close, inside > 0.75)
        ),
    }
    around = np.zeros(GLOBAL_BINS, dtype=bool)
    if place is not None:
        around = np.abs((PHASE - place + 0.5) % 1.0 - 0.5) <= half
        parts["other_dip"] = _mixed(rows, quiet, {"global": around})
    parts["orbit"] = _mixed(rows, quiet, {"global": (near > beyond) & ~around})
    if (rows.odd_filled > 0).any() and (rows.even_filled > 0).any():
        mean = (rows.odd_flux + rows.even_flux) / np.float32(2)
        parts["parity"] = replace(rows, odd_flux=mean, even_flux=mean.copy())
    return parts


def _other_dip(rows: Rows, relative: float) -> float | None:
    """Phase of the deepest box away from the transit, as the network is shown it; None where nothing dips."""
    width = np.array([max(1, round(relative * GLOBAL_BINS))], dtype=np.int64)
    away = (np.abs(PHASE) > max(1.5 * relative, 0.03)) & (rows.global_filled[0] > 0)
    means = np.where(away, box_means(rows.global_flux, width)[0], np.inf)
    place = int(means.argmin())
    return float(PHASE[place]) if means[place] < 0 else None
