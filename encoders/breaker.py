"""A circuit breaker: what failed several times in a row is left alone for a while (Nygard, Release It!, 2007)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FAILURES, REST_S = 3, 30.0


class Breaker:
    """Counts failures in a row; from `failures` on it is open for rest_s, and then lets one try through."""

    def __init__(
        self, failures: int = FAILURES, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures, self._rest_s, self._clock = failures, rest_s, clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open_until = 0.0

    def left_s(self) -> float:
        """Return for how many seconds nothing is tried; 0 where the next try goes through."""
        return max(self._open_until - self._clock(), 0.0)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count what is tried inside as a failure where it raises, and as a success where it does not."""
        try:
            yield
        except BaseException:
            with self._lock:
                self._in_a_row += 1
                if self._in_a_row >= self._failures:
                    self._open_until = self._clock() + self._rest_s
            raise
        with self._lock:
            self._in_a_row, self._open_until = 0, 0.0
