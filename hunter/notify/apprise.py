"""Whatever apprise knows: mail, ntfy, Matrix, Telegram and a hundred others. An extra: transit-hunter[notify]."""

from hunter.masking import place
from hunter.notify.letter import Letter, NotSent

MISSING = "apprise is not installed: pip install 'transit-hunter[notify]'"


def send(address: str, letter: Letter, limit: float) -> str:
    """Hand the letter to apprise; its key stands in the last line, where a person's eye finds a repetition.

    Raises
    ------
    NotSent
        If apprise is not installed, does not know the address, or was not obeyed.
    """
    try:
        import apprise
    except ImportError:
        raise NotSent(MISSING) from None
    where = place(address)
    door = apprise.Apprise()
    if not door.add(address):
        raise NotSent(f"{where}: apprise does not know such an address")
    body = f"{letter.text}\n[{letter.key}]"
    if not door.notify(body=body, title=f"hunter: {letter.kind}", body_format=apprise.NotifyFormat.TEXT):
        raise NotSent(f"{where}: the service did not take it")
    return "taken"
