"""An embeddings endpoint on this machine whose every answer the test writes, good ones and bad."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes import embedding

HELD_S = 30.0


@dataclass(frozen=True)
class Reply:
    """One answer. `cut` breaks the connection off after so many bytes; `held` is waited for before anything is said.

    `slowly` sends a byte at a time, each `slowly` seconds.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    held: threading.Event | None = None
    slowly: float = 0.0


@dataclass
class Told:
    """What was asked: the path, the headers and the JSON."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Endpoints:
    """The address, query so far, and what answers; `answer` may be changed while it serves."""

    answer: Callable[[Told], Reply]
    url: str = ""
    asked: list[Told] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        """Return all texts that were sent to be embedded."""
        found = (told.body.get("input", told.body.get("inputs", [])) for told in self.asked if told.body)
        return [text for texts in found for text in texts]


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), status, {key.replace("_", "-"): value for key, value in headers.items()})


def openai(rows: Sequence[Sequence[object]], **more: object) -> Reply:
    """Return an answer of OpenAI's shape."""
    data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(rows)]
    return as_json({"object": "list", "data": data, "model": "a-model"} | more)


def rows_of(texts: Sequence[str]) -> list[list[float]]:
    return [embedding(text).astype(float).tolist() for text in texts]


def good(told: Told) -> Reply:
    """Answer as an endpoint that is not Matmon's: bags of words, 64 wide; it says nothing of its models."""
    if not told.path.endswith("/embeddings"):
        return as_json({"error": "there is no such path"}, 404)
    return openai(rows_of(told.body["input"]))


@contextmanager
def endpoint(answer: Callable[[Told], Reply] = good, port: int = 0) -> Iterator[Endpoints]:
    """Serve while the block runs; whoever is held then is let go."""
    served = Endpoints(answer)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"served": served}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        served.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    served: Endpoints
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass

    def _answer(self, body: Any) -> None:
        told = Told(self.path, dict(self.headers), body)
        self.served.asked.append(told)
        reply = self.served.answer(told)
        if reply.held is not None:
            reply.held.wait(HELD_S)
        with suppress(OSError):  # who asked may have lost patience
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.slowly:
            for byte in reply.content:
                self.wfile.write(bytes([byte]))
                if self.served.closing.wait(reply.slowly):
                    return
        self.wfile.write(reply.content[: reply.cut])
        self.close_connection = reply.cut is not None
