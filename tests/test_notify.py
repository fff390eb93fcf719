"""People are told: once, under a key, whatever dies on the way; a channel that fails loses nothing."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from notify_receiver import Receiver

from hunter.health import Pulse
from hunter.notify import apprise as by_apprise
from hunter.notify import messages
from hunter.notify.delivery import deliver, in_quiet_hours, send, try_all
from hunter.notify.letter import Letter, NotSent, letter_of
from hunter.notify.rounds import Rounds
from hunter.notify.settings import Channel, ChannelRefused, NotifySettings, channels_of, secrets_of
from hunter.settings import SettingsError, load
from state.outbox import Outbox
from state.products import Products
from state.reading import Reader
from state.releases import Releases
from state.rows import CandidateRow, ListedProduct, Message, NewTarget, OwedMessage, ReleaseRow
from state.status import Status
from state.store import State

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
LETTER = Letter("k1", "candidate", "TIC 7: candidate", "first", "2027-01-15T08:00:00Z", {"snr": 9.5})


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("HUNTER_")]:
        monkeypatch.delenv(name)

    def of(*channels, **more):
        given = {"notify.channels": channels} | {f"notify.{name}": value for name, value in more.items()}
        return load(str(tmp_path), given, light=True)

    return of


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir()
    with State.open(tmp_path / "state" / "hunter.sqlite") as opened:
        yield opened


def candidate(number=1, probability=0.95):
    name = f"TIC_{number}_p3.500000"
    return CandidateRow(f"e{number}", name, 3.5, 1500.25, 0.1, 1e-3, 14.2, probability=probability)


def owe(state, settings, numbers, now=NOW):
    several = [message for n in numbers for message in messages.candidate(settings, f"TIC {n}", candidate(n))]
    Outbox(state).post(several, now)
    return several


class Post:
    """A way out that is a list; it refuses while ``down`` says why."""

    def __init__(self):
        self.letters = []
        self.down = None

    def __call__(self, channel, letter, limit):
        if self.down is not None:
            raise self.down
        self.letters.append((channel.name, letter))
        return "taken"

    @property
    def kinds(self):
        return [letter.kind for _, letter in self.letters]


# ------------------------------------------------------------------------------------------------------- channels


def test_channels_are_named_by_kind_and_order():
    found = channels_of(NotifySettings(("webhook https://a.example.org/x", "command true", "webhook http://b.org")))
    assert [(channel.name, channel.kind) for channel in found] == [
        ("webhook", "webhook"),
        ("command", "command"),
        ("webhook-2", "webhook"),
    ]
    assert "example" not in repr(found)  # an address may be a secret
    assert secrets_of(NotifySettings(("webhook https://a.org/x", "command true"))) == ["https://a.org/x"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pigeon home", "begins with none of webhook, command, apprise"),
        ("webhook", "webhook of what"),
        ("webhook ftp://a.org/secret", "http:// or https://"),
        ("webhook https://a.org:99999/secret", "http:// or https://"),
        ("apprise topic", "has a scheme"),
        ("command 'secret", "quotes do not match"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_by_number_without_its_secret(text, said):
    with pytest.raises(ChannelRefused) as caught:
        channels_of(NotifySettings(("command true", text)))
    assert said in str(caught.value)
    assert "number 2" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_settings_are_shown_and_refused_without_the_addresses(settings, tmp_path):
    assert settings("webhook https://a.org/s3cr3t").as_dict()["notify"]["channels"] == "***"
    (tmp_path / "hunter.toml").write_text('[notify]\nchannels = "webhook https://a.org/s3cr3t"\n')
    with pytest.raises(Exception, match=r"hunter.toml:2: \[notify\] channels") as caught:
        load(str(tmp_path), light=True)
    assert "s3cr3t" not in str(caught.value)


def test_a_webhook_gets_json_with_the_key_in_header_and_body(receiver):
    assert send(Channel("webhook", "webhook", f"{receiver.url}/hook"), LETTER, 5.0).startswith("204")
    assert receiver.headers[0]["Idempotency-Key"] == "k1"
    (body,) = receiver.kept.values()
    assert body == {
        "schema": 1,
        "key": "k1",
        "kind": "candidate",
        "hunt": "first",
        "at": "2027-01-15T08:00:00Z",
        "text": "TIC 7: candidate",
        "body": {"snr": 9.5},
    }


@pytest.mark.parametrize(
    ("answer", "said", "wait"),
    [
        ((503, {"Retry-After": "120"}), "answered 503", 120.0),
        ((429, {"Retry-After": "9" * 12}), "answered 429", 86_400.0),
        ((500, {"Retry-After": "soon"}), "answered 500", None),
        ((302, {"Location": "http://127.0.0.1:1/"}), "give the address it leads to", None),
        ((404, {}), "answered 404", None),
    ],
)
def test_an_answer_that_is_no_yes_is_not_sent(receiver, answer, said, wait):
    receiver.answers = [answer]
    with pytest.raises(NotSent, match=said) as caught:
        send(Channel("webhook", "webhook", f"{receiver.url}/s3cr3t"), LETTER, 5.0)
    assert caught.value.wait == wait
    assert "s3cr3t" not in str(caught.value)


def test_a_receiver_that_is_not_there_is_not_sent_and_keeps_the_secret(receiver):
    receiver.close()
    with pytest.raises(NotSent, match="cannot be reached") as caught:
        send(Channel("webhook", "webhook", f"{receiver.url}/s3cr3t"), LETTER, 5.0)
    assert "s3cr3t" not in str(caught.value)


def script(folder, text):
    path = folder / "tell me"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"'{path}' $HOME '; rm -rf x'"


def test_a_command_reads_the_message_on_stdin_and_no_shell_reads_its_words(tmp_path):
    text = f"import sys; open({str(tmp_path / 'out')!r}, 'w').write(repr(sys.argv[1:]) + sys.stdin.read())"
    assert send(Channel("command", "command", script(tmp_path, text)), LETTER, 30.0) == "exit code 0"
    argv, _, rest = (tmp_path / "out").read_text().partition("]")
    assert argv == "['$HOME', '; rm -rf x'"
    assert json.loads(rest)["key"] == "k1"


def test_a_command_that_fails_says_its_last_words_without_secrets(tmp_path):
    address = script(tmp_path, "import sys; sys.exit('login: password=hunter2 refused')")
    with pytest.raises(NotSent, match=r"tell me ended with exit code 1: login: password=\*\*\* refused"):
        send(Channel("command", "command", address), LETTER, 30.0)
    with pytest.raises(NotSent, match="nowhere cannot be started: No such file"):
        send(Channel("command", "command", "/nowhere"), LETTER, 5.0)


def running(words):
    """The processes whose command line holds these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if words.encode() in line:
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="NOT TESTED: no /proc to count processes in")
def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    mark = f"600.{os.getpid():08d}"
    with pytest.raises(NotSent, match=r"sh was not done within 0.3 s"):
        send(Channel("command", "command", f"sh -c 'sleep {mark} & wait'"), LETTER, 0.3)
    for _ in range(500):  # the kernel buries the dead in its own time
        if not (left := running(mark)):
            break
        time.sleep(0.01)
    assert left == []


def test_apprise_carries_the_text_and_the_key(receiver):
    apprise = pytest.importorskip("apprise", reason="NOT TESTED: apprise, an extra, is not installed here")
    assert apprise.__version__
    address = receiver.url.replace("http://", "json://")
    assert send(Channel("apprise", "apprise", address), LETTER, 5.0) == "taken"
    (body,) = receiver.kept.values()
    assert body["message"] == "TIC 7: candidate\n[k1]"
    receiver.answers = [(500, {})]
    with pytest.raises(NotSent, match=r"json://\*\*\*: the service did not take it"):
        send(Channel("apprise", "apprise", address), LETTER, 5.0)
    with pytest.raises(NotSent, match="does not know such an address"):
        send(Channel("apprise", "apprise", "nosuchthing://x"), LETTER, 5.0)


def test_apprise_that_is_not_installed_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NotSent, match=r"pip install 'transit-hunter\[notify\]'"):
        by_apprise.send("ntfy://topic", LETTER, 5.0)


# ------------------------------------------------------------------------------------------------------- messages


def test_a_candidate_is_told_from_the_threshold_on_and_not_unscored(settings):
    found = settings("command true", "webhook https://a.org", threshold=0.9)
    told = messages.candidate(found, "TIC 7", candidate(7, 0.9))
    assert [message.channel for message in told] == ["command", "webhook"]
    assert told[0].payload["text"] == ("TIC 7: candidate at 3.50000 d, probability 0.900, S/N 14.2, depth 1,000 ppm")
    for probability in (0.899, None, float("nan")):
        assert messages.candidate(found, "TIC 7", candidate(7, probability)) == ()


def test_no_channel_means_no_message(settings):
    assert messages.candidate(settings(), "TIC 7", candidate()) == ()


def test_two_hunts_never_use_one_key(settings, tmp_path):
    here = settings("command true")
    there = here.changed(home=tmp_path / "other")
    keys = [messages.candidate(one, "TIC 7", candidate())[0].dedup for one in (here, here, there)]
    assert keys[0] == keys[1] != keys[2]


def test_the_digest_is_one_line_of_what_happened(settings, state):
    found = settings("command true")
    state.enqueue([NewTarget("TIC", str(n), "x") for n in range(5)], NOW - 100)
    state.register_worker("w", 1, "here", "boot", NOW - 100)
    one, two = state.claim("w", 2, NOW - 90)
    state.finish(one, Status.CANDIDATE, "so", NOW - 50, candidates=[replace(candidate(), published_at=NOW - 50)])
    state.finish(two, Status.QUARANTINED, "x", NOW - 40, error_class="ValueError", error="no")
    with Reader(found.database) as reader:
        (message,) = messages.digest(found, reader.summary(NOW), NOW)
    assert message.payload["text"] == (
        "2 targets in 24 h; 3 to go; 1 candidates in all; new: TIC_1_p3.500000; failures: 1 ValueError"
    )
    assert message.dedup.endswith(":digest:2027-01-15")
    json.dumps(message.payload, allow_nan=False)


def test_a_bundle_names_the_best_and_holds_the_keys_of_all(settings):
    found = settings("command true")
    several = [messages.candidate(found, f"TIC {n}", candidate(n, p))[0] for n, p in ((1, 0.91), (2, 0.99), (3, 0.95))]
    whole = messages.bundle(several)
    assert whole.payload["text"].startswith("3 candidates, the best of them TIC 2")
    assert [item["key"] for item in whole.payload["body"]["items"]] == [message.dedup for message in several]
    assert messages.bundle(several[::-1]).dedup == whole.dedup


# ------------------------------------------------------------------------------------------------------- delivery


def test_what_is_due_is_sent_once_and_marked(state, settings):
    found, post = settings("command true", "webhook https://a.org"), Post()
    channels = channels_of(found.notify)
    owe(state, found, [1, 2])
    assert deliver(state, channels, NOW, found.notify, send=post).sent == 4
    assert deliver(state, channels, NOW + 1, found.notify, send=post).sent == 0
    owe(state, found, [1, 2], NOW + 2)  # the same stars, hunted anew
    assert deliver(state, channels, NOW + 3, found.notify, send=post).sent == 0
    assert [name for name, _ in post.letters] == ["command", "command", "webhook", "webhook"]


def test_a_failure_is_tried_again_later_and_longer_each_time(state, settings):
    found, post = settings("command true"), Post()
    channels = channels_of(found.notify)
    owe(state, found, [1])
    post.down = NotSent("down")
    now, waits = NOW, []
    for _ in range(8):
        assert deliver(state, channels, now, found.notify, send=post, draw=lambda: 1.0).failed == 1
        after = now
        while not Outbox(state).due(after, 1):
            after += 60.0
        waits.append(after - now)
        now = after
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    post.down = None
    assert deliver(state, channels, now, found.notify, send=post).sent == 1


def test_a_receiver_that_names_its_time_is_asked_no_sooner(state, settings):
    found, post = settings("command true"), Post()
    owe(state, found, [1])
    post.down = NotSent("busy", wait=5000.0)
    deliver(state, channels_of(found.notify), NOW, found.notify, send=post, draw=lambda: 0.0)
    assert not Outbox(state).due(NOW + 4999, 1)
    assert Outbox(state).due(NOW + 5000, 1)


def test_what_is_given_up_stands_in_the_journal_and_can_be_sent_again(state, settings, run):
    found, post = settings("command true", tries=2), Post()
    channels = channels_of(found.notify)
    owe(state, found, [1])
    post.down = NotSent("refused")
    deliver(state, channels, NOW, found.notify, send=post, draw=lambda: 0.0)
    assert deliver(state, channels, NOW + 9, found.notify, send=post).dead == 1
    with Reader(found.database) as reader:
        event = reader.events()[0]
    assert event["level"] == "error"
    assert "command: a message was given up after 2 tries (refused): TIC 1: candidate" in event["text"]
    code, out, _ = run("notify", "retry", "--home", found.home)
    assert (code, out) == (0, "1 message waiting again\n")
    post.down = None
    assert deliver(state, channels, 4e9, found.notify, send=post).sent == 1


def test_a_channel_that_is_down_costs_one_try_a_round_and_holds_up_no_other(state, settings):
    found = settings("command true", "webhook https://a.org")
    owe(state, found, range(5))
    tried = []

    def one_down(channel, letter, limit):
        tried.append(channel.name)
        if channel.kind == "command":
            raise NotSent("down")
        return "taken"

    done = deliver(state, channels_of(found.notify), NOW, found.notify, send=one_down)
    assert (done.sent, done.failed) == (5, 1)
    assert tried == ["command"] + ["webhook"] * 5


def test_what_waits_for_a_channel_that_is_gone_goes_on_waiting(state, settings):
    found, post = settings("command true", "webhook https://a.org"), Post()
    owe(state, found, [1])
    deliver(state, channels_of(found.notify)[1:], NOW, found.notify, send=post)
    assert Outbox(state).counts() == {"waiting": 1, "sent": 1, "dead": 0}


def test_many_candidates_of_an_hour_are_bundled_and_none_is_dropped(state, settings):
    found, post = settings("command true", per_hour=3), Post()
    channels = channels_of(found.notify)
    told = []
    for minute in range(0, 180, 5):  # three hours with a candidate every five minutes
        told += owe(state, found, [minute], NOW + 60 * minute)
        deliver(state, channels, NOW + 60 * minute, found.notify, send=post)
    deliver(state, channels, NOW + 60 * 240, found.notify, send=post)
    assert len(post.letters) <= 4 * 3
    keys = [letter.key for _, letter in post.letters if letter.kind == "candidate"]
    keys += [item["key"] for _, letter in post.letters if letter.kind == "bundle" for item in letter.body["items"]]
    assert sorted(keys) == sorted(message.dedup for message in told)
    assert Outbox(state).counts()["waiting"] == 0


def test_a_flood_is_one_message_at_once(state, settings):
    found, post = settings("command true", per_hour=10), Post()
    owe(state, found, range(50))
    done = deliver(state, channels_of(found.notify), NOW, found.notify, send=post)
    assert (done.sent, done.bundled) == (1, 50)
    assert post.letters[0][1].text.startswith("50 candidates, the best of them TIC ")


def test_trouble_is_told_at_once_in_quiet_hours_and_the_rest_after_them(state, settings):
    found, post = settings("command true", quiet=(22, 9)), Post()
    channels = channels_of(found.notify)
    owe(state, found, [1])
    Outbox(state).post(messages.disk_low(found, 10**9, NOW), NOW)
    deliver(state, channels, NOW, found.notify, send=post)  # at eight
    assert post.kinds == ["disk"]
    deliver(state, channels, NOW + 3600, found.notify, send=post)
    assert post.kinds == ["disk", "candidate"]


@pytest.mark.parametrize(("quiet", "is_quiet"), [((), False), ((7, 9), True), ((22, 8), False), ((22, 9), True)])
def test_quiet_hours_may_pass_midnight(quiet, is_quiet):
    assert in_quiet_hours(NotifySettings(quiet=quiet), NOW) is is_quiet


LIVES = """
import os, shutil, sys
from pathlib import Path
import requests
from hunter import crashpoints
from hunter.notify import webhook
from hunter.notify.delivery import deliver
from hunter.notify.settings import Channel, NotifySettings
from state.store import State

folder, url = Path(sys.argv[1]), sys.argv[2]

def live(number, crash):
    child = os.fork()
    if child == 0:
        os.environ["HUNTER_CRASH_LOG"] = str(folder / "log")
        if crash:
            os.environ["HUNTER_CRASH_AT"] = str(number)
        state = State.open(folder / f"{number}.sqlite", check=False, step=crashpoints.at)
        deliver(state, [Channel("webhook", "webhook", f"{url}/{number}")], 1.8e9, NotifySettings(per_hour=3))
        state.close()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for number in range(1, 1000):
    (folder / "log").write_text("")
    shutil.copy(folder / "whole.sqlite", folder / f"{number}.sqlite")
    code = live(number, True)
    last = (folder / "log").read_text().split()[-1]
    print(number, code, last, live(number, False), flush=True)
    if code == 0:
        break
"""


def test_killed_at_every_boundary_nothing_is_lost_and_only_the_window_repeats(tmp_path, receiver, settings):
    found = settings("webhook http://x.org")
    whole = tmp_path / "whole.sqlite"
    with State.open(whole) as state:
        told = owe(state, found, range(5), NOW - 20)
        alone = [*messages.disk_low(found, 10**9, NOW), *messages.stuck(found, 600.0, NOW)]
        Outbox(state).post(alone, NOW - 10)
    expected = {message.dedup for message in [*alone, messages.bundle(told)]}
    done = subprocess.run(
        [sys.executable, "-c", LIVES, str(tmp_path), receiver.url],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    lives = [line.split() for line in done.stdout.splitlines()]
    assert len(lives) > 20
    assert [code for _, code, *_ in lives] == ["-9"] * (len(lives) - 1) + ["0"]
    window = {"notify.sent", "sent.before-begin", "sent.begun", "sent.before-commit"}
    for number, _, last, end in lives:
        assert end == "0"
        seen = {key: n for (path, key), n in receiver.seen.items() if path == f"/{number}"}
        assert set(seen) == expected, f"killed at {last}"
        repeated = sum(seen.values()) - len(expected)
        assert repeated == (1 if last in window and number != lives[-1][0] else 0), f"killed at {last}"
        with closing(sqlite3.connect(tmp_path / f"{number}.sqlite")) as connection:
            assert connection.execute("SELECT count(*) FROM outbox WHERE status = 'waiting'").fetchone() == (0,)
    bundles = [body for (_, key), body in receiver.kept.items() if ":bundle:" in key]
    assert all(len(body["body"]["items"]) == 5 for body in bundles)


# ------------------------------------------------------------------------------------------------------- rounds


@pytest.fixture
def rounds(state, settings):
    clock = [0.0]
    found = settings("command true", digest_hour=8)
    pulse = Pulse(lambda: clock[0])
    made = Rounds(found, state, pulse, free=lambda folder: 10**12)
    return made, clock


def waiting(state):
    return [owed.message.kind for owed in Outbox(state).due(4e9, 100)]


def posts(made, now):
    """One round with nobody to send to: what it owes people now."""
    for several in (made._of_the_daemon(now), made._of_the_disk(now), made._of_the_day(now), made._of_sectors(now)):
        made._post(several, now)
    return waiting(made.state)


def test_a_quiet_round_owes_only_the_digest_of_the_day(rounds, state):
    made, _ = rounds
    assert posts(made, NOW - 60) == []  # before eight
    assert posts(made, NOW) == ["digest"]
    assert posts(made, NOW + 3600) == ["digest"]
    again = Rounds(made.settings, state, free=lambda folder: 10**12)  # killed and started again
    assert posts(again, NOW + 7200) == ["digest"]
    assert posts(again, NOW + 86_400) == ["digest", "digest"]


def test_a_daemon_that_hangs_is_told_once_for_each_time(rounds):
    made, clock = rounds
    clock[0] = 299.0
    assert posts(made, NOW - 3600) == []
    clock[0] = 301.0
    assert posts(made, NOW - 3000) == ["stuck"]
    clock[0] = 900.0
    assert posts(made, NOW - 2400) == ["stuck"]
    made.pulse.turned()
    assert posts(made, NOW - 2000) == ["stuck"]
    clock[0] = 1300.0
    assert posts(made, NOW - 1000) == ["stuck", "stuck"]


def test_a_low_disk_is_told_once_a_day(rounds):
    made, _ = rounds
    made.free = lambda folder: 9_000_000_000
    assert posts(made, NOW - 7200) == ["disk"]
    assert posts(made, NOW - 3600) == ["disk"]


def test_a_sector_is_told_when_its_last_star_has_an_outcome(rounds, state):
    made, _ = rounds
    now = NOW - 3600
    Products(state).enter([ListedProduct(f"mast:{n}", "TIC", str(n), 5, "SPOC-120") for n in range(3)], now)
    state.enqueue([NewTarget("TIC", str(n), "x") for n in range(3)], now)
    Releases(state).put(ReleaseRow(5, "SPOC-120", "enumerated", 3, listed=3), now)
    state.register_worker("w", 1, "here", "boot", now)
    claims = state.claim("w", 3, now)
    for number, claim in enumerate(claims):
        assert posts(made, now) == []
        found = [replace(candidate(number), published_at=now)] if number == 0 else []
        state.finish(claim, Status.CANDIDATE if found else Status.NO_SIGNAL, "so", now, candidates=found)
    assert posts(made, now) == ["sector"]
    (owed,) = Outbox(state).due(now, 9)
    assert owed.message.payload["text"] == (
        "sector 5 (SPOC-120) is hunted: 3 light curves, 1 candidate among its stars"
    )
    assert posts(made, now) == ["sector"]


def test_a_round_sends_what_it_owes(state, settings, tmp_path, receiver):
    found = settings(f"webhook {receiver.url}/hook", digest_hour=-1)
    made = Rounds(found, state, free=lambda folder: 10**9)
    assert made.go(NOW).sent == 1
    assert made.go(NOW + 60).sent == 0
    assert [body["kind"] for body in receiver.kept.values()] == ["disk"]


def test_the_thread_of_the_rounds_outlives_a_loop_that_hangs_and_a_round_that_fails(state, settings, receiver):
    found = settings(f"webhook {receiver.url}/hook", digest_hour=-1)
    clock, went = [0.0], threading.Event()
    made = Rounds(found, state, Pulse(lambda: clock[0]), free=lambda folder: 10**12)

    def now():  # called once a round; the first round fails, then the loop is found to hang
        clock[0] += 200.0
        if clock[0] == 200.0:
            raise OSError("the disk is full")
        if clock[0] == 600.0:
            went.set()
        return NOW + clock[0]

    made.start(now, every=0.001)
    made.start(now)  # nobody starts it twice
    assert went.wait(60)
    made.stop(60)
    assert [body["kind"] for body in receiver.kept.values()] == ["stuck"]


# ------------------------------------------------------------------------------------------------------- commands


def test_the_test_command_says_how_each_channel_answered(settings, receiver, tmp_path, run):
    (tmp_path / "hunter.toml").write_text(
        f'[notify]\nchannels = ["webhook {receiver.url}/s3cr3t", "command false", "webhook {receiver.url}/other"]\n'
    )
    receiver.answers = [(204, {}), (403, {})]
    code, out, err = run("notify", "test", "--home", tmp_path)
    assert code == 1
    assert out.splitlines()[0].startswith("webhook: ok, 204")
    assert out.splitlines()[1] == "command: NOT SENT: false ended with exit code 1"
    assert out.splitlines()[2].startswith("webhook-2: NOT SENT: http://127.0.0.1:")
    assert "s3cr3t" not in out + err
    assert next(iter(receiver.kept.values()))["kind"] == "test"
    code, out, _ = run("notify", "test", "--home", tmp_path, "--json")
    assert [row["sent"] for row in json.loads(out)] == [True, False, True]


def test_without_channels_the_test_command_says_what_to_write(settings, tmp_path, run):
    (tmp_path / "hunter.toml").write_text("")
    code, _, err = run("notify", "test", "--home", tmp_path)
    assert code == 2
    assert "[notify] channels is empty" in err
    (tmp_path / "hunter.toml").write_text('[notify]\nchannels = ["pigeon x"]\n')
    code, _, err = run("notify", "test", "--home", tmp_path)
    assert code == 2
    assert err.splitlines() == [
        "hunter: hunter.toml:2: [notify] channels, number 1: begins with none of webhook, command, apprise: "
        "write 'webhook https://..'"
    ]


def test_a_wrong_channel_or_hour_is_refused_with_the_settings_and_no_secret(settings, tmp_path):
    for text, said in (
        ('channels = ["webhook ftp://a.org/s3cr3t"]', "a webhook is an http"),
        ("quiet = [22]", "two hours of the day"),
        ("quiet = [22, 25]", "two hours of the day"),
    ):
        (tmp_path / "hunter.toml").write_text(f"[notify]\n{text}\n")
        with pytest.raises(SettingsError, match=r"^hunter.toml:2: \[notify\] ") as caught:
            load(str(tmp_path), light=True)
        assert said in str(caught.value)
        assert "s3cr3t" not in str(caught.value)


def test_a_trial_says_how_every_channel_answered():
    def two(channel, letter, limit):
        if channel.name == "a":
            raise NotSent("no such https://h.org/s3cr3t")
        return "yes"

    channels = [Channel("a", "webhook", "https://h.org/s3cr3t"), Channel("b", "command", "true")]
    owed = OwedMessage(1, Message("k", "a", "test", {"text": "hello"}), NOW, 0)
    assert try_all(channels, letter_of(owed), 1.0, two) == [
        {"channel": "a", "sent": False, "answer": "no such https://h.org/***"},
        {"channel": "b", "sent": True, "answer": "yes"},
    ]


def test_a_plugin_that_breaks_or_hangs_is_a_channel_that_did_not_take_it(tmp_path):
    with pytest.raises(NotSent, match="not done within"):
        send(Channel("command", "command", "sleep 600"), LETTER, -4.99)
    shutil.rmtree(tmp_path)
