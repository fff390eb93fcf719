"""The two things that can be wrong with data. Everything else is our fault.

::

    Exception
    ├── UnusableData         the sky's fault: recorded with its reason, never retried
    └── ArchiveUnavailable   the archive's fault: the target waits and is asked again

No signal found is not an error.
"""


class UnusableData(Exception):
    """The data exist and cannot be hunted; the message is the reason a person reads."""


class ArchiveUnavailable(Exception):
    """The archive did not answer or gave half a file; asking again later can help."""
