"""Sets that come out of the hunt's own phases: what was found is named by what is there, and nothing is lost."""

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from nursery import digest_sheet
from small_hunts import open_queued

from hunter import worker
from hunter.__main__ import main
from hunter.archives.folder import FolderArchive
from hunter.settings import SettingsError, load
from hunter.skies import write_sector
from hunter.suggest import entropy, log_suggestion, next_to_review, suggested_before
from hunter.training_sets import listed
from hunter.training_sets.build import SOURCES, Wanted, build, named_sets, sets_folder
from hunter.training_sets.naming import Truth, alias_of, name_simulated
from hunter.training_sets.simulated import Geometry, simulate, simulated_star
from hunter.training_sets.work import carry_out, collect, number_in
from models.datasets import JUDGED, ViewsRefused, leaks, open_dataset
from models.datasets.snapshots import read_snapshot, write_snapshot
from models.registry import sha256_of
from pipeline.simulate import VARIETY, draw_varied_star
from pipeline.types import CleanedLightCurve, LightCurve, TransitSignal
from state.reading import Reader
from state.store import State

ROOT = Path(__file__).parents[1]
QUICK = Geometry(every_peak=True, vet=False)


@pytest.fixture
def quick(tmp_path):
    given = {"compute.workers": 1, "compute.backend": "numba", "search.templates": ["box"]}
    return load(str(tmp_path / "home"), given)


def signal(period: float, epoch: float, duration: float = 0.1) -> TransitSignal:
    return TransitSignal(period, epoch, duration, 0.01, 20.0)


def cleaned(days: float = 27.0) -> CleanedLightCurve:
    time = np.arange(0, days, 1 / 48)
    curve = LightCurve(time, np.ones(time.size), np.full(time.size, 1e-3))
    nothing = np.full(time.size, np.nan)
    return CleanedLightCurve(
        curve, curve, np.zeros(time.size, dtype=np.int64), np.full(time.size, 1 / 48), nothing, nothing, (), {}
    )


# ------------------------------------------------------------------------------------------------------- naming


@pytest.mark.parametrize("alias", [1.0, 2.0, 0.5, 3.0, 1 / 3])
def test_a_planet_is_recognised_at_its_period_and_its_aliases(alias):
    truth = Truth("planet", 3.0, 5.0, 0.1)
    found = signal(3.0 * alias * 1.004, 5.0 + 3.0 * 4)
    assert alias_of(found, truth) == alias
    named = name_simulated(found, [truth], "planet", cleaned())
    assert named is not None
    assert (named.disposition, named.alias) == ("PC", alias)
    # the same period half a period away is something else
    assert alias_of(replace(found, epoch=found.epoch + 1.5 * min(alias, 1.0)), truth) is None
    assert alias_of(replace(found, period=found.period * 1.02), truth) is None


def test_a_binary_is_one_at_half_its_period_and_from_its_second_eclipse():
    truth = Truth("detached", 4.0, 5.0, 0.2, secondary_epoch=7.0)
    assert alias_of(signal(2.0, 7.0), truth) == 0.5
    assert alias_of(signal(4.0, 7.0), truth) == 1.0
    assert alias_of(signal(4.0, 6.0), truth) is None
    for kind, disposition, what in (("detached", "EB", "detached"), ("blend", "EB", "blend: detached")):
        named = name_simulated(signal(2.0, 7.0), [truth], kind, cleaned())
        assert named is not None
        assert (named.disposition, named.what) == (disposition, what)


def test_a_signal_that_is_not_the_planet_is_never_a_planet():
    truth = Truth("planet", 3.0, 5.0, 0.1)
    stranger = name_simulated(signal(4.37, 6.1), [truth], "planet", cleaned())
    assert stranger is not None
    assert (stranger.disposition, stranger.what) == ("J", "wrong signal")
    assert isnan(stranger.alias)
    # 4/3 of the period takes one true transit in four with it: an alias nobody listed, which is neither
    assert name_simulated(signal(4.0, 5.0), [truth], "planet", cleaned()) is None


def test_contact_pairs_are_variables_whatever_is_found_in_them():
    truth = Truth("contact", 0.6, 5.0, 0.15, secondary_epoch=5.3)
    for period, epoch in ((0.6, 5.0), (0.3, 5.0), (1.7, 6.0)):
        named = name_simulated(signal(period, epoch), [truth], "contact", cleaned())
        assert named is not None
        assert named.disposition == "V"


def test_a_planet_in_a_blended_neighbour_is_no_planet_of_this_star():
    named = name_simulated(signal(3.0, 5.0), [Truth("planet", 3.0, 5.0, 0.1)], "blend", cleaned())
    assert named is not None
    assert named.disposition == "O"


def test_a_listed_ephemeris_is_believed_as_far_as_its_error_allows():
    late = signal(3.0, 5.0 + 1000 * 3.0 + 0.4)
    assert alias_of(late, Truth("KP", 3.0, 5.0, 0.1, period_err=1e-6)) is None
    assert alias_of(late, Truth("KP", 3.0, 5.0, 0.1, period_err=1.5e-4)) == 1.0
    assert alias_of(late, Truth("KP", 3.0, None, 0.1)) == 1.0


def test_no_star_of_another_catalogue_is_taken_for_a_tic():
    numbers = [number_in("TIC", "7"), number_in("TIC", "7 s0003"), number_in("KIC", "7"), number_in("EPIC", "7")]
    assert numbers[0] == numbers[1] == 7
    assert len(set(numbers)) == 3
    assert all(-(2**63) < number_in("FILE", name) < 0 for name in ("a.csv", "7", ""))


# ---------------------------------------------------------------------------------------------------- simulated


def test_the_variety_holds_every_kind_and_a_star_is_its_seeds():
    drawn = [draw_varied_star(str(k), 3) for k in range(300)]
    assert set(VARIETY) == {star.kind for star in drawn}
    assert [star.kind for star in drawn] == [draw_varied_star(str(k), 3).kind for k in range(300)]
    assert draw_varied_star("5", 3) == drawn[5] != draw_varied_star("5", 4)
    for star in drawn:
        for orbit in [planet.orbit for planet in star.planets] + [
            star.binary.orbit for _ in (1,) if star.binary is not None and hasattr(star.binary, "orbit")
        ]:
            assert orbit.scaled_axis >= 1.5
            assert orbit.period <= 20


def test_a_simulated_star_is_hunted_and_named(quick):
    dropped: Counter[str] = Counter()
    found = [item for k in range(12) for item in simulated_star(k, 1, QUICK, quick, "numba", dropped)]
    again = simulated_star(0, 1, QUICK, quick, "numba", dropped)
    first = [item for item in found if item.tic == again[0].tic]
    assert first[0].named == again[0].named
    assert np.array_equal(first[0].inputs.local_flux, again[0].inputs.local_flux)
    words = Counter(item.named.disposition for item in found)
    assert words["PC"]
    assert words["EB"]
    for item in found:
        # the period in the row is the one the search reported
        assert item.inputs.scalars["log10_period"] == pytest.approx(np.log10(item.period))
        assert isnan(item.named.alias) == (item.named.disposition not in ("PC", "EB", "O"))


class Killed(Exception):
    """What a kill looks like from inside."""


@pytest.fixture
def short_jobs(monkeypatch):
    """Jobs of four stars: they are as many as of large ones, and done sooner."""
    monkeypatch.setattr("hunter.training_sets.simulated.CHUNK", 4)


def test_work_that_was_killed_goes_on_and_ends_with_the_same_rows(quick, short_jobs, tmp_path):
    def jobs(where: str):
        return simulate(10, 2, QUICK, quick, "numba", tmp_path / where)

    def killer(work):
        raise Killed

    with pytest.raises(Killed):
        carry_out(*jobs("a"), 1, killer)
    whole, paths = carry_out(*jobs("b"), 1)
    assert (whole.done, whole.kept, whole.asked) == (3, 0, 3)
    work, again = carry_out(*jobs("a"), 1)
    assert (work.done, work.kept) == (3, 1)
    assert [sha256_of(path) for path in again] == [sha256_of(path) for path in paths]
    # a file that was torn is made again
    again[1].write_bytes(again[1].read_bytes()[:100])
    work, _ = carry_out(*jobs("a"), 1)
    assert work.kept == 2
    assert sha256_of(again[1]) == sha256_of(paths[1])
    # more stars: what is whole is kept, the short last job is not taken for a whole one
    more, _ = simulate(12, 2, QUICK, quick, "numba", tmp_path / "a")
    assert [job.name for job in more] == ["0000000-4", "0000004-4", "0000008-4"]
    rows, extra, stars = collect(again, "simulated")
    assert len(rows) == whole.signals == len(extra["what"])
    assert set(rows.source) == {"simulated"}
    assert set(stars) == set(rows.tic.tolist())


def test_two_processes_make_what_one_makes(quick, short_jobs):
    two = quick.changed(compute=replace(quick.compute, workers=2))
    wanted = Wanted("simulated", number=8, seed=5, geometry=QUICK)
    folder, _ = build(wanted, two)
    assert folder is not None
    (other := quick.changed(home=quick.home.parent / "other")).home.mkdir()
    again, _ = build(wanted, other)
    assert again is not None
    assert again.name == folder.name
    data = open_dataset(folder)
    assert data.synthetic
    assert leaks(data) == []


# --------------------------------------------------------------------------------------- archives: real or like it


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """SIMULATED: two clear planets and two quiet stars, 27 days at 30 minutes."""
    folder = tmp_path_factory.mktemp("sky")
    return write_sector(
        folder, stars=4, seed=3, cadence_seconds=1800.0, mix={"planet": 1.0, "quiet": 1.0}, damaged=0, snr=(50.0, 70.0)
    )


def in_sky(settings, folder: Path):
    return settings.changed(archive=replace(settings.archive, source=str(folder)))


def toi_table(path: Path, truth, **changes: str) -> Path:
    """A list in the layout of the archive's TOI table: every true planet, confirmed."""
    columns = listed.LAYOUTS["NASA Exoplanet Archive, TOI"]
    with open(path, "w", newline="") as out:
        out.write("# a comment above the header\n")
        writer = csv.DictWriter(out, list(columns.values()))
        writer.writeheader()
        for row in truth.rows:
            if row.period_days is None:
                continue
            facts = {
                "star": str(row.tic_id),
                "label": "CP",
                "period": repr(row.period_days),
                "period_err": "1e-5",
                "epoch": repr(row.epoch_btjd + 2457000),
                "epoch_err": "1e-3",
                "hours": repr(row.duration_hours),
            }
            writer.writerow({columns[name]: value for name, value in (facts | changes).items()})
    return path


def test_a_listed_star_gets_its_label_through_the_hunts_own_phases(quick, sky, tmp_path):
    table = toi_table(tmp_path / "toi.csv", sky)
    folder, _ = build(Wanted("toi", labels=(table,)), in_sky(quick, sky.folder))
    assert folder is not None
    found = read_snapshot(folder)
    planets = {row.tic_id for row in sky.rows if row.kind == "planet"}
    named = dict(zip(found.labelled.tic.tolist(), found.labelled.disposition.tolist(), strict=True))
    assert {star: named[star] for star in planets} == dict.fromkeys(planets, "CP")
    for star, period in zip(found.labelled.tic, found.labelled.period, strict=True):
        periods = [row.period_days for row in sky.rows if row.tic_id == star and row.period_days is not None]
        assert star not in planets or any(abs(period / true - 1) < 1e-3 for true in periods)
    assert found.card["settings"]["max per class"] == 250
    assert [item.get("layout") for item in found.card["origin"]] == [None, "NASA Exoplanet Archive, TOI"]
    # --data auto is this
    assert named_sets(["auto"], in_sky(quick, sky.folder), labels=[table]) == [folder]
    # one star a class
    few, _ = build(Wanted("toi", labels=(table,), per_class=1), in_sky(quick, sky.folder))
    assert few is not None
    assert max(read_snapshot(few).card["labels"].values()) == 1


def test_a_list_whose_period_is_another_labels_nothing(quick, sky, tmp_path):
    table = toi_table(tmp_path / "toi.csv", sky, period="1.2345")
    with pytest.raises(ViewsRefused, match="no labelled signal was found"):
        build(Wanted("toi", labels=(table,)), in_sky(quick, sky.folder))


def test_a_lacking_archive_or_list_is_said_clearly(quick, sky, tmp_path):
    table = toi_table(tmp_path / "toi.csv", sky)
    with pytest.raises(SettingsError, match="no archive"):
        build(Wanted("toi", labels=(table,)), quick)
    with pytest.raises(SettingsError, match="--labels"):
        build(Wanted("toi"), in_sky(quick, sky.folder))
    with pytest.raises(ViewsRefused, match="the list cannot be read"):
        build(Wanted("toi", labels=(tmp_path / "none.csv",)), in_sky(quick, sky.folder))
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ViewsRefused, match="no list that is known here"):
        build(Wanted("toi", labels=(tmp_path / "odd.csv",)), in_sky(quick, sky.folder))
    elsewhere = toi_table(tmp_path / "else.csv", sky, star="12")
    with pytest.raises(ViewsRefused, match="no star of the archive"):
        build(Wanted("toi", labels=(elsewhere,)), in_sky(quick, sky.folder))
    with pytest.raises(SettingsError, match="--from"):
        build(Wanted("nigraha"), quick)


def test_lists_are_read_with_their_units_and_unknowns(tmp_path):
    koi = tmp_path / "koi.csv"
    names = listed.LAYOUTS["NASA Exoplanet Archive, KOI"]
    koi.write_text(
        ",".join(names.values())
        + "\n7,CONFIRMED,3.5,1e-6,130.0,1e-3,3\n8,CANDIDATE,,,,,\n9,NOT DISPOSITIONED,1,1,1,1,1\n"
    )
    table = listed.read_list(koi)
    assert list(table.stars) == [number_in("KIC", "7")]
    assert table.stars[number_in("KIC", "7")][0].truth.epoch == pytest.approx(130.0 - 2167.0)
    assert table.left_out == {"no period": 1, "its label says nothing": 1}
    vsx = tmp_path / "vsx.csv"
    vsx.write_text("tic_id,VSX_Type,VSX_Period\n1,EA/GS,2.0\n2,EW,0.3\n3,EP,4.0\n4,EA|EB:,5.0\n")
    assert {k: v[0].label for k, v in listed.read_list(vsx).stars.items()} == {1: "EB", 2: "V", 4: "EB"}


def test_signals_put_into_light_curves_are_found_and_named(quick, sky):
    settings = in_sky(quick, sky.folder)
    folder, work = build(Wanted("injected", number=3, seed=1), settings)
    assert folder is not None
    found = read_snapshot(folder)
    assert set(found.labelled.source) == {"injected"}
    assert set(found.labelled.disposition) <= {"PC", "EB"}
    assert len(found.labelled) >= 3
    assert {star.tic_id for star in sky.rows} >= set(found.labelled.tic.tolist())
    # what the planets' stars show by themselves is not labelled
    assert work is not None
    assert work.dropped["the star's own signals"] > 0
    for star, period in zip(found.labelled.tic, found.labelled.period, strict=True):
        own = [row.period_days for row in sky.rows if row.tic_id == star and row.period_days is not None]
        assert all(abs(period / true - 1) > 1e-3 for true in own)


def test_nothing_is_put_into_a_star_on_which_the_hunt_is_judged(quick, tmp_path):
    folder = tmp_path / "curves"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = [f"{t:.6f},{1 + 1e-4 * rng.standard_normal():.8f},1e-4" for t in np.arange(1325, 1350, 1 / 48)]
    (folder / "a.csv").write_text(f"# tic_id: {JUDGED[0]}\ntime,flux,flux_err\n" + "\n".join(lines) + "\n")
    assert [t.target.key for t in FolderArchive(folder).targets()] == [str(JUDGED[0])]
    with pytest.raises(ViewsRefused, match="no star is left to put signals into"):
        build(Wanted("injected", number=1), in_sky(quick, folder))


def test_the_commands_know_every_source():
    from hunter.cli.datasets import SOURCES as told

    assert told == SOURCES


def command(capfd, *arguments):
    """Run a command in this process: exit code, stdout, stderr."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code, *capfd.readouterr()


def test_a_set_is_built_listed_shown_and_checked_by_commands(capfd, tmp_path):
    from test_datasets import table_row, write_table

    path = write_table(tmp_path / "mine.csv", [table_row(k, label=w) for k, w in enumerate(("planet", "EB", "junk"))])
    home = ("--home", tmp_path / "home")
    code, out, err = command(capfd, "dataset", "build", "--source", "csv", "--from", path, *home)
    assert code == 0, err
    folder = Path(out.strip())
    assert f"hunter train --data {folder}" in err
    code, out, _ = command(capfd, "dataset", "list", *home, "--json")
    assert (code, [row["name"] for row in json.loads(out)]) == (0, [folder.name])
    code, out, _ = command(capfd, "dataset", "show", folder.name, *home)
    assert (code, json.loads(out)["labels"]) == (0, {"EB": 1, "J": 1, "PC": 1})
    assert command(capfd, "dataset", "verify", *home)[:2] == (0, f"{folder.name}: whole\n")
    rows = folder / "rows.safetensors"
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    code, out, _ = command(capfd, "dataset", "verify", *home)
    assert code == 1
    assert "sha256 differs" in out
    # and no model is trained on it
    code, _, err = command(capfd, "train", "--data", folder.name, *home)
    assert code == 1
    assert "sha256 differs" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["build", "--source", "csw"], 2, "did you mean 'csv'"),
        (["build", "--source", "csv"], 2, "--from"),
        (["build", "--source", "csv", "--from", "nowhere.csv"], 1, "cannot be read"),
        (["build", "--source", "nigraha", "--from", "."], 1, "TFRecord"),
        (["build", "--source", "toi"], 2, "no archive"),
        (["build", "--source", "reviews"], 1, "start a hunt with"),
        (["build", "--source", "simulated", "--cadence", "nan"], 2, "--cadence"),
        (["show", "nothing"], 1, "no data set is here"),
    ],
)
def test_a_mistake_in_a_dataset_command_is_one_line_with_its_cure(capfd, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    found, _, err = command(capfd, "dataset", *arguments, "--home", tmp_path / "home")
    assert found == code, err
    assert words in err
    assert len([line for line in err.splitlines() if line.startswith("hunter")]) == 1
    assert "Traceback" not in err


# ------------------------------------------------------------------------------------------------------ reviews


@pytest.fixture(scope="module")
def hunted(tmp_path_factory, sky):
    """A home in which the sky was hunted with threshold 0: each signal is a candidate."""
    home = tmp_path_factory.mktemp("hunts") / "home"
    given = {"archive.source": str(sky.folder), "hunt.threshold": 0.0, "compute.backend": "numba"}
    settings = load(str(home), given)
    open_queued(settings).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("candidates.plots.draw_sheet", digest_sheet)  # nobody looks at the sheets
        assert worker.work(settings, worker.Duty()) == 4
    return home


def decide(home: Path, decisions: dict[str, str]) -> None:
    state = State.open(home / "state" / "hunter.sqlite", check=False)
    try:
        for name, decision in decisions.items():
            state.review(name, decision, "for the test", "tester", time.time())
    finally:
        state.close()


def test_decisions_become_rows_and_never_judge(hunted, tmp_path):
    settings = load(str(hunted))
    with pytest.raises(ViewsRefused, match="nobody has decided"):
        build(Wanted("reviews"), settings)
    with Reader(settings.database) as reader:
        rows = reader.candidates()
    names = [row["name"] for row in rows]
    assert len(names) >= 2
    decide(hunted, {names[0]: "eclipsing_binary", names[1]: "unsure"})
    decide(hunted, {names[0]: "planet_candidate"})  # the latest counts
    log_suggestion(hunted, [dict.fromkeys(("probability", "usefulness", "entropy", "disagreement", "distance"), 0.5)
                            | {"name": names[0]}], 2, time.time())  # fmt: skip
    folder, _ = build(Wanted("reviews"), settings)
    assert folder is not None
    found = read_snapshot(folder)
    assert found.labelled.disposition.tolist() == ["PC"]
    assert found.labelled.period[0] == pytest.approx(rows[0]["period"])
    assert found.extra["suggested"].tolist() == [True]
    assert found.card["dropped"] == {"decided as unsure": 1}
    # beside other sets they train, whatever the hash of the star says
    from test_datasets import ABOUT, make_rows

    other = write_snapshot(tmp_path, "csv", make_rows(30, source="csv"), **ABOUT)
    folders = named_sets([str(other)], settings, include_reviews=True)
    assert folders == [other, folder]
    data = open_dataset(folders, JUDGED)
    assert set(data.split[data.labelled.source == "reviews"]) == {"train"}
    # a set of this home may be named
    assert named_sets([folder.name], settings) == [sets_folder(settings) / folder.name]


def test_decisions_whose_results_are_gone_say_so(hunted, tmp_path):
    import shutil

    home = Path(shutil.copytree(hunted, tmp_path / "copy"))
    settings = load(str(home))
    with Reader(settings.database) as reader:
        decide(home, {reader.candidates()[0]["name"]: "known_planet"})
    shutil.rmtree(home / "cache")
    with pytest.raises(ViewsRefused, match="gone from the cache"):
        build(Wanted("reviews"), settings)


# ---------------------------------------------------------------------------------------------- what to look at next


def candidate(
    number: int, probability: float | None, period: float = 3.0, decision: str | None = None, **known
) -> dict:
    row = {"name": f"c{number}", "target_id": number, "probability": probability, "period": period, "depth": 0.01}
    return row | {"duration": 0.1, "snr": 20.0, "decision": decision, "json_file": f"c{number}.json"} | known


def test_the_most_doubtful_comes_first_and_the_next_is_unlike_it(tmp_path):
    rows = [
        candidate(1, 0.51),
        candidate(2, 0.5),
        candidate(3, 0.55, period=40.0),
        candidate(4, 0.99),
        candidate(5, 0.01),
    ]
    chosen = next_to_review(rows, 2, tmp_path)
    assert [row["name"] for row in chosen] == ["c2", "c3"]
    assert chosen[0]["usefulness"] == pytest.approx(1.0)
    assert chosen[1]["distance"] > 1
    # what was looked at is a place already known
    looked = [*rows, candidate(6, 0.5, period=40.0, decision="variable")]
    assert next_to_review(looked, 1, tmp_path)[0]["name"] != "c3"


def test_members_that_disagree_make_a_candidate_more_useful(tmp_path):
    (tmp_path / "c1.json").write_text(json.dumps({"score": {"disagreement": 0.4}}))
    (tmp_path / "c2.json").write_text("torn {")
    chosen = next_to_review([candidate(1, 0.5), candidate(2, 0.5)], 2, tmp_path)
    assert [row["name"] for row in chosen] == ["c1", "c2"]
    assert [row["disagreement"] for row in chosen] == [0.4, None]


def test_a_star_is_suggested_once_and_reviewed_candidates_never(tmp_path):
    rows = [candidate(1, 0.5), candidate(2, 0.5, target_id=1), candidate(3, 0.5, decision="unsure"), candidate(4, None)]
    assert sorted(row["name"] for row in next_to_review(rows, 9, tmp_path)) == ["c2", "c4"]
    assert next_to_review([], 3, tmp_path) == []
    assert next_to_review([candidate(1, 0.5)], 3, tmp_path)[0]["distance"] is None


def test_entropy_is_that_of_a_coin():
    assert [entropy(p) for p in (0.0, 0.5, 1.0, None)] == [0.0, 1.0, 0.0, 1.0]
    assert entropy(float("nan")) == 1.0


def test_suggestions_are_remembered_and_torn_lines_passed_over(tmp_path):
    chosen = next_to_review([candidate(1, 0.5), candidate(2, 0.4)], 2, tmp_path)
    log_suggestion(tmp_path, chosen, 2, 1.0)
    with open(tmp_path / "logs" / "review_suggestions.jsonl", "a") as out:
        out.write('{"at": 2, "sugg')
    assert suggested_before(tmp_path) == {"c1", "c2"}
    assert suggested_before(tmp_path / "nowhere") == set()


def test_the_command_suggests_logs_and_answers_at_once(hunted):
    call = [sys.executable, "-m", "hunter", "candidates", "--home", str(hunted), "--next-to-review", "2", "--json"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    chosen = json.loads(done.stdout)
    assert 1 <= len(chosen) <= 2
    assert {row["name"] for row in chosen} <= suggested_before(hunted)
    code = "import sys, hunter.cli, hunter.suggest, state.reading; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert not {"numpy", "torch", "jax"} & set(loaded)
