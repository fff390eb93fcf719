"""Candidates whose field (pixels, neighbours) is still far away; every method is one transaction.

A candidate is published without its field. What is known of the field is one row among the products, ``field:<name>``:
its ``version`` names the light curves it was made for, its ``path`` the list of its files, ``listed_at`` the time from
which it is wanted, later than now where the archive did not have it. Without that row it has never been asked for.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, and_, literal, or_, select, update

from state.rows import FetchedProduct
from state.schema import candidates, products, targets
from state.status import Status
from state.store import State
from state.transactions import QUEUED_AGAIN, remember

PIXELS, CUT_OUT, NEIGHBOURS, FIELD = "PIXELS", "CUT-OUT", "NEIGHBOURS", "FIELD"
OF_A_FIELD = (PIXELS, CUT_OUT, NEIGHBOURS, FIELD)  # products that are no light curves, and listed by nobody


@dataclass(frozen=True, slots=True)
class Survivor:
    """A candidate whose field is wanted."""

    id: int
    kind: str
    key: str
    token: int  # of its last claim: another means that it was hunted again
    inputs: str
    sources: tuple[str, ...]  # its light curves
    star: dict[str, float | None]
    tries: int  # how often in a row its field was not to be had

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def uri(self) -> str:
        return uri_of(self.kind, self.key)


def uri_of(kind: str, key: str) -> str:
    """What the list of a field's files is called."""
    return f"field:{kind} {key}"


class Survivors:
    """The candidates of one hunt that want their field."""

    def __init__(self, state: State) -> None:
        self._state = state

    def wanted(self, now: float, limit: int = 1) -> list[Survivor]:
        """Give those to be looked after next, the highest priority first."""
        with self._state.read() as connection:
            rows = connection.execute(_wanted(now).limit(limit)).all()
        return [
            Survivor(
                row.id,
                row.kind,
                row.key,
                row.token,
                row.inputs,
                tuple(json.loads(row.sources)),
                json.loads(row.star),
                len(json.loads(row.failures or "[]")),
            )
            for row in rows
        ]

    def any(self, now: float) -> bool:
        """Whether there is one."""
        return bool(self.wanted(now))

    def settled(
        self, survivor: Survivor, version: str, made: FetchedProduct, now: float, *, again: bool = True
    ) -> bool:
        """Note that the field is here, and queue its target again, ready: both or neither.

        Parameters
        ----------
        version : str
            The files that it was made for: the first part of the target's ``inputs``.
        made : FetchedProduct
            The list of its files.
        again : bool
            False where nothing was found, so that a second look would show nothing new.

        Returns
        -------
        bool
            False if the target was hunted again meanwhile, or is none any more: nothing was written.
        """
        here = and_(
            targets.c.id == survivor.id,
            targets.c.token == survivor.token,
            targets.c.inputs == survivor.inputs,
            targets.c.status == Status.CANDIDATE,
        )
        queued = QUEUED_AGAIN | {"ready": True, "deferrals": 0, "changed_at": now}
        values: dict[str, Any] = queued if again else {"token": targets.c.token}
        with self._state.write("settled") as connection:
            one = update(targets).where(here).values(values).returning(targets.c.id)
            if connection.execute(one).first() is None:
                return False
            if again:
                because = "its field is here: it is looked at in pixels"
                remember(connection, [survivor.id], Status.QUEUED, because, now, came_from=Status.CANDIDATE)
            row = asdict(made) | {"version": version, "used_at": now, "listed_at": now, "failures": "[]"}
            self._put(connection, survivor, row)
        return True

    def put_off(self, survivor: Survivor, until: float) -> None:
        """Note that the field could not be had, and is wanted again from then on."""
        known = select(products.c.failures).where(products.c.uri == survivor.uri)
        with self._state.write("put-off") as connection:
            told = connection.execute(known).scalar()
            failures = json.dumps([*json.loads(told or "[]"), ["field", ""]][-20:])
            if told is None:
                self._put(connection, survivor, {"listed_at": until, "failures": failures})
            else:
                connection.execute(
                    update(products).where(products.c.uri == survivor.uri).values(listed_at=until, failures=failures)
                )

    def _put(self, connection: Any, survivor: Survivor, row: dict[str, Any]) -> None:
        who = {"uri": survivor.uri, "kind": survivor.kind, "key": survivor.key, "product": FIELD, "version": ""}
        connection.execute(self._state.upsert(products, ("uri",)), [who | row])

    def lists(self) -> Sequence[tuple[str, str]]:
        """Give URI and path of every list that lies here."""
        query = select(products.c.uri, products.c.path).where(products.c.product == FIELD, products.c.path.is_not(None))
        with self._state.read() as connection:
            return [(row.uri, row.path) for row in connection.execute(query)]


def _wanted(now: float) -> Select[Any]:
    uri = literal("field:").concat(targets.c.kind).concat(" ").concat(targets.c.key)
    made_for = or_(
        targets.c.inputs == products.c.version,
        # a prefix and not a pattern: what stands in it is compared as it is
        targets.c.inputs.startswith(products.c.version.concat(":"), autoescape=False),
    )
    stale = or_(products.c.path.is_(None), ~made_for)
    return (
        select(
            targets.c.id,
            targets.c.kind,
            targets.c.key,
            targets.c.token,
            targets.c.inputs,
            targets.c.sources,
            targets.c.star,
            products.c.failures,
        )
        .select_from(targets.outerjoin(products, products.c.uri == uri))
        .where(
            targets.c.id.in_(select(candidates.c.target_id)),
            targets.c.status == Status.CANDIDATE,
            targets.c.remote,
            or_(products.c.uri.is_(None), and_(products.c.listed_at <= now, stale)),
        )
        .order_by(targets.c.priority.desc(), targets.c.id)
    )
