"""Which bits condemn a cadence, by mission and author."""

import numpy as np
import pytest

from pipeline.clean.quality import (
    KEPLER_DEFAULT,
    KEPLER_HARD,
    LIGHTKURVE_KEPLER_DEFAULT,
    LIGHTKURVE_TESS_DEFAULT,
    LIGHTKURVE_TESS_HARD,
    TESS_DEFAULT,
    TESS_HARD,
    bad_bits,
    good_cadences,
)
from pipeline.types import Observation, Product


def product(mission="TESS", author="SPOC"):
    return Product("file", "", mission, author, "FLUX")


def test_our_tess_masks_hold_all_of_lightkurves_and_hard_all_of_default():
    assert TESS_DEFAULT & LIGHTKURVE_TESS_DEFAULT == LIGHTKURVE_TESS_DEFAULT == 17087
    assert TESS_HARD & LIGHTKURVE_TESS_HARD == LIGHTKURVE_TESS_HARD == 24319
    assert TESS_HARD & TESS_DEFAULT == TESS_DEFAULT
    assert KEPLER_DEFAULT == LIGHTKURVE_KEPLER_DEFAULT == 1130799
    assert KEPLER_HARD == 1664431


@pytest.mark.parametrize("bit", [1, 2, 4, 8, 16, 32, 128, 512, 2048, 4096, 8192, 16384, 32768])
def test_a_cadence_tess_calls_useless_goes(bit):
    assert bad_bits(product(), "default") & bit


@pytest.mark.parametrize("bit", [64, 256, 1024])
def test_a_cadence_tess_corrected_stays(bit):
    assert not bad_bits(product(), "default") & bit


def test_the_same_bit_means_another_thing_to_kepler():
    zero_crossing = 16  # Argabrightening in TESS
    assert bad_bits(product("TESS"), "default") & zero_crossing
    assert not bad_bits(product("Kepler"), "default") & zero_crossing
    assert bad_bits(product("K2"), "default") & 1048576  # thrusters


def test_qlp_and_eleanor_bring_bits_of_their_own():
    assert bad_bits(product(author="QLP"), "default") & (1 << 30)
    assert not bad_bits(product(author="SPOC"), "default") & (1 << 30)
    assert bad_bits(product(author="ELEANOR"), "default") & 131072
    assert bad_bits(product(author="GSFC-ELEANOR-LITE"), "hard") & 262144


def test_flags_of_an_unknown_mission_condemn_whatever_their_bit():
    assert bad_bits(product(mission=""), "default") & (1 << 40)


def test_none_keeps_everything():
    assert bad_bits(product(), "none") == 0


def test_a_misspelt_level_is_refused():
    with pytest.raises(ValueError, match="default, hard, none"):
        bad_bits(product(), "hardest")


def test_good_cadences_are_those_without_a_bad_bit():
    zeros = np.zeros(4)
    observation = Observation(product(), zeros, zeros, zeros, np.array([0, 64, 128, 128 | 64]))
    assert good_cadences(observation, "default").tolist() == [True, True, False, False]
    assert good_cadences(observation, "hard").tolist() == [True, False, False, False]
