"""The loopback MAST: every host the hunter talks to, behind one address on 127.0.0.1.

Threads of the standard library's HTTP server, HTTP/1.1 with connections kept open. Requests with an absolute URI (as
through a proxy) and paths with doubled slashes are answered as well.
"""

import gzip
import http.server
import json
import re
import socket
import struct
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hunter.replica import control, models, sky, tables
from hunter.replica.catalogue import Catalogue, Content, Entry, File, Script
from hunter.replica.columns import configuration
from hunter.replica.faults import Calm, Fault, Plan, Reply, Request
from hunter.replica.pages import error_page, s3_error, s3_key, s3_listing, target_list
from hunter.replica.portal import invoke

BUCKET = "stpubdata"
LONGEST_BODY = 2**20
LARGEST_CUT = 10_000  # pixels
KEPT_LINES = 500_000
SECTOR_KEY = re.compile(r"tess/public/tid/s(\d{4})/(?:\d{4}/){4}([^/]+)")
SCRIPT = re.compile(r"/missions/tess/download_scripts/sector/tesscurl_sector_(\d+)_(lc|fast-lc|tp|fast-tp)\.sh")
HLSP_SCRIPT = re.compile(
    r"/hlsps/tess-spoc/download_scripts/hlsp_tess-spoc_tess_phot_s(\d{4})_tess_v1_dl-lc\.sh"
)  # fmt: skip
TARGETS = re.compile(r"/wp-content/uploads/all_targets_S(\d{3})_v1\.(txt|csv)")


@dataclass(slots=True)
class Line:
    """One request in the log."""

    time: float  # by the clock of the replica, when it came
    method: str
    route: str
    path: str  # with its query
    name: str
    user_agent: str
    range: str
    concurrency: int  # requests under way at that instant, this one included
    connections: int  # open at that instant
    status: int = 0  # 0 where nothing was sent
    sent: int = 0  # bytes of the body
    fault: str = ""
    retry_after: str = ""


class Replica:
    """A running loopback archive; use it in a ``with`` block.

    Parameters
    ----------
    catalogue : Catalogue
    plan : Plan, optional
        What goes wrong; nothing by default. It may be replaced while the replica serves.
    port : int
        0 for any free one.
    clock : callable
        Seconds for the log, for outages and for replies; monotonic by default.
    token : str
        Lets `control.Remote` steer it from another process; nobody can without one.
    most_rows : int
        A query of more rows has its connection reset, as at MAST.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        plan: Plan | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
        token: str = "",
        most_rows: int = 500_000,
    ) -> None:
        self.catalogue: Catalogue = catalogue
        self.plan: Plan = Calm() if plan is None else plan
        self.clock = clock
        self.log: deque[Line] = deque(maxlen=KEPT_LINES)
        self.token = token
        self.most_rows = most_rows
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._hits: Counter[tuple[str, ...]] = Counter()
        self._under_way = 0
        self._open: set[socket.socket] = set()
        self._server: _Server | None = None
        self._listen(port)

    def _listen(self, port: int) -> None:
        self._server = _Server(("127.0.0.1", port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replica", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The addresses for the [archive] table."""
        return {
            "mast_url": self.url,
            "bulk_url": self.url,
            "s3_endpoint": self.url,
            "exoplanet_archive_url": self.url,
            "exofop_url": self.url,
        }

    def refuse(self) -> None:
        """Take the port away, so that connections are refused, and break those that are open."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        with self._lock:
            held = list(self._open)
        for connection in held:
            _break(connection)

    def accept(self) -> None:
        """Listen again at the same port."""
        if self._server is None:
            self._listen(self.port)

    def close(self) -> None:
        self.stopping.set()
        self.refuse()

    def __enter__(self) -> "Replica":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what the log tells

    def lines(self, route: str = "", method: str = "") -> list[Line]:
        """The log, of one route or method where given."""
        with self._lock:
            lines = list(self.log)
        return [line for line in lines if route in ("", line.route) and method in ("", line.method)]

    def most_connections(self) -> int:
        """The most connections that were open at one request."""
        return max((line.connections for line in self.lines()), default=0)

    def hurried(self, grace: float = 0.1) -> list[tuple[Line, Line]]:
        """Each reply that told to wait so many seconds, with a request that came before they had passed.

        Requests within the grace were under way when the reply came.
        """
        lines, found = self.lines(), []
        for told in lines:
            if told.retry_after.isdigit() and int(told.retry_after) <= 3600:
                begin, end = told.time + grace, told.time + int(told.retry_after)
                found += [(told, later) for later in lines if begin < later.time < end]
        return found

    def summary(self) -> dict[str, Any]:
        """What the log holds in numbers: requests by route and status, faults, bytes, the most at once."""
        lines = self.lines()
        return {
            "requests": len(lines),
            "by_route": dict(Counter(f"{line.method} {line.route} {line.status}" for line in lines)),
            "faults": dict(Counter(line.fault for line in lines if line.fault)),
            "bytes": sum(line.sent for line in lines),
            "most_connections": max((line.connections for line in lines), default=0),
            "most_concurrency": max((line.concurrency for line in lines), default=0),
            "hurried": len(self.hurried()),
            "user_agents": sorted({line.user_agent for line in lines}),
        }

    def forget(self) -> None:
        """Empty the log and begin counting hits anew."""
        with self._lock:
            self.log.clear()
            self._hits.clear()

    # for the handler

    def begin(self, handler: "_Handler", route: str, name: str, body: str) -> tuple[Request, Line]:
        now = self.clock()
        method, path, asked = handler.command, handler.path, handler.headers.get("Range", "")
        with self._lock:
            self._under_way += 1
            self._hits[method, route] += 1
            self._hits[method, route, name, "name"] += 1
            hit, hit_of_name = self._hits[method, route], self._hits[method, route, name, "name"]
            line = Line(
                now, method, route, path, name, handler.headers.get("User-Agent", ""), asked,
                self._under_way, sum(not _left(connection) for connection in self._open),
            )  # fmt: skip
            self.log.append(line)
        return Request(method, route, path, name, body, asked, hit, hit_of_name, now), line

    def end(self) -> None:
        with self._lock:
            self._under_way -= 1

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], replica: Replica) -> None:
        self.replica = replica
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the name of the address here, which can take seconds offline
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is nothing to print a traceback for; anything else is."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.server.replica.opened(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.replica.closed(self.request)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """The log of the replica is a list, not the terminal."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        replica = self.server.replica
        split = urlsplit(self.path)
        path = re.sub(r"/{2,}", "/", split.path)  # an absolute URI has its host split off
        length = _whole(self.headers.get("Content-Length"), 0)
        if length > LONGEST_BODY:
            self.close_connection = True
            return self._send(Reply(413, (), error_page(413, "Payload Too Large")), None)
        body = self.rfile.read(length).decode("utf-8", "replace") if length else ""
        query = {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
        if path.startswith(control.PATH):
            return self._control(path, {key: values[-1] for key, values in parse_qs(body).items()})
        route, name = route_of(path, query)
        request, line = replica.begin(self, route, name, body)
        try:
            if replica.plan.down(request.time):
                line.fault = "outage"
                self._break()
                return
            fault = replica.plan.fault(request)
            reply = Answers(replica.catalogue, fault, self.headers, replica.most_rows).reply(request, path, query)
            if fault is not None:
                line.fault = fault.name
                if fault.reply is not None:
                    reply = fault.reply(request, reply)
            line.status = 0 if reply.silent else reply.status
            line.retry_after = reply.header("Retry-After")
            self._send(reply, line)
        finally:
            replica.end()

    def _control(self, path: str, query: dict[str, str]) -> None:
        """What steers the replica: no part of any archive, not in the log, and only with the token."""
        replica = self.server.replica
        replica.closed(self.request)  # it is not the hunter's
        if self.command != "POST" or not control.allowed(replica.token, self.headers.get(control.HEADER)):
            return self._send(Reply(403, (), error_page(403, "Forbidden")), None)
        told = control.act(replica, path.removeprefix(control.PATH), query)
        return self._send(Reply(200, (("Content-Type", "application/json"),), json.dumps(told).encode()), None)

    def _break(self) -> None:
        """Reset the connection: closed with nothing lingering, which needs every hold on the socket given up."""
        self.close_connection = True
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.request.close()

    def _send(self, reply: Reply, line: Line | None) -> None:
        stopping = self.server.replica.stopping
        if reply.wait and stopping.wait(reply.wait):
            return self._break()
        if reply.silent:
            return self._break()
        bodiless = self.command == "HEAD" or reply.status in (204, 304)
        chunked = reply.framing == "chunked"
        headers = [
            f"HTTP/1.1 {reply.status} {_reason(reply.status)}",
            f"Date: {formatdate(usegmt=True)}",
            "Server: replica of MAST (simulated data)",
            *(f"{name}: {value}" for name, value in reply.headers),
        ]
        if chunked:
            headers.append("Transfer-Encoding: chunked")
        elif reply.framing == "length" and reply.status not in (204, 304):
            headers.append(f"Content-Length: {len(reply.body) if reply.length is None else reply.length}")
        if reply.framing == "close" or reply.stop_after is not None or reply.length is not None:
            headers.append("Connection: close")
            self.close_connection = True
        head = "\r\n".join(headers) + "\r\n\r\n"
        if reply.header_pause:
            for text in head.splitlines(keepends=True):
                self.wfile.write(text.encode("latin-1"))
                self.wfile.flush()
                if stopping.wait(reply.header_pause):
                    return self._break()
            first = b""
        else:
            first = head.encode("latin-1")
        body = b"" if bodiless else reply.body
        if reply.reset_after is not None:
            body = body[: reply.reset_after]
        elif reply.stop_after is not None:
            body = body[: reply.stop_after]
            self.close_connection = True
        if line is not None:
            line.sent = len(body)
        if chunked and not bodiless:
            self.wfile.write(first)
            for place in range(0, len(body), 65536):
                part = body[place : place + 65536]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            if reply.reset_after is None and reply.stop_after is None:
                self.wfile.write(b"0\r\n\r\n")
        elif reply.piece and body:
            self.wfile.write(first)
            for place in range(0, len(body), reply.piece):
                self.wfile.write(body[place : place + reply.piece])
                self.wfile.flush()
                if line is not None:
                    line.sent = min(len(body), place + reply.piece)
                if reply.pause and stopping.wait(reply.pause):
                    return self._break()
        elif len(body) < 65536:
            self.wfile.write(first + body)  # one packet, one system call
        else:
            self.wfile.write(first)
            self.wfile.write(body)
        self.wfile.flush()
        if reply.reset_after is not None:
            self._break()


def _left(connection: socket.socket) -> bool:
    """Whether the client has closed a connection, though its thread has not noticed yet."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False  # open, and nothing waits to be read
    except OSError:
        return True


def _break(connection: socket.socket) -> None:
    """Break a connection that a thread waits on."""
    with suppress(OSError):  # it may be gone already
        connection.shutdown(socket.SHUT_RDWR)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def route_of(path: str, query: dict[str, str]) -> tuple[str, str]:
    """What a request asks for: the route as rules and the log call it, and the file or document."""
    if path.startswith("/api/v0.1/Download/file"):
        return "download", query.get("uri", "").rpartition("/")[2]
    if path.startswith(f"/{BUCKET}"):
        key = unquote(path[len(BUCKET) + 1 :]).lstrip("/")
        return ("s3", key.rpartition("/")[2]) if key else ("s3-list", query.get("prefix", ""))
    if path.startswith(("/missions/tess/download_scripts/", "/hlsps/tess-spoc/download_scripts/")):
        return "script", path.rpartition("/")[2]
    if path == "/api/v0/invoke":
        return "invoke", ""
    if path == "/portal/Mashup/Mashup.asmx/columnsconfig":
        return "columnsconfig", ""
    if path.startswith("/wp-content/uploads/"):
        return "targets", path.rpartition("/")[2]
    if path == "/Santa-war/query":
        return "resolver", query.get("name", "")
    if path.endswith("/TAP/sync"):
        return "tap", ""
    if path.endswith("/download_toi.php"):
        return "toi", ""
    if path.endswith("/download_ctoi.php"):
        return "ctoi", ""
    if path.startswith(models.ROOT):
        return "models", path.rpartition("/")[2]
    if path.startswith("/hlsps/tess-ebs/"):
        return "tess-ebs", path.rpartition("/")[2]
    if path.startswith("/tesscut/"):
        return "tesscut", path.rpartition("/")[2]
    return "none", path


class Answers:
    """The sound reply to a request; a fault of a file or a document is worked into it."""

    def __init__(self, catalogue: Catalogue, fault: Fault | None, headers: Message, most_rows: int) -> None:
        self.catalogue = catalogue
        self.fault = fault
        self.headers = headers
        self.most_rows = most_rows

    def reply(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        if request.method == "POST" and request.body and "json" not in self.headers.get("Content-Type", ""):
            query = query | {key: values[-1] for key, values in parse_qs(request.body, keep_blank_values=True).items()}
        answer = getattr(self, "_" + request.route.replace("-", "_"))
        return answer(request, path, query)

    def _none(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        return missing()

    def _download(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        found = self.catalogue.find(query.get("uri", ""))
        return missing() if found is None else self._file(request, *found)

    def _file(self, request: Request, entry: Entry, file: File) -> Reply:
        content = self.catalogue.content(entry, file)
        if self.fault is not None and self.fault.file is not None:
            content = Content(self.fault.file(content.data), content.etag)
        headers = (
            ("Content-Type", "application/fits"),
            ("Content-Disposition", f"attachment; filename={file.name}"),
            ("Last-Modified", formatdate(self.catalogue.released_at(entry), usegmt=True)),
            ("ETag", content.etag),
            ("Accept-Ranges", "bytes"),
        )
        return self._ranged(request, content, headers)

    def _ranged(self, request: Request, content: Content, headers: tuple[tuple[str, str], ...]) -> Reply:
        """The whole, or the part asked for; the whole too where the condition of the range does not hold."""
        data, total = content.data, len(content.data)
        if self.headers.get("If-None-Match") == content.etag:
            return Reply(304, (("ETag", content.etag),))
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.range.strip())
        condition = self.headers.get("If-Range")
        if asked is None or asked.group(0) == "bytes=-" or condition not in (None, content.etag):
            return Reply(200, headers, data)
        first, last = asked.groups()
        if first:
            begin, end = int(first), min(int(last) if last else total - 1, total - 1)
        else:
            begin, end = max(0, total - int(last)), total - 1
        if begin >= total or begin > end:
            return Reply(416, (*headers, ("Content-Range", f"bytes */{total}")))
        return Reply(206, (*headers, ("Content-Range", f"bytes {begin}-{end}/{total}")), data[begin : end + 1])

    def _s3(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        key = unquote(path[len(BUCKET) + 1 :]).lstrip("/")
        found = self.catalogue.find(request.name)
        if found is None or s3_key(*found) != key:
            return Reply(404, (("Content-Type", "application/xml"),), s3_error(key))
        return self._file(request, *found)

    def _s3_list(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        prefix = query.get("prefix", "")
        sector = re.match(r"tess/public/tid/s(\d{4})", prefix)
        keys = self.catalogue.keys(int(sector.group(1)) if sector else None)
        begin = bisect_left(keys, (prefix, 0))
        found = list(takewhile(lambda pair: pair[0].startswith(prefix), keys[begin:]))
        limit = min(1000, max(1, _whole(query.get("max-keys"), 1000)))
        after = query.get("continuation-token") or query.get("start-after") or ""
        body = s3_listing(BUCKET, prefix, found, limit=limit, after=after, delimiter=query.get("delimiter", ""))
        return Reply(200, (("Content-Type", "application/xml"),), body)

    def _script(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        found = SCRIPT.fullmatch(path)
        number, kind = (int(found.group(1)), found.group(2)) if found else (-1, "")
        hlsp = HLSP_SCRIPT.fullmatch(path)
        if hlsp:
            number, kind = int(hlsp.group(1)), "hlsp-lc"
        sector = self.catalogue.sectors.get(number)
        script = None if sector is None else sector.scripts.get(kind)
        return missing() if script is None else self._conditional(script, "application/x-sh")

    def _conditional(self, script: Script, kind: str) -> Reply:
        import hashlib

        etag = f'"{hashlib.md5(script.text, usedforsecurity=False).hexdigest()}"'
        headers = (("Last-Modified", formatdate(script.modified, usegmt=True)), ("ETag", etag))
        known = self.headers.get("If-None-Match")
        if known is not None:
            fresh = etag in (part.strip().removeprefix("W/") for part in known.split(","))
        else:
            fresh = _not_since(self.headers.get("If-Modified-Since"), script.modified)
        if fresh:
            return Reply(304, headers)
        reply = Reply(200, (*headers, ("Content-Type", kind), ("Accept-Ranges", "bytes")), script.text)
        return reply

    def _targets(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        found = TARGETS.fullmatch(path)
        sector = self.catalogue.sectors.get(int(found.group(1))) if found else None
        if found is None or sector is None or not sector.targets:
            return missing()
        text = target_list(sector.entries)
        if found.group(2) == "csv":
            text = text.replace(b"\t", b",")
        return Reply(200, (("Content-Type", "text/plain"),), text)

    def _columnsconfig(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        found = configuration(query.get("colConfigId", ""))
        return self._json({} if found is None else found)

    def _invoke(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        try:
            asked = json.loads(query.get("request", ""))
            if not isinstance(asked, dict):
                raise ValueError("the request is no object")
        except ValueError as error:
            return self._json({"status": "ERROR", "msg": f"Unable to parse request: {error}", "data": [], "fields": []})
        document = invoke(self.catalogue, asked)
        if document.get("paging", {}).get("rowsTotal", 0) > self.most_rows:
            return Reply(silent=True)
        if self.fault is not None and self.fault.document is not None:
            document = self.fault.document(document)
        return self._json(document)

    def _resolver(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        return self._json(sky.resolve(self.catalogue, query.get("name", "")))

    def _models(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        folder, _, name = path.removeprefix(models.ROOT).rpartition("/")
        place = models.folder_of(f"{folder}/")
        if place is None or (name and name not in models.names(*place)):
            return missing()
        if not name:
            return Reply(200, (("Content-Type", "text/html;charset=UTF-8"),), models.page(*place))
        data = models.model(name)
        content = Content(data, f'"{len(data):x}"')
        headers = (("Content-Type", "application/fits"), ("ETag", content.etag), ("Accept-Ranges", "bytes"))
        return self._ranged(request, content, headers)

    def _tesscut(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        try:
            ra, dec = float(query["ra"]), float(query["dec"])
            if path.endswith("/sector"):
                return self._json(sky.cut_sectors(self.catalogue, ra, dec))
            columns, rows = int(query.get("x", "5")), int(query.get("y", "5"))
            sector = int(query["sector"]) if query.get("sector") else None
        except (KeyError, ValueError) as error:
            return Reply(400, (("Content-Type", "application/json"),), json.dumps({"msg": str(error)}).encode())
        if not path.endswith("/astrocut") or not 0 < columns * rows <= LARGEST_CUT:
            return Reply(400, (("Content-Type", "application/json"),), b'{"msg": "the request is not understood"}')
        body = sky.cut_out(self.catalogue, ra, dec, columns, rows, sector)
        return Reply(200, (("Content-Type", "application/zip"),), body)

    def _tap(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        values = {key.lower(): value for key, value in query.items()}
        form = "csv" if "csv" in values.get("format", "").lower() else "votable"
        status, kind, body = tables.tap(
            values.get("query", ""), form, self.catalogue.known, self.catalogue.stars()
        )  # fmt: skip
        return Reply(status, (("Content-Type", kind),), body)

    def _toi(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        body = tables.exofop(request.route, query.get("output", "csv"), self.catalogue.known, self.catalogue.stars())
        return Reply(200, (("Content-Type", "text/csv"),), body)

    _ctoi = _toi

    def _tess_ebs(self, request: Request, path: str, query: dict[str, str]) -> Reply:
        body = tables.tess_ebs(self.catalogue.known, self.catalogue.stars())
        return Reply(200, (("Content-Type", "text/csv"),), body)

    def _json(self, document: Any) -> Reply:
        body = json.dumps(document).encode()
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
        if len(body) > 4096 and "gzip" in self.headers.get("Accept-Encoding", ""):
            return Reply(200, (*headers, ("Content-Encoding", "gzip")), gzip.compress(body, 1))
        return Reply(200, headers, body)


def missing() -> Reply:
    return Reply(404, (("Content-Type", "text/html"),), error_page(404, "Not Found"))


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdigit() else otherwise


def _not_since(told: str | None, modified: float) -> bool:
    if told is None:
        return False
    try:
        return parsedate_to_datetime(told).timestamp() >= int(modified)
    except (ValueError, TypeError):
        return False
