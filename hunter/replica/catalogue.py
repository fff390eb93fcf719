"""What the replica holds: sectors, their observations and files, and how they appear, change and vanish.

Files are made when they are asked for and kept in a bounded cache; the same seed gives the same bytes.
"""

import random
import threading
import time
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hunter.archives.spoc_writer import Fixed, Value, file_name
from hunter.replica.pixels import Neighbour, neighbours_of, pixels_of, pixels_size
from hunter.replica.stamps import Original, reprocess, rows_of, stamp, take_apart
from hunter.replica.tables import Known
from pipeline.errors import UnusableData
from pipeline.types import Star

if TYPE_CHECKING:
    from hunter.skies import Truth
    from pipeline.simulate import Kind

BTJD_TO_MJD = 56999.5  # BTJD 0 is JD 2457000
UNIX_TO_MJD = 40587.0
FIRST_OBSID = 60_000_000
CROWD_TIC = 98_000_000_000  # no catalogue reaches these; a planet of the simulated sector begins at 99,000,000,001
NO_FILE: tuple["File", ...] = ()


class Source(Protocol):
    """Where the bytes of a file come from."""

    def read(self, entry: "Entry", file: "File") -> bytes:
        """The whole file in its first release."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """One product of an observation."""

    name: str
    uri: str
    size: int
    subgroup: str = "LC"  # LC, FAST-LC, TP, FAST-TP, DVT
    description: str = "Light curves"


@dataclass(frozen=True, slots=True)
class Entry:
    """One observation: a row of CAOM and its files."""

    obsid: int
    obs_id: str
    tic: int
    sector: int
    exptime: float  # seconds, as CAOM tells it
    files: tuple[File, ...]
    source: Source | None  # None: listed, and nothing to download
    star: Star
    begin: float  # BTJD
    end: float
    collection: str = "TESS"
    provenance: str = "SPOC"


@dataclass(slots=True)
class Sector:
    """The state of one sector; changed only by its catalogue."""

    number: int
    entries: list[Entry] = field(default_factory=list)  # in the order in which they appear
    released: int = 0
    steps: list[tuple[int, float]] = field(default_factory=list)  # (how many were out, Unix time) of each release
    scripts: dict[str, "Script"] = field(default_factory=dict)  # by kind
    releases: dict[str, tuple[int, float]] = field(default_factory=dict)  # obs_id: data release, Unix time
    targets: bool = False  # whether the list of targets is out

    def visible(self) -> list[Entry]:
        return self.entries[: self.released]

    def out_since(self, index: int) -> float:
        """Unix time at which the entry of that place appeared."""
        place = bisect_right([count for count, _ in self.steps], index)
        return self.steps[min(place, len(self.steps) - 1)][1] if self.steps else 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """A published bulk download script."""

    text: bytes
    modified: float  # Unix time


class Catalogue:
    """Sectors and their files; every method may be called while the replica serves.

    Parameters
    ----------
    clock : callable
        Unix time; dates of releases and of files come from it.
    cache_bytes : int
        How many bytes of made files are kept.
    """

    def __init__(self, clock: Callable[[], float] = time.time, cache_bytes: int = 128 * 2**20) -> None:
        self.clock = clock
        self.sectors: dict[int, Sector] = {}
        self.known: list[Known] = []  # what catalogues of planets tell; add to it
        self._cache = Cache(cache_bytes)
        self._lock = threading.RLock()
        self._by_name: dict[str, tuple[Entry, File]] = {}
        self._by_uri: dict[str, tuple[Entry, File]] = {}
        self._by_obsid: dict[int, Entry] = {}
        self._stars: dict[int, Star] = {}
        self._place: dict[str, int] = {}  # obs_id: place in its sector
        self._withdrawn: set[str] = set()
        self._next_obsid = FIRST_OBSID
        self._keys: dict[int | None, tuple[tuple[int, ...], list[tuple[str, int]]]] = {}

    # what it holds

    def add(self, entries: Iterable[Entry], seed: int = 1) -> None:
        """Take observations in; they appear in an order drawn from the seed, after those that are here."""
        with self._lock:
            fresh: dict[int, list[Entry]] = {}
            for entry in entries:
                fresh.setdefault(entry.sector, []).append(entry)
            for number, found in fresh.items():
                sector = self.sectors.setdefault(number, Sector(number))
                random.Random(f"{seed} {number}").shuffle(found)
                for entry in found:
                    self._place[entry.obs_id] = len(sector.entries)
                    sector.entries.append(entry)
                    self._by_obsid[entry.obsid] = entry
                    self._stars.setdefault(entry.tic, entry.star)
                    for file in entry.files:
                        self._by_name[file.name] = self._by_uri[file.uri] = (entry, file)

    def obsids(self, count: int) -> range:
        """So many numbers that no observation has."""
        with self._lock:
            first = self._next_obsid
            self._next_obsid += count
            return range(first, first + count)

    def visible(self, sector: int | None = None) -> list[Entry]:
        """The observations that are out, of one sector or of all."""
        with self._lock:
            numbers = sorted(self.sectors) if sector is None else [sector] if sector in self.sectors else []
            found = [entry for number in numbers for entry in self.sectors[number].visible()]
            return [entry for entry in found if entry.obs_id not in self._withdrawn] if self._withdrawn else found

    def keys(self, sector: int | None = None) -> list[tuple[str, int]]:
        """Keys and sizes in the bucket, sorted, of one sector or of all; kept until something appears or vanishes."""
        from hunter.replica.pages import s3_key

        with self._lock:
            seen = (*(item.released for item in self.sectors.values()), len(self._withdrawn), self._next_obsid)
            kept = self._keys.get(sector)
            if kept is None or kept[0] != seen:
                pairs = ((s3_key(entry, file), file.size) for entry in self.visible(sector) for file in entry.files)
                kept = self._keys[sector] = (seen, sorted((key, size) for key, size in pairs if key is not None))
            return kept[1]

    def of_obsid(self, obsid: int) -> Entry | None:
        entry = self._by_obsid.get(obsid)
        return entry if entry is not None and self.is_out(entry) else None

    def of(self, sector: int) -> Sector:
        """The state of a sector.

        Raises
        ------
        ValueError
            If nothing of it is served.
        """
        if sector not in self.sectors:
            held = ", ".join(map(str, sorted(self.sectors))) or "none"
            raise ValueError(f"sector {sector} is not served here: add stars to it first; served are {held}")
        return self.sectors[sector]

    def is_out(self, entry: Entry) -> bool:
        sector = self.sectors[entry.sector]
        return self._place[entry.obs_id] < sector.released and entry.obs_id not in self._withdrawn

    def find(self, name_or_uri: str) -> tuple[Entry, File] | None:
        """The file of that name or URI, if it is out and can be had."""
        found = self._by_uri.get(name_or_uri) or self._by_name.get(name_or_uri)
        if found is None or found[0].source is None or not self.is_out(found[0]):
            return None
        return found

    def stars(self) -> Mapping[int, Star]:
        """TIC number to star of all that was taken in, whether out or not."""
        return self._stars

    def add_neighbours(self, stars: Mapping[int, Star]) -> None:
        """Let the TESS Input Catalog know stars that were not observed by themselves."""
        with self._lock:
            self._stars |= stars

    def released_at(self, entry: Entry) -> float:
        """Unix time at which the observation, or its latest reprocessing, came out."""
        sector = self.sectors[entry.sector]
        if entry.obs_id in sector.releases:
            return sector.releases[entry.obs_id][1]
        return sector.out_since(self._place[entry.obs_id])

    def data_release(self, entry: Entry) -> int | None:
        """The number of the reprocessing an observation went through, None before the first."""
        found = self.sectors[entry.sector].releases.get(entry.obs_id)
        return None if found is None else found[0]

    def content(self, entry: Entry, file: File) -> "Content":
        """The bytes of a file as they are now."""
        assert entry.source is not None, f"{file.name} is listed and cannot be had"
        source, release = entry.source, self.data_release(entry)

        def make() -> bytes:
            whole = source.read(entry, file)
            if release is None:
                return whole
            day = time.strftime("%Y-%m-%d", time.gmtime(self.released_at(entry)))
            try:
                return reprocess(whole, release, day)
            except (UnusableData, ValueError):
                return whole  # a file that is damaged on purpose, or no light curve, stays as it is

        return self._cache.get((file.name, release), make)

    def know(self, truth: "Truth", share: float = 0.3, seed: int = 1) -> int:
        """Let catalogues know a share of the planets of a simulated sky, as TOIs, some confirmed; returns how many."""
        draw = random.Random(seed)
        for row in truth.rows:
            if row.kind != "planet" or row.period_days is None or row.epoch_btjd is None or draw.random() >= share:
                continue
            number, confirmed = len(self.known) + 1, draw.random() < 0.5
            self.known.append(
                Known(
                    row.tic_id, f"{90000 + number}.{row.number:02d}", row.period_days, row.epoch_btjd,
                    row.duration_hours or 1.0, row.depth_ppm or 0.0, "CP" if confirmed else "PC",
                    name=f"Replica-{number} b" if confirmed else "",
                )
            )  # fmt: skip
        return len(self.known)

    # how it changes

    def release(self, sector: int, fraction: float = 1.0) -> int:
        """Let so large a share of a sector be out, rows and files; returns how many observations are."""
        with self._lock:
            found = self.of(sector)
            if not 0 <= fraction <= 1:
                raise ValueError(f"a share from 0 to 1 of sector {sector} can be released, not {fraction}")
            found.released = max(found.released, ceil(len(found.entries) * fraction))
            found.steps.append((found.released, self.clock()))
            return found.released

    def publish_script(self, sector: int, kinds: Sequence[str] = ("lc", "fast-lc", "tp", "fast-tp", "hlsp-lc")) -> None:
        """Publish the bulk scripts of what is out at this moment, again to bring them up to date."""
        from hunter.replica.pages import script

        with self._lock:
            self.of(sector)
            visible = self.visible(sector)
            for kind in kinds:
                text = script(visible, kind)
                if text is not None:
                    self.of(sector).scripts[kind] = Script(text, self.clock())

    def publish_targets(self, sector: int) -> None:
        """Publish the list of targets, as MIT does before the data come."""
        self.of(sector).targets = True

    def reprocess(self, sector: int, tics: Collection[int] | None = None, data_release: int | None = None) -> int:
        """Let files come out again, of the same name and size; returns how many observations changed."""
        with self._lock:
            found = self.of(sector)
            now, changed = self.clock(), 0
            for entry in found.visible():
                if entry.source is None or (tics is not None and entry.tic not in tics):
                    continue
                last = found.releases.get(entry.obs_id, (42, 0.0))[0]
                found.releases[entry.obs_id] = (last + 1 if data_release is None else data_release, now)
                changed += 1
            return changed

    def withdraw(self, tic: int, sector: int | None = None) -> int:
        """Take the rows and files of a star away; scripts that are out still name them. Returns how many rows."""
        with self._lock:
            gone = [entry.obs_id for entry in self.visible(sector) if entry.tic == tic]
            self._withdrawn.update(gone)
            return len(gone)

    # what there is to serve

    def add_folder(self, folder: Path, *, seed: int = 1) -> int:
        """Serve every FITS file of a folder whose name or header tells star and sector; returns how many observations.

        Raises
        ------
        ValueError
            If there is none.
        """
        entries = list(_folder_entries(self, folder))
        if not entries:
            raise ValueError(f"{folder} holds no FITS file of TESS whose name or header tells its star and sector")
        self.add(entries, seed)
        return len(entries)

    def add_sky(
        self, folder: Path, *, stars: int = 40, seed: int = 1, sector: int = 1, pixels: bool = False, **sky: Any
    ) -> "Truth":
        """Simulate a sector into a folder with `hunter.skies.write_sector`, serve it and return its truth.

        With ``pixels`` every star has a target pixel file, made of its light curve when it is asked for, and
        neighbours that the catalogue knows; where a neighbour makes the dips, it dims in the pixels too.
        """
        from hunter.skies import write_sector

        truth = write_sector(folder, stars=stars, seed=seed, sector=sector, **sky)
        if not pixels:
            self.add_folder(folder, seed=seed)
            return truth
        whole = {row.file: row for row in truth.rows if row.expected != "unusable"}
        source = Sky(folder, {name: neighbours_of(row.kind, row.tic_id, seed) for name, row in whole.items()})
        entries = [
            replace(entry, files=(*entry.files, *source.files(entry)), source=source)
            for entry in _folder_entries(self, folder)
        ]
        self.add(entries, seed)
        for entry in entries:
            self.add_neighbours({
                entry.tic + 10_000 * (place + 1): beside.star(entry.star)
                for place, beside in enumerate(source.fields.get(entry.files[0].name, ()))
            })  # fmt: skip
        return truth

    def add_crowd(
        self,
        sector: int,
        stars: int = 20_000,
        *,
        names: Sequence[str] | None = None,
        seed: int = 1,
        cadence_seconds: float = 120.0,
        span: float = 27.883,
        pool: int = 24,
        mix: Mapping["Kind", float] | None = None,
        again: float = 0.16,
        fast: int = 0,
        reports: int = 0,
        hlsp: int = 0,
        pixels: bool = False,
    ) -> "Crowd":
        """Serve a whole sector cheaply: a few simulated light curves, stamped for each of many stars.

        Parameters
        ----------
        sector : int
        stars : int
            How many, where no names are given.
        names : sequence of str, optional
            File names as SPOC gives them; their stars are served under exactly these names.
        seed : int
            The same seed in another sector shows a share of the same stars again.
        cadence_seconds, span : float
            Of the light curves; above 120 s they are served as TESS-SPOC's. A shorter span (days) makes small files
            of the right cadence: 120 s over 27.883 d are 2 MB, over 6 d 0.46 MB; 1800 s over 27.883 d 0.16 MB.
        pool : int
            How many light curves are simulated, 30 ms each at 120 s, when first asked for.
        mix : kind to share, optional
            What kinds of stars are simulated, by default those of `hunter.skies`, of which a third have planets;
            ``{"quiet": 23, "planet": 1}`` makes a night of few signals.
        again : float
            Share of the stars that other sectors of the seed show too.
        fast : int
            How many stars have 20-s files besides.
        reports : int
            How many have rows of multi-sector validation reports, which share the number of the sector.
        hlsp : int
            How many have rows and 1800-s files of TESS-SPOC besides those of SPOC.
        pixels : bool
            Whether every 2-min star has a target pixel file too, made of its light curve when it is asked for.
        """
        crowd = Crowd(sector, seed, cadence_seconds, span, pool, mix)
        entries = list(_crowd_entries(self, crowd, stars, names, again, fast, reports, hlsp, pixels))
        self.add(entries, seed)
        return crowd


@dataclass(frozen=True, slots=True)
class Content:
    """A whole file and what tells it from another."""

    data: bytes
    etag: str


class Cache:
    """Made files, least recently used first to go."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[tuple[str, int | None], Content] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int | None], make: Callable[[], bytes]) -> Content:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        data = make()
        content = Content(data, f'"{zlib.crc32(data):08x}-{len(data):x}"')
        with self._lock:
            if key not in self._held:
                self._held[key] = content
                self._bytes += len(data)
            while self._bytes > self._limit and len(self._held) > 1:
                self._bytes -= len(self._held.popitem(last=False)[1].data)
        return content


@dataclass(frozen=True)
class Crowd:
    """A few simulated light curves that stand for many stars."""

    sector: int
    seed: int
    cadence_seconds: float
    span: float  # days
    pool: int
    mix: Mapping["Kind", float] | None = None

    @cached_property
    def originals(self) -> list[Original]:
        return self._simulate(self.cadence_seconds, self.pool)

    @cached_property
    def fast(self) -> list[Original]:
        return self._simulate(20.0, 1)

    @cached_property
    def slow(self) -> list[Original]:
        return self._simulate(1800.0, 2)

    def kind(self, tic: int) -> str:
        """What kind of star stands behind a number: "planet", "quiet", ..."""
        return self._kinds(self.pool)[tic % self.pool]

    def read(self, entry: Entry, file: File) -> bytes:
        if file.subgroup.startswith("FAST"):
            originals = self.fast
        elif entry.provenance == "TESS-SPOC" and self.cadence_seconds <= 120:
            originals = self.slow
        else:
            originals = self.originals
        star = entry.star
        ra, dec = star.ra or 0.0, star.dec or 0.0
        cards: dict[str, Value] = {
            "OBJECT": f"TIC {entry.tic} simulated",
            "TICID": entry.tic,
            "RA_OBJ": Fixed(ra, 12),
            "DEC_OBJ": Fixed(dec, 12),
            "CRVAL1": Fixed(ra, 12),
            "CRVAL2": Fixed(dec, 12),
        }
        whole = stamp(originals[entry.tic % len(originals)], cards)
        return pixels_of(whole) if file.subgroup == "TP" else whole

    def star(self, tic: int) -> Star:
        """The parameters of a star: those of its light curve, at a place of its own."""
        own = self._stars[tic % self.pool]
        # two steps of Weyl's sequence, the fractions of whole multiples of irrational numbers, fill the sky evenly
        turn, height = tic * 0.6180339887 % 1, tic * 0.7548776662 % 1
        return Star(
            tmag=own.tmag, teff=own.teff, logg=own.logg, radius=own.radius, mass=own.mass,
            ra=round(360 * turn, 6), dec=round(160 * height - 80, 6),
        )  # fmt: skip

    def size(self, cadence_seconds: float | None = None) -> int:
        """Bytes of one file."""
        return 28800 + 2880 * ceil(100 * self.rows(cadence_seconds) / 2880)

    def rows(self, cadence_seconds: float | None = None) -> int:
        """Cadences of one file."""
        return max(1, round(self.span * 86400 / (cadence_seconds or self.cadence_seconds)))

    @cached_property
    def _stars(self) -> list[Star]:
        from pipeline.simulate import draw_star

        kinds = self._kinds(self.pool)
        return [draw_star(kind, self._key(place), self.seed).star for place, kind in enumerate(kinds)]

    def _kinds(self, count: int) -> list["Kind"]:
        from hunter.skies import MIX, shares

        # a pool of one kind after the other: spread, so that neighbours in number differ
        return random.Random(f"kinds {self.seed}").sample(
            list(shares(count, MIX if self.mix is None else self.mix)), count
        )

    def _key(self, place: int) -> str:
        return str(CROWD_TIC + place)

    def _simulate(self, cadence_seconds: float, count: int) -> list[Original]:
        from hunter.archives.spoc_writer import from_simulation, spoc_bytes
        from pipeline.simulate import SectorSettings, draw_star, observe

        # a sector of another length has gap and scattered light in proportion, else a day of it would be all gap
        settings = SectorSettings(
            number=self.sector,
            cadence_seconds=cadence_seconds,
            span=self.span,
            gap=min(1.133, self.span / 25),
            stray_hours=min(2.5, self.span / 11),
        )
        made = []
        for place, kind in enumerate(self._kinds(self.pool)[:count]):
            observed = observe(draw_star(kind, self._key(place), self.seed), settings, self.seed)
            made.append(take_apart(spoc_bytes(from_simulation(observed))))
        return made


@dataclass(frozen=True)
class Folder:
    """Files as they lie on the disk."""

    paths: Mapping[str, Path]

    def read(self, entry: Entry, file: File) -> bytes:
        return self.paths[file.name].read_bytes()


@dataclass(frozen=True)
class Sky:
    """Light curves as they lie on the disk, and target pixel files made of them."""

    folder: Path
    fields: Mapping[str, Sequence[Neighbour]]  # by the name of the light curve, the stars beside its target

    def files(self, entry: Entry) -> tuple[File, ...]:
        """The target pixel file of an observation, where it has one."""
        (light_curve,) = entry.files
        if light_curve.name not in self.fields:
            return ()
        name = light_curve.name.replace("s_lc.fits", "s_tp.fits")
        rows = len(rows_of(take_apart((self.folder / light_curve.name).read_bytes())))
        return (File(name, uri_of(name), pixels_size(rows), "TP", "Target pixel files"),)

    def read(self, entry: Entry, file: File) -> bytes:
        light_curve = file.name.replace("s_tp.fits", "s_lc.fits")
        whole = (self.folder / light_curve).read_bytes()
        return pixels_of(whole, self.fields[light_curve]) if file.subgroup == "TP" else whole


def uri_of(name: str) -> str:
    """Where MAST keeps a file of that name."""
    if name.startswith("hlsp_tess-spoc_"):
        tic, sector = name.split("_")[4].split("-")
        parts = "/".join(tic[place : place + 4] for place in range(0, 16, 4))
        return f"mast:HLSP/tess-spoc/{sector}/target/{parts}/{name}"
    return f"mast:TESS/product/{name}"


def obs_id_of(name: str) -> str:
    """The observation a file belongs to."""
    for ending in ("_lc.fits", "-lc.fits", "_tp.fits", "-tp.fits", ".fits"):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _crowd_entries(
    catalogue: Catalogue,
    crowd: Crowd,
    stars: int,
    names: Sequence[str] | None,
    again: float,
    fast: int,
    reports: int,
    hlsp: int,
    pixels: bool,
) -> Iterator[Entry]:
    number = crowd.sector
    if names is None:
        tics = _tics(stars, crowd.seed, number, again)
        names = [file_name(tic, number, crowd.cadence_seconds) for tic in tics]
    else:
        tics = [int(name.split("-")[2]) for name in names]
    begin, end = _times(number, crowd.span)
    provenance = "TESS-SPOC" if crowd.cadence_seconds > 120 else "SPOC"
    size, known = crowd.size(), {}
    ids = iter(catalogue.obsids(len(names) + fast + reports + hlsp))
    for tic, name in zip(tics, names, strict=True):
        known[tic] = crowd.star(tic)
        files: tuple[File, ...] = (File(name, uri_of(name), size),)
        if pixels and provenance == "SPOC":
            other = name.replace("s_lc.fits", "s_tp.fits")
            files += (File(other, uri_of(other), pixels_size(crowd.rows()), "TP", "Target pixel files"),)
        yield Entry(
            next(ids), obs_id_of(name), tic, number, crowd.cadence_seconds, files,
            crowd, known[tic], begin, end, "HLSP" if provenance == "TESS-SPOC" else "TESS", provenance,
        )  # fmt: skip
    for tic in tics[:fast]:
        name = file_name(tic, number, 20.0)
        file = File(name, uri_of(name), crowd.size(20.0), "FAST-LC")
        yield Entry(next(ids), obs_id_of(name), tic, number, 20.0, (file,), crowd, known[tic], begin, end)
    for tic in tics[:reports]:
        obs_id = f"tess2018206190142-s0001-s{number:04d}-{tic:016d}-{1000 + number:05d}"
        name = f"{obs_id}_dvt.fits"
        file = File(name, uri_of(name), 1_000_000, "DVT", "Data validation time series")
        yield Entry(next(ids), obs_id, tic, number, 120.0, (file,), None, known[tic], begin, end)
    for tic in tics[:hlsp]:
        name = file_name(tic, number, 1800.0)
        file = File(name, uri_of(name), crowd.size(1800.0))
        yield Entry(
            next(ids), obs_id_of(name), tic, number, 1800.0, (file,), crowd, known[tic], begin, end, "HLSP", "TESS-SPOC"
        )


def _tics(count: int, seed: int, sector: int, again: float) -> list[int]:
    """Numbers of stars: a share that every sector of the seed has, and others of this sector alone."""
    shared = round(count * again)
    common = random.Random(f"common {seed}").sample(range(0, 10**8), shared)
    own = random.Random(f"own {seed} {sector}").sample(range(10**8, 9 * 10**8), count - shared)
    return [CROWD_TIC + tic for tic in common + own]


def _times(sector: int, span: float) -> tuple[float, float]:
    from pipeline.simulate.sector import sector_start

    begin = sector_start(sector)
    return begin, begin + span


def _folder_entries(catalogue: Catalogue, folder: Path) -> Iterator[Entry]:
    """An observation for each FITS file; pixels join the light curve of the same observation."""
    from hunter.archives.formats import identify
    from hunter.archives.identity import UNKNOWN_STAR

    paths = {path.name: path for path in sorted(folder.rglob("*.fits"))}
    source = Folder(paths)
    grouped: dict[str, list[str]] = {}
    for name in paths:
        grouped.setdefault(obs_id_of(name), []).append(name)
    for obs_id, names in grouped.items():
        found = _from_name(names[0])
        star, cadence = UNKNOWN_STAR, 20.0 if "a_fast" in names[0] else 120.0
        try:
            identity = identify(paths[names[0]])
        except UnusableData:
            pass  # damaged on purpose, or no light curve: the name alone tells whose it is
        else:
            star = identity.star
            cadence = identity.cadence_seconds or cadence
            if found is None and identity.kind == "TIC" and identity.sector is not None:
                found = (int(identity.key), identity.sector)
        if found is None:
            continue
        tic, sector = found
        hlsp = names[0].startswith("hlsp_")
        begin, end = _times(sector, 27.883)
        files = tuple(
            File(name, uri_of(name), paths[name].stat().st_size, *_subgroup(name)) for name in names
        )  # fmt: skip
        yield Entry(
            catalogue.obsids(1)[0], obs_id, tic, sector, float(round(cadence)), files, source, star, begin, end,
            "HLSP" if hlsp else "TESS", "TESS-SPOC" if hlsp else "SPOC",
        )  # fmt: skip


def _subgroup(name: str) -> tuple[str, str]:
    kind = "TP" if name.endswith("tp.fits") else "LC"
    words = "Target pixel files" if kind == "TP" else "Light curves"
    return (f"FAST-{kind}" if "a_fast" in name else kind), words


def _from_name(name: str) -> tuple[int, int] | None:
    """TIC and sector of a SPOC or TESS-SPOC name."""
    import re

    found = re.match(r"tess\d{13}-s(?P<sector>\d{4})-(?P<tic>\d{16})-\d{4}-", name) or re.match(
        r"hlsp_tess-spoc_tess_phot_(?P<tic>\d{16})-s(?P<sector>\d{4})_", name
    )
    return None if found is None else (int(found["tic"]), int(found["sector"]))
