"""The whole matrix of faults of one file, each once, three times and for ever, against the hunter's own way out."""

import hashlib

import pytest
from far_archives import SECTOR, content, wanted, way_out
from faults import BODY, CONTENT, FITS, HTTP, PORTAL, SLOW, plan

from hunter.archives.formats import check
from hunter.archives.mast.names import PRODUCTS
from hunter.archives.mast.portal import Portal
from hunter.archives.mast.sector import list_sector
from hunter.copies import Copies
from hunter.network.downloads import fetch
from hunter.network.errors import ArchiveUnavailable, Corrupt, Denied, Missing
from hunter.replica import Catalogue
from pipeline.clean.stitch import CleanSettings, stitch
from pipeline.errors import UnusableData

SPOC = PRODUCTS["SPOC-120"]
TIMES = {"once": 1, "three times": 3, "for ever": None}
# what each wanted behaviour ends in while the fault lasts; "sound" never fails
ENDS = {
    "retry": ArchiveUnavailable,
    "wait": ArchiveUnavailable,
    "defer": ArchiveUnavailable,
    "missing": Missing,
    "resume": ArchiveUnavailable,
    "restart": (ArchiveUnavailable, Corrupt),
    "quarantine": Corrupt,
}
AT_ONCE = ("missing", "defer")  # one reply is enough: asking again would only hammer
# three times the same unsound bytes: then it is the file
SAME_CONTENT = ("over-long", "length off by -2880", "length off by +2880")


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("case", HTTP + SLOW + BODY + FITS, ids=lambda case: case.name)
def test_every_fault_of_the_way_ends_as_the_matrix_says(mast, clock, tmp_path, case, times):
    mast.plan = plan(case.fault, TIMES[times])
    path = tmp_path / "a.fits"
    lasting = TIMES[times] is None and case.wanted != "sound"
    door = way_out(clock, read_seconds=0.15 if case in SLOW else 30.0)
    lasting |= times == "three times" and (case.wanted == "quarantine" or case.name in SAME_CONTENT)
    if lasting or case.wanted in AT_ONCE:
        with pytest.raises(ENDS[case.wanted]) as told:
            fetch(door, wanted(mast.url), path)
        assert not path.exists()
        if case.name in ("status 401", "status 403"):
            assert isinstance(told.value, Denied)
    else:
        done = fetch(door, wanted(mast.url), path)
        assert done.sha256 == hashlib.sha256(content()).hexdigest()
        assert path.read_bytes() == content()
    assert len(mast.lines()) <= 8
    assert {line.method for line in mast.lines()} == {"GET"}
    assert not mast.hurried(grace=0)


@pytest.fixture(scope="module")
def light_curve():
    """Six days of a star, whole."""
    catalogue = Catalogue(clock=lambda: 1.6e9)
    catalogue.add_crowd(1, stars=1, span=6.0, pool=1)
    catalogue.release(1)
    (entry,) = catalogue.visible()
    return catalogue.content(entry, entry.files[0]).data


@pytest.mark.parametrize("case", CONTENT, ids=lambda case: case.name)
def test_content_that_is_no_light_curve_is_unusable_and_one_with_flaws_is_used(tmp_path, light_curve, case):
    path = tmp_path / "tess2018206045859-s0001-0000098000000000-0120-s_lc.fits"
    path.write_bytes(case.fault.file(light_curve))

    def stitched():
        return stitch([check(path, ("pdcsap", "sap")).observation], CleanSettings())

    if case.wanted == "unusable":
        with pytest.raises(UnusableData):
            stitched()
    else:
        curve = stitched().time
        path.write_bytes(light_curve)
        whole = stitched().time
        assert 0.85 * len(whole) < len(curve) <= len(whole)


# all rows are there in spite of it, or the script names what the portal denies
HARMLESS = ("says it has 7 pages", "without paging", "no rows")


@pytest.mark.parametrize("times", ["once", "for ever"])
@pytest.mark.parametrize("case", PORTAL, ids=lambda case: case.name)
def test_a_portal_that_answers_oddly_gives_the_whole_list_or_none(mast, clock, tmp_path, case, times):
    door = way_out(clock)
    with door.session() as session:

        def listed(folder):
            copies = Copies(session, tmp_path / folder)
            found = list_sector(Portal(session, mast.url, tmp_path / folder), copies, mast.url, SPOC, SECTOR)
            return {file.uri for file in found.files}

        sound = listed("sound")
        mast.forget()
        mast.plan = plan(case.fault, TIMES[times], route="invoke")
        try:
            told = listed("odd")
        except ArchiveUnavailable:
            told = None
        # an odd answer once may be made up for by the next; what lasts and hides nothing may be seen through
        assert told in (None, sound)
        if times == "for ever":
            assert (told is None) == (case.wanted == "unknown" and case.name not in HARMLESS)
