"""The words in which a person decides on a candidate."""

import difflib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One word of the vocabulary."""

    name: str
    alias: str
    meaning: str


DECISIONS = (
    Decision("planet_candidate", "pc", "looks like a planet and deserves follow-up"),
    Decision("known_planet", "kp", "a planet that is already confirmed or listed"),
    Decision("eclipsing_binary", "eb", "two stars eclipsing, on target"),
    Decision("nearby_eclipse", "neb", "the dip belongs to another star in the aperture"),
    Decision("false_positive", "fp", "a real astrophysical dip that is not a planet of this star"),
    Decision("false_alarm", "fa", "no astrophysical dip: instrument, systematics or noise"),
    Decision("variable", "v", "stellar variability: spots, pulsations, flares"),
    Decision("unsure", "u", "looked at, not decided: say what would decide it"),
)

NAMES = {decision.name: decision for decision in DECISIONS}
ALIASES = {decision.alias: decision for decision in DECISIONS}


class InvalidDecision(ValueError):
    """A word outside the vocabulary; the message is one line for the terminal."""


def parse_decision(word: str) -> str:
    """The full name of a decision given by name or alias, in any case, with ``-`` or spaces for ``_``.

    Raises
    ------
    InvalidDecision
        With the nearest word and the whole vocabulary, in one line.
    """
    asked = "_".join(word.strip().lower().replace("-", " ").split())
    asked = asked.replace("__", "_")
    if asked in NAMES:
        return asked
    if asked in ALIASES:
        return ALIASES[asked].name
    near = difflib.get_close_matches(asked, [*NAMES, *ALIASES], n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    known = ", ".join(f"{item.name} [{item.alias}]" for item in DECISIONS)
    shown = repr(word if len(word) <= 40 else word[:40] + "…")
    raise InvalidDecision(f"unknown decision {shown}{hint}; one of: {known}")


def command(name: str, word: str = "planet_candidate") -> str:
    """The command that records a decision on a candidate, safe to paste into a shell."""
    return f"hunter review {shlex.quote(name)} --decision {NAMES[parse_decision(word)].alias} --reason 'why'"


def vocabulary() -> str:
    """The vocabulary as lines for a terminal."""
    width = max(len(item.name) for item in DECISIONS)
    return "\n".join(f"{item.alias:>4}  {item.name:<{width}}  {item.meaning}" for item in DECISIONS)


def format_decisions(rows: list[Mapping[str, object]]) -> str:
    """Past decisions on one candidate as lines for a terminal, oldest first.

    Parameters
    ----------
    rows : list of mappings
        Each with ``decision``, ``because``, ``reviewer`` and ``at`` (ISO text), in order of time.
    """
    if not rows:
        return "not reviewed yet"
    width = max(len(str(row["decision"])) for row in rows)
    lines = []
    for row in rows:
        because = " ".join(str(row.get("because") or "").split())
        reason = f": {because}" if because else ""
        word = f"{_one_line(row['decision']):<{width}}"
        lines.append(f"{_one_line(row['at'])}  {word}  by {_one_line(row['reviewer'])}{reason}")
    return "\n".join(printable(line) for line in lines)


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def printable(text: str) -> str:
    """The text without control characters, so that nothing stored can steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
