"""Drift: quiet nights stay quiet, a planted shift alarms within one night, and a hunt's record is what is looked at."""

import json
import math

import numpy as np
import pytest

from hunter.drifting import drift_of, read_scored, status_line
from models.drift import DriftSettings, find_drift, stability_index
from state.reading import Reader
from state.status import Status
from state.store import NewTarget, PhaseRun, SignalRow, State

NIGHTS = [f"night {n:02d}" for n in range(20)]
DAY = 86_400.0


def quiet(rng: np.random.Generator, nights: int = 20, each: int = 120) -> tuple[dict[str, np.ndarray], list[str]]:
    """SIMULATED: numbers of the same sky every night, one skewed, one in whole numbers, one often unknown."""
    count = nights * each
    numbers = {f"number {k}": rng.normal(size=count) for k in range(10)}
    numbers["depth"] = rng.lognormal(size=count)
    numbers["transits"] = rng.poisson(6, size=count).astype(float)
    numbers["radius"] = np.where(rng.random(count) < 0.3, np.nan, rng.normal(size=count))
    return numbers, [NIGHTS[i // each] for i in range(count)]


def found(numbers, period, strata=None, **settings):
    order = [night for night in NIGHTS if night in set(period)]
    return find_drift(numbers, period, order, strata or {"": ["120 s"] * len(period)}, DriftSettings(**settings))


def test_twenty_quiet_nights_raise_no_alarm():
    for seed in range(6):
        drift = found(*quiet(np.random.default_rng(seed)))
        assert len(drift.shifts) == 19 * 14  # thirteen numbers, and whether the radius is known
        assert drift.alarms == ()


@pytest.mark.parametrize("name", ["number 3", "depth", "transits", "radius"])
def test_a_planted_shift_alarms_in_the_night_it_begins_and_in_none_before(name):
    for seed in range(3):
        numbers, period = quiet(np.random.default_rng(seed))
        late = np.array([NIGHTS.index(night) >= 14 for night in period])
        by = 2.0 if name == "transits" else 0.8 * np.nanstd(numbers[name])
        numbers[name] = np.where(late, numbers[name] + by, numbers[name])
        drift = found(numbers, period)
        assert {shift.number for shift in drift.alarms} == {name}
        assert min(shift.where for shift in drift.alarms) == "night 14"


def test_a_catalogue_that_stops_answering_alarms_too():
    numbers, period = quiet(np.random.default_rng(0))
    late = np.array([NIGHTS.index(night) == 16 for night in period])
    numbers["number 2"] = np.where(late, np.nan, numbers["number 2"])
    (alarm,) = found(numbers, period).alarms
    assert (alarm.number, alarm.where) == ("number 2 unknown", "night 16")


def test_a_difference_that_is_sure_but_small_is_no_alarm():
    rng = np.random.default_rng(1)
    numbers = {"a": np.concatenate([rng.normal(size=20_000), rng.normal(0.1, 1, 20_000)])}
    drift = found(numbers, ["night 00"] * 20_000 + ["night 01"] * 20_000)
    assert drift.shifts[0].p < 1e-6
    assert drift.shifts[0].psi < 0.05
    assert drift.alarms == ()


def test_a_new_cadence_is_compared_with_nothing_but_itself():
    rng = np.random.default_rng(0)
    numbers, period = quiet(rng)
    fast = np.array([NIGHTS.index(night) >= 10 and i % 2 for i, night in enumerate(period)])
    numbers["number 1"] = np.where(fast, numbers["number 1"] + 3, numbers["number 1"])
    cadence = ["20 s" if is_fast else "120 s" for is_fast in fast]
    assert found(numbers, period, {"": cadence}).alarms == ()
    assert found(numbers, period).alarms


def test_too_few_signals_say_nothing_and_are_named():
    numbers, period = quiet(np.random.default_rng(0), nights=3, each=30)
    drift = found(numbers, period)
    assert drift.shifts == ()
    assert "night 01 (120 s): 30 against 30" in drift.too_few
    json.dumps(drift.to_json(), allow_nan=False)


def test_the_stability_index_is_near_nothing_for_one_sky_and_large_for_two():
    rng = np.random.default_rng(2)
    same = [stability_index(rng.normal(size=1000), rng.normal(size=100)) for _ in range(200)]
    assert np.median(same) < 0.03
    assert np.quantile(same, 0.99) < 0.15
    assert stability_index(rng.normal(size=1000), rng.normal(1, 1, 100)) > 0.5
    assert stability_index(np.ones(100), np.ones(100)) == 0


# ------------------------------------------------------------------------------------------------------ a hunt


def write_hunt(home, nights: int, each: int, shifted: int | None = None, seed: int = 0) -> None:
    """The record of SIMULATED nights, as the engine would have written it; from ``shifted`` on scores are higher."""
    rng = np.random.default_rng(seed)
    (home / "state").mkdir(parents=True)
    now = 1.7e9
    with State.open(home / "state" / "hunter.sqlite") as state:
        for night in range(nights):
            now += DAY
            state.log("info", "night", f"a night begins: {each} targets listed, {each} new", now)
            stars = [
                NewTarget(
                    "TIC", str(1000 * night + i), "x:y", (f"/data/tess-s{night // 2 + 1:04d}-{i}_lc.fits",),
                    {"tmag": rng.uniform(9.1, 10.9), "radius": float(rng.lognormal()), "teff": None},
                )
                for i in range(each)
            ]  # fmt: skip
            state.enqueue(stars, now)
            for claim in state.claim("worker", each, now):
                logit = rng.normal(-3, 1.5) + (2.0 if shifted is not None and night >= shifted else 0.0)
                probability = 1 / (1 + math.exp(-logit))
                signals = tuple(
                    SignalRow(
                        number, 3.0 * math.exp(rng.normal()), 1500.0, 0.1, 1e-3 * math.exp(rng.normal()),
                        8 + rng.exponential(10), n_transits=int(rng.poisson(6)), probability=probability,
                        findings=[{"test": "odd_even", "sigma": abs(rng.normal()), "status": "pass"}],
                    )
                    for number in (1, 2)
                )  # fmt: skip
                run = PhaseRun(claim.id, "score", 1, "d", at=now + 60)
                state.record([run], {claim.id: claim.token}, now + 60)
                state.finish(claim, Status.CLEARED, "low", now + 61, signals=signals, model="f" * 64)


def test_a_quiet_hunt_is_quiet_and_says_so_among_its_events(run, tmp_path):
    write_hunt(tmp_path / "hunt", nights=4, each=80)
    code, out, _ = run("evaluate", "--hunt", tmp_path / "hunt", "--json")
    assert code == 0
    told = json.loads(out)
    assert not told["alarm"]
    assert told["stars"] == 320  # one signal of each star
    assert len(told["nights seen"]) == 4
    assert told["sectors seen"] == ["sector 1", "sector 2"]
    assert told["nights"]["comparisons"] > 15
    events = json.loads(run("status", "--home", tmp_path / "hunt", "--json")[1])["events"]
    assert events[0]["kind"] == "drift"
    assert events[0]["text"].startswith("no drift in ")


def test_scores_that_shift_from_one_night_on_alarm_with_exit_code_1(run, tmp_path):
    write_hunt(tmp_path / "hunt", nights=4, each=80, shifted=3)
    code, out, _ = run("evaluate", "--hunt", tmp_path / "hunt", "--json")
    assert code == 1
    told = json.loads(out)
    (alarm,) = told["nights"]["alarms"]
    assert alarm["number"] == "score"
    assert alarm["where"] == told["nights seen"][3]
    code, out, _ = run("evaluate", "--hunt", tmp_path / "hunt")
    assert code == 1
    assert out.startswith("drift: score of night of ")
    shown = run("status", "--home", tmp_path / "hunt")[1]
    assert "drift: score of night of " in shown


def test_nights_are_compared_among_stars_of_like_magnitude_and_scores_of_one_model(tmp_path):
    write_hunt(tmp_path / "hunt", nights=2, each=60)
    with Reader(tmp_path / "hunt" / "state" / "hunter.sqlite") as reader:
        scored = read_scored(reader, tmp_path / "hunt" / "cache")
    assert set(scored.magnitude) == {"Tmag 9 to 11"}
    assert set(scored.cadence) == {"unknown cadence"}
    drift = drift_of(scored, DriftSettings())
    assert "tmag" not in {shift.number for shift in drift["nights"].shifts}
    (score,) = [shift for shift in drift["nights"].shifts if shift.number == "score"]
    assert score.stratum == "unknown cadence, Tmag 9 to 11, model ffffffff"


def test_the_cadence_and_sector_of_a_real_hunt_come_from_its_fetched_files(tmp_path):
    from small_hunts import make_settings, make_sky, open_queued, train_tiny

    from hunter import worker

    sky = make_sky(tmp_path / "sky", stars=2)
    settings = make_settings(tmp_path / "hunt", sky.folder, train_tiny(tmp_path / "models"), hunt__threshold=1.0)
    open_queued(settings).close()
    assert worker.work(settings, worker.Duty()) == 2
    with Reader(settings.database) as reader:
        scored = read_scored(reader, worker.results_folder(settings))
    assert scored.cadence == ["1800 s"] * 2
    assert scored.sectors == [scored.sector[0]]
    assert np.isfinite(scored.numbers["score"]).all()
    line = status_line({"alarm": False, "stars": 2, "nights": {"comparisons": 0}, "sectors": {"comparisons": 0}})
    assert "too few" in line


def test_what_evaluate_is_not_given_or_given_twice_is_refused(run, tmp_path):
    for options, words in (
        ([], "give either --views FILE or --hunt HOME"),
        (["--hunt", tmp_path, "--views", "x.npz"], "give either"),
        (["--hunt", tmp_path, "--scores", "-"], "takes no other option"),
    ):
        code, out, err = run("evaluate", *options, "--home", tmp_path)
        assert (code, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
    code, out, err = run("evaluate", "--hunt", tmp_path / "none")
    assert (code, out) == (1, "")
    assert "hunter run" in err
    assert err.count("\n") == 1
