"""Plain pages of the archive: bulk scripts, lists of targets, keys and listings of S3, page of an error."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from hunter.replica.catalogue import Entry, File

DOWNLOAD = "https://mast.stsci.edu/api/v0.1/Download/file/?uri="
KINDS = {
    "lc": ("SPOC", "LC"),
    "fast-lc": ("SPOC", "FAST-LC"),
    "tp": ("SPOC", "TP"),
    "fast-tp": ("SPOC", "FAST-TP"),
    "hlsp-lc": ("TESS-SPOC", "LC"),
}


def script(entries: Sequence[Entry], kind: str) -> bytes | None:
    """A bulk download script as MAST writes it, a line a file, the host always MAST's own; None without a file."""
    provenance, subgroup = KINDS[kind]
    names = sorted(
        (file.name, file.uri)
        for entry in entries
        if entry.provenance == provenance and entry.source is not None
        for file in entry.files
        if file.subgroup == subgroup
    )
    if not names:
        return None
    return b"#!/bin/sh\n" + "".join(f"curl -C - -L -o {name} {DOWNLOAD}{uri}\n" for name, uri in names).encode()


def target_list(entries: Sequence[Entry]) -> bytes:
    """The list of targets of a sector as MIT publishes it: tab-separated, TIC number first."""
    lines = ["# TICID\tCamera\tCCD\tTmag\tRA\tDec\n"]
    for tic, entry in sorted({entry.tic: entry for entry in entries if entry.exptime <= 120}.items()):
        star = entry.star
        lines.append(f"{tic}\t4\t2\t{_plain(star.tmag)}\t{_plain(star.ra)}\t{_plain(star.dec)}\n")
    return "".join(lines).encode()


def s3_key(entry: Entry, file: File) -> str | None:
    """The key of a SPOC file in the bucket; None for what the bucket does not hold."""
    if entry.provenance != "SPOC" or entry.source is None:
        return None
    parts = f"{entry.tic:016d}"
    path = "/".join(parts[place : place + 4] for place in range(0, 16, 4))
    return f"tess/public/tid/s{entry.sector:04d}/{path}/{file.name}"


def s3_listing(
    bucket: str, prefix: str, found: Sequence[tuple[str, int]], *, limit: int, after: str, delimiter: str = ""
) -> bytes:
    """A page of a ListObjectsV2 reply; ``found`` holds every (key, size) of the prefix, sorted."""
    items: list[tuple[str, int | None]] = []
    for key, size in found:
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            common = prefix + rest.partition(delimiter)[0] + delimiter
            if not items or items[-1][0] != common:
                items.append((common, None))
        else:
            items.append((key, size))
    items = [item for item in items if item[0] > after]
    page, more = items[:limit], len(items) > limit
    body = "".join(
        f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
        if size is None
        else f"<Contents><Key>{escape(key)}</Key><LastModified>2020-09-13T00:00:00.000Z</LastModified>"
        f"<Size>{size}</Size><StorageClass>INTELLIGENT_TIERING</StorageClass></Contents>"
        for key, size in page
    )
    token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{escape(bucket)}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{body}"
        "</ListBucketResult>"
    ).encode()


def s3_error(key: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        f"<Message>The specified key does not exist.</Message><Key>{escape(key)}</Key></Error>"
    ).encode()


def error_page(status: int, reason: str) -> bytes:
    """What a web server says of itself when it has nothing better."""
    return (
        f"<!DOCTYPE html>\n<html><head><title>{status} {reason}</title></head>"
        f"<body><center><h1>{status} {reason}</h1></center></body></html>\n"
    ).encode()


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"
