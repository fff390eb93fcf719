"""A hunt cannot be killed: whatever ends it, wherever, it goes on from the phase in flight to the same answer."""

import random
import shutil
from pathlib import Path

import pytest
from small_hunts import (
    Nursery,
    books,
    endings,
    faults,
    given_for,
    make_settings,
    make_sky,
    open_queued,
    rows,
    train_tiny,
)

PHASES = ("fetch", "clean", "search", "fold", "vet", "score")


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Path:
    """A folder with a sky of one star, one of three, and a model."""
    folder = tmp_path_factory.mktemp("resume")
    make_sky(folder / "sky", 1)
    make_sky(folder / "three", 3)
    train_tiny(folder / "registry")
    return folder


@pytest.fixture(scope="module")
def model(ground) -> Path:
    return ground / "registry" / "tiny"


@pytest.fixture(scope="module")
def given(ground, model) -> dict[str, object]:
    return given_for(ground / "sky", model)


@pytest.fixture(scope="module")
def fresh(ground, model) -> Path:
    """A home whose only target waits; copied for every life."""
    home = ground / "fresh"
    open_queued(make_settings(home, ground / "sky", model)).close()
    return home


@pytest.fixture(scope="module")
def nursery(ground, fresh, given):
    home = ground / "warming"
    shutil.copytree(fresh, home)
    found = Nursery(ground)
    assert found.live(home, given, sheet="drawn", warm=True).code == 0
    yield found
    found.close()


@pytest.fixture(scope="module")
def unbroken(ground, fresh, given, nursery) -> dict[str, dict[str, object]]:
    """The books of a life nobody interrupted, for each kind of sheet, and the boundaries it passed."""
    told = {}
    for sheet in ("drawn", "digest"):
        home, log = ground / f"unbroken-{sheet}", ground / f"boundaries-{sheet}"
        shutil.copytree(fresh, home)
        life = nursery.live(home, given, sheet=sheet, HUNTER_CRASH_LOG=str(log))
        assert [outcome for _, outcome in life.ended] == ["CANDIDATE"]
        assert faults(home) == []
        told[sheet] = books(home) | {"boundaries": [line.split(" ", 1)[1] for line in log.read_text().splitlines()]}
        assert len(told[sheet]["candidates"]) >= 1
    return told


# ------------------------------------------------------------------------------------------------- every boundary


def test_after_a_kill_at_any_boundary_a_restart_gives_the_same_bytes(ground, fresh, given, nursery, unbroken, tmp_path):
    boundaries = unbroken["drawn"]["boundaries"]
    assert boundaries == unbroken["digest"]["boundaries"]
    assert len(boundaries) >= 40
    tally = {"redone": 0}
    for k in range(1, len(boundaries) + 1):
        sheet = "drawn" if k % 12 == 0 else "digest"
        where = f"boundary {k}, {boundaries[k - 1]}"
        home = tmp_path / "home"
        shutil.copytree(fresh, home)
        first = nursery.live(home, given, sheet=sheet, HUNTER_CRASH_AT=str(k))
        assert first.code == -9, where
        stored = {phase for (phase,) in rows(home, "SELECT DISTINCT phase FROM phase_runs")}
        second = nursery.live(home, given, sheet=sheet)
        check_same(home, unbroken[sheet], where)
        # nothing that was stored is computed again, and of what had begun only the phase in flight
        begun, again = {phase for phase, _ in first.computed}, {phase for phase, _ in second.computed}
        assert not again & stored, where
        assert len(begun & again) <= 1, where
        tally["redone"] += len(begun & again)
        shutil.rmtree(home)
    assert tally["redone"] > 0  # some kill did hit a phase in flight


def test_a_restart_that_is_killed_too_changes_nothing(ground, fresh, given, nursery, unbroken, tmp_path):
    draw = random.Random(5)
    last = len(unbroken["digest"]["boundaries"])
    for trial in range(6):
        home = tmp_path / f"home-{trial}"
        shutil.copytree(fresh, home)
        kills = [draw.randint(1, last) for _ in range(3)]
        for k in kills:
            nursery.live(home, given, HUNTER_CRASH_AT=str(k))
        assert nursery.live(home, given).code == 0
        check_same(home, unbroken["digest"], f"killed at {kills}")


def test_a_phase_that_is_killed_ever_again_does_not_condemn_its_target(fresh, given, nursery, unbroken, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(fresh, home)
    search = unbroken["digest"]["boundaries"].index("clean: rows stored") + 2
    assert nursery.live(home, given, HUNTER_CRASH_AT=str(search)).code == -9
    # from now on each life is killed at its first boundary after the claim: 12 times, more than twice max_deaths
    for _ in range(12):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        copy = tmp_path / "copy"
        shutil.copytree(home, copy)
        nursery.live(copy, given, HUNTER_CRASH_LOG=str(log))
        shutil.rmtree(copy)
        claimed = [line.split(" ", 1)[1] for line in log.read_text().splitlines()].index("claimed") + 1
        assert nursery.live(home, given, HUNTER_CRASH_AT=str(claimed)).code == -9
    assert nursery.live(home, given).code == 0
    check_same(home, unbroken["digest"], "killed 13 times")


def check_same(home: Path, wanted: dict[str, object], where: str) -> None:
    """One outcome, the same answer, the same bytes, nothing left over."""
    assert faults(home) == [], where
    assert [outcome for _, outcome in endings(home)] == ["CANDIDATE"], where
    found = books(home)
    for name, value in found.items():
        assert value == wanted[name], f"{name} after {where}"
