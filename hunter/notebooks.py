"""The notebook of a chain in the cache: what a killed worker had walked is not walked again."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from candidates.files import Step, nothing, write_durably


@dataclass(frozen=True, slots=True)
class FileNotebook:
    """One file beside the checkpoints, replaced as a whole: arrays only, never an object."""

    path: Path
    token: str = ""  # of the claim: a worker that comes back late writes a partial file of its own
    step: Step = nothing

    def load(self) -> Mapping[str, np.ndarray] | None:
        """What was saved last; None where nothing was, or where it cannot be read: then it is walked again."""
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except Exception:  # bytes that anybody may have put there fail in more ways than can be listed
            return None

    def save(self, state: Mapping[str, np.ndarray]) -> None:
        """Keep a state instead of the last one.

        Raises
        ------
        OSError
            From the disk; what was saved before stands.
        """
        buffer = io.BytesIO()
        np.savez(buffer, **state)  # type: ignore[arg-type]
        write_durably(self.path, buffer.getvalue(), self.step, self.token)

    def remove(self) -> None:
        """Forget the chain, once its fit is stored."""
        self.path.unlink(missing_ok=True)
