"""Tables for archives and papers: what is written is read again as it was, with its units and errors."""

import csv
import io
import re
import shutil
import subprocess

import pytest
from evidence_files import DERIVED, PARAMETERS, candidate, document, fitted

from candidates import exports, latex, tables
from candidates.quantities import (
    BY_NAME,
    QUANTITIES,
    Measured,
    decimals_for,
    error_of,
    measured,
    number,
    source_words,
)
from candidates.rows import index_row

# ---- what was measured


def test_a_converged_fit_comes_before_the_search_value_by_value():
    case = candidate(fit=fitted({"period_days": PARAMETERS["period_days"]}, {}))
    best = measured(case)
    assert best["period_days"] == Measured(3.12345, 0.00021, 0.00019, "fit")
    assert best["depth_ppm"] == Measured(1200.0, 20.0, 20.0, "search")
    assert best["duration_hours"] == Measured(2.88, None, None, "search")
    assert best["epoch_btjd"].symmetric is None
    assert list(best) == [item.name for item in QUANTITIES if item.name in best]


@pytest.mark.parametrize("status", ["not_converged", "not_run", "error"])
def test_no_value_of_a_fit_that_did_not_converge_is_used(status):
    case = candidate(fit=fitted() | {"status": status})
    assert {value.source for value in measured(case).values()} == {"search"}
    assert source_words(case).startswith("search values")


def test_what_is_not_finite_is_unknown():
    case = candidate(fit=fitted({"period_days": (float("nan"), 1.0, 1.0), "epoch_btjd": (1.0, float("inf"), 0.0)}, {}))
    assert measured(case)["period_days"].source == "search"
    assert measured(case)["epoch_btjd"] == Measured(1.0, None, None, "fit")
    assert [number(value) for value in (True, "1", None, 2)] == [None, None, None, 2.0]
    assert [error_of(value) for value in (0.0, -0.2, None)] == [None, 0.2, None]


@pytest.mark.parametrize(
    ("error", "decimals"),
    [
        (0.0011, 4),
        (0.0996, 2),
        (0.996, 1),
        (106.0, 0),
        (1e-20, 12),
        (None, 6),
        (float("nan"), 6),
        (float("inf"), 6),
        (2.0, 1),
    ],
)
def test_two_digits_of_the_error_are_shown(error, decimals):
    assert decimals_for(error, 6) == decimals


# ---- CSV


def test_the_csv_keeps_its_columns_and_grows_by_fit_and_validation():
    case = candidate()
    row = next(csv.DictReader(io.StringIO("".join(exports.table([index_row(case) | tables.fit_cells(case)])))))
    assert list(row)[:4] == ["rank", "name", "target", "probability"]
    assert (row["period_days"], row["period_days_err"]) == ("3.1234567", "0.0002")  # the search's, as ever
    told = [row[f"fit_epoch_btjd{side}"] for side in ("", "_minus", "_plus")]
    assert told == ["1326.53412", "0.0008", "0.0011"]
    assert (row["fit_status"], row["fpp"], row["nfpp"], row["fpp_band"]) == (
        "done",
        "0.0021",
        "0.0004",
        "likely_planet",
    )
    assert set(tables.FIT_COLUMNS) <= set(row)
    bare = document()
    row = next(csv.DictReader(io.StringIO("".join(exports.table([index_row(bare) | tables.fit_cells(bare)])))))
    assert (row["fit_status"], row["fit_period_days"], row["fpp"]) == ("not_run", "", "")


# ---- ECSV and VOTable

ROWS = [tables.cells(candidate(), "planet_candidate"), tables.cells(document())]


@pytest.mark.parametrize("form", list(tables.FORMATS))
@pytest.mark.parametrize("rows", [ROWS, ROWS[1:], []], ids=["two", "one", "none"])
def test_a_table_is_read_again_with_values_masks_units_and_words(form, rows):
    from astropy.table import Table
    from numpy.ma import masked

    data = tables.write(rows, form, "transit-hunter 0.1.0")
    table = Table.read(io.BytesIO(data) if form == "votable" else data.decode(), format=tables.FORMATS[form])
    assert table.colnames == [column.name for column in tables.COLUMNS]
    assert len(table) == len(rows)
    assert str(table["period_days"].unit) == "d"
    assert table["period_days"].description == "orbital period"
    assert all(table[column.name].description for column in tables.COLUMNS)
    for place, row in enumerate(rows):
        for column in tables.COLUMNS:
            value = row.get(column.name)
            if value is None and column.kind is str:
                assert table[column.name][place] in ("", masked), column.name  # a VOTable has no text that is null
            elif value is None:
                assert table[column.name].mask[place], column.name
            else:
                assert table[column.name][place] == value, column.name


def test_the_errors_of_the_table_stand_on_either_side():
    row = ROWS[0]
    assert (row["epoch_btjd"], row["epoch_btjd_minus"], row["epoch_btjd_plus"]) == (1326.53412, 0.0008, 0.0011)
    assert (row["values_from"], ROWS[1]["values_from"]) == ("fit", "search")
    assert (row["fpp"], row["band"], ROWS[1]["fpp"]) == (0.0021, "likely_planet", None)


def test_every_ucd_and_unit_is_one_of_the_vocabulary():
    from astropy.io.votable.ucd import parse_ucd
    from astropy.units import Unit

    for column in tables.COLUMNS:
        assert parse_ucd(column.ucd, check_controlled_vocabulary=True)
        assert not column.unit or Unit(column.unit)
    text = tables.write(ROWS, "votable", "x").decode()
    assert 'ucd="stat.error;time.period" unit="d"' in text
    assert set(re.findall(r' unit="([^"]+)"', text)) == {"deg", "mag", "K", "solRad", "d", "h", "g.cm**-3", "AU"}


# ---- LaTeX

STRANGE = r"\input{/etc/passwd}% $x_1^2$ & #~<|>"


def balanced(text):
    """Whether braces and environments close as they were opened."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        assert depth >= 0
    opened = []
    for what, name in re.findall(r"\\(begin|end)\{([^}]+)\}", text):
        if what == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    return depth == 0 and not opened


@pytest.mark.parametrize("journal", latex.JOURNALS)
def test_a_latex_table_uses_only_macros_that_it_defines_and_closes_what_it_opens(journal):
    text = latex.table([candidate(), document()], journal, "0.1.0")
    assert balanced(text)
    defined = re.findall(r"\\newcommand\{(\\hunt\w+)\}", text)
    assert len(defined) == len(set(defined))
    used = re.findall(r"\\hunt[A-Za-z]+", text.partition("\\begin{")[2])
    assert set(used) <= set(defined)
    body = next(line for line in text.splitlines() if line.startswith("\\huntAName "))
    heads = next(line for line in text.splitlines() if "$P$" in line)
    assert body.count("&") == heads.partition(r" \\")[0].count("&")
    assert r"\huntBImpactParameterValue" not in text  # what is unknown has no macro
    assert r"\ldots" in text
    assert r"where no fit converged: \huntBName{}" in text
    assert ("deluxetable*" in text, "\\tablefoot" in text) == (journal == "aastex", journal == "aa")


def test_a_macro_holds_the_value_with_both_errors_to_two_digits_of_the_smaller():
    text = "\n".join(latex.macros([candidate()]))
    assert r"\newcommand{\huntAPeriodDays}{\ensuremath{3.12345^{+0.00019}_{-0.00021}\,\mathrm{d}}}% fit" in text
    assert r"\newcommand{\huntAEpochBtjdValue}{\ensuremath{1326.53412^{+0.00110}_{-0.00080}}}" in text
    assert r"\newcommand{\huntALimbDarkeningOne}{\ensuremath{0.31\pm0.10}}% fit" in text
    assert r"\newcommand{\huntAFpp}{\ensuremath{0.0021}}" in text
    for name, (value, minus, plus) in (PARAMETERS | DERIVED).items():
        told = latex.shown(Measured(value, minus, plus, "fit"), BY_NAME[name])
        centre, *errors = (float(word) for word in re.findall(r"\d+\.?\d*", told))
        limit = 0.5 * 10.0 ** -decimals_for(min(minus, plus), 0) * 1.0001
        assert abs(centre - value) <= limit
        assert abs(max(errors) - max(minus, plus)) <= limit


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Measured(3.1234567), "3.123457"),
        (Measured(3.0, None, 0.1), r"3.00^{+0.10}_{\ldots}"),
        (Measured(3.0, 0.2, None), r"3.00^{\ldots}_{-0.20}"),
        (Measured(1.5e-7), r"1.5\times10^{-7}"),
    ],
)
def test_what_is_unknown_of_an_error_is_not_written_as_nought(value, told):
    assert latex.shown(value, BY_NAME["period_days"]) == told


def test_no_name_of_a_star_can_be_a_command():
    case = candidate()
    case["target"] |= {"name": STRANGE}
    case["name"] = "a\n\\input{x}"
    text = latex.table([case], "mnras", "0.1.0")
    assert balanced(text)
    assert r"{\textbackslash{}input\{/etc/passwd\}\% \$x\_1\textasciicircum{}2\$ \& \#" in text
    assert "\n\\input" not in text


def test_macros_are_numbered_by_letters():
    assert [latex.letters(place) for place in (1, 26, 27, 52, 53, 702, 703)] == [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]
    with pytest.raises(ValueError, match="aastex, mnras, aa"):
        latex.table([], "nature", "0.1.0")


CLASSES = {"aastex": ("aastex701", "aastex631", "aastex63"), "mnras": ("mnras",), "aa": ("aa",)}


@pytest.mark.parametrize("journal", latex.JOURNALS)
def test_the_table_compiles_where_tex_and_the_class_are_installed(journal, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("NO TEX: pdflatex is not on this machine; the structure is tested without it")
    asked = [subprocess.run(["kpsewhich", f"{name}.cls"], capture_output=True).returncode for name in CLASSES[journal]]
    if 0 not in asked:
        pytest.skip(f"NO CLASS: {CLASSES[journal][0]}.cls is not installed; the structure is tested without it")
    strange = candidate()
    strange["target"] |= {"name": STRANGE}
    (tmp_path / "table.tex").write_text(latex.table([candidate(), document(), strange], journal, "0.1.0"))
    paper = rf"\documentclass{{{CLASSES[journal][asked.index(0)]}}}\begin{{document}}\input{{table}}"
    (tmp_path / "paper.tex").write_text(paper + r" $P=\huntAPeriodDays$, \huntAFpp \end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
