"""Every fault of the archives by name, and plans that inject one once, several times or for ever.

``MATRIX`` lists each with the route it strikes and what is wanted of the hunter:

``retry`` ``wait`` ``slow`` ``missing`` ``defer`` ``resume`` ``restart`` ``quarantine`` ``unknown`` ``split``
``dedup`` ``unusable`` ``sound`` (the file is to be used all the same).
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hunter.replica import Fault, Reply, Request, Rule, Rules, unavailable
from hunter.replica.faults import cut, flipped, html, reset, short, status_page
from hunter.replica.stamps import rows_of, stamp, take_apart, with_rows

FOR_EVER = None


@dataclass(frozen=True)
class Case:
    """A fault, where it strikes, and what is wanted."""

    fault: Fault
    route: str
    wanted: str

    @property
    def name(self) -> str:
        return self.fault.name


def plan(fault: Fault, times: int | None = 1, route: str = "download", of_name: bool = True) -> Rules:
    """A plan that injects a fault into the first requests of a route, for each file by itself; None for all."""
    hits = None if times is None else range(1, times + 1)
    return Rules(Rule(fault, route, hits=hits, of_name=of_name))


# over the wire


def status(code: int) -> Fault:
    return replace(status_page(code), name=f"status {code}")


def redirect(location: str, code: int = 302) -> Fault:
    """To another address; ``{path}`` stands for the path asked for, so that "{path}" alone is a loop."""

    def reply(request: Request, sound: Reply) -> Reply:
        return Reply(code, (("Location", location.replace("{path}", request.path)),))

    return Fault(f"redirect to {location}", reply=reply)


def hang(seconds: float = 3600.0) -> Fault:
    """The request is taken and nothing comes back."""
    return Fault("hang", reply=lambda request, sound: replace(sound, wait=seconds))


def slow_headers(pause: float = 5.0) -> Fault:
    return Fault("slow headers", reply=lambda request, sound: replace(sound, header_pause=pause))


def drip(piece: int = 100, pause: float = 1.0) -> Fault:
    """A few bytes at a time: each read succeeds, and the whole never ends."""
    return Fault("drip", reply=lambda request, sound: replace(sound, piece=piece, pause=pause))


def stall(share: float = 0.5, seconds: float = 3600.0) -> Fault:
    """The body stops in its middle and the connection stays open."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, piece=max(1, int(len(sound.body) * share)), pause=seconds)

    return Fault("stall", reply=reply)


def chunked() -> Fault:
    """No Content-Length: the file is made while it is sent. Nothing is wrong with it."""
    return Fault("chunked", reply=lambda request, sound: replace(sound, framing="chunked"))


def chunked_cut(share: float = 0.5) -> Fault:
    """No Content-Length, and the last chunk never comes."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, framing="chunked", stop_after=int(len(sound.body) * share))

    return Fault("chunked and cut", reply=reply)


def short_without_length(share: float = 0.7) -> Fault:
    """Neither length nor chunks, and the connection ends early in good order."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, framing="close", stop_after=int(len(sound.body) * share))

    return Fault("short without length", reply=reply)


def short_with_own_length(share: float = 0.7) -> Fault:
    """A part of the file, told as if it were the whole."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, body=sound.body[: int(len(sound.body) * share)])

    return Fault("short with its own length", reply=reply)


def over_long(extra: int = 2880) -> Fault:
    """More bytes than the file has, counted in Content-Length."""
    return Fault("over-long", reply=lambda request, sound: replace(sound, body=sound.body + b"\0" * extra))


def wrong_length(by: int) -> Fault:
    """A Content-Length that is off by so many bytes; the body is right."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, length=len(sound.body) + by)

    return Fault(f"length off by {by:+d}", reply=reply)


def gzipped() -> Fault:
    """Content-Encoding gzip with the length of what is sent. Nothing is wrong with it."""

    def reply(request: Request, sound: Reply) -> Reply:
        return replace(sound, body=gzip.compress(sound.body, 1)).with_header("Content-Encoding", "gzip")

    return Fault("gzip", reply=reply)


def ignores_range() -> Fault:
    """200 and the whole file in answer to a range: strikes only where the whole is known, so plan it as a `file`."""

    def reply(request: Request, sound: Reply) -> Reply:
        return Reply(200, sound.with_header("Content-Range", None).headers, sound.body)

    return Fault("200 to a range", reply=reply)


def another_etag() -> Fault:
    """An ETag that was never told before, on the same bytes."""

    def reply(request: Request, sound: Reply) -> Reply:
        return sound.with_header("ETag", f'"other-{request.hit}"')

    return Fault("another ETag", reply=reply)


def without_etag() -> Fault:
    def reply(request: Request, sound: Reply) -> Reply:
        return sound.with_header("ETag", None).with_header("Last-Modified", None)

    return Fault("no ETag", reply=reply)


def range_refused() -> Fault:
    return Fault("416", reply=lambda request, sound: Reply(416, (("Content-Range", "bytes */0"),)))


def empty() -> Fault:
    return Fault("empty", reply=lambda request, sound: replace(sound, body=b""))


# documents of the portal


def portal_error() -> Fault:
    document = {"status": "ERROR", "msg": "Error running query: transport-level error", "data": [], "fields": []}
    return Fault("portal error", document=lambda sound: document)


def executing() -> Fault:
    """Not finished yet: ask again."""
    return Fault("executing", document=lambda sound: {"status": "EXECUTING", "msg": "", "data": [], "fields": []})


def without_keys(*names: str) -> Fault:
    """A document that lacks some of its keys."""

    def document(sound: dict) -> dict:
        return {key: value for key, value in sound.items() if key not in names}

    return Fault(f"without {' and '.join(names)}", document=document)


def invalid_json() -> Fault:
    """A document cut in its middle, with a length of its own."""

    def reply(request: Request, sound: Reply) -> Reply:
        plain = sound.with_header("Content-Encoding", None)
        return replace(plain, body=b'{"status": "COMPLETE", "data": [{"obsid": 6000')

    return Fault("invalid JSON", reply=reply)


def rows_missing(count: int = 1) -> Fault:
    """Fewer rows than the count tells, and no word about it."""

    def document(sound: dict) -> dict:
        if not sound["data"] or "Column1" in sound["data"][0]:
            return sound
        return sound | {"data": sound["data"][:-count]}

    return Fault("rows missing", document=document)


def count_wrong(by: int = 5) -> Fault:
    """A count that the rows do not bear out."""

    def document(sound: dict) -> dict:
        if sound["data"] and "Column1" in sound["data"][0]:
            return sound | {"data": [{"Column1": sound["data"][0]["Column1"] + by}]}
        return sound

    return Fault("count wrong", document=document)


def no_rows() -> Fault:
    """An empty result where there was one before."""

    def document(sound: dict) -> dict:
        if sound["data"] and "Column1" in sound["data"][0]:
            return sound | {"data": [{"Column1": 0}]}
        nothing = {"rows": 0, "rowsFiltered": 0, "rowsTotal": 0, "pagesFiltered": 1}
        return sound | {"data": [], "paging": sound["paging"] | nothing}

    return Fault("no rows", document=document)


def lying_pages(pages: int = 1) -> Fault:
    """Another number of pages than there are: 1 hides rows, more promises pages that are empty."""

    def document(sound: dict) -> dict:
        return sound | {"paging": sound["paging"] | {"pagesFiltered": pages}}

    return Fault(f"says it has {pages} pages", document=document)


def null_ids(every: int = 3) -> Fault:
    """Rows without target, observation or product number."""

    def row(place: int, sound: dict) -> dict:
        if place % every:
            return sound
        return sound | dict.fromkeys({"target_name", "obs_id", "obsid", "dataURI"} & sound.keys())

    return Fault("null ids", document=_each_row(row))


def duplicates() -> Fault:
    """Every row twice; a count counts them twice too."""

    def document(sound: dict) -> dict:
        if sound["data"] and "Column1" in sound["data"][0]:
            return sound | {"data": [{"Column1": 2 * sound["data"][0]["Column1"]}]}
        paging = sound["paging"]
        doubled = {key: 2 * paging[key] for key in ("rows", "rowsFiltered", "rowsTotal")}
        return sound | {"data": [row for row in sound["data"] for _ in "ab"], "paging": paging | doubled}

    return Fault("duplicates", document=document)


def _each_row(change: Callable[[int, dict], dict]) -> Callable[[dict], dict]:
    def document(sound: dict) -> dict:
        if sound["data"] and "Column1" in sound["data"][0]:
            return sound
        return sound | {"data": [change(place, row) for place, row in enumerate(sound["data"])]}

    return document


# the file itself: these stay as long as the plan says, under the same ETag


def cards(name: str, unit: int | None = None, checksum: bool = True, **values) -> Fault:
    """Other values in header cards; the checksums are made right, so that only the content is wrong."""
    return Fault(name, file=lambda whole: stamp(take_apart(whole), values, only=unit, checksum=checksum))


def table(name: str, change: Callable[[np.ndarray], np.ndarray | None]) -> Fault:
    """Another light curve in a sound file."""

    def file(whole: bytes) -> bytes:
        original = take_apart(whole)
        rows = rows_of(original)
        changed = change(rows)
        return stamp(with_rows(original, rows if changed is None else changed), {})

    return Fault(name, file=file)


def header_cut(at: int = 600) -> Fault:
    return Fault("header cut", file=lambda whole: whole[:at])


def odd_length(extra: int = 100) -> Fault:
    return Fault("odd length", file=lambda whole: whole + b"\0" * extra)


def cut_at_unit(kept: int = 2) -> Fault:
    """The file ends exactly behind a unit: sound FITS, of which only NEXTEND tells that something is gone."""

    def file(whole: bytes) -> bytes:
        return b"".join(unit.header + unit.data for unit in take_apart(whole).units[:kept])

    return Fault("cut at a unit", file=file)


def without_unit(kept: int = 2) -> Fault:
    """A unit is missing, and NEXTEND agrees."""

    def file(whole: bytes) -> bytes:
        fewer = replace(take_apart(whole), units=take_apart(whole).units[:kept])
        return stamp(fewer, {"NEXTEND": kept - 1})

    return Fault("without a unit", file=file)


def wrong_tic(tic: int = 12345) -> Fault:
    return cards("wrong TICID", TICID=tic, OBJECT=f"TIC {tic} simulated")


def wrong_sector(sector: int = 99) -> Fault:
    return cards("wrong SECTOR", SECTOR=sector)


def fast_under_slow_name() -> Fault:
    """A header of 20-s cadence in a file named as one of 120 s."""
    return cards("20 s named 120 s", unit=1, NUM_FRM=10, TIMEDEL=20 / 86400, EXPOSURE=1.0)


def without_columns(*names: str) -> Fault:
    """Columns have other names."""

    def file(whole: bytes) -> bytes:
        original = take_apart(whole)
        unit = original.units[1]
        header = unit.header
        for name in names:
            title = f"'{name:<8}'".encode()
            header = header.replace(title, title.replace(b"'", b"'X", 1)[: len(title) - 1] + b"'")
        units = (original.units[0], replace(unit, header=header), *original.units[2:])
        return stamp(replace(original, units=units), {})

    return Fault(f"without {' and '.join(names)}", file=file)


def fluxes(name: str, value: float) -> Fault:
    """One value in place of every flux."""

    def change(rows: np.ndarray) -> None:
        for column in ("SAP_FLUX", "PDCSAP_FLUX"):
            rows[column] = value

    return table(name, change)


def zero_rows() -> Fault:
    return table("zero rows", lambda rows: rows[:0])


def one_cadence() -> Fault:
    return table("one cadence", lambda rows: rows[5:6])


def all_flagged(bit: int = 128) -> Fault:
    def change(rows: np.ndarray) -> None:
        rows["QUALITY"] |= bit

    return table("all flagged", change)


def no_times() -> Fault:
    def change(rows: np.ndarray) -> None:
        rows["TIME"] = np.nan

    return table("TIME all NaN", change)


def unsorted(seed: int = 1) -> Fault:
    return table("unsorted", lambda rows: np.random.default_rng(seed).permutation(rows))


def repeated() -> Fault:
    """Every cadence twice."""
    return table("repeated", lambda rows: np.repeat(rows, 2))


def holes() -> Fault:
    """TIME is NaN in a tenth of the cadences, which bear no flag."""

    def change(rows: np.ndarray) -> None:
        rows["TIME"][::10] = np.nan
        rows["QUALITY"][::10] = 0

    return table("NaN TIME unflagged", change)


ABSURD = ("-5", "1000000000", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "")


def http_date(seconds: float) -> str:
    """A Retry-After in the words of a date, at a Unix time."""
    from email.utils import formatdate

    return formatdate(seconds, usegmt=True)


HTTP = [
    Case(unavailable(), "download", "retry"),
    Case(unavailable("900"), "download", "wait"),
    Case(unavailable("900", status=429), "download", "wait"),
    *(Case(unavailable(text), "download", "retry") for text in ABSURD),
    *(Case(status(code), "download", "retry") for code in (500, 502, 504)),
    *(Case(status(code), "download", "missing") for code in (404, 410)),
    *(Case(status(code), "download", "defer") for code in (401, 403)),
    Case(redirect("{path}"), "download", "retry"),
    Case(reset(), "download", "retry"),
    Case(html(), "download", "retry"),
    Case(empty(), "download", "retry"),
]
SLOW = [Case(hang(), "download", "retry"), Case(slow_headers(), "download", "retry"),
        Case(drip(), "download", "resume"), Case(stall(), "download", "resume")]  # fmt: skip
BODY = [
    Case(cut(0.5), "download", "resume"),
    Case(short(0.5), "download", "resume"),
    Case(chunked_cut(), "download", "resume"),
    Case(short_without_length(), "download", "resume"),
    Case(short_with_own_length(), "download", "restart"),
    Case(over_long(), "download", "restart"),
    Case(wrong_length(-2880), "download", "restart"),
    Case(wrong_length(2880), "download", "restart"),
    Case(chunked(), "download", "sound"),
    Case(gzipped(), "download", "sound"),
    Case(without_etag(), "download", "sound"),
]
FITS = [
    Case(fault, "download", "quarantine")
    for fault in (flipped(), header_cut(), odd_length(), cut_at_unit(), wrong_tic(), wrong_sector(),
                  fast_under_slow_name())
]  # fmt: skip
CONTENT = [
    Case(fault, "download", "unusable")
    for fault in (
        without_columns("SAP_FLUX", "PDCSAP_FLUX"),
        without_columns("TIME"),
        without_unit(1),
        zero_rows(),
        one_cadence(),
        all_flagged(),
        no_times(),
        fluxes("NaN flux", np.nan),
        fluxes("zero flux", 0.0),
        fluxes("negative flux", -5.0),
        fluxes("infinite flux", np.inf),
        fluxes("constant flux", 100.0),
    )
]
CONTENT += [Case(fault, "download", "sound") for fault in (unsorted(), repeated(), holes())]
PORTAL = [
    *(Case(fault, "invoke", "unknown") for fault in (
        portal_error(), invalid_json(), html(), empty(), executing(), rows_missing(), count_wrong(), lying_pages(7),
        without_keys("data"), without_keys("fields"), without_keys("status"), without_keys("paging"), no_rows(),
        status(504), reset(),
    )),
    Case(null_ids(), "invoke", "dedup"),
    Case(duplicates(), "invoke", "dedup"),
]  # fmt: skip
MATRIX = HTTP + SLOW + BODY + FITS + CONTENT + PORTAL
