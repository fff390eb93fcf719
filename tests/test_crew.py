"""The crew's small parts: a budget no two processes spend twice, flags that every child sees."""

import multiprocessing
import os
import signal
import time

import pytest

from hunter.budget import Budget
from hunter.crew import Flags


def spend(budget, told):
    taken = 0
    while (granted := budget.take(3)) > 0:
        taken += granted
    told.send(taken)


def test_two_processes_share_a_budget_to_the_last_target(tmp_path):
    budget = Budget.of(tmp_path / "budget", 1000)
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    spenders = [context.Process(target=spend, args=(budget, theirs)) for _ in range(2)]
    for process in spenders:
        process.start()
    told = [ours.recv() for _ in spenders]
    for process in spenders:
        process.join()
    assert sum(told) == 1000
    assert budget.left() == 0
    assert budget.take(1) == 0


def test_what_is_given_back_can_be_taken_again(tmp_path):
    budget = Budget.of(tmp_path / "budget", 5)
    assert budget.take(16) == 5
    budget.give_back(4)
    assert (budget.left(), budget.take(16)) == (4, 4)


def hold(path):
    import fcntl

    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    path.with_suffix(".held").touch()
    time.sleep(60)


def test_whoever_is_killed_with_the_budget_in_hand_stops_nobody(tmp_path):
    budget = Budget.of(tmp_path / "budget", 5)
    process = multiprocessing.get_context("fork").Process(target=hold, args=(budget.path,))
    process.start()
    until = time.monotonic() + 10
    while not budget.path.with_suffix(".held").exists() and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert budget.take(2) == 2


@pytest.mark.parametrize("forever", [False, True])
def test_flags_go_up_and_never_down_but_for_what_is_expected(forever):
    flags = Flags(forever)
    assert (flags.is_set(), flags.more_may_come(), flags.forever) == (False, False, forever)
    flags.expect_more(True)
    assert flags.more_may_come()
    flags.expect_more(False)
    flags.set()
    assert (flags.is_set(), flags.more_may_come()) == (True, False)
