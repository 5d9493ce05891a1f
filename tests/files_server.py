"""A real HTTP server on this machine: files by their path, ranges of them, and connections that break off."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Headers = Callable[[str], Mapping[str, str]]


@dataclass
class Files:
    """What is served, query for, and how the connection is to fail.

    breaks: by path, after how many bytes each of the next answers breaks off. ranges: whether they are known.
    """

    files: dict[str, bytes]
    breaks: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    headers: Headers = lambda _path: {}
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(files: Files) -> Iterator[Files]:
    """Serve while the block runs; files.url is the address."""
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    files: Files
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        self.files.asked.append((self.command, path, self.headers.get("Range", "")))
        if path not in self.files.files:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.files.files[path]
        begin, total = self._begin(), len(content)
        if begin >= total > 0 and begin:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - begin))
        for name, value in self.files.headers(path).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self._send(path, content[begin:])

    def _begin(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", ""))
        return int(asked[1]) if asked and self.files.ranges else 0

    def _send(self, path: str, content: bytes) -> None:
        if breaks := self.files.breaks.get(path):
            content = content[: breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(content)
