"""Servers that are not the site: they answer what they were told to, or a byte now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Answering(BaseHTTPRequestHandler):
    """Answers what it was told to."""

    body, kind, status = b"", "application/json", 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Dripping(Answering):
    """Sends a byte now and then, so that no read ever waits long."""

    def do_GET(self) -> None:
        try:
            while True:
                self.wfile.write(b"H")
                time.sleep(0.01)
        except OSError:
            return


@contextmanager
def answering(kind: type[Answering]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def telling(body: bytes, kind: str = "application/json", status: int = 200) -> type[Answering]:
    return type("Telling", (Answering,), {"body": body, "kind": kind, "status": status})


GOOD: dict[str, Any] = {
    "used_mb": 100.0, "limit_mb": 512.0, "worker": 2, "source": "control group", "parts": {"application": 100.0},
    "group": None, "processes": [], "model": {"name": "a\x1b[2Jb", "state": "idle"}, "index": {}, "caches": {},
    "pool": {}, "guard": {},
}  # fmt: skip
