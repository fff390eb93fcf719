"""Who is hunted first: a person's list, then the first product, then hosts of known planets, then the bright."""

from collections.abc import Collection
from pathlib import Path

from hunter.archives.identity import catalogue_number
from hunter.archives.settings import WatchSettings
from hunter.catalogues import catalogues_of
from hunter.settings import Settings, SettingsError
from pipeline.types import Star

FAVOURITE = 1000.0
PRODUCT = 100.0  # for each place that a product stands before the last
KNOWN_HOST = 50.0
FAINTEST = 20.0  # magnitude; a star counts as much as it is brighter, which is below 22


class Ranking:
    """Gives the priority of a target; larger is earlier.

    Raises
    ------
    hunter.settings.SettingsError
        If the list of favourites cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        watch: WatchSettings = settings.watch
        self._favourites = read_favourites(Path(watch.favourites)) if watch.favourites else frozenset[str]()
        self._hosts = {str(tic) for tic in catalogues_of(settings.home).hosts()}
        self._places: dict[str, int] = {name: place for place, name in enumerate(reversed(watch.products))}

    def __call__(self, key: str, products: Collection[str], star: Star) -> float:
        number = key.partition(" ")[0]
        place = max((self._places.get(product, 0) for product in products), default=0)
        brightness = 0.0 if star.tmag is None else max(0.0, FAINTEST - star.tmag)
        return (
            FAVOURITE * (number in self._favourites)
            + PRODUCT * place
            + KNOWN_HOST * (number in self._hosts)
            + brightness
        )


def read_favourites(path: Path) -> frozenset[str]:
    """The numbers in a file with one TIC a line; ``#`` begins a comment.

    Raises
    ------
    SettingsError
        Naming the line that is none.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"[watch] favourites: {path} cannot be read: {error}") from None
    found = set()
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        star = catalogue_number(text)
        if star is None:
            raise SettingsError(f"{path}:{number}: {text!r} is no TIC: write one number a line")
        found.add(star)
    return frozenset(found)
