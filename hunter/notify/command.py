"""A program of yours: started for each message, which it reads as JSON on its stdin; exit code 0 means it is told."""

import os
import shlex
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from hunter.masking import mask
from hunter.notify.letter import Letter, NotSent

TAIL = 300  # bytes of its last words that are kept


def send(address: str, letter: Letter, limit: float) -> str:
    """Run the program, without a shell; returns "exit code 0".

    Raises
    ------
    NotSent
        If it cannot be started, fails, or is not done within ``limit`` seconds; then it is killed with all its
        children.
    """
    words = shlex.split(address)
    name = Path(words[0]).name
    with tempfile.TemporaryFile() as said:  # no pipe: a grandchild that holds it open would keep us waiting
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except OSError as error:
            raise NotSent(f"{name} cannot be started: {error.strerror}") from None
        try:
            process.communicate(letter.as_json(), timeout=limit)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise NotSent(f"{name} was not done within {limit:g} s") from None
        if process.returncode != 0:
            said.seek(max(0, said.seek(0, os.SEEK_END) - TAIL))
            words_left = " ".join(said.read().decode(errors="replace").split())
            told = f": {mask(words_left)}" if words_left else ""
            raise NotSent(f"{name} ended with exit code {process.returncode}{told}")
    return "exit code 0"
