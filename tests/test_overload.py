"""Two hundred clients that send all they may, in 512 MB: nothing is killed, and /livez is answered meanwhile."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from indexing.documents import NewDocument, write_documents
from models import db
from tests.conftest import Started, closed, settings_for
from tests.servers import Server, serving
from tests.shared import limited
from tests.visits import TOKEN
from web.body_limits import FORM_BYTES, JSON_BYTES
from web.buffered_worker import BUFFERED_BODY, BUFFERED_WHEN_LOW, MOST_BUFFERED, ArrivingRequest

CLIENTS = 200
SKILLS = [f"skill number {number}" for number in range(200)]
CV = "I know Python, SQL and Git. שלום לכולם, אני מכיר פייתון. " * 1_700  # just below what a CV may have
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("overload")
    under = limited(folder / "memory.json", "512M")
    settings = {"RATE_LIMIT": "60/minute", "TRUSTED_PROXIES": "1", "ADMIN_TOKEN": TOKEN, "SECRET_KEY": TOKEN}
    with started.maker("sqlite").fresh(folder) as url:
        fill(url, folder)
        with serving(folder, under, DATABASE_URL=url, **settings) as server:
            yield server


def fill(url: str, folder: Path) -> None:
    from app import create_app

    app = create_app(settings_for(url, folder))
    with app.app_context():
        for collection in ("jobs", "profiles"):
            documents = [
                NewDocument(str(n), f"Job {n}", CV[:2_000], ("Python", f"skill number {n % 300}", "SQL", f"tag {n}"))
                for n in range(2_000)
            ]
            write_documents(db.session(), collection, documents)
    closed(app)


def json_of(size: int, **fields: object) -> bytes:
    """Return a JSON object of just so many bytes."""
    body = json.dumps(fields | {"other": ""}).encode()
    return body[:-2] + b"x" * (size - len(body)) + body[-2:]


LARGEST = JSON_BYTES - 1
REQUESTS = (
    ("/api/recommend", JSON, json_of(LARGEST, text=CV[:90_000], skills=SKILLS)),
    ("/api/recommend", JSON, json_of(LARGEST, text=CV[:90_000], nested=[[]] * 9_000)),
    ("/api/skill-gap", JSON, json_of(LARGEST, document_id="1", skills=SKILLS)),
    ("/api/compare", JSON, json_of(LARGEST, job_ids=[str(n) for n in range(10)], skills=SKILLS)),
    ("/api/screenings", JSON, json_of(LARGEST, text=CV[:90_000])),
    ("/api/searches", JSON, json_of(LARGEST, address="/text?q=Python")),
    ("/match", FORM, urlencode({"cv": CV, "skills": "\n".join(SKILLS), "rest": "x" * 500_000}).encode()[:FORM_BYTES]),
    ("/match", "multipart/form-data; boundary=x", b"--x\r\n" * (FORM_BYTES // 5)),
    ("/import", "multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" * 19_000),
    ("/api/documents", JSON, json_of(LARGEST)),
)  # fmt: skip


def send(server: Server, number: int, counts: Counter[int], stop: threading.Event) -> None:
    """Send requests of every kind as one client, until told to stop."""
    for turn in range(60):
        path, kind, body = REQUESTS[(number + turn) % len(REQUESTS)]
        if stop.is_set():
            return
        headers = {"Content_Type": kind, "X_Forwarded_For": f"192.0.{number}.1"}
        with suppress(OSError):  # closed unread: its answer was 413 or 503
            counts[server.send("POST", path, body, **headers).status] += 1


def test_livez_is_answered_whatever_two_hundred_clients_send(server: Server) -> None:
    counts: Counter[int] = Counter()
    stop, probes = threading.Event(), 0
    (worker,) = server.workers()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for number in range(CLIENTS):
            clients.submit(send, server, number, counts, stop)
        try:
            while sum(counts.values()) < 5 * CLIENTS or counts[200] < 20:
                with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    assert connection.recv(100).startswith(b"HTTP/1.1 200")
                probes += 1
        finally:
            stop.set()
    assert probes > 0
    assert server.workers() == [worker]  # the kernel killed nothing, and the worker was not replaced
    assert set(counts) <= {200, 202, 201, 400, 401, 404, 409, 413, 422, 429, 503}, counts
    assert "Traceback" not in server.log
    report = server.folder / "memory.json"
    assert server.get("/livez")[0] == 200
    assert not report.exists() or json.loads(report.read_text())["oom_kills"] == 0


def test_large_bodies_wait_for_one_another_and_small_requests_do_not(server: Server) -> None:
    body = urlencode({"cv": "x", "rest": "x" * 900_000}).encode()
    counts: Counter[int] = Counter()

    def post(number: int) -> None:
        headers = {"Content_Type": FORM, "X_Forwarded_For": f"198.51.{number}.1"}
        counts[server.send("POST", "/match", body, **headers).status] += 1

    with ThreadPoolExecutor(16) as clients:
        for number in range(16):
            clients.submit(post, number)
    assert counts == {400: 16}  # without a form's token


def test_which_requests_are_large() -> None:
    class Connection:
        pass

    def large(nbytes: int, body: int | None) -> bool:
        return ArrivingRequest(Connection(), nbytes=nbytes, body=body).is_large

    assert [large(1_000, 500), large(JSON_BYTES + 1, JSON_BYTES), large(JSON_BYTES + 1, None)] == [False, True, True]
    assert not large(BUFFERED_BODY + 1, 2 * BUFFERED_BODY)  # the client still has it
    assert BUFFERED_WHEN_LOW < MOST_BUFFERED
