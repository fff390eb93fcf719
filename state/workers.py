"""Who works, whether they live, and what is taken back from those who do not."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select, update

from state.schema import targets, workers
from state.status import Status
from state.transactions import Transactions, printable, remember


class Workers(Transactions):
    """Workers say that they live; the claims of the others are taken back."""

    def register_worker(self, worker: str, pid: int, host: str, boot_id: str, now: float, role: str = "worker") -> None:
        """Enter a worker, before its first claim; or a courier or a daemon, which beats like one."""
        row = {"id": worker, "pid": pid, "host": host, "boot_id": boot_id, "started_at": now, "heartbeat": now}
        row |= {"role": role}
        with self.write("register") as connection:
            connection.execute(
                self.upsert(workers, ("id",)), row | {"status": "running", "message": "", "stopped_at": None}
            )

    def heartbeat(self, worker: str, now: float, status: str = "running", message: str = "") -> bool:
        """Say that the worker lives; False if it is not registered."""
        with self.write("heartbeat") as connection:
            beat = update(workers).where(workers.c.id == worker)
            beat = beat.values(heartbeat=now, status=status, message=printable(message), stopped_at=None)
            return connection.execute(beat).rowcount > 0

    def retire_worker(self, worker: str, now: float, message: str = "") -> None:
        """Say that the worker has ended in good order."""
        with self.write("retire") as connection:
            end = update(workers).where(workers.c.id == worker)
            connection.execute(end.values(heartbeat=now, stopped_at=now, status="stopped", message=printable(message)))

    def reclaim(
        self,
        now: float,
        lease_seconds: float,
        host: str,
        boot_id: str,
        dead: Callable[[int], bool],
        max_deaths: int = 5,
        counted: bool = True,
    ) -> list[tuple[str, str]]:
        """Take back the claims of workers that are dead, unknown, retired, or silent for longer than the lease.

        Parameters
        ----------
        host, boot_id : str
            Of the caller. Of a worker of the same host and boot, ``dead(pid)`` is asked, and believed at once;
            of any other only its heartbeat speaks.
        max_deaths : int
            A target with so many claims since its last progress is quarantined.
        counted : bool
            Whether this death speaks against the target. False when a whole hunt was cut off, by a power cut or by
            hand: the attempt is given back and nothing is quarantined, however often that happens.

        Returns
        -------
        list of (name, what became of it)

        Notes
        -----
        What is taken back becomes a suspect: it is claimed alone, until a phase of it is recorded, so that one
        poisonous target is found out at the price of a batch. A heartbeat further in the future than the lease
        is as dead as an old one: the clock was set back and nobody has beaten since.
        """
        with self.read() as connection:
            owners = connection.execute(_owners()).scalars().all()
        if not owners:
            return []
        taken: list[tuple[str, str]] = []
        with self.write("reclaim") as connection:
            known = {row.id: row for row in connection.execute(select(workers))}
            for owner in connection.execute(_owners()).scalars().all():
                reason = _why_lost(owner, known.get(owner), now, lease_seconds, host, boot_id, dead)
                if reason is not None:
                    taken += self._take_back(connection, owner, reason, now, max_deaths if counted else None)
        return taken

    def _take_back(
        self, connection: Connection, owner: str | None, reason: str, now: float, max_deaths: int | None
    ) -> list[tuple[str, str]]:
        query = (
            select(targets.c.id, targets.c.kind, targets.c.key, targets.c.attempts, targets.c.phase)
            .where(_running(), targets.c.owner == owner if owner is not None else targets.c.owner.is_(None))
            .order_by(targets.c.id)
            .with_for_update(skip_locked=True)  # locked by a finish that is under way: not lost after all
        )
        taken: list[tuple[str, str]] = []
        for row in connection.execute(query).all():
            values: dict[str, Any] = {"owner": None, "claimed_at": None, "changed_at": now}
            if max_deaths is not None and row.attempts >= max_deaths:
                there = Status.QUARANTINED
                where = f"in the phase after {row.phase}" if row.phase else "in its first phase"
                because = f"its worker died {row.attempts} times {where}"
                values |= {"suspect": False, "error_class": "worker-died", "error": f"{because}; at last {reason}"}
            else:
                there, because = Status.QUEUED, reason
                values |= {"suspect": True}
                if max_deaths is None:
                    values |= {"attempts": max(0, row.attempts - 1)}
            remember(connection, [row.id], there, because, now)
            connection.execute(update(targets).where(targets.c.id == row.id).values(values | {"status": there}))
            taken.append((f"{row.kind} {row.key}", f"{there}: {because}"))
        return taken


def _running() -> ColumnElement[bool]:
    return literal_column("targets.status") == literal_column("'RUNNING'")


def _owners() -> Select[Any]:
    return select(targets.c.owner).where(_running()).distinct()


def _why_lost(
    owner: str | None,
    worker: Any,
    now: float,
    lease_seconds: float,
    host: str,
    boot_id: str,
    dead: Callable[[int], bool],
) -> str | None:
    """Say why the claims of a worker are to be taken back, ``None`` if they are not."""
    if worker is None:
        return f"its worker {owner or '(none)'} is not known here"
    if worker.stopped_at is not None:
        return f"its worker {owner} ended without it"
    if worker.host == host and worker.boot_id == boot_id and dead(worker.pid):
        return f"its worker {owner} (process {worker.pid}) died"
    silent = now - worker.heartbeat
    if abs(silent) <= lease_seconds:
        return None
    if silent < 0:
        return f"its worker {owner} has not been heard since the clock was set back by {-silent:.0f} s or more"
    return f"its worker {owner} was silent for {silent:.0f} s"
