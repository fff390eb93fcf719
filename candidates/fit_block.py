"""The transit fit, as the evidence holds it and as a person reads it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from candidates.quantities import decimals_for
from candidates.wording import significant

if TYPE_CHECKING:
    from pipeline.fit.result import TransitFit

NAMES = {
    "period_days": "period", "epoch_btjd": "epoch", "radius_ratio": "Rp/R*", "impact_parameter": "impact parameter",
    "duration_hours": "duration", "limb_darkening_1": "limb darkening u₁", "limb_darkening_2": "limb darkening u₂",
    "jitter_ppm": "white noise", "depth_ppm": "depth", "scaled_axis": "a/R*", "inclination_deg": "inclination",
    "stellar_density_cgs": "density of the star", "planet_radius_earth": "planet radius", "axis_au": "semi-major axis",
    "equilibrium_temperature_k": "equilibrium temperature", "insolation_earth": "insolation",
}  # fmt: skip


def fit_block(found: "TransitFit | str") -> dict[str, Any]:
    """The fit as the schema has it; a text is why none was run."""
    if isinstance(found, str):
        return {"status": "not_run", "reason": found}
    if found.status == "error":
        return {"status": "error", "reason": found.reason or "no reason was given"}
    return {
        "status": found.status,
        "reason": found.reason,
        "method": found.method,
        "seed": found.seed,
        "walkers": found.walkers,
        "ensembles": found.ensembles,
        "steps": found.steps,
        "burn_in": found.burn_in,
        "autocorrelation_steps": found.autocorrelation_steps,
        "lengths": found.lengths,
        "split_r_hat": found.split_r_hat,
        "drift": found.drift,
        "priors": dict(found.priors),
        "parameters": {name: asdict(value) for name, value in found.parameters.items()},
        "derived": {name: asdict(value) for name, value in found.derived.items()},
        "not_derived": dict(found.not_derived),
        "residual_ppm": found.residual_ppm,
        "points": found.points,
        "transit_times": [
            {
                "number": one.number,
                "time_btjd": one.time,
                "err_days": one.err,
                "observed_minus_computed_minutes": 1440 * one.late,
                "snr": one.snr,
            }
            for one in found.transit_times
        ],
    }


def with_errors(value: Mapping[str, Any]) -> str:
    """``2.674 +0.053 −0.050 hours``: two digits of the smaller error."""
    minus, plus = value["minus"], value["plus"]
    places = decimals_for(min(minus, plus), 4)
    middle = f"{value['median']:.{places}f}"
    return f"{middle} +{plus:.{places}f} −{minus:.{places}f} {value['unit']}".rstrip().replace("-", "−")


def fit_rows(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was fitted and what follows, as rows of name and value with its errors, and how sure the chain is."""
    if block["status"] in ("not_run", "error"):
        return []
    found = {**block["parameters"], **block["derived"]}
    rows = [(NAMES.get(name, name.replace("_", " ")), with_errors(value)) for name, value in found.items()]
    rows += [(NAMES.get(name, name), f"not derived: {why}") for name, why in block.get("not_derived", {}).items()]
    rows.append((
        "chain",
        f"{block['ensembles']} × {block['walkers']} walkers, {block['steps']} steps, {block['burn_in']} dropped; "
        f"{significant(block['lengths'], 3)} autocorrelation times, split R-hat {block['split_r_hat']:.4f}, "
        f"drift {block['drift']:.2f} σ, seed {block['seed']}",
    ))  # fmt: skip
    if block["reason"]:
        rows.append(("not converged", f"{block['reason']}: no errors are shown"))
    rows.append(
        ("fitted", f"{block['points']} cadences; they scatter by {block['residual_ppm']:.0f} ppm about the fit")
    )
    rows.append(("method", block["method"]))
    return rows


FITTED = (
    ("parameters", "radius_ratio", "fitted Rp/R*"),
    ("parameters", "impact_parameter", "impact parameter"),
    ("parameters", "duration_hours", "fitted duration"),
    ("derived", "planet_radius_earth", "fitted radius"),
)


def fitted_rows(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fit in few rows of name and value with its 68 % on either side; none where it has not converged."""
    fit = document["fit"]
    if fit["status"] != "done":
        return []
    return [(words, with_errors(fit[part][name])) for part, name, words in FITTED if name in fit[part]]
