"""What processes share in a Redis, on a real one and on what is none: time is bounded, and it comes back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.redis_server import RedisServer, answering, redis_server, serving_redis
from tests.waiting import until
from utils.redis_link import Link
from utils.shared import BUDGET_S, CONNECTIONS, MOST_BYTES, Shared

NEARLY_60 = pytest.approx(60, abs=1)  # a busy machine takes a while between the setting and the look
GENEROUS_S = 1.0  # for what is bounded to BUDGET_S: a machine of tests may be busy


@contextmanager
def sharing(url: str) -> Iterator[Shared]:
    shared = Shared(lambda: Link(url), "test", retry_s=0.05)
    try:
        yield shared
    finally:
        shared.close()


def is_connected(shared: Shared) -> bool:
    return shared.figures().state == "connected"


def connected_unasked(shared: Shared) -> None:
    """Wait for a connection without a question."""
    shared.connect()
    until(lambda: shared.is_connected, "a connection")


def has_fault(shared: Shared, fault: str) -> bool:
    return shared.figures().fault == fault


server = redis_server


@pytest.fixture
def shared(server: RedisServer) -> Iterator[Shared]:
    with sharing(server.url) as shared:
        until(lambda: is_connected(shared), "a connection")
        yield shared


def asked_for_s(shared: Shared, times: int = 6) -> float:
    """Return how long a request's questions take in all."""
    began = time.monotonic()
    shared.begin()
    for number in range(times):
        assert shared.recall("results", str(number)) is None
    return time.monotonic() - began


def test_a_value_is_kept_for_its_time_and_found_by_another_process(server: RedisServer, shared: Shared) -> None:
    shared.keep("results", "a", b"\x00value", 60)
    with sharing(server.url) as other:
        until(lambda: is_connected(other), "a connection")
        assert other.recall("results", "a") == b"\x00value"
        assert other.recall("embeddings", "a") is None
        assert other.figures().counts == {"results_hits": 1, "embeddings_misses": 1}
    assert 0 < server.client.ttl("test:results:a") <= 60


def test_the_first_question_waits_for_no_connection(server: RedisServer) -> None:
    with sharing(server.url) as shared:
        assert shared.recall("results", "a") is None
        assert shared.counts["skipped"] == 1
        until(lambda: is_connected(shared), "a connection")
        assert len(server.client.client_list()) == CONNECTIONS + 1


def test_a_value_that_is_too_large_is_neither_kept_nor_read(server: RedisServer, shared: Shared) -> None:
    shared.keep("results", "a", b"x" * (MOST_BYTES + 1), 60)
    assert server.client.dbsize() == 0
    server.client.set("test:results:b", b"x" * (10 * MOST_BYTES))
    assert shared.recall("results", "b") is None
    assert (shared.counts["too_large"], shared.counts["results_wrong"]) == (1, 1)
    shared.keep("results", "c", b"x" * MOST_BYTES, 60)
    assert shared.recall("results", "c") == b"x" * MOST_BYTES


def test_a_count_ends_with_its_window(server: RedisServer, shared: Shared) -> None:
    assert shared.count("a", 1, 60) == (1, NEARLY_60)
    count = shared.count("a", 2, 60)
    assert count is not None
    assert count[0] == 3
    assert 59 < count[1] <= 60
    server.client.persist("test:rate:a")
    assert shared.count("a", 1, 60) == (4, NEARLY_60)
    assert server.client.ttl("test:rate:a") in (59, 60)


def test_what_is_of_another_kind_is_refused_and_told(server: RedisServer, shared: Shared) -> None:
    server.client.lpush("test:rate:a", "not a number")
    assert shared.count("a", 1, 60) is None
    assert (shared.figures().state, shared.figures().fault) == ("connected", "refused")
    shared.keep("results", "a", b"x", 60)
    assert shared.figures().fault == ""


def test_one_that_is_not_there_costs_nothing_and_is_found_when_it_comes(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with sharing(server.url) as shared:
        assert asked_for_s(shared) < GENEROUS_S
        until(lambda: has_fault(shared, "unreachable"), "the fault")
        assert shared.figures().state == "away"
        server.start()
        until(lambda: is_connected(shared), "a connection")
        server.kill()


def test_one_that_is_killed_comes_back_by_itself(server: RedisServer, shared: Shared) -> None:
    shared.keep("results", "a", b"x", 60)
    server.kill()
    assert asked_for_s(shared) < GENEROUS_S
    until(lambda: has_fault(shared, "unreachable"), "the fault")
    server.start()
    until(lambda: is_connected(shared), "a connection")
    assert shared.recall("results", "a") is None
    shared.keep("results", "a", b"x", 60)
    assert shared.recall("results", "a") == b"x"


def test_one_that_answers_nothing_is_asked_once_in_a_request(server: RedisServer, shared: Shared) -> None:
    with server.held_up():
        assert asked_for_s(shared) < GENEROUS_S
        assert shared.counts["errors"] == 1
        assert shared.figures().state == "away"
        assert has_fault(shared, "slow")
        assert asked_for_s(shared) < GENEROUS_S
        assert shared.counts["errors"] == 1
    until(lambda: is_connected(shared), "a connection")


def test_what_was_flushed_is_a_miss(server: RedisServer, shared: Shared) -> None:
    shared.keep("results", "a", b"x", 60)
    assert shared.count("a", 5, 60) == (5, NEARLY_60)
    server.client.flushall()
    assert shared.recall("results", "a") is None
    assert shared.count("a", 1, 60) == (1, NEARLY_60)
    assert shared.figures().state == "connected"


def test_one_that_is_full_is_read_from_and_says_so(server: RedisServer, shared: Shared) -> None:
    shared.keep("results", "a", b"x", 60)
    server.client.config_set("maxmemory", "1")
    shared.keep("results", "b", b"x", 60)
    assert shared.count("a", 1, 60) is None
    assert shared.recall("results", "a") == b"x"
    assert (shared.figures().state, shared.figures().fault) == ("connected", "full")
    server.client.config_set("maxmemory", "0")
    assert shared.count("a", 1, 60) == (1, NEARLY_60)
    assert shared.figures().fault == ""


@pytest.mark.parametrize("given", ["", ":wrong-secret@"])
def test_a_wrong_password_is_told_and_never_shown(tmp_path: Path, given: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving_redis(tmp_path, "--requirepass", "right-secret") as server:
        with sharing(server.url.replace("//", f"//{given}")) as shared:
            assert asked_for_s(shared) < GENEROUS_S
            until(lambda: has_fault(shared, "password"), "the fault")
            assert "secret" not in caplog.text
        with sharing(server.url.replace("//", "//:right-secret@")) as shared:
            until(lambda: is_connected(shared), "a connection")


def test_one_that_lost_its_password_is_left_alone(server: RedisServer, shared: Shared) -> None:
    client = server.client
    client.config_set("requirepass", "secret")
    client.client_kill_filter(_type="normal", skipme=True)
    assert asked_for_s(shared) < GENEROUS_S
    until(lambda: has_fault(shared, "password"), "the fault")


def http(one: socket.socket) -> None:
    while one.recv(1_000):
        one.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def flood(one: socket.socket) -> None:
    while True:
        one.sendall(b"$99999999\r\n" + b"x" * 100_000)


def endless_line(one: socket.socket) -> None:
    while True:
        one.sendall(b"+" + b"x" * 100_000)


def nested(one: socket.socket) -> None:
    one.recv(1_000)
    one.sendall(b"*1\r\n" * 20_000)


def another_answer(one: socket.socket) -> None:
    while one.recv(1_000):
        one.sendall(b":7\r\n")


@pytest.mark.parametrize("answer", [http, flood, endless_line, nested, another_answer], ids=lambda one: one.__name__)
def test_what_is_no_redis_is_noticed(answer: object) -> None:
    with answering(answer) as url, sharing(url) as shared:  # type: ignore[arg-type]
        assert asked_for_s(shared) < GENEROUS_S
        until(lambda: shared.figures().state == "away", "the fault")
        assert shared.figures().fault in ("garbage", "slow")
        assert asked_for_s(shared) < GENEROUS_S


def test_an_answer_that_drips_ends_at_its_deadline() -> None:
    def drip(one: socket.socket) -> None:
        """Answer two greetings as a Redis, and then a byte every few milliseconds."""
        one.recv(1_000)
        one.sendall(b"+PONG\r\n")
        one.recv(1_000)
        for _ in range(1_000):
            one.sendall(b"$")
            time.sleep(0.01)

    with answering(drip) as url, sharing(url) as shared:
        connected_unasked(shared)
        assert asked_for_s(shared) < GENEROUS_S
        assert shared.counts["errors"] == 1


def test_a_request_spends_its_budget_once() -> None:
    """A Redis that answers just in time, each time, is not waited for again and again."""
    now = [0.0]

    class Slow:
        asked = 0

        def ask(self, commands: object, seconds: float, most_bytes: int) -> list[object]:  # noqa: ARG002
            now[0] += 0.03
            Slow.asked += 1
            return [b"PONG"]

        def is_stale(self) -> bool:
            return False

        def close(self) -> None:
            pass

    shared = Shared(Slow, clock=lambda: now[0])
    connected_unasked(shared)
    shared.begin()
    began, Slow.asked = now[0], 0
    for _ in range(20):
        shared.recall("results", "a")
    assert Slow.asked == 3
    assert now[0] - began <= BUDGET_S + 0.03
    shared.begin()
    assert shared.recall("results", "a") == b"PONG"
    shared.close()
