"""A Redis cache and counter that never fails a request, and never delays one by more than its time budget."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from redis import ConnectionPool, Redis
from redis import exceptions as errors
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, parse_url
from redis.retry import Retry

from utils.circuit_breaker import CircuitBreaker

OPERATION_S = 0.05  # a socket's time-out; a Redis nearby answers in 0.2 ms
BUDGET_S = 0.05  # a request that has spent this starts no operation: it waits for twice as long at most
DEADLINE_S = 0.2  # for a whole answer, since a socket's time-out starts anew with each byte
GREETINGS = 3  # AUTH, SELECT and PING, each within a socket's time-out
CONNECT_S = 2.0  # only the background thread waits this long
RETRY_S = 2.0
MAX_BYTES = 256 * 1024
URL_OPTIONS = ("host", "port", "username", "password", "db", "path")
# Something other than a Redis may answer, and the client raises whatever its parser runs into.
OTHER_ERRORS = (OSError, ValueError, TypeError, AttributeError, LookupError, RuntimeError, MemoryError)
REDIS_ERRORS = (errors.RedisError, *OTHER_ERRORS)
FAULTS_BY_TYPE = (
    (errors.OutOfMemoryError, "full"),
    (errors.ReadOnlyError, "read_only"),
    (errors.NoPermissionError, "forbidden"),
    (errors.ResponseError, "refused"),
    (errors.TimeoutError | TimeoutError, "slow"),
    (errors.AuthenticationError, "password"),
)
FAULTS_BY_TEXT = {
    "certificate": "tls",
    "ssl": "tls",
    "closed by server": "closed",
    "connection not ready": "garbage",  # it sent something before it was asked
}
State = Literal["connecting", "connected", "away"]
T = TypeVar("T")
log = logging.getLogger("matmon.redis")


class NotConnected(errors.ConnectionError):
    """The server closed the connection while it was idle."""


def redis_client(url: str, verify_tls: bool = True, timeout_s: float = OPERATION_S) -> Redis:
    """Return a client that is not connected yet, and never retries. Options in the URL's query are ignored."""
    parsed = parse_url(url)
    kind = parsed.get("connection_class", Connection)
    options: dict[str, Any] = {name: value for name, value in parsed.items() if name in URL_OPTIONS}
    if kind is SSLConnection and not verify_tls:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    options |= {"socket_timeout": timeout_s, "socket_connect_timeout": CONNECT_S, "redis_connect_func": greet}
    # RESP 2 needs no HELLO, and without driver information no CLIENT SETINFO: one round trip less each.
    options |= {"retry": Retry(NoBackoff(), 0), "protocol": 2, "driver_info": None}
    return Redis(connection_pool=ConnectionPool(connection_class=kind, **options))


def greet(connection: Any) -> None:
    """Log in and exchange PING and PONG, without reading for ever from something that is no Redis."""
    limit = threading.Timer(GREETINGS * connection.socket_timeout, connection.disconnect)
    limit.daemon = True
    limit.start()
    try:
        connection.on_connect()
        connection.send_command("PING")
        if connection.read_response() != b"PONG":
            raise errors.InvalidResponse("PING was not answered with PONG")
    finally:
        limit.cancel()


def fault_of(error: Exception) -> str:
    """Return the kind of error as one word, a key of `commands.check.FAULTS`."""
    by_type = [fault for kind, fault in FAULTS_BY_TYPE if isinstance(error, kind)]
    by_text = [fault for text, fault in FAULTS_BY_TEXT.items() if text in str(error).lower()]
    other = "unreachable" if isinstance(error, errors.ConnectionError | OSError) else "garbage"
    return (*by_type, *by_text, other)[0]


def error_text(error: Exception, client: Redis) -> str:
    """Return the message without the password, which a server may repeat."""
    password = client.connection_pool.connection_kwargs.get("password")
    return (str(error).replace(password, "…") if password else str(error))[:300]


@dataclass(frozen=True, slots=True)
class RedisFigures:
    """The state for the status page. `fault` is also set while a connected server refuses writes."""

    state: State
    fault: str
    for_s: float  # in this state
    counts: dict[str, int]


class RedisCache:
    """A cache and counter in Redis. Nothing raises for what the server does: the methods return None instead.

    One background thread has the connection. It connects at the pace of a circuit breaker, and runs the operations,
    for which requests wait at most DEADLINE_S; while there is no connection, operations cost nothing.
    """

    def __init__(self, url: str, prefix: str = "", verify_tls: bool = True, retry_s: float = RETRY_S) -> None:
        self.prefix, self.counts = prefix, Counter[str]()
        self._url, self._verify_tls = url, verify_tls
        self.breaker = CircuitBreaker(failures=1, rest_s=retry_s)
        self._client = redis_client(url, verify_tls)
        self._pool = self._client.connection_pool
        self._pool.connection_kwargs["redis_connect_func"] = self._greet
        self._state: State = "connecting"
        self._fault, self._since, self._is_loss_logged = "", time.monotonic(), False
        self._lock, self._request, self._is_closed = threading.Lock(), threading.local(), False
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="redis", daemon=True)

    @property
    def is_connected(self) -> bool:
        return self._state == "connected"

    def connect(self) -> None:
        """Start the background thread, once. Only after a fork: a child would not have it."""
        with self._lock, suppress(RuntimeError):  # without memory for a thread, the next operation tries again
            if self._thread.ident is None:
                self._thread.start()

    def start_request(self) -> None:
        """Start the time budget of a request, in its thread."""
        self._request.left_s = BUDGET_S

    def get(self, kind: str, key: str) -> bytes | None:
        """Return a value; one over MAX_BYTES is not ours."""
        value: Any = self._do(lambda: self._client.getrange(self._name(kind, key), 0, MAX_BYTES))
        if value is not None and len(value) > MAX_BYTES:
            self.count_unreadable(kind)
            value = b""
        if value is not None:
            self._count(f"{kind}_hits" if value else f"{kind}_misses")
        return value or None

    def set(self, kind: str, key: str, value: bytes, ttl_s: int) -> None:
        if len(value) > MAX_BYTES:
            self._count("too_large")
        else:
            self._do(lambda: self._client.set(self._name(kind, key), value, ex=ttl_s), is_write=True)

    def increment(self, key: str, amount: int, window_s: int) -> tuple[int, float] | None:
        """Add to the count of a window, which starts with its first use; return the count and the seconds left."""
        name = self._name("rate", key)

        def add() -> tuple[int, float]:
            pipeline: Any = self._client.pipeline(transaction=False)
            _, count, left_ms = pipeline.set(name, 0, ex=window_s, nx=True).incrby(name, amount).pttl(name).execute()
            if left_ms < 0:  # the key expired in between, or never would
                self._client.expire(name, window_s)
            return count, min(left_ms / 1000, window_s) if left_ms >= 0 else float(window_s)

        return self._do(add, is_write=True)

    def clear(self, *kinds: str) -> int | None:
        """Delete all values of these kinds, in this thread and however long it takes; None if the server fails."""
        deleted = 0
        try:
            with redis_client(self._url, self._verify_tls) as client:
                for kind in kinds:
                    for name in client.scan_iter(match=f"{self.prefix}:{kind}:*", count=1_000):
                        deleted += int(client.delete(name))
        except (errors.RedisError, OSError) as error:
            log.warning("Redis: values could not be deleted: %s", error_text(error, self._client))
            return None
        return deleted

    def count_unreadable(self, kind: str) -> None:
        """Count a value that this version cannot read."""
        self._count(f"{kind}_wrong")

    def figures(self) -> RedisFigures:
        """Return the state, after a PING if the server is thought connected."""
        if self.is_connected:
            self._do(self._client.ping)
        self.connect()
        with self._lock:
            for_s = round(time.monotonic() - self._since, 1)
            return RedisFigures(self._state, self._fault, for_s, dict(self.counts))

    def close(self) -> None:
        self._is_closed = True
        self._tasks.put(lambda: None)
        if self._thread.ident is not None:
            self._thread.join()
        self._lose("closed")

    def _name(self, kind: str, key: str) -> str:
        return f"{self.prefix}:{kind}:{key}"

    def _count(self, event: str) -> None:
        with self._lock:
            self.counts[event] += 1

    def _do(self, operation: Callable[[], T], is_write: bool = False) -> T | None:
        """Return the operation's result; None without a connection, without time left, or after an error."""
        started, left_s = time.monotonic(), getattr(self._request, "left_s", BUDGET_S)
        if not self.is_connected or left_s <= 0:
            self._count("skipped")
            self.connect()
            return None
        future: Future[T | None] = Future()
        self._tasks.put(lambda: future.set_result(self._attempt(operation, is_write)))
        if not wait([future], DEADLINE_S).done:
            self._pool.disconnect()  # this ends the operation with an error
            wait([future], OPERATION_S)
        if hasattr(self._request, "left_s"):
            self._request.left_s -= time.monotonic() - started
        return future.result() if future.done() else None

    def _attempt(self, operation: Callable[[], T], is_write: bool) -> T | None:
        if not self.is_connected:  # lost since the request queued this
            self._count("skipped")
            return None
        started = time.monotonic()
        try:
            with self.breaker.watch(harmless=(errors.ResponseError, NotConnected)):
                result = operation()
        except NotConnected:
            self._count("skipped")
            self._lose("closed")
        except errors.ResponseError as error:
            self._count("refusals")
            if self._fault != fault_of(error):
                log.warning("Redis refuses an operation: %s", error_text(error, self._client))
            self._fault = fault_of(error)
        except REDIS_ERRORS as error:
            self._count("errors")
            self._lose(fault_of(error) if time.monotonic() < started + DEADLINE_S else "slow", error)
        else:
            if is_write and self._fault:
                self._fault = ""
                log.info("Redis accepts writes again")
            return result
        return None

    def _lose(self, fault: str, error: Exception | None = None) -> None:
        """Continue without the server, and log the first of consecutive faults."""
        with self._lock:
            if self._state != "away":
                self._state, self._since = "away", time.monotonic()
            self._fault = fault
        self._pool.disconnect()
        if error is not None and not self._is_loss_logged:
            self._is_loss_logged = True
            log.warning("Redis is away; continuing without it: %s", error_text(error, self._client))

    def _run(self) -> None:
        """Run operations while there is a connection, and connect while there is none."""
        while not self._is_closed:
            if not self.is_connected and self._tasks.empty() and self.breaker.allows():
                self._open()
            with suppress(Empty):
                self._tasks.get(timeout=None if self.is_connected else self.breaker.rest_s)()

    def _open(self) -> None:
        try:
            with self.breaker.watch():
                self._pool.release(self._pool.get_connection())
        except REDIS_ERRORS as error:
            self._count("failed_connects")
            self._lose(fault_of(error), error)
            return
        with self._lock:
            self._state, self._fault, self._since = "connected", "", time.monotonic()
        if self._is_loss_logged:
            log.info("Redis is connected again")
        self._is_loss_logged = False

    def _greet(self, connection: Any) -> None:
        """Greet, unless an operation finds its connection closed: it would wait for another one to open."""
        if self.is_connected:
            raise NotConnected("connection closed by server")
        greet(connection)
