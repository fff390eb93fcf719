"""The only way out to the network, shared by all threads of one process.

astroquery goes through it (its sessions get our adapter) and so do our own downloads, so that one place holds the
manners: at most three connections at any instant, at most two queries a second, a Retry-After obeyed by everybody who
asks that host, a host that does not answer left alone, every exchange ended at its deadline, one User-Agent.

The retries are our own and not those of urllib3 or stamina: a wait belongs to the host and not to the request that was
told to wait, it must not hold a connection, and the body counts as part of the exchange.
"""

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

import hunter
from hunter.network.errors import ArchiveUnavailable, Busy, Denied, Faltered, Missing, shown
from hunter.network.hosts import Host, Memory, Store
from hunter.network.manners import Spacing, Turnstile, back_off, retry_after
from hunter.network.settings import NetworkSettings

log = logging.getLogger(__name__)

PORTAL, FILES = "portal", "files"  # queries, which are counted by the second; bytes
MOST_HOPS = 5  # redirects followed
PIECE = 2**16  # bytes read at a time
LARGEST_BODY = 512 * 2**20  # bytes, unpacked
SLOW_GRACE = 60.0  # seconds before the rate of a body is judged
POLL_SECONDS = 2.0  # between two looks at a query that is still executing
POLLS_SECONDS = 600.0  # for all of them
SHORT_REPLY = 10_000  # bytes; what is longer holds data and is not still executing
AGAIN = (408, 425, 429)  # beside all from 500 on: another attempt may succeed
CONDITIONS = (412, 416)  # answers to what was asked under a condition
WEB_PAGE = (b"<!doctype html", b"<html", b"<head")


class Door:
    """The way out.

    Parameters
    ----------
    settings : NetworkSettings
    store : Store, optional
        Where it is kept that a host is down or asked to wait, so that a restart knows it; by default nowhere.
    clock : callable
        Seconds that only go forward.
    now : callable
        Seconds since 1970.
    sleep : callable
        Waits for so many seconds.
    draw : callable
        A random number from 0 to 1.

    Examples
    --------
    >>> door = Door(settings.network, store)
    >>> door.ask("https://archive.stsci.edu/missions/tess/download_scripts/sector/tesscurl_sector_1_lc.sh").text
    >>> door.mount(Observations._session)          # astroquery asks through the door
    >>> with door.stream(url) as reply:            # bytes as they come; one attempt
    ...     for piece in reply.pieces(): ...
    """

    def __init__(
        self,
        settings: NetworkSettings = NetworkSettings(),
        store: Store | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.clock, self.now, self.sleep, self.draw = clock, now, sleep, draw
        contact = f" (+{settings.contact})" if settings.contact else ""
        self.user_agent = f"transit-hunter/{hunter.__version__}{contact}"
        self._store: Store = Memory() if store is None else store
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()
        self._turnstile = Turnstile(settings.connections)
        self._spacing = Spacing(settings.queries_per_second, clock, sleep)
        self._wire = _Wire(settings.connections)
        # it would log whole addresses, and a query may hold a token
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

    # ---- asking

    def ask(self, url: str, *, method: str = "GET", kind: str = PORTAL, **more: Any) -> requests.Response:
        """Ask, and give the whole reply; ``more`` (params, data, headers) is for ``requests``.

        Returns
        -------
        requests.Response
            Of status 200 to 399, 412 or 416; its body has been read and unpacked.

        Raises
        ------
        Missing
            For 404 and 410.
        ArchiveUnavailable
            And its kinds in ``hunter.network.errors``.
        """
        with self.asking(), self.session(kind) as session:
            return session.request(method, url, **more)

    def session(self, kind: str = PORTAL, attempts: int | None = None) -> requests.Session:
        """A session whose every request goes through the door; raises as ``ask`` does, inside ``asking()``.

        Parameters
        ----------
        kind : "portal" or "files"
            Queries are counted by the second, and a web page in place of an answer is asked for again; files not.
        attempts : int, optional
            For one request, in place of ``[network] attempts``: 1 for what must not be done twice.
        """
        session = requests.Session()
        self._mount(session, _Adapter(self, kind, attempts or self.settings.attempts))
        return session

    def mount(self, session: requests.Session, kind: str = PORTAL) -> None:
        """Let a session of somebody else go through the door: those of astroquery's Observations, Mast, Catalogs."""
        self._mount(session, _Adapter(self, kind, self.settings.attempts))

    def _mount(self, session: requests.Session, adapter: "_Adapter") -> None:
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.max_redirects = MOST_HOPS
        session.headers["User-Agent"] = self.user_agent

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turn what requests raises by itself into ArchiveUnavailable, without the address it would show."""
        try:
            yield
        except requests.TooManyRedirects as error:
            place = shown(error.response.url) if error.response is not None and error.response.url else "the archive"
            raise ArchiveUnavailable(f"{place} was redirected more than {MOST_HOPS} times") from None
        except requests.RequestException as error:
            url = getattr(error.request, "url", None)
            place = shown(url) if url else "the archive"
            raise ArchiveUnavailable(f"{place}: {_reason(error)}") from None

    @contextmanager
    def stream(self, url: str, headers: dict[str, str] | None = None) -> Iterator["Reply"]:
        """Ask for a file once and hand out its bytes as they come; the connection is held until the block ends.

        Raises
        ------
        Faltered
            If this one attempt failed; the caller decides what to do about it (``faltered``).
        Missing, ArchiveUnavailable
            As ``ask``.
        """
        with requests.Session() as session:
            self._mount(session, _Adapter(self, FILES, 1))
            with self.asking():
                response = session.get(url, headers=headers, stream=True)
            with response:
                yield Reply(self, response, self.clock())

    def faltered(self, url: str, attempt: int) -> None:
        """Wait after the ``attempt``-th failure in a row, and spare a host that has failed twice."""
        if attempt >= 2:
            self.host(url).slow()
        self.sleep(back_off(attempt - 1, self.draw))

    def host(self, url: str) -> Host:
        """What is known of the host of an address."""
        parts = urlsplit(url)
        usual = {"https": 443, "http": 80}.get(parts.scheme)
        port = "" if parts.port in (None, usual) else f":{parts.port}"
        name = f"{(parts.hostname or '').lower()}{port}"
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = Host(name, self.settings, self._store, self.clock, self.now)
            return self._hosts[name]

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._wire.close()

    # ---- one request

    def send(
        self, request: requests.PreparedRequest, kind: str, attempts: int, stream: bool, **more: Any
    ) -> requests.Response:
        """Send a prepared request until it succeeds, or raise; adapters call it."""
        url = request.url or ""
        request.headers["User-Agent"] = self.user_agent
        waited, failures = 0.0, 0
        polled_since: float | None = None
        while True:
            try:
                response = self._attempt(request, kind, stream, more)
            except _ToldToWait as told:
                waited += told.seconds
                if waited > self.settings.patience_seconds:
                    raise self._busy(url) from None
                continue
            except Faltered as error:
                failures += 1
                self.host(url).check()  # it may be down by now: then no attempt is left
                if failures >= attempts:
                    tried = f" ({failures} attempts)" if failures > 1 else ""
                    raise Faltered(f"{error}{tried}") from None
                log.info("%s: attempt %d of %d", error, failures, attempts)
                self.faltered(url, failures)
                continue
            if kind != PORTAL or stream or not _still_executing(response):
                return response
            failures = 0
            polled_since = self.clock() if polled_since is None else polled_since
            if self.clock() - polled_since > POLLS_SECONDS:
                raise ArchiveUnavailable(f"{shown(url)} was still executing after {POLLS_SECONDS / 60:.0f} min")
            self.sleep(POLL_SECONDS)

    def _attempt(
        self, request: requests.PreparedRequest, kind: str, stream: bool, more: dict[str, Any]
    ) -> requests.Response:
        """One exchange, from the wait for a place to the last byte of the body."""
        url = request.url or ""
        host = self.host(url)
        self._enter(host, kind, url)
        leave = _once(lambda: self._turnstile.leave(host.name))
        try:
            begin = self.clock()
            response = self._exchange(request, host, more)
            if stream and response.status_code in (200, 206):
                _on_close(response, leave)  # whoever reads the body holds the place
                return response
            try:
                body = self.body(response, begin)
            finally:
                response.close()
            if kind == PORTAL and response.status_code == 200:
                _refuse_web_page(body, url)
        except BaseException:
            leave()
            raise
        leave()
        # what requests itself sets when a body has been read
        response._content, response._content_consumed = body, True
        return response

    def _enter(self, host: Host, kind: str, url: str) -> None:
        """Wait until a request to the host may leave, and let it; the turnstile is to be left afterwards."""
        while True:
            host.check()
            wait = host.wait()
            if wait > self.settings.patience_seconds:
                raise self._busy(url)
            if wait > 0:
                self.sleep(wait)
                continue
            self._turnstile.enter(host.name, host.limit)
            try:
                if kind == PORTAL:
                    self._spacing.wait()
                if host.wait() <= 0:  # it may have asked others to wait in the meantime
                    host.begin()
                    return
            except BaseException:
                self._turnstile.leave(host.name)
                raise
            self._turnstile.leave(host.name)

    def _exchange(self, request: requests.PreparedRequest, host: Host, more: dict[str, Any]) -> requests.Response:
        """Send the request, read the headers, and judge them; tells the host how it fared."""
        url = request.url or ""
        timeout = (self.settings.connect_seconds, self.settings.read_seconds)
        try:
            response = self._wire.send(request, stream=True, **{**more, "timeout": timeout})
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            host.failed(_reason(error))
            raise Faltered(f"{shown(url)}: {_reason(error)}") from None
        except BaseException:
            host.abandoned()
            raise
        try:
            self._judge(response, host, url)
        except BaseException as error:
            said = self._finish(response)
            if "json" in response.headers.get("Content-Type", ""):
                error.add_note(said[:PIECE].decode("utf-8", "replace"))  # why, for whoever knows how to read it
            raise
        return response

    def _finish(self, response: requests.Response) -> bytes:
        """Read what a refusal says, so that its connection serves the next request; what is long is cut off."""
        said = b""
        try:
            for piece in self.pieces(response, self.clock()):
                said += piece
                if len(said) > PIECE:
                    break
        except ArchiveUnavailable:
            pass  # there is nothing in it that is needed
        finally:
            response.close()
        return said

    def _judge(self, response: requests.Response, host: Host, url: str) -> None:
        status = response.status_code
        answer = f"{shown(url)} answered {status} {response.reason or ''}".rstrip()
        if status in AGAIN or status >= 500:
            told = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"), self.now())
            if told is not None:
                host.answered()
                host.told(told)
                raise _ToldToWait(told)
            if status in (429, 503) and "Retry-After" in response.headers:
                host.slow()  # it asked for something, though not for what can be meant
            host.erred(url, f"{status} {response.reason or ''}".rstrip())
            raise Faltered(answer)
        host.answered()
        if status in (401, 403):
            raise Denied(answer)
        if status in (404, 410):
            raise Missing(answer)
        if status >= 400 and status not in CONDITIONS:
            raise ArchiveUnavailable(answer)
        if response.is_redirect:
            _check_redirect(url, response.headers.get("Location", ""))

    def _busy(self, url: str) -> Busy:
        host = self.host(url)
        return Busy(f"{host.name} asks to be left alone for {host.wait() / 60:.0f} min (Retry-After)", host.until())

    # ---- bodies

    def body(self, response: requests.Response, begin: float) -> bytes:
        """The whole unpacked body of a reply."""
        return b"".join(self.pieces(response, begin))

    def pieces(self, response: requests.Response, begin: float) -> Iterator[bytes]:
        """The body of a reply as it comes, unpacked.

        Raises
        ------
        Faltered
            If the connection broke, the end is missing, the deadline passed, or the bytes come too slowly.
        """
        url, limits = response.url, self.settings
        received = 0
        while True:
            try:
                piece = response.raw.read1(PIECE, decode_content=True)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Faltered(f"{shown(url)}: {_reason(error)} after {received} bytes") from None
            if not piece:
                return
            received += len(piece)
            seconds = self.clock() - begin
            if seconds > limits.deadline_seconds:
                raise Faltered(f"{shown(url)}: {received} bytes in {seconds:.0f} s, and [network] deadline_seconds")
            if seconds > SLOW_GRACE and received < 1000 * limits.rate_floor * seconds:
                raise Faltered(f"{shown(url)}: {received} bytes in {seconds:.0f} s, below [network] rate_floor")
            if received > LARGEST_BODY:
                raise ArchiveUnavailable(f"{shown(url)}: more than {LARGEST_BODY // 2**20} MB")
            yield piece


class Reply:
    """The reply to ``Door.stream``: status and headers are here, the bytes come."""

    def __init__(self, door: Door, response: requests.Response, begin: float) -> None:
        self._door, self._response, self._begin = door, response, begin

    @property
    def status(self) -> int:
        return self._response.status_code

    def header(self, name: str) -> str:
        """A header, "" where it is not there."""
        return self._response.headers.get(name, "").strip()

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they come, unpacked; raises Faltered where they end too early or come too slowly."""
        return self._door.pieces(self._response, self._begin)


class _ToldToWait(Exception):
    """The host gave a Retry-After; it has been noted, and no attempt is counted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = max(1.0, seconds)  # so that patience ends, too, with a host that says 0.01 for ever


class _Adapter(BaseAdapter):
    """What a session calls in place of a connection."""

    def __init__(self, door: Door, kind: str, attempts: int) -> None:
        super().__init__()
        if kind not in (PORTAL, FILES):
            raise ValueError(f"{kind!r} is no kind of session: choose {PORTAL} or {FILES}")
        self._door, self._kind, self._attempts = door, kind, attempts

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request; the limits of the door stand in place of ``timeout``."""
        return self._door.send(
            request, self._kind, self._attempts, stream, verify=verify, cert=cert, proxies=proxies
        )  # fmt: skip

    def close(self) -> None:
        """Nothing: the connections belong to the door, and other sessions use them."""


# ---- connections that end


class _Watch:
    """Breaks a connection on which the headers are not complete in time: a byte now and then keeps a socket awake."""

    def __init__(self, connection: socket.socket | None, seconds: float | None) -> None:
        self._socket = connection
        self._timer = None if seconds is None else threading.Timer(seconds, self._break)
        self.late = False

    def _break(self) -> None:
        self.late = True
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of TLS would forget its own state
            except OSError:
                return  # it is closed already

    def __enter__(self) -> "_Watch":
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _watched(connection: Any, getresponse: Callable[[], Any]) -> Any:
    limit = connection.timeout if isinstance(connection.timeout, int | float) else None
    with _Watch(connection.sock, limit) as watch:
        try:
            response = getresponse()
        except Exception:
            if watch.late:
                raise TimeoutError("the headers did not come in time") from None
            raise
        if watch.late:
            raise TimeoutError("the headers did not come in time")
        return response


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        return _watched(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        return _watched(self, super().getresponse)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Wire(HTTPAdapter):
    """Connections that are kept open, as many as the manners allow."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0, pool_block=True)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


def _once(act: Callable[[], None]) -> Callable[[], None]:
    """The same act, which a second call does not repeat."""
    done = threading.Lock()

    def once() -> None:
        if done.acquire(blocking=False):
            act()

    return once


def _on_close(response: requests.Response, then: Callable[[], None]) -> None:
    """Do something once the response is closed, whoever closes it."""
    close = response.close

    def closed() -> None:
        try:
            close()
        finally:
            then()

    response.close = closed  # type: ignore[method-assign]


# ---- replies that are none


def _check_redirect(url: str, place: str) -> None:
    """Raise ArchiveUnavailable for a redirect that is not to be followed."""
    try:
        target = urlsplit(urljoin(url, place))
        known = target.port is None or bool(target.hostname)
    except ValueError:
        known = False
    if not known or target.scheme not in ("http", "https"):
        raise ArchiveUnavailable(f"{shown(url)} redirects to what is no address of the web")
    if url.startswith("https:") and target.scheme != "https":
        raise ArchiveUnavailable(f"{shown(url)} redirects to an address without encryption: it is not followed")


def _still_executing(response: requests.Response) -> bool:
    """Whether this is the portal's word for "ask again": astroquery would ask again at once, and for ever."""
    body = response.content
    if len(body) > SHORT_REPLY or b"EXECUTING" not in body:
        return False
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("status") == "EXECUTING"


def _refuse_web_page(body: bytes, url: str) -> None:
    """Raise Faltered for a web page, or nothing at all, where an answer was asked for."""
    if not body.strip():
        raise Faltered(f"{shown(url)} answered with nothing")
    if body[:512].lstrip().lower().startswith(WEB_PAGE):
        raise Faltered(f"{shown(url)} answered with a web page where data was asked for")


def _reason(error: BaseException) -> str:
    """Why an exchange did not come about, in words that hold no address."""
    seen: set[int] = set()
    chain: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        chain.append(one)
        inner = (getattr(one, "reason", None), one.__cause__, one.__context__, *one.args)
        waiting += [item for item in inner if isinstance(item, BaseException)]
    for kind, words in _REASONS:
        if any(isinstance(item, kind) for item in chain):
            return words
    for item in chain:
        if isinstance(item, OSError) and item.errno is not None and item.strerror:
            return item.strerror.lower()
    return f"the exchange broke ({type(error).__name__})"


_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (socket.gaierror, "its name is not known (DNS)"),
    (urllib3.exceptions.NameResolutionError, "its name is not known (DNS)"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3.exceptions.SSLError, "no encrypted connection came about (TLS)"),
    (requests.exceptions.SSLError, "no encrypted connection came about (TLS)"),
    (urllib3.exceptions.IncompleteRead, "the body ended too early"),
    (urllib3.exceptions.ConnectTimeoutError, "it could not be reached in time"),
    ((TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout), "it did not answer in time"),
    (ConnectionResetError, "the connection was reset"),
    (urllib3.exceptions.DecodeError, "the compression of the body is damaged"),
    ((urllib3.exceptions.ProtocolError, requests.ConnectionError), "the connection broke"),
)
