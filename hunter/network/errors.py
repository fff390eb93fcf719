"""What can come of asking an archive; the type says what follows.

::

    Exception
    ├── ArchiveUnavailable   (pipeline.errors) asked again later, with back-off
    │   ├── Faltered         every attempt failed in a way that another may not
    │   ├── HostDown         the host does not answer: no request leaves before ``until``
    │   ├── Busy             the host asks to be left alone for longer than anyone waits, until ``until``
    │   └── Denied           401 or 403: asking again at once would only hammer at a closed door
    ├── Missing              404 or 410: the archive has no such thing
    └── Corrupt              the archive gives the same unsound file again and again

A message names the host and the thing asked for, and never a secret: of a query only ``uri`` is shown, of a user and
password nothing.
"""

from urllib.parse import parse_qs, urlsplit

from pipeline.errors import ArchiveUnavailable

__all__ = ["ArchiveUnavailable", "Busy", "Corrupt", "Denied", "Faltered", "HostDown", "Missing", "shown"]


class Faltered(ArchiveUnavailable):
    """An exchange failed in a way that may pass: a reset, a silence, a server's error, half a body."""


class HostDown(ArchiveUnavailable):
    """The host has failed again and again, and is left alone for a while.

    Attributes
    ----------
    until : float
        Seconds since 1970: the host is asked again from then on.
    """

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class Busy(ArchiveUnavailable):
    """The host asked to be left alone (Retry-After) for longer than ``[network] patience_seconds``.

    Attributes
    ----------
    until : float
        Seconds since 1970: no request to the host leaves before.
    """

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class Denied(ArchiveUnavailable):
    """The archive does not let us in (401, 403)."""


class Missing(Exception):
    """The archive has no such thing (404, 410)."""


class Corrupt(Exception):
    """Three downloads of one content failed the same check: the file is unsound where it lies.

    Attributes
    ----------
    check : str
        The check that failed: begins, length, structure, complete, checksum, identity or cadence.
    sha256 : str
        Of the content that failed it.
    """

    def __init__(self, message: str, check: str, sha256: str) -> None:
        super().__init__(message)
        self.check = check
        self.sha256 = sha256


def shown(url: str) -> str:
    """An address for a message: host, path, and of the query the ``uri`` alone."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    uri = parse_qs(parts.query).get("uri", [""])[0]
    text = f"{parts.hostname or ''}{port}{parts.path}" + (f"?uri={uri}" if uri else "")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
