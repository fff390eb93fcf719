"""Commands that write what leaves the hunt: the record, tables, ExoFOP's file, a bundle for Zenodo.

Everything is made of the record and the evidence files. Nothing is sent without ``--send``.
"""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hunter import __version__
from hunter.cli.common import (
    AsJson,
    Home,
    HomeUnusable,
    WrongUsage,
    examples,
    give,
    one_of,
    open_record,
    plural,
    say,
    with_reason,
)

export = typer.Typer(name="export", help="Write what leaves the hunt, as files that others read.", no_args_is_help=True)
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where to; - is stdout.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CANDIDATE]...", help="By name; otherwise those whose latest review says planet."),
]

TABLES = {  # format: name of the file
    "csv": "candidates.csv",
    "json": "candidates.json",
    "ecsv": "candidates.ecsv",
    "votable": "candidates.vot",
    "latex": "candidates.tex",
}
ACCEPTED = {"newctoi": ("planet_candidate",), "newparams": ("planet_candidate", "known_planet")}
TOKENS = {False: "ZENODO_SANDBOX_TOKEN", True: "ZENODO_TOKEN"}  # by --production
SOME_REFUSED = 3  # exit code: the others were written


def _write(settings: Any, lines: Any, name: str, out: str | None) -> None:
    if out == "-":
        sys.stdout.writelines(lines)
        return
    path = Path(out).expanduser() if out else settings.home / "exports" / name
    if path.is_dir():
        raise WrongUsage(f"--out {out}: is a folder; name a file in it, or - for stdout")
    _put(path, "".join(lines).encode())
    print(path)


def _put(path: Path, data: bytes) -> None:
    """Write a file whole, or say which other option would do."""
    from candidates.files import write_durably

    try:
        write_durably(path, data)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise HomeUnusable(f"{path} cannot be written ({error.strerror}): name another --out") from None


@export.command("log")
@examples("hunter export log", "hunter export log --out -")
def export_log(home: Home = None, out: Out = None) -> None:
    """Write processed_stars.txt: one line a target with its last stage, status and best period."""
    from candidates.exports import processed_stars

    settings, reader = open_record(home)
    rows = (with_reason(reader, row) for row in reader.processed())
    told = (row | {"error": row["error"] or row.get("because")} for row in rows)
    _write(settings, processed_stars(told), "processed_stars.txt", out)


@export.command("timings")
@examples("hunter export timings")
def export_timings(home: Home = None, out: Out = None) -> None:
    """Write hunter_timings.csv: milliseconds of every stage, a line a target."""
    from candidates.exports import timings

    settings, reader = open_record(home)
    rows = ({**row, "ms": row["milliseconds"]} for row in reader.timings())
    _write(settings, timings(rows), "hunter_timings.csv", out)


@export.command("table")
@examples(
    "hunter export table",
    "hunter export table --json --out -",
    "hunter export table --format votable",
    "hunter export table TIC_261136679_p6.267890 --format latex --journal mnras",
)
def export_table(
    names: Annotated[list[str] | None, typer.Argument(metavar="[CANDIDATE]...", help="By name; otherwise all.")] = None,
    home: Home = None,
    form: Annotated[str, typer.Option("--format", metavar="WORD", help="csv, json, ecsv, votable or latex.")] = "csv",
    journal: Annotated[
        str, typer.Option("--journal", metavar="WORD", help="For latex: aastex, mnras or aa.")
    ] = "aastex",
    out: Out = None,
    json: AsJson = False,
) -> None:
    """Write the candidates as a table: one line each, with ephemeris, score, review, and what a fit found.

    csv and json keep the search's values and the fit's side by side, as fit_.. with errors on either side. The other
    formats show each value at its best, the fit's where it converged. ecsv and votable carry units, descriptions and
    UCDs; latex is a macro for each value and a table made of them, for AASTeX, MNRAS or A&A.
    """
    from candidates.exports import table, table_json
    from candidates.latex import JOURNALS
    from candidates.rows import complete
    from candidates.tables import fit_cells

    form = "json" if json else one_of("--format", form, TABLES)
    one_of("--journal", journal, JOURNALS)
    settings, reader = open_record(home)
    records = _named(reader.candidates(), names)
    folder = settings.home / "candidates"
    if form in ("csv", "json"):
        rows = complete(folder, records, fit_cells)
        _write(settings, [table_json(rows)] if form == "json" else table(rows), TABLES[form], out)
        return
    documents = _documents(folder, records)
    if form == "latex":
        from candidates import latex

        text = latex.table(documents, journal, __version__)
    else:
        text = _rich_table(documents, records, form).decode()
    _write(settings, [text], TABLES[form], out)


def _rich_table(documents: Sequence[Any], records: Sequence[Mapping[str, Any]], form: str) -> bytes:
    from candidates import tables

    reviews = {row["name"]: row["decision"] for row in records}
    rows = [tables.cells(document, reviews[document["name"]]) for document in documents]
    return tables.write(rows, form, f"transit-hunter {__version__}")


def _named(records: Sequence[dict[str, Any]], names: Sequence[str] | None) -> list[dict[str, Any]]:
    """The records of these names, in their order; all of them without names."""
    if not names:
        return list(records)
    known = {row["name"]: row for row in records}
    for name in names:
        if name not in known:
            raise WrongUsage(f"{name} is no candidate of this hunt: `hunter candidates` lists them")
    return [known[name] for name in dict.fromkeys(names)]


def _chosen(records: Sequence[dict[str, Any]], names: Sequence[str] | None, decisions: Sequence[str]) -> Any:
    """Those named; otherwise those whose latest review accepted them."""
    if names:
        return _named(records, names)
    found = [row for row in records if row["decision"] in decisions]
    if not found:
        raise WrongUsage(
            f"no candidate was reviewed as {' or '.join(word.replace('_', ' ') for word in decisions)}: "
            "`hunter review NAME --decision pc --reason 'why'` does it, or give names"
        )
    return found


def _documents(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The evidence of each, which must be there: a table without it would be another table."""
    from candidates.reading import BadEvidence, read

    found = []
    for row in records:
        try:
            found.append(read(folder / f"{row['name']}.json"))
        except (BadEvidence, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "damaged"
            raise HomeUnusable(
                f"{row['name']}.json cannot be read ({why}): `hunter retry {row['name']}` makes it again"
            ) from None
    return found


# ---------------------------------------------------------------------------------------------------------- ExoFOP


@export.command("exofop")
@examples(
    "hunter export exofop --username jdoe --paper https://doi.org/10.3847/1538-3881/abcdef",
    "hunter export exofop TIC_261136679_p6.267890 --flag newparams --username jdoe",
    "hunter export exofop --check params_planet_20261122_001.txt",
)
def export_exofop(
    names: Names = None,
    home: Home = None,
    flag: Annotated[
        str, typer.Option(metavar="WORD", help="newctoi; or newparams, for what is a TOI or CTOI already.")
    ] = "newctoi",
    disp: Annotated[str, typer.Option(metavar="WORD", help="PC, CP or FP.")] = "PC",
    paper: Annotated[str, typer.Option(metavar="URL", help="The published paper; a new CTOI needs one.")] = "",
    username: Annotated[str, typer.Option(metavar="NAME", help="Yours at ExoFOP, for the tag.")] = "",
    tag_description: Annotated[
        str, typer.Option("--tag-description", metavar="WORD", help="What the tag calls the upload.")
    ] = "transit-hunter",
    group: Annotated[str, typer.Option(metavar="NAME", help="Your group at ExoFOP, if there is one.")] = "",
    template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ExoFOP's own params_planet template, whose columns are used.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only hold this file to the rules; exit 1 if it breaks one.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the file; - prints it.")] = None,
    json: AsJson = False,
) -> None:
    """Write ExoFOP's planet-parameter file, checked against its rules; a person uploads it, never this program.

    A line for each candidate that is one: refused, with the reason, are those whose verdict is no planet candidate,
    whose dip is off target, which are TOIs or CTOIs already, of which catalogues say nothing because none is at hand,
    and new CTOIs without a published paper. Exit 3 if some were refused, 1 if all were.
    """
    from candidates import exofop

    columns = exofop.COLUMNS
    if template is not None:
        try:
            columns = exofop.columns_of(_text(template, "--template"))
        except exofop.BadTemplate as error:
            raise WrongUsage(f"--template {template}: {error}") from None
    if check is not None:
        _check(check, columns, json)
        return
    ask = exofop.Ask(
        one_of("--flag", flag, exofop.FLAGS), one_of("--disp", disp, exofop.DISPOSITIONS), paper, username,
        tag_description, group, datetime.now(UTC).date(), __version__,
    )  # fmt: skip
    if not username:
        raise WrongUsage("--username is missing: the tag of every line holds your name at ExoFOP")
    settings, reader = open_record(home)
    folder = settings.home / "exports" if out in (None, "-") else Path(out or "").expanduser()
    number = next((n for n in range(1, 1000) if not (folder / exofop.file_name(ask.day, n)).exists()), None)
    if number is None:
        raise WrongUsage(f"{folder} holds 999 files of this day: name another --out")
    try:
        tag = exofop.tag_of(ask, number)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    records = _chosen(reader.candidates(), names, ACCEPTED[flag])
    rows: list[dict[str, str]] = []
    refused: dict[str, list[str]] = {}
    stale: set[str] = set()
    for row, document in zip(records, _documents(settings.home / "candidates", records), strict=True):
        newer = _listed_today(settings, document)
        reasons = exofop.refusals(document, ask, row["decision"], newer)
        if reasons:
            refused[row["name"]] = reasons
            continue
        taken = [line["target"] for line in rows]
        rows.append(exofop.row_of(document, ask, exofop.target_of(document, ask, newer, taken), tag))
        stale |= {table["source"] for table in document["known"]["catalogues"] if table["stale"]}
    for name, reasons in refused.items():
        for reason in reasons:
            say(f"{name}: refused: {reason}")
    path = None
    todo: list[str] = []
    if rows:
        name = exofop.file_name(ask.day, number)
        origin = None if template is None else template.name
        text = exofop.file_text(rows, ask, columns, origin)
        broken = exofop.check(text.encode(), name, columns)
        if broken:
            raise HomeUnusable(f"{name} would break a rule ({broken[0]}): nothing was written")
        todo = exofop.checklist(name, rows, ask, origin, sorted(stale & set(exofop.OBJECTS)))
        if out != "-":
            path = folder / name
            _put(path, text.encode())
        elif not json:
            sys.stdout.write(text)
    if json:
        told = {"file": None if path is None else str(path), "rows": rows, "refused": refused, "checklist": todo}
        give(told)
    else:
        if path is not None:
            print(path)
        for line in todo:
            say(f"[ ] {line}")
    if refused:
        sys.exit(SOME_REFUSED if rows else 1)


def _text(path: Path, option: str) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise WrongUsage(f"{option} {path}: cannot be read ({error.strerror})") from None


def _check(path: Path, columns: Sequence[str], json: bool) -> None:
    """Print what a file breaks, a line each."""
    from candidates import exofop

    try:
        data = path.read_bytes()
    except OSError as error:
        raise WrongUsage(f"--check {path}: cannot be read ({error.strerror})") from None
    broken = exofop.check(data, path.name, columns)
    if json:
        give([{"line": one.line, "column": one.column, "rule": one.rule, "cure": one.cure} for one in broken])
    else:
        for one in broken:
            print(f"{path}: {one}")
        say(f"{plural(len(broken), 'violation')}" if broken else f"{path}: keeps every rule we know")
    if broken:
        sys.exit(1)


def _listed_today(settings: Any, document: Any) -> list[Any]:
    """The TOIs and CTOIs near the star by the copies at hand now: the evidence may be older."""
    from candidates import exofop

    folder = settings.home / "cache" / "catalogues"
    tic, star = exofop.tic_of(document), document["target"]["star"]
    if tic is None or not folder.is_dir():
        return []
    from hunter.catalogues import catalogues_of
    from pipeline.matching import angle

    catalogues, place = catalogues_of(settings.home), (star["ra"], star["dec"])
    rows = catalogues.known(tic)
    if None not in place:
        rows += [row for row in catalogues.near(*place, exofop.NEAR / 3600.0) if row.tic != tic]

    def away(row: Any) -> float | None:
        return None if None in (*place, row.ra, row.dec) else float(angle(*place, row.ra, row.dec))

    return [
        exofop.Listed(row.name, row.tic == tic, away(row), row.period) for row in rows if row.source in exofop.OBJECTS
    ]


# ---------------------------------------------------------------------------------------------------------- Zenodo


@export.command("zenodo")
@examples(
    "hunter export zenodo --creator 'Doe, Jane; Some Observatory; 0000-0002-1825-0097'",
    "hunter export zenodo --send",
    "hunter export zenodo --send --production --publish",
)
def export_zenodo(
    names: Names = None,
    home: Home = None,
    creator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="'Family, Given; affiliation; ORCID', once for each; else [zenodo] creators."
        ),
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Of the deposit; ours otherwise.")] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="Of the deposit; ours otherwise.")] = "",
    send: Annotated[
        bool, typer.Option("--send", help="Send the bundle as a draft; without it nothing leaves.")
    ] = False,
    production: Annotated[
        bool, typer.Option("--production", help="To the real Zenodo; the sandbox otherwise.")
    ] = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Publish what was sent, for good: a record is never taken back.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Write a bundle of evidence, pages, sheets, tables and checksums for Zenodo; send it only if told to.

    The bundle lies in exports/ under the name of its content; what would be sent is printed. With --send it becomes a
    draft at the sandbox, or with --production at zenodo.org; the token is taken from ZENODO_SANDBOX_TOKEN or
    ZENODO_TOKEN and written nowhere. Interrupted and called again it goes on with the draft that was begun.
    """
    from candidates import bundle as bundles
    from candidates.quantities import simulated

    if (production or publish) and not send:
        raise WrongUsage(f"{'--production' if production else '--publish'} needs --send: without it nothing leaves")
    token = _token(TOKENS[production]) if send else ""
    settings, reader = open_record(home)
    records = _chosen(reader.candidates(), names, ACCEPTED["newctoi"])
    folder = settings.home / "candidates"
    documents = _documents(folder, records)
    if production and any(map(simulated, documents)):
        raise WrongUsage("--production: the light curves are simulated, and only the sandbox takes those")
    try:
        creators = [bundles.creator(text) for text in creator or settings.zenodo.creators]
        contents = _contents(folder, records, documents)
        key = bundles.key_of(contents)
        day = datetime.now(UTC).date()
        described = bundles.metadata(
            documents, key, creators, settings.zenodo, __version__, day, title=title, description=description
        )
    except bundles.BundleRefused as error:
        raise WrongUsage(str(error)) from None
    bundle = bundles.write(settings.home / "exports", contents, described, key)
    url = settings.zenodo.url if production else settings.zenodo.sandbox_url
    told: dict[str, Any] = {
        "folder": str(bundle.folder),
        "files": [{"name": path.name, "bytes": path.stat().st_size} for path in bundle.files],
        "metadata": dict(described),
        "to": url,
        "sent": None,
    }
    if send:
        told["sent"] = _send(settings, bundle, url, token, publish)
    if json:
        give(told)
        return
    print(bundle.folder)
    if not send:
        say(f"dry run: nothing was sent. With --send a draft would be made at {url}:")
        say(f"  title    {described['title']}")
        say(f"  authors  {'; '.join(one['name'] for one in described['creators'])}")
        say(f"  licence  {described['license']}")
        for file in told["files"]:
            say(f"  file     {file['name']}, {file['bytes']:,} bytes")
        say("the evidence names data files as this machine calls them: look whether that may be public")
        return
    sent = told["sent"]
    state = "published" if sent["published"] else "a draft that only you see; --publish publishes it for good"
    say(f"{sent['page']}: {state}" + (f"; DOI {sent['doi']}" if sent["doi"] else ""))


def _contents(folder: Path, records: Sequence[Mapping[str, Any]], documents: Sequence[Any]) -> dict[str, bytes | Path]:
    """Everything in the bundle, by name; a candidate's file that is not the recorded one is refused."""
    from candidates import bundle, latex
    from candidates.exports import table
    from candidates.publish import KINDS
    from candidates.reading import SCHEMA_FILE
    from candidates.rows import complete
    from candidates.tables import fit_cells
    from hunter.pages import verify_files

    problems, _ = verify_files(folder, records)
    if problems:
        raise bundle.BundleRefused(problems[0])
    contents: dict[str, bytes | Path] = {}
    for row in records:
        for kind in KINDS:
            if row[f"{kind}_file"]:
                contents[f"candidates/{row[f'{kind}_file']}"] = folder / row[f"{kind}_file"]
    contents["candidates/schema.json"] = SCHEMA_FILE
    contents[f"tables/{bundle.TABLE}"] = "".join(table(complete(folder, records, fit_cells))).encode()
    contents["tables/candidates.ecsv"] = _rich_table(documents, records, "ecsv")
    contents["tables/candidates.vot"] = _rich_table(documents, records, "votable")
    contents["tables/candidates.tex"] = latex.table(documents, "aastex", __version__).encode()
    contents["README.txt"] = bundle.read_me(documents, __version__).encode()
    return contents


def _token(variable: str) -> str:
    """The token, from the environment alone: asked for before anything is written."""
    token = os.environ.get(variable, "").strip()
    if not token:
        raise WrongUsage(f"{variable} is not set: put a token with deposit:write and deposit:actions into it")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise WrongUsage(f"{variable} holds what is no token: one word of plain characters")
    return token


def _send(settings: Any, bundle: Any, url: str, token: str, publish: bool) -> dict[str, Any]:
    import dataclasses

    from hunter.network.door import Door
    from hunter.zenodo import Zenodo

    door = Door(settings.network)
    try:
        return dataclasses.asdict(Zenodo(door, url, token).send(bundle, publish, say))
    finally:
        door.close()
