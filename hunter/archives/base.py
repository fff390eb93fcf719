"""What every archive offers: a list of targets, their verified files, and the observations in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import ArchiveUnavailable
from pipeline.types import Observation, Product, Star, Target

if TYPE_CHECKING:
    from hunter.field import Field


class ArchiveEmpty(ValueError):
    """There is nothing to hunt at the place the settings name; the message holds the cure."""


class FilesGone(ArchiveUnavailable):
    """Files that had been fetched do not lie here any more: their target goes back to be fetched again."""


@dataclass(frozen=True, slots=True)
class FoundTarget:
    """A target the archive holds, and the files that speak of it."""

    target: Target
    sources: tuple[str, ...]  # URIs, sorted; for a folder absolute paths, and "pixels:" before those of pixel files
    inputs: str  # sha256 of what would be hunted: path, size and modification time of every source
    priority: float = 0.0  # larger is hunted earlier; how far the star is brighter than 20th magnitude
    remote: bool = False  # its sources are far away: the courier fetches them first
    field: str = ""  # sha256 of the pixel files that lie beside them; of what is far away it is not known yet


@dataclass(frozen=True, slots=True)
class Fetched:
    """What of a target passed every check, what did not, and what a better file replaced."""

    products: tuple[Product, ...]  # at least one, in order of sector
    refused: tuple[tuple[str, str], ...]  # (uri, reason) of each file that failed a check
    star: Star
    superseded: tuple[tuple[str, str], ...] = ()  # (uri, reason) of each file left aside for a better one
    notes: tuple[tuple[str, str], ...] = ()  # (uri, what was assumed in reading it)


class Archive(Protocol):
    """A source of light curves."""

    def targets(self) -> Iterator[FoundTarget]:
        """Yield what there is to hunt, sorted by key."""
        ...

    def fetch(self, target: Target, sources: Sequence[str]) -> Fetched:
        """Check the files of one target, byte by byte.

        Raises
        ------
        UnusableData
            If no file passes; the message names the reasons.
        ArchiveUnavailable
            If a file could not be had now and may be had later.
        """
        ...

    def read(self, product: Product) -> Observation:
        """Read one checked product as its file gives it."""
        ...

    def field_key(self, target: Target, sources: Sequence[str]) -> str:
        """Name what lies here of the field around a target: another name, another field; "" where nothing does."""
        ...

    def field_of(self, target: Target, sources: Sequence[str], products: Sequence[Product]) -> "Field":
        """Read the field around a target, as far as it lies here; what is damaged or missing is told in its notes."""
        ...
