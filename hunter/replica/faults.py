"""What can go wrong between an archive and a client, and when it does.

A `Fault` changes a file, a document or the way a reply goes over the wire. A `Plan` says which request it hits: the
n-th of a route, the n-th for one file, a share drawn from a seed. An `Outage` takes the whole host away for a while.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the plan sees it."""

    method: str
    # download, s3, s3-list, script, invoke, columnsconfig, targets, resolver, tap, toi, ctoi, tesscut, models, none
    route: str
    path: str  # with its query
    name: str  # of the file or document asked for: "" where the route has but one
    body: str
    range: str  # as sent, "" without
    hit: int  # how many requests of this method and route there were, this one included
    hit_of_name: int  # how many of this method, route and name
    time: float  # seconds by the clock of the replica


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, and how it goes over the wire."""

    status: int = 200
    headers: Headers = ()  # without Content-Length, which follows from the rest
    body: bytes = b""
    length: int | None = None  # the Content-Length told; None for the true one
    framing: str = "length"  # "length", "chunked", or "close": neither length nor chunks, the end ends it
    silent: bool = False  # the connection is reset before a byte is sent
    reset_after: int | None = None  # bytes of the body after which the connection is reset
    stop_after: int | None = None  # bytes of the body after which it is closed as if all were well
    wait: float = 0.0  # seconds of silence before the first byte
    header_pause: float = 0.0  # seconds between the lines of the header
    piece: int = 0  # bytes of body sent at a time, 0 for all at once
    pause: float = 0.0  # seconds between pieces

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def with_header(self, name: str, value: str | None) -> "Reply":
        """The reply with a header set, or without it for None."""
        kept = tuple(item for item in self.headers if item[0].lower() != name.lower())
        return replace(self, headers=kept if value is None else (*kept, (name, value)))


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong; each part that is None leaves its thing alone."""

    name: str
    file: Callable[[bytes], bytes] | None = None  # the whole file, before a range is cut out of it
    document: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # a reply of the portal
    reply: Callable[[Request, Reply], Reply] | None = None  # the finished reply


class Plan(Protocol):
    """When things go wrong."""

    def fault(self, request: Request) -> Fault | None:
        """What hits this request."""
        ...

    def down(self, now: float) -> bool:
        """Whether the whole host is away."""
        ...


class Calm:
    """Nothing goes wrong."""

    def fault(self, request: Request) -> Fault | None:
        return None

    def down(self, now: float) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault and the requests it hits; every condition given must hold."""

    fault: Fault
    route: str = ""  # any
    method: str = ""  # any
    hits: Collection[int] | None = None  # which requests of the route, from 1; None for all
    of_name: bool = False  # count hits for each file by itself
    names: Collection[str] | None = None  # only these files
    share: float = 1.0  # of the requests so far matched, by chance
    seed: int = 1

    def matches(self, request: Request) -> bool:
        if (self.route and request.route != self.route) or (self.method and request.method != self.method):
            return False
        if self.names is not None and request.name not in self.names:
            return False
        number = request.hit_of_name if self.of_name else request.hit
        if self.hits is not None and number not in self.hits:
            return False
        if self.share >= 1:
            return True
        chance = random.Random(f"{self.seed} {request.method} {request.route} {request.name} {number}").random()
        return chance < self.share


@dataclass(frozen=True, slots=True)
class Outage:
    """The host is away from one time to another, by the clock of the replica."""

    begin: float
    end: float


class Rules:
    """The first rule that matches, and outages.

    Examples
    --------
    >>> plan = Rules(Rule(unavailable("120"), route="download", hits={3, 4}))
    """

    def __init__(self, *rules: Rule, outages: Sequence[Outage] = ()) -> None:
        self.rules = rules
        self.outages = list(outages)
        self.hits: Counter[str] = Counter()  # how often each fault struck, by its name
        self._lock = threading.Lock()

    def fault(self, request: Request) -> Fault | None:
        for rule in self.rules:
            if rule.matches(request):
                with self._lock:
                    self.hits[rule.fault.name] += 1
                return rule.fault
        return None

    def down(self, now: float) -> bool:
        return any(outage.begin <= now < outage.end for outage in self.outages)


class Weather(Rules):
    """A night as it may be: a share of all requests meets a fault drawn from a list, each file at most so often.

    The draw depends on the seed, the file and the number of the attempt alone, so that one night is like another
    however the requests are ordered; ``most`` bounds how often in a row one file is hit, so that a client that
    tries again ends with it.
    """

    def __init__(
        self,
        share: float = 0.05,
        seed: int = 1,
        faults: Sequence[Fault] | None = None,
        routes: Collection[str] = ("download", "s3"),
        most: int = 3,
        outages: Sequence[Outage] = (),
    ) -> None:
        super().__init__(outages=outages)
        self._share, self._seed, self._most = share, seed, most
        self._faults = tuple(passing() if faults is None else faults)
        self._routes = frozenset(routes)

    def fault(self, request: Request) -> Fault | None:
        if request.route not in self._routes or request.hit_of_name > self._most:
            return None
        draw = random.Random(f"{self._seed} {request.route} {request.name} {request.hit_of_name}")
        if draw.random() >= self._share:
            return None
        fault = draw.choice(self._faults)
        with self._lock:
            self.hits[fault.name] += 1
        return fault


# faults that pass: what a benchmark and a demonstration need; those that stay are built in the tests


def passing() -> list[Fault]:
    """Faults after which the same request succeeds."""
    return [
        unavailable(), unavailable("1"), status_page(500), status_page(502), status_page(504), reset(), cut(0.5),
        short(0.7), flipped(), html(),
    ]  # fmt: skip


def unavailable(retry_after: str | None = None, status: int = 503) -> Fault:
    """503 or 429, with a Retry-After as given."""

    def reply(request: Request, sound: Reply) -> Reply:
        page = Reply(status, (("Content-Type", "text/html"),), b"<html><body>Service Unavailable</body></html>\n")
        return page if retry_after is None else page.with_header("Retry-After", retry_after)

    return Fault(f"{status}" + ("" if retry_after is None else f" after {retry_after}"), reply=reply)


def status_page(status: int) -> Fault:
    """A status with the page of a web server."""
    from hunter.replica.pages import error_page

    body = error_page(
        status, {500: "Internal Server Error", 502: "Bad Gateway", 504: "Gateway Timeout"}.get(status, "")
    )
    return Fault(str(status), reply=lambda request, sound: Reply(status, (("Content-Type", "text/html"),), body))


def reset() -> Fault:
    """The connection is reset before a byte of the reply."""
    return Fault("reset", reply=lambda request, sound: replace(sound, silent=True))


def cut(share: float) -> Fault:
    """The connection is reset within the body."""
    return Fault("cut", reply=lambda request, sound: replace(sound, reset_after=int(len(sound.body) * share)))


def short(share: float) -> Fault:
    """The body ends early in good order, though the right Content-Length was told."""
    return Fault("short", reply=lambda request, sound: replace(sound, stop_after=int(len(sound.body) * share)))


def flipped(share: float = 0.6, bit: int = 3) -> Fault:
    """One bit of the file is another."""

    def file(whole: bytes) -> bytes:
        place = int(len(whole) * share)
        return whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :] if whole else whole

    return Fault("flipped", file=file)


def html() -> Fault:
    """A page of words with status 200 in place of the file."""
    body = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon</body></html>\n"
    return Fault("html", reply=lambda request, sound: Reply(200, (("Content-Type", "text/html"),), body))
