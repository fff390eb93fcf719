"""A small real Zenodo on loopback, with the faults that a real one has: slow, broken, forgetful of its answers."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "a-token-of-nobody"


class Archive:
    """The deposits of one person, what was asked, and which answers go wrong."""

    def __init__(self) -> None:
        self.deposits: dict[int, dict] = {}
        self.held: dict[int, dict[str, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[tuple[str, str, str]] = []  # method, pattern of the path, what goes wrong; each once
        self.url = ""

    def fault(self, method: str, path: str) -> str:
        """What goes wrong with this request, "" for nothing."""
        for number, (which, pattern, kind) in enumerate(self.faults):
            if which == method and re.search(pattern, path):
                del self.faults[number]
                return kind
        return ""

    def count(self, method: str, pattern: str) -> int:
        return sum(which == method and re.search(pattern, path) is not None for which, path in self.asked)

    def shown(self, number: int) -> dict:
        """One deposit as the interface tells it."""
        files = [
            {"id": name, "filename": name, "filesize": len(body), "checksum": hashlib.md5(body).hexdigest()}
            for name, body in self.held[number].items()
        ]
        links = {
            "bucket": f"{self.url}/api/files/bucket-{number}",
            "html": f"{self.url}/deposit/{number}",
            "publish": f"{self.url}/api/deposit/depositions/{number}/actions/publish",
        }
        return self.deposits[number] | {"id": number, "links": links, "files": files}

    def answer(self, method: str, path: str, query: dict, body: bytes, damaged: bool) -> tuple[int, object]:
        """What a sound archive does and says."""
        if path == "/api/deposit/depositions" and method == "GET":
            size, page = int(query["size"][0]), int(query["page"][0])
            numbers = sorted(self.deposits, reverse=True)[(page - 1) * size : page * size]
            return 200, [self.shown(number) for number in numbers]
        if path == "/api/deposit/depositions":
            return self._metadata(max(self.deposits, default=1000) + 1, body, 201)
        if match := re.fullmatch(r"/api/files/bucket-(\d+)/(.+)", path):
            number, name = int(match[1]), unquote(match[2])
            if number not in self.deposits or self.deposits[number]["submitted"]:
                return 403, {"message": "no such draft"}
            self.held[number][name] = body[:-1] + b"?" if damaged else body
            return 201, {"key": name, "checksum": f"md5:{hashlib.md5(self.held[number][name]).hexdigest()}"}
        match = re.fullmatch(r"/api/deposit/depositions/(\d+)(/actions/publish)?", path)
        if match is None or int(match[1]) not in self.deposits:
            return 404, {"message": "PID does not exist."}
        number = int(match[1])
        if match[2]:
            if self.deposits[number]["submitted"] or not self.held[number]:
                return 400, {"message": "Validation error.", "errors": [{"field": "files", "message": "none"}]}
            self.deposits[number] |= {"submitted": True, "state": "done", "doi": f"10.5072/zenodo.{number}"}
            return 202, self.shown(number)
        if method == "PUT":
            return self._metadata(number, body, 200)
        return 200, self.shown(number)

    def _metadata(self, number: int, body: bytes, status: int) -> tuple[int, object]:
        told = json.loads(body)["metadata"]
        if not told.get("creators"):
            errors = [{"field": "metadata.creators", "messages": ["Missing data for required field."]}]
            return 400, {"status": 400, "message": "Validation error.", "errors": errors}
        old = self.deposits.get(number, {"submitted": False, "state": "unsubmitted"})
        self.held.setdefault(number, {})
        self.deposits[number] = old | {"metadata": told}
        return status, self.shown(number)


@contextmanager
def open_archive() -> Iterator[Archive]:
    archive = Archive()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            archive.asked.append((self.command, self.path))
            archive.headers.append(dict(self.headers))
            kind = archive.fault(self.command, parts.path)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.tell(401, {"message": "not yours"})
                return
            if kind in ("500", "503"):
                self.tell(int(kind), {"message": "out of order"})
                return
            if kind == "moved":
                self.tell(302, {}, Location="http://127.0.0.1:9/elsewhere")
                return
            status, told = archive.answer(self.command, parts.path, parse_qs(parts.query), body, kind == "damaged")
            if kind == "500 after":  # done, and nobody is told
                self.tell(500, {"message": "out of order"})
            elif kind == "silence after":
                time.sleep(1.0)
                self.close_connection = True
            elif kind == "page":
                self.tell(200, "<html>maintenance</html>")
            else:
                self.tell(status, told)

        do_GET = do_POST = do_PUT = handle_one

        def tell(self, status: int, told: object, **headers: str) -> None:
            body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
