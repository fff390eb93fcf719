"""Logs: whole lines from every process, with where they come from and without secrets, and never an error."""

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from hunter import logs
from hunter.logs import Journal, LogSettings
from hunter.masking import mask, masked, place
from hunter.settings import load

ROOT = Path(__file__).parents[1]


@pytest.fixture
def journal(tmp_path):
    """Configure the logs of a hunt; what is set up goes again, so that other tests log as before."""
    root, before = logging.getLogger(), logging.getLogger().level

    def of(settings=LogSettings(), **more):
        given = {"hunt": "/hunts/first", "console": None, "now": lambda: 1_800_000_000.25} | more
        return logs.configure(tmp_path / "logs", settings, "worker", **given)

    yield of
    for handler in [one for one in root.handlers if type(one).__module__ == "hunter.logs"]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(before)
    structlog.contextvars.clear_contextvars()


def lines(tmp_path, name="hunter.jsonl"):
    return [json.loads(line) for line in (tmp_path / "logs" / name).read_text().splitlines()]


def test_every_line_says_which_hunt_target_and_phase(journal, tmp_path):
    journal()
    log = logs.logger("hunter.test")
    log.info("claimed", number=16)
    with logs.during(target="TIC 7", phase="fetch"):
        log.warning("short file", bytes=2880)
        logging.getLogger("urllib3.pool").warning("%s retries", 3)
    log.info("done")
    claimed, short, foreign, done = lines(tmp_path)
    assert list(short)[:8] == ["at", "level", "event", "hunt", "role", "pid", "target", "phase"]
    assert (short["hunt"], short["role"], short["pid"]) == ("/hunts/first", "worker", os.getpid())
    assert (short["target"], short["phase"], short["bytes"]) == ("TIC 7", "fetch", 2880)
    assert (short["at"], short["level"]) == ("2027-01-15T08:00:00.250Z", "warning")
    assert (foreign["event"], foreign["target"], foreign["phase"]) == ("3 retries", "TIC 7", "fetch")
    assert [row["target"] for row in (claimed, done)] == [None, None]


def test_a_loop_binds_and_unbinds_words(journal, tmp_path):
    journal()
    log = logs.logger("hunter.test")
    logs.bind(target="TIC 7", phase="clean")
    log.info("one")
    logs.bind(phase="search")
    log.info("two")
    logs.bind(target=None, phase=None)
    log.info("three")
    assert [(row["target"], row["phase"]) for row in lines(tmp_path)] == [
        ("TIC 7", "clean"),
        ("TIC 7", "search"),
        (None, None),
    ]


def test_the_person_sees_a_short_line_from_the_level_asked_for(journal, capsys):
    seen = []
    journal(LogSettings(console="warning"), console=seen.append)
    log = logs.logger("hunter.test")
    log.info("quiet")
    with logs.during(target="TIC 7"):
        log.warning("short file", bytes=2880)
    assert [line.replace("\033[33m", "").replace("\033[0m", "") for line in seen] == [
        "08:00:00 warning short file  role=worker target=TIC 7 bytes=2880"
    ]
    assert capsys.readouterr().out == ""


def test_the_person_sees_the_first_line_of_a_long_word_and_the_file_all_of_it(journal, tmp_path):
    seen = []
    journal(console=seen.append)
    logs.logger("hunter.test").info("poll: no answer\nTraceback:\n  line 7")
    assert seen == ["08:00:00 info    poll: no answer …  role=worker"]
    assert lines(tmp_path)[0]["event"].endswith("line 7")


def test_a_traceback_is_one_field_of_one_line(journal, tmp_path):
    journal()
    try:
        raise ValueError("no such cadence")
    except ValueError:
        logs.logger("hunter.test").exception("a target failed")
    (row,) = lines(tmp_path)
    assert row["exception"].endswith("ValueError: no such cadence")
    assert row["level"] == "error"


def test_secrets_are_covered_wherever_they_stand(journal, tmp_path):
    hook = "https://hooks.example.org/services/T1/B2/x9y8z7"
    journal(secrets=[hook])
    log = logs.logger("hunter.test")
    log.info(f"posting to {hook} failed", url="postgresql://me:p@ss@db/hunt", headers={"Authorization": "Bearer abc"})
    log.info("asked", uri="https://mast.example.org/x?token=abc123&sector=5", api_key="k", password="p", token=17)
    log.error("denied: Authorization: Bearer abcdefgh12345")
    try:
        raise OSError(f"cannot reach {hook}")
    except OSError:
        log.exception("so")
    text = (tmp_path / "logs" / "hunter.jsonl").read_text()
    for secret in ("x9y8z7", "p@ss", "ss@db", "Bearer abc", "abc123", '"k"', '"p"', "abcdefgh"):
        assert secret not in text
    first, second, *_ = lines(tmp_path)
    assert first["event"] == "posting to https://hooks.example.org/*** failed"
    assert first["url"] == "postgresql://me:***@db/hunt"
    assert second["uri"] == "https://mast.example.org/x?token=***&sector=5"
    assert second["token"] == 17  # a number is a fence, not a secret


def test_a_process_of_a_hunt_logs_as_its_settings_say(journal, tmp_path):
    journal()  # its end takes down what is set up here
    settings = load(str(tmp_path), {"notify.channels": ("webhook https://a.org/x9y8z7",), "logs.level": "warning"})
    logs.configure_for(settings, "courier", console=None)
    log = logs.logger("hunter.test")
    log.info("quiet")
    log.warning("no answer of https://a.org/x9y8z7")
    (row,) = lines(tmp_path)
    assert (row["role"], row["hunt"], row["event"]) == ("courier", str(tmp_path), "no answer of https://a.org/***")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no token for 3 of 5 files", "no token for 3 of 5 files"),
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("ftp://u:p@h/x and http://v:q@i", "ftp://u:***@h/x and http://v:***@i"),
        ("password: hunter2, next", "password: ***, next"),
        ('{"access_token": "abc"}', '{"access_token": "***"}'),
    ],
)
def test_masking_covers_the_secret_and_nothing_else(text, shown):
    assert mask(text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org:8443/a/b", "https://hooks.example.org:8443/***"),
        ("tgram://12345:abc/777", "tgram://***"),
        ("nonsense", "***"),
        ("http://[broken", "***"),
    ],
)
def test_of_an_address_only_the_place_is_shown(url, shown):
    assert place(url) == shown


def test_masking_reaches_into_lists_and_tables():
    assert masked({"a": [{"secret": "x"}, "http://u:p@h"], "token": ""}) == {
        "a": [{"secret": "***"}, "http://u:***@h"],
        "token": "",
    }


def test_a_value_that_is_no_json_still_makes_a_line(journal, tmp_path):
    class Rude:
        def __str__(self):
            raise RuntimeError("no")

    journal()
    log = logs.logger("hunter.test")
    log.info("odd", nan=float("nan"), path=Path("/x"), data={1: float("inf")}, name="msg", args=(1,))
    log.info("rude", what=Rude())
    log.info("long", text="x" * 100_000)
    odd, rude, long = lines(tmp_path)
    assert (odd["nan"], odd["path"], odd["data"], odd["args"]) == (None, "/x", {"1": None}, [1])
    assert rude["event"] == "a line could not be made"
    assert len(long["text"]) < logs.LONGEST + 10


def test_a_full_file_is_put_aside_and_only_so_many_are_kept(journal, tmp_path):
    handler = journal(LogSettings(megabytes=0.0005, keep=2))
    for number in range(20):
        logs.logger("hunter.test").info("line", number=number)
    assert (
        sorted(path.name for path in (tmp_path / "logs").glob("hunter*"))
        == [
            "hunter.jsonl",
            "hunter.jsonl.1",
            "hunter.jsonl.2",
        ]
        or not (tmp_path / "logs" / "hunter.jsonl").exists()
    )
    newest = [row["number"] for name in ("hunter.jsonl.2", "hunter.jsonl.1") for row in lines(tmp_path, name)]
    assert newest == sorted(newest)
    assert (handler.path.parent / "hunter.jsonl.1").stat().st_size < 1000


def test_a_file_put_aside_by_another_process_is_followed(tmp_path):
    ours, theirs = (Journal(tmp_path / "a.jsonl", 10**9, 3) for _ in range(2))
    record = logging.LogRecord("x", logging.INFO, "", 0, "one", (), None)
    ours.emit(record)
    os.replace(tmp_path / "a.jsonl", tmp_path / "a.jsonl.1")
    theirs.emit(record)
    ours.emit(record)
    assert (tmp_path / "a.jsonl.1").read_text() == "one\n"
    assert (tmp_path / "a.jsonl").read_text() == "one\none\n"
    for one in (ours, theirs):
        one.close()


WRITER = """
import sys
from pathlib import Path
from hunter import logs
logs.configure(Path(sys.argv[1]), logs.LogSettings(megabytes=0.02, keep=100), sys.argv[2], hunt="h", console=None)
log = logs.logger("test")
for number in range(300):
    log.info("line", number=number, padding="x" * (number * 37 % 900))
"""


def test_processes_that_share_the_file_tear_and_lose_no_line(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], cwd=ROOT) for name in ("a", "b", "c")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = [json.loads(line) for path in tmp_path.glob("hunter.jsonl*") for line in path.read_text().splitlines()]
    assert len(list(tmp_path.glob("hunter.jsonl*"))) > 10
    assert {(row["role"], row["number"]) for row in found} == {(name, n) for name in "abc" for n in range(300)}
    assert len(found) == 900


def test_a_disk_that_is_full_loses_lines_and_says_so_later(journal, tmp_path, monkeypatch):
    handler = journal()
    log = logs.logger("hunter.test")
    log.info("before")
    write = os.write

    def full(descriptor, data):
        if descriptor == handler._descriptor:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    log.info("lost")
    log.info("lost, too")
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:30]))
    log.info("torn")
    monkeypatch.undo()
    log.info("after")
    text = (tmp_path / "logs" / "hunter.jsonl").read_text().splitlines()
    assert json.loads(text[0])["event"] == "before"
    assert (json.loads(text[-2])["number"], json.loads(text[-1])["event"]) == (3, "after")
    assert "only a part" in json.loads(text[-2])["why"]


def test_a_folder_that_cannot_be_made_and_a_closed_terminal_stop_nobody(journal, tmp_path):
    (tmp_path / "logs").write_text("a file stands where the folder should be")

    def closed(line):
        raise BrokenPipeError

    handler = journal(console=closed)
    logs.logger("hunter.test").error("nobody hears this")
    assert handler.lost == 1


def test_before_anything_is_configured_stdout_stays_for_results():
    code = "from hunter.logs import logger; logger('x').warning('early')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == ""
    assert "early" in done.stderr


def test_astropy_still_makes_its_own_logger_after_ours_are_set_up(tmp_path):
    code = (
        "import sys; from pathlib import Path; from hunter import logs;"
        "logs.configure(Path(sys.argv[1]), logs.LogSettings(), 'worker', hunt='h', console=None);"
        "import astropy; astropy.log.info('not worth a line'); astropy.log.warning('worth one')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=ROOT, capture_output=True)
    assert [json.loads(line)["event"] for line in (tmp_path / logs.FILE).read_text().splitlines()] == ["worth one"]
