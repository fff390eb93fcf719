"""Settings: ``hunter.toml``, the environment over it, the command line over both.

Each table belongs to a frozen dataclass in the file that uses it; this file knows where they live, reads
what a person wrote, and answers a mistake in one line that names the place, the rule and the nearest name.
Light commands load the light tables only, so that they import no science.
"""

import dataclasses
import difflib
import functools
import hashlib
import importlib
import inspect
import json
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

FILE = "hunter.toml"
PREFIX = "HUNTER_"


class SettingsError(Exception):
    """One or more settings are wrong; one line each."""


@dataclass(frozen=True, slots=True)
class PathSettings:
    """The [paths] table."""

    home: str = "."  # folder of the hunt, relative to the folder of hunter.toml


@dataclass(frozen=True, slots=True)
class StateSettings:
    """The [state] table."""

    url: str = ""  # SQLAlchemy URL of the database; empty is <home>/state/hunter.sqlite
    synchronous: Literal["FULL", "NORMAL"] = "FULL"  # SQLite: NORMAL may lose the last commits when the power fails


@dataclass(frozen=True, slots=True)
class HuntSettings:
    """The [hunt] table."""

    combine: Literal["all", "sector"] = "all"  # one target of all its sectors, or one of each sector
    threshold: Annotated[float, Ge(0), Le(1)] = 0.85  # calibrated probability from which a signal is a candidate


@dataclass(frozen=True, slots=True)
class ScoreSettings:
    """The [score] table."""

    checkpoint: str = ""  # folder of a trained model; empty is the promoted or the shipped one, "none" scores nothing
    prior: Annotated[float, Ge(0), Le(1)] = 0.0  # share of planets among scored signals; 0 is the model card's own


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """The [compute] table."""

    backend: Literal["auto", "numpy", "numba", "jax"] = "auto"  # auto: jax where a GPU is seen, numba elsewhere
    workers: Annotated[int, Ge(0)] = 0  # processes; 0 is one for each core
    batch: Annotated[int, Ge(1), Le(1024)] = 16  # targets claimed and stored together


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The [engine] table."""

    heartbeat_seconds: Annotated[float, Gt(0)] = 10.0  # a worker says so often that it lives
    lease_seconds: Annotated[float, Gt(0)] = 30.0  # a worker silent for longer loses its targets
    phase_limit_seconds: Annotated[float, Gt(0)] = 900.0  # a worker longer than this in one phase is killed
    drain_seconds: Annotated[float, Gt(0)] = 60.0  # time to end the batch in flight when asked to stop
    max_deaths: Annotated[int, Ge(1)] = 5  # a target that kills its worker so often in one phase is quarantined
    free_disk_mb: Annotated[float, Ge(0)] = 500.0  # the hunt stops before the disk has less left than this
    idle_seconds: Annotated[float, Ge(0)] = 60.0  # a worker that finds nothing to do for so long ends
    defer_hours: tuple[Annotated[float, Ge(0)], ...] = (
        1.0,
        6.0,
        24.0,
    )  # waits of a target whose files are not to be had
    outage_hours: Annotated[float, Ge(0)] = 1.0  # a bounded night waits so long while nothing can be fetched


# table: where its dataclass lives
LIGHT = {
    "paths": "hunter.settings:PathSettings",
    "state": "hunter.settings:StateSettings",
    "hunt": "hunter.settings:HuntSettings",
    "score": "hunter.settings:ScoreSettings",
    "compute": "hunter.settings:ComputeSettings",
    "engine": "hunter.settings:EngineSettings",
    "models": "models.gates:GateSettings",
    "health": "hunter.health:HealthSettings",
    "notify": "hunter.notify.settings:NotifySettings",
    "zenodo": "candidates.bundle:ZenodoSettings",
    "network": "hunter.network.settings:NetworkSettings",
}
TABLES = LIGHT | {
    "archive": "hunter.archives.settings:ArchiveSettings",
    "watch": "hunter.archives.settings:WatchSettings",
    "field": "hunter.archives.settings:FieldSettings",
    "files": "hunter.network.settings:FilesSettings",
    "device": "hunter.device:DeviceSettings",
    "clean": "pipeline.clean:CleanSettings",
    "detrend": "pipeline.clean:DetrendSettings",
    "search": "pipeline.search:SearchSettings",
    "fold": "pipeline.fold:FoldSettings",
    "vet": "pipeline.vet:VetSettings",
    "pixels": "pipeline.pixels.settings:PixelSettings",
    "fit": "pipeline.fit.settings:FitSettings",
    "validate": "pipeline.validation.case:ValidateSettings",
    "known": "hunter.known:KnownSettings",
    "drift": "models.drift:DriftSettings",
    "logs": "hunter.logs:LogSettings",
    "metrics": "hunter.metrics:MetricsSettings",
    "daemon": "hunter.schedule:DaemonSettings",
}
# what decides a target's result, beside its files: another value asks for another hunt
DECISIVE = (
    "hunt", "archive", "clean", "detrend", "search", "search.confirm", "fold", "vet", "pixels", "score", "fit",
    "validate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings in force, the home they belong to, and the file they came from."""

    home: Path
    file: Path | None
    tables: Mapping[str, Any] = field(repr=False)

    def __getattr__(self, name: str) -> Any:
        if name not in TABLES or name not in self.tables:
            raise AttributeError(name)
        return self.tables[name]

    @property
    def database(self) -> str:
        return self.state.url or str(self.home / "state" / "hunter.sqlite")

    def changed(self, home: Path | None = None, **tables: Any) -> "Settings":
        """The same settings with another home, or other tables in place of those named."""
        return dataclasses.replace(self, home=home or self.home, tables={**self.tables, **tables})

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Every value in force, table by table, without secrets: a database URL may hold a password."""
        shown = {name: dataclasses.asdict(table) for name, table in self.tables.items() if name != "paths"}
        if "state" in shown:
            shown["state"]["url"] = re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", shown["state"]["url"])
        for name in shown:
            for item in dataclasses.fields(self.tables[name]):
                if item.metadata.get("secret") and shown[name][item.name]:
                    shown[name][item.name] = "***"
        return shown

    def digest(self, *names: str) -> str:
        """A short name for the values of the given tables.

        A field whose metadata names a phase is read by that phase alone: ``search.confirm`` takes in those of [search]
        that say "confirm", ``search`` all others, so that a new second opinion does not search again.
        """
        values: dict[str, dict[str, Any]] = {}
        for name in names:
            table, _, phase = name.partition(".")
            known = dataclasses.asdict(self.tables[table])
            own = [
                item.name for item in dataclasses.fields(self.tables[table]) if item.metadata.get("phase", "") == phase
            ]
            values[name] = {key: known[key] for key in own}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def find_home(home: str | None) -> tuple[Path, Path | None]:
    """The home asked for, and its settings file if there is one.

    ``--home`` wins, then ``HUNTER_HOME``, then the nearest folder upwards that holds ``hunter.toml``.
    """
    asked = home or os.environ.get("HUNTER_HOME")
    if asked:
        folder = Path(asked).expanduser().absolute()
        return folder, folder / FILE if (folder / FILE).is_file() else None
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / FILE).is_file():
            return folder, folder / FILE
    raise SettingsError("no hunt here: give --home DIR, set HUNTER_HOME, or make one with `hunter init`")


def load(home: str | None = None, overrides: Mapping[str, Any] | None = None, *, light: bool = False) -> Settings:
    """Read and check the settings in force.

    Parameters
    ----------
    home : str, optional
        As given on the command line.
    overrides : mapping of "table.key" to value, optional
        From the command line; ``None`` values are not given.
    light : bool
        Check every name, but build only the tables that light commands need.

    Raises
    ------
    SettingsError
        With one line for each mistake.
    """
    folder, file = find_home(home)
    text, written = _read(file)
    wanted = LIGHT if light else TABLES
    mistakes: list[str] = []
    for table in written:
        if table not in TABLES:
            mistakes.append(f"{_place(file, text, table)}unknown table [{table}]{_nearest(table, TABLES)}")
    environment = _environment(mistakes)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    tables: dict[str, Any] = {}
    for table, where in wanted.items():
        module, _, name = where.partition(":")
        values: dict[str, tuple[Any, str]] = {}  # key: (value, where it was written)
        section = written.get(table, {})
        if not isinstance(section, dict):
            mistakes.append(f"{_place(file, text, table)}[{table}] is a table, not a value")
            section = {}
        for key, value in section.items():
            values[key] = (value, f"{_place(file, text, table, key)}[{table}]")
        for (its_table, key), (value, variable) in environment.items():
            if its_table == table:
                values[key] = (value, f"{variable}: [{table}]")
        for option, value in given.items():
            if option.partition(".")[0] == table:
                values[option.partition(".")[2]] = (value, f"command line: [{table}]")
        tables[table] = _build(getattr(importlib.import_module(module), name), values, mistakes)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    # a relative path in hunter.toml starts at the folder of that file, wherever the command is given
    if "archive" in tables and tables["archive"].source not in ("", "mast", "s3"):
        source = folder / Path(tables["archive"].source).expanduser()
        tables["archive"] = dataclasses.replace(tables["archive"], source=str(source))
    if "watch" in tables and tables["watch"].favourites:
        favourites = folder / Path(tables["watch"].favourites).expanduser()
        tables["watch"] = dataclasses.replace(tables["watch"], favourites=str(favourites))
    if "known" in tables and tables["known"].tables:
        own = tuple(str(folder / Path(name).expanduser()) for name in tables["known"].tables)
        tables["known"] = dataclasses.replace(tables["known"], tables=own)
    if "validate" in tables:
        given_files = {name: getattr(tables["validate"], name) for name in ("population", "contrast")}
        own_files = {name: str(folder / Path(value).expanduser()) for name, value in given_files.items() if value}
        tables["validate"] = dataclasses.replace(tables["validate"], **own_files)
    inside = Path(tables["paths"].home).expanduser()
    return Settings((folder / inside).resolve(), file, tables)


def _read(file: Path | None) -> tuple[str, dict[str, Any]]:
    if file is None:
        return "", {}
    try:
        text = file.read_text()
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}") from None


def _place(file: Path | None, text: str, table: str, key: str | None = None) -> str:
    """``hunter.toml:12: `` for a table or a key in it; tomllib keeps no line numbers."""
    if file is None:
        return ""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*[\"']?([^\]\"']+?)[\"']?\s*\]+", line)
        if header:
            inside = header.group(1) == table
            if inside and key is None:
                return f"{file.name}:{number}: "
        dotted = re.match(r"\s*[\"']?([^=\"'#]+?)[\"']?\s*=", line)
        if dotted and ((inside and dotted.group(1) == key) or dotted.group(1) in (f"{table}.{key}", table)):
            return f"{file.name}:{number}: "
    return f"{file.name}: "


def _nearest(name: str, names: Any) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(sorted(names))})"


def _environment(mistakes: list[str]) -> dict[tuple[str, str], tuple[Any, str]]:
    """``HUNTER_SEARCH__SNR=8`` sets ``[search] snr``; the value is read as TOML, or else taken as text."""
    found: dict[tuple[str, str], tuple[Any, str]] = {}
    for variable, value in sorted(os.environ.items()):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        table, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if table not in TABLES:
            mistakes.append(f"{variable}: unknown table [{table}]{_nearest(table, TABLES)}")
            continue
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        found[table, key] = (parsed, variable)
    return found


def _build(cls: type, values: Mapping[str, tuple[Any, str]], mistakes: list[str]) -> Any:
    if not values:
        return cls()  # nothing to check, and a check costs milliseconds
    from pydantic import ValidationError

    names = {item.name: item for item in dataclasses.fields(cls)}
    good: dict[str, Any] = {}
    for key, (value, where) in values.items():
        if key not in names:
            mistakes.append(f"{where} unknown key {key!r}{_nearest(key, names)}")
        elif isinstance(value, float) and not math.isfinite(value):
            mistakes.append(f"{where} {key} = {value}: must be a finite number")
        else:
            good[key] = value
    try:
        # JSON mode is strict about text and numbers, and takes a list for a tuple
        return _checker(cls).validate_json(json.dumps(good, default=str), strict=True)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            key = str(problem["loc"][0]) if problem["loc"] else ""
            where = values[key][1] if key in values else f"[{cls.__name__}]"
            default = names[key].default if key in names else None
            said = problem["msg"][0].lower() + problem["msg"][1:]
            if not key:  # raised by the dataclass itself, of several values: its words name them
                place = next((where for _, where in values.values()), where)
                mistakes.append(f"{place} {problem['msg'].removeprefix('Value error, ')}")
                continue
            if key in names and names[key].metadata.get("secret"):
                problem["input"] = "***"
            mistakes.append(
                f"{where} {key} = {json.dumps(problem['input'], default=str)}: {said} (default {default!r})"
            )
    except ValueError as error:  # raised by the dataclass itself, where two values contradict each other
        mistakes.append(f"{next((where for _, where in values.values()), '')} {error}")
    return None


@functools.cache
def _checker(cls: type) -> Any:
    """What checks a table's values: a test, a daemon and a page read them more than once, and it takes milliseconds."""
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def overrides(**options: Any) -> dict[str, Any]:
    """``search__snr=8`` as ``{"search.snr": 8}``: the command line's way to name a setting."""
    return {name.replace("__", ".", 1): value for name, value in options.items() if value is not None}


def known_keys() -> Sequence[tuple[str, str, Any]]:
    """Every setting there is: table, key, default."""
    found = []
    for table, where in TABLES.items():
        module, _, name = where.partition(":")
        for item in dataclasses.fields(getattr(importlib.import_module(module), name)):
            found.append((table, item.name, item.default))
    return found


def template(home: str = ".") -> str:
    """A ``hunter.toml`` that documents every setting: the default as a comment, its unit and meaning beside it.

    The meanings are the comments that stand beside the fields in the code: there is no second list to go stale.
    """
    lines = [
        "# The settings of a hunt. Every line that starts with '#' shows a default; take the '#' away to change it.",
        "# The environment overrides this file (HUNTER_SEARCH__SNR=8 is [search] snr), the command line both.",
    ]
    for table, where in TABLES.items():
        module, _, name = where.partition(":")
        cls = getattr(importlib.import_module(module), name)
        meanings = _meanings(cls)
        lines += ["", f"[{table}]"]
        for item in dataclasses.fields(cls):
            default = home if (table, item.name) == ("paths", "home") else item.default
            shown = "" if default is None else _as_toml(default)  # unset: the comment says what follows
            mark = "" if (table, item.name) == ("paths", "home") else "# "
            line, note = f"{mark}{item.name} = {shown}", meanings.get(item.name, "")
            lines += [f"{line}  # {note}"] if len(line) + len(note) < 116 else [f"# {note}:", line]
    return "\n".join(lines) + "\n"


def _as_toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_toml(part) for part in value) + "]"
    return json.dumps(value)


def _meanings(cls: type) -> dict[str, str]:
    """The comment beside each field, and the whole comment lines right above or below it where it needed more."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(cls).splitlines():
        comment = re.match(r"\s+#\s*(.*)", line)
        declared = re.match(r"\s+(\w+)\s*:\s*[^#]*?(?:#\s*(.*))?$", line)
        if comment:
            above.append(comment.group(1))
        elif declared:
            found[declared.group(1)] = " ".join([*above, declared.group(2) or ""]).strip()
            above = []
        else:
            above = []
    return found
