"""The last hour of this process's memory: 240 samples in arrays (10 KB), taken by a thread, and their chart."""

from __future__ import annotations

import logging
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from operations.guard import Event
from operations.memory import HIGH

EVERY_S = 15.0
KEPT = 240
HOUR_S = EVERY_S * KEPT
# The chart: one unit per second across, a thousandth of the height down.
HEIGHT = 1000
HEADROOM = 1.08  # leaves room for the label above the limit line
ROW_S = 300.0
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
    """A ring buffer of the samples that `read` returns; call `start` in the serving process, after its fork."""

    def __init__(self, read: Callable[[], MemorySample], every_s: float = EVERY_S, kept: int = KEPT) -> None:
        self.every_s, self.kept = every_s, kept
        self._read = read
        # Seconds since 1970 need a double: a float32 is only accurate to two minutes.
        self._columns = {name: array("d" if name == "at" else "f") for name in COLUMNS}
        self._next = 0
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def start(self) -> None:
        """Start sampling, once; call it after the fork, since threads do not survive it."""
        with self._lock:
            if self._watch is not None:
                return
            self._watch = threading.Thread(target=self._keep_sampling, name="memory-history", daemon=True)
            self._watch.start()

    def _keep_sampling(self) -> None:
        while True:
            try:
                self.add(self._read())
            except Exception:
                log.exception("Memory could not be sampled; the next sample is due in %.0f s", self.every_s)
            time.sleep(self.every_s)

    def add(self, sample: MemorySample) -> None:
        """Add a sample; when full, it replaces the oldest."""
        with self._lock:
            for name, column in self._columns.items():
                value = getattr(sample, name)
                if len(column) < self.kept:
                    column.append(value)
                else:
                    column[self._next] = value
            self._next = (self._next + 1) % self.kept

    def samples(self, most: int | None = None) -> list[MemorySample]:
        """Return the last hour's samples, oldest first; at most the newest `most`."""
        with self._lock:
            rows = [MemorySample(*row) for row in zip(*self._columns.values(), strict=True)]
            oldest = self._next if len(rows) == self.kept else 0
        since = time.time() - self.every_s * self.kept
        recent = [sample for sample in rows[oldest:] + rows[:oldest] if sample.at >= since]
        return recent if most is None else recent[len(recent) - min(most, len(recent)) :]


# The boundaries of the stacked areas, from the bottom up, in MB.
BOUNDARIES: tuple[Callable[[MemorySample], float], ...] = (
    lambda _: 0.0,
    lambda sample: sample.parts_mb[2],
    lambda sample: sample.parts_mb[2] + sample.parts_mb[0],
    lambda sample: sample.used_mb,
)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A horizontal line: its name, height in per cent from the top, and megabytes."""

    name: str
    y: float
    mb: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An action of the guard, in per cent from the left."""

    x: float
    event: Event


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked areas as SVG paths, lines, the guard's marks, and the same samples as rows, newest first."""

    areas: dict[str, str]
    top: str
    levels: tuple[LimitLine, ...]
    marks: tuple[Mark, ...]
    rows: tuple[MemorySample, ...]
    peak_mb: float
    ticks_s: tuple[float, ...] = (HOUR_S, HOUR_S / 2)  # age of the left edge and of the middle


def chart(samples: Sequence[MemorySample], events: Sequence[Event] = ()) -> Chart:
    """Return the chart of the hour before the newest sample; needs at least one sample."""
    end, limit = samples[-1].at, samples[-1].limit_mb
    peak = max(sample.used_mb for sample in samples)
    highest = max(limit, peak) * HEADROOM
    runs = unbroken(samples)
    lines = [[points(run, boundary, end, highest) for run in runs] for boundary in BOUNDARIES]
    levels = (("limit", limit), ("high", limit * HIGH), ("half", limit / 2))
    return Chart(
        areas={
            name: "".join(area(*pair) for pair in zip(lines[number], lines[number + 1], strict=True))
            for number, name in enumerate(("application", "model", "kept"))
        },
        top="".join("M" + "L".join(line) for line in lines[-1]),
        levels=tuple(LimitLine(name, round(100 * (1 - mb / highest), 2), mb) for name, mb in levels),
        marks=tuple(
            Mark(round(100 * across(event.at, end) / HOUR_S, 2), event) for event in events if end - event.at < HOUR_S
        ),
        rows=tuple(spaced(samples)),
        peak_mb=round(peak, 1),
    )


def unbroken(samples: Sequence[MemorySample]) -> list[list[MemorySample]]:
    """Return the runs of samples without a gap, such as when the process slept."""
    runs = [[samples[0]]]
    for before, sample in pairwise(samples):
        if sample.at - before.at > 4 * EVERY_S:
            runs.append([])
        runs[-1].append(sample)
    return runs


def across(at: float, end: float) -> int:
    return round(min(max(HOUR_S - (end - at), 0.0), HOUR_S))


def points(
    run: Sequence[MemorySample], boundary: Callable[[MemorySample], float], end: float, highest: float
) -> list[str]:
    """Return a line from left to right; a single sample is drawn as wide as its interval."""
    places = [(across(sample.at, end), round(HEIGHT * (1 - boundary(sample) / highest))) for sample in run]
    if len(places) == 1:
        places.insert(0, (max(places[0][0] - round(EVERY_S), 0), places[0][1]))
    return [f"{x} {y}" for x, y in places]


def area(bottom: Sequence[str], top: Sequence[str]) -> str:
    """Return the area between two lines; empty if they coincide."""
    return "" if top == bottom else f"M{'L'.join((*top, *reversed(bottom)))}Z"


def spaced(samples: Sequence[MemorySample]) -> Iterator[MemorySample]:
    """Yield one sample per five minutes, newest first."""
    last = float("inf")
    for sample in reversed(samples):
        if last - sample.at >= ROW_S:
            yield sample
            last = sample.at
