"""The candidates folder as a whole: the index written anew, every file compared with the record."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from candidates.publish import KINDS, write_index
from hunter import crashpoints
from hunter.settings import Settings
from state.reading import Reader


def rewrite_index(settings: Settings, now: float) -> Path:
    """Write ``candidates/index.html`` anew from the record and the evidence files it names."""
    with Reader(settings.database) as reader:
        recorded = reader.candidates()
    written = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return write_index(settings.home / "candidates", recorded, crashpoints.at, written=written)


def verify_files(folder: Path, recorded: Iterable[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Hash every recorded file again; return a line for each that is missing or differs, and how many were read."""
    problems: list[str] = []
    checked = 0
    for row in recorded:
        for kind in KINDS:
            if not row[f"{kind}_file"]:  # published before there was such a file
                continue
            path = folder / row[f"{kind}_file"]
            checked += 1
            try:
                found = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                problems.append(f"{path}: {error.strerror}; `hunter retry {row['name']}` makes it again")
                continue
            if found != row[f"{kind}_sha256"]:
                problems.append(f"{path}: differs from its record; `hunter retry {row['name']}` makes it again")
    return problems, checked
