import pytest

from pipeline.types import Star


def test_a_star_weighs_what_its_gravity_says_at_its_radius():
    sun = Star(logg=4.438, radius=1.0)
    assert sun.with_mass().mass == pytest.approx(1.0)
    assert sun.mass is None
    # TIC 261136679 (pi Mensae): its header gives radius and log g, the catalogue 1.10 solar masses
    assert Star(logg=4.40, radius=1.10).with_mass().mass == pytest.approx(1.10, rel=0.02)


@pytest.mark.parametrize(
    "star",
    [
        Star(),
        Star(logg=4.4),
        Star(radius=1.0),
        Star(logg=float("nan"), radius=1.0),
        Star(logg=4.4, radius=float("nan")),
        Star(logg=4.4, radius=0.0),
        Star(logg=4.4, radius=1.0, mass=0.9),
    ],
)
def test_what_is_given_stays_and_what_is_unknown_stays_unknown(star):
    assert star.with_mass() is star
