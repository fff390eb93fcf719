"""Polls of a replica: what they ask, what they queue, and that being killed, cut off or late changes nothing."""

import atexit
import json
import shutil
import tempfile
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest
import requests

from hunter.archives.mast.ranking import Ranking, read_favourites
from hunter.replica import Catalogue, Replica, Rule, Rules, unavailable
from hunter.settings import SettingsError, load
from hunter.watching import WEEK, Watcher
from pipeline.errors import ArchiveUnavailable
from pipeline.types import Star
from state.products import Products
from state.reading import Reader
from state.releases import Releases
from state.status import Status
from state.store import State

HOUR, DAY = 3600.0, 86_400.0
NOW = 1_600_000_000.0  # sector 29 was being observed
SECTOR = 27
STARS = 8


@cache
def blank_record():
    place = Path(tempfile.mkdtemp(prefix="blank-record-")) / "hunter.sqlite"
    State.open(place).close()
    atexit.register(shutil.rmtree, place.parent, ignore_errors=True)
    return place


class Night:
    """One hunt that watches one replica."""

    def __init__(self, home, session, replica, **given):
        where = {f"archive.{name}": url for name, url in replica.settings.items() if name != "token"}
        asked = {name.replace("__", "."): value for name, value in given.items()}
        self.settings = load(str(home), {"archive.source": "mast", **where, **asked})
        database = Path(self.settings.database)
        database.parent.mkdir(parents=True)
        shutil.copy(blank_record(), database)  # making one takes fourteen times as long
        self.state = State.open(database)
        self.replica, self.catalogue, self.session = replica, replica.catalogue, session
        self.now = NOW

    def watcher(self, **more):
        return Watcher(self.settings, self.state, self.session, clock=lambda: self.now, **more)

    def poll(self, after=6 * HOUR, **more):
        self.now += after
        self.replica.forget()
        return self.watcher(**more).poll(self.now)

    def release(self, sector=SECTOR, fraction=1.0, script=True):
        if sector not in self.catalogue.sectors:
            self.catalogue.add_crowd(sector, stars=STARS, span=0.2, pool=2)
        self.catalogue.release(sector, fraction)
        if script:
            self.catalogue.publish_script(sector)

    def status(self, sector=SECTOR, product="SPOC-120"):
        row = Releases(self.state).get(sector, product)
        return None if row is None else row.status

    def row(self, sector=SECTOR):
        return Releases(self.state).get(sector, "SPOC-120")

    def queued(self):
        with Reader(self.settings.database) as reader:
            return reader.summary(self.now)["counts"][Status.QUEUED]

    def everything(self):
        """What the record holds, as far as a poll writes it."""
        products = Products(self.state)
        with self.state.read() as connection:
            targets = connection.exec_driver_sql(
                "SELECT kind, key, status, inputs, sources, remote, ready, priority FROM targets ORDER BY kind, key"
            ).all()
        rows = [replace(row, note="") for row in Releases(self.state).all()]
        return rows, {row.sector: products.of_sector(row.sector, row.product) for row in rows}, [*map(tuple, targets)]

    def counts(self):
        return sum(line.route == "invoke" for line in self.replica.lines())


@pytest.fixture
def session():
    with requests.Session() as made:
        yield made


@pytest.fixture
def replica():
    with Replica(Catalogue(clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def night(tmp_path, session, replica):
    made = Night(tmp_path, session, replica, watch__first_sector=SECTOR)
    yield made
    made.state.close()


# ---- a sector comes


def test_nothing_is_queued_while_nothing_is_there(night):
    report = night.poll()
    assert (report.added, report.unknown) == (0, 0)
    assert report.line == "nothing new in 1 releases"
    assert night.status() == "unseen"
    assert night.counts() == 1
    assert night.state.get("last_poll_at") == str(night.now)


def test_a_sector_with_its_script_is_listed_and_queued_in_one_poll(night):
    night.release()
    report = night.poll()
    assert (report.files, report.added, report.requeued) == (STARS, STARS, 0)
    assert night.status() == "enumerated"
    assert night.queued() == STARS
    assert report.undescribed == [(SECTOR, "SPOC-120")]
    claims = night.state.claim_wanted("courier", 100, night.now)
    assert len(claims) == STARS  # they wait for their files
    assert all(source.startswith("mast:TESS/product/tess") for claim in claims for source in claim.sources)
    assert night.state.claim("worker", 100, night.now) == []


def test_a_listed_sector_is_left_alone_until_the_weekly_look(night):
    night.release()
    night.poll()
    before = night.everything()
    for _ in range(3):
        report = night.poll()
        assert (report.files, report.added, report.requeued) == (0, 0, 0)
        # the sector above: a script that is not there, and a count
        assert [(line.route, line.status) for line in night.replica.lines()] == [("script", 404), ("invoke", 200)]
    after = night.everything()
    assert after[1:] == (before[1] | {SECTOR + 1: {}}, before[2])


def test_a_sector_that_trickles_in_is_queued_once_when_it_has_settled(night):
    queued = []
    for fraction in (0.2, 0.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        night.release(fraction=fraction, script=False)
        report = night.poll()
        queued.append(report.added)
    # complete at the third poll; the seventh sees the same for a day
    assert queued == [0] * 6 + [STARS, 0]
    assert night.row().script_lines is None


def test_a_sector_settles_at_once_when_its_script_appears(night):
    night.release(script=False)
    assert night.poll().added == 0
    assert night.status() == "ingesting"
    night.release()
    assert night.poll().added == STARS


def test_three_days_without_an_archive_are_caught_up_with_in_one_poll(night):
    night.release(fraction=0.3, script=False)
    night.poll()
    night.replica.plan = Rules(Rule(unavailable()))
    for _ in range(12):
        assert night.poll().added == 0
        assert night.status() == "ingesting"
    assert night.row().failed_polls == 12
    night.replica.plan = Rules()
    night.release()
    night.release(SECTOR + 1)
    report = night.poll()
    assert report.added == 2 * STARS - shared(night, SECTOR, SECTOR + 1)
    assert night.status(SECTOR) == night.status(SECTOR + 1) == "enumerated"


def shared(night, one, other):
    return len({e.tic for e in night.catalogue.visible(one)} & {e.tic for e in night.catalogue.visible(other)})


def test_at_most_two_counts_are_asked_for_in_a_poll(night):
    for sector in range(SECTOR, SECTOR + 5):
        night.release(sector)
    report = night.poll()
    assert report.again  # and what it saw without counting comes with the next ones
    listed = [sector for sector in range(SECTOR, SECTOR + 5) if night.status(sector) == "enumerated"]
    assert listed == [SECTOR, SECTOR + 1]
    for _ in range(5):
        report = night.poll(HOUR)
    assert not report.again
    assert {night.status(sector) for sector in range(SECTOR, SECTOR + 5)} == {"enumerated"}
    assert night.queued() == len({e.tic for e in night.catalogue.visible()})


def test_a_star_seen_again_is_queued_again_with_both_files(night):
    night.release()
    night.poll()
    names = [entry.obs_id for entry in night.catalogue.visible(SECTOR)]
    again = [f"{name.replace('s0027', 's0028')}_lc.fits" for name in names[:3]]
    night.catalogue.add_crowd(SECTOR + 1, names=again, span=0.2, pool=2)
    night.release(SECTOR + 1)
    claims = night.state.claim_wanted("courier", 100, night.now)
    night.state.arrived(claims, night.now)
    for claim in night.state.claim("worker", 100, night.now):
        night.state.finish(claim, Status.NO_SIGNAL, "nothing", night.now)
    report = night.poll()
    assert (report.added, report.requeued) == (0, 3)
    assert {len(claim.sources) for claim in night.state.claim_wanted("courier", 100, night.now)} == {2}


def test_a_target_in_a_workers_hands_is_offered_again_when_it_is_free(night):
    night.release()
    night.poll()
    claims = night.state.claim_wanted("courier", 1, night.now)
    name = f"tess2020190000000-s0028-{int(claims[0].key):016d}-0190-s_lc.fits"
    night.catalogue.add_crowd(SECTOR + 1, names=[name], span=0.2, pool=2)
    night.release(SECTOR + 1)
    assert night.poll().requeued == 0
    assert night.poll().requeued == 0  # still busy
    night.state.finish(claims[0], Status.NO_DATA, "nothing", night.now)
    assert night.poll().requeued == 1
    assert night.poll().requeued == 0
    assert night.state.get("watch: offer again") is None


# ---- where it begins


def test_a_hunt_that_is_told_nothing_begins_with_the_newest_sector(tmp_path, session, replica):
    night = Night(tmp_path, session, replica)
    for sector in (24, 25, 26):
        night.release(sector)
    report = night.poll()
    assert "the hunt begins with sector 26, the newest of SPOC-120" in report.words
    assert [night.status(sector) for sector in (25, 26)] == [None, "enumerated"]
    night.release(27)
    night.poll()
    assert night.status(27) == "enumerated"
    night.state.close()


def test_a_hunt_without_any_sector_says_where_to_begin(tmp_path, session, replica):
    night = Night(tmp_path, session, replica)
    (alert,) = night.poll().alerts
    assert alert.endswith("say where to begin in [watch] first_sector")
    night.state.close()


def test_two_products_are_watched_side_by_side(tmp_path, session, replica):
    night = Night(tmp_path, session, replica, watch__first_sector=SECTOR, watch__products=("SPOC-120", "SPOC-20"))
    replica.catalogue.add_crowd(SECTOR, stars=STARS, span=0.2, pool=2, fast=3)
    night.release()
    report = night.poll()
    assert (report.files, report.added) == (STARS + 3, STARS)
    assert night.status(product="SPOC-20") == "enumerated"
    first = night.state.claim_wanted("courier", 100, night.now)
    assert sorted(len(claim.sources) for claim in first) == [1] * (STARS - 3) + [2] * 3
    night.state.close()


def test_a_sector_asked_for_by_name_is_listed_before_it_has_settled(night):
    night.release(fraction=0.5, script=False)
    night.now += HOUR
    report = night.watcher().list_now([SECTOR], night.now)
    assert report.added == STARS // 2
    assert night.status() == "ingesting"
    night.release()
    assert night.poll().added == STARS // 2
    assert night.status() == "enumerated"


def test_an_unreleased_sector_asked_for_by_name_lists_nothing(night):
    report = night.watcher().list_now([SECTOR], NOW)
    assert (report.files, night.status()) == (0, "unseen")


# ---- what changes later


def test_replaced_files_are_hunted_again_and_only_those(night):
    night.release()
    night.poll()
    some = [entry.tic for entry in night.catalogue.visible(SECTOR)][:3]
    for claim in settle(night):
        assert "#" not in claim.sources[0]
    night.catalogue.reprocess(SECTOR, tics=some, data_release=99)
    assert night.poll(DAY).requeued == 0  # not yet a week
    report = night.poll(WEEK)
    assert f"sector {SECTOR} SPOC-120 has changed: 3 of {STARS} files have another version" in report.words
    assert (report.added, report.requeued) == (0, 3)
    claims = night.state.claim_wanted("courier", 100, night.now)
    assert {int(claim.key) for claim in claims} == set(some)
    assert all(claim.sources[0].endswith("#simulated-99") for claim in claims)
    night.state.release(claims, night.now)
    settle(night)
    assert night.poll(WEEK).requeued == 0


def settle(night):
    """Let every queued target end."""
    claims = night.state.claim_wanted("courier", 100, night.now)
    night.state.arrived(claims, night.now)
    for claim in night.state.claim("worker", 100, night.now):
        night.state.finish(claim, Status.NO_SIGNAL, "nothing", night.now)
    return claims


def test_a_file_that_vanishes_is_delisted_when_that_has_stood_and_its_result_stays(night):
    night.release()
    night.poll()
    settle(night)
    gone = night.catalogue.visible(SECTOR)[0]
    night.catalogue.withdraw(gone.tic)
    night.catalogue.publish_script(SECTOR)
    night.poll(WEEK)
    assert night.status() == "held"
    assert len(Products(night.state).of_sector(SECTOR, "SPOC-120")) == STARS
    for _ in range(4):
        report = night.poll()
    assert night.status() == "enumerated"
    assert f"sector {SECTOR} SPOC-120: 1 files are not listed any more; their results stay" in report.words
    assert len(Products(night.state).of_sector(SECTOR, "SPOC-120")) == STARS - 1
    assert night.queued() == 0


def test_a_sector_that_is_empty_all_of_a_sudden_is_held_and_told_at_the_third_poll(night):
    night.release()
    night.poll()
    for entry in night.catalogue.visible(SECTOR):
        night.catalogue.withdraw(entry.tic)
    alerts = [night.poll(WEEK).alerts, *(night.poll().alerts for _ in range(4))]
    assert [len(one) for one in alerts] == [0, 0, 1, 0, 0]
    assert night.status() == "held"
    assert len(Products(night.state).of_sector(SECTOR, "SPOC-120")) == STARS


# ---- what goes wrong


def test_a_poll_without_an_answer_moves_nothing(night):
    night.release()
    night.poll()
    before = night.everything()
    night.replica.plan = Rules(Rule(unavailable()))
    report = night.poll(WEEK)
    assert report.unknown == report.looked == 2
    after = night.everything()
    assert after[1:] == (before[1] | {SECTOR + 1: {}}, before[2])
    assert night.status() == "enumerated"


def test_a_sector_that_cannot_be_listed_now_is_listed_by_the_next_poll(night):
    night.release()
    night.replica.plan = Rules(Rule(unavailable(), route="invoke", hits=(2,)))
    report = night.poll()
    assert (report.added, report.unknown) == (0, 1)
    assert night.status() == "settled"
    night.replica.plan = Rules()
    assert night.poll().added == STARS


class Killed(BaseException):
    pass


def test_a_poll_killed_anywhere_and_made_again_ends_the_same(tmp_path, session):
    def hunt(folder, deaths):
        with Replica(Catalogue(clock=lambda: NOW)) as replica:
            night = Night(folder, session, replica, watch__first_sector=SECTOR)
            night.release()
            passed = 0

            def step(name):
                nonlocal passed
                passed += 1
                if passed in deaths:
                    raise Killed(name)

            for _ in range(1 + len(deaths)):
                try:
                    night.watcher(step=step).poll(NOW + HOUR)
                    break
                except Killed:
                    continue
            night.watcher().poll(NOW + 2 * HOUR)
            found = night.everything()
            night.state.close()
            return passed, found

    (tmp_path / "whole").mkdir()
    passes, whole = hunt(tmp_path / "whole", ())
    assert passes >= 6
    for death in range(1, passes + 1):
        folder = tmp_path / str(death)
        folder.mkdir()
        _, found = hunt(folder, (death,))
        assert found == whole, f"killed at boundary {death}"


# ---- stars and priorities


def test_stars_are_described_and_the_bright_go_first(night):
    night.release()
    night.poll()
    assert {claim_star(night, key).tmag for key in keys(night)} == {None}
    night.replica.forget()
    assert night.watcher().describe(SECTOR, "SPOC-120", night.now) == STARS
    assert night.counts() == 1
    stars = night.catalogue.stars()
    for key in keys(night):
        assert claim_star(night, key).teff == pytest.approx(stars[int(key)].teff)
    claims = night.state.claim_wanted("courier", 100, night.now)
    magnitudes = [claim.star["tmag"] for claim in claims]
    assert magnitudes == sorted(magnitudes)
    assert night.poll().undescribed == []


def keys(night):
    return [key for _, key in Products(night.state).targets_of(SECTOR, "SPOC-120")]


def claim_star(night, key):
    return Star(**Products(night.state).stars_of([("TIC", key)])["TIC", key])


def test_what_is_known_of_a_star_survives_its_next_sector(night):
    night.release()
    night.poll()
    night.watcher().describe(SECTOR, "SPOC-120", night.now)
    known = {key: asdict(claim_star(night, key)) for key in keys(night)}
    name = f"tess2020190000000-s0028-{int(keys(night)[0]):016d}-0190-s_lc.fits"
    night.catalogue.add_crowd(SECTOR + 1, names=[name], span=0.2, pool=2)
    night.release(SECTOR + 1)
    night.poll()
    assert {key: asdict(claim_star(night, key)) for key in keys(night)} == known


def test_stars_are_not_described_while_the_catalogue_is_away(night):
    night.release()
    night.poll()
    night.replica.plan = Rules(Rule(unavailable()))
    with pytest.raises(ArchiveUnavailable):
        night.watcher().describe(SECTOR, "SPOC-120", night.now)
    night.replica.plan = Rules()
    assert night.poll().undescribed == [(SECTOR, "SPOC-120")]


def test_favourites_go_before_hosts_and_those_before_the_bright(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("# mine\n7\nTIC 8  # the odd one\n\n")
    settings = load(str(tmp_path), {"watch.favourites": str(file), "watch.products": ("SPOC-120", "TESS-SPOC")})
    rank = Ranking(settings)
    faint, bright = Star(tmag=15.0), Star(tmag=6.0)
    order = [("7", ["TESS-SPOC"], Star()), ("5", ["SPOC-120"], bright), ("5", ["SPOC-120"], faint),
             ("5", ["SPOC-120"], Star()), ("5", ["TESS-SPOC"], bright)]  # fmt: skip
    values = [rank(*one) for one in order]
    assert values == sorted(values, reverse=True)
    assert rank("8 s0007", ["SPOC-120"], Star()) == rank("7", ["SPOC-120"], Star())


@pytest.mark.parametrize(("text", "why"), [("7\nVega\n", "mine.txt:2: 'Vega' is no TIC"), (None, "cannot be read")])
def test_a_list_of_favourites_that_cannot_be_read_is_told_in_one_line(tmp_path, text, why):
    file = tmp_path / "mine.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=why):
        read_favourites(file)


def test_a_note_of_targets_to_offer_again_is_plain_text(night):
    night.state.set("watch: offer again", json.dumps([["TIC", "404"]]))
    assert night.poll().requeued == 0  # it has no files any more: forgotten
    assert night.state.get("watch: offer again") is None
