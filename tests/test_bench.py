"""What is timed is what it says: turns, ratios, simulated stars, peers that find the planet, processes of their own."""

import importlib.util
import json
import os
import time

import numpy as np
import pytest

from hunter.__main__ import main
from hunter.bench import machine, paired, peers, search, stars
from hunter.bench.night import time_night
from hunter.cli.bench import SECTIONS as TOLD
from hunter.cli.bench import table
from hunter.settings import load, overrides
from hunter.skies import write_sector
from pipeline.types import LightCurve

TINY = search.Sizes(days=12.0, minutes=20.0, period_max=5.0, long_period_max=6.0, batches=(2, 3), several=2, sectors=2,
                    part=10, baselines=(2,), durations_hours=(2.0, 4.0))  # fmt: skip


def quiet(line):
    """Nobody listens."""


def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    return seconds


def test_engines_take_turns_and_ratios_come_from_pairs():
    order = []

    def engine(name, seconds):
        return paired.Engine(name, lambda number: (order.append(name), burn(seconds)))

    slow, fast = paired.take_turns([engine("slow", 0.3), engine("fast", 0.1)], 3)
    assert order[:4] == ["slow", "slow", "fast", "fast"]  # the first calls, and those that are counted
    turns = [name for k, name in enumerate(order[4:]) if k == 0 or name != order[3 + k]]
    assert turns == ["slow", "fast", "slow", "fast"][: len(turns)]
    told = paired.row(fast, slow, goal=2.0, stretch=4.0)
    assert told["ratio"] == pytest.approx(3.0, rel=0.1)
    assert told["met"]
    assert told["ratio_lowest"] <= told["ratio"] <= told["ratio_highest"]
    assert told["milliseconds"] == pytest.approx(100.0, rel=0.1)


def test_a_part_of_the_work_and_a_batch_of_stars_are_told_by_the_star():
    part, several = paired.take_turns(
        [paired.Engine("a tenth", lambda n: burn(0.03), share=0.1), paired.Engine("three", lambda n: burn(0.09), 3)], 1
    )
    assert part.processor[0] == pytest.approx(0.3, rel=0.1)
    assert several.processor[0] == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize("number", [1, 2, 6, 13, 26, 60, 80])
def test_sectors_are_spread_over_six_years_without_two_in_one_place(number):
    which = stars.years_of_sectors(number)
    assert len(set(which)) == number
    assert list(which) == sorted(which)
    assert which[-1] < stars.SIX_YEARS
    if 6 <= number < 80:
        assert which[-1] - which[0] > 0.9 * stars.SIX_YEARS
        assert max(np.diff(which)) > 1  # with gaps


def test_the_transit_put_in_has_the_signal_to_noise_it_was_asked_for():
    times = stars.sector_times(np.random.default_rng(0))
    dip = stars.transit(times, 3.3, times[0] + 1.0, 10.0)
    assert np.sqrt((dip**2).sum()) / stars.SIGMA == pytest.approx(10.0)


@pytest.fixture(scope="module")
def planet():
    """A planet of 3.3 days in four weeks at 20-minute cadence, plain enough for any engine."""
    times = stars.sector_times(np.random.default_rng(1), minutes=20.0)
    flux = stars.white(times, np.random.default_rng(2), 1)[0] - stars.transit(times, 3.3, times[0] + 1.0, 25.0)
    return [LightCurve(times, flux, np.full(times.size, stars.SIGMA))]


def test_every_engine_finds_the_same_planet(planet):
    layout = search.every_duration(float(planet[0].time[-1] - planet[0].time[0]), 6.0)
    here = [
        peers.astropy_bls(planet, layout.period, layout.durations),
        search.kernel_engine("ours", planet, layout),
        *peers.optional(planet, layout.period, layout.durations, (20.0,))[0],
    ]
    for engine in here:
        found = engine.run(0)
        period = found["best_period"] if isinstance(found, dict) else found
        assert min(abs(period / 3.3 / ratio - 1.0) for ratio in (0.5, 1.0, 2.0)) < 0.01, engine.name


def test_a_peer_that_is_not_installed_is_named(planet):
    layout = search.every_duration(float(planet[0].time[-1] - planet[0].time[0]), 6.0)
    engines, absent = peers.optional(planet, layout.period, layout.durations, (20.0,))
    for module in peers.OPTIONAL:
        installed = importlib.util.find_spec(module) is not None
        assert installed or absent[module] == "not installed"
        assert (module in peers.missing()) is not installed
    assert len(engines) + len(absent) == len(peers.OPTIONAL)


@pytest.mark.parametrize("name", [name for name in search.SECTIONS if name not in ("sectors60", "templates")])
def test_every_section_measures_and_says_so_in_a_table(name):
    told = search.SECTIONS[name](TINY, 1, quiet)
    rows = told["rows"]
    assert rows[0]["ratio"] == 1.0
    assert all(row["milliseconds"] > 0 and row["ratio"] > 0 for row in rows)
    assert told["grid"]["periods"] > 100
    json.dumps(told, allow_nan=False)
    lines = list(table({"sections": {name: told}, "machine": machine.machine(), "rounds": 1}))
    assert len(lines) >= len(rows) + 2
    if name == "jax":
        assert told["compiled_after_warm_up"] == 0


def test_a_long_baseline_is_searched_in_a_process_of_its_own(capfd):
    told = search.SECTIONS["sectors60"](TINY, 1, quiet)
    assert [row["name"] for row in told["rows"]] == ["2 sectors, quiet", "2 sectors, a planet of S/N 20"]
    for row in told["rows"]:
        assert 0.05 < row["before_gib"] <= row["peak_gib"] < 2.0
        assert row["met"]
        assert row["wall_seconds"] > 0
    assert told["rows"][0]["signals"] == 0


def test_a_measurement_that_fails_is_not_told_as_one():
    with pytest.raises(RuntimeError, match="ended with"):
        search.apart(["one", "--rounds", "none"], TINY, quiet)


def test_the_command_knows_every_section():
    assert list(TOLD) == list(search.SECTIONS)


def test_the_command_names_the_section_it_does_not_know(capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "search", "--only", "one,bacth"])
    assert end.value.code == 2
    assert "did you mean 'batch'" in capsys.readouterr().err


def test_the_command_prints_a_table_and_json(capfd, monkeypatch):
    for name in search.PINNED:
        monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit) as end:
        main(["bench", "search", "--only", "batch", "--repeats", "1", "--json"])
    assert end.value.code == 0
    told = json.loads(capfd.readouterr().out)
    assert told["simulated"]
    assert told["threads"] == 1
    assert list(told["sections"]) == ["batch"]
    assert "kernel, box, 16 stars" in "\n".join(table(told))


def test_the_machine_is_told():
    assert machine.machine()["cores"] == os.cpu_count()
    assert machine.installed(["numpy", "no-such-distribution"])["no-such-distribution"] is None
    assert machine.peak_memory() > 10_000_000


def test_a_night_is_timed_in_two_processes(tmp_path):
    write_sector(tmp_path / "sky", stars=4, seed=2, cadence_seconds=1200.0, mix={"quiet": 1.0}, damaged=0)
    settings = load(str(tmp_path / "home"), overrides(archive__source=str(tmp_path / "sky")))
    said = []
    told = time_night(settings, workers=2, say=said.append)
    assert told["targets"] == 4
    assert told["processes"] == 2
    assert min(told["hunt_stars_per_hour"], told["notebook_stars_per_hour"]) > 0
    assert told["ratio"] == pytest.approx(told["ratio_without_pages"])  # quiet stars have no pages
    assert told["milliseconds_by_phase"]["search"] > 0
    assert told["machine"]["cores"] == os.cpu_count()
