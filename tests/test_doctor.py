"""The doctor: each thing that can be wrong is named with its cure."""

import os
from pathlib import Path

import pytest

from hunter import doctor
from hunter.settings import load


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [*os.environ]:
        if name.startswith("HUNTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def checks(tmp_path):
    """All checks of a home, but those that start a child process for a library."""
    quick = [check for check in doctor.CHECKS if check.__name__ not in ("_jax", "_torch", "_numba")]

    def of(text="", home=tmp_path):
        if home.is_dir():
            (home / "hunter.toml").write_text(text)
        return {check.name: check for check in doctor.examine(load(str(home)), quick)}

    return of


def test_a_fresh_home_is_fit_but_for_the_archive(checks):
    found = checks()
    assert [name for name, check in found.items() if check.status == "fail"] == []
    assert found["archive"].status == "warn"
    assert "--archive DIR" in found["archive"].cure


def test_an_archive_that_is_no_folder_fails_with_its_name(checks):
    found = checks('[archive]\nsource = "gone"\n')["archive"]
    assert found.status == "fail"
    assert "gone is no folder" in found.note


def test_a_disk_below_the_floor_fails_with_the_setting(checks):
    found = checks("[engine]\nfree_disk_mb = 1e12\n")["disk"]
    assert found.status == "fail"
    assert "[engine] free_disk_mb" in found.cure


def test_a_damaged_database_fails_and_the_other_checks_go_on(checks, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hunter.sqlite").write_bytes(b"damage" * 1000)
    found = checks()
    assert found["database"].status == "fail"
    assert found["database"].cure
    assert found["clock"].status == "ok"


def test_a_home_that_cannot_be_written_fails_with_the_cure(checks):
    found = checks(home=Path("/proc/hunt"))["writing"]
    assert found.status == "fail"
    assert "another --home" in found.cure


def test_a_checkpoint_that_is_not_there_fails_with_a_cure(checks):
    found = checks('[score]\ncheckpoint = "/nowhere/model"\n')["model"]
    assert found.status == "fail"
    assert found.cure


def test_a_library_that_breaks_is_a_failure_of_its_line_alone(tmp_path):
    def _jax(settings):
        return doctor.Check("jax", "ok", doctor._child("raise OSError('libcuda.so.1: cannot open')"))

    found = [*doctor.examine(load(str(tmp_path)), [_jax, *doctor.CHECKS[:1]])]
    assert [(check.name, check.status) for check in found] == [("jax", "fail"), ("python", "ok")]
    assert "libcuda" in found[0].note
    assert found[0].cure


def test_jax_on_the_cpu_beside_a_gpu_is_warned_of_with_the_cure():
    seen = {"version": "0.10.2", "backend": "cpu", "kinds": ["cpu"]}
    assert doctor.jax_line(seen, card=False, plugin=False) == doctor.Check("jax", "ok", "0.10.2 on cpu: cpu")
    bare = doctor.jax_line(seen, card=True, plugin=False)
    assert (bare.status, bare.cure.partition(": ")[2]) == ("warn", "pip install 'transit-hunter[cuda]'")
    assert "nvidia-smi" in doctor.jax_line(seen, card=True, plugin=True).cure
    gpus = {"version": "0.10.2", "backend": "gpu", "kinds": ["NVIDIA H200", "NVIDIA H200"]}
    assert doctor.jax_line(gpus, card=True, plugin=True).note == "0.10.2 on gpu: 2 x NVIDIA H200"
    assert doctor.jax_line(gpus, card=True, plugin=True).status == "ok"


def test_the_widest_vector_registers_are_named():
    assert doctor.simd(["sse2", "avx", "avx2", "avx512f"]) == "512-bit AVX-512"
    assert doctor.simd(["sse2", "avx"]) == "256-bit AVX"
    assert doctor.simd(["neon", "fp-armv8"]) == "128-bit NEON"
    assert doctor.simd([]) == "no vector registers known"


def test_each_library_says_on_what_it_runs(tmp_path):
    found = [*doctor.examine(load(str(tmp_path)), [doctor._jax, doctor._torch, doctor._numba])]
    assert [check.name for check in found] == ["jax", "torch", "numba"]
    assert "fail" not in [check.status for check in found]
    assert all(" on " in check.note for check in found)
    assert "thread" in found[2].note


def test_the_command_prints_a_line_for_each_and_fails_if_one_does(tmp_path, capfd):
    from hunter.__main__ import main

    (tmp_path / "hunter.toml").write_text('[archive]\nsource = "gone"\n')
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--home", str(tmp_path)])
    lines = capfd.readouterr().out.splitlines()
    assert end.value.code == 1
    assert len(lines) == len(doctor.CHECKS)
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)
    assert any(line.startswith("fail  archive") and " -> " in line for line in lines)


def test_a_child_that_fails_gives_its_last_line(tmp_path):
    with pytest.raises(RuntimeError, match="no such driver"):
        doctor._child("raise OSError('no such driver')")
