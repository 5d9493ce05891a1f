"""The last hour of this process's memory: 240 samples in arrays (10 KB), taken by a thread."""

from __future__ import annotations

import logging
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, fields

EVERY_S = 15.0
KEPT = 240
HOUR_S = EVERY_S * KEPT
log = logging.getLogger("matmon.operations")


@dataclass(frozen=True, slots=True)
class MemorySample:
    """Megabytes at a time (seconds since 1970); model, index and caches are those of this process."""

    at: float
    used_mb: float
    limit_mb: float
    anonymous_mb: float
    model_mb: float
    index_mb: float
    caches_mb: float

    @property
    def parts_mb(self) -> tuple[float, float, float]:
        """Return the megabytes of the model, of index and caches, and of the rest; they add up to the memory used."""
        kept = self.index_mb + self.caches_mb
        return self.model_mb, kept, max(self.used_mb - self.model_mb - kept, 0.0)


COLUMNS = tuple(field.name for field in fields(MemorySample))


class History:
    """A ring buffer of the samples that `look` returns; call `start` in the serving process, after its fork."""

    def __init__(self, look: Callable[[], MemorySample], every_s: float = EVERY_S, kept: int = KEPT) -> None:
        self.every_s, self.kept = every_s, kept
        self._look = look
        # Seconds since 1970 need a double: a float32 is only accurate to two minutes.
        self._columns = {name: array("d" if name == "at" else "f") for name in COLUMNS}
        self._next = 0
        self._turn = threading.Lock()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        """Start sampling, once; call it after the fork, since threads do not survive it."""
        with self._turn:
            if self._watch is not None:
                return
            self._watch = threading.Thread(target=self._keep_looking, name="memory-history", daemon=True)
            self._watch.start()

    def _keep_looking(self) -> None:
        while True:
            try:
                self.add(self._look())
            except Exception:
                log.exception("Memory could not be sampled; the next sample is due in %.0f s", self.every_s)
            time.sleep(self.every_s)

    def add(self, sample: MemorySample) -> None:
        """Add a sample; when full, it replaces the oldest."""
        with self._turn:
            for name, column in self._columns.items():
                value = getattr(sample, name)
                if len(column) < self.kept:
                    column.append(value)
                else:
                    column[self._next] = value
            self._next = (self._next + 1) % self.kept

    def samples(self, most: int | None = None) -> list[MemorySample]:
        """Return the last hour's samples, oldest first; at most the newest `most`."""
        with self._turn:
            rows = [MemorySample(*row) for row in zip(*self._columns.values(), strict=True)]
            oldest = self._next if len(rows) == self.kept else 0
        since = time.time() - self.every_s * self.kept
        recent = [sample for sample in rows[oldest:] + rows[:oldest] if sample.at >= since]
        return recent if most is None else recent[len(recent) - min(most, len(recent)) :]
