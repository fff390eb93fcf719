"""Which light curve of a sector is taken, of all that speak of a target; the rest are left aside with the reason.

Every archive chooses here: a folder of files, and MAST, whose files lie in the store under names of their own. What
evidence tells of a file is its URI, so that both hand in where each one lies.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path

from hunter.archives import formats
from hunter.archives.base import Fetched
from hunter.archives.identity import Identity, merge
from hunter.archives.settings import ArchiveSettings
from pipeline.errors import UnusableData
from pipeline.types import Product, Star, Target

PLAIN_CADENCE = 60.0  # seconds; shorter cadences show the same photons in more rows

Identify = Callable[[str, Path], Identity]
Check = Callable[[str, Path], formats.Checked]


def choose(
    target: Target,
    sources: Mapping[str, Path],
    settings: ArchiveSettings,
    combine: str,
    identify: Identify | None = None,
    check: Check | None = None,
) -> Fetched:
    """Check the files of one target and keep one product for each sector.

    The products of a sector are tried in the order of preference; where the best fails, the next serves.

    Parameters
    ----------
    target : Target
    sources : mapping of str to Path
        Where the file of each URI lies.
    settings : ArchiveSettings
        The order of preference, and of flux columns.
    combine : "all" or "sector"
        Whether the target is a star, or one of its sectors.
    identify, check : callable of (uri, path)
        What takes the place of ``formats.identify`` and ``formats.check``; the product of ``check`` carries the URI.

    Raises
    ------
    UnusableData
        If no file passes; the message names the reasons.
    ArchiveUnavailable
        If the disk failed to answer for one of them.
    """
    identify = identify or (lambda _, path: formats.identify(path))
    check = check or (lambda uri, path: formats.check(path, settings.columns, uri))
    refused: list[tuple[str, str]] = []
    superseded: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    taken: list[tuple[Identity, Product]] = []
    for choices in _by_sector(target, sources, settings.prefer, combine, identify, refused):
        best: formats.Checked | None = None
        for uri, identity in choices:
            if best is not None and (
                identity.part == best.identity.part or not _same_product(best.identity, identity, settings.prefer)
            ):
                superseded.append((uri, _why(best, identity, settings.prefer)))
                continue
            try:
                checked = check(uri, sources[uri])
                expect(target, checked.identity, uri, combine)
            except UnusableData as error:
                refused.append((uri, str(error)))
                continue
            best = checked
            taken.append((checked.identity, checked.product))
            notes += [(uri, note) for note in checked.notes]
    if not taken:
        raise UnusableData(_reasons(refused))
    taken.sort(key=lambda pair: rank(pair[0], settings.prefer))
    star = reduce(merge, (identity.star for identity, _ in taken), Star())
    products = sorted((product for _, product in taken), key=lambda p: (p.mission, p.sector or 0, p.uri))
    return Fetched(tuple(products), tuple(refused), star, tuple(superseded), tuple(notes))


def rank(identity: Identity, prefer: Sequence[str]) -> tuple:
    """Order of preference, the best first: author, plain cadence, shorter cadence."""
    authors = [author.upper() for author in prefer]
    author = identity.author.upper()
    place = authors.index(author) if author in authors else len(authors)
    cadence = identity.cadence_seconds or 0.0
    # 20-s TESS and 1-min Kepler rows are the photons of the plain product again
    return place, author, 0 < cadence < PLAIN_CADENCE - 1e-6, round(cadence)


def expect(target: Target, identity: Identity, uri: str, combine: str) -> None:
    """Refuse a file that holds another star or sector than the one asked for; raises UnusableData."""
    key = identity.target_key(uri, combine)
    if target.kind == "FILE" or (identity.kind == target.kind and key == target.key):
        return
    star = f"{identity.kind} {key}" if identity.kind != "FILE" else "no star by name"
    raise UnusableData(f"it holds {star} and {target.name} was asked for")


def _by_sector(
    target: Target,
    sources: Mapping[str, Path],
    prefer: Sequence[str],
    combine: str,
    identify: Identify,
    refused: list[tuple[str, str]],
) -> list[list[tuple[str, Identity]]]:
    """The files of each sector, best first; what is no light curve or of another star goes to ``refused``."""
    groups: dict[tuple, list[tuple[str, Identity]]] = {}
    for uri, path in sorted(sources.items()):
        try:
            identity = identify(uri, path)
            expect(target, identity, uri, combine)
        except UnusableData as error:
            refused.append((uri, str(error)))
            continue
        # files that name no sector cannot replace one another
        place = (identity.mission, identity.sector) if identity.sector is not None else (identity.mission, uri)
        groups.setdefault(place, []).append((uri, identity))
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], str(item[0][1]).zfill(12)))
    return [_ordered(choices, prefer) for _, choices in ordered]


def _ordered(choices: list[tuple[str, Identity]], prefer: Sequence[str]) -> list[tuple[str, Identity]]:
    """Sort the products of one sector: rank, then piece, then the newest release."""
    newest = sorted(choices, key=lambda choice: (choice[1].release, choice[0]), reverse=True)
    return sorted(newest, key=lambda choice: (rank(choice[1], prefer), choice[1].part))


def _same_product(one: Identity, other: Identity, prefer: Sequence[str]) -> bool:
    return rank(one, prefer) == rank(other, prefer) and bool(one.part) and bool(other.part)


def _why(best: formats.Checked, loser: Identity, prefer: Sequence[str]) -> str:
    """Say why a file was left aside for a better one."""
    winner, name = best.identity, Path(best.product.uri).name
    if winner.author != loser.author:
        return f"{name} by {winner.author} is preferred to {loser.author}: [archive] prefer"
    if rank(winner, prefer) != rank(loser, prefer):
        return f"{name} has the plain cadence of the same photons"
    if winner.release == loser.release:
        return f"{name} is the same release of the same sector"
    return (
        f"{name} is newer: release {winner.data_release}, {winner.processing or 'processing unknown'}, "
        f"{winner.created or 'date unknown'}"
    )


def _reasons(refused: Sequence[tuple[str, str]]) -> str:
    """One line for a target of which nothing is left."""
    if not refused:
        return "no file belongs to it any more"
    told = "; ".join(f"{Path(uri).name}: {reason}" for uri, reason in refused[:3])
    return told + (f"; and {len(refused) - 3} more files" if len(refused) > 3 else "")
