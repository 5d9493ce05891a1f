"""The memory guard, which drops caches and unloads the model near the limit, and the recycling of grown workers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from operations.memory import Memory

EVERY_S = 1.0
BETWEEN_TEXTS_S = 0.2  # a check takes 0.5 to 4 ms, a short text hardly more
TRIM_EVERY_S = 2.0  # searches in four threads left 18 MB in the C heap
BETWEEN_DROPS_S = 10.0
KEPT_EVENTS = 50
KINDS = ("caches_dropped", "model_given_back", "text_only_over")
MOST_SHOWN = 20
RECYCLE_EVERY_S = 10.0
RECYCLE_CHECKS = 6  # in a row, a minute in all, so that an import or a flood of searches does not count as growth
SHORT = "memory is short: {used:.0f} of {limit:.0f} MB are used"
log = logging.getLogger("matmon.operations")


class MemoryShort(Exception):
    """A model would not fit into the free memory; the message gives both figures."""


@dataclass(frozen=True, slots=True)
class Event:
    """An action of the guard, its time (seconds since 1970), and the memory at that time."""

    at: float
    kind: str
    used_mb: float
    limit_mb: float


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """The newest events first; counts by kind since the start; seconds left without the model, or 0."""

    on: bool
    events: tuple[Event, ...]
    counts: dict[str, int]
    text_only_left_s: float


class Guard:
    """Checks memory every second and after each text; `check` may be called from any thread.

    From drop_share of the limit it drops caches. From unload_share, if that was not enough, it unloads the model after
    its current text, and searches fall back to keywords for pause_s seconds.
    """

    def __init__(
        self,
        read: Callable[[], Memory],
        drop_share: float = 0.85,
        unload_share: float = 0.92,
        pause_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._drop_caches: Callable[[], None] = lambda: None
        self._unload: Callable[[str, float], None] = lambda _reason, _pause_s: None
        self._trim: Callable[[], None] = lambda: None
        self._drop_share, self._unload_share, self._pause_s = drop_share, unload_share, pause_s
        self._clock = clock
        self._dropped_at = self._paused_until = self._checked_at = self._trimmed_at = float("-inf")
        self._is_paused = False
        self.is_low = False  # at the last check, with caches dropped
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.counts: Counter[str] = Counter()

    def can_free(
        self,
        drop_caches: Callable[[], None],
        unload: Callable[[str, float], None],
        trim: Callable[[], None] = lambda: None,
    ) -> None:
        """Set what the guard calls when memory is low; it is built before the parts that it can free."""
        self._drop_caches, self._unload, self._trim = drop_caches, unload, trim

    def start(self) -> None:
        """Start checking every second; call it in the serving process, since threads do not survive a fork."""
        with self._lock:
            if self._watch is None:
                self._watch = threading.Thread(target=self._keep_checking, name="memory-guard", daemon=True)
                self._watch.start()

    def text_only_left_s(self) -> float:
        """Return the seconds until the model may be loaded again; 0 if it may be now."""
        return max(self._paused_until - self._clock(), 0.0)

    def check_between(self) -> None:
        """Check between two texts, if the last check was a while ago."""
        if self._clock() - self._checked_at >= BETWEEN_TEXTS_S:
            self.check()

    def check(self) -> None:
        """Check memory and act on it; returns at once if another thread is doing so."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._checked_at = self._clock()
            self._act(self._read())
        finally:
            self._lock.release()

    def check_room(self, needed_mb: float) -> None:
        """Raise MemoryShort if `needed_mb` more would exceed unload_share of the limit, even without caches."""
        used = self._read()
        if needed_mb > used.limit_mb * self._unload_share - used.used_mb:
            # A model unloaded a minute ago may leave 15 MB of freed memory that was not returned to the system.
            self._drop_caches()
            used = self._read()
        free = used.limit_mb * self._unload_share - used.used_mb
        if needed_mb > free:
            raise MemoryShort(
                f"the model needs about {needed_mb:.0f} MB and {max(free, 0):.0f} MB are free"
                f" ({used.used_mb:.0f} of {used.limit_mb:.0f} MB are used)"
            )

    def _act(self, used: Memory) -> None:
        if used.share >= self._drop_share and self._clock() - self._dropped_at >= BETWEEN_DROPS_S:
            self._dropped_at = self._clock()
            self._note("caches_dropped", used)
            self._drop_caches()
            used = self._read()
        self.is_low = used.share >= self._unload_share
        if self.text_only_left_s():
            return
        if used.share >= self._unload_share:
            self._pause(used)
        elif self._is_paused:
            self._is_paused = False
            self._note("text_only_over", used)

    def _pause(self, used: Memory) -> None:
        """Unload the model; a pause that is extended counts as one event."""
        if not self._is_paused:
            self._note("model_given_back", used)
        self._is_paused = True
        self._paused_until = self._clock() + self._pause_s
        self._unload(SHORT.format(used=used.used_mb, limit=used.limit_mb), self._pause_s)

    def _note(self, kind: str, used: Memory) -> None:
        log.warning("%s at %.0f of %.0f MB", kind.replace("_", " ").capitalize(), used.used_mb, used.limit_mb)
        self.events.append(Event(time.time(), kind, used.used_mb, used.limit_mb))
        self.counts[kind] += 1

    def _keep_checking(self) -> None:
        while True:
            try:
                self.check()
                if self._clock() - self._trimmed_at >= TRIM_EVERY_S:
                    self._trimmed_at = self._clock()
                    self._trim()
            except Exception:
                log.exception("The memory guard failed to check the memory; it tries again in %.0f s", EVERY_S)
            time.sleep(EVERY_S)


def guard_figures(guard: Guard | None) -> GuardFigures:
    counts = dict.fromkeys(KINDS, 0)
    if guard is None:
        return GuardFigures(False, (), counts, 0.0)
    recent = list(guard.events)  # a copy, since other threads append to it
    newest = tuple(sorted(recent, key=lambda event: -event.at)[:MOST_SHOWN])
    return GuardFigures(True, newest, counts | dict(guard.counts), round(guard.text_only_left_s(), 1))


class Recycling:
    """Ends the worker, between requests, if it exceeded its limit for a minute without a model.

    A worker without a model peaks at a quarter of 512 MB; a model would explain more.
    """

    def __init__(
        self,
        anonymous_mb: Callable[[], float],
        holds_model: Callable[[], bool],
        most_mb: Callable[[], float],
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._anonymous_mb, self._holds_model, self._most_mb, self._end = anonymous_mb, holds_model, most_mb, end
        self._clock, self._checked_at, self._grown = clock, float("-inf"), 0
        self.is_on = False  # only if a master starts another worker

    def check(self) -> None:
        """Check, if the last check was a while ago, and end the worker once."""
        if not self.is_on or self._clock() - self._checked_at < RECYCLE_EVERY_S:
            return
        self._checked_at = self._clock()
        held = 0.0 if self._holds_model() else self._anonymous_mb()
        most = self._most_mb()
        self._grown = self._grown + 1 if held > most else 0
        if self._grown == RECYCLE_CHECKS:
            log.warning("This worker holds %.0f MB without a model, more than %.0f: it is replaced", held, most)
            self.is_on = False
            self._end()
