"""The searches of this process: how many, how long they took, and the slowest of the last hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_SLOWEST = 10
KEPT_S = 3_600.0
MOST_TEXT = 200  # characters of a query that are kept, where they are at all


@dataclass(frozen=True, slots=True)
class Search:
    """One search. What was asked is private: `text` is None unless the operator chose LOG_QUERIES=1."""

    at: float
    mode: str
    ms: float
    hits: int
    length: int  # characters
    words: int
    text: str | None = None


class Searches:
    """Counts by mode since the start, and at most MOST_SLOWEST of the last hour's searches; thread-safe."""

    def __init__(self, with_text: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self._with_text, self._clock = with_text, clock
        self._slowest: list[Search] = []
        self._turn = threading.Lock()

    def note(self, mode: str, text: str, hits: int, ms: float) -> None:
        shown = text[:MOST_TEXT] if self._with_text else None
        made = Search(self._clock(), mode, ms, hits, len(text), len(text.split()), shown)
        with self._turn:
            self.counts[mode] = self.counts.get(mode, 0) + 1
            self.seconds[mode] = self.seconds.get(mode, 0.0) + ms / 1000
            self._slowest = sorted([*self._recent(), made], key=lambda one: -one.ms)[:MOST_SLOWEST]

    def _recent(self) -> list[Search]:
        since = self._clock() - KEPT_S
        return [one for one in self._slowest if one.at >= since]

    def slowest(self) -> list[Search]:
        """Return the slowest searches of the last hour, the slowest first."""
        with self._turn:
            return self._recent()
