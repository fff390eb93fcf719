"""The plan of the house holds: who may import whom, and what stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("hunter", "candidates", "pipeline", "models", "state")
ALLOWED = {
    "hunter": set(OURS),
    "candidates": {"candidates", "pipeline"},
    "pipeline": {"pipeline"},
    "models": {"models"},
    "state": {"state"},
}
HEAVY = ("jax", "torch", "lightkurve", "astropy", "matplotlib", "scipy", "numba", "sklearn")
OUTSIDE = {"os", "socket", "urllib", "requests", "sqlite3", "subprocess", "shutil", "tempfile", "pathlib", "random"}


def files(package):
    found = sorted((ROOT / package).rglob("*.py"))
    assert found, f"{package} holds no code"
    return found


def imports(path):
    """Every module a file imports, also inside functions, but not under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("package", OURS)
def test_a_package_imports_only_what_stands_below_it(package):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imports(path)
        if name.split(".")[0] in OURS and name.split(".")[0] not in ALLOWED[package]
    ]
    assert not wrong


def test_search_kernels_import_only_numpy_and_one_compiler():
    for path in files("pipeline/periodogram"):
        outside = {name.split(".")[0] for name in imports(path)} - {"pipeline"} - set(sys.stdlib_module_names)
        assert outside <= {"numpy", "numba", "jax"}, f"{path.name} imports {outside}"
        assert len(outside & {"numba", "jax"}) <= 1, f"{path.name} imports both compilers"


def test_networks_import_only_numpy_and_torch():
    for path in files("models"):
        if path.name.startswith(("resnet", "cnn")):
            outside = {name.split(".")[0] for name in imports(path)} - {"models"} - set(sys.stdlib_module_names)
            assert outside <= {"numpy", "torch"}


def test_the_science_reads_no_file_no_network_no_clock():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files("pipeline")
        for name in imports(path)
        if name.split(".")[0] in OUTSIDE | {"time", "datetime"}
    ]
    assert not wrong


def test_nobody_uses_pickle_or_a_shell():
    for package in OURS:
        for path in files(package):
            text = path.read_text()
            assert not {"pickle", "joblib", "dill", "marshal", "shelve"} & {
                name.split(".")[0] for name in imports(path)
            }
            assert "shell=True" not in text
            assert "allow_pickle=True" not in text


@pytest.mark.parametrize(
    "module",
    ["hunter.cli", "hunter.screen", "hunter.settings", "hunter.pages", "state.reading", "candidates.exports",
     "candidates.review", "candidates.publish", "models.registry", "models.datasets", "hunter.suggest",
     "hunter.health", "hunter.notify.settings", "hunter.notify.messages", "hunter.systemd"],
)  # fmt: skip
def test_what_light_commands_import_is_light(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & set(HEAVY)


def test_the_top_level_is_what_the_design_says():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    top = {name.split("/")[0] for name in tracked}
    assert top <= {
        *OURS, "tests", "benchmarks", "docs", ".ci", ".gitignore", "hunter.toml", "setup.cfg", "pyproject.toml",
        "constraints.txt", "README.md", "CHANGELOG.md", "LICENSE", "Makefile",
    }  # fmt: skip
