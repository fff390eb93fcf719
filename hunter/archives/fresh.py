"""Arrays decoded from bytes that were checked just now, kept until they are read.

Checking a file decodes it, and reading it next would decode it once more. What is handed out is handed out once, and
only where the file is still the one it was: device, number, size and times of it.
"""

import os
from pathlib import Path

from hunter.archives.formats import Checked
from pipeline.types import Observation, Product

KEPT_BYTES = 64 * 2**20

Signature = tuple[int, int, int, int, int]


class Fresh:
    """What was checked and not yet read, at most 64 MB of it, the latest files first to stay."""

    def __init__(self) -> None:
        self._kept: dict[Product, tuple[Signature | None, Observation]] = {}

    def keep(self, checked: Checked, seen: Signature | None) -> None:
        """Remember what was decoded; ``seen`` is the signature the file had before its bytes were read."""
        self._kept[checked.product] = (seen, checked.observation)
        while sum(self.sizes()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]

    def take(self, product: Product, path: Path) -> Observation | None:
        """What was decoded of a product, if its file has not changed since; it is forgotten either way."""
        seen, observation = self._kept.pop(product, (None, None))
        return observation if seen is not None and seen == signature(path) else None

    def sizes(self) -> tuple[int, ...]:
        """Bytes of each observation that is kept, the oldest first."""
        return tuple(_bytes_of(observation) for _, observation in self._kept.values())


def signature(path: Path) -> Signature | None:
    """What changes when a file is written to or replaced; None where it cannot be asked."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _bytes_of(observation: Observation) -> int:
    columns = (
        observation.time,
        observation.flux,
        observation.flux_err,
        observation.quality,
        observation.centroid_column,
        observation.centroid_row,
    )
    return sum(column.nbytes for column in columns if column is not None)
