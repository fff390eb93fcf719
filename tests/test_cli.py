"""The command line as a person meets it: what it prints, where, and with which exit code.

Commands run in this process wherever that is possible; one small simulated sector is hunted once for all of them.
"""

import csv
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import typer
from evidence_files import compared
from zenodo_archive import TOKEN, open_archive

from candidates.exports import LOG_HEADER, TIMING_HEADER
from hunter import settings
from hunter.__main__ import main
from hunter.cli import app
from hunter.engine import home_lock
from hunter.skies import write_sector
from state.reading import Reader
from state.store import State

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "hunter"]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("HUNTER_", "ZENODO_")) or name in ("COLUMNS", "NO_COLOR"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def sky(tmp_path_factory):
    """Two planets, a quiet star, a file cut short and a web page, at 10-minute cadence."""
    folder = tmp_path_factory.mktemp("sky")
    mix = {"planet": 2.0, "quiet": 1.0}
    return write_sector(folder, stars=3, seed=3, cadence_seconds=600.0, mix=mix, damaged=2, snr=(30.0, 60.0))


@pytest.fixture(scope="session")
def hunted_once(tmp_path_factory, sky):
    """A home whose sector was hunted with threshold 0: whatever the model says, each signal is a candidate."""
    home = tmp_path_factory.mktemp("hunts") / "first"
    hunt = ["run", "--home", str(home), "--archive", str(sky.folder), "--threshold", "0", "--workers", "1"]
    home.mkdir()
    text = settings.template().replace('# sampler = "emcee"', 'sampler = "none"', 1)
    (home / "hunter.toml").write_text(text.replace('# method = "importance"', 'method = "none"', 1))
    done = subprocess.run([*COMMAND, *hunt], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr + done.stdout
    (home.parent / "stdout.txt").write_text(done.stdout)
    (home.parent / "stderr.txt").write_text(done.stderr)
    return home


@pytest.fixture
def hunted(hunted_once, tmp_path):
    """A copy of the hunted home, to be spoilt."""
    return Path(shutil.copytree(hunted_once, tmp_path / "hunt"))


def names(home):
    with Reader(home / "state" / "hunter.sqlite") as reader:
        return [row["name"] for row in reader.candidates()]


def one_line(err):
    """The one line of a refusal."""
    lines = [line for line in err.splitlines() if line.startswith("hunter")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def every_command(command=None, path=()):
    """All commands with their paths, groups left out."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from every_command(below, (*path, name))
    else:
        yield path, command


# ------------------------------------------------------------------------------------------------ help and usage


COMMANDS = dict(every_command())


@pytest.mark.parametrize("path", COMMANDS, ids="-".join)
def test_the_help_of_each_command_explains_its_options_and_shows_examples_line_by_line(run, path):
    code, out, err = run(*path, "--help")
    assert (code, err) == (0, "")
    examples = out.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    assert all(line.startswith(f"    hunter {' '.join(path)}") for line in examples), examples
    for parameter in COMMANDS[path].params:
        assert parameter.help, f"{' '.join(path)}: {parameter.name} is not explained"


def test_the_list_of_commands_cuts_no_sentence_short(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "..." not in out.partition("Commands:")[2]
    assert all(path[0] in out for path in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--limt", "3"], "hunter run: no such option: --limt (did you mean --limit"),
        (["statuss"], "Did you mean 'status'?"),
        (["run", "--limit", "0"], "'--limit': Input should be greater than or equal to 1"),
        (["show"], "hunter show: missing argument 'TARGET'"),
        (["export", "tabel"], "Did you mean 'table'?"),
        (["init", "a", "b"], "unexpected extra argument"),
    ],
)
def test_a_slip_on_the_command_line_is_one_line_with_the_cure(run, arguments, told):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in one_line(err)
    assert "--help` says more" in err


def test_the_bare_command_shows_its_help_and_counts_as_wrong_usage(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: hunter")


def test_the_version_is_that_of_the_package(run):
    from hunter import __version__

    assert run("--version") == (0, f"hunter {__version__}\n", "")


def test_debug_lets_the_traceback_through(tmp_path):
    from state.status import DatabaseMissing

    with pytest.raises(DatabaseMissing):
        main(["show", "1", "--home", str(tmp_path), "--debug"])


# ------------------------------------------------------------------------------------------------ homes and settings


def test_init_writes_the_template_and_never_over_a_file(run, tmp_path):
    home = tmp_path / "new"
    code, out, err = run("init", home)
    assert (code, out) == (0, f"{home / 'hunter.toml'}\n")
    assert "hunter run --home" in err
    assert (home / "hunter.toml").read_text() == settings.template()
    code, out, err = run("init", home)
    assert (code, out) == (2, "")
    assert "exists already" in one_line(err)


def test_without_any_home_the_cure_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("status")
    assert code == 2
    assert "hunter init" in one_line(err)


def test_a_home_nobody_has_hunted_in_is_no_mistake_for_status(run, tmp_path):
    code, out, err = run("status", "--home", tmp_path)
    assert code == 0
    assert "nobody has hunted here yet" in out
    assert "hunter run" in err
    assert json.loads(run("status", "--home", tmp_path, "--json")[1])["total"] == 0


@pytest.mark.parametrize("command", [["status"], ["candidates"], ["show", "1"], ["verify"], ["export", "log"]])
def test_a_home_that_is_not_there_is_named(run, tmp_path, command):
    code, out, err = run(*command, "--home", tmp_path / "nowhere")
    assert (code, out) == (1, "")
    assert str(tmp_path / "nowhere") in one_line(err)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[hunt]\nthreshold = 2\n", "hunter.toml:2: [hunt] threshold = 2: "),
        ("[search]\nsnrr = 7\n", "unknown key 'snrr' (did you mean 'snr'?)"),
        ("[hunt\n", "not TOML"),
    ],
)
def test_a_wrong_setting_is_one_line_and_code_2(run, tmp_path, sky, text, told):
    (tmp_path / "hunter.toml").write_text(text)
    code, out, err = run("run", "--home", tmp_path, "--archive", sky.folder)
    assert (code, out) == (2, "")
    assert told in one_line(err)


def test_a_setting_given_as_an_option_is_checked_like_any_other(run, tmp_path, sky):
    code, _, err = run("run", "--home", tmp_path, "--archive", sky.folder, "--threshold", "3")
    assert code == 2
    assert "command line: [hunt] threshold = 3.0" in one_line(err)


@pytest.mark.parametrize("command", ["run", "once", "init"])
def test_a_file_in_place_of_a_home_is_named_and_left_alone(run, tmp_path, sky, command):
    home = tmp_path / "home"
    home.write_text("mine")
    given = {
        "run": ["run", "--archive", sky.folder, "--home", home],
        "once": ["once", sky.folder / sky.rows[0].file, "--home", home],
        "init": ["init", home],
    }[command]
    code, out, err = run(*given)
    assert (code, out) == (1, "")
    assert str(home) in one_line(err)
    assert home.read_text() == "mine"


def test_a_home_that_cannot_be_written_is_named_with_the_cure(run, sky):
    code, out, err = run("run", "--home", "/proc/hunt", "--archive", sky.folder)
    assert (code, out) == (1, "")
    assert "/proc/hunt cannot be written" in one_line(err)
    assert "another --home" in err


def test_a_second_process_is_told_who_holds_the_hunt(run, hunted, sky):
    with home_lock(hunted):
        code, out, err = run("run", "--home", hunted, "--archive", sky.folder)
    assert (code, out) == (75, "")
    assert f"process {os.getpid()}" in one_line(err)


# ------------------------------------------------------------------------------------------------ archives


def archives(folder, sky):
    (folder / "empty").mkdir()
    (folder / "none").mkdir()
    (folder / "none" / "notes.txt").write_text("no light curve\n")
    (folder / "folders" / "tess-s0001_lc.fits").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("which", ["missing", "empty", "none", "folders"])
def test_an_archive_without_light_curves_is_named_and_nothing_is_queued(run, tmp_path, sky, which):
    archive = archives(tmp_path, sky) / which
    code, out, err = run("run", "--home", tmp_path / "home", "--archive", archive)
    assert (code, out) == (2, "")
    assert which in one_line(err)
    database = tmp_path / "home" / "state" / "hunter.sqlite"
    if database.exists():  # a folder that does not exist is refused before there is a hunt
        with Reader(database) as reader:
            assert reader.summary(time.time())["total"] == 0


def test_no_archive_at_all_is_answered_with_both_ways_to_name_one(run, tmp_path):
    code, _, err = run("run", "--home", tmp_path)
    assert code == 2
    assert "--archive DIR" in one_line(err)
    assert "[archive] source" in err


def test_a_link_to_nothing_is_a_target_with_a_reason_not_a_crash(run, tmp_path):
    (tmp_path / "sky").mkdir()
    (tmp_path / "sky" / "lost_lc.fits").symlink_to(tmp_path / "nowhere.fits")
    code, out, _ = run("run", "--home", tmp_path / "home", "--archive", tmp_path / "sky", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["targets"] == 1


def test_a_sector_that_is_not_there_is_named(run, tmp_path, sky):
    code, _, err = run("run", "--home", tmp_path, "--archive", sky.folder, "--sector", "99")
    assert code == 2
    assert "sector 99" in one_line(err)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds no target"),
        ("# nothing\n\n", "holds no target"),
        ("TIC 1\nabc\n", ":2: 'abc' is no TIC number"),
        ("TIC 1\n", "none of its targets is in"),
    ],
)
def test_a_bad_list_of_targets_names_the_line(run, tmp_path, sky, text, told):
    file = tmp_path / "list.txt"
    if text is not None:
        file.write_text(text)
    code, out, err = run("run", "--home", tmp_path, "--archive", sky.folder, "--tic-list", file)
    assert (code, out) == (2, "")
    assert told in one_line(err)
    assert str(file) in err


def test_a_list_of_targets_chooses_them(run, tmp_path, sky):
    file = tmp_path / "list.txt"
    file.write_text(f"# mine\nTIC {sky.rows[0].tic_id}, a planet\n{sky.rows[0].tic_id}\n")
    code, out, _ = run("run", "--home", tmp_path, "--archive", sky.folder, "--tic-list", file, "--dry-run", "--json")
    assert (code, json.loads(out)["targets"]) == (0, 1)


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="A GPU IS HERE: its absence cannot be shown")
def test_a_gpu_that_is_not_there_is_said_to_be_missing(run, tmp_path, sky):
    code, _, err = run("run", "--home", tmp_path, "--archive", sky.folder, "--device", "gpu")
    assert code == 2
    assert "no GPU" in one_line(err)


def test_an_unknown_device_is_answered_with_the_nearest(run, tmp_path, sky):
    code, _, err = run("run", "--home", tmp_path, "--archive", sky.folder, "--device", "gpuu")
    assert code == 2
    assert "did you mean 'gpu'" in one_line(err)


# ------------------------------------------------------------------------------------------------ a night


def test_a_night_reports_results_on_stdout_and_progress_on_stderr(hunted_once, sky):
    out = (hunted_once.parent / "stdout.txt").read_text()
    err = (hunted_once.parent / "stderr.txt").read_text()
    assert re.match(rf"{len({row.tic_id for row in sky.rows})} targets hunted in \d+ s \([\d,]+ stars/hour\)\n", out)
    assert re.search(r"^  UNUSABLE +2$", out, re.M)
    assert f"candidates: {hunted_once / 'candidates' / 'index.html'}" in out
    assert "looking through" in err
    assert "next: hunter candidates --home" in err
    assert "\x1b" not in out + err


def test_a_second_night_computes_nothing(run, hunted, sky):
    def record():
        with Reader(hunted / "state" / "hunter.sqlite") as reader:
            return list(reader.timings()), reader.candidates()

    before = record()
    code, out, _ = run("run", "--home", hunted, "--archive", sky.folder, "--threshold", "0")
    assert code == 0
    assert out.startswith("nothing new")
    assert record() == before


def test_a_dry_run_counts_and_writes_nothing(run, hunted, sky, tmp_path):
    code, out, _ = run("run", "--home", tmp_path / "dry", "--archive", sky.folder, "--dry-run")
    assert code == 0
    assert out.startswith("5 targets in 5 files; unknown before the first night")
    assert not (tmp_path / "dry" / "state").exists()
    code, out, _ = run("run", "--home", hunted, "--archive", sky.folder, "--dry-run", "--limit", "2", "--json")
    found = json.loads(out)
    assert (code, found["targets"], found["files"]) == (0, 2, 2)
    assert found["hours"] > 0


def test_a_night_stopped_by_a_signal_says_so_and_loses_nothing(tmp_path, sky):
    home = tmp_path / "home"
    night = subprocess.Popen(
        [*COMMAND, "run", "--home", home, "--archive", sky.folder, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    for line in night.stderr:
        if "warming up" in line:
            break
    night.send_signal(signal.SIGTERM)
    _, err = night.communicate(timeout=120)
    assert night.returncode == 128 + signal.SIGTERM
    assert "stopping after the batch in flight" in err
    with Reader(home / "state" / "hunter.sqlite") as reader:
        summary = reader.summary(time.time())
    assert summary["counts"]["QUEUED"] == summary["total"] == 5
    assert all(worker["stopped_at"] is not None for worker in summary["workers"])


def test_once_prints_json_alone_and_gives_each_target_a_home_of_its_own(run, tmp_path, sky):
    (tmp_path / "hunter.toml").write_text("[fit]\nwalkers = 18\nblock = 60\nlengths = 5.0\n[search]\nmax_signals = 1\n")
    target = [f"TIC {sky.rows[0].tic_id}", "--archive", sky.folder, "--home", tmp_path, "--predict", "--threshold", "0"]
    periods = ["--period-min", "1", "--period-max", "12", "--nperiods", "3000"]
    code, out, err = run("once", *target, *periods, "--json")
    (found,) = json.loads(out)
    assert (code, found["status"]) == (0, "CANDIDATE"), err
    assert found["name"] == f"TIC {sky.rows[0].tic_id}"
    assert found["signals"][0]["period"] == pytest.approx(sky.rows[0].period_days, rel=0.01)
    folder = tmp_path / "once" / f"TIC_{sky.rows[0].tic_id}" / "candidates"
    assert found["candidates_folder"] == str(folder)
    page = (folder / found["candidates"][0]["html_file"]).read_text()
    fit = found["candidates"][0]["fit"]
    assert fit["status"] in ("done", "not_converged")
    assert "Transit fit" in page
    code, out, err = run("once", *target, *periods)
    assert "transit fit: " + fit["status"].replace("_", " ") in out
    assert "split R-hat" in out
    assert not list(folder.parent.glob("cache/results/*/*.chain.npz"))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (["nothing.fits"], "nothing.fits: no such file"),
        (["."], ".: is a folder"),
        (["1", "2"], "one target at a time"),
        (["TIC 12345"], "TIC 12345 is not in"),
    ],
)
def test_once_names_what_it_cannot_find(run, tmp_path, sky, what, told):
    code, out, err = run("once", *what, "--home", tmp_path, "--archive", sky.folder)
    assert (code, out) == (2, "")
    assert told in one_line(err)


# ------------------------------------------------------------------------------------------------ completeness


FEW = ["--number", "4", "--bins", "3x2", "--workers", "1", "--period-min", "2", "--period-max", "4"]


def test_completeness_writes_a_map_and_a_picture_and_goes_on_where_it_was(run, tmp_path, sky):
    file = sky.folder / sky.rows[-3].file
    command = ["completeness", file, "--home", tmp_path / "home", "--out", tmp_path / "maps", "--radius-min", "8", *FEW]
    code, out, err = run(*command)
    name = f"completeness_TIC_{sky.rows[-3].tic_id}"
    paths = [str(tmp_path / "maps" / f"{name}.{ending}") for ending in ("json", "png")]
    assert (code, out.splitlines()[-2:]) == (0, paths), err
    assert "injected (simulated) transits in simulated data" in out
    assert "4 planets into each of 1 light curve" in err
    assert Path(paths[1]).read_bytes().startswith(b"\x89PNG")
    code, out, err = run(*command, "--json")
    found = json.loads(out)
    assert (code, found["injections"]["done"], found["partial"]) == (0, 4, False)
    assert "4 injections of an earlier run kept" in err
    assert err.splitlines()[-2:] == paths
    assert json.loads(Path(paths[0]).read_text()) == found


def test_completeness_of_a_hunt_takes_its_light_curves_from_its_checkpoints(run, hunted, tmp_path):
    files = tmp_path / "moved"  # nowhere: the light curves come from the hunt's own cache
    command = ["completeness", "--hunt", "--targets", "2", "--home", hunted, "--archive", files, "--by", "snr", *FEW]
    code, out, err = run(*command, "--json")
    found = json.loads(out)
    assert code == 0, err
    assert "2 of 3 searched targets drawn" in err
    assert [target["done"] for target in found["targets"]] == [2, 2]
    assert found["name"] == "hunt"
    assert (hunted / "exports" / "completeness_hunt_snr.png").exists()


def test_completeness_of_a_hunt_without_its_cache_reads_the_files_again(run, hunted, sky):
    shutil.rmtree(hunted / "cache")
    command = ["completeness", "--hunt", "--targets", "1", "--home", hunted, "--archive", sky.folder, "--no-detrend"]
    code, out, err = run(*command, "--json", *FEW)
    assert code == 0, err
    assert json.loads(out)["injections"]["done"] == 4
    assert (hunted / "exports" / "completeness_hunt_flat.png").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "name files or a target, or give --hunt"),
        (["FILE", "--hunt"], "not both"),
        (["FILE", "--bins", "8"], "--bins 8: give two numbers"),
        (["FILE", "--by", "radios"], "did you mean 'radius'"),
        (["FILE", "--period-min", "3", "--period-max", "2"], "--period-min 3 is not below --period-max 2"),
        (["FILE", "--radius-max", "nan"], "--radius-max nan: must be a number above 0"),
        (["nothing.fits"], "nothing.fits: no such file"),
    ],
)
def test_a_slip_in_what_completeness_is_asked_is_one_line(run, tmp_path, sky, options, told):
    given = [sky.folder / sky.rows[0].file if word == "FILE" else word for word in options]
    code, out, err = run("completeness", *given, "--home", tmp_path)
    assert (code, out) == (2, "")
    assert told in one_line(err)


def test_completeness_without_a_stellar_radius_offers_the_other_map(run, tmp_path):
    file = tmp_path / "star.csv"
    days = [1325.0 + k / 48 for k in range(1200)]
    file.write_text(
        "time,flux\n" + "".join(f"{day},{1 + 1e-3 * ((k * 7919) % 100 - 50) / 50}\n" for k, day in enumerate(days))
    )
    code, out, err = run("completeness", file, "--home", tmp_path / "home", *FEW)
    assert (code, out) == (2, "")
    assert "give --by snr" in one_line(err)
    assert run("completeness", file, "--home", tmp_path / "home", "--by", "snr", *FEW)[0] == 0


@pytest.mark.parametrize("kind", ["too_short", "nan_flux"])
def test_a_light_curve_that_completeness_cannot_use_is_one_line(run, tmp_path, kind):
    sky = write_sector(tmp_path / "sky", stars=1, damaged=4, cadence_seconds=1800.0, mix={"quiet": 1.0})
    file = next(tmp_path / "sky" / row.file for row in sky.rows if row.kind == kind)
    code, out, err = run("completeness", file, "--home", tmp_path, *FEW)
    assert (code, out) == (1, "")
    assert "our fault" not in one_line(err)


def test_completeness_cut_off_by_a_signal_writes_what_it_has(tmp_path, sky):
    work = subprocess.Popen(
        [*COMMAND, "completeness", sky.folder / sky.rows[0].file, "--home", tmp_path, "--number=4000", "--workers=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"HUNTER_SEARCH__PERIOD_MIN": "5"},
    )  # fmt: skip
    kept = tmp_path / "cache" / "completeness"
    until = time.monotonic() + 90
    while not any(file.stat().st_size for file in kept.glob("*.jsonl")) and time.monotonic() < until:
        time.sleep(0.1)
    work.send_signal(signal.SIGINT)
    out, err = work.communicate(timeout=120)
    assert work.returncode == 130, err
    assert "the same command goes on from there" in err
    found = json.loads(Path(out.splitlines()[-2]).read_text())
    assert found["partial"]
    assert 0 < found["injections"]["done"] < 4000


# ------------------------------------------------------------------------------------------------ looking


@pytest.mark.parametrize("width", [60, 80, 140])
def test_status_and_candidates_fit_the_window_and_never_fold_a_name(run, hunted, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ("status", "candidates"):
        code, out, _ = run(command, "--home", hunted)
        assert code == 0
        path = str(hunted)
        assert max(len(line) for line in out.splitlines() if not line.startswith(path)) <= width
        assert all(name in out for name in names(hunted))
        assert "\x1b" not in out


def test_status_tells_phases_outcomes_failures_and_that_it_rests(run, hunted):
    _, out, _ = run("status", "--home", hunted)
    assert "at rest since" in out
    assert "5 of 5 targets done" in out
    assert re.search(r"^search +3 ", out, re.M)
    assert re.search(rf"^publish +{len({name[:15] for name in names(hunted)})} ", out, re.M)
    assert re.search(r"UNUSABLE +2", out)
    assert re.search(r"UnusableData 2 .*(cut short|web page)", " ".join(out.split()))


def test_status_as_json_is_json_alone_with_the_reasons(run, hunted):
    code, out, err = run("status", "--home", hunted, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["home"], found["total"]) == (str(hunted), 5)
    assert found["failures"][0]["example"]["because"]


def test_status_says_since_when_a_worker_is_dead(run, hunted):
    with State.open(hunted / "state" / "hunter.sqlite") as state:
        state.register_worker("lost", 1, "elsewhere", "boot", time.time() + 3600)
        state.heartbeat("lost", time.time() - 300)
    connection = sqlite3.connect(hunted / "state" / "hunter.sqlite")
    with connection:
        connection.execute("UPDATE workers SET heartbeat = ?", (time.time() - 300,))
    connection.close()
    assert "dead since" in run("status", "--home", hunted)[1]


def on_a_terminal(arguments, seconds=None, **environment):
    """What a command writes on a terminal of 80 columns; interrupted after so many seconds. Also its exit code."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "80", "rows", "40"], stdin=theirs, check=True)
    wanted = {key: value for key, value in os.environ.items() if key != "COLUMNS"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=wanted | environment, cwd=ROOT,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # the terminal has hung up
            break
        said += more
        if seconds is not None and b"outcome" in said:
            process.send_signal(seconds)
            seconds = None
    os.close(ours)
    return process.wait(timeout=60), said.decode()


def test_a_terminal_gets_colours_and_no_color_takes_them_away(hunted):
    code, coloured = on_a_terminal(["status", "--home", hunted])
    assert code == 0
    assert re.search(r"\x1b\[(\d;)?3\dm", coloured)
    _, plain = on_a_terminal(["status", "--home", hunted], NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", plain)
    assert "at rest since" in plain


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_watching_gives_the_screen_back_when_it_ends(hunted, number, code):
    ended, screen = on_a_terminal(["status", "--watch", "--home", hunted], seconds=number)
    assert ended == code
    assert "\x1b[?1049h" in screen
    assert screen.rstrip().endswith("\x1b[?1049l")


def test_watching_without_a_terminal_is_refused_with_the_other_way(run, hunted):
    code, out, err = run("status", "--watch", "--home", hunted)
    assert (code, out) == (2, "")
    assert "--json" in one_line(err)


def test_candidates_are_sorted_filtered_and_limited(run, hunted):
    def listed(*options):
        code, out, err = run("candidates", "--home", hunted, "--json", *options)
        assert (code, err) == (0, "")
        return json.loads(out)

    everything = listed()
    assert len(everything) >= 2
    assert [row["probability"] for row in everything] == sorted((r["probability"] for r in everything), reverse=True)
    assert [row["snr"] for row in listed("--sort", "snr")] == sorted((r["snr"] for r in everything), reverse=True)
    assert len(listed("--limit", "1")) == 1
    assert listed("--min-snr", "1e6") == []
    assert listed("--decision", "unreviewed") == everything
    assert listed("--decision", "pc") == []
    code, out, err = run("candidates", "--home", hunted, "--min-snr", "1e6")
    assert (code, out, err) == (0, "", "no candidate fits: take an option away\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sort", "snrr"], "did you mean 'snr'"),
        (["--decision", "pcc"], "did you mean 'pc'"),
    ],
)
def test_a_wrong_word_for_candidates_is_answered_with_the_nearest(run, hunted, options, told):
    code, out, err = run("candidates", "--home", hunted, *options)
    assert (code, out) == (2, "")
    assert told in one_line(err)


def test_show_takes_a_number_a_name_or_a_candidate(run, hunted, sky):
    number = sky.rows[0].tic_id
    name = next(name for name in names(hunted) if str(number) in name)
    texts = {run("show", what, "--home", hunted)[1] for what in (number, f"TIC {number}", name)}
    (text,) = texts
    assert text.startswith(f"TIC {number}  CANDIDATE\n")
    assert str(hunted / "candidates" / f"{name}.html") in text
    assert "BTJD" in text
    assert "odd even" in text
    (found,) = json.loads(run("show", number, "--home", hunted, "--json")[1])
    assert found["signals"][0]["period"] == pytest.approx(sky.rows[0].period_days, rel=0.01)


def test_show_tells_the_reason_of_an_unusable_target(run, hunted, sky):
    damaged = next(row for row in sky.rows if row.kind == "truncated")
    assert "cut short" in run("show", damaged.tic_id, "--home", hunted)[1]


def test_an_unknown_target_is_named(run, hunted):
    code, out, err = run("show", "4711", "--home", hunted)
    assert (code, out) == (2, "")
    assert "4711 is not in this hunt" in one_line(err)


# ------------------------------------------------------------------------------------------------ reviewing


def test_a_review_is_kept_with_reason_person_and_time_and_only_added_to(run, hunted):
    name = names(hunted)[0]
    assert "nobody has decided yet" in run("review", name, "--home", hunted)[1]
    code, out, err = run("review", name, "-d", "pc", "-r", "flat bottom", "--by", "ana", "--home", hunted)
    assert code == 0
    assert "planet candidate" in out
    assert err == f"{name}: planet candidate, by ana\n"
    run("review", name, "-d", "Eclipsing-Binary", "-r", "secondary", "--by", "ben", "--home", hunted)
    decisions = json.loads(run("review", name, "--home", hunted, "--json")[1])
    assert [(row["decision"], row["reviewer"], row["reason"]) for row in decisions] == [
        ("planet_candidate", "ana", "flat bottom"),
        ("eclipsing_binary", "ben", "secondary"),
    ]
    assert "eclipsing binary" in run("candidates", "--home", hunted)[1]
    assert "decided: eclipsing binary, by ben" in run("show", name, "--home", hunted)[1]
    assert [
        row["name"] for row in json.loads(run("candidates", "--decision", "eb", "--home", hunted, "--json")[1])
    ] == [name]
    assert "eclipsing" in (hunted / "candidates" / "index.html").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-d", "plant_candidate", "-r", "why"], "did you mean 'planet_candidate'"),
        (["-d", "pc"], "--reason is missing"),
        (["-d", "pc", "-r", "  "], "--reason is missing"),
        (["-r", "because"], "--decision is missing"),
    ],
)
def test_half_a_review_is_refused_and_nothing_recorded(run, hunted, options, told):
    code, out, err = run("review", names(hunted)[0], "--home", hunted, *options)
    assert (code, out) == (2, "")
    assert told in one_line(err)
    assert json.loads(run("review", names(hunted)[0], "--home", hunted, "--json")[1]) == []


def test_a_review_of_no_candidate_is_refused(run, hunted):
    code, _, err = run("review", "TIC_1_p1.000000", "-d", "pc", "-r", "why", "--home", hunted)
    assert code == 2
    assert "TIC_1_p1.000000 is no candidate" in one_line(err)


# ------------------------------------------------------------------------------------------------ exports


def test_the_log_has_the_columns_stages_and_reasons_of_the_contract(run, hunted, sky):
    code, out, _ = run("export", "log", "--home", hunted)
    path = hunted / "exports" / "processed_stars.txt"
    assert (code, out) == (0, f"{path}\n")
    text = path.read_text()
    assert text.splitlines()[0] == "TIC_ID,LAST_STAGE,STATUS,BEST_PERIOD,UPDATED_AT,ERROR" == ",".join(LOG_HEADER)
    assert run("export", "log", "--home", hunted, "--out", "-")[1] == text
    rows = {row["TIC_ID"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 5
    planet = rows[str(sky.rows[0].tic_id)]
    assert (planet["LAST_STAGE"], planet["STATUS"], planet["ERROR"]) == ("DONE", "CANDIDATE", "")
    assert re.fullmatch(r"\d+\.\d{6}", planet["BEST_PERIOD"])
    assert float(planet["BEST_PERIOD"]) == pytest.approx(sky.rows[0].period_days, rel=0.01)
    damaged = next(row for row in sky.rows if row.kind == "truncated")
    assert rows[str(damaged.tic_id)]["STATUS"] == "UNUSABLE"
    assert "cut short" in rows[str(damaged.tic_id)]["ERROR"]


def test_the_timings_have_the_columns_of_the_contract_and_sum_up(run, hunted):
    text = run("export", "timings", "--home", hunted, "--out", "-")[1]
    header = "TIC_ID,PHASE1_MS,PHASE2_MS,PHASE3_MS,PREDICT_MS,TOTAL_MS,STATUS"
    assert text.splitlines()[0] == header == ",".join(TIMING_HEADER)
    for row in csv.DictReader(io.StringIO(text)):
        parts = [float(row[name] or 0) for name in TIMING_HEADER[1:5]]
        publishing = float(row["TOTAL_MS"]) - sum(parts)  # has no column of its own; each is rounded to 0.1 ms
        assert publishing > 10 if row["STATUS"] == "CANDIDATE" else publishing == pytest.approx(0, abs=0.3)
    assert run("export", "timings", "--home", hunted)[1] == f"{hunted / 'exports' / 'hunter_timings.csv'}\n"


def test_the_table_lists_the_candidates_as_csv_and_json(run, hunted, tmp_path):
    run("review", names(hunted)[0], "-d", "pc", "-r", "why", "--home", hunted)
    file = tmp_path / "deep" / "er" / "table.csv"
    assert run("export", "table", "--home", hunted, "--out", file)[:2] == (0, f"{file}\n")
    rows = list(csv.DictReader(file.open()))
    assert [row["name"] for row in rows] == names(hunted)
    assert rows[0]["review"] == "planet_candidate"
    listed = json.loads(run("export", "table", "--home", hunted, "--json", "--out", "-")[1])
    assert [row["name"] for row in listed] == names(hunted)
    assert listed[0]["depth_ppm"] == pytest.approx(float(rows[0]["depth_ppm"]))


@pytest.mark.parametrize(("form", "end"), [("ecsv", "ecsv"), ("votable", "vot"), ("latex", "tex")])
def test_the_table_comes_in_the_formats_of_archives_and_journals(run, hunted, form, end):
    code, out, _ = run("export", "table", "--home", hunted, "--format", form)
    path = hunted / "exports" / f"candidates.{end}"
    assert (code, out) == (0, f"{path}\n")
    told = path.read_text().replace("\\_", "_")
    assert all(name in told for name in names(hunted))
    one = run("export", "table", names(hunted)[1], "--home", hunted, "--format", form, "--out", "-")[1]
    assert names(hunted)[1] in one.replace("\\_", "_")
    assert names(hunted)[0] not in one.replace("\\_", "_")


def test_a_table_of_an_unknown_format_journal_or_candidate_is_refused(run, hunted):
    code, _, err = run("export", "table", "--home", hunted, "--format", "votabel")
    assert code == 2
    assert "did you mean 'votable'?" in one_line(err)
    code, _, err = run("export", "table", "--home", hunted, "--format", "latex", "--journal", "nature")
    assert code == 2
    assert "aastex, mnras, aa" in one_line(err)
    code, _, err = run("export", "table", "TIC_1_p1.000000", "--home", hunted)
    assert code == 2
    assert "no candidate of this hunt" in one_line(err)


def seen_by_a_telescope(home, name):
    """Make the evidence of a simulated candidate that of a real one, which no catalogue lists."""
    path = home / "candidates" / f"{name}.json"
    case = json.loads(path.read_bytes())
    for file in case["data"]["files"]:
        file |= {"author": "SPOC", "processing": "spoc-5.0"}
    case |= {"known": compared(), "vetting": []}
    case["verdict"]["disposition"] = "planet_candidate"
    path.write_text(json.dumps(case))


def test_exofops_file_is_written_for_those_accepted_and_each_refusal_is_told(run, hunted):
    paper = "https://doi.org/10.3847/1538-3881/abcdef"
    export = ("export", "exofop", "--home", hunted, "--username", "jdoe")
    code, _, err = run(*export, "--paper", paper)
    assert code == 2
    assert "no candidate was reviewed as planet candidate" in one_line(err)
    first, second = names(hunted)[:2]
    run("review", first, "-d", "pc", "-r", "why", "--home", hunted)
    code, out, err = run(*export, "--paper", paper)
    assert (code, out) == (1, "")  # it is simulated, and no catalogue was asked
    assert "refused: its light curve is simulated" in err
    assert "refused: what is known of its star is unknown" in err
    assert not (hunted / "exports").exists()
    seen_by_a_telescope(hunted, first)
    code, out, err = run(*export, "--paper", paper)
    path = Path(out.strip())
    assert (code, path.parent) == (0, hunted / "exports")
    assert "nothing was sent" in err
    assert run("export", "exofop", "--check", path)[:2] == (0, "")
    code, out, err = run(*export, "--paper", paper, first, second, "--json")
    told = json.loads(out)
    assert (code, list(told["refused"]), len(told["rows"])) == (3, [second], 1)
    assert told["file"] == str(path).replace("_001.txt", "_002.txt")
    assert told["rows"][0]["tag"].endswith("_jdoe_transit-hunter_00002")
    code, _, err = run(*export)
    assert code == 1
    assert "--paper URL" in err


def test_any_file_for_exofop_can_be_checked_line_by_line(run, tmp_path):
    path = tmp_path / "params_planet_20261122_001.txt"
    path.write_text((ROOT / "tests" / "golden" / path.name).read_text().replace("|2458326.5341|", "|1326.5341|"))
    code, out, _ = run("export", "exofop", "--check", path)
    assert (code, out) == (1, f"{path}: line 4, epoch: 1326.53 is no BJD: above 2000000: add 2457000 to BTJD\n")
    assert json.loads(run("export", "exofop", "--check", path, "--json")[1])[0]["column"] == "epoch"
    template = tmp_path / "template.txt"
    template.write_text("\\ of another kind\na|b\n")
    code, _, err = run("export", "exofop", "--check", path, "--template", template)
    assert code == 2
    assert "no header with the columns target" in one_line(err)
    code, _, err = run("export", "exofop", "--check", tmp_path / "none.txt")
    assert code == 2
    assert "cannot be read" in one_line(err)


def test_a_bundle_for_zenodo_is_written_and_sent_only_when_told_to(run, hunted, monkeypatch):
    with open_archive() as archive:
        monkeypatch.setenv("HUNTER_ZENODO__SANDBOX_URL", archive.url)
        export = ("export", "zenodo", names(hunted)[0], "--home", hunted, "--creator", "Doe, Jane")
        code, out, err = run(*export)
        folder = Path(out.strip())
        assert (code, archive.asked) == (0, [])
        assert "dry run: nothing was sent" in err
        assert "SIMULATED" in err
        with zipfile.ZipFile(folder / f"{folder.name}.zip") as packed:
            held = packed.namelist()
        assert {f"candidates/{names(hunted)[0]}.{kind}" for kind in ("json", "png", "pdf", "html")} <= set(held)
        assert {"SHA256SUMS", "README.txt", "tables/candidates.vot", "candidates/schema.json"} <= set(held)
        for token in ("", " ", "two words"):
            monkeypatch.setenv("ZENODO_SANDBOX_TOKEN", token)
            code, _, err = run(*export, "--send")
            assert (code, archive.asked) == (2, [])
            assert "ZENODO_SANDBOX_TOKEN" in one_line(err)
        monkeypatch.setenv("ZENODO_SANDBOX_TOKEN", TOKEN)
        code, out, err = run(*export, "--send", "--json")
        told = json.loads(out)
        assert (code, told["sent"]["published"], len(archive.deposits)) == (0, False, 1)
        assert told["folder"] == str(folder)
        code, _, err = run(*export, "--send", "--publish")
        assert (code, len(archive.deposits)) == (0, 1)
        assert "published; DOI 10.5072/zenodo." in err
    assert all(TOKEN.encode() not in path.read_bytes() for path in hunted.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--publish", "--creator", "Doe, Jane"], "needs --send"),
        (["--send", "--production", "--creator", "Doe, Jane"], "ZENODO_TOKEN is not set"),
        (["--creator", "Jane"], "Family, Given"),
        ([], "[zenodo] creators"),
    ],
)
def test_a_deposit_that_cannot_be_is_refused_before_anything_leaves(run, hunted, options, told):
    code, _, err = run("export", "zenodo", names(hunted)[0], "--home", hunted, *options)
    assert code == 2
    assert told in one_line(err)


def test_simulated_light_curves_never_go_to_the_real_zenodo(run, hunted, monkeypatch):
    monkeypatch.setenv("ZENODO_TOKEN", TOKEN)
    export = ("export", "zenodo", names(hunted)[0], "--home", hunted, "--creator", "Doe, Jane")
    code, _, err = run(*export, "--send", "--production")
    assert code == 2
    assert "the light curves are simulated, and only the sandbox takes those" in one_line(err)


def test_a_candidate_whose_files_were_touched_is_not_bundled(run, hunted):
    sheet = hunted / "candidates" / f"{names(hunted)[0]}.png"
    sheet.write_bytes(sheet.read_bytes() + b"x")
    code, _, err = run("export", "zenodo", names(hunted)[0], "--home", hunted, "--creator", "Doe, Jane")
    assert code == 2
    assert "differs from its record" in one_line(err)


def test_an_export_that_cannot_be_written_is_named(run, hunted):
    code, _, err = run("export", "log", "--home", hunted, "--out", "/proc/x/log.txt")
    assert code == 1
    assert "/proc/x/log.txt cannot be written" in one_line(err)
    code, _, err = run("export", "log", "--home", hunted, "--out", hunted)
    assert code == 2
    assert "is a folder" in one_line(err)


def test_a_reader_that_has_seen_enough_is_no_failure(hunted):
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*COMMAND, "export", "log", "--home", hunted, "--out", "-"],
        stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------ care


def test_verify_counts_what_is_whole_and_names_what_was_touched(run, hunted):
    files = len(names(hunted)) * 4
    code, out, _ = run("verify", "--home", hunted)
    assert (code, out) == (0, f"{files} files of {files // 4} candidates read, 0 problems\n")
    sheet = hunted / "candidates" / f"{names(hunted)[0]}.png"
    sheet.write_bytes(sheet.read_bytes() + b"x")
    page = hunted / "candidates" / f"{names(hunted)[1]}.html"
    page.unlink()
    code, out, _ = run("verify", "--home", hunted, "--json")
    assert code == 1
    problems = json.loads(out)["problems"]
    assert len(problems) == 2
    assert any(str(sheet) in line and "differs" in line for line in problems)
    assert any(str(page) in line and "No such file" in line for line in problems)


def test_retry_queues_those_named_and_says_what_to_do_next(run, hunted, sky):
    number = sky.rows[0].tic_id
    code, out, err = run("retry", number, "--home", hunted)
    assert (code, out) == (0, "1 target queued again\n")
    assert "hunter run" in err
    assert "1 target to go" in run("status", "--home", hunted)[1]


def test_retry_with_nothing_to_do_says_so(run, hunted):
    code, out, err = run("retry", "--all", "--home", hunted)
    assert (code, out) == (1, "0 targets queued again\n")
    assert "none of them" in err


@pytest.mark.parametrize(("given", "told"), [([], "--class or --all"), (["TIC 5"], "TIC 5: not in this hunt")])
def test_retry_of_nothing_or_nobody_is_wrong_usage(run, hunted, given, told):
    code, out, err = run("retry", *given, "--home", hunted)
    assert (code, out) == (2, "")
    assert told in one_line(err)


def test_a_backup_is_a_whole_database_and_the_check_says_so(run, hunted, tmp_path):
    copy = tmp_path / "copy.sqlite"
    assert run("db", "backup", "--home", hunted, "--out", copy) == (0, f"{copy}\n", "")
    with Reader(copy) as reader:
        assert reader.summary(time.time())["total"] == 5
    code, out, _ = run("db", "check", "--home", hunted)
    assert (code, out) == (0, "the database is whole, and its counters are right\n")
    assert json.loads(run("db", "check", "--home", hunted, "--json")[1]) == {"problems": []}
    assert run("db", "migrate", "--home", hunted)[0] == 0


@pytest.mark.parametrize("command", [["status"], ["candidates"], ["run", "--archive", "SKY"], ["db", "check"]])
def test_a_corrupt_database_is_named_and_left_as_it_is(run, hunted, sky, command):
    file = hunted / "state" / "hunter.sqlite"
    file.write_bytes(b"this was a database " * 500)
    before = file.read_bytes()
    code, out, err = run(*[sky.folder if word == "SKY" else word for word in command], "--home", hunted)
    assert (code, out) == (1, "")
    assert str(file) in one_line(err)
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", [["status"], ["run", "--archive", "SKY"], ["db", "migrate"]])
def test_a_database_of_a_newer_version_is_refused(run, hunted, sky, command):
    connection = sqlite3.connect(hunted / "state" / "hunter.sqlite")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    code, out, err = run(*[sky.folder if word == "SKY" else word for word in command], "--home", hunted)
    assert (code, out) == (1, "")
    assert "newer" in one_line(err)


def small_files_only():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.parametrize("command", ["review", "export"])
def test_a_full_disk_is_said_and_costs_nothing(run, hunted, command):
    name = names(hunted)[0]
    given = {
        "review": ["review", name, "-d", "pc", "-r", "why"],
        "export": ["export", "table"],  # several kilobytes
    }[command]
    run("export", "table", "--home", hunted)
    before = (hunted / "exports" / "candidates.csv").read_bytes()
    done = subprocess.run(
        [*COMMAND, *given, "--home", hunted], preexec_fn=small_files_only, capture_output=True, text=True, cwd=ROOT
    )
    if command == "export":
        assert len(before) > 2000 or done.returncode == 0
    else:
        assert done.returncode == 1
    if done.returncode:
        line = one_line(done.stderr)
        assert re.search("no room left|no space left|cannot be written|does not answer", line), line
    assert (hunted / "exports" / "candidates.csv").read_bytes() == before
    assert run("db", "check", "--home", hunted)[0] == 0
    assert run("verify", "--home", hunted)[0] == 0


def test_models_are_listed_shown_and_verified(run, tmp_path):
    listed = json.loads(run("models", "list", "--home", tmp_path, "--json")[1])
    assert [entry["serving"] for entry in listed] == [True]
    name = listed[0]["name"]
    assert json.loads(run("models", "show", name, "--home", tmp_path, "--json")[1])["name"] == name
    code, out, _ = run("models", "verify", "--home", tmp_path)
    assert (code, out) == (0, f"{name}: whole\n")
    code, _, err = run("models", "show", "nonesuch", "--home", tmp_path)
    assert code == 1
    assert "nonesuch" in one_line(err)


def test_training_on_nothing_names_the_place(run, tmp_path):
    code, out, err = run("train", "--data", tmp_path / "views", "--home", tmp_path)
    assert (code, out) == (1, "")
    assert str(tmp_path / "views") in one_line(err)
    assert "our fault" not in err


# ------------------------------------------------------------------------------------------------ lightness


LIGHT = """
import contextlib, io, sys
from hunter.__main__ import main
for command in {commands!r}:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(command)
    except SystemExit as end:
        assert end.code == 0, (command, end.code, said.getvalue())
    loaded = set(sys.modules) & set({heavy!r})
    assert not loaded, (command, loaded)
"""
HEAVY = ["jax", "torch", "lightkurve", "astropy", "matplotlib", "scipy", "numba"]


def loads_nothing_of(heavy, commands):
    code = LIGHT.format(commands=[[str(word) for word in command] for command in commands], heavy=heavy)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_commands_that_read_import_no_science_and_no_database_library(hunted, sky):
    home = ["--home", hunted]
    loads_nothing_of(
        [*HEAVY, "sqlalchemy", "alembic"],
        [
            ["status", *home],
            ["candidates", *home],
            ["show", sky.rows[0].tic_id, *home],
            ["review", names(hunted)[0], *home],
            ["export", "log", *home],
            ["export", "timings", *home],
            ["export", "table", *home],
            ["verify", *home],
            ["models", "list", *home],
        ],
    )


def test_commands_that_change_a_row_import_no_science(hunted, sky):
    home = ["--home", hunted]
    loads_nothing_of(
        HEAVY,
        [
            ["review", names(hunted)[0], "-d", "pc", "-r", "why", *home],
            ["retry", sky.rows[0].tic_id, *home],
            ["db", "check", *home],
        ],
    )
