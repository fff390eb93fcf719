"""Read and check evidence documents; imports nothing heavy, so that light commands stay light."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

SCHEMA_VERSION = "1.3"
SCHEMA_ID = "https://transit-hunter.example/schema/evidence-1.3.json"  # a name, never fetched
SCHEMA_FILE = Path(__file__).with_name("schema.json")

Document = dict[str, Any]


class BadEvidence(ValueError):
    """A document that does not follow the schema; the message names the place and the rule."""


def refuse_constant(text: str) -> float:
    """NaN, Infinity and -Infinity are Python's, not JSON's."""
    raise BadEvidence(f"the document holds {text}, which JSON does not have: a value that is unknown is null")


def parse(text: str | bytes) -> Document:
    """Parse one evidence document.

    Raises
    ------
    BadEvidence
        If the text is not JSON, not an object, or holds NaN or Infinity.
    """
    try:
        document = json.loads(text, parse_constant=refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadEvidence(f"not a JSON document: {error}") from error
    if not isinstance(document, dict):
        raise BadEvidence(f"the document is a {type(document).__name__}, not an object")
    return document


def read(path: Path) -> Document:
    """Read one evidence file; raises BadEvidence with the path, or OSError."""
    try:
        return parse(path.read_bytes())
    except BadEvidence as error:
        raise BadEvidence(f"{path}: {error}") from error


@lru_cache(maxsize=1)
def schema() -> Document:
    """The published JSON Schema (2020-12) of an evidence document."""
    return json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _validator() -> Any:
    import jsonschema  # 0.1 s, and only checks need it

    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def validate(document: Document) -> None:
    """Hold a document to the schema.

    Raises
    ------
    BadEvidence
        Naming the first place that breaks a rule, and the rule.
    """
    try:
        json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise BadEvidence(f"the document holds NaN or Infinity: {error}") from error
    problems = sorted(_validator().iter_errors(document), key=lambda problem: list(map(str, problem.absolute_path)))
    if problems:
        place = ".".join(str(part) for part in problems[0].absolute_path) or "the document"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BadEvidence(f"{place}: {problems[0].message}{more}")
