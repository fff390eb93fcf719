"""A hunt by the workers of a Dask cluster: a real one of two processes, a small simulated sky, one of them killed."""

import os
import signal

import pytest
from small_hunts import endings, faults, given_for, make_sky, rows

from hunter import worker
from hunter.archives import open_archive
from hunter.crew import NightFailed
from hunter.dask_workers import Unfit, _make_sure_we_fit, crew_on_dask, is_this_host
from hunter.engine import night
from hunter.settings import SettingsError, load


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as made:
        yield made


def test_a_cluster_hunts_every_star_once_and_outlives_a_worker_that_is_killed(cluster, tmp_path):
    sky, home = tmp_path / "sky", tmp_path / "home"
    make_sky(sky, stars=4)
    given = given_for(
        sky,
        "none",
        compute__batch=1,
        compute__backend="numpy",
        engine__lease_seconds=2.0,
        engine__heartbeat_seconds=0.5,
    )
    settings = load(str(home), given)
    address = cluster.scheduler_address.replace("tcp://", "dask://")
    said, killed = [], []

    def show(tally, summary):
        held = rows(home, "SELECT pid FROM workers JOIN targets ON owner = workers.id WHERE targets.status = 'RUNNING'")
        if held and not killed:
            killed.append(held[0][0])
            os.kill(held[0][0], signal.SIGKILL)  # its nanny starts another one

    with crew_on_dask(settings, address) as hire:
        result = night(settings, open_archive(settings).targets, hire=hire, show=show, say=said.append)

    assert killed
    assert killed[0] != os.getpid()
    assert result.deaths == 1
    assert any("was lost" in line for line in said)
    assert [target for target, _ in endings(home)] == [1, 2, 3, 4]
    assert {outcome for _, outcome in endings(home)} == {"HELD"}  # no model was given
    owners = {name for (name,) in rows(home, "SELECT id FROM workers")}
    assert len(owners) >= 2
    assert not any(name.endswith(f"-{os.getpid()}") for name in owners)
    assert faults(home) == []
    assert list((home / "state").glob("dask-*")) == []


def test_a_limit_is_shared_by_the_cluster(cluster, tmp_path):
    sky, home = tmp_path / "sky", tmp_path / "home"
    make_sky(sky, stars=3)
    settings = load(str(home), given_for(sky, "none", compute__batch=1))
    with crew_on_dask(settings, cluster.scheduler_address.replace("tcp://", "dask://")) as hire:
        assert night(settings, open_archive(settings).targets, hire=hire, limit=2).hunted == 2
    assert len(endings(home)) == 2


def test_what_cannot_work_is_refused_in_one_line_before_anything_begins(tmp_path):
    settings = load(str(tmp_path))
    for address in ("dask://", "tcp://127.0.0.1:8786", "dask://host:99 rm", "127.0.0.1:8786"):
        with pytest.raises(SettingsError, match="dask://HOST:PORT"), crew_on_dask(settings, address):
            pass
    with pytest.raises(SettingsError, match=r"SQLite.*\[state\] url"), crew_on_dask(settings, "dask://192.0.2.1:8786"):
        pass
    with (
        pytest.raises(NightFailed, match="no Dask scheduler answers"),
        crew_on_dask(settings, "dask://127.0.0.1:1", 0.2),
    ):
        pass
    assert is_this_host("127.0.0.1")
    assert not is_this_host("192.0.2.1")
    assert not is_this_host("no.such.host.invalid")


def test_a_worker_without_the_home_or_on_another_machine_takes_no_part(tmp_path):
    settings, sign = load(str(tmp_path)), tmp_path / "sign"
    with pytest.raises(Unfit, match="a folder that all machines share"):
        _make_sure_we_fit(settings, "word", str(sign), worker.boot_id())
    sign.write_text("word")
    _make_sure_we_fit(settings, "word", str(sign), worker.boot_id())
    with pytest.raises(Unfit, match="postgresql://"):
        _make_sure_we_fit(settings, "word", str(sign), "another boot")
