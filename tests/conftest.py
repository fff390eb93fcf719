"""What every test shares: pinned threads, JAX in 64 bits and strict, and the door to the real data."""

import os

# before numpy, numba, torch or jax are imported by any test
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# seconds for each candidate of a hunt that asks for something else: test_fit and test_validation have their own
os.environ.setdefault("HUNTER_FIT__SAMPLER", "none")
os.environ.setdefault("HUNTER_VALIDATE__METHOD", "none")

from pathlib import Path

import hypothesis
import pytest

# the first example of a test may compile what it tests: no test asserts how long one takes
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real light curves; the same behaviour is covered by simulated files where it is absent."""
    if not (SHARED_DATA / "truth.csv").exists():
        pytest.skip(f"REAL DATA ABSENT: {SHARED_DATA} is not on this machine; simulated files cover the same behaviour")
    return SHARED_DATA


# the files that take longest, the longest first: begun last, one would keep a core at work while the other waits
LONG = (
    "test_resume",
    "test_cli",
    "test_device",
    "test_state_contract",
    "test_training_sets",
    "test_daemon",
    "test_dask",
    "test_training",
    "test_bench",
    "test_kernels",
    "test_sheet",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with what takes minutes; files are handed out whole and in this order."""
    items.sort(key=lambda item: LONG.index(item.module.__name__) if item.module.__name__ in LONG else len(LONG))


@pytest.fixture
def clock():
    """A clock that stands still until somebody waits."""
    from far_archives import Clock

    return Clock()


@pytest.fixture
def mast(clock):
    """A replica of MAST on that clock."""
    from far_archives import archive

    with archive(clock) as running:
        yield running


@pytest.fixture(scope="session")
def sky():
    """One star with transits and what the phases say of it."""
    from candidate_sky import make_sky

    return make_sky()


@pytest.fixture(scope="session")
def evidence(sky):
    from candidate_sky import evidence_of

    return evidence_of(sky)


@pytest.fixture(scope="session")
def drawn(sky, evidence):
    """The sheet of that candidate, as PNG and PDF."""
    from candidates.plots import draw_sheet

    return draw_sheet(evidence, sky.cleaned, sky.result, sky.views)


@pytest.fixture(scope="session")
def sheet(drawn):
    return drawn.png


@pytest.fixture
def run(capfd):
    """Run a command in this process: exit code, stdout, stderr."""
    from hunter.__main__ import main

    def command(*arguments):
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return end.value.code, out, err

    return command
