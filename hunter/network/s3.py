"""The open TESS bucket of S3, read without an account.

Its objects are plain HTTPS addresses, so that they are fetched through the same door and the same downloader as those
of MAST: one breaker, one Retry-After, one rule for resuming a file, one set of checks. s3fs and botocore would bring
connections, retries and time limits of their own, which none of that could reach, and send a HEAD for every file.

Where an object lies follows from the name of the file (bucket ``stpubdata``, measured in the archive's own notebooks);
nothing is looked up. High-level products are not promised there: for them, and for whatever the bucket lacks, the next
address of a file is MAST's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote
from xml.etree import ElementTree

from hunter.network.door import Door
from hunter.network.errors import ArchiveUnavailable, shown

BUCKET = "stpubdata"
NAME = re.compile(r"tess\d{13}-s(\d{4})-(\d{4})(\d{4})(\d{4})(\d{4})-\d{4}-(?:s_|a_fast-)(?:lc|tp)\.fits", re.ASCII)
URI = re.compile(r"mast:TESS/product/(.+)", re.I)
MOST_PAGES = 10_000  # of 1000 objects; a listing that goes on is no sector


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of a listing."""

    key: str
    size: int  # bytes
    etag: str


def key_of(uri: str) -> str | None:
    """The key of a product's file: ``tess/public/tid/s0001/0000/0000/2786/6011/<file>``; None where it has none.

    Parameters
    ----------
    uri : str
        ``mast:TESS/product/<file>`` of a two-minute or 20-second target, light curve or pixels.
    """
    product = URI.fullmatch(uri)
    found = NAME.fullmatch(product.group(1)) if product else None
    if found is None:
        return None
    sector, *tic = found.groups()
    return f"tess/public/tid/s{sector}/{'/'.join(tic)}/{found.group(0)}"


def url_of(endpoint: str, uri: str, bucket: str = BUCKET) -> str | None:
    """The address of a product's file in the bucket; None where it has none.

    ``endpoint`` is the host: ``https://s3.us-east-1.amazonaws.com``.
    """
    key = key_of(uri)
    return None if key is None else f"{endpoint.rstrip('/')}/{bucket}/{quote(key)}"


def prefix_of(sector: int) -> str:
    """What the keys of a sector's targets begin with."""
    return f"tess/public/tid/s{sector:04d}/"


def listing(door: Door, endpoint: str, prefix: str, bucket: str = BUCKET) -> Iterator[Stored]:
    """Yield every object whose key begins with ``prefix``, page by page (ListObjectsV2).

    Raises
    ------
    ArchiveUnavailable
        If a page could not be had, or is no listing; what was yielded before is then not the whole.
    """
    url = f"{endpoint.rstrip('/')}/{bucket}"
    token = ""
    for _ in range(MOST_PAGES):
        asked = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        page = _page(door.ask(url, params=asked).content, url)
        for item in page.iter("Contents"):
            key, size = item.findtext("Key"), item.findtext("Size") or ""
            if not key or not key.startswith(prefix) or not re.fullmatch(r"\d{1,15}", size, re.ASCII):
                raise ArchiveUnavailable(f"{shown(url)}: an object of the listing has no key or no size")
            yield Stored(key, int(size), item.findtext("ETag") or "")
        following = page.findtext("NextContinuationToken") or ""
        if (page.findtext("IsTruncated") or "").strip().lower() != "true":
            return
        if not following or following == token:
            raise ArchiveUnavailable(f"{shown(url)}: the listing says that it goes on, and not where")
        token = following
    raise ArchiveUnavailable(f"{shown(url)}: the listing has no end")


def _page(body: bytes, url: str) -> ElementTree.Element:
    """One page of a listing, its names without their namespace."""
    if b"<!DOCTYPE" in body[:2048].upper() or b"<!ENTITY" in body.upper():
        raise ArchiveUnavailable(f"{shown(url)}: the listing defines entities, as none of S3 does")
    try:
        page = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ArchiveUnavailable(f"{shown(url)}: the listing is no XML ({error})") from None
    for item in page.iter():
        item.tag = item.tag.rpartition("}")[2]
    if page.tag != "ListBucketResult":
        raise ArchiveUnavailable(f"{shown(url)}: {page.tag} where a listing was asked for")
    return page
