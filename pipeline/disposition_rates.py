"""What the decision keeps and refuses, counted on simulated stars: by benchmarks/disposition.py report.

A row for each bin of signal-to-noise, in it a pair of numbers for each bin of period.
"""

import math

VET_VERSION = 3  # of the tests that were counted, at their default thresholds
SNR_EDGES = (7.1, 8, 10, 15, 30, math.inf)
PERIOD_EDGES = (0, 1, 3, 6, 15)  # days

PLANETS = (  # injected planets that the search found, and those called planet candidates
    ((12, 9), (14, 11), (4, 3), (8, 6)),
    ((36, 33), (72, 66), (34, 30), (40, 27)),
    ((47, 42), (94, 85), (54, 51), (51, 41)),
    ((75, 67), (146, 143), (72, 69), (67, 66)),
    ((50, 47), (76, 72), (64, 61), (49, 45)),
)  # fmt: skip

FALSE_ALARMS = (  # signals of inverted and scrambled light curves, and those refused
    ((33, 33), (5, 5), (5, 5), (35, 35)),
    ((88, 87), (16, 15), (11, 11), (80, 80)),
    ((330, 330), (47, 47), (22, 22), (127, 127)),
    ((644, 644), (71, 71), (20, 20), (111, 111)),
    ((321, 321), (24, 24), (4, 4), (46, 46)),
)  # fmt: skip
