"""What an archive takes: the candidates' files, tables and checksums in one bundle, with Zenodo's metadata beside it.

A bundle is named after its content: the same candidates give the same name, so that it is written and sent once.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from candidates.files import PARTIAL, fsync_folder, write_durably
from candidates.quantities import Document, simulated

SUMS = "SHA256SUMS"
METADATA = "metadata.json"
TABLE = "candidates.csv"
PIECE = 2**20  # bytes read at a time
ORCID = re.compile(r"(\d{4}-){3}\d{3}[\dX]")
ORIGIN = (1980, 1, 1, 0, 0, 0)  # the date of every file in the archive, so that equal content is equal bytes


@dataclass(frozen=True, slots=True)
class ZenodoSettings:
    """The [zenodo] table: what stands on a deposit, and where it goes. The token is never written down."""

    creators: tuple[str, ...] = ()  # "Family, Given; affiliation; ORCID", the last two if you like
    licence: str = "cc-by-4.0"  # as Zenodo names it
    keywords: tuple[str, ...] = ("exoplanets", "transits", "TESS")  # of every deposit
    communities: tuple[str, ...] = ()  # identifiers of Zenodo communities
    url: str = "https://zenodo.org"  # with --production
    sandbox_url: str = "https://sandbox.zenodo.org"  # without


class BundleRefused(ValueError):
    """What was asked for makes no bundle; one line with the cure."""


@dataclass(frozen=True, slots=True)
class Creator:
    """One author of a deposit."""

    name: str  # "Family, Given"
    affiliation: str = ""
    orcid: str = ""

    def as_metadata(self) -> dict[str, str]:
        told = {"name": self.name, "affiliation": self.affiliation, "orcid": self.orcid}
        return {key: text for key, text in told.items() if text}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on the disk."""

    folder: Path
    key: str  # sha256 of the list of checksums
    files: tuple[Path, ...]  # what is uploaded
    metadata: Mapping[str, Any]


def creator(text: str) -> Creator:
    """An author from ``Family, Given; affiliation; ORCID``.

    Raises
    ------
    BundleRefused
        Without a family and a given name, or with an ORCID whose check digit is wrong.
    """
    parts = [part.strip() for part in text.split(";")]
    if len(parts) > 3 or not re.fullmatch(r"[^,;]+, *[^,;]+", parts[0]):
        raise BundleRefused(f"creator {text!r}: write 'Family, Given; affiliation; ORCID', the last two if you like")
    orcid = parts[2].removeprefix("https://orcid.org/") if len(parts) == 3 else ""
    if orcid and not (ORCID.fullmatch(orcid) and _check_digit(orcid[:-1]) == orcid[-1]):
        raise BundleRefused(f"creator {text!r}: {orcid} is no ORCID: look at its digits again")
    return Creator(parts[0], parts[1] if len(parts) > 1 else "", orcid)


def _check_digit(digits: str) -> str:
    """ISO 7064 MOD 11-2, the last character of an ORCID."""
    total = 0
    for digit in digits.replace("-", ""):
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return "X" if rest == 10 else str(rest)


def metadata(
    documents: Sequence[Document],
    key: str,
    creators: Sequence[Creator],
    settings: ZenodoSettings,
    version: str,
    day: date,
    title: str = "",
    description: str = "",
) -> dict[str, Any]:
    """The metadata of the deposit, by the names of Zenodo's deposit interface.

    Parameters
    ----------
    key : str
        Of the bundle; stands in ``notes``, where a deposit begun is known by it again.
    title, description : str
        In a person's own words; empty for ours.

    Raises
    ------
    BundleRefused
        Without a creator.
    """
    if not creators:
        raise BundleRefused(
            "a deposit has authors: give --creator 'Family, Given; affiliation; ORCID', or [zenodo] creators"
        )
    made_up = any(simulated(document) for document in documents)
    many = f"{len(documents)} transit candidate{'' if len(documents) == 1 else 's'}"
    label = "SIMULATED light curves: " if made_up else ""
    said = description or (
        f"Evidence for {many} found by transit-hunter {version}: for each the evidence as JSON with its published "
        f"schema, a sheet, and a page that opens without a network; tables as CSV, ECSV and VOTable."
    )
    paragraphs = [_html(part) for part in said.split("\n\n")]
    if made_up:
        paragraphs.insert(0, "<p><strong>The light curves are simulated; no telescope saw these stars.</strong></p>")
    paragraphs.append(f"<p>Targets: {', '.join(sorted({_plain_html(d['target']['name']) for d in documents}))}.</p>")
    told: dict[str, Any] = {
        "upload_type": "dataset",
        "title": label + (title or f"{many[0].upper()}{many[1:]} with their evidence"),
        "creators": [one.as_metadata() for one in creators],
        "description": "".join(paragraphs),
        "access_right": "open",
        "license": settings.licence,
        "keywords": list(settings.keywords),
        "version": version,
        "publication_date": f"{day:%Y-%m-%d}",
        "notes": marker(key),
    }
    if settings.communities:
        told["communities"] = [{"identifier": name} for name in settings.communities]
    return told


def marker(key: str) -> str:
    """The line by which a deposit of this bundle is known."""
    return f"transit-hunter bundle sha256:{key}"


def _plain_html(text: object) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _html(text: str) -> str:
    return f"<p>{_plain_html(text)}</p>"


def read_me(documents: Sequence[Document], version: str) -> str:
    """What somebody who opens the bundle reads first; authors and licence stand on the deposit."""
    made_up = "The light curves are SIMULATED: no telescope saw these stars.\n"
    lines = [
        "Transit candidates with their evidence",
        "=" * 38,
        "",
        *([made_up] if any(map(simulated, documents)) else []),
        f"Made by transit-hunter {version}.",
        "",
        "candidates/NAME.json   everything said about one candidate, by candidates/schema.json",
        "candidates/NAME.png    the sheet, also as NAME.pdf",
        "candidates/NAME.html   the page; opens without a network",
        "tables/                the candidates as CSV, ECSV, VOTable and LaTeX",
        f"{SUMS}             check with: sha256sum -c {SUMS}",
        "",
        "Times are BTJD = BJD - 2457000 (TDB). A test that was not run is no pass. The names of data files are",
        "those of the machine that hunted; their sha256 says which they are.",
        "",
        *(f"{one['name']}  {one['target']['name']}  {one['verdict']['disposition']}" for one in documents),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def write(
    folder: Path,
    contents: Mapping[str, bytes | Path],
    described: Mapping[str, Any],
    key: str,
) -> Bundle:
    """Write a bundle: the archive, the list of checksums, the table and the metadata; a half one is never named.

    Parameters
    ----------
    folder : Path
        Where the bundle's own folder is made, ``candidates_<first of the key>``.
    contents : mapping
        Name within the archive to bytes, or to the file that holds them.
    described : mapping
        Of :func:`metadata`.
    key : str
        Of :func:`key_of` over the same contents.
    """
    here = folder / f"candidates_{key[:12]}"
    here.mkdir(parents=True, exist_ok=True)
    sums = "".join(f"{digest}  {name}\n" for name, digest in digests(contents).items()).encode()
    archive = here / f"{here.name}.zip"
    _pack(archive, contents, sums)
    paths = [archive]
    for name, data in ((SUMS, sums), (TABLE, _bytes(contents[f"tables/{TABLE}"]))):
        write_durably(here / name, data)
        paths.append(here / name)
    write_durably(here / METADATA, json.dumps(described, ensure_ascii=False, indent=1).encode() + b"\n")
    return Bundle(here, key, tuple(paths), described)


def _bytes(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def digests(contents: Mapping[str, bytes | Path]) -> dict[str, str]:
    """The sha256 of each file, by name, in order."""
    return {name: _digest(contents[name], "sha256") for name in sorted(contents)}


def key_of(contents: Mapping[str, bytes | Path]) -> str:
    """The name of what a bundle holds: the sha256 of its list of checksums."""
    listed = "".join(f"{digest}  {name}\n" for name, digest in digests(contents).items())
    return hashlib.sha256(listed.encode()).hexdigest()


def _digest(content: bytes | Path, kind: str) -> str:
    if isinstance(content, bytes):
        return hashlib.new(kind, content).hexdigest()
    with open(content, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def md5_of(path: Path) -> str:
    """The md5 of a file: what Zenodo tells of what it received."""
    return _digest(path, "md5")


def _pack(path: Path, contents: Mapping[str, bytes | Path], sums: bytes) -> None:
    """The archive, synced before it has its name."""
    import zipfile

    partial = path.with_name(path.name + PARTIAL)
    try:
        with open(partial, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in (*((name, contents[name]) for name in sorted(contents)), (SUMS, sums)):
                    entry = zipfile.ZipInfo(name, ORIGIN)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    with archive.open(entry, "w", force_zip64=True) as out:
                        for piece in pieces(content):
                            out.write(piece)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        fsync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def pieces(content: bytes | Path) -> Iterable[bytes]:
    """The content, piece by piece."""
    if isinstance(content, bytes):
        yield content
        return
    with open(content, "rb") as file:
        while piece := file.read(PIECE):
            yield piece
