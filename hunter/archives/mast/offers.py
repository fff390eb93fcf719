"""What the record lists, as targets for the queue."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence

from hunter.archives.base import FoundTarget
from hunter.archives.identity import Identity
from hunter.archives.mast.names import read_uri
from hunter.archives.mast.sector import ListedFile
from pipeline.types import Star, Target
from state.products import Products

AT_ONCE = 2_000  # targets looked up together

Priority = Callable[[str, Collection[str], Star], float]


def found_targets(products: Products, names: Sequence[tuple[str, str]], priority: Priority) -> Iterator[FoundTarget]:
    """The targets of these names with all their listed files, in the order of the names.

    ``priority`` is asked with the key of a target, the products it has and what is known of its star.
    """
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        files = products.of_targets(some)
        stars = products.stars_of(some)
        for kind, key in some:
            rows = files[kind, key]
            if not rows:
                continue
            told = sorted((row["uri"], row["version"]) for row in rows)
            star = Star(**stars.get((kind, key), {}))
            yield FoundTarget(
                Target(kind, key, star),
                tuple(source_of(uri, version) for uri, version in told),
                hashlib.sha256(json.dumps(told).encode()).hexdigest(),
                priority(key, {row["product"] for row in rows}, star),
                remote=True,
            )


def source_of(uri: str, version: str) -> str:
    """A file as a target's source: ``mast:...#2`` where the archive has replaced it under its name."""
    return f"{uri}#{version}" if version else uri


def target_key(file: ListedFile, combine: str) -> str:
    """The key of the target that a light curve belongs to: its star, or its star in this sector."""
    name = read_uri(file.uri)
    assert name is not None, f"{file.uri} was listed and has no name"
    return Identity("TIC", name.key, "TESS", "", name.sector).target_key(file.uri, combine)
