"""MAST as an archive: its targets from the record, its light curves from the store of verified files.

No request leaves from here. The courier fetches what the record lists; a worker reads what lies in the store, and a
file that is not there is not asked for but said to be gone, so that its target goes back to be fetched again.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hunter.archives import formats
from hunter.archives.base import ArchiveEmpty, Fetched, FilesGone, FoundTarget
from hunter.archives.choosing import choose
from hunter.archives.fresh import Fresh, signature
from hunter.archives.identity import Identity, merge
from hunter.archives.mast.offers import found_targets
from hunter.archives.mast.ranking import Ranking
from hunter.archives.settings import models_folder
from hunter.field import Field, fetched_field, fetched_key
from hunter.settings import Settings
from hunter.supply import file_store, gone_note, split
from pipeline.errors import UnusableData
from pipeline.types import Observation, Product, Target
from state.products import Products
from state.releases import Releases
from state.store import State


class MastArchive:
    """The light curves of TESS, listed by MAST and lying here.

    Parameters
    ----------
    settings : Settings
    sectors : collection of int
        Only targets with a light curve in these; empty is all that were listed.
    state : State, optional
        The record; opened when it is needed, if it is not handed in.

    Attributes
    ----------
    ignored : tuple
        Always empty: what MAST lists and is no light curve was dropped, and counted, when it was listed.
    """

    ignored: tuple[tuple[str, str], ...] = ()

    def __init__(self, settings: Settings, sectors: Collection[int] = (), state: State | None = None) -> None:
        self.settings = settings
        self.sectors = frozenset(sectors)
        self._state = state
        self._store = file_store(settings)
        self._fresh = Fresh()

    def targets(self) -> Iterator[FoundTarget]:
        """Yield every target that was listed, with all its files, by key.

        Raises
        ------
        ArchiveEmpty
            If nothing has been listed in the sectors asked for.
        """
        if self._state is not None:
            yield from self._targets(self._state)
            return
        with State.open(self.settings.database, synchronous=self.settings.state.synchronous, check=False) as state:
            yield from self._targets(state)

    def _targets(self, state: State) -> Iterator[FoundTarget]:
        products = Products(state)
        names: set[tuple[str, str]] = set()
        for row in Releases(state).all():
            if not self.sectors or row.sector in self.sectors:
                names.update(products.targets_of(row.sector, row.product))
        if not names:
            which = f"sector {', '.join(map(str, sorted(self.sectors)))} has" if self.sectors else "no sector has"
            raise ArchiveEmpty(f"{which} {'not ' if self.sectors else ''}been listed yet: the archive is to be polled")
        yield from found_targets(products, sorted(names), Ranking(self.settings))

    def ignored_line(self) -> str:
        return ""

    def fetch(self, target: Target, sources: Sequence[str]) -> Fetched:
        """Check the files of one target where they lie, and keep one product for each sector.

        Raises
        ------
        UnusableData
            If no file passes; the message names the reasons.
        FilesGone
            If a file does not lie here, though nobody has given it up.
        ArchiveUnavailable
            If the disk failed to answer.
        """
        places = {source: self._store.place(*split(source)) for source in sources}
        absent = sorted(source for source, place in places.items() if not place.exists())
        given_up = {source: reason for source in absent if (reason := self._given_up(source))}
        if gone := [source for source in absent if source not in given_up]:
            raise FilesGone(f"{len(gone)} of {len(places)} files are not here any more: {gone[0]}")

        def identify(source: str, path: Path) -> Identity:
            if source in given_up:
                raise UnusableData(given_up[source])
            return formats.identify(path)

        fetched = choose(target, places, self.settings.archive, self.settings.hunt.combine, identify, self._check)
        # the header tells what the processing used; the catalogue fills in what it leaves open
        return replace(fetched, star=merge(fetched.star, target.star))

    def read(self, product: Product) -> Observation:
        """Read a product that ``fetch`` has checked; what was decoded while checking is handed out once.

        Raises
        ------
        UnusableData
            If the file has changed since.
        FilesGone
            If it does not lie here any more.
        ArchiveUnavailable
            If the disk failed to answer.
        """
        path = self._store.place(*split(product.uri))
        if not path.exists():
            raise FilesGone(f"{product.uri} is not here any more")
        observation = self._fresh.take(product, path)
        return formats.read(product, self.settings.archive.columns, path) if observation is None else observation

    def field_key(self, target: Target, sources: Sequence[str]) -> str:
        """Name what was fetched of the field around a target; "" before that."""
        return fetched_key(self._store, target)

    def field_of(self, target: Target, sources: Sequence[str], products: Sequence[Product]) -> Field:
        """Read what was fetched of the field around a target.

        Raises
        ------
        ArchiveUnavailable
            If the disk failed to answer.
        """
        light_curves = {product: self._store.place(*split(product.uri)) for product in products}
        return fetched_field(self._store, models_folder(self.settings.home), target, light_curves)

    def _check(self, source: str, path: Path) -> formats.Checked:
        seen = signature(path)
        checked = formats.check(path, self.settings.archive.columns, source)
        self._fresh.keep(checked, seen)
        return checked

    def _given_up(self, source: str) -> str:
        """Why the courier has given a file up; empty where it has not."""
        try:
            return gone_note(self._store, source).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""
