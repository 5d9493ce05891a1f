"""A bounded queue for the encoder: first come, first served, with a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

MOST_WAITING = 8
DEADLINE_S = 5.0


class EncoderUnavailable(Exception):
    """The model cannot encode now, and search falls back to keywords; the message says why."""


class EncoderBusy(EncoderUnavailable):
    """The model is loaded, but its queue is full, slow or closed."""


class EncoderQueue:
    """Hands out `places` slots at a time, in the order of arrival.

    A slot is for one small batch: long work takes a slot per batch, so that others are served in between.
    """

    def __init__(
        self,
        most_waiting: int = MOST_WAITING,
        deadline_s: float = DEADLINE_S,
        after_each: Callable[[], None] = lambda: None,
        places: int = 1,
    ) -> None:
        self._most_waiting, self._deadline_s, self._after_each = most_waiting, deadline_s, after_each
        self._places = places
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._closed = ""

    @property
    def waiting(self) -> int:
        """The number of callers that wait, without those being served."""
        return max(len(self._queue) - self._places, 0)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot and hold it; raises EncoderBusy if the queue is full or closed, or at the deadline."""
        ticket = object()
        self._enter(ticket)
        try:
            yield
        finally:
            self._leave(ticket)
            self._after_each()

    def close(self, reason: str) -> None:
        """Let the current batch finish, and refuse all others, now and later, with the reason."""
        with self._changed:
            self._closed = reason
            self._changed.notify_all()

    def _enter(self, ticket: object) -> None:
        end = time.monotonic() + self._deadline_s
        with self._changed:
            if len(self._queue) >= self._most_waiting + self._places:
                raise EncoderBusy(f"{self._most_waiting} texts are already waiting for the model")
            self._queue.append(ticket)
            try:
                self._wait_for(ticket, end)
            except EncoderBusy:
                self._queue.remove(ticket)
                self._changed.notify_all()
                raise

    def _wait_for(self, ticket: object, end: float) -> None:
        while not self._closed and ticket not in islice(self._queue, self._places):
            left = end - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                raise EncoderBusy(f"the model was busy for {self._deadline_s:g} s")
        if self._closed:
            raise EncoderBusy(self._closed)

    def _leave(self, ticket: object) -> None:
        with self._changed:
            self._queue.remove(ticket)
            self._changed.notify_all()
