"""Bulk scripts: one text file that names every light curve of a sector.

A script is a list of names and nothing else: it is never run, the hosts in it are never asked, and one line that
says something unexpected makes all of it unknown.
"""

import re
from dataclasses import dataclass

from hunter.archives.mast.names import FileName, ProductLine, read_file_name, script_url
from hunter.copies import Copies
from pipeline.errors import ArchiveUnavailable

# curl -C - -L -o NAME 'HOST?uri=mast:...': options and quotes differ from script to script
_LINE = re.compile(
    r"^[ \t]*curl[ \t]+(?:-[-\w]+[ \t]+(?:-[ \t]+)?)*?(?:-o|--output)[ \t]+(['\"]?)([\w.-]+)\1[ \t]+"
    r"(?:-[-\w]+[ \t]+(?:-[ \t]+)?)*(['\"]?)https?://[^\s'\"?]+\?uri=(mast:[\w./-]+)\3[ \t]*\r?$",
    re.MULTILINE | re.ASCII,
)
_SAID = re.compile(r"^[ \t]*[^\s#].*$", re.MULTILINE)  # a line that is neither empty nor a comment


@dataclass(frozen=True, slots=True)
class Script:
    """One bulk script as it was read."""

    files: tuple[FileName, ...]  # in the order of the script, each once
    repeated: int  # lines that name a file again
    sha256: str  # of its bytes
    etag: str | None = None
    modified: str | None = None  # Last-Modified, as the server wrote it
    fresh: bool = True  # False: the server said that it has not changed


def read_script(content: bytes, line: ProductLine, sector: int) -> tuple[tuple[FileName, ...], int]:
    """The files that a script names, each once, and how many lines named one again.

    Raises
    ------
    ArchiveUnavailable
        If it is no script, was cut, or names files of another sector or product: it is unknown what is there.
    """
    where = f"the script of sector {sector} ({line.name})"
    text = content.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith(("#", "curl ")):
        raise ArchiveUnavailable(f"unknown: {where} is no script but begins {text[:40]!r}")
    rows = _LINE.findall(text)
    said = len(_SAID.findall(text))
    if len(rows) != said:
        raise ArchiveUnavailable(f"unknown: {said - len(rows)} of {said} lines of {where} cannot be read: was it cut?")
    files: dict[str, FileName] = {}
    for _, file, _, uri in rows:
        name = read_file_name(file, (line,))
        if name is None or name.sector != sector or name.uri != uri:
            raise ArchiveUnavailable(f"unknown: {where} names {file} at {uri}, which is no light curve of it")
        files[file] = name
    return tuple(files.values()), len(rows) - len(files)


def ask_script(copies: Copies, bulk_url: str, line: ProductLine, sector: int) -> Script | None:
    """The script of a sector as it stands now; None where the server says that there is none (404).

    Raises
    ------
    ArchiveUnavailable
        If there is no answer, or none that can be trusted.
    """
    url = script_url(bulk_url, line, sector)
    copy = copies.ask(url, f"{line.name}-s{sector:04d}.sh", lambda content: read_script(content, line, sector))
    if copy is None:
        return None
    files, repeated = copy.meaning
    return Script(files, repeated, copy.sha256, copy.etag, copy.modified, copy.fresh)
