"""The command ``hunter``: one clear line for every mistake, the right exit code, no traceback without --debug."""

import os
import sys

DONE, FAILED, USAGE, UNRESOLVED, LOCKED = 0, 1, 2, 3, 75


def main() -> None:
    """Run the command line; what a command raises becomes a line on stderr and an exit code."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    # the pinning has to come before numpy: every process of a hunt computes on one core
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from hunter.cli import app

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has seen enough
        sys.exit(DONE)
    except Exception as error:
        if debug or os.environ.get("HUNTER_DEBUG"):
            raise
        code, line = _explain(error)
        print(f"hunter: {line}", file=sys.stderr)
        sys.exit(code)


def _explain(error: Exception) -> tuple[int, str]:
    """The exit code and the line for what a command raised; errors are matched by name, to import nothing heavy."""
    names = {cls.__name__ for cls in type(error).__mro__}
    text = str(error).strip() or type(error).__name__
    if "SettingsError" in names or "WrongUsage" in names or "ArchiveEmpty" in names:
        return USAGE, text
    if "HomeLocked" in names:
        return LOCKED, text
    if names & {"StateError", "NightFailed", "DiskFull", "UnusableData", "ArchiveUnavailable", "ModelRefused"}:
        return FAILED, text
    if isinstance(error, OSError) and error.filename is not None:
        return FAILED, f"{error.filename}: {error.strerror}"
    return FAILED, f"{type(error).__name__}: {text} (this is our fault; --debug shows where)"


if __name__ == "__main__":
    main()
