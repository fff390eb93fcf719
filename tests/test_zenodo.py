"""A bundle becomes one deposit, through faults and kills, and only by a person's word."""

import hashlib
import json
import zipfile
from datetime import date

import pytest
from zenodo_archive import TOKEN, open_archive

from candidates import bundle as bundles
from candidates.bundle import BundleRefused, Creator, ZenodoSettings, creator, key_of, marker, metadata, write
from hunter.network.door import Door
from hunter.network.errors import ArchiveUnavailable
from hunter.network.settings import NetworkSettings
from hunter.zenodo import DepositFailed, Zenodo

DAY = date(2026, 11, 22)
SIMULATED = {"author": "SIMULATED", "processing": "simulated-1"}
DOCUMENT = {
    "name": "TIC_1_p2.000000",
    "target": {"name": "TIC 1 <&>"},
    "data": {"files": [{"author": "SPOC", "processing": "spoc-5.0"}]},
    "verdict": {"disposition": "planet_candidate"},
}
AUTHOR = Creator("Carberry, Josiah", "Brown University", "0000-0002-1825-0097")  # ORCID's own example


def contents(tmp_path):
    big = tmp_path / "sheet.png"
    big.write_bytes(bytes(range(256)) * 4100)  # more than one piece
    return {
        "candidates/a.json": b"{}\n",
        "candidates/a.png": big,
        "tables/candidates.csv": b"rank,name\n1,a\n",
        "README.txt": bundles.read_me([DOCUMENT], "0.1.0").encode(),
    }


@pytest.fixture
def bundle(tmp_path):
    parts = contents(tmp_path)
    key = key_of(parts)
    return write(tmp_path / "exports", parts, metadata([DOCUMENT], key, [AUTHOR], ZenodoSettings(), "0.1.0", DAY), key)


@pytest.fixture
def archive():
    with open_archive() as running:
        yield running


@pytest.fixture
def client():
    """A client of an archive, whose waits pass at once."""
    doors = []

    def make(archive, token=TOKEN, **network):
        settings = NetworkSettings(**({"attempts": 3, "read_seconds": 0.3} | network))
        doors.append(Door(settings, sleep=lambda seconds: None, draw=lambda: 0.0))
        return Zenodo(doors[-1], archive.url, token)

    yield make
    for door in doors:
        door.close()


def whole(archive, bundle):
    """The one deposit of the archive, which holds exactly the files of the bundle."""
    assert len(archive.deposits) == 1
    number = next(iter(archive.deposits))
    assert archive.held[number] == {path.name: path.read_bytes() for path in bundle.files}
    assert archive.deposits[number]["metadata"] == bundle.metadata
    return number


# ---- the bundle


def test_a_bundle_holds_every_file_with_its_checksum_and_is_the_same_bytes_for_the_same_content(bundle, tmp_path):
    parts = contents(tmp_path)
    archive = next(path for path in bundle.files if path.suffix == ".zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        sums = dict(reversed(line.split("  ")) for line in packed.read("SHA256SUMS").decode().splitlines())
        assert sorted(packed.namelist()) == sorted([*parts, "SHA256SUMS"])
        assert sums == {name: hashlib.sha256(packed.read(name)).hexdigest() for name in parts}
    assert (bundle.folder / "SHA256SUMS").read_text().count("\n") == len(parts)
    again = write(tmp_path / "other", parts, bundle.metadata, key_of(parts))
    assert again.key == bundle.key
    assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in bundle.files]
    assert key_of(parts | {"candidates/a.json": b"[]\n"}) != bundle.key
    assert json.loads((bundle.folder / "metadata.json").read_text()) == bundle.metadata
    assert not list(tmp_path.rglob("*.part"))


def test_the_metadata_is_what_zenodo_asks_for(bundle):
    told = bundle.metadata
    assert {name: told[name] for name in ("upload_type", "access_right", "license", "publication_date")} == {
        "upload_type": "dataset",
        "access_right": "open",
        "license": "cc-by-4.0",
        "publication_date": "2026-11-22",
    }
    assert told["creators"] == [
        {"name": "Carberry, Josiah", "affiliation": "Brown University", "orcid": "0000-0002-1825-0097"}
    ]
    assert "TIC 1 &lt;&amp;&gt;" in told["description"]  # it is HTML, and nothing of ours is markup
    assert told["notes"] == marker(bundle.key)
    settings = ZenodoSettings(communities=("exoplanets",), licence="cc0-1.0")
    more = metadata([DOCUMENT], "k", [AUTHOR], settings, "0.1.0", DAY, title="Mine", description="One.\n\nTwo.")
    assert more["communities"] == [{"identifier": "exoplanets"}]
    assert (more["title"], more["license"]) == ("Mine", "cc0-1.0")
    assert more["description"].startswith("<p>One.</p><p>Two.</p>")


def test_what_was_simulated_is_said_to_be():
    document = DOCUMENT | {"data": {"files": [SIMULATED]}}
    told = metadata([DOCUMENT, document], "k", [AUTHOR], ZenodoSettings(), "0.1.0", DAY)
    assert told["title"].startswith("SIMULATED light curves: 2 transit candidates")
    assert "simulated" in told["description"]
    assert "SIMULATED" in bundles.read_me([document], "0.1.0")
    assert "SIMULATED" not in bundles.read_me([DOCUMENT], "0.1.0")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Josiah", "Family, Given"),
        ("A, B; C; D; E", "Family, Given"),
        ("A, B; C; 0000-0002-1825-0098", "no ORCID"),
        ("A, B; C; 1825", "no ORCID"),
    ],
)
def test_an_author_who_cannot_be_one_is_refused(text, told):
    with pytest.raises(BundleRefused, match=told):
        creator(text)


def test_authors_are_read_with_and_without_the_rest():
    assert creator("Carberry, Josiah;Brown University; https://orcid.org/0000-0002-1825-0097") == AUTHOR
    assert creator("Doe, J.") == Creator("Doe, J.")
    assert creator("Doe, J.;;0000-0002-9079-593X").orcid == "0000-0002-9079-593X"  # a check digit of ten
    with pytest.raises(BundleRefused, match="--creator"):
        metadata([DOCUMENT], "k", [], ZenodoSettings(), "0.1.0", DAY)


# ---- the deposit


def test_a_bundle_becomes_a_draft_and_is_published_only_when_asked(bundle, archive, client):
    sent = client(archive).send(bundle)
    number = whole(archive, bundle)
    assert (sent.number, sent.published) == (number, False)
    assert archive.count("POST", "publish") == 0
    assert json.loads(next(bundle.folder.glob("deposit-*.json")).read_text())["deposit"] == number
    told = []
    sent = client(archive).send(bundle, publish=True, say=told.append)
    assert (sent.number, sent.published, sent.doi) == (number, True, f"10.5072/zenodo.{number}")
    assert archive.count("PUT", "/api/files/") == len(bundle.files)  # nothing was sent twice
    client(archive).send(bundle, publish=True, say=told.append)
    assert told == [f"deposit {number} published", f"deposit {number} is published already: nothing was sent"]
    assert archive.count("POST", "depositions$") == archive.count("POST", "publish") == 1


def test_a_lost_note_leads_to_the_same_deposit_by_its_mark(bundle, archive, client):
    for number in range(1, 230):  # of the same person, three pages of them
        archive.deposits[number] = {"metadata": {"notes": f"another {number}"}, "submitted": False}
        archive.held[number] = {}
    first = client(archive).send(bundle)
    for number in range(1000, 1150):
        archive.deposits[number] = {"metadata": {}, "submitted": False}
        archive.held[number] = {}
    next(bundle.folder.glob("deposit-*.json")).unlink()
    assert client(archive).send(bundle).number == first.number
    assert archive.count("POST", "depositions$") == 1


def test_a_deposit_that_was_taken_away_is_made_anew(bundle, archive, client):
    first = client(archive).send(bundle)
    archive.deposits.clear()
    archive.held.clear()
    archive.deposits[first.number + 5] = {"metadata": {}, "submitted": False}
    archive.held[first.number + 5] = {}
    assert client(archive).send(bundle).number == first.number + 6


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "depositions$", "500"),
        ("GET", "depositions$", "page"),
        ("POST", "depositions$", "500"),
        ("POST", "depositions$", "500 after"),
        ("POST", "depositions$", "silence after"),
        ("PUT", r"depositions/\d+$", "500 after"),
        ("PUT", "zip$", "500"),
        ("PUT", "zip$", "500 after"),
        ("PUT", "zip$", "silence after"),
        ("PUT", "zip$", "damaged"),
        ("POST", "publish$", "500"),
        ("POST", "publish$", "500 after"),
        ("POST", "publish$", "silence after"),
        ("GET", r"depositions/\d+$", "503"),
    ],
)
def test_a_fault_on_the_way_still_ends_in_one_whole_record(bundle, archive, client, method, path, kind):
    archive.faults = [(method, path, kind)]
    sent = client(archive).send(bundle, publish=True)
    assert archive.faults == []
    assert (sent.number, sent.published) == (whole(archive, bundle), True)


class Killed(BaseException):
    """Stands for SIGKILL at a boundary."""


@pytest.mark.parametrize("boundary", range(6))
def test_killed_at_any_boundary_the_next_call_ends_with_one_whole_record(bundle, archive, client, boundary):
    passed = []

    def step(name):
        passed.append(name)
        if len(passed) == boundary + 1:
            raise Killed

    with pytest.raises(Killed):
        client(archive).send(bundle, publish=True, step=step)
    sent = client(archive).send(bundle, publish=True)
    assert (sent.number, sent.published) == (whole(archive, bundle), True)
    assert archive.count("POST", "depositions$") == archive.count("POST", "publish") == 1


def test_an_archive_that_stays_broken_is_given_up_in_one_line_and_found_again_later(bundle, archive, client):
    archive.faults = [("POST", "depositions$", "500 after"), *[("GET", "depositions$", "500")] * 3]
    with pytest.raises(ArchiveUnavailable, match="500"):
        client(archive).send(bundle)
    assert client(archive).send(bundle).number == whole(archive, bundle)
    assert archive.count("POST", "depositions$") == 1


def test_a_wrong_token_is_told_with_where_to_make_one_and_without_itself(bundle, archive, client):
    with pytest.raises(DepositFailed, match="settings/applications") as caught:
        client(archive, token="wrong-and-secret").send(bundle)
    assert "wrong-and-secret" not in str(caught.value)
    assert archive.deposits == {}


def test_a_file_that_keeps_arriving_damaged_is_never_published(bundle, archive, client):
    archive.faults = [("PUT", "zip$", "damaged")] * 3
    with pytest.raises(DepositFailed, match="another checksum"):
        client(archive).send(bundle, publish=True)
    assert archive.count("POST", "publish") == 0
    client(archive).send(bundle, publish=True)
    whole(archive, bundle)


def test_a_strange_file_in_the_draft_stops_publication(bundle, archive, client):
    number = client(archive).send(bundle).number
    archive.held[number]["thesis.pdf"] = b"%PDF"
    with pytest.raises(DepositFailed, match=r"thesis\.pdf"):
        client(archive).send(bundle, publish=True)
    assert archive.count("POST", "publish") == 0


def test_what_the_archive_refuses_is_told_in_its_own_words(bundle, archive, client):
    bad = bundles.Bundle(bundle.folder, bundle.key, bundle.files, dict(bundle.metadata) | {"creators": []})
    with pytest.raises(DepositFailed, match=r"metadata\.creators Missing data for required field"):
        client(archive).send(bad)


def test_the_token_goes_to_no_other_host_and_into_no_address_or_file(bundle, archive, client, tmp_path):
    archive.faults = [("POST", "depositions$", "moved")]
    with pytest.raises(DepositFailed, match="sends us to"):
        client(archive).send(bundle)
    client(archive).send(bundle)
    assert all(TOKEN not in path for _, path in archive.asked)
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for headers in archive.headers)
    assert all(TOKEN.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    known = archive.shown
    archive.shown = lambda number: known(number) | {"links": {"bucket": "http://127.0.0.1:9/api/files/x"}}
    archive.held[next(iter(archive.deposits))].clear()
    with pytest.raises(DepositFailed, match="another host"):
        client(archive).send(bundle)
