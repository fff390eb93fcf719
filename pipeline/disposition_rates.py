"""What the decision keeps and refuses, counted on simulated stars: by benchmarks/disposition.py report.

A row for each bin of signal-to-noise, in it a pair of numbers for each bin of period.
"""

import math

VET_VERSION = 2  # of the tests that were counted, at their default thresholds
SNR_EDGES = (7.1, 8, 10, 15, 30, math.inf)
PERIOD_EDGES = (0, 1, 3, 6, 15)  # days

PLANETS = (  # injected planets that the search found, and those called planet candidates
    ((12, 9), (14, 11), (4, 3), (8, 3)),
    ((36, 33), (72, 67), (34, 30), (40, 16)),
    ((47, 41), (94, 84), (54, 51), (51, 31)),
    ((75, 66), (146, 143), (72, 69), (67, 45)),
    ((50, 47), (76, 72), (64, 60), (49, 37)),
)  # fmt: skip

FALSE_ALARMS = (  # signals of inverted and scrambled light curves, and those refused
    ((20, 20), (3, 3), (4, 4), (27, 27)),
    ((52, 51), (9, 9), (9, 9), (62, 62)),
    ((162, 162), (20, 20), (12, 12), (114, 114)),
    ((384, 384), (58, 58), (17, 17), (105, 105)),
    ((241, 241), (20, 20), (3, 3), (44, 44)),
)  # fmt: skip
