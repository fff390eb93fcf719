"""An evidence file as the hunter wrote it, and what turns it into the case that a test needs."""

import json
from pathlib import Path

GOLDEN = Path(__file__).with_name("golden")
EVIDENCE = (GOLDEN / "evidence.json").read_text()
PERCENTILES = {"unit": "", "effective_samples": 900.0, "r_hat": 1.001}
PARAMETERS = {  # median, minus, plus
    "period_days": (3.12345, 0.00021, 0.00019),
    "epoch_btjd": (1326.53412, 0.0008, 0.0011),
    "radius_ratio": (0.0331, 0.0012, 0.0009),
    "impact_parameter": (0.31, 0.21, 0.18),
    "duration_hours": (2.871, 0.031, 0.044),
    "limb_darkening_1": (0.31, 0.1, 0.1),
}
DERIVED = {
    "depth_ppm": (1187.0, 21.0, 24.0),
    "scaled_axis": (9.21, 0.71, 0.38),
    "inclination_deg": (88.1, 1.4, 1.3),
    "stellar_density_cgs": (1.52, 0.33, 0.2),
    "planet_radius_earth": (3.72, 0.16, 0.14),
    "axis_au": (0.0421, 0.0009, 0.0009),
    "equilibrium_temperature_k": (1172.0, 31.0, 52.0),
    "insolation_earth": (312.0, 33.0, 58.0),
}
ROW = {
    "disposition": "PC",
    "kind": "candidate",
    "tic": 261136679,
    "separation_arcsec": 0.0,
    "same_star": True,
    "status": "match",
    "side": "for",
    "words": "the same period",
}


def document(**blocks):
    """A copy of the evidence with other blocks in it."""
    return json.loads(EVIDENCE) | blocks


def posteriors(values):
    return {name: dict(PERCENTILES, median=m, minus=a, plus=b) for name, (m, a, b) in values.items()}


def fitted(parameters=PARAMETERS, derived=DERIVED):
    """The block of a converged fit."""
    return {"status": "done", "reason": None, "parameters": posteriors(parameters), "derived": posteriors(derived)}


def compared(*matches, **changed):
    """The block ``known``: catalogues were at hand and found these."""
    tables = [{"source": name, "as_of": "2026-11-20", "stale": False} for name in ("TOI", "CTOI", "planet", "TESS-EB")]
    block = {"status": "done", "catalogues": tables, "missing": [], "radius_arcsec": 126.0, "note": ""}
    return block | {"compared": len(matches), "matches": list(matches)} | changed


def listed(name, period, same_star=True, separation=0.0, **changed):
    """One object that a catalogue knows."""
    row = ROW | {"source": name.split()[0], "name": name, "period_days": period, "same_star": same_star}
    return row | {"separation_arcsec": separation} | changed


def finding(test, status="pass", sigma=0.8):
    note = "the dip is 1.2 +- 1.5 arcsec from the target"
    return {"test": test, "status": status, "value": 1.2, "sigma": sigma, "limit": 3.0, "note": note}


def candidate(**blocks):
    """A fitted planet candidate of a star that no catalogue lists: nothing speaks against its export."""
    case = document(fit=fitted(), known=compared())
    case["verdict"] |= {"disposition": "planet_candidate"}
    case["validation"] = {"status": "done", "fpp": 0.0021, "fpp_err_dex": 0.08, "nfpp": 0.0004, "nfpp_err_dex": 0.1}
    case["validation"]["band"] = "likely_planet"
    case["vetting"] = [finding("odd_even"), finding("pixel_offset")]
    return case | blocks
