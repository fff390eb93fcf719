"""The door for arrays at hand gives what the hunt gives."""

import numpy as np
import pytest

from pipeline import run_phase1, run_phase2, run_phase3
from pipeline.errors import UnusableData


def sky(depth=4e-3, period=3.3, epoch=1501.1, duration=0.12):
    time = 1500.0 + np.arange(0.0, 27.0, 10.0 / 1440.0)
    flux = 2000.0 * (1.0 + np.random.default_rng(5).normal(0.0, 5e-4, time.size))
    inside = np.abs((time - epoch + period / 2) % period - period / 2) < duration / 2
    return time, np.where(inside, flux * (1 - depth), flux)


def test_a_planet_in_plain_arrays_is_cleaned_found_and_folded():
    time, flux = sky()
    cleaned = run_phase1(time, flux)
    (signal, *_) = run_phase2(cleaned).signals
    assert signal.period == pytest.approx(3.3, rel=1e-3)
    views = run_phase3(cleaned, signal)
    assert views.local_view.flux.min() == pytest.approx(-4e-3, rel=0.15)


def test_flagged_cadences_are_left_out():
    time, flux = sky()
    quality = (time < 1505.0).astype(int)
    assert run_phase1(time, flux, quality=quality).flat.time[0] >= 1505.0


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        run_phase1([1.0, 2.0], [1.0])


def test_too_little_data_is_the_skys_fault():
    with pytest.raises(UnusableData):
        run_phase1(np.arange(5.0), np.ones(5))
