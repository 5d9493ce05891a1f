"""The log: one line an event, with the request's id, as text or as JSON, and never what was searched for."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from operations.logs import REQUEST_ID, JsonLine, OneLine
from tests.conftest import Started
from tests.servers import serving


def line(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    raised = (type(error), error, None) if error else None
    return logging.LogRecord("matmon.test", logging.INFO, "here", 1, message, values, raised)


@pytest.fixture
def in_request() -> Iterator[None]:
    token = REQUEST_ID.set("an-id-of-a-request")
    yield
    REQUEST_ID.reset(token)


def test_an_event_is_one_line_whatever_it_says() -> None:
    said = OneLine().format(line("first\nsecond %s", "x\r\ny", error=ValueError("third\nfourth")))
    assert "\n" not in said
    assert said == "INFO matmon.test first | second x | y | ValueError: third | fourth"


@pytest.mark.usefixtures("in_request")
def test_lines_of_a_request_carry_its_id() -> None:
    assert OneLine().format(line("said")).endswith(" id=an-id-of-a-request")
    assert json.loads(JsonLine().format(line("said")))["request_id"] == "an-id-of-a-request"


def test_json_holds_the_error_and_stays_one_line() -> None:
    said = JsonLine().format(line("broken", error=ValueError("שגיאה\nבשתי שורות")))
    assert "\n" not in said
    assert json.loads(said)["error"] == "ValueError: שגיאה\nבשתי שורות"


def test_an_id_from_a_proxy_is_kept_and_a_strange_one_is_not(client: FlaskClient) -> None:
    given = client.get("/livez", headers={"X-Request-ID": "0123-abcd-4567"})
    assert given.headers["X-Request-ID"] == "0123-abcd-4567"
    for strange in ("short", "with space in it", "x" * 101, "שלום־שלום"):
        answer = client.get("/livez", headers={"X-Request-ID": strange.encode("utf-8").decode("latin-1")})
        assert len(answer.headers["X-Request-ID"]) == 16


def test_a_request_is_logged_without_its_query(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="matmon.request"):
        app.test_client().get("/text?q=סודי")
        app.test_client().get("/documents/a%0Ab")
        app.test_client().get("/livez")
    lines = [one.getMessage() for one in caplog.records if one.name == "matmon.request"]
    assert len(lines) == 2
    assert lines[0].startswith("GET /text 200 ")
    assert lines[1].startswith("GET /documents/a\\nb 404 ")


def refused(port: int, said: bytes) -> bytes:
    """Send what no client of HTTP would, and return the status."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(said)
        return connection.recv(1_000).split()[1]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_servers_log_has_its_lines_and_no_query(started: Started, tmp_path: Path, form: str) -> None:
    with started.maker("sqlite").fresh(tmp_path), serving(tmp_path, LOG_FORMAT=form) as server:
        assert server.ask("/text", q="zyzzyva").status == 200
        assert refused(server.port, b"GET /text?q=zyzzyva raw HTTP/1.1\r\n\r\n") == b"400"
        log = server.log
    assert "zyzzyva" not in log
    assert "GET /text 200" in log
    assert "Matmon is at" in log
    if form == "json":
        assert all(json.loads(one) for one in log.splitlines())
