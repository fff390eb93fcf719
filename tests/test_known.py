"""What catalogues at hand know of a signal: told with its errors, never taken from the network."""

import json
import os

import pytest
from candidate_sky import evidence_of, make_sky
from loopback import open_shelf
from test_catalogues import TOI_HEAD, archive_at

from candidates.page import render_page
from candidates.reading import validate
from candidates.wording import known_lines
from hunter.catalogues import DAY, TABLES, Catalogues, read_table
from hunter.known import KnownSettings, kind_of, known_block
from hunter.settings import load
from pipeline.types import Star, Target, TransitSignal

NOW = 1.8e9
PLACE = Star(ra=120.0, dec=-45.0)
STAR = Target("TIC", "261136679", PLACE)
SIGNAL = TransitSignal(3.1234567, 1326.534, 0.12, 0.0012, 40.0, period_err=2e-4, epoch_err=1e-3)
VSX = "OID,Name,RAJ2000,DEJ2000,Type,Epoch,Period\n"
ARCSEC = 1 / 3600


def row_of(tic, name, disposition, period, epoch, period_err=1e-5, dec=-45.0):
    return f"{tic},{name},{disposition},{epoch + 2457000},0.001,{period},{period_err},900,120.0,{dec}\n"


HEAD = TOI_HEAD.replace("\n", ",RA,Dec\n")


@pytest.fixture
def hunt(tmp_path):
    """The settings of a home, and what lays a table of TOIs into it."""
    import requests

    def lay(*rows, now=NOW):
        with open_shelf() as shelf, requests.Session() as session:
            for table in TABLES:
                path = table.path(archive_at("http://h")).removeprefix("http://h")
                if table.source == "TOI":
                    shelf.put(path, HEAD + "".join(rows))
            Catalogues(tmp_path / "cache" / "catalogues").refresh(session, archive_at(shelf.url), lambda: now)

    return load(str(tmp_path)), lay


def test_without_a_catalogue_nothing_is_said_to_be_new(hunt):
    settings = hunt[0]
    block = known_block(settings, STAR, SIGNAL, NOW)
    assert block == {"status": "not_run", "reason": "no_catalogue: a hunt of a folder asks none"}
    far = settings.changed(archive=archive_at("http://h").__class__(source="mast"))
    assert known_block(far, STAR, SIGNAL, NOW)["reason"] == "no_catalogue: no copy of any is here yet"


def test_a_known_planet_of_the_star_is_told_with_its_errors(hunt):
    settings, lay = hunt
    lay(row_of(261136679, "144.01", "KP", 3.1234567, 1326.534 + 500 * 3.1234567, 1e-6))
    block = known_block(settings, STAR, SIGNAL, NOW + DAY)
    (match,) = block["matches"]
    assert (match["status"], match["side"], match["ratio"], match["kind"]) == ("match", "for", "1:1", "planet")
    assert (match["cycles"], match["same_star"], match["separation_arcsec"]) == (-500, True, 0.0)
    # 500 cycles of the two periods' mean, both epochs, a tenth of the duration that transits may wander
    assert match["offset_err"] * 3.1234567 == pytest.approx(0.0123, abs=3e-4)
    assert match["words"].startswith("TOI 144.01 (KP, planet), of this star: the same period and phase, ")
    assert [table["source"] for table in block["catalogues"]] == ["TOI"]
    assert block["missing"] == [f"{source}: no copy is here yet" for source in ("CTOI", "planet", "TESS-EB")]
    assert block["note"] == ""


def test_a_neighbour_with_the_same_ephemeris_speaks_against_and_others_are_only_counted(hunt):
    settings, lay = hunt
    lay(
        row_of(5, "1.01", "FP", 3.1234567 * 2, 1326.534 - 40 * 3.1234567, dec=-45.0 + 60 * ARCSEC),
        row_of(6, "2.01", "PC", 2.2, 1326.0, dec=-45.0 + 100 * ARCSEC),
        row_of(7, "3.01", "PC", 3.1234567, 1326.534, dec=-45.0 + 130 * ARCSEC),  # beyond 126 arcsec
    )
    block = known_block(settings, STAR, SIGNAL, NOW)
    assert block["compared"] == 2
    (match,) = block["matches"]
    assert (match["name"], match["ratio"], match["side"], match["same_star"]) == ("TOI 1.01", "1:2", "against", False)
    assert match["separation_arcsec"] == pytest.approx(60.0, abs=0.01)
    assert "60 arcsec away: half its period and phase" in match["words"]


def test_without_a_place_only_the_star_itself_is_asked_after_and_that_is_said(hunt):
    settings, lay = hunt
    lay(row_of(5, "1.01", "FP", 3.1234567, 1326.534, dec=-45.0 + 60 * ARCSEC))
    block = known_block(settings, Target("TIC", "261136679 s0001"), SIGNAL, NOW)
    assert (block["compared"], block["matches"], block["radius_arcsec"]) == (0, [], None)
    assert block["note"] == "the star's place is unknown: only objects of its own number were compared"
    assert known_lines({"known": block})[1] == "none has this ephemeris"


def test_an_old_copy_is_used_and_said_to_be_old(hunt):
    settings, lay = hunt
    lay(row_of(261136679, "144.01", "KP", 3.1234567, 1326.534))
    block = known_block(settings, STAR, SIGNAL, NOW + 40 * DAY)
    assert block["catalogues"] == [{"source": "TOI", "as_of": "2027-01-15", "stale": True}]
    assert block["note"] == "the table of TOIs is of 2027-01-15 and could not be refreshed since"
    assert block["matches"][0]["status"] == "match"


def test_an_ephemeris_that_is_too_old_leaves_it_open(hunt):
    settings, lay = hunt
    lay(row_of(261136679, "144.01", "PC", 3.1234567, 1326.534 - 2000 * 3.1234567, 2e-3))
    (match,) = known_block(settings, STAR, SIGNAL, NOW)["matches"]
    assert (match["status"], match["side"], match["sigma"]) == ("unknown", "unknown", None)
    assert "too old for its phase" in match["words"]


def test_a_person_may_lay_a_table_of_variables_beside_them(hunt, tmp_path):
    settings, _ = hunt
    table = tmp_path / "vsx.csv"
    table.write_text(VSX + f"77,CP Pup,120.0,{-45 + 2 * ARCSEC},EA/AR,,6.24691\n78,Far,10.0,10.0,EW,,3.12\n")
    settings = settings.changed(known=KnownSettings(tables=(str(table),)))
    block = known_block(settings, STAR, SIGNAL, NOW)
    (match,) = block["matches"]
    assert (match["name"], match["kind"], match["same_star"]) == ("vsx CP Pup", "eclipsing binary", True)
    # no epoch: the phase is unknown, and so close a period of the very star speaks against a planet all the same
    assert (match["status"], match["side"], match["ratio"]) == ("unknown", "against", "1:2")
    assert match["assumed"] == ["its period's error, 0.0001 of it"]
    table.write_text("nothing of the kind\n")
    os.utime(table, (1, 1))
    assert "[known] tables: vsx: unknown:" in known_block(settings, STAR, SIGNAL, NOW)["reason"]


@pytest.mark.parametrize(
    ("source", "disposition", "kind"),
    [
        ("TOI", "FP", "refuted"), ("TOI", "CP", "planet"), ("CTOI", "", "candidate"), ("planet", "confirmed", "planet"),
        ("TESS-EB", "EB", "eclipsing binary"), ("vsx", "EA/AR", "eclipsing binary"), ("vsx", "EP", "planet"),
        ("vsx", "EW|ESD", "eclipsing binary"), ("vsx", "DSCT+EA:", "eclipsing binary"), ("vsx", "ROT", "variable"),
    ],
)  # fmt: skip
def test_a_catalogue_s_word_is_understood(source, disposition, kind):
    (row,) = read_table(f"tess_id,period,bjd0\n1,2.0,{2458000}\n".encode(), TABLES[3])
    from dataclasses import replace

    assert kind_of(replace(row, source=source, disposition=disposition)) == kind


def test_the_catalogue_of_binaries_is_read_with_its_own_columns():
    head = (
        "tess_id,signal_id,date_added,date_modified,source,ra,dec,pmra,pmdec,Tmag,bjd0,bjd0_uncert,period,period_uncert"
    )
    rows = f"{head}\n117544915,1,a,b,LCF,10.5,-45.25,1,2,9.0,2458327.3,0.001,2.96854,2e-5\n233866651,1,,,,,,,,,,,nan,\n"
    first, second = read_table(rows.encode(), TABLES[3])
    assert (first.tic, first.name, first.disposition) == (117544915, "TESS-EB 117544915", "EB")
    assert (first.epoch, first.ra, first.dec) == (pytest.approx(1327.3), 10.5, -45.25)
    assert (second.period, second.epoch, second.period_err) == (None, None, None)


def test_the_evidence_the_page_and_the_reasons_tell_what_is_known(hunt):
    settings, lay = hunt
    lay(
        row_of(261136679, "144.01", "FP", 3.1234567, 1326.534 - 100 * 3.1234567),
        row_of(5, "1.01", "PC", 3.1234567, 1326.534, 0.4, dec=-45.0 + 60 * ARCSEC),
    )
    sky = make_sky(star=PLACE)
    evidence = evidence_of(sky, known=known_block(settings, STAR, sky.signal, NOW + 3 * DAY))
    validate(evidence.document)
    json.dumps(evidence.document, allow_nan=False)
    said = {reason["text"]: reason["side"] for reason in evidence.document["verdict"]["reasons"]}
    matches = evidence.document["known"]["matches"]
    assert {said[match["words"]] for match in matches} == {"against", "unknown"}
    assert said["catalogues: TESS-EB: no copy is here yet"] == "unknown"
    page = render_page(evidence, b"")
    assert "Known already" in page
    assert "TOI of 2027-01-15 (stale)" in page
    assert "TOI 144.01" in page


def test_real_tables_know_the_stars_of_the_real_light_curves(shared_data, hunt, tmp_path):
    """VSX by place and number, TOIs by number: the files whose truth is known, at the periods a search finds."""
    import gzip
    from dataclasses import replace

    settings = hunt[0]
    copy = tmp_path / "vsx.csv"
    copy.write_bytes(gzip.decompress((shared_data / "catalogs" / "vsx_eclipsing_binaries.csv.gz").read_bytes()))
    settings = settings.changed(known=KnownSettings(tables=(str(copy),)))
    binary = replace(SIGNAL, period=1.484306, epoch=1325.832, period_err=1e-4)
    block = known_block(settings, Target("TIC", "117544915"), binary, NOW)
    assert [(row["disposition"], row["ratio"], row["side"]) for row in block["matches"]] == [
        ("EA/AR", "1:2", "against")
    ]
    toi = gzip.decompress((shared_data / "catalogs" / "toi_nexsci_2025-10-04.csv.gz").read_bytes())
    found = {row.name: row for row in read_table(toi, TABLES[0])}
    assert found["TOI 114.01"].ra == pytest.approx(63.374706, abs=1e-3)
