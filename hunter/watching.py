"""One poll of the archive: ask, move the releases by what was seen, list what has settled, queue what is new.

A poll may be killed anywhere and be made again: files are entered, targets queued and only then the release is said to
be listed, each step of which changes nothing the second time. An archive that is down for days is caught up with in
one poll. What a question did not answer is unknown, and unknown moves nothing.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hunter import crashpoints
from hunter.archives.mast.names import PRODUCTS, ProductLine
from hunter.archives.mast.offers import found_targets, target_key
from hunter.archives.mast.portal import STARS_AT_ONCE, Portal
from hunter.archives.mast.ranking import Ranking
from hunter.archives.mast.scripts import Script, ask_script
from hunter.archives.mast.sector import SectorList, list_sector, replaced, version_of
from hunter.copies import Copies
from hunter.engine import queue
from hunter.network.errors import Busy, Denied, HostDown
from hunter.releases import Progress, ScriptSeen, Seen, Step, advance, listed, name
from hunter.settings import Settings
from pipeline.errors import ArchiveUnavailable
from pipeline.types import Star
from state.products import Products
from state.releases import Releases
from state.rows import ListedProduct, ReleaseRow
from state.store import State

COUNTS = 2  # of a product in one poll, beside those of the weekly look
WEEK = 7 * 86_400.0
SECTOR_ONE = 1_532_476_800.0  # 25 July 2018, in seconds since 1970
SECTOR_SECONDS = 26.5 * 86_400.0  # a sector lasts longer: the guess at the newest one is never too early
MOST_PROBES = 60  # scripts asked for in search of the newest sector
MOST_UPWARD = 12  # new sectors looked at in one poll
BEGIN = "watch: first sector"  # names in the record's notes
AGAIN = "watch: offer again"
WAITING = (Progress.SETTLED, Progress.DRIFT)
COUNTED = (Progress.INGESTING, Progress.HELD)


@dataclass(slots=True)
class PollReport:
    """What one poll found."""

    looked: int = 0  # releases asked about
    unknown: int = 0  # of which no answer can be trusted
    files: int = 0  # listed
    added: int = 0  # targets queued for the first time
    requeued: int = 0  # targets queued again, with new or replaced files
    words: list[str] = field(default_factory=list)  # what was moved
    alerts: list[str] = field(default_factory=list)  # what a person should hear
    undescribed: list[tuple[int, str]] = field(default_factory=list)  # sector and product: `describe` is due
    again: bool = False  # more is there than one poll looks at: another one soon finds more

    @property
    def line(self) -> str:
        """The poll in one line."""
        if not (self.words or self.alerts or self.unknown):
            return f"nothing new in {self.looked} releases"
        told = [f"{self.added} targets are new, {self.requeued} are hunted again"] if self.files else []
        told += [f"{self.unknown} of {self.looked} questions without an answer"] if self.unknown else []
        return "; ".join([*told, *self.alerts, *self.words])


class Watcher:
    """Looks out for releases of one hunt.

    Parameters
    ----------
    settings : Settings
    state : State
    session : requests.Session
        What goes out to the network: that of the door.
    clock : callable
        Seconds since 1970, for the dates of copies.
    step : callable
        Called at each boundary between two durable acts.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        session: Any,
        *,
        clock: Callable[[], float] = time.time,
        step: Callable[[str], None] = crashpoints.at,
    ) -> None:
        folder = settings.home / "cache" / "archive"
        self.settings = settings
        self._state = state
        self._releases, self._products = Releases(state), Products(state)
        self._portal = Portal(session, settings.archive.mast_url, folder, clock)
        self._copies = Copies(session, folder / "scripts", clock)
        self._step = step
        self._ranking: Ranking | None = None

    # ---- what is asked of it

    def poll(self, now: float) -> PollReport:
        """Look once at all that is due.

        Of each product: the script and the count of what is arriving or held and of the first sector that was not yet
        seen, two counts in all; once a week script, count and a sample of every sector that was listed.
        """
        report = PollReport()
        self._ranking = Ranking(self.settings)
        self._offer_again(report, now)
        try:
            for product in self.settings.watch.products:
                self._poll_product(PRODUCTS[product], report, now)
        except (HostDown, Busy, Denied) as error:
            report.alerts.append(f"the poll was broken off: {error}")
        report.undescribed = [
            (row.sector, row.product) for row in self._releases.all()
            if row.enumerated_at is not None and (row.described_at is None or row.described_at < row.enumerated_at)
        ]  # fmt: skip
        if not report.unknown:
            self._state.set("last_poll_at", str(now))
        return report

    def list_now(self, sectors: Collection[int], now: float, offer: bool = True) -> PollReport:
        """List these sectors as they stand, settled or not, for who asked by name; ``offer`` queues what they hold.

        Raises
        ------
        ArchiveUnavailable
            If one of them cannot be listed.
        """
        report = PollReport()
        self._ranking = Ranking(self.settings)
        for sector in sorted(sectors):
            for product in self.settings.watch.products:
                line = PRODUCTS[product]
                row = self._releases.get(sector, product) or ReleaseRow(sector, product)
                found = self._list(line, row)
                report.looked += 1
                step = advance(row, Seen(found.count, _seen(found.script)), now)
                if not found.files or step.row.status == Progress.HELD:
                    self._put(step, report, now)
                    continue
                self._enter(line, step.row, found, report, now, offer)
                done = _done(step.row, found, now)
                self._put(done if step.to_list or row.enumerated_at is not None else step, report, now)
        return report

    def describe(self, sector: int, product: str, now: float) -> int:
        """Ask the TESS Input Catalog about the stars of a sector, 2,000 at a time; returns how many it knows.

        What it says goes to the targets that are not being worked at, with the priority that follows. Killed anywhere
        and called again, it ends the same.

        Raises
        ------
        ArchiveUnavailable
            If a question stays without an answer.
        """
        ranking = Ranking(self.settings)
        names = list(self._products.targets_of(sector, product))
        known = 0
        for start in range(0, len(names), STARS_AT_ONCE):
            some = names[start : start + STARS_AT_ONCE]
            stars = self._portal.stars([int(key.partition(" ")[0]) for _, key in some])
            files = self._products.of_targets(some)
            told = []
            for kind, key in some:
                star = stars.get(int(key.partition(" ")[0]))
                if star is not None:
                    has = {row["product"] for row in files[kind, key]}
                    told.append((kind, key, asdict(star), ranking(key, has, star)))
            self._products.describe(told)
            self._step("stars described")
            known += len(told)
        row = self._releases.get(sector, product)
        if row is not None:
            self._releases.put(replace(row, described_at=now), now, f"{name(row)}: {known} of {len(names)} stars known")
        return known

    def stars(self, tics: Iterable[int]) -> dict[int, Star]:
        """What the TESS Input Catalog knows of these stars."""
        return self._portal.stars(list(tics))

    # ---- one product

    def _poll_product(self, line: ProductLine, report: PollReport, now: float) -> None:
        rows = {row.sector: row for row in self._releases.all() if row.product == line.name}
        seen = [sector for sector, row in rows.items() if row.status != Progress.UNSEEN]
        begin = self._begin(line, report, now)
        if begin is None:
            return
        arriving = sorted((row for row in rows.values() if row.status in COUNTED), key=lambda row: row.looked_at or 0.0)
        for row in (row for row in rows.values() if row.status in WAITING):
            self._bring_in(line, Step(row), report, now)
        counts = COUNTS - 1  # one is for the sector above
        for row in arriving:
            report.again |= counts <= 0
            self._look(line, row, report, now, count=counts > 0)
            counts -= 1
        counts = max(0, counts) + 1
        above = max(max(seen, default=0) + 1, begin)
        for sector in range(above, above + MOST_UPWARD):
            row = rows.get(sector) or ReleaseRow(sector, line.name)
            if not self._look(line, row, report, now, count=counts > 0):
                break
            report.again |= counts <= 0
            counts -= 1
        # where the hunt has been told to begin earlier than it did
        passed_over = [sector for sector in range(begin, above) if sector not in seen]
        for sector in passed_over[:MOST_UPWARD]:
            row = rows.get(sector) or ReleaseRow(sector, line.name)
            self._look(line, row, report, now, count=counts > 0)
            counts -= 1
        for row in rows.values():
            if row.status == Progress.ENUMERATED and not 0 <= now - (row.looked_at or 0.0) < WEEK:
                self._look(line, row, report, now, sample=True)

    def _begin(self, line: ProductLine, report: PollReport, now: float) -> int | None:
        """The sector that the hunt begins with: as the settings say, or the newest that has a script."""
        if self.settings.watch.first_sector:
            return int(self.settings.watch.first_sector)
        noted = self._state.get(BEGIN)
        if noted is not None:
            return int(noted)
        guess = 1 + int(max(0.0, now - SECTOR_ONE) / SECTOR_SECONDS)
        try:
            for sector in range(guess, max(0, guess - MOST_PROBES), -1):
                if ask_script(self._copies, self.settings.archive.bulk_url, line, sector) is not None:
                    self._state.set(BEGIN, str(sector))
                    report.words.append(f"the hunt begins with sector {sector}, the newest of {line.name}")
                    return sector
        except (HostDown, Busy, Denied):
            raise
        except ArchiveUnavailable as error:
            report.looked += 1
            report.unknown += 1
            report.alerts.append(f"the newest sector is not known: {error}")
            return None
        report.alerts.append(
            f"no script of {line.name} between sectors {max(1, guess - MOST_PROBES + 1)} and {guess}: "
            "say where to begin in [watch] first_sector"
        )
        return None

    def _look(
        self, line: ProductLine, row: ReleaseRow, report: PollReport, now: float, *, count: bool = True,
        sample: bool = False,
    ) -> bool:  # fmt: skip
        """Ask about one release and move it; False where nothing of it is there, or nothing is known."""
        report.looked += 1
        try:
            script = ask_script(self._copies, self.settings.archive.bulk_url, line, row.sector)
            counted = self._portal.count(line, row.sector) if count else None
            other = self._sample(line, row, now) if sample and counted else ""
            seen = Seen(counted, _seen(script), other)
        except ArchiveUnavailable as error:
            report.unknown += 1
            self._put(advance(row, Seen(failed=str(error)), now), report, now)
            if isinstance(error, HostDown | Busy | Denied):
                raise
            return False
        if row.status == Progress.UNSEEN and not count and script is None:
            return False
        self._bring_in(line, advance(row, seen, now), report, now)
        return bool(counted) or script is not None

    def _sample(self, line: ProductLine, row: ReleaseRow, now: float) -> str:
        known = self._products.of_sector(row.sector, row.product)
        return replaced(self._portal, known, self._processing(row), turn=int(now // WEEK))

    def _bring_in(self, line: ProductLine, step: Step, report: PollReport, now: float) -> None:
        """Store a release after a poll; list it first if it has settled, and queue what it holds."""
        if not step.to_list:
            self._put(step, report, now)
            return
        self._put(step, report, now)
        row = step.row
        try:
            found = self._list(line, row)
        except ArchiveUnavailable as error:
            report.unknown += 1
            self._put(advance(row, Seen(failed=str(error)), now), report, now)
            if isinstance(error, HostDown | Busy | Denied):
                raise
            return
        fell = row.count is not None and found.count < row.count
        if fell or not found.files:  # between the poll and the list
            self._put(advance(row, Seen(found.count, _seen(found.script)), now), report, now)
            return
        self._enter(line, row, found, report, now)
        self._put(_done(row, found, now), report, now)

    def _list(self, line: ProductLine, row: ReleaseRow) -> SectorList:
        again = row.enumerated_at is not None
        return list_sector(self._portal, self._copies, self.settings.archive.bulk_url, line, row.sector, exact=again)

    def _enter(
        self, line: ProductLine, row: ReleaseRow, found: SectorList, report: PollReport, now: float, offer: bool = True
    ) -> None:
        """Enter the files of a sector and queue its targets; done twice it changes nothing."""
        known = self._products.of_sector(row.sector, row.product)
        first = self._processing(row) or found.processing
        self._state.set(_processing_name(row), first or None)
        self._step("processing noted")
        combine = self.settings.hunt.combine
        entered = self._products.enter(
            (
                ListedProduct(
                    file.uri, file.kind, target_key(file, combine), file.sector, file.product,
                    # a version that was not asked for, or is not told, is no new one
                    version_of(file.version, first) if file.version else known.get(file.uri, ""), file.size_advised,
                )
                for file in found.files
            ),
            now,
        )  # fmt: skip
        self._step("files entered")
        gone = known.keys() - {file.uri for file in found.files}
        if gone:
            self._products.delist(gone, now)
            words = f"{name(row)}: {len(gone)} files are not listed any more; their results stay"
            self._state.log("warning", "release", words, now)
            report.words.append(words)
        self._step("files delisted")
        if entered.changed:
            report.words.append(f"{name(row)}: {entered.changed} files were replaced under their names")
        report.files += len(found.files)
        if offer:
            self._offer(list(self._products.targets_of(row.sector, row.product)), report, now)

    def _offer(self, names: list[tuple[str, str]], report: PollReport, now: float) -> None:
        """Queue targets; those in a worker's hands just now are noted, and offered again at the next poll."""
        assert self._ranking is not None
        offered = found_targets(self._products, names, self._ranking)
        queued = queue(self._state, offered, self.settings, now)
        self._step("targets queued")
        report.added += queued.added
        report.requeued += queued.requeued
        if queued.running:
            busy = self._products.running() & set(names)
            noted = {tuple(pair) for pair in json.loads(self._state.get(AGAIN) or "[]")}
            self._state.set(AGAIN, json.dumps(sorted(noted | busy)))

    def _offer_again(self, report: PollReport, now: float) -> None:
        noted = self._state.get(AGAIN)
        if noted is None:
            return
        # forgotten only after it was done: what is still busy is noted anew
        names = [(kind, key) for kind, key in json.loads(noted)]
        busy = self._products.running() & set(names)
        self._offer([pair for pair in names if pair not in busy], report, now)
        self._state.set(AGAIN, json.dumps(sorted(busy)) if busy else None)

    def _put(self, step: Step, report: PollReport, now: float) -> None:
        if step.word:
            report.words.append(step.word)
        if step.alert:
            report.alerts.append(step.word)
            self._state.log("error", "release", step.word, now)
        self._releases.put(step.row, now, "" if step.alert else step.word)
        self._step("release stored")

    def _processing(self, row: ReleaseRow) -> str:
        """The version that a sector first came in; "" where it is not known."""
        return self._state.get(_processing_name(row)) or ""


def _processing_name(row: ReleaseRow) -> str:
    return f"watch: processing of s{row.sector:04d} {row.product}"


def _done(row: ReleaseRow, found: SectorList, now: float) -> Step:
    return listed(row, len(found.files), found.count, _seen(found.script), now, found.note)


def _seen(script: Script | None) -> ScriptSeen | None:
    if script is None:
        return None
    return ScriptSeen(len(script.files), script.sha256, script.etag, script.modified)
