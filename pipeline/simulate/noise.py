"""Noise: photons by TESS magnitude, and red noise."""

import numpy as np

from pipeline.types import Floats

# ln of the one-hour noise in ppm as a polynomial of Tmag: ticgen 1.0.4 (MIT), from arXiv:1706.00495, page 24
ONE_HOUR_NOISE = (3.29685004771, 0.850021465753, -0.285041632435, 0.0395908321369, -0.0022308015894, 4.73508403525e-5)
BRIGHTEST, FAINTEST = 2.0, 18.0  # Tmag; outside, the polynomial is not to be trusted
ELECTRONS_AT_TEN = 15700.0  # e-/s of a star of Tmag 10: median of 13 genuine SPOC files of sectors 1 to 6


def one_hour_noise(tmag: float) -> float:
    """Photometric noise in one hour, as a fraction of the flux.

    Parameters
    ----------
    tmag : float
        TESS magnitude, 2 to 18.

    Raises
    ------
    ValueError
        Outside that range.
    """
    if not BRIGHTEST <= tmag <= FAINTEST:
        raise ValueError(f"Tmag {tmag} is outside {BRIGHTEST} to {FAINTEST}, where the noise model holds")
    return float(np.exp(np.polynomial.polynomial.polyval(tmag, ONE_HOUR_NOISE))) * 1e-6


def cadence_noise(tmag: float, cadence_seconds: float, factor: float = 1.0, floor_ppm: float = 0.0) -> float:
    """White noise of one cadence, fraction: the one-hour noise and a floor in quadrature, scaled by 1/sqrt(time).

    ``factor`` and ``floor_ppm`` (ppm in one hour) let a sky be noisier than its photons.
    """
    return factor * float(np.hypot(one_hour_noise(tmag), floor_ppm * 1e-6)) * float(np.sqrt(3600 / cadence_seconds))


def electrons(tmag: float) -> float:
    """Flux of a star, e-/s."""
    return float(ELECTRONS_AT_TEN * 10 ** (-0.4 * (tmag - 10)))


def red_noise(random: np.random.Generator, count: int, step: float, timescale: float, sigma: float) -> Floats:
    """An Ornstein-Uhlenbeck process on an even grid, exact at any step.

    Parameters
    ----------
    random : numpy Generator
    count : int
    step, timescale : float
        Same unit; the correlation falls by e in one timescale.
    sigma : float
        Standard deviation of the process.

    Returns
    -------
    Floats, (count,)
        Mean 0; the first value is already drawn from the stationary distribution.
    """
    if sigma == 0:
        return np.zeros(count)
    memory = float(np.exp(-step / timescale))
    kicks = random.standard_normal(count) * sigma * np.sqrt(1 - memory**2)
    kicks[0] /= np.sqrt(1 - memory**2)
    # x[i] = memory * x[i-1] + kick[i], solved in blocks short enough that memory**-block stays below e**13
    block = int(np.clip(-13 / np.log(memory) if memory > 0 else 1, 1, count))
    decay = memory ** np.arange(1, block + 1)
    padded = np.zeros(-(-count // block) * block)
    padded[:count] = kicks
    pieces = np.cumsum(padded.reshape(-1, block) / decay, axis=1) * decay
    carried = 0.0
    for piece in pieces:
        piece += carried * decay
        carried = piece[-1]
    return pieces.ravel()[:count]
