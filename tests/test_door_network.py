"""The way out to the network: manners, patience, and what each fault of a host leads to."""

import json
import logging
import threading
import time
from urllib.parse import quote

import pytest
import requests
from far_archives import SECTOR, Clock, answers, archive, download_url, files, header, redirect, way_out, wire

from hunter.network.door import Door
from hunter.network.errors import ArchiveUnavailable, Busy, Denied, Faltered, HostDown, Missing, shown
from hunter.network.hosts import Host, Memory, key_of
from hunter.network.manners import LONGEST_TOLD, Spacing, back_off, retry_after
from hunter.network.settings import NetworkSettings
from hunter.replica import Rule, Rules, unavailable
from hunter.replica.faults import cut, html, reset, short, status_page


def script(host):
    return f"{host}/missions/tess/download_scripts/sector/tesscurl_sector_{SECTOR}_lc.sh"


def times(mast, route="script"):
    return [line.time for line in mast.lines(route)]


# ---- who asks


def test_every_request_says_who_asks(mast, clock):
    way_out(clock, contact="mailto:night@example.org").ask(script(mast.url))
    assert mast.lines()[0].user_agent == "transit-hunter/0.1.0 (+mailto:night@example.org)"


def test_without_a_contact_there_is_none(mast, clock):
    way_out(clock, contact="").ask(script(mast.url))
    assert mast.lines()[0].user_agent == "transit-hunter/0.1.0"


def test_a_contact_that_would_break_the_header_is_refused():
    with pytest.raises(ValueError, match="contact"):
        NetworkSettings(contact="me\r\nX-Other: 1")


def test_astroquery_asks_through_the_door(mast, clock):
    from astroquery.mast import ObservationsClass

    mast.plan = Rules(Rule(unavailable(), route="invoke", hits={1}), Rule(unavailable("7"), route="invoke", hits={2}))
    portal = ObservationsClass()
    api = portal._portal_api_connection
    api.MAST_REQUEST_URL = f"{mast.url}/api/v0/invoke"
    api.COLUMNS_CONFIG_URL = f"{mast.url}/portal/Mashup/Mashup.asmx/columnsconfig"
    door = way_out(clock, store := Memory())
    door.mount(portal._session)
    with door.asking():
        count = portal.query_criteria_count(
            obs_collection="TESS", dataproduct_type="timeseries", sequence_number=SECTOR
        )
    assert count >= len(files())
    assert {line.user_agent for line in mast.lines()} == {"transit-hunter/0.1.0 (+https://example.org)"}
    assert store.get(key_of(f"127.0.0.1:{mast.port}"))  # the Retry-After is known to a restart


# ---- how fast, how many


def test_portals_are_asked_at_most_twice_a_second(mast, clock):
    door = way_out(clock)
    for _ in range(7):
        door.ask(script(mast.url))
    gaps = [later - earlier for earlier, later in zip(times(mast), times(mast)[1:], strict=False)]
    assert min(gaps) >= 0.5


def test_threads_that_ask_together_are_spaced_as_well():
    clock = Clock()
    spacing = Spacing(2.0, lambda: 0.0, clock.sleep)  # all of them ask in the same instant
    threads = [threading.Thread(target=spacing.wait) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(clock.slept) == pytest.approx([0.55, 1.1, 1.65, 2.2, 2.75])


def test_no_more_than_three_connections_are_open_at_any_instant(mast, clock):
    mast.plan = Rules(Rule(wire(wait=0.01), route="download"))
    door = way_out(clock)
    urls = [download_url(mast.url, file.uri) for _, file in files()] * 4
    failed = []

    def fetch(url):
        try:
            with door.stream(url) as reply:
                assert b"".join(reply.pieces()).startswith(b"SIMPLE  =")
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=fetch, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(mast.lines("download")) == len(urls)
    assert max(line.concurrency for line in mast.lines()) in (2, 3)
    assert mast.most_connections() <= 3


def test_a_connection_is_kept_open_for_the_next_request(mast, clock):
    door = way_out(clock)
    for _ in range(3):
        door.ask(script(mast.url))
    with door.stream(download_url(mast.url, files()[0][1].uri)) as reply:
        b"".join(reply.pieces())
    assert mast.most_connections() == 1


def test_a_connection_serves_on_after_a_refusal(mast, clock):
    mast.plan = Rules(
        Rule(unavailable("2"), hits={1, 2}), Rule(status_page(500), hits={3}), Rule(answers(404), hits={4})
    )
    with pytest.raises(Missing):
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) == 4
    assert mast.most_connections() == 1


def test_an_overloaded_host_gets_one_connection_until_it_has_been_quiet_for_ten_minutes(mast, clock):
    door = way_out(clock)
    host = door.host(mast.url)
    assert host.limit() == 3
    mast.plan = Rules(Rule(unavailable("1", 429), hits={1}))
    door.ask(script(mast.url))
    assert host.limit() == 1
    clock.sleep(590)
    host.told(1.0)  # asked again: the ten minutes begin anew
    clock.sleep(599)
    assert host.limit() == 1
    clock.sleep(2)
    assert host.limit() == 3


# ---- retries


def test_a_server_error_is_tried_again_with_growing_waits(mast, clock):
    mast.plan = Rules(Rule(unavailable(), hits={1, 2}))
    reply = way_out(clock).ask(script(mast.url))
    assert reply.text.startswith("#!/bin/sh")
    assert [line.status for line in mast.lines()] == [503, 503, 200]
    assert clock.slept == pytest.approx([0.5, 0.05, 1.0])  # half of 1 s and 2 s, and the spacing of queries


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_web_page_of_an_error_is_tried_again_and_then_the_host_is_spared(mast, clock, status):
    mast.plan = Rules(Rule(status_page(status), hits={1, 2}))
    door = way_out(clock)
    assert door.ask(script(mast.url)).ok
    assert door.host(mast.url).limit() == 1


def test_after_five_attempts_it_is_left_for_later(mast, clock):
    mast.plan = Rules(Rule(unavailable()))
    with pytest.raises(ArchiveUnavailable, match=r"answered 503 Service Unavailable \(5 attempts\)"):
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) == 5


def test_waits_grow_up_to_a_bound_and_are_drawn_from_nothing_on():
    assert [back_off(n, lambda: 1.0) for n in range(10)] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert back_off(10**6, lambda: 0.0) == 0.0


def test_a_reset_before_and_within_an_answer_is_tried_again(mast, clock):
    mast.plan = Rules(Rule(reset(), hits={1}), Rule(cut(0.5), hits={2}), Rule(short(0.5), hits={3}))
    assert way_out(clock).ask(script(mast.url)).text.endswith(".fits\n")
    assert len(mast.lines()) == 4


def test_a_post_is_tried_again_like_a_get(mast, clock):
    mast.plan = Rules(Rule(reset(), route="invoke", hits={1}), Rule(unavailable(), route="invoke", hits={2}))
    asked = {"service": "Mast.Caom.Filtered", "params": {"columns": "COUNT_BIG(*)", "filters": []}, "format": "json"}
    reply = way_out(clock).ask(
        f"{mast.url}/api/v0/invoke", method="POST", data="request=" + quote(json.dumps(asked)),
        headers={"Content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert reply.json()["status"] == "COMPLETE"
    assert [line.method for line in mast.lines()] == ["POST"] * 3


@pytest.mark.parametrize("fault", [html(), answers(200, b""), answers(200, b"  \n")])
def test_a_web_page_or_nothing_in_place_of_an_answer_is_asked_for_again(mast, clock, fault):
    mast.plan = Rules(Rule(fault, hits={1}))
    assert way_out(clock).ask(script(mast.url)).text.startswith("#!")


def test_a_compressed_answer_is_unpacked(mast, clock):
    import gzip

    mast.plan = Rules(Rule(answers(200, gzip.compress(b"words " * 1000), ("Content-Encoding", "gzip"))))
    assert way_out(clock).ask(script(mast.url)).content == b"words " * 1000


def test_a_damaged_compression_is_tried_again(mast, clock):
    mast.plan = Rules(Rule(answers(200, b"no gzip at all", ("Content-Encoding", "gzip")), hits={1}))
    assert way_out(clock).ask(script(mast.url)).text.startswith("#!")


# ---- answers that end it


@pytest.mark.parametrize(("status", "error"), [(401, Denied), (403, Denied), (404, Missing), (410, Missing)])
def test_a_refusal_and_a_lack_are_not_hammered_at(mast, clock, status, error):
    mast.plan = Rules(Rule(answers(status)))
    with pytest.raises(error, match=str(status)):
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) == 1


def test_what_was_asked_wrongly_is_left_for_later_at_once(mast, clock):
    mast.plan = Rules(Rule(answers(400)))
    with pytest.raises(ArchiveUnavailable, match="400"):
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) == 1


def test_what_has_not_changed_is_told_as_such(mast, clock):
    door = way_out(clock)
    etag = door.ask(script(mast.url)).headers["ETag"]
    assert door.ask(script(mast.url), headers={"If-None-Match": etag}).status_code == 304


# ---- Retry-After


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120.0), (" 7 ", 7.0), ("1.5", 1.5),
        ("Sun, 13 Sep 2020 12:30:40 GMT", 240.0),
        ("Sun, 13 Sep 2020 12:00:00 GMT", None),  # it has passed
        ("0", None), ("-5", None), ("1000000000", None), ("9" * 40, None), ("soon", None), ("", None), (None, None),
        ("nan", None), ("inf", None), ("1e3", None), ("Sun, 99 Sep 2020 12:30:40 GMT", None), ("²", None),
        (str(int(LONGEST_TOLD)), LONGEST_TOLD), (str(int(LONGEST_TOLD) + 1), None),
    ],
)  # fmt: skip
def test_a_retry_after_is_seconds_or_a_date_or_nothing_that_can_be_meant(told, seconds):
    assert retry_after(told, None, now=1600000000.0) == seconds


def test_a_date_is_compared_with_the_clock_that_wrote_it():
    told = retry_after("Sun, 13 Sep 2020 12:30:40 GMT", "Sun, 13 Sep 2020 12:30:00 GMT", now=1.7e9)
    assert told == 40.0


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_is_never_undercut_and_counts_as_no_attempt(mast, clock, status):
    mast.plan = Rules(Rule(unavailable("90", status), hits=range(1, 9)))
    assert way_out(clock, attempts=1).ask(script(mast.url)).ok
    gaps = [later - earlier for earlier, later in zip(times(mast), times(mast)[1:], strict=False)]
    assert len(gaps) == 8
    assert min(gaps) >= 90


def test_a_retry_after_holds_for_the_whole_host_and_for_nobody_else(mast, clock):
    mast.plan = Rules(Rule(unavailable("600"), route="script"))
    door = way_out(clock, patience_seconds=300.0)
    with pytest.raises(Busy):
        door.ask(script(mast.url))
    with pytest.raises(Busy), door.stream(download_url(mast.url, files()[0][1].uri)):
        pass
    assert not mast.lines("download")
    with archive(clock) as other:
        assert door.ask(script(other.url)).ok


@pytest.mark.parametrize("told", ["-5", "1000000000", "a while"])
def test_a_retry_after_that_cannot_be_meant_is_an_ordinary_failure_and_the_host_is_spared(mast, clock, told):
    mast.plan = Rules(Rule(unavailable(told), hits={1}))
    door = way_out(clock)
    assert door.ask(script(mast.url)).ok
    assert clock.slept == pytest.approx([0.5, 0.05])
    assert door.host(mast.url).limit() == 1


def test_a_wait_of_more_than_an_hour_is_told_and_kept_through_a_restart(mast, clock):
    mast.plan = Rules(Rule(unavailable("7200"), hits={1}))
    store = Memory()
    with pytest.raises(Busy) as caught:
        way_out(clock, store).ask(script(mast.url))
    assert caught.value.until == pytest.approx(1.6e9 + clock.time + 7200)
    assert clock.slept == []
    later = Clock(begin=5.0)  # the clock of another process begins elsewhere
    restarted = way_out(later, store, now=lambda: caught.value.until - 7200 + later.time - 5)
    with pytest.raises(Busy):
        restarted.ask(script(mast.url))
    later.time += 7100
    restarted.ask(script(mast.url))  # what is left of it is waited for
    assert later.slept == pytest.approx([100.0])


def test_a_host_that_asks_to_wait_for_ever_is_left_for_later(mast, clock):
    mast.plan = Rules(Rule(unavailable("600")))
    with pytest.raises(Busy):
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) == 7  # an hour of waiting in all


# ---- a host that is down


def test_a_host_that_does_not_answer_is_left_alone_and_then_tried_once(mast, clock):
    door = way_out(clock)
    mast.refuse()
    with pytest.raises(HostDown, match=r"connection refused.*asked again from") as caught:
        door.ask(script(mast.url))
    assert caught.value.until == pytest.approx(1.6e9 + clock.time + 300)
    mast.accept()
    with pytest.raises(HostDown):
        door.ask(script(mast.url))
    assert not mast.lines()  # not a single request while it is left alone
    clock.sleep(301)
    assert door.ask(script(mast.url)).ok
    assert len(mast.lines()) == 1


def test_a_failed_trial_leaves_the_host_alone_again(mast, clock):
    door = way_out(clock, attempts=1)
    mast.plan = Rules(Rule(reset()))
    for _ in range(5):
        with pytest.raises(ArchiveUnavailable, match=r"reset|broke"):
            door.ask(script(mast.url))
    for _ in range(3):
        clock.sleep(301)
        with pytest.raises(HostDown):
            door.ask(script(mast.url))
        with pytest.raises(HostDown):
            door.ask(script(mast.url))
    assert len(mast.lines()) == 8


def test_all_night_without_a_host_costs_a_request_each_five_minutes_at_most(mast, clock):
    door = way_out(clock)
    mast.plan = Rules(Rule(reset()))
    while clock.time < 1000 + 2 * 3600:
        with pytest.raises(ArchiveUnavailable):
            door.ask(script(mast.url))
        clock.sleep(30)  # somebody asks twice a minute
    assert len(mast.lines()) <= 5 + 2 * 12


def test_other_hosts_are_asked_while_one_is_down(mast, clock):
    door = way_out(clock)
    with archive(clock) as other:
        mast.refuse()
        with pytest.raises(HostDown):
            door.ask(script(mast.url))
        assert door.ask(script(other.url)).ok


def test_while_one_request_tries_a_host_no_other_does():
    clock = Clock()
    host = Host("far.org", NetworkSettings(), Memory(), clock, lambda: clock.time)
    for _ in range(5):
        host.begin()
        host.failed("silence")
    clock.sleep(301)
    host.begin()
    with pytest.raises(HostDown) as caught:
        host.begin()
    assert caught.value.until > clock.time  # so that nobody asks again and again meanwhile
    host.answered()
    host.begin()


def test_a_record_that_cannot_be_written_leaves_no_host_shut_for_ever():
    class Full(Memory):
        def set(self, key, text):
            raise OSError("disk full")

    clock = Clock()
    host = Host("far.org", NetworkSettings(breaker_failures=1), Full(), clock, lambda: clock.time)
    for end in (lambda: host.failed("silence"), host.answered):
        host.begin()
        with pytest.raises(OSError, match="disk full"):
            end()
        clock.sleep(301)
    host.begin()


def test_a_trial_that_is_given_up_by_us_lets_the_next_try():
    clock = Clock()
    host = Host("far.org", NetworkSettings(breaker_failures=1), Memory(), clock, lambda: clock.time)
    host.begin()
    host.failed("silence")
    clock.sleep(301)
    host.begin()
    host.abandoned()
    host.begin()


def test_one_address_that_fails_for_ever_says_nothing_about_its_host():
    clock = Clock()
    host = Host("far.org", NetworkSettings(), Memory(), clock, lambda: clock.time)
    for _ in range(50):
        host.begin()
        host.erred("https://far.org/one", "500")
    for number in range(2, 6):
        host.begin()
        host.erred(f"https://far.org/{number}", "500")
    with pytest.raises(HostDown, match="500"):
        host.begin()


@pytest.fixture
def opened():
    """A store that knows a host as down, as a process left it at 10000 s."""
    clock, store = Clock(), Memory()
    host = Host("far.org", NetworkSettings(), store, clock, lambda: 10000.0)
    for _ in range(5):
        host.begin()
        host.failed("silence")
    return store


def test_a_restart_knows_that_a_host_is_down(opened):
    clock = Clock(begin=3.0)
    host = Host("far.org", NetworkSettings(), opened, clock, lambda: 10000.0 + clock.time)
    with pytest.raises(HostDown, match="silence"):
        host.begin()
    clock.sleep(298)
    host.begin()


@pytest.mark.parametrize("jump", [-86400.0, 86400.0, -1e9, 1e9])
def test_a_clock_that_jumps_leaves_no_host_alone_for_longer_than_was_meant(opened, jump):
    clock = Clock()
    host = Host("far.org", NetworkSettings(), opened, clock, lambda: 10000.0 + jump)
    clock.sleep(301)
    host.begin()


def test_the_clock_on_the_wall_does_not_count_while_the_process_lives():
    clock, wall = Clock(), [10000.0]
    host = Host("far.org", NetworkSettings(breaker_failures=1), Memory(), clock, lambda: wall[0])
    host.begin()
    host.failed("silence")
    wall[0] += 86400
    with pytest.raises(HostDown):
        host.begin()
    wall[0] -= 2 * 86400
    clock.sleep(301)
    host.begin()


@pytest.mark.parametrize("words", ["", "{", "[]", "null", '{"open_until": "soon"}', '{"open_until": true}'])
def test_what_cannot_be_read_of_a_host_does_not_keep_it_from_being_asked(words):
    store = Memory()
    store.set(key_of("far.org"), words)
    Host("far.org", NetworkSettings(), store, Clock(), lambda: 0.0).begin()


# ---- silence and drops


def test_a_host_that_accepts_and_says_nothing_is_given_up(mast, clock):
    mast.plan = Rules(Rule(wire(wait=60.0)))
    with pytest.raises(Faltered, match="did not answer in time"):
        way_out(clock, read_seconds=0.05, attempts=1).ask(script(mast.url))


def test_headers_that_come_in_drops_are_given_up(mast, clock):
    mast.plan = Rules(Rule(wire(header_pause=0.02)))  # each line in time, all of them not
    with pytest.raises(Faltered, match="did not answer in time"):
        way_out(clock, read_seconds=0.06, attempts=1).ask(script(mast.url))


def test_a_body_that_takes_too_long_ends_at_the_deadline(mast, clock):
    mast.plan = Rules(Rule(wire(piece=200, pause=0.3)))
    door = way_out(clock, deadline_seconds=0.2, attempts=1)
    door.clock = time.monotonic  # what the archive takes is real here
    with pytest.raises(Faltered, match="deadline_seconds"):
        door.ask(script(mast.url))


def test_a_body_below_the_rate_floor_is_given_up(mast):
    clock = Clock(tick=70.0)  # seconds until its first bytes are here
    with pytest.raises(Faltered, match="rate_floor"):
        way_out(clock, attempts=1).ask(script(mast.url))


def test_a_name_that_nobody_knows_is_a_failure_of_its_host(clock):
    door = way_out(clock, attempts=1)
    with pytest.raises(Faltered, match=r"^nowhere\.invalid/x: its name is not known"):
        door.ask("https://nowhere.invalid/x")


# ---- a portal that is still executing


EXECUTING = answers(200, b'{"status":"EXECUTING","msg":"","data":[],"fields":[]}', ("Content-Type", "application/json"))


def test_a_portal_that_is_executing_is_looked_at_every_two_seconds(mast, clock):
    mast.plan = Rules(Rule(EXECUTING, hits=range(1, 6)))
    assert way_out(clock).ask(script(mast.url)).text.startswith("#!")
    gaps = [later - earlier for earlier, later in zip(times(mast), times(mast)[1:], strict=False)]
    assert len(gaps) == 5
    assert min(gaps) >= 2.0


def test_a_portal_that_executes_for_ever_is_left_after_ten_minutes(mast):
    clock = Clock(tick=3.0)  # each look at the clock takes so long: fewer polls than there would be
    mast.plan = Rules(Rule(EXECUTING))
    with pytest.raises(ArchiveUnavailable, match="still executing after 10 min"):
        way_out(clock).ask(script(mast.url))
    assert 600 < clock.time - 1000 < 700
    assert 10 < len(mast.lines()) < 302
    assert clock.slept.count(2.0) == len(mast.lines()) - 1


# ---- redirects


def test_a_redirect_to_another_host_is_followed(mast, clock):
    with archive(clock) as other:
        mast.plan = Rules(Rule(redirect(script(other.url))))
        assert way_out(clock).ask(script(mast.url)).ok
        assert other.lines()[0].user_agent.startswith("transit-hunter/")


def test_a_loop_of_redirects_is_left_after_five(mast, clock):
    mast.plan = Rules(Rule(redirect("/api/v0.1/Download/file?uri=loop&token=sesame")))
    with pytest.raises(ArchiveUnavailable, match="redirected more than 5 times") as caught:
        way_out(clock).ask(script(mast.url))
    assert len(mast.lines()) <= 7
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("place", ["http://[far", "http://far.org:port/", "ftp://far.org/x", "http://far.org:99999/"])
def test_a_redirect_to_no_address_is_left_for_later(mast, clock, place):
    mast.plan = Rules(Rule(redirect(place)))
    with pytest.raises(ArchiveUnavailable, match="no address"):
        way_out(clock).ask(script(mast.url))


def test_a_redirect_that_gives_up_encryption_is_refused():
    door = Door(NetworkSettings(contact="mailto:a@example.org"))
    reply = requests.Response()
    reply.status_code, reply.headers["Location"] = 302, "http://far.org/file"
    with pytest.raises(ArchiveUnavailable, match="without encryption"):
        door._judge(reply, door.host("https://far.org"), "https://far.org/file")
    reply.headers["Location"] = "//far.org/other"
    door._judge(reply, door.host("https://far.org"), "https://far.org/file")


def test_a_place_is_given_back_however_a_request_ends(mast, clock):
    door = way_out(clock, attempts=1, breaker_failures=99)
    url = download_url(mast.url, files()[0][1].uri)
    mast.plan = Rules(
        Rule(reset(), hits={1}), Rule(answers(404), hits={2}), Rule(answers(403), hits={3}), Rule(cut(0.5), hits={4}),
        Rule(redirect("/api/v0.1/Download/file?uri=loop"), hits=range(5, 11)), Rule(unavailable(), hits={11}),
        Rule(header("Location", "x"), hits={12}),
    )  # fmt: skip
    for _ in range(12):
        try:
            with door.stream(url) as reply:
                b"".join(reply.pieces())
        except (ArchiveUnavailable, Missing):
            continue
    with door.stream(url), door.stream(url), door.stream(url):
        assert door._turnstile._inside.total() == 3
    assert door._turnstile._inside.total() == 0


# ---- secrets


def test_no_message_and_no_log_shows_a_secret(mast, clock, caplog):
    caplog.set_level(logging.DEBUG)
    door = way_out(clock, attempts=2)
    url = f"{mast.url.replace('://', '://me:open@')}/api/v0.1/Download/file?token=sesame&uri=mast:TESS/product/x.fits"
    told = []
    for fault in (reset(), unavailable(), answers(403), answers(404), answers(400), html(), cut(0.1)):
        mast.plan = Rules(Rule(fault))
        with pytest.raises((ArchiveUnavailable, Missing)) as caught:
            door.ask(url)
        told.append(str(caught.value))
    mast.refuse()
    with pytest.raises(ArchiveUnavailable) as caught:
        door.ask(url)
    told.append(str(caught.value))
    assert all("uri=mast:TESS/product/x.fits" in text for text in told[:-1])
    assert not [text for text in [*told, caplog.text] if "sesame" in text or "open@" in text]


def test_an_address_is_shown_on_one_line_whatever_it_holds():
    assert shown("https://user:word@far.org:8443/a%20b?uri=mast:x&token=1") == "far.org:8443/a%20b?uri=mast:x"
    assert "\n" not in shown("https://far.org/?uri=a%0Ab")
