"""A socket whose answers end: none may take longer than its deadline, or be larger than its bound."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any


class BoundedSocket:
    """A connected socket with a deadline over all that is sent and read from `allow` on, not over each piece of it.

    A peer that sends a byte now and then keeps within any timeout of a socket, and one that never ends its line fills
    the memory: here both end with TimeoutError or OSError.
    """

    def __init__(self, inner: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._clock = inner, clock
        self._ends, self._left_bytes = float("-inf"), 0

    def allow(self, seconds: float, most_bytes: int) -> None:
        """Let what follows take so long in all, and read so many bytes."""
        self._ends, self._left_bytes = self._clock() + seconds, most_bytes

    def recv(self, most: int) -> bytes:
        self._hold_to_deadline()
        found = self._inner.recv(most)
        self._left_bytes -= len(found)
        if self._left_bytes < 0:
            raise OSError("the answer is larger than allowed")
        return found

    def sendall(self, data: bytes) -> None:
        self._hold_to_deadline()
        self._inner.sendall(data)

    def _hold_to_deadline(self) -> None:
        left = self._ends - self._clock()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._inner.settimeout(left)

    def settimeout(self, seconds: float | None) -> None:
        """Pass over what a client asks: the deadline holds."""

    def is_stale(self) -> bool:
        """Tell whether there is something to read before anything was asked: as a rule, that the peer hung up."""
        self._inner.settimeout(0)
        try:
            self._inner.recv(1)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # What TLS says where there is nothing to read.
            return type(error).__name__ not in ("SSLWantReadError", "SSLWantWriteError")
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
