"""A bounded cache for values that are expensive to compute."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class LRUCache(Generic[Value]):
    """Thread-safe LRU cache of at most `most` entries and `most_bytes` as measured by `size`, none older than `ttl_s`.

    A value larger than most_bytes is returned but not cached.
    """

    def __init__(
        self,
        most: int,
        most_bytes: int | None = None,
        size: Callable[[Value], int] = lambda _: 0,
        ttl_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._most_bytes, self._size = most, most_bytes, size
        self._ttl_s, self._clock = ttl_s, clock
        self._values: OrderedDict[object, tuple[Value, int, float]] = OrderedDict()
        self._lock = threading.Lock()
        self.nbytes = self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: object) -> Value | None:
        with self._lock:
            entry = self._values.get(key)
            if entry is not None and self._ttl_s is not None and self._clock() - entry[2] >= self._ttl_s:
                self._drop(key)
                entry = None
            if entry is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return entry[0]

    def set(self, key: object, value: Value) -> Value:
        nbytes = self._size(value)
        with self._lock:
            if key in self._values:
                self._drop(key)
            self._values[key] = value, nbytes, self._clock()
            self.nbytes += nbytes
            while len(self._values) > self._most or (self._most_bytes is not None and self.nbytes > self._most_bytes):
                self._drop(next(iter(self._values)))
        return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self.nbytes = 0

    def _drop(self, key: object) -> None:
        self.nbytes -= self._values.pop(key)[1]
