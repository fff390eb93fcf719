"""ExoFOP's planet-parameter file: what is written, what is refused, and what the validator sees."""

import json
import math
import random
from dataclasses import replace
from datetime import date

import pytest
from evidence_files import DERIVED, GOLDEN, PARAMETERS, candidate, compared, document, finding, fitted, listed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candidates import exofop
from candidates.exofop import COLUMNS, Ask, Listed, check, file_name, file_text, refusals, row_of, tag_of, target_of
from candidates.quantities import measured

PAPER = "https://doi.org/10.3847/1538-3881/abcdef"
ASK = Ask("newctoi", "PC", PAPER, "jdoe", "transit-hunter", "", date(2026, 11, 22), "0.1.0")
NAME = "params_planet_20261122_001.txt"


def text_of(*documents, ask=ASK, columns=COLUMNS, template=None):
    rows = []
    for one in documents:
        target = target_of(one, ask, taken=[row["target"] for row in rows])
        rows.append(row_of(one, ask, target, tag_of(ask, 1)))
    return file_text(rows, ask, columns, template)


def cells_of(text):
    """Each line of planets as a mapping by column."""
    lines = [line for line in text.splitlines() if not line.startswith("\\")]
    header = lines[0].split("|")
    return [dict(zip(header, line.split("|"), strict=True)) for line in lines[1:]]


# ---- what is written


def test_the_file_is_byte_for_byte_the_golden_one():
    other = candidate(fit={"status": "not_converged", "reason": "N/tau 31 after 20000 steps", "parameters": {}})
    third = candidate(fit={"status": "not_run", "reason": "scored below the threshold"}, vetting=[])
    text = text_of(candidate(), other, third)
    assert text.encode() == (GOLDEN / NAME).read_bytes()
    assert check(text.encode(), NAME) == []


def test_times_are_bjd_lengths_hours_depths_ppm_and_radii_those_of_the_earth():
    row = cells_of(text_of(candidate()))[0]
    assert row["epoch"] == "2458326.5341"
    assert row["epoch_unc"] == "0.0011"  # the larger of 0.0008 and 0.0011
    assert (row["duration"], row["duration_unc"]) == ("2.871", "0.044")
    assert (row["depth"], row["depth_unc"]) == ("1187", "24")
    assert (row["radius"], row["radius_unc"]) == ("3.72", "0.16")
    assert (row["r_planet"], row["r_planet_err"]) == ("0.0331", "0.0012")  # the template's own spelling
    assert (row["target"], row["flag"], row["disp"], row["discovery"]) == ("TIC261136679.01", "newctoi", "PC", "TESS")
    assert row["tag"] == "20261122_jdoe_transit-hunter_00001"
    assert (row["prop_period"], row["paper"]) == ("0", PAPER)
    assert row["notes"] == "MCMC fit; on target to 0.8 sigma; S/N 40.0 in 8 transits; FPP 0.0021; transit-hunter 0.1.0"


@pytest.mark.parametrize("status", ["not_converged", "not_run"])
def test_without_a_converged_fit_the_values_are_the_searchs_and_the_notes_say_so(status):
    # what a fit that did not converge holds is never shown
    case = candidate(fit=fitted() | {"status": status, "reason": "why"})
    row = cells_of(text_of(case))[0]
    assert (row["period"], row["period_unc"]) == ("3.12346", "0.00020")
    assert (row["depth"], row["duration"], row["duration_unc"]) == ("1200", "2.8800", "")
    assert row["inc"] == row["imp"] == ""
    assert row["notes"].startswith("search values (" + ("fit not converged" if status == "not_converged" else "no fit"))


def test_the_next_number_of_a_star_counts_its_tois_its_ctois_and_the_lines_above():
    known = compared(
        listed("TOI 144.01", 6.27), listed("CTOI 261136679.04", 40.0), listed("TOI 9.09", 9.0, False, 90.0)
    )
    case = candidate(known=known)
    assert target_of(case, ASK) == "TIC261136679.05"
    assert [row["target"] for row in cells_of(text_of(case, case))] == ["TIC261136679.05", "TIC261136679.06"]
    assert target_of(case, ASK, [Listed("CTOI 261136679.07", True, 0.0, 55.0)]) == "TIC261136679.08"


@pytest.mark.parametrize(
    ("rows", "target"),
    [
        ([listed("TOI 144.01", 3.1), listed("CTOI 261136679.02", 3.1234)], "TOI144.01"),
        ([listed("CTOI 261136679.02", 3.1234), listed("TOI 144.01", 6.2)], "TIC261136679.02"),
    ],
)
def test_new_values_go_to_the_listed_object_of_this_period(rows, target):
    case, ask = candidate(known=compared(*rows)), replace(ASK, flag="newparams", paper="")
    assert refusals(case, ask) == []
    assert target_of(case, ask) == target
    assert check(text_of(case, ask=ask).encode(), NAME) == []


def test_columns_come_from_the_template_where_there_is_one():
    template = (
        "\\ a comment | with a bar\n" + exofop.HEADER.replace("candname", "name").replace("_err", "_unc") + "|new\n"
    )
    columns = exofop.columns_of(template)
    text = text_of(candidate(), columns=columns, template="params_planet_YYYYMMDD_001.txt")
    row = cells_of(text)[0]
    assert (row["r_planet_unc"], row["new"], row["name"]) == ("0.0012", "", "")
    assert check(text.encode(), NAME, columns) == []
    assert check(text.encode(), NAME)  # it is another header than the built-in one
    assert "of the template params_planet_YYYYMMDD_001.txt" in text
    assert "not verified: discovery, candname, paper" in text_of(candidate())
    for bad in ("", "\\ only comments\n", "a|b|c\n", exofop.HEADER + "|notes\n"):
        with pytest.raises(exofop.BadTemplate):
            exofop.columns_of(bad)


@pytest.mark.parametrize("name", ["", "j doe", "j_doe", "a|b"])
def test_a_name_that_would_break_the_tag_is_refused(name):
    with pytest.raises(ValueError, match="--username"):
        tag_of(replace(ASK, username=name), 1)


def test_the_checklist_claims_nothing_was_done_that_a_person_must_do():
    rows = [row_of(candidate(), ASK, "TIC261136679.01", tag_of(ASK, 1))]
    said = "\n".join(exofop.checklist(NAME, rows, ASK, None, ["TOI"]))
    assert "nothing was sent" in said
    assert "submitted" not in said
    assert all(
        word in said for word in ("--template", PAPER, "TIC261136679.01", "approved", "Gaia", "old when compared")
    )


# ---- what is refused


def test_a_candidate_that_nothing_speaks_against_is_not_refused():
    assert refusals(candidate(), ASK) == []
    assert refusals(candidate(), ASK, "planet_candidate") == []


def of_star(**target):
    case = candidate()
    case["target"] |= target
    return case


def made_by(**file):
    case = candidate()
    case["data"]["files"][0] |= file
    return case


def judged(word):
    case = candidate()
    case["verdict"]["disposition"] = word
    return case


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (of_star(kind="KIC", key="123"), "no TIC number"),
        (made_by(author="SIMULATED"), "simulated"),
        (made_by(processing="simulated-1"), "simulated"),
        (judged("unknown"), "'unknown', not a planet candidate"),
        (judged("eclipsing_binary"), "not a planet candidate"),
        (judged("false_positive"), "not a planet candidate"),
        (judged("below_threshold"), "not a planet candidate"),
        (candidate(vetting=[finding("pixel_offset", "fail", 9.0)]), "off target"),
        (candidate(vetting=[finding("host", "fail", None)]), "off target"),
        (candidate(vetting=[finding("centroid", "fail", 9.0)]), "off target"),
        (candidate(validation={"status": "done", "fpp": 0.9, "band": "false_positive"}), "false positive"),
        (candidate(validation={"status": "done", "band": "likely_nearby_false_positive"}), "nearby false positive"),
        (candidate(known={"status": "not_run", "reason": "no_catalogue: none"}), r"\[archive\] source mast"),
        (candidate(known=compared(catalogues=[{"source": "TOI", "as_of": "x", "stale": False}])), "of CTOIs were not"),
        (candidate(known=compared(radius_arcsec=None)), "its place is unknown"),
        (candidate(known=compared(radius_arcsec=60.0)), "within 60 arcsec only"),
        (candidate(known=compared(listed("TOI 144.01", 3.5))), "TOI 144.01 .its star. has a period of 3.5 d"),
        (candidate(known=compared(listed("TOI 144.01", 6.2469))), "listed already"),
        (candidate(known=compared(listed("CTOI 261136679.01", 1.5617))), "listed already"),
        (candidate(known=compared(listed("TOI 144.01", None))), "no period to compare"),
        (candidate(known=compared(listed("TOI 145.01", 3.2, False, 125.0))), "125 arcsec away"),
        (candidate(known=compared(listed("TESS-EB 5", 3.1, False, 60.0, side="against"))), "speaks against"),
    ],
)
def test_what_must_not_leave_is_refused_with_its_reason(case, told):
    with pytest.raises(AssertionError, match=told):
        raise AssertionError("; ".join(refusals(case, ASK)))
    assert len(refusals(case, ASK)) == 1


@pytest.mark.parametrize(
    "row",
    [
        listed("TOI 144.01", 40.0),
        listed("TOI 145.01", 3.2, False, 127.0),
        listed("TOI 145.01", None, False, 60.0),
        listed("TESS-EB 5", 3.1, True, 0.0, side=None),
    ],
)
def test_what_lies_elsewhere_or_has_another_period_refuses_nothing(row):
    assert refusals(candidate(known=compared(row)), ASK) == []


def test_a_table_of_today_refuses_what_the_evidence_could_not_know():
    assert "CTOI 261136679.01" in refusals(candidate(), ASK, None, [Listed("CTOI 261136679.01", True, 0.0, 3.1234)])[0]


@pytest.mark.parametrize("paper", ["", "in prep.", "https://a|b.org/", "ftp://a.org/b", "https://"])
def test_a_new_ctoi_without_a_published_paper_is_refused(paper):
    ask = replace(ASK, paper=paper)
    assert "--paper" in refusals(candidate(), ask)[0]
    known = compared(listed("TOI 144.01", 3.1234))
    if not paper:
        assert refusals(candidate(known=known), replace(ask, flag="newparams")) == []


def test_a_reviewer_who_rejected_it_is_heard():
    assert "eclipsing binary" in refusals(candidate(), ASK, "eclipsing_binary")[0]
    known = compared(listed("TOI 144.01", 3.1234))
    ask = replace(ASK, flag="newparams", disp="FP")
    assert refusals(candidate(known=known), ask, "eclipsing_binary") == []
    assert "nobody rejected it" in refusals(candidate(known=known), ask)[0]
    assert "no new CTOI" in refusals(candidate(), replace(ask, flag="newctoi"), "eclipsing_binary")[0]
    assert "--flag newctoi" in refusals(candidate(), replace(ASK, flag="newparams"))[0]


def test_a_signal_without_depth_gets_no_line():
    case = candidate(fit={"status": "not_run", "reason": "x"})
    case["signal"]["depth_ppm"] = -3.0
    assert "depth_ppm is -3.0" in refusals(case, ASK)[0]


# ---- a thousand of them

WORDS = ("TESS", "Kepler", "", "NONE", "a|b\nc", "\u03c3 \x00", "0.1.0", "0.2.dev3+gabcdef0")
USUAL = {name: value for name, (value, _, _) in (PARAMETERS | DERIVED).items()}


def random_values(draw):
    """Medians near and far from what is possible, errors of every size, some of them none at all."""

    def error(value):
        return draw.choice([None, 0.0, math.nan, -0.1 * value, *[value * 10 ** draw.uniform(-9, 1)] * 4])

    spread = draw.choice([0.1, 0.1, 6.0])
    medians = {name: value * 10 ** draw.uniform(-spread, spread) for name, value in USUAL.items()}
    medians["epoch_btjd"] = draw.uniform(-17000, 23000)
    return {name: (value, error(value), error(value)) for name, value in medians.items()}


@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**60))
def test_a_thousand_random_candidates_are_refused_or_keep_every_rule(seed):
    draw = random.Random(seed)
    unknown = draw.sample([*PARAMETERS, *DERIVED], draw.choice([0, 0, 1, 3]))
    values = {name: value for name, value in random_values(draw).items() if name not in unknown}
    status = draw.choice(["done", "done", "not_converged", "not_run"])
    place = draw.choice(["pass"] * 7 + ["not_run", "fail"])
    word = draw.choice(["planet_candidate", "likely_planet"] * 5 + ["unknown"])
    known = draw.choice([compared()] * 7 + [compared(listed("TOI 1.01", 3.1)), {"status": "not_run", "reason": "x"}])
    case = candidate(known=known, vetting=[finding("pixel_offset", place)])
    parts = [{name: values[name] for name in names if name in values} for names in (PARAMETERS, DERIVED)]
    case["fit"] = fitted(*parts) | {"status": status}
    case["signal"] |= {"snr": 10 ** draw.uniform(0, 6)}
    case["data"]["files"][0] |= {"mission": draw.choice(WORDS)}
    case["verdict"]["disposition"] = word
    ask = replace(ASK, paper=draw.choice([PAPER] * 9 + [""]), version=draw.choice(WORDS))
    refused = refusals(case, ask)
    listed_already = known.get("matches") and exofop.same_period(measured(case)["period_days"].value, 3.1)
    if place == "fail" or word == "unknown" or not ask.paper or known["status"] != "done" or listed_already:
        assert refused
    if refused:
        return
    text = text_of(case, ask=ask)
    assert check(text.encode("ascii"), file_name(ASK.day, 1)) == []
    assert all(line.count("|") == 45 for line in text.splitlines() if not line.startswith("\\"))
    row = cells_of(text)[0]
    assert not {cell.lower() for cell in row.values()} & {"nan", "inf", "-inf", "none", "null"}
    assert float(row["epoch"]) > 2_000_000
    assert len(row["notes"]) <= 120
    best = {name: value[0] for name, value in values.items()} if status == "done" else {}
    for column, name, otherwise in (
        ("period", "period_days", 3.1234567),
        ("duration", "duration_hours", 2.88),
        ("depth", "depth_ppm", 1200.0),
        ("radius", "planet_radius_earth", case["derived"]["planet_radius_earth"]),
    ):
        if row[column]:
            decimals = len(row[column].partition(".")[2])
            assert float(row[column]) == pytest.approx(best.get(name, otherwise), abs=0.51 * 10.0**-decimals, rel=1e-12)


# ---- the validator

GOOD = text_of(candidate())


def changed(**cells):
    """The good file with other cells in its one line."""
    row = cells_of(GOOD)[0] | cells
    return "\n".join([*GOOD.splitlines()[:3], "|".join(row[column] for column in COLUMNS)]) + "\n"


@pytest.mark.parametrize(
    ("cells", "column", "told"),
    [
        ({"target": "TIC 261136679.01"}, "target", "no space"),
        ({"target": "TIC261136679"}, "target", "TIC<number>.<nn>"),
        ({"target": "TIC261136679.00"}, "target", "nn from 01"),
        ({"target": "TOI144.01"}, "target", "cannot be a new CTOI"),
        ({"flag": "new"}, "flag", "newctoi or newparams"),
        ({"disp": "APC"}, "disp", "PC, CP, FP"),
        ({"disp": "FP"}, "disp", "as a new CTOI"),
        ({"period": "nan"}, "period", "no number"),
        ({"mass": "None"}, "mass", "no number"),
        ({"vsa": "--"}, "vsa", "no number"),
        ({"depth": "1e999"}, "depth", "no number"),
        ({"depth": "1,200"}, "depth", "no number"),
        ({"period": "3.1 "}, "period", "spaces around"),
        ({"period": "-3.1"}, "period", "above 0"),
        ({"period": "0"}, "period", "above 0"),
        ({"period": "", "period_unc": ""}, "period", "above 0"),
        ({"period": ""}, "period_unc", "an uncertainty without period"),
        ({"mass_unc": "1.0"}, "mass_unc", "an uncertainty without mass"),
        ({"arg_peri_err": "1.0"}, "arg_peri_err", "an uncertainty without arg_peri"),
        ({"period_unc": "0"}, "period_unc", "above 0"),
        ({"r_planet_err": "-0.1"}, "r_planet_err", "above 0"),
        ({"epoch": "1326.5341"}, "epoch", "add 2457000"),
        ({"time_peri": "59000.5"}, "time_peri", "2000000"),
        ({"depth": "0.0012"}, "depth", "multiply a fraction by 1e6"),
        ({"duration": "80"}, "duration", "longer than the period"),
        ({"inc": "190"}, "inc", "degrees"),
        ({"imp": "-0.2"}, "imp", "not negative"),
        ({"ecc": "1.0"}, "ecc", "below 1"),
        ({"temp": "-4"}, "temp", "above 0"),
        ({"tag": ""}, "tag", "YYYYMMDD_username"),
        ({"tag": "20261122_jdoe"}, "tag", "YYYYMMDD_username"),
        ({"tag": "20261340_jdoe_x_00001"}, "tag", "YYYYMMDD_username"),
        ({"prop_period": ""}, "prop_period", "0 or 12"),
        ({"prop_period": "6"}, "prop_period", "0 or 12"),
        ({"prop_period": "12", "group": "tfopwg"}, "prop_period", "0 for a new CTOI"),
        ({"notes": "x" * 121}, "notes", "120 at most"),
        ({"notes": ""}, "notes", "how it was found"),
        ({"paper": ""}, "paper", "peer-reviewed"),
        ({"paper": "in prep."}, "paper", "https://"),
    ],
)
def test_the_validator_names_line_column_rule_and_cure_of_each_violation(cells, column, told):
    found = check(changed(**cells).encode(), NAME)
    assert (4, column) in {(one.line, one.column) for one in found}
    assert any(told in str(one) for one in found if one.column == column), found
    assert all(str(one).startswith("line 4, ") and one.rule and one.cure for one in found)


LINES = GOOD.splitlines()


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        (GOOD, "params.txt", "params_planet_YYYYMMDD_nnn.txt"),
        (GOOD, "params_planet_20261122_000.txt", "no day or no number"),
        (GOOD, "params_planet_20261322_001.txt", "no day or no number"),
        ("", NAME, "no header"),
        ("\n".join(LINES[:3]) + "\n", NAME, "no planet in it"),
        (GOOD.rstrip("\n"), NAME, "the last line has no end"),
        (GOOD.replace("\n", "\r\n"), NAME, "a control character"),
        ("\ufeff" + GOOD, NAME, "is not ASCII"),
        (GOOD.replace("MCMC", "MCMC \N{GREEK SMALL LETTER SIGMA}"), NAME, "is not ASCII"),
        (GOOD + LINES[3] + "\n", NAME, "target and tag of line 4 again"),
        (GOOD + LINES[3] + "|\n", NAME, "47 cells under 46 columns"),
        (GOOD.replace("MCMC", "MCMC | more"), NAME, "47 cells under 46 columns"),
        (GOOD.replace("|discovery|candname", ""), NAME, "missing: discovery, candname"),
        (GOOD.replace("ar_star_err", "a_rstar_unc"), NAME, "the template calls it 'ar_star_err'"),
        (GOOD + "\n", NAME, "1 cells under 46 columns"),
    ],
)
def test_the_validator_sees_what_is_wrong_with_the_file_as_a_whole(text, name, told):
    assert any(told in str(one) for one in check(text.encode(), name)), check(text.encode(), name)


def test_the_older_template_of_43_columns_is_told_what_it_lacks():
    old = [column.replace("_err", "_unc") for column in COLUMNS if column not in exofop.UNVERIFIED]
    assert len(old) == 43
    found = check(("|".join(old) + "\n").encode(), NAME)
    assert "43 columns, and the template has 46" in str(found[0])
    assert {"discovery", "candname", "paper"} <= set(found[0].cure.replace(",", "").split())


def test_a_file_of_somebody_else_that_keeps_the_rules_is_accepted():
    params = changed(
        target="TOI144.01", flag="newparams", paper="", notes="", prop_period="12", group="tfopwg", tag="17"
    )
    assert check(params.encode()) == []


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(st.binary(max_size=400), st.text(max_size=200).map(lambda text: (GOOD + text).encode("utf-8", "replace")))
)
def test_the_validator_survives_anything(data):
    assert isinstance(check(data, NAME), list)


def test_the_evidence_behind_these_tests_is_one_that_the_hunter_wrote():
    assert json.loads((GOLDEN / "evidence.json").read_text()) == document()
