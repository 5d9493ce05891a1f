"""Clients that send slowly, or nothing, hold no thread; what arrives in pieces is read whole."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.conftest import Started
from tests.servers import Server, serving
from tests.shared import limited
from tests.visits import BEARER, TOKEN
from tests.waiting import until
from web.buffered_worker import BUFFERED_BODY, HEAD_S, LONGEST_HEAD

SLOW = 200
HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"skills": ["Python"]}'


def posted(body: bytes, *headers: bytes) -> bytes:
    lines = (b"POST /api/recommend HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *headers)
    return b"\r\n".join((*lines, b"", body))


@pytest.fixture(scope="module")
def server(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    settings = {"SEMANTIC_MODEL": "none", "RATE_LIMIT": "100000/minute", "ADMIN_TOKEN": TOKEN}
    under = limited(folder / "memory.json", "512M")
    with started.maker("sqlite").fresh(folder) as url, serving(folder, under, DATABASE_URL=url, **settings) as server:
        job = b'{"id": "1", "title": "Developer", "tags": ["Python"]}'
        headers = BEARER | {"Content-Type": "application/json"}
        assert server.send("POST", "/api/documents?collection=jobs", job, **headers).status == 201
        yield server


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        yield connection


def status(connection: socket.socket) -> int:
    """Return the status of the next answer, and read it whole, but nothing of the one after it."""
    with connection.makefile("rb", buffering=0) as file:
        line = file.readline()
        length = 0
        while header := file.readline().strip():
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        while length and (piece := file.read(length)):
            length -= len(piece)
    return int(line.split()[1])


def test_two_hundred_clients_that_drip_leave_the_site_as_quick_as_before(server: Server) -> None:
    drips = (HEAD, posted(BODY, b"Content-Length: 100"), posted(b"5\r\n{", b"Transfer-Encoding: chunked"))
    server.get("/")
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(SLOW)]
        for number, client in enumerate(clients):
            client.sendall(drips[number % 3][: -2 if number % 3 == 0 else None])
        before = time.monotonic()
        for path in ("/livez", "/", "/api/search?q=x", "/health"):
            assert server.send("GET", path).status == 200
        assert time.monotonic() - before < HEAD_S / 2  # no thread was waited for
    assert server.process.poll() is None


def test_a_client_whose_head_does_not_arrive_gets_408_and_one_that_sent_nothing_is_closed(server: Server) -> None:
    with connected(server) as silent, connected(server) as slow:
        slow.sendall(HEAD[:-2])
        assert status(slow) == 408
        assert slow.recv(1) == silent.recv(1) == b""


def test_a_body_has_time_by_its_length_and_no_more(server: Server) -> None:
    with connected(server) as client:
        client.sendall(posted(BODY, b"Content-Length: 4096"))
        assert status(client) == 408


@pytest.mark.parametrize("pause", [0, 0.01])
def test_a_request_in_small_pieces_is_answered(server: Server, pause: float) -> None:
    with connected(server) as client:
        for request, wanted in ((HEAD, 200), (posted(BODY, b"Content-Length: %d" % len(BODY)), 200)):
            for place in range(0, len(request), 7):
                client.sendall(request[place : place + 7])
                time.sleep(pause)
            assert status(client) == wanted


def test_requests_sent_at_once_are_answered_in_order(server: Server) -> None:
    with connected(server) as client:
        client.sendall(HEAD + posted(BODY, b"Content-Length: %d" % len(BODY)) + HEAD.replace(b"/livez", b"/nothing"))
        assert [status(client) for _ in range(3)] == [200, 200, 404]


@pytest.mark.parametrize("pieces", [[BODY], [BODY[:5], BODY[5:]], [bytes([byte]) for byte in BODY]])
def test_a_body_in_chunks_is_read_whole(server: Server, pieces: list[bytes]) -> None:
    chunks = b"".join(b"%x;note=1\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    with connected(server) as client:
        client.sendall(posted(chunks, b"Transfer-Encoding: chunked"))
        client.sendall(b"0\r\n")
        client.sendall(b"\r\n" + HEAD)
        assert [status(client), status(client)] == [200, 200]


def test_who_expects_a_go_on_gets_it_before_the_body(server: Server) -> None:
    with connected(server) as client:
        client.sendall(posted(b"", b"Expect: 100-continue", b"Content-Length: %d" % len(BODY)))
        assert client.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert status(client) == 200


def test_a_body_that_nothing_reads_leaves_the_connection_usable(server: Server) -> None:
    with connected(server) as client:
        for _ in range(50):
            client.sendall(posted(BODY, b"Content-Length: %d" % len(BODY)).replace(b"/api/recommend", b"/livez"))
            assert status(client) == 405
        client.sendall(HEAD)
        assert status(client) == 200


def test_a_large_body_is_refused_before_it_is_sent(server: Server) -> None:
    with connected(server) as client:
        client.sendall(posted(b"", b"Content-Length: %d" % (BUFFERED_BODY + 1)))
        assert status(client) == 413


def test_an_endless_head_is_refused(server: Server) -> None:
    with connected(server) as client:
        client.sendall(HEAD[:-2] + b"X: " + b"x" * LONGEST_HEAD)
        assert status(client) == 431


@pytest.mark.parametrize("line", [b"Content-Length: five", b"Content-Length: -1", b"Transfer-Encoding: strange"])
def test_a_head_that_makes_no_sense_is_refused_at_once(server: Server, line: bytes) -> None:
    with connected(server) as client:
        client.sendall(posted(b"", line))
        assert status(client) in (400, 411, 501)


def test_clients_that_do_not_take_their_answer_lose_the_connection(server: Server) -> None:
    def is_free() -> bool:
        return server.send("GET", "/").status == 200

    with ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(connected(server))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
            client.sendall(b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
        assert until(is_free, "an answer beside clients that read nothing", 60)


def test_a_server_that_is_told_to_stop_waits_for_no_slow_client(started: Started, tmp_path: Path) -> None:
    with started.maker("sqlite").fresh(tmp_path) as url, ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path, DATABASE_URL=url, SEMANTIC_MODEL="none"))
        silent, slow = (stack.enter_context(connected(server)) for _ in range(2))
        slow.sendall(HEAD[:-2])
        assert server.get("/livez")[0] == 200  # so both others are accepted
        server.process.terminate()
        slow.sendall(b"\r\n")
        assert status(slow) == 200
        assert silent.recv(1) == b""
        assert server.process.wait(HEAD_S) == 0


def test_who_connected_before_a_worker_stops_is_still_answered(started: Started, tmp_path: Path) -> None:
    with (
        started.maker("sqlite").fresh(tmp_path) as url,
        serving(tmp_path, DATABASE_URL=url, SEMANTIC_MODEL="none") as server,
        connected(server) as connection,
    ):
        (worker,) = psutil.Process(server.process.pid).children()
        until(lambda: len(worker.net_connections("tcp")) > 1, "the worker has accepted the connection")
        worker.terminate()
        time.sleep(1.5)  # longer than the worker takes to look for connections without a request
        connection.sendall(HEAD)
        assert status(connection) == 200
        worker.wait(20)
