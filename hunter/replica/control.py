"""Steer a replica that runs in a process of its own, over its own port and with a token.

`python -m hunter.replica --control` prints the token; `Remote` sends what a `Catalogue` and a `Replica` would be told.
"""

import hmac
import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hunter.replica.faults import Outage, Rules, Weather

if TYPE_CHECKING:
    from hunter.replica.server import Replica

PATH = "/replica/"
HEADER = "X-Replica-Token"
Verb = Callable[["Replica", Mapping[str, str]], Any]


def allowed(token: str, sent: str | None) -> bool:
    """Whether a request may steer: only where a token was set and is sent."""
    return bool(token) and hmac.compare_digest(token.encode(), (sent or "").encode())


def act(replica: "Replica", verb: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Do what was asked; a mistake is told, not raised."""
    found = VERBS.get(verb)
    if found is None:
        return {"error": f"{verb!r} is none of {', '.join(VERBS)}"}
    try:
        return {"done": found(replica, query)}
    except (KeyError, ValueError, ZeroDivisionError) as error:
        return {"error": f"{verb}: {type(error).__name__} {error}"}


class Remote:
    """A replica in another process.

    Parameters
    ----------
    url, token : str
        As that process printed them.

    Raises
    ------
    ValueError
        From every method, with what the replica said, if it refused.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token

    def release(self, sector: int, fraction: float = 1.0) -> int:
        return self._ask("release", sector=sector, fraction=fraction)

    def publish_script(self, sector: int) -> None:
        self._ask("publish_script", sector=sector)

    def publish_targets(self, sector: int) -> None:
        self._ask("publish_targets", sector=sector)

    def reprocess(self, sector: int, share: float = 1.0) -> int:
        """Reprocess a share of the stars of a sector."""
        return self._ask("reprocess", sector=sector, share=share)

    def withdraw(self, tic: int) -> int:
        return self._ask("withdraw", tic=tic)

    def weather(self, share: float, seed: int = 1) -> None:
        """Let a share of all downloads go wrong; outages that were planned stay."""
        self._ask("weather", share=share, seed=seed)

    def outage(self, seconds: float, after: float = 0.0) -> None:
        """Take the host away for so long, from so many seconds on."""
        self._ask("outage", seconds=seconds, after=after)

    def summary(self) -> dict[str, Any]:
        """See `Replica.summary`."""
        return self._ask("summary")

    def _ask(self, verb: str, **values: object) -> Any:
        request = urllib.request.Request(
            self.url + PATH + verb, urlencode(values).encode(), {HEADER: self._token, "Connection": "close"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            told = json.load(reply)
        if "error" in told:
            raise ValueError(told["error"])
        return told["done"]


def _reprocess(replica: "Replica", query: Mapping[str, str]) -> int:
    sector = int(query["sector"])
    stars = sorted({entry.tic for entry in replica.catalogue.visible(sector)})
    return replica.catalogue.reprocess(sector, set(stars[: round(len(stars) * float(query.get("share", "1")))]))


def _weather(replica: "Replica", query: Mapping[str, str]) -> None:
    outages = replica.plan.outages if isinstance(replica.plan, Rules) else []
    replica.plan = Weather(float(query["share"]), int(query.get("seed", "1")), outages=outages)


def _outage(replica: "Replica", query: Mapping[str, str]) -> None:
    begin = replica.clock() + float(query.get("after", "0"))
    if not isinstance(replica.plan, Rules):
        replica.plan = Rules()
    replica.plan.outages.append(Outage(begin, begin + float(query["seconds"])))


VERBS: dict[str, Verb] = {
    "release": lambda replica, query: replica.catalogue.release(
        int(query["sector"]), float(query.get("fraction", "1"))
    ),
    "publish_script": lambda replica, query: replica.catalogue.publish_script(int(query["sector"])),
    "publish_targets": lambda replica, query: replica.catalogue.publish_targets(int(query["sector"])),
    "reprocess": _reprocess,
    "withdraw": lambda replica, query: replica.catalogue.withdraw(int(query["tic"])),
    "weather": _weather,
    "outage": _outage,
    "summary": lambda replica, query: replica.summary(),
}
