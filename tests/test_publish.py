"""A candidate appears whole or not at all, wherever its publication is stopped."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from boundaries import Stop, stop_at

from candidates import publish
from candidates.reading import parse, validate

CONTENTS = {kind: kind.encode() * 400 for kind in publish.KINDS}
NEWER = {kind: kind.upper().encode() * 400 for kind in publish.KINDS}
NAME = "TIC_261136679_p3.123457"


def contents_of(folder: Path, name: str = NAME) -> dict[str, bytes]:
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob(f"{name}.*")}


def publish_all(folder: Path, contents, token: str, step=lambda boundary: None, name: str = NAME) -> None:
    staged = publish.stage_files(folder, name, contents, token, step)
    staged.install(step)
    staged.discard()


def staging_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / publish.STAGING).iterdir())


def test_a_candidate_is_published_with_its_four_files(sky, evidence, tmp_path):
    passed: list[str] = []
    staged = publish.stage(tmp_path, evidence, sky.cleaned, sky.result, sky.views, None, "7-1", passed.append)
    assert contents_of(tmp_path, evidence.name) == {}
    staged.install(passed.append)
    staged.discard()
    found = contents_of(tmp_path, evidence.name)
    assert sorted(found) == ["html", "json", "pdf", "png"]
    for kind, (path, sha256) in staged.files.items():
        assert path == tmp_path / f"{evidence.name}.{kind}"
        assert hashlib.sha256(found[kind]).hexdigest() == sha256
    validate(parse(found["json"]))
    assert staging_of(tmp_path) == []
    assert len(passed) == 28
    assert publish.sweep(tmp_path, {evidence.name}) == []


@pytest.mark.parametrize("before", [None, CONTENTS], ids=["new", "replacing"])
def test_all_files_appear_or_none_when_any_boundary_fails(tmp_path, before):
    passed: list[str] = []
    publish_all(tmp_path / "count", NEWER, "1", passed.append)
    assert len(passed) > 20
    for number, boundary in enumerate(passed):
        folder = tmp_path / str(number)
        if before:
            publish_all(folder, before, "1")
        with pytest.raises(Stop, match=boundary):
            publish_all(folder, NEWER, "2", stop_at(number))
        assert contents_of(folder) == (NEWER if boundary == "undo retired" else before or {})
        publish.sweep(folder, {NAME})
        assert contents_of(folder) == (NEWER if boundary == "undo retired" else before or {})
        assert staging_of(folder) == []


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from candidates import publish
root, name = Path(sys.argv[2]), sys.argv[3]
old = {kind: kind.encode() * 400 for kind in publish.KINDS}
new = {kind: kind.upper().encode() * 400 for kind in publish.KINDS}

def show(folder):
    return {path.suffix[1:]: path.read_bytes() for path in folder.glob(name + ".*")}

def act(folder, contents, token, step=lambda boundary: None):
    staged = publish.stage_files(folder, name, contents, token, step)
    staged.install(step)
    staged.discard()

count = 0
for before in ({}, old):
    number = 0
    while True:
        folder = root / f"{bool(before)}-{number}"
        if before:
            act(folder, before, "1")
        child = os.fork()
        if child == 0:
            left = [number]
            def step(boundary):
                if left[0] == 0:
                    os._exit(9)  # no clean-up runs, as under SIGKILL
                left[0] -= 1
            act(folder, new, "2", step)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        publish.sweep(folder, {name})
        found = show(folder)
        assert found in (before, new), (number, sorted(found))
        assert not list((folder / publish.STAGING).iterdir()), number
        if code == 9:
            act(folder, new, "3")  # the restart
            assert show(folder) == new
            count += 1
        number += 1
        if code == 0:
            break
print(count)
"""


def test_all_files_appear_or_none_when_the_process_is_killed_at_any_boundary(tmp_path):
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", KILL, root, str(tmp_path), NAME], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 52  # 26 boundaries, once for a new candidate and once over an older one


def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path):
    staged = publish.stage_files(tmp_path, NAME, CONTENTS, "1")
    assert len(staging_of(tmp_path)) == 4
    staged.discard()
    staged.discard()
    assert staging_of(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        staged.install()
    assert contents_of(tmp_path) == {}


def test_a_name_that_is_not_ours_is_never_published(tmp_path):
    for name in ("../x_p1.000000", "notes", "a/b_p1.000000", "TIC_1_p1.0"):
        with pytest.raises(ValueError, match="not the name of a candidate"):
            publish.stage_files(tmp_path, name, CONTENTS, "1")


def test_a_sweep_removes_what_nobody_recorded_and_nothing_of_a_person(tmp_path):
    publish_all(tmp_path, CONTENTS, "1")
    publish_all(tmp_path, CONTENTS, "1", name="TIC_5_p2.000000_s12")
    publish.stage_files(tmp_path, "TIC_6_p2.000000", CONTENTS, "9")  # its worker died
    publish.write_index(tmp_path, [])
    mine = ["notes.txt", "TIC_261136679 my thoughts.html", f"{NAME}.md", f"{NAME}.json.bak", "TIC_7_p1.png"]
    for name in mine:
        (tmp_path / name).write_text("a person's")
    (tmp_path / publish.STAGING / "readme").write_text("a person's, too")
    (tmp_path / "index.html.999999999.part").write_text("half")
    removed = publish.sweep(tmp_path, {NAME})
    assert {path.name for path in removed} == {
        *(f"TIC_5_p2.000000_s12.{kind}" for kind in publish.KINDS),
        *(f"TIC_6_p2.000000.9.{kind}" for kind in publish.KINDS),
        "index.html.999999999.part",
    }
    assert {kind: (tmp_path / f"{NAME}.{kind}").read_bytes() for kind in publish.KINDS} == CONTENTS
    assert {*mine, "index.html"} <= {path.name for path in tmp_path.iterdir()}
    assert staging_of(tmp_path) == ["readme"]
    assert publish.sweep(tmp_path, {f"{NAME}.{kind}" for kind in publish.KINDS}) == []
    assert publish.sweep(tmp_path / "absent", set()) == []


@pytest.mark.parametrize("place", ["undo noted", "earlier kept", "png renamed", "json renamed", "candidates synced"])
@pytest.mark.parametrize("replaced", [False, True])
def test_what_another_worker_published_after_a_kill_outlives_the_next_sweep(tmp_path, place, replaced):
    if replaced:  # by an earlier hunt
        publish.stage_files(tmp_path, NAME, dict.fromkeys(CONTENTS, b"earlier"), "0").install()
    child = os.fork()
    if child == 0:
        killed = publish.stage_files(tmp_path, NAME, dict.fromkeys(CONTENTS, b"of the killed"), "1")
        killed.install(lambda step: os._exit(9) if step == place else None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    second = publish.stage_files(tmp_path, NAME, CONTENTS, "2")
    second.install()
    second.discard()  # its record is committed
    publish.sweep(tmp_path, {NAME})
    assert {kind: (tmp_path / f"{NAME}.{kind}").read_bytes() for kind in CONTENTS} == dict(CONTENTS)
    assert list((tmp_path / publish.STAGING).iterdir()) == []


def test_a_sweep_leaves_the_work_of_a_living_worker(tmp_path):
    staged = publish.stage_files(tmp_path, NAME, CONTENTS, "8-3")
    assert publish.sweep(tmp_path, set(), alive={"8-3"}) == []
    staged.install()  # not committed yet: no record names it
    assert publish.sweep(tmp_path, set(), alive={"8-3"}) == []
    assert contents_of(tmp_path) == CONTENTS
    assert len(publish.sweep(tmp_path, set())) == 5  # four files and the note


def test_two_workers_on_one_candidate_leave_one_whole_candidate(tmp_path):
    late = publish.stage_files(tmp_path, NAME, CONTENTS, "1")
    publish_all(tmp_path, NEWER, "2")
    assert contents_of(tmp_path) == NEWER
    late.discard()  # the fence told it that the work was taken over
    assert contents_of(tmp_path) == NEWER
    assert staging_of(tmp_path) == []


def test_the_index_stands_or_is_replaced_at_every_boundary(tmp_path):
    old = publish.write_index(tmp_path, [], written="old").read_bytes()
    for number in range(5):
        publish.write_index(tmp_path, [], written="old")
        with pytest.raises(Stop):
            publish.write_index(tmp_path, [], stop_at(number), written="new")
        data = (tmp_path / "index.html").read_bytes()
        assert data == old if number < 3 else b"Written new" in data
        assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
