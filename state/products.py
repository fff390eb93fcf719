"""The files that an archive lists, and those of them that lie here. Every method is one transaction, or short ones."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import and_, bindparam, func, not_, select, text, update

from state.rows import FetchedProduct, ListedProduct, ListingReport
from state.schema import products, targets
from state.status import Status
from state.store import State
from state.survivors import CUT_OUT, OF_A_FIELD, PIXELS

BATCH = 2000  # rows in one transaction
# a file is needed while its target waits, is worked at, or is what a person reviews
NEEDED = (Status.QUEUED, Status.RUNNING, Status.HELD, Status.DEFERRED, Status.CANDIDATE)

_NOT_HERE: dict[str, Any] = {"path": None, "size": None, "sha256": None, "etag": None, "retrieved_at": None}


class Products:
    """The products of one hunt."""

    def __init__(self, state: State) -> None:
        self._state = state

    def enter(self, listed: Iterable[ListedProduct], now: float) -> ListingReport:
        """Enter what an archive lists; what it has listed before in the same version is left as it is.

        A new version is to be fetched again: the file at hand, if any, is no longer this product's. Running it twice
        changes nothing.
        """
        total = {"added": 0, "changed": 0, "unchanged": 0, "returned": 0}
        batch: dict[str, ListedProduct] = {}
        for item in listed:
            batch[item.uri] = item
            if len(batch) == BATCH:
                self._enter(batch, now, total)
                batch = {}
        if batch:
            self._enter(batch, now, total)
        return ListingReport(**total)

    def _enter(self, batch: dict[str, ListedProduct], now: float, total: dict[str, int]) -> None:
        query = select(products.c.uri, products.c.version, products.c.delisted_at).where(products.c.uri.in_(batch))
        with self._state.write("list") as connection:
            known = {row.uri: row for row in connection.execute(query)}
            fresh = [asdict(item) | {"listed_at": now} for uri, item in batch.items() if uri not in known]
            if fresh:
                connection.execute(self._state.upsert(products, ("uri",)), fresh)
            total["added"] += len(fresh)
            changed, back = [], []
            for uri, row in known.items():
                if row.version != batch[uri].version:
                    changed.append({"this": uri, "new": batch[uri].version, "advised": batch[uri].size_advised})
                elif row.delisted_at is not None:
                    back.append(uri)
                else:
                    total["unchanged"] += 1
            if changed:
                again = update(products).where(products.c.uri == bindparam("this"))
                values = _NOT_HERE | {"delisted_at": None, "failures": "[]", "listed_at": now}
                new: dict[str, Any] = {"version": bindparam("new"), "size_advised": bindparam("advised")}
                connection.execute(again.values(values | new), changed)
            if back:
                connection.execute(update(products).where(products.c.uri.in_(back)).values(delisted_at=None))
            total["changed"] += len(changed)
            total["returned"] += len(back)

    def delist(self, uris: Collection[str], now: float) -> None:
        """Note that the archive no longer lists these; what was made of them stays."""
        for some in _pieces(sorted(uris)):
            with self._state.write("delist") as connection:
                gone = and_(products.c.uri.in_(some), products.c.delisted_at.is_(None))
                connection.execute(update(products).where(gone).values(delisted_at=now))

    def of_sector(self, sector: int, product: str) -> dict[str, str]:
        """Give uri and version of every product of a sector that is listed now."""
        here = and_(products.c.sector == sector, products.c.product == product, products.c.delisted_at.is_(None))
        with self._state.read() as connection:
            return {
                row.uri: row.version
                for row in connection.execute(select(products.c.uri, products.c.version).where(here))
            }

    def of_targets(self, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Give the listed light curves of each target, by uri."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {name: [] for name in names}
        kinds: dict[str, list[str]] = {}
        for kind, key in names:
            kinds.setdefault(kind, []).append(key)
        with self._state.read() as connection:
            for kind, keys in kinds.items():
                for some in _pieces(keys):
                    query = select(products).where(
                        products.c.kind == kind,
                        products.c.key.in_(some),
                        products.c.delisted_at.is_(None),
                        products.c.product.not_in(OF_A_FIELD),
                    )
                    for row in connection.execute(query.order_by(products.c.uri)):
                        found[row.kind, row.key].append(dict(row._mapping))
        return found

    def targets_of(self, sector: int, product: str) -> Iterator[tuple[str, str]]:
        """Yield kind and key of every target with a listed product of this sector, each once, in order."""
        here = and_(products.c.sector == sector, products.c.product == product, products.c.delisted_at.is_(None))
        with self._state.read() as connection:
            query = select(products.c.kind, products.c.key).where(here).distinct()
            names = [(row.kind, row.key) for row in connection.execute(query.order_by(products.c.kind, products.c.key))]
        yield from names

    def get(self, uris: Collection[str]) -> dict[str, dict[str, Any]]:
        """Give all that is known of these products."""
        found: dict[str, dict[str, Any]] = {}
        with self._state.read() as connection:
            for some in _pieces(list(uris)):
                for row in connection.execute(select(products).where(products.c.uri.in_(some))):
                    found[row.uri] = dict(row._mapping)
        return found

    def fetched(self, files: Sequence[FetchedProduct], now: float) -> None:
        """Note that these lie here, checked."""
        if not files:
            return
        one = update(products).where(products.c.uri == bindparam("this"))
        names = [name for name in asdict(files[0]) if name != "uri"]
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        rows = [
            {"this": file.uri} | {f"new_{name}": value for name, value in asdict(file).items() if name != "uri"}
            for file in files
        ]
        with self._state.write("fetched") as connection:
            connection.execute(one.values(values | {"used_at": now, "failures": "[]"}), rows)

    def refused(self, uri: str, check: str, sha256: str) -> int:
        """Note that a download of this content failed this check; returns how often exactly that has happened."""
        with self._state.write("refused") as connection:
            told = connection.execute(select(products.c.failures).where(products.c.uri == uri)).scalar()
            failures = [*json.loads(told or "[]"), [check, sha256]][-20:]
            connection.execute(update(products).where(products.c.uri == uri).values(failures=json.dumps(failures)))
        return failures.count([check, sha256])

    def used(self, uris: Collection[str], now: float) -> None:
        """Note that these were wanted just now: they go last when room is needed."""
        for some in _pieces(sorted(uris)):
            with self._state.write("used") as connection:
                connection.execute(update(products).where(products.c.uri.in_(some)).values(used_at=now))

    def bytes_here(self) -> int:
        """Bytes of all files that lie here."""
        with self._state.read() as connection:
            query = select(func.coalesce(func.sum(products.c.size), 0)).where(products.c.path.is_not(None))
            return int(connection.execute(query).scalar_one())

    def mean_size(self) -> float:
        """Bytes of a light curve that lies here, in the mean; 0 where none does."""
        with self._state.read() as connection:
            query = select(func.coalesce(func.avg(products.c.size), 0)).where(
                products.c.path.is_not(None), products.c.product.not_in(OF_A_FIELD)
            )
            return float(connection.execute(query).scalar_one())

    def evictable(self, limit: int) -> list[tuple[str, str, int]]:
        """Give uri, path and size of files that nobody needs, the longest unused first.

        The pixels of a candidate have been looked at: they make room, for a few hundred candidates fill any quota.
        """
        looked_at = and_(products.c.product.in_([PIXELS, CUT_OUT]), targets.c.status == Status.CANDIDATE)
        needed = select(targets.c.id).where(
            targets.c.kind == products.c.kind,
            targets.c.key == products.c.key,
            targets.c.status.in_(list(NEEDED)),
            not_(looked_at),
        )
        query = select(products.c.uri, products.c.path, products.c.size).where(
            products.c.path.is_not(None), ~needed.exists()
        )
        with self._state.read() as connection:
            rows = connection.execute(query.order_by(products.c.used_at, products.c.uri).limit(limit))
            return [(row.uri, row.path, int(row.size or 0)) for row in rows]

    def lying(self, paths: Collection[str]) -> set[str]:
        """Those of these paths, relative to the file store, at which a product lies."""
        found: set[str] = set()
        query = select(products.c.path).where(products.c.path.is_not(None))
        with self._state.read() as connection:
            for some in _pieces(sorted(paths)):
                found.update(connection.execute(query.where(products.c.path.in_(some))).scalars())
        return found

    def gone(self, uris: Collection[str]) -> None:
        """Note that these no longer lie here."""
        for some in _pieces(sorted(uris)):
            with self._state.write("gone") as connection:
                connection.execute(update(products).where(products.c.uri.in_(some)).values(_NOT_HERE))

    # ------------------------------------------------------------------------------------------------ their stars

    def stars_of(self, names: Collection[tuple[str, str]]) -> dict[tuple[str, str], dict[str, float | None]]:
        """Give what is known of the stars of these targets; without those that are not in the queue."""
        found: dict[tuple[str, str], dict[str, float | None]] = {}
        kinds: dict[str, list[str]] = {}
        for kind, key in names:
            kinds.setdefault(kind, []).append(key)
        with self._state.read() as connection:
            for kind, keys in kinds.items():
                for some in _pieces(keys):
                    query = select(targets.c.key, targets.c.star).where(targets.c.kind == kind, targets.c.key.in_(some))
                    for row in connection.execute(query):
                        found[kind, row.key] = json.loads(row.star)
        return found

    def describe(self, stars: Sequence[tuple[str, str, dict[str, float | None], float]]) -> None:
        """Note what a catalogue knows of the stars of targets: kind, key, star, and the priority that follows.

        Targets in a worker's hands stay as they are.
        """
        one = update(targets).where(
            targets.c.kind == bindparam("its_kind"),
            targets.c.key == bindparam("its_key"),
            targets.c.status != Status.RUNNING,
        )
        one = one.values(star=bindparam("new_star"), priority=bindparam("new_priority"))
        for start in range(0, len(stars), BATCH):
            rows = [
                {
                    "its_kind": kind,
                    "its_key": key,
                    "new_star": json.dumps(star, allow_nan=False),
                    "new_priority": priority,
                }
                for kind, key, star, priority in stars[start : start + BATCH]
            ]
            with self._state.write("describe") as connection:
                connection.execute(one, rows)

    def running(self) -> set[tuple[str, str]]:
        """Give kind and key of every target in a worker's hands."""
        query = select(targets.c.kind, targets.c.key).where(text("status = 'RUNNING'"))
        with self._state.read() as connection:
            return {(row.kind, row.key) for row in connection.execute(query)}


def _pieces(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]
