"""Files that are whole or absent, under names that nothing in a header can bend.

A name appears in its folder only after its bytes are on the disk: partial file, fsync, rename,
fsync of the folder. A kill or a full disk at any boundary leaves the earlier file or none.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Step = Callable[[str], None]

PARTIAL = ".part"
MAX_NAME = 120  # characters of an escaped name; file systems end at 255 bytes, and suffixes follow
SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")


def nothing(boundary: str) -> None:
    """A step that does nothing: what runs outside the crash tests."""


def fsync_folder(folder: Path) -> None:
    """Put the folder's entries on the disk, so that a rename in it outlives a power cut.

    Raises
    ------
    OSError
        If the folder is missing or the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, data: bytes, step: Step = nothing) -> None:
    """Write bytes under a name nobody reads yet and put them on the disk; on failure the name is gone again.

    Parameters
    ----------
    path : Path
        A partial or staging name; an older file of that name is overwritten.
    data : bytes
    step : callable
        Called with ``"file opened"``, ``"file written"`` and ``"file synced"``.

    Raises
    ------
    OSError
        ENOSPC, EROFS and their like, after the name was removed.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            step("file opened")
            file.write(data)
            file.flush()
            step("file written")
            os.fsync(file.fileno())
        step("file synced")
    except BaseException:  # an interrupt or an exit, too, leaves nothing half
        with suppress(OSError):
            path.unlink()
        raise


def write_durably(path: Path, data: bytes, step: Step = nothing, token: str = "") -> None:
    """Make ``path`` hold ``data``, or leave what was there.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    data : bytes
    step : callable
        Called at every boundary: ``"file opened"``, ``"file written"``, ``"file synced"``,
        ``"file renamed"``, ``"folder synced"``.
    token : str
        Goes into the partial name, ``<name>.<token>.part``, where several processes may write the same
        file at once; without it the partial name is ``<name>.part``.

    Raises
    ------
    OSError
        From the disk; the partial file has then been removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{safe_name(token)}{PARTIAL}" if token else path.name + PARTIAL)
    write_synced(partial, data, step)
    try:
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    step("file renamed")
    fsync_folder(path.parent)
    step("folder synced")


def safe_name(text: str) -> str:
    """Escape any text into one plain file name; different texts give different names.

    Letters, digits and ``. _ + -`` stay; every other byte of the UTF-8 text becomes ``=XX``, and so does a
    dot at either end and a hyphen at the start. So there is no slash, no ``..``, no hidden file, no option
    and no control character. A name over 120 characters is cut and ends in a digest of the whole.

    Raises
    ------
    ValueError
        If the text is empty.
    """
    if not text:
        raise ValueError("a file name cannot be made of an empty text")
    pieces = []
    last = len(text) - 1
    for place, character in enumerate(text):
        plain = character in SAFE
        plain = plain and not (character == "." and place in (0, last)) and not (character == "-" and place == 0)
        escaped = "".join(f"={byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        pieces.append(character if plain else escaped)
    name = "".join(pieces)
    if len(name) > MAX_NAME:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{name[: MAX_NAME - 18]}=~{digest}"
    return name


def sha256_of(data: bytes) -> str:
    """The sha256 of the bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
