"""The last hour of this process's memory: 240 samples in arrays, 10 KB, taken by a thread of its own."""

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
class Sample:
    """Megabytes at a moment (seconds since 1970); model, index and caches are this process's own."""

    at: float
    used_mb: float
    limit_mb: float
    anonymous_mb: float
    model_mb: float
    index_mb: float
    caches_mb: float

    @property
    def parts_mb(self) -> tuple[float, float, float]:
        """Return the model's, the index's with the caches', and all the rest: together what is used."""
        kept = self.index_mb + self.caches_mb
        return self.model_mb, kept, max(self.used_mb - self.model_mb - kept, 0.0)


COLUMNS = tuple(field.name for field in fields(Sample))


class History:
    """A ring of the samples that `look` returns; begun by `start` in the process that serves, after its fork."""

    def __init__(self, look: Callable[[], Sample], every_s: float = EVERY_S, kept: int = KEPT) -> None:
        self.every_s, self.kept = every_s, kept
        self._look = look
        # Seconds since 1970 need a double: a float of four bytes is right to two minutes.
        self._columns = {name: array("d" if name == "at" else "f") for name in COLUMNS}
        self._next = 0
        self._turn = threading.Lock()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take samples; a thread does not survive a fork, so not before it. Any number of calls start one."""
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
                log.exception("no sample of memory could be taken; the next one is in %.0f s", self.every_s)
            time.sleep(self.every_s)

    def add(self, sample: Sample) -> None:
        """Keep a sample, in place of the oldest where there are enough."""
        with self._turn:
            for name, column in self._columns.items():
                value = getattr(sample, name)
                if len(column) < self.kept:
                    column.append(value)
                else:
                    column[self._next] = value
            self._next = (self._next + 1) % self.kept

    def samples(self, most: int | None = None) -> list[Sample]:
        """Return the samples of the last hour, oldest first; of these the newest `most`."""
        with self._turn:
            rows = [Sample(*row) for row in zip(*self._columns.values(), strict=True)]
            oldest = self._next if len(rows) == self.kept else 0
        since = time.time() - self.every_s * self.kept
        recent = [one for one in rows[oldest:] + rows[:oldest] if one.at >= since]
        return recent if most is None else recent[len(recent) - min(most, len(recent)) :]
