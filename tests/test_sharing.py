"""What signals of several stars have in common stands in the record, and is told wherever a candidate is."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from candidates.page import render_index
from hunter.errands import errand_runner
from hunter.screen import candidate_table, show_target
from hunter.settings import load
from hunter.sharing import compare_stars
from pipeline.simulate.signals import sector_signals
from state.reading import Reader
from state.status import Status
from state.store import CandidateRow, NewTarget, SignalRow, State


def signal_rows(seen, rows):
    """Signals as the chain records them."""
    for row in rows:
        yield SignalRow(
            1, float(seen.period[row]), float(seen.epoch[row]), float(seen.duration[row]), float(seen.depth[row]), 20.0,
            period_err=float(seen.period_err[row]), epoch_err=float(seen.epoch_err[row]),
            n_transits=int(seen.transits[row]), detectors=seen.detectors[row],
        )  # fmt: skip


def hunt_them(state, seen, rows, first=0.0):
    """Queue and end as many stars, the first of them a candidate."""
    rows = list(rows)
    state.enqueue(
        [
            NewTarget("TIC", str(1000 + row), "x", star={"ra": float(seen.ra[row]), "dec": float(seen.dec[row])})
            for row in rows
        ],
        first,
    )
    claims = {int(claim.key) - 1000: claim for claim in state.claim("w", len(rows), first + 1)}
    for row, signal in zip(rows, signal_rows(seen, rows), strict=True):
        name = f"TIC_{1000 + row}_p{signal.period:.6f}"
        found = CandidateRow(f"p{signal.period:.4f}", name, signal.period, signal.epoch, signal.duration, 0.01, 20.0)
        state.finish(
            claims[row], Status.CANDIDATE if row == rows[0] else Status.CLEARED, "x", first + 2, signals=[signal],
            candidates=[found] if row == rows[0] else [],
        )  # fmt: skip


@pytest.fixture
def hunt(tmp_path):
    settings = load(str(tmp_path))
    (tmp_path / "state").mkdir()
    with State.open(settings.database) as state:
        yield settings, state


def test_a_candidate_learns_of_the_binary_that_is_hunted_after_it(hunt):
    settings, state = hunt
    seen, source = sector_signals(5, 60, families=1)
    deepest = int(source[-1])
    victims = range(60, 65)
    hunt_them(state, seen, [60, *(row for row in range(60) if row != deepest)])
    assert compare_stars(settings, state, 10.0) == ""
    hunt_them(state, seen, [deepest, *victims[1:]], first=20.0)
    words = compare_stars(settings, state, 30.0)
    assert words == "signals shared by several stars: 6 new or changed"
    with Reader(settings.database) as reader:
        told = {row["name"]: row["shared"] for row in reader.candidates()}
        row = reader.target("TIC", "1060")
    candidate = next(words for name, words in told.items() if name.startswith("TIC_1060"))
    assert f"in 5 other stars of the CCD, the deepest in TIC {1000 + deepest}" in candidate
    assert "it is the deepest here" in next(
        words for name, words in told.items() if name.startswith(f"TIC_{1000 + deepest}")
    )
    (said,) = row["signals"][0]["shared"]
    assert (said["stars"], said["source"], said["words"]) == (6, f"TIC {1000 + deepest}", candidate)
    assert candidate in render_index([{"name": "TIC_1060_p1.000000", "shared": candidate}])
    out = Console(width=200, record=True, file=io.StringIO())
    show_target(row, out)
    assert "shared by 6 stars" in out.export_text()


def test_comparing_again_changes_nothing_and_a_kill_between_costs_nothing(hunt):
    settings, state = hunt
    seen, _ = sector_signals(5, 60, families=1)
    hunt_them(state, seen, range(65))
    assert compare_stars(settings, state, 10.0)
    assert compare_stars(settings, state, 11.0) == ""
    state.set("shared_signals", None)  # killed after the rows were written, before it was noted
    assert compare_stars(settings, state, 12.0) == ""
    with Reader(settings.database) as reader:
        row = reader.target("TIC", "1064")["signals"][0]["shared"][0]
    assert row["at"] == 10.0


def test_a_signal_that_is_found_otherwise_is_no_longer_told_of(hunt):
    settings, state = hunt
    seen, _ = sector_signals(5, 60, families=1)
    hunt_them(state, seen, [64, *range(64)])
    compare_stars(settings, state, 10.0)
    state.requeue("a better file", 20.0, names=["TIC 1064"])
    (claim,) = state.claim("w", 1, 21.0)
    other = replace(next(signal_rows(seen, [64])), period=7.7777)
    state.finish(claim, Status.CLEARED, "x", 22.0, signals=[other])
    with Reader(settings.database) as reader:
        assert reader.target("TIC", "1064")["signals"][0]["shared"] == []  # at once, though nobody has compared
    assert compare_stars(settings, state, 30.0) == "signals shared by several stars: 5 new or changed, 1 gone"


def test_the_errand_of_the_daemon_compares(hunt):
    settings, state = hunt
    seen, _ = sector_signals(5, 60, families=1)
    hunt_them(state, seen, range(65))
    assert "6 new" in errand_runner(settings, state, None, lambda: 5.0)("sharing")


def test_signals_without_a_detector_and_harmonics_are_not_compared(hunt):
    settings, state = hunt
    seen, _ = sector_signals(5, 60, families=1)
    hunt_them(state, replace(seen, detectors=((),) * 65), range(65))
    assert compare_stars(settings, state, 10.0) == ""
    with Reader(settings.database) as reader:
        assert list(reader.seen_signals()) == []


def test_the_chain_records_which_detectors_saw_a_star():
    from candidate_sky import make_sky

    from hunter.chain import signal_row

    sky = make_sky(starts=(1325.3, 1400.0))
    assert signal_row(sky.signal, sky.cleaned, None, None, None).detectors == [(1, 1, 2), (2, 1, 2)]
    blind = replace(sky.cleaned, products=(replace(sky.cleaned.products[0], camera=None),))
    assert signal_row(sky.signal, blind, None, None, None).detectors == []


def test_the_list_of_candidates_marks_what_is_shared(tmp_path):
    row = {"name": "TIC_1_p1.000000", "probability": 0.9, "snr": 9.0, "period": 1.0, "depth": 0.01, "duration": 0.1,
           "disposition": "unknown", "decision": None, "shared": "the same dips in 5 other stars"}  # fmt: skip
    out = Console(width=120, record=True, file=io.StringIO())
    out.print(candidate_table([row], tmp_path, 120))
    assert "unknown, shared" in out.export_text()
