"""A bounded memory of values that are costly to make."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TypeVar

Value = TypeVar("Value")


class Kept(OrderedDict[object, Value]):
    """The values used last, at most `most` of them; thread-safe for `recall` and `keep`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most, self._turn = most, threading.Lock()

    def recall(self, key: object) -> Value | None:
        with self._turn:
            if key in self:
                self.move_to_end(key)
            return self.get(key)

    def keep(self, key: object, value: Value) -> Value:
        with self._turn:
            self[key] = value
            self.move_to_end(key)
            while len(self) > self._most:
                self.popitem(last=False)
        return value
