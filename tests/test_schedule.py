"""Timers say what is due, once each, whatever the clock does; they hold no work."""

import time

import pytest

from hunter.schedule import Schedule


class Clocks:
    """A wall clock and a monotonic one that a test moves."""

    def __init__(self) -> None:
        self.slip = 0.0

    def wall(self) -> float:
        return time.time() + self.slip


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def schedule(clocks):
    with Schedule(wall=clocks.wall) as made:
        yield made


def wait_for(schedule, name, seconds=5.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if name in schedule.due():
            return True
        time.sleep(0.005)
    return False


def test_what_is_due_is_told_once_however_long_the_loop_was_away(schedule):
    schedule.every("poll", 0.02, first=0.0)
    time.sleep(0.2)  # ten times due
    assert schedule.due() == ["poll"]


def test_what_never_fired_is_not_due(schedule):
    schedule.every("poll", 3600.0)
    schedule.daily("digest", 7)
    assert schedule.due() == []
    assert schedule.next("poll") == pytest.approx(time.time() + 3600, abs=5)
    assert 0 < schedule.next("digest") - time.time() <= 86_400
    assert schedule.next("digest") % 86_400 == 7 * 3600


def test_what_was_missed_while_nobody_lived_is_due_at_once(schedule):
    schedule.every("poll", 3600.0, first=-500.0)
    assert wait_for(schedule, "poll")
    assert schedule.due() == []


def test_a_name_can_be_made_due_by_hand_and_dropped(schedule):
    schedule.every("poll", 3600.0)
    schedule.now("poll")
    assert schedule.due() == ["poll"]
    schedule.drop("poll")
    schedule.drop("poll")
    assert schedule.next("poll") is None


@pytest.mark.parametrize("slip", [-86_400.0, 86_400.0], ids=["a day back", "a day forth"])
def test_a_clock_that_is_set_makes_everything_due_once_and_then_at_its_pace(schedule, clocks, slip):
    schedule.every("poll", 3600.0)
    clocks.slip = slip
    schedule.due()  # the loop looks at the clock
    # APScheduler itself reads the true clock, which is a day before or behind the one that was set
    first = schedule.next("poll")
    assert first == pytest.approx(clocks.wall(), abs=30) or first == pytest.approx(clocks.wall() + 3600, abs=30)
    clocks.slip = 0.0
    schedule.due()
    assert wait_for(schedule, "poll")
    assert schedule.next("poll") == pytest.approx(time.time() + 3600, abs=30)
