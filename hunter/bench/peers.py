"""The engines ours is timed against; each is imported only where it is asked for, and none need be installed.

Each function makes an :class:`Engine` from light curves, periods and durations. GERBLS and transitleastsquares choose
their own periods; the number they chose is the engine's answer.
"""

import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from hunter.bench.paired import Engine
from pipeline.types import Floats, LightCurve

OVERSAMPLE = 10  # astropy's phase bins in the shortest duration

# module, and the distribution that brings it
OPTIONAL = {"gerbls": "gerbls", "cuperiod": "cuperiod", "cuvarbase": "cuvarbase"}


def present(module: str) -> bool:
    """Whether a peer is installed, without importing it."""
    return find_spec(module) is not None


def missing() -> list[str]:
    """The peers that are not installed here."""
    return [module for module in OPTIONAL if not present(module)]


def astropy_bls(
    light_curves: Sequence[LightCurve], period: Floats, durations: Floats, name: str = "astropy BoxLeastSquares"
) -> Engine:
    """astropy's Box Least Squares on these periods and durations; answers the best period."""
    from astropy.timeseries import BoxLeastSquares

    def run(number: int) -> float:
        curve = light_curves[number % len(light_curves)]
        model = BoxLeastSquares(curve.time, curve.flux, dy=curve.flux_err)
        found = model.power(period, durations, oversample=OVERSAMPLE, objective="snr")
        return float(found.period[np.argmax(found.power)])

    return Engine(name, run, cells=period.size * durations.size)


def astropy_part(light_curves: Sequence[LightCurve], period: Floats, durations: Floats, part: int) -> Engine:
    """The same on every so-manieth period, its time scaled to all: the work of a period hardly depends on it."""
    tried = period[part // 2 :: part]
    whole = astropy_bls(light_curves, tried, durations)
    share = tried.size / period.size
    return Engine(f"{whole.name}, {tried.size} of {period.size} periods, scaled", whole.run, 1, share,
                  period.size * durations.size)  # fmt: skip


def tls(light_curves: Sequence[LightCurve]) -> Engine:
    """transitleastsquares with its defaults for a star like the Sun, on one thread; answers period and grid."""
    from transitleastsquares import transitleastsquares

    def run(number: int) -> dict[str, Any]:
        curve = light_curves[number % len(light_curves)]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model = transitleastsquares(curve.time, curve.flux, curve.flux_err, verbose=False)
            found = model.power(
                R_star=1.0, M_star=1.0, use_threads=1, show_progress_bar=False, verbose=False
            )  # fmt: skip
        return {"best_period": float(found.period), "periods": len(found.periods)}

    return Engine("transitleastsquares, its defaults", run)


def gerbls(
    light_curves: Sequence[LightCurve], periods: tuple[float, float], durations: Floats, minutes: float
) -> Engine:
    """GERBLS's fast folding between two periods, data sampled anew at so many minutes, coarser at long periods.

    Its cells are those of its own grid.
    """
    import gerbls as library

    def prepared(curve: LightCurve) -> tuple[Any, Any]:
        data = library.pyDataContainer()
        data.store(curve.time, curve.flux, curve.flux_err, convert_to_flux=False)
        model = library.pyFastBLS()
        model.setup(
            data,
            *periods,
            t_samp=minutes / 1440.0,
            verbose=False,
            duration_mode="constant",
            durations=[float(duration) for duration in durations],
            downsample=True,
        )
        return data, model  # the model does not keep its data alive

    def run(number: int) -> dict[str, Any]:
        data, model = prepared(light_curves[number % len(light_curves)])
        model.run(verbose=False)
        found = library.pyBLSAnalyzer(model)
        best = float(found.P[np.argmax(found.dchi2)])
        del data
        return {"best_period": best, "periods": len(found.P)}

    data, model = prepared(light_curves[0])
    counted = int(model.calculate_N_freq())
    del data
    return Engine(f"GERBLS at {minutes:g} min, its own periods", run, cells=counted * durations.size)


def cuperiod(light_curves: Sequence[LightCurve], period: Floats, durations: Floats) -> Engine:
    """cuPeriod's Box Least Squares for the processor, on these periods and durations."""
    from cuperiod.methods._bls_core import bls_power

    def run(number: int) -> float:
        curve = light_curves[number % len(light_curves)]
        found = bls_power(
            curve.time, curve.flux, curve.flux_err, period, durations, OVERSAMPLE, objective="snr", backend="numba"
        )
        return float(period[np.argmax(found.power)])

    return Engine("cuPeriod, numba", run, cells=period.size * durations.size)


def cuvarbase(light_curves: Sequence[LightCurve], period: Floats, durations: Floats) -> Engine:
    """cuvarbase's Box Least Squares on a CUDA device, on these periods, from the shortest duration to the longest."""
    from cuvarbase.bls import eebls_gpu_fast

    def run(number: int) -> float:
        curve = light_curves[number % len(light_curves)]
        power = eebls_gpu_fast(
            curve.time,
            curve.flux,
            curve.flux_err,
            1.0 / period,
            qmin=durations[0] / period,
            qmax=np.minimum(durations[-1] / period, 0.5),
        )
        return float(period[np.argmax(power)])

    return Engine("cuvarbase, CUDA", run)


def optional(
    light_curves: Sequence[LightCurve],
    period: Floats,
    durations: Floats,
    minutes: Sequence[float],
    only: Collection[str] = OPTIONAL,
) -> tuple[list[Engine], dict[str, str]]:
    """The peers that are installed and run here; of the others, why they don't."""
    makers: dict[str, list[Callable[[], Engine]]] = {
        "gerbls": [
            partial(gerbls, light_curves, (float(period[0]), float(period[-1])), durations, every) for every in minutes
        ],
        "cuperiod": [partial(cuperiod, light_curves, period, durations)],
        "cuvarbase": [partial(cuvarbase, light_curves, period, durations)],
    }
    engines: list[Engine] = []
    absent: dict[str, str] = {}
    for module in only:
        several = makers[module]
        if not present(module):
            absent[module] = "not installed"
            continue
        try:
            ready = [maker() for maker in several]
            ready[-1].run(0)
        except Exception as error:  # a peer that cannot run here, for want of a device or a library, is told of
            absent[module] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            continue
        engines.extend(ready)
    return engines, absent
