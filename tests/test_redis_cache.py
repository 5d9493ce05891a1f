"""The Redis cache, with a real Redis and servers that are none: each fault costs little time and ends by itself."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.certificates import certificate
from tests.redis_server import RedisServer, answering, redis_server, serving_redis
from tests.waiting import until
from utils import redis_cache
from utils.redis_cache import BUDGET_S, MAX_BYTES, OPERATION_S, NotConnected, RedisCache

NEARLY_60 = pytest.approx(60, abs=1)  # a busy machine takes a while between the setting and the look
GENEROUS_S = 1.0  # for what is bounded to BUDGET_S: a machine of tests may be busy


@contextmanager
def open_cache(url: str, *, verify_tls: bool = True) -> Iterator[RedisCache]:
    cache = RedisCache(url, "test", verify_tls, retry_s=0.05)
    try:
        yield cache
    finally:
        cache.close()


def is_connected(cache: RedisCache) -> bool:
    return cache.figures().state == "connected"


def wait_connected(cache: RedisCache) -> None:
    """Wait for a connection without an operation."""
    cache.connect()
    until(lambda: cache.is_connected, "a connection")


def has_fault(cache: RedisCache, fault: str) -> bool:
    return cache.figures().fault == fault


server = redis_server


@pytest.fixture
def cache(server: RedisServer) -> Iterator[RedisCache]:
    with open_cache(server.url) as cache:
        until(lambda: is_connected(cache), "a connection")
        yield cache


def seconds_of_a_request(cache: RedisCache, times: int = 6) -> float:
    """Return how long a request's operations take in all."""
    began = time.monotonic()
    cache.start_request()
    for number in range(times):
        assert cache.get("results", str(number)) is None
    return time.monotonic() - began


def test_a_value_lives_for_its_ttl_and_is_found_by_another_process(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"\x00value", 60)
    with open_cache(server.url) as other:
        until(lambda: is_connected(other), "a connection")
        assert other.get("results", "a") == b"\x00value"
        assert other.get("embeddings", "a") is None
        assert other.figures().counts == {"results_hits": 1, "embeddings_misses": 1}
    assert 0 < server.client.ttl("test:results:a") <= 60


def test_the_first_operation_waits_for_no_connection(server: RedisServer) -> None:
    with open_cache(server.url) as cache:
        assert cache.get("results", "a") is None
        assert cache.counts["skipped"] == 1
        until(lambda: is_connected(cache), "a connection")
        assert len(server.client.client_list()) == 2  # the cache's, and the one that asks


def test_a_value_that_is_too_large_is_neither_stored_nor_read(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"x" * (MAX_BYTES + 1), 60)
    assert server.client.dbsize() == 0
    server.client.set("test:results:b", b"x" * (10 * MAX_BYTES))
    assert cache.get("results", "b") is None
    assert (cache.counts["too_large"], cache.counts["results_wrong"]) == (1, 1)
    cache.set("results", "c", b"x" * MAX_BYTES, 60)
    assert cache.get("results", "c") == b"x" * MAX_BYTES


def test_a_count_ends_with_its_window(server: RedisServer, cache: RedisCache) -> None:
    assert cache.increment("a", 1, 60) == (1, NEARLY_60)
    count = cache.increment("a", 2, 60)
    assert count is not None
    assert count[0] == 3
    assert 59 < count[1] <= 60
    server.client.persist("test:rate:a")
    assert cache.increment("a", 1, 60) == (4, NEARLY_60)
    assert server.client.ttl("test:rate:a") in (59, 60)


def test_a_key_of_another_type_is_refused_and_reported(server: RedisServer, cache: RedisCache) -> None:
    server.client.lpush("test:rate:a", "not a number")
    assert cache.increment("a", 1, 60) is None
    assert (cache.figures().state, cache.figures().fault) == ("connected", "refused")
    cache.set("results", "a", b"x", 60)
    assert cache.figures().fault == ""


def test_a_server_that_is_not_there_costs_nothing_and_is_used_once_it_starts(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with open_cache(server.url) as cache:
        assert seconds_of_a_request(cache) < GENEROUS_S
        until(lambda: has_fault(cache, "unreachable"), "the fault")
        assert cache.figures().state == "away"
        server.start()
        until(lambda: is_connected(cache), "a connection")
        server.kill()


def test_a_killed_server_is_used_again_after_it_restarts(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"x", 60)
    server.kill()
    assert seconds_of_a_request(cache) < GENEROUS_S
    until(lambda: has_fault(cache, "unreachable"), "the fault")
    server.start()
    until(lambda: is_connected(cache), "a connection")
    assert cache.get("results", "a") is None
    cache.set("results", "a", b"x", 60)
    assert cache.get("results", "a") == b"x"


def test_a_hung_server_is_waited_for_once(server: RedisServer, cache: RedisCache) -> None:
    with server.held_up():
        assert seconds_of_a_request(cache) < GENEROUS_S
        assert cache.counts["errors"] == 1
        assert cache.figures().state == "away"
        assert has_fault(cache, "slow")
        assert seconds_of_a_request(cache) < GENEROUS_S
        assert cache.counts["errors"] == 1
    until(lambda: is_connected(cache), "a connection")


def test_threads_take_turns_on_the_connection(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPERATION_S", "BUDGET_S", "DEADLINE_S"):  # a busy machine is slower than a request may wait
        monkeypatch.setattr(redis_cache, name, 10.0)
    with open_cache(server.url) as cache:
        until(lambda: is_connected(cache), "a connection")
        cache.set("results", "a", b"x", 60)
        with ThreadPoolExecutor(8) as threads:
            values = list(threads.map(lambda _: cache.get("results", "a"), range(400)))
        assert values.count(b"x") == 400
        assert (cache.counts["errors"], cache.figures().state) == (0, "connected")


def test_after_a_flush_every_key_is_a_miss(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"x", 60)
    assert cache.increment("a", 5, 60) == (5, NEARLY_60)
    server.client.flushall()
    assert cache.get("results", "a") is None
    assert cache.increment("a", 1, 60) == (1, NEARLY_60)
    assert cache.figures().state == "connected"


def test_a_full_server_is_read_from_and_says_so(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"x", 60)
    server.client.config_set("maxmemory", "1")
    cache.set("results", "b", b"x", 60)
    assert cache.increment("a", 1, 60) is None
    assert cache.get("results", "a") == b"x"
    assert (cache.figures().state, cache.figures().fault) == ("connected", "full")
    server.client.config_set("maxmemory", "0")
    assert cache.increment("a", 1, 60) == (1, NEARLY_60)
    assert cache.figures().fault == ""


@pytest.mark.parametrize("given", ["", ":wrong-secret@"])
def test_a_wrong_password_is_reported_and_not_logged(
    tmp_path: Path, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving_redis(tmp_path, "--requirepass", "right-secret") as server:
        with open_cache(server.url.replace("//", f"//{given}")) as cache:
            assert seconds_of_a_request(cache) < GENEROUS_S
            until(lambda: has_fault(cache, "password"), "the fault")
            assert "secret" not in caplog.text
        with open_cache(server.url.replace("//", "//:right-secret@")) as cache:
            until(lambda: is_connected(cache), "a connection")


def test_a_server_that_starts_to_want_a_password_is_a_fault(server: RedisServer, cache: RedisCache) -> None:
    client = server.client
    client.config_set("requirepass", "secret")
    client.client_kill_filter(_type="normal", skipme=True)
    assert seconds_of_a_request(cache) < GENEROUS_S
    until(lambda: has_fault(cache, "password"), "the fault")


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
def test_a_server_that_is_no_redis_is_noticed(answer: object) -> None:
    with answering(answer) as url, open_cache(url) as cache:  # type: ignore[arg-type]
        assert seconds_of_a_request(cache) < GENEROUS_S
        until(lambda: cache.figures().state == "away", "the fault")
        assert cache.figures().fault in ("garbage", "slow")
        assert seconds_of_a_request(cache) < GENEROUS_S


def test_an_answer_that_trickles_in_ends_at_its_deadline() -> None:
    def drip(one: socket.socket) -> None:
        """Answer two greetings as a Redis, and then a byte every few milliseconds."""
        one.recv(1_000)
        one.sendall(b"+PONG\r\n")
        one.recv(1_000)
        for _ in range(1_000):
            one.sendall(b"$")
            time.sleep(0.01)

    with answering(drip) as url, open_cache(url) as cache:
        wait_connected(cache)
        assert seconds_of_a_request(cache) < GENEROUS_S
        assert cache.counts["errors"] == 1


@contextmanager
def with_tls(port: int, folder: Path) -> Iterator[str]:
    """Give the address of a server that passes on to a port what comes by TLS, under a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, "redis"))

    def pass_on(one: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(one, server_side=True) as outer:
            inner = socket.create_connection(("127.0.0.1", port))
            back = threading.Thread(target=copied, args=(inner, outer), daemon=True)
            back.start()
            copied(outer, inner)
            inner.shutdown(socket.SHUT_RDWR)
            back.join()
            inner.close()

    with answering(pass_on) as url:
        yield url.replace("redis://", "rediss://")


def copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)


def fault(url: str, *, verify_tls: bool = True) -> str:
    """Return the fault of a server that cannot be used."""
    with open_cache(url, verify_tls=verify_tls) as cache:
        return until(lambda: cache.figures().fault, "the fault")


def test_a_request_spends_its_budget_once() -> None:
    """A server that answers just in time, each time, is not waited for again and again."""
    received: list[bytes] = []

    def just_in_time(one: socket.socket) -> None:
        while command := one.recv(1_000):
            if b"PING" in command:
                one.sendall(b"+PONG\r\n")
            else:
                time.sleep(0.6 * OPERATION_S)
                received.append(command)
                one.sendall(b"$1\r\nx\r\n")

    with answering(just_in_time) as url, open_cache(url) as cache:
        wait_connected(cache)
        cache.start_request()
        values = [cache.get("results", "a") for _ in range(20)]
        assert len(received) <= 1 + BUDGET_S / (0.6 * OPERATION_S)
        assert values[len(received) :] == [None] * (20 - len(received))
        wait_connected(cache)
        cache.start_request()
        assert until(lambda: cache.get("results", "a") if cache.is_connected else cache.start_request(), "a value")


def test_a_unix_socket_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with serving_redis(tmp_path, "--unixsocket", str(path)), open_cache(f"unix://{path}") as cache:
        wait_connected(cache)
        cache.set("results", "a", b"\x00", 60)
        assert cache.get("results", "a") == b"\x00"


def test_after_a_refused_operation_the_connection_is_used_again(server: RedisServer, cache: RedisCache) -> None:
    skipped = cache.counts["skipped"]
    server.client.lpush("test:results:a", "not a string")
    assert cache.get("results", "a") is None
    assert (cache.counts["refusals"], cache.counts["errors"], cache.figures().fault) == (1, 0, "refused")
    cache.set("results", "b", b"x", 60)
    assert cache.get("results", "b") == b"x"
    assert (cache.counts["skipped"], cache.counts["failed_connects"]) == (skipped, 0)


def test_a_read_only_server_is_read_from_and_says_so(server: RedisServer, cache: RedisCache) -> None:
    cache.set("results", "a", b"x", 60)
    server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    cache.set("results", "b", b"x", 60)
    assert cache.get("results", "a") == b"x"
    assert (cache.figures().state, cache.figures().fault) == ("connected", "read_only")
    server.client.execute_command("REPLICAOF", "NO", "ONE")
    cache.set("results", "b", b"x", 60)
    assert cache.figures().fault == ""


def test_closed_idle_connections_are_no_error_and_opened_again(
    server: RedisServer, cache: RedisCache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("results", "a", b"x", 60)
    server.client.client_kill_filter(_type="normal", skipme=True)
    assert cache.get("results", "a") is None
    assert (cache.counts["errors"], cache.counts["skipped"]) == (0, 1)
    wait_connected(cache)
    assert cache.get("results", "a") == b"x"
    assert cache.counts["failed_connects"] == 0
    assert caplog.text == ""


def test_an_untrusted_certificate_is_refused_unless_the_setting_accepts_it(tmp_path: Path) -> None:
    with serving_redis(tmp_path) as server, with_tls(server.port, tmp_path) as url:
        assert fault(url) == "tls"
        with open_cache(url, verify_tls=False) as cache:
            wait_connected(cache)
            cache.set("results", "a", b"x", 60)
            assert cache.get("results", "a") == b"x"


def test_a_server_without_tls_is_a_fault(server: RedisServer) -> None:
    assert fault(server.url.replace("redis://", "rediss://")) in ("tls", "closed", "slow")


def test_faults_have_names(server: RedisServer, tmp_path: Path) -> None:
    assert fault(server.url.replace("/0", "/99")) == "refused"
    assert fault(f"unix://{tmp_path}/none.sock") == "unreachable"
    assert fault("redis://no-such-host.invalid") == "unreachable"
    server.client.config_set("requirepass", "secret")
    assert fault(server.url) == "password"
    assert fault(server.url.replace("//", "//:wrong@")) == "password"


def test_a_request_never_opens_a_connection(server: RedisServer) -> None:
    """Resolving a name may take seconds, and no time-out of a socket covers it."""
    with open_cache(server.url) as cache:
        wait_connected(cache)
        cache._pool.disconnect()
        with pytest.raises(NotConnected):
            cache._pool.get_connection()


def large_answer(one: socket.socket) -> None:
    """Greet as a Redis does, and then answer with a value that never ends."""
    one.recv(1_000)
    one.sendall(b"+PONG\r\n")
    one.recv(1_000)
    one.sendall(b"$999999999999\r\n")
    while True:
        one.sendall(b"x" * 1_000)
        time.sleep(0.001)


def test_an_answer_without_end_is_cut_off() -> None:
    with answering(large_answer) as url, open_cache(url) as cache:
        wait_connected(cache)
        assert seconds_of_a_request(cache) < GENEROUS_S
        assert cache.counts["errors"] == 1
        assert cache.figures().fault in ("slow", "garbage", "closed")


def unasked(one: socket.socket) -> None:
    """Send an answer that nobody asked for after the greeting."""
    one.recv(1_000)
    one.sendall(b"+PONG\r\n$1\r\nx\r\n")
    one.recv(1_000)


def test_a_server_that_sends_something_unasked_is_not_used() -> None:
    with answering(unasked) as url:
        assert fault(url) == "garbage"
