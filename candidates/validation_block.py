"""What the false-positive probability says, as the block ``validation`` of the evidence."""

from typing import Any

from pipeline.validation.case import Scenario, Validation

LEAST_TOLD = 1e-6  # probability of a neighbour's scenario that is told of by itself
NEIGHBOURS = ("neb", "ntp")


def validation_block(found: Validation) -> dict[str, Any]:
    """The block: ``not_run`` or ``error`` with its reason, or the probabilities and what they are made of."""
    if found.status in ("not_run", "failed"):
        status = "not_run" if found.status == "not_run" else "error"
        return {"status": status, "reason": found.reason or "no reason was given"}
    return {
        "status": found.status,
        "reason": found.reason,
        "fpp": found.fpp,
        "fpp_err_dex": found.fpp_err_dex,
        "nfpp": found.nfpp,
        "nfpp_err_dex": found.nfpp_err_dex,
        "fpp_interval": None if found.fpp_interval is None else list(found.fpp_interval),
        "nfpp_interval": None if found.nfpp_interval is None else list(found.nfpp_interval),
        "band": found.band,
        "scenarios": {one.name: _scenario(one) for one in found.scenarios if _told(one)},
        "artifact": {"reliability": found.artifact.value, "source": found.artifact.source},
        "variability": {"probability": found.variability.value, "source": found.variability.source},
        "planet_probability": found.planet_probability,
        "inputs": {**found.inputs, "classes": found.classes, "planet_radius_earth": found.planet_radius},
    }


def _told(one: Scenario) -> bool:
    """Whether a scenario is told of: all of the target's, and of the neighbours' those that could matter."""
    return one.kind not in NEIGHBOURS or one.probability >= LEAST_TOLD


def _scenario(one: Scenario) -> dict[str, Any]:
    return {
        "probability": min(one.probability, 1.0),
        "ln_evidence": one.ln_evidence,
        "ln_evidence_err": one.ln_evidence_err,
        "effective_samples": one.effective_samples,
        "host": one.host,
    }
