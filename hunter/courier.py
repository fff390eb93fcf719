"""The one process of a hunt that talks to an archive: it fetches ahead of the workers, and runs errands.

It claims targets whose files are still far away, in the order in which workers will want them, and gives them back
when every file is here and has passed every check. It keeps only so far ahead as the settings allow, makes room among
files that nobody needs, and rests while the archive is down: an outage costs no target an attempt. Errands (a poll for
releases, the catalogues) are asked for by the daemon's timers and run in one thread beside the fetching.

Of a candidate it brings the field too, pixels and neighbours, one candidate at a time. The candidate waits for nothing:
it was published without them, keeps its status meanwhile, and is queued again when all of it is here.
"""

import json
import os
import random
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from hunter import crashpoints, logs, worker
from hunter.checkpoints import files_of
from hunter.field_supply import FieldBrought, FieldSupplier
from hunter.network.errors import Busy, Corrupt, Denied, HostDown, Missing
from hunter.outcomes import Failure, disk_is_full, judge
from hunter.settings import Settings
from hunter.supply import FarSupplier, Supplier
from pipeline.errors import ArchiveUnavailable
from state.products import Products
from state.rows import Claim, FetchedProduct
from state.status import StateError, Status
from state.store import End, State
from state.survivors import Survivor, Survivors

TURN = 0.2  # seconds between looks
LOOK = 1.0  # seconds until it is looked again whether anything is wanted, where nothing was
SAY = 5.0  # seconds between words to the engine, so that it knows us alive
TELL = 2.0  # seconds between words to the record
MISSING_TRIES = 3  # refusals of a file, over the waits between them, before it counts as gone
DENIED_REST = 3600.0  # seconds without a claim after the archive would not let us in
FULL_REST = 10.0  # seconds without a claim where nothing can be stored


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of the files of one target."""

    claim: Claim
    files: tuple[FetchedProduct, ...] = ()  # fetched just now
    here: tuple[str, ...] = ()  # those that were here before
    gone: tuple[tuple[str, str, bool], ...] = ()  # (source, reason, whether it is unsound and not missing)
    error: Exception | None = None  # why it is not complete


class Courier:
    """One life of the courier.

    Parameters
    ----------
    settings, state
    supplier : Supplier
    duty : hunter.worker.Duty
        What it reports, when it stops, how many targets it may take.
    forever : bool
        Wait for more when nothing is wanted.
    describe : callable, optional
        What a catalogue knows of the stars of these claims, by the number of the target.
    fields : FieldSupplier, optional
        What brings the fields of candidates; without it nobody asks for them.
    pay_back : callable
        Called with the number of targets that are queued again: a bounded night has room for them besides.
    turn : float
        Seconds between looks.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        supplier: Supplier,
        duty: worker.Duty,
        *,
        forever: bool = False,
        describe: Callable[[Iterable[Claim]], dict[int, dict[str, float | None]]] = lambda claims: {},
        fields: FieldSupplier | None = None,
        pay_back: Callable[[int], None] = lambda targets: None,
        turn: float = TURN,
    ) -> None:
        self.settings, self.state, self.supplier, self.duty = settings, state, supplier, duty
        self.fields = fields if settings.field.fetch else None
        self.pay_back = pay_back
        self.survivors = Survivors(state)
        self._look_for_fields = 0.0  # monotonic; no field was wanted a moment ago
        self.forever, self.describe, self.turn = forever, describe, turn
        self.name = f"courier-{socket.gethostname()}-{os.getpid()}-{time.time_ns() % 10**9:09d}"
        self.products = Products(state)
        self.rest_until = 0.0  # monotonic; nothing is claimed before
        self.resting = ""  # why
        self.denied = 0  # refusals in a row
        self.spent = False  # all that may be fetched tonight has been
        self._look_again = 0.0  # monotonic; nothing was wanted a moment ago
        self.fetched = self.bytes = 0
        self._mean = self.products.mean_size()  # of what was fetched before us; 0 where nothing was
        self._stars: dict[int, dict[str, float | None]] = {}  # what the catalogue told of the claims in hand
        self._told = ""

    def live(self, busy: Callable[[], bool] = lambda: False) -> int:
        """Fetch until stopped, or until nothing is wanted any more; return how many targets were made ready.

        Parameters
        ----------
        busy : callable
            Whether something else still keeps this process.
        """
        connections = self.settings.network.connections
        in_hand: dict[Future[Brought], Claim] = {}
        total, said, told = 0, 0.0, 0.0
        field: Future[FieldBrought] | None = None
        survivor: Survivor | None = None
        with ThreadPoolExecutor(connections, thread_name_prefix="fetch") as pool:
            while True:
                stopping = self.duty.stop()
                if stopping:  # what has not begun goes back at once; what has is ended
                    unbegun = [future for future in in_hand if future.cancel()]
                    self.state.release([in_hand.pop(future) for future in unbegun], self.duty.now())
                    if field is not None and field.cancel():
                        field = None
                    if not in_hand and field is None:
                        break
                else:
                    # two for each connection: one on its way, one to follow
                    for claim in self._claim(4 * connections - len(in_hand), in_hand):
                        in_hand[pool.submit(self._bring, claim)] = claim
                    if field is None and (survivor := self._survivor()) is not None:
                        field = pool.submit(self._bring_field, survivor)
                    if not in_hand and field is None and not busy() and not self._more():
                        break
                if field is not None and field.done():
                    assert survivor is not None
                    self._settle_field(survivor, field)
                    field = None
                if in_hand:
                    done, _ = wait(in_hand, timeout=self.turn, return_when=FIRST_COMPLETED)
                    brought = [future.result() for future in done]
                    for future in done:
                        del in_hand[future]
                    total += self._settle(brought)
                else:
                    time.sleep(self.turn)
                now = time.monotonic()
                if now - said > SAY:
                    said = now
                    self.duty.report("resting", self.resting or None)
                if now - told > TELL:
                    told = now
                    self._tell(len(in_hand))
        self._tell(0)
        return total

    # ------------------------------------------------------------------------------------------------ what is wanted

    def _claim(self, room: int, in_hand: dict[Future[Brought], Claim]) -> list[Claim]:
        """Take what is wanted next, as far as we may run ahead."""
        if room <= 0 or time.monotonic() < max(self.rest_until, self._look_again):
            return []
        files = self.settings.files
        mean = self.bytes / self.fetched if self.fetched else self._mean
        ahead = self.state.ready(files.ahead_files) + len(in_hand)
        allowed = files.ahead_files
        if mean:
            # half the quota at most is on its way: the other half is what the workers read
            allowed = max(1, min(allowed, int(files.ahead_gb * 1e9 / mean), int(files.quota_gb * 1e9 / mean / 2)))
        room = min(room, allowed - ahead)
        if room <= 0 or (room < self.settings.network.connections and in_hand):
            return []
        # what is asked for now, and what is on its way and in no account yet
        if reason := self.supplier.pause(int(mean * (room + len(in_hand)))):
            self._rest(FULL_REST, reason, "room")
            return []
        if self.resting:
            self.resting = ""
            self.duty.report("resting", None)
        room = self.duty.allow(room)
        self.spent = room <= 0
        if self.spent:
            return []
        crashpoints.at("claim wanted")
        claims = self.state.claim_wanted(self.name, room, self.duty.now())
        self.duty.give_back(room - len(claims))
        if not claims:
            self._look_again = time.monotonic() + LOOK
            return []
        crashpoints.at("claimed wanted")
        return self._described(claims)

    def _described(self, claims: list[Claim]) -> list[Claim]:
        """The claims, once the catalogue has been asked about stars that nobody has described yet."""
        unknown = [claim for claim in claims if not any(value is not None for value in claim.star.values())]
        if not unknown:
            return claims
        try:
            self._stars |= self.describe(unknown)
        except ArchiveUnavailable as error:
            self._settle([Brought(claim, error=error) for claim in unknown])
            return [claim for claim in claims if claim not in unknown]
        return claims

    def _more(self) -> bool:
        """Whether to wait for more: a daemon always does, a night while something rests that will be wanted."""
        if self.forever:
            return True
        if self.fields is not None and self.survivors.any(self.duty.now()):
            return True
        return not self.spent and (time.monotonic() < self.rest_until or self.state.wanted())

    def _bring(self, claim: Claim) -> Brought:
        """Have all files of one target here; runs in a thread, and touches the record in no way."""
        with logs.during(target=claim.name, phase="fetch"):
            self.duty.report("phase", ("fetch", claim.name))
            return self._have(claim)

    def _have(self, claim: Claim) -> Brought:
        files: list[FetchedProduct] = []
        here: list[str] = []
        gone: list[tuple[str, str, bool]] = []
        error: Exception | None = None
        for source in claim.sources:
            try:
                file = self.supplier.get(source)
            except Missing as missing:
                if claim.deferrals < MISSING_TRIES:
                    error = error or ArchiveUnavailable(f"it is listed and cannot be had yet: {missing}")
                else:
                    gone.append((source, f"missing: {missing}", False))
            except Corrupt as corrupt:
                gone.append((source, f"corrupt:{corrupt.check}: {corrupt}", True))
            except Exception as other:
                error = other
                break
            else:
                if file is None:
                    here.append(source)
                else:
                    files.append(file)
        return Brought(claim, tuple(files), tuple(here), tuple(gone), error)

    # ------------------------------------------------------------------------------------------------ what came of it

    def _settle(self, brought: list[Brought]) -> int:
        """Record what was brought; returns how many targets are ready now."""
        if not brought:
            return 0
        now = self.duty.now()
        files = [file for one in brought for file in one.files]
        self.fetched += len(files)
        self.bytes += sum(file.size for file in files)
        crashpoints.at("files renamed")
        self.products.fetched(files, now)
        self.products.used([source.partition("#")[0] for one in brought for source in one.here], now)
        crashpoints.at("files recorded")
        ready: list[Claim] = []
        ends: list[End] = []
        back: list[Claim] = []
        for one in brought:
            for source, reason, _ in one.gone:
                self.supplier.give_up(source, reason)
                self.state.log("warning", "gone", f"{one.claim.name}: {source}: {reason}", now, target_id=one.claim.id)
            if one.error is not None:
                end = self._judge(one.claim, one.error)
                ends += [end] if end is not None else []
                back += [one.claim] if end is None else []
            elif one.gone and len(one.gone) == len(one.claim.sources):
                reasons = "; ".join(reason for _, reason, _ in one.gone)
                unsound = any(corrupt for *_, corrupt in one.gone)
                outcome = Status.UNUSABLE if unsound else Status.NO_DATA
                ends.append(
                    End(
                        one.claim, outcome, reasons, error_class="UnusableData" if unsound else "Missing", error=reasons
                    )
                )
            else:
                ready.append(one.claim)
        self.state.release(back, now, "the archive is not to be had just now")
        self.state.arrived(
            ready, now, {claim.id: self._stars.pop(claim.id) for claim in ready if claim.id in self._stars}
        )
        crashpoints.at("made ready")
        lost = self.state.finish_all(ends, now) if ends else set()
        for end in ends:
            if end.claim.id not in lost:
                self.duty.report("ended", (end.claim.name, str(end.outcome), end.because))
        return len(ready)

    def _judge(self, claim: Claim, error: Exception) -> End | None:
        """How a target ends whose files could not be brought; None gives it back as if it had not been asked for."""
        if isinstance(error, HostDown | Busy):
            self._rest(max(0.0, error.until - self.duty.now()), str(error))
            return None
        if disk_is_full(error) or (isinstance(error, OSError) and not isinstance(error, ConnectionError)):
            self._rest(FULL_REST, f"nothing can be stored: {error}", "room")
            return None
        if isinstance(error, StateError):
            raise error
        self.denied = self.denied + 1 if isinstance(error, Denied) else 0
        if self.denied == 3:
            self._rest(DENIED_REST, str(error))
        if isinstance(error, ArchiveUnavailable):
            waits = self.settings.engine.defer_hours
            wait_for = waits[min(claim.deferrals, len(waits) - 1)] * 3600
            # drawn, so that the targets of one fault do not all come back in the same second
            failure = Failure(
                Status.DEFERRED, str(error), "ArchiveUnavailable", wait=random.uniform(wait_for, 1.25 * wait_for)
            )
        else:
            failure = judge(error, "fetch", claim.deferrals)
        next_at = None if failure.wait is None else self.duty.now() + failure.wait
        return End(
            claim,
            failure.outcome,
            failure.because,
            error_class=failure.error_class,
            error=failure.error or failure.because,
            next_at=next_at,
        )

    # ------------------------------------------------------------------------------------------ fields of candidates

    def _survivor(self) -> Survivor | None:
        """The candidate whose field is to be brought next."""
        if self.fields is None or time.monotonic() < max(self.rest_until, self._look_for_fields):
            return None
        found = self.survivors.wanted(self.duty.now())
        if not found:
            self._look_for_fields = time.monotonic() + LOOK
            return None
        if reason := self.fields.pause(self.products):
            self._rest(FULL_REST, reason, "room")
            return None
        crashpoints.at("field wanted")
        return found[0]

    def _bring_field(self, survivor: Survivor) -> FieldBrought:
        """Have the whole field of a candidate here; runs in a thread, and touches the record in no way."""
        assert self.fields is not None
        with logs.during(target=survivor.name, phase="field"):
            self.duty.report("phase", ("field", survivor.name))
            return self.fields.bring(survivor)

    def _settle_field(self, survivor: Survivor, field: Future[FieldBrought]) -> None:
        """Record a field that is here, and queue its target again; or when it is to be asked for again."""
        now = self.duty.now()
        error = field.exception()
        if error is None:
            brought = field.result()
            crashpoints.at("field files renamed")
            self.products.enter([listed for listed, _ in brought.files], now)
            self.products.fetched([file for _, file in brought.files], now)
            crashpoints.at("field files recorded")
            again = not brought.made.empty
            if self.survivors.settled(survivor, files_of(survivor.inputs), brought.listed, now, again=again) and again:
                self.pay_back(1)
            crashpoints.at("field settled")
            for reason in brought.made.missing:
                self.state.log("info", "field", f"{survivor.name}: {reason}", now, target_id=survivor.id)
            return
        if isinstance(error, HostDown | Busy):
            self._rest(max(0.0, error.until - now), str(error))
            return
        if disk_is_full(error) or (isinstance(error, OSError) and not isinstance(error, ConnectionError)):
            self._rest(FULL_REST, f"nothing can be stored: {error}", "room")
            return
        if isinstance(error, StateError) or not isinstance(error, Exception):
            raise error
        waits = self.settings.engine.defer_hours
        # our fault may last until we are mended: it is not repeated all night
        ours = not isinstance(error, ArchiveUnavailable)
        hours = max(waits) if ours else waits[min(survivor.tries, len(waits) - 1)]
        self.survivors.put_off(survivor, now + random.uniform(3600 * hours, 1.25 * 3600 * hours))
        words = "".join(traceback.format_exception(error)) if ours else str(error)
        level = "error" if ours else "warning"
        self.state.log(level, "field", f"{survivor.name}: {words}", now, target_id=survivor.id)

    def _rest(self, seconds: float, reason: str, kind: str = "archive") -> None:
        """Claim nothing for so long, and say once why: the archive, or the room that files need."""
        self.rest_until = max(self.rest_until, time.monotonic() + seconds)
        if not self.resting:
            self.state.log("warning", kind, reason, self.duty.now())
        self.resting = reason
        self.duty.report("resting", reason)

    def _tell(self, in_hand: int) -> None:
        """Put down how far ahead we are, for whoever looks at the hunt."""
        told = json.dumps(
            {
                "source": self.settings.archive.source,
                "fetching": in_hand,
                "files": self.fetched,
                "bytes": self.bytes,
                "resting": self.resting,
                "until": self.duty.now() + self.rest_until - time.monotonic() if self.resting else None,
            }
        )
        if told != self._told:
            self._told = told
            self.state.set("courier", told)


# ------------------------------------------------------------------------------------------------ a child of the crew


class Errands:
    """What the daemon asks for, one after the other in a thread of its own, beside the fetching."""

    def __init__(self, connection: Any, do: Callable[[str], str], report: worker.Report) -> None:
        self._connection, self._do, self._report = connection, do, report
        self._busy = threading.Event()
        threading.Thread(target=self._run, name="errands", daemon=True).start()

    def busy(self) -> bool:
        return self._busy.is_set() or self._connection.poll()

    def _run(self) -> None:
        while True:
            try:
                name = self._connection.recv()
            except (EOFError, OSError):
                return  # the parent is gone, and soon we are
            self._busy.set()
            try:
                self._report("errand", (name, True, self._do(name)))
            except ArchiveUnavailable as error:
                self._report("errand", (name, False, f"{name}: no answer: {error}"))
            except Exception as error:  # our fault: told with its place, and the fetching goes on
                words = "".join(traceback.format_exception(error))
                self._report("errand", (name, False, f"{name}: {type(error).__name__}: {error}\n{words}"))
            finally:
                self._busy.clear()


def main(settings: Settings, connection: Any, flags: Any, budget: Any) -> None:
    """A child of the crew: fetch and run errands, tell the parent, die with it."""
    logs.configure_for(settings, "courier", console=None)
    worker.serve_parent(connection, lambda report: _live(settings, connection, flags, budget, report))


def forget_lost_lists(state: State, supplier: FarSupplier) -> None:
    """Have fields fetched again whose lists do not lie here any more: the cache was deleted."""
    supplier.products.gone([uri for uri, path in Survivors(state).lists() if not supplier.store.at(path).exists()])


def _live(settings: Settings, connection: Any, flags: Any, budget: Any, report: worker.Report) -> int:
    from hunter.errands import errand_runner
    from hunter.supply import describer, open_door, open_portal

    state = State.open(settings.database, synchronous=settings.state.synchronous, step=crashpoints.at, check=False)
    duty = worker.Duty(report=report, stop=flags.is_set)
    pay_back: Callable[[int], None] = lambda targets: None  # noqa: E731
    if budget is not None:
        duty.allow, duty.give_back = budget.take, budget.give_back
        pay_back = budget.of_role("worker").give_back
    door = open_door(settings, state)
    supplier, describe = FarSupplier(settings, state, door), describer(settings, door)
    fields = FieldSupplier(settings, door, open_portal(settings, door))
    supplier.store.sweep(supplier.products)
    forget_lost_lists(state, supplier)
    courier = Courier(
        settings,
        state,
        supplier,
        duty,
        forever=flags.forever,
        describe=describe,
        fields=fields,
        pay_back=pay_back,
    )
    with worker.enrolled(state, courier.name, settings, duty.now, role="courier"):
        errands = Errands(connection, errand_runner(settings, state, door), report)
        return courier.live(errands.busy)
