"""What each opinion is worth, counted on simulated stars: by benchmarks/verdict.py fit."""

from collections.abc import Mapping

# ln of how much oftener planets get this word than other signals do
LIGHT_CURVE: Mapping[str, float] = {
    "planet candidate": 3.611,
    "false positive": -4.334,
    "false alarm": -2.521,
    "unknown": -0.363,
}
PIXELS: Mapping[str, float] = {
    "planet": 0.085,
    "no planet": -4.298,
}

# for each set of opinions that says something: share of planets that look like none and of others that look
# like planets whatever is asked, intercept, then the weight of each opinion
COMBINED: Mapping[tuple[str, ...], tuple[float, ...]] = {
    ("light curve", "network"):
        (0.005, 0.016, -1.324, 0.811, 1.342),
    ("light curve", "pixels", "network"):
        (0.005, 0.013, -1.306, 0.8, 1.61, 1.338),
    ("light curve", "network", "false-positive probability"):
        (0.005, 0.005, -2.34, 0.874, 1.045, 0.34),
    ("light curve", "pixels", "network", "false-positive probability"):
        (0.005, 0.005, -2.34, 0.874, 0.001, 1.045, 0.34),
}  # fmt: skip

GATE_CAP = 0.053  # share of planets among signals of which a gate failed, at most (95 %)
