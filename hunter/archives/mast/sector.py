"""One sector of one product, file by file: its script, one count and one question for its observations.

Neither list is believed alone. The script says what can be had; the observations say of which stars, and where they
are. What is in one of them only is listed and told; rows that are no light curve are dropped, for counted reasons.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hunter.archives.identity import LARGEST_NUMBER, number, whole
from hunter.archives.mast.names import FileName, ProductLine, read_obs_id, read_uri
from hunter.archives.mast.portal import OBSERVATIONS_AT_ONCE, Portal, Row
from hunter.archives.mast.scripts import Script, ask_script
from hunter.copies import Copies

_VALIDATION = re.compile(r"tess\d{13}-s\d{4}-s\d{4}-\d{16}-\d+", re.ASCII)  # reports over several sectors
SIZES = (2880, 2**31)  # bytes that a light curve may have


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A light curve that the archive lists."""

    uri: str
    kind: str  # "TIC"
    key: str  # of the star, without leading zeros
    sector: int
    product: str
    version: str = ""  # of the processing, as the archive says; "" where it did not
    size_advised: int | None = None  # bytes, as the archive believes
    ra: float | None = None  # degrees
    dec: float | None = None


@dataclass(frozen=True, slots=True)
class SectorList:
    """All light curves of one product in one sector."""

    files: tuple[ListedFile, ...]  # by URI
    count: int  # observations that the archive counts
    script: Script | None
    dropped: Mapping[str, int]  # reason: rows left aside
    processing: str = ""  # the version that most files have
    only_in_script: int = 0  # files without an observation
    only_observed: int = 0  # observations that the script does not name

    @property
    def note(self) -> str:
        """What is odd about the list, for the journal; empty where nothing is."""
        words = [f"{count} rows dropped: {reason}" for reason, count in sorted(self.dropped.items())]
        if self.script is not None and self.only_in_script:
            words.append(f"{self.only_in_script} files are named by the script alone")
        if self.script is not None and self.only_observed:
            words.append(f"{self.only_observed} files are not named by the script")
        if self.script is not None and self.script.repeated:
            words.append(f"{self.script.repeated} lines of the script repeat a file")
        return ", ".join(words)


def list_sector(
    portal: Portal, copies: Copies, bulk_url: str, line: ProductLine, sector: int, *, exact: bool = False
) -> SectorList:
    """List the light curves of a sector.

    Parameters
    ----------
    portal, copies
        What is asked.
    bulk_url : str
        [archive] bulk_url.
    line : ProductLine
    sector : int
    exact : bool
        Ask for the version of every file, in batches of 500. Else a first batch speaks for all where it speaks with one
        voice, and all are asked where it does not.

    Raises
    ------
    ArchiveUnavailable
        If any answer is missing or odd: then nothing is known of the sector.

    Notes
    -----
    Five questions: script, description of columns (once a month), count, observations, products of 500 observations.
    Without a script the products of all observations say what their files are called.
    """
    script = ask_script(copies, bulk_url, line, sector)
    count = portal.count(line, sector)
    rows = portal.observations(line, sector, count)
    observed, dropped = sieve(rows, line, sector)
    named = {name.uri: name for name in script.files} if script is not None else {}
    exact = exact or script is None
    versions, sizes = _processing(portal, observed, exact)
    if script is None:  # what no product answers to cannot be fetched
        without = [uri for uri in observed if uri not in versions]
        for uri in without:
            del observed[uri]
        if without:
            dropped["no product of that name"] = len(without)
    files = []
    for uri, name in sorted({**named, **{uri: name for uri, (name, _) in observed.items()}}.items()):
        row: Row = observed[uri][1] if uri in observed else {}
        ra, dec = number(row.get("s_ra")), number(row.get("s_dec"))
        files.append(
            ListedFile(
                uri, "TIC", name.key, sector, line.name, versions.get(uri, ""), sizes.get(uri),
                ra if dec is not None else None, dec if ra is not None else None,
            )
        )  # fmt: skip
    return SectorList(
        tuple(files), count, script, dict(dropped),
        Counter(versions.values()).most_common(1)[0][0] if versions else "",
        len(named.keys() - observed.keys()),
        len(observed.keys() - named.keys()) if script is not None else 0,
    )  # fmt: skip


def sieve(rows: Sequence[Row], line: ProductLine, sector: int) -> tuple[dict[str, tuple[FileName, Row]], Counter[str]]:
    """The observations that are light curves of this product and sector, by URI; and why the others are not.

    Of two observations of one star the later one stays.
    """
    dropped: Counter[str] = Counter()
    kept: dict[int, tuple[FileName, Row]] = {}
    for row in rows:
        obs_id, tic = row.get("obs_id"), whole(row.get("target_name"), 1, LARGEST_NUMBER)
        name = read_obs_id(obs_id, line) if isinstance(obs_id, str) else None
        if not isinstance(obs_id, str) or not obs_id:
            dropped["no observation id"] += 1
        elif row.get("obsid") in (None, "") or (isinstance(row["obsid"], float) and not math.isfinite(row["obsid"])):
            dropped["no observation number"] += 1
        elif row.get("obs_collection", line.collection) != line.collection:
            dropped["of another collection"] += 1
        elif name is None:
            dropped["validation over several sectors" if _VALIDATION.fullmatch(obs_id) else "no light curve"] += 1
        elif name.sector != sector:
            dropped["of another sector"] += 1
        elif tic is None:
            dropped["no target"] += 1
        elif tic != name.tic:
            dropped["of another target than its name says"] += 1
        elif name.tic in kept:
            dropped["repeated"] += 1
            kept[name.tic] = max(kept[name.tic], (name, row), key=lambda pair: pair[0].text)
        else:
            kept[name.tic] = (name, row)
    return {name.uri: (name, row) for name, row in kept.values()}, dropped


def _processing(
    portal: Portal, observed: Mapping[str, tuple[FileName, Row]], exact: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Version and size of each file: of each asked for itself, or of a sample that speaks with one voice."""
    obsids = [str(row["obsid"]) for _, (_, row) in sorted(observed.items())]
    if not exact and len(obsids) > OBSERVATIONS_AT_ONCE:
        step = len(obsids) / OBSERVATIONS_AT_ONCE
        sample = [obsids[int(place * step)] for place in range(OBSERVATIONS_AT_ONCE)]
        told = read_products(portal.products(sample))
        voices = {version for version, _ in told.values()}
        sizes = {size for _, size in told.values()}
        if len(voices) == 1:
            size = sizes.pop() if len(sizes) == 1 else None
            version = voices.pop()
            return dict.fromkeys(observed, version), {} if size is None else dict.fromkeys(observed, size)
    told = read_products(portal.products(obsids)) if obsids else {}
    return (
        {uri: version for uri, (version, _) in told.items()},
        {uri: size for uri, (_, size) in told.items() if size is not None},
    )


def read_products(rows: Sequence[Row]) -> dict[str, tuple[str, int | None]]:
    """Version and size of the light curves among products, by URI."""
    found = {}
    for row in rows:
        uri = row.get("dataURI")
        if isinstance(uri, str) and read_uri(uri) is not None:
            version = row.get("prvversion")
            found[uri] = (version.strip() if isinstance(version, str) else "", whole(row.get("size"), *SIZES))
    return found


def replaced(portal: Portal, known: Mapping[str, str], first: str, turn: int) -> str:
    """What a sample of 500 files says of replacement under the same name; empty where it says nothing.

    Parameters
    ----------
    portal : Portal
    known : mapping of URI to version
        As the record keeps them.
    first : str
        The version that the sector first came in; "" where it is not known, and then nothing can be told.
    turn : int
        Another turn looks at other files.

    Notes
    -----
    Two questions: for the numbers of the observations, and for their products.
    """
    names = {uri: name for uri in sorted(known) if (name := read_uri(uri)) is not None}
    if not first or not names:
        return ""
    step = max(1, -(-len(names) // OBSERVATIONS_AT_ONCE))
    sample = sorted(names)[turn % step :: step][:OBSERVATIONS_AT_ONCE]
    obsids = portal.numbers([names[uri].obs_id for uri in sample])
    told = read_products(portal.products(obsids)) if obsids else {}
    other = sum(1 for uri in sample if uri in told and version_of(told[uri][0], first) != known[uri])
    return f"{other} of {len(sample)} files have another version" if other else ""


def version_of(told: str, first: str) -> str:
    """The version of a file as the record keeps it: empty for the processing that the sector first came in."""
    return "" if told in ("", first) else told
