"""What can befall one file: a kill, a full disk, a torn page, another age, two processes at once."""

import hashlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text

from state.connecting import MIGRATIONS, connect, restore, upgrade
from state.place import HEAD, file_system, newest_backup, refuse_network, sqlite_file, without_password
from state.reading import Reader
from state.status import (
    DatabaseCorrupt,
    DatabaseFull,
    DatabaseMissing,
    DatabaseUnavailable,
    StateError,
    Status,
)
from state.store import NewTarget, PhaseRun, State

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def empty_record(tmp_path_factory):
    file = tmp_path_factory.mktemp("record") / "hunter.sqlite"
    State.open(file).close()
    return file


@pytest.fixture
def file(empty_record, tmp_path):
    return Path(shutil.copy(empty_record, tmp_path / "hunter.sqlite"))


def fill(file, n=2000):
    with State.open(file) as state:
        state.enqueue([NewTarget("TIC", str(key), "x" * 40, ("/archive/file",)) for key in range(n)], 1.0)
        state.checkpoint()


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


# ---------------------------------------------------------------------------------------------------- opening


def test_a_new_record_is_made_whole_with_its_folder_and_nothing_beside_it(tmp_path):
    file = tmp_path / "home" / "state" / "hunter.sqlite"
    State.open(file).close()
    assert [left.name for left in file.parent.iterdir()] == ["hunter.sqlite"]
    with State.open(f"sqlite:///{file}") as state:
        assert state.check() == []
        assert state.claim("w", 1, 1.0) == []


def test_a_creation_that_was_killed_half_way_is_begun_anew(tmp_path):
    file = tmp_path / "hunter.sqlite"
    (tmp_path / "hunter.sqlite.new").write_bytes(b"half a database")
    (tmp_path / "hunter.sqlite.new-wal").write_bytes(b"and its log")
    State.open(file).close()
    assert [left.name for left in tmp_path.iterdir()] == ["hunter.sqlite"]


def test_the_connection_is_as_durable_as_it_was_asked_to_be(file):
    for asked, level in (("FULL", 2), ("NORMAL", 1)):
        with State.open(file, synchronous=asked) as state, state.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    with pytest.raises(StateError, match="FULL or NORMAL"):
        State.open(file, synchronous="OFF")


@pytest.mark.parametrize("place", [":memory:", "", "sqlite://", "sqlite:///:memory:"])
def test_a_place_that_does_not_last_is_refused(place):
    with pytest.raises(StateError, match="give the path of a file"):
        State.open(place)


def test_urls_are_told_from_paths_and_shown_without_their_password():
    assert sqlite_file("sqlite:////home/a/hunter.sqlite") == Path("/home/a/hunter.sqlite")
    assert sqlite_file("sqlite:///state/hunter.sqlite") == Path("state/hunter.sqlite")
    assert sqlite_file(Path("state/hunter.sqlite")) == Path("state/hunter.sqlite")
    assert sqlite_file("postgresql://host/name") is None
    assert without_password("postgresql://ada:secret@host/name") == "postgresql://ada:***@host/name"
    assert without_password("postgresql://host/name") == "postgresql://host/name"


@pytest.mark.parametrize("open_it", [State.open, Reader])
def test_a_server_that_is_not_there_or_not_known_is_named_without_its_password(open_it):
    with pytest.raises(DatabaseUnavailable, match=r"ada:\*\*\*@127\.0\.0\.1:1/hunt\S* does not answer"):
        open_it("postgresql://ada:secret@127.0.0.1:1/hunt?connect_timeout=2")
    with pytest.raises(StateError, match="mysql is not supported"):
        open_it("mysql://host/name")
    with pytest.raises(StateError, match="neither a file nor a database URL"):
        open_it("not a url://")


def test_a_network_file_system_is_refused_by_its_type(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nserver:/export /data nfs4 rw 0 0\n/dev/vdb /data/local\\040disk xfs rw 0 0\nbroken\n"
    )
    assert file_system(Path("/home/hunt"), mounts) == "ext4"
    assert file_system(Path("/data/hunt/state"), mounts) == "nfs4"
    assert file_system(Path("/data/local disk/hunt"), mounts) == "xfs"
    assert file_system(Path("/database"), mounts) == "ext4"
    assert file_system(Path("/home"), tmp_path / "absent") is None
    refuse_network(Path("/home/hunt"), mounts)
    with pytest.raises(DatabaseUnavailable, match=r"nfs4.*local disk.*PostgreSQL"):
        refuse_network(Path("/data/hunt/hunter.sqlite"), mounts)


# ---------------------------------------------------------------------------------------------------- damage


def tear_pages(file):
    """Overwrite pages in the middle, after everything was folded into the file."""
    size = file.stat().st_size
    with open(file, "r+b") as opened:
        for at in range(size // 4096 // 3, size // 4096 // 3 + 6):
            opened.seek(at * 4096)
            opened.write(os.urandom(4096))


def truncate(file):
    os.truncate(file, 0)


def scribble(file):
    file.write_bytes(b"<html>503 Service Unavailable</html>" * 400)


def cut_short(file):
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)


@pytest.mark.parametrize("harm", [tear_pages, truncate, scribble, cut_short])
def test_a_damaged_file_is_refused_kept_and_its_newest_backup_named(file, harm):
    fill(file)
    with State.open(file) as state:
        state.backup(file.parent / "hunter-monday.sqlite")
        backup = state.backup(file.parent / "hunter-tuesday.sqlite")
    os.utime(file.parent / "hunter-monday.sqlite", (1.0, 1.0))
    harm(file)
    before = digest(file)
    with pytest.raises(DatabaseCorrupt) as refused:
        State.open(file)
    assert digest(file) == before
    message = str(refused.value)
    assert "\n" not in message
    assert "left as it is" in message
    assert f"cp {backup} {file}" in message
    shutil.copy(backup, file)  # what the message says
    with State.open(file) as state:
        assert state.check() == []


def test_a_damaged_file_without_a_backup_says_so(file):
    scribble(file)
    with pytest.raises(DatabaseCorrupt, match="no backup was found"):
        State.open(file)
    with pytest.raises(DatabaseCorrupt, match="no backup was found"):
        Reader(file)


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE recipes (name)")
    before = digest(file)
    with pytest.raises(DatabaseCorrupt, match=r"tables of something else \(recipes\)"):
        State.open(file)
    with pytest.raises(DatabaseMissing, match="holds no hunt"):
        Reader(file)
    assert digest(file) == before


def test_a_log_without_its_database_is_not_overwritten(tmp_path):
    (tmp_path / "hunter.sqlite-wal").write_bytes(b"acknowledged rows")
    with pytest.raises(DatabaseCorrupt, match="without its database"):
        State.open(tmp_path / "hunter.sqlite")
    assert (tmp_path / "hunter.sqlite-wal").read_bytes() == b"acknowledged rows"


# ---------------------------------------------------------------------------------------------------- upgrades

NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9000", "{head}"

def upgrade():
    op.add_column("targets", sa.Column("remark", sa.Text))
    op.execute("UPDATE targets SET remark = 'upgraded'")
    {fault}
"""


@pytest.fixture
def next_version(tmp_path):
    """The migrations of a version to come."""

    def make(fault=""):
        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        (folder / "versions" / "9000_remark.py").write_text(NEXT_REVISION.format(fault=fault, head=HEAD))
        return folder

    return make


def test_the_newest_revision_is_the_one_the_code_expects():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_an_upgrade_backs_up_first_and_keeps_every_row(file, next_version):
    fill(file, 50)
    engine = connect(file)
    backup = upgrade(engine, next_version(), "9000")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM targets WHERE remark = 'upgraded'")).scalar() == 50
    engine.dispose()
    assert backup == file.with_name("hunter-before-9000.sqlite")
    assert newest_backup(file) == backup
    with State.open(backup) as old:
        assert old.check() == []
        assert len(old.claim("w", 99, 2.0)) == 50
    with pytest.raises(StateError, match="9000"):
        State.open(file)  # this version is now the old one


def test_an_upgrade_that_fails_leaves_the_old_record(file, next_version):
    fill(file, 50)
    engine = connect(file)
    with pytest.raises(RuntimeError, match="power cut"):
        upgrade(engine, next_version("raise RuntimeError('power cut')"), "9000")
    engine.dispose()
    with State.open(file) as state:
        assert state.check() == []
        assert len(state.claim("w", 99, 2.0)) == 50


def test_an_empty_record_is_upgraded_without_a_backup(file, next_version):
    engine = connect(file)
    assert upgrade(engine, next_version(), "9000") is None
    engine.dispose()
    assert newest_backup(file) is None


# ---------------------------------------------------------------------------------------------------- plans


def test_the_claim_reads_its_partial_index_from_the_front_and_sorts_nothing(file):
    fill(file, 300)
    said = []
    with State.open(file) as state:

        @event.listens_for(state.engine, "before_cursor_execute")
        def hear(_connection, _cursor, statement, parameters, _context, _many):
            said.append((statement, parameters))

        state.claim("w", 64, 2.0)
        state.due(3.0)
        state.reclaim(3.0, 30.0, "h", "b", lambda pid: False)
    plans = {}
    with closing(sqlite3.connect(file)) as connection:
        for statement, parameters in said:
            if statement.startswith(("WITH", "SELECT", "UPDATE")):
                plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
                plans[statement] = " | ".join(step[3] for step in plan)
    claims = [plan for statement, plan in plans.items() if "picked" in statement]
    assert len(claims) == 2
    assert "USING INDEX targets_suspects" in claims[0]
    assert "USING INDEX targets_queue" in claims[1]
    assert all("TEMP B-TREE" not in plan and "SCAN targets" not in plan for plan in claims)
    assert any("targets_deferred" in plan for plan in plans.values())
    assert any("targets_running" in plan for plan in plans.values())
    assert not any(plan.startswith("SCAN targets |") or plan == "SCAN targets" for plan in plans.values()), plans


def test_the_summary_scans_no_long_table(file):
    fill(file, 300)
    said = []
    with Reader(file) as reader:
        reader._door.connection.set_trace_callback(said.append)
        reader.summary(5.0)
        plans = {
            statement: [step[3] for step in reader._door.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for statement in list(said)
        }
        said.clear()
        assert len(reader.find("TIC 77")) == 1
        assert len(reader.find("77")) == 1
        lookups = {
            statement: [step[3] for step in reader._door.connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for statement in list(said)
            if statement.startswith("SELECT * FROM targets")
        }
    assert len(plans) >= 10
    assert len(lookups) == 2
    assert all("kind=? AND key" in step for plan in lookups.values() for step in plan), lookups
    for statement, plan in plans.items():
        if "LIMIT" in statement:
            continue  # a few rows from one end
        scanned = [step for step in plan if step.startswith("SCAN")]
        # messages to people and words of our processes are few: some a day, some a process
        short = ("counts", "targets_suspects", "targets_wanted_suspects", "outbox", "meta")
        assert all(any(name in step for name in short) for step in scanned), (statement, plan)


# ---------------------------------------------------------------------------------------------------- kills

WRITER = """
import sys
from state.store import NewTarget, PhaseRun, State
state = State.open(sys.argv[1], synchronous="NORMAL")
state.enqueue([NewTarget("TIC", str(key), "x") for key in range(50)], 1.0)
(claim,) = state.claim("w", 1, 2.0)
for number in range(1, 10**6):
    state.record([PhaseRun(claim.id, "search", number, "d")], {claim.id: claim.token}, 3.0)
    print(number, flush=True)
"""


def test_a_reader_works_beside_a_writer_and_after_its_kill_and_finds_every_acknowledged_row(file):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True, cwd=HERE)
    try:
        for _ in range(20):
            acknowledged = int(writer.stdout.readline())
        with Reader(file) as reader:
            assert reader.summary(4.0)["counts"]["RUNNING"] == 1
            target = reader.summary(4.0)
            assert target["total"] == 50
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        writer.wait()
    assert Path(f"{file}-wal").stat().st_size > 0  # what the dead writer left
    with Reader(file) as reader:
        (begun,) = reader.processed()
        recorded = {run["item"] for run in reader.target("TIC", begun["key"])["phase_runs"]}
    assert set(range(1, acknowledged + 1)) <= recorded
    with State.open(file) as state:
        assert state.check() == []
        assert len(state.reclaim(5.0, 30.0, "h", "b", lambda pid: True)) == 1


def test_a_reader_needs_no_right_to_write(file):
    fill(file, 10)
    root = os.geteuid() == 0
    # pytest's own folders are closed to others, so an unprivileged reader gets one of its own
    folder = Path("/tmp") / f"hunter-reader-{os.getpid()}"
    folder.mkdir()
    try:
        shutil.copy(file, folder / "hunter.sqlite")
        (folder / "hunter.sqlite").chmod(0o444)
        folder.chmod(0o555)
        if root:
            os.setresuid(65534, 65534, 0)  # nobody, for a moment: root may write anywhere
        try:
            with Reader(folder / "hunter.sqlite") as reader:
                assert reader.summary(1.0)["total"] == 10
            with pytest.raises(DatabaseUnavailable, match="cannot be"):
                State.open(folder / "hunter.sqlite").enqueue([NewTarget("TIC", "1", "x")], 2.0)
            with pytest.raises(DatabaseUnavailable, match="cannot be opened: Permission denied"):
                State.open(folder / "new" / "hunter.sqlite")
        finally:
            if root:
                os.setresuid(0, 0, 0)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# Kill at each step of one target's life: count the steps of a clean life, then die at each of them in turn.
# The driver forks, since a fork of this small process costs 5 ms and a new interpreter 500.
CRASHES = textwrap.dedent("""
    import os, shutil, signal, sys
    from pathlib import Path
    from state.status import NEXT, Status
    from state.store import CandidateRow, NewTarget, PhaseRun, SignalRow, State

    template, folder = Path(sys.argv[1]), Path(sys.argv[2])

    def live(database, files, step, now):
        with State.open(database, step=step, synchronous="NORMAL") as state:
            state.enqueue([NewTarget("TIC", str(key), "x") for key in range(2)], now)
            state.register_worker(f"w{now}", os.getpid(), "h", "b", now)
            state.reclaim(now, 30.0, "h", "b", lambda pid: pid != os.getpid())
            while claims := state.claim(f"w{now}", 2, now):
                for phase in ("clean", "search"):
                    done = {i for i, runs in state.phase_runs([c.id for c in claims]).items()
                            if phase in {run.phase for run in runs}}
                    runs = [PhaseRun(c.id, phase, 0, "d") for c in claims if c.id not in done]
                    assert state.record(runs, {c.id: c.token for c in claims}, now) == set()
                for claim in claims:
                    name = f"TIC_{claim.key}"
                    found = CandidateRow("k", name, 1.0, 2.0, 0.1, 0.01, 9.0)
                    assert state.finish(claim, Status.CANDIDATE, "x", now, signals=[SignalRow(1, 1., 2., .1, .01, 9.)],
                                        candidates=[found], install=(files / name).touch)
            state.retire_worker(f"w{now}", now)

    def die_at(number):
        passed = []
        def step(name):
            passed.append(name)
            if len(passed) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return step, passed

    step, passed = die_at(0)
    (folder / "clean").mkdir()
    shutil.copy(template, folder / "clean" / "hunter.sqlite")
    live(folder / "clean" / "hunter.sqlite", folder / "clean", step, 1)
    steps = list(passed)

    for number in range(1, len(steps) + 1):
        here = folder / str(number)
        here.mkdir()
        database = here / "hunter.sqlite"
        shutil.copy(template, database)
        child = os.fork()
        if child == 0:
            live(database, here, die_at(number)[0], 1)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, steps[number - 1]
        with State.open(database, synchronous="NORMAL") as state, state.engine.connect() as connection:
            # a row is never without its file
            names = connection.exec_driver_sql("SELECT name FROM candidates").scalars().all()
            assert all((here / name).exists() for name in names), steps[number - 1]
        live(database, here, die_at(0)[0], 2)
        with State.open(database, synchronous="NORMAL") as state, state.engine.connect() as connection:
            assert state.check() == [], steps[number - 1]
            def rows(sql):
                return [tuple(row) for row in connection.exec_driver_sql(sql)]
            assert rows("SELECT key, status, attempts FROM targets ORDER BY key") == [
                ("0", "CANDIDATE", 0), ("1", "CANDIDATE", 0)], steps[number - 1]
            assert rows("SELECT name FROM candidates ORDER BY name") == [("TIC_0",), ("TIC_1",)]
            assert rows("SELECT count(*) FROM phase_runs") == [(4,)]
            finished = rows("SELECT target_id FROM moves WHERE went_to = 'CANDIDATE' ORDER BY target_id")
            assert finished == [(1,), (2,)], steps[number - 1]
            where = {1: "QUEUED", 2: "QUEUED"}
            for target, came, went in rows("SELECT target_id, came_from, went_to FROM moves ORDER BY id"):
                assert where[target] == came and went in NEXT[Status(came)]
                where[target] = went
    print(len(steps))
""")


def test_a_kill_at_any_step_loses_and_doubles_nothing(empty_record, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, str(empty_record), str(tmp_path)], capture_output=True, text=True, cwd=HERE
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 40  # steps, each of them died at


# ---------------------------------------------------------------------------------------------------- full disks


def record_until_refused(state, claim):
    for number in range(1, 100_000):
        try:
            state.record([PhaseRun(claim.id, "search", number, "d" * 500)], {claim.id: claim.token}, 3.0)
        except DatabaseUnavailable as error:
            return number - 1, error
    raise AssertionError("100,000 rows went into 20 pages")


def test_a_full_disk_keeps_what_was_acknowledged_and_goes_on_when_there_is_space(file):
    with State.open(file) as state:
        state.enqueue([NewTarget("TIC", "1", "x")], 1.0)
        (claim,) = state.claim("w", 1, 2.0)
        with closing(state.engine.raw_connection()) as borrowed:
            (pages,) = borrowed.execute("PRAGMA page_count").fetchone()
            borrowed.execute(f"PRAGMA max_page_count={pages + 20}").close()
        acknowledged, error = record_until_refused(state, claim)
        assert isinstance(error, DatabaseFull)
        assert "free some space" in str(error)
        assert acknowledged > 10
        assert len(state.phase_runs([claim.id])[claim.id]) == acknowledged
        with Reader(file) as reader:
            assert len(reader.target("TIC", "1")["phase_runs"]) == acknowledged
        with closing(state.engine.raw_connection()) as borrowed:
            borrowed.execute("PRAGMA max_page_count=1000000").close()
        assert state.record([PhaseRun(claim.id, "fold", 1, "d")], {claim.id: claim.token}, 4.0) == set()
        assert state.finish(claim, Status.NO_SIGNAL, "quiet", 5.0)
        assert state.check() == []


LIMITED = """
import resource, signal, sys
from state.status import DatabaseUnavailable
from state.store import NewTarget, PhaseRun, State
with State.open(sys.argv[1]) as state:
    state.enqueue([NewTarget("TIC", "1", "x")], 1.0)
    (claim,) = state.claim("w", 1, 2.0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    number = 0
    try:
        while True:
            run = PhaseRun(claim.id, "search", number + 1, "d" * 500)
            state.record([run], {claim.id: claim.token}, 3.0)
            number += 1
    except DatabaseUnavailable as error:
        print(number, error, sep="|", flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    state.record([PhaseRun(claim.id, "fold", 1, "d")], {claim.id: claim.token}, 4.0)
"""


def test_a_write_that_the_system_refuses_half_way_keeps_what_was_acknowledged(file):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", LIMITED, str(file)], capture_output=True, text=True, cwd=HERE)
    assert done.returncode == 0, done.stderr
    number, message = done.stdout.strip().split("|")
    assert str(file) in message
    assert int(number) > 10
    with State.open(file) as state:
        assert state.check() == []
        runs = state.phase_runs([1])[1]
    assert {run.item for run in runs if run.phase == "search"} == set(range(1, int(number) + 1))
    assert [run.phase for run in runs if run.phase != "search"] == ["fold"]


# ---------------------------------------------------------------------------------------------------- keeping


def test_a_backup_of_a_record_in_use_is_whole_and_stands_alone(file):
    fill(file, 100)
    with State.open(file) as state:
        claims = state.claim("w", 10, 2.0)
        backup = state.backup(file.parent / "backups.sqlite")
        state.finish(claims[0], Status.NO_SIGNAL, "after the backup", 3.0)
    assert sorted(left.name for left in file.parent.glob("backups*")) == ["backups.sqlite"]
    with State.open(backup) as copy:
        assert copy.check() == []
        assert len(copy.reclaim(9.0, 30.0, "h", "b", lambda pid: True)) == 10


def test_a_backup_that_cannot_be_written_leaves_nothing_and_the_record_alone(file):
    with State.open(file) as state, pytest.raises(DatabaseUnavailable, match="could not be written"):
        state.backup(file.parent / "absent" / "backup.sqlite")


def test_a_damaged_record_is_restored_by_the_command_its_message_names_and_kept(tmp_path, run):
    home = tmp_path / "home"
    file = home / "state" / "hunter.sqlite"
    fill(file, 300)
    with State.open(file) as state:
        saved = state.backup(home / "state" / "hunter-monday.sqlite")
        state.enqueue([NewTarget("TIC", "after", "x")], 2.0)
        state.checkpoint()
    scribble(file)
    torn = digest(file)
    code, _, err = run("candidates", "--home", home)
    assert code == 1
    assert f"hunter db restore {saved} --home {home}" in err
    code, out, err = run("db", "restore", saved, "--home", home)
    assert (code, out.strip()) == (0, str(file))
    (kept,) = file.parent.glob("hunter-replaced-*.sqlite")
    assert str(kept) in err
    assert digest(kept) == torn
    assert newest_backup(file) == saved  # what was put aside is no backup
    with State.open(file) as state:
        assert state.check() == []
        assert len(state.claim("w", 999, 3.0)) == 300


def test_a_backup_that_is_damaged_or_no_hunts_is_not_restored(file, tmp_path):
    fill(file, 10)
    before = digest(file)
    bad = tmp_path / "bad.sqlite"
    bad.write_bytes(b"half a download" * 400)
    with pytest.raises(DatabaseCorrupt, match="restore another backup"):
        restore(file, bad, "now")
    with closing(sqlite3.connect(tmp_path / "recipes.sqlite")) as other:
        other.execute("CREATE TABLE recipes (name)")
    with pytest.raises(DatabaseCorrupt, match="something else"):
        restore(file, tmp_path / "recipes.sqlite", "now")
    assert digest(file) == before
    assert sorted(path.name for path in tmp_path.glob("hunter*")) == ["hunter.sqlite"]


def test_a_restore_can_be_undone_with_what_was_in_the_log(file):
    with State.open(file) as state:
        state.enqueue([NewTarget("TIC", "1", "x")], 1.0)
        saved = state.backup(file.parent / "saved.sqlite")
        state.enqueue([NewTarget("TIC", "2", "x")], 2.0)
        # a kill leaves the log behind
        for end in ("", "-wal"):
            shutil.copy(f"{file}{end}", f"{file}.copy{end}")
    for end in ("", "-wal"):
        os.replace(f"{file}.copy{end}", f"{file}{end}")
    kept = restore(file, saved, "1")
    with State.open(file) as state:
        assert [claim.key for claim in state.claim("w", 9, 3.0)] == ["1"]
    restore(file, kept, "2")
    with State.open(file) as state:
        assert [claim.key for claim in state.claim("w", 9, 3.0)] == ["1", "2"]


def test_a_checkpoint_empties_the_log_and_does_not_wait_for_a_reader(file):
    with State.open(file) as state:
        state.enqueue([NewTarget("TIC", str(key), "x") for key in range(500)], 1.0)
        assert Path(f"{file}-wal").stat().st_size > 0
        state.checkpoint()
        assert Path(f"{file}-wal").stat().st_size == 0
        with closing(sqlite3.connect(file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM targets").fetchone()
            state.enqueue([NewTarget("TIC", "new", "x")], 2.0)
            state.checkpoint()
            assert reader.execute("SELECT count(*) FROM targets").fetchone() == (500,)
        assert state.check() == []


def test_a_writer_waits_for_another_and_says_who_is_in_the_way_when_it_gives_up(file):
    with State.open(file) as state:
        with state.engine.connect() as connection:  # the one connection of the pool, less patient than usual
            connection.exec_driver_sql("PRAGMA busy_timeout=100")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailable, match="locked by another process"):
                state.set("a", "b")
            assert state.get("a") is None  # reading needs no lock
            other.execute("ROLLBACK")
        state.set("a", "b")
        assert state.get("a") == "b"
