"""One connection to a Redis: commands out, answers in, each question bounded in time and size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, parse_url
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as Late
from redis.retry import Retry

from utils.bounded_socket import BoundedSocket
from utils.shared import LinkFault, Refused

CONNECT_S = 2.0  # name, connection, TLS and password; nobody but the thread that connects waits for it
MOST_GREETING_BYTES = 64 * 1024
SLACK_BYTES = 4 * 1024
OF_ADDRESS = ("host", "port", "username", "password", "db", "path")
# What the library raises over answers that are none: it was written for a Redis, and anything may answer at a port.
BROKEN = (RedisError, OSError, ValueError, TypeError, AttributeError, IndexError, RuntimeError)
REFUSALS = ((OutOfMemoryError, "full"), (ReadOnlyError, "read_only"), (NoPermissionError, "forbidden"))


class Link:
    """A connection that is made at once; raises LinkFault. Not for two threads at a time."""

    def __init__(self, url: str, verify_tls: bool = True, connect_s: float = CONNECT_S) -> None:
        self._connection = connection(url, verify_tls, connect_s)
        self._secret = parse_url(url).get("password")
        try:
            self._connection.connect()
        except BROKEN as error:
            self.close()
            raise self._fault(error) from None  # what it was raised from may hold the password

    def ask(self, commands: Sequence[tuple[Any, ...]], seconds: float, most_bytes: int) -> list[Any]:
        """Return the answer of each command; raises LinkFault, and Refused with the first that was refused."""
        try:
            self._connection.bounded.allow(seconds, most_bytes + SLACK_BYTES)
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            answers = [self._answer() for _ in commands]
        except BROKEN as error:
            raise self._fault(error) from None
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise Refused(
                    next((word for kind, word in REFUSALS if isinstance(answer, kind)), "refused"), str(answer)
                )
        return answers

    def _answer(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as refused:  # the others' answers follow it, and are read too
            return refused

    def is_stale(self) -> bool:
        return bool(self._connection.bounded.is_stale())

    def close(self) -> None:
        self._connection.disconnect()

    def _fault(self, error: Exception) -> LinkFault:
        said = str(error).replace(self._secret, "…") if self._secret else str(error)
        return LinkFault(fault_of(error, said), said[:300])


def fault_of(error: Exception, said: str) -> str:
    """Return in a word why a connection is of no use."""
    words = {"certificate": "tls", "ssl": "tls", "larger than allowed": "garbage", "closed by server": "closed"}
    told = (fault for word, fault in words.items() if word in said.lower())
    kinds = ((Late, "slow"), (TimeoutError, "slow"), (AuthenticationError, "password"), (ResponseError, "refused"))
    of_kind = (fault for kind, fault in kinds if isinstance(error, kind))
    rest = "unreachable" if isinstance(error, NoConnection | OSError) else "garbage"
    return next(of_kind, None) or next(told, rest)


def connection(url: str, verify_tls: bool, connect_s: float) -> Any:
    """Return an unmade connection whose socket is bounded from its first byte, and stands at `bounded`."""
    parsed = parse_url(url)
    kind = parsed.get("connection_class", Connection)
    options = {name: value for name, value in parsed.items() if name in OF_ADDRESS}
    if kind is SSLConnection and not verify_tls:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    timeouts = {"socket_timeout": connect_s, "socket_connect_timeout": connect_s}
    # The second protocol needs no greeting, and no library's name is sent: one round trip for the password, or none.
    return bounded(kind)(**options, **timeouts, retry=Retry(NoBackoff(), 0), protocol=2, driver_info=None)


@cache
def bounded(kind: Any) -> type:
    class Bounded(kind):
        bounded: BoundedSocket | None = None

        def _connect(self) -> BoundedSocket:
            self.bounded = BoundedSocket(super()._connect())
            self.bounded.allow(self.socket_connect_timeout, MOST_GREETING_BYTES)
            return self.bounded

    return Bounded
