"""Whether the signals of one night, or one sector, come from the same sky as those before them.

Two tests look at each number: Kolmogorov and Smirnov's, which says how surely two samples differ, and the population
stability index, which says by how much. An alarm needs both, and the first is paid for by Holm's correction over every
comparison of a report: a hunt of thousands of stars would else find a sure difference that matters to nobody, and a
report of hundreds of comparisons one by chance. A new cadence is a known shift: samples are compared within strata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray
from scipy.stats import ks_2samp


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """The [drift] table: when `hunter evaluate --hunt` raises an alarm."""

    alpha: Annotated[float, Gt(0), Le(0.5)] = 0.01  # chance that a report on a quiet hunt raises any
    psi: Annotated[float, Ge(0)] = 0.2  # population stability index an alarm needs as well
    least: Annotated[int, Ge(10)] = 50  # signals that a night or a sector needs, and those before it
    bins: Annotated[int, Ge(3), Le(50)] = 10  # of the index, with as many earlier signals each


@dataclass(frozen=True, slots=True)
class Shift:
    """One comparison: a number, in one night or sector, against all before it in the same stratum."""

    number: str
    where: str  # the night or sector
    stratum: str
    n: int
    before: int  # signals it is held against
    ks: float  # largest distance of the two distributions
    p: float  # of that distance by chance, before any correction
    psi: float  # what chance alone gives to so few is taken off
    alarm: bool = False

    def said(self) -> str:
        """In a line."""
        return (
            f"{self.number} of {self.where} ({self.stratum}): PSI {self.psi:.2f}, KS {self.ks:.3f} "
            f"(p {self.p:.1e}), {self.n} signals against {self.before}"
        )


@dataclass(frozen=True, slots=True)
class Drift:
    """A report: every comparison, and why some could not be made."""

    shifts: tuple[Shift, ...]
    too_few: tuple[str, ...]  # nights or sectors, by stratum, with too few signals to say anything

    @property
    def alarms(self) -> tuple[Shift, ...]:
        """The comparisons that alarm, the strongest first."""
        return tuple(sorted((s for s in self.shifts if s.alarm), key=lambda s: (s.p, -s.psi)))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "alarm": bool(self.alarms),
            "alarms": [asdict(shift) for shift in self.alarms],
            "comparisons": len(self.shifts),
            "too few": list(self.too_few),
            "shifts": [asdict(shift) for shift in self.shifts],
        }


def stability_index(before: NDArray[np.float64], now: NDArray[np.float64], bins: int = 10) -> float:
    """Population stability index of a sample against an earlier one, less what chance gives to samples of their size.

    Parameters
    ----------
    before, now : (n,) and (m,) finite
    bins : holding as many earlier values each; fewer where values repeat

    Returns
    -------
    float
        0.1 is commonly called small, 0.2 large. Never below 0.
    """
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    count = len(edges) + 1

    def share(values: NDArray[np.float64]) -> NDArray[np.floating]:
        found = np.bincount(np.searchsorted(edges, values, side="right"), minlength=count)
        return (found + 0.5) / (len(values) + 0.5 * count)  # an empty bin is rare, not impossible

    old, new = share(before), share(now)
    by_chance = (count - 1) * (1 / len(before) + 1 / len(now))
    return max(0.0, float(((new - old) * np.log(new / old)).sum()) - by_chance)


def find_drift(
    numbers: Mapping[str, NDArray[np.float64]],
    period: Sequence[str],
    order: Sequence[str],
    strata: Mapping[str, Sequence[str]],
    settings: DriftSettings,
) -> Drift:
    """Hold each night (or sector) against all before it, number by number, within strata.

    Parameters
    ----------
    numbers : by name, (n,) with NaN where unknown; that more or fewer are unknown is compared as well
    period : (n,) the night or sector of each signal
    order : the nights or sectors in order
    strata : by the name of a number, (n,) within which signals it is compared; "" for all numbers not named
    settings : DriftSettings

    Returns
    -------
    Drift
        Signals must be independent of one another: one of each star.
    """
    when = np.array([order.index(name) for name in period], dtype=np.int64)
    found: list[Shift] = []
    too_few: dict[str, None] = {}
    for name, all_values in numbers.items():
        values = np.asarray(all_values, dtype=np.float64)
        unknown = (~np.isfinite(values)).astype(np.float64)
        stratum = np.array(strata.get(name, strata[""]), dtype=str)
        for kind in np.unique(stratum):
            for number, label in enumerate(order):
                here = (stratum == kind) & (when == number)
                earlier = (stratum == kind) & (when < number)
                if not here.any() or not earlier.any():
                    continue
                if min(here.sum(), earlier.sum()) < settings.least:
                    too_few[f"{label} ({kind}): {int(here.sum())} against {int(earlier.sum())}"] = None
                    continue
                if unknown[here | earlier].any():
                    found.append(_compare(f"{name} unknown", label, kind, unknown[earlier], unknown[here], settings))
                known = np.isfinite(values)
                if min((here & known).sum(), (earlier & known).sum()) >= settings.least:
                    found.append(_compare(name, label, kind, values[earlier & known], values[here & known], settings))
    return Drift(_alarmed(found, settings), tuple(too_few))


def _compare(
    name: str,
    label: str,
    kind: str,
    before: NDArray[np.float64],
    now: NDArray[np.float64],
    settings: DriftSettings,
) -> Shift:
    test = ks_2samp(before, now, method="asymp")
    index = stability_index(before, now, settings.bins)
    if name.endswith(" unknown"):
        old, new = (np.clip([values.mean(), 1 - values.mean()], 1e-3, 1) for values in (before, now))
        index = max(0.0, float(((new - old) * np.log(new / old)).sum()) - (1 / len(before) + 1 / len(now)))
    return Shift(
        name,
        label,
        kind,
        len(now),
        len(before),
        round(float(test.statistic), 4),
        float(test.pvalue),
        round(index, 4),
    )


def _alarmed(shifts: Sequence[Shift], settings: DriftSettings) -> tuple[Shift, ...]:
    """Holm (1979): the k-th smallest of m chances is held to alpha / (m - k)."""
    order = sorted(range(len(shifts)), key=lambda i: shifts[i].p)
    sure: set[int] = set()
    for rank, i in enumerate(order):
        if shifts[i].p > settings.alpha / (len(shifts) - rank):
            break
        sure.add(i)
    return tuple(
        Shift(**(asdict(shift) | {"alarm": i in sure and shift.psi >= settings.psi})) for i, shift in enumerate(shifts)
    )
