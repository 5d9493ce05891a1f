"""A bounded memory of values that are costly to make."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values used last: at most `most` of them, `most_bytes` as `size` measures them, none older than `ttl_s`.

    Thread-safe. A value larger than most_bytes is given back and not kept.
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
        self._turn = threading.Lock()
        self.nbytes = self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._values)

    def recall(self, key: object) -> Value | None:
        with self._turn:
            found = self._values.get(key)
            if found is not None and self._ttl_s is not None and self._clock() - found[2] >= self._ttl_s:
                self._drop(key)
                found = None
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._values.move_to_end(key)
            return found[0]

    def keep(self, key: object, value: Value) -> Value:
        nbytes = self._size(value)
        with self._turn:
            if key in self._values:
                self._drop(key)
            self._values[key] = value, nbytes, self._clock()
            self.nbytes += nbytes
            while len(self._values) > self._most or (self._most_bytes is not None and self.nbytes > self._most_bytes):
                self._drop(next(iter(self._values)))
        return value

    def clear(self) -> None:
        with self._turn:
            self._values.clear()
            self.nbytes = 0

    def _drop(self, key: object) -> None:
        self.nbytes -= self._values.pop(key)[1]
