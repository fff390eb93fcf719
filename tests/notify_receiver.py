"""A receiver of webhooks on loopback that answers as it is told and drops what it has seen before."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Counts each (path, key) it was sent; ``kept`` holds every message once."""

    def __init__(self):
        self.seen = Counter()
        self.kept = {}
        self.headers = []
        self.answers = []  # (status, headers) of the next answers; 204 once there are none
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                receiver.headers.append(dict(self.headers))
                if status == 204:
                    key = (self.path, self.headers["Idempotency-Key"])
                    receiver.seen[key] += 1
                    receiver.kept.setdefault(key, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
