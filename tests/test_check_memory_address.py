"""scripts/check_memory.py at addresses where something else answers, slowly, or nothing."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from operations.report import NotAnswered, figures_at, figures_url
from tests.memory_checks import check
from tests.other_servers import GOOD, Dripping, answering, telling
from tests.servers import free_port


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"<!doctype html><p>Welcome", "text/html", 200, "text/html"),
        (b"{}", "application/json", 404, "404"),
        (b"[" * 100_000, "application/json", 200, "not figures"),
        (b"[]", "application/json", 200, "not this site's"),
        (b'{"status": "up"}', "application/json", 200, "not this site's"),
        (json.dumps(GOOD | {"used_mb": float("nan")}).encode(), "application/json", 200, "not this site's"),
        (json.dumps(GOOD | {"limit_mb": 0}).encode(), "application/json", 200, "not this site's"),
        (json.dumps(GOOD | {"processes": [{"pid": "x"}]}).encode(), "application/json", 200, "not this site's"),
        (json.dumps(GOOD | {"model": None}).encode(), "application/json", 200, "not this site's"),
        (b"\xff\xfe", "text/plain", 200, "text/plain"),
    ],
)
def test_an_address_that_answers_something_else_is_no_running_site(
    tmp_path: Path, body: bytes, kind: str, status: int, said: str
) -> None:
    with answering(telling(body, kind, status)) as address:
        ended = check(tmp_path, "--url", address)
    assert ended.returncode == 3
    assert said in ended.stderr


def test_what_another_machine_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with answering(telling(json.dumps(GOOD).encode())) as address:
        ended = check(tmp_path, "--url", address)
    assert ended.returncode == 0
    assert "\x1b" not in ended.stdout
    assert "a?[2Jb: idle" in ended.stdout


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "ftp://127.0.0.1", "http://[", "file:///etc/passwd"])
def test_an_address_where_nothing_answers_is_no_running_site(tmp_path: Path, address: str) -> None:
    assert check(tmp_path, "--url", address.format(port=free_port())).returncode == 3


def test_a_slow_address_is_given_up_however_it_is_slow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotAnswered, match=r"within 0\.3 s"):
        figures_at(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.3)
    with answering(Dripping) as address, pytest.raises(NotAnswered):
        figures_at(address, 0.3)


def test_an_address_may_be_given_as_people_say_it() -> None:
    path = "/api/monitoring/memory"
    assert figures_url("example.org") == f"https://example.org{path}"
    assert figures_url("localhost:5000") == f"http://localhost:5000{path}"
    assert figures_url("http://a.example/") == f"http://a.example{path}"
    assert figures_url(f"https://a.example{path}") == f"https://a.example{path}"
