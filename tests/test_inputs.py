"""The quick ways of preparing inputs, each held to its plain definition."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.inputs import (
    GLOBAL_BINS,
    GLOBAL_LENGTH,
    GLOBAL_WIDTH,
    LOCAL_BINS,
    LOCAL_LENGTH,
    LOCAL_WIDTH,
    NOTHING,
    SAMPLED,
    SCALARS,
    TOGETHER,
    InputsRefused,
    Rows,
    SignalInputs,
    box_means,
    fill_gaps,
    gather,
    level,
    medians,
    normalise,
    overlap,
    rebin,
    robust_scatter,
    stretch,
)


def plain_medians(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    return np.array([np.nanmedian(v[u]) if u.any() else np.nan for v, u in zip(values, used, strict=True)])


def plain_fill(flux: np.ndarray, filled: np.ndarray, wrap: bool) -> np.ndarray:
    flux, place = flux.copy(), np.arange(flux.shape[1])
    for row, seen in zip(flux, filled, strict=True):
        period = len(place) if wrap else None
        row[~seen] = np.interp(place[~seen], place[seen], row[seen], period=period) if seen.any() else 0
        row[:] = row if seen.any() else 0
    return flux


def plain_rebin(flux: np.ndarray, filled: np.ndarray, bins: int, width: float, wrap: bool, window: float):
    weights = overlap(flux.shape[1], bins, width, window).astype(np.float64)
    total = filled @ weights
    mean = np.where(filled, flux, 0) @ weights / np.maximum(total, 1e-9)
    return plain_fill(np.where(total > 1e-3, mean, 0), total > 1e-3, wrap), total > 1e-3


def plain_gather(signals: list[SignalInputs]) -> Rows:
    views: dict[str, np.ndarray] = {}
    for name in ("global", "local", "odd", "even"):
        flux = np.array([getattr(signal, f"{name}_flux") for signal in signals])
        filled = np.array([getattr(signal, f"{name}_filled") for signal in signals])
        flux = flux - np.nan_to_num(plain_medians(flux, filled))[:, None]
        flux = np.where(np.abs(flux) < NOTHING, 0, flux) / np.array([signal.depth for signal in signals])[:, None]
        bins, width = (GLOBAL_BINS, GLOBAL_WIDTH) if name == "global" else (LOCAL_BINS, LOCAL_WIDTH)
        new = plain_rebin(flux, filled, bins, width, name == "global", SAMPLED / flux.shape[1])
        views[f"{name}_flux"], views[f"{name}_filled"] = (part.astype(np.float32) for part in new)
    scalars = np.array([[signal.scalars.get(name) for name in SCALARS] for signal in signals], dtype=np.float64)
    return normalise(Rows(**views, scalars=scalars))


def random_signal(rng: np.random.Generator) -> SignalInputs:
    """SIMULATED: a box in noise, with as many empty bins as chance has it; odd or even views may be empty."""
    depth = 10 ** rng.uniform(-4.5, -1)
    parts = {}
    for name in ("global", "local", "secondary", "odd", "even"):
        length = GLOBAL_LENGTH if name == "global" else LOCAL_LENGTH
        flux = rng.normal(0, 0.3 * depth, length) - depth * (np.abs(np.arange(length) / length - 0.5) < 0.1)
        share = rng.choice([0.3, 0.9, 1.0] if name in ("global", "local") else [0.0, 0.6, 1.0])
        filled = rng.random(length) < share
        filled[length // 2] |= name in ("global", "local")
        parts |= {f"{name}_flux": flux, f"{name}_filled": filled}
    known = {"log10_period": rng.uniform(0, 1), "duration_over_period": rng.uniform(0.01, 0.1), "tmag": None}
    return SignalInputs(**parts, depth=depth, scalars=known)


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([1, 2, 5, 60, 61, 600]), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_medians_of_used_entries_are_numpys(seed: int, count: int, length: int, share: float):
    rng = np.random.default_rng(seed)
    values, used = rng.normal(size=(count, length)), rng.random((count, length)) < share
    used[: count // 2] = True
    assert np.array_equal(medians(values, used), plain_medians(values, used), equal_nan=True)


def test_the_median_passes_over_used_entries_that_are_not_numbers():
    values = np.array([[3.0, np.nan, 1.0, 2.0], [np.nan] * 4, [1.0, 2.0, 3.0, 4.0]])
    for used in (np.ones((3, 4), bool), np.array([[True, True, False, True], [True] * 4, [True] * 4])):
        expected = [
            np.median(row[u & np.isfinite(row)]) if np.isfinite(row).any() else np.nan
            for row, u in zip(values, used, strict=True)
        ]
        assert np.array_equal(medians(values, used), expected, equal_nan=True)
        assert level(values, used)[1, 0] == 0


@given(st.integers(0, 10_000), st.booleans(), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_gaps_are_filled_as_numpy_interpolates(seed: int, wrap: bool, share: float):
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(6, 61)).astype(np.float32)
    filled = rng.random((6, 61)) < share
    assert np.array_equal(fill_gaps(flux, filled, wrap), plain_fill(flux, filled, wrap))


def test_narrow_and_wide_windows_average_as_their_overlaps_say():
    rng = np.random.default_rng(0)
    flux, filled = rng.normal(size=(20, 2048)), rng.random((20, 2048)) < 0.5
    for window in (SAMPLED / 2048, GLOBAL_WIDTH):
        got, seen = rebin(flux, filled, GLOBAL_BINS, GLOBAL_WIDTH, True, window)
        wanted, kept = plain_rebin(flux, filled, GLOBAL_BINS, GLOBAL_WIDTH, True, window)
        assert np.array_equal(seen, kept)
        assert got == pytest.approx(wanted, abs=2e-6)


def test_signals_are_gathered_as_the_plain_definitions_do_one_by_one_or_together():
    rng = np.random.default_rng(1)
    signals = [random_signal(rng) for _ in range(TOGETHER + 7)]
    together, plain = gather(signals), plain_gather(signals)
    for name in ("global", "local", "odd", "even"):
        assert np.array_equal(getattr(together, f"{name}_filled"), getattr(plain, f"{name}_filled"))
        assert getattr(together, f"{name}_flux") == pytest.approx(getattr(plain, f"{name}_flux"), abs=2e-6)
    assert np.array_equal(together.scalars, plain.scalars, equal_nan=True)
    alone = gather(signals[-1:])
    assert np.array_equal(alone.global_flux[0], together.global_flux[-1])
    assert np.array_equal(alone.even_flux[0], together.even_flux[-1])


def test_a_refused_signal_is_named_by_its_place_among_all():
    rng = np.random.default_rng(2)
    signals = [random_signal(rng) for _ in range(TOGETHER + 3)]
    bad = signals[-1].even_flux.copy()
    bad[3] = np.nan
    signals[-1] = replace(signals[-1], even_flux=bad)
    with pytest.raises(InputsRefused, match=f"signal {len(signals)}: the even view holds 1 values"):
        gather(signals)
    assert len(gather([])) == 0


def test_running_means_go_around_and_scatter_is_the_median_deviation():
    rng = np.random.default_rng(3)
    flux = rng.normal(size=(5, 201)).astype(np.float32)
    width = np.array([1, 2, 7, 30, 48])
    means = box_means(flux, width)
    for row, size in enumerate(width):
        rolled = [np.roll(flux[row], size // 2 - k) for k in range(size)]
        assert means[row] == pytest.approx(np.mean(rolled, axis=0), abs=1e-6)
    used = rng.random(flux.shape) < 0.5
    used[0] = False
    deviation = [
        1.4826 * np.median(np.abs(f[u].astype(float) - np.median(f[u]))) if u.any() else np.nan
        for f, u in zip(flux, used, strict=True)
    ]
    assert robust_scatter(flux, used) == pytest.approx(deviation, nan_ok=True, rel=1e-6)


def test_a_view_of_the_length_wanted_is_not_changed():
    flux = np.random.default_rng(4).normal(size=(3, LOCAL_BINS)).astype(np.float32)
    assert np.array_equal(stretch(flux, LOCAL_BINS), flux)
    wanted = [np.interp(np.linspace(0, 60, 256), np.arange(61), row) for row in flux]
    assert stretch(flux, 256) == pytest.approx(np.array(wanted), abs=1e-6)
