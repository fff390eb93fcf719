"""One stream of random numbers for each effect of each star, so that nothing depends on the order of work."""

import hashlib

import numpy as np


def stream(seed: int, *names: object) -> np.random.Generator:
    """A generator that depends only on the seed and the names.

    Each effect of a star draws from a stream of its own: a star with flares added keeps
    its photon noise to the last bit, and any process may simulate any star.

    Parameters
    ----------
    seed : int
        The seed of the whole sky.
    names : objects
        What the numbers are for, e.g. ``"photon noise", "99000000001", 1``; their text is hashed with SHA-256.
    """
    text = "|".join(str(part) for part in (seed, *names))
    return np.random.default_rng(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=np.uint32))
