"""Secrets never leave in a line: passwords and tokens are covered before anything is logged, shown or sent."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

COVER = "***"
_NAMES = (
    r"(?:[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|signature)"
    r"|authorization|pwd|auth|sig)"
)
_KEY = re.compile(_NAMES, re.I)
# user:password@, also where the password holds an @; and a bare token@ as some services want it
_ACCOUNT = re.compile(r"(?<=://)([^\s/@:\"']*):[^\s/\"']*@")
_PAIR = re.compile(rf"(?i)(\b{_NAMES}\b[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic|token)\s+)?)([^\s\"'&,;}}]+)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w+/=.~-]{8,}")


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Cover the passwords of URLs, values named like a secret, and the given secrets word for word.

    Parameters
    ----------
    text : str
    secrets : iterable of str
        Whole secrets known from the settings, such as the addresses of channels: their tokens stand in the path,
        where nothing marks them.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, place(secret))
    text = _ACCOUNT.sub(rf"\1:{COVER}@", text)
    text = _BEARER.sub(rf"\1 {COVER}", text)
    return _PAIR.sub(rf"\1{COVER}", text)


def masked(value: Any, secrets: Iterable[str] = (), name: str = "") -> Any:
    """The same value with every secret in it covered, however deep; ``name`` is what the value is called."""
    if (
        name
        and value not in (None, "")
        and _KEY.fullmatch(name)
        and not isinstance(value, Mapping | bool | int | float)
    ):
        return COVER
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, Mapping):
        return {key: masked(inner, secrets, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(inner, secrets) for inner in value]
    return value


def place(url: str) -> str:
    """What may be shown of an address whose path may be a secret: ``https://hooks.example.org/***``."""
    try:
        parts = urlsplit(url)
        if not parts.scheme:
            return COVER
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return f"{parts.scheme}://{COVER}"  # elsewhere even the host may be a token
        host, port = parts.hostname, parts.port
    except ValueError:
        return COVER
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}/{COVER}"
