"""Publish a candidate: its four files appear together or not at all.

The files are rendered and synced under names that carry the worker's token, in ``.staging`` inside the folder.
``install`` first writes an undo note that names what it is about to replace, keeps the earlier files under
staging names, renames the four into place, syncs the folder and only then retires the note. A failure undoes
it on the spot; after a kill or a power cut :func:`sweep` does the same from the note.
"""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candidates.evidence import to_json
from candidates.files import Step, fsync_folder, nothing, safe_name, sha256_of, write_durably, write_synced
from candidates.rows import complete
from pipeline.surroundings import Surroundings
from pipeline.types import CleanedLightCurve, Evidence, FoldedViews, SearchResult

if TYPE_CHECKING:
    from pipeline.fit.result import TransitFit

STAGING = ".staging"
KINDS = ("png", "pdf", "html", "json")  # in the order in which they appear: the JSON, which names the case, last
INDEX = "index.html"
NAME = re.compile(r"^[A-Za-z0-9._+=~-]+_p[0-9]+\.[0-9]{6}(_s[0-9]+)?$")
FILE = re.compile(r"^(?P<name>[A-Za-z0-9._+=~-]+_p[0-9]+\.[0-9]{6}(_s[0-9]+)?)\.(json|png|pdf|html)$")
INDEX_PART = re.compile(r"^index\.html\.[0-9]{1,9}\.part$")
UNDO, DONE, EARLIER = ".undo", ".done", ".earlier"
STAGED = re.compile(  # a token holds no dot, so a name always parses in one way
    r"^(?P<name>[A-Za-z0-9._+=~-]+_p[0-9]+\.[0-9]{6}(_s[0-9]+)?)\.(?P<token>[^.]+)"
    r"\.(?P<ending>json|png|pdf|html|undo|undo\.part|done|(json|png|pdf|html)\.earlier)$"
)


def token_name(token: str) -> str:
    """A token as the piece of a file name: escaped, and without dots."""
    return safe_name(token).replace(".", "=2E")


@dataclass(frozen=True, slots=True)
class Staged:
    """Four files on the disk under staging names, ready to be renamed into place."""

    folder: Path
    name: str
    token: str
    files: Mapping[str, tuple[Path, str]]  # "json" | "png" | "pdf" | "html" -> (final path, sha256)

    def _staged(self, kind: str) -> Path:
        return self.folder / STAGING / f"{self.name}.{self.token}.{kind}"

    def _note(self, ending: str) -> Path:
        return self.folder / STAGING / f"{self.name}.{self.token}{ending}"

    def install(self, step: Step = nothing) -> None:
        """Rename the four files into place; after a failure the folder is as it was before.

        Parameters
        ----------
        step : callable
            Called at every boundary: ``"undo noted"``, ``"earlier kept"``, ``"png renamed"``, ``"pdf renamed"``,
            ``"html renamed"``, ``"json renamed"``, ``"candidates synced"``, ``"undo retired"``.

        Raises
        ------
        OSError
            From the disk, or FileNotFoundError when the staged files were discarded or installed before.
        """
        for kind in KINDS:
            os.stat(self._staged(kind))
        self._undo_others()
        earlier = [kind for kind in KINDS if self.files[kind][0].exists()]
        note = self._note(UNDO)
        try:
            write_durably(note, json.dumps({"name": self.name, "earlier": earlier}).encode(), step)
            step("undo noted")
            for kind in earlier:
                _keep(self.files[kind][0], self._note(f".{kind}{EARLIER}"))
            fsync_folder(note.parent)
            step("earlier kept")
            for kind in KINDS:
                self._staged(kind).replace(self.files[kind][0])
                step(f"{kind} renamed")
            fsync_folder(self.folder)
            fsync_folder(note.parent)
            step("candidates synced")
        except BaseException:
            if note.exists():
                _undo(self.folder, note)
            self.discard()
            raise
        note.replace(self._note(DONE))  # from here on the new files stand, whatever happens
        fsync_folder(note.parent)
        for kind in earlier:
            self._note(f".{kind}{EARLIER}").unlink(missing_ok=True)
        step("undo retired")

    def _undo_others(self) -> None:
        """Undo what others have begun to install under this name and were killed at.

        Whoever installs holds the claim, so none of them lives; and if their notes were left, the next sweep would
        undo them and take the files of this candidate away.
        """
        for note in sorted((self.folder / STAGING).glob(f"{self.name}.*{UNDO}")):
            found = STAGED.match(note.name)
            if found is not None and found["name"] == self.name and found["token"] != self.token:
                _undo(self.folder, note)

    def discard(self) -> None:
        """Remove whatever this publication left in staging.

        Before ``install`` that drops the candidate; afterwards, once the record is committed, it only removes
        the note that kept a sweep of another worker away from the new files. Calling it twice is harmless.
        """
        for kind in KINDS:
            self._staged(kind).unlink(missing_ok=True)
            self._note(f".{kind}{EARLIER}").unlink(missing_ok=True)
        self._note(DONE).unlink(missing_ok=True)
        self._note(UNDO).unlink(missing_ok=True)


def stage(
    folder: Path,
    evidence: Evidence,
    cleaned: CleanedLightCurve,
    result: SearchResult,
    views: FoldedViews,
    surroundings: Surroundings | None,
    token: str,
    step: Step = nothing,
    fit: "TransitFit | None" = None,
) -> Staged:
    """Render evidence, sheet and page to staging names and put them on the disk.

    Parameters
    ----------
    folder : Path
        The candidates folder; made if need be.
    evidence, cleaned, result, views, surroundings
        What :func:`candidates.plots.draw_sheet` and :func:`candidates.page.render_page` show.
    token : str
        Different for every claim of the target, so that a worker which comes back late overwrites nothing.
    step : callable
        Called with ``"sheet drawn"``, ``"page rendered"`` and, for each file, the boundaries of
        :func:`candidates.files.write_synced`; last with ``"staged"``.
    fit : TransitFit, optional
        Its model is drawn on the sheet, its pictures go into the page.

    Raises
    ------
    ValueError
        If the evidence's name is not one that :func:`candidates.evidence.candidate_name` makes, or the
        document holds NaN.
    OSError
        From the disk; nothing is left in staging.
    """
    from candidates.closer import closer_data
    from candidates.page import render_page  # the sheet needs matplotlib, the page jinja2: only who publishes pays
    from candidates.plots import draw_sheet

    document = to_json(evidence.document)
    sheet = draw_sheet(evidence, cleaned, result, views, surroundings, None if fit is None else fit.curve)
    step("sheet drawn")
    pictures = []
    if fit is not None:
        from candidates.fit_panels import fit_pictures

        pictures = fit_pictures(fit)
    closer = closer_data(evidence.document, cleaned, result, views)
    page = render_page(evidence, sheet.png, closer, pictures).encode("utf-8")
    step("page rendered")
    return stage_files(
        folder, evidence.name, {"json": document, "png": sheet.png, "pdf": sheet.pdf, "html": page}, token, step
    )


def stage_files(folder: Path, name: str, contents: Mapping[str, bytes], token: str, step: Step = nothing) -> Staged:
    """Put a candidate's four files on the disk under staging names.

    Parameters
    ----------
    folder, token, step
        As for :func:`stage`.
    name : str
        From :func:`candidates.evidence.candidate_name`.
    contents : mapping
        The bytes of ``json``, ``png``, ``pdf`` and ``html``.

    Raises
    ------
    ValueError
        If the name is not that of a candidate.
    OSError
        From the disk; nothing is left in staging.
    """
    if not NAME.match(name):
        raise ValueError(f"{name!r} is not the name of a candidate: use candidate_name()")
    files = {kind: (folder / f"{name}.{kind}", sha256_of(contents[kind])) for kind in contents}
    staged = Staged(folder, name, token_name(token), files)
    (folder / STAGING).mkdir(parents=True, exist_ok=True)
    try:
        for kind in KINDS:
            write_synced(staged._staged(kind), contents[kind], step)
        fsync_folder(folder / STAGING)
        step("staged")
    except BaseException:
        with suppress(OSError):
            staged.discard()
        raise
    return staged


def _keep(path: Path, kept: Path) -> None:
    """Give the file a second name; where the file system knows no hard links, a synced copy."""
    kept.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError:
        write_synced(kept, path.read_bytes())


def _undo(folder: Path, note: Path) -> list[Path]:
    """Bring back what an unfinished installation replaced, and return the new files it took away."""
    stem = note.name.removesuffix(UNDO)
    told = json.loads(note.read_bytes())  # whole, if it is there: it was written durably before the first rename
    name, earlier = str(told["name"]), set(told["earlier"])
    if not stem.startswith(name + "."):
        raise ValueError(f"{note}: the undo note speaks of {name}: remove it by hand after looking")
    removed = []
    for kind in KINDS:
        final, kept = folder / f"{name}.{kind}", note.with_name(f"{stem}.{kind}{EARLIER}")
        if kept.exists():
            kept.replace(final)
            kept.unlink(missing_ok=True)  # a rename between two names of one file leaves both
        elif kind not in earlier and final.exists():
            final.unlink()
            removed.append(final)
    fsync_folder(folder)
    note.unlink(missing_ok=True)
    return removed


def write_index(
    folder: Path, rows: Sequence[Mapping[str, Any]], step: Step = nothing, written: str | None = None
) -> Path:
    """Write ``index.html`` over the candidates of ``rows``, best first.

    Parameters
    ----------
    folder : Path
    rows : sequence of mappings
        What the state keeps of each candidate, in any order (see :func:`candidates.rows.row_of_record`); the rest
        is read from the evidence files.
    step : callable
        The boundaries of :func:`candidates.files.write_durably`.
    written : str, optional
        ISO time shown on the page; now, by default.

    Returns
    -------
    Path
        Of the index.

    Raises
    ------
    OSError
        From the disk; the earlier index stands.
    """
    from candidates.page import render_index

    when = written if written is not None else datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    path = folder / INDEX
    write_durably(path, render_index(complete(folder, rows), when).encode("utf-8"), step, token=str(os.getpid()))
    return path


def sweep(folder: Path, known: Collection[str], alive: Collection[str] = ()) -> list[Path]:
    """Remove what a killed worker left, and candidate files that no record names.

    Unfinished installations are undone first, so a candidate that was being replaced has its earlier files again.
    Only files that match our own naming are touched: a person's notes in the folder stay.

    Parameters
    ----------
    folder : Path
    known : set of str
        Names of the recorded candidates (``TIC_..._p...``), or of their files.
    alive : collection of str
        Tokens of workers that live: their staging and what they have just installed are left alone.

    Returns
    -------
    list of Path
        What was removed, in order of name.
    """
    if not folder.is_dir():
        return []
    removed: list[Path] = []
    spared: set[str] = set()
    live = {token_name(token) for token in alive}
    staging = folder / STAGING
    if staging.is_dir():
        matches = [(path, STAGED.match(path.name)) for path in sorted(staging.iterdir()) if not path.is_dir()]
        spared = {match["name"] for _, match in matches if match and match["token"] in live}
        dead = [(path, match["ending"]) for path, match in matches if match and match["token"] not in live]
        for path, ending in dead:
            if ending == "undo":
                removed += _undo(folder, path)
        for path, _ in dead:
            if path.exists():
                path.unlink()
                removed.append(path)
        fsync_folder(staging)
    stems = {Path(item).name for item in known}
    for path in sorted(folder.iterdir()):
        match = FILE.match(path.name)
        if INDEX_PART.match(path.name):
            if not _runs(int(path.name.split(".")[-2])):
                path.unlink(missing_ok=True)
                removed.append(path)
        elif match and path.is_file() and not {match["name"], path.name} & stems and match["name"] not in spared:
            path.unlink(missing_ok=True)
            removed.append(path)
    fsync_folder(folder)
    return sorted(removed)


def _runs(process: int) -> bool:
    """Whether a process of this id runs here; ourselves excepted, for we write no index while we sweep."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
