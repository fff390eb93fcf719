"""Build a set from any source and freeze it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hunter.archives import open_archive
from hunter.archives.base import FoundTarget
from hunter.crew import worker_count
from hunter.settings import Settings, SettingsError
from hunter.training_sets import injected, listed, reviewed, simulated
from hunter.training_sets.simulated import Geometry
from hunter.training_sets.work import Work, carry_out, code_version, collect, star_number
from hunter.worker import choose_backend
from models.datasets import JUDGED, ViewsRefused, public, table
from models.datasets.snapshots import CARD, write_snapshot
from models.registry import sha256_of

PUBLIC = (*public.SETS, "public")
SOURCES = (*PUBLIC, "csv", "simulated", "injected", "toi", "reviews")
OWN = "as the light curves it was made from; labels by the person who built it"
LISTED = "light curves: public (NASA); labels: the list named in origin"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; each source reads the fields that concern it."""

    source: str
    origin: Path | None = None  # of public sets and CSVs
    number: int = 1000  # simulated stars, or signals put into each real one
    seed: int = 0
    geometry: Geometry = field(default_factory=Geometry)
    labels: tuple[Path, ...] = ()  # lists
    per_class: int = 250


def sets_folder(settings: Settings) -> Path:
    """Where built sets lie."""
    return settings.home / "datasets"


def named_sets(
    data: Sequence[str],
    settings: Settings,
    *,
    labels: Sequence[Path] = (),
    per_class: int = 250,
    include_reviews: bool = False,
    show: Callable[[Work], None] = lambda work: None,
) -> list[Path]:
    """The folders that ``--data`` means: paths, names of built sets, and ``auto`` for labels of a published list.

    Parameters
    ----------
    data : words; ``auto`` hunts the stars of the archive that ``labels`` know, at most ``per_class`` of a class
    include_reviews : add what people decided in this hunt
    show : is called while a set is built

    Raises
    ------
    SettingsError
        An archive or list is lacking.
    ViewsRefused
        A set cannot be built.
    SystemExit
        A signal stopped the work.
    """
    found: list[Path] = []
    for word in data:
        if word == "auto":
            folder, work = build(Wanted("toi", labels=tuple(labels), per_class=per_class), settings, show)
            if folder is None:
                raise SystemExit(128 + (work.stopped_by or 0 if work else 0))
            found.append(folder)
        else:
            own = sets_folder(settings) / word
            found.append(own if (own / CARD).exists() else Path(word).expanduser())
    if include_reviews:
        found.append(_from_reviews(settings))
    return found


def build(
    wanted: Wanted, settings: Settings, show: Callable[[Work], None] = lambda work: None
) -> tuple[Path | None, Work | None]:
    """Build a set and write it under ``<home>/datasets``.

    Returns
    -------
    folder : Path or None
        None where a signal ended the work before its end; the same call goes on from there.
    work : Work or None
        How the work went, where the phases of the hunt were run.

    Raises
    ------
    ViewsRefused
        The origin is not as it must be, or no row comes of it.
    SettingsError
        An archive or a list is needed and not named.
    hunter.engine.NightFailed
        A worker process died.
    """
    if wanted.source in PUBLIC or wanted.source == "csv":
        if wanted.origin is None:
            raise SettingsError(f"--source {wanted.source} is read from files: name their folder or file with --from")
        return _from_files(wanted, settings), None
    if wanted.source == "reviews":
        return _from_reviews(settings), None
    return _from_phases(wanted, settings, show)


def _from_files(wanted: Wanted, settings: Settings) -> Path:
    assert wanted.origin is not None
    if wanted.source == "csv":
        labelled, stars, notes = table.read_table(wanted.origin)
        files = table.files_of_table(wanted.origin)
        origin = [{"file": str(path), "sha256": sha256_of(path)} for path in files]
        return write_snapshot(
            sets_folder(settings), "csv", labelled, licence="the owner's", origin=origin, settings={},
            code=f"table {table.VERSION}", stars=stars, dropped=notes, held_out=JUDGED,
        )  # fmt: skip
    labelled, stars, notes = public.public_rows(wanted.origin, wanted.source)
    origin, licence = public.public_origin(wanted.origin, wanted.source)
    return write_snapshot(
        sets_folder(settings), wanted.source, labelled, licence=licence, origin=origin, settings={},
        code=f"public {public.VERSION}", stars=stars, dropped=notes, held_out=JUDGED,
    )  # fmt: skip


def _from_reviews(settings: Settings) -> Path:
    labelled, extra, stars, dropped = reviewed.reviewed(settings)
    return write_snapshot(
        sets_folder(settings), "reviews", labelled, licence=OWN, origin=reviewed.origin(settings),
        settings={"suggested": int(extra["suggested"].sum())}, code=f"reviews {reviewed.VERSION}", stars=stars,
        extra=extra, dropped=dropped, held_out=JUDGED,
    )  # fmt: skip


def _from_phases(wanted: Wanted, settings: Settings, show: Callable[[Work], None]) -> tuple[Path | None, Work]:
    backend = choose_backend(settings.compute.backend)
    cache = settings.home / "cache" / "datasets"
    jobs: Sequence[Any]
    about: dict[str, Any] = {"seed": wanted.seed}
    origin: list[dict[str, Any]]
    tables = ("clean", "detrend", "search", "fold", "vet")
    if wanted.source == "simulated":
        jobs, folder = simulated.simulate(wanted.number, wanted.seed, wanted.geometry, settings, backend, cache)
        settings = simulated.hunted_as(settings, wanted.geometry)
        about |= {"stars": wanted.number, "geometry": asdict(wanted.geometry)}
        origin, licence = [{"simulated": f"{wanted.number} stars of seed {wanted.seed}"}], "none: SIMULATED"
    else:
        archive = open_archive(settings)
        targets = [found for found in archive.targets() if found.target.kind != "FILE" or wanted.source == "injected"]
        origin = [{"archive": settings.archive.source, "targets": len(targets), "files": _digest(targets)}]
        if wanted.source == "injected":
            hosts = [found for found in targets if star_number(found.target) not in JUDGED]
            if not hosts:
                raise ViewsRefused(
                    f"{settings.archive.source}: no star is left to put signals into: "
                    f"on {len(targets)} of {len(targets)} the whole hunt is judged"
                )
            jobs, folder = injected.inject(hosts, archive, wanted.number, wanted.seed, settings, backend, cache)
            about |= {"signals a star": wanted.number, "hosts": len(hosts), "held out": len(targets) - len(hosts)}
            licence = "SIMULATED signals in public light curves (NASA)"
        else:
            if not wanted.labels:
                raise SettingsError(
                    "--source toi needs a list of labels: name a TOI, KOI or VSX table (CSV) with --labels"
                )
            lists = [listed.read_list(path) for path in wanted.labels]
            jobs, folder = listed.listed(targets, archive, lists, wanted.per_class, settings, backend, cache)
            origin += [{"file": t.path.name, "sha256": sha256_of(t.path), "layout": t.layout} for t in lists]
            about = {"max per class": wanted.per_class, "stars": len(jobs)}
            licence = LISTED
    work, paths = carry_out(jobs, folder, worker_count(settings), show)
    if work.stopped_by is not None:
        return None, work
    labelled, extra, stars = collect(paths, wanted.source)
    if wanted.source == "toi":
        keep = listed.capped(labelled, wanted.per_class)
        work.dropped["over the most of its class"] += len(labelled) - len(keep)
        labelled, extra = labelled.take(keep), {name: values[keep] for name, values in extra.items()}
    about |= {"tables": {name: asdict(getattr(settings, name)) for name in tables}, "backend": backend}
    return write_snapshot(
        sets_folder(settings), wanted.source, labelled, licence=licence, origin=origin, settings=about,
        code=code_version(), stars=stars, extra=extra, dropped=dict(sorted(work.dropped.items())), held_out=JUDGED,
    ), work  # fmt: skip


def _digest(targets: Sequence[FoundTarget]) -> str:
    """One digest of all files of an archive: paths, sizes and times."""
    total = hashlib.sha256()
    for found in targets:
        total.update(f"{found.target.name} {found.inputs}\n".encode())
    return total.hexdigest()
