"""The process that owns the device: shared, killed when it hangs, and missed by nobody but the batch in flight."""

import os
import signal
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import numpy as np
import pytest
from small_hunts import faults, make_settings, make_sky, open_queued, rows

from hunter import device, engine, worker
from hunter.archives import open_archive
from hunter.checkpoints import decode, encode
from hunter.device import Bench, Device, Keeper, Place, Request, SearchFailed, TooLarge, search_in_parts, together
from hunter.outcomes import DeviceLost
from hunter.settings import load
from pipeline.search import SearchSettings, search_many
from pipeline.types import LightCurve, Star

FEW = SearchSettings(templates=("box",), period_min=2.0, period_max=2.4, max_signals=1, scrambles=0)
ON_CPU = {"compute.backend": "jax", "device.use": "always"}
PATIENCE = 120.0  # seconds


def curve(seed: int) -> LightCurve:
    """SIMULATED: eight days at 30 minutes with a dip each 2.2 days."""
    rng = np.random.default_rng(seed)
    days = np.arange(0.0, 8.0, 1 / 48)
    inside = np.abs((days - 1.0 + 1.1) % 2.2 - 1.1) < 0.06
    return LightCurve(days, 1 + 1e-4 * rng.standard_normal(days.size) - 2e-3 * inside, np.full(days.size, 1e-4))


CURVES = [curve(seed) for seed in range(3)]
STARS = [Star(radius=1.0, mass=1.0)] * 3


def turned(keeper: Keeper, until) -> None:
    """Turn the keeper as the engine does, until something is so."""
    end = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < end
        keeper.look()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return load(str(tmp_path_factory.mktemp("device")), ON_CPU)


@pytest.fixture(scope="module")
def keeper(settings):
    """One process for all that only ask it."""
    kept = Keeper(settings)
    kept.start()
    turned(kept, lambda: kept.place.ready)
    yield kept
    kept.stop()


@pytest.fixture
def doomed(settings):
    """A process of its own for a test that harms it; it has not imported jax yet."""
    kept = Keeper(settings)
    kept.start()
    turned(kept, lambda: kept.place.ready)
    yield kept
    kept.stop()


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sky")
    make_sky(folder, 3)
    return folder


# ------------------------------------------------------------------------------------------------------- the search


def test_the_process_finds_what_a_search_in_this_process_finds_whoever_asks(keeper):
    here = [encode(result) for result in search_many(CURVES, FEW, STARS, "jax")]
    found: dict[int, list[bytes]] = {}

    def ask(k: int) -> None:
        with closing(Device(keeper.place)) as asked:
            found[k] = [encode(result) for result in asked.search_many(CURVES, FEW, STARS)]

    workers = [threading.Thread(target=ask, args=(k,)) for k in range(2)]
    for thread in workers:
        thread.start()
    turned(keeper, lambda: not any(thread.is_alive() for thread in workers))
    assert found == {0: here, 1: here}
    turned(keeper, lambda: keeper.batches >= 1 and keeper.busy_since is None)
    assert decode(here[0]).backend == "jax"
    assert decode(here[0]).signals


def test_a_fault_of_the_search_is_told_and_ends_nothing(keeper):
    asked = Device(keeper.place)
    with closing(asked), pytest.raises(SearchFailed, match="ValueError"):
        asked.search_many(CURVES[:1], replace(FEW, templates=("hat",)), STARS[:1])
    assert asked.lives()
    assert keeper.process.is_alive()


def test_a_process_that_never_listens_is_waited_for_no_longer_than_one_has_patience(tmp_path):
    nobody = Place(str(tmp_path / "socket"), b"key")
    nobody.lives(1, ready=False)
    asked = Device(nobody, patience=0.0)
    with pytest.raises(DeviceLost):
        asked.search_many(CURVES[:1], FEW, STARS[:1])
    assert not asked.lives()


def test_nobody_without_the_key_gets_in(keeper):
    with pytest.raises(AuthenticationError):
        Client(keeper.place.address, authkey=b"guessed")
    assert os.stat(Path(keeper.place.address).parent).st_mode & 0o077 == 0
    assert keeper.place.key.hex() not in repr(keeper.place)
    assert keeper.process.is_alive()


def request(number: int, answers: list, curves: int = 1, wanted: SearchSettings = FEW) -> Request:
    return Request(number, wanted, tuple(CURVES[:curves]), tuple(STARS[:curves]), lambda data: answers.append(data))


def test_requests_of_several_workers_are_searched_together_and_each_gets_its_own():
    answers: list[bytes] = []
    said: list[tuple] = []
    batches: list[int] = []

    def search(curves, wanted, stars):
        batches.append(len(curves))
        return search_many(curves, wanted, stars, "numba")

    bench = Bench(8, search, lambda what, **more: said.append((what, more)))
    for number, curves in ((7, 1), (8, 2)):
        bench.arriving.put(request(number, answers, curves))
    bench.arriving.put(request(9, answers, wanted=replace(FEW, snr=9.0)))
    bench.serve_once()
    assert batches == [3]
    assert said == [("busy", {"curves": 3}), ("idle", {"peak_memory": None})]
    alone = [encode(result) for result in search_many(CURVES[:2], FEW, STARS[:2])]
    told = [decode(data) for data in answers]
    assert [(number, how) for number, how, _ in told] == [(7, "done"), (8, "done")]
    assert [encode(result) for result in told[1][2]] == alone
    bench.serve_once()  # other settings come after
    assert decode(answers[2])[0] == 9


def test_one_fault_of_several_searched_together_is_told_to_the_one_that_caused_it():
    answers: list[bytes] = []

    def search(curves, wanted, stars):
        if len(curves) != 2:
            raise ValueError("not two")
        return search_many(curves, wanted, stars, "numba")

    bench = Bench(8, search, lambda what, **more: None)
    for number, curves in ((1, 1), (2, 2)):
        bench.arriving.put(request(number, answers, curves))
    bench.serve_once()
    assert [decode(data)[:2] for data in answers] == [(1, "failed"), (2, "done")]
    assert "not two" in decode(answers[0])[2]


def test_no_batch_is_larger_than_what_fits_but_a_single_request_is_taken():
    answers: list[bytes] = []
    waiting = [request(1, answers, 2), request(2, answers, 2), request(3, answers, 1)]
    assert [chosen.number for chosen in together(waiting, 3)] == [1, 3]
    assert [chosen.number for chosen in together(waiting, 1)] == [1]


def test_a_full_memory_halves_the_batch_for_good_and_loses_no_light_curve():
    tried: list[int] = []
    sizes: list[int] = []

    def search(curves, wanted, stars):
        tried.append(len(curves))
        if len(curves) > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate")
        return list(curves)

    many = list(range(9))
    assert search_in_parts(many, FEW, many, 9, search, sizes.append) == many
    assert tried == [9, 4, 2, 2, 2, 2, 1]
    assert sizes == [4, 2]
    with pytest.raises(TooLarge):
        search_in_parts(many, FEW, many, 1, lambda *given: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(ZeroDivisionError):
        search_in_parts(many, FEW, many, 9, lambda *given: 1 / 0)


# ------------------------------------------------------------------------------------------------------- the keeper


def ask_in_thread(place: Place) -> tuple[threading.Thread, list]:
    heard: list = []

    def ask() -> None:
        with closing(Device(place)) as asked:
            try:
                heard.append(asked.search_many(CURVES[:1], FEW, STARS[:1]))
            except DeviceLost as error:
                heard.append(error)
            heard.append(asked.lives())

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, heard


def test_a_process_that_hangs_is_killed_at_its_limit_and_not_before(settings):
    told: list[str] = []
    kept = Keeper(settings, lambda level, words: told.append(words))
    try:
        began = 1000.0
        kept.start(began)
        end = time.monotonic() + PATIENCE
        while not kept.place.ready and time.monotonic() < end:
            kept.look(began)
            time.sleep(0.02)
        hung = kept.process
        os.kill(hung.pid, signal.SIGSTOP)
        thread, heard = ask_in_thread(kept.place)
        kept.look(began + settings.device.first_limit_seconds)
        assert hung.is_alive()
        kept.look(began + settings.device.first_limit_seconds + 0.1)
        thread.join(PATIENCE)
        assert isinstance(heard[0], DeviceLost)
        assert "killed" in told[0]
        assert kept.place.number == 2  # another one is being born
        assert kept.process.pid != hung.pid
    finally:
        kept.stop()


def test_after_too_many_deaths_the_hunt_is_told_to_do_without(settings):
    told: list[tuple[str, str]] = []
    few = settings.changed(device=replace(settings.device, restarts=1))
    kept = Keeper(few, lambda level, words: told.append((level, words)))
    try:
        for now in (0.0, 1.0):
            kept.start(now)
            kept.process.kill()
            kept.process.join()
            kept.look(now)
        assert kept.process is None
        assert kept.place.number == 0
        assert told[-1][0] == "error"
        assert "the CPU alone" in told[-1][1]
        with closing(Device(kept.place)) as asked:
            assert not asked.lives()
            with pytest.raises(DeviceLost):
                asked.search_many(CURVES[:1], FEW, STARS[:1])
    finally:
        kept.stop()
    assert not Path(kept.place.address).parent.exists()


def test_a_device_that_may_not_be_used_or_is_not_asked_for_gets_no_process(settings):
    assert device.wanted(settings)
    assert not device.wanted(settings.changed(device=replace(settings.device, use="never")))
    assert not device.wanted(settings.changed(compute=replace(settings.compute, backend="numba")))
    auto = settings.changed(device=replace(settings.device, use="auto"))
    assert device.wanted(auto) == worker.gpu_present()


# ------------------------------------------------------------------------------------------------------- the hunt


def hunting(home: Path, sky: Path, **given: object):
    return make_settings(home, sky, "none", search__period_max=2.6, **given)  # few shapes to compile


@contextmanager
def turning(keeper: Keeper, ahead: list[float]):
    """The engine's part, with a clock that a test may put forward."""
    over = threading.Event()

    def turn() -> None:
        while not over.wait(0.02):
            keeper.look(time.monotonic() + ahead[0])

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def plain(sky, tmp_path_factory):
    """What the CPU alone finds, by target."""
    settings = hunting(tmp_path_factory.mktemp("plain") / "home", sky, compute__backend="numba")
    open_queued(settings).close()
    assert worker.work(settings, worker.Duty()) == 3
    return {key: row for key, *row in rows(settings.home, COLUMNS)}


COLUMNS = "SELECT key, status, attempts, best_period FROM targets WHERE status <> 'QUEUED'"


@pytest.mark.parametrize(("harm", "backends"), [("killed", ["numba", "jax"]), ("hanging", ["numba"])])
def test_a_device_lost_in_the_middle_of_a_batch_costs_that_batch_and_nothing_else(
    harm, backends, doomed, plain, sky, tmp_path
):
    home = tmp_path / "home"
    given = hunting(home, sky, compute__backend="jax", device__use="always", compute__batch=1)
    open_queued(given).close()
    ahead, phases = [0.0], []

    def report(kind: str, what: object) -> None:
        if kind != "phase":
            return
        phases.append(what)
        if what[0] != "search" or [phase for phase, _ in phases].count("search") > 1:
            return
        if harm == "killed":
            os.kill(doomed.process.pid, signal.SIGKILL)
        else:
            os.kill(doomed.process.pid, signal.SIGSTOP)
            ahead[0] = 2 * given.device.first_limit_seconds

    budget = [len(backends)]

    def allow(wanted: int) -> int:
        ahead[0] = 0.0
        granted = min(wanted, budget[0])
        budget[0] -= granted
        return granted

    def give_back(unused: int) -> None:
        budget[0] += unused

    duty = worker.Duty(report=report, place=doomed.place, allow=allow, give_back=give_back)
    with turning(doomed, ahead):
        assert worker.work(given, duty) == len(backends)  # what the lost batch had been granted was given back
    assert faults(home) == []
    ended = {key: row for key, *row in rows(home, COLUMNS)}
    assert len(ended) == len(backends)
    for key, (status, attempts, period) in ended.items():
        assert plain[key] == [status, attempts, pytest.approx(period, rel=1e-6)]
    # nothing that was stored before is computed again
    assert [phase for phase, _ in phases].count("clean") == len(backends)
    assert [phase for phase, _ in phases].count("search") == len(backends) + 1
    # stored under the name of what searched: the CPU the lost batch, the next process what came after
    stored = [
        decode((worker.results_folder(given) / path).read_bytes()).backend
        for (path,) in rows(home, "SELECT path FROM phase_runs WHERE phase = 'search' ORDER BY target_id")
    ]
    assert stored == backends
    assert len(rows(home, "SELECT 1 FROM events WHERE kind = 'device'")) == 1


@pytest.mark.skipif(
    not os.environ.get("HUNTER_TEST_EVERY_PLACE"),
    reason="A WHOLE NIGHT WITH A DEVICE takes 40 s, most of it compiling: HUNTER_TEST_EVERY_PLACE=1 runs it",
)
def test_a_night_with_a_device_starts_its_process_and_leaves_none_behind(sky, tmp_path):
    home = tmp_path / "home"
    settings = hunting(home, sky, compute__backend="jax", compute__workers=1, device__use="always")
    night = engine.night(settings, lambda: open_archive(settings).targets())
    assert (night.hunted, night.deaths) == (3, 0)
    assert faults(home) == []
    for (path,) in rows(home, "SELECT path FROM phase_runs WHERE phase = 'search'"):
        assert decode((worker.results_folder(settings) / path).read_bytes()).backend == "jax"
    assert rows(home, "SELECT text FROM events WHERE kind = 'device'") == []
