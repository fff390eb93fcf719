"""The record of an archive far away: who waits for files, what is listed and here, which messages are owed."""

from dataclasses import replace

import pytest

from state.outbox import Outbox
from state.products import Products
from state.reading import Reader
from state.releases import Releases
from state.rows import FetchedProduct, ListedProduct, Message, NewTarget, ReleaseRow
from state.status import Status
from state.store import End, State


@pytest.fixture
def state(tmp_path):
    with State.open(tmp_path / "hunter.sqlite") as found:
        yield found


def far(*keys, **more):
    return [NewTarget("TIC", str(key), "x", (f"mast:{key}",), remote=True, **more) for key in keys]


def listed(*keys, version=""):
    return [ListedProduct(f"mast:{key}", "TIC", str(key), 1, "SPOC-120", version, 2_039_040) for key in keys]


def here(state, *keys, now=5.0):
    Products(state).fetched(
        [FetchedProduct(f"mast:{key}", f"s0001/{key}", 1000, f"{key:064d}", retrieved_at=now) for key in keys], now
    )


# ------------------------------------------------------------------------------------------------ who waits for files


def test_a_target_from_far_away_is_computed_only_once_its_files_are_here(state):
    state.enqueue([*far(1, 2), NewTarget("TIC", "3", "x")], 1.0)
    assert [claim.key for claim in state.claim("w", 9, 2.0)] == ["3"]
    wanted = state.claim_wanted("courier", 9, 3.0)
    assert [claim.key for claim in wanted] == ["1", "2"]
    assert state.arrived(wanted[:1], 4.0, {wanted[0].id: {"tmag": 9.5}}) == 1
    (claim,) = state.claim("w", 9, 5.0)
    assert (claim.key, claim.star, claim.attempts) == ("1", {"tmag": 9.5}, 1)
    assert state.claim_wanted("courier", 9, 6.0) == []  # the other is in the courier's hands


@pytest.mark.parametrize("outcome", [Status.DEFERRED, Status.NO_SIGNAL, Status.QUARANTINED])
def test_after_any_end_its_files_are_wanted_anew(state, outcome):
    state.enqueue(far(1), 1.0)
    state.arrived(state.claim_wanted("courier", 1, 2.0), 3.0)
    state.finish(state.claim("w", 1, 4.0)[0], outcome, "so", 5.0)
    assert state.requeue("asked", 6.0, outcomes=[outcome]) == 1
    assert state.claim("w", 1, 7.0) == []
    assert len(state.claim_wanted("courier", 1, 8.0)) == 1


def test_new_files_of_a_waiting_target_are_wanted_though_the_old_ones_are_here(state):
    state.enqueue(far(1), 1.0)
    state.arrived(state.claim_wanted("courier", 1, 2.0), 3.0)
    assert state.enqueue([NewTarget("TIC", "1", "other", ("mast:1#2",), remote=True)], 4.0).refreshed == 1
    assert state.claim("w", 1, 5.0) == []
    assert state.claim_wanted("courier", 1, 6.0)[0].sources == ("mast:1#2",)


def test_what_a_dead_courier_held_is_wanted_again_and_tried_alone(state):
    state.enqueue(far(1, 2), 1.0)
    state.register_worker("courier", 1, "here", "boot", 1.0, role="courier")
    state.claim_wanted("courier", 2, 2.0)
    state.reclaim(3.0, 30.0, "here", "boot", lambda pid: True)
    assert state.claim("w", 9, 4.0) == []
    assert len(state.claim_wanted("next", 9, 5.0)) == 1
    assert state.check() == []


def test_what_was_taken_from_a_courier_is_fenced_off_from_it(state):
    state.enqueue(far(1), 1.0)
    old = state.claim_wanted("courier", 1, 2.0)
    state.reclaim(3.0, 30.0, "here", "boot", lambda pid: True)
    new = state.claim_wanted("next", 1, 4.0)
    assert state.arrived(old, 5.0) == 0
    assert state.arrived(new, 6.0) == 1


def test_what_is_ready_and_what_is_wanted_can_be_asked_for(state):
    state.enqueue(far(1, 2, 3), 1.0)
    assert (state.ready(9), state.wanted()) == (0, True)
    state.arrived(state.claim_wanted("courier", 9, 2.0), 3.0)
    assert (state.ready(9), state.ready(2), state.wanted()) == (3, 2, False)


def test_the_summary_counts_what_is_ready(state, tmp_path):
    state.enqueue(far(1, 2, 3), 1.0)
    state.arrived(state.claim_wanted("courier", 2, 2.0), 3.0)
    with Reader(tmp_path / "hunter.sqlite") as reader:
        queue = reader.summary(4.0)["queue"]
    assert (queue["queued"], queue["ready"]) == (3, 2)


# ---------------------------------------------------------------------------------------------------------- products


def test_listing_twice_changes_nothing_and_a_new_version_is_fetched_again(state):
    products = Products(state)
    assert products.enter(listed(1, 2, 3), 1.0).added == 3
    here(state, 1, 2)
    assert products.enter(listed(1, 2, 3), 2.0).unchanged == 3
    report = products.enter([*listed(1, version="2"), *listed(2)], 3.0)
    assert (report.changed, report.unchanged) == (1, 1)
    rows = products.get(["mast:1", "mast:2"])
    assert rows["mast:1"]["path"] is None
    assert rows["mast:2"]["path"] == "s0001/2"
    assert products.bytes_here() == 1000


def test_what_is_no_longer_listed_is_kept_and_comes_back(state):
    products = Products(state)
    products.enter(listed(1, 2), 1.0)
    products.delist(["mast:1"], 2.0)
    assert set(products.of_sector(1, "SPOC-120")) == {"mast:2"}
    assert products.of_targets([("TIC", "1"), ("TIC", "2")])["TIC", "1"] == []
    assert list(products.targets_of(1, "SPOC-120")) == [("TIC", "2")]
    assert products.enter(listed(1, 2), 3.0).returned == 1
    assert set(products.of_sector(1, "SPOC-120")) == {"mast:1", "mast:2"}


def test_the_longest_unused_file_goes_first_and_what_is_needed_stays(state):
    products = Products(state)
    products.enter(listed(1, 2, 3, 4), 1.0)
    state.enqueue(far(1, 2, 3), 1.0)
    here(state, 1, 2, 3, 4)
    state.arrived(state.claim_wanted("courier", 9, 2.0), 3.0)
    claims = {claim.key: claim for claim in state.claim("w", 2, 4.0)}
    state.finish(claims["1"], Status.NO_SIGNAL, "nothing", 5.0)
    state.finish(claims["2"], Status.CANDIDATE, "one", 5.0)
    products.used(["mast:1"], 9.0)  # 3 still waits, 2 is a candidate, 4 belongs to nobody
    assert [uri for uri, *_ in products.evictable(10)] == ["mast:4", "mast:1"]
    products.gone(["mast:4"])
    assert [uri for uri, *_ in products.evictable(10)] == ["mast:1"]
    assert products.bytes_here() == 3000


def test_a_path_is_known_while_a_product_lies_there(state):
    products = Products(state)
    products.enter(listed(1, 2), 1.0)
    here(state, 1, 2)
    products.gone(["mast:2"])
    assert products.lying(["s0001/1", "s0001/2", "elsewhere"]) == {"s0001/1"}


def test_the_same_fault_of_the_same_content_is_counted(state):
    products = Products(state)
    products.enter(listed(1), 1.0)
    assert [products.refused("mast:1", "checksum", sha) for sha in ("a", "a", "b", "a")] == [1, 2, 1, 3]
    here(state, 1)
    assert products.refused("mast:1", "checksum", "a") == 1  # it was sound in between


# ------------------------------------------------------------------------------------------------ releases, messages


def test_a_release_comes_back_as_it_was_put_and_its_word_is_in_the_journal(state, tmp_path):
    releases = Releases(state)
    assert releases.get(1, "SPOC-120") is None
    row = ReleaseRow(1, "SPOC-120", "ingesting", 400, same_polls=1, same_since=3.0, polled_at=3.0, looked_at=3.0)
    releases.put(row, 3.0, "sector 1 is arriving")
    releases.put(replace(row, count=500, polled_at=4.0), 4.0)
    releases.put(ReleaseRow(2, "SPOC-120"), 4.0)
    assert releases.all() == [replace(row, count=500, polled_at=4.0), ReleaseRow(2, "SPOC-120")]
    with Reader(tmp_path / "hunter.sqlite") as reader:
        assert [event["text"] for event in reader.events()] == ["sector 1 is arriving"]


def test_a_message_is_owed_once_a_channel_until_it_is_sent(state):
    outbox = Outbox(state)
    said = [Message("candidate:TIC_1", channel, "candidate", {"score": 0.93}) for channel in ("hook", "mail")]
    outbox.post(said, 1.0)
    outbox.post(said, 2.0)
    first, second = outbox.due(3.0)
    assert [first.message, second.message] == said
    outbox.sent([first.id], 4.0)
    outbox.failed(second.id, "refused", 100.0)
    outbox.post(said, 5.0)
    assert outbox.due(6.0) == []
    (again,) = outbox.due(100.0)
    assert (again.id, again.tries) == (second.id, 1)
    outbox.failed(again.id, "refused", None)
    assert outbox.counts() == {"waiting": 0, "sent": 1, "dead": 1}


def test_a_message_of_an_end_comes_with_it_or_not_at_all(state):
    state.enqueue([NewTarget("TIC", "1", "x"), NewTarget("TIC", "2", "x")], 1.0)
    one, _ = state.claim("w", 2, 2.0)
    message = Message("a", "hook", "candidate", {})

    def fail():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        state.finish_all([End(one, Status.CANDIDATE, "so", messages=(message,))], 3.0, install=fail)
    assert Outbox(state).counts()["waiting"] == 0
    state.finish_all([End(one, Status.CANDIDATE, "so", messages=(message,))], 4.0)
    assert Outbox(state).counts()["waiting"] == 1
