"""The candidates for a paper: one macro a value with its errors, and a table made of the macros.

For AASTeX (ApJ, AJ, PASP), MNRAS and A&A. Class files are not shipped: the text is for the author's own document.
Values are rounded to two digits of the smaller error. A macro is named after the candidate's place in the table, for
macros have no digits: candidate 1 is ``A``, 27 is ``AA``; ``\\huntAPeriod`` is the period of the first.
"""

from collections.abc import Sequence

from candidates.quantities import (
    BY_NAME,
    QUANTITIES,
    Document,
    Measured,
    Quantity,
    decimals_for,
    measured,
    planet_probabilities,
)

JOURNALS = ("aastex", "mnras", "aa")
UNKNOWN = r"\ldots"
IN_TABLE = (
    "period_days", "epoch_btjd", "duration_hours", "depth_ppm", "radius_ratio", "impact_parameter",
    "planet_radius_earth", "equilibrium_temperature_k",
)  # fmt: skip
ALONE = {  # significant digits of a value without an error
    "period_days": 7,
    "epoch_btjd": 9,
}
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    '"': "''", "|": r"\textbar{}",
}  # fmt: skip


def escaped(text: object) -> str:
    """Any text as LaTeX prints it: nothing in it is a command; what is no printable ASCII becomes ``?``."""
    told = str(text).encode("ascii", "replace").decode()
    return "".join(SPECIAL.get(letter, letter if letter.isprintable() else " ") for letter in told)


def letters(place: int) -> str:
    """``A`` for 1, ``Z`` for 26, ``AA`` for 27."""
    text = ""
    while place > 0:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def macro_name(place: int, what: str) -> str:
    """``\\huntAPeriodDays`` for the first candidate's ``period_days``."""
    numbers = {"1": "One", "2": "Two"}
    words = "".join(numbers.get(word, word.capitalize()) for word in what.split("_"))
    return rf"\hunt{letters(place)}{words}"


def shown(value: Measured, quantity: Quantity) -> str:
    """A value with its errors in math mode, without dollars: ``2.58782^{+0.00015}_{-0.00013}``.

    The smaller error decides the digits, so that neither is rounded to one digit or to nothing.
    """
    errors = [error for error in (value.minus, value.plus) if error is not None]
    if not errors:
        digits = ALONE.get(quantity.name, 4)
        return _power(f"{value.value:.{digits}g}")
    places = decimals_for(min(errors), 0)
    centre = f"{value.value:.{places}f}"
    minus, plus = (None if error is None else f"{error:.{places}f}" for error in (value.minus, value.plus))
    if minus == plus:
        return rf"{centre}\pm{plus}"
    above = UNKNOWN if plus is None else f"+{plus}"
    below = UNKNOWN if minus is None else f"-{minus}"
    return f"{centre}^{{{above}}}_{{{below}}}"


def _power(text: str) -> str:
    """``1.2e-05`` as a power of ten."""
    base, _, exponent = text.partition("e")
    return rf"{base}\times10^{{{int(exponent)}}}" if exponent else base


def _probability(value: float | None) -> str:
    return UNKNOWN if value is None else _power(f"{value:.2g}")


def macros(documents: Sequence[Document]) -> list[str]:
    """One ``\\newcommand`` for each value of each candidate, unit and all."""
    lines = []
    for place, document in enumerate(documents, start=1):
        lines.append(f"% {letters(place)}: {_comment(document['name'])}")
        lines.append(rf"\newcommand{{{macro_name(place, 'name')}}}{{{escaped(document['target']['name'])}}}")
        for name, value in measured(document).items():
            quantity = BY_NAME[name]
            unit = rf"\,{quantity.latex_unit}" if quantity.latex_unit else ""
            text = rf"\ensuremath{{{shown(value, quantity)}{unit}}}"
            lines.append(rf"\newcommand{{{macro_name(place, name)}}}{{{text}}}% {value.source}")
            bare = rf"\ensuremath{{{shown(value, quantity)}}}"
            lines.append(rf"\newcommand{{{macro_name(place, name)}Value}}{{{bare}}}")
        told = planet_probabilities(document)
        for name in ("fpp", "nfpp"):
            if told[name] is not None:
                text = rf"\ensuremath{{{_probability(told[name])}}}"
                lines.append(rf"\newcommand{{{macro_name(place, name)}}}{{{text}}}")
    return lines


def _comment(text: object) -> str:
    """A text behind ``%``: one line, whatever it holds."""
    return "".join(letter if letter.isprintable() and letter.isascii() else " " for letter in str(text))


def table(documents: Sequence[Document], journal: str, version: str) -> str:
    """The macros and the table, to be read in with ``\\input``.

    Parameters
    ----------
    documents : sequence of mappings
        Evidence, in the order of the rows.
    journal : str
        One of ``JOURNALS``.
    version : str
        Of the hunter.

    Raises
    ------
    ValueError
        For another journal.
    """
    if journal not in JOURNALS:
        raise ValueError(f"journal {journal!r}: one of {', '.join(JOURNALS)}")
    columns = [quantity for quantity in QUANTITIES if quantity.name in IN_TABLE]
    has_fpp = any(planet_probabilities(document)["fpp"] is not None for document in documents)
    heads = ["Target", *(f"${quantity.symbol}$" for quantity in columns), *(["FPP"] if has_fpp else [])]
    units = ["", *(_head_unit(quantity) for quantity in columns), *([""] if has_fpp else [])]
    rows = [_cells(place, document, columns, has_fpp) for place, document in enumerate(documents, start=1)]
    made = {"aastex": _aastex, "mnras": _mnras, "aa": _aa}[journal]
    lines = [
        f"% Transit candidates by transit-hunter {_comment(version)}; each macro says whose value it is.",
        *macros(documents),
        *made(heads, units, rows, _notes(documents)),
    ]
    return "\n".join(lines) + "\n"


def _head_unit(quantity: Quantity) -> str:
    return f"(${quantity.latex_unit}$)" if quantity.latex_unit else ""


def _cells(place: int, document: Document, columns: Sequence[Quantity], has_fpp: bool) -> list[str]:
    best = measured(document)
    cells = [macro_name(place, "name")]
    cells += [f"{macro_name(place, quantity.name)}Value" if quantity.name in best else UNKNOWN for quantity in columns]
    if has_fpp:
        known = planet_probabilities(document)["fpp"] is not None
        cells.append(macro_name(place, "fpp") if known else UNKNOWN)
    return cells


def _notes(documents: Sequence[Document]) -> str:
    """What stands below the table: which values are no fit's."""
    loose = [place for place, document in enumerate(documents, 1) if document["fit"].get("status") != "done"]
    if loose and len(loose) == len(documents):
        return "Values and errors of the search: no fit converged."
    said = "Medians with 16th and 84th percentiles."
    named = ", ".join(macro_name(place, "name") + "{}" for place in loose)
    return said + (f" Values of the search, where no fit converged: {named}." if loose else "")


CAPTION = "Transit candidates"
LABEL = "tab:candidates"
ROOM = r"\renewcommand{\arraystretch}{1.4}"  # for the errors above and below


def _aastex(heads: Sequence[str], units: Sequence[str], rows: Sequence[Sequence[str]], notes: str) -> list[str]:
    named = [rf"\colhead{{{head}}}" for head in heads]
    below = [rf"\colhead{{{unit}}}" for unit in units]
    return [
        rf"\begin{{deluxetable*}}{{l{'c' * (len(heads) - 1)}}}",
        rf"\tabletypesize{{\scriptsize}}{ROOM}",
        rf"\tablecaption{{{CAPTION}\label{{{LABEL}}}}}",
        rf"\tablehead{{{' & '.join(named)} \\ {' & '.join(below)}}}",
        r"\startdata",
        *_body(rows, last=False),
        r"\enddata",
        rf"\tablecomments{{{notes}}}",
        r"\end{deluxetable*}",
    ]


def _mnras(heads: Sequence[str], units: Sequence[str], rows: Sequence[Sequence[str]], notes: str) -> list[str]:
    return [
        r"\begin{table*}",
        rf"\caption{{{CAPTION}. {notes}}}",
        rf"\label{{{LABEL}}}",
        rf"\scriptsize\setlength{{\tabcolsep}}{{3pt}}{ROOM}",
        rf"\begin{{tabular}}{{l{'c' * (len(heads) - 1)}}}",
        r"\hline",
        rf"{' & '.join(heads)} \\",
        rf"{' & '.join(units)} \\",
        r"\hline",
        *_body(rows, last=True),
        r"\hline",
        r"\end{tabular}",
        r"\end{table*}",
    ]


def _aa(heads: Sequence[str], units: Sequence[str], rows: Sequence[Sequence[str]], notes: str) -> list[str]:
    return [
        r"\begin{table*}",
        rf"\caption{{{CAPTION}.}}",
        rf"\label{{{LABEL}}}",
        r"\centering",
        rf"\scriptsize\setlength{{\tabcolsep}}{{3pt}}{ROOM}",
        rf"\begin{{tabular}}{{l{'c' * (len(heads) - 1)}}}",
        r"\hline\hline",
        rf"{' & '.join(heads)} \\",
        rf"{' & '.join(units)} \\",
        r"\hline",
        *_body(rows, last=True),
        r"\hline",
        r"\end{tabular}",
        rf"\tablefoot{{{notes}}}",
        r"\end{table*}",
    ]


def _body(rows: Sequence[Sequence[str]], last: bool) -> list[str]:
    """The rows; AASTeX wants no line break after the last."""
    lines = [" & ".join(cells) for cells in rows]
    return [line + (r" \\" if last or place < len(lines) else "") for place, line in enumerate(lines, start=1)]
