"""How many targets a bounded night may still claim: a number in a file, which several processes count down."""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Budget:
    """A number that is never taken twice. The lock on its file goes with the process that holds it."""

    path: Path

    @classmethod
    def of(cls, path: Path, limit: int) -> "Budget":
        path.write_text(f"{limit:020d}")
        return cls(path)

    def of_role(self, role: str) -> "Budget":
        """The budget of the same night for others of the crew."""
        return Budget(self.path.with_name(f"{role}.budget"))

    def take(self, wanted: int) -> int:
        """Take as much of ``wanted`` as is left; returns how much."""
        return self._change(lambda left: max(0, min(wanted, left)))

    def give_back(self, unused: int) -> None:
        """Put back what was taken and not used."""
        self._change(lambda left: -unused)

    def left(self) -> int:
        return int(self.path.read_bytes() or b"0")

    def _change(self, granted: Callable[[int], int]) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            left = int(os.pread(descriptor, 32, 0) or b"0")
            taken = granted(left)
            # fixed width: whoever is killed in between leaves a whole number
            os.pwrite(descriptor, b"%020d" % (left - taken), 0)
            return taken
        finally:
            os.close(descriptor)
