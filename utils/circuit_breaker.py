"""A circuit breaker: after several failures in a row, stop trying for a while (Nygard, Release It!, 2007)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# While a host hangs, one search in eight seconds waits for it; once it is back, it is used within ten.
FAILURES, REST_S = 3, 8.0


class CircuitBreaker:
    """Opens for rest_s after `failures` failures in a row, and then lets one trial through."""

    def __init__(
        self, failures: int = FAILURES, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rest_s = rest_s
        self._failures, self._clock = failures, clock
        self._lock = threading.Lock()
        self._failures_in_a_row = 0
        self._open_until = float("-inf")

    def allows(self) -> bool:
        """Whether to try now. After a rest one caller may try, and the others wait for the outcome."""
        with self._lock:
            now = self._clock()
            if now < self._open_until:
                return False
            if self._failures_in_a_row >= self._failures:
                self._open_until = now + self.rest_s
            return True

    @contextmanager
    def watch(self, harmless: type[Exception] | tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Count the block as a failure if it raises, unless the exception is harmless."""
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
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= self._failures:
                self._open_until = self._clock() + self.rest_s

    def _succeeded(self) -> None:
        with self._lock:
            self._failures_in_a_row, self._open_until = 0, float("-inf")
