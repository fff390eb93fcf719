"""The command ``hunter``: one clear line for every mistake, the right exit code, no traceback without --debug."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

DONE, FAILED, USAGE, UNRESOLVED, LOCKED, INTERRUPTED = 0, 1, 2, 3, 75, 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what a command raises becomes a line on stderr and an exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given or bool(os.environ.get("HUNTER_DEBUG"))
    given = [argument for argument in given if argument != "--debug"]
    # the pinning has to come before numpy: every process of a hunt computes on one core
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it would look through every installed package for some
    from hunter.cli import app

    try:
        code = app(given, prog_name="hunter", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            _stop_writing()
        raise
    except BrokenPipeError:
        _stop_writing()
    except Exception as error:
        if debug:
            raise
        code, text = _explain(error)
        for line in text.splitlines():
            print(line if line.startswith("hunter ") else f"hunter: {line}", file=sys.stderr)
        sys.exit(code)
    if code == INTERRUPTED:
        print("hunter: interrupted; what was stored stays stored", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else DONE)


def _stop_writing() -> None:
    """End well: whoever read our output has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(DONE)


def _explain(error: Any) -> tuple[int, str]:
    """The exit code and the lines for what a command raised; errors are matched by name, to import nothing heavy."""
    names = {cls.__name__ for cls in type(error).__mro__}
    text = str(error).strip() or type(error).__name__
    if "NoArgsIsHelpError" in names:
        print(text, file=sys.stderr)  # the help itself
        return USAGE, ""
    if "UsageError" in names:  # of the command line's parser
        return USAGE, _usage(error)
    if names & {"SettingsError", "WrongUsage", "ArchiveEmpty"}:
        return USAGE, text
    if "HomeLocked" in names:
        return LOCKED, text
    if "DiskFull" in names or (isinstance(error, OSError) and error.errno in FULL):
        return FAILED, f"no room left: {text}. Free some space and run the same command again; nothing is lost"
    if names & {
        "StateError",
        "NightFailed",
        "HomeUnusable",
        "UnusableData",
        "ArchiveUnavailable",
        "ModelRefused",
        "ViewsRefused",
    }:
        return FAILED, text
    if isinstance(error, OSError) and error.filename is not None:
        cure = ": give yourself the right to it, or name another place" if error.errno in FORBIDDEN else ""
        return FAILED, f"{error.filename}: {error.strerror}{cure}"
    return FAILED, f"{type(error).__name__}: {text} (this is our fault; --debug shows where)"


def _usage(error: Any) -> str:
    """One line: the command, what is wrong, the nearest name, where to read more."""
    command = error.ctx.command_path if error.ctx is not None else "hunter"
    said = (error.message if getattr(error, "possibilities", None) else error.format_message()).rstrip(".")
    near = ", ".join(sorted(getattr(error, "possibilities", None) or ()))
    hint = f" (did you mean {near}?)" if near else ""
    subject = f"{command}: " if command != "hunter" else ""
    return f"{subject}{said[0].lower()}{said[1:]}{hint}; `{command} --help` says more"


if __name__ == "__main__":
    main()
