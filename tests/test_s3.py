"""The open bucket: keys that follow from names, listings page by page."""

import pytest
from far_archives import SECTOR, answers, files, way_out

from hunter.network.errors import ArchiveUnavailable
from hunter.network.s3 import key_of, listing, prefix_of, url_of
from hunter.replica import Rule, Rules, unavailable
from hunter.replica.pages import s3_key, s3_listing

PLAIN = "mast:TESS/product/tess2018206045859-s0001-0000000278660115-0120-s_lc.fits"


def test_a_key_follows_from_the_name():
    name = PLAIN.rpartition("/")[2]
    assert key_of(PLAIN) == f"tess/public/tid/s0001/0000/0002/7866/0115/{name}"
    assert url_of("https://s3.amazonaws.com/", PLAIN) == f"https://s3.amazonaws.com/stpubdata/{key_of(PLAIN)}"
    for kind in ("s_tp", "a_fast-lc", "a_fast-tp"):
        assert key_of(PLAIN.replace("s_lc", kind)).endswith(f"0120-{kind}.fits")


@pytest.mark.parametrize(
    "uri",
    [
        "", "mast:HLSP/tess-spoc/s0001/target/0000/0000/0000/0001/x_lc.fits", PLAIN.replace("-0120", "/../0120"),
        PLAIN + "\n", PLAIN.replace("s0001", "s00٠1"), PLAIN.replace("mast:", "file:"), PLAIN.replace("_lc", "_dvt"),
    ],
)  # fmt: skip
def test_what_the_bucket_does_not_promise_has_no_key(uri):
    assert key_of(uri) is None
    assert url_of("https://s3.amazonaws.com", uri) is None


def test_keys_are_those_of_the_replica():
    for kind in ("LC", "FAST-LC"):
        assert all(key_of(file.uri) == s3_key(entry, file) for entry, file in files(kind))


def test_a_sector_is_listed(mast, clock):
    found = list(listing(way_out(clock), mast.url, prefix_of(SECTOR)))
    expected = {s3_key(entry, file): file.size for kind in ("LC", "FAST-LC") for entry, file in files(kind)}
    assert {item.key: item.size for item in found} == expected
    assert list(listing(way_out(clock), mast.url, prefix_of(SECTOR + 1))) == []


def pages(count, limit):
    """A listing of so many objects, as the bucket would give it page by page."""
    objects = [(f"{prefix_of(1)}{number:05d}.fits", number) for number in range(count)]
    told, after = [], ""
    while True:
        body = s3_listing("stpubdata", prefix_of(1), objects, limit=limit, after=after)
        told.append(body)
        if b"<NextContinuationToken>" not in body:
            return objects, told
        after = body.partition(b"<NextContinuationToken>")[2].partition(b"<")[0].decode()


def test_a_long_listing_is_put_together_page_by_page(mast, clock):
    objects, told = pages(2500, 1000)
    mast.plan = Rules(*(Rule(answers(200, body), hits=[number]) for number, body in enumerate(told, 1)))
    found = [(item.key, item.size) for item in listing(way_out(clock), mast.url, prefix_of(1))]
    assert found == objects
    assert "continuation-token" not in mast.lines()[0].path
    assert [line.path.count("continuation-token") for line in mast.lines()[1:]] == [1, 1]


def test_a_page_that_fails_for_a_while_is_asked_for_again(mast, clock):
    mast.plan = Rules(Rule(unavailable(), hits=[1]))
    assert list(listing(way_out(clock), mast.url, prefix_of(SECTOR)))


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>'
ENDLESS = b"<ListBucketResult><IsTruncated>true</IsTruncated>%s</ListBucketResult>"
ODD = b"<ListBucketResult><Contents><Key>tess/public/tid/s0007/x</Key><Size>%s</Size></Contents></ListBucketResult>"


@pytest.mark.parametrize(
    "body",
    [
        b"no xml", b"<Error><Code>AccessDenied</Code></Error>", BOMB, ENDLESS % b"",
        ENDLESS % b"<NextContinuationToken>same</NextContinuationToken>", ODD % b"-1", ODD % b"", ODD % b"1e9",
        ODD.replace(b"s0007", b"s0008") % b"1",
    ],
)  # fmt: skip
def test_what_is_no_whole_listing_is_an_archive_that_cannot_be_had(mast, clock, body):
    mast.plan = Rules(Rule(answers(200, body)))
    with pytest.raises(ArchiveUnavailable):
        list(listing(way_out(clock), mast.url, prefix_of(SECTOR)))
