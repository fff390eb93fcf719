"""A webhook: the message as JSON by POST, its key in the header ``Idempotency-Key`` and in the JSON."""

from hunter import __version__
from hunter.masking import place
from hunter.notify.letter import Letter, NotSent

LONGEST_WAIT = 86_400.0  # seconds; a receiver that wants more is asked daily


def send(address: str, letter: Letter, limit: float) -> str:
    """Post the letter; returns what was answered.

    Raises
    ------
    NotSent
        For every answer but 2xx, and for none within ``limit`` seconds.
    """
    import requests  # a third of a second, which only those who send pay

    where = place(address)
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": letter.key,
        "User-Agent": f"hunter/{__version__}",
    }
    try:
        # a redirect would turn the POST into a GET; the body of the answer is not read
        with requests.post(
            address, data=letter.as_json(), headers=headers, timeout=limit, allow_redirects=False, stream=True
        ) as answer:
            code, reason, again = answer.status_code, answer.reason or "", answer.headers.get("Retry-After", "")
    except requests.exceptions.SSLError:
        raise NotSent(f"{where}: its certificate is not accepted") from None
    except requests.exceptions.Timeout:
        raise NotSent(f"{where}: no answer within {limit:g} s") from None
    except requests.exceptions.ConnectionError:
        raise NotSent(f"{where}: cannot be reached") from None
    except (requests.exceptions.RequestException, ValueError) as error:
        raise NotSent(f"{where}: {type(error).__name__}") from None  # its words may hold the address
    if 200 <= code < 300:
        return f"{code} {reason}".strip()
    wait = min(float(again), LONGEST_WAIT) if again.isascii() and again.isdigit() else None
    moved = ": give the address it leads to" if 300 <= code < 400 else ""
    raise NotSent(f"{where} answered {code} {reason}".strip() + moved, wait)
