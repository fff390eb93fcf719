"""Phase, cycle and mask: right to well under a second over six years."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ephemeris import cycle, phase, transit_mask

SIX_YEARS = 6 * 365.25
SECOND = 1 / 86400


@pytest.mark.parametrize("period", [0.3, 0.9414525, 6.2678320, 83.8962434])
def test_a_transit_centre_six_years_on_folds_to_zero_within_a_millisecond(period):
    epoch = 1325.5018
    number = np.arange(0, int(SIX_YEARS / period))
    exact = [Fraction(epoch) + int(n) * Fraction(period) for n in number]
    time = np.array([float(t) for t in exact])
    assert np.abs(phase(time, period, epoch)).max() * period < 1e-3 * SECOND
    assert (cycle(time, period, epoch) == number).all()


@given(
    time=st.floats(-3000, 6000),
    period=st.floats(0.1, 1000),
    epoch=st.floats(-3000, 6000),
)
def test_phase_and_cycle_give_the_time_back(time, period, epoch):
    folded, number = phase([time], period, epoch), cycle([time], period, epoch)
    assert -0.5 <= folded[0] < 0.5
    assert folded.dtype == np.float64
    assert number.dtype == np.int64
    back = epoch + (number[0] + folded[0]) * period
    # at phase 0.5 rounding may choose either neighbour for one of the two
    assert min(abs(back - time), abs(abs(back - time) - period)) < 1e-3 * SECOND


def test_cycles_before_the_epoch_are_negative():
    assert cycle([10.0, 12.0, 14.0], 2.0, 12.0).tolist() == [-1, 0, 1]


def test_the_mask_holds_the_transit_and_nothing_else():
    time = np.arange(0, 10, 0.01)
    inside = transit_mask(time, 2.5, 1.0, 0.2)
    centres = np.array([1.0, 3.5, 6.0, 8.5])
    distance = np.abs(time[:, None] - centres).min(axis=1)
    assert inside[distance < 0.0999].all()
    assert not inside[distance > 0.1001].any()


def test_a_transit_at_phase_zero_of_the_series_is_masked_on_both_sides():
    time = np.arange(0, 10, 0.01)
    inside = transit_mask(time, 2.5, 0.0, 0.2)
    assert inside[0]
    assert inside[np.abs(time - 2.45).argmin()]
    assert inside[np.abs(time - 2.55).argmin()]


def test_width_counts_in_durations():
    time = np.arange(0, 10, 0.001)
    narrow, wide = transit_mask(time, 5.0, 2.0, 0.2).sum(), transit_mask(time, 5.0, 2.0, 0.2, width=3.0).sum()
    assert wide == pytest.approx(3 * narrow, abs=6)


def test_a_mask_wider_than_the_period_holds_everything():
    assert transit_mask(np.arange(0, 3, 0.01), 0.5, 0.1, 0.3, width=2.0).all()


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_a_period_that_is_none_is_refused(period):
    with pytest.raises(ValueError, match="no ephemeris"):
        phase([1.0], period, 0.0)


def test_a_duration_that_is_none_is_refused():
    with pytest.raises(ValueError, match="cannot last"):
        transit_mask([1.0], 1.0, 0.0, float("nan"))
