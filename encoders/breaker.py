"""A circuit breaker: what failed several times in a row is left alone for a while (Nygard, Release It!, 2007)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Of a host that hangs, one search in so long waits three seconds; when it is back, meaning is within ten.
FAILURES, REST_S = 3, 8.0


class Breaker:
    """Counts failures in a row; from `failures` on nothing goes through for rest_s, and then one try does."""

    def __init__(
        self, failures: int = FAILURES, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rest_s = rest_s
        self._failures, self._clock = failures, clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._rests_until = float("-inf")

    def lets_through(self) -> bool:
        """Tell whether to try now. After a rest one try is let through, and all others wait for how it ends."""
        with self._lock:
            now = self._clock()
            if now < self._rests_until:
                return False
            if self._in_a_row >= self._failures:
                self._rests_until = now + self.rest_s
            return True

    @contextmanager
    def watched(self, harmless: type[Exception]) -> Iterator[None]:
        """Count what is tried inside: as a failure where it raises, unless what it raises is harmless."""
        try:
            yield
        except harmless:
            self._succeeded()
            raise
        except BaseException:
            self._failed()
            raise
        self._succeeded()

    def _failed(self) -> None:
        with self._lock:
            self._in_a_row += 1
            if self._in_a_row >= self._failures:
                self._rests_until = self._clock() + self.rest_s

    def _succeeded(self) -> None:
        with self._lock:
            self._in_a_row, self._rests_until = 0, float("-inf")
