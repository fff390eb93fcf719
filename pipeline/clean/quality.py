"""Which cadences the missions themselves call bad: our own numeric masks, versioned with the result.

TESS bits are those of the Science Data Products Description Document (EXP-TESS-ARC-ICD-0014, table 32),
Kepler bits those of the Kepler Archive Manual (KDMC-10008, table 2-3): the same number means different things.
"""

from typing import Literal

import numpy as np

from pipeline.types import Booleans, Observation, Product

VERSION = 1  # raised when a mask changes

QualityLevel = Literal["default", "hard", "none"]

# TESS
ATTITUDE_TWEAK = 1
SAFE_MODE = 2
COARSE_POINT = 4
EARTH_POINT = 8
ARGABRIGHTENING = 16
DESATURATION = 32
APERTURE_COSMIC = 64
MANUAL_EXCLUDE = 128
DISCONTINUITY = 256
IMPULSIVE_OUTLIER = 512
COLLATERAL_COSMIC = 1024
STRAYLIGHT = 2048  # set by hand at MIT
STRAYLIGHT_AUTOMATIC = 4096  # set by SPOC from the background
PLANET_SEARCH_EXCLUDE = 8192
BAD_CALIBRATION = 16384
INSUFFICIENT_TARGETS = 32768

LIGHTKURVE_TESS_DEFAULT = 17087
LIGHTKURVE_TESS_HARD = 24319
LIGHTKURVE_KEPLER_DEFAULT = 1130799
LIGHTKURVE_KEPLER_HARD = 1664431

# Beside lightkurve's default we drop what SPOC itself keeps out of its planet search (8192), what it could not
# correct (32768), and stray light: where SPOC raises the alarm (4096) its PDCSAP flux is empty, but SAP, QLP and
# custom-aperture flux is not; where MIT does (2048), 242 cadences of sector 5 scatter 1.7 times as much as the rest of
# their file (``benchmarks/clean.py``). Corrected steps (256) and removed cosmic rays (64, 1024) stay.
TESS_DEFAULT = (
    LIGHTKURVE_TESS_DEFAULT | STRAYLIGHT | STRAYLIGHT_AUTOMATIC | PLANET_SEARCH_EXCLUDE | INSUFFICIENT_TARGETS
)
TESS_HARD = LIGHTKURVE_TESS_HARD | PLANET_SEARCH_EXCLUDE | INSUFFICIENT_TARGETS
KEPLER_DEFAULT = LIGHTKURVE_KEPLER_DEFAULT
KEPLER_HARD = LIGHTKURVE_KEPLER_HARD

QLP_LOW_PRECISION = 4096 | 1 << 30  # sectors 1-55 (collides with straylight), sectors from 56 on
ELEANOR_BAD = 131072 | 262144  # eleanor's own two, above the mission's bits
ANY = -1  # every bit: all that can be done with flags whose meaning is unknown


def bad_bits(product: Product, level: QualityLevel) -> int:
    """Choose the bits that condemn a cadence of this product.

    Parameters
    ----------
    product : Product
        Its mission and author decide what the bits mean.
    level : "default", "hard" or "none"
        "default" drops what is useless, "hard" also what may be useful (cosmic rays), "none" nothing.

    Returns
    -------
    int
        A cadence is bad where ``quality & bits`` is not zero. A file that names no mission gets ``ANY``.

    Raises
    ------
    ValueError
        If the level is none of the three.
    """
    if level not in ("default", "hard", "none"):
        raise ValueError(f"quality {level!r} is not one of default, hard, none")
    if level == "none":
        return 0
    mission = product.mission.strip().lower()
    if mission in ("kepler", "k2"):
        return KEPLER_HARD if level == "hard" else KEPLER_DEFAULT
    if mission != "tess":
        return ANY
    bits = TESS_HARD if level == "hard" else TESS_DEFAULT
    author = product.author.strip().lower()
    if author.startswith("qlp"):
        bits |= QLP_LOW_PRECISION
    if "eleanor" in author:
        bits |= ELEANOR_BAD
    return bits


def good_cadences(observation: Observation, level: QualityLevel) -> Booleans:
    """Tell which cadences the mission does not call bad: a bool array, (n,), True where good."""
    return (np.asarray(observation.quality, dtype=np.int64) & bad_bits(observation.product, level)) == 0
