"""What goes out, the same for every channel, and what can go wrong with it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from state.rows import OwedMessage

SCHEMA = 1


class NotSent(Exception):
    """A channel did not take a message; the text says why, without secrets.

    ``wait``: seconds after which the receiver wants to be asked again, where it said so.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as it is sent; a second sending is the same to the byte."""

    key: str  # the same in every sending: a receiver that has seen it drops the second
    kind: str
    text: str  # one line
    hunt: str
    at: str  # UTC, when it was written
    body: dict[str, Any]

    def as_json(self) -> bytes:
        whole = {
            "schema": SCHEMA,
            "key": self.key,
            "kind": self.kind,
            "hunt": self.hunt,
            "at": self.at,
            "text": self.text,
            "body": self.body,
        }
        return json.dumps(whole, ensure_ascii=False, allow_nan=False).encode()


def letter_of(owed: OwedMessage) -> Letter:
    payload = owed.message.payload
    at = datetime.fromtimestamp(owed.created_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Letter(
        owed.message.dedup,
        owed.message.kind,
        str(payload.get("text", owed.message.kind)),
        str(payload.get("hunt", "")),
        at,
        dict(payload.get("body", {})),
    )
