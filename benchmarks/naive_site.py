"""The naive way, as a first system is often written: torch in the process, every embedding fetched for every query.

Run in the environment that prepares models: .venv-prepare/bin/python -m benchmarks.naive_site DATABASE SOURCE PORT
"""

from __future__ import annotations

import json
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

THREADS, SHOWN = 4, 10


class Site:
    """Loads the model at its start; compares a query with all that is stored."""

    def __init__(self, database: Path, source: Path) -> None:
        from sentence_transformers import SentenceTransformer

        self._database = database
        self._model = SentenceTransformer(str(source), device="cpu")

    def nearest(self, text: str) -> list[int]:
        asked = self._model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        with sqlite3.connect(self._database) as connection:
            rows = connection.execute("SELECT id, vector FROM embedding").fetchall()
        vectors = np.stack([np.frombuffer(row[1], np.float32) for row in rows])
        return [rows[place][0] for place in np.argsort(-(vectors @ asked))[:SHOWN]]


class Server(HTTPServer):
    """Four threads, as the real one has."""

    request_queue_size = 64

    def __init__(self, port: int, site: Site) -> None:
        self._threads = ThreadPoolExecutor(THREADS)
        super().__init__(("127.0.0.1", port), type("Handler", (Handler,), {"site": site}))

    def process_request(self, request: Any, client_address: Any) -> None:
        self._threads.submit(self._serve, request, client_address)

    def _serve(self, request: Any, client_address: Any) -> None:
        self.finish_request(request, client_address)
        self.shutdown_request(request)


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        text = parse_qs(urlsplit(self.path).query).get("q", [""])[0]
        body = json.dumps(self.site.nearest(text) if text else []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


if __name__ == "__main__":
    Server(int(sys.argv[3]), Site(Path(sys.argv[1]), Path(sys.argv[2]))).serve_forever()
