"""Shapes, curves and the star's own variability, as the blocks ``folded`` and ``variability`` of the evidence."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.types import Floats

if TYPE_CHECKING:  # who only reads evidence need not load the tests
    from pipeline.portrait import Portrait
    from pipeline.variability import Variability
    from pipeline.vetting.transits import Phases

NO_PORTRAIT = "nobody asked for the shapes behind the tests"
SECURE = 3.0  # sigma, that noise reaches anywhere among all phases in one light curve of 741
COLUMNS = 200  # of the scan of phases, each with its highest and its lowest value
PPM, HOURS = 1e6, 24.0

Block = dict[str, Any]


def portrait_blocks(found: "Portrait | str | None") -> dict[str, Block]:
    """Both blocks: what was measured; or ``error`` with its reason, or ``not_run`` where nobody asked."""
    if found is None or isinstance(found, str):
        block = {"status": "not_run", "reason": NO_PORTRAIT} if found is None else {"status": "error", "reason": found}
        return {"folded": block, "variability": block}
    return {"folded": _folded(found), "variability": _variability(found.variability)}


def _folded(found: "Portrait") -> Block:
    trapezoid, shape = found.trapezoid, found.shape
    return {
        "status": "done",
        "trapezoid": None
        if trapezoid is None
        else {
            "depth_ppm": trapezoid.depth * PPM,
            "duration_hours": trapezoid.duration * HOURS,
            "duration_hours_err": trapezoid.duration_err * HOURS,
            "flat": trapezoid.flat,
            "flat_err": trapezoid.flat_err,
            "late_hours": trapezoid.centre * HOURS,
            "reduced_chi_square": trapezoid.reduced_chi_square,
        },
        "shape": None
        if shape is None
        else {
            "impact": shape.impact,
            "impact_err": shape.impact_err,
            "grazing_probability": min(shape.grazing, 1.0),
            "duration_hours": shape.duration * HOURS,
            "duration_hours_err": shape.duration_err * HOURS,
            "reduced_chi_square": shape.reduced_chi_square,
        },
        "phases": None if found.phases is None else _phases(found.phases),
        "sectors": [
            {"name": one.name, "depth_ppm": one.depth * PPM, "depth_ppm_err": one.err * PPM} for one in found.sectors
        ],
    }


def _phases(phases: "Phases") -> Block:
    kept = extremes(phases.phase, phases.sigma, COLUMNS)
    return {
        "measured": int(phases.phase.size),
        "threshold_sigma": phases.threshold(SECURE),
        "phase": [round(float(value), 4) for value in phases.phase[kept]],
        "sigma": [round(float(value), 2) for value in phases.sigma[kept]],
        "depth_limit_ppm": [round(float(value) * PPM) for value in phases.depth_limit[kept]],
    }


def extremes(x: Floats, y: Floats, columns: int) -> np.ndarray:
    """Indices, in order, of the highest and the lowest ``y`` in each of equal columns of ``x`` (0..1); all if few."""
    if x.size <= 2 * columns:
        return np.arange(x.size)
    column = np.minimum((x * columns).astype(np.int64), columns - 1)
    order = np.lexsort((y, column))
    last = np.flatnonzero(np.diff(np.append(column[order], -1)) != 0)
    first = np.append(0, last[:-1] + 1)
    return np.unique(order[np.append(first, last)])


def _variability(found: "Variability") -> Block:
    if found.kind is None:
        return {"status": "not_run", "reason": found.note}
    from pipeline.variability import LEARNT

    return {
        "status": "done",
        "kind": found.kind,
        "probabilities": dict(found.probabilities),
        "learnt": LEARNT,
        "period_days": found.period,
        "period_days_err": found.period_err,
        "autocorrelation_period_days": found.autocorrelation_period,
        "periods_agree": found.agree,
        "amplitude_ppm": None if found.amplitude is None else found.amplitude * PPM,
        "flares": found.flares,
        "flares_per_day": found.flares_per_day,
        "days": found.days,
        "note": found.note,
    }
